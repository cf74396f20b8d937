package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// What Notify promises, as docs/delivery.md and docs/notify.md say it.
const (
	repeatTime = 6 * time.Hour
	giveUpTime = 24 * time.Hour
	beatLate   = time.Hour
	// longestRest is what a destination may ask for at most.
	longestRest = 6 * time.Hour
)

// people reports whether people read what a destination is told, shows whether it shows the newest event of a folder.
func (p pair) people() bool { return p.destination != hook }
func (p pair) shows() bool  { return p.destination == team || p.destination == pager }

// wrote takes a write of a worker. The caller holds mu.
func (n *notify) wrote(me *worker, name string) {
	ours := strings.HasPrefix(name, deliveries)
	if me == nil || me.visit == nil {
		if ours {
			n.w.fail("%s is written by another function", name)
		}
		return
	}
	v, now := me.visit, time.Now()
	if at, ok := v.since[name]; ok && now.Sub(at) > leaseTime-slackOf(me) {
		n.lapsed = append(n.lapsed, lapse{name, now})
	}
	v.leased[name], v.since[name] = now, v.writing[name]
	n.records(me, name)
	for _, t := range v.unrecorded[name] {
		t.recorded = now
	}
	delete(v.unrecorded, name)
	if name != epochOf {
		return
	}
	text := string(n.w.storage.objects[state+"/"+name].data)
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(text))
	slack := n.w.judge.slack() + time.Second
	switch {
	case err != nil:
		n.w.fail("the epoch is %q", text)
	case !n.epoch.IsZero():
		n.w.fail("the epoch was %s and is %s", n.epoch, at)
	case at.After(now.Add(-10*time.Minute + slack)), at.Before(n.first.Add(-10*time.Minute - slack)):
		n.w.fail("the epoch is %s; the first request came %s", at, n.first)
	default:
		n.epoch = at
	}
}

// begins takes that a worker begins to write: a lease runs from then on, however long the write takes.
func (n *notify) begins(ctx context.Context, name string) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	workerOf(ctx).visit.writing[name] = time.Now()
}

// unanswered takes that a write seems to have failed. If it did not, and says what came of a send, its process can't tell
// that from a lost lease once another one has written the record.
func (n *notify) unanswered(ctx context.Context, name string, began time.Time) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	if v := workerOf(ctx).visit; !workerOf(ctx).dead && v.sends[name] > 0 && !v.leased[name].Before(began) {
		n.lapsed = append(n.lapsed, lapse{name, time.Now()})
	}
}

// records reads what a record says: which sends have begun, and what was given up. What a message says is fixed once its
// first send has begun, also if that never reached its destination.
func (n *notify) records(me *worker, name string) {
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(name, recordsOf), ".json"), "/")
	if !strings.HasPrefix(name, recordsOf) || len(parts) != 3 {
		return
	}
	var record struct {
		Pending []struct {
			Generation, Sequence int64
			Tries, Repeats       int
		}
		Told []struct {
			Generation int64
			Events     []struct {
				Sequence int64
				How      string
			}
		}
	}
	must(json.Unmarshal(n.w.storage.objects[state+"/"+name].data, &record))
	of := func(generation, sequence int64) telling {
		return telling{fmt.Sprintf("%s-%d-%d", parts[0], generation, sequence), pair{parts[1], parts[2]}}
	}
	for _, p := range record.Pending {
		t := of(p.Generation, p.Sequence)
		if _, known := n.sending[t]; !known && p.Tries > 0 {
			n.sending[t] = time.Now()
		}
		n.counting[t] = p.Repeats
	}
	for _, a := range record.Told {
		for _, e := range a.Events {
			t := of(a.Generation, e.Sequence)
			if _, known := n.ended[t]; !known && e.How == "given-up" {
				n.ended[t] = end{time.Now(), me}
			}
		}
	}
}

