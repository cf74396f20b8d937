package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
)

const (
	// maxRestarts is how often a job is run again. Google's guide says of Spot VMs that the job "fails with a STOCKOUT
	// error and Compute Engine tries to restart the job up to six times".
	maxRestarts = 6
	// defaultWait is long enough for a person, and for whoever polls each second, to see that the job waits.
	defaultWait = 3 * time.Second
)

// Preemption says when the service takes a job's machines away, as Compute Engine does with Spot VMs. Jobs with
// hyperparameters keep theirs.
type Preemption struct {
	// Times is how often each job loses its machines by itself.
	Times int
	// After is for how long a job is RUNNING before it does.
	After time.Duration
	// Wait is how long a job that has lost its machines waits for others, 3 seconds by default.
	Wait time.Duration
}

// ErrNotRunning is returned for a job that has no machines that could be taken away.
var ErrNotRunning = errors.New("the job has no machines that can be taken away")

// errPreempted ends a run of replicas that lost their machines.
var errPreempted = errors.New("the machines were taken away")

// lost is the errorMessage of a job that ended because it lost its machines.
type lost struct{ message }

func (lost) Is(target error) bool { return target == jobs.ErrPreempted }

// Preempt takes all machines of a running job away. The job goes by its ID, or by its name in Options.Changed. Its
// processes get SIGTERM, and SIGKILL after a grace. What they left on their disks is gone. Then the job is PREPARING
// until it has other machines, and runs again from its beginning, with the same job directory.
func (s *Service) Preempt(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.order {
		if shown, _ := e.Shown(); shown != name && e.Job.JobID != name {
			continue
		}
		if e.Job.State != jobs.Running || e.lose == nil {
			return fmt.Errorf("%s is %s: %w", name, e.Job.State, ErrNotRunning)
		}
		e.lose()
		e.lose = nil
		return nil
	}
	return jobs.ErrJobUnknown
}

// arm lets a job that is about to run lose its machines. The caller holds mu.
func (s *Service) arm(e *entry, run part) {
	if run.lose == nil {
		return
	}
	e.lose = run.lose
	if e.Restarts < s.opts.Preemption.Times {
		timer := time.AfterFunc(s.opts.Preemption.After, run.lose)
		context.AfterFunc(run.ctx, func() { timer.Stop() })
	}
}

// keep ends the time in which a job's machines can be taken away.
func (s *Service) keep(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.lose = nil
}

// restart has a job that lost its machines wait for others. Its error is the job's errorMessage, or the cause that
// ended e.ctx.
func (s *Service) restart(e *entry, p places) error {
	// The others have disks of their own.
	if err := os.RemoveAll(p.work); err != nil {
		return messagef("The job's folder can't be emptied: %v", err)
	}
	s.mu.Lock()
	if e.Job.State != jobs.Running { // a cancel came first
		s.mu.Unlock()
		return context.Cause(e.ctx)
	}
	end := ""
	if setting := e.NoRetries(); setting != "" {
		end = "is not run again, by its " + setting
	} else if e.Restarts == maxRestarts {
		end = fmt.Sprintf("was run again %d times already", maxRestarts)
	}
	if end != "" {
		s.mu.Unlock()
		return lost{message("The job's machines were taken away (STOCKOUT), and it " + end + ".")}
	}
	e.Restarts++
	e.Job.State = jobs.Preparing
	s.saveLocked(e)
	s.mu.Unlock()
	e.log.Write(taskService, stderr, fmt.Sprintf("The job's machines were taken away (STOCKOUT). It is run again on others "+
		"(%d of at most %d times).", e.Restarts, maxRestarts))
	wait := time.NewTimer(s.opts.Preemption.Wait)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-e.ctx.Done():
		return context.Cause(e.ctx)
	}
}
