package cli

import (
	"cmp"
	"context"
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
	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/internal/service/joblogs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// endpointVariable is set by the settings that jobdrop local prints.
const endpointVariable = "JOBDROP_BACKEND_ENDPOINT"

// logsOptions are what jobdrop logs is asked for.
type logsOptions struct {
	targetOptions
	job      string
	follow   bool
	replica  string
	tail     int
	endpoint string
	format   formatFlag
}

func newLogs(env Env, run func(context.Context, Env, logsOptions) error) *cobra.Command {
	var o logsOptions
	c := &cobra.Command{
		Use:   "logs ATTEMPT|JOB|DROP",
		Short: "Show the log of a job",
		Long: `Show the log of a job: what the service and each replica wrote, in order of
time.

` + nameHelp + `

JOB may be a resource name, too, and on a jobdrop local the number that
aiplatform/v1 gave the job.

The log is that of the installation that --env or JOBDROP_STATE_BUCKET names,
read from Cloud Logging; else that of a jobdrop local, which needs no settings.
Lines may come late there, so --follow reads the last minute again every 10
seconds, and goes on for 20 seconds when the job has ended.

On a terminal, lines have their colours and no other control sequence. Elsewhere
they are as the program wrote them. -o json prints one JSON a line.

Rights: logging.logEntries.list on the project, which roles/logging.viewer has,
and storage.objects.get on the status bucket for a drop, on the state bucket for
others. A resource name needs the first alone, and is followed until it is
interrupted.

Exit codes: 0 shown, whatever became of the job, 64 wrong usage or environment,
a job that no jobdrop local knows included, 66 there is no such attempt, or it
has no job, 69 a right or the service is missing, 70 jobdrop's own fault, 75 the
line was lost, 130 interrupted. An interrupt of --follow is 0.`,
		Example: `  # On jobdrop local.
  jobdrop logs census_20261122_120000_0123456789ab -f --replica worker-replica-0
  # On an installation.
  jobdrop logs teams/nlp/census/ --tail 100 --env acme.env`,
		Args: takes("ATTEMPT|JOB|DROP"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			if o.tail < 0 || o.tail > mostTail {
				return fmt.Errorf("--tail is %d, must be from 0 to %d", o.tail, mostTail)
			}
			if o.endpoint != "" && o.env != "" {
				return errors.New("--endpoint is a jobdrop local's, and --env names an installation: leave one out")
			}
			o.job = args[0]
			return run(c.Context(), env, o)
		},
	}
	f := c.Flags()
	o.flags(f)
	o.format.flag(f)
	f.BoolVarP(&o.follow, "follow", "f", false, "go on until the job has ended")
	f.StringVar(&o.replica, "replica", "",
		"one replica's lines only, e.g. master-replica-0 or workerpool0-0; service is the service's own")
	f.StringVar(&o.replica, "task", "", "as --replica")
	f.Lookup("task").Hidden = true // its name until December 2026
	f.IntVar(&o.tail, "tail", 0, "begin with the last lines, so many; 0 is with all")
	f.StringVar(&o.endpoint, "endpoint", "",
		"base URL of a jobdrop local's training service (default: $"+endpointVariable+", else jobdrop local's own port)")
	return c
}

// logReader finds a job of a jobdrop local, and its log.
type logReader struct {
	logsOptions
	logs    *joblogs.Reader
	source  logSource
	jobs    *ml.ProjectsJobsService
	regions *aiplatform.ProjectsLocationsService
	// get returns the job that was found.
	get func(ctx context.Context) (namedJob, error)
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
	l, err := joblogs.New(ctx, joblogs.Options{
		Resource: "projects/" + local.Project, Endpoint: o.endpoint, Local: true, Client: http.DefaultClient,
	})
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
	return &logReader{
		logsOptions: o, logs: l, jobs: m.Projects.Jobs, regions: a.Projects.Locations,
	}, nil
}

// find finds the job by its name. Of jobs that share a name it takes the newest.
func (r *logReader) find(ctx context.Context) error {
	found, err := r.named(ctx)
	if err != nil {
		return err
	}
	r.source = logSource{r.logs.Source(logs.Job{ID: found.id}, logs.Filter{Replica: r.replica}), followPoll}
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

// followPoll is how often the log of a jobdrop local is read that is followed: a person watches, and the service is on
// this machine.
const followPoll = 300 * time.Millisecond

func showLogs(ctx context.Context, env Env, o logsOptions) error {
	endpoint := env.Getenv(endpointVariable)
	if o.endpoint == "" && (o.env != "" || env.Getenv(stateVariable) != "") {
		v, err := o.view(ctx, env)
		if err != nil {
			return err
		}
		if v.BackendEndpoint == "" {
			return v.showLogs(ctx, env, o)
		}
		if o.job, err = v.localName(ctx, o); err != nil {
			return ended(ctx, err)
		}
		endpoint = v.BackendEndpoint
	}
	o.endpoint = cmp.Or(o.endpoint, endpoint, fmt.Sprintf("http://127.0.0.1:%d", trainingPort))
	return showLocalLogs(ctx, env, o)
}

// showLocalLogs shows the log of a job of a jobdrop local.
func showLocalLogs(ctx context.Context, env Env, o logsOptions) error {
	r, err := newLogReader(ctx, o)
	if err != nil {
		return fault(err)
	}
	if err := r.find(ctx); err != nil {
		if ctx.Err() != nil {
			return o.interrupted()
		}
		return r.explain(ctx, err)
	}
	return shownLog{source: r.source, ended: r.ended, explain: r.explain}.show(ctx, env, o)
}

// localName returns the name by which a jobdrop local knows the job of an attempt or a drop. Other names are its own.
func (v *view) localName(ctx context.Context, o logsOptions) (string, error) {
	name := o.job
	if !attemptForm.MatchString(name) && (!strings.Contains(name, "/") || strings.HasPrefix(name, "projects/")) {
		return name, nil
	}
	s, err := v.snapshot(ctx, name)
	if err == nil && s.Job.ResourceName == "" {
		err = o.noJob(s)
	}
	return s.Job.ResourceName, err
}

// noJob is the error of an attempt without a job, and so without a log.
func (o logsOptions) noJob(s job.Snapshot) error {
	return exit(exitUnknown, "the attempt is %s and has no job, so there is no log: %s says why", s.State,
		o.line("why", s.Attempt))
}

// showLogs shows the log of a job from Cloud Logging.
func (v *view) showLogs(ctx context.Context, env Env, o logsOptions) error {
	var s job.Snapshot
	if strings.HasPrefix(o.job, "projects/") {
		s.Job.ResourceName = o.job
	} else {
		var err error
		if s, err = v.snapshot(ctx, o.job); err != nil {
			return ended(ctx, err)
		}
		if s.Job.ResourceName == "" {
			return o.noJob(s)
		}
	}
	source, err := v.logs(ctx, s, logs.Filter{Replica: o.replica})
	if err != nil {
		return err
	}
	return shownLog{
		source: source,
		ended: func(ctx context.Context) (bool, error) {
			if s.Attempt == "" || s.State.Terminal() {
				return s.State.Terminal(), nil
			}
			now, err := v.again(ctx, s)
			return now.State.Terminal(), err
		},
		explain: func(ctx context.Context, err error) error { return ended(ctx, err) },
		settle:  settleReads, patience: lostReads,
	}.show(ctx, env, o)
}

// shownLog is a log that is shown.
type shownLog struct {
	source logSource
	// ended reports whether the job has ended, and explain returns an error with what to do about it.
	ended   func(context.Context) (bool, error)
	explain func(context.Context, error) error
	// settle is how many reads follow the end of the job: its last lines may come late. patience is how many reads in a
	// row may fail for a while.
	settle, patience int
}

// settleReads and lostReads are what Cloud Logging takes: lines come within some seconds, and five minutes without it
// are an outage.
const settleReads, lostReads = 2, 30

// show prints the log.
func (l shownLog) show(ctx context.Context, env Env, o logsOptions) error {
	p := newLogPrinter(env, o.format)
	if o.tail > 0 {
		last, err := l.source.Tail(ctx, o.tail)
		switch {
		case ctx.Err() != nil:
			return o.interrupted()
		case err != nil && passing(err) && l.patience > 0:
			return exit(exitRunning, "the line was lost: %w", err)
		case err != nil:
			return l.explain(ctx, err)
		}
		for _, e := range last {
			p.entry(e)
		}
		if !o.follow {
			return l.end(ctx, p, o)
		}
	}
	for after, failed := 0, 0; ; {
		// The log is complete before the state says that the job has ended, so the state is read first.
		over, err := l.ended(ctx)
		if err == nil {
			err = l.source.Read(ctx, p.entry)
		}
		switch {
		case ctx.Err() != nil:
			return o.interrupted()
		case err != nil && !passing(err), err != nil && l.patience == 0:
			return l.explain(ctx, err)
		case err != nil:
			if failed++; failed == 1 {
				fmt.Fprintln(env.Err, "jobdrop: the log can't be read for now:", oneLine(err.Error()))
			}
			if failed > l.patience || !o.follow {
				return exit(exitRunning, "the line was lost: %w", err)
			}
		case p.failed() != nil:
			return fault(fmt.Errorf("output: %w", p.failed()))
		case !o.follow, over && after == l.settle:
			return l.end(ctx, p, o)
		case over:
			after, failed = after+1, 0
		default:
			failed = 0
		}
		if sleep(ctx, l.source.poll) != nil {
			return o.interrupted()
		}
	}
}

// interrupted returns the error of a log that somebody interrupted: none if it is followed, since that is how it ends.
func (o logsOptions) interrupted() error {
	if o.follow {
		return nil
	}
	return exit(exitInterrupted, "interrupted: the log is not complete")
}

// end returns an error if the log could not be printed, or if --replica names a replica without a line, where others
// have some.
func (l shownLog) end(ctx context.Context, p *printer, o logsOptions) error {
	if p.failed() != nil {
		return fault(fmt.Errorf("output: %w", p.failed()))
	}
	if o.replica == "" || !l.source.Empty() {
		return nil
	}
	tasks, err := l.source.Replicas(ctx)
	switch {
	case ctx.Err() != nil:
		return o.interrupted()
	case err != nil:
		return l.explain(ctx, err)
	case len(tasks) == 0:
		return nil // the job has no log yet
	}
	return exit(exitUsage, "no replica %s; there are %s", o.replica, strings.Join(tasks, ", "))
}

// ended reports whether the job has ended.
func (r *logReader) ended(ctx context.Context) (bool, error) {
	j, err := r.get(ctx)
	return j.ended, err
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
