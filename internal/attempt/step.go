package attempt

import (
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// ErrNewerRecord is returned when a newer revision of jobdrop wrote the record. Only that revision
// may change it.
var ErrNewerRecord = errors.New("the record was written by a newer revision of jobdrop")

// Observation is something that was seen or done about an attempt.
type Observation interface {
	apply(r *Record, now time.Time) error
}

// Step applies an observation to a record and returns the record's next form. Events that the
// change causes are in its outbox. Step does no I/O and does not modify its argument. changed is
// false if the observation says nothing new; the record need not be written then. A record with a
// verdict never changes again.
func Step(r Record, o Observation, now time.Time) (next Record, changed bool, err error) {
	if r.RecordVersion > RecordVersion {
		return r, false, fmt.Errorf("attempt %s: %w", r.Attempt, ErrNewerRecord)
	}
	if r.State.Terminal() {
		return r, false, nil
	}
	next = r
	next.Outbox = slices.Clone(r.Outbox)
	next.Told = slices.Clone(r.Told)
	next.NextCheck = time.Time{}
	if err := o.apply(&next, now.UTC()); err != nil {
		if errors.Is(err, errNothingNew) {
			return r, false, nil
		}
		return r, false, fmt.Errorf("attempt %s: %w", r.Attempt, err)
	}
	next.bound()
	next.RecordVersion = RecordVersion
	next.Revision++
	return next, true, nil
}

// errNothingNew is returned when an observation changes nothing.
var errNothingNew = errors.New("nothing new")

// TrimOutbox returns the record with an outbox that lacks the events up to the sequence number.
// They have been published.
func (r Record) TrimOutbox(published int64) Record {
	i := 0
	for i < len(r.Outbox) && r.Outbox[i].Body.Sequence <= published {
		i++
	}
	r.Outbox = r.Outbox[i:]
	return r
}

// NewRecord returns the record of an attempt that was never seen before.
func NewRecord(jobFile job.Object, now time.Time) Record {
	jobFile.CorrelationID = job.BoundText(jobFile.CorrelationID, correlationText)
	if !traceparent.MatchString(jobFile.Traceparent) {
		jobFile.Traceparent = ""
	}
	return Record{
		Version:       Version{RecordVersion: RecordVersion},
		Attempt:       job.AttemptKey(jobFile),
		Drop:          job.DropInfo{Bucket: jobFile.Bucket, Prefix: job.Folder(jobFile.Name), JobFile: jobFile},
		CorrelationID: jobFile.CorrelationID, Traceparent: jobFile.Traceparent, Uploader: jobFile.Uploader,
		Times: job.Times{Dropped: jobFile.Created, Seen: now.UTC()},
	}
}

// traceparent matches version 00 of W3C's Trace Context.
var traceparent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// emit appends an event with the record as it is now to the outbox.
func (r *Record) emit(t job.EventType, now time.Time) {
	r.Sequence++
	if !r.told(t) {
		r.Told = append(r.Told, t)
	}
	r.History = job.Remember(r.History, job.HistoryEntry{Sequence: r.Sequence, Type: t, Time: now, Reason: r.Reason})
	r.Outbox = append(r.Outbox, job.Event{Type: t, Time: now, Body: r.Snapshot(), Traceparent: r.Traceparent})
}

// conclude sets the verdict and emits its event.
func (r *Record) conclude(s job.State, t job.EventType, now time.Time) {
	r.State = s
	r.Creating, r.Queued, r.NextTry, r.NextCheck = nil, false, time.Time{}, time.Time{}
	r.Times.Concluded = now
	r.emit(t, now)
}

func (r *Record) told(t job.EventType) bool { return slices.Contains(r.Told, t) }

// undecided refuses an observation of an attempt that has a decision already. Another worker was
// faster, and its decision stands.
func (r *Record) undecided() error {
	if !r.State.Undecided() {
		return errNothingNew
	}
	return nil
}

// Routed is an observation of a drop whose job file could be read. Routes are those that it names:
// people hear of a drop that is never accepted, too.
type Routed struct {
	Observation
	Routes []string
}

func (o Routed) apply(r *Record, now time.Time) error {
	r.Notify = job.BoundRoutes(o.Routes)
	return o.Observation.apply(r, now)
}

// Incomplete says that packages are missing, or could not be checked in time. Violations holds the
// faults of the job file that can be found without them.
type Incomplete struct {
	Arrived    []job.Object
	Missing    []string
	Violations []job.Violation
	// Near says what is there and nearly is what is missing, with the remedy.
	Near []string
	// Mispinned reports that a package is there, but not with the generation or the content that
	// the job file pins.
	Mispinned bool
	// Unreadable holds the words of the storage service if it does not let jobdrop read what is
	// missing.
	Unreadable string
	// NextCheck is set if nothing is missing, but the check was cut off by its time. It is when the
	// drop is checked again.
	NextCheck time.Time
	// Before are packages that are there, and that an earlier attempt of the folder was
	// decided upon. From Until on the drop takes them as they are once it is complete.
	Before []job.Object
	Until  time.Time
	// ReportAfter and ExpireAfter count from the job file's arrival, or from
	// the replay that looked at it first. If the check was cut off, they count from then.
	ReportAfter, ExpireAfter time.Duration
}

func (o Incomplete) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	var arrivedCut, missingCut bool
	o.Arrived, arrivedCut = job.BoundObjects(o.Arrived)
	o.Missing, missingCut = job.BoundTexts(o.Missing)
	if r.State != job.Waiting || len(r.Drop.Missing) == 0 && o.NextCheck.IsZero() {
		r.Deadlines = job.Deadlines{} // those of another wait, if any
	}
	var held time.Time
	if len(o.Before) > 0 {
		held = o.Until.UTC()
	}
	reason := o.reason(r.Drop)
	news := r.State != job.Waiting || r.Reason != reason || !r.Deadlines.Held.Equal(held) ||
		!slices.Equal(r.Drop.Missing, o.Missing) || !slices.Equal(r.Drop.Arrived, o.Arrived)
	r.State, r.Reason, r.Deadlines.Held = job.Waiting, reason, held
	r.Drop.Arrived, r.Drop.Missing, r.Violations = o.Arrived, o.Missing, o.Violations
	r.Truncated, r.NextCheck = arrivedCut || missingCut, o.NextCheck
	from := r.Times.Dropped
	if r.Replayed.After(from) {
		from = r.Replayed
	}
	expired := "the drop was never completed"
	switch {
	case !o.NextCheck.IsZero():
		from = now // the drop may be late already
		expired = "every check of the drop was cut off by its time: upload smaller packages, then the job file again"
	case o.Unreadable != "":
		expired = "jobdrop was never able to read " + some(o.Missing)
	}
	return r.wait(from, o.ReportAfter, o.ExpireAfter, news, expired, now)
}

