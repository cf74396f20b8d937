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
			return a.Submitter.Submit(ctx, object) // ignores it
		}
		ctx, traceparent, end := a.Telemetry.Span(ctx, "submit", object.Traceparent)
		if err == nil {
			object.Traceparent = traceparent
			err = a.Submitter.Submit(ctx, object)
		}
		end(err)
		defer a.Flush(ctx)
		return a.Settle(ctx, e, err)
	})
}
