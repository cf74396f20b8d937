package watcher

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// comparison is the part of a tick that compares a slice of the records with the index.
type comparison struct {
	records interface {
		Filed(ctx context.Context, after string, page func([]attempt.Filed) error) error
		Place(ctx context.Context, f attempt.Filed) (missing int, err error)
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
	// lately holds those that the index by time may lack, in the order of their names.
	lately []attempt.Filed
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
			if unplaced(f, at) {
				s.lately = append(s.lately, f)
			}
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

// mostPlaced is how many records a tick compares with the index by time. A tick that comes each minute gets
// through 72,000 changes a day.
const mostPlaced = 50

// Each request writes an attempt's first record within an hour, even one that was stopped for a while. By
// clockSlack the clocks of two workers may differ, and a list be behind.
const (
	firstRecord = time.Hour
	clockSlack  = time.Minute
)

// unplaced reports whether the index by time may lack a record: it changed since the last round began, and is
// new or has its verdict. An attempt is put there before its record is written, or taken off the index, so this
// finds what a revision of the functions left out that does not know the index by time. What changed 48 hours ago
// or earlier is left to jobdrop reindex.
func unplaced(f attempt.Filed, round attempt.Cursor) bool {
	since := latest(round.Before, round.Began.Add(-inboxAge)).Add(-clockSlack)
	return f.Written.After(since) && (f.State.Terminal() || f.Seen.IsZero() || f.Seen.After(since.Add(-firstRecord)))
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
	// reopened counts those that are back on the index, replaced the entries that are back in the index by
	// time.
	reopened, replaced int
	failures           failures
	// cut reports that there was not time for all, so that the next tick lists the slice again.
	cut bool
}

// repair puts those records back on the index that have no verdict and are left in the slice.
func (c comparison) repair(ctx context.Context, b budget, s recordSlice) repairResult {
	did := repairResult{cursor: s.cursor}
	if s.err != nil {
		did.cut = true
		return did
	}
	for _, key := range slices.Sorted(maps.Keys(s.filed)) {
		if s.filed[key].State.Terminal() {
			continue
		}
		if !b.left(ctx, otherShare) {
			did.cut = true
			return did
		}
		// A record that can't be read does not stop the scan: the next round tries again.
		reopened, err := c.index.reopen(ctx, key)
		if did.failures.add(err); reopened {
			did.reopened++
		}
	}
	return did
}

// finish puts those records of a slice that was repaired into the index by time that it may lack, and moves the
// cursor.
func (c comparison) finish(ctx context.Context, b budget, s recordSlice, did repairResult) repairResult {
	did.failures = failures{} // those before are known
	if did.cut {
		return did
	}
	c.place(ctx, b, s, &did)
	if did.cursor.After = s.last; s.atEnd {
		did.cursor.End()
	}
	return did
}

// place puts records of the slice into the index by time. If there are too many of them, or one can't be placed,
// the round does not count as whole, so that the next one compares them again. Which of them come first, changes
// from tick to tick.
func (c comparison) place(ctx context.Context, b budget, s recordSlice, did *repairResult) {
	first := 0
	if n := len(s.lately); n > mostPlaced {
		did.cursor.Failed = true
		h := fnv.New32a()
		_, _ = fmt.Fprint(h, b.begin.UnixNano())
		first = int(h.Sum32() % uint32(n)) // #nosec G115 -- n is at most a page of a list
	}
	for i := range min(len(s.lately), mostPlaced) {
		f := s.lately[(first+i)%len(s.lately)]
		if !b.left(ctx, placeShare) {
			did.cursor.Failed = true
			return
		}
		missing, err := c.records.Place(ctx, f)
		if err != nil {
			did.cursor.Failed = true
			did.failures.add(err)
		}
		did.replaced += missing
	}
}

// index puts attempts back on the ledger's index.
type index struct {
	records interface {
		Entry(ctx context.Context, key string) (attempt.Entry, error)
		Get(ctx context.Context, key string) (attempt.Stored, error)
		Restore(ctx context.Context, e attempt.Entry) error
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
	return true, x.records.Restore(ctx, e)
}
