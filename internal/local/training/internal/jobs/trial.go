package jobs

import (
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/study"
)

// Trial is one run of a tuning job's replicas as it is kept on disk. Its maps
// and slices are replaced, never changed: readers hold them without mu.
type Trial struct {
	ID         string             `json:"id"` // counts from 1
	State      State              `json:"state"`
	Parameters []study.Value      `json:"parameters,omitempty"` // in the order of the spec's params
	Final      *study.Measurement `json:"final,omitempty"`
	// All are of the metric that is tuned, as reported; the newest, where there are many.
	All       []study.Measurement `json:"all,omitempty"`
	StartTime time.Time           `json:"startTime,omitzero"`
	EndTime   time.Time           `json:"endTime,omitzero"`
	Stopped   bool                `json:"stopped,omitempty"` // early
	Error     string              `json:"error,omitempty"`   // why it failed
}

// HasResult reports whether the trial has a result.
func (t *Trial) HasResult() bool { return t.State == Succeeded && t.Final != nil }
