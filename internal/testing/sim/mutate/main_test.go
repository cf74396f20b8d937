package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Each text that a mutation replaces stands in its file, once, and the test that finds it is there. The table of
// docs/delivery.md has it.
func TestEditsApply(t *testing.T) {
	table, err := os.ReadFile("../../../../docs/delivery.md")
	if err != nil {
		t.Fatal(err)
	}
	seen, tests := map[string]bool{}, map[string][]string{}
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
		if row := "\n| " + m.name + " | "; !bytes.Contains(table, []byte(row)) {
			t.Errorf("docs/delivery.md has no row %q: what this command prints", m.name)
		}
		if m.by == (test{}) {
			continue
		}
		if tests[m.by.pkg] == nil {
			tests[m.by.pkg] = testsOf(t, m.by.pkg)
		}
		if !slices.ContainsFunc(tests[m.by.pkg], regexp.MustCompile(m.by.run).MatchString) {
			t.Errorf("%s: %s has no test %s", m.name, m.by.pkg, m.by.run)
		}
	}
}

var declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

// testsOf returns the names of a package's tests.
func testsOf(t *testing.T, pkg string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../../..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllSubmatch(data, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names
}
