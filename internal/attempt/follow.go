package attempt

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// BackendJob is a job as its backend showed it at one moment.
type BackendJob struct {
	JobID        string
	ResourceName string
	State        job.BackendState
	// Created, Started (first RUNNING) and Ended are times by the backend's clock.
	Created, Started, Ended time.Time
	Message                 string
	Labels                  map[string]string
	Links                   job.Links
	// DeadlineExceeded reports that the backend says a limit ended the job.
	DeadlineExceeded bool
	// Expired reports that the backend says, of a job that failed, that it got no machines in time.
	Expired bool
	// Trials holds the trials of a tuning job. A list may leave them out.
	Trials []job.Trial
	// Packages holds the URIs of the job's packages, in order. A list may leave them out.
	Packages []string
	// Excerpt is the end of the log of what failed, if it was asked for.
	Excerpt string
}

// Behind reports whether j may show the job at an earlier time than the record: it shows an earlier state, or that the
// job runs, of which the record knows that it was taken back from running. Either the answer is late, or it comes from a
// list that lags, or the job was restarted, or runs again.
func (r Record) Behind(j BackendJob) bool {
	state, known := slices.Index(course, j.State), slices.Index(course, r.Job.State)
	again := r.Restarts != nil && j.State == job.BackendRunning && known < state
	return state >= 0 && state < known || again
}

// seen is the observation of a job.
type seen struct {
	BackendJob
	asked time.Time
}

// Seen returns the observation that the backend, asked at the time asked, answered j. asked is by
// jobdrop's clock, from before the call. An answer that is older than what others saw since says
// nothing new.
func Seen(j BackendJob, asked time.Time) Observation { return seen{j, asked} }

// sameClock is the largest difference between the clocks of processes that follow the storage
// service's.
const sameClock = 10 * time.Second

// late reports whether an answer that was asked for at a time is older than the job's known state.
func (r *Record) late(asked time.Time) bool { return !asked.After(r.Changed.Add(sameClock)) }

// course lists the states of a job that has not ended, in their order.
var course = []job.BackendState{job.BackendQueued, job.BackendPreparing, job.BackendRunning, job.BackendCancelling}

func (o seen) apply(r *Record, now time.Time) error {
	if r.State != job.Accepted && r.State != job.Submitted {
		return errNothingNew
	}
	if r.Behind(o.BackendJob) && r.late(o.asked) {
		return errNothingNew
	}
	before := *r
	if r.State == job.Accepted {
		r.State, r.Reason, r.Creating = job.Submitted, "", nil
		r.Queued, r.NextTry, r.UnknownUntil = false, time.Time{}, time.Time{}
		r.Error, r.SubmitLeft, r.Deadlines.Submit = nil, nil, time.Time{}
		r.Job.ResourceName, r.Links = o.ResourceName, o.Links
		r.Times.Created, r.Began = o.Created, now
		r.Deadlines.Wait = r.waitDeadline()
		// The first event shows the job as it was created, however far it has come since.
		r.Job.State, r.Changed, r.Reason = job.BackendQueued, now, r.waitsFor(job.BackendQueued)
		r.emit(job.JobSubmitted, now)
	}
	r.Absent = nil
	if asked := r.CancelRequested; asked != nil && asked.Kind == job.KindWait && o.State == job.BackendCancelled &&
		!r.told(job.JobRunning) && o.Started.Before(asked.At) {
		// Vertex AI reports a start even for a job that was only being prepared. Right before it
		// asked for the cancel, jobdrop saw that this one did not run.
		o.Started = time.Time{}
	}
	if o.Expired && r.waitedAtBackend() {
		o.Started = time.Time{} // it was being prepared at most, which Vertex AI takes for a start
	}
	if r.Times.Started.IsZero() && !o.Started.IsZero() {
		r.Times.Started, r.Began = o.Started, now
		r.Deadlines.Wait, r.Deadlines.Run = time.Time{}, r.runDeadline()
	}
	r.Times.Ended = o.Ended
	r.follow(o.BackendJob, now)
	if r.State == job.Submitted {
		r.warn(o.Message, now)
	}
	if r.Sequence == before.Sequence && r.State == before.State && r.Job.State == before.Job.State &&
		r.Times == before.Times && before.Absent == nil {
		return errNothingNew
	}
	return nil
}

