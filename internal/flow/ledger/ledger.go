// Package ledger keeps jobdrop's own durable records as objects of the state
// bucket. The bucket is its database: Cloud Storage is strongly consistent and
// writes conditionally.
//
//	attempts/<key>.json  the record of an attempt; compare-and-swap only
//	open/<key>           the index entry of an attempt without a verdict: a hint
//	recent/<time>-<key>  an attempt, in the index by time: a hint
//	ended/<state>/<time>-<key>  an attempt with its verdict, in the index by time: a hint
//	folders/<key>.json   a folder's newest attempt, and the packages of decided attempts
//	jobs/<jobID>.json    the attempt that owns a job ID
//	names/<name>.json    the attempt of a job that the backend gave a name of its own: a hint
//	turns.json           the turns given under limits on the number of jobs
//	queue.json           who waits for a turn, for people and programs to read
//	cursors.json         the positions of scans that take several ticks
//	heartbeat.json       the latest tick
//	epoch                when the installation was first started
//	strangers/<key>.json a job at the backend that has no record
//	parked/<key>.json    a message that could not be decoded
//	requests/<key>/<id>.json  what somebody asks for an attempt; people write it
//	results/<key>/<id>.json   what came of it
//
// An index entry is written before its record; of a rerun right after it, and until
// then its request is in the place of the entry. The entry is deleted only when the record
// is terminal and its events are published, so a tick finds whatever a crash leaves.
//
// The index by time is for whoever asks what happened: an attempt is put into
// recent/ before its record is written, and into ended/ before its index entry is
// deleted. Its names begin with the time of the job file, reversed, so that the
// newest is listed first; they are created once and never changed. Nothing is
// decided by it, it may be deleted by age, and a tick puts back what is missing of
// attempts that changed lately. [Reader] reads it.
//
// One object name takes about one write a second. Every name here belongs to one
// attempt, folder or job, except turns.json, queue.json, cursors.json and
// heartbeat.json: only ticks write those, once each.
package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// store is what the ledger needs of Cloud Storage. Write is conditional on the generation of the
// present object and returns [attempt.ErrStale] if that differs. Reads of a missing object return
// [job.ErrNotFound].
type store interface {
	ListAfter(ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string,
		ifGeneration int64) (int64, error)
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	Delete(ctx context.Context, bucket, name string) error
	DeleteAt(ctx context.Context, bucket, name string, generation int64) error
}

// swaps is how often a change is tried against other writers before the caller has to come again.
// Each failure means that another writer made progress.
const swaps = 8

const jsonType = "application/json"

// Ledger stores records in the state bucket. It is safe for concurrent use.
type Ledger struct {
	store  store
	bucket string
	hooks  Options
}

// Options holds what a ledger can do without.
type Options struct {
	// Transition, if set, is called after each transition that this process wrote.
	Transition func(ctx context.Context, before, after attempt.Record)
}

// New returns a ledger in a bucket.
func New(s store, bucket string, options Options) (*Ledger, error) {
	if s == nil || bucket == "" {
		return nil, errors.New("ledger: the store and the state bucket are required")
	}
	return &Ledger{store: s, bucket: bucket, hooks: options}, nil
}

// Get returns an attempt's record, or [job.ErrNotFound].
func (l *Ledger) Get(ctx context.Context, key string) (attempt.Stored, error) {
	return readRecord(ctx, l.store, l.bucket, key)
}

// readRecord reads an attempt's record.
func readRecord(ctx context.Context, from interface {
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
}, bucket, key string) (attempt.Stored, error) {
	var s attempt.Stored
	data, generation, err := from.Read(ctx, bucket, recordName(key), 0, attempt.MaxRecord)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s.Record); err != nil {
		return s, fmt.Errorf("record of attempt %s: %w", key, err)
	}
	if s.Attempt != key {
		return s, fmt.Errorf("record of attempt %s names attempt %s", key, s.Attempt)
	}
	s.Generation = generation
	return s, nil
}

