// Package sim runs the real use cases against a hostile world: an installation
// over Cloud Storage, a topic and a backend in memory, in virtual time, with
// faults, from one seed.
//
// Everything that happens follows from the seed. Each remote call rests for a
// drawn time before its effect and again before its answer, and no two rests of
// a run end at the same moment: so one goroutine runs at a time, and the draws
// decide the order. [Run] has to be called in a bubble of testing/synctest.
package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/app/telemetry"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/flow/relay"
	"github.com/jobdrop/jobdrop/internal/flow/submitter"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The names of the simulated installation.
const (
	instance = "sim"
	inbox    = "inbox"
	state    = "state"
	staging  = "staging"
	status   = "status"
)

// The installation's patience: short, so that a run converges within two hours.
const (
	settle     = time.Minute
	incomplete = 2 * time.Minute
	expire     = 10 * time.Minute
	callTime   = 30 * time.Second
	// deadline is inbound's bound on a delivery and a tick.
	deadline = 8 * time.Minute
	// chaos is how long faults and people are at work; after it everything
	// answers, and ticks alone have to bring each attempt to its verdict.
	chaos = 20 * time.Minute
	// ticks is how many of those may take, and more where jobs wait for their
	// turn.
	ticks        = 90
	limitedTicks = 600
)

// world is a run.
type world struct {
	seed uint64

	mu      sync.Mutex
	rng     *rand.Rand
	begin   time.Time
	wakes   map[int64]bool // the moments at which a rest ends, in nanoseconds
	trace   []string
	broken  []string // invariants
	weather weather
	workers int
	calls   int
	doubles int       // second jobs of an attempt
	cancels int       // jobs that jobdrop ended at a limit
	hinted  int       // hints that led to a look
	granted int       // requests that were accepted
	calm    time.Time // when chaos was over

	storage *storage
	backend *backend
	// other is the backend that the installation is switched to for a while. switched
	// reports whether it is, wasSwitched whether it ever was.
	other                 *backend
	switched, wasSwitched bool
	topic                 *topic
	// uploads are what people uploaded to the inbox, by path and generation.
	uploads map[string]upload
	judge   *judge
	// wishes are what people asked for.
	wishes []wish
	alerts []alert
	// processes are the live processes, in the order of their start.
	processes []*process
	// paused is since when the policy pauses jobs, and strict since when it allows no
	// region; zero if it does not. lenient is when it last allowed one.
	paused, strict, lenient time.Time
	// withdraws is since when the policy withdraws content that ran before, zero if it does not.
	// withdrew is when it last did.
	withdraws, withdrew time.Time
	// activeBefore is the limit on jobs before the policy changed.
	activeBefore  int
	activeChanged time.Time
	// upgrade is when processes of a newer revision begin to start, and upgraded when
	// all are; zero if there is no upgrade.
	upgrade, upgraded time.Time
	// adapters reports that processes use the services through the real adapters.
	adapters bool
	// epoch reports that the installation was started before.
	epoch bool
	// replayed are the folders that somebody replayed.
	replayed map[string]bool
	// swept are the status objects that a lifecycle rule deleted.
	swept map[string]bool
	// group are the goroutines of people, events and functions. thawed reports that all of them
	// came to their end: nobody waits for what begins now.
	group  sync.WaitGroup
	thawed bool
	// dropped are the attempts whose index entry was lost by chance: a fault that
	// no service promises to make, so that less is promised where it is made.
	dropped map[string]bool
	// unplaced are the writes to the index by time that a revision left out that does not know it: the names.
	unplaced map[string]bool
	// written is when each event came into the ledger, by its ID.
	written map[string]time.Time
	// turned is when each attempt, by its label, got its turn under a limit on jobs.
	turned map[string]time.Time
	// spent is the most accelerator time that jobs took and might take.
	spent time.Duration
	// garbage are the events that no one can decode and that were taken.
	garbage []string
	// notify is what happens around Notify; nil if it does not run.
	notify *notify
}