// checkTry holds what a destination is told to what happened. The caller holds mu.
func (n *notify) checkTry(d *destination, t *try) {
	e := n.news[t.id]
	if e == nil {
		if !strings.HasPrefix(t.id, "heartbeat-") {
			n.w.fail("%s is told of %s, which did not happen", d.name, t.id)
		}
		return
	}
	switch {
	case e.at.Before(n.epoch):
		n.w.fail("%s is told of %s, %s before the epoch", d.name, t.id, n.epoch.Sub(e.at))
	case e.may[t.pair].IsZero():
		n.w.fail("%s is told of %s by route %s, which names nobody for it", d.name, t.id, t.route)
	case t.leased.IsZero():
		n.w.fail("%s sends %s to %s and wrote nothing before", t.worker.name, t.id, d.name)
	}
	if !t.refresh && len(e.trees) == 1 {
		for p := range e.trees {
			if faulty := p.faulty != nil && p.faulty(e); faulty != (t.faults > 0) {
				n.w.fail("%s: %s is told with %d faults of the routes, and an expression fails: %t",
					d.name, t.id, t.faults, faulty)
			}
		}
	}
	for _, before := range d.tries {
		if before.telling == t.telling && before.told && before.at.Before(t.leased) && !t.unsure && !t.refresh {
			n.w.fail("%s is told of %s again by %s, and not that it may know", d.name, t.id, t.worker.name)
		}
	}
}

// checkAnswer holds the answer to a delivery to what was done about its event. The caller holds mu.
func (n *notify) checkAnswer(me *worker, e *news, taken bool) {
	v := me.visit
	if !taken && !me.dead && !v.excused && v.stale < 8 {
		n.w.fail("%s has %s delivered again, and only destinations failed", me.name, e.id)
	}
	if v.tree == nil {
		if taken {
			n.w.fail("%s takes %s and knows no routes", me.name, e.id)
		}
		return
	}
	pairs := v.tree.wants(e)
	if len(pairs) == 0 && len(v.calls) > 0 {
		n.w.fail("%s: nobody is to be told of %s, and it costs %v", me.name, e.id, v.calls)
	}
	n.checkCosts(me, e, pairs)
	if !taken {
		return
	}
	if e.acked.IsZero() {
		e.acked = time.Now()
	}
	if len(pairs) > 0 && n.epoch.IsZero() {
		n.w.fail("%s takes %s and knows no epoch", me.name, e.id)
	}
	if e.at.Before(n.epoch) {
		return
	}
	for _, p := range pairs {
		if _, known := e.due[p]; !known {
			e.due[p] = time.Now()
		}
		// Where the record says that it was given up, another process is about to report it: checkTold sees that.
		_, ended := n.ended[telling{e.id, p}]
		if !ended && !n.toldOf(e, p) && !n.superfluous(e, p) && !n.indexed(e, p) {
			n.w.fail("%s takes %s, and %s was not told by %s and no tick would find it",
				me.name, e.id, p.destination, p.route)
		}
	}
}

// checkCosts holds a request to what it may cost, and to what it may wait for.
func (n *notify) checkCosts(me *worker, e *news, pairs []pair) {
	v := me.visit
	if me.dead || v.excused || v.stale > 0 {
		return
	}
	for _, p := range pairs {
		place := e.folder + "/" + p.route + "/" + p.destination
		record := recordsOf + place + ".json"
		var own []*try
		for _, t := range v.tries {
			if t.record == record {
				own = append(own, t)
			}
		}
		if v.sends[record] == 1 && len(own) == 1 && own[0].id == e.id && own[0].told && own[0].err == nil && !own[0].refresh {
			reads, writes := v.calls["read "+record], v.calls["write "+record]
			index := v.calls["write "+openOf+place+"/"+e.entry()]
			if reads > 1 || writes+index > 2 {
				n.w.fail("%s tells %s of %s with %d reads and %d writes", me.name, p.destination, e.id, reads, writes+index)
			}
		}
		if n.parallel < len(pairs) {
			continue
		}
		waits := v.spent + time.Second
		for _, t := range own {
			if late := t.began.Sub(me.began) - waits; late > 0 {
				n.w.fail("%s: %s waits %s for other destinations to be told of %s", me.name, p.destination, late, e.id)
			}
			waits += t.done.Sub(t.began)
		}
	}
}

func (e *news) entry() string {
	return strconv.FormatInt(e.generation, 10) + "-" + strconv.FormatInt(e.sequence, 10)
}

// indexed reports whether ticks find what waits.
func (n *notify) indexed(e *news, p pair) bool {
	prefix := state + "/" + openOf + e.folder + "/" + p.route + "/" + p.destination + "/" + e.entry()
	return slices.ContainsFunc(n.w.storage.below(prefix), func(path string) bool {
		return path == prefix || strings.HasPrefix(path, prefix+"-")
	})
}

// toldOf reports whether a destination was told of an event, or people that it was not.
func (n *notify) toldOf(e *news, p pair) bool {
	return n.heardOf(e, p) || n.surrendered(e, p)
}

