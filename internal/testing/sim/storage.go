package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
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
	return s.putAt(time.Now(), bucket, name, data, metadata)
}

// putAt makes an object that was created at a given time.
func (s *storage) putAt(at time.Time, bucket, name string, data []byte, metadata map[string]string) object {
	s.last = max(s.last+1, at.UnixMicro())
	o := object{data: data, Attributes: job.Attributes{
		Object: job.Object{
			Bucket: bucket, Name: name, Generation: s.last, Size: int64(len(data)),
			CRC32C: crc32c(data), Created: at.UTC(), CorrelationID: metadata["jobdrop-correlation-id"],
		},
		Metadata: maps.Clone(metadata),
	}}
	s.objects[bucket+"/"+name] = o
	s.history[versionKey(bucket+"/"+name, o.Generation)] = o
	return o
}

// get returns a readable generation of an object; 0 is the live one.
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

// call makes a call of Cloud Storage's client, which waits 20 s for an answer.
func (s *storage) call(ctx context.Context, name string, effect func() error) error {
	return s.w.call(ctx, 20*time.Second, name, effect)
}

func (s *storage) List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error {
	return s.list(ctx, bucket, prefix, "", flat, page)
}

func (s *storage) ListAfter(ctx context.Context, bucket, prefix, after string,
	page func([]job.Attributes) error) error {
	return s.list(ctx, bucket, prefix, after, false, page)
}

// list calls page for each page, as that is when it is asked for. One may fail after
// others were given.
func (s *storage) list(ctx context.Context, bucket, prefix, after string, flat bool,
	page func([]job.Attributes) error) error {
	var seen listing
	for {
		some, next, all, err := s.page(ctx, bucket, prefix, "", after, flat, math.MaxInt, seen)
		if err != nil {
			return err
		}
		if err := page(some); err != nil || next == "" {
			return err
		}
		seen, after = all, next
	}
}

// page returns a page of at most size objects whose names come after one and not
// before from. A flat list has deeper folders in their place, which count. next is what
// the following page comes after, seen what the pages before held, and all what they
// hold with this one.
func (s *storage) page(ctx context.Context, bucket, prefix, from, after string, flat bool, size int,
	seen listing) (some []job.Attributes, next string, all listing, err error) {
	me := workerOf(ctx)
	looks := flat && bucket == inbox && me != nil // at a drop
	err = s.call(ctx, "list "+bucket+"/"+prefix, func() error {
		all = listing{at: seen.at, parts: slices.Clone(seen.parts)}
		if all.at.IsZero() {
			all.at = time.Now()
		}
		n, last := 0, after
		for _, path := range s.below(bucket + "/" + prefix) {
			name := strings.TrimPrefix(path, bucket+"/")
			rest := strings.TrimPrefix(name, prefix)
			if name < from {
				continue
			}
			folder, _, deeper := strings.Cut(rest, "/")
			if deeper = deeper && flat; deeper {
				name = prefix + folder + "/"
			}
			if name <= last {
				continue
			}
			if n == min(size, s.w.weather.objects) {
				next = last
				return nil
			}
			n, last = n+1, name
			if o := s.objects[path]; !deeper {
				some = append(some, o.Attributes)
				if looks {
					all.parts = append(all.parts, o)
				}
			}
		}
		if looks {
			me.listings[prefix] = all
			s.w.judge.listed(all)
		}
		return nil
	})
	return some, next, all, err
}

