package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// exception is a line of exceptions.txt: what becomes of some tests of a suite, and why.
type exception struct {
	line                   int
	suite, verdict, reason string
	// pattern is the tests' names; * stands for any characters.
	pattern string
}

const (
	// fails is the verdict of tests that run and fail.
	fails = "fails"
	// notRun is the verdict of tests that are left out: they would wait for what never
	// comes, or call the cloud.
	notRun = "not-run"
)

// parseExceptions reads the list. All its faults are reported together.
func parseExceptions(text string, suites []suite) ([]exception, error) {
	var (
		list []exception
		errs []error
		seen = map[string]int{}
	)
	number := 0
	for raw := range strings.Lines(text) {
		number++
		line := strings.TrimSpace(raw)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 4 {
			errs = append(errs, fmt.Errorf("line %d has %d fields, must have four: suite, fails or not-run, test, reason", number, len(fields)))
			continue
		}
		e := exception{line: number, suite: fields[0], verdict: fields[1], pattern: fields[2], reason: strings.Join(fields[3:], " ")}
		if _, err := named(suites, []string{e.suite}); err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
		}
		if e.verdict != fails && e.verdict != notRun {
			errs = append(errs, fmt.Errorf("line %d says %q, must say %s or %s", number, e.verdict, fails, notRun))
		}
		if first := seen[e.suite+" "+e.pattern]; first > 0 {
			errs = append(errs, fmt.Errorf("line %d says again what line %d says of %s", number, first, e.pattern))
		}
		seen[e.suite+" "+e.pattern] = number
		list = append(list, e)
	}
	return list, errors.Join(errs...)
}

func unknownSuite(name string, suites []suite) error {
	var names []string
	for _, s := range suites {
		names = append(names, s.name)
	}
	return fmt.Errorf("%q is not a suite, must be one of %s", name, strings.Join(names, ", "))
}

// of returns the exceptions of a suite that have a verdict.
func of(list []exception, suite, verdict string) []exception {
	var own []exception
	for _, e := range list {
		if e.suite == suite && e.verdict == verdict {
			own = append(own, e)
		}
	}
	return own
}

func quote(pattern string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")
}

// matches reports whether the exception is for a test.
func (e exception) matches(test string) bool {
	return regexp.MustCompile("^" + quote(e.pattern) + "$").MatchString(test)
}

// skip returns the value of go test's -skip that leaves out the exceptions' tests. Of its
// patterns go test takes the first that matches any part of a name's beginning: without the
// shorter ones in front, */grpc would keep all others from skipping a whole test.
func skip(list []exception) string {
	depth := func(e exception) int { return strings.Count(e.pattern, "/") }
	list = slices.SortedStableFunc(slices.Values(list), func(a, b exception) int { return depth(a) - depth(b) })
	var patterns []string
	for _, e := range list {
		parts := strings.Split(e.pattern, "/")
		for i, p := range parts {
			parts[i] = "^" + quote(p) + "$"
		}
		patterns = append(patterns, strings.Join(parts, "/"))
	}
	return strings.Join(patterns, "|")
}

// absent returns the exceptions that match none of the functions.
func absent(list []exception, functions []string) []exception {
	var none []exception
next:
	for _, e := range list {
		first, _, _ := strings.Cut(e.pattern, "/")
		for _, f := range functions {
			if (exception{pattern: first}).matches(f) {
				continue next
			}
		}
		none = append(none, e)
	}
	return none
}
