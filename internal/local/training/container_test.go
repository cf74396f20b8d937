package training

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"google.golang.org/api/ml/v1"
)

// fakeRunner stands for docker: it notes its arguments and runs a container's
// command on the machine, in a session of its own, as the daemon does.
const fakeRunner = `#!%s
import json, os, signal, subprocess, sys
here = os.path.dirname(os.path.abspath(__file__))
args = sys.argv[1:]
with open(os.path.join(here, "calls"), "a") as f:
    f.write(json.dumps(args) + "\n")
def file(name):
    return os.path.join(here, name + ".pid")
def pid(name):
    try:
        return int(open(file(name)).read())
    except OSError:
        sys.exit("no such container: " + name)
if args[0] == "run":
    env, entry, name, i = {}, [sys.executable], "", 1
    while args[i].startswith("--"):
        if args[i] == "--rm":
            i += 1
            continue
        if args[i] == "--env":
            key, _, value = args[i + 1].partition("=")
            env[key] = value
        elif args[i] == "--entrypoint":
            entry = [args[i + 1]]
        elif args[i] == "--name":
            name = args[i + 1]
        i += 2
    if args[i] == "no/such":
        print("Unable to find image 'no/such'", file=sys.stderr)
        sys.exit(125)
    env["IMAGE"] = args[i]
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    p = subprocess.Popen(entry + args[i + 1:], env=env, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
    with open(file(name), "w") as f:
        f.write(str(p.pid))
    code = p.wait()
    os.remove(file(name))
    sys.exit(code if code >= 0 else 128 - code)
elif args[0] == "kill":
    os.kill(pid(args[-1]), signal.SIGTERM)
elif args[0] == "rm":
    os.killpg(pid(args[-1]), signal.SIGKILL)
`

// withRunner puts a fake docker on PATH and returns its folder.
func withRunner(t *testing.T, python Python) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), fmt.Appendf(nil, fakeRunner, python.Path), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return dir
}

func runnerCalls(t *testing.T, dir, verb string) (calls [][]string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var args []string
		if err := json.Unmarshal([]byte(line), &args); err != nil {
			t.Fatal(err)
		}
		if args[0] == verb {
			calls = append(calls, args)
		}
	}
	return calls
}

// imageJob returns a job of one container that runs a Python program.
func imageJob(id, program string) *ml.GoogleCloudMlV1__Job {
	return &ml.GoogleCloudMlV1__Job{JobId: id, TrainingInput: &ml.GoogleCloudMlV1__TrainingInput{
		ScaleTier: "CUSTOM", MasterType: "n1-standard-4", Region: "us-central1", JobDir: "gs://out/" + id,
		MasterConfig: &ml.GoogleCloudMlV1__ReplicaConfig{ImageUri: "gcr.io/p/trainer:1",
			ContainerArgs: []string{"-c", program}},
	}}
}

