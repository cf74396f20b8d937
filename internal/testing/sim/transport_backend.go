package sim

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	vertexapi "google.golang.org/api/aiplatform/v1"
	"google.golang.org/api/ml/v1"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// serveML answers a request of ml/v1.
func (t *transport) serveML(ctx context.Context, q request) (*answer, error) {
	jobs := "v1/projects/" + t.backend.name + "/jobs"
	last := q.path[len(q.path)-1]
	switch id, cancels := strings.CutSuffix(last, ":cancel"); {
	case q.matches(http.MethodPost, jobs):
		return t.createML(ctx, q)
	case q.matches(http.MethodGet, jobs):
		return t.list(ctx, q, "jobs", "", func(l attempt.BackendJob) any { return asML(l) },
			func(l attempt.BackendJob) string { return string(l.State) })
	case q.matches(http.MethodPost, jobs+"/*") && cancels:
		if err := q.only(); err != nil {
			return nil, err
		}
		return asJSON(struct{}{}), t.backend.Cancel(ctx, job.JobInfo{ID: id})
	case q.matches(http.MethodGet, jobs+"/*"):
		if err := q.only(); err != nil {
			return nil, err
		}
		l, err := t.backend.Get(ctx, job.JobInfo{ID: last})
		if err != nil {
			return nil, err
		}
		return asJSON(asML(l)), nil
	}
	return nil, invalid("no such call: %s %s", q.method, strings.Join(q.path, "/"))
}

func (t *transport) createML(ctx context.Context, q request) (*answer, error) {
	var asked ml.GoogleCloudMlV1__Job
	if err := json.Unmarshal(q.body, &asked); err != nil || asked.JobId == "" || asked.TrainingInput == nil {
		return nil, invalid("the job %s: %v", q.body, err)
	}
	if err := q.only(); err != nil {
		return nil, err
	}
	in := asked.TrainingInput
	o := job.Order{
		Spec: job.Spec{
			JobID:         asked.JobId,
			Labels:        asked.Labels,
			TrainingInput: &job.TrainingInput{Region: in.Region, MasterType: in.MasterType, PackageURIs: in.PackageUris},
		},
	}
	if s := in.Scheduling; s != nil {
		o.TrainingInput.Scheduling = &job.Scheduling{MaxWaitTime: s.MaxWaitTime, MaxRunningTime: s.MaxRunningTime}
	}
	made, conflict, err := t.backend.create(ctx, o)
	if err != nil {
		return nil, err
	}
	if conflict {
		return nil, &statusError{http.StatusConflict, "ALREADY_EXISTS", "job " + asked.JobId + " exists already"}
	}
	return asJSON(asML(t.backend.backendJob(made, time.Now()))), nil
}

// asML returns what ml/v1 says of a job.
func asML(l attempt.BackendJob) *ml.GoogleCloudMlV1__Job {
	return &ml.GoogleCloudMlV1__Job{
		JobId: l.JobID, Labels: l.Labels, State: string(l.State), CreateTime: timestamp(l.Created),
		StartTime: timestamp(l.Started), EndTime: timestamp(l.Ended),
		TrainingInput: &ml.GoogleCloudMlV1__TrainingInput{PackageUris: l.Packages},
	}
}

func timestamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// vertexStates are the states of jobs in the words of aiplatform/v1.
var vertexStates = map[job.BackendState]string{
	job.BackendQueued: "JOB_STATE_QUEUED", job.BackendPreparing: "JOB_STATE_PENDING",
	job.BackendRunning:   "JOB_STATE_RUNNING",
	job.BackendSucceeded: "JOB_STATE_SUCCEEDED", job.BackendFailed: "JOB_STATE_FAILED",
	job.BackendCancelling: "JOB_STATE_CANCELLING",
	job.BackendCancelled:  "JOB_STATE_CANCELLED",
}

