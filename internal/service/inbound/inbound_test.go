package inbound_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const objectData = `{"kind":"storage#object","bucket":"inbox","name":"census/job.yaml","generation":"1587627537231057","size":"352","metadata":{"a":"b"},"timeCreated":"2020-04-23T07:38:57.230Z"}`

func binary(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/Submit", strings.NewReader(body))
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Ce-Id": "1", "Ce-Specversion": "1.0", "Ce-Type": inbound.Finalized,
		"Ce-Source": "//storage.googleapis.com/projects/_/buckets/inbox", "Ce-Subject": "objects/census/job.yaml",
		"Ce-Time": "2020-04-23T07:38:57.772Z",
	} {
		r.Header.Set(name, value)
	}
	return r
}

func plain(contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/Submit", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

func pushJSON(t *testing.T, attributes map[string]string, data string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"subscription": "projects/p/subscriptions/s", "deliveryAttempt": 3,
		"message": map[string]any{
			"data": []byte(data), "attributes": attributes, "messageId": "77", "publishTime": "2020-04-23T07:38:58Z",
			"orderingKey": "key",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

var notification = map[string]string{
	"eventType": "OBJECT_FINALIZE", "bucketId": "inbox", "objectId": "census/job.yaml",
	"objectGeneration": "1587627537231057", "payloadFormat": "JSON_API_V1",
}

func TestHandlerTakesEveryForm(t *testing.T) {
	object := job.Object{Bucket: "inbox", Name: "census/job.yaml", Generation: 1587627537231057, Size: 352}
	unwrapped := plain("application/json", objectData)
	for name, value := range notification {
		unwrapped.Header.Set(name, value)
	}
	unwrapped.Header.Set("X-Goog-Pubsub-Message-Id", "77")
	unwrapped.Header.Set("X-Goog-Pubsub-Delivery-Attempt", "3")
	unwrapped.Header.Set("X-Goog-Pubsub-Ordering-Key", "key")
	numbers := strings.NewReplacer(`"1587627537231057"`, "1587627537231057", `"352"`, "352").Replace(objectData)
	ce := map[string]string{
		"ce-id": "1", "ce-specversion": "1.0", "ce-type": inbound.Finalized,
		"ce-source":  "//storage.googleapis.com/projects/_/buckets/inbox",
		"ce-subject": "objects/census/job.yaml", "content-type": "application/json",
	}
	tests := []struct {
		name      string
		request   *http.Request
		id        string
		delivered bool // attempt and ordering key are kept
	}{
		{"binary", binary(objectData), "1", false},
		{"binary, numbers as numbers", binary(numbers), "1", false},
		{
			"structured",
			plain("application/cloudevents+json; charset=utf-8",
				`{"specversion":"1.0","id":"1","type":"`+inbound.Finalized+
					`","source":"//storage.googleapis.com/projects/_/buckets/inbox","datacontenttype":"application/json","data":`+
					objectData+`}`), "1", false,
		},
		{"push of a notification", plain("application/json", pushJSON(t, notification, objectData)), "77", true},
		{"push of a notification, unwrapped", unwrapped, "77", true},
		{"push of a CloudEvent", plain("application/json", pushJSON(t, ce, objectData)), "1", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got cloudevents.Event
			w := httptest.NewRecorder()
			inbound.Handler(func(_ context.Context, e cloudevents.Event) error { got = e; return nil }).ServeHTTP(w,
				test.request)
			if w.Code != http.StatusNoContent {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if got.ID() != test.id || got.Type() != inbound.Finalized ||
				got.Source() != "//storage.googleapis.com/projects/_/buckets/inbox" {
				t.Errorf("event %v", got)
			}
			o, err := inbound.DecodeObject(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object, o); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
			attempt, key := fmt.Sprint(got.Extensions()["deliveryattempt"]), fmt.Sprint(got.Extensions()["orderingkey"])
			if test.delivered != (attempt == "3" && key == "key") {
				t.Errorf("delivery attempt %s, ordering key %s", attempt, key)
			}
		})
	}
}

// A push whose message makes no sense reaches the function, which can keep it:
// refused, it would come again and again.
func TestHandlerPassesOnWhatItCannotRead(t *testing.T) {
	for name, attributes := range map[string]map[string]string{
		"nothing known":        {"a": "b"},
		"a CloudEvent, broken": {"ce-id": "1", "ce-specversion": "9.9"},
	} {
		w := httptest.NewRecorder()
		var got cloudevents.Event
		inbound.Handler(func(_ context.Context, e cloudevents.Event) error { got = e; return nil }).
			ServeHTTP(w, plain("application/json", pushJSON(t, attributes, "content")))
		if _, err := inbound.DecodeObject(got); w.Code != http.StatusNoContent || !errors.Is(err, inbound.ErrUndecodable) {
			t.Errorf("%s: status %d, %v", name, w.Code, err)
		}
		var kept struct {
			Data       []byte
			Attributes map[string]string
		}
		if err := json.Unmarshal(got.Data(), &kept); err != nil || got.ID() != "77" || string(kept.Data) != "content" {
			t.Errorf("%s: event %s with %q, %v", name, got.ID(), got.Data(), err)
		}
		if diff := cmp.Diff(attributes, kept.Attributes); diff != "" {
			t.Errorf("%s: attributes (-sent +kept):\n%s", name, diff)
		}
	}
}

func TestHandlerRefuses(t *testing.T) {
	page, rebound := binary(objectData), binary(objectData)
	page.Header.Set("Origin", "https://example.com")
	rebound.Header.Set("Sec-Fetch-Site", "same-origin")
	missing := binary(objectData)
	missing.Header.Del("Ce-Source")
	large := binary(`{"bucket":"` + strings.Repeat("a", 1<<20) + `"}`)
	tests := []struct {
		name    string
		request *http.Request
		want    int
	}{
		{"a GET", httptest.NewRequest(http.MethodGet, "/", nil), http.StatusMethodNotAllowed},
		{"a web page", page, http.StatusForbidden},
		{"a web page that took this machine's name", rebound, http.StatusForbidden},
		{"no body", plain("", ""), http.StatusBadRequest},
		{"some JSON", plain("application/json", `{"a":1}`), http.StatusBadRequest},
		{"no JSON", plain("application/json", `<a>`), http.StatusBadRequest},
		{"a CloudEvent without a source", missing, http.StatusBadRequest},
		{"structured, cut off", plain("application/cloudevents+json", `{"specversion":"1.0"`), http.StatusBadRequest},
		{"a batch", plain("application/cloudevents-batch+json", `[]`), http.StatusUnsupportedMediaType},
		{"a large body", large, http.StatusRequestEntityTooLarge},
		{
			"a large push", plain("application/json", `{"message":{"data":"`+strings.Repeat("QUFB", 1<<19)+`"}}`),
			http.StatusRequestEntityTooLarge,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			inbound.Handler(func(context.Context, cloudevents.Event) error {
				t.Error("the function was called")
				return nil
			}).ServeHTTP(w, test.request)
			if w.Code != test.want {
				t.Errorf("status %d, want %d: %s", w.Code, test.want, w.Body)
			}
		})
	}
}

func TestHandlerAnswersAsSettled(t *testing.T) {
	tests := []struct {
		name    string
		receive inbound.Receive
		want    int
	}{
		{"done", func(context.Context, cloudevents.Event) error { return nil }, http.StatusNoContent},
		{
			"deliver again", func(context.Context, cloudevents.Event) error { return errors.New("100% lost") },
			http.StatusServiceUnavailable,
		},
		{"a panic", func(context.Context, cloudevents.Event) error { panic("boom") }, http.StatusInternalServerError},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			inbound.Handler(test.receive).ServeHTTP(w, binary(objectData))
			if w.Code != test.want || strings.Contains(w.Body.String(), "lost") || strings.Contains(w.Body.String(), "boom") {
				t.Errorf("status %d, want %d; body %q must not tell what went wrong", w.Code, test.want, w.Body)
			}
		})
	}
}

