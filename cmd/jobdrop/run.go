package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// runOptions are the flags of jobdrop run.
type runOptions struct {
	machineOptions
	events string
	keep   string
	output string
}

func runCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run DIR",
		Short: "Run a drop on this machine, from the bucket to its verdict",
		Long: `Run a drop on this machine. DIR holds a job file and its packages. A stack is
started (Cloud Storage, Pub/Sub, the training service and jobdrop's functions,
each over its real protocol), DIR is dropped into its inbox, the job runs as a
Python process, and its events and logs are shown as they come.

Exit codes: 0 the job succeeded, 1 it failed, was cancelled or timed out, 2 the
drop was rejected or is incomplete, 64 wrong usage, 69 this machine lacks
something, 70 jobdrop's own fault.`,
		Example: `  jobdrop run testdata/drops/hello
  jobdrop run my-drop --events json | jq -r .type
  jobdrop run my-drop --python /usr/bin/python3 --keep /tmp/stack`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.events != "text" && o.events != "json" {
				return fmt.Errorf("--events is %q, must be text or json", o.events)
			}
			if err := o.check(); err != nil {
				return err
			}
			return runDrop(c.Context(), args[0], o, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&o.events, "events", "text", "json prints the CloudEvents, one JSON a line, and nothing else on standard output")
	c.Flags().StringVar(&o.keep, "keep", "", "keep the stack's data (objects, records, jobs, logs) in this folder")
	c.Flags().StringVar(&o.output, "output", "", "copy what the job left in its job directory to this folder")
	o.flags(c.Flags())
	return c
}

// tick is how often the run's scheduler wakes Watch: often, as someone waits.
const tick = 250 * time.Millisecond

// incompleteAfter is the run's patience with missing packages: all files are
// uploaded at once here, so what is missing will not come.
const incompleteAfter = 2 * time.Second

func runDrop(ctx context.Context, dir string, o runOptions, stdout, stderr io.Writer) (err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder: name the folder that holds the job file and its packages", dir)
	}
	python, err := findPython(ctx, o.python)
	if err != nil {
		return err
	}
	d, err := localDrop(dir, inbox, "")
	if err != nil {
		return err
	}
	if len(d.JobFiles) == 0 {
		return exit(exitRejected, "%s is incomplete: it holds no job file (job.yaml, job.yml or job.json)", dir)
	}
	data := o.keep
	if data == "" {
		if data, err = os.MkdirTemp("", "jobdrop-run-"); err != nil {
			return &exitError{code: exitFault, err: err}
		}
		defer func() { err = errors.Join(err, fault(os.RemoveAll(data))) }()
	}
	p := newPrinter(stdout, stderr, o.events == "json")
	failing := make(chan error, 1)
	stack, err := startStack(ctx, data, python, o, p, stderr, failing)
	if err != nil {
		if ctx.Err() != nil {
			return interrupted()
		}
		return unavailable(err)
	}
	defer endInTime(ctx)()
	err = dropAndFollow(ctx, stack, dir, d, o, p, failing)
	err = errors.Join(err, fault(stack.Close()))
	if err == nil {
		err = fault(p.failed())
	}
	return err
}

// findPython finds the interpreter that a flag names, or the machine's.
func findPython(ctx context.Context, flag string) (training.Python, error) {
	python, err := training.FindPython(ctx, flag)
	if ctx.Err() != nil {
		return python, interrupted()
	}
	if err != nil {
		return python, &exitError{code: exitMissing, err: err}
	}
	return python, nil
}

// endInTime bounds the end of an interrupted run. That takes the grace which a
// job's processes have; further signals do not cut it short, as they would leave
// processes behind. The result calls it off.
func endInTime(ctx context.Context) (stop func()) {
	const most = 20 * time.Second
	done := make(chan struct{})
	context.AfterFunc(ctx, func() {
		select {
		case <-done:
		case <-time.After(most):
			fmt.Fprintf(os.Stderr, "jobdrop: not ended after %s\n", most)
			os.Exit(exitFault)
		}
	})
	return func() { close(done) }
}

// fault gives an error of the stack's own the exit code of one.
func fault(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitFault, err: err}
}

func startStack(ctx context.Context, data string, python training.Python, o runOptions, p *printer, stderr io.Writer, failing chan<- error) (*local.Stack, error) {
	options, err := o.stack(data, python, stderr)
	if err != nil {
		return nil, err
	}
	options.Tick = tick
	options.OwnTopic = true // the emulator, if one is named, may be others' too
	options.Env = []string{"JOBDROP_INCOMPLETE_AFTER=" + incompleteAfter.String()}
	options.Logs = p.log
	options.Failing = func(err error) {
		select {
		case failing <- err:
		default: // told of another already
		}
	}
	return local.Start(ctx, options)
}

