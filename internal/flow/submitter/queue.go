package submitter

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// paused is the reason of an attempt that the operator's pause keeps waiting.
const paused = "waiting: paused by the operator"

// waits says what a drop that is accepted has to wait for; nothing where its job
// may be created at once. Where the number of jobs is limited, only ticks give
// turns: see [Submitter.Admit].
func waits(s policy.Start) string {
	terms := s.Terms()
	switch {
	case s.Paused:
		return paused
	case len(terms) > 0:
		return "waiting for its turn: " + terms[0]
	}
	return ""
}

// Admit goes through the queue: it creates the jobs of the attempts whose turn it
// is, and says of the others what they wait for. Ticks call it.
//
// Where the number of jobs is limited, a turn is given by a compare-and-swap of
// the note of all turns, which was read before the index was listed. So a turn
// that anybody else gave meanwhile makes the swap fail, and every turn before is
// counted: the limit holds, however many ticks run at once. b is of the whole index.
func (s *Submitter) Admit(ctx context.Context, b *attempt.Backlog, until time.Time) error {
	p, err := s.Policy(ctx)
	if err != nil {
		return err
	}
	turns := b.Turns
	over, err := s.settleTurns(ctx, &turns, b.Open)
	if err != nil {
		return err
	}
	q := newQueue(b, turns.Given, p, s.Now().UTC())
	q.plan()
	if over || len(q.given) > 0 {
		turns.Given = append(q.turns, q.given...)
		err := s.records.GiveTurns(ctx, turns)
		if errors.Is(err, attempt.ErrStale) {
			return nil // another tick goes through the queue
		}
		if err != nil {
			return err
		}
	}
	errs := s.startAll(ctx, q, until)
	return errors.Join(errs, s.awaitAll(ctx, q, until))
}

// refusals is how many times a tick is told that the backend has no room: the
// next job may ask for another kind of machine, but hardly all of them do.
const refusals = 4

