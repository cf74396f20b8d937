package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// object is one generation.
type object struct {
	job.Attributes
	data []byte
}

// storage is Cloud Storage, as package gcs speaks of it. Objects are kept by
// bucket/name.
type storage struct {
	w       *world
	last    int64
	objects map[string]object
	// history holds each generation that ever was.
	history map[string]object
	// claims are the workers that took them, by their nonce.
	claims map[string]*worker
}

func newStorage(w *world) *storage {
	return &storage{w: w, objects: map[string]object{}, history: map[string]object{}, claims: map[string]*worker{}}
}

func versionKey(path string, generation int64) string { return fmt.Sprintf("%s#%d", path, generation) }

// put makes a new generation. The caller holds the world's mu.
func (s *storage) put(bucket, name string, data []byte, metadata map[string]string) object {
	s.last = max(s.last+1, time.Now().UnixMicro())
	o := object{data: data, Attributes: job.Attributes{
		Object: job.Object{
			Bucket: bucket, Name: name, Generation: s.last, Size: int64(len(data)),
			CRC32C: crc32c(data), Created: time.Now().UTC(),
		},
		Metadata: maps.Clone(metadata),
	}}
	s.objects[bucket+"/"+name] = o
	s.history[versionKey(bucket+"/"+name, o.Generation)] = o
	return o
}

// get gives a generation that can be read; 0 is the live one.
func (s *storage) get(bucket, name string, generation int64) (object, error) {
	path := bucket + "/" + name
	o, ok := s.objects[path]
	if generation != 0 && o.Generation != generation {
		o, ok = s.history[versionKey(path, generation)]
		ok = ok && s.w.weather.versioned && bucket == inbox
	}
	if !ok {
		return object{}, fmt.Errorf("gs://%s: %w", path, job.ErrNotFound)
	}
	return o, nil
}

// call is a call of Cloud Storage's client, which waits 20 s for an answer.
func (s *storage) call(ctx context.Context, name string, effect func() error) error {
	return s.w.call(ctx, 20*time.Second, name, effect)
}

func (s *storage) List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error {
	return s.list(ctx, bucket, prefix, "", flat, page)
}

