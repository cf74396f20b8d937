package policy

import "embed"

//go:generate go test -count=1 -run ^TestSchema$ -update .

//go:embed policy.schema.json
var schema embed.FS

// Schema returns the JSON Schema (2020-12) of policy files, by which editors
// complete and mark them. It knows the shape of each value; what depends on
// others is for [Parse]. A policy file names it in its first line:
//
//	# yaml-language-server: $schema=https://raw.githubusercontent.com/jobdrop/jobdrop/main/internal/check/policy/policy.schema.json
func Schema() ([]byte, error) { return schema.ReadFile("policy.schema.json") }