// reason says what the attempt waits for, and how to go on.
func (o Incomplete) reason(d job.DropInfo) string {
	if o.Unreadable != "" {
		return job.BoundText(fmt.Sprintf("waiting until jobdrop can read %s in gs://%s/%s: let it read the object, or upload "+
			"the object again without what keeps it closed, such as a key of your own; the storage service says: %s",
			some(o.Missing), d.Bucket, d.Prefix, o.Unreadable), job.MaxText)
	}
	if !o.NextCheck.IsZero() {
		return job.BoundText(fmt.Sprintf("waiting: the check of the drop in gs://%s/%s was cut off by its time, and is "+
			"made again from %s on; if that goes on, upload smaller packages, then the job file again",
			d.Bucket, d.Prefix, o.NextCheck.UTC().Format(time.RFC3339)), job.MaxText)
	}
	then := "the job file need not be uploaded again"
	switch {
	case o.Mispinned:
		then = "or, if the pin is not of the package that is meant, correct it and upload the job file again"
	case job.HasErrors(o.Violations):
		then = "then the job file again, which has errors: see the violations"
	}
	if len(o.Before) > 0 {
		var names []string
		for _, p := range o.Before {
			names = append(names, p.Base())
		}
		then += fmt.Sprintf("; an earlier attempt of this folder already had %s: if that changes, too, upload it "+
			"first, since from %s on it is taken as it is",
			some(names), o.Until.UTC().Format(time.RFC3339))
	}
	what := "upload what is missing"
	if len(o.Near) > 0 {
		what = strings.Join(o.Near, "; ") + "; or " + what
	}
	return job.BoundText(fmt.Sprintf("waiting for %s in gs://%s/%s: %s; %s", some(o.Missing), d.Bucket, d.Prefix, what,
		then), job.MaxText)
}

