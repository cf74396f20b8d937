package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// startTime is how long a program may take to listen.
	startTime = time.Minute
	// stopTime is how long a program may take to end.
	stopTime = 5 * time.Second
)

// process is a program under measurement.
type process struct {
	command *exec.Cmd
	address string
	url     string
	log     string // the file of its output
	exited  chan struct{}
}

// start starts a program and waits until it listens. Its output goes to a file.
func start(ctx context.Context, p program, environment []string, log string) (*process, error) {
	s, err := launch(p, environment, log)
	if err != nil {
		return nil, err
	}
	if err := s.listens(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s: %w\n%s", p.title, err, s.lastWords())
	}
	return s, nil
}

// launch starts a program.
func launch(p program, environment []string, log string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	c := exec.Command(p.command[0], p.command[1:]...)
	c.Dir = p.dir
	c.Env = slices.Concat(c.Environ(), p.environment, environment, []string{"PORT=" + port})
	c.Stdout, c.Stderr = output, output
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.title, err)
	}
	address := "127.0.0.1:" + port
	s := &process{command: c, address: address, url: "http://" + address + "/", log: log, exited: make(chan struct{})}
	go func() {
		_ = c.Wait() // it is stopped
		close(s.exited)
	}()
	return s, nil
}

// freePort returns a port that nobody listens at.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), l.Close()
}

// listens waits until the program takes connections.
func (s *process) listens(ctx context.Context) error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	end := time.After(startTime)
	for {
		if c, err := net.Dial("tcp", s.address); err == nil {
			return c.Close()
		}
		select {
		case <-poll.C:
		case <-s.exited:
			return errors.New("the program ended before it listened at PORT")
		case <-end:
			return fmt.Errorf("the program does not listen at PORT after %s", startTime)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// spent is what a program took of the machine.
type spent struct {
	cpu time.Duration
	// memory is the peak in bytes; 0 where the system does not say.
	memory int64
}

// add adds what another process of the program took. The memory is that of the largest.
func (s *spent) add(other spent) {
	s.cpu += other.cpu
	s.memory = max(s.memory, other.memory)
}

// stop ends the program and returns what it took.
func (s *process) stop() spent {
	// The peak of the system's own account includes what this process had when it forked.
	peak := s.status("VmHWM")
	if s.command.Process.Signal(syscall.SIGTERM) != nil {
		_ = s.command.Process.Kill()
	}
	select {
	case <-s.exited:
	case <-time.After(stopTime):
		_ = s.command.Process.Kill()
		<-s.exited
	}
	ended := s.command.ProcessState
	if peak == 0 {
		peak = maxResident(ended)
	}
	return spent{cpu: ended.UserTime() + ended.SystemTime(), memory: peak}
}

// running reports whether the program has not ended.
func (s *process) running() bool {
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// status returns a field of Linux's account of the process, in bytes; 0 elsewhere.
func (s *process) status(field string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kB, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kB << 10
		}
	}
	return 0
}

// lastWords returns the end of the program's output.
func (s *process) lastWords() string {
	f, err := os.Open(s.log)
	if err != nil {
		return ""
	}
	defer f.Close()
	const most = 4 << 10
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	text, _ := io.ReadAll(f)
	return string(text)
}
