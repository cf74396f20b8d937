package webhook_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/destination/webhook"
	"github.com/jobdrop/jobdrop/internal/testing/deliverytest"
	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
)

// key returns a key of that many bytes.
func key(letter string, size int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, size)))
}

// start returns a receiver with a key, and the options of a destination that sends to it.
func start(t *testing.T, k string) (*receivers.Webhook, webhook.Options) {
	t.Helper()
	receiver := receivers.NewWebhook(k)
	server := httptest.NewServer(receiver)
	t.Cleanup(server.Close)
	guard := destination.NewGuard(
		destination.Egress{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, destination.GuardOptions{})
	return receiver, webhook.Options{
		Client: guard.Client(), URL: destination.Value(server.URL + "/hooks/7"),
		Keys: []destination.Secret{destination.Value(k)},
	}
}

func send(t *testing.T, o webhook.Options, m delivery.Message) error {
	t.Helper()
	w, err := webhook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Send(t.Context(), m)
	return err
}

func TestSend(t *testing.T) {
	receiver, o := start(t, key("k", 32))
	m := deliverytest.Message(t, "job.failed")
	receiver.Fail(receivers.Fault{Status: 503, Done: true})
	at := time.Now()
	o.Now = func() time.Time { return at }
	if err := send(t, o, m); err == nil || delivery.IsNever(err) {
		t.Fatalf("error %v", err)
	}
	at = at.Add(2 * time.Minute)
	if err := send(t, o, m); err != nil {
		t.Fatal(err)
	}
	all := receiver.Requests()
	if len(all) != 2 {
		t.Fatalf("%d requests", len(all))
	}
	first, second := all[0], all[1]
	if first.ID != m.ID || second.ID != m.ID || !bytes.Equal(first.Body, second.Body) {
		t.Error("a repeat is another message")
	}
	for _, name := range []string{standardwebhooks.HeaderWebhookTimestamp, standardwebhooks.HeaderWebhookSignature} {
		if first.Header.Get(name) == second.Header.Get(name) {
			t.Errorf("%s is the same at each try", name)
		}
	}
	if got := first.Header.Get("Content-Type"); got != "application/cloudevents+json" {
		t.Errorf("content type %s", got)
	}
	var e cloudevents.Event
	if err := json.Unmarshal(second.Body, &e); err != nil {
		t.Fatal(err)
	}
	eventtest.Check(t, e)
	var want bytes.Buffer
	if err := json.Compact(&want, m.Event.CloudEvent.Data()); err != nil {
		t.Fatal(err)
	}
	if e.ID() != m.Event.ID() || !bytes.Equal(e.Data(), want.Bytes()) {
		t.Errorf("the event is %s", second.Body)
	}
}

// The body is the same however often the event was stored and read.
func TestBodyOfAStoredEvent(t *testing.T) {
	receiver, o := start(t, key("k", 32))
	m := deliverytest.Message(t, "job.timed_out")
	for range 3 {
		if err := send(t, o, m); err != nil {
			t.Fatal(err)
		}
		stored, err := json.Marshal(m.Event.CloudEvent)
		if err != nil {
			t.Fatal(err)
		}
		m.Event.CloudEvent = cloudevents.Event{}
		if err := json.Unmarshal(stored, &m.Event.CloudEvent); err != nil {
			t.Fatal(err)
		}
	}
	all := receiver.Requests()
	if !bytes.Equal(all[0].Body, all[1].Body) || !bytes.Equal(all[0].Body, all[2].Body) {
		t.Errorf("bodies\n%s\n%s", all[0].Body, all[2].Body)
	}
}

func TestKeysWhileOneIsReplaced(t *testing.T) {
	before, after := key("a", 24), key("b", 64)
	receiver, o := start(t, before)
	o.Keys = []destination.Secret{destination.Value(after), destination.Value(before)}
	for i, k := range []string{before, after} {
		receiver.Key(k)
		if err := send(t, o, deliverytest.Message(t, "job.failed")); err != nil {
			t.Fatal(err)
		}
		signatures := strings.Split(receiver.Requests()[i].Header.Get(standardwebhooks.HeaderWebhookSignature), " ")
		isV1 := func(s string) bool { return strings.HasPrefix(s, "v1,") }
		if len(signatures) != 2 || !isV1(signatures[0]) || !isV1(signatures[1]) {
			t.Errorf("signatures %v", signatures)
		}
	}
}

// A key that was replaced is read anew before the message is given up.
func TestRotatedKey(t *testing.T) {
	receiver, o := start(t, key("b", 32))
	o.Keys = []destination.Secret{destination.Reference(func(_ context.Context, _ string, fresh bool) (string, error) {
		if fresh {
			return key("b", 32), nil
		}
		return key("a", 32), nil
	}, "env://KEY")}
	if err := send(t, o, deliverytest.Message(t, "job.failed")); err != nil || len(receiver.Requests()) != 1 {
		t.Errorf("error %v", err)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	for name, k := range map[string]string{
		"not base64": "whsec_%%%", "too short": key("k", 23), "too long": key("k", 67), "words": "swordfish",
	} {
		receiver, o := start(t, key("k", 32))
		o.Keys = append(o.Keys, destination.Value(k))
		err := send(t, o, deliverytest.Message(t, "job.failed"))
		if !delivery.IsNever(err) || len(receiver.Requests()) > 0 {
			t.Fatalf("%s: error %v", name, err)
		}
		if strings.Contains(err.Error(), strings.TrimPrefix(k, "whsec_")) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestRefreshSaysNothing(t *testing.T) {
	receiver, o := start(t, key("k", 32))
	m := deliverytest.Message(t, "job.failed")
	m.Refresh = true
	if err := send(t, o, m); err != nil || len(receiver.Requests()) > 0 {
		t.Errorf("error %v, %d requests", err, len(receiver.Requests()))
	}
}

// A job's text is data of the event: it can't change what is around it.
func TestHostileEvents(t *testing.T) {
	for name, s := range deliverytest.Hostile() {
		receiver, o := start(t, key("k", 32))
		m := deliverytest.Message(t, "job.failed")
		data := map[string]string{"attempt": "x", "reason": s}
		if err := m.Event.CloudEvent.SetData("application/json", data); err != nil {
			t.Fatal(err)
		}
		if err := send(t, o, m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var body struct{ Data struct{ Reason string } }
		if err := json.Unmarshal(receiver.Requests()[0].Body, &body); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); name != "not UTF-8" && body.Data.Reason != want {
			t.Errorf("%s: another reason", name)
		}
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	good := webhook.Options{
		Client: http.DefaultClient, URL: destination.Value("x"), Keys: []destination.Secret{destination.Value("x")},
	}
	var got []string
	for _, change := range []func(*webhook.Options){
		func(o *webhook.Options) { o.Client = nil }, func(o *webhook.Options) { o.URL = nil },
		func(o *webhook.Options) { o.Keys = nil }, func(*webhook.Options) {},
	} {
		o := good
		change(&o)
		_, err := webhook.New(o)
		got = append(got, fmt.Sprint(err))
	}
	want := []string{
		"webhook: the client is required", "webhook: the URL is required", "webhook: a key is required", "<nil>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}
