package watcher

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// follower applies what the backend says of a job to the attempt's record, and cancels a job that
// is past a limit.
type follower struct {
	jobs     jobs
	excerpts excerpts
	backend  interface {
		Cancel(ctx context.Context, j job.JobInfo) error
	}
	records interface {
		Apply(
			ctx context.Context, s attempt.Stored, o attempt.Observation, now time.Time,
		) (after attempt.Stored, applied bool, err error)
	}
	now    func() time.Time
	logger *slog.Logger
}

// follow applies what the backend says of a record's job to the record, and cancels a job that is
// past its limit and the grace. listed holds the list's jobs of its ID, and asked is when the list
// was asked for. follow polls the job if it is not in listed, if they show it in an
// earlier state, or if something is due.
func (f follower) follow(
	ctx context.Context, stored attempt.Stored, listed []attempt.BackendJob, asked time.Time, due bool,
) (after attempt.Stored, changed bool, err error) {
	cancellable := false
	o, shown := shownBy(listed, stored, asked)
	if due || !shown {
		a, err := f.ask(ctx, stored)
		if err != nil {
			return stored, false, err
		}
		// Only a job that was seen is cancelled: one that is gone can't be.
		o, cancellable = a.observation(), a.found
	}
	stored, changed, err = f.records.Apply(ctx, stored, o, f.now())
	if err != nil {
		return stored, changed, err
	}
	if cancellable {
		if kind := stored.CancelDue(f.now()); kind != "" {
			stored, err = f.cancel(ctx, stored, kind)
		}
	}
	return stored, changed, err
}

// ask polls a record's job. The answer is all that the job's verdict needs.
func (f follower) ask(ctx context.Context, stored attempt.Stored) (answer, error) {
	a, err := f.jobs.ask(ctx, stored.Job)
	if err != nil {
		return a, err
	}
	return f.excerpts.add(ctx, stored.Record, a), nil
}

// shownBy returns what a list shows of a record's job. A list that lags is only a reason to poll.
func shownBy(listed []attempt.BackendJob, stored attempt.Stored, asked time.Time) (o attempt.Observation, shown bool) {
	for _, l := range listed {
		if l.ResourceName == stored.Job.ResourceName && !stored.Behind(l) {
			o, shown = attempt.Seen(l, asked), true
		}
	}
	return o, shown
}

// cancel ends a job that is past a limit, or that somebody asked to cancel. The record says so before the call, so that whoever sees
// the job's end knows who ended it. The result is what the backend says afterwards.
func (f follower) cancel(ctx context.Context, stored attempt.Stored, kind string) (attempt.Stored, error) {
	stored, _, err := f.records.Apply(ctx, stored, attempt.CancelJob{Kind: kind}, f.now())
	if err != nil || stored.CancelDue(f.now()) == "" {
		return stored, err
	}
	refused := f.backend.Cancel(ctx, stored.Job)
	switch asked := stored.CancelRequested; kind {
	case job.KindRequest:
		f.logger.InfoContext(ctx, "cancel asked for: somebody requested it", "attempt", stored.Attempt,
			"job_id", stored.Job.ID, "by", asked.By, "reason", asked.Reason, "correlation_id", stored.CorrelationID)
	case job.KindRestarts:
		f.logger.WarnContext(ctx, "cancel asked for: the backend started the job again too often", "attempt", stored.Attempt,
			"job_id", stored.Job.ID, "restarts", stored.Restarts.Count, "correlation_id", stored.CorrelationID)
	default:
		f.logger.WarnContext(ctx, "cancel asked for: the job is past its limit, and the backend has not ended it",
			"attempt", stored.Attempt, "job_id", stored.Job.ID, "limit", kind, "correlation_id", stored.CorrelationID)
	}
	a, err := f.ask(ctx, stored)
	if err != nil {
		return stored, errors.Join(refused, err)
	}
	stored, _, err = f.records.Apply(ctx, stored, a.observation(), f.now())
	if stored.CancelDue(f.now()) == "" || !a.found && errors.Is(refused, job.ErrNotFound) {
		refused = nil // it has ended, is being cancelled already, or vanished: later looks tell that
	}
	return stored, errors.Join(refused, err)
}

func (f follower) logSeen(ctx context.Context, r attempt.Stored) {
	f.logger.InfoContext(ctx, "job seen", "attempt", r.Attempt, "job_id", r.Job.ID,
		"state", r.State, "backend_state", r.Job.State, "correlation_id", r.CorrelationID)
}
