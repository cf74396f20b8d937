package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// comparison is the part of a tick that compares a slice of the records with the index.
type comparison struct {
	records interface {
		Filed(ctx context.Context, after string, page func([]attempt.Filed) error) error
	}
	index index
}

// sliceSize is how many records a tick compares with the index: one page.
const sliceSize = 1000

// recordSlice holds records that were listed before the index. If one without a verdict is not on the
// index then, it has got its verdict meanwhile, or the index has lost it.
type recordSlice struct {
	filed map[string]attempt.Filed
	last  string
	// atEnd reports that no record comes after the slice.
	atEnd  bool
	cursor attempt.Cursor
	// err is why the records could not be listed. The slice is empty then.
	err error
}

// list lists the slice at the cursor.
func (c comparison) list(ctx context.Context, b budget, at attempt.Cursor) recordSlice {
	at.Begin(b.begin)
	s := recordSlice{filed: map[string]attempt.Filed{}, cursor: at}
	err := c.records.Filed(ctx, at.After, func(page []attempt.Filed) error {
		for _, f := range page {
			s.filed[f.Attempt], s.last = f, f.Attempt
		}
		if len(s.filed) >= sliceSize {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return recordSlice{cursor: at, err: fmt.Errorf("the records: %w", err)}
	}
	s.atEnd = err == nil
	return s
}

// take takes the record of an index entry out of the slice. It reports whether the entry is older
// than the record: a worker that was stopped may have written it too late.
func (s recordSlice) take(e attempt.Entry) (drifted bool) {
	f, ok := s.filed[e.Attempt]
	delete(s.filed, e.Attempt)
	return ok && e.Revision < f.Revision
}

// repairResult is what became of the records that are left in a slice.
type repairResult struct {
	cursor attempt.Cursor
	// reopened counts those that are back on the index.
	reopened int
	failures failures
}

// repair puts those records back on the index that have no verdict and are left in the slice. If
// there is time for all of them, it moves the cursor.
func (c comparison) repair(ctx context.Context, b budget, s recordSlice) repairResult {
	did := repairResult{cursor: s.cursor}
	if s.err != nil {
		return did
	}
	for _, key := range slices.Sorted(maps.Keys(s.filed)) {
		if s.filed[key].State.Terminal() {
			continue
		}
		if !b.left(ctx, otherShare) {
			return did // the next tick lists the slice again
		}
		// A record that can't be read does not stop the scan: the next round tries again.
		reopened, err := c.index.reopen(ctx, key)
		if did.failures.add(err); reopened {
			did.reopened++
		}
	}
	if did.cursor.After = s.last; s.atEnd {
		did.cursor.End()
	}
	return did
}

// index puts attempts back on the ledger's index.
type index struct {
	records interface {
		Entry(ctx context.Context, key string) (attempt.Entry, error)
		Get(ctx context.Context, key string) (attempt.Stored, error)
		Open(ctx context.Context, e attempt.Entry) error
	}
	logger *slog.Logger
}

// reopen puts a record without a verdict back on the index. It reports whether the index had lost
// it.
func (x index) reopen(ctx context.Context, key string) (reopened bool, err error) {
	if _, err := x.records.Entry(ctx, key); !errors.Is(err, job.ErrNotFound) {
		return false, err // it is there: this tick did not visit it
	}
	stored, err := x.records.Get(ctx, key)
	if err != nil || stored.State.Terminal() {
		return false, err
	}
	x.logger.ErrorContext(ctx, "the index had lost an attempt", "attempt", key, "state", stored.State)
	e := attempt.NewEntry(stored)
	e.Revision = 0 // the next tick publishes whatever is unpublished
	return true, x.records.Open(ctx, e)
}
