package training

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	aiplatform "google.golang.org/api/aiplatform/v1"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
)

// losing counts its starts in the file of its first argument. It ends by itself at the start of the number that is its
// second; before, neither it nor its child heed SIGTERM.
const losing = `
import json, os, signal, subprocess, sys, time
with open(sys.argv[1], "a+") as file:
    file.write("x")
    file.flush()
    file.seek(0)
    n = len(file.read()) - 1
left = os.path.exists("left")
open("left", "w").close()
env = {k: v for k, v in sorted(os.environ.items()) if k in ("AIP_CHECKPOINT_DIR", "JOBDROP_RESTART_COUNT")}
print("seen%d " % n + json.dumps({"argv": sys.argv[2:], "env": env, "left": left}), flush=True)
if n == int(sys.argv[2]):
    sys.exit(0)
signal.signal(signal.SIGTERM, lambda *_: print("term%d" % n, flush=True))
child = subprocess.Popen(["sleep", "600"])
print("pids%d %d %d" % (n, os.getpid(), child.pid), flush=True)
while True:
    time.sleep(1)
`

// quick has a job wait for other machines for a moment only.
func quick(o *Options) { o.Preemption.Wait = 50 * time.Millisecond }

// preempted takes a job's machines away once a start of it is seen, and returns when none of its processes is left.
func (h *harness) preempted(id, name string, start int) {
	h.Helper()
	pids := strings.Fields(h.line(id, fmt.Sprintf("pids%d ", start)))
	// The job may be said to be running only a moment after its process runs.
	poll(h.T, func() bool { return h.svc.Preempt(name) == nil }, func() string { return name + " keeps its machines" })
	if err := h.svc.Preempt(name); !errors.Is(err, ErrNotRunning) {
		h.Errorf("taken away twice: %v, want %v", err, ErrNotRunning)
	}
	h.line(id, fmt.Sprintf("term%d", start))
	poll(h.T, func() bool { return !alive(h.T, pids[0]) && !alive(h.T, pids[1]) },
		func() string { return "processes that lost their machine run on" })
}