// heardOf reports whether a destination was told of an event.
func (n *notify) heardOf(e *news, p pair) bool {
	return slices.ContainsFunc(n.of(e, p), func(t *try) bool { return t.told })
}

// surrendered reports whether people were told that an event was given up, or its record says so and the process had no
// time to: a report is made at most once.
func (n *notify) surrendered(e *news, p pair) bool {
	return n.surrenderedBefore(e, p, time.Now().Add(1))
}

func (n *notify) surrenderedBefore(e *news, p pair, at time.Time) bool {
	t := telling{e.id, p}
	if end, ok := n.ended[t]; ok && (end.worker.dead || end.worker.visit.excused) && end.at.Before(at) {
		return true
	}
	return slices.ContainsFunc(n.givenUp, func(s surrender) bool { return s.telling == t && s.at.Before(at) })
}

// of returns the tries to tell a destination of an event, by when it took them.
func (n *notify) of(e *news, p pair) []*try {
	all := slices.DeleteFunc(slices.Clone(n.destinations[p.destination].tries), func(t *try) bool {
		return t.telling != telling{e.id, p} || t.refresh
	})
	slices.SortFunc(all, func(a, b *try) int { return a.at.Compare(b.at) })
	return all
}

// superfluous reports whether people may not be told of an event: a later one says more, or the same rejection was told
// a short time ago.
func (n *notify) superfluous(e *news, p pair) bool {
	if !p.people() {
		return false
	}
	for _, other := range n.news {
		if other == e || other.folder != e.folder || other.may[p].IsZero() || other.at.Before(n.epoch) {
			continue
		}
		same := other.generation == e.generation
		later := other.generation > e.generation || same && other.sequence > e.sequence
		switch {
		case e.final():
			if e.kind == job.DropRejected && other.kind == e.kind && other.faults == e.faults && n.near(other, e, p) &&
				!n.surrenderedBefore(other, p, e.may[p]) {
				return true
			}
		case same && other.final(), !e.warns() && later && (same || p.shows()):
			return true
		}
	}
	return false
}

// near reports whether a rejection may have been taken within six hours after another.
func (n *notify) near(first, then *news, p pair) bool {
	return then.may[p].Sub(first.dueOrNow(p)) < repeatTime+n.w.judge.slack() && first.may[p].Before(then.dueOrNow(p))
}

// dueOrNow returns when an event was taken for a destination at the latest.
func (e *news) dueOrNow(p pair) time.Time {
	if at, ok := e.due[p]; ok {
		return at
	}
	return time.Now()
}

// messages counts what destinations were told.
func (n *notify) messages() (count int) {
	for _, d := range n.destinations {
		for _, t := range d.tries {
			if t.rang {
				count++
			}
		}
	}
	return count
}

// check holds what destinations were told to the promises.
func (n *notify) check() {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	for _, path := range n.w.storage.below(state + "/" + openOf) {
		n.w.fail("%s waits, and everything answers since %s", path, time.Since(n.calmed))
	}
	all := slices.SortedFunc(maps.Values(n.news), func(a, b *news) int { return strings.Compare(a.id, b.id) })
	for _, e := range all {
		if e.acked.IsZero() {
			n.w.fail("%s was never taken", e.id)
		}
		for _, p := range sortedPairs(e.due) {
			n.checkTold(e, p)
		}
		for _, p := range sortedPairs(e.may) {
			n.checkTries(e, p)
		}
	}
	for _, s := range n.givenUp {
		n.checkSurrender(s)
	}
	for _, t := range slices.SortedFunc(maps.Keys(n.ended), func(a, b telling) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	}) {
		if !slices.ContainsFunc(n.givenUp, func(s surrender) bool { return s.telling == t }) {
			n.checkSurrender(surrender{t, n.ended[t].at})
		}
	}
	n.checkConversations(all)
	n.checkBeats()
}

func sortedPairs[V any](m map[pair]V) []pair {
	return slices.SortedFunc(maps.Keys(m), func(a, b pair) int {
		return strings.Compare(a.route+"/"+a.destination, b.route+"/"+b.destination)
	})
}

