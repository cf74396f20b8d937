package watcher

import (
	"context"
	"fmt"
	"time"
)

// Each part of a tick begins nothing after its share of the tick's time. What the pass has begun
// ends at visitShare, so that something is left for the other parts, and what a request has begun at
// requestEnd. Everything else ends with the tick's time.
const (
	requestShare = 0.2
	requestEnd   = 0.4

	listShare  = 0.5
	passShare  = 0.6
	visitShare = 0.8
	otherShare = 0.85
	scanShare  = 0.9
	placeShare = 0.95
)

// One attempt may take visitTime, if so much is left. The largest drop that is inspected, of 4
// GiB, is read in two minutes, and may have to wait for another; a claim on a create lasts two. An
// attempt that hangs for longer must not hold up those behind it. leastVisit is for the few
// attempts that are visited however late it is.
const (
	visitTime  = 4 * time.Minute
	leastVisit = 30 * time.Second
)

// budget is the time that a tick may take.
type budget struct {
	begin time.Time
	total time.Duration
	// now is the storage service's clock. begin is of that clock, too.
	now func() time.Time
}

// share returns how long a share of the tick's time is.
func (b budget) share(of float64) time.Duration { return time.Duration(of * float64(b.total)) }

// used returns how much of the time is used up.
func (b budget) used() time.Duration { return b.now().Sub(b.begin) }

// left reports whether less than a share of the tick's time is used up.
func (b budget) left(ctx context.Context, share float64) bool {
	return ctx.Err() == nil && b.used() < b.share(share)
}

// whole reports whether work that begins now in a share of the tick's time has nearly all that an attempt
// may take of it.
func (b budget) whole(share float64) bool {
	most := min(b.share(share), visitTime)
	return b.share(share)-b.used() >= most*9/10
}

// within does work on one attempt, in the time that an attempt may take and in a share of the
// tick's. what names the attempt.
func (b budget) within(ctx context.Context, share float64, what string, work func(context.Context) error) error {
	left := b.share(share) - b.used()
	bounded, cancel := context.WithTimeout(ctx, min(max(left, leastVisit), visitTime))
	defer cancel()
	err := work(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: its time in this tick is over: %w", what, err)
	}
	return err
}
