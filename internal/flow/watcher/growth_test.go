package watcher_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/testing/budget"
	"github.com/jobdrop/jobdrop/internal/testing/hostile"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// A tick's calls are lists of the index and of the backend by the number of jobs, some for each change, and a few more
// whose number does not grow.
func TestTickBudget(t *testing.T) {
	t.Parallel()
	for _, jobs := range []int{1000, 4000} {
		for _, changed := range []int{0, 100} {
			t.Run(fmt.Sprintf("%d jobs, one of %d changed", jobs, changed), func(t *testing.T) {
				c := newCompany(t, jobs, news{changed: changed})
				w, last := newTicker(t, c, c, func() time.Time { return start.Add(time.Minute) })
				for range 2 { // the first tick of a process reads the epoch, too
					clear(c.calls)
					if err := w.Tick(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				changes := 0
				if changed > 0 {
					changes = jobs / changed
				}
				if last.Changed != changes || last.Open != jobs || !last.Complete {
					t.Fatalf("%+v", *last)
				}
				index, backend, published := c.called("list state/open/"), c.called("list jobs"), c.called("publish")
				rest := c.called("") - index - backend - published
				for _, of := range []struct {
					what      string
					got, most int
				}{
					{"lists of the index", index, jobs / budget.EntriesPerList},
					{"lists of the backend", backend, jobs / budget.JobsPerList},
					{"publishes", published, changes * budget.ChangePublishes},
					{"other calls", rest, changes*budget.ChangeCalls + budget.TickCalls},
				} {
					if of.got > of.most {
						t.Errorf("%d %s, %d are in the budget: %v", of.got, of.what, of.most, c.calls)
					}
				}
			})
		}
	}
}

// The heap of a tick over 100,000 active jobs. What is garbage already counts until it is collected, and that is later
// where something else takes the processors: the least of three ticks counts.
func TestTickMemory(t *testing.T) {
	hostile.Measures(t)
	for _, n := range []news{{changed: 100}, {ended: 100}} {
		least := uint64(math.MaxUint64)
		for range 3 {
			c := newCompany(t, 100_000, n)
			w, last := newTicker(t, c, c, func() time.Time { return start.Add(time.Minute) })
			heap := heapOf(t, func() error { return w.Tick(t.Context()) })
			t.Logf("%+v: %.0f MiB", n, float64(heap)/(1<<20))
			if last.Open != c.jobs || !last.Complete {
				t.Errorf("%+v", *last)
			}
			least = min(least, heap)
		}
		if least > budget.TickHeap {
			t.Errorf("%d MiB on the heap, %d are in the budget", least>>20, budget.TickHeap>>20)
		}
	}
}

// heapOf returns how much more of the heap is in use, at most, while f runs.
func heapOf(t *testing.T, f func() error) uint64 {
	t.Helper()
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop := peakHeap()
	err := f()
	peak := stop()
	if err != nil {
		t.Fatal(err)
	}
	return peak - min(peak, before.HeapAlloc)
}

// waiters is an installation where each drop waits for its package, and no job runs. Like a company's, its objects are
// made on the way.
type waiters struct {
	*company
	drops []waiter // by key
	// took, if set, is how long a call takes.
	took time.Duration
}

// waiter is one of the drops.
type waiter struct {
	key string
	i   int
}

// The names of the template, which stand for those of each drop.
const templateFolder = "teams/forecasting/TEMPLATE/"

const waitingSpec = `trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
  packageUris: [trainer-0.1.tar.gz]
`

func waitingFile(folder string) job.Object {
	return job.Object{Bucket: "inbox", Name: folder + "job.yaml", Generation: 1795424700381000, Size: int64(len(waitingSpec)),
		Created: start}
}

func waitingFolder(i int) string { return fmt.Sprintf("teams/forecasting/%06d/", i) }

func newWaiters(t testing.TB, drops int) *waiters {
	t.Helper()
	w := &waiters{company: &company{calls: map[string]int{}}}
	for i := range drops {
		w.drops = append(w.drops, waiter{job.AttemptKey(waitingFile(waitingFolder(i))), i})
	}
	slices.SortFunc(w.drops, func(a, b waiter) int { return cmp.Compare(a.key, b.key) })
	r := attempt.NewRecord(waitingFile(templateFolder), start)
	r.Attempt = templateAttempt
	r, _, err := attempt.Step(r, attempt.Incomplete{
		Missing: []string{"trainer-0.1.tar.gz"}, ReportAfter: 15 * time.Minute, ExpireAfter: 24 * time.Hour,
	}, start)
	if err != nil {
		t.Fatal(err)
	}
	if w.record, err = json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	records, err := ledger.New(w.company, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := records.Mark(t.Context(), attempt.NewEntry(attempt.Stored{Record: r, Published: r.Sequence})); err != nil {
		t.Fatal(err)
	}
	clear(w.calls)
	return w
}

// call counts a call, and lets its time pass.
func (w *waiters) call(what string) {
	w.count(what)
	time.Sleep(w.took)
}

func (w *waiters) attributes(d waiter, prefix string) job.Attributes {
	o := job.Attributes{Object: job.Object{Bucket: "state", Name: prefix + d.key, Generation: 1, Created: start}}
	if prefix == "open/" {
		o.Metadata = maps.Clone(w.entry)
		o.Metadata["job-file"] = waitingFolder(d.i) + "job.yaml"
		return o
	}
	o.Name += ".json"
	o.Metadata = attempt.Summary{State: job.Waiting, Bucket: "inbox", Dropped: start, Seen: start}.Metadata("")
	o.Metadata["revision"] = "1"
	return o
}

func (w *waiters) ListAfter(
	_ context.Context, bucket, prefix, after string, page func([]job.Attributes) error,
) error {
	var left []waiter
	if bucket == "state" && (prefix == "open/" || prefix == "attempts/") {
		left = w.drops
		key := strings.TrimSuffix(strings.TrimPrefix(after, prefix), ".json")
		if at, found := w.find(key); after != "" && found {
			left = left[at+1:]
		}
	}
	for first := true; first || len(left) > 0; first = false {
		w.call("list " + bucket + "/" + prefix)
		n := min(len(left), pageOfObjects)
		all := make([]job.Attributes, 0, n)
		for _, d := range left[:n] {
			all = append(all, w.attributes(d, prefix))
		}
		left = left[n:]
		if err := page(all); err != nil {
			return err
		}
	}
	return nil
}

func (w *waiters) find(key string) (at int, found bool) {
	return slices.BinarySearchFunc(w.drops, key, func(d waiter, key string) int { return cmp.Compare(d.key, key) })
}

func (w *waiters) Read(_ context.Context, bucket, name string, _, _ int64) ([]byte, int64, error) {
	w.call("read " + bucket)
	switch name {
	case "cursors.json":
		return fmt.Appendf(nil, `{"ticks": 7, "undecided": %d}`, len(w.drops)), 1, nil
	case "epoch":
		return []byte(`{"at": "2026-11-01T00:00:00Z"}`), 1, nil
	}
	at, found := w.find(strings.TrimSuffix(strings.TrimPrefix(name, "attempts/"), ".json"))
	if !found {
		return nil, 0, job.ErrNotFound
	}
	d := w.drops[at]
	return []byte(strings.NewReplacer(templateAttempt, d.key, templateFolder, waitingFolder(d.i)).Replace(string(w.record))),
		1, nil
}

func (w *waiters) Stat(ctx context.Context, bucket, name string) (job.Attributes, error) {
	w.call("stat " + bucket)
	if at, found := w.find(strings.TrimPrefix(name, "open/")); found {
		return w.attributes(w.drops[at], "open/"), nil
	}
	return job.Attributes{}, job.ErrNotFound
}

func (w *waiters) List(_ context.Context, bucket, folder string, _ bool, page func([]job.Attributes) error) error {
	w.call("list folder")
	return page([]job.Attributes{{Object: waitingFile(folder)}})
}

func (w *waiters) Open(context.Context, string, string, int64) (io.ReadCloser, error) {
	w.call("read inbox")
	return io.NopCloser(strings.NewReader(waitingSpec)), nil
}

func (w *waiters) Write(_ context.Context, bucket, _ string, _ []byte, _ string, _ map[string]string,
	_ int64) (int64, error) {
	w.call("write " + bucket)
	return 2, nil
}

func (w *waiters) Publish(context.Context, string, []job.Event) error {
	w.call("publish")
	return nil
}

// 100,000 drops that wait, none of them due, cost a tick their lists, and looks at a hundred of them in turns.
func TestWaitingMemory(t *testing.T) {
	hostile.Measures(t)
	const drops = 100_000
	w := newWaiters(t, drops)
	ticker, last := newTicker(t, w, w.company, func() time.Time { return start.Add(time.Minute) })
	heap := heapOf(t, func() error { return ticker.Tick(t.Context()) })
	t.Logf("%.0f MiB, %v, %+v", float64(heap)/(1<<20), w.calls, *last)
	if heap > budget.WaitingHeap || last.Open != drops || !last.Complete || last.Changed > 0 {
		t.Errorf("%d MiB on the heap, %d are in the budget: %+v", heap>>20, budget.WaitingHeap>>20, *last)
	}
	if n := w.called("list state/open/"); n > drops/budget.EntriesPerList {
		t.Errorf("%d lists of the index", n)
	}
}

// waitingCall is how long a call takes where drops wait: no call of Cloud Storage is slower for long.
const waitingCall = 50 * time.Millisecond

// A tick comes through 100,000 drops that wait in a small part of its time. Where all of them are due at once, it comes
// to as many as it can, keeps its time, and leaves the rest to the next. Time is virtual here.
func TestWaitingBudget(t *testing.T) {
	hostile.Measures(t) // with the race detector it takes a minute
	const drops = 100_000
	tests := []struct {
		name       string
		at         time.Duration // since the drops came
		visited    int           // at least
		took       time.Duration // at most
		everything bool
	}{
		{"none is due", time.Minute, drops, time.Minute, true},
		{"all are due", 16 * time.Minute, budget.WaitingPerTick, 5 * time.Minute, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWaiters(t, drops)
				w.took = waitingCall
				began := time.Now()
				ticker, last := newTicker(t, w, w.company, func() time.Time { return start.Add(test.at + time.Since(began)) })
				if err := ticker.Tick(t.Context()); err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				ticks := (drops + last.Open - 1) / last.Open
				t.Logf("%d of %d drops in %s: %d ticks; %v", last.Open, drops, took, ticks, w.calls)
				if last.Open < test.visited || took > test.took || last.Complete != test.everything {
					t.Errorf("%d of %d drops in %s, want %d at least in %s: %+v", last.Open, drops, took, test.visited,
						test.took, *last)
				}
			})
		})
	}
}