// serveVertex answers a request of aiplatform/v1 to a region. Nobody makes tuning jobs
// here, and so their list is empty.
func (t *transport) serveVertex(ctx context.Context, q request, region string) (*answer, error) {
	parent := "projects/" + t.backend.name + "/locations/" + region
	last := q.path[len(q.path)-1]
	name := strings.TrimPrefix(strings.Join(q.path, "/"), "v1/")
	switch resource, cancels := strings.CutSuffix(name, ":cancel"); {
	case q.matches(http.MethodPost, "v1/"+parent+"/customJobs"):
		return t.createVertex(ctx, q, region)
	case q.matches(http.MethodGet, "v1/"+parent+"/customJobs"),
		q.matches(http.MethodGet, "v1/"+parent+"/hyperparameterTuningJobs"):
		return t.list(ctx, q, last, parent+"/"+last+"/", func(l attempt.BackendJob) any { return asVertex(l) },
			func(l attempt.BackendJob) string { return vertexStates[l.State] })
	case q.matches(http.MethodPost, "v1/"+parent+"/customJobs/*") && cancels:
		if err := q.only(); err != nil {
			return nil, err
		}
		return asJSON(struct{}{}), t.backend.Cancel(ctx, job.JobInfo{ID: resource, ResourceName: resource})
	case q.matches(http.MethodGet, "v1/projects/*/locations/"+region+"/customJobs/*"):
		// Of another project there is no job that this one may see.
		if err := q.only(); err != nil {
			return nil, err
		}
		l, err := t.backend.Get(ctx, job.JobInfo{ID: name, ResourceName: name})
		if err != nil {
			return nil, err
		}
		return asJSON(asVertex(l)), nil
	}
	return nil, invalid("no such call: %s %s", q.method, strings.Join(q.path, "/"))
}

func (t *transport) createVertex(ctx context.Context, q request, region string) (*answer, error) {
	var asked vertexapi.GoogleCloudAiplatformV1CustomJob
	if err := json.Unmarshal(q.body, &asked); err != nil || asked.DisplayName == "" || asked.JobSpec == nil ||
		len(asked.JobSpec.WorkerPoolSpecs) == 0 {
		return nil, invalid("the job %s: %v", q.body, err)
	}
	if err := q.only(); err != nil {
		return nil, err
	}
	in := &job.TrainingInput{Region: region, MasterType: asked.JobSpec.WorkerPoolSpecs[0].MachineSpec.MachineType}
	if p := asked.JobSpec.WorkerPoolSpecs[0].PythonPackageSpec; p != nil {
		in.PackageURIs = p.PackageUris
	}
	if s := asked.JobSpec.Scheduling; s != nil {
		in.Scheduling = &job.Scheduling{MaxRunningTime: s.Timeout}
	}
	// The service knows no limit on the wait; the checker takes it from the record.
	t.w.mu.Lock()
	if r, ok := t.w.storage.owner(asked.DisplayName); ok && r.Spec.TrainingInput != nil &&
		r.Spec.TrainingInput.Scheduling != nil {
		if in.Scheduling == nil {
			in.Scheduling = &job.Scheduling{}
		}
		in.Scheduling.MaxWaitTime = r.Spec.TrainingInput.Scheduling.MaxWaitTime
	}
	t.w.mu.Unlock()
	made, _, err := t.backend.create(ctx, job.Order{
		Spec: job.Spec{JobID: asked.DisplayName, Labels: asked.Labels, TrainingInput: in},
	})
	if err != nil {
		return nil, err
	}
	return asJSON(asVertex(t.backend.backendJob(made, time.Now()))), nil
}

// asVertex returns what aiplatform/v1 says of a job.
func asVertex(l attempt.BackendJob) *vertexapi.GoogleCloudAiplatformV1CustomJob {
	return &vertexapi.GoogleCloudAiplatformV1CustomJob{
		Name: l.ResourceName, DisplayName: l.JobID, Labels: l.Labels, State: vertexStates[l.State],
		CreateTime: timestamp(l.Created), StartTime: timestamp(l.Started), EndTime: timestamp(l.Ended),
		JobSpec: &vertexapi.GoogleCloudAiplatformV1CustomJobSpec{
			WorkerPoolSpecs: []*vertexapi.GoogleCloudAiplatformV1WorkerPoolSpec{
				{PythonPackageSpec: &vertexapi.GoogleCloudAiplatformV1PythonPackageSpec{PackageUris: l.Packages}},
			},
		},
	}
}

