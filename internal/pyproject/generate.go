package pyproject

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/text"
)

// version is that of a package without a setup.py, as with gcloud's.
const version = "0.0.0"

var (
	// packageName is a name that python -m and pip take, once the ends are trimmed of what a distribution's name may not
	// begin or end with (PEP 508).
	packageName = regexp.MustCompile(`^[A-Za-z0-9_-]*[A-Za-z0-9][A-Za-z0-9_-]*$`)
	// identifier is the name of a folder that can be imported.
	identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// generate packs a package that has no setup.py.
func generate(ctx context.Context, dir string, o Options) (_ *Package, err error) {
	name := filepath.Base(dir)
	if !packageName.MatchString(name) {
		return nil, fmt.Errorf("%w: %s is not a name that pip can install: rename the folder, with letters, digits and _ "+
			"only", ErrSource, text.Show(name, 100))
	}
	t, err := readTree(ctx, dir, o, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.root.Close()) }()
	p := &Package{Distribution: strings.Trim(name, "_-"), Version: version}
	var files []file
	for _, at := range t.files {
		content, err := t.read(at)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name + "/" + at, content})
	}
	for _, l := range t.left {
		p.LeftOut = append(p.LeftOut, Omission{name + "/" + l.Path, l.Reason})
	}
	p.LeftOut = append(p.LeftOut, unused(filepath.Dir(dir))...)
	files = append(files,
		file{"PKG-INFO", fmt.Appendf(nil, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", p.Distribution, version)},
		file{"setup.py", setup(p.Distribution, packages(name, t.files))},
		// With include_package_data, setuptools of any version installs what stands in a package and is named here.
		file{"MANIFEST.in", []byte("graft " + name + "\n")},
	)
	return finish(p, strings.ReplaceAll(p.Distribution, "-", "_")+"-"+version, files)
}

// packages returns the dotted names of the folders that have modules, sorted. Other folders hold data of the package
// that they lie in.
func packages(name string, files []string) []string {
	found := map[string]bool{}
	for _, at := range files {
		dir := path.Dir(at)
		if path.Ext(at) != ".py" || found[dir] {
			continue
		}
		found[dir] = dir == "." || !slices.ContainsFunc(strings.Split(dir, "/"), func(step string) bool {
			return !identifier.MatchString(step)
		})
	}
	var dotted []string
	for dir, is := range found {
		if is {
			dotted = append(dotted, strings.ReplaceAll(path.Join(name, dir), "/", "."))
		}
	}
	slices.Sort(dotted)
	return dotted
}

// setup returns a setup.py. It names each package, because setuptools finds none that has no __init__.py, and it is
// plain enough for any version of Python.
func setup(distribution string, packages []string) []byte {
	var b strings.Builder
	b.WriteString("# Written by jobdrop, because there was none.\nfrom setuptools import setup\n\nsetup(\n")
	fmt.Fprintf(&b, "    name='%s',\n    version='%s',\n    packages=[\n", distribution, version)
	for _, p := range packages {
		fmt.Fprintf(&b, "        '%s',\n", p)
	}
	b.WriteString("    ],\n    include_package_data=True,\n)\n")
	return []byte(b.String())
}

// unused returns the files beside a package that only a setup.py could make use of.
func unused(root string) (list []Omission) {
	for _, name := range []string{"requirements.txt", "setup.cfg"} {
		if isFile(filepath.Join(root, name)) {
			list = append(list, Omission{
				name, "without a setup.py the package requires nothing: write one with install_requires beside it",
			})
		}
	}
	return list
}
