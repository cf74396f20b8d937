package pyproject

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A pyproject.toml is not judged by its beginning.
func TestLargeSettings(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pyproject.toml"), bytes.Repeat([]byte("#\n"), maxSettings/2+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), dir, Options{}); !errors.Is(err, ErrSource) {
		t.Errorf("%v, want %v", err, ErrSource)
	}
}
