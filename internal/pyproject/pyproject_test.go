package pyproject_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/jobdrop/jobdrop/internal/check/pypkg"
	"github.com/jobdrop/jobdrop/internal/pyproject"
	"github.com/jobdrop/jobdrop/internal/testing/buildtools"
)

// sources are a trainer with all that packages have: sub-packages, one of them without an __init__.py, data, a program,
// and what is never packed.
func sources() map[string]string {
	return map[string]string{
		"trainer/__init__.py": "",
		"trainer/task.py": "#!/usr/bin/env python3\nfrom trainer.models import net\n" +
			"print(net.words())\n",
		"trainer/models/__init__.py": "",
		"trainer/models/net.py": "import os\nimport trainer.plain.more\ndef words():\n  here = os.path.dirname(__file__)\n" +
			"  with open(os.path.join(here, 'data', 'deep', 'words.txt')) as f:\n    return f.read() + trainer.plain.more.X\n",
		"trainer/models/data/deep/words.txt":               "words",
		"trainer/plain/more.py":                            "X = ' and more'\n",
		"trainer/tool.sh":                                  "#!/bin/sh\n",
		"trainer/naïve file [1].txt":                       "odd, and allowed",
		"trainer/" + strings.Repeat("long/", 30) + "a.txt": "a path that USTAR can't take",
		"trainer/.git/config":                              "[core]",
		"trainer/.env":                                     "TOKEN=1",
		"trainer/__pycache__/task.cpython-311.pyc":         "\x00",
		"trainer/old.pyc":                                  "\x00",
		"trainer/venv/pyvenv.cfg":                          "home = /usr",
		"trainer/venv/bin/activate":                        "",
		"trainer/big.bin":                                  strings.Repeat("0123456789", 10_000),
		"requirements.txt":                                 "numpy",
	}
}

// options leave out the large file of [sources].
var options = pyproject.Options{MaxFile: 50_000}

// write writes files below a folder as somebody with an umask would, and returns the folder.
func write(t testing.TB, dir string, files map[string]string, umask fs.FileMode, at time.Time) string {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		mode := fs.FileMode(0o666)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o777
		}
		err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o600),
			os.Chmod(file, mode&^umask), os.Chtimes(file, at, at))
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func build(t testing.TB, dir string, o pyproject.Options) *pyproject.Package {
	t.Helper()
	p, err := pyproject.Build(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// unpack returns the headers and the contents of a package, by name.
func unpack(t testing.TB, data []byte) (map[string]*tar.Header, map[string]string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	headers, contents := map[string]*tar.Header{}, map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		headers[h.Name], contents[h.Name] = h, string(content)
	}
}

// inspect fails the test if the functions would find anything wrong with a package, or not find the module.
func inspect(t testing.TB, p *pyproject.Package, modules ...string) {
	t.Helper()
	r, violations, err := pypkg.Inspect(t.Context(), p.Name, bytes.NewReader(p.Data), pypkg.DefaultLimits())
	if err != nil || len(violations) > 0 {
		t.Errorf("the check says %v, %+v", err, violations)
	}
	for _, m := range modules {
		if !r.HasModule(m) {
			t.Errorf("the check does not find %s, but %v", m, r.Modules)
		}
	}
	if r.Name != p.Distribution || r.Version != p.Version {
		t.Errorf("the check sees %s %s, want %s %s", r.Name, r.Version, p.Distribution, p.Version)
	}
}

// sourcesSum is the SHA-256 of the package of [sources]. If it changes with the compressor's version, packages that
// were uploaded before are uploaded once more, and CHANGELOG.md says so.
const sourcesSum = "ac06b754719bea1d23f6d7e64617739b305c208d25edd5352a82cc447ad81c15"

// The same sources give the same bytes in any folder, at any time and under any umask.
func TestSameBytes(t *testing.T) {
	day := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	first := write(t, t.TempDir(), sources(), 0o022, day)
	second := write(t, filepath.Join(t.TempDir(), "another", "folder"), sources(), 0o077, day.AddDate(0, 0, 1))
	a, b := build(t, filepath.Join(first, "trainer"), options), build(t, filepath.Join(second, "trainer"), options)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("second build (-first +second):\n%s", diff)
	}
	if sum := sha256.Sum256(a.Data); hex.EncodeToString(sum[:]) != sourcesSum {
		t.Errorf("the SHA-256 is %x, not %s", sum, sourcesSum)
	}
	if want := "trainer-0.0.0-" + sourcesSum[:12] + ".tar.gz"; a.Name != want {
		t.Errorf("the name is %s, want %s", a.Name, want)
	}
	t.Chdir(first) // neither does it matter how the folder is named
	for _, dir := range []string{"trainer", "./trainer/", "trainer/../trainer"} {
		if c := build(t, dir, options); !bytes.Equal(a.Data, c.Data) {
			t.Errorf("%s gives other bytes", dir)
		}
	}
}

