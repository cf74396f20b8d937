package notifier_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// hook tells a program of failures, and another one of everything.
const hook = `
destinations:
  hook: {webhook: {url: https://ops.example.com/hook, keys: [env://HOOK_KEY]}}
egress: {hosts: [ops.example.com]}
route:
  to: [hook]
  match: {types: ['job.*']}
`

// several has a person's destination that shows the newest event, and two programs.
const several = `
destinations:
  team: {slack: {token: env://TOKEN, channel: C0123456789}}
  hook: {webhook: {url: https://ops.example.com/hook, keys: [env://HOOK_KEY]}}
  other: {webhook: {url: https://ops.example.com/other, keys: [env://HOOK_KEY]}}
egress: {hosts: [ops.example.com]}
route:
  to: [team, hook, other]
  match: {types: ['*']}
`

func notify(t testing.TB, n *notifier.Notifier, events ...notice.Event) {
	t.Helper()
	for _, e := range events {
		if err := n.Notify(t.Context(), e); err != nil {
			t.Fatalf("event %s: %v", e.ID(), err)
		}
	}
}

func tick(t testing.TB, n *notifier.Notifier) {
	t.Helper()
	if err := n.Tick(t.Context()); err != nil {
		t.Fatalf("tick: %v", err)
	}
}

// TestCalls holds what an event costs: nothing if no route wants it, else a read and two writes for a send.
func TestCalls(t *testing.T) {
	w := newWorld(t, hook)
	n := w.process()
	notify(t, n, news(t, 1, 1, 9, job.JobFailed)) // this process knows the epoch from now on
	count := func(do func()) string {
		w.bucket.counts = map[string]int{}
		do()
		return fmt.Sprint(w.bucket.counts)
	}
	for _, test := range []struct {
		name   string
		events []notice.Event
		want   string
	}{
		{"unmatched", []notice.Event{news(t, 2, 1, 1, job.DropAccepted)}, "map[]"},
		{"new folder", []notice.Event{news(t, 2, 1, 2, job.JobFailed)}, "map[read:1 write:2]"},
		{"next attempt", []notice.Event{news(t, 2, 2, 2, job.JobFailed)}, "map[read:1 write:2]"},
		{"again", []notice.Event{news(t, 2, 2, 2, job.JobFailed)}, "map[read:1]"},
	} {
		want(t, test.name, test.want, count(func() { notify(t, n, test.events...) }))
	}
	want(t, "tick without work", "map[list:1]", count(func() { tick(t, n) }))
	want(t, "sent", []string{"1-9", "1-2", "2-2"}, w.destinations["hook"].order())
}

// A destination that is down costs no redelivery, and keeps nobody else from being told.
func TestDown(t *testing.T) {
	w := newWorld(t, several)
	down := w.destinations["hook"]
	down.answer = func(delivery.Message) error { return errors.New("connection refused") }
	n := w.process()
	e := news(t, 1, 1, 3, job.JobFailed)
	notify(t, n, e)
	want(t, "others", [2][]string{{"1-3"}, {"1-3"}}, [2][]string{w.destinations["team"].order(), w.destinations["other"].order()})
	want(t, "index", []string{folderKey(1) + "/default/hook/1-3"}, w.bucket.names("deliveries/open/"))
	tick(t, n)
	want(t, "tries before it is due", 1, down.tries)
	w.pass(31 * time.Second)
	tick(t, n)
	want(t, "tries then", 2, down.tries)
	down.answer = nil
	w.pass(2 * time.Minute)
	notify(t, n, e) // comes again: sends what is due
	want(t, "told", []string{"1-3"}, down.order())
	tick(t, n)
	want(t, "index at the end", nil, w.bucket.names("deliveries/open/"))
	if last := w.ticks[len(w.ticks)-1]; last.Waiting != 1 {
		t.Errorf("the tick found %+v", last)
	}
}

