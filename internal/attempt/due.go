package attempt

import (
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Due returns the next time at which a record needs a look even if nothing happens. Zero means
// never.
func (r Record) Due() time.Time {
	var due time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	switch r.State {
	case job.Waiting:
		if !r.told(job.DropIncomplete) {
			consider(r.Deadlines.Incomplete)
		}
		consider(r.Deadlines.Expires)
		consider(r.NextCheck)
	case job.Held:
		consider(r.Deadlines.Held)
	case job.Accepted:
		if r.Creating != nil {
			consider(r.Creating.Until)
		} else {
			consider(r.NextTry)
		}
	case job.Submitted:
		if r.CancelAsked() && r.Job.State != job.BackendCancelling {
			consider(r.CancelRequested.At)
		}
		if r.Restarts.Over() && r.Job.State != job.BackendCancelling {
			consider(r.Restarts.Last)
		}
		if l, ok := r.limit(); ok && r.Job.State != job.BackendCancelling {
			if !slices.Contains(r.Warned, l.kind) {
				consider(l.near())
			}
			consider(r.cancelAt(l))
		}
		if at, _ := r.stuck(); !slices.Contains(r.Warned, string(r.Job.State)) {
			consider(at)
		}
	}
	return due
}
