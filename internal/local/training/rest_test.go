package training

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/ml/v1"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

// idle returns a service whose jobs stay queued: nothing runs in tests of the API.
func idle(t *testing.T) (*Service, *httptest.Server) {
	t.Helper()
	svc, err := newService(t.Context(), Options{Storage: "http://127.0.0.1:1", Dir: t.TempDir(),
		Python: Python{Path: "/nowhere/python3"}, MaxReplicas: 4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	svc.active = svc.opts.MaxJobs
	server := httptest.NewServer(svc.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := svc.Close(); err != nil {
			t.Error(err)
		}
	})
	return svc, server
}

type answered struct {
	code int
	body string
	err  struct {
		Code            int
		Message, Status string
		Details         []struct {
			Type            string `json:"@type"`
			FieldViolations []rest.Violation
		}
	}
}

func send(t *testing.T, method, url, body string, header ...string) answered {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answered{code: res.StatusCode, body: string(data)}
	var envelope struct{ Error *json.RawMessage }
	if err := json.Unmarshal(data, &envelope); err != nil {
		t.Fatalf("%s %s: %v: %s", method, url, err, data)
	}
	if envelope.Error != nil {
		if err := json.Unmarshal(*envelope.Error, &a.err); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

const validInput = `"packageUris": ["gs://b/p/trainer-0.1.tar.gz"], "pythonModule": "trainer.task", "region": ` +
	`"us-central1"`

const validParams = `"params": [{"parameterName": "a", "type": "DOUBLE", "minValue": 0, "maxValue": 1}]`

func TestCreateRefuses(t *testing.T) {
	_, server := idle(t)
	input := func(more string) string {
		return `{"jobId": "j", "trainingInput": {` + validInput + `, ` + more + `}}`
	}
	for _, tt := range []struct {
		name, body  string
		want, field string
	}{
		{"no id", `{"trainingInput": {` + validInput + `}}`, "Field: job_id Error: A job must have an id.", "job_id"},
		{"id", `{"jobId": "my-job", "trainingInput": {` + validInput + `}}`,
			"Field: job_id Error: A name should start with a letter and contain only letters, numbers and underscores.",
			"job_id"},
		{"long id", `{"jobId": "` + strings.Repeat("a", 201) + `", "trainingInput": {` + validInput + `}}`, "200 characters",
			"job_id"},
		{"no input", `{"jobId": "j"}`, "Field: training_input Error: ", "training_input"},
		{"no packages", `{"jobId": "j", "trainingInput": {"pythonModule": "a", "region": "r"}}`,
			"Field: package_uris Error: ", "package_uris"},
		{"no module", `{"jobId": "j", "trainingInput": {"packageUris": ["gs://b/o"], "region": "r"}}`,
			"Field: python_module Error: ", "python_module"},
		{"no region", `{"jobId": "j", "trainingInput": {"packageUris": ["gs://b/o"], "pythonModule": "a"}}`,
			"Field: region Error: ", "region"},
		{"module", `{"jobId": "j", "trainingInput": {"packageUris": ["gs://b/o"], "pythonModule": "trainer/task.py", ` +
			`"region": "r"}}`, "dotted name", "python_module"},
		{"option for a module", `{"jobId": "j", "trainingInput": {"packageUris": ["gs://b/o"], "pythonModule": "-c", ` +
			`"region": "r"}}`, "dotted name", "python_module"},
		{"package URI", `{"jobId": "j", "trainingInput": {"packageUris": ["trainer.tar.gz"], "pythonModule": "a", ` +
			`"region": "r"}}`, "gs://bucket/object", "package_uris"},
		{"job dir", input(`"jobDir": "/tmp/x"`), "must be of the form gs://bucket/object", "job_dir"},
		{"null in args", input(`"args": ["a\u0000b"]`), "null character", "args"},
		{"custom", input(`"scaleTier": "CUSTOM"`), "Field: master_type Error: ", "master_type"},
		{"large tier", input(`"scaleTier": "STANDARD_1"`), "The job needs 8 replicas (1 master, 4 workers, 3 parameter " +
			"servers), and the local training service runs at most 4 at once on this machine: start jobdrop local with " +
			"--max-replicas 8 or more", "scale_tier"},
		{"larger tier", input(`"scaleTier": "PREMIUM_1"`), "needs 31 replicas (1 master, 19 workers, 11 parameter servers)",
			"scale_tier"},
		{"many workers", input(`"scaleTier": "CUSTOM", "masterType": "standard", "workerType": "standard", "workerCount": ` +
			`"9223372036854775807", "evaluatorType": "standard", "evaluatorCount": "9223372036854775807"`), "needs 2147483647 " +
			"replicas (1 master, 9223372036854775807 workers, 9223372036854775807 evaluators)", "worker_count"},
		{"worker type", input(`"scaleTier": "CUSTOM", "masterType": "standard", "workerCount": "2"`),
			"Field: worker_type Error: ", "worker_type"},
		{"TPU worker", input(`"scaleTier": "CUSTOM", "masterType": "standard", "workerType": "cloud_tpu", "workerCount": "1"`), "has no cloud_tpu", "worker_type"},
		{"parameter servers", input(`"parameterServerCount": 1`), "can only be used with the scale tier CUSTOM",
			"parameter_server_count"},
		{"workers of a tier", input(`"scaleTier": "STANDARD_1", "workerCount": 1`), "can only be used with the scale tier " +
			"CUSTOM", "worker_count"},
		{"evaluator", input(`"evaluatorCount": "1"`), "Field: evaluator_count Error: ", "evaluator_count"},
		{"image of a worker", input(`"workerConfig": {"imageUri": "gcr.io/p/i"}`), "--container-runner docker",
			"worker_config.image_uri"},
		{"container command", input(`"masterConfig": {"containerCommand": ["x"]}`), "can't be set without a container image",
			"master_config.container_command"},
		{"negative", input(`"evaluatorCount": "-1"`), "must not be negative", "evaluator_count"},
		{"image", input(`"masterConfig": {"imageUri": "gcr.io/p/i"}`), "Field: master_config.image_uri Error: ",
			"master_config.image_uri"},
		{"tuning nothing", input(`"hyperparameters": {"maxTrials": 2}`), "must have parameters", "hyperparameters.params"},
		{"resumed study", input(`"hyperparameters": {` + validParams + `, "resumePreviousJobId": "old"}`),
			"does not resume a study: leave resumePreviousJobId out", "hyperparameters.resume_previous_job_id"},
		{"negative trials", input(`"hyperparameters": {` + validParams + `, "maxTrials": -1}`), "must not be negative",
			"hyperparameters.max_trials"},
		{"negative parallel trials", input(`"hyperparameters": {` + validParams + `, "maxParallelTrials": -1}`),
			"must not be negative", "hyperparameters.max_parallel_trials"},
		{"negative failed trials", input(`"hyperparameters": {` + validParams + `, "maxFailedTrials": -1}`),
			"must not be negative", "hyperparameters.max_failed_trials"},
		{"many trials", input(`"hyperparameters": {` + validParams + `, "maxTrials": 1001}`), "at most 1000 trials",
			"hyperparameters.max_trials"},
		{"parallel trials", input(`"hyperparameters": {` + validParams + `, "maxTrials": 9, "maxParallelTrials": 7}`),
			"7 trials at once need 7 replicas (1 master for each), and the local training service runs at most 4 at once on " +
				"this machine: lower maxParallelTrials to 4, or start jobdrop local with --max-replicas 7 or more",
			"hyperparameters.max_parallel_trials"},
		{"no parameter's name", input(`"hyperparameters": {"params": [{"type": "DOUBLE", "minValue": 0, "maxValue": 1}]}`),
			"must have a name", "hyperparameters.params[0].parameter_name"},
		{"odd name", input(`"hyperparameters": {"params": [{"parameterName": "a b", "type": "DOUBLE", "minValue": 0, ` +
			`"maxValue": 1}]}`), "can't be the name of an argument", "hyperparameters.params[0].parameter_name"},
		{"option as a name", input(`"hyperparameters": {"params": [{"parameterName": "-a", "type": "DOUBLE", "minValue": ` +
			`0, "maxValue": 1}]}`), "can't be the name of an argument", "hyperparameters.params[0].parameter_name"},
		{"name twice", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "CATEGORICAL", ` +
			`"categoricalValues": ["x"]}, {"parameterName": "a", "type": "CATEGORICAL", "categoricalValues": ["x"]}]}`),
			"must be unique", "hyperparameters.params[1].parameter_name"},
		{"no type", input(`"hyperparameters": {"params": [{"parameterName": "a", "minValue": 0, "maxValue": 1}]}`),
			"must have a type", "hyperparameters.params[0].type"},
		{"no bounds", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "DOUBLE", "minValue": 0}]}`),
			"must be given for the type DOUBLE", "hyperparameters.params[0].min_value"},
		{"order of bounds", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "INTEGER", "minValue": 2, ` +
			`"maxValue": 1}]}`), "must not be greater than max_value, 1", "hyperparameters.params[0].min_value"},
		{"bounds of a log scale", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "DOUBLE", ` +
			`"minValue": 0, "maxValue": 1, "scaleType": "UNIT_LOG_SCALE"}]}`), "strictly positive with the scale type " +
			"UNIT_LOG_SCALE", "hyperparameters.params[0].min_value"},
		{"integers", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "INTEGER", "minValue": 0.5, ` +
			`"maxValue": 1}]}`), "must be integers", "hyperparameters.params[0].min_value"},
		{"large integers", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "INTEGER", "minValue": 0, ` +
			`"maxValue": 1e300}]}`), "from -9007199254740991 to 9007199254740991", "hyperparameters.params[0].min_value"},
		{"no values", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "DISCRETE"}]}`),
			"must be given for the type DISCRETE", "hyperparameters.params[0].discrete_values"},
		{"values of a log scale", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "DISCRETE", ` +
			`"discreteValues": [1, -2], "scaleType": "UNIT_REVERSE_LOG_SCALE"}]}`), "strictly positive",
			"hyperparameters.params[0].discrete_values"},
		{"no categories", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "CATEGORICAL"}]}`),
			"must be given for the type CATEGORICAL", "hyperparameters.params[0].categorical_values"},
		{"null in a category", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": "CATEGORICAL", ` +
			`"categoricalValues": ["a\u0000"]}]}`), "null character", "hyperparameters.params[0].categorical_values"},
		{"grid of a continuous parameter", input(`"hyperparameters": {` + validParams + `, "algorithm": "GRID_SEARCH"}`),
			"To use grid search, all parameters must be INTEGER, CATEGORICAL, or DISCRETE.", "hyperparameters.params[0].type"},
		{"more discrete values than the API takes", input(`"hyperparameters": {"params": [{"parameterName": "a", "type": ` +
			`"DISCRETE", "discreteValues": [1` + strings.Repeat(", 1", 1000) + `]}]}`), "not be more than 1000 values",
			"hyperparameters.params[0].discrete_values"},
		{"more text than a record holds", input(`"hyperparameters": {"maxTrials": 1000, "params": [{"parameterName": "a", ` +
			`"type": "CATEGORICAL", "categoricalValues": ["` + strings.Repeat("x", 4000) + `"]}]}`),
			"The names and values of 1000 trials have more than 2097152 bytes", "hyperparameters.params"},
		{"region", input(`"region": "mars-1"`), `Field: region Error: This is not a valid region (found mars-1, allowed: a ` +
			`region such as us-central1)`, "region"},
		{"unknown region", input(`"region": "mars-central1"`), "not among those known to train", "region"},
		{"version", input(`"runtimeVersion": "9.99"`), "Field: runtime_version Error: The runtime version is not among those " +
			"known (found 9.99)", "runtime_version"},
		{"Python of a version", input(`"runtimeVersion": "2.11", "pythonVersion": "3.5"`), "Field: python_version Error: ",
			"python_version"},
		{"accelerators", input(`"scaleTier": "CUSTOM", "masterType": "n1-standard-8", "masterConfig": {"acceleratorConfig": ` +
			`{"type": "NVIDIA_TESLA_T4", "count": 3}}`), "accelerator_config", "master_config.accelerator_config.count"},
		{"prediction", `{"jobId": "j", "predictionInput": {}}`, "Field: prediction_input Error: ", "prediction_input"},
		{"label", `{"jobId": "j", "labels": {"Team": "x"}, "trainingInput": {` + validInput + `}}`, "Field: labels Error: ",
			"labels"},
		{"unknown", input(`"foo": 1`), `Invalid JSON payload received. Unknown name "foo" at 'job.training_input': Cannot ` +
			`find field.`, "job.training_input"},
		{"unknown at the top", `{"foo": 1}`, `Invalid JSON payload received. Unknown name "foo" at 'job': Cannot find field.`,
			"job"},
		{"type", input(`"runtimeVersion": 2.1`), `Invalid value at 'job.training_input.runtime_version' (TYPE_STRING), 2.1`,
			"job.training_input.runtime_version"},
		{"type in a list", input(`"args": ["a", 5]`), `Invalid value at 'job.training_input.args[1]' (TYPE_STRING), 5`,
			"job.training_input.args[1]"},
		{"list", input(`"args": "a"`), `'job.training_input.args' (repeated field)`, "job.training_input.args"},
		{"enum", input(`"scaleTier": "SMALL"`), `'job.training_input.scale_tier' (enum: `, "job.training_input.scale_tier"},
		{"duration", input(`"scheduling": {"maxWaitTime": "1h"}`), `'job.training_input.scheduling.max_wait_time' ` +
			`(type.googleapis.com/google.protobuf.Duration`, "job.training_input.scheduling.max_wait_time"},
		{"number", input(`"scheduling": {"priority": 1.5}`), `(TYPE_INT32), 1.5`, "job.training_input.scheduling.priority"},
		{"large number", input(`"workerCount": 1e300`), `(TYPE_INT64), 1e300`, "job.training_input.worker_count"},
		{"bool", input(`"enableWebAccess": "true"`), `(TYPE_BOOL), "true"`, "job.training_input.enable_web_access"},
		{"message", `{"jobId": "j", "trainingInput": []}`, `'job.training_input' (message), []`, "job.training_input"},
		{"no JSON", `{"jobId": `, "Invalid JSON payload received. ", ""},
		{"two values", `{} {}`, "Unexpected text after the JSON value.", ""},
		{"too large", `{"jobId": "` + strings.Repeat("x", rest.MaxBody) + `"}`, "exceeds the limit", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := send(t, "POST", server.URL+"/v1/projects/p/jobs", tt.body)
			if a.code != 400 || a.err.Code != 400 || a.err.Status != "INVALID_ARGUMENT" ||
				!strings.Contains(a.err.Message, tt.want) {
				t.Errorf("answer %d %s, want 400 and %q", a.code, a.body, tt.want)
			}
			if tt.field == "" {
				return
			}
			if len(a.err.Details) != 1 || a.err.Details[0].Type != "type.googleapis.com/google.rpc.BadRequest" ||
				!slices.ContainsFunc(a.err.Details[0].FieldViolations, func(v rest.Violation) bool {
					return v.Field == tt.field &&
						v.Description != ""
				}) {
				t.Errorf("details %+v lack a violation of %s", a.err.Details, tt.field)
			}
		})
	}
	if a := send(t, "GET", server.URL+"/v1/projects/p/jobs", ""); a.code != 200 || strings.TrimSpace(a.body) != "{}" {
		t.Errorf("jobs after refusals: %s", a.body)
	}
}

