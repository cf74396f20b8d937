package pubsub_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/jobdrop/jobdrop/internal/service/pubsub"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	topic   = "projects/p/topics/lifecycle"
	attempt = "0123456789-7"
)

// requests sees every publish request, and answers the first of them with the
// errors that it was given.
type requests struct {
	mu   sync.Mutex
	errs []error
	seen []*pubsubpb.PublishRequest
}

func (r *requests) React(request any) (handled bool, response any, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, request.(*pubsubpb.PublishRequest))
	if n := len(r.seen); n <= len(r.errs) {
		return true, nil, r.errs[n-1]
	}
	return false, nil, nil
}

// pubSub returns a Pub/Sub with the topic and an ordered subscription, reached by
// its real protocol.
func pubSub(t *testing.T, errs ...error) (*pubsub.Publisher, *pstest.Server, *requests) {
	t.Helper()
	r := &requests{errs: errs}
	server := pstest.NewServer(pstest.ServerReactorOption{FuncName: "Publish", Reactor: r})
	t.Cleanup(func() { server.Close() })
	// The server orders by the time of publishing: no two are the same.
	var (
		mu  sync.Mutex
		now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	)
	server.SetTimeNowFunc(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Microsecond)
		return now
	})
	if _, err := server.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	return open(t, topic, server.Addr), server, r
}

