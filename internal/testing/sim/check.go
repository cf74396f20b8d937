package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// check holds what is there at the end to the invariants.
func (w *world) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	records := map[string]attempt.Record{}
	for _, path := range slices.Sorted(maps.Keys(w.storage.objects)) {
		key, ok := strings.CutPrefix(path, state+"/attempts/")
		switch {
		case strings.HasPrefix(path, state+"/open/"):
			if key := strings.TrimPrefix(path, state+"/open/"); !w.elsewhere(key) {
				w.fail("%s is still open", key)
			}
		case ok:
			r, _ := w.storage.record(strings.TrimSuffix(key, ".json"))
			records[r.Attempt] = r
		}
	}
	for _, key := range slices.Sorted(maps.Keys(records)) {
		if w.elsewhere(key) {
			continue
		}
		w.checkAttempt(records[key])
		w.checkTold(records[key])
	}
	for _, name := range w.misplaced() {
		w.fail("%s is missing from the index by time", name)
	}
	for _, j := range w.backend.sorted() {
		w.checkJob(j, records)
	}
	w.checkWishes(records)
	w.checkStatus(records)
	w.checkFound()
	w.checkGarbage()
	w.checkAlerts()
}

// misplaced returns what is missing from the index by time: each attempt that has a record is among the newest, and
// each that has its verdict among those that ended. The caller holds mu.
func (w *world) misplaced() (missing []string) {
	for _, path := range slices.Sorted(maps.Keys(w.storage.objects)) {
		key, ok := strings.CutPrefix(path, state+"/attempts/")
		if !ok {
			continue
		}
		r, _ := w.storage.record(strings.TrimSuffix(key, ".json"))
		names := []string{w.recentOf(r)}
		if r.State.Terminal() {
			names = append(names, w.endedOf(r))
		}
		for _, name := range names {
			if _, ok := w.storage.objects[state+"/"+name]; !ok {
				missing = append(missing, name)
			}
		}
	}
	return missing
}

// checkGarbage looks for what can't be decoded, and was taken all the same.
func (w *world) checkGarbage() {
	for _, id := range w.garbage {
		kept := false
		for path, o := range w.storage.objects {
			kept = kept || strings.HasPrefix(path, state+"/parked/") && bytes.Contains(o.data, []byte(strconv.Quote(id)))
		}
		if !kept {
			w.fail("the event %s was taken, can't be decoded, and is not parked", id)
		}
		if !slices.ContainsFunc(w.alerts, func(a alert) bool {
			return a.message == "event parked" && a.values["event_id"] == id
		}) {
			w.fail("the event %s was parked, and nobody was told", id)
		}
	}
}

func (w *world) checkAttempt(r attempt.Record) {
	if !r.State.Terminal() {
		w.fail("attempt %s ends as %s: %s", r.Attempt, r.State, r.Reason)
		return
	}
	if w.dropped[r.Attempt] {
		return // it may have got its verdict before it was back on the index, and nobody told
	}
	log := w.topic.logs[r.Attempt]
	if int64(len(log)) != r.Sequence {
		w.fail("attempt %s: %d of %d events were published", r.Attempt, len(log), r.Sequence)
	} else if last := log[len(log)-1].Body; last.State != r.State {
		w.fail("attempt %s is %s, and its last event says %s", r.Attempt, r.State, last.State)
	}
	verdicts := 0
	for _, e := range log {
		if e.Body.State.Terminal() {
			verdicts++
		}
	}
	if verdicts != 1 {
		w.fail("attempt %s has %d verdicts", r.Attempt, verdicts)
	}
	once := map[string]bool{}
	for _, e := range log {
		what := string(e.Type)
		if e.Type == job.JobDelayed {
			what += " " + delayed(e)
		}
		if again := e.Body.Restarts; again != nil && (e.Type == job.JobQueued || e.Type == job.JobPreparing ||
			e.Type == job.JobRunning || e.Type == job.JobDelayed && e.Body.Delay.Kind == job.KindState) {
			what += fmt.Sprintf(" after restart %d", again.Count)
		}
		if once[what] {
			w.fail("attempt %s: %s is told again", r.Attempt, what)
		}
		once[what] = true
	}
	if r.Drop.Receipt == nil {
		return
	}
	// What was checked is what runs.
	for i, uri := range r.Drop.Receipt.Staged {
		source := r.Drop.Receipt.Objects[i+1]
		was := w.storage.history[versionKey(source.Bucket+"/"+source.Name, source.Generation)]
		is := w.storage.objects[strings.TrimPrefix(uri, "gs://")]
		if was.data == nil || !bytes.Equal(was.data, is.data) {
			w.fail("attempt %s: %s is not generation %d of %s", r.Attempt, uri, source.Generation, source.Name)
		}
	}
}

