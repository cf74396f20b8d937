// Package telemetry measures what the functions do, and traces it, over OTLP. An
// installation that names no collector has neither, at no cost.
package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const scope = "github.com/jobdrop/jobdrop"

// Telemetry is safe for concurrent use.
type Telemetry struct {
	collects bool // that there is a collector
	tracer   trace.Tracer
	flush    func(context.Context) error
	silent   atomic.Int64 // until when nothing is sent, in Unix nanoseconds

	verdicts, retries, takenOver, parked, doubles metric.Int64Counter
	publishLag                                    metric.Float64Histogram
	outboxDepth                                   metric.Int64Histogram

	ticks, changed, found           metric.Int64Counter
	open, queued, active, strangers metric.Int64Gauge
	tickTime, lag                   metric.Float64Gauge

	sent, unsent, routesFaults metric.Int64Counter
	undelivered                metric.Int64Gauge
	undeliveredAge             metric.Float64Gauge
}

// Off returns telemetry that measures and traces nothing.
func Off() *Telemetry {
	t := &Telemetry{tracer: nooptrace.NewTracerProvider().Tracer(scope)}
	t.flush = func(context.Context) error { return nil }
	// OpenTelemetry's no-op meter has no errors.
	_ = t.instruments(noopmetric.NewMeterProvider().Meter(scope))
	return t
}

// New returns the telemetry of an installation. endpoint is the URL of a collector
// that accepts OTLP over HTTP, without /v1/…; it is [Off] if it is empty.
// OpenTelemetry's other variables OTEL_EXPORTER_OTLP_… apply, too.
func New(ctx context.Context, endpoint, instance string) (*Telemetry, error) {
	if endpoint == "" {
		return Off(), nil
	}
	endpoint = strings.TrimSuffix(endpoint, "/")
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint+"/v1/traces"))
	if err != nil {
		return nil, err
	}
	metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(endpoint+"/v1/metrics"))
	if err != nil {
		return nil, err
	}
	what := resource.NewSchemaless(attribute.String("service.name", "jobdrop"),
		attribute.String("service.namespace", instance))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(what))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)),
		sdkmetric.WithResource(what))
	t := &Telemetry{
		collects: true,
		tracer:   tracers.Tracer(scope),
		flush: func(ctx context.Context) error {
			traced := make(chan error, 1)
			go func() { traced <- tracers.ForceFlush(ctx) }()
			return errors.Join(meters.ForceFlush(ctx), <-traced)
		},
	}
	return t, t.instruments(meters.Meter(scope))
}

