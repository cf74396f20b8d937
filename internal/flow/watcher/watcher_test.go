package watcher_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func (f *fake) watcher(t *testing.T) *watcher.Watcher {
	t.Helper()
	w, err := f.new(f.options())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (f *fake) options() watcher.Options {
	return watcher.Options{
		Instance: "test", Inbox: "inbox", Parallel: 3, Budget: 10 * time.Minute,
		PollsPerMinute: 100_000, ReadsPerMinute: 100_000, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { f.mu.Lock(); defer f.mu.Unlock(); return f.now },
	}
}

// add adds an attempt to the ledger. The backend last showed its job as j, and all its events
// are published.
func (f *fake) add(t *testing.T, id string, j attempt.BackendJob) {
	t.Helper()
	r := after(t, id, attempt.Seen(j, start))
	s := attempt.Stored{Record: r, Published: r.Sequence}
	f.records[s.Attempt] = s
	f.entries = append(f.entries, attempt.NewEntry(s))
	f.owners[id] = s.Attempt
}

// after returns the record of a drop that was accepted, and of which that was seen then.
func after(t *testing.T, id string, o attempt.Observation) attempt.Record {
	t.Helper()
	r := attempt.NewRecord(job.Object{Bucket: "inbox", Name: id + "/job.yaml", Generation: 1, Created: start}, start)
	accept := attempt.Accept{
		Spec:    job.Spec{JobID: id, Labels: job.Labels(nil, "test", r.Attempt, "content")},
		Receipt: job.Receipt{Staged: []string{"gs://staging/" + id + ".tar.gz"}, Content: "content"},
		Claim:   attempt.Claim{Owner: "w", Until: start.Add(2 * time.Minute), Nonce: "n"},
	}
	for _, o := range []attempt.Observation{accept, o} {
		var err error
		if r, _, err = attempt.Step(r, o, start); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func backendJob(id string, s job.BackendState) attempt.BackendJob {
	l := attempt.BackendJob{JobID: id, State: s, Created: start}
	if s != job.BackendQueued {
		l.Started = start
	}
	if s == job.BackendSucceeded {
		l.Ended = start
	}
	return l
}

func TestTick(t *testing.T) {
	f := newFake()
	f.add(t, "same", backendJob("same", job.BackendRunning))
	f.add(t, "moved", backendJob("moved", job.BackendQueued))
	f.add(t, "ended", backendJob("ended", job.BackendRunning))
	f.add(t, "late", backendJob("late", job.BackendQueued)) // the list lags: only a poll finds it
	f.listed = []attempt.BackendJob{backendJob("same", job.BackendRunning), backendJob("moved", job.BackendRunning)}
	f.direct = map[string]attempt.BackendJob{"ended": backendJob("ended", job.BackendSucceeded),
		"late": backendJob("late", job.BackendQueued)}
	f.entries = append(f.entries, attempt.Entry{Attempt: "w", JobFile: "waiting/job.yaml", State: job.Waiting},
		attempt.Entry{Attempt: "a", JobFile: "accepted/job.yaml", State: job.Accepted})
	if err := f.watcher(t).Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string][]job.EventType{"moved": {job.JobRunning}, "ended": {job.JobSucceeded}}
	if diff := gocmp.Diff(want, f.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	slices.Sort(f.gets)
	if diff := gocmp.Diff([]string{"ended", "late"}, f.gets); diff != "" {
		t.Errorf("direct looks (-want +got): only what the list does not show is worth one:\n%s", diff)
	}
	slices.Sort(f.resumed)
	if diff := gocmp.Diff([]string{"accepted/job.yaml", "waiting/job.yaml"}, f.resumed); diff != "" {
		t.Errorf("resumed (-want +got):\n%s", diff)
	}
}

// A tick publishes what was recorded but not published, or only in part, even if the job did not
// change.
func TestTickTellsWhatIsUntold(t *testing.T) {
	for name, spoil := range map[string]func(*attempt.Entry){
		"unpublished": func(e *attempt.Entry) { e.Published-- },
		"in part":     func(e *attempt.Entry) { e.Revision = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.add(t, "j", backendJob("j", job.BackendRunning))
			spoil(&f.entries[0])
			f.listed = []attempt.BackendJob{backendJob("j", job.BackendRunning)}
			told := 0
			w, err := watcher.New(f.fakeLedger, f.fakeBackend, f.fakeInbox, counter{&told}, f.fakeSubmitter, f.options())
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Tick(t.Context()); err != nil || told != 1 {
				t.Errorf("told %d times, %v", told, err)
			}
		})
	}
}

type counter struct{ n *int }

func (c counter) Tell(context.Context, attempt.Stored, attempt.Entry) error { *c.n++; return nil }

// One bad attempt never stops the rest, and every failure is reported.
func TestTickGoesOn(t *testing.T) {
	f := newFake()
	one, two := errors.New("one"), errors.New("two")
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		f.add(t, id, backendJob(id, job.BackendRunning))
		f.direct[id] = backendJob(id, job.BackendSucceeded)
	}
	f.broken["a"], f.broken[f.entries[3].Attempt] = one, two
	err := f.watcher(t).Tick(t.Context())
	if !errors.Is(err, one) || !errors.Is(err, two) {
		t.Errorf("Tick: %v, want both failures", err)
	}
	if len(f.told) != 3 {
		t.Errorf("told of %v, want the three others", f.told)
	}
}

// Without the backend's list nothing is known of jobs, but drops are decided.
func TestTickWithoutTheList(t *testing.T) {
	f := newFake()
	f.listErr = errors.New("unavailable")
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.entries = append(f.entries, attempt.Entry{Attempt: "w", JobFile: "waiting/job.yaml", State: job.Waiting})
	if err := f.watcher(t).Tick(t.Context()); !errors.Is(err, f.listErr) {
		t.Errorf("Tick: %v", err)
	}
	if len(f.gets) != 0 || len(f.told) != 0 || len(f.resumed) != 1 {
		t.Errorf("direct looks %v, told %v, resumed %v", f.gets, f.told, f.resumed)
	}
}

// A job is lost after three polls that found nothing, and ten minutes.
func TestTickFindsLostJobs(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendQueued))
	w := f.watcher(t)
	for i, minutes := range []int{1, 2, 3, 10} {
		if len(f.told) != 0 {
			t.Fatalf("told %v after %d looks", f.told, i)
		}
		f.now = start.Add(time.Duration(minutes) * time.Minute)
		if err := w.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := gocmp.Diff(map[string][]job.EventType{"j": {job.JobLost}}, f.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// A job of another backend is not lost because this one does not know it. The error is reported,
// and no event is published.
func TestTickLeavesAnotherBackendsJobs(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendQueued))
	key := f.owners["j"]
	s := f.records[key]
	s.Job.Backend = "vertex"
	f.records[key] = s
	w := f.watcher(t)
	for minutes := range 30 {
		f.now = start.Add(time.Duration(minutes) * time.Minute)
		if err := w.Tick(t.Context()); !errors.Is(err, attempt.ErrOtherBackend) {
			t.Fatalf("tick: %v", err)
		}
	}
	if len(f.told) > 0 || f.records[key].State != job.Submitted {
		t.Errorf("told %v, now %s", f.told, f.records[key].State)
	}
}

