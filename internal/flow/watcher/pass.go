package watcher

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// pass is the part of a tick that goes through the index, counts the attempts without a verdict,
// and visits those that need it.
type pass struct {
	records interface {
		Entries(ctx context.Context, after string, page func([]attempt.Entry) error) error
	}
	visits visitor
	// parallel is how many attempts are visited at once.
	parallel int
	logger   *slog.Logger
}

// view is what a tick knows before it goes through the index.
type view struct {
	budget budget
	// jobs is the backend's list. takesID reports that a job ID has one job at most.
	jobs    *sightings
	takesID bool
	// slice holds the records that are compared with the index.
	slice recordSlice
	// cursors says where the pass begins, and counts what the last ones visited.
	cursors attempt.Cursors
}

// passResult is what a pass did.
type passResult struct {
	// cursors are those of the view, moved.
	cursors attempt.Cursors
	visited coverage
	// complete reports that all of the index was visited, with the whole list of the jobs.
	complete bool
	// open counts the attempts that were visited, queued those that wait for their turn, changed
	// those whose record changed. strangers counts the jobs that nobody follows.
	open, queued, changed, strangers int
	// undecided counts the attempts without a decision, submitted those with a job.
	undecided, submitted int
	// lag is how late the tick came to what was due the longest, in seconds.
	lag      float64
	failures failures
}

// run goes through the index, from where the last tick stopped. It takes what it visits out of the
// slice, marks the jobs of it in the list, and adds to the backlog what has no verdict afterwards.
func (p pass) run(ctx context.Context, v view, backlog *attempt.Backlog) passResult {
	r := passRun{pass: p, view: v, backlog: backlog, did: passResult{
		cursors: v.cursors, visited: coverage{from: v.cursors.Open.After},
	}}
	at := &r.did.cursors.Open
	at.Begin(v.budget.begin)
	at.Failed = at.Failed || !v.jobs.whole()
	err := p.records.Entries(ctx, at.After, func(page []attempt.Entry) error {
		if len(page) == 0 {
			return nil
		}
		visited := r.page(ctx, page)
		if visited > 0 {
			at.After = page[visited-1].Attempt
		}
		if visited < len(page) || !v.budget.left(ctx, passShare) {
			return errEnough
		}
		return nil
	})
	r.did.failures.add(ctx.Err())
	r.did.visited.to = at.After
	switch {
	case err == nil:
		r.did.end(v)
	case errors.Is(err, errEnough):
		p.logger.WarnContext(ctx, "the tick's time is over: the next one goes on", "after", at.After)
	default:
		r.did.failures.add(err)
	}
	return r.did
}

// passRun is a pass under way.
type passRun struct {
	pass    pass
	view    view
	backlog *attempt.Backlog
	did     passResult
}

// page visits a page of the index, several entries at once, and returns how many it visited before
// the time was over.
func (r *passRun) page(ctx context.Context, page []attempt.Entry) (visited int) {
	var group sync.WaitGroup
	parallel := r.pass.parallel
	slots := make(chan struct{}, parallel)
	outcomes := make([]outcome, len(page))
	for i, e := range page {
		r.did.count(r.view, e)
		r.view.jobs.match(e.JobID)
		if drifted := r.view.slice.take(e); !drifted && r.view.idle(e) {
			visited++
			continue
		}
		slots <- struct{}{}
		if ctx.Err() != nil || r.did.open+visited >= parallel && !r.view.budget.left(ctx, passShare) {
			break // but each tick visits some attempts at least, however slow the rest was
		}
		visited++
		group.Go(func() {
			defer func() { <-slots }()
			outcomes[i] = r.visit(ctx, e)
		})
	}
	group.Wait()
	r.did.open += visited
	for i, e := range page[:visited] {
		r.did.add(outcomes[i])
		if !outcomes[i].ended { // a verdict makes room at once
			r.backlog.Add(e)
		}
	}
	return visited
}

// visit visits an attempt within the time that is left for it.
func (r *passRun) visit(ctx context.Context, e attempt.Entry) (o outcome) {
	o.err = r.view.budget.within(ctx, visitShare, "attempt "+e.Attempt, func(ctx context.Context) error {
		o = r.pass.visits.visit(ctx, r.view, e)
		return o.err
	})
	return o
}

// end ends a round over the index.
func (did *passResult) end(v view) {
	did.cursors.Open.End()
	did.visited.atEnd = true
	whole := did.visited.from == ""
	did.complete = whole && v.jobs.whole()
	if whole || did.undecided > did.cursors.Undecided {
		did.cursors.Undecided = did.undecided
	}
	if whole || did.submitted > did.cursors.Submitted {
		did.cursors.Submitted = did.submitted
	}
}

// count counts an entry by what the index says of it.
func (did *passResult) count(v view, e attempt.Entry) {
	if e.Waits != "" {
		did.queued++
	}
	if e.State.Undecided() {
		did.undecided++
	}
	if e.State == job.Submitted {
		did.submitted++
	}
	if e.State != job.Accepted && v.due(e) {
		did.lag = max(did.lag, v.budget.begin.Sub(e.Due).Seconds())
	}
}

// add adds the outcome of a visit.
func (did *passResult) add(o outcome) {
	did.failures.add(o.err)
	did.strangers += o.strangers
	if o.changed {
		did.changed++
	}
}

func (v view) due(e attempt.Entry) bool { return !e.Due.IsZero() && !v.budget.begin.Before(e.Due) }

// mostIdle is how many attempts of each kind a tick looks at in turns. Events report new packages,
// but nothing reports that a job file was deleted. If the list is never had as a whole, nothing
// reports that a job has ended.
const mostIdle = 100

// turn reports whether it is the turn of one attempt among the given number.
func (v view) turn(e attempt.Entry, of int) bool {
	slots := uint32(1 + of/mostIdle) // #nosec G115 -- as many attempts as 2^32 fit in no memory
	h := fnv.New32a()
	_, _ = h.Write([]byte(e.Attempt))
	// #nosec G115 -- where the count wraps, the next turn comes sooner or later
	return h.Sum32()%slots == uint32(v.cursors.Ticks)%slots
}

// idle reports whether an attempt need not be visited, as far as the index and the list of jobs show.
func (v view) idle(e attempt.Entry) bool {
	if !e.Told() {
		return false
	}
	switch {
	case e.State == job.Submitted:
		return v.idleJob(e)
	case e.State == job.Accepted && v.jobs.shows(e.JobID):
		return false
	case e.State == job.Accepted: // not its turn, or not time for its next try
		return e.Waits != "" && !e.CreateUnknown || v.budget.begin.Before(e.Due)
	case e.State.Undecided() && !v.due(e):
		return !v.turn(e, v.cursors.Undecided)
	}
	return false
}

// idleJob reports whether an attempt with a job need not be visited.
func (v view) idleJob(e attempt.Entry) bool {
	switch {
	case v.due(e):
		return false
	case v.jobs.extent == noJobs:
		return true
	case e.Absent:
		return false
	case v.jobs.extent == someJobs && !v.jobs.shows(e.JobID):
		return !v.turn(e, v.cursors.Submitted)
	}
	return v.jobs.unchanged(e) && (v.takesID || v.jobs.single(e.JobID))
}
