package attempt

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

func jobFile() job.Object {
	return job.Object{Bucket: "inbox", Name: "census/job.yaml", Generation: 7, Size: 100, CRC32C: "AAAAAA==",
		Created: start, CorrelationID: "build-42"}
}

func accept(s *job.Scheduling) Accept {
	spec := job.Spec{JobID: "census_1", Labels: map[string]string{"team": "nlp"},
		TrainingInput: &job.TrainingInput{Region: "us-central1", Scheduling: s}}
	return Accept{Spec: spec, Receipt: job.Receipt{Objects: []job.Object{jobFile()}, Content: "c"}, Backend: "aiplatform",
		Claim: Claim{Owner: "w1", Until: at(time.Minute), Nonce: "n1"}}
}

// step is an observation at a time after start, or the backend's answer at that time:
// a [BackendJob], or gone.
type step struct {
	after time.Duration
	o     any
}

// gone is the backend's answer that it does not know the job.
type gone struct{}

// observed returns the observation of what was asked for at a time.
func observed(o any, at time.Time) Observation {
	switch o := o.(type) {
	case BackendJob:
		return Seen(o, at)
	case gone:
		return NotFound(at)
	}
	return o.(Observation)
}

// play applies observations to a new record, and returns the record and the types of all its
// events.
func play(t *testing.T, steps ...step) (Record, []job.EventType) {
	t.Helper()
	r := NewRecord(jobFile(), start)
	for _, s := range steps {
		next, _, err := Step(r, observed(s.o, at(s.after)), at(s.after))
		if err != nil {
			t.Fatalf("Step(%T) at %s: %v", s.o, s.after, err)
		}
		r = next
	}
	var types []job.EventType
	for i, e := range r.Outbox {
		types = append(types, e.Type)
		if e.Body.Sequence != int64(i)+1 {
			t.Errorf("event %d has sequence %d", i, e.Body.Sequence)
		}
	}
	return r, types
}

func backendJob(s job.BackendState, created, started, ended time.Duration) BackendJob {
	l := BackendJob{JobID: "census_1", ResourceName: "projects/p/jobs/census_1", State: s, Created: at(created)}
	if started >= 0 {
		l.Started = at(started)
	}
	if ended >= 0 {
		l.Ended = at(ended)
	}
	return l
}

const never = -1

