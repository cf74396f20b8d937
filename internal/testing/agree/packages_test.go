package agree_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// files are the packages of a drop by their names.
type files map[string]string

// entry is one of an archive.
type entry struct {
	name, body string
	link       string // what it points to, if it is a link
}

// tree returns entries of NAME or NAME=CONTENT each, below the folder t-1.
func tree(lines ...string) []entry {
	var all []entry
	for _, line := range lines {
		name, body, _ := strings.Cut(line, "=")
		all = append(all, entry{name: "t-1/" + name, body: body})
	}
	return all
}

// must panics on an error. Writers into memory don't fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// sdist packs entries as a source package.
func sdist(entries ...entry) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.body)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		must(w.WriteHeader(h))
		_, err := io.WriteString(w, e.body)
		must(err)
	}
	must(w.Close())
	must(z.Close())
	return b.String()
}

// wheel packs entries as a wheel of version 1 of t, with lines of its METADATA.
func wheel(metadata string, entries ...entry) string {
	const info = "t-1.dist-info/"
	entries = append(entries,
		entry{name: info + "METADATA", body: "Metadata-Version: 2.1\nName: t\nVersion: 1\n" + metadata},
		entry{name: info + "WHEEL", body: "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"})
	var record strings.Builder
	for _, e := range entries {
		sum := sha256.Sum256([]byte(e.body))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", e.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(e.body))
	}
	return zipped(append(entries, entry{name: info + "RECORD", body: record.String() + info + "RECORD,,\n"})...)
}

func zipped(entries ...entry) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.Create(e.name)
		must(err)
		_, err = io.WriteString(f, e.body)
		must(err)
	}
	must(w.Close())
	return b.String()
}

const (
	sdistName = "t-1.tar.gz"
	wheelName = "t-1-py3-none-any.whl"
)

// setup returns a setup.py as an entry of [tree].
func setup(arguments string) string {
	return "setup.py=from setuptools import setup, find_packages, find_namespace_packages\nsetup(name='t', version='1', " +
		arguments + ")\n"
}

// plain is the package of drops that are about something else.
var plain = files{sdistName: sdist(tree(setup("packages=find_packages()"), "trainer/__init__.py", "trainer/task.py",
	"trainer/größe.py", "trainer/runs/__init__.py", "trainer/runs/__main__.py", "video-8x/__init__.py",
	"video-8x/train.py")...)}

