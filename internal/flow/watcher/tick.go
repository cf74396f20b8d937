package watcher

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	// index, Strangers the jobs that nobody follows.
	Found     int `json:"found"`
	Reopened  int `json:"reopened"`
	Strangers int `json:"strangers"`
	// OldestLook is since when every attempt has been looked at: it is the start of the last round
	// over all of them that had the backend's list.
	OldestLook time.Time `json:"oldestLook"`
	// Lag is how late the tick came to what was due the longest, in seconds.
	Lag float64 `json:"lag"`
}

// tick is one run of the Watch function.
type tick struct {
	*Watcher
	begin   time.Time
	active  *sightings // nil if no page could be listed
	cursors attempt.Cursors
	// filed is the slice of the records that is compared with the index.
	filed     map[string]attempt.Filed
	filedLast string
	filedEnd  bool
	// Attempts that nothing reports on are looked at in turns, some of them in each tick.
	// undecided counts those without a decision that are not due. submitted counts those whose job
	// is in no listed part of the backend's list.
	undecided, submitted int
	// backlog covers the index entries this pass has visited: from from (exclusive) to the last
	// visited entry, or to the end if atEnd is set. It is nil if the turns could not be read.
	backlog  *attempt.Backlog
	from     string
	atEnd    bool
	changed  atomic.Int64
	strange  atomic.Int64 // jobs that nobody follows
	failures failures
	Pulse
}

// failures gathers what went wrong. It counts all errors, and keeps the text of some, since a log
// entry has a limit. Errors that only say that others were faster come last, so that they hide
// nothing.
type failures struct {
	all             int
	errs, contended []error
}

const reported = 20

func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.all++
	kept := &f.errs
	if attempt.Contended(err) {
		kept = &f.contended
	}
	if len(*kept) < reported {
		*kept = append(*kept, err)
	}
}

func (f *failures) err() error {
	told := slices.Concat(f.errs, f.contended)
	told = told[:min(len(told), reported)]
	if more := f.all - len(told); more > 0 {
		return fmt.Errorf("%w\nand %d more failures", errors.Join(told...), more)
	}
	return errors.Join(told...)
}

// errEnough ends a list whose rest is left to another tick.
var errEnough = errors.New("enough for this tick")

// Tick looks once at every attempt without a verdict, at a slice of the inbox and at a slice of
// the records. A failure does not stop the rest: Tick returns all failures together.
func (w *Watcher) Tick(request context.Context) error {
	ctx, cancel := context.WithTimeout(request, w.Budget)
	defer cancel()
	t := &tick{Watcher: w, filed: map[string]attempt.Filed{}}
	cursors, cursorsErr := w.records.Cursors(ctx)
	// The clock is read after that call: a process that has just started learns the storage
	// service's clock from the answer to its first call.
	t.begin = w.Now().UTC()
	if cursorsErr != nil {
		t.failures.add(fmt.Errorf("the scans begin anew: %w", cursorsErr))
	}
	t.cursors = cursors
	t.cursors.Ticks++
	if err := t.sight(ctx); err != nil {
		// Without the list nothing is known of the jobs, but drops can still be decided.
		t.failures.add(fmt.Errorf("the backend's jobs: %w", err))
	}
	t.failures.add(t.listFiled(ctx))
	if turns, err := w.records.Turns(ctx); err != nil { // before the index is listed: see [attempt.Backlog]
		t.failures.add(fmt.Errorf("the queue: %w", err))
	} else {
		t.backlog = attempt.NewBacklog(turns, t.begin)
	}
	t.pass(ctx)
	t.compareFiled(ctx)
	t.strangers(ctx)
	t.failures.add(t.admit(ctx))
	t.scanInbox(ctx)
	if cursorsErr == nil || t.cursors.Generation != 0 { // a damaged note is replaced
		ctx, cancel := forNotes(request)
		defer cancel()
		if err := w.records.MoveCursors(ctx, t.cursors); !errors.Is(err, attempt.ErrStale) && !errors.Is(err, job.ErrQuota) {
			t.failures.add(err) // else another tick has moved them
		}
	}
	t.beat(request)
	return t.failures.err()
}

// forNotes returns the context for a note at the tick's end. The note is written in what is left
// of the request's time, even if the tick's own is used up.
func forNotes(request context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(request), 20*time.Second)
}

// timeFor reports whether less than a share of the tick's time is used up.
func (t *tick) timeFor(ctx context.Context, share float64) bool {
	return ctx.Err() == nil && t.Now().Sub(t.begin) < time.Duration(share*float64(t.Budget))
}

