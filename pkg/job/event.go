package job

import "time"

// EventType names a lifecycle event, as it stands in the CloudEvent's type.
type EventType string

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

// Snapshot is the body of a lifecycle event and of status.json: everything
// that subscribers are told of an attempt, never a difference to an earlier
// one.
type Snapshot struct {
	Attempt  string `json:"attempt"`
	Sequence int64  `json:"sequence"`
	State    State  `json:"state"`
	// Reason says in words what the attempt waits for or why it ended.
	Reason    string    `json:"reason,omitempty"`
	Job       JobInfo   `json:"job,omitzero"`
	Drop      DropInfo  `json:"drop"`
	Times     Times     `json:"times"`
	Deadlines Deadlines `json:"deadlines,omitzero"`
	Timeout   *Timeout  `json:"timeout,omitempty"`
	// Delay is set while a job takes longer than it should.
	Delay         *Delay      `json:"delay,omitempty"`
	Error         *Failure    `json:"error,omitempty"`
	Violations    []Violation `json:"violations,omitempty"`
	Links         Links       `json:"links,omitzero"`
	CorrelationID string      `json:"correlationId,omitempty"`
	// Truncated reports that a list was shortened: the body would be too large.
	Truncated bool `json:"truncated,omitempty"`
}

// Snapshot returns what the record tells others, within its bounds.
func (r Record) Snapshot() Snapshot {
	return Snapshot{
		Attempt: r.Attempt, Sequence: r.Sequence, State: r.State, Reason: r.Reason,
		Job: r.Job, Drop: r.Drop, Times: r.Times, Deadlines: r.Deadlines,
		Timeout: r.Timeout, Delay: r.Delay, Error: r.Error, Violations: r.Violations,
		Links: r.Links, CorrelationID: r.CorrelationID, Truncated: r.Truncated,
	}.Bounded()
}
