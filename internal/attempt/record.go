package attempt

import (
	"encoding/json"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// RecordVersion is the form of the records that this code writes. A revision refuses to rewrite a
// newer revision's record, since it would drop the fields it does not know. Form 2 added the queue
// and the tries, form 3 the patience and the warnings, form 4 the mapping and the trials, form 5
// the mark of shortened lists. Form 6 renamed trainer to backend. Form 7 added the history, the
// uploader, the attempt that a duplicate repeats, who asked for a cancel, and reruns. Form 8 added
// the restarts.
const RecordVersion = 8

// backendVersion is the first form that says backend.
const backendVersion = 6

// Record holds all that jobdrop knows of an attempt, from first sight to verdict. Only [Step]
// changes it.
type Record struct {
	Version
	Events

	Attempt string `json:"attempt"`
	// State is submitted from then until the verdict; Job.State says more.
	State job.State `json:"state"`
	// Reason says in words what the attempt waits for, or why it ended.
	Reason     string          `json:"reason,omitempty"`
	Drop       job.DropInfo    `json:"drop"`
	Violations []job.Violation `json:"violations,omitempty"`
	// Truncated reports that a list of the record was shortened.
	Truncated     bool   `json:"truncated,omitempty"`
	CorrelationID string `json:"correlationId,omitempty"`
	Traceparent   string `json:"traceparent,omitempty"`
	// Uploader is what the job file's metadata say.
	Uploader job.Uploader `json:"uploader,omitzero"`
	// DuplicateOf is the attempt that this one repeats.
	DuplicateOf string `json:"duplicateOf,omitempty"`
	// Rerun is set if somebody's request made the attempt.
	Rerun *job.Rerun `json:"rerun,omitempty"`
	// RerunRequest is the name of that request: what follows requests/.
	RerunRequest string `json:"rerunRequest,omitempty"`

	// Replayed is when a replay first looked at the drop. The patience with the drop counts from
	// then.
	Replayed time.Time `json:"replayed,omitzero"`
	// NextCheck is set while the attempt waits because a check of its drop was cut off by its time.
	// It is when the drop is checked again.
	NextCheck time.Time `json:"nextCheck,omitzero"`

	// Spec is the resolved job: what the backend is asked to run, in the way that Mapping says.
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

	Creation
	// Patience is the operator's patience with the job, as it was when the attempt was accepted.
	Patience job.JobPatience `json:"patience,omitzero"`
	Progress
}

// The parts of a record are embedded, so their fields stand in its JSON side by side, in this order.

// Version says in which form a record is, and who wrote it.
type Version struct {
	RecordVersion int `json:"recordVersion"`
	// Revision counts the changes of the record.
	Revision int64 `json:"revision"`
	// Writer identifies who wrote this revision. After a lost answer it distinguishes one's own
	// write from another's.
	Writer string `json:"writer,omitempty"`
}

// Events holds the events of an attempt.
type Events struct {
	// Sequence is the number of the last event, from 1.
	Sequence int64       `json:"sequence"`
	Outbox   []job.Event `json:"outbox,omitempty"`
	// Told lists the event types that were emitted. Most are emitted at most once.
	Told []job.EventType `json:"told,omitempty"`
	// History holds the events in short. Events before form 7 are not in it.
	History []job.HistoryEntry `json:"history,omitempty"`
}

// Creation is how far the create of an accepted attempt's job has come.
type Creation struct {
	// Creating is the claim on the call that creates the job.
	Creating *Claim `json:"creating,omitempty"`
	// Claims records when claims were held.
	Claims Claims `json:"claims,omitzero"`
	// UnknownUntil is set if a create was asked for and its outcome was never learnt. A job may
	// exist, and until this time one may still appear.
	UnknownUntil time.Time `json:"unknownUntil,omitzero"`
	// Queued reports that an accepted attempt waits for its turn: for the operator's pause or
	// limits, or for the backend's quota. Reason says which.
	Queued bool `json:"queued,omitempty"`
	// SubmitWithin is how long the backend is asked for the job; 0 is without end.
	SubmitWithin job.Duration `json:"submitWithin,omitzero"`
	// SubmitLeft is what was left of SubmitWithin when the attempt began to wait for the operator.
	// The wait does not count.
	SubmitLeft *job.Duration `json:"submitLeft,omitempty"`
	// Turn reports that the attempt had its turn under a limit on jobs.
	Turn bool `json:"turn,omitempty"`
	// AcceleratorSeconds is what the job may take at most. It follows from Spec and Mapping, so that a revision that does
	// not know it may leave it out.
	AcceleratorSeconds *int64 `json:"acceleratorSeconds,omitempty"`
	// Tries counts the creates that failed. NextTry is when the backend may be asked again.
	Tries   int       `json:"tries,omitempty"`
	NextTry time.Time `json:"nextTry,omitzero"`
}

// Progress is how far a job has come, as jobdrop saw it.
type Progress struct {
	// Changed is when jobdrop first saw the backend's present state.
	Changed time.Time `json:"changed,omitzero"`
	// Warned lists the limits and the states that were warned about. Delay is the latest warning.
	Warned []string   `json:"warned,omitempty"`
	Delay  *job.Delay `json:"delay,omitempty"`
	// Began is when jobdrop first saw what the present limit counts from: that the job exists, or
	// that it runs. Cancelling is when jobdrop first saw the job being cancelled. Both are by
	// jobdrop's clock.
	Began      time.Time `json:"began,omitzero"`
	Cancelling time.Time `json:"cancelling,omitzero"`
	// CancelRequested is set before the backend is asked to cancel the job. It says why.
	CancelRequested *job.CancelRequest `json:"cancelRequested,omitempty"`
	// Request is the generation of the request that asked for the cancel; 0 if none did.
	Request int64 `json:"request,omitempty,string"`
	// Restarts says how often the job was seen to be started again.
	Restarts *job.Restarts `json:"restarts,omitempty"`
	// Absent counts the polls or searches in a row that found no job.
	Absent *Absence `json:"absent,omitempty"`
}

// UnmarshalJSON reads a record of this form or of an earlier one.
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

// rename replaces trainer by backend in a timeout of an earlier form.
func rename(t *job.Timeout) {
	if t != nil && t.EnforcedBy == "trainer" {
		t.EnforcedBy = job.ByBackend
	}
}

// Claim is the right to create an attempt's job, for a limited time.
type Claim struct {
	Owner string    `json:"owner"`
	Until time.Time `json:"until"`
	Nonce string    `json:"nonce"`
}

// Claims spans the time in which creates of an attempt may have been asked for. First is when the
// first claim was taken, Last is when the last one ends. Both are zero in records of earlier
// forms.
type Claims struct {
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// Order returns what the backend is asked for.
func (r Record) Order() job.Order { return job.Order{Spec: *r.Spec, Mapping: r.Mapping} }

// Absence counts the questions to the backend, in a row, that found no job: polls of a submitted
// one, searches for one that an earlier create may have made. Since is the time of the first, Last
// that of the last. Indexed reports that the index shows the absence. Without that, no tick
// comes back to the job, and it may have been there in between.
type Absence struct {
	Misses  int       `json:"looks"`
	Since   time.Time `json:"since"`
	Last    time.Time `json:"last,omitzero"`
	Indexed bool      `json:"indexed,omitempty"`
}

// Shown returns the state that events and messages show: of a job that is under way, how far it has come. A job
// that is being cancelled is what it was before.
func (r Record) Shown() job.State {
	if r.State != job.Submitted {
		return r.State
	}
	state := r.Job.State
	if state == job.BackendCancelling {
		state = r.Job.PreviousState
	}
	switch {
	case state == job.BackendRunning:
		return job.Running
	case state == job.BackendPreparing:
		return job.Preparing
	case r.told(job.JobQueued):
		return job.Queued
	}
	return job.Submitted
}

// Snapshot returns the part of the record that events show, within its bounds.
func (r Record) Snapshot() job.Snapshot {
	cancel := r.CancelRequested
	if cancel != nil && cancel.Kind == job.KindRestarts {
		cancel = nil // Restarts says so
	}
	return job.Snapshot{
		Attempt: r.Attempt, Sequence: r.Sequence, State: r.Shown(), Reason: r.Reason,
		Job: r.Job, Drop: r.Drop, Times: r.Times, Deadlines: r.Deadlines,
		Timeout: r.Timeout, Delay: r.Delay, Error: r.Error, Violations: r.Violations,
		Links: r.Links, CorrelationID: r.CorrelationID, Truncated: r.Truncated,
		History: r.History, Uploader: r.Uploader, Notify: r.Notify, DuplicateOf: r.DuplicateOf,
		CancelRequested: cancel, Rerun: r.Rerun, Restarts: r.Restarts,
	}.Bounded()
}
