package watcher

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// strangers is the part of a tick that looks at the jobs with our labels that no open attempt
// owns. Some ended while the lists were made, some are second jobs of attempts with a verdict, and
// some have no record at all: people are told of those.
type strangers struct {
	records interface {
		Owner(ctx context.Context, jobID string) (attempt.Owner, error)
		Get(ctx context.Context, key string) (attempt.Stored, error)
	}
	takesID bool
	jobs    jobs
	index   index
	doubles doubles
	alerts  alerts
}

// mostStrangers is how many jobs without an open attempt a tick looks at.
const mostStrangers = 100

// strangersResult is what became of jobs that no open attempt owns.
type strangersResult struct {
	// alerted counts those that nobody follows, reopened the records that were missing from the
	// index.
	alerted, reopened int
	failures          failures
}

// run looks at the jobs of a list that the pass did not match. tick is the tick's number: each
// takes another part of them if they are many.
func (s strangers) run(ctx context.Context, b budget, listed *sightings, tick int) strangersResult {
	var did strangersResult
	if !listed.whole() {
		return did // if there was no time for the whole list, there is none for these
	}
	ids := listed.unmatched()
	if n := len(ids); n > mostStrangers {
		at := tick * mostStrangers % n
		ids = append(ids[at:n:n], ids[:at]...)[:mostStrangers]
	}
	for _, id := range ids {
		if !b.left(ctx, otherShare) {
			return did
		}
		one, err := s.examine(ctx, b.begin, id, listed.of(id))
		did.failures.add(err)
		did.alerted += one.alerted
		did.reopened += one.reopened
	}
	return did
}

// examine looks at the jobs of an ID.
func (s strangers) examine(ctx context.Context, now time.Time, id string, listed []attempt.BackendJob) (strangersResult, error) {
	owner, err := s.records.Owner(ctx, id)
	if errors.Is(err, job.ErrNotFound) {
		return s.alert(ctx, now, listed, "no attempt owns its ID")
	}
	if err != nil {
		return strangersResult{}, err
	}
	stored, err := s.records.Get(ctx, owner.Attempt)
	if errors.Is(err, job.ErrNotFound) {
		return s.alert(ctx, now, listed, "its attempt "+owner.Attempt+" has no record")
	}
	if err != nil {
		return strangersResult{}, err
	}
	return s.compare(ctx, now, stored, listed)
}

// compare compares the jobs of an ID with the attempt that owns it. now is when they were found.
func (s strangers) compare(
	ctx context.Context, now time.Time, stored attempt.Stored, listed []attempt.BackendJob,
) (strangersResult, error) {
	var others []attempt.BackendJob
	for _, l := range listed {
		if l.Labels[job.LabelAttempt] != job.AttemptLabel(stored.Attempt) {
			others = append(others, l)
		}
	}
	found, err := s.alert(ctx, now, others, "attempt "+stored.Attempt+" owns its ID, and did not make it")
	switch {
	case !stored.State.Terminal():
		reopened, failed := s.index.reopen(ctx, stored.Attempt)
		if reopened {
			found.reopened++
		}
		return found, errors.Join(err, failed)
	case !s.takesID:
		// Even if the attempt never had a job: a create that it had given up may still take
		// effect.
		alerted, failed := s.doubles.cancel(ctx, now, stored, listed)
		found.alerted, err = found.alerted+alerted, errors.Join(err, failed)
		if !slices.ContainsFunc(listed, func(l attempt.BackendJob) bool { return l.ResourceName == stored.Job.ResourceName }) {
			return found, err
		}
	case len(others) > 0:
		return found, err
	}
	revived, failed := s.revived(ctx, now, stored, listed[0])
	found.alerted += revived.alerted
	return found, errors.Join(err, failed)
}

// revived looks at a listed job whose attempt has its verdict. The job has ended, and the list
// lags behind; or the verdict was wrong.
func (s strangers) revived(
	ctx context.Context, now time.Time, stored attempt.Stored, listed attempt.BackendJob,
) (strangersResult, error) {
	a, err := s.jobs.ask(ctx, job.JobInfo{
		ID: listed.JobID, Backend: stored.Job.Backend,
		ResourceName: cmp.Or(stored.Job.ResourceName, listed.ResourceName),
	})
	if err != nil || !a.found || !a.job.Ended.IsZero() {
		return strangersResult{}, err
	}
	return s.alert(ctx, now, []attempt.BackendJob{a.job}, "its attempt "+stored.Attempt+" is "+string(stored.State))
}

func (s strangers) alert(ctx context.Context, now time.Time, listed []attempt.BackendJob, why string) (strangersResult, error) {
	alerted, err := s.alerts.raise(ctx, now, listed, why)
	return strangersResult{alerted: alerted}, err
}

// alerts tells people of jobs that nobody follows.
type alerts struct {
	records interface {
		Stranger(ctx context.Context, jobID, resource string) (known bool, err error)
		KeepStranger(ctx context.Context, jobID, resource string, found any) error
	}
	logger *slog.Logger
}

// raise alerts people to jobs that nobody follows, unless they know of them, and returns how many
// there are. Each is recorded after its alert. If the record's answer is lost, or the tick dies
// before it, that costs a second alert, never the only one. now is when the jobs were found.
func (a alerts) raise(ctx context.Context, now time.Time, listed []attempt.BackendJob, why string) (int, error) {
	var errs []error
	for _, l := range listed {
		known, err := a.records.Stranger(ctx, l.JobID, l.ResourceName)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if known {
			continue
		}
		a.logger.ErrorContext(ctx, "a job of this installation that nobody follows",
			"job_id", l.JobID, "resource", l.ResourceName, "state", l.State, "created", l.Created, "why", why)
		errs = append(errs, a.records.KeepStranger(ctx, l.JobID, l.ResourceName, map[string]any{
			"jobId": l.JobID, "resourceName": l.ResourceName, "state": l.State, "created": l.Created, "why": why,
			"found": now,
		}))
	}
	return len(listed), errors.Join(errs...)
}