// packages are drops about their packages.
func packages() []drop {
	const (
		found = "packages=find_packages()"
		init  = "trainer/__init__.py"
		task  = "trainer/task.py"
	)
	source := func(name, found string, lines ...string) drop {
		return packed(name, files{sdistName: sdist(tree(lines...)...)}, found)
	}
	built := func(name, file, metadata, found string, lines ...string) drop {
		var all []entry
		for _, line := range lines {
			all = append(all, entry{name: line})
		}
		return packed(name, files{file: wheel(metadata, all...)}, found)
	}
	config := func(text string) string { return "setup.cfg=[metadata]\nname = t\nversion = 1\n[options]\n" + text }
	project := func(text string) string {
		return "pyproject.toml=[build-system]\nrequires = ['setuptools>=61']\nbuild-backend = 'setuptools.build_meta'\n" +
			"[project]\nname = 't'\nversion = '1'\n" + text
	}
	const empty = "setup.py=from setuptools import setup\nsetup()\n"
	sound := tree(setup(found), init, task)
	two := files{sdistName: plain[sdistName], "helpers-1.tar.gz": sdist(entry{name: "helpers-1/setup.py",
		body: "from setuptools import setup\nsetup(name='helpers', version='1', packages=['helpers'])\n"},
		entry{name: "helpers-1/helpers/__init__.py"})}
	return []drop{
		packed("two packages", two, "package-ambiguous"),
		{name: "two packages, both named", job: with(trainer, "  packageUris: [t-1.tar.gz, helpers-1.tar.gz]"), found: "",
			packages: two},
		{name: "two packages, one named", job: with(trainer, "  packageUris: [t-1.tar.gz]"), found: "", packages: two},
		source("find without init", "python-module-in-package ~package-no-init", setup(found), task),
		source("find_namespace_packages", "", setup("packages=find_namespace_packages()"), task),
		source("find, exclude", "python-module-in-package", setup("packages=find_packages(exclude=['trainer'])"), init, task),
		source("find in src", "", setup("packages=find_packages('src'), package_dir={'': 'src'}"), "src/"+init,
			"src/"+task),
		source("list", "", setup("packages=['trainer']"), init, task),
		source("list of another", "python-module-in-package", setup("packages=['other']"), init, task,
			"other/__init__.py"),
		source("list with a folder that is missing",
			"package-folder", setup("packages=['trainer', 'extra']"), init, task),
		source("a module that is missing",
			"~package-module", setup("packages=['trainer'], py_modules=['gone']"), init, task),
		source("no setup", "package-not-installable", init, task),
		source("setup.cfg", "", empty, config("packages = find:\n"), init, task),
		source("setup.cfg alone", "package-not-installable", config("packages = find:\n"), init, task),
		source("pyproject", "", project("[tool.setuptools]\npackages = ['trainer']\n"), init, task),
		source("pyproject of another",
			"python-module-in-package", project("[tool.setuptools]\npackages = ['other']\n"), init, task,
			"other/__init__.py"),
		source("Requires-Python, newer", "package-python", setup(found+", python_requires='>=4'"), init, task),
		source("Requires-Python, this one and the job's", "", setup(found+", python_requires='>=3.6'"), init, task),
		source("Requires-Python, this one and not the job's",
			"package-python", setup(found+", python_requires='>=3.8'"), init, task).
			but("pip", "the Python here is newer than the job's"),
		source("a broken setup", "", "setup.py=raise SystemExit(1)\nfrom setuptools import setup, find_packages\n"+
			"setup(packages=find_packages())\n", init, task).but(byPip, "nothing of a package is run before the job"),
		source("requirements", "", setup(found+", install_requires=['numpy']"), init, task),
		packed("a link within",
			files{sdistName: sdist(append(sound, entry{name: "t-1/trainer/copy.py", link: "task.py"})...)}, ""),
		packed("a link out", files{sdistName: sdist(append(sound, entry{name: "t-1/trainer/x", link: "../../../etc"})...)},
			"package-link").but(byPip, "pip leaves out the link, and jobdrop refuses what leads out of the package"),
		packed("an entry that leaves", files{sdistName: sdist(append(sound, entry{name: "../evil"})...)},
			"package-traversal"),
		packed("an absolute entry", files{sdistName: sdist(append(sound, entry{name: "/evil"})...)},
			"package-absolute-path"),
		packed("two folders", files{sdistName: sdist(append(sound, entry{name: "u-1/a.py"})...)},
			"package-not-installable"),
		packed("no folder", files{sdistName: sdist(entry{name: "setup.py", body: "from setuptools import setup, " +
			"find_packages\nsetup(name='t', version='1', packages=find_packages())\n"}, entry{name: init},
			entry{name: task})}, "~package-root"),
		packed("an empty archive", files{sdistName: sdist()}, "package-empty"),
		packed("a text", files{sdistName: "hello\n"}, "package-format"),
		packed("an empty file", files{sdistName: ""}, "incomplete"),
		packed("half an archive", files{sdistName: plain[sdistName][:len(plain[sdistName])/2]}, "package-truncated"),
		packed("something after the archive", files{sdistName: plain[sdistName] + "more"}, "~package-trailing"),
		packed("a wheel by another name", files{sdistName: wheel("", entry{name: init}, entry{name: task})},
			"package-format"),
		packed("tgz", files{"t-1.tgz": plain[sdistName]}, ""),
		built("wheel", wheelName, "", "", init, task),
		built("wheel, Python 2", "t-1-py2-none-any.whl", "", "package-python", init, task),
		built("wheel, Windows", "t-1-py3-none-win_amd64.whl", "", "package-platform", init, task),
		built("wheel, no such name", "t.whl", "", "package-wheel-name", init, task),
		built("wheel, another version", "t-2-py3-none-any.whl", "", "", init, task),
		built("wheel, another distribution", "u-1-py3-none-any.whl", "", "package-not-installable", init, task),
		built("wheel, Requires-Python", wheelName, "Requires-Python: >=4\n", "package-python", init, task),
		built("wheel without the module", wheelName, "", "python-module-in-package", init),
		packed("a source package by a wheel's name", files{wheelName: plain[sdistName]}, "package-format"),
		packed("wheel without metadata", files{wheelName: zipped(entry{name: init}, entry{name: task})},
			"package-not-installable"),
		packed("wheel, half", files{wheelName: wheel("", entry{name: init}, entry{name: task})[:200]},
			"package-truncated"),
		packed("no package, a zip", files{"t-1.zip": zipped(entry{name: task})}, "incomplete"),
	}
}
