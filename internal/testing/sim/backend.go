package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/jobdrop/jobdrop/functions/watch"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// simJob is a job at the backend. Its state follows from the time.
type simJob struct {
	id, resource                       string
	labels                             map[string]string
	packages                           []string
	created, preparing, running, ended time.Time
	end                                job.BackendState
	// cancelling is since when it is being cancelled; wait and run are its
	// limits, 0 for none.
	cancelling time.Time
	wait, run  time.Duration
	// asked reports that it ended because jobdrop asked for that at a limit.
	asked bool
	// person reports that a person cancels it, at the time cancelling.
	person bool
	// gone is when the backend forgets the job, and back when it knows it again.
	// restarted is when the job restarts, and again when it runs then. All may be zero.
	gone, back, restarted, again time.Time
	// stranger reports that somebody else made it with this installation's label.
	stranger bool
	// late reports that its create may have come long after its process read the clock.
	// cancelled reports that it was cancelled.
	late, cancelled bool
	// forgot reports that the backend took a cancel and did nothing.
	forgot bool
	// gpus is how many GPUs its machine has.
	gpus time.Duration
}

// backend is a service that runs jobs. It takes our job IDs, unless the weather says
// that it does not.
type backend struct {
	w    *world
	name string
	jobs map[string]*simJob // by resource name
	// creating is when the latest create of an ID began that has no answer.
	creating map[string]time.Time
	// refused holds the IDs whose create was refused for good.
	refused map[string]bool
	// misses holds the times when a job was looked for and not found, since it was last
	// found.
	misses map[string][]time.Time
}

func newBackend(w *world, name string) *backend {
	return &backend{
		w:        w,
		name:     name,
		misses:   map[string][]time.Time{},
		jobs:     map[string]*simJob{},
		creating: map[string]time.Time{},
		refused:  map[string]bool{},
	}
}

func (t *backend) Name() string { return t.name }

func (t *backend) TakesID() bool { return !t.w.weather.noID }

// EnforcesWait reports whether the backend ends jobs that wait for too long. ml/v1
// does, and takes IDs; Vertex AI does neither.
func (t *backend) EnforcesWait() bool { return t.TakesID() }

func (t *backend) Check(job.Order) []plan.Diagnostic { return nil }

// resource returns the name of a future job, in the form of the service.
func (t *backend) resource(id, region string) string {
	if t.w.weather.noID {
		kind := "customJobs"
		if fnv32(id)%3 == 0 && !t.w.adapters { // the stand-in's routes know the one kind
			kind = "hyperparameterTuningJobs"
		}
		number := len(t.jobs)
		if t == t.w.other {
			number += 5000 // numbers of one service differ
		}
		return fmt.Sprintf("projects/%s/locations/%s/%s/%d", t.name, region, kind, number)
	}
	return "projects/" + t.name + "/jobs/" + id
}

// fnv32 returns a hash of a text: all creates of a job make the same kind.
func fnv32(text string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum32()
}

// anyRegion is where jobs run that people make.
const anyRegion = "us-central1"

func (t *backend) backendJob(j *simJob, now time.Time) attempt.BackendJob {
	skew := t.w.weather.backendSkew
	l := attempt.BackendJob{
		JobID:        j.id,
		ResourceName: j.resource,
		State:        job.BackendQueued,
		Created:      j.created.Add(skew),
		Labels:       maps.Clone(j.labels),
		Packages:     j.packages,
	}
	if !now.Before(j.preparing) {
		l.State = job.BackendPreparing
	}
	if !now.Before(j.running) && j.ran() {
		l.State, l.Started = job.BackendRunning, j.running.Add(skew)
		if !now.Before(j.restarted) && now.Before(j.again) {
			l.State = job.BackendPreparing
		}
	}
	if !j.cancelling.IsZero() && !now.Before(j.cancelling) {
		l.State = job.BackendCancelling
	}
	if !now.Before(j.ended) {
		l.State, l.Ended = j.end, j.ended.Add(skew)
	}
	return l
}

// knows reports whether the backend knows the job at a time.
func (j *simJob) knows(at time.Time) bool {
	return j.gone.IsZero() || at.Before(j.gone) || !j.back.IsZero() && !at.Before(j.back)
}

