// Package watcher is the use case behind the Watch function: it compares the
// ledger with the trainer and the clock, and heals what a crash left half done.
//
// Everything is computed from what is stored and what the trainer says now: a
// tick keeps nothing in memory, two of them may overlap, and one that dies half
// way only leaves work for the next.
package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// records is the ledger.
type records interface {
	Get(ctx context.Context, attempt string) (job.Stored, error)
	Apply(ctx context.Context, s job.Stored, o job.Observation, now time.Time) (after job.Stored, applied bool, err error)
	Owner(ctx context.Context, jobID string) (job.Owner, error)
	Entries(ctx context.Context, page func([]job.Entry) error) error
}

// trainer looks at jobs. A list may lag behind a get: absence from it is only a
// reason to look.
type trainer interface {
	ListActive(ctx context.Context, instance string, page func([]job.Look) error) error
	Get(ctx context.Context, j job.JobInfo) (job.Look, error)
	// TakesID tells whether a second create of a job ID is a conflict; where it
	// is none, an attempt may have two jobs, and one is cancelled.
	TakesID() bool
	Cancel(ctx context.Context, j job.JobInfo) error
}

// teller tells others what a record holds.
type teller interface {
	Tell(ctx context.Context, s job.Stored, known job.Entry) error
}

// resumer goes on with attempts that have no job yet; it is the submitter's.
type resumer interface {
	Resume(ctx context.Context, e job.Entry) error
	// Admit goes through those that are accepted and wait for their turn.
	Admit(ctx context.Context) error
}

// Options are an installation's settings.
type Options struct {
	// Instance names the installation.
	Instance string
	// Parallel is how many attempts are worked on at once: it bounds memory
	// and the requests to the trainer.
	Parallel int
	// Now is the clock.
	Now    func() time.Time
	Logger *slog.Logger
	// Double, where set, is called for each second job of an attempt that was
	// cancelled.
	Double func(ctx context.Context)
}

// Watcher is safe for concurrent use, in one process and in many.
type Watcher struct {
	records records
	trainer trainer
	teller  teller
	resumer resumer
	Options
}

// New makes a watcher; every part and option is required.
func New(r records, t trainer, tell teller, resume resumer, o Options) (*Watcher, error) {
	for name, missing := range map[string]bool{
		"records": r == nil, "trainer": t == nil, "teller": tell == nil, "resumer": resume == nil,
		"Instance": o.Instance == "", "Parallel": o.Parallel <= 0, "Now": o.Now == nil, "Logger": o.Logger == nil,
	} {
		if missing {
			return nil, fmt.Errorf("watcher: %s is required", name)
		}
	}
	return &Watcher{records: r, trainer: t, teller: tell, resumer: resume, Options: o}, nil
}

// reported is how many failures a tick tells in words: a log entry has a limit.
const reported = 20

// Tick looks once at every attempt without a verdict. One that fails does not
// stop the rest: all failures are returned together.
func (w *Watcher) Tick(ctx context.Context) error {
	begin := w.Now()
	active := map[string][]job.Look{}
	err := w.trainer.ListActive(ctx, w.Instance, func(page []job.Look) error {
		for _, l := range page {
			active[l.JobID] = append(active[l.JobID], l)
		}
		return nil
	})
	if err != nil {
		// Without the list nothing can be said of the jobs, but drops can
		// still be decided.
		err = fmt.Errorf("the trainer's jobs: %w", err)
		active = nil
	}
	seen, failed, queued := 0, 0, 0
	open := map[string]bool{} // job IDs
	listing := w.records.Entries(ctx, func(page []job.Entry) error {
		var group errgroup.Group
		group.SetLimit(w.Parallel)
		errs := make([]error, len(page))
		for i, e := range page {
			group.Go(func() error {
				errs[i] = w.visit(ctx, e, active)
				return nil
			})
		}
		_ = group.Wait() // the functions give none
		seen += len(page)
		for _, e := range page {
			if e.Waits != "" {
				queued++
			}
			open[e.JobID] = true
		}
		for _, e := range errs {
			if e == nil {
				continue
			}
			if failed++; failed <= reported {
				err = errors.Join(err, e)
			}
		}
		return ctx.Err()
	})
	if failed > reported {
		err = errors.Join(err, fmt.Errorf("and %d more attempts failed", failed-reported))
	}
	err = errors.Join(err, listing)
	if listing == nil {
		err = errors.Join(err, w.cancelLate(ctx, active, open))
	}
	if queued > 0 {
		err = errors.Join(err, w.resumer.Admit(ctx))
	}
	w.Logger.InfoContext(ctx, "tick", "open", seen, "queued", queued, "failed", failed, "active_jobs", len(active), "duration", w.Now().Sub(begin))
	return err
}

