// Package budget holds what a drop, a tick and the functions' binary may cost. The tests that count it fail where more
// is needed, so that it grows only by a change of a number here, with its reason. All are counts, none is a time: they
// are the same on every machine.
package budget

// DropCalls are the remote calls of a drop of two objects, the package's event first, by kind and bucket, up to the
// event job.submitted. They do not depend on what was dropped before.
func DropCalls() map[string]int {
	return map[string]int{
		"list inbox":   2, // each event looks at its folder
		"read inbox":   2, // job file and package, each once
		"read state":   2, // the record, and the folder's note
		"write state":  7, // entry, recent, note, job ID; the record with its decision and with its job; entry
		"copy staging": 1, // what was checked is what runs
		"write status": 2, // of the folder and of the attempt
		"publish":      1, // all three events at once
		"create":       1, // at most one job of an attempt
	}
}

// DropAgainCalls are those of a drop into a folder whose note is full of earlier drops, that all run. Its package's event
// finds the job file of the one before, and reads what may be needed at once.
func DropAgainCalls() map[string]int {
	calls := DropCalls()
	calls["read inbox"] += 2   // for the package's event: both objects
	calls["read state"] += 4   // for it: record and note; two attempts that the note may forget if they have ended
	calls["stat state"] = 1    // the entry of the attempt before
	calls["stat status"] = 1   // the folder's status is another attempt's:
	calls["write status"] += 1 // it is replaced at the generation that was found
	return calls
}

// The calls of a tick beside those of [DropCalls]. They hold for any number of attempts.
const (
	// EntriesPerList is how many attempts without a verdict one list of the index returns, Cloud Storage's most.
	EntriesPerList = 1000
	// JobsPerList is how many jobs one list of the backend returns: the most that its API takes.
	JobsPerList = 100
	// TickCalls are those that a tick makes where nothing has changed: docs/watch.md names each.
	TickCalls = 8
	// ChangeCalls are those of storage for a job that has changed: read and write of the record, two status objects, the
	// entry. ChangePublishes are those beside them: all events of a change are one message request.
	ChangeCalls, ChangePublishes = 5, 1
)

// What a drop allocates in the use cases, the ledger and the relay, without any client of a service. Its package of 2 kB
// is inspected. 1,314 allocations of 482,040 bytes were seen; a tenth more is allowed, since the standard library changes
// with each version of Go.
const (
	DropAllocations = 1445
	DropBytes       = 530_000
	// Growth is how many times as much the next drop may allocate where 100,000 came before it. Calls may not grow.
	Growth = 1.1
)

// What a tick may have on the heap at a time, of the 512 MiB of a function.
const (
	// TickHeap is for 100,000 active jobs: what a tick keeps of the backend's list. 82 to 88 MiB were seen.
	TickHeap = 96 << 20
	// WaitingHeap is for 100,000 drops that wait and are not due: a tick keeps no more than a page of the index. 20 MiB
	// were seen; the collector's pace makes the difference.
	WaitingHeap = 40 << 20
	// WaitingPerTick is how many drops a tick comes to, at least, if 100,000 are due and a call takes 50 ms: each takes
	// ten calls in a row, and eight drops are visited at once in 60 % of seven minutes.
	WaitingPerTick = 4000
)

// The functions' binary, without symbols, in bytes. A cold start loads it.
const (
	// DeployedBinary is for linux/amd64 as it is deployed: CGO_ENABLED=0, -trimpath. 29.8 MB were seen, 2.7 of them for
	// Notify (expressions and mail take 1.8), and 0.2 for Vertex AI's options and budgets, with their messages.
	DeployedBinary = 29_950_000
	// LocalBinary is for the build of this machine, whose packages other tests have compiled already. cgo and the full
	// paths of the sources take 0.16 MB more.
	LocalBinary = 30_100_000
)
