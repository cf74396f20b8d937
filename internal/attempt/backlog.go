package attempt

import (
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Backlog is what the queue has to know of the index. It is gathered entry by entry
// as a tick goes through that, so that the index is neither held nor listed again.
type Backlog struct {
	// Turns are those that were given. They were read before the index was listed:
	// so one that anybody gave meanwhile is found out when they are written.
	Turns Turns
	// Waiting are the attempts that wait.
	Waiting []Entry
	// Open are the attempts of Turns that have no verdict, with the time at which
	// their job was created; zero where it was not.
	Open map[string]time.Time
	// Active counts the other jobs without a verdict by their folders, Started
	// those of them that were created within the hour.
	Active, Started map[string]int64

	now   time.Time
	named map[string]bool // by Turns
}

// NewBacklog begins a backlog.
func NewBacklog(turns Turns, now time.Time) *Backlog {
	b := &Backlog{Turns: turns, now: now, Open: map[string]time.Time{}, Active: map[string]int64{}, Started: map[string]int64{}, named: map[string]bool{}}
	for _, t := range turns.Given {
		b.named[t.Attempt] = true
	}
	return b
}

// Add takes an entry in. Each is added once.
func (b *Backlog) Add(e Entry) {
	if b.named[e.Attempt] {
		b.Open[e.Attempt] = e.Created
	}
	switch {
	case e.State == job.Accepted && e.Waits != "":
		b.Waiting = append(b.Waiting, e)
	case b.named[e.Attempt]:
	case e.State == job.Accepted, e.State == job.Submitted:
		folder := job.Folder(e.JobFile)
		b.Active[folder]++
		if e.Created.IsZero() || Lately(e.Created, b.now) {
			b.Started[folder]++
		}
	}
}

// Lately tells whether a limit on jobs per hour counts what was at t.
func Lately(t, now time.Time) bool { return t.After(now.Add(-time.Hour)) }
