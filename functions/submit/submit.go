// Package submit is the Cloud Function that turns a drop into a job. It is woken
// by each object that is finalized in the inbox.
package submit

import (
	"context"
	"net/http"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
)

// Handler returns the function's body. load supplies the dependencies on first
// use and is tried again after a failure.
func Handler(load app.Loader) http.Handler {
	return inbound.Handler(func(ctx context.Context, e cloudevents.Event) error {
		a, err := load(ctx)
		if err != nil {
			return err // not configured or not reachable yet: redeliver
		}
		object, err := inbound.DecodeObject(e)
		if err == nil && !a.Submitter.Takes(object) {
			return a.Submitter.Submit(ctx, object) // ignores it: not worth a span
		}
		request := app.Request{Name: "submit", Event: e, Traceparent: object.Traceparent}
		return a.Handle(ctx, request, func(ctx context.Context, traceparent string) error {
			if err != nil {
				return err
			}
			object.Traceparent = traceparent
			return a.Submitter.Submit(ctx, object)
		})
	})
}
