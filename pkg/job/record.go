package job

import (
	"cmp"
	"time"
)

// RecordVersion is the form of the records that this code writes. A revision
// refuses to rewrite a newer one's record: it would drop what it does not know.
// Form 2 added the queue and the tries, form 3 the patience and the warnings,
// form 4 the mapping and the trials, form 5 that lists were shortened.
const RecordVersion = 5

// State is where an attempt stands.
type State string

// The states of an attempt. After Submitted the trainer's own state, see
// [TrainerState], says more.
const (
	Waiting   State = "waiting"   // packages are missing
	Held      State = "held"      // complete, but its packages may be yesterday's
	Accepted  State = "accepted"  // checked and pinned; the trainer is to be asked
	Submitted State = "submitted" // the trainer has it

	Rejected  State = "rejected"
	Withdrawn State = "withdrawn"
	Expired   State = "expired"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	TimedOut  State = "timed_out"
	Lost      State = "lost"
)

// Undecided tells whether the attempt's folder still has to be looked at.
func (s State) Undecided() bool { return s == "" || s == Waiting || s == Held }

// Terminal tells whether the state is a verdict.
func (s State) Terminal() bool {
	switch s {
	case Rejected, Withdrawn, Expired, Succeeded, Failed, Cancelled, TimedOut, Lost:
		return true
	}
	return false
}

// TrainerState is the state of a job in the words of ml/v1.
type TrainerState string

// The states of ml/v1's Job.
const (
	TrainerQueued     TrainerState = "QUEUED"
	TrainerPreparing  TrainerState = "PREPARING"
	TrainerRunning    TrainerState = "RUNNING"
	TrainerSucceeded  TrainerState = "SUCCEEDED"
	TrainerFailed     TrainerState = "FAILED"
	TrainerCancelling TrainerState = "CANCELLING"
	TrainerCancelled  TrainerState = "CANCELLED"
)

// Ended tells whether a job in this state has stopped.
func (s TrainerState) Ended() bool {
	return s == TrainerSucceeded || s == TrainerFailed || s == TrainerCancelled
}

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
	Sequence int64   `json:"sequence"`
	Outbox   []Event `json:"outbox,omitempty"`
	// Told lists the event types that are said at most once.
	Told []EventType `json:"told,omitempty"`

	Attempt string `json:"attempt"`
	State   State  `json:"state"`
	// Reason says in words what the attempt waits for or why it ended.
	Reason     string      `json:"reason,omitempty"`
	Drop       DropInfo    `json:"drop"`
	Violations []Violation `json:"violations,omitempty"`
	// Truncated reports that a list of the record was shortened.
	Truncated     bool   `json:"truncated,omitempty"`
	CorrelationID string `json:"correlationId,omitempty"`
	Traceparent   string `json:"traceparent,omitempty"`

	// Replayed is when the drop was first looked at by a replay: patience with it
	// counts from then.
	Replayed time.Time `json:"replayed,omitzero"`

	// Spec is the resolved job: what the trainer is asked to run, as Mapping
	// says.
	Spec    *Spec    `json:"spec,omitempty"`
	Mapping Mapping  `json:"mapping,omitzero"`
	Trainer string   `json:"trainer,omitempty"`
	Job     JobInfo  `json:"job,omitzero"`
	Notify  []string `json:"notify,omitempty"`

	Times     Times     `json:"times"`
	Deadlines Deadlines `json:"deadlines,omitzero"`
	Timeout   *Timeout  `json:"timeout,omitempty"`
	Error     *Failure  `json:"error,omitempty"`
	Links     Links     `json:"links,omitzero"`

	// Creating is the claim on the call that creates the job.
	Creating *Claim `json:"creating,omitempty"`
	// Claims is when claims were held.
	Claims Claims `json:"claims,omitzero"`
	// UnknownUntil is set where a create was asked for and its outcome never
	// learnt: a job may be there, and until then it may still appear.
	UnknownUntil time.Time `json:"unknownUntil,omitzero"`
	// Queued tells that an accepted attempt waits for its turn: for the
	// operator's pause or limits, or for the trainer's quota. Reason says which.
	Queued bool `json:"queued,omitempty"`
	// SubmitWithin is how long the trainer is asked for the job, as text in
	// seconds; empty is for ever.
	SubmitWithin string `json:"submitWithin,omitempty"`
	// SubmitLeft is what was left of it when the attempt came to wait for the
	// operator: that time does not count.
	SubmitLeft string `json:"submitLeft,omitempty"`
	// Turn tells that the attempt had its turn under a limit on jobs.
	Turn bool `json:"turn,omitempty"`
	// Tries counts the times that the trainer was asked in vain; NextTry is
	// when it may be asked again.
	Tries   int       `json:"tries,omitempty"`
	NextTry time.Time `json:"nextTry,omitzero"`
	// Patience is the operator's with the job, as it was when the attempt was
	// accepted.
	Patience Patience `json:"patience,omitzero"`
	// Changed is when the trainer's state was first seen to be what it is.
	Changed time.Time `json:"changed,omitzero"`
	// Warned are the limits that were told to be near, and the states that the
	// job was told to be stuck in; Delay is the latest of it.
	Warned []string `json:"warned,omitempty"`
	Delay  *Delay   `json:"delay,omitempty"`
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