func TestPreemptedJobRunsAgain(t *testing.T) {
	t.Parallel()
	for _, python := range pythons(t)[:1] {
		for _, api := range []string{"ml", "vertex"} {
			t.Run(api, func(t *testing.T) {
				var mu sync.Mutex
				var states []string
				h := newVertexHarness(t, python, func(o *Options) {
					quick(o)
					o.Changed = func(_, state string) {
						mu.Lock()
						defer mu.Unlock()
						states = append(states, state)
					}
				})
				args := []string{filepath.Join(t.TempDir(), "starts"), "2"}
				id, name := "loses", "loses"
				if api == "ml" {
					h.create(h.job(id, losing, args...))
				} else {
					id, name = h.startJob(h.custom("loses", losing, args))
				}
				first := ""
				for start := range 2 {
					h.preempted(id, name, start)
					h.line(id, fmt.Sprintf("seen%d ", start+1))
					if api == "ml" && start == 0 {
						first = h.until(id, "RUNNING").StartTime
					}
				}
				want := []string{"QUEUED", "PREPARING", "RUNNING", "PREPARING", "RUNNING", "PREPARING", "RUNNING", "SUCCEEDED"}
				dir := `{"AIP_CHECKPOINT_DIR": "gs://out/loses/checkpoints/"`
				var seen []string
				if api == "ml" {
					if j := h.succeeded(id); j.StartTime != first || first == "" {
						t.Errorf("started %q, want that of the first run, %q", j.StartTime, first)
					}
					for n := range 3 {
						seen = append(seen, fmt.Sprintf(`{"argv": ["2", "--job-dir", "gs://out/loses"], "env": %s, `+
							`"JOBDROP_RESTART_COUNT": "%d"}, "left": false}`, dir, n))
					}
				} else {
					h.succeeds(name)
					for i, s := range want {
						want[i] = "JOB_STATE_" + strings.Replace(s, "PREPARING", "PENDING", 1)
					}
					for range 3 {
						seen = append(seen, fmt.Sprintf(`{"argv": ["2"], "env": %s}, "left": false}`, dir))
					}
				}
				for n, want := range seen {
					if got := h.line(id, fmt.Sprintf("seen%d ", n)); got != want {
						t.Errorf("start %d saw\n%s, want\n%s", n, got, want)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if diff := cmp.Diff(want[1:], states); diff != "" {
					t.Errorf("states (-want +got):\n%s", diff)
				}
				if err := h.svc.Preempt(name); !errors.Is(err, ErrNotRunning) {
					t.Errorf("an ended job's machines: %v, want %v", err, ErrNotRunning)
				}
				if err := h.svc.Preempt("other"); !errors.Is(err, jobs.ErrJobUnknown) {
					t.Errorf("an unknown job's machines: %v, want %v", err, jobs.ErrJobUnknown)
				}
			})
		}
	}
}

func TestPreemptionByItself(t *testing.T) {
	t.Parallel()
	const program = "import time\ntime.sleep(2)\n"
	for _, python := range pythons(t)[:1] {
		for _, tt := range []struct {
			name     string
			times    int
			want     string
			message  string
			starts   int
			disabled bool
		}{
			{name: "some", times: 3, want: "JOB_STATE_SUCCEEDED", starts: 4},
			{name: "none", want: "JOB_STATE_SUCCEEDED", starts: 1},
			{name: "too many", times: 9, want: "JOB_STATE_FAILED", starts: 7,
				message: "The job's machines were taken away (STOCKOUT), and it was run again 6 times already."},
			{name: "disableRetries", times: 1, want: "JOB_STATE_FAILED", starts: 1, disabled: true,
				message: "The job's machines were taken away (STOCKOUT), and it is not run again, by its " +
					"scheduling.disableRetries."},
		} {
			t.Run(tt.name, func(t *testing.T) {
				h := newVertexHarness(t, python, func(o *Options) {
					quick(o)
					o.Preemption.Times, o.Preemption.After = tt.times, 100*time.Millisecond
				})
				j := h.custom("loses", program, nil)
				j.JobSpec.Scheduling = &aiplatform.GoogleCloudAiplatformV1Scheduling{DisableRetries: tt.disabled}
				id, name := h.startJob(j)
				ended := h.endOf(name)
				if ended.State != tt.want {
					t.Errorf("the job is %s, want %s", ended.State, tt.want)
				}
				if tt.message != "" && (ended.Error == nil || ended.Error.Code != 13 || ended.Error.Message != tt.message) {
					t.Errorf("error %+v, want code 13 and %q", ended.Error, tt.message)
				}
				starts := 0
				for _, line := range h.log(id) {
					if strings.Contains(line, "Running command: ") {
						starts++
					}
				}
				if starts != tt.starts {
					t.Errorf("%d starts, want %d:\n%s", starts, tt.starts, strings.Join(h.log(id), "\n"))
				}
			})
		}
	}
}

// A job that waits for other machines can be cancelled, and its limits go on.
func TestPreemptedJobEndsWhileItWaits(t *testing.T) {
	t.Parallel()
	for _, python := range pythons(t)[:1] {
		for _, tt := range []struct{ name, timeout, message string }{
			{"cancel", "", "The job was cancelled by a request."},
			{"timeout", "5s", "The job was cancelled because it was still running after scheduling.timeout (5s)."},
		} {
			t.Run(tt.name, func(t *testing.T) {
				h := newVertexHarness(t, python, func(o *Options) { o.Preemption.Wait = patience })
				j := h.custom("loses", losing, []string{filepath.Join(t.TempDir(), "starts"), "1"})
				j.JobSpec.Scheduling = &aiplatform.GoogleCloudAiplatformV1Scheduling{Timeout: tt.timeout}
				id, name := h.startJob(j)
				h.preempted(id, name, 0)
				h.untilState(name, "JOB_STATE_PENDING")
				if tt.timeout == "" {
					if _, err := h.jobs.Cancel(name, nil).Do(); err != nil {
						t.Fatal(err)
					}
				}
				ended := h.endOf(name)
				if ended.State != "JOB_STATE_CANCELLED" || ended.Error == nil || ended.Error.Message != tt.message {
					t.Errorf("the job is %s, %+v, want JOB_STATE_CANCELLED, %q", ended.State, ended.Error, tt.message)
				}
			})
		}
	}
}