// leastPause and mostPause bound the time between two checks that are cut off. Each takes minutes
// from other drops.
const (
	leastPause = 5 * time.Minute
	mostPause  = time.Hour
)

// CheckAgain returns when to check the attempt's drop again after a check that was cut off by its
// time. The pauses grow with the time since the attempt was first seen.
func (r Record) CheckAgain(now time.Time) time.Time {
	pause := min(max(now.Sub(r.Times.Seen), leastPause), mostPause)
	return now.Add(pause).UTC().Truncate(time.Second)
}

// Arrived reports whether packages are those that the record of a waiting attempt names.
func (r Record) Arrived(packages []job.Object) bool {
	packages, _ = job.BoundObjects(packages)
	return slices.Equal(r.Drop.Arrived, packages)
}

// some returns the first names, and how many more there are.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Hold says that the drop is complete, but that an earlier attempt of its folder was decided with
// Packages. New ones may be on their way.
type Hold struct {
	Until    time.Time
	Packages []job.Object
}

func (o Hold) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	reason := o.reason()
	if r.State == job.Held && r.Deadlines.Held.Equal(o.Until) && r.Reason == reason {
		return errNothingNew
	}
	r.State, r.Reason = job.Held, reason
	r.Drop.Arrived, r.Drop.Missing, r.Violations = nil, nil, nil
	r.Deadlines = job.Deadlines{Held: o.Until.UTC()}
	return nil
}

// reason says what the attempt waits for, until when, and how to go on at once.
func (o Hold) reason() string {
	var names, pins []string
	for _, p := range o.Packages {
		names = append(names, p.Base())
		pins = append(pins, fmt.Sprintf("{name: %q, generation: %d}", p.Base(), p.Generation))
	}
	again := "or pin this one in the job file to go on with it: jobdrop: {packages: [" + strings.Join(pins, ", ") + "]}"
	if len(pins) > 3 {
		again = "or pin these in the job file, under jobdrop.packages, to go on with them"
	}
	return job.BoundText(fmt.Sprintf("held until %s: an earlier attempt of this folder already had %s, "+
		"and a new one may be on its way; "+
		"upload the new package to go on at once, %s", o.Until.UTC().Format(time.RFC3339), some(names), again), job.MaxText)
}

// Blocked says that an undecided attempt has claimed the job ID that this attempt wants.
type Blocked struct {
	JobID string
	// By is the attempt that has claimed the ID. It is empty if it is of another folder. Waits is what it waits for; it
	// may be unknown.
	By, Waits string
	// ReportAfter and ExpireAfter count from when the attempt was first blocked.
	ReportAfter, ExpireAfter time.Duration
}

func (o Blocked) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	reason := "waiting for job ID " + o.JobID + ": "
	if o.By == "" {
		reason += "an attempt of another folder has claimed it and is not decided yet; choose another job ID, or wait"
	} else {
		reason += "attempt " + o.By + " of this folder has claimed it and is not decided yet"
		if o.Waits != "" {
			reason += " (" + o.Waits + ")"
		}
		reason += "; complete or delete that drop, or choose another job ID"
	}
	reason = job.BoundText(reason, job.MaxText)
	news := r.State != job.Waiting || r.Reason != reason
	if len(r.Drop.Missing)+len(r.Drop.Arrived) > 0 || r.State == job.Held {
		r.Deadlines = job.Deadlines{} // they were of a drop that was not complete, or of a hold
	}
	r.State, r.Reason = job.Waiting, reason
	r.Drop.Arrived, r.Drop.Missing, r.Violations = nil, nil, nil
	// The attempt may be late already, and the other about to be decided: so the patience counts
	// from now.
	return r.wait(now, o.ReportAfter, o.ExpireAfter, news, "the job ID "+o.JobID+" was never free", now)
}

