package watcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Refresh polls one job at once, and updates its record. It does not trust the hint: it asks the
// backend. name is the job's ID, or what a backend that takes no ID calls it. Refresh ignores a job
// that this ledger does not know, at the cost of one read.
func (w *Watcher) Refresh(ctx context.Context, name string) error {
	find := w.records.Owner
	if !w.backend.TakesID() {
		find = w.records.Named
	}
	owner, err := find(ctx, name)
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
	if !w.hints.Allow() {
		return nil // ticks need the rest: the next one polls
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
	a, err := w.follower.ask(ctx, stored)
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