func TestGenerated(t *testing.T) {
	t.Parallel()
	p := build(t, filepath.Join(write(t, t.TempDir(), sources(), 0o027, time.Now()), "trainer"), options)
	inspect(t, p, "trainer.task", "trainer.models.net", "trainer.plain.more")
	headers, contents := unpack(t, p.Data)
	var names []string
	for _, name := range p.Files {
		h := headers["trainer-0.0.0/"+name]
		if h == nil {
			t.Fatalf("%s is not in the package", name)
		}
		names = append(names, fmt.Sprintf("%s %o", name, h.Mode))
		if h.Typeflag != tar.TypeReg || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" ||
			!h.ModTime.Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s has the header %+v", name, h)
		}
		if want, ok := sources()[name]; ok && contents[h.Name] != want {
			t.Errorf("%s holds %q", name, contents[h.Name])
		}
	}
	want := []string{
		"MANIFEST.in 644", "PKG-INFO 644", "setup.py 644", "trainer/__init__.py 644",
		"trainer/" + strings.Repeat("long/", 30) + "a.txt 644", "trainer/models/__init__.py 644",
		"trainer/models/data/deep/words.txt 644", "trainer/models/net.py 644", "trainer/naïve file [1].txt 644",
		"trainer/plain/more.py 644", "trainer/task.py 755", "trainer/tool.sh 755",
	}
	if diff := cmp.Diff(want, names); diff != "" || len(headers) != len(want) {
		t.Errorf("%d files (-want +got):\n%s", len(headers), diff)
	}
	left := []pyproject.Omission{
		{"requirements.txt", "without a setup.py the package requires nothing: write one with install_requires beside it"},
		{"trainer/.env", "often holds secrets"},
		{"trainer/.git", "version control"},
		{"trainer/__pycache__", "a cache"},
		{"trainer/big.bin", "larger than 50000 bytes: keep data in Cloud Storage"},
		{"trainer/old.pyc", "byte code"},
		{"trainer/venv", "a virtual environment"},
	}
	if diff := cmp.Diff(left, p.LeftOut); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

// Python's own tools take what is packed, and build what has a setup.
func TestPython(t *testing.T) {
	t.Parallel()
	python, _ := buildtools.Environment(t) // which takes long
	t.Run("pip installs", func(t *testing.T) { testPipInstalls(t, python) })
	t.Run("setup.py", func(t *testing.T) { testBuilt(t, python) })
	t.Run("setup.py fails", func(t *testing.T) { testBuildFails(t, python) })
}

// pip installs a package with all that is in it, and Python runs it.
func testPipInstalls(t *testing.T, python string) {
	p := build(t, filepath.Join(write(t, t.TempDir(), sources(), 0o022, time.Now()), "trainer"), options)
	dir := t.TempDir()
	file, to := filepath.Join(dir, p.Name), filepath.Join(dir, "installed")
	if err := os.WriteFile(file, p.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := buildtools.Install(t.Context(), python, to, file); err != nil {
		t.Fatal(err)
	}
	for _, name := range p.Files {
		if want, ok := sources()[name]; ok {
			if got, err := os.ReadFile(filepath.Join(to, filepath.FromSlash(name))); err != nil || string(got) != want {
				t.Errorf("installed is %s with %q, %v", name, got, err)
			}
		}
	}
	out, err := command(t, to, python, "-m", "trainer.task").CombinedOutput()
	if err != nil || string(out) != "words and more\n" {
		t.Errorf("it prints %q, %v", out, err)
	}
}

// Names of folders that are no obstacle.
func TestNames(t *testing.T) {
	t.Parallel()
	for folder, want := range map[string]string{
		"trainer": "trainer-0.0.0", "video-8x": "video_8x-0.0.0", "_private_": "private-0.0.0", "T2": "T2-0.0.0",
	} {
		files := map[string]string{folder + "/__init__.py": "", folder + "/task.py": ""}
		dir := write(t, t.TempDir(), files, 0, time.Now())
		p := build(t, filepath.Join(dir, folder), pyproject.Options{})
		inspect(t, p, folder+".task")
		if !strings.HasPrefix(p.Name, want+"-") {
			t.Errorf("%s is packed as %s, want %s", folder, p.Name, want)
		}
	}
}

// Links within the folder are followed.
func TestLinks(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), map[string]string{
		"trainer/__init__.py": "", "trainer/data/a.txt": "a", "pyproject.toml": "[tool.black]\nline-length = 100\n",
	}, 0, time.Now())
	for link, target := range map[string]string{"link.txt": "data/a.txt", "more": "data"} {
		if err := os.Symlink(target, filepath.Join(dir, "trainer", link)); err != nil {
			t.Skipf("SKIPPED: no links here: %v", err)
		}
	}
	p := build(t, filepath.Join(dir, "trainer"), pyproject.Options{})
	inspect(t, p)
	_, contents := unpack(t, p.Data)
	for _, name := range []string{"link.txt", "more/a.txt", "data/a.txt"} {
		if got := contents["trainer-0.0.0/trainer/"+name]; got != "a" {
			t.Errorf("%s holds %q", name, got)
		}
	}
}

