package messaging

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

const (
	testTopic = "projects/p/topics/events"
	testSub   = "projects/p/subscriptions/reader"
)

// bubble runs a test on a broker with a topic and a subscription, in a time that
// passes when everyone waits.
func bubble(t *testing.T, config *pubsubpb.Subscription, test func(*testing.T, *broker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := newBroker(ctx)
		if _, err := b.CreateTopic(ctx, &pubsubpb.Topic{Name: testTopic}); err != nil {
			t.Fatal(err)
		}
		config.Name, config.Topic = testSub, testTopic
		if _, err := b.CreateSubscription(ctx, config); err != nil {
			t.Fatal(err)
		}
		test(t, b)
	})
}

// publish sends messages, written as key/data; no key means no order.
func publish(t *testing.T, b *broker, messages ...string) {
	t.Helper()
	r := &pubsubpb.PublishRequest{Topic: testTopic}
	for _, m := range messages {
		key, data, _ := strings.Cut(m, "/")
		r.Messages = append(r.Messages, &pubsubpb.PubsubMessage{OrderingKey: key, Data: []byte(data)})
	}
	if _, err := b.Publish(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// pull takes what there is now.
func pull(t *testing.T, b *broker, name string) (ids map[string]string, got []string) {
	t.Helper()
	//lint:ignore SA1019 Clients still ask for it, and the service still does it.
	request := &pubsubpb.PullRequest{Subscription: name, MaxMessages: 100, ReturnImmediately: true}
	response, err := b.Pull(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	ids = make(map[string]string)
	for _, m := range response.ReceivedMessages {
		got = append(got, string(m.Message.Data))
		ids[string(m.Message.Data)] = m.AckId
	}
	return ids, got
}

func wantPull(t *testing.T, b *broker, want ...string) map[string]string {
	t.Helper()
	ids, got := pull(t, b, testSub)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("pulled (-want +got):\n%s", diff)
	}
	return ids
}

func ack(t *testing.T, b *broker, ids ...string) {
	t.Helper()
	if _, err := b.Acknowledge(t.Context(), &pubsubpb.AcknowledgeRequest{Subscription: testSub, AckIds: ids}); err != nil {
		t.Fatal(err)
	}
}

func modify(t *testing.T, b *broker, seconds int32, ids ...string) {
	t.Helper()
	_, err := b.ModifyAckDeadline(t.Context(),
		&pubsubpb.ModifyAckDeadlineRequest{Subscription: testSub, AckIds: ids, AckDeadlineSeconds: seconds})
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestDeadlines(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{AckDeadlineSeconds: 20}, func(t *testing.T, b *broker) {
		publish(t, b, "/a", "/b", "/c")
		ids := wantPull(t, b, "a", "b", "c")
		wantPull(t, b)
		ack(t, b, ids["a"])
		modify(t, b, 0, ids["b"])
		modify(t, b, 60, ids["c"])
		again := wantPull(t, b, "b")
		ack(t, b, ids["b"]) // of the first delivery: nothing
		time.Sleep(19 * time.Second)
		wantPull(t, b)
		time.Sleep(time.Second)
		wantPull(t, b, "b")
		ack(t, b, again["b"])
		time.Sleep(40 * time.Second)
		wantPull(t, b, "b", "c")
	})
}

func TestOrder(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{EnableMessageOrdering: true}, func(t *testing.T, b *broker) {
		publish(t, b, "k/1", "k/2", "l/x", "/free", "k/3")
		ids := wantPull(t, b, "1", "2", "x", "free", "3")
		publish(t, b, "k/4", "l/y")
		wantPull(t, b) // each key has messages under way
		ack(t, b, ids["1"], ids["x"], ids["free"])
		ids["y"] = wantPull(t, b, "y")["y"]
		ack(t, b, ids["y"])

		// 2 comes again, and all behind it, though 3 was acknowledged.
		ack(t, b, ids["3"])
		wantPull(t, b)
		modify(t, b, 0, ids["2"])
		ids = wantPull(t, b, "2", "3", "4")

		// 3 comes again only when 2 is settled.
		modify(t, b, 0, ids["3"])
		wantPull(t, b)
		ack(t, b, ids["2"])
		wantPull(t, b, "3", "4")
		time.Sleep(10 * time.Second)
		ids = wantPull(t, b, "3", "4")
		ack(t, b, ids["3"], ids["4"])
		wantEmpty(t, b, testSub)
	})
}

// wantEmpty looks whether a subscription holds on to anything.
func wantEmpty(t *testing.T, b *broker, name string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.subscriptions[name]
	got := []int{s.size, len(s.ready.items), len(s.timers.items), len(s.leases), len(s.keys)}
	if diff := cmp.Diff([]int{0, 0, 0, 0, 0}, got); diff != "" {
		t.Errorf("messages, ready, timers, leases, keys (-want +got):\n%s", diff)
	}
}

func TestAcknowledgedMessagesAreForgotten(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{EnableMessageOrdering: true}, func(t *testing.T, b *broker) {
		for i := range 500 {
			publish(t, b, fmt.Sprintf("k%d/a", i), fmt.Sprintf("k%d/b", i), "/c")
			response, err := b.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: testSub, MaxMessages: 10})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range response.ReceivedMessages {
				ack(t, b, m.AckId)
			}
		}
		wantEmpty(t, b, testSub)
		b.mu.Lock()
		defer b.mu.Unlock()
		s := b.subscriptions[testSub]
		for _, h := range []deliveries{s.ready, s.timers} {
			for _, d := range h.items[:cap(h.items)] {
				if d != nil {
					t.Fatalf("a heap holds on to %s", d.message)
				}
			}
		}
	})
}

