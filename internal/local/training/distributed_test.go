package training

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/ml/v1"
)

// peers is the part of a distributed program that finds the others: it tells
// which process it is, and defines listen and call.
const peers = `
import json, os, signal, socket, subprocess, sys, time
config = json.loads(os.environ["TF_CONFIG"])
kind, index = config["task"]["type"], config["task"]["index"]
print("i am", kind, index, os.getpid(), os.getcwd(), os.environ["HOME"], os.environ["TMPDIR"])
def address(kind, index):
    host, port = config["cluster"][kind][index].rsplit(":", 1)
    return host, int(port)
def listen():
    return socket.create_server(address(kind, index))
def call(kind, index):
    while True:
        try:
            return socket.create_connection(address(kind, index), timeout=60)
        except ConnectionRefusedError:
            time.sleep(0.02)
def forever():
    while True:
        time.sleep(600)
`

// average is a training: the workers add to the parameter server, which tells
// the chief when it has heard of all. Only the chief ends by itself, once those
// that go on for ever are ready to be ended.
const average = peers + `
def ready():
    call("chief", 0).sendall(b"ready\n")
    forever()
if kind == "chief":
    with listen() as server:
        heard = sorted(server.accept()[0].makefile().readline().strip() for _ in range(4))
    print("heard", *heard)
elif kind == "ps":
    total = 0
    with listen() as server:
        for _ in config["cluster"]["worker"]:
            total += int(server.accept()[0].makefile().readline())
    call("chief", 0).sendall(b"%d\n" % total)
    forever()
elif kind == "worker":
    call("ps", 0).sendall(b"%d\n" % (10 ** index))
    if index == 0:
        sys.exit(0)
    def saved(*_):
        print("saved by", index)
        sys.exit(0)
    signal.signal(signal.SIGTERM, saved)
    ready()
else:
    assert kind not in config["cluster"], config
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("child", child.pid)
    ready()
`

// distributed returns a job of several replicas.
func (h *harness) distributed(id, program string, workers, ps, evaluators int64,
	args ...string) *ml.GoogleCloudMlV1__Job {
	j := h.job(id, program, args...)
	in := j.TrainingInput
	in.ScaleTier, in.MasterType = "CUSTOM", "n1-standard-4"
	in.WorkerType, in.WorkerCount = "n1-standard-4", workers
	in.ParameterServerType, in.ParameterServerCount = "n1-standard-4", ps
	in.EvaluatorType, in.EvaluatorCount = "n1-standard-4", evaluators
	return j
}

// known holds a replica's PID, working directory, HOME and TMPDIR, as it told.
func (h *harness) known(id, kind, index string) []string {
	h.Helper()
	return strings.Fields(h.line(id, "i am "+kind+" "+index+" "))
}

func TestDistributed(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		h := newHarness(t, python, func(o *Options) { o.MaxReplicas = 6; o.Grace = 10 * time.Second })
		h.create(h.distributed("average", average, 3, 1, 1))
		if j := h.succeeded("average"); j.StartTime == "" {
			t.Error("the job has no start")
		}
		if got := h.line("average", "heard "); got != "111 ready ready ready" {
			t.Errorf("heard %s, want the sum 111 and that three are ready", got)
		}
		// One SIGTERM went to all that were left.
		h.line("average", "saved by 1")
		h.line("average", "saved by 2")
		pids, seen := []string{h.line("average", "child ")}, map[string]bool{}
		for _, r := range [][2]string{{"chief", "0"}, {"ps", "0"}, {"worker", "0"}, {"worker", "1"}, {"worker", "2"},
			{"evaluator", "0"}} {
			own := h.known("average", r[0], r[1])
			pids = append(pids, own[0])
			for _, dir := range own[1:] {
				if seen[dir] {
					t.Errorf("%v shares %s with another replica", r, dir)
				}
				seen[dir] = true
			}
		}
		for _, pid := range pids {
			if alive(t, pid) {
				t.Errorf("process %s survived the master", pid)
			}
		}
		tasks := map[string]bool{}
		for _, l := range h.log("average") {
			task, _, _ := strings.Cut(l, " ")
			tasks[task] = true
		}
		for _, want := range []string{"service", "master-replica-0", "worker-replica-2", "ps-replica-0",
			"evaluator-replica-0"} {
			if !tasks[want] {
				t.Errorf("no line of %s among %v", want, tasks)
			}
		}
		if ports := h.svc.ports.held; len(ports) > 0 {
			t.Errorf("ports %v are still held", ports)
		}
	})
}

