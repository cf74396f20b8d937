package job

import (
	"fmt"
	"time"
)

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
	// History holds the attempt's events, this one among them, in their order: [MaxHistory] at
	// most.
	History []HistoryEntry `json:"history,omitempty"`
	// Uploader says who dropped it, in the uploader's own words.
	Uploader Uploader `json:"uploader,omitzero"`
	// Notify holds the routes that the job file names, once it could be read.
	Notify []string `json:"notify,omitempty"`
	// DuplicateOf is the attempt that a withdrawn one repeats.
	DuplicateOf string `json:"duplicateOf,omitempty"`
	// CancelRequested is set once jobdrop is about to ask the backend to cancel the job, or once
	// somebody's request ended the attempt before there was a job.
	CancelRequested *CancelRequest `json:"cancelRequested,omitempty"`
	// Rerun is set if somebody's request made the attempt.
	Rerun *Rerun `json:"rerun,omitempty"`
	// Restarts is set once the job was seen to be started again.
	Restarts *Restarts `json:"restarts,omitempty"`
}

// Restarts says how often the backend took a job back from RUNNING to start it again, as far as
// jobdrop saw it. What comes and goes between two looks is not counted.
type Restarts struct {
	Count int64 `json:"count"`
	// Most is the policy's limits.restarts. A job that goes beyond it is cancelled. Without it
	// there is no limit.
	Most *int64 `json:"most,omitempty"`
	// Last is when jobdrop saw the last restart, by its own clock.
	Last time.Time `json:"last"`
	// Ran is for how long the job was seen to run before the last restart. AtRisk is the sum over
	// all restarts: what the trainer did since its checkpoints is lost, so this is the most that
	// is.
	Ran    Duration `json:"ran"`
	AtRisk Duration `json:"atRisk"`
}

// Over reports whether there were more restarts than the policy allows.
func (r *Restarts) Over() bool { return r != nil && r.Most != nil && r.Count > *r.Most }

// String returns the count and what the policy allows in words: "at least 2; the policy allows 1". What comes and goes
// between two looks is not counted.
func (r *Restarts) String() string {
	said := fmt.Sprintf("at least %d", r.Count)
	if r.Most != nil {
		said += fmt.Sprintf("; the policy allows %d", *r.Most)
	}
	return said
}

// Rerun says which attempt's drop runs again, and who asked for it.
type Rerun struct {
	// Of is the attempt whose job file and packages run again, at the generations of its receipt.
	Of string `json:"of"`
	// Reason and By are what the request says: nobody verified it.
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
}

// HistoryEntry is an earlier event in short.
type HistoryEntry struct {
	Sequence int64     `json:"sequence"`
	Type     EventType `json:"type"`
	Time     time.Time `json:"time"`
	// Reason is the event's, shortened.
	Reason string `json:"reason,omitempty"`
}

// Uploader says who dropped a job file, and from where, as the metadata [MetadataUploader] of the
// job file says: nobody verified it.
type Uploader struct {
	Name   string `json:"name,omitempty"`
	Commit string `json:"commit,omitempty"`
	Branch string `json:"branch,omitempty"`
	// URL leads to a page about it, for example of the CI's run. It is a http or https URL.
	URL string `json:"url,omitempty"`
}

// CancelRequest says why jobdrop asks the backend to cancel a job, and since when.
type CancelRequest struct {
	// Kind is wait or run if a limit is over, and request if somebody asked for it.
	Kind string `json:"kind"`
	// Reason and By are what a request says: nobody verified it.
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
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
	Backend       string            `json:"backend,omitempty"`
	ResourceName  string            `json:"resourceName,omitempty"`
	State         BackendState      `json:"state,omitempty"`
	PreviousState BackendState      `json:"previousState,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Summary       *Summary          `json:"summary,omitempty"`
	// Trials are those of a tuning job that has ended, the best first,
	// [MaxTrials] at most.
	Trials []Trial `json:"trials,omitempty"`
}

// Trial is one run of a tuning job.
type Trial struct {
	ID    string       `json:"id"`
	State BackendState `json:"state,omitempty"`
	// Parameters are the trial's values as texts.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Objective is the final value of the metric at Step; nil where the trial
	// reported none.
	Objective *float64 `json:"objective,omitempty"`
	Step      int64    `json:"step,omitempty"`
	// Message says why the trial has no result, where the backend does.
	Message string `json:"message,omitempty"`
}

// MaxTrials is the largest number of trials in an event: a message has a limit.
const MaxTrials = 500

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

// Summarize returns the summary of a job. It shortens texts: the summary stands in
// every event, and a message has a limit.
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
		*text = BoundText(*text, MaxText)
	}
	return sum
}

// Times are what happened when. Dropped is the storage service's time, Created,
// Started and Ended the backend's, the others jobdrop's.
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
	// Held is when an attempt held for its package goes on as it is. One that waits for
	// another package has it, too, and goes on then or once it is complete.
	Held time.Time `json:"held,omitzero"`
	// Incomplete is when an incomplete drop is reported, Expires when it ends.
	Incomplete time.Time `json:"incomplete,omitzero"`
	Expires    time.Time `json:"expires,omitzero"`
	// Submit is when the backend is no longer asked for the job: set when it is
	// asked first, or may be.
	Submit time.Time `json:"submit,omitzero"`
	// Wait is when a job that does not run yet is cancelled by the backend
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

	KindRequest = "request" // of a [CancelRequest] alone
	// KindRestarts is of a [CancelRequest] in a record: events have [Restarts] instead.
	KindRestarts = "restarts"

	ByBackend = "backend"
	ByJobdrop = "jobdrop"

	CauseQuota      = "quota"
	CauseCapacity   = "capacity"
	CausePermission = "permission"
)

// Timeout says which limit ended a job, and who enforced it.
type Timeout struct {
	// Kind is wait or run.
	Kind  string   `json:"kind"`
	Limit Duration `json:"limit"`
	// EnforcedBy is backend or jobdrop.
	EnforcedBy string `json:"enforcedBy"`
}

// Delay says why a job takes longer than it should.
type Delay struct {
	// Kind is wait or run where the limit nears, state where the job stays in
	// its state.
	Kind string `json:"kind"`
	// Limit is how long the job may wait, run or be in its state; it counts from
	// Since.
	Limit Duration  `json:"limit"`
	Since time.Time `json:"since"`
	// Cause is quota, capacity or permission, where the backend's message
	// shows it.
	Cause string `json:"cause,omitempty"`
}

// Failure says what went wrong at the backend. Code is a google.rpc.Code name
// where the backend gave one.
type Failure struct {
	Code      string `json:"code,omitempty"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
	// Excerpt is the end of the log of what failed: the line of the exception, and what is before it.
	// Events have it if the installation's policy says so.
	Excerpt string `json:"excerpt,omitempty"`
}

// Links are pages for people.
type Links struct {
	Console string `json:"console,omitempty"`
	Logs    string `json:"logs,omitempty"`
}