// follow takes over the backend's state and emits each state's event once. Queued and preparing
// are reported if they were seen, running even if only its time shows it.
func (r *Record) follow(o BackendJob, now time.Time) {
	was := r.Job.State
	enter := func(s job.BackendState) {
		if r.Job.State != s {
			r.Job.PreviousState, r.Job.State = r.Job.State, s
			r.Changed, r.Delay, r.Reason = now, nil, r.waitsFor(s)
		}
	}
	tell := func(t job.EventType) {
		if !r.told(t) {
			r.emit(t, now)
		}
	}
	if !r.Times.Started.IsZero() && !r.told(job.JobRunning) {
		enter(job.BackendRunning)
		ended := r.Times.Ended
		r.Times.Ended = time.Time{}
		r.emit(job.JobRunning, now)
		r.Times.Ended = ended
	}
	if o.State.Ended() {
		r.Job.Trials = bounded(r.bestFirst(o.Trials))
		r.Truncated = r.Truncated || len(r.Job.Trials) < len(o.Trials)
	}
	switch o.State {
	case job.BackendQueued:
		switch {
		case r.Times.Started.IsZero():
			enter(o.State)
			tell(job.JobQueued)
		case was == job.BackendRunning:
			r.restart(o, job.JobQueued, now)
		}
	case job.BackendPreparing:
		if was == job.BackendRunning {
			r.restart(o, job.JobPreparing, now)
			break
		}
		enter(o.State)
		if r.Times.Started.IsZero() {
			tell(job.JobPreparing)
		}
	case job.BackendRunning:
		again := r.Restarts != nil && (was == job.BackendQueued || was == job.BackendPreparing)
		enter(o.State)
		if again {
			r.Reason = fmt.Sprintf("the job runs again, after %s", r.restarts())
			r.emit(job.JobRunning, now)
		}
		tell(job.JobRunning)
	case job.BackendCancelling:
		if r.Cancelling.IsZero() {
			r.Cancelling = now
		}
		enter(o.State)
	case job.BackendSucceeded:
		enter(o.State)
		r.Reason = sentence("the job succeeded"+r.after(), o.Message) // for example that it succeeded in part
		r.conclude(job.Succeeded, job.JobSucceeded, now)
	case job.BackendFailed:
		enter(o.State)
		r.Error = &job.Failure{Message: o.Message, Excerpt: o.Excerpt}
		if o.DeadlineExceeded {
			r.Timeout = r.timedOut()
		}
		if wait, _ := r.limits(); o.Expired && wait > 0 && r.waitedAtBackend() {
			// The backend's clock for the wait begins when it likes: the state alone says enough.
			r.Timeout = &job.Timeout{Kind: job.KindWait, Limit: job.Duration(wait), EnforcedBy: job.ByBackend}
			if asked := r.CancelRequested; asked != nil && asked.Kind == job.KindWait {
				r.Timeout.EnforcedBy = job.ByJobdrop
			}
		}
		if r.Timeout != nil {
			r.Reason = overLimit(r.Timeout)
			r.conclude(job.TimedOut, job.JobTimedOut, now)
		} else {
			r.Reason = sentence("the job failed"+r.after(), cmp.Or(o.Message, "the backend does not say why"))
			r.conclude(job.Failed, job.JobFailed, now)
		}
	case job.BackendCancelled:
		enter(o.State)
		if o.Message != "" {
			r.Error = &job.Failure{Message: o.Message}
		}
		if r.Timeout = r.timedOut(); r.Timeout != nil {
			r.Reason = overLimit(r.Timeout)
			r.conclude(job.TimedOut, job.JobTimedOut, now)
		} else {
			r.Reason = sentence("somebody cancelled the job"+r.after(), o.Message)
			switch {
			case r.CancelAsked():
				r.Reason = sentence("the job was cancelled"+r.after(), r.whoAsked())
			case r.CancelRequested != nil && r.CancelRequested.Kind == job.KindRestarts:
				r.Reason = "jobdrop cancelled the job" + r.after() + ": limits.restarts of the policy allows " + times(*r.Restarts.Most)
			case r.CancelRequested != nil:
				r.Reason = "jobdrop cancelled the job because a limit on its time was over; the job had gone on meanwhile"
			}
			r.conclude(job.Cancelled, job.JobCancelled, now)
		}
	}
}

