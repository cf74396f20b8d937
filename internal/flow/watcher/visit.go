package watcher

import (
	"context"
	"errors"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// visitor looks at one attempt.
type visitor struct {
	records interface {
		Get(ctx context.Context, key string) (attempt.Stored, error)
	}
	submitter interface {
		Resume(ctx context.Context, e attempt.Entry) error
	}
	follower follower
	doubles  doubles
	teller   teller
}

// outcome is what a visit of an attempt found.
type outcome struct {
	// ended reports that it has its verdict, changed that its record changed.
	ended, changed bool
	// strangers counts the jobs that have its labels, and that nobody follows.
	strangers int
	err       error
}

// visit looks at the attempt of an index entry. Events that another worker is about to publish are
// left to that worker; the next tick comes back to them.
func (v visitor) visit(ctx context.Context, known view, e attempt.Entry) outcome {
	o := v.look(ctx, known, e)
	if errors.Is(o.err, attempt.ErrTelling) && attempt.Contended(o.err) {
		o.err = nil
	}
	return o
}

// look does what [visitor.visit] does, and returns [attempt.ErrTelling] where events are left.
func (v visitor) look(ctx context.Context, known view, e attempt.Entry) outcome {
	if e.State != job.Submitted {
		return outcome{err: v.submitter.Resume(ctx, e)} // no job yet, as far as the index knows
	}
	listed := known.jobs.of(e.JobID)
	stored, err := v.records.Get(ctx, e.Attempt)
	if err != nil {
		return outcome{err: err}
	}
	stored.Published = e.Published
	var o outcome
	if !known.takesID && stored.Job.ResourceName != "" {
		o.strangers, o.err = v.doubles.cancel(ctx, known.budget.begin, stored, listed)
	}
	if stored.State == job.Submitted && (known.jobs.extent != noJobs || known.due(e)) {
		stored, o.changed, err = v.follower.follow(ctx, stored, listed, known.budget.begin, known.due(e))
		if o.changed {
			v.follower.logSeen(ctx, stored)
		}
	}
	o.ended = stored.State.Terminal()
	// Even if the poll failed, what the record holds is published.
	o.err = errors.Join(o.err, err, v.teller.Tell(ctx, stored, e))
	return o
}
