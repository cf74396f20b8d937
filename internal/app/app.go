// Package app wires the use cases to the services that the environment names, and
// handles the requests of the functions.
package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/app/logging"
	"github.com/jobdrop/jobdrop/internal/app/telemetry"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/flow/relay"
	"github.com/jobdrop/jobdrop/internal/flow/submitter"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/service/joblog"
	"github.com/jobdrop/jobdrop/internal/service/pubsub"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// App holds the use cases of an installation: those of Submit and Watch, or that of Notify.
type App struct {
	Submitter *submitter.Submitter
	Watcher   *watcher.Watcher
	Notifier  *notifier.Notifier

	parking  parking
	measures *telemetry.Telemetry
	logger   *slog.Logger
}

// New returns an application of use cases that are made already.
func New(submit *submitter.Submitter, watch *watcher.Watcher, records parking, measures *telemetry.Telemetry,
	logger *slog.Logger) *App {
	return &App{Submitter: submit, Watcher: watch, parking: records, measures: measures, logger: logger}
}

// inspections is how many drops one process inspects at once: each may take 64
// MiB for a wheel in /tmp, which is memory, and some tens more; a function has
// 512 MiB.
const inspections = 2

// parallel is how many attempts a tick works on at once: enough to hide the
// latency of remote calls, few enough for a small instance.
const parallel = 8

// tickBudget is how long a tick may work: a minute less than inbound's bound on a
// request, in which it writes its notes.
const tickBudget = 7 * time.Minute

// pollsOf returns how many of the reads of a minute may be polls of single jobs, so that
// the list goes on.
func pollsOf(reads int) int { return reads * 5 / 8 }

// Loader returns the use cases.
type Loader func(ctx context.Context) (*App, error)

// Lazy returns a loader of Submit and Watch that reads the environment and makes the
// clients at its first call. After a failed load, the next call tries again.
func Lazy(lookup config.Lookup) Loader {
	return lazy(func(ctx context.Context) (*App, error) { return Load(ctx, lookup) })
}

// LazyNotify returns a loader of Notify, as [Lazy] does of the other functions. They share
// nothing: neither clients nor secrets.
func LazyNotify(lookup config.Lookup) Loader {
	return lazy(func(ctx context.Context) (*App, error) { return LoadNotify(ctx, lookup) })
}

func lazy(load Loader) Loader {
	var (
		mu     sync.Mutex
		loaded *App
	)
	return func(ctx context.Context) (*App, error) {
		mu.Lock()
		defer mu.Unlock()
		if loaded == nil {
			// The clients outlive the request that needs them first.
			a, err := load(context.WithoutCancel(ctx))
			if err != nil {
				logging.New(os.Stderr, slog.LevelInfo).ErrorContext(ctx, "not configured", "error", err.Error())
				return nil, err
			}
			loaded = a
		}
		return loaded, nil
	}
}

