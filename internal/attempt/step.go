package attempt

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// ErrNewerRecord says that a record was written by a newer revision of jobdrop,
// which alone may change it.
var ErrNewerRecord = errors.New("the record was written by a newer revision of jobdrop")

// Observation is something that was seen or done about an attempt.
type Observation interface {
	apply(r *Record, now time.Time) error
}

// Step takes an observation into a record and gives the record's next form,
// with the events that the change causes in its outbox. It does no I/O and
// leaves its argument as it is. changed is false where the observation says
// nothing new; the record needs no rewriting then. A record that has its
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

// errNothingNew is how an observation says that it changes nothing.
var errNothingNew = errors.New("nothing new")

// Published gives the record without the events up to the sequence number: they
// have been published.
func (r Record) Published(sequence int64) Record {
	i := 0
	for i < len(r.Outbox) && r.Outbox[i].Body.Sequence <= sequence {
		i++
	}
	r.Outbox = r.Outbox[i:]
	return r
}

// NewRecord gives the record of an attempt that was never seen before.
func NewRecord(jobFile job.Object, now time.Time) Record {
	jobFile.CorrelationID = job.Shorten(jobFile.CorrelationID, correlationText)
	if !traceparent.MatchString(jobFile.Traceparent) {
		jobFile.Traceparent = ""
	}
	return Record{
		RecordVersion: RecordVersion,
		Attempt:       job.AttemptKey(jobFile),
		Drop:          job.DropInfo{Bucket: jobFile.Bucket, Prefix: job.Folder(jobFile.Name), JobFile: jobFile},
		CorrelationID: jobFile.CorrelationID, Traceparent: jobFile.Traceparent,
		Times: job.Times{Dropped: jobFile.Created, Seen: now.UTC()},
	}
}

// traceparent is W3C's Trace Context in its version 00.
var traceparent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// emit adds an event of the record as it stands now.
func (r *Record) emit(t job.EventType, now time.Time) {
	r.Sequence++
	r.Told = append(r.Told, t)
	r.Outbox = append(r.Outbox, job.Event{Type: t, Time: now, Body: r.Snapshot(), Traceparent: r.Traceparent})
}

// conclude gives the verdict.
func (r *Record) conclude(s job.State, t job.EventType, now time.Time) {
	r.State = s
	r.Creating, r.Queued, r.NextTry = nil, false, time.Time{}
	r.Times.Concluded = now
	r.emit(t, now)
}

func (r *Record) told(t job.EventType) bool { return slices.Contains(r.Told, t) }

// undecided refuses an observation that only an attempt without a decision can
// take: another worker was faster, and its decision stands.
func (r *Record) undecided() error {
	if !r.State.Undecided() {
		return errNothingNew
	}
	return nil
}

// Incomplete says that packages are missing. Violations are those of the job
// file as far as they can be known already.
type Incomplete struct {
	Arrived    []job.Object
	Missing    []string
	Violations []job.Violation
	// Mispinned reports that a package is there in another generation or with other
	// content than the job file's pin says.
	Mispinned bool
	// Before are packages that are there, and that an earlier attempt of the folder was
	// decided upon. From Until on the drop takes them as they are once it is complete.
	Before []job.Object
	Until  time.Time
	// ReportAfter and ExpireAfter count from the job file's arrival, or from
	// the replay that looked at it first.
	ReportAfter, ExpireAfter time.Duration
}

func (o Incomplete) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	var arrivedCut, missingCut bool
	o.Arrived, arrivedCut = job.BoundObjects(o.Arrived)
	o.Missing, missingCut = job.BoundTexts(o.Missing)
	if len(r.Drop.Missing) == 0 {
		r.Deadlines = job.Deadlines{} // it waited for something else, if at all
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
	r.Truncated = arrivedCut || missingCut
	from := r.Times.Dropped
	if r.Replayed.After(from) {
		from = r.Replayed
	}
	return r.wait(from, o.ReportAfter, o.ExpireAfter, news, "the drop was never completed", now)
}