// Thousands of jobs that vanish are lost, even if a round of polls takes long. One that is back in
// the list was never gone.
func TestTickFindsLostJobsSlowly(t *testing.T) {
	f := newFake()
	f.add(t, "gone", backendJob("gone", job.BackendQueued))
	f.add(t, "back", backendJob("back", job.BackendQueued))
	w := f.watcher(t)
	tick := func() {
		f.now = f.now.Add(20 * time.Minute)
		ticked(t, w)
		f.retell()
	}
	tick()
	tick()
	f.listed = []attempt.BackendJob{backendJob("back", job.BackendQueued)}
	tick()
	if diff := gocmp.Diff(map[string][]job.EventType{"gone": {job.JobLost}}, f.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	f.listed = nil
	tick()
	if r := f.records[f.owners["back"]]; r.State != job.Submitted || r.Absent == nil || r.Absent.Misses != 1 {
		t.Errorf("seen in between: %s, %+v", r.State, r.Absent)
	}
}

func TestNewRefusesMissingParts(t *testing.T) {
	if _, err := watcher.New(nil, nil, nil, nil, nil, watcher.Options{}); err == nil ||
		!strings.Contains(err.Error(), "is required") {
		t.Errorf("New without parts: %v", err)
	}
}

// Of many failures some are named, and the others counted.
func TestTickBoundsItsErrors(t *testing.T) {
	f := newFake()
	for i := range 50 {
		id := fmt.Sprintf("j%02d", i)
		f.add(t, id, backendJob(id, job.BackendRunning))
		f.broken[id] = errors.New("broken " + id)
	}
	err := f.watcher(t).Tick(t.Context())
	if n := strings.Count(fmt.Sprint(err), "broken"); n != 20 || !strings.Contains(err.Error(), "and 30 more failures") {
		t.Errorf("%d failures in words: %v", n, err)
	}
}

// A tick whose time is over stops between pages.
func TestTickStops(t *testing.T) {
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	for _, id := range []string{"a", "b", "c", "d"} {
		f.entries = append(f.entries, attempt.Entry{Attempt: id, JobFile: id, State: job.Waiting})
	}
	f.onResume = cancel
	if err := f.watcher(t).Tick(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("tick: %v; want that it was canceled", err)
	}
	// The second of the page may have begun beside the first, or not any more.
	if others := slices.DeleteFunc(f.resumed, func(f string) bool { return f == "a" || f == "b" }); len(others) > 0 {
		t.Errorf("resumed %v after the first page", others)
	}
}

// What was published leaves the outbox with the next write.
func TestTickDropsWhatWasPublished(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendQueued))
	f.listed = []attempt.BackendJob{backendJob("j", job.BackendRunning)}
	if err := f.watcher(t).Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := f.records[f.entries[0].Attempt]; len(r.Outbox) != 1 || r.Outbox[0].Type != job.JobRunning {
		t.Errorf("outbox holds %d events", len(r.Outbox))
	}
}

