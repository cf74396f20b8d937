package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// patience bounds one training; it takes about a second, and longer on a busy
// machine.
const patience = 5 * time.Minute

// output collects what a process prints.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{} // closed, and made anew, when there is more
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.grown)
	o.grown = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await returns when the process has printed the text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		o.mu.Lock()
		found, grown := strings.Contains(o.text.String(), text), o.grown
		o.mu.Unlock()
		if found {
			return
		}
		select {
		case <-grown:
		case <-deadline:
			t.Fatalf("never printed %q, but\n%s", text, o)
		}
	}
}

// replicas are the processes of one training, by name, started by hand as the
// training service would.
type replicas struct {
	python  string
	storage string
	args    []string
	cluster map[string][]string
	running map[string]*exec.Cmd
	outputs map[string]*output
}

// newReplicas prepares a training with the arguments of the drop. chief is the
// name that the runtime version gives to the master.
func newReplicas(t *testing.T, chief string, workers int, args ...string) *replicas {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: no python3 here")
	}
	r := &replicas{
		python:  python,
		args:    append(dropArgs(t), args...),
		cluster: map[string][]string{chief: {freeAddress(t)}, "ps": {freeAddress(t)}},
		running: map[string]*exec.Cmd{}, outputs: map[string]*output{},
	}
	for range workers {
		r.cluster["worker"] = append(r.cluster["worker"], freeAddress(t))
	}
	return r
}

