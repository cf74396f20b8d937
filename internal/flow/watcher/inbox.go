package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// inbox is the part of a tick that goes through a slice of the inbox, and looks at the drops whose
// event was lost.
type inbox struct {
	bucket   string
	objects  objects
	epoch    *epoch
	drops    drops
	patience func(ctx context.Context) (func(folder string) job.Patience, error)
	lonely   lonely
	misnamed misnamed
}

const (
	// inboxPages is how many pages of the inbox a tick lists: 5,000 objects.
	inboxPages = 5
	// inboxAge is the age up to which drops are found without an event.
	inboxAge = 48 * time.Hour
	// inFlight is how long an event may take to arrive by itself. slack is by how much the clocks
	// of two ticks may differ.
	inFlight, slack = 15 * time.Second, time.Minute
)

// scanResult is what a scan of the inbox did.
type scanResult struct {
	cursor attempt.Cursor
	// found counts the drops whose event was lost.
	found    int
	failures failures
}

// run goes through a slice of the inbox from the cursor on, and moves the cursor. Each round looks
// at the job files that came since the previous round began: a list shows all that was there when
// it began.
func (x inbox) run(ctx context.Context, b budget, at attempt.Cursor) scanResult {
	did := scanResult{cursor: at}
	start, err := x.epoch.start(ctx)
	if err != nil {
		did.failures.add(err)
		return did
	}
	did.cursor.Begin(b.begin)
	recent := period{
		from:  latest(start, b.begin.Add(-inboxAge), at.Before.Add(-slack-inFlight)),
		until: b.begin.Add(-inFlight),
	}
	waits := &waits{read: x.patience}
	ends := period{from: at.Last, until: did.cursor.Began}
	packages := x.lonely.round(ends, waits)
	folders := misnamedRound{misnamed: x.misnamed, bucket: x.bucket, waits: waits, ends: ends, from: at.After, seen: at.Seen}
	did.cursor.Seen = ""
	pages := 0
	err = x.objects.ListAfter(ctx, x.bucket, "", at.After, func(page []job.Attributes) error {
		for _, o := range page {
			if !b.left(ctx, scanShare) {
				return errEnough
			}
			did.failures.add(folders.see(ctx, o.Object, did.cursor.After, pages))
			switch {
			case !job.IsPart(o.Name, o.Size):
			case !job.IsJobFile(o.Name) && o.Name > at.Seen:
				did.failures.add(packages.see(ctx, o.Object))
			case job.IsJobFile(o.Name) && recent.holds(o.Created):
				did.add(x.drops.find(ctx, b, o.Object))
			}
			did.cursor.After = o.Name
		}
		if pages++; pages == inboxPages {
			return errEnough
		}
		return nil
	})
	switch {
	case err == nil:
		did.failures.add(folders.end(ctx))
		did.cursor.End()
	case !errors.Is(err, errEnough):
		did.failures.add(fmt.Errorf("the inbox: %w", err))
	case pages == inboxPages:
		if next := folders.stop(ctx, did.cursor.After, pages); next != did.cursor.After {
			did.cursor.Seen, did.cursor.After = did.cursor.After, next
		}
	default:
		folders.summarise(ctx) // the time is over; the next slice begins where it is
	}
	return did
}

// waits is the patience with folders, for one scan. It is read when it is asked for first.
type waits struct {
	read  func(ctx context.Context) (func(folder string) job.Patience, error)
	known bool
	with  func(folder string) job.Patience
}

// of returns the patience with a folder. If it can't be read, the first call returns the error, and
// the scan reports nothing.
func (w *waits) of(ctx context.Context, folder string) (job.Patience, error) {
	if !w.known {
		w.known = true
		var err error
		if w.with, err = w.read(ctx); err != nil {
			w.with = func(string) job.Patience { return job.Patience{} }
			return job.Patience{}, fmt.Errorf("the patience with folders: %w", err)
		}
	}
	return w.with(folder), nil
}

// add adds what became of a drop.
func (did *scanResult) add(d drop) {
	if d.lost {
		did.found++
	}
	if d.err != nil && !d.onIndex { // else ticks find it there
		did.cursor.Failed = true
	}
	did.failures.add(d.err)
}

// period is the time from from to until, without until itself.
type period struct{ from, until time.Time }

func (p period) holds(t time.Time) bool { return !t.Before(p.from) && t.Before(p.until) }

func latest(first time.Time, more ...time.Time) time.Time {
	for _, at := range more {
		if at.After(first) {
			first = at
		}
	}
	return first
}

// drops looks at drops whose event may be lost.
type drops struct {
	records interface {
		Has(ctx context.Context, key string) (bool, error)
		Entry(ctx context.Context, key string) (attempt.Entry, error)
	}
	submitter interface {
		Submit(ctx context.Context, o job.Object) error
	}
	logger *slog.Logger
}

// drop is what became of a drop in the inbox.
type drop struct {
	// lost reports that its event was lost.
	lost bool
	// err is why it could not be looked at. onIndex reports that the index has its attempt.
	err     error
	onIndex bool
}

// find looks at the drop of a job file unless its attempt is known.
func (d drops) find(ctx context.Context, b budget, o job.Object) drop {
	known, err := d.records.Has(ctx, job.AttemptKey(o))
	if err != nil || known {
		return drop{err: err}
	}
	d.logger.WarnContext(ctx, "a drop was found whose event did not come",
		"bucket", o.Bucket, "object", o.Name, "generation", o.Generation, "created", o.Created)
	err = b.within(ctx, 1, "gs://"+o.Bucket+"/"+o.Name, func(ctx context.Context) error {
		return d.submitter.Submit(ctx, o)
	})
	if err == nil {
		return drop{lost: true}
	}
	if attempt.Left(err) {
		return drop{} // its event came, and another worker decides
	}
	_, missing := d.records.Entry(ctx, job.AttemptKey(o))
	return drop{lost: true, err: err, onIndex: missing == nil}
}
