package pyproject

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/jobdrop/jobdrop/internal/text"
)

const (
	// askTime is how long Python may take to say whether it has a module.
	askTime = time.Minute
	// endTime is how long a build that was killed may keep its output open.
	endTime = 5 * time.Second
	// tailSize is how much of a failed build's output is shown, in bytes: the reason stands at its end.
	tailSize = 4 << 10
)

// build has Python build the project in a folder. at is the folder of its package, or the same.
func build(ctx context.Context, root, at string, o Options) (_ *Package, err error) {
	python, err := findPython(o.Python)
	if err != nil {
		return nil, err
	}
	t, err := readTree(ctx, root, o, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.root.Close()) }()
	work, err := os.MkdirTemp("", "jobdrop-build-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	source, out := filepath.Join(work, "source"), filepath.Join(work, "dist")
	if err := t.copy(ctx, source); err != nil {
		return nil, err
	}
	p := &Package{LeftOut: t.left}
	built, err := run(ctx, p, python, source, out, o)
	if err != nil {
		return nil, err
	}
	folder, files, err := repack(built, o)
	if err != nil {
		return nil, fmt.Errorf("%w: what %s has built: %w", ErrSource, p.Builder, err)
	}
	p.identify(folder, files)
	if at != root {
		p.compare(filepath.Base(at)+"/", t.files, files)
	}
	return finish(p, folder, files)
}

// findPython returns the path of an interpreter.
func findPython(named string) (string, error) {
	names := []string{named}
	if named == "" {
		names = []string{"python3", "python"}
	}
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", fmt.Errorf("%w: a package with a setup.py or a pyproject.toml is built by Python, and there is no %s: "+
		"install Python 3 with setuptools, or build the package elsewhere and name the file", ErrPython, names[0])
}

// copy writes the tree's files into a new folder.
func (t *tree) copy(ctx context.Context, to string) error {
	for _, at := range t.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		content, err := t.read(at)
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(at))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		mode := fs.FileMode(file{content: content}.mode() & 0o700) // #nosec G115 -- one of two numbers
		if err := os.WriteFile(target, content, mode); err != nil {
			return err
		}
	}
	return nil
}

// run builds the source with the best that the machine has, and returns the file.
func run(ctx context.Context, p *Package, python, source, out string, o Options) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("%w: the build has not ended after %s", ErrSource,
		o.Timeout))
	defer cancel()
	hasScript := isFile(filepath.Join(source, "setup.py"))
	var args []string
	in := filepath.Dir(out) // not in the source, whose modules would hide Python's
	switch {
	case has(ctx, python, in, "build"):
		p.Builder = "python -m build"
		args = []string{"-m", "build", "--sdist", "--no-isolation", "--outdir", out, source}
	case hasScript:
		p.Builder = "setup.py sdist"
		args, in = []string{"setup.py", "sdist", "--formats=gztar", "--dist-dir", out}, source
	default:
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w: a package with a pyproject.toml is built by python -m build, which %s does not have: "+
			"install it (pip install build, or apt-get install python3-build), or build the package elsewhere and name the "+
			"file", ErrPython, python)
	}
	tail := &tail{}
	c := command(ctx, python, in, args...)
	c.Stdout = tail
	if o.Log != nil {
		c.Stdout = io.MultiWriter(tail, o.Log)
	}
	c.Stderr = c.Stdout // the same, so that one goroutine writes it
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w: %s has failed: %w\n%s\nIt was run by %s, without a network: what the build requires has "+
			"to be installed there", ErrSource, p.Builder, err, tail, python)
	}
	built, err := filepath.Glob(filepath.Join(escape(out), "*.tar.gz"))
	if err != nil || len(built) != 1 {
		return nil, fmt.Errorf("%w: %s has made %d files *.tar.gz, not one", ErrSource, p.Builder, len(built))
	}
	f, err := os.Open(built[0])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, o.MaxBytes+1))
	if err == nil && int64(len(data)) > o.MaxBytes {
		err = fmt.Errorf("%w: %s has made a file larger than %s", ErrSource, p.Builder, sizeOf(o.MaxBytes))
	}
	return data, err
}

