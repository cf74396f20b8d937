package messaging

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// The service's own limits of a request to publish and of its messages, in bytes
// where they count no things.
const (
	maxPublish      = 10_000_000
	maxMessages     = 1000
	maxAttributes   = 100
	maxAttributeKey = 256
	maxAttribute    = 1024
	maxOrderingKey  = 1024
)

const (
	// pullPatience is how long a Pull waits for a first message. The service
	// promises a bounded time and no more.
	pullPatience = 10 * time.Second
	// maxPull is how many messages a response has at the most.
	maxPull = 1000
)

// Publish implements [pubsubpb.PublisherServer].
func (b *broker) Publish(_ context.Context, r *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	topic := b.topics[r.Topic]
	if topic == nil { // before the messages are looked at, as in the cloud
		return nil, notFound(r.Topic)
	}
	if err := checkMessages(r); err != nil {
		return nil, err
	}
	now := time.Now()
	response := &pubsubpb.PublishResponse{}
	for _, m := range r.Messages {
		b.publish(topic, m, now)
		response.MessageIds = append(response.MessageIds, m.MessageId)
	}
	return response, nil
}

// publish names a message and puts it into the topic's subscriptions. The
// message must not be changed afterwards.
func (b *broker) publish(topic *pubsubpb.Topic, m *pubsubpb.PubsubMessage, now time.Time) {
	b.sequence++
	m.MessageId = strconv.FormatUint(b.sequence, 10)
	m.PublishTime = timestamppb.New(now)
	sequence := b.sequence
	for _, s := range b.subscriptions {
		if s.config.Topic == topic.Name {
			s.enqueue(m, sequence)
		}
	}
}

func checkMessages(r *pubsubpb.PublishRequest) error {
	if n := len(r.Messages); n == 0 || n > maxMessages {
		return invalid("The request has %d messages: want 1 to %d.", n, maxMessages)
	}
	if size := proto.Size(r); size > maxPublish {
		return invalid("The request has %d bytes, and %d is the most.", size, maxPublish)
	}
	for i, m := range r.Messages {
		switch {
		case len(m.Data) == 0 && len(m.Attributes) == 0:
			return invalid("Message %d has neither data nor attributes.", i)
		case len(m.Attributes) > maxAttributes:
			return invalid("Message %d has %d attributes, and %d is the most.", i, len(m.Attributes), maxAttributes)
		case len(m.OrderingKey) > maxOrderingKey:
			return invalid("Message %d has an ordering key of %d bytes, and %d is the most.", i, len(m.OrderingKey),
				maxOrderingKey)
		}
		for key, value := range m.Attributes {
			if key == "" || len(key) > maxAttributeKey || len(value) > maxAttribute {
				return invalid("Message %d has an attribute %.40q whose key or value has a bad length: want 1 to %d bytes, and "+
					"%d at the most.", i, key, maxAttributeKey, maxAttribute)
			}
		}
	}
	return nil
}

// subscription returns a subscription that clients may pull from.
func (b *broker) subscription(name string) (*subscription, error) {
	s := b.subscriptions[name]
	if s == nil {
		return nil, notFound(name)
	}
	if s.config.PushConfig.GetPushEndpoint() != "" {
		return nil, status.Errorf(codes.FailedPrecondition,
			"This method is not supported for this subscription type: %s pushes.", name)
	}
	return s, s.gone()
}

// Pull implements [pubsubpb.SubscriberServer].
func (b *broker) Pull(ctx context.Context, r *pubsubpb.PullRequest) (*pubsubpb.PullResponse, error) {
	if r.MaxMessages <= 0 {
		return nil, invalid("Invalid max_messages %d: want more than 0.", r.MaxMessages)
	}
	end := time.Now().Add(pullPatience)
	for {
		b.mu.Lock()
		s, err := b.subscription(r.Subscription)
		if err != nil {
			b.mu.Unlock()
			return nil, err
		}
		now := time.Now()
		s.expire(now)
		taken := s.take(now, limits{messages: min(int(r.MaxMessages), maxPull), lease: s.ackDeadline(), together: true})
		changed, next := s.changed, s.next()
		b.mu.Unlock()
		//lint:ignore SA1019 Clients that still ask for it get it.
		if len(taken) > 0 || r.ReturnImmediately || !now.Before(end) {
			return &pubsubpb.PullResponse{ReceivedMessages: taken}, nil
		}
		if next.IsZero() || next.After(end) {
			next = end
		}
		timer := time.NewTimer(next.Sub(now))
		select {
		case <-changed:
		case <-timer.C:
		case <-b.ctx.Done():
		case <-ctx.Done():
			err = status.FromContextError(ctx.Err()).Err()
		}
		timer.Stop()
		if err != nil {
			return nil, err
		}
	}
}

