package submitter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// ask writes a request as people do.
func (w *world) ask(key, id, kind string) {
	w.t.Helper()
	data, err := json.Marshal(attempt.Request{Kind: kind, By: "ann", Reason: "wrong data"})
	if err != nil {
		w.t.Fatal(err)
	}
	generation, err := w.storage.Client.Write(w.t.Context(), "state", "requests/"+key+"/"+id+".json", data, "application/json", nil, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := time.UnixMicro(generation); at.After(w.now) {
		w.now = at
	}
}

// answer returns what came of a request, and whether the request is still there.
func (w *world) answer(key, id string) (answer attempt.Answer, open bool) {
	w.t.Helper()
	_, err := w.storage.Client.Stat(w.t.Context(), "state", "requests/"+key+"/"+id+".json")
	open = err == nil
	data, _, err := w.storage.Client.Read(w.t.Context(), "state", "results/"+key+"/"+id+".json", 0, 64<<10)
	if errors.Is(err, job.ErrNotFound) {
		return answer, open
	}
	if err == nil {
		err = json.Unmarshal(data, &answer)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return answer, open
}

// ended runs a drop to its end, and returns its job file and its record.
func (w *world) ended() (jobFile job.Object, r attempt.Stored) {
	w.t.Helper()
	jobFile = w.runs(spec)
	w.backend.finish()
	w.tick()
	return jobFile, w.record(jobFile)
}

func (w *world) get(key string) attempt.Stored {
	w.t.Helper()
	s, err := w.ledger.Get(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// drops drops a job, and returns its job file.
func (w *world) drops(text string) job.Object {
	w.t.Helper()
	w.put("hello/trainer-0.1.tar.gz", pkg(w.t, "hello"))
	f := w.put("hello/job.yaml", []byte(text))
	w.wake(f)
	return f
}

// What a request to cancel makes of an attempt, told by events.
func TestCancelRequests(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		before func(w *world) job.Object
		events string
		state  job.State
		jobs   int
	}{
		{
			name:   "waiting",
			before: func(w *world) job.Object { f := w.put("hello/job.yaml", []byte(spec)); w.wake(f); return f },
			events: "drop.withdrawn", state: job.Withdrawn,
		},
		{
			name:   "paused",
			before: func(w *world) job.Object { w.operator("pause: true\n"); return w.drops(spec) },
			events: "drop.accepted job.cancelled", state: job.Cancelled,
		},
		{
			name: "no room",
			before: func(w *world) job.Object {
				w.backend.fail = job.ErrQuota
				f := w.drops(spec)
				w.backend.fail = nil
				return f
			},
			events: "drop.accepted job.cancelled", state: job.Cancelled,
		},
		{
			name:   "running",
			before: func(w *world) job.Object { return w.runs(spec) },
			events: "drop.accepted job.submitted job.queued job.running job.cancelled", state: job.Cancelled, jobs: 1,
		},
		{
			name:   "over",
			before: func(w *world) job.Object { f := w.runs(spec); w.backend.finish(); return f },
			events: "drop.accepted job.submitted job.queued job.running job.succeeded", state: job.Succeeded, jobs: 1,
		},
		{
			name: "a create without an answer that made a job",
			before: func(w *world) job.Object {
				w.backend.lose = true
				f := w.drops(spec)
				w.backend.lose = false
				return f
			},
			events: "drop.accepted job.submitted job.queued job.cancelled", state: job.Cancelled, jobs: 1,
		},
		{
			name: "a create without an answer that made none",
			before: func(w *world) job.Object {
				w.backend.fail = errors.New("connection reset")
				f := w.drops(spec)
				w.backend.fail = nil
				return f
			},
			events: "drop.accepted job.cancelled", state: job.Cancelled,
		},
		{
			name: "paused after a create without an answer that made none",
			before: func(w *world) job.Object {
				w.backend.fail = errors.New("connection reset")
				f := w.drops(spec)
				w.operator("pause: true\n")
				w.backend.fail = nil
				w.pass(6 * time.Minute)
				w.tick()
				return f
			},
			events: "drop.accepted job.cancelled", state: job.Cancelled,
		},
	}
	for _, noID := range []bool{false, true} {
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s, takes no ID: %t", test.name, noID), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.backend.noID = noID
				f := test.before(w)
				key := job.AttemptKey(f)
				w.ask(key, "1", "cancel")
				for range 30 {
					w.pass(time.Minute)
					w.tick()
				}
				r := w.get(key)
				if r.State != test.state || w.topic.of(key) != test.events || w.open() != 0 {
					t.Errorf("%s (%s), events %q, %d open; want %s, %q", r.State, r.Reason, w.topic.of(key), w.open(), test.state, test.events)
				}
				if test.state != job.Succeeded && !strings.Contains(r.Reason, "ann asked for it, as the request says: wrong data") {
					t.Errorf("the reason is %q", r.Reason)
				}
				if len(w.backend.jobs) != test.jobs {
					t.Errorf("%d jobs, want %d", len(w.backend.jobs), test.jobs)
				}
				answer, open := w.answer(key, "1")
				if answer.Outcome != attempt.RequestAccepted || open {
					t.Errorf("answered with %+v, the request is there: %t", answer, open)
				}
			})
		}
	}
}

