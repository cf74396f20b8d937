// Package deploy tests what its manuals say.
package deploy

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tests gives the names of the tests of a folder's package.
func tests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
	}
	return names
}

// Each answer to a threat names tests that there are: in the package that stands in
// brackets behind them.
func TestSecurityNamesTests(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile("\\b(Test[A-Z]\\w*(?:(?:, | and )Test[A-Z]\\w*)*)(?: \\(`([^`]+)`\\))?")
	found := 0
	for _, m := range list.FindAllStringSubmatch(string(text), -1) {
		known := tests(t, m[2])
		for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(m[1], -1) {
			found++
			if m[2] == "" || !known[name] {
				t.Errorf("there is no %s in %q", name, m[2])
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d tests are named", found)
	}
}

// Links between the documents lead to files that there are.
func TestLinks(t *testing.T) {
	root := os.DirFS("..")
	link := regexp.MustCompile(`\]\(([^):#]+)(?:#[^)]*)?\)`)
	var names []string
	for _, pattern := range []string{"deploy/*.md", "deploy/playbooks/*.md", "docs/security.md"} {
		found, err := fs.Glob(root, pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	for _, name := range names {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			to := path.Join(path.Dir(name), strings.TrimSpace(m[1]))
			if _, err := fs.Stat(root, to); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}

// A project with nothing enabled is one in which Terraform can't even plan.
func TestManualEnablesWhatTerraformAsks(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile(`(?m)^\s*gcloud services enable .*$`).Find(text)
	for _, api := range []string{"cloudresourcemanager", "serviceusage", "iam"} {
		if !regexp.MustCompile(` ` + api + `\.googleapis\.com\b`).Match(first) {
			t.Errorf("%s is not enabled first: %q", api, first)
		}
	}
}
