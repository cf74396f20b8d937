package training

import (
	"archive/tar"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/ml/v1"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
)

// reporter writes what a trainer sees to an object of its job directory.
const reporter = `
import importlib.metadata, json, os, sys, urllib.parse, urllib.request
from trainer import data
print("hello from the trainer")
print("a warning", file=sys.stderr)
job_dir = sys.argv[sys.argv.index("--job-dir") + 1]
bucket, _, prefix = job_dir[len("gs://"):].partition("/")
url = os.environ["STORAGE_EMULATOR_HOST"] + "/upload/storage/v1/b/" + bucket + "/o?uploadType=media&name=" + urllib.parse.quote(prefix + "/report.json", safe="")
report = {
    "argv": sys.argv[1:], "env": dict(os.environ), "executable": sys.executable,
    "version": importlib.metadata.version("trainer"), "group": os.getpgrp() == os.getpid(),
    "data": os.path.exists(os.path.join(os.path.dirname(data.__file__), "vocabulary.txt")),
}
urllib.request.urlopen(urllib.request.Request(url, data=json.dumps(report).encode(), method="POST"))
`

// sleeper tells that it runs and then does so for longer than any test.
const sleeper = "import time\nprint('sleeping')\ntime.sleep(600)\n"

func TestSucceeds(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		h := newHarness(t, python, func(o *Options) { o.Env = []string{"EXTRA=1", "HOME=/nowhere"} })
		args := []string{"--epochs", "3", "--name=a b", "", "*", "--quote", `'"`, "ünï"}
		created := h.create(h.job("works", reporter, args...))
		if created.State != "QUEUED" || created.CreateTime == "" || created.Etag == "" || created.JobPosition != 1 {
			t.Errorf("created: state %q, createTime %q, etag %q, position %d", created.State, created.CreateTime, created.Etag,
				created.JobPosition)
		}
		j := h.succeeded("works")
		if j.StartTime == "" || j.EndTime == "" || j.ErrorMessage != "" || j.JobPosition != 0 {
			t.Errorf("ended: start %q, end %q, message %q, position %d", j.StartTime, j.EndTime, j.ErrorMessage, j.JobPosition)
		}
		object, err := h.gcs.GetObject("out", "works/report.json")
		if err != nil {
			t.Fatal(err)
		}
		var report struct {
			Argv        []string
			Env         map[string]string
			Executable  string
			Version     string
			Group, Data bool
		}
		if err := json.Unmarshal(object.Content, &report); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append(args, "--job-dir", "gs://out/works"), report.Argv); diff != "" {
			t.Errorf("argv (-want +got):\n%s", diff)
		}
		root := filepath.Join(h.opts.Dir, "jobs", "works")
		for name, want := range map[string]string{
			"CLOUD_ML_JOB_ID": "works", "STORAGE_EMULATOR_HOST": h.gcs.URL(), "PYTHONUNBUFFERED": "1",
			"HOME": filepath.Join(root, "home", "master-replica-0"), "EXTRA": "1", "SOME_SECRET": "",
		} {
			if got := report.Env[name]; got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
		if !report.Group || !report.Data || report.Version != "0.1" {
			t.Errorf("own group %v, package data %v, version %q", report.Group, report.Data, report.Version)
		}
		if bin := filepath.Join(root, "env", "bin"); !strings.HasPrefix(report.Env["PATH"], bin+":") ||
			filepath.Dir(report.Executable) != bin {
			t.Errorf("PATH %q, executable %q, want %q first", report.Env["PATH"], report.Executable, bin)
		}

		var config struct {
			Cluster     map[string][]string
			Environment string
			Job         map[string]any
			Task        map[string]any
		}
		if err := json.Unmarshal([]byte(report.Env["TF_CONFIG"]), &config); err != nil {
			t.Fatal(err)
		}
		if len(config.Cluster["chief"]) != 1 || config.Environment != "cloud" ||
			config.Job["python_module"] != "trainer.task" {
			t.Errorf("TF_CONFIG = %s", report.Env["TF_CONFIG"])
		}
		if diff := cmp.Diff(map[string]any{"type": "chief", "index": 0.0}, config.Task); diff != "" {
			t.Errorf("TF_CONFIG.task (-want +got):\n%s", diff)
		}

		lines := logLines(t, h.opts.Dir, "works", jobs.Master.Task())
		for _, want := range []Line{{Stream: stdout, Text: "hello from the trainer"}, {Stream: stderr, Text: "a warning"}} {
			if !slices.ContainsFunc(lines, func(l Line) bool {
				return l.JobID == "works" && l.Task == jobs.Master.Task() && l.Stream == want.Stream && l.Text == want.Text &&
					!l.Time.IsZero()
			}) {
				t.Errorf("the log lacks %+v:\n%+v", want, lines)
			}
		}
		unpacked := slices.ContainsFunc(h.log("works"), func(l string) bool {
			return strings.Contains(l, "and what it names is unpacked (trainer)")
		})
		if unpacked == python.Builds {
			t.Errorf("unpacked %v by a Python that builds: %v", unpacked, python.Builds)
		}
		if _, err := os.Stat(filepath.Join(root, "env")); !os.IsNotExist(err) {
			t.Errorf("the environment is still there: %v", err)
		}
		if diff := cmp.Diff([]string{"works/report.json"}, h.objects("out")); diff != "" {
			t.Errorf("the job directory (-want +got):\n%s", diff)
		}
	})
}

