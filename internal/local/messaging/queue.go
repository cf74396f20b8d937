package messaging

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	// maxResponse is where a response takes no further message, in bytes. One
	// message may be larger than that, and then goes alone.
	maxResponse = 4 << 20
	// The backoff of a retry policy that names none, and that of a push
	// subscription without a policy: the service's own.
	minRetry, maxRetry = 10 * time.Second, 600 * time.Second
	minPush, maxPush   = 100 * time.Millisecond, 60 * time.Second
)

// subscription is a subscription's configuration and its backlog. The broker's
// lock guards it all.
//
// A message in the backlog is in one of these states: ready; leased, which is
// what Pub/Sub calls outstanding; delayed, where it waits for the end of a
// backoff; behind another message of its ordering key, where no heap has it; or
// acknowledged before one that precedes it under its key.
type subscription struct {
	broker *broker
	// config is replaced, never changed: responses share it.
	config  *pubsubpb.Subscription
	filter  filter
	deleted bool
	pushing bool // a goroutine pushes

	ready  deliveries // for any subscriber, in the order of publishing
	timers deliveries // leased and delayed, in the order of time
	leases map[string]*delivery
	keys   map[string]*keyQueue
	size   int // messages in the backlog

	// changed is closed and replaced when a waiting subscriber may find more.
	changed chan struct{}
}

// delivery is one message in one subscription's backlog.
type delivery struct {
	message  *pubsubpb.PubsubMessage // shared with other subscriptions
	sequence uint64
	size     int
	attempts int

	key       *keyQueue // nil for an unordered message
	acked     bool      // and kept for those before it of its key
	lease     string    // the acknowledgment ID while it is leased
	stream    *stream   // which the lease counts against, if any
	at        time.Time // end of the lease or of the delay
	notBefore time.Time

	in    *deliveries // the heap it is in
	index int         // its place there
}

// keyQueue has the messages of one ordering key that are not settled, the oldest
// first. Those before next have been delivered: each of them is leased, or was
// acknowledged while one before it is leased still.
//
// As long as any is leased, the key stays with the subscriber that has it. A
// stream goes on with the next message at once; one response to Pull takes what
// it can at its time, and a push takes one message.
type keyQueue struct {
	name   string
	items  []*delivery
	next   int
	leased int
	stream *stream // that has the key; nil for a Pull, a push or nobody
}

// limits is how much a subscriber takes.
type limits struct {
	messages int
	lease    time.Duration
	stream   *stream
	// together lets several messages of a key into one response.
	together bool
}

func newSubscription(b *broker, config *pubsubpb.Subscription, f filter) *subscription {
	return &subscription{
		broker: b, config: config, filter: f,
		ready:   deliveries{less: bySequence},
		timers:  deliveries{less: func(a, b *delivery) bool { return a.at.Before(b.at) }},
		leases:  make(map[string]*delivery),
		keys:    make(map[string]*keyQueue),
		changed: make(chan struct{}),
	}
}

func bySequence(a, b *delivery) bool { return a.sequence < b.sequence }

// gone returns the reason why a subscription no longer delivers.
func (s *subscription) gone() error {
	switch {
	case s.broker.ctx.Err() != nil:
		return status.Error(codes.Unavailable, "The service ends.")
	case s.deleted:
		return notFound(s.config.Name)
	case s.config.Detached:
		return status.Errorf(codes.FailedPrecondition, "Subscription %s is detached.", s.config.Name)
	}
	return nil
}

func (s *subscription) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *subscription) ackDeadline() time.Duration {
	return time.Duration(s.config.AckDeadlineSeconds) * time.Second
}

// enqueue takes a published message.
func (s *subscription) enqueue(m *pubsubpb.PubsubMessage, sequence uint64) {
	s.expire(m.PublishTime.AsTime()) // nobody else may ever look here
	if s.config.Detached || !s.filter(m.Attributes) {
		return
	}
	d := &delivery{message: m, sequence: sequence, size: proto.Size(m)}
	s.size++
	if s.config.EnableMessageOrdering && m.OrderingKey != "" {
		d.key = s.keys[m.OrderingKey]
		if d.key == nil {
			d.key = &keyQueue{name: m.OrderingKey}
			s.keys[m.OrderingKey] = d.key
		}
		d.key.items = append(d.key.items, d)
		s.offerNext(d.key, d.message.PublishTime.AsTime())
		return
	}
	s.ready.add(d)
	s.wake()
}

// expire brings the backlog up to date: leases and delays that ended, messages
// that are older than the subscription keeps them.
func (s *subscription) expire(now time.Time) {
	for len(s.timers.items) > 0 && !s.timers.items[0].at.After(now) {
		switch d := s.timers.items[0]; {
		case d.lease != "":
			s.release(d, now)
		case d.key != nil:
			s.offerNext(d.key, now)
		default:
			s.timers.remove(d)
			s.ready.add(d)
			s.wake()
		}
	}
	oldest := now.Add(-s.config.MessageRetentionDuration.AsDuration())
	for len(s.ready.items) > 0 && s.ready.items[0].message.PublishTime.AsTime().Before(oldest) {
		s.remove(s.ready.items[0], now)
	}
}