// reason says what is waited for, and how to go on.
func (o Incomplete) reason(d job.DropInfo) string {
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
		then += fmt.Sprintf("; an earlier attempt of this folder already had %s: if that changes, too, upload it first, since from %s on it is taken as it is",
			some(names), o.Until.UTC().Format(time.RFC3339))
	}
	return job.Shorten(fmt.Sprintf("waiting for %s in gs://%s/%s: upload what is missing; %s", some(o.Missing), d.Bucket, d.Prefix, then), job.MaxText)
}

// some returns the first of some names, and how many more there are.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Hold says that the drop is complete, but that an earlier attempt of its folder was
// decided upon Packages: the new ones may be on their way.
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

// reason says what is waited for, until when, and how to go on at once.
func (o Hold) reason() string {
	var names, pins []string
	for _, p := range o.Packages {
		names = append(names, p.Base())
		pins = append(pins, fmt.Sprintf("{name: %q, generation: %d}", p.Base(), p.Generation))
	}
	again := "or pin this one in the job file to run it again: jobdrop: {packages: [" + strings.Join(pins, ", ") + "]}"
	if len(pins) > 3 {
		again = "or pin these in the job file, under jobdrop.packages, to run them again"
	}
	return job.Shorten(fmt.Sprintf("held until %s: an earlier attempt of this folder already had %s, and a new one may be on its way; "+
		"upload the new package to go on at once, %s", o.Until.UTC().Format(time.RFC3339), some(names), again), job.MaxText)
}

// Blocked says that the attempt wants a job ID that an undecided attempt has claimed.
type Blocked struct {
	JobID string
	// By is the attempt that has it. Folder and Waits are where it lies and what it
	// waits for, as far as is known.
	By, Folder, Waits string
	// ReportAfter and ExpireAfter count from when the attempt was blocked first.
	ReportAfter, ExpireAfter time.Duration
}

func (o Blocked) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	reason := fmt.Sprintf("waiting for job ID %s: attempt %s", o.JobID, o.By)
	if o.Folder != "" {
		reason += " in " + o.Folder
	}
	reason += " has claimed it and is not decided yet"
	if o.Waits != "" {
		reason += " (" + o.Waits + ")"
	}
	reason = job.Shorten(reason+"; complete or delete that drop, or choose another job ID", job.MaxText)
	news := r.State != job.Waiting || r.Reason != reason
	if len(r.Drop.Missing) > 0 || r.State == job.Held {
		r.Deadlines = job.Deadlines{} // they were of a drop that was not complete, or of a hold
	}
	r.State, r.Reason = job.Waiting, reason
	r.Drop.Arrived, r.Drop.Missing, r.Violations = nil, nil, nil
	// It may be late itself, and the other about to be decided: so its patience begins now.
	return r.wait(now, o.ReportAfter, o.ExpireAfter, news, "the job ID "+o.JobID+" was never free", now)
}

// wait has the attempt wait, for as long as there is patience with it, counted from a
// time. never is the reason why it expires.
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

// Reject says that the drop is no valid job, or that policy or a job ID that is
// taken forbids it.
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

// Withdraw says that the attempt ended before it was accepted: its job file was
// deleted or overwritten, or it is a duplicate.
type Withdraw struct {
	Reason string
	// JobID is that of the attempt that a duplicate repeats.
	JobID string
}

func (o Withdraw) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	r.Reason, r.Deadlines = o.Reason, job.Deadlines{}
	r.Job.ID = o.JobID
	r.conclude(job.Withdrawn, job.DropWithdrawn, now)
	return nil
}

// Accept says that the drop is checked, allowed and staged, and claims the
// right to create its job; or that the attempt has to wait for its turn.
type Accept struct {
	Spec     job.Spec
	Mapping  job.Mapping
	Receipt  job.Receipt
	Backend  string
	Notify   []string
	Warnings []job.Violation
	Claim    Claim
	// Waits says what the attempt waits for. It gets no claim then.
	Waits string
	// SubmitWithin is how long the backend is asked; 0 is for ever.
	SubmitWithin time.Duration
	// Patience is the operator's with the job.
	Patience Patience
}

