package vertex

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	aiplatform "google.golang.org/api/aiplatform/v1"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// answer is how the service answers a call. hangUp ends the connection instead.
type answer struct {
	status int
	body   string
	hangUp bool
}

// service answers with its answers in turn. Further calls fail the test.
type service struct {
	t       *testing.T
	mu      sync.Mutex
	answers []answer
	seen    []string // method, path and query
	bodies  []string
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
	call := r.Method + " " + r.URL.Path
	if text := query.Encode(); text != "" {
		call += "?" + text
	}
	s.seen, s.bodies = append(s.seen, call), append(s.bodies, string(body))
	if len(s.answers) == 0 {
		s.t.Errorf("one call more than expected: %s", call)
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

// calls returns the calls that the service saw.
func (s *service) calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// body returns the body of the first call.
func (s *service) body() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[0]
}

func open(t *testing.T, answers ...answer) (*Backend, *service) {
	t.Helper()
	s := &service{t: t, answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	backend, err := New(t.Context(), Options{
		Project: "p", Regions: []string{"europe-west4", "us-central1"}, Endpoint: server.URL,
		Now: func() time.Time { return today },
	})
	if err != nil {
		t.Fatal(err)
	}
	return backend, s
}

// A name that nobody has in a record is asked for where the installation runs jobs;
// a record's job also where its region was taken out of the settings.
func TestGetAsksKnownRegions(t *testing.T) {
	t.Parallel()
	const elsewhere = "projects/p/locations/asia-east1/customJobs/123"
	job1 := answer{status: 200, body: shown(elsewhere, "JOB_STATE_RUNNING", "")}
	for _, test := range []struct {
		name string
		j    job.JobInfo
		asks bool
	}{
		{"no record, in a region of ours", job.JobInfo{ResourceName: resource}, true},
		{"no record, elsewhere", job.JobInfo{ResourceName: elsewhere}, false},
		{"no record, in no region", job.JobInfo{ResourceName: "projects/p/locations/evil/customJobs/1"}, false},
		{"no record, with a query", job.JobInfo{ResourceName: "projects/p/locations/us-central1/customJobs/1?x=y"}, false},
		{"no record, with dots", job.JobInfo{ResourceName: "projects/../locations/us-central1/customJobs/..%2f1"}, false},
		{"record, elsewhere", job.JobInfo{ResourceName: elsewhere, Backend: Name}, true},
		{"another backend's record", job.JobInfo{ResourceName: elsewhere, Backend: "aiplatform"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			backend, s := open(t, job1, job1)
			_, err := backend.Get(t.Context(), test.j)
			if !test.asks && !errors.Is(err, job.ErrNotFound) || test.asks && err != nil {
				t.Errorf("Get: %v", err)
			}
			if err := backend.Cancel(t.Context(), test.j); !test.asks && !errors.Is(err, job.ErrNotFound) ||
				test.asks && err != nil {
				t.Errorf("Cancel: %v", err)
			}
			if n := len(s.calls()); (n == 2) != test.asks {
				t.Errorf("%d calls", n)
			}
		})
	}
}

// However many regions the records name, clients are few, and the installation's own
// are kept.
func TestClientsAreBounded(t *testing.T) {
	t.Parallel()
	backend, _ := open(t)
	for _, region := range backend.Regions {
		if _, err := backend.at(region); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		if _, _, err := backend.serving(job.JobInfo{
			ResourceName: fmt.Sprintf("projects/p/locations/r%d/customJobs/1", i), Backend: Name,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(backend.regions); n != len(backend.Regions)+mostFormer {
		t.Errorf("%d clients are kept", n)
	}
	for _, region := range backend.Regions {
		if backend.regions[region] == nil {
			t.Errorf("the client of %s is gone", region)
		}
	}
}

// failure returns an error as Google's services answer it.
func failure(status int, code, message string) answer {
	return answer{
		status: status, body: fmt.Sprintf(`{"error": {"code": %d, "message": %q, "status": %q}}`, status, message, code),
	}
}

const (
	parent   = "projects/p/locations/europe-west4"
	resource = parent + "/customJobs/123"
	tuned    = parent + "/hyperparameterTuningJobs/456"
)

// shown returns a job as the service shows it.
func shown(name, state, more string) string {
	labels, err := json.Marshal(labels())
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"name": %q, "displayName": "census_1", "state": %q, "labels": %s, "createTime": "2026-11-28T12:00:00.5Z"%s}`, name, state, labels, more)
}

func labels() map[string]string { return order(nil).Labels }

func ok(body string) answer { return answer{status: http.StatusOK, body: body} }

// Google's console shows Google's jobs: those of a local service have no links.
func TestLinks(t *testing.T) {
	want := job.Links{
		Console: "https://console.cloud.google.com/agent-platform/locations/europe-west4/training/123?project=p",
		Logs:    "https://console.cloud.google.com/logs/query;query=resource.type%3D%22ml_job%22%20resource.labels.job_id%3D%22123%22?project=p",
	}
	if got := (&Backend{Options: Options{Project: "p"}}).links(resource); got != want {
		t.Errorf("links %+v, want %+v", got, want)
	}
}

func TestCreate(t *testing.T) {
	backend, s := open(t, ok(shown(resource, "JOB_STATE_PENDING", "")))
	o := order(nil)
	got, err := backend.Create(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := attempt.BackendJob{
		JobID: "census_1", ResourceName: resource, State: job.BackendPreparing, Labels: labels(),
		Created: time.Date(2026, 11, 28, 12, 0, 0, 5e8, time.UTC),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("look (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"POST /v1/" + parent + "/customJobs"}, s.calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	r, _ := NewRequest("p", o, today)
	body, err := json.Marshal(r.Body())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(body), strings.TrimSpace(s.body())); diff != "" {
		t.Errorf("body (-planned +sent):\n%s", diff)
	}
}

// What can't run there is refused without a call.
func TestCreateRefuses(t *testing.T) {
	for name, o := range map[string]job.Order{
		"TPU":            order(func(o *job.Order) { o.TrainingInput.ScaleTier = "BASIC_TPU" }),
		"another region": order(func(o *job.Order) { o.TrainingInput.Region = "asia-east1" }),
	} {
		t.Run(name, func(t *testing.T) {
			backend, _ := open(t)
			_, err := backend.Create(t.Context(), o)
			refused, is := errors.AsType[*attempt.RefusedError](err)
			if !is || len(refused.Fields) == 0 || refused.Fields[0].Severity != job.Error {
				t.Errorf("error %+v", err)
			}
			if told := backend.Check(o); !slices.ContainsFunc(told,
				func(d plan.Diagnostic) bool { return d.Action == plan.Unmappable }) {
				t.Errorf("told %v", told)
			}
		})
	}
}

// A minute's creates are used up before the service has to say so; the next minute
// brings others.
func TestCreatesAreLimited(t *testing.T) {
	var answers []answer
	for range burst + createsPerMinute {
		answers = append(answers, ok(shown(resource, "JOB_STATE_PENDING", "")))
	}
	backend, s := open(t, answers...)
	now := today
	backend.Now = func() time.Time { return now }
	for i := range burst {
		if _, err := backend.Create(t.Context(), order(nil)); err != nil {
			t.Fatalf("create %d: %v", i, err)
		}
	}
	if _, err := backend.Create(t.Context(), order(nil)); !errors.Is(err, job.ErrQuota) {
		t.Errorf("create %d: %v", burst, err)
	}
	if len(s.calls()) != burst {
		t.Errorf("%d creates, want %d", len(s.calls()), burst)
	}
	if _, err := backend.Create(t.Context(),
		order(func(o *job.Order) { o.TrainingInput.Region = "us-central1" })); err != nil {
		t.Errorf("another region: %v", err)
	}
	now = now.Add(time.Minute)
	if _, err := backend.Create(t.Context(), order(nil)); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestGet(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 11, 28, hour, 0, 0, 0, time.UTC) }
	const started, ended = `, "startTime": "2026-11-28T13:00:00Z"`, `, "startTime": "2026-11-28T13:00:00Z", "endTime": "2026-11-28T14:00:00Z"`
	for _, test := range []struct {
		state, more string
		want        attempt.BackendJob
	}{
		{"JOB_STATE_QUEUED", "", attempt.BackendJob{State: job.BackendQueued}},
		{"JOB_STATE_PENDING", "", attempt.BackendJob{State: job.BackendPreparing}},
		{"JOB_STATE_PENDING", started, attempt.BackendJob{State: job.BackendPreparing}},
		{"JOB_STATE_RUNNING", started, attempt.BackendJob{State: job.BackendRunning, Started: at(13)}},
		{"JOB_STATE_UPDATING", started, attempt.BackendJob{State: job.BackendRunning, Started: at(13)}},
		{"JOB_STATE_PAUSED", started, attempt.BackendJob{State: job.BackendRunning, Started: at(13),
			Message: "the job is paused"}},
		{"JOB_STATE_SUCCEEDED", ended, attempt.BackendJob{State: job.BackendSucceeded, Started: at(13), Ended: at(14)}},
		{
			"JOB_STATE_PARTIALLY_SUCCEEDED", ended,
			attempt.BackendJob{State: job.BackendSucceeded, Started: at(13), Ended: at(14),
				Message: "the job succeeded in part"},
		},
		{
			"JOB_STATE_FAILED", ended + `, "error": {"code": 3, "message": "exit 1"}`,
			attempt.BackendJob{State: job.BackendFailed, Started: at(13), Ended: at(14), Message: "exit 1"},
		},
		{
			"JOB_STATE_FAILED", ended + `, "error": {"code": 4, "message": "late"}`,
			attempt.BackendJob{State: job.BackendFailed, Started: at(13), Ended: at(14), Message: "late",
				DeadlineExceeded: true},
		},
		{
			"JOB_STATE_EXPIRED", ended,
			attempt.BackendJob{State: job.BackendFailed, Started: at(13), Ended: at(14), DeadlineExceeded: true, Expired: true,
				Message: "the job expired"},
		},
		{"JOB_STATE_CANCELLING", started, attempt.BackendJob{State: job.BackendCancelling, Started: at(13)}},
		{
			"JOB_STATE_CANCELLED", ended + `, "error": {"code": 1, "message": "CANCELED"}`,
			attempt.BackendJob{State: job.BackendCancelled, Started: at(13), Ended: at(14), Message: "CANCELED"},
		},
		{"JOB_STATE_OF_TOMORROW", "", attempt.BackendJob{}},
	} {
		t.Run(test.state, func(t *testing.T) {
			backend, s := open(t, ok(shown(resource, test.state, test.more)))
			got, err := backend.Get(t.Context(), job.JobInfo{ID: "census_1", ResourceName: resource})
			if err != nil {
				t.Fatal(err)
			}
			test.want.JobID, test.want.ResourceName, test.want.Labels = "census_1", resource, labels()
			test.want.Created, test.want.Links = time.Date(2026, 11, 28, 12, 0, 0, 5e8, time.UTC), got.Links
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("look (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"GET /v1/" + resource}, s.calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTrials(t *testing.T) {
	backend, _ := open(t, ok(shown(tuned, "JOB_STATE_SUCCEEDED", `, "trials": [
		{"id": "1", "state": "SUCCEEDED", "parameters": [{"parameterId": "rate", "value": 0.25}, {"parameterId": "kind", "value": "a"}],
		 "finalMeasurement": {"stepCount": "30", "metrics": [{"metricId": "loss", "value": 0}]}},
		{"id": "2", "state": "INFEASIBLE", "infeasibleReason": "no metric", "parameters": [{"parameterId": "rate", "value": 1000000}]},
		{"id": "3", "state": "STOPPING"}]`)))
	got, err := backend.Get(t.Context(), job.JobInfo{ResourceName: tuned})
	if err != nil {
		t.Fatal(err)
	}
	zero := 0.0
	want := []job.Trial{
		{
			ID: "1", State: job.BackendSucceeded, Parameters: map[string]string{"rate": "0.25", "kind": "a"}, Objective: &zero,
			Step: 30,
		},
		{ID: "2", State: job.BackendFailed, Parameters: map[string]string{"rate": "1e+06"}, Message: "no metric"},
		{ID: "3", State: job.BackendRunning},
	}
	if diff := cmp.Diff(want, got.Trials); diff != "" {
		t.Errorf("trials (-want +got):\n%s", diff)
	}
}

// A name that is none of the service's is looked for nowhere: its region would
// become part of a host's name.
func TestNames(t *testing.T) {
	for _, name := range []string{
		"", "census_1", "projects/p/jobs/census_1", "projects/p/locations/evil.example/customJobs/1",
		"projects/p/locations/x@y/customJobs/1",
		"projects/p/locations/europe-west4/models/1", "projects/p/locations/europe-west4/customJobs/",
		"projects/p/locations//customJobs/1", resource + "/x",
	} {
		backend, _ := open(t)
		if _, err := backend.Get(t.Context(), job.JobInfo{ID: "census_1", ResourceName: name}); !errors.Is(err,
			job.ErrNotFound) {
			t.Errorf("get %q: %v", name, err)
		}
		if err := backend.Cancel(t.Context(), job.JobInfo{ID: "census_1", ResourceName: name}); !errors.Is(err,
			job.ErrNotFound) {
			t.Errorf("cancel %q: %v", name, err)
		}
	}
}

func TestCancel(t *testing.T) {
	backend, s := open(t, ok("{}"), ok("{}"))
	for _, name := range []string{resource, tuned} {
		if err := backend.Cancel(t.Context(), job.JobInfo{ResourceName: name}); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"POST /v1/" + resource + ":cancel", "POST /v1/" + tuned + ":cancel"},
		s.calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// An attempt's jobs are found by its label, in the region and collection that its
// request goes to, the oldest first.
func TestFind(t *testing.T) {
	newer := strings.Replace(shown(parent+"/customJobs/2", "JOB_STATE_RUNNING", ""), "12:00:00.5Z", "12:00:01Z", 1)
	foreign := strings.Replace(shown(parent+"/customJobs/3", "JOB_STATE_RUNNING", ""), job.AttemptLabel("attempt"),
		job.AttemptLabel("another"), 1)
	// Two installations may take drops of one bucket: an attempt's name is the same then.
	others := strings.Replace(shown(parent+"/customJobs/4", "JOB_STATE_RUNNING", ""), labels()[job.LabelInstance],
		job.InstanceLabel("another"), 1)
	backend, s := open(t, ok(`{"customJobs": [`+newer+", "+foreign+", "+others+`], "nextPageToken": "more"}`),
		ok(`{"customJobs": [`+shown(resource, "JOB_STATE_RUNNING", "")+`]}`))
	found, err := backend.Find(t.Context(), order(nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[0].ResourceName != resource {
		t.Errorf("found %+v", found)
	}
	list := "GET /v1/" + parent + "/customJobs?filter=labels.jobdrop-attempt%3D%22" + job.AttemptLabel("attempt") +
		"%22&pageSize=100"
	const fields = "&readMask=name%2CdisplayName%2Clabels%2Cstate%2CcreateTime%2CstartTime%2CendTime%2Cerror"
	want := []string{list + "&pageToken=" + fields, list + "&pageToken=more" + fields}
	calls := s.calls()
	for i := range calls {
		calls[i] = strings.Replace(calls[i], "&pageSize=100&readMask", "&pageSize=100&pageToken=&readMask", 1)
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	tuning := order(func(o *job.Order) { o.TrainingInput.Hyperparameters = &job.HyperparameterSpec{} })
	backend, s = open(t, ok(`{}`))
	if found, err := backend.Find(t.Context(), tuning); err != nil || len(found) > 0 ||
		!strings.Contains(s.calls()[0], "/hyperparameterTuningJobs?") {
		t.Errorf("found %v, %v by %v", found, err, s.calls())
	}
	// The list has no trials, and a verdict needs them.
	backend, s = open(t, ok(`{"hyperparameterTuningJobs": [`+shown(tuned, "JOB_STATE_SUCCEEDED", "")+`]}`),
		ok(shown(tuned, "JOB_STATE_SUCCEEDED", `, "trials": [{"id": "1", "state": "SUCCEEDED"}]`)))
	if found, err := backend.Find(t.Context(), tuning); err != nil || len(found) != 1 || len(found[0].Trials) != 1 {
		t.Errorf("found %+v, %v by %v", found, err, s.calls())
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"project": {Regions: []string{"r"}, Now: time.Now}, "regions": {Project: "p", Now: time.Now},
		"Now": {Project: "p", Regions: []string{"r"}},
	} {
		if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// A region has an endpoint of its own.
func TestURL(t *testing.T) {
	backend, err := New(t.Context(),
		Options{Project: "p", Regions: []string{"r"}, Endpoint: "http://127.0.0.1:1", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if got := backend.URL("europe-west4"); got != "http://127.0.0.1:1/" {
		t.Errorf("local URL %s", got)
	}
	backend.Endpoint = ""
	if got := backend.URL("europe-west4"); got != "https://europe-west4-aiplatform.googleapis.com/" {
		t.Errorf("URL %s", got)
	}
}

// Every state of the API is one of the domain's, but for the two that are none.
func TestStatesAreAllMapped(t *testing.T) {
	for _, s := range active {
		if states[s] == "" || states[s].Ended() {
			t.Errorf("%s is active and maps to %q", s, states[s])
		}
	}
	for s, mapped := range states {
		if !mapped.Ended() && !slices.Contains(active, s) {
			t.Errorf("%s has not ended and is not asked for", s)
		}
	}
	var _ aiplatform.GoogleCloudAiplatformV1CustomJob // the states are those of its field State
}

// All regions and both collections are listed, each in pages, and each page says
// where the list goes on.
func TestListActive(t *testing.T) {
	page := func(collection, next string, ids ...string) answer {
		var all []string
		for _, id := range ids {
			all = append(all, shown(parent+"/"+collection+"/"+id, "JOB_STATE_RUNNING", ""))
		}
		return ok(fmt.Sprintf(`{%q: [%s], "nextPageToken": %q}`, collection, strings.Join(all, ", "), next))
	}
	const custom, tuning = "customJobs", "hyperparameterTuningJobs"
	down := failure(403, "PERMISSION_DENIED", "not in this region")
	for _, test := range []struct {
		name, from string
		answers    []answer
		stop       int // after so many pages
		calls      []string
		ids, nexts []string
		err        error
	}{
		{
			name: "all", answers: []answer{
				page(custom, "x/y", "1"), page(custom, "", "2"), page(tuning, ""), page(custom, ""), page(tuning, "", "3"),
			},
			calls: []string{
				"europe-west4/customJobs", "europe-west4/customJobs x/y", "europe-west4/hyperparameterTuningJobs",
				"us-central1/customJobs", "us-central1/hyperparameterTuningJobs",
			},
			ids: []string{"1", "2", "3"},
			nexts: []string{
				"europe-west4/customJobs/x/y", "europe-west4/hyperparameterTuningJobs/", "us-central1/customJobs/",
				"us-central1/hyperparameterTuningJobs/", "",
			},
		},
		{
			name: "from a page on", from: "us-central1/customJobs/x/y",
			answers: []answer{page(custom, "", "4"), page(tuning, "")},
			calls:   []string{"us-central1/customJobs x/y", "us-central1/hyperparameterTuningJobs"}, ids: []string{"4"},
			nexts: []string{"us-central1/hyperparameterTuningJobs/", ""},
		},
		{
			name: "stopped by the caller", answers: []answer{page(custom, "", "1")}, stop: 1,
			calls: []string{"europe-west4/customJobs"}, ids: []string{"1"},
			nexts: []string{"europe-west4/hyperparameterTuningJobs/"}, err: io.EOF,
		},
		{
			name: "a region that is down", answers: []answer{down, down, page(custom, "", "1"), page(tuning, "")},
			calls: []string{
				"europe-west4/customJobs", "europe-west4/hyperparameterTuningJobs", "us-central1/customJobs",
				"us-central1/hyperparameterTuningJobs",
			},
			ids: []string{"1"}, nexts: []string{"us-central1/hyperparameterTuningJobs/", ""}, err: &attempt.RefusedError{},
		},
		{name: "from nowhere", from: "mars/customJobs/x", err: &attempt.RefusedError{}},
		{name: "from nothing", from: "x", err: &attempt.RefusedError{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			backend, s := open(t, test.answers...)
			var ids, nexts []string
			err := backend.ListActive(t.Context(), "prod", test.from, func(looks []attempt.BackendJob, next string) error {
				for _, l := range looks {
					ids = append(ids, id(l.ResourceName))
				}
				if nexts = append(nexts, next); len(nexts) == test.stop {
					return io.EOF
				}
				return nil
			})
			_, refused := errors.AsType[*attempt.RefusedError](err)
			_, wanted := errors.AsType[*attempt.RefusedError](test.err)
			if refused != wanted || !wanted && !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			var calls []string
			for _, call := range s.calls() {
				path, query, _ := strings.Cut(strings.TrimPrefix(call, "GET /v1/projects/p/locations/"), "?")
				values, err := url.ParseQuery(query)
				if err != nil {
					t.Fatal(err)
				}
				want := `labels.jobdrop-instance="` + job.InstanceLabel("prod") +
					`" AND (state="JOB_STATE_QUEUED" OR state="JOB_STATE_PENDING" OR state="JOB_STATE_RUNNING" ` +
					`OR state="JOB_STATE_UPDATING" OR state="JOB_STATE_PAUSED" OR state="JOB_STATE_CANCELLING")`
				if diff := cmp.Diff(want, values.Get("filter")); diff != "" || values.Get("pageSize") != "100" ||
					values.Get("readMask") != mask {
					t.Errorf("query %v; filter (-want +got):\n%s", values, diff)
				}
				calls = append(calls, strings.TrimSpace(path+" "+values.Get("pageToken")))
			}
			for what, diff := range map[string]string{
				"calls": cmp.Diff(test.calls, calls), "jobs": cmp.Diff(test.ids, ids), "places": cmp.Diff(test.nexts, nexts),
			} {
				if diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}
