// Package aiplatform is the adapter for AI Platform Training's API, ml/v1. The
// service itself closed in January 2025; the local training service speaks the
// same API.
//
// A create with an ID that the service knows already is answered 409; the job
// found is then compared by jobdrop's own labels, so creating again is safe.
package aiplatform

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/internal/rest"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Name is the backend's name in events and configuration.
const Name = "aiplatform"

// CallTimeout bounds one call with its retries. A claim on a create has to last
// more than twice as long.
const CallTimeout = rest.CallTimeout

// pageSize is the most that projects.jobs.list returns in a page.
const pageSize = 100

// listed are the fields that a list is asked for: the inputs of a page of large jobs are longer than any answer may be.
const listed = "jobs(jobId,labels,state,createTime,startTime,endTime,errorMessage),nextPageToken"

// Backend speaks to ml/v1. It is safe for concurrent use.
type Backend struct {
	jobs    *ml.ProjectsJobsService
	parent  string
	project string
	// google reports that the service is Google's own, whose console shows the jobs.
	google bool
}

// New makes a backend for a project. endpoint is the service's base URL where it
// is not Google's own; plain http means a local service without credentials.
func New(ctx context.Context, project, endpoint string) (*Backend, error) {
	if project == "" {
		return nil, errors.New("aiplatform: the project is required")
	}
	client, err := rest.NewClient(ctx, endpoint)
	if err != nil {
		return nil, fmt.Errorf("ml/v1 client: %w", err)
	}
	endpoint = cmp.Or(endpoint, URL)
	t, err := newBackend(ctx, client, project, strings.TrimSuffix(endpoint, "/")+"/")
	if t != nil {
		t.google = !rest.Unencrypted(endpoint)
	}
	return t, err
}

// Over returns a backend for a project whose requests, to Google's own service, a
// client sends.
func Over(ctx context.Context, client *http.Client, project string) (*Backend, error) {
	return newBackend(ctx, rest.Limit(client), project, URL)
}

func newBackend(ctx context.Context, client *http.Client, project, endpoint string) (*Backend, error) {
	s, err := ml.NewService(ctx, option.WithHTTPClient(client), option.WithEndpoint(endpoint))
	if err != nil {
		return nil, fmt.Errorf("ml/v1 client: %w", err)
	}
	return &Backend{jobs: s.Projects.Jobs, parent: "projects/" + project, project: project, google: true}, nil
}

// Name returns the backend's name.
func (t *Backend) Name() string { return Name }

// TakesID reports true: a second create of a job ID is a conflict.
func (t *Backend) TakesID() bool { return true }

// EnforcesWait reports true: the service itself ends a job that waits for too long.
func (t *Backend) EnforcesWait() bool { return true }

// Check returns what the job asks of another backend: the rest of the job file is in the
// service's own words.
func (t *Backend) Check(o job.Order) []plan.Diagnostic { return Foreign(o) }

// Foreign returns a difference for each option for Vertex AI. What the program can't do
// without is refused. The service does not learn of the others: they say how machines
// are found and who looks on.
func Foreign(o job.Order) []plan.Diagnostic {
	own := o.Vertex
	if own == nil {
		return nil
	}
	var told []plan.Diagnostic
	for _, f := range [...]struct {
		name string
		set  bool
		a    plan.Action
	}{
		{"strategy", own.Strategy != "" && own.Strategy != job.StrategyStandard, plan.Dropped},
		{"maxWaitDuration", own.MaxWaitDuration != "", plan.Dropped},
		{"restartJobOnWorkerRestart", own.RestartJobOnWorkerRestart, plan.Dropped},
		{"disableRetries", own.DisableRetries, plan.Dropped},
		{"persistentResourceId", own.PersistentResourceID != "", plan.Dropped},
		{"reservationAffinity", own.ReservationAffinity != nil, plan.Dropped},
		{"tensorboard", own.Tensorboard != "", plan.Dropped},
		{"experiment", own.Experiment != "", plan.Dropped},
		{"experimentRun", own.ExperimentRun != "", plan.Dropped},
		{"enableDashboardAccess", own.EnableDashboardAccess, plan.Dropped},
		{"gpuPartitionSize", own.GPUPartitionSize != "", plan.Dropped},
		{"pscInterfaceConfig", own.PSCInterfaceConfig != nil, plan.Unmappable},
		{"nfsMounts", len(own.NFSMounts) > 0, plan.Unmappable},
		{"lustreMounts", len(own.LustreMounts) > 0, plan.Unmappable},
	} {
		if f.set {
			told = append(told, plan.Diagnostic{
				Field: "jobdrop.vertex." + f.name, Action: f.a, Why: "only Vertex AI can do it, and ml/v1 runs this job",
				Remedy: "remove the field, or run the job on Vertex AI",
			})
		}
	}
	return told
}