// The tick that applies a request dies at each of its calls in turn, before and after the call's
// effect. The next ones end the attempt once, and answer once.
func TestCancelSurvivesACrashAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after: %t", after), func(t *testing.T) {
			t.Parallel()
			for dieAt := 1; ; dieAt++ {
				w := newWorld(t)
				f := w.runs(spec)
				key := job.AttemptKey(f)
				w.ask(key, "1", "cancel")
				w.mu.Lock()
				w.call, w.dieAt, w.after = 0, dieAt, after
				w.mu.Unlock()
				_ = w.watch.Tick(t.Context())
				over := w.call < dieAt
				w.restart()
				for range 3 {
					w.pass(time.Minute)
					w.tick()
				}
				r := w.get(key)
				answer, open := w.answer(key, "1")
				if got, want := w.topic.of(key), "drop.accepted job.submitted job.queued job.running job.cancelled"; got != want ||
					w.open() != 0 || answer.Outcome != attempt.RequestAccepted || open || r.CancelRequested.By != "ann" {
					t.Errorf("death at call %d (after: %t): events %q, %d open, answer %+v, request open %t", dieAt, after, got,
						w.open(), answer, open)
				}
				if over {
					if dieAt < 15 {
						t.Errorf("only %d calls: the deaths were not injected", dieAt)
					}
					break
				}
			}
		})
	}
}

// A rerun is an attempt of its own, once, whatever dies and however often the request comes.
func TestRerunSurvivesACrashAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after: %t", after), func(t *testing.T) {
			t.Parallel()
			for dieAt := 1; ; dieAt++ {
				w := newWorld(t)
				f := w.runs(spec)
				w.backend.finish()
				w.tick()
				key := job.AttemptKey(f)
				w.ask(key, "1", "rerun")
				w.mu.Lock()
				w.call, w.dieAt, w.after = 0, dieAt, after
				w.mu.Unlock()
				_ = w.watch.Tick(t.Context())
				over := w.call < dieAt
				w.restart()
				for range 3 {
					w.pass(time.Minute)
					w.tick()
				}
				answer, open := w.answer(key, "1")
				if answer.Outcome != attempt.RequestAccepted || open || len(w.backend.jobs) != 2 || w.open() != 1 {
					t.Fatalf("death at call %d (after: %t): answer %+v, request open %t, %d jobs, %d open", dieAt, after, answer, open,
						len(w.backend.jobs), w.open())
				}
				if got, want := w.topic.of(answer.Attempt), "drop.accepted job.submitted job.queued"; got != want {
					t.Errorf("death at call %d (after: %t): events %q, want %q", dieAt, after, got, want)
				}
				if over {
					if dieAt < 15 {
						t.Errorf("only %d calls: the deaths were not injected", dieAt)
					}
					break
				}
			}
		})
	}
}

