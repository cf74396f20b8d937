package watcher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/flow/relay"
	"github.com/jobdrop/jobdrop/internal/flow/submitter"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/internal/testing/budget"
	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// company is an installation with many active jobs. It stores none of them: it makes what is
// listed or read on the way, so that the memory in use is the tick's. It counts the remote calls.
type company struct {
	news
	jobs   int
	record []byte
	entry  map[string]string

	mu    sync.Mutex
	calls map[string]int
}

// news is what the index does not know yet of a company's jobs.
type news struct {
	// Of the jobs that the index has queued, every changed-th runs by now, and every ended-th has
	// succeeded; 0 means none. The first few attempts, as many as queued says, wait, each in its
	// folder: one is paused, the others wait for a limit.
	changed, ended, queued int
	// written reports that all records were written lately, so that the index by time may lack any of them.
	written bool
}

const (
	templateID = "TEMPLATE_ID"
	generation = "1795424700381000"
)

var templateAttempt = strings.Repeat("f", 40) + "-" + generation

func attemptOf(i int) string { return fmt.Sprintf("%040d-%s", i, generation) }
func idOf(i int) string      { return fmt.Sprintf("census_20261123_090500_%012d", i) }

func newCompany(b testing.TB, jobs int, n news) *company {
	b.Helper()
	c := &company{news: n, jobs: jobs, calls: map[string]int{}}
	r := attempt.NewRecord(job.Object{Bucket: "inbox", Name: "teams/forecasting/census/job.yaml",
		Generation: 1795424700381000, Created: start}, start)
	r.Attempt = templateAttempt
	spec := job.Spec{JobID: templateID, TrainingInput: &job.TrainingInput{Region: "us-central1", ScaleTier: "BASIC",
		PythonModule: "trainer.task"}}
	queued := attempt.BackendJob{JobID: templateID, ResourceName: "projects/acme/jobs/" + templateID,
		State:   job.BackendQueued,
		Created: start}
	for _, o := range []attempt.Observation{attempt.Accept{Spec: spec}, attempt.Seen(queued, start)} {
		var err error
		if r, _, err = attempt.Step(r, o, start); err != nil {
			b.Fatal(err)
		}
	}
	var err error
	if c.record, err = json.Marshal(r.TrimOutbox(r.Sequence)); err != nil {
		b.Fatal(err)
	}
	records, err := ledger.New(c, "state", ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := records.Mark(b.Context(), attempt.NewEntry(attempt.Stored{Record: r,
		Published: r.Sequence})); err != nil { // kept as the template
		b.Fatal(err)
	}
	c.calls = map[string]int{}
	return c
}

func (c *company) count(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[call]++
}

const pageOfObjects = 1000

func (c *company) ListAfter(_ context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error {
	total := c.jobs
	if bucket == "inbox" || prefix == "requests/" {
		total = 0 // what lies there does not depend on the number of jobs
	}
	first := 0
	if after != "" {
		if _, err := fmt.Sscanf(strings.TrimPrefix(after, prefix), "%040d", &first); err != nil {
			return err
		}
		first++
	}
	for begin := first; begin == first || begin < total; begin += pageOfObjects {
		c.count("list " + bucket + "/" + prefix)
		var all []job.Attributes
		for i := begin; i < min(begin+pageOfObjects, total); i++ {
			o := job.Attributes{Object: job.Object{Bucket: bucket, Name: prefix + attemptOf(i), Created: start}}
			if prefix == "open/" {
				o.Metadata = maps.Clone(c.entry)
				o.Metadata["job-id"], o.Metadata["resource"] = idOf(i), "projects/acme/jobs/"+idOf(i)
				o.Metadata["job-file"] = fmt.Sprintf("teams/forecasting/%d/job.yaml", i)
				if i < c.queued {
					o.Metadata["state"], o.Metadata["waits"] = "accepted", "waiting: 9 of 9 jobs are active"
				}
				if i < c.queued && i == 0 {
					o.Metadata["waits"], o.Metadata["job-file"] = "waiting: paused by the operator", "paused/job.yaml"
				}
			} else {
				o.Name += ".json"
				o.Metadata = attempt.Summary{State: job.Queued, Bucket: "inbox", Dropped: start, Seen: start}.Metadata("")
				o.Metadata["revision"] = "2"
				if !c.written {
					o.Created = start.Add(-72 * time.Hour)
				}
			}
			all = append(all, o)
		}
		if err := page(all); err != nil {
			return err
		}
	}
	return nil
}

func (c *company) Read(_ context.Context, bucket, name string, _, _ int64) ([]byte, int64, error) {
	c.count("read " + bucket)
	switch name {
	case "cursors.json", "turns.json":
		return nil, 0, job.ErrNotFound
	case "epoch":
		return []byte(`{"at": "2026-11-01T00:00:00Z"}`), 1, nil
	}
	var i int
	if _, err := fmt.Sscanf(strings.TrimPrefix(name, "attempts/"), "%040d", &i); err != nil {
		return nil, 0, err
	}
	data := bytes.ReplaceAll(c.record, []byte(templateAttempt), []byte(attemptOf(i)))
	return bytes.ReplaceAll(data, []byte(templateID), []byte(idOf(i))), 1, nil
}

func (c *company) Write(_ context.Context, bucket, name string, _ []byte, _ string, metadata map[string]string,
	_ int64) (int64, error) {
	c.count("write " + bucket)
	if name == "open/"+templateAttempt {
		c.entry = metadata
	}
	return 2, nil
}

func (c *company) StatAt(ctx context.Context, bucket, name string, _ int64) (job.Attributes, error) {
	return c.Stat(ctx, bucket, name)
}

func (c *company) Stat(_ context.Context, bucket, _ string) (job.Attributes, error) {
	c.count("stat " + bucket)
	return job.Attributes{}, job.ErrNotFound
}

func (c *company) Delete(_ context.Context, bucket, _ string) error {
	c.count("delete " + bucket)
	return nil
}

func (c *company) DeleteAt(ctx context.Context, bucket, name string, _ int64) error {
	return c.Delete(ctx, bucket, name)
}

func (c *company) Publish(context.Context, string, []job.Event) error {
	c.count("publish")
	return nil
}

// manyJobs is the company's backend.
type manyJobs struct{ *company }

const pageOfJobs = 100

func (c manyJobs) backendJob(i int) attempt.BackendJob {
	l := attempt.BackendJob{
		JobID: idOf(i), ResourceName: "projects/acme/jobs/" + idOf(i), State: job.BackendQueued, Created: start,
		Labels: map[string]string{
			job.LabelAttempt: job.AttemptLabel(attemptOf(i)), job.LabelContent: strings.Repeat("c", 40),
			job.LabelInstance: strings.Repeat("i", 40), "team": "forecasting",
		},
		Links: job.Links{Console: "https://console.cloud.google.com/mlengine/jobs/" + idOf(i),
			Logs: "https://console.cloud.google.com/logs?resource=ml_job/job_id/" + idOf(i)},
	}
	switch {
	case every(c.changed, i):
		l.State, l.Started = job.BackendRunning, start
	case every(c.ended, i):
		l.State, l.Ended = job.BackendFailed, start.Add(time.Second)
	}
	return l
}

func every(n, i int) bool { return n > 0 && i%n == 0 }

func (c manyJobs) ListActive(_ context.Context, _, _ string, page func([]attempt.BackendJob, string) error) error {
	for begin := 0; begin == 0 || begin < c.jobs; begin += pageOfJobs {
		c.count("list jobs")
		var all []attempt.BackendJob
		for i := begin; i < min(begin+pageOfJobs, c.jobs); i++ {
			if l := c.backendJob(i); l.Ended.IsZero() && i >= c.queued {
				all = append(all, l)
			}
		}
		next := ""
		if begin+pageOfJobs < c.jobs {
			next = strconv.Itoa(begin + pageOfJobs)
		}
		if err := page(all, next); err != nil {
			return err
		}
	}
	return nil
}

func (c manyJobs) Get(_ context.Context, j job.JobInfo) (attempt.BackendJob, error) {
	c.count("get job")
	var i int
	if _, err := fmt.Sscanf(strings.TrimPrefix(j.ID, "census_20261123_090500_"), "%d", &i); err != nil {
		return attempt.BackendJob{}, job.ErrNotFound
	}
	return c.backendJob(i), nil
}

func (c manyJobs) TakesID() bool { return true }

func (c manyJobs) Cancel(context.Context, job.JobInfo) error { return nil }

func (c manyJobs) Name() string { return "aiplatform" }

func (c manyJobs) EnforcesWait() bool { return true }

func (c manyJobs) Check(job.Order) []plan.Diagnostic { return nil }

func (c manyJobs) Create(context.Context, job.Order) (attempt.BackendJob, error) {
	c.count("create")
	return attempt.BackendJob{}, job.ErrQuota
}

func (c manyJobs) Find(context.Context, job.Order) ([]attempt.BackendJob, error) {
	c.count("find")
	return nil, nil
}

// List, Open and Copy serve the inbox, where a tick has nothing to do.
func (c *company) List(context.Context, string, string, bool, func([]job.Attributes) error) error {
	c.count("list folder")
	return nil
}

func (c *company) Open(context.Context, string, string, int64) (io.ReadCloser, error) {
	c.count("open")
	return nil, job.ErrNotFound
}

func (c *company) Copy(context.Context, job.Object, string, string) error {
	c.count("copy")
	return job.ErrNotFound
}

func (c *company) Store(context.Context, string, string, io.Reader) (job.Object, error) {
	c.count("store")
	return job.Object{}, job.ErrNotFound
}

// peakHeap samples the heap in use until it is stopped, and returns the most.
func peakHeap() (stop func() uint64) {
	const live = "/memory/classes/heap/objects:bytes"
	done, most := make(chan struct{}), make(chan uint64)
	go func() {
		var peak uint64
		sample := []metrics.Sample{{Name: live}}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			peak = max(peak, sample[0].Value.Uint64())
			select {
			case <-done:
				most <- peak
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 { close(done); return <-most }
}

// BenchmarkTick runs a tick over the real ledger, relay and queue. It fails if a tick makes more
// remote calls than it may: one list of storage for 1,000 attempts, one of the backend for 100,
// six calls for a job that has changed, two more (the poll, and its place among the ended) for one that ended, and a few
// more that do not depend on the number of jobs. It also fails if a tick takes more memory than it
// may, or if ten times as many jobs cost far more than ten times as much.
func BenchmarkTick(b *testing.B) {
	for _, test := range []struct {
		name string
		news
	}{{name: "changed=0"}, {"changed=1%", news{changed: 100}}, {"ended=1%", news{ended: 100}},
		{"queued=1", news{queued: 1}}, {"queued=2", news{queued: 2}}, {"written", news{written: true}}} {
		costs := map[int]cost{}
		for _, jobs := range []int{1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/jobs=%d", test.name, jobs), func(b *testing.B) {
				costs[jobs] = benchmarkTick(b, newCompany(b, jobs, test.news))
			})
		}
		few, many := costs[10_000], costs[100_000]
		if few.allocated > 0 && many.allocated > 0 && (many.allocated > 13*few.allocated ||
			many.seconds > 40*few.seconds) { // machines are noisy
			b.Errorf("%s: cost grows faster than the number of jobs: %+v, %+v", test.name, few, many)
		}
	}
}

// cost is what one tick takes.
type cost struct {
	seconds   float64
	allocated uint64
}

// installation is what the parts of a tick need of the services.
type installation interface {
	contract.Storage
	contract.Publisher
}

// newTicker returns a watcher over the real ledger, relay and queue, whose last pulse is kept. The backend is c's.
func newTicker(b testing.TB, i installation, c *company, now func() time.Time) (*watcher.Watcher, *watcher.Pulse) {
	b.Helper()
	records, err := ledger.New(i, "state", ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	tell, err := relay.New(i, records, i, "status", now, relay.Options{})
	if err != nil {
		b.Fatal(err)
	}
	rules, vs := policy.Parse("policy.yaml", []byte("limits: {activeJobs: 9}\nprefixes: [{match: paused/**, pause: true}]"))
	if len(vs) > 0 {
		b.Fatal(vs)
	}
	submit, err := submitter.New(i, records, manyJobs{c}, tell, submitter.Options{
		Instance: "test", Inbox: "inbox", Staging: "staging", CallTime: 30 * time.Second, Inspections: 2, Parallel: 8,
		Now: now, Logger: logger,
		Patience: job.Patience{Incomplete: 15 * time.Minute, Expire: 24 * time.Hour},
		Policy:   func(context.Context) (policy.Policy, error) { return policy.Policy{Rules: rules}, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	last := new(watcher.Pulse)
	w, err := watcher.New(records, manyJobs{c}, i, tell, submit, watcher.Options{
		Instance: "test", Inbox: "inbox", Parallel: 8, Budget: 7 * time.Minute, PollsPerMinute: 1_000_000,
		ReadsPerMinute: 1_000_000,
		Now:            now, Logger: logger, Measure: func(_ context.Context, p watcher.Pulse) { *last = p },
	})
	if err != nil {
		b.Fatal(err)
	}
	return w, last
}

// called returns the number of the calls whose names begin with a prefix.
func (c *company) called(prefix string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for name, count := range c.calls {
		if strings.HasPrefix(name, prefix) {
			n += count
		}
	}
	return n
}

func benchmarkTick(b *testing.B, c *company) cost {
	w, last := newTicker(b, c, c, func() time.Time { return start.Add(time.Minute) })
	var before, after runtime.MemStats
	runtime.GC() // what others left is not the tick's
	runtime.ReadMemStats(&before)
	b.ReportAllocs()
	stop := peakHeap()
	ticks := 0
	for b.Loop() {
		if err := w.Tick(b.Context()); err != nil {
			b.Fatal(err)
		}
		ticks++
	}
	peak := stop()
	runtime.ReadMemStats(&after)
	calls := func(prefix string) int { return c.called(prefix) / ticks }
	share := func(n int) int {
		if n == 0 {
			return 0
		}
		return c.jobs / n
	}
	changed, ended := share(c.changed), share(c.ended)
	storage, backend, all := calls("list state/open/"), calls("list jobs"), calls("")
	fixed := 11 // a slice of the records, one of the inbox, the requests, the notes, also that of the queue
	if c.written {
		fixed += 50 // records are put into the index by time
	}
	const usual = budget.TickCalls // of which a tick makes so many where nothing changed
	perChange := 0.0
	if news := changed + ended; news > 0 {
		perChange = float64(all-storage-backend-usual) / float64(news)
	}
	b.ReportMetric(float64(storage), "storage-lists/op")
	b.ReportMetric(float64(backend), "backend-lists/op")
	b.ReportMetric(perChange, "calls/change")
	b.ReportMetric(float64(all-storage-backend)-perChange*float64(changed+ended), "other-calls/op")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	if storage > c.jobs/1000 || backend > c.jobs/100 || all-storage-backend > 6*changed+8*ended+fixed {
		b.Errorf("too many calls: %v in %d ticks", c.calls, ticks)
	}
	if peak > budget.TickHeap {
		b.Errorf("%d MiB of the heap in use", peak>>20)
	}
	if last.Changed != changed+ended || last.Open != c.jobs || last.Queued != c.queued || !last.Complete {
		b.Errorf("%+v", last)
	}
	return cost{b.Elapsed().Seconds() / float64(ticks), (after.TotalAlloc - before.TotalAlloc) / uint64(ticks)}
}
