package watcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// queue is the part of a tick that lets the submitter go through the attempts that wait for their
// turn, with the backlog of the whole index.
type queue struct {
	records interface {
		Turns(ctx context.Context) (attempt.Turns, error)
		Entries(ctx context.Context, after string, page func([]attempt.Entry) error) error
		QueueGeneration(ctx context.Context) (int64, error)
		WriteQueue(ctx context.Context, q attempt.Queue, generation int64) (int64, error)
	}
	submitter interface {
		Admit(ctx context.Context, b *attempt.Backlog, until time.Time) (*attempt.Queue, error)
	}
}

// open reads the turns and returns a backlog without entries. It comes before the list of the
// index: see [attempt.Backlog]. With an error the backlog starts nothing.
func (q queue) open(ctx context.Context, b budget) (*attempt.Backlog, error) {
	turns, err := q.records.Turns(ctx)
	if err != nil {
		err = fmt.Errorf("the queue: %w", err)
	}
	return attempt.NewBacklog(turns, b.begin), err
}

// coverage is the part of the index that a pass visited: the entries after from, up to to, or to
// the end of the index if atEnd is set.
type coverage struct {
	from, to string
	atEnd    bool
}

// all reports whether the pass visited all of the index.
func (c coverage) all() bool { return c.from == "" && c.atEnd }

// run adds the entries that the pass did not visit to the backlog, and goes through the queue. It
// lists only that part of the index. It returns who goes on waiting, or nil if that is not known.
func (q queue) run(
	ctx context.Context, b budget, backlog *attempt.Backlog, visited coverage,
) (*attempt.Queue, error) {
	add := func(page []attempt.Entry) {
		for _, e := range page {
			backlog.Add(e)
		}
	}
	if visited.from != "" {
		if err := q.upTo(ctx, visited.from, add); err != nil {
			return nil, fmt.Errorf("the queue: %w", err)
		}
	}
	if !visited.atEnd {
		if err := q.records.Entries(ctx, visited.to, func(page []attempt.Entry) error {
			add(page)
			return nil
		}); err != nil {
			return nil, fmt.Errorf("the queue: %w", err)
		}
	}
	return q.submitter.Admit(ctx, backlog, b.begin.Add(b.share(otherShare)))
}

// unknownQueue is the digest of a note that somebody else wrote. It equals no other, so the next tick writes anew.
const unknownQueue = "unknown"

// write writes the note of who waits, unless last says the same and is still there: a tick that
// died after its write said nothing of it. It returns which note is there.
func (q queue) write(ctx context.Context, waiting attempt.Queue, last attempt.QueueNote) (attempt.QueueNote, error) {
	digest, err := waiting.Digest()
	if err != nil {
		return last, err
	}
	if digest == last.Digest {
		present, err := q.records.QueueGeneration(ctx)
		if err != nil {
			return last, fmt.Errorf("the queue: %w", err)
		}
		if present == last.Generation {
			return last, nil
		}
		last.Generation = present
	}
	generation, err := q.records.WriteQueue(ctx, waiting, last.Generation)
	switch {
	case errors.Is(err, attempt.ErrStale):
		return attempt.QueueNote{Digest: unknownQueue, Generation: generation}, nil
	case errors.Is(err, job.ErrQuota):
		return last, nil // another tick has just written its own
	case err != nil:
		return last, fmt.Errorf("the queue: %w", err)
	}
	return attempt.QueueNote{Digest: digest, Generation: generation}, nil
}

// upTo lists the index from its beginning to an attempt, inclusive.
func (q queue) upTo(ctx context.Context, last string, add func([]attempt.Entry)) error {
	err := q.records.Entries(ctx, "", func(page []attempt.Entry) error {
		i, found := slices.BinarySearchFunc(page, last, func(e attempt.Entry, last string) int {
			return strings.Compare(e.Attempt, last)
		})
		if i == len(page) {
			add(page)
			return nil
		}
		if found {
			i++
		}
		add(page[:i])
		return errEnough
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
