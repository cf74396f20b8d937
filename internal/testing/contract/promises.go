package contract

// Promises returns all that the use cases rely on in a backend. The package's comment has them as a table.
func Promises() []Promise {
	var promises []Promise
	for _, part := range [][]Promise{creates(), searches(), lists(), looks(), cancels(), calls(), programs()} {
		promises = append(promises, part...)
	}
	return promises
}
