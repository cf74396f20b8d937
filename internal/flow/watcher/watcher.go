// Package watcher is the use case behind the Watch function: it compares the ledger with the
// backend and the clock, and repairs what a crash left half done.
//
// Everything is computed from what is stored and what the backend says now. A tick keeps nothing
// in memory, two of them may overlap, and one that dies half way only leaves work for the next. A
// tick reads the index, not the records, and the backend's list of jobs that have not ended. It
// reads a record only if these two differ, or if something is due.
package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"sync/atomic"
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
	Open(ctx context.Context, e attempt.Entry) error
	Entry(ctx context.Context, key string) (attempt.Entry, error)
	Entries(ctx context.Context, after string, page func([]attempt.Entry) error) error
	Turns(ctx context.Context) (attempt.Turns, error)
	Filed(ctx context.Context, after string, page func([]attempt.Filed) error) error
	Owner(ctx context.Context, jobID string) (attempt.Owner, error)
	Stranger(ctx context.Context, jobID, resource string) (known bool, err error)
	KeepStranger(ctx context.Context, jobID, resource string, found any) error
	Cursors(ctx context.Context) (attempt.Cursors, error)
	MoveCursors(ctx context.Context, c attempt.Cursors) error
	Epoch(ctx context.Context) (time.Time, error)
	Begin(ctx context.Context, at time.Time) error
	Beat(ctx context.Context, heartbeat any) error
}

// backend looks at jobs. A list may lag behind a get: absence from it is only a reason to poll.
type backend interface {
	// ListActive lists the jobs that have not ended, page by page. next is the position after a
	// page, to be passed as from in another call; it is empty at the end. If from is too old,
	// ListActive returns an [*attempt.RefusedError]. With any error, the pages before it were
	// passed on.
	ListActive(ctx context.Context, instance, from string, page func(listed []attempt.BackendJob, next string) error) error
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
	// until.
	Admit(ctx context.Context, b *attempt.Backlog, until time.Time) error
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
	// PollsPerMinute bounds how often the backend is asked for one job.
	PollsPerMinute int
	// ReadsPerMinute bounds the polls and the pages of the backend's list together.
	ReadsPerMinute int
	// Now is the storage service's clock.
	Now    func() time.Time
	Logger *slog.Logger
	// Alone returns how long packages of a folder may lie without a job file before that is
	// reported; 0 means without end. If Alone is nil, nothing is reported.
	Alone func(ctx context.Context) (func(folder string) time.Duration, error)
	// Measure, if set, is called with what a tick did.
	Measure func(ctx context.Context, p Pulse)
	// Double, if set, is called for each second job of an attempt that was cancelled.
	Double func(ctx context.Context)
}

// Watcher runs ticks, and takes hints. It is safe for concurrent use, in one process and in many.
type Watcher struct {
	records records
	backend backend
	objects objects
	teller  teller
	resumer resumer
	// polls limits the polls, hints those of them that hints cause, and reads the polls and
	// the pages of the backend's list.
	polls, hints, reads *rate.Limiter
	// epoch is when the installation was first started; nil until that is known.
	epoch atomic.Pointer[time.Time]
	Options
}

// New returns a watcher. Every part is required, and every option except the hooks.
func New(r records, t backend, o objects, tell teller, resume resumer, options Options) (*Watcher, error) {
	for name, missing := range map[string]bool{
		"records": r == nil, "backend": t == nil, "objects": o == nil, "teller": tell == nil, "resumer": resume == nil,
		"Instance": options.Instance == "", "Inbox": options.Inbox == "",
		"Parallel": options.Parallel <= 0, "Budget": options.Budget <= 0,
		"PollsPerMinute": options.PollsPerMinute <= 0, "ReadsPerMinute": options.ReadsPerMinute <= 0,
		"Now": options.Now == nil, "Logger": options.Logger == nil,
	} {
		if missing {
			return nil, fmt.Errorf("watcher: %s is required", name)
		}
	}
	// A burst and what follows it fit into one minute together. The pages may be more than any
	// burst takes; for them the steady rate counts.
	perMinute, reads := options.PollsPerMinute, options.ReadsPerMinute
	return &Watcher{
		records: r, backend: t, objects: o, teller: tell, resumer: resume, Options: options,
		polls: rate.NewLimiter(rate.Limit(float64(perMinute)/2/60), max(perMinute/2, 1)),
		hints: rate.NewLimiter(rate.Limit(float64(perMinute)/4/60), max(perMinute/4, 1)),
		reads: rate.NewLimiter(rate.Limit(float64(reads)*7/8/60), max(reads/8, 1)),
	}, nil
}

// answer is the backend's answer about one job.
type answer struct {
	attempt.BackendJob
	found bool
	asked time.Time
}

func (l answer) observation() attempt.Observation {
	if !l.found {
		return attempt.NotFound(l.asked)
	}
	return attempt.Seen(l.BackendJob, l.asked)
}

