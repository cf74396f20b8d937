package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/local/functions"
)

// functionsOptions are the arguments of jobdrop functions.
type functionsOptions struct {
	address string
	hosts   []string
}

// newFunctions returns the command by which the local stack starts the functions:
// this program again, in another process.
func newFunctions(env Env, run func(context.Context, Env, functionsOptions) error) *cobra.Command {
	return &cobra.Command{
		Use: "functions ADDRESS [HOST…]", Short: "Serve the functions", Hidden: true, Args: takes("ADDRESS…"),
		RunE: func(c *cobra.Command, args []string) error {
			return run(c.Context(), env, functionsOptions{address: args[0], hosts: args[1:]})
		},
	}
}

// serveFunctions serves until standard input ends: signals are for the process
// that holds the other end.
func serveFunctions(_ context.Context, env Env, o functionsOptions) error {
	return fault(functions.Serve(o.address, o.hosts, env.In))
}
