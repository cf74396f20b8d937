// Package local is a small cloud on one machine, for the command line and for
// tests: Cloud Storage, Pub/Sub, the delivery of storage events, a scheduler,
// the training service with its logs, and jobdrop's functions in a process of
// their own.
//
// Everything is reached over its real protocol, and the functions see nothing
// but an environment: no code in them knows that they run here. Objects, jobs and
// logs are kept on disk and survive the death of the process. Messages are not,
// and neither are topics and subscriptions; but storage events of the last day
// are delivered again at the next start, as Eventarc's would be.
package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/local/loopback"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The names of the stack's resources, unless Options.Names overrides them.
const (
	Project  = "local"
	Instance = "local"
	Inbox    = "jobdrop-inbox"
	State    = "jobdrop-state"
	Staging  = "jobdrop-staging"
	Status   = "jobdrop-status"
	// Output is a bucket for job directories.
	Output = "jobdrop-output"
	// Topic carries the lifecycle events.
	Topic = "projects/" + Project + "/topics/jobdrop-lifecycle"
)

// Names holds the names of an installation's resources. With them, a program that knows
// the installation by name uses the stack instead. An empty name stands for the stack's
// own.
type Names struct {
	Instance                      string
	Inbox, State, Staging, Status string
	// Policy and Routes are the objects of the state bucket in which the policy and the routes lie.
	Policy, Routes string
}

// orOwn fills in the stack's own names.
func (n Names) orOwn() Names {
	return Names{
		Instance: cmp.Or(n.Instance, Instance), Policy: cmp.Or(n.Policy, policyObject),
		Routes: cmp.Or(n.Routes, routesObject),
		Inbox:  cmp.Or(n.Inbox, Inbox), State: cmp.Or(n.State, State), Staging: cmp.Or(n.Staging, Staging),
		Status: cmp.Or(n.Status, Status),
	}
}

// Options are a stack's settings. Dir, Python and Functions are required.
type Options struct {
	// Dir is where objects, jobs and logs are kept. One stack at a time uses
	// it.
	Dir string
	// Python runs the jobs.
	Python training.Python
	// Functions is the command that serves the functions at the address that
	// is its next argument, for the Hosts that follow it, see package
	// functions. Its standard input
	// stays open as long as the stack lives.
	Functions []string
	// Listen says where the services are reached.
	Listen Addresses
	// Hosts are the names, other than loopback's, by which requests may
	// address the services.
	Hosts []string
	// PubSubEmulator is the host:port of a Pub/Sub emulator that runs already
	// and is used instead of the stack's own.
	PubSubEmulator string
	// OwnTopic makes the stack use a lifecycle topic of its own, which it deletes at
	// the end. Others may use the same emulator.
	OwnTopic bool
	// Backend is the API by which the functions ask the training service for jobs:
	// aiplatform, the default, or vertex.
	Backend string
	Names   Names
	// Policy is the operator's policy, as YAML. It is kept as the object
	// policy.yaml of the state bucket, where it may be changed.
	Policy []byte
	// Routes are the operator's routes, as YAML, kept like the policy as the object routes.yaml. Without
	// them nobody is told of anything, and Notify is never woken.
	Routes []byte
	// RoutesEnv is environment that the routes name, as NAME=value. It changes nothing that the
	// functions have of the stack.
	RoutesEnv []string
	// Env is extra environment of the functions, as NAME=value.
	Env []string
	// MaxJobs and MaxReplicas bound the jobs, and the processes of all jobs,
	// that run at once; 0 is the training service's own default.
	MaxJobs, MaxReplicas int
	// ContainerRunner is docker or podman; without it jobs with images are
	// refused.
	ContainerRunner string
	// Preemption takes machines away from jobs.
	Preemption training.Preemption
	// Tick is the interval of the scheduler, 1 s by default.
	Tick time.Duration
	// Deliveries is how often each storage event is delivered, 1 by default:
	// Eventarc delivers at least once.
	Deliveries int
	// LoseEvents is the share of storage events that are not delivered at all,
	// from 0 to 1.
	LoseEvents float64
	// Faults are failures that calls of Cloud Storage meet.
	Faults []storage.Fault
	// Failing is called when an event was refused so often that waiting alone
	// will hardly help, with the last answer.
	Failing func(error)
	// Started is called when all services answer and nothing was delivered yet: who
	// subscribes in it misses no event, nor what a crash has ended. An error of it ends
	// the start.
	Started func(context.Context, *Stack) error
	// Full is called with a folder, once, when the disk did not take an object.
	Full func(dir string)
	// Status is called with what a new status.json says, if it has said so for a moment.
	Status func(job.Snapshot)
	// Alone is called with the names that a folder of the inbox holds when some time has
	// passed since the last upload into it, and no job file is there.
	Alone func(folder string, names []string)
	// Logs is called with each line of a job's log.
	Logs func(training.Line)
	// FunctionLogs gets what the functions write.
	FunctionLogs io.Writer
	Logger       *slog.Logger
}

