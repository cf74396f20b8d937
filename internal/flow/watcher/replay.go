package watcher

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Replayed is a drop that was found below a prefix.
type Replayed struct {
	// JobFile is the generation that is there now.
	JobFile job.Object
	// Known tells that it had a record before: it is left as it is.
	Known bool
	// State and Reason are those of its record; empty where it has none.
	State  job.State
	Reason string
	// Err is why it could not be looked at.
	Err error
}

// Replay runs the drops in a folder of the inbox, and below it, that have no record,
// however old they are: nobody looked at them, since they are from before the
// installation, or their events were lost and not made up for in time. A job file
// may stand for its folder. With dry it only finds them. tell is called with each
// drop, in the order of their names, and ends the replay by an error. After limit
// drops without a record it ends with [ErrMore] if there is another.
func (w *Watcher) Replay(ctx context.Context, folder string, dry bool, limit int, tell func(Replayed) error) error {
	if folder != "" && !strings.HasSuffix(folder, "/") && !job.IsJobFile(folder) {
		folder += "/" // census is not census2
	}
	done := map[string]bool{} // folders: one with two job files is one drop
	return w.objects.ListAfter(ctx, w.Inbox, folder, "", func(page []job.Attributes) error {
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

// ErrMore says that there are more drops than were asked for.
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
		r.State, r.Reason = stored.State, stored.Reason
	case !errors.Is(err, job.ErrNotFound):
		r.Err = fmt.Errorf("what became of it: %w", err)
	}
	return r
}
