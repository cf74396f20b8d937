package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/flow/notifier"
)

// notifyReplayOptions are what jobdrop notify replay is asked for.
type notifyReplayOptions struct {
	attempts []string
	since    time.Duration // 0 for the attempts
	dryRun   bool
}

func newNotifyReplay(env Env, run func(context.Context, Env, notifyReplayOptions) error) *cobra.Command {
	var o notifyReplayOptions
	c := &cobra.Command{
		Use:   "replay ATTEMPT... | --since DURATION",
		Short: "Send what was given up, and what waits, now",
		Long: `Send what was given up, and what waits, now. Given up are messages that a
destination refused, or did not take for a day; what waits for a later try is
made due at once. ATTEMPT is an attempt as events and notify explain have it;
--since takes all that was given up, or was to be sent first, in that time. The
function Notify sends them at its next tick, within a minute or so; what was
sent before is not sent again.

` + notifyEnvironment + `

Exit codes: 0 done, even if there was nothing to send, 64 wrong usage or
environment, 70 not all could be read or written; run it again.`,
		Example: `  jobdrop notify replay --since 24h --dry-run
  jobdrop notify replay "$ATTEMPT"`,
		RunE: func(c *cobra.Command, args []string) error {
			switch since := c.Flags().Changed("since"); {
			case !since && len(args) == 0:
				return errors.New("name attempts, or a time with --since")
			case since && len(args) > 0:
				return errors.New("attempts and --since exclude each other")
			case since && o.since <= 0:
				return errors.New("--since must be more than 0")
			}
			for _, a := range args {
				if !attemptForm.MatchString(a) {
					return notAnAttempt(a)
				}
			}
			o.attempts = args
			return run(c.Context(), env, o)
		},
	}
	c.Flags().Var((*hours)(&o.since), "since", "all of this time, such as 24h")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "only say what would be sent")
	return c
}

// hours is the value of a flag that takes a duration, and says how days are written.
type hours time.Duration

func (h *hours) String() string { return time.Duration(*h).String() }
func (h *hours) Type() string   { return "duration" }

// Set reads the value.
func (h *hours) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err == nil {
		*h = hours(d)
		return nil
	}
	if days, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && strings.HasSuffix(text, "d") {
		return fmt.Errorf("there is no unit d: write %dh", 24*days)
	}
	return errors.New("write a time such as 24h or 90m")
}

func replayMessages(ctx context.Context, env Env, o notifyReplayOptions) error {
	in, err := notifyInstallation(ctx, env)
	if err != nil {
		return err
	}
	found, last := 0, ""
	each := func(r notifier.Replayed) error {
		text := ""
		if r.Attempt != last {
			text, last = r.Attempt+"\n", r.Attempt
		}
		found++
		text += itemOf(fmt.Sprintf("event %d to %s, by route %s: %s", r.Sequence, r.Destination, r.Route, replayedWhy(r)))
		_, err := io.WriteString(env.Out, text)
		return err
	}
	if o.since > 0 {
		err = in.notifier.Replay(ctx, "", in.storage.Now().Add(-o.since), o.dryRun, each)
	}
	for _, a := range o.attempts {
		err = errors.Join(err, in.notifier.Replay(ctx, a, time.Time{}, o.dryRun, each))
	}
	if err == nil && o.dryRun {
		_, err = fmt.Fprintf(env.Out, "Messages that would be sent: %d\n", found)
	} else if err == nil {
		_, err = fmt.Fprintf(env.Out, "Messages that the next tick sends: %d\n", found)
	}
	return fault(err)
}

// replayedWhy says why a message was not sent before.
func replayedWhy(r notifier.Replayed) string {
	switch {
	case !r.Waiting:
		return "it was given up: " + r.Error
	case r.Error == "":
		return "it waited for its first try"
	}
	return "it waited; the last try said: " + r.Error
}

// itemOf returns a text that is set in below a line, in the width of a table.
func itemOf(text string) string {
	return strings.Repeat(" ", indent) +
		strings.Join(fold(cell(text), tableWidth-indent), "\n"+strings.Repeat(" ", indent)) + "\n"
}
