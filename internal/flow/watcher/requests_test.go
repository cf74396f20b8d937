package watcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// key returns the attempt of a job that was added.
func (f *fake) key(id string) string { return f.owners[id] }

// A request is answered in a readable place, whatever it asks for, and does not come again. What is
// wrong with one fails no tick.
func TestRequestsAreAnswered(t *testing.T) {
	unknown := strings.Repeat("0a", 20) + "-7"
	tests := []struct {
		name, request, text string
		outcome, message    string
		state               job.BackendState // of the job before; none is RUNNING
		newer               bool
		read                error
	}{
		{name: "a cancel", text: `{"kind": "cancel", "by": "ann"}`, outcome: "accepted", message: "asks the backend to cancel"},
		{
			name: "of one that has ended", text: `{"kind": "cancel"}`, state: job.BackendSucceeded,
			outcome: "refused", message: "ended before: it is succeeded",
		},
		{
			name: "of one that is being cancelled", text: `{"kind": "cancel"}`, state: job.BackendCancelling,
			outcome: "accepted", message: "being cancelled already",
		},
		{name: "a rerun", text: `{"kind": "rerun"}`, outcome: "accepted", message: "runs again as attempt made"},
		{name: "of no attempt", request: unknown + "/1.json", text: `{"kind": "cancel"}`, outcome: "refused", message: "no attempt"},
		{name: "no JSON", text: `cancel`, outcome: "refused", message: "not valid JSON"},
		{name: "too large", text: strings.Repeat(" ", 5000), outcome: "refused", message: "larger than 4096 bytes"},
		{
			name: "with a key of its writer", text: `{"kind": "cancel"}`, read: fmt.Errorf("%w: no key", job.ErrRefused),
			outcome: "refused", message: "can't read the request: request refused: no key; write it again",
		},
		{
			name: "with a key that is closed", text: `{"kind": "cancel"}`, read: fmt.Errorf("%w: by KMS", job.ErrDenied),
			outcome: "refused", message: "can't read the request: permission denied: by KMS; write it again",
		},
		{name: "misnamed", request: "census/1.json", text: `{"kind": "cancel"}`, outcome: "refused", message: "the name is not"},
		{
			name: "of a newer revision's record", text: `{"kind": "cancel"}`, newer: true,
			outcome: "refused", message: "newer revision",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFake()
			if test.state == "" {
				test.state = job.BackendRunning
			}
			f.add(t, "j", backendJob("j", test.state))
			f.direct["j"] = backendJob("j", test.state)
			f.listed = []attempt.BackendJob{f.direct["j"]}
			if test.newer {
				s := f.records[f.key("j")]
				s.RecordVersion++
				f.records[f.key("j")] = s
				f.now = start.Add(time.Hour) // it is not rolled out any more
			}
			name := test.request
			if name == "" {
				name = f.key("j") + "/1.json"
			}
			f.wanted[name] = test.text
			f.broken["request "+name] = test.read
			w := f.watcher(t)
			if err := w.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			answer, ok := f.answers[name]
			if !ok || answer.Outcome != test.outcome || !strings.Contains(answer.Message, test.message) || answer.Generation != 77 {
				t.Fatalf("answered with %+v; want %s: %s", answer, test.outcome, test.message)
			}
			if len(f.wanted) > 0 || f.beats[0].Requests != 1 {
				t.Errorf("%d requests are left, %d counted", len(f.wanted), f.beats[0].Requests)
			}
			lists, reads := f.requestLists, f.requestReads
			if err := w.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if f.requestLists != lists+1 || f.requestReads != reads {
				t.Errorf("without requests: %d lists, %d reads", f.requestLists-lists, f.requestReads-reads)
			}
		})
	}
}

