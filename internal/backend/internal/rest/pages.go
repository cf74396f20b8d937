package rest

import "github.com/jobdrop/jobdrop/pkg/job"

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// ruleBackendRefused: the backend refused the job for good, and said why of this field.
	//
	// Source: the backend's answer, google.rpc.BadRequest.
	//
	// For example: a machine type that the region does not have; correct the field, and upload the job
	// file again.
	ruleBackendRefused job.Rule = "backend-refused"
)
