package messaging

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
)

// endpoint takes what is pushed. It answers with the numbers, the last one again
// and again.
func endpoint(t *testing.T, answers ...int) (url string, requests chan *http.Request, bodies chan []byte) {
	requests, bodies = make(chan *http.Request, 100), make(chan []byte, 100)
	var count atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		n := int(count.Add(1))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(answers[min(n, len(answers))-1])
		requests <- r
		bodies <- body
	}))
	t.Cleanup(s.Close)
	return s.URL + "/push", requests, bodies
}

func next[T any](t *testing.T, c chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing is pushed")
		panic("unreachable")
	}
}

// waitEmpty waits until all is acknowledged.
func waitEmpty(t *testing.T, b *broker) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		b.mu.Lock()
		size := b.subscriptions[testSub].size
		b.mu.Unlock()
		if size == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d messages stay", size)
		}
	}
}

func TestPush(t *testing.T) {
	t.Parallel()
	url, _, bodies := endpoint(t, 500, 302, 204)
	s := serve(t)
	client(t, s, &pubsubpb.Subscription{
		PushConfig: &pubsubpb.PushConfig{PushEndpoint: url}, EnableMessageOrdering: true,
		DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: "projects/p/topics/dead"},
	})
	publish(t, s.broker, "k/a", "k/b")
	type pushed struct {
		Message struct {
			Data                     string
			MessageID                string `json:"messageId"`
			OldMessageID             string `json:"message_id"`
			PublishTime, OrderingKey string
		}
		Subscription    string
		DeliveryAttempt int
	}
	for _, want := range []struct {
		data    string
		attempt int
	}{{"a", 1}, {"a", 2}, {"a", 3}, {"b", 1}} {
		var got pushed
		body := next(t, bodies)
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		m := got.Message
		if _, err := time.Parse(time.RFC3339Nano, m.PublishTime); err != nil {
			t.Error(err)
		}
		if m.Data != base64.StdEncoding.EncodeToString([]byte(want.data)) || got.DeliveryAttempt != want.attempt ||
			got.Subscription != testSub ||
			m.OrderingKey != "k" || m.MessageID == "" || m.MessageID != m.OldMessageID {
			t.Errorf("got %s, want %s, attempt %d", body, want.data, want.attempt)
		}
	}
	waitEmpty(t, s.broker)
	_, err := s.broker.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: testSub, MaxMessages: 1})
	wantCode(t, err, codes.FailedPrecondition)
}

func TestPushUnwrapped(t *testing.T) {
	t.Parallel()
	url, requests, bodies := endpoint(t, 200)
	s := serve(t)
	client(t, s, &pubsubpb.Subscription{})
	_, err := s.broker.ModifyPushConfig(t.Context(), &pubsubpb.ModifyPushConfigRequest{
		Subscription: testSub, PushConfig: &pubsubpb.PushConfig{
			PushEndpoint: url, Wrapper: &pubsubpb.PushConfig_NoWrapper_{
				NoWrapper: &pubsubpb.PushConfig_NoWrapper{WriteMetadata: true},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.broker.Publish(t.Context(), &pubsubpb.PublishRequest{Topic: testTopic, Messages: []*pubsubpb.PubsubMessage{
		{Data: []byte("raw"), Attributes: map[string]string{"ce-type": "done"}, OrderingKey: "k"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r, body := next(t, requests), next(t, bodies)
	if string(body) != "raw" || r.Header.Get("Ce-Type") != "done" ||
		r.Header.Get("X-Goog-Pubsub-Subscription-Name") != testSub || r.Header.Get("X-Goog-Pubsub-Message-Id") == "" {
		t.Errorf("got %q, %v", body, r.Header)
	}
	waitEmpty(t, s.broker)

	// Without an endpoint it is there for those who pull.
	if _, err := s.broker.ModifyPushConfig(t.Context(),
		&pubsubpb.ModifyPushConfigRequest{Subscription: testSub}); err != nil {
		t.Fatal(err)
	}
	publish(t, s.broker, "/a")
	wantPull(t, s.broker, "a")
}
