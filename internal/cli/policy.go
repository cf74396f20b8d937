package cli

import "github.com/spf13/cobra"

func newPolicy(env Env) *cobra.Command {
	return newGroup("policy", "Check an operator's policy, and what it says of a drop",
		newPolicyValidate(env, validatePolicies), newPolicyTest(env, tryPolicy))
}
