package pypkg

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func symlink(name, target string) entry { return entry{name: name, typ: tar.TypeSymlink, link: target} }

func hardlink(name, target string) entry { return entry{name: name, typ: tar.TypeLink, link: target} }

// generated is the setup.py that gcloud writes, byte by byte.
const generated = `from setuptools import setup, find_packages

if __name__ == '__main__':
    setup(
        name='trainer',
        packages=find_packages(include=['trainer'])
    )
`

// Links lead out of a package in ways that the text of one path does not show.
func TestInspectLinks(t *testing.T) {
	out := func(link string) []string { return []string{"error package-link: found " + link} }
	for _, tt := range []struct {
		name    string
		entries []entry
		want    []string
	}{
		{"to a sibling", []entry{symlink("trainer-0.1/trainer/x", "task.py")}, nil},
		{"to the root", []entry{symlink("trainer-0.1/trainer/x", "..")}, nil},
		{"to itself", []entry{symlink("trainer-0.1/x", "x")}, nil},
		{"to each other", []entry{symlink("trainer-0.1/x", "y"), symlink("trainer-0.1/y", "x")}, nil},
		{"to nothing", []entry{symlink("trainer-0.1/x", "absent")}, nil},
		{
			"out of the root and back", []entry{symlink("trainer-0.1/x", "../trainer-0.1/setup.py")},
			out("trainer-0.1/x -> ../trainer-0.1/setup.py"),
		},
		{"out through a link", []entry{
			symlink("trainer-0.1/a/b/up", "../.."), symlink("trainer-0.1/a/b/c/x", "../up/../y"),
		}, out("trainer-0.1/a/b/c/x -> ../up/../y")},
		{"out through a link that comes later", []entry{
			symlink("trainer-0.1/a/b/c/x", "../up/../y"), symlink("trainer-0.1/a/b/up", "../.."),
		}, out("trainer-0.1/a/b/c/x -> ../up/../y")},
		{"below a link", []entry{
			symlink("trainer-0.1/a/b/up", "../.."), symlink("trainer-0.1/a/b/up/x", "../y"),
		}, out("trainer-0.1/a/b/up/x -> ../y")},
		{"below a link, within", []entry{symlink("trainer-0.1/a/b/up", "../.."), file("trainer-0.1/a/b/up/y.txt", "")}, nil},
		{"hard link to another root", []entry{hardlink("trainer-0.1/x", "other/y")}, []string{
			"error package-hard-link: found trainer-0.1/x -> other/y", "error package-link: found trainer-0.1/x -> other/y",
		}},
		{"absolute through a link", []entry{symlink("trainer-0.1/etc", "/etc"), symlink("trainer-0.1/x", "etc/passwd")},
			[]string{
				"error package-link: found trainer-0.1/etc -> /etc", "error package-link: found trainer-0.1/x -> etc/passwd",
			}},
		{"of Windows", []entry{symlink("trainer-0.1/x", `..\..\y`)}, []string{`error package-link: trainer-0.1/x -> `}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inspects(t, "trainer-0.1.tar.gz", sdist(t, project(tt.entries...)...), tt.want)
		})
	}
}