// fate draws whether the backend forgets a job or runs it again.
func (t *backend) fate(j *simJob) {
	w := t.w
	if ran := j.ended.Sub(j.running); w.chance(w.weather.restart) && ran > 0 {
		half := min(ran, 10*time.Minute) / 2
		j.restarted = j.running.Add(w.between(0, half))
		j.again = j.restarted.Add(w.between(min(time.Second, half), half))
	}
	if !w.chance(w.weather.vanish) || w.thawed {
		return
	}
	after, lasts := w.at(w.between(30*time.Second, 15*time.Minute)),
		pick(w.rng, 0, 0, w.between(time.Minute, 8*time.Minute))
	w.group.Go(func() {
		time.Sleep(after)
		w.mu.Lock()
		defer w.mu.Unlock()
		// Only one that jobdrop knows: at a service that takes our IDs the ID of
		// another could be created again.
		if owner, ok := w.storage.owner(j.id); !ok || owner.State != job.Submitted || owner.Job.ResourceName != j.resource {
			return
		}
		j.gone = time.Now()
		if lasts > 0 {
			j.back = j.gone.Add(lasts)
		}
		w.say("%-8s forgets %s for %s", "backend", j.resource, lasts)
	})
}

// ran reports whether the job runs before its end.
func (j *simJob) ran() bool { return j.running.Before(j.ended) }

// never is later than any run.
const never = 1000 * time.Hour

// limit sets the limits of the job's file on j. Some jobs never run, or never end. The
// backend ends a job past its limit, or leaves that to others.
func (t *backend) limit(j *simJob, s *job.Scheduling) {
	if s == nil {
		return
	}
	j.wait, j.run = s.Limits()
	endless := t.w.chance(0.5)
	switch {
	case !endless:
	case j.wait > 0:
		j.preparing, j.running, j.ended = j.created.Add(never), j.created.Add(never), j.created.Add(2*never)
	case j.run > 0:
		j.ended = j.running.Add(never)
	}
	if t.w.weather.lax {
		t.byPerson(j)
		return
	}
	if end := j.created.Add(j.wait); j.wait > 0 && end.Before(j.running) && t.EnforcesWait() {
		j.ended, j.end = end, job.BackendCancelled
	}
	if end := j.running.Add(j.run); j.run > 0 && end.Before(j.ended) {
		j.ended, j.end = end, job.BackendCancelled
	}
	t.byPerson(j)
}

// byPerson lets somebody cancel some of the jobs that never run, which may take a
// while, and longer than until the limit.
func (t *backend) byPerson(j *simJob) {
	if j.run > 0 || j.ran() && j.running.Before(j.created.Add(never)) || !t.w.chance(0.3) {
		return
	}
	at := j.created.Add(t.w.between(time.Minute, 40*time.Minute))
	if at.Before(j.ended) {
		j.person, j.cancelling, j.end = true, at, job.BackendCancelled
		j.ended = at.Add(t.w.between(0, 20*time.Minute))
	}
}

// over returns the limit that the job has passed at a time, and by how much.
func (j *simJob) over(at time.Time) (kind string, by time.Duration) {
	switch {
	case j.ran() && !at.Before(j.running) && j.run > 0:
		return job.KindRun, at.Sub(j.running) - j.run
	case j.wait > 0 && (!j.ran() || at.Before(j.running)):
		return job.KindWait, at.Sub(j.created) - j.wait
	}
	return "", 0
}

// add makes a job. The caller holds the world's mu.
func (t *backend) add(id string, labels map[string]string, packages []string) *simJob {
	return t.addIn(anyRegion, id, labels, packages)
}

func (t *backend) addIn(region, id string, labels map[string]string, packages []string) *simJob {
	w := t.w
	j := &simJob{
		id:       id,
		resource: t.resource(id, region),
		labels:   maps.Clone(labels),
		packages: packages,
		created:  time.Now(),
	}
	j.preparing = j.created.Add(w.between(time.Second, 2*time.Minute))
	j.running = j.preparing.Add(w.between(time.Second, 3*time.Minute))
	j.ended = j.running.Add(w.between(time.Second, 10*time.Minute))
	j.end = pick(w.rng, job.BackendSucceeded, job.BackendSucceeded, job.BackendFailed, job.BackendCancelled)
	t.jobs[j.resource] = j
	return j
}

