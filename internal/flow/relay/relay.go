// Package relay publishes what the ledger holds: it publishes a record's outbox, writes
// status.json, and keeps the index in step.
//
// What was written to the ledger is published at least once, in order. The index remembers what
// was published; the rest is published by the next call.
package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// publisher publishes events of one attempt, in order. They are stored when it returns without an
// error. With an error, the first of them may be stored. It is never called without events.
type publisher interface {
	Publish(ctx context.Context, key string, events []job.Event) error
}

// index is the ledger's index.
type index interface {
	Entry(ctx context.Context, key string) (attempt.Entry, error)
	Mark(ctx context.Context, e attempt.Entry) error
	Close(ctx context.Context, r attempt.Record) error
	// Grant writes that a request made an attempt.
	Grant(ctx context.Context, a attempt.Asked, answer attempt.Answer) error
}

// bucket writes conditionally; see package gcs.
type bucket interface {
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string,
		ifGeneration int64) (int64, error)
}

// Relay publishes records. It is safe for concurrent use.
type Relay struct {
	publisher publisher
	index     index
	bucket    bucket
	status    string
	now       func() time.Time
	hooks     Options
}

// Options holds what a relay can do without.
type Options struct {
	// Published, if set, is called with the events of an attempt that were published together.
	Published func(ctx context.Context, events []job.Event)
}

// New returns a relay that writes status objects to the bucket named status. now is the clock by
// which records are written.
func New(p publisher, i index, b bucket, status string, now func() time.Time, options Options) (*Relay, error) {
	if p == nil || i == nil || b == nil || status == "" || now == nil {
		return nil, errors.New("relay: the publisher, the index, Cloud Storage, the status bucket and the clock are required")
	}
	return &Relay{publisher: p, index: i, bucket: b, status: status, now: now, hooks: options}, nil
}

// Tell publishes the record's unpublished events, writes the status objects, and updates the index
// entry, or deletes it if the record is terminal. known is the entry as it was read, or zero: it
// saves calls and decides nothing. If nothing is new, Tell makes no call. With an error the entry
// stays, so a tick comes back to it. The error is [attempt.ErrTelling] if another worker wrote the
// events a moment ago, and publishes them: once is the habit, at least once the promise.
func (r *Relay) Tell(ctx context.Context, s attempt.Stored, known attempt.Entry) error {
	s.Published = max(s.Published, known.Published)
	if s.Published < s.Sequence && !s.Fresh(r.now()) {
		if s.TellingElsewhere(r.now()) {
			return fmt.Errorf("attempt %s: %w", s.Attempt, attempt.ErrTelling)
		}
		// A tick lists the entries, and comes to them later, and a create may take long: the events may
		// be published since.
		present, err := r.index.Entry(ctx, s.Attempt)
		switch {
		case errors.Is(err, job.ErrNotFound) && known.Attempt != "":
			return nil // closed since
		case err != nil && !errors.Is(err, job.ErrNotFound):
			return err
		case err == nil:
			known, s.Published = present, max(s.Published, present.Published)
		}
	}
	news := s.Published < s.Sequence
	if !news && !s.State.Terminal() && known.Revision == s.Revision {
		return nil
	}
	if known.Revision > s.Revision {
		return nil // the entry is newer than the record: another worker published more
	}
	if a, answer, ok := s.Granted(r.now()); ok && news && s.Published == 0 {
		// Another worker may have refused the request a moment before the record was written, and the one that
		// wrote it may have died: then nobody else would say that it was done.
		if err := r.index.Grant(ctx, a, answer); err != nil {
			return err
		}
	}
	if news {
		if err := r.publish(ctx, s.Attempt, s.TrimOutbox(s.Published).Outbox); err != nil {
			return err
		}
		s.Published = s.Sequence
	}
	entry := attempt.NewEntry(s)
	status, err := r.writeStatus(ctx, s, known.Status)
	entry.Status = status
	if err == nil && s.State.Terminal() {
		return r.index.Close(ctx, s.Record)
	}
	if err != nil {
		entry.Revision, entry.Status = 0, [2]int64{} // only a part was written: a tick has to come back
	}
	return errors.Join(err, r.index.Mark(ctx, entry))
}

// publish publishes events of an attempt. There may be none if the index is behind: a slow worker
// updated it late, and the record has since dropped the published events.
func (r *Relay) publish(ctx context.Context, key string, events []job.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := r.publisher.Publish(ctx, key, events); err != nil {
		return err
	}
	if r.hooks.Published != nil {
		r.hooks.Published(ctx, events)
	}
	return nil
}

// writeStatus writes the attempt's own status object and its folder's. It never replaces a newer
// one. known holds their generations as last written.
func (r *Relay) writeStatus(ctx context.Context, s attempt.Stored, known [2]int64) ([2]int64, error) {
	body, err := json.MarshalIndent(s.Snapshot(), "", "  ")
	if err != nil {
		return known, fmt.Errorf("status of attempt %s: %w", s.Attempt, err)
	}
	body = append(body, '\n')
	prefix, generation := s.Drop.Prefix+"status", s.Number()
	version := version{Attempt: generation, Revision: s.Revision}
	var (
		group sync.WaitGroup
		errs  [2]error
	)
	for i, name := range [2]string{
		prefix + "-" + strconv.FormatInt(generation, 10) + ".json",
		prefix + ".json",
	} {
		if len(name) > longestName {
			continue // no object can have this name; the attempt was rejected for it
		}
		group.Go(func() { known[i], errs[i] = r.writeNewer(ctx, name, body, s.Summary(), version, known[i]) })
	}
	group.Wait()
	return known, errors.Join(errs[:]...)
}

// TellMisnamed writes the status object of a folder without an attempt, if there is none. An attempt
// replaces it: it has no version.
func (r *Relay) TellMisnamed(ctx context.Context, m job.Misnamed) error {
	name := m.Prefix + "status.json"
	if len(name) > longestName {
		return nil
	}
	body, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("gs://%s/%s: %w", r.status, name, err)
	}
	_, err = r.bucket.Write(ctx, r.status, name, append(body, '\n'), "application/json", nil, 0)
	if errors.Is(err, attempt.ErrStale) {
		return nil // an attempt's, or the same
	}
	return err
}

// longestName is Cloud Storage's limit, in bytes.
const longestName = 1024

// version orders the status objects of one name: by attempt, then by revision.
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

// writeNewer writes an object unless the present one is as new. It returns the generation that the
// next write may replace without a read: that of this version, or 0 if the present one is newer. A list of the
// bucket shows what the object is of.
func (r *Relay) writeNewer(ctx context.Context, name string, body []byte, of attempt.Summary, v version,
	known int64) (int64, error) {
	metadata := of.Metadata("jobdrop-")
	metadata[metaAttempt] = strconv.FormatInt(v.Attempt, 10)
	metadata[metaRevision] = strconv.FormatInt(v.Revision, 10)
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
