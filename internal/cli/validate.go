package cli

import (
	"context"

	"github.com/spf13/cobra"
)

// validateOptions are what jobdrop validate is asked for.
type validateOptions struct {
	fieldOptions
	paths   []string
	format  reportFormat
	explain bool
}

func newValidate(env Env, run func(context.Context, Env, validateOptions) error) *cobra.Command {
	var o validateOptions
	c := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check drops or job files, without running anything",
		Long: `Check drops or job files, without running anything. A PATH is a drop's folder
(its job file and packages), a job file alone, or - for a job file on standard
input, which reports call job.yaml. All violations are printed at once, each
with the line it is about:

  file:line:column: field: what is wrong (found ..., allowed: ...); remedy

Formats: text; json; sarif (2.1.0, for code scanning); github (workflow
commands, which mark the lines of a pull request).

A field's value is that of --set, which stands for the metadata that an upload
gives the job file's object; else the file's; else that of --defaults, else that
of --policy, unless the job's own choices exclude it. --explain shows each value
and its origin.

Exit codes: 0 all are valid, 2 one is rejected or incomplete, 64 wrong usage, a
policy or a file of defaults that is not valid included. Warnings change no exit
code.`,
		Example: `  jobdrop validate my-drop
  jobdrop validate job.yaml other/job.yaml --format json
  jobdrop validate my-drop --policy policy.yaml --folder teams/nlp/my-drop
  jobdrop validate - --defaults team.yaml --set region=us-central1 --explain <job.yaml`,
		Args: takes("PATH…"),
		RunE: func(c *cobra.Command, paths []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			if err := o.complete(); err != nil {
				return err
			}
			o.paths = paths
			return run(c.Context(), env, o)
		},
	}
	f := c.Flags()
	o.format.flag(f)
	o.flags(f)
	o.policyFlag(f)
	f.BoolVar(&o.explain, "explain", false, "show each field's value and where it comes from (text and json)")
	return c
}

func validate(ctx context.Context, env Env, o validateOptions) error {
	v, err := newValidator(o.fieldOptions, env.In)
	if err != nil {
		return faulty(env.Err, err)
	}
	var reports []report
	for _, path := range o.paths {
		found, err := v.inspect(ctx, path)
		if err != nil {
			return err
		}
		r := found.report()
		if o.explain && found.File != nil {
			r.Explain = found.File.Explain()
		}
		reports = append(reports, r)
	}
	if err := o.format.write(env.Out, reports); err != nil {
		return fault(err)
	}
	return verdict(env.Err, reports, string(o.format))
}
