package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/logging/v2"
	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"

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
replica wrote, in order of time. JOB is the job's ID as its events tell it.`,
		Example: `  jobdrop logs census_20261122_120000_0123456789ab
  jobdrop logs census_20261122_120000_0123456789ab --follow --task worker-replica-0`,
		Args: cobra.ExactArgs(1),
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
	filter  string
	last    *logging.LogEntry
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
	r := &logReader{logsOptions: o, entries: l.Entries, jobs: m.Projects.Jobs}
	r.filter = `resource.type="ml_job" AND resource.labels.job_id=` + quoted(o.job)
	if o.task != "" {
		r.filter += ` AND resource.labels.task_name=` + quoted(o.task)
	}
	return r, nil
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
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// ended reports whether the job has ended.
func (r *logReader) ended(ctx context.Context) (bool, error) {
	j, err := r.jobs.Get("projects/" + local.Project + "/jobs/" + r.job).Context(ctx).Do()
	return err == nil && j.EndTime != "", err
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
	list, err := r.jobs.List("projects/" + local.Project).PageSize(5).Context(ctx).Do()
	if err == nil && len(list.Jobs) > 0 {
		message += "; the newest are:"
		for _, j := range list.Jobs {
			message += "\n  " + j.JobId + "  " + j.State
		}
	}
	return exit(exitUsage, "%s", message)
}
