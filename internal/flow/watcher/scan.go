package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// listFiled lists a slice of the records, before the index is listed. If a record in the slice
// without a verdict is not on the index then, it has got its verdict meanwhile, or the index has
// lost it.
func (t *tick) listFiled(ctx context.Context) error {
	c := &t.cursors.Records
	c.Begin(t.begin)
	err := t.records.Filed(ctx, c.After, func(page []attempt.Filed) error {
		for _, f := range page {
			t.filed[f.Attempt], t.filedLast = f, f.Attempt
		}
		if len(t.filed) >= filedSlice {
			return errEnough
		}
		return nil
	})
	if t.filedEnd = err == nil; err != nil && !errors.Is(err, errEnough) {
		t.filed = nil
		return fmt.Errorf("the records: %w", err)
	}
	return nil
}

// filedSlice is how many records a tick compares with the index: one page.
const filedSlice = 1000

// drifted reports whether an index entry is older than its record. A worker that was stopped may
// have written the entry too late.
func (t *tick) drifted(e attempt.Entry) bool {
	f, ok := t.filed[e.Attempt]
	if !ok {
		return false
	}
	delete(t.filed, e.Attempt) // it is on the index
	return e.Revision < f.Revision
}

// compareFiled puts those records of the slice back on the index that have no verdict and are
// missing there.
func (t *tick) compareFiled(ctx context.Context) {
	c := &t.cursors.Records
	if t.filed == nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(t.filed)) {
		if t.filed[key].State.Terminal() {
			continue
		}
		if !t.timeFor(ctx, otherShare) {
			return // the next tick lists the slice again
		}
		// A record that can't be read does not stop the scan: the next round tries again.
		t.failures.add(t.reopen(ctx, key))
	}
	if c.After = t.filedLast; t.filedEnd {
		c.End()
	}
}

// reopen puts a record without a verdict back on the index.
func (t *tick) reopen(ctx context.Context, key string) error {
	if _, err := t.records.Entry(ctx, key); !errors.Is(err, job.ErrNotFound) {
		return err // it is there: this tick did not visit it
	}
	stored, err := t.records.Get(ctx, key)
	if err != nil || stored.State.Terminal() {
		return err
	}
	t.Reopened++
	t.Logger.ErrorContext(ctx, "the index had lost an attempt", "attempt", key, "state", stored.State)
	e := attempt.NewEntry(stored)
	e.Revision = 0 // the next tick publishes whatever is unpublished
	return t.records.Open(ctx, e)
}

// mostStrangers is how many jobs without an open attempt a tick looks at.
const mostStrangers = 100

// strangers looks at the jobs with our labels that no open attempt owns. Some ended while the
// lists were made, some are second jobs of attempts with a verdict, and some have no record at
// all: people are told of those.
func (t *tick) strangers(ctx context.Context) {
	if t.active == nil || !t.active.whole {
		return // if there was no time for the whole list, there is none for these
	}
	ids := t.active.unmatched()
	if n := len(ids); n > mostStrangers { // each tick takes another part of them
		at := t.cursors.Ticks * mostStrangers % n
		ids = append(ids[at:n:n], ids[:at]...)[:mostStrangers]
	}
	for _, id := range ids {
		if !t.timeFor(ctx, otherShare) {
			return
		}
		t.failures.add(t.stranger(ctx, id, t.active.of(id)))
	}
}

func (t *tick) stranger(ctx context.Context, id string, jobs []attempt.BackendJob) error {
	owner, err := t.records.Owner(ctx, id)
	if errors.Is(err, job.ErrNotFound) {
		return t.tellStrangers(ctx, jobs, "no attempt owns its ID")
	}
	if err != nil {
		return err
	}
	stored, err := t.records.Get(ctx, owner.Attempt)
	if errors.Is(err, job.ErrNotFound) {
		return t.tellStrangers(ctx, jobs, "its attempt "+owner.Attempt+" has no record")
	}
	if err != nil {
		return err
	}
	var others []attempt.BackendJob
	for _, l := range jobs {
		if l.Labels[job.LabelAttempt] != job.AttemptLabel(owner.Attempt) {
			others = append(others, l)
		}
	}
	err = t.tellStrangers(ctx, others, "attempt "+owner.Attempt+" owns its ID, and did not make it")
	switch {
	case !stored.State.Terminal():
		return errors.Join(err, t.reopen(ctx, stored.Attempt))
	case !t.backend.TakesID():
		// Even if the attempt never had a job: a create that it had given up may still take
		// effect.
		err = errors.Join(err, t.cancelDoubles(ctx, stored, jobs))
		if !slices.ContainsFunc(jobs, func(l attempt.BackendJob) bool { return l.ResourceName == stored.Job.ResourceName }) {
			return err
		}
	case len(others) > 0:
		return err
	}
	// The job has ended, and the list lags behind; or the verdict was wrong.
	known := job.JobInfo{
		ID: id, Backend: stored.Job.Backend,
		ResourceName: cmp.Or(stored.Job.ResourceName, jobs[0].ResourceName),
	}
	found, askErr := t.poll(ctx, known)
	if found.found && found.Ended.IsZero() && askErr == nil {
		askErr = t.tellStrangers(ctx, []attempt.BackendJob{found.BackendJob},
			"its attempt "+stored.Attempt+" is "+string(stored.State))
	}
	return errors.Join(err, askErr)
}