// Find returns the job that has an order's ID, if there is one.
func (t *Backend) Find(ctx context.Context, o job.Order) ([]attempt.BackendJob, error) {
	found, err := t.Get(ctx, job.JobInfo{ID: o.JobID})
	if errors.Is(err, job.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []attempt.BackendJob{found}, nil
}

// Create creates a job. It returns a [*job.ConflictError] if a job has the ID
// already: its labels show whether an earlier create of the same attempt made it. It
// returns a [*job.RefusedError] if the service refuses for good, and [job.ErrQuota]
// if it can't take the job now. After any other error the outcome is unknown, and
// Create may be called again.
func (t *Backend) Create(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
	spec := o.Spec
	request, err := NewRequest(spec)
	if err != nil {
		return attempt.BackendJob{}, &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: err.Error()}
	}
	tries := 0
	created, err := rest.Invoke(ctx, func(ctx context.Context) (*ml.GoogleCloudMlV1__Job, error) {
		tries++
		return t.jobs.Create(t.parent, request).Context(ctx).Do()
	})
	if rest.Code(err) == http.StatusConflict {
		found, err := t.Get(ctx, job.JobInfo{ID: spec.JobID})
		if err != nil {
			// Without its class: a refused poll is not a refusal of the job.
			return attempt.BackendJob{}, fmt.Errorf("job %s is there already, and can't be looked at: %v", spec.JobID, err)
		}
		return attempt.BackendJob{}, &attempt.ConflictError{JobID: spec.JobID, Found: found}
	}
	if err != nil && tries > 1 {
		// Without its class: the tries before were answered as if the service
		// were down, and may have had their effect all the same.
		return attempt.BackendJob{}, fmt.Errorf("create job %s, asked %d times: %v", spec.JobID, tries, err)
	}
	if err != nil {
		return attempt.BackendJob{}, fmt.Errorf("create job %s: %w", spec.JobID, rest.Classify(err))
	}
	if created == nil || created.JobId == "" {
		return attempt.BackendJob{}, fmt.Errorf("create job %s: %w", spec.JobID, rest.ErrNoJob)
	}
	return t.backendJob(created), nil
}

// Get returns one job; one that is not there gives [job.ErrNotFound].
func (t *Backend) Get(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
	found, err := rest.Invoke(ctx, func(ctx context.Context) (*ml.GoogleCloudMlV1__Job, error) {
		return t.jobs.Get(t.parent + "/jobs/" + j.ID).Context(ctx).Do()
	})
	if err == nil && (found == nil || found.JobId == "") {
		err = rest.ErrNoJob
	}
	if err != nil {
		return attempt.BackendJob{}, fmt.Errorf("get job %s: %w", j.ID, rest.Classify(err))
	}
	return t.backendJob(found), nil
}

// ListActive calls page for each page of an installation's jobs that have not
// ended. It may lag behind Get. next, a text of the service's, is where the list
// goes on after the page, in this call or as from in another; it is empty at the
// end. A from that the service no longer knows gives a [*job.RefusedError].
func (t *Backend) ListActive(ctx context.Context, instance, from string,
	page func(jobs []attempt.BackendJob, next string) error) error {
	filter := fmt.Sprintf("labels.%s=%s AND (state:QUEUED OR state:PREPARING OR state:RUNNING OR state:CANCELLING)",
		job.LabelInstance, job.InstanceLabel(instance))
	for token := from; ; {
		result, err := rest.Invoke(ctx, func(ctx context.Context) (*ml.GoogleCloudMlV1__ListJobsResponse, error) {
			return t.jobs.List(t.parent).Filter(filter).PageSize(pageSize).PageToken(token).Fields(listed).Context(ctx).Do()
		})
		if err == nil && result == nil {
			err = rest.ErrNoJob
		}
		if err != nil {
			return fmt.Errorf("list jobs: %w", rest.Classify(err))
		}
		jobs := make([]attempt.BackendJob, 0, len(result.Jobs))
		for _, j := range result.Jobs {
			if j != nil && j.JobId != "" {
				jobs = append(jobs, t.backendJob(j))
			}
		}
		token = result.NextPageToken
		if err := page(jobs, token); err != nil || token == "" {
			return err
		}
	}
}

