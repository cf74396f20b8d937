package pypkg

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxMetadata is how much of a metadata or setup file is read. Only names are
// wanted of it; a long description may follow.
const maxMetadata = 256 << 10

// blockSize is what is read of a package at a time: as much as keeps the calls
// to a socket or a file few.
const blockSize = 128 << 10

// memory is what one inspection of a source distribution reads through. It is much more than most packages hold, and
// would be half of what a drop allocates.
type memory struct {
	last   end
	br     *bufio.Reader
	zr     gzip.Reader
	source [maxSource]byte
}

var buffers = sync.Pool{New: func() any { return &memory{br: bufio.NewReaderSize(nil, blockSize)} }}

// free returns the memory, without the package that was read, for others to use.
func (m *memory) free() {
	m.last.r, m.last.n = nil, 0
	m.br.Reset(nil)
	buffers.Put(m)
}

// sdist inspects a gzip'd tar; stem is its file name without the extension.
func (in *inspection) sdist(stem string) {
	mem := buffers.Get().(*memory)
	defer mem.free()
	last, br := &mem.last, mem.br
	last.r = in.src
	br.Reset(last)
	head, _ := br.Peek(512)
	if len(head) == 0 {
		in.empty()
		return
	}
	gz, err := newGunzip(&mem.zr, br)
	if err != nil {
		if in.src.err != nil || bytes.HasPrefix(head, []byte("\x1f\x8b")) || string(head) == "\x1f" {
			in.packed(err)
			return
		}
		looks, remedy := kind(head)
		in.fail(rulePackageFormat, job.Violation{
			Message: "the package is not a gzip'd tar archive",
			Found:   looks,
			Remedy:  remedy,
		})
		return
	}
	out := &bounded{r: gz, in: in}
	tree := &tree{}
	tree.imports.buf = mem.source[:]
	entries, ok := in.tar(out, gz, tree)
	// The sum over the packed bytes stands at their end. gzip -t reads that far;
	// pip stops before it, and would install what was changed.
	if ok {
		ok = in.drain(out, gz, mem.source[:])
	}
	if !ok {
		return
	}
	if last.zip() {
		in.alsoZip()
		return
	}
	if entries == 0 {
		in.fail(rulePackageEmpty, job.Violation{
			Message: "the archive has no entries",
			Remedy:  "build the package again and upload the result",
		})
		return
	}
	in.project(tree, stem)
}

// isSparse reports whether an entry's content is stored without its holes, so that
// its size does not tell how much is stored.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// tar reads the entries; ok means that the archive's end was reached.
func (in *inspection) tar(out *bounded, gz *gunzip, t *tree) (entries int, ok bool) {
	r := entryReader{Reader: tar.NewReader(out), out: out}
	// headers is how much all headers take so far.
	var headers int64
	for {
		h, err := r.Next()
		if headers += max(0, out.n-r.next); headers > in.limits.headers() {
			in.fail(rulePackageHeaders, job.Violation{
				Message: "the headers of the archive's entries are too long in all",
				Allowed: fmt.Sprintf("at most %d bytes", in.limits.headers()),
				Remedy:  "build the package with python -m build, or setup.py sdist",
			})
			return entries, false
		}
		r.next = out.n
		if err == io.EOF {
			return entries, true
		}
		if err != nil && !(errors.Is(err, tar.ErrInsecurePath) && h != nil) { // entry reports that one
			noTar := errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) && gz.done && entries == 0
			if out.fault == nil && !in.src.over && noTar {
				in.noTar(out, entries)
			} else {
				in.packed(err)
			}
			return entries, false
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // git archive's comment
		}
		entries++
		if !in.tarEntry(h, &r, t) {
			return entries, false
		}
	}
}

// entryReader reads the entries of an archive.
type entryReader struct {
	*tar.Reader
	out *bounded
	// next is where the next header begins, at the least.
	next int64
}