// tellStrangers alerts people to jobs that nobody follows. Each is recorded after its alert. If
// the record's answer is lost, or the tick dies before it, that costs a second alert, never the
// only one.
func (t *tick) tellStrangers(ctx context.Context, jobs []attempt.BackendJob, why string) error {
	var errs []error
	for _, l := range jobs {
		t.strange.Add(1)
		known, err := t.records.Stranger(ctx, l.JobID, l.ResourceName)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if known {
			continue
		}
		t.Logger.ErrorContext(ctx, "a job of this installation that nobody follows",
			"job_id", l.JobID, "resource", l.ResourceName, "state", l.State, "created", l.Created, "why", why)
		errs = append(errs, t.records.KeepStranger(ctx, l.JobID, l.ResourceName, map[string]any{
			"jobId": l.JobID, "resourceName": l.ResourceName, "state": l.State, "created": l.Created, "why": why,
			"found": t.begin,
		}))
	}
	return errors.Join(errs...)
}

// cancelDoubles cancels the jobs of an attempt that are not the one in its record. A process that
// froze in a create, and thawed after others had looked and created, may have made them. It leaves
// a job that lies elsewhere than the kept one, in another region or collection: no create of the
// attempt made it, but it may be the service's own part of the job, with the job's labels, as a
// trial is. It also leaves a job that fits no create, for example a person's copy, and tells
// people of it.
func (t *tick) cancelDoubles(ctx context.Context, stored attempt.Stored, jobs []attempt.BackendJob) error {
	var errs []error
	kept := stored.Job.ResourceName
	for _, l := range jobs {
		if l.ResourceName == kept || l.Labels[job.LabelAttempt] != job.AttemptLabel(stored.Attempt) ||
			l.State == job.BackendCancelling {
			continue
		}
		if kept != "" && path.Dir(l.ResourceName) != path.Dir(kept) {
			continue
		}
		errs = append(errs, t.cancelDouble(ctx, stored, l.JobID, l.ResourceName))
	}
	return errors.Join(errs...)
}