func TestStep(t *testing.T) {
	failed := backendJob(job.BackendFailed, 1*time.Second, 5*time.Second, 9*time.Second)
	failed.Message = "ValueError: boom"
	minute := Incomplete{Missing: []string{"a.tar.gz"}, ReportAfter: time.Minute, ExpireAfter: time.Hour}
	tests := []struct {
		name  string
		steps []step
		want  []job.EventType
		state job.State
	}{
		{
			name: "every state seen",
			steps: []step{
				{0, accept(nil)},
				{1, backendJob(job.BackendQueued, 1, never, never)},
				{2, backendJob(job.BackendPreparing, 1, never, never)},
				{3, backendJob(job.BackendRunning, 1, 3, never)},
				{4, backendJob(job.BackendSucceeded, 1, 3, 4)},
			},
			want: []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobQueued, job.JobPreparing, job.JobRunning,
				job.JobSucceeded},
			state: job.Succeeded,
		},
		{
			name: "a run that no look caught is told from its start time",
			steps: []step{{0, accept(nil)}, {1, backendJob(job.BackendQueued, 1, never, never)},
				{9, backendJob(job.BackendSucceeded, 1, 3, 4)}},
			want:  []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobQueued, job.JobRunning, job.JobSucceeded},
			state: job.Succeeded,
		},
		{
			name: "a restart goes back to preparing and is not told again",
			steps: []step{
				{0, accept(nil)}, {1, backendJob(job.BackendPreparing, 1, never, never)}, {2, backendJob(job.BackendRunning, 1, 2,
					never)},
				{3, backendJob(job.BackendPreparing, 1, 2, never)}, {4, backendJob(job.BackendRunning, 1, 2, never)}, {5, failed},
			},
			want:  []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobPreparing, job.JobRunning, job.JobFailed},
			state: job.Failed,
		},
		{
			name: "a list that lags says queued of a job that ran",
			steps: []step{{0, accept(nil)}, {2, backendJob(job.BackendRunning, 1, 2, never)},
				{3, backendJob(job.BackendQueued, 1, never, never)}},
			want:  []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobRunning},
			state: job.Submitted,
		},
		{
			name: "nothing follows a verdict",
			steps: []step{{0, accept(nil)}, {1, backendJob(job.BackendSucceeded, 1, 2, 3)}, {4, backendJob(job.BackendRunning,
				1, 2, never)},
				{5, backendJob(job.BackendFailed, 1, 2, 5)}},
			want:  []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobRunning, job.JobSucceeded},
			state: job.Succeeded,
		},
		{
			name: "refused by the backend",
			steps: []step{{0, accept(nil)},
				{1, Refuse{Nonce: "n1", Failure: job.Failure{Code: "INVALID_ARGUMENT", Message: "no"}}}},
			want:  []job.EventType{job.DropAccepted, job.DropRejected},
			state: job.Rejected,
		},
		{
			name:  "rejected",
			steps: []step{{0, Reject{Reason: "not valid", Violations: []job.Violation{{Rule: "x"}}}}, {1, accept(nil)}},
			want:  []job.EventType{job.DropRejected},
			state: job.Rejected,
		},
		{
			name: "a second decision does not replace the first",
			steps: []step{{0, accept(nil)}, {1, Reject{Reason: "policy changed"}}, {1, Withdraw{Reason: "deleted"}}, {1, minute},
				{1, Hold{Until: at(time.Hour)}}},
			want:  []job.EventType{job.DropAccepted},
			state: job.Accepted,
		},
		{
			name:  "incomplete is reported once, then completed",
			steps: []step{{0, minute}, {time.Minute, minute}, {2 * time.Minute, minute}, {3 * time.Minute, accept(nil)}},
			want:  []job.EventType{job.DropIncomplete, job.DropAccepted},
			state: job.Accepted,
		},
		{
			name:  "never completed",
			steps: []step{{0, minute}, {time.Minute, minute}, {time.Hour, minute}},
			want:  []job.EventType{job.DropIncomplete, job.DropExpired},
			state: job.Expired,
		},
		{
			name: "held says nothing, then goes on",
			steps: []step{{0, Hold{Until: at(time.Minute)}}, {time.Second, Hold{Until: at(time.Minute)}},
				{time.Minute, accept(nil)}},
			want:  []job.EventType{job.DropAccepted},
			state: job.Accepted,
		},
		{
			name:  "withdrawn while it waited",
			steps: []step{{0, minute}, {time.Second, Withdraw{Reason: "deleted"}}},
			want:  []job.EventType{job.DropWithdrawn},
			state: job.Withdrawn,
		},
		{
			name: "absent three times is lost only ten minutes after its creation",
			steps: []step{
				{0, accept(nil)}, {1, backendJob(job.BackendQueued, 0, never, never)},
				{time.Minute, gone{}}, {2 * time.Minute, gone{}}, {3 * time.Minute, gone{}}, {10*time.Minute + 1, gone{}},
			},
			want:  []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobQueued, job.JobLost},
			state: job.Lost,
		},
		{
			name: "absent three times in ticks that overlap is not lost",
			steps: []step{
				{0, accept(nil)}, {1, backendJob(job.BackendQueued, 0, never, never)},
				{20 * time.Minute, gone{}}, {20*time.Minute + time.Second, gone{}}, {20*time.Minute + 2*time.Second, gone{}},
			},
			want:  []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobQueued},
			state: job.Submitted,
		},
		{
			name: "found again, absence counts anew",
			steps: []step{
				{0, accept(nil)}, {1, backendJob(job.BackendQueued, 0, never, never)},
				{11 * time.Minute, gone{}}, {12 * time.Minute, gone{}},
				{13 * time.Minute, backendJob(job.BackendQueued, 0, never, never)},
				{14 * time.Minute, gone{}}, {15 * time.Minute, gone{}},
			},
			want:  []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobQueued},
			state: job.Submitted,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, got := play(t, test.steps...)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if r.State != test.state {
				t.Errorf("state is %s, want %s", r.State, test.state)
			}
		})
	}
}

