package ml

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

// parseFilter reads the filter of jobs.list:
//
//	filter = [ or ]
//	or     = and { "OR" and }
//	and    = not { "AND" not }
//	not    = "NOT" not | "(" or ")" | field op value
//	field  = "jobId" | "state" | "labels." key
//	op     = ":" | "=" | "!="
//
// ":" takes * for any text, "=" and "!=" compare literally, labels.key:* asks
// whether the label is there. AND and OR side by side need parentheses: Google's
// own filters differ on which binds closer.
func parseFilter(text string) (rest.Predicate[*jobs.Record], error) {
	return rest.ParseFilter(text, filterTerm)
}

// filterTerm reads a comparison of jobs.list.
func filterTerm(field, op, value string, quoted bool) (rest.Predicate[*jobs.Record], error) {
	if op != ":" && op != "=" && op != "!=" {
		return nil, fmt.Errorf(":, = or != expected after %q", field)
	}
	get, err := filterField(field)
	if err == nil && field == "state" && !strings.Contains(value, "*") &&
		!slices.Contains(jobs.States, jobs.State(value)) {
		err = fmt.Errorf("%q is not a state", value)
	}
	if err != nil {
		return nil, err
	}
	test := func(v string) bool { return v == value }
	switch {
	case op == "!=":
		return func(j *jobs.Record) bool { v, _ := get(j); return v != value }, nil
	case op == ":" && !quoted:
		test = func(v string) bool { return rest.MatchStars(value, v) }
	}
	return func(j *jobs.Record) bool { v, ok := get(j); return ok && test(v) }, nil
}

// filterField returns a job's value of a field, and whether it has one.
func filterField(name string) (func(*jobs.Record) (string, bool), error) {
	if key, ok := strings.CutPrefix(name, "labels."); ok && key != "" {
		return func(j *jobs.Record) (string, bool) { v, ok := j.Job.Labels[key]; return v, ok }, nil
	}
	switch name {
	case "jobId", "job_id":
		return func(j *jobs.Record) (string, bool) { return j.Job.JobID, true }, nil
	case "state":
		return func(j *jobs.Record) (string, bool) { return string(j.Job.State), true }, nil
	case "labels":
		return nil, errors.New("labels need a key: labels.key")
	}
	return nil, fmt.Errorf("jobs can't be filtered by %q, only by jobId, state and labels.key", name)
}