// cancelDouble polls a job, since a list leaves out what the job runs, and cancels it
// if a create of the attempt made it.
func (t *tick) cancelDouble(ctx context.Context, stored attempt.Stored, id, resource string) error {
	l, err := t.poll(ctx, job.JobInfo{ID: id, ResourceName: resource})
	if err != nil || !l.found || l.State.Ended() || l.State == job.BackendCancelling {
		return err
	}
	if !stored.Made(l.BackendJob) {
		return t.tellStrangers(ctx, []attempt.BackendJob{l.BackendJob},
			"it has the labels of attempt "+stored.Attempt+", and no create of that made it")
	}
	if err := t.backend.Cancel(ctx, job.JobInfo{ID: id, ResourceName: resource}); err != nil {
		return err
	}
	t.Logger.ErrorContext(ctx, "second job of an attempt cancelled",
		"attempt", stored.Attempt, "job_id", id, "cancelled", resource, "kept", stored.Job.ResourceName)
	if t.Double != nil {
		t.Double(ctx)
	}
	return nil
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

// scanInbox goes through a slice of the inbox and looks at the drops whose event was lost. Each
// round looks at the job files that came since the previous round began: a list shows all that was
// there when it began.
func (t *tick) scanInbox(ctx context.Context) {
	epoch, err := t.firstStart(ctx)
	if err != nil {
		t.failures.add(err)
		return
	}
	c := &t.cursors.Inbox
	c.Begin(t.begin)
	from := latest(epoch, t.begin.Add(-inboxAge), c.Before.Add(-slack-inFlight))
	until := t.begin.Add(-inFlight)
	lone := lonely{tick: t, from: c.Last, until: c.Began}
	pages := 0
	err = t.objects.ListAfter(ctx, t.Inbox, "", c.After, func(page []job.Attributes) error {
		for _, o := range page {
			if !t.timeFor(ctx, scanShare) {
				return errEnough
			}
			switch {
			case !job.IsPart(o.Name, o.Size):
			case job.IsJobFile(o.Name):
				if !o.Created.Before(from) && o.Created.Before(until) {
					t.takeUnknown(ctx, o.Object)
				}
			default:
				lone.see(ctx, o.Object)
			}
			c.After = o.Name
		}
		if pages++; pages == inboxPages {
			return errEnough
		}
		return nil
	})
	switch {
	case err == nil:
		c.End()
	case !errors.Is(err, errEnough):
		t.failures.add(fmt.Errorf("the inbox: %w", err))
	}
}

func latest(first time.Time, more ...time.Time) time.Time {
	for _, at := range more {
		if at.After(first) {
			first = at
		}
	}
	return first
}

// takeUnknown submits a drop unless its attempt is known.
func (t *tick) takeUnknown(ctx context.Context, o job.Object) {
	known, err := t.records.Has(ctx, job.AttemptKey(o))
	if err == nil && !known {
		t.Found++
		t.Logger.WarnContext(ctx, "a drop was found whose event did not come",
			"bucket", o.Bucket, "object", o.Name, "generation", o.Generation, "created", o.Created)
		err = t.inTime(ctx, 1, "gs://"+o.Bucket+"/"+o.Name, func(ctx context.Context) error {
			return t.resumer.Submit(ctx, o)
		})
		if err != nil && t.onIndex(ctx, o) {
			t.failures.add(err)
			return // ticks find it on the index
		}
	}
	if err != nil {
		t.cursors.Inbox.Failed = true
		t.failures.add(err)
	}
}

// onIndex reports whether a drop's attempt is known to be on the index.
func (t *tick) onIndex(ctx context.Context, o job.Object) bool {
	_, err := t.records.Entry(ctx, job.AttemptKey(o))
	return err == nil
}

// lonely finds folders that have packages and no job file, if the operator asks for that.
type lonely struct {
	*tick
	// A package is reported in the round in which its patience ends: from from to until.
	from, until time.Time
	patience    func(folder string) time.Duration
	told        map[string]bool
}

func (l *lonely) see(ctx context.Context, o job.Object) {
	if l.Alone == nil || l.from.IsZero() {
		return
	}
	if l.patience == nil {
		patience, err := l.Alone(ctx)
		if err != nil {
			l.failures.add(err)
			patience = func(string) time.Duration { return 0 }
		}
		l.patience, l.told = patience, map[string]bool{}
	}
	folder := job.Folder(o.Name)
	wait := l.patience(folder)
	over := o.Created.Add(wait)
	if wait <= 0 || l.told[folder] || over.Before(l.from) || !over.Before(l.until) {
		return
	}
	l.told[folder] = true
	alone, err := l.alone(ctx, o.Bucket, folder)
	if err != nil {
		l.failures.add(err)
		return
	}
	if alone {
		l.Logger.WarnContext(ctx, "packages without a job file",
			"bucket", o.Bucket, "folder", folder, "package", o.Name, "created", o.Created, "waited", wait.String())
	}
}

// alone reports whether a folder has no job file. An object is the first of those whose names
// begin with its own, so one page shows it, whatever else there is.
func (l *lonely) alone(ctx context.Context, bucket, folder string) (bool, error) {
	found := false
	for _, name := range job.JobFileNames() {
		err := l.objects.ListAfter(ctx, bucket, folder+name, "", func(page []job.Attributes) error {
			found = len(page) > 0 && page[0].Name == folder+name
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			return false, err
		}
		if found {
			return false, nil
		}
	}
	return true, nil
}

// firstStart returns when the installation was first started, and records it at the first start.
// Without that record nobody knows which drops are old.
func (w *Watcher) firstStart(ctx context.Context) (time.Time, error) {
	if at := w.epoch.Load(); at != nil {
		return *at, nil
	}
	at, err := w.records.Epoch(ctx)
	if errors.Is(err, job.ErrNotFound) {
		if at, err = w.firstRecord(ctx); err == nil {
			if err = w.records.Begin(ctx, at); err == nil {
				at, err = w.records.Epoch(ctx) // another tick may have been faster
			}
		}
	}
	if err != nil {
		return at, fmt.Errorf("drops whose event was lost are not looked for: %w", err)
	}
	w.epoch.Store(&at)
	return at, nil
}

// firstRecord returns the time of the first start if it was not recorded yet: now, or the time of
// the first record if drops came before the first tick.
func (w *Watcher) firstRecord(ctx context.Context) (time.Time, error) {
	now := w.Now().UTC()
	first, old := now, false
	err := w.records.Filed(ctx, "", func(page []attempt.Filed) error {
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
