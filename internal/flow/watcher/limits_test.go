package watcher_test

import (
	"errors"
	"path"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// addLimited adds an attempt whose job has limits on its time to the ledger.
func (f *fake) addLimited(t *testing.T, id string, s job.Scheduling, p job.JobPatience, l attempt.BackendJob) string {
	t.Helper()
	r := attempt.NewRecord(job.Object{Bucket: "inbox", Name: id + "/job.yaml", Generation: 1, Created: f.now}, f.now)
	spec := job.Spec{JobID: id, TrainingInput: &job.TrainingInput{Scheduling: &s}}
	for _, o := range []attempt.Observation{attempt.Accept{Spec: spec, Patience: p}, attempt.Seen(l, start)} {
		var err error
		if r, _, err = attempt.Step(r, o, f.now); err != nil {
			t.Fatal(err)
		}
	}
	stored := attempt.Stored{Record: r, Published: r.Sequence}
	f.records[r.Attempt], f.owners[id] = stored, r.Attempt
	f.entries = append(f.entries, attempt.NewEntry(stored))
	return r.Attempt
}

// retell marks what was published, as the relay does.
func (f *fake) retell() {
	for i, e := range f.entries {
		s := f.records[e.Attempt]
		s.Published = s.Sequence
		f.records[e.Attempt] = s
		f.entries[i] = attempt.NewEntry(s)
	}
	f.entries = slices.DeleteFunc(f.entries, func(e attempt.Entry) bool { return e.State.Terminal() })
}

// Ticks alone end a job that never ends by itself, and poll it only when something is due.
// Seven days take as long as the ticks.
func TestTickEnforcesLimits(t *testing.T) {
	f := newFake()
	running := backendJob("j", job.BackendRunning)
	key := f.addLimited(t, "j", job.Scheduling{MaxRunningTime: "604800s"},
		job.JobPatience{Grace: new(job.Duration(900 * time.Second))}, running)
	f.listed, f.direct["j"] = []attempt.BackendJob{running}, running
	asked := time.Time{}
	f.onCancel = func(job.JobInfo) {
		r := f.records[key]
		if r.CancelRequested == nil || r.CancelRequested.Kind != job.KindRun {
			t.Errorf("cancelled before the record said so: %+v", r.CancelRequested)
		}
		asked = f.now
		ended := running
		ended.State, ended.Ended = job.BackendCancelled, f.now
		f.direct["j"], f.listed = ended, nil
	}
	w := f.watcher(t)
	for range 8 * 24 * 6 {
		f.now = f.now.Add(10 * time.Minute)
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.retell()
	}
	if diff := gocmp.Diff(map[string][]job.EventType{"j": {job.JobDelayed, job.JobTimedOut}}, f.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	r := f.records[key]
	if want := (job.Timeout{Kind: "run", Limit: job.Duration(604800 * time.Second),
		EnforcedBy: "jobdrop"}); r.Timeout == nil ||
		*r.Timeout != want {
		t.Errorf("timeout %+v, want %+v", r.Timeout, want)
	}
	if want := start.Add(7*24*time.Hour + 20*time.Minute); !asked.Equal(want) || len(f.cancelled) != 1 {
		t.Errorf("cancelled %q at %s, want once at %s", f.cancelled, asked, want)
	}
	if len(f.gets) != 3 { // the warning, before the cancel, after it
		t.Errorf("looked at directly %d times", len(f.gets))
	}
}

// The result of a cancel is what the backend says.
func TestTickCancels(t *testing.T) {
	unavailable := errors.New("unavailable")
	tests := []struct {
		name string
		// after is what the backend says after the call; fails is the call's error.
		after func(now time.Time) attempt.BackendJob
		fails error
		err   error
		state job.State
		told  []job.EventType
	}{
		{name: "the job ends first", state: job.Succeeded, told: []job.EventType{job.JobDelayed, job.JobSucceeded},
			after: func(now time.Time) attempt.BackendJob {
				l := backendJob("j", job.BackendSucceeded)
				l.Ended = now
				return l
			}},
		{name: "it takes a while", state: job.Submitted, told: []job.EventType{job.JobDelayed},
			after: func(time.Time) attempt.BackendJob { return backendJob("j", job.BackendCancelling) }},
		{name: "it is not heard", state: job.Submitted, told: []job.EventType{job.JobDelayed},
			after: func(time.Time) attempt.BackendJob { return backendJob("j", job.BackendRunning) }},
		{name: "it can't be asked for", state: job.Submitted, told: []job.EventType{job.JobDelayed}, fails: unavailable,
			err: unavailable, after: func(time.Time) attempt.BackendJob { return backendJob("j", job.BackendRunning) }},
		{
			name: "refused, as the job has just ended", state: job.Succeeded,
			told:  []job.EventType{job.JobDelayed, job.JobSucceeded},
			fails: &attempt.RefusedError{Message: "the job has ended"},
			after: func(now time.Time) attempt.BackendJob { return backendJob("j", job.BackendSucceeded) },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFake()
			running := backendJob("j", job.BackendRunning)
			running.ResourceName = "projects/p/jobs/j"
			key := f.addLimited(t, "j", job.Scheduling{MaxRunningTime: "60s"},
				job.JobPatience{Grace: new(job.Duration(60 * time.Second))}, running)
			f.listed, f.direct["j"] = []attempt.BackendJob{running}, running
			f.now = start.Add(2 * time.Minute)
			f.broken[running.ResourceName] = test.fails
			asked := false
			f.onGet = func() {
				if f.records[key].CancelRequested != nil && !asked {
					asked, f.direct["j"] = true, test.after(f.now)
				}
			}
			if err := f.watcher(t).Tick(t.Context()); !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("Tick: %v, want %v", err, test.err)
			}
			r := f.records[key]
			if r.State != test.state || r.CancelRequested == nil {
				t.Errorf("state %s, cancel %+v; want %s", r.State, r.CancelRequested, test.state)
			}
			if diff := gocmp.Diff(test.told, f.told["j"]); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			// A cancel without an effect is asked for again; one under way is not.
			f.retell()
			f.cancelled, f.broken = nil, map[string]error{}
			f.now = f.now.Add(time.Minute)
			if err := f.watcher(t).Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if again := len(f.cancelled) > 0; again != (f.direct["j"].State == job.BackendRunning) {
				t.Errorf("cancelled again: %t, the job is %s", again, f.direct["j"].State)
			}
		})
	}
}

