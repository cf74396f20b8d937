package pypkg

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// oddNames are names that tools of other systems write into an archive.
type oddNames struct {
	mac, backslash           string // the first of each
	macCount, backslashCount int
}

func (o *oddNames) add(name string) {
	base := name[strings.LastIndexByte(strings.TrimSuffix(name, "/"), '/')+1:]
	if strings.HasPrefix(base, "._") || strings.HasPrefix(name, "__MACOSX/") || strings.Contains(name, "/__MACOSX/") {
		if o.macCount++; o.macCount == 1 {
			o.mac = name
		}
	}
	if strings.Contains(name, `\`) {
		if o.backslashCount++; o.backslashCount == 1 {
			o.backslash = name
		}
	}
}

// oddNames warns of names that mean nothing on the service's machines.
func (in *inspection) oddNames() {
	if in.odd.macCount > 0 {
		in.warn(rulePackageMacos, job.Violation{
			Message: fmt.Sprintf("the package has %s of macOS's own, which are not part of the trainer",
				entries(in.odd.macCount)),
			Found:  show(in.odd.mac),
			Remedy: "pack with COPYFILE_DISABLE=1 tar czf, or python -m build, instead of the Finder",
		})
	}
	if in.odd.backslashCount > 0 {
		in.warn(rulePackageBackslash, job.Violation{
			Message: fmt.Sprintf("the package has %s with a backslash in the name: on Linux that is a letter, and no folder",
				entries(in.odd.backslashCount)),
			Found:  show(in.odd.backslash),
			Remedy: "pack with a tool that writes paths with slashes: python -m build, or tar",
		})
	}
}

func entries(n int) string {
	if n == 1 {
		return "an entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// doubts warns of what makes a project fail that the setup files and the archive's names
// show.
func (in *inspection) doubts(t *tree, root string, roots map[string]bool, set settings) {
	for _, file := range set.source.Opens() {
		if in.made(t, root+file) {
			continue
		}
		in.warn(rulePackageSetupFile, job.Violation{
			Message: "setup.py opens a file that is not in the archive, so that its setup fails",
			Found:   show(root + file),
			Remedy:  "add the line " + show("include "+file) + " to MANIFEST.in, and build the package again",
		})
	}
	if l := in.report.layout; l != nil {
		in.unpackagedData(l)
	}
	in.report.strays = in.strays(t.imports.bare, root, roots)
}

// made reports whether the archive has a path, or may have it.
func (in *inspection) made(t *tree, name string) bool {
	name = path.Clean(name)
	_, there := t.places.has(name)
	_, isLink := t.links.symbolic[name]
	for up := path.Dir(name); up != "." && up != "/"; up = path.Dir(up) {
		_, below := t.links.symbolic[up]
		isLink = isLink || below
	}
	return there || isLink || t.places.full()
}

// maxData is how many files that are no code are kept by their names.
const maxData = 500

// isData reports whether a file may be one that a trainer reads: those that people and
// tools read beside the code are not.
func isData(name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, ".") || strings.Contains(name, ".egg-info/") || strings.Contains(name, "__pycache__/") ||
		strings.HasPrefix(strings.ToLower(base), "readme") || strings.HasPrefix(strings.ToLower(base), "license") ||
		strings.HasPrefix(base, "requirements") || base == "PKG-INFO" || base == "py.typed" {
		return false
	}
	return slices.Contains([]string{
		".txt", ".json", ".csv", ".tsv", ".yaml", ".yml", ".npy", ".npz", ".pkl", ".pickle", ".h5", ".pb", ".pbtxt", ".proto",
		".vocab", ".model", ".tfrecord", ".sql", ".toml", ".ini", ".cfg", ".dat", ".bin", ".gz", ".jinja", ".tmpl", ".gin",
	}, strings.ToLower(path.Ext(base)))
}

// unpackagedData warns of files in a package's folder that setup does not install.
func (in *inspection) unpackagedData(l *layout) {
	if l.data {
		return
	}
	for _, name := range in.found.data {
		file, ok := strings.CutPrefix(name, l.root)
		if !ok || len(l.names[parent(file)]) == 0 {
			continue
		}
		in.warn(rulePackageData, job.Violation{
			Message: "the file lies in a package, and setup installs no other files than modules",
			Found:   show(name),
			Remedy: "add package_data={'" + l.names[parent(file)][0] + "': ['*" + path.Ext(file) + "']} to setup() if the " +
				"trainer reads it",
		})
		return // one is enough to see it by
	}
}

// stray is an import that finds nothing when the module runs.
type stray struct{ name, by, instead string }

// strays lists imports of a name alone that Python 2 would find beside the module, and
// Python 3 does not find: nothing of that name is installed at the top.
func (in *inspection) strays(bare []imported, root string, roots map[string]bool) (strays []stray) {
	if len(bare) == 0 || in.report.Guessed {
		return nil
	}
	files := map[string]bool{}
	for _, f := range in.found.files {
		files[f] = true
	}
	for _, i := range bare {
		by, ok := strings.CutPrefix(i.by, root)
		name, pkg := path.Base(i.path), parent(by)
		for source := range roots {
			pkg = strings.TrimPrefix(pkg, source+"/")
		}
		switch {
		case !ok || pkg == "" || roots[pkg] || notPackages(first(pkg)):
			continue // its own folder may be the one that the program starts in
		case !files[i.path+".py"] && !in.found.inits[i.path] || in.report.top(name):
			continue
		}
		if strays = append(strays, stray{name, i.by, strings.ReplaceAll(pkg, "/", ".") + "." +
			name}); len(strays) == maxSuggestions {
			break
		}
	}
	return strays
}

// top reports whether something is installed that a program imports by one name.
func (r *Report) top(name string) bool {
	if r.HasModule(name) || len(r.Below(name)) > 0 {
		return true
	}
	if r.layout == nil {
		return false
	}
	for _, names := range r.layout.names {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}

// Strays returns, for each import of a name that the package has below another one only,
// a warning. It holds with Python 3.
func (r *Report) Strays(file string) (vs []job.Violation) {
	for _, s := range r.strays {
		vs = append(vs, job.Violation{
			Rule: rulePackageImport, Severity: job.Warning, File: file,
			Message: "a module imports a name that lies beside it, which Python 3 does not look for there",
			Found:   "import of " + show(s.name) + " in " + show(s.by),
			Remedy:  "import " + show(s.instead),
		})
	}
	return vs
}
