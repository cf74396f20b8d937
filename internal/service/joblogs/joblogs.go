// Package joblogs reads the logs of jobs from Cloud Logging: whole ones, windows of them, and what comes. One call reads
// a page; a window takes two at most, and all who follow a log share its polls, so that the quota of a project holds.
package joblogs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/logging/v2"

	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/internal/service/joblog"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Options are a reader's settings. Resource is required.
type Options struct {
	// Resource is whose entries are read: projects/PROJECT, or a log view.
	Resource string
	// Endpoint is the base URL of the service where it is not Google's own; plain http means a local service: without
	// credentials, a quota, or entries that come late.
	Endpoint string
	// Local says that the service is a local one, whatever its address.
	Local bool
	// Client sends the requests; nil is one with the environment's credentials.
	Client *http.Client
	// ReadsPerMinute bounds the reads of this reader; [DefaultReads] if it is 0. A project's quota is for all readers of
	// all processes.
	ReadsPerMinute int
}

// DefaultReads is how many reads a minute one reader takes. Cloud Logging takes 60 in a project, and excerpts of failed
// jobs take 20 at most (package joblog).
const DefaultReads = 30

const (
	// maxPage is how many entries a read asks for: the most that the service returns.
	maxPage = 1000
	// maxAnswer bounds the bytes of an answer. One that is larger is asked for again with fewer entries.
	maxAnswer = 8 << 20
	// maxCall bounds the time of a read.
	maxCall = 30 * time.Second
	// minBurst is how many reads come at once at least: a window takes two.
	minBurst = 2
)

// timing is how a service answers.
type timing struct {
	poll time.Duration // between the reads of a log that is followed
	late time.Duration // how late an entry may come, behind those of later times
	// settle is how long a log is read on when its job has ended.
	settle time.Duration
}

// The service of Google and one on this machine.
var (
	remote = timing{poll: 10 * time.Second, late: time.Minute, settle: time.Minute}
	local  = timing{poll: time.Second}
)

// Reader reads the logs of jobs. It is safe for concurrent use.
type Reader struct {
	resource string
	entries  *logging.EntriesService
	timing
	quota, polls *rate.Limiter

	mu       sync.Mutex
	followed map[string]*followed
}

// New makes a reader, without a call.
func New(ctx context.Context, o Options) (*Reader, error) {
	if o.Resource == "" {
		return nil, errors.New("joblogs: the resource is required")
	}
	if o.ReadsPerMinute < 0 {
		return nil, fmt.Errorf("joblogs: %d reads a minute are too few", o.ReadsPerMinute)
	}
	reads := cmp.Or(o.ReadsPerMinute, DefaultReads)
	perMinute := rate.Limit(float64(reads) / 60)
	service, err := joblog.NewService(ctx, o.Endpoint, o.Client, maxAnswer)
	if err != nil {
		return nil, err
	}
	r := &Reader{
		resource: o.Resource, entries: service.Entries, timing: remote, followed: map[string]*followed{},
		quota: rate.NewLimiter(perMinute, max(reads/3, minBurst)),
		polls: rate.NewLimiter(perMinute*2/3, 1), // the rest is for windows
	}
	if o.Local || strings.HasPrefix(o.Endpoint, "http://") {
		r.timing, r.quota, r.polls = local, rate.NewLimiter(rate.Inf, 1), rate.NewLimiter(rate.Inf, 1)
	}
	return r, nil
}

// list makes one call, as soon as the quota has room for it. It returns a [*logs.DeniedError] if a right is missing.
func (r *Reader) list(ctx context.Context, q *logging.ListLogEntriesRequest) (*logging.ListLogEntriesResponse, error) {
	wait, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	if err := r.quota.Wait(wait); err != nil {
		return nil, fmt.Errorf("the reads of logs are used up for now: %w", cmp.Or(ctx.Err(), context.DeadlineExceeded))
	}
	return r.call(ctx, q)
}

// call makes one call.
func (r *Reader) call(ctx context.Context, q *logging.ListLogEntriesRequest) (*logging.ListLogEntriesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, maxCall)
	defer cancel()
	q.ResourceNames = []string{r.resource}
	answer, err := r.entries.List(q).Context(ctx).Do()
	if api, ok := errors.AsType[*googleapi.Error](err); ok && api.Code == http.StatusForbidden {
		err = &logs.DeniedError{On: r.resource, Err: fmt.Errorf("%w: %w", job.ErrDenied, err)}
	}
	return answer, err
}

// tooLarge reports whether an answer was larger than a reader takes.
func tooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

// passing reports whether a failure may be over in a while.
func passing(err error) bool {
	api, ok := errors.AsType[*googleapi.Error](err)
	return !ok || api.Code == http.StatusRequestTimeout || api.Code == http.StatusTooManyRequests ||
		api.Code >= http.StatusInternalServerError
}

// quoted returns s as a string of Cloud Logging's query language.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.ToValidUTF8(s, "\uFFFD")) + `"`
}

// stamp returns a time as a string of the query language.
func stamp(t time.Time) string { return quoted(t.UTC().Format(time.RFC3339Nano)) }

// from returns the time from which the entries of a job are; zero if it is not known.
func from(j logs.Job) time.Time {
	if j.Created.IsZero() {
		return time.Time{}
	}
	return j.Created.Add(-time.Minute) // clocks differ
}

// filter returns a query of the lines of a job's log that f chooses.
func filter(j logs.Job, f logs.Filter) string {
	parts := []string{`resource.type="ml_job"`, `resource.labels.job_id=` + quoted(j.ID)}
	if f.Replica != "" {
		parts = append(parts, `resource.labels.task_name=`+quoted(f.Replica))
	}
	if f.Programs {
		parts = append(parts, `resource.labels.task_name!="service"`)
	}
	if f.Text != "" {
		parts = append(parts, `(jsonPayload.message:`+quoted(f.Text)+` OR textPayload:`+quoted(f.Text)+`)`)
	}
	if f.Errors {
		parts = append(parts, `severity>=ERROR`)
	}
	return strings.Join(parts, " AND ")
}

// lineOf returns an entry as a line.
func lineOf(e *logging.LogEntry) logs.Line {
	l := logs.Line{InsertID: e.InsertId, Severity: e.Severity, Text: e.TextPayload}
	var payload struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(e.JsonPayload, &payload) == nil && payload.Message != "" {
		l.Text = payload.Message
	}
	if e.Resource != nil {
		l.JobID, l.Replica = e.Resource.Labels["job_id"], e.Resource.Labels["task_name"]
	}
	l.Trial = e.Labels["ml.googleapis.com/trial_id"]
	l.Time, _ = time.Parse(time.RFC3339Nano, e.Timestamp) // the zero time shows that there is none
	return l
}
