package plan

import "github.com/jobdrop/jobdrop/pkg/job"

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// ruleBackendMapping: a field can't reach the backend as it stands: it is replaced, left out, or
	// makes the job impossible there. "jobdrop plan" shows all of these.
	//
	// Source: docs/vertex.md.
	//
	// For example: a job for Vertex AI with scaleTier STANDARD_1, whose machines are replaced; write
	// scaleTier: CUSTOM with machine types.
	ruleBackendMapping job.Rule = "backend-mapping"
)
