package watcher

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// lonely finds folders that have packages and no job file.
type lonely struct {
	objects objects
	logger  *slog.Logger
}

// lonelyRound looks at the packages of one scan.
type lonelyRound struct {
	lonely lonely
	// ends is the time in which the patience with a package must end for it to be reported.
	ends  period
	waits *waits
	// seen holds the folders that were looked at.
	seen map[string]bool
}

// round begins a scan. A package is reported in the round in which its patience ends. If it is the
// first round, nothing is reported.
func (l lonely) round(ends period, w *waits) *lonelyRound {
	return &lonelyRound{lonely: l, ends: ends, waits: w, seen: map[string]bool{}}
}

// see looks at a package, and reports it if its folder has no job file.
func (r *lonelyRound) see(ctx context.Context, o job.Object) error {
	if r.ends.from.IsZero() {
		return nil
	}
	folder := job.Folder(o.Name)
	patience, err := r.waits.of(ctx, folder)
	if err != nil {
		return err
	}
	wait := patience.Alone
	if wait <= 0 || r.seen[folder] || !r.ends.holds(o.Created.Add(wait)) {
		return nil
	}
	r.seen[folder] = true
	alone, err := r.lonely.alone(ctx, o.Bucket, folder)
	if err != nil {
		return err
	}
	if alone {
		r.lonely.logger.WarnContext(ctx, "packages without a job file",
			"bucket", o.Bucket, "folder", folder, "package", o.Name, "created", o.Created, "waited", wait.String())
	}
	return nil
}

// alone reports whether a folder has no job file. An object is the first of those whose names
// begin with its own, so one page shows it, whatever else there is.
func (l lonely) alone(ctx context.Context, bucket, folder string) (bool, error) {
	found := false
	for _, name := range job.JobFileNames() {
		err := l.objects.ListAfter(ctx, bucket, folder+name, "", func(page []job.Attributes) error {
			found = len(page) > 0 && page[0].Name == folder+name
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			return false, err
		}
		if found {
			return false, nil
		}
	}
	return true, nil
}
