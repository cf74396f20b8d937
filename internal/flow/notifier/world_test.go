package notifier_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var start = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)

// world is everything around the use case: a bucket, destinations with ledgers, a clock, and processes that can be
// killed at any call.
type world struct {
	t      testing.TB
	file   *routes.File
	bucket *bucket
	// destinations are those of the routes file, by name.
	destinations map[string]*destination
	options      notifier.Options

	mu    sync.Mutex
	clock time.Time
	sends []notifier.Send
	ticks []notifier.Tick
	// unreached and faulty count what was reported.
	unreached, faulty int
	// calls counts the calls of the running process, and kill is the one at which it dies; 0 is none. after has it die
	// when the call has had its effect.
	calls, kill int
	after, dead bool
	nonces      int
}

func newWorld(t testing.TB, text string) *world {
	t.Helper()
	w := &world{t: t, clock: start, destinations: map[string]*destination{}}
	w.bucket = &bucket{w: w, objects: map[string]*object{}}
	w.options = notifier.Options{
		Instance: "prod", Now: w.now, Budget: time.Minute, Parallel: 1,
		Nonce: func() string {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.nonces++
			return fmt.Sprint("nonce", w.nonces)
		},
		Sent:      func(_ context.Context, s notifier.Send) { w.mu.Lock(); w.sends = append(w.sends, s); w.mu.Unlock() },
		Unreached: func(context.Context, routes.Destination, time.Time, string) { w.unreached++ },
		Faulty:    func(context.Context, notice.Event, string, string) { w.faulty++ },
		Ticked: func(_ context.Context, tick notifier.Tick) {
			w.mu.Lock()
			w.ticks = append(w.ticks, tick)
			w.mu.Unlock()
		},
	}
	w.route(text)
	return w
}

