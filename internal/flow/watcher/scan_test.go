package watcher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// upload puts an object into the inbox.
func (f *fake) upload(name string, created time.Time) job.Object {
	o := job.Object{Bucket: "inbox", Name: name, Generation: int64(len(f.uploaded) + 1), Size: 1, Created: created}
	f.uploaded = append(f.uploaded, job.Attributes{Object: o})
	return o
}

func ticked(t *testing.T, w *watcher.Watcher) {
	t.Helper()
	if err := w.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Drops whose event was lost are found. Those that are known, too old, from before the
// installation, or so new that their event may be on its way, are left alone.
func TestScanInbox(t *testing.T) {
	f := newFake()
	f.epoch = start.Add(-36 * time.Hour)
	f.now = start
	f.upload("lost/job.yaml", start.Add(-35*time.Hour))
	f.upload("lost/trainer.tar.gz", start.Add(-35*time.Hour))
	f.upload("before/job.yaml", start.Add(-37*time.Hour))
	f.upload("new/job.json", start.Add(-5*time.Second))
	f.upload("other/readme.md", start.Add(-time.Hour))
	f.upload("alone/trainer.tar.gz", start.Add(-time.Hour))
	known := f.upload("known/job.yml", start.Add(-time.Hour))
	f.records[job.AttemptKey(known)] = attempt.Stored{Record: attempt.NewRecord(known, start)}
	f.records[job.AttemptKey(known)] = terminal(f.records[job.AttemptKey(known)])
	w := f.watcher(t)
	ticked(t, w)
	if diff := gocmp.Diff([]string{"lost/job.yaml"}, f.submitted); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if b := f.beats[0]; b.Found != 1 || !b.Complete || b.Failed != 0 || !b.At.Equal(start) {
		t.Errorf("heartbeat %+v", b)
	}
	// The next round looks only at what came since.
	f.submitted, f.now = nil, start.Add(20*time.Minute)
	ticked(t, w)
	if diff := gocmp.Diff([]string{"new/job.json"}, f.submitted); diff != "" {
		t.Errorf("found later (-want +got):\n%s", diff)
	}
	f.submitted, f.now = nil, start.Add(40*time.Minute)
	ticked(t, w)
	if len(f.submitted) > 0 {
		t.Errorf("looked at again: %q", f.submitted)
	}
}

func terminal(s attempt.Stored) attempt.Stored {
	s.Record, _, _ = attempt.Step(s.Record, attempt.Reject{Reason: "no"}, start)
	s.Published = s.Sequence
	return s
}

// A look that failed is tried again, though the round went on.
func TestScanInboxTriesAgain(t *testing.T) {
	f := newFake()
	unavailable := errors.New("unavailable")
	for _, name := range []string{"a", "b", "c"} {
		f.upload(name+"/job.yaml", start.Add(-time.Hour)) // long before the next round looks back
	}
	f.broken["submit b/job.yaml"] = unavailable
	w := f.watcher(t)
	if err := w.Tick(t.Context()); !errors.Is(err, unavailable) || len(f.submitted) != 3 {
		t.Fatalf("%v, looked at %q", err, f.submitted)
	}
	f.broken, f.submitted, f.now = map[string]error{}, nil, start.Add(time.Hour)
	ticked(t, w)
	if !slices.Contains(f.submitted, "b/job.yaml") {
		t.Errorf("looked at %q only", f.submitted)
	}
}

// A replay runs drops without a record, and no more than were asked for.
func TestReplay(t *testing.T) {
	f := newFake()
	for _, name := range []string{"a/a", "a/b", "a/c", "a/d", "b/e"} {
		f.upload(name+"/job.yaml", start.Add(-1000*time.Hour))
		f.upload(name+"/trainer.tar.gz", start)
	}
	f.upload("b2/job.yaml", start)
	f.upload("a/a/job.yml", start) // two job files are one drop
	f.uploaded[2].Size = 0         // an empty object is none: a/b
	known := f.uploaded[4].Object
	f.records[job.AttemptKey(known)] = attempt.Stored{Record: attempt.NewRecord(known, start)} // a/c
	unavailable := errors.New("unavailable")
	f.broken["submit a/d/job.yaml"] = unavailable
	w := f.watcher(t)
	tests := []struct {
		prefix    string
		dry       bool
		limit     int
		said      []string
		submitted []string
		err       error
	}{
		{"a/", true, 10, []string{"a/a/job.yaml", "known a/c/job.yaml", "a/d/job.yaml"}, nil, nil},
		{"a/", true, 1, []string{"a/a/job.yaml", "known a/c/job.yaml"}, nil, watcher.ErrMore},
		{"a/", false, 1, []string{"a/a/job.yaml", "known a/c/job.yaml"}, []string{"a/a/job.yaml"}, watcher.ErrMore},
		{"a/", false, 2, []string{"a/a/job.yaml", "known a/c/job.yaml", "failed a/d/job.yaml"},
			[]string{"a/a/job.yaml", "a/d/job.yaml"}, nil},
		{"", false, 2, []string{"a/a/job.yaml", "known a/c/job.yaml", "failed a/d/job.yaml"},
			[]string{"a/a/job.yaml", "a/d/job.yaml"}, watcher.ErrMore},
		{"none/", false, 2, nil, nil, nil},
		{"b", true, 2, []string{"b/e/job.yaml"}, nil, nil}, // a folder, and not what begins so
		{"a/a/job.yaml", true, 2, []string{"a/a/job.yaml"}, nil, nil},
	}
	for _, test := range tests {
		f.submitted = nil
		var said []string
		err := w.Replay(t.Context(), test.prefix, test.dry, test.limit, func(r watcher.Replayed) error {
			name := r.JobFile.Name
			switch {
			case r.Known:
				name = "known " + name
			case r.Err != nil:
				name = "failed " + name
			}
			said = append(said, name)
			return nil
		})
		if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
			t.Errorf("%q: %v, want %v", test.prefix, err, test.err)
		}
		if diff := gocmp.Diff([][]string{test.said, test.submitted}, [][]string{said, f.submitted}); diff != "" {
			t.Errorf("%q, dry %t, %d at most: said and run (-want +got):\n%s", test.prefix, test.dry, test.limit, diff)
		}
	}
}

