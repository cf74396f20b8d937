package pypkg

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/buildtools"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// agreed is a package that the check and pip judge alike: whether it can be installed and
// the module run then.
type agreed struct {
	name    string
	file    string // t-1.tar.gz if empty
	entries []entry
	module  string // trainer.task if empty
	works   bool   // what both say
	// pip is why pip says the opposite, for the few where it does.
	pip string
}

func agreedPackages() []agreed {
	const head = "from setuptools import setup, find_packages, find_namespace_packages\n"
	script := func(text string) entry { return file("t-1/setup.py", text) }
	py := func(arguments string) entry {
		return script(head + "setup(name='t', version='1', " + arguments + ")\n")
	}
	config := func(text string) entry {
		return file("t-1/setup.cfg", "[metadata]\nname = t\nversion = 1\n[options]\n"+text)
	}
	empty := script(head + "setup()\n")
	pyproject := func(text string) entry {
		return file("t-1/pyproject.toml", "[build-system]\nrequires = ['setuptools>=61']\nbuild-backend = "+
			"'setuptools.build_meta'\n[project]\nname = 't'\nversion = '1'\n"+text)
	}
	init, task := file("t-1/trainer/__init__.py", ""), file("t-1/trainer/task.py", "")
	other, top := file("t-1/other/__init__.py", ""), file("t-1/task.py", "")
	sub, subInit := file("t-1/trainer/sub/task.py", ""), file("t-1/trainer/sub/__init__.py", "")
	src, srcInit := file("t-1/src/trainer/task.py", ""), file("t-1/src/trainer/__init__.py", "")
	of := func(entries ...entry) []entry { return entries }
	whl := func(info string, more ...entry) []entry {
		return recorded(append(more, file("trainer-0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: trainer\n"+
			"Version: 0.1\n"+info), file("trainer-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"))...)
	}
	wheelTask := of(file("trainer/__init__.py", ""), file("trainer/task.py", ""))
	return []agreed{
		{name: "find", entries: of(py("packages=find_packages()"), init, task), works: true},
		{name: "find without init", entries: of(py("packages=find_packages()"), task)},
		{name: "find below one without init", entries: of(py("packages=find_packages()"), sub, subInit),
			module: "trainer.sub.task"},
		{name: "find without init below", entries: of(py("packages=find_packages()"), init, task, sub),
			module: "trainer.sub.task"},
		{name: "find, a sub-package", entries: of(py("packages=find_packages()"), init, sub, subInit),
			module: "trainer.sub.task", works: true},
		{name: "find, a module beside setup.py", entries: of(py("packages=find_packages()"), init, task, top),
			module: "task"},
		{name: "find and a single module", entries: of(py("packages=find_packages(), py_modules=['task']"), init, task, top),
			module: "task", works: true},
		{name: "find, the exclude of all", entries: of(py("packages=find_packages(exclude=['trainer', 'trainer.*'])"), init,
			task)},
		{name: "find, the exclude of a sub-package", entries: of(py("packages=find_packages(exclude=['trainer.*'])"), init,
			task, sub, subInit), module: "trainer.sub.task"},
		{name: "find, the exclude of what is above", entries: of(py("packages=find_packages(exclude=['trainer'])"), init,
			task,
			sub, subInit), module: "trainer.sub.task", works: true},
		{name: "find, exclude by a star", entries: of(py("packages=find_packages(exclude=('t*',))"), init, task)},
		{name: "find, exclude by a question mark", entries: of(py("packages=find_packages(exclude=['traine?'])"), init,
			task)},
		{name: "find, exclude by position", entries: of(py("packages=find_packages('.', ['trainer'])"), init, task)},
		{name: "find, include", entries: of(py("packages=find_packages(include=['trainer'])"), init, task), works: true},
		{name: "find, include of another", entries: of(py("packages=find_packages(include=['other*'])"), init, task, other)},
		{name: "find, include of the package alone", entries: of(py("packages=find_packages(include=['trainer'])"), init, sub,
			subInit), module: "trainer.sub.task"},
		{name: "find in src", entries: of(py("packages=find_packages('src'), package_dir={'': 'src'}"), src, srcInit),
			works: true},
		{name: "find in ./src/", entries: of(py("packages=find_packages(where='./src/'), package_dir={'': './src'}"), src,
			srcInit), works: true},
		{name: "find in src, without package_dir", entries: of(py("packages=find_packages('src')"), src, srcInit)},
		{name: "find in the project, code in src", entries: of(py("packages=find_packages()"), src, srcInit)},
		{name: "find in src, code beside it", entries: of(py("packages=find_packages('src'), package_dir={'': 'src'}"), init,
			task, file("t-1/src/other/__init__.py", ""))},
		{name: "find, src as a package", entries: of(py("packages=find_packages()"), file("t-1/src/__init__.py", ""), src,
			srcInit), module: "src.trainer.task", works: true},
		{name: "namespaces", entries: of(py("packages=find_namespace_packages()"), task), works: true},
		{name: "namespaces that are excluded", entries: of(py("packages=find_namespace_packages(exclude=['trainer'])"),
			task)},
		{name: "folders with dots", entries: of(py("packages=find_namespace_packages()"), init,
			file("t-1/trainer.x/__init__.py", ""), file("t-1/trainer.x/task.py", "")), module: "trainer.x.task"},
		{name: "a hyphen", entries: of(py("packages=find_packages()"), file("t-1/video-8x/__init__.py", ""),
			file("t-1/video-8x/train.py", "")), module: "video-8x.train", works: true},
		{name: "list", entries: of(py("packages=['trainer']"), init, task), works: true},
		{name: "list without init", entries: of(py("packages=['trainer']"), task), works: true},
		{name: "list of another", entries: of(py("packages=['other']"), init, task, other)},
		{name: "list without the sub-package", entries: of(py("packages=['trainer']"), init, task, sub, subInit),
			module: "trainer.sub.task"},
		{name: "list with a folder that is missing", entries: of(py("packages=['trainer', 'extra']"), init, task)},
		{name: "list in a variable", entries: of(script(head+"P = ['other']\nsetup(name='t', packages=P)\n"), init, task,
			other)},
		{name: "list of two parts", entries: of(py("packages=['other'] + ['trainer']"), init, task, other), works: true},
		{name: "an empty list", entries: of(py("packages=[], py_modules=['task']"), init, task, top)},
		{name: "single modules", entries: of(py("py_modules=['task']"), top), module: "task", works: true},
		{name: "a single module that is missing", entries: of(py("packages=['trainer'], py_modules=['task']"), init, task),
			module: "task"},
		{name: "single modules, and a package", entries: of(py("py_modules=['task']"), top, init, task)},
		{name: "moved", entries: of(py("packages=['trainer'], package_dir={'trainer': 'code'}"),
			file("t-1/code/task.py", "")),
			works: true},
		{name: "moved, by its folder", entries: of(py("packages=['trainer'], package_dir={'trainer': 'code'}"),
			file("t-1/code/task.py", "")), module: "code.task"},
		{name: "data of a package", entries: of(py("packages=['trainer'], package_data={'trainer': ['sub/*']}"), init, sub),
			module: "trainer.sub.task", works: true},
		{name: "data that do not cover it", entries: of(py("packages=['trainer'], package_data={'trainer': ['*.txt']}"), init,
			sub), module: "trainer.sub.task", works: true, pip: "patterns of package_data are not compared"},
		{name: "a package with a program", entries: of(py("packages=find_packages()"), init,
			file("t-1/trainer/__main__.py", "")),
			module: "trainer", works: true},
		{name: "a package without a program", entries: of(py("packages=find_packages()"), init, task), module: "trainer"},
		{name: "gcloud's setup.py", entries: of(script(generated), init, task), works: true},
		{name: "computed", entries: of(script(head+"setup(name='t', packages=list(find_packages()))\n"), task), works: true,
			pip: "what is computed may be anything"},
		{name: "an argument that is passed on", entries: of(script(head+"o = {}\nsetup(name='t', packages=find_packages(), "+
			"**o)\n"),
			task), works: true, pip: "what is passed on may be anything"},
		{name: "it writes its package", entries: of(script(head+"open('trainer/__init__.py', 'w').write('')\n"+
			"setup(name='t', packages=find_packages())\n"), task), works: true},
		{name: "it opens a file that is missing", entries: of(script(head+"open('README.md')\n"+
			"setup(name='t', packages=find_packages())\n"), init, task), works: true,
			pip: "it is warned of only: the setup may go on without it"},
		{name: "a broken setup", entries: of(script(head+"raise SystemExit(1)\nsetup(packages=find_packages())\n"), init,
			task),
			works: true, pip: "nothing is run"},

		{name: "setup.cfg, find", entries: of(empty, config("packages = find:\n"), init, task), works: true},
		{name: "setup.cfg, find without init", entries: of(empty, config("packages = find:\n"), task)},
		{name: "setup.cfg, find_namespace", entries: of(empty, config("packages = find_namespace:\n"), task), works: true},
		{name: "setup.cfg, find in src", entries: of(empty, config("packages = find:\npackage_dir =\n  =src\n"+
			"[options.packages.find]\nwhere = src\n"), src, srcInit), works: true},
		{name: "setup.cfg, exclude", entries: of(empty, config("packages = find:\n[options.packages.find]\nexclude =\n  "+
			"other\n"+
			"  trainer\n"), init, task, other)},
		{name: "setup.cfg, list", entries: of(empty, config("packages =\n  trainer\n  other\n"), init, task, other),
			works: true},
		{name: "setup.cfg, a list by commas", entries: of(empty, config("packages = trainer, other\n"), init, task, other),
			works: true},
		{name: "setup.cfg, list of another", entries: of(empty, config("packages = other\n"), init, task, other)},
		{name: "setup.cfg, single modules", entries: of(empty, config("py_modules = task\n"), top, init, task),
			module: "task",
			works:  true},
		{name: "setup.cfg without setup.py", entries: of(config("packages = find:\n"), init, task)},

		{name: "pyproject, list", entries: of(pyproject("[tool.setuptools]\npackages = ['trainer']\n"), init, task),
			works: true},
		{name: "pyproject, list of another", entries: of(pyproject("[tool.setuptools]\npackages = ['other']\n"), init, task,
			other)},
		{name: "pyproject, find", entries: of(pyproject("[tool.setuptools.packages.find]\ninclude = ['trainer*']\n"), task),
			works: true},
		{name: "pyproject, find without namespaces", entries: of(pyproject("[tool.setuptools.packages.find]\n"+
			"namespaces = false\n"), task)},
		{name: "pyproject, find in src", entries: of(pyproject("[tool.setuptools.packages.find]\nwhere = ['src']\n"), src),
			works: true},
		{name: "pyproject, find elsewhere", entries: of(pyproject("[tool.setuptools.packages.find]\nwhere = ['src']\n"), task,
			init, file("t-1/src/other/x.py", ""))},
		{name: "pyproject, exclude", entries: of(pyproject("[tool.setuptools]\npackages = {find = {exclude = "+
			"['trainer*']}}\n"),
			init, task)},
		{name: "pyproject, single modules", entries: of(pyproject("[tool.setuptools]\npy-modules = ['task']\n"), top, init,
			task),
			module: "task", works: true},
		{name: "pyproject, moved", entries: of(pyproject("[tool.setuptools]\npackages = ['trainer']\n"+
			"[tool.setuptools.package-dir]\ntrainer = 'code'\n"), file("t-1/code/task.py", "")), works: true},
		{name: "pyproject beside a setup.py that finds", entries: of(pyproject(""), py("packages=find_packages()"), task),
			works: false},
		{name: "discovery", entries: of(pyproject(""), init, task), works: true},
		{name: "discovery of two", entries: of(pyproject(""), init, task, other), works: true,
			pip: "discovery differs between versions of setuptools, and is not followed"},

		{name: "Python, newer", entries: of(py("packages=find_packages(), python_requires='>=4'"), init, task)},
		{name: "Python, older", entries: of(py("packages=find_packages(), python_requires='<3.0'"), init, task)},
		{name: "Python, this one", entries: of(py("packages=find_packages(), python_requires='>=2.7, !=3.0.*'"), init, task),
			works: true},
		{name: "Python, in setup.cfg", entries: of(empty, config("packages = find:\npython_requires = <3\n"), init, task)},
		{name: "Python, in pyproject", entries: of(pyproject("requires-python = '<3'\n[tool.setuptools]\n"+
			"packages = ['trainer']\n"), init, task)},
		{name: "Python, in PKG-INFO alone", entries: of(py("packages=find_packages()"), init, task,
			file("t-1/PKG-INFO", "Metadata-Version: 2.1\nName: t\nVersion: 1\nRequires-Python: <3\n")), works: true},

		{name: "wheel", file: "trainer-0.1-py3-none-any.whl", entries: whl("", wheelTask...), works: true},
		{name: "wheel, another module", file: "trainer-0.1-py3-none-any.whl", entries: whl("", wheelTask...),
			module: "trainer.other"},
		{name: "wheel, Python 2", file: "trainer-0.1-py2-none-any.whl", entries: whl("", wheelTask...)},
		{name: "wheel, both Pythons", file: "trainer-0.1-py2.py3-none-any.whl", entries: whl("", wheelTask...), works: true},
		{name: "wheel, abi3", file: "trainer-0.1-cp36-abi3-manylinux2014_x86_64.whl", entries: whl("", wheelTask...),
			works: true},
		{name: "wheel, another Python", file: "trainer-0.1-cp36-cp36m-linux_x86_64.whl", entries: whl("", wheelTask...)},
		{name: "wheel, another system", file: "trainer-0.1-py3-none-win_amd64.whl", entries: whl("", wheelTask...)},
		{name: "wheel, Requires-Python", file: "trainer-0.1-py3-none-any.whl", entries: whl("Requires-Python: >=4\n",
			wheelTask...)},
		{name: "wheel, a package without a program", file: "trainer-0.1-py3-none-any.whl", entries: whl("", wheelTask...),
			module: "trainer"},

		{name: "AppleDouble beside the root", entries: append(of(file("._t-1", "\x00")), py("packages=find_packages()"), init,
			task)},
		{name: "AppleDouble within", entries: of(py("packages=find_packages()"), init, task,
			file("t-1/trainer/._task.py", "\x00\x05\x16\x07")), works: true},
		{name: "no setup", entries: of(init, task)},
	}
}

