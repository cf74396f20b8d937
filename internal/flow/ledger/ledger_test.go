package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func jobFile(folder string, generation int64) job.Object {
	return job.Object{Bucket: "inbox", Name: folder + "job.yaml", Generation: generation, Size: 1, Created: now}
}

// start returns a ledger, and the client under it, whose calls can be made to fail.
func start(t *testing.T) (*ledger.Ledger, *storagetest.Faults) {
	t.Helper()
	client, _ := storagetest.New(t, "state")
	faults := &storagetest.Faults{Client: client}
	l, err := ledger.New(faults, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l, faults
}

func apply(t *testing.T, l *ledger.Ledger, s attempt.Stored, o attempt.Observation) attempt.Stored {
	t.Helper()
	after, applied, err := l.Apply(t.Context(), s, o, now)
	if err != nil || !applied {
		t.Fatalf("Apply(%T): applied %t, %v", o, applied, err)
	}
	return after
}

var accepted = attempt.Accept{
	Spec: job.Spec{JobID: "j", TrainingInput: &job.TrainingInput{}}, Receipt: job.Receipt{Content: "c"},
	Claim: attempt.Claim{Owner: "w", Until: now.Add(time.Minute), Nonce: "n"},
}

// exceptOwn compares records by what is stored.
var exceptOwn = cmpopts.IgnoreFields(attempt.Stored{}, "Own")

func TestApplyAndGet(t *testing.T) {
	l, _ := start(t)
	record := attempt.NewRecord(jobFile("a/", 7), now)
	if _, err := l.Get(t.Context(), record.Attempt); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("before: %v, want ErrNotFound", err)
	}
	s := apply(t, l, attempt.Stored{Record: record}, accepted)
	got, err := l.Get(t.Context(), record.Attempt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got, exceptOwn); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}
	// What is known to be published leaves the outbox with the next write.
	got.Published = 1
	got = apply(t, l, got, attempt.Seen(attempt.BackendJob{JobID: "j", State: job.BackendQueued}, now))
	if len(got.Outbox) != 2 || got.Outbox[0].Type != job.JobSubmitted || got.Sequence != 3 {
		t.Errorf("outbox holds %d events, sequence %d", len(got.Outbox), got.Sequence)
	}
	if _, applied, err := l.Apply(t.Context(), got, attempt.Seen(attempt.BackendJob{JobID: "j",
		State: job.BackendQueued}, now),
		now); applied || err != nil {
		t.Errorf("the same look again: applied %t, %v", applied, err)
	}
}

// If many workers decide the same attempt, one of them succeeds, and all see its decision.
func TestApplyConcurrently(t *testing.T) {
	l, _ := start(t)
	record := attempt.NewRecord(jobFile("a/", 7), now)
	const workers = 8
	results := make([]attempt.Stored, workers)
	won := make([]bool, workers)
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			o := accepted
			o.Claim.Nonce = fmt.Sprint(i)
			var err error
			if results[i], won[i], err = l.Apply(t.Context(), attempt.Stored{Record: record}, o, now); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	winners := 0
	for i := range workers {
		if results[i].Own != won[i] {
			t.Errorf("worker %d won: %t, and has its own record: %t", i, won[i], results[i].Own)
		}
		if won[i] {
			winners++
			if results[i].Creating.Nonce != fmt.Sprint(i) {
				t.Errorf("worker %d won with the claim of %s", i, results[i].Creating.Nonce)
			}
		}
		if diff := cmp.Diff(results[0], results[i], exceptOwn); diff != "" {
			t.Errorf("workers see different records:\n%s", diff)
		}
	}
	if winners != 1 {
		t.Errorf("%d workers won, want 1", winners)
	}
}

// A worker whose write was made again after a lost answer knows it as its own by its mark.
func TestApplyKnowsItsOwnWrite(t *testing.T) {
	l, faults := start(t)
	faults.After = func(c storagetest.Call) error {
		if c.Kind == "write" {
			faults.After = nil
			return fmt.Errorf("repeated by the client: %w", attempt.ErrStale)
		}
		return nil
	}
	s := apply(t, l, attempt.Stored{Record: attempt.NewRecord(jobFile("a/", 7), now)}, accepted)
	if s.Sequence != 1 || s.Generation == 0 {
		t.Errorf("sequence %d, generation %d", s.Sequence, s.Generation)
	}
}

