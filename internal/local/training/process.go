package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// drainTime is how long output may still come after a group's end: only a
	// process that left the group can hold the pipe that long.
	drainTime = 2 * time.Second
	// groupPoll is how often a group that was asked to end is looked at.
	groupPoll = 20 * time.Millisecond
)

// command is one process of a job. Its output goes to the job's log.
type command struct {
	path      string
	args      []string
	dir       string
	env       []string
	task      string            // whose lines its output is; the service's own if empty
	trial     string            // the trial that it belongs to, if any
	container string            // the container that the process runs, by its name
	output    func(line string) // optional: takes stdout instead of the log
}

// exitError is a process that ended other than with status 0.
type exitError struct {
	status int
	signal syscall.Signal // 0: it exited by itself
	tail   string         // the last lines of its stderr
}

// Error begins with the status as a shell gives it: 128 and the number of the
// signal, for one that was killed.
func (e *exitError) Error() string {
	text := strconv.Itoa(e.status) + "."
	if e.signal != 0 {
		text += fmt.Sprintf(" It was killed by signal %d (%v).", int(e.signal), e.signal)
	}
	if e.tail != "" {
		text += "\n" + e.tail
	}
	return text
}

// describe is how a step's command ended, for a sentence of its own.
func describe(err error) string {
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return "exit status " + exit.Error()
	}
	return err.Error()
}

// exec runs a command in a process group of its own and returns when nothing of
// the group is left. The error is an *exitError, the cause that ended e.ctx, or
// why there is no process.
func (s *Service) exec(e *entry, c command) error {
	p, err := s.start(e.ctx, e, c)
	if err != nil {
		return err
	}
	defer s.forgetProcesses(e, c.trial)
	select {
	case <-p.done:
		return s.settle(p)
	case <-e.ctx.Done():
		s.terminate(p)
		_ = s.settle(p)
		return context.Cause(e.ctx)
	}
}

// child is a command that was started.
type child struct {
	command
	pid     int // of the leader, which is its group's number
	cmd     *exec.Cmd
	done    chan struct{} // closed when the leader has ended
	err     error         // what Wait gave; set before done is closed
	last    tail
	readers []*os.File
	drained sync.WaitGroup
	settled bool
	end     error // how the leader ended, once settled
}

func (p *child) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// start starts a command and records it, unless ctx is done. The caller settles
// it.
func (s *Service) start(ctx context.Context, e *entry, c command) (*child, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	c.task = cmp.Or(c.task, taskService)
	p := &child{command: c, cmd: exec.Command(c.path, c.args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.SysProcAttr = c.dir, c.env, ownGroup()

	// Pipes of our own: exec's would make Wait wait for every process that
	// inherited them, and the group is ended only after Wait.
	var writers []*os.File
	for _, stream := range []string{stdout, stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, errors.Join(err, closeAll(p.readers), closeAll(writers))
		}
		p.readers, writers = append(p.readers, r), append(writers, w)
		p.drained.Go(func() {
			readLines(r, maxLineBytes, func(line string) {
				if stream == stdout && c.output != nil {
					c.output(line)
					return
				}
				if stream == stderr {
					p.last.add(line)
				}
				e.log.writeTrial(c.trial, c.task, stream, line)
			})
		})
	}
	p.cmd.Stdout, p.cmd.Stderr = writers[0], writers[1]
	if c.container != "" { // its name is known before, and outlives the leader
		s.addProcess(e, process{Task: c.task, Trial: c.trial, Runner: c.path, Container: c.container})
	}
	err := p.cmd.Start()
	_ = closeAll(writers)
	if err != nil {
		_ = closeAll(p.readers)
		p.drained.Wait()
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	s.addProcess(e, process{Task: c.task, Trial: c.trial, PID: p.pid, Start: startOf(p.pid)})
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// settle ends what a leader that has ended left behind, waits for the output
// and tells how the leader ended. Whoever started it calls it, any number of
// times: the group's number may be another's later.
func (s *Service) settle(p *child) error {
	<-p.done
	if p.settled {
		return p.end
	}
	p.settled = true
	_ = signalGroup(p.pid, syscall.SIGKILL)
	settle := time.AfterFunc(drainTime, func() { _ = closeAll(p.readers) })
	p.drained.Wait()
	if settle.Stop() {
		_ = closeAll(p.readers)
	}
	p.end = exitOf(p.cmd.ProcessState, p.err, p.last.excerpt())
	return p.end
}

// terminate asks groups to end, all at once, and ends them after one grace for
// all. It returns when every leader has ended.
func (s *Service) terminate(ps ...*child) {
	left := slices.DeleteFunc(slices.Clone(ps), (*child).exited)
	if len(left) == 0 {
		return
	}
	var asked sync.WaitGroup
	for _, p := range left {
		if p.container != "" {
			asked.Go(func() { s.container("kill", "--signal", "TERM", p.container) })
			continue
		}
		_ = signalGroup(p.pid, syscall.SIGTERM)
	}
	grace := time.NewTimer(s.opts.Grace)
	defer grace.Stop()
	poll := time.NewTicker(groupPoll)
	defer poll.Stop()
	for inTime := true; inTime && len(left) > 0; {
		select {
		case <-poll.C:
			live := liveGroups(left)
			left = slices.DeleteFunc(left, func(p *child) bool { return p.exited() && !live[p.pid] })
		case <-grace.C:
			inTime = false
		}
	}
	asked.Wait()
	for _, p := range left {
		if p.container != "" {
			asked.Go(func() { s.container("rm", "-f", p.container) })
		}
	}
	asked.Wait()
	for _, p := range left {
		_ = signalGroup(p.pid, syscall.SIGKILL)
	}
	for _, p := range ps {
		<-p.done
	}
}

func exitOf(state *os.ProcessState, err error, tail string) error {
	if err == nil {
		return nil
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &exitError{status: 128 + int(status.Signal()), signal: status.Signal(), tail: tail}
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &exitError{status: exit.ExitCode(), tail: tail}
	}
	return err
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// killOrphans ends what an earlier service left of a job: the groups whose
// leaders are still the ones that were recorded and, where /proc tells
// environments, every process whose HOME is in the job's.
func killOrphans(ps []process, home string) {
	for _, p := range ps {
		if p.Start != "" && startOf(p.PID) == p.Start {
			_ = signalGroup(p.PID, syscall.SIGKILL)
		}
	}
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

// homeIn tells whether an environment's HOME is a folder or one in it.
func homeIn(environ, folder string) bool {
	for kv := range strings.SplitSeq(environ, "\x00") {
		if home, ok := strings.CutPrefix(kv, "HOME="); ok {
			return home == folder || strings.HasPrefix(home, folder+string(filepath.Separator))
		}
	}
	return false
}

// startOf is when a process started, in a form to compare only; empty if it is
// not there.
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

// statOf gives the fields of /proc/<pid>/stat from the third, the state, on: the
// second is the program's name and may hold anything.
func statOf(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
}

// liveGroups tells of which groups a process still runs. A zombie that nobody
// reaps (a container's first process often doesn't) counts as gone.
func liveGroups(ps []*child) map[int]bool {
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
