package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// pubsubVariable names a Pub/Sub emulator, to Google's libraries too.
const pubsubVariable = "PUBSUB_EMULATOR_HOST"

// preemptAfter is long enough for a small trainer to write a checkpoint.
const preemptAfter = 10 * time.Second

// machineOptions are what the commands that run jobs on this machine share.
type machineOptions struct {
	python          string
	maxJobs         int
	maxReplicas     int
	containerRunner string
	preempt         int
	preemptAfter    time.Duration
	backend         string // empty for the default, or for what --env says
	verbose         bool
	routes          string
	pubsubEmulator  string // host:port; empty for the stack's own
}

func (o *machineOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.python, "python", "", "Python interpreter that runs the jobs (default: the first python3 of PATH)")
	f.IntVar(&o.maxJobs, "max-jobs", 0, "jobs that run at once; others are queued (default 2)")
	f.IntVar(&o.maxReplicas, "max-replicas", 0,
		"processes of all jobs at once; a job with more is refused (default: this machine's memory in units of 512 MiB)")
	f.StringVar(&o.containerRunner, "container-runner", "",
		"docker or podman, to run jobs that have an image; without it they are refused")
	f.IntVar(&o.preempt, "preempt", 0,
		"how often each job loses its machines, as spot jobs do; it runs again on others, at most six times")
	f.DurationVar(&o.preemptAfter, "preempt-after", 0, "for how long a job runs before --preempt does so (default 10s)")
	f.StringVar(&o.backend, "backend", "",
		"API by which jobs are asked for: aiplatform (ml/v1) or vertex (Vertex AI) (default \""+runBackend+"\")")
	f.StringVar(&o.routes, "routes", "",
		"the operator's routes: people are told as they say, and variables that they name as env:// are read here")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show the logs of the functions and services, on standard error")
}

// complete checks the flags and adds what the environment says.
func (o *machineOptions) complete(env Env) error {
	if o.maxJobs < 0 || o.maxReplicas < 0 {
		return errors.New("--max-jobs and --max-replicas must not be negative")
	}
	if o.preempt < 0 || o.preemptAfter < 0 {
		return errors.New("--preempt and --preempt-after must not be negative")
	}
	if o.containerRunner != "" {
		if err := oneOf("--container-runner", o.containerRunner, "docker", "podman"); err != nil {
			return err
		}
	}
	o.pubsubEmulator = env.Getenv(pubsubVariable)
	if o.backend == "" {
		return nil
	}
	return oneOf("--backend", o.backend, aiplatform.Name, vertex.Name)
}

// stackOptions returns the options of a stack that keeps its data in a folder.
func (o *machineOptions) stackOptions(env Env, data string, python training.Python) (local.Options, error) {
	self, err := os.Executable()
	if err != nil {
		return local.Options{}, err
	}
	options := local.Options{
		Dir: data, Python: python, Functions: []string{self, "functions"}, Backend: cmp.Or(o.backend, runBackend),
		MaxJobs: o.maxJobs, MaxReplicas: o.maxReplicas, ContainerRunner: o.containerRunner,
		Preemption: training.Preemption{Times: o.preempt, After: cmp.Or(o.preemptAfter, preemptAfter)}, PubSubEmulator: o.pubsubEmulator,
	}
	if o.verbose {
		options.FunctionLogs = &terminal{w: env.Err}
		options.Logger = slog.New(slog.NewTextHandler(env.Err, nil))
	}
	return options, nil
}

// findPython finds the interpreter that a flag names, or the machine's.
func findPython(ctx context.Context, flag string) (training.Python, error) {
	python, err := training.FindPython(ctx, flag)
	if ctx.Err() != nil {
		return python, interrupted()
	}
	if err != nil {
		return python, missing(err)
	}
	return python, nil
}

// unavailable returns the error of a stack's start with its exit code, and with the
// remedy if the machine is to blame. folder is the command's flag for the stack's data.
func unavailable(err error, folder string) error {
	switch {
	case errors.Is(err, local.ErrEmulator):
		return exit(exitMissing,
			"%w\nIt is named by %[2]s, perhaps by the settings of a jobdrop local that has ended: unset %[2]s "+
				"to use the built-in Pub/Sub, or start that emulator", err, pubsubVariable)
	case errors.Is(err, syscall.EADDRINUSE):
		return exit(exitMissing,
			"%w\nDoes another jobdrop local run? Choose other ports, see jobdrop local --help; 0 is any that is free", err)
	case errors.Is(err, training.ErrInUse), errors.Is(err, storage.ErrInUse):
		return exit(exitMissing, "%w\nGive each stack a folder of its own with %s", err, folder)
	}
	return fault(err)
}

// subscribe passes the lifecycle events of a stack to handle until ctx ends. It
// returns once the subscription is there; ended then gets the error that ends it.
func subscribe(
	ctx context.Context, stack *local.Stack, name string,
	handle func(ctx context.Context, e cloudevents.Event, t event.Type, body event.Body),
) (ended <-chan error, err error) {
	ready, end := make(chan struct{}), make(chan error, 1)
	go func() {
		end <- stack.Subscribe(ctx, name, func() { close(ready) }, func(ctx context.Context, e cloudevents.Event) error {
			t, body, err := event.Decode(e)
			if err != nil {
				return err
			}
			handle(ctx, e, t, body)
			return nil
		})
	}()
	select {
	case <-ready:
		return end, nil
	case err := <-end:
		return nil, fault(fmt.Errorf("lifecycle events: %w", err))
	}
}
