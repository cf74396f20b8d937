package plan

import (
	"fmt"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Action is what becomes of a field that a backend can't be given as it stands.
type Action string

// The actions.
const (
	// Replaced: the backend gets something else in its place.
	Replaced Action = "replaced"
	// Dropped: the backend does not learn of it.
	Dropped Action = "dropped"
	// Doubtful: the trainer gets it, and may not be able to do it.
	Doubtful Action = "doubtful"
	// Unmappable: the job can't run there.
	Unmappable Action = "refused"
)

// Diagnostic describes one difference between a job file and what its backend can be
// asked for.
type Diagnostic struct {
	// Field is the path in the job file.
	Field  string `json:"field"`
	Action Action `json:"action"`
	// Why says what differs, Remedy what to do about it.
	Why    string `json:"why"`
	Remedy string `json:"remedy,omitempty"`
}

// Violation returns the diagnostic as a violation, without its place. If strict is
// set, what is replaced or dropped is an error.
func (d Diagnostic) Violation(strict bool) job.Violation {
	v := job.Violation{
		Rule:     ruleBackendMapping,
		Severity: job.Warning,
		Field:    d.Field,
		Message:  string(d.Action) + ": " + d.Why,
		Remedy:   d.Remedy,
	}
	if d.Action == Unmappable || strict && d.Action != Doubtful {
		v.Severity = job.Error
	}
	return v
}

// String returns the diagnostic in one line.
func (d Diagnostic) String() string {
	text := fmt.Sprintf("%s: %s: %s", d.Field, d.Action, d.Why)
	if d.Remedy != "" {
		text += "; " + d.Remedy
	}
	return text
}
