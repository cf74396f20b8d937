package pypkg

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/text"
)

// modules gathers a package's Python files. The number of entries and the
// length of names are bounded, and so is this.
type modules struct {
	files []string        // paths of .py and .pyc files
	inits map[string]bool // folders that have an __init__.py
	// emptyInits are those of inits whose __init__.py is empty.
	emptyInits map[string]bool
	// aliases counts the links to folders that were added, aliasNames the bytes
	// of the names that they brought.
	aliases, aliasNames int
	// code reports that there is something to import or to compile.
	code bool
	// data are the first files that are no code and that a trainer may read.
	data []string
}

func newModules() *modules {
	return &modules{inits: map[string]bool{}, emptyInits: map[string]bool{}}
}

// empty records that the file has no content.
func (m *modules) empty(name string) {
	if path.Base(name) == "__init__.py" {
		m.emptyInits[path.Dir(name)] = true
	}
}

const (
	// maxAliases is how many links to folders are heeded: each takes a walk
	// through all modules.
	maxAliases = 100
	// maxAliasNames bounds the names, in bytes, that links add to the modules.
	maxAliasNames = 1 << 20
)

// alias adds the modules of a folder under the name of a link to it; both are
// clean paths. dot tells that the archive's paths begin with ./.
func (m *modules) alias(name, folder string, dot bool) {
	if path.Ext(name) == ".py" || strings.HasPrefix(name+"/", folder+"/") {
		return // a link to a file, or to a folder that it lies in itself
	}
	if m.aliases++; m.aliases > maxAliases {
		return
	}
	if dot {
		name, folder = "./"+name, "./"+folder
	}
	for _, file := range m.files[:len(m.files):len(m.files)] {
		rest, ok := strings.CutPrefix(file, folder+"/")
		if !ok {
			continue
		}
		if m.aliasNames += len(name) + len(rest); m.aliasNames > maxAliasNames {
			return
		}
		m.file(name + "/" + rest)
	}
}

func (m *modules) file(name string) {
	ext := path.Ext(name)
	switch ext {
	case ".py", ".pyc":
		m.code = m.code || path.Base(name) != "setup.py"
	case ".so", ".pyd", ".pyx", ".c", ".cc", ".cpp", ".cu", ".rs":
		m.code = true
	}
	if len(m.data) < maxData && isData(name) {
		m.data = append(m.data, name)
	}
	// Python runs a .pyc where the source is missing, not from a cache.
	if ext != ".py" && (ext != ".pyc" || strings.Contains(name, "__pycache__/")) {
		return
	}
	m.files = append(m.files, name)
	if strings.TrimSuffix(path.Base(name), ext) == "__init__" {
		m.inits[name[:max(0, strings.LastIndexByte(name, '/'))]] = true
	}
}

// sourceRoot finds the settings that move packages: setuptools' package_dir and
// where, poetry's from.
var (
	sourceRoot = regexp.MustCompile(`\b(?:package_dir|package-dir|where|from)['"]?\s*[]=:]`)
	configWord = regexp.MustCompile(`[\w./-]+`)

	// packageDir is a package_dir that names a package's own folder, and not
	// only that of all: {'trainer': 'code'}, trainer = code.
	packageDir = regexp.MustCompile(`\bpackage[_-]dir['"]?\s*\]?\s*[=:]?\s*` +
		`(?:\{\s*['"]?[\w.]+['"]?\s*[:=]|\r?\n\s*['"]?[\w.]+['"]?\s*=|dict\()`)
	// backend is what builds a project. Others than setuptools, poetry and flit
	// have settings of their own for where packages lie.
	backend      = regexp.MustCompile(`\bbuild-backend\s*=\s*['"]([^'"]*)['"]`)
	knownBackend = regexp.MustCompile(`^(?:setuptools\.|poetry\.|flit)`)
)

const (
	// maxRoots bounds the folders that may hold packages, maxRootNames the
	// names, in bytes, that modules have from them.
	maxRoots     = 100
	maxRootNames = 4 << 20
)

// guessed reports whether a module may be installed under a name that its place in
// the package does not show.
func guessed(config string) bool {
	if packageDir.MatchString(config) {
		return true
	}
	m := backend.FindStringSubmatch(config)
	return m != nil && !knownBackend.MatchString(m[1])
}

// sourceRoots lists the folders that may hold packages without being one. What
// a setup script computes can't be known, so where it moves packages, any word
// in it may be a root: a module that is there must not be called missing.
func sourceRoots(config string) map[string]bool {
	roots := map[string]bool{"src": true}
	if sourceRoot.MatchString(config) {
		for _, word := range configWord.FindAllString(comment.ReplaceAllString(config, "$1"), -1) {
			if len(roots) == maxRoots {
				break
			}
			roots[strings.Trim(word, "./")] = true
		}
	}
	return roots
}

