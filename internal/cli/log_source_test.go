package cli

import (
	"bytes"
	"context"
	"encoding/json"
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
	"google.golang.org/api/logging/v2"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// fakeLogging is a Cloud Logging: it knows a job's filter, windows of time, both orders, and pages.
type fakeLogging struct {
	mu       sync.Mutex
	entries  []*logging.LogEntry
	requests []*logging.ListLogEntriesRequest
	fail     []int // the status codes of the next answers
	empty    int   // how many pages without entries come first
	answered func(n int)
}

// add adds a line of a replica, written at a second.
func (f *fakeLogging) add(second int, id, task, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries = append(f.entries, written(second, id, task, text))
}

// written returns a line of a replica, written at a second.
func written(second int, id, task, text string) *logging.LogEntry {
	return &logging.LogEntry{
		Timestamp: logStart.Add(time.Duration(second) * time.Second).Format(time.RFC3339Nano), InsertId: id,
		TextPayload: text,
		Resource:    &logging.MonitoredResource{Type: "ml_job", Labels: map[string]string{"job_id": "7", "task_name": task}},
	}
}

var (
	logStart  = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	windowOf  = regexp.MustCompile(`timestamp>="([^"]+)"`)
	replicaOf = regexp.MustCompile(`task_name="([^"]+)"`)
)

func (f *fakeLogging) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var request logging.ListLogEntriesRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.requests = append(f.requests, &request)
	if f.answered != nil {
		defer f.answered(len(f.requests))
	}
	if len(f.fail) > 0 {
		w.WriteHeader(f.fail[0])
		fmt.Fprintf(w, `{"error": {"code": %d, "message": "as asked for"}}`, f.fail[0])
		f.fail = f.fail[1:]
		return
	}
	var found []*logging.LogEntry
	for _, e := range f.entries {
		window, replica := windowOf.FindStringSubmatch(request.Filter), replicaOf.FindStringSubmatch(request.Filter)
		if strings.Contains(request.Filter, `job_id="7"`) && (window == nil || e.Timestamp >= window[1]) &&
			(replica == nil || e.Resource.Labels["task_name"] == replica[1]) {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b *logging.LogEntry) int {
		if request.OrderBy == "timestamp desc" {
			a, b = b, a
		}
		return strings.Compare(a.Timestamp+a.InsertId, b.Timestamp+b.InsertId)
	})
	at, _ := strconv.Atoi(request.PageToken)
	if f.empty > 0 {
		f.empty--
		_, _ = fmt.Fprintf(w, `{"nextPageToken": "%d"}`, at) // the reader sees it
		return
	}
	end := min(len(found), at+int(request.PageSize))
	answer := logging.ListLogEntriesResponse{Entries: found[at:end]}
	if end < len(found) {
		answer.NextPageToken = strconv.Itoa(end)
	}
	_ = json.NewEncoder(w).Encode(answer) // the reader sees it
}

