package pypkg

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// layout is what setup would install of an archive, and where from.
type layout struct {
	packing
	found *modules
	root  string // of the project in the archive, "" or with its slash
	files map[string]bool
	// singles are the single modules by their files.
	singles map[string]string
	// names are the packages of each folder, by its path below root.
	names map[string][]string
	// noFolder are packages that have no folder, noFile single modules without a file.
	noFolder, noFile []string
}

// maxJudged bounds the folders that are held against the patterns.
const maxJudged = 1_000

// newLayout reports false where that is not known for certain. madeFolder answers
// for paths of the archive.
func newLayout(p packing, m *modules, root string, madeFolder func(string) bool) (*layout, bool) {
	l := &layout{
		packing: p, found: m, root: root,
		files: map[string]bool{}, singles: map[string]string{}, names: map[string][]string{},
	}
	folders := map[string]bool{}
	for _, file := range m.files {
		rest, ok := strings.CutPrefix(file, root)
		if !ok {
			continue
		}
		l.files[rest] = true
		for dir := path.Dir(rest); dir != "." && !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	isFolder := func(dir string) bool { return dir == "" || folders[dir] || madeFolder(root+dir) }
	if p.found {
		if len(folders)*len(p.where) > maxJudged {
			return nil, false
		}
		for _, where := range p.where {
			for _, dir := range slices.Sorted(maps.Keys(folders)) {
				l.find(where, dir, isFolder)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.listed)) {
		l.enter(name, l.folderOf(name), isFolder)
	}
	for _, module := range p.single {
		file := l.fileOf(module)
		if l.singles[file] = module; !l.files[file] {
			l.noFile = append(l.noFile, module)
		}
	}
	return l, l.left >= 0
}

// find enters a folder if it is a package that find_packages finds.
func (l *layout) find(where, dir string, isFolder func(string) bool) {
	below := dir
	if where != "" {
		var ok bool
		if below, ok = strings.CutPrefix(dir, where+"/"); !ok {
			return
		}
	}
	name := strings.ReplaceAll(below, "/", ".")
	if strings.Contains(below, ".") || !l.namespaces && len(l.noInits(where, below)) > 0 || !l.covers(name) {
		return
	}
	if l.inPlace {
		l.names[dir] = append(l.names[dir], name)
		return
	}
	l.enter(name, l.folderOf(name), isFolder)
}

// noInits lists the folders on the way to one that have no __init__.py.
func (l *layout) noInits(where, below string) (folders []string) {
	at := where
	for step := range strings.SplitSeq(below, "/") {
		if at = path.Join(at, step); !l.found.inits[l.root+at] {
			folders = append(folders, at)
		}
	}
	return folders
}

// enter adds a package that is to be installed from a folder.
func (l *layout) enter(name, dir string, isFolder func(string) bool) {
	if !isFolder(dir) {
		l.noFolder = append(l.noFolder, name)
		return
	}
	l.names[dir] = append(l.names[dir], name)
}

// folderOf returns where a package lies (distutils' build_py.get_package_dir).
func (l *layout) folderOf(name string) string {
	var tail []string
	for steps := strings.Split(name, "."); len(steps) > 0; steps = steps[:len(steps)-1] {
		if dir, ok := l.dirs[strings.Join(steps, ".")]; ok {
			return path.Join(append([]string{dir}, tail...)...)
		}
		tail = append([]string{steps[len(steps)-1]}, tail...)
	}
	if name == "" {
		tail = nil
	}
	return path.Join(append([]string{l.dirs[""]}, tail...)...)
}

func (l *layout) fileOf(module string) string {
	i := strings.LastIndexByte(module, '.')
	return path.Join(l.folderOf(module[:max(0, i)]), module[i+1:]+".py")
}

// installed lists the modules that setup would install. It reports false if that are
// too many names, of folders that many packages share.
func (l *layout) installed() ([]string, bool) {
	found, size := map[string]bool{}, 0
	for file := range l.files {
		for _, name := range l.places(file) {
			if size += len(name); size > maxRootNames {
				return nil, false
			}
			add(found, name)
		}
	}
	return slices.Sorted(maps.Keys(found)), true
}

// places lists where a file of the project is installed, by paths among the
// libraries.
func (l *layout) places(file string) (at []string) {
	dir, base := path.Split(file)
	dir = strings.TrimSuffix(dir, "/")
	code := strings.HasSuffix(base, ".py") && !strings.HasPrefix(base, ".")
	if file == "setup.py" || path.Ext(base) == ".pyc" {
		return nil
	}
	if code {
		if module, ok := l.singles[file]; ok {
			at = append(at, strings.ReplaceAll(module, ".", "/")+".py")
		}
		for _, name := range l.names[dir] {
			at = append(at, strings.ReplaceAll(name, ".", "/")+"/"+base)
		}
		if !l.data {
			return at
		}
	}
	// Data belong to the nearest package that they lie below.
	for up := dir; len(at) == 0; up = parent(up) {
		for _, name := range l.names[up] {
			at = append(at, strings.ReplaceAll(name, ".", "/")+"/"+strings.TrimPrefix(strings.TrimPrefix(file, up), "/"))
		}
		if up == "" {
			break
		}
	}
	return at
}

// parent returns the folder of a path, "" for the top.
func parent(name string) string {
	if dir := path.Dir(name); dir != "." {
		return dir
	}
	return ""
}

// why returns why setup does not install a module that the archive holds, and what to do
// about it. It reports false if the archive does not hold it.
func (l *layout) why(module string, roots map[string]bool) (reason, remedy string, ok bool) {
	file := strings.ReplaceAll(module, ".", "/")
	for _, base := range slices.Concat([]string{""}, l.where, slices.Sorted(maps.Keys(roots))) {
		at := path.Join(base, file)
		switch {
		case l.files[at+"/__main__.py"]:
			reason, remedy = l.outside(base, at)
			return "the package holds " + show(at+"/__main__.py") + ", but " + reason, remedy, true
		case !l.files[at+".py"]:
		case !strings.Contains(module, "."):
			return "the package holds " + show(at+".py") + ", but " + l.file + " does not install it: it lies in no package",
				l.single1(module, base), true
		default:
			reason, remedy = l.outside(base, path.Dir(at))
			return "the package holds " + show(at+".py") + ", but " + reason, remedy, true
		}
	}
	return "", "", false
}

// single1 returns how to install a module that lies in no package.
func (l *layout) single1(module, base string) string {
	var add string
	switch l.file {
	case "setup.py":
		if add = "add py_modules=['" + module + "'] to setup() in setup.py"; base != l.dirs[""] {
			add += ", with package_dir={'': '" + base + "'}"
		}
	case "setup.cfg":
		add = "add py_modules = " + module + " below [options] in setup.cfg"
	default:
		add = "add py-modules = [\"" + module + "\"] below [tool.setuptools] in pyproject.toml"
	}
	return add + ", or move the module into a package"
}

// outside returns why a folder is not a package that is installed, and the remedy.
func (l *layout) outside(base, dir string) (reason, remedy string) {
	below := dir
	if base != "" {
		below = strings.TrimPrefix(dir, base+"/")
	}
	name := strings.ReplaceAll(below, "/", ".")
	switch {
	case !l.packing.found && len(l.listed) == 0:
		return l.file + " names no packages", l.nameIt(name)
	case !l.packing.found:
		remedy = l.nameIt(name)
		if l.file == "setup.py" {
			remedy += ", or write packages=find_packages()"
		}
		return "the packages that " + l.file + " lists do not include " + name, remedy
	case !slices.Contains(l.where, base):
		where := "the project's own folder"
		if l.where[0] != "" {
			where = show(l.where[0])
		}
		reason = "packages are looked for in " + where + ", and not in " + show(path.Join(base, "."))
		switch {
		case base == "":
			return reason, "move " + show(dir) + " into " + where
		case l.file == "setup.py":
			return reason, "write packages=find_packages('" + base + "') and package_dir={'': '" + base + "'} in setup.py"
		}
		return reason, "set where to " + base + " in " + l.file
	}
	var reasons, remedies []string
	for _, pattern := range l.exclude {
		if l.match(pattern, name) {
			reasons = append(reasons, "exclude leaves "+name+" out")
			remedies = append(remedies, "remove "+show("'"+pattern+"'")+" from exclude in "+l.file)
		}
	}
	if len(l.include) > 0 && !l.matches(l.include, name) {
		reasons = append(reasons, "include does not cover "+name)
		remedies = append(remedies, "add '"+name+"' to include in "+l.file)
	}
	if missing := l.noInits(base, below); !l.namespaces && len(missing) > 0 {
		for i := range missing {
			missing[i] = show(missing[i] + "/__init__.py")
		}
		reasons = append(reasons, "a folder without an __init__.py is not a package to find_packages")
		remedies = append(remedies, "add "+strings.Join(missing[:min(len(missing), maxSuggestions)], " and "))
	}
	if len(reasons) == 0 {
		return l.file + " does not install it", l.nameIt(name)
	}
	return strings.Join(reasons, ", and "), strings.Join(remedies, ", and ")
}

// nameIt returns how to list a package.
func (l *layout) nameIt(name string) string {
	list := "packages"
	if len(l.listed) > 0 {
		return "add '" + name + "' to " + list + " in " + l.file
	}
	switch l.file {
	case "setup.py":
		return "add packages=['" + name + "'] to setup() in setup.py"
	case "setup.cfg":
		return "add packages = " + name + " below [options] in setup.cfg"
	}
	return "add packages = [\"" + name + "\"] below [tool.setuptools] in pyproject.toml"
}

// Place returns where setup installs a file of the archive, by its clean path, among the
// libraries, or "" if it does not. It reports false where it is not known what setup
// does.
func (r *Report) Place(name string) (target string, known bool) {
	if r.layout == nil {
		return "", false
	}
	if file, ok := strings.CutPrefix(name, strings.TrimPrefix(r.layout.root, "./")); ok {
		if at := r.layout.places(file); len(at) > 0 {
			return at[0], true
		}
	}
	return "", true
}
