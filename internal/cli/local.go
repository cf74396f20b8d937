package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// localOptions are what jobdrop local is asked for.
type localOptions struct {
	machineOptions
	data        string // absolute
	policy      string
	host        string
	allowRemote bool
	ports       ports
	envFile     string
	env         string
	loseEvents  float64
	faults      string
}

// ports are those of the stack's services; 0 is any free one.
type ports struct{ storage, pubsub, training, functions, console uint16 }

func newLocal(env Env, run func(context.Context, Env, localOptions) error) *cobra.Command {
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
			if err := o.complete(env); err != nil {
				return err
			}
			return run(c.Context(), env, o)
		},
	}
	f := c.Flags()
	o.flags(f)
	f.StringVar(&o.data, "data", "",
		"folder of objects, jobs and logs (default: jobdrop in $XDG_DATA_HOME or ~/.local/share)")
	f.StringVar(&o.policy, "policy", "", "the operator's policy, in place of that of an installation without one")
	f.StringVar(&o.env, "env", "",
		"file with the environment of an installation's functions, as deploy/env makes it: have its names and settings here")
	f.StringVar(&o.host, "host", "127.0.0.1", "address to listen on")
	f.BoolVar(&o.allowRemote, "allow-remote", false, "allow a --host that other machines can reach")
	f.Uint16Var(&o.ports.storage, "storage-port", storagePort, "port of Cloud Storage; 0 is any free one")
	f.Uint16Var(&o.ports.pubsub, "pubsub-port", pubsubPort, "port of Pub/Sub; 0 is any free one")
	f.Uint16Var(&o.ports.training, "training-port", trainingPort, "port of the training service; 0 is any free one")
	f.Uint16Var(&o.ports.functions, "functions-port", functionsPort,
		"port of the functions, on loopback; 0 is any free one")
	f.Uint16Var(&o.ports.console, "console-port", consolePort,
		"port of the console; 0 is any free one, and so is the default if that is taken")
	f.StringVar(&o.envFile, "env-file", "",
		"write the clients' settings to this file as NAME=value, once the stack is ready; it is removed when the stack ends")
	f.Float64Var(&o.loseEvents, "lose-events", 0,
		"lose this share of the storage events, 0 to 1; all of them where no share is given")
	f.Lookup("lose-events").NoOptDefVal = "1"
	f.StringVar(&o.faults, "faults", "", "file that says which calls of Cloud Storage fail, and how: see docs/local.md")
	return c
}

// complete checks the flags and adds what the environment says.
func (o *localOptions) complete(env Env) error {
	if err := o.machineOptions.complete(env); err != nil {
		return err
	}
	if !(o.loseEvents >= 0 && o.loseEvents <= 1) {
		return fmt.Errorf("--lose-events is %v, must be from 0 to 1", o.loseEvents)
	}
	if ip := net.ParseIP(o.host); ip == nil {
		return fmt.Errorf("--host is %q, must be an IP address", o.host)
	} else if !ip.IsLoopback() && !o.allowRemote {
		return fmt.Errorf("--host %s can be reached by other machines, and whoever reaches the stack "+
			"runs programs as you: add --allow-remote if that is what you want", o.host)
	}
	var err error
	o.data, err = dataDir(o.data, env)
	return err
}

// dataDir returns the folder of the stack's data, given the flag that names it.
func dataDir(flag string, env Env) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	if share := env.Getenv("XDG_DATA_HOME"); filepath.IsAbs(share) {
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

func runLocal(ctx context.Context, env Env, o localOptions) error {
	return endInTime(ctx, func() error { return serveStack(ctx, env, o) })
}

// serveStack starts a stack and serves it until ctx ends. Whoever interrupts the
// start has what they want: that is not an error.
func serveStack(ctx context.Context, env Env, o localOptions) (err error) {
	python, err := findPython(ctx, o.python)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	// A stack that was killed has left its file, and scripts wait for the new one.
	if err := o.removeStaleEnvFile(ctx); err != nil {
		return err
	}
	if err := o.roomForEnvFile(); err != nil {
		return err
	}
	told, err := o.readRoutes(env)
	if err != nil {
		return err
	}
	options, err := o.configure(ctx, env, python)
	if err != nil {
		return err
	}
	p := newPrinter(env, formatText)
	told.apply(&options, p.say)
	following, stop := context.WithCancel(ctx)
	defer stop()
	var ended <-chan error
	options.Started = func(ctx context.Context, stack *local.Stack) (err error) {
		show := func(ctx context.Context, _ cloudevents.Event, t event.Type, body event.Body) { p.told(ctx, t, body) }
		ended, err = subscribe(following, stack, subscriptionOf(o.data), show)
		return err
	}
	options.Status = func(body event.Body) { p.status(following, body) }
	options.Alone = func(folder string, names []string) {
		p.alone(following, cmp.Or(options.Names.Inbox, local.Inbox), folder, names)
	}
	options.Full = func(dir string) { p.say("the disk of %s is full: make room there, or jobs fail", dir) }
	options.Failing = func(err error) { p.say("Submit does not take an event, which is tried on: %v", err) }
	stack, err := local.Start(ctx, options)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return unavailable(err, "--data")
	}
	defer func() { err = errors.Join(err, fault(stack.Close())) }()
	lookup := envLookup(stack.ClientEnv())
	page, closeConsole, err := stackConsole(ctx, lookup, o.address(o.ports.console), options.Hosts, options.Logger)
	if local.PortTaken(err) && o.ports.console == consolePort {
		page, closeConsole, err = stackConsole(ctx, lookup, o.address(0), options.Hosts, options.Logger)
	}
	if err != nil {
		return unavailable(err, "--data")
	}
	defer func() { err = errors.Join(err, fault(closeConsole())) }()
	p.settings(newSettings(stack, o, page))
	text := envfile.Format(append(stack.ClientEnv(), consoleVariable+"="+page))
	if err := o.writeEnvFile(text); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.removeEnvFile(text)) }()
	select {
	case <-ctx.Done():
		p.say("stopping; jobs that run are ended")
		return fault(<-ended)
	case err := <-ended:
		return fault(fmt.Errorf("lifecycle events ended: %w", err))
	case <-p.broken:
		return fault(fmt.Errorf("output: %w", p.failed()))
	}
}