// A tick looks at a slice of a large inbox, and the next one continues.
func TestScanInboxInSlices(t *testing.T) {
	f := newFake()
	for i := range 35 {
		f.upload(fmt.Sprintf("%02d/job.yaml", i), start.Add(-time.Minute))
	}
	w := f.watcher(t)
	for i, want := range []int{10, 20, 30, 35, 45} { // pages of two, five in a tick; then another round
		f.now = start.Add(time.Duration(i) * time.Second)
		ticked(t, w)
		if len(f.submitted) != want {
			t.Fatalf("%d looked at after tick %d, want %d", len(f.submitted), i+1, want)
		}
	}
}

// An inbox of old drops is left alone, and the first tick records when that was.
func TestFirstStart(t *testing.T) {
	f := newFake()
	f.epoch, f.pageSize = time.Time{}, 1000
	for i := range 10_000 {
		f.upload(fmt.Sprintf("%05d/job.yaml", i), start.Add(-time.Minute))
	}
	w := f.watcher(t)
	for range 5 {
		f.now = f.now.Add(time.Minute)
		ticked(t, w)
	}
	if len(f.submitted) > 0 {
		t.Errorf("%d old drops are run", len(f.submitted))
	}
	if want := start.Add(time.Minute); !f.epoch.Equal(want) {
		t.Errorf("epoch %s, want %s", f.epoch, want)
	}

	// A drop may come before the first tick.
	f = newFake()
	f.epoch = time.Time{}
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.listed, f.now = []attempt.BackendJob{backendJob("j", job.BackendRunning)}, start.Add(10*time.Minute)
	ticked(t, f.watcher(t))
	if !f.epoch.Equal(start) {
		t.Errorf("epoch %s, want that of the first drop", f.epoch)
	}

	// Without the epoch nothing is looked for, and the tick reports an error.
	f = newFake()
	f.epoch = time.Time{}
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.listed, f.now = []attempt.BackendJob{backendJob("j", job.BackendRunning)}, start.Add(49*time.Hour)
	f.upload("lost/job.yaml", start.Add(48*time.Hour))
	if err := f.watcher(t).Tick(t.Context()); err == nil || !strings.Contains(err.Error(), "write the object epoch") ||
		!f.epoch.IsZero() || len(f.submitted) > 0 {
		t.Errorf("%v, epoch %s, submitted %q", err, f.epoch, f.submitted)
	}
}