func TestRetention(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{EnableMessageOrdering: true, MessageRetentionDuration: durationpb.New(time.Hour)},
		func(t *testing.T, b *broker) {
			publish(t, b, "/a", "k/b")
			time.Sleep(59 * time.Minute)
			publish(t, b, "k/c")
			time.Sleep(2 * time.Minute)
			publish(t, b, "/d") // which alone makes room
			b.mu.Lock()
			size := b.subscriptions[testSub].size
			b.mu.Unlock()
			if size != 2 {
				t.Errorf("the backlog has %d messages, want 2", size)
			}
			wantPull(t, b, "c", "d")
		})
}

func TestRetryPolicy(t *testing.T) {
	policy := &pubsubpb.RetryPolicy{
		MinimumBackoff: durationpb.New(10 * time.Second),
		MaximumBackoff: durationpb.New(25 * time.Second),
	}
	bubble(t, &pubsubpb.Subscription{RetryPolicy: policy, EnableMessageOrdering: true}, func(t *testing.T, b *broker) {
		publish(t, b, "k/a", "k/b")
		for _, backoff := range []time.Duration{10 * time.Second, 20 * time.Second, 25 * time.Second, 25 * time.Second} {
			ids := wantPull(t, b, "a", "b")
			modify(t, b, 0, ids["a"])
			time.Sleep(backoff - time.Millisecond)
			wantPull(t, b)
			time.Sleep(time.Millisecond)
		}
		wantPull(t, b, "a", "b")
	})
}

