// Package buildtools supplies what pip builds source packages with, without a network:
// the setuptools that Python brings for its virtual environments, and a stand-in for
// wheel.
package buildtools

import (
	"archive/zip"
	_ "embed"
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