// tarEntry judges an entry, and reports whether there may be further ones.
func (in *inspection) tarEntry(h *tar.Header, r *entryReader, t *tree) bool {
	sound, more := in.entry(h.Name)
	if !more {
		return false
	}
	name := h.Name
	if sound {
		name = tidy(name)
		t.add(name)
		in.place(t, h, path.Clean(name))
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return in.tarFile(h, name, sound, r, t)
	case tar.TypeDir:
	case tar.TypeSymlink, tar.TypeLink:
		// Where a link leads is kept, too.
		if in.names += int64(len(h.Linkname)); in.names > in.limits.Names {
			in.tooLongNames()
			return false
		}
		if !sound {
			return true
		}
		t.links.add(path.Clean(name), h.Linkname, h.Typeflag == tar.TypeLink)
		// The file that it stands for is installed under the link's name.
		in.found.file(name)
		if t.wanted(name) {
			t.read(name, nil)
		}
	default:
		what := "something that is neither a file, a folder nor a link"
		switch h.Typeflag {
		case tar.TypeChar, tar.TypeBlock:
			what = "a device"
		case tar.TypeFifo:
			what = "a named pipe"
		}
		in.fail(rulePackageEntryType, job.Violation{
			Message: "an entry is " + what,
			Found:   show(h.Name),
			Allowed: "files, folders and links",
			Remedy:  "leave the entry out of the package",
		})
	}
	return true
}

// tarFile reads a file's entry, and reports whether there may be further ones.
func (in *inspection) tarFile(h *tar.Header, name string, sound bool, r *entryReader, t *tree) bool {
	if !in.unpack(h.Size) {
		return false
	}
	sparse := isSparse(h)
	if !sparse {
		r.next += h.Size
	}
	var err error
	if sound {
		err = t.file(in.found, name, h.Size, r)
	}
	if err == nil && sparse {
		_, err = io.Copy(io.Discard, r)
		r.next = r.out.n
	}
	if err != nil {
		in.packed(err)
		return false
	}
	return true
}

// alsoZip reports an archive of two formats: what was inspected is not what pip
// would install (unpack_file in pip/_internal/utils/unpacking.py asks
// zipfile.is_zipfile first).
func (in *inspection) alsoZip() {
	in.fail(rulePackageTwoFormats, job.Violation{
		Message: "the file is a gzip'd tar archive that ends like a zip archive; pip takes it for the latter",
		Remedy:  "build the package again, without a zip archive in it or behind it",
	})
}

// noTar reports gzip'd content that is something else. pip unpacks one layer
// only (tarfile's mode r:gz), so that a package that was compressed twice can't
// be installed.
func (in *inspection) noTar(out *bounded, entries int) {
	v := job.Violation{
		Message: "what is packed is not a tar archive, or is damaged",
		Remedy:  "build the package with python -m build, or setup.py sdist, and upload the result",
	}
	if entries == 0 {
		looks, _ := kind(out.start())
		v.Found = looks
		switch looks {
		case "gzip", "bzip2", "xz", "zstd", "a zip archive":
			v.Message = "the package is packed twice; pip unpacks it once"
			v.Remedy = "pack the tar archive once, with gzip: tar czf; or " + v.Remedy
		}
	}
	in.fail(rulePackageFormat, v)
}

// tidy returns an entry's path without its final slash and without empty or "."
// steps. It keeps the first ./, which pip counts as a folder.
func tidy(name string) string {
	rest, dot := strings.CutPrefix(name, "./")
	clean := path.Clean(rest)
	if dot && clean != "." {
		return "./" + clean
	}
	return clean
}

// packed reports what stopped the decompressor or the tar reader.
func (in *inspection) packed(err error) {
	switch {
	case in.src.err != nil: // not the package's fault; Inspect returns it
	case in.src.over:
		in.tooManyBytes(in.limits.Bytes)
	case errors.Is(err, errUnpacked):
		in.tooLarge()
	case errors.Is(err, errRatio):
		in.tooDense()
	case errors.Is(err, errMembers):
		in.fail(rulePackageMembers, job.Violation{
			Message: "the package consists of too many gzip members",
			Allowed: fmt.Sprintf("at most %d", maxMembers),
			Remedy:  "compress the archive as a whole: tar czf",
		})
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		in.truncated()
	case errors.Is(err, gzip.ErrChecksum):
		in.fail(rulePackageChecksum, job.Violation{
			Message: "the package's checksum is wrong: its bytes were changed after it was packed",
			Remedy:  "upload the file again; if that does not help, build it again",
		})
	default:
		v := job.Violation{
			Message: "the package's compressed data is damaged",
			Remedy:  "upload the file again, as binary; if that does not help, build it again",
		}
		var corrupt flate.CorruptInputError
		if errors.As(err, &corrupt) {
			v.Found = fmt.Sprintf("a fault near byte %d", int64(corrupt))
		}
		in.fail(rulePackageDamaged, v)
	}
}

