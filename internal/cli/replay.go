package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
)

// replayOptions are what jobdrop replay is asked for.
type replayOptions struct {
	folder string
	dryRun bool
	limit  int
}

func newReplay(env Env, run func(context.Context, Env, replayOptions) error) *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay FOLDER",
		Short: "Run drops that lie in the inbox and were never looked at",
		Long: `Run the drops of the inbox in FOLDER and below (teams/nlp/ or
gs://INBOX/teams/nlp/) that jobdrop never looked at: such that are older than
the installation, or whose storage event was lost more than 48 hours ago. Drops
that it knows are left alone, whatever became of them: upload their job file
again to run them again.

The command does what the function Submit does, with your own credentials. It
reads the same environment: JOBDROP_INSTANCE, JOBDROP_INBOX and the others,
which gcloud functions describe Submit shows, and the --env-file of jobdrop
local holds.

Exit codes: 0 all were looked at, 64 wrong usage or environment, 70 some could
not be looked at; run it again.`,
		Example: `  jobdrop replay teams/nlp/ --dry-run
  jobdrop replay gs://acme-inbox/census/`,
		Args: takes("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.limit < 1 {
				return errors.New("--limit must be 1 or more")
			}
			o.folder = args[0]
			return run(c.Context(), env, o)
		},
	}
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "only say which drops would be run")
	c.Flags().IntVar(&o.limit, "limit", 100, "most drops to run, or to say so of")
	return c
}

func replay(ctx context.Context, env Env, o replayOptions) error {
	a, inbox, err := installation(ctx, env)
	if err != nil {
		return err
	}
	folder, err := o.folderOf(inbox)
	if err != nil {
		return err
	}
	found, failed := 0, 0
	err = a.Watcher.Replay(ctx, folder, o.dryRun, o.limit, func(r watcher.Replayed) error {
		if !r.Known {
			found++
		}
		if r.Err != nil {
			failed++
		}
		uploaded := r.JobFile.Created.UTC().Format("2006-01-02 15:04:05")
		_, err := fmt.Fprintf(env.Out, "gs://%s/%s  uploaded %s  %s\n",
			inbox, oneLine(r.JobFile.Name), uploaded, oneLine(o.describe(r)))
		return err
	})
	switch {
	case errors.Is(err, watcher.ErrMore):
		err = fmt.Errorf("there are more than %d: raise --limit, or name a folder further down", o.limit)
		if !o.dryRun {
			err = fmt.Errorf("%w; run it again to go on", err)
		}
	case err == nil && failed > 0:
		err = fmt.Errorf("%d of %d could not be looked at", failed, found)
	case err == nil && o.dryRun:
		_, err = fmt.Fprintf(env.Out, "Drops that would be run: %d\n", found)
	case err == nil:
		_, err = fmt.Fprintf(env.Out, "Drops that were run: %d\n", found)
	}
	return fault(err)
}

// folderOf returns the folder as the inbox has it, without gs://.
func (o replayOptions) folderOf(inbox string) (string, error) {
	folder := o.folder
	if rest, ok := strings.CutPrefix(folder, "gs://"); ok {
		bucket, below, _ := strings.Cut(rest, "/")
		if bucket != inbox {
			return "", exit(exitUsage, "%s is not in the inbox, gs://%s/", folder, inbox)
		}
		folder = below
	}
	if strings.Trim(folder, "/") == "" {
		return "", exit(exitUsage, "name a folder: a replay of the whole inbox could run every drop of years")
	}
	return folder, nil
}

// describe says what was done about a drop, and what became of it.
func (o replayOptions) describe(r watcher.Replayed) string {
	var text string
	switch {
	case r.Known:
		text = "known"
	case r.Err != nil:
		text = "failed"
	case o.dryRun:
		text = "would run"
	default:
		text = "run"
	}
	if r.State != "" {
		text += ", now " + string(r.State)
	}
	switch {
	case r.Err != nil:
		text += ": " + r.Err.Error()
	case r.Reason != "":
		text += ": " + r.Reason
	}
	return text
}

// installation returns the use cases of the installation that the environment names,
// and its inbox.
func installation(ctx context.Context, env Env) (*app.App, string, error) {
	c, err := described(ctx, env)
	if err != nil {
		return nil, "", err
	}
	a, err := app.Load(ctx, env.lookup)
	if err != nil {
		return nil, "", fault(err)
	}
	return a, c.Inbox, nil
}

// described returns the settings of the installation that the environment describes. Its storage answers, if it is an
// emulator.
func described(ctx context.Context, env Env) (config.Config, error) {
	c, err := config.Load(env.lookup)
	if err != nil {
		return c, exit(exitUsage, "%w", err)
	}
	if err := gcs.Answers(ctx, c.StorageEmulator); err != nil {
		return c, missing(err)
	}
	return c, nil
}

// lookup looks a setting up for a command that works on an installation.
func (e Env) lookup(name string) (string, bool) {
	value := e.Getenv(name)
	if name == "JOBDROP_LOG_LEVEL" && value == "" {
		value = "WARN" // the command says itself what it does
	}
	return value, value != ""
}
