package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/testing/testjson"
)

// test is what became of a test.
type test struct {
	name, action string
	output       strings.Builder
}

// result is what became of a suite's tests. The first of them has no name: it is the
// package.
type result struct {
	tests []*test
	build strings.Builder
}

func newResult() *result { return &result{tests: []*test{{}}} }

// take adds an event.
func (r *result) take(e testjson.Event) {
	switch e.Action {
	case "build-output":
		r.build.WriteString(e.Output)
	case "output":
		r.of(e.Test).output.WriteString(e.Output)
	case "run", "pass", "fail", "skip":
		r.of(e.Test).action = e.Action
	}
}

func (r *result) of(name string) *test {
	for _, t := range r.tests {
		if t.name == name {
			return t
		}
	}
	t := &test{name: name}
	r.tests = append(r.tests, t)
	return t
}

// verdict is a result in the light of the exceptions.
type verdict struct {
	run, passed, expected, skipped int
	unexpected                     []*test
	// stale are exceptions for tests that all passed, or for some that did; unknown are those
	// for tests that did not run.
	stale, unknown []exception
}

// judge compares the tests with the exceptions. A test with a part that failed, as the
// tests of Go with subtests, is judged by its parts. One that ran and has no end has failed.
// So has the package if fewer than least tests passed, and nothing else says why.
func (r *result) judge(exceptions []exception, least int) verdict {
	var v verdict
	known := make([]bool, len(exceptions))
	stale := make([]bool, len(exceptions))
	for _, t := range r.tests[1:] {
		switch t.action {
		case "skip":
			v.skipped++
			continue
		case "pass":
			v.run++
			v.passed++
		default:
			if r.partFailed(t.name) {
				continue
			}
			v.run++
		}
		expected := false
		for i, e := range exceptions {
			if e.matches(t.name) {
				known[i] = true
				expected = true
				stale[i] = stale[i] || t.action == "pass"
			}
		}
		switch {
		case t.action == "pass":
		case expected:
			v.expected++
		default:
			v.unexpected = append(v.unexpected, t)
		}
	}
	for i, e := range exceptions {
		if !known[i] {
			v.unknown = append(v.unknown, e)
		} else if stale[i] {
			v.stale = append(v.stale, e)
		}
	}
	pkg := r.tests[0]
	switch {
	case pkg.action != "pass" && v.expected == 0 && len(v.unexpected) == 0:
		pkg.name = "(package)"
		pkg.output.WriteString(r.build.String())
		v.unexpected = append(v.unexpected, pkg)
	case v.passed < least && len(v.unexpected) == 0:
		pkg.name = "(package)"
		fmt.Fprintf(&pkg.output, "%d tests passed, must be %d or more: the suite has not found the stack, skips what it did "+
			"not, or has other names; if its tests are fewer, mend its least in suites.go\n", v.passed, least)
		v.unexpected = append(v.unexpected, pkg)
	}
	return v
}

// partFailed reports whether a part of the test has not passed.
func (r *result) partFailed(name string) bool {
	return slices.ContainsFunc(r.tests, func(t *test) bool {
		return strings.HasPrefix(t.name, name+"/") && (t.action == "fail" || t.action == "run")
	})
}

// failed reports whether anything is not as it should be.
func (v verdict) failed() bool { return len(v.unexpected)+len(v.stale)+len(v.unknown) > 0 }

// line writes the suite's line.
func (v verdict) line(w io.Writer, s suite, took time.Duration) {
	what := "node/package.json"
	if s.module != "" {
		what = s.module + " " + s.version
	}
	fmt.Fprintf(w, "%-16s  %-38s  %3d run, %3d passed, %2d expected exceptions, %2d unexpected, %2d skipped  %4.0fs\n",
		s.name, what, v.run, v.passed, v.expected, len(v.unexpected), v.skipped, took.Seconds())
}

// tailLines is how much is shown of what a test said.
const tailLines = 25

// details writes what is not as it should be.
func (v verdict) details(w io.Writer, s suite) {
	for _, t := range v.unexpected {
		end := "failed"
		if t.action == "run" {
			end = "did not end"
		}
		fmt.Fprintf(w, "\n%s: %s %s:\n%s", s.name, t.name, end, tail(t.output.String()))
	}
	for _, e := range v.stale {
		fmt.Fprintf(w, "\n%s: %s no longer fails: delete line %d of exceptions.txt (%s)\n", s.name, e.pattern, e.line, e.reason)
	}
	for _, e := range v.unknown {
		fmt.Fprintf(w, "\n%s: no test %s was run: mend line %d of exceptions.txt\n", s.name, e.pattern, e.line)
	}
}

// tail returns the last lines of a test's output, without the lines that go test adds and
// without stacks.
func tail(output string) string {
	output, _, _ = strings.Cut(output, "\ngoroutine ")
	var lines []string
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "=== ") && strings.TrimSpace(line) != "" {
			lines = append(lines, "    "+strings.TrimRight(line, "\n")+"\n")
		}
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], "")
}