func (t *backend) Create(ctx context.Context, s job.Order) (attempt.BackendJob, error) {
	made, conflict, err := t.create(ctx, s)
	switch {
	case err != nil:
		return attempt.BackendJob{}, err
	case !conflict:
		return t.backendJob(made, time.Now()), nil
	}
	found, err := t.Get(ctx, job.JobInfo{ID: s.JobID})
	if err != nil {
		return attempt.BackendJob{}, fmt.Errorf("job %s is there already, and can't be looked at: %v", s.JobID, err)
	}
	return attempt.BackendJob{}, &attempt.ConflictError{JobID: s.JobID, Found: found}
}

// create makes a job, or finds that its ID has one already.
func (t *backend) create(ctx context.Context, s job.Order) (made *simJob, conflict bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err // a client makes no call then
	}
	t.begin(workerOf(ctx), s.JobID)
	defer t.end(s.JobID)
	err = t.w.call(ctx, callTime, "create "+s.JobID, func() error {
		if !t.w.weather.calm && t.w.chance(t.w.weather.refuse) {
			t.refused[s.JobID] = true
			return &attempt.RefusedError{Code: "PERMISSION_DENIED", Message: "not now"}
		}
		region := s.TrainingInput.Region
		if made, conflict = t.jobs[t.resource(s.JobID, region)]; conflict {
			return nil
		}
		if room := t.w.weather.room; room > 0 && len(t.ours(time.Time{})) >= room {
			return fmt.Errorf("no room for more than %d jobs: %w", room, job.ErrQuota)
		}
		made = t.addIn(region, s.JobID, s.Labels, s.TrainingInput.PackageURIs)
		made.gpus = gpus[s.TrainingInput.MasterType]
		t.limit(made, s.TrainingInput.Scheduling)
		t.fate(made)
		t.hints(made)
		if me := workerOf(ctx); me != nil {
			made.late = me.behind || me.thawed
		}
		t.allowed(made)
		return nil
	})
	return made, conflict, err
}

// foreign reports whether there is a job of the ID that others made.
func (t *backend) foreign(id string, labels map[string]string) bool {
	for _, j := range t.jobs {
		if j.id == id && j.labels[job.LabelAttempt] != labels[job.LabelAttempt] {
			return true
		}
	}
	return false
}

// ours returns the IDs of our jobs that have not ended, or that were created after
// since. It leaves out the jobs of a frozen process at a backend that takes no ID: they
// may come unexpectedly, and are cancelled.
func (t *backend) ours(since time.Time) map[string]bool {
	ids := map[string]bool{}
	for _, j := range t.jobs {
		switch {
		case j.labels == nil, j.stranger, !j.gone.IsZero(), j.late && t.w.weather.noID:
		case since.IsZero() && time.Now().Before(j.ended), !since.IsZero() && j.created.After(since):
			ids[j.id] = true
		}
	}
	return ids
}

// inFlight is how long after a change of the policy a create may come that was
// decided under the one before.
const inFlight = deadline + 10*time.Minute

// allowed holds a new job to the operator's policy.
func (t *backend) allowed(j *simJob) {
	w := t.w
	t.affordable()
	if len(w.dropped) > 0 {
		return // jobs that the index has lost are not counted
	}
	// A turn that was given holds when the limit is lowered, as docs/policy.md says.
	turned := w.turned[j.labels[job.LabelAttempt]]
	before := !turned.IsZero() && turned.Before(w.activeChanged)
	if most := w.mostActive(); most > 0 && !before && len(t.ours(time.Time{})) > most {
		w.fail("job %s is one of %d that are active, and %d may be", j.id, len(t.ours(time.Time{})), most)
	}
	// Clocks may differ at both ends of the hour.
	if most, hour := w.weather.hourly, time.Hour-2*w.weather.skew-time.Second; most > 0 &&
		len(t.ours(time.Now().Add(-hour))) > most {
		w.fail("job %s is one of %d within an hour, and %d may be", j.id, len(t.ours(time.Now().Add(-hour))), most)
	}
	if !w.paused.IsZero() && time.Since(w.paused) > inFlight && !(j.late && w.weather.noID) {
		w.fail("job %s was created %s after the pause began", j.id, time.Since(w.paused))
	}
	if r, ok := w.storage.owner(j.id); ok && r.CancelAsked() && !j.late {
		if since := time.Since(r.CancelRequested.At); since > 4*callTime+2*w.weather.skew {
			w.fail("job %s was created %s after somebody asked to cancel it", j.id, since)
		}
	}
	w.judge.turn(j)
}

