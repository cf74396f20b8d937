package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed testdata/gcsblob_test.go testdata/gcppubsub_test.go
var harnesses embed.FS

// cache returns a folder for what is downloaded, below the user's.
func cache(name string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "jobdrop", "suites", name), nil
}

// source returns the root of a copy of the suite's module. The module cache's own can't be
// written, and tests write into their folders.
func (u suite) source(ctx context.Context) (string, error) {
	root, err := cache(strings.ReplaceAll(u.module, "/", "-") + "@" + u.version)
	if err != nil {
		return "", err
	}
	from, err := download(ctx, u.module+"@"+u.version)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		err = copyTree(root, from)
		if err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	if err := u.cut(filepath.Join(root, u.pkg), filepath.Join(from, u.pkg)); err != nil {
		return "", err
	}
	if u.harness == "" {
		return root, nil
	}
	text, err := harnesses.ReadFile("testdata/" + u.harness)
	if err != nil {
		return "", err
	}
	return root, os.WriteFile(filepath.Join(root, u.pkg, "jobdrop_local_test.go"), text, 0o644)
}

// cut writes a package's tests without the text that names the cloud.
func (u suite) cut(to, from string) error {
	if u.without == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(from, "*_test.go"))
	if err != nil {
		return err
	}
	found := false
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte(u.without)) {
			continue
		}
		found = true
		text = bytes.ReplaceAll(text, []byte(u.without), nil)
		if err := os.WriteFile(filepath.Join(to, filepath.Base(f)), text, 0o644); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("no test of %s says %q any more: mend suites.go", u.module, u.without)
	}
	return nil
}

// download returns the folder of a module in Go's module cache.
func download(ctx context.Context, module string) (string, error) {
	c := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	c.Dir = os.TempDir() // where no go.mod is
	c.Env = append(os.Environ(), "GOWORK=off", "PWD="+c.Dir)
	out, err := c.Output()
	var said struct{ Dir, Error string }
	if parsed := json.Unmarshal(out, &said); parsed != nil || said.Dir == "" {
		return "", fmt.Errorf("go mod download %s: %w", module, errors.Join(err, errors.New(said.Error)))
	}
	return said.Dir, nil
}

// copyTree copies a folder as a whole or not at all.
func copyTree(to, from string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(to), ".part-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	if err := os.CopyFS(filepath.Join(part, "copy"), os.DirFS(from)); err != nil {
		return err
	}
	return os.Rename(filepath.Join(part, "copy"), to)
}

var function = regexp.MustCompile(`(?m)^func (Test\w*)\(`)

// functions returns the names of the test functions in the suite's package.
func (u suite) functions(root string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(root, u.pkg, "*_test.go"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		for _, m := range function.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names, nil
}
