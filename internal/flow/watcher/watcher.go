// Package watcher is the use case behind the Watch function: it compares the ledger with the
// backend and the clock, and repairs what a crash left half done.
//
// Everything is computed from what is stored and what the backend says now. A tick keeps nothing
// in memory, two of them may overlap, and one that dies half way only leaves work for the next. A
// tick reads the index, not the records, and the backend's list of jobs that have not ended. It
// reads a record only if these two differ, or if something is due.
package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// records is the ledger.
type records interface {
	Get(ctx context.Context, key string) (attempt.Stored, error)
	Has(ctx context.Context, key string) (bool, error)
	Apply(
		ctx context.Context, s attempt.Stored, o attempt.Observation, now time.Time,
	) (after attempt.Stored, applied bool, err error)
	Restore(ctx context.Context, e attempt.Entry) error
	Entry(ctx context.Context, key string) (attempt.Entry, error)
	Entries(ctx context.Context, after string, page func([]attempt.Entry) error) error
	Turns(ctx context.Context) (attempt.Turns, error)
	QueueGeneration(ctx context.Context) (int64, error)
	WriteQueue(ctx context.Context, q attempt.Queue, generation int64) (int64, error)
	Place(ctx context.Context, f attempt.Filed) (missing int, err error)
	Filed(ctx context.Context, after string, page func([]attempt.Filed) error) error
	Owner(ctx context.Context, jobID string) (attempt.Owner, error)
	Named(ctx context.Context, name string) (attempt.Owner, error)
	Stranger(ctx context.Context, jobID, resource string) (known bool, err error)
	KeepStranger(ctx context.Context, jobID, resource string, found any) error
	Cursors(ctx context.Context) (attempt.Cursors, error)
	MoveCursors(ctx context.Context, c attempt.Cursors) error
	Epoch(ctx context.Context) (time.Time, error)
	Begin(ctx context.Context, at time.Time) error
	Beat(ctx context.Context, heartbeat any) error
	Requests(ctx context.Context, after string, page func([]attempt.Asked) error) error
	Asked(ctx context.Context, name string) (attempt.Asked, error)
	ReadRequest(ctx context.Context, a attempt.Asked) ([]byte, error)
	Dismiss(ctx context.Context, a attempt.Asked) (answered bool, err error)
	AnswerRequest(ctx context.Context, a attempt.Asked, answer attempt.Answer) error
}

// backend looks at jobs. A list may lag behind a get: absence from it is only a reason to poll.
type backend interface {
	// ListActive lists the jobs that have not ended, page by page. next is the position after a
	// page, to be passed as from in another call; it is empty at the end. If from is too old,
	// ListActive returns an [*attempt.RefusedError]. With any error, the pages before it were
	// passed on.
	ListActive(ctx context.Context, instance, from string, page func(page []attempt.BackendJob, next string) error) error
	Get(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error)
	Name() string
	// TakesID reports whether a second create of a job ID is a conflict. If it is not, an attempt
	// may have two jobs, and one is cancelled.
	TakesID() bool
	Cancel(ctx context.Context, j job.JobInfo) error
}

