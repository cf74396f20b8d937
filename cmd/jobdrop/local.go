package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// The ports of jobdrop local: those that the emulators of Cloud Storage and
// Pub/Sub use by habit, and two that nothing well known uses.
const (
	storagePort   = 4443
	pubsubPort    = 8085
	trainingPort  = 8480
	functionsPort = 8481
)

// pubsubVariable names a Pub/Sub emulator, to Google's libraries too.
const pubsubVariable = "PUBSUB_EMULATOR_HOST"

// machineOptions are the flags of the commands that run jobs on this machine.
type machineOptions struct {
	python          string
	maxJobs         int
	maxReplicas     int
	containerRunner string
	trainer         string
	verbose         bool
}

func (o *machineOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.python, "python", "", "Python interpreter that runs the jobs (default: the first python3 of PATH)")
	f.IntVar(&o.maxJobs, "max-jobs", 0, "jobs that run at once; others are queued (default 2)")
	f.IntVar(&o.maxReplicas, "max-replicas", 0, "processes of all jobs at once; a job with more is refused (default: this machine's memory in units of 512 MiB)")
	f.StringVar(&o.containerRunner, "container-runner", "", "docker or podman, to run jobs that have an image; without it they are refused")
	f.StringVar(&o.trainer, "trainer", aiplatform.Name, "API by which jobs are asked for: aiplatform (ml/v1) or vertex (Vertex AI)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show the logs of the functions and services, on standard error")
}

func (o *machineOptions) check() error {
	if o.maxJobs < 0 || o.maxReplicas < 0 {
		return errors.New("--max-jobs and --max-replicas must not be negative")
	}
	if r := o.containerRunner; r != "" && r != "docker" && r != "podman" {
		return fmt.Errorf("--container-runner is %q, must be docker or podman", r)
	}
	if t := o.trainer; t != aiplatform.Name && t != vertex.Name {
		return fmt.Errorf("--trainer is %q, must be %s or %s", t, aiplatform.Name, vertex.Name)
	}
	return nil
}

// stack gives the options of a stack on a folder of data.
func (o *machineOptions) stack(data string, python training.Python, stderr io.Writer) (local.Options, error) {
	self, err := os.Executable()
	if err != nil {
		return local.Options{}, err
	}
	options := local.Options{
		Dir: data, Python: python, Functions: []string{self, "functions"}, Trainer: o.trainer,
		MaxJobs: o.maxJobs, MaxReplicas: o.maxReplicas, ContainerRunner: o.containerRunner,
		PubSubEmulator: os.Getenv(pubsubVariable),
	}
	if o.verbose {
		options.FunctionLogs = &terminal{w: stderr}
		options.Logger = slog.New(slog.NewTextHandler(stderr, nil))
	}
	return options, nil
}

// unavailable gives an error of a stack's start its exit code, with the remedy
// where the machine is to blame.
func unavailable(err error) error {
	switch {
	case errors.Is(err, local.ErrEmulator):
		return exit(exitMissing, "%w\nIt is named by %s: start it, or unset the variable to use the built-in Pub/Sub", err, pubsubVariable)
	case local.PortTaken(err):
		return exit(exitMissing, "%w\nDoes another jobdrop local run? Choose other ports, see jobdrop local --help; 0 is any that is free", err)
	case errors.Is(err, training.ErrInUse), errors.Is(err, storage.ErrInUse):
		return exit(exitMissing, "%w\nGive each stack a folder of its own with --data", err)
	}
	return fault(err)
}

// localOptions are the flags of jobdrop local.
type localOptions struct {
	machineOptions
	data, policy                         string
	host                                 string
	allowRemote                          bool
	storage, pubsub, training, functions uint16
	envFile                              string
	env                                  string
	loseEvents                           float64
}

