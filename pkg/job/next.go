package job

import "time"

// Action is what is to be done about a record.
type Action string

// The actions.
const (
	Decide Action = "decide" // look at the drop's folder
	Create Action = "create" // ask the trainer for the job
	Follow Action = "follow" // ask the trainer what became of the job
	Close  Action = "close"  // tell what is untold, then take the attempt off the index
)

// Next tells what is to be done about a record. It depends on the record alone,
// so it is derived again at each look and never stored.
func Next(r Record) Action {
	switch {
	case r.State.Terminal():
		return Close
	case r.State == Accepted:
		return Create
	case r.State == Submitted:
		return Follow
	}
	return Decide
}

// Due is the next time at which a record needs a look though nothing happens.
// Zero is never.
func (r Record) Due() time.Time {
	var due time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	switch r.State {
	case Waiting:
		if !r.told(DropIncomplete) {
			consider(r.Deadlines.Incomplete)
		}
		consider(r.Deadlines.Expires)
	case Held:
		consider(r.Deadlines.Held)
	case Accepted:
		if r.Creating != nil {
			consider(r.Creating.Until)
		}
	case Submitted:
		consider(r.Deadlines.Wait)
		consider(r.Deadlines.Run)
	}
	return due
}
