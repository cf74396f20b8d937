package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	aiplatform "google.golang.org/api/aiplatform/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/logging/v2"
	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/training"
)

// endpointVariable is set by the settings that jobdrop local prints.
const endpointVariable = "JOBDROP_BACKEND_ENDPOINT"

// logsOptions are what jobdrop logs is asked for.
type logsOptions struct {
	job      string
	follow   bool
	task     string
	endpoint string
}

func newLogs(env Env, run func(context.Context, Env, logsOptions) error) *cobra.Command {
	var o logsOptions
	c := &cobra.Command{
		Use:   "logs JOB",
		Short: "Show the log of a job that ran on jobdrop local",
		Long: `Show the log of a job on a jobdrop local that runs: what the service and each
replica wrote, in order of time. JOB is any of the job's names: its ID as its
events tell it, the number that aiplatform/v1 gave it, or its resource name.`,
		Example: `  jobdrop logs census_20261122_120000_0123456789ab
  jobdrop logs census_20261122_120000_0123456789ab --follow --task worker-replica-0`,
		Args: takes("JOB"),
		RunE: func(c *cobra.Command, args []string) error {
			o.job = args[0]
			own := fmt.Sprintf("http://127.0.0.1:%d", trainingPort)
			o.endpoint = cmp.Or(o.endpoint, env.Getenv(endpointVariable), own)
			return run(c.Context(), env, o)
		},
	}
	c.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on until the job has ended")
	c.Flags().StringVar(&o.task, "task", "",
		"one replica's lines only, e.g. master-replica-0; service is the service's own")
	c.Flags().StringVar(&o.endpoint, "endpoint", "",
		"base URL of the training service (default: $"+endpointVariable+", else jobdrop local's own port)")
	return c
}

// logReader reads one job's log, each line once.
type logReader struct {
	logsOptions
	entries *logging.EntriesService
	jobs    *ml.ProjectsJobsService
	regions *aiplatform.ProjectsLocationsService
	// get returns the job that was found.
	get    func(ctx context.Context) (namedJob, error)
	whole  string // the filter of the job's log
	filter string // of the lines that are asked for
	last   *logging.LogEntry
}

// namedJob is a job by its names in the API that made it.
type namedJob struct {
	resource string // projects/…
	id       string // the last part of resource, by which its log goes
	display  string // jobdrop's own ID of it
	state    string
	created  string // in RFC 3339
	ended    bool
}

func ofML(j *ml.GoogleCloudMlV1__Job) namedJob {
	return namedJob{
		resource: "projects/" + local.Project + "/jobs/" + j.JobId, id: j.JobId, display: j.JobId, state: j.State,
		created: j.CreateTime, ended: j.EndTime != "",
	}
}

func ofVertex(resource, display, state, created, ended string) namedJob {
	return namedJob{
		resource: resource, id: path.Base(resource), display: display, created: created, ended: ended != "",
		state: strings.TrimPrefix(state, "JOB_STATE_"),
	}
}

func newLogReader(ctx context.Context, o logsOptions) (*logReader, error) {
	endpoint := []option.ClientOption{
		option.WithEndpoint(strings.TrimSuffix(o.endpoint, "/") + "/"), option.WithoutAuthentication(),
	}
	l, err := logging.NewService(ctx, endpoint...)
	if err != nil {
		return nil, err
	}
	m, err := ml.NewService(ctx, endpoint...)
	if err != nil {
		return nil, err
	}
	a, err := aiplatform.NewService(ctx, endpoint...)
	if err != nil {
		return nil, err
	}
	return &logReader{logsOptions: o, entries: l.Entries, jobs: m.Projects.Jobs, regions: a.Projects.Locations}, nil
}

