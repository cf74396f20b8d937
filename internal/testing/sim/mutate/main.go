// Command mutate removes one safeguard after another from a copy of this module
// and reports who notices: the simulator, and in how many seeds, or a package's test.
// It prints the table of docs/delivery.md.
//
//	go run ./internal/testing/sim/mutate [-seeds 1000] [-all] [-by sim|tests] [NAME...]
//
// The safeguards are in mutations.go; a name may be a part of one. The simulator stops
// after five seeds that break a promise, unless -all has it run all of them.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	var o options
	flag.IntVar(&o.seeds, "seeds", 1000, "seeds for each mutation that the simulator finds")
	flag.BoolVar(&o.all, "all", false, "run all seeds, whatever they find")
	flag.StringVar(&o.by, "by", "", "try only what the simulator finds, or what tests find: sim or tests")
	flag.Parse()
	if err := run(o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

type options struct {
	seeds int
	all   bool
	by    string
}

// takes reports whether a mutation is to be tried.
func (o options) takes(m mutation, names []string) bool {
	if o.by == "sim" && m.by != (test{}) || o.by == "tests" && m.by == (test{}) {
		return false
	}
	return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return strings.Contains(m.name, name) })
}

// run tries the mutations that are named, or all.
func run(o options, names []string) error {
	dir, err := os.MkdirTemp("", "jobdrop-mutate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyModule(dir); err != nil {
		return err
	}
	fmt.Print("| without | found by |\n|---|---|\n")
	missed := 0
	var errs []error
	for _, m := range mutations {
		if !o.takes(m, names) {
			continue
		}
		by, err := try(dir, m, o)
		switch {
		case errors.Is(err, errMissed):
			missed++
			by = "nobody"
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
			continue
		}
		fmt.Printf("| %s | %s |\n", m.name, by)
	}
	if missed > 0 {
		errs = append(errs, fmt.Errorf("%d mutations were not found", missed))
	}
	return errors.Join(errs...)
}

// copyModule copies the module that the command is run in, but for what is hidden.
func copyModule(to string) error {
	parts, err := os.ReadDir(".")
	if err != nil {
		return err
	}
	for _, part := range parts {
		switch name := part.Name(); {
		case strings.HasPrefix(name, "."):
		case part.IsDir():
			err = os.CopyFS(filepath.Join(to, name), os.DirFS(name))
		default:
			var data []byte
			if data, err = os.ReadFile(name); err == nil {
				err = os.WriteFile(filepath.Join(to, name), data, 0o600)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errMissed says that nothing noticed a mutation.
var errMissed = errors.New("nothing noticed")

// try mutates the copy in dir, runs what should notice, and puts the copy back.
func try(dir string, m mutation, o options) (by string, err error) {
	for _, e := range m.edits {
		path := filepath.Join(dir, e.file)
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if n := bytes.Count(data, []byte(e.text)); n != 1 {
			return "", fmt.Errorf("%q stands %d times in %s", e.text, n, e.file)
		}
		defer func() { err = errors.Join(err, os.WriteFile(path, data, 0o600)) }()
		if err := os.WriteFile(path, bytes.Replace(data, []byte(e.text), []byte(e.by), 1), 0o600); err != nil {
			return "", err
		}
	}
	if m.by != (test{}) {
		return byTest(dir, m.by)
	}
	return bySeeds(dir, o.seeds, o.all)
}

// failed is what go test says of a test that failed, or that never came to an end.
var failed = regexp.MustCompile(`(?m)^(--- FAIL: |panic: )`)

func byTest(dir string, t test) (string, error) {
	out, err := gotest(dir, nil, "./"+t.pkg, "-run", t.run, "-timeout=5m")
	switch {
	case err == nil && bytes.Contains(out, []byte("no tests to run")):
		return "", fmt.Errorf("%s has no test %s", t.pkg, t.run)
	case err == nil:
		return "", errMissed
	case !failed.Match(out):
		return "", fmt.Errorf("no test failed in\n%s", out)
	}
	return fmt.Sprintf("`%s` of %s", strings.Trim(t.run, "^$"), t.pkg), nil
}

var summary = regexp.MustCompile(`(\d+) seeds, .*; (\d+) seeds broke an invariant`)

func bySeeds(dir string, seeds int, all bool) (string, error) {
	environment := []string{fmt.Sprintf("SIM_SEEDS=%d", seeds), "SIM_ALL=", "SIM_SEED="}
	if all {
		environment[1] = "SIM_ALL=1"
	}
	out, _ := gotest(dir, environment, "./internal/testing/sim", "-run", "^TestSim$", "-v", "-timeout=2h")
	found := summary.FindSubmatch(out)
	switch {
	case found == nil && bytes.Contains(out, []byte("panic: ")):
		return "the simulator: it crashes", nil
	case found == nil:
		return "", fmt.Errorf("no summary in\n%s", out)
	case string(found[2]) == "0":
		return "", errMissed
	}
	return fmt.Sprintf("%s of %s seeds", found[2], found[1]), nil
}

func gotest(dir string, environment []string, args ...string) ([]byte, error) {
	c := exec.Command("go", append([]string{"test", "-count=1"}, args...)...)
	c.Dir = dir
	c.Env = append(os.Environ(), environment...)
	return c.CombinedOutput()
}
