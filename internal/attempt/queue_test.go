package attempt

import (
	"fmt"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

func claimed(nonce string, until time.Duration, turn bool) TakeClaim {
	return TakeClaim{Claim: Claim{Owner: "w", Until: at(until), Nonce: nonce}, Turn: turn}
}

func within(d time.Duration) Accept {
	a := accept(nil)
	a.SubmitWithin = d
	return a
}

var unavailable = &job.Failure{Code: "UNAVAILABLE", Message: "down"}

// Tries come at growing intervals, which follow from the record alone.
func TestBackoff(t *testing.T) {
	last := time.Duration(0)
	for tries := 1; tries <= 100; tries++ {
		most := longestBackoff
		if tries < 7 {
			most = min(most, firstBackoff<<(tries-1))
		}
		d := backoff("a", tries)
		if d < most/2 || d > most || d != backoff("a", tries) {
			t.Errorf("after %d tries: %s, want %s to %s, always the same", tries, d, most/2, most)
		}
		if tries < 7 && d < last {
			t.Errorf("after %d tries less than before: %s, %s", tries, d, last)
		}
		last = d
	}
	spread := map[time.Duration]bool{}
	for i := range 100 {
		spread[backoff(fmt.Sprint("attempt", i), 8)] = true
	}
	if len(spread) < 90 {
		t.Errorf("100 attempts are tried again after %d different times", len(spread))
	}
}

// A failed try postpones the next one, and no claim can be taken before that.
func TestPostponed(t *testing.T) {
	r, events := play(t, step{0, within(time.Hour)},
		step{time.Second, Postpone{Nonce: "n1", Reason: "down", Failure: unavailable}})
	if r.State != job.Accepted || r.Tries != 1 || !r.NextTry.After(at(time.Second)) || r.Error == nil ||
		!r.Error.Retryable || len(events) != 1 {
		t.Fatalf("%+v, events %v", r, events)
	}
	if !r.Due().Equal(r.NextTry) || r.Claimable(r.NextTry.Add(-1)) || !r.Claimable(r.NextTry) {
		t.Errorf("due %s, next try %s", r.Due(), r.NextTry)
	}
	if _, changed, _ := Step(r, claimed("n2", time.Hour, false), at(time.Second)); changed {
		t.Error("claimed before its next try")
	}
	// If the backend was not asked, the try did not fail.
	r, _ = play(t, step{0, within(time.Hour)},
		step{time.Second, Postpone{Nonce: "n1", Reason: "the claim was nearly over"}})
	if r.Tries != 0 || !r.Claimable(at(time.Second)) {
		t.Errorf("%+v", r)
	}
	// No backoff goes past the deadline.
	r, _ = play(t, step{0, within(3 * time.Second)}, step{time.Second, Postpone{Nonce: "n1", Failure: unavailable}})
	if !r.NextTry.Equal(r.Deadlines.Submit) || !r.Deadlines.Submit.Equal(at(3*time.Second)) {
		t.Errorf("next try at %s, deadline %s", r.NextTry, r.Deadlines.Submit)
	}
}

// The end of the time for submits is a verdict, but only if no job can exist.
func TestSubmitDeadline(t *testing.T) {
	const day = 24 * time.Hour
	vain := func(nonce string, unknown bool) Postpone {
		return Postpone{Nonce: nonce, Reason: "down", Failure: unavailable, Unknown: unknown}
	}
	tests := []struct {
		name  string
		steps []step
		state job.State
	}{
		{"before it is over", []step{{0, within(day)}, {day - 1, vain("n1", false)}}, job.Accepted},
		{"over", []step{{0, within(day)}, {day, vain("n1", false)}}, job.Rejected},
		{"without a deadline", []step{{0, within(0)}, {100 * day, vain("n1", false)}}, job.Accepted},
		{"a job may be there", []step{{0, within(day)}, {day, vain("n1", true)}}, job.Accepted},
		{"it may be there since before", []step{{0, within(day)}, {1, vain("n1", true)},
			{day, claimed("n2", day+time.Hour, false)}, {day, vain("n2", false)}}, job.Accepted},
		{"whoever asked died", []step{{0, within(day)}, {day, claimed("n2", day+time.Hour, false)}, {day, vain("n2", false)}},
			job.Accepted},
		{"a look too early", []step{{0, within(day)}, {day - 1, vain("n1", true)}, {day, claimed("n2", day+time.Hour, false)},
			{day + stalled - 2, GiveUp{"n2"}}}, job.Accepted},
		{"a look", []step{{0, within(day)}, {day - 1, vain("n1", true)}, {day, claimed("n2", day+time.Hour, false)},
			{day + stalled - 1, GiveUp{"n2"}}}, job.Rejected},
		{"a look of whose claim is over", []step{{0, within(day)}, {1, vain("n1", true)},
			{day, claimed("n2", day+time.Hour, false)}, {day + 2*time.Hour, claimed("n3", day+3*time.Hour, false)},
			{day + 2*time.Hour, GiveUp{"n2"}}}, job.Accepted},
		{"another's look", []step{{0, within(day)}, {day, GiveUp{"n2"}}}, job.Accepted},
		{"a look before it is over", []step{{0, within(day)}, {day - 1, GiveUp{"n1"}}}, job.Accepted},
		{"found after all", []step{{0, within(day)}, {day - 1, vain("n1", true)}, {day, claimed("n2", day+time.Hour, false)},
			{day, backendJob(job.BackendQueued, 0, never, never)}}, job.Submitted},
		{"the wait for a turn does not count", []step{
			{0, Accept{Spec: job.Spec{JobID: "j"}, Waits: "paused", SubmitWithin: day}},
			{3 * day, claimed("n2", 4*day, true)}, {3*day + 1, vain("n2", false)}}, job.Accepted},
		{"but the time after it does", []step{{0, Accept{Spec: job.Spec{JobID: "j"}, Waits: "paused", SubmitWithin: day}},
			{3 * day, claimed("n2", 5*day, true)}, {4 * day, vain("n2", false)}}, job.Rejected},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, events := play(t, test.steps...)
			if r.State != test.state {
				t.Fatalf("%s: %s, want %s", r.State, r.Reason, test.state)
			}
			if r.State == job.Rejected && (events[len(events)-1] != job.DropRejected || r.Error == nil || !r.Error.Retryable ||
				r.Error.Message == "" || r.Reason != "the backend did not take the job within 86400s") {
				t.Errorf("%s: %+v, events %v", r.Reason, r.Error, events)
			}
			if r.State == job.Submitted && (r.Error != nil || !r.UnknownUntil.IsZero() || !r.Deadlines.Submit.IsZero() ||
				r.Absent != nil) {
				t.Errorf("what was before the job is left in %+v", r)
			}
		})
	}
}