// dropArgs are the arguments that the drop's job file gives the trainer.
func dropArgs(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testdata, "drops", "distributed", "job.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TrainingInput struct {
			Args   []string `yaml:"args"`
			JobDir string   `yaml:"jobDir"`
		} `yaml:"trainingInput"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return append(file.TrainingInput.Args, "--job-dir", file.TrainingInput.JobDir)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts one replica.
func (r *replicas) start(t *testing.T, kind string, index int, args ...string) *output {
	t.Helper()
	config, err := json.Marshal(map[string]any{
		"cluster":     r.cluster,
		"environment": "cloud",
		"task":        map[string]any{"type": kind, "index": index},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	// -B: no byte code in the source folder, where other tests read.
	c := exec.CommandContext(ctx, r.python, slices.Concat([]string{"-B", "-m", "trainer.task"}, r.args, args)...)
	c.Dir = filepath.Join(testdata, "trainers", "distributed")
	c.Env = append(os.Environ(), "TF_CONFIG="+string(config), "STORAGE_EMULATOR_HOST="+r.storage)
	o := &output{grown: make(chan struct{})}
	c.Stdout, c.Stderr = o, o
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s-%d", kind, index)
	r.running[name], r.outputs[name] = c, o
	return o
}

// wait returns the exit code of each replica that was started.
func (r *replicas) wait(t *testing.T) map[string]int {
	t.Helper()
	codes := map[string]int{}
	for name, c := range r.running {
		err := c.Wait()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatalf("%s: %v", name, err)
		}
		codes[name] = c.ProcessState.ExitCode()
		if t.Context().Err() == nil && codes[name] == -1 {
			t.Errorf("%s did not end within %s", name, patience)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			for name, o := range r.outputs {
				t.Logf("%s printed\n%s", name, o)
			}
		}
	})
	return codes
}

// bucket is as much of Cloud Storage as the chief needs to leave its result.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func newBucket(t *testing.T) (*bucket, string) {
	t.Helper()
	b := &bucket{objects: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload/storage/v1/b/{bucket}/o", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, sizeLimit))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.objects["gs://"+r.PathValue("bucket")+"/"+r.URL.Query().Get("name")] = body
		_, _ = io.WriteString(w, "{}")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return b, server.URL
}

// TestDistributed trains with several processes, in whatever order they start.
// The rows are shared out and not repeated: however many train, they get the
// model that one gets with all rows.
func TestDistributed(t *testing.T) {
	type task struct {
		kind  string
		index int
	}
	type part struct{ Rows, Steps int }
	tests := []struct {
		name    string
		chief   string
		workers int
		order   []task
		parts   map[string]part
	}{
		{"alone", "chief", 0, []task{{"ps", 0}, {"chief", 0}}, map[string]part{"chief-0": {300, 40}}},
		{
			"server first", "chief", 2, []task{{"ps", 0}, {"chief", 0}, {"worker", 0}, {"worker", 1}},
			map[string]part{"chief-0": {100, 40}, "worker-0": {100, 40}, "worker-1": {100, 40}},
		},
		{
			"server last, old runtime", "master", 2, []task{{"worker", 1}, {"worker", 0}, {"master", 0}, {"ps", 0}},
			map[string]part{"master-0": {100, 40}, "worker-0": {100, 40}, "worker-1": {100, 40}},
		},
	}
	var alone []float64
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stored, url := newBucket(t)
			r := newReplicas(t, tt.chief, tt.workers)
			r.storage = url
			want := map[string]int{}
			for _, task := range tt.order {
				o := r.start(t, task.kind, task.index)
				// Each is at work before the next one starts.
				o.await(t, fmt.Sprintf("I am %s-%d of a cluster of 1 %s, 1 ps", task.kind, task.index, tt.chief))
				want[fmt.Sprintf("%s-%d", task.kind, task.index)] = 0
			}
			if diff := cmp.Diff(want, r.wait(t)); diff != "" {
				t.Fatalf("exit codes (-want +got):\n%s", diff)
			}
			if log := r.outputs[tt.chief+"-0"].String(); !strings.Contains(log, "\nstep 1 loss ") ||
				!strings.Contains(log, "\nstep 40 loss ") {
				t.Errorf("the chief does not tell how it gets on:\n%s", log)
			}

			var got struct {
				Steps    int
				Loss     struct{ First, Last float64 }
				Weights  []float64
				Replicas map[string]part
				Cluster  map[string][]string
			}
			text := stored.objects["gs://jobdrop-output/distributed/result.json"]
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("result.json: %v: %s", err, text)
			}
			if diff := cmp.Diff(tt.parts, got.Replicas); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(r.cluster, got.Cluster); diff != "" {
				t.Errorf("cluster (-want +got):\n%s", diff)
			}
			if got.Loss.Last <= 0 || got.Loss.First < 10*got.Loss.Last {
				t.Errorf("loss went from %g to %g", got.Loss.First, got.Loss.Last)
			}
			about := func(within float64) func(a, b float64) bool {
				return func(a, b float64) bool { return math.Abs(a-b) < within }
			}
			truth := []float64{2, -3, 0.5, 1}
			if !slices.EqualFunc(truth, got.Weights, about(0.05)) {
				t.Errorf("weights are %v, want about %v", got.Weights, truth)
			}
			model := append(got.Weights, got.Loss.First, got.Loss.Last)
			if alone == nil {
				alone = model
			}
			// Only the order of the additions differs.
			if !slices.EqualFunc(alone, model, about(1e-9)) {
				t.Errorf("weights and losses are %v, one replica gets %v", model, alone)
			}
		})
	}
}

// frame returns a message as it goes over the wire.
func frame(text string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) + text
}

// TestDistributedRefusesStrangers lets others connect before the replicas do.
// They neither end the training nor take part in it.
func TestDistributedRefusesStrangers(t *testing.T) {
	strangers := []struct{ name, sent, refusal string }{
		{"says nothing", "", "went away before it sent a join"},
		{"cut in the middle", frame(`{"kind": "join"}`)[:9], "went away before it sent a join"},
		{"another protocol", "GET / HTTP/1.1\r\n\r\n", "sent a message of 1195725856 bytes, 65536 are allowed"},
		{"empty", frame(""), "sent a message of 0 bytes"},
		{"no JSON", frame("\xff{"), "sent no JSON"},
		{"deep", frame(strings.Repeat("[", 60_000)), "sent no JSON"},
		{"no object", frame(`["join"]`), "sent JSON that is no object"},
		{"another kind", frame(`{"kind": "stop"}`), "sent no join"},
		{"no name", frame(`{"kind": "join", "name": 1}`), "sent no text as name"},
		{
			"not in the cluster", frame(`{"kind": "join", "name": "worker-1"}`),
			"says it is 'worker-1', expected chief-0 or worker-0",
		},
		{"the server itself", frame(`{"kind": "join", "name": "ps-0"}`), "says it is 'ps-0'"},
	}
	_, url := newBucket(t)
	r := newReplicas(t, "chief", 1)
	r.storage = url
	ps := r.start(t, "ps", 0)
	ps.await(t, "listening on "+r.cluster["ps"][0])
	for _, s := range strangers {
		c, err := net.Dial("tcp", r.cluster["ps"][0])
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if _, err := io.WriteString(c, s.sent); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		ps.await(t, s.refusal)
		c.Close()
	}
	r.start(t, "chief", 0)
	r.start(t, "worker", 0)
	want := map[string]int{"chief-0": 0, "worker-0": 0, "ps-0": 0}
	if diff := cmp.Diff(want, r.wait(t)); diff != "" {
		t.Errorf("exit codes (-want +got):\n%s", diff)
	}
}

// TestDistributedEndsWithAReason has a worker that does not do its part: all
// others end, and each says why.
func TestDistributedEndsWithAReason(t *testing.T) {
	const joined = "worker-0 joined"
	gradient := func(fields string) string { return frame(`{"kind": "gradient", ` + fields + `}`) }
	tests := []struct {
		name   string
		args   []string // of the server
		worker string   // what it sends after it joined
		leaves bool     // and does it go away then
		want   string
	}{
		{"goes away", nil, "", true, "worker-0 went away before it sent a gradient"},
		{"keeps silent", []string{"--step-timeout=0.5"}, "", false, "worker-0 sent no gradient in time"},
		{"stops in the middle", []string{"--step-timeout=0.5"}, frame("{}")[:5], false, "worker-0 sent no gradient in time"},
		{"too large", nil, "\x00\x01\x00\x01", false, "worker-0 sent a message of 65537 bytes"},
		{
			"another step", nil, gradient(`"step": 1, "rows": 1, "gradient": [0, 0, 0, 0], "squares": 0`), false,
			"worker-0 sent the gradient of another step than 0",
		},
		{
			"step is true", nil, gradient(`"step": false, "rows": 1, "gradient": [0, 0, 0, 0], "squares": 0`), false,
			"worker-0 sent no integer as step",
		},
		{
			"no rows", nil, gradient(`"step": 0, "rows": 0, "gradient": [0, 0, 0, 0], "squares": 0`), false,
			"worker-0 has 0 rows",
		},
		{
			"too few numbers", nil, gradient(`"step": 0, "rows": 1, "gradient": [0], "squares": 0`), false,
			"worker-0 did not send 4 numbers as gradient",
		},
		{
			"not a number", nil, gradient(`"step": 0, "rows": 1, "gradient": [0, NaN, 0, 0], "squares": 0`), false,
			"worker-0 sent no finite number as gradient",
		},
		{
			"infinite", nil, gradient(`"step": 0, "rows": 1, "gradient": [0, 0, 0, 0], "squares": 1e999`), false,
			"worker-0 sent no finite number as squares",
		},
		{"bye too soon", nil, frame(`{"kind": "bye"}`), false, "worker-0 sent no gradient"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReplicas(t, "chief", 1)
			ps := r.start(t, "ps", 0, tt.args...) // its own patience is short, that of the others is not
			r.start(t, "chief", 0)
			ps.await(t, "chief-0 joined")
			c, err := net.Dial("tcp", r.cluster["ps"][0])
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, frame(`{"kind": "join", "name": "worker-0"}`)+tt.worker); err != nil {
				t.Fatal(err)
			}
			ps.await(t, joined)
			if tt.leaves {
				if err := c.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			told, err := io.ReadAll(io.LimitReader(c, sizeLimit))
			if err != nil || !strings.Contains(string(told), tt.want) {
				t.Errorf("worker-0 was told %q, %v; want %q", told, err, tt.want)
			}
			c.Close()
			checkReason(t, r, tt.want)
		})
	}
	t.Run("never joins", func(t *testing.T) {
		r := newReplicas(t, "chief", 1, "--join-timeout=5")
		r.start(t, "chief", 0)
		r.start(t, "ps", 0)
		checkReason(t, r, "worker-0 did not join within 5 s")
	})
	t.Run("no server", func(t *testing.T) {
		r := newReplicas(t, "chief", 1, "--join-timeout=0.5")
		r.start(t, "chief", 0)
		r.start(t, "worker", 0)
		checkReason(t, r, "ps-0 at "+r.cluster["ps"][0]+" can't be reached after 0.5 s")
	})
	t.Run("no cluster", func(t *testing.T) {
		r := newReplicas(t, "chief", 0)
		delete(r.cluster, "ps")
		r.start(t, "chief", 0)
		checkReason(t, r, "set parameterServerCount to 1")
	})
}

// checkReason wants each replica to end with exit status 1 and the reason.
func checkReason(t *testing.T, r *replicas, reason string) {
	t.Helper()
	for name, code := range r.wait(t) {
		log := r.outputs[name].String()
		if code != 1 || !strings.Contains(log, "ended early: ") || !strings.Contains(log, reason) ||
			strings.Contains(log, "Traceback") {
			t.Errorf("%s: exit status %d, want 1 and the reason %q:\n%s", name, code, reason, log)
		}
	}
}
