package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/destination/email"
	"github.com/jobdrop/jobdrop/internal/destination/pagerduty"
	"github.com/jobdrop/jobdrop/internal/destination/slack"
	"github.com/jobdrop/jobdrop/internal/destination/webhook"
)

// Destination tells people or programs of events.
type Destination interface {
	// Send tells a message, and returns what the conversation's next one needs. Errors are those of [delivery.Later]
	// and [delivery.Never].
	Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error)
}

// Outward is how destinations reach the world. All of it is required.
type Outward struct {
	// Guard lets connections of mail out, Client requests of the others: as a rule Guard's own.
	Guard  *destination.Guard
	Client *http.Client
	// Secret returns what a reference leads to.
	Secret func(routes.Reference) destination.Secret
	Now    func() time.Time
}

// Destination makes a destination of the routes file, without a call.
func (o Outward) Destination(d routes.Destination) (Destination, error) {
	if o.Guard == nil || o.Client == nil || o.Secret == nil || o.Now == nil {
		return nil, errors.New("destination: Guard, Client, Secret and Now are required")
	}
	to, err := o.open(d)
	if err != nil {
		return nil, fmt.Errorf("destination %s: %w", d.Name, err)
	}
	return to, nil
}

func (o Outward) open(d routes.Destination) (Destination, error) {
	switch {
	case d.Slack != nil:
		return slack.New(slack.Options{
			Client: o.Client, Token: o.Secret(d.Slack.Token), Channel: d.Slack.Channel, BaseURL: d.Slack.URL, Now: o.Now,
		})
	case d.SlackWebhook != nil:
		return slack.NewWebhook(slack.WebhookOptions{Client: o.Client, URL: o.url(d.SlackWebhook.URL), Now: o.Now})
	case d.Webhook != nil:
		options := webhook.Options{Client: o.Client, URL: o.url(d.Webhook.URL), Now: o.Now}
		for _, key := range d.Webhook.Keys {
			options.Keys = append(options.Keys, o.Secret(key))
		}
		return webhook.New(options)
	case d.Email != nil:
		return o.Email(*d.Email)
	case d.PagerDuty != nil:
		return pagerduty.New(pagerduty.Options{
			Client: o.Client, RoutingKey: o.Secret(d.PagerDuty.RoutingKey), BaseURL: d.PagerDuty.URL,
			Severity: d.PagerDuty.Severity, Now: o.Now,
		})
	}
	return nil, errors.New("it has no kind")
}

// Email makes a destination of mail.
func (o Outward) Email(e routes.Email) (*email.Email, error) {
	options := email.Options{
		Guard: o.Guard, Server: e.Server, TLS: e.TLS, Username: e.Username, From: e.From, To: e.To, Now: o.Now,
	}
	if e.Username != "" {
		options.Password = o.Secret(e.Password)
	}
	return email.New(options)
}

// url returns a URL that stands in the file, or that a reference leads to.
func (o Outward) url(r routes.Reference) destination.Secret {
	if r.IsURL() {
		return destination.Value(string(r))
	}
	return o.Secret(r)
}