func TestFails(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		h := newHarness(t, python, nil)
		h.create(h.job("fails", "def f():\n    raise ValueError('boom')\nf()\n"))
		j := h.ended("fails")
		if j.State != "FAILED" || !strings.HasPrefix(j.ErrorMessage, "The replica master 0 exited with a non-zero status "+
			"of 1.\nTraceback (most recent call last):\n") ||
			!strings.Contains(j.ErrorMessage, "\nValueError: boom") {
			t.Errorf("%s: %q", j.State, j.ErrorMessage)
		}
		traces := 0
		for _, line := range h.log("fails") {
			traces += strings.Count(line, "Traceback (most recent call last):")
		}
		if traces != 1 {
			t.Errorf("the log has %d tracebacks, want the program's own:\n%s", traces, strings.Join(h.log("fails"), "\n"))
		}
		// What this machine did in another way than the cloud's is said, too.
		if skipped := strings.Contains(j.ErrorMessage, "\nThe setup of trainer-0.1.tar.gz was skipped, and "); skipped == python.Builds {
			t.Errorf("by a Python that builds: %v: %q", python.Builds, j.ErrorMessage)
		}
	})
}

func TestEnds(t *testing.T) {
	t.Parallel()
	python := pythons(t)[0]
	h := newHarness(t, python, nil)
	tests := []struct {
		name, program string
		change        func(*ml.GoogleCloudMlV1__TrainingInput)
		want          []string
	}{
		{"status", "raise SystemExit(7)\n", nil, []string{"exited with a non-zero status of 7."}},
		{"signal", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", nil,
			[]string{"status of 137.", "killed by signal 9"}},
		{"module", "", func(in *ml.GoogleCloudMlV1__TrainingInput) { in.PythonModule = "trainer.other" },
			[]string{"status of 1.", "No module named trainer.other"}},
		{"no_package", "", func(in *ml.GoogleCloudMlV1__TrainingInput) {
			in.PackageUris = append(in.PackageUris, "gs://inbox/nowhere/a.tar.gz")
		}, []string{"gs://inbox/nowhere/a.tar.gz", "does not exist"}},
		{"no_bucket", "", func(in *ml.GoogleCloudMlV1__TrainingInput) { in.JobDir = "gs://no-such-bucket/x" },
			[]string{"job_dir", "gs://no-such-bucket/x", "the bucket no-such-bucket does not exist"}},
		{"not_gzip", "", func(in *ml.GoogleCloudMlV1__TrainingInput) {
			in.PackageUris = []string{h.put("inbox", "bad/trainer-0.1.tar.gz", []byte("no archive"))}
		}, []string{"gs://inbox/bad/trainer-0.1.tar.gz", "not a gzip file"}},
		{"not_zip", "", func(in *ml.GoogleCloudMlV1__TrainingInput) {
			in.PackageUris = []string{h.put("inbox", "bad/trainer-0.1-py3-none-any.whl", []byte("no archive"))}
		}, []string{"not a zip archive"}},
		{"kind", "", func(in *ml.GoogleCloudMlV1__TrainingInput) {
			in.PackageUris = []string{h.put("inbox", "bad/trainer.py", []byte("pass"))}
		}, []string{"neither a source archive (.tar.gz, .tgz) nor a wheel (.whl)"}},
		{"traversal", "", func(in *ml.GoogleCloudMlV1__TrainingInput) {
			evil := tarball(t, []tar.Header{{Name: "trainer-0.1/../../evil.py", Mode: 0o644, Typeflag: tar.TypeReg}},
				[]string{"x"})
			in.PackageUris = []string{h.put("inbox", "evil/trainer-0.1.tar.gz", evil)}
		}, []string{"leads out of the package"}},
		{"requires", "", func(in *ml.GoogleCloudMlV1__TrainingInput) {
			files := trainerFiles("")
			files["trainer.egg-info/requires.txt"] = "jobdrop-no-such-thing==1.0\n"
			files["setup.py"] = strings.Replace(files["setup.py"], "version=",
				"install_requires=['jobdrop-no-such-thing==1.0'], version=", 1)
			in.PackageUris = []string{h.put("inbox", "requires/trainer-0.1.tar.gz", sdist(t, files))}
		}, []string{"jobdrop-no-such-thing==1.0"}},
	}
	// Whatever the machine's network is, no requirement is found.
	h.opts.Env = nil
	if err := h.svc.Close(); err != nil {
		t.Fatal(err)
	}
	h.start("PIP_NO_INDEX=1")
	for _, tt := range tests {
		j := h.job(tt.name, tt.program)
		if tt.change != nil {
			tt.change(j.TrainingInput)
		}
		h.create(j)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := h.ended(tt.name)
			if j.State != "FAILED" || j.EndTime == "" {
				t.Errorf("state %s, endTime %q, want FAILED with an end", j.State, j.EndTime)
			}
			for _, want := range tt.want {
				if !strings.Contains(j.ErrorMessage, want) {
					t.Errorf("message %q lacks %q", j.ErrorMessage, want)
				}
			}
		})
	}
	if files, _ := filepath.Glob(filepath.Join(h.opts.Dir, "jobs", "*", "evil*")); len(files) > 0 {
		t.Errorf("a package wrote outside its folder: %v", files)
	}
}

