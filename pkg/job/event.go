package job

import (
	"strings"
	"time"
)

// EventType names a lifecycle event, as it stands in the CloudEvent's type.
type EventType string

// Short returns the type without what all types share, e.g. job.submitted.
func (t EventType) Short() string {
	return strings.TrimSuffix(strings.TrimPrefix(string(t), "dev.jobdrop."), ".v1")
}

// The lifecycle events.
const (
	DropIncomplete EventType = "dev.jobdrop.drop.incomplete.v1"
	DropRejected   EventType = "dev.jobdrop.drop.rejected.v1"
	DropWithdrawn  EventType = "dev.jobdrop.drop.withdrawn.v1" // #nosec G101 -- the name of an event
	DropExpired    EventType = "dev.jobdrop.drop.expired.v1"
	DropAccepted   EventType = "dev.jobdrop.drop.accepted.v1"
	JobSubmitted   EventType = "dev.jobdrop.job.submitted.v1"
	JobQueued      EventType = "dev.jobdrop.job.queued.v1"
	JobPreparing   EventType = "dev.jobdrop.job.preparing.v1"
	JobRunning     EventType = "dev.jobdrop.job.running.v1"
	JobDelayed     EventType = "dev.jobdrop.job.delayed.v1"
	JobSucceeded   EventType = "dev.jobdrop.job.succeeded.v1"
	JobFailed      EventType = "dev.jobdrop.job.failed.v1"
	JobCancelled   EventType = "dev.jobdrop.job.cancelled.v1"
	JobTimedOut    EventType = "dev.jobdrop.job.timed_out.v1"
	JobLost        EventType = "dev.jobdrop.job.lost.v1"
)

// Event is a lifecycle event in the outbox of a record.
type Event struct {
	Type EventType `json:"type"`
	Time time.Time `json:"time"`
	Body Snapshot  `json:"body"`
	// Traceparent is that of the upload, if it was traced.
	Traceparent string `json:"traceparent,omitempty"`
}
