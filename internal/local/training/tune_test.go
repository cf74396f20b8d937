package training

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/ml/v1"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/logs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/study"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// reporting is the part of a trial's program that does what cloudml-hypertune
// does.
const reporting = `
import argparse, json, os, sys, time
trial = os.environ["CLOUD_ML_TRIAL_ID"]
lines = []
def report(tag, value, step):
    path = os.environ["CLOUD_ML_HP_METRIC_FILE"]
    if not os.path.exists(os.path.dirname(path)):
        os.makedirs(os.path.dirname(path))
    lines.append({"timestamp": time.time(), "trial": trial, tag: str(float(value)), "global_step": str(step)})
    with open(path, "w") as f:
        for line in lines[-100:]:
            f.write(json.dumps(line, sort_keys=True) + "\n")
def await_file(*names):
    while not all(os.path.exists(n) for n in names):
        time.sleep(0.01)
`

// tuning returns a job that tunes the program's parameter x over values, in their
// order.
func (h *harness) tuning(id, program string, parallel int64, values []float64,
	args ...string) *ml.GoogleCloudMlV1__Job {
	j := h.job(id, reporting+program, args...)
	j.TrainingInput.Hyperparameters = &ml.GoogleCloudMlV1__HyperparameterSpec{
		Algorithm: "GRID_SEARCH", Goal: "MAXIMIZE", HyperparameterMetricTag: "accuracy",
		MaxTrials: int64(len(values)), MaxParallelTrials: parallel,
		Params: []*ml.GoogleCloudMlV1__ParameterSpec{{ParameterName: "x", Type: "DISCRETE", DiscreteValues: values}},
	}
	return j
}

