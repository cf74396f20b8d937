package watcher_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/ledger"
	"github.com/jobdrop/jobdrop/pkg/relay"
	"github.com/jobdrop/jobdrop/pkg/watcher"
)

// company is an installation with many active jobs. It keeps nothing of them: what
// is listed or read is made on the way, so that the memory in use is the tick's.
// It counts the remote calls.
type company struct {
	jobs    int
	changed int // every so manieth job runs by now, and the index has it queued; 0 is none
	record  []byte
	entry   map[string]string

	mu    sync.Mutex
	calls map[string]int
}

const (
	templateID = "TEMPLATE_ID"
	generation = "1795424700381000"
)

var templateAttempt = strings.Repeat("f", 40) + "-" + generation

func attemptOf(i int) string { return fmt.Sprintf("%040d-%s", i, generation) }
func idOf(i int) string      { return fmt.Sprintf("census_20261123_090500_%012d", i) }

func newCompany(b *testing.B, jobs, changed int) *company {
	b.Helper()
	c := &company{jobs: jobs, changed: changed, calls: map[string]int{}}
	r := job.NewRecord(job.Object{Bucket: "inbox", Name: "teams/forecasting/census/job.yaml", Generation: 1795424700381000, Created: start}, start)
	r.Attempt = templateAttempt
	spec := job.Spec{JobID: templateID, TrainingInput: &job.TrainingInput{Region: "us-central1", ScaleTier: "BASIC", PythonModule: "trainer.task"}}
	queued := job.Look{JobID: templateID, ResourceName: "projects/acme/jobs/" + templateID, State: job.TrainerQueued, Created: start}
	for _, o := range []job.Observation{job.Accept{Spec: spec}, queued} {
		var err error
		if r, _, err = job.Step(r, o, start); err != nil {
			b.Fatal(err)
		}
	}
	var err error
	if c.record, err = json.Marshal(r.Published(r.Sequence)); err != nil {
		b.Fatal(err)
	}
	records, err := ledger.New(c, "state")
	if err != nil {
		b.Fatal(err)
	}
	if err := records.Mark(b.Context(), job.NewEntry(job.Stored{Record: r, Published: r.Sequence})); err != nil { // kept as the template
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
	if bucket == "inbox" {
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
			} else {
				o.Name += ".json"
				o.Metadata = map[string]string{"state": "submitted", "revision": "2"}
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
	case "cursors.json":
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

func (c *company) Write(_ context.Context, bucket, name string, _ []byte, _ string, metadata map[string]string, _ int64) (int64, error) {
	c.count("write " + bucket)
	if name == "open/"+templateAttempt {
		c.entry = metadata
	}
	return 2, nil
}

func (c *company) Stat(_ context.Context, bucket, _ string) (job.Attributes, error) {
	c.count("stat " + bucket)
	return job.Attributes{}, job.ErrNotFound
}

func (c *company) Delete(_ context.Context, bucket, _ string) error {
	c.count("delete " + bucket)
	return nil
}

func (c *company) Publish(context.Context, string, []job.Event) error {
	c.count("publish")
	return nil
}

// manyJobs is the company's trainer.
type manyJobs struct{ *company }

const pageOfJobs = 100

func (c manyJobs) look(i int) job.Look {
	l := job.Look{
		JobID: idOf(i), ResourceName: "projects/acme/jobs/" + idOf(i), State: job.TrainerQueued, Created: start,
		Labels: map[string]string{
			job.LabelAttempt: job.AttemptLabel(attemptOf(i)), job.LabelContent: strings.Repeat("c", 40), job.LabelInstance: strings.Repeat("i", 40), "team": "forecasting",
		},
		Links: job.Links{Console: "https://console.cloud.google.com/mlengine/jobs/" + idOf(i), Logs: "https://console.cloud.google.com/logs?resource=ml_job/job_id/" + idOf(i)},
	}
	if c.changed > 0 && i%c.changed == 0 {
		l.State, l.Started = job.TrainerRunning, start
	}
	return l
}

func (c manyJobs) ListActive(_ context.Context, _, _ string, page func([]job.Look, string) error) error {
	for begin := 0; begin < c.jobs; begin += pageOfJobs {
		c.count("list jobs")
		var all []job.Look
		for i := begin; i < min(begin+pageOfJobs, c.jobs); i++ {
			all = append(all, c.look(i))
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

func (c manyJobs) Get(_ context.Context, j job.JobInfo) (job.Look, error) {
	c.count("get job")
	return job.Look{}, job.ErrNotFound
}

func (c manyJobs) TakesID() bool { return true }

func (c manyJobs) Cancel(context.Context, job.JobInfo) error { return nil }

func (c manyJobs) Submit(context.Context, job.Object) error { return nil }
func (c manyJobs) Resume(context.Context, job.Entry) error  { return nil }
func (c manyJobs) Admit(context.Context, time.Time) error   { return nil }
func (c manyJobs) Replay(context.Context, job.Object) error { return nil }

// peakHeap samples the heap in use until it is stopped, and gives the most.
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

// BenchmarkTick is a tick over the real ledger and relay. It fails where a tick
// makes more remote calls than it may: one list of storage for 1,000 attempts, one
// of the trainer for 100, six calls for a job that has changed, and a few more
// that do not depend on the number of jobs.
func BenchmarkTick(b *testing.B) {
	for _, jobs := range []int{1_000, 10_000, 100_000} {
		for _, changed := range []int{0, 100} {
			name := fmt.Sprintf("jobs=%d/changed=0", jobs)
			if changed > 0 {
				name = fmt.Sprintf("jobs=%d/changed=1%%", jobs)
			}
			b.Run(name, func(b *testing.B) { benchmarkTick(b, jobs, changed) })
		}
	}
}

func benchmarkTick(b *testing.B, jobs, changed int) {
	c := newCompany(b, jobs, changed)
	records, err := ledger.New(c, "state")
	if err != nil {
		b.Fatal(err)
	}
	tell, err := relay.New(c, records, c, "status")
	if err != nil {
		b.Fatal(err)
	}
	var last watcher.Pulse
	w, err := watcher.New(records, manyJobs{c}, c, tell, manyJobs{c}, watcher.Options{
		Instance: "test", Inbox: "inbox", Parallel: 8, Budget: 7 * time.Minute, LooksPerMinute: 1_000_000, ReadsPerMinute: 1_000_000,
		Now: func() time.Time { return start.Add(time.Minute) }, Logger: slog.New(slog.DiscardHandler),
		Measure: func(_ context.Context, p watcher.Pulse) { last = p },
	})
	if err != nil {
		b.Fatal(err)
	}
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
	calls := func(prefix string) int {
		n := 0
		for name, count := range c.calls {
			if strings.HasPrefix(name, prefix) {
				n += count
			}
		}
		return n / ticks
	}
	news := 0
	if changed > 0 {
		news = jobs / changed
	}
	storage, trainer, all := calls("list state/open/"), calls("list jobs"), calls("")
	const fixed = 8 // a slice of the records, one of the inbox, the notes
	perChange := 0.0
	if news > 0 {
		perChange = float64(all-storage-trainer-fixed+1) / float64(news)
	}
	b.ReportMetric(float64(storage), "storage-lists/op")
	b.ReportMetric(float64(trainer), "trainer-lists/op")
	b.ReportMetric(perChange, "calls/change")
	b.ReportMetric(float64(all-storage-trainer)-perChange*float64(news), "other-calls/op")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	if storage > jobs/1000 || trainer > jobs/100 || all-storage-trainer > 6*news+fixed || last.Changed != news || last.Open != jobs || !last.Complete {
		b.Errorf("%v; %+v", c.calls, last)
	}
}