// sdist lists the modules of a project at root ("" or a folder with its slash),
// as pip would install them: from its top and from its source roots.
func (m *modules) sdist(root string, roots map[string]bool) []string {
	found := map[string]bool{}
	names := 0
	for _, file := range m.files {
		rest, ok := strings.CutPrefix(file, root)
		if !ok {
			continue
		}
		top := first(rest)
		if rest != "setup.py" && (!roots[top] || m.inits[root+top]) {
			add(found, rest)
		}
		for at, c := range []byte(rest) {
			if c == '/' && roots[rest[:at]] && names < maxRootNames {
				add(found, rest[at+1:])
				names += len(rest) - at
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// wheel lists the modules of a wheel, which holds them as they are installed;
// NAME.data has those for the library folders.
func (m *modules) wheel() []string {
	found := map[string]bool{}
	for _, file := range m.files {
		if top, rest, _ := strings.Cut(file, "/"); strings.HasSuffix(top, ".data") {
			if kind, rest, _ := strings.Cut(rest, "/"); kind == "purelib" || kind == "platlib" {
				add(found, rest)
			}
			continue
		}
		add(found, file)
	}
	return slices.Sorted(maps.Keys(found))
}

// notPackages reports whether a folder is left out of packages on purpose.
func notPackages(name string) bool {
	switch strings.TrimSuffix(name, "s") {
	case "benchmark", "bin", "build", "ci", "demo", "dist", "doc", "example", "notebook", "sample", "script", "test",
		"tool":
		return true
	}
	return false
}

// bare lists, by path in the archive, the outermost folders that lead to
// modules and have no __init__.py.
func (m *modules) bare(root string, roots map[string]bool) []string {
	found := map[string]bool{}
	for _, file := range m.files {
		rest, ok := strings.CutPrefix(file, root)
		if !ok {
			continue
		}
		at, parts := root, strings.Split(path.Dir(rest), "/")
		if roots[parts[0]] && !m.inits[root+parts[0]] {
			at, parts = root+parts[0]+"/", parts[1:]
		}
		for i, part := range parts {
			if part == "." || part == "" || strings.ContainsAny(part, ".-") || i == 0 && notPackages(part) {
				break
			}
			if at += part; !m.inits[at] {
				found[at] = true
				break
			}
			at += "/"
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// add notes what python -m calls the file.
func add(found map[string]bool, file string) {
	file = strings.TrimSuffix(file, path.Ext(file))
	if strings.Contains(file, ".") || file == "" {
		return // a folder such as NAME.egg-info is not a package
	}
	module := strings.ReplaceAll(file, "/", ".")
	if module == "__init__" || strings.HasSuffix(module, ".__init__") {
		return // a package by itself is not run
	}
	if pkg, ok := strings.CutSuffix(module, ".__main__"); ok {
		found[pkg] = true
	}
	found[module] = true
}

// HasModule reports whether python -m module would find it once the package is
// installed: a module, or a package that has a __main__. If a setup script moves
// packages about, the answer leans towards yes.
func (r *Report) HasModule(module string) bool {
	_, there := slices.BinarySearch(r.Modules, module)
	return there
}

// maxSuggestions is as many as a remedy can name.
const maxSuggestions = 3

// maxCompared bounds the letters that are compared with each other for suggestions:
// those of a thousand names of 100 bytes, in some tens of milliseconds.
const maxCompared = 10 << 20

// Suggest returns modules of the package that module may be meant for, best first:
// those that differ only in case or separators, then those with the same last name,
// then those a few letters away.
func (r *Report) Suggest(module string) []string {
	const longest = 200 // bytes; comparing takes the square of it
	type candidate struct {
		module string
		rank   int
	}
	if len(module) > longest {
		return nil
	}
	var candidates []candidate
	left := maxCompared
	wanted, last := fold(module), lastName(module)
	for _, m := range r.Modules {
		if len(m) > longest || m == module {
			continue
		}
		folded, rank := fold(m), -1
		most := max(1, len(folded)/4)
		switch {
		case folded == wanted:
			rank = 0
		case strings.HasSuffix(m, "."+module) || strings.HasSuffix(module, "."+m):
			rank = 1
		case abs(len(folded)-len(wanted)) <= most:
			if left -= len(folded) * len(wanted); left < 0 {
				break // it is only not suggested
			}
			if d := text.Distance(wanted, folded); d <= most {
				rank = 1 + d
			}
		}
		if rank < 0 && lastName(m) == last {
			rank = 1 + longest // worse than any near miss
		}
		if rank >= 0 {
			candidates = append(candidates, candidate{m, rank})
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(len(a.module), len(b.module)), cmp.Compare(a.module, b.module))
	})
	var names []string
	for _, c := range candidates[:min(len(candidates), maxSuggestions)] {
		names = append(names, c.module)
	}
	return names
}

func lastName(module string) string { return module[strings.LastIndexByte(module, '.')+1:] }

func abs(n int) int { return max(n, -n) }

var separators = strings.NewReplacer("_", "", "-", "", "/", ".")

func fold(name string) string { return strings.ToLower(separators.Replace(name)) }
