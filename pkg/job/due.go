package job

import "time"

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
		} else {
			consider(r.NextTry)
		}
	case Submitted:
		consider(r.Deadlines.Wait)
		consider(r.Deadlines.Run)
	}
	return due
}
