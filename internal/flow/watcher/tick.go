package watcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Pulse is what a tick did: proof that the installation is alive.
type Pulse struct {
	At time.Time `json:"at"`
	// Seconds is how long the tick took.
	Seconds float64 `json:"seconds"`
	// Open counts the attempts without a verdict that the tick visited. Complete reports whether
	// these were all, and whether the backend's list was whole.
	Open     int  `json:"open"`
	Complete bool `json:"complete"`
	// Queued counts those of them that wait for their turn. Active counts the backend's jobs that
	// have not ended; -1 if not all could be listed.
	Queued int `json:"queued"`
	Active int `json:"active"`
	// Changed counts the attempts whose record this tick changed. Failed counts what the tick
	// could not do: attempts, lists, notes.
	Changed int `json:"changed"`
	Failed  int `json:"failed"`
	// Found counts the drops whose event was lost, Reopened the records that were missing from the
	// index, Replaced the entries that were missing from the index by time, Strangers the jobs that
	// nobody follows.
	Found     int `json:"found"`
	Reopened  int `json:"reopened"`
	Replaced  int `json:"replaced"`
	Strangers int `json:"strangers"`
	// Requests counts what people asked for and was answered.
	Requests int `json:"requests"`
	// OldestLook is since when every attempt has been looked at: it is the start of the last round
	// over all of them that had the backend's list.
	OldestLook time.Time `json:"oldestLook"`
	// Lag is how late the tick came to what was due the longest, in seconds.
	Lag float64 `json:"lag"`
}

// errEnough ends a list whose rest is left to another tick.
var errEnough = errors.New("enough for this tick")

// Tick looks once at every attempt without a verdict, at a slice of the inbox and at a slice of
// the records. A failure does not stop the rest: Tick returns all failures together, but for those
// that one drop can cause: see [failures].
func (w *Watcher) Tick(request context.Context) error {
	ctx, cancel := context.WithTimeout(request, w.options.Budget)
	defer cancel()
	cursors, err := w.readCursors(ctx)
	cursorsErr := err
	// The clock is read after that call: a process that has just started learns the storage
	// service's clock from the answer to its first call.
	b := budget{begin: w.options.Now().UTC(), total: w.options.Budget, now: w.options.Now}
	var failed failures
	failed.add(cursorsErr)

	// What people ask for is in the records before the jobs are looked at.
	asked := w.requests.run(ctx, b, cursors.Requests)
	cursors.Requests = asked.cursor
	failed.join(asked.failures)
	// Without the list nothing is known of the jobs, but drops can still be decided.
	listed := w.listing.run(ctx, b, cursors.Jobs)
	cursors.Jobs = listed.cursor
	failed.add(listed.err)
	// The records and the turns are read before the index is listed.
	slice := w.comparison.list(ctx, b, cursors.Records)
	cursors.Records = slice.cursor
	failed.add(slice.err)
	backlog, turnsErr := w.queue.open(ctx, b)
	failed.add(turnsErr)

	passed := w.pass.run(ctx, view{
		budget: b, jobs: listed.jobs, takesID: w.backend.TakesID(), slice: slice, cursors: cursors,
	}, backlog)
	cursors = passed.cursors
	failed.join(passed.failures)
	repaired := w.comparison.repair(ctx, b, slice)
	failed.join(repaired.failures)
	examined := w.strangers.run(ctx, b, listed.jobs, cursors.Ticks)
	failed.join(examined.failures)
	var waiting *attempt.Queue
	if passed.queued == 0 && passed.visited.all() {
		waiting = &attempt.Queue{}
	}
	if turnsErr == nil && (passed.queued > 0 || passed.visited.all() && backlog.Unsettled()) {
		waiting, err = w.queue.run(ctx, b, backlog, passed.visited)
		failed.add(err)
	}
	scanned := w.inbox.run(ctx, b, cursors.Inbox)
	cursors.Inbox = scanned.cursor
	failed.join(scanned.failures)
	repaired = w.comparison.finish(ctx, b, slice, repaired)
	cursors.Records = repaired.cursor
	failed.join(repaired.failures)

	if waiting != nil {
		cursors.Queue, err = w.noteQueue(request, b, *waiting, cursors.Queue)
		failed.add(err)
	}
	if cursorsErr == nil || cursors.Generation != 0 { // a damaged note is replaced
		failed.add(w.moveCursors(request, cursors))
	}
	failed.add(w.beat(request, b, Pulse{
		At: b.begin, Failed: failed.count, Open: passed.open, Complete: passed.complete, Queued: passed.queued,
		Active: listed.jobs.count(), Changed: passed.changed, Found: scanned.found,
		Reopened: repaired.reopened + examined.reopened, Replaced: repaired.replaced, Strangers: passed.strangers + examined.alerted,
		Requests:   asked.answered,
		OldestLook: cursors.Open.Before, Lag: passed.lag,
	}))
	failed.log(request, w.options.Logger)
	return failed.err()
}

// forNotes returns the context for a note at the tick's end. The note is written in what is left
// of the request's time, even if the tick's own is used up.
func forNotes(request context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(request), 20*time.Second)
}

// readCursors returns how far the scans came, and counts the tick.
func (w *Watcher) readCursors(ctx context.Context) (attempt.Cursors, error) {
	cursors, err := w.records.Cursors(ctx)
	if err != nil {
		err = fmt.Errorf("the scans begin anew: %w", err)
	}
	cursors.Ticks++
	return cursors, err
}

// noteQueue writes who waits, if that has changed since the last note.
func (w *Watcher) noteQueue(
	request context.Context, b budget, waiting attempt.Queue, last attempt.QueueNote,
) (attempt.QueueNote, error) {
	ctx, cancel := forNotes(request)
	defer cancel()
	waiting.At = b.begin
	return w.queue.write(ctx, waiting, last)
}

// moveCursors records how far the scans came, unless another tick has moved the cursors.
func (w *Watcher) moveCursors(request context.Context, cursors attempt.Cursors) error {
	ctx, cancel := forNotes(request)
	defer cancel()
	err := w.records.MoveCursors(ctx, cursors)
	if errors.Is(err, attempt.ErrStale) || errors.Is(err, job.ErrQuota) {
		return nil
	}
	return err
}

// beat records that the tick came to its end, and what it did.
func (w *Watcher) beat(request context.Context, b budget, p Pulse) error {
	ctx, cancel := forNotes(request)
	defer cancel()
	p.Seconds = b.used().Seconds()
	err := w.records.Beat(ctx, p)
	if errors.Is(err, job.ErrQuota) {
		err = nil // another tick has just written its own
	}
	w.options.Logger.InfoContext(ctx, "tick", "open", p.Open, "complete", p.Complete, "queued", p.Queued,
		"active_jobs", p.Active, "changed", p.Changed, "failed", p.Failed, "found", p.Found, "reopened", p.Reopened,
		"replaced", p.Replaced, "strangers", p.Strangers, "requests", p.Requests,
		"oldest_look", p.OldestLook, "lag_seconds", p.Lag, "seconds", p.Seconds)
	w.options.Measure(ctx, p)
	return err
}
