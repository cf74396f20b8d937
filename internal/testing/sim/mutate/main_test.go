package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Each text that a mutation replaces stands in its file, once.
func TestEditsApply(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutations {
		if seen[m.name] {
			t.Errorf("%s stands twice", m.name)
		}
		seen[m.name] = true
		for _, e := range m.edits {
			data, err := os.ReadFile(filepath.Join("../../../..", e.file))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(data, []byte(e.text)); n != 1 {
				t.Errorf("%s: %q stands %d times in %s", m.name, e.text, n, e.file)
			}
		}
	}
}
