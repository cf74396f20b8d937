package submitter_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/flow/relay"
	"github.com/jobdrop/jobdrop/internal/flow/submitter"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	inbox    = "inbox"
	instance = "test"
	settle   = time.Minute
	// redelivery is how long it takes until an event that failed comes again.
	redelivery = 10 * time.Second
)

// world is an installation: real use cases over a real Cloud Storage protocol,
// with a backend and a topic in memory. Every remote call can fail, and so can a
// whole process.
type world struct {
	t       *testing.T
	server  *fakestorage.Server
	storage *storagetest.Faults
	// objects is the inbox as submitters see it.
	objects objects
	ledger  *ledger.Ledger
	tell    *relay.Relay
	backend *backend
	topic   *topic
	submit  *submitter.Submitter
	watch   *watcher.Watcher
	// rules holds the operator's policy. noPolicy is the error of reading it, if set.
	rules    policy.Rules
	noPolicy error
	places   map[string][]string // of buckets

	mu  sync.Mutex
	now time.Time
	log lockedBuffer // the errors
	// asked, if set, is called before the policy is read.
	asked   func()
	options submitter.Options
	// reads counts readings of the clock. The process freezes for 75 s before the one that freezes
	// names.
	reads, freezes int
	call           int
	// dieAt, if not 0, is the number of the remote call at which the process dies, before or after
	// the call's effect.
	dieAt int
	after bool
	dead  bool
}

var errDead = errors.New("the process died")

func newWorld(t *testing.T) *world {
	t.Helper()
	client, server := storagetest.New(t, inbox, "state", "staging", "status")
	return newWorldOver(t, client, server)
}

func newWorldOver(t *testing.T, client *gcs.Client, server *fakestorage.Server) *world {
	t.Helper()
	w := &world{t: t, server: server, now: time.Now()}
	w.storage = &storagetest.Faults{Client: client,
		Before: func(storagetest.Call) error { return w.before() },
		After:  func(storagetest.Call) error { return w.done() },
	}
	w.objects = w.storage
	w.backend = &backend{w: w, jobs: map[string]attempt.BackendJob{}}
	w.topic = &topic{w: w}
	var err error
	if w.ledger, err = ledger.New(w.storage, "state", ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	if w.tell, err = relay.New(w.topic, w.ledger, w.storage, "status", w.clock, relay.Options{}); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelError}))
	w.options = submitter.Options{
		Instance: instance, Inbox: inbox, Staging: "staging", Policy: w.policy,
		Places: func(_ context.Context, bucket string) ([]string, error) {
			if places, ok := w.places[bucket]; ok {
				return places, nil
			}
			return nil, errors.New("storage.buckets.get denied")
		},
		Patience: job.Patience{Settle: settle, Incomplete: 15 * time.Minute, Expire: 24 * time.Hour,
			Submit: 24 * time.Hour, JobPatience: job.JobPatience{Grace: new(job.Duration(0))}},
		CallTime: 30 * time.Second, Inspections: 2, Parallel: 4, Now: w.clock, Logger: logger,
	}
	w.submit = w.process()
	w.watch, err = watcher.New(w.ledger, w.backend, w.storage, w.tell, w.submit, watcher.Options{
		Instance: instance, Inbox: inbox, Parallel: 4, Budget: time.Minute, PollsPerMinute: 100_000, ReadsPerMinute: 100_000,
		Now: w.clock, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// policy returns a policy without rules, except those that a test sets.
func (w *world) policy(context.Context) (policy.Policy, error) {
	if w.asked != nil {
		w.asked()
	}
	return policy.Policy{
		Project: "project", Inbox: inbox, Own: []string{"state", "staging", "status"}, Backend: "aiplatform", Rules: w.rules,
	}, w.noPolicy
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reads++; w.reads == w.freezes {
		w.now = w.now.Add(75 * time.Second)
	}
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// before runs before every remote call.
func (w *world) before() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.call++
	if w.call == w.dieAt && !w.after {
		w.dead = true
	}
	if w.dead {
		return errDead
	}
	return nil
}

func (w *world) done() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.after && w.dieAt > 0 && w.call >= w.dieAt { // two calls may be under way at once
		w.dead = true
	}
	if w.dead {
		return errDead
	}
	return nil
}

// restart starts a new process after one died.
func (w *world) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead, w.dieAt = false, 0
}

// put uploads an object and returns it as its event would name it.
func (w *world) put(name string, data []byte) job.Object {
	w.t.Helper()
	return w.putWith(name, string(data), nil)
}

// putWith does what put does, with metadata.
func (w *world) putWith(name, data string, metadata map[string]string) job.Object {
	w.t.Helper()
	generation, err := w.storage.Client.Write(w.t.Context(), inbox, name, []byte(data), "application/octet-stream",
		metadata, attempt.AnyGeneration)
	if err != nil {
		w.t.Fatal(err)
	}
	// An object's time is the machine's, and its generation is that time in microseconds. The
	// world's clock stands still, and on a slow machine it would be seconds behind.
	w.mu.Lock()
	if at := time.UnixMicro(generation); at.After(w.now) {
		w.now = at
	}
	w.mu.Unlock()
	return job.Object{Bucket: inbox, Name: name, Generation: generation, Size: int64(len(data))}
}