func TestTick(t *testing.T) {
	for want, err := range map[int]error{http.StatusNoContent: nil, http.StatusServiceUnavailable: errors.New("x")} {
		w := httptest.NewRecorder()
		caller, hangUp := context.WithCancel(t.Context())
		inbound.Watch(func(ctx context.Context) error {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("the tick has no deadline")
			}
			if hangUp(); ctx.Err() == nil {
				t.Error("the tick goes on for a caller that has gone")
			}
			return err
		}, nil, nil).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/Watch", nil).WithContext(caller))
		if w.Code != want {
			t.Errorf("status %d for %v, want %d", w.Code, err, want)
		}
	}
}

func TestDecodeObjectRefuses(t *testing.T) {
	e := func(typ, data string) cloudevents.Event {
		e := cloudevents.NewEvent()
		e.SetID("1")
		e.SetSource("s")
		e.SetType(typ)
		e.DataEncoded = []byte(data)
		return e
	}
	tests := []struct {
		name  string
		event cloudevents.Event
		want  error
	}{
		{"another type", e("google.cloud.storage.object.v1.deleted", objectData), inbound.ErrOtherType},
		{"no data", e(inbound.Finalized, ""), inbound.ErrUndecodable},
		{"no JSON", e(inbound.Finalized, "{"), inbound.ErrUndecodable},
		{"no name", e(inbound.Finalized, `{"bucket":"b"}`), inbound.ErrUndecodable},
		{"no bucket", e(inbound.Finalized, `{"name":"n"}`), inbound.ErrUndecodable},
		{"Eventarc's event of a topic", e("google.cloud.pubsub.topic.v1.messagePublished", "{}"), inbound.ErrOtherType},
		{"no number", e(inbound.Finalized, `{"bucket":"b","name":"n","size":"many"}`), inbound.ErrUndecodable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if o, err := inbound.DecodeObject(test.event); !errors.Is(err, test.want) {
				t.Errorf("%+v, %v; want %v", o, err, test.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("application/json", "1", objectData)
	f.Add("application/cloudevents+json", "", `{"specversion":"1.0","id":"1","type":"t","source":"s","data":{}}`)
	f.Add("application/json", "",
		`{"subscription":"s","message":{"data":"e30=","attributes":{"eventType":"OBJECT_FINALIZE","bucketId":"b"}}}`)
	f.Fuzz(func(t *testing.T, contentType, id, body string) {
		r := plain(contentType, body)
		if id != "" {
			r.Header.Set("Ce-Id", id)
			r.Header.Set("Ce-Specversion", "1.0")
			r.Header.Set("Ce-Type", inbound.Finalized)
			r.Header.Set("Ce-Source", "s")
		}
		w := httptest.NewRecorder()
		inbound.Handler(func(_ context.Context, e cloudevents.Event) error {
			o, err := inbound.DecodeObject(e)
			if err == nil && (o.Bucket == "" || o.Name == "") {
				t.Errorf("object %+v", o)
			}
			return nil
		}).ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}

// No test leaves a goroutine behind, whatever became of its requests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The receiver of the CloudEvents SDK hangs for good after a client aborts a
// request. This one must not: thousands are aborted, then ten are answered.
func TestAbortedRequests(t *testing.T) {
	t.Run("Submit", func(t *testing.T) {
		abort(t, inbound.Handler(func(_ context.Context, e cloudevents.Event) error {
			_, err := inbound.DecodeObject(e)
			return err
		}), binary(objectData).Header, objectData)
	})
	t.Run("Notify", func(t *testing.T) {
		push := lifecyclePush(t, failed(t))
		abort(t, inbound.Notify(func(_ context.Context, e cloudevents.Event) error {
			_, err := inbound.DecodeLifecycle(e)
			return err
		}, nil), plain("application/json", push).Header, push)
	})
}

// abort aborts 3,000 requests of a handler, and then sends ten good ones.
func abort(t *testing.T, handler http.Handler, header http.Header, body string) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	var head bytes.Buffer
	fmt.Fprintf(&head, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", address, len(body))
	if err := header.Write(&head); err != nil {
		t.Fatal(err)
	}
	head.WriteString("\r\n")
	const aborted, workers = 3000, 20
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range aborted / workers {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				// Some leave in the middle of the body, some before the answer.
				whole := append(bytes.Clone(head.Bytes()), body...)
				_, _ = c.Write(whole[:len(whole)-(w+i)%2*40])
				c.(*net.TCPConn).SetLinger(0) // a reset, not a polite end
				c.Close()
			}
		})
	}
	group.Wait()
	client := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Minute}
	defer client.CloseIdleConnections()
	for i := range 10 {
		r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		response, err := client.Do(r)
		if err != nil {
			t.Fatalf("request %d after %d aborted ones: %v", i+1, aborted, err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusNoContent {
			t.Errorf("request %d after %d aborted ones: status %d", i+1, aborted, response.StatusCode)
		}
	}
}

// The trace of the upload is its object's metadata, else what the request says.
func TestDecodeObjectTraceparent(t *testing.T) {
	const own, asked = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-11111111111111111111111111111111-2222222222222222-01"
	for _, test := range []struct{ name, data, header, want string }{
		{"neither", `{"bucket":"b","name":"n"}`, "", ""},
		{"the request's", `{"bucket":"b","name":"n"}`, asked, asked},
		{"the object's", `{"bucket":"b","name":"n","metadata":{"jobdrop-traceparent":"` + own + `"}}`, asked, own},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(test.data))
			for name, value := range map[string]string{
				"Content-Type": "application/json", "Ce-Id": "1", "Ce-Specversion": "1.0", "Ce-Type": inbound.Finalized,
				"Ce-Source": "s", "Traceparent": test.header,
			} {
				r.Header.Set(name, value)
			}
			inbound.Handler(func(_ context.Context, e cloudevents.Event) error {
				o, err := inbound.DecodeObject(e)
				if err != nil || o.Traceparent != test.want {
					t.Errorf("%q, %v; want %q", o.Traceparent, err, test.want)
				}
				return nil
			}).ServeHTTP(httptest.NewRecorder(), r)
		})
	}
}
