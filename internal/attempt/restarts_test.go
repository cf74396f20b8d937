package attempt

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// restarting returns the steps of a job that runs ten minutes, waits for five, and so on.
func restarting(most *int64, after ...step) []step {
	a := accept(nil)
	a.Patience.Restarts = most
	return append([]step{
		{0, a},
		{0, backendJob(job.BackendPreparing, 0, never, never)},
		{minute, backendJob(job.BackendRunning, 0, minute, never)},
		{11 * minute, backendJob(job.BackendPreparing, 0, minute, never)},
		{16 * minute, backendJob(job.BackendRunning, 0, minute, never)},
		{26 * minute, backendJob(job.BackendQueued, 0, minute, never)},
		{28 * minute, backendJob(job.BackendPreparing, 0, minute, never)},
		{31 * minute, backendJob(job.BackendRunning, 0, minute, never)},
	}, after...)
}

func TestRestarts(t *testing.T) {
	first := []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobPreparing, job.JobRunning}
	twice := append(first[:4:4], job.JobPreparing, job.JobRunning, job.JobQueued, job.JobRunning)
	two := &job.Restarts{Count: 2, Last: at(26 * minute), Ran: job.Duration(10 * minute), AtRisk: job.Duration(20 * minute)}
	limited := *two
	limited.Most = new(int64(2))
	tests := []struct {
		name   string
		steps  []step
		want   []job.EventType
		count  *job.Restarts
		state  job.State
		reason string
	}{
		{
			name: "seen", steps: restarting(nil), want: twice, count: two, state: job.Submitted,
			reason: "the job runs again, after 2 restarts that lost at most 20m0s of its run",
		},
		{
			name:  "and succeeds",
			steps: restarting(nil, step{40 * minute, backendJob(job.BackendSucceeded, 0, minute, 39*minute)}),
			want:  append(twice[:8:8], job.JobSucceeded), count: two, state: job.Succeeded,
			reason: "the job succeeded after 38m0s, with 2 restarts that lost at most 20m0s of its run",
		},
		{
			name: "seen twice",
			steps: restarting(nil, step{32 * minute, backendJob(job.BackendRunning, 0, minute, never)},
				step{41 * minute, backendJob(job.BackendPreparing, 0, minute, never)},
				step{42 * minute, backendJob(job.BackendPreparing, 0, minute, never)},
				step{43 * minute, backendJob(job.BackendQueued, 0, minute, never)},
				step{44 * minute, backendJob(job.BackendPreparing, 0, minute, never)}),
			want: append(twice[:8:8], job.JobPreparing),
			count: &job.Restarts{Count: 3, Last: at(41 * minute), Ran: job.Duration(10 * minute),
				AtRisk: job.Duration(30 * minute)},
			state: job.Submitted,
			reason: "the backend starts the job again, which ran for 10m0s: it lost a machine, or failed in a way that the " +
				"backend retries (restart 3)",
		},
		{
			name: "an answer that is late",
			steps: restarting(nil, step{31*minute + 5*time.Second, backendJob(job.BackendPreparing, 0, minute, never)},
				step{32 * minute, backendJob(job.BackendRunning, 0, minute, never)}),
			want: twice, count: two, state: job.Submitted,
			reason: "the job runs again, after 2 restarts that lost at most 20m0s of its run",
		},
		{
			name:  "as many as the policy allows",
			steps: restarting(new(int64(2)), step{40 * minute, backendJob(job.BackendSucceeded, 0, minute, 39*minute)}),
			want:  append(twice[:8:8], job.JobSucceeded), count: &limited, state: job.Succeeded,
			reason: "the job succeeded after 38m0s, with 2 restarts that lost at most 20m0s of its run",
		},
		{
			name: "a cancel that goes on", // the backend never says RUNNING again
			steps: []step{{0, accept(nil)}, {0, backendJob(job.BackendRunning, 0, 0, never)},
				{minute, backendJob(job.BackendCancelling, 0, 0, never)},
				{2 * minute, backendJob(job.BackendPreparing, 0, 0, never)}},
			want: []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobRunning}, state: job.Submitted,
			reason: "the backend prepares the job's machines",
		},
		{
			name: "a start that was never seen", // nobody knows how long it ran
			steps: []step{{0, accept(nil)}, {0, backendJob(job.BackendQueued, 0, never, never)},
				{5 * minute, backendJob(job.BackendPreparing, 0, minute, never)}},
			want:  []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobQueued, job.JobRunning},
			state: job.Submitted, reason: "the backend prepares the job's machines",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, got := play(t, test.steps...)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.count, r.Restarts); diff != "" {
				t.Errorf("restarts (-want +got):\n%s", diff)
			}
			if r.State != test.state || r.Reason != test.reason {
				t.Errorf("%s, %q; want %s, %q", r.State, r.Reason, test.state, test.reason)
			}
			if last := r.Outbox[len(r.Outbox)-1].Body; !cmp.Equal(last.Restarts, test.count) {
				t.Errorf("the last event has %+v", last.Restarts)
			}
			if kind := r.CancelDue(at(time.Hour)); kind != "" {
				t.Errorf("cancelled for its %s", kind)
			}
		})
	}
}