func TestStepCancelledOrTimedOut(t *testing.T) {
	limits := &job.Scheduling{MaxWaitTime: "1800s", MaxRunningTime: "60s"}
	tests := []struct {
		name       string
		backendJob BackendJob
		s          *job.Scheduling
		want       *job.Timeout
	}{
		{"run limit", backendJob(job.BackendCancelled, 0, 10*time.Second, 70*time.Second), limits,
			&job.Timeout{Kind: "run", Limit: job.Duration(60 * time.Second), EnforcedBy: "backend"}},
		{"run limit, whole seconds", backendJob(job.BackendCancelled, 0, 10*time.Second, 69*time.Second), limits,
			&job.Timeout{Kind: "run", Limit: job.Duration(60 * time.Second), EnforcedBy: "backend"}},
		{"a person, while it ran", backendJob(job.BackendCancelled, 0, 10*time.Second, 30*time.Second), limits, nil},
		{"wait limit", backendJob(job.BackendCancelled, 0, never, 1800*time.Second), limits,
			&job.Timeout{Kind: "wait", Limit: job.Duration(1800 * time.Second), EnforcedBy: "backend"}},
		{"a person, while it waited", backendJob(job.BackendCancelled, 0, never, 1700*time.Second), limits, nil},
		{"the default run limit", backendJob(job.BackendCancelled, 0, 0, 604800*time.Second), nil,
			&job.Timeout{Kind: "run", Limit: job.Duration(604800 * time.Second), EnforcedBy: "backend"}},
		{"no wait limit by default", backendJob(job.BackendCancelled, 0, never, 600000*time.Second), nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, types := play(t, step{0, accept(test.s)}, step{time.Second, test.backendJob})
			if diff := cmp.Diff(test.want, r.Timeout); diff != "" {
				t.Errorf("timeout (-want +got):\n%s", diff)
			}
			want := job.JobCancelled
			if test.want != nil {
				want = job.JobTimedOut
			}
			if got := types[len(types)-1]; got != want {
				t.Errorf("last event is %s, want %s", got, want)
			}
		})
	}
}

// A job that beats its own limit has succeeded.
func TestStepSucceededPastTheLimit(t *testing.T) {
	r, _ := play(t, step{0, accept(&job.Scheduling{MaxRunningTime: "60s"})},
		step{1, backendJob(job.BackendSucceeded, 0, 0, 61*time.Second)})
	if r.State != job.Succeeded || r.Timeout != nil {
		t.Errorf("state %s, timeout %v; want succeeded without one", r.State, r.Timeout)
	}
}

func TestStepDeadlines(t *testing.T) {
	limits := accept(&job.Scheduling{MaxWaitTime: "1800s", MaxRunningTime: "60s"})
	r, _ := play(t, step{0, limits}, step{1, backendJob(job.BackendQueued, time.Second, never, never)})
	if want := (job.Deadlines{Wait: at(1801 * time.Second)}); r.Deadlines != want {
		t.Errorf("while it waits: %+v, want %+v", r.Deadlines, want)
	}
	r, _ = play(t, step{0, limits}, step{1, backendJob(job.BackendRunning, time.Second, 5*time.Second, never)})
	if want := (job.Deadlines{Run: at(65 * time.Second)}); r.Deadlines != want {
		t.Errorf("while it runs: %+v, want %+v", r.Deadlines, want)
	}
}

func TestStepClaims(t *testing.T) {
	r, _ := play(t, step{0, accept(nil)})
	other := TakeClaim{Claim: Claim{Owner: "w2", Until: at(5 * time.Minute), Nonce: "n2"}}
	if _, changed, _ := Step(r, other, at(30*time.Second)); changed {
		t.Error("a claim that holds was taken over")
	}
	taken, changed, _ := Step(r, other, at(time.Minute))
	if !changed || taken.Creating.Nonce != "n2" {
		t.Errorf("a claim that ended was not taken over: %+v", taken.Creating)
	}
	if _, changed, _ := Step(taken, Refuse{Nonce: "n1"}, at(time.Minute)); changed {
		t.Error("the job was refused by someone who no longer held the claim")
	}
	if _, changed, _ := Step(taken, Postpone{Nonce: "n1", Reason: "late"}, at(time.Minute)); changed {
		t.Error("a claim was given back by someone who no longer held it")
	}
	free, changed, _ := Step(taken, Postpone{Nonce: "n2", Reason: "quota"}, at(time.Minute))
	if !changed || free.Creating != nil || free.Reason != "quota" || !free.Claimable(at(time.Minute)) {
		t.Errorf("a claim was not given back: %+v", free.Creating)
	}
}

