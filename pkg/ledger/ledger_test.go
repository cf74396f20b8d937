package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/ledger"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func jobFile(folder string, generation int64) job.Object {
	return job.Object{Bucket: "inbox", Name: folder + "job.yaml", Generation: generation, Size: 1, Created: now}
}

// start gives a ledger, and the client under it whose calls can be made to fail.
func start(t *testing.T) (*ledger.Ledger, *storagetest.Faults) {
	t.Helper()
	client, _ := storagetest.New(t, "state")
	faults := &storagetest.Faults{Client: client}
	l, err := ledger.New(faults, "state")
	if err != nil {
		t.Fatal(err)
	}
	return l, faults
}

func apply(t *testing.T, l *ledger.Ledger, s job.Stored, o job.Observation) job.Stored {
	t.Helper()
	after, applied, err := l.Apply(t.Context(), s, o, now)
	if err != nil || !applied {
		t.Fatalf("Apply(%T): applied %t, %v", o, applied, err)
	}
	return after
}

var accepted = job.Accept{
	Spec: job.Spec{JobID: "j", TrainingInput: &job.TrainingInput{}}, Receipt: job.Receipt{Content: "c"},
	Claim: job.Claim{Owner: "w", Until: now.Add(time.Minute), Nonce: "n"},
}

func TestApplyAndGet(t *testing.T) {
	l, _ := start(t)
	record := job.NewRecord(jobFile("a/", 7), now)
	if _, err := l.Get(t.Context(), record.Attempt); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("before: %v, want ErrNotFound", err)
	}
	s := apply(t, l, job.Stored{Record: record}, accepted)
	got, err := l.Get(t.Context(), record.Attempt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}
	// What is known to be published leaves the outbox with the next write.
	got.Published = 1
	got = apply(t, l, got, job.Look{JobID: "j", State: job.TrainerQueued})
	if len(got.Outbox) != 2 || got.Outbox[0].Type != job.JobSubmitted || got.Sequence != 3 {
		t.Errorf("outbox holds %d events, sequence %d", len(got.Outbox), got.Sequence)
	}
	if _, applied, err := l.Apply(t.Context(), got, job.Look{JobID: "j", State: job.TrainerQueued}, now); applied || err != nil {
		t.Errorf("the same look again: applied %t, %v", applied, err)
	}
}

// Of many workers that decide the same attempt one is heard, and all see what it
// decided.
func TestApplyConcurrently(t *testing.T) {
	l, _ := start(t)
	record := job.NewRecord(jobFile("a/", 7), now)
	const workers = 8
	results := make([]job.Stored, workers)
	won := make([]bool, workers)
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			o := accepted
			o.Claim.Nonce = fmt.Sprint(i)
			var err error
			if results[i], won[i], err = l.Apply(t.Context(), job.Stored{Record: record}, o, now); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	winners := 0
	for i := range workers {
		if won[i] {
			winners++
			if results[i].Creating.Nonce != fmt.Sprint(i) {
				t.Errorf("worker %d won with the claim of %s", i, results[i].Creating.Nonce)
			}
		}
		if diff := cmp.Diff(results[0], results[i]); diff != "" {
			t.Errorf("workers see different records:\n%s", diff)
		}
	}
	if winners != 1 {
		t.Errorf("%d workers won, want 1", winners)
	}
}

// A write whose answer was lost, and that the client made again, is known as
// one's own by its mark.
func TestApplyKnowsItsOwnWrite(t *testing.T) {
	l, faults := start(t)
	faults.After = func(c storagetest.Call) error {
		if c.Kind == "write" {
			faults.After = nil
			return fmt.Errorf("repeated by the client: %w", job.ErrStale)
		}
		return nil
	}
	s := apply(t, l, job.Stored{Record: job.NewRecord(jobFile("a/", 7), now)}, accepted)
	if s.Sequence != 1 || s.Generation == 0 {
		t.Errorf("sequence %d, generation %d", s.Sequence, s.Generation)
	}
}

// A failed write is no decision, and an observation that lost against another's
// write is taken into what stands there.
func TestApplyAfterFailures(t *testing.T) {
	l, faults := start(t)
	s := apply(t, l, job.Stored{Record: job.NewRecord(jobFile("a/", 7), now)}, accepted)
	boom := errors.New("boom")
	faults.Before = func(storagetest.Call) error { return boom }
	if _, applied, err := l.Apply(t.Context(), s, job.Look{State: job.TrainerQueued}, now); applied || !errors.Is(err, boom) {
		t.Errorf("applied %t, %v", applied, err)
	}
	faults.Before = nil
	newer := apply(t, l, s, job.Look{State: job.TrainerRunning, Started: now})
	late, applied, err := l.Apply(t.Context(), s, job.Look{State: job.TrainerSucceeded, Started: now, Ended: now}, now)
	if err != nil || !applied || late.State != job.Succeeded || late.Revision != newer.Revision+1 {
		t.Errorf("late: applied %t, state %s, revision %d, %v", applied, late.State, late.Revision, err)
	}
}

