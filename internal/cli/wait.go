package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// waitOptions are what jobdrop wait is asked for.
type waitOptions struct {
	targetOptions
	command    string // that waits: wait or submit
	names      []string
	prefix     string // of the folder of a job
	generation int64
	timeout    time.Duration
	failFast   bool
	logs       bool
	cancel     bool // what is waited for, on an interrupt
	output     string
}

func newWait(env Env, run func(context.Context, Env, waitOptions) error) *cobra.Command {
	var o waitOptions
	c := &cobra.Command{
		Use:   "wait DROP|JOB|ATTEMPT...",
		Short: "Wait for the verdict on drops, and exit with it",
		Long: `Wait for the verdict on drops, and exit with it. State changes are shown as they
come, and at once what a drop waits for.

  DROP     a folder of the inbox, teams/a/ or gs://INBOX/teams/a/: the attempt
           of its live job file. gs://INBOX/teams/a/#GENERATION is that of one
           generation of the job file, as --generation is
  JOB      a job's ID, which takes the right to read the state bucket, or what
           jobdrop submit JOB has dropped: the folder $JOBDROP_PREFIX/JOB/
  ATTEMPT  an attempt's name, as status.json has it; it takes the same right

The attempt is chosen once: a later upload into the folder, or an earlier
verdict there, changes nothing. It takes the right to read the status bucket
and, without a generation, the inbox. No answer for 15 minutes, or --timeout,
ends the wait with 75, never with success. An interrupt only ends the wait, and
prints how to go on.

Exit codes: 0 succeeded, 1 the job failed, 2 the drop was rejected, 3 the job
was cancelled or the drop withdrawn, 4 the job timed out or was lost, or the
drop expired, 64 wrong usage, 66 there is no such drop, job or attempt, 69 this
machine lacks something, or you a right, 70 jobdrop's own fault, 75 not ended at
--timeout, or no answer: ask again, 130 interrupted. Of several the first of
130, 70, 69, 64, 66, 1, 2, 4, 3, 75, 0.`,
		Example: `  jobdrop wait census/ --env local.env
  jobdrop wait gs://acme-inbox/census/ --generation 1795424700381000 --logs
  jobdrop wait census/ teams/nlp/ --fail-fast -o json | jq -r .kind`,
		Args: takes("DROP|JOB|ATTEMPT…"),
		RunE: func(c *cobra.Command, names []string) error {
			if err := oneOf("--output", o.output, formatText, formatJSON); err != nil {
				return err
			}
			switch {
			case o.timeout < 0:
				return fmt.Errorf("--timeout is %s, must not be negative", o.timeout)
			case o.generation < 0:
				return fmt.Errorf("--generation is %d, must be that of a job file", o.generation)
			case o.generation > 0 && len(names) > 1:
				return errors.New("--generation is of one drop: of several, write each as gs://INBOX/FOLDER/#GENERATION")
			}
			o.names = names
			return run(c.Context(), env, o)
		},
	}
	f := c.Flags()
	o.flags(f)
	f.Int64Var(&o.generation, "generation", 0,
		"generation of the job file, as the upload's answer has it (default: that of the live one)")
	f.DurationVar(&o.timeout, "timeout", 0, "longest wait, such as 90m; then the exit code is 75 (default: none)")
	f.BoolVar(&o.failFast, "fail-fast", false, "of several, end with the first that does not succeed")
	f.BoolVar(&o.logs, "logs", false, "show the jobs' logs, too, as jobdrop logs does, whose right it takes")
	f.BoolVar(&o.cancel, "cancel-on-interrupt", false,
		"on an interrupt, ask jobdrop to cancel and wait on; a second one ends the wait")
	f.StringVarP(&o.output, "output", "o", formatText,
		"json prints one object a line: each change, and the result at the end (docs/wait.md)")
	return c
}

func wait(ctx context.Context, env Env, o waitOptions) error {
	t, err := o.open(ctx, env, "JOBDROP_INBOX", "JOBDROP_STATUS_BUCKET")
	if err != nil {
		return err
	}
	if err := t.canCancel(o.cancel); err != nil {
		return err
	}
	prefix, _ := t.lookup("JOBDROP_PREFIX")
	o.prefix, o.command = asFolder(prefix), "wait"
	var all []waited
	for _, name := range o.names {
		a, err := o.parse(name, t.Inbox)
		if err != nil {
			return err
		}
		if a.attempt != "" && t.State == "" {
			return exit(exitUsage, "JOBDROP_STATE_BUCKET is not set, where attempts are looked up: "+
				"name the drop instead, as gs://%s/FOLDER/#GENERATION", t.Inbox)
		}
		all = append(all, a)
	}
	return waitFor(ctx, env, t, o, all)
}

