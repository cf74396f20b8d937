package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// whyOptions are what jobdrop why is asked for.
type whyOptions struct {
	targetOptions
	name   string
	lines  int
	format formatFlag
}

func newWhy(env Env, run func(context.Context, Env, whyOptions) error) *cobra.Command {
	var o whyOptions
	c := &cobra.Command{
		Use:   "why ATTEMPT|JOB|DROP",
		Short: "Say why an attempt is where it is, step by step, with the evidence",
		Long: `Say why an attempt is where it is: first in a sentence, then step by step from
the upload on, each with where it stands: an object, a line of the policy, an
answer of the backend, the end of the log. Of a folder that no attempt is known
of, it says what lies there.

` + nameHelp + `

Rights: storage.objects.get on the state bucket. The others are said where they
are missing, in place of the evidence: storage.objects.get on the policy's
bucket and on the status bucket, storage.objects.list on the state bucket and
the inbox, and logging.logEntries.list on the project.

Exit codes: 0 said, whatever the state, 64 wrong usage or environment, 66 there
is no such attempt, and no drop in the folder, 69 a right or the storage is
missing, 70 jobdrop's own fault, 130 interrupted.`,
		Example: `  jobdrop why teams/nlp/census/ --env acme.env
  jobdrop why census_20261122_120000_0123456789ab -o json | jq -r .because`,
		Args: takes("ATTEMPT|JOB|DROP"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			if o.lines < 0 || o.lines > mostTail {
				return fmt.Errorf("--lines is %d, must be from 0 to %d", o.lines, mostTail)
			}
			o.name = args[0]
			return run(c.Context(), env, o)
		},
	}
	f := c.Flags()
	o.flags(f)
	o.format.flag(f)
	f.IntVar(&o.lines, "lines", usualEnd, "most lines of a failed job's log; 0 reads none")
	return c
}

func explainWhy(ctx context.Context, env Env, o whyOptions) error {
	v, err := o.view(ctx, env)
	if err != nil {
		return err
	}
	said, err := v.why(ctx, o)
	if err != nil {
		return ended(ctx, err)
	}
	a := explained{said, pageOf(v.address, said.Attempt)}
	if o.format == formatJSON {
		return fault(encode(env.Out, a))
	}
	return fault(writeAccount(env, env.Out, a))
}

// explained is an account, and the attempt's page in the installation's console, if the settings name that. Its JSON is
// what -o json prints.
type explained struct {
	account.Account
	Console string `json:"console,omitempty"`
}

// why returns the account of the attempt, or of the folder, that a name stands for.
func (v *view) why(ctx context.Context, o whyOptions) (account.Account, error) {
	r, err := v.record(ctx, o.name)
	unknown, ok := errors.AsType[*unknownError](err)
	switch {
	case err == nil:
		return v.accounts.Why(ctx, r, o.lines)
	case !ok || unknown.folder == "":
		return account.Account{}, err
	}
	a, err := v.accounts.Folder(ctx, unknown.folder)
	switch {
	case errors.Is(err, account.ErrNothing):
		err = unknown
	case lacks(err):
		err = exit(exitMissing, "%w; %w", unknown, err)
	}
	return a, err
}

// usualEnd is how many lines of a failed job's log are shown if nobody asks for another number.
const usualEnd = 10

// writeAccount writes an account for people.
func writeAccount(env Env, w io.Writer, a explained) error {
	var b strings.Builder
	width := env.width()
	b.WriteString(strings.TrimSpace(env.paint(job.State(a.State), a.State)+"  "+oneLine(a.Drop)+"  "+oneLine(a.JobID)) +
		"\n")
	b.WriteString(setIn(oneLine(a.Because), width, indent, indent))
	if a.Next != "" {
		b.WriteString(setIn("next: "+oneLine(a.Next), width, indent, indent))
	}
	if a.Console != "" {
		b.WriteString(setIn("page: "+oneLine(a.Console), width, indent, indent))
	}
	b.WriteString("\n")
	longest := 0
	for _, s := range a.Chain {
		longest = max(longest, len(s.Step))
	}
	const at = "2006-01-02 15:04:05"
	for _, s := range a.Chain {
		head := "-"
		if !s.At.IsZero() {
			head = s.At.UTC().Format(at)
		}
		head = fmt.Sprintf("%-*s  %-*s  ", len(at), head, longest, s.Step)
		b.WriteString(head + strings.TrimLeft(setIn(cell(s.Text), width, len(head), len(head)), " "))
		for _, e := range s.Evidence {
			b.WriteString(setIn(logText(strings.ReplaceAll(e, "\n", " "), false), width, indent, indent+gap))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