func TestEntries(t *testing.T) {
	l, _ := start(t)
	ctx := t.Context()
	s := apply(t, l, job.Stored{Record: job.NewRecord(jobFile("학습 a/", 7), now)}, accepted)
	e := job.NewEntry(s)
	if err := l.Open(ctx, job.NewEntry(job.Stored{Record: job.NewRecord(jobFile("학습 a/", 7), now)})); err != nil {
		t.Fatal(err)
	}
	e.Status, e.Replayed, e.Absent, e.Resource = [2]int64{4, 5}, true, true, "projects/p/jobs/j"
	if err := l.Mark(ctx, e); err != nil {
		t.Fatal(err)
	}
	// Opened again, the entry stays as it was marked.
	if err := l.Open(ctx, job.Entry{Attempt: e.Attempt}); err != nil {
		t.Fatal(err)
	}
	list := func() (all []job.Entry) {
		t.Helper()
		if err := l.Entries(ctx, "", func(page []job.Entry) error { all = append(all, page...); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if diff := cmp.Diff([]job.Entry{e}, list()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	one, err := l.Entry(ctx, e.Attempt)
	if diff := cmp.Diff(e, one); diff != "" || err != nil {
		t.Errorf("entry (-want +got), %v:\n%s", err, diff)
	}
	for range 2 { // closed twice, as by two workers
		if err := l.Close(ctx, e.Attempt); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Entry(ctx, e.Attempt); !errors.Is(err, job.ErrNotFound) || len(list()) != 0 {
		t.Errorf("after close: %v, %d entries", err, len(list()))
	}
}

func TestSucceed(t *testing.T) {
	l, _ := start(t)
	succeed := func(generation int64) (job.Seen, bool) {
		t.Helper()
		before, superseded, err := l.Succeed(t.Context(), jobFile("a/", generation))
		if err != nil {
			t.Fatal(err)
		}
		return before, superseded
	}
	steps := []struct {
		generation, before int64
		superseded         bool
	}{
		{7, 0, false}, {7, 0, false}, // the first, and its redelivery
		{9, 7, false}, {9, 7, false},
		{7, 9, true}, // an old event, late
		{12, 9, false},
	}
	for i, want := range steps {
		before, superseded := succeed(want.generation)
		if before.Generation != want.before || superseded != want.superseded {
			t.Errorf("step %d: before %d, superseded %t; want %d, %t", i, before.Generation, superseded, want.before, want.superseded)
		}
	}
	if before, _, err := l.Succeed(t.Context(), jobFile("b/", 1)); before.Attempt != "" || err != nil {
		t.Errorf("another folder knows of %+v, %v", before, err)
	}
}

func TestClaimID(t *testing.T) {
	l, _ := start(t)
	ctx := t.Context()
	one, two, three := job.Owner{Attempt: "one"}, job.Owner{Attempt: "two"}, job.Owner{Attempt: "three"}
	for range 2 {
		if _, claimed, err := l.ClaimID(ctx, "id", one); !claimed || err != nil {
			t.Errorf("one: claimed %t, %v", claimed, err)
		}
	}
	owner, claimed, err := l.ClaimID(ctx, "id", two)
	if claimed || err != nil || owner.Attempt != "one" {
		t.Fatalf("two: claimed %t from %+v, %v", claimed, owner, err)
	}
	if err := l.TakeID(ctx, "id", owner, two); err != nil {
		t.Errorf("two takes it over: %v", err)
	}
	if err := l.TakeID(ctx, "id", owner, three); !errors.Is(err, job.ErrStale) {
		t.Errorf("three takes it over from one: %v, want ErrStale", err)
	}
}

func TestPark(t *testing.T) {
	l, faults := start(t)
	if err := l.Park(t.Context(), "//source", "id 1", map[string]string{"data": "x"}, errors.New("no JSON")); err != nil {
		t.Fatal(err)
	}
	calls := faults.Calls()
	data, _, err := faults.Read(context.Background(), "state", calls[0].Name, 0, 1<<20)
	if err != nil || !strings.Contains(string(data), "no JSON") || !strings.Contains(string(data), "id 1") {
		t.Errorf("parked %s, %v", data, err)
	}
}

// A record that stands under another attempt's name is not believed.
func TestGetRefusesAnotherAttemptsRecord(t *testing.T) {
	l, faults := start(t)
	s := apply(t, l, job.Stored{Record: job.NewRecord(jobFile("a/", 7), now)}, accepted)
	data, _, err := faults.Read(t.Context(), "state", "attempts/"+s.Attempt+".json", 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := faults.Write(t.Context(), "state", "attempts/other.json", data, "application/json", nil, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Get(t.Context(), "other"); err == nil {
		t.Errorf("read the record of %s as another's", got.Attempt)
	}
}

// A note of the cursors that is damaged is told of, and can be written anew.
func TestCursorsHeal(t *testing.T) {
	for name, damaged := range map[string]string{
		"no JSON": "{", "half decoded": `{"ticks": 7, "undecided": "many"}`, "far too large": `{"ticks": 7}` + strings.Repeat(" ", 1<<20),
	} {
		l, faults := start(t)
		if _, err := faults.Write(t.Context(), "state", "cursors.json", []byte(damaged), "application/json", nil, 0); err != nil {
			t.Fatal(err)
		}
		c, err := l.Cursors(t.Context())
		if err == nil || c.Generation == 0 || c.Ticks != 0 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		c.Ticks = 1
		if err := l.MoveCursors(t.Context(), c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c, err = l.Cursors(t.Context()); err != nil || c.Ticks != 1 {
			t.Errorf("%s: then %+v, %v", name, c, err)
		}
	}
}
