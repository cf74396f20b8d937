package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// workTime is how long one drop is worked on, apart from the waits for storage,
// before that is its verdict. The largest that is inspected at all, 4 GiB of source
// text unpacked, takes 26 seconds of a processor, and four times that where four
// processes share it. With the two minutes in which the most that may be uploaded
// is read, it ends within the four that a tick leaves to one drop: so one that is
// too much work is rejected, and not looked at again and again.
const workTime = 2 * time.Minute

// errWorkTime is why the context of a drop that is too much work ends.
var errWorkTime = errors.New("the time for one drop is over")

// work measures the time that one drop takes. It stands still while storage is
// waited for: that is not a fault of the drop's, and other bounds hold for it.
type work struct {
	file  string // what was opened last
	limit time.Duration
	left  time.Duration
	began time.Time
	timer *time.Timer
}

// newWork begins to measure. The context ends with ctx, or with [errWorkTime] as
// its cause once the time is over.
func newWork(ctx context.Context, limit time.Duration) (*work, context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &work{limit: limit, left: limit, began: time.Now(), timer: time.AfterFunc(limit, func() { cancel(errWorkTime) })}
	return w, ctx, func() {
		w.timer.Stop()
		cancel(nil)
	}
}

// waiting is called before a wait for storage. The function that it returns is
// called afterwards.
func (w *work) waiting() func() {
	w.timer.Stop()
	w.left -= time.Since(w.began)
	return func() {
		w.began = time.Now()
		w.timer.Reset(w.left)
	}
}

// objects returns from with its calls left out of the measure.
func (w *work) objects(from Objects) Objects {
	measured := Objects{Open: func(ctx context.Context, o job.Object) (io.ReadCloser, error) {
		w.file = o.Base()
		defer w.waiting()()
		r, err := from.Open(ctx, o)
		if err != nil {
			return nil, err
		}
		return content{r, w}, nil
	}}
	if from.Stat != nil {
		measured.Stat = func(ctx context.Context, bucket, name string) (job.Object, error) {
			defer w.waiting()()
			return from.Stat(ctx, bucket, name)
		}
	}
	return measured
}

// content is an object's content, measured.
type content struct {
	io.ReadCloser
	work *work
}

func (c content) Read(p []byte) (int, error) {
	defer c.work.waiting()()
	return c.ReadCloser.Read(p)
}

// over returns the verdict on a drop whose time is over.
func (w *work) over() job.Violation {
	return job.Violation{
		Rule: ruleInspectionTime, Severity: job.Error, File: w.file,
		Message: "the check of the drop took too long, and stopped in this file",
		Found:   fmt.Sprintf("more than %s", job.FormatDuration(w.limit)),
		Allowed: fmt.Sprintf("at most %s", job.FormatDuration(w.limit)),
		Remedy: "leave data, environments and generated files out of the packages, and upload fewer of them; then upload " +
			"the job file again",
	}
}