// Cancel asks the service to end a job. That it was asked is not a sign that the
// job has stopped: look at it again.
func (t *Backend) Cancel(ctx context.Context, j job.JobInfo) error {
	_, err := rest.Invoke(ctx, func(ctx context.Context) (*ml.GoogleProtobuf__Empty, error) {
		return t.jobs.Cancel(t.parent+"/jobs/"+j.ID, &ml.GoogleCloudMlV1__CancelJobRequest{}).Context(ctx).Do()
	})
	if err != nil {
		return fmt.Errorf("cancel job %s: %w", j.ID, rest.Classify(err))
	}
	return nil
}

// URL is the base URL of Google's own service.
const URL = "https://ml.googleapis.com/"

// NewRequest returns the body of the request that creates a job. It is posted to
// projects/PROJECT/jobs: the JSON of both is the same.
func NewRequest(spec job.Spec) (*ml.GoogleCloudMlV1__Job, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", spec.JobID, err)
	}
	var request ml.GoogleCloudMlV1__Job
	if err := json.Unmarshal(data, &request); err != nil {
		return nil, fmt.Errorf("job %s: %w", spec.JobID, err)
	}
	if spec.TrainingInput == nil || spec.TrainingInput.Hyperparameters == nil {
		return &request, nil
	}
	// The API's type leaves out zeros, and zero is a bound like any other.
	for i, p := range spec.TrainingInput.Hyperparameters.Params {
		r := request.TrainingInput.Hyperparameters.Params[i]
		if p.MinValue != nil {
			r.ForceSendFields = append(r.ForceSendFields, "MinValue")
		}
		if p.MaxValue != nil {
			r.ForceSendFields = append(r.ForceSendFields, "MaxValue")
		}
	}
	return &request, nil
}

func (t *Backend) backendJob(j *ml.GoogleCloudMlV1__Job) attempt.BackendJob {
	var packages []string
	if j.TrainingInput != nil {
		packages = j.TrainingInput.PackageUris
	}
	return attempt.BackendJob{
		Packages: packages,
		JobID:    j.JobId, ResourceName: t.parent + "/jobs/" + j.JobId,
		State:   job.BackendState(j.State),
		Created: parseTime(j.CreateTime), Started: parseTime(j.StartTime), Ended: parseTime(j.EndTime),
		Message: j.ErrorMessage, Labels: j.Labels, Trials: trials(j.TrainingOutput),
		Links: t.links(j.JobId),
	}
}

// links returns the pages of a job, in the forms that gcloud prints after a submit. A job
// of a local service has none.
func (t *Backend) links(jobID string) job.Links {
	if !t.google {
		return job.Links{}
	}
	return job.Links{
		Console: "https://console.cloud.google.com/mlengine/jobs/" + url.PathEscape(jobID) + "?project=" +
			url.QueryEscape(t.project),
		Logs: "https://console.cloud.google.com/logs?resource=" + url.QueryEscape("ml_job/job_id/"+jobID) + "&project=" +
			url.QueryEscape(t.project),
	}
}

// trials returns the trials of a tuning job.
func trials(out *ml.GoogleCloudMlV1__TrainingOutput) []job.Trial {
	if out == nil {
		return nil
	}
	var all []job.Trial
	for _, t := range out.Trials {
		trial := job.Trial{ID: t.TrialId, State: job.BackendState(t.State), Parameters: t.Hyperparameters}
		if m := t.FinalMetric; m != nil {
			value := m.ObjectiveValue
			trial.Objective, trial.Step = &value, m.TrainingStep
		}
		all = append(all, trial)
	}
	return all
}

func parseTime(s string) time.Time {
	t, _ := time.Parse(time.RFC3339, s)
	return t.UTC()
}