// below returns the paths that have a prefix, sorted.
func (s *storage) below(prefix string) (paths []string) {
	for path := range s.objects {
		if strings.HasPrefix(path, prefix) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

func (s *storage) Stat(ctx context.Context, bucket, name string) (job.Attributes, error) {
	return s.StatAt(ctx, bucket, name, 0)
}

func (s *storage) StatAt(ctx context.Context, bucket, name string, generation int64) (job.Attributes, error) {
	var found object
	err := s.call(ctx, "stat "+bucket+"/"+name, func() (err error) {
		found, err = s.get(bucket, name, generation)
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
	return s.revised(workerOf(ctx), bucket, name, found.data), found.Generation, nil
}

// The newer of two revisions writes a version more, and a field that the older one
// does not know.
const futureField = "future"

func isRecord(bucket, name string) bool {
	return bucket == state && strings.HasPrefix(name, "attempts/")
}

// revised returns a record as the worker's revision reads it.
func (s *storage) revised(me *worker, bucket, name string, data []byte) []byte {
	if me == nil || !me.newer || !isRecord(bucket, name) {
		return data
	}
	fields, version := versionOf(data)
	if _, ok := fields[futureField]; !ok {
		return data
	}
	delete(fields, futureField)
	return withVersion(fields, version-1)
}

// revise returns a record as the worker's revision writes it.
func (s *storage) revise(me *worker, bucket, name string, was, data []byte) []byte {
	if me == nil || !isRecord(bucket, name) {
		return data
	}
	if !me.newer {
		if bytes.Contains(was, []byte(`"`+futureField+`"`)) {
			s.w.fail("%s, of the older revision, writes over what the newer one wrote to %s", me.name, name)
		}
		return data
	}
	fields, version := versionOf(data)
	fields[futureField] = json.RawMessage("true")
	return withVersion(fields, version+1)
}

func versionOf(data []byte) (fields map[string]json.RawMessage, version int) {
	must(json.Unmarshal(data, &fields))
	must(json.Unmarshal(fields["recordVersion"], &version))
	return fields, version
}

func withVersion(fields map[string]json.RawMessage, version int) []byte {
	fields["recordVersion"] = json.RawMessage(strconv.Itoa(version))
	data, err := json.Marshal(fields)
	must(err)
	return data
}

func (s *storage) Write(ctx context.Context, bucket, name string, data []byte, _ string, metadata map[string]string,
	ifGeneration int64) (int64, error) {
	path := bucket + "/" + name
	data = bytes.Clone(data)
	var written object
	err := s.call(ctx, fmt.Sprintf("write %s if %d", path, ifGeneration), func() error {
		there, ok := s.objects[path]
		switch {
		case ifGeneration != attempt.AnyGeneration && (ok || ifGeneration != 0) && there.Generation != ifGeneration:
			return fmt.Errorf("gs://%s: %w", path, attempt.ErrStale)
		case ok && time.Since(there.Created) < time.Second && s.busy(workerOf(ctx)):
			return fmt.Errorf("gs://%s, two writes in a second: %w", path, job.ErrQuota)
		}
		if s.leftOut(workerOf(ctx), bucket, name) {
			return nil
		}
		data = s.revise(workerOf(ctx), bucket, name, there.data, data)
		s.watch(workerOf(ctx), bucket, name, there.data, data)
		written = s.put(bucket, name, data, metadata)
		s.watchStatus(there, written)
		if s.w.notify != nil && bucket == state {
			s.w.notify.wrote(workerOf(ctx), name)
		}
		return nil
	})
	return written.Generation, err
}

// busy reports whether two writes of an object in a second are too many.
func (s *storage) busy(me *worker) bool { return !s.w.calmFor(me) && s.w.luck(me).Float64() < 0.1 }

// leftOut reports whether a worker leaves out a write to the index by time: one whose revision does not know it.
func (s *storage) leftOut(me *worker, bucket, name string) bool {
	byTime := bucket == state && (strings.HasPrefix(name, "recent/") || strings.HasPrefix(name, "ended/"))
	if !byTime || me == nil || !me.outmoded {
		return false
	}
	s.w.say("%-8s does not know %s", me.name, name)
	s.w.unplaced[name] = true
	return true
}

func (s *storage) Delete(ctx context.Context, bucket, name string) error {
	return s.DeleteAt(ctx, bucket, name, 0)
}

func (s *storage) DeleteAt(ctx context.Context, bucket, name string, generation int64) error {
	_, err := s.remove(ctx, bucket, name, generation)
	return err
}

// remove deletes an object, if it is of a generation unless that is 0, and reports whether there was one.
func (s *storage) remove(ctx context.Context, bucket, name string, generation int64) (there bool, err error) {
	err = s.call(ctx, "delete "+bucket+"/"+name, func() error {
		if key, ok := strings.CutPrefix(name, "open/"); ok && bucket == state {
			s.watchClose(key)
		}
		o, ok := s.objects[bucket+"/"+name]
		if there = ok && (generation == 0 || generation == o.Generation); !there {
			return nil
		}
		delete(s.objects, bucket+"/"+name)
		return nil
	})
	return there, err
}

func (s *storage) Copy(ctx context.Context, source job.Object, bucket, name string) error {
	return s.call(ctx, fmt.Sprintf("copy %s/%s#%d to %s/%s", source.Bucket, source.Name, source.Generation, bucket, name),
		func() error {
			o, err := s.get(source.Bucket, source.Name, source.Generation)
			if err != nil {
				return err
			}
			s.put(bucket, name, o.data, nil)
			return nil
		})
}

func (s *storage) Store(ctx context.Context, bucket, name string, content io.Reader) (stored job.Object, err error) {
	data, err := io.ReadAll(content)
	if err != nil {
		return stored, err
	}
	err = s.call(ctx, fmt.Sprintf("store %s/%s", bucket, name), func() error {
		s.put(bucket, name, data, nil)
		o, err := s.get(bucket, name, 0)
		stored = o.Object
		return err
	})
	return stored, err
}

// record returns the ledger's record of an attempt.
func (s *storage) record(key string) (attempt.Record, bool) {
	o, ok := s.objects[state+"/attempts/"+key+".json"]
	if !ok {
		return attempt.Record{}, false
	}
	var r attempt.Record
	must(json.Unmarshal(o.data, &r))
	return r, true
}

// owner returns the record of the attempt that has a job ID.
func (s *storage) owner(jobID string) (attempt.Record, bool) {
	var owner attempt.Owner
	o, ok := s.objects[state+"/jobs/"+jobID+".json"]
	if !ok {
		return attempt.Record{}, false
	}
	must(json.Unmarshal(o.data, &owner))
	return s.record(owner.Attempt)
}

// watch holds each write of the ledger to the invariants.
func (s *storage) watch(me *worker, bucket, name string, was, data []byte) {
	switch {
	case bucket != state:
	case name == "turns.json":
		var turns struct{ Given []struct{ Attempt string } }
		must(json.Unmarshal(data, &turns))
		for _, t := range turns.Given {
			if label := job.AttemptLabel(t.Attempt); s.w.turned[label].IsZero() {
				s.w.judge.short[label] = s.w.shortOf(me)
				s.w.turned[label] = time.Now()
			}
		}
	case strings.HasPrefix(name, "attempts/"):
		var next, prev attempt.Record
		must(json.Unmarshal(data, &next))
		if was != nil {
			must(json.Unmarshal(was, &prev))
		}
		if prev.State.Terminal() {
			s.w.fail("attempt %s, %s, was written again as %s", next.Attempt, prev.State, next.State)
		}
		if next.Revision != prev.Revision+1 || next.Sequence < prev.Sequence {
			s.w.fail("attempt %s goes from revision %d to %d, sequence %d to %d", next.Attempt, prev.Revision, next.Revision,
				prev.Sequence, next.Sequence)
		}
		s.watchClaim(me, prev, next)
		s.watchJob(prev, next)
		s.w.judge.decision(me, prev, next)
		for _, e := range next.Outbox {
			if e.Body.Sequence > prev.Sequence {
				s.w.written[fmt.Sprintf("%s-%d", next.Attempt, e.Body.Sequence)] = time.Now()
			}
		}
		_, indexed := s.objects[state+"/open/"+next.Attempt]
		// A rerun's record comes first, and its request is in the place of what is missing until that is
		// answered. If another worker refused it meanwhile, ticks bring the record back.
		first := next.Rerun != nil && prev.Revision == 0
		waits := false
		if next.Rerun != nil {
			asked, _ := s.w.wishOf(numberOf(next.Attempt))
			_, waits = s.objects[state+"/requests/"+asked.name]
		}
		if !indexed && !waits && !first && !s.w.dropped[next.Attempt] {
			s.w.fail("attempt %s has a record of state %s and no index entry", next.Attempt, next.State)
		}
		if !waits && !first {
			s.watchPlace(s.w.recentOf(next))
		}
	case strings.HasPrefix(name, "ended/"):
		verdict, place, _ := strings.Cut(strings.TrimPrefix(name, "ended/"), "/")
		if r, ok := s.record(attemptAt(place)); !ok || !r.State.Terminal() || string(r.State) != verdict {
			s.w.fail("attempt %s is placed in %s, and its record says %q", attemptAt(place), name, r.State)
		}
	}
}

// watchClaim holds a transition to the claim on the create: only who has it may
// give it back or end the attempt, and nobody else takes it while it lasts.
func (s *storage) watchClaim(me *worker, prev, next attempt.Record) {
	if next.Creating != nil && (prev.Creating == nil || prev.Creating.Nonce != next.Creating.Nonce) {
		s.claims[next.Creating.Nonce] = me
	}
	if prev.State != job.Accepted || next.State != job.Accepted && next.State != job.Rejected && next.State != job.Cancelled ||
		next.Job.ResourceName != "" {
		return
	}
	lasts := prev.Creating != nil && time.Now().Add(2*s.w.weather.skew).Before(prev.Creating.Until)
	mine := prev.Creating != nil && s.claims[prev.Creating.Nonce] == me
	switch {
	case mine:
	case next.State == job.Cancelled && prev.Creating == nil && prev.UnknownUntil.IsZero(): // no job can be there
	case next.State != job.Accepted:
		s.w.fail("%s ends attempt %s without its claim", me.name, next.Attempt)
	case lasts && (next.Creating == nil || next.Creating.Nonce != prev.Creating.Nonce):
		s.w.fail("%s takes the claim on attempt %s from another", me.name, next.Attempt)
	}
}

// watchJob holds what a record says of a job to what it is: none goes back that was
// not run again, none is warned of a limit before four fifths are over, none is lost
// after one look, and nothing is told of it before it happens.
func (s *storage) watchJob(prev, next attempt.Record) {
	j, ok := s.w.backend.jobs[next.Job.ResourceName]
	if next.Backend != s.w.backend.name {
		j, ok = s.w.other.jobs[next.Job.ResourceName]
	}
	if next.Job.ResourceName == "" {
		return
	}
	if !ok {
		s.w.fail("attempt %s has the job %s, which nobody made", next.Attempt, next.Job.ResourceName)
		return
	}
	if restarted := !j.restarted.IsZero() && !time.Now().Before(j.restarted); prev.Job.ResourceName != "" &&
		stage(next.Job.State) < stage(prev.Job.State) && !next.State.Terminal() && !restarted {
		s.w.fail("the job of attempt %s goes back from %s to %s", next.Attempt, prev.Job.State, next.Job.State)
	}
	if again := next.Restarts; again != nil && (again.Count > 1 || j.restarted.IsZero() || time.Now().Before(j.restarted)) {
		s.w.fail("attempt %s counts %d restarts of its job, which is run again once at %s", next.Attempt, again.Count,
			j.restarted)
	}
	switch next.State {
	case job.Succeeded, job.Failed, job.Cancelled, job.TimedOut:
		if time.Now().Before(j.ended) {
			s.w.fail("attempt %s is %s %s before its job ends", next.Attempt, next.State, time.Until(j.ended))
		}
	case job.Lost:
		s.watchLost(next, j)
	}
	for _, e := range next.Outbox {
		switch {
		case e.Body.Sequence <= prev.Sequence:
		case e.Type == job.JobRunning && (time.Now().Before(j.running) || !j.ran()):
			s.w.fail("attempt %s is told to run, and does not", next.Attempt)
		case e.Type == job.JobDelayed && e.Body.Delay.Kind != job.KindState:
			begin, lasts := j.created, j.wait
			if e.Body.Delay.Kind == job.KindRun {
				begin, lasts = j.running, j.run
			}
			if over := time.Since(begin); over < lasts/5*4-2*s.w.weather.skew-time.Second {
				s.w.fail("attempt %s: a warning after %s of the %s's %s", next.Attempt, over, e.Body.Delay.Kind, lasts)
			}
		}
	}
}

// stage orders the states of a job.
func stage(s job.BackendState) int {
	return slices.Index([]job.BackendState{
		job.BackendQueued, job.BackendPreparing, job.BackendRunning, job.BackendCancelling,
	}, s)
}

// watchLost holds a job that is told to be lost to looks at it in three ticks that did
// not find it, ten minutes or more after its creation.
func (s *storage) watchLost(next attempt.Record, j *simJob) {
	const looks, ticksApart, after = 3, 40 * time.Second, 10 * time.Minute
	misses := s.w.backend.misses[next.Job.ResourceName]
	skew := 2*s.w.weather.skew + time.Second
	switch n := len(misses); {
	case n < looks, misses[n-1].Sub(misses[0]) < (looks-1)*(ticksApart-skew)-10*time.Second:
		s.w.fail("attempt %s is lost after %d looks", next.Attempt, n)
	case time.Since(j.created) < after-skew:
		s.w.fail("attempt %s is lost %s after its job was created", next.Attempt, time.Since(j.created))
	}
}

// claimed reports whether the claim on a job's create still holds, or whether its
// attempt no longer needs one.
func (s *storage) claimed(jobID string) bool {
	var owner attempt.Owner
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
	before, after := numberOf(prev.Attempt), numberOf(next.Attempt)
	if after < before || after == before && next.Sequence < prev.Sequence {
		s.w.fail("%s goes back from sequence %d of generation %d to %d of %d", now.Name, prev.Sequence, before, next.Sequence,
			after)
	}
}

// recentOf and endedOf return the names of an attempt in the index by time: by the time of its job file or, of a
// rerun, that of the request.
func (w *world) recentOf(r attempt.Record) string { return "recent/" + w.placeOf(r) }
func (w *world) endedOf(r attempt.Record) string {
	return "ended/" + string(r.State) + "/" + w.placeOf(r)
}

func (w *world) placeOf(r attempt.Record) string {
	at := r.Drop.JobFile.Created
	if asked, ok := w.wishOf(numberOf(r.Attempt)); ok {
		at = asked.at
	}
	return fmt.Sprintf("%013d-%s", 9999999999999-at.UnixMilli(), r.Attempt)
}

// attemptAt returns the attempt of a name in a folder of the index by time.
func attemptAt(place string) string {
	_, key, _ := strings.Cut(place, "-")
	return key
}

// watchPlace checks that an attempt is in the index by time, unless a worker did not know that.
func (s *storage) watchPlace(name string) {
	if _, ok := s.objects[state+"/"+name]; !ok && !s.w.unplaced[name] {
		s.w.fail("%s is missing from the index by time", name)
	}
}

// watchClose checks an attempt that leaves the index.
func (s *storage) watchClose(key string) {
	r, ok := s.record(key)
	if ok && r.State.Terminal() {
		s.watchPlace(s.w.endedOf(r))
	}
	told := len(s.w.topic.logs[key])
	if !ok || !r.State.Terminal() || int64(told) < r.Sequence {
		s.w.fail("attempt %s leaves the index as %q, %d of %d events published", key, r.State, told, r.Sequence)
	}
}