// A failed write decides nothing. An observation that lost against another's write is applied to
// that.
func TestApplyAfterFailures(t *testing.T) {
	l, faults := start(t)
	s := apply(t, l, attempt.Stored{Record: attempt.NewRecord(jobFile("a/", 7), now)}, accepted)
	boom := errors.New("boom")
	faults.Before = func(storagetest.Call) error { return boom }
	if _, applied, err := l.Apply(t.Context(), s, attempt.Seen(attempt.BackendJob{State: job.BackendQueued}, now),
		now); applied || !errors.Is(err, boom) {
		t.Errorf("applied %t, %v", applied, err)
	}
	faults.Before = nil
	newer := apply(t, l, s, attempt.Seen(attempt.BackendJob{State: job.BackendRunning, Started: now}, now))
	late, applied, err := l.Apply(t.Context(), s,
		attempt.Seen(attempt.BackendJob{State: job.BackendSucceeded, Started: now, Ended: now}, now), now)
	if err != nil || !applied || late.State != job.Succeeded || late.Revision != newer.Revision+1 {
		t.Errorf("late: applied %t, state %s, revision %d, %v", applied, late.State, late.Revision, err)
	}
}

func TestEntries(t *testing.T) {
	l, _ := start(t)
	ctx := t.Context()
	s := apply(t, l, attempt.Stored{Record: attempt.NewRecord(jobFile("학습 a/", 7), now)}, accepted)
	e := attempt.NewEntry(s)
	opened := attempt.Stored{Record: attempt.NewRecord(jobFile("학습 a/", 7), now)}
	if made, err := l.Open(ctx, attempt.NewEntry(opened)); err != nil || !made {
		t.Fatal(err)
	}
	e.Status, e.Replayed, e.Absent, e.Resource = [2]int64{4, 5}, true, true, "projects/p/jobs/j"
	if err := l.Mark(ctx, e); err != nil {
		t.Fatal(err)
	}
	// Opened again, the entry stays as it was marked.
	if made, err := l.Open(ctx, attempt.Entry{Attempt: e.Attempt, Dropped: e.Dropped}); err != nil || made {
		t.Fatal(err)
	}
	list := func() (all []attempt.Entry) {
		t.Helper()
		if err := l.Entries(ctx, "", func(page []attempt.Entry) error {
			all = append(all, page...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	e.Opened = attempt.Opened{Parts: "0123456789abcdef", By: "one"}
	if err := l.Mark(ctx, e); err != nil {
		t.Fatal(err)
	}
	written := cmpopts.IgnoreFields(attempt.Entry{}, "Written") // the service's clock says it
	if diff := cmp.Diff([]attempt.Entry{e}, list(), written); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	one, err := l.Entry(ctx, e.Attempt)
	if diff := cmp.Diff(e, one, written); diff != "" || err != nil || one.Written.IsZero() {
		t.Errorf("entry (-want +got), %v:\n%s", err, diff)
	}
	for range 2 { // closed twice, as by two workers
		if err := l.Close(ctx, s.Record); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Entry(ctx, e.Attempt); !errors.Is(err, job.ErrNotFound) || len(list()) != 0 {
		t.Errorf("after close: %v, %d entries", err, len(list()))
	}
}

func TestFolderNote(t *testing.T) {
	l, _ := start(t)
	ctx := t.Context()
	empty, err := l.FolderNote(ctx, "inbox", "a/")
	if err != nil || empty.Generation != 0 || empty.Newest.Attempt != "" {
		t.Fatalf("a folder of which nothing is kept: %+v, %v", empty, err)
	}
	f, p := jobFile("a/", 7), job.Object{Bucket: "inbox", Name: "a/trainer.tar.gz", Generation: 5}
	d := job.Assemble("inbox", "a/", []job.Object{f, p})
	first := empty.Enter(d, f, d.Packages)
	if err := l.SwapFolderNote(ctx, "inbox", "a/", first); err != nil {
		t.Fatal(err)
	}
	got, err := l.FolderNote(ctx, "inbox", "a/")
	if err != nil || !got.Equal(first) || got.Generation == 0 {
		t.Errorf("read back %+v, %v; want %+v", got, err, first)
	}
	// A swap by an older read fails, and so does one after the next swap.
	if err := l.SwapFolderNote(ctx, "inbox", "a/", empty.Enter(d, f, nil)); !errors.Is(err, attempt.ErrStale) {
		t.Errorf("a swap of what was not there: %v", err)
	}
	if err := l.SwapFolderNote(ctx, "inbox", "a/", got.Enter(d, jobFile("a/", 9), nil)); err != nil {
		t.Error(err)
	}
	if err := l.SwapFolderNote(ctx, "inbox", "a/", got); !errors.Is(err, attempt.ErrStale) {
		t.Errorf("a swap of what is no longer there: %v", err)
	}
	if other, err := l.FolderNote(ctx, "inbox", "b/"); err != nil || other.Generation != 0 {
		t.Errorf("another folder: %+v, %v", other, err)
	}
}

// The note of a folder with as many packages as a drop can have, and with as many contents as a note
// keeps, is readable, and so is one of an
// earlier form.
func TestLargestFolderNote(t *testing.T) {
	l, store := start(t)
	ctx := t.Context()
	f := jobFile("a/", math.MaxInt64)
	d := job.Drop{Bucket: "inbox", Folder: "a/"}
	for i := range inspect.PartLimit {
		d.Packages = append(d.Packages, job.Object{Bucket: "inbox", Name: fmt.Sprintf("a/%0250d.whl", i),
			Generation: math.MaxInt64 - 1})
	}
	largest := attempt.FolderNote{}.Enter(d, f, d.Packages)
	for i := range int64(2000) { // it keeps fewer
		largest = largest.EnterContent(jobFile("a/", math.MaxInt64-i), job.FolderKey("inbox", "a/"), nil, nil)
	}
	if err := l.SwapFolderNote(ctx, "inbox", "a/", largest); err != nil {
		t.Fatal(err)
	}
	n, err := l.FolderNote(ctx, "inbox", "a/")
	if decided := n.Decided(jobFile("a/", 1), d.Packages); err != nil || len(decided) != inspect.PartLimit {
		t.Errorf("%d packages, %v", len(decided), err)
	}
	old := `{"newest":{"attempt":"x-5","generation":"5","created":"2026-11-22T12:00:00Z"},` +
		`"before":{"attempt":"","generation":"0","created":"0001-01-01T00:00:00Z"}}`
	if _, err := store.Write(ctx, "state", "folders/"+job.FolderKey("inbox", "b/")+".json", []byte(old),
		"application/json", nil, 0); err != nil {
		t.Fatal(err)
	}
	if n, err := l.FolderNote(ctx, "inbox", "b/"); err != nil || !n.Supersedes(jobFile("b/", 4)) ||
		n.Supersedes(jobFile("b/", 5)) {
		t.Errorf("a note of an earlier form: %+v, %v", n, err)
	}
}

func TestClaimID(t *testing.T) {
	l, _ := start(t)
	ctx := t.Context()
	one, two, three := attempt.Owner{Attempt: "one"}, attempt.Owner{Attempt: "two"}, attempt.Owner{Attempt: "three"}
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
	if err := l.TakeID(ctx, "id", owner, three); !errors.Is(err, attempt.ErrStale) {
		t.Errorf("three takes it over from one: %v, want ErrStale", err)
	}
}

// A job that the backend gave a name of its own is found by that, also if the answer to a write was
// lost: the record has no such name without its note.
func TestNamed(t *testing.T) {
	l, faults := start(t)
	ctx := t.Context()
	lost := func(kind string) func(c storagetest.Call) error {
		return func(c storagetest.Call) error {
			if !strings.HasPrefix(c.Name, kind) {
				return nil
			}
			faults.After = nil
			return fmt.Errorf("repeated by the client: %w", attempt.ErrStale)
		}
	}
	for i, resource := range []string{
		"projects/1/locations/us-central1/customJobs/77", "projects/1/locations/us-central1/hyperparameterTuningJobs/78",
		"projects/p/jobs/j", "projects/1/locations/us-central1/customJobs/79", "projects/1/locations/us-central1/customJobs/80",
	} {
		s := apply(t, l, attempt.Stored{Record: attempt.NewRecord(jobFile("a/", int64(i+1)), now)}, accepted)
		seen := attempt.Seen(attempt.BackendJob{JobID: "j", ResourceName: resource, State: job.BackendQueued}, now)
		name := path.Base(resource)
		switch name {
		case "78":
			faults.After = lost("attempts/")
		case "79":
			faults.After = lost("names/")
		case "80":
			boom := errors.New("boom")
			faults.Before = func(c storagetest.Call) error {
				if strings.HasPrefix(c.Name, "names/") {
					return boom
				}
				return nil
			}
			if _, applied, err := l.Apply(ctx, s, seen, now); applied || !errors.Is(err, boom) {
				t.Errorf("a note that can't be written: applied %t, %v", applied, err)
			}
			faults.Before = nil
		}
		s = apply(t, l, s, seen)
		running := attempt.BackendJob{JobID: "j", ResourceName: resource, State: job.BackendRunning}
		apply(t, l, s, attempt.Seen(running, now))
		owner, err := l.Named(ctx, name)
		if kept := name != "j"; kept && (err != nil || owner.Attempt != s.Attempt) || !kept && !errors.Is(err, job.ErrNotFound) {
			t.Errorf("%s: %+v, %v", resource, owner, err)
		}
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

// A record under another attempt's name is refused.
func TestGetRefusesAnotherAttemptsRecord(t *testing.T) {
	l, faults := start(t)
	s := apply(t, l, attempt.Stored{Record: attempt.NewRecord(jobFile("a/", 7), now)}, accepted)
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

// A damaged note of the cursors is reported, and can be replaced.
func TestCursorsHeal(t *testing.T) {
	for name, damaged := range map[string]string{
		"no JSON": "{", "half decoded": `{"ticks": 7, "undecided": "many"}`,
		"far too large": `{"ticks": 7}` + strings.Repeat(" ", 1<<20),
	} {
		l, faults := start(t)
		if _, err := faults.Write(
			t.Context(), "state", "cursors.json", []byte(damaged), "application/json", nil, 0,
		); err != nil {
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

// A record whose outbox an earlier revision filled can be written and read back.
func TestApplyWritesNothingTooLarge(t *testing.T) {
	l, _ := start(t)
	s := apply(t, l, attempt.Stored{Record: attempt.NewRecord(jobFile("a/", 7), now)}, accepted)
	for range 900 {
		s.Outbox[0].Body.Drop.Arrived = append(s.Outbox[0].Body.Drop.Arrived,
			job.Object{Name: "a/b.whl", CorrelationID: strings.Repeat("<", 8<<10)})
	}
	s = apply(t, l, s, attempt.Seen(attempt.BackendJob{JobID: "j", State: job.BackendRunning, Created: now,
		Started: now}, now))
	got, err := l.Get(t.Context(), s.Attempt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got, exceptOwn); diff != "" {
		t.Errorf("read back (-written +read):\n%s", diff)
	}
	if len(got.Outbox) != 3 || !got.Outbox[0].Body.Truncated {
		t.Errorf("%d events, the first truncated %t", len(got.Outbox), got.Outbox[0].Body.Truncated)
	}
}

// The largest note of the cursors can be read back.
func TestLargestCursors(t *testing.T) {
	l, _ := start(t)
	name := strings.Repeat("\x01", 1024)
	c := attempt.Cursor{After: name, Began: now, Before: now, Last: now, Failed: true}
	jobs := c
	jobs.After = strings.Repeat("a", 16<<10) // see package watcher
	want := attempt.Cursors{Open: c, Records: c, Inbox: c, Jobs: jobs, Ticks: 1 << 62, Undecided: 1 << 62,
		Submitted: 1 << 62}
	if err := l.MoveCursors(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := l.Cursors(t.Context())
	if want.Generation = got.Generation; err != nil || got != want {
		t.Errorf("%v, read back as %+v", err, got)
	}
}

// A job that nobody follows is told of once: of two jobs of one ID each is another.
func TestStrangers(t *testing.T) {
	l, faults := start(t)
	known := func(id, resource string, want bool) {
		t.Helper()
		if got, err := l.Stranger(t.Context(), id, resource); err != nil || got != want {
			t.Errorf("%s %s is known: %t, %v", id, resource, got, err)
		}
	}
	known("j", "projects/1/locations/us-central1/customJobs/1", false)
	if err := l.KeepStranger(t.Context(), "j", "projects/1/locations/us-central1/customJobs/1",
		job.JobInfo{ID: "j"}); err != nil {
		t.Fatal(err)
	}
	known("j", "projects/1/locations/us-central1/customJobs/1", true)
	known("j", "projects/1/locations/us-central1/customJobs/2", false)
	known("j", "", false)
	known("", "jprojects/1/locations/us-central1/customJobs/1", false)
	lost := errors.New("connection reset")
	faults.Before = func(storagetest.Call) error { return lost }
	if _, err := l.Stranger(t.Context(), "j", ""); !errors.Is(err, lost) {
		t.Errorf("without an answer: %v", err)
	}
}

// An attempt that has a record is not on the index unless it is in the index by time: who finds it on the one does
// not look at the other.
func TestRestoreByTimeFirst(t *testing.T) {
	client, _ := storagetest.New(t, "state")
	faults := &storagetest.Faults{Client: client, Before: func(c storagetest.Call) error {
		if strings.HasPrefix(c.Name, "recent/") {
			return errors.New("503")
		}
		return nil
	}}
	l, err := ledger.New(faults, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := attempt.NewEntry(attempt.Stored{Record: attempt.NewRecord(jobFile("a/", 7), now)})
	if err := l.Restore(t.Context(), e); err == nil {
		t.Error("success, and the attempt is not in the index by time")
	}
	if _, err := l.Entry(t.Context(), e.Attempt); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("it is on the index: %v", err)
	}
	faults.Before = nil
	for range 2 { // also if it is there
		if err := l.Restore(t.Context(), e); err != nil {
			t.Error(err)
		}
	}
	if _, err := l.Entry(t.Context(), e.Attempt); err != nil {
		t.Error(err)
	}
}
