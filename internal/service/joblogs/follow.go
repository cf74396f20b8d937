package joblogs

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"google.golang.org/api/logging/v2"

	"github.com/jobdrop/jobdrop/internal/logs"
)

const (
	// maxRing and maxRingBytes bound what is kept of a log that is followed. maxFollowed bounds the logs, so that all
	// of them together are some tens of megabytes.
	maxRing, maxRingBytes, maxFollowed = 1000, 512 << 10, 100
	// linger is how long a log is kept that nobody follows: streams are short, and reconnect.
	linger = time.Minute
	// maxPause is the longest pause after reads that fail.
	maxPause = 2 * time.Minute
	// catchUp is how many windows who follows reads to come from its place to what is kept.
	catchUp = 2
)

// followed is a log that is followed. All who follow it read the lines that it keeps, each at its own pace; one goroutine
// adds to them while somebody follows.
type followed struct {
	job logs.Job

	mu    sync.Mutex
	lines []logs.Line // the last ones, in the order in which they came
	first int64       // the number of lines[0], counted from the first that came
	bytes int
	whole bool  // lines hold all the log
	gap   int64 // the number of the last line before which some are not known
	seen  map[string]time.Time
	// newest is the newest time of all lines; polled is when the log was read last.
	newest, polled time.Time
	changed        chan struct{} // closed at the next change
	readings       map[*reading]struct{}
	ended, done    bool
	note           string
	err            error

	followers int // guarded by the reader's mu, as what follows
	polling   bool
	cancel    context.CancelFunc
	forget    *time.Timer
}

// reading is how far somebody who follows a log is in what is kept of it.
type reading struct {
	next int64 // the number of the next line
	// Of the lines before until those behind since may be new, but for the one at after. Those behind after are.
	until        int64
	since, after logs.Cursor
	q            logs.Filter
	skipped      int64 // lines that are not kept any more
}

// due reports whether a line is new, and asked for.
func (p *reading) due(number int64, l logs.Line) bool {
	return (number >= p.until || l.Cursor().Compare(p.after) > 0) && p.q.Match(l)
}

// takes reports whether a line may be new, and is asked for.
func (p *reading) takes(number int64, l logs.Line) bool {
	at := l.Cursor()
	return p.due(number, l) || at.Compare(p.since) > 0 && at != p.after && p.q.Match(l)
}

// End says that a job has ended. Those who follow its log get what comes late, and then the end.
func (r *Reader) End(j logs.Job) {
	r.mu.Lock()
	f := r.followed[j.ID]
	r.mu.Unlock()
	if f != nil {
		f.change(func() { f.ended = true })
	}
}

