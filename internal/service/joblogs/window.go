package joblogs

import (
	"context"
	"slices"

	"google.golang.org/api/logging/v2"

	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// usualLines and maxLines are the lines of a window.
	usualLines, maxLines = 200, maxPage
	// maxText bounds the text of a line in a window, and maxWindow that of all its lines: a page for people is below
	// 300 kB. A window of long lines has few of them.
	maxText, maxWindow = 8 << 10, 128 << 10
	// fewLines are what is asked for again if an answer is too large: Cloud Logging's entries have at most 256 KiB.
	fewLines = 16
)

// part is a page of a log, in the order that was asked for.
type part struct {
	lines []logs.Line
	more  bool
	// token is where a search goes on that has found nothing.
	token string
}

// Window returns a part of a log. It makes two calls at most, and another one for each side of a place where an answer is
// too large.
func (r *Reader) Window(ctx context.Context, j logs.Job, q logs.Query) (logs.Window, error) {
	n := min(q.Lines, maxLines)
	if n <= 0 {
		n = usualLines
	}
	switch {
	case !q.Around.IsZero():
		return r.around(ctx, j, q, n)
	case !q.After.IsZero():
		p, err := r.part(ctx, j, q.Filter, beyond(q.After, ">"), q.After.Token, false, n, 2)
		w := logs.Window{Lines: p.lines, Before: q.After}
		if len(p.lines) > 0 {
			w.Before = p.lines[0].Cursor()
		}
		w.Before.Token = ""
		w.After, w.Note = p.end(q.After)
		return w, err
	}
	var bound string
	if !q.Before.Time.IsZero() {
		bound = beyond(q.Before, "<")
	}
	p, err := r.part(ctx, j, q.Filter, bound, q.Before.Token, true, n, 2)
	w := logs.Window{Lines: p.lines}
	w.Before, w.Note = p.end(q.Before)
	slices.Reverse(w.Lines)
	if !q.Before.Time.IsZero() {
		w.After = logs.Cursor{Time: q.Before.Time, ID: q.Before.ID}
		if n := len(w.Lines); n > 0 {
			w.After = w.Lines[n-1].Cursor()
		}
	}
	return w, err
}

// around returns the lines before a place, and those from it on. Each half is a call, or two if its lines are long.
func (r *Reader) around(ctx context.Context, j logs.Job, q logs.Query, n int) (w logs.Window, err error) {
	at := logs.Cursor{Time: q.Around.Time, ID: q.Around.ID}
	before, err := r.part(ctx, j, q.Filter, beyond(at, "<"), "", true, max(1, n/2), 1)
	if err != nil {
		return w, err
	}
	after, err := r.part(ctx, j, q.Filter, beyond(at, ">="), "", false, max(1, n-n/2), 1)
	if err != nil {
		return w, err
	}
	var notes [2]string
	w.Before, notes[0] = before.end(at)
	w.After, notes[1] = after.end(at)
	w.Note = max(notes[0], notes[1])
	slices.Reverse(before.lines)
	w.Lines = append(before.lines, after.lines...)
	return w, nil
}

// Line returns one line with its whole text, or [job.ErrNotFound]. It makes one call.
func (r *Reader) Line(ctx context.Context, j logs.Job, at logs.Cursor) (logs.Line, error) {
	answer, err := r.list(ctx, &logging.ListLogEntriesRequest{
		Filter: filter(j, logs.Filter{}) + " AND timestamp=" + stamp(at.Time) + " AND insertId=" + quoted(at.ID), PageSize: 1,
	})
	if err != nil {
		return logs.Line{}, err
	}
	if len(answer.Entries) == 0 {
		return logs.Line{}, job.ErrNotFound
	}
	return lineOf(answer.Entries[0]), nil
}

