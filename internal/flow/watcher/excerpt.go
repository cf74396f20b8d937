package watcher

import (
	"context"
	"log/slog"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// excerptTime is by how much the search for an excerpt may delay a verdict.
const excerptTime = 3 * time.Second

// excerpts adds the end of a failed job's log to what the backend says of it. Bodies of events never
// change, so that happens before the verdict is written, once, or not at all.
type excerpts struct {
	of     func(ctx context.Context, r attempt.Record, l attempt.BackendJob) (string, error)
	logger *slog.Logger
}

// add returns an answer with an excerpt, if it says that the record's job failed and the log can be
// read in time.
func (x excerpts) add(ctx context.Context, r attempt.Record, a answer) answer {
	if !a.found || a.job.State != job.BackendFailed || a.job.DeadlineExceeded {
		return a
	}
	ctx, cancel := context.WithTimeout(ctx, excerptTime)
	defer cancel()
	var err error
	if a.job.Excerpt, err = x.of(ctx, r, a.job); err != nil {
		x.logger.WarnContext(ctx, "no log excerpt", "attempt", r.Attempt, "job_id", r.Job.ID, "error", err.Error())
	}
	return a
}
