package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2"
	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/inbound"
)

// Redelivery waits between these, doubling; Eventarc's own are 10 s and 600 s.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// pump delivers the inbox's storage events to Submit as Eventarc does: binary
// CloudEvents over HTTP, in no order, at least once. 2xx acknowledges; anything
// else is delivered again after a while.
func (s *Stack) pump(ctx context.Context) {
	subscriber := s.pubsub.Subscriber(notifications)
	err := subscriber.Receive(ctx, func(ctx context.Context, m *pubsub.Message) {
		for range s.options.Deliveries {
			s.deliver(ctx, m)
		}
		m.Ack()
	})
	if err != nil && ctx.Err() == nil {
		s.options.Logger.ErrorContext(ctx, "storage events", "error", err.Error())
	}
}

func (s *Stack) deliver(ctx context.Context, m *pubsub.Message) {
	header := http.Header{
		"Content-Type":   {"application/json"},
		"Ce-Id":          {m.ID},
		"Ce-Type":        {inbound.Finalized},
		"Ce-Source":      {"//storage.googleapis.com/projects/_/buckets/" + m.Attributes["bucketId"]},
		"Ce-Subject":     {encodeHeader("objects/" + m.Attributes["objectId"])},
		"Ce-Specversion": {"1.0"},
		"Ce-Time":        {m.PublishTime.UTC().Format(time.RFC3339Nano)},
		"Ce-Bucket":      {m.Attributes["bucketId"]},
	}
	backoff := minBackoff
	for refused := 1; ; refused++ {
		err := s.post(ctx, "/Submit", header, m.Data)
		if err == nil {
			return
		}
		if refused == failing && s.options.Failing != nil && ctx.Err() == nil {
			s.options.Failing(fmt.Errorf("event of %s: %w", m.Attributes["objectId"], err))
		}
		s.options.Logger.WarnContext(ctx, "event not taken", "object", m.Attributes["objectId"], "error", err.Error(), "again_in", backoff)
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// failing is how often an event is refused before someone is told: some seconds.
const failing = 6

// encodeHeader encodes a header's value as the HTTP binding of CloudEvents asks
// (3.1.3.2): everything but printable ASCII, and the quote and the percent sign.
func encodeHeader(value string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// post posts to a function, and gives an error unless the answer is 2xx.
func (s *Stack) post(ctx context.Context, path string, header http.Header, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.FunctionsURL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s: %s", path, response.Status, bytes.TrimSpace(answer))
	}
	return nil
}

// schedule is the scheduler: it wakes Watch at each tick.
func (s *Stack) schedule(ctx context.Context) {
	ticker := time.NewTicker(s.options.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := s.post(ctx, "/Watch", http.Header{}, nil); err != nil && ctx.Err() == nil {
				s.options.Logger.WarnContext(ctx, "tick failed", "error", err.Error())
			}
		}
	}
}

// Subscribe makes a subscription to the lifecycle events and calls receive with
// each, those of one attempt in order, until ctx ends. It is ready when ready is
// called. An error of receive asks for redelivery.
func (s *Stack) Subscribe(ctx context.Context, name string, ready func(), receive func(context.Context, cloudevents.Event) error) error {
	if err := s.createSubscription(ctx, name, Topic); err != nil {
		return fmt.Errorf("subscription %s: %w", name, err)
	}
	ready()
	return s.pubsub.Subscriber(name).Receive(ctx, func(ctx context.Context, m *pubsub.Message) {
		e, err := event.FromMessage(m.Attributes, m.Data)
		if err == nil {
			err = receive(ctx, e)
		}
		if err != nil {
			s.options.Logger.WarnContext(ctx, "lifecycle event not taken", "error", err.Error())
			m.Nack()
			return
		}
		m.Ack()
	})
}
