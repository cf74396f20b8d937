package watcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// jobs asks the backend about single jobs, as fast as its read quota allows.
type jobs struct {
	backend interface {
		Get(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error)
		Name() string
	}
	// polls limits the polls, reads these and the pages of the backend's list.
	polls, reads *rate.Limiter
	now          func() time.Time
}

// answer is what the backend says of one job.
type answer struct {
	job   attempt.BackendJob
	found bool
	asked time.Time
}

func (a answer) observation() attempt.Observation {
	if !a.found {
		return attempt.NotFound(a.asked)
	}
	return attempt.Seen(a.job, a.asked)
}

// ask asks about one job. It refuses a job that the installation gave to another backend before:
// this one would say that it does not exist.
func (js jobs) ask(ctx context.Context, j job.JobInfo) (answer, error) {
	if j.Backend != "" && j.Backend != js.backend.Name() {
		return answer{}, fmt.Errorf("job %s is with %s, and this installation asks %s: %w",
			j.ID, j.Backend, js.backend.Name(), attempt.ErrOtherBackend)
	}
	for _, limiter := range []*rate.Limiter{js.polls, js.reads} {
		if err := limiter.Wait(ctx); err != nil {
			return answer{}, err
		}
	}
	asked := js.now()
	found, err := js.backend.Get(ctx, j)
	if errors.Is(err, job.ErrNotFound) {
		return answer{asked: asked}, nil
	}
	return answer{job: found, found: true, asked: asked}, err
}