// Each part of a tick begins nothing after its share of the tick's time. What the pass has begun
// ends at visitShare, so that something is left for the other parts. Everything else ends with the
// tick's time.
const (
	sightShare = 0.5
	passShare  = 0.6
	visitShare = 0.8
	otherShare = 0.85
	scanShare  = 0.9
)

// One attempt may take visitTime, if so much is left. The largest drop that is inspected, of 4
// GiB, is read in two minutes, and may have to wait for another; a claim on a create lasts two. An
// attempt that hangs for longer must not hold up those behind it. leastVisit is for the few
// attempts that are visited however late it is.
const (
	visitTime  = 4 * time.Minute
	leastVisit = 30 * time.Second
)

// inTime does work on an attempt within the time that one attempt may take, and within a share of
// the tick's. what names the attempt.
func (t *tick) inTime(ctx context.Context, share float64, what string, work func(context.Context) error) error {
	left := time.Duration(share*float64(t.Budget)) - t.Now().Sub(t.begin)
	bounded, cancel := context.WithTimeout(ctx, min(max(left, leastVisit), visitTime))
	defer cancel()
	err := work(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: its time in this tick is over: %w", what, err)
	}
	return err
}

// pass goes through the index, from where the last tick stopped.
func (t *tick) pass(ctx context.Context) {
	c := &t.cursors.Open
	whole, listed := c.After == "", t.active != nil && t.active.whole
	t.from = c.After
	c.Begin(t.begin)
	c.Failed = c.Failed || !listed
	err := t.records.Entries(ctx, c.After, func(page []attempt.Entry) error {
		if len(page) == 0 {
			return nil
		}
		visited := t.visitPage(ctx, page)
		if visited > 0 {
			c.After = page[visited-1].Attempt
		}
		if visited < len(page) || !t.timeFor(ctx, passShare) {
			return errEnough
		}
		return nil
	})
	t.failures.add(ctx.Err())
	switch {
	case err == nil:
		c.End()
		t.atEnd = true
		t.Complete = whole && listed
		if whole || t.undecided > t.cursors.Undecided {
			t.cursors.Undecided = t.undecided
		}
		if whole || t.submitted > t.cursors.Submitted {
			t.cursors.Submitted = t.submitted
		}
	case errors.Is(err, errEnough):
		t.Logger.WarnContext(ctx, "the tick's time is over: the next one goes on", "after", c.After)
	default:
		t.failures.add(err)
	}
	t.OldestLook = c.Before
}

// visitPage visits a page of the index, several entries at once, and returns how many it visited
// before the time was over.
func (t *tick) visitPage(ctx context.Context, page []attempt.Entry) (visited int) {
	var group sync.WaitGroup
	slots := make(chan struct{}, t.Parallel)
	errs, ended := make([]error, len(page)), make([]bool, len(page))
	for i, e := range page {
		if e.Waits != "" {
			t.Queued++
		}
		if e.State.Undecided() {
			t.undecided++
		}
		if e.State == job.Submitted {
			t.submitted++
		}
		if e.State != job.Accepted && t.due(e) {
			t.Lag = max(t.Lag, t.begin.Sub(e.Due).Seconds())
		}
		if t.active != nil {
			t.active.match(e.JobID)
		}
		drifted := t.drifted(e)
		if !drifted && t.idle(e) {
			visited++
			continue
		}
		slots <- struct{}{}
		if ctx.Err() != nil || t.Open+visited >= t.Parallel && !t.timeFor(ctx, passShare) {
			break // but each tick visits some attempts at least, however slow the rest was
		}
		visited++
		group.Go(func() {
			defer func() { <-slots }()
			errs[i] = t.inTime(ctx, visitShare, "attempt "+e.Attempt, func(ctx context.Context) (err error) {
				ended[i], err = t.visit(ctx, e)
				return err
			})
		})
	}
	group.Wait()
	t.Open += visited
	for i, e := range page[:visited] {
		if t.backlog != nil && !ended[i] { // a verdict makes room at once
			t.backlog.Add(e)
		}
	}
	for _, err := range errs {
		t.failures.add(err)
	}
	return visited
}

func (t *tick) due(e attempt.Entry) bool { return !e.Due.IsZero() && !t.begin.Before(e.Due) }

// mostIdle is how many attempts of each kind a tick looks at in turns. Events report new packages,
// but nothing reports that a job file was deleted. If the list is never had as a whole, nothing
// reports that a job has ended.
const mostIdle = 100

// turn reports whether it is the turn of one attempt among the given number.
func (t *tick) turn(e attempt.Entry, of int) bool {
	slots := uint32(1 + of/mostIdle) // #nosec G115 -- as many attempts as 2^32 fit in no memory
	h := fnv.New32a()
	_, _ = h.Write([]byte(e.Attempt))
	// #nosec G115 -- where the count wraps, the next turn comes sooner or later
	return h.Sum32()%slots == uint32(t.cursors.Ticks)%slots
}

