// Package cli is the command line jobdrop: it runs drops on this machine and
// checks them before they are uploaded.
//
// Each command has a file. Its constructor, newX, parses a command line into an
// options struct and hands that to a function that does the work.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/text"
)

// Env is what a command sees of its process.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Now      func() time.Time
	// Terminal reports whether Out is a terminal.
	Terminal bool
	// Getenv returns the value of an environment variable, or nothing if it is not set.
	Getenv func(name string) string
}

// Run runs a command line and returns its exit code.
func Run(ctx context.Context, env Env, args []string) int {
	c := newRoot(env)
	c.SetArgs(append([]string{}, args...)) // nil would stand for the process's own
	c.SetIn(env.In)
	c.SetOut(env.Out)
	c.SetErr(env.Err)
	used, err := c.ExecuteContextC(ctx)
	var code *exitError
	switch {
	case err == nil:
		return exitSucceeded
	case errors.As(err, &code):
		if code.err != nil {
			fmt.Fprintln(env.Err, "jobdrop:", text.Printable(code.err.Error()))
		}
		return code.code
	}
	// Whatever else the command line library returns is about the command line.
	fmt.Fprintf(env.Err, "jobdrop: %s\nRun '%s --help' for %s.\n", text.Printable(err.Error()), used.CommandPath(), helpOf(used))
	return exitUsage
}

// helpOf says what the help of a command is about.
func helpOf(c *cobra.Command) string {
	if c.HasAvailableSubCommands() {
		return "the commands and their flags"
	}
	return "its flags and examples"
}

// takes returns a check of a command's arguments, by their names as its usage has them.
// A name that ends with … stands for one or more.
func takes(names ...string) cobra.PositionalArgs {
	last := len(names) - 1
	return func(c *cobra.Command, args []string) error {
		usage := c.CommandPath() + " " + strings.Join(names, " ")
		switch {
		case len(args) <= last:
			return fmt.Errorf("%s is missing: %s", strings.TrimSuffix(names[len(args)], "…"), usage)
		case len(args) > len(names) && !strings.HasSuffix(names[last], "…"):
			return fmt.Errorf("%q is one argument too many: %s", args[len(names)], usage)
		}
		return nil
	}
}

func newRoot(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "jobdrop",
		Short: "Drop a trainer package and a job.yaml into a bucket; jobdrop runs them as a training job",
		Long: `Drop a trainer package and a job.yaml into a bucket. jobdrop checks them, runs
them as a training job, and tells everyone who asked what became of it.

This command runs drops on this machine, on an embedded stack that speaks the
real protocols, and checks them before they are uploaded.`,
		Example: `  jobdrop run testdata/drops/hello
  jobdrop validate testdata/drops/hello
  jobdrop local`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newRun(env, runDrop),
		newLocal(env, runLocal),
		newLogs(env, showLogs),
		newValidate(env, validate),
		newPlan(env, showPlan),
		newPolicy(env),
		newReplay(env, replay),
		newReindex(env, reindex),
		newFunctions(env, serveFunctions),
	)
	return root
}

// version returns the module's version, as the build recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}

// oneOf returns an error if the value of a flag is not one of those allowed.
func oneOf(flag, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%s is %q, must be %s", flag, value, alternatives(allowed...))
}

// alternatives joins words: "text, json or yaml".
func alternatives(words ...string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