// Whatever the call at which the process is killed, and whether before or after its effect: nothing is lost, and nothing
// is sent twice but what was being sent then.
func TestKilledAnywhere(t *testing.T) {
	run := func(t *testing.T, kill int, after bool) (killed bool) {
		w := newWorld(t, several)
		w.kill, w.after = kill, after
		events := []notice.Event{
			news(t, 1, 1, 1, job.DropAccepted), news(t, 1, 1, 2, job.JobRunning), news(t, 1, 2, 1, job.DropRejected),
			news(t, 1, 1, 3, job.JobFailed),
		}
		refused := 0
		w.destinations["hook"].answer = func(delivery.Message) error {
			if refused++; refused%3 == 0 {
				return delivery.Later(errors.New("busy"), time.Minute)
			}
			return nil
		}
		n := w.process()
		for len(events) > 0 {
			if err := n.Notify(t.Context(), events[0]); err != nil {
				if !w.dead {
					t.Fatalf("event %s: %v", events[0].ID(), err)
				}
				killed, w.kill = true, 0
				n = w.process()
				w.pass(5 * time.Second)
				continue // it is delivered again
			}
			events = events[1:]
			w.pass(time.Second)
		}
		for range 20 {
			w.pass(time.Minute)
			if err := n.Tick(t.Context()); err != nil {
				if !w.dead {
					t.Fatal(err)
				}
				killed, w.kill = true, 0
				n = w.process()
			}
		}
		twice := 0
		for name, d := range w.destinations {
			for id, times := range d.told {
				twice += times - 1
				if times > 2 {
					t.Errorf("kill %d: %s was told %d times of %s", kill, name, times, id)
				}
			}
			outcomes := []string{"1-3", "2-1"}
			if name != "team" {
				outcomes = []string{"1-1", "1-2", "1-3", "2-1"}
			}
			for _, e := range outcomes {
				if !slices.Contains(d.order(), e) {
					t.Errorf("kill %d, after %t: %s was not told of %s: %v", kill, after, name, e, d.order())
				}
			}
			if m := d.messages[len(d.messages)-1]; name == "team" && !slices.Contains([]string{"2-1", "1-3"}, short(m.Event)) {
				t.Errorf("kill %d: team shows %s", kill, short(m.Event))
			}
		}
		if most := map[bool]int{true: 3}[killed]; twice > most { // three destinations may be sending
			t.Errorf("kill %d, after %t: %d were told twice", kill, after, twice)
		}
		if names := w.bucket.names("deliveries/open/"); len(names) > 0 {
			t.Errorf("kill %d: the index holds %v", kill, names)
		}
		return killed
	}
	kills := 0
	for _, after := range []bool{false, true} {
		for kill := 1; run(t, kill, after); kill++ {
			kills++
		}
	}
	if kills < 100 {
		t.Errorf("only %d kills", kills)
	}
}

// A thousand events, some twice, some out of order, a destination down for a while, and many kills.
func TestThousand(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 2))
		w := newWorld(t, several)
		n := w.process()
		var queue []notice.Event
		for folder := range 50 {
			for g := range int64(5) {
				queue = append(queue, news(t, folder, g+1, 1, job.DropAccepted), news(t, folder, g+1, 2, job.JobSubmitted),
					news(t, folder, g+1, 3, job.JobDelayed), news(t, folder, g+1, 4, job.JobSucceeded))
			}
		}
		all := slices.Clone(queue)
		for range 100 {
			queue = append(queue, all[rng.IntN(len(all))])
		}
		for range 50 {
			i := rng.IntN(len(queue) - 1)
			queue[i], queue[i+1] = queue[i+1], queue[i]
		}
		down := func(delivery.Message) error { return errors.New("connection refused") }
		kills, killedSends := 0, 0
		for k := 0; len(queue) > 0; k++ {
			switch k {
			case 300:
				w.destinations["hook"].answer = down
			case 700:
				w.destinations["hook"].answer = nil
			}
			w.kill, w.after = 0, rng.IntN(2) == 0
			if rng.IntN(5) == 0 {
				w.kill = w.calls + 1 + rng.IntN(10)
			}
			e := queue[0]
			if err := n.Notify(t.Context(), e); err != nil {
				if !w.dead {
					t.Fatal(err)
				}
				kills++
				killedSends += 3
				w.kill = 0
				n = w.process()
				queue = append(queue[1:], e) // again, and later
				continue
			}
			queue = queue[1:]
			w.kill = 0
			w.pass(time.Duration(rng.IntN(3000)) * time.Millisecond)
			if k%40 == 0 {
				tick(t, n)
			}
		}
		for range 120 {
			w.pass(time.Minute)
			tick(t, n)
		}
		for name, d := range w.destinations {
			twice := 0
			for id, times := range d.told {
				twice += times - 1
				if times > 3 {
					t.Errorf("%s was told %d times of %s", name, times, id)
				}
			}
			if twice > kills {
				t.Errorf("%s: %d messages too many after %d kills", name, twice, kills)
			}
			for _, e := range all {
				id := e.ID() + ".default." + name
				if d.told[id] == 0 && (name != "team" || e.Kind() == notice.Outcome) {
					t.Errorf("seed %d: %s was not told of %s", seed, name, e.ID())
				}
			}
		}
		newest := map[string]notice.Event{}
		for _, m := range w.destinations["team"].messages {
			newest[m.Event.Folder] = m.Event
		}
		for folder, e := range newest {
			if e.Kind() != notice.Outcome {
				t.Errorf("seed %d: the last that team heard of %s is %s", seed, folder, e.Type())
			}
		}
		if kills < 100 || len(w.bucket.names("deliveries/open/")) > 0 {
			t.Errorf("%d kills, index %v", kills, w.bucket.names("deliveries/open/"))
		}
	}
}

