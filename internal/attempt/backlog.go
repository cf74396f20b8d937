package attempt

import (
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Backlog holds what the queue has to know of the index. A tick adds the entries one by one as it
// visits them, so the index is neither held in memory nor listed again.
type Backlog struct {
	// Turns holds the turns that were given. They are read before the index is listed: if anybody
	// gives one meanwhile, the conditional write of the turns fails.
	Turns Turns
	// Waiting holds the attempts that wait.
	Waiting []Entry
	// Open maps the attempts of Turns that have no verdict to the time at which their job was
	// created; zero if it was not.
	Open map[string]time.Time
	// Active counts the other jobs without a verdict, by folder. Started counts those of them that
	// were created within the last hour.
	Active, Started map[string]int64

	now   time.Time
	named map[string]bool // by Turns
}

// NewBacklog returns a backlog without entries.
func NewBacklog(turns Turns, now time.Time) *Backlog {
	b := &Backlog{
		Turns: turns, now: now, named: map[string]bool{}, Open: map[string]time.Time{},
		Active: map[string]int64{}, Started: map[string]int64{},
	}
	for _, t := range turns.Given {
		b.named[t.Attempt] = true
	}
	return b
}

// Add adds an entry. Each entry must be added once.
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

// Lately reports whether t is recent enough to count towards a limit on jobs per hour.
func Lately(t, now time.Time) bool { return t.After(now.Add(-time.Hour)) }
