//go:build unix

package pyproject_test

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// socket makes a socket in the package. Its path may be too long for one, but not from here.
func socket(t *testing.T, dir string) {
	short, err := os.MkdirTemp("/tmp", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	l, err := net.Listen("unix", filepath.Join(short, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := os.Rename(filepath.Join(short, "s"), filepath.Join(dir, "trainer", "s")); err != nil {
		t.Fatal(err)
	}
}

// pipe makes a named pipe in the package.
func pipe(t *testing.T, dir string) {
	if err := syscall.Mkfifo(filepath.Join(dir, "trainer", "f"), 0o600); err != nil {
		t.Fatal(err)
	}
}