// delayed says of what a warning is: a limit, or a state that the job stays in.
func delayed(e job.Event) string {
	if e.Body.Delay.Kind == job.KindState {
		return string(e.Body.Job.State)
	}
	return e.Body.Delay.Kind
}

// checkTold looks for what should have been told of an attempt and was not. Where
// there was some minutes' time for it, while everything answered.
func (w *world) checkTold(r attempt.Record) {
	if w.dropped[r.Attempt] {
		return
	}
	told := map[string]bool{}
	for _, e := range w.topic.logs[r.Attempt] {
		told[string(e.Type)] = true
		if e.Type == job.JobDelayed {
			told[delayed(e)] = true
		}
	}
	if u, ok := w.judge.upload(r); ok {
		from := u.at
		if r.Replayed.After(from) {
			from = r.Replayed
		}
		if since, ok := w.judge.waiting[r.Attempt]; ok && w.lasted(w.judge.left[r.Attempt], from.Add(incomplete), since) &&
			!told[string(job.DropIncomplete)] {
			w.fail("attempt %s was incomplete for %s, and nobody was told", r.Attempt, w.judge.left[r.Attempt].Sub(from))
		}
	}
	j, ok := w.backend.jobs[r.Job.ResourceName]
	if !ok || !j.gone.IsZero() {
		return
	}
	if r.Restarts.Over() && j.cancelling.IsZero() && w.lasted(j.ended, r.Restarts.Last) {
		w.fail("the job of attempt %s was run again more often than it may, and nobody cancelled it", r.Attempt)
	}
	asked := r.CancelRequested != nil && r.CancelRequested.Kind != job.KindRun // it may have begun to run right then
	if j.ran() && !asked && !told[string(job.JobRunning)] {
		w.fail("the job of attempt %s ran, and nobody was told", r.Attempt)
	}
	entered := w.judge.entered[r.Attempt]
	if w.weather.backendSkew == 0 { // else the warning comes when both clocks say so
		cancelled := j.ended
		if !j.cancelling.IsZero() {
			cancelled = minTime(cancelled, j.cancelling)
		}
		runs := entered[job.BackendRunning]
		if !runs.IsZero() && j.run > 0 && w.lasted(cancelled, runs.Add(j.run/5*4)) && !told[job.KindRun] {
			w.fail("the job of attempt %s came near its limit of the run, and nobody was told", r.Attempt)
		}
		if begin, seen := entered[job.BackendQueued]; seen && j.wait > 0 &&
			w.lasted(minTime(j.running, cancelled), begin.Add(j.wait/5*4)) && !told[job.KindWait] {
			w.fail("the job of attempt %s came near its limit of the wait, and nobody was told", r.Attempt)
		}
	}
	if !w.weather.stuck || !j.restarted.IsZero() {
		return
	}
	leaves := map[job.BackendState]time.Time{
		job.BackendQueued:    j.preparing,
		job.BackendPreparing: j.running,
		job.BackendRunning:   j.ended,
	}
	for state, most := range map[job.BackendState]time.Duration{job.BackendQueued: time.Minute,
		job.BackendPreparing: time.Minute, job.BackendRunning: 2 * time.Minute} {
		until := minTime(leaves[state], j.ended)
		if !j.cancelling.IsZero() {
			until = minTime(until, j.cancelling)
		}
		if since, ok := entered[state]; ok && w.lasted(until, since.Add(most)) && !told[string(state)] {
			w.fail("the job of attempt %s was %s for too long, and nobody was told", r.Attempt, state)
		}
	}
}

// lasted reports whether there was time for ticks to tell of something that was due at
// the latest of some times, and over at another: while everything answered.
func (w *world) lasted(over time.Time, due ...time.Time) bool {
	if w.weather.fault > 0 || !w.upgrade.IsZero() || w.wasSwitched {
		due = append(due, w.calm)
	}
	for _, at := range due {
		if over.Sub(at) < 4*time.Minute {
			return false
		}
	}
	return true
}