// Packages without a job file are reported once, if the policy asks for it.
func TestAlone(t *testing.T) {
	f := newFake()
	f.upload("alone/trainer.tar.gz", start)
	f.upload("alone/other.tar.gz", start)
	f.upload("alone/deeper/job.yaml", start.Add(-100*time.Hour))
	f.upload("drop/trainer.tar.gz", start)
	f.upload("drop/job.yaml", start.Add(-100*time.Hour))
	f.upload("never/trainer.tar.gz", start)
	var log bytes.Buffer
	o := f.options()
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	o.Patience = func(context.Context) (func(string) job.Patience, error) {
		return func(folder string) job.Patience {
			if folder == "never/" {
				return job.Patience{}
			}
			return job.Patience{Alone: time.Hour}
		}, nil
	}
	w, err := f.new(o)
	if err != nil {
		t.Fatal(err)
	}
	f.upload("failing/job.yaml", start) // and keeps the rounds from being clean
	f.broken["submit failing/job.yaml"] = errors.New("unavailable")
	for range 30 {
		f.now = f.now.Add(5 * time.Minute)
		_ = w.Tick(t.Context())
	}
	if n := strings.Count(log.String(), "packages without a job file"); n != 1 ||
		!strings.Contains(log.String(), "folder=alone/ ") {
		t.Errorf("%d reports:\n%s", n, &log)
	}
}

// counted counts the pages listed of a folder.
type counted struct {
	*fake
	folder string
	pages  int
}

func (c *counted) ListAfter(ctx context.Context, bucket, prefix, after string,
	page func([]job.Attributes) error) error {
	return c.fake.ListAfter(ctx, bucket, prefix, after, func(items []job.Attributes) error {
		if strings.HasPrefix(prefix, c.folder) {
			c.pages++
		}
		return page(items)
	})
}

// To find out whether a folder has a job file costs one page for each name that it may have.
func TestAloneListsLittle(t *testing.T) {
	for _, has := range []bool{false, true} {
		f := newFake()
		f.pageSize = 2
		f.upload("d/a.tar.gz", start)
		for i := range 20 {
			f.upload(fmt.Sprintf("d/job.a/%d", i), start)
			f.upload(fmt.Sprintf("d/job.json%d", i), start)
			f.upload(fmt.Sprintf("d/job.yaml/%d", i), start)
		}
		if has {
			f.upload("d/job.yml", start.Add(-100*time.Hour))
		}
		var log bytes.Buffer
		o := f.options()
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		o.Patience = func(context.Context) (func(string) job.Patience, error) {
			return func(string) job.Patience { return job.Patience{Alone: time.Hour} }, nil
		}
		inbox := &counted{fake: f, folder: "d/"}
		w, err := watcher.New(f.fakeLedger, f.fakeBackend, inbox, f.fakeRelay, f.fakeSubmitter, o)
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			f.now = f.now.Add(5 * time.Minute)
			ticked(t, w)
		}
		if told := strings.Contains(log.String(), "packages without a job file"); told == has || inbox.pages == 0 ||
			inbox.pages > 3 {
			t.Errorf("with a job file %t: told %t, %d pages listed, want 1 to 3", has, told, inbox.pages)
		}
	}
}

// A record that the index lost comes back. One that is newer than its entry is looked at.
func TestScanRecords(t *testing.T) {
	f := newFake()
	for _, id := range []string{"lost", "behind", "fine", "over"} {
		f.add(t, id, backendJob(id, job.BackendRunning))
		l := backendJob(id, job.BackendRunning)
		l.Labels = map[string]string{job.LabelAttempt: job.AttemptLabel(f.owners[id])}
		f.listed = append(f.listed, l)
	}
	f.records[f.owners["over"]] = func() attempt.Stored {
		s := f.records[f.owners["over"]]
		s.Record, _, _ = attempt.Step(s.Record, attempt.Seen(backendJob("over", job.BackendSucceeded), start), start)
		s.Published = s.Sequence
		return s
	}()
	f.direct["over"] = backendJob("over", job.BackendSucceeded)
	behind := f.entries[1]
	behind.Revision--
	f.entries = []attempt.Entry{behind, f.entries[2]}
	told := map[string]bool{}
	w, err := watcher.New(f.fakeLedger, f.fakeBackend, f.fakeInbox, teller(func(s attempt.Stored) { told[s.Job.ID] = true }), f.fakeSubmitter,
		f.options())
	if err != nil {
		t.Fatal(err)
	}
	ticked(t, w)
	if diff := gocmp.Diff([]string{f.owners["lost"]}, f.broughtUp); diff != "" || f.beats[0].Reopened != 1 {
		t.Errorf("%d brought up again (-want +got):\n%s", f.beats[0].Reopened, diff)
	}
	if diff := gocmp.Diff(map[string]bool{"behind": true}, told); diff != "" {
		t.Errorf("looked at (-want +got):\n%s", diff)
	}
	if len(f.strangers) > 0 {
		t.Errorf("strangers: %q", f.strangers)
	}
	told["behind"] = false
	ticked(t, w)
	if !told["lost"] {
		t.Error("what was brought up again is not looked at")
	}
}

