package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// printer shows a run: events, logs and what it waits for.
type printer struct {
	out    io.Writer // events
	logs   io.Writer // all else
	now    func() time.Time
	format string // of events: formatText or formatJSON
	// coloured reports that verdicts have colours, and that a job's log keeps its own.
	coloured bool
	// width is how wide a line of the command's own may be.
	width int
	// raw reports that a job's lines are printed as its program wrote them.
	raw bool
	// known is closed when events may be shown: when attempt is known, or the settings
	// are printed. They may come before.
	known   chan struct{}
	attempt string

	// broken is closed at the first write that failed.
	broken chan struct{}

	mu       sync.Mutex
	sequence int64
	waiting  string
	// held are lines of the log that wait for an event, if holding is set.
	holding bool
	held    []training.Line
	// shown holds what was shown of each attempt, where those of all are.
	shown map[string]progress
	err   error // why broken is closed
}

// newPrinter returns a printer on standard output. With events as JSON, all else
// goes to standard error.
func newPrinter(env Env, format string) *printer {
	p := &printer{
		out: env.Out, logs: env.Out, now: env.Now, format: format, coloured: env.colours() && format == formatText,
		width: env.width(), known: make(chan struct{}), broken: make(chan struct{}), shown: map[string]progress{},
	}
	if format == formatJSON {
		p.logs = env.Err
	}
	return p
}

// colours reports whether output may have colours: on a terminal that knows them, unless
// NO_COLOR is set (no-color.org).
func (e Env) colours() bool {
	return e.Terminal && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
}

// paint returns a word in the colour of a state.
func (p *printer) paint(s event.State, word string) string {
	if colour := colourOf(s); p.coloured && colour != "" {
		return colour + word + noColour
	}
	return word
}

// follow names the attempt whose events are shown: a stack that was kept may still
// publish those of others.
func (p *printer) follow(attempt string) {
	p.attempt = attempt
	close(p.known)
}

// print writes, and keeps the first failure. The caller holds mu.
func (p *printer) print(w io.Writer, format string, args ...any) {
	_, err := fmt.Fprintf(w, format, args...)
	p.check(err)
}

// prose prints what the command itself says: what stands before a text, and the text, which goes on below itself where
// the terminal is too narrow for it. Its lines after the first are set in. The caller holds mu.
func (p *printer) prose(w io.Writer, head, said string) {
	first, others, _ := strings.Cut(said, "\n")
	start := utf8.RuneCountInString(text.Plain(head))
	shown := strings.TrimRight(head+strings.TrimLeft(setIn(first, p.width, start, start), " "), " \n") + "\n"
	for line := range strings.Lines(others) {
		shown += setIn(strings.TrimSuffix(line, "\n"), p.width, indent, indent+gap)
	}
	p.print(w, "%s", shown)
}

// check keeps the first failure. The caller holds mu.
func (p *printer) check(err error) {
	if err != nil && p.err == nil {
		p.err = err
		close(p.broken)
	}
}

// started reports whether an event of the attempt came.
func (p *printer) started() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sequence > 0
}

// failed returns the error of the first write that failed.
func (p *printer) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// say prints a line of the command's own.
func (p *printer) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prose(p.logs, clock(p.now())+"  ", oneLine(fmt.Sprintf(format, args...)))
}

// verdict prints what became of a drop: a word, and what there is to say of it.
func (p *printer) verdict(s event.State, word, said string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	head := clock(p.now()) + "  " + p.paint(s, word)
	said, spaced := strings.CutPrefix(oneLine(said), " ")
	if spaced {
		head += " "
	}
	p.prose(p.logs, head, said)
}

// log prints a line of the job's log. In a run its first lines wait for the event that
// says where the job is: events take a moment longer than lines.
func (p *printer) log(l training.Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holding {
		p.held = append(p.held, l)
		return
	}
	p.line(l)
}

// hold makes the job's lines wait for its events.
func (p *printer) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding = true
}