// has reports whether Python can run a module.
func has(ctx context.Context, python, in, module string) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return command(ctx, python, in, "-c", "import "+module+".__main__").Run() == nil
}

// command returns a command of Python that ends, with what it has started, when ctx does.
func command(ctx context.Context, python, in string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, python, args...) // #nosec G204 -- the user's own Python
	c.Dir = in
	c.Env = append(c.Environ(),
		// The same each time, wherever it is built.
		"PYTHONHASHSEED=0", "SOURCE_DATE_EPOCH="+strconv.FormatInt(modified.Unix(), 10), "TZ=UTC", "LC_ALL=C.UTF-8",
		"PYTHONDONTWRITEBYTECODE=1",
		// setup_requires would ask an index.
		"PIP_NO_INDEX=1",
	)
	c.WaitDelay = endTime
	ownGroup(c)
	return c
}

// tail keeps the end of what is written.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String returns the last lines.
func (t *tail) String() string {
	return strings.TrimSpace(strings.ToValidUTF8(string(t.text), "\uFFFD"))
}

// repack returns the files of a source distribution, and the folder that all of them lie in.
func repack(built []byte, o Options) (folder string, files []file, err error) {
	z, err := gzip.NewReader(bytes.NewReader(built))
	if err != nil {
		return "", nil, err
	}
	seen, size := map[string]int{}, int64(0)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		switch {
		case err == io.EOF && folder == "":
			return "", nil, errors.New("is empty")
		case err == io.EOF:
			return folder, files, nil
		case err != nil:
			return "", nil, err
		case h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader:
			continue
		}
		whole := path.Clean(h.Name)
		first, name, below := strings.Cut(whole, "/")
		if !below || !fs.ValidPath(whole) || folder != "" && first != folder {
			return "", nil, fmt.Errorf("%s is not in one folder with the other files", text.Show(h.Name, 200))
		}
		folder = first
		var content []byte
		switch h.Typeflag {
		case tar.TypeReg:
			content, err = io.ReadAll(io.LimitReader(r, o.MaxBytes-size+1))
		case tar.TypeLink: // setuptools links files instead of copying them
			_, target, _ := strings.Cut(path.Clean(h.Linkname), "/")
			at, ok := seen[target]
			if !ok {
				return "", nil, fmt.Errorf("%s is a link to nothing before it", text.Show(h.Name, 200))
			}
			content = files[at].content
		default:
			return "", nil, fmt.Errorf("%s is not a file: replace links in the sources by what they lead to",
				text.Show(h.Name, 200))
		}
		if err != nil {
			return "", nil, err
		}
		if size += int64(len(content)); size > o.MaxBytes || len(files) >= maxEntries {
			return "", nil, fmt.Errorf("has more than %s or %d files: keep data elsewhere", sizeOf(o.MaxBytes), maxEntries)
		}
		if needless(path.Base(name), false) != "" {
			continue
		}
		if at, twice := seen[name]; twice {
			files[at].content = content // as unpacking does
			continue
		}
		seen[name] = len(files)
		files = append(files, file{name, content})
	}
}

// identify sets what pip will know the package by: what PKG-INFO says, or else the folder's name.
func (p *Package) identify(folder string, files []file) {
	p.Distribution = folder
	if i := strings.LastIndexByte(folder, '-'); i > 0 {
		p.Distribution, p.Version = folder[:i], folder[i+1:]
	}
	for _, f := range files {
		if f.name != "PKG-INFO" {
			continue
		}
		for line := range strings.Lines(string(f.content)) {
			key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
			switch {
			case !ok:
				return
			case key == "Name":
				p.Distribution = value
			case key == "Version":
				p.Version = value
			}
		}
	}
}

// compare notes the files of a package's folder that the build has not packed.
func (p *Package) compare(folder string, sources []string, files []file) {
	packed := map[string]bool{}
	for _, f := range files {
		packed[f.name] = true
	}
	for _, at := range sources {
		if strings.HasPrefix(at, folder) && !packed[at] {
			p.LeftOut = append(p.LeftOut, Omission{
				text.Show(at, 200), "the project's setup does not pack it: name it in MANIFEST.in",
			})
		}
	}
}
