package watcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The parts of a tick, each on its own. What they do together is tested from outside.

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// at returns a budget of 100 s that a clock has used up to a point.
func at(used time.Duration) budget {
	return budget{begin: noon, total: 100 * time.Second, now: func() time.Time { return noon.Add(used) }}
}

var quiet = slog.New(slog.DiscardHandler)

func TestBudget(t *testing.T) {
	for _, test := range []struct {
		used  time.Duration
		share float64
		want  bool
	}{{59 * time.Second, passShare, true}, {60 * time.Second, passShare, false}, {60 * time.Second, otherShare, true}} {
		if got := at(test.used).left(t.Context(), test.share); got != test.want {
			t.Errorf("after %s something is left of %v: %t", test.used, test.share, got)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if at(0).left(over, 1) {
		t.Error("something is left of a tick that is over")
	}
	for _, test := range []struct{ used, want time.Duration }{
		{20 * time.Second, 60 * time.Second}, // of 80 s
		{70 * time.Second, leastVisit},       // the few that are visited however late it is
	} {
		if err := at(test.used).within(t.Context(), visitShare, "it", func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			if left := time.Until(deadline); left > test.want || left < test.want-10*time.Second {
				t.Errorf("after %s a visit may take %s, want %s", test.used, left, test.want)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	long := budget{begin: noon, total: time.Hour, now: func() time.Time { return noon }}
	_ = long.within(t.Context(), 1, "it", func(ctx context.Context) error {
		if deadline, _ := ctx.Deadline(); time.Until(deadline) > visitTime {
			t.Errorf("one attempt may take %s", time.Until(deadline))
		}
		return nil
	})
}

// What one drop can cause is logged, and makes no tick fail. Of everything else some is told, and the rest
// counted.
func TestFailures(t *testing.T) {
	var f failures
	if f.err() != nil {
		t.Error("nothing failed")
	}
	f.add(nil)
	f.add(fmt.Errorf("slow: %w", attempt.ErrStale))
	f.add(fmt.Errorf("attempt a: %w", attempt.ErrSlow))
	if f.err() != nil || f.count != 2 {
		t.Errorf("one drop makes a tick fail: %v, %d", f.err(), f.count)
	}
	denied := errors.New("denied")
	f.add(denied)
	var part failures
	for n := range reported + 5 {
		part.add(fmt.Errorf("failure %d", n))
	}
	f.join(part)
	err := f.err()
	if !errors.Is(err, denied) || errors.Is(err, attempt.ErrStale) || errors.Is(err, attempt.ErrSlow) || f.count != reported+8 {
		t.Errorf("of %d: %v", f.count, err)
	}
	if !strings.HasPrefix(err.Error(), "denied") || !strings.HasSuffix(err.Error(), "and 6 more failures") {
		t.Errorf("%v", err)
	}
	var log bytes.Buffer
	f.log(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("log: %s", log.String())
	}
}

func TestSightings(t *testing.T) {
	s := newSightings()
	jobOf := func(id, resource string) attempt.BackendJob {
		return attempt.BackendJob{JobID: id, ResourceName: resource, State: job.BackendRunning, Created: noon,
			Labels: map[string]string{job.LabelAttempt: "a"}}
	}
	for _, j := range []attempt.BackendJob{jobOf("a", "1"), jobOf("b", "2"), jobOf("a", "3"), jobOf("a", "1")} {
		s.add(j)
	}
	if got := s.of("a"); len(got) != 2 || got[0].ResourceName == got[1].ResourceName || !got[0].Created.Equal(noon) ||
		got[0].Labels[job.LabelAttempt] != "a" {
		t.Errorf("jobs of a: %+v", got)
	}
	if s.single("a") || !s.single("b") || !s.single("none") || s.shows("none") || !s.shows("b") {
		t.Error("a has two jobs, b one, none none")
	}
	if s.count() != -1 {
		t.Errorf("of a part of the list %d are counted", s.count())
	}
	if s.extent = allJobs; s.count() != 3 {
		t.Errorf("%d jobs", s.count())
	}
	if s.match("b"); !slices.Equal(s.unmatched(), []string{"a"}) {
		t.Errorf("unmatched: %q", s.unmatched())
	}
	entry := attempt.Entry{JobID: "a", Resource: "3", BackendState: job.BackendRunning}
	if !s.unchanged(entry) {
		t.Error("a job is as the index knows it")
	}
	if entry.BackendState = job.BackendQueued; s.unchanged(entry) {
		t.Error("a job has moved on")
	}
}

// filed lists records in pages of two.
type filed []attempt.Filed

func (f filed) Filed(_ context.Context, after string, page func([]attempt.Filed) error) error {
	var rest []attempt.Filed
	for _, one := range f {
		if one.Attempt > after {
			rest = append(rest, one)
		}
	}
	for chunk := range slices.Chunk(rest, 2) {
		if err := page(chunk); err != nil {
			return err
		}
	}
	return nil
}

func filedAs(key string, state job.State) attempt.Filed {
	return attempt.Filed{Summary: attempt.Summary{Attempt: key, State: state}}
}

// Place takes a record that has a number at its end. It knows no others.
func (f filed) Place(_ context.Context, r attempt.Filed) (int, error) { return 1, nil }

// ledgerIndex has no entry of any attempt, and a record of each, without a verdict.
type ledgerIndex struct{ opened []string }

func (x *ledgerIndex) Entry(context.Context, string) (attempt.Entry, error) {
	return attempt.Entry{}, job.ErrNotFound
}

func (x *ledgerIndex) Get(_ context.Context, key string) (attempt.Stored, error) {
	if key == "broken" {
		return attempt.Stored{}, errors.New("damaged")
	}
	return attempt.Stored{Record: attempt.Record{Attempt: key, State: job.Waiting}}, nil
}

func (x *ledgerIndex) Restore(_ context.Context, e attempt.Entry) error {
	x.opened = append(x.opened, e.Attempt)
	return nil
}

// A record without a verdict that the index lacks goes back to it. The cursor moves on only if
// there was time for all.
func TestComparison(t *testing.T) {
	records := filed{
		filedAs("broken", job.Waiting), filedAs("ended", job.Succeeded), filedAs("lost", job.Waiting),
		{Summary: attempt.Summary{Attempt: "open", State: job.Submitted}, Revision: 3},
	}
	x := &ledgerIndex{}
	c := comparison{records: records, index: index{records: x, logger: quiet}}
	s := c.list(t.Context(), at(0), attempt.Cursor{})
	if !s.atEnd || len(s.filed) != len(records) {
		t.Fatalf("slice %+v", s)
	}
	if !s.take(attempt.Entry{Attempt: "open", Revision: 2}) || s.take(attempt.Entry{Attempt: "new", Revision: 1}) {
		t.Error("the entry of open is older than its record, and new has none")
	}
	late := at(90 * time.Second)
	if did := c.finish(t.Context(), late, s, c.repair(t.Context(), late, s)); did.reopened != 0 ||
		did.cursor.Last != (time.Time{}) {
		t.Errorf("without time: %+v", did)
	}
	did := c.repair(t.Context(), at(0), s)
	did.cursor = c.finish(t.Context(), at(0), s, did).cursor
	if did.reopened != 1 || did.failures.count != 1 || !slices.Equal(x.opened, []string{"lost"}) ||
		!did.cursor.Last.Equal(noon) || did.cursor.After != "" {
		t.Errorf("opened %q: %+v", x.opened, did)
	}
}

// epochs is a state bucket without an epoch, in which another tick may be faster.
type epochs struct {
	filed
	begun, other time.Time
}

func (e *epochs) Epoch(context.Context) (time.Time, error) {
	if e.begun.IsZero() {
		return e.begun, job.ErrNotFound
	}
	return e.begun, nil
}

func (e *epochs) Begin(_ context.Context, at time.Time) error {
	if e.begun = at; !e.other.IsZero() {
		e.begun = e.other
	}
	return nil
}

func TestEpoch(t *testing.T) {
	now := func() time.Time { return noon }
	for _, test := range []struct {
		name    string
		records *epochs
		want    time.Time
		fault   string
	}{
		{"first start", &epochs{}, noon, ""},
		{"drops came before the first tick",
			&epochs{filed: filed{{Summary: attempt.Summary{Attempt: "a"}, Written: noon.Add(-time.Hour)}}}, noon.Add(-time.Hour), ""},
		{"another tick was faster", &epochs{other: noon.Add(-time.Second)}, noon.Add(-time.Second), ""},
		{"the epoch was lost", &epochs{filed: filed{{Summary: attempt.Summary{Attempt: "a"}, Written: noon.Add(-49 * time.Hour)}}}, noon,
			"it was damaged"},
	} {
		e := &epoch{records: test.records, now: now}
		got, err := e.start(t.Context())
		if fault := fmt.Sprint(err); (test.fault == "") != (err == nil) || !strings.Contains(fault, test.fault) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil && !got.Equal(test.want) {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// entries is an index, in pages of two, and a submitter that takes the backlog.
type entries struct {
	all   []string
	lists []string
	until time.Time
}

func (e *entries) Turns(context.Context) (attempt.Turns, error) { return attempt.Turns{}, nil }

func (e *entries) Entries(_ context.Context, after string, page func([]attempt.Entry) error) error {
	e.lists = append(e.lists, after)
	var rest []attempt.Entry
	for _, key := range e.all {
		if key > after {
			rest = append(rest, attempt.Entry{Attempt: key, State: job.Accepted, Waits: "its turn"})
		}
	}
	for chunk := range slices.Chunk(rest, 2) {
		if err := page(chunk); err != nil {
			return err
		}
	}
	return nil
}

func (e *entries) Admit(_ context.Context, _ *attempt.Backlog, until time.Time) (*attempt.Queue, error) {
	e.until = until
	return nil, nil
}

func (e *entries) QueueGeneration(context.Context) (int64, error) { return 0, nil }

func (e *entries) WriteQueue(context.Context, attempt.Queue, int64) (int64, error) { return 0, nil }

// The queue adds what the pass did not visit, each attempt once, and lists no more than that.
func TestQueue(t *testing.T) {
	for _, test := range []struct {
		visited coverage
		want    []string // of the backlog, besides what was visited
		lists   []string
	}{
		{coverage{atEnd: true}, nil, nil},
		{coverage{to: "c"}, []string{"d", "e"}, []string{"c"}},
		{coverage{from: "b", atEnd: true}, []string{"a", "b"}, []string{""}},
		{coverage{from: "bb", to: "d"}, []string{"a", "b", "e"}, []string{"", "d"}},
		{coverage{from: "a", to: "a"}, []string{"a", "b", "c", "d", "e"}, []string{"", "a"}},
	} {
		e := &entries{all: []string{"a", "b", "c", "d", "e"}}
		q := queue{records: e, submitter: e}
		backlog, err := q.open(t.Context(), at(0))
		if err == nil {
			_, err = q.run(t.Context(), at(0), backlog, test.visited)
		}
		var got []string
		for _, w := range backlog.Waiting {
			got = append(got, w.Attempt)
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, test.want) || !slices.Equal(e.lists, test.lists) {
			t.Errorf("%+v: %q by lists from %q, %v; want %q, %q", test.visited, got, e.lists, err, test.want, test.lists)
		}
		if want := noon.Add(85 * time.Second); !e.until.Equal(want) {
			t.Errorf("the queue goes on until %s", e.until)
		}
	}
}

// tokens is a backend's list of four jobs, one a page. It knows the tokens that it gave, but for
// one that is too old.
type tokens struct {
	tooOld string
	fail   int // the page that can't be listed, from 1
	lists  []string
}

func (k *tokens) ListActive(_ context.Context, _, from string, page func([]attempt.BackendJob, string) error) error {
	k.lists = append(k.lists, from)
	if from != "" && from == k.tooOld {
		return &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: "page token"}
	}
	first := 1
	if from != "" {
		if _, err := fmt.Sscan(from, &first); err != nil {
			return err
		}
	}
	for n := first; n <= 4; n++ {
		if n == k.fail {
			return errors.New("connection reset")
		}
		next := fmt.Sprint(n + 1)
		if n == 4 {
			next = ""
		}
		if err := page([]attempt.BackendJob{{JobID: fmt.Sprint("j", n)}}, next); err != nil {
			return err
		}
	}
	return nil
}

// The list goes on where the last tick stopped. Only one that began at the beginning is whole.
func TestListing(t *testing.T) {
	for _, test := range []struct {
		name    string
		backend tokens
		slow    bool // that the quota leaves one page a tick
		from    string
		want    extent
		jobs    int
		cursor  string
		lists   []string
		fails   bool
	}{
		{name: "whole", want: allJobs, jobs: 4, lists: []string{""}},
		{name: "the rest", from: "3", want: someJobs, jobs: 2, lists: []string{"3"}},
		{name: "too old", backend: tokens{tooOld: "3"}, from: "3", want: allJobs, jobs: 4, lists: []string{"3", ""}},
		{name: "the time is over", slow: true, want: someJobs, jobs: 1, cursor: "2", lists: []string{""}},
		{name: "a page fails", backend: tokens{fail: 3}, want: someJobs, jobs: 2, cursor: "3", lists: []string{""}, fails: true},
		{name: "the first page fails", backend: tokens{fail: 1}, want: noJobs, lists: []string{""}, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := listing{backend: &test.backend, reads: rate.NewLimiter(rate.Inf, 1), logger: quiet}
			if test.slow {
				l.reads.SetLimit(rate.Every(time.Hour))
			}
			got := l.run(t.Context(), at(0), attempt.Cursor{After: test.from})
			if got.jobs.extent != test.want || len(got.jobs.all)-1 != test.jobs || got.cursor.After != test.cursor ||
				(got.err != nil) != test.fails {
				t.Errorf("extent %d, %d jobs, cursor %q, %v", got.jobs.extent, len(got.jobs.all)-1, got.cursor.After, got.err)
			}
			if diff := cmp.Diff(test.lists, test.backend.lists); diff != "" {
				t.Errorf("lists (-want +got):\n%s", diff)
			}
		})
	}
}

// What is idle costs nothing: an attempt is visited only if something may have changed.
func TestIdle(t *testing.T) {
	jobs := newSightings()
	jobs.extent = allJobs
	jobs.add(attempt.BackendJob{JobID: "runs", ResourceName: "r", State: job.BackendRunning})
	jobs.add(attempt.BackendJob{JobID: "twice", ResourceName: "1", State: job.BackendRunning})
	jobs.add(attempt.BackendJob{JobID: "twice", ResourceName: "2", State: job.BackendRunning})
	running := attempt.Entry{Attempt: "a", State: job.Submitted, Revision: 1, JobID: "runs", Resource: "r",
		BackendState: job.BackendRunning}
	with := func(change func(*attempt.Entry)) attempt.Entry {
		e := running
		change(&e)
		return e
	}
	for _, test := range []struct {
		name  string
		entry attempt.Entry
		takes bool // that the backend takes IDs
		want  bool
	}{
		{"as it was", running, true, true},
		{"not told", with(func(e *attempt.Entry) { e.Sequence = 1 }), true, false},
		{"due", with(func(e *attempt.Entry) { e.Due = noon }), true, false},
		{"due later", with(func(e *attempt.Entry) { e.Due = noon.Add(time.Second) }), true, true},
		{"moved on", with(func(e *attempt.Entry) { e.BackendState = job.BackendQueued }), true, false},
		{"absent before", with(func(e *attempt.Entry) { e.Absent = true }), true, false},
		{"gone", with(func(e *attempt.Entry) { e.JobID = "gone" }), true, false},
		{"two jobs", with(func(e *attempt.Entry) { e.JobID, e.Resource = "twice", "1" }), false, false},
		{"queued", with(func(e *attempt.Entry) { e.State, e.JobID, e.Waits = job.Accepted, "none", "its turn" }), true, true},
		{"queued, and its job is listed", with(func(e *attempt.Entry) { e.State, e.Waits = job.Accepted, "its turn" }),
			true, false},
		{"accepted", with(func(e *attempt.Entry) { e.State, e.JobID = job.Accepted, "none" }), true, false},
		{"ended", with(func(e *attempt.Entry) { e.State = job.Succeeded }), true, false},
	} {
		v := view{budget: at(0), jobs: jobs, takesID: test.takes}
		if got := v.idle(test.entry); got != test.want {
			t.Errorf("%s: idle %t", test.name, got)
		}
	}
	nothing := view{budget: at(0), jobs: newSightings(), takesID: true}
	if !nothing.idle(running) {
		t.Error("nothing is known of the jobs, and one is polled")
	}
	// Of many that wait, each has its turn within as many ticks as there are hundreds.
	for n := range 20 {
		e := attempt.Entry{Attempt: fmt.Sprint("w", n), State: job.Waiting, Revision: 1}
		turns := 0
		for tick := range 4 {
			v := view{budget: at(0), jobs: jobs, cursors: attempt.Cursors{Ticks: tick, Undecided: 350}}
			if !v.idle(e) {
				turns++
			}
		}
		if turns != 1 {
			t.Errorf("%s is visited in %d of four ticks", e.Attempt, turns)
		}
	}
}

// placing is a list of records, and counts those that are placed.
type placing struct {
	filed
	placed []string
	broken string
}

func (p *placing) Place(_ context.Context, r attempt.Filed) (int, error) {
	if r.Attempt == p.broken {
		return 0, errors.New("unavailable")
	}
	p.placed = append(p.placed, r.Attempt)
	return 1, nil
}

// A tick places what changed since the last round began, and is new or has its verdict. A round that could not place all
// does not count as whole.
func TestComparisonPlaces(t *testing.T) {
	record := func(key string, state job.State, seen, written time.Duration) attempt.Filed {
		s := attempt.Summary{Attempt: key, State: state, Seen: noon.Add(-seen)}
		return attempt.Filed{Summary: s, Written: noon.Add(-written)}
	}
	of := func(records filed, broken string, before time.Duration, late time.Duration) (*placing, attempt.Cursor) {
		p := &placing{filed: records, broken: broken}
		c := comparison{records: p, index: index{records: &ledgerIndex{}, logger: quiet}}
		b := at(late)
		s := c.list(t.Context(), b, attempt.Cursor{Before: noon.Add(-before)})
		for _, f := range records {
			s.take(attempt.Entry{Attempt: f.Attempt})
		}
		did := c.finish(t.Context(), b, s, c.repair(t.Context(), b, s))
		if did.replaced != len(p.placed) {
			t.Errorf("%d are replaced, and %d were placed", did.replaced, len(p.placed))
		}
		return p, did.cursor
	}
	records := filed{
		record("a", job.Waiting, time.Minute, 0), record("b", job.Succeeded, 100*time.Hour, 2*time.Minute),
		record("c", job.Running, 100*time.Hour, 0), record("d", job.Failed, time.Hour, 20*time.Minute),
		{Summary: attempt.Summary{Attempt: "e", State: job.Waiting}, Written: noon}, // of an earlier revision
	}
	p, cursor := of(records, "", 10*time.Minute, 0)
	if !slices.Equal(p.placed, []string{"a", "b", "e"}) || !cursor.Before.Equal(noon) {
		t.Errorf("placed %q, round before %s", p.placed, cursor.Before)
	}
	if p, _ := of(records, "", 30*time.Minute, 0); !slices.Equal(p.placed, []string{"a", "b", "d", "e"}) {
		t.Errorf("after a long round: %q", p.placed)
	}
	if p, cursor := of(records, "a", 10*time.Minute, 0); len(p.placed) != 2 || cursor.Before.Equal(noon) {
		t.Errorf("one fails: %q, round before %s", p.placed, cursor.Before)
	}
	if p, cursor := of(records, "", 10*time.Minute, 96*time.Second); len(p.placed) != 0 || cursor.Before.Equal(noon) {
		t.Errorf("without time: %q, round before %s", p.placed, cursor.Before)
	}
	var many filed
	for i := range 3 * mostPlaced {
		many = append(many, record(fmt.Sprintf("%03d", i), job.Failed, 0, 0))
	}
	if p, cursor := of(many, "", 10*time.Minute, 0); len(p.placed) != mostPlaced || cursor.Before.Equal(noon) {
		t.Errorf("of many %d are placed, round before %s", len(p.placed), cursor.Before)
	}
	old := filed{record("a", job.Failed, 60*time.Hour, 50*time.Hour), record("b", job.Failed, 60*time.Hour, 40*time.Hour)}
	if p, _ := of(old, "", 1000*time.Hour, 0); !slices.Equal(p.placed, []string{"b"}) {
		t.Errorf("after a long pause: %q", p.placed)
	}
}
