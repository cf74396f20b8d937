package cli

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
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

  file:line:column: field: what is wrong (found …, allowed: …); remedy [rule]

jobdrop explain RULE says more of a rule.

What Vertex AI would refuse is among them where the job file says that it is to
run the job, by jobdrop.backend; where the file only has options for it, that is
a warning. jobdrop plan says it of any job, and what a backend would replace or
leave out.

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
  jobdrop validate - --defaults a.yaml --set region=us-east1 --explain <job.yaml`,
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
		return faulty(env, err)
	}
	var reports []report
	for _, path := range o.paths {
		found, err := v.inspect(ctx, path)
		if err != nil {
			return err
		}
		v.refused(&found, env.Now())
		r := found.report()
		if o.explain && found.File != nil {
			r.Explain = found.File.Explain()
		}
		reports = append(reports, r)
	}
	if err := o.format.write(env, reports); err != nil {
		return fault(err)
	}
	return verdict(env.Err, reports, string(o.format))
}

// refused adds what Vertex AI would refuse of a drop without faults whose job file says that it is to run the job. If the
// file only has options for it, another backend may run the job without them: these are warnings then.
func (v *validator) refused(f *found, now time.Time) {
	if f.File == nil || f.Incomplete() || job.HasErrors(f.Violations) {
		return
	}
	if o := f.Options; o.Backend != vertex.Name && (o.Backend != "" || o.Vertex == nil) {
		return
	}
	rules := v.policy.For(f.folder)
	_, told := vertex.NewRequest(cmp.Or(v.policy.Project, "PROJECT"),
		job.Order{Spec: f.Spec, Mapping: rules.Mapping(f.Spec.TrainingInput, f.Options.Vertex)}, now)
	f.Map(slices.DeleteFunc(told, func(d plan.Diagnostic) bool {
		return !job.HasErrors([]job.Violation{d.Violation(rules.Strict())})
	}), rules.Strict())
	if f.Options.Backend == vertex.Name {
		return
	}
	f.Final = false
	for i := range f.Violations {
		if v := &f.Violations[i]; v.Severity == job.Error { // there were none before
			v.Severity = job.Warning
			v.Message = "on Vertex AI " + v.Message
		}
	}
}
