package notice

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/vm"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Vars are the variables of the expressions in the routes file, by their expr tags. A text that an event does
// not have is empty, a time is the year 1, and a number is 0. docs/notify.md lists them.
type Vars struct {
	Type     string `expr:"type"`
	State    string `expr:"state"`
	Kind     string `expr:"kind"`
	Instance string `expr:"instance"`

	Drop   string `expr:"drop"`
	Bucket string `expr:"bucket"`
	Folder string `expr:"folder"`

	Attempt  string `expr:"attempt"`
	Sequence int64  `expr:"sequence"`

	JobID         string            `expr:"jobId"`
	Backend       string            `expr:"backend"`
	PreviousState string            `expr:"previousState"`
	Region        string            `expr:"region"`
	Machine       string            `expr:"machine"`
	Image         string            `expr:"image"`
	Module        string            `expr:"module"`
	Labels        map[string]string `expr:"labels"`

	Reason       string `expr:"reason"`
	ErrorCode    string `expr:"errorCode"`
	ErrorMessage string `expr:"errorMessage"`
	Excerpt      string `expr:"excerpt"`
	Retryable    bool   `expr:"retryable"`

	TimeoutKind  string        `expr:"timeoutKind"`
	TimeoutLimit time.Duration `expr:"timeoutLimit"`
	DelayKind    string        `expr:"delayKind"`
	DelayCause   string        `expr:"delayCause"`

	Uploader      string `expr:"uploader"`
	Commit        string `expr:"commit"`
	Branch        string `expr:"branch"`
	UploaderURL   string `expr:"uploaderUrl"`
	CorrelationID string `expr:"correlationId"`

	Violations  []Violation `expr:"violations"`
	Missing     []string    `expr:"missing"`
	DuplicateOf string      `expr:"duplicateOf"`

	Waited  time.Duration `expr:"waited"`
	Ran     time.Duration `expr:"ran"`
	Dropped time.Time     `expr:"dropped"`
	Ended   time.Time     `expr:"ended"`

	ConsoleURL string `expr:"consoleUrl"`
	LogsURL    string `expr:"logsUrl"`

	Repeats int `expr:"repeats"`
}

// Violation is an entry of the variable violations.
type Violation struct {
	Rule    string `expr:"rule"`
	Warning bool   `expr:"warning"`
	Field   string `expr:"field"`
	File    string `expr:"file"`
	Line    int    `expr:"line"`
	Message string `expr:"message"`
	Remedy  string `expr:"remedy"`
}

// Bounds of the variables, so that no event makes an expression slow. An excerpt has at most 6 KiB.
const (
	maxVarText    = 8 << 10
	maxVarEntries = 200
)

// Scope holds the variables of one event, and evaluates expressions. It is made once for all expressions of the
// event, and is for one goroutine.
type Scope struct {
	vars    Vars
	machine vm.VM
}

// NewScope returns the variables of an event, before which so many others were not told.
func NewScope(e Event, repeats int) *Scope {
	b := &e.Body
	v := Vars{
		Type: e.Type().Short(), State: string(b.State), Kind: string(e.Kind()),
		Instance: strings.TrimPrefix(e.CloudEvent.Source(), "//jobdrop.dev/"),
		Drop:     subject(e), Bucket: b.Drop.Bucket, Folder: strings.TrimSuffix(b.Drop.Prefix, "/"),
		Attempt: b.Attempt, Sequence: b.Sequence,
		JobID: b.Job.ID, Backend: b.Job.Backend, PreviousState: string(b.Job.PreviousState),
		Reason: b.Reason, Uploader: b.Uploader.Name, Commit: b.Uploader.Commit, Branch: b.Uploader.Branch,
		UploaderURL: b.Uploader.URL, CorrelationID: b.CorrelationID, DuplicateOf: b.DuplicateOf,
		Waited: waited(e), Ran: ran(e), Dropped: b.Times.Dropped, Ended: b.Times.Ended,
		ConsoleURL: b.Links.Console, LogsURL: b.Links.Logs, Repeats: repeats,
	}
	if s := b.Job.Summary; s != nil {
		v.Region, v.Machine, v.Image, v.Module = s.Region, machine(s), s.ImageURI, s.PythonModule
	}
	if f := b.Error; f != nil {
		v.ErrorCode, v.ErrorMessage, v.Excerpt, v.Retryable = f.Code, f.Message, f.Excerpt, f.Retryable
	}
	if t := b.Timeout; t != nil {
		v.TimeoutKind, v.TimeoutLimit = t.Kind, time.Duration(t.Limit)
	}
	if d := b.Delay; d != nil {
		v.DelayKind, v.DelayCause = d.Kind, d.Cause
	}
	for _, s := range [...]*string{
		&v.Type, &v.State, &v.Instance, &v.Drop, &v.Bucket, &v.Folder, &v.Attempt, &v.JobID, &v.Backend, &v.PreviousState,
		&v.Region, &v.Machine, &v.Image, &v.Module, &v.Reason, &v.ErrorCode, &v.ErrorMessage, &v.Excerpt, &v.TimeoutKind,
		&v.DelayKind, &v.DelayCause, &v.Uploader, &v.Commit, &v.Branch, &v.UploaderURL, &v.CorrelationID, &v.DuplicateOf,
		&v.ConsoleURL, &v.LogsURL,
	} {
		*s = bound(*s)
	}
	v.Labels = boundLabels(b.Job.Labels)
	v.Missing = boundList(b.Drop.Missing, bound)
	v.Violations = boundList(b.Violations, func(f job.Violation) Violation {
		return Violation{
			Rule: bound(string(f.Rule)), Warning: f.Severity == job.Warning, Field: bound(f.Field), File: bound(f.File),
			Line:    f.Line,
			Message: bound(f.Message), Remedy: bound(f.Remedy),
		}
	})
	return &Scope{vars: v}
}

func bound(s string) string {
	if len(s) <= maxVarText && utf8.ValidString(s) {
		return s
	}
	return job.BoundText(s, maxVarText)
}

func boundList[T, U any](list []T, each func(T) U) []U {
	if len(list) == 0 {
		return nil
	}
	out := make([]U, min(len(list), maxVarEntries))
	for i := range out {
		out[i] = each(list[i])
	}
	return out
}

// boundLabels returns the labels as they are: a job has at most 64, of 63 characters. Of more, as only a hostile
// event has them, it returns none.
func boundLabels(labels map[string]string) map[string]string {
	if len(labels) <= maxVarEntries && !job.Larger(job.MaxLabels, labels) {
		return labels
	}
	return nil
}

// subject returns what people call the drop: its folder, or the bucket of a drop at its root.
func subject(e Event) string {
	if folder := strings.TrimSuffix(e.Body.Drop.Prefix, "/"); folder != "" {
		return folder
	}
	return e.Body.Drop.Bucket
}

// machine returns what the job's master runs on.
func machine(s *job.Summary) string {
	if s.MasterType != "" {
		return s.MasterType
	}
	return s.ScaleTier
}

// waited returns how long it took from the upload until the job ran, or has taken so far.
func waited(e Event) time.Duration {
	t := &e.Body.Times
	return between(t.Dropped, first(t.Started, t.Ended, t.Concluded, e.Time()))
}

// ran returns how long the job ran, or has run so far.
func ran(e Event) time.Duration {
	t := &e.Body.Times
	return between(t.Started, first(t.Ended, t.Concluded, e.Time()))
}

func between(from, to time.Time) time.Duration {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return max(0, to.Sub(from))
}

func first(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
