package training

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	aiplatform "google.golang.org/api/aiplatform/v1"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/vertex"
)

const (
	tuned     = `"trialJobSpec": {"workerPoolSpecs": [{` + onePool + `, ` + python + `}]}`
	oneMetric = `"metrics": [{"metricId": "loss", "goal": "MINIMIZE"}]`
	oneRate   = `{"parameterId": "rate", "doubleValueSpec": {"minValue": 0, "maxValue": 1}}`
)

func TestVertexTuningRefuses(t *testing.T) {
	_, server := idle(t)
	tuning := func(more string) string {
		return `{"displayName": "c", "maxTrialCount": 4, "parallelTrialCount": 2, ` + tuned + `, ` + more + `}`
	}
	study := func(more string) string { return tuning(`"studySpec": {` + more + `}`) }
	params := func(params string) string { return study(oneMetric + `, "parameters": [` + params + `]`) }
	with := func(more string) string { return study(oneMetric + `, "parameters": [` + oneRate + `], ` + more) }
	for _, tt := range []struct {
		name, body  string
		want, field string
	}{
		{"no name", `{"maxTrialCount": 4, "parallelTrialCount": 2, ` + tuned + `, "studySpec": {` + oneMetric +
			`, "parameters": [` + oneRate + `]}}`, "display name is required", "display_name"},
		{"no trials", `{"displayName": "c", "parallelTrialCount": 2, ` + tuned + `, "studySpec": {` + oneMetric +
			`, "parameters": [` + oneRate + `]}}`, "greater than zero", "max_trial_count"},
		{"none at once", `{"displayName": "c", "maxTrialCount": 2, ` + tuned + `, "studySpec": {` + oneMetric +
			`, "parameters": [` + oneRate + `]}}`, "greater than zero", "parallel_trial_count"},
		{"negative", tuning(`"maxFailedTrialCount": -1, "studySpec": {` + oneMetric + `, "parameters": [` + oneRate + `]}`),
			"must not be negative", "max_failed_trial_count"},
		{"too many trials", strings.Replace(with(`"algorithm": "RANDOM_SEARCH"`), `"maxTrialCount": 4`,
			`"maxTrialCount": 1001`, 1), "at most 1000 trials", "max_trial_count"},
		{"too many at once", strings.Replace(strings.Replace(with(`"algorithm": "RANDOM_SEARCH"`), `"parallelTrialCount": 2`,
			`"parallelTrialCount": 8`, 1), `"maxTrialCount": 4`, `"maxTrialCount": 8`, 1), "lower parallelTrialCount to 4",
			"parallel_trial_count"},
		{"no study", tuning(`"labels": {}`), "study spec is required", "study_spec"},
		{"no trial job", `{"displayName": "c", "maxTrialCount": 4, "parallelTrialCount": 2, "studySpec": {` + oneMetric +
			`, "parameters": [` + oneRate + `]}}`, "job spec is required", "trial_job_spec"},
		{"a fault of the trial job", strings.Replace(with(`"algorithm": "RANDOM_SEARCH"`), `"replicaCount": 1`,
			`"replicaCount": 2`, 1), "exactly one replica", "trial_job_spec.worker_pool_specs[0].replica_count"},
		{"no metric", study(`"parameters": [` + oneRate + `]`), "A metric is required", "study_spec.metrics"},
		{"two metrics", study(`"metrics": [{"metricId": "a", "goal": "MAXIMIZE"}, {"metricId": "b", "goal": "MAXIMIZE"}], ` +
			`"parameters": [` + oneRate + `]`), "one metric", "study_spec.metrics"},
		{"metric with a space", study(`"metrics": [{"metricId": "a b", "goal": "MAXIMIZE"}], "parameters": [` + oneRate +
			`]`), "must not contain whitespaces", "study_spec.metrics[0].metric_id"},
		{"no goal", study(`"metrics": [{"metricId": "a"}], "parameters": [` + oneRate + `]`), "goal is required",
			"study_spec.metrics[0].goal"},
		{"safe search", study(`"metrics": [{"metricId": "a", "goal": "MAXIMIZE", "safetyConfig": {}}], "parameters": [` +
			oneRate + `]`), "leave it out", "study_spec.metrics[0].safety_config"},
		{"no parameters", study(oneMetric), "must have parameters", "study_spec.parameters"},
		{"no parameter's name", params(`{"doubleValueSpec": {"maxValue": 1}}`), "must have a name",
			"study_spec.parameters[0].parameter_id"},
		{"the same name", params(oneRate + `, ` + oneRate), "must be unique", "study_spec.parameters[1].parameter_id"},
		{"name with a space", params(`{"parameterId": "a b", "doubleValueSpec": {"maxValue": 1}}`), "name of an argument",
			"study_spec.parameters[0].parameter_id"},
		{"no values", params(`{"parameterId": "a"}`), "Exactly one of", "study_spec.parameters[0]"},
		{"two kinds of values", params(`{"parameterId": "a", "doubleValueSpec": {"maxValue": 1}, "integerValueSpec": ` +
			`{"maxValue": "1"}}`), "Exactly one of", "study_spec.parameters[0]"},
		{"bounds", params(`{"parameterId": "a", "doubleValueSpec": {"minValue": 2, "maxValue": 1}}`), "must not be greater",
			"study_spec.parameters[0].double_value_spec.min_value"},
		{"logarithm of zero", params(`{"parameterId": "a", "scaleType": "UNIT_LOG_SCALE", "integerValueSpec": {"maxValue": ` +
			`1}}`), "strictly positive", "study_spec.parameters[0].integer_value_spec.min_value"},
		{"no categories", params(`{"parameterId": "a", "categoricalValueSpec": {}}`), "must be given",
			"study_spec.parameters[0].categorical_value_spec.values"},
		{"scale of categories", params(`{"parameterId": "a", "scaleType": "UNIT_LINEAR_SCALE", "categoricalValueSpec": ` +
			`{"values": ["x"]}}`), "left unset", "study_spec.parameters[0].scale_type"},
		{"order", params(`{"parameterId": "a", "discreteValueSpec": {"values": [2, 1]}}`), "increasing order",
			"study_spec.parameters[0].discrete_value_spec.values"},
		{"no discrete values", params(`{"parameterId": "a", "discreteValueSpec": {}}`), "must be given",
			"study_spec.parameters[0].discrete_value_spec.values"},
		{"grid of doubles", with(`"algorithm": "GRID_SEARCH"`), "To use grid search", "study_spec.parameters[0]"},
		{"default value", params(`{"parameterId": "a", "integerValueSpec": {"minValue": "1", "maxValue": "2", ` +
			`"defaultValue": "1"}}`), "default value is not supported", "study_spec.parameters[0]"},
		{"conditions", params(`{"parameterId": "a", "integerValueSpec": {"minValue": "1", "maxValue": "2"}, ` +
			`"conditionalParameterSpecs": [{}]}`), "no conditional parameters",
			"study_spec.parameters[0].conditional_parameter_specs"},
		{"convex rule", with(`"convexAutomatedStoppingSpec": {}`), "median rule only",
			"study_spec.convex_automated_stopping_spec"},
		{"decay curve", with(`"decayCurveStoppingSpec": {}`), "median rule only", "study_spec.decay_curve_stopping_spec"},
		{"median of times", with(`"medianAutomatedStoppingSpec": {"useElapsedDuration": true}`), "by their steps",
			"study_spec.median_automated_stopping_spec.use_elapsed_duration"},
		{"end of the study", with(`"studyStoppingConfig": {"maxNumTrials": 3}`), "leave it out",
			"study_spec.study_stopping_config"},
		{"best measurement", with(`"measurementSelectionType": "BEST_MEASUREMENT"`), "last measurement",
			"study_spec.measurement_selection_type"},
		{"noise", with(`"observationNoise": "HIGH"`), "leave it out", "study_spec.observation_noise"},
		{"unknown", with(`"foo": 1`), `Unknown name "foo" at 'hyperparameter_tuning_job.study_spec'`,
			"hyperparameter_tuning_job.study_spec"},
		{"a custom job", customPools(`{` + onePool + `, ` + python + `}`), `Unknown name "jobSpec" at ` +
			`'hyperparameter_tuning_job'`, "hyperparameter_tuning_job"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := send(t, "POST", server.URL+"/v1/"+parent+"/hyperparameterTuningJobs", tt.body)
			if a.code != 400 || a.err.Status != "INVALID_ARGUMENT" || !strings.Contains(a.err.Message, tt.want) {
				t.Errorf("answer %d %s, want 400 and %q", a.code, a.body, tt.want)
			}
			if len(a.err.Details) != 1 || !slices.ContainsFunc(a.err.Details[0].FieldViolations,
				func(v rest.Violation) bool { return v.Field == tt.field && v.Description != "" }) {
				t.Errorf("details %+v lack a violation of %s", a.err.Details, tt.field)
			}
			seen := map[string]bool{}
			for _, d := range a.err.Details {
				for _, v := range d.FieldViolations {
					if seen[v.Field] {
						t.Errorf("%s is blamed twice: %+v", v.Field, d.FieldViolations)
					}
					seen[v.Field] = true
				}
			}
		})
	}
	if a := send(t, "GET", server.URL+"/v1/"+parent+"/hyperparameterTuningJobs", ""); a.code != 200 ||
		strings.TrimSpace(a.body) != "{}" {
		t.Errorf("jobs after refusals: %s", a.body)
	}
}

