package cli

import "github.com/spf13/cobra"

func newPolicy(env Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check an operator's policy, and what it says of a drop",
		Args:  cobra.NoArgs,
	}
	c.AddCommand(newPolicyValidate(env, validatePolicies), newPolicyTest(env, tryPolicy))
	return c
}