// TestScaleTier runs a whole STANDARD_1: a master, four workers and three
// parameter servers.
func TestScaleTier(t *testing.T) {
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxReplicas = 8 })
	j := h.job("standard", peers+`
if kind == "chief":
    server = listen()
    print("heard", sorted(server.accept()[0].makefile().readline().strip() for _ in range(7)))
    sys.exit(0)
call("chief", 0).sendall(("%s%d\n" % (kind, index)).encode())
forever()
`)
	j.TrainingInput.ScaleTier = "STANDARD_1"
	h.create(j)
	h.succeeded("standard")
	if got, want := h.line("standard", "heard "), "['ps0', 'ps1', 'ps2', 'worker0', 'worker1', 'worker2', 'worker3']"; got != want {
		t.Errorf("heard %s, want %s", got, want)
	}
}

func TestReplicaFails(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxReplicas = 8 })
	h.create(h.distributed("broken_worker", peers+`
if kind == "worker" and index == 1:
    listen().accept()
    raise ValueError("boom")
if kind == "chief":
    server = listen()
    for _ in range(2):
        server.accept()
    call("worker", 1).close()
else:
    call("chief", 0)
forever()
`, 2, 1, 0))
	j := h.ended("broken_worker")
	if said := ofProgram(j.ErrorMessage); j.State != "FAILED" || !strings.HasPrefix(said,
		"The replica worker 1 exited with a non-zero status of 1.\nTraceback (most recent call last):\n") ||
		!strings.HasSuffix(said, "\nValueError: boom") {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
	for _, r := range [][2]string{{"chief", "0"}, {"ps", "0"}, {"worker", "0"}, {"worker", "1"}} {
		if pid := h.known("broken_worker", r[0], r[1])[0]; alive(t, pid) {
			t.Errorf("%v, process %s, survived", r, pid)
		}
	}

	// Whatever the others do at the same time, the master's end is the job's.
	h.create(h.distributed("broken_master", peers+`
if kind == "chief":
    listen().accept()
    sys.exit(3)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
call("chief", 0)
forever()
`, 1, 0, 0))
	if j := h.ended("broken_master"); j.State != "FAILED" ||
		ofProgram(j.ErrorMessage) != "The replica master 0 exited with a non-zero status of 3." {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
}

// ofProgram returns the part of a job's error that is about its program. On a Python that can't build
// packages the rest says what of their setup was skipped.
func ofProgram(message string) string {
	said, _, _ := strings.Cut(message, "\nThe setup of ")
	return said
}

// TestMasterLeavesFirst: a worker that fails because its master is about to end
// does not fail the job.
func TestMasterLeavesFirst(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxReplicas, o.Grace = 8, time.Minute })
	h.create(h.distributed("leaves", peers+`
if kind == "chief":
    listen().accept()[0].close()
    time.sleep(0.5)
else:
    call("chief", 0).recv(1)
    sys.exit("my chief is gone")
`, 1, 0, 0))
	if j := h.ended("leaves"); j.State != "SUCCEEDED" {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
}

// TestCrashWhileCancelling: a cancel that was taken is the job's end, also where
// the service was killed before the job had ended.
func TestCrashWhileCancelling(t *testing.T) {
	t.Parallel()
	python := pythons(t)[0]
	h := newHarness(t, python, nil)
	dir := t.TempDir()
	kill := h.external(dir, python)
	mark := filepath.Join(t.TempDir(), "deaf")
	h.create(h.job("deaf", "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen(sys.argv[1], "+
		"'w').close()\ntime.sleep(600)\n", mark))
	poll(t, func() bool { _, err := os.Stat(mark); return err == nil }, func() string { return "the trainer never ran" })
	h.until("deaf", "RUNNING")
	if _, err := h.api.Cancel("projects/p/jobs/deaf", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
		t.Fatal(err)
	}
	reason := h.get("deaf").ErrorMessage
	kill()

	h.opts.Dir = dir
	h.start()
	if j := h.get("deaf"); j.State != "CANCELLED" || j.ErrorMessage != reason || j.EndTime == "" {
		t.Errorf("%s until %q: %q, want %q", j.State, j.EndTime, j.ErrorMessage, reason)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), h.svc.store.farPrefix()+"*")); len(left) > 0 {
		t.Errorf("folders are left: %v", left)
	}
}

