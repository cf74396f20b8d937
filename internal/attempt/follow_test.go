package attempt

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const minute = time.Minute

// watched does what the watcher does: it polls whenever the record is due, and asks for a cancel
// if one is due. says returns what the backend says at a time.
func watched(
	t *testing.T, a Accept, ends time.Duration, says func(r Record, after time.Duration) BackendJob,
) (Record, []job.EventType, []time.Duration) {
	t.Helper()
	r, _ := play(t, step{0, a}, step{0, says(Record{}, 0)})
	var visits []time.Duration
	for after := time.Duration(0); after <= ends && !r.State.Terminal(); {
		next := r.Due()
		if next.IsZero() || next.After(at(ends)) {
			break
		}
		if after = max(next.Sub(start), after+minute); after > ends {
			break
		}
		visits = append(visits, after)
		for range 2 { // the poll, and another after the cancel
			var err error
			if r, _, err = Step(r, Seen(says(r, after), at(after)), at(after)); err != nil {
				t.Fatal(err)
			}
			if kind := r.CancelDue(at(after)); kind != "" {
				r, _, _ = Step(r, CancelJob{Kind: kind}, at(after))
			}
		}
	}
	var types []job.EventType
	for _, e := range r.Outbox[2:] { // without accepted and submitted
		types = append(types, e.Type)
	}
	return r, types, visits
}

// obeys returns a backend that runs a job from started on, or never, and ends it when jobdrop asks
// for a cancel.
func obeys(started time.Duration) func(Record, time.Duration) BackendJob {
	return func(r Record, after time.Duration) BackendJob {
		state, began := job.BackendQueued, time.Duration(never)
		if started >= 0 && after >= started {
			state, began = job.BackendRunning, started
		}
		if r.CancelRequested != nil {
			return backendJob(job.BackendCancelled, 0, began, after)
		}
		return backendJob(state, 0, began, never)
	}
}

