package submitter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// gate holds up calls until it is opened.
type gate struct {
	reached, open chan struct{}
}

// hold has the next call that begins with step wait at a gate.
func (w *world) hold(step string) gate {
	g := gate{make(chan struct{}), make(chan struct{})}
	var reached atomic.Bool
	w.storage.Before = func(c storagetest.Call) error {
		if strings.HasPrefix(c.Kind+" "+c.Bucket+"/"+c.Name, step) && reached.CompareAndSwap(false, true) {
			close(g.reached)
			<-g.open
		}
		return w.before()
	}
	return g
}

// going delivers an event in the background.
func (w *world) going(submit func() error) chan error {
	done := make(chan error, 1)
	go func() { done <- submit() }()
	return done
}

// Both events of a drop come to a process while it looks at the folder. They are one look, whichever
// comes first, and both succeed once it is done.
func TestSubmitSharesALook(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"package", "job file"} {
		t.Run(first+" first", func(t *testing.T) {
			w := newWorld(t)
			events := []job.Object{w.put("a/"+tarball, pkg(t, "hello")), w.put("a/job.yaml", []byte(spec))}
			if first == "job file" {
				events[0], events[1] = events[1], events[0]
			}
			g := w.hold("write state/folders/")
			one := w.going(func() error { return w.submit.Submit(t.Context(), events[0]) })
			<-g.reached
			two := w.going(func() error { return w.submit.Submit(t.Context(), events[1]) })
			select {
			case err := <-two:
				t.Errorf("the second event was answered before the drop was decided: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			close(g.open)
			if err := errors.Join(<-one, <-two); err != nil {
				t.Error(err)
			}
			calls := w.storage.Calls()
			n := count(calls)
			if n["list inbox"] != 1 || n["read inbox"] != 2 || n["write state"] != 7 || w.backend.creates != 1 {
				t.Errorf("%d creates, and calls %v:\n%s", w.backend.creates, n, names(calls))
			}
		})
	}
}

// An event that comes again to the process that answered it costs nothing. One of another generation does,
// and one whose answer was an error.
func TestSubmitRemembersWhatItAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, f := w.put("a/"+tarball, pkg(t, "hello")), w.put("a/job.yaml", []byte(spec))
	w.topic.fail = errors.New("503")
	if err := w.submit.Submit(t.Context(), f); err == nil {
		t.Error("success, and nothing was published")
	}
	w.topic.fail = nil
	w.pass(redelivery + time.Second)
	for _, o := range []job.Object{p, f} { // the second is shown by the first one's list
		if err := w.submit.Submit(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
	w.want(f, job.Submitted, "", 1)
	if got := w.topic.of(job.AttemptKey(f)); !strings.HasPrefix(got, "drop.accepted job.submitted") || w.topic.repeated > 0 {
		t.Errorf("events %q, %d again", got, w.topic.repeated)
	}
	w.storage.Reset()
	for _, o := range []job.Object{p, f, p, f} {
		if err := w.submit.Submit(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
	if calls := w.storage.Calls(); len(calls) > 0 {
		t.Errorf("calls for events that were answered:\n%s", names(calls))
	}
	again := w.put("a/job.yaml", []byte(spec+"  args: [again]\n"))
	if err := w.submit.Submit(t.Context(), again); err != nil {
		t.Error(err)
	}
	w.want(again, job.Held, "", 1)
}

// An event whose object came after the list of the look under way is not answered by that look.
func TestSubmitLooksForWhatCameLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.put("a/job.yaml", []byte(spec))
	g := w.hold("write state/open/")
	one := w.going(func() error { return w.submit.Submit(t.Context(), f) })
	<-g.reached
	p := w.put("a/"+tarball, pkg(t, "hello"))
	select {
	case err := <-w.going(func() error { return w.submit.Submit(t.Context(), p) }):
		if err != nil {
			t.Error(err)
		}
		w.want(f, job.Submitted, "", 1)
	case <-time.After(10 * time.Second):
		t.Error("it waits for a visit that does not know of it")
	}
	close(g.open)
	if err := <-one; err != nil && !attempt.Contended(err) {
		t.Error(err)
	}
	w.want(f, job.Submitted, "", 1)
}

// What comes of a look that others share is theirs, too, if it fails or panics: each event comes again.
func TestSubmitSharesAFailure(t *testing.T) {
	t.Parallel()
	for _, panics := range []bool{false, true} {
		t.Run(fmt.Sprintf("panics: %t", panics), func(t *testing.T) {
			w := newWorld(t)
			p, f := w.put("a/"+tarball, pkg(t, "hello")), w.put("a/job.yaml", []byte(spec))
			g := gate{make(chan struct{}), make(chan struct{})}
			w.backend.asked = func() {
				close(g.reached)
				<-g.open
				if panics {
					panic("on purpose")
				}
			}
			w.topic.fail = errors.New("503")
			one := w.going(func() (err error) {
				defer func() {
					if said := recover(); said != nil {
						err = fmt.Errorf("%v", said)
					}
				}()
				return w.submit.Submit(t.Context(), p)
			})
			<-g.reached
			two := w.going(func() error { return w.submit.Submit(t.Context(), f) })
			time.Sleep(10 * time.Millisecond) // it waits for the other, or it will not have to
			close(g.open)
			if first, second := <-one, <-two; first == nil || second == nil {
				t.Errorf("answers %v and %v, want two errors", first, second)
			}
		})
	}
}

// Two processes get the two events of a drop. The one that is second on the index leaves the drop to the
// first, at little cost; not so if its list shows more, if the first one has had its time, or if a tick asks.
func TestSubmitLeavesADropToItsWorker(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before func(w *world)
		look   func(w *world, p job.Object) error
		left   bool
	}{
		{name: "at once", left: true},
		{name: "with another package", before: func(w *world) {
			w.put("a/"+tarball, pkg(w.t, "train"))
		}},
		{name: "late", before: func(w *world) { w.pass(redelivery) }},
		{name: "by a tick", look: func(w *world, _ job.Object) error { return w.watch.Tick(w.t.Context()) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.tick()
			p, f := w.put("a/"+tarball, pkg(t, "hello")), w.put("a/job.yaml", []byte(spec))
			g := w.hold("write state/jobs/")
			one := w.going(func() error { return w.process().Submit(t.Context(), f) })
			<-g.reached
			w.storage.Reset()
			if test.before != nil {
				test.before(w)
			}
			look := test.look
			if look == nil {
				look = func(w *world, p job.Object) error { return w.process().Submit(t.Context(), p) }
			}
			err := look(w, p)
			if attempt.Left(err) != test.left || err != nil && !test.left {
				t.Errorf("answer %v, want that the drop is left to the other: %t", err, test.left)
			}
			if n := count(w.storage.Calls()); test.left && n["write state"] > 2 { // the index entry, and that by time
				t.Errorf("calls %v, want none that decides", n)
			}
			if !test.left {
				w.want(f, job.Submitted, "", 1)
			}
			close(g.open)
			if err := <-one; err != nil && !attempt.Contended(err) {
				t.Error(err)
			}
			w.want(f, job.Submitted, "", 1)
		})
	}
}

// A worker does not leave a drop to itself: its folder changes while it looks, and its list is the same again.
func TestSubmitGoesOnWithItsOwnDrop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("a/"+tarball, pkg(t, "hello"))
	f := w.put("a/job.yaml", []byte(spec))
	fails := true
	w.storage.Before = func(c storagetest.Call) error {
		if c.Kind == "copy" && fails {
			fails = false
			return job.ErrNotFound
		}
		return w.before()
	}
	if err := w.submit.Submit(t.Context(), f); err != nil {
		t.Error(err)
	}
	w.want(f, job.Submitted, "", 1)
}

// What an event needs of a drop is read at once, besides its list: record, note, job file and package. Of a
// package that is large, or one of several, only what the job file names is read.
func TestSubmitReadsAtOnce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		put    func(w *world)
		atOnce int
		reads  int
	}{
		{"a small package", func(w *world) { w.put("a/"+tarball, pkg(w.t, "hello")) }, 4, 2},
		{"a large package", func(w *world) { w.put("a/"+tarball, append(pkg(w.t, "hello"), make([]byte, 300<<10)...)) }, 3, 2},
		{"several packages", func(w *world) {
			w.put("a/"+tarball, pkg(w.t, "hello"))
			w.put("a/other-0.1.tar.gz", pkg(w.t, "train"))
		}, 3, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			test.put(w)
			f := w.put("a/job.yaml", []byte(spec))
			var (
				mu    sync.Mutex
				now   int
				first = make(chan struct{})
			)
			w.storage.Before = func(c storagetest.Call) error {
				if c.Kind != "read" {
					return w.before()
				}
				mu.Lock()
				if now++; now == test.atOnce {
					close(first)
				}
				mu.Unlock()
				select {
				case <-first: // none is answered before all of them have begun
				case <-time.After(10 * time.Second):
					t.Errorf("%s %s/%s: the others wait for its answer", c.Kind, c.Bucket, c.Name)
				}
				return w.before()
			}
			if err := w.submit.Submit(t.Context(), f); err != nil {
				t.Error(err)
			}
			if n := count(w.storage.Calls())["read inbox"]; n != test.reads {
				t.Errorf("%d reads of the inbox, want %d", n, test.reads)
			}
		})
	}
}

