package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/app/logging"
	"github.com/jobdrop/jobdrop/internal/app/telemetry"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// notifyEnvironment returns the least environment of Notify.
func notifyEnvironment() map[string]string {
	return map[string]string{
		"JOBDROP_INSTANCE": "test", "JOBDROP_PROJECT": "p", "JOBDROP_STATE_BUCKET": "state",
		"STORAGE_EMULATOR_HOST": "127.0.0.1:1",
	}
}

// An installation without routes acknowledges its events, and needs nothing that Submit and Watch need.
func TestLoadNotifyWithoutRoutes(t *testing.T) {
	var count atomic.Int64
	load := LazyNotify(loads(&count, notifyEnvironment))
	for range 2 {
		a, err := load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a.Submitter != nil || a.Watcher != nil || a.Notifier == nil || a.parking == nil {
			t.Errorf("it is not Notify alone: %+v", a)
		}
		if err := errors.Join(a.Notifier.Notify(t.Context(), notice.Event{}), a.Notifier.Tick(t.Context())); err != nil {
			t.Errorf("an event without routes: %v", err)
		}
	}
	if n := count.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

func TestLoadNotifyRefuses(t *testing.T) {
	_, err := LoadNotify(t.Context(), func(string) (string, bool) { return "", false })
	if err == nil || !strings.Contains(err.Error(), "JOBDROP_STATE_BUCKET") || strings.Contains(err.Error(), "JOBDROP_INBOX") {
		t.Errorf("%v; want what Notify needs, and no more", err)
	}
}

// rules stand for routes: a text that must not hold "bad".
type rules struct{ text string }

func parseRules(name string, data []byte) (*rules, []job.Violation) {
	text := string(data)
	switch {
	case strings.Contains(text, "bad"):
		return nil, []job.Violation{{File: name, Position: job.Position{Line: 3}, Message: "is bad", Severity: job.Error}}
	case strings.Contains(text, "odd"):
		return &rules{text}, []job.Violation{{File: name, Position: job.Position{Line: 4}, Message: "is odd", Severity: job.Warning}}
	}
	return &rules{text}, nil
}

// The routes are looked at once a minute. Those that are not valid, or can't be read, leave those of before
// in use, with an error in the log each minute; without any the error is the caller's.
func TestRoutesAreAtMostAMinuteOld(t *testing.T) {
	storage, _ := storagetest.New(t, "ops")
	var log bytes.Buffer
	faults, clock := 0, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	counted := &counting{reader: storage}
	f := &routesFile[rules]{
		storage: counted, bucket: "ops", name: "jobdrop/routes.yaml", parse: parseRules, now: func() time.Time { return clock },
		fault: func(context.Context) { faults++ }, logger: logging.New(&log, nil),
	}
	write := func(text string) {
		t.Helper()
		if _, err := storage.Write(t.Context(), "ops", f.name, []byte(text), "application/yaml", nil,
			attempt.AnyGeneration); err != nil {
			t.Fatal(err)
		}
	}
	current := func(want string, reads, wantFaults int, logged ...string) {
		t.Helper()
		got, err := f.current(t.Context())
		if err != nil || got.text != want {
			t.Fatalf("routes %v, %v; want %q", got, err, want)
		}
		if counted.reads != reads || faults != wantFaults {
			t.Errorf("%d reads and %d faults, want %d and %d", counted.reads, faults, reads, wantFaults)
		}
		for _, l := range logged {
			if !strings.Contains(log.String(), l) {
				t.Errorf("%q is not logged: %s", l, log.String())
			}
		}
		if len(logged) == 0 && log.Len() > 0 {
			t.Errorf("logged: %s", log.String())
		}
		log.Reset()
	}
	refused := func(want string, wantFaults int) {
		t.Helper()
		if got, err := f.current(t.Context()); err == nil || !strings.Contains(err.Error(), want) || faults != wantFaults {
			t.Fatalf("routes %v, %v and %d faults; want %q and %d", got, err, faults, want, wantFaults)
		}
		log.Reset()
	}
	refused("; upload them to gs://ops/jobdrop/routes.yaml, or unset JOBDROP_ROUTES", 1)
	write("bad")
	refused("not valid: routes.yaml:3", 2)
	write("one")
	current("one", 3, 2, `"routes read"`)
	current("one", 3, 2) // nothing is asked
	clock = clock.Add(routesAge)
	current("one", 4, 2) // and not read again without need
	write("two odd")
	current("one", 4, 2)
	clock = clock.Add(routesAge)
	current("two odd", 5, 2, `"routes read"`, "routes.yaml:4")
	write("bad")
	for faults := range 2 {
		clock = clock.Add(routesAge)
		current("two odd", 6+faults, 3+faults, `"severity":"ERROR"`, `"routes not read"`,
			"routes: gs://ops/jobdrop/routes.yaml#", "routes.yaml:3")
		current("two odd", 6+faults, 3+faults)
	}
	if err := storage.Delete(t.Context(), "ops", f.name); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(routesAge)
	current("two odd", 8, 5, `"routes not read"`, "not found")
	write(strings.Repeat("#", 1<<20))
	clock = clock.Add(routesAge)
	current("two odd", 9, 6, `"routes not read"`)
	clock = clock.Add(routesAge)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	counted.fails = context.Canceled
	if got, err := f.current(gone); err != nil || got.text != "two odd" || log.Len() > 0 || faults != 6 {
		t.Errorf("a caller that has gone: %v, %v, %d faults: %s", got, err, faults, log.String())
	}
	counted.fails = nil
	write("three")
	current("three", 11, 6, `"routes read"`)
}

// counting counts reads, and may fail them.
type counting struct {
	reader
	reads int
	fails error
}

func (c *counting) Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error) {
	if c.reads++; c.fails != nil {
		return nil, 0, c.fails
	}
	return c.reader.Read(ctx, bucket, name, generation, limit)
}

