package pypkg

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// packing is what a project's settings say of the packages to install. Settings
// are read, never run: what is not written out literally stays unknown.
type packing struct {
	// listed are packages named one by one; nothing else is installed.
	listed map[string]bool
	// found reports the use of find_packages: folders with __init__.py whose
	// dotted name matches a pattern of include and none of exclude.
	found            bool
	include, exclude []string
	// generated reports that it is the setup.py that gcloud writes for
	// --package-path.
	generated bool
	// exact reports that modules outside the packages are certainly not installed.
	exact bool
	// left is how much may still be compared with patterns, in bytes.
	left int
}

// maxMatched bounds what is compared with the patterns: the bytes of all names,
// for each pattern anew. A thousand folders with a dozen patterns take 500 KiB.
const maxMatched = 32 << 20

var (
	comment  = regexp.MustCompile(`(?m)(^|[\s,(\[{])#.*$`)
	packages = regexp.MustCompile(`\bpackages\b\s*=[^=]`)
	// packagesWord is any mention.
	packagesWord = regexp.MustCompile(`\bpackages\b`)

	// An argument of literals, to the comma or bracket behind it: more may be
	// added by an operator.
	literals    = `\[((?:\s*(?:'[\w.*?-]*'|"[\w.*?-]*")\s*,?)*)\s*\]`
	listedIn    = regexp.MustCompile(`\bpackages\b\s*=\s*` + literals + `\s*[,)]`)
	foundIn     = regexp.MustCompile(`\bpackages\b\s*=\s*(?:setuptools\.)?find_packages\(([^()]*)\)\s*[,)]`)
	listedTOML  = regexp.MustCompile(`(?m)^packages\s*=\s*` + literals + `[ \t]*(?:\n|$)`)
	foundOption = regexp.MustCompile(`^\s*(include|exclude)\s*=\s*` + literals + `\s*(?:,|$)`)
	foundWhere  = regexp.MustCompile(`^\s*(?:where\s*=\s*)?(?:'[^']*'|"[^"]*")\s*(?:,|$)`)
	literal     = regexp.MustCompile(`['"]([^'"]*)['"]`)

	listedLines = regexp.MustCompile(`(?m)^packages[ \t]*=[ \t]*((?:[\w.]*[ \t]*(?:\r?\n[ \t]+[\w.]+)*))[ \t]*\r?$`)

	// otherContent are settings by which modules are installed that belong to
	// no package, or packages have another folder than their name says.
	otherContent = regexp.MustCompile(`\b(?:py_modules|package_dir|package_data|include_package_data|data_files|cmdclass|ext_modules|scripts)\b`)

	// generatedBy is DEFAULT_SETUP_FILE of gcloud's
	// command_lib/ml_engine/jobs_prep.py, with its spaces left out.
	generatedBy = regexp.MustCompile(`^fromsetuptoolsimportsetup,find_packagesif__name__=='__main__':setup\(name='([^']*)',packages=find_packages\(include=\['([^']*)'\]\)\)$`)
)

// settings are the texts of a project's setup files, each cut to maxMetadata.
type settings struct {
	script, config, project string // setup.py, setup.cfg, pyproject.toml
}

func (s settings) all() string { return s.script + "\n" + s.config + "\n" + s.project }

// packing finds out which packages the settings name. Of two places that name
// some, which one counts depends on setuptools' version: then they are unknown.
func (s settings) packing() (p packing, ok bool) {
	defer func() { p.left = maxMatched }()
	script := comment.ReplaceAllString(s.script, "$1")
	scripts, configs := len(packages.FindAllStringIndex(script, 2)), len(packages.FindAllStringIndex(s.config, 2))
	projects := strings.Contains(s.project, "tool.setuptools") || strings.Contains(s.project, "tool.poetry") ||
		strings.Contains(s.project, "tool.hatch")
	switch {
	case scripts == 1 && configs == 0 && !projects:
		if p, ok = scriptPacking(script); ok {
			p.generated = generatedSetup(s.script)
			p.exact = !otherContent.MatchString(script + s.config)
		}
	case scripts == 0 && configs == 1 && !projects:
		p, ok = configPacking(s.config)
	case scripts == 0 && configs == 0 && strings.Contains(s.project, "tool.setuptools"):
		p, ok = projectPacking(s.project)
	}
	return p, ok
}

// scriptPacking reads setup.py's packages: a list of literals, or find_packages
// with literal arguments (setuptools' user guide, "Package Discovery").
func scriptPacking(script string) (p packing, ok bool) {
	// An argument of setup, and no other word of packages: none is added, and
	// what is read is no text about it.
	if at := packagesWord.FindAllStringIndex(script, 2); len(at) != 1 || !strings.Contains(script[:at[0][0]], "setup(") {
		return p, false
	}
	if m := listedIn.FindStringSubmatch(script); m != nil {
		return p, p.list(words(m[1]))
	}
	m := foundIn.FindStringSubmatch(script)
	if m == nil {
		return p, false
	}
	p.found = true
	arguments := m[1]
	for strings.TrimSpace(arguments) != "" {
		if where := foundWhere.FindString(arguments); where != "" {
			arguments = arguments[len(where):]
			continue
		}
		option := foundOption.FindStringSubmatch(arguments)
		if option == nil {
			return p, false
		}
		if arguments = arguments[len(option[0]):]; option[1] == "include" {
			p.include = words(option[2])
		} else {
			p.exclude = words(option[2])
		}
	}
	return p, len(p.include)+len(p.exclude) <= maxPatterns
}

