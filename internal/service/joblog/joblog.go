// Package joblog reads the end of a failed job's log from Cloud Logging: the only
// package of the functions that imports its client.
package joblog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/logging/v2"
	"google.golang.org/api/option"
	htransport "google.golang.org/api/transport/http"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Options are a reader's settings. View is required.
type Options struct {
	// View is the resource whose entries are read: a log view,
	// projects/PROJECT/locations/LOCATION/buckets/BUCKET/views/VIEW.
	View string
	// Endpoint is the base URL of the service where it is not Google's own; plain http
	// means a local service without credentials.
	Endpoint string
	// Client sends the requests; nil is one with the environment's credentials.
	Client *http.Client
}

// Reader reads the logs of jobs. It is safe for concurrent use.
type Reader struct {
	view    string
	service *logging.Service
	quota   *rate.Limiter
}

// maxAnswer is the most bytes of an answer, and entries the most entries in one. A
// traceback has some tens of lines; replicas that fail together write theirs side by
// side.
const (
	maxAnswer = 4 << 20
	entries   = 500
)

// readsPerMinute bounds the reads. Cloud Logging takes 60 a minute in a project, and people read
// there, too.
const readsPerMinute = 20

// ErrQuota is returned when the reads are used up for now.
var ErrQuota = fmt.Errorf("the reads of logs are used up: %d at once, and as many in a minute", readsPerMinute/2)

// fields leaves out what is not read of an entry.
const fields googleapi.Field = "entries(timestamp,severity,textPayload,jsonPayload,labels,resource/labels)"

// New makes a reader, without a call.
func New(ctx context.Context, o Options) (*Reader, error) {
	if o.View == "" {
		return nil, errors.New("joblog: the view is required")
	}
	service, err := NewService(ctx, o.Endpoint, o.Client, maxAnswer)
	if err != nil {
		return nil, err
	}
	// As many at once as come back in a minute: together they are the bound.
	quota := rate.NewLimiter(rate.Every(2*time.Minute/readsPerMinute), readsPerMinute/2)
	return &Reader{view: o.View, service: service, quota: quota}, nil
}

// NewService returns a client of Cloud Logging whose answers have at most so many bytes. Endpoint and client are as
// [Options] have them.
func NewService(ctx context.Context, endpoint string, client *http.Client, most int64) (*logging.Service, error) {
	if client == nil {
		options := []option.ClientOption{option.WithScopes(logging.LoggingReadScope)}
		if strings.HasPrefix(endpoint, "http://") {
			options = []option.ClientOption{option.WithoutAuthentication()}
		}
		var err error
		if client, _, err = htransport.NewClient(ctx, options...); err != nil {
			return nil, fmt.Errorf("logging/v2 client: %w", err)
		}
	}
	limited := *client
	limited.Transport = bounded{client.Transport, most}
	options := []option.ClientOption{option.WithHTTPClient(&limited)}
	if endpoint != "" {
		options = append(options, option.WithEndpoint(strings.TrimSuffix(endpoint, "/")+"/"))
	}
	service, err := logging.NewService(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("logging/v2 client: %w", err)
	}
	return service, nil
}

// bounded is a transport whose answers have at most so many bytes. A trainer decides how long the lines of its log are.
type bounded struct {
	next http.RoundTripper
	most int64
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, b.most)
	}
	return response, err
}

// Excerpt returns the end of the log of what failed in a job: the line of the exception,
// and at most 4 KiB before it. It makes one call, and is empty if the log shows nothing
// yet. Beyond 20 calls in a minute it returns ErrQuota.
func (r *Reader) Excerpt(ctx context.Context, j attempt.BackendJob) (string, error) {
	if !r.quota.Allow() {
		return "", ErrQuota
	}
	answer, err := r.service.Entries.List(&logging.ListLogEntriesRequest{
		ResourceNames: []string{r.view}, Filter: filter(j), OrderBy: "timestamp desc", PageSize: entries,
	}).Fields(fields).Context(ctx).Do()
	if err != nil {
		return "", fmt.Errorf("read the log of job %s: %w", j.ResourceName, err)
	}
	lines := make([]line, 0, len(answer.Entries))
	for _, e := range answer.Entries {
		lines = append(lines, lineOf(e))
	}
	slices.Reverse(lines) // the oldest first
	return excerpt(lines, j), nil
}

// filter matches what a job's own programs wrote: those of the replica that the job's
// message names, if it names one. The service's own entries are left out: they say what
// the message says.
func filter(j attempt.BackendJob) string {
	parts := []string{
		`resource.type="ml_job"`, "resource.labels.job_id=" + strconv.Quote(path.Base(j.ResourceName)),
	}
	if replica := named(j.Message); replica != "" {
		parts = append(parts, "resource.labels.task_name="+strconv.Quote(replica))
	} else {
		parts = append(parts, `resource.labels.task_name!="service"`)
	}
	if !j.Created.IsZero() {
		parts = append(parts, "timestamp>="+strconv.Quote(j.Created.UTC().Format(time.RFC3339Nano)))
	}
	if trial := failedTrial(j); trial != "" {
		parts = append(parts, `labels."ml.googleapis.com/trial_id"=`+strconv.Quote(trial))
	}
	return strings.Join(parts, " AND ")
}

// failedTrial returns the ID of a tuning job's first trial that failed, if one is known.
func failedTrial(j attempt.BackendJob) string {
	for _, t := range j.Trials {
		if t.State == job.BackendFailed {
			return t.ID
		}
	}
	return ""
}

// line is an entry of a replica.
type line struct {
	replica  string
	severity string // as the entry has it: ERROR for what was written to stderr, INFO for stdout
	text     string
}

// lineOf returns the part of an entry that an excerpt shows.
func lineOf(e *logging.LogEntry) line {
	l := line{severity: e.Severity, text: e.TextPayload}
	if l.text == "" {
		var payload struct{ Message string }
		if json.Unmarshal(e.JsonPayload, &payload) == nil {
			l.text = payload.Message
		}
	}
	if e.Resource != nil {
		l.replica = e.Resource.Labels["task_name"]
	}
	if trial := e.Labels["ml.googleapis.com/trial_id"]; trial != "" {
		l.replica = trial + "/" + l.replica
	}
	return l
}