// waitedAtBackend reports whether the job has not run, and the backend itself limits its wait.
func (r *Record) waitedAtBackend() bool {
	return r.Mapping.WaitLimitedByBackend() && r.Times.Started.IsZero() && !r.told(job.JobRunning)
}

// restart takes over that the backend took the job back from RUNNING, to start it again, and tells of
// it as of the state that the job went back to.
func (r *Record) restart(o BackendJob, t job.EventType, now time.Time) {
	ran := job.Duration(max(now.Sub(r.Changed), 0).Truncate(time.Second))
	next := job.Restarts{Count: 1, Most: r.Patience.Restarts, Last: now, Ran: ran, AtRisk: ran}
	if before := r.Restarts; before != nil {
		next.Count, next.AtRisk = before.Count+1, before.AtRisk+ran
	}
	r.Restarts = &next
	r.Job.PreviousState, r.Job.State = r.Job.State, o.State
	r.Changed, r.Delay = now, nil
	// It may be stuck in each state anew.
	r.Warned = slices.DeleteFunc(slices.Clone(r.Warned), func(w string) bool {
		return slices.Contains(course, job.BackendState(w))
	})
	r.Reason = fmt.Sprintf("the backend starts the job again, which ran for %v: it lost a machine, or failed in a way that "+
		"the backend retries (restart %d", time.Duration(ran), next.Count)
	if next.Most != nil {
		r.Reason += fmt.Sprintf("; limits.restarts of the policy allows %s", times(*next.Most))
	}
	r.Reason = sentence(r.Reason+")", o.Message)
	r.emit(t, now)
}

// restarts says how often the job was started again, and what that cost at most.
func (r *Record) restarts() string {
	text := fmt.Sprintf("%d restarts", r.Restarts.Count)
	if r.Restarts.Count == 1 {
		text = "1 restart"
	}
	return fmt.Sprintf("%s that lost at most %v of its run", text, time.Duration(r.Restarts.AtRisk))
}

// times says how often: in words where it is seldom.
func times(n int64) string {
	switch n {
	case 0:
		return "none"
	case 1:
		return "one"
	}
	return strconv.FormatInt(n, 10)
}

// waitsFor says what a job in a state waits for at the backend, if it waits.
func (r *Record) waitsFor(s job.BackendState) string {
	switch s {
	case job.BackendQueued:
		return "the job waits in the backend's queue" + r.untilLimit()
	case job.BackendPreparing:
		return "the backend prepares the job's machines" + r.untilLimit()
	case job.BackendCancelling:
		return "the job is being cancelled"
	}
	return ""
}

// untilLimit says until when the job may wait to run, if there is a limit to that.
func (r *Record) untilLimit() string {
	if r.Deadlines.Wait.IsZero() {
		return ""
	}
	return ", until " + r.Deadlines.Wait.UTC().Format(time.RFC3339) + " at most"
}

// after says how long a job ran; nothing if it did not, or if the backend does not say.
func (r *Record) after() string {
	if r.Times.Started.IsZero() || r.Times.Ended.IsZero() {
		return ""
	}
	text := " after " + max(0, r.Times.Ended.Sub(r.Times.Started)).Round(time.Second).String()
	if r.Restarts != nil {
		text += ", with " + r.restarts()
	}
	return text
}

// sentence returns what became of a job in one sentence: with the first line of what the backend
// says, if it says anything.
func sentence(became, message string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	if first = strings.TrimRight(first, " .:"); first == "" {
		return became
	}
	return became + ": " + first
}

// overLimit says in one sentence which limit ended a job.
func overLimit(t *job.Timeout) string {
	did := "waited to run"
	if t.Kind == job.KindRun {
		did = "ran"
	}
	return fmt.Sprintf("the job %s for longer than its limit of %s, and %s ended it", did, t.Limit,
		map[string]string{job.ByBackend: "the backend", job.ByJobdrop: "jobdrop"}[t.EnforcedBy])
}