const (
	// maxListed bounds the packages that settings name one by one, maxPatterns
	// the patterns: what has more is not understood.
	maxListed   = 10_000
	maxPatterns = 50
)

// list takes packages named one by one, and reports whether it understands them.
func (p *packing) list(names []string) bool {
	p.listed = map[string]bool{}
	for _, n := range names {
		p.listed[n] = true
	}
	return len(names) > 0 && len(names) <= maxListed
}

// configPacking reads setup.cfg's options.packages: find: or a name on each
// line (setuptools' user guide, "Configuring setuptools using setup.cfg").
func configPacking(config string) (p packing, ok bool) {
	if strings.Contains(config, "find:") || strings.Contains(config, "find_namespace:") {
		return p, false // its patterns stand in a section of their own
	}
	_, options, _ := strings.Cut("\n"+config, "\n[options]")
	options, _, _ = strings.Cut(options, "\n[") // [files] is pbr's, which takes sub-packages along
	m := listedLines.FindStringSubmatch(options)
	return p, m != nil && p.list(strings.Fields(m[1]))
}

// projectPacking reads pyproject.toml's tool.setuptools: packages, a list, or
// packages.find (setuptools' user guide, "pyproject.toml configuration").
func projectPacking(project string) (p packing, ok bool) {
	if m := listedTOML.FindStringSubmatch(project); m != nil {
		return p, p.list(words(m[1]))
	}
	_, section, ok := strings.Cut(project, "[tool.setuptools.packages.find]\n")
	if !ok {
		return p, false
	}
	section, _, _ = strings.Cut(section, "\n[")
	for line := range strings.SplitSeq(section, "\n") {
		if option := foundOption.FindStringSubmatch(line); option != nil && option[1] == "include" {
			p.include = words(option[2])
		} else if option != nil {
			p.exclude = words(option[2])
		}
	}
	p.found = len(p.include) > 0
	return p, p.found && len(p.include)+len(p.exclude) <= maxPatterns
}

func generatedSetup(script string) bool {
	return generatedBy.MatchString(strings.Join(strings.Fields(script), ""))
}

func words(list string) (names []string) {
	for _, m := range literal.FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	return names
}

// covers reports whether a package is installed as far as its name matters. Where
// there is too much to compare, it may be.
func (p *packing) covers(pkg string) bool {
	if !p.found {
		return p.listed[pkg]
	}
	covered := (len(p.include) == 0 || p.matches(p.include, pkg)) && !p.matches(p.exclude, pkg)
	return covered || p.left < 0
}

// matches compares as setuptools' PackageFinder does, with fnmatch; no name has
// a slash, which the two functions' stars differ in.
func (p *packing) matches(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if p.left -= len(pattern) + len(pkg); p.left < 0 {
			return false
		}
		match, err := path.Match(pattern, pkg)
		return err == nil && match
	})
}

// leftOut lists, by path in the archive, the outermost folders with modules
// that lie in an installed package's folder and are not installed themselves.
// What an exclude names is left out on purpose.
func (m *modules) leftOut(root string, roots map[string]bool, p *packing) []string {
	found, judged := map[string]bool{}, map[string]bool{}
	for _, file := range m.files {
		rest, ok := strings.CutPrefix(file, root)
		if !ok || judged[path.Dir(rest)] {
			continue
		}
		if judged[path.Dir(rest)] = true; len(judged) > maxJudged || p.left < 0 {
			break
		}
		if dir := leftOutOf(path.Dir(rest), roots, p); dir != "" {
			found[root+dir] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// maxLevels is how deep packages are looked for: a path may have hundreds of
// levels, each with as many names.
const maxLevels = 20

// maxJudged bounds the folders that are held against the patterns.
const maxJudged = 1_000

// leftOutOf returns the first folder on the way to dir that is not a package
// although the one above it is.
func leftOutOf(dir string, roots map[string]bool, p *packing) string {
	inside := false
	for at, level := 0, 0; at < len(dir) && level < maxLevels; level++ {
		next := strings.IndexByte(dir[at:], '/')
		if at += next; next < 0 {
			at = len(dir)
		}
		folder := dir[:at]
		at++
		base := path.Base(folder)
		if strings.ContainsAny(base, ".-") || base == "__pycache__" {
			return ""
		}
		covered, excluded := false, false
		for _, name := range packageNames(folder, roots) {
			covered = covered || p.covers(name)
			excluded = excluded || p.matches(p.exclude, name)
		}
		if excluded {
			return ""
		}
		if inside && !covered {
			return folder
		}
		inside = covered
	}
	return ""
}

// packageNames returns the dotted names that a folder has from the project's top
// and from each of its source roots.
func packageNames(folder string, roots map[string]bool) []string {
	names := []string{strings.ReplaceAll(folder, "/", ".")}
	for i := range len(folder) {
		if folder[i] == '/' && roots[folder[:i]] && len(names) < maxLevels {
			names = append(names, strings.ReplaceAll(folder[i+1:], "/", "."))
		}
	}
	return names
}

// installed keeps of the modules those that lie in a package: with no other
// setting, nothing else is installed.
func (p *packing) installed(all []string, isPackage func(string) bool) []string {
	return slices.DeleteFunc(all, func(module string) bool {
		pkg := module
		if !isPackage(module) { // a package with a __main__ is its own
			pkg = module[:max(0, strings.LastIndexByte(module, '.'))]
		}
		return !p.covers(pkg)
	})
}
