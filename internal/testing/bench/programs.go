package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The programs that are part of this.
const (
	jobdrop = "jobdrop"
	plainGo = "go"
	node    = "node"
)

func allPrograms() []string { return []string{node, plainGo, jobdrop} }

// program is one that can be started.
type program struct {
	// environment is what an installation sets besides names.
	environment []string
	title       string
	command     []string
	dir         string
	// profiled is whether it serves debug pages at BENCH_DEBUG, and writes profiles where BENCH_PROFILE says.
	profiled bool
}

// bench measures programs.
type bench struct {
	options        options
	root, dir      string
	stdout, stderr io.Writer
	programs       []program
	// pkg is the package of every drop.
	pkg []byte
	// skipped says why a program is left out.
	skipped []string
}

// build makes the programs that are measured. One whose tools are missing is skipped, and that is said.
func (b *bench) build(ctx context.Context) error {
	var err error
	if b.pkg, err = os.ReadFile(filepath.Join(b.root, "testdata", "drops", "hello", "trainer-0.1.tar.gz")); err != nil {
		return err
	}
	plain := filepath.Join(b.root, "internal", "testing", "bench", "plain")
	for _, name := range b.options.programs {
		var p program
		var err error
		switch name {
		case jobdrop:
			p = program{
				title: "jobdrop", command: []string{filepath.Join(b.dir, "jobdrop"+suffix)},
				environment: []string{"GOGC=150", "GOMEMLIMIT=409MiB"}, // as Terraform sets them for 512 MiB
			}
			source := "./cmd/server"
			if b.options.profile != "" || b.options.soak {
				source, p.profiled = "./internal/testing/bench/profiled", true
			}
			err = b.tool(ctx, b.root, "go", "build", "-o", p.command[0], source)
		case plainGo:
			p = program{title: "plain Go", command: []string{filepath.Join(b.dir, "plain"+suffix)}}
			err = b.tool(ctx, filepath.Join(plain, "go"), "go", "build", "-o", p.command[0], ".")
		case node:
			if !b.has("node") || !b.has("npm") {
				b.skip("plain Node.js: node and npm are not on this machine")
				continue
			}
			p = program{title: "plain Node.js", dir: filepath.Join(plain, "node"), command: []string{
				"node", "node_modules/@google-cloud/functions-framework/build/src/main.js", "--target=Submit",
			}}
			err = b.tool(ctx, p.dir, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
		}
		if err != nil {
			return err
		}
		b.programs = append(b.programs, p)
	}
	if c := b.options.command; len(c) > 0 {
		b.programs = append(b.programs, program{title: filepath.Base(c[0]), command: c})
	}
	if len(b.programs) == 0 {
		return fmt.Errorf("there is no program to measure: %s", strings.Join(b.skipped, "; "))
	}
	return nil
}

func (b *bench) has(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}

func (b *bench) skip(why string) {
	b.skipped = append(b.skipped, why)
	fmt.Fprintln(b.stdout, "SKIPPED:", why)
}

// tool runs a tool. Its output is shown if it fails.
func (b *bench) tool(ctx context.Context, dir, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off")
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, said)
	}
	return nil
}