type teller func(attempt.Stored)

func (t teller) Tell(_ context.Context, s attempt.Stored, _ attempt.Entry) error { t(s); return nil }

// Jobs with our label that nobody follows are reported.
func TestStrangers(t *testing.T) {
	f := newFake()
	of := func(id, key string, s job.BackendState) attempt.BackendJob {
		l := backendJob(id, s)
		l.Labels = map[string]string{job.LabelAttempt: job.AttemptLabel(key)}
		return l
	}
	f.add(t, "mine", backendJob("mine", job.BackendRunning))
	f.add(t, "ended", backendJob("ended", job.BackendSucceeded))
	f.add(t, "revived", backendJob("revived", job.BackendSucceeded))
	f.add(t, "taken", backendJob("taken", job.BackendSucceeded))
	f.listed = []attempt.BackendJob{
		of("mine", f.owners["mine"], job.BackendRunning), of("ended", f.owners["ended"], job.BackendRunning),
		of("revived", f.owners["revived"], job.BackendRunning),
		of("taken", "another", job.BackendRunning), of("none", "gone", job.BackendQueued),
		of("claimed", "gone", job.BackendQueued),
	}
	f.owners["claimed"] = "gone"
	f.entries = f.entries[:1]
	f.direct["ended"], f.direct["revived"] = backendJob("ended", job.BackendSucceeded), backendJob("revived",
		job.BackendRunning)
	ticked(t, f.watcher(t))
	slices.Sort(f.strangers)
	if diff := gocmp.Diff([]string{"claimed", "none", "revived", "taken"}, f.strangers); diff != "" ||
		f.beats[0].Strangers != 4 {
		t.Errorf("strangers (-want +got):\n%s", diff)
	}
	if len(f.cancelled) > 0 {
		t.Errorf("cancelled %q", f.cancelled)
	}
}

