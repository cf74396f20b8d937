package notifier

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// outage is after how many tries in a row a destination is left alone until the next tick: each may take 15 s.
const outage = 3

// Tick sends what is due, and heartbeats. It goes on after a failure, and returns all of them. What destinations refuse
// or can't take is no failure: it is in their records.
func (n *Notifier) Tick(ctx context.Context) error {
	file, err := n.routes(ctx)
	if err != nil || file == nil {
		return err
	}
	if _, err := n.started(ctx); err != nil {
		return err
	}
	begin := n.now()
	t := tick{n: n, file: file, begin: begin, end: begin.Add(n.options.Budget), failures: map[string]int{}}
	err = errors.Join(t.heartbeats(ctx), t.backlog(ctx)) // heartbeats first: they tell when the rest fails
	t.found.Took = n.now().Sub(begin)
	if n.options.Ticked != nil {
		n.options.Ticked(ctx, t.found)
	}
	return err
}

// tick is one run of Tick.
type tick struct {
	n    *Notifier
	file *routes.File
	// begin and end are the time in which sends may begin.
	begin, end time.Time

	mu    sync.Mutex
	found Tick
	// failures counts the sends to a destination that failed since one went well.
	failures map[string]int
}

// backlog sends what the index says is due.
func (t *tick) backlog(ctx context.Context) error {
	var (
		errs  []error
		mu    sync.Mutex
		g     errgroup.Group
		group []entry // of one conversation: its entries are listed one after another
	)
	g.SetLimit(t.n.options.Parallel)
	flush := func() {
		entries := group
		group = nil
		if len(entries) == 0 || !t.due(entries) {
			return
		}
		g.Go(func() error {
			if err := t.visit(ctx, entries); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
			return nil
		})
	}
	err := t.n.store.ListAfter(ctx, t.n.bucket, openFolder, "", func(page []job.Attributes) error {
		for _, o := range page {
			e, ok := parseEntry(o)
			if !ok {
				continue
			}
			t.found.Waiting++
			if !e.since.IsZero() {
				t.found.Oldest = max(t.found.Oldest, t.begin.Sub(e.since))
			}
			if len(group) > 0 && group[0].conversation != e.conversation {
				flush()
			}
			group = append(group, e)
		}
		if t.n.now().After(t.end) {
			return errBudget
		}
		return nil
	})
	flush()
	_ = g.Wait()
	t.found.Complete = err == nil
	if errors.Is(err, errBudget) {
		err = nil // the next tick goes on
	}
	return errors.Join(append(errs, err)...)
}

// errBudget ends a list.
var errBudget = errors.New("the tick's time is over")

// due reports whether one of a conversation's entries is due, and its destination worth a try.
func (t *tick) due(entries []entry) bool {
	now := t.n.now()
	alone := t.n.asked(entries[0].destination) && !slices.ContainsFunc(entries, func(e entry) bool { return e.asked })
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures[entries[0].destination] < outage && !now.After(t.end) && !alone &&
		slices.ContainsFunc(entries, func(e entry) bool { return !e.next.After(now) })
}

// visit sends what is due in a conversation, and brings its entries up to date.
func (t *tick) visit(ctx context.Context, entries []entry) error {
	n, c := t.n, entries[0].conversation
	end, err := n.work(ctx)
	if err != nil {
		return err
	}
	defer end()
	s, err := n.read(ctx, c)
	if err != nil {
		return err
	}
	s, did, err := n.converse(ctx, t.file, c, s, nil, sendsPerTick)
	t.mu.Lock()
	switch {
	case did.failed > 0:
		t.failures[c.destination]++
	case did.told > 0:
		t.failures[c.destination] = 0
	}
	t.mu.Unlock()
	if err != nil {
		return err
	}
	due := map[string]time.Time{}
	for k, p := range s.Pending {
		next := later(p.Next, s.NotBefore)
		if k > 0 && s.Pending[k-1].Generation == p.Generation { // it waits for the one before
			next = later(next, due[entryOf(c, s.Pending[k-1]).last])
		}
		due[entryOf(c, p).last] = next
	}
	var errs []error
	refreshes := s.Refreshes()
	for _, e := range entries {
		next, waits := due[e.last]
		if refreshes && strings.HasPrefix(e.last, refreshPrefix) {
			next, waits, refreshes = s.Newest.Next, true, false // one is enough
		}
		switch {
		case !waits:
			errs = append(errs, n.close(ctx, e))
		case !next.Equal(e.next) && next.After(n.now()):
			e.next, e.asked = next, false
			errs = append(errs, n.open(ctx, e))
		}
	}
	if refreshes { // this process lost its lease while it was sending
		errs = append(errs, n.open(ctx, n.refreshOf(s)))
	}
	return errors.Join(errs...)
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
