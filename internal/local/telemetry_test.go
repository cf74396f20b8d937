package local_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// collector takes OTLP over HTTP, and keeps what it is sent.
type collector struct {
	mu sync.Mutex
	// spans are trace IDs, in hexadecimal, by the spans' names; metrics are
	// values, or counts of a histogram, by name.
	spans   map[string]map[string]bool
	metrics map[string]float64
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	data, err := io.ReadAll(body)
	if err == nil {
		err = c.take(r.URL.Path, data)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (c *collector) take(path string, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if path == "/v1/traces" {
		var request traces.ExportTraceServiceRequest
		if err := proto.Unmarshal(data, &request); err != nil {
			return err
		}
		for _, r := range request.ResourceSpans {
			for _, s := range r.ScopeSpans {
				for _, span := range s.Spans {
					if c.spans[span.Name] == nil {
						c.spans[span.Name] = map[string]bool{}
					}
					c.spans[span.Name][hex(span.TraceId)] = true
				}
			}
		}
		return nil
	}
	var request metrics.ExportMetricsServiceRequest
	if err := proto.Unmarshal(data, &request); err != nil {
		return err
	}
	for _, r := range request.ResourceMetrics {
		for _, s := range r.ScopeMetrics {
			for _, m := range s.Metrics {
				total := 0.0
				for _, p := range m.GetSum().GetDataPoints() {
					total += float64(p.GetAsInt())
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					total += float64(p.GetCount())
				}
				c.metrics[m.Name] = total
			}
		}
	}
	return nil
}

func hex(id []byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range id {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

const (
	uploadTrace       = "0af7651916cd43dd8448eb211c80319c"
	uploadTraceparent = "00-" + uploadTrace + "-b7ad6b7169203331-01"
)

// traced drops a package and a job file whose upload was traced, and returns the
// trace context of each event.
func traced(t *testing.T, s *local.Stack) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	contexts := make(chan string, 100)
	go func() {
		ended <- s.Subscribe(ctx, path.Base(s.Topic)+"-traced", func() { close(ready) },
			func(_ context.Context, e cloudevents.Event) error {
				_, b, err := event.Decode(e)
				trace, _ := e.Extensions()[event.ExtensionTraceparent].(string)
				contexts <- trace
				if b.State.Terminal() {
					cancel()
				}
				return err
			})
	}()
	<-ready
	for _, name := range []string{"trainer-0.1.tar.gz", "job.yaml"} {
		data, err := os.ReadFile(drops + "hello/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Storage.Upload(t.Context(), local.Inbox, "hello/"+name, bytes.NewReader(data),
			map[string]string{"jobdrop-traceparent": uploadTraceparent}); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	close(contexts)
	return slices.Collect(func(yield func(string) bool) {
		for c := range contexts {
			if !yield(c) {
				return
			}
		}
	})
}

// What the functions do is measured and traced, from the upload to each event,
// where a collector is named.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	c := &collector{spans: map[string]map[string]bool{}, metrics: map[string]float64{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	s := stack(t, local.Options{Env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL}})
	for _, trace := range traced(t, s) {
		if trace != uploadTraceparent {
			t.Errorf("an event has the trace context %q", trace)
		}
	}
	// An event that no one can decode.
	response, err := http.Post(s.FunctionsURL+"/Submit", "application/json",
		strings.NewReader(`{"subscription":"projects/p/subscriptions/s","message":{"messageId":"1","data":"e30="}}`))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()

	want := map[string]float64{"jobdrop.verdicts": 1, "jobdrop.events.parked": 1}
	eventually(t, "the metrics are there", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.metrics["jobdrop.verdicts"] == 1 && c.metrics["jobdrop.events.parked"] == 1 &&
			c.metrics["jobdrop.publish.lag"] >= 4
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, value := range want {
		if c.metrics[name] != value {
			t.Errorf("%s is %v, want %v", name, c.metrics[name], value)
		}
	}
	if n := c.metrics["jobdrop.outbox.depth"]; n < 1 || n > c.metrics["jobdrop.publish.lag"] {
		t.Errorf("%v publications of %v events", n, c.metrics["jobdrop.publish.lag"])
	}
	ours := []string{}
	for _, name := range slices.Sorted(maps.Keys(c.spans)) {
		// Two states are told only when seen; Google's clients trace their calls.
		if c.spans[name][uploadTrace] && !slices.Contains([]string{"job.queued", "job.preparing"}, name) &&
			!strings.Contains(name, "HTTP ") && !strings.Contains(name, "google.pubsub") {
			ours = append(ours, name)
		}
	}
	if diff := cmp.Diff([]string{"drop.accepted", "job.running", "job.submitted", "job.succeeded", "submit"},
		ours); diff != "" {
		t.Errorf("spans of the upload's trace (-want +got):\n%s", diff)
	}
	if !slices.Contains(slices.Collect(maps.Keys(c.spans)), "tick") {
		t.Error("no span of a tick")
	}
}

// Without a collector the upload's trace context comes back all the same.
func TestTraceparentWithoutACollector(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{})
	got := traced(t, s)
	if len(got) < 4 || slices.ContainsFunc(got, func(c string) bool { return c != uploadTraceparent }) {
		t.Errorf("events have the trace contexts %q", got)
	}
	var r attempt.Record
	readJSON(t, s, local.State, "attempts/"+job.AttemptKey(jobFileOf(t, s, "hello/job.yaml"))+".json", &r)
	if r.Traceparent != uploadTraceparent {
		t.Errorf("the record has %q", r.Traceparent)
	}
}

func jobFileOf(t *testing.T, s *local.Stack, name string) job.Object {
	t.Helper()
	o, err := s.Storage.Stat(t.Context(), local.Inbox, name)
	if err != nil {
		t.Fatal(err)
	}
	return o.Object
}
