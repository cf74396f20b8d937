// Package watch is the Cloud Function that follows jobs and drops to their end.
// It is woken by a scheduler, and by hints that a job has changed or that somebody
// asks for something.
package watch

import (
	"context"
	"net/http"

	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
)

// Handler returns the function's body. load supplies the dependencies on first
// use and is tried again after a failure.
func Handler(load app.Loader) http.Handler {
	tick := func(ctx context.Context) error {
		a, err := load(ctx)
		if err != nil {
			return err // not configured or not reachable yet: the next tick may find it so
		}
		return a.Handle(ctx, app.Request{Name: "tick"}, func(ctx context.Context, _ string) error {
			return a.Watcher.Tick(ctx)
		})
	}
	hint := func(ctx context.Context, name string) error {
		a, err := load(ctx)
		if err != nil {
			return err // the next tick polls the job
		}
		request := app.Request{Name: "refresh", About: []any{"job", name}}
		return a.Handle(ctx, request, func(ctx context.Context, _ string) error { return a.Watcher.Refresh(ctx, name) })
	}
	ask := func(ctx context.Context, name string) error {
		a, err := load(ctx)
		if err != nil {
			return err // the next tick finds the request
		}
		request := app.Request{Name: "ask", About: []any{"request", name}}
		return a.Handle(ctx, request, func(ctx context.Context, _ string) error { return a.Watcher.Ask(ctx, name) })
	}
	return inbound.Watch(tick, hint, ask)
}
