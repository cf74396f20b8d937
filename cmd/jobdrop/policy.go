package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/check/policy"
)

func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check an operator's policy, and what it says of a drop",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(policyValidateCommand(), policyTestCommand())
	return c
}

func policyValidateCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "validate POLICY...",
		Short: "Check policies, each violation with its line",
		Long: `Check policies, each violation with its line.

Exit codes: 0 all are valid, 2 one is not, 64 wrong usage. Warnings change no
exit code.`,
		Example: `  jobdrop policy validate policy.yaml
  jobdrop policy validate policy.yaml --format github`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, paths []string) error {
			write := writer(format)
			if write == nil {
				return fmt.Errorf("--format is %q, must be text, json, sarif or github", format)
			}
			var reports []report
			for _, path := range paths {
				data, err := readLocal(path)
				if err != nil {
					return err
				}
				_, vs := policy.Parse(path, data)
				reports = append(reports, fileReport(path, data, vs))
			}
			if err := write(c.OutOrStdout(), reports); err != nil {
				return &exitError{code: exitFault, err: err}
			}
			return verdict(c.ErrOrStderr(), reports, format)
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text, json, sarif or github")
	return c
}

// trial is what a policy says of a drop; its JSON is what --format json prints.
type trial struct {
	report
	// Folder is the one by which the policy's prefixes went.
	Folder    string            `json:"folder"`
	Decisions []policy.Decision `json:"decisions"`
	// Waits says what the job of an accepted drop waits for, or may.
	Waits []string `json:"waits,omitempty"`
}

func policyTestCommand() *cobra.Command {
	var (
		fields fieldFlags
		format string
	)
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
Whatever else is wrong in the drop is printed after it, as jobdrop validate
prints it.

Exit codes: 0 the drop passes, 2 it is rejected or incomplete, 64 wrong usage, a
policy that is not valid included.`,
		Example: `  jobdrop policy test policy.yaml my-drop --folder teams/nlp/my-drop
  jobdrop policy test policy.yaml job.yaml --project my-project --format json`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format is %q, must be text or json", format)
			}
			v, err := newValidator(fields, args[0], c.InOrStdin())
			if err != nil {
				return faulty(c.ErrOrStderr(), err)
			}
			found, err := v.look(c.Context(), args[1])
			if err != nil {
				return err
			}
			t := trial{report: found.report(), Folder: found.folder, Decisions: []policy.Decision{}}
			if found.File != nil {
				t.Waits = v.policy.Start(found.folder).Terms()
				t.Decisions = append(t.Decisions, v.policy.For(found.folder).Explain(found.File, found.Resolution)...)
			}
			if format == "json" {
				err = encode(c.OutOrStdout(), t)
			} else {
				err = t.writeText(c.OutOrStdout())
			}
			if err != nil {
				return &exitError{code: exitFault, err: err}
			}
			return verdict(c.ErrOrStderr(), []report{t.report}, format)
		},
	}
	fields.flags(c.Flags())
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

func (t trial) writeText(w io.Writer) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VERDICT\tFIELD\tVALUE\tRULE\tBECAUSE")
	for _, d := range t.Decisions {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", d.Verdict, cell(d.Field), cmp.Or(cell(d.Value), "-"), d.Rule, cell(d.Because))
	}
	table.Flush() // a strings.Builder takes everything
	if len(t.Waits) > 0 {
		fmt.Fprintf(&b, "\nIts job may have to wait: %s.\n", oneLine(strings.Join(t.Waits, "; ")))
	}
	if len(t.Violations)+len(t.Missing) > 0 {
		b.WriteString("\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	return writeText(w, []report{t.report})
}