// weather is how hostile a run is; the seed decides.
type weather struct {
	fault     float64 // share of calls that go wrong in some way
	lost      float64 // share of storage events that never come
	twice     float64 // share of events that come again though they were taken
	skew      time.Duration
	frozen    float64 // share of faults of calls about a claim that freeze the process
	refuse    float64 // share of creates that the backend refuses
	calm      bool    // chaos is over
	versioned bool    // the inbox keeps old generations
	noID      bool    // the backend makes a job of each create
	lax       bool    // the backend ends no job at its limits
	hinted    float64 // share of a job's changes that a hint tells of
	// backendSkew is how far the backend's clock is ahead; grace is longer.
	backendSkew, grace time.Duration
	stuck              bool // the policy says for how long a job may be in a state
	room               int  // jobs that the backend takes at a time; 0 is any number
	page               int  // jobs in a page of its list
	objects            int  // objects in a page of a list of storage
	// reused is the share of requests that a process takes that served others
	// before, shared the share of processes that serve some at once.
	reused, shared float64
	outmoded       float64 // share of processes of Submit that do not know the index by time
	partial        float64 // share of publishes of which only the first events are stored
	vanish         float64 // share of jobs that the backend forgets, for a while or for good
	restart        float64 // share of jobs that are run again
	jump           float64 // share of calls after which a clock is put right

	// The operator's policy: limits on jobs, 0 for none, and how long the
	// backend is asked. Pauses come and go.
	active, hourly int
	lasting        bool // no job may be run again
	budget         int  // accelerator hours of a month
	submit         time.Duration
	pauses         bool
}

// process is an instance of the functions. Some serve a request after another, some
// a few at once, which then share what it keeps in memory.
type process struct {
	name, kind string
	skew       time.Duration
	dead       bool
	backend    *backend
	// newer reports that its revision is newer than those before, outmoded that it is one that does not know
	// the index by time.
	newer, outmoded bool
	// shared reports that it serves some requests at once. serving are those under way.
	shared  bool
	serving []*worker
	load    app.Loader
	// routes are what a process of Notify keeps of the routes file.
	routes routesCache
}

// mostAtOnce is how many requests a shared process serves at once: more than drops
// that it inspects at once.
const mostAtOnce = 4

// worker is one request to a process.
type worker struct {
	*process
	name  string
	began time.Time
	// rng decides when it freezes between calls. It has one of its own, since two requests
	// to one process may go on at the same moment. calls counts its calls by name.
	rng   *rand.Rand
	calls map[string]int
	// behind reports that it froze after it last read the clock: no check of a time can
	// notice.
	behind bool
	// thawed reports that it froze right before what it does now.
	thawed bool
	// hint is what woke it, if a hint did. troubled reports that a call of it failed, or took long.
	hint     *hint
	troubled bool
	// unsettled are writes of the ledger and publishes that failed, by name,
	// and did not succeed later. Two writes may end at once.
	unsettled map[string]bool
	notes     sync.Mutex
	// listings are what it last saw of each folder.
	listings map[string]listing
	// visit is what a request to Notify did.
	visit *visit
}

type workerKey struct{}

func workerOf(ctx context.Context) *worker {
	w, _ := ctx.Value(workerKey{}).(*worker)
	return w
}

// Result is what a run showed.
type Result struct {
	// Violations are broken invariants; Trace is what happened, a line each.
	Violations, Trace []string
	// Calls, Jobs and Attempts say how much there was.
	Calls, Jobs, Attempts int
	// Doubles are jobs that a frozen process made beside an attempt's own,
	// Cancels those that jobdrop ended at a limit.
	// Hints are those that led to a look at their job. Requests are those that were accepted.
	Doubles, Cancels, Hints, Requests int
	// Messages are what destinations were told, and GivenUp what they were not.
	Messages, GivenUp int
}