// At a backend that takes no IDs, a process that froze in a create may make a second job of an
// attempt. The one in the record is kept, even after the verdict.
func TestTickCancelsDoubles(t *testing.T) {
	f := newFake()
	f.noID = true
	of := func(id, resource, key string, s job.BackendState) attempt.BackendJob {
		l := backendJob(id, s)
		l.ResourceName, l.Labels = resource, job.Labels(nil, "test", key, "content")
		direct := l // a list leaves out the packages
		direct.Packages = []string{"gs://staging/" + id + ".tar.gz"}
		f.direct[resource] = direct
		return l
	}
	kept := of("two", "jobs/1", "", job.BackendRunning)
	f.add(t, "two", kept)
	key := f.entries[0].Attempt
	second := of("two", "jobs/2", key, job.BackendRunning)
	foreign := of("two", "jobs/3", "another", job.BackendRunning)
	going := of("two", "jobs/4", key, job.BackendCancelling)
	part := of("two", "trials/1", key, job.BackendRunning) // of the service's own

	f.add(t, "over", of("over", "jobs/5", "", job.BackendSucceeded))
	over := f.entries[1].Attempt
	f.entries = f.entries[:1] // it has its verdict
	late := of("over", "jobs/6", over, job.BackendQueued)
	f.listed = []attempt.BackendJob{kept, second, foreign, going, part, late, of("unknown", "jobs/7", "x",
		job.BackendRunning)}

	// An attempt that was rejected before it was accepted asked for no job.
	rejected := job.Object{Bucket: "inbox", Name: "rejected/job.yaml", Generation: 1, Created: start}
	r := terminal(attempt.Stored{Record: attempt.NewRecord(rejected, start)})
	f.records[r.Attempt], f.owners["rejected"] = r, r.Attempt
	f.listed = append(f.listed, of("rejected", "jobs/8", r.Attempt, job.BackendRunning))

	// One that was given up has no job, and gets one from a process that froze in a create.
	refused := after(t, "refused", attempt.Refuse{Nonce: "n"})
	f.records[refused.Attempt] = attempt.Stored{Record: refused, Published: refused.Sequence}
	f.owners["refused"] = refused.Attempt
	f.listed = append(f.listed, of("refused", "jobs/9", refused.Attempt, job.BackendRunning))

	doubles := 0
	o := f.options()
	o.Double = func(context.Context) { doubles++ }
	w, err := f.new(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(f.cancelled)
	if diff := gocmp.Diff([]string{"jobs/2", "jobs/6", "jobs/9"}, f.cancelled); diff != "" || doubles != 3 {
		t.Errorf("cancelled, %d counted (-want +got):\n%s", doubles, diff)
	}
	slices.Sort(f.strangers)
	if diff := gocmp.Diff([]string{"rejected jobs/8", "unknown jobs/7"}, f.strangers); diff != "" ||
		f.beats[0].Strangers != 2 {
		t.Errorf("told of, %d counted (-want +got):\n%s", f.beats[0].Strangers, diff)
	}

	// A failed cancel is reported, and the rest goes on.
	unheard := errors.New("cancel refused")
	f.cancelled, f.broken = nil, map[string]error{"jobs/2": unheard}
	if err := f.watcher(t).Tick(t.Context()); !errors.Is(err, unheard) || !slices.Equal(f.cancelled, []string{"jobs/6", "jobs/9"}) {
		t.Errorf("%v, cancelled %q", err, f.cancelled)
	}

	// One that vanished since the look is no error.
	f.cancelled, f.broken = nil, map[string]error{"jobs/2": job.ErrNotFound}
	if err := f.watcher(t).Tick(t.Context()); err != nil || !slices.Equal(f.cancelled, []string{"jobs/6", "jobs/9"}) {
		t.Errorf("%v, cancelled %q", err, f.cancelled)
	}

	// A backend that takes our ID is not asked.
	f.noID, f.cancelled, f.broken = false, nil, map[string]error{}
	if err := f.watcher(t).Tick(t.Context()); err != nil || len(f.cancelled) > 0 {
		t.Errorf("%v, cancelled %q", err, f.cancelled)
	}
}

// A person's copy has our labels, but fits no create. It is reported once and not ended, both
// while the attempt's job runs and after its verdict.
func TestTickKeepsCopies(t *testing.T) {
	changes := []struct {
		name   string
		change func(l *attempt.BackendJob)
		double bool
	}{
		{"nothing", func(*attempt.BackendJob) {}, true},
		{"within clocks, before", func(l *attempt.BackendJob) { l.Created = start.Add(-9 * time.Minute) }, true},
		{"late, of a writer that froze", func(l *attempt.BackendJob) { l.Created = start.Add(12 * time.Minute) }, true},
		{"later", func(l *attempt.BackendJob) { l.Created = start.Add(time.Hour) }, false},
		{"before the claim", func(l *attempt.BackendJob) { l.Created = start.Add(-time.Hour) }, false},
		{"its name", func(l *attempt.BackendJob) { l.JobID = "mine-copy" }, false},
		{"its packages", func(l *attempt.BackendJob) { l.Packages = []string{"gs://mine/trainer.tar.gz"} }, false},
		{"its content", func(l *attempt.BackendJob) { l.Labels = job.Labels(nil, "test", "x", "other") }, false},
	}
	for _, ended := range []bool{false, true} {
		for _, test := range changes {
			t.Run(fmt.Sprintf("%s, ended %t", test.name, ended), func(t *testing.T) {
				f := newFake()
				f.noID = true
				state := job.BackendRunning
				if ended {
					state = job.BackendSucceeded
				}
				kept := backendJob("mine", state)
				kept.ResourceName = "jobs/1"
				f.add(t, "mine", kept)
				key := f.entries[0].Attempt
				if ended {
					f.entries = nil
				} else {
					f.listed = append(f.listed, kept)
				}
				f.direct["jobs/1"] = kept
				other := backendJob("mine", job.BackendRunning)
				other.ResourceName, other.Labels = "jobs/2", job.Labels(nil, "test", key, "content")
				shown := other
				shown.Packages = []string{"gs://staging/mine.tar.gz"}
				test.change(&shown)
				f.listed, f.direct["jobs/2"] = append(f.listed, other), shown
				w := f.watcher(t)
				ticked(t, w)
				if cancelled := slices.Equal(f.cancelled, []string{"jobs/2"}); cancelled != test.double || !cancelled &&
					len(f.cancelled) > 0 {
					t.Errorf("cancelled %q, a double is %t", f.cancelled, test.double)
				}
				if told := len(f.strangers) > 0; told == test.double {
					t.Errorf("told of %q, a double is %t", f.strangers, test.double)
				}
			})
		}
	}
}

// The kept job is followed, whatever a second one does.
func TestTickFollowsTheKeptJob(t *testing.T) {
	f := newFake()
	f.noID = true
	kept := backendJob("two", job.BackendRunning)
	kept.ResourceName = "jobs/1"
	f.add(t, "two", kept)
	second := kept
	second.ResourceName = "jobs/2"
	f.listed = []attempt.BackendJob{second}
	ended := backendJob("two", job.BackendSucceeded)
	ended.ResourceName = "jobs/1"
	f.direct["two"] = ended
	if err := f.watcher(t).Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := f.records[f.entries[0].Attempt]; r.State != job.Succeeded {
		t.Errorf("state %s, want that of the job in the record", r.State)
	}
}

// A list that lags does not turn a job back. A job that a poll finds restarted does go back.
func TestTickWithALaggingList(t *testing.T) {
	started := func(l attempt.BackendJob) attempt.BackendJob { l.Started = start; return l }
	tests := []struct {
		name                  string
		known, listed, direct attempt.BackendJob
		want                  job.BackendState
		gets                  int
	}{
		{"not running yet", backendJob("j", job.BackendRunning),
			attempt.BackendJob{JobID: "j", State: job.BackendPreparing, Created: start}, backendJob("j", job.BackendRunning),
			job.BackendRunning, 1},
		{"not being cancelled yet", backendJob("j", job.BackendCancelling), backendJob("j", job.BackendRunning),
			backendJob("j", job.BackendCancelling), job.BackendCancelling, 1},
		{"ended since", backendJob("j", job.BackendCancelling), backendJob("j", job.BackendRunning), backendJob("j",
			job.BackendSucceeded),
			job.BackendSucceeded, 1},
		{"restarted", backendJob("j", job.BackendRunning), started(backendJob("j", job.BackendPreparing)),
			started(backendJob("j", job.BackendPreparing)), job.BackendPreparing, 1},
		{"goes on", backendJob("j", job.BackendQueued), backendJob("j", job.BackendRunning), attempt.BackendJob{},
			job.BackendRunning, 0},
		{"still running before its restart", started(backendJob("j", job.BackendPreparing)),
			started(backendJob("j", job.BackendRunning)), started(backendJob("j", job.BackendPreparing)), job.BackendPreparing, 1},
		{"runs again", started(backendJob("j", job.BackendPreparing)), started(backendJob("j", job.BackendRunning)),
			started(backendJob("j", job.BackendRunning)), job.BackendRunning, 1},
	}
	for _, test := range tests {
		f := newFake()
		f.add(t, "j", test.known)
		key := f.owners["j"]
		if test.known.State == job.BackendPreparing {
			r := f.records[key]
			r.Restarts = &job.Restarts{Count: 1}
			f.records[key] = r
		}
		f.listed, f.direct["j"] = []attempt.BackendJob{test.listed}, test.direct
		f.now = f.now.Add(time.Minute)
		ticked(t, f.watcher(t))
		if r := f.records[f.owners["j"]]; r.Job.State != test.want || len(f.gets) != test.gets {
			t.Errorf("%s: %s after %d looks, want %s after %d", test.name, r.Job.State, len(f.gets), test.want, test.gets)
		}
	}
}