// wait makes the attempt wait. report and expire count from the time from. never is the reason why
// the attempt expires.
func (r *Record) wait(from time.Time, report, expire time.Duration, news bool, never string, now time.Time) error {
	if r.Deadlines.Expires.IsZero() {
		r.Deadlines.Incomplete, r.Deadlines.Expires = from.Add(report), from.Add(expire)
	}
	switch {
	case !now.Before(r.Deadlines.Expires):
		r.Reason = never
		r.conclude(job.Expired, job.DropExpired, now)
	case !now.Before(r.Deadlines.Incomplete) && !r.told(job.DropIncomplete):
		r.emit(job.DropIncomplete, now)
	case !news:
		return errNothingNew
	}
	return nil
}

// Reject says that the drop is not a valid job, that policy forbids it, or that its job ID is
// taken.
type Reject struct {
	Reason     string
	Violations []job.Violation
}

func (o Reject) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	r.Reason, r.Violations, r.Deadlines = o.Reason, o.Violations, job.Deadlines{}
	r.Drop.Arrived, r.Drop.Missing, r.Truncated = nil, nil, false
	r.conclude(job.Rejected, job.DropRejected, now)
	return nil
}

// Withdraw says that the attempt ended before it was accepted: its job file was deleted or
// overwritten, or it is a duplicate.
type Withdraw struct {
	Reason string
	// DuplicateOf is the attempt that a duplicate repeats, and JobID is the ID of its job.
	DuplicateOf, JobID string
}

func (o Withdraw) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	r.Reason, r.Deadlines = o.Reason, job.Deadlines{}
	r.Job.ID, r.DuplicateOf = o.JobID, o.DuplicateOf
	r.conclude(job.Withdrawn, job.DropWithdrawn, now)
	return nil
}

// Accept says that the drop is checked, allowed and staged. It claims the right to create the job,
// unless the attempt has to wait for its turn.
type Accept struct {
	Spec     job.Spec
	Mapping  job.Mapping
	Receipt  job.Receipt
	Backend  string
	Warnings []job.Violation
	Claim    Claim
	// Waits says what the attempt waits for. If it is set, the attempt gets no claim.
	Waits string
	// AcceleratorSeconds is what the job may take at most, in seconds of one accelerator.
	AcceleratorSeconds int64
	// SubmitWithin is how long the backend is asked for the job; 0 means without end.
	SubmitWithin time.Duration
	// Patience is the operator's patience with the job.
	Patience job.JobPatience
}

func (o Accept) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	if len(o.Receipt.Objects) > 0 {
		jobFile, checked := r.Drop.JobFile, o.Receipt.Objects[0]
		jobFile.DecodedSize, jobFile.DecodedCRC32C = checked.DecodedSize, checked.DecodedCRC32C
		o.Receipt.Objects = append([]job.Object{jobFile}, job.Anonymous(o.Receipt.Objects[1:])...)
	}
	if o.tooLarge() {
		return Reject{
			Reason:     "the drop is not valid",
			Violations: []job.Violation{job.TooLarge(r.Drop.JobFile.Base())},
		}.apply(r, now)
	}
	r.State, r.Reason, r.Deadlines = job.Accepted, "", job.Deadlines{}
	r.Drop.Arrived, r.Drop.Missing, r.Drop.Receipt, r.Truncated = nil, nil, &o.Receipt, false
	r.Spec, r.Mapping, r.Backend, r.Violations = &o.Spec, o.Mapping, o.Backend, o.Warnings
	r.Job = job.JobInfo{ID: o.Spec.JobID, Backend: o.Backend, Labels: o.Spec.Labels, Summary: job.Summarize(&o.Spec)}
	r.Patience = o.Patience
	r.Times.Accepted = now
	r.SubmitWithin = job.Duration(max(o.SubmitWithin, 0))
	r.AcceleratorSeconds = new(o.AcceleratorSeconds)
	if o.Waits != "" {
		r.Queued, r.Reason = true, o.Waits
	} else {
		r.takeClaim(o.Claim, now)
		r.Deadlines.Submit = r.submitDeadline(now)
	}
	r.emit(job.DropAccepted, now)
	return nil
}

