// Package notifier tells people and programs of lifecycle events: those whom the operator's routes name.
//
// An event is acknowledged once every destination that is to be told has it in a record of its own, see
// [delivery.Record], whether or not it could be told: a destination that is down costs no redelivery. What could not be
// sent has an entry in the index, and ticks send it. A send happens only under a lease in the record, which is written
// before, and what came of it is written after. A message is sent once, unless the process dies between the two, its
// write fails, or it stalls for longer than its lease: then it is sent again, under the same ID.
//
// Each process remembers which destinations fail, or asked to be left alone, and leaves them to ticks meanwhile: an event
// is not held up by a destination that stalls.
//
// All objects are in deliveries/ of the state bucket:
//
//	folders/<folder>/<route>/<destination>.json  the record of a conversation; compare-and-swap only
//	open/<folder>/<route>/<destination>/<event>  an event that may still have to be sent: a hint
//	heartbeats/<destination>.json                when a destination was reached last
//	parked/<key>.json                            a message that could not be decoded
//	epoch                                        when Notify was first started
//
// The name of an entry never comes back once its event was told, so a deletion races with nothing.
package notifier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/notice"
)

// Destination tells people or programs.
type Destination interface {
	// Send tells the destination of an event, within the time of ctx. It returns what the conversation's next Send
	// needs, also beside an error if a part was told. Errors are those of [delivery.Later] and [delivery.Never].
	Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error)
}

// Notifier tells destinations of events. It is safe for concurrent use.
type Notifier struct {
	store        store
	bucket       string
	routes       func(ctx context.Context) (*routes.File, error)
	destinations func(ctx context.Context, f *routes.File, d routes.Destination) (Destination, error)
	options      Options
	now          func() time.Time
	nonce        func() string

	mu    sync.Mutex
	epoch time.Time
	// resting are the destinations that events do not try, by name.
	resting map[string]rest
	// working bounds the records in memory.
	working chan struct{}
}

// rest is how a destination did lately.
type rest struct {
	// failures counts the sends that failed since one went well.
	failures int
	// until is when events try it again, asked when ticks do.
	until, asked time.Time
}

// mostWorking is how many records a process has in memory at a time. The largest takes some 60 MiB while it is decoded,
// one that fits what people are told a third; a function has 512 MiB.
const mostWorking = 12

// Options are a notifier's settings. All but Status and the hooks are required.
type Options struct {
	// Instance is the installation's name.
	Instance string
	// Status is the bucket of status.json, which messages name where it is known.
	Status string
	// Now is the clock of Cloud Storage.
	Now func() time.Time
	// Nonce returns a random text.
	Nonce func() string
	// Budget is how long a tick may begin sends.
	Budget time.Duration
	// Parallel is how many conversations an event or a tick works on at once.
	Parallel int
	// Sent, if set, is called after each send of an event.
	Sent func(ctx context.Context, s Send)
	// Faulty, if set, is called with each fault of the routes file that an event showed: an expression that failed, or,
	// at each try, a template.
	Faulty func(ctx context.Context, e notice.Event, route, fault string)
	// Unreached, if set, is called at each tick with a destination that was not reached for longer than its heartbeats
	// allow: when it was last, or the zero time, and what the last try said.
	Unreached func(ctx context.Context, d routes.Destination, last time.Time, why string)
	// Ticked, if set, is called at the end of each tick.
	Ticked func(ctx context.Context, t Tick)
}

// Send is what a send came to.
type Send struct {
	Route string
	// Destination is the name in the routes file, Kind the kind of destination.
	Destination, Kind string
	// Event is the event's ID, Drop its folder.
	Event, Drop string
	// Tries counts the sends of this message.
	Tries int
	// Err is nil if it was told. GivenUp reports that no other try follows; else Again is when the next one does.
	Err     error
	GivenUp bool
	Again   time.Duration
}