// checkTold looks for what a destination was to be told, and was not.
func (n *notify) checkTold(e *news, p pair) {
	if !n.toldOf(e, p) && !n.superfluous(e, p) {
		n.w.fail("%s was not told of %s, %s, by route %s", p.destination, e.id, e.kind.Short(), p.route)
	}
	if n.surrenderedBefore(e, p, n.replayed) &&
		!slices.ContainsFunc(n.of(e, p), func(t *try) bool { return t.told || t.at.After(n.replayed) }) {
		n.w.fail("%s was not told of %s, which somebody had sent again", p.destination, e.id)
	}
}

// checkTries holds the tries to tell a destination of an event to each other.
func (n *notify) checkTries(e *news, p pair) {
	d, tries := n.destinations[p.destination], n.of(e, p)
	told, rang, excused, stalled := 0, 0, 0, 0
	var last *try
	for _, t := range tries {
		if t.told {
			told++
			if t.excused() {
				excused++
			}
			if t.stalled() {
				stalled++
			}
		}
		if t.rang {
			rang++
		}
		if last != nil && last.err != nil && !last.excusedLate() && !n.replayedBetween(last.at, t.at) {
			pause := max(25*time.Second, min(last.after, longestRest)) - slackOf(t.worker) - slackOf(last.worker)
			if early := pause - t.at.Sub(last.at); early > 0 && t.leased.After(last.recorded) {
				n.w.fail("%s is told of %s again %s too early: %v", p.destination, e.id, early, last.err)
			}
		}
		last = t
	}
	if told > 1+excused {
		n.w.fail("%s was told of %s %d times, and %d answers were lost", p.destination, e.id, told, excused)
	}
	if p.destination == team && d.scoped && rang > 1+stalled && len(tries) > 0 && d.count(tries[0].conversation) == 1 {
		n.w.fail("%s was told of %s %d times, and %d processes stalled", p.destination, e.id, rang, stalled)
	}
	late := 0
	for _, t := range tries {
		if t.err != nil && !t.recorded.IsZero() && (n.replayed.IsZero() || t.at.Before(n.replayed)) &&
			t.at.Sub(e.dueOrNow(p)) > giveUpTime+time.Minute {
			late++
		}
	}
	if late > 1 {
		n.w.fail("%s is tried for %s %d times after %s", p.destination, e.id, late, giveUpTime)
	}
}

// excusedLate reports whether a try's answer was not noted in time.
func (t *try) excusedLate() bool {
	return t.recorded.IsZero() || t.recorded.Sub(t.since) > leaseTime-slackOf(t.worker)
}

// replayedBetween reports whether somebody had sent again what was given up.
func (n *notify) replayedBetween(from, to time.Time) bool {
	return !n.replayed.IsZero() && !n.replayed.Before(from) && !n.replayed.After(to)
}

// checkSurrender holds what was given up to the reasons for that.
func (n *notify) checkSurrender(s surrender) {
	e := n.news[s.id]
	if e == nil || e.may[s.pair].IsZero() {
		n.w.fail("%s gives up %s, which it is not to be told by %s", s.destination, s.id, s.route)
		return
	}
	since := e.may[s.pair]
	if !n.replayed.IsZero() && n.replayed.Before(s.at) && n.surrenderedBefore(e, s.pair, n.replayed) {
		since = n.replayed
	}
	refused := slices.ContainsFunc(n.of(e, s.pair), func(t *try) bool { return t.never && !t.at.After(s.at) })
	if early := giveUpTime - s.at.Sub(since); !refused && early > n.w.judge.slack() {
		n.w.fail("%s of %s is given up %s early", s.destination, s.id, early)
	}
	for _, t := range n.of(e, s.pair) {
		if t.leased.After(s.at.Add(time.Second)) && !n.replayedBetween(s.at, t.leased) {
			n.w.fail("%s is told of %s at %s, given up at %s", s.destination, s.id, t.at, s.at)
		}
	}
}

// place is a conversation.
type place struct {
	folder string
	pair
}

// checkConversations holds what destinations show to the newest event, and what they were told of repeats to those.
func (n *notify) checkConversations(all []*news) {
	places := map[place][]*news{}
	for _, e := range all {
		for p := range e.may {
			places[place{e.folder, p}] = append(places[place{e.folder, p}], e)
		}
	}
	for _, c := range slices.SortedFunc(maps.Keys(places), func(a, b place) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	}) {
		var tries []*try
		for _, t := range n.destinations[c.destination].tries {
			if t.record == recordsOf+c.folder+"/"+c.route+"/"+c.destination+".json" {
				tries = append(tries, t)
			}
		}
		slices.SortFunc(tries, func(a, b *try) int { return a.at.Compare(b.at) })
		if c.people() {
			n.checkRepeats(c, places[c], tries)
		}
		if c.shows() {
			n.checkShown(c, places[c], tries)
		}
	}
}