// bestFirst sorts trials by the job's goal. Those without a value come last. Otherwise the
// backend's order stays. Not all backends sort.
func (r *Record) bestFirst(trials []job.Trial) []job.Trial {
	sign := -1.0 // ml/v1's default goal is MAXIMIZE
	if r.Spec != nil && r.Spec.TrainingInput != nil && r.Spec.TrainingInput.Hyperparameters != nil &&
		r.Spec.TrainingInput.Hyperparameters.Goal == "MINIMIZE" {
		sign = 1
	}
	value := func(t job.Trial) float64 {
		if t.Objective == nil || t.State != job.BackendSucceeded || math.IsNaN(*t.Objective) {
			return math.Inf(1)
		}
		return sign * *t.Objective
	}
	trials = slices.Clone(trials)
	slices.SortStableFunc(trials, func(a, b job.Trial) int { return cmp.Compare(value(a), value(b)) })
	return trials
}

// bounded returns the trials that fit into an event. Within the bounds here they take about 2 MB,
// and a record has at most one event with trials.
func bounded(trials []job.Trial) []job.Trial {
	var out []job.Trial
	for _, t := range trials[:min(len(trials), job.MaxTrials)] {
		t.Message = job.BoundText(t.Message, trialText)
		t.ID = job.BoundText(t.ID, trialText)
		if v := t.Objective; v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
			t.Objective = nil // JSON can't express it
		}
		if len(t.Parameters) > 0 {
			few := map[string]string{}
			for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
				if len(few) == trialParams {
					break
				}
				few[job.BoundText(name, trialText)] = job.BoundText(t.Parameters[name], trialText)
			}
			t.Parameters = few
		}
		out = append(out, t)
	}
	return out
}

// A job is lost when three polls in a row, in three ticks, found nothing, and at least ten minutes
// passed since its creation or the last change of its state. The index shows the first such poll,
// so that each tick comes back to the job. If it shows up again, its absence is forgotten, however
// long a round of polls takes.
const (
	lostMisses  = 3
	lostAfter   = 10 * time.Minute
	lostSpacing = 40 * time.Second // polls that are closer belong to ticks that overlap
)

type notFound struct{ asked time.Time }

// NotFound returns the observation that the backend, asked directly at the time asked, does not
// know the job. Absence from a list does not count.
func NotFound(asked time.Time) Observation { return notFound{asked} }

func (o notFound) apply(r *Record, now time.Time) error {
	if r.State != job.Submitted || r.late(o.asked) {
		return errNothingNew
	}
	a := Absence{Since: now, Indexed: true}
	if r.Absent != nil && r.Absent.Indexed {
		a = *r.Absent
		if now.Before(a.Last.Add(lostSpacing)) {
			return errNothingNew
		}
	}
	a.Misses, a.Last = a.Misses+1, now
	r.Absent = &a
	// Changed is by jobdrop's own clock and no earlier than the creation. The backend's clock may
	// differ.
	known := r.Changed
	if known.IsZero() { // a record of an earlier form
		known = r.Times.Created
	}
	if a.Misses >= lostMisses && !now.Before(known.Add(lostAfter)) {
		r.Delay, r.Reason = nil, "the backend no longer knows the job"
		r.conclude(job.Lost, job.JobLost, now)
	}
	return nil
}

// limit is a limit on a job's time that applies now.
type limit struct {
	kind string
	// lasts counts from begin, by the backend's clock. seen is when jobdrop first saw that, by its
	// own.
	begin, seen time.Time
	lasts       time.Duration
}

func (l limit) end() time.Time { return l.begin.Add(l.lasts) }

// since returns the time from which a warning counts. The warning is sent when four fifths are
// over by both clocks. If seen is later than begin by more than clocks differ, jobdrop saw the job
// late, and begin counts.
func (l limit) since() time.Time {
	since, late := l.seen, l.begin.Add(clocksDiffer)
	if since.After(late) {
		since = late
	}
	if since.Before(l.begin) {
		since = l.begin
	}
	return since
}

// near returns when four fifths of the limit are over.
func (l limit) near() time.Time { return l.since().Add(l.lasts / 5 * 4) }

// limit returns the limit that applies to the job now: the limit on the wait until it first runs,
// then that on the run.
func (r *Record) limit() (limit, bool) {
	wait, run := r.limits()
	switch {
	case r.State != job.Submitted:
		return limit{}, false
	case !r.Times.Started.IsZero():
		return limit{job.KindRun, r.Times.Started, r.Began, run}, true
	case wait > 0 && !r.Times.Created.IsZero():
		return limit{job.KindWait, r.Times.Created, r.Began, wait}, true
	}
	return limit{}, false
}

