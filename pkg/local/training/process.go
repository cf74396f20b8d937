package training

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
	path    string
	args    []string
	dir     string
	env     []string
	started func()            // optional: called once the process is there
	output  func(line string) // optional: takes stdout instead of the log
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
	if err := context.Cause(e.ctx); err != nil {
		return err
	}
	cmd := exec.Command(c.path, c.args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = c.dir, c.env, ownGroup()

	// Pipes of our own: exec's would make Wait wait for every process that
	// inherited them, and the group is ended only after Wait.
	var readers []*os.File
	var drained sync.WaitGroup
	var last tail
	for _, stream := range []string{stdout, stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return errors.Join(err, closeAll(readers))
		}
		defer w.Close()
		readers = append(readers, r)
		if stream == stdout {
			cmd.Stdout = w
		} else {
			cmd.Stderr = w
		}
		drained.Go(func() {
			readLines(r, maxLineBytes, func(line string) {
				if stream == stdout && c.output != nil {
					c.output(line)
					return
				}
				if stream == stderr {
					last.add(line)
				}
				e.log.write(taskMaster, stream, line)
			})
		})
	}
	err := cmd.Start()
	for _, w := range []any{cmd.Stdout, cmd.Stderr} {
		_ = w.(*os.File).Close()
	}
	if err != nil {
		_ = closeAll(readers)
		drained.Wait()
		return err
	}
	pid := cmd.Process.Pid
	s.setProcess(e, &process{PID: pid, Start: startOf(pid)})
	if c.started != nil {
		c.started()
	}

	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	var stopped error
	select {
	case err = <-exited:
	case <-e.ctx.Done():
		stopped = context.Cause(e.ctx)
		err = s.terminate(pid, exited)
	}
	_ = signalGroup(pid, syscall.SIGKILL) // what the leader left behind
	settle := time.AfterFunc(drainTime, func() { _ = closeAll(readers) })
	drained.Wait()
	if settle.Stop() {
		_ = closeAll(readers)
	}
	if stopped != nil {
		return stopped
	}
	return exitOf(cmd.ProcessState, err, last.excerpt())
}

// terminate asks a group to end and, after the grace, ends it. It returns the
// leader's exit.
func (s *Service) terminate(pid int, exited <-chan error) (err error) {
	_ = signalGroup(pid, syscall.SIGTERM)
	grace := time.NewTimer(s.opts.Grace)
	defer grace.Stop()
	poll := time.NewTicker(groupPoll)
	defer poll.Stop()
	gone := false // the leader
	for {
		select {
		case err = <-exited:
			gone, exited = true, nil
		case <-poll.C:
		case <-grace.C:
			_ = signalGroup(pid, syscall.SIGKILL)
			if !gone {
				err = <-exited
			}
			return err
		}
		if gone && !groupAlive(pid) {
			return err
		}
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

// killOrphans ends what an earlier service left of a job: the group whose leader
// is still the one that was recorded and, where /proc tells environments, every
// process whose HOME is the job's.
func killOrphans(p *process, home string) {
	if p != nil && p.Start != "" && startOf(p.PID) == p.Start {
		_ = signalGroup(p.PID, syscall.SIGKILL)
	}
	if runtime.GOOS != "linux" {
		return
	}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environs {
		data, err := os.ReadFile(file)
		if err != nil || !strings.Contains("\x00"+string(data), "\x00HOME="+home+"\x00") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && pid != os.Getpid() {
			_ = killProcess(pid)
		}
	}
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

// groupAlive tells whether a process of the group still runs. A zombie that
// nobody reaps (a container's first process often doesn't) counts as gone.
func groupAlive(pgid int) bool {
	if errors.Is(signalGroup(pgid, 0), syscall.ESRCH) {
		return false
	}
	if runtime.GOOS != "linux" {
		return true
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return true
	}
	for _, file := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		if f := statOf(pid); len(f) > 2 && f[2] == strconv.Itoa(pgid) && f[0] != "Z" && f[0] != "X" {
			return true
		}
	}
	return false
}
