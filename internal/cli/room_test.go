package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// A folder that can't be written is said before anything runs, with its path.
func TestRoom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	hello := dropsDir + "/hello"
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"run --output", []string{"run", hello, "--output", file},
			[]string{file + " can't be written", "is not a folder", "--output"}},
		{"run --keep", []string{"run", hello, "--keep", "/proc/x/y"}, []string{"/proc/x/y can't be written", "--keep"}},
		{"local --env-file in no folder", []string{"local", "--data", t.TempDir(), "--env-file", file + "-none/env"},
			[]string{file + "-none/env can't be written", "no such file", "Make the folder", "--env-file"}},
		{"local --env-file, read-only", []string{"local", "--data", t.TempDir(), "--env-file", "/proc/env"},
			[]string{"/proc can't be written", "--env-file"}},
		{"local --env-file, a folder", []string{"local", "--data", t.TempDir(), "--env-file", filepath.Dir(file)},
			[]string{"--env-file is " + filepath.Dir(file) + ": is a directory", "Name another file"}},
		{"local --data", []string{"local", "--data", "/proc/x"}, []string{"/proc/x can't be written", "--data"}},
	} {
		got := run(t, tt.args...)
		if got.code != exitMissing || got.stdout != "" {
			t.Errorf("%s: exit %d, %s%s", tt.name, got.code, got.stdout, got.stderr)
		}
		for _, want := range tt.want {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("%s: %q is not in %q", tt.name, want, got.stderr)
			}
		}
	}
	// What can be written is left as it was.
	dir := t.TempDir()
	if err := room(filepath.Join(dir, "a", "b"), ""); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// An empty reason never stands in a message.
func TestEmptyReasons(t *testing.T) {
	for got, want := range map[string]string{
		because(event.Body{}): "", because(event.Body{Reason: "r"}): ": r",
		text.Sentence("a", ""): "a", text.Sentence("", "b"): "b", text.Sentence("a", "b"): "a: b",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