func TestLimits(t *testing.T) {
	both := accept(&job.Scheduling{MaxWaitTime: "3600s", MaxRunningTime: "604800s"})
	const week = 604800 * time.Second
	tests := []struct {
		name    string
		accept  Accept
		ends    time.Duration
		says    func(Record, time.Duration) BackendJob
		want    []job.EventType
		timeout *job.Timeout
		visits  []time.Duration
	}{
		{
			name: "jobdrop ends a wait that the backend does not", accept: both, ends: 2 * time.Hour, says: obeys(never),
			want:    []job.EventType{job.JobQueued, job.JobDelayed, job.JobTimedOut},
			timeout: &job.Timeout{Kind: "wait", Limit: job.Duration(3600 * time.Second), EnforcedBy: "jobdrop"},
			visits:  []time.Duration{48 * minute, 75 * minute},
		},
		{
			name: "and a run of seven days", accept: both, ends: 9 * 24 * time.Hour, says: obeys(0),
			want:    []job.EventType{job.JobRunning, job.JobDelayed, job.JobTimedOut},
			timeout: &job.Timeout{Kind: "run", Limit: job.Duration(604800 * time.Second), EnforcedBy: "jobdrop"},
			visits:  []time.Duration{week / 5 * 4, week + 15*minute},
		},
		{
			name: "which is the limit where the job names none", accept: accept(nil), ends: 9 * 24 * time.Hour, says: obeys(0),
			want:    []job.EventType{job.JobRunning, job.JobDelayed, job.JobTimedOut},
			timeout: &job.Timeout{Kind: "run", Limit: job.Duration(604800 * time.Second), EnforcedBy: "jobdrop"},
			visits:  []time.Duration{week / 5 * 4, week + 15*minute},
		},
		{
			name: "no wait is too long where the job names none", accept: accept(nil), ends: 9 * 24 * time.Hour,
			says: obeys(never),
			want: []job.EventType{job.JobQueued},
		},
		{
			name: "the backend ends a run by itself", accept: both, ends: 9 * 24 * time.Hour,
			says: func(r Record, after time.Duration) BackendJob {
				if after > week {
					return backendJob(job.BackendCancelled, 0, 0, week+10*time.Second)
				}
				return backendJob(job.BackendRunning, 0, 0, never)
			},
			want:    []job.EventType{job.JobRunning, job.JobDelayed, job.JobTimedOut},
			timeout: &job.Timeout{Kind: "run", Limit: job.Duration(604800 * time.Second), EnforcedBy: "backend"},
			visits:  []time.Duration{week / 5 * 4, week + 15*minute},
		},
		{
			name: "a job that is done before its cancel has succeeded", accept: both, ends: 9 * 24 * time.Hour,
			says: func(r Record, after time.Duration) BackendJob {
				if r.CancelRequested != nil {
					return backendJob(job.BackendSucceeded, 0, 0, after)
				}
				return backendJob(job.BackendRunning, 0, 0, never)
			},
			want:   []job.EventType{job.JobRunning, job.JobDelayed, job.JobSucceeded},
			visits: []time.Duration{week / 5 * 4, week + 15*minute},
		},
		{
			name: "a job that is being cancelled is not cancelled again", accept: both, ends: 9 * 24 * time.Hour,
			says:   func(Record, time.Duration) BackendJob { return backendJob(job.BackendCancelling, 0, 0, never) },
			want:   []job.EventType{job.JobRunning},
			visits: nil,
		},
		{
			name: "a person cancels", accept: both, ends: 9 * 24 * time.Hour,
			says: func(_ Record, after time.Duration) BackendJob {
				if after > 0 {
					return backendJob(job.BackendCancelled, 0, 0, week-time.Hour)
				}
				return backendJob(job.BackendRunning, 0, 0, never)
			},
			want: []job.EventType{job.JobRunning, job.JobCancelled}, visits: []time.Duration{week / 5 * 4},
		},
		{
			name: "the backend does not say when a job ended that jobdrop cancelled", accept: both, ends: 2 * time.Hour,
			says: func(r Record, _ time.Duration) BackendJob {
				if r.CancelRequested != nil {
					return backendJob(job.BackendCancelled, 0, never, never)
				}
				return backendJob(job.BackendQueued, 0, never, never)
			},
			want:    []job.EventType{job.JobQueued, job.JobDelayed, job.JobTimedOut},
			timeout: &job.Timeout{Kind: "wait", Limit: job.Duration(3600 * time.Second), EnforcedBy: "jobdrop"},
			visits:  []time.Duration{48 * minute, 75 * minute},
		},
		{
			name: "nor when one ended that jobdrop did not cancel", accept: both, ends: 2 * time.Hour,
			says: func(_ Record, after time.Duration) BackendJob {
				if after > 0 {
					return backendJob(job.BackendCancelled, 0, never, never)
				}
				return backendJob(job.BackendQueued, 0, never, never)
			},
			want: []job.EventType{job.JobQueued, job.JobCancelled}, visits: []time.Duration{48 * minute},
		},
		{
			name: "a job that begins to run while its wait is ended, and is ended", accept: both, ends: 2 * time.Hour,
			says: func(r Record, after time.Duration) BackendJob {
				if r.CancelRequested != nil {
					return backendJob(job.BackendCancelled, 0, after, after)
				}
				return backendJob(job.BackendQueued, 0, never, never)
			},
			want:   []job.EventType{job.JobQueued, job.JobDelayed, job.JobRunning, job.JobCancelled},
			visits: []time.Duration{48 * minute, 75 * minute},
		},
		{
			name: "the backend's clock is ten minutes ahead", accept: both, ends: 3 * time.Hour,
			says: func(r Record, after time.Duration) BackendJob {
				if r.CancelRequested != nil {
					return backendJob(job.BackendCancelled, 10*minute, never, after+10*minute)
				}
				return backendJob(job.BackendQueued, 10*minute, never, never)
			},
			want:    []job.EventType{job.JobQueued, job.JobDelayed, job.JobTimedOut},
			timeout: &job.Timeout{Kind: "wait", Limit: job.Duration(3600 * time.Second), EnforcedBy: "jobdrop"},
			visits:  []time.Duration{58 * minute, 85 * minute},
		},
		{
			name: "the backend's clock is ten minutes behind: not ended before its time", accept: both, ends: 3 * time.Hour,
			says: func(r Record, after time.Duration) BackendJob {
				if r.CancelRequested != nil {
					return backendJob(job.BackendCancelled, -10*minute, never, after-10*minute)
				}
				return backendJob(job.BackendQueued, -10*minute, never, never)
			},
			want:    []job.EventType{job.JobQueued, job.JobDelayed, job.JobTimedOut},
			timeout: &job.Timeout{Kind: "wait", Limit: job.Duration(3600 * time.Second), EnforcedBy: "jobdrop"},
			visits:  []time.Duration{48 * minute, 65 * minute}, // the warning: by jobdrop's clock
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, got, visits := watched(t, test.accept, test.ends, test.says)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.timeout, r.Timeout); diff != "" {
				t.Errorf("timeout (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.visits, visits); diff != "" {
				t.Errorf("looks (-want +got):\n%s", diff)
			}
			if r.State.Terminal() && r.Delay != nil {
				t.Errorf("ended, and still delayed: %+v", r.Delay)
			}
		})
	}
}

