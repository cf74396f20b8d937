package training

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	aiplatform "google.golang.org/api/aiplatform/v1"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/logs"
)

// vertexHarness runs jobs of aiplatform/v1.
type vertexHarness struct {
	*harness
	jobs    *aiplatform.ProjectsLocationsCustomJobsService
	tunings *aiplatform.ProjectsLocationsHyperparameterTuningJobsService
}

func newVertexHarness(t *testing.T, python Python, change func(*Options)) *vertexHarness {
	h := &vertexHarness{harness: newHarness(t, python, change)}
	h.connect()
	return h
}

// connect speaks to the harness's service, also after a restart.
func (h *vertexHarness) connect() {
	server := httptest.NewServer(h.svc.Handler())
	h.Cleanup(server.Close)
	api := vertexClient(h.T, server.URL)
	h.jobs, h.tunings = api.CustomJobs, api.HyperparameterTuningJobs
}

// custom returns a job that runs a program in pools of so many replicas; its name is
// the program's package's, too.
func (h *vertexHarness) custom(name, program string, args []string,
	replicas ...int64) *aiplatform.GoogleCloudAiplatformV1CustomJob {
	uri := h.put("inbox", name+"/trainer-0.1.tar.gz", sdist(h.T, trainerFiles(program)))
	return h.customOf(name, uri, args, replicas...)
}

func (h *vertexHarness) customOf(name, uri string, args []string,
	replicas ...int64) *aiplatform.GoogleCloudAiplatformV1CustomJob {
	j := &aiplatform.GoogleCloudAiplatformV1CustomJob{DisplayName: name,
		JobSpec: &aiplatform.GoogleCloudAiplatformV1CustomJobSpec{
			BaseOutputDirectory: &aiplatform.GoogleCloudAiplatformV1GcsDestination{OutputUriPrefix: "gs://out/" + name},
			WorkerPoolSpecs:     []*aiplatform.GoogleCloudAiplatformV1WorkerPoolSpec{pythonPool(1, uri, args...)},
		}}
	for _, n := range replicas {
		pool := &aiplatform.GoogleCloudAiplatformV1WorkerPoolSpec{}
		if n > 0 {
			pool = pythonPool(n, uri, args...)
		}
		j.JobSpec.WorkerPoolSpecs = append(j.JobSpec.WorkerPoolSpecs, pool)
	}
	return j
}

// start creates a job and returns its ID and name.
func (h *vertexHarness) startJob(j *aiplatform.GoogleCloudAiplatformV1CustomJob) (id, name string) {
	h.Helper()
	created, err := h.jobs.Create(parent, j).Do()
	if err != nil {
		h.Fatalf("create %s: %v", j.DisplayName, err)
	}
	return path.Base(created.Name), created.Name
}

func (h *vertexHarness) untilState(name string, states ...string) *aiplatform.GoogleCloudAiplatformV1CustomJob {
	h.Helper()
	var j *aiplatform.GoogleCloudAiplatformV1CustomJob
	poll(h.T, func() bool {
		var err error
		if j, err = h.jobs.Get(name).Do(); err != nil {
			h.Fatal(err)
		}
		return slices.Contains(states, j.State)
	}, func() string {
		return j.DisplayName + " is " + j.State + ", want " + strings.Join(states, " or ") + "; log:\n" +
			strings.Join(h.log(path.Base(name)), "\n")
	})
	return j
}