// Acknowledge implements [pubsubpb.SubscriberServer].
func (b *broker) Acknowledge(_ context.Context, r *pubsubpb.AcknowledgeRequest) (*emptypb.Empty, error) {
	if len(r.AckIds) == 0 {
		return nil, invalid("No ack_ids specified.")
	}
	return b.settle(r.Subscription, r.AckIds, (*subscription).ack)
}

// ModifyAckDeadline implements [pubsubpb.SubscriberServer].
func (b *broker) ModifyAckDeadline(_ context.Context, r *pubsubpb.ModifyAckDeadlineRequest) (*emptypb.Empty, error) {
	if len(r.AckIds) == 0 {
		return nil, invalid("No ack_ids specified.")
	}
	lease, err := leaseOf(r.AckDeadlineSeconds)
	if err != nil {
		return nil, err
	}
	return b.settle(r.Subscription, r.AckIds, func(s *subscription, id string, now time.Time) string {
		return s.extend(id, lease, now)
	})
}

func leaseOf(seconds int32) (time.Duration, error) {
	if seconds < 0 || seconds > maxAckDeadline {
		return 0, invalid("Invalid ack deadline of %d seconds: want 0 to %d.", seconds, maxAckDeadline)
	}
	return time.Duration(seconds) * time.Second, nil
}

// Reasons why a lease can't be settled, as subscriptions with exactly-once delivery learn them.
const (
	invalidID = "PERMANENT_FAILURE_INVALID_ACK_ID"
	unordered = "TRANSIENT_FAILURE_UNORDERED_ACK_ID"
)

// settle does something to leases. One that has ended is not an error, unless the
// subscription has exactly-once delivery: then its subscribers must know.
func (b *broker) settle(name string, ids []string, do func(*subscription, string, time.Time) string) (*emptypb.Empty,
	error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.subscriptions[name]
	if s == nil {
		return nil, notFound(name)
	}
	now := time.Now()
	s.expire(now)
	code, message := codes.OK, ""
	failed := make(map[string]string)
	for _, id := range s.inOrder(ids) {
		reason := do(s, id, now)
		if reason != "" {
			failed[id] = reason
		}
		switch {
		case reason == unordered && code == codes.OK:
			code, message = codes.FailedPrecondition, "Some acknowledgement ids in the request were sent out of order."
		case reason == invalidID:
			code, message = codes.InvalidArgument, "Some acknowledgement ids in the request were invalid. This could be "+
				"because the acknowledgement ids have expired or the acknowledgement ids were malformed."
		}
	}
	if len(failed) == 0 || !s.config.EnableExactlyOnceDelivery {
		return &emptypb.Empty{}, nil
	}
	st, err := status.New(code, message).WithDetails(&errdetails.ErrorInfo{
		Reason:   "EXACTLY_ONCE_ACKID_FAILURE",
		Domain:   "pubsub.googleapis.com",
		Metadata: failed,
	})
	if err != nil {
		return nil, err
	}
	return nil, st.Err()
}

// stream is one StreamingPull. The broker's lock guards what counts; a nil stream
// has no limits.
type stream struct {
	maxMessages, maxBytes int64 // no limit where not above 0
	messages, bytes       int64
	lease                 time.Duration
	// reserved has the next messages of the ordering keys that the stream has.
	reserved deliveries
	pings    chan struct{}
	protocol int64
}

func (st *stream) room() bool {
	return st == nil || (st.maxMessages <= 0 || st.messages < st.maxMessages) &&
		(st.maxBytes <= 0 || st.bytes < st.maxBytes)
}

func (st *stream) add(messages, bytes int) {
	if st != nil {
		st.messages += int64(messages)
		st.bytes += int64(bytes)
	}
}