// A warning comes when four fifths are over by both clocks. If jobdrop saw the job late, it comes
// not much later.
func TestWarnings(t *testing.T) {
	tests := []struct {
		name                   string
		created, started, seen time.Duration
		want                   time.Duration
	}{
		{"the clocks agree", 0, 20 * minute, 20 * minute, 100 * minute},
		{"the backend's is behind", 0, 12 * minute, 20 * minute, 100 * minute},
		{"the backend's is ahead", 0, 28 * minute, 20 * minute, 108 * minute},
		{"nobody looked for half an hour", 0, 20 * minute, 50 * minute, 110 * minute},
	}
	for _, test := range tests {
		steps := []step{
			{0, accept(&job.Scheduling{MaxRunningTime: "6000s"})}, {0, backendJob(job.BackendQueued, test.created, never,
				never)},
			{test.seen, backendJob(job.BackendRunning, test.created, test.started, never)},
			{test.want - 1, backendJob(job.BackendRunning, test.created, test.started, never)},
		}
		r, types := play(t, steps...)
		if slices.Contains(types, job.JobDelayed) || !r.Due().Equal(at(test.want)) {
			t.Errorf("%s: events %v, due at %s", test.name, types, r.Due())
		}
		seen := step{test.want, backendJob(job.BackendRunning, test.created, test.started, never)}
		r, types = play(t, append(steps, seen)...)
		if !slices.Contains(types, job.JobDelayed) || !strings.Contains(r.Reason, "4800s of the 6000s") {
			t.Errorf("%s: events %v, %q", test.name, types, r.Reason)
		}
	}
	// A record of an earlier form does not say when jobdrop saw the job.
	r, _ := play(t, step{0, accept(&job.Scheduling{MaxRunningTime: "6000s"})},
		step{0, backendJob(job.BackendRunning, 0, 0, never)})
	r.Began = time.Time{}
	if due := r.Due(); !due.Equal(at(80 * minute)) {
		t.Errorf("a record of before is due at %s", due)
	}
}

// A cancel that ends after the limit was a person's if it began before the limit by more than
// clocks differ: by ten minutes, or by what the backend's time of the creation can be ahead.
func TestCancelThatTakesLong(t *testing.T) {
	const wait, grace = time.Hour, 15 * time.Minute
	tests := []struct {
		name       string
		created    time.Duration // by the backend's clock
		cancelling time.Duration
		asks       bool // jobdrop does, when its grace is over
		want       job.State
		by         string
	}{
		{"a person's", 0, 30 * minute, false, job.Cancelled, ""},
		{"a person's, two seconds before the limit", 0, wait - 2*time.Second, false, job.Cancelled, ""},
		{"before the limit by less than clocks differ", 9 * minute, wait, false, job.TimedOut, job.ByBackend},
		{"before the limit by more than clocks differ", 9 * minute, wait - 2*time.Second, false, job.Cancelled, ""},
		{"more than ten minutes before", 30 * minute, wait + 19*minute, false, job.Cancelled, ""},
		{"the backend's", 0, wait + minute, false, job.TimedOut, job.ByBackend},
		{"jobdrop's", 0, wait + grace, true, job.TimedOut, job.ByJobdrop},
	}
	for _, test := range tests {
		steps := []step{{0, accept(&job.Scheduling{MaxWaitTime: job.FormatDuration(wait)})},
			{0, backendJob(job.BackendQueued, test.created, never, never)}}
		if test.asks {
			steps = append(steps, step{test.cancelling, CancelJob{Kind: job.KindWait}})
		}
		steps = append(steps,
			step{test.cancelling, backendJob(job.BackendCancelling, test.created, never, never)},
			step{test.cancelling + 30*minute, backendJob(job.BackendCancelling, test.created, never, never)},
			step{2 * wait, backendJob(job.BackendCancelled, test.created, never, test.created+wait+grace+minute)},
		)
		r, _ := play(t, steps...)
		by := ""
		if r.Timeout != nil {
			by = r.Timeout.EnforcedBy
		}
		if r.State != test.want || by != test.by {
			t.Errorf("%s: %s, enforced by %q; want %s, %q", test.name, r.State, by, test.want, test.by)
		}
	}
}

