package pypkg

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxMetadata is how much of a metadata or setup file is read. Only names are
// wanted of it; a long description may follow.
const maxMetadata = 64 << 10

// sdist inspects a gzip'd tar; stem is its file name without the extension.
func (in *inspection) sdist(stem string) {
	br := bufio.NewReaderSize(in.src, 64<<10)
	head, _ := br.Peek(512)
	if len(head) == 0 {
		in.empty()
		return
	}
	gz, err := newGunzip(br)
	if err != nil {
		if in.src.err != nil || bytes.HasPrefix(head, []byte("\x1f\x8b")) || string(head) == "\x1f" {
			in.packed(err)
			return
		}
		looks, remedy := kind(head)
		in.fail(job.Violation{
			Rule:    "package-format",
			Message: "the package is not a gzip'd tar archive",
			Found:   looks,
			Remedy:  remedy,
		})
		return
	}
	out := &bounded{r: gz, in: in}
	tree := &tree{}
	entries, ok := in.tar(out, gz, tree)
	// The sum over the packed bytes stands at their end; pip reads that far, too.
	if ok {
		ok = in.drain(out, gz)
	}
	if !ok {
		return
	}
	if entries == 0 {
		in.fail(job.Violation{
			Rule:    "package-empty",
			Message: "the archive has no entries",
			Remedy:  "build the package again and upload the result",
		})
		return
	}
	in.project(tree, stem)
}

// tar reads the entries; ok means that the archive's end was reached.
func (in *inspection) tar(out *bounded, gz *gunzip, t *tree) (entries int, ok bool) {
	tr := tar.NewReader(out)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return entries, true
		}
		if err != nil && !(errors.Is(err, tar.ErrInsecurePath) && h != nil) { // entry reports that one
			noTar := errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) && gz.done && entries == 0
			if out.fault == nil && !in.src.over && noTar {
				in.fail(job.Violation{
					Rule:    "package-format",
					Message: "what is packed is not a tar archive, or is damaged",
					Remedy:  "build the package with python -m build, or setup.py sdist, and upload the result",
				})
			} else {
				in.packed(err)
			}
			return entries, false
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // git archive's comment
		}
		entries++
		sound, more := in.entry(h.Name)
		if !more {
			return entries, false
		}
		name := strings.TrimSuffix(h.Name, "/")
		if sound {
			t.add(name)
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
			if !in.unpack(h.Size) {
				return entries, false
			}
			if !sound {
				continue
			}
			in.found.file(name)
			if t.wanted(name) {
				text, err := io.ReadAll(io.LimitReader(tr, maxMetadata))
				if err != nil {
					in.packed(err)
					return entries, false
				}
				t.read(name, text)
			}
		case tar.TypeDir:
		case tar.TypeSymlink, tar.TypeLink:
			in.link(h, name, t)
		default:
			what := "something that is neither a file, a folder nor a link"
			switch h.Typeflag {
			case tar.TypeChar, tar.TypeBlock:
				what = "a device"
			case tar.TypeFifo:
				what = "a named pipe"
			}
			in.fail(job.Violation{
				Rule:    "package-entry-type",
				Message: "an entry is " + what,
				Found:   show(h.Name),
				Allowed: "files, folders and links",
				Remedy:  "leave the entry out of the package",
			})
		}
	}
}

