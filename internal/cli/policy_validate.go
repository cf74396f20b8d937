package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/check/policy"
)

// policyValidateOptions are what jobdrop policy validate is asked for.
type policyValidateOptions struct {
	paths  []string
	format reportFormat
}

func newPolicyValidate(env Env, run func(context.Context, Env, policyValidateOptions) error) *cobra.Command {
	var o policyValidateOptions
	c := &cobra.Command{
		Use:   "validate POLICY...",
		Short: "Check policies, each violation with its line",
		Long: `Check policies, each violation with its line.

Exit codes: 0 all are valid, 2 one is not, 64 wrong usage. Warnings change no
exit code.`,
		Example: `  jobdrop policy validate policy.yaml
  jobdrop policy validate policy.yaml --format github`,
		Args: takes("POLICY…"),
		RunE: func(c *cobra.Command, paths []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			o.paths = paths
			return run(c.Context(), env, o)
		},
	}
	o.format.flag(c.Flags())
	return c
}

func validatePolicies(_ context.Context, env Env, o policyValidateOptions) error {
	var reports []report
	for _, path := range o.paths {
		data, err := readLocal(path)
		if err != nil {
			return err
		}
		_, vs := policy.Parse(path, data)
		reports = append(reports, fileReport(path, data, vs))
	}
	if err := o.format.write(env, reports); err != nil {
		return fault(err)
	}
	return verdict(env.Err, reports, string(o.format))
}