func TestMade(t *testing.T) {
	spec := job.Spec{JobID: "j", Labels: job.Labels(nil, "i", "a", "c")}
	accept := Accept{Spec: spec, Receipt: job.Receipt{Staged: []string{"gs://s/a"}, Content: "c"}, Waits: "the operator"}
	fits := BackendJob{JobID: "j", Labels: spec.Labels, Packages: []string{"gs://s/a"}}
	apply := func(r Record, o Observation, at time.Time) Record {
		t.Helper()
		after, _, err := Step(r, o, at)
		if err != nil {
			t.Fatal(err)
		}
		return after
	}
	claim := func(n string, at time.Duration) Observation {
		return TakeClaim{Claim: Claim{Owner: "w", Nonce: n, Until: start.Add(at + 2*time.Minute)}, Turn: true}
	}
	waits := apply(NewRecord(jobFile(), start), accept, start)
	first := apply(waits, claim("n1", 3*time.Hour), start.Add(3*time.Hour))
	second := apply(first, claim("n2", 4*time.Hour), start.Add(4*time.Hour))
	old := second
	old.Claims = Claims{}
	updated := apply(old, claim("n3", 5*time.Hour), start.Add(5*time.Hour))
	tests := []struct {
		name string
		r    Record
		at   time.Duration
		want bool
	}{
		{"at the first claim", first, 3 * time.Hour, true},
		{"by another clock", first, 3*time.Hour - 10*time.Minute, true},
		{"before it", first, 3*time.Hour - 11*time.Minute, false},
		{"as late as a create may be", first, 3*time.Hour + 22*time.Minute, true},
		{"later", first, 3*time.Hour + 23*time.Minute, false},
		{"between claims", second, 3*time.Hour + 40*time.Minute, true},
		{"at the last one", second, 4 * time.Hour, true},
		{"after that", second, 5 * time.Hour, false},
		{"an earlier version's", old, 100 * time.Hour, true},
		{"an earlier version's, before", old, -11 * time.Minute, false},
		{"an earlier version's, claimed since", updated, time.Minute, true},
		{"an earlier version's, claimed since, later", updated, 6 * time.Hour, false},
	}
	for _, test := range tests {
		l := fits
		l.Created = start.Add(test.at)
		if got := test.r.Made(l); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
	if (NewRecord(jobFile(), start)).Made(fits) {
		t.Error("an attempt that was not accepted made a job")
	}
}

func TestStepLeavesItsArgument(t *testing.T) {
	before, _ := play(t, step{0, accept(nil)})
	kept := before
	kept.Outbox = append([]job.Event(nil), before.Outbox...)
	if _, _, err := Step(before, Seen(backendJob(job.BackendRunning, 1, 2, never), at(time.Second)),
		at(time.Second)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kept, before); diff != "" {
		t.Errorf("the record changed (-before +after):\n%s", diff)
	}
}

// An invalid trace context is dropped.
func TestNewRecordTraceparent(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for text, want := range map[string]string{good: good, "": "", good + "\n": "",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01": "", strings.Repeat("x", 9000): ""} {
		if got := NewRecord(job.Object{Name: "a/job.yaml", Traceparent: text}, start).Traceparent; got != want {
			t.Errorf("of %.80q: %q, want %q", text, got, want)
		}
	}
}

// An attempt that waits for a job ID has its own patience, from when it began to wait, and says
// what it waits for.
func TestBlocked(t *testing.T) {
	blocked := Blocked{JobID: "mine", By: "a-1", Waits: "waiting for x", ReportAfter: minute, ExpireAfter: 10 * minute}
	incomplete := Incomplete{Missing: []string{"x"}, ReportAfter: minute, ExpireAfter: 10 * minute}
	for _, test := range []struct {
		name  string
		steps []step
		want  []job.EventType
		state job.State
	}{
		{"at once, however old it is", []step{{60 * minute, blocked}}, nil, job.Waiting},
		{"reported once", []step{{0, blocked}, {2 * minute, blocked}, {3 * minute, blocked}},
			[]job.EventType{job.DropIncomplete}, job.Waiting},
		{"never free", []step{{60 * minute, blocked}, {70 * minute, blocked}}, []job.EventType{job.DropExpired}, job.Expired},
		{"incomplete before", []step{{0, incomplete}, {9 * minute, blocked}, {11 * minute, blocked}},
			[]job.EventType{job.DropIncomplete}, job.Waiting},
		{"incomplete since", []step{{5 * minute, blocked}, {11 * minute, incomplete}}, []job.EventType{job.DropExpired},
			job.Expired},
		{"free", []step{{0, blocked}, {minute / 2, accept(nil)}}, []job.EventType{job.DropAccepted}, job.Accepted},
	} {
		r, got := play(t, test.steps...)
		if diff := cmp.Diff(test.want, got); diff != "" || r.State != test.state {
			t.Errorf("%s: %s: %s, events (-want +got):\n%s", test.name, r.State, r.Reason, diff)
		}
	}
	r, _ := play(t, step{0, blocked})
	if want := "waiting for job ID mine: attempt a-1 of this folder has claimed it and is not decided yet (waiting " +
		"for x); complete or delete that drop, or choose another job ID"; r.Reason != want {
		t.Errorf("reason %q, want %q", r.Reason, want)
	}
	r, _ = play(t, step{0, Blocked{JobID: "mine", ReportAfter: minute, ExpireAfter: 10 * minute}})
	if want := "waiting for job ID mine: an attempt of another folder has claimed it and is not decided yet; choose " +
		"another job ID, or wait"; r.Reason != want {
		t.Errorf("reason %q, want %q", r.Reason, want)
	}
}

// An attempt whose check was cut off waits from then, is checked again after pauses that grow, and
// ends.
func TestIncompleteCutOff(t *testing.T) {
	cut := func(again time.Duration) Incomplete {
		return Incomplete{Arrived: []job.Object{{Name: "a/a.whl", Generation: 1}}, NextCheck: start.Add(again),
			ReportAfter: minute, ExpireAfter: 10 * minute}
	}
	missing := Incomplete{Missing: []string{"x"}, ReportAfter: minute, ExpireAfter: 10 * minute}
	blocked := Blocked{JobID: "mine", By: "a-1", ReportAfter: minute, ExpireAfter: 10 * minute}
	for _, test := range []struct {
		name  string
		steps []step
		want  []job.EventType
		state job.State
	}{
		{"at once, however old it is", []step{{60 * minute, cut(65 * minute)}}, nil, job.Waiting},
		{"reported once", []step{{0, cut(5 * minute)}, {2 * minute, cut(5 * minute)}, {6 * minute, cut(11 * minute)}},
			[]job.EventType{job.DropIncomplete}, job.Waiting},
		{"never checked", []step{{60 * minute, cut(65 * minute)}, {70 * minute, cut(75 * minute)}},
			[]job.EventType{job.DropExpired}, job.Expired},
		{"incomplete before", []step{{0, missing}, {9 * minute, cut(14 * minute)}, {10 * minute, cut(14 * minute)}},
			[]job.EventType{job.DropIncomplete, job.DropExpired}, job.Expired},
		{"blocked since", []step{{0, cut(5 * minute)}, {9 * minute, blocked}, {11 * minute, blocked}},
			[]job.EventType{job.DropIncomplete}, job.Waiting},
		{"held since", []step{{0, cut(5 * minute)}, {5 * minute, Hold{Until: start.Add(6 * minute)}}}, nil, job.Held},
		{"checked", []step{{0, cut(5 * minute)}, {5 * minute, accept(nil)}}, []job.EventType{job.DropAccepted}, job.Accepted},
	} {
		r, got := play(t, test.steps...)
		if diff := cmp.Diff(test.want, got); diff != "" || r.State != test.state {
			t.Errorf("%s: %s: %s, events (-want +got):\n%s", test.name, r.State, r.Reason, diff)
		}
		var again time.Time
		if last, ok := test.steps[len(test.steps)-1].o.(Incomplete); ok && r.State == job.Waiting {
			again = last.NextCheck
		}
		if !r.NextCheck.Equal(again) || r.Due().After(again) && !again.IsZero() {
			t.Errorf("%s: checked again at %s and due at %s, want %s", test.name, r.NextCheck, r.Due(), again)
		}
	}
	r := NewRecord(jobFile(), start)
	for age, want := range map[time.Duration]time.Duration{
		0: 5 * minute, 20 * minute: 20 * minute, 600 * minute: 60 * minute,
	} {
		if got := r.CheckAgain(start.Add(age)).Sub(start.Add(age)); got != want {
			t.Errorf("%s old: a pause of %s, want %s", age, got, want)
		}
	}
}

func TestStepRefusesNewerRecords(t *testing.T) {
	r := NewRecord(jobFile(), start)
	r.RecordVersion = RecordVersion + 1
	if _, _, err := Step(r, accept(nil), start); !errors.Is(err, ErrNewerRecord) {
		t.Errorf("error is %v, want ErrNewerRecord", err)
	}
}

func TestTrimOutbox(t *testing.T) {
	r, _ := play(t, step{0, accept(nil)}, step{1, backendJob(job.BackendRunning, 1, 1, never)})
	for n := range int64(4) {
		rest := r.TrimOutbox(n).Outbox
		if len(rest) != 3-int(n) || len(rest) > 0 && rest[0].Body.Sequence != n+1 {
			t.Errorf("after %d published: %d left", n, len(rest))
		}
	}
}

// Whatever is observed in whatever order, a record has at most one verdict, which is its last
// event, and its events are numbered without a gap.
func TestStepProperties(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 0))
		r := NewRecord(jobFile(), start)
		var all []job.Event
		now := time.Duration(0)
		for range 30 {
			now += time.Duration(random.IntN(300)) * time.Second
			states := []job.BackendState{job.BackendQueued, job.BackendPreparing, job.BackendRunning, job.BackendSucceeded,
				job.BackendFailed, job.BackendCancelling, job.BackendCancelled}
			s := states[random.IntN(len(states))]
			started, ended := time.Duration(never), time.Duration(never)
			if s == job.BackendRunning || s == job.BackendSucceeded {
				started = now
			}
			if s == job.BackendSucceeded || s == job.BackendFailed || s == job.BackendCancelled {
				ended = now
			}
			observations := []any{
				Incomplete{Missing: []string{"a"}, ReportAfter: time.Minute, ExpireAfter: time.Hour},
				Hold{Until: at(now + time.Minute)}, accept(&job.Scheduling{MaxWaitTime: "1800s"}), Reject{Reason: "x"},
				Withdraw{Reason: "x"},
				TakeClaim{Claim: Claim{Until: at(now + time.Minute), Nonce: fmt.Sprint(now)}, Turn: random.IntN(2) == 0},
				Refuse{Nonce: "n1"}, gone{},
				Postpone{Nonce: "n1", Reason: "x", Failure: &job.Failure{Message: "x"}, Quota: random.IntN(2) == 0,
					Unknown: random.IntN(2) == 0},
				Wait{Reason: "x"}, Measured{AcceleratorSeconds: 3600}, GiveUp{Nonce: "n1"},
				backendJob(s, 0, started, ended), backendJob(s, 0, started, ended), backendJob(s, 0, started, ended),
			}
			published := int64(random.IntN(int(r.Sequence) + 1))
			next, changed, err := Step(r.TrimOutbox(published), observed(observations[random.IntN(len(observations))], at(now)),
				at(now))
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if !changed {
				continue
			}
			if r.State.Terminal() {
				t.Fatalf("seed %d: a record in state %s changed", seed, r.State)
			}
			for _, e := range next.Outbox {
				if e.Body.Sequence == int64(len(all))+1 {
					all = append(all, e)
				}
			}
			r = next
		}
		if int64(len(all)) != r.Sequence {
			t.Fatalf("seed %d: %d events, sequence %d", seed, len(all), r.Sequence)
		}
		verdicts := 0
		for i, e := range all {
			if e.Body.State.Terminal() {
				verdicts++
				if i != len(all)-1 {
					t.Fatalf("seed %d: %s follows the verdict", seed, all[i+1].Type)
				}
			}
		}
		want := 0
		if r.State.Terminal() {
			want = 1
		}
		if verdicts != want {
			t.Fatalf("seed %d: %d verdicts in state %s", seed, verdicts, r.State)
		}
	}
}