// stuck returns when the job has been in its state for as long as the operator's patience, and how
// long that is. The time is zero if there is no end to it: a FLEX_START job is queued and prepared
// for hours by design, and only the limit on its wait says when that is too long.
func (r *Record) stuck() (time.Time, time.Duration) {
	lasts := r.Patience.In(r.Job.State)
	waits := r.Job.State == job.BackendQueued || r.Job.State == job.BackendPreparing
	if lasts <= 0 || r.Changed.IsZero() || waits && r.Mapping.Vertex.FlexStart() {
		return time.Time{}, 0
	}
	return r.Changed.Add(lasts), lasts
}

// warn emits a warning if a limit is near, and one if the job stays in its state for longer than
// the operator's patience. Each comes once. message is the backend's.
func (r *Record) warn(message string, now time.Time) {
	if l, ok := r.limit(); ok && r.Job.State != job.BackendCancelling && !now.Before(l.near()) &&
		!slices.Contains(r.Warned, l.kind) {
		text := fmt.Sprintf("the job has waited for %s of the %s that it may wait to run",
			l.part(now), job.Duration(l.lasts))
		if l.kind == job.KindRun {
			text = fmt.Sprintf("the job has run for %s of the %s that it may run", l.part(now), job.Duration(l.lasts))
		}
		r.delay(job.Delay{Kind: l.kind, Limit: job.Duration(l.lasts), Since: l.begin}, l.kind, text, message, now)
	}
	if at, lasts := r.stuck(); !at.IsZero() && !now.Before(at) && !slices.Contains(r.Warned, string(r.Job.State)) {
		text := fmt.Sprintf("the job is %s since %s, and was expected to be for less than %s",
			r.Job.State, r.Changed.Format(time.RFC3339), job.Duration(lasts))
		r.delay(job.Delay{Kind: job.KindState, Limit: job.Duration(lasts), Since: r.Changed},
			string(r.Job.State), text, message, now)
	}
}

// part returns how much of a limit is over: in whole seconds, or finer for a short limit.
func (l limit) part(now time.Time) job.Duration {
	return job.Duration(now.Sub(l.since()).Truncate(min(time.Second, max(l.lasts/100, time.Millisecond))))
}

// delay emits a warning. once is its name in Warned.
func (r *Record) delay(d job.Delay, once, text, message string, now time.Time) {
	d.Cause = cause(message)
	if message != "" {
		text += ": " + message
	}
	r.Delay, r.Reason = &d, text
	r.Warned = append(slices.Clone(r.Warned), once)
	r.emit(job.JobDelayed, now)
}

// causes maps words in the services' messages to the causes that they suggest.
var causes = []struct {
	cause string
	words []string
}{
	{job.CauseQuota, []string{"quota", "resource_exhausted", "rate limit"}},
	{job.CauseCapacity, []string{"capacity", "stockout", "pool_exhausted", "insufficient resources",
		"resources are insufficient", "not enough resources", "does not have enough", "currently unavailable"}},
	{job.CausePermission, []string{"permission", "denied", "forbidden", "not authorized", "unauthorized",
		"service account", "serviceaccount"}},
}

// cause returns the likely cause that a message of the backend suggests, or the empty string.
func cause(message string) string {
	message = strings.ToLower(message)
	for _, c := range causes {
		if slices.ContainsFunc(c.words, func(word string) bool { return strings.Contains(message, word) }) {
			return c.cause
		}
	}
	return ""
}

// CancelDue returns why jobdrop has to cancel the job: the kind of the limit whose grace is over
// while the backend did not cancel it, [job.KindRestarts] if it was started again too often, or
// [job.KindRequest] if somebody asked for it. It is empty if there is nothing to cancel.
func (r Record) CancelDue(now time.Time) string {
	if r.CancelAsked() && r.State == job.Submitted && r.Job.State != job.BackendCancelling {
		return job.KindRequest
	}
	if r.Restarts.Over() && r.State == job.Submitted && r.Job.State != job.BackendCancelling {
		return job.KindRestarts
	}
	l, ok := r.limit()
	if !ok || r.Job.State == job.BackendCancelling || now.Before(r.cancelAt(l)) {
		return ""
	}
	return l.kind
}

