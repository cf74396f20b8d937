// Package webhook sends lifecycle events to an HTTP server, signed as Standard Webhooks says
// (https://www.standardwebhooks.com): the CloudEvent in structured mode, the same bytes at each try.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
)

// Options are a webhook's settings. Client, URL and at least one key are required.
type Options struct {
	Client *http.Client
	URL    destination.Secret
	// Keys sign each request, all of them: while a key is replaced, the receiver knows the old or the new one.
	Keys []destination.Secret
	Now  func() time.Time
}

// Webhook sends events to one URL.
type Webhook struct{ options Options }

// New makes a destination, without a call.
func New(o Options) (*Webhook, error) {
	switch {
	case o.Client == nil:
		return nil, errors.New("webhook: the client is required")
	case o.URL == nil:
		return nil, errors.New("webhook: the URL is required")
	case len(o.Keys) == 0:
		return nil, errors.New("webhook: a key is required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Webhook{o}, nil
}

// ContentType is that of a CloudEvent in structured mode.
const ContentType = "application/cloudevents+json"

// Send posts the event of a message. The receiver knows a repeat by its webhook-id. A refresh posts nothing: the
// receiver orders events by their sequence.
func (w *Webhook) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if m.Refresh {
		return m.Receipt, nil
	}
	ctx, cancel := context.WithTimeout(ctx, destination.Deadline)
	defer cancel()
	// Records hold the event as this writes it: written again it has the same bytes, at whichever try.
	body, err := json.Marshal(m.Event.CloudEvent)
	if err != nil {
		return m.Receipt, delivery.Never(fmt.Errorf("webhook: event %s: %w", m.Event.ID(), err))
	}
	secrets := append([]destination.Secret{w.options.URL}, w.options.Keys...)
	err = destination.WithSecrets(ctx, secrets, func(ctx context.Context, values []string) error {
		return w.post(ctx, values[0], values[1:], m.ID, body)
	})
	if err != nil {
		return m.Receipt, fmt.Errorf("webhook: %w", err)
	}
	return m.Receipt, nil
}

func (w *Webhook) post(ctx context.Context, to string, keys []string, id string, body []byte) error {
	now := w.options.Now()
	signatures, err := sign(keys, id, now, body)
	if err != nil {
		return delivery.Never(destination.Unauthorized(err))
	}
	header := http.Header{}
	header.Set("Content-Type", ContentType)
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, signatures)
	response, err := destination.Post(ctx, w.options.Client, to, header, body, destination.MaxAnswer)
	if err != nil {
		return err
	}
	err = destination.Answer(response.Status, response.Header, now)
	if response.Status == http.StatusNotFound || response.Status == http.StatusGone {
		return destination.Unauthorized(err) // another URL may be right by now
	}
	return err
}

// A key has 24 to 64 bytes, as the specification says. A shorter one could be guessed.
const (
	minKey = 24
	maxKey = 64
)

// sign returns the signatures of a body, one for each key, separated by spaces.
func sign(keys []string, id string, at time.Time, body []byte) (string, error) {
	var all []string
	for i, key := range keys {
		hook, err := standardwebhooks.NewWebhook(key)
		if err != nil || !fits(key) {
			return "", fmt.Errorf("key %d is not whsec_ and the base64 of %d to %d bytes", i+1, minKey, maxKey)
		}
		signature, err := hook.Sign(id, at, body)
		if err != nil {
			return "", fmt.Errorf("key %d can't sign", i+1)
		}
		all = append(all, signature)
	}
	return strings.Join(all, " "), nil
}

// fits reports whether the base64 of a key is as long as it should be.
func fits(key string) bool {
	size := len(strings.TrimRight(strings.TrimPrefix(key, "whsec_"), "=")) * 3 / 4
	return size >= minKey && size <= maxKey
}
