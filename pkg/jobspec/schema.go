package jobspec

import (
	"bytes"
	_ "embed"
)

//go:generate go test -count=1 -run ^TestSchema$ -update .

//go:embed job.schema.json
var schema []byte

// Schema returns the JSON Schema (2020-12) of job files. Editors complete and mark
// job files with it. It covers the shape of each value; [File.Check] covers what
// depends on other fields.
func Schema() []byte { return bytes.Clone(schema) }