// configure returns the options of the stack, all but what its printer is for.
func (o *localOptions) configure(ctx context.Context, env Env, python training.Python) (local.Options, error) {
	var none local.Options
	if err := room(o.data, "name another folder with --data"); err != nil {
		return none, err
	}
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return none, missing(err)
	}
	options, err := o.stackOptions(env, o.data, python)
	if err != nil {
		return none, fault(err)
	}
	if o.policy != "" {
		if options.Policy, err = readLocal(o.policy); err != nil {
			return none, err
		}
		if _, err := parsePolicy(o.policy, options.Policy); err != nil {
			return none, faulty(env, err)
		}
	}
	if o.env != "" {
		if err := o.like(&options, env.Err); err != nil {
			return none, err
		}
	}
	if o.faults != "" {
		data, err := readLocal(o.faults)
		if err != nil {
			return none, err
		}
		if options.Faults, err = parseFaults(o.faults, data); err != nil {
			return none, faulty(env, err)
		}
	}
	options.LoseEvents = o.loseEvents
	if own := o.address(o.ports.pubsub); options.PubSubEmulator == own && !answers(ctx, own) {
		options.PubSubEmulator = "" // the setting of an earlier jobdrop local
	}
	options.Listen = local.Addresses{
		Storage: o.address(o.ports.storage), PubSub: o.address(o.ports.pubsub), Training: o.address(o.ports.training),
		Functions: net.JoinHostPort("127.0.0.1", strconv.Itoa(int(o.ports.functions))),
	}
	if o.allowRemote {
		options.Hosts = remoteHosts(o.host)
	}
	return options, nil
}

// subscriptionOf names the stack's own subscription by its folder: the next stack
// on it finds what a killed one left on an emulator.
func subscriptionOf(data string) string {
	sum := sha256.Sum256([]byte(data))
	return "jobdrop-local-" + hex.EncodeToString(sum[:6])
}

// answers reports whether somebody listens at an address of this machine.
func answers(ctx context.Context, address string) bool {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// remoteHosts returns the names by which other machines may address the stack.
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

// roomForEnvFile returns an error if the file could not be written once the stack is ready.
func (o *localOptions) roomForEnvFile() error {
	if o.envFile == "" {
		return nil
	}
	const remedy = "name another file with --env-file"
	folder := filepath.Dir(o.envFile)
	if _, err := os.Stat(folder); err != nil { // it is not made
		return missing(fmt.Errorf("%s can't be written: %s: %w\nMake the folder, or %s", o.envFile, folder,
			unwrapPath(err), remedy))
	}
	return room(folder, remedy)
}

// removeStaleEnvFile removes the file of a stack that runs no more. That of one which
// runs stays its own.
func (o *localOptions) removeStaleEnvFile(ctx context.Context) error {
	if o.envFile == "" {
		return nil
	}
	data, err := os.ReadFile(o.envFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return missing(fmt.Errorf("--env-file is %s: %w\nName another file", o.envFile, unwrapPath(err)))
	}
	if len(data) == 0 { // mktemp's
		return o.removeEnvFile("")
	}
	values, err := envfile.Parse(string(data))
	if err != nil || values[gcs.EmulatorVariable] == "" {
		return exit(exitUsage, "--env-file is %s, which holds something else than a stack's settings: name another file, "+
			"or remove this one", o.envFile)
	}
	if gcs.Answers(ctx, values[gcs.EmulatorVariable]) == nil {
		return exit(exitUsage, "--env-file is %s, which has the settings of a stack that runs at %s: name another file, "+
			"or end that stack", o.envFile, values[gcs.EmulatorVariable])
	}
	return o.removeEnvFile(string(data))
}

// removeEnvFile removes the file, unless another stack has written its own there.
func (o *localOptions) removeEnvFile(text string) error {
	if o.envFile == "" {
		return nil
	}
	data, err := os.ReadFile(o.envFile)
	if err == nil && string(data) == text {
		err = os.Remove(o.envFile)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return missing(err)
	}
	return nil
}

// writeEnvFile writes the file in one step, for those who wait for it: lines that a
// shell can read, and without a space in a path other tools too.
func (o *localOptions) writeEnvFile(text string) error {
	if o.envFile == "" {
		return nil
	}
	temporary := o.envFile + ".new"
	if err := os.WriteFile(temporary, []byte(text), 0o644); err != nil {
		return missing(err)
	}
	if err := os.Rename(temporary, o.envFile); err != nil {
		return missing(err)
	}
	return nil
}