// instruments makes the metrics: their names, units and meanings.
func (t *Telemetry) instruments(m metric.Meter) error {
	var errs [21]error
	t.verdicts, errs[0] = m.Int64Counter("jobdrop.verdicts", metric.WithUnit("{attempt}"),
		metric.WithDescription("attempts that got their verdict, by verdict"))
	t.retries, errs[1] = m.Int64Counter("jobdrop.create.retries", metric.WithUnit("{call}"),
		metric.WithDescription("creates that the backend did not take, and that are tried again, by code"))
	t.takenOver, errs[2] = m.Int64Counter("jobdrop.claims.taken_over", metric.WithUnit("{claim}"),
		metric.WithDescription("claims on a create whose owner died or was too slow"))
	t.parked, errs[3] = m.Int64Counter("jobdrop.events.parked", metric.WithUnit("{event}"),
		metric.WithDescription("events that could not be decoded, and were kept for people"))
	t.publishLag, errs[4] = m.Float64Histogram("jobdrop.publish.lag", metric.WithUnit("s"),
		metric.WithDescription("from a transition in the ledger to its event's publication"),
		metric.WithExplicitBucketBoundaries(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 120, 300, 900, 3600))
	t.outboxDepth, errs[5] = m.Int64Histogram("jobdrop.outbox.depth", metric.WithUnit("{event}"),
		metric.WithDescription("events of an attempt that were published at once"),
		metric.WithExplicitBucketBoundaries(1, 2, 3, 5, 8))
	t.doubles, errs[6] = m.Int64Counter("jobdrop.jobs.doubles", metric.WithUnit("{job}"),
		metric.WithDescription("second jobs of an attempt that were found and cancelled"))
	t.ticks, errs[7] = m.Int64Counter("jobdrop.ticks", metric.WithUnit("{tick}"),
		metric.WithDescription("ticks that came to their end: proof of life"))
	t.changed, errs[8] = m.Int64Counter("jobdrop.tick.changed", metric.WithUnit("{attempt}"),
		metric.WithDescription("attempts whose job had changed at a tick"))
	t.found, errs[9] = m.Int64Counter("jobdrop.drops.found", metric.WithUnit("{drop}"),
		metric.WithDescription("drops that ticks found, since their event was lost"))
	t.open, errs[10] = m.Int64Gauge("jobdrop.attempts.open", metric.WithUnit("{attempt}"),
		metric.WithDescription("attempts without a verdict"))
	t.queued, errs[11] = m.Int64Gauge("jobdrop.attempts.queued", metric.WithUnit("{attempt}"),
		metric.WithDescription("accepted attempts that wait for their turn"))
	t.active, errs[12] = m.Int64Gauge("jobdrop.jobs.active", metric.WithUnit("{job}"),
		metric.WithDescription("this installation's jobs at the backend that have not ended"))
	t.strangers, errs[13] = m.Int64Gauge("jobdrop.jobs.strangers", metric.WithUnit("{job}"),
		metric.WithDescription("jobs at the backend that have this installation's label, and that nobody follows"))
	t.tickTime, errs[14] = m.Float64Gauge("jobdrop.tick.duration", metric.WithUnit("s"),
		metric.WithDescription("time that the last tick took"))
	t.lag, errs[15] = m.Float64Gauge("jobdrop.tick.lag", metric.WithUnit("s"),
		metric.WithDescription("how late the last tick came to what was due the longest"))
	t.sent, errs[16] = m.Int64Counter("jobdrop.notify.sent", metric.WithUnit("{message}"),
		metric.WithDescription("messages that a destination took, by kind of destination"))
	t.unsent, errs[17] = m.Int64Counter("jobdrop.notify.failed", metric.WithUnit("{message}"),
		metric.WithDescription("messages that a destination did not take, or that were given up, by kind of destination and reason"))
	t.undelivered, errs[18] = m.Int64Gauge("jobdrop.notify.undelivered", metric.WithUnit("{message}"),
		metric.WithDescription("messages that are still to be sent"))
	t.undeliveredAge, errs[19] = m.Float64Gauge("jobdrop.notify.undelivered.age", metric.WithUnit("s"),
		metric.WithDescription("how long ago the oldest message that is still to be sent was due"))
	t.routesFaults, errs[20] = m.Int64Counter("jobdrop.routes.faults", metric.WithUnit("{fault}"),
		metric.WithDescription("times that the routes file could not be used, or that an expression or a template of it failed"))
	return errors.Join(errs[:]...)
}

// Reason is why a destination was not told of a message.
type Reason string

// The reasons. After all but the last two the message is sent again.
const (
	RateLimited Reason = "rate_limited" // it asks for a pause
	Unreachable Reason = "unreachable"  // no connection, no answer, or the answer of a server in trouble
	Auth        Reason = "auth"         // it does not accept the secret
	Refused     Reason = "refused"      // it does not take the message, ever
	GivenUp     Reason = "given_up"     // it was tried for as long as is worth it
)

// Sent measures a message that a destination of a kind took.
func (t *Telemetry) Sent(ctx context.Context, kind string) {
	t.sent.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", kind)))
}

// NotSent measures a try that failed, or a message that was given up.
func (t *Telemetry) NotSent(ctx context.Context, kind string, why Reason) {
	t.unsent.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", kind), attribute.String("reason", string(why))))
}

// Undelivered measures what is still to be sent, and the age of the oldest of it: 0 if there is nothing.
func (t *Telemetry) Undelivered(ctx context.Context, messages int, oldest time.Duration) {
	t.undelivered.Record(ctx, int64(messages))
	t.undeliveredAge.Record(ctx, oldest.Seconds())
}

// RoutesFault counts a fault of the routes file.
func (t *Telemetry) RoutesFault(ctx context.Context) { t.routesFaults.Add(ctx, 1) }

// Ticked measures a tick.
func (t *Telemetry) Ticked(ctx context.Context, did watcher.Pulse) {
	t.ticks.Add(ctx, 1)
	t.changed.Add(ctx, int64(did.Changed))
	t.found.Add(ctx, int64(did.Found))
	t.tickTime.Record(ctx, did.Seconds)
	t.lag.Record(ctx, did.Lag)
	if did.Active >= 0 {
		t.active.Record(ctx, int64(did.Active))
	}
	if did.Complete {
		t.open.Record(ctx, int64(did.Open))
		t.queued.Record(ctx, int64(did.Queued))
		t.strangers.Record(ctx, int64(did.Strangers))
	}
}

