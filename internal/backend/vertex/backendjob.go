package vertex

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	aiplatform "google.golang.org/api/aiplatform/v1"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// found is what a job of either collection is told by.
type found struct {
	name, displayName, state string
	created, started, ended  string
	labels                   map[string]string
	err                      *aiplatform.GoogleRpcStatus
	trials                   []*aiplatform.GoogleCloudAiplatformV1Trial
	spec                     *jobSpec
}

func ofCustom(j *customJob) *found {
	if j == nil {
		return nil
	}
	return &found{
		name: j.Name, displayName: j.DisplayName, state: j.State, labels: j.Labels, err: j.Error,
		created: j.CreateTime, started: j.StartTime, ended: j.EndTime, spec: j.JobSpec,
	}
}

func ofTuning(j *tuningJob) *found {
	if j == nil {
		return nil
	}
	return &found{
		name: j.Name, displayName: j.DisplayName, state: j.State, labels: j.Labels, err: j.Error,
		created: j.CreateTime, started: j.StartTime, ended: j.EndTime, trials: j.Trials, spec: j.TrialJobSpec,
	}
}

// states are the service's states in ml/v1's words. A job that is paused or being
// changed has started and not ended.
var states = map[string]job.BackendState{
	"JOB_STATE_QUEUED":              job.BackendQueued,
	"JOB_STATE_PENDING":             job.BackendPreparing,
	"JOB_STATE_RUNNING":             job.BackendRunning,
	"JOB_STATE_UPDATING":            job.BackendRunning,
	"JOB_STATE_PAUSED":              job.BackendRunning,
	"JOB_STATE_SUCCEEDED":           job.BackendSucceeded,
	"JOB_STATE_PARTIALLY_SUCCEEDED": job.BackendSucceeded,
	"JOB_STATE_FAILED":              job.BackendFailed,
	"JOB_STATE_EXPIRED":             job.BackendFailed,
	"JOB_STATE_CANCELLING":          job.BackendCancelling,
	"JOB_STATE_CANCELLED":           job.BackendCancelled,
}

// backendJob returns what the service says about a job. An unknown state is not one of the
// domain's, and changes nothing there.
func (t *Backend) backendJob(f *found) attempt.BackendJob {
	l := attempt.BackendJob{
		JobID: f.displayName, ResourceName: f.name, State: states[f.state], Labels: f.labels,
		Created: parseTime(f.created), Started: parseTime(f.started), Ended: parseTime(f.ended),
		Links: t.links(f.name), Packages: packages(f.spec),
	}
	if l.State == job.BackendQueued || l.State == job.BackendPreparing {
		// Seen on a job that had not run yet. One that ran, and is restarted, gets
		// it again with the next state.
		l.Started = time.Time{}
	}
	if f.err != nil {
		l.Message = f.err.Message
		l.DeadlineExceeded = f.err.Code == deadlineExceeded
	}
	switch f.state {
	case "JOB_STATE_EXPIRED":
		l.DeadlineExceeded, l.Expired = true, true
		l.Message = cmp.Or(l.Message, "the job expired")
	case "JOB_STATE_PAUSED":
		l.Message = cmp.Or(l.Message, "the job is paused")
	case "JOB_STATE_PARTIALLY_SUCCEEDED":
		l.Message = cmp.Or(l.Message, "the job succeeded in part")
	}
	for _, tr := range f.trials {
		l.Trials = append(l.Trials, trial(tr))
	}
	return l
}

// packages returns the URIs of a job's packages. Every pool has the same ones; they are
// an argument of Vertex AI's own installer, or of the bootstrap.
func packages(s *jobSpec) []string {
	if s == nil || len(s.WorkerPoolSpecs) == 0 {
		return nil
	}
	first := s.WorkerPoolSpecs[0]
	if p := first.PythonPackageSpec; p != nil {
		return p.PackageUris
	}
	if first.ContainerSpec == nil {
		return nil
	}
	for _, v := range first.ContainerSpec.Env {
		if v.Name == bootstrapEnv {
			var own struct {
				Packages []string `json:"packages"`
			}
			_ = json.Unmarshal([]byte(strings.ReplaceAll(v.Value, "$$(", "$(")), &own) // what a person wrote is none of ours
			return own.Packages
		}
	}
	return nil
}

// deadlineExceeded is google.rpc.Code's.
const deadlineExceeded = 4

// trialStates are a trial's states in ml/v1's words.
var trialStates = map[string]job.BackendState{
	"REQUESTED":  job.BackendQueued,
	"ACTIVE":     job.BackendRunning,
	"STOPPING":   job.BackendRunning,
	"SUCCEEDED":  job.BackendSucceeded,
	"INFEASIBLE": job.BackendFailed,
}

func trial(tr *aiplatform.GoogleCloudAiplatformV1Trial) job.Trial {
	out := job.Trial{ID: tr.Id, State: trialStates[tr.State], Message: tr.InfeasibleReason}
	for _, p := range tr.Parameters {
		if out.Parameters == nil {
			out.Parameters = map[string]string{}
		}
		out.Parameters[p.ParameterId] = text(p.Value)
	}
	if m := tr.FinalMeasurement; m != nil {
		out.Step = m.StepCount
		if len(m.Metrics) > 0 {
			value := m.Metrics[0].Value
			out.Objective = &value
		}
	}
	return out
}

// text writes a google.protobuf.Value as ml/v1 does.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

// links returns the pages of a job, in the forms that Google's SDK for Python
// prints. A job of a local service has none.
func (t *Backend) links(resource string) job.Links {
	region, _, ok := place(resource)
	if !ok || strings.HasPrefix(t.Endpoint, "http://") {
		return job.Links{}
	}
	project := url.QueryEscape(t.Project)
	query := url.QueryEscape(`resource.type="ml_job" resource.labels.job_id="` + id(resource) + `"`)
	return job.Links{
		Console: "https://console.cloud.google.com/agent-platform/locations/" + region + "/training/" + id(resource) +
			"?project=" + project,
		Logs: "https://console.cloud.google.com/logs/query;query=" + strings.ReplaceAll(query, "+", "%20") + "?project=" +
			project,
	}
}

func parseTime(s string) time.Time {
	t, _ := time.Parse(time.RFC3339, s)
	return t.UTC()
}