// next returns the time when the next lease or delay ends, or zero if there is none.
func (s *subscription) next() time.Time {
	if len(s.timers.items) == 0 {
		return time.Time{}
	}
	return s.timers.items[0].at
}

// take leases messages that are ready, the oldest first.
func (s *subscription) take(now time.Time, l limits) []*pubsubpb.ReceivedMessage {
	batch := deliveries{less: bySequence}
	reserved := &batch // for this subscriber alone: what follows under its keys
	if l.stream != nil {
		reserved = &l.stream.reserved
	}
	var taken []*pubsubpb.ReceivedMessage
	size := 0
	for len(taken) < l.messages && l.stream.room() {
		from := oldest(&s.ready, reserved)
		if from == nil {
			break
		}
		d := from.items[0]
		if len(taken) > 0 && size+d.size > maxResponse {
			break
		}
		size += d.size
		from.remove(d)
		taken = append(taken, s.lend(d, now, l))
		if k := d.key; k != nil && l.together && k.next < len(k.items) && !k.items[k.next].notBefore.After(now) {
			batch.add(k.items[k.next])
		}
	}
	for len(batch.items) > 0 { // behind those that this response has
		batch.remove(batch.items[0])
	}
	return taken
}

// oldest returns the heap whose first message was published first, or nil if both are empty.
func oldest(a, b *deliveries) *deliveries {
	switch {
	case len(a.items) == 0 && len(b.items) == 0:
		return nil
	case len(a.items) == 0 || len(b.items) > 0 && bySequence(b.items[0], a.items[0]):
		return b
	}
	return a
}

func (s *subscription) lend(d *delivery, now time.Time, l limits) *pubsubpb.ReceivedMessage {
	d.attempts++
	d.lease = s.broker.ackID()
	d.stream = l.stream
	d.at = now.Add(l.lease)
	s.leases[d.lease] = d
	s.timers.add(d)
	d.stream.add(1, d.size)
	if k := d.key; k != nil {
		k.leased++
		k.next++
		k.stream = l.stream
		s.offerNext(k, now)
	}
	m := &pubsubpb.ReceivedMessage{AckId: d.lease, Message: d.message}
	if s.config.DeadLetterPolicy != nil {
		m.DeliveryAttempt = int32(d.attempts)
	}
	return m
}

// inOrder returns the IDs of leases in the order of their messages: clients collect them in no order, and
// an ordering key's must be acknowledged in its own.
func (s *subscription) inOrder(ids []string) []string {
	if !s.config.EnableMessageOrdering {
		return ids
	}
	place := func(id string) uint64 {
		if d := s.leases[id]; d != nil {
			return d.sequence
		}
		return 0
	}
	return slices.SortedStableFunc(slices.Values(ids), func(a, b string) int { return cmp.Compare(place(a), place(b)) })
}

// ack removes a message, or returns the reason why it can't. A message whose ordering key has an earlier
// one outstanding is kept until that is settled: if that comes again, so do all after it. With exactly-once
// delivery, where nothing comes again that was acknowledged, such a message can't be acknowledged yet.
func (s *subscription) ack(id string, now time.Time) string {
	d := s.leases[id]
	switch {
	case d == nil:
		return invalidID
	case d.key == nil:
		s.remove(d, now)
		return ""
	case s.config.EnableExactlyOnceDelivery && d.key.items[0] != d:
		return unordered
	}
	s.endLease(d)
	d.acked = true
	k := d.key
	for len(k.items) > 0 && k.items[0].acked {
		k.items[0] = nil // the array lives on
		k.items = k.items[1:]
		k.next--
		s.size--
	}
	if len(k.items) == 0 {
		delete(s.keys, k.name)
		return ""
	}
	s.offerNext(k, now)
	return ""
}

// extend sets the end of a lease; nought ends it. It returns the reason if there is no such lease.
func (s *subscription) extend(id string, lease time.Duration, now time.Time) string {
	d := s.leases[id]
	switch {
	case d == nil:
		return invalidID
	case lease == 0:
		s.release(d, now)
	default:
		d.at = now.Add(lease)
		heap.Fix(&s.timers, d.index)
		s.wake()
	}
	return ""
}

// release ends a lease without an acknowledgment. Those of the same key that were delivered after it are
// taken back, whether they have been acknowledged or not, so that they come again behind it.
func (s *subscription) release(d *delivery, now time.Time) {
	s.endLease(d)
	d.notBefore = now.Add(s.backoff(d.attempts))
	if k := d.key; k != nil {
		if k.next < len(k.items) {
			k.items[k.next].withdraw()
		}
		at := k.place(d)
		for _, later := range k.items[at+1 : k.next] {
			if later.lease != "" {
				s.endLease(later)
			}
			later.acked = false
			later.attempts-- // nobody refused it
		}
		k.next = at
	}
	p := s.config.DeadLetterPolicy
	switch {
	case p != nil && d.attempts >= int(p.MaxDeliveryAttempts) && s.broker.deadLetter(s, d, now):
		s.remove(d, now)
	case d.key != nil:
		s.offerNext(d.key, now)
	case d.notBefore.After(now):
		d.at = d.notBefore
		s.timers.add(d)
		s.wake()
	default:
		s.ready.add(d)
		s.wake()
	}
}