func TestDeadLetter(t *testing.T) {
	const dead, morgue = "projects/p/topics/dead", "projects/p/subscriptions/morgue"
	policy := &pubsubpb.DeadLetterPolicy{DeadLetterTopic: dead}
	bubble(t, &pubsubpb.Subscription{DeadLetterPolicy: policy}, func(t *testing.T, b *broker) {
		publish(t, b, "/a")
		for attempt := int32(1); attempt <= 7; attempt++ {
			if attempt == 7 { // until here the topic isn't there
				if _, err := b.CreateTopic(t.Context(), &pubsubpb.Topic{Name: dead}); err != nil {
					t.Fatal(err)
				}
				if _, err := b.CreateSubscription(t.Context(), &pubsubpb.Subscription{Name: morgue, Topic: dead}); err != nil {
					t.Fatal(err)
				}
			}
			response, err := b.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: testSub, MaxMessages: 1})
			if err != nil || len(response.ReceivedMessages) != 1 {
				t.Fatalf("got %v, %v", response, err)
			}
			m := response.ReceivedMessages[0]
			if m.DeliveryAttempt != attempt {
				t.Errorf("got attempt %d, want %d", m.DeliveryAttempt, attempt)
			}
			modify(t, b, 0, m.AckId)
		}
		wantEmpty(t, b, testSub)
		response, err := b.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: morgue, MaxMessages: 1})
		if err != nil || len(response.ReceivedMessages) != 1 {
			t.Fatalf("got %v, %v", response, err)
		}
		m := response.ReceivedMessages[0].Message
		if string(m.Data) != "a" || m.Attributes["CloudPubSubDeadLetterSourceSubscription"] != "reader" ||
			m.Attributes["CloudPubSubDeadLetterSourceDeliveryCount"] != "7" {
			t.Errorf("got %v", m)
		}
	})
}

func TestExactlyOnce(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{EnableExactlyOnceDelivery: true}, func(t *testing.T, b *broker) {
		publish(t, b, "/a")
		late := wantPull(t, b, "a")["a"]
		time.Sleep(10 * time.Second)
		_, err := b.Acknowledge(t.Context(), &pubsubpb.AcknowledgeRequest{Subscription: testSub, AckIds: []string{late}})
		wantCode(t, err, codes.InvalidArgument)
		details := status.Convert(err).Details()
		if len(details) != 1 {
			t.Fatalf("got details %v", details)
		}
		info, ok := details[0].(*errdetails.ErrorInfo)
		if !ok || info.Metadata[late] != "PERMANENT_FAILURE_INVALID_ACK_ID" {
			t.Errorf("got %v", details[0])
		}
		ack(t, b, wantPull(t, b, "a")["a"])
	})
}

func TestPullWaits(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{}, func(t *testing.T, b *broker) {
		begin := time.Now()
		request := &pubsubpb.PullRequest{Subscription: testSub, MaxMessages: 1}
		response, err := b.Pull(t.Context(), request)
		if err != nil || len(response.ReceivedMessages) != 0 || time.Since(begin) != pullPatience {
			t.Errorf("got %v, %v after %s; want nothing after %s", response, err, time.Since(begin), pullPatience)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = b.Pull(ctx, request)
		wantCode(t, err, codes.DeadlineExceeded)

		found := make(chan int)
		go func() {
			response, _ := b.Pull(t.Context(), request)
			found <- len(response.GetReceivedMessages())
		}()
		synctest.Wait()
		begin = time.Now()
		publish(t, b, "/a")
		if n := <-found; n != 1 || time.Since(begin) != 0 {
			t.Errorf("got %d messages after %s, want 1 at once", n, time.Since(begin))
		}
		// The lease ends while the next one waits.
		if response, err := b.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: testSub, MaxMessages: 1}); err != nil ||
			len(response.ReceivedMessages) != 1 {
			t.Errorf("got %v, %v", response, err)
		}
	})
}

// fakeStream is a StreamingPull without a network.
type fakeStream struct {
	grpc.ServerStream
	requests  chan *pubsubpb.StreamingPullRequest
	responses chan *pubsubpb.StreamingPullResponse
}

func (f *fakeStream) Recv() (*pubsubpb.StreamingPullRequest, error) {
	if r, ok := <-f.requests; ok {
		return r, nil
	}
	return nil, io.EOF
}

func (f *fakeStream) Send(r *pubsubpb.StreamingPullResponse) error {
	f.responses <- r
	return nil
}

