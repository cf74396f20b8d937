// Package vertex is the adapter for Vertex AI's API, aiplatform/v1: the only
// package that imports its client.
//
// A job file is put into the API's words by [NewRequest], which tells every
// difference. The API takes no ID from its callers: each create makes a job. So a
// create is never repeated here, and jobs are found again by jobdrop's own labels.
// Jobs are in regions, each with an endpoint of its own, and in two collections
// there: custom jobs, and tuning jobs.
package vertex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/internal/rest"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Name is the backend's name in events and configuration.
const Name = "vertex"

// CallTimeout bounds one call with its retries. A claim on a create has to last
// more than twice as long.
const CallTimeout = rest.CallTimeout

// pageSize is that of lists: a mask keeps the jobs small.
const pageSize = 100

// The service takes 600 requests and 60 creates a minute in a project and region
// (its page on quotas); what is left is for other instances, for people and CI.
const (
	createsPerMinute = 40
	readsPerMinute   = 480
	burst            = 20
)

// Options are a backend's settings. Project and Regions are required.
type Options struct {
	Project string
	// Regions are those in which jobs may run: a tick lists each of them.
	Regions []string
	// Endpoint is the base URL of all regions where it is not Google's own;
	// plain http means a local service without credentials.
	Endpoint string
	// Client sends the requests; nil is one with the environment's credentials.
	Client *http.Client
	// Now is the clock of the creates' quota.
	Now func() time.Time
}

// Backend speaks to aiplatform/v1. It is safe for concurrent use.
type Backend struct {
	Options

	mu      sync.Mutex
	regions map[string]*region
}

// region is one region's service, and what may be asked of it.
type region struct {
	api
	creates *rate.Limiter
	reads   *rate.Limiter
}

// New makes a backend, without a call.
func New(ctx context.Context, o Options) (*Backend, error) {
	switch {
	case o.Project == "":
		return nil, errors.New("vertex: the project is required")
	case len(o.Regions) == 0:
		return nil, errors.New("vertex: the regions are required")
	case o.Now == nil:
		return nil, errors.New("vertex: Now is required")
	}
	t := &Backend{Options: o, regions: map[string]*region{}}
	if t.Client != nil {
		t.Client = rest.Limit(t.Client)
		return t, nil
	}
	var err error
	if t.Client, err = rest.NewClient(ctx, o.Endpoint); err != nil { // one transport for all regions
		return nil, fmt.Errorf("aiplatform/v1 client: %w", err)
	}
	return t, nil
}

// mostFormer is how many regions beside the installation's have a client at a time:
// those of jobs whose region was taken out of the settings.
const mostFormer = 8

// at returns a region's service.
func (t *Backend) at(name string) (*region, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.regions[name]; r != nil {
		return r, nil
	}
	if !slices.Contains(t.Regions, name) {
		t.forget()
	}
	calls, err := newAPI(t.Client, t.URL(name))
	if err != nil {
		return nil, err
	}
	r := &region{
		api:     calls,
		creates: rate.NewLimiter(createsPerMinute/60.0, burst),
		reads:   rate.NewLimiter(readsPerMinute/60.0, burst),
	}
	t.regions[name] = r
	return r, nil
}

// forget makes room for the client of a former region. The caller holds mu.
func (t *Backend) forget() {
	var former []string
	for name := range t.regions {
		if !slices.Contains(t.Regions, name) {
			former = append(former, name)
		}
	}
	if len(former) >= mostFormer {
		delete(t.regions, former[0]) // any: it is made again when it is asked for
	}
}

// serving returns the service that has a job, and the collection. Where the job is a
// record's, which names its backend, that is in any region; a name that somebody
// else gave is asked for in the installation's regions only, and elsewhere it gives
// [job.ErrNotFound].
func (t *Backend) serving(j job.JobInfo) (*region, string, error) {
	at, collection, ok := place(j.ResourceName)
	switch {
	case !ok:
		return nil, "", fmt.Errorf("job %q has no resource name: %w", cmp.Or(j.ResourceName, j.ID), job.ErrNotFound)
	case j.Backend != Name && !slices.Contains(t.Regions, at):
		return nil, "", fmt.Errorf("job %s is in %s, where this installation runs none: %w", j.ResourceName, at,
			job.ErrNotFound)
	}
	r, err := t.at(at)
	return r, collection, err
}

// URL returns the base URL of a region's service.
func (t *Backend) URL(region string) string {
	if t.Endpoint != "" {
		return strings.TrimSuffix(t.Endpoint, "/") + "/"
	}
	return URL(region)
}

// URL returns the base URL of Google's own service in a region.
func URL(region string) string { return "https://" + region + "-aiplatform.googleapis.com/" }

// Name returns the backend's name.
func (t *Backend) Name() string { return Name }

// TakesID reports false: each create makes a job.
func (t *Backend) TakesID() bool { return false }

