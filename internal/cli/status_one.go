package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// writeText writes one attempt in full for people.
func (s oneStatus) writeText(env Env, w io.Writer, now time.Time) error {
	var b strings.Builder
	width := env.width()
	a := s.Snapshot
	drop := "gs://" + a.Drop.Bucket + "/" + a.Drop.Prefix
	b.WriteString(env.paint(a.State, cmp.Or(string(a.State), "new")) + "  " + oneLine(drop) + "\n\n")
	b.WriteString(hanging(s.facts(now), width))
	if len(a.Violations) > 0 {
		b.WriteString("\n")
	}
	for _, v := range a.Violations {
		b.WriteString(setIn(account.WithRule(v), width, 0, indent))
	}
	if bars := bars(a, width, now); len(bars) > 0 {
		b.WriteString("\n" + layout(bars, width, nil))
	}
	if len(a.History) > 0 {
		b.WriteString("\n" + hanging(historyRows(a), width))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// facts returns what there is to say of an attempt, each with its name.
func (s oneStatus) facts(now time.Time) (rows [][]string) {
	a := s.Snapshot
	add := func(name, value string) {
		if value = cell(value); value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	add("attempt", a.Attempt)
	add("reason", a.Reason)
	add("policy", s.Policy)
	if s.Queue != nil {
		add("queue", s.Queue.String()+", as of "+text.Instant(s.Queue.At))
		if !s.Queue.NextTry.IsZero() {
			add("next try", text.Instant(s.Queue.NextTry))
		}
	}
	if s.Budget != nil {
		add("hours", s.Budget.String())
	}
	add("job file", fmt.Sprintf("%s#%d", a.Drop.JobFile.URI(), a.Drop.JobFile.Generation))
	if !a.Times.Dropped.IsZero() {
		add("dropped", fmt.Sprintf("%s, %s ago%s", text.Instant(a.Times.Dropped), text.Age(now.Sub(a.Times.Dropped)),
			account.By(a.Uploader)))
	}
	add("missing", strings.Join(a.Drop.Missing, ", "))
	add("job ID", a.Job.ID)
	add("job", a.Job.ResourceName)
	if a.Job.State != "" {
		add("at the backend", string(a.Job.State))
	}
	if !a.Times.Started.IsZero() {
		end := cmp.Or(a.Times.Ended, now)
		add("ran", fmt.Sprintf("%s, since %s", text.Age(end.Sub(a.Times.Started)), text.Instant(a.Times.Started)))
	}
	if r := a.Restarts; r != nil {
		add("restarts", fmt.Sprintf("%v; the last at %s; at most %v of the run lost", r, text.Instant(r.Last),
			time.Duration(r.AtRisk)))
	}
	if e := a.Error; e != nil {
		add("error", text.Sentence(e.Code, text.FirstLine(e.Message)))
	}
	if a.Rerun != nil {
		add("rerun of", a.Rerun.Of)
	}
	add("duplicate of", a.DuplicateOf)
	if c := a.CancelRequested; c != nil {
		add("cancel asked", text.Sentence(text.Instant(c.At), strings.TrimSpace(c.Kind+" "+c.By), c.Reason))
	}
	add("correlation", a.CorrelationID)
	add("page", s.Console)
	add("logs", a.Links.Logs)
	add("console", a.Links.Console)
	return rows
}

// historyRows returns the events of an attempt as rows of a table.
func historyRows(a job.Snapshot) [][]string {
	rows := [][]string{{"AT", "AFTER", "EVENT", "REASON"}}
	before := a.Times.Dropped
	for _, h := range a.History {
		after := "-"
		if !before.IsZero() {
			after = "+" + text.Age(h.Time.Sub(before))
		}
		before = h.Time
		rows = append(rows, []string{
			h.Time.UTC().Format("2006-01-02 15:04:05"), after, h.Type.Short(), cmp.Or(cell(h.Reason), "-"),
		})
	}
	return rows
}

// bars returns the deadlines of an attempt as rows of a table, each with a bar of how much of its time is over.
func bars(a job.Snapshot, width int, now time.Time) (rows [][]string) {
	const least, most, rest = 10, 60, 60 // rest is what stands beside a bar
	size := min(max(width-rest, least), most)
	for _, d := range account.Deadlines(a) {
		part := 1.0
		if whole := d.At.Sub(d.Since); whole > 0 {
			part = min(max(float64(now.Sub(d.Since))/float64(whole), 0), 1)
		}
		full := int(part * float64(size))
		left := "over since " + text.Age(now.Sub(d.At))
		if now.Before(d.At) {
			left = text.Age(d.At.Sub(now)) + " left"
		}
		rows = append(rows, []string{
			d.Name, "[" + strings.Repeat("#", full) + strings.Repeat(".", size-full) + "]", fmt.Sprintf("%.0f %%", part*100),
			left,
			"then it " + d.Then,
		})
	}
	return rows
}