// Apply applies an observation to a record by compare-and-swap. If another worker wrote meanwhile,
// it reads the record again and applies the observation to that. It returns the record as it is
// afterwards. applied reports whether the observation changed it. Apply writes the record once, or
// not at all.
func (l *Ledger) Apply(
	ctx context.Context, s attempt.Stored, o attempt.Observation, now time.Time,
) (after attempt.Stored, applied bool, err error) {
	for range swaps {
		next, changed, err := attempt.Step(s.TrimOutbox(s.Published), o, now)
		if err != nil || !changed {
			return s, false, err
		}
		if err := l.name(ctx, s.Record, next); err != nil {
			return s, false, err
		}
		next.Writer = rand.Text()
		data, err := json.Marshal(next)
		if len(data) > attempt.MaxRecord { // it could not be read back
			next, data, err = next.Within(attempt.MaxRecord)
		}
		if err != nil {
			return s, false, fmt.Errorf("record of attempt %s: %w", s.Attempt, err)
		}
		generation, err := l.store.Write(ctx, l.bucket, recordName(s.Attempt), data, jsonType, filed(next), s.Generation)
		if err == nil {
			if l.hooks.Transition != nil {
				l.hooks.Transition(ctx, s.Record, next)
			}
			return attempt.Stored{Record: next, Generation: generation, Published: s.Published, Own: true}, true, nil
		}
		if !errors.Is(err, attempt.ErrStale) {
			return s, false, err
		}
		published, before := s.Published, s.Record
		if s, err = l.Get(ctx, s.Attempt); err != nil {
			return s, false, err
		}
		s.Published = published
		if s.Writer == next.Writer { // our own write, whose answer was lost
			if l.hooks.Transition != nil {
				l.hooks.Transition(ctx, before, s.Record)
			}
			s.Own = true
			return s, true, nil
		}
	}
	return s, false, fmt.Errorf("attempt %s: %w, %d times", s.Attempt, attempt.ErrStale, swaps)
}

// name notes the attempt of a job that the backend gave a name of its own. It does so before the
// record has the name: later nobody would, and no hint of the job would find the attempt.
func (l *Ledger) name(ctx context.Context, before, after attempt.Record) error {
	name := path.Base(after.Job.ResourceName)
	if after.Job.ResourceName == before.Job.ResourceName || name == after.Job.ID {
		return nil
	}
	err := l.write(ctx, "names/"+name+".json", attempt.Owner{Attempt: after.Attempt}, 0)
	if errors.Is(err, attempt.ErrStale) {
		return nil // it is there
	}
	return err
}

// Open puts an attempt on the index and into the index by time, before its record is written. What is already
// there stays as it is. It reports whether the attempt was not on the index.
func (l *Ledger) Open(ctx context.Context, e attempt.Entry) (made bool, err error) {
	var (
		group  sync.WaitGroup
		recent error
	)
	group.Go(func() { _, recent = l.place(ctx, recentName(e.Summary()), e.Summary()) })
	made, err = l.once(ctx, entryName(e.Attempt), metadata(e))
	group.Wait()
	return made, errors.Join(err, recent)
}

// Restore puts an attempt that has a record on the index, and into the index by time before that: whoever finds it on
// the index does not look there.
func (l *Ledger) Restore(ctx context.Context, e attempt.Entry) error {
	if _, err := l.place(ctx, recentName(e.Summary()), e.Summary()); err != nil {
		return err
	}
	_, err := l.once(ctx, entryName(e.Attempt), metadata(e))
	return err
}

// once makes an object without content, and reports whether it was not there before.
func (l *Ledger) once(ctx context.Context, name string, metadata map[string]string) (made bool, err error) {
	_, err = l.store.Write(ctx, l.bucket, name, nil, "text/plain", metadata, 0)
	if errors.Is(err, attempt.ErrStale) {
		return false, nil
	}
	return err == nil, err
}

