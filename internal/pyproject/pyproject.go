// Package pyproject builds a source distribution of the Python package in a folder, as gcloud ai-platform jobs submit
// training does for --package-path. The same sources give the same bytes, whoever builds them, when and where.
//
// A folder without a setup.py or a pyproject.toml beside it is packed without Python. Otherwise the Python of the
// machine builds it in a copy, without a network and with what is installed, and the result is packed anew. Then the
// bytes depend on the versions of Python's tools, too.
package pyproject

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/text"
)

// ErrSource reports that a folder can't be packed as it is. The error's text names the place and the remedy.
var ErrSource = errors.New("the package can't be built")

// ErrPython reports that this machine lacks what builds the package. The error's text names what to install.
var ErrPython = errors.New("the package can't be built on this machine")

// Options are the settings of a build. Each may be zero.
type Options struct {
	// Python is the interpreter that builds a folder with a setup.py or a pyproject.toml, the first python3 or python
	// of the path if empty.
	Python string
	// MaxFile is the most bytes of a file; larger ones are left out. 64 MiB if zero: more is data, which trainers read
	// from Cloud Storage.
	MaxFile int64
	// MaxBytes is the most bytes of all files, 512 MiB if zero: the package is held in memory.
	MaxBytes int64
	// Timeout bounds a build by Python, ten minutes if zero: it may compile.
	Timeout time.Duration
	// Log gets what a build by Python prints.
	Log io.Writer
}

// maxEntries is how many files and folders are packed or copied: as many as a package may have to be accepted.
const maxEntries = 50_000

// Package is a source distribution.
type Package struct {
	// Name is the file's name, DISTRIBUTION-VERSION-HASH.tar.gz. The hash is that of Data.
	Name string
	// Distribution and Version are what pip knows the package by.
	Distribution, Version string
	// Data is the file's content.
	Data []byte
	// Files lists, sorted, the files in it, without the folder that all of them lie in.
	Files []string
	// Builder says what built the package, such as "python -m build". It is empty for one that was packed without
	// Python.
	Builder string
	// LeftOut lists, sorted, what the folder has and the package has not.
	LeftOut []Omission
}

// Omission is a file or folder that has no effect, and why.
type Omission struct{ Path, Reason string }

// Build builds the package in a folder. The folder is the Python package itself, which has an __init__.py, and its
// parent may hold a setup.py or a pyproject.toml; or else it holds one of these itself.
//
// An error is [ErrSource] or [ErrPython] where the caller can do something about it.
func Build(ctx context.Context, dir string, o Options) (*Package, error) {
	o.MaxFile = cmp.Or(o.MaxFile, 64<<20)
	o.MaxBytes = cmp.Or(o.MaxBytes, 512<<20)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Minute)
	at, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := rootOf(at, dir)
	if err != nil {
		return nil, err
	}
	built, err := builds(root)
	switch {
	case err != nil:
		return nil, err
	case built:
		return build(ctx, root, at, o)
	}
	return generate(ctx, at, o)
}

// rootOf returns the folder of the project that a package belongs to: its parent, or the folder itself if that is a
// project and no package.
func rootOf(at, shown string) (string, error) {
	info, err := os.Stat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: there is no folder %s", ErrSource, shown)
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%w: %s is a file, not the folder of a Python package", ErrSource, shown)
	}
	if isFile(filepath.Join(at, "__init__.py")) {
		return filepath.Dir(at), nil
	}
	if built, err := builds(at); err != nil || built {
		return at, err
	}
	err = fmt.Errorf("%w: %s is not a Python package, because it has no __init__.py: add an empty one", ErrSource, shown)
	if below := packagesIn(at); len(below) > 0 {
		err = fmt.Errorf("%w, or name a package in it: %s", err, strings.Join(below, ", "))
	}
	return "", err
}

// maxSuggested is how many packages a message names.
const maxSuggested = 3

// packagesIn returns some folders of a folder that are Python packages.
func packagesIn(dir string) (names []string) {
	found, err := filepath.Glob(filepath.Join(escape(dir), "*", "__init__.py"))
	if err != nil {
		return nil
	}
	for _, file := range found[:min(len(found), maxSuggested)] {
		names = append(names, text.Show(filepath.Base(filepath.Dir(file)), 80))
	}
	return names
}

// escape returns a path as a pattern that matches it alone.
func escape(dir string) string {
	if filepath.Separator == '\\' {
		return dir // no pattern can be escaped there; one that matches elsewhere is a bad suggestion only
	}
	return regexp.MustCompile(`[*?\[\\]`).ReplaceAllString(dir, `\$0`)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// buildTable finds a table of a pyproject.toml that has it built: others are settings of tools.
var buildTable = regexp.MustCompile(`(?m)^\s*\[\s*(build-system|project)\s*[\].]`)

// maxSettings bounds a pyproject.toml, in bytes.
const maxSettings = 1 << 20

// builds reports whether a folder has what Python builds it by.
func builds(root string) (bool, error) {
	if isFile(filepath.Join(root, "setup.py")) {
		return true, nil
	}
	file := filepath.Join(root, "pyproject.toml")
	if !isFile(file) {
		return false, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	settings, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err == nil && len(settings) > maxSettings {
		err = fmt.Errorf("%w: %s has more than %d bytes", ErrSource, file, maxSettings)
	}
	return buildTable.Match(settings), err
}

// finish packs the files of a package, all in one folder, and names the package by the hash of its bytes.
func finish(p *Package, folder string, files []file) (*Package, error) {
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	slices.SortFunc(p.LeftOut, func(a, b Omission) int { return strings.Compare(a.Path, b.Path) })
	var err error
	if p.Data, err = pack(folder, files); err != nil {
		return nil, err
	}
	for _, f := range files {
		p.Files = append(p.Files, f.name)
	}
	hash := sha256.Sum256(p.Data)
	p.Name = folder + "-" + hex.EncodeToString(hash[:6]) + ".tar.gz"
	return p, nil
}