// drain reads what follows the archive: padding, and the checksum behind it.
func (in *inspection) drain(out *bounded, gz *gunzip, buf []byte) bool {
	junk := false
	for {
		n, err := out.Read(buf)
		junk = junk || len(bytes.Trim(buf[:n], "\x00")) > 0
		if err == io.EOF {
			break
		}
		if err != nil {
			in.packed(err)
			return false
		}
	}
	if in.src.over {
		in.tooManyBytes(in.limits.Bytes)
		return false
	}
	if junk || gz.garbage {
		in.warn(rulePackageTrailing, job.Violation{
			Message: "data follows the end of the archive; pip does not see it",
			Remedy:  "build the package again",
		})
	}
	return true
}

// file handles a file that has a sound name, and reads what is wanted of it.
func (t *tree) file(found *modules, name string, size int64, r io.Reader) error {
	found.file(name)
	if size == 0 {
		found.empty(name)
	}
	if t.wanted(name) {
		text, err := io.ReadAll(io.LimitReader(r, maxMetadata))
		t.read(name, text)
		return err
	}
	if t.imports.wanted(name) {
		return t.source(name, r)
	}
	return nil
}

// place is a file of a project's own: its level and its name.
type place struct {
	level int
	base  string
}

// tree remembers of an sdist's entries what tells how pip would see it.
type tree struct {
	root    string // the first step of every path so far
	seen    bool
	below   bool             // a setup.py is two levels down
	many    bool             // the paths have no first step in common
	files   map[place][]byte // setup files and PKG-INFO, cut to maxMetadata
	links   links
	places  places
	imports imports
}

// isFolder reports whether a path of the archive is a folder, or may be one.
func (t *tree) isFolder(name string) bool {
	name = path.Clean(name)
	folder, _ := t.places.has(name)
	_, isLink := t.links.symbolic[name]
	return folder || isLink || t.places.full()
}

func first(name string) string {
	step, _, _ := strings.Cut(name, "/")
	return step
}

func (t *tree) add(name string) {
	step := first(name)
	if !t.seen {
		t.root, t.seen = step, true
	}
	t.many = t.many || step != t.root
	t.below = t.below || strings.Count(name, "/") == 2 && path.Base(name) == "setup.py"
}

// level returns how deep below the archive's top a file stands, and whether a
// project's own files stand there.
func level(name string) (int, bool) {
	n := strings.Count(name, "/")
	return n, n < 2
}

func (t *tree) wanted(name string) bool {
	if _, ok := level(name); !ok {
		return false
	}
	switch path.Base(name) {
	case "PKG-INFO", "setup.py", "setup.cfg", "pyproject.toml":
		return true
	}
	return false
}

func (t *tree) read(name string, text []byte) {
	n, _ := level(name)
	at := place{n, path.Base(name)}
	if t.files == nil {
		t.files = map[place][]byte{}
	}
	// With a second folder the first is not a root: one folder's files are enough,
	// and of a name that comes twice the first.
	if _, twice := t.files[at]; twice || n == 1 && first(name) != t.root {
		return
	}
	t.files[at] = text
	// Imports tell something beside gcloud's own script only.
	if at.base == "setup.py" && !generatedSetup(string(text)) {
		t.imports.off = true
	}
}

// source searches a module's start for imports.
func (t *tree) source(name string, r io.Reader) error {
	n, err := io.ReadFull(r, t.imports.buf)
	if err == io.EOF || err == io.ErrUnexpectedEOF && n < maxSource {
		err = nil
	}
	t.imports.scan(name, t.imports.buf[:n])
	return err
}