func (h *vertexHarness) endOf(name string) *aiplatform.GoogleCloudAiplatformV1CustomJob {
	h.Helper()
	return h.untilState(name, "JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
}

func (h *vertexHarness) succeeds(name string) *aiplatform.GoogleCloudAiplatformV1CustomJob {
	h.Helper()
	j := h.endOf(name)
	if j.State != "JOB_STATE_SUCCEEDED" || j.Error != nil {
		h.Fatalf("%s is %s, %+v\nlog:\n%s", j.DisplayName, j.State, j.Error, strings.Join(h.log(path.Base(name)), "\n"))
	}
	return j
}

// telling prints what a program sees as lines of JSON.
const telling = `
import json, os, sys
print("seen " + json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "executable": sys.executable}))
`

type seen struct {
	Argv       []string
	Env        map[string]string
	Executable string
}

func (h *vertexHarness) seen(id string) (s seen) {
	h.Helper()
	if err := json.Unmarshal([]byte(h.line(id, "seen ")), &s); err != nil {
		h.Fatal(err)
	}
	return s
}

type clusterConfig struct {
	Cluster     map[string][]string
	Environment string
	Task        struct {
		Type  string
		Index int
	}
	Job string
}

func TestVertexSucceeds(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		h := newVertexHarness(t, python, nil)
		args := []string{"--epochs", "3", "--name=a b", "", "*"}
		j := h.custom("works", telling, args)
		j.JobSpec.WorkerPoolSpecs[0].PythonPackageSpec.Env = []*aiplatform.GoogleCloudAiplatformV1EnvVar{
			{Name: "FIRST", Value: "1"}, {Name: "SECOND", Value: "$(FIRST)-$(CLOUD_ML_PROJECT_ID)-$$(FIRST)"},
			{Name: "TF_CONFIG", Value: "{}"}, {Name: "CLOUD_ML_JOB_ID", Value: "mine"},
		}
		id, name := h.startJob(j)
		ended := h.succeeds(name)
		if ended.StartTime == "" || ended.EndTime < ended.StartTime || ended.UpdateTime < ended.EndTime {
			t.Errorf("started %q, ended %q, updated %q", ended.StartTime, ended.EndTime, ended.UpdateTime)
		}
		got := h.seen(id)
		if diff := cmp.Diff(args, got.Argv); diff != "" {
			t.Errorf("argv (-want +got):\n%s", diff)
		}
		root := filepath.Join(h.opts.Dir, "jobs", id)
		for name, want := range map[string]string{
			"CLOUD_ML_JOB_ID": id, "CLOUD_ML_PROJECT_ID": "p", "GOOGLE_CLOUD_PROJECT": "p", "STORAGE_EMULATOR_HOST": h.gcs.URL(),
			"AIP_MODEL_DIR": "gs://out/works/model/", "AIP_CHECKPOINT_DIR": "gs://out/works/checkpoints/",
			"AIP_TENSORBOARD_LOG_DIR": "gs://out/works/logs/",
			"HOME":                    filepath.Join(root, "home", "workerpool0-0"), "FIRST": "1", "SECOND": "1-p-$(FIRST)",
			"TF_CONFIG": "{}", "CLOUD_ML_TRIAL_ID": "", "CLOUD_ML_JOB": "", "SOME_SECRET": "",
		} {
			if got := got.Env[name]; got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		var spec clusterConfig
		if err := json.Unmarshal([]byte(got.Env["CLUSTER_SPEC"]), &spec); err != nil {
			t.Fatal(err)
		}
		var about map[string]any
		if err := json.Unmarshal([]byte(spec.Job), &about); err != nil || about["python_module"] != "trainer.task" {
			t.Errorf("CLUSTER_SPEC's job %q: %v", spec.Job, err)
		}
		if len(spec.Cluster) != 1 || len(spec.Cluster["workerpool0"]) != 1 || spec.Environment != "cloud" ||
			spec.Task.Type != "workerpool0" {
			t.Errorf("CLUSTER_SPEC = %s", got.Env["CLUSTER_SPEC"])
		}
		if lines := logLines(t, h.opts.Dir, id, "workerpool0-0"); !slices.ContainsFunc(lines,
			func(l Line) bool { return strings.HasPrefix(l.Text, "seen ") }) {
			t.Errorf("the log of workerpool0-0: %+v", lines)
		}
		if _, err := os.Stat(filepath.Join(root, "env")); !os.IsNotExist(err) {
			t.Errorf("the environment is still there: %v", err)
		}
	})
}

// bootstrap is a script as a client may send it for a pre-built image: it fetches
// packages, installs them where it runs, and becomes the module.
const bootstrap = `import os, subprocess, sys, urllib.parse, urllib.request
# The rest runs in a process of its own.
module, args = sys.argv[1], sys.argv[sys.argv.index("--") + 1:]
files = []
for i, uri in enumerate(sys.argv[2:sys.argv.index("--")]):
    bucket, _, name = uri[len("gs://"):].partition("/")
    url = "%s/storage/v1/b/%s/o/%s?alt=media" % (os.environ["STORAGE_EMULATOR_HOST"], bucket, urllib.parse.quote(name, safe=""))
    os.mkdir(str(i))
    files.append(os.path.join(str(i), os.path.basename(name)))
    with open(files[-1], "wb") as f:
        f.write(urllib.request.urlopen(url).read())
subprocess.check_call(["python3", "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"] + files)
os.execvp("python3", ["python3", "-m", module] + args)
`