// StreamingPull implements [pubsubpb.SubscriberServer].
func (b *broker) StreamingPull(server pubsubpb.Subscriber_StreamingPullServer) error {
	first, err := server.Recv()
	if err != nil {
		return err
	}
	if s := first.StreamAckDeadlineSeconds; s < minAckDeadline || s > maxAckDeadline {
		return invalid("Invalid stream_ack_deadline_seconds %d: want %d to %d.", s, minAckDeadline, maxAckDeadline)
	}
	b.mu.Lock()
	s, err := b.subscription(first.Subscription)
	b.mu.Unlock()
	if err != nil {
		return err
	}
	st := &stream{
		maxMessages: first.MaxOutstandingMessages, maxBytes: first.MaxOutstandingBytes,
		pings: make(chan struct{}, 1), protocol: first.ProtocolVersion, reserved: deliveries{less: bySequence},
	}
	if err := b.control(s, st, first); err != nil {
		return err
	}
	received := make(chan error, 1)
	go func() { received <- b.requests(server, s, st) }()
	for {
		select {
		case err := <-received:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		default:
		}
		response, w, err := b.takeFor(s, st)
		if err != nil {
			return err
		}
		if len(response.ReceivedMessages) == 0 {
			select {
			case err := <-received:
				received <- err
				continue
			case <-w.changed:
				continue
			case <-w.timer:
				continue
			case <-b.ctx.Done():
				continue
			case <-st.pings:
			}
		}
		if err := server.Send(response); err != nil {
			return err
		}
	}
}

// requests does what the requests of a stream ask for, until one is wrong or the stream ends.
func (b *broker) requests(server pubsubpb.Subscriber_StreamingPullServer, s *subscription, st *stream) error {
	for {
		request, err := server.Recv()
		if err == nil && request.Subscription != "" {
			err = invalid("Only the first request of a stream names the subscription.")
		}
		if err == nil {
			err = b.control(s, st, request)
		}
		if err != nil {
			return err
		}
		if st.protocol >= 1 && len(request.AckIds) == 0 && len(request.ModifyDeadlineAckIds) == 0 {
			select {
			case st.pings <- struct{}{}:
			default: // an answer is due already
			}
		}
	}
}

// wakes are what a stream without messages waits for: a change of its subscription, and the time
// when a message is due again, if any is.
type wakes struct {
	changed <-chan struct{}
	timer   <-chan time.Time
}

// takeFor takes the messages that a stream may have now.
func (b *broker) takeFor(s *subscription, st *stream) (*pubsubpb.StreamingPullResponse, wakes, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := s.gone(); err != nil {
		return nil, wakes{}, err
	}
	now := time.Now()
	s.expire(now)
	var taken []*pubsubpb.ReceivedMessage
	if s.config.PushConfig.GetPushEndpoint() == "" {
		taken = s.take(now, limits{messages: maxPull, lease: st.lease, stream: st})
	}
	w := wakes{changed: s.changed}
	if next := s.next(); len(taken) == 0 && !next.IsZero() {
		w.timer = time.After(next.Sub(now))
	}
	return &pubsubpb.StreamingPullResponse{
		ReceivedMessages: taken,
		SubscriptionProperties: &pubsubpb.StreamingPullResponse_SubscriptionProperties{
			ExactlyOnceDeliveryEnabled: s.config.EnableExactlyOnceDelivery,
			MessageOrderingEnabled:     s.config.EnableMessageOrdering,
		},
	}, w, nil
}

// control does what a request on a stream asks for. The messages come with the
// lock free, so that a client that does not read can't hold up the others.
func (b *broker) control(s *subscription, st *stream, r *pubsubpb.StreamingPullRequest) error {
	if len(r.ModifyDeadlineAckIds) != len(r.ModifyDeadlineSeconds) {
		return invalid("The request has %d modify_deadline_ack_ids and %d modify_deadline_seconds.",
			len(r.ModifyDeadlineAckIds), len(r.ModifyDeadlineSeconds))
	}
	if d := r.StreamAckDeadlineSeconds; d != 0 && (d < minAckDeadline || d > maxAckDeadline) {
		return invalid("Invalid stream_ack_deadline_seconds %d: want %d to %d.", d, minAckDeadline, maxAckDeadline)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.StreamAckDeadlineSeconds != 0 {
		st.lease = time.Duration(r.StreamAckDeadlineSeconds) * time.Second
	}
	now := time.Now()
	s.expire(now)
	for _, id := range s.inOrder(r.AckIds) {
		s.ack(id, now)
	}
	for i, id := range r.ModifyDeadlineAckIds {
		lease, err := leaseOf(r.ModifyDeadlineSeconds[i])
		if err != nil {
			return err
		}
		s.extend(id, lease, now)
	}
	return nil
}