// Entry returns an attempt's index entry. It returns [job.ErrNotFound] if nothing is left to do or
// to publish for the attempt, or if the attempt was never seen.
func (l *Ledger) Entry(ctx context.Context, key string) (attempt.Entry, error) {
	o, err := l.store.Stat(ctx, l.bucket, entryName(key))
	if err != nil {
		return attempt.Entry{}, err
	}
	return parseEntry(key, o), nil
}

// Mark rewrites an attempt's index entry.
func (l *Ledger) Mark(ctx context.Context, e attempt.Entry) error {
	_, err := l.store.Write(ctx, l.bucket, entryName(e.Attempt), nil, "text/plain", metadata(e), attempt.AnyGeneration)
	return err
}

// Close takes an attempt off the index, and puts it among those that ended. Its record is terminal, and its
// events are published.
func (l *Ledger) Close(ctx context.Context, r attempt.Record) error {
	if _, err := l.place(ctx, endedName(r.Summary()), r.Summary()); err != nil {
		return err
	}
	return l.store.Delete(ctx, l.bucket, entryName(r.Attempt))
}

// filed returns the metadata of a record.
func filed(r attempt.Record) map[string]string {
	m := r.Summary().Metadata("")
	m["revision"] = strconv.FormatInt(r.Revision, 10)
	return m
}

