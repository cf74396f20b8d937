package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/text"
)

// notifyWaitingOptions are what jobdrop notify waiting is asked for.
type notifyWaitingOptions struct{ format string }

func newNotifyWaiting(env Env, run func(context.Context, Env, notifyWaitingOptions) error) *cobra.Command {
	var o notifyWaitingOptions
	c := &cobra.Command{
		Use:   "waiting",
		Short: "List the messages that wait, and why",
		Long: `List the messages that wait, by destination, the oldest first: those that a
destination has not taken yet. notify explain says more of one attempt, notify
replay has messages tried at once.

` + notifyEnvironment + `

Exit codes: 0 done, 64 wrong usage or environment, 70 not all could be read.`,
		Example: `  jobdrop notify waiting
  jobdrop notify waiting --format json | jq -r .[].attempt`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := oneOf("--format", o.format, formatText, formatJSON); err != nil {
				return err
			}
			return run(c.Context(), env, o)
		},
	}
	c.Flags().StringVar(&o.format, "format", formatText, text.Alternatives(formatText, formatJSON))
	return c
}

// waitingMessage is a message that waits. Its JSON is what --format json lists.
type waitingMessage struct {
	Destination string `json:"destination"`
	Route       string `json:"route"`
	// Drop is empty if the attempt has no record any more.
	Drop     string `json:"drop,omitempty"`
	Attempt  string `json:"attempt"`
	Sequence int64  `json:"sequence"`
	// Since is when it was due first, Next when the next try is.
	Since time.Time `json:"since"`
	Next  time.Time `json:"next,omitzero"`
	Error string    `json:"error,omitempty"`
}

func listWaiting(ctx context.Context, env Env, o notifyWaitingOptions) error {
	in, err := notifyInstallation(ctx, env)
	if err != nil {
		return err
	}
	all := []waitingMessage{}
	drops := map[string]string{}
	err = in.notifier.Waiting(ctx, func(w notifier.Waits) error {
		drop, known := drops[w.Attempt]
		if !known {
			e, ok, err := in.newest(ctx, w.Attempt)
			if err != nil {
				return err
			}
			if ok {
				drop = "gs://" + e.Body.Drop.Bucket + "/" + e.Body.Drop.Prefix
			}
			drops[w.Attempt] = drop
		}
		all = append(all, waitingMessage{
			Destination: w.Destination, Route: w.Route, Drop: drop, Attempt: w.Attempt, Sequence: w.Sequence,
			Since: w.Since.UTC(), Next: w.Next.UTC(), Error: w.Error,
		})
		return nil
	})
	if err != nil {
		return fault(err)
	}
	slices.SortStableFunc(all, func(a, b waitingMessage) int {
		return cmp.Or(cmp.Compare(a.Destination, b.Destination), a.Since.Compare(b.Since))
	})
	if o.format == formatJSON {
		return fault(encode(env.Out, all))
	}
	return fault(writeWaiting(env.Out, all))
}

func writeWaiting(w io.Writer, all []waitingMessage) error {
	var b strings.Builder
	for i, m := range all {
		if i == 0 || all[i-1].Destination != m.Destination {
			if i > 0 {
				b.WriteString("\n")
			}
			b.WriteString(m.Destination + "\n")
		}
		next := "at once"
		if !m.Next.IsZero() {
			next = text.Instant(m.Next)
		}
		fmt.Fprintf(&b, "  %s\n", oneLine(cmp.Or(m.Drop, "a drop of which there is no record")))
		b.WriteString(itemOf(fmt.Sprintf("event %d of %s", m.Sequence, m.Attempt)))
		b.WriteString(itemOf(fmt.Sprintf("by route %s, waits since %s", m.Route, text.Instant(m.Since))))
		b.WriteString(itemOf("next try: " + next))
		if m.Error != "" {
			b.WriteString(itemOf(m.Error))
		}
	}
	if len(all) > 0 {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Messages that wait: %d\n", len(all))
	_, err := io.WriteString(w, b.String())
	return err
}
