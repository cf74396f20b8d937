package joblogs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
	"google.golang.org/api/logging/v2"

	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// cloud is a Cloud Logging: it knows a job's lines, places, texts and pages. Entries of one time come by their insert
// IDs in both orders, as its reference says.
type cloud struct {
	mu       sync.Mutex
	entries  []*logging.LogEntry
	requests []*logging.ListLogEntriesRequest
	fail     []int // the status codes of the next answers
	empty    int   // how many pages without entries come first
	endless  bool
}

var begin = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func (c *cloud) add(second int, id, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = append(c.entries, &logging.LogEntry{
		Timestamp: begin.Add(time.Duration(second) * time.Second).Format(time.RFC3339Nano), InsertId: id, TextPayload: text,
		Resource: &logging.MonitoredResource{Labels: map[string]string{"job_id": "7", "task_name": "master-replica-0"}},
	})
}

var (
	sinceForm = regexp.MustCompile(`timestamp>="([^"]+)"`)
	placeForm = regexp.MustCompile(`\(timestamp([<>])"([^"]+)" OR insertId([<>]=?)"([^"]*)"\)`)
	textForm  = regexp.MustCompile(`textPayload:"((?:[^"\\]|\\.)*)"`)
)

// matches reports whether a query matches an entry.
func matches(filter string, e *logging.LogEntry) bool {
	if m := sinceForm.FindStringSubmatch(filter); m != nil && e.Timestamp < m[1] {
		return false
	}
	if m := textForm.FindStringSubmatch(filter); m != nil {
		if text := strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(m[1]); !strings.Contains(e.TextPayload, text) {
			return false
		}
	}
	m := placeForm.FindStringSubmatch(filter)
	switch n := 0; {
	case m == nil:
		return true
	case e.Timestamp != m[2]:
		return (e.Timestamp < m[2]) == (m[1] == "<")
	default:
		n = strings.Compare(e.InsertId, m[4])
		return m[3][0] == '<' && n < 0 || m[3][0] == '>' && n > 0 || len(m[3]) == 2 && n == 0
	}
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var q logging.ListLogEntriesRequest
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.requests = append(c.requests, &q)
	if len(c.fail) > 0 {
		w.WriteHeader(c.fail[0])
		fmt.Fprintf(w, `{"error": {"code": %d, "message": "as asked for"}}`, c.fail[0])
		c.fail = c.fail[1:]
		return
	}
	at, _ := strconv.Atoi(q.PageToken)
	if c.empty > 0 {
		c.empty--
		fmt.Fprintf(w, `{"nextPageToken": "%d"}`, at)
		return
	}
	var found []*logging.LogEntry
	for _, e := range c.entries {
		if matches(q.Filter, e) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b *logging.LogEntry) int {
		n := strings.Compare(a.Timestamp, b.Timestamp)
		if q.OrderBy == "timestamp desc" {
			n = -n
		}
		if n == 0 {
			n = strings.Compare(a.InsertId, b.InsertId)
		}
		return n
	})
	end := min(len(found), at+int(q.PageSize))
	answer := logging.ListLogEntriesResponse{Entries: found[at:end]}
	if end < len(found) {
		answer.NextPageToken = strconv.Itoa(end)
	}
	if c.endless {
		fmt.Fprint(w, `{"entries": [{"textPayload": "`)
		for range 2 * maxAnswer >> 20 {
			if _, err := fmt.Fprint(w, strings.Repeat("x", 1<<20)); err != nil {
				return
			}
		}
		return
	}
	_ = json.NewEncoder(w).Encode(answer) // the reader sees it
}

// calls returns how many calls came since the last time.
func (c *cloud) calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.requests)
	c.requests = nil
	return n
}