// A late answer does not turn a job back, and does not count as an absence. One that was asked for
// later does.
func TestLateAnswer(t *testing.T) {
	r, _ := play(t, step{0, accept(nil)}, step{0, backendJob(job.BackendQueued, 0, never, never)},
		step{5 * minute, backendJob(job.BackendRunning, 0, 4*minute, never)})
	preparing, restarted := backendJob(job.BackendPreparing, 0, never, never), backendJob(job.BackendPreparing, 0,
		4*minute, never)
	for name, test := range map[string]struct {
		o      Observation
		want   job.BackendState
		absent bool
	}{
		"asked before":            {Seen(preparing, at(3*minute)), job.BackendRunning, false},
		"asked at about the time": {Seen(preparing, at(5*minute+5*time.Second)), job.BackendRunning, false},
		"asked since: a restart":  {Seen(restarted, at(6*minute)), job.BackendPreparing, false},
		"asked before, and goes on": {Seen(backendJob(job.BackendCancelling, 0, 4*minute, never), at(3*minute)),
			job.BackendCancelling, false},
		"asked before, and has ended": {Seen(backendJob(job.BackendSucceeded, 0, 4*minute, 5*minute), at(3*minute)),
			job.BackendSucceeded, false},
		"not there, asked before": {NotFound(at(3 * minute)), job.BackendRunning, false},
		"not there, asked since":  {NotFound(at(6 * minute)), job.BackendRunning, true},
	} {
		next, _, err := Step(r, test.o, at(7*minute))
		if next.Job.State != test.want || (next.Absent != nil) != test.absent || err != nil {
			t.Errorf("%s: %s, absent %+v, %v; want %s, %t", name, next.Job.State, next.Absent, err, test.want, test.absent)
		}
	}
}

// Each state has its own patience, and each is reported once.
func TestStuck(t *testing.T) {
	a := accept(nil)
	a.Patience = job.JobPatience{Queued: job.Duration(600 * time.Second), Preparing: job.Duration(300 * time.Second),
		Running: job.Duration(7200 * time.Second), Cancelling: job.Duration(900 * time.Second)}
	message := func(l BackendJob, text string) BackendJob { l.Message = text; return l }
	r, got := play(t,
		step{0, a},
		step{0, backendJob(job.BackendQueued, 0, never, never)},
		step{9 * minute, backendJob(job.BackendQueued, 0, never, never)},
		step{10 * minute, message(backendJob(job.BackendQueued, 0, never, never), "Quota 'NVIDIA_T4_GPUS' exceeded")},
		step{11 * minute, backendJob(job.BackendQueued, 0, never, never)},
		step{12 * minute, backendJob(job.BackendPreparing, 0, never, never)},
		step{17 * minute, backendJob(job.BackendPreparing, 0, never, never)},
		step{18 * minute, backendJob(job.BackendRunning, 0, 18*minute, never)},
		step{139 * minute, backendJob(job.BackendRunning, 0, 18*minute, never)},
		step{140 * minute, backendJob(job.BackendCancelling, 0, 18*minute, never)},
		step{155 * minute, backendJob(job.BackendCancelling, 0, 18*minute, never)},
		step{255 * minute, backendJob(job.BackendCancelling, 0, 18*minute, never)},
	)
	want := []job.EventType{
		job.DropAccepted, job.JobSubmitted, job.JobQueued, job.JobDelayed, job.JobPreparing, job.JobDelayed, job.JobRunning,
		job.JobDelayed, job.JobDelayed,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("events (-want +got):\n%s", diff)
	}
	first := r.Outbox[3].Body
	if diff := cmp.Diff(&job.Delay{Kind: "state", Limit: job.Duration(600 * time.Second), Since: start, Cause: "quota"},
		first.Delay); diff != "" ||
		!strings.Contains(first.Reason, "NVIDIA_T4_GPUS") {
		t.Errorf("delay (-want +got):\n%s\nreason %q", diff, first.Reason)
	}
	if next := r.Outbox[4].Body; next.Delay != nil || next.Reason != "the backend prepares the job's machines" {
		t.Errorf("a job that goes on is still delayed: %+v, %q", next.Delay, next.Reason)
	}
	if last := r.Outbox[8].Body; last.Job.State != job.BackendCancelling || last.Delay == nil ||
		last.Delay.Limit != job.Duration(900*time.Second) {
		t.Errorf("a cancel that does not end: %+v", last.Delay)
	}
	if due := r.Due(); !due.IsZero() {
		t.Errorf("due again at %s", due)
	}
}