func (r *Record) submitDeadline(now time.Time) time.Time {
	switch {
	case r.SubmitLeft != nil:
		return now.Add(time.Duration(*r.SubmitLeft))
	case r.SubmitWithin > 0:
		return now.Add(time.Duration(r.SubmitWithin))
	}
	return time.Time{} // none
}

// TakeClaim takes the right to create the job of an accepted attempt. It is refused while another
// claim is valid, and before the next try is due.
type TakeClaim struct {
	Claim Claim
	// Turn reports that it is the attempt's turn. A queued attempt can't be claimed without it.
	Turn bool
}

func (o TakeClaim) apply(r *Record, now time.Time) error {
	if !r.Claimable(now) && !(o.Turn && r.Startable(now)) {
		return errNothingNew
	}
	if r.Creating != nil { // its owner may have asked the backend, and died
		r.doubt(now)
	}
	if r.Queued {
		r.Queued, r.Reason = false, ""
	}
	r.Turn = r.Turn || o.Turn
	if r.Deadlines.Submit.IsZero() {
		r.Deadlines.Submit = r.submitDeadline(now)
	}
	r.takeClaim(o.Claim, now)
	return nil
}

// takeClaim records a claim.
func (r *Record) takeClaim(c Claim, now time.Time) {
	if r.Claims.First.IsZero() {
		r.Claims.First = now
		if r.Tries > 0 || r.Creating != nil || !r.UnknownUntil.IsZero() {
			r.Claims.First = r.Times.Accepted // an earlier version took the first claim
		}
	}
	if c.Until.After(r.Claims.Last) {
		r.Claims.Last = c.Until
	}
	r.Creating = &c
}

// Made reports whether a job, as a poll showed it, fits a create of the attempt. It must
// have the attempt's labels, name and staged packages, and must have been created while a create
// may have been under way, as far as clocks tell. Nothing else is compared, since services fill in
// what a job leaves out. A record of an earlier form does not say when claims were held; no create
// came before its acceptance.
func (r Record) Made(j BackendJob) bool {
	if r.Spec == nil || r.Drop.Receipt == nil || !job.SameOwner(j.Labels, r.Spec.Labels) || j.JobID != r.Spec.JobID {
		return false
	}
	if !slices.Equal(j.Packages, r.Drop.Receipt.Staged) || j.Created.IsZero() {
		return false
	}
	first, last := r.Claims.First, r.Claims.Last
	if first.IsZero() {
		return !j.Created.Before(r.Times.Accepted.Add(-clocksDiffer))
	}
	return !j.Created.Before(first.Add(-clocksDiffer)) && !j.Created.After(last.Add(stalled+clocksDiffer))
}

// stalled is how long after its claim a process may still act on it. A function ends after nine
// minutes; one that was frozen may thaw until then.
const stalled = 10 * time.Minute

// doubt records that an earlier create may still take effect.
func (r *Record) doubt(now time.Time) {
	r.Absent = nil // what was not there may be there now
	if until := now.Add(stalled); until.After(r.UnknownUntil) {
		r.UnknownUntil = until
	}
}

// vainMisses and vainFor bound the searches that must find no job before another create is asked of
// a backend that takes no ID. Its list may lag behind.
const (
	vainMisses = 2
	vainFor    = 2 * time.Minute
)