// Follow returns the lines of a job's log behind a place as they come, until ctx or the job ends. Without a place it
// begins with the last lines that are kept. What is kept of the time before the place in which entries may be late comes
// first: some of it may not have been there when who follows was shown the log, and they know the other lines by their
// cursors. A failure that does not pass ends it. The sequence can be used once. If too many logs are followed, Follow
// returns [logs.ErrFollowed].
func (r *Reader) Follow(ctx context.Context, j logs.Job, q logs.Filter, after logs.Cursor) (
	iter.Seq2[logs.Batch, error], error,
) {
	f, err := r.join(j)
	if err != nil {
		return nil, err
	}
	leave := sync.OnceFunc(func() { r.leave(f) })
	context.AfterFunc(ctx, leave) // also if nobody uses the sequence
	return func(yield func(logs.Batch, error) bool) {
		defer leave()
		after.Token = ""
		at, lost, err := r.begin(ctx, f, q, &after, func(b logs.Batch) bool { return yield(b, nil) })
		if err != nil {
			if !errors.Is(err, errStopped) && ctx.Err() == nil {
				yield(logs.Batch{}, err)
			}
			return
		}
		note := ""
		own := &reading{
			next: at.number, until: at.until, since: logs.Cursor{Time: after.Time.Add(-r.late), ID: after.ID}, after: after, q: q,
		}
		lost = f.open(own) || lost
		defer f.close(own)
		for {
			b, changed, err := f.read(own)
			b.Gap = b.Gap || lost
			if b.Note == note {
				b.Note = ""
			} else {
				note = b.Note
			}
			if len(b.Lines) > 0 || b.Skipped > 0 || b.Gap || b.Note != "" || b.Ended {
				lost = false
				if !yield(b, nil) || b.Ended {
					return
				}
			}
			if changed == nil && err == nil {
				continue
			}
			if err != nil {
				yield(logs.Batch{}, err)
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}, nil
}

var errStopped = errors.New("nobody takes it")

// start is where who follows begins: with a line's number. Of those before until only some may be new to them.
type start struct{ number, until int64 }

// begin returns where to begin in what is kept. It passes on the lines between after and there, and moves after; lost
// reports that some are left out.
func (r *Reader) begin(ctx context.Context, f *followed, q logs.Filter, after *logs.Cursor, pass func(logs.Batch) bool) (
	at start, lost bool, err error,
) {
	for latest := time.Now().Add(r.timing.poll); ; {
		ready, changed := f.ready(*after, latest)
		if ready {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return at, false, ctx.Err()
		}
	}
	for n := 0; ; n++ {
		at, known := f.place(*after)
		if known || after.IsZero() || n == catchUp || f.failure() != nil {
			return at, !known, nil
		}
		w, err := r.Window(ctx, f.job, logs.Query{Filter: q, After: *after, Lines: maxLines})
		if err != nil {
			return at, false, err
		}
		if len(w.Lines) > 0 {
			*after = w.Lines[len(w.Lines)-1].Cursor()
			if !pass(logs.Batch{Lines: w.Lines, Last: *after}) {
				return at, false, errStopped
			}
		}
		if w.After.IsZero() {
			at, _ = f.place(*after)
			return at, false, nil
		}
		if w.After.Token != "" {
			return at, true, nil
		}
	}
}

// ready reports whether somebody who was shown the log up to a place can follow it from what is kept. What was read last
// may be older than what they were shown: then the next read, which comes by latest, has it. changed is closed at the next
// change.
func (f *followed) ready(after logs.Cursor, latest time.Time) (is bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	is = f.err != nil || !f.polled.IsZero() && (after.IsZero() || f.done || f.note != "" || f.polled.After(latest) ||
		slices.ContainsFunc(f.lines, func(l logs.Line) bool { return l.Cursor().Compare(after) >= 0 }))
	return is, f.changed
}

// place returns where to begin behind a place, and whether no line between is unknown.
func (f *followed) place(after logs.Cursor) (at start, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.first + int64(len(f.lines))
	if after.IsZero() {
		return start{f.first, f.first}, f.whole
	}
	for i, l := range slices.Backward(f.lines) {
		if l.Cursor() == after {
			return start{f.first, f.first + int64(i) + 1}, true
		}
	}
	known = f.whole || slices.ContainsFunc(f.lines, func(l logs.Line) bool { return l.Cursor().Compare(after) < 0 })
	return start{f.first, end}, known
}

func (f *followed) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// open begins to count what a reading misses, and reports whether it has missed some by now.
func (f *followed) open(p *reading) (missed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	missed, p.next = p.next < f.first, max(p.next, f.first)
	f.readings[p] = struct{}{}
	return missed
}

func (f *followed) close(p *reading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readings, p)
}

// read returns the next lines of a reading; changed is nil if there are more by now.
func (f *followed) read(p *reading) (b logs.Batch, changed <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b.Skipped, p.skipped, p.next = p.skipped, 0, max(p.next, f.first)
	size := 0
	for _, l := range f.lines[p.next-f.first:] {
		if len(b.Lines) == usualLines || size > maxWindow {
			return b, nil, nil
		}
		b.Gap = b.Gap || p.next == f.gap && p.next > 0 && (p.next >= p.until || l.Cursor().Compare(p.after) > 0)
		if p.takes(p.next, l) {
			b.Lines = append(b.Lines, l.Short(maxText))
			size += min(len(l.Text), maxText)
		}
		p.next++
		b.Last = l.Cursor()
	}
	b.Note, b.Ended = f.note, f.done
	return b, f.changed, f.err
}

// change changes what is known of the log, and wakes who follows it.
func (f *followed) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	close(f.changed)
	f.changed = make(chan struct{})
}

// join adds a follower.
func (r *Reader) join(j logs.Job) (*followed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.followed[j.ID]
	if f == nil {
		if len(r.followed) >= maxFollowed {
			return nil, logs.ErrFollowed
		}
		f = &followed{
			job: j, seen: map[string]time.Time{}, changed: make(chan struct{}), readings: map[*reading]struct{}{},
		}
		r.followed[j.ID] = f
	}
	if j.Ended {
		f.change(func() { f.ended = true })
	}
	f.followers++
	if f.forget != nil {
		f.forget.Stop()
	}
	if f.polling {
		return f, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.polling, f.cancel = true, cancel
	f.change(func() { f.err = nil })
	go r.poll(ctx, f)
	return f, nil
}

// leave takes a follower away. What is kept is forgotten a while after the last one; until then the log keeps its turn
// among those that are read, since streams are shorter than the turns of many.
func (r *Reader) leave(f *followed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.followers--; f.followers > 0 {
		return
	}
	f.forget = time.AfterFunc(linger, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if f.followers == 0 && r.followed[f.job.ID] == f {
			f.cancel()
			delete(r.followed, f.job.ID)
		}
	})
}