// TestVertexTuningCreated: the job is shown as it was given, in a collection of its
// own.
func TestVertexTuningCreated(t *testing.T) {
	svc, server := idle(t)
	body := `{"displayName": "c", "maxTrialCount": 4, "parallelTrialCount": 2, "maxFailedTrialCount": 0, ` + tuned +
		`, "studySpec": {` + oneMetric + `, "algorithm": "ALGORITHM_UNSPECIFIED",
		"medianAutomatedStoppingSpec": {}, "measurementSelectionType": "LAST_MEASUREMENT", "parameters": [` + oneRate +
		`, {"parameterId": "layers", "scaleType": "UNIT_LINEAR_SCALE", "integerValueSpec": {"minValue": 1, "maxValue": "3"}},
		{"parameterId": "kind", "categoricalValueSpec": {"values": ["a", "b"]}}, {"parameterId": "size", "discreteValueSpec": {"values": [1, 2.5]}}]}}`
	a := send(t, "POST", server.URL+"/v1/"+parent+"/hyperparameterTuningJobs", body)
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.code != 200 {
		t.Fatalf("%v: %s", err, a.body)
	}
	id, ok := strings.CutPrefix(fmt.Sprint(got["name"]), parent+"/hyperparameterTuningJobs/")
	if !ok || len(id) != 19 || got["state"] != "JOB_STATE_QUEUED" || got["trials"] != nil || got["maxTrialCount"] != 4.0 {
		t.Errorf("created: %s", a.body)
	}
	svc.mu.Lock()
	h := *svc.jobs[id].Job.TrainingInput.Hyperparameters
	svc.mu.Unlock()
	if h.Algorithm != "" || !h.EnableTrialEarlyStopping || h.HyperparameterMetricTag != "loss" || h.Goal != "MINIMIZE" ||
		h.MaxParallelTrials != 2 || len(h.Params) != 4 || *h.Params[0].MinValue != 0 || *h.Params[1].MaxValue != 3 {
		t.Errorf("hyperparameters %+v", h)
	}
	if b := send(t, "GET", server.URL+"/v1/"+parent+"/hyperparameterTuningJobs/"+id, ""); b.body != a.body {
		t.Errorf("get: %s", b.body)
	}
	for _, path := range []string{"customJobs/" + id, "customJobs?filter=display_name%3Dc"} {
		if a := send(t, "GET", server.URL+"/v1/"+parent+"/"+path, ""); a.code == 200 && strings.Contains(a.body, id) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if a := send(t, "GET", server.URL+"/v1/"+parent+
		"/hyperparameterTuningJobs?readMask=trials,studySpec.metrics&filter=labels.x:*", ""); a.code != 200 ||
		strings.Contains(a.body, id) {
		t.Errorf("list: %s", a.body)
	}
}

// hypertune is what the Python package cloudml-hypertune does.
const hypertune = `
import argparse, json, os, sys, time
def report(value, step=0, tag="loss"):
    with open(os.environ["CLOUD_ML_HP_METRIC_FILE"], "a") as f:
        f.write(json.dumps({"timestamp": time.time(), "trial": os.environ["CLOUD_ML_TRIAL_ID"], tag: str(float(value)), "global_step": str(int(step)), "checkpoint_path": ""}) + "\n")
parser = argparse.ArgumentParser()
parser.add_argument("--layers", type=int)
parser.add_argument("--kind")
parser.add_argument("--own")
options = parser.parse_args()
print("seen", json.dumps({"env": dict(os.environ), "argv": sys.argv[1:], "executable": sys.executable}))
`

func (h *vertexHarness) tuningOf(j *aiplatform.GoogleCloudAiplatformV1CustomJob) *aiplatform.GoogleCloudAiplatformV1HyperparameterTuningJob {
	return &aiplatform.GoogleCloudAiplatformV1HyperparameterTuningJob{
		DisplayName: j.DisplayName, MaxTrialCount: 6, ParallelTrialCount: 2, TrialJobSpec: j.JobSpec,
		StudySpec: &aiplatform.GoogleCloudAiplatformV1StudySpec{
			Algorithm: "GRID_SEARCH",
			Metrics:   []*aiplatform.GoogleCloudAiplatformV1StudySpecMetricSpec{{MetricId: "loss", Goal: "MINIMIZE"}},
			Parameters: []*aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpec{
				{ParameterId: "layers", IntegerValueSpec: &aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpecIntegerValueSpec{MinValue: 0, MaxValue: 2, ForceSendFields: []string{"MinValue"}}},
				{ParameterId: "kind", CategoricalValueSpec: &aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpecCategoricalValueSpec{Values: []string{"a", "b"}}},
			},
		},
	}
}

func (h *vertexHarness) startTuning(j *aiplatform.GoogleCloudAiplatformV1HyperparameterTuningJob) (id, name string) {
	h.Helper()
	created, err := h.tunings.Create(parent, j).Do()
	if err != nil {
		h.Fatalf("create %s: %v", j.DisplayName, err)
	}
	return path.Base(created.Name), created.Name
}

func (h *vertexHarness) untilTuning(name string,
	states ...string) *aiplatform.GoogleCloudAiplatformV1HyperparameterTuningJob {
	h.Helper()
	var j *aiplatform.GoogleCloudAiplatformV1HyperparameterTuningJob
	poll(h.T, func() bool {
		var err error
		if j, err = h.tunings.Get(name).Do(); err != nil {
			h.Fatal(err)
		}
		return slices.Contains(states, j.State)
	}, func() string {
		return j.DisplayName + " is " + j.State + ", want " + strings.Join(states, " or ") + "; log:\n" +
			strings.Join(h.log(path.Base(name)), "\n")
	})
	return j
}

func (h *vertexHarness) endOfTuning(name string) *aiplatform.GoogleCloudAiplatformV1HyperparameterTuningJob {
	h.Helper()
	return h.untilTuning(name, "JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
}

func TestVertexTuning(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		h := newVertexHarness(t, python, nil)
		program := hypertune + "if options.layers == 1 and options.kind == 'b': raise ValueError('no such " +
			"thing')\nreport(options.layers + 10)\nreport(options.layers + (options.kind == 'a') / 2, 7)\n"
		j := h.tuningOf(h.custom("tunes", program, []string{"--own=x"}))
		j.MaxFailedTrialCount = 2
		id, name := h.startTuning(j)
		ended := h.endOfTuning(name)
		if ended.State != "JOB_STATE_SUCCEEDED" || ended.Error != nil || ended.StartTime == "" {
			t.Fatalf("%s: %+v\n%s", ended.State, ended.Error, strings.Join(h.log(id), "\n"))
		}
		type result struct {
			State, Parameters, Reason string
			Value                     float64
			Step                      int64
		}
		var got []result
		for i, trial := range ended.Trials {
			if trial.Id != fmt.Sprint(i+1) || trial.StartTime == "" || trial.EndTime < trial.StartTime {
				t.Errorf("trial %d: ID %q, from %q to %q", i+1, trial.Id, trial.StartTime, trial.EndTime)
			}
			r := result{State: trial.State}
			for _, p := range trial.Parameters {
				r.Parameters += fmt.Sprintf(" %s=%v", p.ParameterId, p.Value)
			}
			if m := trial.FinalMeasurement; m != nil && len(m.Metrics) == 1 && m.Metrics[0].MetricId == "loss" {
				r.Value, r.Step = m.Metrics[0].Value, m.StepCount
			}
			if strings.Contains(trial.InfeasibleReason, "The replica workerpool0-0 exited with a non-zero status of 1.") &&
				strings.Contains(trial.InfeasibleReason, "no such thing") {
				r.Reason = "no such thing"
			} else {
				r.Reason = trial.InfeasibleReason
			}
			got = append(got, r)
		}
		want := []result{
			{"SUCCEEDED", " layers=0 kind=a", "", 0.5, 7}, {"SUCCEEDED", " layers=0 kind=b", "", 0, 7},
			{"SUCCEEDED", " layers=1 kind=a", "", 1.5, 7}, {"INFEASIBLE", " layers=1 kind=b", "no such thing", 0, 0},
			{"SUCCEEDED", " layers=2 kind=a", "", 2.5, 7}, {"SUCCEEDED", " layers=2 kind=b", "", 2, 7},
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("trials (-want +got):\n%s", diff)
		}

		seenBy := map[string]seen{}
		for _, l := range logLines(t, h.opts.Dir, id, "workerpool0-0") {
			if text, ok := strings.CutPrefix(l.Text, "seen "); ok {
				var s seen
				if err := json.Unmarshal([]byte(text), &s); err != nil {
					t.Fatal(err)
				}
				seenBy[s.Env["CLOUD_ML_TRIAL_ID"]] = s
			}
		}
		s := seenBy["3"]
		if diff := gocmp.Diff([]string{"--own=x", "--layers=1", "--kind=a"}, s.Argv); diff != "" || len(seenBy) != 6 {
			t.Errorf("%d trials told of themselves; argv of trial 3 (-want +got):\n%s", len(seenBy), diff)
		}
		var spec struct{ Task map[string]any }
		if err := json.Unmarshal([]byte(s.Env["CLUSTER_SPEC"]), &spec); err != nil || spec.Task["trial"] != "3" {
			t.Errorf("CLUSTER_SPEC of trial 3: %s, %v", s.Env["CLUSTER_SPEC"], err)
		}
		for name, want := range map[string]string{
			"AIP_MODEL_DIR": "gs://out/tunes/3/model/", "AIP_CHECKPOINT_DIR": "gs://out/tunes/3/checkpoints/",
			"AIP_TENSORBOARD_LOG_DIR": "gs://out/tunes/3/logs/",
			"CLOUD_ML_JOB_ID":         id, "TF_CONFIG": "",
		} {
			if s.Env[name] != want {
				t.Errorf("%s of trial 3 = %q, want %q", name, s.Env[name], want)
			}
		}
	})
}

