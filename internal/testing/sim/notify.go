package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	functions "github.com/jobdrop/jobdrop/functions/notify"
	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/app/telemetry"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// notifies is the stream of chance that belongs to Notify.
const notifies = 1 << 40

// Notify keeps its objects below these.
const (
	deliveries = "deliveries/"
	recordsOf  = deliveries + "folders/"
	openOf     = deliveries + "open/"
	epochOf    = deliveries + "epoch"
)

// notify is what happens around Notify: the subscription that wakes it, the scheduler, the operator's routes file and
// the destinations. It has a chance of its own, so that all else in a seed is the same without it.
type notify struct {
	w   *world
	rng *rand.Rand

	// fault is the share of its calls that go wrong, twice the share of messages that come again though they were
	// taken. parallel is how many conversations it works on at once. Messages of an attempt come in their order if
	// ordered, else in any. beats has destinations be told that they can be reached.
	fault, twice float64
	parallel     int
	ordered      bool
	beats        bool
	// calm reports that everything answers, since calmed. That is not before the end.
	calm        bool
	calmed, end time.Time
	// start is when somebody deploys Notify, first when its first request came.
	start, first time.Time

	group     sync.WaitGroup
	workers   int
	processes []*process
	queues    map[string]*queue
	// news are the events by ID.
	news         map[string]*news
	files        []edition
	destinations map[string]*destination
	givenUp      []surrender
	// sending is when each message began to be sent first, as its record says, and counting how many repeats it counts.
	// lapsed are the leases that ended before their process noted what came of them, or before it learned that it had.
	sending  map[telling]time.Time
	counting map[telling]int
	lapsed   []lapse
	// ended are the messages that their records say were given up.
	ended  map[telling]end
	ticked []ticked
	nonces int
	// epoch is what the epoch said first.
	epoch time.Time
	// replayed is when somebody had everything sent again that was given up before.
	replayed time.Time
}

// queue holds messages that are delivered one after another.
type queue struct {
	sent, waiting []*message
	busy          bool
}

// message is a message of the subscription. Several may hold the same event.
type message struct {
	news       *news
	attributes map[string]string
	data       []byte
}

// news is an event.
type news struct {
	id, attempt, folder, drop string
	generation, sequence      int64
	kind                      job.EventType
	state                     job.State
	faults                    string // what is wrong with what was dropped
	missing                   bool
	at                        time.Time
	// begun is when it was delivered first, and acked when it was taken first.
	begun, acked time.Time
	// due are whom a routes file named when it was taken, each since then. may are those whom one named at any
	// delivery, each since the first.
	due, may map[pair]time.Time
	// trees are what the routes file said at its deliveries.
	trees map[*tree]bool
}

// pair is a route with one of its destinations.
type pair struct{ route, destination string }

// telling is an event with whom it is told to.
type telling struct {
	id string
	pair
}

// surrender is a message that was reported to be given up.
type surrender struct {
	telling
	at time.Time
}

// end is when a message was given up, and by whom.
type end struct {
	at     time.Time
	worker *worker
}

// lapse is a lease of a record that its process may take for lost.
type lapse struct {
	record string
	at     time.Time
}

// ticked is what a tick reported.
type ticked struct {
	at        time.Time
	worker    *worker
	unreached []string
}

// visit is what a request to Notify did.
type visit struct {
	w *world
	// news is the event that woke it, tree what the routes file said.
	news *news
	tree *tree
	// calls counts the calls of the storage, each as a kind and a name.
	calls map[string]int
	// spent is what calls of anything but destinations took.
	spent time.Duration
	// excused reports that something but a destination failed, took long or was busy.
	excused bool
	// stale counts the writes that another process was faster with.
	stale int
	// writing is when it last began to write each record, leased when it last wrote it, and since when the lease of that
	// write runs. unrecorded are the sends that it has not noted there.
	writing    map[string]time.Time
	leased     map[string]time.Time
	since      map[string]time.Time
	unrecorded map[string][]*try
	tries      []*try
	// sends counts the sends of each record, those that reached no destination among them.
	sends map[string]int
	// unreached are the destinations that it said are not reached.
	unreached []string
}

