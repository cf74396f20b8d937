package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/telemetry"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/notice"
)

// reports is what Notify says of its work: a line of the log, which alerts and playbooks read, and a
// measurement. No line has an error's text but the destination's own, which holds no secret.
type reports struct {
	measures *telemetry.Telemetry
	logger   *slog.Logger
}

// sent reports what a send came to. A message that is given up is not sent any more: the destination refuses it, or was
// tried for as long as is worth it. jobdrop notify replay sends it all the same.
func (r reports) sent(ctx context.Context, s notifier.Send) {
	about := []any{
		"destination", s.Destination, "kind", s.Kind, "route", s.Route, "event_id", s.Event, "drop", s.Drop, "tries", s.Tries,
	}
	if s.Err == nil {
		r.measures.Sent(ctx, s.Kind)
		r.logger.InfoContext(ctx, "message sent", about...)
		return
	}
	why := reason(s)
	r.measures.NotSent(ctx, s.Kind, why)
	about = append(about, "reason", why, "error", s.Err.Error())
	if s.GivenUp {
		r.logger.ErrorContext(ctx, "message given up", about...)
		return
	}
	r.logger.WarnContext(ctx, "message not sent", append(about, "again_in", s.Again.Round(time.Second).String())...)
}

// reason returns why a send came to nothing.
func reason(s notifier.Send) telemetry.Reason {
	switch {
	case destination.IsUnauthorized(s.Err):
		return telemetry.Auth
	case delivery.IsNever(s.Err):
		return telemetry.Refused
	case s.GivenUp:
		return telemetry.GivenUp
	case delivery.After(s.Err) > 0:
		return telemetry.RateLimited
	}
	return telemetry.Unreachable
}

// unreached reports a destination that has not been reached for longer than its heartbeat allows. It is said
// at each tick, until the destination is reached: an alert counts the lines.
func (r reports) unreached(ctx context.Context, d routes.Destination, last time.Time, why string) {
	r.logger.WarnContext(ctx, "destination not reached", "destination", d.Name, "kind", d.Kind(), "last", last,
		"every", d.Every.String(), "error", why)
}

// faulty reports an expression or a template of the routes file that failed on an event.
func (r reports) faulty(ctx context.Context, e notice.Event, route, fault string) {
	r.measures.RoutesFault(ctx)
	r.logger.ErrorContext(ctx, "fault in the routes", "route", route, "event_id", e.ID(), "error", fault)
}

// ticked reports a tick that came to its end: how many messages are still to be sent, how long ago the oldest
// of them was due, and how long the tick took. Not all are counted where a tick is not complete.
func (r reports) ticked(ctx context.Context, t notifier.Tick) {
	r.measures.Undelivered(ctx, t.Waiting, t.Oldest)
	r.logger.InfoContext(ctx, "notify tick", "undelivered", t.Waiting, "oldest_seconds", t.Oldest.Seconds(),
		"seconds", t.Took.Seconds(), "complete", t.Complete)
}
