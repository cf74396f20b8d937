package training

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/pypkg"
)

const (
	// maxEntries and maxUnpackedBytes bound an archive; the largest wheels in
	// use have some twenty thousand files and 2 GB.
	maxEntries       = 100_000
	maxUnpackedBytes = 4 << 30
	// maxMetadataBytes bounds the small text files that are read into memory.
	maxMetadataBytes = 1 << 20
)

// archiveFile is a regular file of an archive; its name is relative, clean and
// stays inside.
type archiveFile struct {
	name       string
	size       int64
	executable bool
}

// walkArchive calls visit with each file of a source archive (.tar.gz) or wheel.
// It refuses what has no place in a package: names that lead out of it, links,
// devices, and more than the limits allow.
func walkArchive(file string, visit func(archiveFile, io.Reader) error) error {
	entries, left := 0, int64(maxUnpackedBytes)
	check := func(name string, mode fs.FileMode, size int64) (string, error) {
		if entries++; entries > maxEntries {
			return "", fmt.Errorf("it has more than %d entries", maxEntries)
		}
		if left -= size; size < 0 || left < 0 {
			return "", fmt.Errorf("it unpacks to more than %d bytes", int64(maxUnpackedBytes))
		}
		if !filepath.IsLocal(name) {
			return "", fmt.Errorf("its entry %q leads out of the package", name)
		}
		if !mode.IsRegular() && !mode.IsDir() {
			return "", fmt.Errorf("its entry %q is neither a file nor a folder (links are not followed)", name)
		}
		return path.Clean(name), nil
	}
	if strings.HasSuffix(file, ".whl") {
		return walkWheel(file, check, visit)
	}
	return walkSource(file, check, visit)
}

type checkEntry func(name string, mode fs.FileMode, size int64) (string, error)

func walkSource(file string, check checkEntry, visit func(archiveFile, io.Reader) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return fmt.Errorf("it is not a gzip file: %w", err)
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it is not a tar archive: %w", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		mode := h.FileInfo().Mode()
		if h.Typeflag == tar.TypeLink { // tar gives hard links a file's mode
			mode |= fs.ModeIrregular
		}
		name, err := check(h.Name, mode, h.Size)
		if err != nil {
			return err
		}
		if mode.IsRegular() {
			if err := visit(archiveFile{name, h.Size, mode&0o111 != 0}, t); err != nil {
				return err
			}
		}
	}
}