// Has reports whether there is a record of an attempt, without reading it.
func (l *Ledger) Has(ctx context.Context, key string) (bool, error) {
	_, err := l.store.Stat(ctx, l.bucket, recordName(key))
	if errors.Is(err, job.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Filed calls page for each page of the records after one attempt's, with at most 1,000 records
// each.
func (l *Ledger) Filed(ctx context.Context, after string, page func([]attempt.Filed) error) error {
	const prefix, suffix = "attempts/", ".json"
	if after != "" {
		after = recordName(after)
	}
	return l.store.ListAfter(ctx, l.bucket, prefix, after, func(objects []job.Attributes) error {
		all := make([]attempt.Filed, 0, len(objects))
		for _, o := range objects {
			revision, _ := strconv.ParseInt(o.Metadata["revision"], 10, 64)
			key := strings.TrimSuffix(strings.TrimPrefix(o.Name, prefix), suffix)
			all = append(all, attempt.Filed{
				Summary: attempt.ParseSummary(key, o.Metadata), Revision: revision, Written: o.Created,
			})
		}
		return page(all)
	})
}

// Entries calls page for each page of the index after one attempt, in the order of the attempts,
// with at most 1,000 entries each.
func (l *Ledger) Entries(ctx context.Context, after string, page func([]attempt.Entry) error) error {
	if after != "" {
		after = entryName(after)
	}
	return l.store.ListAfter(ctx, l.bucket, openFolder, after, func(objects []job.Attributes) error {
		entries := make([]attempt.Entry, 0, len(objects))
		for _, o := range objects {
			entries = append(entries, parseEntry(strings.TrimPrefix(o.Name, openFolder), o))
		}
		return page(entries)
	})
}

func metadata(e attempt.Entry) map[string]string {
	m := map[string]string{
		"bucket":    e.Bucket,
		"job-file":  e.JobFile,
		"state":     string(e.State),
		"job-state": string(e.BackendState),
		"job-id":    e.JobID,
		"published": strconv.FormatInt(e.Published, 10),
		"sequence":  strconv.FormatInt(e.Sequence, 10),
		"revision":  strconv.FormatInt(e.Revision, 10),
		"status":    fmt.Sprintf("%d %d", e.Status[0], e.Status[1]),
		"shown":     string(e.Shown),
	}
	if e.CorrelationID != "" {
		m["correlation-id"] = attempt.Header(e.CorrelationID)
	}
	if e.Waits != "" {
		m["waits"] = e.Waits
		m["needs"] = strconv.FormatInt(e.Needs, 10)
	}
	if e.CreateUnknown {
		m["doubtful"] = "true"
	}
	if e.Replayed {
		m["replayed"] = "true"
	}
	if e.Absent {
		m["absent"] = "true"
	}
	if e.Resource != "" {
		m["resource"] = e.Resource
	}
	if e.Opened.Parts != "" {
		m["parts"], m["opened-by"] = e.Opened.Parts, e.Opened.By
	}
	for name, t := range times(&e) {
		if !t.IsZero() {
			m[name] = t.UTC().Format(time.RFC3339Nano)
		}
	}
	return m
}

// times returns the times of an entry by their names.
func times(e *attempt.Entry) map[string]*time.Time {
	return map[string]*time.Time{
		"due": &e.Due, "accepted": &e.Accepted, "created": &e.Created, "submit-by": &e.SubmitBy, "dropped": &e.Dropped,
	}
}

// parseEntry never fails: an entry that is damaged in part only costs a read of its record. An
// earlier revision wrote the job's state under the key trainer.
func parseEntry(key string, o job.Attributes) attempt.Entry {
	m := o.Metadata
	number := func(s string) int64 {
		n, _ := strconv.ParseInt(s, 10, 64)
		return n
	}
	e := attempt.Entry{
		Attempt: key, Bucket: m["bucket"], JobFile: m["job-file"],
		State: job.State(m["state"]), BackendState: job.BackendState(cmp.Or(m["job-state"], m["trainer"])),
		JobID: m["job-id"], Published: number(m["published"]), Sequence: number(m["sequence"]),
		Revision: number(m["revision"]),
	}
	e.Waits, e.Resource, e.CreateUnknown, e.Absent = m["waits"], m["resource"], m["doubtful"] != "", m["absent"] != ""
	if e.Replayed = m["replayed"] != ""; e.Waits != "" {
		e.Needs = number(cmp.Or(m["needs"], strconv.Itoa(attempt.UnknownNeeds)))
	}
	e.Opened, e.Written = attempt.Opened{Parts: m["parts"], By: m["opened-by"]}, o.Created
	e.Shown, e.CorrelationID = job.State(m["shown"]), attempt.FromHeader(m["correlation-id"])
	for name, t := range times(&e) {
		*t, _ = time.Parse(time.RFC3339Nano, m[name])
	}
	first, second, _ := strings.Cut(m["status"], " ")
	e.Status = [2]int64{number(first), number(second)}
	return e
}

// noteLimit bounds the read of a folder's note. The largest one, with a thousand packages and a
// thousand contents, has some 190 KB. A test makes it.
const noteLimit = 256 << 10

// FolderNote returns a folder's note; an empty one if there is none yet.
func (l *Ledger) FolderNote(ctx context.Context, bucket, folder string) (attempt.FolderNote, error) {
	var n attempt.FolderNote
	generation, err := l.read(ctx, noteName(bucket, folder), noteLimit, &n)
	if errors.Is(err, job.ErrNotFound) {
		return attempt.FolderNote{}, nil
	}
	n.Generation = generation
	return n, err
}

// SwapFolderNote replaces the folder's note that was read at n.Generation. It returns [attempt.ErrStale]
// if another was faster.
func (l *Ledger) SwapFolderNote(ctx context.Context, bucket, folder string, n attempt.FolderNote) error {
	return l.write(ctx, noteName(bucket, folder), n, n.Generation)
}

func noteName(bucket, folder string) string {
	return "folders/" + job.FolderKey(bucket, folder) + ".json"
}

// ClaimID claims a job ID for an attempt. If another attempt owns it, ClaimID returns that owner
// and changes nothing.
func (l *Ledger) ClaimID(
	ctx context.Context, jobID string, own attempt.Owner,
) (owner attempt.Owner, claimed bool, err error) {
	name := "jobs/" + jobID + ".json"
	err = l.write(ctx, name, own, 0)
	if err == nil {
		return own, true, nil
	}
	if !errors.Is(err, attempt.ErrStale) {
		return attempt.Owner{}, false, err
	}
	if owner.Generation, err = l.read(ctx, name, smallLimit, &owner); err != nil {
		return attempt.Owner{}, false, err
	}
	return owner, owner.Attempt == own.Attempt, nil
}

// Owner returns the attempt that owns a job ID, or [job.ErrNotFound].
func (l *Ledger) Owner(ctx context.Context, jobID string) (owner attempt.Owner, err error) {
	owner.Generation, err = l.read(ctx, "jobs/"+jobID+".json", smallLimit, &owner)
	return owner, err
}

// Named returns the attempt of a job that a backend without IDs of ours calls so, or
// [job.ErrNotFound].
func (l *Ledger) Named(ctx context.Context, name string) (owner attempt.Owner, err error) {
	owner.Generation, err = l.read(ctx, "names/"+name+".json", smallLimit, &owner)
	return owner, err
}

// TakeID takes a job ID over from an owner that gave it up, as returned by [Ledger.ClaimID]. It
// returns [attempt.ErrStale] if a third attempt was faster.
func (l *Ledger) TakeID(ctx context.Context, jobID string, from, own attempt.Owner) error {
	return l.write(ctx, "jobs/"+jobID+".json", own, from.Generation)
}

const turnsName = "turns.json"

// Turns returns the turns that were given; none if none ever was. The error wraps [attempt.ErrNewerRecord] if a newer
// revision gave them.
func (l *Ledger) Turns(ctx context.Context) (attempt.Turns, error) {
	return readTurns(ctx, l.store, l.bucket)
}

// readTurns reads the note of the turns in the state bucket.
func readTurns(ctx context.Context, from interface {
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
}, bucket string) (attempt.Turns, error) {
	var t attempt.Turns
	data, generation, err := from.Read(ctx, bucket, turnsName, 0, attempt.MaxTurns)
	if errors.Is(err, job.ErrNotFound) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return t, fmt.Errorf("read gs://%s/%s: %w", bucket, turnsName, err)
	}
	if t.Version > attempt.TurnsVersion {
		return attempt.Turns{}, fmt.Errorf("gs://%s/%s has version %d, and this revision knows %d: deploy the newer one again: %w",
			bucket, turnsName, t.Version, attempt.TurnsVersion, attempt.ErrNewerRecord)
	}
	t.Generation = generation
	return t, nil
}

// GiveTurns replaces the turns that were read at t.Generation. It returns [attempt.ErrStale] if
// another was faster.
func (l *Ledger) GiveTurns(ctx context.Context, t attempt.Turns) error {
	t.Version = attempt.TurnsVersion
	return l.write(ctx, turnsName, t, t.Generation)
}

const queueName = "queue.json"

// QueueGeneration returns the generation of the note of the queue, 0 if there is none.
func (l *Ledger) QueueGeneration(ctx context.Context) (int64, error) {
	o, err := l.store.Stat(ctx, l.bucket, queueName)
	if errors.Is(err, job.ErrNotFound) {
		return 0, nil
	}
	return o.Generation, err
}

// WriteQueue replaces the note of the queue that was written as the given generation, and returns the new one's
// generation. If another was faster, the error is [attempt.ErrStale], and the generation is the present note's.
func (l *Ledger) WriteQueue(ctx context.Context, q attempt.Queue, generation int64) (int64, error) {
	data, err := json.Marshal(q)
	if err != nil {
		return generation, fmt.Errorf("write gs://%s/%s: %w", l.bucket, queueName, err)
	}
	written, err := l.store.Write(ctx, l.bucket, queueName, data, jsonType, nil, generation)
	if !errors.Is(err, attempt.ErrStale) {
		return written, err
	}
	present, statErr := l.store.Stat(ctx, l.bucket, queueName)
	if statErr != nil && !errors.Is(statErr, job.ErrNotFound) {
		return generation, statErr
	}
	return present.Generation, err
}

const cursorsName = "cursors.json"

// Cursors returns the scans' positions, which are empty if there are none yet. With an error they
// are empty too. If the note is damaged, they have its generation, so that another can be written
// in its place.
func (l *Ledger) Cursors(ctx context.Context) (attempt.Cursors, error) {
	var c attempt.Cursors
	generation, err := l.read(ctx, cursorsName, smallLimit, &c)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return attempt.Cursors{}, nil
	case errors.Is(err, job.ErrTooLarge):
		if o, statErr := l.store.Stat(ctx, l.bucket, cursorsName); statErr == nil {
			generation = o.Generation
		}
	}
	if err != nil {
		c = attempt.Cursors{}
	}
	c.Generation = generation
	return c, err
}

