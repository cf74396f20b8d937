package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/time/rate"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// listing is the part of a tick that lists the backend's jobs that have not ended.
type listing struct {
	backend interface {
		ListActive(ctx context.Context, instance, from string, page func(page []attempt.BackendJob, next string) error) error
	}
	instance string
	// reads limits the pages of the list and the polls together.
	reads  *rate.Limiter
	logger *slog.Logger
}

// longestToken is the longest position in a backend's list that is kept, in bytes of JSON. The
// note of the cursors is small.
const longestToken = 16 << 10

// jobList is what a tick has of the list.
type jobList struct {
	jobs   *sightings
	cursor attempt.Cursor
	// err is why the list is not longer. If only the time for it was over, it is nil.
	err error
}

// run lists the jobs from the cursor on, for as long as the tick's time allows, and moves the
// cursor. A part of the list is used too, but only a whole list shows that a job is missing.
func (l listing) run(ctx context.Context, b budget, at attempt.Cursor) jobList {
	ctx, cancel := context.WithTimeout(ctx, b.share(listShare))
	defer cancel()
	found, whole := newSightings(), at.After == ""
	pages, err := l.list(ctx, b, &at, found)
	if pages == 0 && !whole && tooOld(err) {
		at.After, whole = "", true
		pages, err = l.list(ctx, b, &at, found)
	}
	if pages > 0 {
		found.extent = someJobs
	}
	if err == nil {
		if at.End(); pages > 0 && whole {
			found.extent = allJobs
		}
		return jobList{jobs: found, cursor: at}
	}
	if pages == 0 && !errors.Is(err, job.ErrQuota) || job.TextSize(at.After) > longestToken {
		at.After = "" // the position may be what is wrong
	}
	if pages > 0 && (errors.Is(err, errEnough) || ctx.Err() != nil) {
		l.logger.WarnContext(ctx, "the time for the backend's list is over: the next tick goes on", "pages", pages)
		return jobList{jobs: found, cursor: at}
	}
	return jobList{jobs: found, cursor: at, err: fmt.Errorf("the backend's jobs: %w", err)}
}

// list adds the jobs of each page to found, and returns how many pages there were.
func (l listing) list(ctx context.Context, b budget, at *attempt.Cursor, found *sightings) (pages int, err error) {
	at.Begin(b.begin)
	if err := l.reads.Wait(ctx); err != nil {
		return 0, err
	}
	err = l.backend.ListActive(ctx, l.instance, at.After, func(page []attempt.BackendJob, next string) error {
		for _, l := range page {
			found.add(l)
		}
		pages++
		if at.After = next; next == "" {
			return nil
		}
		if l.reads.Wait(ctx) != nil {
			return errEnough
		}
		return nil
	})
	return pages, err
}

// tooOld reports whether err may mean that the backend no longer knows the position in its list.
func tooOld(err error) bool {
	var refused *attempt.RefusedError
	return errors.As(err, &refused) || errors.Is(err, job.ErrNotFound)
}
