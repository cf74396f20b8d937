package inbound_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// failed returns the example of job.failed, as it is published.
func failed(t testing.TB) cloudevents.Event {
	t.Helper()
	text, err := os.ReadFile("../../../docs/events/job.failed.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var example struct {
		Attributes map[string]string
		Data       json.RawMessage
	}
	if err := json.Unmarshal(text, &example); err != nil {
		t.Fatal(err)
	}
	e, err := event.FromMessage(example.Attributes, example.Data)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// lifecyclePush returns the body of a wrapped push with an event.
func lifecyclePush(t *testing.T, e cloudevents.Event) string {
	t.Helper()
	attributes, data := event.ToMessage(e)
	return pushJSON(t, attributes, string(data))
}

// notified serves a request, and returns what it led to.
func notified(t *testing.T, r *http.Request) (got notice.Event, ticked bool, status int, decodeErr error) {
	t.Helper()
	w := httptest.NewRecorder()
	inbound.Notify(func(_ context.Context, e cloudevents.Event) error {
		got, decodeErr = inbound.DecodeLifecycle(e)
		return nil
	}, func(context.Context) error { ticked = true; return nil }).ServeHTTP(w, r)
	return got, ticked, w.Code, decodeErr
}

// The event is the one that was published, however it comes and however often.
func TestNotifyTakesEveryForm(t *testing.T) {
	want := failed(t)
	attributes, data := event.ToMessage(want)
	binary := plain("application/json", string(data))
	unwrapped := plain("application/json", string(data))
	for name, value := range attributes {
		binary.Header.Set(name, value)
		unwrapped.Header.Set(name, value)
	}
	unwrapped.Header.Set("X-Goog-Pubsub-Message-Id", "77")
	unwrapped.Header.Set("X-Goog-Pubsub-Delivery-Attempt", "3")
	unwrapped.Header.Set("X-Goog-Pubsub-Ordering-Key", "key")
	unwrapped.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*http.Request{
		"binary":            binary,
		"structured":        plain("application/cloudevents+json; charset=utf-8", string(text)),
		"a push":            plain("application/json", lifecyclePush(t, want)),
		"a push, unwrapped": unwrapped,
	} {
		got, ticked, status, err := notified(t, r)
		if err != nil || ticked || status != http.StatusNoContent {
			t.Errorf("%s: %v, tick %t, status %d", name, err, ticked, status)
			continue
		}
		gotText, err := json.Marshal(got.CloudEvent)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asMap(t, text), asMap(t, gotText)); diff != "" {
			t.Errorf("%s (-published +got):\n%s", name, diff)
		}
		if got.Body.State != job.Failed || got.Generation != 1795442400381000 {
			t.Errorf("%s: %s of generation %d", name, got.Body.State, got.Generation)
		}
	}
}

func asMap(t *testing.T, text []byte) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// What a scheduler sends is a tick. A push that holds anything is not, and what makes no sense
// reaches the function, which keeps it.
func TestNotify(t *testing.T) {
	other := failed(t)
	if err := other.SetData("application/json", map[string]string{"bucket": "inbox", "name": "job.yaml"}); err != nil {
		t.Fatal(err)
	}
	other.SetType(inbound.Finalized)
	odd := failed(t)
	if err := odd.SetData("application/json", map[string]string{"attempt": "../epoch-1"}); err != nil {
		t.Fatal(err)
	}
	none := failed(t)
	none.DataEncoded = nil
	tests := []struct {
		name, body string
		tick       bool
	}{
		{name: "nothing at all", tick: true},
		{name: "an empty object", body: "{}\n", tick: true},
		{name: "a scheduler by way of a topic", body: pushJSON(t, nil, ""), tick: true},
		{name: "a push that is not an event", body: pushJSON(t, nil, `{"tick": true}`)},
		{name: "a push that is no JSON", body: pushJSON(t, nil, "tick")},
		{name: "a push of attributes alone", body: pushJSON(t, map[string]string{"a": "b"}, "")},
		{name: "an event without a body", body: lifecyclePush(t, none)},
		{name: "an event of Cloud Storage", body: lifecyclePush(t, other)},
		{name: "an event of an attempt that is none", body: lifecyclePush(t, odd)},
		{name: "a notification of Cloud Storage", body: pushJSON(t, notification, objectData)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ticked, status, err := notified(t, plain("application/json", test.body))
			if ticked != test.tick || status != http.StatusNoContent {
				t.Errorf("tick %t, status %d, want %t", ticked, status, test.tick)
			}
			if !test.tick && !errors.Is(err, inbound.ErrUndecodable) {
				t.Errorf("event %v, %v", got.CloudEvent, err)
			}
		})
	}
}