// serve returns a view of an installation whose logs are there.
func (f *fakeLogging) serve(t *testing.T) *view {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client, _ := storagetest.New(t, "state")
	v, err := newView(config.Config{Project: "p", State: "state", LoggingEndpoint: server.URL}, client, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var loggedJob = job.Snapshot{Job: job.JobInfo{ResourceName: "projects/p/locations/r/customJobs/7"}}

// showing shows the log of the job, and returns what was printed.
func showing(t *testing.T, v *view, o logsOptions) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := Env{Out: &stdout, Err: &stderr, Now: func() time.Time { return logStart },
		Getenv: func(string) string { return "" }}
	o.job = loggedJob.Job.ResourceName
	err := v.showLogs(t.Context(), env, o)
	r := result{stdout: stdout.String(), stderr: stderr.String()}
	if code, ok := err.(*exitError); ok {
		r.code, r.stderr = code.code, r.stderr+fmt.Sprint(code.err)
	} else if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestShowLogs(t *testing.T) {
	var f fakeLogging
	v := f.serve(t)
	f.add(1, "a", "workerpool0-0", "\x1b[31mred\x1b[0m \x1b]0;title\x07\nmore")
	f.add(2, "b", "workerpool1-0", "blue")
	got := showing(t, v, logsOptions{format: formatText})
	want := clock(logStart.Add(time.Second)) + "    workerpool0-0 | \x1b[31mred\x1b[0m \x1b]0;title\x07\n    more\n" +
		clock(logStart.Add(2*time.Second)) + "    workerpool1-0 | blue\n"
	if diff := cmp.Diff(result{stdout: want}, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("where there is no terminal (-want +got):\n%s", diff)
	}
	got = showing(t, v, logsOptions{format: formatText, replica: "workerpool1-0"})
	if strings.Count(got.stdout, "\n") != 1 || !strings.Contains(got.stdout, "blue") {
		t.Errorf("one replica: %q", got.stdout)
	}
	got = showing(t, v, logsOptions{format: formatText, replica: "chief"})
	if got.code != exitUsage || !strings.Contains(got.stderr, "no replica chief; there are workerpool0-0, workerpool1-0") {
		t.Errorf("a replica that is not there: %+v", got)
	}
	if got = showing(t, v, logsOptions{format: formatText, tail: 1}); strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("a tail: %q", got.stdout)
	}
	got = showing(t, v, logsOptions{format: formatJSON})
	for line := range strings.Lines(got.stdout) {
		if err := printedAs("logline.v1.json", []byte(line)); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	for status, code := range map[int]int{
		http.StatusForbidden: exitMissing, http.StatusTooManyRequests: exitRunning, http.StatusBadRequest: exitFault,
	} {
		f.fail = []int{status}
		if got := showing(t, v, logsOptions{format: formatText}); got.code != code {
			t.Errorf("after a %d: exit %d, want %d: %s", status, got.code, code, got.stderr)
		}
	}
	f.fail = []int{http.StatusForbidden}
	if got := showing(t, v, logsOptions{format: formatText}); !strings.Contains(got.stderr,
		"you lack the right logging.logEntries.list on projects/p") {
		t.Errorf("without the right: %s", got.stderr)
	}
}

// A log that was interrupted does not read as a whole one.
func TestInterruptedLog(t *testing.T) {
	for _, test := range []struct {
		name string
		o    logsOptions
		code int
	}{
		{"all", logsOptions{}, exitInterrupted},
		{"the end", logsOptions{tail: 2000}, exitInterrupted},
		{"followed", logsOptions{follow: true}, exitSucceeded},
		{"the end, followed", logsOptions{follow: true, tail: 2000}, exitSucceeded},
		{"of a replica", logsOptions{replica: "chief"}, exitInterrupted},
	} {
		f := fakeLogging{}
		v := f.serve(t)
		for i := range 2500 {
			f.add(i, fmt.Sprint(i), "workerpool0-0", fmt.Sprint(i))
		}
		ctx, stop := context.WithCancel(t.Context())
		f.answered = func(int) { stop() }
		var out bytes.Buffer
		env := piped(&out)
		env.Now = func() time.Time { return logStart }
		test.o.job, test.o.format = loggedJob.Job.ResourceName, formatText
		if err := v.showLogs(ctx, env, test.o); codeOf(err) != test.code || test.code == 0 && err != nil {
			t.Errorf("%s: %v, want exit %d", test.name, err, test.code)
		}
		stop()
	}
}

// A log that is followed goes on after reads that fail, and says so once.
func TestFollowedLogGoesOn(t *testing.T) {
	f := fakeLogging{fail: []int{0, http.StatusServiceUnavailable, http.StatusTooManyRequests}}
	f.fail = f.fail[1:]
	v := f.serve(t)
	f.add(1, "a", "workerpool0-0", "one")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	f.answered = func(n int) {
		if n == 4 {
			stop()
		}
	}
	var stdout, stderr bytes.Buffer
	env := Env{Out: &stdout, Err: &stderr, Now: func() time.Time { return logStart },
		Getenv: func(string) string { return "" }}
	err := v.showLogs(ctx, env, logsOptions{job: loggedJob.Job.ResourceName, follow: true, format: formatText})
	if err != nil || strings.Count(stdout.String(), "| one\n") != 1 || strings.Count(stderr.String(), "for now") != 1 {
		t.Errorf("%v, %q, %q", err, stdout.String(), stderr.String())
	}
}
