package submitter_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const limited = spec + "  scheduling: {maxRunningTime: 600s}\n"

// runs drops a job that runs, and never ends by itself.
func (w *world) runs(text string) job.Object {
	w.t.Helper()
	w.put("hello/trainer-0.1.tar.gz", pkg(w.t, "hello"))
	f := w.put("hello/job.yaml", []byte(text))
	w.wake(f)
	w.backend.run()
	w.tick()
	return f
}

// The tick that ends a job dies at each of its remote calls in turn, before and after the call's
// effect. The next one publishes one verdict, enforced by jobdrop.
func TestTickSurvivesACrashAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after: %t", after), func(t *testing.T) {
			t.Parallel()
			for dieAt := 1; ; dieAt++ {
				w := newWorld(t)
				f := w.runs(limited)
				w.pass(26 * time.Minute) // the limit and the grace
				w.mu.Lock()
				w.call, w.dieAt, w.after = 0, dieAt, after
				w.mu.Unlock()
				crashed := w.watch.Tick(t.Context()) != nil
				over := w.call < dieAt
				if !crashed && w.dead {
					t.Errorf("death at call %d (after: %t) was answered as success", dieAt, after)
				}
				w.restart()
				w.pass(time.Minute)
				w.tick()
				r := w.record(f)
				if got, want := w.topic.of(r.Attempt), "drop.accepted job.submitted job.queued job.running job.delayed "+
					"job.timed_out"; got != want {
					t.Errorf("death at call %d (after: %t): events %q, want %q", dieAt, after, got, want)
				}
				if want := (job.Timeout{Kind: "run", Limit: job.Duration(600 * time.Second),
					EnforcedBy: "jobdrop"}); r.Timeout == nil ||
					*r.Timeout != want {
					t.Errorf("death at call %d (after: %t): timeout %+v", dieAt, after, r.Timeout)
				}
				if w.open() != 0 {
					t.Errorf("death at call %d (after: %t): %d entries are left on the index", dieAt, after, w.open())
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

// The next tick publishes what was recorded, but not published, of a drop that goes on waiting.
func TestTickTellsOfWaitingDrops(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after: %t", after), func(t *testing.T) {
			t.Parallel()
			for dieAt := 1; ; dieAt++ {
				w := newWorld(t)
				f := w.put("hello/job.yaml", []byte(spec))
				w.wake(f)
				w.pass(16 * time.Minute)
				w.mu.Lock()
				w.call, w.dieAt, w.after = 0, dieAt, after
				w.mu.Unlock()
				_ = w.watch.Tick(t.Context())
				over := w.call < dieAt
				w.restart()
				w.pass(time.Minute)
				w.tick()
				if got := w.topic.of(job.AttemptKey(f)); got != "drop.incomplete" {
					t.Errorf("death at call %d (after: %t): events %q", dieAt, after, got)
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

// Three ticks at once do what one does.
func TestTicksOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.runs(limited)
	w.pass(26 * time.Minute)
	done := make(chan error, 3)
	for range 3 {
		go func() { done <- w.watch.Tick(t.Context()) }()
	}
	for range 3 {
		if err := <-done; err != nil && !errors.Is(err, attempt.ErrStale) {
			t.Error(err)
		}
	}
	w.tick()
	r := w.record(f)
	const want = "drop.accepted job.submitted job.queued job.running job.delayed job.timed_out"
	if got := w.topic.of(r.Attempt); got != want || w.open() != 0 {
		t.Errorf("events %q, want %q; %d open", got, want, w.open())
	}
}

// All storage events are lost: ticks find the drops, and only those.
func TestTickFindsDrops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("old/trainer-0.1.tar.gz", pkg(t, "hello"))
	old := w.put("old/job.yaml", []byte(spec))
	w.pass(time.Minute)
	w.tick() // the installation's first: what is there is old
	w.pass(time.Hour)
	w.tick()
	if ok, err := w.ledger.Has(t.Context(), job.AttemptKey(old)); ok || err != nil {
		t.Errorf("an old drop was run, %v", err)
	}

	w = newWorld(t)
	w.pass(-time.Second) // an object's time is the machine's, and this tick is before it
	w.tick()
	w.pass(time.Second)
	w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello"))
	f := w.put("hello/job.yaml", []byte(spec))
	w.pass(5 * time.Second)
	w.tick()
	if w.open() != 0 {
		t.Error("the drop is looked at before its event had time to come")
	}
	w.pass(15 * time.Second)
	w.tick()
	if r := w.record(f); r.State != job.Submitted {
		t.Errorf("state %s, want submitted", r.State)
	}
	w.backend.finish()
	w.tick()
	if got := w.topic.of(job.AttemptKey(f)); !strings.HasSuffix(got, "job.succeeded") || len(w.backend.specs) != 1 {
		t.Errorf("events %q, %d jobs", got, len(w.backend.specs))
	}
}

// A new package does not run an old job file in its folder, from before the installation; a replay
// does.
func TestOldJobFile(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]time.Duration{"from before the first start": 20 * time.Minute,
		"of three days ago": -100 * time.Hour} {
		w := newWorld(t)
		f := w.put("hello/job.yaml", []byte(spec))
		if err := w.ledger.Begin(t.Context(), w.clock().Add(begin)); err != nil {
			t.Fatal(err)
		}
		w.pass(30 * time.Minute)
		if begin < 0 {
			w.pass(72 * time.Hour)
		}
		p := w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello"))
		w.wake(p)
		if known, err := w.ledger.Has(t.Context(), job.AttemptKey(f)); known || err != nil || w.open() != 0 {
			t.Errorf("%s: it has a record: %t, %v", name, known, err)
		}
		if err := w.submit.Replay(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if r := w.record(f); r.State != job.Submitted {
			t.Errorf("%s: replayed, it is %s: %s", name, r.State, r.Reason)
		}
	}
}

// Before the first tick nobody knows whether a folder is older than the installation. A new
// package in it runs nothing, and its event comes again.
func TestOldJobFileBeforeTheFirstTick(t *testing.T) {
	w := newWorld(t)
	f := w.put("hello/job.yaml", []byte(spec))
	w.pass(30 * time.Minute)
	p := w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello"))
	if err := w.submit.Submit(t.Context(), p); !errors.Is(err, attempt.ErrNoTick) {
		t.Errorf("Submit: %v, want that a tick has to be first", err)
	}
	w.tick() // it notes the first start: now
	w.wake(p)
	if known, err := w.ledger.Has(t.Context(), job.AttemptKey(f)); known || err != nil {
		t.Errorf("it has a record: %t, %v", known, err)
	}
}

// The patience with a replayed drop counts from the replay, even if the process died before it
// wrote the record.
func TestReplayOfAnIncompleteDrop(t *testing.T) {
	t.Parallel()
	for _, dies := range []bool{false, true} {
		w := newWorld(t)
		f := w.put("hello/job.yaml", []byte(spec))
		w.pass(100 * time.Hour)
		if err := w.ledger.Begin(t.Context(), w.clock()); err != nil {
			t.Fatal(err)
		}
		if dies {
			w.storage.Before = func(c storagetest.Call) error {
				if c.Kind == "write" && strings.HasPrefix(c.Name, "attempts/") {
					return errDead
				}
				return nil
			}
		}
		if err := w.submit.Replay(t.Context(), f); (err != nil) != dies {
			t.Fatal(err)
		}
		w.storage.Before = nil
		w.tick()
		if r := w.record(f); r.State != job.Waiting || r.Deadlines.Expires.Before(w.clock().Add(23*time.Hour)) {
			t.Fatalf("%s: %s, expires %s", r.State, r.Reason, r.Deadlines.Expires)
		}
		w.pass(23 * time.Hour)
		w.tick()
		w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello"))
		w.tick()
		if got, want := w.topic.of(job.AttemptKey(f)), "drop.incomplete drop.accepted job.submitted job.queued"; got != want {
			t.Errorf("dies %t: events %q, want %q", dies, got, want)
		}
	}
}

// An attempt whose index entry is gone comes back, and so does one whose entry is older than its
// record.
func TestTickRebuildsTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.runs(limited)
	if err := w.storage.Client.Delete(t.Context(), "state", "open/"+job.AttemptKey(f)); err != nil {
		t.Fatal(err)
	}
	w.tick()
	if w.open() != 1 {
		t.Fatal("a record without its verdict is not on the index")
	}
	w.backend.finish()
	w.tick()
	if r := w.record(f); r.State != job.Succeeded || w.open() != 0 {
		t.Errorf("state %s, %d open", r.State, w.open())
	}

	// A process that was stopped marks an entry of before, late.
	w = newWorld(t)
	f = w.runs(limited)
	before, err := w.ledger.Entry(t.Context(), job.AttemptKey(f))
	if err != nil {
		t.Fatal(err)
	}
	w.backend.finish()
	w.tick()
	before.State, before.Waits = job.Accepted, "paused"
	if err := w.ledger.Mark(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	w.tick()
	if w.open() != 0 {
		t.Error("an attempt with its verdict is back on the index for good")
	}
}

// While a worker publishes what it wrote, a hint, a tick and a second event of the drop come: none
// of them publishes it, too. What they would have done is done by the next of their kind.
func TestEventsArePublishedOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		come func(w *world, f job.Object) error
	}{
		{"a hint", func(w *world, f job.Object) error {
			w.backend.run()
			return w.watch.Refresh(w.t.Context(), w.record(f).Job.ID)
		}},
		{"a tick", func(w *world, _ job.Object) error { return w.watch.Tick(w.t.Context()) }},
		{"a second event", func(w *world, f job.Object) error { return w.submit.Submit(w.t.Context(), f) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
			f := w.put("d/job.yaml", []byte(spec))
			var err error
			w.topic.publishing = func() { err = test.come(w, f) }
			w.wake(f)
			if err != nil && !attempt.Contended(err) {
				t.Errorf("what came meanwhile: %v", err)
			}
			if err := test.come(w, f); err != nil {
				t.Errorf("what came afterwards: %v", err)
			}
			w.backend.finish()
			w.tick()
			if got := w.topic.of(job.AttemptKey(f)); !strings.HasPrefix(got, "drop.accepted job.submitted job.queued ") ||
				!strings.HasSuffix(got, "job.succeeded") || w.topic.repeated != 0 {
				t.Errorf("events %q, %d of them twice", got, w.topic.repeated)
			}
		})
	}
}

// A tick lists the index, and comes to an attempt later. What was published in between is not
// published again.
func TestTickReadsWhatWasPublishedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
	f := w.put("d/job.yaml", []byte(spec))
	w.wake(f)
	w.backend.run()
	hint := func() error { return w.watch.Refresh(t.Context(), w.record(f).Job.ID) }
	w.topic.fail = errors.New("unavailable")
	if err := hint(); err == nil {
		t.Fatal("a failed publish was answered as success")
	}
	w.topic.fail = nil
	w.pass(time.Minute)
	came := false
	w.storage.After = func(c storagetest.Call) error {
		if c.Kind == "read" && c.Bucket == "state" && strings.HasPrefix(c.Name, "attempts/") && !came {
			came = true
			if err := hint(); err != nil {
				t.Error(err)
			}
		}
		return nil
	}
	w.tick()
	if got, want := w.topic.of(job.AttemptKey(f)), "drop.accepted job.submitted job.queued job.running"; got != want ||
		w.topic.repeated != 0 || !came {
		t.Errorf("events %q, %d of them twice, want %q once; a hint came: %t", got, w.topic.repeated, want, came)
	}
}
