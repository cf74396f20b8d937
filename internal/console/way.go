package console

import (
	"cmp"
	"time"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// way is an attempt's way from the upload to its verdict, as a picture of which the widths are times.
type way struct{ Phases []phase }

// phase is a part of the way.
type phase struct {
	Name string
	// Class names its colour.
	Class string
	From  time.Time
	// To is its end, or the time of the page while it lasts.
	To    time.Time
	Lasts bool
	// Clock says whose times these are: jobdrop's, the backend's, or the storage's at the beginning.
	Clock string
	// X and Width are where it is drawn, of wayWidth in all. Folded reports that it is drawn shorter than it was.
	X, Width int
	Folded   bool
}

// Took returns how long the phase took, or has taken so far.
func (p phase) Took() time.Duration { return p.To.Sub(p.From) }

// Fold returns where the picture shows that the phase was longer.
func (p phase) Fold() int { return p.X + p.Width/2 }

const (
	// wayWidth is the width of the picture. A phase takes leastPhase of it at least, so that it can be seen, and
	// mostPhase at most beside others: a longer one is folded.
	wayWidth   = 1000
	leastPhase = 0.03
	mostPhase  = 0.6
)

// wayOf returns the way of an attempt.
func wayOf(a job.Snapshot, now time.Time) way {
	t := a.Times
	var w way
	end := cmp.Or(t.Concluded, now)
	add := func(name, class, clock string, from, to time.Time) {
		if from.IsZero() {
			return
		}
		p := phase{Name: name, Class: class, Clock: clock, From: from, To: to}
		if to.IsZero() {
			p.To, p.Lasts = end, t.Concluded.IsZero()
		}
		if p.To.Before(p.From) {
			p.To = p.From // clocks differ
		}
		w.Phases = append(w.Phases, p)
	}
	arrived := cmp.Or(t.Dropped, t.Seen)
	add("checked", "check", "storage, then jobdrop", arrived, t.Accepted)
	add("waited for its turn", "turn", "jobdrop, then backend", t.Accepted, t.Created)
	add("waited for machines", "wait", "backend", t.Created, cmp.Or(t.Started, t.Ended))
	add("ran", "run", "backend", t.Started, t.Ended)
	w.layOut()
	return w
}

// layOut computes where the phases are drawn.
func (w *way) layOut() {
	var whole time.Duration
	for _, p := range w.Phases {
		whole += p.Took()
	}
	widths, sum := make([]float64, len(w.Phases)), 0.0
	for i := range w.Phases {
		p := &w.Phases[i]
		share := 1 / float64(len(w.Phases))
		if whole > 0 {
			share = float64(p.Took()) / float64(whole)
		}
		if share > mostPhase && len(w.Phases) > 1 {
			share, p.Folded = mostPhase, true
		}
		widths[i] = max(share, leastPhase)
		sum += widths[i]
	}
	x := 0.0
	for i := range w.Phases {
		p := &w.Phases[i]
		p.X = int(x / sum * wayWidth)
		x += widths[i]
		p.Width = int(x/sum*wayWidth) - p.X
	}
}

// historyRow is an event of an attempt, or a time in which there was none.
type historyRow struct {
	job.HistoryEntry
	// After is how long after the event before it came, Idle that nothing came for that long.
	After time.Duration
	Idle  bool
	// Backend is the backend's time of what the event tells, if it has one of its own.
	Backend time.Time
	// Tone is that of a verdict.
	Tone account.Tone
}

// idleTime is from when on a time without an event is a row of its own.
const idleTime = 10 * time.Minute

// historyOf returns the events of an attempt, with the times between them.
func historyOf(a job.Snapshot, now time.Time) (rows []historyRow) {
	before := cmp.Or(a.Times.Dropped, a.Times.Seen)
	for _, h := range a.History {
		row := historyRow{HistoryEntry: h, Backend: backendTime(a, h.Type)}
		if !before.IsZero() {
			row.After = max(h.Time.Sub(before), 0)
		}
		before = h.Time
		if row.After >= idleTime {
			rows = append(rows, historyRow{Idle: true, After: row.After})
		}
		if h.Sequence == a.Sequence && a.State.Terminal() {
			row.Tone = account.ToneOf(a.State)
		}
		rows = append(rows, row)
	}
	if since := now.Sub(before); !a.State.Terminal() && len(rows) > 0 && since >= idleTime {
		rows = append(rows, historyRow{Idle: true, After: since})
	}
	return rows
}

// backendTime returns when the backend says that it happened.
func backendTime(a job.Snapshot, t job.EventType) time.Time {
	switch t {
	case job.JobSubmitted:
		return a.Times.Created
	case job.JobRunning:
		return a.Times.Started
	case job.JobSucceeded, job.JobFailed, job.JobCancelled, job.JobTimedOut:
		return a.Times.Ended
	}
	return time.Time{}
}
