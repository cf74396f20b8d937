package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// topic keeps what was published, as a subscriber does that keeps the last
// sequence of each attempt.
type topic struct {
	w    *world
	logs map[string][]job.Event
}

// largest is how much Pub/Sub takes in one request, in bytes.
const largest = 10_000_000

// Publish stores events of an attempt, in order: all of them, or the first ones where
// the rest is refused.
func (p *topic) Publish(ctx context.Context, attempt string, events []job.Event) error {
	events = slices.Clone(events)
	return p.w.call(ctx, 20*time.Second, fmt.Sprintf("publish %d of %s", len(events), attempt), func() error {
		if len(events) == 0 {
			return errors.New("INVALID_ARGUMENT: no messages")
		}
		stored := len(events)
		if !p.w.weather.calm && p.w.chance(p.w.weather.partial) {
			stored = p.w.rng.IntN(len(events))
		}
		for _, e := range events[:stored] {
			p.store(attempt, e)
		}
		if stored < len(events) {
			return errServer
		}
		return nil
	})
}

// store takes an event as a subscriber does. The caller holds the world's mu.
func (p *topic) store(attempt string, e job.Event) {
	if p.w.notify != nil {
		p.w.notify.publish(e)
	}
	log := p.logs[attempt]
	n := int64(len(log))
	body, err := json.Marshal(e)
	must(err)
	if len(body) > largest {
		p.w.fail("attempt %s: event %d has %d bytes, more than a topic takes", attempt, e.Body.Sequence, len(body))
	}
	switch {
	case e.Body.Sequence == n+1:
		if n > 0 && log[n-1].Body.State.Terminal() {
			p.w.fail("attempt %s: %s follows the verdict %s", attempt, e.Type, log[n-1].Type)
		}
		p.w.checkLag(fmt.Sprintf("%s-%d", attempt, e.Body.Sequence), e.Type)
		p.logs[attempt] = append(log, e)
	case e.Body.Sequence > n+1:
		p.w.fail("attempt %s: event %d, %s, follows %d", attempt, e.Body.Sequence, e.Type, n)
	default:
		first, err := json.Marshal(log[e.Body.Sequence-1])
		must(err)
		if !bytes.Equal(first, body) {
			p.w.fail("attempt %s: event %d was %s and is %s", attempt, e.Body.Sequence, first, body)
		}
	}
}