func walkWheel(file string, check checkEntry, visit func(archiveFile, io.Reader) error) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("it is not a zip archive: %w", err)
	}
	defer z.Close()
	for _, f := range z.File {
		if f.UncompressedSize64 > maxUnpackedBytes {
			return fmt.Errorf("it unpacks to more than %d bytes", int64(maxUnpackedBytes))
		}
		mode := f.Mode()
		name, err := check(f.Name, mode, int64(f.UncompressedSize64))
		if err != nil {
			return err
		}
		if !mode.IsRegular() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		err = visit(archiveFile{name, int64(f.UncompressedSize64), mode&0o111 != 0}, r)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// contents is what an archive holds, as far as an installation asks.
type contents struct {
	names    []string
	topLevel []string // of a source archive's top_level.txt, empty without one
	backend  string   // of its pyproject.toml
}

var buildBackend = regexp.MustCompile(`(?m)^\s*build-backend\s*=\s*["']([^"']+)["']`)

// inspectArchive reads an archive through and so checks all of it.
func inspectArchive(file string) (contents, error) {
	var c contents
	err := walkArchive(file, func(f archiveFile, r io.Reader) error {
		c.names = append(c.names, f.name)
		base, depth := path.Base(f.name), strings.Count(f.name, "/")
		isTop := base == "top_level.txt" && strings.HasSuffix(path.Dir(f.name), ".egg-info")
		if !isTop && (base != "pyproject.toml" || depth > 1) {
			_, err := io.Copy(io.Discard, r)
			return err
		}
		if f.size > maxMetadataBytes {
			return fmt.Errorf("its %s is larger than %d bytes", f.name, maxMetadataBytes)
		}
		text, err := io.ReadAll(io.LimitReader(r, maxMetadataBytes))
		if err != nil {
			return err
		}
		if isTop {
			c.topLevel = strings.Fields(string(text))
		} else if m := buildBackend.FindSubmatch(text); m != nil {
			c.backend = string(m[1])
		}
		return nil
	})
	return c, err
}

// setupLayout maps a source archive's files to where its setup installs them, with its
// metadata, and lists what is at the top. It returns nil if the check does not know what
// setup does.
func setupLayout(c contents, r *pypkg.Report) (target map[string]string, modules []string) {
	target, found := map[string]string{}, map[string]bool{}
	strip := commonFolder(c.names)
	for _, name := range c.names {
		to, known := r.Place(name)
		if !known {
			return nil, nil
		}
		if to == "" {
			if info, ok := eggInfo(strings.TrimPrefix(name, strip)); ok {
				target[name] = info
			}
			continue
		}
		target[name] = to
		top, _, _ := strings.Cut(to, "/")
		found[strings.TrimSuffix(top, ".py")] = true
	}
	return target, slices.Sorted(maps.Keys(found))
}

// eggInfo returns where a file of a project's metadata is installed.
func eggInfo(p string) (string, bool) {
	for _, root := range []string{"", "src/"} {
		rest, ok := strings.CutPrefix(p, root)
		if dir, _, isDir := strings.Cut(rest, "/"); ok && isDir && strings.HasSuffix(dir, ".egg-info") {
			return rest, true
		}
	}
	return "", false
}

// sourceLayout maps a source archive's files to where they belong among the
// installed libraries, without running its setup.py: what top_level.txt names,
// else every package and module at the top or below src/, and in any case the
// module that the job runs. modules are the names that were found.
func sourceLayout(c contents, pythonModule string) (target map[string]string, modules []string) {
	strip := commonFolder(c.names)
	inner := map[string]string{} // path within the package → name in the archive
	base := ""
	for _, name := range c.names {
		inner[strings.TrimPrefix(name, strip)] = name
	}
	if _, isPackage := inner["src/__init__.py"]; !isPackage {
		for p := range inner {
			rest, ok := strings.CutPrefix(p, "src/")
			if dir, file := path.Split(rest); ok && (dir == "" && strings.HasSuffix(file, ".py") ||
				strings.Count(dir, "/") == 1 && file == "__init__.py") {
				base = "src/"
			}
		}
	}
	found := map[string]bool{}
	wanted := map[string]bool{}
	for _, name := range c.topLevel {
		wanted[name] = true
	}
	first, _, _ := strings.Cut(pythonModule, ".")
	wanted[first] = true
	target = map[string]string{}
	for p, name := range inner {
		if info, ok := eggInfo(p); ok {
			target[name] = info
		}
		rest, ok := strings.CutPrefix(p, base)
		if !ok {
			continue
		}
		top, _, isDir := strings.Cut(rest, "/")
		module := top
		if !isDir {
			var isModule bool
			if module, isModule = strings.CutSuffix(top, ".py"); !isModule {
				continue
			}
		}
		take := wanted[module]
		if len(c.topLevel) == 0 && !take {
			if isDir {
				_, take = inner[base+top+"/__init__.py"]
			} else {
				take = module != "setup" && module != "conftest"
			}
		}
		if take {
			target[name] = rest
			found[module] = true
		}
	}
	return target, slices.Sorted(maps.Keys(found))
}

// commonFolder returns the folder that all names lie in, with its slash, or empty.
func commonFolder(names []string) string {
	folder := ""
	for i, name := range names {
		top, _, ok := strings.Cut(name, "/")
		if !ok || i > 0 && top != folder {
			return ""
		}
		folder = top
	}
	if folder == "" {
		return ""
	}
	return folder + "/"
}

// wheelLayout maps a wheel's files likewise.
func wheelLayout(c contents) map[string]string {
	target := map[string]string{}
	for _, name := range c.names {
		dir, rest, _ := strings.Cut(name, "/")
		if !strings.HasSuffix(dir, ".data") {
			target[name] = name
			continue
		}
		// Scripts, headers and data have no place on the path.
		if scheme, inside, ok := strings.Cut(rest, "/"); ok && (scheme == "purelib" || scheme == "platlib") {
			target[name] = inside
		}
	}
	return target
}

// unpack writes an archive's files below dir, each to its target. Files of an
// earlier package are replaced.
func unpack(file, dir string, target map[string]string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return walkArchive(file, func(f archiveFile, r io.Reader) error {
		to, ok := target[f.name]
		if !ok {
			return nil
		}
		if err := root.MkdirAll(path.Dir(to), 0o755); err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if f.executable {
			mode = 0o755
		}
		w, err := root.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		// An entry can't give more than it declared: both readers stop there.
		_, err = io.Copy(w, io.LimitReader(r, f.size))
		return errors.Join(err, w.Close())
	})
}
