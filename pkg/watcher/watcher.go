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
	Entries(ctx context.Context, page func([]job.Entry) error) error
}

// trainer looks at jobs. A list may lag behind a get: absence from it is only a
// reason to look.
type trainer interface {
	ListActive(ctx context.Context, instance string, page func([]job.Look) error) error
	Get(ctx context.Context, jobID string) (job.Look, error)
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
	active := map[string]job.Look{}
	err := w.trainer.ListActive(ctx, w.Instance, func(page []job.Look) error {
		for _, l := range page {
			active[l.JobID] = l
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
	if queued > 0 {
		err = errors.Join(err, w.resumer.Admit(ctx))
	}
	w.Logger.InfoContext(ctx, "tick", "open", seen, "queued", queued, "failed", failed, "active_jobs", len(active), "duration", w.Now().Sub(begin))
	return err
}

// visit looks at one attempt. active are the trainer's jobs that have not ended;
// nil where they could not be listed.
func (w *Watcher) visit(ctx context.Context, e job.Entry, active map[string]job.Look) error {
	if _, listed := active[e.JobID]; e.State == job.Accepted && e.Told() && !listed && (e.Waits != "" || w.Now().Before(e.Due)) {
		return nil // not its turn, or not time for its next try
	}
	if e.State != job.Submitted {
		return w.resumer.Resume(ctx, e) // no job yet, as far as the index knows
	}
	if active == nil {
		return nil
	}
	look, listed := active[e.JobID]
	if listed && look.State == e.TrainerState && e.Told() {
		return nil // nothing new
	}
	var observation job.Observation = look
	if !listed {
		found, err := w.trainer.Get(ctx, e.JobID)
		switch {
		case errors.Is(err, job.ErrNotFound):
			observation = job.NotFound{}
		case err != nil:
			return err
		default:
			observation = found
		}
	}
	stored, err := w.records.Get(ctx, e.Attempt)
	if err != nil {
		return err
	}
	stored.Published = e.Published
	stored, applied, err := w.records.Apply(ctx, stored, observation, w.Now())
	if err != nil {
		return err
	}
	if applied {
		w.Logger.InfoContext(ctx, "job seen", "attempt", stored.Attempt, "job_id", stored.Job.ID,
			"state", stored.State, "trainer_state", stored.Job.State, "correlation_id", stored.CorrelationID)
	}
	return w.teller.Tell(ctx, stored, e)
}