func localCommand() *cobra.Command {
	var o localOptions
	c := &cobra.Command{
		Use:   "local",
		Short: "Run a small cloud on this machine, for any client",
		Long: `Run a small cloud on this machine until it is told to stop: Cloud Storage,
Pub/Sub, the training service (ml/v1) with its logs, and jobdrop's functions,
each over its real protocol. Whatever speaks to Google's services can drop
packages into it and subscribe to its events; it prints the settings.

Objects, jobs and logs are kept in the folder --data and are there after a
restart. Messages, topics and subscriptions are not. Where PUBSUB_EMULATOR_HOST
is set, that emulator is used for Pub/Sub.

Whoever reaches it runs programs as you: it listens on this machine only, unless
you say --allow-remote.`,
		Example: `  jobdrop local
  jobdrop local --data /tmp/cloud --env-file /tmp/cloud.env &
  jobdrop local --lose-events=0.3 --max-jobs 4`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return runLocal(c.Context(), o, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := c.Flags()
	o.flags(f)
	f.StringVar(&o.data, "data", "", "folder of objects, jobs and logs (default: jobdrop in $XDG_DATA_HOME or ~/.local/share)")
	f.StringVar(&o.policy, "policy", "", "the operator's policy, in place of that of an installation without one")
	f.StringVar(&o.env, "env", "", "file with the environment of an installation's functions, as deploy/env makes it: have its names and settings here")
	f.StringVar(&o.host, "host", "127.0.0.1", "address to listen on")
	f.BoolVar(&o.allowRemote, "allow-remote", false, "allow a --host that other machines can reach")
	f.Uint16Var(&o.storage, "storage-port", storagePort, "port of Cloud Storage; 0 is any free one")
	f.Uint16Var(&o.pubsub, "pubsub-port", pubsubPort, "port of Pub/Sub; 0 is any free one")
	f.Uint16Var(&o.training, "training-port", trainingPort, "port of the training service; 0 is any free one")
	f.Uint16Var(&o.functions, "functions-port", functionsPort, "port of the functions, on loopback; 0 is any free one")
	f.StringVar(&o.envFile, "env-file", "", "write the clients' settings to this file as NAME=value, once the stack is ready")
	f.Float64Var(&o.loseEvents, "lose-events", 0, "lose this share of the storage events, 0 to 1; all of them where no share is given")
	f.Lookup("lose-events").NoOptDefVal = "1"
	return c
}

func (o *localOptions) check() error {
	if err := o.machineOptions.check(); err != nil {
		return err
	}
	if !(o.loseEvents >= 0 && o.loseEvents <= 1) {
		return fmt.Errorf("--lose-events is %v, must be from 0 to 1", o.loseEvents)
	}
	if ip := net.ParseIP(o.host); ip == nil {
		return fmt.Errorf("--host is %q, must be an IP address", o.host)
	} else if !ip.IsLoopback() && !o.allowRemote {
		return fmt.Errorf("--host %s can be reached by other machines, and whoever reaches the stack runs programs as you: add --allow-remote if that is what you want", o.host)
	}
	return nil
}

// dataDir is the folder of the stack's data.
func (o *localOptions) dataDir() (string, error) {
	if o.data != "" {
		return filepath.Abs(o.data)
	}
	if share := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(share) {
		return filepath.Join(share, "jobdrop"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the data: %w; name one with --data", err)
	}
	return filepath.Join(home, ".local", "share", "jobdrop"), nil
}

func (o *localOptions) address(port uint16) string {
	return net.JoinHostPort(o.host, strconv.Itoa(int(port)))
}

func runLocal(ctx context.Context, o localOptions, stdout, stderr io.Writer) (err error) {
	data, err := o.dataDir()
	if err != nil {
		return err
	}
	python, err := findPython(ctx, o.python)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return &exitError{code: exitMissing, err: err}
	}
	options, err := o.stack(data, python, stderr)
	if err != nil {
		return fault(err)
	}
	if o.policy != "" {
		if options.Policy, err = readLocal(o.policy); err != nil {
			return err
		}
		if _, err := parsePolicy(o.policy, options.Policy); err != nil {
			return faulty(stderr, err)
		}
	}
	if o.env != "" {
		if err := o.like(&options, stderr); err != nil {
			return err
		}
	}
	options.LoseEvents = o.loseEvents
	if own := o.address(o.pubsub); options.PubSubEmulator == own && !answers(ctx, own) {
		options.PubSubEmulator = "" // the setting of an earlier jobdrop local
	}
	options.Listen = local.Addresses{
		Storage: o.address(o.storage), PubSub: o.address(o.pubsub), Training: o.address(o.training),
		Functions: net.JoinHostPort("127.0.0.1", strconv.Itoa(int(o.functions))),
	}
	if o.allowRemote {
		options.Hosts = remoteHosts(o.host)
	}
	p := newPrinter(stdout, stderr, false)
	options.Failing = func(err error) { p.say("Submit does not take an event, which is tried on: %v", err) }
	stack, err := local.Start(ctx, options)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return unavailable(err)
	}
	defer endInTime(ctx)()
	defer func() { err = errors.Join(err, fault(stack.Close())) }()
	// That of a time before is of no use; that of a stack that runs is not ours
	// to remove, and its ports and folder are taken.
	if o.envFile != "" {
		if err := os.Remove(o.envFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return &exitError{code: exitMissing, err: err}
		}
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- stack.Subscribe(following, subscriptionOf(data), func() { close(ready) }, func(_ context.Context, e cloudevents.Event) error {
			t, body, err := event.Decode(e)
			if err == nil {
				p.told(t, body)
			}
			return err
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		if ctx.Err() != nil {
			return nil
		}
		return fault(fmt.Errorf("lifecycle events: %w", err))
	}
	p.settings(stack, data, o.allowRemote)
	if o.envFile != "" {
		if err := writeEnv(o.envFile, stack.ClientEnv()); err != nil {
			return &exitError{code: exitMissing, err: err}
		}
	}
	select {
	case <-ctx.Done():
		p.say("stopping; jobs that run are ended")
		stop()
		return fault(<-ended)
	case err := <-ended:
		return fault(fmt.Errorf("lifecycle events ended: %w", err))
	case <-p.broken:
		return fault(fmt.Errorf("output: %w", p.failed()))
	}
}

// subscriptionOf names the stack's own subscription by its folder: the next stack
// on it finds what a killed one left on an emulator.
func subscriptionOf(data string) string {
	sum := sha256.Sum256([]byte(data))
	return "jobdrop-local-" + hex.EncodeToString(sum[:6])
}

// answers tells whether someone listens at an address of this machine.
func answers(ctx context.Context, address string) bool {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// remoteHosts are the names by which other machines may address the stack.
func remoteHosts(host string) []string {
	hosts := []string{host}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	addresses, _ := net.InterfaceAddrs() // the host's own remains
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			hosts = append(hosts, n.IP.String())
		}
	}
	return hosts
}

// writeEnv writes the file at once, for those who wait for it: lines that a shell
// can read, and without a space in a path other tools too.
func writeEnv(file string, env []string) error {
	temporary := file + ".new"
	if err := os.WriteFile(temporary, []byte(envfile.Format(env)), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}
