package training

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Python is an interpreter that can run jobs, as [FindPython] found it.
type Python struct {
	Path    string // the interpreter itself, no launcher in front of it
	Version string // e.g. 3.11.7

	Pip        bool // packages are installed by pip, unpacked where it lacks
	Setuptools bool
	Wheel      bool
	// Builds reports whether pip can build a source package without fetching
	// anything: setuptools with wheel, or setuptools 70.1 or newer.
	Builds bool
	// Sites are the folders of libraries that an environment made from this
	// Python would not see by itself.
	Sites []string
}

// name returns the interpreter for people.
func (p Python) name() string { return "Python " + p.Version + " (" + p.Path + ")" }

// PythonError says why there is no Python to run jobs with.
type PythonError struct {
	Name    string // the interpreter that was tried
	Missing string // what is missing, e.g. "no python3 on PATH"
	Package string // the operating system's package to install
	Err     error  // what the attempt gave, if anything
}

func (e *PythonError) Error() string {
	text := fmt.Sprintf("%s: install the package %s", e.Missing, e.Package)
	if e.Err != nil {
		text += fmt.Sprintf(" (%v)", e.Err)
	}
	return text
}

func (e *PythonError) Unwrap() error { return e.Err }

// probeTime is for a cold disk; a warm one needs a fraction of a second.
const probeTime = 30 * time.Second

const probe = `
import json, sys
found = {"version": "%d.%d.%d" % sys.version_info[:3], "path": sys.executable}
if sys.version_info >= (3, 8):
    import importlib.metadata, importlib.util, os, site
    def version(name):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return ""
    for name in ("venv", "pip", "wheel", "setuptools"):
        found[name] = importlib.util.find_spec(name) is not None
    found["setuptoolsVersion"] = version("setuptools")
    sites = []
    if sys.prefix != sys.base_prefix:
        sites += site.getsitepackages()
    if site.ENABLE_USER_SITE:
        sites.append(site.getusersitepackages())
    found["sites"] = [s for s in sites if os.path.isdir(s)]
print(json.dumps(found))
`

// FindPython looks at an interpreter, by its name or path; the first python3 of
// PATH if name is empty. What keeps it from running jobs is a [*PythonError].
func FindPython(ctx context.Context, name string) (Python, error) {
	asked := name
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		missing := "no python3 on PATH"
		if asked != "" {
			missing = "no Python at " + name
		}
		return Python{}, &PythonError{Name: name, Missing: missing, Package: "python3", Err: reasonOf(err)}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-c", probe)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Second
	err = cmd.Run()
	var found struct {
		Version, Path, SetuptoolsVersion string
		Venv, Pip, Wheel, Setuptools     bool
		Sites                            []string
	}
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &found)
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return Python{}, fmt.Errorf("%s: %w", path, ctxErr)
	}
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(errOut.String()), "\n")
		return Python{}, &PythonError{Name: path, Missing: path + " does not run", Package: "python3",
			Err: errors.Join(err, textError(first))}
	}
	if !atLeast(found.Version, 3, 8) {
		return Python{}, &PythonError{Name: path, Missing: fmt.Sprintf("%s is Python %s, and 3.8 is the oldest that jobs "+
			"run with", path, found.Version), Package: "python3"}
	}
	if !found.Venv {
		return Python{}, &PythonError{Name: path, Missing: path + " has no module venv", Package: "python3-venv"}
	}
	if found.Path == "" {
		found.Path = path
	}
	return Python{
		Path:       found.Path,
		Version:    found.Version,
		Pip:        found.Pip,
		Setuptools: found.Setuptools,
		Wheel:      found.Wheel,
		Builds:     found.Pip && found.Setuptools && (found.Wheel || atLeast(found.SetuptoolsVersion, 70, 1)),
		Sites:      found.Sites,
	}, nil
}

// reasonOf leaves out what the message says already.
func reasonOf(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return nil
	}
	return err
}

func textError(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// atLeast compares a version's first two numbers.
func atLeast(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(first)
	if err != nil {
		return false
	}
	b, _ := strconv.Atoi(second)
	return a > major || a == major && b >= minor
}
