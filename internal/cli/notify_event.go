package cli

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxEventFile is the largest file with an event, in bytes: a message of Pub/Sub in base64, and room.
const maxEventFile = 16 << 20

// examples has the events of docs/events, by the names of their files.
//
//go:embed examples
var examples embed.FS

// exampleOf returns the name of the file in examples for an event's type, such as job.failed.
func exampleOf(eventType string) string { return "examples/" + eventType + ".v1.json" }

// exampleTypes returns the types of events that there are examples of, sorted.
func exampleTypes() []string {
	files, _ := examples.ReadDir("examples") // embedded: it is there
	var types []string
	for _, f := range files {
		types = append(types, strings.TrimSuffix(f.Name(), ".v1.json"))
	}
	return types
}

// openEvents opens a file with events; one that is not there may be the name of an example.
func openEvents(path string) (fs.File, error) {
	f, err := os.Open(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || strings.ContainsAny(path, `/\`) {
		return f, err
	}
	if example, err := examples.Open(exampleOf(path)); err == nil {
		return example, nil
	}
	return nil, fmt.Errorf("%w, and there is no example of that name: the examples are %s", err,
		strings.Join(exampleTypes(), ", "))
}

// readEvents returns the events of a file or an example, or of in if the path is "-".
func readEvents(in io.Reader, path string) ([]notice.Event, error) {
	if path != "-" {
		f, err := openEvents(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxEventFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxEventFile {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxEventFile)
	}
	events, err := eventsIn(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return events, nil
}

// eventForm is what tells the forms of an event apart.
type eventForm struct {
	SpecVersion string          `json:"specversion"`
	Message     json.RawMessage `json:"message"`
	Attempt     string          `json:"attempt"`
	// Prefix and Reason are those of a status.json without an attempt.
	Prefix string `json:"prefix"`
	Reason string `json:"reason"`
}

// eventsIn returns the events in a text, one after the other or in lists. Each is a CloudEvent in structured mode, a
// message as docs/events, a push and gcloud's pull have it, or a body alone such as status.json.
func eventsIn(data []byte) ([]notice.Event, error) {
	var all []notice.Event
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var item json.RawMessage
		if err := d.Decode(&item); errors.Is(err, io.EOF) {
			if len(all) == 0 {
				return nil, errors.New("there is no event")
			}
			return all, nil
		} else if err != nil {
			return nil, err
		}
		list := []json.RawMessage{item}
		if bytes.HasPrefix(item, []byte("[")) {
			if err := json.Unmarshal(item, &list); err != nil {
				return nil, err
			}
		}
		for _, item := range list {
			e, err := eventOf(item)
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
}

// eventOf returns the event in a JSON value.
func eventOf(data []byte) (notice.Event, error) {
	var form eventForm
	if err := json.Unmarshal(data, &form); err != nil {
		return notice.Event{}, err
	}
	var (
		c   cloudevents.Event
		err error
	)
	switch {
	case form.SpecVersion == cloudevents.VersionV1:
		err = json.Unmarshal(data, &c)
	case form.Attempt != "":
		c, err = ofBody(data)
	case form.Prefix != "" && form.Reason != "":
		err = fmt.Errorf("this is the status of a folder that has had no event yet: %s", form.Reason)
	case form.Message != nil:
		c, err = ofMessage(form.Message)
	default:
		c, err = ofMessage(data)
	}
	if err != nil {
		return notice.Event{}, err
	}
	return notice.Decode(c)
}

// ofMessage returns the CloudEvent of a message of Pub/Sub, whose data are in base64 or, as in docs/events, JSON.
func ofMessage(data []byte) (cloudevents.Event, error) {
	var m struct {
		Attributes map[string]string `json:"attributes"`
		Data       json.RawMessage   `json:"data"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return cloudevents.Event{}, err
	}
	if m.Attributes == nil {
		return cloudevents.Event{}, errors.New("neither a CloudEvent nor a message nor an event's body")
	}
	body := []byte(m.Data)
	if bytes.HasPrefix(body, []byte(`"`)) {
		body = nil
		if err := json.Unmarshal(m.Data, &body); err != nil {
			return cloudevents.Event{}, err
		}
	}
	var compact bytes.Buffer // as it was published
	if err := json.Compact(&compact, body); err != nil {
		return cloudevents.Event{}, fmt.Errorf("data: %w", err)
	}
	return event.FromMessage(m.Attributes, compact.Bytes())
}

// ofBody returns the CloudEvent whose body it is: the last of the body's history.
func ofBody(data []byte) (cloudevents.Event, error) {
	var body job.Snapshot
	if err := json.Unmarshal(data, &body); err != nil {
		return cloudevents.Event{}, err
	}
	if len(body.History) == 0 {
		return cloudevents.Event{}, errors.New("the body has no history, so it is not known of which event it is")
	}
	last := body.History[len(body.History)-1]
	return event.Encode("local", job.Event{Type: last.Type, Time: last.Time, Body: body})
}