// route replaces the routes file.
func (w *world) route(text string) {
	w.t.Helper()
	file, vs := routes.Parse("routes.yaml", []byte(text))
	if file == nil {
		w.t.Fatalf("routes: %v", vs)
	}
	w.file = file
	for _, name := range file.Destinations() {
		if w.destinations[name] == nil {
			w.destinations[name] = &destination{w: w, told: map[string]int{}}
		}
	}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// process returns a new process of the function.
func (w *world) process() *notifier.Notifier {
	w.t.Helper()
	w.calls, w.dead = 0, false
	n, err := notifier.New(w.bucket, "state", func(context.Context) (*routes.File, error) { return w.file, nil },
		func(_ context.Context, _ *routes.File, d routes.Destination) (notifier.Destination, error) {
			return w.destinations[d.Name], nil
		}, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

var errDead = errors.New("the process was killed")

// call makes a call of the running process, which may die before or after its effect.
func (w *world) call(effect func() error) error {
	w.mu.Lock()
	w.calls++
	if w.dead {
		w.mu.Unlock()
		return errDead
	}
	w.dead = w.kill > 0 && w.calls >= w.kill
	before := w.dead && !w.after
	w.mu.Unlock()
	if before {
		return errDead
	}
	err := effect()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return errDead
	}
	return err
}

// object is an object of the bucket.
type object struct {
	data       []byte
	generation int64
	metadata   map[string]string
}

// bucket is a Cloud Storage in memory.
type bucket struct {
	w       *world
	mu      sync.Mutex
	objects map[string]*object
	last    int64
	// counts are the calls by kind.
	counts map[string]int
	// fail, if set, is asked before each call.
	fail func(kind, name string) error
	// lose, if set, is asked after each call that had its effect, and returns what its answer is instead.
	lose func(kind, name string) error
}

func (b *bucket) do(kind, name string, effect func() error) error {
	return b.w.call(func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.counts == nil {
			b.counts = map[string]int{}
		}
		b.counts[kind]++
		if b.fail != nil {
			if err := b.fail(kind, name); err != nil {
				return err
			}
		}
		err := effect()
		if err == nil && b.lose != nil {
			err = b.lose(kind, name)
		}
		return err
	})
}

func (b *bucket) Read(_ context.Context, _, name string, _, limit int64) (data []byte, generation int64, err error) {
	err = b.do("read", name, func() error {
		o := b.objects[name]
		switch {
		case o == nil:
			return job.ErrNotFound
		case int64(len(o.data)) > limit:
			return job.ErrTooLarge
		}
		data, generation = slices.Clone(o.data), o.generation
		return nil
	})
	return data, generation, err
}

func (b *bucket) Write(
	_ context.Context, _, name string, data []byte, _ string, metadata map[string]string, ifGeneration int64,
) (generation int64, err error) {
	err = b.do("write", name, func() error {
		present := int64(0)
		if o := b.objects[name]; o != nil {
			present = o.generation
		}
		if ifGeneration != attempt.AnyGeneration && ifGeneration != present {
			return attempt.ErrStale
		}
		b.last++
		generation = b.last
		b.objects[name] = &object{slices.Clone(data), generation, metadata}
		return nil
	})
	return generation, err
}

func (b *bucket) Delete(_ context.Context, _, name string) error {
	return b.do("delete", name, func() error {
		delete(b.objects, name)
		return nil
	})
}

func (b *bucket) ListAfter(_ context.Context, _, prefix, after string, page func([]job.Attributes) error) error {
	var all []job.Attributes
	err := b.do("list", prefix, func() error {
		for name, o := range b.objects {
			if strings.HasPrefix(name, prefix) && name > after {
				all = append(all, job.Attributes{Object: job.Object{Name: name, Generation: o.generation}, Metadata: o.metadata})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b job.Attributes) int { return cmp.Compare(a.Name, b.Name) })
	return page(all)
}

// names lists the objects below a folder.
func (b *bucket) names(prefix string) (names []string) {
	for name := range b.objects {
		if strings.HasPrefix(name, prefix) {
			names = append(names, strings.TrimPrefix(name, prefix))
		}
	}
	slices.Sort(names)
	return names
}

// destination keeps what it was told.
type destination struct {
	w *world
	// told counts the messages by ID.
	told map[string]int
	// messages are all of them, in their order, refreshes too.
	messages []delivery.Message
	// answer, if set, is what a send comes to instead of nil. What it refuses was not told.
	answer func(m delivery.Message) error
	tries  int
}

func (d *destination) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	err := d.w.call(func() error {
		d.w.mu.Lock()
		defer d.w.mu.Unlock()
		d.tries++
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > delivery.SendTime {
			return errors.New("the send has no deadline")
		}
		if d.answer != nil {
			if err := d.answer(m); err != nil {
				return err
			}
		}
		if !m.Refresh {
			d.told[m.ID]++
		}
		d.messages = append(d.messages, m)
		return nil
	})
	return delivery.Receipt(fmt.Sprintf("%q", m.Event.ID())), err
}

// order lists the messages: attempt's generation and sequence.
func (d *destination) order() (all []string) {
	for _, m := range d.messages {
		all = append(all, short(m.Event))
	}
	return all
}

func short(e notice.Event) string { return fmt.Sprintf("%d-%d", e.Generation, e.Body.Sequence) }

// folderKey returns the key of a folder by a number.
func folderKey(n int) string { return job.FolderKey("inbox", fmt.Sprintf("teams/nlp/%d/", n)) }

// news returns an event of an attempt.
func news(t testing.TB, folder int, generation, sequence int64, typ job.EventType, change ...func(*job.Snapshot)) notice.Event {
	t.Helper()
	states := map[job.EventType]job.State{
		job.DropAccepted: job.Accepted, job.JobSubmitted: job.Submitted, job.JobRunning: job.Running,
		job.JobDelayed: job.Running, job.JobFailed: job.Failed, job.JobSucceeded: job.Succeeded,
		job.DropRejected: job.Rejected, job.DropIncomplete: job.Waiting,
	}
	b := job.Snapshot{Attempt: fmt.Sprintf("%s-%d", folderKey(folder), generation), Sequence: sequence, State: states[typ]}
	b.Drop.Bucket, b.Drop.Prefix = "inbox", fmt.Sprintf("teams/nlp/%d/", folder)
	for _, c := range change {
		c(&b)
	}
	c, err := event.Encode("prod", job.Event{Type: typ, Time: start, Body: b})
	if err != nil {
		t.Fatal(err)
	}
	e, err := notice.Decode(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func want[T any](t testing.TB, what string, want, got T) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
