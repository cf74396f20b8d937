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
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// paused is the reason of an attempt that waits because the operator paused its folder.
const paused = "waiting: paused by the operator"

// waits says what an accepted drop has to wait for; it is empty if its job may be created at once.
// If the number of jobs, or what they take, is limited, only ticks give turns: see
// [Submitter.Admit].
func waits(s policy.Start, o job.Order) string {
	terms := s.Terms()
	switch {
	case s.Paused:
		return paused
	case s.Budget != nil && len(terms) == 1:
		needs := mostSeconds(o)
		if needs == 0 {
			return "waiting for its turn"
		}
		return fmt.Sprintf("waiting for its turn: the job may take %s, and %s",
			text.AcceleratorHours(needs), terms[0])
	case len(terms) > 0:
		return "waiting for its turn: " + terms[0]
	}
	return ""
}

// Admit goes through the queue: it creates the jobs of the attempts whose turn it is, and records
// what the others wait for. Ticks call it. b covers the whole index. It returns who goes on waiting, or
// nil if that is not known: another tick goes through the queue, or Admit could not plan.
//
// If the number of jobs is limited, a turn is given by a compare-and-swap of the note of all
// turns, which was read before the index was listed. If anybody else gave a turn meanwhile, the
// swap fails, and every earlier turn is counted. So the limit holds, however many ticks run at
// once. A refusal follows from the turns too: before it is carried out they are swapped, if only for
// the same ones.
func (s *Submitter) Admit(ctx context.Context, b *attempt.Backlog, until time.Time) (*attempt.Queue, error) {
	p, err := s.options.Policy(ctx)
	if err != nil {
		return nil, err
	}
	turns := b.Turns
	over, err := s.settleTurns(ctx, &turns, b.Open)
	if err != nil {
		return nil, err
	}
	unmeasured := s.measure(ctx, b.Waiting, p, until)
	q := newQueue(b, turns, p, s.options.Now().UTC())
	q.plan()
	if over || len(q.given)+len(q.refused) > 0 {
		turns.Given, turns.Spent = append(q.turns, q.given...), q.budgets.sums()
		err := s.records.GiveTurns(ctx, turns)
		if errors.Is(err, attempt.ErrStale) {
			return nil, nil // another tick goes through the queue
		}
		if err != nil {
			return nil, err
		}
	}
	errs := errors.Join(unmeasured, s.startAll(ctx, q, until), s.refuseAll(ctx, q, until))
	return q.note(), errors.Join(errs, s.awaitAll(ctx, q, until))
}

// refusals is how many times a tick lets the backend say that it has no room. The next job may ask
// for another kind of machine, but hardly all of them do.
const refusals = 4