// longestHold is how long a job's lines wait for an event: it may never come.
const longestHold = 2 * time.Second

// release prints the lines that wait, if the first is as old.
func (p *printer) release(age time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if age == 0 || len(p.held) > 0 && p.now().Sub(p.held[0].Time) >= age {
		p.releaseHeld()
	}
}

// releaseHeld prints the lines that wait, and ends the wait. The caller holds mu.
func (p *printer) releaseHeld() {
	p.holding = false
	for _, l := range p.held {
		p.line(l)
	}
	p.held = nil
}

// line prints a line of a job's log. The caller holds mu.
func (p *printer) line(l training.Line) {
	task := l.Task
	if l.Trial != "" {
		task = "trial " + l.Trial + " " + task
	}
	said := l.Text
	if !p.raw {
		said = logText(said, p.coloured)
	}
	p.print(p.logs, "%s    %s | %s\n", p.dated(l.Time), oneLine(task), indented(said))
}

// dated returns the time of a line, with its day if that is another one.
func (p *printer) dated(t time.Time) string {
	if here, now := t.Local(), p.now().Local(); here.YearDay() != now.YearDay() || here.Year() != now.Year() {
		return here.Format("2006-01-02 15:04:05.000")
	}
	return clock(t)
}

// event prints an event of the attempt that is followed, and reports whether it is
// new: delivery is at least once.
func (p *printer) event(ctx context.Context, e cloudevents.Event, t event.Type, body event.Body) bool {
	if !p.begun(ctx) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if body.Attempt != p.attempt || body.Sequence <= p.sequence {
		return false
	}
	p.sequence = body.Sequence
	if p.format == formatJSON {
		data, err := json.Marshal(e)
		p.check(err)
		p.print(p.out, "%s\n", escaped(data))
		return true
	}
	// A line has the time at which its event came: the event's own is in its JSON.
	p.prose(p.out, clock(p.now())+"  "+p.word(t, body)+" ", logText(detail(t, body), false))
	p.violations(t, body)
	if body.Job.ResourceName != "" || body.State.Terminal() {
		p.releaseHeld()
	}
	return true
}

// word returns an event's type as a cell of its line, in the colour of its verdict.
func (p *printer) word(t event.Type, body event.Body) string {
	cell := fmt.Sprintf("%-14s", t.Short())
	switch {
	case t == event.DropIncomplete || t == event.JobDelayed:
		return p.paint(event.Waiting, cell)
	case body.State.Terminal():
		return p.paint(body.State, cell)
	}
	return cell
}

// violations prints the violations of a drop that an event is about. The caller
// holds mu.
func (p *printer) violations(t event.Type, body event.Body) {
	if t != event.DropRejected && t != event.DropIncomplete && t != event.DropAccepted {
		return
	}
	for _, v := range body.Violations {
		p.print(p.out, "%s", setIn(account.WithRule(v), p.width, indent, indent+gap))
	}
}

// told prints an event of any attempt, with its drop and its job, unless it was
// printed before: delivery is at least once. It waits until the settings are printed.
func (p *printer) told(ctx context.Context, t event.Type, body event.Body) {
	if !p.begun(ctx) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := p.shown[body.Attempt]
	if body.Sequence <= shown.sequence {
		return
	}
	p.shown[body.Attempt] = shown.with(body)
	first, _, _ := strings.Cut(detail(t, body), "\n")
	id := body.Job.ID
	if strings.Contains(first, id) {
		id = ""
	}
	p.prose(p.out, clock(p.now())+"  "+p.word(t, body)+" ", fmt.Sprintf("gs://%s/%s  %s  %s",
		oneLine(body.Drop.Bucket), oneLine(body.Drop.Prefix), oneLine(id), oneLine(text.Plain(first))))
	p.violations(t, body)
}