// link checks where a link leads: a symbolic one from its own folder, a hard
// one from the archive's root.
func (in *inspection) link(h *tar.Header, name string, t *tree) {
	target := strings.ReplaceAll(h.Linkname, `\`, "/")
	absolute := strings.HasPrefix(target, "/")
	if h.Typeflag == tar.TypeSymlink {
		target = path.Join(path.Dir(name), target)
	}
	target = path.Clean(target)
	v := job.Violation{
		Rule:    "package-link",
		Message: "a link leads out of the package",
		Found:   show(name) + " -> " + show(h.Linkname),
		Remedy:  "replace the link by the file that it leads to",
	}
	if absolute || target == ".." || strings.HasPrefix(target, "../") {
		in.fail(v)
	} else if first(target) != first(path.Clean(name)) && len(t.sideways) < in.limits.Violations {
		t.sideways = append(t.sideways, v) // out, if the archive has one root folder
	}
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
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		in.truncated()
	case errors.Is(err, gzip.ErrChecksum):
		in.fail(job.Violation{
			Rule:    "package-checksum",
			Message: "the package's checksum is wrong: its bytes were changed after it was packed",
			Remedy:  "upload the file again; if that does not help, build it again",
		})
	default:
		v := job.Violation{
			Rule:    "package-damaged",
			Message: "the package's compressed data is damaged",
			Remedy:  "upload the file again, as binary; if that does not help, build it again",
		}
		var corrupt flate.CorruptInputError
		if errors.As(err, &corrupt) {
			v.Found = fmt.Sprintf("a fault near byte %d", int64(corrupt))
		}
		in.fail(v)
	}
}

// drain reads what follows the archive: padding, and the checksum behind it.
func (in *inspection) drain(out *bounded, gz *gunzip) bool {
	junk := false
	buf := make([]byte, 32<<10)
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
		in.warn(job.Violation{
			Rule:    "package-trailing",
			Message: "data follows the end of the archive; pip does not see it",
			Remedy:  "build the package again",
		})
	}
	return true
}

var (
	errUnpacked = errors.New("too much to unpack")
	errRatio    = errors.New("packed too densely")
)

// bounded bounds what is unpacked, headers and padding included: sizes that an
// archive states of itself prove nothing.
type bounded struct {
	r     io.Reader
	in    *inspection
	n     int64
	fault error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.fault != nil {
		return 0, b.fault
	}
	n, err := b.r.Read(p)
	b.n += int64(n)
	// Headers take up to 1.5 KiB for each entry.
	if b.n > b.in.limits.Unpacked+2048*int64(b.in.limits.Entries) {
		err = errUnpacked
	} else if b.in.dense(b.n, b.in.src.read) {
		err = errRatio
	}
	if err != nil && err != io.EOF {
		b.fault = err
	}
	return n, err
}

// gunzip reads gzip members one after the other, as gzip.Reader does, but takes
// what is no further member for garbage rather than for a damaged package: zero
// bytes to fill a block are common, and pip stops at the archive's end anyway.
type gunzip struct {
	br      *bufio.Reader
	zr      *gzip.Reader
	garbage bool
	done    bool
}

func newGunzip(br *bufio.Reader) (*gunzip, error) {
	zr, err := gzip.NewReader(br)
	if err != nil {
		return nil, err
	}
	zr.Multistream(false)
	return &gunzip{br: br, zr: zr}, nil
}

func (g *gunzip) Read(p []byte) (int, error) {
	for !g.done {
		n, err := g.zr.Read(p)
		if err != io.EOF {
			return n, err
		}
		if err := g.next(); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// next opens the next member, or reads what else there is to the end.
func (g *gunzip) next() error {
	head, _ := g.br.Peek(2)
	if bytes.Equal(head, []byte("\x1f\x8b")) {
		if err := g.zr.Reset(g.br); err != nil {
			return err
		}
		g.zr.Multistream(false)
		return nil
	}
	g.done = true
	for {
		chunk, err := g.br.Peek(max(1, min(g.br.Buffered(), g.br.Size())))
		if len(chunk) == 0 {
			if err == io.EOF {
				return nil
			}
			return err
		}
		g.garbage = g.garbage || len(bytes.Trim(chunk, "\x00")) > 0
		if _, err := g.br.Discard(len(chunk)); err != nil {
			return err
		}
	}
}

// place is a file of a project's own: its level and its name.
type place struct {
	level int
	base  string
}

// tree remembers of an sdist's entries what tells how pip would see it.
type tree struct {
	root     string // the first step of every path so far
	seen     bool
	below    bool // a setup.py is two levels down
	many     bool // the paths have no first step in common
	files    map[place]bool
	config   [2][]byte // setup files at the top and one level below
	metadata [2][]byte // PKG-INFO likewise
	sideways []job.Violation
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

// level tells how deep below the archive's top a file stands, if that is where
// a project's own files are.
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
	base := path.Base(name)
	if t.files == nil {
		t.files = map[place]bool{}
	}
	// With a second folder the first is no root: one folder's files are enough,
	// and of a name that comes twice the first.
	if n == 1 && first(name) != t.root || t.files[place{n, base}] {
		return
	}
	t.files[place{n, base}] = true
	if base == "PKG-INFO" {
		t.metadata[n] = text
	} else {
		t.config[n] = append(append(t.config[n], text...), '\n')
	}
}

// project judges the sdist as pip would: it strips the folder that all entries
// have in common and wants a setup.py or a pyproject.toml there.
func (in *inspection) project(t *tree, stem string) {
	n, root := 1, t.root+"/"
	if t.many {
		n, root = 0, ""
	}
	has := func(base string) bool { return t.files[place{n, base}] }
	name, version, _ := cutLast(stem)
	if n == 1 {
		if rootName, rootVersion, ok := cutLast(t.root); ok {
			name, version = rootName, rootVersion
		}
	}
	in.report.Name, in.report.Version = metadata(t.metadata[n], name, version)
	if n == 1 && t.root != "." {
		for _, v := range t.sideways {
			in.fail(v)
		}
	}
	installable := has("setup.py") || has("pyproject.toml")
	if !installable {
		v := job.Violation{
			Rule:    "package-not-installable",
			Message: "pip can't install the package: it has no setup.py and no pyproject.toml",
			Allowed: "one folder that holds setup.py or pyproject.toml",
			Remedy:  "build the package with python -m build, or setup.py sdist, from the folder that holds setup.py",
		}
		switch {
		case t.many:
			v.Message += ", and no single root folder"
		case t.root == "." && t.below:
			v.Message = "pip can't install the package: its paths begin with ./, so that pip looks for setup.py one folder too high"
			v.Remedy = "pack the folder by its name, without ./ before it"
		}
		in.fail(v)
	} else if t.many {
		in.warn(job.Violation{
			Rule:    "package-root",
			Message: "the archive has no single root folder, as a source distribution has; pip installs it nevertheless",
			Remedy:  "build the package with python -m build, or setup.py sdist",
		})
	}
	config := string(t.config[n])
	roots := sourceRoots(config)
	in.report.Modules = in.found.sdist(root, roots)
	if len(in.report.Modules) == 0 && installable {
		in.noModule("modules (.py) besides setup.py")
	}
	if !strings.Contains(config, "find_packages") && !strings.Contains(config, "find:") {
		return // named one by one, or found whether or not they have __init__.py
	}
	for _, dir := range in.found.bare(root, roots) {
		in.warn(job.Violation{
			Rule:    "package-no-init",
			Message: "the folder has modules but no __init__.py, so that setuptools' find_packages leaves it out",
			Found:   show(dir),
			Remedy:  "add an empty " + show(dir+"/__init__.py"),
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

// metadata takes Name and Version from the head of a PKG-INFO or METADATA.
func metadata(text []byte, name, version string) (string, string) {
	for line := range strings.SplitSeq(string(text), "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" {
			break // the description follows
		}
		key, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(key) {
		case "name":
			name = clip(strings.TrimSpace(value))
		case "version":
			version = clip(strings.TrimSpace(value))
		}
	}
	return clip(name), clip(version)
}

// clip keeps what a package says of itself short.
func clip(text string) string {
	const most = 200
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}
