// Command gotest runs the tests of this module, as make test and CI do: the packages
// that take longest come first, so that none of them is left to run alone at the end.
// It prints a line for each package as it ends, with the output of what failed, and
// names the tests that were skipped. It leaves vet to make check, which vets all.
//
//	go run ./internal/testing/gotest [FLAG ...]
//
// Flags are passed on to go test.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jobdrop/jobdrop/internal/testing/testjson"
)

const module = "github.com/jobdrop/jobdrop"

// longest are the packages that take longest, in this order. What they wait for leaves
// the machine to others, so they begin together with those that compute.
var longest = []string{
	module + "/internal/local/training",
	module + "/internal/cli",
	module + "/internal/local",
	module + "/internal/flow/submitter",
	module + "/internal/check/pypkg",
	module + "/internal/local/storage",
	module + "/internal/backend/vertex",
	module + "/internal/testing/agree",
	module + "/internal/testing/sim",
	module + "/internal/local/messaging",
}

// deploy is the folder of packages that test programs of others and files, in one goroutine.
const deploy = module + "/deploy"

// plain are packages that are tested without the race detector, as those below deploy are. They compute in one
// goroutine, as TestPlain makes sure, and hand nothing to another: the detector can find nothing there, and makes
// JSON ten times slower.
var plain = []string{
	module + "/internal/attempt",
	module + "/internal/delivery",
	module + "/internal/local/training/internal/study",
}

// gorace are settings of the race detector. Without this one each process with goroutines sleeps for a second at its
// exit, so that they may still run into a race. The command line's tests start more than a hundred.
const gorace = "atexit_sleep_ms=0"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, flags []string, stdout, stderr io.Writer) error {
	list := exec.CommandContext(ctx, "go", "list", "./...")
	list.Stderr = stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	racing, others, err := order(strings.Fields(string(out)))
	if err != nil {
		return err
	}
	r := newReport(stdout)
	began := time.Now()
	var (
		group sync.WaitGroup
		errs  [2]error
	)
	for i, args := range [][]string{
		slices.Concat([]string{"-race", "-p=4", "-parallel=4"}, flags, racing),
		slices.Concat([]string{"-p=1"}, flags, others),
	} {
		group.Go(func() { errs[i] = test(ctx, args, r, stderr) })
	}
	group.Wait()
	r.end(time.Since(began))
	return errors.Join(errs[:]...)
}

// order returns the packages that are tested with the race detector, the longest first,
// and those that are tested without.
func order(packages []string) (racing, others []string, err error) {
	for _, p := range slices.Concat(longest, plain) {
		if !slices.Contains(packages, p) {
			return nil, nil, fmt.Errorf("there is no package %s: mend the lists in internal/testing/gotest", p)
		}
	}
	racing = slices.Clone(longest)
	for _, p := range packages {
		switch {
		case p == deploy || strings.HasPrefix(p, deploy+"/") || slices.Contains(plain, p):
			others = append(others, p)
		case !slices.Contains(longest, p):
			racing = append(racing, p)
		}
	}
	return racing, others, nil
}

// test runs go test and reports what it says.
func test(ctx context.Context, args []string, r *report, stderr io.Writer) error {
	c := exec.CommandContext(ctx, "go", slices.Concat([]string{"test", "-json", "-shuffle=on", "-timeout=30m", "-vet=off"},
		args)...)
	// An interrupt lets go test end what it has started.
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.Stderr = stderr
	c.Env = append(os.Environ(), "GORACE="+gorace+" "+os.Getenv("GORACE"))
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	err = testjson.Read(out, r.take)
	if ended := c.Wait(); ended != nil {
		return fmt.Errorf("go test: %w", ended)
	}
	return err
}
