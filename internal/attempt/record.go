package attempt

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// RecordVersion is the form of the records that this code writes. A revision
// refuses to rewrite a newer one's record: it would drop what it does not know.
// Form 2 added the queue and the tries, form 3 the patience and the warnings,
// form 4 the mapping and the trials, form 5 that lists were shortened. Form 6 calls
// a backend what was called a trainer before.
const RecordVersion = 6

// backendVersion is the form from which on records say backend.
const backendVersion = 6

// Record is all that jobdrop knows of an attempt, from first sight to verdict.
// It changes by [Step] only.
type Record struct {
	RecordVersion int `json:"recordVersion"`
	// Revision counts the changes of the record.
	Revision int64 `json:"revision"`
	// Writer is the mark of whoever wrote this revision: after a lost answer
	// it tells one's own write from another's.
	Writer string `json:"writer,omitempty"`
	// Sequence is the number of the last event, from 1.
	Sequence int64       `json:"sequence"`
	Outbox   []job.Event `json:"outbox,omitempty"`
	// Told lists the event types that are said at most once.
	Told []job.EventType `json:"told,omitempty"`

	Attempt string    `json:"attempt"`
	State   job.State `json:"state"`
	// Reason says in words what the attempt waits for or why it ended.
	Reason     string          `json:"reason,omitempty"`
	Drop       job.DropInfo    `json:"drop"`
	Violations []job.Violation `json:"violations,omitempty"`
	// Truncated reports that a list of the record was shortened.
	Truncated     bool   `json:"truncated,omitempty"`
	CorrelationID string `json:"correlationId,omitempty"`
	Traceparent   string `json:"traceparent,omitempty"`

	// Replayed is when the drop was first looked at by a replay: patience with it
	// counts from then.
	Replayed time.Time `json:"replayed,omitzero"`

	// Spec is the resolved job: what the backend is asked to run, as Mapping
	// says.
	Spec    *job.Spec   `json:"spec,omitempty"`
	Mapping job.Mapping `json:"mapping,omitzero"`
	Backend string      `json:"backend,omitempty"`
	Job     job.JobInfo `json:"job,omitzero"`
	Notify  []string    `json:"notify,omitempty"`

	Times     job.Times     `json:"times"`
	Deadlines job.Deadlines `json:"deadlines,omitzero"`
	Timeout   *job.Timeout  `json:"timeout,omitempty"`
	Error     *job.Failure  `json:"error,omitempty"`
	Links     job.Links     `json:"links,omitzero"`

	// Creating is the claim on the call that creates the job.
	Creating *Claim `json:"creating,omitempty"`
	// Claims is when claims were held.
	Claims Claims `json:"claims,omitzero"`
	// UnknownUntil is set where a create was asked for and its outcome never
	// learnt: a job may be there, and until then it may still appear.
	UnknownUntil time.Time `json:"unknownUntil,omitzero"`
	// Queued tells that an accepted attempt waits for its turn: for the
	// operator's pause or limits, or for the backend's quota. Reason says which.
	Queued bool `json:"queued,omitempty"`
	// SubmitWithin is how long the backend is asked for the job, as text in
	// seconds; empty is for ever.
	SubmitWithin string `json:"submitWithin,omitempty"`
	// SubmitLeft is what was left of it when the attempt came to wait for the
	// operator: that time does not count.
	SubmitLeft string `json:"submitLeft,omitempty"`
	// Turn tells that the attempt had its turn under a limit on jobs.
	Turn bool `json:"turn,omitempty"`
	// Tries counts the times that the backend was asked in vain; NextTry is
	// when it may be asked again.
	Tries   int       `json:"tries,omitempty"`
	NextTry time.Time `json:"nextTry,omitzero"`
	// Patience is the operator's with the job, as it was when the attempt was
	// accepted.
	Patience Patience `json:"patience,omitzero"`
	// Changed is when the backend's state was first seen to be what it is.
	Changed time.Time `json:"changed,omitzero"`
	// Warned are the limits that were told to be near, and the states that the
	// job was told to be stuck in; Delay is the latest of it.
	Warned []string   `json:"warned,omitempty"`
	Delay  *job.Delay `json:"delay,omitempty"`
	// Began is when what the limit that holds counts from was first seen: that
	// the job was there, or that it ran. Cancelling is when it was first seen to
	// be cancelled. Both are jobdrop's times.
	Began      time.Time `json:"began,omitzero"`
	Cancelling time.Time `json:"cancelling,omitzero"`
	// CancelRequested says that jobdrop itself asked for a cancel, and why.
	CancelRequested *CancelRequest `json:"cancelRequested,omitempty"`
	// Absent counts direct looks that found no job, since Since.
	Absent *Absence `json:"absent,omitempty"`
}

