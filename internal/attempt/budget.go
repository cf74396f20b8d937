package attempt

import (
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Month returns the calendar month of a time in UTC, as in 2026-11. Later months come later in the order of texts.
func Month(t time.Time) string { return t.UTC().Format("2006-01") }

// MonthEnd returns when the month of a time ends, in UTC.
func MonthEnd(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

// Spent is what attempts used of a budget whose turns the note no longer holds.
type Spent struct {
	// Folders is the pattern of the budget.
	Folders string `json:"folders"`
	Month   string `json:"month"`
	// Seconds are of one accelerator.
	Seconds int64 `json:"seconds"`
}

// Size returns an upper bound of the bytes that the sum takes in the ledger's note.
func (s Spent) Size() int {
	const rest = 80 // names of fields, a month, a number
	return job.TextSize(s.Folders) + rest
}

// keptSettled is for how long the turn of a budget stays in the note once its hours are settled. A process that was
// stopped may still write to the index, so that the attempt seems to wait: it must not have another turn.
const keptSettled = time.Hour

// Kept reports whether the turn stays in the note, whether its job was created lately or not.
func (t Turn) Kept(now time.Time) bool {
	return t.Month != "" && (!t.Done || t.Settled.After(now.Add(-keptSettled)))
}

// Unsettled reports whether the turn of a budget is held by an attempt that has left the index. It is for a backlog
// that covers the whole index.
func (b *Backlog) Unsettled() bool {
	return slices.ContainsFunc(b.Turns.Given, func(t Turn) bool {
		_, isOpen := b.Open[t.Attempt]
		return t.Month != "" && !t.Done && !isOpen
	})
}

// Measured says what the job of an attempt may take that waits for its turn. An earlier revision accepted it.
type Measured struct {
	// AcceleratorSeconds is as in [Accept].
	AcceleratorSeconds int64
}

func (o Measured) apply(r *Record, _ time.Time) error {
	if r.State != job.Accepted || !r.Queued || r.AcceleratorSeconds != nil {
		return errNothingNew
	}
	r.AcceleratorSeconds = new(o.AcceleratorSeconds)
	return nil
}

// OverBudget says that the operator's policy refuses an attempt that waits for its turn: too few accelerator hours are
// left for it.
type OverBudget struct {
	Reason    string
	Violation job.Violation
}

func (o OverBudget) apply(r *Record, now time.Time) error {
	if r.State != job.Accepted || !r.Queued || r.Turn || r.CreateUnknown() {
		return errNothingNew
	}
	r.Reason, r.Error, r.Deadlines = job.BoundText(o.Reason, job.MaxText), nil, job.Deadlines{}
	r.Violations = append(slices.Clone(r.Violations), o.Violation)
	r.conclude(job.Rejected, job.DropRejected, now)
	return nil
}
