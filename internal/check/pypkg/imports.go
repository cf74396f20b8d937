package pypkg

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

const (
	// maxSource is how much of a module is searched for imports, which stand at
	// its top.
	maxSource = 64 << 10
	// maxImports bounds the imports that are kept, maxImport the bytes of one:
	// the ones that a package's modules make of each other are some dozens.
	maxImports = 1000
	maxImport  = 200
)

// imports are what modules import of the package that they belong to. gcloud's
// setup.py packs one folder and none below it, so that what is missing leaves
// no other trace in the archive.
type imports struct {
	buf  []byte
	list []imported
	seen map[imported]bool
	off  bool // the project has another setup.py
	// bare are imports of a name alone, which the module's own folder may have.
	bare []imported
}

// imported is a module or package, as a path in the archive without extension,
// and a file that imports it.
type imported struct {
	path, by string
	// name reports that the import is "from PACKAGE import NAME". NAME may also be
	// defined in the package's __init__.py.
	name bool
}

func (im *imports) wanted(name string) bool {
	return strings.HasSuffix(name, ".py") && strings.Contains(name, "/") &&
		(!im.off && len(im.list) < maxImports || len(im.bare) < maxImports)
}

// scan reads the import statements that begin a line. An indented one may be an
// attempt, and text in strings seldom begins so.
func (im *imports) scan(name string, text []byte) {
	bare := len(im.bare)
	if bytes.Contains(text, []byte("sys.path")) {
		defer func() { im.bare = im.bare[:bare] }() // it may point to its own folder
	}
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			end = len(text) - 1
		}
		line := text[:end+1]
		text = text[end+1:]
		// Few lines begin so; the rest must cost nothing.
		if line[0] != 'i' && line[0] != 'f' || len(line) > 4*maxImport {
			continue
		}
		if rest, ok := bytes.CutPrefix(line, []byte("import ")); ok {
			for module := range strings.SplitSeq(code(rest), ",") {
				im.module(name, firstWord(module), nil)
			}
		} else if rest, ok := bytes.CutPrefix(line, []byte("from ")); ok {
			if module, names, ok := strings.Cut(code(rest), " import "); ok {
				im.module(name, strings.TrimSpace(module), strings.Split(strings.Trim(names, " ()\\"), ","))
			}
		}
	}
}

// code returns a line without its comment and its end.
func code(line []byte) string {
	before, _, _ := strings.Cut(string(line), "#")
	return strings.TrimSpace(before)
}

func firstWord(text string) string {
	if fields := strings.Fields(text); len(fields) > 0 {
		return fields[0]
	}
	return ""
}

// module notes an import if it is one of the file's own package.
func (im *imports) module(by, module string, names []string) {
	if !dotted(module) {
		return
	}
	var at string
	if rest := strings.TrimLeft(module, "."); rest != module {
		// PEP 328: one dot is the file's own package, each further one a level up.
		at = path.Dir(by)
		for range len(module) - len(rest) - 1 {
			at = path.Dir(at)
		}
		if rest != "" {
			at += "/" + strings.ReplaceAll(rest, ".", "/")
		}
	} else {
		top, below, _ := strings.Cut(module, ".")
		// The package's folder is the first of the path, or the one below that
		// if the archive has a root folder.
		folders := strings.SplitN(by, "/", 3)
		if below == "" {
			im.besides(by, top)
		}
		switch {
		case len(folders) == 3 && folders[1] == top:
			at = folders[0] + "/" + top
		case folders[0] == top:
			at = top
		default:
			return
		}
		if below != "" {
			at += "/" + strings.ReplaceAll(below, ".", "/")
		}
	}
	im.add(imported{path: at, by: by})
	for _, n := range names {
		if n = firstWord(n); dotted(n) && !strings.Contains(n, ".") {
			im.add(imported{path: at + "/" + n, by: by, name: true})
		}
	}
}

// dotted reports whether text is a module's name. It may begin with dots.
func dotted(text string) bool {
	if text == "" || len(text) > maxImport {
		return false
	}
	for _, c := range []byte(text) {
		if c != '.' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// besides notes an import of a name alone. Of the standard library's none is a fault.
func (im *imports) besides(by, name string) {
	i := imported{path: path.Join(path.Dir(by), name), by: by}
	key := imported{path: i.path, by: "bare"}
	if len(im.bare) >= maxImports || im.seen[key] || slices.Contains(standard, name) {
		return
	}
	im.note(key)
	im.bare = append(im.bare, i)
}

func (im *imports) note(key imported) {
	if im.seen == nil {
		im.seen = map[imported]bool{}
	}
	im.seen[key] = true
}

func (im *imports) add(i imported) {
	key := imported{path: i.path, name: i.name}
	if im.off || len(im.list) >= maxImports || im.seen[key] {
		return
	}
	im.note(key)
	im.list = append(im.list, i)
}

// missing lists the imports of the package that no file of the archive can
// satisfy; those below another that is missing are left out.
func (im *imports) missing(m *modules) []imported {
	sorted := slices.Sorted(slices.Values(m.files))
	there := func(at string) bool {
		folder, _ := slices.BinarySearch(sorted, at+"/")
		if folder < len(sorted) && strings.HasPrefix(sorted[folder], at+"/") {
			return true
		}
		_, source := slices.BinarySearch(sorted, at+".py")
		_, compiled := slices.BinarySearch(sorted, at+".pyc")
		return source || compiled
	}
	var list []imported
	told := map[string]bool{}
	for _, i := range im.list {
		// An __init__.py that holds something may define the name.
		if i.name && !m.emptyInits[path.Dir(i.path)] {
			continue
		}
		at := i.path
		if there(at) {
			continue
		}
		for up := path.Dir(at); up != "." && !there(up); up = path.Dir(up) {
			at = up
		}
		// Above the package there is nothing to be missing.
		if !there(path.Dir(at)) || told[at] {
			continue
		}
		told[at] = true
		list = append(list, imported{path: at, by: i.by})
	}
	return list
}
