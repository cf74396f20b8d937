// Package notice says in words what people are told of a lifecycle event.
//
// A [Text] holds values: plain text without markup of any format. Each destination lays it out and
// escapes it. What stands in a Text may come from a job, so nothing in it can be trusted.
package notice

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Event is a lifecycle event as a subscriber gets it. Records hold it as the CloudEvent that it is.
type Event struct {
	// CloudEvent is the whole event: what a webhook sends.
	CloudEvent cloudevents.Event
	Body       job.Snapshot
	// Folder is the key of the drop's folder: 40 hex digits. Generation is that of the job file, by which the
	// attempts of a folder are ordered.
	Folder     string
	Generation int64
}

// Decode returns the lifecycle event in a CloudEvent.
func Decode(c cloudevents.Event) (Event, error) {
	_, body, err := event.Decode(c)
	if err != nil {
		return Event{}, err
	}
	folder, text, ok := strings.Cut(body.Attempt, "-")
	generation, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || generation < 0 || !isKey(folder) {
		return Event{}, fmt.Errorf("event %s: %q is not an attempt", c.ID(), body.Attempt)
	}
	return Event{CloudEvent: c, Body: body, Folder: folder, Generation: generation}, nil
}

// isKey reports whether a text may be a folder's key: it becomes part of an object's name.
func isKey(text string) bool {
	return len(text) == 40 && strings.Trim(text, "0123456789abcdef") == ""
}

// ID returns the event's ID: <attempt>-<sequence>, the same at each repeat.
func (e Event) ID() string { return e.CloudEvent.ID() }

// Type returns the event's type.
func (e Event) Type() job.EventType { return job.EventType(e.CloudEvent.Type()) }

// Time returns when the event happened.
func (e Event) Time() time.Time { return e.CloudEvent.Time() }

// Kind returns what kind of news the event is.
func (e Event) Kind() Kind { return kindOf(e.Type(), e.Body.State) }

// Kind is how much people want to hear of an event.
type Kind string

// The kinds. By default people are told of outcomes and warnings, each once.
const (
	Progress Kind = "progress"
	Warning  Kind = "warning"
	// Outcome is the attempt's verdict: no other event follows it.
	Outcome Kind = "outcome"
	// Heartbeat is no lifecycle event: it only shows that a destination can be reached.
	Heartbeat Kind = "heartbeat"
)

// HeartbeatType is the type of the CloudEvent that only shows that a destination can be reached. Its body is empty.
const HeartbeatType job.EventType = "dev.jobdrop.notify.heartbeat.v1"

func kindOf(t job.EventType, s job.State) Kind {
	switch {
	case t == HeartbeatType:
		return Heartbeat
	case t == job.DropIncomplete || t == job.JobDelayed:
		return Warning
	case s.Terminal():
		return Outcome
	}
	return Progress
}