func (o Accept) apply(r *Record, now time.Time) error {
	if err := r.undecided(); err != nil {
		return err
	}
	if len(o.Receipt.Objects) > 0 {
		o.Receipt.Objects = append([]job.Object{r.Drop.JobFile}, job.Anonymous(o.Receipt.Objects[1:])...)
	}
	if o.tooLarge() {
		return Reject{Reason: "the drop is not valid", Violations: []job.Violation{job.TooLarge(r.Drop.JobFile.Base())}}.apply(r, now)
	}
	r.State, r.Reason, r.Deadlines = job.Accepted, "", job.Deadlines{}
	r.Drop.Arrived, r.Drop.Missing, r.Drop.Receipt, r.Truncated = nil, nil, &o.Receipt, false
	r.Spec, r.Mapping, r.Backend, r.Notify, r.Violations = &o.Spec, o.Mapping, o.Backend, o.Notify, o.Warnings
	r.Job = job.JobInfo{ID: o.Spec.JobID, Backend: o.Backend, Labels: o.Spec.Labels, Summary: job.Summarize(&o.Spec)}
	r.Patience = o.Patience
	r.Times.Accepted = now
	if o.SubmitWithin > 0 {
		r.SubmitWithin = job.FormatDuration(o.SubmitWithin)
	}
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
	within, err := job.ParseDuration(cmp.Or(r.SubmitLeft, r.SubmitWithin))
	if err != nil {
		return time.Time{} // none
	}
	return now.Add(within)
}

// TakeClaim takes the right to create the job of an accepted attempt. It is
// refused while another's claim holds and before the next try is due.
type TakeClaim struct {
	Claim Claim
	// Turn tells that it is the attempt's turn. Without it one that is queued
	// is not claimed.
	Turn bool
}