// Vain says that a search found no job of the attempt. An earlier create may still take effect,
// or the list may lag behind. Vain gives the claim back.
type Vain struct {
	// Nonce is that of the claim held during the search: it shows that nobody created a job
	// meanwhile.
	Nonce string
}

func (o Vain) apply(r *Record, now time.Time) error {
	if r.State != job.Accepted || r.Creating == nil || r.Creating.Nonce != o.Nonce {
		return errNothingNew
	}
	a := Absence{Since: now}
	if r.Absent != nil {
		a = *r.Absent
	}
	a.Misses++
	r.Absent, r.Creating, r.Reason = &a, nil, "an earlier create may still have its effect"
	return nil
}

// Vainly reports whether searches found no job so often, and for so long, that even a list that
// lags would show it.
func (r Record) Vainly(now time.Time) bool {
	return r.Absent != nil && r.Absent.Misses >= vainMisses && !now.Before(r.Absent.Since.Add(vainFor))
}

// CreateUnknown reports whether a create was asked for whose outcome was never learnt.
func (r Record) CreateUnknown() bool { return !r.UnknownUntil.IsZero() }

// CreateUnderWay reports whether such a create may still take effect.
func (r Record) CreateUnderWay(now time.Time) bool { return now.Before(r.UnknownUntil) }

// Claimable reports whether any worker may claim the record for a create.
func (r Record) Claimable(now time.Time) bool {
	return r.State == job.Accepted && !r.Queued && (r.Creating == nil || !now.Before(r.Creating.Until)) &&
		!now.Before(r.NextTry)
}

// Startable reports whether the record is queued and may be claimed when it is its turn.
func (r Record) Startable(now time.Time) bool {
	return r.State == job.Accepted && r.Queued && !now.Before(r.NextTry)
}

// Overdue reports whether the backend is no longer asked for the job: the time for that is over, or
// somebody asked to cancel the attempt.
func (r Record) Overdue(now time.Time) bool {
	late := !r.Deadlines.Submit.IsZero() && !now.Before(r.Deadlines.Submit)
	return r.State == job.Accepted && (late || r.CancelAsked())
}

// WaitsForQuota is the reason of an attempt whose job the backend has no room for.
const WaitsForQuota = "waiting for the backend's quota"

// Wait puts an accepted attempt into the queue, or updates what it waits for there.
type Wait struct {
	Reason string
}

func (o Wait) apply(r *Record, now time.Time) error {
	o.Reason = job.BoundText(o.Reason, job.MaxText)
	if r.State != job.Accepted || !r.Queued && !r.Claimable(now) || r.Queued && r.Reason == o.Reason {
		return errNothingNew
	}
	if r.Creating != nil {
		r.doubt(now)
	}
	r.Queued, r.Reason, r.Creating = true, o.Reason, nil
	if end := r.Deadlines.Submit; !end.IsZero() && o.Reason != WaitsForQuota {
		r.SubmitLeft, r.Deadlines.Submit = new(job.Duration(max(end.Sub(now), 0))), time.Time{}
	}
	return nil
}

// Postpone ends a claim early: as far as is known, no job was created. Reason says why.
type Postpone struct {
	// Nonce is that of the claim.
	Nonce  string
	Reason string
	// Failure is what the backend answered; nil if it was not asked.
	Failure *job.Failure
	// Quota reports that the backend has no room: the attempt waits for its turn.
	Quota bool
	// Unknown reports that the create may have taken effect all the same.
	Unknown bool
}