// A job that was missing now and then is not lost. One that was always missing is, however long
// three polls take.
func TestAbsence(t *testing.T) {
	running := backendJob(job.BackendRunning, 0, 0, never)
	r, got := play(t,
		step{0, accept(nil)}, step{0, running},
		step{60 * minute, gone{}}, step{90 * minute, gone{}}, step{120 * minute, running}, step{121 * minute, gone{}},
		step{122 * minute, gone{}},
	)
	if r.State != job.Submitted || r.Absent.Misses != 2 || !NewEntry(Stored{Record: r}).Absent {
		t.Errorf("state %s, %+v, events %v", r.State, r.Absent, got)
	}
	if there, _, _ := Step(r, Seen(running, at(123*minute)), at(123*minute)); there.Absent != nil ||
		NewEntry(Stored{Record: there}).Absent {
		t.Errorf("found again: %+v", there.Absent)
	}
	// An earlier form does not show whether the job was there between its polls.
	before := r
	before.Absent = &Absence{Misses: 2, Since: at(0), Last: at(60 * minute)}
	if before, _, _ = Step(before, NotFound(at(300*minute)), at(300*minute)); before.State != job.Submitted {
		t.Errorf("state %s by looks of before", before.State)
	}
	if r, _, _ = Step(r, NotFound(at(300*minute)), at(300*minute)); r.State != job.Lost {
		t.Errorf("state %s after three looks in a row", r.State)
	}
}

// Polls of overlapping ticks count once. A job that changed less than ten minutes ago is not lost,
// however many polls found nothing.
func TestAbsenceTakesItsTime(t *testing.T) {
	running := backendJob(job.BackendRunning, 0, 0, never)
	second := minute / 60
	tests := []struct {
		name  string
		gone  []time.Duration
		state job.State
	}{
		{"three ticks, nine minutes after its last change", []time.Duration{7 * minute, 8 * minute, 9 * minute},
			job.Submitted},
		{"three ticks, ten minutes after it", []time.Duration{8 * minute, 9 * minute, 10 * minute}, job.Lost},
		{"three looks of two ticks", []time.Duration{20 * minute, 20*minute + 39*second, 21 * minute}, job.Submitted},
	}
	for _, test := range tests {
		steps := []step{{0, accept(nil)}, {0, running}}
		for _, at := range test.gone {
			steps = append(steps, step{at, gone{}})
		}
		if r, types := play(t, steps...); r.State != test.state {
			t.Errorf("%s: state %s, events %v; want %s", test.name, r.State, types, test.state)
		}
	}
}

// A limit is warned about once, however often the job is looked at.
func TestWarningsComeOnce(t *testing.T) {
	running := backendJob(job.BackendRunning, 0, 0, never)
	_, types := play(t, step{0, accept(&job.Scheduling{MaxRunningTime: "6000s"})}, step{0, running},
		step{81 * minute, running}, step{82 * minute, running}, step{83 * minute, running})
	if n := len(slices.DeleteFunc(slices.Clone(types), func(e job.EventType) bool {
		return e != job.JobDelayed
	})); n != 1 {
		t.Errorf("told %d times: %v", n, types)
	}
}

