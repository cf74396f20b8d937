package pypkg

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/pypkg/internal/script"
)

// packing is what a project's settings say of the packages to install. Settings
// are read, never run: what is not written out literally stays unknown.
type packing struct {
	// file is the one whose packages these are.
	file string
	// listed are packages named one by one; nothing else is installed.
	listed map[string]bool
	// found reports the use of find_packages: folders whose dotted name matches a
	// pattern of include and none of exclude. Unless namespaces is set, each has an
	// __init__.py. where are the folders that the names are relative to, "" the
	// project's own.
	found, namespaces bool
	where             []string
	include, exclude  []string
	// single are modules named one by one: py_modules.
	single []string
	// dirs is package_dir: where packages lie, by name, "" for all others.
	dirs map[string]string
	// inPlace reports that a folder that was found is a package, wherever dirs has
	// packages: so do setup.cfg and pyproject.toml.
	inPlace bool
	// data reports that files below a package's folder may be installed without
	// being modules of it.
	data bool
	// generated reports that it is the setup.py that gcloud writes for
	// --package-path.
	generated bool
	// exact reports that what decides which modules are installed is understood.
	exact bool
	// left is how much may still be compared with patterns, in bytes.
	left int
}

// maxMatched bounds what is compared with the patterns: the bytes of all names,
// for each pattern anew. A thousand folders with a dozen patterns take 500 KiB.
const maxMatched = 32 << 20

const (
	// maxListed bounds the packages that settings name one by one, maxPatterns
	// the patterns: what has more is not understood.
	maxListed   = 10_000
	maxPatterns = 50
)

var (
	// comment finds what no setting is read from, where words are searched.
	comment = regexp.MustCompile(`(?m)(^|[\s,(\[{])#.*$`)

	// generatedBy is DEFAULT_SETUP_FILE of gcloud's
	// command_lib/ml_engine/jobs_prep.py, with its spaces left out.
	generatedBy = regexp.MustCompile(`^fromsetuptoolsimportsetup,find_packagesif__name__=='__main__':` +
		`setup\(name='([^']*)',packages=find_packages\(include=\['([^']*)'\]\)\)$`)
)

// settings are a project's setup files, each cut to maxMetadata.
type settings struct {
	script, config, project string // setup.py, setup.cfg, pyproject.toml

	call    script.Value   // of setup, with what it is given; a Call if it was understood
	source  *script.Script // an empty one if setup.py was not understood
	options script.Config  // of setup.cfg
	tables  script.Config  // of pyproject.toml
	// unread reports that pyproject.toml was not understood.
	unread bool
}

// newSettings reads the setup files.
func newSettings(setup, config, project string) settings {
	s := settings{script: setup, config: config, project: project}
	var ok bool
	if s.source, ok = script.Read(setup); !ok {
		s.source = &script.Script{}
	} else if s.call, ok = s.source.Setup(); !ok {
		s.call = script.Value{}
	}
	s.options = script.ReadINI(config)
	s.tables, ok = script.ReadTOML(project)
	s.unread = !ok
	return s
}

func (s settings) all() string { return s.script + "\n" + s.config + "\n" + s.project }

// setuptools reports whether setuptools builds the project: the default, and its
// backends of both kinds.
func (s settings) setuptools() bool {
	name := s.tables.Text("build-system.build-backend")
	return !s.unread && !s.tables.Has("build-system.backend-path") &&
		(name == "" || name == "setuptools.build_meta" || name == "setuptools.build_meta:__legacy__")
}

// packing finds out which packages the settings name. Of two places that name
// some, which one counts depends on setuptools' version: then they are unknown.
func (s settings) packing() (p packing, ok bool) {
	if !s.setuptools() || s.script != "" && s.call.Kind != script.Call {
		return p, false
	}
	if _, open := s.call.Get("**"); open {
		return p, false
	}
	const table = "tool.setuptools"
	inScript, inConfig, inProject := false, false, s.tables.Has(table+".packages") || s.tables.Has(table+".py-modules")
	for _, key := range []string{"packages", "py_modules"} {
		_, there := s.call.Get(key)
		inScript = inScript || there
		inConfig = inConfig || s.options.Has("options."+key)
	}
	p = packing{exact: s.plain(), left: maxMatched}
	switch {
	case inScript && !inConfig && !inProject:
		p.file, ok = "setup.py", p.readScript(s.call)
		p.generated = generatedSetup(s.script)
	case inConfig && !inScript && !inProject:
		p.file, ok = "setup.cfg", p.readConfig(s.options)
	case inProject && !inScript && !inConfig:
		p.file, ok = "pyproject.toml", p.readProject(s.tables)
	}
	return p, ok && len(p.include)+len(p.exclude) <= maxPatterns && len(p.listed)+len(p.single) <= maxListed
}

