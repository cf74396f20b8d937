package attempt

import (
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// AnyGeneration as the condition of a write means that whatever is there may be
// overwritten; 0 means that nothing may be there yet.
const AnyGeneration int64 = -1

// Stored is a record with its place in the ledger.
type Stored struct {
	Record
	// Generation is that at which the record was read or written; zero
	// means that it is not in the ledger yet.
	Generation int64
	// Published is the sequence number of the last event that is known to
	// be published.
	Published int64
}

// Entry is what the ledger's index tells of an attempt without reading its
// record. It is a hint: the record is the truth.
type Entry struct {
	Attempt string
	// Bucket is where the attempt's drop lies, JobFile the name of its job
	// file.
	Bucket, JobFile string
	State           job.State
	BackendState    job.BackendState
	JobID           string
	// Resource is the backend's own name of the job.
	Resource string
	// Waits says what an accepted attempt waits for in the queue; empty where
	// it is not there.
	Waits string
	// Doubtful tells that a create of unknown outcome was asked for.
	Doubtful bool
	// Replayed tells that a replay made the attempt, however old its job file is.
	Replayed bool
	// Absent tells that the last direct look found no job.
	Absent bool
	// Accepted and Created are when the attempt was accepted and its job
	// created, SubmitBy is when the backend is no longer asked; zero where that
	// did not happen yet.
	Accepted, Created, SubmitBy time.Time
	// Due is when the attempt needs a look though nothing happens.
	Due time.Time
	// Published is the sequence number of the last event published, Sequence
	// that of the last event written.
	Published, Sequence int64
	// Revision is that of the record of which everything was told; 0 where
	// something is left to tell.
	Revision int64
	// Status holds the generations of the attempt's status objects.
	Status [2]int64
}

// NewEntry gives the index entry of a record.
func NewEntry(s Stored) Entry {
	e := Entry{
		Attempt: s.Attempt, Bucket: s.Drop.Bucket, JobFile: s.Drop.JobFile.Name,
		State: s.State, BackendState: s.Job.State, JobID: s.Job.ID, Resource: s.Job.ResourceName,
		Accepted: s.Times.Accepted, Created: s.Times.Created, SubmitBy: s.Deadlines.Submit,
		Due: s.Due(), Published: s.Published, Sequence: s.Sequence, Revision: s.Revision,
	}
	if s.Queued {
		e.Waits = s.Reason
	}
	e.Replayed = !s.Replayed.IsZero()
	e.Absent = s.State == job.Submitted && s.Absent != nil
	e.Doubtful = s.State == job.Accepted && !s.UnknownUntil.IsZero()
	return e
}

// Turn is the leave that was given to one attempt of a folder with a limit on
// jobs.
type Turn struct {
	Attempt string    `json:"attempt"`
	Folder  string    `json:"folder"`
	At      time.Time `json:"at"`
	// Done tells that the attempt has its verdict, and At is when its job was
	// created.
	Done bool `json:"done,omitempty"`
}

// Turns are those that were given, in their order: of attempts that have no
// verdict yet, and of the last hour.
type Turns struct {
	Given []Turn `json:"given"`
	// Generation is that of the ledger's note; 0 where there is none.
	Generation int64 `json:"-"`
}

// Told tells whether, as far as the index knows, nothing is left to tell of the
// attempt.
func (e Entry) Told() bool { return e.Revision > 0 && e.Published == e.Sequence }

// Filed is what a list of the records tells of one without reading it.
type Filed struct {
	Attempt string
	// State and Revision are the record's; empty and 0 of one that does not
	// say.
	State    job.State
	Revision int64
	// Written is when this revision was.
	Written time.Time
}

// Cursor is where a scan stands that goes on from tick to tick.
type Cursor struct {
	// After is the last name of the round that was looked at; empty at the
	// begin of a round.
	After string `json:"after,omitempty"`
	// Began is when the round began, Before when the one before did.
	Began  time.Time `json:"began,omitzero"`
	Before time.Time `json:"before,omitzero"`
	// Last is when the last round began, also where it failed.
	Last time.Time `json:"last,omitzero"`
	// Failed tells that the round left something undone.
	Failed bool `json:"failed,omitempty"`
}

// Begin begins a round where none is under way.
func (c *Cursor) Begin(now time.Time) {
	if c.After == "" {
		c.Began, c.Failed = now.UTC(), false
	}
}

// End ends the round. What a round that failed left undone counts as not looked
// at: the next one begins where it began.
func (c *Cursor) End() {
	if c.Last = c.Began; !c.Failed {
		c.Before = c.Began
	}
	c.After = ""
}

// Cursors are those of all scans.
type Cursors struct {
	// Open is of the index, Records of the records, Inbox of the drops.
	Open    Cursor `json:"open,omitzero"`
	Records Cursor `json:"records,omitzero"`
	Inbox   Cursor `json:"inbox,omitzero"`
	// Jobs is of the backend's list: After is where it goes on, in the backend's
	// own words.
	Jobs Cursor `json:"jobs,omitzero"`
	// Ticks counts the ticks. Undecided and Submitted are how many attempts
	// without a decision, and with a job, the last whole round came to.
	Ticks     int `json:"ticks"`
	Undecided int `json:"undecided"`
	Submitted int `json:"submitted,omitempty"`
	// Generation is that of the ledger's note; 0 where there is none.
	Generation int64 `json:"-"`
}

// Owner says which attempt owns a job ID.
type Owner struct {
	Attempt string `json:"attempt"`
	// Generation is that of the ledger's note.
	Generation int64 `json:"-"`
}
