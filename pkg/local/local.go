// Package local is a small cloud on one machine, for the command line and for
// tests: Cloud Storage, Pub/Sub, the delivery of storage events, a scheduler,
// the training service, and jobdrop's functions in a process of their own.
//
// Everything is reached over its real protocol, and the functions see nothing
// but an environment: no code in them knows that they run here. Objects and jobs
// are kept on disk; messages are not, and those undelivered at the end are gone.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/jobdrop/jobdrop/pkg/gcs"
	"github.com/jobdrop/jobdrop/pkg/local/training"
)

// The names of the stack's resources.
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
	// notifications carries the storage events of the inbox.
	notifications = "jobdrop-inbox-notifications"
)

// Options are a stack's settings. Dir, Python and Functions are required.
type Options struct {
	// Dir is where objects and jobs are kept.
	Dir string
	// Python runs the jobs.
	Python training.Python
	// Functions is the command that serves the functions at the address
	// given as its last argument, see package functions. Its standard input
	// stays open as long as the stack lives.
	Functions []string
	// Env is extra environment of the functions, as NAME=value.
	Env []string
	// MaxJobs bounds the jobs that run at once; 0 is the training service's
	// own default.
	MaxJobs int
	// Tick is the interval of the scheduler, 1 s by default.
	Tick time.Duration
	// Deliveries is how often each storage event is delivered, 1 by default:
	// Eventarc delivers at least once.
	Deliveries int
	// Failing is called when an event was refused so often that waiting alone
	// will hardly help, with the last answer.
	Failing func(error)
	// Logs is called with each line of a job's log.
	Logs func(training.Line)
	// FunctionLogs gets what the functions write.
	FunctionLogs io.Writer
	Logger       *slog.Logger
}

// Stack is a running stack.
type Stack struct {
	// StorageURL and TrainerURL are base URLs, PubSub is host:port.
	StorageURL, TrainerURL, FunctionsURL, PubSub string
	// Storage speaks to the stack's Cloud Storage.
	Storage *gcs.Client

	server   *fakestorage.Server
	pubsub   *pubsub.Client
	training *training.Service
	options  Options
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
	closers  []func() error
}

// Start starts a stack. It is ready when Start returns; Close ends it.
func Start(ctx context.Context, o Options) (stack *Stack, err error) {
	if o.Dir == "" || len(o.Functions) == 0 {
		return nil, errors.New("local stack: Dir and Functions are required")
	}
	if o.Tick == 0 {
		o.Tick = time.Second
	}
	o.Deliveries = max(o.Deliveries, 1)
	if o.FunctionLogs == nil {
		o.FunctionLogs = io.Discard
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Stack{options: o, cancel: cancel}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("local stack: %w", err), s.Close())
			stack = nil
		}
	}()
	for _, part := range []func(context.Context) error{
		s.startPubSub, s.startStorage, s.startTraining, s.startFunctions,
	} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	s.tasks.Go(func() { s.pump(run) })
	s.tasks.Go(func() { s.schedule(run) })
	return s, nil
}

// Close ends the stack: jobs that run are ended with it.
func (s *Stack) Close() error {
	s.cancel()
	s.tasks.Wait()
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// dialPubSub are the options of a client of the stack's Pub/Sub.
func (s *Stack) dialPubSub() []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(s.PubSub), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

func (s *Stack) startPubSub(ctx context.Context) error {
	server := pstest.NewServer()
	s.closers = append(s.closers, server.Close)
	s.PubSub = server.Addr
	client, err := pubsub.NewClient(ctx, Project, s.dialPubSub()...)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, client.Close)
	s.pubsub = client
	for _, topic := range []string{Topic, "projects/" + Project + "/topics/" + notifications} {
		if _, err := client.TopicAdminClient.CreateTopic(ctx, &pubsubpb.Topic{Name: topic}); err != nil {
			return err
		}
	}
	return s.createSubscription(ctx, notifications, "projects/"+Project+"/topics/"+notifications)
}

func (s *Stack) createSubscription(ctx context.Context, name, topic string) error {
	_, err := s.pubsub.SubscriptionAdminClient.CreateSubscription(ctx, &pubsubpb.Subscription{
		Name:                  "projects/" + Project + "/subscriptions/" + name,
		Topic:                 topic,
		AckDeadlineSeconds:    600,
		EnableMessageOrdering: true,
	})
	return err
}

// emulatorEnv guards the environment while a storage server is made: the server
// takes the address of Pub/Sub from there only.
var emulatorEnv sync.Mutex

func (s *Stack) startStorage(ctx context.Context) error {
	root := filepath.Join(s.options.Dir, "storage")
	for _, bucket := range []string{Inbox, State, Staging, Status, Output} {
		if err := os.MkdirAll(filepath.Join(root, bucket), 0o700); err != nil {
			return err
		}
	}
	var err error
	if s.server, err = s.newStorageServer(root); err != nil {
		return fmt.Errorf("cloud storage: %w", err)
	}
	s.closers = append(s.closers, func() error { s.server.Stop(); return nil })
	s.StorageURL = s.server.URL()
	s.Storage, err = gcs.New(ctx, s.StorageURL)
	return err
}

func (s *Stack) newStorageServer(root string) (*fakestorage.Server, error) {
	const variable = "PUBSUB_EMULATOR_HOST"
	emulatorEnv.Lock()
	defer emulatorEnv.Unlock()
	if before, ok := os.LookupEnv(variable); ok {
		defer os.Setenv(variable, before)
	} else {
		defer os.Unsetenv(variable)
	}
	if err := os.Setenv(variable, s.PubSub); err != nil {
		return nil, err
	}
	return fakestorage.NewServerWithOptions(fakestorage.Options{
		StorageRoot: root, Scheme: "http", Host: "127.0.0.1",
		EventOptions: fakestorage.EventManagerOptions{
			ProjectID: Project, TopicName: notifications, Bucket: Inbox,
			NotifyOn: fakestorage.EventNotificationOptions{Finalize: true},
		},
	})
}

// CreateBucket makes a bucket if it is not there yet.
func (s *Stack) CreateBucket(name string) {
	s.server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: name})
}

func (s *Stack) startTraining(ctx context.Context) error {
	service, err := training.New(ctx, training.Options{
		Storage: s.StorageURL, Dir: filepath.Join(s.options.Dir, "training"), Python: s.options.Python,
		MaxJobs: s.options.MaxJobs, Logs: s.options.Logs, Logger: s.options.Logger,
	})
	if err != nil {
		return fmt.Errorf("training service: %w", err)
	}
	s.closers = append(s.closers, service.Close)
	s.training = service
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("training service: %w", err)
	}
	server := &http.Server{Handler: service.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends by Close only
	s.closers = append(s.closers, server.Close)
	s.TrainerURL = "http://" + listener.Addr().String()
	return nil
}