// The largest event that is published is taken, and not a dead letter.
func TestNotifyTakesTheLargestEvent(t *testing.T) {
	e := failed(t)
	body := asMap(t, e.Data())
	body["reason"] = strings.Repeat("x", job.MaxEvent-len(e.Data()))
	if err := e.SetData("application/json", body); err != nil {
		t.Fatal(err)
	}
	if n := len(e.Data()); n > job.MaxEvent || n < job.MaxEvent-4<<10 {
		t.Fatalf("an event of %d bytes is not the largest", n)
	}
	if got, _, status, err := notified(t, plain("application/json", lifecyclePush(t, e))); err != nil ||
		status != http.StatusNoContent || len(got.Body.Reason) < job.MaxEvent/2 {
		t.Errorf("%v, status %d", err, status)
	}
	large := base64.StdEncoding.EncodeToString(make([]byte, 2*job.MaxEvent))
	if _, ticked, status, _ := notified(t, plain("application/json", `{"message":{"data":"`+large+`"}}`)); ticked ||
		status != http.StatusRequestEntityTooLarge {
		t.Errorf("more than anyone publishes: tick %t, status %d", ticked, status)
	}
}

func TestNotifyRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		contentType, body string
		want              int
	}{
		"structured, cut off":           {"application/cloudevents+json", `{"specversion":"1.0"`, http.StatusBadRequest},
		"a batch":                       {"application/cloudevents-batch+json", `[]`, http.StatusUnsupportedMediaType},
		"a push without a subscription": {"application/json", `{"message":{"data":"e30="}}`, http.StatusBadRequest},
		// An event whose attributes did not come along would else be acknowledged, and told to nobody.
		"an event without its headers": {"application/json", `{"attempt":"a-1","state":"failed"}`, http.StatusBadRequest},
		"no message":                   {"application/json", `{"message":null}`, http.StatusBadRequest},
		"a text":                       {"text/plain", "tick", http.StatusBadRequest},
	} {
		if got, ticked, status, _ := notified(t, plain(test.contentType, test.body)); ticked || status != test.want {
			t.Errorf("%s: event %v, tick %t, status %d, want %d", name, got.CloudEvent, ticked, status, test.want)
		}
	}
}

func TestNotifyAnswersAsSettled(t *testing.T) {
	push := lifecyclePush(t, failed(t))
	for want, err := range map[int]error{http.StatusNoContent: nil, http.StatusServiceUnavailable: errors.New("x")} {
		handler := inbound.Notify(func(context.Context, cloudevents.Event) error { return err }, func(ctx context.Context) error {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("the tick has no deadline")
			}
			return err
		})
		for _, body := range []string{push, ""} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, plain("application/json", body))
			if w.Code != want {
				t.Errorf("%.20q: status %d for %v, want %d", body, w.Code, err, want)
			}
		}
	}
}

func FuzzNotify(f *testing.F) {
	text, err := json.Marshal(failed(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("application/json", "", []byte(`{"message": {"data": "e30="}}`))
	f.Add("application/json", "", []byte(`{"subscription": "s", "message": {"data": "e30=", "attributes": {"ce-id": "1"}}}`))
	f.Add("application/cloudevents+json", "", text)
	f.Add("application/json", "1", []byte(`{"attempt": "468994d0b7bf057f595f5f6a2600fb09492933d3-1"}`))
	f.Fuzz(func(t *testing.T, contentType, id string, body []byte) {
		r := plain(contentType, string(body))
		if id != "" {
			for name, value := range map[string]string{"Ce-Id": id, "Ce-Specversion": "1.0", "Ce-Type": "t", "Ce-Source": "s"} {
				r.Header.Set(name, value)
			}
		}
		got, ticked, status, err := notified(t, r)
		if status >= 500 || ticked && got.CloudEvent.ID() != "" {
			t.Errorf("status %d, tick %t", status, ticked)
		}
		if decoded := got.CloudEvent.ID() != ""; decoded && (err != nil || len(got.Folder) != 40) {
			t.Errorf("an event of no folder: %q, %v", got.Folder, err)
		}
	})
}
