// Command bench measures what the function Submit costs next to other programs of the same contract: a drop's calls,
// its CPU time and how long it takes. It starts each program as a process of its own, with stand-ins of Cloud Storage,
// Pub/Sub and ml/v1 in this process, and sends it the events of a number of drops.
//
//	go run ./internal/testing/bench [FLAG ...] [-- COMMAND [ARGUMENT ...]]
//
// The stand-ins keep everything in memory, and a call costs the same however many objects there are. The plan of
// events depends on the flags alone, so every program gets the same. Two plain programs, in Go and for Node.js, are
// part of this: they do what a drop asks for without any of jobdrop's promises. docs/performance.md has the method, the
// contract that a COMMAND has to keep, and the tables, which this command writes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "jobdrop-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	b := &bench{options: o, root: root, dir: dir, stdout: stdout, stderr: stderr}
	if err := b.build(ctx); err != nil {
		return err
	}
	report, err := b.measure(ctx)
	if err != nil {
		return err
	}
	text := report.markdown()
	fmt.Fprint(stdout, text)
	if o.soak {
		return report.soaked()
	}
	if o.out == "" {
		return nil
	}
	if !filepath.IsAbs(o.out) {
		o.out = filepath.Join(root, o.out)
	}
	return rewrite(o.out, text)
}

// moduleRoot returns the folder of the module that the working directory is in.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "cmd", "server", "main.go")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not below the root of jobdrop's sources: run make bench there", dir)
		}
	}
}