// TestVertexStandIn: this machine's Python stands in for Google's image, once for
// each replica, with an environment that the program may install into.
func TestVertexStandIn(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		if !python.Pip {
			t.Skip("this Python has no pip")
		}
		h := newVertexHarness(t, python, nil)
		uri := h.put("inbox", "standin/trainer-0.1-py3-none-any.whl",
			wheel(t, map[string]string{"trainer/__init__.py": "", "trainer/task.py": telling}))
		pool := func(n int64, env ...*aiplatform.GoogleCloudAiplatformV1EnvVar) *aiplatform.GoogleCloudAiplatformV1WorkerPoolSpec {
			return &aiplatform.GoogleCloudAiplatformV1WorkerPoolSpec{
				ReplicaCount: n, MachineSpec: &aiplatform.GoogleCloudAiplatformV1MachineSpec{MachineType: "n1-standard-4"},
				ContainerSpec: &aiplatform.GoogleCloudAiplatformV1ContainerSpec{
					ImageUri: executor, Command: []string{"python3", "-c", bootstrap},
					Args: []string{"trainer.task", uri, "--", "--rate", "0.5"}, Env: env,
				},
			}
		}
		j := &aiplatform.GoogleCloudAiplatformV1CustomJob{DisplayName: "standin",
			JobSpec: &aiplatform.GoogleCloudAiplatformV1CustomJobSpec{
				WorkerPoolSpecs: []*aiplatform.GoogleCloudAiplatformV1WorkerPoolSpec{pool(1,
					&aiplatform.GoogleCloudAiplatformV1EnvVar{Name: "MINE", Value: "x"})},
			}}
		id, name := h.startJob(j)
		h.succeeds(name)
		got := h.seen(id)
		if diff := cmp.Diff([]string{"--rate", "0.5"}, got.Argv); diff != "" {
			t.Errorf("argv (-want +got):\n%s", diff)
		}
		if want := filepath.Join(h.opts.Dir, "jobs", id, "env", "own", "workerpool0-0",
			"bin"); filepath.Dir(got.Executable) != want || got.Env["MINE"] != "x" || got.Env["AIP_MODEL_DIR"] != "" {
			t.Errorf("executable %s, want one in %s; MINE %q, AIP_MODEL_DIR %q", got.Executable, want, got.Env["MINE"],
				got.Env["AIP_MODEL_DIR"])
		}
		for _, l := range h.log(id) {
			if strings.Contains(l, "execvp") || strings.Contains(l, "\n") {
				t.Errorf("the log shows the script: %q", l)
			}
		}

		// Three at once don't install over each other.
		j.DisplayName, j.JobSpec.WorkerPoolSpecs = "standins", append(j.JobSpec.WorkerPoolSpecs, pool(2))
		id, name = h.startJob(j)
		j = h.endOf(name)
		var executables []string
		for _, task := range []string{"workerpool0-0", "workerpool1-0", "workerpool1-1"} {
			for _, l := range logLines(t, h.opts.Dir, id, task) {
				if text, ok := strings.CutPrefix(l.Text, "seen "); ok {
					var s seen
					if err := json.Unmarshal([]byte(text), &s); err != nil {
						t.Fatal(err)
					}
					executables = append(executables, s.Executable)
				}
			}
		}
		slices.Sort(executables)
		if len(executables) == 0 || len(slices.Compact(executables)) != len(executables) || j.State != "JOB_STATE_SUCCEEDED" {
			t.Errorf("%s, run by %v", j.State, executables)
		}
	})
}

