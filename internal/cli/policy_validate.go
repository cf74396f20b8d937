package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/check/policy"
)

func newPolicyValidate(env Env, run func(context.Context, Env, filesOptions) error) *cobra.Command {
	return newFilesValidate(env, "policy", "POLICY", "Check policies, each violation with its line", "policy.yaml", run)
}

func validatePolicies(_ context.Context, env Env, o filesOptions) error {
	return o.validate(env, func(path string, data []byte) report {
		_, vs := policy.Parse(path, data)
		return fileReport(path, data, vs)
	})
}
