package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Logs reads the logs of jobs.
type Logs interface {
	Window(ctx context.Context, j logs.Job, q logs.Query) (logs.Window, error)
	Line(ctx context.Context, j logs.Job, at logs.Cursor) (logs.Line, error)
	// Follow returns what comes behind a place, or [logs.ErrFollowed].
	Follow(ctx context.Context, j logs.Job, f logs.Filter, after logs.Cursor) (iter.Seq2[logs.Batch, error], error)
	// End says that a job has ended: who follows its log gets what comes late, and then the end.
	End(j logs.Job)
}

const (
	// linesOfPage is how many lines of a log a page has. Together they have at most logText bytes, and one that is shown
	// alone at most lineText.
	linesOfPage = 200
	logText     = 130 << 10
	lineText    = 120 << 10
	// leastLine is how many bytes of a line are shown at least.
	leastLine = 400
	// endTime bounds the reading of the end of a failed job's log: the rest of the attempt's page does not need it.
	endTime = 3 * time.Second
	// maxSearch bounds the text that is searched for, in bytes.
	maxSearch = 256
)

// logPage is the data of the page of a job's log.
type logPage struct {
	heading
	// Base is the page's address without a place, and Filter what it chooses.
	Base     string
	Filter   logs.Filter
	Replicas []string
	Lines    []lineRow
	// Before and After are the addresses of what comes before and after; empty where nothing does.
	Before, After string
	// Tail reports that the page shows the log's end. Stream is where its next lines come from, empty if none do.
	Tail   bool
	Stream string
	Note   string
	// Whole is a line that is shown alone.
	Whole *lineRow
}

// lineRow is a line on the page.
type lineRow struct {
	logs.Line
	// ID is the line's in the page, At its address.
	ID, At string
	// Here reports that the address names the line.
	Here bool
}

func (s *Server) logPage(ctx context.Context, r request) (page, error) {
	d, j, err := s.logOf(ctx, r)
	if err != nil {
		return page{}, err
	}
	asked := r.URL.Query()
	q := logs.Query{Filter: d.Filter, Lines: linesOfPage}
	for name, place := range map[string]*logs.Cursor{"before": &q.Before, "after": &q.After, "at": &q.Around} {
		if *place, err = logs.ParseCursor(asked.Get(name)); err != nil {
			return page{}, fmt.Errorf("%w: %w", errForm, err)
		}
	}
	p := page{view: "log", title: d.title("log"), section: "/"}
	if asked.Get("whole") != "" && !q.Around.IsZero() {
		line, err := s.Logs.Line(ctx, j, q.Around)
		if errors.Is(err, job.ErrNotFound) {
			err = errNotFound
		}
		if err != nil {
			return page{}, err
		}
		d.Whole = &lineRow{Line: fitting(line, lineText)}
		p.data = d
		return p, nil
	}
	w, err := s.Logs.Window(ctx, j, q)
	if err != nil {
		return page{}, err
	}
	d.Tail = q.Before.IsZero() && q.After.IsZero() && q.Around.IsZero()
	if d.Note = w.Note; d.Tail && !j.Ended && w.Note == "" {
		after := w.After
		if n := len(w.Lines); n > 0 {
			after = w.Lines[n-1].Cursor()
		}
		d.Stream = d.address("from", after.String())
		p.stream = d.Stream
	}
	d.Lines = d.rows(w.Lines, q.Around)
	if !w.Before.IsZero() {
		d.Before = d.address("before", w.Before.String())
	}
	if !w.After.IsZero() && !d.Tail {
		d.After = d.address("after", w.After.String())
	}
	p.data = d
	return p, nil
}

// logOf returns what a page of a log has before a line of it is read.
func (s *Server) logOf(ctx context.Context, r request) (d logPage, j logs.Job, err error) {
	record, err := s.record(ctx, r)
	if err != nil {
		return d, j, err
	}
	h := s.heading(record, "log")
	j = logs.JobOf(h.Snapshot)
	if j.ID == "" || s.Logs == nil {
		return d, j, errNotFound
	}
	asked := r.URL.Query()
	d = logPage{
		heading: h, Base: "/attempts/" + h.Attempt + "/log", Replicas: replicasOf(record),
		Filter: logs.Filter{Replica: asked.Get("replica"), Text: asked.Get("text"), Errors: asked.Get("errors") != ""},
	}
	if max(len(d.Filter.Text), len(d.Filter.Replica)) > maxSearch {
		return d, j, fmt.Errorf("%w: a search has at most %d bytes", errForm, maxSearch)
	}
	return d, j, nil
}

// address returns the address of another place of the log, with the same filter.
func (d logPage) address(name, value string) string {
	q := url.Values{}
	if d.Filter.Replica != "" {
		q.Set("replica", d.Filter.Replica)
	}
	if d.Filter.Text != "" {
		q.Set("text", d.Filter.Text)
	}
	if d.Filter.Errors {
		q.Set("errors", "1")
	}
	if value != "" {
		q.Set(name, value)
	}
	if len(q) == 0 {
		return d.Base
	}
	return d.Base + "?" + q.Encode()
}

// End returns the address of the log's end.
func (d logPage) End() string { return d.address("", "") }

