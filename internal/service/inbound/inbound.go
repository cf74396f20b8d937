// Package inbound is the HTTP adapter of the functions. It decodes requests, and turns what became of
// each into a status.
//
// It takes CloudEvents in binary and structured mode, Pub/Sub pushes (wrapped,
// or unwrapped with attributes as headers), and the Cloud Storage notifications
// that come by either. A 2xx answer acknowledges; anything else asks for
// redelivery. The CloudEvents SDK's own receiver is not used: it hangs for good
// after a client aborts a request (cloudevents/sdk-go issues 1224 and 1332).
package inbound

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/jobdrop/jobdrop/internal/app/logging"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Receive handles an event. An error asks for redelivery.
type Receive func(ctx context.Context, e cloudevents.Event) error

// maxBody bounds a request's body, in bytes: the attributes of an object, its
// metadata of at most 8 KiB among them.
const maxBody = 1 << 20

// deadline bounds the work on one request. It lies below 540 s, the time that
// deploy/README.md gives the functions, and below 600 s, the longest
// acknowledgement deadline of a subscription: past that the event is delivered
// again while the first delivery is still worked on.
const deadline = 8 * time.Minute

// Handler serves a function that is woken by events.
func Handler(receive Receive) http.Handler { return serve(events(receive, maxBody)) }

// respond handles a request. It returns the status of the answer, and why where the request is refused.
type respond func(ctx context.Context, w http.ResponseWriter, r *http.Request) (status int, err error)

// events returns what hands the event in a request of at most limit bytes to receive.
func events(receive Receive, limit int64) respond {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request) (int, error) {
		e, status, err := decode(w, r, limit)
		if err != nil {
			return status, err
		}
		if err := receive(ctx, e); err != nil {
			return notDone, nil
		}
		return http.StatusNoContent, nil
	}
}

// notDone answers a request that is to be made again. Its error was logged where it was settled.
const notDone = http.StatusServiceUnavailable

func serve(handle respond) http.Handler {
	logger := logging.New(os.Stderr, slog.LevelInfo)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), deadline)
		defer cancel()
		defer recovered(ctx, logger, func() { http.Error(w, "internal error", http.StatusInternalServerError) })
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "POST an event", http.StatusMethodNotAllowed)
			return
		}
		// Every browser says that a page sends the request; no service does. On
		// a machine where the functions listen without asking who calls, a page
		// of strangers would have events parked, and Watch woken.
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
			http.Error(w, "requests of web pages are not taken", http.StatusForbidden)
			return
		}
		status, err := handle(ctx, w, r)
		if err != nil {
			logger.WarnContext(ctx, "request refused", "status", status, "error", err.Error())
			http.Error(w, err.Error(), status)
			return
		}
		w.WriteHeader(status)
	})
}

// recovered is deferred: it logs a panic, and then does what is to be done.
func recovered(ctx context.Context, logger *slog.Logger, then func()) {
	if p := recover(); p != nil {
		// Error Reporting reads the stack from the message.
		logger.ErrorContext(ctx, fmt.Sprintf("panic: %v\n\n%s", p, debug.Stack()))
		then()
	}
}

// The media types of CloudEvents in JSON.
const (
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
)

// decode returns the request's event, or the status that refuses it.
func decode(w http.ResponseWriter, r *http.Request, limit int64) (cloudevents.Event, int, error) {
	var none cloudevents.Event
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var (
		e   *cloudevents.Event
		err error
	)
	switch {
	case mediaType == batched:
		return none, http.StatusUnsupportedMediaType, errors.New("batches of events are not taken: send one event a request")
	case r.Header.Get("Ce-Id") != "" || mediaType == structured:
		if e, err = cehttp.NewEventFromHTTPRequest(r); err == nil {
			keepDelivery(e, r.Header.Get("X-Goog-Pubsub-Delivery-Attempt"), r.Header.Get("X-Goog-Pubsub-Ordering-Key"))
		}
	case r.Header.Get("Eventtype") != "" && r.Header.Get("Bucketid") != "":
		e, err = unwrapped(r)
	default:
		e, err = wrapped(r.Body)
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return none, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", tooLarge.Limit)
	}
	if err == nil {
		err = e.Validate()
	}
	if err != nil {
		return none, http.StatusBadRequest, fmt.Errorf("no event: %w", err)
	}
	if trace := r.Header.Get("Traceparent"); trace != "" && e.Extensions()[event.ExtensionTraceparent] == nil {
		e.SetExtension(event.ExtensionTraceparent, trace)
	}
	return *e, 0, nil
}

// Extensions that keep what Pub/Sub tells of a delivery.
const (
	extensionDeliveryAttempt = "deliveryattempt"
	extensionOrderingKey     = "orderingkey"
)

func keepDelivery(e *cloudevents.Event, attempt, orderingKey string) {
	if n, err := strconv.Atoi(attempt); err == nil {
		e.SetExtension(extensionDeliveryAttempt, n)
	}
	if orderingKey != "" {
		e.SetExtension(extensionOrderingKey, orderingKey)
	}
}

// pushed is the body of a Pub/Sub push.
type pushed struct {
	Subscription    string `json:"subscription"`
	DeliveryAttempt int    `json:"deliveryAttempt"`
	Message         *struct {
		Data        []byte            `json:"data"`
		Attributes  map[string]string `json:"attributes"`
		MessageID   string            `json:"messageId"`
		PublishTime time.Time         `json:"publishTime"`
		OrderingKey string            `json:"orderingKey"`
	} `json:"message"`
}