// openStream opens one, which takes so many messages that are outstanding.
func openStream(b *broker, outstanding int64) (f *fakeStream, ended chan error) {
	f = &fakeStream{
		requests:  make(chan *pubsubpb.StreamingPullRequest),
		responses: make(chan *pubsubpb.StreamingPullResponse),
	}
	ended = make(chan error, 1)
	go func() { ended <- b.StreamingPull(f) }()
	f.requests <- &pubsubpb.StreamingPullRequest{
		Subscription: testSub, StreamAckDeadlineSeconds: 10, MaxOutstandingMessages: outstanding, ProtocolVersion: 1,
	}
	return f, ended
}

// wantNext takes the next response of a stream.
func (f *fakeStream) wantNext(t *testing.T, want ...string) (ids []string) {
	t.Helper()
	var got []string
	for _, m := range (<-f.responses).ReceivedMessages {
		got = append(got, string(m.Message.Data))
		ids = append(ids, m.AckId)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("streamed (-want +got):\n%s", diff)
	}
	return ids
}

// wantNothing sees that the stream has nothing to say now.
func (f *fakeStream) wantNothing(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-f.responses:
		t.Fatalf("streamed %v, want nothing", r)
	default:
	}
}

func TestStream(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{EnableMessageOrdering: true}, func(t *testing.T, b *broker) {
		f, ended := openStream(b, 2)
		f.wantNothing(t)
		f.requests <- &pubsubpb.StreamingPullRequest{} // a ping
		f.wantNext(t)

		publish(t, b, "k/1", "/a", "/b", "k/2")
		ids := f.wantNext(t, "1", "a")
		f.wantNothing(t) // two are outstanding
		f.requests <- &pubsubpb.StreamingPullRequest{AckIds: ids[1:]}
		f.wantNext(t, "b")
		f.nack(ids[0])
		ids = f.wantNext(t, "1")
		f.requests <- &pubsubpb.StreamingPullRequest{AckIds: ids}
		f.wantNext(t, "2")

		// Leases that end give room by themselves.
		time.Sleep(11 * time.Second)
		f.wantNext(t, "b", "2")
		close(f.requests)
		if err := <-ended; err != nil {
			t.Errorf("the stream ended with %v", err)
		}
	})
}

func (f *fakeStream) nack(id string) {
	f.requests <- &pubsubpb.StreamingPullRequest{ModifyDeadlineAckIds: []string{id}, ModifyDeadlineSeconds: []int32{0}}
}

// A stream has several messages of a key outstanding. One that is refused, or whose lease ends, comes
// again with all behind it, those that were acknowledged too.
func TestStreamOrder(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{EnableMessageOrdering: true}, func(t *testing.T, b *broker) {
		f, ended := openStream(b, 5)
		publish(t, b, "k/1", "k/2", "k/3", "k/4")
		ids := f.wantNext(t, "1", "2", "3", "4")
		f.requests <- &pubsubpb.StreamingPullRequest{AckIds: []string{ids[3], ids[0]}}
		f.wantNothing(t)
		f.nack(ids[1])
		f.wantNext(t, "2", "3", "4")
		f.requests <- &pubsubpb.StreamingPullRequest{AckIds: ids[2:]} // of the deliveries before
		f.wantNothing(t)

		time.Sleep(5 * time.Second)
		publish(t, b, "k/5", "k/6", "k/7")
		f.wantNext(t, "5", "6")
		f.wantNothing(t) // five are outstanding
		time.Sleep(5 * time.Second)
		ids = f.wantNext(t, "2", "3", "4", "5", "6")
		f.requests <- &pubsubpb.StreamingPullRequest{AckIds: ids[:4]}
		ids = append(ids[4:], f.wantNext(t, "7")...)

		// The one before is outstanding still, and does not come again.
		f.nack(ids[1])
		ids[1] = f.wantNext(t, "7")[0]
		f.requests <- &pubsubpb.StreamingPullRequest{AckIds: ids}
		f.wantNothing(t)
		wantEmpty(t, b, testSub)
		close(f.requests)
		<-ended
	})
}

