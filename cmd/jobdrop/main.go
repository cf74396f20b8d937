// Command jobdrop runs drops on this machine and checks them before they are
// uploaded.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/local/functions"
)

// The exit codes; those from 64 on are sysexits'.
const (
	exitSucceeded = 0
	exitFailed    = 1  // the job failed, was cancelled, timed out or was lost
	exitRejected  = 2  // the drop is no valid job, or incomplete
	exitUsage     = 64 // the command line is wrong
	exitMissing   = 69 // this machine lacks something
	exitFault     = 70 // jobdrop's own fault
)

func main() {
	var ends []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // as nohup wishes
			ends = append(ends, s)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	// A closed output is an error of the write, and no end of the process
	// before its jobs are ended. Ignoring the signal would pass that on to them.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs a command line and gives its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := command()
	c.SetArgs(args)
	c.SetIn(stdin)
	c.SetOut(stdout)
	c.SetErr(stderr)
	err := c.ExecuteContext(ctx)
	var code *exitError
	switch {
	case err == nil:
		return exitSucceeded
	case errors.As(err, &code):
		if code.err != nil {
			fmt.Fprintln(stderr, "jobdrop:", printable(code.err.Error()))
		}
		return code.code
	}
	// Whatever else the command line library returns is about the command line.
	fmt.Fprintf(stderr, "jobdrop: %s\nRun 'jobdrop --help' for the commands and their flags.\n", printable(err.Error()))
	return exitUsage
}

// exitError ends the command with a code, and says why where err is set.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprintf("exit %d: %v", e.code, e.err) }
func (e *exitError) Unwrap() error { return e.err }

// exit gives an error that ends the command with a code.
func exit(code int, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf(format, args...)}
}

func command() *cobra.Command {
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
	root.AddCommand(runCommand(), localCommand(), logsCommand(), validateCommand(), planCommand(), policyCommand(), replayCommand(), functionsCommand())
	return root
}

// version is the module's, as the build recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}

// functionsCommand is how the local stack starts the functions: this program
// again, as a process of their own.
func functionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "functions ADDRESS [HOST…]", Short: "Serve the functions", Hidden: true, Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := functions.Serve(args[0], args[1:], c.InOrStdin()); err != nil {
				return &exitError{code: exitFault, err: err}
			}
			return nil
		},
	}
}
