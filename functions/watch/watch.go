// Package watch is the Cloud Function that follows jobs and drops to their end.
// It is woken by a scheduler, and by hints that a job has changed.
package watch

import (
	"context"
	"net/http"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Handler returns the function's body. load supplies the dependencies on first
// use and is tried again after a failure.
func Handler(load app.Loader) http.Handler {
	do := func(ctx context.Context, name string, work func(context.Context, *app.App) error) error {
		a, err := load(ctx)
		if err != nil {
			return err // not configured or not reachable yet: the next tick may find it so
		}
		ctx, _, end := a.Telemetry.Span(ctx, name, "")
		err = work(ctx, a)
		end(err)
		defer a.Flush(ctx)
		return a.Settle(ctx, cloudevents.NewEvent(), err)
	}
	return inbound.Watch(
		func(ctx context.Context) error {
			return do(ctx, "tick", func(ctx context.Context, a *app.App) error { return a.Watcher.Tick(ctx) })
		},
		func(ctx context.Context, j job.JobInfo) error {
			return do(ctx, "look", func(ctx context.Context, a *app.App) error { return a.Watcher.Look(ctx, j) })
		},
	)
}