func (s *subscription) endLease(d *delivery) {
	delete(s.leases, d.lease)
	d.lease = ""
	s.timers.remove(d)
	d.stream.add(-1, -d.size)
	d.stream = nil
	if d.key != nil {
		d.key.leased--
	}
	s.wake() // a stream has room again
}

// remove takes a message out of the backlog, wherever it is.
func (s *subscription) remove(d *delivery, now time.Time) {
	if d.lease != "" {
		s.endLease(d)
	}
	d.withdraw()
	s.size--
	k := d.key
	if k == nil {
		return
	}
	at := k.place(d)
	k.items = slices.Delete(k.items, at, at+1)
	if at < k.next {
		k.next--
	}
	if len(k.items) == 0 {
		delete(s.keys, k.name)
		return
	}
	s.offerNext(k, now)
}

// place returns the index of a message of the key.
func (k *keyQueue) place(d *delivery) int {
	at, _ := slices.BinarySearchFunc(k.items, d.sequence, func(item *delivery, sequence uint64) int {
		return cmp.Compare(item.sequence, sequence)
	})
	return at
}

// offerNext puts the next message of an ordering key where those find it who may have it.
func (s *subscription) offerNext(k *keyQueue, now time.Time) {
	if k.leased == 0 {
		k.stream = nil
	}
	if k.next == len(k.items) {
		return
	}
	d := k.items[k.next]
	var place *deliveries
	switch {
	case d.notBefore.After(now):
		place = &s.timers
	case k.leased == 0:
		place = &s.ready
	case k.stream != nil:
		place = &k.stream.reserved
	}
	if d.in == place {
		return
	}
	d.withdraw()
	if place != nil {
		d.at = d.notBefore
		place.add(d)
		s.wake()
	}
}

// backoff returns how long a message waits that was not acknowledged.
func (s *subscription) backoff(attempts int) time.Duration {
	least, most := time.Duration(0), time.Duration(0)
	if p := s.config.RetryPolicy; p != nil {
		least, most = minRetry, maxRetry
		if p.MinimumBackoff != nil {
			least = p.MinimumBackoff.AsDuration()
		}
		if p.MaximumBackoff != nil {
			most = p.MaximumBackoff.AsDuration()
		}
	} else if s.config.PushConfig.GetPushEndpoint() != "" {
		least, most = minPush, maxPush
	}
	for range attempts - 1 {
		if least *= 2; least >= most {
			return most
		}
	}
	return least
}

// deadLetter forwards a message to the dead letter topic. It is false where the
// topic is gone: the message then stays, as it does in the service.
func (b *broker) deadLetter(s *subscription, d *delivery, now time.Time) bool {
	topic := b.topics[s.config.DeadLetterPolicy.DeadLetterTopic]
	if topic == nil {
		return false
	}
	attributes := maps.Clone(d.message.Attributes)
	if attributes == nil {
		attributes = make(map[string]string)
	}
	parts := strings.Split(s.config.Name, "/")
	attributes["CloudPubSubDeadLetterSourceSubscription"] = parts[3]
	attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] = parts[1]
	attributes["CloudPubSubDeadLetterSourceDeliveryCount"] = strconv.Itoa(d.attempts)
	attributes["CloudPubSubDeadLetterSourceTopicPublishTime"] = d.message.PublishTime.AsTime().Format(time.RFC3339Nano)
	b.publish(topic, &pubsubpb.PubsubMessage{
		Data: d.message.Data, Attributes: attributes, OrderingKey: d.message.OrderingKey,
	}, now)
	return true
}

// deliveries is a heap of messages. A message is in one heap at most.
type deliveries struct {
	items []*delivery
	less  func(a, b *delivery) bool
}

func (h *deliveries) add(d *delivery) {
	d.in = h
	heap.Push(h, d)
}

func (h *deliveries) remove(d *delivery) {
	heap.Remove(h, d.index)
	d.in = nil
}

// Len implements [heap.Interface].
func (h *deliveries) Len() int { return len(h.items) }

// Less implements [heap.Interface].
func (h *deliveries) Less(i, j int) bool { return h.less(h.items[i], h.items[j]) }

// Swap implements [heap.Interface].
func (h *deliveries) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].index, h.items[j].index = i, j
}

// Push implements [heap.Interface].
func (h *deliveries) Push(x any) {
	d := x.(*delivery)
	d.index = len(h.items)
	h.items = append(h.items, d)
}

// Pop implements [heap.Interface].
func (h *deliveries) Pop() any {
	last := len(h.items) - 1
	d := h.items[last]
	h.items[last] = nil // what is acknowledged must not be kept
	h.items = h.items[:last]
	return d
}

// withdraw takes a message out of the heap it is in, if any.
func (d *delivery) withdraw() {
	if d.in != nil {
		d.in.remove(d)
	}
}