// cancelAt returns when jobdrop cancels a job that is past a limit. It also counts by jobdrop's
// own clock, since the grace may be shorter than the difference between clocks.
func (r *Record) cancelAt(l limit) time.Time {
	at := l.end().Add(r.Patience.After(l.kind))
	if own := l.since().Add(l.lasts); own.After(at) {
		return own
	}
	return at
}

// CancelJob says that jobdrop is about to ask the backend to cancel the job, since a limit of the
// kind is over. It is recorded before the call.
type CancelJob struct {
	Kind string
}

func (o CancelJob) apply(r *Record, now time.Time) error {
	if r.State != job.Submitted || r.CancelRequested != nil && r.CancelRequested.Kind == o.Kind {
		return errNothingNew
	}
	r.CancelRequested = &job.CancelRequest{Kind: o.Kind, At: now}
	return nil
}

// limits returns the job's time limits; zero means none.
func (r *Record) limits() (wait, run time.Duration) {
	if r.Spec != nil {
		wait, run = r.Order().Limits()
	}
	return wait, cmp.Or(run, job.DefaultRunningTime)
}

func (r *Record) waitDeadline() time.Time {
	wait, _ := r.limits()
	if wait == 0 || r.Times.Created.IsZero() {
		return time.Time{}
	}
	return r.Times.Created.Add(wait)
}

func (r *Record) runDeadline() time.Time {
	_, run := r.limits()
	return r.Times.Started.Add(run)
}

// clocksDiffer is the largest difference between the backend's clock and jobdrop's. Services keep
// theirs to a second, people's machines to minutes. Times by two clocks that are closer together
// have no order.
const clocksDiffer = 10 * time.Minute

// earliest returns the earliest time that jobdrop's clock may have shown when the backend's showed
// t. They differ by [clocksDiffer] at most. A closer bound is known of a job that was created right
// after jobdrop accepted it: its creation was no earlier than that, by whichever clock is ahead.
func (r *Record) earliest(t time.Time) time.Time {
	at := t.Add(-clocksDiffer)
	if r.Times.Accepted.IsZero() || r.Times.Created.IsZero() {
		return at
	}
	if own := t.Add(r.Times.Accepted.Sub(r.Times.Created)); own.After(at) && !own.After(t.Add(clocksDiffer)) {
		return own
	}
	return at
}

// timedOut returns the timeout if a limit ended the job, or nil if a person did. It goes by the
// backend's times, which may be whole seconds. If jobdrop asked for the cancel, jobdrop enforced
// the limit: right before that it saw that the backend did not.
func (r *Record) timedOut() *job.Timeout {
	const rounding = time.Second
	wait, run := r.limits()
	begin, kind, lasts := r.Times.Started, job.KindRun, run
	if begin.IsZero() {
		begin, kind, lasts = r.Times.Created, job.KindWait, wait
	}
	asked := r.CancelRequested != nil && r.CancelRequested.Kind == kind
	switch ended := r.Times.Ended; {
	case begin.IsZero(), lasts <= 0:
		return nil
	case ended.IsZero():
		// The backend does not say when: only jobdrop's own cancel is known.
		if !asked {
			return nil
		}
	case ended.Sub(begin) < lasts-rounding:
		return nil
	case r.CancelAsked() && r.CancelRequested.At.Before(r.earliest(begin.Add(lasts)).Add(-rounding)):
		return nil // somebody asked for the cancel before, and it only took until then
	case r.CancelRequested != nil && r.CancelRequested.Kind == job.KindRestarts &&
		r.CancelRequested.At.Before(r.earliest(begin.Add(lasts))):
		return nil // likewise jobdrop, for another reason than the limit
	case !asked && !r.Cancelling.IsZero() && r.Cancelling.Before(r.earliest(begin.Add(lasts)).Add(-rounding)):
		return nil // the cancel began before, and only took until then
	}
	t := &job.Timeout{Kind: kind, Limit: job.Duration(lasts), EnforcedBy: job.ByBackend}
	if asked {
		t.EnforcedBy = job.ByJobdrop
	}
	return t
}