// Order is what the trainer is asked for.
func (r Record) Order() Order { return Order{Spec: *r.Spec, Mapping: r.Mapping} }

// CancelRequest is written before the trainer is asked to cancel.
type CancelRequest struct {
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
}

// Absence counts direct looks at the trainer that found no job. Last is when the
// last of them was; Indexed that the index tells of them: else the job may have been
// there in between, and nobody looked.
type Absence struct {
	Looks   int       `json:"looks"`
	Since   time.Time `json:"since"`
	Last    time.Time `json:"last,omitzero"`
	Indexed bool      `json:"indexed,omitempty"`
}

// Patience is for how long a job may be in each state before that is reported,
// and how long after its limit jobdrop cancels a job that the trainer has not.
// All are texts in seconds; an empty one of a state is for ever.
type Patience struct {
	Queued     string `json:"queued,omitempty"`
	Preparing  string `json:"preparing,omitempty"`
	Running    string `json:"running,omitempty"`
	Cancelling string `json:"cancelling,omitempty"`
	Grace      string `json:"grace,omitempty"`
	// WaitGrace is the grace after the limit on the wait, where it is another:
	// a trainer that does not know that limit is not waited for.
	WaitGrace string `json:"waitGrace,omitempty"`
}

// defaultGrace is longer than clocks differ, and than the trainer takes to end a
// job by itself.
const defaultGrace = 15 * time.Minute

// grace is how long after a limit of the kind jobdrop cancels.
func (p Patience) grace(kind string) time.Duration {
	text := p.Grace
	if kind == KindWait {
		text = cmp.Or(p.WaitGrace, text)
	}
	d, err := ParseDuration(text)
	if err != nil {
		return defaultGrace
	}
	return d
}

// in gives the patience with a state; 0 is for ever.
func (p Patience) in(s TrainerState) time.Duration {
	text := ""
	switch s {
	case TrainerQueued:
		text = p.Queued
	case TrainerPreparing:
		text = p.Preparing
	case TrainerRunning:
		text = p.Running
	case TrainerCancelling:
		text = p.Cancelling
	}
	d, _ := ParseDuration(text) // checked when the attempt was accepted
	return d
}

// DropInfo is what an attempt is made of.
type DropInfo struct {
	Bucket string `json:"bucket"`
	// Prefix is the folder, with its final slash; empty at the bucket's root.
	Prefix string `json:"prefix"`
	// JobFile is the generation of the job file that makes the attempt.
	JobFile Object `json:"jobFile"`
	// Arrived and Missing are set while the drop is incomplete.
	Arrived []Object `json:"arrived,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Receipt *Receipt `json:"receipt,omitempty"`
}

// Receipt is what an attempt was accepted with; it never changes.
type Receipt struct {
	// Objects are the job file and the packages, each at its generation.
	Objects []Object `json:"objects"`
	// Staged are the copies that the trainer reads, in the order of the
	// packages.
	Staged []string `json:"staged,omitempty"`
	// Content is a digest over the resolved job and the contents of the
	// packages; generations and places are left out, so equal content has
	// an equal digest.
	Content string `json:"content"`
}

// JobInfo is the training job as events tell of it.
type JobInfo struct {
	ID            string            `json:"id,omitempty"`
	Trainer       string            `json:"trainer,omitempty"`
	ResourceName  string            `json:"resourceName,omitempty"`
	State         TrainerState      `json:"state,omitempty"`
	PreviousState TrainerState      `json:"previousState,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Summary       *Summary          `json:"summary,omitempty"`
	// Trials are those of a tuning job that has ended, the best first,
	// [MaxTrials] at most.
	Trials []Trial `json:"trials,omitempty"`
}

// Trial is one run of a tuning job.
type Trial struct {
	ID    string       `json:"id"`
	State TrainerState `json:"state,omitempty"`
	// Parameters are the trial's values as texts.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Objective is the final value of the metric at Step; nil where the trial
	// reported none.
	Objective *float64 `json:"objective,omitempty"`
	Step      int64    `json:"step,omitempty"`
	// Message says why the trial has no result, where the trainer does.
	Message string `json:"message,omitempty"`
}