// An ordering key stays with the stream that has messages of it outstanding.
func TestKeyStaysWithItsStream(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{EnableMessageOrdering: true}, func(t *testing.T, b *broker) {
		first, firstEnded := openStream(b, 2)
		publish(t, b, "k/1")
		ids := first.wantNext(t, "1")
		second, secondEnded := openStream(b, 10)
		publish(t, b, "k/2", "l/x")
		ids = append(ids, first.wantNext(t, "2")...)
		second.wantNext(t, "x") // anybody's, and the first stream is full
		publish(t, b, "k/3")
		first.wantNothing(t)
		second.wantNothing(t)
		wantPull(t, b)
		first.requests <- &pubsubpb.StreamingPullRequest{AckIds: ids[:1]}
		first.wantNext(t, "3")

		// The first client dies: another has the key once the leases have ended.
		close(first.requests)
		<-firstEnded
		publish(t, b, "k/4")
		second.wantNothing(t)
		time.Sleep(9 * time.Second)
		second.wantNothing(t)
		time.Sleep(2 * time.Second)
		var got []string
		for len(got) < 3 {
			for _, m := range (<-second.responses).ReceivedMessages {
				if m.Message.OrderingKey == "k" {
					got = append(got, string(m.Message.Data))
				}
			}
		}
		if diff := cmp.Diff([]string{"2", "3", "4"}, got); diff != "" {
			t.Errorf("the second stream got (-want +got):\n%s", diff)
		}
		close(second.requests)
		<-secondEnded
	})
}

// With exactly-once delivery nothing comes again that was acknowledged, so that acknowledgments of a key go
// in its order. In one request they may have any.
func TestExactlyOnceInOrder(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{EnableMessageOrdering: true, EnableExactlyOnceDelivery: true},
		func(t *testing.T, b *broker) {
			publish(t, b, "k/1", "k/2", "k/3")
			ids := wantPull(t, b, "1", "2", "3")
			_, err := b.Acknowledge(t.Context(),
				&pubsubpb.AcknowledgeRequest{Subscription: testSub, AckIds: []string{ids["3"]}})
			wantCode(t, err, codes.FailedPrecondition)
			info, ok := status.Convert(err).Details()[0].(*errdetails.ErrorInfo)
			if !ok || info.Metadata[ids["3"]] != "TRANSIENT_FAILURE_UNORDERED_ACK_ID" {
				t.Errorf("got %v", err)
			}
			modify(t, b, 20, ids["3"])
			ack(t, b, ids["2"], ids["1"])
			ack(t, b, ids["3"])
			wantEmpty(t, b, testSub)
		})
}

// A message that goes to the dead letter topic lets those behind it go on: they come again, with no attempt
// counted that nobody refused.
func TestDeadLetterInOrder(t *testing.T) {
	const dead = "projects/p/topics/dead"
	bubble(t, &pubsubpb.Subscription{
		EnableMessageOrdering: true, DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: dead, MaxDeliveryAttempts: 5},
	}, func(t *testing.T, b *broker) {
		const morgue = "projects/p/subscriptions/morgue"
		if _, err := b.CreateTopic(t.Context(), &pubsubpb.Topic{Name: dead}); err != nil {
			t.Fatal(err)
		}
		_, err := b.CreateSubscription(t.Context(),
			&pubsubpb.Subscription{Name: morgue, Topic: dead, EnableMessageOrdering: true})
		if err != nil {
			t.Fatal(err)
		}
		f, ended := openStream(b, 0)
		publish(t, b, "k/1", "k/2", "k/3")
		for attempt := int32(1); attempt <= 5; attempt++ {
			r := (<-f.responses).ReceivedMessages
			if len(r) != 3 || r[0].DeliveryAttempt != attempt || r[1].DeliveryAttempt != 1 || r[2].DeliveryAttempt != 1 {
				t.Fatalf("got %v, want three messages, the first for the %dth time", r, attempt)
			}
			f.nack(r[0].AckId)
		}
		f.requests <- &pubsubpb.StreamingPullRequest{AckIds: f.wantNext(t, "2", "3")}
		f.wantNothing(t)
		wantEmpty(t, b, testSub)
		if _, got := pull(t, b, morgue); len(got) != 1 || got[0] != "1" {
			t.Errorf("the dead letter topic has %q, want 1", got)
		}
		close(f.requests)
		<-ended
	})
}

