package training

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/logging/v2"
	"google.golang.org/api/option"
)

func loggingClient(t *testing.T, url string) *logging.EntriesService {
	t.Helper()
	c, err := logging.NewService(t.Context(), option.WithEndpoint(url+"/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	return c.Entries
}

// listed gives all entries of a request, page by page.
func listed(t *testing.T, api *logging.EntriesService, req *logging.ListLogEntriesRequest) (entries []*logging.LogEntry, pages int) {
	t.Helper()
	req.ResourceNames = []string{"projects/p"}
	if err := api.List(req).Pages(t.Context(), func(page *logging.ListLogEntriesResponse) error {
		entries = append(entries, page.Entries...)
		pages++
		return nil
	}); err != nil {
		t.Fatalf("%s: %v", req.Filter, err)
	}
	return entries, pages
}

func messageOf(t *testing.T, e *logging.LogEntry) string {
	t.Helper()
	var payload struct{ Message string }
	if err := json.Unmarshal(e.JsonPayload, &payload); err != nil {
		t.Fatal(err)
	}
	return payload.Message
}

// TestEntries reads what a real job wrote, in pages and as a follower does,
// before and after a restart.
func TestEntries(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], nil)
	h.create(h.job("talker", "import sys\nfor i in range(250): print('line', i)\nprint('at last', file=sys.stderr)\n"))
	h.create(h.job("other", "print('not this')\n"))
	h.succeeded("talker")
	server := httptest.NewServer(h.svc.Handler())
	defer server.Close()
	api := loggingClient(t, server.URL)

	// The job has ended, so its log is complete.
	const own = `resource.type="ml_job" AND resource.labels.job_id="talker"`
	all, pages := listed(t, api, &logging.ListLogEntriesRequest{Filter: own, OrderBy: "timestamp asc", PageSize: 100})
	if pages != 3 {
		t.Errorf("%d pages, want 3", pages)
	}
	var want, got []string
	for _, l := range h.log("talker") {
		_, text, _ := strings.Cut(l, ": ")
		want = append(want, text)
	}
	for i, e := range all {
		got = append(got, messageOf(t, e))
		if len(e.Timestamp) != len("2006-01-02T15:04:05.000000000Z") {
			t.Fatalf("entry %d has the time %s: gcloud compares times as text, so they must have one length", i, e.Timestamp)
		}
		if i > 0 && (e.Timestamp < all[i-1].Timestamp || e.InsertId <= all[i-1].InsertId) {
			t.Fatalf("entry %d (%s %s) is not after %s %s as text", i, e.Timestamp, e.InsertId, all[i-1].Timestamp, all[i-1].InsertId)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("messages (-want +got):\n%s", diff)
	}

	errors, _ := listed(t, api, &logging.ListLogEntriesRequest{Filter: own + " severity>=ERROR"})
	if len(errors) != 1 {
		t.Fatalf("%d errors, want 1", len(errors))
	}
	e := errors[0]
	if diff := cmp.Diff(&logging.LogEntry{
		LogName: "projects/p/logs/master-replica-0", Severity: "ERROR", InsertId: e.InsertId, Timestamp: e.Timestamp, ReceiveTimestamp: e.Timestamp,
		Resource:    &logging.MonitoredResource{Type: "ml_job", Labels: map[string]string{"job_id": "talker", "project_id": "p", "task_name": "master-replica-0"}},
		Labels:      map[string]string{"ml.googleapis.com/job_id": "talker", "ml.googleapis.com/task_name": "master-replica-0"},
		JsonPayload: e.JsonPayload,
	}, e); diff != "" || messageOf(t, e) != "at last" {
		t.Errorf("entry %s (-want +got):\n%s", e.JsonPayload, diff)
	}
	if got[len(got)-1] != "Job completed successfully." {
		t.Errorf("the log ends with %q", got[len(got)-1])
	}

	// A follower asks for what came after the last entry that it has.
	var followed []string
	last := all[0]
	for {
		filter := own + fmt.Sprintf(` AND ((timestamp=%q AND insertId>%q) OR timestamp>%q)`, last.Timestamp, last.InsertId, last.Timestamp)
		res, err := api.List(&logging.ListLogEntriesRequest{ResourceNames: []string{"projects/p"}, Filter: filter, OrderBy: "timestamp asc", PageSize: 70}).Do()
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Entries) == 0 {
			break
		}
		for _, e := range res.Entries {
			followed = append(followed, messageOf(t, e))
			last = e
		}
	}
	if diff := cmp.Diff(want[1:], followed); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}

	newest, _ := listed(t, api, &logging.ListLogEntriesRequest{Filter: own, OrderBy: "timestamp desc", PageSize: 900})
	slices.Reverse(newest)
	if diff := cmp.Diff(all, newest); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}

	h.succeeded("other")
	if mixed, _ := listed(t, api, &logging.ListLogEntriesRequest{PageSize: 1000}); len(mixed) != len(h.log("talker"))+len(h.log("other")) ||
		!slices.IsSortedFunc(mixed, func(a, b *logging.LogEntry) int {
			return strings.Compare(a.Timestamp+a.InsertId, b.Timestamp+b.InsertId)
		}) {
		t.Errorf("%d entries of both jobs, or out of order", len(mixed))
	}

	if err := h.svc.Close(); err != nil {
		t.Fatal(err)
	}
	h.start()
	again := httptest.NewServer(h.svc.Handler())
	defer again.Close()
	kept, _ := listed(t, loggingClient(t, again.URL), &logging.ListLogEntriesRequest{Filter: own, PageSize: 1000})
	if diff := cmp.Diff(all, kept); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
}