// TestVertexTuningDrop: the drop that tunes finds the better value.
func TestVertexTuningDrop(t *testing.T) {
	t.Parallel()
	h := newVertexHarness(t, pythons(t)[0], nil)
	j := h.tuningOf(h.customOf("tune", h.drop("tune"), []string{"--job-dir", "gs://out/tune"}))
	j.StudySpec.Parameters = []*aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpec{
		{ParameterId: "learning-rate", DiscreteValueSpec: &aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpecDiscreteValueSpec{Values: []float64{0.01, 0.1, 0.5}}},
		{ParameterId: "optimizer", CategoricalValueSpec: &aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpecCategoricalValueSpec{Values: []string{"plain", "momentum"}}},
	}
	_, name := h.startTuning(j)
	ended := h.endOfTuning(name)
	if ended.State != "JOB_STATE_SUCCEEDED" || len(ended.Trials) != 6 {
		t.Fatalf("%s, %+v, %d trials", ended.State, ended.Error, len(ended.Trials))
	}
	best := slices.MinFunc(ended.Trials, func(a, b *aiplatform.GoogleCloudAiplatformV1Trial) int {
		return cmp.Compare(a.FinalMeasurement.Metrics[0].Value, b.FinalMeasurement.Metrics[0].Value)
	})
	if best.Id != "5" || best.Parameters[0].Value != 0.5 || best.Parameters[1].Value != "plain" ||
		best.FinalMeasurement.StepCount != 40 {
		t.Errorf("the best trial is %s with %+v", best.Id, best.Parameters)
	}
}