// startAll creates the jobs whose turn it is.
func (s *Submitter) startAll(ctx context.Context, q *queue, until time.Time) error {
	var errs []error
	refused := 0
	for _, e := range q.starts {
		if ctx.Err() != nil || refused == refusals || !s.Now().Before(until) {
			break // the next tick goes on
		}
		after, err := s.start(ctx, e)
		errs = append(errs, err)
		if after.Queued && after.Reason == attempt.WaitsForQuota {
			refused++
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// mostReasons is how many reasons a tick writes anew.
const mostReasons = 500

// awaitAll says of those that go on waiting what they wait for, where that has
// changed.
func (s *Submitter) awaitAll(ctx context.Context, q *queue, until time.Time) error {
	var (
		group errgroup.Group
		mu    sync.Mutex
		errs  []error
	)
	group.SetLimit(s.Parallel)
	n := 0
	for _, e := range q.waiting {
		reason, ok := q.waits[e.Attempt]
		if !ok || reason == e.Waits {
			continue
		}
		if n++; n > mostReasons || ctx.Err() != nil {
			break // the next tick goes on
		}
		group.Go(func() error {
			// When it is its turn, not while others are at work: so one at a time
			// is the same run for the same clock.
			if !s.Now().Before(until) {
				return nil
			}
			if err := s.await(ctx, e, reason); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = group.Wait() // the functions give none
	return errors.Join(errs...)
}

// settleTurns looks at the turns of attempts that got their verdict since: a job
// may have been created much later than its turn was given, or not at all. It
// tells whether the turns have changed.
func (s *Submitter) settleTurns(ctx context.Context, turns *attempt.Turns, open map[string]time.Time) (bool, error) {
	changed := false
	var kept []attempt.Turn
	for _, t := range turns.Given {
		if _, isOpen := open[t.Attempt]; !isOpen && !t.Done {
			changed = true
			stored, err := s.records.Get(ctx, t.Attempt)
			if errors.Is(err, job.ErrNotFound) || err == nil && stored.Times.Created.IsZero() {
				continue
			}
			if err != nil {
				return false, err
			}
			t.At, t.Done = stored.Times.Created, true
		}
		kept = append(kept, t)
	}
	turns.Given = kept
	return changed, nil
}

// start creates the job of a queued attempt.
func (s *Submitter) start(ctx context.Context, e attempt.Entry) (attempt.Stored, error) {
	stored, err := s.records.Get(ctx, e.Attempt)
	if err != nil {
		return stored, err
	}
	stored.Published = e.Published
	if err := s.otherBackend(stored); err != nil {
		return stored, err
	}
	if !stored.Startable(s.Now()) {
		// The index is behind, or it is not time yet.
		return stored, s.advance(ctx, stored, e)
	}
	return s.apply(ctx, stored, e, attempt.TakeClaim{Claim: s.claim(), Turn: true})
}

// await says of a queued attempt what it waits for.
func (s *Submitter) await(ctx context.Context, e attempt.Entry, reason string) error {
	stored, err := s.records.Get(ctx, e.Attempt)
	if err != nil {
		return err
	}
	stored.Published = e.Published
	if !stored.Queued {
		return s.advance(ctx, stored, e)
	}
	_, err = s.apply(ctx, stored, e, attempt.Wait{Reason: reason})
	return err
}

// queue is what is to be done with the attempts that wait, as far as the index
// and the turns of before tell. It does no I/O.
type queue struct {
	now     time.Time
	startOf func(folder string) policy.Start
	// prefixOf gives what a folder takes turns by, which is far less work.
	prefixOf func(folder string) string
	waiting  []attempt.Entry
	// turns are those of before that still count; turnOf names their attempts.
	turns  []attempt.Turn
	turnOf map[string]bool
	// size is how many bytes the note of all turns takes, at most.
	size int
	// active are the folders of the jobs without a verdict, started those of the
	// jobs of the last hour.
	active, started tally

	// starts are to be created, in this order; given are the new turns among
	// them; waits is what each of the others waits for.
	starts []attempt.Entry
	given  []attempt.Turn
	waits  map[string]string
}

// newQueue makes a queue of what the index tells and the turns that were given
// before. b is used up.
func newQueue(b *attempt.Backlog, given []attempt.Turn, p policy.Policy, now time.Time) *queue {
	q := &queue{
		now: now, prefixOf: p.Prefix, waiting: b.Waiting, turnOf: map[string]bool{}, waits: map[string]string{},
		active: tally{folders: b.Active}, started: tally{folders: b.Started},
	}
	known := map[string]policy.Start{}
	q.startOf = func(folder string) policy.Start {
		start, ok := known[folder]
		if !ok {
			start = p.Start(folder)
			known[folder] = start
		}
		return start
	}
	for _, t := range given {
		created, isOpen := b.Open[t.Attempt]
		switch {
		case isOpen && created.IsZero():
			t.At = now // created any moment
		case isOpen:
			t.At = created
		case !attempt.Lately(t.At, now):
			continue
		}
		q.turns = append(q.turns, t)
		q.size += t.Size()
		q.turnOf[t.Attempt] = true
		if isOpen {
			q.active.add(t.Folder)
		}
		if attempt.Lately(t.At, now) {
			q.started.add(t.Folder)
		}
	}
	return q
}

// group is the attempts of one prefix that wait, the oldest first.
type group struct {
	waiting []attempt.Entry
	// turn counts up with each turn: the lowest was the longest ago.
	turn   int
	active int64
}

// before tells whether it is this group's turn and not the other's: the one whose
// last turn was the longest ago comes first, then the one that has fewer jobs,
// then the one that waits longer.
func (g *group) before(other *group) bool {
	return cmp.Or(
		cmp.Compare(g.turn, other.turn), cmp.Compare(g.active, other.active), oldest(g.waiting[0], other.waiting[0]),
	) < 0
}

// groups is a heap: the one whose turn it is comes first.
type groups []*group

func (g groups) Len() int           { return len(g) }
func (g groups) Less(i, j int) bool { return g[i].before(g[j]) }
func (g groups) Swap(i, j int)      { g[i], g[j] = g[j], g[i] }
func (g *groups) Push(x any)        { *g = append(*g, x.(*group)) }
func (g *groups) Pop() any {
	last := len(*g) - 1
	x := (*g)[last]
	*g = (*g)[:last]
	return x
}

// oldest sorts by age, but those that the backend was asked for in vain come last,
// and among them who was asked the longest ago first: none is asked again and
// again while another, for which there may be room, is not.
func oldest(a, b attempt.Entry) int {
	return cmp.Or(a.Due.Compare(b.Due), a.Accepted.Compare(b.Accepted), cmp.Compare(a.Attempt, b.Attempt))
}

// plan decides about every attempt that waits: prefix by prefix in turns, and
// within a prefix the oldest first.
func (q *queue) plan() {
	byPrefix := map[string]*group{}
	var order groups
	slices.SortFunc(q.waiting, oldest)
	for _, e := range q.waiting {
		start := q.startOf(job.Folder(e.JobFile))
		if start.Paused {
			q.waits[e.Attempt] = paused
			continue
		}
		g := byPrefix[start.Prefix]
		if g == nil {
			g = &group{}
			byPrefix[start.Prefix] = g
			order = append(order, g)
		}
		g.waiting = append(g.waiting, e)
	}
	for folder, n := range q.active.folders {
		if len(byPrefix) == 0 {
			break // all are paused
		}
		if g := byPrefix[q.prefixOf(folder)]; g != nil {
			g.active += n
		}
	}
	for i, t := range q.turns {
		if g := byPrefix[q.prefixOf(t.Folder)]; g != nil {
			g.turn = i + 1
		}
	}
	heap.Init(&order)
	for turn := len(q.turns); len(order) > 0; {
		next := order[0]
		if q.decide(next.waiting[0]) {
			turn++
			next.turn, next.active = turn, next.active+1
		}
		if next.waiting = next.waiting[1:]; len(next.waiting) > 0 {
			heap.Fix(&order, 0)
		} else {
			heap.Pop(&order)
		}
	}
}

// turnsRest is what the note of the turns holds beside them, in bytes.
const turnsRest = 100

// decide tells whether an attempt is to be created, and enters what becomes of it.
func (q *queue) decide(e attempt.Entry) bool {
	if q.now.Before(e.Due) {
		return false // not time for its next try
	}
	folder := job.Folder(e.JobFile)
	if start := q.startOf(folder); start.Limited() && !q.turnOf[e.Attempt] {
		if reason := q.full(start); reason != "" {
			q.waits[e.Attempt] = reason
			return false
		}
		turn := attempt.Turn{Attempt: e.Attempt, Folder: folder, At: q.now}
		if q.size += turn.Size(); q.size > attempt.MaxTurns-turnsRest {
			q.size -= turn.Size()
			q.waits[e.Attempt] = "waiting: too many jobs under limits are active or were started in the last hour"
			return false
		}
		q.given = append(q.given, turn)
		q.active.add(folder)
		q.started.add(folder)
	}
	q.starts = append(q.starts, e)
	return true
}

// full says which limit leaves no room, if one does.
func (q *queue) full(s policy.Start) string {
	if l := s.Active; l != nil && q.active.of(*l) >= l.Most {
		return fmt.Sprintf("waiting: %d of %d %s are active", l.Most, l.Most, l)
	}
	if l := s.PerHour; l != nil && q.started.of(*l) >= l.Most {
		return fmt.Sprintf("waiting: %d of %d %s were started in the last hour", l.Most, l.Most, l)
	}
	return ""
}

// tally counts jobs by the folders that limits cover.
type tally struct {
	folders map[string]int64
	counts  map[string]int64 // of the limits that were asked for
}

func (t *tally) add(folder string) {
	t.folders[folder]++
	for pattern := range t.counts {
		if (policy.Limit{Folders: pattern}).Covers(folder) {
			t.counts[pattern]++
		}
	}
}

func (t *tally) of(l policy.Limit) int64 {
	n, ok := t.counts[l.Folders]
	if ok {
		return n
	}
	for folder, jobs := range t.folders {
		if l.Covers(folder) {
			n += jobs
		}
	}
	if t.counts == nil {
		t.counts = map[string]int64{}
	}
	t.counts[l.Folders] = n
	return n
}