func TestStreamTakesOverFromAnother(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{}, func(t *testing.T, b *broker) {
		first, firstEnded := openStream(b, 0)
		second, secondEnded := openStream(b, 0)
		synctest.Wait()
		publish(t, b, "/a")
		taker, takerEnded, other, otherEnded := first, firstEnded, second, secondEnded
		select {
		case <-first.responses:
		case <-second.responses:
			taker, takerEnded, other, otherEnded = second, secondEnded, first, firstEnded
		}
		other.wantNothing(t)
		close(taker.requests) // without an acknowledgment
		if err := <-takerEnded; err != nil {
			t.Errorf("the stream ended with %v", err)
		}
		begin := time.Now()
		other.wantNext(t, "a")
		if got := time.Since(begin); got != 10*time.Second {
			t.Errorf("delivered again after %s, want 10 s", got)
		}
		if _, err := b.DeleteSubscription(t.Context(),
			&pubsubpb.DeleteSubscriptionRequest{Subscription: testSub}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, <-otherEnded, codes.NotFound)
		close(other.requests)
	})
}

// A shortened lease wakes the clients that wait for its end.
func TestShortenedLease(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{}, func(t *testing.T, b *broker) {
		publish(t, b, "/a")
		ids := wantPull(t, b, "a")
		modify(t, b, 600, ids["a"])
		f, ended := openStream(b, 0)
		f.wantNothing(t)
		modify(t, b, 20, ids["a"])
		begin := time.Now()
		f.wantNext(t, "a")
		if got := time.Since(begin); got != 20*time.Second {
			t.Errorf("delivered again after %s, want 20 s", got)
		}
		close(f.requests)
		if err := <-ended; err != nil {
			t.Errorf("the stream ended with %v", err)
		}
	})
}

// TestStreamThatDoesNotRead sees that one client can't hold up the others.
func TestStreamThatDoesNotRead(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{}, func(t *testing.T, b *broker) {
		f, ended := openStream(b, 0)
		publish(t, b, "/a")
		synctest.Wait() // in Send
		for range 3 {
			f.requests <- &pubsubpb.StreamingPullRequest{AckIds: []string{"none"}}
		}
		publish(t, b, "/b")
		wantPull(t, b, "b")
		close(f.requests)
		f.wantNext(t, "a")
		if err := <-ended; err != nil {
			t.Errorf("the stream ended with %v", err)
		}
	})
}

func TestDetach(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{}, func(t *testing.T, b *broker) {
		publish(t, b, "/a")
		if _, err := b.DetachSubscription(t.Context(),
			&pubsubpb.DetachSubscriptionRequest{Subscription: testSub}); err != nil {
			t.Fatal(err)
		}
		publish(t, b, "/b")
		_, err := b.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: testSub, MaxMessages: 1})
		wantCode(t, err, codes.FailedPrecondition)
		wantEmpty(t, b, testSub)
	})
}

func TestUpdate(t *testing.T) {
	bubble(t, &pubsubpb.Subscription{Labels: map[string]string{"a": "b"}}, func(t *testing.T, b *broker) {
		update := func(s *pubsubpb.Subscription, paths ...string) (*pubsubpb.Subscription, error) {
			s.Name = testSub
			return b.UpdateSubscription(t.Context(), &pubsubpb.UpdateSubscriptionRequest{
				Subscription: s, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
			})
		}
		got, err := update(&pubsubpb.Subscription{AckDeadlineSeconds: 30, Filter: "attributes:x"}, "ack_deadline_seconds",
			"labels")
		if err != nil || got.AckDeadlineSeconds != 30 || len(got.Labels) != 0 || got.Filter != "" || got.Topic != testTopic {
			t.Errorf("got %v, %v", got, err)
		}
		for _, path := range []string{"filter", "topic", "enable_message_ordering", "nothing", "labels.a", ""} {
			_, err := update(&pubsubpb.Subscription{}, path)
			wantCode(t, err, codes.InvalidArgument)
		}
		_, err = update(&pubsubpb.Subscription{RetainAckedMessages: true}, "retain_acked_messages")
		wantCode(t, err, codes.Unimplemented)
		_, err = update(&pubsubpb.Subscription{})
		wantCode(t, err, codes.InvalidArgument)

		publish(t, b, "/a")
		wantPull(t, b, "a")
		time.Sleep(29 * time.Second)
		wantPull(t, b)
	})
}

