package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	// About says in the log what a request without an event was about.
	About []slog.Attr
	// Traceparent is the W3C trace context that the work belongs to; empty if there is none.
	Traceparent string
}

// Handle does the work of a request in a span, settles what comes of it and sends what was
// measured. work gets the traceparent of its span. An error asks for the request again.
func (a *App) Handle(ctx context.Context, r Request,
	work func(ctx context.Context, traceparent string) error) error {
	ctx, traceparent, end := a.Telemetry.Span(ctx, r.Name, r.Traceparent)
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
	if err := a.Telemetry.Flush(ctx); err != nil {
		a.logger.WarnContext(ctx, "telemetry not sent", "error", err.Error())
	}
}

// settle decides whether a request is done (nil) or to be made again. It is the only function that
// does, and the one that logs the error. A fault in a drop is a verdict in the ledger and no error
// here.
func (a *App) settle(ctx context.Context, r Request, err error) error {
	e := r.Event
	message := "event to be delivered again"
	about := []slog.Attr{
		slog.String("event_id", e.ID()), slog.String("event_type", e.Type()), slog.String("subject", e.Subject()),
	}
	if e.ID() == "" {
		message = "request failed"
		about = append([]slog.Attr{slog.String("request", r.Name)}, r.About...)
	}
	log := func(level slog.Level, message string, err error) {
		a.logger.LogAttrs(ctx, level, message, append(about, slog.String("error", err.Error()))...)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, inbound.ErrOtherType):
		// A trigger that is set too wide. Redelivery would not change the type.
		log(slog.LevelWarn, "event ignored", err)
		return nil
	case errors.Is(err, inbound.ErrUndecodable):
		// Redelivery doesn't help, and no attempt can carry a verdict: keep the event for people,
		// and only then acknowledge.
		if parkErr := a.parking.Park(ctx, e.Source(), e.ID(), asMessage(e), err); parkErr != nil {
			err = fmt.Errorf("%w; not parked: %w", err, parkErr)
			log(slog.LevelError, "event not parked", err)
			return err
		}
		a.Telemetry.Parked(ctx)
		log(slog.LevelError, "event parked", err)
		return nil
	case attempt.Contended(err), errors.Is(err, attempt.ErrNoTick):
		// Another worker was first, or a tick has to be: nobody needs to act.
		log(slog.LevelWarn, message, err)
		return err
	}
	// A service that did not answer, a deadline, a configuration that is not complete: each may be
	// mended by the time of the next delivery.
	log(slog.LevelError, message, err)
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