// process returns a submitter that has seen nothing.
func (w *world) process() *submitter.Submitter {
	w.t.Helper()
	s, err := submitter.New(w.objects, w.ledger, w.backend, w.tell, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// wake delivers the event of an object to a new process.
func (w *world) wake(o job.Object) {
	w.t.Helper()
	if err := w.process().Submit(w.t.Context(), o); err != nil {
		w.t.Fatalf("Submit(%s): %v", o.Name, err)
	}
}

func (w *world) tick() {
	w.t.Helper()
	if err := w.watch.Tick(w.t.Context()); err != nil {
		w.t.Fatalf("Tick: %v", err)
	}
}

func (w *world) record(jobFile job.Object) attempt.Stored {
	w.t.Helper()
	s, err := w.ledger.Get(w.t.Context(), job.AttemptKey(jobFile))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// open counts the entries of the index.
func (w *world) open() int {
	w.t.Helper()
	n := 0
	if err := w.ledger.Entries(w.t.Context(), "", func(page []attempt.Entry) error { n += len(page); return nil }); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func pkg(t testing.TB, drop string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../../testdata/drops/" + drop + "/trainer-0.1.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const spec = `trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
`

// backend is ml/v1 in memory. It takes our IDs: a repeated one is a conflict unless it is our own.
type backend struct {
	w  *world
	mu sync.Mutex
	// fail, if set, is the error of a create. With lose the create takes effect, but its answer is
	// lost.
	fail error
	lose bool
	// room is how many jobs run at a time; 0 means any number.
	room int
	// scarce, if set, is part of the IDs of jobs for which there is no room. asked, if set, is
	// called at each create.
	scarce string
	asked  func()
	// noID reports that each create makes a job.
	noID bool
	// name defaults to aiplatform.
	name string
	// told is the answer of each Check. orders holds the orders of the creates.
	told    []plan.Diagnostic
	orders  []job.Order
	creates int
	finds   int
	cancels int
	jobs    map[string]attempt.BackendJob
	specs   []job.Spec
}

func (f *backend) Name() string { return cmp.Or(f.name, "aiplatform") }

func (f *backend) Create(ctx context.Context, s job.Order) (attempt.BackendJob, error) {
	if err := cmp.Or(ctx.Err(), f.w.before()); err != nil {
		return attempt.BackendJob{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.creates++
	if f.asked != nil {
		f.asked()
	}
	if f.scarce != "" && strings.Contains(s.JobID, f.scarce) {
		return attempt.BackendJob{}, job.ErrQuota
	}
	if f.fail != nil {
		return attempt.BackendJob{}, f.fail
	}
	active := 0
	for _, l := range f.jobs {
		if l.Ended.IsZero() {
			active++
		}
	}
	if f.room > 0 && active >= f.room {
		return attempt.BackendJob{}, job.ErrQuota
	}
	name := s.JobID
	if f.noID {
		name = fmt.Sprintf("%s/%d", s.JobID, len(f.jobs))
	}
	found, ok := f.jobs[name]
	switch {
	case ok:
		return attempt.BackendJob{}, &attempt.ConflictError{JobID: s.JobID, Found: found}
	default:
		found = attempt.BackendJob{JobID: s.JobID, ResourceName: "projects/p/jobs/" + name, State: job.BackendQueued,
			Created: f.w.clock(), Labels: s.Labels}
		f.jobs[name] = found
		f.specs, f.orders = append(f.specs, s.Spec), append(f.orders, s)
	}
	if f.lose {
		return attempt.BackendJob{}, errors.New("connection reset")
	}
	return found, f.w.done()
}

func (f *backend) TakesID() bool { return !f.noID }

func (f *backend) EnforcesWait() bool { return !f.noID }

func (f *backend) Check(job.Order) []plan.Diagnostic { return f.told }

func (f *backend) Find(ctx context.Context, s job.Order) ([]attempt.BackendJob, error) {
	f.mu.Lock()
	f.finds++
	f.mu.Unlock()
	if f.noID {
		f.mu.Lock()
		defer f.mu.Unlock()
		var found []attempt.BackendJob
		for _, l := range f.jobs {
			if l.Labels[job.LabelAttempt] == s.Labels[job.LabelAttempt] &&
				l.Labels[job.LabelInstance] == s.Labels[job.LabelInstance] {
				found = append(found, l)
			}
		}
		slices.SortFunc(found, func(a, b attempt.BackendJob) int {
			return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ResourceName, b.ResourceName))
		})
		return found, nil
	}
	l, err := f.Get(ctx, job.JobInfo{ID: s.JobID})
	if errors.Is(err, job.ErrNotFound) {
		return nil, nil
	}
	return []attempt.BackendJob{l}, err
}

func (f *backend) Cancel(_ context.Context, j job.JobInfo) error {
	if err := f.w.before(); err != nil {
		return err
	}
	f.mu.Lock()
	name := nameOf(j)
	l, ok := f.jobs[name]
	if !ok {
		f.mu.Unlock()
		return job.ErrNotFound
	}
	l.State, l.Ended = job.BackendCancelled, f.w.clock()
	f.jobs[name] = l
	f.cancels++
	f.mu.Unlock()
	return f.w.done()
}

// nameOf returns the name of a job in jobs. Without its resource's name it is the ID.
func nameOf(j job.JobInfo) string {
	return cmp.Or(strings.TrimPrefix(j.ResourceName, "projects/p/jobs/"), j.ID)
}

func (f *backend) Get(_ context.Context, j job.JobInfo) (attempt.BackendJob, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, ok := f.jobs[nameOf(j)]
	if !ok {
		return l, job.ErrNotFound
	}
	return l, nil
}

func (f *backend) ListActive(
	_ context.Context, instance, _ string, page func([]attempt.BackendJob, string) error,
) error {
	f.mu.Lock()
	var active []attempt.BackendJob
	for _, l := range f.jobs {
		if l.Ended.IsZero() && (l.Labels == nil || l.Labels[job.LabelInstance] == job.InstanceLabel(instance)) {
			active = append(active, l)
		}
	}
	f.mu.Unlock()
	return page(active, "")
}

// finish makes jobs succeed: the named ones, or all.
func (f *backend) finish(ids ...string) {
	now := f.w.clock()
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, l := range f.jobs {
		if !l.Ended.IsZero() || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		l.State, l.Started, l.Ended = job.BackendSucceeded, now, now
		f.jobs[id] = l
	}
}

// run starts all jobs.
func (f *backend) run() {
	now := f.w.clock()
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, l := range f.jobs {
		l.State, l.Started = job.BackendRunning, now
		f.jobs[id] = l
	}
}

// topic keeps what was published.
type topic struct {
	w        *world
	mu       sync.Mutex
	requests int
	events   map[string][]job.Event // by attempt, each once
	repeated int                    // events that came again
	fail     error
	// publishing, if set, is called once, before the next events are stored.
	publishing func()
}

func (p *topic) Publish(ctx context.Context, key string, events []job.Event) error {
	if err := cmp.Or(ctx.Err(), p.w.before()); err != nil {
		return err
	}
	if meanwhile := p.publishing; meanwhile != nil {
		p.publishing = nil
		meanwhile()
	}
	if p.fail != nil {
		return p.fail
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	if p.events == nil {
		p.events = map[string][]job.Event{}
	}
	for _, e := range events {
		// Like a subscriber that keeps the last sequence of each attempt.
		if e.Body.Sequence > int64(len(p.events[key])) {
			if e.Body.Sequence != int64(len(p.events[key]))+1 {
				p.w.t.Errorf("attempt %s: event %d follows %d", key, e.Body.Sequence, len(p.events[key]))
			}
			p.events[key] = append(p.events[key], e)
		} else {
			p.repeated++
		}
	}
	return p.w.done()
}

// of returns the types of an attempt's events, shortened.
func (p *topic) of(key string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var types []string
	for _, e := range p.events[key] {
		types = append(types, strings.TrimSuffix(strings.TrimPrefix(string(e.Type), "dev.jobdrop."), ".v1"))
	}
	return strings.Join(types, " ")
}

// crowd has four ticks at once, and the events of four files, others in each round.
func (w *world) crowd(round int, files []job.Object) {
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if i%2 == 0 {
				_ = w.watch.Tick(w.t.Context()) // one that another overtakes may fail
			} else {
				_ = w.submit.Submit(w.t.Context(), files[(round+i)%len(files)])
			}
		})
	}
	group.Wait()
}

// overtake has something done once, right before or after the first call that begins with step, as in
// "write state/attempts/".
func (w *world) overtake(step string, before bool, do func()) {
	var done atomic.Bool
	hook := func(c storagetest.Call) error {
		if strings.HasPrefix(c.Kind+" "+c.Bucket+"/"+c.Name, step) && done.CompareAndSwap(false, true) {
			do() // not again, whatever it calls
		}
		return nil
	}
	if before {
		w.storage.Before = hook
	} else {
		w.storage.After = hook
	}
}

// count counts calls by kind and bucket, e.g. "write state".
func count(calls []storagetest.Call) map[string]int {
	n := map[string]int{}
	for _, c := range calls {
		n[c.Kind+" "+c.Bucket]++
	}
	return n
}

func names(calls []storagetest.Call) string {
	var b strings.Builder
	for _, c := range calls {
		fmt.Fprintf(&b, "%d %s %s/%s\n", c.Number, c.Kind, c.Bucket, c.Name)
	}
	return b.String()
}

func violated(r attempt.Stored) (rules []string) {
	for _, v := range r.Violations {
		rules = append(rules, string(v.Rule))
	}
	slices.Sort(rules)
	return rules
}