// reader returns a reader of its logs that polls fast.
func (c *cloud) reader(t *testing.T) *Reader {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	r, err := New(t.Context(), Options{Resource: "projects/p", Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	r.timing.poll = 10 * time.Millisecond
	return r
}

var seven = logs.Job{ID: "7", Created: begin}

func ids(lines []logs.Line) (all []string) {
	for _, l := range lines {
		all = append(all, l.InsertID)
	}
	return all
}

// Windows in both directions show each line once, also where lines of one time cross their borders, and each takes two
// calls at most.
func TestWindowsMeet(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	var want []string
	for i := range 60 {
		id := fmt.Sprintf("%02d", i)
		c.add(i/7, id, "line")
		want = append(want, id)
	}
	r := c.reader(t)
	// Of more lines of one time than a window has the order of the service would count.
	for _, n := range []int{7, 10, 25, 100} {
		var got []string
		for q := (logs.Query{Lines: n}); ; {
			w, err := r.Window(t.Context(), seven, q)
			if err != nil || len(w.Lines) > n || c.calls() > 2 {
				t.Fatalf("%d lines: %d, %v", n, len(w.Lines), err)
			}
			got = append(ids(w.Lines), got...)
			if q.Before = w.Before; w.Before.IsZero() {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("backward by %d (-want +got):\n%s", n, diff)
		}
		got = want[:1]
		for q := (logs.Query{Lines: n, After: logs.Cursor{Time: begin, ID: "00"}}); ; {
			w, err := r.Window(t.Context(), seven, q)
			if err != nil || len(w.Lines) > n || c.calls() > 2 {
				t.Fatalf("%d lines: %d, %v", n, len(w.Lines), err)
			}
			got = append(got, ids(w.Lines)...)
			if q.After = w.After; w.After.IsZero() {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("forward by %d (-want +got):\n%s", n, diff)
		}
	}
	w, err := r.Window(t.Context(), seven, logs.Query{Lines: 28, Around: logs.Cursor{Time: begin.Add(4 * time.Second), ID: "30"}})
	if err != nil || !slices.Contains(ids(w.Lines), "30") || !slices.Contains(ids(w.Lines), "29") || !slices.IsSorted(ids(w.Lines)) ||
		c.calls() != 2 || w.Before.IsZero() || w.After.IsZero() {
		t.Errorf("around: %v from %v to %v, %v", ids(w.Lines), w.Before, w.After, err)
	}
	if l, err := r.Line(t.Context(), seven, logs.Cursor{Time: begin.Add(4 * time.Second), ID: "30"}); err != nil || l.Text != "line" {
		t.Errorf("a line: %+v, %v", l, err)
	}
}

// A window asks for a text as the query language has it, cuts long lines, and is bounded as a whole.
func TestWindowOfText(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	c.add(1, "a", `C:\temp "x" OR severity>=ERROR`)
	c.add(2, "b", `C:\temp`)
	for i := range 100 {
		c.add(10+i, fmt.Sprintf("long%02d", i), strings.Repeat("é", 6000))
	}
	r := c.reader(t)
	w, err := r.Window(t.Context(), seven, logs.Query{Filter: logs.Filter{Text: `\temp "x" OR`, Replica: "master-replica-0", Errors: true}})
	if err != nil || !slices.Equal(ids(w.Lines), []string{"a"}) {
		t.Errorf("%v, %v", ids(w.Lines), err)
	}
	want := `resource.type="ml_job" AND resource.labels.job_id="7" AND resource.labels.task_name="master-replica-0" AND ` +
		`(jsonPayload.message:"\\temp \"x\" OR" OR textPayload:"\\temp \"x\" OR") AND severity>=ERROR AND timestamp>="2026-11-29T11:59:00Z"`
	if got := c.requests[0].Filter; got != want {
		t.Errorf("asked %s", got)
	}
	w, err = r.Window(t.Context(), seven, logs.Query{})
	size := 0
	for _, l := range w.Lines {
		size += len(l.Text)
		if l.Cut != 12000-len(l.Text) || len(l.Text) > maxText {
			t.Errorf("%d bytes, %d cut", len(l.Text), l.Cut)
		}
	}
	if err != nil || size > maxWindow || len(w.Lines) < 10 || w.Before != w.Lines[0].Cursor() {
		t.Errorf("%d lines of %d bytes before %v, %v", len(w.Lines), size, w.Before, err)
	}
}

// A search that finds nothing for a while says so, and goes on where it stopped.
func TestSearchGoesOn(t *testing.T) {
	t.Parallel()
	c := &cloud{empty: 3}
	c.add(1, "a", "here")
	r := c.reader(t)
	q := logs.Query{Filter: logs.Filter{Text: "here"}}
	w, err := r.Window(t.Context(), seven, q)
	if err != nil || len(w.Lines) != 0 || w.Note == "" || w.Before.Token == "" || c.calls() != 2 {
		t.Fatalf("%+v, %v", w, err)
	}
	if q.Before, err = logs.ParseCursor(w.Before.String()); err != nil {
		t.Fatal(err)
	}
	if w, err = r.Window(t.Context(), seven, q); err != nil || !slices.Equal(ids(w.Lines), []string{"a"}) || w.Note != "" {
		t.Errorf("%+v, %v", w, err)
	}
}

// A log whose lines are so long that a usual answer is too large can be read everywhere: its end, around a line, and where
// a search has found nothing yet. Pages of it meet.
func TestWindowsOfLongLines(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	var want []string
	for i := range 190 {
		want = append(want, fmt.Sprintf("%03d", i))
		c.add(i, want[i], strings.Repeat("x", 100<<10))
	}
	r := c.reader(t)
	for name, q := range map[string]logs.Query{
		"end": {}, "around": {Around: logs.Cursor{Time: begin.Add(95 * time.Second), ID: "095"}},
		"after": {After: logs.Cursor{Time: begin.Add(95 * time.Second), ID: "095"}},
	} {
		c.mu.Lock()
		c.empty = len(q.After.ID) / 3 // one for after
		c.mu.Unlock()
		w, err := r.Window(t.Context(), seven, q)
		if err != nil || len(w.Lines) < fewLines/2 || c.calls() > 4 {
			t.Fatalf("%s: %d lines, %v", name, len(w.Lines), err)
		}
		at, _ := slices.BinarySearch(want, w.Lines[0].InsertID)
		if diff := cmp.Diff(want[at:at+len(w.Lines)], ids(w.Lines)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if name == "around" && (want[at] > "094" || want[at+len(w.Lines)-1] < "095" || w.Before.IsZero() || w.After.IsZero()) {
			t.Errorf("around: %s", ids(w.Lines))
		}
	}
	c.endless, c.empty = true, 1
	w, err := r.Window(t.Context(), seven, logs.Query{})
	if err != nil || len(w.Lines) != 0 || w.Before.Token == "" || w.Note == "" {
		t.Errorf("an endless answer after an empty one: %+v, %v", w, err)
	}
}

func TestWindowFails(t *testing.T) {
	t.Parallel()
	c := &cloud{fail: []int{http.StatusForbidden, http.StatusTooManyRequests}}
	r := c.reader(t)
	_, err := r.Window(t.Context(), seven, logs.Query{})
	if !errors.Is(err, job.ErrDenied) || passing(err) || !strings.Contains(err.Error(), "the right logging.logEntries.list on projects/p") {
		t.Errorf("without the right: %v", err)
	}
	if _, err = r.Window(t.Context(), seven, logs.Query{}); err == nil || !passing(err) || c.calls() != 2 {
		t.Errorf("without quota: %v", err)
	}
	c.endless = true
	if _, err = r.Window(t.Context(), seven, logs.Query{}); !tooLarge(err) || c.requests[1].PageSize >= usualLines || c.calls() != 2 {
		t.Errorf("an endless answer: %v", err)
	}
}

// follower collects what it is told of the log.
type follower struct {
	mu      sync.Mutex
	lines   []string
	skipped int64
	gap     bool
	last    logs.Cursor
	notes   []string
	err     error
	done    chan struct{}
}

func follow(ctx context.Context, r *Reader, q logs.Filter, after logs.Cursor) *follower {
	f := &follower{done: make(chan struct{})}
	go func() {
		defer close(f.done)
		batches, err := r.Follow(ctx, seven, q, after)
		if err != nil {
			f.err = err
			return
		}
		for b, err := range batches {
			f.mu.Lock()
			f.lines, f.skipped, f.gap = append(f.lines, ids(b.Lines)...), f.skipped+b.Skipped, f.gap || b.Gap
			f.last, f.err = b.Last, err
			if b.Note != "" {
				f.notes = append(f.notes, b.Note)
			}
			f.mu.Unlock()
		}
	}()
	return f
}

// has waits until the follower has so many lines.
func (f *follower) has(t *testing.T, n int) {
	t.Helper()
	for range 3000 {
		f.mu.Lock()
		got := len(f.lines)
		f.mu.Unlock()
		if got >= n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%d lines of %d came, %v", len(f.lines), n, f.err)
}

// All who follow a log share its polls, get what comes late, go on after failures, and end with the job.
func TestFollow(t *testing.T) {
	t.Parallel()
	c := &cloud{fail: []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}}
	c.add(100, "a", "one")
	c.add(200, "b", "two")
	r := c.reader(t)
	r.late = time.Minute
	var all []*follower
	for range 20 {
		all = append(all, follow(t.Context(), r, logs.Filter{}, logs.Cursor{Time: begin.Add(100 * time.Second), ID: "a"}))
	}
	some := follow(t.Context(), r, logs.Filter{Text: "LATE"}, logs.Cursor{})
	for _, f := range all {
		f.has(t, 1)
	}
	c.add(150, "c", "late")
	some.has(t, 1)
	for _, f := range all {
		f.has(t, 2)
	}
	c.calls()
	time.Sleep(100 * time.Millisecond)
	if n := c.calls(); n > 11 {
		t.Errorf("%d polls in ten pauses", n)
	}
	// One that reconnects goes on behind its last line, which came late. It knows those of the minute before.
	again := follow(t.Context(), r, logs.Filter{}, logs.Cursor{Time: begin.Add(150 * time.Second), ID: "c"})
	c.add(201, "d", "three")
	again.has(t, 3)
	for _, f := range all {
		f.has(t, 3)
	}
	r.End(seven)
	for _, f := range append(all, some, again) {
		select {
		case <-f.done:
		case <-time.After(20 * time.Second):
			t.Fatal("a follower goes on after the end")
		}
	}
	for _, f := range all {
		if diff := cmp.Diff([]string{"b", "c", "d"}, f.lines); diff != "" || f.skipped != 0 || f.gap || f.err != nil || len(f.notes) > 2 {
			t.Fatalf("%d skipped, gap %v, %v, notes %q (-want +got):\n%s", f.skipped, f.gap, f.err, f.notes, diff)
		}
	}
	if !slices.Equal(again.lines, []string{"a", "b", "d"}) || !slices.Equal(some.lines, []string{"c"}) {
		t.Errorf("again %v, some %v", again.lines, some.lines)
	}
}

// What came late after somebody's window was read reaches them, whether the place behind which they follow is kept or
// not; what is older than entries can be late does not come again.
func TestFollowBringsWhatCameLate(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]logs.Cursor{
		"behind a line":     {Time: begin.Add(200 * time.Second), ID: "b"},
		"between two lines": {Time: begin.Add(201 * time.Second), ID: "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &cloud{}
			c.add(100, "a", "one")
			c.add(200, "b", "two")
			r := c.reader(t)
			r.late = time.Minute
			if _, err := r.Window(t.Context(), seven, logs.Query{}); err != nil {
				t.Fatal(err)
			}
			c.add(150, "c", "late")
			c.add(300, "d", "three")
			f := follow(t.Context(), r, logs.Filter{}, after)
			f.has(t, 2)
			f.mu.Lock()
			defer f.mu.Unlock()
			got := slices.DeleteFunc(f.lines, func(id string) bool { return id == "b" })
			if !slices.Equal(got, []string{"c", "d"}) || f.gap {
				t.Errorf("%v came, gap %v, want the late line and the new one", got, f.gap)
			}
		})
	}
}

// Who was shown lines that the last poll had not yet gets those that come after them, and none again.
func TestFollowBehindAnOldPoll(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	c.add(100, "a", "one")
	r := c.reader(t)
	r.timing.poll = 300 * time.Millisecond
	first := follow(t.Context(), r, logs.Filter{}, logs.Cursor{})
	first.has(t, 1)
	c.add(101, "b", "two")
	c.add(102, "c", "three")
	next := follow(t.Context(), r, logs.Filter{}, logs.Cursor{Time: begin.Add(102 * time.Second), ID: "c"})
	first.has(t, 3)
	c.add(103, "d", "four")
	next.has(t, 1)
	next.mu.Lock()
	defer next.mu.Unlock()
	if diff := cmp.Diff([]string{"d"}, next.lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// A follower that is slow hears how much it missed, and holds nobody up; what is kept is bounded.
func TestSlowFollower(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	c.add(0, "first", "x")
	r := c.reader(t)
	taken, wait := make(chan struct{}), make(chan struct{})
	var first sync.Once
	slow := make(chan logs.Batch, 100)
	batches, err := r.Follow(t.Context(), seven, logs.Filter{}, logs.Cursor{})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(slow)
		for b := range batches {
			slow <- b
			first.Do(func() {
				close(taken)
				<-wait
			})
			if b.Skipped > 0 {
				return
			}
		}
	}()
	<-taken
	fast := follow(t.Context(), r, logs.Filter{}, logs.Cursor{Time: begin, ID: "first"})
	for i := range 3 {
		for n := range 500 {
			c.add(1+i, fmt.Sprintf("%d-%03d", i, n), "y")
		}
		fast.has(t, 500*(i+1))
	}
	close(wait)
	<-slow
	if b := <-slow; b.Skipped != 500 || len(b.Lines) == 0 || b.Lines[0].InsertID != "1-000" {
		t.Errorf("%d skipped, %d lines", b.Skipped, len(b.Lines))
	}
	r.mu.Lock()
	f := r.followed["7"]
	r.mu.Unlock()
	f.mu.Lock()
	if len(f.lines) > maxRing || f.bytes > maxRingBytes {
		t.Errorf("%d lines of %d bytes are kept", len(f.lines), f.bytes)
	}
	f.mu.Unlock()
	// From a place that is not kept, windows lead to what is.
	old := follow(t.Context(), r, logs.Filter{}, logs.Cursor{Time: begin, ID: "first"})
	old.has(t, 1500)
	if len(old.lines) != 1500 || old.gap || !slices.IsSorted(old.lines) {
		t.Errorf("%d lines, gap %v", len(old.lines), old.gap)
	}
}

// Too many logs are refused at once. Who leaves one, even before a line of it was asked for, makes room for another after
// a while.
func TestTooManyLogs(t *testing.T) {
	t.Parallel()
	r := (&cloud{}).reader(t)
	r.polls = rate.NewLimiter(rate.Every(time.Hour), 1)
	ctx, cancel := context.WithCancel(t.Context())
	for n := range maxFollowed {
		if _, err := r.Follow(ctx, logs.Job{ID: strconv.Itoa(n)}, logs.Filter{}, logs.Cursor{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Follow(ctx, logs.Job{ID: "more"}, logs.Filter{}, logs.Cursor{}); !errors.Is(err, logs.ErrFollowed) {
		t.Errorf("%v", err)
	}
	if _, err := r.Follow(ctx, logs.Job{ID: "7"}, logs.Filter{}, logs.Cursor{}); err != nil {
		t.Errorf("one that others follow: %v", err)
	}
	cancel()
	for range 3000 {
		r.mu.Lock()
		f := r.followed["7"]
		left := f.followers == 0 && f.forget != nil
		r.mu.Unlock()
		if left {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("a follower is left")
}

// A log whose turn comes after its followers have left is read all the same: they come again, and there may be more logs
// than turns while a stream lasts. Then it is not read for nobody.
func TestTurnAfterTheStream(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	c.add(1, "a", "one")
	r := c.reader(t)
	r.polls = rate.NewLimiter(rate.Every(300*time.Millisecond), 1)
	r.polls.Allow()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	f := follow(ctx, r, logs.Filter{}, logs.Cursor{})
	<-f.done
	time.Sleep(time.Second)
	if n := c.calls(); n != 1 || len(f.lines) != 0 {
		t.Errorf("%d reads, want that of its turn; %v came before", n, f.lines)
	}
	follow(t.Context(), r, logs.Filter{}, logs.Cursor{}).has(t, 1)
}

// Of the lines that are dropped before somebody read them those count that they asked for, and were not shown.
func TestSkippedAreThoseAskedFor(t *testing.T) {
	t.Parallel()
	f := &followed{seen: map[string]time.Time{}, changed: make(chan struct{}), readings: map[*reading]struct{}{}}
	add := func(from, n int) {
		var lines []logs.Line
		for i := range n {
			second := from + i
			lines = append(lines, logs.Line{
				Time: begin.Add(time.Duration(second) * time.Second), InsertID: strconv.Itoa(second), Text: fmt.Sprint("even", second%2),
			})
		}
		f.add(lines, false, time.Minute)
	}
	add(0, 100)
	tests := []struct {
		name string
		reading
		want int64
	}{
		{name: "all", want: 300},
		{name: "every other", reading: reading{q: logs.Filter{Text: "EVEN0"}}, want: 150},
		{name: "none", reading: reading{q: logs.Filter{Text: "odd"}}},
		{
			name: "what was not shown", want: 200,
			reading: reading{until: 100, after: logs.Cursor{Time: begin.Add(99 * time.Second), ID: "99"}},
		},
	}
	for i := range tests {
		if f.open(&tests[i].reading) {
			t.Errorf("%s: it missed some", tests[i].name)
		}
	}
	add(100, maxRing+200)
	for i := range tests {
		test := &tests[i]
		if b, _, _ := f.read(&test.reading); b.Skipped != test.want {
			t.Errorf("%s: %d skipped, want %d", test.name, b.Skipped, test.want)
		}
		if b, _, _ := f.read(&test.reading); b.Skipped != 0 {
			t.Errorf("%s: %d skipped again", test.name, b.Skipped)
		}
	}
	if late := (reading{}); !f.open(&late) || late.next != 300 {
		t.Errorf("who begins behind what is kept begins at %d, and misses nothing", late.next)
	}
}

// Without the right a follower ends, and the next one asks again.
func TestFollowWithoutTheRight(t *testing.T) {
	t.Parallel()
	c := &cloud{fail: []int{http.StatusForbidden}}
	c.add(1, "a", "one")
	r := c.reader(t)
	f := follow(t.Context(), r, logs.Filter{}, logs.Cursor{})
	<-f.done
	if !errors.Is(f.err, job.ErrDenied) {
		t.Errorf("%v", f.err)
	}
	follow(t.Context(), r, logs.Filter{}, logs.Cursor{}).has(t, 1)
}

// However many logs are followed, a project's quota has room for others: for windows, and for those of other processes.
func TestQuota(t *testing.T) {
	minute := func(l *rate.Limiter) float64 { return float64(l.Limit())*60 + float64(l.Burst()) }
	var r *Reader
	for _, test := range []struct {
		asked                int
		perMinute, ofThePoll float64
	}{{0, 40, 21}, {6, 8, 5}, {1, 3, 1.7}} {
		var err error
		if r, err = New(t.Context(), Options{Resource: "projects/p", Client: http.DefaultClient, ReadsPerMinute: test.asked}); err != nil {
			t.Fatal(err)
		}
		if n := minute(r.quota); n < test.perMinute-.1 || n > test.perMinute+.1 {
			t.Errorf("%d asked for: %v reads in the first minute, want %v", test.asked, n, test.perMinute)
		}
		if n := minute(r.polls); n < test.ofThePoll-.1 || n > test.ofThePoll+.1 {
			t.Errorf("%d asked for: %v polls in the first minute, want %v", test.asked, n, test.ofThePoll)
		}
	}
	if _, err := New(t.Context(), Options{Resource: "projects/p", Client: http.DefaultClient, ReadsPerMinute: -1}); err == nil {
		t.Error("-1 is taken")
	}
	r.quota.AllowN(time.Now(), r.quota.Burst())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := r.Window(ctx, seven, logs.Query{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("when they are used up: %v", err)
	}
}