// MoveCursors replaces the cursors that were read at c.Generation. It returns [attempt.ErrStale]
// if another was faster.
func (l *Ledger) MoveCursors(ctx context.Context, c attempt.Cursors) error {
	return l.write(ctx, cursorsName, c, c.Generation)
}

// epoch holds the time at which the installation was first started.
type epoch struct {
	At time.Time `json:"at"`
}

const epochName = "epoch"

// Epoch returns when the installation was first started, or [job.ErrNotFound].
func (l *Ledger) Epoch(ctx context.Context) (time.Time, error) {
	var e epoch
	_, err := l.read(ctx, epochName, smallLimit, &e)
	if err == nil && e.At.IsZero() {
		err = fmt.Errorf("gs://%s/%s names no time", l.bucket, epochName)
	}
	return e.At, err
}

// Begin records when the installation was first started. It changes nothing if that was recorded
// before.
func (l *Ledger) Begin(ctx context.Context, at time.Time) error {
	err := l.write(ctx, epochName, epoch{at.UTC()}, 0)
	if errors.Is(err, attempt.ErrStale) {
		return nil
	}
	return err
}

// Beat writes what the latest tick did.
func (l *Ledger) Beat(ctx context.Context, heartbeat any) error {
	return l.write(ctx, "heartbeat.json", heartbeat, attempt.AnyGeneration)
}

