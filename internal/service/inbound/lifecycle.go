package inbound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxLifecycle bounds the body of a request of the lifecycle topic, in bytes: the largest event in the
// base64 of a push, with the rest of the message, which Pub/Sub bounds by some hundred KiB.
const maxLifecycle = job.MaxEvent/3*4 + maxBody

// Notify serves a function that is woken by lifecycle events, each in one of the forms of [Handler], and
// by a scheduler, whose requests hold nothing. A push that holds anything is an event, if perhaps an undecodable one: a
// tick that fails is answered with an error, and Pub/Sub would send the same push again and again. What is neither is
// refused: an event whose headers are missing must not be acknowledged.
func Notify(receive Receive, tick func(ctx context.Context) error) http.Handler {
	handle := events(receive, maxLifecycle)
	return serve(func(ctx context.Context, w http.ResponseWriter, r *http.Request) (int, error) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLifecycle))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", tooLarge.Limit)
		case err != nil:
			return http.StatusBadRequest, err
		}
		if !isTick(r.Header, body) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.Header.Del("Traceparent") // of this delivery; the event has its own, or none
			return handle(ctx, w, r)
		}
		if err := tick(ctx); err != nil {
			return notDone, nil
		}
		return http.StatusNoContent, nil
	})
}

// isTick reports whether a request is what a scheduler sends, through a topic or not: nothing, an empty object, or a
// push of an empty message.
func isTick(header http.Header, body []byte) bool {
	mediaType, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	if header.Get("Ce-Id") != "" || mediaType == structured || mediaType == batched {
		return false
	}
	var fields map[string]json.RawMessage
	if len(bytes.TrimSpace(body)) == 0 || json.Unmarshal(body, &fields) == nil && len(fields) == 0 {
		return true
	}
	var p pushed
	return readable(json.Unmarshal(body, &p)) && p.Message != nil && len(p.Message.Data) == 0 && len(p.Message.Attributes) == 0
}

// DecodeLifecycle returns the lifecycle event in e, as it was published: at each delivery the same. Nothing
// else is published to the topic, so whatever else comes from there is undecodable.
func DecodeLifecycle(e cloudevents.Event) (notice.Event, error) {
	if problem := e.Extensions()[extensionProblem]; e.Type() == published && problem != nil {
		return notice.Event{}, fmt.Errorf("%w: %v", ErrUndecodable, problem)
	}
	e = e.Clone()
	for _, name := range []string{extensionDeliveryAttempt, extensionOrderingKey} {
		e.SetExtension(name, nil)
	}
	decoded, err := notice.Decode(e)
	if err != nil {
		return notice.Event{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return decoded, nil
}