// What can't be packed is an error that names the place and the remedy.
func TestOddTrees(t *testing.T) {
	t.Parallel()
	link := func(target, name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Skipf("SKIPPED: no links here: %v", err)
			}
		}
	}
	tests := []struct {
		name    string
		dir     string // trainer if empty
		files   map[string]string
		prepare func(t *testing.T, dir string)
		options pyproject.Options
		want    string
	}{
		{name: "no folder", dir: "other", want: "there is no folder"},
		{name: "a file", dir: "trainer/__init__.py", want: "is a file, not the folder of a Python package"},
		{name: "no __init__.py", dir: ".", want: "has no __init__.py: add an empty one, or name a package in it: trainer"},
		{name: "a space", dir: "my trainer", files: map[string]string{"my trainer/__init__.py": ""},
			want: `"my trainer" is not a name that pip can install: rename the folder`},
		{name: "a dot", dir: "v1.2", files: map[string]string{"v1.2/__init__.py": ""}, want: "v1.2 is not a name that pip"},
		{name: "not ASCII", dir: "träner", files: map[string]string{"träner/__init__.py": ""},
			want: "is not a name that pip"},
		{name: "underscores", dir: "__", files: map[string]string{"__/__init__.py": ""}, want: "__ is not a name that pip"},
		{name: "a link out", prepare: link("/etc/passwd", "trainer/p"),
			want: "p is a link to /etc/passwd, which is not in the folder: replace it by what it leads to"},
		{name: "a link up", prepare: link("../../..", "trainer/p"),
			want: "p is a link to ../../.., which is not in the folder"},
		{name: "a link to nothing", prepare: link("none", "trainer/p"),
			want: "p is a link to none, which is not in the folder"},
		{name: "a link in circles", prepare: link(".", "trainer/p"), want: "p is a link to a folder that it lies in"},
		{name: "a link to itself", prepare: link("p", "trainer/p"), want: "p is a link to p, which is not in the folder"},
		{name: "a socket", prepare: socket, want: "s is a socket, not a file"},
		{name: "a pipe", prepare: pipe, want: "f is a named pipe, not a file"},
		{name: "a control character", files: map[string]string{"trainer/a\nb": ""},
			want: "has a name with a control character"},
		{name: "a backslash", files: map[string]string{`trainer/a\b`: ""}, want: "a backslash, which pip can't unpack"},
		{name: "not UTF-8", files: map[string]string{"trainer/a\xffb": ""}, want: "has a name that is not UTF-8"},
		{name: "deep", files: map[string]string{"trainer/" + strings.Repeat("deep/", 200) + "a": ""},
			want: "has a path of more than 900 bytes"},
		{name: "too much", files: map[string]string{"trainer/a": strings.Repeat("a", 600), "trainer/b": "400 and more" +
			strings.Repeat("b", 400)}, options: pyproject.Options{MaxBytes: 1000}, want: "are larger than 1000 bytes: keep data elsewhere"},
		{name: "too many files", prepare: func(t *testing.T, dir string) {
			for i := range 50_000 {
				if err := os.WriteFile(filepath.Join(dir, "trainer", fmt.Sprint(i)), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}, want: "has more than 50000 files and folders: keep data elsewhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, t.TempDir(), map[string]string{"trainer/__init__.py": ""}, 0, time.Now())
			write(t, dir, tt.files, 0, time.Now())
			if tt.prepare != nil {
				tt.prepare(t, dir)
			}
			if tt.dir == "" {
				tt.dir = "trainer"
			}
			p, err := pyproject.Build(t.Context(), filepath.Join(dir, filepath.FromSlash(tt.dir)), tt.options)
			if !errors.Is(err, pyproject.ErrSource) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v; want %q", p, err, tt.want)
			}
		})
	}
}

// A build ends with its context.
func TestCancelled(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), sources(), 0, time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pyproject.Build(ctx, filepath.Join(dir, "trainer"), options); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// below returns the files of a package, without those that setuptools writes.
func below(t testing.TB, data []byte) map[string]string {
	_, contents := unpack(t, data)
	files := map[string]string{}
	for name, content := range contents {
		_, name, _ = strings.Cut(name, "/")
		switch {
		case name == "setup.cfg", name == "PKG-INFO", strings.Contains(path.Dir(name), ".egg-info"):
		case name == "", strings.HasSuffix(name, "/"):
		default:
			files[name] = content
		}
	}
	return files
}

// keys returns the sorted names of files.
func keys(files map[string]string) (names []string) {
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