// checkAlerts looks for what should have woken people, and for what should not have.
func (w *world) checkAlerts() {
	const nobody = "a job of this installation that nobody follows"
	told := map[string]time.Time{}
	for _, a := range w.alerts {
		if a.message == nobody {
			// Ticks that overlap may both be the first.
			if first, again := told[a.values["resource"]]; again && w.weather.fault == 0 && a.at.Sub(first) > deadline {
				w.fail("people are told of %s again, %s later", a.values["resource"], a.at.Sub(first))
			} else if !again {
				told[a.values["resource"]] = a.at
			}
		}
		if w.weather.fault == 0 && !w.expected(a) {
			w.fail("%s tells people that %q, %v, and nothing was wrong", a.worker, a.message, a.values)
		}
	}
	for _, j := range w.backend.sorted() {
		if _, ok := told[j.resource]; j.stranger && !ok && w.lasted(minTime(j.ended, time.Now()), j.created) {
			w.fail("nobody was told of %s, which nobody follows", j.resource)
		}
	}
}

// expected reports whether an alert may come where every call succeeds.
func (w *world) expected(a alert) bool {
	switch a.message {
	case "event parked":
		return len(w.garbage) > 0
	case "job denied":
		return w.weather.refuse > 0
	case "the index had lost an attempt":
		return len(w.dropped)+len(w.wishes) > 0 // a rerun whose worker died, and whose request another refused
	case "a job of this installation that nobody follows":
		return w.backend.jobs[a.values["resource"]].stranger || w.weather.vanish > 0
	}
	for _, text := range []string{"two writes in a second", "the token has expired", attempt.ErrOtherBackend.Error(),
		attempt.ErrNewerRecord.Error()} {
		if strings.Contains(a.values["error"], text) {
			return true
		}
	}
	return false
}

// soon is how long an event may take from the ledger to the topic, once everything
// answers: some ticks.
const soon = 5 * time.Minute

// checkLag holds an event that is published to that. The caller holds mu.
func (w *world) checkLag(id string, t job.EventType) {
	since, ok := w.written[id]
	if !ok {
		return // not of this ledger
	}
	if w.calm.After(since) {
		since = w.calm
	}
	if w.weather.calm && time.Since(since) > soon {
		w.fail("event %s, %s, was published %s after it could be", id, t, time.Since(since))
	}
}

// hasJob reports whether a verdict implies a job.
func hasJob(r attempt.Record) bool {
	switch r.State {
	case job.Cancelled:
		return !r.Times.Created.IsZero() // else somebody's request was faster than the create
	case job.Succeeded, job.Failed, job.TimedOut, job.Lost:
		return true
	}
	return false
}

// found is how long a second job may run once everything answers.
const found = 5 * time.Minute

func (w *world) checkJob(j *simJob, records map[string]attempt.Record) {
	var owners []string
	for _, key := range slices.Sorted(maps.Keys(records)) {
		r := records[key]
		if r.Drop.Receipt != nil && r.Job.ID == j.id && hasJob(r) {
			owners = append(owners, key)
		}
	}
	if j.labels == nil || j.stranger { // not ours
		for _, key := range owners {
			if records[key].Job.ResourceName == j.resource {
				w.fail("job %s was there before, and attempt %s took it for its own", j.id, key)
			}
		}
		return
	}
	// At a backend that takes no ID a create that comes too late makes a second
	// job: found, and cancelled or over by itself.
	since := w.calm
	if j.created.After(since) {
		since = j.created
	}
	over := j.cancelled || w.tooLate(j, records) || time.Now().After(j.ended) && !j.ended.After(since.Add(found))
	if w.weather.noID && w.lateCreates(j) && over &&
		(len(owners) == 0 || len(owners) == 1 && records[owners[0]].Job.ResourceName != j.resource) {
		w.doubles++
		return
	}
	if len(owners) != 1 || records[owners[0]].Job.ResourceName != j.resource {
		w.fail("job %s, %s, belongs to attempts %v", j.id, j.resource, owners)
		return
	}
	r := records[owners[0]]
	if !job.SameOwner(j.labels, r.Job.Labels) {
		w.fail("job %s has the labels %v, attempt %s %v", j.id, j.labels, r.Attempt, r.Job.Labels)
	}
	if !slices.Equal(j.packages, r.Drop.Receipt.Staged) {
		w.fail("job %s runs %v, attempt %s staged %v", j.id, j.packages, r.Attempt, r.Drop.Receipt.Staged)
	}
	ends := map[job.BackendState]job.State{
		job.BackendSucceeded: job.Succeeded,
		job.BackendFailed:    job.Failed,
		job.BackendCancelled: job.Cancelled,
	}
	want := ends[j.end]
	// The backend's times may be whole seconds.
	if kind, by := j.over(j.ended); j.end == job.BackendCancelled && kind != "" && by >= -time.Second {
		want = job.TimedOut
	}
	if kind, by := j.over(j.cancelling); want == job.TimedOut && j.person && !j.asked && kind != "" && by < 0 &&
		r.State == job.Cancelled {
		want = job.Cancelled // whoever saw in time that it was being cancelled can tell
	}
	if c := r.CancelRequested; c != nil && (c.Kind == job.KindRequest || c.Kind == job.KindRestarts) &&
		j.end == job.BackendCancelled {
		// Whoever asked before a limit was over ended the job, however long that took. Clocks differ.
		switch _, by := j.over(c.At); {
		case want == job.TimedOut && by < w.judge.slack()+2*time.Second && r.State == job.Cancelled:
			want = job.Cancelled
		case by < -11*time.Minute:
			want = job.Cancelled
		}
	}
	if !j.gone.IsZero() && r.State == job.Lost {
		return
	}
	if !j.gone.IsZero() && j.back.IsZero() && j.gone.Before(j.ended) {
		want = job.Lost
	}
	if r.State != want {
		w.fail("job %s ended as %s, attempt %s as %s, and should as %s", j.id, j.end, r.Attempt, r.State, want)
	}
	if t := r.Timeout; t != nil && (j.asked && t.EnforcedBy != job.ByJobdrop ||
		r.CancelRequested == nil && t.EnforcedBy != job.ByBackend) {
		w.fail("job %s: %+v, asked %t, cancel %+v", j.id, *t, j.asked, r.CancelRequested)
	}
}

