package submitter

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// unreadable is an inbox whose objects can't be read.
type unreadable struct{ objects }

var errUnreadable = errors.New("connection reset")

func (unreadable) Open(context.Context, string, string, int64) (io.ReadCloser, error) {
	return nil, errUnreadable
}

// A drop that can't be read makes room for the next. Otherwise a few of them would block a
// process.
func TestInspectMakesRoomAfterAnError(t *testing.T) {
	s := &Submitter{objects: unreadable{}, inspecting: make(chan struct{}, 2)}
	d := job.Assemble("inbox", "a/", []job.Object{{Bucket: "inbox", Name: "a/job.yaml", Generation: 1, Size: 1}})
	if _, err := s.inspect(t.Context(), d, policy.Policy{}); !errors.Is(err, errUnreadable) {
		t.Fatalf("inspect: %v, want %v", err, errUnreadable)
	}
	if n := len(s.inspecting); n != 0 {
		t.Errorf("%d inspections are under way after it", n)
	}
}
