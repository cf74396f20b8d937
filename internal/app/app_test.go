package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/app/logging"
	"github.com/jobdrop/jobdrop/internal/app/telemetry"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// parked is what was parked, and the error with which parking fails.
type parked struct {
	fails error
	all   []string
}

func (p *parked) Park(_ context.Context, source, id string, message any, cause error) error {
	if p.fails != nil {
		return p.fails
	}
	if message == nil {
		return errors.New("nothing to park")
	}
	p.all = append(p.all, fmt.Sprintf("%s %s: %v", source, id, cause))
	return nil
}

func finalized() cloudevents.Event {
	e := cloudevents.NewEvent()
	e.SetID("77")
	e.SetSource("//storage.googleapis.com/projects/_/buckets/inbox")
	e.SetType(inbound.Finalized)
	e.SetSubject("objects/census/job.yaml")
	if err := e.SetData("application/json", map[string]string{"bucket": "inbox"}); err != nil {
		panic(err)
	}
	return e
}

// logged returns the lines of a log as severity, message and error, and checks that
// each names its event.
func logged(t *testing.T, log []byte) []string {
	t.Helper()
	var all []string
	for line := range bytes.Lines(log) {
		var l struct {
			Severity, Message, Error, Subject string
			ID                                string `json:"event_id"`
			Type                              string `json:"event_type"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if l.ID != "77" || l.Type != inbound.Finalized || l.Subject != "objects/census/job.yaml" {
			t.Errorf("the line does not say which event it is about: %s", line)
		}
		all = append(all, l.Severity+" "+l.Message+": "+l.Error)
	}
	return all
}

func TestSettle(t *testing.T) {
	lost := errors.New("connection reset")
	full := errors.New("no space")
	undecodable := fmt.Errorf("%w: no name", inbound.ErrUndecodable)
	large := fmt.Errorf("read record: %w", job.ErrTooLarge)
	const source = "//storage.googleapis.com/projects/_/buckets/inbox 77: "
	tests := []struct {
		name   string
		err    error
		fails  error // of parking
		again  bool
		parked []string
		log    []string
	}{
		{name: "done"},
		{
			name: "another type: redelivery would not change it", err: fmt.Errorf("%w: a.b", inbound.ErrOtherType),
			log: []string{"WARNING event ignored: event of another type: a.b"},
		},
		{
			name: "undecodable", err: undecodable,
			parked: []string{source + "undecodable event: no name"},
			log:    []string{"ERROR event parked: undecodable event: no name"},
		},
		{
			name: "undecodable, and can't be parked", err: undecodable, fails: full, again: true,
			log: []string{"ERROR event not parked: undecodable event: no name; not parked: no space"},
		},
		{
			name: "a record that is too large: for the operator to mend", err: large, again: true,
			log: []string{"ERROR event to be delivered again: read record: larger than allowed"},
		},
		{
			name: "others were faster, twice", err: errors.Join(attempt.ErrStale, fmt.Errorf("write: %w", attempt.ErrStale)),
			again: true,
			log: []string{
				"WARNING event to be delivered again: written by another meanwhile\nwrite: written by another meanwhile",
			},
		},
		{
			name: "others were faster, and something is denied",
			err:  errors.Join(attempt.ErrStale, fmt.Errorf("list: %w", job.ErrDenied)), again: true,
			log: []string{"ERROR event to be delivered again: written by another meanwhile\nlist: permission denied"},
		},
		{
			name: "another worker was faster", err: fmt.Errorf("write: %w", attempt.ErrStale), again: true,
			log: []string{"WARNING event to be delivered again: write: written by another meanwhile"},
		},
		{
			name: "another worker publishes", err: fmt.Errorf("attempt a: %w", attempt.ErrTelling),
			log: []string{"INFO event left to another worker: attempt a: " + attempt.ErrTelling.Error()},
		},
		{
			name: "another worker publishes, and something is denied",
			err:  errors.Join(attempt.ErrTelling, fmt.Errorf("list: %w", job.ErrDenied)), again: true,
			log: []string{"ERROR event to be delivered again: " + attempt.ErrTelling.Error() + "\nlist: permission denied"},
		},
		{
			name: "before the first tick", err: fmt.Errorf("read: %w", attempt.ErrNoTick), again: true,
			log: []string{
				"WARNING event to be delivered again: read: the installation has not had its first tick",
			},
		},
		{
			name: "before the first tick, and something is denied",
			err:  errors.Join(attempt.ErrNoTick, fmt.Errorf("list: %w", job.ErrDenied)), again: true,
			log: []string{
				"ERROR event to be delivered again: the installation has not had its first tick\nlist: permission denied",
			},
		},
		{
			name: "another worker decides", err: fmt.Errorf("attempt a: %w", attempt.ErrDeciding),
			log: []string{"INFO event left to another worker: attempt a: " + attempt.ErrDeciding.Error()},
		},
		{
			name: "out of time", err: fmt.Errorf("read: %w", context.DeadlineExceeded), again: true,
			log: []string{"ERROR event to be delivered again: read: context deadline exceeded"},
		},
		{
			name: "gone", err: fmt.Errorf("read: %w", job.ErrNotFound), again: true,
			log: []string{"ERROR event to be delivered again: read: not found"},
		},
		{
			name: "quota", err: fmt.Errorf("list: %w", job.ErrQuota), again: true,
			log: []string{"ERROR event to be delivered again: list: quota exceeded"},
		},
		{
			name: "a newer revision's record", err: attempt.ErrNewerRecord, again: true,
			log: []string{"ERROR event to be delivered again: " + attempt.ErrNewerRecord.Error()},
		},
		{name: "whatever else", err: lost, again: true, log: []string{"ERROR event to be delivered again: connection reset"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			p := &parked{fails: test.fails}
			a := New(nil, nil, p, telemetry.Off(), logging.New(&log, nil))
			err := a.Handle(t.Context(), Request{Name: "submit", Event: finalized()}, func(context.Context, string) error {
				return test.err
			})
			if (err != nil) != test.again {
				t.Errorf("%v; want an error %t", err, test.again)
			}
			if test.again && !errors.Is(err, test.err) {
				t.Errorf("%v does not keep its cause %v", err, test.err)
			}
			if test.fails != nil && !errors.Is(err, test.fails) {
				t.Errorf("%v does not say why it was not parked: %v", err, test.fails)
			}
			if diff := cmp.Diff(test.parked, p.all); diff != "" {
				t.Errorf("parked (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.log, logged(t, log.Bytes())); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

// A request that no event made is logged with what it was about.
func TestHandleSaysWhatItWasAbout(t *testing.T) {
	tests := []struct {
		name string
		r    Request
		want map[string]any
	}{
		{"an event", Request{Name: "submit", Event: finalized()}, map[string]any{
			"message": "event to be delivered again", "event_id": "77", "subject": finalized().Subject(),
			"event_type": finalized().Type(),
		}},
		{"a tick", Request{Name: "tick"}, map[string]any{"message": "request failed", "request": "tick"}},
		{"a hint", Request{Name: "refresh", About: []any{"job_id", "census_1"}}, map[string]any{
			"message": "request failed", "request": "refresh", "job_id": "census_1",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			a := New(nil, nil, nil, telemetry.Off(), logging.New(&log, nil))
			refused := errors.New("connection reset")
			if err := a.Handle(t.Context(), test.r, func(context.Context, string) error { return refused }); err == nil {
				t.Error("a failure is answered as success")
			}
			var got map[string]any
			if err := json.Unmarshal(log.Bytes(), &got); err != nil {
				t.Fatalf("%v in %q", err, log.String())
			}
			test.want["severity"], test.want["error"] = "ERROR", refused.Error()
			delete(got, "time")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettleParksAnyData(t *testing.T) {
	tests := []struct{ name, contentType, data string }{
		{"no data", "application/json", ""},
		{"JSON that is none", "application/json", "{"},
		{"no UTF-8", "text/plain", "\xff\xfe"},
		{"no UTF-8 in JSON", "application/json", "{\"\xff\""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			storage, _ := storagetest.New(t, "state")
			records, err := ledger.New(storage, "state", ledger.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e := finalized()
			e.SetDataContentType(test.contentType)
			e.DataEncoded = []byte(test.data)
			_, decodeErr := inbound.DecodeObject(e)
			a := New(nil, nil, records, telemetry.Off(), logging.New(io.Discard, nil))
			if err := a.settle(t.Context(), Request{Event: e}, decodeErr); err != nil || !errors.Is(decodeErr, inbound.ErrUndecodable) {
				t.Fatalf("%v; want that it is parked after %v", err, decodeErr)
			}
			var kept struct{ Message message }
			err = storage.List(t.Context(), "state", "parked/", true, func(page []job.Attributes) error {
				for _, o := range page {
					data, _, err := storage.Read(t.Context(), "state", o.Name, 0, 1<<20)
					if err != nil {
						return err
					}
					if err := json.Unmarshal(data, &kept); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if string(kept.Message.Data) != test.data || kept.Message.Attributes["ce-id"] != "77" {
				t.Errorf("parked %q %v, want the data as they came", kept.Message.Data, kept.Message.Attributes)
			}
		})
	}
}

// environment returns that of an installation whose services are all on this
// machine. None of them is there: loading makes no remote call.
func environment() map[string]string {
	return map[string]string{
		"JOBDROP_INSTANCE": "test", "JOBDROP_PROJECT": "p", "JOBDROP_INBOX": "inbox",
		"JOBDROP_STATE_BUCKET": "state", "JOBDROP_STAGING_BUCKET": "staging", "JOBDROP_STATUS_BUCKET": "status",
		"JOBDROP_TOPIC": "projects/p/topics/t", "JOBDROP_BACKEND": "aiplatform",
		"JOBDROP_BACKEND_ENDPOINT": "http://127.0.0.1:1",
		"STORAGE_EMULATOR_HOST":    "127.0.0.1:1", "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
	}
}

// loads counts the loads: each asks once for the instance.
func loads(count *atomic.Int64, values func() map[string]string) config.Lookup {
	return func(name string) (string, bool) {
		if name == "JOBDROP_INSTANCE" {
			count.Add(1)
		}
		value, ok := values()[name]
		return value, ok
	}
}

func TestLazyLoadsOnce(t *testing.T) {
	var count atomic.Int64
	load := Lazy(loads(&count, environment))
	if n := count.Load(); n != 0 {
		t.Errorf("the environment was read %d times before the first call", n)
	}
	first, err := load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.Submitter == nil || first.Watcher == nil || first.parking == nil || first.logger == nil {
		t.Errorf("an app without a part: %+v", first)
	}
	second, err := load(t.Context())
	if err != nil || second != first {
		t.Errorf("another app at the second call, %v", err)
	}
	if n := count.Load(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
}

// Each backend that the environment may name can be made, without a call.
func TestLoadMakesEachBackend(t *testing.T) {
	for _, name := range []string{"aiplatform", "vertex"} {
		values := environment()
		values["JOBDROP_BACKEND"], values["JOBDROP_REGIONS"] = name, "europe-west4"
		c, err := config.Load(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if err != nil {
			t.Fatal(err)
		}
		backend, err := newBackend(t.Context(), c, time.Now)
		if err != nil || backend.Name() != name || backend.TakesID() != (name == "aiplatform") {
			t.Errorf("%s: %+v, %v", name, backend, err)
		}
	}
}

func TestLazyTriesAgain(t *testing.T) {
	var count atomic.Int64
	values := environment()
	delete(values, "JOBDROP_TOPIC")
	load := Lazy(loads(&count, func() map[string]string { return values }))
	for range 2 {
		if a, err := load(t.Context()); err == nil || a != nil {
			t.Fatalf("%+v, %v; want an error while the topic is missing", a, err)
		}
	}
	values["JOBDROP_TOPIC"] = "projects/p/topics/t"
	if a, err := load(t.Context()); err != nil || a == nil {
		t.Fatalf("%v; want an app once the topic is there", err)
	}
	if n := count.Load(); n != 3 {
		t.Errorf("%d loads, want 3", n)
	}
}

// The app outlives the request that needs it first.
func TestLazyOutlivesTheFirstRequest(t *testing.T) {
	var count atomic.Int64
	load := Lazy(loads(&count, environment))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a, err := load(ctx); err != nil || a == nil {
		t.Errorf("%v; the first request's end is not the app's", err)
	}
}

func TestLazyConcurrently(t *testing.T) {
	var (
		count atomic.Int64
		apps  sync.Map
		group sync.WaitGroup
	)
	load := Lazy(loads(&count, environment))
	start := make(chan struct{})
	for range 16 {
		group.Go(func() {
			<-start
			a, err := load(t.Context())
			if err != nil {
				t.Error(err)
			}
			apps.Store(a, true)
		})
	}
	close(start)
	group.Wait()
	different := 0
	apps.Range(func(any, any) bool { different++; return true })
	if n := count.Load(); n != 1 || different != 1 {
		t.Errorf("%d loads and %d apps, want one", n, different)
	}
}

// By default a create is given up when the adapters give up, and no sooner.
func TestCallTimeIsTheAdapters(t *testing.T) {
	values := environment()
	c, err := config.Load(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	if want := max(aiplatform.CallTimeout, vertex.CallTimeout); c.CallTime != want {
		t.Errorf("calls may take %s by default, and the adapters' take %s", c.CallTime, want)
	}
}
