package subscriber_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/jobdrop/jobdrop/internal/local/messaging"
	publisher "github.com/jobdrop/jobdrop/internal/service/pubsub"
	"github.com/jobdrop/jobdrop/internal/service/subscriber"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const topic = "projects/p/topics/lifecycle"

// pubSub starts a Pub/Sub with a topic. It returns its address and a client.
func pubSub(t *testing.T) (string, *pubsub.Client) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := messaging.Serve(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	client, err := pubsub.NewClient(t.Context(), "p", option.WithEndpoint(l.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if _, err := client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), client
}

// subscriptions returns the project's subscriptions.
func subscriptions(t *testing.T, client *pubsub.Client) (all []*pubsubpb.Subscription) {
	t.Helper()
	for i := client.SubscriptionAdminClient.ListSubscriptions(context.Background(),
		&pubsubpb.ListSubscriptionsRequest{Project: "projects/p"}); ; {
		s, err := i.Next()
		if errors.Is(err, iterator.Done) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

// Events come from the moment on at which the subscription is there. It expires by itself, and is gone at the end.
func TestReceive(t *testing.T) {
	address, client := pubSub(t)
	s, err := subscriber.Open(t.Context(), topic, "watch-1", subscriber.Options{Emulator: address})
	if err != nil {
		t.Fatal(err)
	}
	made := subscriptions(t, client)
	if len(made) != 1 || made[0].Name != s.Name() || made[0].ExpirationPolicy.GetTtl().AsDuration() != 24*time.Hour {
		t.Fatalf("subscriptions are %v", made)
	}
	out, err := publisher.New(t.Context(), topic, "test", publisher.Options{Emulator: address})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var events []job.Event
	for i := range 3 {
		events = append(events, job.Event{Type: event.JobRunning, Time: time.Now(), Body: job.Snapshot{
			Attempt: "a-1", Sequence: int64(i + 1), State: job.Running, Drop: job.DropInfo{Bucket: "inbox", Prefix: "a/"},
		}})
	}
	if err := out.Publish(t.Context(), "a-1", events); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	var got []int64
	err = s.Receive(t.Context(), func(e cloudevents.Event) error {
		_, body, err := event.Decode(e)
		if err != nil {
			return err
		}
		if got = append(got, body.Sequence); len(got) == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || len(got) != 3 || got[0] != 1 || got[2] != 3 {
		t.Errorf("received %v, %v", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Receive(ended, func(cloudevents.Event) error { return nil }); err != nil {
		t.Errorf("with a context that has ended: %v", err)
	}
	if err := s.Close(ended); err != nil {
		t.Errorf("close: %v", err)
	}
	if left := subscriptions(t, client); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestOpenRefuses(t *testing.T) {
	address, client := pubSub(t)
	if _, err := subscriber.Open(t.Context(), "projects/p/topics/none", "events", subscriber.Options{Emulator: address}); !errors.Is(err,
		job.ErrNotFound) {
		t.Errorf("without its topic: %v", err)
	}
	for _, topic := range []string{"", "lifecycle"} {
		if _, err := subscriber.Open(t.Context(), topic, "events", subscriber.Options{Emulator: address}); err == nil {
			t.Errorf("%q is taken for a topic", topic)
		}
	}
	if left := subscriptions(t, client); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}
