package notifier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// store is what Notify needs of Cloud Storage. Write is conditional on the generation of the present object and returns
// [attempt.ErrStale] if that differs. Reads of a missing object return [job.ErrNotFound].
type store interface {
	ListAfter(ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string,
		ifGeneration int64) (int64, error)
	Delete(ctx context.Context, bucket, name string) error
}

// The folders of the state bucket that are Notify's own.
const (
	root             = "deliveries/"
	recordsFolder    = root + "folders/"
	openFolder       = root + "open/"
	heartbeatsFolder = root + "heartbeats/"
	parkedFolder     = root + "parked/"
	epochName        = root + "epoch"
)

const jsonType = "application/json"

// swaps is how often a change is tried against other writers before the caller has to come again. Each failure means
// that another writer made progress.
const swaps = 8

// conversation is what a destination is told of a folder by a route.
type conversation struct{ folder, route, destination string }

func (c conversation) path() string { return c.folder + "/" + c.route + "/" + c.destination }

// name returns the name of the conversation's record.
func (c conversation) name() string { return recordsFolder + c.path() + ".json" }

// stored is a record as it was read, or as it was written.
type stored struct {
	delivery.Record
	generation int64
}

// read returns a conversation's record: an empty one if there is none.
func (n *Notifier) read(ctx context.Context, c conversation) (stored, error) {
	s := stored{Record: delivery.Record{
		RecordVersion: delivery.Version, Folder: c.folder, Route: c.route, Destination: c.destination,
	}}
	data, generation, err := n.store.Read(ctx, n.bucket, c.name(), 0, delivery.MaxRecord)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return s, nil
	case err != nil:
		return s, err
	}
	var r delivery.Record
	if err := json.Unmarshal(data, &r); err != nil {
		return s, fmt.Errorf("read gs://%s/%s: %w", n.bucket, c.name(), err)
	}
	if r.RecordVersion > delivery.Version {
		return s, fmt.Errorf("gs://%s/%s is of version %d, this revision knows %d: deploy the newer one again", n.bucket, c.name(),
			r.RecordVersion, delivery.Version)
	}
	return stored{r, generation}, nil
}

// swap changes a record by compare-and-swap. step is called again with what another writer wrote meanwhile; it reports
// whether there is anything to write.
func (n *Notifier) swap(
	ctx context.Context, c conversation, s stored, step func(delivery.Record) (delivery.Record, bool),
) (stored, error) {
	for range swaps {
		next, changed := step(s.Record)
		if !changed {
			return stored{next, s.generation}, nil
		}
		next.RecordVersion = delivery.Version
		data, err := json.Marshal(next)
		if err != nil {
			return s, fmt.Errorf("write gs://%s/%s: %w", n.bucket, c.name(), err)
		}
		generation, err := n.store.Write(ctx, n.bucket, c.name(), data, jsonType, nil, s.generation)
		if err == nil {
			return stored{next, generation}, nil
		}
		if !errors.Is(err, attempt.ErrStale) {
			return s, err
		}
		if s, err = n.read(ctx, c); err != nil {
			return s, err
		}
	}
	return s, fmt.Errorf("write gs://%s/%s: %w", n.bucket, c.name(), attempt.ErrStale)
}

// entry is an entry of the index: an event that may still have to be sent, or a newest event that has to be shown again.
type entry struct {
	conversation
	// last is the end of the name: <generation>-<sequence>, with -<replays> if it was replayed, or refresh-<owner>.
	last string
	// next is when the next try is due, since when the first was.
	next, since time.Time
	// asked is set if somebody asked to send it now, whatever the destination asks.
	asked bool
}

func (e entry) name() string { return openFolder + e.path() + "/" + e.last }

// entryOf returns the entry of an event.
func entryOf(c conversation, i delivery.Intent) entry {
	last := strconv.FormatInt(i.Generation, 10) + "-" + strconv.FormatInt(i.Sequence, 10)
	if i.Replays > 0 {
		last += "-" + strconv.Itoa(i.Replays)
	}
	return entry{c, last, i.Next, i.Since, false}
}

// refreshPrefix begins the last part of the entry of a newest event that has to be shown again.
const refreshPrefix = "refresh-"

