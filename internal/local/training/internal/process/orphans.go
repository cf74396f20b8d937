package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// RemoveOrphans ends what an earlier service left of a job: the groups whose leaders are still the ones that were
// recorded, every process whose HOME is in the job's (where /proc tells environments), and the job's containers.
func (h *Host) RemoveOrphans(groups []Group, home string) {
	for _, p := range groups {
		if p.Start != "" && startOf(p.PID) == p.Start {
			_ = signalGroup(p.PID, syscall.SIGKILL)
		}
	}
	killByHome(home)
	for _, p := range groups {
		if p.Container != "" && p.Runner != "" {
			h.container(p.Runner, "rm", "-f", p.Container)
		}
	}
}

// killByHome ends every process whose HOME is a folder or one in it, as far as /proc tells environments.
func killByHome(home string) {
	if runtime.GOOS != "linux" {
		return
	}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environs {
		data, err := os.ReadFile(file)
		if err != nil || !homeIn(string(data), home) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && pid != os.Getpid() {
			_ = killProcess(pid)
		}
	}
}

// homeIn reports whether an environment's HOME is a folder or one in it.
func homeIn(environ, folder string) bool {
	for kv := range strings.SplitSeq(environ, "\x00") {
		if home, ok := strings.CutPrefix(kv, "HOME="); ok {
			return home == folder || strings.HasPrefix(home, folder+string(filepath.Separator))
		}
	}
	return false
}

// startOf returns when a process started, in a form to compare only. It is empty if there is no such process.
func startOf(pid int) string {
	if runtime.GOOS == "linux" {
		fields := statOf(pid)
		boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if len(fields) < 20 || err != nil {
			return ""
		}
		return strings.TrimSpace(string(boot)) + "/" + fields[19]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// statOf returns the fields of /proc/<pid>/stat from the third, the state, on. The second is the program's name and may
// hold anything.
func statOf(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
}

// liveGroups returns the groups of which a process still runs. A zombie that nobody reaps (a container's first process
// often doesn't) counts as gone.
func liveGroups(ps []*Child) map[int]bool {
	live := map[int]bool{}
	for _, p := range ps {
		if !errors.Is(signalGroup(p.pid, 0), syscall.ESRCH) {
			live[p.pid] = true
		}
	}
	if runtime.GOOS != "linux" || len(live) == 0 {
		return live
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return live
	}
	found := map[int]bool{}
	for _, file := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		f := statOf(pid)
		if len(f) < 3 || f[0] == "Z" || f[0] == "X" {
			continue
		}
		if group, err := strconv.Atoi(f[2]); err == nil && live[group] {
			found[group] = true
		}
	}
	return found
}