// wanted reports whether somebody follows a log.
func (r *Reader) wanted(f *followed) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return f.followers > 0
}

// poll reads what comes of a log until ctx ends, or the job and the time in which entries may be late. It takes no new turn
// while nobody follows.
func (r *Reader) poll(ctx context.Context, f *followed) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		f.polling = false
	}()
	f.mu.Lock()
	pause := max(0, r.timing.poll-time.Since(f.polled))
	if f.polled.IsZero() {
		pause = 0
	}
	f.mu.Unlock()
	failed := time.Duration(0)
	var end time.Time
	for {
		f.mu.Lock()
		ended, done := f.ended, f.done
		f.mu.Unlock()
		if done {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		if !r.wanted(f) {
			pause = max(pause, r.timing.poll)
			continue
		}
		if r.polls.Wait(ctx) != nil {
			return
		}
		if ended && end.IsZero() {
			end = time.Now().Add(r.settle)
		}
		last := !end.IsZero() && !time.Now().Before(end)
		err := r.more(ctx, f)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !passing(err):
			f.change(func() { f.err = err })
			return
		case err != nil:
			failed = min(max(2*failed, r.timing.poll), maxPause)
			f.change(func() { f.note = "the log can't be read for now: " + err.Error() })
			pause = failed
			continue
		case last:
			f.change(func() { f.done = true })
			return
		}
		failed, pause = 0, r.timing.poll
	}
}

// more reads the newest entries of a log by one call, two if they are large, and keeps those that are new.
func (r *Reader) more(ctx context.Context, f *followed) error {
	q := logging.ListLogEntriesRequest{Filter: filter(f.job, logs.Filter{}), OrderBy: "timestamp desc", PageSize: maxPage}
	f.mu.Lock()
	begin := f.newest.Add(-r.late)
	if f.newest.IsZero() {
		begin = from(f.job)
	}
	f.mu.Unlock()
	if !begin.IsZero() {
		q.Filter += " AND timestamp>=" + stamp(begin)
	}
	answer, err := r.list(ctx, &q)
	if tooLarge(err) {
		q.PageSize /= 32
		answer, err = r.list(ctx, &q)
	}
	if err != nil {
		return err
	}
	var lines []logs.Line
	for _, e := range answer.Entries {
		lines = append(lines, lineOf(e))
	}
	slices.SortStableFunc(lines, func(a, b logs.Line) int { return a.Cursor().Compare(b.Cursor()) })
	f.change(func() { f.add(lines, answer.NextPageToken != "", r.late) })
	return nil
}

// add keeps the lines that are new. cut reports that there are others before them, from where the window begins.
func (f *followed) add(lines []logs.Line, cut bool, late time.Duration) {
	begun, before := !f.polled.IsZero(), f.newest
	f.polled, f.note = time.Now(), ""
	if !begun {
		f.whole = !cut
	} else if cut && (len(lines) == 0 || lines[0].Time.After(before)) {
		f.gap, f.whole = f.first+int64(len(f.lines)), false
	}
	for _, l := range lines {
		key := l.Cursor().String()
		if _, known := f.seen[key]; known {
			continue
		}
		f.seen[key] = l.Time
		if l.Time.After(f.newest) {
			f.newest = l.Time
		}
		f.lines = append(f.lines, l)
		f.bytes += len(l.Text)
	}
	drop := 0
	for ; len(f.lines)-drop > 1 && (len(f.lines)-drop > maxRing || f.bytes > maxRingBytes); drop++ {
		f.bytes -= len(f.lines[drop].Text)
		for p := range f.readings {
			if number := f.first + int64(drop); p.next <= number && p.due(number, f.lines[drop]) {
				p.skipped++
			}
		}
	}
	if drop > 0 {
		f.lines, f.whole = slices.Clone(f.lines[drop:]), false
		f.first += int64(drop)
	}
	for key, at := range f.seen {
		if at.Before(f.newest.Add(-late)) {
			delete(f.seen, key)
		}
	}
}