// Flush sends what was gathered: between requests a function may get no processor
// time.
func (t *Telemetry) Flush(ctx context.Context) error {
	if time.Now().UnixNano() < t.silent.Load() {
		return nil
	}
	err := t.flush(ctx)
	if err != nil { // a collector that hangs must not hold each answer back
		t.silent.Store(time.Now().Add(silence).UnixNano())
	}
	return err
}

// silence is how long nothing is sent after the collector did not answer; what is
// gathered meanwhile is sent then, as far as it is kept.
const silence = time.Minute

var w3c propagation.TraceContext

// Span begins a span below the one that traceparent names, or, without it, that
// of the context. It returns the context for what is part of it, the span's own
// traceparent, and what ends it. Where nothing is traced, the traceparent is the
// one given, if it is valid.
func (t *Telemetry) Span(ctx context.Context, name, traceparent string) (context.Context, string, func(error)) {
	if traceparent != "" {
		ctx = w3c.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindConsumer))
	own := propagation.MapCarrier{}
	w3c.Inject(ctx, own)
	return ctx, own["traceparent"], func(err error) {
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// Transition measures a record's step from before to after, and gives each event
// of it a span in the trace of the drop's upload.
func (t *Telemetry) Transition(ctx context.Context, before, after attempt.Record) {
	if after.State.Terminal() && !before.State.Terminal() {
		t.verdicts.Add(ctx, 1, metric.WithAttributes(attribute.String("verdict", string(after.State))))
	}
	if after.Tries > before.Tries && after.Error != nil {
		t.retries.Add(ctx, 1, metric.WithAttributes(attribute.String("code", after.Error.Code)))
	}
	if before.Creating != nil && after.Creating != nil && before.Creating.Nonce != after.Creating.Nonce {
		t.takenOver.Add(ctx, 1)
	}
	for _, e := range after.Outbox {
		if e.Body.Sequence <= before.Sequence {
			continue
		}
		parent := w3c.Extract(ctx, propagation.MapCarrier{"traceparent": after.Traceparent})
		_, span := t.tracer.Start(parent, e.Type.Short(), trace.WithTimestamp(e.Time), trace.WithAttributes(
			attribute.String("jobdrop.attempt", after.Attempt), attribute.String("jobdrop.job_id", after.Job.ID),
			attribute.Int64("jobdrop.sequence", e.Body.Sequence),
		))
		span.End()
	}
}

// Published measures events of one attempt that were published now.
func (t *Telemetry) Published(ctx context.Context, events []job.Event) {
	t.outboxDepth.Record(ctx, int64(len(events)))
	for _, e := range events {
		t.publishLag.Record(ctx, time.Since(e.Time).Seconds(), metric.WithAttributes(attribute.String("type", e.Type.Short())))
	}
}

// Handler adds to each line of h the span that it belongs to, under the names
// that Cloud Logging knows. Without a collector it is h itself.
func (t *Telemetry) Handler(h slog.Handler, project string) slog.Handler {
	if !t.collects {
		return h
	}
	return spanned{h, "projects/" + project + "/traces/"}
}

type spanned struct {
	slog.Handler
	traces string
}

func (s spanned) Handle(ctx context.Context, r slog.Record) error {
	if c := trace.SpanContextFromContext(ctx); c.IsValid() {
		r = r.Clone()
		r.AddAttrs(
			slog.String("logging.googleapis.com/trace", s.traces+c.TraceID().String()),
			slog.String("logging.googleapis.com/spanId", c.SpanID().String()),
			slog.Bool("logging.googleapis.com/trace_sampled", c.IsSampled()),
		)
	}
	return s.Handler.Handle(ctx, r)
}

func (s spanned) WithAttrs(attributes []slog.Attr) slog.Handler {
	return spanned{s.Handler.WithAttrs(attributes), s.traces}
}

func (s spanned) WithGroup(name string) slog.Handler {
	return spanned{s.Handler.WithGroup(name), s.traces}
}

// Double counts a second job of an attempt that was found and cancelled.
func (t *Telemetry) Double(ctx context.Context) {
	t.doubles.Add(ctx, 1)
}

// Parked counts an event that could not be decoded.
func (t *Telemetry) Parked(ctx context.Context) {
	t.parked.Add(ctx, 1)
}