// refreshOf returns a new entry of the newest event, which has to be shown again.
func (n *Notifier) refreshOf(s stored) entry {
	c := conversation{s.Folder, s.Route, s.Destination}
	return entry{c, refreshPrefix + n.nonce(), s.Newest.Next, n.now(), false}
}

// The metadata of an entry, so that one list is enough to know what is due, and for how long it has waited.
const (
	metadataNext  = "jobdrop-next"
	metadataSince = "jobdrop-since"
	metadataAsked = "jobdrop-asked"
)

// open writes an entry of the index.
func (n *Notifier) open(ctx context.Context, e entry) error {
	metadata := map[string]string{
		metadataNext: e.next.UTC().Format(time.RFC3339), metadataSince: e.since.UTC().Format(time.RFC3339),
	}
	if e.asked {
		metadata[metadataAsked] = "true"
	}
	_, err := n.store.Write(ctx, n.bucket, e.name(), []byte("{}"), jsonType, metadata, attempt.AnyGeneration)
	return err
}

// close deletes an entry. Its record says what became of the event, and says so for good.
func (n *Notifier) close(ctx context.Context, e entry) error {
	return n.store.Delete(ctx, n.bucket, e.name())
}

// parseEntry reads an entry from an object of a list.
func parseEntry(o job.Attributes) (entry, bool) {
	parts := strings.Split(strings.TrimPrefix(o.Name, openFolder), "/")
	if len(parts) != 4 {
		return entry{}, false
	}
	// Without them the entry is due: the record knows.
	next, _ := time.Parse(time.RFC3339, o.Metadata[metadataNext])
	since, _ := time.Parse(time.RFC3339, o.Metadata[metadataSince])
	return entry{conversation{parts[0], parts[1], parts[2]}, parts[3], next, since, o.Metadata[metadataAsked] != ""}, true
}

// Park keeps a message that could not be decoded, for people to look at.
func (n *Notifier) Park(ctx context.Context, source, id string, message any, cause error) error {
	sum := sha256.Sum256([]byte(source + "\x00" + id))
	name := parkedFolder + hex.EncodeToString(sum[:])[:40] + ".json"
	data, err := json.Marshal(map[string]any{"source": source, "id": id, "message": message, "error": cause.Error()})
	if err != nil {
		return fmt.Errorf("write gs://%s/%s: %w", n.bucket, name, err)
	}
	_, err = n.store.Write(ctx, n.bucket, name, data, jsonType, nil, attempt.AnyGeneration)
	return err
}

// started returns when the installation's Notify was first started. What happened before is not told. The answer is
// kept. Nobody waits for another request that asks at the same time: that one's call may hang.
func (n *Notifier) started(ctx context.Context) (time.Time, error) {
	n.mu.Lock()
	epoch := n.epoch
	n.mu.Unlock()
	if !epoch.IsZero() {
		return epoch, nil
	}
	text := n.now().Add(-firstMargin).UTC().Format(time.RFC3339)
	data, _, err := n.store.Read(ctx, n.bucket, epochName, 0, epochLimit)
	if errors.Is(err, job.ErrNotFound) {
		_, err = n.store.Write(ctx, n.bucket, epochName, []byte(text), "text/plain", nil, 0)
		data = []byte(text)
		if errors.Is(err, attempt.ErrStale) { // another process was first, or this one's answer was lost
			data, _, err = n.store.Read(ctx, n.bucket, epochName, 0, epochLimit)
		}
	}
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(data)))
	if err != nil {
		return time.Time{}, fmt.Errorf("gs://%s/%s: %w", n.bucket, epochName, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.epoch = at
	return at, nil
}

const (
	// firstMargin is how old an event may be that wakes Notify for the first time: it happened before that.
	firstMargin = 10 * time.Minute
	epochLimit  = 1 << 10
)

// attemptOf returns an attempt's folder and generation.
func attemptOf(attempt string) (folder string, generation int64, ok bool) {
	folder, text, found := strings.Cut(attempt, "-")
	generation, err := strconv.ParseInt(text, 10, 64)
	return folder, generation, found && err == nil && len(folder) == 40
}

// conversationOf reads the name of a record.
func conversationOf(name string) (conversation, bool) {
	rest, ok := strings.CutSuffix(strings.TrimPrefix(name, recordsFolder), ".json")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 || path.Clean(rest) != rest {
		return conversation{}, false
	}
	return conversation{parts[0], parts[1], parts[2]}, true
}
