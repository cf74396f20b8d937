package watcher

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// lonely finds folders that have packages and no job file.
type lonely struct {
	objects objects
	// patience returns how long packages of a folder may lie without a job file; 0 means without
	// end.
	patience func(ctx context.Context) (func(folder string) time.Duration, error)
	logger   *slog.Logger
}

// lonelyRound looks at the packages of one scan.
type lonelyRound struct {
	lonely lonely
	// ends is the time in which the patience with a package must end for it to be reported.
	ends period
	// wait returns the patience with a folder. It is known after the first package.
	wait  func(folder string) time.Duration
	known bool
	// seen holds the folders that were looked at.
	seen map[string]bool
}

// round begins a scan. A package is reported in the round in which its patience ends. If it is the
// first round, nothing is reported.
func (l lonely) round(ends period) *lonelyRound {
	return &lonelyRound{lonely: l, ends: ends, seen: map[string]bool{}}
}

// see looks at a package, and reports it if its folder has no job file.
func (r *lonelyRound) see(ctx context.Context, o job.Object) error {
	if r.ends.from.IsZero() {
		return nil
	}
	if !r.known {
		if err := r.learn(ctx); err != nil {
			return err
		}
	}
	folder := job.Folder(o.Name)
	wait := r.wait(folder)
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

// learn reads the patience. If it can't be read, the scan reports nothing.
func (r *lonelyRound) learn(ctx context.Context) (err error) {
	r.known = true
	if r.wait, err = r.lonely.patience(ctx); err != nil {
		r.wait = func(string) time.Duration { return 0 }
	}
	return err
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