func TestVertexEnds(t *testing.T) {
	t.Parallel()
	h := newVertexHarness(t, pythons(t)[0], func(o *Options) { o.MaxJobs = 4; o.MaxReplicas = 8 })
	names := map[string]string{}
	start := func(j *aiplatform.GoogleCloudAiplatformV1CustomJob) { _, names[j.DisplayName] = h.startJob(j) }
	start(h.custom("fails", "def f():\n    raise ValueError('boom')\nf()\n", nil))
	long := h.custom("long", sleeper, nil)
	long.JobSpec.Scheduling = &aiplatform.GoogleCloudAiplatformV1Scheduling{Timeout: "1.5s"}
	start(long)
	start(h.customOf("no_package", "gs://inbox/nowhere/a.tar.gz", nil))
	bucket := h.custom("no_bucket", "", nil)
	bucket.JobSpec.BaseOutputDirectory.OutputUriPrefix = "gs://no-such-bucket/x"
	start(bucket)
	start(h.custom("worker", "import os, sys, time\nif os.environ['CLOUD_ML_JOB_ID'] and '\"type\":\"workerpool1\"' in "+
		"os.environ['CLUSTER_SPEC']: sys.exit(3)\ntime.sleep(600)\n", nil, 1))
	start(h.custom("asked", sleeper, nil))
	h.untilState(names["asked"], "JOB_STATE_RUNNING")
	if _, err := h.jobs.Cancel(names["asked"], nil).Do(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		state string
		code  int64
		texts []string
	}{
		"fails": {"JOB_STATE_FAILED", 3, []string{"The replica workerpool0-0 exited with a non-zero status of " +
			"1.\nTraceback (most recent call last):\n", "\nValueError: boom"}},
		"long":       {"JOB_STATE_CANCELLED", 1, []string{"scheduling.timeout (1.5s)"}},
		"asked":      {"JOB_STATE_CANCELLED", 1, []string{"by a request"}},
		"no_package": {"JOB_STATE_FAILED", 3, []string{"gs://inbox/nowhere/a.tar.gz does not exist"}},
		"no_bucket": {"JOB_STATE_FAILED", 3, []string{"job_spec.base_output_directory", "gs://no-such-bucket/x/",
			"the bucket no-such-bucket does not exist"}},
		"worker": {"JOB_STATE_FAILED", 3, []string{"The replica workerpool1-0 exited with a non-zero status of 3."}},
	} {
		j := h.endOf(names[name])
		if j.State != want.state || j.Error == nil || j.Error.Code != want.code {
			t.Errorf("%s: %s, %+v", name, j.State, j.Error)
			continue
		}
		for _, text := range want.texts {
			if !strings.Contains(j.Error.Message, text) {
				t.Errorf("%s: message %q lacks %q", name, j.Error.Message, text)
			}
		}
		if name == "long" {
			if ran := parseTime(t, j.EndTime).Sub(parseTime(t, j.StartTime)); ran < 1500*time.Millisecond {
				t.Errorf("long ended after %v", ran)
			}
		}
	}
}

// TestVertexDistributed has a program find its peers by TF_CONFIG, and CLUSTER_SPEC
// say the same of the pools.
func TestVertexDistributed(t *testing.T) {
	t.Parallel()
	h := newVertexHarness(t, pythons(t)[0], func(o *Options) { o.MaxReplicas = 6; o.Grace = 2 * time.Second })
	id, name := h.startJob(h.custom("average", "import os\nprint('spec', os.environ['CLUSTER_SPEC'])\n"+average, nil, 3, 1,
		1))
	h.succeeds(name)
	if got := h.line(id, "heard "); got != "111 ready ready ready" {
		t.Errorf("heard %s, want the sum 111 and that three are ready", got)
	}
	tasks := map[string]string{"workerpool0-0": "chief 0", "workerpool1-0": "worker 0", "workerpool1-1": "worker 1",
		"workerpool1-2": "worker 2", "workerpool2-0": "ps 0", "workerpool3-0": "evaluator 0"}
	for task, role := range tasks {
		var spec clusterConfig
		iAm := false
		for _, l := range logLines(t, h.opts.Dir, id, task) {
			iAm = iAm || strings.HasPrefix(l.Text, "i am "+role+" ")
			if text, ok := strings.CutPrefix(l.Text, "spec "); ok {
				if err := json.Unmarshal([]byte(text), &spec); err != nil {
					t.Fatal(err)
				}
			}
		}
		sizes := map[string]int{}
		for name, addresses := range spec.Cluster {
			sizes[name] = len(addresses)
		}
		want := map[string]int{"workerpool0": 1, "workerpool1": 3, "workerpool2": 1, "workerpool3": 1}
		if diff := cmp.Diff(want, sizes); !iAm || diff != "" || task[:len("workerpool0")] != spec.Task.Type ||
			!strings.HasSuffix(task, string(rune('0'+spec.Task.Index))) {
			t.Errorf("%s: is %s %v, CLUSTER_SPEC's task %+v, pools (-want +got):\n%s", task, role, iAm, spec.Task, diff)
		}
	}
}

