package jobs

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/process"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// What the queue answers a request with. errClosed is also the cause that ends the jobs of a service that is stopped.
var (
	ErrClosed     = errors.New("the local training service was stopped")
	ErrJobUnknown = errors.New("no such job")
	ErrJobEnded   = errors.New("the job has already ended")
	ErrJobExists  = errors.New("a job with this id already exists")
	ErrEtag       = errors.New("the job was changed in between")
	// ErrPreempted is the end of a job that lost its machines and is not run again.
	ErrPreempted = errors.New("the job lost its machines")
)

// State is ml/v1's Job.State.
type State string

const (
	Queued     State = "QUEUED"
	Preparing  State = "PREPARING"
	Running    State = "RUNNING"
	Succeeded  State = "SUCCEEDED"
	Failed     State = "FAILED"
	Cancelling State = "CANCELLING"
	Cancelled  State = "CANCELLED"
)

var States = []State{Queued, Preparing, Running, Succeeded, Failed, Cancelling, Cancelled}

func (s State) Ended() bool    { return s == Succeeded || s == Failed || s == Cancelled }
func (s State) UnderWay() bool { return s == Preparing || s == Running || s == Cancelling }

// JobState is a job and what became of it, as a record has it: in ml/v1's form.
type JobState struct {
	job.Spec
	State        State     `json:"state,omitempty"`
	CreateTime   time.Time `json:"createTime,omitzero"`
	StartTime    time.Time `json:"startTime,omitzero"`
	EndTime      time.Time `json:"endTime,omitzero"`
	ErrorMessage string    `json:"errorMessage,omitempty"`
}

// Record is a job as it is kept on disk.
type Record struct {
	Project   string       `json:"project"`
	Revision  int64        `json:"revision"` // counts the record's changes
	Processes []JobProcess `json:"processes,omitempty"`
	Job       JobState     `json:"job"`
	// Restarts counts how often the job's replicas were started again, after they had lost their machines.
	Restarts int `json:"restarts,omitempty"`
	// Trials are a tuning job's, in the order of their IDs.
	Trials []Trial `json:"trials,omitempty"`
	// Vertex is of jobs that came through aiplatform/v1; see [VertexRecord].
	Vertex *VertexRecord `json:"vertex,omitempty"`

	// Process is of records from when a job had one process; see load.
	Process *JobProcess `json:"process,omitempty"`
}

// JobProcess is a process of a job that a restarted service has to look for.
type JobProcess struct {
	Task  string `json:"task,omitempty"`
	Trial string `json:"trial,omitempty"`
	process.Group
}

func (r *Record) Etag() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", r.Job.JobID, r.Job.CreateTime.UnixNano(), r.Revision))
	return base64.URLEncoding.EncodeToString(sum[:8])
}

// VertexRecord is what a record has of a job that came through aiplatform/v1, beside
// what every job has: its ID is the record's job ID, and its TrainingInput is
// what the runner counts and bounds the job by. It is replaced with a change, never changed.
type VertexRecord struct {
	Location   string `json:"location"`
	Collection string `json:"collection"`
	// Body is the request's, in the API's own form, less what only the service
	// sets.
	Body       json.RawMessage `json:"body"`
	UpdateTime time.Time       `json:"updateTime"`
	Code       int             `json:"code,omitempty"` // of the job's error
	// Expired reports that a job that was CANCELLED waited for too long, which the API has a state for.
	Expired bool `json:"expired,omitempty"`
}
