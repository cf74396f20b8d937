package messaging

import (
	"context"
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// deletedTopic is what the service writes where a subscription's topic was.
const deletedTopic = "_deleted-topic_"

// broker is Pub/Sub without its transports.
type broker struct {
	pubsubpb.UnimplementedPublisherServer
	pubsubpb.UnimplementedSubscriberServer
	pubsubpb.UnimplementedSchemaServiceServer
	iampb.UnimplementedIAMPolicyServer

	ctx     context.Context // ends with the service
	pushers sync.WaitGroup
	client  *http.Client // of push subscriptions

	mu            sync.Mutex
	topics        map[string]*pubsubpb.Topic // replaced, never changed: responses share them
	subscriptions map[string]*subscription
	sequence      uint64 // of messages
	lease         uint64
	run           string // unlike that of any process before: see ackID
}

func newBroker(ctx context.Context) *broker {
	return &broker{
		ctx: ctx,
		client: &http.Client{
			// A redirect is an answer like any other: it does not acknowledge.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		run: rand.Text(),
		// Subscribers may know messages by their IDs, and outlive this process:
		// it begins where no earlier one has come to.
		sequence:      uint64(time.Now().UnixNano()),
		topics:        make(map[string]*pubsubpb.Topic),
		subscriptions: make(map[string]*subscription),
	}
}

// ackID makes a name for a lease, unlike that of any other subscription's and of
// any other process: who acknowledges late, after a restart, must not take
// someone else's message away.
func (b *broker) ackID() string {
	b.lease++
	return b.run + "-" + strconv.FormatUint(b.lease, 10)
}

// notFound is the error for a resource that is not there. It has the last part of the resource's name, and
// the whole in a detail.
func notFound(name string) error {
	return aboutResource(codes.NotFound, "Resource not found (resource=%s).", name)
}

func alreadyExists(name string) error {
	return aboutResource(codes.AlreadyExists, "Resource already exists in the project (resource=%s).", name)
}

func aboutResource(code codes.Code, format, name string) error {
	short := name[strings.LastIndexByte(name, '/')+1:]
	kind := "pubsub.googleapis.com/Subscription"
	if strings.Contains(name, "/topics/") {
		kind = "pubsub.googleapis.com/Topic"
	}
	st := status.Newf(code, format, short)
	detailed, err := st.WithDetails(&errdetails.ResourceInfo{
		ResourceType: kind, ResourceName: name, Description: st.Message(),
	})
	if err != nil {
		return st.Err() // the name is not UTF-8
	}
	return detailed.Err()
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// CreateTopic implements [pubsubpb.PublisherServer].
func (b *broker) CreateTopic(_ context.Context, topic *pubsubpb.Topic) (*pubsubpb.Topic, error) {
	if err := checkTopic(topic); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[topic.Name] != nil {
		return nil, alreadyExists(topic.Name)
	}
	topic.State = pubsubpb.Topic_ACTIVE
	b.topics[topic.Name] = topic
	return topic, nil
}

// UpdateTopic implements [pubsubpb.PublisherServer].
func (b *broker) UpdateTopic(_ context.Context, r *pubsubpb.UpdateTopicRequest) (*pubsubpb.Topic, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.topics[r.GetTopic().GetName()]
	if old == nil {
		return nil, notFound(r.GetTopic().GetName())
	}
	topic := proto.CloneOf(old)
	if err := applyMask(topic, r.Topic, r.UpdateMask, "name", "state"); err != nil {
		return nil, err
	}
	if err := checkTopic(topic); err != nil {
		return nil, err
	}
	b.topics[topic.Name] = topic
	return topic, nil
}

// GetTopic implements [pubsubpb.PublisherServer].
func (b *broker) GetTopic(_ context.Context, r *pubsubpb.GetTopicRequest) (*pubsubpb.Topic, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[r.Topic]; t != nil {
		return t, nil
	}
	return nil, notFound(r.Topic)
}

// ListTopics implements [pubsubpb.PublisherServer].
func (b *broker) ListTopics(_ context.Context, r *pubsubpb.ListTopicsRequest) (*pubsubpb.ListTopicsResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	names, next, err := page(maps.Keys(b.topics), func(name string) bool {
		return strings.HasPrefix(name, r.Project+"/topics/")
	}, r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	response := &pubsubpb.ListTopicsResponse{NextPageToken: next}
	for _, name := range names {
		response.Topics = append(response.Topics, b.topics[name])
	}
	return response, nil
}

// ListTopicSubscriptions implements [pubsubpb.PublisherServer].
func (b *broker) ListTopicSubscriptions(_ context.Context,
	r *pubsubpb.ListTopicSubscriptionsRequest) (*pubsubpb.ListTopicSubscriptionsResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[r.Topic] == nil {
		return nil, notFound(r.Topic)
	}
	names, next, err := page(maps.Keys(b.subscriptions), func(name string) bool {
		s := b.subscriptions[name]
		return s.config.Topic == r.Topic && !s.config.Detached
	}, r.PageSize, r.PageToken)
	return &pubsubpb.ListTopicSubscriptionsResponse{Subscriptions: names, NextPageToken: next}, err
}

// ListTopicSnapshots implements [pubsubpb.PublisherServer]: no topic has any.
func (b *broker) ListTopicSnapshots(_ context.Context,
	r *pubsubpb.ListTopicSnapshotsRequest) (*pubsubpb.ListTopicSnapshotsResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[r.Topic] == nil {
		return nil, notFound(r.Topic)
	}
	return &pubsubpb.ListTopicSnapshotsResponse{}, nil
}

// DeleteTopic implements [pubsubpb.PublisherServer]: the topic's subscriptions live on, with what they
// have.
func (b *broker) DeleteTopic(_ context.Context, r *pubsubpb.DeleteTopicRequest) (*emptypb.Empty, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[r.Topic] == nil {
		return nil, notFound(r.Topic)
	}
	delete(b.topics, r.Topic)
	for _, s := range b.subscriptions {
		if s.config.Topic == r.Topic {
			s.config = proto.CloneOf(s.config)
			s.config.Topic = deletedTopic
		}
	}
	return &emptypb.Empty{}, nil
}

// CreateSubscription implements [pubsubpb.SubscriberServer].
func (b *broker) CreateSubscription(_ context.Context, config *pubsubpb.Subscription) (*pubsubpb.Subscription, error) {
	config.Detached = false // the service's to say, as the state is
	f, err := checkSubscription(config)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	topic := b.topics[config.Topic]
	if topic == nil {
		return nil, notFound(config.Topic)
	}
	if b.subscriptions[config.Name] != nil {
		return nil, alreadyExists(config.Name)
	}
	config.TopicMessageRetentionDuration = topic.MessageRetentionDuration
	s := newSubscription(b, config, f)
	b.subscriptions[config.Name] = s
	b.startPushing(s)
	return config, nil
}

// GetSubscription implements [pubsubpb.SubscriberServer].
func (b *broker) GetSubscription(_ context.Context, r *pubsubpb.GetSubscriptionRequest) (*pubsubpb.Subscription,
	error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.subscriptions[r.Subscription]
	if s == nil {
		return nil, notFound(r.Subscription)
	}
	return s.config, nil
}

// UpdateSubscription implements [pubsubpb.SubscriberServer].
func (b *broker) UpdateSubscription(_ context.Context, r *pubsubpb.UpdateSubscriptionRequest) (*pubsubpb.Subscription,
	error) {
	return b.updateSubscription(r.Subscription, r.UpdateMask)
}

// ModifyPushConfig implements [pubsubpb.SubscriberServer].
func (b *broker) ModifyPushConfig(_ context.Context, r *pubsubpb.ModifyPushConfigRequest) (*emptypb.Empty, error) {
	_, err := b.updateSubscription(
		&pubsubpb.Subscription{Name: r.Subscription, PushConfig: r.PushConfig},
		&fieldmaskpb.FieldMask{Paths: []string{"push_config"}})
	return &emptypb.Empty{}, err
}

func (b *broker) updateSubscription(update *pubsubpb.Subscription, mask *fieldmaskpb.FieldMask) (*pubsubpb.Subscription,
	error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.subscriptions[update.GetName()]
	if s == nil {
		return nil, notFound(update.GetName())
	}
	config := proto.CloneOf(s.config)
	err := applyMask(config, update, mask, "name", "topic", "filter", "enable_message_ordering", "detached", "state",
		"topic_message_retention_duration")
	if err != nil {
		return nil, err
	}
	if _, err := checkSubscription(config); err != nil {
		return nil, err
	}
	s.config = config
	b.startPushing(s)
	s.wake()
	return config, nil
}

// ListSubscriptions implements [pubsubpb.SubscriberServer].
func (b *broker) ListSubscriptions(_ context.Context,
	r *pubsubpb.ListSubscriptionsRequest) (*pubsubpb.ListSubscriptionsResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	names, next, err := page(maps.Keys(b.subscriptions), func(name string) bool {
		return strings.HasPrefix(name, r.Project+"/subscriptions/")
	}, r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	response := &pubsubpb.ListSubscriptionsResponse{NextPageToken: next}
	for _, name := range names {
		response.Subscriptions = append(response.Subscriptions, b.subscriptions[name].config)
	}
	return response, nil
}

// ListSnapshots implements [pubsubpb.SubscriberServer]: there are none.
func (b *broker) ListSnapshots(context.Context, *pubsubpb.ListSnapshotsRequest) (*pubsubpb.ListSnapshotsResponse,
	error) {
	return &pubsubpb.ListSnapshotsResponse{}, nil
}

// DeleteSubscription implements [pubsubpb.SubscriberServer].
func (b *broker) DeleteSubscription(_ context.Context, r *pubsubpb.DeleteSubscriptionRequest) (*emptypb.Empty, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.subscriptions[r.Subscription]
	if s == nil {
		return nil, notFound(r.Subscription)
	}
	delete(b.subscriptions, r.Subscription)
	s.deleted = true
	s.wake()
	return &emptypb.Empty{}, nil
}

// DetachSubscription implements [pubsubpb.PublisherServer]: a detached subscription loses its backlog and
// delivers no more.
func (b *broker) DetachSubscription(_ context.Context,
	r *pubsubpb.DetachSubscriptionRequest) (*pubsubpb.DetachSubscriptionResponse, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.subscriptions[r.Subscription]
	if s == nil {
		return nil, notFound(r.Subscription)
	}
	config := proto.CloneOf(s.config)
	config.Detached = true
	// Streams and pushes hold on to the old one, and see that it is gone.
	s.deleted = true
	s.wake()
	b.subscriptions[r.Subscription] = newSubscription(b, config, s.filter)
	return &pubsubpb.DetachSubscriptionResponse{}, nil
}

// page cuts a page out of the names that are wanted. The token is the name before
// the page.
func page(all func(func(string) bool), wanted func(string) bool, size int32, token string) (names []string, next string,
	err error) {
	if size < 0 {
		return nil, "", invalid("The page size must not be negative.")
	}
	if size == 0 || size > 1000 {
		size = 1000
	}
	for name := range all {
		if name > token && wanted(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > int(size) {
		names = names[:size]
		next = names[size-1]
	}
	return names, next, nil
}

const (
	minAckDeadline, maxAckDeadline   = 10, 600 // seconds
	minRetention, maxRetention       = 10 * time.Minute, 31 * 24 * time.Hour
	defaultRetention                 = 7 * 24 * time.Hour
	maxBackoff                       = 600 * time.Second
	minDeliveries, defaultDeliveries = 5, 5
	maxDeliveries                    = 100
)

// checkTopic refuses a topic that the service would refuse, or that asks for what
// is not done here.
func checkTopic(t *pubsubpb.Topic) error {
	if !validName(t.Name, "topics") {
		return invalid("Invalid topic name %q: want projects/*/topics/*, whose last part has 3 to 255 letters, digits and "+
			"any of -._~+%%, begins with a letter and not with goog.", t.Name)
	}
	if err := checkKept(t.ProtoReflect()); err != nil {
		return err
	}
	if p := t.MessageStoragePolicy; p != nil && len(p.AllowedPersistenceRegions) == 0 {
		return invalid("Invalid message_storage_policy: want one or more allowed_persistence_regions.")
	}
	return checkDuration("message_retention_duration", t.MessageRetentionDuration, minRetention, maxRetention)
}

// checkSubscription does the same for a subscription, sets the defaults and returns the
// filter.
func checkSubscription(s *pubsubpb.Subscription) (filter, error) {
	if !validName(s.Name, "subscriptions") {
		return nil, invalid("Invalid subscription name %q: want projects/*/subscriptions/*, whose last part has 3 to 255 "+
			"letters, digits and any of -._~+%%, begins with a letter and not with goog.", s.Name)
	}
	if s.Topic == "" {
		return nil, invalid("The subscription names no topic.")
	}
	if err := checkKept(s.ProtoReflect()); err != nil {
		return nil, err
	}
	f, err := parseFilter(s.Filter)
	if err != nil {
		return nil, invalid("Invalid filter: %v.", err)
	}
	if s.AckDeadlineSeconds == 0 {
		s.AckDeadlineSeconds = minAckDeadline
	}
	if d := s.AckDeadlineSeconds; d < minAckDeadline || d > maxAckDeadline {
		return nil, invalid("Invalid ack_deadline_seconds %d: want %d to %d.", d, minAckDeadline, maxAckDeadline)
	}
	if s.MessageRetentionDuration == nil {
		s.MessageRetentionDuration = durationpb.New(defaultRetention)
	}
	if err := checkDuration("message_retention_duration", s.MessageRetentionDuration, minRetention,
		maxRetention); err != nil {
		return nil, err
	}
	if p := s.RetryPolicy; p != nil {
		if err := checkDuration("retry_policy.minimum_backoff", p.MinimumBackoff, 0, maxBackoff); err != nil {
			return nil, err
		}
		if err := checkDuration("retry_policy.maximum_backoff", p.MaximumBackoff, 0, maxBackoff); err != nil {
			return nil, err
		}
	}
	if p := s.DeadLetterPolicy; p != nil {
		if !validName(p.DeadLetterTopic, "topics") {
			return nil, invalid("Invalid dead_letter_policy.dead_letter_topic %q.", p.DeadLetterTopic)
		}
		if p.MaxDeliveryAttempts == 0 {
			p.MaxDeliveryAttempts = defaultDeliveries
		}
		if n := p.MaxDeliveryAttempts; n < minDeliveries || n > maxDeliveries {
			return nil, invalid("Invalid dead_letter_policy.max_delivery_attempts %d: want %d to %d.", n, minDeliveries,
				maxDeliveries)
		}
	}
	if s.PushConfig == nil {
		s.PushConfig = &pubsubpb.PushConfig{}
	}
	if endpoint := s.PushConfig.PushEndpoint; endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, invalid("Invalid push_config.push_endpoint %q: want an http or https URL.", endpoint)
		}
		if s.EnableExactlyOnceDelivery {
			return nil, invalid("A push subscription can not have exactly-once delivery.")
		}
	}
	s.State = pubsubpb.Subscription_ACTIVE
	return f, nil
}

func checkDuration(field string, d *durationpb.Duration, least, most time.Duration) error {
	if d == nil {
		return nil
	}
	if v := d.AsDuration(); d.CheckValid() != nil || v < least || v > most {
		return invalid("Invalid %s %s: want %s to %s.", field, v, least, most)
	}
	return nil
}

// validName checks a resource's name.
func validName(name, collection string) bool {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "projects" || parts[1] == "" || parts[2] != collection {
		return false
	}
	id := parts[3]
	if len(id) < 3 || len(id) > 255 || strings.HasPrefix(id, "goog") {
		return false
	}
	for i, c := range []byte(id) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && !strings.ContainsRune("-._~+%", rune(c))) {
			return false
		}
	}
	return true
}
