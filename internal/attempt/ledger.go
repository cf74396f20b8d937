package attempt

import (
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// AnyGeneration as the condition of a write allows it to overwrite whatever is there. 0 allows
// it only if nothing is there.
const AnyGeneration int64 = -1

// Stored is a record with its place in the ledger.
type Stored struct {
	Record
	// Generation is that at which the record was read or written; 0 if it is not in the ledger
	// yet.
	Generation int64
	// Published is the sequence number of the last event that is known to be published.
	Published int64
	// Own reports that this worker wrote the record as it is, so publishing its events is up to it.
	Own bool
}

// tellTime is how long a worker may take from the write of an event until the index says that it
// is published. In between lie a create at the backend, unless it is slow, the publish and the status
// objects. It is shorter than the pause before an event is delivered again, and than that between two
// ticks.
const tellTime = 10 * time.Second

// Fresh reports whether this worker wrote the record, and all its unpublished events so lately that
// nobody else publishes them. After a create that took long it is false: a tick may have published the
// acceptance meanwhile.
func (s Stored) Fresh(now time.Time) bool {
	events := s.TrimOutbox(s.Published).Outbox
	return s.Own && (len(events) == 0 || now.Before(events[0].Time.Add(tellTime)))
}

// TellingElsewhere reports whether another worker wrote events of the record a moment ago, and the
// index does not show them as published yet. That worker publishes them, unless it has died: who
// publishes them, too, does so a second time.
func (s Stored) TellingElsewhere(now time.Time) bool {
	if s.Own || s.Published >= s.Sequence || len(s.Outbox) == 0 {
		return false
	}
	return now.Before(s.Outbox[len(s.Outbox)-1].Time.Add(tellTime))
}

// Entry is what the ledger's index knows of an attempt without reading its record. It is a hint:
// the record is the truth.
type Entry struct {
	Attempt string
	// Bucket is the bucket of the attempt's drop. JobFile is the name of its job file.
	Bucket, JobFile string
	State           job.State
	BackendState    job.BackendState
	JobID           string
	// Shown is the state that events show, and CorrelationID the uploader's own. Dropped is when the job
	// file was uploaded, to the millisecond. Entries of earlier revisions have none of them.
	Shown         job.State
	CorrelationID string
	Dropped       time.Time
	// Resource is the backend's own name of the job.
	Resource string
	// Waits says what an accepted attempt waits for in the queue; empty if it is not queued.
	Waits string
	// Needs is what the job of a queued attempt may take at most, in seconds of one accelerator; [UnknownNeeds] if an
	// earlier revision accepted it.
	Needs int64
	// CreateUnknown reports that a create was asked for and its outcome is unknown.
	CreateUnknown bool
	// Replayed reports that a replay made the attempt, however old its job file is.
	Replayed bool
	// Absent reports that the last poll found no job.
	Absent bool
	// Accepted and Created are when the attempt was accepted and its job created; zero before
	// that. SubmitBy is when jobdrop stops asking the backend for the job; zero if it has no such
	// time.
	Accepted, Created, SubmitBy time.Time
	// Due is when the attempt needs a look even if nothing happens.
	Due time.Time
	// Published is the sequence number of the last event published, Sequence that of the last
	// event written.
	Published, Sequence int64
	// Revision is the record's revision whose events are all published and written as status; 0 if
	// some are left.
	Revision int64
	// Status holds the generations of the attempt's status objects.
	Status [2]int64
	// Opened is set until the entry is first rewritten. Written is when it was written; it is known of one
	// that was read.
	Opened  Opened
	Written time.Time
}

// UnknownNeeds is what a job needs that nobody has computed.
const UnknownNeeds = -1

// Opened says on account of what an entry was made.
type Opened struct {
	// Parts stands for the parts of the drop that its writer saw. By names the process of the writer.
	Parts, By string
}

// decideTime is for how long an event leaves a drop to the process that has put it on the index. An
// inspection takes less, unless packages are large, and an event that failed comes again later.
const decideTime = 8 * time.Second

// DecidedElsewhere reports whether another process than own's has just begun to decide upon the attempt, and saw
// the same parts.
func (e Entry) DecidedElsewhere(own Opened, now time.Time) bool {
	return e.Opened.Parts == own.Parts && e.Opened.By != own.By && now.Before(e.Written.Add(decideTime))
}

// NewEntry returns the index entry of a record.
func NewEntry(s Stored) Entry {
	e := Entry{
		Attempt: s.Attempt, Bucket: s.Drop.Bucket, JobFile: s.Drop.JobFile.Name,
		State: s.State, BackendState: s.Job.State, JobID: s.Job.ID, Resource: s.Job.ResourceName,
		Accepted: s.Times.Accepted, Created: s.Times.Created, SubmitBy: s.Deadlines.Submit,
		Due: s.Due(), Published: s.Published, Sequence: s.Sequence, Revision: s.Revision,
		Shown: s.Shown(), CorrelationID: s.CorrelationID, Dropped: s.dropped(),
	}
	if s.Queued {
		e.Waits, e.Needs = s.Reason, UnknownNeeds
		if s.AcceleratorSeconds != nil {
			e.Needs = *s.AcceleratorSeconds
		}
	}
	e.Replayed = !s.Replayed.IsZero()
	e.Absent = s.State == job.Submitted && s.Absent != nil
	e.CreateUnknown = s.State == job.Accepted && s.CreateUnknown()
	return e
}

// Turn is the permission to create a job, given to one attempt of a folder that has a limit on
// jobs.
type Turn struct {
	Attempt string    `json:"attempt"`
	Folder  string    `json:"folder"`
	At      time.Time `json:"at"`
	// Done reports that the attempt has its verdict. At is then the time its job was created.
	Done bool `json:"done,omitempty"`
	// Month is that in which the turn was given, if it counts towards a limit on accelerator hours. Seconds are those of
	// one accelerator: reserved for the most that the job may take, and once the turn is done what it used. Settled is
	// when a tick found that.
	Month   string    `json:"month,omitempty"`
	Seconds int64     `json:"seconds,omitempty"`
	Settled time.Time `json:"settled,omitzero"`
}

// TurnsVersion is the form of the note of the turns that this code writes. Form 1 added the months and the sums of budgets;
// earlier notes have no number. A revision does not rewrite a newer revision's note, since it would drop what it does
// not know.
const TurnsVersion = 1

// Turns holds the turns in the order in which they were given: those of attempts without a
// verdict, those of the last hour, and the last one of each prefix while somebody waits who waited before it.
type Turns struct {
	// Version is the note's form.
	Version int    `json:"version,omitempty"`
	Given   []Turn `json:"given"`
	// Spent holds what turns used of budgets that are no longer among Given.
	Spent []Spent `json:"spent,omitempty"`
	// Generation is that of the ledger's note; 0 if there is none.
	Generation int64 `json:"-"`
}

// Told reports whether, as far as the index knows, no event of the attempt is left to publish.
func (e Entry) Told() bool { return e.Revision > 0 && e.Published == e.Sequence }

// Filed is what a list of the records shows of one without reading it. What the list does not show is
// empty.
type Filed struct {
	Summary
	// Revision is the record's.
	Revision int64
	// Written is when this revision was written.
	Written time.Time
}

// Cursor is the position of a scan that takes several ticks. A round is one pass over everything.
type Cursor struct {
	// After is the last name that this round visited; empty at the start of a round.
	After string `json:"after,omitempty"`
	// Began is when the round began. Before is when the last round without failures began.
	Began  time.Time `json:"began,omitzero"`
	Before time.Time `json:"before,omitzero"`
	// Last is when the last round began, even if it failed.
	Last time.Time `json:"last,omitzero"`
	// Seen is the last name that was looked at, if that is beyond After: what is up to it is listed
	// again, since a folder goes on behind it, and was reported.
	Seen string `json:"seen,omitempty"`
	// Failed reports that the round left something undone.
	Failed bool `json:"failed,omitempty"`
}

// Begin starts a round if none is under way.
func (c *Cursor) Begin(now time.Time) {
	if c.After == "" {
		c.Began, c.Failed = now.UTC(), false
	}
}

// End ends the round. If it failed, Before stays as it is, so the next round starts from the same
// time.
func (c *Cursor) End() {
	if c.Last = c.Began; !c.Failed {
		c.Before = c.Began
	}
	c.After = ""
}

// RequestCursor is the position in the requests, which are read a page in each tick.
type RequestCursor struct {
	// After is the last name of the page before; empty at the start of a round.
	After string `json:"after,omitempty"`
	// Rounds counts the rounds that ended. Each begins with others of a page's requests.
	Rounds int `json:"rounds,omitempty"`
	// First is a request whose time was cut short. It goes first in the next tick.
	First string `json:"first,omitempty"`
}

// Cursors holds the cursors of all scans.
type Cursors struct {
	// Open is the cursor of the index, Records that of the records, Inbox that of the drops.
	Open    Cursor `json:"open,omitzero"`
	Records Cursor `json:"records,omitzero"`
	Inbox   Cursor `json:"inbox,omitzero"`
	// Requests is the cursor of the requests.
	Requests RequestCursor `json:"requests,omitzero"`
	// Jobs is the cursor of the backend's list. Its After is the backend's own page token.
	Jobs Cursor `json:"jobs,omitzero"`
	// Queue says which note of the queue was written last.
	Queue QueueNote `json:"queue,omitzero"`
	// Ticks counts the ticks. Undecided and Submitted are how many attempts without a decision,
	// and how many with a job, the last whole round visited.
	Ticks     int `json:"ticks"`
	Undecided int `json:"undecided"`
	Submitted int `json:"submitted,omitempty"`
	// Generation is that of the ledger's note; 0 if there is none.
	Generation int64 `json:"-"`
}

// Owner names the attempt that owns a job ID.
type Owner struct {
	Attempt string `json:"attempt"`
	// Generation is that of the ledger's note.
	Generation int64 `json:"-"`
}