// A verdict ends every claim, and keeps the warnings.
func TestStepVerdicts(t *testing.T) {
	a := accept(nil)
	a.Warnings = []job.Violation{{Rule: "warned", Severity: job.Warning}}
	r, _ := play(t, step{0, a}, step{1, Refuse{Nonce: "n1", Violations: []job.Violation{{Rule: "refused"}}}})
	if r.Creating != nil || len(r.Violations) != 2 || r.Violations[0].Rule != "warned" || r.Times.Concluded.IsZero() {
		t.Errorf("claim %v, violations %v, concluded %s", r.Creating, r.Violations, r.Times.Concluded)
	}
	r, _ = play(t, step{0, Withdraw{Reason: "a duplicate", JobID: "mine"}})
	if r.Job.ID != "mine" || r.Outbox[0].Body.Job.ID != "mine" {
		t.Errorf("a duplicate names job %q", r.Job.ID)
	}
}

// A create of unknown outcome is remembered.
func TestStepUnknownOutcome(t *testing.T) {
	take := TakeClaim{Claim: Claim{Until: at(5 * time.Minute), Nonce: "n2"}}
	for name, steps := range map[string][]step{
		"the holder of the claim died": {{0, accept(nil)}, {2 * time.Minute, take}},
		"no answer":                    {{0, accept(nil)}, {1, Postpone{Nonce: "n1", Unknown: true}}, {2, take}},
	} {
		if r, _ := play(t, steps...); r.UnknownUntil.IsZero() {
			t.Errorf("%s: the outcome is taken to be known", name)
		}
	}
	if r, _ := play(t, step{0, accept(nil)}, step{1, Postpone{Nonce: "n1"}}, step{2, take}); !r.UnknownUntil.IsZero() {
		t.Error("a create that was never made, for want of quota, counts as one of unknown outcome")
	}
}