// TestVertexPools: an empty pool has no replicas, and pools may differ in what
// they run.
func TestVertexPools(t *testing.T) {
	t.Parallel()
	h := newVertexHarness(t, pythons(t)[0], nil)
	const program = `
import json, os
cluster = json.loads(os.environ["TF_CONFIG"])
print("%s of %s: %s" % (cluster["task"]["type"], sorted(cluster["cluster"]), NAME))
`
	wait := "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
	mark := filepath.Join(h.opts.Dir, "go")
	j := h.custom("chief", "NAME = 'one'"+program+wait, []string{mark}, 0)
	other := h.put("inbox", "server/trainer-0.1.tar.gz", sdist(t,
		trainerFiles("NAME = 'two'"+program+"open("+string(quoteJSON(mark))+", 'w').close()\n")))
	j.JobSpec.WorkerPoolSpecs = append(j.JobSpec.WorkerPoolSpecs, pythonPool(1, other))
	id, name := h.startJob(j)
	h.succeeds(name)
	h.line(id, "chief of ['chief', 'ps']: one")
	h.line(id, "ps of ['chief', 'ps']: two")
}

// drop returns the package of one of the project's drops.
func (h *vertexHarness) drop(name string) string {
	h.Helper()
	data, err := os.ReadFile(filepath.Join("../../../testdata/drops", name, "trainer-0.1.tar.gz"))
	if err != nil {
		h.Fatal(err)
	}
	return h.put("inbox", "drops/"+name+"/trainer-0.1.tar.gz", data)
}

// TestVertexDrops runs the packages that come with the project.
func TestVertexDrops(t *testing.T) {
	t.Parallel()
	h := newVertexHarness(t, pythons(t)[0], func(o *Options) { o.MaxReplicas = 12; o.MaxJobs = 4 })
	_, hello := h.startJob(h.customOf("hello", h.drop("hello"), []string{"--job-dir", "gs://out/hello"}))
	_, fails := h.startJob(h.customOf("fails", h.drop("fails"), []string{"--learning-rate", "-0.1"}))
	endless := h.customOf("endless", h.drop("endless"), nil)
	endless.JobSpec.Scheduling = &aiplatform.GoogleCloudAiplatformV1Scheduling{Timeout: "4s"}
	_, endlessName := h.startJob(endless)
	_, distributed := h.startJob(h.customOf("distributed", h.drop("distributed"),
		[]string{"--job-dir", "gs://out/distributed"}, 2, 1))
	h.succeeds(hello)
	h.succeeds(distributed)
	if j := h.endOf(fails); j.State != "JOB_STATE_FAILED" || !strings.Contains(j.Error.Message,
		"learning rate must be positive") {
		t.Errorf("fails: %s, %+v", j.State, j.Error)
	}
	if j := h.endOf(endlessName); j.State != "JOB_STATE_CANCELLED" ||
		!strings.Contains(j.Error.Message, "scheduling.timeout (4s)") {
		t.Errorf("endless: %s, %+v", j.State, j.Error)
	}
	if got := h.objects("out"); !slices.Contains(got, "hello/hello.txt") ||
		!slices.Contains(got, "distributed/result.json") {
		t.Errorf("objects %v", got)
	}
}