// The words and fields of the log are what alerts and playbooks look for.
func TestReports(t *testing.T) {
	var log bytes.Buffer
	r := reports{telemetry.Off(), logging.New(&log, nil)}
	send := func(err error, givenUp bool) func() {
		return func() {
			r.sent(t.Context(), notifier.Send{
				Route: "default", Destination: "team", Kind: "slack", Event: "a-1", Drop: "gs://inbox/census/", Tries: 2,
				Err: err, GivenUp: givenUp, Again: time.Minute,
			})
		}
	}
	line := func(severity, message string, more map[string]any) map[string]any {
		all := map[string]any{
			"severity": severity, "message": message, "destination": "team", "kind": "slack", "route": "default",
			"event_id": "a-1", "drop": "gs://inbox/census/", "tries": 2.0,
		}
		maps.Copy(all, more)
		return all
	}
	why := func(reason string) map[string]any {
		return map[string]any{"reason": reason, "error": "answered", "again_in": "1m0s"}
	}
	final := func(reason string) map[string]any { return map[string]any{"reason": reason, "error": "answered"} }
	answered := errors.New("answered")
	team := routes.Destination{Name: "team", Slack: &routes.Slack{}, Every: 24 * time.Hour}
	e := notice.Event{CloudEvent: cloudevents.NewEvent()}
	e.CloudEvent.SetID("a-1")
	tests := []struct {
		name   string
		report func()
		want   map[string]any
	}{
		{"sent", send(nil, false), line("INFO", "message sent", nil)},
		{"not reached", send(answered, false), line("WARNING", "message not sent", why("unreachable"))},
		{"too many", send(delivery.Later(answered, time.Second), false), line("WARNING", "message not sent", why("rate_limited"))},
		{"refused", send(delivery.Never(answered), true), line("ERROR", "message given up", final("refused"))},
		{"a bad token", send(delivery.Never(destination.Unauthorized(answered)), true),
			line("ERROR", "message given up", final("auth"))},
		{"given up", send(answered, true), line("ERROR", "message given up", final("given_up"))},
		{"unreached", func() { r.unreached(t.Context(), team, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), "answered") },
			map[string]any{
				"severity": "WARNING", "message": "destination not reached", "destination": "team", "kind": "slack",
				"last": "2026-11-01T00:00:00Z", "every": "24h0m0s", "error": "answered",
			}},
		{"a fault", func() {
			r.faulty(t.Context(), e, "nlp", "when: no field x")
		},
			map[string]any{"severity": "ERROR", "message": "fault in the routes", "route": "nlp", "event_id": "a-1"}},
		{"a tick", func() {
			r.ticked(t.Context(), notifier.Tick{Waiting: 3, Oldest: time.Minute, Took: time.Second, Complete: true})
		}, map[string]any{
			"severity": "INFO", "message": "notify tick", "undelivered": 3.0, "oldest_seconds": 60.0, "seconds": 1.0,
			"complete": true,
		}},
	}
	for _, test := range tests {
		log.Reset()
		test.report()
		var got map[string]any
		if err := json.Unmarshal(log.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v in %s", test.name, err, log.String())
		}
		delete(got, "time")
		if test.name == "a fault" {
			if text, _ := got["error"].(string); !strings.Contains(text, "no field x") {
				t.Errorf("%s: %q", test.name, text)
			}
			delete(got, "error")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// Notify parks where it may write, and not in the ledger.
func TestNotifyParksByItself(t *testing.T) {
	p := &parked{}
	a := NewNotify(nil, p, telemetry.Off(), logging.New(io.Discard, nil))
	err := a.Handle(t.Context(), Request{Name: "notify", Event: finalized()}, func(context.Context, string) error {
		return fmt.Errorf("%w: no attempt", inbound.ErrUndecodable)
	})
	if err != nil || len(p.all) != 1 {
		t.Errorf("%v, parked %v", err, p.all)
	}
}