// An event that comes while another process sends is left to that process, and acknowledged once ticks would find it.
func TestSendingElsewhere(t *testing.T) {
	w := newWorld(t, hook)
	n := w.process()
	first, second := news(t, 1, 1, 2, job.JobSubmitted), news(t, 1, 1, 3, job.JobFailed)
	w.destinations["hook"].answer = nil
	var once bool
	d := w.destinations["hook"]
	d.answer = func(m delivery.Message) error {
		if once {
			return nil
		}
		once = true
		w.mu.Unlock() // the first is being sent
		defer w.mu.Lock()
		notify(t, n, second)
		want(t, "index meanwhile", []string{folderKey(1) + "/default/hook/1-3"}, w.bucket.names("deliveries/open/"))
		return nil
	}
	notify(t, n, first)
	want(t, "sent", []string{"1-2", "1-3"}, d.order())
	want(t, "told", map[string]int{first.ID() + ".default.hook": 1, second.ID() + ".default.hook": 1}, d.told)
	tick(t, n)
	want(t, "index", nil, w.bucket.names("deliveries/open/"))
}

// A process that stalls while it sends, for longer than its lease, has the newest event shown again.
func TestStalled(t *testing.T) {
	w := newWorld(t, strings.Replace(several, "to: [team, hook, other]", "to: [team]", 1))
	n := w.process()
	d := w.destinations["team"]
	var once bool
	d.answer = func(delivery.Message) error {
		if once {
			return nil
		}
		once = true
		w.mu.Unlock()
		defer w.mu.Lock()
		w.pass(time.Minute)
		notify(t, n, news(t, 1, 1, 3, job.JobFailed))
		return nil
	}
	notify(t, n, news(t, 1, 1, 1, job.DropAccepted))
	want(t, "told and shown", []string{"1-3", "1-1", "1-3"}, d.order())
	if last := d.messages[len(d.messages)-1]; !last.Refresh {
		t.Error("people are told again")
	}
	tick(t, n)
	want(t, "index", nil, w.bucket.names("deliveries/open/"))
}

// What a process that lost its lease notes is noted once, also if that write takes a new lease and its answer is lost:
// the receipt of the old send must not replace the one of the newer event.
func TestStalledAndNotedTwice(t *testing.T) {
	w := newWorld(t, strings.Replace(several, "to: [team, hook, other]", "to: [team]", 1))
	n := w.process()
	d := w.destinations["team"]
	newest := news(t, 1, 1, 3, job.JobFailed)
	stalled, noted := false, false
	d.answer = func(delivery.Message) error {
		if !stalled {
			stalled = true
			w.mu.Unlock()
			defer w.mu.Lock()
			w.pass(time.Minute)
			notify(t, n, newest)
		}
		return nil
	}
	w.bucket.lose = func(kind, name string) error {
		if kind != "write" || len(d.messages) < 2 || noted {
			return nil
		}
		noted = true
		return attempt.ErrStale // the client wrote again after a connection was reset
	}
	notify(t, n, news(t, 1, 1, 1, job.DropAccepted))
	want(t, "told and shown", []string{"1-3", "1-1", "1-3"}, d.order())
	last := d.messages[len(d.messages)-1]
	want(t, "receipt of the refresh", fmt.Sprintf("%q", newest.ID()), string(last.Receipt))
	if !last.Refresh || !noted {
		t.Errorf("refresh %t, an answer was lost %t", last.Refresh, noted)
	}
}

