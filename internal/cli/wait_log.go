package cli

import (
	"context"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// drainTime is how long the end of a job's log is waited for, beside the pauses between reads: the verdict does not
// depend on it.
const drainTime = 10 * time.Second

// tail shows the log of a job while it is waited for.
type tail struct {
	target *target
	say    func(format string, args ...any)
	line   func(training.Line)

	resource string        // of the job
	over     chan struct{} // closed when the job has its verdict
	ended    chan struct{} // closed when the log is not read any more
	poll     time.Duration
	cancel   context.CancelFunc
}

// start begins with the log of an attempt's job, unless that is shown already.
func (t *tail) start(ctx context.Context, s job.Snapshot) {
	if t.resource == s.Job.ResourceName {
		return
	}
	t.stop()
	t.resource = s.Job.ResourceName
	ctx, t.cancel = context.WithCancel(ctx)
	t.over, t.ended, t.poll = make(chan struct{}), make(chan struct{}), logPoll
	read := t.readCloud
	if t.target.BackendEndpoint != "" {
		t.poll, read = followPoll, t.readLocal
	}
	go func(over <-chan struct{}, ended chan<- struct{}) {
		defer close(ended)
		if err := read(ctx, s, over); err != nil && ctx.Err() == nil {
			t.say("the log is not shown any more: %v", err)
		}
	}(t.over, t.ended)
}

// readLocal passes on the lines of the log of a job of a jobdrop local until the job has ended.
func (t *tail) readLocal(ctx context.Context, s job.Snapshot, _ <-chan struct{}) error {
	r, err := newLogReader(ctx, logsOptions{job: s.Job.ID, endpoint: t.target.BackendEndpoint})
	if err != nil {
		return err
	}
	if err := r.find(ctx); err != nil {
		return err
	}
	for {
		ended, err := r.ended(ctx) // the log is complete before the state says so
		if err == nil {
			err = r.source.Read(ctx, t.entry)
		}
		if err != nil || ended {
			return err
		}
		if err := sleep(ctx, r.source.poll); err != nil {
			return err
		}
	}
}

// readCloud passes on the lines of the log of a job from Cloud Logging. After the verdict it reads on for a while: the
// last lines come late.
func (t *tail) readCloud(ctx context.Context, s job.Snapshot, over <-chan struct{}) error {
	v := &view{Config: t.target.Config}
	source, err := v.logs(ctx, s, logs.Filter{})
	if err != nil {
		return err
	}
	poll := time.NewTicker(source.poll)
	defer poll.Stop()
	for left, failed := settleReads, false; ; {
		err := source.Read(ctx, t.entry)
		switch {
		case err != nil && (ctx.Err() != nil || !passing(err)):
			return err
		case err != nil && !failed:
			t.say("the log can't be read for now: %s", oneLine(err.Error()))
		}
		failed = err != nil
		if over == nil {
			if left--; left == 0 {
				return err
			}
		}
		select {
		case <-poll.C:
		case <-over:
			over = nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// entry passes on a line.
func (t *tail) entry(l logs.Line) { t.line(printable(l)) }

// drain waits for the end of the log.
func (t *tail) drain() {
	if t.ended == nil {
		return
	}
	close(t.over)
	patience := time.NewTimer(drainTime + t.poll)
	defer patience.Stop()
	select {
	case <-t.ended:
	case <-patience.C:
	}
	t.stop()
}

// stop ends the tail.
func (t *tail) stop() {
	if t.ended == nil {
		return
	}
	t.cancel()
	<-t.ended
	t.ended = nil
}