// TestBrokenSetup needs a Python that runs setup.py.
func TestBrokenSetup(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		if !python.Builds {
			t.Skip("this Python unpacks source packages")
		}
		h := newHarness(t, python, nil)
		files := trainerFiles("")
		files["setup.py"] = "raise RuntimeError('broken setup')\n"
		j := h.job("broken", "")
		h.put("inbox", "broken/trainer-0.1.tar.gz", sdist(t, files))
		h.create(j)
		if j := h.ended("broken"); j.State != "FAILED" || !strings.Contains(j.ErrorMessage,
			"could not install gs://inbox/broken/trainer-0.1.tar.gz") || !strings.Contains(j.ErrorMessage, "broken setup") {
			t.Errorf("%s: %q", j.State, j.ErrorMessage)
		}
	})
}

func TestInstalls(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		bare := python
		bare.Pip, bare.Builds = false, false
		program := "import helper, trainer.task\nprint('answer', helper.ANSWER)\n"
		src := map[string]string{
			"setup.py": "from setuptools import find_packages, setup\nsetup(name='trainer', version='0.1', " +
				"package_dir={'': 'src'}, packages=find_packages('src'), py_modules=['helper'])\n",
			"src/trainer/__init__.py": "", "src/trainer/task.py": program, "src/helper.py": "ANSWER = 42\n",
		}
		pyproject := maps.Clone(src)
		pyproject["pyproject.toml"] = "[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = " +
			"\"setuptools.build_meta\"\n"
		whl := wheel(t, map[string]string{"trainer/__init__.py": "", "trainer/task.py": program,
			"trainer-0.1.data/purelib/helper.py": "ANSWER = 42\n"})
		for _, tt := range []struct {
			name    string
			python  Python
			object  string
			content []byte
		}{
			{"src", python, "trainer-0.1.tgz", sdist(t, src)},
			{"src_unpacked", bare, "trainer-0.1.tar.gz", sdist(t, src)},
			{"pyproject", python, "trainer-0.1.tar.gz", sdist(t, pyproject)},
			{"wheel", python, "trainer-0.1-py3-none-any.whl", whl},
			{"wheel_unpacked", bare, "trainer-0.1-py3-none-any.whl", whl},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				h := newHarness(t, tt.python, nil)
				j := h.job(tt.name, "")
				j.TrainingInput.PackageUris = []string{h.put("inbox", tt.name+"/"+tt.object, tt.content)}
				h.create(j)
				h.line(tt.name, "answer 42")
				h.succeeded(tt.name)
			})
		}
	})
}