// What Python's tarfile can't unpack, since it goes by the entries before, is refused;
// testdata has none of these: TestTarfileAgrees asks Python of the same.
var placed = []struct {
	name    string
	entries []entry
	want    []string
}{
	{"hard link", []entry{file("r/a", "x"), hardlink("r/b", "r/a")}, nil},
	{
		"hard link to a later entry", []entry{hardlink("r/b", "r/a"), file("r/a", "x")},
		[]string{"error package-hard-link: found r/b -> r/a"},
	},
	{
		"hard link to nothing", []entry{file("r/a", "x"), hardlink("r/b", "r/c")},
		[]string{"error package-hard-link: found r/b -> r/c"},
	},
	{"hard link to itself", []entry{hardlink("r/b", "r/b")}, []string{"error package-hard-link: found r/b -> r/b"}},
	{"hard link to a hard link", []entry{file("r/a", "x"), hardlink("r/b", "r/a"), hardlink("r/c", "r/b")}, nil},
	{"hard link to a link", []entry{file("r/a", "x"), symlink("r/s", "a"), hardlink("r/b", "r/s")}, nil},
	{"hard link through a link", []entry{file("r/d/a", "x"), symlink("r/l", "d"), hardlink("r/b", "r/l/a")}, nil},
	{
		"hard link through a link, later", []entry{symlink("r/l", "d"), hardlink("r/b", "r/l/a"), file("r/d/a", "x")},
		[]string{"error package-hard-link: r/l/a"},
	},
	{"hard link with dots", []entry{file("r/a", "x"), hardlink("r/b", "r/./a")}, nil},
	{"hard link to a folder", []entry{file("r/d/a", "x"), hardlink("r/b", "r/d")}, nil},
	{
		"below a link to nothing", []entry{symlink("r/l", "no"), file("r/l/a", "x")},
		[]string{"error package-entry-place: below r/l"},
	},
	{
		"below a link to a later folder", []entry{symlink("r/l", "d"), file("r/l/a", "x"), file("r/d/y", "")},
		[]string{"error package-entry-place: below r/l"},
	},
	{"below a link to a folder", []entry{file("r/d/y", ""), symlink("r/l", "d"), file("r/l/a", "x")}, nil},
	{
		"below a link to a file", []entry{file("r/y", ""), symlink("r/l", "y"), file("r/l/a", "x")},
		[]string{"error package-entry-place: below r/l"},
	},
	{
		"below a link to itself", []entry{symlink("r/l", "l"), file("r/l/a", "x")},
		[]string{"error package-entry-place: below r/l"},
	},
	{"below a file", []entry{file("r/a", "x"), file("r/a/b", "")}, []string{"error package-entry-place: below r/a"}},
	{
		"file in a folder's place", []entry{file("r/a/b", ""), file("r/a", "x")},
		[]string{"error package-entry-place: found r/a"},
	},
	{
		"link in a folder's place", []entry{file("r/a/b", ""), file("r/b", "x"), symlink("r/a", "b")},
		[]string{"error package-entry-place: found r/a"},
	},
	{"link in a file's place", []entry{file("r/a", "1"), file("r/b", "x"), symlink("r/a", "b")}, nil},
	{"file in a link's place", []entry{symlink("r/a", "no"), file("r/a", "x")}, nil},
	{
		"file in an endless link's place", []entry{symlink("r/a", "a"), file("r/a", "x")},
		[]string{"error package-entry-place: leads to itself"},
	},
	{"file twice", []entry{file("r/a", "x"), file("r/a", "y")}, nil},
}