// Tick is what a tick found.
type Tick struct {
	// Waiting counts the entries of the index; Oldest is how long the oldest event waits that the tick tried to send and
	// could not. Complete reports that the tick came to the end of the index.
	Waiting  int
	Oldest   time.Duration
	Took     time.Duration
	Complete bool
}

// New returns a notifier that keeps its records in a bucket. routes returns the operator's routes as they are now, nil if
// there are none, and destinations the destination that the file describes.
func New(
	s store, bucket string, file func(ctx context.Context) (*routes.File, error),
	destinations func(ctx context.Context, f *routes.File, d routes.Destination) (Destination, error), o Options,
) (*Notifier, error) {
	if s == nil || bucket == "" || file == nil || destinations == nil {
		return nil, errors.New("notifier: the store, the state bucket, the routes and the destinations are required")
	}
	if o.Instance == "" || o.Now == nil || o.Nonce == nil || o.Budget <= 0 || o.Parallel <= 0 {
		return nil, errors.New("notifier: Instance, Now, Nonce, Budget and Parallel are required")
	}
	return &Notifier{
		store: s, bucket: bucket, routes: file, destinations: destinations, options: o, now: o.Now, nonce: o.Nonce,
		resting: map[string]rest{}, working: make(chan struct{}, mostWorking),
	}, nil
}

// Notify tells an event to whom the routes name. It returns nil once every destination has it in its record, and
// everything that waits has an entry in the index: sent, or to be sent by ticks. With an error the event has to come
// again. An event that no route matches costs no call.
func (n *Notifier) Notify(ctx context.Context, e notice.Event) error {
	file, err := n.routes(ctx)
	if err != nil || file == nil {
		return err
	}
	matches, faults := file.Match(e)
	if n.options.Faulty != nil {
		for _, f := range faults {
			n.options.Faulty(ctx, e, f.Route, f.String())
		}
	}
	if len(matches) == 0 {
		return nil
	}
	epoch, err := n.started(ctx)
	if err != nil || e.Time().Before(epoch) {
		return err
	}
	// Each destination by itself: one that is slow holds up no other, and one whose record can't be written does not
	// keep the others from being told.
	errs := make([]error, len(matches))
	var g errgroup.Group
	g.SetLimit(n.options.Parallel)
	for k, m := range matches {
		g.Go(func() error {
			errs[k] = n.tell(ctx, file, e, m)
			return nil
		})
	}
	_ = g.Wait()
	return errors.Join(errs...)
}

// tell takes an event into a destination's record, and sends it, if nobody else is sending there and the destination is
// not left alone.
func (n *Notifier) tell(ctx context.Context, file *routes.File, e notice.Event, m routes.Match) error {
	end, err := n.work(ctx)
	if err != nil {
		return err
	}
	defer end()
	c := conversation{e.Folder, m.Route, m.Destination}
	s, err := n.read(ctx, c)
	if err != nil {
		return err
	}
	var taken delivery.Taken
	take := func(r delivery.Record) (delivery.Record, bool, error) {
		r.Drop = "gs://" + e.Body.Drop.Bucket + "/" + e.Body.Drop.Prefix
		r, taken, err = r.Take(e, m.Faults, mannerOf(file, m.Destination), n.now())
		return r, taken.Changed, err
	}
	most := sendsPerEvent
	if n.rests(m.Destination) {
		most = 0
	}
	s, _, err = n.converse(ctx, file, c, s, take, most)
	if err != nil {
		return err
	}
	for _, i := range taken.GivenUp {
		n.say(ctx, file, c, s.Record, delivery.Work{Intent: i}, delivery.Answer{Err: errors.New(i.Error)})
	}
	// What waits needs an entry before the event is acknowledged: ticks find it by nothing else.
	if i, waits := s.Waits(e.Generation, e.Body.Sequence); waits {
		if err := n.open(ctx, entryOf(c, i)); err != nil {
			return err
		}
	}
	if s.Refreshes() {
		return n.open(ctx, n.refreshOf(s))
	}
	return nil
}

