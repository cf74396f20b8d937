package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// routesAge is for how long the routes are used without a look whether there are newer ones: an event that
// nobody is told of costs no call of the storage, and a change counts soon.
const routesAge = time.Minute

// routesFile is the operator's routes in their bucket. Unlike the policy it need not be the newest: what
// was sent by old routes is no harm, and silence is. So the last valid one stays in use where the newest is
// not valid or can't be read.
type routesFile[T any] struct {
	storage      reader
	bucket, name string
	parse        func(name string, data []byte) (*T, []job.Violation)
	now          func() time.Time
	// fault is called with each fault, beside the log.
	fault  func(ctx context.Context)
	logger *slog.Logger

	mu         sync.Mutex
	asked      time.Time
	generation int64
	routes     *T
}

// current returns the routes, at most a minute old. Without any that were ever valid, it is an error.
func (f *routesFile[T]) current(ctx context.Context) (*T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if f.routes != nil && now.Sub(f.asked) < routesAge {
		return f.routes, nil
	}
	err := f.read(ctx)
	switch {
	case err == nil:
	case f.routes == nil:
		f.fault(ctx)
		return nil, err // logged where the request ends
	case ctx.Err() != nil: // that is no word on the file
		return f.routes, nil
	default:
		// An alert counts these lines, one a minute and instance.
		f.logger.ErrorContext(ctx, "routes not read", "error", err.Error(), "generation", f.generation)
		f.fault(ctx)
	}
	f.asked = now
	return f.routes, nil
}

// read reads the routes if there are newer ones.
func (f *routesFile[T]) read(ctx context.Context) error {
	data, generation, err := f.storage.Read(ctx, f.bucket, f.name, 0, jobspec.MaxSize)
	if errors.Is(err, job.ErrNotFound) {
		return fmt.Errorf("routes: %w; upload them to gs://%s/%s, or unset JOBDROP_ROUTES", err, f.bucket, f.name)
	}
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	if f.routes != nil && generation == f.generation {
		return nil
	}
	uri := "gs://" + f.bucket + "/" + f.name
	routes, vs := f.parse(path.Base(f.name), data)
	var errs []error
	for _, v := range vs {
		if v.Severity == job.Warning {
			f.logger.WarnContext(ctx, "routes", "uri", uri, "generation", generation, "violation", v.String())
			continue
		}
		errs = append(errs, errors.New(v.String()))
	}
	if len(errs) > 0 {
		return fmt.Errorf("routes: %s#%d is not valid: %w", uri, generation, errors.Join(errs...))
	}
	f.routes, f.generation = routes, generation
	f.logger.InfoContext(ctx, "routes read", "uri", uri, "generation", generation)
	return nil
}