// disturbed notes that a call of the request fails or takes long.
func (v *visit) disturbed(call string) {
	if v != nil && !strings.HasPrefix(call, "send ") {
		v.excused = true
	}
}

func newNotify(w *world) *notify {
	n := &notify{
		w: w, rng: rand.New(rand.NewPCG(w.seed, notifies+1)), queues: map[string]*queue{}, news: map[string]*news{},
		sending: map[telling]time.Time{}, counting: map[telling]int{}, ended: map[telling]end{},
	}
	n.fault = pick(n.rng, 0, 0.02, 0.1, 0.25)
	n.twice = pick(n.rng, 0, 0.1, 0.3)
	n.parallel = pick(n.rng, 1, 8, 8)
	n.ordered = n.rng.IntN(3) > 0
	n.beats = n.rng.IntN(3) == 0
	n.start = w.begin.Add(pick(n.rng, 0, 0, 5*time.Minute, 2*time.Hour))
	n.end = w.begin.Add(pick(n.rng, time.Hour, 3*time.Hour, 9*time.Hour, 30*time.Hour))
	n.destinations = n.newDestinations()
	n.editions()
	return n
}

// begin lets everything begin that goes on beside the drops.
func (n *notify) begin() {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	for k := range 1 + n.rng.IntN(2) {
		n.busy(fmt.Sprintf("busy%d/", k))
	}
	for k := range n.rng.IntN(2) {
		delay := n.at(0, n.end.Sub(n.w.begin))
		n.group.Go(func() { n.stray(fmt.Sprintf("odd%d", k), delay) })
	}
	if n.rng.IntN(3) == 0 {
		delay := n.at(10*time.Minute, n.end.Sub(n.w.begin))
		n.group.Go(func() {
			time.Sleep(delay)
			n.seek()
		})
	}
	next := n.at(10*time.Second, time.Minute)
	n.group.Go(func() {
		for {
			time.Sleep(next)
			n.w.mu.Lock()
			next = n.at(10*time.Second, pick(n.rng, time.Minute, time.Minute, 5*time.Minute, time.Hour, 4*time.Hour))
			over, at := n.calm, 1
			if n.rng.IntN(4) == 0 {
				at++
			}
			for range at {
				delay := n.at(time.Millisecond, time.Second)
				if !over {
					n.group.Go(func() {
						time.Sleep(delay)
						n.tick()
					})
				}
			}
			n.w.mu.Unlock()
			if over {
				return
			}
		}
	})
}

// reserve reserves a moment some time from now.
func (n *notify) reserve(least, most time.Duration) time.Duration {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	return n.at(least, most)
}

// at is reserve for whoever holds mu.
func (n *notify) at(least, most time.Duration) time.Duration {
	return n.w.at(within(n.rng, least, max(least, most)))
}