// A send begins only if it ends under its lease: here the write of the lease took most of it.
func TestLeaseIsAboutToEnd(t *testing.T) {
	w := newWorld(t, hook)
	n := w.process()
	w.bucket.fail = func(kind, name string) error {
		if kind == "write" && strings.HasPrefix(name, "deliveries/folders/") {
			w.pass(delivery.LeaseTime - delivery.SendTime + time.Second)
		}
		return nil
	}
	notify(t, n, news(t, 1, 1, 3, job.JobFailed))
	want(t, "sent", 0, w.destinations["hook"].tries)
	want(t, "index", []string{folderKey(1) + "/default/hook/1-3"}, w.bucket.names("deliveries/open/"))
	w.bucket.fail = nil
	w.pass(time.Minute)
	tick(t, n)
	want(t, "told", []string{"1-3"}, w.destinations["hook"].order())
}

// What is given up since too much waits is reported, too.
func TestCrowd(t *testing.T) {
	w := newWorld(t, hook)
	n := w.process()
	w.destinations["hook"].answer = func(delivery.Message) error { return errors.New("connection refused") }
	for g := range int64(202) {
		notify(t, n, news(t, 1, g+1, 3, job.JobFailed))
	}
	var reported []string
	for _, s := range w.sends {
		if s.GivenUp {
			reported = append(reported, strings.TrimPrefix(s.Event, folderKey(1)+"-"))
		}
	}
	want(t, "given up", []string{"1-3", "2-3"}, reported)
}

// What another process has told since is not given up.
func TestStalledIsNotGivenUp(t *testing.T) {
	w := newWorld(t, hook)
	n := w.process()
	d := w.destinations["hook"]
	e := news(t, 1, 1, 3, job.JobFailed)
	sends := 0
	d.answer = func(delivery.Message) error {
		if sends++; sends > 1 {
			return nil
		}
		w.mu.Unlock()
		defer w.mu.Lock()
		w.pass(time.Minute)
		notify(t, n, e)
		return errors.New("deadline exceeded")
	}
	notify(t, n, e)
	want(t, "sends", 2, len(w.sends))
	for _, s := range w.sends {
		if s.GivenUp {
			t.Errorf("reported %+v", s)
		}
	}
}

// A request does not wait for another one that asks for the epoch: that one's call may hang.
func TestEpochIsAskedForAtOnce(t *testing.T) {
	w := newWorld(t, hook)
	n := w.process()
	asked := 0
	w.bucket.fail = func(kind, name string) error {
		if kind != "read" || name != "deliveries/epoch" {
			return nil
		}
		if asked++; asked == 1 {
			w.bucket.mu.Unlock()
			defer w.bucket.mu.Lock()
			done := make(chan struct{})
			go func() {
				defer close(done)
				notify(t, n, news(t, 1, 1, 3, job.JobFailed))
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Error("the second request waits for the first")
			}
		}
		return nil
	}
	notify(t, n, news(t, 2, 1, 3, job.JobFailed))
	want(t, "told", []string{"1-3", "1-3"}, w.destinations["hook"].order())
}

// If the newest event can't be shown again at once, a tick does it.
func TestStalledAndDown(t *testing.T) {
	w := newWorld(t, strings.Replace(several, "to: [team, hook, other]", "to: [team]", 1))
	n := w.process()
	d := w.destinations["team"]
	sends := 0
	d.answer = func(m delivery.Message) error {
		sends++
		switch {
		case sends == 1:
			w.mu.Unlock()
			defer w.mu.Lock()
			w.pass(time.Minute)
			notify(t, n, news(t, 1, 1, 3, job.JobFailed))
		case m.Refresh && sends < 5:
			return errors.New("down")
		}
		return nil
	}
	notify(t, n, news(t, 1, 1, 1, job.DropAccepted))
	want(t, "before ticks", []string{"1-3", "1-1"}, d.order())
	if names := w.bucket.names("deliveries/open/"); len(names) != 1 {
		t.Errorf("index %v", names)
	}
	for range 5 {
		w.pass(2 * time.Minute)
		tick(t, n)
	}
	want(t, "after them", []string{"1-3", "1-1", "1-3"}, d.order())
	want(t, "index", nil, w.bucket.names("deliveries/open/"))
}