func TestEntriesRefuses(t *testing.T) {
	svc, server := idle(t)
	if _, err := client(t, server.URL).Create("projects/p", queuedJob("one", nil)).Do(); err != nil {
		t.Fatal(err)
	}
	poll(t, func() bool {
		page, err := svc.entries(t.Context(), logQuery{projects: []string{"p"}, filter: logClause{test: func(logView) verdict { return yes }}, limit: 1})
		return err == nil && len(page.found) == 1
	}, func() string { return "the queued job has no line" })
	post := func(body string) answered { return send(t, "POST", server.URL+"/v2/entries:list", body) }
	first := post(`{"resourceNames": ["projects/p"], "pageSize": 1}`)
	if first.code != 200 || strings.Contains(first.body, "nextPageToken") {
		t.Errorf("a whole page: %d %s", first.code, first.body)
	}
	if a := post(`{"resourceNames": ["projects/q"]}`); a.code != 200 || strings.TrimSpace(a.body) != "{}" {
		t.Errorf("another project: %d %s", a.code, a.body)
	}
	for _, tt := range []struct{ body, want string }{
		{`{}`, "must name resources"},
		{`{"resourceNames": ["folders/1"]}`, "Invalid resource name"},
		{`{"resourceNames": ["projects/p"], "filter": "severity=LOUD"}`, "Unparseable filter: severity = LOUD: it is no severity"},
		{`{"resourceNames": ["projects/p"], "filter": "log_id(\"x\")"}`, "functions are not supported"},
		{`{"resourceNames": ["projects/p"], "filter": "` + strings.Repeat("(", maxLogFilter+1) + `"}`, "longer than"},
		{`{"resourceNames": ["projects/p"], "orderBy": "severity"}`, "Invalid order_by"},
		{`{"resourceNames": ["projects/p"], "pageSize": -1}`, "must not be negative"},
		{`{"resourceNames": ["projects/p"], "pageToken": "x"}`, "Invalid page_token"},
		{`{"resourceNames": ["projects/p"], "pageToken": "e30"}`, "Invalid page_token"},
		{`{"resourceNames": ["projects/p"], "colour": 1}`, "Invalid JSON payload received."},
		{`[]`, "Invalid JSON payload received."},
	} {
		if a := post(tt.body); a.code != 400 || a.err.Status != "INVALID_ARGUMENT" || !strings.Contains(a.err.Message, tt.want) {
			t.Errorf("%.80s: %d %s, want 400 and %q", tt.body, a.code, a.body, tt.want)
		}
	}
	if a := send(t, http.MethodGet, server.URL+"/v2/entries:list", ""); a.code != 404 {
		t.Errorf("GET: %d, want 404", a.code)
	}
}