// visit looks at one attempt. active are the trainer's jobs that have not ended;
// nil where they could not be listed.
func (w *Watcher) visit(ctx context.Context, e job.Entry, active map[string][]job.Look) error {
	looks := active[e.JobID]
	if e.State == job.Accepted && e.Told() && len(looks) == 0 && (e.Waits != "" && !e.Doubtful || w.Now().Before(e.Due)) {
		return nil // not its turn, or not time for its next try
	}
	if e.State != job.Submitted {
		return w.resumer.Resume(ctx, e) // no job yet, as far as the index knows
	}
	if active == nil {
		return nil
	}
	var doubles error
	if !w.trainer.TakesID() && e.Resource != "" {
		doubles = w.cancelDoubles(ctx, e.Attempt, e.Resource, looks)
	}
	for _, l := range looks {
		if l.ResourceName == e.Resource && l.State == e.TrainerState && e.Told() {
			return doubles // nothing new
		}
	}
	stored, err := w.records.Get(ctx, e.Attempt)
	if err != nil {
		return err
	}
	stored.Published = e.Published
	observation, err := w.observe(ctx, stored, looks)
	if err != nil {
		return err
	}
	stored, applied, err := w.records.Apply(ctx, stored, observation, w.Now())
	if err != nil {
		return err
	}
	if applied {
		w.Logger.InfoContext(ctx, "job seen", "attempt", stored.Attempt, "job_id", stored.Job.ID,
			"state", stored.State, "trainer_state", stored.Job.State, "correlation_id", stored.CorrelationID)
	}
	return errors.Join(doubles, w.teller.Tell(ctx, stored, e))
}

// cancelDoubles cancels the jobs of an attempt that are not the one in its record:
// a process that froze in a create, and thawed after others had looked and
// created, may have made them.
func (w *Watcher) cancelDoubles(ctx context.Context, attempt, kept string, looks []job.Look) error {
	var errs []error
	for _, l := range looks {
		if l.ResourceName == kept || l.Labels[job.LabelAttempt] != job.AttemptLabel(attempt) || l.State == job.TrainerCancelling {
			continue
		}
		err := w.trainer.Cancel(ctx, job.JobInfo{ID: l.JobID, ResourceName: l.ResourceName})
		errs = append(errs, err)
		if err != nil {
			continue
		}
		w.Logger.ErrorContext(ctx, "second job of an attempt cancelled", "attempt", attempt, "job_id", l.JobID, "cancelled", l.ResourceName, "kept", kept)
		if w.Double != nil {
			w.Double(ctx)
		}
	}
	return errors.Join(errs...)
}

// cancelLate cancels doubles of attempts that have their verdict: no index entry
// tells of those.
func (w *Watcher) cancelLate(ctx context.Context, active map[string][]job.Look, open map[string]bool) error {
	if w.trainer.TakesID() {
		return nil
	}
	var errs []error
	for id, looks := range active {
		if open[id] {
			continue
		}
		owner, err := w.records.Owner(ctx, id)
		if errors.Is(err, job.ErrNotFound) {
			continue // not of this ledger
		}
		stored := job.Stored{}
		if err == nil {
			stored, err = w.records.Get(ctx, owner.Attempt)
		}
		if err == nil && stored.State.Terminal() {
			err = w.cancelDoubles(ctx, stored.Attempt, stored.Job.ResourceName, looks)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// observe gives what the trainer says of a record's job. looks are the jobs of its
// ID that have not ended.
func (w *Watcher) observe(ctx context.Context, stored job.Stored, looks []job.Look) (job.Observation, error) {
	for _, l := range looks {
		if l.ResourceName == stored.Job.ResourceName {
			return l, nil
		}
	}
	found, err := w.trainer.Get(ctx, stored.Job)
	if errors.Is(err, job.ErrNotFound) {
		return job.NotFound{}, nil
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}
