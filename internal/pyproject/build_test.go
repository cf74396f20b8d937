package pyproject_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/pyproject"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
)

// command returns a command in a folder that ends with the test.
func command(t testing.TB, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = dir
	return c
}

// project is a trainer with a setup.py.
func project(script string) map[string]string {
	return map[string]string{
		"setup.py":                  script,
		"MANIFEST.in":               "include trainer/*.txt\n",
		"trainer/__init__.py":       "",
		"trainer/task.py":           "",
		"trainer/words.txt":         "words",
		"trainer/forgotten.csv":     "1,2",
		"other/__init__.py":         "",
		"dist/old-1.tar.gz":         "old",
		"build/lib/stale.py":        "",
		"demo.egg-info/SOURCES.txt": "stale.txt\n",
		"stale.txt":                 "of an earlier build",
		".venv/pyvenv.cfg":          "",
	}
}

const script = `from setuptools import setup, find_packages
setup(name='demo', version='1.2', packages=find_packages(), include_package_data=True)
`

// A project is built by its setup, and packed anew: the same bytes in any folder.
func testBuilt(t *testing.T, python string) {
	o := pyproject.Options{Python: python}
	day := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	first := write(t, t.TempDir(), project(script), 0o022, day)
	if err := os.Symlink("/etc", filepath.Join(first, "etc")); err != nil {
		t.Skipf("SKIPPED: no links here: %v", err)
	}
	a := build(t, filepath.Join(first, "trainer"), o)
	inspect(t, a, "trainer.task")
	left := []pyproject.Omission{
		{".venv", "a virtual environment"},
		{"build", "left by an earlier build"},
		{"demo.egg-info", "left by an earlier build"},
		{"dist", "left by an earlier build"},
		{"etc", "it is a link to /etc, which is not in the folder: replace it by what it leads to"},
		{"trainer/forgotten.csv", "the project's setup does not pack it: name it in MANIFEST.in"},
	}
	if diff := cmp.Diff(left, a.LeftOut); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	if a.Builder != "setup.py sdist" || a.Distribution != "demo" || a.Version != "1.2" ||
		!strings.HasPrefix(a.Name, "demo-1.2-") {
		t.Errorf("built %s %s as %s by %s", a.Distribution, a.Version, a.Name, a.Builder)
	}
	want := []string{"MANIFEST.in", "other/__init__.py", "setup.py", "trainer/__init__.py", "trainer/task.py",
		"trainer/words.txt"}
	if diff := cmp.Diff(want, keys(below(t, a.Data))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	entries, err := os.ReadDir(first)
	if err != nil || len(entries) != 10 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}

	second := write(t, t.TempDir(), project(script), 0o077, day.AddDate(0, 0, 1))
	b := build(t, second, o) // the project's folder, which is not a package
	inspect(t, b, "trainer.task")
	if a.Name != b.Name {
		t.Errorf("the second build is %s, the first %s", b.Name, a.Name)
	}
}

// withBuild returns a Python that has Debian's python3-build, or another's.
func withBuild(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if python, err := exec.LookPath(name); err == nil &&
			command(t, t.TempDir(), python, "-c", "import build.__main__, setuptools").Run() == nil {
			return python
		}
	}
	t.Skip("SKIPPED: no Python here has build and setuptools: apt-get install python3-build python3-setuptools")
	return ""
}

func TestBuiltByBuild(t *testing.T) {
	t.Parallel()
	python := withBuild(t)
	files := project("import setuptools\nsetuptools.setup()\n")
	files["pyproject.toml"] = "[build-system]\nrequires = ['setuptools>=61']\n" +
		"build-backend = 'setuptools.build_meta'\n[project]\nname = 'demo'\nversion = '1.2'\n[tool.setuptools]\npackages = ['trainer']\n"
	delete(files, "setup.py")
	files["build.py"] = "raise SystemExit('the project hides build')"
	dir := write(t, t.TempDir(), files, 0o022, time.Now())
	var log strings.Builder
	a := build(t, filepath.Join(dir, "trainer"), pyproject.Options{Python: python, Log: &log})
	inspect(t, a, "trainer.task")
	if a.Builder != "python -m build" || a.Distribution != "demo" || a.Version != "1.2" || log.Len() == 0 {
		t.Errorf("built %s %s by %s, log %q", a.Distribution, a.Version, a.Builder, log.String())
	}
}