// begun waits until the printer shows events, and reports whether it does.
func (p *printer) begun(ctx context.Context) bool {
	select {
	case <-p.known:
		return true
	case <-ctx.Done():
		return false
	}
}

// progress is what was shown of an attempt.
type progress struct {
	sequence int64
	waiting  string // what it waits for
}

func (s progress) with(b event.Body) progress {
	return progress{sequence: max(s.sequence, b.Sequence), waiting: b.Reason}
}

// change prints what is new in an attempt's status: the events that its history tells of, as [printer.event] prints
// them, then what it waits for. named also prints the drop and its job, as [printer.told] does. Without whole, the
// verdict's event is left for the next call.
func (p *printer) change(b event.Body, named, whole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := p.shown[b.Attempt]
	for _, h := range b.History {
		final := h.Sequence == b.Sequence && b.State.Terminal()
		if h.Sequence <= shown.sequence || final && !whole {
			continue
		}
		e := b
		if !final {
			e.State, e.Error = "", nil
			e.Reason = h.Reason
		}
		shown.sequence, shown.waiting = h.Sequence, e.Reason
		said := detail(h.Type, e)
		if named {
			first, _, _ := strings.Cut(said, "\n")
			said = strings.TrimRight(fmt.Sprintf("gs://%s/%s  %s", b.Drop.Bucket, b.Drop.Prefix, first), " ")
		}
		p.prose(p.out, p.moment(h.Time)+"  "+p.word(h.Type, e)+" ", logText(said, false))
		if h.Type != event.DropIncomplete || h.Sequence == b.Sequence { // the drop has others by now
			p.violations(h.Type, e)
		}
	}
	if b.Reason != "" && !b.State.Terminal() && !says(shown.waiting, b.Reason) {
		said := b.Reason
		if named {
			said = "gs://" + b.Drop.Bucket + "/" + b.Drop.Prefix + "  " + said
		}
		p.prose(p.out, clock(p.now())+"  "+p.paint(b.State, fmt.Sprintf("%-14s", b.State))+" ", oneLine(said))
	}
	if !b.State.Terminal() {
		shown.waiting = b.Reason
	}
	p.shown[b.Attempt] = shown
}

// says reports whether a reason was said already; what an event says may be shortened.
func says(said, reason string) bool {
	short, cut := strings.CutSuffix(said, "…")
	return said == reason || cut && strings.HasPrefix(reason, short)
}

// moment returns when something happened, with its day if that is another one.
func (p *printer) moment(t time.Time) string {
	t, now := t.Local(), p.now().Local()
	if t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		return t.Format("2006-01-02 15:04:05")
	}
	return clock(t)
}

// evidence prints the end of the log of a job that failed, as far as its status has it.
func (p *printer) evidence(e *job.Failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range account.LogEnd(e, usualEnd) {
		p.print(p.logs, "    %s\n", oneLine(logText(l, false)))
	}
}

// ended prints the verdict on an attempt.
func (p *printer) ended(b event.Body) {
	switch b.State {
	case job.Succeeded, job.Failed, job.Cancelled, job.TimedOut, job.Lost:
		p.verdict(b.State, strings.ReplaceAll(string(b.State), "_", " "), took(b))
	default:
		p.verdict(b.State, string(b.State), because(b)+"; nothing was submitted")
	}
}

// status prints what an attempt waits for, if that is news: there is no event of it.
func (p *printer) status(ctx context.Context, body event.Body) {
	if !waits(body) || !p.begun(ctx) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	shown := p.shown[body.Attempt]
	if body.Sequence < shown.sequence || body.Reason == shown.waiting {
		return // it is late, or said
	}
	p.shown[body.Attempt] = shown.with(body)
	p.row(p.paint(body.State, fmt.Sprintf("%-14s", body.State)), body.Drop.Bucket, body.Drop.Prefix, body.Reason)
}

