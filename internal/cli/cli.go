// Package cli is the command line jobdrop: it runs drops on this machine and
// checks them before they are uploaded.
//
// Each command has a file. Its constructor, newX, parses a command line into an
// options struct and hands that to a function that does the work.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
	// Terminal reports whether Out is a terminal, ErrTerminal whether Err is one.
	Terminal, ErrTerminal bool
	// Size returns the terminal's size in characters, zero if it is not known. It may be nil.
	Size func() (width, height int)
	// Getenv returns the value of an environment variable, or nothing if it is not set.
	Getenv func(name string) string
	// Build is what the linker was given; empty if it was given nothing.
	Build Build
}

// Run runs a command line and returns its exit code.
func Run(ctx context.Context, env Env, args []string) int {
	c := newRoot(env)
	c.SetArgs(append([]string{}, args...)) // nil would stand for the process's own
	c.SetIn(env.In)
	c.SetOut(env.Out)
	c.SetErr(env.Err)
	if len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		newCompletions(env).add(c)
	}
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
	case len(args) > 0 && args[0] == "gcloud":
		err = errQuotes
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

// newGroup returns a command that only holds others.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, DisableFlagsInUseLine: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			c.SuggestionsMinimumDistance = 2 // the library's own, which it sets for the root alone
			near := ""
			if names := c.SuggestionsFor(args[0]); len(names) > 0 {
				near = fmt.Sprintf("; did you mean %q?", names[0])
			}
			return fmt.Errorf("%q is not a command of %s%s", args[0], c.CommandPath(), near)
		},
		// Without a function of its own the library would print the help, whatever the arguments.
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(commands...)
	return c
}

func newRoot(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "jobdrop",
		Short: "Drop a trainer package and a job.yaml into a bucket; jobdrop runs them as a training job",
		Long: `Drop a trainer package and a job.yaml into a bucket. jobdrop checks them, runs
them as a training job, and tells everyone who asked what became of it.

This command runs drops on this machine, on an embedded stack that speaks the
real protocols, checks them, drops them into an installation, waits for their
verdict, and shows what goes on there, and why.`,
		Example: `  jobdrop run testdata/drops/hello
  jobdrop validate testdata/drops/hello
  jobdrop submit census_1 --config job.yaml --package-path trainer --wait
  jobdrop why census_1`,
		Version:       env.build().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	wrapped := fmt.Sprintf(".FlagUsagesWrapped %d", tableWidth)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", wrapped))
	for _, g := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"On this machine:", []*cobra.Command{
			newRun(env, runDrop), newLocal(env, runLocal), newValidate(env, validate), newPlan(env, showPlan),
			newExplain(env, explain),
		}},
		{"Drop, and wait for the verdict:", []*cobra.Command{newSubmit(env, submit), newWait(env, wait)}},
		{"See what goes on, and steer it:", []*cobra.Command{
			newStatus(env, showStatus), newWhy(env, explainWhy), newEvents(env, showEvents), newLogs(env, showLogs),
			newConsole(env, showConsole),
			newCancel(env, ask), newRerun(env, ask),
		}},
		{"For operators:", []*cobra.Command{
			newDoctor(env, diagnose), newPolicy(env), newNotify(env), newReplay(env, replay), newReindex(env, reindex),
		}},
	} {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.title
			root.AddCommand(c)
		}
	}
	root.AddCommand(newVersion(env, showVersion), newMan(env, writeMan), newFunctions(env, serveFunctions))
	return root
}

// oneOf returns an error if the value of a flag is not one of those allowed.
func oneOf(flag, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%s is %q, must be %s", flag, value, text.Alternatives(allowed...))
}

// meant asks whether one of some words was meant by another, if one is near; else it lists them.
func meant(word string, known []string) string {
	near := slices.MinFunc(known, func(a, b string) int {
		return cmp.Compare(text.Distance(word, a), text.Distance(word, b))
	})
	if text.Distance(word, near) <= max(2, len(word)/3) {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; there are " + strings.Join(known, ", ")
}