// A queued attempt is claimed only at its turn.
func TestQueue(t *testing.T) {
	waits := Accept{Spec: job.Spec{JobID: "j"}, Waits: "waiting: paused by the operator", Claim: Claim{Nonce: "n1"}}
	r, events := play(t, step{0, waits})
	if r.Creating != nil || !r.Queued || r.Claimable(at(0)) || !r.Startable(at(0)) || len(events) != 1 {
		t.Fatalf("%+v", r)
	}
	if b := r.Outbox[0].Body; b.Reason != "waiting: paused by the operator" {
		t.Errorf("drop.accepted says %q", b.Reason)
	}
	if e := NewEntry(Stored{Record: r}); e.Waits != r.Reason || !e.Accepted.Equal(at(0)) || !e.Due.IsZero() {
		t.Errorf("entry %+v", e)
	}
	if _, changed, _ := Step(r, claimed("n2", time.Hour, false), at(1)); changed {
		t.Error("claimed when it was not its turn")
	}
	if _, changed, _ := Step(r, Wait{"waiting: paused by the operator"}, at(1)); changed {
		t.Error("the same wait is news")
	}
	r, _ = play(t, step{0, waits}, step{1, Wait{"waiting: 8 of 8 jobs are active"}},
		step{2, claimed("n2", time.Minute, true)})
	if r.Queued || r.Reason != "" || r.Creating == nil || !r.UnknownUntil.IsZero() {
		t.Errorf("at its turn: %+v", r)
	}
	if _, changed, _ := Step(r, Wait{"waiting: paused by the operator"}, at(3)); changed {
		t.Error("one that is being created was queued")
	}
	// The backend's quota puts it back; a claim whose owner died is remembered.
	r, _ = play(t, step{0, accept(nil)},
		step{1, Postpone{Nonce: "n1", Reason: WaitsForQuota, Failure: unavailable, Quota: true}})
	if !r.Queued || r.Reason != WaitsForQuota || r.Startable(at(1)) || !r.Startable(r.NextTry) {
		t.Errorf("without quota: %+v", r)
	}
	r, _ = play(t, step{0, accept(nil)}, step{time.Hour, Wait{"waiting: paused by the operator"}})
	if !r.Queued || r.UnknownUntil.IsZero() || r.Creating != nil {
		t.Errorf("after its owner died: %+v", r)
	}
}