func TestCause(t *testing.T) {
	for message, want := range map[string]string{
		"":              "",
		"Job is queued": "",
		"The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_training_nvidia_t4_gpus": "quota",
		"RESOURCE_EXHAUSTED: try again":                                     "quota",
		"The zone 'us-central1-a' does not have enough resources available": "capacity",
		"ZONE_RESOURCE_POOL_EXHAUSTED":                                      "capacity",
		"Permission 'storage.objects.get' denied on resource":               "permission",
		"The service account does not exist":                                "permission",
	} {
		if got := cause(message); got != want {
			t.Errorf("cause of %q is %q, want %q", message, got, want)
		}
	}
}

// The request is recorded before the call, once, and only if the job has a limit to pass.
func TestCancelJob(t *testing.T) {
	r, _ := play(t, step{0, accept(&job.Scheduling{MaxRunningTime: "60s"})},
		step{0, backendJob(job.BackendRunning, 0, 0, never)})
	if kind := r.CancelDue(at(16*minute - 1)); kind != "" {
		t.Errorf("%s is over before its grace", kind)
	}
	if kind := r.CancelDue(at(16 * minute)); kind != job.KindRun {
		t.Fatalf("due is %q", kind)
	}
	asked, changed, _ := Step(r, CancelJob{Kind: job.KindRun}, at(16*minute))
	if !changed || asked.CancelRequested == nil || !asked.CancelRequested.At.Equal(at(16*minute)) ||
		asked.Sequence != r.Sequence {
		t.Fatalf("%+v, changed %t", asked.CancelRequested, changed)
	}
	if _, changed, _ := Step(asked, CancelJob{Kind: job.KindRun}, at(17*minute)); changed {
		t.Error("asked for twice")
	}
	if due := asked.Due(); due.After(at(16 * minute)) {
		t.Errorf("a cancel that may not have been heard is looked at again at %s", due)
	}
	accepted, _ := play(t, step{0, accept(nil)})
	if _, changed, _ := Step(accepted, CancelJob{Kind: job.KindRun}, start); changed ||
		slices.Contains(accepted.Warned, job.KindRun) {
		t.Error("a cancel of a job that nobody created")
	}
}