// pip itself, with the setuptools that this machine has, says of each package what the
// check says, but for what is listed with its reason.
func TestPipAgrees(t *testing.T) {
	t.Parallel()
	python, version := buildtools.Environment(t)
	dir := t.TempDir()
	packages := agreedPackages()
	installs := make([]buildtools.Installation, len(packages))
	programs := make([]buildtools.Program, len(packages))
	for i, p := range packages {
		name := filepath.Join(dir, strconv.Itoa(i), p.fileName())
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, p.data(t), 0o644); err != nil {
			t.Fatal(err)
		}
		programs[i] = buildtools.Program{Dir: filepath.Join(dir, "to", strconv.Itoa(i)), Module: p.moduleName()}
		installs[i] = buildtools.Installation{To: programs[i].Dir, Packages: []string{name}}
	}
	failed, err := buildtools.InstallAll(t.Context(), python, installs)
	if err != nil {
		t.Fatal(err)
	}
	found := buildtools.Runs(t, python, programs)
	for i, p := range packages {
		pip := failed[i] == nil && found[i]
		report, vs, err := Inspect(t.Context(), p.fileName(), bytes.NewReader(p.data(t)), DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		_, refused := report.Refuses(version)
		check := !job.HasErrors(vs) && !refused && report.HasModule(p.moduleName())
		if check != p.works {
			t.Errorf("%s: the check says %v, want %v: %v, modules %v", p.name, check, p.works, vs, report.Modules)
		}
		if (pip == check) == (p.pip != "") {
			t.Errorf("%s: the check says %v, and pip %v; listed: %q; the module is found: %v; pip says %v", p.name, check, pip,
				p.pip, found[i], failed[i])
		}
	}
}

func (p agreed) fileName() string {
	if p.file != "" {
		return p.file
	}
	return "t-1.tar.gz"
}

func (p agreed) moduleName() string {
	if p.module != "" {
		return p.module
	}
	return "trainer.task"
}

func (p agreed) data(t *testing.T) []byte {
	t.Helper()
	if p.file != "" {
		return wheel(t, p.entries...)
	}
	return sdist(t, p.entries...)
}
