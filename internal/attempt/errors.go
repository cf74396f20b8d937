package attempt

import (
	"errors"
	"fmt"

	"github.com/jobdrop/jobdrop/pkg/job"
)

var (
	// ErrStale: a conditional write met another generation than expected.
	ErrStale = errors.New("written by another meanwhile")
	// ErrOtherBackend: the job was given to another backend than is asked here.
	ErrOtherBackend = errors.New("the job is another backend's")
)

// RefusedError is a backend's final no: the same request would be refused again.
type RefusedError struct {
	// Code is a google.rpc.Code name, e.g. INVALID_ARGUMENT.
	Code    string
	Message string
	// Fields are the violations that the backend named.
	Fields []job.Violation
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused by the backend: %s: %s", e.Code, e.Message)
}

// ConflictError says that the backend has another job of the same ID.
type ConflictError struct {
	JobID string
	// Found is what the backend says of it.
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
