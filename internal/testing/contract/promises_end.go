package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// cancels are the promises about the end of a job that somebody wants to end.
func cancels() []Promise {
	return []Promise{
		{
			Name:   "a cancel ends the job",
			Breach: "a job goes on, and costs, that people were told was cancelled",
			For:    []string{"watcher.cancel", "watcher.cancelOne"},
			check:  cancelEnds,
		},
		{
			Name:   "a cancel of nothing says so",
			Breach: "a second job that has vanished is reported as an error at each tick",
			For:    []string{"watcher.cancelOne", "watcher.cancel"},
			check:  cancelNothing,
		},
		{
			Name:   "a cancel of an ended job changes nothing",
			Breach: "an attempt whose job has just ended is reported as gone",
			For:    []string{"watcher.cancel"},
			check:  cancelEnded,
		},
		{
			Name:   "a job that is being cancelled has not ended",
			Breach: "people hear that a job was cancelled which runs, or which succeeded",
			For:    []string{"attempt.follow", "watcher.cancel"}, faults: true,
			check: cancelling,
		},
	}
}

// calls are the promises about every call.
func calls() []Promise {
	return []Promise{
		{
			Name:   "a service that stumbles is asked again",
			Breach: "each hiccup of the service makes a tick fail",
			For:    []string{"watcher.ask", "watcher.list", "watcher.cancel"}, faults: true,
			check: stumbles,
		},
		{
			Name:   "a quota of looks is left to the next tick",
			Breach: "a tick spends its time with waiting, or takes a job for gone",
			For:    []string{"watcher.ask", "watcher.list", "watcher.cancel"}, faults: true,
			check: looksQuota,
		},
		{
			Name:   "a call ends with its context",
			Breach: "a function hangs until it is killed, or a worker creates a job after its claim was over",
			For:    []string{"submitter.ask", "watcher.run"}, faults: true,
			check: contexts,
		},
		{
			Name:   "an answer without an end is cut off",
			Breach: "one answer takes a function's memory, and each tick dies of it",
			For:    []string{"watcher.ask", "watcher.list", "submitter.ask"}, faults: true,
			check: endless,
		},
	}
}

// ended waits for a job's end.
func (c *try) ended(made attempt.BackendJob) (attempt.BackendJob, error) {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		got, err := c.get(made)
		if err != nil || !got.Ended.IsZero() && got.State.Ended() {
			return got, err
		}
		select {
		case <-poll.C:
		case <-c.Done():
			return got, fmt.Errorf("the job is still %s: %w", got.State, c.Err())
		}
	}
}

func cancelEnds(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	if err := c.backend.Cancel(c, c.info(made)); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	ended, err := c.ended(made)
	if err == nil && (ended.State != job.BackendCancelled || ended.Ended.Before(ended.Created)) {
		err = fmt.Errorf("cancelled, and ended as %+v", ended)
	}
	return err
}

func cancelNothing(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	return want("a cancel of what is not there", c.backend.Cancel(c, c.absent(made)), "not found")
}

func cancelEnded(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	_ = c.backend.Cancel(c, c.info(made)) // another promise is about it
	before, err := c.ended(made)
	if err != nil {
		return err
	}
	if class := classOf(c.backend.Cancel(c, c.info(made))); class != "done" && class != "refused" {
		return fmt.Errorf("a cancel of an ended job is %s", class)
	}
	after, err := c.get(made)
	if err == nil && (after.State != before.State || after.Ended != before.Ended) {
		err = fmt.Errorf("a cancel changed its end from %+v to %+v", before, after)
	}
	return err
}

func cancelling(c *try) error {
	made, r, err := c.limited()
	if err != nil {
		return err
	}
	started := begin.Add(time.Minute)
	r, err = c.follow(made, r, Look{State: job.BackendRunning, Started: started},
		Look{State: job.BackendCancelling, Started: started})
	if err != nil {
		return err
	}
	if r.State != job.Submitted || r.Job.State != job.BackendCancelling {
		return fmt.Errorf("a job that is being cancelled is %s, %s", r.State, r.Job.State)
	}
	r, err = c.follow(made, r, Look{State: job.BackendSucceeded, Started: started, Ended: started.Add(runMost)})
	if err == nil && r.State != job.Succeeded {
		err = fmt.Errorf("a job that succeeded before its cancel took effect is %s", r.State)
	}
	return err
}

// reads returns each call of a backend but creates, on one job.
func (c *try) reads(made attempt.BackendJob) map[Call]func(ctx context.Context) error {
	return map[Call]func(ctx context.Context) error{
		Get: func(ctx context.Context) error { _, err := c.backend.Get(ctx, c.info(made)); return err },
		List: func(ctx context.Context) error {
			return c.backend.ListActive(ctx, c.name, "", func([]attempt.BackendJob, string) error { return nil })
		},
		Cancel: func(ctx context.Context) error { return c.backend.Cancel(ctx, c.info(made)) },
	}
}

func stumbles(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	reads := c.reads(made)
	for _, call := range []Call{Get, List, Cancel} {
		c.fail(call, c.status(http.StatusServiceUnavailable))
		if err := reads[call](c); err != nil {
			return fmt.Errorf("a %s after a 503: %w", call, err)
		}
	}
	return nil
}

func looksQuota(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	for call, ask := range c.reads(made) {
		f := c.status(http.StatusTooManyRequests)
		f.Times, f.Header = 1000, http.Header{"Retry-After": {"3600"}}
		c.fail(call, f)
		short, cancel := context.WithTimeout(c, 20*time.Second) // a backend that waited would have no time left
		err := ask(short)
		cancel()
		c.proxy.clear()
		if err := want(fmt.Sprintf("a %s that meets a 429", call), err, "quota"); err != nil {
			return err
		}
	}
	return nil
}

func contexts(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	all := c.reads(made)
	all[Create] = func(ctx context.Context) error { _, err := c.backend.Create(ctx, c.order("b")); return err }
	over, cancel := context.WithCancel(c)
	cancel()
	for call, ask := range all {
		before := c.proxy.requests(c.is(call))
		err := ask(over)
		if n := c.proxy.requests(c.is(call)) - before; err == nil || n > 0 {
			return fmt.Errorf("a %s whose context is over: %v, after %d requests", call, err, n)
		}
	}
	for call, ask := range all {
		c.fail(call, Fault{Hang: true})
		ctx, cancel := context.WithTimeout(c, 500*time.Millisecond) // in which the request arrives, on a busy machine too
		done := make(chan error, 1)
		go func() { done <- ask(ctx) }()
		select {
		case err = <-done:
		case <-time.After(10 * time.Second):
			err = errors.New("it goes on")
		}
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("a %s without an answer, whose time is over: %v", call, err)
		}
	}
	return nil
}

func endless(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	all := c.reads(made)
	all[Create] = func(ctx context.Context) error { _, err := c.backend.Create(ctx, c.order("b")); return err }
	for _, q := range []struct {
		call   Call
		status int
	}{{Get, http.StatusOK}, {Create, http.StatusBadRequest}, {List, http.StatusOK}} {
		f := Fault{Endless: true, Status: q.status, Times: 1000}
		if q.call == List {
			f.Times = 1 // a backend may have several
		}
		c.fail(q.call, f)
		err := all[q.call](c)
		c.proxy.clear()
		if err == nil {
			return fmt.Errorf("a %s that is answered without an end is done", q.call)
		}
		if n := c.proxy.taken.Load(); n >= mostPadding {
			return fmt.Errorf("a %s takes %d MiB of an answer without an end", q.call, n>>20)
		}
	}
	return nil
}