// A list that lags says that a running job waits: no warning, no cancel.
func TestTickAsksBeforeItWarns(t *testing.T) {
	f := newFake()
	waiting, running := backendJob("j", job.BackendQueued), backendJob("j", job.BackendRunning)
	running.Started = start.Add(30 * time.Minute)
	f.addLimited(t, "j", job.Scheduling{MaxWaitTime: "1800s", MaxRunningTime: "86400s"},
		job.JobPatience{Queued: job.Duration(600 * time.Second)},
		waiting)
	f.listed, f.direct["j"] = []attempt.BackendJob{waiting}, running
	f.now = start.Add(2 * time.Hour)
	if err := f.watcher(t).Tick(t.Context()); err != nil || len(f.cancelled) > 0 {
		t.Errorf("%v, cancelled %q", err, f.cancelled)
	}
	if diff := gocmp.Diff([]job.EventType{job.JobRunning}, f.told["j"]); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// This machine's clock, or the backend's, may be wrong by ten minutes either way. No job is ended
// before its time, and none lives on for long.
func TestTickClockSkew(t *testing.T) {
	const limit = time.Hour
	for _, skew := range []time.Duration{-10 * time.Minute, 0, 10 * time.Minute} {
		f := newFake()
		running := backendJob("j", job.BackendRunning)
		running.Created, running.Started = start.Add(skew), start.Add(skew)
		f.addLimited(t, "j", job.Scheduling{MaxRunningTime: job.FormatDuration(limit)}, job.JobPatience{}, running)
		f.listed, f.direct["j"] = []attempt.BackendJob{running}, running
		var ran time.Duration
		f.onCancel = func(job.JobInfo) {
			ran = f.now.Sub(start)
			ended := running
			ended.State, ended.Ended = job.BackendCancelled, f.now.Add(skew)
			f.direct["j"], f.listed = ended, nil
		}
		w := f.watcher(t)
		for range 200 {
			f.now = f.now.Add(time.Minute)
			if err := w.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.retell()
		}
		if ran < limit || ran > limit+30*time.Minute {
			t.Errorf("clocks that differ by %s: ended after %s", skew, ran)
		}
		if last := f.told["j"]; last[len(last)-1] != job.JobTimedOut {
			t.Errorf("clocks that differ by %s: told %v", skew, last)
		}
	}
}

// A hint makes jobdrop poll the job, whatever it says.
func TestRefresh(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.direct["j"] = backendJob("j", job.BackendSucceeded)
	w := f.watcher(t)
	if err := w.Refresh(t.Context(), "unknown"); err != nil || len(f.gets) > 0 {
		t.Errorf("a job of others: %v, looked at %q", err, f.gets)
	}
	for range 2 { // the second finds the verdict
		if err := w.Refresh(t.Context(), "j"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := gocmp.Diff(map[string][]job.EventType{"j": {job.JobSucceeded}}, f.told); diff != "" || len(f.gets) != 1 {
		t.Errorf("%d looks, told (-want +got):\n%s", len(f.gets), diff)
	}

	// A hint can't make a job count as missing.
	f.add(t, "gone", backendJob("gone", job.BackendRunning))
	for range 5 {
		f.now = f.now.Add(time.Hour)
		if err := w.Refresh(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.told["gone"]) > 0 {
		t.Errorf("hints alone told %v", f.told["gone"])
	}

	f.add(t, "k", backendJob("k", job.BackendRunning))
	f.direct["k"] = backendJob("k", job.BackendFailed)
	if err := w.Refresh(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]job.EventType{job.JobFailed}, f.told["k"]); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}

	// If the backend takes no IDs, a hint has the backend's own name, of a job of either kind.
	f.noID, f.gets = true, nil
	for id, resource := range map[string]string{
		"l": "projects/1/locations/r/customJobs/7", "m": "projects/1/locations/r/hyperparameterTuningJobs/8",
	} {
		running := backendJob(id, job.BackendRunning)
		running.ResourceName = resource
		f.add(t, id, running)
		ended := backendJob(id, job.BackendFailed)
		ended.ResourceName = resource
		f.direct[resource] = ended
		for _, name := range []string{"9", id, path.Base(resource)} { // a stranger's, ours by the wrong name, ours
			if err := w.Refresh(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		if diff := gocmp.Diff([]job.EventType{job.JobFailed}, f.told[id]); diff != "" {
			t.Errorf("%s: told (-want +got):\n%s", resource, diff)
		}
	}
	if len(f.gets) != 2 {
		t.Errorf("looked at %q, want each job of ours once", f.gets)
	}
}

// A missing job that is past its limit is not cancelled: it is lost.
func TestTickDoesNotCancelWhatIsGone(t *testing.T) {
	f := newFake()
	f.addLimited(t, "j", job.Scheduling{MaxRunningTime: "60s"},
		job.JobPatience{Grace: new(job.Duration(60 * time.Second))},
		backendJob("j", job.BackendRunning))
	w := f.watcher(t)
	for range 4 {
		f.now = f.now.Add(5 * time.Minute)
		ticked(t, w)
		f.retell()
	}
	if len(f.cancelled) > 0 {
		t.Errorf("cancelled %q", f.cancelled)
	}
	if diff := gocmp.Diff([]job.EventType{job.JobLost}, f.told["j"]); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// A job may vanish between the look at it and its cancel. That wakes nobody: later looks tell that it is lost.
func TestTickCancelsWhatVanished(t *testing.T) {
	f := newFake()
	l := backendJob("j", job.BackendRunning)
	f.addLimited(t, "j", job.Scheduling{MaxRunningTime: "60s"},
		job.JobPatience{Grace: new(job.Duration(60 * time.Second))}, l)
	f.direct["j"], f.now = l, f.now.Add(5*time.Minute)
	f.broken[l.ResourceName] = job.ErrNotFound // to the cancel
	f.onGet = func() {
		if len(f.gets) > 1 {
			delete(f.direct, "j")
		}
	}
	w := f.watcher(t)
	for range 4 {
		ticked(t, w)
		f.retell()
		f.now = f.now.Add(5 * time.Minute)
	}
	if diff := gocmp.Diff([]job.EventType{job.JobDelayed, job.JobLost}, f.told["j"]); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// Hints about other people's jobs cost no poll. Hints about ours are dropped when there are too many.
func TestRefreshIsLimited(t *testing.T) {
	for _, noID := range []bool{false, true} {
		f := newFake()
		f.noID = noID
		named := func(id string, s job.BackendState) attempt.BackendJob {
			l := backendJob(id, s)
			l.ResourceName = "projects/p/locations/r/customJobs/" + id
			f.direct[l.ResourceName] = l
			return l
		}
		f.add(t, "j", named("j", job.BackendRunning))
		named("j", job.BackendSucceeded)
		named("other", job.BackendRunning)
		o := f.options()
		o.PollsPerMinute = 40 // a quarter is for hints
		w, err := f.new(o)
		if err != nil {
			t.Fatal(err)
		}
		hinted := func(name string) int {
			f.gets = nil
			for range 1000 {
				if err := w.Refresh(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			return len(f.gets)
		}
		if n := hinted("other"); n > 0 {
			t.Errorf("no ID taken %t: %d looks at a job of others", noID, n)
		}
		if err := w.Refresh(t.Context(), "j"); err != nil || len(f.told["j"]) != 1 {
			t.Errorf("no ID taken %t: %v, told %v: our own hint was dropped", noID, err, f.told["j"])
		}
		f.add(t, "k", named("k", job.BackendRunning))
		if n := hinted("k"); n == 0 || n > 20 {
			t.Errorf("no ID taken %t: %d looks at one of ours", noID, n)
		}
	}
}

// A worker that is about to cancel a job goes by the record at the time of the cancel: another
// worker may have seen the job run since.
func TestTickPollsAgainBeforeACancel(t *testing.T) {
	f := newFake()
	waits := backendJob("j", job.BackendPreparing)
	waits.Created, waits.Started = start, time.Time{}
	key := f.addLimited(t, "j", job.Scheduling{MaxWaitTime: "60s"},
		job.JobPatience{Grace: new(job.Duration(60 * time.Second))}, waits)
	f.listed, f.direct["j"] = []attempt.BackendJob{waits}, waits
	f.now = start.Add(10 * time.Minute)
	f.onApply = func(o attempt.Observation) {
		if _, ok := o.(attempt.CancelJob); !ok {
			return
		}
		runs := backendJob("j", job.BackendRunning)
		runs.Started = f.now
		s := f.records[key]
		var err error
		if s.Record, _, err = attempt.Step(s.Record, attempt.Seen(runs, f.now), f.now); err != nil {
			t.Fatal(err)
		}
		f.records[key], f.direct["j"] = s, runs
	}
	if err := f.watcher(t).Tick(t.Context()); err != nil {
		t.Error(err)
	}
	if r := f.records[key]; len(f.cancelled) > 0 || r.State != job.Submitted || r.Job.State != job.BackendRunning {
		t.Errorf("cancelled %q, and the job is %s, %s", f.cancelled, r.State, r.Job.State)
	}
}

// A job that the backend starts again more often than the policy allows is cancelled while it waits for its machines.
// What is seen twice counts once.
func TestTickCancelsWhatRestartsTooOften(t *testing.T) {
	f := newFake()
	running := backendJob("j", job.BackendRunning)
	key := f.addLimited(t, "j", job.Scheduling{}, job.JobPatience{Restarts: new(int64(1))}, running)
	waits := running
	waits.State = job.BackendPreparing
	f.onCancel = func(job.JobInfo) {
		if r := f.records[key]; r.CancelRequested == nil || r.CancelRequested.Kind != job.KindRestarts {
			t.Errorf("cancelled before the record said so: %+v", r.CancelRequested)
		}
		ended := waits
		ended.State, ended.Ended = job.BackendCancelled, f.now
		f.direct["j"], f.listed = ended, nil
	}
	w := f.watcher(t)
	for _, now := range []attempt.BackendJob{running, waits, waits, running, running, waits, waits} {
		f.now = f.now.Add(time.Minute)
		if f.records[key].State == job.Submitted {
			f.listed, f.direct["j"] = []attempt.BackendJob{now}, now
		}
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.retell()
	}
	if diff := gocmp.Diff(map[string][]job.EventType{"j": {
		job.JobPreparing, job.JobRunning, job.JobPreparing, job.JobCancelled,
	}}, f.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if r := f.records[key]; len(f.cancelled) != 1 || r.Restarts == nil || r.Restarts.Count != 2 {
		t.Errorf("cancelled %q after %+v, want once after two restarts", f.cancelled, r.Restarts)
	}
}