// harmless are arguments of setup that have no say in which modules are installed.
// setup_requires may bring in plugins that have.
var harmless = []string{
	"name", "version", "description", "long_description", "long_description_content_type", "author", "author_email",
	"maintainer", "maintainer_email", "url", "download_url", "project_urls", "classifiers", "license", "license_file",
	"license_files", "keywords", "platforms", "provides", "requires", "obsoletes", "python_requires", "install_requires",
	"extras_require", "tests_require", "test_suite", "test_loader", "zip_safe", "scripts", "entry_points", "options",
	"dependency_links", "namespace_packages", "fullname", "contact", "contact_email",
	"packages", "py_modules", "package_dir", "package_data", "include_package_data", "exclude_package_data",
}

// plain reports whether the settings leave nothing but packages, modules and their
// folders to decide which modules are installed.
func (s settings) plain() bool {
	if s.source.Mentions("exec", "eval", "globals", "setattr", "shutil", "subprocess", "system", "rename",
		"symlink", "mkdir", "makedirs", "write", "writelines", "write_text", "copytree", "touch", "unlink", "rmtree") {
		return false
	}
	for _, argument := range s.call.Pairs {
		if argument.Name == "setup_requires" {
			if names, ok := argument.Value.Texts(); ok && !slices.ContainsFunc(names, plugin) {
				continue
			}
		}
		if !slices.Contains(harmless, argument.Name) {
			return false
		}
	}
	required, ok := s.tables["build-system.requires"].Texts()
	return len(s.call.Items) == 0 && !slices.ContainsFunc(required, plugin) &&
		(ok || !s.tables.Has("build-system.requires")) &&
		!slices.ContainsFunc([]string{"global", "options.data_files", "options.setup_requires", "files"}, s.options.Has) &&
		!slices.ContainsFunc([]string{"tool.setuptools.cmdclass", "tool.setuptools.data-files"}, s.tables.Has)
}

// plugin reports whether a build's requirement may be one that changes what
// setuptools does.
func plugin(requirement string) bool {
	name := strings.TrimSpace(requirement)
	if i := strings.IndexAny(name, " <>=!~[;("); i >= 0 {
		name = name[:i]
	}
	return !slices.Contains([]string{
		"setuptools", "wheel", "pip", "pytest-runner", "numpy", "cython", "setuptools-scm", "six", "packaging",
	}, canonical(name))
}

// readScript reads setup.py's packages: a list of literals, or find_packages with
// literal arguments (setuptools' user guide, "Package Discovery").
func (p *packing) readScript(setup script.Value) bool {
	if modules, ok := setup.Get("py_modules"); ok && !none(modules) {
		if p.single, ok = modules.Texts(); !ok {
			p.exact = false
		}
	}
	if dirs, ok := setup.Get("package_dir"); ok && !none(dirs) {
		p.readDirs(dirs)
	}
	if data, ok := setup.Get("package_data"); ok && !none(data) {
		p.data = true
	}
	if data, ok := setup.Get("include_package_data"); ok && data.Text != "False" && !none(data) {
		p.data = true
	}
	named, ok := setup.Get("packages")
	if !ok || none(named) {
		return p.exact && len(p.single) > 0
	}
	if names, ok := named.Texts(); ok {
		// An empty list leaves setuptools' own discovery out of the build.
		return p.list(names) || len(p.single) > 0
	}
	switch strings.TrimPrefix(named.Text, "setuptools.") {
	case "find_packages":
	case "find_namespace_packages":
		p.namespaces = true
	default:
		return false
	}
	return named.Kind == script.Call && p.readFind(named)
}

func none(v script.Value) bool { return v.Kind == script.Constant && v.Text == "None" }

// readFind reads the arguments of find_packages.
func (p *packing) readFind(call script.Value) bool {
	p.found, p.where = true, []string{""}
	arguments := map[string]script.Value{}
	for i, v := range call.Items {
		if i > 2 {
			return false
		}
		arguments[[]string{"where", "exclude", "include"}[i]] = v
	}
	for _, a := range call.Pairs {
		arguments[a.Name] = a.Value
	}
	for name, v := range arguments {
		ok := false
		switch name {
		case "where":
			p.where[0], ok = folder(v.Text)
			ok = ok && v.Kind == script.Text
		case "include":
			p.include, ok = v.Texts()
			ok = ok && len(p.include) > 0
		case "exclude":
			p.exclude, ok = v.Texts()
		}
		if !ok {
			return false
		}
	}
	return p.understood()
}

// understood reports whether the patterns have nothing that path.Match reads in
// another way than Python's fnmatch.
func (p *packing) understood() bool {
	return !slices.ContainsFunc(slices.Concat(p.include, p.exclude), func(pattern string) bool {
		return strings.ContainsAny(pattern, `[]\/`)
	})
}