// trialsOf returns the trials of a job by their IDs, with what differs from run to
// run left out.
func trialsOf(j *ml.GoogleCloudMlV1__Job) string {
	var all []string
	for _, t := range j.TrainingOutput.Trials {
		text := fmt.Sprintf("%s x=%s %s", t.TrialId, t.Hyperparameters["x"], t.State)
		if t.FinalMetric != nil {
			text += fmt.Sprintf(" %v@%d", t.FinalMetric.ObjectiveValue, t.FinalMetric.TrainingStep)
		}
		if t.IsTrialStoppedEarly {
			text += " early"
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n")
}

func TestTuning(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		h := newHarness(t, python, func(o *Options) { o.MaxReplicas = 2 })
		meet := t.TempDir()
		// Two trials meet before either reports: they run at once. The last two
		// wait for the test, which looks at the job while they run.
		h.create(h.tuning("tuned", `
p = argparse.ArgumentParser()
p.add_argument("--x", type=float)
p.add_argument("--meet")
p.add_argument("--job-dir")
o = p.parse_args()
n = int(trial)
print("trial", trial, json.dumps({
    "argv": sys.argv[1:], "cwd": os.getcwd(), "home": os.environ["HOME"], "tmp": os.environ["TMPDIR"],
    "file": os.environ["CLOUD_ML_HP_METRIC_FILE"], "tag": os.environ["CLOUD_ML_HP_METRIC_TAG"],
    "trial": json.loads(os.environ["TF_CONFIG"])["task"]["trial"],
}))
open(os.path.join(o.meet, trial), "w").close()
await_file(os.path.join(o.meet, str(n + 1 if n % 2 else n - 1)))
if n > 2:
    await_file(os.path.join(o.meet, "go"))
report("loss", 9, 1)
for step in (1, 2):
    report("accuracy", step * (0.5 - abs(o.x)), 100 * step)
`, 2, []float64{-1, 0.25, 0, 1.5}, "--x=7", "--meet", meet))

		// The grid's values are in order: -1, 0, 0.25, 1.5.
		about := map[string]map[string]any{}
		know := func(id string) {
			var a map[string]any
			if err := json.Unmarshal([]byte(h.line("tuned", "trial "+id+" ")), &a); err != nil {
				t.Fatal(err)
			}
			about[id] = a
		}
		know("3")
		know("4")
		var running *ml.GoogleCloudMlV1__Job
		poll(t, func() bool { running = h.get("tuned"); return running.TrainingOutput.CompletedTrialCount == 2 },
			func() string { return trialsOf(running) })
		const half = "2 x=0 SUCCEEDED 1@200\n1 x=-1 SUCCEEDED -1@200\n3 x=0.25 RUNNING\n4 x=1.5 RUNNING"
		if diff := cmp.Diff(half, trialsOf(running)); diff != "" || running.State != "RUNNING" {
			t.Errorf("while it is %s (-want +got):\n%s", running.State, diff)
		}
		list, err := h.api.List("projects/p").Do()
		if err != nil || len(list.Jobs) != 1 || trialsOf(list.Jobs[0]) != half {
			t.Errorf("list: %+v, %v", list, err)
		}
		touch(t, filepath.Join(meet, "go"))
		j := h.succeeded("tuned")
		if diff := cmp.Diff("2 x=0 SUCCEEDED 1@200\n3 x=0.25 SUCCEEDED 0.5@200\n1 x=-1 SUCCEEDED -1@200\n4 x=1.5 SUCCEEDED "+
			"-2@200", trialsOf(j)); diff != "" {
			t.Errorf("trials, best first (-want +got):\n%s", diff)
		}
		out := j.TrainingOutput
		if out.CompletedTrialCount != 4 || !out.IsHyperparameterTuningJob || out.HyperparameterMetricTag != "accuracy" {
			t.Errorf("output: %+v", out)
		}
		h.line("tuned", "Trial 2 is the best of 4 that succeeded: accuracy is 1 with x=0.")
		first := out.Trials[0]
		if len(first.AllMetrics) != 2 || first.AllMetrics[0].TrainingStep != 100 ||
			first.AllMetrics[0].ObjectiveValue != 0.5 {
			t.Errorf("all metrics of the best: %+v", first.AllMetrics)
		}
		for _, trial := range out.Trials {
			if parseTime(t, trial.EndTime).Before(parseTime(t, trial.StartTime)) {
				t.Errorf("trial %s: %s to %s", trial.TrialId, trial.StartTime, trial.EndTime)
			}
		}

		know("1")
		know("2")
		for id, a := range about {
			x := map[string]string{"1": "-1", "2": "0", "3": "0.25", "4": "1.5"}[id]
			want := []any{"--x=7", "--meet", meet, "--x=" + x, "--job-dir", "gs://out/tuned/" + id}
			if diff := cmp.Diff(want, a["argv"]); diff != "" {
				t.Errorf("arguments of trial %s (-want +got):\n%s", id, diff)
			}
			if a["trial"] != id || a["tag"] != "accuracy" {
				t.Errorf("trial %s: %v", id, a)
			}
			for _, key := range []string{"cwd", "home", "tmp", "file"} {
				for other, b := range about {
					if other != id && a[key] == b[key] {
						t.Errorf("trials %s and %s have the same %s: %s", id, other, key, a[key])
					}
				}
				if _, err := os.Stat(fmt.Sprint(a[key])); os.IsNotExist(err) != (key != "cwd") {
					t.Errorf("%s of trial %s after the end: %v", key, id, err)
				}
			}
		}

		fetched := 0
		trials := map[string]bool{}
		for _, l := range logLines(t, h.opts.Dir, "tuned", taskService) {
			if strings.HasPrefix(l.Text, "Fetching") {
				fetched++
			}
		}
		for _, l := range logLines(t, h.opts.Dir, "tuned", jobs.Master.Task()) {
			trials[l.Trial] = true
			if rest, ok := strings.CutPrefix(l.Text, "trial "); ok && !strings.HasPrefix(rest, l.Trial+" ") {
				t.Errorf("a line of trial %q: %s", l.Trial, l.Text)
			}
		}
		if fetched != 1 || len(trials) != 4 || trials[""] {
			t.Errorf("the package was fetched %d times; lines are of the trials %v", fetched, trials)
		}
		if e := logs.EntryOf("p", &Line{JobID: "tuned", Trial: "3",
			Task: "t"}); e.Labels["ml.googleapis.com/trial_id"] != "3" {
			t.Errorf("labels of an entry: %v", e.Labels)
		}
	})
}