// Run runs a seed, with the real adapters where [Adapted] says so, and with Notify where [Notified] does.
func Run(seed uint64) Result { return RunWith(seed, Adapted(seed), Notified(seed)) }

// Adapted reports whether the processes of a seed speak to the services through the
// real adapters: in one of four they do.
func Adapted(seed uint64) bool { return rand.New(rand.NewPCG(seed, 0)).IntN(4) == 0 }

// Notified reports whether Notify runs in a seed: in one of three it does. What else happens in the seed is the same
// without it: nothing of Notify draws from the world's chance.
func Notified(seed uint64) bool { return rand.New(rand.NewPCG(seed, notifies)).IntN(3) == 0 }

// RunWith runs a seed with the real adapters or without them, and with Notify or without it.
func RunWith(seed uint64, adapters, notified bool) Result {
	w := &world{
		seed:     seed,
		rng:      rand.New(rand.NewPCG(seed, 1)),
		begin:    time.Now(),
		wakes:    map[int64]bool{},
		dropped:  map[string]bool{},
		unplaced: map[string]bool{},
		written:  map[string]time.Time{},
		turned:   map[string]time.Time{},
		uploads:  map[string]upload{},
		replayed: map[string]bool{},
		swept:    map[string]bool{},
	}
	w.judge, w.adapters = newJudge(w), adapters
	w.weather = weather{
		fault:     pick(w.rng, 0, 0.02, 0.1, 0.25, 0.4),
		lost:      pick(w.rng, 0, 0, 0.1, 0.3),
		twice:     pick(w.rng, 0, 0.2, 0.5),
		skew:      pick(w.rng, 0, 0, 3*time.Second),
		versioned: w.rng.IntN(2) == 0,
		noID:      w.rng.IntN(3) == 0,
		room:      pick(w.rng, 0, 0, 1, 3),
		active:    pick(w.rng, 0, 0, 1, 2),
		hourly:    pick(w.rng, 0, 0, 0, 4),
		submit:    pick(w.rng, 5*time.Minute, 24*time.Hour),
		pauses:    w.rng.IntN(3) == 0,
		lax:       w.rng.IntN(2) == 0,
		hinted:    pick(w.rng, 0, 0.5, 1),
		page:      pick(w.rng, 1, 2, 3, 100),
		objects:   pick(w.rng, 2, 5, 1000, 1000, 1000, 1000),
		reused:    pick(w.rng, 0, 0.5, 0.9),
		shared:    pick(w.rng, 0, 0.3, 1),
		vanish:    pick(w.rng, 0, 0, 0.3, 0.6),
		restart:   pick(w.rng, 0, 0, 0, 0.3),
	}
	if w.weather.restart > 0 {
		w.weather.lasting = w.rng.IntN(2) == 0
	}
	w.weather.outmoded = pick(w.rng, 0, 0, 0.3, 1)
	if w.weather.skew > 0 {
		w.weather.jump = pick(w.rng, 0, 0.05)
	}
	w.weather.partial = pick(w.rng, 0, 0, w.weather.fault)
	if w.weather.hourly == 0 { // an hour is counted by the backend's times
		w.weather.backendSkew = pick(w.rng, 0, 0, -time.Minute, time.Minute, -10*time.Minute, 10*time.Minute)
	}
	w.weather.grace = 5 * time.Minute
	if w.weather.backendSkew.Abs() > time.Minute {
		w.weather.grace = 15 * time.Minute
	}
	w.weather.stuck = w.rng.IntN(2) == 0
	w.weather.frozen, w.weather.refuse = pick(w.rng, 0.3, 0.3, 0.8), pick(w.rng, w.weather.fault, w.weather.fault, 0.5)
	if w.chance(0.15) { // many claims are lost
		w.weather.fault, w.weather.frozen, w.weather.refuse = 0.4, 0.8, 0.5
	}
	w.weather.budget = budgetOf(seed)
	w.storage = newStorage(w)
	w.backend, w.other = newBackend(w, "aiplatform"), newBackend(w, "vertex")
	w.topic = &topic{w: w, logs: map[string][]job.Event{}}
	if notified {
		w.notify = newNotify(w)
		w.notify.begin()
	}
	w.play()
	w.check()
	if w.notify != nil {
		w.notify.finish()
	}
	if w.chance(0.1) {
		w.retire()
	}
	r := Result{
		Violations: w.broken,
		Trace:      w.trace,
		Calls:      w.calls,
		Jobs:       len(w.backend.jobs),
		Doubles:    w.doubles,
		Cancels:    w.cancels,
		Hints:      w.hinted,
		Requests:   w.granted,
	}
	if w.notify != nil {
		r.Messages, r.GivenUp = w.notify.messages(), len(w.notify.givenUp)
	}
	for name := range w.storage.objects {
		if strings.HasPrefix(name, state+"/attempts/") {
			r.Attempts++
		}
	}
	return r
}

