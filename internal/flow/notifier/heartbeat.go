package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// heartbeat is when a destination was reached last by a message that only shows that it can be.
type heartbeat struct {
	// Since is when the first was due, Reached when the last arrived, Tried when the last was sent.
	Since   time.Time `json:"since"`
	Reached time.Time `json:"reached,omitzero"`
	Tried   time.Time `json:"tried,omitzero"`
	Tries   int       `json:"tries,omitempty"`
	Error   string    `json:"error,omitempty"`
}

const heartbeatLimit = 64 << 10

// lateness is how much later than its time a heartbeat may be before people are told: some tries.
const lateness = time.Hour

// heartbeatPause is the time between two tries.
const heartbeatPause = 5 * time.Minute

// heartbeats sends the heartbeats that are due, in the first third of the tick's time, and reports the destinations that
// are not reached.
func (t *tick) heartbeats(ctx context.Context) error {
	var errs []error
	for _, name := range t.file.Destinations() {
		if d, _ := t.file.Destination(name); d.Every > 0 {
			errs = append(errs, t.heartbeat(ctx, d))
		}
	}
	return errors.Join(errs...)
}

func (t *tick) heartbeat(ctx context.Context, d routes.Destination) error {
	n, now := t.n, t.n.now()
	name := heartbeatsFolder + d.Name + ".json"
	var h heartbeat
	data, generation, err := n.store.Read(ctx, n.bucket, name, 0, heartbeatLimit)
	switch {
	case errors.Is(err, job.ErrNotFound):
		h.Since = now
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(data, &h); err != nil {
			return fmt.Errorf("read gs://%s/%s: %w", n.bucket, name, err)
		}
	}
	due := h.Reached.IsZero() || now.Sub(h.Reached) >= d.Every
	if due && now.Sub(h.Tried) >= heartbeatPause && now.Before(t.begin.Add(t.end.Sub(t.begin)/3)) {
		// Written before: another tick at the same time does not send it, too.
		h.Tried, h.Tries = now, h.Tries+1
		if generation, err = n.writeHeartbeat(ctx, name, h, generation); errors.Is(err, attempt.ErrStale) {
			return nil
		} else if err != nil {
			return err
		}
		if err := n.beat(ctx, t.file, d, now); err != nil {
			h.Error = job.BoundText(err.Error(), job.MaxText)
		} else {
			now = n.now() // a slow store, or a slow destination, has taken some of it
			h.Reached, h.Tries, h.Error = now, 0, ""
		}
		if _, err := n.writeHeartbeat(ctx, name, h, generation); err != nil && !errors.Is(err, attempt.ErrStale) {
			return err
		}
	}
	since := h.Reached
	if since.IsZero() {
		since = h.Since.Add(-d.Every) // the first was due at once
	}
	if now.Sub(since) > d.Every+lateness && n.options.Unreached != nil {
		n.options.Unreached(ctx, d, h.Reached, h.Error)
	}
	return nil
}

func (n *Notifier) writeHeartbeat(ctx context.Context, name string, h heartbeat, generation int64) (int64, error) {
	data, err := json.Marshal(h)
	if err != nil {
		return 0, err
	}
	return n.store.Write(ctx, n.bucket, name, data, jsonType, nil, generation)
}

// beat sends a heartbeat.
func (n *Notifier) beat(ctx context.Context, file *routes.File, d routes.Destination, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, delivery.SendTime)
	defer cancel()
	to, err := n.destinations(ctx, file, d)
	if err != nil {
		return err
	}
	m, err := Heartbeat(n.options.Instance, d, now)
	if err != nil {
		return err
	}
	_, err = to.Send(ctx, m)
	return err
}

// Heartbeat returns the message that shows that a destination can be reached.
func Heartbeat(instance string, d routes.Destination, now time.Time) (delivery.Message, error) {
	c := cloudevents.New(cloudevents.CloudEventsVersionV1)
	c.SetID("heartbeat-" + d.Name + "-" + now.UTC().Format("20060102T150405Z"))
	c.SetSource(event.Source(instance))
	c.SetType(string(notice.HeartbeatType))
	c.SetTime(now)
	if err := c.SetData("application/json", map[string]string{"destination": d.Name, "every": d.Every.String()}); err != nil {
		return delivery.Message{}, err
	}
	return delivery.Message{
		ID: c.ID(), Conversation: instance + "/heartbeat/" + d.Name,
		// A later one is newer than those before.
		Event: notice.Event{CloudEvent: c, Generation: now.UnixMicro()},
		Text: notice.Text{
			Level: notice.Good,
			Title: fmt.Sprintf("jobdrop %s reaches %s", instance, d.Name),
			Summary: fmt.Sprintf("This message comes every %s, so that a destination that is no longer reached is noticed. "+
				"Nothing is wrong, and nothing is to be done.", notice.Duration(d.Every)),
		},
	}, nil
}