// busy lets somebody drop into a folder again and again, with a backend and a ledger that need not be looked at: only
// its events matter. The caller holds mu.
func (n *notify) busy(folder string) {
	generation := n.w.begin.UnixMicro() - 1000
	if n.rng.IntN(2) == 0 { // before anybody thought of Notify
		generation++
		n.attempt(folder, generation, []job.EventType{job.DropRejected}, n.w.begin.Add(-48*time.Hour), nil)
	}
	pause := max(pick(n.rng, 5*time.Minute, time.Hour, 3*time.Hour), n.end.Sub(n.w.begin)/10)
	next := n.at(time.Second, pause)
	n.group.Go(func() {
		for {
			time.Sleep(next)
			n.w.mu.Lock()
			next = n.at(time.Second, pause)
			if n.calm || !time.Now().Before(n.end) {
				n.w.mu.Unlock()
				return
			}
			generation++
			kinds := pick(n.rng,
				[]job.EventType{job.DropRejected}, []job.EventType{job.DropRejected}, []job.EventType{job.DropRejected},
				[]job.EventType{job.DropIncomplete, job.DropExpired},
				[]job.EventType{job.DropAccepted, job.JobSubmitted, job.JobRunning, job.JobDelayed, job.JobFailed},
				[]job.EventType{job.DropAccepted, job.JobSubmitted, job.JobRunning, job.JobSucceeded},
			)
			faults := pick(n.rng, []string{"region"}, []string{"region"}, []string{"region", "machine"})
			gap := pick(n.rng, time.Second, 30*time.Second, 10*time.Minute)
			at, later := generation, n.at(time.Millisecond, gap)
			n.attempt(folder, at, kinds[:1], time.Now(), faults)
			n.group.Go(func() {
				for k := range kinds[1:] {
					time.Sleep(later)
					n.w.mu.Lock()
					later = n.at(time.Millisecond, gap)
					n.attempt(folder, at, kinds[:k+2], time.Now(), faults)
					n.w.mu.Unlock()
				}
			})
			n.w.mu.Unlock()
		}
	})
}

var states = map[job.EventType]job.State{
	job.DropAccepted: job.Accepted, job.JobSubmitted: job.Submitted, job.JobRunning: job.Running,
	job.JobDelayed: job.Running, job.JobFailed: job.Failed, job.JobSucceeded: job.Succeeded,
	job.DropRejected: job.Rejected, job.DropExpired: job.Expired, job.DropIncomplete: job.Waiting,
}

// attempt publishes the last of some events of an attempt.
func (n *notify) attempt(folder string, generation int64, kinds []job.EventType, at time.Time, faults []string) {
	last := kinds[len(kinds)-1]
	b := job.Snapshot{
		Attempt:  fmt.Sprintf("%s-%d", job.FolderKey(inbox, folder), generation),
		Sequence: int64(len(kinds)), State: states[last],
	}
	b.Drop.Bucket, b.Drop.Prefix = inbox, folder
	if last == job.DropRejected {
		for k, f := range faults {
			v := job.Violation{Rule: job.Rule(f), Severity: job.Error, File: "job.yaml", Message: f + " is not known"}
			v.Line = n.rng.IntN(20) + k // where it stands changes nothing
			b.Violations = append(b.Violations, v)
		}
	}
	n.publish(job.Event{Type: last, Time: at, Body: b})
}

// publish takes an event that the topic has. The caller holds mu.
func (n *notify) publish(e job.Event) {
	c, err := event.Encode(instance, e)
	must(err)
	m := &message{news: n.news[c.ID()]}
	if m.news == nil {
		folder, _, _ := strings.Cut(e.Body.Attempt, "-")
		m.news = &news{
			id: c.ID(), attempt: e.Body.Attempt, folder: folder, drop: e.Body.Drop.Prefix, generation: numberOf(e.Body.Attempt),
			sequence: e.Body.Sequence, kind: e.Type, state: e.Body.State, missing: len(e.Body.Drop.Missing) > 0, at: e.Time,
			due: map[pair]time.Time{}, may: map[pair]time.Time{}, trees: map[*tree]bool{},
		}
		for _, v := range e.Body.Violations {
			m.news.faults += fmt.Sprintln(v.Rule, v.Field, v.Found, v.Message)
		}
		if m.news.faults == "" {
			m.news.faults = e.Body.Reason
		}
		n.news[c.ID()] = m.news
	}
	m.attributes, m.data = event.ToMessage(c)
	key := e.Body.Attempt
	if !n.ordered {
		key = fmt.Sprintf("%s/%d", c.ID(), len(n.queues))
	}
	q := n.queues[key]
	if q == nil {
		q = &queue{}
		n.queues[key] = q
	}
	q.sent = append(q.sent, m)
	n.enqueue(q, 10*time.Millisecond, pick(n.rng, time.Second, time.Second, 2*time.Minute), m)
}

