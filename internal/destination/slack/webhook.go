package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
)

// WebhookOptions are the settings of an incoming webhook. Client and URL are required.
type WebhookOptions struct {
	Client *http.Client
	// URL is all that is needed to post to the channel: a secret as a whole.
	URL destination.Secret
	Now func() time.Time
}

// Webhook posts plain messages by an incoming webhook. It can't update them, nor find out what was posted.
type Webhook struct{ options WebhookOptions }

// NewWebhook makes a destination, without a call.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	switch {
	case o.Client == nil:
		return nil, errors.New("slack webhook: the client is required")
	case o.URL == nil:
		return nil, errors.New("slack webhook: the URL is required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Webhook{o}, nil
}

// plainMessage is a message to an incoming webhook.
type plainMessage struct {
	Text        string  `json:"text"`
	Blocks      []block `json:"blocks,omitempty"`
	UnfurlLinks bool    `json:"unfurl_links"`
	UnfurlMedia bool    `json:"unfurl_media"`
}

// Send posts a message. A refresh posts nothing: there is no message to show it in.
func (w *Webhook) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if m.Refresh {
		return m.Receipt, nil
	}
	ctx, cancel := context.WithTimeout(ctx, destination.Deadline)
	defer cancel()
	secrets := []destination.Secret{w.options.URL}
	err := destination.WithSecrets(ctx, secrets, func(ctx context.Context, values []string) error {
		body := plainMessage{Text: fallback(m.Text, true), Blocks: news(m)}
		err := w.post(ctx, values[0], body)
		if errors.Is(err, errPayload) {
			body.Blocks = nil
			err = w.post(ctx, values[0], body)
		}
		return err
	})
	if err != nil {
		return m.Receipt, fmt.Errorf("slack webhook: %w", err)
	}
	return m.Receipt, nil
}

// errPayload is in the error of a message that Slack doesn't take as it is.
var errPayload = errors.New("the message is not taken")

// post posts a body.
func (w *Webhook) post(ctx context.Context, to string, body plainMessage) error {
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	response, err := destination.Post(ctx, w.options.Client, to, header, encode(body), destination.MaxAnswer)
	if err != nil {
		return err
	}
	err = destination.Answer(response.Status, response.Header, w.options.Now())
	switch response.Status {
	case http.StatusBadRequest:
		return fmt.Errorf("%w: %w", errPayload, err)
	case http.StatusNotFound, http.StatusGone:
		// The webhook was removed, or replaced by one with another URL.
		return destination.Unauthorized(err)
	}
	return err
}
