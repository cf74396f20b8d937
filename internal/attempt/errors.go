package attempt

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jobdrop/jobdrop/pkg/job"
)

var (
	// ErrStale is returned when a conditional write meets another generation than expected.
	ErrStale = errors.New("written by another meanwhile")
	// ErrTelling is returned when another worker is about to publish what a record holds. Who comes
	// back finds it published, or publishes it.
	ErrTelling = fmt.Errorf("its events are being published: %w", ErrStale)
	// ErrDeciding is returned when another worker has just begun to decide upon a drop, on account of the same
	// objects.
	ErrDeciding = fmt.Errorf("another worker decides upon it: %w", ErrStale)
	// ErrNoTick is returned for an old job file until the installation's first tick has said whether
	// it is older than the installation.
	ErrNoTick = errors.New("the installation has not had its first tick")
	// ErrBusy is returned when the time for a drop was over before its check began, since others were
	// being checked.
	ErrBusy = errors.New("other drops are being checked")
	// ErrOtherBackend is returned when the job was given to another backend than the one that is
	// asked.
	ErrOtherBackend = errors.New("the job is another backend's")
	// ErrSlow is returned when the time for a drop was over while its content was read. Its attempt
	// waits for the next check.
	ErrSlow = errors.New("there was no time to check the drop")
	// ErrHeld is returned when a request is answered, and may not be deleted, e.g. since its writer has
	// put a hold on it.
	ErrHeld = errors.New("the request is answered, and may not be deleted")
)

// RefusedError reports that a backend refused a request for good: it would refuse the same request
// again.
type RefusedError struct {
	// Code is a google.rpc.Code name, e.g. INVALID_ARGUMENT.
	Code    string
	Message string
	// Fields holds the violations that the backend named.
	Fields []job.Violation
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused by the backend: %s: %s", e.Code, e.Message)
}

// ConflictError reports that the backend has another job of the same ID.
type ConflictError struct {
	JobID string
	// Found is the backend's answer about that job.
	Found BackendJob
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("job ID %s is taken by another job in state %s", e.JobID, e.Found.State)
}

// Contended reports whether an error means only that another worker was faster, that others have to be
// done, or that a tick has to be first: nobody needs to act. Of joined errors each must be or wrap
// [ErrStale], [ErrBusy] or [ErrNoTick], so that no other error is hidden.
func Contended(err error) bool { return only(err, ErrStale, ErrBusy, ErrNoTick) }

// Slow reports whether an error means only that there was no time to check a drop, see [ErrSlow], or
// besides that another worker was faster.
func Slow(err error) bool { return errors.Is(err, ErrSlow) && only(err, ErrSlow, ErrStale) }

// Left reports whether an error means only that what is to be done is left to another worker, which is at it:
// see [ErrTelling] and [ErrDeciding].
func Left(err error) bool { return only(err, ErrTelling, ErrDeciding) }

// Held reports whether an error means only that an answered request may not be deleted: see [ErrHeld].
func Held(err error) bool { return only(err, ErrHeld) }

// only reports whether an error is of some classes. Of joined errors each must be.
func only(err error, classes ...error) bool {
	if slices.Contains(classes, err) {
		return true
	}
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			if !only(part, classes...) {
				return false
			}
		}
		return true
	case interface{ Unwrap() error }:
		return only(e.Unwrap(), classes...)
	}
	return false // the chain was walked
}