// Events list the trials of a job that has ended, the best first, and are never too large.
func TestTrials(t *testing.T) {
	value := func(v float64) *float64 { return &v }
	trials := []job.Trial{
		{ID: "1", State: job.BackendSucceeded, Objective: value(2)},
		{ID: "2", State: job.BackendFailed, Message: strings.Repeat("x", 1000)},
		{ID: "3", State: job.BackendSucceeded, Objective: value(-1)},
		{ID: "4", State: job.BackendSucceeded, Objective: value(3)},
		{ID: "5", State: job.BackendSucceeded, Objective: value(math.NaN())},
		{ID: "6", State: job.BackendSucceeded, Objective: value(math.Inf(-1))},
	}
	for goal, want := range map[string][]string{
		"MINIMIZE": {"6", "3", "1", "4", "2", "5"}, "MAXIMIZE": {"4", "1", "3", "2", "5", "6"},
		"": {"4", "1", "3", "2", "5", "6"},
	} {
		r, _ := play(t, step{0, accept(nil)}, step{0, backendJob(job.BackendQueued, 0, never, never)})
		spec := *r.Spec
		input := *spec.TrainingInput
		input.Hyperparameters = &job.HyperparameterSpec{Goal: goal}
		spec.TrainingInput, r.Spec = &input, &spec
		r, changed, err := Step(r, Seen(BackendJob{State: job.BackendSucceeded, Started: at(minute), Ended: at(2 * minute),
			Trials: trials}, at(3*minute)), at(3*minute))
		if err != nil || !changed {
			t.Fatalf("changed %t, %v", changed, err)
		}
		var got []string
		for _, tr := range r.Job.Trials {
			got = append(got, tr.ID)
			if len(tr.Message) > 128 {
				t.Errorf("message of %d bytes", len(tr.Message))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: order (-want +got):\n%s", goal, diff)
		}
		for _, e := range r.Outbox {
			if with := len(e.Body.Job.Trials) > 0; with != (e.Type == job.JobSucceeded) {
				t.Errorf("%s with trials: %t", e.Type, with)
			}
		}
		if _, err := json.Marshal(r); err != nil { // NaN and Inf are no JSON
			t.Error(err)
		}
	}

	many := make([]job.Trial, 600)
	for i := range many {
		many[i] = job.Trial{ID: strings.Repeat("i", 1000), State: job.BackendSucceeded, Objective: value(1),
			Parameters: map[string]string{}}
		for p := range 20 {
			many[i].Parameters[fmt.Sprintf("%d%s", p, strings.Repeat("p", 1000))] = strings.Repeat("v", 1000)
		}
	}
	r, _ := play(t, step{0, accept(nil)}, step{0, backendJob(job.BackendQueued, 0, never, never)})
	r, _, err := Step(r, Seen(BackendJob{State: job.BackendSucceeded, Started: at(minute), Ended: at(2 * minute),
		Trials: many},
		at(3*minute)), at(3*minute))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(r.Outbox[len(r.Outbox)-1].Body)
	if err != nil || len(data) > 5<<20 {
		t.Errorf("an event of %d bytes, %v", len(data), err)
	}
}

// If the backend knows no limit on the wait, jobdrop cancels as soon as it is over by both clocks.
func TestWaitWithoutGrace(t *testing.T) {
	const wait = 30 * minute
	for _, test := range []struct {
		name    string
		created time.Duration // by the backend's clock
		cancel  time.Duration
	}{
		{"clocks agree", 0, wait},
		{"the backend's is late", -10 * minute, wait},
		{"the backend's is early", 10 * minute, wait + 10*minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := accept(&job.Scheduling{MaxWaitTime: "1800s"})
			a.Patience = job.JobPatience{Grace: new(job.Duration(900 * time.Second)), WaitGrace: new(job.Duration(0))}
			r, _ := play(t, step{0, a}, step{0, backendJob(job.BackendQueued, test.created, never, never)})
			if kind := r.CancelDue(at(test.cancel - time.Second)); kind != "" {
				t.Errorf("cancelled for the %s too early", kind)
			}
			if kind := r.CancelDue(at(test.cancel)); kind != job.KindWait {
				t.Errorf("due for %q", kind)
			}
			if due := r.Due(); due.After(at(test.cancel)) {
				t.Errorf("looked at %s only", due)
			}
		})
	}
	a := accept(&job.Scheduling{MaxRunningTime: "1800s"})
	a.Patience = job.JobPatience{Grace: new(job.Duration(900 * time.Second)), WaitGrace: new(job.Duration(0))}
	r, _ := play(t, step{0, a}, step{0, backendJob(job.BackendRunning, 0, 0, never)})
	if r.CancelDue(at(wait+14*minute)) != "" || r.CancelDue(at(wait+15*minute)) != job.KindRun {
		t.Error("the run has no grace, or another")
	}
}

// A failure that the backend attributes to a limit counts as a timeout only if a limit is over.
func TestDeadlineExceeded(t *testing.T) {
	for ended, want := range map[time.Duration]job.State{29 * minute: job.Failed, 30 * minute: job.TimedOut} {
		l := backendJob(job.BackendFailed, 0, 0, ended)
		l.DeadlineExceeded = true
		r, _ := play(t, step{0, accept(&job.Scheduling{MaxRunningTime: "1800s"})},
			step{0, backendJob(job.BackendRunning, 0, 0, never)}, step{ended, l})
		if r.State != want || (r.Timeout != nil) != (want == job.TimedOut) {
			t.Errorf("after %s: %s, %+v", ended, r.State, r.Timeout)
		}
	}
}

// Vertex AI reports a start even for jobs that are only being prepared. One that was cancelled at
// its wait limit never ran.
func TestStartOfAJobThatNeverRan(t *testing.T) {
	a := accept(&job.Scheduling{MaxWaitTime: "1800s"})
	a.Patience = job.JobPatience{WaitGrace: new(job.Duration(0))}
	r, types := play(t, step{0, a}, step{0, backendJob(job.BackendPreparing, 0, never, never)},
		step{30 * minute, CancelJob{Kind: job.KindWait}}, step{31 * minute, backendJob(job.BackendCancelled, 0, minute,
			31*minute)})
	want := job.Timeout{Kind: job.KindWait, Limit: job.Duration(1800 * time.Second), EnforcedBy: job.ByJobdrop}
	if r.State != job.TimedOut || r.Timeout == nil || *r.Timeout != want || slices.Contains(types, job.JobRunning) {
		t.Errorf("%s, %+v, events %v", r.State, r.Timeout, types)
	}
	// One that began to run as it was being cancelled did.
	r, types = play(t, step{0, a}, step{0, backendJob(job.BackendPreparing, 0, never, never)},
		step{30 * minute, CancelJob{Kind: job.KindWait}},
		step{32 * minute, backendJob(job.BackendCancelled, 0, 31*minute, 32*minute)})
	if r.State != job.Cancelled || !slices.Contains(types, job.JobRunning) {
		t.Errorf("%s, events %v", r.State, types)
	}
}