// poll asks the backend for one job, as fast as the backend's read quota allows. It refuses a job that the
// installation gave to another backend before: this one would say that it does not exist.
func (w *Watcher) poll(ctx context.Context, j job.JobInfo) (answer, error) {
	if j.Backend != "" && j.Backend != w.backend.Name() {
		return answer{}, fmt.Errorf("job %s is with %s, and this installation asks %s: %w",
			j.ID, j.Backend, w.backend.Name(), attempt.ErrOtherBackend)
	}
	for _, limiter := range []*rate.Limiter{w.polls, w.reads} {
		if err := limiter.Wait(ctx); err != nil {
			return answer{}, err
		}
	}
	asked := w.Now()
	found, err := w.backend.Get(ctx, j)
	if errors.Is(err, job.ErrNotFound) {
		return answer{asked: asked}, nil
	}
	return answer{BackendJob: found, found: true, asked: asked}, err
}

// follow applies what the backend says of a record's job to the record, and cancels a job that is
// past its limit and the grace. listed holds the list's jobs of its ID, and asked is when the list
// was asked for. follow polls the job if it is not in listed, if they show it in an
// earlier state, or if something is due.
func (w *Watcher) follow(
	ctx context.Context, stored attempt.Stored, listed []attempt.BackendJob, asked time.Time, due bool,
) (after attempt.Stored, changed bool, err error) {
	var o attempt.Observation
	if !due {
		for _, l := range listed {
			if l.ResourceName == stored.Job.ResourceName && !stored.Behind(l) {
				o = attempt.Seen(l, asked)
			}
		}
	}
	cancellable := false
	if o == nil {
		answer, err := w.poll(ctx, stored.Job)
		if err != nil {
			return stored, false, err
		}
		// Only a job that was seen is cancelled: one that is gone can't be.
		o, cancellable = answer.observation(), answer.found
	}
	stored, changed, err = w.records.Apply(ctx, stored, o, w.Now())
	if err != nil {
		return stored, changed, err
	}
	if cancellable {
		if kind := stored.CancelDue(w.Now()); kind != "" {
			stored, err = w.cancel(ctx, stored, kind)
		}
	}
	return stored, changed, err
}

// cancel ends a job that is past a limit. The record says so before the call, so that whoever sees
// the job's end knows who ended it. The result is what the backend says afterwards.
func (w *Watcher) cancel(ctx context.Context, stored attempt.Stored, kind string) (attempt.Stored, error) {
	stored, _, err := w.records.Apply(ctx, stored, attempt.CancelJob{Kind: kind}, w.Now())
	if err != nil || stored.CancelDue(w.Now()) == "" {
		return stored, err
	}
	refused := w.backend.Cancel(ctx, stored.Job)
	w.Logger.WarnContext(ctx, "cancel asked for: the job is past its limit, and the backend has not ended it",
		"attempt", stored.Attempt, "job_id", stored.Job.ID, "limit", kind, "correlation_id", stored.CorrelationID)
	answer, err := w.poll(ctx, stored.Job)
	if err != nil {
		return stored, errors.Join(refused, err)
	}
	stored, _, err = w.records.Apply(ctx, stored, answer.observation(), w.Now())
	if stored.CancelDue(w.Now()) == "" {
		refused = nil // it has ended, or is being cancelled already
	}
	return stored, errors.Join(refused, err)
}

func (w *Watcher) logSeen(ctx context.Context, r attempt.Stored) {
	w.Logger.InfoContext(ctx, "job seen", "attempt", r.Attempt, "job_id", r.Job.ID,
		"state", r.State, "backend_state", r.Job.State, "correlation_id", r.CorrelationID)
}

// Refresh polls one job at once, and updates its record. It does not trust the hint: it asks the
// backend. A job is named by its ID, or by the backend's own name of it. Refresh ignores a job that
// this ledger does not know.
func (w *Watcher) Refresh(ctx context.Context, j job.JobInfo) error {
	switch {
	case w.backend.TakesID() && j.ID == "":
		j.ID = path.Base(j.ResourceName)
	case !w.backend.TakesID(): // j.ID is the backend's own
		if !w.hints.Allow() {
			return nil // ticks need the rest: the next one polls
		}
		found, err := w.poll(ctx, job.JobInfo{ResourceName: cmp.Or(j.ResourceName, j.ID)})
		if !found.found || err != nil {
			return err
		}
		j.ID = found.JobID
	}
	owner, err := w.records.Owner(ctx, j.ID)
	if errors.Is(err, job.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	stored, err := w.records.Get(ctx, owner.Attempt)
	if err != nil {
		return err
	}
	if stored.State != job.Submitted {
		return nil // no job yet, or none any more: ticks handle it
	}
	if w.backend.TakesID() && !w.hints.Allow() {
		return nil // as above; hints about other people's jobs do not get this far
	}
	e, err := w.records.Entry(ctx, stored.Attempt)
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return err
	}
	stored.Published = e.Published
	found, err := w.poll(ctx, stored.Job)
	if found.found && err == nil {
		// Only ticks record that a job is missing, and count how often.
		var changed bool
		if stored, changed, err = w.records.Apply(ctx, stored, found.observation(), w.Now()); changed {
			w.logSeen(ctx, stored)
		}
	}
	if err != nil {
		return err
	}
	return w.teller.Tell(ctx, stored, e)
}
