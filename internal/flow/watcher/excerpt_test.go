package watcher_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// failed returns a fake with a job that has failed since the last tick.
func failed(t *testing.T, id string) *fake {
	f := newFake()
	f.add(t, id, backendJob(id, job.BackendRunning))
	l := backendJob(id, job.BackendFailed)
	l.Message = "exited"
	f.direct[id] = l
	return f
}

// verdict returns the failure that the last event of a job tells.
func (f *fake) verdict(t *testing.T, id string) *job.Failure {
	t.Helper()
	r := f.records[f.owners[id]]
	if r.State != job.Failed || r.Error == nil {
		t.Fatalf("state %s, error %v", r.State, r.Error)
	}
	return r.Error
}

// The excerpt is with the verdict's event, by a tick and by a hint; it is asked for once.
func TestExcerptOfFailedJobs(t *testing.T) {
	for _, hint := range []bool{false, true} {
		f := failed(t, "j")
		asked := 0
		o := f.options()
		o.Excerpt = func(_ context.Context, r attempt.Record, l attempt.BackendJob) (string, error) {
			asked++
			if r.Job.ID != "j" || l.State != job.BackendFailed {
				t.Errorf("asked for %s, %s", r.Job.ID, l.State)
			}
			return "ValueError: no", nil
		}
		w, err := f.new(o)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if hint {
				err = w.Refresh(t.Context(), "j")
			} else {
				err = w.Tick(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if failure := f.verdict(t, "j"); failure.Excerpt != "ValueError: no" || asked != 1 {
			t.Errorf("hint %t: excerpt %q, asked %d times", hint, failure.Excerpt, asked)
		}
	}
}

// Logs that hang, or can't be read, delay a verdict by three seconds at most, and hide nothing.
func TestExcerptDelaysNothing(t *testing.T) {
	for name, of := range map[string]func(ctx context.Context) (string, error){
		"hangs":   func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() },
		"refuses": func(context.Context) (string, error) { return "", errors.New("denied") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := failed(t, "j")
				o := f.options()
				o.Excerpt = func(ctx context.Context, _ attempt.Record, _ attempt.BackendJob) (string, error) { return of(ctx) }
				w, err := f.new(o)
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				if err := w.Tick(t.Context()); err != nil {
					t.Errorf("the tick fails: %v", err)
				}
				if took := time.Since(begin); took > 3*time.Second {
					t.Errorf("the verdict came after %s", took)
				}
				if failure := f.verdict(t, "j"); failure.Message != "exited" || failure.Excerpt != "" {
					t.Errorf("told %+v", failure)
				}
			})
		})
	}
}

// No log is read for a job that did not fail by itself.
func TestExcerptsOfFailuresAlone(t *testing.T) {
	f := newFake()
	o := f.options()
	asked := 0
	o.Excerpt = func(context.Context, attempt.Record, attempt.BackendJob) (string, error) { asked++; return "", nil }
	w, err := f.new(o)
	if err != nil {
		t.Fatal(err)
	}
	look := func(id string, l attempt.BackendJob) {
		f.add(t, id, backendJob(id, job.BackendRunning))
		f.direct[id] = l
		if err := w.Refresh(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for i, state := range []job.BackendState{job.BackendSucceeded, job.BackendCancelled, job.BackendRunning, job.BackendFailed} {
		id := string(rune('a' + i))
		l := backendJob(id, state)
		l.DeadlineExceeded = state == job.BackendFailed
		look(id, l)
	}
	if asked > 0 {
		t.Errorf("%d reads for jobs that did not fail", asked)
	}
	if look("failed", backendJob("failed", job.BackendFailed)); asked != 1 {
		t.Errorf("%d reads for a job that failed", asked)
	}
}