// dropAndFollow uploads the drop and follows it to its verdict.
func dropAndFollow(ctx context.Context, stack *local.Stack, dir string, d job.Drop, o runOptions, p *printer, failing <-chan error) error {
	jobDir := prepareJobDir(stack, dir, d, p)
	following, stop := context.WithCancel(ctx)
	defer stop()
	verdict := make(chan event.Body, 1)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- stack.Subscribe(following, "run-"+fmt.Sprint(os.Getpid()), func() { close(ready) }, func(ctx context.Context, e cloudevents.Event) error {
			t, body, err := event.Decode(e)
			if err != nil {
				return err
			}
			if !p.event(ctx, e, t, body) {
				return nil
			}
			if body.State.Terminal() || t == event.DropIncomplete {
				select {
				case verdict <- body:
				default: // a repeat
				}
			}
			return nil
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		return fault(fmt.Errorf("lifecycle events: %w", err))
	}
	p.say("dropping %s into gs://%s/%s", dir, local.Inbox, d.Folder)
	var jobFile job.Object
	for _, file := range append(d.Packages, d.JobFiles...) {
		generation, err := upload(ctx, stack, filepath.Join(dir, file.Base()), file.Name)
		if ctx.Err() != nil {
			return interrupted()
		}
		if err != nil {
			return fault(err)
		}
		jobFile = job.Object{Bucket: local.Inbox, Name: file.Name, Generation: generation}
	}
	p.follow(job.AttemptKey(jobFile))
	waiting := time.NewTicker(time.Second)
	defer waiting.Stop()
	for {
		select {
		case body := <-verdict:
			if body.State.Terminal() {
				awaitClosed(ctx, stack, body.Attempt)
			}
			ending := conclude(p, body)
			if body.Times.Started.IsZero() {
				return ending // no program ran that could have left something
			}
			if err := outputs(ctx, stack.Storage, jobDir, o.output, p); err != nil {
				p.say("%v", err)
				ending = cmp.Or(ending, error(&exitError{code: exitFault}))
			}
			return ending
		case err := <-failing:
			if p.started() {
				continue // the drop was taken: some later delivery has trouble
			}
			return fault(fmt.Errorf("the functions can't take the drop: %w", err))
		case <-p.broken:
			return fault(fmt.Errorf("output: %w; the job, if it ran, was ended", p.failed()))
		case err := <-ended:
			if ctx.Err() != nil {
				return interrupted()
			}
			return fault(fmt.Errorf("lifecycle events ended: %w", err))
		case <-waiting.C:
			p.waits(ctx, stack, d.Folder)
		case <-ctx.Done():
			return interrupted()
		}
	}
}

// awaitClosed waits until everything of an attempt is written: its verdict is
// published before its status.json. What it waits for is no part of the verdict,
// so it gives up silently.
func awaitClosed(ctx context.Context, stack *local.Stack, attempt string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if _, err := stack.Storage.Stat(ctx, local.State, "open/"+attempt); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
	}
}

// interrupted ends a run that someone stopped: the stack's end is the job's.
func interrupted() error { return exit(exitFailed, "interrupted: the job, if it ran, was ended") }

// prepareJobDir makes the bucket of the job file's job directory: in the cloud
// it would be there. It gives the directory, or nothing.
func prepareJobDir(stack *local.Stack, dir string, d job.Drop, p *printer) string {
	jobFile, _ := d.JobFile()
	data, err := readLocal(filepath.Join(dir, jobFile.Base()))
	if err != nil {
		return "" // Submit will say what is wrong
	}
	r := inspect.File(d, jobFile.Base(), data, policy.Policy{})
	bucket := r.OutputBucket()
	if job.HasErrors(r.Violations) || bucket == "" {
		return ""
	}
	if err := stack.CreateBucket(bucket); err != nil {
		p.say("the bucket of the job directory can't be made: %v", err)
	}
	return r.Spec.TrainingInput.JobDir
}

func upload(ctx context.Context, stack *local.Stack, path, name string) (generation int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return stack.Storage.Upload(ctx, local.Inbox, name, f, nil)
}

// conclude says what became of the drop, and gives the exit code of it.
func conclude(p *printer, body event.Body) error {
	switch body.State {
	case job.Succeeded:
		p.say("succeeded%s", p.took(body))
		return nil
	case job.Failed, job.Cancelled, job.TimedOut, job.Lost:
		p.say("%s%s", strings.ReplaceAll(string(body.State), "_", " "), p.took(body))
		return &exitError{code: exitFailed}
	case job.Waiting:
		p.say("incomplete: missing %s", strings.Join(body.Drop.Missing, ", "))
	default:
		p.say("%s: %s; nothing was submitted", body.State, body.Reason)
	}
	return &exitError{code: exitRejected}
}
