// Package watch is the Cloud Function that follows jobs and drops to their end.
// It is woken by a scheduler.
package watch

import (
	"context"
	"net/http"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/pkg/app"
	"github.com/jobdrop/jobdrop/pkg/inbound"
)

// Handler returns the function's body. load supplies the dependencies on first
// use and is tried again after a failure.
func Handler(load app.Loader) http.Handler {
	return inbound.Tick(func(ctx context.Context) error {
		a, err := load(ctx)
		if err != nil {
			return err // not configured or not reachable yet: the next tick may find it so
		}
		ctx, _, end := a.Telemetry.Span(ctx, "tick", "")
		err = a.Watcher.Tick(ctx)
		end(err)
		defer a.Flush(ctx)
		return a.Settle(ctx, cloudevents.NewEvent(), err)
	})
}