// TestCreateAccepts: what proto3's JSON allows comes back in the API's own form.
func TestCreateAccepts(t *testing.T) {
	_, server := idle(t)
	a := send(t, "POST", server.URL+"/v1/projects/p/jobs?alt=json",
		`{"job_id": "j", "state": "FAILED", "createTime": "2001-01-01T00:00:00Z", "labels": {"team": "a"},
		"training_input": {`+validInput+`, "scaleTier": "basic-gpu", "workerCount": 0, "network": null, "jobDir": "gs://b",
		"scheduling": {"max_running_time": "3600s", "priority": "5"}, "masterConfig": {"acceleratorConfig": {"count": 2, "type": "NVIDIA_TESLA_T4"}}}}`)
	if a.code != 200 {
		t.Fatalf("answer %d %s", a.code, a.body)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"createTime", "etag"} {
		if text, _ := got[name].(string); text == "" || strings.HasPrefix(text, "2001") {
			t.Errorf("%s = %v", name, got[name])
		}
		delete(got, name)
	}
	want := map[string]any{
		"jobId": "j", "state": "QUEUED", "jobPosition": "1", "labels": map[string]any{"team": "a"},
		"trainingInput": map[string]any{
			"packageUris": []any{"gs://b/p/trainer-0.1.tar.gz"}, "pythonModule": "trainer.task", "region": "us-central1",
			"scaleTier": "BASIC_GPU", "jobDir": "gs://b",
			"scheduling":   map[string]any{"maxRunningTime": "3600s", "priority": 5.0},
			"masterConfig": map[string]any{"acceleratorConfig": map[string]any{"count": "2", "type": "NVIDIA_TESLA_T4"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
}

func queuedJob(id string, labels map[string]string) *ml.GoogleCloudMlV1__Job {
	return &ml.GoogleCloudMlV1__Job{JobId: id, Labels: labels, TrainingInput: &ml.GoogleCloudMlV1__TrainingInput{
		PackageUris: []string{"gs://b/trainer-0.1.tar.gz"}, PythonModule: "trainer.task", Region: "us-central1",
	}}
}

func TestJobsResource(t *testing.T) {
	_, server := idle(t)
	api := client(t, server.URL)
	created, err := api.Create("projects/p", queuedJob("one", map[string]string{"a": "b"})).Do()
	if err != nil {
		t.Fatal(err)
	}
	if code, text := status(doErr(api.Create("projects/p", queuedJob("one", nil)).Do())); code != 409 ||
		!strings.Contains(text, "Field: job.job_id Error: A job with this id already exists.") {
		t.Errorf("create again: %d %s", code, text)
	}
	if a := send(t, "GET", server.URL+"/v1/projects/p/jobs/two", ""); a.code != 404 || a.err.Status != "NOT_FOUND" {
		t.Errorf("get of an unknown job: %s", a.body)
	}
	if code, _ := status(doErr(api.Get("projects/other/jobs/one").Do())); code != 404 {
		t.Errorf("get in another project: %d, want 404", code)
	}
	if code, _ := status(doErr(api.Cancel("projects/p/jobs/two", nil).Do())); code != 404 {
		t.Errorf("cancel of an unknown job: %d, want 404", code)
	}

	change := &ml.GoogleCloudMlV1__Job{Labels: map[string]string{"c": "d"}, Etag: created.Etag}
	patched, err := api.Patch("projects/p/jobs/one", change).UpdateMask("labels,etag").Do()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"c": "d"}, patched.Labels); diff != "" || patched.Etag == created.Etag {
		t.Errorf("etag %q after %q, labels (-want +got):\n%s", patched.Etag, created.Etag, diff)
	}
	for _, tt := range []struct {
		name, mask string
		job        *ml.GoogleCloudMlV1__Job
		code       int
	}{
		{"stale etag", "labels,etag", change, 409},
		{"no mask", "", change, 400},
		{"other field", "labels,jobId", change, 400},
		{"no etag", "labels,etag", &ml.GoogleCloudMlV1__Job{}, 400},
		{"bad label", "labels", &ml.GoogleCloudMlV1__Job{Labels: map[string]string{"1": "x"}}, 400},
	} {
		call := api.Patch("projects/p/jobs/one", tt.job)
		if tt.mask != "" {
			call.UpdateMask(tt.mask)
		}
		if code, text := status(doErr(call.Do())); code != tt.code {
			t.Errorf("patch with %s: %d %s, want %d", tt.name, code, text, tt.code)
		}
	}

	if _, err := api.Cancel("projects/p/jobs/one", nil).Do(); err != nil {
		t.Fatal(err)
	}
	poll(t, func() bool {
		j, err := api.Get("projects/p/jobs/one").Do()
		return err == nil && j.State == "CANCELLED"
	}, func() string { return "the job was not cancelled" })
	if a := send(t, "POST", server.URL+"/v1/projects/p/jobs/one:cancel", "{}"); a.code != 400 ||
		a.err.Status != "FAILED_PRECONDITION" {
		t.Errorf("cancel of an ended job: %s", a.body)
	}
	for _, path := range []string{"/", "/v1/projects/p/jobs/one:undelete", "/v1/projects//jobs", "/v1/projects/p/models",
		"/v1/projects/p/jobs/", "/v1/projects/p/jobs/one/x", "/$discovery/rest?version=v9"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			if a := send(t, method, server.URL+path, ""); a.code != 400 || a.err.Status != "UNIMPLEMENTED" ||
				!strings.Contains(a.err.Message, "docs/local.md") {
				t.Errorf("%s %s: %d %s", method, path, a.code, a.body)
			}
		}
	}
	if a := send(t, "POST", server.URL+"/v1/projects/p/jobs", "{}", "Sec-Fetch-Site", "cross-site", "Origin",
		"https://example.com"); a.code != 403 {
		t.Errorf("a request of another web site: %d, want 403", a.code)
	}
}

func TestList(t *testing.T) {
	svc, server := idle(t)
	api := client(t, server.URL)
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("job_%02d", i)
		if _, err := api.Create("projects/p", queuedJob(id,
			map[string]string{"parity": fmt.Sprint(i % 2)})).Do(); err != nil {
			t.Fatal(err)
		}
		want = append([]string{id}, want...)
	}
	if _, err := api.Create("projects/other", queuedJob("else", nil)).Do(); err != nil {
		t.Fatal(err)
	}
	pages := func(filter string, size int64) (ids []string, sizes []int) {
		call := api.List("projects/p").Filter(filter)
		if size > 0 {
			call.PageSize(size)
		}
		err := call.Pages(t.Context(), func(r *ml.GoogleCloudMlV1__ListJobsResponse) error {
			sizes = append(sizes, len(r.Jobs))
			for _, j := range r.Jobs {
				ids = append(ids, j.JobId)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return ids, sizes
	}
	ids, sizes := pages("", 0)
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{20, 5}, sizes); diff != "" {
		t.Errorf("page sizes (-want +got):\n%s", diff)
	}
	if ids, sizes = pages("jobId:job_0* AND labels.parity=1", 2); !slices.Equal(ids,
		[]string{"job_09", "job_07", "job_05", "job_03", "job_01"}) || !slices.Equal(sizes, []int{2, 2, 1}) {
		t.Errorf("filtered: %v in pages of %v", ids, sizes)
	}
	if _, sizes = pages("", 1000); !slices.Equal(sizes, []int{25}) {
		t.Errorf("one page: %v", sizes)
	}
	for _, query := range []string{"filter=jobId", "filter=size:3", "pageSize=-1", "pageSize=x", "pageToken=!",
		"pageToken=bm9qb2I", "filter=" + strings.Repeat("x", rest.MaxFilter+1)} {
		if a := send(t, "GET", server.URL+"/v1/projects/p/jobs?"+query, ""); a.code != 400 ||
			a.err.Status != "INVALID_ARGUMENT" {
			t.Errorf("%.40s: %d %s", query, a.code, a.body)
		}
	}

	// The order outlives the service.
	records, err := svc.store.load(svc.log)
	if err != nil || len(records) != 26 {
		t.Errorf("%d records on disk, want 26 (%v)", len(records), err)
	}
}

func TestStoreLoad(t *testing.T) {
	st := store{dir: t.TempDir()}
	svc, _ := idle(t)
	for _, dir := range []string{"never_answered", "torn"} {
		if err := os.Mkdir(st.places(dir).root, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(st.places("torn").record, []byte(`{"job":`), 0o644); err != nil {
		t.Fatal(err)
	}
	touch(t, st.places("never_answered").record+".new")
	records, err := st.load(svc.log)
	if err != nil || len(records) != 0 {
		t.Errorf("records %v, %v", records, err)
	}
	if _, err := os.Stat(st.places("never_answered").root); !os.IsNotExist(err) {
		t.Errorf("the folder of a job that was never answered for: %v", err)
	}
	if _, err := os.Stat(st.places("torn").record); err != nil {
		t.Errorf("an unreadable record was removed: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	ok := Options{Storage: "http://127.0.0.1:1", Dir: t.TempDir(), Python: Python{Path: "python3"}}
	for name, change := range map[string]func(*Options){
		"Options.Storage": func(o *Options) { o.Storage = "" },
		"no URL":          func(o *Options) { o.Storage = "127.0.0.1:4443" },
		"Options.Dir":     func(o *Options) { o.Dir = "" },
		"Options.Python":  func(o *Options) { o.Python = Python{} },
		"negative":        func(o *Options) { o.MaxJobs = -1 },
	} {
		o := ok
		change(&o)
		if _, err := New(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New: %v, want %q named", err, name)
		}
	}
}
