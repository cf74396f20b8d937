// Package subscriber receives lifecycle events by a subscription of its own, which lives as long as somebody watches:
// it is deleted at the end, and Pub/Sub deletes it after a day if nobody could. The functions do not link it.
package subscriber

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// callTimeout bounds a call: Pub/Sub answers within a second or two, and makes a subscription in some more.
	callTimeout = 20 * time.Second
	// expiration is when Pub/Sub deletes a subscription that nobody pulls from: a day is the least that it allows.
	expiration = 24 * time.Hour
	// retention is how long a message waits: ten minutes are the least that it allows.
	retention = 10 * time.Minute
	// ackDeadline is how long a message may take: it is printed.
	ackDeadline = 60
)

// Subscription is a subscription of its own.
type Subscription struct {
	client *pubsub.Client
	name   string // projects/P/subscriptions/S
}

// Options are what a subscription can do without.
type Options struct {
	// Emulator is host:port, as in PUBSUB_EMULATOR_HOST; empty for Google's own service.
	Emulator string
}

// Open makes a subscription of a topic, given as projects/P/topics/T. id is the part of its name after
// projects/P/subscriptions/. What is published from then on is received. Open returns [job.ErrDenied] if the caller may
// not make it, and [job.ErrNotFound] if there is no such topic.
func Open(ctx context.Context, topic, id string, o Options) (*Subscription, error) {
	project, _, ok := strings.Cut(strings.TrimPrefix(topic, "projects/"), "/topics/")
	if !ok || id == "" {
		return nil, fmt.Errorf("subscriber: %q is not a topic's name, or the subscription has none", topic)
	}
	var options []option.ClientOption
	if o.Emulator != "" {
		options = append(options, option.WithEndpoint(o.Emulator), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	client, err := pubsub.NewClient(ctx, project, options...)
	if err != nil {
		return nil, fmt.Errorf("pub/sub client: %w", err)
	}
	s := &Subscription{client: client, name: "projects/" + project + "/subscriptions/" + id}
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = client.SubscriptionAdminClient.CreateSubscription(call, &pubsubpb.Subscription{
		Name: s.name, Topic: topic, AckDeadlineSeconds: ackDeadline, EnableMessageOrdering: true,
		MessageRetentionDuration: durationpb.New(retention),
		ExpirationPolicy:         &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(expiration)},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to %s: %w", topic, classify(err)), client.Close())
	}
	return s, nil
}

// Name returns the subscription's full name.
func (s *Subscription) Name() string { return s.name }

// Receive calls take with each event until ctx ends, those of one attempt in order, and one at a time for each attempt.
// An event may come twice. Messages that are not events are passed over. If take returns an error, Receive returns it.
func (s *Subscription) Receive(ctx context.Context, take func(cloudevents.Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := s.client.Subscriber(s.name).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		e, err := event.FromMessage(m.Attributes, m.Data)
		if err == nil {
			if err := take(e); err != nil {
				cancel(err)
				m.Nack()
				return
			}
		}
		m.Ack() // what is not an event will not become one
	})
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if err != nil {
		return fmt.Errorf("receive from %s: %w", s.name, classify(err))
	}
	return nil
}

// Close deletes the subscription. It takes its own time, since the context of whoever received has ended.
func (s *Subscription) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	err := s.client.SubscriptionAdminClient.DeleteSubscription(ctx,
		&pubsubpb.DeleteSubscriptionRequest{Subscription: s.name})
	if status.Code(err) == codes.NotFound {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("delete %s, which Pub/Sub deletes after a day: %w", s.name, classify(err))
	}
	return errors.Join(err, s.client.Close())
}

// classify returns the domain's error for the service's code, and wraps the service's own.
func classify(err error) error {
	switch status.Code(err) {
	case codes.PermissionDenied:
		return fmt.Errorf("%w: %w", job.ErrDenied, err)
	case codes.NotFound:
		return fmt.Errorf("%w: %w", job.ErrNotFound, err)
	case codes.ResourceExhausted:
		return fmt.Errorf("%w: %w", job.ErrQuota, err)
	}
	return err
}