// A rerun whose worker died has a record and no index entry yet. A cancel puts it on the index first: its
// events are told, and a crash after its verdict leaves it to ticks.
func TestCancelOfWhatIsNotIndexed(t *testing.T) {
	f := newFake()
	jobFile := job.Object{Bucket: "inbox", Name: "j/job.yaml", Generation: 1, Created: start}
	r, _, err := attempt.Step(attempt.NewRecord(jobFile, start), attempt.Accept{
		Spec: job.Spec{JobID: "j", TrainingInput: &job.TrainingInput{}}, Waits: "waiting for its turn",
	}, start)
	if err != nil {
		t.Fatal(err)
	}
	f.records[r.Attempt] = attempt.Stored{Record: r}
	f.wanted[r.Attempt+"/1.json"] = `{"kind": "cancel"}`
	if err := f.watcher(t).Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state := f.records[r.Attempt].State; state != job.Cancelled {
		t.Errorf("state %s", state)
	}
	if diff := gocmp.Diff([]job.EventType{job.DropAccepted, job.JobCancelled}, f.told["j"]); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if !slices.Contains(f.broughtUp, r.Attempt) {
		t.Errorf("put on the index: %q", f.broughtUp)
	}
}

// A worker that would refuse a rerun which another has made meanwhile leaves the request: the next look
// finds the attempt.
func TestRerunThatAnotherMade(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendSucceeded))
	key := f.key("j")
	name := key + "/1.json"
	f.wanted[name] = `{"kind": "rerun"}`
	made := attempt.Asked{Name: name, Generation: 77}.Made()
	f.onRerun = func(context.Context, attempt.Record, attempt.Asked) error {
		if _, ok := f.records[made]; ok {
			return nil
		}
		f.records[made] = attempt.Stored{Record: attempt.Record{Attempt: made, State: job.Accepted}}
		return attempt.Decline("the policy forbids it")
	}
	w := f.watcher(t)
	ticked(t, w)
	if answer, ok := f.answers[name]; ok {
		t.Fatalf("answered with %+v, and attempt %s is there", answer, made)
	}
	ticked(t, w)
	if answer := f.answers[name]; answer.Outcome != attempt.RequestAccepted || len(f.wanted) > 0 {
		t.Errorf("answered with %+v", answer)
	}
}

// A request for an attempt that a newer revision wrote is that revision's to answer, while both run.
func TestRequestsWaitForANewerRevision(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.direct["j"] = backendJob("j", job.BackendRunning)
	f.listed = []attempt.BackendJob{f.direct["j"]}
	s := f.records[f.key("j")]
	s.RecordVersion++
	f.records[f.key("j")] = s
	name := f.key("j") + "/1.json"
	f.wanted[name] = `{"kind": "cancel"}`
	w := f.watcher(t)
	for range 2 {
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.now = f.now.Add(10 * time.Minute)
	}
	if answer, ok := f.answers[name]; ok || len(f.wanted) != 1 {
		t.Errorf("answered with %+v", answer)
	}
}

// The record says so before the call, the tick of the request makes the call, and later ticks repeat
// it until the backend says that it cancels.
func TestRequestedCancelIsRepeated(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.direct["j"] = backendJob("j", job.BackendRunning)
	f.listed = []attempt.BackendJob{f.direct["j"]}
	f.wanted[f.key("j")+"/1.json"] = `{"kind": "cancel", "by": "ann", "reason": "wrong data"}`
	f.onCancel = func(job.JobInfo) {
		if c := f.records[f.key("j")].CancelRequested; c == nil || c.By != "ann" || c.Kind != job.KindRequest {
			t.Errorf("the backend is asked, and the record says %+v", c)
		}
		if len(f.cancelled) == 3 {
			f.direct["j"] = backendJob("j", job.BackendCancelling)
			f.listed = []attempt.BackendJob{f.direct["j"]}
		}
	}
	w := f.watcher(t)
	for range 5 {
		f.retell()
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.cancelled) != 3 {
		t.Errorf("%d cancels, want one in each tick until the backend confirms", len(f.cancelled))
	}
}