func open(t *testing.T, topic, address string) *pubsub.Publisher {
	t.Helper()
	p, err := pubsub.New(t.Context(), topic, "prod", pubsub.Options{Emulator: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func events() []job.Event {
	var all []job.Event
	for i, typ := range []job.EventType{
		job.DropAccepted, job.JobSubmitted, job.JobQueued, job.JobRunning, job.JobSucceeded,
	} {
		all = append(all, job.Event{
			Type: typ, Time: time.Date(2026, 11, 22, 12, 0, i, 0, time.UTC),
			Body: job.Snapshot{
				Attempt: attempt, Sequence: int64(i) + 1, State: job.Submitted, Job: job.JobInfo{ID: "census_1"},
				Drop: job.DropInfo{Bucket: "inbox", Prefix: "census/"},
			},
		})
	}
	return all
}

// message is what of a message is jobdrop's.
type message struct {
	Attributes map[string]string
	Data, Key  string
}

func want(t *testing.T) []message {
	t.Helper()
	var all []message
	for _, e := range events() {
		c, err := event.Encode("prod", e)
		if err != nil {
			t.Fatal(err)
		}
		attributes, data := event.ToMessage(c)
		all = append(all, message{attributes, string(data), attempt})
	}
	return all
}

func TestPublishIsOneRequest(t *testing.T) {
	p, _, r := pubSub(t)
	if err := p.Publish(t.Context(), attempt, events()); err != nil {
		t.Fatal(err)
	}
	if len(r.seen) != 1 || r.seen[0].Topic != topic {
		t.Fatalf("%d requests, want one to %s: %v", len(r.seen), topic, r.seen)
	}
	var got []message
	for _, m := range r.seen[0].Messages {
		got = append(got, message{m.Attributes, string(m.Data), m.OrderingKey})
	}
	if diff := cmp.Diff(want(t), got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestSubscriberReceivesInOrder(t *testing.T) {
	p, server, _ := pubSub(t)
	conn, err := grpc.NewClient(server.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	subscriber := pubsubpb.NewSubscriberClient(conn)
	subscription := &pubsubpb.Subscription{
		Name: "projects/p/subscriptions/s", Topic: topic, EnableMessageOrdering: true, AckDeadlineSeconds: 60,
	}
	if _, err := subscriber.CreateSubscription(t.Context(), subscription); err != nil {
		t.Fatal(err)
	}
	all := events()
	for _, part := range [][]job.Event{all[:3], all[3:]} {
		if err := p.Publish(t.Context(), attempt, part); err != nil {
			t.Fatal(err)
		}
	}
	var got []message
	for range all {
		answer, err := subscriber.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: subscription.Name, MaxMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range answer.ReceivedMessages {
			got = append(got, message{m.Message.Attributes, string(m.Message.Data), m.Message.OrderingKey})
			if _, err := subscriber.Acknowledge(t.Context(),
				&pubsubpb.AcknowledgeRequest{Subscription: subscription.Name, AckIds: []string{m.AckId}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(want(t), got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestPublishErrors(t *testing.T) {
	permanent := status.Error(codes.PermissionDenied, "no")
	transient := status.Error(codes.Unavailable, "later")
	tests := []struct {
		name     string
		errs     []error
		want     codes.Code
		requests int
		stored   int
	}{
		{"a permanent error is returned, and not tried again", []error{permanent}, codes.PermissionDenied, 1, 0},
		{"too large", []error{status.Error(codes.InvalidArgument, "too large")}, codes.InvalidArgument, 1, 0},
		{"a transient error is tried again, with all events", []error{transient, transient}, codes.OK, 3, len(events())},
		{"a transient error, then a permanent one", []error{transient, permanent}, codes.PermissionDenied, 2, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, server, r := pubSub(t, test.errs...)
			err := p.Publish(t.Context(), attempt, events())
			if got := status.Code(err); got != test.want {
				t.Errorf("code %s, want %s: %v", got, test.want, err)
			}
			if len(r.seen) != test.requests {
				t.Errorf("%d requests, want %d", len(r.seen), test.requests)
			}
			if stored := len(server.Messages()); stored != test.stored {
				t.Errorf("%d messages stored, want %d", stored, test.stored)
			}
			for i, request := range r.seen {
				if len(request.Messages) != len(events()) {
					t.Errorf("request %d has %d messages, want all %d", i+1, len(request.Messages), len(events()))
				}
			}
		})
	}
}

// service is a Pub/Sub that takes what the real one does: pstest takes 4 MB at most.
type service struct {
	pubsubpb.UnimplementedPublisherServer
	*requests
}

func (s service) Publish(_ context.Context, r *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	if size := proto.Size(r); size > 10_000_000 || len(r.Messages) == 0 || len(r.Messages) > 1000 {
		return nil, status.Errorf(codes.InvalidArgument, "%d messages in %d bytes", len(r.Messages), size)
	}
	if _, _, err := s.React(r); err != nil {
		return nil, err
	}
	return &pubsubpb.PublishResponse{MessageIds: make([]string, len(r.Messages))}, nil
}

func roomy(t *testing.T, errs ...error) (*pubsub.Publisher, *requests) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &requests{errs: errs}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(20 << 20))
	pubsubpb.RegisterPublisherServer(server, service{requests: r})
	go server.Serve(listener) // ends with Stop
	t.Cleanup(server.Stop)
	return open(t, topic, listener.Addr().String()), r
}

// large returns n events of 4 MB, which don't fit into one request.
func large(n int) []job.Event {
	var all []job.Event
	for i := range n {
		trials := make([]job.Trial, 500)
		for k := range trials {
			trials[k] = job.Trial{ID: strings.Repeat("t", 8000)}
		}
		all = append(all,
			job.Event{Type: job.JobRunning, Time: time.Date(2026, 11, 22, 12, 0, i, 0, time.UTC), Body: job.Snapshot{
				Attempt: attempt, Sequence: int64(i) + 1, State: job.Submitted, Job: job.JobInfo{ID: "census_1", Trials: trials},
				Drop: job.DropInfo{Bucket: "inbox", Prefix: "census/"},
			}})
	}
	return all
}

func sequences(r *requests) (all [][]string) {
	for _, request := range r.seen {
		var one []string
		for _, m := range request.Messages {
			one = append(one, m.Attributes["ce-sequence"])
		}
		all = append(all, one)
	}
	return all
}

// Events too large for one request go in several, in order. After a failure in
// between, the same messages come again.
func TestPublishInSeveralRequests(t *testing.T) {
	for _, test := range []struct {
		name   string
		events []job.Event
		want   [][]string
	}{
		{"none", nil, nil},
		{"one", large(1), [][]string{{"1"}}},
		{"five of 4 MB", large(5), [][]string{{"1", "2"}, {"3", "4"}, {"5"}}},
		{"a thousand", slices.Repeat(events()[:1], 1000), [][]string{slices.Repeat([]string{"1"}, 1000)}},
		{"one more", slices.Repeat(events()[:1], 1001), [][]string{slices.Repeat([]string{"1"}, 1000), {"1"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, r := roomy(t)
			if err := p.Publish(t.Context(), attempt, test.events); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, sequences(r)); diff != "" {
				t.Errorf("sequences by request (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a failure in between", func(t *testing.T) {
		p, r := roomy(t, nil, status.Error(codes.PermissionDenied, "no"))
		all := large(5)
		if err := p.Publish(t.Context(), attempt, all); status.Code(err) != codes.PermissionDenied {
			t.Fatalf("%v, want PermissionDenied", err)
		}
		if err := p.Publish(t.Context(), attempt, all); err != nil {
			t.Fatal(err)
		}
		want := [][]string{{"1", "2"}, {"3", "4"}, {"1", "2"}, {"3", "4"}, {"5"}}
		if diff := cmp.Diff(want, sequences(r)); diff != "" {
			t.Errorf("sequences by request (-want +got):\n%s", diff)
		}
		for i := range r.seen[0].Messages { // a repeat has the same ID
			if diff := cmp.Diff(r.seen[0].Messages[i].Attributes, r.seen[2].Messages[i].Attributes); diff != "" {
				t.Errorf("the repeat (-before +after):\n%s", diff)
			}
		}
	})
}

func TestPublishToNoTopic(t *testing.T) {
	_, server, _ := pubSub(t)
	p := open(t, topic+"-2", server.Addr)
	if err := p.Publish(t.Context(), attempt, events()); status.Code(err) != codes.NotFound {
		t.Errorf("%v, want NotFound", err)
	}
}

// One event that can't be sent keeps its later ones back, too: order matters.
func TestPublishIsAllOrNothing(t *testing.T) {
	p, _, r := pubSub(t)
	all := events()
	all[1].Type = ""
	if err := p.Publish(t.Context(), attempt, all); err == nil {
		t.Error("no error for an event without a type")
	}
	if len(r.seen) != 0 {
		t.Errorf("%d requests, want none", len(r.seen))
	}
}

func TestPublishEndsWithItsContext(t *testing.T) {
	p, _, r := pubSub(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Publish(ctx, attempt, events()); err == nil || len(r.seen) != 0 {
		t.Errorf("%v after %d requests, want an error after none", err, len(r.seen))
	}
}

// silent is a Pub/Sub that takes a request, notes its deadline, and never
// answers.
type silent struct {
	pubsubpb.UnimplementedPublisherServer
	asked chan time.Time
}

func (s silent) Publish(ctx context.Context, _ *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	deadline, _ := ctx.Deadline()
	s.asked <- deadline
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestPublishHasADeadline(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := silent{asked: make(chan time.Time, 1)}
	server := grpc.NewServer()
	pubsubpb.RegisterPublisherServer(server, service)
	go server.Serve(listener) // ends with Stop
	defer server.Stop()
	p := open(t, topic, listener.Addr().String())

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Publish(ctx, attempt, events()) }()
	deadline := <-service.asked
	if left := time.Until(deadline); deadline.IsZero() || left > 20*time.Second {
		t.Errorf("the request may take %s (deadline %s), want at most 20s", left, deadline)
	}
	cancel()
	if err := <-done; status.Code(err) != codes.Canceled && !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct{ name, topic, instance string }{
		{"no topic", "", "prod"},
		{"no instance", topic, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := pubsub.New(t.Context(), test.topic, test.instance,
				pubsub.Options{Emulator: "127.0.0.1:1"}); err == nil {
				t.Error("no error")
			}
		})
	}
}