func TestTooManyRestarts(t *testing.T) {
	over := backendJob(job.BackendPreparing, 0, minute, never)
	r, _ := play(t, restarting(new(int64(2)), step{41 * minute, over})...)
	now := at(41 * minute)
	if kind := r.CancelDue(now); kind != job.KindRestarts {
		t.Fatalf("cancelled for its %q", kind)
	}
	if due := r.Due(); !due.Equal(now) {
		t.Errorf("due at %s, want at once", due)
	}
	r, _, err := Step(r, CancelJob{Kind: job.KindRestarts}, now)
	if err != nil || r.CancelRequested == nil || r.CancelRequested.Kind != job.KindRestarts {
		t.Fatalf("the record says %+v, %v", r.CancelRequested, err)
	}
	r, _, _ = Step(r, Seen(backendJob(job.BackendCancelling, 0, minute, never), at(42*minute)), at(42*minute))
	if kind, due := r.CancelDue(at(43*minute)), r.Due(); kind != "" || !due.IsZero() {
		t.Errorf("asked for again, for its %q, due at %s", kind, due)
	}
	r, _, _ = Step(r, Seen(backendJob(job.BackendCancelled, 0, minute, 43*minute), at(43*minute)), at(43*minute))
	const reason = "jobdrop cancelled the job after 42m0s, with 3 restarts that lost at most 30m0s of its run: limits.restarts " +
		"of the policy allows 2"
	if r.State != job.Cancelled || r.Reason != reason {
		t.Errorf("%s, %q; want cancelled, %q", r.State, r.Reason, reason)
	}
	// Subscribers of earlier releases know three kinds of cancels.
	body, err := json.Marshal(r.Outbox[len(r.Outbox)-1].Body)
	if err != nil || strings.Contains(string(body), "cancelRequested") ||
		!strings.Contains(string(body), `"restarts":{"count":3,"most":2,`) {
		t.Errorf("%v, the event is %s", err, body)
	}
}

// A person's request comes first, and one restart may be one too many.
func TestRestartsAndRequests(t *testing.T) {
	none := restarting(new(int64(0)))[:4]
	r, _ := play(t, none...)
	if kind := r.CancelDue(at(11 * minute)); kind != job.KindRestarts || !strings.HasSuffix(r.Reason,
		"(restart 1; limits.restarts of the policy allows none)") {
		t.Errorf("cancelled for its %q: %s", kind, r.Reason)
	}
	r, _, _ = Step(r, Cancel{Request: Request{By: "ada"}, Generation: 1}, at(12*minute))
	if kind := r.CancelDue(at(12 * minute)); kind != job.KindRequest {
		t.Errorf("cancelled for its %q", kind)
	}
}

// What was reported of a state is reported again of the next wait in it.
func TestStuckAgain(t *testing.T) {
	a := accept(nil)
	a.Patience = job.JobPatience{Preparing: job.Duration(2 * minute)}
	preparing := backendJob(job.BackendPreparing, 0, minute, never)
	_, got := play(t, step{0, a}, step{0, backendJob(job.BackendPreparing, 0, never, never)},
		step{3 * minute, backendJob(job.BackendPreparing, 0, never, never)},
		step{4 * minute, backendJob(job.BackendRunning, 0, 4*minute, never)},
		step{9 * minute, preparing}, step{10 * minute, preparing}, step{11 * minute, preparing}, step{12 * minute, preparing})
	want := []job.EventType{job.DropAccepted, job.JobSubmitted, job.JobPreparing, job.JobDelayed, job.JobRunning,
		job.JobPreparing, job.JobDelayed}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A cancel that was asked for before the run limit is not a timeout, however long it took.
func TestTooManyRestartsNearTheLimit(t *testing.T) {
	for name, test := range map[string]struct {
		asked time.Duration
		want  job.State
	}{"before the limit": {45 * minute, job.Cancelled}, "after it": {62 * minute, job.TimedOut}} {
		a := accept(&job.Scheduling{MaxRunningTime: "3600s"})
		a.Patience.Restarts = new(int64(0))
		r, _ := play(t, step{0, a}, step{0, backendJob(job.BackendRunning, 0, 0, never)},
			step{40 * minute, backendJob(job.BackendPreparing, 0, 0, never)},
			step{test.asked, CancelJob{Kind: job.KindRestarts}},
			step{63 * minute, backendJob(job.BackendCancelled, 0, 0, 61*minute)})
		if r.State != test.want {
			t.Errorf("asked %s: %s, want %s", name, r.State, test.want)
		}
	}
}