// UnmarshalJSON reads a record, those of earlier forms among them.
func (r *Record) UnmarshalJSON(data []byte) error {
	type plain Record
	if err := json.Unmarshal(data, (*plain)(r)); err != nil || r.RecordVersion >= backendVersion {
		return err
	}
	type body struct {
		Job struct {
			Trainer string `json:"trainer"`
		} `json:"job"`
	}
	var before struct {
		body
		Trainer string `json:"trainer"`
		Outbox  []struct {
			Body body `json:"body"`
		} `json:"outbox"`
	}
	if err := json.Unmarshal(data, &before); err != nil {
		return err
	}
	r.Backend, r.Job.Backend = before.Trainer, before.Job.Trainer
	rename(r.Timeout)
	for i := range r.Outbox {
		b := &r.Outbox[i].Body
		b.Job.Backend = before.Outbox[i].Body.Job.Trainer
		rename(b.Timeout)
	}
	return nil
}

// rename puts today's word for who enforced a limit into a timeout of an earlier form.
func rename(t *job.Timeout) {
	if t != nil && t.EnforcedBy == "trainer" {
		t.EnforcedBy = job.ByBackend
	}
}

// Claim is the right to create an attempt's job, for a time.
type Claim struct {
	Owner string    `json:"owner"`
	Until time.Time `json:"until"`
	Nonce string    `json:"nonce"`
}

// Claims is when creates of an attempt may have been asked for: First is when the
// first claim was taken, Last is when the last one ends. Both are zero in records of
// earlier versions.
type Claims struct {
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// Order is what the backend is asked for.
func (r Record) Order() job.Order { return job.Order{Spec: *r.Spec, Mapping: r.Mapping} }

// CancelRequest is written before the backend is asked to cancel.
type CancelRequest struct {
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
}

// Absence counts direct looks at the backend that found no job. Last is when the
// last of them was; Indexed that the index tells of them: else the job may have been
// there in between, and nobody looked.
type Absence struct {
	Looks   int       `json:"looks"`
	Since   time.Time `json:"since"`
	Last    time.Time `json:"last,omitzero"`
	Indexed bool      `json:"indexed,omitempty"`
}

// Patience is for how long a job may be in each state before that is reported,
// and how long after its limit jobdrop cancels a job that the backend has not.
// All are texts in seconds; an empty one of a state is for ever.
type Patience struct {
	Queued     string `json:"queued,omitempty"`
	Preparing  string `json:"preparing,omitempty"`
	Running    string `json:"running,omitempty"`
	Cancelling string `json:"cancelling,omitempty"`
	Grace      string `json:"grace,omitempty"`
	// WaitGrace is the grace after the limit on the wait, where it is another:
	// a backend that does not know that limit is not waited for.
	WaitGrace string `json:"waitGrace,omitempty"`
}

// defaultGrace is longer than clocks differ, and than the backend takes to end a
// job by itself.
const defaultGrace = 15 * time.Minute

// grace is how long after a limit of the kind jobdrop cancels.
func (p Patience) grace(kind string) time.Duration {
	text := p.Grace
	if kind == job.KindWait {
		text = cmp.Or(p.WaitGrace, text)
	}
	d, err := job.ParseDuration(text)
	if err != nil {
		return defaultGrace
	}
	return d
}

// in gives the patience with a state; 0 is for ever.
func (p Patience) in(s job.BackendState) time.Duration {
	text := ""
	switch s {
	case job.BackendQueued:
		text = p.Queued
	case job.BackendPreparing:
		text = p.Preparing
	case job.BackendRunning:
		text = p.Running
	case job.BackendCancelling:
		text = p.Cancelling
	}
	d, _ := job.ParseDuration(text) // checked when the attempt was accepted
	return d
}

// Snapshot returns what the record tells others, within its bounds.
func (r Record) Snapshot() job.Snapshot {
	return job.Snapshot{
		Attempt: r.Attempt, Sequence: r.Sequence, State: r.State, Reason: r.Reason,
		Job: r.Job, Drop: r.Drop, Times: r.Times, Deadlines: r.Deadlines,
		Timeout: r.Timeout, Delay: r.Delay, Error: r.Error, Violations: r.Violations,
		Links: r.Links, CorrelationID: r.CorrelationID, Truncated: r.Truncated,
	}.Bounded()
}
