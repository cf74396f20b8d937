// Package notify is the Cloud Function that tells people what becomes of their drops.
// It is woken by each lifecycle event, and by a scheduler for what is to be sent later.
package notify

import (
	"context"
	"net/http"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// Handler returns the function's body. load supplies the dependencies on first
// use and is tried again after a failure.
func Handler(load app.Loader) http.Handler {
	receive := func(ctx context.Context, e cloudevents.Event) error {
		a, err := load(ctx)
		if err != nil {
			return err // not configured or not reachable yet: redeliver
		}
		decoded, err := inbound.DecodeLifecycle(e)
		traceparent, _ := e.Extensions()[event.ExtensionTraceparent].(string)
		request := app.Request{Name: "notify", Event: e, Traceparent: traceparent}
		return a.Handle(ctx, request, func(ctx context.Context, _ string) error {
			if err != nil {
				return err
			}
			return a.Notifier.Notify(ctx, decoded)
		})
	}
	tick := func(ctx context.Context) error {
		a, err := load(ctx)
		if err != nil {
			return err // not configured or not reachable yet: the next tick may find it so
		}
		return a.Handle(ctx, app.Request{Name: "tick"}, func(ctx context.Context, _ string) error {
			return a.Notifier.Tick(ctx)
		})
	}
	return inbound.Notify(receive, tick)
}
