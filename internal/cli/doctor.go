package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/api/option"
	"google.golang.org/api/transport"
	htransport "google.golang.org/api/transport/http"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/doctor"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
)

// doctorOptions are what jobdrop doctor is asked for.
type doctorOptions struct {
	targetOptions
	scheduler string
	format    formatFlag
}

func newDoctor(env Env, run func(context.Context, Env, doctorOptions) error) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check an installation, and say of each finding what to do about it",
		Long: `Check an installation: its settings, this machine's clock, whether the services
answer, the buckets and their rules, what wakes Submit, the topic, the
subscriptions and their dead letters, Watch's heartbeat, the policy, the routes
and their secrets, the deployed functions and their schedule, and your rights.
Each finding is ok, a warning, a problem, or skipped, and says what to do. All
checks run, each for at most 20 s. Nothing is changed, and no secret is read.

What takes a right that you lack is skipped, and the right is named. These are
enough for all: roles/viewer of the project, roles/storage.objectViewer and
roles/storage.bucketViewer on the buckets. docs/doctor.md lists the checks.

Exit codes: 0 no problem was found, whatever the warnings, 1 a problem was
found, 64 wrong usage, or there are no settings, 70 jobdrop's own fault, 130
interrupted.`,
		Example: `  jobdrop doctor --env acme.env
  # What is wrong, for a program.
  jobdrop doctor --env acme.env -o json |
    jq -r '.findings[] | select(.status == "problem") | .text'`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			return run(c.Context(), env, o)
		},
	}
	o.flags(c.Flags())
	o.format.flag(c.Flags())
	c.Flags().StringVar(&o.scheduler, "scheduler-region", "", "region of Cloud Scheduler, if it is not the functions' own")
	return c
}

func diagnose(ctx context.Context, env Env, o doctorOptions) error {
	lookup, err := o.lookup(env)
	if err != nil {
		return err
	}
	if o.env == "" { // as it is: commands that run the functions' code lower the log level
		lookup = func(name string) (string, bool) { v := env.Getenv(name); return v, v != "" }
	}
	if !anySet(lookup) {
		return exit(exitUsage, "there are no settings of an installation; --env names a file of them")
	}
	client, refused := doctorClient(ctx, lookup)
	return examine(ctx, env, o, doctor.Options{
		Lookup: lookup, Client: client, Credentials: refused, SchedulerRegion: o.scheduler, Now: env.Now,
	})
}

// anySet reports whether any setting of an installation is there.
func anySet(lookup config.Lookup) bool {
	for _, v := range config.Variables() {
		if value, _ := lookup(v.Name); value != "" && strings.HasPrefix(v.Name, "JOBDROP_") {
			return true
		}
	}
	return false
}

// doctorClient returns a client with the caller's credentials, or why there are none. A stack on this machine asks for
// none.
func doctorClient(ctx context.Context, lookup config.Lookup) (*http.Client, error) {
	if emulator, _ := lookup(gcs.EmulatorVariable); emulator != "" {
		return &http.Client{}, nil
	}
	scope := option.WithScopes("https://www.googleapis.com/auth/cloud-platform")
	credentials, err := transport.Creds(ctx, scope)
	if err != nil {
		return nil, err
	}
	if _, err := credentials.TokenSource.Token(); err != nil {
		return nil, err
	}
	client, _, err := htransport.NewClient(ctx, scope)
	return client, err
}

// examine examines an installation, and prints the report.
func examine(ctx context.Context, env Env, o doctorOptions, options doctor.Options) error {
	report, err := doctor.Examine(ctx, options)
	if err != nil {
		return ended(ctx, err)
	}
	if o.format == formatJSON {
		err = encode(env.Out, report)
	} else {
		err = writeReport(env, report)
	}
	if err != nil {
		return fault(err)
	}
	if report.Count(doctor.Problem) > 0 {
		return exitWith(exitFailed)
	}
	return nil
}

// writeReport writes findings as a table, each remedy below what it is for, and counts them. Where there is no
// terminal, a finding is one line, which its remedy ends.
func writeReport(env Env, report doctor.Report) error {
	width := env.width()
	var rows [][]string
	for _, f := range report.Findings {
		said := f.Text
		if f.On != "" {
			said = f.On + ": " + said
		}
		if f.Remedy != "" && !env.Terminal {
			said += " -> " + f.Remedy
		}
		rows = append(rows, []string{string(f.Status), f.Check, oneLine(said)})
		if f.Remedy != "" && env.Terminal {
			rows = append(rows, []string{"", "", "-> " + oneLine(f.Remedy)})
		}
	}
	var b strings.Builder
	text := hanging(rows, width)
	if env.colours() {
		text = paintStatuses(text)
	}
	b.WriteString(text)
	fmt.Fprintf(&b, "\nok %d, warning %d, problem %d, skipped %d\n", report.Count(doctor.OK),
		report.Count(doctor.Warning), report.Count(doctor.Problem), report.Count(doctor.Skipped))
	_, err := io.WriteString(env.Out, b.String())
	return err
}

// paintStatuses returns text with the status that begins a line in its colour.
func paintStatuses(text string) string {
	colours := map[doctor.Status]string{doctor.OK: green, doctor.Warning: yellow, doctor.Problem: red}
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		word, _, _ := strings.Cut(line, " ")
		if colour := colours[doctor.Status(word)]; colour != "" {
			lines[i] = colour + word + noColour + line[len(word):]
		}
	}
	return strings.Join(lines, "")
}
