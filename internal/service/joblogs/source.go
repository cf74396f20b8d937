package joblogs

import (
	"context"
	"slices"
	"time"

	"google.golang.org/api/logging/v2"

	"github.com/jobdrop/jobdrop/internal/logs"
)

// pause is what pages of a long log are apart in Cloud Logging, which takes 60 reads a minute in a project. Others read
// there, too.
const pause = 1100 * time.Millisecond

// Source reads the log of one job, each entry once, by windows of time. Entries may come late: a window begins some time
// before the newest entry, and entries are told apart by their times and insert IDs. A command has one: it paces itself,
// and does not wait for the quota of followers.
type Source struct {
	r   *Reader
	job logs.Job
	// query matches the lines that are asked for.
	query  string
	pause  time.Duration // between pages
	from   time.Time     // where the first window begins; zero is the log's beginning
	newest time.Time
	seen   map[string]time.Time
}

// Source returns a source of the lines of a job's log that f chooses.
func (r *Reader) Source(j logs.Job, f logs.Filter) *Source {
	s := &Source{r: r, job: j, query: filter(j, f), from: from(j), seen: map[string]time.Time{}}
	if r.late > 0 {
		s.pause = pause
	}
	return s
}

// Read calls line with each line that came since the last call, in order of time but for those that came late.
func (s *Source) Read(ctx context.Context, line func(logs.Line)) error {
	begin := s.from
	if window := s.newest.Add(-s.r.late); !s.newest.IsZero() && window.After(begin) {
		begin = window
	}
	return s.pages(ctx, begin, "timestamp asc", maxPage, func(lines []logs.Line) (size int) {
		for _, l := range lines {
			if s.take(l) {
				line(l)
			}
		}
		s.forget()
		return maxPage
	})
}

// Tail returns the last lines of the log, in order of time. Later reads go on behind them.
func (s *Source) Tail(ctx context.Context, n int) ([]logs.Line, error) {
	var last []logs.Line
	left := func() int { return min(n-len(last), maxPage) }
	err := s.pages(ctx, s.from, "timestamp desc", left(), func(lines []logs.Line) (size int) {
		last = append(last, lines...)
		return max(0, left())
	})
	if err != nil {
		return nil, err
	}
	last = last[:min(len(last), n)]
	slices.Reverse(last)
	if len(last) > 0 {
		s.from = last[0].Time // what is before them is not asked for
	}
	for _, l := range last {
		s.take(l)
	}
	return last, nil
}

// Replicas returns the replicas that have lines in the job's log, as far as its first entries show them.
func (s *Source) Replicas(ctx context.Context) ([]string, error) {
	answer, err := s.r.call(ctx, &logging.ListLogEntriesRequest{
		Filter: filter(s.job, logs.Filter{}), OrderBy: "timestamp asc", PageSize: maxPage,
	})
	if err != nil {
		return nil, err
	}
	var replicas []string
	for _, e := range answer.Entries {
		if l := lineOf(e); !slices.Contains(replicas, l.Replica) {
			replicas = append(replicas, l.Replica)
		}
	}
	slices.Sort(replicas)
	return replicas, nil
}

// Empty reports whether no line was read yet.
func (s *Source) Empty() bool { return s.newest.IsZero() }

// pages calls page with the lines of each page of an answer, some of which may be empty, and a pause between two. page
// returns the size of the next one; 0 ends it. A page that is too large is asked for again with fewer lines.
func (s *Source) pages(
	ctx context.Context, begin time.Time, order string, size int, page func([]logs.Line) (size int),
) error {
	q := logging.ListLogEntriesRequest{Filter: s.query, OrderBy: order, PageSize: int64(size)}
	if !begin.IsZero() {
		q.Filter += " AND timestamp>=" + stamp(begin)
	}
	for {
		answer, err := s.r.call(ctx, &q)
		switch {
		case tooLarge(err) && q.PageSize > 1:
			q.PageSize = max(1, q.PageSize/16)
		case err != nil:
			return err
		default:
			lines := make([]logs.Line, 0, len(answer.Entries))
			for _, e := range answer.Entries {
				lines = append(lines, lineOf(e))
			}
			q.PageSize, q.PageToken = int64(page(lines)), answer.NextPageToken
			if q.PageSize == 0 || q.PageToken == "" {
				return nil
			}
		}
		select {
		case <-time.After(s.pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take reports whether a line is new, and remembers it.
func (s *Source) take(l logs.Line) bool {
	key := l.Cursor().String()
	if _, known := s.seen[key]; known {
		return false
	}
	s.seen[key] = l.Time
	if l.Time.After(s.newest) {
		s.newest = l.Time
	}
	return true
}

// forget forgets the lines that no window reaches.
func (s *Source) forget() {
	for key, at := range s.seen {
		if at.Before(s.newest.Add(-s.r.late)) {
			delete(s.seen, key)
		}
	}
}