// family starts a child that ignores SIGTERM, and that child another one.
const family = `
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
level = int(sys.argv[1])
if level < 3:
    child = subprocess.Popen([sys.executable, "-m", "trainer.task", str(level + 1)])
    print("child", level, child.pid)
else:
    print("ready")
time.sleep(600)
`

func TestCancelRunning(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], nil)
	h.create(h.job("stubborn", family, "1"))
	h.line("stubborn", "ready")
	pids := []string{h.line("stubborn", "child 1 "), h.line("stubborn", "child 2 ")}
	if !alive(t, pids[0]) || !alive(t, pids[1]) {
		t.Fatal("the children do not run")
	}
	if _, err := h.api.Cancel("projects/p/jobs/stubborn", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
		t.Fatal(err)
	}
	if j := h.get("stubborn"); j.State != "CANCELLING" {
		t.Errorf("state %s, want CANCELLING: the program ignores SIGTERM", j.State)
	}
	if _, err := h.api.Cancel("projects/p/jobs/stubborn", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
		t.Errorf("a second cancel: %v", err)
	}
	j := h.ended("stubborn")
	if j.State != "CANCELLED" || j.EndTime == "" || !strings.Contains(j.ErrorMessage, "by a request") {
		t.Errorf("%s at %q: %q", j.State, j.EndTime, j.ErrorMessage)
	}
	for _, pid := range pids {
		if alive(t, pid) {
			t.Errorf("process %s survived", pid)
		}
	}
	_, err := h.api.Cancel("projects/p/jobs/stubborn", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do()
	if code, text := status(err); code != 400 || !strings.Contains(text, "already ended") {
		t.Errorf("cancel of an ended job: %d %s", code, text)
	}
}

// TestLeavesNothing has a program end well while its child would go on.
func TestLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], nil)
	h.create(h.job("parent", `
import subprocess, sys
print("child", subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
`))
	h.succeeded("parent")
	if pid := h.line("parent", "child "); alive(t, pid) {
		t.Errorf("process %s survived", pid)
	}
}

// TestCancelGracefully: a program that handles SIGTERM may finish its work.
func TestCancelGracefully(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.Grace = patience })
	h.create(h.job("polite", `
import signal, sys, time
def bye(*_):
    print("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("ready")
time.sleep(600)
`))
	h.line("polite", "ready")
	if _, err := h.api.Cancel("projects/p/jobs/polite", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
		t.Fatal(err)
	}
	if j := h.ended("polite"); j.State != "CANCELLED" {
		t.Errorf("state %s, want CANCELLED although the program ended with status 0", j.State)
	}
	h.line("polite", "saved")
}

func TestCancelPreparing(t *testing.T) {
	t.Parallel()
	for _, python := range pythons(t) {
		if !python.Builds {
			continue
		}
		h := newHarness(t, python, nil)
		files := trainerFiles("")
		mark := filepath.Join(t.TempDir(), "pid")
		files["setup.py"] = "import os, time\nopen(" + string(quoteJSON(mark)) +
			", 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
		j := h.job("slow", "")
		h.put("inbox", "slow/trainer-0.1.tar.gz", sdist(t, files))
		h.create(j)
		var pid []byte
		poll(t, func() bool { pid, _ = os.ReadFile(mark); return len(pid) > 0 },
			func() string { return "setup.py never ran" })
		if got := h.get("slow").State; got != "PREPARING" {
			t.Errorf("state %s, want PREPARING", got)
		}
		if _, err := h.api.Cancel("projects/p/jobs/slow", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
			t.Fatal(err)
		}
		if j := h.ended("slow"); j.State != "CANCELLED" || j.StartTime != "" {
			t.Errorf("%s, started %q, want CANCELLED and never started", j.State, j.StartTime)
		}
		if alive(t, string(pid)) {
			t.Errorf("pip's process %s survived", pid)
		}
		return
	}
	t.Skip("no Python here runs setup.py")
}

