package messaging

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

const (
	// maxPushing bounds the requests of one push subscription at once.
	maxPushing = 100
	// pushSlack is how much longer a lease is than the request it is for, so that
	// no answer comes after its end.
	pushSlack = 5 * time.Second
)

// startPushing makes a push subscription push, if it doesn't yet. The lock is
// held.
func (b *broker) startPushing(s *subscription) {
	if s.pushing || s.config.PushConfig.PushEndpoint == "" || b.ctx.Err() != nil {
		return
	}
	s.pushing = true
	b.pushers.Go(func() { b.push(s) })
}

// push posts what there is to the endpoint, until the subscription is none that
// pushes any more.
func (b *broker) push(s *subscription) {
	slots := make(chan struct{}, maxPushing)
	for {
		slots <- struct{}{} // posts end with their deadline or with the service
		b.mu.Lock()
		if s.gone() != nil || s.config.PushConfig.PushEndpoint == "" {
			s.pushing = false
			b.mu.Unlock()
			return
		}
		now := time.Now()
		s.expire(now)
		config := s.config
		taken := s.take(now, limits{messages: 1, lease: s.ackDeadline() + pushSlack})
		changed, next := s.changed, s.next()
		b.mu.Unlock()
		if len(taken) == 1 {
			b.pushers.Go(func() {
				acknowledged := b.post(config, taken[0])
				b.mu.Lock()
				defer b.mu.Unlock()
				if now := time.Now(); acknowledged {
					s.ack(taken[0].AckId, now)
				} else {
					s.extend(taken[0].AckId, 0, now)
				}
				<-slots
			})
			continue
		}
		<-slots
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(next.Sub(now))
		}
		select {
		case <-changed:
		case <-timer:
		case <-b.ctx.Done():
		}
	}
}

// post delivers a message over HTTP, and reports whether the answer acknowledges it.
func (b *broker) post(config *pubsubpb.Subscription, m *pubsubpb.ReceivedMessage) bool {
	ctx, cancel := context.WithTimeout(b.ctx, time.Duration(config.AckDeadlineSeconds)*time.Second)
	defer cancel()
	header, body := pushRequest(config, m)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, config.PushConfig.PushEndpoint, bytes.NewReader(body))
	if err != nil {
		return false
	}
	request.Header = header
	response, err := b.client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // so that the connection can be used again
	switch response.StatusCode {
	// The service also takes 102, which a client of HTTP never sees as an end.
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return true
	}
	return false
}

// pushRequest returns the request that delivers a message to a push endpoint: the
// message wrapped in JSON, or the data alone.
func pushRequest(config *pubsubpb.Subscription, m *pubsubpb.ReceivedMessage) (http.Header, []byte) {
	published := m.Message.PublishTime.AsTime().Format(time.RFC3339Nano)
	header := http.Header{"User-Agent": {"APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"}}
	if unwrapped := config.PushConfig.GetNoWrapper(); unwrapped != nil {
		if unwrapped.WriteMetadata {
			for key, value := range m.Message.Attributes {
				header.Set(key, value)
			}
			header.Set("X-Goog-Pubsub-Subscription-Name", config.Name)
			header.Set("X-Goog-Pubsub-Message-Id", m.Message.MessageId)
			header.Set("X-Goog-Pubsub-Publish-Time", published)
			if m.Message.OrderingKey != "" {
				header.Set("X-Goog-Pubsub-Ordering-Key", m.Message.OrderingKey)
			}
			if m.DeliveryAttempt > 0 {
				header.Set("X-Goog-Pubsub-Delivery-Attempt", strconv.Itoa(int(m.DeliveryAttempt)))
			}
		}
		return header, m.Message.Data
	}
	type message struct {
		Attributes map[string]string `json:"attributes,omitempty"`
		Data       []byte            `json:"data,omitempty"`
		// The service writes both spellings.
		MessageID    string `json:"messageId"`
		OldMessageID string `json:"message_id"`
		OrderingKey  string `json:"orderingKey,omitempty"`
		Published    string `json:"publishTime"`
		OldPublished string `json:"publish_time"`
	}
	body, err := json.Marshal(struct {
		DeliveryAttempt int32   `json:"deliveryAttempt,omitempty"`
		Message         message `json:"message"`
		Subscription    string  `json:"subscription"`
	}{m.DeliveryAttempt, message{
		m.Message.Attributes, m.Message.Data, m.Message.MessageId, m.Message.MessageId,
		m.Message.OrderingKey, published, published,
	}, config.Name})
	if err != nil {
		panic(err) // strings and bytes have no JSON that fails
	}
	header.Set("Content-Type", "application/json")
	return header, body
}