// enqueue lets messages be delivered. The caller holds mu.
func (n *notify) enqueue(q *queue, least, most time.Duration, m ...*message) {
	q.waiting = append(q.waiting, m...)
	if !q.busy && len(q.waiting) > 0 {
		q.busy = true
		delay := n.at(least, most)
		n.group.Go(func() { n.deliver(q, delay) })
	}
}

// deliver delivers what waits, one after another.
func (n *notify) deliver(q *queue, delay time.Duration) {
	backoff := 10 * time.Second
	for {
		time.Sleep(delay)
		n.w.mu.Lock()
		m := q.waiting[0]
		n.w.mu.Unlock()
		taken := n.push(m)
		n.w.mu.Lock()
		if !taken {
			delay, backoff = n.at(backoff, backoff), min(2*backoff, 10*time.Minute)
			n.w.mu.Unlock()
			continue
		}
		delay, backoff = n.at(time.Millisecond, 100*time.Millisecond), 10*time.Second
		q.waiting = q.waiting[1:]
		if !n.calm && n.rng.Float64() < n.twice {
			again := []*message{m}
			if n.ordered { // and what came after it
				again = q.sent[slices.Index(q.sent, m):]
			}
			n.w.say("%-8s %s comes again", "", m.news.id)
			if n.rng.IntN(2) == 0 {
				q.waiting = slices.Concat(again[:max(0, len(again)-len(q.waiting))], q.waiting)
			} else { // the first was answered, and its answer was late
				n.enqueue(&queue{sent: q.sent}, time.Millisecond, pick(n.rng, 2*time.Second, time.Minute, 3*time.Hour), again...)
			}
		}
		if len(q.waiting) == 0 {
			q.busy = false
			n.w.mu.Unlock()
			return
		}
		n.w.mu.Unlock()
	}
}

// seek has everything of some hours delivered again.
func (n *notify) seek() {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	n.w.say("%-8s seeks to the past", "operator")
	for _, key := range slices.Sorted(maps.Keys(n.queues)) {
		q := n.queues[key]
		n.enqueue(&queue{sent: q.sent}, time.Millisecond, 2*time.Minute, q.sent[:max(0, len(q.sent)-len(q.waiting))]...)
	}
}

// push delivers a message, and reports whether it was taken.
func (n *notify) push(m *message) bool {
	n.w.mu.Lock()
	if time.Now().Before(n.start) {
		n.w.mu.Unlock()
		return false
	}
	me := n.serve()
	me.visit.news = m.news
	if m.news.begun.IsZero() {
		m.news.begun = time.Now()
	}
	n.w.say("%-8s is woken by %s, %s", me.name, m.news.id, m.news.kind.Short())
	header, body := http.Header{}, m.data
	if n.rng.IntN(3) == 0 { // a push without Pub/Sub's envelope
		for key, value := range m.attributes {
			header.Set(key, value)
		}
	} else {
		header, body = pushOf("1", m.news.attempt, m.attributes, m.data)
	}
	n.w.mu.Unlock()
	taken := n.w.request(me, functions.Handler(me.load), header, body)
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	n.checkAnswer(me, m.news, taken)
	return taken
}

// pushOf returns a push of Pub/Sub.
func pushOf(id, key string, attributes map[string]string, data []byte) (http.Header, []byte) {
	body, err := json.Marshal(map[string]any{
		"subscription": "projects/project/subscriptions/notify",
		"message": map[string]any{
			"data": data, "attributes": attributes, "messageId": id, "publishTime": "2026-04-23T07:38:58Z",
			"orderingKey": key,
		},
	})
	must(err)
	return http.Header{"Content-Type": {"application/json"}}, body
}

