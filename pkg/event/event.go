// Package event is what subscribers import: the lifecycle events of jobdrop as
// Go types, and their form as CloudEvents on Pub/Sub.
//
// Delivery is at least once; a repeat has the same ID. Messages of one attempt
// carry the attempt as ordering key and arrive in order on a subscription with
// ordering enabled. A subscriber that keeps the highest [Body] Sequence of each
// attempt, and skips what is not above it, sees each event once. The body is a
// full snapshot: the newest event alone tells everything.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	ce "github.com/cloudevents/sdk-go/v2/event"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Body is the data of every lifecycle event, and of status.json. It is [job.Snapshot], whose fields are:
//
//	Attempt         string             `json:"attempt"`
//	Sequence        int64              `json:"sequence"`
//	State           job.State          `json:"state"`
//	Reason          string             `json:"reason,omitempty"`
//	Job             job.JobInfo        `json:"job,omitzero"`
//	Drop            job.DropInfo       `json:"drop"`
//	Times           job.Times          `json:"times"`
//	Deadlines       job.Deadlines      `json:"deadlines,omitzero"`
//	Timeout         *job.Timeout       `json:"timeout,omitempty"`
//	Delay           *job.Delay         `json:"delay,omitempty"`
//	Error           *job.Failure       `json:"error,omitempty"`
//	Violations      []job.Violation    `json:"violations,omitempty"`
//	Links           job.Links          `json:"links,omitzero"`
//	CorrelationID   string             `json:"correlationId,omitempty"`
//	Truncated       bool               `json:"truncated,omitempty"`
//	History         []job.HistoryEntry `json:"history,omitempty"`
//	Uploader        job.Uploader       `json:"uploader,omitzero"`
//	Notify          []string           `json:"notify,omitempty"`
//	DuplicateOf     string             `json:"duplicateOf,omitempty"`
//	CancelRequested *job.CancelRequest `json:"cancelRequested,omitempty"`
//	Rerun           *job.Rerun         `json:"rerun,omitempty"`
//	Restarts        *job.Restarts      `json:"restarts,omitempty"`
type Body = job.Snapshot

// Misnamed is the content of status.json in a folder that has no attempt yet: its packages are
// there, and an object that may be meant as the job file.
type Misnamed = job.Misnamed

// Type names a lifecycle event.
type Type = job.EventType

// State is where an attempt stands, see Body.State.
type State = job.State

// The states of an attempt; [State.Terminal] tells the verdicts.
const (
	Waiting   = job.Waiting
	Held      = job.Held
	Accepted  = job.Accepted
	Submitted = job.Submitted
	Queued    = job.Queued
	Preparing = job.Preparing
	Running   = job.Running
	Rejected  = job.Rejected
	Withdrawn = job.Withdrawn
	Expired   = job.Expired
	Succeeded = job.Succeeded
	Failed    = job.Failed
	Cancelled = job.Cancelled
	TimedOut  = job.TimedOut
	Lost      = job.Lost
)

// BackendState is a job's state in the words of ml/v1, see Body.Job.State.
type BackendState = job.BackendState

// The states of a job.
const (
	BackendQueued     = job.BackendQueued
	BackendPreparing  = job.BackendPreparing
	BackendRunning    = job.BackendRunning
	BackendSucceeded  = job.BackendSucceeded
	BackendFailed     = job.BackendFailed
	BackendCancelling = job.BackendCancelling
	BackendCancelled  = job.BackendCancelled
)

// The lifecycle events, as they stand in the CloudEvent's type. Unknown types
// may come: skip them.
const (
	DropIncomplete = job.DropIncomplete // patience ran out once: Body.Drop says what came and what is missing
	DropRejected   = job.DropRejected   // Body.Violations says why
	DropWithdrawn  = job.DropWithdrawn  // deleted, overwritten, or a duplicate
	DropExpired    = job.DropExpired    // never completed
	DropAccepted   = job.DropAccepted   // checked and pinned
	JobSubmitted   = job.JobSubmitted   // the backend has it
	JobQueued      = job.JobQueued
	JobPreparing   = job.JobPreparing
	JobRunning     = job.JobRunning
	JobDelayed     = job.JobDelayed // a warning
	JobSucceeded   = job.JobSucceeded
	JobFailed      = job.JobFailed
	JobCancelled   = job.JobCancelled
	JobTimedOut    = job.JobTimedOut // Body.Timeout says which limit
	JobLost        = job.JobLost
)

// Extension attributes, for filters of subscriptions. On Pub/Sub each is the
// message attribute ce-<name>.
const (
	ExtensionJobID         = "jobid"
	ExtensionState         = "state" // the body's state
	ExtensionBackend       = "backend"
	ExtensionSequence      = "sequence"
	ExtensionCorrelationID = "correlationid"
	// ExtensionTraceparent is that of CloudEvents' extension for tracing.
	ExtensionTraceparent = "traceparent"
)

const contentType = "application/json"

// attributeText is the longest value of a message's attribute, in bytes (Pub/Sub's
// quotas).
const attributeText = 1024

// Source returns the CloudEvent source of an installation.
func Source(instance string) string { return "//jobdrop.dev/" + instance }