// A folder grows while it is visited: a hundred objects come within one visit, an event each. Those that come
// during a list share the next visit, so there are a few visits and not a hundred.
func TestSubmitSharesAGrowingFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.put("a/job.yaml", []byte(spec))
	g := w.hold("read state/folders/")
	events := []job.Object{f}
	answers := []chan error{w.going(func() error { return w.submit.Submit(t.Context(), f) })}
	<-g.reached
	for i := range 100 {
		o := w.put(fmt.Sprintf("a/part-%d-0.1.tar.gz", i), pkg(t, "hello"))
		events = append(events, o)
	}
	second := w.hold("list " + inbox) // a list under way when the others come, which shows them
	for _, o := range events[1:] {
		answers = append(answers, w.going(func() error { return w.submit.Submit(t.Context(), o) }))
	}
	<-second.reached
	close(second.open)
	close(g.open)
	for _, answer := range answers {
		if err := <-answer; err != nil && !attempt.Contended(err) {
			t.Error(err)
		}
	}
	if n := count(w.storage.Calls())["list "+inbox]; n > 10 {
		t.Errorf("%d lists for %d events", n, len(events))
	}
}

// The request whose visit others share is cut off, and they are not: they visit the folder themselves.
func TestSubmitIsNotCutOffWithAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, f := w.put("a/"+tarball, pkg(t, "hello")), w.put("a/job.yaml", []byte(spec))
	g := w.hold("write state/folders/")
	ctx, cancel := context.WithCancel(t.Context())
	one := w.going(func() error { return w.submit.Submit(ctx, p) })
	<-g.reached
	two := w.going(func() error { return w.submit.Submit(t.Context(), f) })
	cancel()
	close(g.open)
	if err := <-one; err == nil {
		t.Error("success of a request that was cut off")
	}
	if err := <-two; err != nil {
		t.Errorf("the other one: %v", err)
	}
	w.want(f, job.Submitted, "", 1)
}

// A panic of a call that goes beside others is one of its own request, which recovers from it.
func TestSubmitPanicsAlone(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"copy", "read inbox"} {
		t.Run(step, func(t *testing.T) {
			w := newWorld(t)
			w.put("a/"+tarball, pkg(t, "hello"))
			f := w.put("a/job.yaml", []byte(spec))
			w.storage.Before = func(c storagetest.Call) error {
				if strings.HasPrefix(c.Kind+" "+c.Bucket, step) {
					panic("on purpose")
				}
				return w.before()
			}
			defer func() {
				if said := recover(); said == nil || !strings.Contains(fmt.Sprint(said), "on purpose") {
					t.Errorf("recovered %v", said)
				}
			}()
			_ = w.submit.Submit(t.Context(), f)
			t.Error("no panic")
		})
	}
}