// work waits for room for a record. The caller calls end when it is done with it.
func (n *Notifier) work(ctx context.Context) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err // a select would choose by chance
	}
	select {
	case n.working <- struct{}{}:
		return func() { <-n.working }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// rests reports whether events leave a destination to ticks.
func (n *Notifier) rests(destination string) bool {
	now := n.now()
	n.mu.Lock()
	defer n.mu.Unlock()
	return now.Before(n.resting[destination].until)
}

// asked reports whether a destination asked to be left alone until later.
func (n *Notifier) asked(destination string) bool {
	now := n.now()
	n.mu.Lock()
	defer n.mu.Unlock()
	return now.Before(n.resting[destination].asked)
}

// noted remembers how a destination did.
func (n *Notifier) noted(destination string, err error) {
	now := n.now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil || delivery.IsNever(err) {
		delete(n.resting, destination)
		return
	}
	r := n.resting[destination]
	r.failures++
	if after := delivery.After(err); after > 0 {
		r.asked = now.Add(min(after, longestRest))
	}
	if r.failures >= outage {
		r.until = now.Add(restTime)
	}
	if r.asked.After(r.until) {
		r.until = r.asked
	}
	n.resting[destination] = r
}

const (
	// restTime is for how long events leave a destination alone that failed some times in a row: until the next ticks have
	// tried it.
	restTime = 2 * time.Minute
	// longestRest bounds what a destination can ask of a process: its records know the rest.
	longestRest = time.Hour
)

const (
	// sendsPerEvent and sendsPerTick bound what one request sends in a conversation: with 15 s for a send it ends in its
	// time.
	sendsPerEvent = 3
	sendsPerTick  = 10
)

// converse changes a record by take, if there is one, and sends what is due, unless another process is sending. It
// returns the record as it is then, and how many sends went well and how many are to be tried again. most bounds the
// sends.
func (n *Notifier) converse(ctx context.Context, file *routes.File, c conversation, s stored,
	take func(delivery.Record) (delivery.Record, bool, error), most int,
) (after stored, did sends, err error) {
	var (
		nonce  = n.nonce()
		owner  = nonce
		manner = mannerOf(file, c.destination)
		work   delivery.Work
		doing  bool
		broken error
	)
	s, err = n.swap(ctx, c, s, func(r delivery.Record) (delivery.Record, bool) {
		mine := r.Lease != nil && r.Lease.Owner == owner // written, and the answer was lost
		if mine {
			return r, false
		}
		changed := false
		if take != nil {
			if r, changed, broken = take(r); broken != nil {
				return r, false
			}
		}
		if most > 0 {
			r, work, doing = r.Begin(owner, n.now())
		}
		return r, changed || doing
	})
	if err = errors.Join(err, broken); err != nil {
		return s, did, err
	}
	for k := 1; doing; k++ {
		answer := n.send(ctx, file, c, s.Record, work)
		n.noted(c.destination, answer.Err)
		done := work
		// The next send has a lease of another name. If the answer of this write is lost, the lease that it began must not
		// be taken for the one that the send before it was under.
		held := owner
		owner = fmt.Sprintf("%s.%d", nonce, k)
		again := answer.Err != nil && !delivery.IsNever(answer.Err)
		most--
		switch {
		case again:
			did.failed++
		case answer.Err == nil:
			did.told++
		}
		s, err = n.swap(ctx, c, s, func(r delivery.Record) (delivery.Record, bool) {
			if r.Lease != nil && r.Lease.Owner == owner { // written, and the answer was lost
				return r, false
			}
			r = r.Answered(held, done, answer, manner, n.now()).Release(held)
			doing = false
			if most > 0 && !again && ctx.Err() == nil {
				r, work, doing = r.Begin(owner, n.now())
			}
			return r, true
		})
		if err != nil {
			return s, did, err
		}
		n.say(ctx, file, c, s.Record, done, answer)
	}
	return s, did, nil
}

// sends counts sends by what they came to.
type sends struct{ told, failed int }

// mannerOf returns how a destination wants to be told.
func mannerOf(file *routes.File, name string) delivery.Manner {
	d, _ := file.Destination(name)
	return delivery.Manner{People: d.CountsRepeats(), Shows: d.Conversational()}
}

// send sends one message.
func (n *Notifier) send(ctx context.Context, file *routes.File, c conversation, r delivery.Record, w delivery.Work) delivery.Answer {
	m, err := n.message(file, c, r, w)
	if err != nil {
		return delivery.Answer{Err: err}
	}
	if fault := m.Text.TemplateFault; fault != "" && n.options.Faulty != nil {
		n.options.Faulty(ctx, m.Event, c.route, fault)
	}
	d, ok := file.Destination(c.destination)
	if !ok {
		return delivery.Answer{Err: fmt.Errorf("the routes file has no destination %s any more", c.destination)}
	}
	// The lease was written a moment ago; if that took long, another process may take it over before a send ends.
	if r.Lease == nil || r.Lease.Until.Sub(n.now()) < delivery.SendTime {
		return delivery.Answer{Err: errors.New("the lease is about to end")}
	}
	ctx, cancel := context.WithTimeout(ctx, delivery.SendTime)
	defer cancel()
	to, err := n.destinations(ctx, file, d)
	if err != nil {
		return delivery.Answer{Err: err}
	}
	receipt, err := to.Send(ctx, m)
	return delivery.Answer{Receipt: receipt, Err: err}
}

// message returns what a destination is told.
func (n *Notifier) message(file *routes.File, c conversation, r delivery.Record, w delivery.Work) (delivery.Message, error) {
	e, err := w.Intent.Decode()
	if err != nil {
		return delivery.Message{}, delivery.Never(err)
	}
	m := Compose(n.options.Instance, file, c.route, c.destination, e, notice.Options{
		Faults: w.Intent.Faults, Repeats: w.Intent.Repeats, Since: w.Intent.RepeatsSince, StatusBucket: n.options.Status,
	})
	m.Receipt, m.Unsure, m.Refresh = w.Receipt, w.Unsure, w.Refresh
	return m, nil
}

// Compose returns what an installation's destination is told of an event by a route, in a conversation that begins
// with it. Of the options, the file's own are set here.
func Compose(instance string, file *routes.File, route, destination string, e notice.Event, o notice.Options) delivery.Message {
	o.Owners = file.Owners(e.Body.Uploader.Name)
	if r, ok := file.Route(route); ok {
		o.Template = r.Template
	}
	return delivery.Message{
		ID:           e.ID() + "." + route + "." + destination,
		Conversation: instance + "/" + conversation{e.Folder, route, destination}.path(),
		Route:        route,
		Event:        e,
		Text:         notice.Write(e, o),
	}
}

// say reports what a send came to.
func (n *Notifier) say(ctx context.Context, file *routes.File, c conversation, r delivery.Record, w delivery.Work, a delivery.Answer) {
	if n.options.Sent == nil || w.Refresh {
		return
	}
	d, _ := file.Destination(c.destination)
	s := Send{
		Route: c.route, Destination: c.destination, Kind: d.Kind(), Drop: r.Drop, Tries: w.Intent.Tries, Err: a.Err,
		Event: fmt.Sprintf("%s-%d-%d", c.folder, w.Intent.Generation, w.Intent.Sequence),
	}
	if a.Err != nil {
		i, waits := r.Waits(w.Intent.Generation, w.Intent.Sequence)
		// If this process lost its lease, another one may have told it.
		s.GivenUp = r.GaveUp(w.Intent.Generation, w.Intent.Sequence)
		if waits {
			s.Again = max(i.Next.Sub(n.now()), 0)
		}
	}
	n.options.Sent(ctx, s)
}