// wrapped decodes a Pub/Sub push: a message that holds a CloudEvent, a Cloud
// Storage notification, or something else, which becomes an event of Pub/Sub's
// own type.
func wrapped(body io.Reader) (*cloudevents.Event, error) {
	var p pushed
	if err := json.NewDecoder(body).Decode(&p); err != nil {
		return nil, fmt.Errorf("neither a CloudEvent nor a Pub/Sub push: %w", err)
	}
	m := p.Message
	if m == nil || p.Subscription == "" {
		return nil, errors.New("neither a CloudEvent nor a Pub/Sub push")
	}
	var (
		e   cloudevents.Event
		err error
	)
	switch {
	case m.Attributes["ce-id"] != "":
		if e, err = event.FromMessage(m.Attributes, m.Data); err != nil {
			e, err = message(p, err.Error())
		}
	case m.Attributes["eventType"] != "" && m.Attributes["bucketId"] != "":
		e = notification(func(name string) string { return m.Attributes[name] }, m.MessageID, m.PublishTime, m.Data)
	default:
		e, err = message(p, "the message holds no event")
	}
	if err != nil {
		return nil, err
	}
	attempt := ""
	if p.DeliveryAttempt > 0 {
		attempt = strconv.Itoa(p.DeliveryAttempt)
	}
	keepDelivery(&e, attempt, m.OrderingKey)
	return &e, nil
}

// published is the type of a Pub/Sub message that holds no event known here.
const published = "google.cloud.pubsub.topic.v1.messagePublished"

// extensionProblem says why a message is not an event known here.
const extensionProblem = "problem"

// message returns a whole Pub/Sub message as an event of its own, with the reason
// why it is not a known event. The function can keep it for people.
func message(p pushed, problem string) (cloudevents.Event, error) {
	e := cloudevents.NewEvent()
	e.SetID(p.Message.MessageID)
	e.SetType(published)
	e.SetSource("//pubsub.googleapis.com/" + p.Subscription)
	e.SetTime(p.Message.PublishTime)
	e.SetExtension(extensionProblem, problem)
	return e, e.SetData(cloudevents.ApplicationJSON, p.Message)
}

// unwrapped decodes a Cloud Storage notification whose attributes came as
// headers.
func unwrapped(r *http.Request) (*cloudevents.Event, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	at, _ := time.Parse(time.RFC3339, r.Header.Get("X-Goog-Pubsub-Publish-Time"))
	e := notification(r.Header.Get, r.Header.Get("X-Goog-Pubsub-Message-Id"), at, data)
	keepDelivery(&e, r.Header.Get("X-Goog-Pubsub-Delivery-Attempt"), r.Header.Get("X-Goog-Pubsub-Ordering-Key"))
	return &e, nil
}

// storageType returns Eventarc's type for a notification of Cloud Storage.
func storageType(eventType string) string {
	switch eventType {
	case "OBJECT_FINALIZE":
		return Finalized
	case "OBJECT_DELETE":
		return "google.cloud.storage.object.v1.deleted"
	case "OBJECT_ARCHIVE":
		return "google.cloud.storage.object.v1.archived"
	case "OBJECT_METADATA_UPDATE":
		return "google.cloud.storage.object.v1.metadataUpdated"
	}
	return "google.cloud.storage.object.v1." + eventType
}

// notification returns a Cloud Storage notification (payload JSON_API_V1) as the
// event that Eventarc makes of it.
func notification(attribute func(string) string, id string, at time.Time, data []byte) cloudevents.Event {
	e := cloudevents.NewEvent()
	e.SetID(id)
	e.SetType(storageType(attribute("eventType")))
	e.SetSource("//storage.googleapis.com/projects/_/buckets/" + attribute("bucketId"))
	e.SetSubject("objects/" + attribute("objectId"))
	if !at.IsZero() {
		e.SetTime(at)
	}
	e.SetDataContentType(cloudevents.ApplicationJSON)
	e.DataEncoded = data
	return e
}

// Finalized is the type of the event that a new object generation causes.
const Finalized = "google.cloud.storage.object.v1.finalized"

var (
	// ErrUndecodable says that an event is of a known type, but its data
	// make no sense: no redelivery will.
	ErrUndecodable = errors.New("undecodable event")
	// ErrOtherType says that an event is of a type that the function has no
	// use for.
	ErrOtherType = errors.New("event of another type")
)

// integer is an int64 that comes as a JSON string, as the API writes it, or as
// a number.
type integer int64

func (i *integer) UnmarshalJSON(data []byte) error {
	if len(data) >= 2 && data[0] == '"' {
		data = data[1 : len(data)-1]
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	*i = integer(n)
	return err
}

// DecodeObject returns the object of a finalized event. It uses only bucket, name,
// generation and size of the event's data, and only to decide whether to look.
// Everything else is read from Cloud Storage.
func DecodeObject(e cloudevents.Event) (job.Object, error) {
	if problem := e.Extensions()[extensionProblem]; e.Type() == published && problem != nil {
		return job.Object{}, fmt.Errorf("%w: %v", ErrUndecodable, problem)
	}
	if e.Type() != Finalized {
		return job.Object{}, fmt.Errorf("%w: %s", ErrOtherType, e.Type())
	}
	var data struct {
		Bucket     string         `json:"bucket"`
		Name       string         `json:"name"`
		Generation integer        `json:"generation"`
		Size       integer        `json:"size"`
		Metadata   map[string]any `json:"metadata"`
	}
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		return job.Object{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if data.Bucket == "" || data.Name == "" {
		return job.Object{}, fmt.Errorf("%w: bucket or name is missing", ErrUndecodable)
	}
	ofEvent, _ := e.Extensions()[event.ExtensionTraceparent].(string)
	ofUpload, _ := data.Metadata[job.MetadataTraceparent].(string)
	return job.Object{
		Bucket: data.Bucket, Name: data.Name, Generation: int64(data.Generation), Size: int64(data.Size),
		Traceparent: cmp.Or(ofUpload, ofEvent),
	}, nil
}
