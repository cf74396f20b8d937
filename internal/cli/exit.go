package cli

import (
	"context"
	"fmt"
	"time"
)

// The exit codes; those from 64 on are sysexits'.
const (
	exitSucceeded = 0
	exitFailed    = 1  // the job failed, was cancelled, timed out or was lost
	exitRejected  = 2  // the drop is not a valid job, or incomplete
	exitUsage     = 64 // the command line is wrong
	exitMissing   = 69 // this machine lacks something
	exitFault     = 70 // jobdrop's own fault
)

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

// fault returns err as jobdrop's own fault, and nil if err is nil.
func fault(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitFault, err: err}
}

// missing returns err as something that this machine lacks.
func missing(err error) error { return &exitError{code: exitMissing, err: err} }

// interrupted returns the error of a run that somebody stopped. The end of its
// stack has ended the job.
func interrupted() error { return exit(exitFailed, "interrupted: the job, if it ran, was ended") }

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