// EnforcesWait reports false: the service has no limit on a job's wait.
func (t *Backend) EnforcesWait() bool { return false }

// Check returns every difference between the job file and what the service can be
// asked for.
func (t *Backend) Check(o job.Order) []plan.Diagnostic {
	_, told := t.request(o)
	return told
}

func (t *Backend) request(o job.Order) (Request, []plan.Diagnostic) {
	r, told := NewRequest(t.Project, o, t.Now())
	if !slices.Contains(t.Regions, r.Region()) {
		told = append(told, plan.Diagnostic{
			Field: "trainingInput.region", Action: plan.Unmappable,
			Why:    "this installation runs jobs in " + strings.Join(t.Regions, ", ") + " only",
			Remedy: "choose one of these, or have the operator add it to JOBDROP_REGIONS",
		})
	}
	return r, told
}

// Create creates a job: a second call makes a second job. It gives a
// [*job.RefusedError] where the service refuses for good, [job.ErrQuota] where it
// can't take the job now or the creates of a minute are used up; after any other
// error the job may be there.
func (t *Backend) Create(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
	request, told := t.request(o)
	if refused := unmappable(told); refused != nil {
		return attempt.BackendJob{}, refused
	}
	r, err := t.at(request.Region())
	if err != nil {
		return attempt.BackendJob{}, err
	}
	if !r.creates.AllowN(t.Now(), 1) {
		return attempt.BackendJob{}, fmt.Errorf("create job %s: more than %d creates a minute in %s: %w", o.JobID,
			createsPerMinute,
			request.Region(), job.ErrQuota)
	}
	ctx, cancel := context.WithTimeout(ctx, rest.CallTimeout)
	defer cancel()
	made, err := r.create(ctx, request)
	if err == nil && (made == nil || made.name == "") {
		err = rest.ErrNoJob
	}
	if err != nil {
		return attempt.BackendJob{}, fmt.Errorf("create job %s: %w", o.JobID, rest.Classify(err))
	}
	return t.backendJob(made), nil
}

// unmappable returns the refusal of a job that can't be translated for the API.
func unmappable(told []plan.Diagnostic) error {
	refused := &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: "the job can't run on Vertex AI"}
	for _, d := range told {
		if d.Action == plan.Unmappable {
			refused.Fields = append(refused.Fields, d.Violation(false))
		}
	}
	if len(refused.Fields) == 0 {
		return nil
	}
	return refused
}

// Find returns the jobs that creates of an order made, the oldest first. The list
// may lag behind. It has no trials, so Find also gets each tuning job by itself.
func (t *Backend) Find(ctx context.Context, o job.Order) ([]attempt.BackendJob, error) {
	request, _ := t.request(o)
	var found []attempt.BackendJob
	err := t.list(ctx, request.Region(), request.Collection(), labelled(job.LabelAttempt, o.Labels[job.LabelAttempt]), "",
		func(page []attempt.BackendJob, _ string) error {
			for _, l := range page {
				// Whatever the service makes of a filter.
				if l.Labels[job.LabelAttempt] != o.Labels[job.LabelAttempt] ||
					l.Labels[job.LabelInstance] != o.Labels[job.LabelInstance] {
					continue
				}
				if request.Tuning != nil && l.State.Ended() {
					var err error
					if l, err = t.Get(ctx, job.JobInfo{ID: l.JobID, ResourceName: l.ResourceName}); err != nil {
						return err
					}
				}
				found = append(found, l)
			}
			return nil
		})
	slices.SortStableFunc(found, func(a, b attempt.BackendJob) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ResourceName, b.ResourceName))
	})
	return found, err
}

// Get returns one job, by its resource name; one that is not there gives
// [job.ErrNotFound]. A bare ID, or a name without its project's or region's, is
// looked for nowhere, and one that is not a record's in the installation's regions
// only.
func (t *Backend) Get(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error) {
	r, collection, err := t.serving(j)
	if err != nil {
		return attempt.BackendJob{}, err
	}
	result, err := invoke(ctx, r.reads, func(ctx context.Context) (*found, error) {
		return r.get(ctx, collection, j.ResourceName)
	})
	if err == nil && (result == nil || result.name == "") {
		err = rest.ErrNoJob
	}
	if err != nil {
		return attempt.BackendJob{}, fmt.Errorf("get job %s: %w", j.ResourceName, rest.Classify(err))
	}
	return t.backendJob(result), nil
}

// place splits a resource name: projects/PROJECT/locations/REGION/COLLECTION/ID.
func place(name string) (region, collection string, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 6 || parts[0] != "projects" || parts[2] != "locations" {
		return "", "", false
	}
	// A region becomes part of a host's name, and the rest part of a path.
	for i, more := range map[int]string{1: ".:", 3: "", 5: ""} {
		if parts[i] == "" || strings.Trim(parts[i], "abcdefghijklmnopqrstuvwxyz0123456789-"+more) != "" {
			return "", "", false
		}
	}
	return parts[3], parts[4], parts[4] == customJobs || parts[4] == tuningJobs
}