// mostActive returns how many jobs may be active; 0 is any number. It goes by the
// policy now, or by the policy when a create that comes now may have been decided.
func (w *world) mostActive() int {
	if now, before := w.weather.active, w.activeBefore; time.Since(w.activeChanged) >= inFlight ||
		now > before && before > 0 {
		return now
	}
	return w.activeBefore
}

// claimed is how long a create is safe from another of the same attempt: its
// claim holds for two calls more, by clocks that may differ.
const claimed = 2*callTime - 10*time.Second

func (t *backend) begin(me *worker, id string) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if me == nil || me.behind {
		return // it may have begun at the end of its claim
	}
	if !t.w.storage.claimed(id) {
		t.w.fail("%s asks for job %s without a claim", me.name, id)
	}
	if began, ok := t.creating[id]; ok && time.Since(began) < claimed {
		t.w.fail("job %s is asked for while another create of it is %s old", id, time.Since(began))
	}
	t.creating[id] = time.Now()
}

func (t *backend) end(id string) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	delete(t.creating, id)
}

// hints sends hints of a job's changes, some of them. The caller holds mu.
func (t *backend) hints(j *simJob) {
	w := t.w
	for _, at := range []time.Time{j.preparing, j.running, j.ended} {
		if w.weather.calm || time.Until(at) < 0 || time.Until(at) > chaos || !w.chance(w.weather.hinted) {
			continue
		}
		delay := w.at(time.Until(at) + w.between(time.Millisecond, 3*time.Second))
		w.group.Go(func() {
			time.Sleep(delay)
			w.mu.Lock()
			me := w.serve("watch")
			me.hint = &hint{job: j, before: w.followed(t, j)}
			w.say("%-8s is told of %s", me.name, j.id)
			entry, err := json.Marshal(t.entry(j))
			must(err)
			w.mu.Unlock()
			w.request(me, watch.Handler(me.load), http.Header{}, entry)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.checkHint(t, me)
		})
	}
}

// entry returns what the service writes to Cloud Logging when a job changes: the job's ID, or the
// number that the service gave it. The audit log names the resource, and is written only for creates
// and cancels. The caller holds mu.
func (t *backend) entry(j *simJob) map[string]any {
	name := j.id
	if !t.TakesID() {
		name = path.Base(j.resource)
		if !j.cancelling.IsZero() {
			return map[string]any{"logName": "cloudaudit", "protoPayload": map[string]any{"resourceName": j.resource}}
		}
	}
	return map[string]any{
		"logName": "l",
		"resource": map[string]any{
			"type":   "ml_job",
			"labels": map[string]string{"job_id": name, "task_name": "service"},
		},
	}
}

// hint is what woke a worker.
type hint struct {
	job *simJob
	// before is the revision of the job's record, if whoever hears of the job has to look at it.
	before int64
	// looks is how many jobs were looked at, right whether the job was among them.
	looks int
	right bool
}