// testLog is a log on its own whose clock stands still now and then, and goes
// back once.
func testLog(dir string) *jobLog {
	n := 0
	now := func() time.Time {
		n++
		if n == 50 {
			return time.Unix(0, 0)
		}
		return time.Date(2026, 1, 2, 3, 4, n/3, 0, time.UTC)
	}
	return &jobLog{jobID: "j", dir: dir, max: maxLogBytes, now: now, log: slog.New(slog.DiscardHandler)}
}

func linesFrom(t *testing.T, dir string, from time.Time) (lines []Line) {
	t.Helper()
	if err := readLog(t.Context(), filepath.Join(dir, logFile), from, func(l Line) bool {
		lines = append(lines, l)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestTornLog: a service that was killed leaves part of a line; the next one
// goes on behind it.
func TestTornLog(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		l := testLog(dir)
		for range 60 {
			l.write("service", stdout, "x")
		}
		l.close()
		f, err := os.OpenFile(filepath.Join(dir, logFile), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(`{"jobId":"j","seq":99`); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	lines := linesFrom(t, dir, time.Time{})
	if len(lines) != 120 {
		t.Errorf("%d lines, want 120", len(lines))
	}
	for i, l := range lines {
		if l.Seq != int64(i)+1 || i > 0 && l.Time.Before(lines[i-1].Time) {
			t.Fatalf("line %d has number %d and time %v", i, l.Seq, l.Time)
		}
	}
}

// TestLogSeeks: a follower of a large log does not read it from the beginning.
func TestLogSeeks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := testLog(dir)
	const count = 600
	for range count {
		l.write("master-replica-0", stdout, strings.Repeat("é", 8000)) // 10 MB in all
	}
	l.close()
	all := linesFrom(t, dir, time.Time{})
	for _, i := range []int{0, 1, count / 3, count / 2, count - 2, count - 1} {
		got := linesFrom(t, dir, all[i].Time)
		if len(got) == 0 {
			t.Fatalf("from line %d: none", i)
		}
		if n := count - len(got); got[0].Seq != int64(n)+1 {
			t.Errorf("from line %d: %d lines that begin with %d", i, len(got), got[0].Seq)
		} else if skipped := all[n:]; n > 0 && !all[n-1].Time.Before(all[i].Time) || len(skipped) != len(got) {
			t.Errorf("from line %d: line %d of the same time is left out", i, n)
		}
		if extra := len(got) - (count - i); extra > 150 {
			t.Errorf("from line %d: %d lines before it are read", i, extra)
		}
	}
	if got := linesFrom(t, dir, all[count-1].Time.Add(time.Hour)); len(got) > 150 {
		t.Errorf("from the future: %d lines are read", len(got))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := readLog(ctx, filepath.Join(dir, logFile), time.Time{}, func(Line) bool { return true }); err == nil {
		t.Error("a request that nobody waits for is answered")
	}
}

// TestPageIsBounded: long lines make short pages, and none is lost.
func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	for _, newest := range []bool{false, true} {
		var after *logPlace
		var seen []int64
		for range 100 {
			p := &logPage{logQuery: logQuery{newest: newest, limit: 1000, after: after}}
			for i := range int64(300) {
				l := Line{JobID: "j", Seq: i + 1, Time: time.Unix(i/7, 0), Text: strings.Repeat("x", maxLineBytes)}
				if !p.take("p", l) {
					break
				}
			}
			if p.bytes > maxPageBytes {
				t.Fatalf("a page of %d bytes", p.bytes)
			}
			for _, f := range p.found {
				seen = append(seen, f.line.Seq)
			}
			if p.bound == nil {
				break
			}
			after = &p.found[len(p.found)-1].logPlace
		}
		if newest {
			slices.Reverse(seen)
		}
		if len(seen) != 300 || !slices.IsSorted(seen) {
			t.Errorf("newest first %v: %d lines, sorted %v", newest, len(seen), slices.IsSorted(seen))
		}
	}
}
