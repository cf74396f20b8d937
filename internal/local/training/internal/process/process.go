// Package process runs the programs of jobs, each in a process group of its own, and ends all that is left of them. A
// program may run in a container: the process is the container runner's then.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// drainTime is how long output may still come after a group's end: only a process that left the group can hold the
	// pipe that long.
	drainTime = 2 * time.Second
	// groupPoll is the time between two looks at a group that was asked to end.
	groupPoll = 20 * time.Millisecond
)

// Command is a program to run.
type Command struct {
	Path      string // the program's or, with a container, its runner's
	Args      []string
	Dir       string
	Env       []string
	Container string            // the name of the container that the process runs, if it runs one
	Stdout    func(line string) // called with each line of output
	Stderr    func(line string)
	// Record is called with what a later service has to look for: first the container, then the process.
	Record func(Group)
}

// Group names the leader of a process group, and the container that it runs, if any. A PID comes back in time, so the
// start time tells the leader from a stranger. A process that is about to start has no PID.
type Group struct {
	PID       int    `json:"pid,omitempty"`
	Start     string `json:"start,omitempty"`
	Runner    string `json:"runner,omitempty"`
	Container string `json:"container,omitempty"`
}

// ExitError reports that a process ended other than with status 0.
type ExitError struct {
	Status int
	Signal syscall.Signal // 0: it exited by itself
	Tail   string         // the last lines of its stderr
}

// Error begins with the status as a shell gives it: 128 and the number of the signal, for one that was killed.
func (e *ExitError) Error() string {
	text := strconv.Itoa(e.Status) + "."
	if e.Signal != 0 {
		text += fmt.Sprintf(" It was killed by signal %d (%v).", int(e.Signal), e.Signal)
	}
	if e.Tail != "" {
		text += "\n" + e.Tail
	}
	return text
}

// Describe returns how a command ended, for a sentence of its own.
func Describe(err error) string {
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		return "exit status " + exit.Error()
	}
	return err.Error()
}

// Host starts processes on this machine and ends them.
type Host struct {
	Grace time.Duration // between SIGTERM and SIGKILL
	Env   []string      // of a container runner's own commands
	Log   *slog.Logger
}

// Child is a command that was started. Whoever started it settles it.
type Child struct {
	command Command
	pid     int // of the leader, which is its group's number
	cmd     *exec.Cmd
	done    chan struct{} // closed when the leader has ended
	err     error         // what Wait returned; set before done is closed
	last    tail
	readers []*os.File
	drained sync.WaitGroup
	settled bool
	end     error // how the leader ended, once settled
}

// Done returns a channel that is closed when the leader has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Exited reports whether the leader has ended.
func (c *Child) Exited() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Start starts a command and records it, unless ctx is done. The caller settles it.
func (h *Host) Start(ctx context.Context, c Command) (*Child, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	p := &Child{command: c, cmd: exec.Command(c.Path, c.Args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.SysProcAttr = c.Dir, c.Env, ownGroup()
	writers, err := p.pipes()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = writers[0], writers[1]
	if c.Container != "" { // its name is known before, and outlives the leader
		c.Record(Group{Runner: c.Path, Container: c.Container})
	}
	err = p.cmd.Start()
	_ = closeAll(writers)
	if err != nil {
		_ = closeAll(p.readers)
		p.drained.Wait()
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	c.Record(Group{PID: p.pid, Start: startOf(p.pid)})
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// pipes starts to read the command's output and returns the ends to write to, stdout's first. With exec's own pipes
// Wait would wait for every process that inherited them, and the group is ended only after Wait.
func (c *Child) pipes() (writers []*os.File, err error) {
	for _, handle := range []func(string){c.command.Stdout, c.stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, errors.Join(err, closeAll(c.readers), closeAll(writers))
		}
		c.readers, writers = append(c.readers, r), append(writers, w)
		c.drained.Go(func() { readLines(r, MaxLine, time.Now, handle) })
	}
	return writers, nil
}

func (c *Child) stderr(line string) {
	c.last.add(line)
	c.command.Stderr(line)
}

// Settle ends what a leader that has ended left behind, waits for the output and returns how the leader ended: nil, an
// [*ExitError], or why that is not known. It may be called any number of times, but not at the same time: the group's
// number may be another's later.
func (c *Child) Settle() error {
	<-c.done
	if c.settled {
		return c.end
	}
	c.settled = true
	_ = signalGroup(c.pid, syscall.SIGKILL)
	late := time.AfterFunc(drainTime, func() { _ = closeAll(c.readers) })
	c.drained.Wait()
	if late.Stop() {
		_ = closeAll(c.readers)
	}
	c.end = exitOf(c.cmd.ProcessState, c.err, c.last.excerpt())
	return c.end
}

// Terminate asks groups to end, all at once, and ends them after one grace for all. It returns when every leader has
// ended.
func (h *Host) Terminate(children ...*Child) {
	left := slices.DeleteFunc(slices.Clone(children), (*Child).Exited)
	if len(left) == 0 {
		return
	}
	var asked sync.WaitGroup
	for _, c := range left {
		if c.command.Container != "" {
			asked.Go(func() { h.container(c.command.Path, "kill", "--signal", "TERM", c.command.Container) })
			continue
		}
		_ = signalGroup(c.pid, syscall.SIGTERM)
	}
	left = h.await(left)
	asked.Wait()
	for _, c := range left {
		if c.command.Container != "" {
			asked.Go(func() { h.container(c.command.Path, "rm", "-f", c.command.Container) })
		}
	}
	asked.Wait()
	for _, c := range left {
		_ = signalGroup(c.pid, syscall.SIGKILL)
	}
	for _, c := range children {
		<-c.done
	}
}

// await waits a grace for groups to end and returns those that have not.
func (h *Host) await(left []*Child) []*Child {
	grace := time.NewTimer(h.Grace)
	defer grace.Stop()
	poll := time.NewTicker(groupPoll)
	defer poll.Stop()
	for len(left) > 0 {
		select {
		case <-poll.C:
			live := liveGroups(left)
			left = slices.DeleteFunc(left, func(c *Child) bool { return c.Exited() && !live[c.pid] })
		case <-grace.C:
			return left
		}
	}
	return left
}

func exitOf(state *os.ProcessState, err error, tail string) error {
	if err == nil {
		return nil
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &ExitError{Status: 128 + int(status.Signal()), Signal: status.Signal(), Tail: tail}
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &ExitError{Status: exit.ExitCode(), Tail: tail}
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