func (o TakeClaim) apply(r *Record, now time.Time) error {
	if !r.Claimable(now) && !(o.Turn && r.Startable(now)) {
		return errNothingNew
	}
	if r.Creating != nil { // whoever held the claim before may have asked, and died
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

// takeClaim enters a claim in the record.
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

// Made reports whether a job, as a direct look showed it, fits a create of the
// attempt: it has the attempt's labels, name and staged packages, and was created
// while a create may have been under way, as far as clocks tell. Nothing else is
// compared: services fill in what a job leaves out. Of a record of an earlier
// version it is not known when claims were held; no create came before its
// acceptance.
func (r Record) Made(l Look) bool {
	if r.Spec == nil || r.Drop.Receipt == nil || !job.SameOwner(l.Labels, r.Spec.Labels) || l.JobID != r.Spec.JobID {
		return false
	}
	if !slices.Equal(l.Packages, r.Drop.Receipt.Staged) || l.Created.IsZero() {
		return false
	}
	first, last := r.Claims.First, r.Claims.Last
	if first.IsZero() {
		return !l.Created.Before(r.Times.Accepted.Add(-clocksDiffer))
	}
	return !l.Created.Before(first.Add(-clocksDiffer)) && !l.Created.After(last.Add(stalled+clocksDiffer))
}

// stalled is how long after its claim a process may still act on it: a function
// ends after nine minutes, and until then one that was frozen may thaw.
const stalled = 10 * time.Minute

// doubt says that an earlier create may have its effect yet.
func (r *Record) doubt(now time.Time) {
	r.Absent = nil // what was not there may be there now
	if until := now.Add(stalled); until.After(r.UnknownUntil) {
		r.UnknownUntil = until
	}
}

// Look-ups that have to find no job before another create is asked of a backend
// that takes no ID: its list may lag behind.
const (
	vainLooks = 2
	vainFor   = 2 * time.Minute
)

// Vain says that a look-up found no job of the attempt, while an earlier create may
// still have its effect, or a list may lag behind. It gives the claim back.
type Vain struct {
	// Nonce is that of the claim under which was looked: so nobody created
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
	a.Looks++
	r.Absent, r.Creating, r.Reason = &a, nil, "an earlier create may still have its effect"
	return nil
}

// Vainly tells whether look-ups found no job often enough, for long enough, that a
// list that lags behind would show it.
func (r Record) Vainly(now time.Time) bool {
	return r.Absent != nil && r.Absent.Looks >= vainLooks && !now.Before(r.Absent.Since.Add(vainFor))
}

// Doubtful tells whether an earlier create may have had an effect that nobody
// learnt of, and whether it may have one yet.
func (r Record) Doubtful(now time.Time) (had, mayHave bool) {
	return !r.UnknownUntil.IsZero(), now.Before(r.UnknownUntil)
}

// Claimable tells whether the record may be claimed for a create by whoever sees
// it.
func (r Record) Claimable(now time.Time) bool {
	return r.State == job.Accepted && !r.Queued && (r.Creating == nil || !now.Before(r.Creating.Until)) && !now.Before(r.NextTry)
}

// Startable tells whether the record is queued and may be claimed when it is its
// turn.
func (r Record) Startable(now time.Time) bool {
	return r.State == job.Accepted && r.Queued && !now.Before(r.NextTry)
}

// Overdue tells whether the time is over in which the backend is asked for the
// job.
func (r Record) Overdue(now time.Time) bool {
	return r.State == job.Accepted && !r.Deadlines.Submit.IsZero() && !now.Before(r.Deadlines.Submit)
}

// WaitsForQuota is the reason of an attempt whose job the backend has no room for.
const WaitsForQuota = "waiting for the backend's quota"

// Wait puts an accepted attempt into the queue, or says anew what it waits for
// there.
type Wait struct {
	Reason string
}

func (o Wait) apply(r *Record, now time.Time) error {
	o.Reason = job.Shorten(o.Reason, job.MaxText)
	if r.State != job.Accepted || !r.Queued && !r.Claimable(now) || r.Queued && r.Reason == o.Reason {
		return errNothingNew
	}
	if r.Creating != nil {
		r.doubt(now)
	}
	r.Queued, r.Reason, r.Creating = true, o.Reason, nil
	if end := r.Deadlines.Submit; !end.IsZero() && o.Reason != WaitsForQuota {
		r.SubmitLeft, r.Deadlines.Submit = job.FormatDuration(max(end.Sub(now), 0)), time.Time{}
	}
	return nil
}

// Postpone gives a claim back: there is no job yet, as far as is known, for the
// reason given.
type Postpone struct {
	// Nonce is that of the claim.
	Nonce  string
	Reason string
	// Failure is what the backend answered; nil where it was not asked.
	Failure *job.Failure
	// Quota tells that the backend has no room: the attempt waits for its turn.
	Quota bool
	// Unknown tells that the create may have had an effect all the same.
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
	if o.Failure == nil {
		return nil
	}
	failure := *o.Failure
	failure.Message, failure.Retryable = job.Shorten(failure.Message, job.MaxText), true
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

// giveUp ends an attempt whose job the backend did not take in time. No job of it
// is there.
func (r *Record) giveUp(now time.Time) {
	r.Reason = "the backend did not take the job within " + r.SubmitWithin
	r.conclude(job.Rejected, job.DropRejected, now)
}

// Bounds of the time between two tries. Ticks come about once a minute; a backend
// that is down for hours is asked every few minutes.
const (
	firstBackoff   = 5 * time.Second
	longestBackoff = 5 * time.Minute
	quotaBackoff   = time.Minute
)

// backoff gives the time until the next try after so many: twice as long after
// each, less up to a half, by which attempts that failed together are spread. It
// depends on the arguments alone, so every worker comes to the same.
func backoff(attempt string, tries int) time.Duration {
	d := longestBackoff
	if doublings := tries - 1; doublings < 6 {
		d = min(firstBackoff<<doublings, d)
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %d", attempt, tries)
	return d/2 + time.Duration(float64(d/2)*float64(h.Sum32())/(1<<32))
}

// GiveUp says that a direct look, after the time for submits, found no job of the
// attempt, and that none can appear any more.
type GiveUp struct {
	// Nonce is that of the claim under which was looked: so nobody created
	// meanwhile.
	Nonce string
}

func (o GiveUp) apply(r *Record, now time.Time) error {
	if !r.Overdue(now) || now.Before(r.UnknownUntil) || r.Creating == nil || r.Creating.Nonce != o.Nonce {
		return errNothingNew
	}
	if r.Error == nil { // whoever asked died
		r.Error = &job.Failure{Message: "the backend's answer was never learnt", Retryable: true}
	}
	r.giveUp(now)
	return nil
}

// Refuse says that the backend refused the job for good.
type Refuse struct {
	// Nonce is that of the claim under which the backend was asked: whoever
	// lost it meanwhile has no say.
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
