package watcher

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// doubles cancels second jobs of attempts. A process that froze in a create, and thawed after
// others had looked and created, may have made them.
type doubles struct {
	backend interface {
		Cancel(ctx context.Context, j job.JobInfo) error
	}
	jobs   jobs
	alerts alerts
	// cancelled is called for each second job that was cancelled.
	cancelled func(ctx context.Context)
	logger    *slog.Logger
}

// cancel cancels the jobs of an attempt that are not the one in its record. It leaves a job that
// lies elsewhere than the kept one, in another region or collection: no create of the attempt made
// it, but it may be the service's own part of the job, with the job's labels, as a trial is. It
// also leaves a job that fits no create, for example a person's copy; it tells people of those,
// and returns how many there are. now is when the jobs were found.
func (d doubles) cancel(
	ctx context.Context, now time.Time, stored attempt.Stored, listed []attempt.BackendJob,
) (strangers int, err error) {
	var errs []error
	kept := stored.Job.ResourceName
	for _, l := range listed {
		if l.ResourceName == kept || l.Labels[job.LabelAttempt] != job.AttemptLabel(stored.Attempt) ||
			l.State == job.BackendCancelling {
			continue
		}
		if kept != "" && path.Dir(l.ResourceName) != path.Dir(kept) {
			continue
		}
		alerted, err := d.cancelOne(ctx, now, stored, job.JobInfo{ID: l.JobID, ResourceName: l.ResourceName})
		strangers, errs = strangers+alerted, append(errs, err)
	}
	return strangers, errors.Join(errs...)
}

// cancelOne looks at a job directly, since a list leaves out what the job runs, and cancels it if
// a create of the attempt made it.
func (d doubles) cancelOne(
	ctx context.Context, now time.Time, stored attempt.Stored, j job.JobInfo,
) (strangers int, err error) {
	a, err := d.jobs.ask(ctx, j)
	if err != nil || !a.found || a.job.State.Ended() || a.job.State == job.BackendCancelling {
		return 0, err
	}
	if !stored.Made(a.job) {
		return d.alerts.raise(ctx, now, []attempt.BackendJob{a.job},
			"it has the labels of attempt "+stored.Attempt+", and no create of that made it")
	}
	switch err := d.backend.Cancel(ctx, j); {
	case errors.Is(err, job.ErrNotFound): // it vanished since the look
		return 0, nil
	case err != nil:
		return 0, err
	}
	d.logger.ErrorContext(ctx, "second job of an attempt cancelled",
		"attempt", stored.Attempt, "job_id", j.ID, "cancelled", j.ResourceName, "kept", stored.Job.ResourceName)
	d.cancelled(ctx)
	return 0, nil
}