// A message has a limit: of more trials the first are told, and of a trial no more
// than this.
const (
	MaxTrials   = 500
	trialParams = 16
	trialText   = 128
)

// Summary is what a person asks first about a job.
type Summary struct {
	Region         string   `json:"region,omitempty"`
	ScaleTier      string   `json:"scaleTier,omitempty"`
	MasterType     string   `json:"masterType,omitempty"`
	RuntimeVersion string   `json:"runtimeVersion,omitempty"`
	PythonVersion  string   `json:"pythonVersion,omitempty"`
	PythonModule   string   `json:"pythonModule,omitempty"`
	ImageURI       string   `json:"imageUri,omitempty"`
	Packages       []string `json:"packages,omitempty"`
	JobDir         string   `json:"jobDir,omitempty"`
}

// Summarize gives the summary of a job. Texts are shortened: the summary stands
// in every event, and a message has a limit.
func Summarize(s *Spec) *Summary {
	t := s.TrainingInput
	if t == nil {
		return nil
	}
	sum := &Summary{
		Region: t.Region, ScaleTier: t.ScaleTier, MasterType: t.MasterType,
		RuntimeVersion: t.RuntimeVersion, PythonVersion: t.PythonVersion, PythonModule: t.PythonModule,
		Packages: t.PackageURIs, JobDir: t.JobDir,
	}
	if t.HasImage() {
		sum.ImageURI = t.MasterConfig.ImageURI
	}
	for _, text := range [...]*string{
		&sum.Region, &sum.ScaleTier, &sum.MasterType, &sum.RuntimeVersion, &sum.PythonVersion,
		&sum.PythonModule, &sum.ImageURI, &sum.JobDir,
	} {
		*text = Shorten(*text, summaryText)
	}
	return sum
}

// Times are what happened when. Dropped is the storage service's time, Created,
// Started and Ended the trainer's, the others jobdrop's.
type Times struct {
	Dropped   time.Time `json:"dropped,omitzero"`
	Seen      time.Time `json:"seen,omitzero"`
	Accepted  time.Time `json:"accepted,omitzero"`
	Created   time.Time `json:"created,omitzero"`
	Started   time.Time `json:"started,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Concluded time.Time `json:"concluded,omitzero"`
}

// Deadlines are the times at which something is due. Absent ones never are.
type Deadlines struct {
	// Held is when an attempt held for its package goes on as it is.
	Held time.Time `json:"held,omitzero"`
	// Incomplete is when an incomplete drop is reported, Expires when it ends.
	Incomplete time.Time `json:"incomplete,omitzero"`
	Expires    time.Time `json:"expires,omitzero"`
	// Submit is when the trainer is no longer asked for the job: set when it is
	// asked first, or may be.
	Submit time.Time `json:"submit,omitzero"`
	// Wait is when a job that does not run yet is cancelled by the trainer
	// (scheduling.maxWaitTime from its creation), Run when one that runs is
	// (scheduling.maxRunningTime from its first start).
	Wait time.Time `json:"wait,omitzero"`
	Run  time.Time `json:"run,omitzero"`
}

// The kinds of limits on a job's time, who enforces them, and the likely causes of
// a delay.
const (
	KindWait  = "wait"  // until the job runs
	KindRun   = "run"   // from then on
	KindState = "state" // in one state; of a [Delay] alone

	ByTrainer = "trainer"
	ByJobdrop = "jobdrop"

	CauseQuota      = "quota"
	CauseCapacity   = "capacity"
	CausePermission = "permission"
)

// Timeout says which limit ended a job, and who enforced it.
type Timeout struct {
	// Kind is wait or run.
	Kind string `json:"kind"`
	// Limit is the duration as the API writes it, e.g. 7200s.
	Limit string `json:"limit"`
	// EnforcedBy is trainer or jobdrop.
	EnforcedBy string `json:"enforcedBy"`
}

// Delay says why a job takes longer than it should.
type Delay struct {
	// Kind is wait or run where the limit nears, state where the job stays in
	// its state.
	Kind string `json:"kind"`
	// Limit is how long the job may wait, run or be in its state, e.g. 7200s;
	// it counts from Since.
	Limit string    `json:"limit"`
	Since time.Time `json:"since"`
	// Cause is quota, capacity or permission, where the trainer's message
	// shows it.
	Cause string `json:"cause,omitempty"`
}

// Failure says what went wrong at the trainer. Code is a google.rpc.Code name
// where the trainer gave one.
type Failure struct {
	Code      string `json:"code,omitempty"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
}

// Links are pages for people.
type Links struct {
	Console string `json:"console,omitempty"`
	Logs    string `json:"logs,omitempty"`
}