// What can't be written is no success.
func TestStateUnreachable(t *testing.T) {
	for _, kind := range []string{"read", "write"} {
		w := newWorld(t, hook)
		n := w.process()
		notify(t, n, news(t, 1, 1, 1, job.JobSubmitted))
		refused := errors.New("503")
		w.bucket.fail = func(k, _ string) error {
			if k == kind {
				return refused
			}
			return nil
		}
		if err := n.Notify(t.Context(), news(t, 1, 1, 2, job.JobFailed)); !errors.Is(err, refused) {
			t.Errorf("%s: %v", kind, err)
		}
		w.bucket.fail = nil
	}
	// Not even the entry of what waits.
	w := newWorld(t, hook)
	n := w.process()
	w.destinations["hook"].answer = func(delivery.Message) error { return errors.New("down") }
	w.bucket.fail = func(kind, name string) error {
		if kind == "write" && strings.HasPrefix(name, "deliveries/open/") {
			return errors.New("503")
		}
		return nil
	}
	if err := n.Notify(t.Context(), news(t, 1, 1, 2, job.JobFailed)); err == nil {
		t.Error("an event is acknowledged that no tick would find")
	}
}

// Nothing of the past is told at the first start.
func TestEpoch(t *testing.T) {
	w := newWorld(t, hook)
	w.pass(24 * time.Hour) // the events are of yesterday
	n := w.process()
	notify(t, n, news(t, 1, 1, 2, job.JobFailed))
	want(t, "told", nil, w.destinations["hook"].order())

	w = newWorld(t, hook)
	w.pass(time.Minute) // an event that wakes the first process is older than the epoch would be
	notify(t, w.process(), news(t, 1, 1, 2, job.JobFailed))
	w.pass(24 * time.Hour)
	notify(t, w.process(), news(t, 1, 1, 2, job.JobFailed), news(t, 1, 2, 2, job.JobFailed)) // a seek
	want(t, "told", []string{"1-2", "2-2"}, w.destinations["hook"].order())
}

