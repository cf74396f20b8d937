package agree_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/buildtools"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// program is what a drop runs in Python: a module of packages.
type program struct {
	packages string // their names and contents, in order
	module   string
}

// asked is what pip and Python say of a program.
type asked struct {
	failed error // pip's answer, if it installs the packages not
	found  bool  // the module
}

// takes reports whether the program can be run.
func (a asked) takes() bool { return a.failed == nil && a.found }

// comparePip has pip install the packages of each drop and asks Python whether it would run the
// module: both have to say what validate says of the packages. It returns how many say otherwise, for
// a reason that the table has. Without a Python that has pip, the comparison is skipped.
func comparePip(t *testing.T, all []*checked) (listed int) {
	t.Helper()
	t.Run("pip", func(t *testing.T) {
		python, version := buildtools.Environment(t)
		programs := map[*checked]program{}
		for _, c := range all {
			if p, ok := c.program(t); ok {
				programs[c] = p
			}
		}
		answers, different := ask(t, python, programs)
		for _, c := range all {
			answer, ok := answers[programs[c]]
			if !ok {
				continue
			}
			why, excepted := c.says[byPip]
			sound := !slices.ContainsFunc(c.full.Violations, ofPackages)
			if agrees := answer.takes() == sound; agrees == excepted {
				c.errorf(t, "pip and Python %s take it: %v (found %v, %v), validate says %q, and the table: %q", version,
					answer.takes(), answer.found, answer.failed, c.full.rules(), why)
			} else if excepted {
				listed++
			}
		}
		t.Logf("%d drops have %d different packages", len(programs), different)
	})
	return listed
}

// ofPackages reports whether a violation says that the packages can't be installed, or do not hold the
// module.
func ofPackages(v job.Violation) bool {
	switch v.Rule {
	case "package-uri", "package-count", "package-ambiguous":
		return false // of the job file
	}
	return v.Severity != job.Warning && (strings.HasPrefix(string(v.Rule), "package-") || v.Rule == "python-module-in-package")
}

// program returns what a drop runs, if it runs packages of its folder that are there.
func (c *checked) program(t *testing.T) (program, bool) {
	t.Helper()
	r := c.inspect(t, "")
	in := r.Spec.TrainingInput
	named := func(v job.Violation) bool { return v.Rule == "python-module-format" }
	if in == nil || in.PythonModule == "" || slices.ContainsFunc(r.Violations, named) || in.HasImage() || r.Incomplete() ||
		len(r.Resolution.Packages) == 0 || len(r.Resolution.Outside) > 0 {
		return program{}, false
	}
	var text strings.Builder
	for _, o := range r.Resolution.Packages {
		text.WriteString(o.Base() + "\x00" + c.packages[o.Base()] + "\x00\x00")
	}
	return program{text.String(), in.PythonModule}, true
}

// ask has pip install each set of packages once, and asks for the modules in them.
func ask(t *testing.T, python string, of map[*checked]program) (answers map[program]asked, different int) {
	t.Helper()
	dir := t.TempDir()
	places := map[string]string{} // by the packages: where they are installed
	var installs []buildtools.Installation
	var installed []string // the packages of each installation
	var order []program
	var programs []buildtools.Program
	for c, p := range of {
		to := places[p.packages]
		if to == "" {
			to = filepath.Join(dir, strconv.Itoa(len(places)))
			places[p.packages] = to
			var files []string
			for _, o := range c.inspect(t, "").Resolution.Packages {
				files = append(files, filepath.Join(c.path, o.Base()))
			}
			installs = append(installs, buildtools.Installation{To: to, Packages: files})
			installed = append(installed, p.packages)
		}
		order = append(order, p)
		programs = append(programs, buildtools.Program{Dir: to, Module: p.module})
	}
	errs, err := buildtools.InstallAll(t.Context(), python, installs)
	if err != nil {
		t.Fatal(err)
	}
	failed := map[string]error{} // by the packages, too
	for i, err := range errs {
		failed[installed[i]] = err
	}
	answers = map[program]asked{}
	for i, found := range buildtools.Runs(t, python, programs) {
		answers[order[i]] = asked{failed[order[i].packages], found}
	}
	return answers, len(places)
}
