package joblog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var created = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// trace returns the lines of a traceback, as a trainer writes them.
func trace(exception string) []string {
	return []string{"Traceback (most recent call last):", `  File "trainer/task.py", line 9, in <module>`, "    main()", "", exception}
}

func from(replica string, texts ...string) (all []line) {
	for _, text := range texts {
		all = append(all, line{replica, "ERROR", text})
	}
	return all
}

// among puts a line of stdout before the line of that number.
func among(lines []line, at int, text string) []line {
	return slices.Insert(lines, at, line{lines[0].replica, "INFO", text})
}

func TestExcerptOfLines(t *testing.T) {
	const stack = "Traceback (most recent call last):\n  File \"trainer/task.py\", line 9, in <module>\n    main()\n\n"
	two := append(from("worker-replica-0", trace("RuntimeError: lost the master")...),
		from("master-replica-0", trace("ValueError: no")...)...)
	for _, test := range []struct {
		name, message string
		lines         []line
		want          string
	}{
		{"nothing", "", nil, ""},
		{"blank lines", "", from("master-replica-0", "", "  "), ""},
		{"an exception", "", from("master-replica-0", append([]string{"starting"}, trace("ValueError: no")...)...),
			"starting\n" + stack + "ValueError: no"},
		{"an exception in one entry", "", from("master-replica-0", strings.Join(trace("ValueError: no"), "\n")+"\n"),
			stack + "ValueError: no"},
		{"what comes after it is left out", "", from("master-replica-0", append(trace("ValueError: no"), "exiting", "bye")...),
			stack + "ValueError: no"},
		{"the last of several", "", from("master-replica-0", append(trace("KeyError: 'a'"),
			append([]string{"During handling of the above exception, another exception occurred:"}, trace("ValueError: no")...)...)...),
			stack + "KeyError: 'a'\nDuring handling of the above exception, another exception occurred:\n" + stack + "ValueError: no"},
		{"a line of stdout within the stack", "", among(from("master-replica-0", trace("ValueError: no")...), 2, "starting"),
			strings.Replace(stack, "    main()", "starting\n    main()", 1) + "ValueError: no"},
		{"a line of stdout before the exception", "", among(from("master-replica-0", trace("ValueError: no")...), 4, "starting"),
			stack + "starting\nValueError: no"},
		{"a line of stdout after it", "", among(from("master-replica-0", trace("ValueError: no")...), 5, "starting"),
			stack + "ValueError: no"},
		{"a traceback that is cut off", "", from("master-replica-0", trace("x")[:3]...),
			"Traceback (most recent call last):\n  File \"trainer/task.py\", line 9, in <module>\n    main()"},
		{"no exception", "", from("master-replica-0", "loading", "Killed", ""), "loading\nKilled"},
		{"the replica that failed first", "", two, stack + "RuntimeError: lost the master"},
		{"the replica that ml/v1 names", "The replica master 0 exited with a non-zero status of 1.", two, stack + "ValueError: no"},
		{"the replica that Vertex AI names", "The replica workerpool1-0 exited with a non-zero status of 1.",
			append(from("workerpool0-0", trace("A")...), from("workerpool1-0", trace("B")...)...), stack + "B"},
		{"a trial's replica", "The replica master 0 exited with a non-zero status of 1.",
			append(from("2/worker-replica-0", trace("A")...), from("2/master-replica-0", trace("B")...)...), stack + "B"},
		{"a replica that wrote nothing", "The replica ps 3 exited with a non-zero status of 1.", two,
			stack + "RuntimeError: lost the master"},
		{"a replica that raises later than another ends", "", append(append(from("a", "warning"), from("b", trace("B")...)...),
			from("a", trace("A")...)...), stack + "B"},
		{"what steers a terminal", "", from("master-replica-0", "\x1b[31mred\x1b[0m \u202e\x07\r"), "red <U+202E>\uFFFD"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := excerpt(test.lines, attempt.BackendJob{Message: test.message})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// However long lines are, the exception's is there, and whole lines before it as far as they fit.
func TestExcerptIsBounded(t *testing.T) {
	for _, c := range []string{"a", "<", "\u2028", "\x00", "\x1b["} {
		long := strings.Repeat(c, 64<<10/len(c))
		lines := from("master-replica-0", "Traceback (most recent call last):")
		for range 500 {
			lines = append(lines, line{"master-replica-0", "ERROR", "  " + strings.Repeat(c, 100)})
		}
		got := excerpt(append(lines, line{"master-replica-0", "ERROR", "ValueError: " + long}), attempt.BackendJob{})
		if n := job.TextSize(got); n > job.MaxExcerpt || n < 1<<10 && c != "\x1b[" {
			t.Errorf("%q: %d bytes of JSON, at most %d", c, n, job.MaxExcerpt)
		}
		if got != job.BoundText(got, job.MaxExcerpt) {
			t.Errorf("%q: the event cuts the excerpt again", c)
		}
		if rows := strings.Split(got, "\n"); !strings.HasPrefix(rows[len(rows)-1], "ValueError: ") {
			t.Errorf("%q: ends with %.40q", c, rows[len(rows)-1])
		}
	}
}

// logs is a service that answers one call.
func logs(t *testing.T, serve http.HandlerFunc) *Reader {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	r, err := New(t.Context(), Options{View: "projects/p/locations/global/buckets/_Default/views/jobs", Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An excerpt takes one call, of the entries that the job's own programs wrote, the newest first.
func TestExcerpt(t *testing.T) {
	var asked []map[string]any
	r := logs(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/v2/entries:list" {
			t.Errorf("%s: %v", r.URL, err)
		}
		asked = append(asked, body)
		var all []string
		for _, text := range []string{"ValueError: no", "    main()", "Traceback (most recent call last):"} {
			all = append(all, fmt.Sprintf(`{"jsonPayload": {"message": %q}, "resource": {"labels": {"task_name": "workerpool0-0"}}}`, text))
		}
		fmt.Fprintf(w, `{"entries": [%s, {"textPayload": "starting", "resource": {"labels": {"task_name": "workerpool0-0"}}}]}`,
			strings.Join(all, ","))
	})
	j := attempt.BackendJob{
		JobID: "census", ResourceName: "projects/p/locations/us-central1/hyperparameterTuningJobs/77", Created: created,
		Trials: []job.Trial{{ID: "1", State: job.BackendSucceeded}, {ID: "3", State: job.BackendFailed}},
	}
	got, err := r.Excerpt(t.Context(), j)
	if want := "starting\nTraceback (most recent call last):\n    main()\nValueError: no"; err != nil || got != want {
		t.Errorf("excerpt %q, %v, want %q", got, err, want)
	}
	want := []map[string]any{{
		"resourceNames": []any{"projects/p/locations/global/buckets/_Default/views/jobs"},
		"filter": `resource.type="ml_job" AND resource.labels.job_id="77" AND resource.labels.task_name!="service" AND ` +
			`timestamp>="2026-11-22T12:00:00Z" AND labels."ml.googleapis.com/trial_id"="3"`,
		"orderBy": "timestamp desc", "pageSize": 500.0,
	}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// Where the job's message names the replica that failed, only its log is read: others may write much.
func TestFilterOfAReplica(t *testing.T) {
	for message, want := range map[string]string{
		"The replica master 0 exited with a non-zero status of 1.":        `task_name="master-replica-0"`,
		"The replica workerpool0-0 exited with a non-zero status of 137.": `task_name="workerpool0-0"`,
		"Internal error": `task_name!="service"`, "": `task_name!="service"`,
	} {
		if got := filter(attempt.BackendJob{ResourceName: "projects/p/jobs/j", Message: message}); !strings.Contains(got, want) ||
			strings.Count(got, "task_name") != 1 || strings.Contains(got, "severity") {
			t.Errorf("%q: %s, want %s", message, got, want)
		}
	}
}

// A service that refuses, says nothing, says too much or hangs gives no excerpt.
func TestExcerptWithout(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"refuses": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "denied", http.StatusForbidden) },
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"entries": [{"textPayload": "`)
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat("a", 64<<10))
			}
			_, _ = io.WriteString(w, `"}]}`)
		},
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then it sees that the client is gone
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := logs(t, serve)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if name == "hangs" {
				ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			}
			defer cancel()
			got, err := r.Excerpt(ctx, attempt.BackendJob{ResourceName: "projects/p/jobs/j"})
			if got != "" || err == nil || name == "hangs" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("excerpt %.40q, %v", got, err)
			}
		})
	}
	r := logs(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })
	if got, err := r.Excerpt(t.Context(), attempt.BackendJob{ResourceName: "projects/p/jobs/j"}); got != "" || err != nil {
		t.Errorf("a log that lags: %q, %v", got, err)
	}
}

// However many jobs fail together, at most twenty logs are read in a minute, so that people can read
// theirs; a minute later there are reads again.
func TestExcerptsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := 0
		client := &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			read++
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})}
		r, err := New(t.Context(), Options{View: "projects/p/locations/global/buckets/_Default/views/jobs", Client: client})
		if err != nil {
			t.Fatal(err)
		}
		for minute := range 2 {
			read = 0
			for range 120 {
				_, err := r.Excerpt(t.Context(), attempt.BackendJob{ResourceName: "projects/p/jobs/j"})
				if err != nil && !errors.Is(err, ErrQuota) {
					t.Fatal(err)
				}
				time.Sleep(time.Second / 2)
			}
			if read < 10 || read > 20 {
				t.Errorf("minute %d: %d reads for 120 jobs", minute, read)
			}
		}
	})
}

// transport answers the requests of a client.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
