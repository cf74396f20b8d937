package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/testing/testjson"
)

// output is what one test of a package said; that of no test is the package's own.
type output struct {
	test string
	text strings.Builder
}

// report writes what came of the tests. It is safe for concurrent use.
type report struct {
	w io.Writer

	mu               sync.Mutex
	builds           map[string]*strings.Builder // by import path
	outputs          map[string][]*output        // by package, in the order of their first lines
	skipped          []string
	tests            int
	packages, failed int
}

func newReport(w io.Writer) *report {
	return &report{w: w, builds: map[string]*strings.Builder{}, outputs: map[string][]*output{}}
}

func (r *report) take(e testjson.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e.Action {
	case "build-output":
		if r.builds[e.ImportPath] == nil {
			r.builds[e.ImportPath] = &strings.Builder{}
		}
		r.builds[e.ImportPath].WriteString(e.Output)
	case "output":
		r.of(e.Package, e.Test).text.WriteString(e.Output)
	case "pass", "skip", "fail":
		if e.Test == "" {
			r.ended(e)
			return
		}
		r.tests++
		if e.Action == "skip" {
			r.skipped = append(r.skipped, fmt.Sprintf("%s %s: %s", short(e.Package), e.Test,
				reason(r.of(e.Package, e.Test).text.String())))
		}
		if e.Action != "fail" { // nobody wants to read it any more
			r.outputs[e.Package] = slices.DeleteFunc(r.outputs[e.Package], func(o *output) bool { return o.test == e.Test })
		}
	}
}

func (r *report) of(pkg, test string) *output {
	for _, o := range r.outputs[pkg] {
		if o.test == test {
			return o
		}
	}
	o := &output{test: test}
	r.outputs[pkg] = append(r.outputs[pkg], o)
	return o
}

// ended reports a package: what is left of its output is that of the tests that failed,
// and of those that had not ended.
func (r *report) ended(e testjson.Event) {
	switch e.Action {
	case "skip": // it has no tests
	case "pass":
		r.packages++
		fmt.Fprintf(r.w, "ok    %6.1fs  %s\n", e.Elapsed, short(e.Package))
	case "fail":
		r.packages++
		r.failed++
		fmt.Fprintf(r.w, "FAIL  %6.1fs  %s\n", e.Elapsed, short(e.Package))
		if b := r.builds[e.FailedBuild]; b != nil {
			fmt.Fprint(r.w, b)
		}
		for _, o := range r.outputs[e.Package] {
			for line := range strings.Lines(o.text.String()) {
				if !strings.HasPrefix(line, "=== ") && line != "FAIL\n" {
					fmt.Fprint(r.w, line)
				}
			}
		}
	}
	delete(r.outputs, e.Package)
}

// end names the tests that were skipped, and says how many passed.
func (r *report) end(took time.Duration) {
	slices.Sort(r.skipped)
	for _, s := range r.skipped {
		fmt.Fprintln(r.w, "skipped:", s)
	}
	fmt.Fprintf(r.w, "%d tests of %d packages in %s; %d packages failed, %d tests were skipped\n",
		r.tests, r.packages, took.Round(time.Second), r.failed, len(r.skipped))
}

// place is where a test says something: "    x_test.go:12: ".
var place = regexp.MustCompile(`(?m)^ +[a-zA-Z0-9_./]+\.go:\d+: `)

// reason returns what a test that was skipped said last.
func reason(output string) string {
	at := place.FindAllStringIndex(output, -1)
	if len(at) == 0 {
		return "it gives no reason"
	}
	text, _, _ := strings.Cut(output[at[len(at)-1][1]:], "\n--- ")
	text, _, _ = strings.Cut(text, "\n    --- ")
	return strings.TrimPrefix(strings.Join(strings.Fields(text), " "), "SKIPPED: ")
}

func short(pkg string) string {
	if pkg == module {
		return "."
	}
	return strings.TrimPrefix(pkg, module+"/")
}