// A job that nobody follows is reported until that is recorded, and then no more.
func TestStrangerIsToldBeforeItIsNoted(t *testing.T) {
	f := newFake()
	f.listed = []attempt.BackendJob{backendJob("stranger", job.BackendRunning)}
	var told []string
	options := f.options()
	options.Logger = slog.New(alerts(func(r slog.Record) { told = append(told, r.Message) }))
	w, err := f.new(options)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space")
	for i, noted := range []error{full, nil, nil} {
		f.broken["note stranger"] = noted
		if err := w.Tick(t.Context()); !errors.Is(err, noted) {
			t.Errorf("tick %d: %v", i, err)
		}
	}
	if diff := gocmp.Diff(slices.Repeat([]string{"a job of this installation that nobody follows"}, 2), told); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// alerts is a log whose errors count.
type alerts func(slog.Record)

func (alerts) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (a alerts) Handle(_ context.Context, r slog.Record) error { a(r); return nil }

func (a alerts) WithAttrs([]slog.Attr) slog.Handler { return a }

func (a alerts) WithGroup(string) slog.Handler { return a }

// Even if no tick has the time for the whole index, jobs that nobody follows are reported, and
// lost entries come back.
func TestScansOverManyTicks(t *testing.T) {
	f := newFake()
	for i := range 12 {
		id := fmt.Sprintf("j%02d", i)
		f.add(t, id, backendJob(id, job.BackendRunning))
		l := backendJob(id, job.BackendRunning)
		l.Labels = map[string]string{job.LabelAttempt: job.AttemptLabel(f.owners[id])}
		f.listed = append(f.listed, l)
	}
	f.listed = append(f.listed, backendJob("stranger", job.BackendRunning))
	lost := f.entries[5].Attempt
	f.entries = slices.Delete(f.entries, 5, 6)
	f.onPage = func() { f.now = f.now.Add(3 * time.Minute) }
	w := f.watcher(t)
	for range 10 {
		ticked(t, w)
	}
	if !slices.Contains(f.strangers, "stranger") || slices.ContainsFunc(f.strangers, func(s string) bool {
		return s != "stranger"
	}) {
		t.Errorf("strangers %q", f.strangers)
	}
	if !slices.Equal(f.broughtUp, []string{lost}) {
		t.Errorf("brought up again: %q, want %s", f.broughtUp, lost)
	}
}

// A tick stops in time, and the next one continues where it stopped, so the tail does not starve.
func TestTickGoesOnWhereItStopped(t *testing.T) {
	f := newFake()
	for i := range 10 {
		id := fmt.Sprintf("j%d", i)
		f.add(t, id, backendJob(id, job.BackendQueued))
		f.listed = append(f.listed, backendJob(id, job.BackendQueued))
	}
	f.onPage = func() { f.now = f.now.Add(2 * time.Minute) } // of the ten that a tick has
	visited := map[string]int{}
	for i := range f.entries {
		f.entries[i].Revision = 0 // each needs a look
	}
	f.onTell = func(s attempt.Stored) { visited[s.Job.ID]++ }
	w := f.watcher(t)
	ticked(t, w)
	if n := len(visited); n != 4 || f.beats[0].Complete {
		t.Fatalf("%d visited in a tick that had no time for all, complete %t", n, f.beats[0].Complete)
	}
	ticked(t, w)
	ticked(t, w)
	for id, n := range visited {
		if n != 1 {
			t.Errorf("%s was visited %d times", id, n)
		}
	}
	if len(visited) != 10 {
		t.Errorf("%d of 10 were visited in three ticks", len(visited))
	}
	if b := f.beats[2]; b.Complete || f.cursors.Open.After != "" {
		t.Errorf("the round is over: %+v, %+v", b, f.cursors.Open)
	}
}

// Many jobs that end at once are looked at as fast as the quota allows, without reaching the
// function's time limit.
func TestTickStopsWithinAPage(t *testing.T) {
	f := newFake()
	f.pageSize = 1000
	for i := range 100 {
		id := fmt.Sprintf("j%02d", i)
		f.add(t, id, backendJob(id, job.BackendRunning))
		f.direct[id] = backendJob(id, job.BackendSucceeded)
	}
	f.onGet = func() { f.now = f.now.Add(20 * time.Second) } // each poll takes that long
	w := f.watcher(t)
	ticked(t, w)
	if n := len(f.told); n == 0 || n > 25 || f.cursors.Open.After == "" {
		t.Fatalf("%d of 100 told, cursor %q", n, f.cursors.Open.After)
	}
	for range 20 {
		f.retell()
		ticked(t, w)
	}
	if len(f.told) != 100 {
		t.Errorf("%d of 100 told in the end", len(f.told))
	}
}

// If there are very many undecided drops, they are looked at in turns: no event reports a deleted
// job file.
func TestTickLooksAtUndecidedInTurns(t *testing.T) {
	f := newFake()
	const n = 1000
	for i := range n {
		f.entries = append(f.entries, attempt.Entry{Attempt: fmt.Sprintf("a%04d", i), Bucket: "inbox",
			JobFile: fmt.Sprintf("a%04d/job.yaml", i), State: job.Waiting, Revision: 1})
	}
	f.pageSize = 100
	w := f.watcher(t)
	ticked(t, w) // learns how many there are
	seen := map[string]bool{}
	for range 11 {
		f.resumed = nil
		ticked(t, w)
		if len(f.resumed) > 200 {
			t.Errorf("%d looked at in a tick", len(f.resumed))
		}
		for _, name := range f.resumed {
			seen[name] = true
		}
	}
	if len(seen) != n {
		t.Errorf("%d of %d were looked at", len(seen), n)
	}
}

// A tick works without the state bucket's other notes.
func TestTickWithoutNotes(t *testing.T) {
	for _, broken := range []string{"cursors", "move cursors", "beat", "records", "stranger"} {
		t.Run(broken, func(t *testing.T) {
			f := newFake()
			gone := errors.New(broken)
			f.broken[broken] = gone
			f.add(t, "j", backendJob("j", job.BackendQueued))
			f.listed = []attempt.BackendJob{backendJob("j", job.BackendRunning), backendJob("stranger", job.BackendQueued)}
			if err := f.watcher(t).Tick(t.Context()); !errors.Is(err, gone) {
				t.Errorf("%v, want %v", err, gone)
			}
			if diff := gocmp.Diff(map[string][]job.EventType{"j": {job.JobRunning}}, f.told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

// A record that can't be read and is not on the index does not keep the others from being
// compared.
func TestScanRecordsGoesOn(t *testing.T) {
	f := newFake()
	for _, id := range []string{"a", "b", "c", "d"} {
		f.add(t, id, backendJob(id, job.BackendRunning))
	}
	unreadable := errors.New("unreadable")
	attempts := slices.Sorted(maps.Keys(f.records))
	f.entries, f.broken[attempts[0]] = nil, unreadable
	w := f.watcher(t)
	if err := w.Tick(t.Context()); !errors.Is(err, unreadable) {
		t.Errorf("Tick: %v", err)
	}
	if diff := gocmp.Diff(attempts[1:], f.broughtUp); diff != "" || f.cursors.Records.After != "" {
		t.Errorf("brought up again, cursor %q (-want +got):\n%s", f.cursors.Records.After, diff)
	}
}

// A failing drop that is on the index is left to the index's ticks. It does not make every round
// look at all drops since.
func TestScanInboxLeavesWhatIsOnTheIndex(t *testing.T) {
	f := newFake()
	unavailable := errors.New("unavailable")
	o := f.upload("a/job.yaml", start.Add(-10*time.Minute))
	f.broken["submit a/job.yaml"] = unavailable
	f.onSubmit = func() {
		f.entries = []attempt.Entry{{Attempt: job.AttemptKey(o), Bucket: "inbox", JobFile: o.Name}}
	}
	w := f.watcher(t)
	if err := w.Tick(t.Context()); !errors.Is(err, unavailable) || f.cursors.Inbox.Failed || f.beats[0].Found != 1 {
		t.Errorf("%v, cursor %+v", err, f.cursors.Inbox)
	}
	f.now = f.now.Add(20 * time.Minute)
	ticked(t, w)
	if len(f.submitted) != 1 || f.beats[1].Found != 0 {
		t.Errorf("looked at %q again", f.submitted)
	}
}

// A process that has just started learns the storage service's clock from its first call.
func TestTickBeginsByTheStorageClock(t *testing.T) {
	f := newFake()
	f.onCursors = func() { f.now = start.Add(10 * time.Minute) }
	ticked(t, f.watcher(t))
	if at := f.beats[0].At; !at.Equal(start.Add(10 * time.Minute)) {
		t.Errorf("the tick began at %s", at)
	}
}

// A damaged note of the cursors is reported once, and replaced.
func TestTickHealsItsCursors(t *testing.T) {
	f := newFake()
	damaged := errors.New("damaged")
	f.broken["cursors"], f.cursors = damaged, attempt.Cursors{Generation: 7}
	w := f.watcher(t)
	if err := w.Tick(t.Context()); !errors.Is(err, damaged) {
		t.Errorf("Tick: %v", err)
	}
	if f.cursors.Ticks != 1 || f.cursors.Generation != 7 {
		t.Errorf("cursors %+v", f.cursors)
	}
}

// inBubble returns a watcher with the bubble's clock and the time limits of the function in the
// cloud, and a tick under its request.
func inBubble(t *testing.T, f *fake, change func(o *watcher.Options)) (tick func() (time.Duration, error)) {
	t.Helper()
	o := f.options()
	o.Now, o.Budget = time.Now, 7*time.Minute
	if change != nil {
		change(&o)
	}
	w, err := f.new(o)
	if err != nil {
		t.Fatal(err)
	}
	f.epoch = time.Now().Add(-time.Hour)
	return func() (time.Duration, error) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
		defer cancel()
		err := w.Tick(ctx)
		return time.Since(begin), err
	}
}

// Attempts that hang at every look do not hold up those behind them for ever, and neither do drops
// of the inbox. The notes are written all the same.
func TestTickGoesOnPastWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		for _, name := range []string{"a0", "a1", "a2", "a3", "hangs/job.yaml"} {
			f.takes[name] = time.Hour
		}
		for i := range 10 {
			f.entries = append(f.entries, attempt.Entry{Attempt: fmt.Sprintf("a%d", i), Bucket: "inbox",
				JobFile: fmt.Sprintf("a%d/job.yaml", i), State: job.Waiting})
		}
		tick := inBubble(t, f, nil)
		f.upload("hangs/job.yaml", time.Now().Add(-time.Minute))
		f.upload("other/job.yaml", time.Now().Add(-time.Minute))
		for i := range 4 {
			if took, err := tick(); took > 7*time.Minute || i == 0 && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("tick %d took %s: %v", i, took, err)
			}
		}
		if got := slices.Compact(slices.Sorted(slices.Values(f.resumed))); len(got) != 6 {
			t.Errorf("looked at %q", got)
		}
		if !slices.Contains(f.submitted, "other/job.yaml") {
			t.Errorf("found %q", f.submitted)
		}
		if len(f.beats) != 4 || f.cursors.Ticks != 4 {
			t.Errorf("%d heartbeats, cursors of tick %d", len(f.beats), f.cursors.Ticks)
		}
	})
}

// A drop that takes minutes to inspect gets them.
func TestTickWaitsForLargeDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.entries = []attempt.Entry{{Attempt: "a", Bucket: "inbox", JobFile: "a/job.yaml", State: job.Waiting}}
		f.takes["a"], f.takes["b/job.yaml"] = 3*time.Minute, 3*time.Minute
		tick := inBubble(t, f, nil)
		f.upload("b/job.yaml", time.Now().Add(-time.Minute))
		if took, err := tick(); err != nil || took != 6*time.Minute {
			t.Errorf("ended after %s, %v", took, err)
		}
	})
}