// TestTuningReplicas: a trial is all of the job's replicas, each with its part in
// TF_CONFIG, and an evaluator may be the one that reports.
func TestTuningReplicas(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxReplicas = 6; o.Grace = 2 * time.Second })
	j := h.distributed("roles", peers+reporting+`
task = config["task"]
assert task["trial"] == trial, task
if kind == "evaluator":
    report("accuracy", int(trial), 5)
    call("chief", 0).sendall(b"evaluated\n")
elif kind == "worker":
    call("chief", 0).sendall(b"worked\n")
    forever()
else:
    with listen() as server:
        heard = sorted(server.accept()[0].makefile().readline().strip() for _ in range(2))
    print("heard", *heard)
`, 1, 0, 1)
	j.TrainingInput.Hyperparameters = h.tuning("unused", "", 2, []float64{1, 2, 3}).TrainingInput.Hyperparameters
	h.create(j)
	got := h.succeeded("roles")
	if diff := cmp.Diff("3 x=3 SUCCEEDED 3@5\n2 x=2 SUCCEEDED 2@5\n1 x=1 SUCCEEDED 1@5", trialsOf(got)); diff != "" {
		t.Errorf("trials (-want +got):\n%s", diff)
	}
	if n := strings.Count(strings.Join(h.log("roles"), "\n"), "heard evaluated worked"); n != 3 {
		t.Errorf("%d masters heard of both, want 3", n)
	}
}

func TestTuningFailures(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], nil)
	const program = `
x = float(sys.argv[1].split("=")[1])
if x < 0:
    raise ValueError("x is %s" % x)
report("accuracy" if x else "loss", float("nan") if x == 9 else x, 0)
`
	for _, tt := range []struct {
		name      string
		values    []float64
		maxFailed int64
		trials    string
		state     string
		message   []string
	}{
		{
			"first", []float64{-1, 1, 2}, 0, "1 x=-1 FAILED", "FAILED",
			[]string{"Hyperparameter Tuning Trial #1 failed before any trial had succeeded.", "parameters x=-1.",
				"non-zero status of 1.\nTraceback", "ValueError: x is -1.0"},
		},
		{
			"later", []float64{1, 9, 10}, 0, "3 x=10 SUCCEEDED 10@0\n1 x=1 SUCCEEDED 1@0\n2 x=9 FAILED", "SUCCEEDED", nil,
		},
		{
			"allowed", []float64{-1, 1}, 2, "2 x=1 SUCCEEDED 1@0\n1 x=-1 FAILED", "SUCCEEDED", nil,
		},
		{
			"toomany", []float64{-2, -1, 1}, 2, "1 x=-2 FAILED\n2 x=-1 FAILED", "FAILED",
			[]string{"2 of the job's trials failed, and maxFailedTrials is 2.", "Trial #1 failed first.",
				"ValueError: x is -2.0"},
		},
		{
			"none", []float64{-2, -1}, 5, "1 x=-2 FAILED\n2 x=-1 FAILED", "FAILED",
			[]string{"None of the job's 2 trials succeeded.", "Trial #1 failed first.", "ValueError: x is -2.0"},
		},
		{
			"othertag", []float64{0}, 1, "1 x=0 FAILED", "FAILED",
			[]string{`did not report the metric "accuracy" (hyperparameterMetricTag), only "loss"`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := h.tuning(tt.name, program, 1, tt.values)
			j.TrainingInput.Hyperparameters.MaxFailedTrials = tt.maxFailed
			h.create(j)
			got := h.ended(tt.name)
			if diff := cmp.Diff(tt.trials, trialsOf(got)); diff != "" || got.State != tt.state {
				t.Errorf("%s: %s; trials (-want +got):\n%s", got.State, got.ErrorMessage, diff)
			}
			for _, want := range tt.message {
				if !strings.Contains(got.ErrorMessage, want) {
					t.Errorf("the message %q lacks %q", got.ErrorMessage, want)
				}
			}
			if tt.message == nil && got.ErrorMessage != "" {
				t.Errorf("the message is %q", got.ErrorMessage)
			}
		})
	}
	t.Run("silent", func(t *testing.T) {
		h.create(h.tuning("silent", "", 1, []float64{1}))
		if j := h.ended("silent"); j.State != "FAILED" || !strings.Contains(j.ErrorMessage,
			`reported no metric; hyperparameterMetricTag is "accuracy"`) {
			t.Errorf("%s: %q", j.State, j.ErrorMessage)
		}
	})
	// The job's failure ends the trials that still run.
	t.Run("others", func(t *testing.T) {
		h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxReplicas = 2 })
		mark := filepath.Join(t.TempDir(), "ready")
		h.create(h.tuning("others", `
if trial == "1":
    await_file(`+string(quoteJSON(mark))+`)
    sys.exit(3)
print("pid", os.getpid(), flush=True)
open(`+string(quoteJSON(mark))+`, "w").close()
time.sleep(600)
`, 2, []float64{1, 2, 3}))
		pid := h.line("others", "pid ")
		j := h.ended("others")
		if diff := cmp.Diff("1 x=1 FAILED\n2 x=2 CANCELLED", trialsOf(j)); diff != "" || j.State != "FAILED" ||
			!strings.Contains(j.ErrorMessage, "Trial #1 failed before") {
			t.Errorf("%s: %s; trials (-want +got):\n%s", j.State, j.ErrorMessage, diff)
		}
		if alive(t, pid) {
			t.Errorf("process %s of the other trial survived", pid)
		}
	})
}