// A rerun runs what the receipt pinned, whatever lies in the folder now, and the folder's status
// shows it.
func TestRerun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f, first := w.ended()
	w.ask(first.Attempt, "1", "rerun")
	w.tick()
	answer, _ := w.answer(first.Attempt, "1")
	if answer.Outcome != attempt.RequestAccepted {
		t.Fatalf("%+v", answer)
	}
	w.backend.run()
	w.backend.finish()
	w.pass(time.Minute)
	w.tick()
	r := w.get(answer.Attempt)
	if r.State != job.Succeeded || r.Rerun == nil || r.Rerun.Of != first.Attempt || r.Rerun.By != "ann" || r.Rerun.Reason != "wrong data" {
		t.Errorf("%s: %s, %+v", r.State, r.Reason, r.Rerun)
	}
	if r.Job.ID == first.Job.ID || r.Drop.Receipt.Content != first.Drop.Receipt.Content ||
		r.Drop.Receipt.Objects[0].Generation != f.Generation {
		t.Errorf("job %s, receipt %+v", r.Job.ID, r.Drop.Receipt)
	}
	for _, name := range []string{"hello/status.json", fmt.Sprintf("hello/status-%d.json", r.Number())} {
		data, _, err := w.storage.Client.Read(t.Context(), "status", name, 0, 1<<20)
		if err != nil || !strings.Contains(string(data), r.Attempt) {
			t.Errorf("%s: %v, %s", name, err, data)
		}
	}
	// One that ended after the rerun of its drop began is not what its status says.
	if data, _, err := w.storage.Client.Read(t.Context(), "status", fmt.Sprintf("hello/status-%d.json", f.Generation), 0,
		1<<20); err != nil || !strings.Contains(string(data), first.Attempt) {
		t.Errorf("status of the first: %v, %s", err, data)
	}
}

// One worker refuses a rerun, and deletes the request, a moment before another that had read it makes the
// attempt, and dies. The answer is that it was done, before anything is told of the attempt.
func TestRerunThatAnotherRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, first := w.ended()
	w.ask(first.Attempt, "1", "rerun")
	made := ""
	w.storage.Before = func(c storagetest.Call) error {
		name, isRecord := strings.CutPrefix(c.Name, "attempts/")
		switch {
		case c.Kind == "write" && c.Bucket == "state" && isRecord && made == "":
			made = strings.TrimSuffix(name, ".json")
			a, err := w.ledger.Asked(t.Context(), first.Attempt+"/1.json")
			if err != nil {
				t.Error(err)
			}
			if err := w.ledger.AnswerRequest(t.Context(), a, attempt.Answer{
				Outcome: attempt.RequestRefused, Generation: a.Generation, Message: "the operator allows no region",
			}); err != nil {
				t.Error(err)
			}
		case c.Kind == "write" && made != "" && strings.HasPrefix(c.Name, "open/"):
			return errDead
		}
		return nil
	}
	if err := w.watch.Tick(t.Context()); err == nil {
		t.Error("the tick of a worker that died succeeded")
	}
	w.storage.Before = nil
	published := false
	w.topic.publishing = func() {
		published = true
		if answer, _ := w.answer(first.Attempt, "1"); answer.Outcome != attempt.RequestAccepted {
			t.Errorf("the attempt is told of, and its request is %s", answer.Outcome)
		}
	}
	for range 3 {
		w.pass(time.Minute)
		w.tick()
	}
	answer, open := w.answer(first.Attempt, "1")
	if open || answer.Outcome != attempt.RequestAccepted || answer.Attempt != made || answer.Request == nil || !published {
		t.Errorf("request open %t, published %t, answer %+v; want that attempt %s was made", open, published, answer, made)
	}
}