// The queue gets the whole index, each entry once, whatever part of it the pass visited. If that
// was all of it, the index is listed once. The turns are read first.
func TestBacklog(t *testing.T) {
	tests := []struct {
		name  string
		after string // where the pass begins
		slow  bool   // and it ends after two pages
		lists int
	}{
		{"the whole index", "", false, 1},
		{"its begin", "", true, 2},
		{"its end", "a3", false, 2},
		{"from a name that is gone", "a3x", false, 2},
		{"its middle", "a3", true, 3},
	}
	for _, test := range tests {
		f := newFake()
		want := map[string]int64{}
		for i := range 12 {
			folder := fmt.Sprintf("a%d/", i%10)
			e := attempt.Entry{Attempt: fmt.Sprintf("a%d", i), JobFile: folder + "job.yaml", State: job.Accepted,
				Due: start.Add(time.Hour), Revision: 1}
			if want[folder]++; i >= 8 { // somewhere in the middle, in the order of names
				e.Waits, e.CreateUnknown = "paused", true
				if want[folder]--; want[folder] == 0 {
					delete(want, folder)
				}
			}
			f.entries = append(f.entries, e)
		}
		f.entries[5].Waits, f.entries[5].CreateUnknown = "paused", true
		delete(want, "a5/")
		f.cursors.Open = attempt.Cursor{After: test.after, Began: start}
		if test.slow {
			pages := 0
			f.onPage = func() {
				if pages++; pages == 2 {
					f.now = f.now.Add(7 * time.Minute) // of the ten that a tick has
				}
			}
		}
		ticked(t, f.watcher(t))
		if len(f.admitted) != 1 {
			t.Fatalf("%s: the queue was gone through %d times", test.name, len(f.admitted))
		}
		b := f.admitted[0]
		var waiting []string
		for _, e := range b.Waiting {
			waiting = append(waiting, e.Attempt)
		}
		slices.Sort(waiting)
		if diff := gocmp.Diff([]string{"a10", "a11", "a5", "a8", "a9"}, waiting); diff != "" {
			t.Errorf("%s: waiting (-want +got):\n%s", test.name, diff)
		}
		if diff := gocmp.Diff(want, b.Active); diff != "" {
			t.Errorf("%s: active (-want +got):\n%s", test.name, diff)
		}
		if len(f.lists) != 1+test.lists || f.lists[0] != "turns" {
			t.Errorf("%s: listed from %q", test.name, f.lists)
		}
	}
}