func (s *storage) ListAfter(ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error {
	return s.list(ctx, bucket, prefix, after, false, page)
}

// list gives pages, each as it is when it is asked for. One may fail after others
// were given.
func (s *storage) list(ctx context.Context, bucket, prefix, after string, flat bool, page func([]job.Attributes) error) error {
	var seen listing
	me := workerOf(ctx)
	for last := false; !last; {
		var some []job.Attributes
		err := s.call(ctx, "list "+bucket+"/"+prefix, func() error {
			last = true
			if seen.at.IsZero() {
				seen.at = time.Now()
			}
			for _, path := range slices.Sorted(maps.Keys(s.objects)) {
				name, ok := strings.CutPrefix(path, bucket+"/")
				rest, below := strings.CutPrefix(name, prefix)
				if !ok || !below || name <= after || flat && strings.Contains(rest, "/") {
					continue
				}
				if len(some) == s.w.weather.objects {
					last = false
					break
				}
				some = append(some, s.objects[path].Attributes)
				seen.parts = append(seen.parts, s.objects[path])
			}
			if last && flat && bucket == inbox && me != nil {
				me.listings[prefix] = seen
				s.w.judge.listed(seen)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := page(some); err != nil {
			return err
		}
		if len(some) > 0 {
			after = some[len(some)-1].Name
		}
	}
	return nil
}

func (s *storage) Stat(ctx context.Context, bucket, name string) (job.Attributes, error) {
	var found object
	err := s.call(ctx, "stat "+bucket+"/"+name, func() (err error) {
		found, err = s.get(bucket, name, 0)
		return err
	})
	if err != nil {
		return job.Attributes{}, err
	}
	return found.Attributes, nil
}

func (s *storage) Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error) {
	var found object
	err := s.call(ctx, fmt.Sprintf("open %s/%s#%d", bucket, name, generation), func() (err error) {
		found, err = s.get(bucket, name, generation)
		return err
	})
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(found.data)), nil
}

func (s *storage) Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error) {
	var found object
	err := s.call(ctx, "read "+bucket+"/"+name, func() (err error) {
		found, err = s.get(bucket, name, generation)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if found.Size > limit {
		return nil, 0, job.ErrTooLarge
	}
	return found.data, found.Generation, nil
}

func (s *storage) Write(ctx context.Context, bucket, name string, data []byte, _ string, metadata map[string]string, ifGeneration int64) (int64, error) {
	path := bucket + "/" + name
	data = bytes.Clone(data)
	var written object
	err := s.call(ctx, fmt.Sprintf("write %s if %d", path, ifGeneration), func() error {
		there, ok := s.objects[path]
		switch {
		case ifGeneration != job.AnyGeneration && (ok || ifGeneration != 0) && there.Generation != ifGeneration:
			return fmt.Errorf("gs://%s: %w", path, job.ErrStale)
		case ok && time.Since(there.Created) < time.Second && !s.w.weather.calm && s.w.chance(0.1):
			return fmt.Errorf("gs://%s, two writes in a second: %w", path, job.ErrQuota)
		}
		s.watch(workerOf(ctx), bucket, name, there.data, data)
		written = s.put(bucket, name, data, metadata)
		s.watchStatus(there, written)
		return nil
	})
	if bucket == state && name != "heartbeat.json" && name != "cursors.json" { // the next tick writes these anew
		workerOf(ctx).note("write "+path, err)
	}
	return written.Generation, err
}

func (s *storage) Delete(ctx context.Context, bucket, name string) error {
	return s.call(ctx, "delete "+bucket+"/"+name, func() error {
		if attempt, ok := strings.CutPrefix(name, "open/"); ok && bucket == state {
			s.watchClose(attempt)
		}
		delete(s.objects, bucket+"/"+name)
		return nil
	})
}

func (s *storage) Copy(ctx context.Context, source job.Object, bucket, name string) error {
	return s.call(ctx, fmt.Sprintf("copy %s/%s#%d to %s/%s", source.Bucket, source.Name, source.Generation, bucket, name), func() error {
		o, err := s.get(source.Bucket, source.Name, source.Generation)
		if err != nil {
			return err
		}
		s.put(bucket, name, o.data, nil)
		return nil
	})
}

// record gives what the ledger holds of an attempt.
func (s *storage) record(attempt string) (job.Record, bool) {
	o, ok := s.objects[state+"/attempts/"+attempt+".json"]
	if !ok {
		return job.Record{}, false
	}
	var r job.Record
	must(json.Unmarshal(o.data, &r))
	return r, true
}

// watch holds each write of the ledger to the invariants.
func (s *storage) watch(me *worker, bucket, name string, was, data []byte) {
	switch {
	case bucket != state:
	case strings.HasPrefix(name, "attempts/"):
		var next, prev job.Record
		must(json.Unmarshal(data, &next))
		if was != nil {
			must(json.Unmarshal(was, &prev))
		}
		if prev.State.Terminal() {
			s.w.fail("attempt %s, %s, was written again as %s", next.Attempt, prev.State, next.State)
		}
		if next.Revision != prev.Revision+1 || next.Sequence < prev.Sequence {
			s.w.fail("attempt %s goes from revision %d to %d, sequence %d to %d", next.Attempt, prev.Revision, next.Revision, prev.Sequence, next.Sequence)
		}
		s.watchClaim(me, prev, next)
		s.watchJob(prev, next)
		s.w.judge.decision(me, prev, next)
		for _, e := range next.Outbox {
			if e.Body.Sequence > prev.Sequence {
				s.w.written[fmt.Sprintf("%s-%d", next.Attempt, e.Body.Sequence)] = time.Now()
			}
		}
		if _, indexed := s.objects[state+"/open/"+next.Attempt]; !indexed && !s.w.dropped[next.Attempt] {
			s.w.fail("attempt %s has a record of state %s and no index entry", next.Attempt, next.State)
		}
	}
}

// watchClaim holds a transition to the claim on the create: only who has it may
// give it back or end the attempt, and nobody else takes it while it lasts.
func (s *storage) watchClaim(me *worker, prev, next job.Record) {
	if next.Creating != nil && (prev.Creating == nil || prev.Creating.Nonce != next.Creating.Nonce) {
		s.claims[next.Creating.Nonce] = me
	}
	if prev.State != job.Accepted || next.State != job.Accepted && next.State != job.Rejected {
		return
	}
	lasts := prev.Creating != nil && time.Now().Add(2*s.w.weather.skew).Before(prev.Creating.Until)
	mine := prev.Creating != nil && s.claims[prev.Creating.Nonce] == me
	switch {
	case mine:
	case next.State == job.Rejected:
		s.w.fail("%s ends attempt %s without its claim", me.name, next.Attempt)
	case lasts && (next.Creating == nil || next.Creating.Nonce != prev.Creating.Nonce):
		s.w.fail("%s takes the claim on attempt %s from another", me.name, next.Attempt)
	}
}

// watchJob holds what a record says of a job: no job here is restarted, so none goes
// back; and none is warned of a limit before four fifths are over.
func (s *storage) watchJob(prev, next job.Record) {
	if prev.Job.ResourceName != "" && prev.Behind(job.Look{State: next.Job.State}) && !next.State.Terminal() {
		s.w.fail("the job of attempt %s goes back from %s to %s", next.Attempt, prev.Job.State, next.Job.State)
	}
	j, ok := s.w.trainer.jobs[next.Job.ResourceName]
	for _, e := range next.Outbox {
		if !ok || e.Body.Sequence <= prev.Sequence || e.Type != job.JobDelayed || e.Body.Delay.Kind == job.KindState {
			continue
		}
		begin, lasts := j.created, j.wait
		if e.Body.Delay.Kind == job.KindRun {
			begin, lasts = j.running, j.run
		}
		if over := time.Since(begin); over < lasts/5*4-2*s.w.weather.skew-time.Second {
			s.w.fail("attempt %s: a warning after %s of the %s's %s", next.Attempt, over, e.Body.Delay.Kind, lasts)
		}
	}
}

// claimed tells whether the claim on the create of a job lasts, or its attempt
// needs none any more.
func (s *storage) claimed(jobID string) bool {
	var owner job.Owner
	must(json.Unmarshal(s.objects[state+"/jobs/"+jobID+".json"].data, &owner))
	r, ok := s.record(owner.Attempt)
	if !ok || r.State != job.Accepted {
		return ok
	}
	return r.Creating != nil && time.Now().Before(r.Creating.Until.Add(2*s.w.weather.skew))
}

// watchStatus holds status objects to their order.
func (s *storage) watchStatus(was, now object) {
	if now.Bucket != status {
		return
	}
	var prev, next job.Snapshot
	must(json.Unmarshal(now.data, &next))
	s.w.judge.told(next)
	if was.data == nil {
		return
	}
	must(json.Unmarshal(was.data, &prev))
	before, after := prev.Drop.JobFile.Generation, next.Drop.JobFile.Generation
	if after < before || after == before && next.Sequence < prev.Sequence {
		s.w.fail("%s goes back from sequence %d of generation %d to %d of %d", now.Name, prev.Sequence, before, next.Sequence, after)
	}
}

// watchClose checks an attempt that leaves the index.
func (s *storage) watchClose(attempt string) {
	r, ok := s.record(attempt)
	told := len(s.w.topic.logs[attempt])
	if !ok || !r.State.Terminal() || int64(told) < r.Sequence {
		s.w.fail("attempt %s leaves the index as %q, %d of %d events published", attempt, r.State, told, r.Sequence)
	}
}