func TestVertexRestart(t *testing.T) {
	python := pythons(t)[0]
	withRunner(t, python)
	h := newVertexHarness(t, python, func(o *Options) { o.MaxJobs, o.MaxReplicas, o.ContainerRunner = 1, 4, "docker" })
	j := h.custom("running", sleeper, nil)
	j.Labels = map[string]string{"a": "b"}
	id, ran := h.startJob(j)
	h.line(id, "sleeping")
	_, waits := h.startJob(h.custom("waiting", "print('at last')\n", nil))
	_, large := h.startJob(h.custom("large", "", nil, 3))
	image := h.custom("image", "", nil)
	image.JobSpec.WorkerPoolSpecs[0].PythonPackageSpec = nil
	image.JobSpec.WorkerPoolSpecs[0].ContainerSpec = &aiplatform.GoogleCloudAiplatformV1ContainerSpec{ImageUri: "gcr.io/p/trainer:1"}
	_, contained := h.startJob(image)
	if err := h.svc.Close(); err != nil {
		t.Fatal(err)
	}
	h.opts.MaxReplicas, h.opts.ContainerRunner = 3, ""
	h.start()
	h.connect()
	got := h.endOf(ran)
	if got.State != "JOB_STATE_FAILED" || got.Error.Code != 13 ||
		!strings.Contains(got.Error.Message, "was stopped while the job was") || got.Labels["a"] != "b" ||
		got.JobSpec.WorkerPoolSpecs[0].PythonPackageSpec == nil {
		t.Errorf("running: %+v, %+v", got, got.Error)
	}
	if got := h.endOf(large); got.State != "JOB_STATE_FAILED" || got.Error.Code != 13 ||
		!strings.Contains(got.Error.Message, "needs 4 replicas") {
		t.Errorf("large: %s, %+v", got.State, got.Error)
	}
	if got := h.endOf(contained); got.State != "JOB_STATE_FAILED" || got.Error.Code != 13 ||
		!strings.Contains(got.Error.Message, "--container-runner docker") {
		t.Errorf("image: %s, %+v", got.State, got.Error)
	}
	h.succeeds(waits)
	list, err := h.jobs.List(parent).Filter("labels.a=b").Do()
	if err != nil || len(list.CustomJobs) != 1 || list.CustomJobs[0].Name != ran {
		t.Errorf("list: %v, %v", list, err)
	}
}

// TestVertexEntries: logs are found as those of real jobs are.
func TestVertexEntries(t *testing.T) {
	t.Parallel()
	h := newVertexHarness(t, pythons(t)[0], nil)
	id, name := h.startJob(h.custom("talks", "print('hello')\n", nil))
	h.succeeds(name)
	server := httptest.NewServer(h.svc.Handler())
	defer server.Close()
	a := send(t, "POST", server.URL+"/v2/entries:list", `{"resourceNames": ["projects/p"], "filter": `+
		`"resource.type=\"ml_job\" resource.labels.job_id=\"`+id+`\" resource.labels.task_name=\"workerpool0-0\" `+
		`jsonPayload.message=hello"}`)
	var list struct{ Entries []logs.Entry }
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list.Entries) != 1 {
		t.Fatalf("entries: %v: %s", err, a.body)
	}
	if e := list.Entries[0]; e.LogName != "projects/p/logs/workerpool0-0" || e.Resource.Labels["job_id"] != id ||
		e.Resource.Labels["task_name"] != "workerpool0-0" {
		t.Errorf("entry %+v", e)
	}
}

// TestVertexContainers: an image of one's own is run as it is, beside a pool that
// runs a package.
func TestVertexContainers(t *testing.T) {
	python := pythons(t)[0]
	dir := withRunner(t, python)
	h := newVertexHarness(t, python, func(o *Options) { o.ContainerRunner = "docker" })
	j := h.custom("mixed", telling+"import time\ntime.sleep(600)\n", nil, 1)
	chief := &j.JobSpec.WorkerPoolSpecs[0]
	mark := filepath.Join(h.opts.Dir, "go")
	(*chief).PythonPackageSpec = nil
	(*chief).ContainerSpec = &aiplatform.GoogleCloudAiplatformV1ContainerSpec{
		ImageUri: "gcr.io/p/trainer:1", Command: []string{python.Path, "-c"},
		Args: []string{telling + "import time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n", mark},
		Env:  []*aiplatform.GoogleCloudAiplatformV1EnvVar{{Name: "MINE", Value: "$(CLOUD_ML_PROJECT_ID)/x"}},
	}
	id, name := h.startJob(j)
	by := map[string]seen{}
	poll(t, func() bool {
		for _, task := range []string{"workerpool0-0", "workerpool1-0"} {
			for _, l := range h.log(id) {
				if text, ok := strings.CutPrefix(l, task+" stdout: seen "); ok {
					var s seen
					if err := json.Unmarshal([]byte(text), &s); err != nil {
						t.Fatal(err)
					}
					by[task] = s
				}
			}
		}
		return len(by) == 2
	}, func() string { return strings.Join(h.log(id), "\n") })
	touch(t, mark)
	h.succeeds(name)
	in, out := by["workerpool0-0"], by["workerpool1-0"]
	if in.Env["IMAGE"] != "gcr.io/p/trainer:1" || in.Env["MINE"] != "p/x" ||
		in.Env["AIP_MODEL_DIR"] != "gs://out/mixed/model/" || in.Env["HOME"] != "" || out.Env["IMAGE"] != "" {
		t.Errorf("the container's environment %v, the package's %v", in.Env, out.Env)
	}
	if diff := cmp.Diff(strings.Replace(in.Env["CLUSTER_SPEC"], `"task":{"type":"workerpool0"`,
		`"task":{"type":"workerpool1"`, 1)[:60], out.Env["CLUSTER_SPEC"][:60]); diff != "" {
		t.Errorf("CLUSTER_SPEC (-container +package):\n%s", diff)
	}
	if runs := runnerCalls(t, dir, "run"); len(runs) != 1 || !strings.HasPrefix(runs[0][3], "jobdrop-"+id+
		"-workerpool0-0-") {
		t.Errorf("runs %v", runs)
	}
}

