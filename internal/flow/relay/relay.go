// Package relay tells others what the ledger holds: it publishes a record's
// outbox, writes status.json, and keeps the index in step.
//
// What was written to the ledger is published at least once, in order: the
// index remembers what went out, and what did not goes out with the next call.
package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// publisher publishes events of one attempt, in order; they are stored when it
// returns without an error, and the first of them may be where it returns one. It is
// never called without events.
type publisher interface {
	Publish(ctx context.Context, key string, events []job.Event) error
}

// index is the ledger's.
type index interface {
	Mark(ctx context.Context, e attempt.Entry) error
	Close(ctx context.Context, key string) error
}

// bucket writes conditionally; see package gcs.
type bucket interface {
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string, ifGeneration int64) (int64, error)
}

// Relay is safe for concurrent use.
type Relay struct {
	publisher publisher
	index     index
	bucket    bucket
	status    string
	// Published, where set, is called with the events of an attempt that were
	// published at once.
	Published func(ctx context.Context, events []job.Event)
}

// New makes a relay that writes status objects to the bucket named status.
func New(p publisher, i index, b bucket, status string) (*Relay, error) {
	if p == nil || i == nil || b == nil || status == "" {
		return nil, errors.New("relay: the publisher, the index, Cloud Storage and the status bucket are required")
	}
	return &Relay{publisher: p, index: i, bucket: b, status: status}, nil
}

// Tell publishes what the record holds unpublished, writes the status objects,
// and marks the index entry, or deletes it where the record is terminal. known
// is the entry as it was read, or zero: it saves calls and decides nothing.
// Told again with nothing new it makes no call. With an error the entry stays,
// so a tick comes back to it.
func (r *Relay) Tell(ctx context.Context, s attempt.Stored, known attempt.Entry) error {
	s.Published = max(s.Published, known.Published)
	news := s.Published < s.Sequence
	if !news && !s.State.Terminal() && known.Revision == s.Revision {
		return nil
	}
	if known.Revision > s.Revision {
		return nil // the entry is younger than the record as it was read: another told more
	}
	if news {
		if err := r.publish(ctx, s.Attempt, s.Record.Published(s.Published).Outbox); err != nil {
			return err
		}
		s.Published = s.Sequence
	}
	entry := attempt.NewEntry(s)
	status, err := r.writeStatus(ctx, s, known.Status)
	entry.Status = status
	if err == nil && s.State.Terminal() {
		return r.index.Close(ctx, s.Attempt)
	}
	if err != nil {
		entry.Revision, entry.Status = 0, [2]int64{} // told in part: a tick has to come back
	}
	return errors.Join(err, r.index.Mark(ctx, entry))
}

// publish publishes events of an attempt. There are none where the index is behind: a
// slow worker marked it late, and the record has left out since what was published.
func (r *Relay) publish(ctx context.Context, key string, events []job.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := r.publisher.Publish(ctx, key, events); err != nil {
		return err
	}
	if r.Published != nil {
		r.Published(ctx, events)
	}
	return nil
}

// writeStatus writes the attempt's own status object and its folder's, neither
// ever backwards. known are their generations as last written.
func (r *Relay) writeStatus(ctx context.Context, s attempt.Stored, known [2]int64) ([2]int64, error) {
	body, err := json.MarshalIndent(s.Snapshot(), "", "  ")
	if err != nil {
		return known, fmt.Errorf("status of attempt %s: %w", s.Attempt, err)
	}
	prefix, generation := s.Drop.Prefix+"status", s.Drop.JobFile.Generation
	version := version{Attempt: generation, Revision: s.Revision}
	for i, name := range [2]string{
		prefix + "-" + strconv.FormatInt(generation, 10) + ".json",
		prefix + ".json",
	} {
		if len(name) > longestName {
			continue // there can be no such object; the attempt was rejected for it
		}
		if known[i], err = r.writeNewer(ctx, name, append(body, '\n'), version, known[i]); err != nil {
			return known, err
		}
	}
	return known, nil
}

// longestName is Cloud Storage's, in bytes.
const longestName = 1024

// version orders status objects of one name: a later attempt is newer, and so
// is a later revision of the same one.
type version struct{ Attempt, Revision int64 }

func (v version) newer(than version) bool {
	return v.Attempt > than.Attempt || v.Attempt == than.Attempt && v.Revision > than.Revision
}

const (
	metaAttempt  = "jobdrop-attempt-generation"
	metaRevision = "jobdrop-revision"
)

// attempts is how often a write is tried against other writers.
const attempts = 5

// writeNewer writes an object unless what stands there is as new. It gives the
// generation that may be written over next time without a look: that of this
// version, or 0 where a newer one stands there.
func (r *Relay) writeNewer(ctx context.Context, name string, body []byte, v version, known int64) (int64, error) {
	metadata := map[string]string{
		metaAttempt:  strconv.FormatInt(v.Attempt, 10),
		metaRevision: strconv.FormatInt(v.Revision, 10),
	}
	for range attempts {
		generation, err := r.bucket.Write(ctx, r.status, name, body, "application/json", metadata, known)
		if err == nil {
			return generation, nil
		}
		if !errors.Is(err, attempt.ErrStale) {
			return known, err
		}
		found, err := r.bucket.Stat(ctx, r.status, name)
		if errors.Is(err, job.ErrNotFound) {
			known = 0 // deleted meanwhile
			continue
		} else if err != nil {
			return known, err
		}
		var there version
		there.Attempt, _ = strconv.ParseInt(found.Metadata[metaAttempt], 10, 64)
		there.Revision, _ = strconv.ParseInt(found.Metadata[metaRevision], 10, 64)
		switch known = found.Generation; {
		case there.newer(v):
			return 0, nil
		case there == v:
			return known, nil
		}
	}
	return known, fmt.Errorf("gs://%s/%s: %w, %d times", r.status, name, attempt.ErrStale, attempts)
}
