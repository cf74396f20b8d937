package training

import (
	"cmp"
	"context"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/process"
)

// step is a command of a job. Its output goes to the job's log, unless it has readers of its own.
type step struct {
	process.Command
	task  string // whose lines its output is; the service's own if empty
	trial string // the trial that it belongs to, if any
}

// start starts a step and records its processes, unless ctx is done. The caller settles it.
func (s *Service) start(ctx context.Context, e *entry, c step) (*process.Child, error) {
	c.task = cmp.Or(c.task, taskService)
	if c.Stdout == nil {
		c.Stdout = func(line string) { e.log.WriteTrial(c.trial, c.task, stdout, line) }
	}
	if c.Stderr == nil {
		c.Stderr = func(line string) { e.log.WriteTrial(c.trial, c.task, stderr, line) }
	}
	c.Record = func(g process.Group) { s.addProcess(e, jobs.JobProcess{Task: c.task, Trial: c.trial, Group: g}) }
	return s.host.Start(ctx, c.Command)
}

// exec runs a step and returns when nothing of its group is left. The error is a [*process.ExitError], the cause that
// ended e.ctx, or why there is no process.
func (s *Service) exec(e *entry, c step) error { return s.execWithin(e.ctx, e, c) }

// execWithin is exec with a context of the step's own, which ends with e.ctx or before.
func (s *Service) execWithin(ctx context.Context, e *entry, c step) error {
	child, err := s.start(ctx, e, c)
	if err != nil {
		return err
	}
	defer s.forgetProcesses(e, c.trial)
	select {
	case <-child.Done():
		return child.Settle()
	case <-ctx.Done():
		s.host.Terminate(child)
		_ = child.Settle()
		return context.Cause(ctx)
	}
}