// checkFound looks for drops that nobody looked at though ticks alone have to do. A
// job file that was not the newest of its folder at all times need not be looked at.
func (w *world) checkFound() {
	var epoch struct{ At time.Time }
	if o, ok := w.storage.objects[state+"/epoch"]; ok {
		must(json.Unmarshal(o.data, &epoch))
	}
	newest := map[string]upload{}
	for _, u := range w.uploads {
		if u.file != nil && u.generation > newest[u.drop.folder].generation {
			newest[u.drop.folder] = u
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(newest)) {
		u := newest[folder]
		if u.old && !w.replayed[folder] || !w.epoch && u.at.Before(epoch.At) {
			continue
		}
		if _, known := w.judge.attempts[versionKey(u.path, u.generation)]; !known &&
			w.storage.objects[u.path].Generation == u.generation {
			w.fail("nobody looked at %s#%d", u.path, u.generation)
		}
	}
}

// tooLate reports whether a job was created later than any create of its attempt is
// reckoned with: it may be somebody's copy, so it is told of and goes on.
func (w *world) tooLate(j *simJob, records map[string]attempt.Record) bool {
	for _, r := range records {
		last := r.Claims.Last.Add(20 * time.Minute) // while a process may act, and by how much clocks differ
		if job.AttemptLabel(r.Attempt) != j.labels[job.LabelAttempt] || !j.created.Add(w.weather.backendSkew).After(last) {
			continue
		}
		for name, o := range w.storage.objects {
			if strings.HasPrefix(name, state+"/strangers/") && strings.Contains(string(o.data), `"`+j.resource+`"`) {
				return true
			}
		}
	}
	return false
}

// lateCreates reports whether a process froze while it created a job of the same
// attempt.
func (w *world) lateCreates(of *simJob) bool {
	for _, j := range w.backend.jobs {
		if j.late && j.labels[job.LabelAttempt] == of.labels[job.LabelAttempt] {
			return true
		}
	}
	return false
}

// checkStatus holds status.json to the newest attempt that told something.
func (w *world) checkStatus(records map[string]attempt.Record) {
	newest := map[string]attempt.Record{}
	for _, r := range records {
		if n, ok := newest[r.Drop.Prefix]; !ok || numberOf(r.Attempt) > numberOf(n.Attempt) {
			newest[r.Drop.Prefix] = r
		}
		w.checkSnapshot(r.Drop.Prefix+"status-"+strconv.FormatInt(numberOf(r.Attempt), 10)+".json", r)
	}
	for prefix, r := range newest {
		w.checkSnapshot(prefix+"status.json", r)
	}
}

func (w *world) checkSnapshot(name string, r attempt.Record) {
	if w.dropped[r.Attempt] || w.elsewhere(r.Attempt) {
		return
	}
	o, ok := w.storage.objects[status+"/"+name]
	if w.swept[status+"/"+name] {
		return // whichever attempt tells something next writes it anew
	}
	var s job.Snapshot
	if ok {
		must(json.Unmarshal(o.data, &s))
	}
	if s.Attempt != r.Attempt || s.State != r.State || s.Sequence != r.Sequence {
		w.fail("%s says %q of attempt %q at %d, the record of %s says %s at %d", name, s.State, s.Attempt, s.Sequence,
			r.Attempt, r.State, r.Sequence)
	}
}
