package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Refresh polls one job at once, and updates its record. It does not trust the hint: it asks the backend. A job is named
// by its ID, or by the backend's own name of it. Refresh ignores a job that this ledger does not
// know.
func (w *Watcher) Refresh(ctx context.Context, j job.JobInfo) error {
	switch {
	case w.backend.TakesID() && j.ID == "":
		j.ID = path.Base(j.ResourceName)
	case !w.backend.TakesID(): // j.ID is the backend's own
		if !w.hints.Allow() {
			return nil // ticks need the rest: the next one polls
		}
		a, err := w.jobs.ask(ctx, job.JobInfo{ResourceName: cmp.Or(j.ResourceName, j.ID)})
		if !a.found || err != nil {
			return err
		}
		j.ID = a.job.JobID
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
	return w.refresh(ctx, stored)
}

// refresh polls the job of a record, and publishes what is new.
func (w *Watcher) refresh(ctx context.Context, stored attempt.Stored) error {
	e, err := w.records.Entry(ctx, stored.Attempt)
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return err
	}
	stored.Published = e.Published
	if stored.TellingElsewhere(w.options.Now()) {
		// Events that this one wrote would have to wait for those, or take them along a second time.
		return fmt.Errorf("attempt %s: %w", stored.Attempt, attempt.ErrTelling)
	}
	a, err := w.jobs.ask(ctx, stored.Job)
	if a.found && err == nil {
		// Only ticks record that a job is missing, and count how often.
		var changed bool
		if stored, changed, err = w.records.Apply(ctx, stored, a.observation(), w.options.Now()); changed {
			w.follower.logSeen(ctx, stored)
		}
	}
	if err != nil {
		return err
	}
	return w.teller.Tell(ctx, stored, e)
}