// startAll creates the jobs whose turn it is.
func (s *Submitter) startAll(ctx context.Context, q *queue, until time.Time) error {
	var errs []error
	refused := 0
	for _, e := range q.starts {
		if ctx.Err() != nil || refused == refusals || !s.options.Now().Before(until) {
			break // the next tick goes on
		}
		after, err := s.start(ctx, e)
		errs = append(errs, err)
		if after.Attempt != "" {
			q.tried[e.Attempt] = after
		}
		if after.Queued && after.Reason == attempt.WaitsForQuota {
			refused++
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// refuseAll ends the attempts that the policy refuses because too few accelerator hours are left.
func (s *Submitter) refuseAll(ctx context.Context, q *queue, until time.Time) error {
	var errs []error
	for _, e := range q.refused {
		if ctx.Err() != nil || !s.options.Now().Before(until) {
			break // the next tick goes on
		}
		after, err := s.refuse(ctx, e, q.short[e.Attempt])
		errs = append(errs, err)
		if after.Attempt != "" {
			q.tried[e.Attempt] = after
		}
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// mostReasons is how many changed reasons a tick writes. mostFresh is how many of those it writes in which nothing but
// the accelerator hours that are left has changed: these change with each job, and the note of the queue has them.
const (
	mostReasons = 500
	mostFresh   = 20
)

// awaitAll records what the attempts that go on waiting wait for, if that has changed.
func (s *Submitter) awaitAll(ctx context.Context, q *queue, until time.Time) error {
	var (
		group errgroup.Group
		mu    sync.Mutex
		errs  []error
	)
	group.SetLimit(s.options.Parallel)
	n, fresh := 0, 0
	for _, e := range q.order {
		reason, ok := q.waits[e.Attempt]
		if !ok || reason == e.Waits {
			continue
		}
		if short, ok := q.short[e.Attempt]; ok && short.same(e.Waits) {
			if fresh++; fresh > mostFresh {
				continue
			}
		}
		if n++; n > mostReasons || ctx.Err() != nil {
			break // the next tick goes on
		}
		group.Go(func() error {
			// Read the clock here and not before others are done: with one worker, the same clock
			// gives the same run.
			if !s.options.Now().Before(until) {
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
	_ = group.Wait() // the functions return no error
	return errors.Join(errs...)
}

// settleTurns updates the turns of attempts that got their verdict since. A job may have been
// created much later than its turn was given, or not at all. settleTurns reports whether the turns
// have changed.
func (s *Submitter) settleTurns(ctx context.Context, turns *attempt.Turns, open map[string]time.Time) (bool, error) {
	changed := false
	var kept []attempt.Turn
	for _, t := range turns.Given {
		if _, isOpen := open[t.Attempt]; isOpen || t.Done {
			kept = append(kept, t)
			continue
		}
		settled, differs, keeps, err := s.settle(ctx, t)
		if err != nil {
			return false, err
		}
		changed = changed || differs
		if keeps {
			kept = append(kept, settled)
		}
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
	if !stored.Startable(s.options.Now()) {
		// The index is behind, or it is not time yet.
		return stored, s.advance(ctx, stored, e)
	}
	return s.apply(ctx, stored, e, attempt.TakeClaim{Claim: s.claim(), Turn: true})
}

// await records what a queued attempt waits for.
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

// queue plans what to do with the attempts that wait, from the index and the turns given before.
// It does no I/O.
type queue struct {
	now     time.Time
	startOf func(folder string) policy.Start
	// prefixOf returns the prefix under which a folder takes turns. It does far less work than
	// startOf.
	prefixOf func(folder string) string
	waiting  []attempt.Entry
	// turns holds the earlier turns that still count, whose attempts turnOf holds, and those that keep the order of the
	// prefixes.
	turns  []attempt.Turn
	turnOf map[string]bool
	// size is an upper bound of the bytes that the note of all turns takes.
	size int
	// active counts the folders of the jobs without a verdict, started those of the jobs of the
	// last hour.
	active, started tally

	// budgets counts what the jobs of the month may take or took.
	budgets *budgets

	// starts holds the attempts whose jobs are to be created, in this order. given holds the new
	// turns among them. waits says what each of the others waits for. refused holds the attempts that
	// the policy refuses. short says which accelerator hours they, and some that wait, lack.
	starts, refused []attempt.Entry
	given           []attempt.Turn
	waits           map[string]string
	short           map[string]shortage

	// order holds all attempts that wait, in the order of their places. tried holds what became of those
	// whose job was to be created.
	order []attempt.Entry
	tried map[string]attempt.Stored
}

// newQueue returns a queue of the backlog and the turns given before. It uses b up.
func newQueue(b *attempt.Backlog, turns attempt.Turns, p policy.Policy, now time.Time) *queue {
	q := &queue{
		budgets: newBudgets(turns, p, now), short: map[string]shortage{},
		now: now, prefixOf: p.Prefix, waiting: b.Waiting, turnOf: map[string]bool{}, waits: map[string]string{},
		tried: map[string]attempt.Stored{}, order: make([]attempt.Entry, 0, len(b.Waiting)),
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
	q.size = q.budgets.size
	for _, t := range turns.Given {
		created, isOpen := b.Open[t.Attempt]
		switch {
		case isOpen && created.IsZero():
			t.At = now // created any moment
		case isOpen:
			t.At = created
		case !attempt.Lately(t.At, now) && !t.Kept(now):
			q.budgets.fold(t)
			q.turns = append(q.turns, attempt.Turn{Attempt: t.Attempt, Folder: t.Folder, At: t.At, Done: true})
			continue
		}
		q.turns = append(q.turns, t)
		q.size += t.Size()
		q.budgets.hold(t)
		q.turnOf[t.Attempt] = true
		if isOpen {
			q.active.add(t.Folder, 1)
		}
		if attempt.Lately(t.At, now) {
			q.started.add(t.Folder, 1)
		}
	}
	q.forget()
	return q
}

// mostPast is up to which size, in bytes, the note of the turns keeps some that no longer count. It has room for 4000
// prefixes.
const mostPast = attempt.MaxTurns / 16

// forget removes the turns that no longer count. It leaves the last one of a prefix while anybody waits who waited
// before it: without it, that prefix would come first once more.
func (q *queue) forget() {
	since := q.now // the longest wait
	for _, e := range q.waiting {
		if e.Accepted.Before(since) {
			since = e.Accepted
		}
	}
	var kept []attempt.Turn
	known := map[string]bool{}
	for _, t := range slices.Backward(q.turns) {
		prefix := q.prefixOf(t.Folder)
		if !q.turnOf[t.Attempt] { // it no longer counts
			if known[prefix] || !t.At.After(since) || q.size+t.Size() > mostPast {
				continue
			}
			q.size += t.Size()
		}
		known[prefix] = true
		kept = append(kept, t)
	}
	slices.Reverse(kept)
	q.turns = kept
}

// group holds the waiting attempts of one prefix, the oldest first.
type group struct {
	waiting []attempt.Entry
	// turn counts up with each turn: the lowest was given the longest ago.
	turn   int
	active int64
}

// before reports whether this group's turn comes before the other's: first the group whose last
// turn was the longest ago, then the one with fewer jobs, then the one that waits longer.
func (g *group) before(other *group) bool {
	return cmp.Or(
		cmp.Compare(g.turn, other.turn), cmp.Compare(g.active, other.active), oldest(g.waiting[0], other.waiting[0]),
	) < 0
}

// groups is a heap. The group whose turn it is comes first.
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

// oldest compares attempts by age. Those that the backend turned down come last, and among them
// the one that was asked the longest ago comes first. So none is asked again and again while
// another, for which there may be room, is not.
func oldest(a, b attempt.Entry) int {
	return cmp.Or(a.Due.Compare(b.Due), a.Accepted.Compare(b.Accepted), cmp.Compare(a.Attempt, b.Attempt))
}

// plan decides every attempt that waits: the prefixes take turns, and within a prefix the oldest
// comes first.
func (q *queue) plan() {
	byPrefix := map[string]*group{}
	var pausedOnes []attempt.Entry
	slices.SortFunc(q.waiting, oldest)
	for _, e := range q.waiting {
		start := q.startOf(job.Folder(e.JobFile))
		if start.Paused {
			q.waits[e.Attempt] = paused
			pausedOnes = append(pausedOnes, e)
			continue
		}
		g := byPrefix[start.Prefix]
		if g == nil {
			g = &group{}
			byPrefix[start.Prefix] = g
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
	var order groups
	for _, g := range byPrefix { // no two groups are equal: [oldest] orders any two attempts
		heap.Push(&order, g)
	}
	for turn := len(q.turns); len(order) > 0; {
		next := order[0]
		q.order = append(q.order, next.waiting[0])
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
	q.order = append(q.order, pausedOnes...)
}

// note returns who goes on waiting, once jobs were created.
func (q *queue) note() *attempt.Queue {
	var n attempt.Queue
	for _, e := range q.order {
		reason := cmp.Or(q.waits[e.Attempt], e.Waits)
		if after, ok := q.tried[e.Attempt]; ok {
			if !after.Queued {
				continue
			}
			reason, e.Due = after.Reason, after.Due()
		}
		n.Add(e, reason)
	}
	return &n
}

// turnsRest is what the note of the turns holds besides them, in bytes.
const turnsRest = 100

// decide reports whether the job of an attempt is to be created, and records what becomes of it.
func (q *queue) decide(e attempt.Entry) bool {
	if q.now.Before(e.Due) {
		return false // not time for its next try
	}
	folder := job.Folder(e.JobFile)
	if start := q.startOf(folder); start.Limited() && !q.turnOf[e.Attempt] {
		if start.Budget != nil && e.Needs == attempt.UnknownNeeds {
			return false // the next tick computes it
		}
		if reason := q.full(start); reason != "" {
			q.waits[e.Attempt] = reason
			return false
		}
		if short, ok := q.budgets.short(start.Budget, e.Needs); ok {
			q.short[e.Attempt] = short
			if start.Budget.Refuse {
				q.refused = append(q.refused, e)
			} else {
				q.waits[e.Attempt] = short.String()
			}
			return false
		}
		turn := attempt.Turn{Attempt: e.Attempt, Folder: folder, At: q.now}
		if start.Budget != nil {
			turn.Month, turn.Seconds = q.budgets.month, e.Needs
		}
		if q.size += turn.Size(); q.size > attempt.MaxTurns-turnsRest {
			q.size -= turn.Size()
			q.waits[e.Attempt] = "waiting: too many jobs under limits are active or were started in the last hour"
			return false
		}
		q.given = append(q.given, turn)
		q.budgets.hold(turn)
		q.active.add(folder, 1)
		q.started.add(folder, 1)
	}
	q.starts = append(q.starts, e)
	return true
}

// full returns a reason that names the limit that leaves no room, or the empty string.
func (q *queue) full(s policy.Start) string {
	if l := s.Active; l != nil && q.active.of(*l) >= l.Most {
		return fmt.Sprintf("waiting: %d of %d %s are active", l.Most, l.Most, l)
	}
	if l := s.PerHour; l != nil && q.started.of(*l) >= l.Most {
		return fmt.Sprintf("waiting: %d of %d %s were started in the last hour", l.Most, l.Most, l)
	}
	return ""
}

// tally counts jobs, or what they take, by the folders that limits cover.
type tally struct {
	folders map[string]int64
	counts  map[string]int64 // for the limits that were asked for
}

func (t *tally) add(folder string, n int64) {
	t.folders[folder] += n
	for pattern := range t.counts {
		if (policy.Limit{Folders: pattern}).Covers(folder) {
			t.counts[pattern] += n
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