// stray delivers a message that no one can decode, until it is taken.
func (n *notify) stray(id string, delay time.Duration) {
	header, body := pushOf(id, "", map[string]string{"kind": "odd"}, []byte("{"))
	for taken := false; !taken; delay = n.reserve(time.Minute, time.Minute) {
		time.Sleep(delay)
		n.w.mu.Lock()
		if time.Now().Before(n.start) {
			n.w.mu.Unlock()
			continue
		}
		me := n.serve()
		n.w.mu.Unlock()
		taken = n.w.request(me, functions.Handler(me.load), header.Clone(), body)
	}
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	for _, path := range n.w.storage.below(state + "/" + deliveries + "parked/") {
		if bytes.Contains(n.w.storage.objects[path].data, []byte(id)) {
			return
		}
	}
	n.w.fail("the message %s was taken, can't be decoded, and is not parked", id)
}

// tick has the scheduler call.
func (n *notify) tick() {
	n.w.mu.Lock()
	if time.Now().Before(n.start) {
		n.w.mu.Unlock()
		return
	}
	me := n.serve()
	n.w.say("%-8s begins a tick", me.name)
	n.w.mu.Unlock()
	taken := n.w.request(me, functions.Handler(me.load), http.Header{}, nil)
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	if !taken && !me.dead && !me.visit.excused && me.visit.stale == 0 {
		n.w.fail("%s: the tick failed, and only destinations did", me.name)
	}
}

// serve sends a request to a process that is up, or to a new one. The caller holds mu.
func (n *notify) serve() *worker {
	n.workers++
	if n.first.IsZero() {
		n.first = time.Now()
	}
	me := &worker{
		name: fmt.Sprintf("notify%d", n.workers), began: time.Now(),
		rng:   rand.New(rand.NewPCG(n.w.seed, notifies+uint64(n.workers)+1)),
		calls: map[string]int{}, unsettled: map[string]bool{},
		visit: &visit{
			w: n.w, calls: map[string]int{}, writing: map[string]time.Time{}, leased: map[string]time.Time{},
			since: map[string]time.Time{}, unrecorded: map[string][]*try{}, sends: map[string]int{},
		},
	}
	if n.rng.Float64() < n.w.weather.reused {
		for _, p := range n.processes {
			if !p.dead && (len(p.serving) == 0 || p.shared && len(p.serving) < mostAtOnce) {
				me.process = p
			}
		}
	}
	if me.process == nil {
		me.process = n.process()
	}
	me.serving = append(me.serving, me)
	return me
}

// process starts a new process. The caller holds mu.
func (n *notify) process() *process {
	p := &process{
		name: fmt.Sprintf("office%d", n.workers), kind: "notify", shared: n.rng.Float64() < n.w.weather.shared,
		backend: n.w.backend,
	}
	n.processes = append(slices.DeleteFunc(n.processes, func(p *process) bool { return p.dead }), p)
	if n.w.weather.skew > 0 {
		p.skew = within(n.rng, -n.w.weather.skew, n.w.weather.skew)
	}
	with := n.w.partsOf(p)
	use, err := notifier.New(watched{with.storage, n}, state,
		func(ctx context.Context) (*routes.File, error) { return n.routes(ctx, p) },
		func(_ context.Context, _ *routes.File, d routes.Destination) (notifier.Destination, error) {
			to := n.destinations[d.Name]
			if to.kind != d.Kind() {
				return nil, fmt.Errorf("%s is of kind %s", d.Name, d.Kind())
			}
			return to, nil
		},
		notifier.Options{
			Instance: instance, Status: status, Now: n.w.clock(p, with.now), Budget: deadline - time.Minute,
			Parallel: n.parallel,
			Nonce: func() string {
				n.w.mu.Lock()
				defer n.w.mu.Unlock()
				n.nonces++
				return fmt.Sprint("nonce", n.nonces)
			},
			Sent: func(_ context.Context, s notifier.Send) {
				n.w.mu.Lock()
				defer n.w.mu.Unlock()
				if s.GivenUp {
					n.w.say("%-8s %s is given up for %s", "", s.Event, s.Destination)
					n.givenUp = append(n.givenUp, surrender{telling{s.Event, pair{s.Route, s.Destination}}, time.Now()})
				}
			},
			Unreached: func(ctx context.Context, d routes.Destination, _ time.Time, _ string) {
				n.w.mu.Lock()
				defer n.w.mu.Unlock()
				v := workerOf(ctx).visit
				v.unreached = append(v.unreached, d.Name)
			},
			Ticked: func(ctx context.Context, _ notifier.Tick) {
				n.w.mu.Lock()
				defer n.w.mu.Unlock()
				me := workerOf(ctx)
				n.ticked = append(n.ticked, ticked{time.Now(), me, me.visit.unreached})
			},
		})
	must(err)
	a := app.NewNotify(use, use, telemetry.Off(), slog.New(slog.DiscardHandler))
	p.load = func(context.Context) (*app.App, error) { return a, nil }
	return p
}

