package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// runOptions are what jobdrop run is asked for.
type runOptions struct {
	machineOptions
	dir    string
	events string
	keep   string
	output string
}

func newRun(env Env, run func(context.Context, Env, runOptions) error) *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run DIR",
		Short: "Run a drop on this machine, from the bucket to its verdict",
		Long: `Run a drop on this machine. DIR holds a job file and its packages. A stack is
started (Cloud Storage, Pub/Sub, the training service and jobdrop's functions,
each over its real protocol), DIR is dropped into its inbox, the job runs as a
Python process, and its events and logs are shown as they come.

Exit codes: 0 the job succeeded, 1 it failed, 2 the drop was rejected or is
incomplete, 3 the job was cancelled or the drop withdrawn, 4 the job timed out
or was lost, or the drop expired, 64 wrong usage, 69 this machine lacks
something, 70 jobdrop's own fault, 130 interrupted: the job, if it ran, was
ended.`,
		Example: `  jobdrop run testdata/drops/hello
  jobdrop run my-drop --events json | jq -r .type
  jobdrop run my-drop --python /usr/bin/python3 --keep /tmp/stack`,
		Args: takes("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("--events", o.events, formatText, formatJSON); err != nil {
				return err
			}
			if err := o.complete(env); err != nil {
				return err
			}
			o.dir = args[0]
			return run(c.Context(), env, o)
		},
	}
	c.Flags().StringVar(&o.events, "events", formatText,
		"json prints the CloudEvents, one JSON a line, and nothing else on standard output")
	c.Flags().StringVar(&o.keep, "keep", "", "keep the stack's data (objects, records, jobs, logs) in this folder")
	c.Flags().StringVar(&o.output, "output", "", "copy what the job left in its job directory to this folder")
	o.flags(c.Flags())
	return c
}

const (
	// tick is how often the run's scheduler wakes Watch: often, as someone waits.
	tick = 250 * time.Millisecond
	// incompleteAfter is the run's patience with missing packages: all files are
	// uploaded at once here, so what is missing will not come.
	incompleteAfter = 2 * time.Second
)

// What to do about a folder of the stack's data that can't be written.
const (
	remedyOfKeep = "name another folder with --keep"
	remedyOfTemp = "name a folder with --keep, or another one in the variable TMPDIR"
)

func runDrop(ctx context.Context, env Env, o runOptions) error {
	return endInTime(ctx, func() error { return runInStack(ctx, env, o) })
}

// runInStack runs the drop in a stack that lives as long as the run.
func runInStack(ctx context.Context, env Env, o runOptions) (err error) {
	info, err := os.Stat(o.dir)
	if err != nil {
		return fmt.Errorf("DIR is %s: %w", o.dir, unwrapPath(err))
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder: name the folder that holds the job file and its packages", o.dir)
	}
	if err := o.room(); err != nil {
		return err
	}
	told, err := o.readRoutes(env)
	if err != nil {
		return err
	}
	python, err := findPython(ctx, o.python)
	if err != nil {
		return err
	}
	d, err := localDrop(o.dir, inbox, "")
	if err != nil {
		return err
	}
	if len(d.JobFiles) == 0 {
		return exit(exitRejected, "%s", strings.Join(append([]string{
			o.dir + " is incomplete: it holds no job file (job.yaml, job.yml or job.json)",
		}, inspect.NearJobFile(namesIn(o.dir))...), "; "))
	}
	data := o.keep
	if data == "" {
		if data, err = os.MkdirTemp("", "jobdrop-run-"); err != nil {
			return missing(err)
		}
		defer func() { err = errors.Join(err, fault(os.RemoveAll(data))) }()
	}
	s := &session{
		runOptions: o, told: told, drop: d, printer: newPrinter(env, o.events),
		refused: make(chan error, 1), verdict: make(chan event.Body, 1), full: make(chan string, 1),
	}
	if err := s.start(ctx, env, data, python); err != nil {
		if ctx.Err() != nil {
			return interrupted()
		}
		return unavailable(err, "--keep")
	}
	err = s.run(ctx)
	err = errors.Join(err, fault(s.stack.Close()))
	if err == nil {
		err = fault(s.printer.failed())
	}
	return err
}

// room returns an error if the folders that the run writes can't be written.
func (o runOptions) room() error {
	if o.output != "" {
		if err := room(o.output, "name another folder with --output"); err != nil {
			return err
		}
	}
	if o.keep != "" {
		return room(o.keep, remedyOfKeep)
	}
	return room(os.TempDir(), remedyOfTemp)
}

// session is a run of one drop.
type session struct {
	runOptions
	told    tellOptions
	drop    job.Drop
	printer *printer
	stack   *local.Stack
	refused chan error      // a delivery that the functions refused; further ones are not kept
	verdict chan event.Body // what became of the drop; repeats are not kept
	full    chan string     // the folder that a full disk does not let be written
}

