package watcher

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// epoch is when the installation was first started. It is safe for concurrent use, and must not be
// copied.
type epoch struct {
	records interface {
		Epoch(ctx context.Context) (time.Time, error)
		Begin(ctx context.Context, at time.Time) error
		Filed(ctx context.Context, after string, page func([]attempt.Filed) error) error
	}
	now func() time.Time
	// at is the time as it was read; nil before that.
	at atomic.Pointer[time.Time]
}

// start returns when the installation was first started, and records it at the first start.
// Without that record nobody knows which drops are old.
func (e *epoch) start(ctx context.Context) (time.Time, error) {
	if at := e.at.Load(); at != nil {
		return *at, nil
	}
	at, err := e.records.Epoch(ctx)
	if errors.Is(err, job.ErrNotFound) {
		at, err = e.record(ctx)
	}
	if err != nil {
		return at, fmt.Errorf("drops whose event was lost are not looked for: %w", err)
	}
	e.at.Store(&at)
	return at, nil
}

// record records the time of the first start, and returns what is recorded then: another tick may
// have been faster.
func (e *epoch) record(ctx context.Context) (time.Time, error) {
	at, err := e.first(ctx)
	if err != nil {
		return at, err
	}
	if err := e.records.Begin(ctx, at); err != nil {
		return at, err
	}
	return e.records.Epoch(ctx)
}

// first returns the time of the first start if it was not recorded yet: now, or the time of the
// first record if drops came before the first tick.
func (e *epoch) first(ctx context.Context) (time.Time, error) {
	now := e.now().UTC()
	first, old := now, false
	err := e.records.Filed(ctx, "", func(page []attempt.Filed) error {
		for _, f := range page {
			old = old || f.Written.Before(now.Add(-inboxAge))
			if f.Written.Before(first) {
				first = f.Written
			}
		}
		if old {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return now, err
	}
	if old {
		return now, errors.New("the state bucket holds records, and no epoch: it was damaged; " +
			`write the object epoch with {"at": "TIME"}, the time from which on drops may be run`)
	}
	return first, nil
}