// canCancel returns an error if a wait is to cancel on an interrupt, and there is no place for its request.
func (t *target) canCancel(asked bool) error {
	if asked && t.State == "" {
		return exit(exitUsage, "JOBDROP_STATE_BUCKET is not set: --cancel-on-interrupt writes a request there")
	}
	return nil
}

// waited is what is waited for, as far as it is known.
type waited struct {
	name string // as the command line has it
	// folder and generation name the attempt; generation is 0 as long as it is not known.
	folder     string
	generation int64
	// attempt and word are what else the name may be: an attempt, or a job's ID as well as a folder.
	attempt, word string
	known         bool // the attempt was recorded
	recorded      job.Snapshot
	// seen is closed by look, when a status was read or the wait for it has ended. repeats is the attempt that this one
	// turned out to repeat.
	seen    chan struct{}
	look    func()
	repeats string
}

// parse returns what a name is waited for as.
func (o waitOptions) parse(name, inbox string) (waited, error) {
	a := waited{name: name, generation: o.generation}
	n, err := parseName(name, inbox, o.prefix)
	switch {
	case err != nil:
		return a, err
	case n.attempt != "" && o.generation > 0:
		return a, exit(exitUsage, "--generation is of a drop: the attempt %s names its own", name)
	case n.generation > 0 && o.generation > 0:
		return a, exit(exitUsage, "--generation is %d, and %s names one, too", o.generation, name)
	case o.generation == 0:
		a.generation, a.word = n.generation, n.job
	}
	a.attempt, a.folder = n.attempt, n.folder
	return a, nil
}

// find finds out which attempt is meant. An error without an exit code may be over at another try.
func (t *target) find(ctx context.Context, a *waited) error {
	switch {
	case a.attempt != "":
		return t.findAttempt(ctx, a)
	case a.generation != 0:
		return nil
	case a.word == "" || t.State == "":
		return t.findDrop(ctx, a)
	}
	reader, err := ledger.NewReader(t.storage, t.State)
	if err != nil {
		return fault(err)
	}
	var jobs ledger.Page
	jobs, err = reader.Page(ctx, ledger.Query{JobID: a.word})
	switch {
	case errors.Is(err, ledger.ErrQuery), errors.Is(err, job.ErrDenied):
		return t.findDrop(ctx, a)
	case err != nil:
		return err
	case len(jobs.Attempts) == 0:
		return t.findDrop(ctx, a)
	}
	found := jobs.Attempts[0]
	drop := *a
	switch err := t.findDrop(ctx, &drop); {
	case err == nil && drop.folder == found.Folder:
		// The job's folder by submit's rule: the live job file is that of its last run, of the ID or of a rerun's.
		*a = drop
		return nil
	case err == nil && attemptIn(t.Inbox, drop.folder, drop.generation) != found.Attempt:
		return exit(exitUsage, "%s is the job of attempt %s, and a folder: name that attempt, or the folder, gs://%s/%s",
			a.word, found.Attempt, t.Inbox, drop.folder)
	case err != nil && codeOf(err) == 0:
		return err
	}
	a.attempt = found.Attempt
	return t.findAttempt(ctx, a)
}

// codeOf returns the exit code of an error, 0 if it has none.
func codeOf(err error) int {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return 0
}

// findAttempt finds an attempt by its name.
func (t *target) findAttempt(ctx context.Context, a *waited) error {
	s, err := t.record(ctx, a.attempt)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return exit(exitUnknown, "there is no attempt %s", a.attempt)
	case errors.Is(err, job.ErrDenied):
		return exit(exitMissing, "attempts are looked up in gs://%s, which needs the right storage.objects.get: "+
			"name the drop instead, as gs://%s/FOLDER/#GENERATION (%w)", t.State, t.Inbox, err)
	case err != nil:
		return err
	}
	_, n, err := splitAttempt(a.attempt)
	if err != nil {
		return fault(fmt.Errorf("attempt %q: %w", a.attempt, err))
	}
	a.folder, a.generation, a.known, a.recorded = s.Drop.Prefix, n, true, s
	return nil
}

