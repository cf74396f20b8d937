package training

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// numbered gives each member of a job's cluster a port that tells which it is.
func numbered(in *job.TrainingInput) addresses {
	a := addresses{}
	for _, r := range replicasOf(in) {
		base := map[string]int{roleMaster: 1000, roleWorker: 2000, rolePS: 3000, roleEvaluator: 0}[r.role]
		if base > 0 {
			a[r] = fmt.Sprintf("127.0.0.1:%d", base+r.index)
		}
	}
	return a
}

func TestTFConfig(t *testing.T) {
	custom := func(workers, ps, evaluators int64) *job.TrainingInput {
		return &job.TrainingInput{ScaleTier: "CUSTOM", WorkerCount: workers, ParameterServerCount: ps, EvaluatorCount: evaluators}
	}
	image := func(chief bool) *job.TrainingInput {
		in := custom(1, 0, 0)
		in.MasterConfig, in.UseChiefInTFConfig = &job.ReplicaConfig{ImageURI: "i"}, chief
		return in
	}
	runtime := func(version string) *job.TrainingInput { return &job.TrainingInput{RuntimeVersion: version} }
	for _, tt := range []struct {
		name    string
		in      *job.TrainingInput
		replica replica
		cluster string
		task    string
	}{
		{"basic", &job.TrainingInput{ScaleTier: "BASIC"}, master, `{"chief":["127.0.0.1:1000"]}`, `{"type":"chief","index":0}`},
		{"no tier", &job.TrainingInput{}, master, `{"chief":["127.0.0.1:1000"]}`, `{"type":"chief","index":0}`},
		{"runtime 1.15", runtime("1.15"), master, `{"master":["127.0.0.1:1000"]}`, `{"type":"master","index":0}`},
		{"runtime 2.0", runtime("2.0"), master, `{"master":["127.0.0.1:1000"]}`, `{"type":"master","index":0}`},
		{"runtime 2.1", runtime("2.1"), master, `{"chief":["127.0.0.1:1000"]}`, `{"type":"chief","index":0}`},
		{"runtime 2.11", runtime("2.11"), master, `{"chief":["127.0.0.1:1000"]}`, `{"type":"chief","index":0}`},
		{"counts without the tier", &job.TrainingInput{ScaleTier: "BASIC", WorkerCount: 2}, master, `{"chief":["127.0.0.1:1000"]}`, `{"type":"chief","index":0}`},
		{"second worker", custom(2, 1, 1), replica{roleWorker, 1},
			`{"chief":["127.0.0.1:1000"],"ps":["127.0.0.1:3000"],"worker":["127.0.0.1:2000","127.0.0.1:2001"]}`, `{"type":"worker","index":1}`},
		{"parameter server", custom(1, 2, 0), replica{rolePS, 1},
			`{"chief":["127.0.0.1:1000"],"ps":["127.0.0.1:3000","127.0.0.1:3001"],"worker":["127.0.0.1:2000"]}`, `{"type":"ps","index":1}`},
		{"evaluator", custom(0, 0, 2), replica{roleEvaluator, 1}, `{"chief":["127.0.0.1:1000"]}`, `{"type":"evaluator","index":1}`},
		{"image", image(false), replica{roleWorker, 0}, `{"master":["127.0.0.1:1000"],"worker":["127.0.0.1:2000"]}`, `{"type":"worker","index":0}`},
		{"image with chief", image(true), master, `{"chief":["127.0.0.1:1000"],"worker":["127.0.0.1:2000"]}`, `{"type":"chief","index":0}`},
		{"STANDARD_1", &job.TrainingInput{ScaleTier: "STANDARD_1"}, replica{rolePS, 2},
			`{"chief":["127.0.0.1:1000"],"ps":["127.0.0.1:3000","127.0.0.1:3001","127.0.0.1:3002"],` +
				`"worker":["127.0.0.1:2000","127.0.0.1:2001","127.0.0.1:2002","127.0.0.1:2003"]}`, `{"type":"ps","index":2}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vars, err := jobEnv("j", tt.in, "", tt.replica, numbered(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Cluster, Task, Job json.RawMessage
				Environment        string
			}
			if err := json.Unmarshal([]byte(strings.TrimPrefix(vars[0], "TF_CONFIG=")), &got); err != nil {
				t.Fatal(err)
			}
			if string(got.Cluster) != tt.cluster || string(got.Task) != tt.task || got.Environment != "cloud" {
				t.Errorf("TF_CONFIG = %s\nwant cluster %s\nand task %s", vars[0], tt.cluster, tt.task)
			}
			if vars[1] != "CLOUD_ML_JOB_ID=j" || vars[2] != "CLOUD_ML_JOB="+string(got.Job) {
				t.Errorf("variables %q", vars)
			}
		})
	}
}

// TestJobInTFConfig: the job's fields have their proto names, at every depth.
func TestJobInTFConfig(t *testing.T) {
	got, err := plan.SnakeJSON(&job.TrainingInput{
		ScaleTier: "CUSTOM", WorkerCount: 2, PackageURIs: []string{"gs://b/o"}, UseChiefInTFConfig: true, Args: []string{"--camelCase"},
		MasterConfig: &job.ReplicaConfig{AcceleratorConfig: &job.AcceleratorConfig{Count: 1}, ImageURI: "i", TPUTFVersion: "2.1"},
		Scheduling:   &job.Scheduling{MaxWaitTime: "1s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"args":["--camelCase"],"master_config":{"accelerator_config":{"count":"1"},"image_uri":"i","tpu_tf_version":"2.1"},` +
		`"package_uris":["gs://b/o"],"scale_tier":"CUSTOM","scheduling":{"max_wait_time":"1s"},"use_chief_in_tf_config":true,"worker_count":"2"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCounts(t *testing.T) {
	for _, tt := range []struct {
		in    job.TrainingInput
		text  string
		total int
	}{
		{job.TrainingInput{}, "1 master", 1},
		{job.TrainingInput{ScaleTier: "BASIC_GPU"}, "1 master", 1},
		{job.TrainingInput{ScaleTier: "STANDARD_1"}, "1 master, 4 workers, 3 parameter servers", 8},
		{job.TrainingInput{ScaleTier: "PREMIUM_1"}, "1 master, 19 workers, 11 parameter servers", 31},
		{job.TrainingInput{ScaleTier: "CUSTOM", WorkerCount: 1, EvaluatorCount: 1}, "1 master, 1 worker, 1 evaluator", 3},
	} {
		c := countsOf(&tt.in)
		if c.String() != tt.text || c.total() != tt.total {
			t.Errorf("%+v: %v, %d in all, want %s, %d", tt.in, c, c.total(), tt.text, tt.total)
		}
		if all := replicasOf(&tt.in); len(all) != tt.total || all[len(all)-1] != master {
			t.Errorf("%+v: replicas %v, want %d with the master last", tt.in, all, tt.total)
		}
	}
	if got := []string{master.task(), replica{rolePS, 3}.task(), replica{roleEvaluator, 0}.task()}; strings.Join(got, " ") != "master-replica-0 ps-replica-3 evaluator-replica-0" {
		t.Errorf("tasks %v", got)
	}
}

func TestReplicasIn(t *testing.T) {
	for _, tt := range []struct {
		memory uint64
		cpus   int
		want   int
	}{
		{0, 2, 16}, {0, 0, 4}, {1 << 30, 64, 4}, {8 << 30, 1, 16}, {8<<30 - 1, 1, 15},
	} {
		if got := replicasIn(tt.memory, tt.cpus); got != tt.want {
			t.Errorf("%d bytes, %d CPUs: %d, want %d", tt.memory, tt.cpus, got, tt.want)
		}
	}
	if got := DefaultMaxReplicas(); got < minReplicas {
		t.Errorf("this machine runs %d", got)
	}
	if got := memTotal("MemFree: 1 kB\nMemTotal:       24684 kB\n"); got != 24684<<10 {
		t.Errorf("MemTotal %d", got)
	}
}

func TestGroupLimit(t *testing.T) {
	for _, tt := range []struct {
		name, cgroup string
		files        map[string]string
		want         uint64
	}{
		{"none", "", nil, 0},
		{"version 2", "0::/a/b\n", map[string]string{"/cg/a/b/memory.max": "max\n", "/cg/a/memory.max": "3000\n"}, 3000},
		{"the least", "0::/a/b\n", map[string]string{"/cg/a/b/memory.max": "2000\n", "/cg/a/memory.max": "3000\n"}, 2000},
		{"a container's own root", "0::/host/path\n", map[string]string{"/cg/memory.max": "5000\n"}, 5000},
		{"version 1", "5:cpu:/x\n4:memory:/x\n", map[string]string{"/cg/memory/x/memory.limit_in_bytes": "4000\n", "/cg/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 4000},
		{"no limit", "4:memory:/\n", map[string]string{"/cg/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
	} {
		if got := groupLimit(tt.cgroup, "/cg", func(file string) string { return tt.files[file] }); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestPorts: a port is one replica's, before and after it may listen.
func TestPorts(t *testing.T) {
	var p ports
	first, err := p.reserve(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, r := range first {
		if seen[r.port] {
			t.Errorf("port %d twice", r.port)
		}
		seen[r.port] = true
		if l, err := net.Listen("tcp", r.address()); err == nil {
			t.Errorf("%s is free while it is reserved", r.address())
			_ = l.Close()
		}
		r.open()
		if p.hold(r.port) {
			t.Errorf("port %d can be reserved while its replica runs", r.port)
		}
	}
	l, err := net.Listen("tcp", first[0].address())
	if err != nil {
		t.Fatalf("the replica itself can't listen: %v", err)
	}
	_ = l.Close()
	p.release(first)
	if len(p.held) > 0 {
		t.Errorf("released ports are held: %v", p.held)
	}
}

func TestContainerArgs(t *testing.T) {
	env := []string{"A=1", "B=x y"}
	for _, tt := range []struct {
		name          string
		command, args []string
		want          []string
	}{
		{"the image's own", nil, []string{"--a"}, []string{"image", "--a"}},
		{"command", []string{"sh", "-c", "x"}, []string{"--a"}, []string{"--entrypoint", "sh", "image", "-c", "x", "--a"}},
	} {
		want := append([]string{"run", "--rm", "--name", "n", "--network", "host", "--env", "A=1", "--env", "B=x y"}, tt.want...)
		if diff := cmp.Diff(want, containerArgs("n", "image", tt.command, tt.args, env, "")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestHomeIn(t *testing.T) {
	for _, tt := range []struct {
		environ string
		want    bool
	}{
		{"A=1\x00HOME=/j/home\x00B=2", true},
		{"HOME=/j/home/worker-replica-0\x00", true},
		{"HOME=/j/home2\x00", false},
		{"XHOME=/j/home\x00", false},
		{"", false},
	} {
		if got := homeIn(tt.environ, "/j/home"); got != tt.want {
			t.Errorf("%q: %v", tt.environ, got)
		}
	}
}