// A job that is seen to have ended makes room in the same tick. Without the turns nothing is
// started.
func TestBacklogOfATick(t *testing.T) {
	f := newFake()
	f.add(t, "ended", backendJob("ended", job.BackendRunning))
	f.add(t, "runs", backendJob("runs", job.BackendRunning))
	f.listed, f.direct["ended"] = []attempt.BackendJob{backendJob("runs", job.BackendRunning)}, backendJob("ended",
		job.BackendSucceeded)
	f.entries = append(f.entries, attempt.Entry{Attempt: "w", JobFile: "w/job.yaml", State: job.Accepted,
		Waits: "its turn", Revision: 1})
	ticked(t, f.watcher(t))
	if diff := gocmp.Diff(map[string]int64{"runs/": 1}, f.admitted[0].Active); diff != "" {
		t.Errorf("active (-want +got):\n%s", diff)
	}
	unreadable := errors.New("unreadable")
	f.broken["turns"] = unreadable
	if err := f.watcher(t).Tick(t.Context()); !errors.Is(err, unreadable) || len(f.admitted) != 1 {
		t.Errorf("%v, gone through %d times", err, len(f.admitted))
	}
}

// What one drop, or whoever uploads it, can cause is logged and counted, and fails no tick: of an
// attempt on the index as of a drop whose event was lost. What the installation lacks does.
func TestOneDropFailsNoTick(t *testing.T) {
	changes := fmt.Errorf("gs://inbox/a/: the folder changed: %w", attempt.ErrStale)
	broken := errors.New("unavailable")
	for _, test := range []struct {
		name   string
		set    func(f *fake)
		fails  error
		logged string
	}{
		{"a folder that changes, on the index", func(f *fake) { f.broken["a"] = changes }, nil,
			"attempts changed while a tick looked at them"},
		{"a folder that changes, in the inbox", func(f *fake) { f.broken["submit b/job.yaml"] = changes }, nil,
			"attempts changed while a tick looked at them"},
		{"a drop that takes too long to check, on the index", func(f *fake) { f.takes["a"], f.slow = time.Hour, true }, nil,
			"drops took longer to check than a tick has for one"},
		{"a drop that takes too long to check, in the inbox", func(f *fake) {
			f.takes["b/job.yaml"], f.slow = time.Hour, true
		}, nil,
			"drops took longer to check than a tick has for one"},
		{"the list of the inbox", func(f *fake) { f.broken["inbox"] = broken }, broken, ""},
		{"a service that does not answer", func(f *fake) { f.broken["a"] = broken }, broken, ""},
		{"an attempt that hangs elsewhere", func(f *fake) { f.takes["a"] = time.Hour }, context.DeadlineExceeded, ""},
		{"both", func(f *fake) {
			f.broken["a"], f.broken["submit b/job.yaml"] = broken, changes
		}, broken, "attempts changed while a tick looked at them"},
		{"all at once in one answer", func(f *fake) { f.broken["a"] = errors.Join(changes, broken) }, broken, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				f.entries = []attempt.Entry{{Attempt: "a", Bucket: "inbox", JobFile: "a/job.yaml", State: job.Waiting}}
				var log bytes.Buffer
				tick := inBubble(t, f, func(o *watcher.Options) {
					o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
				})
				f.upload("b/job.yaml", time.Now().Add(-time.Minute))
				test.set(f)
				_, err := tick()
				if !errors.Is(err, test.fails) || errors.Is(err, attempt.ErrStale) != strings.HasPrefix(test.name, "all") {
					t.Errorf("Tick: %v, want %v", err, test.fails)
				}
				if f.beats[0].Failed == 0 || !strings.Contains(log.String(), test.logged) {
					t.Errorf("%d failed, log:\n%s", f.beats[0].Failed, &log)
				}
			})
		})
	}
}

