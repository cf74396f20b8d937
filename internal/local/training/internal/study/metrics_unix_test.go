//go:build unix

package study

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestEndlessMetricsFile: nothing waits for a program that never writes, nor
// reads for ever.
func TestEndlessMetricsFile(t *testing.T) {
	dir := t.TempDir()
	pipe, device := filepath.Join(dir, "pipe"), filepath.Join(dir, "device")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", device); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{pipe, device} {
		if _, err := readFile(file); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