func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// between draws a duration.
func (w *world) between(least, most time.Duration) time.Duration { return within(w.rng, least, most) }

func within(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)+1))
}

// say adds a line to the trace. The caller holds mu or is alone.
func (w *world) say(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%12s  ", time.Since(w.begin).Truncate(time.Microsecond))+
		fmt.Sprintf(format, args...))
}

// fail reports a broken invariant.
func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.broken = append(w.broken, text)
	w.say("BROKEN: %s", text)
}

// at reserves a moment about d from now for whoever wakes then.
func (w *world) at(d time.Duration) time.Duration {
	end := time.Now().Add(d).UnixNano()
	for w.wakes[end] {
		end++
	}
	w.wakes[end] = true
	return time.Duration(end - time.Now().UnixNano())
}

// rest sleeps for a reserved time. It ends early with the context.
func (w *world) rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var (
	errDied   = errors.New("the process died")
	errServer = errors.New("503 service unavailable")
	errCut    = errors.New("connection reset")
)

// fault is what goes wrong with a call.
type fault int

const (
	fine     fault = iota
	before         // refused without an effect
	after          // done, but the answer is lost
	quota          // 429
	slow           // takes minutes
	thaw           // the process freezes before the effect, and thaws
	die            // the process dies before the effect
	dieAfter       // and after it
)

// share returns the share of a worker's calls that go wrong.
func (w *world) share(me *worker) float64 {
	if me != nil && me.kind == "notify" {
		return w.notify.fault
	}
	return w.weather.fault
}

// calmFor reports whether everything answers a worker.
func (w *world) calmFor(me *worker) bool {
	if me != nil && me.kind == "notify" {
		return w.notify.calm
	}
	return w.weather.calm
}

// luck returns what decides what befalls a worker where its own chance does not.
func (w *world) luck(me *worker) *rand.Rand {
	if me != nil && me.kind == "notify" {
		return w.notify.rng
	}
	return w.rng
}

func (w *world) draw(me *worker, rng *rand.Rand, name string) fault {
	if w.calmFor(me) || rng.Float64() >= w.share(me) {
		return fine
	}
	// Where a claim is at stake, processes freeze and answers are lost more often.
	switch {
	case strings.HasPrefix(name, "create ") && rng.Float64() < w.weather.frozen:
		return pick(rng, thaw, thaw, after)
	case strings.HasPrefix(name, "write state/attempts/") && rng.Float64() < w.weather.frozen:
		return thaw
	case strings.HasPrefix(name, "send ") && rng.Float64() < w.weather.frozen:
		return pick(rng, thaw, thaw, after, dieAfter)
	}
	return pick(rng, before, before, after, after, quota, slow, thaw, die, dieAfter)
}