// What can't be run again is declined, with why, and makes no attempt.
func TestRerunIsDeclined(t *testing.T) {
	t.Parallel()
	ended := func(text string) func(w *world) job.Object {
		return func(w *world) job.Object {
			f := w.runs(text)
			w.backend.finish()
			w.tick()
			return f
		}
	}
	tests := []struct {
		name    string
		before  func(w *world) job.Object
		then    func(w *world)
		message string
	}{
		{name: "running", before: func(w *world) job.Object { return w.runs(spec) }, message: "has not ended, it is running"},
		{
			name: "rejected", message: "rejected before it was accepted",
			before: func(w *world) job.Object { return w.drops(strings.Replace(spec, "BASIC", "HUGE", 1)) },
		},
		{name: "a job ID of its own", before: ended("jobId: mine\n" + spec), message: "names the job ID mine, which is used up"},
		{
			name: "its package is gone", before: ended(spec), message: "no longer there",
			then: func(w *world) {
				if err := w.storage.Client.Delete(w.t.Context(), inbox, "hello/trainer-0.1.tar.gz"); err != nil {
					w.t.Fatal(err)
				}
			},
		},
		{
			name: "its job file was replaced", before: ended(spec), message: "no longer there",
			then: func(w *world) { w.put("hello/job.yaml", []byte(spec+"  args: [again]\n")) },
		},
		{
			name: "the policy changed", before: ended(spec), message: "not valid any more: policy-region",
			then: func(w *world) { w.operator("allow: {regions: [europe-west1]}\n") },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := test.before(w)
			jobs := len(w.backend.jobs)
			if test.then != nil {
				test.then(w)
			}
			key := job.AttemptKey(f)
			w.ask(key, "1", "rerun")
			w.tick()
			answer, open := w.answer(key, "1")
			if answer.Outcome != attempt.RequestRefused || !strings.Contains(answer.Message, test.message) || open {
				t.Errorf("%+v; want %q", answer, test.message)
			}
			if len(w.backend.jobs) != jobs || answer.Attempt != "" {
				t.Errorf("%d jobs, attempt %q", len(w.backend.jobs), answer.Attempt)
			}
		})
	}
}

// A rerun has no privilege: it waits for the operator's pause and limits like a drop.
func TestRerunWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.runs(spec)
	w.backend.finish()
	w.tick()
	w.operator("pause: true\n")
	key := job.AttemptKey(f)
	w.ask(key, "1", "rerun")
	w.tick()
	answer, _ := w.answer(key, "1")
	if r := w.get(answer.Attempt); r.State != job.Accepted || r.Reason != "waiting: paused by the operator" || len(w.backend.jobs) != 1 {
		t.Fatalf("%s: %s, %d jobs", r.State, r.Reason, len(w.backend.jobs))
	}
	w.operator("limits: {activeJobs: 1}\n")
	w.pass(time.Minute)
	w.tick()
	if r := w.get(answer.Attempt); r.State != job.Submitted || len(w.backend.jobs) != 2 {
		t.Errorf("%s: %s, %d jobs", r.State, r.Reason, len(w.backend.jobs))
	}
}

// Whoever cancels a job and drops the same again right then gets a job.
func TestDropAfterACancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.runs(spec)
	w.ask(job.AttemptKey(f), "1", "cancel")
	// The record says so, and the backend takes its time.
	r := w.record(f)
	if _, _, err := w.ledger.Apply(t.Context(), r, attempt.Cancel{Request: attempt.Request{Kind: "cancel"}}, w.clock()); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Second)
	again := w.drops(spec)
	if r := w.record(again); r.State != job.Submitted {
		t.Errorf("%s: %s", r.State, r.Reason)
	}
}

// What the operator has to mend is not the drop's fault: the request waits for it.
func TestRerunWaitsForTheOperator(t *testing.T) {
	t.Parallel()
	missing := fmt.Errorf("policy: %w", job.ErrNotFound)
	for name, fault := range map[string]func(w *world){
		"no policy": func(w *world) { w.noPolicy = missing },
		"no staging bucket": func(w *world) {
			w.storage.Before = func(c storagetest.Call) error {
				if c.Bucket == "staging" {
					return missing
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			key := job.AttemptKey(w.runs(spec))
			w.backend.finish()
			w.tick()
			before := w.storage.Before
			fault(w)
			w.ask(key, "1", "rerun")
			err := w.watch.Tick(t.Context())
			if answer, open := w.answer(key, "1"); !errors.Is(err, missing) || answer.Outcome != "" || !open {
				t.Fatalf("%v; answer %+v, request open %t", err, answer, open)
			}
			w.noPolicy, w.storage.Before = nil, before
			w.pass(time.Minute)
			w.tick()
			if answer, open := w.answer(key, "1"); answer.Outcome != attempt.RequestAccepted || open || len(w.backend.jobs) != 2 {
				t.Errorf("%+v, request open %t, %d jobs", answer, open, len(w.backend.jobs))
			}
		})
	}
}
