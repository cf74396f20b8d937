package delivery

import (
	"encoding/json"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/jobdrop/jobdrop/internal/notice"
)

// Version is the newest form of a [Record] that this revision reads and writes.
const Version = 1

// Record is what one destination was told of one folder by one route, and what it is still to be told. Records are
// changed by compare-and-swap only. The attempts of a folder share it, so that they can share a thread or an incident.
type Record struct {
	RecordVersion int    `json:"recordVersion"`
	Folder        string `json:"folder"`
	// Drop is the folder in words, for people who read the record.
	Drop        string `json:"drop"`
	Route       string `json:"route"`
	Destination string `json:"destination"`
	// Pending are the events to be told, in the order of generation and sequence. Each has an entry in the index, or
	// its message is not acknowledged yet.
	Pending []Intent `json:"pending,omitempty"`
	// NotBefore is when the destination asked to be left alone until.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// Lease is held by the process that sends. Nobody else sends before it ends.
	Lease *Lease `json:"lease,omitempty"`
	// Receipt is the destination's own.
	Receipt Receipt `json:"receipt,omitempty"`
	// Newest is the newest event that was told, without its long lists, where the destination shows one. Refresh asks
	// to show it again.
	Newest  *Intent `json:"newest,omitempty"`
	Refresh bool    `json:"refresh,omitempty"`
	// Told says what became of each event of the latest attempts, Settled only how far the earlier ones were told.
	Told    []Attempt `json:"told,omitempty"`
	Settled []Settled `json:"settled,omitempty"`
	// Rejection is the latest rejection.
	Rejection *Rejection `json:"rejection,omitempty"`
	// GivenUp are events that could not be told, for a replay.
	GivenUp []Intent `json:"givenUp,omitempty"`
}

// Intent is an event that a destination is to be told.
type Intent struct {
	Generation int64       `json:"generation"`
	Sequence   int64       `json:"sequence"`
	Kind       notice.Kind `json:"kind"`
	// Event is the CloudEvent in structured mode. Where people are told, it has no lists that no text shows.
	Event json.RawMessage `json:"event"`
	// Since is when it was due first, Next when the next try is.
	Since time.Time `json:"since"`
	Next  time.Time `json:"next,omitzero"`
	// Tries counts the sends that have begun. Unsure is set from when one begins until an answer says that nothing was
	// told.
	Tries  int  `json:"tries,omitempty"`
	Unsure bool `json:"unsure,omitempty"`
	// Error is what the last try said.
	Error string `json:"error,omitempty"`
	// Faults are those of the routes file that the event showed.
	Faults []string `json:"faults,omitempty"`
	// Repeats counts the rejections that were like an earlier one and are told with this event; RepeatsSince is when
	// the first of them was due.
	Repeats      int       `json:"repeats,omitempty"`
	RepeatsSince time.Time `json:"repeatsSince,omitzero"`
	// Replays counts how often somebody asked to send it although it was given up.
	Replays int `json:"replays,omitempty"`
}

// Decode returns the intent's event.
func (i Intent) Decode() (notice.Event, error) {
	var c cloudevents.Event
	if err := json.Unmarshal(i.Event, &c); err != nil {
		return notice.Event{}, err
	}
	return notice.Decode(c)
}

// is reports whether the intent is of an event.
func (i Intent) is(generation, sequence int64) bool {
	return i.Generation == generation && i.Sequence == sequence
}

// compare orders events by the job file's generation and the attempt's sequence.
func (i Intent) compare(generation, sequence int64) int {
	switch {
	case i.is(generation, sequence):
		return 0
	case i.Generation < generation, i.Generation == generation && i.Sequence < sequence:
		return -1
	}
	return 1
}

// Lease is the right to send, for a time.
type Lease struct {
	// Owner is a random text: after a lost answer of a write it tells one's own.
	Owner string `json:"owner"`
	// Until is zero once it was given back.
	Until time.Time `json:"until,omitzero"`
}

// SendTime is how long one Send may take. A lease is longer than twice that: a process that stalls for as long as a
// send may take still ends before the next one begins.
const (
	SendTime  = 15 * time.Second
	LeaseTime = 40 * time.Second
)

// Attempt says what became of the events of an attempt.
type Attempt struct {
	Generation int64  `json:"generation"`
	Events     []Told `json:"events"`
}

// Told says what became of an event.
type Told struct {
	Sequence int64       `json:"sequence"`
	Type     string      `json:"type"`
	Kind     notice.Kind `json:"kind"`
	At       time.Time   `json:"at"`
	How      How         `json:"how"`
	// Note says why it was not sent.
	Note string `json:"note,omitempty"`
}

// How says what became of an event.
type How string

// What becomes of events.
const (
	Sent      How = "sent"
	Overtaken How = "overtaken" // a later event says more
	Counted   How = "counted"   // the same rejection was told a short time ago: the next message counts it
	GaveUp    How = "given-up"
)

// Settled says that the events of an attempt were told up to a sequence.
type Settled struct {
	Generation int64 `json:"g"`
	Sequence   int64 `json:"s"`
}

// Rejection is a rejection that was told, by its violations.
type Rejection struct {
	Digest string    `json:"digest"`
	Told   time.Time `json:"told"`
	// Generation is that of its job file; 0 in records of before December 2026.
	Generation int64 `json:"generation,omitempty"`
	// Repeats counts those like it since, of which no message tells yet; Since is when the first came.
	Repeats int       `json:"repeats,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// Bounds of a record. The largest one is computed by a test.
const (
	// MaxRecord is the largest record in bytes of JSON.
	MaxRecord = 16 << 20
	// maxPending and pendingBytes bound what waits; one event always has room, however large. What is above is given up,
	// the oldest first: a destination that is down must not fill the bucket, nor a function's memory.
	maxPending   = 200
	pendingBytes = 3 << 20
	// maxGivenUp and givenUpBytes bound what can be replayed; the newest one always can.
	maxGivenUp   = 200
	givenUpBytes = 1 << 20
	// maxTold is how many attempts are known by their events; a folder seldom has as many in a month. maxSettled is how
	// many more are known by their last sequence: 260 kB, one attempt in ten minutes for 70 days. An older one that
	// comes again is told again.
	maxTold    = 100
	maxSettled = 10_000
	// maxEvents bounds the events of an attempt that are listed: the history of an event has as many.
	maxEvents = 64
	noteText  = 300
	maxFaults = 5
)

// RepeatTime is how long the same rejection is not told again.
const RepeatTime = 6 * time.Hour

// GiveUpTime is how long a destination is tried for an event.
const GiveUpTime = 24 * time.Hour

// Tries are spaced by these, doubling. The first is a bit longer than the minute between ticks would allow, so that the
// tick after next tries at the latest.
const (
	firstPause = 30 * time.Second
	maxPause   = time.Hour
)

// maxAfter bounds what a destination may ask for: a mistaken header must not silence it.
const maxAfter = 6 * time.Hour