// folder returns a path that settings give as setuptools would follow it, "" for the
// project's own folder.
func folder(text string) (string, bool) {
	clean := path.Clean(text)
	if text == "" || clean == "." {
		return "", true
	}
	return clean, !path.IsAbs(clean) && !strings.HasPrefix(clean, "..") && !strings.Contains(text, `\`)
}

func (p *packing) readDirs(dirs script.Value) {
	p.dirs = map[string]string{}
	for _, d := range dirs.Pairs {
		dir, ok := folder(d.Value.Text)
		if !ok || d.Value.Kind != script.Text {
			p.exact = false
		}
		p.dirs[d.Name] = dir
	}
	if dirs.Kind != script.Dict || len(p.dirs) > maxPatterns {
		p.exact = false
	}
}

// list takes packages named one by one, and reports whether it understands them.
func (p *packing) list(names []string) bool {
	p.listed = map[string]bool{}
	for _, n := range names {
		p.listed[n] = true
		p.exact = p.exact && n != ""
	}
	return len(names) > 0 && len(names) <= maxListed
}

// readConfig reads setup.cfg's options.packages: find: or a name on each line
// (setuptools' user guide, "Configuring setuptools using setup.cfg").
func (p *packing) readConfig(c script.Config) bool {
	p.inPlace = true
	p.single = script.Lines(c.Text("options.py_modules"))
	p.data = c.Has("options.package_data") ||
		c.Has("options.include_package_data") && !strings.EqualFold(c.Text("options.include_package_data"), "false")
	if lines := script.Lines(c.Text("options.package_dir")); len(lines) > 0 {
		p.dirs = map[string]string{}
		for _, line := range lines {
			name, dir, _ := strings.Cut(line, "=")
			dir, ok := folder(strings.TrimSpace(dir))
			p.dirs[strings.TrimSpace(name)] = dir
			p.exact = p.exact && ok
		}
	}
	switch packages := strings.TrimSpace(c.Text("options.packages")); packages {
	case "":
		return len(p.single) > 0
	case "find:", "find_namespace:":
		p.found, p.namespaces = true, packages != "find:"
		const section = "options.packages.find."
		p.include, p.exclude = script.Lines(c.Text(section+"include")), script.Lines(c.Text(section+"exclude"))
		return p.readWhere(script.Lines(c.Text(section+"where"))) && p.understood()
	default:
		names := script.Lines(packages)
		if slices.ContainsFunc(names, func(n string) bool { return strings.ContainsAny(n, " :") }) {
			return false
		}
		return p.list(names)
	}
}

func (p *packing) readWhere(folders []string) bool {
	for _, f := range folders {
		dir, ok := folder(f)
		if !ok {
			return false
		}
		p.where = append(p.where, dir)
	}
	if len(p.where) == 0 {
		p.where = []string{""}
	}
	return len(p.where) <= maxPatterns
}

// readProject reads pyproject.toml's tool.setuptools: packages, a list, or
// packages.find (setuptools' user guide, "pyproject.toml configuration").
func (p *packing) readProject(c script.Config) bool {
	const table = "tool.setuptools."
	p.inPlace, p.data = true, c[table+"include-package-data"].Text != "false"
	var ok bool
	if c.Has(table + "py-modules") {
		if p.single, ok = c[table+"py-modules"].Texts(); !ok {
			return false
		}
	}
	if c.Has(table + "package-dir") {
		// An inline table has the same names as one with a head of its own.
		p.dirs = map[string]string{}
		for name, v := range c {
			if name, below := strings.CutPrefix(name, table+"package-dir."); below {
				dir, ok := folder(v.Text)
				p.dirs[name] = dir
				p.exact = p.exact && ok && v.Kind == script.Text
			}
		}
	}
	if !c.Has(table + "packages") {
		return len(p.single) > 0
	}
	if names, ok := c[table+"packages"].Texts(); ok {
		return p.list(names) || len(p.single) > 0
	}
	find := table + "packages.find"
	if !c.Has(find) {
		return false
	}
	p.found, p.namespaces = true, c[find+".namespaces"].Text != "false"
	lists := map[string][]string{}
	for _, name := range []string{"where", "include", "exclude"} {
		if !c.Has(find + "." + name) {
			continue
		}
		if lists[name], ok = c[find+"."+name].Texts(); !ok {
			return false
		}
	}
	p.include, p.exclude = lists["include"], lists["exclude"]
	return p.readWhere(lists["where"]) && p.understood()
}

func generatedSetup(script string) bool {
	return generatedBy.MatchString(strings.Join(strings.Fields(script), ""))
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
	return slices.ContainsFunc(patterns, func(pattern string) bool { return p.match(pattern, pkg) })
}

func (p *packing) match(pattern, pkg string) bool {
	if p.left -= len(pattern) + len(pkg); p.left < 0 {
		return false
	}
	match, err := path.Match(pattern, pkg)
	return err == nil && match
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
