package local

import (
	"context"
	"crypto/rand"
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

	"github.com/jobdrop/jobdrop/internal/local/messaging"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// emulatorPatience is how long an emulator that was named may take to answer: it
// may have been started a moment ago.
const emulatorPatience = 10 * time.Second

func (s *Stack) startPubSub(ctx, _ context.Context) error {
	if s.options.PubSubEmulator != "" {
		s.PubSub = s.options.PubSubEmulator
	} else {
		listener, err := listen(s.options.Listen.PubSub)
		if err != nil {
			return err
		}
		s.PubSub = reachable(listener)
		server, err := messaging.Serve(listener, s.options.Hosts...)
		if err != nil {
			return err
		}
		s.atClose(server.Close)
	}
	client, err := pubsub.NewClient(ctx, Project, option.WithEndpoint(s.PubSub), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		return err
	}
	s.atClose(client.Close)
	s.pubsub = client
	if s.options.OwnTopic {
		s.Topic += "-" + strings.ToLower(rand.Text())
	}
	return s.createTopic(ctx)
}

// createTopic makes the topic of the lifecycle events. An emulator that lived on
// has it from the time before.
func (s *Stack) createTopic(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, emulatorPatience)
	defer cancel()
	_, err := s.pubsub.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: s.Topic})
	switch {
	case status.Code(err) == codes.AlreadyExists:
		return nil
	case err != nil && s.options.PubSubEmulator != "":
		return fmt.Errorf("%w at %s: %w", ErrEmulator, s.PubSub, err)
	case err != nil:
		return err
	}
	if s.options.OwnTopic {
		s.atClose(s.deleteTopic)
	}
	return nil
}

func (s *Stack) deleteTopic() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.pubsub.TopicAdminClient.DeleteTopic(ctx, &pubsubpb.DeleteTopicRequest{Topic: s.Topic})
}

// Subscribe calls receive with each lifecycle event, those of one attempt in
// order, until ctx ends. It makes the subscription of this name anew: one that a
// stack of before has left on an emulator holds what that stack saw. It is ready
// when ready is called, and deletes the subscription at the end. An error of
// receive asks for redelivery.
func (s *Stack) Subscribe(ctx context.Context, name string, ready func(),
	receive func(context.Context, cloudevents.Event) error) error {
	return s.subscribe(ctx, name, ready, func(ctx context.Context, m *pubsub.Message) error {
		e, err := event.FromMessage(m.Attributes, m.Data)
		if err == nil {
			err = receive(ctx, e)
		}
		return err
	})
}

// subscribe does for messages what Subscribe does for the events in them.
func (s *Stack) subscribe(ctx context.Context, name string, ready func(),
	receive func(context.Context, *pubsub.Message) error) error {
	subscription := subscriptionName(name)
	err := s.deleteSubscription(ctx, subscription)
	if err != nil && status.Code(err) != codes.NotFound {
		return fmt.Errorf("subscription %s: %w", name, err)
	}
	_, err = s.pubsub.SubscriptionAdminClient.CreateSubscription(ctx, &pubsubpb.Subscription{
		Name: subscription, Topic: s.Topic, AckDeadlineSeconds: 600, EnableMessageOrdering: true,
	})
	if err != nil {
		return fmt.Errorf("subscription %s: %w", name, err)
	}
	ready()
	err = s.pubsub.Subscriber(name).Receive(ctx, func(ctx context.Context, m *pubsub.Message) {
		if err := receive(ctx, m); err != nil {
			s.options.Logger.WarnContext(ctx, "lifecycle event not taken", "error", err.Error())
			m.Nack()
			return
		}
		m.Ack()
	})
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, s.deleteSubscription(end, subscription))
}

func subscriptionName(name string) string { return "projects/" + Project + "/subscriptions/" + name }

func (s *Stack) deleteSubscription(ctx context.Context, name string) error {
	return s.pubsub.SubscriptionAdminClient.DeleteSubscription(ctx,
		&pubsubpb.DeleteSubscriptionRequest{Subscription: name})
}