// Addresses are where the services listen, each as host:port. Without one it is
// a free port of loopback. Functions must be of loopback: nobody else calls them.
type Addresses struct {
	Storage, PubSub, Training, Functions string
}

// ErrEmulator is a Pub/Sub emulator that was named and does not answer.
var ErrEmulator = errors.New("the Pub/Sub emulator does not answer")

// Stack is a running stack.
type Stack struct {
	// StorageURL, BackendURL (ml/v1, aiplatform/v1, and Cloud Logging's entries) and
	// FunctionsURL are base URLs, PubSub is host:port.
	StorageURL, BackendURL, FunctionsURL, PubSub string
	// Topic is the full name of the topic of the lifecycle events.
	Topic string
	// Storage speaks to the stack's Cloud Storage.
	Storage *gcs.Client

	// name tells the functions of this stack from those of others.
	name   string
	server *storage.Server
	pubsub *pubsub.Client
	// training runs the jobs.
	training *training.Service
	options  Options
	cancel   context.CancelFunc
	ready    chan struct{} // closed when the functions answer
	posting  chan struct{} // bounds the storage events that are being posted
	hinting  chan struct{} // and the hints
	closers  []func() error

	mu     sync.Mutex
	closed bool // no task is started any more
	tasks  sync.WaitGroup
	// uploads are the newest uploads into folders whose job file is awaited.
	uploads map[string]int64
	// notified are the sequences of the newest events that Notify took, by attempt.
	notified map[string]int64
}

// PortTaken reports whether err says that another program listens at an address.
func PortTaken(err error) bool { return errors.Is(err, portTaken) }

// Start starts a stack. It is ready when Start returns; Close ends it. PortTaken
// recognises the error for an address that is taken.
func Start(ctx context.Context, o Options) (stack *Stack, err error) {
	if o.Dir == "" || len(o.Functions) == 0 {
		return nil, errors.New("local stack: Dir and Functions are required")
	}
	if o.Tick == 0 {
		o.Tick = time.Second
	}
	o.Deliveries = max(o.Deliveries, 1)
	o.Backend = cmp.Or(o.Backend, aiplatform.Name)
	o.Names = o.Names.orOwn()
	if o.FunctionLogs == nil {
		o.FunctionLogs = io.Discard
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Stack{
		options:  o,
		name:     rand.Text(),
		cancel:   cancel,
		ready:    make(chan struct{}),
		posting:  make(chan struct{}, maxPosting),
		hinting:  make(chan struct{}, maxHinting),
		uploads:  map[string]int64{},
		notified: map[string]int64{},
		Topic:    Topic,
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("local stack: %w", err), s.Close())
			stack = nil
		}
	}()
	// Each part may be used at once: what it needs stands before it.
	for _, part := range []struct {
		name  string
		start func(start, run context.Context) error
	}{
		{"Pub/Sub", s.startPubSub},
		{"Cloud Storage", s.startStorage},
		{"training service", s.startTraining},
		{"functions", s.startFunctions},
	} {
		if err := part.start(ctx, run); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if err := s.writeBotoConfig(); err != nil {
		return nil, err
	}
	if len(o.Routes) > 0 {
		if err := s.startNotify(ctx, run); err != nil {
			return nil, fmt.Errorf("lifecycle events: %w", err)
		}
	}
	if o.Started != nil {
		if err := o.Started(ctx, s); err != nil {
			return nil, err
		}
	}
	close(s.ready)
	s.firstTick(ctx)
	if err := s.announceRecent(ctx, run); err != nil {
		return nil, fmt.Errorf("storage events: %w", err)
	}
	s.task(func() { s.schedule(run, "/Watch") })
	if len(o.Routes) > 0 {
		s.task(func() { s.schedule(run, "/Notify") })
	}
	return s, nil
}

