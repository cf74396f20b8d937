package routes

import "embed"

//go:generate go test -count=1 -run ^TestSchema$ -update .

//go:embed routes.schema.json
var schema embed.FS

// Schema returns the JSON Schema (2020-12) of routes files, by which editors complete and mark them. It knows the
// shape of each value; what depends on others is for [Parse]. A routes file names it in its first line:
//
//	# yaml-language-server: $schema=https://raw.githubusercontent.com/jobdrop/jobdrop/main/internal/check/routes/routes.schema.json
func Schema() ([]byte, error) { return schema.ReadFile("routes.schema.json") }