// Many requests take many ticks, and one tick little. No requests hide those of somebody else.
func TestRequestsAreBounded(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.direct["j"] = backendJob("j", job.BackendRunning)
	f.listed = []attempt.BackendJob{f.direct["j"]}
	for i := range 1500 { // before and behind the one that matters
		f.wanted[fmt.Sprintf("%040d-1/%d.json", i, i)] = `{"kind": "cancel"}`
		f.wanted[fmt.Sprintf("f%039d-1/%d.json", i, i)] = `{"kind": "cancel"}`
	}
	own := f.key("j") + "/1.json"
	f.wanted[own] = `{"kind": "cancel"}`
	w := f.watcher(t)
	for tick := 1; ; tick++ {
		lists, reads := f.requestLists, f.requestReads
		f.retell()
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f.requestLists-lists > 1 || f.requestReads-reads > 100 {
			t.Fatalf("tick %d: %d lists, %d reads", tick, f.requestLists-lists, f.requestReads-reads)
		}
		if _, ok := f.answers[own]; ok {
			break
		}
		if tick == 50 {
			t.Fatalf("not answered in %d ticks, with %d others", tick, len(f.answers))
		}
	}
}

// Of many requests for one attempt, those for another are not behind.
func TestRequestsOfOneAttempt(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	for i := range 900 {
		f.wanted[fmt.Sprintf("%040d-1/%d.json", 1, i)] = `{"kind": "cancel"}`
	}
	own := f.key("j") + "/1.json"
	f.wanted[own] = `{"kind": "cancel"}`
	f.cursors.Requests.Rounds = 901 // the next tick begins with the first
	w := f.watcher(t)
	if err := w.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.answers[own]; !ok {
		t.Error("not answered in the first tick, whose turn begins with it")
	}
}

// Requests that stay, since nothing is known yet of their attempts, do not hide those on the next page.
func TestRequestsBehindOthers(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	for i := range 1000 {
		key := fmt.Sprintf("%040d-1", i)
		f.entries = append(f.entries, attempt.Entry{Attempt: key, State: job.Submitted, Revision: 1})
		f.wanted[key+"/1.json"] = `{"kind": "cancel"}`
	}
	own := "f" + strings.Repeat("0", 39) + "-1/1.json"
	f.wanted[own] = `{"kind": "cancel"}`
	w := f.watcher(t)
	for range 2 {
		_ = w.Tick(t.Context()) // the others have no record
	}
	if f.answers[own].Outcome != "refused" {
		t.Errorf("answered with %+v", f.answers[own])
	}
}