// sleepers is a trial that goes on for ever, but for the first.
const sleepers = `
report("accuracy", 1, 0)
if trial != "1":
    print("pid", trial, os.getpid())
    time.sleep(600)
`

// TestTuningEnds: what ends a job ends all its trials.
func TestTuningEnds(t *testing.T) {
	t.Parallel()
	python := pythons(t)[0]
	// begin starts a job whose second and third trial run.
	begin := func(t *testing.T) (h *harness, pids []string) {
		t.Helper()
		h = newHarness(t, python, func(o *Options) { o.MaxReplicas = 2 })
		h.create(h.tuning("job", sleepers, 2, []float64{1, 2, 3, 4}))
		return h, []string{h.line("job", "pid 2 "), h.line("job", "pid 3 ")}
	}
	check := func(t *testing.T, h *harness, pids []string, state, trial, message string) {
		t.Helper()
		j := h.ended("job")
		want := fmt.Sprintf("1 x=1 SUCCEEDED 1@0\n2 x=2 %s\n3 x=3 %[1]s", trial)
		if diff := cmp.Diff(want, trialsOf(j)); diff != "" || j.State != state || !strings.Contains(j.ErrorMessage, message) {
			t.Errorf("%s: %q; trials (-want +got):\n%s", j.State, j.ErrorMessage, diff)
		}
		for _, pid := range pids {
			poll(t, func() bool { return !alive(t, pid) }, func() string { return "process " + pid + " survived" })
		}
		r := readRecord(t, h.svc.store.places("job").record)
		if len(r.Processes) > 0 {
			t.Errorf("the record names %+v", r.Processes)
		}
		for _, trial := range r.Trials {
			if trial.EndTime.IsZero() {
				t.Errorf("trial %s has no end", trial.ID)
			}
		}
	}
	t.Run("cancel", func(t *testing.T) {
		h, pids := begin(t)
		if r := readRecord(t, h.svc.store.places("job").record); len(r.Processes) != 2 {
			t.Errorf("the record names %+v, want the processes of two trials", r.Processes)
		}
		if _, err := h.api.Cancel("projects/p/jobs/job", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
			t.Fatal(err)
		}
		check(t, h, pids, "CANCELLED", "CANCELLED", "cancelled by a request")
	})
	t.Run("limit", func(t *testing.T) {
		h := newHarness(t, python, nil)
		j := h.tuning("job", "time.sleep(600)\n", 1, []float64{1, 2})
		j.TrainingInput.Scheduling = &ml.GoogleCloudMlV1__Scheduling{MaxRunningTime: "1s"}
		h.create(j)
		got := h.ended("job")
		if diff := cmp.Diff("1 x=1 CANCELLED", trialsOf(got)); diff != "" || got.State != "CANCELLED" ||
			!strings.Contains(got.ErrorMessage, "maxRunningTime (1s)") {
			t.Errorf("%s: %q; trials (-want +got):\n%s", got.State, got.ErrorMessage, diff)
		}
	})
	t.Run("close", func(t *testing.T) {
		h, pids := begin(t)
		if err := h.svc.Close(); err != nil {
			t.Fatal(err)
		}
		h.start()
		check(t, h, pids, "FAILED", "FAILED", "was stopped while the job was RUNNING")
	})
	t.Run("crash", func(t *testing.T) {
		h := newHarness(t, python, nil)
		dir := t.TempDir()
		kill := h.external(dir, python)
		marks := t.TempDir()
		j := h.tuning("job", strings.ReplaceAll(sleepers, "    print", "    open(os.path.join("+string(quoteJSON(marks))+
			", trial + '-' + str(os.getpid())), 'w').close()\n    print"), 2, []float64{1, 2, 3, 4})
		h.create(j)
		var found []string
		poll(t, func() bool { found, _ = filepath.Glob(filepath.Join(marks, "*")); return len(found) == 2 },
			func() string { return "the trials never ran" })
		poll(t, func() bool { return h.get("job").TrainingOutput.CompletedTrialCount == 1 },
			func() string { return "no trial ended" })
		kill()
		var pids []string
		for _, file := range found {
			_, pid, _ := strings.Cut(filepath.Base(file), "-")
			pids = append(pids, pid)
		}
		h.opts.Dir = dir
		h.start()
		check(t, h, pids, "FAILED", "FAILED", "restarted while the job was RUNNING")
	})
}

