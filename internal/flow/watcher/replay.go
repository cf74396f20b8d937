package watcher

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Replayed is a drop that a replay found.
type Replayed struct {
	// JobFile is the job file at its present generation.
	JobFile job.Object
	// Known reports that the drop had a record before. A replay leaves it as it is.
	Known bool
	// State and Reason are those of its record; empty if it has none.
	State  job.State
	Reason string
	// Err is why the drop could not be looked at.
	Err error
}

// Replay runs the drops in and below a folder of the inbox that have no record, however old they
// are. Nobody looked at them: they are from before the installation, or their events were lost and
// not made up for in time. folder may also be a job file. If dry is set, Replay only finds them.
// It calls tell with each drop, in the order of their names; an error of tell ends the replay.
// After limit drops without a record it returns [ErrMore] if there is another.
func (w *Watcher) Replay(ctx context.Context, folder string, dry bool, limit int, tell func(Replayed) error) error {
	if folder != "" && !strings.HasSuffix(folder, "/") && !job.IsJobFile(folder) {
		folder += "/" // census is not census2
	}
	done := map[string]bool{} // by folder: one with two job files is one drop
	return w.objects.ListAfter(ctx, w.options.Inbox, folder, "", func(page []job.Attributes) error {
		for _, o := range page {
			if !job.IsJobFile(o.Name) || !job.IsPart(o.Name, o.Size) || done[job.Folder(o.Name)] {
				continue
			}
			done[job.Folder(o.Name)] = true
			known, err := w.records.Has(ctx, job.AttemptKey(o.Object))
			if !known {
				if limit == 0 {
					return ErrMore
				}
				limit--
			}
			r := Replayed{JobFile: o.Object, Known: known, Err: err}
			if err == nil {
				r = w.replay(ctx, r, dry)
			}
			if err := tell(r); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// ErrMore is returned when there are more drops than were asked for.
var ErrMore = errors.New("there are more drops")

func (w *Watcher) replay(ctx context.Context, r Replayed, dry bool) Replayed {
	o := r.JobFile
	if !r.Known && !dry {
		if r.Err = w.resumer.Replay(ctx, o); r.Err != nil {
			return r
		}
	}
	stored, err := w.records.Get(ctx, job.AttemptKey(o))
	switch {
	case err == nil:
		r.State, r.Reason = stored.Shown(), stored.Reason
	case !errors.Is(err, job.ErrNotFound):
		r.Err = fmt.Errorf("what became of it: %w", err)
	}
	return r
}