func TestRefused(t *testing.T) {
	long := strings.Repeat("x", 256)
	topic := func(topic *pubsubpb.Topic) func(*broker) error {
		return func(b *broker) error {
			if topic.Name == "" {
				topic.Name = "projects/p/topics/new"
			}
			_, err := b.CreateTopic(context.Background(), topic)
			return err
		}
	}
	subscription := func(s *pubsubpb.Subscription) func(*broker) error {
		return func(b *broker) error {
			if s.Name == "" {
				s.Name = "projects/p/subscriptions/new"
			}
			if s.Topic == "" {
				s.Topic = testTopic
			}
			_, err := b.CreateSubscription(context.Background(), s)
			return err
		}
	}
	message := func(messages ...*pubsubpb.PubsubMessage) func(*broker) error {
		return func(b *broker) error {
			_, err := b.Publish(context.Background(), &pubsubpb.PublishRequest{Topic: testTopic, Messages: messages})
			return err
		}
	}
	push := func(p *pubsubpb.PushConfig) func(*broker) error {
		return subscription(&pubsubpb.Subscription{PushConfig: p})
	}
	for _, test := range []struct {
		name string
		do   func(*broker) error
		want codes.Code
	}{
		{"topic", topic(&pubsubpb.Topic{Labels: map[string]string{"a": "b"}}), codes.OK},
		{"topic again", topic(&pubsubpb.Topic{Name: testTopic}), codes.AlreadyExists},
		{"short name", topic(&pubsubpb.Topic{Name: "projects/p/topics/ab"}), codes.InvalidArgument},
		{"long name", topic(&pubsubpb.Topic{Name: "projects/p/topics/" + long}), codes.InvalidArgument},
		{"name of Google", topic(&pubsubpb.Topic{Name: "projects/p/topics/google"}), codes.InvalidArgument},
		{"name that begins with a digit", topic(&pubsubpb.Topic{Name: "projects/p/topics/1abc"}), codes.InvalidArgument},
		{"name with a slash", topic(&pubsubpb.Topic{Name: "projects/p/topics/abc/def"}), codes.InvalidArgument},
		{"name of a subscription", topic(&pubsubpb.Topic{Name: testSub}), codes.InvalidArgument},
		{"schema", topic(&pubsubpb.Topic{SchemaSettings: &pubsubpb.SchemaSettings{Schema: "s"}}), codes.Unimplemented},
		{"key", topic(&pubsubpb.Topic{KmsKeyName: "k"}), codes.Unimplemented},
		{
			"ingestion", topic(&pubsubpb.Topic{IngestionDataSourceSettings: &pubsubpb.IngestionDataSourceSettings{}}),
			codes.Unimplemented,
		},
		{"transform", topic(&pubsubpb.Topic{MessageTransforms: []*pubsubpb.MessageTransform{{}}}), codes.Unimplemented},
		{
			"retention of a topic", topic(&pubsubpb.Topic{MessageRetentionDuration: durationpb.New(time.Second)}),
			codes.InvalidArgument,
		},

		{
			"storage in no region", topic(&pubsubpb.Topic{MessageStoragePolicy: &pubsubpb.MessageStoragePolicy{}}),
			codes.InvalidArgument,
		},
		{
			"storage in a region", topic(&pubsubpb.Topic{
				MessageStoragePolicy: &pubsubpb.MessageStoragePolicy{AllowedPersistenceRegions: []string{"us-east1"}},
			}), codes.OK,
		},

		{"subscription", subscription(&pubsubpb.Subscription{}), codes.OK},
		{"subscription again", subscription(&pubsubpb.Subscription{Name: testSub}), codes.AlreadyExists},
		{"no topic", subscription(&pubsubpb.Subscription{Topic: "projects/p/topics/none"}), codes.NotFound},
		{
			"BigQuery", subscription(&pubsubpb.Subscription{BigqueryConfig: &pubsubpb.BigQueryConfig{Table: "t"}}),
			codes.Unimplemented,
		},
		{
			"Cloud Storage", subscription(&pubsubpb.Subscription{CloudStorageConfig: &pubsubpb.CloudStorageConfig{Bucket: "b"}}),
			codes.Unimplemented,
		},
		{"retained", subscription(&pubsubpb.Subscription{RetainAckedMessages: true}), codes.Unimplemented},
		{"short deadline", subscription(&pubsubpb.Subscription{AckDeadlineSeconds: 9}), codes.InvalidArgument},
		{"long deadline", subscription(&pubsubpb.Subscription{AckDeadlineSeconds: 601}), codes.InvalidArgument},
		{"filter", subscription(&pubsubpb.Subscription{Filter: "data = 1"}), codes.InvalidArgument},
		{
			"few attempts", subscription(&pubsubpb.Subscription{
				DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: testTopic, MaxDeliveryAttempts: 4},
			}), codes.InvalidArgument,
		},
		{
			"no dead letter topic", subscription(&pubsubpb.Subscription{DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{}}),
			codes.InvalidArgument,
		},
		{
			"backoff", subscription(&pubsubpb.Subscription{
				RetryPolicy: &pubsubpb.RetryPolicy{MaximumBackoff: durationpb.New(time.Hour)},
			}), codes.InvalidArgument,
		},
		{
			"push with a token", push(&pubsubpb.PushConfig{
				PushEndpoint: "https://localhost",
				AuthenticationMethod: &pubsubpb.PushConfig_OidcToken_{
					OidcToken: &pubsubpb.PushConfig_OidcToken{ServiceAccountEmail: "a@b"},
				},
			}), codes.Unimplemented,
		},
		{"push to a file", push(&pubsubpb.PushConfig{PushEndpoint: "file:///data"}), codes.InvalidArgument},

		{"no messages", message(), codes.InvalidArgument},
		{"empty message", message(&pubsubpb.PubsubMessage{}), codes.InvalidArgument},
		{
			"empty message for no topic", func(b *broker) error {
				_, err := b.Publish(context.Background(), &pubsubpb.PublishRequest{
					Topic: "projects/p/topics/none", Messages: []*pubsubpb.PubsubMessage{{}},
				})
				return err
			}, codes.NotFound,
		},
		{"attributes are enough", message(&pubsubpb.PubsubMessage{Attributes: map[string]string{"a": ""}}), codes.OK},
		{
			"long key of an attribute", message(&pubsubpb.PubsubMessage{Attributes: map[string]string{long + "x": ""}}),
			codes.InvalidArgument,
		},
		{
			"long attribute", message(&pubsubpb.PubsubMessage{Attributes: map[string]string{"a": strings.Repeat(long, 5)}}),
			codes.InvalidArgument,
		},
		{
			"long ordering key", message(&pubsubpb.PubsubMessage{Data: []byte("a"), OrderingKey: strings.Repeat(long, 5)}),
			codes.InvalidArgument,
		},
		{"many messages", message(make([]*pubsubpb.PubsubMessage, 1001)...), codes.InvalidArgument},
		{"large message", message(&pubsubpb.PubsubMessage{Data: make([]byte, maxPublish-100)}), codes.OK},
		{"too large message", message(&pubsubpb.PubsubMessage{Data: make([]byte, maxPublish)}), codes.InvalidArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, &pubsubpb.Subscription{}, func(t *testing.T, b *broker) { wantCode(t, test.do(b), test.want) })
		})
	}
}
