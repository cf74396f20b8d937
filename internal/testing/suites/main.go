// Command suites holds the local stack to the tests of those who know the cloud: rclone's
// and gocloud.dev's, those of Google's clients for Go, and a page of calls with its clients
// for Node. It starts jobdrop local, downloads what is tested, in the versions that are
// pinned in suites.go and node/package.json, and compares what fails with exceptions.txt.
//
//	go run ./internal/testing/suites [SUITE ...]
//
// Without names all suites run. It prints a line for each, then what failed unexpectedly,
// and exceptions that no longer hold; if there is any of these, the exit status is 1. It needs
// the Go module proxy and npm. What it downloads and unpacks stays in the user's cache
// folder.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/jobdrop/jobdrop/internal/testing/testjson"
)

//go:embed exceptions.txt
var exceptionsText string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "suites:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string, stdout io.Writer) (err error) {
	suites, err := named(all(), names)
	if err != nil {
		return err
	}
	exceptions, err := parseExceptions(exceptionsText, all())
	if err != nil {
		return fmt.Errorf("internal/testing/suites/exceptions.txt: %w", err)
	}
	s, err := startStack(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()

	var details []func()
	var errs []error
	for _, u := range suites {
		began := time.Now()
		r, err := u.test(ctx, s, of(exceptions, u.name, notRun))
		if err != nil {
			fmt.Fprintf(stdout, "%-16s  could not run, see below\n", u.name)
			errs = append(errs, fmt.Errorf("%s: %w", u.name, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		v := r.judge(of(exceptions, u.name, fails), u.least)
		v.line(stdout, u, time.Since(began))
		if v.failed() {
			details = append(details, func() { v.details(stdout, u) })
		}
	}
	for _, show := range details {
		show()
	}
	if len(details) > 0 {
		errs = append(errs, fmt.Errorf("%d of %d suites are not as they should be", len(details), len(suites)))
	}
	return errors.Join(errs...)
}

// test runs a suite without the exceptions' tests.
func (u suite) test(ctx context.Context, s *stack, left []exception) (*result, error) {
	if u.module == "" {
		return testNode(ctx, s, left)
	}
	root, err := u.source(ctx)
	if err != nil {
		return nil, err
	}
	functions, err := u.functions(root)
	if err != nil {
		return nil, err
	}
	if none := absent(left, functions); len(none) > 0 {
		return nil, fmt.Errorf("there is no test %s: mend line %d of exceptions.txt", none[0].pattern, none[0].line)
	}
	args := []string{"test", "-json", "-count=1", "-timeout=" + u.timeout.String(), "-run=" + u.run}
	if len(left) > 0 {
		args = append(args, "-skip="+skip(left))
	}
	args = append(args, u.pkg)
	if u.flag != "" {
		args = append(args, u.flag) // behind the package: go test may not know it
	}
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = root
	c.Env = append(s.environ(u.env), "GOWORK=off", "PWD="+root)
	return events(c)
}

// events runs a command that writes go test's events.
func events(c *exec.Cmd) (*result, error) {
	// An interrupt lets go test end what it has started.
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	said := &bounded{}
	c.Stderr = said
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	r := newResult()
	err = testjson.Read(out, r.take)
	ended := c.Wait() // with an error if a test failed: the events say so, too
	if err != nil {
		return nil, errors.Join(err, ended, errors.New(said.String()))
	}
	r.build.WriteString(said.String())
	return r, nil
}

// bounded keeps the last 64 KiB of what a program says.
type bounded struct{ text []byte }

func (b *bounded) Write(p []byte) (int, error) {
	const most = 64 << 10
	b.text = append(b.text, p...)
	b.text = b.text[max(0, len(b.text)-most):]
	return len(p), nil
}

func (b *bounded) String() string { return string(b.text) }
