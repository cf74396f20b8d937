package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"sync"

	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// reader reads a whole object, and its generation.
type reader interface {
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
}

// operator is the operator's policy in its bucket. It is read for each decision,
// so that a change counts from then on; what was read last is parsed once.
type operator struct {
	storage      reader
	bucket, name string
	base         policy.Policy
	logger       *slog.Logger

	mu         sync.Mutex
	generation int64
	rules      policy.Rules
}

// current returns the policy as it is now. A missing or invalid policy is an error:
// nothing is decided by other rules instead.
func (o *operator) current(ctx context.Context) (policy.Policy, error) {
	p := o.base
	if o.name == "" {
		return p, nil
	}
	uri := "gs://" + o.bucket + "/" + o.name
	data, generation, err := o.storage.Read(ctx, o.bucket, o.name, 0, jobspec.MaxSize)
	if errors.Is(err, job.ErrNotFound) {
		return p, fmt.Errorf("policy: %w; upload it to %s, or unset JOBDROP_POLICY", err, uri)
	}
	if err != nil {
		return p, fmt.Errorf("policy: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if generation != o.generation {
		rules, vs := policy.Parse(path.Base(o.name), data)
		var errs []error
		for _, v := range vs {
			if v.Severity == job.Warning {
				o.logger.WarnContext(ctx, "policy", "uri", uri, "generation", generation, "violation", v.String())
				continue
			}
			errs = append(errs, errors.New(v.String()))
		}
		if len(errs) > 0 {
			return p, fmt.Errorf("policy %s#%d is not valid: %w", uri, generation, errors.Join(errs...))
		}
		o.rules, o.generation = rules, generation
		o.logger.InfoContext(ctx, "policy read", "uri", uri, "generation", generation)
	}
	p.Rules = o.rules
	return p, nil
}

// patience returns the patience with folders: the installation's own, with the policy's in its place.
func (o *operator) patience(own job.Patience) func(ctx context.Context) (func(folder string) job.Patience, error) {
	return func(ctx context.Context) (func(folder string) job.Patience, error) {
		p, err := o.current(ctx)
		if err != nil {
			return nil, err
		}
		return func(folder string) job.Patience { return p.For(folder).Patience(own) }, nil
	}
}
