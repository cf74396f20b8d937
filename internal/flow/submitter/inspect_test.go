package submitter

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
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
	if _, err := s.inspect(t.Context(), d, inspect.Objects{Open: s.open}, policy.Policy{}); !errors.Is(err, errUnreadable) {
		t.Fatalf("inspect: %v, want %v", err, errUnreadable)
	}
	if n := len(s.inspecting); n != 0 {
		t.Errorf("%d inspections are under way after it", n)
	}
}

// endless is an inbox whose objects take longer to read than anybody has.
type endless struct{ objects }

func (endless) Open(ctx context.Context, _, _ string, _ int64) (io.ReadCloser, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A rerun that others keep waiting is not too slow, even if its own check has begun.
func TestInspectReceivedBehindOthers(t *testing.T) {
	d := job.Assemble("inbox", "a/", []job.Object{{Bucket: "inbox", Name: "a/job.yaml", Generation: 1, Size: 1}})
	for others, want := range map[time.Duration]error{
		0: attempt.ErrSlow, 5 * time.Second: attempt.ErrSlow, time.Minute: attempt.ErrBusy,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &Submitter{objects: endless{}, inspecting: make(chan struct{}, 1), options: Options{Now: time.Now}}
			s.inspecting <- struct{}{}
			go func() {
				time.Sleep(others)
				<-s.inspecting
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if _, err := s.inspectReceived(ctx, d, nil, policy.Policy{}); !errors.Is(err, want) {
				t.Errorf("others are checked for %s: %v, want %v", others, err, want)
			}
		})
	}
}