func TestDue(t *testing.T) {
	minute := Incomplete{Missing: []string{"a"}, ReportAfter: time.Minute, ExpireAfter: time.Hour}
	tests := []struct {
		name  string
		steps []step
		want  time.Time
	}{
		{"waiting", []step{{0, minute}}, at(time.Minute)},
		{"reported", []step{{0, minute}, {time.Minute, minute}}, at(time.Hour)},
		{"held", []step{{0, Hold{Until: at(time.Second)}}}, at(time.Second)},
		{"claimed", []step{{0, accept(nil)}}, at(time.Minute)},
		{"over", []step{{0, Reject{}}}, time.Time{}},
	}
	for _, test := range tests {
		if r, _ := play(t, test.steps...); !r.Due().Equal(test.want) {
			t.Errorf("%s: due %s, want %s", test.name, r.Due(), test.want)
		}
	}
}

// What one wait says of its deadlines ends with it.
func TestHeldEndsWithItsWait(t *testing.T) {
	old := []job.Object{{Name: "d/old.whl", Generation: 1}}
	waits := Incomplete{Missing: []string{"a.whl"}, ReportAfter: time.Minute, ExpireAfter: time.Hour}
	beside := waits
	beside.Before, beside.Until = old, at(time.Minute)
	blocked := Blocked{JobID: "one", By: "another", ReportAfter: time.Minute, ExpireAfter: time.Hour}
	for name, steps := range map[string][]Observation{
		"a hold, then a job ID":                   {Hold{Until: at(time.Minute), Packages: old}, blocked},
		"a hold, then a package that is missing":  {Hold{Until: at(time.Minute), Packages: old}, waits},
		"a package of before, then a job ID":      {beside, blocked},
		"a package of before, then a new one":     {beside, waits},
		"a package that another was decided upon": {waits, beside},
	} {
		r := NewRecord(job.Object{Bucket: "inbox", Name: "d/job.yaml", Generation: 2, Created: at(0)}, at(0))
		for i, o := range steps {
			next, changed, err := Step(r, o, at(time.Duration(i)*time.Second))
			if err != nil || !changed {
				t.Fatalf("%s: step %d: changed %t, %v", name, i, changed, err)
			}
			r = next
		}
		last, _ := steps[1].(Incomplete)
		if want := len(last.Before) > 0; r.Deadlines.Held.IsZero() == want || r.Deadlines.Expires.IsZero() {
			t.Errorf("%s: deadlines %+v, and it waits beside packages of before: %t", name, r.Deadlines, want)
		}
		if _, changed, err := Step(r, steps[1], at(5*time.Second)); err != nil || changed {
			t.Errorf("%s: the same again: changed %t, %v", name, changed, err)
		}
	}
}