// attribute returns the part of a text that an attribute can hold.
func attribute(text string) string {
	if len(text) > attributeText {
		text = text[:attributeText]
	}
	return strings.ToValidUTF8(text, "") // without the half of a last character
}

// Encode returns the CloudEvent of a lifecycle event of an installation: as a message
// of Pub/Sub it is never larger than that takes. It is the same at each call.
func Encode(instance string, e job.Event) (ce.Event, error) {
	b := e.Body.Bounded()
	c := ce.New(ce.CloudEventsVersionV1)
	c.SetID(b.Attempt + "-" + strconv.FormatInt(b.Sequence, 10))
	c.SetSource(Source(instance))
	c.SetType(string(e.Type))
	c.SetSubject(attribute(strings.TrimSuffix(b.Drop.Prefix, "/")))
	c.SetTime(e.Time)
	c.SetDataSchema(SchemaOf(e.Type))
	if b.State == Submitted && e.Type != JobSubmitted {
		b.State = underWay(b.Job.State) // of a record that an earlier revision wrote
	}
	for name, value := range map[string]string{
		ExtensionJobID: b.Job.ID, ExtensionState: string(b.State), ExtensionBackend: b.Job.Backend,
		ExtensionSequence:      strconv.FormatInt(b.Sequence, 10),
		ExtensionCorrelationID: b.CorrelationID,
		ExtensionTraceparent:   e.Traceparent,
	} {
		if value != "" {
			c.SetExtension(name, attribute(value))
		}
	}
	if err := c.SetData(contentType, b); err != nil {
		return c, fmt.Errorf("event %s: %w", c.ID(), err)
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("event %s: %w", c.ID(), err)
	}
	return c, nil
}

// underWay returns the state of an attempt whose job is in a state of the backend's.
func underWay(s BackendState) State {
	switch s {
	case BackendQueued:
		return Queued
	case BackendPreparing:
		return Preparing
	case BackendRunning, BackendCancelling:
		return Running
	}
	return Submitted
}

// Decode returns a CloudEvent's type and body.
func Decode(c ce.Event) (Type, Body, error) {
	var b Body
	if err := c.DataAs(&b); err != nil {
		return "", b, fmt.Errorf("event %s: %w", c.ID(), err)
	}
	// The SDK takes no data at all for a body with nothing in it.
	if b.Attempt == "" {
		return "", b, fmt.Errorf("event %s: the body names no attempt", c.ID())
	}
	return Type(c.Type()), b, nil
}

// attributePrefix stands before each CloudEvent attribute among a message's: in
// binary mode, as Pub/Sub pushes it unwrapped to HTTP headers.
const attributePrefix = "ce-"

// ToMessage returns a CloudEvent as a Pub/Sub message in binary mode.
func ToMessage(c ce.Event) (attributes map[string]string, data []byte) {
	attributes = map[string]string{
		"ce-id": c.ID(), "ce-source": c.Source(), "ce-type": c.Type(),
		"ce-specversion": c.SpecVersion(), "content-type": c.DataContentType(),
		"ce-time": c.Time().UTC().Format("2006-01-02T15:04:05.999999999Z07:00"),
	}
	for name, value := range map[string]string{"subject": c.Subject(), "dataschema": c.DataSchema()} {
		if value != "" {
			attributes[attributePrefix+name] = value
		}
	}
	for name, value := range c.Extensions() {
		attributes[attributePrefix+name] = fmt.Sprint(value)
	}
	return attributes, c.Data()
}

// FromMessage returns the CloudEvent in a Pub/Sub message of binary mode.
// Subscribers call it on each message that they receive.
func FromMessage(attributes map[string]string, data []byte) (ce.Event, error) {
	fields := map[string]json.RawMessage{}
	for name, value := range attributes {
		name, found := strings.CutPrefix(strings.ToLower(name), attributePrefix)
		if !found {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return ce.Event{}, fmt.Errorf("attribute %s: %w", name, err)
		}
		fields[name] = text
	}
	if len(fields) == 0 {
		return ce.Event{}, errors.New("the message has no CloudEvent attributes")
	}
	// The SDK's decoder also takes version 0.3, and panics on some of it.
	if string(fields["specversion"]) != `"`+ce.CloudEventsVersionV1+`"` {
		return ce.Event{}, fmt.Errorf("the message is no CloudEvent of version %s", ce.CloudEventsVersionV1)
	}
	if t := attributes["content-type"]; t != "" {
		fields["datacontenttype"], _ = json.Marshal(t)
	}
	// The structured form is read by the SDK's own decoder, so that the
	// rules for each attribute are the SDK's.
	structured, err := json.Marshal(fields)
	if err != nil {
		return ce.Event{}, err
	}
	var c ce.Event
	if err := json.Unmarshal(structured, &c); err != nil {
		return ce.Event{}, fmt.Errorf("cloud event attributes: %w", err)
	}
	c.DataEncoded = data
	if err := c.Validate(); err != nil {
		return ce.Event{}, fmt.Errorf("cloud event: %w", err)
	}
	return c, nil
}