// Replicas returns the replicas that have lines in the job's log, as far as its first and last entries show them. It
// makes two calls at most.
func (r *Reader) Replicas(ctx context.Context, j logs.Job) ([]string, error) {
	var replicas []string
	for _, order := range []string{"timestamp asc", "timestamp desc"} {
		q := &logging.ListLogEntriesRequest{Filter: since(j, filter(j, logs.Filter{})), OrderBy: order, PageSize: maxPage / 2}
		answer, err := r.list(ctx, q)
		if tooLarge(err) {
			continue // what the other end shows is better than nothing
		}
		if err != nil {
			return nil, err
		}
		for _, e := range answer.Entries {
			if l := lineOf(e); !slices.Contains(replicas, l.Replica) {
				replicas = append(replicas, l.Replica)
			}
		}
		if answer.NextPageToken == "" {
			break
		}
	}
	slices.Sort(replicas)
	return replicas, nil
}

// beyond returns the part of a query that matches the entries on one side of a place.
func beyond(c logs.Cursor, op string) string {
	if c.Time.IsZero() {
		return ""
	}
	side := op[:1]
	return " AND timestamp" + side + "=" + stamp(c.Time) + " AND (timestamp" + side + stamp(c.Time) + " OR insertId" + op +
		quoted(c.ID) + ")"
}

func since(j logs.Job, query string) string {
	if t := from(j); !t.IsZero() {
		query += " AND timestamp>=" + stamp(t)
	}
	return query
}

// part reads the first entries of a query, with so many calls at most, and one more if an answer is too large. A page that
// has a successor ends where the time changes, if it can: how a service orders entries of one time is not relied upon.
func (r *Reader) part(ctx context.Context, j logs.Job, f logs.Filter, bound, token string, newest bool, n, calls int) (
	p part, err error,
) {
	q := logging.ListLogEntriesRequest{
		Filter: since(j, filter(j, f)) + bound, OrderBy: "timestamp asc", PageSize: int64(n), PageToken: token,
	}
	if newest {
		q.OrderBy = "timestamp desc"
	}
	for most := int64(maxPage); calls > 0; calls-- {
		answer, err := r.list(ctx, &q)
		if tooLarge(err) && q.PageSize > fewLines {
			q.PageSize, most = fewLines, fewLines
			answer, err = r.list(ctx, &q)
		}
		if tooLarge(err) && p.more {
			break // what there is says where to go on
		}
		if err != nil {
			return part{}, err
		}
		for _, e := range answer.Entries {
			p.lines = append(p.lines, lineOf(e))
		}
		p.token = answer.NextPageToken
		q.PageToken, q.PageSize = p.token, most
		if p.more = p.token != ""; !p.more || settled(p.lines) > 0 {
			break
		}
	}
	if p.more {
		if whole := settled(p.lines); whole > 0 {
			p.lines = p.lines[:whole]
		}
	}
	slices.SortStableFunc(p.lines, func(a, b logs.Line) int {
		if newest {
			a, b = b, a
		}
		return a.Cursor().Compare(b.Cursor())
	})
	p.fit(n)
	return p, nil
}

// settled returns how many lines come before those of the last time.
func settled(lines []logs.Line) int {
	if len(lines) == 0 {
		return 0
	}
	last := lines[len(lines)-1].Time
	return slices.IndexFunc(lines, func(l logs.Line) bool { return l.Time.Equal(last) })
}

// fit bounds the lines and their texts.
func (p *part) fit(n int) {
	size := 0
	for i, l := range p.lines {
		p.lines[i] = l.Short(maxText)
		if size += len(p.lines[i].Text); i > 0 && (size > maxWindow || i >= n) {
			p.lines, p.more = p.lines[:i], true
			return
		}
	}
}

// end returns where the log goes on, and what is to be said of it. begin is where the part begins.
func (p *part) end(begin logs.Cursor) (logs.Cursor, string) {
	switch {
	case !p.more:
		return logs.Cursor{}, ""
	case len(p.lines) == 0:
		begin.Token = p.token
		return begin, "nothing was found yet: a part of the log was searched"
	}
	return p.lines[len(p.lines)-1].Cursor(), ""
}