func TestQueue(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxJobs = 1 })
	for _, id := range []string{"one", "two", "three"} {
		h.create(h.job(id, "import os, sys, time\nprint('started')\nwhile not os.path.exists(sys.argv[1]): "+
			"time.sleep(0.01)\n", filepath.Join(h.opts.Dir, id)))
	}
	h.line("one", "started")
	for id, want := range map[string]int64{"one": 0, "two": 1, "three": 2} {
		if j := h.get(id); j.JobPosition != want {
			t.Errorf("%s: position %d (%s), want %d", id, j.JobPosition, j.State, want)
		}
	}
	if _, err := h.api.Cancel("projects/p/jobs/two", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
		t.Fatal(err)
	}
	if j := h.ended("two"); j.State != "CANCELLED" || j.StartTime != "" {
		t.Errorf("two: %s, started %q, want CANCELLED and never started", j.State, j.StartTime)
	}
	if j := h.get("three"); j.State != "QUEUED" {
		t.Errorf("three: %s while one runs", j.State)
	}
	touch(t, filepath.Join(h.opts.Dir, "one"))
	one := h.succeeded("one")
	touch(t, filepath.Join(h.opts.Dir, "three"))
	three := h.succeeded("three")
	if parseTime(t, three.StartTime).Before(parseTime(t, one.EndTime)) {
		t.Errorf("three started at %s, before one ended at %s", three.StartTime, one.EndTime)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxJobs = 1 })
	long := h.job("long", sleeper)
	long.TrainingInput.Scheduling = &ml.GoogleCloudMlV1__Scheduling{MaxRunningTime: "1.5s"}
	h.create(long) // it has the one place from now on
	late := h.job("late", sleeper)
	late.TrainingInput.Scheduling = &ml.GoogleCloudMlV1__Scheduling{MaxWaitTime: "0.3s"}
	h.create(late)

	j := h.ended("late")
	if j.State != "CANCELLED" || j.StartTime != "" || !strings.Contains(j.ErrorMessage, "maxWaitTime (0.3s)") {
		t.Errorf("late: %s, started %q: %q", j.State, j.StartTime, j.ErrorMessage)
	}
	if waited := parseTime(t, j.EndTime).Sub(parseTime(t, j.CreateTime)); waited < 300*time.Millisecond {
		t.Errorf("late ended after %v", waited)
	}
	j = h.ended("long")
	if j.State != "CANCELLED" || !strings.Contains(j.ErrorMessage, "maxRunningTime (1.5s)") {
		t.Errorf("long: %s: %q", j.State, j.ErrorMessage)
	}
	if ran := parseTime(t, j.EndTime).Sub(parseTime(t, j.StartTime)); ran < 1500*time.Millisecond {
		t.Errorf("long ended after %v", ran)
	}
}

// TestWaitEndsWithRunning: a maxWaitTime that ends just as the job begins to
// run has nothing to say any more.
func TestWaitEndsWithRunning(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], nil)
	h.create(h.job("prompt", sleeper))
	h.until("prompt", "RUNNING")
	e, err := h.svc.find("projects/p/jobs", "prompt")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.svc.cancel(e, message("late"), jobs.Queued, jobs.Preparing); err != nil {
		t.Fatal(err)
	}
	if j := h.get("prompt"); j.State != "RUNNING" {
		t.Errorf("state %s, want RUNNING", j.State)
	}
}

