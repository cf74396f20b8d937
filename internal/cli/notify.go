package cli

import "github.com/spf13/cobra"

func newNotify(env Env) *cobra.Command {
	return newGroup("notify", "Check an operator's routes, and what people were told by them",
		newNotifyValidate(env, validateRoutes), newNotifyTest(env, tryRoutes), newNotifyExplain(env, explainAttempt),
		newNotifyWaiting(env, listWaiting), newNotifyReplay(env, replayMessages))
}
