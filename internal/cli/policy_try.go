package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// policyTestOptions are what jobdrop policy test is asked for.
type policyTestOptions struct {
	fieldOptions
	target targetOptions
	drop   string
	format string
}

func newPolicyTest(env Env, run func(context.Context, Env, policyTestOptions) error) *cobra.Command {
	var o policyTestOptions
	c := &cobra.Command{
		Use:   "test POLICY DROP",
		Short: "Tell what each rule of a policy says of a drop, and why",
		Long: `Tell what each rule of a policy says of a drop, and why. DROP is a folder with a
job file and packages, a job file alone, or - for a job file on standard input.

Each line is one rule's verdict on one field:

  allowed    the policy, or what holds without one, lets the value pass
  refused    it does not, and the drop is rejected
  defaulted  the policy itself gave the value
  not asked  the job leaves the matter open
  not known  it depends on the installation: see --project and --inbox

and the place in the policy that decided, or "built in" where it says nothing. A
pause, and limits on the number of jobs, refuse nothing: they are told below.
Of a budget in accelerator hours the rule says what the job may take at most;
with --env what is left at an installation is told, too. Those to whom the
console on Cloud Run shows the drop, by the policy's viewers, come last.
Whatever else is wrong in the drop is printed after it, as jobdrop validate
prints it.

Exit codes: 0 the drop passes, 2 it is rejected or incomplete, 64 wrong usage, a
policy that is not valid included.`,
		Example: `  jobdrop policy test policy.yaml my-drop --folder teams/nlp/my-drop
  jobdrop policy test policy.yaml job.yaml --project my-project --format json
  jobdrop policy test policy.yaml my-drop --folder teams/nlp/a --env acme.env`,
		Args: takes("POLICY", "DROP"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("--format", o.format, formatText, formatJSON); err != nil {
				return err
			}
			if err := o.complete(); err != nil {
				return err
			}
			o.policy, o.drop = args[0], args[1]
			return run(c.Context(), env, o)
		},
	}
	o.flags(c.Flags())
	o.target.flags(c.Flags())
	c.Flags().Lookup("env").Usage = "file of an installation's settings, to tell what is left there of a budget"
	c.Flags().StringVar(&o.format, "format", formatText, text.Alternatives(formatText, formatJSON))
	return c
}

// trial is what a policy says of a drop. Its JSON is what --format json prints.
type trial struct {
	report
	// Folder is the one by which the policy's prefixes went.
	Folder    string            `json:"folder"`
	Decisions []policy.Decision `json:"decisions"`
	// Waits says what the job of an accepted drop waits for, or may.
	Waits []string `json:"waits,omitempty"`
	// Budget is what is left of a budget of accelerator hours, with --env.
	Budget *account.Budget `json:"budget,omitempty"`
	// Viewers are those to whom the console on Cloud Run shows the drop.
	Viewers []policy.Shown `json:"viewers,omitempty"`
}

func tryPolicy(ctx context.Context, env Env, o policyTestOptions) error {
	v, err := newValidator(o.fieldOptions, env.In)
	if err != nil {
		return faulty(env, err)
	}
	found, err := v.inspect(ctx, o.drop)
	if err != nil {
		return err
	}
	t := trial{report: found.report(), Folder: found.folder, Decisions: []policy.Decision{}}
	if found.File != nil {
		t.Waits = v.policy.Start(found.folder).Terms()
		if in := found.File.Spec.TrainingInput; in != nil {
			t.Viewers = v.policy.ShownTo(found.folder, in.JobDir)
		}
		t.Decisions = append(t.Decisions, v.policy.For(found.folder).Explain(found.File, found.Resolution)...)
		if t.Budget, err = o.budget(ctx, env, v.policy, found.folder, found.File); err != nil {
			return ended(ctx, err)
		}
	}
	if o.format == formatJSON {
		err = encode(env.Out, t)
	} else {
		err = t.writeText(env)
	}
	if err != nil {
		return fault(err)
	}
	return verdict(env.Err, []report{t.report}, o.format)
}

// budget returns what is left of the budget that decides for a drop, if an installation is named.
func (o policyTestOptions) budget(
	ctx context.Context, env Env, p policy.Policy, folder string, f *jobspec.File,
) (*account.Budget, error) {
	if o.target.env == "" || f.Spec.TrainingInput == nil {
		return nil, nil
	}
	installation, err := o.target.view(ctx, env)
	if err != nil {
		return nil, err
	}
	asked, _ := plan.New(job.Order{Spec: f.Spec, Mapping: p.For(folder).Mapping(f.Spec.TrainingInput, f.Options.Vertex)})
	return installation.accounts.Budget(ctx, p, folder, asked.MostAcceleratorSeconds())
}

func (t trial) writeText(env Env) error {
	w := env.Out
	var b strings.Builder
	// Five columns do not fit: rule and reason stand below the field.
	rows := [][]string{{"VERDICT", "FIELD", "VALUE"}, {"", "RULE", "BECAUSE"}}
	for _, d := range t.Decisions {
		rows = append(rows, []string{string(d.Verdict), cell(d.Field), cmp.Or(cell(d.Value), "-")},
			[]string{"", string(d.Rule), cell(d.Because)})
	}
	b.WriteString(table(rows))
	if len(t.Waits) > 0 {
		fmt.Fprintf(&b, "\nIts job may have to wait: %s.\n", oneLine(strings.Join(t.Waits, "; ")))
	}
	if t.Budget != nil {
		fmt.Fprintf(&b, "Accelerator hours: %s.\n", oneLine(t.Budget.String()))
	}
	if len(t.Viewers) > 0 {
		b.WriteString("\n")
		rows = [][]string{{"VIEWER", "SEES", "BECAUSE"}}
		for _, s := range t.Viewers {
			sees := "the drop"
			if s.Outputs {
				sees = "the drop, its outputs"
			}
			rows = append(rows, []string{cell(s.Member), sees, cell(s.Because)})
		}
		b.WriteString(table(rows))
	}
	if len(t.Violations)+len(t.Missing) > 0 {
		b.WriteString("\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	return writeText(w, env.width(), []report{t.report})
}
