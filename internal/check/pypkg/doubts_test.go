package pypkg

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What makes a project fail, or lack something, is told where the archive shows it.
func TestInspectDoubts(t *testing.T) {
	t.Parallel()
	script := func(before, arguments string) string {
		return "from setuptools import setup, find_packages\n" + before + "setup(name='t', packages=find_packages()" +
			arguments + ")\n"
	}
	tree := func(setup string, more ...entry) []entry {
		return append([]entry{file("t-1/setup.py", setup), file("t-1/trainer/__init__.py", ""),
			file("t-1/trainer/task.py", "")}, more...)
	}
	for _, tt := range []struct {
		name    string
		entries []entry
		want    []string
	}{
		{"opens what is missing", tree(script("", ", long_description=open('README.md').read()")),
			[]string{"warning package-setup-file: found t-1/README.md); add the line \"include README.md\" to MANIFEST.in"}},
		{"opens a requirements.txt", tree(script("with open('requirements.txt') as f:\n  R = f.readlines()\n",
			", install_requires=R")), []string{"warning package-setup-file: found t-1/requirements.txt"}},
		{"opens what is there", tree(script("", ", long_description=open('docs/a.md').read()"), file("t-1/docs/a.md", "")),
			nil},
		{"opens a link", tree(script("", ", long_description=open('a/b.md').read()"), file("t-1/c/b.md", ""),
			symlink("t-1/a", "c")), nil},
		{"tries to open", tree(script("try:\n  open('README.md')\nexcept IOError: pass\n", "")), nil},

		{"folder that is missing", tree("from setuptools import setup\nsetup(packages=['trainer', 'extra'])\n"),
			[]string{"error package-folder: found extra); add the folder t-1/extra, or leave"}},
		{"folder that package_dir gives", []entry{
			file("t-1/setup.py", "from setuptools import setup\nsetup(packages=['trainer'], package_dir={'': 'src'})\n"),
			file("t-1/trainer/task.py", ""),
		}, []string{"error package-folder: add the folder t-1/src/trainer"}},
		{"folder of a package that is found elsewhere", []entry{
			file("t-1/setup.py", "from setuptools import setup, find_packages\nsetup(packages=find_packages('src'))\n"),
			file("t-1/src/trainer/__init__.py", ""), file("t-1/src/trainer/task.py", ""),
		}, []string{"error package-folder: found trainer"}},
		{"folder without modules", tree("from setuptools import setup\nsetup(packages=['trainer', 'extra'])\n",
			file("t-1/extra/x.txt", "")), []string{"warning package-data: found t-1/extra/x.txt"}},
		{"folder that is a link", tree("from setuptools import setup\nsetup(packages=['trainer', 'extra'])\n",
			symlink("t-1/extra", "trainer")), nil},
		{"module that is missing", tree(script("", ", py_modules=['tool']")),
			[]string{"warning package-module: found tool); add t-1/tool.py"}},

		{"data", tree(script("", ""), file("t-1/trainer/vocab.txt", "x")),
			[]string{"warning package-data: add package_data={'trainer': ['*.txt']}"}},
		{"data that are named", tree(script("", ", package_data={'trainer': ['*.txt']}"), file("t-1/trainer/vocab.txt", "x")),
			nil},
		{"data that are included", tree(script("", ", include_package_data=True"), file("t-1/trainer/vocab.txt", "x")), nil},
		{"no data", tree(script("", ""), file("t-1/trainer/README.txt", ""), file("t-1/vocab.txt", ""),
			file("t-1/t.egg-info/SOURCES.txt", ""), file("t-1/trainer/Dockerfile", ""), file("t-1/trainer/.x.json", "")), nil},

		{"AppleDouble", tree(script("", ""), file("t-1/trainer/._task.py", "\x00"), file("t-1/._trainer", "\x00")),
			[]string{"warning package-macos: has 2 entries of macOS's own, which are not part of the trainer (found " +
				"t-1/trainer/._task.py); pack with COPYFILE_DISABLE=1"}},
		{"AppleDouble beside the root", append([]entry{file("._t-1", "\x00")}, tree(script("", ""))...),
			[]string{"error package-not-installable: no single root folder", "warning package-macos: has an entry"}},
		{"the Finder's folder", tree(script("", ""), file("t-1/__MACOSX/x", "")), []string{"warning package-macos"}},
		{"backslashes", tree(script("", ""), file(`t-1/trainer\model.py`, "")),
			[]string{`warning package-backslash: has an entry with a backslash`}},
	} {
		t.Run(tt.name, func(t *testing.T) { inspects(t, "t-1.tar.gz", sdist(t, tt.entries...), tt.want) })
	}
	t.Run("wheel", func(t *testing.T) {
		inspects(t, whl, wheel(t, release(file("__MACOSX/trainer/._task.py", "x"))...),
			[]string{"warning package-macos: found __MACOSX/trainer/._task.py"})
	})
}