// finish lets what is left come to its end once everything answers, and holds it to the promises.
func (n *notify) finish() {
	time.Sleep(n.reserve(0, 0) + max(0, time.Until(n.end)))
	n.w.mu.Lock()
	n.calm, n.calmed = true, time.Now()
	n.w.say("%-8s everything answers Notify from now on", "")
	n.files = append(n.files, edition{from: time.Now(), tree: trees[0]})
	n.w.mu.Unlock()
	n.group.Wait()
	n.settle()
	n.w.mu.Lock()
	again := n.rng.IntN(3) == 0
	n.w.mu.Unlock()
	if again {
		n.seek()
		n.group.Wait()
		n.settle()
	}
	n.replay()
	n.check()
}

// settle ticks until nothing waits, for as long as a destination may ask to be left alone.
func (n *notify) settle() {
	for k := 0; k < 60; k++ {
		n.tick()
		n.w.mu.Lock()
		left := len(n.w.storage.below(state + "/" + openOf))
		n.w.mu.Unlock()
		if left == 0 && k >= 2 {
			return
		}
		pause := time.Minute
		if k > 10 {
			pause = 10 * time.Minute
		}
		time.Sleep(n.reserve(pause, pause))
	}
}

// replay has what was given up sent again, as jobdrop notify replay does.
func (n *notify) replay() {
	n.w.mu.Lock()
	if len(n.givenUp) == 0 || n.rng.IntN(2) == 0 {
		n.w.mu.Unlock()
		return
	}
	n.fault = pick(n.rng, 0, 0.2)
	n.calm, n.replayed = n.fault == 0, time.Now()
	n.w.mu.Unlock()
	for again, runs := true, 0; again; runs++ {
		time.Sleep(n.reserve(time.Minute, time.Minute))
		n.w.mu.Lock()
		n.calm = n.calm || runs == 3 // it makes a call for each: some day none fails
		me := n.serve()
		n.w.say("%-8s replays what was given up", me.name)
		n.w.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), workerKey{}, me), deadline)
		a, err := me.load(ctx)
		must(err)
		err = a.Notifier.Replay(ctx, "", time.Time{}, false, func(r notifier.Replayed) error {
			n.w.mu.Lock()
			defer n.w.mu.Unlock()
			e, p := n.news[fmt.Sprintf("%s-%d", r.Attempt, r.Sequence)], pair{r.Route, r.Destination}
			if e == nil || !r.Waiting && !n.toldOf(e, p) {
				n.w.fail("%s replays %v, which was not given up", me.name, r)
			}
			return nil
		})
		cancel()
		n.w.mu.Lock()
		n.w.answered(me)
		again = err != nil || me.dead
		n.w.mu.Unlock()
	}
	n.w.mu.Lock()
	n.calm = true
	n.w.mu.Unlock()
	n.settle()
}
