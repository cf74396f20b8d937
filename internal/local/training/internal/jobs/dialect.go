// Package jobs holds the words that the training service and its APIs have in common: records, replicas, limits, and
// the dialect in which an API speaks of a job.
package jobs

import (
	"net/http"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

// API is a REST API that jobs come through.
type API interface {
	// Document returns the discovery document of what is served.
	Document() *rest.Document
	// Serve answers a request that calls a method of the document.
	Serve(r *http.Request) (answer any, err error)
	// Open returns a job in the API's words, or nil if the job came through another API.
	Open(r *Record) (Dialect, error)
}

// Dialect is a job in the words of the API that it came through. It is all that service and runner know of an API.
// Methods that change the job's record are called with the service's mu held.
type Dialect interface {
	// Collection returns the name of the collection that shows the job, e.g. projects/p/jobs.
	Collection() string
	// Shown returns the job's name and state for the service's Options.Changed.
	Shown() (name, state string)
	// Touch notes the time of a change.
	Touch(now time.Time)
	// Fail notes the error that a job ended with, if it did not succeed.
	Fail(err error)
	// Check returns what keeps the job from ever running within limits.
	Check(l Limits) []rest.Violation

	// Task returns a replica's name in logs and folders.
	Task(r Replica) string
	// Title returns a replica's name in messages.
	Title(r Replica) string
	// HasAddress reports whether the other replicas are told where a replica listens.
	HasAddress(r Replica) bool
	// Output returns the folder in Cloud Storage that the job writes to.
	Output() OutputFolder
	// Environments returns the environments that all parts of the job share, in folders for them and for packages.
	Environments(env, packages string) []PythonEnv
	// Program returns what a replica runs.
	Program(r Replica) Program
	// OutputArgs returns the arguments that tell a program its output folder.
	OutputArgs(dir string) []string
	// Vars returns the variables that tell a replica about its job. env is the rest of its environment.
	Vars(run ReplicaRun, r Replica, a Addresses, env []string) ([]string, error)

	// WaitLimit returns how long the job may wait until it runs, if that is limited.
	WaitLimit() TimeLimit
	// NoRetries returns the name of the job's setting by which it is not run again after it has lost its machines. It is
	// empty if the job is.
	NoRetries() string
	// RunLimit returns how long the job may run. There is none if each of its trials has one.
	RunLimit() TimeLimit
	// TrialLimit returns how long each of the job's trials may run, if that is limited.
	TrialLimit() TimeLimit
	// FailedTrials returns the name of the limit to the job's failed trials.
	FailedTrials() string
}

// OutputFolder is the folder in Cloud Storage that a job writes to, if it names one.
type OutputFolder struct {
	Field string // that names it
	Title string // of the folder, in messages
	Dir   string // empty: the job names none
}

// TimeLimit is a limit to a time, with the name that an API has for it. Zero is none.
type TimeLimit struct {
	Name string
	Max  time.Duration
}

// Queue is the queue as the APIs use it. A collection's jobs are those whose dialect names it.
type Queue interface {
	Limits() Limits
	// Create records a checked job and queues it. A job ID that is taken is errJobExists.
	Create(r Record) (Snapshot, error)
	// Get returns one job, or errJobUnknown.
	Get(collection, id string) (Snapshot, error)
	// List returns a page of the jobs that match, newest first.
	List(q PageQuery) (page []Snapshot, more bool, err error)
	// CancelByRequest starts a job's cancellation. errJobEnded says that nothing is left to cancel.
	CancelByRequest(collection, id string) error
	// Relabel replaces a job's labels, if etag is empty or the job's own.
	Relabel(collection, id string, labels map[string]string, etag string) (Snapshot, error)
}

// Snapshot is a job as it was at one moment.
type Snapshot struct {
	Record
	Position int64 // in the queue, from 1; 0: it is not queued
}

// PageQuery asks for some jobs of a collection.
type PageQuery struct {
	Collection string
	After      string // the ID of the job before the page; empty for the first page
	Limit      int
	Match      rest.Predicate[*Record]
}

// ReplicaRun is one run of a job's replicas: the job's only one, or a trial of it.
type ReplicaRun struct {
	Trial  string   // the trial's ID, if it is one
	Args   []string // the trial's own
	Metric string   // the tag that the trial is to report, if it is one
	Output string   // its folder in Cloud Storage, if the job names one
	// Restarts counts the runs before it that lost their machines.
	Restarts int
}
