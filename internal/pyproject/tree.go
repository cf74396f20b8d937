package pyproject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/text"
)

// maxPath bounds a file's path in bytes, so that a package with it can be accepted.
const maxPath = 900

// readSize is how many entries of a folder are read at a time: one of a million is not read to its end.
const readSize = 1000

// tree is a folder that is read. It reads nothing outside of it, whatever links there are.
type tree struct {
	root *os.Root
	o    Options
	// lenient leaves out, and says so, what is an error otherwise: nobody knows whether a project's build needs it.
	lenient bool

	files   []string // paths with slashes
	left    []Omission
	entries int
	bytes   int64
}

// readTree finds the files of a folder, sorted. The caller closes the tree.
func readTree(ctx context.Context, dir string, o Options, lenient bool) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	t := &tree{root: root, o: o, lenient: lenient}
	info, err := root.Stat(".")
	if err == nil {
		err = t.folder(ctx, ".", []fs.FileInfo{info})
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	slices.Sort(t.files)
	return t, nil
}

// folder reads a folder. above are those that it lies in, and it.
func (t *tree) folder(ctx context.Context, dir string, above []fs.FileInfo) error {
	names, err := t.names(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.entry(ctx, path.Join(dir, name), above); err != nil {
			return err
		}
	}
	return nil
}

// names returns the names in a folder.
func (t *tree) names(dir string) (names []string, err error) {
	f, err := t.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for {
		some, err := f.Readdirnames(readSize)
		names = append(names, some...)
		if t.entries += len(some); t.entries > maxEntries {
			return nil, fmt.Errorf("%w: %s has more than %d files and folders: keep data elsewhere, e.g. in Cloud Storage, or "+
				"build the package by yourself and name the file", ErrSource, text.Show(t.root.Name(), 200), maxEntries)
		}
		if err == io.EOF {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// entry takes one file or folder, or leaves it out.
func (t *tree) entry(ctx context.Context, at string, above []fs.FileInfo) error {
	if fault := badName(at); fault != "" {
		return t.refuse(at, fault)
	}
	info, err := t.root.Lstat(at)
	if err != nil {
		return err
	}
	if reason := needless(path.Base(at), info.IsDir()); reason != "" {
		t.omit(at, reason)
		return nil
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if info, err = t.root.Stat(at); err != nil {
			target, _ := t.root.Readlink(at) // for the message alone
			return t.refuse(at, "is a link to "+text.Show(target, 200)+", which is not in the folder: replace it by what it "+
				"leads to")
		}
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		if t.isFile(at + "/pyvenv.cfg") {
			t.omit(at, "a virtual environment")
			return nil
		}
		if t.lenient && buildOutput(at) && !t.isFile(at+"/__init__.py") {
			t.omit(at, "left by an earlier build")
			return nil
		}
		if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
			return t.refuse(at, "is a link to a folder that it lies in: remove it")
		}
		return t.folder(ctx, at, append(slices.Clip(above), info))
	case !mode.IsRegular():
		return t.refuse(at, "is a "+kindOf(mode)+", not a file: move it to another folder")
	case info.Size() > t.o.MaxFile:
		t.omit(at, fmt.Sprintf("larger than %s: keep data in Cloud Storage", sizeOf(t.o.MaxFile)))
		return nil
	default:
		if t.bytes += info.Size(); t.bytes > t.o.MaxBytes {
			return fmt.Errorf("%w: the files of %s are larger than %s: keep data elsewhere, e.g. in Cloud Storage", ErrSource,
				text.Show(t.root.Name(), 200), sizeOf(t.o.MaxBytes))
		}
		t.files = append(t.files, at)
		return nil
	}
}

func (t *tree) isFile(at string) bool {
	info, err := t.root.Stat(at)
	return err == nil && info.Mode().IsRegular()
}

// refuse returns an error for what can't be packed. A lenient tree leaves it out.
func (t *tree) refuse(at, fault string) error {
	if t.lenient {
		t.omit(at, "it "+fault)
		return nil
	}
	return fmt.Errorf("%w: %s %s", ErrSource, text.Show(at, 200), fault)
}

func (t *tree) omit(at, reason string) {
	t.left = append(t.left, Omission{text.Show(at, 200), reason})
}

// read returns a file's content.
func (t *tree) read(at string) ([]byte, error) {
	f, err := t.root.Open(at)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, t.o.MaxFile+1))
	if err == nil && int64(len(content)) > t.o.MaxFile {
		err = fmt.Errorf("%w: %s grows while it is packed: pack it again when it is written", ErrSource, text.Show(at, 200))
	}
	return content, err
}

// badName returns what is wrong with a path, or "".
func badName(at string) string {
	switch {
	case !utf8.ValidString(at):
		return "has a name that is not UTF-8: rename it"
	case len(at) > maxPath:
		return fmt.Sprintf("has a path of more than %d bytes: shorten the names", maxPath)
	case strings.ContainsFunc(at, unicode.IsControl) || strings.Contains(at, `\`):
		return "has a name with a control character or a backslash, which pip can't unpack everywhere: rename it"
	}
	return ""
}

// needless returns why a file or folder of this name is never packed, or "".
func needless(name string, folder bool) string {
	switch name {
	case ".git", ".hg", ".svn", ".bzr", "CVS":
		return "version control"
	case ".DS_Store", "Thumbs.db":
		return "of a file browser"
	case ".env":
		return "often holds secrets"
	}
	if folder {
		switch name {
		case "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".eggs",
			"node_modules":
			return "a cache"
		}
		return ""
	}
	if ext := path.Ext(name); ext == ".pyc" || ext == ".pyo" {
		return "byte code"
	}
	return ""
}

// buildOutput reports whether a folder of a project is where setuptools leaves what it has built. What an earlier build
// has left there would change the next.
func buildOutput(at string) bool {
	return at == "build" || at == "dist" || strings.HasSuffix(at, ".egg-info")
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	}
	return "device"
}

// sizeOf returns a limit as people write it.
func sizeOf(bytes int64) string {
	if bytes >= 1<<20 && bytes%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}