// find finds the job by its name. Of jobs that share a name it takes the newest.
func (r *logReader) find(ctx context.Context) error {
	found, err := r.named(ctx)
	if err != nil {
		return err
	}
	r.whole = `resource.type="ml_job" AND resource.labels.job_id=` + quoted(found.id)
	r.filter = r.whole
	if r.task != "" {
		r.filter += ` AND resource.labels.task_name=` + quoted(r.task)
	}
	return nil
}

func (r *logReader) named(ctx context.Context) (namedJob, error) {
	own := "projects/" + local.Project + "/jobs/"
	id := strings.TrimPrefix(r.job, own)
	r.get = func(ctx context.Context) (namedJob, error) {
		if strings.ContainsAny(id, "/:") { // No job of ml/v1 has such an ID: in a path it would name another method.
			return namedJob{}, &googleapi.Error{Code: http.StatusNotFound}
		}
		j, err := r.jobs.Get(own + id).Context(ctx).Do()
		if err != nil {
			return namedJob{}, err
		}
		return ofML(j), nil
	}
	j, notFound := r.get(ctx)
	if answer, ok := errors.AsType[*googleapi.Error](notFound); !ok || answer.Code != http.StatusNotFound {
		return j, notFound
	}
	jobs, err := r.vertexJobs(ctx)
	if err != nil {
		return namedJob{}, err
	}
	for _, j := range slices.Backward(jobs) {
		if r.job != j.resource && r.job != j.id && r.job != j.display {
			continue
		}
		r.get = func(ctx context.Context) (namedJob, error) { return r.vertexJob(ctx, j.resource) }
		return j, nil
	}
	return namedJob{}, notFound
}

// vertexJobs returns the jobs of aiplatform/v1 in all regions, the oldest first.
func (r *logReader) vertexJobs(ctx context.Context) ([]namedJob, error) {
	var all []namedJob
	for _, region := range vertex.Regions() {
		parent := "projects/" + local.Project + "/locations/" + region
		err := errors.Join(
			r.regions.CustomJobs.List(parent).Pages(ctx, func(l *aiplatform.GoogleCloudAiplatformV1ListCustomJobsResponse) error {
				for _, j := range l.CustomJobs {
					all = append(all, ofVertex(j.Name, j.DisplayName, j.State, j.CreateTime, j.EndTime))
				}
				return nil
			}),
			r.regions.HyperparameterTuningJobs.List(parent).Pages(ctx,
				func(l *aiplatform.GoogleCloudAiplatformV1ListHyperparameterTuningJobsResponse) error {
					for _, j := range l.HyperparameterTuningJobs {
						all = append(all, ofVertex(j.Name, j.DisplayName, j.State, j.CreateTime, j.EndTime))
					}
					return nil
				}))
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, byAge)
	return all, nil
}

// byAge compares jobs by the time of their creation.
func byAge(a, b namedJob) int {
	at, _ := time.Parse(time.RFC3339Nano, a.created) // one without a time is the oldest
	bt, _ := time.Parse(time.RFC3339Nano, b.created)
	return at.Compare(bt)
}

func (r *logReader) vertexJob(ctx context.Context, resource string) (namedJob, error) {
	if strings.Contains(resource, "/customJobs/") {
		j, err := r.regions.CustomJobs.Get(resource).Context(ctx).Do()
		if err != nil {
			return namedJob{}, err
		}
		return ofVertex(j.Name, j.DisplayName, j.State, j.CreateTime, j.EndTime), nil
	}
	j, err := r.regions.HyperparameterTuningJobs.Get(resource).Context(ctx).Do()
	if err != nil {
		return namedJob{}, err
	}
	return ofVertex(j.Name, j.DisplayName, j.State, j.CreateTime, j.EndTime), nil
}

// quoted returns s as a string of Cloud Logging's filter language.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// followPoll is how often a followed log is read: a person watches, and the service
// is on this machine.
const followPoll = 300 * time.Millisecond