// TestVertexTuningStandIn: trials that run at once have an environment each.
func TestVertexTuningStandIn(t *testing.T) {
	t.Parallel()
	python := pythons(t)[0]
	if !python.Pip {
		t.Skip("this Python has no pip")
	}
	h := newVertexHarness(t, python, nil)
	uri := h.put("inbox", "standin/trainer-0.1-py3-none-any.whl",
		wheel(t, map[string]string{"trainer/__init__.py": "", "trainer/task.py": hypertune + "report(options.layers)\n"}))
	custom := h.customOf("standin", uri, nil)
	custom.JobSpec.WorkerPoolSpecs[0].PythonPackageSpec = nil
	custom.JobSpec.WorkerPoolSpecs[0].ContainerSpec = &aiplatform.GoogleCloudAiplatformV1ContainerSpec{
		ImageUri: executor, Command: []string{"python3", "-c", bootstrap}, Args: []string{"trainer.task", uri, "--"},
	}
	j := h.tuningOf(custom)
	j.ParallelTrialCount = 3
	id, name := h.startTuning(j)
	ended := h.endOfTuning(name)
	if ended.State != "JOB_STATE_SUCCEEDED" || len(ended.Trials) != 6 {
		t.Fatalf("%s: %+v\n%s", ended.State, ended.Error, strings.Join(h.log(id), "\n"))
	}
	executables := map[string]bool{}
	for _, l := range logLines(t, h.opts.Dir, id, "workerpool0-0") {
		if text, ok := strings.CutPrefix(l.Text, "seen "); ok {
			var s seen
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				t.Fatal(err)
			}
			executables[s.Executable] = true
		}
	}
	if len(executables) != 6 {
		t.Errorf("run by %v, want one for each of 6 trials", executables)
	}
}

