package attempt

import (
	"errors"
	"fmt"

	"github.com/jobdrop/jobdrop/pkg/job"
)

var (
	// ErrStale: a conditional write met another generation than expected.
	ErrStale = errors.New("written by another meanwhile")
	// ErrOtherTrainer: the job was given to another trainer than is asked here.
	ErrOtherTrainer = errors.New("the job is another trainer's")
)

// RefusedError is a trainer's final no: the same request would be refused again.
type RefusedError struct {
	// Code is a google.rpc.Code name, e.g. INVALID_ARGUMENT.
	Code    string
	Message string
	// Fields are the violations that the trainer named.
	Fields []job.Violation
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused by the trainer: %s: %s", e.Code, e.Message)
}

// ConflictError says that the trainer has another job of the same ID.
type ConflictError struct {
	JobID string
	// Found is what the trainer says of it.
	Found Look
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("job ID %s is taken by another job in state %s", e.JobID, e.Found.State)
}

// Contended reports whether an error says only that another worker was faster:
// [ErrStale], and if several errors were joined, each of them. So nothing else hides
// behind it.
func Contended(err error) bool {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			if !Contended(part) {
				return false
			}
		}
		return true
	case interface{ Unwrap() error }:
		return Contended(e.Unwrap())
	}
	return err == ErrStale // the chain was walked
}