// checkShown holds what a destination shows of a folder to its newest event.
func (n *notify) checkShown(c place, events []*news, tries []*try) {
	d := n.destinations[c.destination]
	unmended := false // a process stalled, sent, and died: nobody knows
	causes := 0
	var newest *try
	for k, t := range tries {
		lost := func(before *try) bool { return t.order.before(before.order) && before.excused() }
		if t.turned && !t.stalled() && !t.refresh && !slices.ContainsFunc(tries[:k], lost) {
			n.w.fail("%s showed a newer event, and shows %s", c.destination, t.id)
		}
		lapsed := slices.ContainsFunc(n.lapsed, func(l lapse) bool { return l.record == t.record && l.at.Before(t.at) })
		if t.refresh && causes == 0 && !lapsed {
			n.w.fail("%s is asked to show %s again, and nothing was in the way", c.destination, t.id)
		}
		if t.excused() {
			causes++
		}
		if t.stalled() && (t.recorded.IsZero() || t.worker.dead) {
			unmended = true
		}
		if (t.told || t.turned) && (newest == nil || newest.order.before(t.order)) {
			newest = t
		}
	}
	if newest == nil || unmended {
		return
	}
	if c.destination == pager {
		if open := d.open[newest.conversation]; open != (newest.level == notice.Critical) {
			n.w.fail("the incident of %s by %s is open: %t, and the newest that it was told is %s",
				c.folder, c.route, open, newest.id)
		}
		return
	}
	for _, e := range events {
		if _, due := e.due[c.pair]; due && newest.order.before(order{e.generation, e.sequence}) &&
			!n.toldOf(e, c.pair) && !n.superfluous(e, c.pair) {
			n.w.fail("the newest that %s was told of %s by %s is %s, and %s is newer",
				c.destination, c.folder, c.route, newest.id, e.id)
		}
	}
	var last *thread
	for _, th := range d.threads {
		if th.conversation == newest.conversation && (last == nil || th.at.After(last.at)) {
			last = th
		}
	}
	// A thread may show the state of a message that was never told: the reply to it failed.
	half := last != nil && newest.order.before(last.shows) &&
		slices.ContainsFunc(tries, func(t *try) bool { return t.order == last.shows && t.err != nil })
	if last != nil && !half && !slices.Contains(n.mayShow(c, events, tries), last.shows) {
		n.w.fail("%s shows %v of %s by %s, and was told of %s", c.destination, last.shows, c.folder, c.route, newest.id)
	}
}

// mayShow returns what a thread may show: the newest event that was told, and as long as nobody knows that one was, the
// one before it.
func (n *notify) mayShow(c place, events []*news, tries []*try) (all []order) {
	told := map[order]bool{} // each with whether a process noted that it was
	for _, t := range tries {
		if t.told || t.turned {
			told[t.order] = told[t.order] || t.err == nil && !t.recorded.IsZero()
		}
	}
	newestFirst := slices.SortedFunc(maps.Keys(told), func(a, b order) int {
		if a.before(b) {
			return 1
		}
		return -1
	})
	for _, o := range newestFirst {
		all = append(all, o)
		if told[o] || !n.abandoned(c, events, o) {
			break
		}
	}
	return all
}

// abandoned reports whether nobody sends an event again whose answer was lost: what overtook it was given up, or no
// route named the destination any more when the event was taken.
func (n *notify) abandoned(c place, events []*news, o order) bool {
	return slices.ContainsFunc(events, func(e *news) bool {
		_, due := e.due[c.pair]
		return e.generation == o.Generation &&
			(e.sequence == o.Sequence && !due || e.sequence > o.Sequence && n.surrendered(e, c.pair))
	})
}

