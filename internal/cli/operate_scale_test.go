package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// crowd is an installation with many attempts, dropped a second apart into a thousand folders. The last thousand have
// no verdict: those with an even number run, the others wait for their turn.
type crowd struct {
	store    *memory
	view     *view
	attempts int
}

// openAttempts is how many attempts of a crowd have no verdict.
const openAttempts = 1000

func (c crowd) folder(i int) string { return fmt.Sprintf("teams/%d/a%d/", i%10, i%1000) }

// jobFile returns the job file of an attempt.
func (c crowd) jobFile(i int) job.Object {
	at := logStart.Add(time.Duration(i-c.attempts) * time.Second)
	return job.Object{Bucket: "inbox", Name: c.folder(i) + "job.yaml", Generation: at.UnixMicro(), Created: at}
}

// record returns the record of an attempt.
func (c crowd) record(t testing.TB, i int) attempt.Record {
	t.Helper()
	o := c.jobFile(i)
	at := o.Created
	r := attempt.NewRecord(o, at)
	accept := attempt.Accept{
		Spec:    job.Spec{JobID: fmt.Sprintf("j%d", i), TrainingInput: &job.TrainingInput{Region: "us-central1"}},
		Receipt: job.Receipt{Content: "c"},
	}
	if i >= c.attempts-openAttempts && i%2 > 0 {
		accept.Waits = "waiting: 3 of 3 jobs are active"
		return observed(t, r, accept, at)
	}
	accept.Claim = attempt.Claim{Owner: "w", Until: at.Add(time.Minute), Nonce: "n"}
	r = observed(t, r, accept, at)
	listed := attempt.BackendJob{
		JobID: r.Job.ID, ResourceName: "projects/p/locations/us-central1/customJobs/7", State: job.BackendRunning,
		Created: at, Started: at,
	}
	r = observed(t, r, attempt.Seen(listed, at), at)
	if i < c.attempts-openAttempts {
		listed.State, listed.Ended = job.BackendSucceeded, at.Add(time.Minute)
		if i%4 == 0 {
			listed.State, listed.Message, listed.Excerpt = job.BackendFailed, "exit status 1", "ValueError"
		}
		r = observed(t, r, attempt.Seen(listed, listed.Ended), listed.Ended)
	}
	return r
}