func TestContainers(t *testing.T) {
	python := pythons(t)[0]
	dir := withRunner(t, python)
	h := newHarness(t, python, func(o *Options) {
		o.ContainerRunner, o.MaxReplicas, o.Env = "docker", 4,
			[]string{"EXTRA=a b"}
	})

	const program = "import json, os, sys\nprint('env', json.dumps(dict(os.environ)))\nprint('argv', sys.argv[1:])\n"
	j := imageJob("image", program)
	j.TrainingInput.WorkerType, j.TrainingInput.WorkerCount = "n1-standard-4", 1
	j.TrainingInput.WorkerConfig = &ml.GoogleCloudMlV1__ReplicaConfig{
		ContainerCommand: []string{python.Path, "-c"},
		ContainerArgs: []string{"import json, os, time\nprint('worker', os.environ['IMAGE'], " +
			"os.environ['TF_CONFIG'])\ntime.sleep(600)\n"},
	}
	// The master waits for the worker's line, so that both are seen.
	j.TrainingInput.MasterConfig.ContainerArgs[1] += "import time\nwhile not os.path.exists(" +
		string(quoteJSON(filepath.Join(dir, "go"))) + "): time.sleep(0.01)\n"
	h.create(j)
	var env map[string]string
	if err := json.Unmarshal([]byte(h.line("image", "env ")), &env); err != nil {
		t.Fatal(err)
	}
	image, config, _ := strings.Cut(h.line("image", "worker "), " ")
	touch(t, filepath.Join(dir, "go"))
	h.succeeded("image")
	if line := h.line("image", "Running the image "); !strings.Contains(line, " [...]'") || strings.Contains(line, "\n") {
		t.Errorf("the program is in the log: %q", line)
	}
	for name, want := range map[string]string{
		"IMAGE": "gcr.io/p/trainer:1", "CLOUD_ML_JOB_ID": "image", "STORAGE_EMULATOR_HOST": h.gcs.URL(),
		"GOOGLE_CLOUD_PROJECT": "p", "EXTRA": "a b", "SOME_SECRET": "", "HOME": "",
	} {
		if env[name] != want {
			t.Errorf("%s = %q, want %q", name, env[name], want)
		}
	}
	if !strings.Contains(env["TF_CONFIG"], `"cluster":{"master":["127.0.0.1:`) ||
		!strings.Contains(config, `"task":{"type":"worker","index":0}`) {
		t.Errorf("TF_CONFIG of the master %s\nand of the worker %s", env["TF_CONFIG"], config)
	}
	if image != "gcr.io/p/trainer:1" {
		t.Errorf("the worker ran %s, want the master's image", image)
	}
	if got, want := h.line("image", "argv "), "['--job-dir', 'gs://out/image']"; got != want {
		t.Errorf("argv %s, want %s", got, want)
	}
	calls := runnerCalls(t, dir, "run")
	if len(calls) != 2 {
		t.Fatalf("%d containers, want 2", len(calls))
	}
	for _, args := range calls {
		if !slices.Equal(args[:3], []string{"run", "--rm", "--name"}) ||
			!slices.Equal(args[4:6], []string{"--network", "host"}) {
			t.Errorf("run: %q", args)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.pid")); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}

	h.create(imageJob("fails", "import sys\nsys.exit('boom')"))
	if j := h.ended("fails"); j.State != "FAILED" || j.ErrorMessage != "The replica master 0 exited with a non-zero "+
		"status of 1.\nboom" {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
	missing := imageJob("missing", "")
	missing.TrainingInput.MasterConfig.ImageUri = "no/such"
	h.create(missing)
	if j := h.ended("missing"); j.State != "FAILED" || !strings.Contains(j.ErrorMessage,
		"Unable to find image 'no/such'") {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
}

func TestCancelContainer(t *testing.T) {
	python := pythons(t)[0]
	// cancel cancels a job of a program and returns the runner's removals.
	cancel := func(t *testing.T, id, program, last string, grace time.Duration) [][]string {
		t.Helper()
		dir := withRunner(t, python)
		h := newHarness(t, python, func(o *Options) { o.ContainerRunner, o.Grace = filepath.Join(dir, "docker"), grace })
		h.create(imageJob(id, "import os, signal, sys, time\n"+program+"print('pid', os.getpid())\ntime.sleep(600)\n"))
		pid := h.line(id, "pid ")
		if _, err := h.api.Cancel("projects/p/jobs/"+id, &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
			t.Fatal(err)
		}
		if j := h.ended(id); j.State != "CANCELLED" {
			t.Errorf("%s: %s %q", id, j.State, j.ErrorMessage)
		}
		if alive(t, pid) {
			t.Errorf("%s: the container's process %s survived", id, pid)
		}
		h.line(id, last)
		return runnerCalls(t, dir, "rm")
	}
	t.Run("polite", func(t *testing.T) {
		// It has all the time that a busy machine may need.
		calls := cancel(t, "polite", "def bye(*_):\n    print('saved')\n    sys.exit(0)\nsignal.signal(signal.SIGTERM, "+
			"bye)\n", "saved", time.Minute)
		if len(calls) > 0 {
			t.Errorf("a container that ended by itself was removed: %q", calls)
		}
	})
	t.Run("stubborn", func(t *testing.T) {
		calls := cancel(t, "stubborn", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n", "pid ", time.Second)
		if len(calls) != 1 {
			t.Errorf("removals %q, want one", calls)
		}
	})
}

// TestContainerLeftover: what a killed service left is removed at the next
// start, even where that one has no runner.
func TestContainerLeftover(t *testing.T) {
	python := pythons(t)[0]
	dir := withRunner(t, python)
	h := newHarness(t, python, func(o *Options) { o.ContainerRunner = "docker" })
	h.create(imageJob("left", "import os, time\nprint('pid', os.getpid())\ntime.sleep(600)\n"))
	h.line("left", "pid ")
	h.until("left", "RUNNING")
	file := h.svc.store.places("left").record
	data, err := os.ReadFile(file) // as it is while the container runs
	if err != nil {
		t.Fatal(err)
	}
	if err := h.svc.Close(); err != nil {
		t.Fatal(err)
	}
	r := readRecord(t, file)
	if len(r.Processes) > 0 {
		t.Errorf("an ended job's record names %+v", r.Processes)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	named := slices.IndexFunc(r.Processes, func(p jobs.JobProcess) bool { return p.Container != "" })
	if named < 0 {
		t.Fatalf("the record names no container: %+v", r.Processes)
	}
	name := r.Processes[named].Container
	child, group := sleepingGroup(t)
	if err := os.WriteFile(filepath.Join(dir, name+".pid"), fmt.Appendf(nil, "%d", group.PID), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	h.opts.ContainerRunner = ""
	h.start()
	if err := child.Settle(); err == nil {
		t.Error("the container ended well, want it killed")
	}
	if calls := runnerCalls(t, dir, "rm"); !slices.ContainsFunc(calls,
		func(c []string) bool { return slices.Equal(c, []string{"rm", "-f", name}) }) {
		t.Errorf("removals %q, want one of %s", calls, name)
	}
	if j := h.get("left"); j.State != "FAILED" {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
}

func TestContainersRefused(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ runner, want string }{
		{"docker", "there is no docker on PATH"},
		{"/bin/sh", `"/bin/sh" is neither docker nor podman`},
		{filepath.Join(dir, "podman"), "podman"},
	} {
		t.Setenv("PATH", dir)
		opts := Options{Storage: "http://127.0.0.1:1", Dir: t.TempDir(), Python: Python{Path: "python3"},
			ContainerRunner: tt.runner}
		if _, err := newService(t.Context(), opts, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.runner, err, tt.want)
		}
	}

	svc, server := idle(t)
	create := func(input string) answered {
		return send(t, "POST", server.URL+"/v1/projects/p/jobs", `{"jobId": "j", "trainingInput": {"region": "r", `+input+
			`}}`)
	}
	if a := create(`"masterConfig": {"imageUri": "gcr.io/p/i"}`); a.code != 400 ||
		!strings.Contains(a.err.Message, "--container-runner docker or --container-runner podman") {
		t.Errorf("without a runner: %s", a.body)
	}
	svc.opts.ContainerRunner = "docker"
	for _, tt := range []struct{ input, want string }{
		{`"masterConfig": {"imageUri": "--privileged"}`, "is not the name of a container image"},
		{`"masterConfig": {"imageUri": "i"}, "packageUris": ["gs://b/o"]`, "installs no packages into it"},
		{`"masterConfig": {"imageUri": "i", "containerArgs": ["x"]}, "args": ["y"]`, "Only one of args"},
		{`"masterConfig": {"imageUri": "i", "containerCommand": [""]}`, "must not be empty"},
		{`"masterConfig": {"imageUri": "i", "containerArgs": ["a\u0000"]}`, "null character"},
		{`"workerConfig": {"imageUri": "i"}`, "must have packages"},
	} {
		if a := create(tt.input); a.code != 400 || !strings.Contains(a.err.Message, tt.want) {
			t.Errorf("%s: %d %s, want 400 and %q", tt.input, a.code, a.body, tt.want)
		}
	}
}

// TestRealContainer needs docker or podman with a daemon that answers.
func TestRealContainer(t *testing.T) {
	const image = "busybox"
	python := pythons(t)[0]
	for _, runner := range []string{"docker", "podman"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := exec.LookPath(runner); err != nil {
			t.Logf("no %s", runner)
			continue
		}
		if out, err := exec.CommandContext(ctx, runner, "info").CombinedOutput(); err != nil {
			t.Logf("%s does not answer: %v\n%s", runner, err, out)
			continue
		}
		if out, err := exec.CommandContext(ctx, runner, "run", "--rm", image, "true").CombinedOutput(); err != nil {
			t.Logf("%s can't run %s: %v\n%s", runner, image, err, out)
			continue
		}
		h := newHarness(t, python, func(o *Options) { o.ContainerRunner = runner })
		j := imageJob("real", "")
		j.TrainingInput.MasterConfig = &ml.GoogleCloudMlV1__ReplicaConfig{ImageUri: image,
			ContainerCommand: []string{"sh", "-c", `echo "job $CLOUD_ML_JOB_ID"`}}
		h.create(j)
		h.succeeded("real")
		if got := h.line("real", "job "); got != "real" {
			t.Errorf("job %q", got)
		}
		j = imageJob("endless", "")
		j.TrainingInput.MasterConfig = &ml.GoogleCloudMlV1__ReplicaConfig{ImageUri: image,
			ContainerCommand: []string{"sh", "-c", "echo ready; sleep 600"}}
		h.create(j)
		h.line("endless", "ready")
		if _, err := h.api.Cancel("projects/p/jobs/endless", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
			t.Fatal(err)
		}
		if j := h.ended("endless"); j.State != "CANCELLED" {
			t.Errorf("%s: %q", j.State, j.ErrorMessage)
		}
		if out, err := exec.CommandContext(ctx, runner, "ps", "--quiet", "--filter",
			"name=jobdrop-endless").Output(); err != nil || len(out) > 0 {
			t.Errorf("left: %s, %v", out, err)
		}
		return
	}
	t.Skip("no container engine answers on this machine")
}
