package account

import (
	"cmp"
	"time"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Deadline is a time at which something is due, and since when it is waited for.
type Deadline struct {
	// Name is that of the deadline, as job.Deadlines has it. Then is what happens to the attempt: "is given up".
	Name, Then string
	Since, At  time.Time
}

// Deadlines returns what is due of an attempt without a verdict, in the order in which attempts come to it.
func Deadlines(a job.Snapshot) []Deadline {
	if a.State.Terminal() {
		return nil
	}
	t, d := a.Times, a.Deadlines
	arrived := cmp.Or(t.Dropped, t.Seen)
	var due []Deadline
	for _, one := range []Deadline{
		{"held", "goes on as it is", arrived, d.Held},
		{"incomplete", "is reported", arrived, d.Incomplete},
		{"expires", "is given up", arrived, d.Expires},
		{"submit", "is given up", cmp.Or(t.Accepted, arrived), d.Submit},
		{"wait", "is cancelled if it does not run", t.Created, d.Wait},
		{"run", "is cancelled", t.Started, d.Run},
	} {
		if !one.At.IsZero() && !one.Since.IsZero() {
			due = append(due, one)
		}
	}
	return due
}

// until returns what happens at a time, with the time; nothing if there is none.
func until(said string, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return said + " at " + text.Instant(at)
}