// TestTuningStopsEarly: a trial that is worse than most is not waited for, if
// the job says so.
func TestTuningStopsEarly(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], nil)
	const program = `
x = float(sys.argv[1].split("=")[1])
for step in range(1, 6):
    report("accuracy", x * step, step)
    if x < 0 and step == 3:
        time.sleep(600)
`
	j := h.tuning("early", program, 1, []float64{1, 2, 3, 4})
	in := j.TrainingInput.Hyperparameters
	in.EnableTrialEarlyStopping = true
	// By name, so that the bad one is the last of the grid.
	in.Params = []*ml.GoogleCloudMlV1__ParameterSpec{{ParameterName: "x", Type: "CATEGORICAL",
		CategoricalValues: []string{"1", "2", "3", "-1"}}}
	h.create(j)
	got := h.succeeded("early")
	if diff := cmp.Diff("3 x=3 SUCCEEDED 15@5\n2 x=2 SUCCEEDED 10@5\n1 x=1 SUCCEEDED 5@5\n4 x=-1 SUCCEEDED -3@3 early",
		trialsOf(got)); diff != "" {
		t.Errorf("trials (-want +got):\n%s", diff)
	}
}

func TestTuningContainers(t *testing.T) {
	python := pythons(t)[0]
	dir := withRunner(t, python)
	h := newHarness(t, python, func(o *Options) { o.ContainerRunner = "docker" })
	// The fake runner mounts nothing: the program writes where the mount is from.
	j := imageJob("boxes", reporting+`
print("file", os.environ["CLOUD_ML_HP_METRIC_FILE"], sys.argv[1:])
for call in open(`+string(quoteJSON(filepath.Join(dir, "calls")))+`):
    for arg in json.loads(call):
        if "/metrics/%s/" % trial in arg:
            folder = arg.split("source=")[1].split(",")[0]
os.environ["CLOUD_ML_HP_METRIC_FILE"] = os.path.join(folder, "output.metrics")
report("accuracy", 5, 1)
`)
	j.TrainingInput.Hyperparameters = h.tuning("unused", "", 1, []float64{4}).TrainingInput.Hyperparameters
	h.create(j)
	if got := trialsOf(h.succeeded("boxes")); got != "1 x=4 SUCCEEDED 5@1" {
		t.Errorf("trials: %s", got)
	}
	if got, want := h.line("boxes", "file "), "/var/hypertune/output.metrics ['--x=4', '--job-dir', 'gs://out/boxes/1']"; got != want {
		t.Errorf("the container has %s, want %s", got, want)
	}
	calls := runnerCalls(t, dir, "run")
	source := "type=bind,source=" + filepath.Join(h.opts.Dir, "jobs", "boxes", "metrics", "1", jobs.Master.Task()) +
		",target=/var/hypertune"
	if len(calls) != 1 || !slices.Contains(calls[0], source) ||
		!strings.HasPrefix(calls[0][3], "jobdrop-boxes-1-master-replica-0-") {
		t.Errorf("containers: %q, want one with the mount %s", calls, source)
	}
}