// objects is the inbox.
type objects interface {
	ListAfter(ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error
}

// teller publishes what a record holds.
type teller interface {
	Tell(ctx context.Context, s attempt.Stored, known attempt.Entry) error
}

// resumer continues attempts that have no job yet. The submitter implements it.
type resumer interface {
	// Submit looks at the folder of an object whose event may be lost.
	Submit(ctx context.Context, o job.Object) error
	// Replay does what Submit does, for an object of any age.
	Replay(ctx context.Context, o job.Object) error
	Resume(ctx context.Context, e attempt.Entry) error
	// Admit goes through the accepted attempts that wait for their turn. It begins nothing after
	// until. It returns who goes on waiting, or nil if that is not known.
	Admit(ctx context.Context, b *attempt.Backlog, until time.Time) (*attempt.Queue, error)
	// Rerun makes an attempt that runs an ended one's drop again, as a request asks.
	Rerun(ctx context.Context, of attempt.Record, r attempt.Request, a attempt.Asked) (attempt.Stored, error)
}

// Options holds an installation's settings.
type Options struct {
	// Instance names the installation. Inbox is its bucket of drops.
	Instance, Inbox string
	// Parallel is how many attempts are worked on at once. It bounds memory and the requests to
	// the backend.
	Parallel int
	// Budget is how long a tick may work. It is a minute less than the request's own limit: in
	// that minute the tick writes how far it came. The next tick does the rest.
	Budget time.Duration
	// PollsPerMinute bounds the polls at the backend's jobs.
	PollsPerMinute int
	// ReadsPerMinute bounds the polls and the pages of the backend's list together.
	ReadsPerMinute int
	// Now is the storage service's clock.
	Now    func() time.Time
	Logger *slog.Logger
	// Patience returns how long packages of a folder may lie without a job file before that is
	// reported (Alone), and how long if one is there by another name (Incomplete); 0 means without
	// end. If Patience is nil, nothing is reported.
	Patience func(ctx context.Context) (func(folder string) job.Patience, error)
	// Near returns which of the names in a folder may be meant as its job file, each with the remedy.
	// TellMisnamed writes a folder's status, if it has none. Without them such folders are not
	// reported.
	Near         func(names []string) []string
	TellMisnamed func(ctx context.Context, m job.Misnamed) error
	// Measure, if set, is called with what a tick did.
	Measure func(ctx context.Context, p Pulse)
	// Excerpt returns the end of the log of a job that failed, or nothing if events may not show it.
	// It is called before the verdict is written, some times a minute at most, and has little time.
	// If it is nil, or returns an error, the event has no excerpt.
	Excerpt func(ctx context.Context, r attempt.Record, l attempt.BackendJob) (string, error)
	// Double, if set, is called for each second job of an attempt that was cancelled.
	Double func(ctx context.Context)
}

// check returns an error for each required setting that is missing.
func (o Options) check() error {
	return errors.Join(
		required("Instance", o.Instance != ""), required("Inbox", o.Inbox != ""),
		required("Parallel", o.Parallel > 0), required("Budget", o.Budget > 0),
		required("PollsPerMinute", o.PollsPerMinute > 0), required("ReadsPerMinute", o.ReadsPerMinute > 0),
		required("Now", o.Now != nil), required("Logger", o.Logger != nil),
	)
}

func required(name string, set bool) error {
	if set {
		return nil
	}
	return fmt.Errorf("watcher: %s is required", name)
}

// hooked returns the settings with each hook set.
func (o Options) hooked() Options {
	if o.Patience == nil {
		endless := func(string) job.Patience { return job.Patience{} }
		o.Patience = func(context.Context) (func(string) job.Patience, error) { return endless, nil }
	}
	if o.TellMisnamed == nil {
		o.Near = nil
	}
	if o.Measure == nil {
		o.Measure = func(context.Context, Pulse) {}
	}
	if o.Excerpt == nil {
		o.Excerpt = func(context.Context, attempt.Record, attempt.BackendJob) (string, error) { return "", nil }
	}
	if o.Double == nil {
		o.Double = func(context.Context) {}
	}
	return o
}

// Watcher runs ticks, and takes hints. It is safe for concurrent use, in one process and in many.
type Watcher struct {
	records records
	backend backend
	objects objects
	teller  teller
	resumer resumer
	options Options
	// hints limits the polls that hints cause.
	hints    *rate.Limiter
	jobs     jobs
	follower follower

	// The parts of a tick.
	requests   requests
	listing    listing
	comparison comparison
	queue      queue
	pass       pass
	strangers  strangers
	inbox      inbox
}

// New returns a watcher. Every part is required, and every option except the hooks.
func New(r records, t backend, o objects, tell teller, resume resumer, options Options) (*Watcher, error) {
	if err := errors.Join(
		required("records", r != nil), required("backend", t != nil), required("objects", o != nil),
		required("teller", tell != nil), required("resumer", resume != nil), options.check(),
	); err != nil {
		return nil, err
	}
	options = options.hooked()
	polls, reads := options.PollsPerMinute, options.ReadsPerMinute
	// A burst and what follows it fit into one minute together. The pages may be more than any
	// burst takes; for them the steady rate counts.
	readLimit := limiter(float64(reads)*7/8, reads/8)
	w := &Watcher{
		records: r, backend: t, objects: o, teller: tell, resumer: resume, options: options,
		hints: limiter(float64(polls)/4, polls/4),
		jobs:  jobs{backend: t, polls: limiter(float64(polls)/2, polls/2), reads: readLimit, now: options.Now},
	}
	w.follower = follower{
		jobs: w.jobs, excerpts: excerpts{of: options.Excerpt, logger: options.Logger},
		backend: t, records: r, now: options.Now, logger: options.Logger,
	}
	w.listing = listing{backend: t, instance: options.Instance, reads: readLimit, logger: options.Logger}
	w.parts()
	return w, nil
}

// limiter returns a limiter of a rate and a burst.
func limiter(perMinute float64, burst int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perMinute/60), max(burst, 1))
}

// parts makes the parts of a tick that look at attempts and drops.
func (w *Watcher) parts() {
	r, service, logger := w.records, w.backend, w.options.Logger
	a := alerts{records: r, logger: logger}
	d := doubles{backend: service, jobs: w.jobs, alerts: a, cancelled: w.options.Double, logger: logger}
	x := index{records: r, logger: logger}
	w.requests = requests{records: r, submitter: w.resumer, teller: w.teller, now: w.options.Now, logger: logger}
	w.comparison = comparison{records: r, index: x}
	w.queue = queue{records: r, submitter: w.resumer}
	w.pass = pass{
		records: r, parallel: w.options.Parallel, logger: logger,
		visits: visitor{records: r, submitter: w.resumer, follower: w.follower, doubles: d, teller: w.teller},
	}
	w.strangers = strangers{records: r, takesID: service.TakesID(), jobs: w.jobs, index: x, doubles: d, alerts: a}
	w.inbox = inbox{
		bucket: w.options.Inbox, objects: w.objects,
		epoch:    &epoch{records: r, now: w.options.Now},
		drops:    drops{records: r, submitter: w.resumer, logger: logger},
		patience: w.options.Patience,
		lonely:   lonely{objects: w.objects, logger: logger},
		misnamed: misnamed{near: w.options.Near, tell: w.options.TellMisnamed, logger: logger},
	}
}
