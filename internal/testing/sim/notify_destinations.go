package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/notice"
)

// destination is one that tells people or a program, as the real ones do, and keeps what it was told.
type destination struct {
	n          *notify
	name, kind string
	// outages are the times at which it takes nothing.
	outages []outage
	// refused is the share of messages that it never takes, flaky the share of tries that it answers with an error.
	refused, flaky float64
	// scoped reports that a thread can be searched for what an earlier try told.
	scoped bool

	tries   []*try
	beats   []*try
	threads []*thread
	open    map[string]bool // the incidents, by conversation
}

// outage is a time at which a destination takes nothing: it hangs, asks to come later, or can't be reached.
type outage struct {
	from, to time.Time
	how      int
}

const (
	unreachable = iota
	hangs
	busy
)

// thread is a thread of a channel. Its first message shows an event.
type thread struct {
	conversation string
	shows        order
	at           time.Time // when it was changed last
	replies      []string
}

// order is that of the events of a folder.
type order struct{ Generation, Sequence int64 }

func (o order) before(p order) bool {
	return o.Generation < p.Generation || o.Generation == p.Generation && o.Sequence < p.Sequence
}

// try is a Send.
type try struct {
	telling
	began, at    time.Time // at is when the destination took or refused it
	done         time.Time
	worker       *worker
	order        order
	conversation string
	record       string // the object that says so
	refresh      bool
	unsure       bool
	repeats      int
	level        notice.Level
	faults       int
	// told reports that it was taken, rang that people noticed, turned that an older event is shown now than before.
	told, rang, turned bool
	// never reports that it was refused for good, after for how long the destination asks to be left alone.
	never bool
	after time.Duration
	// err is what the process was answered.
	err error
	// leased is when its process wrote the record before, recorded when it did after. since is when its lease began.
	leased, recorded, since time.Time
}

// stalled reports whether a process was still about to send when its lease was over, as far as clocks agree.
func (t *try) stalled() bool { return t.at.Sub(t.since) > leaseTime-slackOf(t.worker) }

// excused reports whether an event may be told again after a try: nobody could know of it in time.
func (t *try) excused() bool {
	return t.err != nil || t.excusedLate()
}

// leaseTime is for how long a process may send, as docs/delivery.md says.
const leaseTime = 40 * time.Second

func slackOf(me *worker) time.Duration { return 2*me.visit.w.weather.skew + 100*time.Millisecond }

func (n *notify) newDestinations() map[string]*destination {
	kinds := map[string]string{team: "slack", pager: "pagerduty", mail: "email", hook: "webhook"}
	all := map[string]*destination{}
	flaky := pick(n.rng, 0, 0.05, 0.2)
	for _, name := range []string{team, pager, mail, hook} {
		d := &destination{
			n: n, name: name, kind: kinds[name], refused: pick(n.rng, 0, 0, 0.1), flaky: flaky, scoped: n.rng.IntN(2) == 0,
			open: map[string]bool{},
		}
		for at := n.w.begin; n.rng.IntN(3) == 0; {
			from := at.Add(within(n.rng, 0, n.end.Sub(n.w.begin)/2))
			at = from.Add(within(n.rng, time.Minute, pick(n.rng, time.Hour, 6*time.Hour, 29*time.Hour)))
			d.outages = append(d.outages, outage{from, at, n.rng.IntN(3)})
		}
		all[name] = d
	}
	return all
}

// down returns the outage of now, or nil. The caller holds mu.
func (d *destination) down() *outage {
	for k, o := range d.outages {
		if now := time.Now(); !now.Before(o.from) && now.Before(o.to) && !d.n.calm {
			return &d.outages[k]
		}
	}
	return nil
}

// Send takes a message as the real destinations do.
func (d *destination) Send(ctx context.Context, m delivery.Message) (receipt delivery.Receipt, err error) {
	me, w := workerOf(ctx), d.n.w
	folder, route, _ := d.parts(m)
	t := &try{
		telling: telling{m.Event.ID(), pair{route, d.name}}, began: time.Now(), worker: me,
		order: order{m.Event.Generation, m.Event.Body.Sequence}, conversation: m.Conversation,
		record:  recordsOf + folder + "/" + route + "/" + d.name + ".json",
		refresh: m.Refresh, unsure: m.Unsure, repeats: m.Text.Repeats, level: m.Text.Level, faults: len(m.Text.Faults),
	}
	beat := m.Event.Kind() == notice.Heartbeat
	if beat {
		t.record = deliveries + "heartbeats/" + d.name + ".json"
	}
	w.mu.Lock()
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 15*time.Second {
		w.fail("%s: the send of %s has no deadline", me.name, m.ID)
	}
	me.visit.sends[t.record]++
	o := d.down()
	hang := o != nil && o.how == hangs
	long := d.n.w.at(20 * time.Second)
	w.mu.Unlock()
	var answer error
	effect := func() error {
		t.at, t.leased, t.since = time.Now(), me.visit.leased[t.record], me.visit.since[t.record]
		if beat {
			d.beats = append(d.beats, t)
		} else {
			d.tries = append(d.tries, t)
		}
		me.visit.tries = append(me.visit.tries, t)
		me.visit.unrecorded[t.record] = append(me.visit.unrecorded[t.record], t)
		receipt, answer = d.take(me, m, t)
		d.n.checkTry(d, t)
		return answer
	}
	if hang {
		if err := w.rest(ctx, long); err != nil {
			w.mu.Lock()
			answer = err
			t.at, t.done, t.err = time.Now(), time.Now(), err
			t.leased, t.since = me.visit.leased[t.record], me.visit.since[t.record]
			if !beat {
				d.tries = append(d.tries, t)
				me.visit.tries = append(me.visit.tries, t)
				me.visit.unrecorded[t.record] = append(me.visit.unrecorded[t.record], t)
			}
			w.mu.Unlock()
			return nil, w.answer(me, "send "+d.name+" "+m.ID, fine, err)
		}
	}
	err = w.call(ctx, 0, "send "+d.name+" "+m.ID, effect)
	w.mu.Lock()
	defer w.mu.Unlock()
	t.err, t.done = err, time.Now()
	if err != nil && (answer == nil || !errors.Is(err, answer)) {
		receipt = nil // the answer is lost
		t.never, t.after = false, 0
	}
	return receipt, err
}

