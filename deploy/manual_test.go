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
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// tests returns the names of the tests of a folder's package.
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

// manuals returns the documents for people, by their names from the root.
func manuals(t *testing.T) map[string]string {
	t.Helper()
	root := os.DirFS("..")
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "deploy/*.md", "deploy/playbooks/*.md", "docs/*.md", "docs/*/*.md",
		"testdata/*.md"} {
		names, err := fs.Glob(root, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	return texts
}

// anchor returns the fragment that GitHub gives a heading.
func anchor(heading string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
	return kept
}

var headings = regexp.MustCompile(`(?m)^#+ (.*)$`)

// Links between the documents lead to files, and to headings, that there are.
func TestLinks(t *testing.T) {
	texts := manuals(t)
	anchors := map[string]map[string]bool{}
	for name, text := range texts {
		anchors[name] = map[string]bool{}
		for _, m := range headings.FindAllStringSubmatch(text, -1) {
			anchors[name][anchor(m[1])] = true
		}
	}
	link := regexp.MustCompile(`\]\(([^):#]*)(?:#([^)]*))?\)`)
	for name, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to := name
			if m[1] != "" {
				to = path.Join(path.Dir(name), strings.TrimSpace(m[1]))
			}
			if _, err := os.Stat(filepath.Join("..", to)); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
			if m[2] != "" && !anchors[to][m[2]] {
				t.Errorf("%s links to #%s, which %s does not have", name, m[2], to)
			}
		}
	}
}

// A newcomer reads the README to its end.
func TestReadmeIsShort(t *testing.T) {
	if n := len(strings.Fields(manuals(t)["README.md"])); n > 1200 {
		t.Errorf("README.md has %d words, want at most 1200", n)
	}
}

// Each decision has a date and a status, and stands in the table of contents.
func TestDecisions(t *testing.T) {
	text := manuals(t)["docs/decisions.md"]
	_, entries, _ := strings.Cut(text, "\n## Contents\n")
	contents, entries, found := strings.Cut(entries, "\n## ")
	if !found {
		t.Fatal("there is no table of contents")
	}
	var want []string
	entry := regexp.MustCompile(`^### (.*)\n\n\*2\d{3}-\d{2}-\d{2} · (?:in force|replaced)(?:;? .*)?\*\n\n\S`)
	for _, part := range strings.SplitAfter("## "+entries, "\n\n") {
		if m := headings.FindStringSubmatch(part); m != nil {
			want = append(want, anchor(m[1]))
		}
	}
	for _, part := range strings.Split(entries, "\n### ")[1:] {
		if title, _, _ := strings.Cut(part, "\n"); !entry.MatchString("### " + part) {
			t.Errorf("%q has no line with its date and its status", title)
		}
	}
	var got []string
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(contents, -1) {
		got = append(got, m[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decisions (-entries +contents):\n%s", diff)
	}
}

// The workflow runs what contributors run, with no right but to read, and no action
// whose code can change under its name.
func TestWorkflow(t *testing.T) {
	data, err := os.ReadFile("../.github/workflows/check.yml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, want := range []string{"- run: make check test\n", "\npermissions: {}\n",
		"    permissions:\n      contents: read\n    steps:\n", "persist-credentials: false\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the workflow does not have %q", want)
		}
	}
	pinned := regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	uses := regexp.MustCompile(`uses: (.*)`).FindAllStringSubmatch(text, -1)
	for _, m := range uses {
		if !pinned.MatchString(m[1]) {
			t.Errorf("%q is not pinned to a commit, with its version behind it", m[1])
		}
	}
	if len(uses) == 0 {
		t.Error("the workflow uses no action")
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
