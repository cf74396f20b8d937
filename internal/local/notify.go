package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"cloud.google.com/go/pubsub/v2"
)

// startNotify subscribes Notify to the lifecycle events. It returns when the subscription is there.
func (s *Stack) startNotify(ctx, run context.Context) error {
	// On an emulator that others use, too, the next stack of this folder finds what a killed one left.
	sum := sha256.Sum256([]byte(s.options.Dir))
	name := "jobdrop-notify-" + hex.EncodeToString(sum[:6])
	ready, ended := make(chan struct{}), make(chan error, 1)
	s.task(func() {
		err := s.subscribe(run, name, func() { close(ready) }, func(ctx context.Context, m *pubsub.Message) error {
			return s.push(ctx, name, m)
		})
		if err != nil && run.Err() == nil {
			s.options.Logger.ErrorContext(run, "Notify gets no more events", "error", err.Error())
		}
		ended <- err
	})
	select {
	case <-ready:
		return nil
	case err := <-ended:
		return errors.Join(err, ctx.Err())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// push delivers a lifecycle event to Notify as Pub/Sub does: wrapped in JSON, at least once. 2xx
// acknowledges; anything else is delivered again after a while, for a day. Meanwhile the later events of its
// attempt wait.
func (s *Stack) push(ctx context.Context, subscription string, m *pubsub.Message) error {
	select {
	case <-s.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	backoff, end := minBackoff, time.Now().Add(retention)
	for refused := 1; ; refused++ {
		body := pushBody(subscription, m, refused)
		err := s.post(ctx, "/Notify", http.Header{"Content-Type": {"application/json"}}, body)
		switch {
		case err == nil:
			s.took(m)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(end):
			s.options.Logger.ErrorContext(ctx, "lifecycle event given up", "event", m.Attributes["ce-id"], "error", err.Error())
			return nil
		}
		s.options.Logger.WarnContext(ctx, "lifecycle event not taken", "event", m.Attributes["ce-id"], "error", err.Error(),
			"again_in", backoff)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// took notes that Notify took an event.
func (s *Stack) took(m *pubsub.Message) {
	sequence, err := strconv.ParseInt(m.Attributes["ce-sequence"], 10, 64)
	if err != nil {
		return // not an event: it is parked
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notified[m.OrderingKey] = max(s.notified[m.OrderingKey], sequence)
}

// Notified returns the sequence of the newest event of an attempt that Notify took; 0 before the first. What
// it has to tell of them it may still be sending.
func (s *Stack) Notified(attempt string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notified[attempt]
}

// pushBody returns the body of a push with a message. The service writes both spellings of some names.
func pushBody(subscription string, m *pubsub.Message, attempt int) []byte {
	published := m.PublishTime.UTC().Format(time.RFC3339Nano)
	message := map[string]any{
		"attributes": m.Attributes, "data": m.Data, "messageId": m.ID, "message_id": m.ID,
		"publishTime": published, "publish_time": published,
	}
	if m.OrderingKey != "" {
		message["orderingKey"] = m.OrderingKey
	}
	body, err := json.Marshal(map[string]any{
		"deliveryAttempt": attempt, "subscription": subscriptionName(subscription), "message": message,
	})
	if err != nil {
		panic(err) // texts and bytes alone
	}
	return body
}