// rows returns lines as a page shows them: shortened if they are many, or long.
func (d logPage) rows(lines []logs.Line, here logs.Cursor) []lineRow {
	share := max(leastLine, logText/max(len(lines), 1))
	most, sum := lineText, 0
	for _, l := range lines {
		sum += len(l.Text)
	}
	if sum > logText { // whatever it holds: what it takes on the page is not counted for more than that
		most = share
	}
	sum = 0
	short := make([]logs.Line, len(lines))
	for i, l := range lines {
		short[i] = fitting(l, most)
		sum += shownSize(short[i].Text)
	}
	if sum > logText {
		most = share
	}
	rows := make([]lineRow, len(lines))
	for i, l := range short {
		at := l.Cursor()
		rows[i] = lineRow{
			Line: fitting(l, most), ID: "L" + at.String(), At: d.address("at", at.String()),
			Here: !here.IsZero() && at.Compare(here) == 0,
		}
	}
	return rows
}

// fitting returns a line with as much of its text as takes so many bytes of a page.
func fitting(l logs.Line, most int) logs.Line {
	l = l.Short(most)
	for n := shownSize(l.Text); n > most; n = shownSize(l.Text) {
		l = l.Short(len(l.Text) * most / n)
	}
	return l
}

// shownSize returns how many bytes of a page a text takes: a character that is escaped takes more than it has.
func shownSize(s string) int { return len(template.HTMLEscapeString(visible(s))) }

// Whole returns the address of the whole line.
func (l lineRow) Whole() string {
	if strings.Contains(l.At, "?") {
		return l.At + "&whole=1"
	}
	return l.At
}

// logStream sends the lines of a log as they come. The ID of each event is the place from which a follower goes on.
func (s *Server) logStream(w http.ResponseWriter, r request) error {
	d, j, err := s.logOf(r.Context(), r)
	if err != nil {
		return err
	}
	after, err := logs.ParseCursor(cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("from")))
	if err != nil {
		return fmt.Errorf("%w: %w", errForm, err)
	}
	looks, leave, err := s.feeds.follow("log of "+d.Attempt, s.looking(r.URL.Path, s.ending(d.Attempt, j)))
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), streamTime)
	defer context.AfterFunc(looks.ctx, cancel)() // without looks the job's end would be missed
	var group sync.WaitGroup
	defer group.Wait() // nothing is written when the handler has returned
	defer cancel()
	batches, err := s.Logs.Follow(ctx, j, d.Filter, after)
	if errors.Is(err, logs.ErrFollowed) {
		return errBusy
	}
	if err != nil {
		return err
	}
	out := newEvents(w)
	if !out.begin() {
		return nil
	}
	group.Go(func() {
		quiet := time.NewTicker(quietTime) // a proxy ends what is silent
		defer quiet.Stop()
		for {
			_, changed := looks.get()
			if sees, err := s.sees(r); !sees || err != nil { // they may have lost it meanwhile
				cancel()
				return
			}
			select {
			case <-changed:
			case <-quiet.C:
				if !out.quiet() {
					cancel()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	for batch, err := range batches {
		if err != nil {
			if ctx.Err() == nil {
				s.Logger.Warn("a log can't be followed", "attempt", d.Attempt, "error", err.Error())
			}
			return nil // the browser comes again
		}
		if batch.Skipped > 0 || batch.Gap {
			batch = s.recovered(ctx, j, d.Filter, after, batch)
		}
		if !batch.Last.IsZero() {
			after = batch.Last
		}
		var b bytes.Buffer
		own := struct {
			logs.Batch
			Rows []lineRow
		}{batch, d.rows(batch.Lines, logs.Cursor{})}
		if err := s.views["log"].ExecuteTemplate(&b, "batch", own); err != nil {
			s.Logger.Error("a template failed", "view", "log", "error", err.Error())
			return nil
		}
		if sees, err := s.sees(r); !sees || err != nil {
			return nil
		}
		if !out.send("lines", batch.Last.String(), b.Bytes()) {
			return nil
		}
		if batch.Ended {
			out.send("end", batch.Last.String(), nil)
			return nil
		}
	}
	return nil
}

// recovered returns a batch of a filtered log with the lines that were left out before it: most of those that were do not
// match. What is still missing is more than a window has.
func (s *Server) recovered(ctx context.Context, j logs.Job, f logs.Filter, after logs.Cursor, b logs.Batch) logs.Batch {
	if f == (logs.Filter{}) || after.IsZero() {
		return b
	}
	w, err := s.Logs.Window(ctx, j, logs.Query{Filter: f, After: after, Lines: linesOfPage})
	if err != nil {
		return b
	}
	b.Skipped, b.Gap = 0, !w.After.IsZero()
	b.Lines = append(w.Lines, b.Lines...)
	slices.SortStableFunc(b.Lines, func(x, y logs.Line) int { return x.Cursor().Compare(y.Cursor()) })
	b.Lines = slices.CompactFunc(b.Lines, func(x, y logs.Line) bool { return x.Cursor() == y.Cursor() })
	return b
}

// ending returns a look that ends the followed log once the attempt has a verdict. Its version changes as often as the
// policy is read, so that each follower's rights are looked at again.
func (s *Server) ending(key string, j logs.Job) func(ctx context.Context) (state, error) {
	return func(ctx context.Context) (state, error) {
		record, err := s.Records.Record(ctx, key)
		if err == nil && record.State.Terminal() {
			s.Logs.End(j)
		}
		return state{version: s.Now().UTC().Truncate(policyLasts).String()}, err
	}
}

// logEnd returns the last lines that a job's own programs wrote, shortened.
func (s *Server) logEnd(ctx context.Context, a job.Snapshot, lines int) ([]logs.Line, error) {
	j := logs.JobOf(a)
	if s.Logs == nil || j.ID == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	w, err := s.Logs.Window(ctx, j, logs.Query{Filter: logs.Filter{Programs: true}, Lines: lines})
	for i, l := range w.Lines {
		w.Lines[i] = l.Short(leastLine)
	}
	return w.Lines, err
}
