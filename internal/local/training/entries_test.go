package training

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/logging/v2"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/logs"
	joblog "github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/internal/service/joblogs"
)

func loggingClient(t *testing.T, url string) *logging.EntriesService {
	t.Helper()
	c, err := logging.NewService(t.Context(), option.WithEndpoint(url+"/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	return c.Entries
}

// listed returns all entries of a request, page by page.
func listed(t *testing.T, api *logging.EntriesService, req *logging.ListLogEntriesRequest) (entries []*logging.LogEntry,
	pages int) {
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
			t.Fatalf("entry %d (%s %s) is not after %s %s as text", i, e.Timestamp, e.InsertId, all[i-1].Timestamp,
				all[i-1].InsertId)
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
		LogName: "projects/p/logs/master-replica-0", Severity: "ERROR", InsertId: e.InsertId, Timestamp: e.Timestamp,
		ReceiveTimestamp: e.Timestamp,
		Resource: &logging.MonitoredResource{Type: "ml_job",
			Labels: map[string]string{"job_id": "talker", "project_id": "p", "task_name": "master-replica-0"}},
		Labels: map[string]string{"ml.googleapis.com/job_id": "talker",
			"ml.googleapis.com/task_name": "master-replica-0"},
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
		filter := own + fmt.Sprintf(` AND ((timestamp=%q AND insertId>%q) OR timestamp>%q)`, last.Timestamp, last.InsertId,
			last.Timestamp)
		res, err := api.List(&logging.ListLogEntriesRequest{ResourceNames: []string{"projects/p"}, Filter: filter,
			OrderBy: "timestamp asc", PageSize: 70}).Do()
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

	// Windows of it meet, and who follows it gets the rest and its end.
	reader, err := joblogs.New(t.Context(), joblogs.Options{Resource: "projects/p", Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	talker := joblog.Job{ID: "talker", Ended: true}
	var windows, followedLines []string
	for q := (joblog.Query{Lines: 70}); ; {
		w, err := reader.Window(t.Context(), talker, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range slices.Backward(w.Lines) {
			windows = append([]string{l.Text}, windows...)
		}
		if q.Before = w.Before; q.Before.IsZero() {
			break
		}
	}
	if diff := cmp.Diff(want, windows); diff != "" {
		t.Errorf("windows (-want +got):\n%s", diff)
	}
	found, err := reader.Window(t.Context(), talker, joblog.Query{Filter: joblog.Filter{Text: "AT LAST", Errors: true}})
	if err != nil || len(found.Lines) != 1 || found.Lines[0].InsertID != e.InsertId || !found.Before.IsZero() {
		t.Errorf("searched: %+v, %v", found, err)
	}
	batches, err := reader.Follow(t.Context(), talker, joblog.Filter{}, found.Lines[0].Cursor())
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range b.Lines {
			followedLines = append(followedLines, l.Text)
		}
	}
	if diff := cmp.Diff(want[slices.Index(want, "at last")+1:], followedLines); diff != "" {
		t.Errorf("followed to its end (-want +got):\n%s", diff)
	}

	h.succeeded("other")
	if mixed, _ := listed(t, api, &logging.ListLogEntriesRequest{PageSize: 1000}); len(mixed) != len(h.log("talker"))+
		len(h.log("other")) ||
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
	_, server := idle(t)
	if _, err := client(t, server.URL).Create("projects/p", queuedJob("one", nil)).Do(); err != nil {
		t.Fatal(err)
	}
	post := func(body string) answered { return send(t, "POST", server.URL+"/v2/entries:list", body) }
	poll(t, func() bool {
		a := post(`{"resourceNames": ["projects/p"], "pageSize": 1}`)
		return a.code == 200 && strings.Contains(a.body, "entries")
	}, func() string { return "the queued job has no line" })
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
		{`{"resourceNames": ["projects/p"], "filter": "severity=LOUD"}`, "Unparseable filter: severity = LOUD: it is not a " +
			"severity"},
		{`{"resourceNames": ["projects/p"], "filter": "log_id(\"x\")"}`, "functions are not supported"},
		{`{"resourceNames": ["projects/p"], "filter": "` + strings.Repeat("(", logs.MaxLogFilter+1) + `"}`, "longer than"},
		{`{"resourceNames": ["projects/p"], "orderBy": "severity"}`, "Invalid order_by"},
		{`{"resourceNames": ["projects/p"], "pageSize": -1}`, "must not be negative"},
		{`{"resourceNames": ["projects/p"], "pageToken": "x"}`, "Invalid page_token"},
		{`{"resourceNames": ["projects/p"], "pageToken": "e30"}`, "Invalid page_token"},
		{`{"resourceNames": ["projects/p"], "colour": 1}`, "Invalid JSON payload received."},
		{`[]`, "Invalid value at 'request' (message), []"},
	} {
		if a := post(tt.body); a.code != 400 || a.err.Status != "INVALID_ARGUMENT" ||
			!strings.Contains(a.err.Message, tt.want) {
			t.Errorf("%.80s: %d %s, want 400 and %q", tt.body, a.code, a.body, tt.want)
		}
	}
	if a := send(t, http.MethodGet, server.URL+"/v2/entries:list", ""); a.err.Status != "UNIMPLEMENTED" {
		t.Errorf("GET: %d %s, want UNIMPLEMENTED", a.code, a.body)
	}
}
