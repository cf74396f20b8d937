package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// dropsPage is the data of the page of all attempts.
type dropsPage struct {
	// Filter is what is asked for, Wrong what is wrong with each part of it, and Fault with the whole.
	Filter, Wrong filter
	Fault         string
	// States are those that the filter may name.
	States []job.State
	Rows   []dropRow
	// Next is the address of the next page; empty if there is none. Back is how far a search came.
	Next string
	Back time.Time
	// Newest is the address of the first page; empty on that page.
	Newest string
}

// filter is what the page's address asks for, without the spaces around it.
type filter struct{ State, Folder, Job, Correlation, Since string }

// filterPart is a part of a filter, by its name in the page's address.
type filterPart struct {
	name  string
	value *string
}

func (f *filter) parts() []filterPart {
	return []filterPart{
		{"state", &f.State}, {"folder", &f.Folder}, {"job", &f.Job}, {"correlation", &f.Correlation}, {"since", &f.Since},
	}
}

func filterOf(asked url.Values) (f filter) {
	for _, part := range f.parts() {
		*part.value = strings.TrimSpace(asked.Get(part.name))
	}
	return f
}

// Empty reports whether every attempt is asked for.
func (f filter) Empty() bool { return f == filter{} }

// address returns the address of a page of the attempts that a filter names: that of a token, the first one if it is
// empty.
func (f filter) address(token string) string {
	values := url.Values{}
	for _, part := range append(f.parts(), filterPart{"page", &token}) {
		if *part.value != "" {
			values.Set(part.name, *part.value)
		}
	}
	if len(values) == 0 {
		return "/"
	}
	return "/?" + values.Encode()
}

// dropRow is an attempt on the page.
type dropRow struct {
	ledger.Row
	// Reason says what it waits for, Place its place in the queue, as in "3 of 12".
	Reason, Place string
	// Took is how long it took from the upload to its verdict.
	Took time.Duration
}

// statesAsked are the states that a filter may name, in the order of an attempt's way.
var statesAsked = []job.State{
	job.Waiting, job.Held, job.Accepted, job.Submitted, job.Queued, job.Preparing, job.Running,
	job.Succeeded, job.Failed, job.Cancelled, job.TimedOut, job.Lost, job.Rejected, job.Withdrawn, job.Expired,
}

// rowsOfPage is how many attempts a page has.
const rowsOfPage = 50

func (s *Server) dropsPage(ctx context.Context, r request) (page, error) {
	f, token := filterOf(r.URL.Query()), r.URL.Query().Get("page")
	d := dropsPage{Filter: f, States: statesAsked}
	if token != "" {
		d.Newest = f.address("")
	}
	q, wrong := s.query(f, r)
	if d.Wrong = wrong; !wrong.Empty() {
		return page{}, refusedForm(d)
	}
	q.Token = token
	found, err := s.Records.Page(ctx, q)
	if errors.Is(err, ledger.ErrQuery) {
		d.Fault = err.Error()
		return page{}, refusedForm(d)
	}
	if err != nil {
		return page{}, err
	}
	if found.Next != "" {
		d.Next = f.address(found.Next)
		if q.Folder != "" || q.CorrelationID != "" || !r.everything() {
			d.Back = found.Back
		}
	}
	for _, row := range found.Attempts {
		d.Rows = append(d.Rows, dropRow{Row: row})
	}
	if err := s.explain(ctx, d.Rows); err != nil {
		return page{}, err
	}
	title := "Drops"
	if f.State != "" {
		title += ": " + word(q.State)
	}
	return page{view: "drops", title: title, section: "/", data: d, live: true}, nil
}

// refusedForm returns the error of filters that can't be used: its page has them as they were given, and what is wrong.
func refusedForm(d dropsPage) error {
	return &formError{page{view: "drops", title: "Drops", section: "/", data: d}}
}

// query returns the ledger's query of a filter, and what is wrong with the filter's parts; nothing if it can be used.
func (s *Server) query(f filter, r request) (q ledger.Query, wrong filter) {
	q = ledger.Query{
		State: job.State(f.State), CorrelationID: f.Correlation, JobID: f.Job, Most: rowsOfPage, Visible: r.visible(),
	}
	faults := wrong.parts()
	for i, part := range f.parts() {
		switch value := *part.value; {
		case !utf8.ValidString(value) || strings.ContainsAny(value, "\x00\r\n"):
			*faults[i].value = "it has a character that none can have"
		case len(value) > maxName:
			*faults[i].value = fmt.Sprintf("it has more than %d bytes", maxName)
		}
	}
	if !wrong.Empty() {
		return q, wrong
	}
	if f.State != "" && !slices.Contains(statesAsked, q.State) {
		wrong.State = fmt.Sprintf("%.40q is not a state: choose one", f.State)
	}
	q.Folder, wrong.Folder = s.folderAsked(f.Folder)
	switch {
	case strings.Contains(f.Job, "/"):
		wrong.Job = "a job ID has no slash"
	case f.Job != "" && f != filter{Job: f.Job}:
		wrong.Job = "a job ID names one attempt: leave the other filters empty"
	}
	if f.Since != "" {
		q.Since, wrong.Since = sinceOf(f.Since, r.now)
	}
	return q, wrong
}

