package training

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestGcloud: Google's own command line works on the service, its log stream
// among it.
func TestGcloud(t *testing.T) {
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("no gcloud on PATH")
	}
	t.Parallel() // with the other of its kind: each is a minute of gcloud's starts
	python := pythons(t)[0]
	h := newHarness(t, python, func(o *Options) { o.MaxReplicas = 4 })
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
			"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
			"CLOUDSDK_API_ENDPOINT_OVERRIDES_ML="+server.URL+"/", "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING="+server.URL+"/",
			"NO_PROXY=127.0.0.1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("gcloud %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}

	h.create(h.distributed("pair", `
import json, os, sys
task = json.loads(os.environ["TF_CONFIG"])["task"]
print("hello from", task["type"])
print("careful", file=sys.stderr)
if task["type"] == "chief":
    import time
    while not os.path.exists(sys.argv[1]): time.sleep(0.01)
`, 1, 0, 0, h.opts.Dir+"/go"))
	h.create(h.job("endless", sleeper))
	h.line("pair", "hello from chief")
	h.line("pair", "hello from worker")
	h.line("endless", "sleeping")
	if out := run("ai-platform", "jobs", "list", "--format=value(jobId,state)"); !strings.Contains(out, "pair\tRUNNING") ||
		!strings.Contains(out, "endless\tRUNNING") {
		t.Errorf("list: %s", out)
	}
	run("ai-platform", "jobs", "cancel", "endless")
	if j := h.ended("endless"); j.State != "CANCELLED" {
		t.Errorf("endless is %s", j.State)
	}
	touch(t, h.opts.Dir+"/go")
	h.succeeded("pair")
	if out := run("ai-platform", "jobs", "describe", "pair"); !strings.Contains(out, "state: SUCCEEDED") ||
		!strings.Contains(out, "workerCount: '1'") {
		t.Errorf("describe: %s", out)
	}
	run("ai-platform", "jobs", "update", "pair", "--update-labels=team=a,stage=test")
	run("ai-platform", "jobs", "update", "pair", "--remove-labels=stage")
	if out := run("ai-platform", "jobs", "describe", "pair", "--format=value(labels)"); strings.TrimSpace(out) != "team=a" {
		t.Errorf("labels after updates: %q", out)
	}
	out := run("ai-platform", "jobs", "stream-logs", "pair", "--polling-interval=1")
	for _, want := range []string{"\tmaster-replica-0\t", "\tworker-replica-0\t", "hello from chief", "hello from worker",
		"ERROR\t", "careful", "Job completed successfully."} {
		if strings.Count(out, want) == 0 {
			t.Errorf("stream-logs lacks %q:\n%s", want, out)
		}
	}
	h.create(h.tuning("tuned", "print('hello from', trial)\nreport('accuracy', trial, 10)\n", 2, []float64{5, 6}))
	h.succeeded("tuned")
	// severity, time, task, trial, message
	if out := run("ai-platform", "jobs", "stream-logs", "tuned", "--polling-interval=1"); !strings.Contains(out,
		"\tmaster-replica-0\t2\thello from 2") {
		t.Errorf("stream-logs of a tuning job:\n%s", out)
	}
	if out := run("ai-platform", "jobs", "describe", "tuned",
		"--format=value(trainingOutput.trials.trialId.slice(0),"+
			"trainingOutput.trials.finalMetric.objectiveValue.slice(0))"); strings.TrimSpace(out) != "2\t2.0" && strings.TrimSpace(out) != "2\t2" {
		t.Errorf("the best trial: %q", out)
	}
	if n := strings.Count(out, "hello from worker"); n != 1 {
		t.Errorf("a line comes %d times:\n%s", n, out)
	}
	if out := run("ai-platform", "jobs", "stream-logs", "pair", "--task-name=worker-replica-0",
		"--polling-interval=1"); !strings.Contains(out, "hello from worker") || strings.Contains(out, "chief") {
		t.Errorf("stream-logs of a task:\n%s", out)
	}
	if out := run("logging", "read", `resource.type=ml_job resource.labels.job_id=pair severity=ERROR`, "--limit=1",
		"--format=value(jsonPayload.message)"); strings.TrimSpace(out) != "careful" {
		t.Errorf("logging read: %s", out)
	}
}