// The note of who waits is written if that has changed, once a tick at most. A tick that does not know who waits leaves
// it as it is.
func TestTickNotesTheQueue(t *testing.T) {
	f := newFake()
	w := f.watcher(t)
	waits := func(reasons ...string) {
		f.entries, f.queue = nil, &attempt.Queue{}
		for i, reason := range reasons {
			e := attempt.Entry{Attempt: fmt.Sprintf("a%d", i), JobFile: "a/job.yaml", State: job.Accepted, Waits: reason, Revision: 1}
			f.entries = append(f.entries, e)
			f.queue.Add(e, reason)
		}
	}
	written := func(when string, want int) {
		t.Helper()
		if f.now = f.now.Add(time.Minute); len(f.queues) != want {
			t.Errorf("%s: written %d times, want %d", when, len(f.queues), want)
		}
	}
	tick := func(when string, want int) {
		t.Helper()
		ticked(t, w)
		written(when, want)
	}
	tick("nobody waits", 0)
	waits("paused", "2 of 2 jobs are active")
	tick("two wait", 1)
	if q := f.queues[0]; q.Total != 2 || !q.At.Equal(f.now.Add(-time.Minute)) || q.Waiting[1].Reason != "2 of 2 jobs are active" {
		t.Errorf("the queue: %+v", q)
	}
	tick("nothing changes", 1)
	waits("paused", "paused")
	tick("for something else", 2)
	f.queue = nil // another tick goes through it
	tick("unknown", 2)
	f.broken["turns"] = errors.New("unavailable")
	_ = w.Tick(t.Context())
	written("without the turns", 2)
	delete(f.broken, "turns")
	waits("paused", "paused")
	f.queues = append(f.queues, attempt.Queue{}) // another tick writes its own
	tick("still the same, and the note is another's", 4)
	tick("nothing changes", 4)
	f.broken["stat queue"] = errors.New("unavailable")
	if err := w.Tick(t.Context()); err == nil {
		t.Error("the tick succeeds though the note can't be looked at")
	}
	delete(f.broken, "stat queue")
	waits("paused")
	f.queues = append(f.queues, attempt.Queue{})
	tick("another was faster", 5)
	tick("the next tick", 6)
	f.broken["write queue"] = job.ErrQuota
	waits()
	tick("too many writes", 6)
	gone := errors.New("unavailable")
	f.broken["write queue"] = gone
	if err := w.Tick(t.Context()); !errors.Is(err, gone) {
		t.Errorf("Tick: %v", err)
	}
	delete(f.broken, "write queue")
	tick("nobody waits any more", 7)
	if q := f.queues[6]; q.Total != 0 {
		t.Errorf("the queue: %+v", q)
	}
	tick("and nothing changes", 7)
}
