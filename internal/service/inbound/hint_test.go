package inbound_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
)

// A hint is acknowledged whatever comes of it, or Pub/Sub would send again what a tick makes up for.
func TestWatchAcknowledgesHints(t *testing.T) {
	const entry = `{"logName": "l", "resource": {"type": "ml_job", "labels": {"job_id": "census_1"}}}`
	for name, refresh := range map[string]func(context.Context, string) error{
		"fails":  func(context.Context, string) error { return errors.New("lost") },
		"panics": func(context.Context, string) error { panic("boom") },
	} {
		w := httptest.NewRecorder()
		tick := func(context.Context) error { t.Error("a hint is taken for a tick"); return nil }
		inbound.Watch(tick, refresh, nil).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/Watch", strings.NewReader(entry)))
		if w.Code != http.StatusNoContent {
			t.Errorf("a hint whose poll %s is answered with %d", name, w.Code)
		}
	}
}

// What wakes Watch is a hint that names a job, an entry of no use, or a tick.
func TestWatch(t *testing.T) {
	push := func(data string) string { return pushJSON(t, nil, data) }
	ml := func(labels string) string {
		return `{"logName": "projects/p/logs/ml.googleapis.com%2Fcensus_1", "resource": {"type": "ml_job", "labels": {` +
			labels + `}}, "textPayload": "Job completed successfully."}`
	}
	const audit = `{"logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity", "resource": {"type": "audited_resource"}, "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "methodName": "google.cloud.aiplatform.v1.JobService.CancelCustomJob", "resourceName": "projects/1/locations/us-central1/customJobs/77"}}`
	tests := []struct {
		name, body string
		tick       bool
		hinted     string
		asked      string
	}{
		{name: "nothing at all", tick: true},
		{name: "whatever a scheduler sends", body: "tick", tick: true},
		{name: "JSON of a scheduler", body: `{"kind": "tick", "message": null}`, tick: true},
		{name: "a scheduler by way of a topic", body: push(""), tick: true},
		{name: "a push that is not an entry", body: push(`{"tick": true}`)},
		{name: "a push that is no JSON", body: push("tick")},
		{
			name:   "an entry with fields of other types",
			body:   push(`{"logName": "l", "resource": {"type": "ml_job", "labels": {"job_id": "census_1"}}, "protoPayload": {"response": {"name": 5}}}`),
			hinted: "census_1",
		},
		{
			name: "an entry about a job", body: push(ml(`"job_id": "census_1", "project_id": "p", "task_name": "service"`)),
			hinted: "census_1",
		},
		{name: "without a task", body: push(ml(`"job_id": "census_1"`)), hinted: "census_1"},
		{name: "unwrapped", body: ml(`"job_id": "census_1"`), hinted: "census_1"},
		{name: "what a program wrote", body: push(ml(`"job_id": "census_1", "task_name": "master-replica-0"`))},
		{name: "no job", body: push(ml(`"project_id": "p"`))},
		{name: "of another kind", body: push(strings.Replace(ml(`"job_id": "census_1"`), "ml_job", "gce_instance", 1))},
		{
			name: "an audit log", body: push(audit),
			hinted: "77",
		},
		{
			name: "an audit log of a create",
			body: push(strings.NewReplacer("/customJobs/77\"",
				`", "response": {"name": "projects/1/locations/us-central1/hyperparameterTuningJobs/78"}`).Replace(audit)),
			hinted: "78",
		},
		{name: "an entry about a job of Vertex AI", body: push(ml(`"job_id": "77", "task_name": "service"`)), hinted: "77"},
		{name: "an ID that is none", body: push(ml(`"job_id": "../epoch", "task_name": "service"`))},
		{name: "an ID that is too long", body: push(ml(`"job_id": "` + strings.Repeat("j", 129) + `"`))},
		{name: "an audit log of a job that is none", body: push(strings.Replace(audit, "/77", "/..", 1))},
		{name: "an audit log of something else", body: push(strings.Replace(audit, "customJobs", "models", 1))},
		{name: "an entry whose parts are of other types", body: push(`{"logName": "l", "resource": "ml_job"}`)},
		{
			name: "a request", body: push(`{"kind": "storage#object", "bucket": "state", "name": "requests/0a-7/1.json"}`),
			asked: "0a-7/1.json",
		},
		{name: "a request, unwrapped", body: `{"kind": "storage#object", "name": "requests/0a-7/1.json"}`, asked: "0a-7/1.json"},
		{name: "another object", body: push(`{"kind": "storage#object", "name": "attempts/0a-7.json"}`)},
		{name: "the folder of the requests", body: push(`{"kind": "storage#object", "name": "requests/"}`)},
		{
			name: "a name that is none",
			body: push(`{"kind": "storage#object", "name": "requests/` + strings.Repeat("a", 2000) + `"}`),
		},
		{name: "more than anyone may send", body: strings.Repeat("x", 2<<20)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ticked, refreshed, asked := false, "", ""
			w := httptest.NewRecorder()
			inbound.Watch(
				func(context.Context) error { ticked = true; return nil },
				func(_ context.Context, name string) error { refreshed = name; return errors.New("not now") },
				func(_ context.Context, name string) error { asked = name; return errors.New("not now") },
			).ServeHTTP(w, plain("application/json", test.body))
			if ticked != test.tick || w.Code != http.StatusNoContent || refreshed != test.hinted || asked != test.asked {
				t.Errorf("status %d, tick %t, looks at %q and %q, want %t, %q, %q", w.Code, ticked, refreshed, asked, test.tick,
					test.hinted, test.asked)
			}
		})
	}
}

// A hint that came while the job's events are being published has to come again.
func TestWatchWhileEventsAreTold(t *testing.T) {
	w := httptest.NewRecorder()
	inbound.Watch(
		func(context.Context) error { t.Error("a tick"); return nil },
		func(context.Context, string) error { return fmt.Errorf("attempt a: %w", attempt.ErrTelling) },
		nil,
	).ServeHTTP(w, plain("application/json", `{"logName": "l", "resource": {"type": "ml_job", "labels": {"job_id": "j"}}}`))
	if w.Code < 500 {
		t.Errorf("status %d, want one that asks for the hint again", w.Code)
	}
}

func FuzzWatch(f *testing.F) {
	for _, seed := range []string{
		"", "{", `{"message": {"data": "e30="}}`,
		`{"logName": "l", "resource": {"type": "ml_job", "labels": {"job_id": "j"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n := 0
		count := func() error { n++; return nil }
		w := httptest.NewRecorder()
		inbound.Watch(
			func(context.Context) error { return count() },
			func(_ context.Context, name string) error {
				if name == "" || len(name) > 128 || strings.ContainsAny(name, "/.%?") {
					t.Error("a look at no job")
				}
				return count()
			},
			func(_ context.Context, name string) error {
				if name == "" || len(name) > 1024 {
					t.Error("a look at no request")
				}
				return count()
			},
		).ServeHTTP(w, plain("application/json", string(body)))
		if w.Code != http.StatusNoContent || n > 1 {
			t.Errorf("status %d, %d times at work", w.Code, n)
		}
	})
}