// count counts the threads of a conversation.
func (d *destination) count(conversation string) (threads int) {
	for _, th := range d.threads {
		if th.conversation == conversation {
			threads++
		}
	}
	return threads
}

// parts returns the folder, the route and the destination that a conversation names.
func (d *destination) parts(m delivery.Message) (folder, route, name string) {
	parts := strings.Split(m.Conversation, "/")
	if len(parts) != 4 {
		return m.Event.Folder, m.Route, d.name
	}
	return parts[1], parts[2], parts[3]
}

// take has the effect of a send. The caller holds mu.
func (d *destination) take(me *worker, m delivery.Message, t *try) (delivery.Receipt, error) {
	rng := me.draws(d.n.w.seed, "take "+d.name+" "+m.ID)
	if o := d.down(); o != nil {
		if o.how == busy {
			t.after = pick(rng, 0, 2*time.Minute, 20*time.Minute, 9*time.Hour)
			return nil, delivery.Later(errors.New("429 too many requests"), t.after)
		}
		return nil, errors.New("connection refused")
	}
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, d.n.w.seed, d.name, m.ID)
	if float64(h.Sum64()%1000) < d.refused*1000 && m.Event.Kind() != notice.Heartbeat {
		t.never = true
		return nil, delivery.Never(errors.New("400 bad request"))
	}
	flaky := !d.n.calm && rng.Float64() < d.flaky
	if flaky && rng.IntN(2) == 0 {
		t.after = pick(rng, 0, 0, 2*time.Minute, 20*time.Minute)
		return nil, delivery.Later(errors.New("503 service unavailable"), t.after)
	}
	switch d.name {
	case team:
		return d.thread(m, t, flaky)
	case pager:
		return d.incident(m, t), nil
	}
	if m.Refresh {
		d.n.w.fail("%s is asked to show %s again, and shows nothing", d.name, m.ID)
	}
	t.told, t.rang = true, true
	return nil, nil
}

// threadReceipt is what a thread's next message has to know.
type threadReceipt struct {
	Thread int
	Shows  order
	Told   []string
}

// thread tells a message in a thread, as package slack does.
func (d *destination) thread(m delivery.Message, t *try, flaky bool) (delivery.Receipt, error) {
	if m.Event.Kind() == notice.Heartbeat {
		t.told, t.rang = true, true
		return nil, nil
	}
	r := threadReceipt{Thread: -1}
	if len(m.Receipt) > 0 {
		must(json.Unmarshal(m.Receipt, &r))
	}
	receipt := func() delivery.Receipt {
		data, err := json.Marshal(r)
		must(err)
		return data
	}
	reply := m.Event.Kind() != notice.Progress && !m.Refresh
	if reply && slices.Contains(r.Told, m.ID) {
		t.told = true
		return receipt(), nil
	}
	if r.Thread < 0 && m.Unsure && d.scoped {
		for k, there := range d.threads {
			if there.conversation == m.Conversation {
				r.Thread, r.Shows = k, there.shows
			}
		}
	}
	show := func(th *thread) {
		t.turned = t.order.before(th.shows)
		th.shows, th.at, r.Shows = t.order, t.at, t.order
	}
	switch {
	case r.Thread >= 0 && (r.Shows.before(t.order) || m.Refresh && r.Shows == t.order):
		show(d.threads[r.Thread])
	case r.Thread < 0 && !m.Refresh:
		d.threads = append(d.threads, &thread{conversation: m.Conversation})
		r.Thread = len(d.threads) - 1
		show(d.threads[r.Thread])
	}
	if !reply {
		t.told = true
		return receipt(), nil
	}
	if flaky { // the thread shows it, and nobody was told
		return receipt(), delivery.Later(errors.New("503 service unavailable"), 0)
	}
	th := d.threads[r.Thread]
	t.told = true
	if !m.Unsure || !d.scoped || !slices.Contains(th.replies, m.ID) {
		th.replies = append(th.replies, m.ID)
		t.rang = true
	}
	r.Told = append(r.Told, m.ID)
	r.Told = r.Told[max(0, len(r.Told)-32):]
	return receipt(), nil
}

// incidentReceipt is what an incident's next message has to know.
type incidentReceipt struct {
	Newest order
	Open   bool
}

// incident opens or resolves an incident, as package pagerduty does.
func (d *destination) incident(m delivery.Message, t *try) delivery.Receipt {
	t.told = true
	var r *incidentReceipt
	if len(m.Receipt) > 0 {
		must(json.Unmarshal(m.Receipt, &r))
	}
	bad := m.Text.Level == notice.Critical
	older := r != nil && t.order.before(r.Newest)
	if older && (!bad || !r.Open) || r != nil && r.Newest == t.order && !m.Refresh {
		return m.Receipt
	}
	d.open[m.Conversation], t.rang = bad, true
	if older {
		return m.Receipt
	}
	data, err := json.Marshal(incidentReceipt{t.order, bad})
	must(err)
	return data
}