// start starts the stack, with its data in a folder.
func (s *session) start(ctx context.Context, env Env, data string, python training.Python) error {
	options, err := s.stackOptions(env, data, python)
	if err != nil {
		return err
	}
	s.told.apply(&options, s.printer.say)
	options.Tick = tick
	options.OwnTopic = true // the emulator, if one is named, may be others' too
	options.Env = []string{"JOBDROP_INCOMPLETE_AFTER=" + incompleteAfter.String()}
	options.Logs = s.printer.log
	options.Full = func(dir string) { s.full <- dir }
	options.Failing = func(err error) {
		select {
		case s.refused <- err:
		default:
		}
	}
	s.stack, err = local.Start(ctx, options)
	return err
}

// run drops the folder into the inbox and follows it to its verdict.
func (s *session) run(ctx context.Context) error {
	jobDir := s.prepareJobDir()
	if s.events == formatText {
		s.printer.hold()
		defer s.printer.release(0)
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	ended, err := subscribe(following, s.stack, "run-"+fmt.Sprint(os.Getpid()), s.handle)
	if err != nil {
		return err
	}
	attempt, err := s.upload(ctx)
	if ctx.Err() != nil {
		return interrupted()
	}
	if err != nil {
		return fault(err)
	}
	if s.events == formatText {
		page, closeConsole, err := stackConsole(ctx, envLookup(s.stack.ClientEnv()), "127.0.0.1:0", nil, nil)
		if err != nil {
			return fault(err)
		}
		defer func() { _ = closeConsole() }() // nobody follows it any more
		s.printer.say("in the browser, while it runs: %s", page)
	}
	s.printer.follow(attempt)
	waiting := time.NewTicker(time.Second)
	defer waiting.Stop()
	for {
		select {
		case dir := <-s.full:
			return s.noRoom(dir)
		case body := <-s.verdict:
			select {
			case dir := <-s.full: // which is why it failed
				return s.noRoom(dir)
			default:
			}
			return s.conclude(ctx, body, jobDir)
		case err := <-s.refused:
			if s.printer.started() {
				continue // the drop was taken: some later delivery has trouble
			}
			return fault(fmt.Errorf("the functions can't take the drop: %w", err))
		case <-s.printer.broken:
			return fault(fmt.Errorf("output: %w; the job, if it ran, was ended", s.printer.failed()))
		case err := <-ended:
			if ctx.Err() != nil {
				return interrupted()
			}
			return fault(fmt.Errorf("lifecycle events ended: %w", err))
		case <-waiting.C:
			s.printer.waits(ctx, s.stack, s.drop.Folder)
			s.printer.release(longestHold)
		case <-ctx.Done():
			return interrupted()
		}
	}
}

// noRoom is the end of a run whose disk is full.
func (s *session) noRoom(dir string) error {
	s.printer.release(0)
	remedy := remedyOfTemp
	if s.keep != "" {
		remedy = remedyOfKeep
	}
	return missing(fmt.Errorf("the disk of %s is full, and the job was ended\nMake room there, or %s", dir, remedy))
}

// handle prints an event of the drop, and keeps its verdict.
func (s *session) handle(ctx context.Context, e cloudevents.Event, t event.Type, body event.Body) {
	if !s.printer.event(ctx, e, t, body) {
		return
	}
	if body.State.Terminal() || t == event.DropIncomplete {
		select {
		case s.verdict <- body:
		default:
		}
	}
}

// prepareJobDir makes the bucket of the job file's job directory, which would be
// there in the cloud. It returns the directory, or nothing.
func (s *session) prepareJobDir() string {
	jobFile, _ := s.drop.JobFile()
	data, err := readLocal(filepath.Join(s.dir, jobFile.Base()))
	if err != nil {
		return "" // Submit will say what is wrong
	}
	r := inspect.File(s.drop, jobFile.Base(), data, policy.Policy{})
	bucket := r.OutputBucket()
	if job.HasErrors(r.Violations) || bucket == "" {
		return ""
	}
	if err := s.stack.CreateBucket(bucket); err != nil {
		s.printer.say("the bucket of the job directory can't be made: %v", err)
	}
	return r.Spec.TrainingInput.JobDir
}

// upload uploads the packages, then the job files. It returns the key of the
// attempt.
func (s *session) upload(ctx context.Context) (attempt string, err error) {
	s.printer.say("dropping %s into gs://%s/%s", s.dir, local.Inbox, s.drop.Folder)
	var last job.Object
	for _, file := range append(s.drop.Packages, s.drop.JobFiles...) {
		generation, err := upload(ctx, s.stack, filepath.Join(s.dir, file.Base()), file.Name)
		if err != nil {
			return "", err
		}
		last = job.Object{Bucket: local.Inbox, Name: file.Name, Generation: generation}
	}
	return job.AttemptKey(last), nil
}

func upload(ctx context.Context, stack *local.Stack, path, name string) (generation int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return stack.Storage.Upload(ctx, local.Inbox, name, f, nil)
}

// conclude says what became of the drop, copies what its job left, and returns an
// error with the exit code.
func (s *session) conclude(ctx context.Context, body event.Body, jobDir string) error {
	if body.State.Terminal() {
		s.awaitClosed(ctx, body.Attempt)
	}
	if s.routes != "" {
		s.awaitNotified(ctx, body)
	}
	ending := s.summarize(body)
	if body.Times.Started.IsZero() {
		return ending // no program ran that could have left something
	}
	if err := outputs(ctx, s.stack.Storage, jobDir, s.output, s.printer); err != nil {
		s.printer.say("%v", err)
		code := exitFault
		if errors.Is(err, errFolder) {
			code = exitMissing
		}
		ending = cmp.Or(ending, error(&exitError{code: code}))
	}
	return ending
}

// awaitClosed waits until everything of an attempt is written: its verdict is
// published before its status.json. What it waits for does not change the verdict,
// so it gives up silently.
func (s *session) awaitClosed(ctx context.Context, attempt string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if _, err := s.stack.Storage.Stat(ctx, local.State, "open/"+attempt); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
	}
}