// The backend's message about a success is the reason.
func TestSuccessWithAMessage(t *testing.T) {
	l := backendJob(job.BackendSucceeded, 0, 0, minute)
	l.Message = "the job succeeded in part"
	r, _ := play(t, step{0, accept(nil)}, step{0, backendJob(job.BackendRunning, 0, 0, never)}, step{minute, l})
	if r.State != job.Succeeded || r.Reason != "the job succeeded after 1m0s: the job succeeded in part" {
		t.Errorf("%s: %q", r.State, r.Reason)
	}
}

// Every final event says in one sentence what became of the job.
func TestVerdictsHaveAReason(t *testing.T) {
	ended := func(s job.BackendState, message string) BackendJob {
		l := backendJob(s, 0, 0, minute)
		l.Message = message
		return l
	}
	for _, tt := range []struct {
		job  BackendJob
		want string
	}{
		{ended(job.BackendSucceeded, ""), "the job succeeded after 1m0s"},
		{ended(job.BackendFailed, "The replica exited with 1.\nTraceback:\n"),
			"the job failed after 1m0s: The replica exited with 1"},
		{ended(job.BackendFailed, ""), "the job failed after 1m0s: the backend does not say why"},
		{ended(job.BackendCancelled, ""), "somebody cancelled the job after 1m0s"},
		{backendJob(job.BackendCancelled, 0, never, minute), "somebody cancelled the job"},
		{backendJob(job.BackendCancelled, 0, 0, 20*minute),
			"the job ran for longer than its limit of 1200s, and the backend ended it"},
	} {
		r, _ := play(t, step{0, accept(&job.Scheduling{MaxRunningTime: "1200s"})}, step{30 * minute, tt.job})
		if last := r.Outbox[len(r.Outbox)-1].Body; r.Reason != tt.want || last.Reason != tt.want {
			t.Errorf("%s: reason %q, in the event %q, want %q", r.State, r.Reason, last.Reason, tt.want)
		}
	}
}

// A person's cancel that takes until after a short limit is a cancel: jobdrop saw it before.
func TestCancelBeforeAShortLimit(t *testing.T) {
	const second = time.Second
	for _, tt := range []struct {
		name string
		seen time.Duration // when the cancel was
		want job.State
	}{
		{"long before", 5 * second, job.Cancelled}, {"at the limit", 30 * second, job.TimedOut},
	} {
		r, _ := play(t, step{0, accept(&job.Scheduling{MaxRunningTime: "30s"})},
			step{second, backendJob(job.BackendRunning, 0, 0, never)},
			step{tt.seen, backendJob(job.BackendCancelling, 0, 0, never)},
			step{40 * second, backendJob(job.BackendCancelled, 0, 0, 35*second)})
		if r.State != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, r.State, tt.want)
		}
	}
}

// Events say how far a job has come; the record keeps submitted until the verdict.
func TestShownState(t *testing.T) {
	r, _ := play(t, step{0, accept(nil)}, step{minute, backendJob(job.BackendQueued, 0, never, never)},
		step{2 * minute, backendJob(job.BackendPreparing, 0, never, never)},
		step{3 * minute, backendJob(job.BackendRunning, 0, 3*minute, never)},
		step{4 * minute, backendJob(job.BackendCancelling, 0, 3*minute, never)})
	var got []job.State
	for _, e := range r.Outbox {
		got = append(got, e.Body.State)
	}
	want := []job.State{job.Accepted, job.Submitted, job.Queued, job.Preparing, job.Running}
	if diff := cmp.Diff(want, got); diff != "" || r.State != job.Submitted || r.Snapshot().State != job.Running {
		t.Errorf("record %s, status %s, events (-want +got):\n%s", r.State, r.Snapshot().State, diff)
	}
}