// A name that lies beside a module is not found by Python 3 without that of its package.
func TestStrays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, source string
		more         []entry
		want         string
	}{
		{"import", "import os\nimport model\n", nil, "import of model in t-1/trainer/task.py; import trainer.model"},
		{"from", "from model import x\n", nil, "import of model in"},
		{"package", "import data\n", []entry{file("t-1/trainer/data/__init__.py", "")}, "import trainer.data"},
		{"with its package", "import trainer.model\nfrom . import model\nfrom trainer import model\n", nil, ""},
		{"of a library", "import numpy, tensorflow as tf\n", nil, ""},
		{"of the standard library", "import logging\n", []entry{file("t-1/trainer/logging.py", "")}, ""},
		{"at the top, too", "import trainer2\n", []entry{file("t-1/trainer/trainer2.py", ""),
			file("t-1/trainer2/__init__.py", "")}, ""},
		{"an attempt", "try:\n  import model\nexcept ImportError:\n  from . import model\n", nil, ""},
		{"with its folder on the path", "import sys\nsys.path.insert(0, '.')\nimport model\n", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries := append([]entry{file("t-1/setup.py", setup), file("t-1/trainer/__init__.py", ""),
				file("t-1/trainer/model.py", ""), file("t-1/trainer/task.py", tt.source)}, tt.more...)
			report, _, err := Inspect(t.Context(), "t-1.tar.gz", bytes.NewReader(sdist(t, entries...)), small())
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, v := range report.Strays("t-1.tar.gz") {
				got += v.Found + "; " + v.Remedy
			}
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Where setup says plainly what it installs, what it leaves out has a reason and a
// remedy.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	const head = "from setuptools import setup, find_packages\n"
	py := func(arguments string) entry { return file("t-1/setup.py", head+"setup(name='t', "+arguments+")\n") }
	init, task := file("t-1/trainer/__init__.py", ""), file("t-1/trainer/task.py", "")
	for _, tt := range []struct {
		name    string
		entries []entry
		module  string
		reason  string // a part of it; "" if the module is installed, or that is not known
		remedy  string
	}{
		{"beside setup.py", []entry{py("packages=find_packages()"), init, file("t-1/task.py", "")}, "task",
			"setup.py does not install it: it lies in no package", "add py_modules=['task'] to setup() in setup.py, or move"},
		{"beside setup.cfg", []entry{file("t-1/setup.py", head+"setup()\n"), init, file("t-1/task.py", ""),
			file("t-1/setup.cfg", "[options]\npackages = find:\n")}, "task", "", "py_modules = task below [options] in " +
			"setup.cfg"},
		{"beside pyproject.toml", []entry{init, file("t-1/task.py", ""),
			file("t-1/pyproject.toml", "[tool.setuptools]\npackages = ['trainer']\n")}, "task", "",
			`py-modules = ["task"] below [tool.setuptools] in pyproject.toml`},
		{"in src", []entry{py("packages=find_packages('src'), package_dir={'': 'src'}"),
			file("t-1/src/trainer/__init__.py", ""), file("t-1/src/task.py", "")}, "task", "t-1", "add py_modules=['task'] to"},
		{"without init", []entry{py("packages=find_packages()"), task}, "trainer.task", "not a package to find_packages",
			"add trainer/__init__.py"},
		{"without two", []entry{py("packages=find_packages()"), file("t-1/trainer/sub/task.py", "")}, "trainer.sub.task", "",
			"add trainer/__init__.py and trainer/sub/__init__.py"},
		{"below one without", []entry{py("packages=find_packages()"), file("t-1/trainer/sub/__init__.py", ""),
			file("t-1/trainer/sub/task.py", "")}, "trainer.sub.task", "", "add trainer/__init__.py"},
		{"namespaces", []entry{py("packages=find_namespace_packages()"), task}, "trainer.task", "", ""},
		{"exclude", []entry{py("packages=find_packages(exclude=['tests', 'train*'])"), init, task}, "trainer.task",
			"exclude leaves trainer out", "remove 'train*' from exclude in setup.py"},
		{"exclude by position", []entry{py("packages=find_packages('.', ['trainer'])"), init, task}, "trainer.task",
			"exclude leaves trainer out", "remove 'trainer'"},
		{"include", []entry{py("packages=find_packages(include=['other*'])"), init, task}, "trainer.task",
			"include does not cover trainer", "add 'trainer' to include in setup.py"},
		{"include of the package alone", []entry{py("packages=find_packages(include=['trainer'])"), init,
			file("t-1/trainer/sub/__init__.py", ""), file("t-1/trainer/sub/task.py", "")}, "trainer.sub.task",
			"include does not cover trainer.sub", "add 'trainer.sub' to include"},
		{"where", []entry{py("packages=find_packages('src'), package_dir={'': 'src'}"), init, task,
			file("t-1/src/other/__init__.py", "")}, "trainer.task", "looked for in src, and not in .", "move trainer into src"},
		{"no where", []entry{py("packages=find_packages()"), file("t-1/src/trainer/__init__.py", ""),
			file("t-1/src/trainer/task.py", "")}, "trainer.task", "looked for in the project's own folder, and not in src",
			"write packages=find_packages('src') and package_dir={'': 'src'} in setup.py"},
		{"list", []entry{py("packages=['other']"), init, task, file("t-1/other/__init__.py", "")}, "trainer.task",
			"the packages that setup.py lists do not include trainer", "add 'trainer' to packages in setup.py, or write"},
		{"sub-package of a list", []entry{py("packages=['trainer']"), init, file("t-1/trainer/sub/task.py", "")},
			"trainer.sub.task", "", "add 'trainer.sub' to packages"},
		{"single modules only", []entry{py("py_modules=['tool']"), file("t-1/tool.py", ""), init, task}, "trainer.task",
			"setup.py names no packages", "add packages=['trainer'] to setup()"},
		{"list of setup.cfg", []entry{file("t-1/setup.py", head+"setup()\n"), init, task, file("t-1/other/__init__.py", ""),
			file("t-1/setup.cfg", "[options]\npackages =\n  other\n")}, "trainer.task", "",
			"add 'trainer' to packages in setup.cfg"},
		{"find of setup.cfg", []entry{file("t-1/setup.py", head+"setup()\n"), init, task,
			file("t-1/setup.cfg", "[options]\npackages = find:\n[options.packages.find]\nexclude =\n  trainer\n")},
			"trainer.task", "exclude leaves trainer out", "from exclude in setup.cfg"},
		{"list of pyproject.toml", []entry{init, task, file("t-1/other/__init__.py", ""),
			file("t-1/pyproject.toml", "[tool.setuptools]\npackages = [\n  'other', # no\n]\n")}, "trainer.task", "",
			"add 'trainer' to packages in pyproject.toml"},
		{"find of pyproject.toml", []entry{init, task,
			file("t-1/pyproject.toml", "[tool.setuptools.packages.find]\nwhere = ['src']\n"),
			file("t-1/src/other/x.py", "")}, "trainer.task", "looked for in src", "move trainer into src"},
		{"find of pyproject.toml without namespaces", []entry{task,
			file("t-1/pyproject.toml", "[tool.setuptools.packages.find]\nnamespaces = false\n")}, "trainer.task", "",
			"add trainer/__init__.py"},
		{"package with a program", []entry{py("packages=find_packages()"), file("t-1/trainer/__main__.py", "")}, "trainer",
			"holds trainer/__main__.py", "add trainer/__init__.py"},
		{"moved package", []entry{py("packages=['trainer'], package_dir={'trainer': 'code'}"), file("t-1/code/task.py", "")},
			"trainer.task", "", ""},
		{"moved package by its folder", []entry{py("packages=['trainer'], package_dir={'trainer': 'code'}"),
			file("t-1/code/task.py", "")}, "code.task", "", "add 'code' to packages"},
		{"data", []entry{py("packages=['trainer'], include_package_data=True"), init, file("t-1/trainer/sub/task.py", "")},
			"trainer.sub.task", "", ""},
		{"variable", []entry{file("t-1/setup.py", head+"P = ['other']\nsetup(packages=P)\n"), init, task,
			file("t-1/other/__init__.py", "")}, "trainer.task", "", "add 'trainer' to packages"},
		{"not there", []entry{py("packages=find_packages()"), init, task}, "trainer.other", "", ""},

		// not plain
		{"computed", []entry{py("packages=packages()"), task}, "trainer.task", "", ""},
		{"own commands", []entry{py("packages=find_packages(), cmdclass={'build_py': X}"), task}, "trainer.task", "", ""},
		{"more arguments", []entry{py("packages=find_packages(), **more"), task}, "trainer.task", "", ""},
		{"a plugin", []entry{py("packages=find_packages(), setup_requires=['pbr']"), task}, "trainer.task", "", ""},
		{"an unknown argument", []entry{py("packages=find_packages(), pbr=True"), task}, "trainer.task", "", ""},
		{"writes", []entry{file("t-1/setup.py", head+"open('trainer/__init__.py', 'w').write('')\n"+
			"setup(packages=find_packages())\n"), task}, "trainer.task", "", ""},
		{"two calls", []entry{file("t-1/setup.py", head+"if x:\n  setup(packages=find_packages())\nelse:\n  setup()\n"),
			task},
			"trainer.task", "", ""},
		{"discovery", []entry{py("version='1'"), task}, "trainer.task", "", ""},
		{"two places", []entry{py("packages=find_packages()"), task,
			file("t-1/setup.cfg", "[options]\npackages = trainer\n")}, "trainer.task", "", ""},
		{"another backend", []entry{py("packages=find_packages()"), task,
			file("t-1/pyproject.toml", "[build-system]\nbuild-backend = 'hatchling.build'\n")}, "trainer.task", "", ""},
		{"another setup", []entry{file("t-1/setup.py", "from skbuild import setup\nsetup(packages=['x'])\n"), task},
			"trainer.task", "", ""},
		{"odd patterns", []entry{py("packages=find_packages(exclude=['[!x]*'])"), init, task}, "trainer.task", "", ""},
		{"text for a list", []entry{py("packages=find_packages(exclude=('trainer'))"), init, task}, "trainer.task", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			report, _, err := Inspect(t.Context(), "t-1.tar.gz", bytes.NewReader(sdist(t, tt.entries...)), small())
			if err != nil {
				t.Fatal(err)
			}
			reason, remedy, ok := report.LeftOut(tt.module)
			if tt.remedy == "" {
				there := report.HasModule(tt.module) || tt.module == "trainer.other"
				if ok || !there {
					t.Errorf("left out: %s; %s; has it: %v", reason, remedy, there)
				}
				return
			}
			if !ok || !strings.Contains(remedy, tt.remedy) || tt.reason != "t-1" && !strings.Contains(reason, tt.reason) {
				t.Errorf("got %v %q; %q, want %q; %q", ok, reason, remedy, tt.reason, tt.remedy)
			}
		})
	}
}

func TestBelow(t *testing.T) {
	r := Report{Modules: []string{"census", "census.data", "census.model", "census.task", "census2.x"}}
	if diff := cmp.Diff([]string{"census.task", "census.data", "census.model"}, r.Below("census")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