// Close ends the stack: jobs that run are ended with it.
func (s *Stack) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.tasks.Wait()
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// task runs f until the stack is closed; f ends with the context of the run.
func (s *Stack) task(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.tasks.Go(f)
	}
}

func (s *Stack) atClose(f func() error) { s.closers = append(s.closers, f) }

// listen listens on an address, or on a free port of loopback.
func listen(address string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	return net.Listen("tcp", address)
}

// reachable returns the host:port by which this machine reaches a listener.
func reachable(l net.Listener) string {
	a := l.Addr().(*net.TCPAddr)
	if a.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", a.Port)
	}
	return a.String()
}

func (s *Stack) startStorage(ctx, run context.Context) error {
	listener, err := listen(s.options.Listen.Storage)
	if err != nil {
		return err
	}
	s.StorageURL = "http://" + reachable(listener)
	names := s.options.Names
	s.server, err = storage.Serve(ctx, storage.Options{
		Dir: filepath.Join(s.options.Dir, "storage"), Listener: listener, Hosts: s.options.Hosts,
		Buckets: []string{names.Inbox, names.State, names.Staging, names.Status, Output},
		Finalized: func(o storage.Object) {
			switch o.Bucket {
			case names.Inbox:
				s.announce(run, o)
				s.awaitJobFile(run, o)
			case names.Status:
				s.readStatus(run, o)
			}
		},
		Faults: s.options.Faults, Full: s.options.Full, Logger: s.options.Logger,
	})
	if err != nil {
		return err
	}
	s.atClose(s.server.Close)
	if s.Storage, err = gcs.New(ctx, s.StorageURL); err != nil {
		return err
	}
	for name, content := range map[string][]byte{names.Policy: s.options.Policy, names.Routes: s.options.Routes} {
		if len(content) == 0 {
			continue
		}
		if _, err := s.Storage.Write(ctx, names.State, name, content, "application/yaml", nil,
			attempt.AnyGeneration); err != nil {
			return err
		}
	}
	return nil
}

const (
	policyObject = "policy.yaml"
	routesObject = "routes.yaml"
)

// Names returns the names of the installation that the functions see.
func (s *Stack) Names() Names { return s.options.Names }

// Backend returns the API by which the functions ask for jobs.
func (s *Stack) Backend() string { return s.options.Backend }

// Preempt takes all machines of a running job away, which the training service then runs again. See
// [training.Service.Preempt].
func (s *Stack) Preempt(name string) error { return s.training.Preempt(name) }

// CreateBucket makes a bucket if it is not there yet.
func (s *Stack) CreateBucket(name string) error { return s.server.CreateBucket(name) }

func (s *Stack) startTraining(ctx, run context.Context) error {
	listener, err := listen(s.options.Listen.Training)
	if err != nil {
		return err
	}
	service, err := training.New(ctx, training.Options{
		Storage: s.StorageURL, Dir: filepath.Join(s.options.Dir, "training"), Python: s.options.Python,
		MaxJobs: s.options.MaxJobs, MaxReplicas: s.options.MaxReplicas, ContainerRunner: s.options.ContainerRunner,
		Preemption: s.options.Preemption,
		Logs:       s.options.Logs, Changed: func(name, state string) { s.hint(run, name, state) }, Logger: s.options.Logger,
	})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s.atClose(service.Close)
	s.training = service
	server := &http.Server{
		Handler:           loopback.Guard(s.options.Hosts, service.Handler()),
		ReadHeaderTimeout: 10 * time.Second, // a header is written at once; only someone who means ill takes longer
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true) // which gRPC has
	go func() { _ = server.Serve(listener) }() // it ends by Close only
	s.atClose(server.Close)
	s.BackendURL = "http://" + reachable(listener)
	return nil
}