// together ends once all five replicas were asked to.
const together = peers + `
def asked(*_):
    open(os.path.join(sys.argv[1], kind + str(index)), "w").close()
    while len(os.listdir(sys.argv[1])) < 5:
        time.sleep(0.02)
    os._exit(0)
signal.signal(signal.SIGTERM, asked)
print("ready", kind, index)
forever()
`

func TestCancelDistributed(t *testing.T) {
	t.Parallel()
	// Asked one after another, each with a grace of its own, they would not end in time.
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxReplicas, o.Grace = 8, patience })
	h.create(h.distributed("stubborn", together, 2, 1, 1, t.TempDir()))
	var pids []string
	for _, r := range [][2]string{{"chief", "0"}, {"ps", "0"}, {"worker", "0"}, {"worker", "1"}, {"evaluator", "0"}} {
		pids = append(pids, h.known("stubborn", r[0], r[1])[0])
		h.line("stubborn", "ready "+r[0]+" "+r[1])
	}
	h.until("stubborn", "RUNNING")
	if r := readRecord(t, h.svc.store.places("stubborn").record); len(r.Processes) != 5 {
		t.Errorf("the record names %+v, want five processes", r.Processes)
	}
	if _, err := h.api.Cancel("projects/p/jobs/stubborn", &ml.GoogleCloudMlV1__CancelJobRequest{}).Do(); err != nil {
		t.Fatal(err)
	}
	if j := h.ended("stubborn"); j.State != "CANCELLED" {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
	for _, pid := range pids {
		if alive(t, pid) {
			t.Errorf("process %s survived", pid)
		}
	}
}

// TestCrashDistributed kills a service that runs a job of several replicas.
func TestCrashDistributed(t *testing.T) {
	t.Parallel()
	python := pythons(t)[0]
	h := newHarness(t, python, nil)
	dir := t.TempDir()
	kill := h.external(dir, python)
	mark := t.TempDir()
	h.create(h.distributed("orphans", peers+`
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
file = os.path.join(sys.argv[1], "%s%d" % (kind, index))
with open(file + ".new", "w") as f:
    f.write("%d %d" % (os.getpid(), child.pid))
os.rename(file + ".new", file)
forever()
`, 2, 1, 0, mark))
	var pids []string
	for _, name := range []string{"chief0", "worker0", "worker1", "ps0"} {
		var data []byte
		poll(t, func() bool { data, _ = os.ReadFile(filepath.Join(mark, name)); return len(data) > 0 },
			func() string { return name + " never ran" })
		pids = append(pids, strings.Fields(string(data))...)
	}
	h.until("orphans", "RUNNING")
	kill()

	h.opts.Dir = dir
	h.start()
	j := h.get("orphans")
	if j.State != "FAILED" || !strings.Contains(j.ErrorMessage, "restarted while the job was RUNNING; the job's "+
		"processes were ended") || j.EndTime == "" {
		t.Errorf("%s at %q: %q", j.State, j.EndTime, j.ErrorMessage)
	}
	for _, pid := range pids {
		poll(t, func() bool { return !alive(t, pid) }, func() string { return "process " + pid + " survived" })
	}
}

// external runs the test binary as a service that can be killed, and points the
// harness's client to it.
func (h *harness) external(dir string, python Python) (kill func()) {
	h.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TRAINING_TEST_DIR="+dir, "TRAINING_TEST_STORAGE="+h.gcs.URL(), "TRAINING_TEST_PYTHON="+
		python.Path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	h.Cleanup(kill)
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		h.Fatal(err)
	}
	h.api = client(h.T, strings.TrimSpace(url))
	return kill
}

