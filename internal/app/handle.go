package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// Request is what a function was asked to do.
type Request struct {
	// Name is the name of the work's span.
	Name string
	// Event woke the function. It is the zero event for a tick and for a hint.
	Event cloudevents.Event
	// About says in the log what a request without an event was about: keys and values, as slog takes
	// them.
	About []any
	// Traceparent is the W3C trace context that the work belongs to; empty if there is none.
	Traceparent string
}

// Handle does the work of a request in a span, settles what comes of it and sends what was
// measured. work gets the traceparent of its span. An error asks for the request again.
func (a *App) Handle(ctx context.Context, r Request,
	work func(ctx context.Context, traceparent string) error) error {
	ctx, traceparent, end := a.measures.Span(ctx, r.Name, r.Traceparent)
	err := work(ctx, traceparent)
	end(err)
	defer a.flush(ctx)
	return a.settle(ctx, r, err)
}

// flushTime bounds what a request waits for the collector.
const flushTime = 3 * time.Second

// flush sends what was measured. That it can't be sent is logged, and changes nothing else.
func (a *App) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := a.measures.Flush(ctx); err != nil {
		a.logger.WarnContext(ctx, "telemetry not sent", "error", err.Error())
	}
}

// settle decides whether a request is done (nil) or to be made again, once a use case has seen it, and
// logs the error. It is the only function that does: what is not an event at all is refused before, by
// [inbound]. A fault in a drop is a verdict in the ledger and no error here. docs/delivery.md has all
// answers in a table.
func (a *App) settle(ctx context.Context, r Request, err error) error {
	e := r.Event
	if err == nil {
		return nil
	}
	failed, logger := "event to be delivered again", a.logger
	if e.ID() != "" {
		logger = logger.With("event_id", e.ID(), "event_type", e.Type(), "subject", e.Subject())
	} else {
		failed, logger = "request failed", logger.With("request", r.Name).With(r.About...)
	}
	switch {
	case errors.Is(err, inbound.ErrOtherType):
		// A trigger that is set too wide. Redelivery would not change the type.
		logger.WarnContext(ctx, "event ignored", "error", err.Error())
		return nil
	case errors.Is(err, inbound.ErrUndecodable):
		// Redelivery doesn't help, and no attempt can carry a verdict: keep the event for people,
		// and only then acknowledge.
		if parkErr := a.parking.Park(ctx, e.Source(), e.ID(), asMessage(e), err); parkErr != nil {
			err = fmt.Errorf("%w; not parked: %w", err, parkErr)
			logger.ErrorContext(ctx, "event not parked", "error", err.Error())
			return err
		}
		a.measures.Parked(ctx)
		logger.ErrorContext(ctx, "event parked", "error", err.Error())
		return nil
	case e.ID() != "" && attempt.Left(err):
		// The other worker decides upon the drop, or publishes what it wrote. If it dies, what woke it
		// comes again, or a tick finds what is left.
		logger.InfoContext(ctx, "event left to another worker", "error", err.Error())
		return nil
	case attempt.Contended(err):
		// Another worker was first, or a tick has to be: nobody needs to act.
		logger.WarnContext(ctx, failed, "error", err.Error())
		return err
	}
	// A service that did not answer, a deadline, a configuration that is not complete: each may be
	// mended by the time of the next delivery.
	logger.ErrorContext(ctx, failed, "error", err.Error())
	return err
}

// parking keeps what could not be decoded.
type parking interface {
	Park(ctx context.Context, source, id string, message any, cause error) error
}

// message is an event in the JSON form of a Pub/Sub message. The event's own JSON form holds its
// data as they are, and an event that is parked may have data that are not valid JSON.
type message struct {
	Attributes map[string]string `json:"attributes"`
	Data       []byte            `json:"data"`
}

func asMessage(e cloudevents.Event) message {
	attributes, data := event.ToMessage(e)
	return message{attributes, data}
}