// findDrop finds the live job file of a folder.
func (t *target) findDrop(ctx context.Context, a *waited) error {
	found, err := t.jobFiles(ctx, a.folder)
	switch denied := errors.Is(err, job.ErrDenied); {
	case err != nil && !denied:
		return err // the newest may be among those that could not be looked at
	case len(found) == 0 && denied:
		return exit(exitMissing, "the job file of gs://%s/%s is looked up, which needs the right storage.objects.get: "+
			"name its generation by --generation (%w)", t.Inbox, a.folder, err)
	case len(found) == 0 && a.word != "":
		return exit(exitUnknown, "there is no job %s that can be looked up, and gs://%s/%s has no job file", a.word, t.Inbox,
			a.folder)
	case len(found) == 0:
		return exit(exitUnknown, "gs://%s/%s has no job file: there is no such drop", t.Inbox, a.folder)
	}
	newest, _ := job.Drop{JobFiles: found}.JobFile()
	a.generation = newest.Generation
	return nil
}

// waiting is a wait for some attempts.
type waiting struct {
	waitOptions
	env      Env
	target   *target
	printer  *printer
	attempts []waited

	mu      sync.Mutex   // guards what follows, and what changes of attempts
	results []waitResult // one for each attempt
}

// waitResult is what became of one attempt. Its JSON is what -o json prints at the end.
type waitResult struct {
	Name     string    `json:"name"`
	Attempt  string    `json:"attempt,omitempty"`
	State    job.State `json:"state,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	ExitCode int       `json:"exitCode"`
	Error    string    `json:"error,omitempty"`
	// Console is the attempt's page in the installation's console, if the settings name that.
	Console string `json:"console,omitempty"`
	err     error
}

// waitLine is a line of -o json: of kind status or end.
type waitLine struct {
	Kind     string        `json:"kind"`
	Name     string        `json:"name,omitempty"`
	Status   *job.Snapshot `json:"status,omitempty"`
	ExitCode *int          `json:"exitCode,omitempty"`
	Attempts []waitResult  `json:"attempts,omitempty"`
}

// waitFor waits for attempts of an installation, and returns an error with the exit code that the worst of them has.
func waitFor(ctx context.Context, env Env, t *target, o waitOptions, all []waited) error {
	w := &waiting{
		waitOptions: o, env: env, target: t, printer: newPrinter(env, o.output), attempts: all,
		results: make([]waitResult, len(all)),
	}
	for i := range all {
		seen := make(chan struct{})
		all[i].seen, all[i].look = seen, sync.OnceFunc(func() { close(seen) })
	}
	// What ends the wait is not what ctx ends: after a request to cancel, the wait goes on.
	following, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	timed, stop := within(following, o.timeout)
	defer stop()
	finished := make(chan struct{})
	var listener sync.WaitGroup
	listener.Go(func() { w.listen(ctx, timed, end, finished) })
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			result := w.one(timed, &w.attempts[i])
			w.mu.Lock()
			w.results[i] = result
			w.mu.Unlock()
			w.attempts[i].look() // nothing is left to cancel
			if o.failFast && result.ExitCode != exitSucceeded {
				end(errLeft)
			}
		})
	}
	group.Wait()
	close(finished)
	listener.Wait()
	return w.end()
}

// one waits for one attempt.
func (w *waiting) one(ctx context.Context, a *waited) waitResult {
	s, err := w.follow(ctx, a)
	result := waitResult{
		Name: a.name, Attempt: s.Attempt, State: s.State, Reason: s.Reason, Console: pageOf(w.target.console, s.Attempt), err: err,
	}
	if err != nil {
		result.ExitCode, result.Error = cmp.Or(codeOf(err), exitFault), err.Error()
		if e, ok := errors.AsType[*exitError](err); ok && e.err != nil {
			result.Error = e.err.Error()
		}
	} else {
		result.ExitCode = exitOf(s.State)
	}
	switch {
	case w.output == formatJSON:
	case err == nil && !w.several():
		if s.State == job.Failed && !w.logs {
			w.printer.evidence(s.Error)
		}
		w.printer.ended(s)
		if s.State == job.Failed && w.target.State != "" {
			w.mu.Lock()
			ref := cmp.Or(a.repeats, refTo(w.target.Inbox, a.folder, a.generation))
			w.mu.Unlock()
			w.printer.say("to see why: %s", w.line("why", ref))
		}
	case err != nil && w.several() && !errors.Is(err, errLeft):
		w.printer.say("%s: %s", a.name, result.Error)
	}
	return result
}

func (w *waiting) several() bool { return len(w.attempts) > 1 }

// follow finds an attempt and follows it.
func (w *waiting) follow(ctx context.Context, a *waited) (job.Snapshot, error) {
	say := w.printer.say
	if w.several() {
		say = func(format string, args ...any) { w.printer.say("%s: %s", a.name, fmt.Sprintf(format, args...)) }
	}
	for l := (line{now: w.env.Now, say: say}); ; {
		found := *a
		err := w.target.find(ctx, &found)
		w.mu.Lock()
		*a = found
		w.mu.Unlock()
		switch {
		case err == nil:
		case codeOf(err) != 0:
			return job.Snapshot{}, err
		default:
			if err := l.lost(ctx, err); codeOf(err) != 0 {
				return job.Snapshot{}, err
			}
			if l.rest(ctx) != nil {
				return job.Snapshot{}, stopped(ctx, err.Error())
			}
			continue
		}
		l.back()
		break
	}
	say("waiting for %s", refTo(w.target.Inbox, a.folder, a.generation))
	if page := pageOf(w.target.console, attemptIn(w.target.Inbox, a.folder, a.generation)); page != "" {
		say("its page: %s", page)
	}
	show, done := w.shows(ctx, a, say)
	defer done()
	if s := a.recorded; s.State.Terminal() && s.DuplicateOf == "" {
		show(s) // its status may be deleted by now
		return s, nil
	}
	place := placing{target: w.target, say: say}
	return w.target.follow(ctx, w.env, followOptions{
		folder: a.folder, generation: a.generation, known: a.known, changed: show, unchanged: place.look, say: say,
	})
}

// placing says the place in the queue of an attempt, and that the policy keeps it from a decision, to whoever may read
// them.
type placing struct {
	target *target
	say    func(format string, args ...any)
	last   string // what was said of the place
	denied bool
	// fault is what was said of the policy, which is not read any more once closed is set.
	fault  string
	closed bool
}

// look says the place, or what is wrong with the policy, if it is another one than before.
func (p *placing) look(ctx context.Context, s job.Snapshot) {
	p.lookAtPolicy(ctx, s.State)
	if s.State != job.Accepted || p.denied {
		return
	}
	q, err := p.target.queue(ctx)
	p.denied = errors.Is(err, job.ErrDenied) // droppers need no right to it
	place := account.PlaceIn(q, s.Attempt, nil)
	if err != nil || place == nil || place.String() == p.last {
		return
	}
	p.last = place.String()
	p.say("it is the %s", p.last)
}

// lookAtPolicy says that the policy is not valid, once for each fault, of an attempt that is still to be decided.
func (p *placing) lookAtPolicy(ctx context.Context, s job.State) {
	if p.closed || !s.Undecided() && s != job.Accepted {
		return
	}
	_, err := account.ReadPolicy(ctx, p.target.storage, p.target.PolicyBucket, p.target.PolicyObject)
	p.closed = errors.Is(err, job.ErrDenied) // droppers need no right to it
	switch {
	case !errors.Is(err, account.ErrPolicy):
		p.fault = ""
	case err.Error() != p.fault:
		p.fault = err.Error()
		p.say("%s", p.fault)
	}
}

// shows returns a function that shows the snapshots of an attempt, and one that ends what it began.
func (w *waiting) shows(
	ctx context.Context, a *waited, say func(string, ...any),
) (show func(job.Snapshot), done func()) {
	tail := &tail{target: w.target, say: say, line: w.printer.log}
	if w.several() {
		tail.line = func(l training.Line) {
			l.Task = a.name + " " + l.Task
			w.printer.log(l)
		}
	}
	return func(s job.Snapshot) {
		w.mu.Lock()
		a.repeats = cmp.Or(s.DuplicateOf, a.repeats)
		w.mu.Unlock()
		a.look()
		if w.output == formatText {
			w.printer.change(s, w.several(), !w.logs)
		}
		if w.logs && s.Job.ResourceName != "" {
			tail.start(ctx, s)
		}
		if s.State.Terminal() {
			tail.drain()
		}
		if w.output == formatText {
			w.printer.change(s, w.several(), true)
		} else {
			w.print(waitLine{Kind: "status", Name: a.name, Status: &s})
		}
	}, tail.stop
}

// print prints a line of JSON.
func (w *waiting) print(l waitLine) {
	data, err := json.Marshal(l)
	w.printer.mu.Lock()
	defer w.printer.mu.Unlock()
	w.printer.check(err)
	w.printer.print(w.printer.out, "%s\n", escaped(data))
}

// listen ends the wait if ctx ends or the output fails. If interrupts cancel, only the next one ends it.
func (w *waiting) listen(ctx, following context.Context, end context.CancelCauseFunc, finished <-chan struct{}) {
	select {
	case <-finished:
		return
	case <-w.printer.broken:
		end(w.printer.failed())
		return
	case <-ctx.Done():
	}
	if w.cancel {
		again, stop := Signals(context.WithoutCancel(ctx))
		defer stop()
		asking, cancel := context.WithCancel(following)
		defer cancel()
		go func() { // a second interrupt ends this, too
			select {
			case <-again.Done():
				end(context.Canceled)
			case <-asking.Done():
			}
		}()
		if w.requestCancels(asking) {
			select {
			case <-finished:
			case <-again.Done():
			}
		}
	}
	end(context.Canceled)
}

// requestCancels asks jobdrop to cancel what is waited for and has not ended. It reports whether all of it is asked for.
func (w *waiting) requestCancels(ctx context.Context) bool {
	var group sync.WaitGroup
	asked := make([]bool, len(w.attempts))
	for i := range w.attempts {
		group.Go(func() { asked[i] = w.requestCancel(ctx, i) })
	}
	group.Wait()
	return !slices.Contains(asked, false)
}

// requestCancel asks jobdrop to cancel one of the attempts, once it is known there: a request before is refused.
func (w *waiting) requestCancel(ctx context.Context, i int) bool {
	now := func() (a waited, ended bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.attempts[i], w.results[i].Name != ""
	}
	a, _ := now()
	select {
	case <-a.seen:
	default:
		w.printer.say("%s is cancelled once jobdrop has looked at it; interrupt again to stop waiting", a.name)
		select {
		case <-a.seen:
		case <-ctx.Done():
			return false
		}
	}
	a, ended := now()
	switch {
	case ended:
		return true
	case a.repeats != "":
		w.printer.say("%s repeats attempt %s, which somebody else may wait for: it is not cancelled", a.name, a.repeats)
		return false
	}
	key := attemptIn(w.target.Inbox, a.folder, a.generation)
	if err := w.target.requestCancel(ctx, w.env, key, "jobdrop "+w.command+" was interrupted"); err != nil {
		w.printer.say("%s can't be cancelled, which takes the right to write gs://%s/requests/: %v", a.name,
			w.target.State, err)
		return false
	}
	w.printer.say("asked to cancel %s; interrupt again to stop waiting", a.name)
	return true
}

// requestCancel writes a request to cancel an attempt: docs/requests.md.
func (t *target) requestCancel(ctx context.Context, env Env, key, reason string) error {
	data, err := json.Marshal(attempt.Request{
		Kind: attempt.KindCancel, Reason: reason, By: env.Getenv("USER"), At: env.Now().UTC(),
	})
	if err != nil {
		return err
	}
	return writeRequest(ctx, t.storage, t.State, key+"/wait-"+rand.Text()+".json", data)
}

// worst are the exit codes of one attempt, the most important of several first. What somebody has to see to comes
// before what is to be asked again.
var worst = []int{
	exitInterrupted, exitFault, exitMissing, exitUsage, exitUnknown, exitFailed, exitRejected, exitTimedOut, exitCancelled,
	exitRunning, exitSucceeded,
}

// end prints the last line, and returns the error that ends the command.
func (w *waiting) end() error {
	if err := w.printer.failed(); err != nil {
		return fault(fmt.Errorf("output: %w", err))
	}
	code := exitSucceeded
	var left []string
	for i, r := range w.results {
		if slices.Index(worst, r.ExitCode) < slices.Index(worst, code) {
			code = r.ExitCode
		}
		if r.ExitCode == exitRunning || r.ExitCode == exitInterrupted {
			a := w.attempts[i]
			if a.generation != 0 {
				a.name = refTo(w.target.Inbox, a.folder, a.generation)
			}
			left = append(left, a.name)
		}
	}
	if w.output == formatJSON {
		w.print(waitLine{Kind: "end", ExitCode: &code, Attempts: w.results})
		if err := w.printer.failed(); err != nil {
			return fault(fmt.Errorf("output: %w", err))
		}
	}
	var err error
	if !w.several() {
		err = w.results[0].err
	}
	if len(left) > 0 {
		on := "to go on: " + goOn(w.targetOptions, left...)
		if err == nil {
			return exit(code, "%s", on)
		}
		return exit(code, "%w\n%s", unwrapExit(err), on)
	}
	if err != nil {
		return err
	}
	return exitWith(code)
}

// unwrapExit returns what an error says, without its exit code.
func unwrapExit(err error) error {
	if e, ok := errors.AsType[*exitError](err); ok && e.err != nil {
		return e.err
	}
	return err
}

// goOn returns the command line that waits on for attempts.
func goOn(o targetOptions, names ...string) string { return o.line("wait", names...) }
