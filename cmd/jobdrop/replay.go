package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
)

func replayCommand() *cobra.Command {
	var (
		dry   bool
		limit int
	)
	c := &cobra.Command{
		Use:   "replay FOLDER",
		Short: "Run drops that lie in the inbox and were never looked at",
		Long: `Run the drops of the inbox in FOLDER and below (teams/nlp/ or gs://INBOX/teams/nlp/)
that jobdrop never looked at: such that are older than the installation, or
whose storage event was lost more than 48 hours ago. Drops that it knows are left
alone, whatever became of them: upload their job file again to run them again.

The command does what the function Submit does, with your own credentials. It
reads the same environment: JOBDROP_INSTANCE, JOBDROP_INBOX and the others, which
gcloud functions describe Submit shows, and the --env-file of jobdrop local holds.

Exit codes: 0 all were looked at, 64 wrong usage or environment, 70 some could
not be looked at; run it again.`,
		Example: `  jobdrop replay teams/nlp/ --dry-run
  jobdrop replay gs://acme-inbox/census/`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if limit < 1 {
				return errors.New("--limit must be 1 or more")
			}
			return replay(c.Context(), args[0], dry, limit, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "only say which drops would be run")
	c.Flags().IntVar(&limit, "limit", 100, "most drops to run, or to say so of")
	return c
}

func replay(ctx context.Context, folder string, dry bool, limit int, out io.Writer) error {
	a, inbox, err := installation(ctx)
	if err != nil {
		return err
	}
	if rest, ok := strings.CutPrefix(folder, "gs://"); ok {
		bucket, below, _ := strings.Cut(rest, "/")
		if bucket != inbox {
			return exit(exitUsage, "%s is not in the inbox, gs://%s/", folder, inbox)
		}
		folder = below
	}
	if strings.Trim(folder, "/") == "" {
		return exit(exitUsage, "name a folder: a replay of the whole inbox could run every drop of years")
	}
	found, failed := 0, 0
	err = a.Watcher.Replay(ctx, folder, dry, limit, func(r watcher.Replayed) error {
		line := "known"
		switch {
		case r.Known:
		case r.Err != nil:
			line = "failed"
		case dry:
			line = "would run"
		default:
			line = "run"
		}
		if !r.Known {
			found++
		}
		if r.State != "" {
			line += ", now " + string(r.State)
		}
		if r.Err != nil {
			failed++
			line += ": " + r.Err.Error()
		} else if r.Reason != "" {
			line += ": " + r.Reason
		}
		_, err := fmt.Fprintf(out, "gs://%s/%s  uploaded %s  %s\n", inbox, oneLine(r.JobFile.Name), r.JobFile.Created.UTC().Format("2006-01-02 15:04:05"), oneLine(line))
		return err
	})
	switch {
	case errors.Is(err, watcher.ErrMore):
		err = fmt.Errorf("there are more than %d: raise --limit, or name a folder further down", limit)
		if !dry {
			err = fmt.Errorf("%w; run it again to go on", err)
		}
	case err == nil && failed > 0:
		err = fmt.Errorf("%d of %d could not be looked at", failed, found)
	case err == nil:
		_, err = fmt.Fprintf(out, "%d drops %s\n", found, map[bool]string{true: "would be run", false: "were run"}[dry])
	}
	return fault(err)
}

// installation gives the use cases of the installation that the environment names,
// and its inbox.
func installation(ctx context.Context) (*app.App, string, error) {
	quiet := func(name string) (string, bool) {
		value, ok := os.LookupEnv(name)
		if name == "JOBDROP_LOG_LEVEL" && value == "" {
			return "WARN", true // the command says itself what it does
		}
		return value, ok
	}
	c, err := config.Load(quiet)
	if err != nil {
		return nil, "", exit(exitUsage, "%w", err)
	}
	a, err := app.Load(ctx, quiet)
	if err != nil {
		return nil, "", fault(err)
	}
	return a, c.Inbox, nil
}