// A FLEX_START job that gets no machines in time expires, and keeps what it asked for. Without a limit
// it waits on, and another strategy has no limit.
func TestFlexStartExpires(t *testing.T) {
	t.Parallel()
	h := newVertexHarness(t, pythons(t)[0], func(o *Options) { o.MaxJobs = 1 })
	_, long := h.startJob(h.custom("long", sleeper, nil))
	waiting := func(name, strategy, wait string) string {
		j := h.customOf(name, "gs://inbox/long/trainer-0.1.tar.gz", nil)
		j.JobSpec.Scheduling = &aiplatform.GoogleCloudAiplatformV1Scheduling{Strategy: strategy, MaxWaitDuration: wait}
		j.JobSpec.PersistentResourceId, j.JobSpec.EnableDashboardAccess = "gpus", true
		for _, pool := range j.JobSpec.WorkerPoolSpecs {
			pool.MachineSpec = &aiplatform.GoogleCloudAiplatformV1MachineSpec{
				MachineType: "a2-highgpu-1g", AcceleratorType: "NVIDIA_TESLA_A100", AcceleratorCount: 1,
			}
			pool.NfsMounts = []*aiplatform.GoogleCloudAiplatformV1NfsMount{{Server: "10.0.0.2", Path: "/a", MountPoint: "a"}}
		}
		_, resource := h.startJob(j)
		return resource
	}
	short, endless := waiting("short", "FLEX_START", "0.3s"), waiting("endless", "FLEX_START", "0s")
	spot := waiting("spot", "SPOT", "0.3s")
	j := h.untilState(short, "JOB_STATE_EXPIRED", "JOB_STATE_CANCELLED", "JOB_STATE_FAILED")
	if j.State != "JOB_STATE_EXPIRED" || j.StartTime != "" || j.Error == nil || j.Error.Code != 4 ||
		!strings.Contains(j.Error.Message, "scheduling.maxWaitDuration (0.3s)") {
		t.Errorf("%s, started %q: %+v", j.State, j.StartTime, j.Error)
	}
	if s := j.JobSpec; s.Scheduling.Strategy != "FLEX_START" || s.PersistentResourceId != "gpus" ||
		!s.EnableDashboardAccess || len(s.WorkerPoolSpecs[0].NfsMounts) != 1 {
		t.Errorf("kept %+v", s)
	}
	for _, name := range []string{endless, spot} {
		if j, err := h.jobs.Get(name).Do(); err != nil || j.State != "JOB_STATE_QUEUED" {
			t.Errorf("%s: %+v, %v", name, j, err)
		}
	}
	list, err := h.jobs.List(parent).Filter(`state="JOB_STATE_EXPIRED"`).Do()
	if err != nil || len(list.CustomJobs) != 1 || list.CustomJobs[0].Name != short {
		t.Errorf("listed as expired: %+v, %v", list, err)
	}
	for _, name := range []string{long, endless, spot} {
		if _, err := h.jobs.Cancel(name, &aiplatform.GoogleCloudAiplatformV1CancelCustomJobRequest{}).Do(); err != nil {
			t.Error(err)
		}
		if j := h.endOf(name); j.State != "JOB_STATE_CANCELLED" || j.Error.Code != 1 {
			t.Errorf("%s: %s, %+v", name, j.State, j.Error)
		}
	}
}
