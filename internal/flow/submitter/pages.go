package submitter

import "github.com/jobdrop/jobdrop/pkg/job"

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// ruleJobIDUnique: another job at the backend already has this ID. jobdrop neither takes that job
	// for its own, nor makes up another ID.
	//
	// Source: reference, jobId: "must be unique within a project".
	//
	// For example: a jobId that a job of the project had before; choose another, or leave it out:
	// jobdrop then makes one for each attempt.
	ruleJobIDUnique job.Rule = "job-id-unique"

	// rulePolicyBudgetSpent: fewer accelerator hours are left of the operator's budget for this month than
	// the job may take, and the policy refuses such drops instead of letting them wait.
	//
	// Source: the operator's policy, limits.acceleratorHours with over: refuse; docs/policy.md.
	//
	// For example: a job with four GPUs and a maxRunningTime of 86400s, where 50 of 2000 hours are left; drop
	// it again when jobs have given hours back, or in the next month.
	rulePolicyBudgetSpent job.Rule = "policy-budget-spent"
)