// TestWaitAfterRestart: time goes on while no service runs.
func TestWaitAfterRestart(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxJobs = 1 })
	h.create(h.job("first", sleeper))
	late := h.job("late", sleeper)
	late.TrainingInput.Scheduling = &ml.GoogleCloudMlV1__Scheduling{MaxWaitTime: "3600s"}
	h.create(late)
	h.line("first", "sleeping")
	if err := h.svc.Close(); err != nil {
		t.Fatal(err)
	}
	st := store{dir: filepath.Join(h.opts.Dir, "jobs")}
	r := readRecord(t, st.places("late").record)
	if r.Job.State != jobs.Queued {
		t.Fatalf("late is %s, want QUEUED", r.Job.State)
	}
	r.Job.CreateTime = r.Job.CreateTime.Add(-2 * time.Hour)
	if err := st.save(r); err != nil {
		t.Fatal(err)
	}
	h.start()
	if j := h.ended("late"); j.State != "CANCELLED" || !strings.Contains(j.ErrorMessage, "maxWaitTime (3600s)") {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
}

func TestCloseAndRestart(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxJobs = 1 })
	h.create(h.job("running", "import os, time\nprint('pid', os.getpid())\ntime.sleep(600)\n"))
	pid := h.line("running", "pid ")
	h.create(h.job("waiting", "print('at last')\n"))
	if _, err := newService(t.Context(), h.opts, offline()); err == nil ||
		!strings.Contains(err.Error(), "another local training service") {
		t.Errorf("a second service on the folder: %v", err)
	}
	old := h.api
	if err := h.svc.Close(); err != nil {
		t.Fatal(err)
	}
	if alive(t, pid) {
		t.Errorf("process %s survived", pid)
	}
	if code, _ := status(doErr(old.Create("projects/p", h.job("too_late", "")).Do())); code != 503 {
		t.Errorf("create at a closed service: %d, want 503", code)
	}

	h.start()
	j := h.get("running")
	if j.State != "FAILED" || !strings.Contains(j.ErrorMessage, "was stopped while the job was RUNNING") ||
		j.EndTime == "" {
		t.Errorf("running: %s at %q: %q", j.State, j.EndTime, j.ErrorMessage)
	}
	h.succeeded("waiting")
	if code, _ := status(doErr(h.api.Create("projects/p", h.job("running", "")).Do())); code != 409 {
		t.Errorf("create of a known job: %d, want 409", code)
	}
}

// TestCrash kills a service that runs a job, as nothing can be handled then.
func TestCrash(t *testing.T) {
	t.Parallel()
	python := pythons(t)[0]
	h := newHarness(t, python, nil)
	dir := t.TempDir()
	kill := h.external(dir, python)
	mark := filepath.Join(t.TempDir(), "pids")
	h.create(h.job("orphan", `
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".new", "w") as f:
    f.write("%d %d" % (os.getpid(), child.pid))
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
`, mark))
	var pids []byte
	poll(t, func() bool { pids, _ = os.ReadFile(mark); return len(pids) > 0 },
		func() string { return "the trainer never ran" })
	h.until("orphan", "RUNNING")
	kill()

	h.opts.Dir = dir
	h.start()
	j := h.get("orphan")
	if j.State != "FAILED" || !strings.Contains(j.ErrorMessage, "restarted while the job was RUNNING") ||
		j.EndTime == "" || j.StartTime == "" {
		t.Errorf("%s from %q to %q: %q", j.State, j.StartTime, j.EndTime, j.ErrorMessage)
	}
	for pid := range strings.FieldsSeq(string(pids)) {
		poll(t, func() bool { return !alive(t, pid) }, func() string { return "process " + pid + " survived" })
	}
	if r := readRecord(t, filepath.Join(dir, "jobs", "orphan", "job.json")); r.Job.State != jobs.Failed ||
		len(r.Processes) > 0 {
		t.Errorf("the record has state %s and processes %+v", r.Job.State, r.Processes)
	}
}

// TestLongDir: Unix sockets work in the temporary folder wherever the service's
// own is.
func TestLongDir(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.Dir = filepath.Join(o.Dir, strings.Repeat("x", 80)) })
	h.create(h.job("socket", `
import multiprocessing.connection, os, tempfile
print("bound", bool(multiprocessing.connection.Listener(os.path.join(tempfile.mkdtemp(prefix="pymp-"), "listener-12345678"))))
print("tmp", tempfile.gettempdir())
`))
	h.line("socket", "bound True")
	h.succeeded("socket")
	if _, err := os.Stat(h.line("socket", "tmp ")); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
}