// Load makes the use cases of the installation that the environment describes.
// It makes clients, but no remote call.
func Load(ctx context.Context, lookup config.Lookup) (*App, error) {
	c, err := config.Load(lookup)
	if err != nil {
		return nil, err
	}
	measures, logger, err := observed(ctx, c)
	if err != nil {
		return nil, err
	}
	storage, err := gcs.New(ctx, c.StorageEmulator)
	if err != nil {
		return nil, err
	}
	records, err := ledger.New(storage, c.State, ledger.Options{Transition: measures.Transition})
	if err != nil {
		return nil, err
	}
	events, err := pubsub.New(ctx, c.Topic, c.Instance,
		pubsub.Options{Emulator: c.PubSubEmulator, Endpoint: c.PubSubEndpoint})
	if err != nil {
		return nil, err
	}
	tell, err := relay.New(events, records, storage, c.Status, storage.Now, relay.Options{Published: measures.Published})
	if err != nil {
		return nil, err
	}
	backend, err := newBackend(ctx, c, storage.Now)
	if err != nil {
		return nil, err
	}
	rules := &operator{
		storage: storage, bucket: c.PolicyBucket, name: c.PolicyObject, logger: logger,
		base: policy.Policy{
			Project: c.Project, Inbox: c.Inbox, Own: []string{c.State, c.Staging, c.Status}, Backend: backend.Name(),
		},
	}
	places := storage.Places
	if c.StorageEmulator != "" {
		places = nil // an emulator's buckets lie nowhere
	}
	patience := job.Patience{
		Settle: c.Settle, Incomplete: c.Incomplete, Expire: c.Expire, Submit: c.SubmitWithin,
		JobPatience: job.JobPatience{Grace: new(job.Duration(c.Grace))},
	}
	submit, err := submitter.New(storage, records, backend, tell, submitter.Options{
		Instance: c.Instance, Inbox: c.Inbox, Staging: c.Staging, Policy: rules.current, Places: places,
		Patience: patience,
		CallTime: c.CallTime, Inspections: inspections, Parallel: parallel, Now: storage.Now, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	var logs *joblog.Reader
	if c.LogView != "" {
		if logs, err = joblog.New(ctx, joblog.Options{View: c.LogView, Endpoint: c.LoggingEndpoint}); err != nil {
			return nil, err
		}
	}
	watch, err := watcher.New(records, backend, storage, tell, submit, watcher.Options{
		Instance: c.Instance, Inbox: c.Inbox, Parallel: parallel, Budget: tickBudget, PollsPerMinute: pollsOf(c.ReadsPerMinute),
		ReadsPerMinute: c.ReadsPerMinute,
		Now:            storage.Now, Logger: logger, Double: measures.Double, Measure: measures.Ticked,
		Patience: rules.patience(patience), Near: inspect.NearJobFile, TellMisnamed: tell.TellMisnamed,
		Excerpt: excerpt(rules, logs),
	})
	if err != nil {
		return nil, err
	}
	return New(submit, watch, records, measures, logger), nil
}

// observed returns what measures and what logs.
func observed(ctx context.Context, c config.Config) (*telemetry.Telemetry, *slog.Logger, error) {
	measures, err := telemetry.New(ctx, c.Collector, c.Instance)
	if err != nil {
		return nil, nil, err
	}
	handler := measures.Handler(logging.New(os.Stderr, c.LogLevel).Handler(), c.Project)
	return measures, slog.New(handler).With("instance", c.Instance), nil
}

// excerpt returns what Watch asks for the end of a failed job's log: nothing where the policy does
// not say so.
func excerpt(
	rules *operator, logs *joblog.Reader,
) func(ctx context.Context, r attempt.Record, l attempt.BackendJob) (string, error) {
	return func(ctx context.Context, r attempt.Record, l attempt.BackendJob) (string, error) {
		p, err := rules.current(ctx)
		switch {
		case err != nil || !p.For(r.Drop.Prefix).LogExcerpt():
			return "", err
		case logs == nil:
			return "", errors.New("the policy says logExcerpt, and JOBDROP_LOG_VIEW is not set")
		}
		return logs.Excerpt(ctx, l)
	}
}

// service is what the use cases ask of whoever runs jobs.
type service interface {
	Name() string
	TakesID() bool
	EnforcesWait() bool
	Check(o job.Order) []plan.Diagnostic
	Create(ctx context.Context, o job.Order) (attempt.BackendJob, error)
	Find(ctx context.Context, o job.Order) ([]attempt.BackendJob, error)
	Get(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error)
	ListActive(ctx context.Context, instance, from string, page func(jobs []attempt.BackendJob, next string) error) error
	Cancel(ctx context.Context, j job.JobInfo) error
}

// newBackend makes the adapter for the service that the environment names.
func newBackend(ctx context.Context, c config.Config, now func() time.Time) (service, error) {
	if c.Backend == vertex.Name {
		return vertex.New(ctx, vertex.Options{Project: c.Project, Regions: c.Regions, Endpoint: c.BackendEndpoint, Now: now})
	}
	return aiplatform.New(ctx, c.Project, c.BackendEndpoint)
}