// project judges the sdist as pip would: it strips the folder that all entries
// have in common and wants a setup.py or a pyproject.toml there.
func (in *inspection) project(t *tree, stem string) {
	n, root := 1, t.root+"/"
	if t.many {
		n, root = 0, ""
	}
	in.identify(t, n, stem)
	stripped := t.root
	if t.many || t.root == "." {
		stripped = ""
	}
	if in.followLinks(&t.links, stripped, root); !in.src.alive() {
		return
	}
	script, hasScript := t.files[place{n, "setup.py"}]
	project, hasProject := t.files[place{n, "pyproject.toml"}]
	set := newSettings(string(script), string(t.files[place{n, "setup.cfg"}]), string(project))
	demand, claim := set.requiresPython(t.files[place{n, "PKG-INFO"}])
	in.report.RequiresPython, in.report.claimsPython = clip(demand), clip(claim)
	in.report.Requires, in.report.RequiresKnown = set.requirements(t.files[place{n, "PKG-INFO"}])
	installable := hasScript || hasProject
	if !installable {
		in.notInstallable(t)
	} else if t.many {
		in.warn(rulePackageRoot, job.Violation{
			Message: "the archive has no single root folder, as a source distribution has; pip installs it nevertheless",
			Remedy:  "build the package with python -m build, or setup.py sdist",
		})
	}
	roots := sourceRoots(set.all())
	in.report.Modules = in.found.sdist(root, roots)
	in.report.Guessed = guessed(set.all()) || len(roots) >= maxRoots
	if installable {
		in.noModule()
	}
	if in.src.alive() {
		in.packages(t, root, roots, set)
		in.doubts(t, root, roots, set)
	}
}

// identify sets the report's name and version: those of PKG-INFO, else of the root
// folder, else of the file.
func (in *inspection) identify(t *tree, n int, stem string) {
	name, version, _ := cutLast(stem)
	if n == 1 {
		if rootName, rootVersion, ok := cutLast(t.root); ok {
			name, version = rootName, rootVersion
		}
	}
	in.report.Name, in.report.Version = metadata(t.files[place{n, "PKG-INFO"}], name, version)
}

// notInstallable reports that pip finds nothing to run: "neither 'setup.py' nor
// 'pyproject.toml' found" (pip/_internal/req/req_install.py).
func (in *inspection) notInstallable(t *tree) {
	v := job.Violation{
		Message: "pip can't install the package: it has no setup.py and no pyproject.toml",
		Allowed: "one folder that holds setup.py or pyproject.toml",
		Remedy:  "build the package with python -m build, or setup.py sdist, from the folder that holds setup.py",
	}
	switch {
	case t.many:
		v.Message += ", and no single root folder"
	case t.root == "." && t.below:
		v.Message = "pip can't install the package: its paths begin with ./, so that pip looks for setup.py one folder too " +
			"high"
		v.Remedy = "pack the folder by its name, without ./ before it"
	}
	in.fail(rulePackageNotInstallable, v)
}

// followLinks reports links that leave the package's folder: newer versions of
// pip refuse them (PEP 706), and older ones write through them. What a link to
// a folder brings is added to the modules.
func (in *inspection) followLinks(l *links, stripped, root string) {
	for _, link := range l.follow(stripped) {
		if link.outside {
			in.fail(rulePackageLink, job.Violation{
				Message: "a link leads out of the package",
				Found:   show(link.name) + " -> " + show(link.target),
				Remedy:  "replace the link by the file that it leads to",
			})
			continue
		}
		in.found.alias(link.name, link.at, strings.HasPrefix(root, "./"))
	}
}

// packages compares the project's folders with the packages that its settings
// name, as far as those are known.
func (in *inspection) packages(t *tree, root string, roots map[string]bool, set settings) {
	p, known := set.packing()
	if known && p.generated {
		in.missingImports(t, root)
	}
	if known && p.exact {
		in.installed(t, root, roots, p)
	}
	if known && (len(p.listed) > 0 || len(p.include) > 0) {
		allowed := "packages that match " + show(strings.Join(slices.Concat(slices.Sorted(maps.Keys(p.listed)), p.include),
			", "))
		for _, dir := range in.found.leftOut(root, roots, &p) {
			in.subPackage(dir, allowed, p.generated)
		}
	}
	config := set.all()
	if known && (!p.found || p.namespaces) ||
		!known && !strings.Contains(config, "find_packages") && !strings.Contains(config, "find:") {
		return // named one by one, or found whether or not they have __init__.py
	}
	for _, dir := range in.found.bare(root, roots) {
		if known && len(p.include) > 0 && leftOutOf(strings.TrimPrefix(dir, root), roots, &p) != "" {
			continue // told already, and an __init__.py alone would not help
		}
		in.warn(rulePackageNoInit, job.Violation{
			Message: "the folder has modules but no __init__.py, so that setuptools' find_packages leaves it out",
			Found:   show(dir),
			Remedy:  "add an empty " + show(dir+"/__init__.py"),
		})
	}
}