func TestInspectPlaces(t *testing.T) {
	t.Parallel()
	for _, tt := range placed {
		t.Run(tt.name, func(t *testing.T) {
			entries := append([]entry{
				file("r/setup.py", setup), file("r/trainer/__init__.py", ""), file("r/trainer/task.py", ""),
			}, tt.entries...)
			_, vs, err := Inspect(t.Context(), "r-1.tar.gz", bytes.NewReader(sdist(t, entries...)), small())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range vs {
				if v.Rule == "package-hard-link" || v.Rule == "package-entry-place" {
					got = append(got, "error "+string(v.Rule)+": "+v.String())
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				rule, text, _ := strings.Cut(want, ": ")
				if !strings.HasPrefix(got[i], rule+": ") || !strings.Contains(got[i], text) {
					t.Errorf("got %q, want %q", got[i], want)
				}
			}
		})
	}
}

// Python's own tarfile fails on what is refused, and on nothing else.
func TestTarfileAgrees(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: there is no python3")
	}
	dir := t.TempDir()
	for i, tt := range placed {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+".tar.gz"), sdist(t, tt.entries...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const program = `
import os, sys, tarfile
for i in range(int(sys.argv[2])):
    name = os.path.join(sys.argv[1], str(i))
    try:
        with tarfile.open(name + ".tar.gz") as t:
            t.extractall(name)
        print("ok")
    except Exception as e:
        print(type(e).__name__, str(e).splitlines()[:1])
`
	out, err := exec.Command(python, "-W", "ignore", "-c", program, dir, strconv.Itoa(len(placed))).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(placed) {
		t.Fatalf("%d answers of %d", len(lines), len(placed))
	}
	for i, tt := range placed {
		if (lines[i] == "ok") != (len(tt.want) == 0) {
			t.Errorf("%s: Python says %q, and we %q", tt.name, lines[i], tt.want)
		}
	}
}

// Following links is bounded, whatever they are.
func TestLinksWalked(t *testing.T) {
	var l links
	target := strings.Repeat("a/", 400)
	for i := range 5000 {
		l.add(fmt.Sprintf("r/%d", i), target, false)
	}
	outside := 0
	for _, f := range l.follow("r") {
		if f.outside {
			outside++
		}
	}
	if l.walked > 2*maxWalked || outside == 0 {
		t.Errorf("walked %d bytes, %d links outside; want an end at %d", l.walked, outside, maxWalked)
	}
}

// What a link stands for is installed, so that it counts as a module.
func TestReportLinks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries []entry
		want    []string
	}{
		{
			"hard link", []entry{file("p-1/setup.py", ""), file("p-1/a.py", ""), hardlink("p-1/b.py", "p-1/a.py")},
			[]string{"a", "b"},
		},
		{
			"setup is a link", []entry{
				file("p-1/build/setup.py", ""), symlink("p-1/setup.py", "build/setup.py"), file("p-1/a.py", ""),
			}, []string{"a", "build.setup"},
		},
		{
			"folder", []entry{file("p-1/setup.py", ""), file("p-1/lib/a/b.py", ""), symlink("p-1/trainer", "lib/a")},
			[]string{"lib.a.b", "trainer.b"},
		},
		{
			"folder in place", []entry{file("./setup.py", ""), file("./lib/a/b.py", ""), symlink("./trainer", "lib/a")},
			[]string{"lib.a.b", "trainer.b"},
		},
		{
			"folder that holds the link", []entry{file("p-1/setup.py", ""), file("p-1/a/b.py", ""), symlink("p-1/a/x", ".")},
			[]string{"a.b"},
		},
		{"odd paths", []entry{file("p-1//setup.py", ""), file("p-1/./a//b.py", "")}, []string{"a.b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			report, vs, err := Inspect(t.Context(), "p-1.tar.gz", bytes.NewReader(sdist(t, tt.entries...)), small())
			if err != nil || len(vs) > 0 {
				t.Fatal(vs, err)
			}
			if diff := cmp.Diff(tt.want, report.Modules); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Where settings tell a package's place in ways that are not followed, a module
// that is not seen may be there.
func TestReportGuessed(t *testing.T) {
	t.Parallel()
	pyproject := func(text string) entry { return file("p-1/pyproject.toml", text) }
	for _, tt := range []struct {
		name     string
		settings entry
		want     bool
	}{
		{"nothing said", file("p-1/setup.py", setup), false},
		{"the folder of all", file("p-1/setup.py", "setup(package_dir={'': 'lib'})"), false},
		{"a package's folder", file("p-1/setup.py", "setup(package_dir={'trainer': 'code'})"), true},
		{"a call", file("p-1/setup.py", "setup(package_dir=dict(trainer='code'))"), true},
		{"setup.cfg", file("p-1/setup.cfg", "[options]\npackage_dir =\n    trainer = code\n"), true},
		{"pyproject", pyproject("[tool.setuptools]\npackage-dir = {trainer = \"code\"}\n"), true},
		{"pyproject's table", pyproject("[tool.setuptools.package-dir]\ntrainer = \"code\"\n"), true},
		{"setuptools", pyproject("[build-system]\nbuild-backend = \"setuptools.build_meta\"\n"), false},
		{"poetry", pyproject("[build-system]\nbuild-backend = \"poetry.core.masonry.api\"\n"), false},
		{"flit", pyproject("[build-system]\nbuild-backend = 'flit_core.buildapi'\n"), false},
		{"hatch", pyproject("[build-system]\nbuild-backend = \"hatchling.build\"\n"), true},
		{"maturin", pyproject("[build-system]\nbuild-backend = \"maturin\"\n"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := sdist(t, tt.settings, file("p-1/setup.py", ""), file("p-1/code/task.py", ""))
			if tt.settings.name == "p-1/setup.py" {
				data = sdist(t, tt.settings, file("p-1/code/task.py", ""))
			}
			report, _, err := Inspect(t.Context(), "p-1.tar.gz", bytes.NewReader(data), small())
			if err != nil || report.Guessed != tt.want {
				t.Errorf("got %v, error %v, want %v", report.Guessed, err, tt.want)
			}
		})
	}
}

// Settings and names are held against each other within bounds, whatever they
// say: each of these took minutes where it was done naively.
func TestInspectBounds(t *testing.T) {
	t.Parallel()
	limits := DefaultLimits()
	folders := func(n int, format string) (files []entry) {
		for i := range n {
			files = append(files, file(fmt.Sprintf(format, i), ""))
		}
		return files
	}
	list := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	deep := strings.Repeat("a/", 400)
	for name, entries := range map[string][]entry{
		"roots": append(folders(1000, "p-1/"+deep+"m%d.py"),
			file("p-1/setup.py", "setup(package_dir=x("+list(400, "'"+strings.Repeat("a/", 300)+"%d',")+list(400, "'a',")+"))")),
		"patterns": append(folders(1000, "p-1/"+strings.Repeat("a", 200)+"%d/b/m.py"),
			file("p-1/setup.py", "setup(packages=find_packages(include=["+list(4000, "'*a*a*a*a*a*a*b%d',")+"]))")),
		"listed": append(folders(1000, "p-1/a%d/b/m.py"), file("p-1/setup.py", "setup(packages=["+list(9000, "'a%d',")+"])")),
	} {
		t.Run(name, func(t *testing.T) {
			report, _, err := Inspect(t.Context(), "p-1.tar.gz", bytes.NewReader(sdist(t, entries...)), limits)
			if err != nil {
				t.Fatal(err)
			}
			names := 0
			for _, m := range report.Modules {
				names += len(m)
			}
			// Each module counts once by its place, and what its roots add is bounded.
			if most := maxRootNames + len(entries)*(len(deep)+limits.Name); names > most {
				t.Errorf("%d bytes of modules, at most %d", names, most)
			}
		})
	}
	many := packing{}
	if many.list(strings.Fields(list(maxListed+1, "p%d "))) {
		t.Error("a list without an end is understood")
	}
	for _, script := range []string{
		"setup(packages=find_packages(include=[" + list(maxPatterns+1, "'p%d',") + "]))",
		"setup(packages=find_packages(exclude=[" + list(maxPatterns+1, "'p%d',") + "]))",
	} {
		if _, ok := newSettings(script, "", "").packing(); ok {
			t.Errorf("%.60s...: understood", script)
		}
	}
}

// Whatever makes a project leave out what lies below its packages is told.
func TestInspectSubPackages(t *testing.T) {
	listed := func(list string) string {
		return "from setuptools import setup\nsetup(name='trainer', packages=" + list + ")\n"
	}
	tree := func(setup string, more ...entry) []entry {
		return append([]entry{
			file("t-0/setup.py", setup),
			file("t-0/trainer/__init__.py", ""),
			file("t-0/trainer/task.py", ""),
			file("t-0/trainer/data/__init__.py", ""),
			file("t-0/trainer/data/load.py", ""),
			file("t-0/trainer/data/deep/x.py", ""),
			file("t-0/tests/test_task.py", ""),
		}, more...)
	}
	missing := []string{"warning package-sub-package: found t-0/trainer/data, "}
	whole := []string{"trainer.data.deep.x", "trainer.data.load", "trainer.task"}
	two := whole[1:]
	for _, tt := range []struct {
		name    string
		entries []entry
		want    []string
		modules []string // of the package trainer
	}{
		{
			"generated", tree(generated),
			[]string{"warning package-sub-package: the setup.py that gcloud generates names the package alone"},
			[]string{"trainer.task"},
		},
		{"list", tree(listed("['trainer']")), missing, []string{"trainer.task"}},
		{
			"list of two", tree(listed("[\"trainer\",\n  'trainer.data', ]")),
			[]string{"warning package-sub-package: found t-0/trainer/data/deep, "}, two,
		},
		{"whole list", tree(listed("['trainer', 'trainer.data', 'trainer.data.deep']")), nil, whole},
		{"include", tree(listed("find_packages(include=['trainer'], where='.')")), missing, []string{"trainer.task"}},
		{
			"include all", tree(listed("find_packages('.', include=['trainer', 'trainer.*'])")),
			[]string{"warning package-no-init: found t-0/trainer/data/deep)"}, two,
		},
		{
			"excluded on purpose", tree(listed("find_packages(include=['trainer'], exclude=['trainer.data'])")),
			[]string{"warning package-no-init: found t-0/trainer/data/deep)"}, []string{"trainer.task"},
		},
		{
			"commented out", tree("# packages=['trainer']\n" + setup),
			[]string{"warning package-no-init: found t-0/trainer/data/deep)"}, two,
		},
		{
			"list beside a comment", tree("# packages=find_packages()\n" + listed("['trainer']  # packages=['x']\n")), missing,
			[]string{"trainer.task"},
		},
		{
			"list and more", tree(listed("['trainer'] + find_packages()")),
			[]string{"warning package-no-init: found t-0/trainer/data/deep)"}, whole,
		},
		{"computed", tree(listed("packages()")), nil, whole},
		{"named twice", tree("packages = ['trainer']\nsetup(packages=packages)\n"), nil, whole},
		{"data of the package", tree("setup(packages=['trainer'], package_data={'trainer': ['data/*']})\n"), missing, whole},
		{
			"as black writes it",
			tree("from setuptools import setup\n\nsetup(\n    packages=[\n        \"trainer\",\n    ],\n)\n"), missing,
			[]string{"trainer.task"},
		},
		{
			"list and more, on the next line", tree("setup(packages=['trainer']\n  + find_packages())\n"),
			[]string{"warning package-no-init: found t-0/trainer/data/deep)"}, whole,
		},
		{"list that grows", tree("setup(packages=['trainer'], **extra(packages))\n"), nil, whole},
		{
			"told in a text",
			tree("\"\"\"Write packages=['trainer'], not more.\"\"\"\n" +
				"from setuptools import setup, find_namespace_packages as f\nsetup(**{'pack' 'ages': f()})\n"), nil, whole,
		},
		{"setup.cfg of pbr", tree("setup()", file("t-0/setup.cfg", "[files]\npackages =\n    trainer\n")), nil, whole},
		{
			"moved", []entry{
				file("t-0/setup.py", "setup(package_dir={'': 'lib'}, packages=['trainer'])"), file("t-0/lib/trainer/task.py", ""),
				file("t-0/lib/trainer/data/load.py", ""),
			}, []string{"warning package-sub-package: found t-0/lib/trainer/data, "},
			[]string{"trainer.task"},
		},
		{
			"setup.cfg", tree("setup()", file("t-0/setup.cfg", "[options]\npackages =\n    trainer\n    trainer.data\n[x]\n")),
			[]string{"warning package-sub-package: found t-0/trainer/data/deep, "}, two,
		},
		{"setup.cfg in a line", tree("setup()", file("t-0/setup.cfg", "[options]\npackages = trainer\n")), missing, []string{"trainer.task"}},
		{
			"setup.cfg that finds", tree("setup()", file("t-0/setup.cfg", "[options]\npackages = find:\n")),
			[]string{"warning package-no-init: found t-0/trainer/data/deep)"}, two,
		},
		{
			"pyproject list", tree("", file("t-0/pyproject.toml", "[tool.setuptools]\npackages = [\"trainer\"]\n")), missing,
			whole,
		},
		{
			"pyproject find",
			tree("",
				file("t-0/pyproject.toml",
					"[tool.setuptools.packages.find]\ninclude = [\"trainer\"]\nexclude = []\n[x]\ninclude = ['a']\n")), missing, whole,
		},
		{
			"pyproject star",
			tree("", file("t-0/pyproject.toml", "[tool.setuptools.packages.find]\ninclude = [\"trainer*\"]\n")), nil, whole,
		},
		{
			"no root folder", []entry{
				file("setup.py", listed("['trainer']")), file("trainer/task.py", ""), file("trainer/data/load.py", ""),
			}, []string{"warning package-root", "warning package-sub-package: found trainer/data, "}, []string{"trainer.task"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := sdist(t, tt.entries...)
			inspects(t, "t-0.tar.gz", data, tt.want)
			report, _, err := Inspect(t.Context(), "t-0.tar.gz", bytes.NewReader(data), small())
			if err != nil {
				t.Fatal(err)
			}
			got := slices.DeleteFunc(report.Modules, func(m string) bool { return !strings.HasPrefix(m, "trainer.") })
			if diff := cmp.Diff(tt.modules, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A package that gcloud has built lacks its sub-packages altogether: only what
// its modules import tells of them.
func TestInspectImports(t *testing.T) {
	for _, tt := range []struct {
		name, setup, source string
		want                []string
	}{
		{
			"absolute", generated, "import os\nimport trainer.data.load as load\n",
			[]string{"warning package-sub-package: import of trainer.data in t-0/trainer/task.py"},
		},
		{
			"from", generated, "from trainer.data import load\n",
			[]string{"warning package-sub-package: import of trainer.data in"},
		},
		{
			"relative", generated, "from .data.deep import (load,\n  x)\n",
			[]string{"warning package-sub-package: import of trainer.data in"},
		},
		{
			"name", generated, "from trainer import model, data as d # x\n",
			[]string{"warning package-sub-package: import of trainer.data in"},
		},
		{
			"relative name", generated, "from . import data\r\n",
			[]string{"warning package-sub-package: import of trainer.data in"},
		},
		{
			"two", generated, "import trainer.b, trainer.a\nimport trainer.a.x",
			[]string{
				"warning package-sub-package: import of trainer.b in", "warning package-sub-package: import of trainer.a in",
			},
		},
		{"own setup", setup, "import trainer.data\n", nil},
		{
			"what is there", generated,
			"import trainer.model, trainer\nfrom trainer import model\nfrom . import model\nfrom .model import x\n" +
				"from trainer.model import *\n", nil,
		},
		{
			"of another package", generated,
			"import tensorflow.data\nfrom numpy import data\nfrom ...x import y\nfrom .. import z\n", nil,
		},
		{"an attempt", generated, "try:\n  import trainer.data\nexcept ImportError:\n  pass\n", nil},
		{"not an import", generated, "from trainer.data\nimport\nimport é.b\nfrom a b\nfrom trainer.data.import x", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries := []entry{
				file("t-0/PKG-INFO", ""),
				file("t-0/setup.py", tt.setup),
				file("t-0/trainer/__init__.py", ""),
				file("t-0/trainer/model.py", ""),
				file("t-0/trainer/task.py", tt.source),
			}
			inspects(t, "t-0.tar.gz", sdist(t, entries...), tt.want)
			slices.Reverse(entries) // setup.py may come last
			inspects(t, "t-0.tar.gz", sdist(t, entries...), tt.want)
			for i := range entries {
				_, entries[i].name, _ = strings.Cut(entries[i].name, "/")
			}
			for i := range tt.want {
				tt.want[i] = strings.ReplaceAll(tt.want[i], "t-0/", "")
			}
			inspects(t, "t-0.tar.gz", sdist(t, entries...), append([]string{"warning package-root"}, tt.want...))
		})
	}
	t.Run("names that __init__ may define", func(t *testing.T) {
		inspects(t, "t-0.tar.gz", sdist(t,
			file("t-0/setup.py", generated), file("t-0/trainer/__init__.py", "data = 1"),
			file("t-0/trainer/task.py", "from trainer import data\n"),
		), nil)
	})
	t.Run("not kept beside an own setup", func(t *testing.T) {
		for script, want := range map[string]int{generated: 1, setup: 0} {
			var tr tree
			tr.add("t-0/setup.py")
			tr.read("t-0/setup.py", []byte(script))
			tr.imports.scan("t-0/trainer/task.py", []byte("import trainer.data\n"))
			if got := len(tr.imports.list); got != want {
				t.Errorf("beside %s: kept %d, want %d", script, got, want)
			}
		}
	})
	t.Run("many", func(t *testing.T) {
		var im imports
		for i := range 2 * maxImports {
			im.scan("t-0/trainer/task.py", fmt.Appendf(nil, "import trainer.m%d, n%d\n", i, i))
		}
		if len(im.list) != maxImports || len(im.bare) != maxImports || im.wanted("t-0/trainer/x.py") {
			t.Errorf("kept %d imports, want %d", len(im.list), maxImports)
		}
	})
}

// Archives of more than one format or layer: pip unpacks one gzip layer, and
// takes what ends like a zip for one.
func TestInspectLayers(t *testing.T) {
	t.Parallel()
	good := sdist(t, project()...)
	zip := wheel(t, release()...)
	bomb := sdist(t, file("x", strings.Repeat("\x00", 4<<20)))
	for _, tt := range []struct {
		name string
		data []byte
		want []string
	}{
		{"packed twice", gzipped(t, good), []string{"error package-format: packed twice; pip unpacks it once (found gzip)"}},
		{
			"zip in gzip", gzipped(t, zip),
			[]string{"error package-format: packed twice; pip unpacks it once (found a zip archive)"},
		},
		{
			"page in gzip", gzipped(t, []byte("<html>"+strings.Repeat(" ", 600))),
			[]string{"error package-format: found a web page"},
		},
		{"nothing in gzip", gzipped(t, nil), []string{"error package-empty: no entries"}},
		{
			"archives in the package",
			sdist(t, project(file("trainer-0.1/data.tar.gz", string(bomb)), file("trainer-0.1/setup.cfg", ""))...), nil,
		},
		{
			"zip behind", slices.Concat(good, zip),
			[]string{"warning package-trailing", "error package-two-formats: pip takes it for the latter"},
		},
		{"zip far before the end", slices.Concat(good, zip, make([]byte, 1<<17)), []string{"warning package-trailing"}},
		{"zip's end cut", slices.Concat(good, []byte("PK\x05\x06"), make([]byte, 10)), []string{"warning package-trailing"}},
		{
			"zip in the middle",
			sdist(t, project(file("trainer-0.1/x.zip", noise(100)+string(zip)), file("trainer-0.1/y", noise(200_000)))...), nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) { inspects(t, "trainer-0.1.tar.gz", tt.data, tt.want) })
	}
}

// Opening a gzip member takes far longer than reading an empty one.
func TestInspectMembers(t *testing.T) {
	t.Parallel()
	limits := DefaultLimits()
	for _, tt := range []struct {
		members int
		want    string
	}{{1000, ""}, {maxMembers + 1, "package-members"}} {
		data := append(bytes.Repeat(gzipped(t, nil), tt.members-1), sdist(t, project()...)...)
		_, vs, err := Inspect(t.Context(), "trainer-0.1.tar.gz", bytes.NewReader(data), limits)
		if err != nil || len(vs) > 1 || len(vs) == 0 && tt.want != "" || len(vs) == 1 && string(vs[0].Rule) != tt.want {
			t.Errorf("%d members: got %v, error %v", tt.members, vs, err)
		}
	}
}

func TestEnd(t *testing.T) {
	t.Parallel()
	const mark = "PK\x05\x06" + "................" + "\x00\x00"
	for _, tt := range []struct {
		before, after int
		want          bool
	}{
		{0, 0, true},
		{0, 1 << 16, true},
		{0, 1<<16 + 1, false},
		{endSize - 10, 0, true},
		{3 * endSize, 1 << 16, true},
		{3*endSize + 7, 1<<16 + 1, false},
	} {
		data := strings.Repeat("x", tt.before) + mark + strings.Repeat("x", tt.after)
		for _, size := range []int{1, 1000, endSize - 1, endSize, endSize + 1, len(data)} {
			e := &end{r: strings.NewReader(data)}
			for buf := make([]byte, size); ; {
				if _, err := e.Read(buf); err != nil {
					break
				}
			}
			if got := e.zip(); got != tt.want {
				t.Errorf("%d bytes, the mark, %d bytes, in reads of %d: got %t, want %t", tt.before, tt.after, size, got, tt.want)
			}
		}
	}
}