// followed returns the revision of a job's record if a hint of the job has to lead to a look: the
// attempt waits for the job's end, its events are out, and the note of the job's name was written.
// It returns 0 otherwise. The caller holds mu.
func (w *world) followed(t *backend, j *simJob) int64 {
	if w.switched || w.wasSwitched || t.name != w.backend.name {
		return 0
	}
	name := "jobs/" + j.id
	if !t.TakesID() {
		name = "names/" + path.Base(j.resource)
	}
	var owner struct{ Attempt string }
	if o, ok := w.storage.objects[state+"/"+name+".json"]; !ok || json.Unmarshal(o.data, &owner) != nil {
		return 0
	}
	r, ok := w.storage.record(owner.Attempt)
	entry, open := w.storage.objects[state+"/open/"+owner.Attempt]
	if !ok || !open || r.State != job.Submitted || r.Job.ResourceName != j.resource ||
		entry.Metadata["published"] != strconv.FormatInt(r.Sequence, 10) {
		return 0
	}
	return r.Revision
}

// checkHint holds a worker to the hint that woke it: it looks at the job if that is one of ours, and
// at no other. The caller holds mu.
func (w *world) checkHint(t *backend, me *worker) {
	h := me.hint
	switch {
	case h.looks > 0 && !h.right:
		w.fail("%s was told of %s, and looked at another job", me.name, h.job.resource)
	case h.before != 0 && h.before == w.followed(t, h.job) && !me.troubled && !me.dead && h.looks == 0:
		w.fail("%s was told of %s, and did not look at it", me.name, h.job.resource)
	case h.right:
		w.hinted++
	}
}

func (t *backend) Get(ctx context.Context, info job.JobInfo) (attempt.BackendJob, error) {
	var l attempt.BackendJob
	err := t.w.call(ctx, callTime, "get "+info.ID, func() error {
		name := info.ResourceName
		if t.TakesID() {
			name = t.resource(info.ID, "")
		}
		j, ok := t.jobs[name]
		if me := workerOf(ctx); me != nil && me.hint != nil {
			me.hint.looks++
			me.hint.right = me.hint.right || ok && j == me.hint.job
		}
		if now := time.Now(); !ok || !j.knows(now) {
			t.misses[name] = append(t.misses[name], now)
			return fmt.Errorf("job %s: %w", info.ID, job.ErrNotFound)
		}
		delete(t.misses, name)
		l = t.backendJob(j, time.Now())
		return nil
	})
	return l, err
}

// Find returns the jobs of an order. It may lag behind if the backend takes no IDs.
func (t *backend) Find(ctx context.Context, spec job.Order) ([]attempt.BackendJob, error) {
	if t.TakesID() {
		l, err := t.Get(ctx, job.JobInfo{ID: spec.JobID})
		if errors.Is(err, job.ErrNotFound) {
			return nil, nil
		}
		return []attempt.BackendJob{l}, err
	}
	var found []attempt.BackendJob
	err := t.w.call(ctx, callTime, "find "+spec.JobID, func() error {
		seen := time.Now()
		if !t.w.weather.calm {
			seen = seen.Add(-t.w.between(0, 30*time.Second))
		}
		for _, j := range t.sorted() {
			if j.labels[job.LabelAttempt] == spec.Labels[job.LabelAttempt] &&
				j.labels[job.LabelInstance] == spec.Labels[job.LabelInstance] && !j.created.After(seen) && j.knows(time.Now()) {
				found = append(found, t.backendJob(j, time.Now()))
			}
		}
		return nil
	})
	return found, err
}

// sorted returns all jobs, oldest first.
func (t *backend) sorted() []*simJob {
	return slices.SortedFunc(maps.Values(t.jobs), func(a, b *simJob) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.resource, b.resource))
	})
}

func (t *backend) Cancel(ctx context.Context, info job.JobInfo) error {
	return t.w.call(ctx, callTime, "cancel "+info.ID, func() error {
		name := info.ResourceName
		if t.TakesID() {
			name = t.resource(info.ID, "")
		}
		j, ok := t.jobs[name]
		now := time.Now()
		if !ok || !j.knows(now) {
			return fmt.Errorf("job %s: %w", info.ID, job.ErrNotFound)
		}
		if !now.Before(j.ended) || !j.cancelling.IsZero() && !now.Before(j.cancelling) {
			return nil
		}
		t.mayCancel(j, now)
		if r, ok := t.w.storage.owner(j.id); ok && r.CancelAsked() && !j.forgot && now.UnixNano()%3 == 0 {
			j.forgot = true
			return nil // it says yes, and does nothing
		}
		j.cancelled, j.cancelling = true, now
		if end := now.Add(t.w.between(0, time.Minute)); end.Before(j.ended) { // else it ends first
			j.ended, j.end = end, job.BackendCancelled
			if j.running.After(now) {
				j.running = end
			}
			j.preparing = minTime(j.preparing, j.running)
			t.hints(j)
		}
		return nil
	})
}