// rests draws how long a call with the fault f takes before its effect, and after it. The caller holds mu.
func (w *world) rests(rng *rand.Rand, f fault, calm bool) (first, second time.Duration) {
	first, second = within(rng, time.Millisecond, 100*time.Millisecond),
		within(rng, time.Millisecond, 100*time.Millisecond)
	if !calm && rng.Float64() < 0.05 {
		first = within(rng, time.Second, 10*time.Second)
	}
	switch f {
	case slow:
		second = within(rng, 10*time.Second, 5*time.Minute)
	case thaw: // about as long as a claim holds, or much longer
		first = within(rng, 20*time.Second, pick(rng, 2*time.Minute, 7*time.Minute))
		if w.weather.noID && rng.Float64() < 0.5 { // longer than anyone may
			first = within(rng, 9*time.Minute, 30*time.Minute)
		}
	}
	return first, second
}

// call makes one remote call: it rests, has its effect, and rests again. bound is how
// long the client waits; 0 is as long as the context.
func (w *world) call(ctx context.Context, bound time.Duration, name string, effect func() error) error {
	me := workerOf(ctx)
	w.mu.Lock()
	if me != nil && me.dead {
		w.mu.Unlock()
		return errDied
	}
	w.calls++
	rng := w.rng
	if me != nil {
		rng = me.draws(w.seed, name)
	}
	f := w.draw(me, rng, name)
	if me != nil && f != fine {
		me.troubled = true
		me.visit.disturbed(name)
	}
	calm := w.calmFor(me)
	first, second := w.rests(rng, f, calm)
	first = w.at(first)
	w.mu.Unlock()

	client := ctx
	if bound > 0 && !overWire(ctx) {
		var cancel context.CancelFunc
		client, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	if f == thaw {
		time.Sleep(first) // and what it was about to do, it does
	} else if err := w.rest(client, first); err != nil {
		return w.answer(me, name, f, err)
	}
	w.mu.Lock()
	if me != nil && me.dead {
		w.mu.Unlock()
		return errDied
	}
	switch f {
	case before:
		w.mu.Unlock()
		return w.answer(me, name, f, errServer)
	case quota:
		w.mu.Unlock()
		return w.answer(me, name, f, fmt.Errorf("429: %w", job.ErrQuota))
	case die:
		me.die()
		w.mu.Unlock()
		return w.answer(me, name, f, errDied)
	}
	if me != nil {
		me.thawed = f == thaw
	}
	err := effect()
	if me != nil && !w.calmFor(me) && w.weather.jump > 0 && w.luck(me).Float64() < w.weather.jump {
		me.skew = within(w.luck(me), -w.weather.skew, w.weather.skew)
	}
	if f == dieAfter {
		me.die()
	}
	second = w.at(second)
	w.mu.Unlock()
	if restErr := w.rest(client, second); restErr != nil {
		return w.answer(me, name, f, restErr)
	}
	switch {
	case f == dieAfter:
		err = errDied
	case f == after:
		err = errCut
	}
	return w.answer(me, name, f, err)
}

// draws returns what decides what befalls a call of a worker. A worker makes some calls at the same moment: what
// befalls one must not depend on which of them draws first. The caller holds mu.
func (me *worker) draws(seed uint64, name string) *rand.Rand {
	me.calls[name]++
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, me.name, " ", name, " ", me.calls[name])
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func (me *worker) die() {
	if me != nil {
		me.dead = true // and so is whoever else it serves
	}
}

// answer traces a call and returns its error.
func (w *world) answer(me *worker, name string, f fault, err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	who := "-"
	if me != nil {
		who = me.name
	}
	text := "ok"
	if err != nil {
		text = err.Error()
	}
	w.say("%-8s %s: %s", who, name, text)
	return err
}

// serve sends a request to a process that is up, or to a new one. The caller holds mu.
func (w *world) serve(kind string) *worker {
	w.workers++
	me := &worker{
		name: fmt.Sprintf("%s%d", kind, w.workers), began: time.Now(),
		rng:       rand.New(rand.NewPCG(w.seed, uint64(w.workers)+1)),
		calls:     map[string]int{},
		unsettled: map[string]bool{}, listings: map[string]listing{},
	}
	if w.chance(w.weather.reused) {
		for _, p := range w.processes {
			if p.kind == kind && !p.dead && !w.outdated(p) && (len(p.serving) == 0 || p.shared && len(p.serving) < mostAtOnce) {
				me.process = p
			}
		}
	}
	if me.process == nil {
		me.process = w.process(kind)
	}
	me.serving = append(me.serving, me)
	return me
}

// outdated reports whether a process has another revision, or other settings, than
// new requests go to.
func (w *world) outdated(p *process) bool {
	over := !w.upgraded.IsZero() && !time.Now().Before(w.upgraded)
	return over && !p.newer || (p.backend == w.other) != w.switched
}

// answered ends a request to a process. The caller holds mu.
func (w *world) answered(me *worker) {
	me.serving = slices.DeleteFunc(me.serving, func(other *worker) bool { return other == me })
	if me.dead {
		w.processes = slices.DeleteFunc(w.processes, func(p *process) bool { return p == me.process })
	}
}

// process starts a new process. The caller holds mu.
func (w *world) process(kind string) *process {
	p := &process{
		name:    fmt.Sprintf("process%d", w.workers),
		kind:    kind,
		shared:  w.chance(w.weather.shared),
		backend: w.backend,
	}
	if w.switched {
		p.backend = w.other
	}
	if !w.upgrade.IsZero() {
		over := !time.Now().Before(w.upgraded)
		p.newer = over || !time.Now().Before(w.upgrade) && w.chance(0.5)
	}
	p.outmoded = kind == "submit" && !w.weather.calm && w.chance(w.weather.outmoded)
	w.processes = append(w.processes, p)
	if w.weather.skew > 0 {
		p.skew = w.between(-w.weather.skew, w.weather.skew)
	}
	with := w.partsOf(p)
	now := w.clock(p, with.now)
	records, err := ledger.New(with.storage, state, ledger.Options{})
	must(err)
	tell, err := relay.New(with.topic, records, with.storage, status, now, relay.Options{})
	must(err)
	logger := slog.New(&recorder{w: w})
	submit, err := submitter.New(with.storage, records, with.backend, tell, submitter.Options{
		Instance: instance, Inbox: inbox, Staging: staging,
		Policy: func(ctx context.Context) (policy.Policy, error) { return w.policy(ctx, p.backend.name) },
		Patience: job.Patience{
			Settle: settle, Incomplete: incomplete, Expire: expire, Submit: w.weather.submit,
			JobPatience: job.JobPatience{Grace: new(job.Duration(w.weather.grace))},
		},
		CallTime: callTime, Inspections: 2, Parallel: 1, Now: now, Logger: logger,
	})
	must(err)
	watch, err := watcher.New(records, with.backend, with.storage, tell, submit, watcher.Options{
		Instance: instance, Inbox: inbox, Parallel: 1, Budget: deadline - time.Minute, PollsPerMinute: math.MaxInt32,
		ReadsPerMinute: math.MaxInt32, Now: now, Logger: logger,
	})
	must(err)
	a := app.New(submit, watch, records, telemetry.Off(), logger)
	p.load = func(context.Context) (*app.App, error) { return a, nil }
	return p
}

// clock returns the clock of a process, which reads that of its services. The process may freeze at a look.
func (w *world) clock(p *process, services func() time.Time) func() time.Time {
	return func() time.Time {
		w.mu.Lock()
		at := services().Add(p.skew)
		if p.shared || len(p.serving) == 0 { // nobody knows which of its requests asks
			w.mu.Unlock()
			return at
		}
		me := p.serving[0]
		me.behind = false
		if w.calmFor(me) || me.rng.Float64() >= w.share(me)*w.weather.frozen/4 {
			w.mu.Unlock()
			return at
		}
		// Frozen between two calls, before the clock is read or after.
		lasts := w.at(within(me.rng, 20*time.Second, pick(me.rng, 2*time.Minute, 7*time.Minute)))
		late := me.rng.Float64() < 0.5
		me.visit.disturbed("clock")
		me.behind = !late
		w.mu.Unlock()
		time.Sleep(lasts)
		if late {
			w.mu.Lock()
			at = services().Add(p.skew)
			w.mu.Unlock()
		}
		return at
	}
}

// request sends a request to a function, and reports whether the function took it.
func (w *world) request(me *worker, function http.Handler, header http.Header, body []byte) bool {
	r := httptest.NewRequestWithContext(context.WithValue(context.Background(), workerKey{}, me), http.MethodPost, "/",
		bytes.NewReader(body))
	r.Header = header
	answer := httptest.NewRecorder()
	function.ServeHTTP(answer, r)
	// Requests that share their work end together. What comes after them draws, so each has a moment of its own.
	w.mu.Lock()
	apart := w.at(within(me.draws(w.seed, "answer"), time.Microsecond, time.Millisecond))
	w.mu.Unlock()
	time.Sleep(apart)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered(me)
	switch {
	case me.dead:
		w.say("%-8s %v", me.name, errDied)
		return false
	case answer.Code >= 300:
		w.say("%-8s answers %d", me.name, answer.Code)
		return false
	}
	w.say("%-8s answers %d", me.name, answer.Code)
	if me.hint != nil {
		return true // taken in any case: the next tick does what is left
	}
	for _, name := range slices.Sorted(maps.Keys(me.unsettled)) {
		w.fail("%s answered success after %s had failed", me.name, name)
	}
	w.judge.answered(me)
	return true
}

// policy reads the operator's policy, as it is now.
func (w *world) policy(ctx context.Context, backend string) (policy.Policy, error) {
	p := policy.Policy{Project: "project", Inbox: inbox, Own: []string{state, staging, status}, Backend: backend}
	err := w.call(ctx, 20*time.Second, "read the policy", func() error {
		text := fmt.Sprintf("pause: %t\n", !w.paused.IsZero())
		if !w.withdraws.IsZero() {
			text += "sameContent: withdraw\n"
		}
		limits := ""
		if w.weather.active > 0 {
			limits += fmt.Sprintf("  activeJobs: %d\n", w.weather.active)
		}
		if w.weather.hourly > 0 {
			limits += fmt.Sprintf("  jobsPerHour: %d\n", w.weather.hourly)
		}
		if w.weather.lasting {
			limits += "  restarts: 0\n"
		}
		if w.weather.budget > 0 {
			limits += fmt.Sprintf("  acceleratorHours: {per: month, most: %d}\n", w.weather.budget)
		}
		if limits != "" {
			text += "limits:\n" + limits
		}
		if w.weather.stuck {
			text += "patience: {stuck: {queued: 60s, preparing: 60s, running: 120s, cancelling: 60s}}\n"
		}
		if w.strict.IsZero() {
			text += "allow: {packageSources: ['gs://" + elsewhere + "/**']}\n"
		} else {
			text += "allow: {regions: [], packageSources: ['gs://" + elsewhere + "/**']}\n"
		}
		p.Rules = parsed(text)
		return nil
	})
	return p, err
}

// policies caches parsed policies.
var policies sync.Map

func parsed(text string) policy.Rules {
	if rules, ok := policies.Load(text); ok {
		return rules.(policy.Rules)
	}
	rules, vs := policy.Parse("policy.yaml", []byte(text))
	if len(vs) > 0 {
		panic(fmt.Sprint(vs))
	}
	policies.Store(text, rules)
	return rules
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// note keeps what a process could not write or publish.
func (me *worker) note(name string, err error) {
	if me == nil {
		return
	}
	me.notes.Lock()
	defer me.notes.Unlock()
	switch {
	case err == nil:
		delete(me.unsettled, name)
	case errors.Is(err, attempt.ErrStale): // another was faster: the answer to it is a read
	default:
		me.unsettled[name] = true
	}
}
