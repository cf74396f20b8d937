package aiplatform

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/ml/v1"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local/front"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write the golden files anew")

// request is what the service saw of a call.
type request struct {
	Method, Path string
	Query        string
	Body         string
}

// answer is how the service answers a call. hangUp ends the connection instead.
type answer struct {
	status int
	body   string
	hangUp bool
}

// service is a training service that gives its answers in turn; further calls
// fail the test.
type service struct {
	t       *testing.T
	mu      sync.Mutex
	answers []answer
	seen    []request
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("read the request: %v", err)
	}
	query := r.URL.Query()
	query.Del("alt")
	query.Del("prettyPrint")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, request{r.Method, r.URL.Path, query.Encode(), string(body)})
	if len(s.answers) == 0 {
		s.t.Errorf("one call more than expected: %s %s", r.Method, r.URL)
		http.Error(w, "no", http.StatusTeapot)
		return
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	if a.hangUp {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func (s *service) requests() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// calls returns the requests as method and path.
func (s *service) calls() []string {
	var all []string
	for _, r := range s.requests() {
		all = append(all, r.Method+" "+r.Path)
	}
	return all
}

func open(t *testing.T, answers ...answer) (*Backend, *service) {
	t.Helper()
	s := &service{t: t, answers: answers}
	return connect(t, s), s
}

func connect(t *testing.T, h http.Handler) *Backend {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	backend, err := New(t.Context(), "example.com:p", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

const (
	create = "POST /v1/projects/example.com:p/jobs"
	get    = "GET /v1/projects/example.com:p/jobs/census_1"
)

// failure returns an error as Google's services answer it.
func failure(status int, code, message string, details ...string) answer {
	text, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	return answer{status: status,
		body: fmt.Sprintf(`{"error": {"code": %d, "message": %s, "status": %q, "details": [%s]}}`,
			status, text, code, strings.Join(details, ", "))}
}

var (
	conflict = failure(http.StatusConflict, "ALREADY_EXISTS",
		"Field: job.job_id Error: A job with this id already exists.",
		`{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "job.job_id", "description": "A job with this id already exists."}]}`)
	unavailable = failure(http.StatusServiceUnavailable, "UNAVAILABLE", "The service is currently unavailable.")
	quota       = failure(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED",
		"Quota failure for project p. The request for 2 K80 accelerators exceeds the allowed maximum of 0 K80 accelerators.",
		`{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"subject": "p", "description": "The request for 2 K80 accelerators exceeds the allowed maximum."}]}`)
)

// spec returns a job of an attempt, as it is asked for.
func spec() job.Spec {
	zero, one := 0.0, 1.0
	return job.Spec{
		JobID:  "census_1",
		Labels: job.Labels(map[string]string{"team": "nlp", "empty": ""}, "prod", "attempt", "content"),
		TrainingInput: &job.TrainingInput{
			ScaleTier: "CUSTOM", MasterType: "n1-standard-8", WorkerType: "n1-standard-8", WorkerCount: 9,
			PackageURIs: []string{"gs://staging/a/1/trainer-0.1.tar.gz"}, PythonModule: "trainer.task",
			Args: []string{"--name=<a & b>", ""}, Region: "us-central1", RuntimeVersion: "2.11", PythonVersion: "3.7",
			WorkerConfig: &job.ReplicaConfig{AcceleratorConfig: &job.AcceleratorConfig{Count: 2, Type: "NVIDIA_TESLA_T4"}},
			Scheduling:   &job.Scheduling{MaxWaitTime: "3600s", MaxRunningTime: "7200s"},
			Hyperparameters: &job.HyperparameterSpec{Goal: "MINIMIZE", MaxTrials: 4, Params: []job.ParameterSpec{
				{ParameterName: "rate", Type: "DOUBLE", MinValue: &zero, MaxValue: &one},
				{ParameterName: "shift", Type: "INTEGER", MinValue: new(-1.0), MaxValue: &zero},
				{ParameterName: "size", Type: "DISCRETE", DiscreteValues: []float64{0, 2}},
			}},
		},
	}
}

// found returns the job as the service shows it, with some labels.
func found(state string, labels map[string]string) answer {
	text, err := json.Marshal(labels)
	if err != nil {
		panic(err)
	}
	return answer{status: http.StatusOK, body: fmt.Sprintf(`{
  "jobId": "census_1", "trainingInput": {"region": "us-central1", "workerCount": "9"},
  "createTime": "2026-11-22T12:00:00Z", "startTime": "2026-11-22T13:05:00.123456+01:00", "endTime": "2026-11-22T12:30:00.5Z",
  "state": %q, "errorMessage": "as told", "etag": "QMhh5Jz_KMU=", "labels": %s, "trainingOutput": {"consumedMLUnits": 0.5}
}`, state, text)}
}

func backendJob(state job.BackendState, labels map[string]string) attempt.BackendJob {
	at := func(h, m int, d time.Duration) time.Time { return time.Date(2026, 11, 22, h, m, 0, 0, time.UTC).Add(d) }
	return attempt.BackendJob{
		JobID: "census_1", ResourceName: "projects/example.com:p/jobs/census_1", State: state, Message: "as told",
		Labels:  labels,
		Created: at(12, 0, 0), Started: at(12, 5, 123456*time.Microsecond), Ended: at(12, 30, 500*time.Millisecond),
	}
}

// Google's console shows Google's jobs: those of a local service have no links.
func TestLinks(t *testing.T) {
	backend, err := Over(t.Context(), http.DefaultClient, "example.com:p")
	if err != nil {
		t.Fatal(err)
	}
	want := job.Links{
		Console: "https://console.cloud.google.com/mlengine/jobs/census_1?project=example.com%3Ap",
		Logs:    "https://console.cloud.google.com/logs?resource=ml_job%2Fjob_id%2Fcensus_1&project=example.com%3Ap",
	}
	if got := backend.links("census_1"); got != want {
		t.Errorf("links %+v, want %+v", got, want)
	}
}

func TestCreateSends(t *testing.T) {
	backend, s := open(t, found("QUEUED", spec().Labels))
	got, err := backend.Create(t.Context(), job.Order{Spec: spec()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(backendJob(job.BackendQueued, spec().Labels), got); diff != "" {
		t.Errorf("look (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{create}, s.calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	var body bytes.Buffer
	if err := json.Indent(&body, []byte(strings.TrimSpace(s.requests()[0].Body)), "", "  "); err != nil {
		t.Fatal(err)
	}
	body.WriteByte('\n')
	const golden = "testdata/create.json"
	if *update {
		if err := os.WriteFile(golden, body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), body.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", golden, diff)
	}
}

// A job is adopted where, and only where, it was made of the same attempt.
func TestCreateWhatIsThere(t *testing.T) {
	own := spec().Labels
	with := func(name, value string) map[string]string {
		labels := job.Labels(map[string]string{"team": "nlp"}, "prod", "attempt", "content")
		labels[name] = value
		return labels
	}
	tests := []struct {
		name   string
		labels map[string]string
		own    bool
	}{
		{"our own", own, true},
		{"our own, a user's label was changed since", with("team", "vision"), true},
		{"of another installation", with(job.LabelInstance, job.InstanceLabel("test")), false},
		{"of another attempt", with(job.LabelAttempt, "other"), false},
		{"of other content", with(job.LabelContent, "other"), false},
		{"of a person", map[string]string{"team": "nlp"}, false},
		{"without labels", nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			backend, s := open(t, conflict, found("RUNNING", test.labels))
			got, err := backend.Create(t.Context(), job.Order{Spec: spec()})
			want := backendJob(job.BackendRunning, test.labels)
			var other *attempt.ConflictError
			if !errors.As(err, &other) {
				t.Fatalf("%+v, %v; want a conflict", got, err)
			}
			if diff := cmp.Diff(&attempt.ConflictError{JobID: "census_1", Found: want}, other); diff != "" {
				t.Errorf("conflict (-want +got):\n%s", diff)
			}
			if own := job.SameOwner(other.Found.Labels, spec().Labels); own != test.own {
				t.Errorf("made by an earlier create: %t", own)
			}
			if diff := cmp.Diff([]string{create, get}, s.calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCreateErrors(t *testing.T) {
	field := func(field, description string) job.Violation {
		return job.Violation{Rule: "backend-refused", Severity: job.Error, Field: field, Message: description}
	}
	tests := []struct {
		name    string
		answers []answer
		refused *attempt.RefusedError
		is      error
		calls   []string
	}{
		{
			name: "not valid",
			answers: []answer{failure(http.StatusBadRequest, "INVALID_ARGUMENT", "Field: runtime_version Error: not supported",
				`{"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": "x"}`,
				`{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "runtime_version", "description": "not supported"}, {"field": "region", "description": "closed"}]}`)},
			refused: &attempt.RefusedError{
				Code: "INVALID_ARGUMENT", Message: "Field: runtime_version Error: not supported",
				Fields: []job.Violation{field("runtime_version", "not supported"), field("region", "closed")},
			},
			calls: []string{create},
		},
		{
			name:    "not valid, without details",
			answers: []answer{failure(http.StatusBadRequest, "INVALID_ARGUMENT", "Precondition check failed.")},
			refused: &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: "Precondition check failed."},
			calls:   []string{create},
		},
		{
			name:    "not allowed",
			answers: []answer{failure(http.StatusForbidden, "PERMISSION_DENIED", "Access denied.")},
			refused: &attempt.RefusedError{Code: "PERMISSION_DENIED", Message: "Access denied."},
			calls:   []string{create},
		},
		{
			name:    "a gateway's page",
			answers: []answer{{status: http.StatusForbidden, body: "<html>"}},
			refused: &attempt.RefusedError{Code: "PERMISSION_DENIED", Message: "Forbidden"},
			calls:   []string{create},
		},
		{name: "quota: the caller comes again later", answers: []answer{quota}, is: job.ErrQuota, calls: []string{create}},
		{
			name:    "no such project",
			answers: []answer{failure(http.StatusNotFound, "NOT_FOUND", "Requested entity was not found.")}, is: job.ErrNotFound,
			calls: []string{create},
		},
		{
			name:    "credentials that ran out are no refusal",
			answers: []answer{failure(http.StatusUnauthorized, "UNAUTHENTICATED", "x")}, calls: []string{create},
		},
		{name: "a redirect's page", answers: []answer{{status: http.StatusTeapot, body: "<html>"}}, calls: []string{create}},
		{
			name: "an answer that is not a job", answers: []answer{{status: http.StatusOK, body: "<html>"}},
			calls: []string{create},
		},
		{name: "no answer", answers: []answer{{hangUp: true}}, calls: []string{create}},
		// What a poll is answered says nothing of the create: its outcome is unknown.
		{
			name: "there, and gone when looked at", answers: []answer{conflict, failure(http.StatusNotFound, "NOT_FOUND", "x")},
			calls: []string{create, get},
		},
		{name: "there, and quota when looked at", answers: []answer{conflict, quota}, calls: []string{create, get}},
		{
			name:    "there, and may not be looked at",
			answers: []answer{conflict, failure(http.StatusForbidden, "PERMISSION_DENIED", "x")}, calls: []string{create, get},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			backend, s := open(t, test.answers...)
			got, err := backend.Create(t.Context(), job.Order{Spec: spec()})
			if err == nil {
				t.Fatalf("no error, and %+v", got)
			}
			var refused *attempt.RefusedError
			errors.As(err, &refused)
			if diff := cmp.Diff(test.refused, refused); diff != "" {
				t.Errorf("refusal (-want +got):\n%s\n%v", diff, err)
			}
			for _, class := range []error{job.ErrQuota, job.ErrNotFound} {
				if is := errors.Is(err, class); is != (test.is == class) {
					t.Errorf("is %q: %t; want %v", class, is, test.is)
				}
			}
			if !strings.Contains(err.Error(), "census_1") {
				t.Errorf("the error does not name the job: %v", err)
			}
			if diff := cmp.Diff(test.calls, s.calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// After an unknown outcome the job may be there: asking again finds it.
func TestCreateAgain(t *testing.T) {
	own := found("QUEUED", spec().Labels)
	tests := []struct {
		name    string
		answers []answer
		lost    bool // the first call's outcome is unknown to its caller
		calls   []string
	}{
		{"not available twice", []answer{unavailable, unavailable, own}, false, []string{create, create, create}},
		{
			"every code that says later", []answer{
				failure(http.StatusInternalServerError, "INTERNAL", "x"), {status: http.StatusBadGateway, body: "<html>"}, own,
			}, false, []string{create, create, create},
		},
		{
			"made, and the answer was a gateway's", []answer{{status: http.StatusGatewayTimeout, body: "<html>"}, conflict, own},
			false, []string{create, create, get},
		},
		{"made, and the answer was lost", []answer{{hangUp: true}, conflict, own}, true, []string{create, create, get}},
		{"there, and not available when looked at", []answer{conflict, unavailable, own}, false, []string{create, get, get}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			backend, s := open(t, test.answers...)
			got, err := backend.Create(t.Context(), job.Order{Spec: spec()})
			var there *attempt.ConflictError
			if test.lost {
				if err == nil || errors.As(err, &there) {
					t.Fatalf("first call: %v", err)
				}
				got, err = backend.Create(t.Context(), job.Order{Spec: spec()})
			}
			if errors.As(err, &there) {
				got, err = there.Found, nil
			}
			if diff := cmp.Diff(backendJob(job.BackendQueued, spec().Labels), got); diff != "" || err != nil {
				t.Errorf("%v, look (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(test.calls, s.calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			for i, r := range s.requests() {
				if r.Method == http.MethodPost && r.Body != s.requests()[0].Body {
					t.Errorf("create %d asks for something else:\n%s", i+1, r.Body)
				}
			}
		})
	}
}

func TestGet(t *testing.T) {
	tests := []struct {
		name   string
		answer answer
		want   attempt.BackendJob
		is     error
	}{
		{
			name: "there", answer: found("SUCCEEDED", map[string]string{"a": "b"}),
			want: backendJob(job.BackendSucceeded, map[string]string{"a": "b"}),
		},
		{
			name:   "not there",
			answer: failure(http.StatusNotFound, "NOT_FOUND", "Field: name Error: The specified job was not found."),
			is:     job.ErrNotFound,
		},
		{name: "quota", answer: quota, is: job.ErrQuota},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			backend, s := open(t, test.answer)
			got, err := backend.Get(t.Context(), job.JobInfo{ID: "census_1"})
			if !errors.Is(err, test.is) || (err != nil) != (test.is != nil) {
				t.Errorf("%v, want %v", err, test.is)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("look (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{get}, s.calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListActive(t *testing.T) {
	backend, s := open(t,
		answer{
			status: http.StatusOK,
			body:   `{"jobs": [{"jobId": "a", "state": "QUEUED"}, {"jobId": "b", "state": "RUNNING"}], "nextPageToken": "t/1="}`,
		},
		unavailable,
		answer{status: http.StatusOK, body: `{"nextPageToken": "t2"}`}, // a page may be empty and not the last
		answer{status: http.StatusOK, body: `{"jobs": [{"jobId": "c", "state": "CANCELLING"}]}`},
	)
	var got []string
	var nexts []string
	err := backend.ListActive(t.Context(), "prod", "", func(page []attempt.BackendJob, next string) error {
		nexts = append(nexts, next)
		for _, l := range page {
			got = append(got, l.JobID+" "+string(l.State)+" "+l.ResourceName)
		}
		return nil
	})
	if err != nil || !slices.Equal(nexts, []string{"t/1=", "t2", ""}) {
		t.Errorf("goes on at %q, %v", nexts, err)
	}
	want := []string{
		"a QUEUED projects/example.com:p/jobs/a", "b RUNNING projects/example.com:p/jobs/b",
		"c CANCELLING projects/example.com:p/jobs/c",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	filter := "filter=labels.jobdrop-instance%3D" + job.InstanceLabel("prod") +
		"+AND+%28state%3AQUEUED+OR+state%3APREPARING+OR+state%3ARUNNING+OR+state%3ACANCELLING%29&pageSize=100&pageToken="
	fields := "fields=" + url.QueryEscape(listed) + "&"
	var queries []string
	for _, r := range s.requests() {
		if r.Method+" "+r.Path != "GET /v1/projects/example.com:p/jobs" {
			t.Errorf("call %s %s", r.Method, r.Path)
		}
		queries = append(queries, r.Query)
	}
	if diff := cmp.Diff([]string{
		fields + filter, fields + filter + "t%2F1%3D", fields + filter + "t%2F1%3D", fields + filter + "t2",
	}, queries); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
}

// A page of the largest jobs is longer than an answer may be. What the list asks for of them is not.
func TestListActiveOfLargeJobs(t *testing.T) {
	want := backendJob(job.BackendRunning, map[string]string{"team": "nlp"})
	want.Message, want.Ended = "it was restarted", time.Time{}
	large := ml.GoogleCloudMlV1__Job{
		JobId: want.JobID, State: string(want.State), Labels: want.Labels, ErrorMessage: want.Message,
		CreateTime: want.Created.Format(time.RFC3339), StartTime: want.Started.Format(time.RFC3339Nano),
		TrainingInput: &ml.GoogleCloudMlV1__TrainingInput{Args: []string{strings.Repeat("x", job.MaxSpec)}},
	}
	answer := ml.GoogleCloudMlV1__ListJobsResponse{NextPageToken: "more"}
	for range 5 {
		answer.Jobs = append(answer.Jobs, &large)
	}
	backend := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fields := r.URL.Query().Get("fields")
		if err := front.CheckFields(fields); err != nil {
			t.Errorf("fields: %v", err)
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		if err := json.NewEncoder(w).Encode(front.Selected(answer, fields)); err != nil {
			t.Logf("answer: %v", err)
		}
	}))
	enough := errors.New("one page is enough")
	err := backend.ListActive(t.Context(), "prod", "", func(page []attempt.BackendJob, next string) error {
		if len(page) != len(answer.Jobs) || next != answer.NextPageToken {
			t.Errorf("%d jobs, goes on at %q", len(page), next)
		}
		for _, got := range page {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("job (-want +got):\n%s", diff)
			}
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Errorf("list: %v", err)
	}
}

func TestCancel(t *testing.T) {
	tests := []struct {
		name    string
		answers []answer
		is      error
		refused bool
		calls   int
	}{
		{"asked", []answer{{status: http.StatusOK, body: "{}"}}, nil, false, 1},
		{"asked at the second try", []answer{unavailable, {status: http.StatusOK, body: "{}"}}, nil, false, 2},
		{"not there", []answer{failure(http.StatusNotFound, "NOT_FOUND", "x")}, job.ErrNotFound, false, 1},
		{"ended already", []answer{failure(http.StatusBadRequest, "FAILED_PRECONDITION", "x")}, nil, true, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			backend, s := open(t, test.answers...)
			err := backend.Cancel(t.Context(), job.JobInfo{ID: "census_1"})
			var refused *attempt.RefusedError
			if errors.As(err, &refused) != test.refused || !errors.Is(err, test.is) && !test.refused ||
				(err != nil) != (test.is != nil || test.refused) {
				t.Errorf("%v, want %v, refused %t", err, test.is, test.refused)
			}
			if len(s.requests()) != test.calls {
				t.Errorf("%d calls, want %d", len(s.requests()), test.calls)
			}
			for _, c := range s.calls() {
				if c != "POST /v1/projects/example.com:p/jobs/census_1:cancel" {
					t.Errorf("call %s", c)
				}
			}
		})
	}
}

func TestNew(t *testing.T) {
	if _, err := New(t.Context(), "", "http://127.0.0.1:1"); err == nil {
		t.Error("no error without a project")
	}
	// The endpoint may have a path, with a slash at its end or without.
	for _, path := range []string{"", "/", "/ml", "/ml/"} {
		s := &service{t: t, answers: []answer{found("QUEUED", nil)}}
		server := httptest.NewServer(s)
		defer server.Close()
		backend, err := New(t.Context(), "p", server.URL+path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backend.Get(t.Context(), job.JobInfo{ID: "census_1"}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"GET " + strings.TrimSuffix(path, "/") + "/v1/projects/p/jobs/census_1"},
			s.calls()); diff != "" {
			t.Errorf("calls at %q (-want +got):\n%s", path, diff)
		}
	}
}

func TestName(t *testing.T) {
	backend, _ := open(t)
	if backend.Name() != "aiplatform" {
		t.Errorf("name %q", backend.Name())
	}
}

// fill sets every field of a value to content of its own.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": fmt.Sprint(*n), "b": ""}))
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	default:
		t.Fatalf("a field of kind %s", v.Kind())
	}
}

// The service's type has every field of ours: none is lost on the way.
func TestRequestKeepsEveryField(t *testing.T) {
	var full job.Spec
	n := 0
	fill(t, reflect.ValueOf(&full).Elem(), &n)
	request, err := NewRequest(full)
	if err != nil {
		t.Fatal(err)
	}
	generic := func(v any) (m map[string]any) {
		t.Helper()
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if diff := cmp.Diff(generic(full), generic(request)); diff != "" {
		t.Errorf("request (-spec +request):\n%s", diff)
	}
}