// list answers with a page of the jobs whose resource names begin with a prefix and
// that match the request's filter.
func (t *transport) list(ctx context.Context, q request, field, prefix string, in func(attempt.BackendJob) any,
	stateOf func(attempt.BackendJob) string) (*answer, error) {
	if err := q.only("filter", "pageSize", "pageToken", "readMask", "fields"); err != nil {
		return nil, err
	}
	size, err := q.number("pageSize", 100)
	if err != nil {
		return nil, err
	}
	matches, err := parseFilter(q.query.Get("filter"))
	if err != nil {
		return nil, err
	}
	jobs, next, err := t.backend.page(ctx, q.query.Get("pageToken"), min(int(size), t.w.weather.page),
		func(j *simJob, l attempt.BackendJob) bool {
			return strings.HasPrefix(j.resource, prefix) && matches(l.Labels, stateOf(l))
		})
	if err != nil {
		return nil, err
	}
	list := map[string]any{}
	if next != "" {
		list["nextPageToken"] = next
	}
	var all []any
	for _, l := range jobs {
		all = append(all, q.masked(in(l)))
	}
	if len(all) > 0 {
		list[field] = all
	}
	return asJSON(q.partial(list)), nil
}

// masked returns the fields of a job that a request's mask names, or all.
func (q request) masked(v any) any {
	data, err := json.Marshal(v)
	must(err)
	var fields map[string]any
	must(json.Unmarshal(data, &fields))
	mask := q.query.Get("readMask")
	if mask == "" {
		return fields
	}
	for name := range fields {
		if !slices.Contains(strings.Split(mask, ","), name) {
			delete(fields, name)
		}
	}
	return fields
}

// filter reports whether a job of these labels and this state is asked for.
type filter func(labels map[string]string, state string) bool

var filterWords = regexp.MustCompile(`"[^"]*"|[():=]|[^\s():="]+`)

// parseFilter reads what both services understand: comparisons of labels.KEY and state
// by : or =, AND, OR, and parentheses.
func parseFilter(text string) (filter, error) {
	p := &filterParser{words: filterWords.FindAllString(text, -1)}
	if len(p.words) == 0 {
		return func(map[string]string, string) bool { return true }, nil
	}
	f := p.or()
	if p.wrong || len(p.words) > 0 {
		return nil, invalid("the filter %q", text)
	}
	return f, nil
}

type filterParser struct {
	words []string
	wrong bool
}

func (p *filterParser) next() string {
	if len(p.words) == 0 {
		p.wrong = true
		return ""
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

func (p *filterParser) takes(word string) bool {
	if len(p.words) == 0 || p.words[0] != word {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *filterParser) or() filter {
	left := p.and()
	for p.takes("OR") {
		one, other := left, p.and()
		left = func(l map[string]string, s string) bool { return one(l, s) || other(l, s) }
	}
	return left
}

func (p *filterParser) and() filter {
	left := p.one()
	for p.takes("AND") {
		one, other := left, p.one()
		left = func(l map[string]string, s string) bool { return one(l, s) && other(l, s) }
	}
	return left
}

func (p *filterParser) one() filter {
	if p.takes("(") {
		inner := p.or()
		p.wrong = p.wrong || !p.takes(")")
		return inner
	}
	field, sign, value := p.next(), p.next(), strings.Trim(p.next(), `"`)
	key, isLabel := strings.CutPrefix(field, "labels.")
	p.wrong = p.wrong || sign != ":" && sign != "=" || !isLabel && field != "state"
	return func(labels map[string]string, state string) bool {
		if isLabel {
			return labels[key] == value
		}
		return state == value
	}
}