// folderAsked returns the folder of the inbox that a filter names, with its final slash: as a name, as a URI, or by the
// job file in it. It says what is wrong with it, else.
func (s *Server) folderAsked(given string) (folder, wrong string) {
	folder = given
	if uri, is := strings.CutPrefix(given, "gs://"); is {
		bucket, below, _ := strings.Cut(uri, "/")
		if s.Inbox != "" && bucket != s.Inbox {
			return "", fmt.Sprintf("it is not in the inbox, gs://%s/: write a folder such as teams/nlp/", s.Inbox)
		}
		folder = below
	}
	file, _, _ := strings.Cut(path.Base(folder), "#") // a page shows it with its generation
	if job.IsJobFile(file) {
		folder = path.Dir(folder)
	}
	if folder = strings.Trim(folder, "/"); folder == "" || folder == "." {
		return "", ""
	}
	return folder + "/", ""
}

var (
	// days matches the days of a time such as 7d or 1d12h, which Go's durations don't have.
	days = regexp.MustCompile(`^([0-9]{1,4})d`)
	// instants are the forms of a time that a filter may name. Those without a zone are UTC.
	instants = []string{
		time.DateOnly, "2006-01-02 15:04", time.DateTime, exactly, "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339,
	}
)

// sinceOf returns the time that a filter names: by how long it is before now, or itself. It says what is wrong with it,
// else.
func sinceOf(given string, now time.Time) (since time.Time, wrong string) {
	rest, ago := given, time.Duration(0)
	if m := days.FindStringSubmatch(given); m != nil {
		n, _ := strconv.Atoi(m[1])
		rest, ago = given[len(m[0]):], time.Duration(n)*24*time.Hour
	}
	more, err := time.ParseDuration(rest)
	if rest == "" || err == nil {
		if ago += more; ago > 0 {
			return now.Add(-ago), ""
		}
	}
	for _, form := range instants {
		if t, err := time.Parse(form, given); err == nil {
			return t, ""
		}
	}
	return time.Time{}, fmt.Sprintf("%.40q is not a time: write how long ago (90m, 24h, 7d), a day (2026-11-30), or a time in "+
		"UTC (2026-11-30 09:00, 2026-11-30T09:00:00Z)", given)
}

// readsAtOnce is how many objects are read at once for a page.
const readsAtOnce = 8

// explain adds what attempts wait for. Those that wait for packages have it in their records only.
func (s *Server) explain(ctx context.Context, rows []dropRow) error {
	queued := slices.ContainsFunc(rows, func(row dropRow) bool { return row.State == job.Accepted })
	var q attempt.Queue
	if queued {
		var err error
		if q, err = s.Records.Queue(ctx); err != nil {
			return err
		}
	}
	places := map[string]attempt.Place{}
	for _, p := range q.Waiting {
		places[p.Attempt] = p
	}
	var unread []int
	for i := range rows {
		row := &rows[i]
		if row.Reason = row.Waits; !row.Concluded.IsZero() {
			row.Took = row.Concluded.Sub(row.Dropped)
		}
		if p, ok := places[row.Attempt]; ok && row.State == job.Accepted {
			row.Place, row.Reason = fmt.Sprintf("%d of %d", p.Place, q.Total), strings.TrimPrefix(p.Reason, "waiting: ")
		}
		if row.Reason == "" && (row.State == job.Waiting || row.State == job.Held || row.State == job.Accepted) {
			unread = append(unread, i)
		}
	}
	return atOnce(len(unread), func(n int) error {
		row := &rows[unread[n]]
		r, err := s.Records.Record(ctx, row.Attempt)
		if err == nil {
			row.Reason = r.Reason
		}
		if errors.Is(err, job.ErrNotFound) {
			return nil
		}
		return err
	})
}

// atOnce calls do for each number below n, some at a time, and returns the error of the lowest. A call that panics
// returns an error.
func atOnce(n int, do func(i int) error) error {
	var group sync.WaitGroup
	errs := make([]error, n)
	slots := make(chan struct{}, readsAtOnce)
	for i := range n {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[i] = safely(func() error { return do(i) })
		})
	}
	group.Wait()
	return cmp.Or(errs...)
}

// folderPage leads to the newest attempt of a folder.
func (s *Server) folderPage(ctx context.Context, r request) (page, error) {
	folder := strings.Trim(r.PathValue("folder"), "/")
	if folder != "" {
		folder += "/"
	}
	if s.Inbox == "" || !r.viewer.Sees(folder) {
		return page{}, errNotFound
	}
	key, err := s.Records.Newest(ctx, s.Inbox, folder)
	if errors.Is(err, job.ErrNotFound) {
		err = errNotFound
	}
	if err != nil {
		return page{}, err
	}
	return page{}, &movedError{"/attempts/" + key}
}
