// Package buildtools has tests ask pip itself, without a network. It supplies what pip
// builds source packages with: the setuptools that Python brings for its virtual
// environments, and a stand-in for wheel.
package buildtools

import (
	"archive/zip"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed bdist_wheel.py
var bdistWheel string

// Links returns a folder for pip's --find-links. The test is skipped if the Python brings
// no setuptools.
func Links(t testing.TB, python string) string {
	t.Helper()
	const program = `
import ensurepip, glob, os
folders = [os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"), "/usr/share/python-wheels"]
for folder in folders:
    for file in glob.glob(os.path.join(folder, "setuptools-*.whl")):
        print(file)
`
	out, err := exec.CommandContext(t.Context(), python, "-c", program).Output()
	files := strings.Fields(string(out))
	if err != nil || len(files) == 0 {
		t.Skipf("SKIPPED: %s brings no setuptools (%v)", python, err)
	}
	dir := t.TempDir()
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(files[0])), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeWheel(filepath.Join(dir, "wheel-0.0-py3-none-any.whl")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeWheel writes the distribution wheel.
func writeWheel(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := zip.NewWriter(f)
	for _, entry := range [][2]string{
		{"wheel/__init__.py", ""},
		{"wheel/bdist_wheel.py", bdistWheel},
		{"wheel-0.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: wheel\nVersion: 0.0\n"},
		{"wheel-0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{
			"wheel-0.0.dist-info/entry_points.txt",
			"[distutils.commands]\nbdist_wheel = wheel.bdist_wheel:bdist_wheel\n",
		},
		{
			"wheel-0.0.dist-info/RECORD", "wheel/__init__.py,,\nwheel/bdist_wheel.py,,\nwheel-0.0.dist-info/METADATA,,\n" +
				"wheel-0.0.dist-info/WHEEL,,\nwheel-0.0.dist-info/entry_points.txt,,\nwheel-0.0.dist-info/RECORD,,\n",
		},
	} {
		e, err := w.Create(entry[0])
		if err == nil {
			_, err = io.WriteString(e, entry[1])
		}
		if err != nil {
			return err
		}
	}
	return w.Close()
}

func plainEnv(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "PYTHONWARNINGS=ignore"}
}

// Environment makes a virtual environment that can build source packages, and returns its
// Python and the version of that. The test is skipped if no Python here can have one.
func Environment(t testing.TB) (python, version string) {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		base, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		dir := t.TempDir()
		run := func(name string, args ...string) (string, error) {
			c := exec.CommandContext(t.Context(), name, args...)
			c.Env = plainEnv(dir)
			out, err := c.CombinedOutput()
			return strings.TrimSpace(string(out)), err
		}
		if out, err := run(base, "-m", "venv", filepath.Join(dir, "env")); err != nil {
			t.Logf("%s: %v, %s", base, err, out)
			continue
		}
		python = filepath.Join(dir, "env", "bin", "python")
		out, err := run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
			"--find-links", Links(t, base), "setuptools", "wheel")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if version, err = run(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"); err != nil {
			t.Fatal(err)
		}
		return python, version
	}
	t.Skip("SKIPPED: no Python here can build source packages")
	return "", ""
}

// Installation is packages that pip installs into a folder, without what they depend on.
type Installation struct {
	To       string   `json:"to"`
	Packages []string `json:"packages"`
}

//go:embed install.py
var installs string

// Install has pip install packages into a folder, without what they depend on. The error
// holds what pip says.
func Install(ctx context.Context, python, to string, packages ...string) error {
	failed, err := InstallAll(ctx, python, []Installation{{To: to, Packages: packages}})
	if err != nil {
		return err
	}
	return failed[0]
}

// InstallAll does what [Install] does for each installation, two at once. It returns the error of each.
func InstallAll(ctx context.Context, python string, all []Installation) (failed []error, err error) {
	dir, err := os.MkdirTemp("", "jobdrop-pip-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var answers []struct {
		Code int    `json:"code"`
		Said string `json:"said"`
	}
	if err := ask(ctx, dir, python, installs, all, &answers); err != nil {
		return nil, err
	}
	if len(answers) != len(all) {
		return nil, fmt.Errorf("%d answers to %d installations", len(answers), len(all))
	}
	failed = make([]error, len(all))
	for i, a := range answers {
		if a.Code != 0 {
			failed[i] = fmt.Errorf("pip: exit status %d: %s", a.Code, strings.TrimSpace(a.Said))
		}
	}
	return failed, nil
}

// ask runs a program that reads JSON and writes JSON.
func ask(ctx context.Context, dir, python, program string, input, output any) error {
	data, err := json.Marshal(input)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	c := exec.CommandContext(ctx, python, "-I", "-c", program)
	c.Stdin, c.Stderr, c.Dir, c.Env = bytes.NewReader(data), &said, dir, plainEnv(dir)
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, &said)
	}
	return json.Unmarshal(out, output)
}

// Program is a module in a folder that pip has installed packages into.
type Program struct {
	Dir    string `json:"dir"`
	Module string `json:"module"`
}

// runs is a program that asks Python which modules it would run.
const runs = `
import importlib, importlib.util, json, sys
def runs(name):
    try:
        spec = importlib.util.find_spec(name)
        if spec is None:
            return False
        return spec.submodule_search_locations is None or importlib.util.find_spec(name + ".__main__") is not None
    except (ModuleNotFoundError, ValueError):
        return False
before, found = set(sys.modules), []
for program in json.load(sys.stdin):
    sys.path.insert(0, program["dir"])
    importlib.invalidate_caches()
    found.append(runs(program["module"]))
    del sys.path[0]
    for added in set(sys.modules) - before:
        del sys.modules[added]
json.dump(found, sys.stdout)
`

// Runs asks Python of each program whether it would run it with -m.
func Runs(t testing.TB, python string, programs []Program) []bool {
	t.Helper()
	var found []bool
	if err := ask(t.Context(), t.TempDir(), python, runs, programs, &found); err != nil || len(found) != len(programs) {
		t.Fatalf("%d answers to %d programs, %v", len(found), len(programs), err)
	}
	return found
}
