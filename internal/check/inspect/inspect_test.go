package inspect_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	std "cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// sdist returns a source distribution trainer-0.1 with a package of some modules.
func sdist(t *testing.T, pkg string, modules ...string) string {
	t.Helper()
	return sdistWith(t, "packages=find_packages()", pkg, modules...)
}

// sdistWith is [sdist] with arguments of one's own to setup().
func sdistWith(t *testing.T, args, pkg string, modules ...string) string {
	t.Helper()
	files := []string{"PKG-INFO", "setup.py", pkg + "/__init__.py"}
	bodies := map[string]string{} // of modules that are NAME=BODY
	for _, m := range modules {
		name, body, _ := strings.Cut(m, "=")
		files = append(files, pkg+"/"+name+".py")
		bodies[pkg+"/"+name+".py"] = body
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range files {
		body := bodies[name]
		switch name {
		case "PKG-INFO":
			body = "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n"
		case "setup.py":
			body = "from setuptools import setup, find_packages\nsetup(name='trainer', version='0.1', " + args + ")\n"
		}
		if err := w.WriteHeader(&tar.Header{
			Name: "trainer-0.1/" + name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg,
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// valid is a job file that needs a package with the module trainer.task.
const valid = `trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
`

var uploaded = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// folder is a drop's folder in memory: content by file name.
type folder struct {
	files map[string]string
	// opened are the files that were read, in order.
	opened []string
}

// drop returns the folder as a listing shows it: generations increase with the
// names.
func (f *folder) drop() job.Drop {
	var objects []job.Object
	for i, name := range slices.Sorted(maps.Keys(f.files)) {
		objects = append(objects, job.Object{
			Bucket: "inbox", Name: "census/" + name, Generation: int64(i) + 1, Size: int64(len(f.files[name])),
			Created: uploaded,
		})
	}
	return job.Assemble("inbox", "census/", objects)
}

func (f *folder) open(_ context.Context, o job.Object) (io.ReadCloser, error) {
	if o.Bucket != "inbox" || o.Generation == 0 {
		return nil, fmt.Errorf("open %s: no generation is named", o.URI())
	}
	content, ok := f.files[o.Base()]
	if !ok {
		return nil, fmt.Errorf("open %s: %w", o.URI(), job.ErrNotFound)
	}
	f.opened = append(f.opened, o.Base())
	return io.NopCloser(strings.NewReader(content)), nil
}

// lines returns violations as severity, rule, file, place and field.
func lines(vs []job.Violation) []string {
	var all []string
	for _, v := range vs {
		if !rules.Known(v.Rule) {
			all = append(all, "a rule without a page")
		}
		all = append(all, fmt.Sprintf("%s %s %s:%d:%d %s", v.Severity, v.Rule, v.File, v.Line, v.Column, v.Field))
	}
	return all
}

func TestDrop(t *testing.T) {
	task := sdist(t, "trainer", "task", "model")
	const names = valid + "  packageUris: [a.tar.gz, b.tar.gz]\n"
	tests := []struct {
		name       string
		files      map[string]string
		opened     []string
		uris       []string
		missing    []string
		violations []string
	}{
		{
			name: "complete and valid", files: map[string]string{"job.yaml": valid, "trainer-0.1.tar.gz": task},
			opened: []string{"job.yaml", "trainer-0.1.tar.gz"}, uris: []string{"gs://inbox/census/trainer-0.1.tar.gz"},
		},
		{
			name: "packages by name, in the file's order", files: map[string]string{
				"job.yaml": valid + "  packageUris: [b.tar.gz, a.tar.gz]\n", "a.tar.gz": sdist(t, "other", "x"), "b.tar.gz": task,
				"c.tar.gz": "not looked at",
			},
			opened: []string{"job.yaml", "b.tar.gz", "a.tar.gz"},
			uris:   []string{"gs://inbox/census/b.tar.gz", "gs://inbox/census/a.tar.gz"},
		},
		{
			name: "no package yet", files: map[string]string{"job.yaml": valid},
			opened: []string{"job.yaml"}, missing: []string{"a package (*.tar.gz, *.tgz or *.whl)"},
		},
		{
			name:   "one of two is missing: only the job file is read",
			files:  map[string]string{"job.yaml": names, "a.tar.gz": "broken"},
			opened: []string{"job.yaml"}, missing: []string{"b.tar.gz"},
			uris: []string{"gs://inbox/census/a.tar.gz", "gs://inbox/census/b.tar.gz"},
		},
		{
			name:   "incomplete, and what is wrong in the file is known already",
			files:  map[string]string{"job.yaml": strings.Replace(valid, "BASIC", "SMALL", 1)},
			opened: []string{"job.yaml"}, missing: []string{"a package (*.tar.gz, *.tgz or *.whl)"},
			violations: []string{"error enum job.yaml:2:14 trainingInput.scaleTier"},
		},
		{
			name: "a pin that does not match", files: map[string]string{
				"job.yaml":           valid + "jobdrop:\n  packages: [{name: trainer-0.1.tar.gz, generation: 9}]\n",
				"trainer-0.1.tar.gz": task,
			},
			opened:  []string{"job.yaml"},
			missing: []string{"trainer-0.1.tar.gz (generation 9), in whose place generation 2 is there"},
			uris:    []string{"gs://inbox/census/trainer-0.1.tar.gz"},
		},
		{
			name: "a file of the folder that is not a package is not left out in silence",
			files: map[string]string{
				"job.yaml":           valid + "  packageUris: [trainer-0.1.tar.gz, 'gs://inbox/census/more.zip']\n",
				"trainer-0.1.tar.gz": task,
			},
			opened: []string{"job.yaml", "trainer-0.1.tar.gz"},
			uris:   []string{"gs://inbox/census/trainer-0.1.tar.gz", "gs://inbox/census/more.zip"},
			violations: []string{
				"warning package-extension job.yaml:7:37 trainingInput.packageUris[1]",
				"error policy-package-source job.yaml:7:37 trainingInput.packageUris[1]",
			},
		},
		{
			name: "no package named, two there", files: map[string]string{"job.yaml": valid, "a.tar.gz": task, "b.tar.gz": task},
			opened: []string{"job.yaml"}, uris: []string{"gs://inbox/census/a.tar.gz", "gs://inbox/census/b.tar.gz"},
			violations: []string{"error package-ambiguous job.yaml:1:1 trainingInput.packageUris"},
		},
		{
			name:   "two job files: the newest counts",
			files:  map[string]string{"job.json": "{", "job.yaml": valid, "trainer-0.1.tar.gz": task},
			opened: []string{"job.yaml", "trainer-0.1.tar.gz"}, uris: []string{"gs://inbox/census/trainer-0.1.tar.gz"},
			violations: []string{"error one-job-file job.yaml:0:0 "},
		},
		{
			name:   "no package has the module",
			files:  map[string]string{"job.yaml": valid, "trainer-0.1.tar.gz": sdist(t, "trainer", "tsak")},
			opened: []string{"job.yaml", "trainer-0.1.tar.gz"}, uris: []string{"gs://inbox/census/trainer-0.1.tar.gz"},
			violations: []string{"error python-module-in-package job.yaml:6:17 trainingInput.pythonModule"},
		},
		{
			name: "the settings move the package, so nobody is sure",
			files: map[string]string{
				"job.yaml":           valid,
				"trainer-0.1.tar.gz": sdistWith(t, "packages=['trainer'], package_dir=dict(trainer='code')", "code", "task"),
			},
			opened: []string{"job.yaml", "trainer-0.1.tar.gz"}, uris: []string{"gs://inbox/census/trainer-0.1.tar.gz"},
			violations: []string{"warning python-module-in-package job.yaml:6:17 trainingInput.pythonModule"},
		},
		{
			name:   "another package has the module",
			files:  map[string]string{"job.yaml": names, "a.tar.gz": sdist(t, "other", "x"), "b.tar.gz": task},
			opened: []string{"job.yaml", "a.tar.gz", "b.tar.gz"},
			uris:   []string{"gs://inbox/census/a.tar.gz", "gs://inbox/census/b.tar.gz"},
		},
		{
			name:   "a broken package says nothing of the module",
			files:  map[string]string{"job.yaml": valid, "trainer-0.1.tar.gz": task[:len(task)/2]},
			opened: []string{"job.yaml", "trainer-0.1.tar.gz"}, uris: []string{"gs://inbox/census/trainer-0.1.tar.gz"},
			violations: []string{"error package-truncated trainer-0.1.tar.gz:0:0 "},
		},
		{
			name: "a module's name that can't be one is one violation",
			files: map[string]string{
				"job.yaml": strings.Replace(valid, "trainer.task", "trainer/task.py", 1), "trainer-0.1.tar.gz": task,
			},
			opened: []string{"job.yaml", "trainer-0.1.tar.gz"}, uris: []string{"gs://inbox/census/trainer-0.1.tar.gz"},
			violations: []string{"error python-module-format job.yaml:6:17 trainingInput.pythonModule"},
		},
		{
			name: "an image needs no package",
			files: map[string]string{
				"job.yaml": "trainingInput:\n  region: us-central1\n  scaleTier: BASIC\n" +
					"  masterConfig: {imageUri: gcr.io/project/x}\n",
			},
			opened: []string{"job.yaml"},
		},
		{
			name:   "a file that can't be read at all waits for nothing",
			files:  map[string]string{"job.yaml": "a: [", "trainer-0.1.tar.gz": task},
			opened: []string{"job.yaml"}, violations: []string{"error syntax job.yaml:1:1 "},
		},
		{
			name:   "a file that is too large",
			files:  map[string]string{"job.yaml": valid + strings.Repeat("#", jobspec.MaxSize), "trainer-0.1.tar.gz": task},
			opened: []string{"job.yaml"}, violations: []string{"error file-size job.yaml:0:0 "},
		},
		{
			name: "violations as they stand in the file, packages last",
			files: map[string]string{
				"job.json": "{}",
				"job.yaml": `trainingInput:
  serviceAccount: a@b.c
  scaleTier: SMALL
  jobDir: gs://inbox/out
  packageUris: [b.tar.gz, a.tar.gz]
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
labels: {jobdrop-x: y}
`,
				"a.tar.gz": "broken", "b.tar.gz": "too",
			},
			opened: []string{"job.yaml", "b.tar.gz", "a.tar.gz"},
			uris:   []string{"gs://inbox/census/b.tar.gz", "gs://inbox/census/a.tar.gz"},
			violations: []string{
				"error policy-service-account job.yaml:2:19 trainingInput.serviceAccount",
				"error enum job.yaml:3:14 trainingInput.scaleTier",
				"error job-dir-outside-inbox job.yaml:4:11 trainingInput.jobDir",
				"error label-reserved job.yaml:10:10 labels.jobdrop-x",
				"error one-job-file job.yaml:0:0 ",
				"error package-format b.tar.gz:0:0 ",
				"error package-format a.tar.gz:0:0 ",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := folder{files: test.files}
			r, err := inspect.Drop(t.Context(), f.drop(), inspect.Objects{Open: f.open},
				policy.Policy{Project: "project", Inbox: "inbox"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.opened, f.opened); diff != "" {
				t.Errorf("opened (-want +got):\n%s", diff)
			}
			var uris []string
			if r.Spec.TrainingInput != nil {
				uris = r.Spec.TrainingInput.PackageURIs
			}
			if diff := cmp.Diff(test.uris, uris); diff != "" {
				t.Errorf("package URIs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.missing, r.Resolution.Missing); diff != "" || r.Incomplete() != (len(test.missing) > 0) {
				t.Errorf("incomplete %t, missing (-want +got):\n%s", r.Incomplete(), diff)
			}
			if diff := cmp.Diff(test.violations, lines(r.Violations)); diff != "" {
				t.Errorf("violations (-want +got):\n%s\n%v", diff, r.Violations)
			}
		})
	}
}

func TestViolationsTellWhatWasFound(t *testing.T) {
	tests := []struct {
		name                          string
		files                         map[string]string
		found, allowed, remedyHasWord string
	}{
		{
			"ambiguous", map[string]string{"job.yaml": valid, "a.whl": "x", "b.whl": "x"}, "a.whl, b.whl", "",
			"trainingInput.packageUris",
		},
		{
			"two job files", map[string]string{"job.json": valid, "job.yml": valid, "a.tar.gz": sdist(t, "trainer", "task")},
			"job.json, job.yml", "one of job.yaml, job.yml, job.json", "delete",
		},
		{
			"a module that is nearly there", map[string]string{"job.yaml": valid, "a.tar.gz": sdist(t, "trainer", "tasks", "x")},
			"trainer.task", "", "did you mean trainer.tasks?",
		},
		{
			"a module that is not there at all", map[string]string{"job.yaml": valid, "a.tar.gz": sdist(t, "model", "fit")},
			"trainer.task", "", "__init__.py",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := folder{files: test.files}
			r, err := inspect.Drop(t.Context(), f.drop(), inspect.Objects{Open: f.open},
				policy.Policy{Project: "project", Inbox: "inbox"})
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(r.Violations, func(v job.Violation) bool { return v.Found == test.found })
			if i < 0 {
				t.Fatalf("no violation found %q: %v", test.found, r.Violations)
			}
			if v := r.Violations[i]; v.Allowed != test.allowed || !strings.Contains(v.Remedy, test.remedyHasWord) {
				t.Errorf("allowed %q, remedy %q; want %q, …%s…", v.Allowed, v.Remedy, test.allowed, test.remedyHasWord)
			}
		})
	}
}

// What a package holds and its setup leaves out, which Python it asks for, and what it
// imports are held against the job.
func TestPackagesOfTheJob(t *testing.T) {
	const plain = "packages=find_packages()"
	for _, tt := range []struct {
		name, setup, file string
		job               string // what the file has in the place of this key's line
		modules           []string
		want              []string // severity, field and parts of the text
	}{
		{name: "as it should be", setup: plain + ", python_requires='>=3.5, <3.8'"},
		{name: "left out", setup: "packages=find_packages(exclude=['trainer'])", want: []string{
			"error trainingInput.pythonModule: exclude leaves trainer out; remove 'trainer' from exclude in setup.py",
		}},
		{name: "a package", setup: plain, job: "pythonModule: trainer\n", want: []string{
			"error trainingInput.pythonModule: a package without a __main__.py, which Python can't run; trainer.task",
		}},
		{name: "a newer Python", setup: plain + ", python_requires='>=3.12'", want: []string{
			"error trainingInput.pythonVersion: pip refuses to install trainer-0.1.tar.gz: it asks for Python >=3.12, and the " +
				"job has Python 3.7; for Python 3.7",
		}},
		{name: "one release of the job's Python", setup: plain + ", python_requires='==3.7.3'"},
		{name: "no Python to hold against", setup: plain + ", python_requires='>=3.5'",
			job: "runtimeVersion: '1.14'\n", want: []string{
				"error trainingInput.pythonVersion: the job has no Python version; ",
			}},
		{name: "a wheel of another Python", file: "trainer-0.1-cp310-cp310-linux_x86_64.whl", want: []string{
			"error trainingInput.pythonVersion: asks for the Python of its tag, cp310-cp310, and the job has Python 3.7; 3.7",
		}},
		{name: "a wheel of the job's Python", file: "trainer-0.1-cp37-cp37m-manylinux2014_x86_64.whl"},
		{name: "a name that lies beside the module", setup: plain, modules: []string{"task", "model", "os=import model"},
			want: []string{"warning : imports a name that lies beside it; import trainer.model"}},
		{name: "to Python 2 it is there", setup: plain, modules: []string{"task", "model", "os=import model"},
			job: "runtimeVersion: '1.15'\n  pythonVersion: '2.7'\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := std.Or(tt.file, "trainer-0.1.tar.gz")
			modules := tt.modules
			if modules == nil {
				modules = []string{"task"}
			}
			content := sdistWith(t, tt.setup, "trainer", modules...)
			if tt.file != "" {
				content = wheelOf(t)
			}
			text := valid
			if key, _, ok := strings.Cut(tt.job, ":"); ok {
				text = ""
				for line := range strings.SplitAfterSeq(valid, "\n") {
					other := key == "runtimeVersion" && strings.Contains(line, "pythonVersion")
					if !strings.Contains(line, key) && !other {
						text += line
					}
				}
				text += "  " + tt.job
			}
			f := folder{files: map[string]string{"job.yaml": text, file: content}}
			r, err := inspect.Drop(t.Context(), f.drop(), inspect.Objects{Open: f.open},
				policy.Policy{Project: "project", Inbox: "inbox"})
			if err != nil {
				t.Fatal(err)
			}
			vs := slices.DeleteFunc(r.Violations, func(v job.Violation) bool {
				return v.Severity == job.Warning && v.Rule != "package-import" // old runtimes are warned of
			})
			if len(vs) != len(tt.want) {
				t.Fatalf("got %v, want %q", vs, tt.want)
			}
			for i, want := range tt.want {
				head, text, _ := strings.Cut(want, ": ")
				message, remedy, _ := strings.Cut(text, "; ")
				if got := fmt.Sprintf("%s %s", vs[i].Severity, vs[i].Field); got != head ||
					!strings.Contains(vs[i].Message, message) || !strings.Contains(vs[i].Remedy, remedy) {
					t.Errorf("got %s: %v, want %q", got, vs[i], want)
				}
			}
		})
	}
}

// wheelOf returns a wheel with the module trainer.task.
func wheelOf(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range [][2]string{
		{"trainer/__init__.py", ""},
		{"trainer/task.py", ""},
		{"trainer-0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n"},
		{"trainer-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\n"},
		{"trainer-0.1.dist-info/RECORD", "trainer/__init__.py,,\ntrainer/task.py,,\ntrainer-0.1.dist-info/METADATA,,\n" +
			"trainer-0.1.dist-info/WHEEL,,\n"},
	} {
		e, err := w.Create(f[0])
		if err == nil {
			_, err = io.WriteString(e, f[1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A small file whose aliases stand for megabytes has one violation, and nothing of it
// is worked out or opened.
func TestDropTooLarge(t *testing.T) {
	text, aliases := strings.Repeat("<", 100<<10), strings.Repeat(", *a", 50) // within what is decoded
	for name, file := range map[string]string{
		"arguments": valid + "  args: [&a '" + text + "'" + aliases + "]\n",
		"packages":  valid + "  packageUris: [&a '" + text + "'" + aliases + "]\n",
		"pins":      valid + "jobdrop: {packages: [&a {name: '" + text + "'}" + aliases + "]}\n",
		"routes":    valid + "jobdrop: {notify: [&a '" + text + "'" + aliases + "]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := folder{files: map[string]string{"job.yaml": file, "a.tar.gz": "never read"}}
			want := []string{"error job-size job.yaml:0:0 "}
			r, err := inspect.Drop(t.Context(), f.drop(), inspect.Objects{Open: f.open},
				policy.Policy{Project: "project", Inbox: "inbox"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, lines(r.Violations)); diff != "" || len(f.opened) != 1 {
				t.Errorf("opened %q, violations (-want +got):\n%s", f.opened, diff)
			}
			r = inspect.File(f.drop(), "job.yaml", []byte(file), policy.Policy{})
			if diff := cmp.Diff(want, lines(r.Violations)); diff != "" {
				t.Errorf("of the file alone (-want +got):\n%s", diff)
			}
		})
	}
	// The largest file without an alias is no larger than what can be recorded.
	largest := valid + "  args: ['" + strings.Repeat("<", jobspec.MaxSize-len(valid)-20) + "']\n"
	f := folder{files: map[string]string{"job.yaml": largest, "a.tar.gz": sdist(t, "trainer", "task")}}
	r, err := inspect.Drop(t.Context(), f.drop(), inspect.Objects{Open: f.open},
		policy.Policy{Project: "project", Inbox: "inbox"})
	if err != nil || slices.ContainsFunc(r.Violations, func(v job.Violation) bool { return v.Rule == "job-size" }) {
		t.Errorf("the largest file: %v, %v", lines(r.Violations), err)
	}
}

// Packages that are too large in all are not even opened.
func TestDropBoundsItsPackages(t *testing.T) {
	const limit = 4 << 30
	for _, test := range []struct {
		name   string
		sizes  [2]int64
		refuse bool
	}{
		{"at the limit", [2]int64{limit - 1, 1}, false},
		{"past it", [2]int64{limit, 1}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := folder{
				files: map[string]string{
					"job.yaml": valid + "  packageUris: [a.tar.gz, b.tar.gz]\n", "a.tar.gz": sdist(t, "trainer", "task"),
					"b.tar.gz": sdist(t, "other", "x"),
				},
			}
			d := f.drop()
			for i := range d.Packages {
				d.Packages[i].Size = test.sizes[i]
			}
			r, err := inspect.Drop(t.Context(), d, inspect.Objects{Open: f.open},
				policy.Policy{Project: "project", Inbox: "inbox"})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			opened := []string{"job.yaml", "a.tar.gz", "b.tar.gz"}
			if test.refuse {
				want, opened = []string{"error packages-size a.tar.gz:0:0 "}, opened[:1]
			}
			if diff := cmp.Diff(want, lines(r.Violations)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(opened, f.opened); diff != "" {
				t.Errorf("opened (-want +got):\n%s", diff)
			}
		})
	}
}

// The ID of a job whose file names none is the same at each look, and another
// for the next generation of the file.
func TestDropGivesTheJobItsID(t *testing.T) {
	f := folder{files: map[string]string{"job.yaml": valid, "trainer-0.1.tar.gz": sdist(t, "trainer", "task")}}
	look := func(d job.Drop) string {
		t.Helper()
		r, err := inspect.Drop(t.Context(), d, inspect.Objects{Open: f.open},
			policy.Policy{Project: "project", Inbox: "inbox"})
		if err != nil || len(r.Violations) > 0 {
			t.Fatalf("%v, %v", r.Violations, err)
		}
		return r.Spec.JobID
	}
	d := f.drop()
	jobFile, _ := d.JobFile()
	id := look(d)
	if id != job.DefaultJobID(jobFile) || !strings.HasPrefix(id, "census_20261122_120000_") {
		t.Errorf("job ID %s, want %s", id, job.DefaultJobID(jobFile))
	}
	if again := look(f.drop()); again != id {
		t.Errorf("job ID %s at the second look, %s at the first", again, id)
	}
	d.JobFiles[0].Generation++
	if next := look(d); next == id {
		t.Errorf("job ID %s of two generations", id)
	}
	f.files["job.yaml"] = "jobId: mine\n" + valid
	if own := look(f.drop()); own != "mine" {
		t.Errorf("job ID %s, want the file's own", own)
	}
}

// What can't be read is not known: no verdict may come of it.
func TestDropReadErrors(t *testing.T) {
	broken := errors.New("connection reset")
	task := sdist(t, "trainer", "task")
	fails := func(name string, err error, from int) inspect.Open {
		f := folder{files: map[string]string{"job.yaml": valid, "trainer-0.1.tar.gz": task}}
		return func(ctx context.Context, o job.Object) (io.ReadCloser, error) {
			r, openErr := f.open(ctx, o)
			switch {
			case o.Base() != name || openErr != nil:
				return r, openErr
			case from < 0:
				return nil, fmt.Errorf("open %s: %w", o.URI(), err)
			}
			return io.NopCloser(io.MultiReader(io.LimitReader(r, int64(from)), iotest.ErrReader(err))), nil
		}
	}
	tests := []struct {
		name string
		open inspect.Open
		want error
	}{
		{"the job file is gone", fails("job.yaml", job.ErrNotFound, -1), job.ErrNotFound},
		{"the job file can't be opened", fails("job.yaml", broken, -1), broken},
		{"the job file ends in an error", fails("job.yaml", broken, 20), broken},
		{"the package is gone", fails("trainer-0.1.tar.gz", job.ErrNotFound, -1), job.ErrNotFound},
		{"the package can't be opened", fails("trainer-0.1.tar.gz", broken, -1), broken},
		{"the package ends in an error at once", fails("trainer-0.1.tar.gz", broken, 0), broken},
		{"the package ends in an error", fails("trainer-0.1.tar.gz", broken, len(task)/2), broken},
		{"the package ends in an error after its last byte", fails("trainer-0.1.tar.gz", broken, len(task)), broken},
		{"out of time", fails("trainer-0.1.tar.gz", context.DeadlineExceeded, 10), context.DeadlineExceeded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := folder{files: map[string]string{"job.yaml": valid, "trainer-0.1.tar.gz": task}}
			r, err := inspect.Drop(t.Context(), f.drop(), inspect.Objects{Open: test.open},
				policy.Policy{Project: "project", Inbox: "inbox"})
			if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if diff := cmp.Diff(inspect.Result{}, r); diff != "" {
				t.Errorf("a result beside an error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDropNeedsAJobFile(t *testing.T) {
	f := folder{files: map[string]string{"a.tar.gz": "x"}}
	if r, err := inspect.Drop(t.Context(), f.drop(), inspect.Objects{Open: f.open}, policy.Policy{}); err == nil ||
		len(f.opened) > 0 {
		t.Errorf("%+v, %v; opened %v", r, err, f.opened)
	}
}

func TestDropClosesWhatItOpens(t *testing.T) {
	f := folder{
		files: map[string]string{
			"job.yaml": valid + "  packageUris: [a.tar.gz, b.tar.gz]\n", "a.tar.gz": "broken",
			"b.tar.gz": sdist(t, "trainer", "task"),
		},
	}
	open, closed := 0, 0
	_, err := inspect.Drop(t.Context(), f.drop(),
		inspect.Objects{Open: func(ctx context.Context, o job.Object) (io.ReadCloser, error) {
			r, err := f.open(ctx, o)
			open++
			return counted{r, &closed}, err
		}}, policy.Policy{})
	if err != nil || open != 3 || closed != open {
		t.Errorf("%d opened, %d closed, %v", open, closed, err)
	}
}

type counted struct {
	io.Reader
	closed *int
}

func (c counted) Close() error {
	*c.closed++
	return nil
}

func TestFile(t *testing.T) {
	tests := []struct {
		name, file string
		policy     policy.Policy
		violations []string
	}{
		{"whatever package there will be", valid, policy.Policy{}, nil},
		{"packages by name", valid + "  packageUris: [a.tar.gz, b.whl]\n", policy.Policy{}, nil},
		{
			"pins can't be compared", valid + "jobdrop:\n  packages: [{name: package.tar.gz, generation: 9}]\n", policy.Policy{},
			nil,
		},
		{
			"an image", "trainingInput: {region: us-central1, scaleTier: BASIC, masterConfig: {imageUri: gcr.io/p/x}}\n",
			policy.Policy{Project: "p", Inbox: "inbox"}, nil,
		},
		{
			"what only an installation knows",
			valid + "  packageUris: ['gs://other/a.tar.gz']\n  masterConfig: {diskConfig: {bootDiskType: tape}}\n",
			policy.Policy{},
			[]string{
				"warning policy-package-source spec.yaml:7:17 trainingInput.packageUris[0]",
				"error disk-type spec.yaml:8:45 trainingInput.masterConfig.diskConfig.bootDiskType",
			},
		},
		{
			"in the order of the file, also what can't be read",
			strings.Replace(valid, "BASIC", "SMALL", 1) + "  serviceAccount: a@b.c\nlabels: {jobdrop-x: y}\n", policy.Policy{},
			[]string{
				"error enum spec.yaml:2:14 trainingInput.scaleTier",
				"error policy-service-account spec.yaml:7:19 trainingInput.serviceAccount",
				"error label-reserved spec.yaml:8:10 labels.jobdrop-x",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := inspect.File(job.Drop{Bucket: "inbox", Folder: "drop/"}, "spec.yaml", []byte(test.file), test.policy)
			if diff := cmp.Diff(test.violations, lines(r.Violations)); diff != "" {
				t.Errorf("violations (-want +got):\n%s\n%v", diff, r.Violations)
			}
			if r.Incomplete() || r.Spec.JobID == "" {
				t.Errorf("missing %v, job ID %q", r.Resolution.Missing, r.Spec.JobID)
			}
		})
	}
}
