package training

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	// replicaMemory is what a Python with a framework for training takes at
	// least.
	replicaMemory = 512 << 20
	// minReplicas is the smallest machine's: a master, two workers and a
	// parameter server.
	minReplicas = 4
	// replicasPerCPU is for a machine whose memory is not known.
	replicasPerCPU = 8
)

// DefaultMaxReplicas returns how many replicas this machine runs at once: one for
// each 512 MiB of its memory (or of what its control group may use), 4 at least.
// Where the memory is not known it is 8 for each CPU.
func DefaultMaxReplicas() int { return replicasIn(memory(), runtime.NumCPU()) }

func replicasIn(memory uint64, cpus int) int {
	if memory == 0 {
		return max(minReplicas, replicasPerCPU*cpus)
	}
	return int(min(max(minReplicas, memory/replicaMemory), math.MaxInt32))
}

// memory returns this machine's, in bytes; 0 if it is not known.
func memory() uint64 {
	if runtime.GOOS == "linux" {
		total := memTotal(readText("/proc/meminfo"))
		if limit := groupLimit(readText("/proc/self/cgroup"), "/sys/fs/cgroup", readText); limit > 0 &&
			(total == 0 || limit < total) {
			return limit
		}
		return total
	}
	name := "hw.physmem"
	if runtime.GOOS == "darwin" {
		name = "hw.memsize"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // it answers at once
	defer cancel()
	out, err := exec.CommandContext(ctx, "sysctl", "-n", name).Output()
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
	return n
}

func readText(file string) string {
	data, _ := os.ReadFile(file) // what is not there limits nothing
	return string(data)
}

// memTotal reads /proc/meminfo, which counts in KiB.
func memTotal(meminfo string) uint64 {
	for line := range strings.Lines(meminfo) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			n, _ := strconv.ParseUint(f[1], 10, 54)
			return n << 10
		}
	}
	return 0
}

// groupLimit returns the least memory limit of the process's control groups and of
// those above them, of either version; 0 if there is none. In a container the
// named group may be out of sight, and the mount's root is its own.
func groupLimit(cgroup, root string, read func(file string) string) uint64 {
	limit := uint64(math.MaxUint64)
	look := func(base, group, file string) {
		for dir := path.Join("/", group); ; dir = path.Dir(dir) {
			n, err := strconv.ParseUint(strings.TrimSpace(read(path.Join(base, dir, file))), 10, 64)
			// Version 1 writes the largest number of pages for "no limit".
			if err == nil && n > 0 && n < math.MaxInt64&^0xffff {
				limit = min(limit, n)
			}
			if dir == "/" {
				return
			}
		}
	}
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // hierarchy:controllers:path
		if len(parts) != 3 {
			continue
		}
		switch parts[1] {
		case "":
			look(root, parts[2], "memory.max")
		case "memory":
			look(path.Join(root, "memory"), parts[2], "memory.limit_in_bytes")
		}
	}
	if limit == math.MaxUint64 {
		return 0
	}
	return limit
}
