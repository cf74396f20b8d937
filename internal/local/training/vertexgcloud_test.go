package training

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestVertexGcloud: gcloud ai works on the service, a client that knows nothing of
// this code.
func TestVertexGcloud(t *testing.T) {
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("no gcloud on PATH")
	}
	t.Parallel() // with the other of its kind: each is a minute of gcloud's starts
	h := newVertexHarness(t, pythons(t)[0], func(o *Options) { o.MaxReplicas = 4 })
	server := httptest.NewServer(h.svc.Handler())
	defer server.Close()
	config := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, gcloud, args...)
		cmd.WaitDelay = time.Second
		cmd.Env = append(os.Environ(), "CLOUDSDK_CONFIG="+config, "CLOUDSDK_CORE_PROJECT=p",
			"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
			"CLOUDSDK_CORE_DISABLE_PROMPTS=true", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
			"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true", "CLOUDSDK_AI_REGION=us-central1",
			"CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM="+server.URL+"/", "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING="+server.URL+
				"/", "NO_PROXY=127.0.0.1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("gcloud %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	// named is the resource name that gcloud tells of a new job.
	named := func(out string) string {
		t.Helper()
		for _, word := range strings.Fields(out) {
			if name := strings.Trim(word, "[]"); strings.HasPrefix(name, parent) {
				return name
			}
		}
		t.Fatalf("no name in %s", out)
		return ""
	}

	uri := h.put("inbox", "pair/trainer-0.1.tar.gz", sdist(t, trainerFiles(`
import os, sys, time
task = os.environ["HOME"].rsplit("/", 1)[1]
print("hello from", task)
print("careful", file=sys.stderr)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
`)))
	mark := filepath.Join(h.opts.Dir, "go")
	pool := "machine-type=n1-standard-4,executor-image-uri=" + executor + ",python-module=trainer.task"
	pair := named(run("ai", "custom-jobs", "create", "--display-name=pair", "--labels=team=a", "--python-package-uris="+
		uri, "--args="+mark,
		"--worker-pool-spec=replica-count=1,"+pool, "--worker-pool-spec=", "--worker-pool-spec=replica-count=1,"+pool))
	spec := filepath.Join(t.TempDir(), "spec.yaml")
	text := "workerPoolSpecs:\n- machineSpec: {machineType: n1-standard-4}\n  replicaCount: '1'\n  containerSpec:\n    " +
		"imageUri: " + executor + "\n    command: [python3, -c, 'import time; print(\"sleeping\"); time.sleep(600)']\n"
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	endless := named(run("ai", "custom-jobs", "create", "--display-name=endless", "--config="+spec))
	h.line(path.Base(pair), "hello from workerpool0-0")
	h.line(path.Base(pair), "hello from workerpool2-0")
	h.line(path.Base(endless), "sleeping")

	if out := run("ai", "custom-jobs", "list", "--format=value(displayName,state)"); !strings.Contains(out,
		"pair\tJOB_STATE_RUNNING") || !strings.Contains(out, "endless\tJOB_STATE_RUNNING") {
		t.Errorf("list: %s", out)
	}
	run("ai", "custom-jobs", "cancel", path.Base(endless))
	if j := h.endOf(endless); j.State != "JOB_STATE_CANCELLED" {
		t.Errorf("endless is %s", j.State)
	}
	touch(t, mark)
	h.succeeds(pair)
	if out := run("ai", "custom-jobs", "describe", path.Base(pair)); !strings.Contains(out,
		"state: JOB_STATE_SUCCEEDED") || !strings.Contains(out, "replicaCount: '1'") || !strings.Contains(out, "team: a") {
		t.Errorf("describe: %s", out)
	}
	out := run("ai", "custom-jobs", "stream-logs", path.Base(pair), "--polling-interval=1")
	for _, want := range []string{"\tworkerpool0-0\t", "\tworkerpool2-0\t", "hello from workerpool0-0", "ERROR\t",
		"careful", "Job completed successfully."} {
		if !strings.Contains(out, want) {
			t.Errorf("stream-logs lacks %q:\n%s", want, out)
		}
	}
	if n := strings.Count(out, "hello from workerpool2-0"); n != 1 {
		t.Errorf("a line comes %d times:\n%s", n, out)
	}
	if out := run("ai", "custom-jobs", "stream-logs", path.Base(pair), "--task-name=workerpool2-0",
		"--polling-interval=1"); !strings.Contains(out, "hello from workerpool2-0") ||
		strings.Contains(out, "workerpool0-0") {
		t.Errorf("stream-logs of a task:\n%s", out)
	}

	tuning := filepath.Join(t.TempDir(), "tuning.yaml")
	tuned := h.put("inbox", "tunes/trainer-0.1.tar.gz", sdist(t, trainerFiles(hypertune+"report(options.layers, 3)\n")))
	text = `studySpec:
  metrics: [{metricId: loss, goal: MINIMIZE}]
  parameters: [{parameterId: layers, integerValueSpec: {minValue: 1, maxValue: 2}}]
trialJobSpec:
  workerPoolSpecs:
  - machineSpec: {machineType: n1-standard-4}
    replicaCount: 1
    pythonPackageSpec: {executorImageUri: ` + executor + `, packageUris: ['` + tuned + `'], pythonModule: trainer.task}
`
	if err := os.WriteFile(tuning, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	id := run("ai", "hp-tuning-jobs", "create", "--display-name=tunes", "--max-trial-count=2", "--parallel-trial-count=1",
		"--config="+tuning, "--format=value(name.basename())")
	id = id[strings.LastIndex(strings.TrimSpace(id), "\n")+1:]
	name := parent + "/hyperparameterTuningJobs/" + strings.TrimSpace(id)
	h.endOfTuning(name)
	if out := run("ai", "hp-tuning-jobs", "describe", path.Base(name),
		"--format=value(state,trials[0].finalMeasurement.stepCount,trials.len())"); strings.TrimSpace(out) == "" ||
		!strings.Contains(out, "JOB_STATE_SUCCEEDED\t3\t2") {
		t.Errorf("describe of a tuning job: %s", out)
	}
}