// mayCancel holds a cancel to the limits: the record says first that jobdrop asks
// for it, and nobody asks before the grace is over.
func (t *backend) mayCancel(j *simJob, now time.Time) {
	w := t.w
	var owner attempt.Owner
	claim, ok := w.storage.objects[state+"/jobs/"+j.id+".json"]
	if !ok {
		return // nobody's
	}
	must(json.Unmarshal(claim.data, &owner))
	r, ok := w.storage.record(owner.Attempt)
	if !ok || r.Job.ResourceName != j.resource {
		if ok && !r.State.Terminal() && r.Job.ResourceName == "" {
			w.fail("job %s, %s, is cancelled as a second one, and attempt %s has no other", j.id, j.resource, r.Attempt)
		}
		return // a second job
	}
	if r.CancelRequested != nil && r.CancelRequested.Kind == job.KindRequest {
		return // which people asked for: see [judge.cancelAsked]
	}
	if r.CancelRequested != nil && r.CancelRequested.Kind == job.KindRestarts {
		if !r.Restarts.Over() || j.restarted.IsZero() || now.Before(j.restarted) {
			w.fail("job %s is cancelled for its restarts, and the record says %+v", j.id, r.Restarts)
		}
		return
	}
	j.asked = true
	w.cancels++
	kind, by := j.over(now)
	if r.CancelRequested == nil || r.CancelRequested.Kind != kind && kind != job.KindRun {
		w.fail("job %s is cancelled, %s past its limit of the %s, and the record says %+v", j.id, by, kind, r.CancelRequested)
	}
	// A process that froze may ask late, of a job that has begun to run since.
	late := r.CancelRequested != nil && r.CancelRequested.Kind == job.KindWait && kind == job.KindRun
	after := w.weather.grace
	if kind == job.KindWait && !t.EnforcesWait() {
		after = 0
	}
	if early := after - 2*w.weather.skew - w.weather.backendSkew.Abs(); by < early && !late {
		w.fail("job %s is cancelled %s after its limit of the %s, before the grace is over", j.id, by, kind)
	}
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// ListActive lists jobs in pages of a few, each job as it was some seconds ago. The
// backend may forget a place in the list.
func (t *backend) ListActive(ctx context.Context, instance, from string,
	page func(jobs []attempt.BackendJob, next string) error) error {
	ours := func(j *simJob, l attempt.BackendJob) bool {
		return l.Ended.IsZero() && j.labels[job.LabelInstance] == job.InstanceLabel(instance)
	}
	for {
		jobs, next, err := t.page(ctx, from, t.w.weather.page, ours)
		if err != nil {
			return err
		}
		if err := page(jobs, next); err != nil || next == "" {
			return err
		}
		from = next
	}
}

// page returns a page of at most size jobs that match, as they were some seconds ago,
// from the one after a name on. next is the name that the following page comes after.
func (t *backend) page(ctx context.Context, from string, size int,
	match func(*simJob, attempt.BackendJob) bool) (jobs []attempt.BackendJob, next string, err error) {
	err = t.w.call(ctx, callTime, "list jobs", func() error {
		at := time.Now()
		if !t.w.weather.calm {
			at = at.Add(-t.w.between(0, 30*time.Second))
			if from != "" && t.w.chance(0.05) {
				return &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: "the token has expired"}
			}
		}
		seen := from == ""
		for _, j := range t.sorted() {
			l := t.backendJob(j, at)
			switch {
			case !seen:
				seen = j.resource == from
			case j.created.After(at) || !j.knows(at) || !match(j, l):
			case len(jobs) == size:
				next = jobs[len(jobs)-1].ResourceName
				return nil
			default:
				jobs = append(jobs, l)
			}
		}
		return nil
	})
	return jobs, next, err
}