// alone prints that a folder has no job file, if somebody seems to have meant a drop.
func (p *printer) alone(ctx context.Context, bucket, folder string, names []string) {
	near := inspect.NearJobFile(names)
	packages := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !job.IsPackage(name) })
	if len(near) == 0 && len(packages) == 0 || !p.begun(ctx) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.row(p.paint(event.Waiting, fmt.Sprintf("%-14s", "no job file")), bucket, folder, strings.Join(append(near,
		"nothing runs until "+text.Alternatives(job.JobFileNames()...)+" is uploaded here"), "; "))
}

// row prints a line about a folder. The caller holds mu.
func (p *printer) row(word, bucket, folder, said string) {
	p.prose(p.out, clock(p.now())+"  "+word+" ",
		fmt.Sprintf("gs://%s/%s  %s", oneLine(bucket), oneLine(folder), oneLine(said)))
}

// waits reports whether an attempt waits for something that its reason names.
func waits(b event.Body) bool {
	return b.Reason != "" && (b.State == job.Waiting || b.State == job.Held || b.State == job.Accepted)
}

// detail returns what an event says, in a line or a few.
func detail(t event.Type, b event.Body) string {
	switch t {
	case event.DropIncomplete:
		return b.Reason
	case event.DropAccepted:
		var names []string
		for _, o := range b.Drop.Receipt.Objects {
			names = append(names, fmt.Sprintf("%s#%d", o.Base(), o.Generation))
		}
		return text.Sentence(b.Job.ID+": "+strings.Join(names, ", "), b.Reason) // what it waits for, if it does
	case event.JobDelayed:
		return b.Reason
	case event.DropRejected, event.DropWithdrawn, event.DropExpired, event.JobLost:
		if b.Error == nil || strings.Contains(b.Reason, b.Error.Message) {
			return b.Reason
		}
		return text.Sentence(b.Reason, b.Error.Message)
	case event.JobSubmitted:
		return b.Job.ResourceName
	case event.JobQueued, event.JobPreparing, event.JobRunning:
		if b.Restarts != nil {
			return b.Reason
		}
	case event.JobSucceeded:
		return text.Sentence(b.Reason, trials(b.Job.Trials))
	case event.JobFailed, event.JobCancelled, event.JobTimedOut:
		if b.Reason == "" && b.Error != nil { // of an earlier revision
			first, _, _ := strings.Cut(strings.TrimSpace(b.Error.Message), "\n")
			return first
		}
		return b.Reason // it has the message's first line; the rest is in the log
	}
	return ""
}

// trials describes a tuning job's best trial.
func trials(all []job.Trial) string {
	if len(all) == 0 || all[0].Objective == nil {
		return ""
	}
	best := all[0]
	var values []string
	for _, name := range slices.Sorted(maps.Keys(best.Parameters)) {
		values = append(values, name+"="+best.Parameters[name])
	}
	return fmt.Sprintf("best of %d trials is %s: %s gives %v",
		len(all), best.ID, strings.Join(values, " "), *best.Objective)
}

// waits prints what a drop waits for, if status.json says so and it has changed.
func (p *printer) waits(ctx context.Context, stack *local.Stack, prefix string) {
	const limit = 8 << 20
	data, _, err := stack.Storage.Read(ctx, local.Status, prefix+"status.json", 0, limit)
	if err != nil {
		return // not written yet
	}
	var b event.Body
	if json.Unmarshal(data, &b) != nil || b.State == job.Waiting || !waits(b) {
		return
	}
	p.mu.Lock()
	news := b.Reason != p.waiting
	p.waiting = b.Reason
	p.mu.Unlock()
	if news {
		p.say("%s: %s", b.State, b.Reason)
	}
}

// took returns " after" and how long the program ran, or nothing if it did not.
func took(b event.Body) string {
	if b.Times.Started.IsZero() || b.Times.Ended.IsZero() {
		return ""
	}
	return fmt.Sprintf(" after %s", b.Times.Ended.Sub(b.Times.Started).Round(100*time.Millisecond))
}

func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }
