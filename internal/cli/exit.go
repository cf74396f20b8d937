package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// The exit codes; those from 64 on are sysexits', 130 is a shell's.
const (
	exitSucceeded   = 0
	exitFailed      = 1   // the job failed, or doctor found a problem
	exitRejected    = 2   // the drop is not a valid job, or incomplete
	exitCancelled   = 3   // somebody cancelled the job, or the drop was withdrawn
	exitTimedOut    = 4   // the job timed out or was lost, or the drop expired
	exitUsage       = 64  // the command line is wrong
	exitUnknown     = 66  // there is no such drop, attempt or job
	exitMissing     = 69  // this machine lacks something, or the caller a right, or a service does not answer
	exitFault       = 70  // jobdrop's own fault
	exitRunning     = 75  // it is not known how it ends: it runs on, or the line was lost; ask again
	exitInterrupted = 130 // somebody interrupted the command
)

// exitOf returns the exit code of an attempt's state: [exitRunning] before the verdict.
func exitOf(s job.State) int {
	switch s {
	case job.Succeeded:
		return exitSucceeded
	case job.Failed:
		return exitFailed
	case job.Rejected:
		return exitRejected
	case job.Cancelled, job.Withdrawn:
		return exitCancelled
	case job.TimedOut, job.Lost, job.Expired:
		return exitTimedOut
	}
	return exitRunning
}

// exitError ends the command with a code, and says why if err is set.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprintf("exit %d: %v", e.code, e.err) }
func (e *exitError) Unwrap() error { return e.err }

// exit returns an error that ends the command with a code.
func exit(code int, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf(format, args...)}
}

// exitWith returns an error that ends the command with a code and says nothing; nil if it succeeded.
func exitWith(code int) error {
	if code == exitSucceeded {
		return nil
	}
	return &exitError{code: code}
}

// fault returns err as jobdrop's own fault, and nil if err is nil.
func fault(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitFault, err: err}
}

// missing returns err as something that this machine or its user lacks.
func missing(err error) error { return &exitError{code: exitMissing, err: err} }

// interrupted returns the error of a run that somebody stopped. The end of its
// stack has ended the job.
func interrupted() error { return exit(exitInterrupted, "interrupted: the job, if it ran, was ended") }

// longestEnd is how long an interrupted command may take to end.
const longestEnd = 20 * time.Second

// endInTime returns what work does. Once ctx has ended, it waits for at most
// longestEnd. Further signals do not cut that short: work waits for the processes
// of its jobs, which would be left behind.
func endInTime(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(longestEnd):
		return exit(exitFault, "not ended after %s", longestEnd)
	}
}