// notifyTime is how long a run waits for its last messages: a send takes up to 15 seconds.
const notifyTime = 20 * time.Second

// awaitNotified waits until everybody who is to hear of the drop has, and says who has not. The stack ends with the
// run, so a message whose next try comes later than the wait ends is not waited for.
func (s *session) awaitNotified(ctx context.Context, body event.Body) {
	records, err := notifier.New(s.stack.Storage, local.State,
		func(context.Context) (*routes.File, error) { return nil, nil }, sendsNothing,
		notifier.Options{Instance: local.Instance, Now: time.Now, Nonce: rand.Text, Budget: time.Minute, Parallel: 1})
	if err != nil {
		s.printer.say("who was told is not known: %v", err)
		return
	}
	end := time.Now().Add(notifyTime)
	reading := ctx
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		taken := s.stack.Notified(body.Attempt) >= body.Sequence
		left, err := waitingOf(reading, records, body.Attempt)
		if err == nil && taken && !dueBy(left, end) {
			s.sayUntold(reading, records, body.Attempt, left)
			return
		}
		select {
		case <-ctx.Done():
			if !taken {
				s.printer.say("Notify did not take the last event within %s: with --verbose, its log says why", notifyTime)
			}
			s.sayUntold(reading, records, body.Attempt, left)
			return
		case <-poll.C:
		}
	}
}

// waitingOf returns which messages of an attempt wait.
func waitingOf(ctx context.Context, n *notifier.Notifier, attempt string) (left []notifier.Waits, err error) {
	err = n.Waiting(ctx, func(w notifier.Waits) error {
		if w.Attempt == attempt {
			left = append(left, w)
		}
		return nil
	})
	return left, err
}

// dueBy reports whether a message is to be sent by a time.
func dueBy(left []notifier.Waits, end time.Time) bool {
	return slices.ContainsFunc(left, func(w notifier.Waits) bool { return w.Next.Before(end) })
}

// sayUntold says which destinations were not told of an event of an attempt, and why.
func (s *session) sayUntold(ctx context.Context, n *notifier.Notifier, attempt string, left []notifier.Waits) {
	accounts, err := n.Explain(ctx, attempt)
	if err != nil {
		s.printer.say("who was told is not known: %v", err)
	}
	why := map[string][]string{}
	for _, a := range accounts {
		for _, t := range a.Told {
			if t.How == delivery.GaveUp {
				why[a.Destination] = append(why[a.Destination], t.Note)
			}
		}
	}
	for _, w := range left {
		why[w.Destination] = append(why[w.Destination], cmp.Or(w.Error, "no answer yet"))
	}
	for _, name := range slices.Sorted(maps.Keys(why)) {
		to := name
		if d, ok := s.told.file.Destination(name); ok {
			to = fmt.Sprintf("%s (%s)", name, d.Kind())
		}
		slices.Sort(why[name])
		s.printer.say("not told: %s: %s", to, strings.Join(slices.Compact(why[name]), "; "))
	}
}

// summarize prints what became of the drop, and returns an error with the exit code.
func (s *session) summarize(body event.Body) error {
	if body.State == job.Waiting {
		s.printer.verdict(body.State, "incomplete", strings.Join(append([]string{because(body)}, s.near(body)...), "; "))
		return &exitError{code: exitRejected} // what is missing does not come
	}
	s.printer.ended(body)
	return exitWith(exitOf(body.State))
}

// near says what lies in the folder and nearly fits what is missing, unless the reason
// says it: Submit sees only what was uploaded, which is what jobdrop takes.
func (s *session) near(b event.Body) []string {
	return slices.DeleteFunc(inspect.Near(b.Drop.Missing, namesIn(s.dir)), func(hint string) bool {
		return strings.Contains(b.Reason, hint)
	})
}

// because returns ": " and an attempt's reason, or nothing if it has none.
func because(b event.Body) string {
	if b.Reason == "" {
		return ""
	}
	return ": " + b.Reason
}