// idle reports whether an attempt needs no look, as far as the index and the list of jobs show.
func (t *tick) idle(e attempt.Entry) bool {
	if !e.Told() {
		return false
	}
	switch {
	case e.State == job.Submitted && t.active == nil:
		return !t.due(e)
	case e.State == job.Submitted && !t.active.whole && !t.active.shows(e.JobID):
		return !t.due(e) && !e.Absent && !t.turn(e, t.cursors.Submitted)
	case e.State == job.Submitted:
		return !t.due(e) && !e.Absent && t.active.unchanged(e) && (t.backend.TakesID() || t.active.single(e.JobID))
	case e.State == job.Accepted && len(t.active.of(e.JobID)) > 0:
		return false
	case e.State == job.Accepted: // not its turn, or not time for its next try
		return e.Waits != "" && !e.CreateUnknown || t.begin.Before(e.Due)
	case e.State.Undecided() && !t.due(e):
		return !t.turn(e, t.cursors.Undecided)
	}
	return false
}

// admit lets the submitter go through the queue, with the backlog of the whole index. It lists
// only the part that the pass did not visit.
func (t *tick) admit(ctx context.Context) error {
	if t.Queued == 0 || t.backlog == nil {
		return nil
	}
	add := func(page []attempt.Entry) error {
		for _, e := range page {
			t.backlog.Add(e)
		}
		return nil
	}
	if t.from != "" {
		if err := t.records.Entries(ctx, "", func(page []attempt.Entry) error {
			i, _ := slices.BinarySearchFunc(page, t.from, func(e attempt.Entry, from string) int {
				return strings.Compare(e.Attempt, from)
			})
			if i == len(page) {
				return add(page)
			}
			if page[i].Attempt == t.from {
				i++
			}
			_ = add(page[:i])
			return errEnough
		}); err != nil && !errors.Is(err, errEnough) {
			return fmt.Errorf("the queue: %w", err)
		}
	}
	if !t.atEnd {
		if err := t.records.Entries(ctx, t.cursors.Open.After, add); err != nil {
			return fmt.Errorf("the queue: %w", err)
		}
	}
	return t.resumer.Admit(ctx, t.backlog, t.begin.Add(time.Duration(otherShare*float64(t.Budget))))
}

// visit looks at one attempt, and reports whether it has its verdict.
func (t *tick) visit(ctx context.Context, e attempt.Entry) (ended bool, err error) {
	if e.State != job.Submitted {
		return false, t.resumer.Resume(ctx, e) // no job yet, as far as the index knows
	}
	listed := t.active.of(e.JobID)
	stored, err := t.records.Get(ctx, e.Attempt)
	if err != nil {
		return false, err
	}
	stored.Published = e.Published
	var doubles error
	if !t.backend.TakesID() && stored.Job.ResourceName != "" {
		doubles = t.cancelDoubles(ctx, stored, listed)
	}
	if stored.State == job.Submitted && (t.active != nil || t.due(e)) {
		var changed bool
		stored, changed, err = t.follow(ctx, stored, listed, t.begin, t.due(e))
		if changed {
			t.changed.Add(1)
			t.logSeen(ctx, stored)
		}
	}
	// Even if the look failed, what the record holds is published.
	return stored.State.Terminal(), errors.Join(doubles, err, t.teller.Tell(ctx, stored, e))
}

// beat records that the tick came to its end, and what it did.
func (t *tick) beat(request context.Context) {
	ctx, cancel := forNotes(request)
	defer cancel()
	t.At, t.Changed, t.Failed, t.Active = t.begin, int(t.changed.Load()), t.failures.all, -1
	t.Strangers = int(t.strange.Load())
	if t.active != nil && t.active.whole {
		t.Active = t.active.len()
	}
	t.Seconds = t.Now().Sub(t.begin).Seconds()
	if err := t.records.Beat(ctx, t.Pulse); !errors.Is(err, job.ErrQuota) { // else another tick has just written its own
		t.failures.add(err)
	}
	t.Logger.InfoContext(ctx, "tick", "open", t.Open, "complete", t.Complete, "queued", t.Queued, "active_jobs", t.Active,
		"changed", t.Changed, "failed", t.Failed, "found", t.Found, "reopened", t.Reopened, "strangers", t.Strangers,
		"oldest_look", t.OldestLook, "lag_seconds", t.Lag, "seconds", t.Seconds)
	if t.Measure != nil {
		t.Measure(ctx, t.Pulse)
	}
}
