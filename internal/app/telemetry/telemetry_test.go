package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const upload = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// Without a collector nothing is measured, a trace goes on as it came, and everything may be called.
func TestWithoutACollector(t *testing.T) {
	none, err := New(t.Context(), "", "prod")
	if err != nil {
		t.Fatal(err)
	}
	ctx, own, end := none.Span(t.Context(), "submit", upload)
	end(errors.New("failed"))
	if own != upload {
		t.Errorf("the span's trace context is %q, want the upload's", own)
	}
	if _, own, _ := none.Span(t.Context(), "watch", ""); own != "" {
		t.Errorf("a trace begins: %q", own)
	}
	none.Transition(ctx, attempt.Record{}, attempt.Record{State: job.Succeeded})
	none.Published(ctx, []job.Event{{Type: job.JobRunning}})
	none.Parked(ctx)
	none.Double(ctx)
	none.Sent(ctx, "slack")
	none.NotSent(ctx, "slack", RateLimited)
	none.Undelivered(ctx, 1, time.Hour)
	none.RoutesFault(ctx)
	if err := none.Flush(ctx); err != nil {
		t.Error(err)
	}
	h := slog.NewJSONHandler(&bytes.Buffer{}, nil)
	if none.Handler(h, "p") != slog.Handler(h) {
		t.Error("another handler")
	}
}

// A line says which span it belongs to, as Cloud Logging reads it.
func TestHandler(t *testing.T) {
	some := &Telemetry{collects: true, tracer: sdktrace.NewTracerProvider().Tracer(scope)}
	var out bytes.Buffer
	logger := slog.New(some.Handler(slog.NewJSONHandler(&out, nil), "my-project")).With("instance", "prod")
	ctx, own, end := some.Span(t.Context(), "submit", upload)
	logger.InfoContext(ctx, "decided")
	end(nil)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"instance": "prod", "logging.googleapis.com/trace_sampled": true,
		"logging.googleapis.com/trace":  "projects/my-project/traces/0af7651916cd43dd8448eb211c80319c",
		"logging.googleapis.com/spanId": own[36:52],
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	out.Reset()
	logger.InfoContext(context.Background(), "outside of any span")
	if bytes.Contains(out.Bytes(), []byte("googleapis")) {
		t.Errorf("a line outside of any span: %s", out.String())
	}
}

// A collector that does not answer is left alone for a while.
func TestFlushAfterAFailure(t *testing.T) {
	calls := 0
	some := &Telemetry{flush: func(context.Context) error { calls++; return errors.New("hangs") }}
	if err := some.Flush(t.Context()); err == nil {
		t.Error("the failure is not told")
	}
	if err := some.Flush(t.Context()); err != nil || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// What Notify does is counted by kind of destination and reason, under the names that the docs have.
func TestNotifyIsMeasured(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	some := &Telemetry{}
	if err := some.instruments(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter(scope)); err != nil {
		t.Fatal(err)
	}
	some.Sent(t.Context(), "slack")
	some.Sent(t.Context(), "slack")
	some.NotSent(t.Context(), "webhook", GivenUp)
	some.Undelivered(t.Context(), 3, 90*time.Second)
	some.RoutesFault(t.Context())
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				got[m.Name+" "+p.Attributes.Encoded(attribute.DefaultEncoder())] = float64(p.Value)
			}
		case metricdata.Gauge[int64]:
			got[m.Name] = float64(data.DataPoints[0].Value)
		case metricdata.Gauge[float64]:
			got[m.Name] = data.DataPoints[0].Value
		}
	}
	if diff := cmp.Diff(map[string]float64{
		"jobdrop.notify.sent kind=slack": 2, "jobdrop.notify.failed kind=webhook,reason=given_up": 1,
		"jobdrop.notify.undelivered": 3, "jobdrop.notify.undelivered.age": 90, "jobdrop.routes.faults ": 1,
	}, got); diff != "" {
		t.Errorf("measured (-want +got):\n%s", diff)
	}
}