// TestOldRecord: records from when a job had one process are still understood.
func TestOldRecord(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], nil)
	h.create(h.job("old", "import time\nprint('ready')\ntime.sleep(600)\n"))
	h.line("old", "ready")
	h.until("old", "RUNNING")
	file := h.svc.store.places("old").record
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.svc.Close(); err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	child, group := sleepingGroup(t)
	delete(members, "processes")
	members["process"] = map[string]any{"pid": group.PID, "start": group.Start}
	if data, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	h.start()
	if j := h.get("old"); j.State != "FAILED" || !strings.Contains(j.ErrorMessage, "restarted while the job was RUNNING") {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
	if err := child.Settle(); err == nil {
		t.Error("the recorded process ended well, want it killed")
	}
	if r := readRecord(t, file); r.Process != nil || len(r.Processes) > 0 {
		t.Errorf("the record still names %+v, %+v", r.Process, r.Processes)
	}
}

// TestQueueOfSizes: a large job at the queue's head is not overtaken, and what
// runs at once never exceeds the machine.
func TestQueueOfSizes(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxJobs, o.MaxReplicas = 10, 4 })
	wait := peers + "print('started', kind, index)\nwhile kind != 'chief' or not os.path.exists(sys.argv[1]): " +
		"time.sleep(0.01)\n"
	release := func(id string) { touch(t, filepath.Join(h.opts.Dir, id)) }
	h.create(h.job("first", wait, filepath.Join(h.opts.Dir, "first")))
	h.line("first", "started")
	h.create(h.distributed("large", wait, 2, 1, 0, filepath.Join(h.opts.Dir, "large")))
	h.create(h.job("small", wait, filepath.Join(h.opts.Dir, "small")))
	for id, want := range map[string]int64{"large": 1, "small": 2} {
		if j := h.get(id); j.State != "QUEUED" || j.JobPosition != want {
			t.Errorf("%s is %s at %d, want QUEUED at %d", id, j.State, j.JobPosition, want)
		}
	}
	release("first")
	h.succeeded("first")
	h.until("large", "RUNNING")
	if j := h.get("small"); j.State != "QUEUED" {
		t.Errorf("small is %s while large has all replicas", j.State)
	}
	release("large")
	large := h.succeeded("large")
	release("small")
	small := h.succeeded("small")
	if parseTime(t, small.StartTime).Before(parseTime(t, large.EndTime)) {
		t.Errorf("small started at %s, before large ended at %s", small.StartTime, large.EndTime)
	}
	h.svc.mu.Lock()
	defer h.svc.mu.Unlock()
	if h.svc.active != 0 || h.svc.replicas != 0 {
		t.Errorf("%d jobs and %d replicas are counted when none runs", h.svc.active, h.svc.replicas)
	}
}

// TestQueuedUnderOtherLimits: a job that can't ever run any more does not keep
// those behind it waiting.
func TestQueuedUnderOtherLimits(t *testing.T) {
	t.Parallel()
	h := newHarness(t, pythons(t)[0], func(o *Options) { o.MaxJobs, o.MaxReplicas = 1, 4 })
	h.create(h.job("first", sleeper))
	h.line("first", "sleeping")
	h.create(h.distributed("large", "", 2, 1, 0))
	h.create(h.job("small", ""))
	if err := h.svc.Close(); err != nil {
		t.Fatal(err)
	}
	h.opts.MaxReplicas = 2
	h.start()
	h.succeeded("small")
	if j := h.get("large"); j.State != "FAILED" || j.EndTime == "" || !strings.Contains(j.ErrorMessage, "other options") ||
		!strings.Contains(j.ErrorMessage, "--max-replicas 4") {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
}

func TestInUse(t *testing.T) {
	t.Parallel()
	svc, _ := idle(t)
	if _, err := New(context.Background(), svc.opts); !errors.Is(err, ErrInUse) ||
		!strings.Contains(err.Error(), svc.opts.Dir) {
		t.Errorf("a second service on the folder: %v, want ErrInUse with the folder's name", err)
	}
}