// A build that fails says how.
func testBuildFails(t *testing.T, python string) {
	pyprojectOnly := map[string]string{
		"pyproject.toml": "[project]\nname = 'demo'\nversion = '1'\n", "trainer/__init__.py": "",
	}
	tests := []struct {
		name    string
		files   map[string]string
		options pyproject.Options
		is      error
		want    []string
	}{
		{"raises", project("import sys\nprint('first')\nsys.exit('no model here')\n"), pyproject.Options{Python: python},
			pyproject.ErrSource, []string{"setup.py sdist has failed: exit status 1\nfirst\nno model here", python}},
		{"never ends", project("import time\nprint('busy', flush=True)\ntime.sleep(600)\n"),
			pyproject.Options{Python: python, Timeout: time.Second}, pyproject.ErrSource,
			[]string{"has not ended after 1s"}},
		{"builds nothing", project("print('nothing')\n"), pyproject.Options{Python: python}, pyproject.ErrSource,
			[]string{"has made 0 files *.tar.gz, not one"}},
		{"builds no archive", project("import sys, os\nd = sys.argv[-1]\nos.makedirs(d)\n" +
			"open(os.path.join(d, 'a.tar.gz'), 'w').write('no')\n"), pyproject.Options{Python: python}, pyproject.ErrSource,
			[]string{"what setup.py sdist has built"}},
		{"builds links", project("import sys, os, tarfile\nd = sys.argv[-1]\nos.makedirs(d)\n" +
			"os.symlink('/etc/passwd', 'l')\nt = tarfile.open(os.path.join(d, 'a-1.tar.gz'), 'w:gz')\nt.add('l', 'a-1/l')\nt.close()\n"),
			pyproject.Options{Python: python}, pyproject.ErrSource, []string{"a-1/l is not a file"}},
		{"climbs", project("import sys, os, tarfile\nd = sys.argv[-1]\nos.makedirs(d)\n" +
			"t = tarfile.open(os.path.join(d, 'a-1.tar.gz'), 'w:gz')\nt.add('setup.py', 'a-1/../../l')\nt.close()\n"),
			pyproject.Options{Python: python}, pyproject.ErrSource, []string{"is not in one folder with the other files"}},
		{"no Python", project(script), pyproject.Options{Python: "no-python"}, pyproject.ErrPython,
			[]string{"there is no no-python: install Python 3"}},
		{"no build", pyprojectOnly, pyproject.Options{Python: python}, pyproject.ErrPython,
			[]string{"pip install build, or apt-get install python3-build"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, t.TempDir(), tt.files, 0, time.Now())
			p, err := pyproject.Build(t.Context(), filepath.Join(dir, "trainer"), tt.options)
			if !errors.Is(err, tt.is) {
				t.Fatalf("%v, %v", p, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v; want %q", err, want)
				}
			}
		})
	}
}

// What is packed without Python is what Debian's python3-build packs of the same files.
func TestAsBuildPacks(t *testing.T) {
	t.Parallel()
	python := withBuild(t)
	p := build(t, filepath.Join(write(t, t.TempDir(), sources(), 0o022, time.Now()), "trainer"), options)
	ours := below(t, p.Data)
	dir := write(t, t.TempDir(), ours, 0o022, time.Now())
	c := command(t, t.TempDir(), python, "-m", "build", "--sdist", "--no-isolation", "--outdir",
		filepath.Join(dir, "out"), dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	built, err := filepath.Glob(filepath.Join(dir, "out", "*"))
	if err != nil || len(built) != 1 || filepath.Base(built[0]) != "trainer-0.0.0.tar.gz" {
		t.Fatalf("built %v, %v", built, err)
	}
	data, err := os.ReadFile(built[0])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(below(t, data), ours); diff != "" {
		t.Errorf("files (-build +ours):\n%s", diff)
	}
}

// gcloud packs less: the modules of the package itself. What it packs is in ours, under the same name and version.
func TestAsGcloudPacks(t *testing.T) {
	t.Parallel()
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("SKIPPED: no gcloud here")
	}
	dir := write(t, t.TempDir(), sources(), 0o022, time.Now())
	p := build(t, filepath.Join(dir, "trainer"), options)
	theirs := gcloudPacks(t, gcloud, dir)
	ours := below(t, p.Data)
	for name, content := range theirs {
		if name != "setup.py" && ours[name] != content {
			t.Errorf("%s is %q in gcloud's package, and %q in ours", name, content, ours[name])
		}
	}
	if diff := cmp.Diff([]string{"setup.py", "trainer/__init__.py", "trainer/task.py"}, keys(theirs)); diff != "" {
		t.Errorf("gcloud's files, which docs tell of (-want +got):\n%s", diff)
	}
}

// gcloudPacks has gcloud submit a job to the local Cloud Storage and a training service that is not there, and returns
// the package that it has uploaded.
func gcloudPacks(t *testing.T, gcloud, dir string) map[string]string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	uploaded := make(chan storage.Object, 10)
	s, err := storage.Serve(t.Context(), storage.Options{
		Dir: t.TempDir(), Listener: l, Buckets: []string{"staging"}, Finalized: func(o storage.Object) { uploaded <- o },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c := command(t, dir, gcloud, "ai-platform", "jobs", "submit", "training", "job1", "--package-path=trainer",
		"--module-name=trainer.task", "--staging-bucket=gs://staging", "--region=us-central1", "--runtime-version=2.11",
		"--python-version=3.7")
	c.Env = append(os.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_CORE_PROJECT=p",
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true", "CLOUDSDK_CORE_DISABLE_PROMPTS=true",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE="+s.URL()+"/storage/v1/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_ML="+s.URL()+"/", "NO_PROXY=127.0.0.1")
	out, _ := c.CombinedOutput() // the training service is not there
	var o storage.Object
	select {
	case o = <-uploaded:
	default:
		t.Fatalf("gcloud has uploaded nothing:\n%s", out)
	}
	if filepath.Base(o.Name) != "trainer-0.0.0.tar.gz" {
		t.Errorf("gcloud has uploaded %s", o.Name)
	}
	client, err := gcs.New(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := client.Read(t.Context(), o.Bucket, o.Name, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return below(t, data)
}