func showLogs(ctx context.Context, env Env, o logsOptions) error {
	r, err := newLogReader(ctx, o)
	if err != nil {
		return fault(err)
	}
	if err := r.find(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return r.explain(ctx, err)
	}
	p := newPrinter(env, formatText)
	poll := time.NewTicker(followPoll)
	defer poll.Stop()
	for {
		// The log is complete before the state says that the job has ended, so the
		// state is read first.
		ended, err := r.ended(ctx)
		if err == nil {
			err = r.read(ctx, p.log)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return r.explain(ctx, err)
		case p.failed() != nil:
			return fault(fmt.Errorf("output: %w", p.failed()))
		case ended || !o.follow:
			return r.checkTask(ctx)
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// checkTask returns an error if --task names a replica without a line, where others have some.
func (r *logReader) checkTask(ctx context.Context) error {
	if r.task == "" || r.last != nil {
		return nil
	}
	var tasks []string
	all := &logReader{logsOptions: r.logsOptions, entries: r.entries, filter: r.whole}
	err := all.read(ctx, func(l training.Line) {
		if !slices.Contains(tasks, l.Task) {
			tasks = append(tasks, l.Task)
		}
	})
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return r.explain(ctx, err)
	case len(tasks) == 0:
		return nil // the job has no log yet
	}
	slices.Sort(tasks)
	return exit(exitUsage, "no replica %s; there are %s", r.task, strings.Join(tasks, ", "))
}

// ended reports whether the job has ended.
func (r *logReader) ended(ctx context.Context) (bool, error) {
	j, err := r.get(ctx)
	return j.ended, err
}

// read calls line with each line that came since the last call.
func (r *logReader) read(ctx context.Context, line func(training.Line)) error {
	filter := r.filter
	if r.last != nil {
		t, id := quoted(r.last.Timestamp), quoted(r.last.InsertId)
		filter += fmt.Sprintf(` AND ((timestamp=%s AND insertId>%s) OR timestamp>%s)`, t, id, t)
	}
	request := &logging.ListLogEntriesRequest{
		ResourceNames: []string{"projects/" + local.Project}, Filter: filter,
		OrderBy: "timestamp asc", PageSize: 1000,
	}
	return r.entries.List(request).Pages(ctx, func(page *logging.ListLogEntriesResponse) error {
		for _, e := range page.Entries {
			line(lineOf(e))
			r.last = e
		}
		return nil
	})
}

func lineOf(e *logging.LogEntry) training.Line {
	l := training.Line{Text: e.TextPayload}
	var payload struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(e.JsonPayload, &payload) == nil && payload.Message != "" {
		l.Text = payload.Message
	}
	if e.Resource != nil {
		l.JobID, l.Task = e.Resource.Labels["job_id"], e.Resource.Labels["task_name"]
	}
	l.Trial = e.Labels["ml.googleapis.com/trial_id"]
	l.Time, _ = time.Parse(time.RFC3339Nano, e.Timestamp) // the zero time shows that there is none
	return l
}

// explain returns err with what to do about it.
func (r *logReader) explain(ctx context.Context, err error) error {
	var answer *googleapi.Error
	switch {
	case !errors.As(err, &answer):
		return exit(exitMissing,
			"no training service answers at %s: start jobdrop local, or name its own with --endpoint (%w)", r.endpoint, err)
	case answer.Code != http.StatusNotFound:
		return fault(err)
	}
	message := fmt.Sprintf("no job %q at %s", r.job, r.endpoint)
	const newest = 5
	all, _ := r.vertexJobs(ctx) // what can't be listed is not named
	if list, err := r.jobs.List("projects/" + local.Project).PageSize(newest).Context(ctx).Do(); err == nil {
		for _, j := range list.Jobs {
			all = append(all, ofML(j))
		}
	}
	slices.SortStableFunc(all, byAge)
	if len(all) > 0 {
		message += "; the newest are:"
	}
	for _, j := range slices.Backward(all[max(0, len(all)-newest):]) {
		message += "\n  " + j.display + "  " + j.state
	}
	return exit(exitUsage, "%s", message)
}
