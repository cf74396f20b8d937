package jobspec

import (
	"bytes"
	_ "embed"
)

//go:generate go test -count=1 -run ^TestSchema$ -update .

//go:embed job.schema.json
var schema []byte

// Schema gives the JSON Schema (2020-12) of job files, by which editors complete
// and mark them. It knows the shape of each value; what depends on other fields
// is for [File.Check].
func Schema() []byte { return bytes.Clone(schema) }