// installed enters into the report what setup installs, where its settings say that
// for certain, and reports what they name and the archive lacks.
func (in *inspection) installed(t *tree, root string, roots map[string]bool, p packing) {
	l, ok := newLayout(p, in.found, root, t.isFolder)
	if !ok {
		return
	}
	modules, ok := l.installed()
	if !ok {
		return
	}
	in.report.Modules, in.report.Guessed = modules, false
	in.report.layout, in.report.roots = l, roots
	if len(l.noFolder) > 0 {
		in.fail(rulePackageFolder, job.Violation{
			Message: "pip can't install the package: " + p.file + " names a package that has no folder in the archive",
			Found:   show(strings.Join(l.noFolder[:min(len(l.noFolder), maxSuggestions)], ", ")),
			Remedy: "add the folder " + show(path.Join(root, l.folderOf(l.noFolder[0]))) +
				", or leave the package out of packages in " + p.file + ", and build the package again",
		})
	}
	if len(l.noFile) > 0 {
		in.warn(rulePackageModule, job.Violation{
			Message: p.file + " names a single module that is not in the archive, and is not installed",
			Found:   show(strings.Join(l.noFile[:min(len(l.noFile), maxSuggestions)], ", ")),
			Remedy:  "add " + show(root+l.fileOf(l.noFile[0])) + ", or leave the module out of py_modules in " + p.file,
		})
	}
}

// subPackage reports a folder that is packed and not installed: neither a list
// of packages nor find_packages' include covers what lies below a package
// (setuptools' user guide, "Package Discovery").
func (in *inspection) subPackage(dir, allowed string, generated bool) {
	v := job.Violation{
		Message: "the folder lies in a package and has modules, but the project's packages do not name it, so that it is " +
			"not installed",
		Found:   show(dir),
		Allowed: allowed,
		Remedy:  "write packages=find_packages() in setup.py, and give each folder an __init__.py",
	}
	if generated {
		v.Message = "the folder lies in a package and has modules, but the setup.py that gcloud generates names the " +
			"package alone, so that the folder is not installed"
		v.Remedy = "write a setup.py with packages=find_packages() beside the package, and build it again"
	}
	in.warn(rulePackageSubPackage, v)
}

// missingImports reports sub-packages that gcloud's generated setup.py has left
// out of the archive: find_packages(include=[NAME]) does not take NAME.SUB
// (gcloud's command_lib/ml_engine/jobs_prep.py).
func (in *inspection) missingImports(t *tree, root string) {
	for _, i := range t.imports.missing(in.found) {
		module := strings.ReplaceAll(strings.TrimPrefix(i.path, root), "/", ".")
		in.warn(rulePackageSubPackage, job.Violation{
			Message: "a module imports what the package does not hold; the setup.py that gcloud generates leaves out the " +
				"folders below the package's own",
			Found: "import of " + show(module) + " in " + show(i.by),
			Remedy: "write a setup.py with packages=find_packages() beside the package, give each folder an __init__.py, and " +
				"build it again",
		})
	}
}

// cutLast splits NAME-VERSION.
func cutLast(stem string) (name, version string, ok bool) {
	i := strings.LastIndexByte(stem, '-')
	if i <= 0 {
		return stem, "", false
	}
	return stem[:i], stem[i+1:], true
}

// metadata returns Name and Version from the head of a PKG-INFO or METADATA.
func metadata(text []byte, name, version string) (string, string) {
	return clip(cmp.Or(header(text, "Name"), name)), clip(cmp.Or(header(text, "Version"), version))
}

// header returns a field in the head of a metadata file.
func header(text []byte, key string) string {
	for line := range strings.SplitSeq(string(text), "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" {
			break
		}
		if k, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, key) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// clip keeps what a package says of itself short.
func clip(text string) string {
	const most = 200
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}