// observed applies an observation.
func observed(t testing.TB, r attempt.Record, o attempt.Observation, at time.Time) attempt.Record {
	t.Helper()
	next, _, err := attempt.Step(r, o, at)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// newCrowd writes so many attempts, a multiple of four, as the functions do: by the ledger's own calls. Records that
// nobody reads are left out but for their metadata.
func newCrowd(t testing.TB, attempts int) crowd {
	t.Helper()
	c := crowd{store: newMemory(), attempts: attempts}
	c.view = c.store.view(t, logStart)
	l, err := ledger.New(c.store, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	queue := attempt.Queue{At: logStart}
	ended := c.record(t, 0).Summary()
	for i := range attempts {
		s, data := ended, []byte(nil)
		if few := i == 0 || i >= attempts-openAttempts-4; !few {
			o := c.jobFile(i)
			s.Attempt, s.Folder, s.Dropped = job.AttemptKey(o), c.folder(i), o.Created
			s.State = []job.State{job.Failed, job.Succeeded}[min(i%4, 1)]
		} else {
			r := c.record(t, i)
			s = r.Summary()
			e := attempt.NewEntry(attempt.Stored{Record: r, Published: r.Sequence})
			var faults [4]error
			if !s.State.Terminal() {
				_, faults[0] = l.Open(ctx, e)
				faults[1] = l.Mark(ctx, e)
			}
			_, _, faults[2] = l.ClaimID(ctx, r.Job.ID, attempt.Owner{Attempt: r.Attempt})
			data, faults[3] = json.Marshal(r)
			if err := errors.Join(faults[:]...); err != nil {
				t.Fatal(err)
			}
			if r.Queued {
				queue.Add(e, r.Reason)
			}
		}
		if s.State.Terminal() {
			if _, err := l.Place(ctx, attempt.Filed{Summary: s}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.store.Write(ctx, "state", "attempts/"+s.Attempt+".json", data, "", s.Metadata(""), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.WriteQueue(ctx, queue, 0); err != nil {
		t.Fatal(err)
	}
	c.store.put(t, "rules", "policy.yaml", operatedPolicy)
	c.store.put(t, "state", "heartbeat.json", `{"at": "2026-11-29T12:00:00Z"}`)
	if _, _, err := c.store.ListPage(ctx, "state", "", "", 1); err != nil { // it sorts the names
		t.Fatal(err)
	}
	c.store.counted()
	return c
}

// uses are ways to use status and why, with the most lists and other calls that each makes.
func (c crowd) uses(t testing.TB) []use {
	status := func(o statusOptions) func(context.Context) error {
		return func(ctx context.Context) error {
			if o.query.Most == 0 {
				o.query.Most = 20
			}
			_, err := c.view.look(ctx, o)
			return err
		}
	}
	why := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.view.why(ctx, whyOptions{name: name, lines: 10})
			return err
		}
	}
	folder, key := func(i int) string { return c.folder(i) }, func(i int) string { return c.record(t, i).Attempt }
	failed, running, waits := c.attempts-openAttempts-4, c.attempts-2, c.attempts-1
	return []use{
		{"status", status(statusOptions{}), 1, 20},
		{"status, a whole page", status(statusOptions{query: ledger.Query{Most: ledger.PageSize}}), 1, ledger.PageSize},
		{"status of what failed", status(statusOptions{query: ledger.Query{State: job.Failed}}), 1, 0},
		{"status of what runs", status(statusOptions{query: ledger.Query{State: job.Running}}), 2, 0},
		{"status below a folder", status(statusOptions{query: ledger.Query{Folder: "teams/3/"}}), 2, 20},
		{"status of nobody's correlation ID", status(statusOptions{query: ledger.Query{CorrelationID: "x"}}), 2, 0},
		{"status of a job", status(statusOptions{query: ledger.Query{JobID: fmt.Sprintf("j%d", running)}}), 0, 2},
		{"status of an attempt", status(statusOptions{name: key(running)}), 0, 1},
		{"status of one that waits", status(statusOptions{name: key(waits)}), 0, 3},
		{"status of a drop whose status has expired", status(statusOptions{name: folder(failed)}), 1, 3},
		{"why of an attempt that failed", why(key(failed)), 1, 1},
		{"why of one that runs, by its job", why(fmt.Sprintf("j%d", running)), 1, 4},
		{"why of one that waits", why(key(waits)), 1, 4},
		{"why of a drop whose status has expired", why(folder(waits)), 2, 6},
		{"why of the oldest", why(key(0)), 1, 1},
	}
}

// use is a way to use a command.
type use struct {
	name         string
	do           func(context.Context) error
	lists, reads int // at most
}

// However many attempts there are, status and why make three lists at most, and the reads of what they show.
func TestStatusAndWhyReadLittle(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 100_000)
	for _, u := range c.uses(t) {
		if err := u.do(t.Context()); err != nil {
			t.Errorf("%s: %v", u.name, err)
		}
		calls := c.store.counted()
		reads := calls["read"] + calls["stat"]
		if calls["list"] > min(u.lists, 3) || reads > u.reads || calls["write"] > 0 {
			t.Errorf("%s: %v, want %d lists and %d reads", u.name, calls, u.lists, u.reads)
		}
		t.Logf("%-45s %d lists, %2d reads", u.name, calls["list"], reads)
	}
}

// BenchmarkStatusAndWhy runs the commands over 100,000 attempts, with 20 ms a call.
func BenchmarkStatusAndWhy(b *testing.B) {
	c := newCrowd(b, 100_000)
	c.store.delay = 20 * time.Millisecond
	for _, u := range c.uses(b) {
		b.Run(u.name, func(b *testing.B) {
			c.store.counted()
			for b.Loop() {
				if err := u.do(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			calls := c.store.counted()
			b.ReportMetric(float64(calls["list"])/float64(b.N), "lists/op")
			b.ReportMetric(float64(calls["read"]+calls["stat"])/float64(b.N), "reads/op")
		})
	}
}