func TestVertexTuningEnds(t *testing.T) {
	t.Parallel()
	h := newVertexHarness(t, pythons(t)[0], func(o *Options) { o.MaxJobs = 4; o.MaxReplicas = 8 })

	fails := h.tuningOf(h.custom("fails", hypertune+"raise ValueError('boom')\n", nil))
	fails.MaxFailedTrialCount = 2
	_, failsName := h.startTuning(fails)
	long := h.tuningOf(h.custom("long", hypertune+"if options.layers == 0: time.sleep(600)\nreport(1)\n", nil))
	long.TrialJobSpec.Scheduling = &aiplatform.GoogleCloudAiplatformV1Scheduling{Timeout: "20s"} // enough for the trials that end, on a slow machine
	long.MaxFailedTrialCount = 6
	_, longName := h.startTuning(long)
	late := h.tuningOf(h.custom("late", hypertune+"time.sleep(600)\n", nil))
	late.TrialJobSpec.Scheduling = &aiplatform.GoogleCloudAiplatformV1Scheduling{Timeout: "1s"}
	late.MaxFailedTrialCount = 2
	_, lateName := h.startTuning(late)
	asked := h.tuningOf(h.custom("asked", hypertune+"print('sleeping')\ntime.sleep(600)\n", nil))
	askedID, askedName := h.startTuning(asked)
	h.line(askedID, "sleeping")
	running := h.untilTuning(askedName, "JOB_STATE_RUNNING")
	if len(running.Trials) == 0 || running.Trials[0].State != "ACTIVE" || running.Trials[0].EndTime != "" {
		t.Errorf("running: %+v", running.Trials)
	}
	if _, err := h.tunings.Cancel(askedName, &aiplatform.GoogleCloudAiplatformV1CancelHyperparameterTuningJobRequest{}).Do(); err != nil {
		t.Fatal(err)
	}
	if j := h.endOfTuning(askedName); j.State != "JOB_STATE_CANCELLED" || j.Error == nil || j.Error.Code != 1 ||
		j.Trials[0].State != "INFEASIBLE" || j.Trials[0].InfeasibleReason == "" {
		t.Errorf("asked: %s, %+v, %+v", j.State, j.Error, j.Trials)
	}
	if j := h.endOfTuning(failsName); j.State != "JOB_STATE_FAILED" || j.Error == nil || j.Error.Code != 3 ||
		!strings.Contains(j.Error.Message, "maxFailedTrialCount is 2") ||
		!strings.Contains(j.Error.Message, "ValueError: boom") {
		t.Errorf("fails: %s, %+v", j.State, j.Error)
	}
	if j := h.endOfTuning(lateName); j.State != "JOB_STATE_FAILED" || j.Error.Code != 3 ||
		!strings.Contains(j.Error.Message, "scheduling.timeout (1s)") {
		t.Errorf("late: %s, %+v", j.State, j.Error)
	}
	j := h.endOfTuning(longName)
	if j.State != "JOB_STATE_SUCCEEDED" || len(j.Trials) != 6 || j.Trials[0].State != "INFEASIBLE" ||
		!strings.Contains(j.Trials[0].InfeasibleReason, "scheduling.timeout (20s)") || j.Trials[5].State != "SUCCEEDED" {
		t.Errorf("long: %s, %+v", j.State, j.Error)
		for _, trial := range j.Trials {
			t.Logf("%+v", trial)
		}
	}
}

func TestVertexTuningRestart(t *testing.T) {
	t.Parallel()
	h := newVertexHarness(t, pythons(t)[0], nil)
	id, name := h.startTuning(h.tuningOf(h.custom("tunes", hypertune+"if options.layers: time.sleep(600)\nreport(1)\n",
		nil)))
	poll(t, func() bool { return len(h.untilTuning(name, "JOB_STATE_PENDING", "JOB_STATE_RUNNING").Trials) == 4 },
		func() string { return strings.Join(h.log(id), "\n") })
	if err := h.svc.Close(); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.connect()
	j := h.endOfTuning(name)
	if j.State != "JOB_STATE_FAILED" || j.Error.Code != 13 || len(j.Trials) != 4 || j.Trials[0].State != "SUCCEEDED" ||
		j.Trials[3].State != "INFEASIBLE" {
		t.Errorf("%s, %+v, trials %+v", j.State, j.Error, j.Trials)
	}
	if r := readRecord(t, filepath.Join(h.opts.Dir, "jobs", id, "job.json")); r.Vertex.Collection != vertex.TuningJobs {
		t.Errorf("record %+v", r.Vertex)
	}
}
