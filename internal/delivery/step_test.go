package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var (
	start  = time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	folder = strings.Repeat("ab", 20)

	people  = Manner{People: true}
	thread  = Manner{People: true, Shows: true}
	program = Manner{}
)

func at(d time.Duration) time.Time { return start.Add(d) }

// news returns an event of an attempt of the folder.
func news(t testing.TB, generation, sequence int64, typ job.EventType, change ...func(*job.Snapshot)) notice.Event {
	t.Helper()
	states := map[job.EventType]job.State{
		job.DropAccepted: job.Accepted, job.JobSubmitted: job.Submitted, job.JobRunning: job.Running,
		job.JobDelayed: job.Running, job.JobFailed: job.Failed, job.JobSucceeded: job.Succeeded,
		job.DropRejected: job.Rejected, job.DropIncomplete: job.Waiting,
	}
	b := job.Snapshot{Attempt: fmt.Sprintf("%s-%d", folder, generation), Sequence: sequence, State: states[typ]}
	b.Drop.Bucket, b.Drop.Prefix = "inbox", "census/"
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

// player plays what processes do with a record.
type player struct {
	testing.TB
	r Record
	m Manner
	// gaveUp counts what was given up to make room.
	gaveUp int
}

func (p *player) take(e notice.Event, now time.Time) (changed, pending bool) {
	p.Helper()
	r, taken, err := p.r.Take(e, nil, p.m, now)
	if err != nil {
		p.Fatal(err)
	}
	p.r, p.gaveUp = stored(p, r), p.gaveUp+len(taken.GivenUp)
	return taken.Changed, taken.Pending
}

// stored returns a record as it is read after it was written.
func stored(t testing.TB, r Record) Record {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > MaxRecord {
		size := func(v any) int { data, _ := json.Marshal(v); return len(data) }
		t.Fatalf("the record has %d bytes: pending %d of %d, given up %d of %d, told %d, newest %d", len(data), size(r.Pending),
			len(r.Pending), size(r.GivenUp), len(r.GivenUp), size(r.Told), size(r.Newest))
	}
	var again Record
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	return again
}

// send begins and answers what is due, one after another, and returns what was sent.
func (p *player) send(now time.Time, answer func(Work) Answer) (sent []string) {
	p.Helper()
	for {
		r, w, ok := p.r.Begin("me", now)
		if !ok {
			p.r = stored(p, p.r.Release("me"))
			return sent
		}
		p.r = stored(p, r)
		sent = append(sent, name(w))
		p.r = stored(p, p.r.Answered("me", w, answer(w), p.m, now))
	}
}

func name(w Work) string {
	text := fmt.Sprintf("%d-%d", w.Intent.Generation, w.Intent.Sequence)
	if w.Refresh {
		text += " again"
	}
	if w.Unsure {
		text += "?"
	}
	if w.Intent.Repeats > 0 {
		text += fmt.Sprintf(" +%d", w.Intent.Repeats)
	}
	return text
}

func well(Work) Answer { return Answer{} }

// told lists what became of events: generation-sequence how.
func told(r Record) []string {
	var out []string
	for _, a := range r.Told {
		for _, t := range a.Events {
			out = append(out, fmt.Sprintf("%d-%d %s", a.Generation, t.Sequence, t.How))
		}
	}
	slices.Sort(out)
	return out
}

func want[T any](t testing.TB, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// What comes in any order and twice is sent once, and nothing turns a message back.
func TestTake(t *testing.T) {
	type step struct {
		generation, sequence int64
		typ                  job.EventType
	}
	tests := []struct {
		name   string
		manner Manner
		steps  []step
		want   []string // sent, one step after another
	}{
		{"once each", program, []step{{1, 1, job.DropAccepted}, {1, 2, job.JobSubmitted}, {1, 1, job.DropAccepted}}, []string{"1-1", "1-2"}},
		{"a program is told of each event, in any order", program,
			[]step{{1, 3, job.JobFailed}, {1, 1, job.DropAccepted}, {1, 2, job.JobSubmitted}}, []string{"1-3", "1-1", "1-2"}},
		{"a warning after the outcome is news no more", people, []step{{1, 3, job.JobFailed}, {1, 2, job.JobDelayed}}, []string{"1-3"}},
		{"a warning of another attempt is", people, []step{{1, 3, job.JobFailed}, {2, 2, job.JobDelayed}}, []string{"1-3", "2-2"}},
		{"progress after later progress", people, []step{{1, 3, job.JobRunning}, {1, 2, job.JobSubmitted}}, []string{"1-3"}},
		{"progress of an older attempt", thread, []step{{2, 1, job.DropAccepted}, {1, 3, job.JobRunning}}, []string{"2-1"}},
		{"where nothing is shown it is told", people, []step{{2, 1, job.DropAccepted}, {1, 3, job.JobRunning}}, []string{"2-1", "1-3"}},
		{"the outcome of an older attempt is news", thread, []step{{2, 1, job.DropAccepted}, {1, 3, job.JobFailed}}, []string{"2-1", "1-3"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := player{TB: t, m: test.manner}
			var sent []string
			for k, s := range test.steps {
				p.take(news(t, s.generation, s.sequence, s.typ), at(time.Duration(k)*time.Second))
				sent = append(sent, p.send(at(time.Duration(k)*time.Second), well)...)
			}
			want(t, "sent", test.want, sent)
			for _, s := range test.steps {
				if changed, pending := p.take(news(t, s.generation, s.sequence, s.typ), at(time.Hour)); changed || pending {
					t.Errorf("%d-%d is taken again", s.generation, s.sequence)
				}
			}
		})
	}
}

// While a destination is down, what is overtaken is not kept for it, and the rest comes in order.
func TestOvertake(t *testing.T) {
	p := player{TB: t, m: thread}
	down := func(Work) Answer { return Answer{Err: errors.New("down")} }
	p.take(news(t, 1, 1, job.DropAccepted), at(0))
	p.send(at(0), down) // it may have arrived
	p.take(news(t, 1, 2, job.JobSubmitted), at(1))
	p.take(news(t, 1, 3, job.JobRunning), at(2))
	p.take(news(t, 1, 4, job.JobDelayed), at(3))
	p.take(news(t, 2, 1, job.DropAccepted), at(4))
	p.take(news(t, 1, 5, job.JobFailed), at(5))
	want(t, "told", []string{"1-1 overtaken", "1-2 overtaken", "1-3 overtaken", "1-4 overtaken"}, told(p.r))
	want(t, "sent", []string{"1-5", "2-1"}, p.send(at(time.Hour), well))
}

// What comes late is not shown after what was shown later, also if that was overtaken and its successor was refused.
func TestLateAfterARefusal(t *testing.T) {
	p := player{TB: t, m: thread}
	p.take(news(t, 1, 3, job.JobRunning), at(0))
	p.send(at(0), func(Work) Answer { return Answer{Err: errors.New("no answer")} }) // the thread shows it
	p.take(news(t, 1, 4, job.JobFailed), at(1))
	want(t, "refused", []string{"1-4"}, p.send(at(1), func(Work) Answer { return Answer{Err: Never(errors.New("too long"))} }))
	p.take(news(t, 1, 2, job.JobSubmitted), at(2))
	want(t, "late", nil, p.send(at(time.Hour), well))
	want(t, "told", []string{"1-2 overtaken", "1-3 overtaken", "1-4 given-up"}, told(p.r))
}

// What a newer event overtook while it was being sent is the newest that was told, as long as the newer one is not.
func TestToldWhileOvertaken(t *testing.T) {
	p := player{TB: t, m: thread}
	p.take(news(t, 1, 4, job.JobFailed), at(0))
	p.send(at(0), well)
	p.take(news(t, 2, 1, job.DropAccepted), at(1))
	want(t, "sent", []string{"2-1", "2-3"}, p.send(at(1), func(w Work) Answer {
		if w.Intent.Sequence == 1 {
			p.take(news(t, 2, 3, job.JobRunning), at(1))
			return Answer{}
		}
		return Answer{Err: Never(errors.New("too long"))}
	}))
	p.r.Refresh = true // a process that stalled showed an older one
	want(t, "shown again", []string{"2-1 again"}, p.send(at(2), well))
}

// The same rejection is sent again only after six hours, and the next message counts it.
func TestRepeats(t *testing.T) {
	fault := func(message string, line int) func(*job.Snapshot) {
		return func(b *job.Snapshot) {
			b.Violations = []job.Violation{{Rule: "region", Field: "region", Message: message, Position: job.Position{Line: line}}}
		}
	}
	rejected := func(g int64, message string, line int) notice.Event {
		return news(t, g, 1, job.DropRejected, fault(message, line))
	}
	p := player{TB: t, m: people}
	drop := func(now time.Duration, e notice.Event, sent ...string) {
		t.Helper()
		p.take(e, at(now))
		want(t, fmt.Sprintf("sent after %s", now), sent, p.send(at(now), well))
	}
	drop(0, rejected(1, "mars", 3), "1-1")
	drop(time.Hour, rejected(2, "mars", 4))
	drop(2*time.Hour, rejected(3, "mars", 3))
	drop(3*time.Hour, rejected(4, "venus", 3), "4-1 +2")
	drop(4*time.Hour, rejected(5, "venus", 3))
	drop(5*time.Hour, news(t, 6, 3, job.JobSucceeded), "6-3 +1")
	drop(5*time.Hour, rejected(7, "venus", 3), "7-1")
	drop(12*time.Hour, rejected(8, "venus", 3), "8-1")
	if r := p.r.Rejection; r == nil || r.Repeats != 0 {
		t.Errorf("rejection %+v", r)
	}

	p = player{TB: t, m: program}
	drop(0, rejected(1, "mars", 3), "1-1")
	drop(1, rejected(2, "mars", 3), "2-1")
}

// The repeat of a rejection that was given up is told: nobody heard of the first.
func TestRepeatsOfWhatWasGivenUp(t *testing.T) {
	p := player{TB: t, m: people}
	p.take(news(t, 1, 1, job.DropRejected), at(0))
	p.take(news(t, 2, 1, job.DropRejected), at(1))
	refused := func(Work) Answer { return Answer{Err: Never(errors.New("channel_not_found"))} }
	want(t, "first", []string{"1-1 +1"}, p.send(at(2), refused))
	p.take(news(t, 3, 1, job.DropRejected), at(3))
	want(t, "next", []string{"3-1 +1"}, p.send(at(4), well))
	p.take(news(t, 4, 1, job.DropRejected), at(5))
	want(t, "after it", nil, p.send(at(6), well))
}

// That nobody heard of a rejection makes no difference once a later one that says the same stands for both.
func TestRepeatsAfterALateRefusal(t *testing.T) {
	p := player{TB: t, m: people}
	refused := func(Work) Answer { return Answer{Err: Never(errors.New("400"))} }
	p.take(news(t, 2, 1, job.DropRejected), at(0))
	r, first, _ := p.r.Begin("slow", at(0))
	p.r = r
	p.take(news(t, 1, 3, job.JobFailed), at(1))
	p.take(news(t, 3, 1, job.DropRejected), at(2)) // the first verdict lies between
	p.r = p.r.Answered("slow", first, refused(first), p.m, at(3)).Release("slow")
	want(t, "both verdicts", []string{"1-3", "3-1"}, p.send(at(3), well))
	p.take(news(t, 4, 1, job.DropRejected), at(4))
	want(t, "a repeat", nil, p.send(at(4), well))
}

// A repeat that is counted with a message is counted with each of its tries, and with no other message.
func TestRepeatsOfATry(t *testing.T) {
	p := player{TB: t, m: people}
	rejected := func(g int64) notice.Event { return news(t, g, 1, job.DropRejected) }
	p.take(rejected(1), at(0))
	p.send(at(0), well)
	p.take(rejected(2), at(1))
	p.take(news(t, 3, 3, job.JobFailed), at(2))
	want(t, "first try", []string{"3-3 +1"}, p.send(at(2), func(Work) Answer { return Answer{Err: errors.New("down")} }))
	p.take(news(t, 4, 3, job.JobFailed), at(3))
	want(t, "later", []string{"3-3? +1", "4-3"}, p.send(at(time.Hour), well))
}

// A message that was not told for sure counts what came since, too.
func TestRepeatsOfAMessageThatWaits(t *testing.T) {
	p := player{TB: t, m: people}
	rejected := func(g int64) notice.Event { return news(t, g, 1, job.DropRejected) }
	p.take(rejected(1), at(0))
	p.take(rejected(2), at(1))
	want(t, "busy", []string{"1-1 +1"}, p.send(at(2), func(Work) Answer { return Answer{Err: NotNow(errors.New("429"), 0)} }))
	p.take(rejected(3), at(3))
	want(t, "down", []string{"1-1 +2"}, p.send(at(time.Minute), func(Work) Answer { return Answer{Err: errors.New("503")} }))
	p.take(rejected(4), at(time.Minute))
	want(t, "well", []string{"1-1? +2"}, p.send(at(time.Hour), well))
}

// Repeats that would have gone with a message that is overtaken go with the one that overtakes it.
func TestRepeatsOfWhatIsOvertaken(t *testing.T) {
	p := player{TB: t, m: people}
	p.take(news(t, 1, 1, job.DropRejected), at(0))
	p.send(at(0), well)
	p.take(news(t, 2, 1, job.DropRejected), at(1))
	p.take(news(t, 3, 2, job.JobDelayed), at(2))
	busy := func(Work) Answer { return Answer{Err: NotNow(errors.New("429"), 0)} }
	want(t, "the warning", []string{"3-2 +1"}, p.send(at(2), busy))
	p.take(news(t, 3, 3, job.JobFailed), at(3))
	want(t, "the outcome", []string{"3-3 +1"}, p.send(at(4), well))

	// One that may have been told is sent under its own ID, so that they are not counted twice.
	p.take(news(t, 4, 1, job.DropRejected), at(5))
	p.send(at(5), well)
	p.take(news(t, 5, 1, job.DropRejected), at(6))
	p.take(news(t, 6, 2, job.JobDelayed), at(7))
	p.send(at(7), func(Work) Answer { return Answer{Err: errors.New("no answer")} })
	p.take(news(t, 6, 3, job.JobFailed), at(8))
	want(t, "both", []string{"6-2? +1", "6-3"}, p.send(at(time.Hour), well))
}

// A lease keeps others from sending until it ends, and the next holder knows that it can't be sure.
func TestLease(t *testing.T) {
	p := player{TB: t, m: program}
	p.take(news(t, 1, 1, job.JobFailed), at(0))
	r, first, ok := p.r.Begin("first", at(0))
	if !ok || first.Unsure {
		t.Fatalf("begin: %t, %+v", ok, first)
	}
	p.r = stored(t, r)
	if LeaseTime <= 2*SendTime {
		t.Errorf("a lease of %s is not longer than two sends of %s", LeaseTime, SendTime)
	}
	if _, _, ok := p.r.Begin("second", at(LeaseTime-1)); ok {
		t.Error("a second process sends under the first one's lease")
	}
	r, second, ok := p.r.Begin("second", at(LeaseTime))
	if !ok || !second.Unsure {
		t.Fatalf("after the lease: %t, %+v", ok, second)
	}
	if r.Release("first").Lease == nil {
		t.Error("the first process ends the second one's lease")
	}
}

// Who sends under a lost lease has the newest event shown again, by whoever comes next.
func TestLostLease(t *testing.T) {
	p := player{TB: t, m: thread}
	p.take(news(t, 1, 1, job.DropAccepted), at(0))
	r, slow, _ := p.r.Begin("slow", at(0))
	p.r = stored(t, r)
	p.take(news(t, 1, 2, job.JobFailed), at(time.Minute))
	sent := p.send(at(time.Minute), func(Work) Answer { return Answer{Receipt: Receipt(`"quick"`)} })
	want(t, "the quick one sends", []string{"1-2"}, sent)
	late := p.r.Answered("slow", slow, Answer{Receipt: Receipt(`"slow"`)}, thread, at(time.Minute))
	want(t, "receipt", `"quick"`, string(late.Receipt))
	p.r = stored(t, late)
	want(t, "then", []string{"1-2 again"}, p.send(at(2*time.Minute), well))
	want(t, "and then", nil, p.send(at(time.Hour), well))
	p.r = late
	// Whoever stalled for so long seldom learns what came of its send.
	calm := stored(t, p.r)
	calm.Refresh = false
	for name, err := range map[string]error{"timeout": errors.New("deadline exceeded"), "refusal": Never(errors.New("410"))} {
		want(t, name, !IsNever(err), calm.Answered("slow", slow, Answer{Err: err}, thread, at(time.Minute)).Refresh)
	}
	p.m = program
	if r := p.r.Answered("slow", slow, Answer{}, program, at(time.Minute)); r.Refresh != late.Refresh {
		t.Error("a program is shown something again")
	}
}

// Who notes a failure under a lost lease does not shorten the time that the destination asked another process for.
func TestLostLeaseAndRetryAfter(t *testing.T) {
	p := player{TB: t, m: program}
	p.take(news(t, 1, 1, job.JobFailed), at(0))
	r, slow, _ := p.r.Begin("slow", at(0))
	p.r = stored(t, r)
	p.send(at(time.Minute), func(Work) Answer { return Answer{Err: Later(errors.New("busy"), 2*time.Hour)} })
	p.r = stored(t, p.r.Answered("slow", slow, Answer{Err: Later(errors.New("busy"), time.Minute)}, program, at(2*time.Minute)))
	want(t, "an hour later", nil, p.send(at(time.Hour), well))
	want(t, "then", []string{"1-1?"}, p.send(at(time.Minute+2*time.Hour), well))
}

// Who shows the newest event again under a lost lease may show it after a newer one.
func TestLostLeaseOfARefresh(t *testing.T) {
	p := player{TB: t, m: thread}
	p.take(news(t, 1, 1, job.DropAccepted), at(0))
	p.send(at(0), well)
	p.r.Refresh = true
	r, slow, ok := p.r.Begin("slow", at(1))
	if !ok || !slow.Refresh {
		t.Fatalf("begin: %t, %+v", ok, slow)
	}
	p.r = stored(t, r)
	same := p.r
	p.take(news(t, 1, 2, job.JobFailed), at(time.Minute))
	want(t, "the quick one sends", []string{"1-2", "1-2 again"}, p.send(at(time.Minute), well))
	p.r = stored(t, p.r.Answered("slow", slow, Answer{Err: errors.New("deadline exceeded")}, thread, at(time.Minute)))
	want(t, "then", []string{"1-2 again"}, p.send(at(time.Minute), well))
	// If nothing is newer, nothing is wrong.
	same = stored(t, same.Release("slow"))
	r, quick, _ := same.Begin("quick", at(time.Minute))
	r = r.Answered("quick", quick, Answer{}, thread, at(time.Minute)).Release("quick")
	want(t, "the same", false, r.Answered("slow", slow, Answer{}, thread, at(time.Minute)).Refresh)
}

// An answer that is noted twice, since the answer of the write was lost, changes nothing.
func TestAnsweredTwice(t *testing.T) {
	for _, err := range []error{nil, Never(errors.New("no"))} {
		p := player{TB: t, m: thread}
		p.take(news(t, 1, 1, job.JobFailed), at(0))
		r, w, _ := p.r.Begin("me", at(0))
		once := stored(t, r.Answered("me", w, Answer{Receipt: Receipt(`"r"`), Err: err}, thread, at(1)))
		twice := stored(t, once.Answered("me", w, Answer{Receipt: Receipt(`"r"`), Err: err}, thread, at(2)))
		want(t, fmt.Sprint(err), once, twice)
		once = stored(t, once.Release("me"))
		twice = stored(t, once.Answered("me", w, Answer{Receipt: Receipt(`"r"`), Err: err}, thread, at(2)).Release("me"))
		want(t, fmt.Sprint("after the lease, ", err), once, twice)
	}
}

// Tries are spaced, as the destination asks where it does, and end.
func TestTries(t *testing.T) {
	p := player{TB: t, m: program}
	p.take(news(t, 1, 1, job.JobFailed), at(0))
	var times []time.Duration
	for now := time.Duration(0); now < 48*time.Hour; now += 10 * time.Second {
		if len(p.send(at(now), func(Work) Answer { return Answer{Err: errors.New("down")} })) > 0 {
			times = append(times, now)
		}
	}
	want(t, "the first pauses", []time.Duration{0, 30 * time.Second, 90 * time.Second, 210 * time.Second}, times[:4])
	for k, d := range times[1:] {
		if pause := d - times[k]; pause > time.Hour+10*time.Second || k > 0 && pause < 30*time.Second {
			t.Errorf("try %d comes %s after the one before", k+2, pause)
		}
	}
	if last := times[len(times)-1]; last < GiveUpTime || last > GiveUpTime+time.Hour {
		t.Errorf("the last try is after %s", last)
	}
	want(t, "told", []string{"1-1 given-up"}, told(p.r))

	for _, test := range []struct {
		name        string
		after, want time.Duration
	}{
		{"as asked", 5 * time.Minute, 5 * time.Minute}, {"no sooner than by itself", time.Second, firstPause},
		{"not for ever", 1000 * time.Hour, maxAfter},
	} {
		p := player{TB: t, m: program}
		p.take(news(t, 1, 1, job.JobFailed), at(0))
		p.send(at(0), func(Work) Answer { return Answer{Err: Later(errors.New("busy"), test.after)} })
		i, _ := p.r.Waits(1, 1)
		want(t, test.name, at(test.want), i.Next)
	}
}

// What a destination asks for is counted from its answer, which comes at no whole second: no try comes sooner.
func TestRestsForAsLongAsAsked(t *testing.T) {
	const fraction = 970 * time.Millisecond
	for _, test := range []struct {
		name string
		asks func(error, time.Duration) error
		sent string
	}{{"the message", Later, "1-1?"}, {"the destination", NotNow, "1-1"}} {
		p := player{TB: t, m: program}
		p.take(news(t, 1, 1, job.JobFailed), at(0))
		p.send(at(fraction), func(Work) Answer { return Answer{Err: test.asks(errors.New("429"), 2*time.Minute)} })
		want(t, test.name+", too early", nil, p.send(at(2*time.Minute+fraction-time.Millisecond), well))
		want(t, test.name, []string{test.sent}, p.send(at(2*time.Minute+time.Second), well))
	}
}

// A destination that asks to be left alone is, whatever comes for it, and for no longer.
func TestNotBefore(t *testing.T) {
	p := player{TB: t, m: program}
	busy := func(Work) Answer { return Answer{Err: NotNow(errors.New("429"), time.Hour)} }
	p.take(news(t, 1, 1, job.JobFailed), at(0))
	want(t, "first", []string{"1-1"}, p.send(at(0), busy))
	p.take(news(t, 2, 1, job.JobFailed), at(time.Minute))
	want(t, "meanwhile", nil, p.send(at(time.Hour-time.Second), well))
	want(t, "then", []string{"1-1", "2-1"}, p.send(at(time.Hour), well)) // not unsure: nothing was told
	p.take(news(t, 3, 1, job.JobFailed), at(2*time.Hour))
	want(t, "later", []string{"3-1"}, p.send(at(2*time.Hour), well))
}

// The events of an attempt are sent in their order, and hold up no other attempt.
func TestOrder(t *testing.T) {
	p := player{TB: t, m: program}
	p.take(news(t, 1, 1, job.DropAccepted), at(0))
	p.send(at(0), func(Work) Answer { return Answer{Err: errors.New("503")} })
	p.take(news(t, 1, 2, job.JobFailed), at(1))
	p.take(news(t, 2, 1, job.DropAccepted), at(1))
	want(t, "meanwhile", []string{"2-1"}, p.send(at(2), well))
	want(t, "then", []string{"1-1?", "1-2"}, p.send(at(time.Minute), well))
}

// An event that comes late is told, however many of its attempt were told before it.
func TestLateEventOfALongAttempt(t *testing.T) {
	p := player{TB: t, m: program}
	for s := range int64(maxEvents + 10) {
		if s+1 != maxEvents+5 {
			p.take(news(t, 1, s+1, job.JobRunning), at(0))
			p.send(at(0), well)
		}
	}
	p.take(news(t, 1, maxEvents+5, job.JobRunning), at(1))
	want(t, "sent", []string{fmt.Sprint("1-", maxEvents+5)}, p.send(at(1), well))
	if changed, _ := p.take(news(t, 1, 1, job.JobRunning), at(2)); changed {
		t.Error("the first is taken again")
	}
}

// Who has lost the lease gives nothing up: whoever has it may be telling it.
func TestLostLeaseGivesNothingUp(t *testing.T) {
	p := player{TB: t, m: program}
	p.take(news(t, 1, 1, job.JobFailed), at(0))
	r, slow, _ := p.r.Begin("slow", at(0))
	r, quick, _ := r.Begin("quick", at(time.Minute))
	r = r.Answered("slow", slow, Answer{Err: Never(errors.New("410"))}, program, at(time.Minute))
	r = r.Answered("quick", quick, Answer{}, program, at(time.Minute))
	want(t, "told", []string{"1-1 sent"}, told(stored(t, r)))
}

// A replay makes due what waits, too.
func TestReplayOfWhatWaits(t *testing.T) {
	p := player{TB: t, m: program}
	p.take(news(t, 1, 1, job.JobFailed), at(0))
	p.send(at(0), func(Work) Answer { return Answer{Err: NotNow(errors.New("429"), time.Hour)} })
	r, replayed, waiting := p.r.Replay(1, time.Time{}, at(time.Minute))
	if len(replayed) != 0 || len(waiting) != 1 {
		t.Fatalf("replayed %v, waiting %v", replayed, waiting)
	}
	p.r = stored(t, r)
	want(t, "sent", []string{"1-1"}, p.send(at(time.Minute), well))
}

// What is refused for good does not keep the next event from being sent, and is sent again if somebody asks.
func TestReplay(t *testing.T) {
	p := player{TB: t, m: people}
	refuse := func(w Work) Answer {
		if w.Intent.Generation == 1 {
			return Answer{Err: Never(errors.New("invalid_auth"))}
		}
		return Answer{}
	}
	p.take(news(t, 1, 3, job.JobFailed), at(0))
	p.take(news(t, 2, 3, job.JobFailed), at(0))
	want(t, "sent", []string{"1-3", "2-3"}, p.send(at(time.Minute), refuse))
	want(t, "told", []string{"1-3 given-up", "2-3 sent"}, told(p.r))
	if changed, _ := p.take(news(t, 1, 3, job.JobFailed), at(2*time.Minute)); changed {
		t.Error("an event that was given up is taken again when it comes again")
	}
	for _, none := range []struct {
		generation int64
		since      time.Time
	}{{2, time.Time{}}, {0, at(time.Hour)}} {
		if _, replayed, _ := p.r.Replay(none.generation, none.since, at(time.Hour)); len(replayed) > 0 {
			t.Errorf("replay of %+v: %v", none, replayed)
		}
	}
	r, replayed, _ := p.r.Replay(1, time.Time{}, at(time.Hour))
	if len(replayed) != 1 || replayed[0].Replays != 1 {
		t.Fatalf("replayed %+v", replayed)
	}
	p.r = stored(t, r)
	want(t, "sent again", []string{"1-3"}, p.send(at(time.Hour), well))
	want(t, "told then", []string{"1-3 sent", "2-3 sent"}, told(p.r))
	if _, replayed, _ := p.r.Replay(0, time.Time{}, at(time.Hour)); len(replayed) > 0 {
		t.Error("it is replayed twice")
	}
}

// A destination that is down for long fills no bucket: what is too much is given up, the oldest first.
func TestBounds(t *testing.T) {
	big := func(b *job.Snapshot) {
		for range 400 {
			b.Job.Trials = append(b.Job.Trials, job.Trial{ID: "1", Message: strings.Repeat("x", 1000)})
		}
	}
	for _, test := range []struct {
		name   string
		change func(*job.Snapshot)
		events int64
		fewer  int
	}{{"many", func(*job.Snapshot) {}, maxPending + 50, maxPending + 1}, {"large", big, 25, 20}} {
		t.Run(test.name, func(t *testing.T) {
			p := player{TB: t, m: program}
			for g := range test.events {
				if _, pending := p.take(news(t, g+1, 1, job.JobFailed, test.change), at(time.Duration(g))); !pending {
					t.Fatalf("event %d is not taken", g)
				}
			}
			if n := len(p.r.Pending); n >= test.fewer || n == 0 || p.r.Pending[n-1].Generation != test.events {
				t.Errorf("%d wait", n)
			}
			if len(p.r.GivenUp) == 0 || p.gaveUp != int(test.events)-len(p.r.Pending) {
				t.Errorf("%d kept for a replay, %d said to be given up", len(p.r.GivenUp), p.gaveUp)
			}
		})
	}
}

// The largest record there can be is read and written.
func TestLargestRecord(t *testing.T) {
	long := strings.Repeat("\x01", 40<<10)
	huge := func(b *job.Snapshot) {
		b.Reason = long
		for range 500 {
			b.Job.Trials = append(b.Job.Trials, job.Trial{ID: "1", Message: strings.Repeat("\x01", 2000)})
		}
		for range 300 {
			b.Violations = append(b.Violations, job.Violation{Rule: "r", Field: long, Found: long, Message: long, Remedy: long})
		}
	}
	for _, m := range []Manner{program, thread} {
		p := player{TB: t, m: m}
		fail := func(Work) Answer { return Answer{Err: Never(errors.New(long))} }
		for g := range int64(8) { // stored checks the size each time
			p.take(news(t, 100_000+g, 9, job.JobFailed, huge), at(0))
			switch {
			case g < 3:
				p.send(at(0), fail)
			case g == 3:
				p.send(at(0), func(Work) Answer { return Answer{Receipt: Receipt(`"` + strings.Repeat("r", MaxReceipt-2) + `"`)} })
			}
		}
		for g := range int64(maxTold) {
			for s := range int64(maxEvents) {
				p.r.note(Intent{Generation: 200_000 + g, Sequence: s, Kind: notice.Progress}, string(job.DropIncomplete), GaveUp, long, at(0))
			}
		}
		for g := range int64(maxSettled + 5) {
			p.r.settle(1_795_442_400_381_000+g, 9)
		}
		p.r = stored(t, p.r)
		if len(p.r.Settled) != maxSettled {
			t.Errorf("%d settled", len(p.r.Settled))
		}
		data, _ := json.Marshal(p.r)
		t.Logf("%d bytes", len(data))
	}
}

// Attempts that are forgotten in detail are still known, and a running one is still told of.
func TestSettled(t *testing.T) {
	p := player{TB: t, m: people}
	p.take(news(t, 1, 2, job.JobDelayed), at(0))
	p.send(at(0), well)
	for g := range int64(3 * maxTold) {
		p.take(news(t, g+2, 3, job.JobFailed), at(time.Minute))
		p.send(at(time.Minute), well)
	}
	if len(p.r.Told) != maxTold || len(p.r.Settled) != 2*maxTold+1 {
		t.Fatalf("%d told, %d settled", len(p.r.Told), len(p.r.Settled))
	}
	if changed, pending := p.take(news(t, 1, 2, job.JobDelayed), at(time.Hour)); changed || pending {
		t.Error("a warning that was told is taken again")
	}
	if _, pending := p.take(news(t, 1, 3, job.JobSucceeded), at(time.Hour)); !pending {
		t.Error("the outcome of an attempt that ran for long is not taken")
	}
}

// Under any schedule of processes that come, stall, die and lose answers, each event is either sent, said to be
// overtaken or counted, or given up; a program is sent each at least once, and once where nobody dies.
func TestSchedules(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := []Manner{program, people, thread}[rng.IntN(3)]
		p := player{TB: t, m: m}
		type process struct {
			owner string
			work  Work
		}
		var (
			now      = start
			running  []process
			ledger   = map[string]int{}
			died     = 0
			upcoming []notice.Event
		)
		for g := range int64(5) {
			upcoming = append(upcoming, news(t, g+1, 1, job.DropAccepted), news(t, g+1, 2, job.JobRunning),
				news(t, g+1, 3, job.JobDelayed), news(t, g+1, 4, job.JobFailed))
		}
		upcoming = append(upcoming, upcoming[:8]...)
		rng.Shuffle(len(upcoming), func(i, j int) { upcoming[i], upcoming[j] = upcoming[j], upcoming[i] })
		all := slices.Clone(upcoming)
		for step := 0; len(upcoming) > 0 || len(running) > 0 || len(p.r.Pending) > 0 || p.r.Refresh; step++ {
			if step > 10_000 {
				t.Fatalf("seed %d: it does not end", seed)
			}
			now = now.Add(time.Duration(rng.IntN(20)) * time.Second)
			switch rng.IntN(4) {
			case 0:
				if len(upcoming) > 0 {
					p.take(upcoming[0], now)
					upcoming = upcoming[1:]
				}
			case 1, 2:
				owner := fmt.Sprint("p", step)
				if r, w, ok := p.r.Begin(owner, now); ok {
					p.r = stored(t, r)
					running = append(running, process{owner, w})
				}
			case 3:
				if len(running) == 0 {
					continue
				}
				k := rng.IntN(len(running))
				q := running[k]
				running = slices.Delete(running, k, k+1)
				answer := Answer{}
				if rng.IntN(4) == 0 {
					answer.Err = errors.New("down")
				}
				if answer.Err == nil {
					ledger[fmt.Sprintf("%d-%d", q.work.Intent.Generation, q.work.Intent.Sequence)]++
				}
				if rng.IntN(6) == 0 {
					died++
					continue // it dies before it notes the answer
				}
				p.r = stored(t, p.r.Answered(q.owner, q.work, answer, m, now).Release(q.owner))
			}
		}
		for _, e := range all {
			if !p.r.knows(e.Generation, e.Body.Sequence) {
				t.Fatalf("seed %d: nothing is known of %s", seed, e.ID())
			}
			key := fmt.Sprintf("%d-%d", e.Generation, e.Body.Sequence)
			how := p.r.told(e.Generation, e.Body.Sequence).How
			if how == Sent && ledger[key] == 0 {
				t.Fatalf("seed %d: %s is noted as sent and was not", seed, key)
			}
			if m == program && how != Sent {
				t.Fatalf("seed %d: a program was not told of %s: %s", seed, key, how)
			}
			if e.Kind() == notice.Outcome && how != Sent {
				t.Fatalf("seed %d: an outcome was not told: %s %s", seed, key, how)
			}
		}
	}
}