func TestNeeds(t *testing.T) {
	tuned := func(trials, parallel int32) *job.HyperparameterSpec {
		return &job.HyperparameterSpec{MaxTrials: trials, MaxParallelTrials: parallel}
	}
	for _, tt := range []struct {
		name string
		in   job.TrainingInput
		want int
	}{
		{"without tuning", job.TrainingInput{ScaleTier: "STANDARD_1"}, 8},
		{"one at once by default", job.TrainingInput{Hyperparameters: tuned(5, 0)}, 1},
		{"replicas of each trial", job.TrainingInput{ScaleTier: "STANDARD_1", Hyperparameters: tuned(5, 3)}, 24},
		{"no more than there are", job.TrainingInput{Hyperparameters: tuned(2, 3)}, 2},
		{"a great many", job.TrainingInput{ScaleTier: "CUSTOM", WorkerCount: 1 << 40, Hyperparameters: tuned(1000, 1000)},
			1<<31 - 1},
	} {
		if got := jobs.Needs(&tt.in); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestBrief(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"short", "as it is\nwhole", "as it is\nwhole"},
		{"long", "status of 1.\n" + strings.Repeat("x", 100) + "\nValueError: x",
			"status of 1.\n[...]\nxxxxxxx\nValueError: x"},
		{"long line", strings.Repeat("a", 60) + "z", strings.Repeat("a", 20) + "…\n[...]\naaaaaaaaaz"},
		{"half a character", "a\n" + strings.Repeat("é", 50), "a\n[...]\n" + strings.Repeat("é", 16)},
	} {
		if got := brief(tt.text, 40); got != tt.want || len(got) > 40 {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestRecordIsBounded: a record is written whole with each change.
func TestRecordIsBounded(t *testing.T) {
	for n, want := range map[int32]int{0: 100, 1: 100, 50: 100, 100: 50, 1000: 5} {
		if got := recorded(&job.HyperparameterSpec{MaxTrials: n}); got != want {
			t.Errorf("of each of %d trials %d measurements are kept, want %d", n, got, want)
		}
	}
	var r jobs.Record
	for i := range study.MaxTrials {
		r.Trials = append(r.Trials, jobs.Trial{
			ID: strconv.Itoa(i), Error: strings.Repeat("e", maxTrialError),
			All: make([]study.Measurement, recorded(&job.HyperparameterSpec{MaxTrials: study.MaxTrials})),
			Parameters: []study.Value{{Name: strings.Repeat("n", study.MaxText/study.MaxTrials/2), Categorical: true,
				Category: strings.Repeat("c", study.MaxText/study.MaxTrials/2)}},
		})
	}
	data, err := json.Marshal(r)
	if err != nil || len(data) > 4<<20 {
		t.Errorf("a full record has %d bytes, want no more than 4 MiB; %v", len(data), err)
	}
}

// TestMetricsFiles: the master's file counts, then those of evaluators.
func TestMetricsFiles(t *testing.T) {
	rooms := map[jobs.Replica]room{}
	for _, r := range []jobs.Replica{{Role: jobs.RoleWorker, Index: 0}, {Role: jobs.RoleWorker, Index: 1},
		{Role: jobs.RoleEvaluator, Index: 0}, jobs.Master, {Role: jobs.RolePS, Index: 0}} {
		rooms[r] = room{metrics: r.Task()}
	}
	var want []string
	for _, task := range []string{
		"master-replica-0", "evaluator-replica-0", "worker-replica-0", "worker-replica-1", "ps-replica-0",
	} {
		want = append(want, filepath.Join(task, metricsFile))
	}
	if diff := cmp.Diff(want, metricsFiles(rooms)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
