package vertex

import (
	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
)

// The collections of aiplatform/v1's jobs, as resource names have them.
const (
	customJobs = "customJobs"
	TuningJobs = "hyperparameterTuningJobs"
)

// kind is what differs between the collections.
type kind struct {
	schema  string // of its resource, whose name that is, too
	message string // the resource's place in error messages
}

var kinds = map[string]kind{
	customJobs: {"CustomJob", "custom_job"},
	TuningJobs: {"HyperparameterTuningJob", "hyperparameter_tuning_job"},
}

// schemaPrefix begins the names of the API's schemas.
const schemaPrefix = "GoogleCloudAiplatformV1"

// stateNames are the API's words for the states of jobs. None of its others
// (PAUSED, UPDATING, PARTIALLY_SUCCEEDED) happens here, and EXPIRED is a flag of records.
var stateNames = map[jobs.State]string{
	jobs.Queued:     "JOB_STATE_QUEUED",
	jobs.Preparing:  "JOB_STATE_PENDING",
	jobs.Running:    "JOB_STATE_RUNNING",
	jobs.Succeeded:  "JOB_STATE_SUCCEEDED",
	jobs.Failed:     "JOB_STATE_FAILED",
	jobs.Cancelling: "JOB_STATE_CANCELLING",
	jobs.Cancelled:  "JOB_STATE_CANCELLED",
}

// stateOf returns the API's word for a job's state.
func stateOf(r *jobs.Record) string {
	if r.Vertex.Expired {
		return "JOB_STATE_EXPIRED"
	}
	return stateNames[r.Job.State]
}

// The codes of google.rpc.Code that a job's error has. 1 is the API's own word for
// a cancelled job; 3 is what is seen of jobs whose replica exited with a status.
const (
	codeCancelled        = 1
	codeInvalidArgument  = 3
	codeDeadlineExceeded = 4
	codeInternal         = 13
)