// Requests that stay, whatever they are, delay one of another by as many ticks as it takes to read all of
// them, wherever it lies among them.
func TestRequestsAmongThoseThatStay(t *testing.T) {
	name := func(i int) string { return fmt.Sprintf("%040d-1/1.json", i) }
	for _, test := range []struct{ stay, ticks int }{{1, 1}, {99, 1}, {150, 2}, {999, 10}, {1000, 20}} {
		for place := 0; place <= test.stay; place += max(1, test.stay/30) {
			f := newFake()
			for i := range test.stay {
				f.wanted[name(2*i+1)] = `{"kind": "cancel"}`
				f.broken["request "+name(2*i+1)] = attempt.ErrBusy
			}
			w := f.watcher(t)
			if err := w.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			own := name(2 * place)
			f.wanted[own] = `{"kind": "cancel"}`
			for range test.ticks {
				if err := w.Tick(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, ok := f.answers[own]; !ok || len(f.wanted) != test.stay {
				t.Errorf("%d requests stay, and the one before number %d is not answered in %d ticks", test.stay, place, test.ticks)
			}
		}
	}
}

// A tick begins few reruns, and does the rest of what is asked all the same.
func TestRerunsAreBounded(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	for i := range 10 {
		f.wanted[fmt.Sprintf("%s/%02d.json", f.key("j"), i)] = `{"kind": "rerun"}`
	}
	f.wanted[f.key("j")+"/99.json"] = `{"kind": "cancel"}`
	w := f.watcher(t)
	if err := w.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.answers[f.key("j")+"/99.json"]; len(f.reruns) != 4 || !ok {
		t.Errorf("%d reruns, the cancel behind them answered: %t", len(f.reruns), ok)
	}
	for range 4 {
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.reruns) != 10 || len(f.wanted) != 0 {
		t.Errorf("%d reruns, %d requests left", len(f.reruns), len(f.wanted))
	}
}

// A request stays until it is answered, whatever fails.
func TestRequestsStayUntilTheyAreAnswered(t *testing.T) {
	broken := errors.New("503")
	for name, spoil := range map[string]func(f *fake, request string) string{
		"the list":   func(*fake, string) string { return "requests" },
		"the read":   func(_ *fake, request string) string { return "request " + request },
		"the answer": func(_ *fake, request string) string { return "answer " + request },
		"the record": func(f *fake, _ string) string { return f.key("j") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.add(t, "j", backendJob("j", job.BackendRunning))
			f.direct["j"] = backendJob("j", job.BackendRunning)
			request := f.key("j") + "/1.json"
			f.wanted[request] = `{"kind": "cancel"}`
			what := spoil(f, request)
			f.broken[what] = broken
			w := f.watcher(t)
			if err := w.Tick(t.Context()); err == nil || len(f.wanted) != 1 || len(f.answers) != 0 || f.beats[0].Requests != 0 {
				t.Errorf("%v, %d requests, %d answers", err, len(f.wanted), len(f.answers))
			}
			delete(f.broken, what)
			for range 2 {
				if err := w.Tick(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if f.answers[request].Outcome != "accepted" {
				t.Errorf("answered with %+v", f.answers[request])
			}
		})
	}
}

// Whoever writes a request may put a hold on it. Then it is answered, stays, and fails no tick.
func TestRequestThatIsHeld(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.direct["j"] = backendJob("j", job.BackendRunning)
	f.listed = []attempt.BackendJob{f.direct["j"]}
	request := f.key("j") + "/1.json"
	f.wanted[request] = `{"kind": "cancel"}`
	f.broken["delete "+request] = fmt.Errorf("%w: 403", attempt.ErrHeld)
	w := f.watcher(t)
	for range 2 {
		f.retell()
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Ask(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if b := f.beats[1]; f.answers[request].Outcome != "accepted" || len(f.wanted) != 1 || b.Failed != 1 || b.Requests != 0 {
		t.Errorf("answered with %+v, %d requests left, %d failures, %d counted", f.answers[request], len(f.wanted), b.Failed, b.Requests)
	}
}

// An attempt that is on the index, and has no record yet, is about to be looked at.
func TestRequestOfAnAttemptWithoutRecord(t *testing.T) {
	f := newFake()
	key := strings.Repeat("0a", 20) + "-7"
	f.entries = append(f.entries, attempt.Entry{Attempt: key, JobFile: "census/job.yaml", Bucket: "inbox"})
	f.wanted[key+"/1.json"] = `{"kind": "cancel"}`
	if err := f.watcher(t).Tick(t.Context()); err != nil || len(f.wanted) != 1 || len(f.answers) != 0 {
		t.Errorf("%v, %d requests, answers %v", err, len(f.wanted), f.answers)
	}
}

// What can't be run again is answered with why.
func TestRerunThatIsDeclined(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.onRerun = func(_ context.Context, of attempt.Record, _ attempt.Asked) error {
		return attempt.Decline("attempt %s has not ended", of.Attempt)
	}
	f.wanted[f.key("j")+"/1.json"] = `{"kind": "rerun"}`
	if err := f.watcher(t).Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := f.answers[f.key("j")+"/1.json"]; a.Outcome != "refused" || a.Attempt != "" || !strings.Contains(a.Message, "has not ended") {
		t.Errorf("%+v", a)
	}
}

// A rerun whose time others have used goes first in the next tick. It is refused if the time that a tick
// has for one is not enough.
func TestRerunThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.add(t, "j", backendJob("j", job.BackendRunning))
		name := func(id string) string { return f.key("j") + "/" + id + ".json" }
		f.onRerun = func(ctx context.Context, _ attempt.Record, a attempt.Asked) error {
			if a.Name != name("long") {
				f.now = f.now.Add(100 * time.Second)
				return nil
			}
			<-ctx.Done()
			return fmt.Errorf("%w: cut off", attempt.ErrSlow)
		}
		f.wanted[name("first")] = `{"kind": "rerun"}`
		f.wanted[name("long")] = `{"kind": "rerun"}`
		w := f.watcher(t)
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(f.reruns) != 2 || len(f.wanted) != 1 || f.answers[name("first")].Outcome != "accepted" {
			t.Fatalf("reruns %q, left %v, answers %v", f.reruns, f.wanted, f.answers)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Ask(short, name("long")); err != nil || len(f.wanted) != 1 {
			t.Fatalf("a hint answers it: %v, %v", err, f.answers)
		}
		f.wanted[name("0")] = `{"kind": "rerun"}`
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		a := f.answers[name("long")]
		if f.reruns[3] != name("long") || a.Outcome != "refused" || !strings.Contains(a.Message, "no time") || a.Request == nil {
			t.Errorf("reruns %q, answered with %+v", f.reruns, a)
		}
		if len(f.wanted) != 0 || f.cursors.Requests.First != "" {
			t.Errorf("left %v, first is %q", f.wanted, f.cursors.Requests.First)
		}
	})
}

// Others that are being checked are not a rerun's fault: it waits, and goes first.
func TestRerunThatFindsOthersChecked(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	request := f.key("j") + "/1.json"
	f.wanted[request] = `{"kind": "rerun"}`
	f.onRerun = func(context.Context, attempt.Record, attempt.Asked) error { return attempt.ErrBusy }
	w := f.watcher(t)
	for range 3 {
		if err := w.Tick(t.Context()); err != nil || len(f.answers) != 0 || f.cursors.Requests.First != request {
			t.Fatalf("%v, answers %v, first is %q", err, f.answers, f.cursors.Requests.First)
		}
	}
	delete(f.wanted, request) // by whoever asked
	if err := w.Tick(t.Context()); err != nil || f.cursors.Requests.First != "" {
		t.Errorf("%v, first is %q", err, f.cursors.Requests.First)
	}
}

// A hint applies a request at once. One that was answered meanwhile costs a look.
func TestAsk(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	request := f.key("j") + "/1.json"
	f.wanted[request] = `{"kind": "cancel"}`
	w := f.watcher(t)
	for range 2 {
		if err := w.Ask(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	if f.answers[request].Outcome != "accepted" || !f.records[f.key("j")].CancelAsked() || f.requestLists != 0 {
		t.Errorf("answered with %+v, %d lists", f.answers[request], f.requestLists)
	}
	o := f.options()
	o.PollsPerMinute = 4
	limited, err := f.new(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		name := fmt.Sprintf("%s/%d.json", f.key("j"), i+2)
		f.wanted[name] = `{"kind": "cancel"}`
		if err := limited.Ask(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.wanted) != 9 {
		t.Errorf("%d of ten requests are left to ticks, want nine", len(f.wanted))
	}
}

// A rerun is refused since the attempt has not ended, and the worker dies before it deletes the request. Once
// the attempt has ended the refusal stands: whoever asked knows of nothing else.
func TestRequestThatWasRefused(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendSucceeded))
	name := f.key("j") + "/1.json"
	f.wanted[name] = `{"kind": "rerun"}`
	f.answers[name] = attempt.Answer{Outcome: attempt.RequestRefused, Generation: 77, Message: "it has not ended"}
	w := f.watcher(t)
	if err := w.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.reruns) != 0 || len(f.wanted) != 0 || f.answers[name].Message != "it has not ended" {
		t.Errorf("%d reruns, %d requests left, answer %+v", len(f.reruns), len(f.wanted), f.answers[name])
	}
}
