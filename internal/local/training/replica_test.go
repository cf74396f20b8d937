package training

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

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
		c := jobs.CountsOf(&tt.in)
		if c.String() != tt.text || c.Total() != tt.total {
			t.Errorf("%+v: %v, %d in all, want %s, %d", tt.in, c, c.Total(), tt.text, tt.total)
		}
		if all := jobs.ReplicasOf(&tt.in); len(all) != tt.total || all[len(all)-1] != jobs.Master {
			t.Errorf("%+v: replicas %v, want %d with the master last", tt.in, all, tt.total)
		}
	}
	if got := []string{jobs.Master.Task(), jobs.Replica{Role: jobs.RolePS, Index: 3}.Task(),
		jobs.Replica{Role: jobs.RoleEvaluator, Index: 0}.Task()}; strings.Join(got, " ") != "master-replica-0 ps-replica-3 "+
		"evaluator-replica-0" {
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
		{"version 1", "5:cpu:/x\n4:memory:/x\n", map[string]string{"/cg/memory/x/memory.limit_in_bytes": "4000\n",
			"/cg/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 4000},
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
		want := append([]string{"run", "--rm", "--name", "n", "--network", "host", "--env", "A=1", "--env", "B=x y"},
			tt.want...)
		if diff := cmp.Diff(want, containerArgs("n", "image", tt.command, tt.args, env, "")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
