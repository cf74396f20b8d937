package delivery

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Manner is how a destination wants to be told.
type Manner struct {
	// People reports that people read it: what is overtaken, and what repeats the rejection before, is not sent.
	People bool
	// Shows reports that it shows the folder's newest event, so that an older one must not be shown after it.
	Shows bool
}

// Taken is what became of an event that came.
type Taken struct {
	// Changed reports that the record is another one than before, Pending that the event is to be told, now or later.
	Changed, Pending bool
	// GivenUp are events that were given up to make room.
	GivenUp []Intent
}

// Take adds an event to what is to be told, unless it is known: an event of which the record says what became of it is
// never taken again.
func (r Record) Take(e notice.Event, faults []string, m Manner, now time.Time) (Record, Taken, error) {
	g, s := e.Generation, e.Body.Sequence
	if r.index(g, s) >= 0 {
		return r, Taken{Pending: true}, nil
	}
	if r.knows(g, s) {
		return r, Taken{}, nil
	}
	c := e.CloudEvent
	if m.People {
		c = trimmed(e)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return r, Taken{}, fmt.Errorf("event %s: %w", e.ID(), err)
	}
	i := Intent{Generation: g, Sequence: s, Kind: e.Kind(), Event: data, Since: now, Faults: bounded(faults)}
	r = r.clone()
	if m.People {
		if note := r.overtakenBy(i, m); note != "" {
			r.note(i, string(e.Type()), Overtaken, note, now)
			return r, Taken{Changed: true}, nil
		}
		if r.repeats(e, now) {
			r.note(i, string(e.Type()), Counted, "the same was told of an earlier attempt", now)
			return r, Taken{Changed: true}, nil
		}
		r.overtake(i, m, now)
	}
	r.insert(i)
	givenUp := r.bound(now)
	return r, Taken{Changed: true, Pending: r.index(g, s) >= 0, GivenUp: givenUp}, nil
}

// insert adds an intent in its order.
func (r *Record) insert(i Intent) {
	at, _ := slices.BinarySearchFunc(r.Pending, i, func(p, i Intent) int { return p.compare(i.Generation, i.Sequence) })
	r.Pending = slices.Insert(r.Pending, at, i)
}

// overtakenBy says why an event is news no more, or nothing if it is.
func (r Record) overtakenBy(i Intent, m Manner) string {
	if i.Kind == notice.Outcome {
		return ""
	}
	newer := func(g, s int64, kind notice.Kind) bool {
		if g == i.Generation {
			return kind == notice.Outcome || i.Kind == notice.Progress && s > i.Sequence
		}
		return m.Shows && i.Kind == notice.Progress && g > i.Generation
	}
	const note = "a later event came before it"
	for _, p := range r.Pending {
		if newer(p.Generation, p.Sequence, p.Kind) {
			return note
		}
	}
	for _, a := range r.Told {
		for _, t := range a.Events {
			// What was overtaken itself may have been shown, and its own successor may have been refused.
			if t.How != GaveUp && newer(a.Generation, t.Sequence, t.Kind) {
				return note
			}
		}
	}
	return ""
}

// overtake takes out what a new event makes superfluous: progress before it, and warnings of an attempt that has
// ended. That one is being sent, or may have been told, makes no difference, unless it counts repeats.
func (r *Record) overtake(i Intent, m Manner, now time.Time) {
	r.Pending = slices.DeleteFunc(r.Pending, func(p Intent) bool {
		same := p.Generation == i.Generation
		if p.Unsure && p.Repeats > 0 {
			return false // nobody knows whether they were counted: it is sent under its own ID
		}
		over := p.compare(i.Generation, i.Sequence) < 0 &&
			(p.Kind == notice.Progress && (same || m.Shows) || p.Kind == notice.Warning && same && i.Kind == notice.Outcome)
		if over {
			r.recount(&p)
			r.note(p, p.typeName(), Overtaken, "a later event came before it was sent", now)
		}
		return over
	})
}