// active are the states of jobs that have not ended.
var active = []string{
	"JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_UPDATING", "JOB_STATE_PAUSED",
	"JOB_STATE_CANCELLING",
}

// ListActive calls page for each page of an installation's jobs that have not
// ended, in all regions and both collections. It may lag behind Get. next is where
// the list goes on after the page, in this call or as from in another; it is empty at
// the end. A from that is no such place, or that the service no longer knows, gives a
// [*job.RefusedError]. A region that does not answer does not stop the others: its
// error is given at the end.
func (t *Backend) ListActive(ctx context.Context, instance, from string,
	page func(jobs []attempt.BackendJob, next string) error) error {
	var alternatives []string
	for _, s := range active {
		alternatives = append(alternatives, `state="`+s+`"`)
	}
	filter := labelled(job.LabelInstance, job.InstanceLabel(instance)) + " AND (" + strings.Join(alternatives, " OR ") +
		")"
	var shelves []shelf
	for _, region := range t.Regions {
		shelves = append(shelves, shelf{region, customJobs}, shelf{region, tuningJobs})
	}
	first, token := 0, ""
	if from != "" {
		var s shelf
		if s, token = parseShelf(from); !slices.Contains(shelves, s) {
			return &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: "no list goes on there any more"}
		}
		first = slices.Index(shelves, s)
	}
	var errs []error
	for i, s := range shelves[first:] {
		after := ""
		if rest := shelves[first:][i+1:]; len(rest) > 0 {
			after = rest[0].at("")
		}
		var stop error // page's own
		err := t.list(ctx, s.region, s.collection, filter, token, func(jobs []attempt.BackendJob, next string) error {
			if next != "" {
				next = s.at(next)
			} else {
				next = after
			}
			jobs = slices.DeleteFunc(jobs,
				func(l attempt.BackendJob) bool { return l.Labels[job.LabelInstance] != job.InstanceLabel(instance) })
			stop = page(jobs, next)
			return stop
		})
		if stop != nil || err != nil && ctx.Err() != nil {
			return cmp.Or(stop, err)
		}
		errs, token = append(errs, err), ""
	}
	return errors.Join(errs...)
}

// labelled returns a filter by a label.
func labelled(key, value string) string { return "labels." + key + `="` + value + `"` }

// shelf is a region and collection: a list of its own.
type shelf struct{ region, collection string }

// at returns a place in the shelf, by the service's token.
func (s shelf) at(token string) string { return s.region + "/" + s.collection + "/" + token }

func parseShelf(place string) (s shelf, token string) {
	s.region, place, _ = strings.Cut(place, "/")
	s.collection, token, _ = strings.Cut(place, "/")
	return s, token
}

// mask are the fields that a list is asked for.
const mask = "name,displayName,labels,state,createTime,startTime,endTime,error"

// list calls page with the jobs of a region and collection that match a filter. It
// starts at the page that token names.
func (t *Backend) list(ctx context.Context, at, collection, filter, token string,
	page func(jobs []attempt.BackendJob, next string) error) error {
	r, err := t.at(at)
	if err != nil {
		return err
	}
	parent := "projects/" + t.Project + "/locations/" + at
	for {
		var next string
		all, err := invoke(ctx, r.reads, func(ctx context.Context) (all []*found, err error) {
			all, next, err = r.list(ctx, collection, parent, filter, token)
			return all, err
		})
		if err != nil {
			return fmt.Errorf("list %s in %s: %w", collection, at, rest.Classify(err))
		}
		jobs := make([]attempt.BackendJob, 0, len(all))
		for _, f := range all {
			if f != nil && f.name != "" {
				jobs = append(jobs, t.backendJob(f))
			}
		}
		if err := page(jobs, next); err != nil {
			return err
		}
		if token = next; token == "" {
			return nil
		}
	}
}

// Cancel asks the service to end a job. That it was asked is not a sign that the job
// has stopped: look at it again.
func (t *Backend) Cancel(ctx context.Context, j job.JobInfo) error {
	r, collection, err := t.serving(j)
	if err != nil {
		return err
	}
	_, err = invoke(ctx, r.reads, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.cancel(ctx, collection, j.ResourceName)
	})
	if err != nil {
		return fmt.Errorf("cancel job %s: %w", j.ResourceName, rest.Classify(err))
	}
	return nil
}

// invoke makes a call that may be repeated, each time within the region's quota of
// requests. A create is none: each makes a job.
func invoke[T any](ctx context.Context, quota *rate.Limiter, call func(context.Context) (T, error)) (T, error) {
	return rest.Invoke(ctx, func(ctx context.Context) (result T, err error) {
		if err := quota.Wait(ctx); err != nil {
			return result, err
		}
		return call(ctx)
	})
}

// id returns the last part of a resource name.
func id(resource string) string { return path.Base(resource) }
