package ledger

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The folders of the index by time. Names there are <time>-<attempt>. The time is that of the job file, in
// milliseconds since 1970, taken from lastMilli: so the newest attempt comes first.
const (
	recentFolder = "recent/"
	endedFolder  = "ended/"
)

// lastMilli is the last time that 13 digits can hold: a day in 2286.
const lastMilli = 9_999_999_999_999

func recentName(s attempt.Summary) string { return recentFolder + placeOf(s) }

func endedName(s attempt.Summary) string { return endedFolderOf(s.State) + placeOf(s) }

func endedFolderOf(state job.State) string { return endedFolder + string(state) + "/" }

// placeOf returns an attempt's name in a folder of the index by time.
func placeOf(s attempt.Summary) string {
	return fmt.Sprintf("%013d-%s", lastMilli-min(max(s.Dropped.UnixMilli(), 0), lastMilli), s.Attempt)
}

// placeForm matches a name in a folder of the index by time.
var placeForm = regexp.MustCompile(`^([0-9]{13})-([0-9a-f]{40}-[0-9]{1,20})$`)

// parsePlace returns the attempt and the time of a name in a folder of the index by time.
func parsePlace(name string) (key string, dropped time.Time, ok bool) {
	m := placeForm.FindStringSubmatch(name)
	if m == nil {
		return "", time.Time{}, false
	}
	reversed, _ := strconv.ParseInt(m[1], 10, 64) // 13 digits
	return m[2], time.UnixMilli(lastMilli - reversed).UTC(), true
}

// place puts an attempt into the index by time, and reports whether it was not there.
func (l *Ledger) place(ctx context.Context, name string, s attempt.Summary) (made bool, err error) {
	return l.once(ctx, name, s.Metadata(""))
}

// Place puts an attempt that has a record into the index by time, where it lacks it: among the newest, and, if it
// has its verdict, among those that ended. It returns how many of the two were missing. f is what a list of the
// records shows; if that is of an earlier revision, Place reads the record. A record that is gone since needs no
// place.
func (l *Ledger) Place(ctx context.Context, f attempt.Filed) (missing int, err error) {
	return l.placeSince(ctx, f, time.Time{})
}

// placeSince does what [Ledger.Place] does, unless the attempt was dropped before a time.
func (l *Ledger) placeSince(ctx context.Context, f attempt.Filed, since time.Time) (missing int, err error) {
	s := f.Summary
	if s.Dropped.IsZero() {
		stored, err := l.Get(ctx, f.Attempt)
		if errors.Is(err, job.ErrNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		s = stored.Summary()
	}
	if s.Dropped.Before(since) {
		return 0, nil
	}
	names := []string{recentName(s)}
	if s.State.Terminal() {
		names = append(names, endedName(s))
	}
	for _, name := range names {
		made, err := l.place(ctx, name, s)
		if err != nil {
			return missing, err
		}
		if made {
			missing++
		}
	}
	return missing, nil
}

// Reindexed is how far [Ledger.Reindex] came.
type Reindexed struct {
	// Records counts the records that were looked at, Missing the places that the index by time lacked, and has now.
	Records, Missing int
	// Last is the last record's attempt. Whoever begins after it goes on from there.
	Last string
}

// Reindex puts every attempt that was dropped since a time into the index by time, where it lacks it, in the order of
// their records, after one attempt's. It works on some at once, and calls progress after each page of at most 1,000
// records. It may be stopped at any time, and done again: what is there stays as it is.
func (l *Ledger) Reindex(
	ctx context.Context, after string, since time.Time, atOnce int, progress func(Reindexed) error,
) error {
	var did Reindexed
	return l.Filed(ctx, after, func(page []attempt.Filed) error {
		if len(page) == 0 {
			return nil
		}
		missing, err := l.placeAll(ctx, page, since, atOnce)
		if err != nil {
			return err
		}
		did.Records += len(page)
		did.Missing += missing
		did.Last = page[len(page)-1].Attempt
		return progress(did)
	})
}

// placeAll places records, some at once. It begins no other after the first error.
func (l *Ledger) placeAll(
	ctx context.Context, page []attempt.Filed, since time.Time, atOnce int,
) (missing int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		group sync.WaitGroup
		made  atomic.Int64
	)
	slots := make(chan struct{}, atOnce)
	for _, f := range page {
		if f.Written.Before(since) { // it was dropped before that
			continue
		}
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			n, err := l.placeSince(ctx, f, since)
			if made.Add(int64(n)); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return int(made.Load()), context.Cause(ctx)
}