// repeats reports whether an event is the rejection that was told last, within [RepeatTime], and counts it then.
func (r *Record) repeats(e notice.Event, now time.Time) bool {
	if e.Type() != job.DropRejected {
		if e.Kind() == notice.Outcome && r.Rejection != nil {
			last := *r.Rejection
			last.Digest = "" // what is rejected after it is news
			r.Rejection = &last
		}
		return false
	}
	digest := rejectionDigest(e.Body)
	if last := r.Rejection; last != nil && last.Digest == digest && now.Sub(last.Told) < RepeatTime {
		again := *last
		again.Repeats++
		if again.Since.IsZero() {
			again.Since = now
		}
		r.Rejection = &again
		return true
	}
	next := Rejection{Digest: digest, Told: now, Generation: e.Generation}
	if r.Rejection != nil {
		next.Repeats, next.Since = r.Rejection.Repeats, r.Rejection.Since
	}
	r.Rejection = &next
	return false
}

// rejectionDigest is the same for rejections that say the same. Places are left out: a line that is added above a fault
// moves it.
func rejectionDigest(b job.Snapshot) string {
	h := sha256.New()
	for _, v := range b.Violations {
		fmt.Fprintf(h, "%q %q %q %q\n", v.Rule, v.Field, v.Found, v.Message)
	}
	if len(b.Violations) == 0 {
		fmt.Fprintf(h, "%q", b.Reason)
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// Work is what a process that holds the lease is to send.
type Work struct {
	// Intent is the event. With Refresh it is the newest one, which is shown again.
	Intent  Intent
	Refresh bool
	// Unsure reports that an earlier try may have told it.
	Unsure  bool
	Receipt Receipt
}

// Begin returns a record in which owner has the lease, and what owner is to send under it. ok reports whether something
// is due and nobody else has the lease. The record has to be written before the send begins.
func (r Record) Begin(owner string, now time.Time) (after Record, w Work, ok bool) {
	if r.Leased(now) && r.Lease.Owner != owner {
		return r, Work{}, false
	}
	lease := &Lease{Owner: owner, Until: now.Add(LeaseTime)}
	if now.Before(r.NotBefore) {
		return r, Work{}, false
	}
	for at, i := range r.Pending {
		// The events of an attempt come one after another. Those of another attempt do not wait for them: one that can't
		// be told must not hold up a whole folder.
		if i.Next.After(now) || at > 0 && r.Pending[at-1].Generation == i.Generation {
			continue
		}
		r = r.clone()
		p := &r.Pending[at]
		w = Work{Unsure: p.Unsure, Receipt: r.Receipt}
		p.Tries++
		if last := r.Rejection; last != nil && last.Repeats > 0 && !p.Unsure && p.Kind != notice.Progress {
			// They go with this event. Once it may have been told, it says the same at each try.
			if p.Repeats == 0 {
				p.RepeatsSince = last.Since
			}
			p.Repeats += last.Repeats
			without := *last
			without.Repeats, without.Since = 0, time.Time{}
			r.Rejection = &without
		}
		p.Unsure = true
		w.Intent = *p
		r.Lease = lease
		return r, w, true
	}
	if r.Refreshes() && !r.Newest.Next.After(now) {
		r = r.clone()
		r.Newest.Tries++
		r.Lease = lease
		return r, Work{Intent: *r.Newest, Refresh: true, Receipt: r.Receipt}, true
	}
	return r, Work{}, false
}

// Refreshes reports whether the newest event has to be shown again.
func (r Record) Refreshes() bool { return r.Refresh && r.Newest != nil }

// Leased reports whether a process may be sending.
func (r Record) Leased(now time.Time) bool { return r.Lease != nil && now.Before(r.Lease.Until) }

// Release returns a record in which the lease of owner is over. It says whose the last one was: an answer that owner
// notes again, since that of the write was lost, is not one of a process that another has overtaken.
func (r Record) Release(owner string) Record {
	if r.Lease != nil && r.Lease.Owner == owner {
		r.Lease = &Lease{Owner: owner}
	}
	return r
}

// Answer is what a send came to.
type Answer struct {
	Receipt Receipt
	Err     error
}

// Answered notes what a send came to. It keeps the lease of owner. If owner has lost the lease, another process may have
// shown a newer event before this one was shown, if it was, which a process that stalled often does not know: the newest
// is then to be shown again. Applied twice it changes nothing.
func (r Record) Answered(owner string, w Work, a Answer, m Manner, now time.Time) Record {
	lost := r.Lease == nil || r.Lease.Owner != owner
	r = r.clone()
	if len(a.Receipt) > 0 && len(a.Receipt) <= MaxReceipt && (!lost || len(r.Receipt) == 0) {
		r.Receipt = a.Receipt
	}
	switch at := r.index(w.Intent.Generation, w.Intent.Sequence); {
	case w.Refresh && lost:
	case w.Refresh:
		r.refreshed(a.Err, now)
	case at < 0: // another process has noted it, or a later event came meanwhile
		if a.Err == nil {
			r.showed(w.Intent, m)
		}
	case lost && a.Err != nil:
		// Whoever has the lease notes what comes of it; but the destination may want to be left alone for longer.
		if next := later(now, pause(r.Pending[at].Tries, After(a.Err))); !IsNever(a.Err) && next.After(r.Pending[at].Next) {
			r.Pending[at].Next = next
		}
	case a.Err == nil:
		p := r.Pending[at]
		r.Pending = slices.Delete(r.Pending, at, at+1)
		r.note(p, p.typeName(), Sent, "", now)
		r.showed(p, m)
	case IsNever(a.Err) || now.Sub(w.Intent.Since) >= GiveUpTime:
		r.Pending[at].Unsure = w.Unsure || !IsUntold(a.Err)
		r.giveUp(at, a.Err.Error(), now)
	default:
		p := &r.Pending[at]
		p.Error = job.BoundText(a.Err.Error(), noteText)
		p.Next = later(now, pause(p.Tries, After(a.Err)))
		p.Unsure = w.Unsure || !IsUntold(a.Err)
	}
	if until := later(now, min(After(a.Err), maxAfter)); After(a.Err) > 0 && until.After(r.NotBefore) {
		r.NotBefore = until
	} else if a.Err == nil && !lost {
		r.NotBefore = time.Time{}
	}
	if n := r.Newest; lost && m.Shows && !IsNever(a.Err) && n != nil && !(w.Refresh && n.is(w.Intent.Generation, w.Intent.Sequence)) {
		r.Refresh = true
	}
	return r
}

// showed notes that an event was told, if it is the newest one of a destination that shows one.
func (r *Record) showed(i Intent, m Manner) {
	if m.Shows && (r.Newest == nil || r.Newest.compare(i.Generation, i.Sequence) < 0) {
		r.Newest = shortened(i)
	}
}

// refreshed notes that the newest event was shown again.
func (r *Record) refreshed(err error, now time.Time) {
	if r.Newest == nil {
		return
	}
	n := *r.Newest
	switch {
	case err == nil || IsNever(err) || n.Tries >= 10:
		r.Refresh, n.Tries, n.Next = false, 0, time.Time{}
	default:
		n.Next = later(now, pause(n.Tries, After(err)))
	}
	r.Newest = &n
}

// later returns the time after a pause in whole seconds, as the index has it, and no sooner.
func later(now time.Time, pause time.Duration) time.Time {
	return now.Add(pause + time.Second - 1).Truncate(time.Second)
}

// pause returns how long to wait after a number of tries.
func pause(tries int, after time.Duration) time.Duration {
	own := maxPause
	if tries < 10 {
		own = min(firstPause<<max(tries-1, 0), maxPause)
	}
	return max(own, min(after, maxAfter))
}

// giveUp ends the tries of an event.
func (r *Record) giveUp(at int, why string, now time.Time) {
	p := r.Pending[at]
	p.Error = job.BoundText(why, noteText)
	r.Pending = slices.Delete(r.Pending, at, at+1)
	r.recount(&p)
	r.note(p, p.typeName(), GaveUp, p.Error, now)
	r.GivenUp = append(r.GivenUp, p)
	r.unheard(p)
	size := 0
	for k, g := range slices.Backward(r.GivenUp) {
		size += len(g.Event)
		if kept := len(r.GivenUp) - k; kept > 1 && (size > givenUpBytes || kept > maxGivenUp) {
			for _, gone := range r.GivenUp[:k+1] {
				if t := r.told(gone.Generation, gone.Sequence); t != nil {
					t.Note = job.BoundText("can't be replayed any more: "+t.Note, noteText)
				}
			}
			r.GivenUp = slices.Clone(r.GivenUp[k+1:])
			break
		}
	}
}

// recount has the next message tell the repeats that would have gone with this one, if it was not told for sure.
func (r *Record) recount(p *Intent) {
	if p.Repeats == 0 || p.Unsure {
		return
	}
	var again Rejection
	if r.Rejection != nil {
		again = *r.Rejection
	}
	again.Repeats += p.Repeats
	again.Since = p.RepeatsSince // they came before those of since
	r.Rejection = &again
	p.Repeats, p.RepeatsSince = 0, time.Time{}
}

// unheard has the next rejection that is like a given one be told: nobody heard of this one. Another attempt's that says
// the same stands for itself.
func (r *Record) unheard(p Intent) {
	if r.Rejection == nil || p.typeName() != string(job.DropRejected) ||
		r.Rejection.Generation != 0 && r.Rejection.Generation != p.Generation {
		return
	}
	if e, err := p.Decode(); err == nil && rejectionDigest(e.Body) == r.Rejection.Digest {
		last := *r.Rejection
		last.Digest = ""
		r.Rejection = &last
	}
}

// bound ends the tries of the oldest events that wait, if there are too many, and returns them.
func (r *Record) bound(now time.Time) (givenUp []Intent) {
	size := 0
	for _, p := range r.Pending {
		size += len(p.Event)
	}
	for len(r.Pending) > 1 && (len(r.Pending) > maxPending || size > pendingBytes) {
		p := r.Pending[0]
		size -= len(p.Event)
		p.Error = fmt.Sprintf("more than %d messages or %d MiB wait for this destination", maxPending, pendingBytes>>20)
		givenUp = append(givenUp, p)
		r.giveUp(0, p.Error, now)
	}
	return givenUp
}

// Replay makes due at once what waits of an attempt, and what was given up; of any attempt if generation is 0, and only
// what became due, or was given up, since a time.
func (r Record) Replay(generation int64, since, now time.Time) (after Record, replayed, waiting []Intent) {
	r = r.clone()
	asked := func(i Intent, at time.Time) bool {
		return (generation == 0 || i.Generation == generation) && !at.Before(since)
	}
	for k, p := range r.Pending {
		if asked(p, p.Since) {
			r.Pending[k].Next = time.Time{}
			waiting = append(waiting, r.Pending[k])
		}
	}
	if len(waiting) > 0 {
		r.NotBefore = time.Time{}
	}
	r.GivenUp = slices.DeleteFunc(r.GivenUp, func(i Intent) bool {
		if !asked(i, r.when(i)) || r.index(i.Generation, i.Sequence) >= 0 {
			return false
		}
		i.Since, i.Next, i.Replays = now, time.Time{}, i.Replays+1
		r.forget(i)
		r.insert(i)
		r.NotBefore = time.Time{}
		replayed = append(replayed, i)
		return true
	})
	return r, replayed, waiting
}

// when returns when an event was given up.
func (r Record) when(i Intent) time.Time {
	if t := r.told(i.Generation, i.Sequence); t != nil {
		return t.At
	}
	return i.Since
}

// forget takes out what was noted of an event.
func (r *Record) forget(i Intent) {
	for k := range r.Told {
		if a := &r.Told[k]; a.Generation == i.Generation {
			a.Events = slices.DeleteFunc(a.Events, func(t Told) bool { return t.Sequence == i.Sequence })
		}
	}
}

// Waits returns the pending intent of an event.
func (r Record) Waits(generation, sequence int64) (Intent, bool) {
	if at := r.index(generation, sequence); at >= 0 {
		return r.Pending[at], true
	}
	return Intent{}, false
}

// GaveUp reports whether the tries of an event ended, and it was not told.
func (r Record) GaveUp(generation, sequence int64) bool {
	t := r.told(generation, sequence)
	return t != nil && t.How == GaveUp
}

func (r Record) index(generation, sequence int64) int {
	return slices.IndexFunc(r.Pending, func(p Intent) bool { return p.is(generation, sequence) })
}

// told returns what became of an event of a latest attempt, or nil.
func (r Record) told(generation, sequence int64) *Told {
	for _, a := range r.Told {
		if a.Generation != generation {
			continue
		}
		for k := range a.Events {
			if a.Events[k].Sequence == sequence {
				return &a.Events[k]
			}
		}
	}
	return nil
}

// knows reports whether the record says what became of an event.
func (r Record) knows(generation, sequence int64) bool {
	if r.told(generation, sequence) != nil {
		return true
	}
	at, ok := slices.BinarySearchFunc(r.Settled, generation, func(s Settled, g int64) int { return cmp.Compare(s.Generation, g) })
	return ok && sequence <= r.Settled[at].Sequence
}

// note records what became of an event.
func (r *Record) note(i Intent, typeName string, how How, why string, now time.Time) {
	t := Told{
		Sequence: i.Sequence, Type: job.EventType(typeName).Short(), Kind: i.Kind, At: now, How: how,
		Note: job.BoundText(why, noteText),
	}
	at := slices.IndexFunc(r.Told, func(a Attempt) bool { return a.Generation == i.Generation })
	if at < 0 {
		r.Told = append(r.Told, Attempt{Generation: i.Generation})
		at = len(r.Told) - 1
	}
	// The attempt that something is told of is the last, so that the others are forgotten first.
	a := r.Told[at]
	r.Told = append(slices.Delete(r.Told, at, at+1), Attempt{a.Generation, append(slices.Clone(a.Events), t)})
	if a := &r.Told[len(r.Told)-1]; len(a.Events) > maxEvents {
		r.settle(a.Generation, a.Events[0].Sequence)
		a.Events = a.Events[1:]
	}
	for len(r.Told) > maxTold {
		first := r.Told[0]
		last := int64(0)
		for _, t := range first.Events {
			last = max(last, t.Sequence)
		}
		r.settle(first.Generation, last)
		r.Told = r.Told[1:]
	}
}

// settle keeps only how far an attempt was told.
func (r *Record) settle(generation, sequence int64) {
	at, ok := slices.BinarySearchFunc(r.Settled, generation, func(s Settled, g int64) int { return cmp.Compare(s.Generation, g) })
	if ok {
		r.Settled[at].Sequence = max(r.Settled[at].Sequence, sequence)
		return
	}
	r.Settled = slices.Insert(r.Settled, at, Settled{generation, sequence})
	if len(r.Settled) > maxSettled {
		r.Settled = r.Settled[1:]
	}
}

// clone returns a record whose lists can be changed.
func (r Record) clone() Record {
	r.Pending, r.Told, r.Settled = slices.Clone(r.Pending), slices.Clone(r.Told), slices.Clone(r.Settled)
	r.GivenUp = slices.Clone(r.GivenUp)
	for k := range r.Told {
		r.Told[k].Events = slices.Clone(r.Told[k].Events)
	}
	if r.Newest != nil {
		newest := *r.Newest
		r.Newest = &newest
	}
	return r
}

// bounded returns as many faults as a message can name.
func bounded(faults []string) []string {
	var out []string
	for _, f := range faults[:min(len(faults), maxFaults)] {
		out = append(out, job.BoundText(f, noteText))
	}
	return out
}

// typeName returns the type of the intent's event.
func (i Intent) typeName() string {
	var c struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(i.Event, &c) // it was encoded here
	return c.Type
}

// trimmed returns an event without the lists that no text shows: they are most of a large one.
func trimmed(e notice.Event) cloudevents.Event {
	b := e.Body
	b.Drop.Receipt, b.Job.Trials, b.History = nil, nil, nil
	c := e.CloudEvent.Clone()
	if err := c.SetData(cloudevents.ApplicationJSON, b); err != nil {
		return e.CloudEvent
	}
	return c
}

// shortened returns the intent of an event that was told, for a refresh, which shows less than the first time.
func shortened(i Intent) *Intent {
	i.Tries, i.Unsure, i.Next, i.Error = 0, false, time.Time{}, ""
	e, err := i.Decode()
	if err != nil {
		return nil
	}
	e.Body.Drop.Arrived = nil
	if len(e.Body.Violations) > 20 {
		e.Body.Violations, e.Body.Truncated = e.Body.Violations[:20], true
	}
	if i.Event, err = json.Marshal(trimmed(e)); err != nil {
		return nil
	}
	return &i
}