// What is refused is given up and said, explained, and sent when somebody asks for it.
func TestGiveUpAndReplay(t *testing.T) {
	w := newWorld(t, hook)
	n := w.process()
	d := w.destinations["hook"]
	d.answer = func(delivery.Message) error { return delivery.Never(errors.New("410 Gone")) }
	e := news(t, 1, 1, 3, job.JobFailed)
	notify(t, n, e)
	s := w.sends[len(w.sends)-1]
	s.Err = nil
	want(t, "said", notifier.Send{
		Route: "default", Destination: "hook", Kind: "webhook", Event: e.ID(), Drop: "gs://inbox/teams/nlp/1/", Tries: 1, GivenUp: true,
	}, s)
	accounts, err := n.Explain(t.Context(), e.Body.Attempt)
	if err != nil || len(accounts) != 1 || len(accounts[0].Told) != 1 {
		t.Fatalf("explained %+v, %v", accounts, err)
	}
	want(t, "explained", delivery.Told{
		Sequence: 3, Type: "job.failed", Kind: notice.Outcome, At: start, How: delivery.GaveUp, Note: "410 Gone",
	}, accounts[0].Told[0])
	d.answer = nil
	w.pass(time.Hour)
	replay := func(attempt string, since time.Time, dry bool) (all []string) {
		t.Helper()
		err := n.Replay(t.Context(), attempt, since, dry, func(r notifier.Replayed) error {
			waiting := map[bool]string{true: " (waits)"}[r.Waiting]
			all = append(all, fmt.Sprintf("%s-%d %s/%s: %s%s", r.Attempt, r.Sequence, r.Route, r.Destination, r.Error, waiting))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	said := []string{e.ID() + " default/hook: 410 Gone"}
	want(t, "dry run", said, replay(e.Body.Attempt, time.Time{}, true))
	want(t, "too late", nil, replay("", start.Add(time.Minute), false))
	tick(t, n)
	want(t, "told so far", nil, d.order())
	want(t, "replay", said, replay("", start, false))
	want(t, "twice", []string{said[0] + " (waits)"}, replay(e.Body.Attempt, time.Time{}, false))
	tick(t, n)
	tick(t, n)
	want(t, "told", []string{"1-3"}, d.order())
	want(t, "index", nil, w.bucket.names("deliveries/open/"))
	if _, err := n.Explain(t.Context(), "census"); err == nil {
		t.Error("a folder is explained as an attempt")
	}
	if err := n.Replay(t.Context(), "census", time.Time{}, true, nil); err == nil {
		t.Error("a folder is replayed as an attempt")
	}
}

// A destination that asks to be left alone is, by events of any folder, and by ticks.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t, hook)
	n, d := w.process(), w.destinations["hook"]
	d.answer = func(delivery.Message) error { return delivery.NotNow(errors.New("429"), 30*time.Minute) }
	for k := range int64(20) {
		notify(t, n, news(t, int(k%2), k+1, 3, job.JobFailed))
		w.pass(time.Second)
		tick(t, n)
	}
	want(t, "tries", 1, d.tries)
	d.answer = nil
	for range 40 {
		w.pass(time.Minute)
		tick(t, n)
	}
	if got := len(d.order()); got != 20 || d.tries != 21 {
		t.Errorf("%d told after %d tries", got, d.tries)
	}
	want(t, "index", nil, w.bucket.names("deliveries/open/"))
}

// Somebody who asks for a message gets it, whatever the destination asked before.
func TestReplayOfWhatMustWait(t *testing.T) {
	w := newWorld(t, hook)
	n, d := w.process(), w.destinations["hook"]
	d.answer = func(delivery.Message) error { return delivery.NotNow(errors.New("429"), time.Hour) }
	e := news(t, 1, 1, 3, job.JobFailed)
	notify(t, n, e)
	d.answer = nil
	w.pass(time.Minute)
	tick(t, n)
	want(t, "by itself", nil, d.order())
	if err := n.Replay(t.Context(), e.Body.Attempt, time.Time{}, false, func(notifier.Replayed) error { return nil }); err != nil {
		t.Fatal(err)
	}
	tick(t, n)
	want(t, "asked for", []string{"1-3"}, d.order())
	tick(t, n)
	want(t, "index", nil, w.bucket.names("deliveries/open/"))
}

// A destination that fails holds up few events: the others are left to ticks, which find out when it is well again.
func TestEventsAreNotHeldUp(t *testing.T) {
	w := newWorld(t, several)
	n, d := w.process(), w.destinations["hook"]
	d.answer = func(delivery.Message) error { return context.DeadlineExceeded } // it stalls
	for folder := range 50 {
		notify(t, n, news(t, folder, 1, 3, job.JobFailed))
	}
	want(t, "tries", 3, d.tries)
	want(t, "others", 50, len(w.destinations["other"].order()))
	d.answer = nil
	for range 3 {
		w.pass(time.Minute)
		tick(t, n)
	}
	want(t, "told", 50, len(d.order()))
	notify(t, n, news(t, 1, 2, 3, job.JobFailed))
	want(t, "then at once", 51, len(d.order()))
}

// A tick says for how long the oldest message waits, whether or not it is tried, and rewrites no entry for nothing.
func TestOldest(t *testing.T) {
	w := newWorld(t, hook)
	n, d := w.process(), w.destinations["hook"]
	w.pass(time.Second / 3)
	d.answer = func(delivery.Message) error { return errors.New("down") }
	notify(t, n, news(t, 1, 1, 3, job.JobFailed))
	for k := range 300 {
		w.pass(time.Minute)
		w.bucket.counts = map[string]int{}
		tick(t, n)
		if oldest := w.ticks[len(w.ticks)-1].Oldest; oldest < time.Duration(k+1)*time.Minute || oldest > time.Duration(k+2)*time.Minute {
			t.Fatalf("after %d minutes the oldest waits for %s", k+1, oldest)
		}
		// Where it was tried: the lease, what came of it, and when the next try is.
		if writes := w.bucket.counts["write"]; writes != 0 && writes != 3 {
			t.Fatalf("a tick makes %d writes", writes)
		}
	}
	var waits []notifier.Waits
	err := n.Waiting(t.Context(), func(w notifier.Waits) error { waits = append(waits, w); return nil })
	if err != nil || len(waits) != 1 || waits[0].Error != "down" || !waits[0].Next.After(w.now()) {
		t.Errorf("waiting %+v, %v", waits, err)
	}
}

// Heartbeats come although the backlog takes the whole tick.
func TestHeartbeatsComeFirst(t *testing.T) {
	w := newWorld(t, strings.Replace(several, "channel: C0123456789}}", "channel: C0123456789}, every: 24h}", 1))
	n := w.process()
	for _, d := range w.destinations {
		d.answer = func(delivery.Message) error { return errors.New("down") }
	}
	for folder := range 20 {
		notify(t, n, news(t, folder, 1, 3, job.JobFailed))
	}
	for _, d := range w.destinations {
		d.answer = func(m delivery.Message) error {
			if m.Event.Kind() != notice.Heartbeat {
				w.clock = w.clock.Add(15 * time.Second)
				return errors.New("down")
			}
			return nil
		}
	}
	w.pass(time.Hour)
	tick(t, n)
	if order := w.destinations["team"].messages; len(order) != 1 || order[0].Event.Kind() != notice.Heartbeat {
		t.Errorf("%d messages", len(order))
	}
}

// A tick tries a destination that is down only a few times, and still tells the others.
func TestOutage(t *testing.T) {
	w := newWorld(t, several)
	n := w.process()
	failing := errors.New("connection refused")
	for _, d := range w.destinations {
		d.answer = func(delivery.Message) error { return failing }
	}
	for folder := range 30 {
		notify(t, n, news(t, folder, 1, 3, job.JobFailed))
	}
	w.destinations["other"].answer = nil
	w.destinations["hook"].tries = 0
	w.pass(time.Minute)
	tick(t, n)
	want(t, "tries", 3, w.destinations["hook"].tries)
	want(t, "others", 30, len(w.destinations["other"].order()))
	last := w.ticks[len(w.ticks)-1]
	if last.Waiting != 90 || last.Oldest != time.Minute {
		t.Errorf("the tick found %+v", last)
	}
}

// An expression that fails is reported, and the event is told by the parent, with the fault.
func TestFaultyRoute(t *testing.T) {
	w := newWorld(t, hook+`  routes:
  - {name: slow, when: 'int(labels["rank"]) > 1', to: [hook]}
`)
	n := w.process()
	notify(t, n, news(t, 1, 1, 3, job.JobFailed, func(b *job.Snapshot) { b.Job.Labels = map[string]string{"rank": "first"} }))
	m := w.destinations["hook"].messages
	if w.faulty != 1 || len(m) != 1 || m[0].Route != "default" || len(m[0].Text.Faults) != 1 {
		t.Errorf("%d faults, messages %+v", w.faulty, m)
	}
}

// A template that fails is reported, and the message is sent in jobdrop's own words.
func TestFaultyTemplate(t *testing.T) {
	w := newWorld(t, hook+`  template: bad
templates: {bad: {title: '{{ int(labels["rank"]) }}'}}
`)
	notify(t, w.process(), news(t, 1, 1, 3, job.JobFailed, func(b *job.Snapshot) { b.Job.Labels = map[string]string{"rank": "first"} }))
	m := w.destinations["hook"].messages
	if w.faulty != 1 || len(m) != 1 || len(m[0].Text.Faults) != 1 || !strings.Contains(m[0].Text.Title, "failed") {
		t.Errorf("%d faults, messages %+v", w.faulty, m)
	}
}

// A destination or a route that is taken out of the file is waited for, and given up in the end.
func TestRouteGone(t *testing.T) {
	w := newWorld(t, several)
	n := w.process()
	w.destinations["hook"].answer = func(delivery.Message) error { return errors.New("down") }
	notify(t, n, news(t, 1, 1, 3, job.JobFailed))
	w.route(strings.NewReplacer(" hook: {", " elsewhere: {", "hook,", "elsewhere,").Replace(several))
	for range 26 {
		w.pass(time.Hour)
		tick(t, n)
	}
	accounts, err := n.Explain(t.Context(), news(t, 1, 1, 3, job.JobFailed).Body.Attempt)
	if err != nil {
		t.Fatal(err)
	}
	k := slices.IndexFunc(accounts, func(a notifier.Account) bool { return a.Destination == "hook" })
	if len(accounts[k].Told) != 1 || !strings.Contains(accounts[k].Told[0].Note, "no destination hook") {
		t.Errorf("explained %+v", accounts[k])
	}
}

// Heartbeats come when they are due, and people are told of a destination that they do not reach.
func TestHeartbeats(t *testing.T) {
	w := newWorld(t, strings.Replace(hook, "keys: [env://HOOK_KEY]}", "keys: [env://HOOK_KEY]}, every: 24h", 1))
	n, d := w.process(), w.destinations["hook"]
	hours := func(hours int) (unreached int) {
		for range hours {
			w.pass(time.Hour)
			tick(t, n)
			tick(t, n) // Scheduler may call twice
			if w.unreached > 0 {
				unreached++
			}
			w.unreached = 0
		}
		return unreached
	}
	want(t, "unreached", 0, hours(49))
	want(t, "heartbeats", 3, len(d.messages))
	if m := d.messages[0]; m.Event.Kind() != notice.Heartbeat || m.Text.Level != notice.Good || m.Text.Title != "jobdrop prod reaches hook" {
		t.Errorf("message %+v", m)
	}
	d.answer = func(delivery.Message) error { return errors.New("down") }
	if n := hours(48); n < 20 || n > 25 {
		t.Errorf("unreached for %d hours of two days", n)
	}
	d.answer = nil
	want(t, "unreached", 0, hours(1))

	// One that was never reached is told of, too.
	w = newWorld(t, strings.Replace(hook, "keys: [env://HOOK_KEY]}", "keys: [env://HOOK_KEY]}, every: 24h", 1))
	n, d = w.process(), w.destinations["hook"]
	d.answer = func(delivery.Message) error { return errors.New("down") }
	if n := hours(3); n == 0 {
		t.Error("nobody hears of a destination that was never reached")
	}

	// One that answers slowly was reached when it answered.
	d.answer = func(delivery.Message) error {
		w.clock = w.clock.Add(20 * time.Second)
		return nil
	}
	w.pass(time.Hour)
	tick(t, n)
	d.answer = func(delivery.Message) error { return errors.New("down") }
	w.unreached = 0
	w.pass(25*time.Hour - time.Second)
	tick(t, n)
	want(t, "unreached in time", 0, w.unreached)
	w.pass(2 * time.Second)
	tick(t, n)
	want(t, "unreached", 1, w.unreached)
}

// A record of a newer revision is left alone.
func TestNewerRecord(t *testing.T) {
	w := newWorld(t, hook)
	n := w.process()
	notify(t, n, news(t, 1, 1, 2, job.JobSubmitted))
	name := "deliveries/folders/" + folderKey(1) + "/default/hook.json"
	o := w.bucket.objects[name]
	o.data = []byte(strings.Replace(string(o.data), `"recordVersion":1`, `"recordVersion":2`, 1))
	before := string(o.data)
	if err := n.Notify(t.Context(), news(t, 1, 1, 3, job.JobFailed)); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("error %v", err)
	}
	want(t, "record", before, string(w.bucket.objects[name].data))
}

// A message that can't be decoded is kept.
func TestPark(t *testing.T) {
	w := newWorld(t, hook)
	if err := w.process().Park(t.Context(), "//pubsub", "1", map[string]string{"data": "x"}, errors.New("not JSON")); err != nil {
		t.Fatal(err)
	}
	if names := w.bucket.names("deliveries/parked/"); len(names) != 1 {
		t.Errorf("parked %v", names)
	}
}

// Two processes that take the same event at once send it once.
func TestStaleWrite(t *testing.T) {
	w := newWorld(t, hook)
	n := w.process()
	e := news(t, 1, 1, 3, job.JobFailed)
	notify(t, n, news(t, 1, 1, 2, job.JobSubmitted))
	writes := 0
	w.bucket.fail = func(kind, _ string) error {
		if kind != "write" {
			return nil
		}
		if writes++; writes == 1 {
			// The other process is first, between this one's read and write.
			w.bucket.mu.Unlock()
			defer w.bucket.mu.Lock()
			notify(t, n, e)
			return attempt.ErrStale
		}
		return nil
	}
	notify(t, n, e)
	want(t, "sent", []string{"1-2", "1-3"}, w.destinations["hook"].order())
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t, hook)
	for name, change := range map[string]func(o *notifier.Options){
		"Instance": func(o *notifier.Options) { o.Instance = "" }, "Now": func(o *notifier.Options) { o.Now = nil },
		"Nonce": func(o *notifier.Options) { o.Nonce = nil }, "Budget": func(o *notifier.Options) { o.Budget = 0 },
	} {
		o := w.options
		change(&o)
		if _, err := notifier.New(w.bucket, "state", nil, nil, o); err == nil {
			t.Errorf("without %s it is made", name)
		}
	}
	if _, err := notifier.New(nil, "state", nil, nil, w.options); err == nil {
		t.Error("without a store it is made")
	}
}