// checkRepeats holds what was counted to what messages say of it, and what was told again to the time that had passed.
func (n *notify) checkRepeats(c place, events []*news, tries []*try) {
	carried, lost := map[string]int{}, map[string]int{} // by messages that were told, and by others
	var last time.Time                                  // when the last message that was told began to be sent first
	for _, t := range tries {
		if t.refresh {
			continue
		}
		if !t.told {
			lost[t.id] = max(lost[t.id], t.repeats)
			continue
		}
		carried[t.id] = max(carried[t.id], t.repeats)
		if e := n.news[t.id]; (e.final() || e.warns()) && n.sending[t.telling].After(last) {
			last = n.sending[t.telling]
		}
	}
	sum := 0
	for _, count := range carried {
		sum += count
	}
	before, counted := 0, 0
	for _, e := range events {
		_, due := e.due[c.pair]
		switch {
		case carried[e.id] > 0:
		case !due: // no route named the destination any more when the event was taken: nobody sends it again
			before -= n.counting[telling{e.id, c.pair}]
		case n.surrendered(e, c.pair):
			before -= lost[e.id] // it may have been told: what it counted is not counted again
		}
	}
	for _, e := range events {
		at, due := e.due[c.pair]
		switch {
		case e.kind != job.DropRejected || e.at.Before(n.epoch):
			continue
		case !n.toldOf(e, c.pair):
			counted++
			if due && at.Before(last) {
				before++
			}
		case due:
			n.checkAgain(c, events, e)
		}
	}
	if sum < before || sum > counted {
		n.w.fail("%s was told of %d rejections of %s by %s that it was not told singly, and there were %d to %d",
			c.destination, sum, c.folder, c.route, before, counted)
	}
}

// checkAgain looks for a rejection that people were told though the same was told a short time before.
func (n *notify) checkAgain(c place, events []*news, e *news) {
	for _, first := range events {
		if first.kind != e.kind || first.faults != e.faults || first == e || first.due[c.pair].IsZero() ||
			!first.due[c.pair].Before(e.may[c.pair]) || e.due[c.pair].Sub(first.may[c.pair]) >= repeatTime-n.w.judge.slack() ||
			n.surrendered(first, c.pair) || !n.heardOf(first, c.pair) {
			continue
		}
		between := slices.ContainsFunc(events, func(x *news) bool {
			return x != first && x != e && x.final() && x.may[c.pair].Before(e.due[c.pair]) &&
				x.dueOrNow(c.pair).After(first.may[c.pair])
		})
		if !between {
			n.w.fail("%s was told of %s, and %s before of the same rejection, %s", c.destination, e.id,
				e.may[c.pair].Sub(first.may[c.pair]), first.id)
		}
	}
}

// checkBeats holds the messages that show that a destination can be reached to their time.
func (n *notify) checkBeats() {
	for _, name := range []string{team, hook} {
		d := n.destinations[name]
		if !n.beats {
			if len(d.beats) > 0 {
				n.w.fail("%s gets heartbeats", name)
			}
			continue
		}
		slices.SortFunc(d.beats, func(a, b *try) int { return a.at.Compare(b.at) })
		var last *try
		for _, t := range d.beats {
			if last != nil && !last.excused() && !t.stalled() && last.told && t.at.Sub(last.at) < beatsEvery-slackOf(t.worker)-2*time.Minute {
				n.w.fail("%s gets a heartbeat %s after another", name, t.at.Sub(last.at))
			}
			if t.told {
				last = t
			}
		}
		for _, k := range n.ticked {
			n.checkUnreached(d, k)
		}
	}
}

// checkUnreached holds what a tick said of a destination to when it was reached.
func (n *notify) checkUnreached(d *destination, k ticked) {
	var first, reached, surely time.Time
	for _, t := range d.beats {
		if !t.at.Before(k.at) {
			break
		}
		if first.IsZero() {
			first = t.at
		}
		if t.told {
			reached = t.at
			if t.err == nil && !t.recorded.IsZero() && t.recorded.Before(k.worker.began) {
				surely = t.at
			}
		}
	}
	took := k.at.Sub(k.worker.began)
	said := slices.Contains(k.unreached, d.name)
	switch {
	case said && !surely.IsZero() && k.at.Sub(surely) < beatsEvery+beatLate-slackOf(k.worker):
		n.w.fail("%s is said not to be reached, and was %s before", d.name, k.at.Sub(surely))
	case said || took > time.Minute || k.worker.visit.excused || k.worker.visit.stale > 0:
	case reached.IsZero() && !first.IsZero() && k.at.Sub(first) > beatLate+2*time.Minute,
		!reached.IsZero() && k.at.Sub(reached) > beatsEvery+beatLate+2*time.Minute:
		n.w.fail("%s was not reached since %s, and the tick of %s says nothing", d.name, k.at.Sub(reached), k.worker.name)
	}
}