func (o Postpone) apply(r *Record, now time.Time) error {
	if r.State != job.Accepted || r.Creating == nil || r.Creating.Nonce != o.Nonce {
		return errNothingNew
	}
	if o.Unknown {
		r.doubt(now)
	}
	r.Creating, r.Reason = nil, o.Reason
	if r.CancelAsked() && !r.CreateUnknown() {
		r.neverRan(now)
		return nil
	}
	if o.Failure == nil {
		return nil
	}
	failure := *o.Failure
	failure.Message, failure.Retryable = job.BoundText(failure.Message, job.MaxText), true
	r.Error = &failure
	r.Tries++
	if r.Overdue(now) && r.UnknownUntil.IsZero() {
		r.giveUp(now)
		return nil
	}
	r.Queued = o.Quota
	r.NextTry = now.Add(backoff(r.Attempt, r.Tries))
	if most := now.Add(quotaBackoff); o.Quota && most.Before(r.NextTry) {
		r.NextTry = most // room may come at any moment, and new drops ask at once
	}
	if end := r.Deadlines.Submit; end.After(now) && end.Before(r.NextTry) {
		r.NextTry = end
	}
	return nil
}

// giveUp ends an attempt whose job the backend did not take in time, or that was cancelled. The caller knows that no job
// of it exists.
func (r *Record) giveUp(now time.Time) {
	if r.CancelAsked() {
		r.neverRan(now)
		return
	}
	r.Reason = "the backend did not take the job within " + r.SubmitWithin.String()
	r.conclude(job.Rejected, job.DropRejected, now)
}

// firstBackoff, longestBackoff and quotaBackoff bound the time between two tries. Ticks come about
// once a minute. A backend that is down for hours is asked every few minutes.
const (
	firstBackoff   = 5 * time.Second
	longestBackoff = 5 * time.Minute
	quotaBackoff   = time.Minute
)

// backoff returns the time to the next try after the given number of tries. It doubles with each
// try, less up to a half, which spreads attempts that failed together. It depends only on its
// arguments, so every worker computes the same.
func backoff(attempt string, tries int) time.Duration {
	d := longestBackoff
	if doublings := tries - 1; doublings < 6 {
		d = min(firstBackoff<<doublings, d)
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %d", attempt, tries)
	return d/2 + time.Duration(float64(d/2)*float64(h.Sum32())/(1<<32))
}

// CodeQuota is the code of the failure of a create that the backend had no room for.
const CodeQuota = "RESOURCE_EXHAUSTED"

// LastTry returns when the backend was asked for the job the last time, in vain. It is zero if the backend was not
// asked, or if that can't be told from the time of the next try.
func (r Record) LastTry() time.Time {
	if r.State != job.Accepted || r.Tries == 0 || r.NextTry.IsZero() || r.NextTry.Equal(r.Deadlines.Submit) {
		return time.Time{}
	}
	pause := backoff(r.Attempt, r.Tries)
	if r.Error != nil && r.Error.Code == CodeQuota {
		pause = min(pause, quotaBackoff)
	}
	return r.NextTry.Add(-pause)
}

// GiveUp says that the backend is no longer asked for the job, that a search found no job of the attempt,
// and that none can appear any more.
type GiveUp struct {
	// Nonce is that of the claim held during the search: it shows that nobody created a job
	// meanwhile.
	Nonce string
}

func (o GiveUp) apply(r *Record, now time.Time) error {
	if !r.Overdue(now) || now.Before(r.UnknownUntil) || r.Creating == nil || r.Creating.Nonce != o.Nonce {
		return errNothingNew
	}
	if r.Error == nil { // the worker that asked died
		r.Error = &job.Failure{Message: "the backend's answer was never learnt", Retryable: true}
	}
	r.giveUp(now)
	return nil
}

// Refuse says that the backend refused the job for good.
type Refuse struct {
	// Nonce is that of the claim held when the backend was asked. A worker that has lost it since
	// can't refuse.
	Nonce      string
	Failure    job.Failure
	Violations []job.Violation
}

func (o Refuse) apply(r *Record, now time.Time) error {
	if r.State != job.Accepted || r.Creating == nil || r.Creating.Nonce != o.Nonce {
		return errNothingNew
	}
	r.Reason, r.Error, r.Deadlines = "the backend refused the job", &o.Failure, job.Deadlines{}
	r.Violations = append(slices.Clone(r.Violations), o.Violations...)
	r.conclude(job.Rejected, job.DropRejected, now)
	return nil
}