// Stranger reports whether a job that nobody follows was recorded before.
func (l *Ledger) Stranger(ctx context.Context, jobID, resource string) (known bool, err error) {
	_, err = l.store.Stat(ctx, l.bucket, strangerName(jobID, resource))
	if errors.Is(err, job.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// KeepStranger keeps a job that nobody follows, once people were told of it.
func (l *Ledger) KeepStranger(ctx context.Context, jobID, resource string, found any) error {
	return l.write(ctx, strangerName(jobID, resource), found, attempt.AnyGeneration)
}

func strangerName(jobID, resource string) string {
	sum := sha256.Sum256([]byte(jobID + "\x00" + resource))
	return "strangers/" + hex.EncodeToString(sum[:])[:40] + ".json"
}

// Park keeps a message that could not be decoded, for people to look at.
func (l *Ledger) Park(ctx context.Context, source, id string, message any, cause error) error {
	sum := sha256.Sum256([]byte(source + "\x00" + id))
	return l.write(ctx, "parked/"+hex.EncodeToString(sum[:])[:40]+".json", map[string]any{
		"source": source, "id": id, "message": message, "error": cause.Error(),
	}, attempt.AnyGeneration)
}

// smallLimit bounds the read of an object that holds a few names and times.
const smallLimit = 64 << 10

// read decodes an object. If it can't be decoded, read returns its generation with the error.
func (l *Ledger) read(ctx context.Context, name string, limit int64, into any) (int64, error) {
	data, generation, err := l.store.Read(ctx, l.bucket, name, 0, limit)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return generation, fmt.Errorf("read gs://%s/%s: %w", l.bucket, name, err)
	}
	return generation, nil
}

func (l *Ledger) write(ctx context.Context, name string, value any, ifGeneration int64) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write gs://%s/%s: %w", l.bucket, name, err)
	}
	_, err = l.store.Write(ctx, l.bucket, name, data, jsonType, nil, ifGeneration)
	return err
}

func recordName(key string) string { return "attempts/" + key + ".json" }
func entryName(key string) string  { return openFolder + key }

// openFolder holds the index of the attempts without a verdict.
const openFolder = "open/"
