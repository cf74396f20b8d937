package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
)

// reindexOptions are what jobdrop reindex is asked for.
type reindexOptions struct {
	days  int
	after string
}

func newReindex(env Env, run func(context.Context, Env, reindexOptions) error) *cobra.Command {
	var o reindexOptions
	c := &cobra.Command{
		Use:   "reindex",
		Short: "Put earlier attempts into the lists by time and by state",
		Long: `Put the attempts of an installation into the lists recent/ and ended/ of its
state bucket, where they are missing: those of before the lists were kept, or of
lists that were deleted. jobdrop itself keeps them up to date; it runs on
meanwhile.

The command goes through all records, 1,000 at a time, and says after each
thousand how far it came. It may be stopped at any time: --after goes on behind
an attempt, and what is listed already stays as it is.

It works with your own credentials and needs rights to read, create and list the
objects of the state bucket. It reads the same environment as jobdrop replay.

Exit codes: 0 all are listed, 64 wrong usage or environment, 70 it could not go
on; run it again, with the --after that it names.`,
		Example: `  jobdrop reindex
  jobdrop reindex --days 30`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.days < 1 {
				return errors.New("--days must be 1 or more")
			}
			if o.after != "" && !attemptForm.MatchString(o.after) {
				return fmt.Errorf("--after %.80q is not an attempt: take the one that an earlier run named", o.after)
			}
			return run(c.Context(), env, o)
		},
	}
	c.Flags().IntVar(&o.days, "days", 400, "how old the attempts may be: no more than recent_days of the installation")
	c.Flags().StringVar(&o.after, "after", "", "go on after this attempt, where an earlier run ended")
	return c
}

var attemptForm = regexp.MustCompile("^[0-9a-f]{40}-[0-9]{1,20}$")

// reindexed is how many records are worked on at once.
const reindexed = 32

func reindex(ctx context.Context, env Env, o reindexOptions) error {
	c, err := described(ctx, env)
	if err != nil {
		return err
	}
	storage, err := gcs.New(ctx, c.StorageEmulator)
	if err != nil {
		return fault(err)
	}
	records, err := ledger.New(storage, c.State, ledger.Options{})
	if err != nil {
		return fault(err)
	}
	last := ledger.Reindexed{Last: o.after}
	since := storage.Now().Add(-time.Duration(o.days) * 24 * time.Hour)
	err = records.Reindex(ctx, o.after, since, reindexed, func(did ledger.Reindexed) error {
		last = did
		_, err := fmt.Fprintf(env.Out, "%d records, %d places were missing, up to %s\n", did.Records, did.Missing, did.Last)
		return err
	})
	if err != nil && last.Last != "" {
		err = fmt.Errorf("%w; --after %s goes on", err, last.Last)
	}
	if err == nil {
		_, err = fmt.Fprintf(env.Out, "Places that were missing: %d, of %d records\n", last.Missing, last.Records)
	}
	return fault(err)
}
