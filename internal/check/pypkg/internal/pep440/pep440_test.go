package pep440

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func specifiers() []string {
	return []string{
		"", ">=3.7", ">=3.7,<4", "~=3.7", "~=3.7.0", "~=3.7.2", "==3.7.*", "!=3.7.*", "!=3.7.*,>=3", "==3.7", "==3.7.0",
		"==3.7.12", "<3.8", "<3.7", "<=3.7", "<=3.7.5", ">3.7", ">3.7.0", ">3.6", ">=3.12", ">=3.7rc1", "<3.8a1",
		">=3.8.dev0",
		"<3.7.0b2", ">=2.7, !=3.0.*, !=3.1.*, !=3.2.*, !=3.3.*, !=3.4.*", "===3.7.3", "===3.7", "== 3.7.3", ">= 3.5 , < 3.8",
		"~=3.5rc1", "~=3.7.0.post1", ">3.7.post1", "==3.7.3.post1", "==1!3.7.*", ">=1!3", ">=v3.7", ">=03.07",
		"==3.7.3+local",
		"===", "!=3.7.0rc1", "<3.7.post2", ">=3.7.0-1", "<3.7.dev3", ">2!1", "==3.*", "~=3.0", ",>=3.6,",
		// not valid
		">=3.7.*", "3.7", "=>3.7", ">=3.x", "~=3", "==3.7.*.*", "==3.7.dev1.*", ">=3.7+local", ">=", "^3.7", ">=3.7;x",
		"==3.7+x.*", "> =3.7", ">=3..7", ">=3.7 <4",
	}
}

func versions() []string {
	return []string{
		"2.7", "2.7.18", "3", "3.5.3", "3.6.15", "3.7", "3.7.0", "3.7.0a1", "3.7.0b2", "3.7.0rc1", "3.7.0.dev1", "3.7a1",
		"3.7a1.post2", "3.7.3", "3.7.3.post1", "3.7.3+local", "3.7.3+local.1", "3.7.5", "3.7.12", "3.8.0a1", "3.8.0.dev0",
		"3.8", "3.8.18", "3.10.13", "3.12.1", "4", "1!3.7", "1!3.7.3", "3.7.post1", "3.7.post2", "3.7.dev2", "3.7.post1.dev2",
		"3.7.3.0.1", "3.7rc1.dev4", "3.7-1", "3.07.3", "v3.7.3",
	}
}

// Python's own library, as pip brings it, gives the same answers.
func TestPackagingAgrees(t *testing.T) {
	t.Parallel()
	const program = `
import json, sys, warnings
warnings.simplefilter("ignore")
from pip._vendor.packaging import specifiers, version
new = not hasattr(specifiers, "LegacySpecifier")
data = json.load(sys.stdin)
out = {"new": new, "valid": [], "contains": [], "order": []}
for s in data["specifiers"]:
    try:
        spec = specifiers.SpecifierSet(s)
        valid = not any(type(x).__name__ == "LegacySpecifier" for x in spec)
    except specifiers.InvalidSpecifier:
        valid = False
    out["valid"].append(valid)
    out["contains"].append([valid and spec.contains(version.Version(v), prereleases=True) for v in data["versions"]])
parsed = [version.Version(v) for v in data["versions"]]
out["order"] = [[(a > b) - (a < b) for b in parsed] for a in parsed]
json.dump(out, sys.stdout)
`
	asked := false
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		python, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		input, err := json.Marshal(map[string][]string{"specifiers": specifiers(), "versions": versions()})
		if err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), python, "-c", program)
		c.Stdin = strings.NewReader(string(input))
		out, err := c.Output()
		if err != nil {
			continue // it has no pip
		}
		asked = true
		var answer struct {
			New      bool
			Valid    []bool
			Contains [][]bool
			Order    [][]int
		}
		if err := json.Unmarshal(out, &answer); err != nil {
			t.Fatal(err)
		}
		for i, text := range specifiers() {
			s, ok := ParseSpecifiers(text)
			if ok != answer.Valid[i] {
				t.Errorf("%s: %q is valid: %v, and says Python %v", name, text, ok, answer.Valid[i])
				continue
			}
			for j, v := range versions() {
				parsed, _ := ParseVersion(v)
				if got := ok && s.Contain(parsed, canonical(v)); got != answer.Contains[i][j] {
					t.Errorf("%s: %q contains %s: %v, and says Python %v", name, text, v, got, answer.Contains[i][j])
				}
			}
		}
		for i, a := range versions() {
			for j, b := range versions() {
				v, okA := ParseVersion(a)
				w, okB := ParseVersion(b)
				if got := v.Compare(w); !okA || !okB || got != answer.Order[i][j] {
					t.Errorf("%s: %s and %s compare as %d (%v, %v), and says Python %d", name, a, b, got, okA, okB,
						answer.Order[i][j])
				}
			}
		}
	}
	if !asked {
		t.Skip("SKIPPED: no Python with pip on this machine")
	}
}

// canonical is how packaging writes those of versions that === is compared with.
func canonical(v string) string {
	return strings.ReplaceAll(strings.TrimPrefix(v, "v"), ".07", ".7")
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string // of the Pythons below
	}{
		{"", []string{"2.7", "3.5", "3.7", "3.10"}},
		{">=3.12", nil},
		{">=3.7", []string{"3.7", "3.10"}},
		{"==3.7.*", []string{"3.7"}},
		{"~=3.7", []string{"3.7", "3.10"}},
		{"~=3.7.2", []string{"3.7"}},
		{"<3.7", []string{"2.7", "3.5"}},
		{">3.7", []string{"3.7", "3.10"}}, // 3.7.1
		{">3.7.49,<3.8", nil},
		{"==3.7.12", []string{"3.7"}}, // it may be this one
		{"!=3.7.*", []string{"2.7", "3.5", "3.10"}},
		{">=3.10.0a1", []string{"3.10"}},
		{"<=3.7", []string{"2.7", "3.5", "3.7"}},
	} {
		s, ok := ParseSpecifiers(tt.text)
		if !ok {
			t.Errorf("%q is not valid", tt.text)
		}
		for _, python := range []string{"2.7", "3.5", "3.7", "3.10"} {
			if got := s.Covers(python); got != slices.Contains(tt.want, python) {
				t.Errorf("%q covers %s: %v", tt.text, python, got)
			}
		}
	}
}

func FuzzSpecifiers(f *testing.F) {
	for _, s := range specifiers() {
		f.Add(s, "3.7")
	}
	for _, v := range versions() {
		f.Add("~="+v, v)
	}
	f.Fuzz(func(t *testing.T, text, python string) {
		if s, ok := ParseSpecifiers(text); ok {
			s.Covers(python)
		}
		if v, ok := ParseVersion(python); ok && v.Compare(v) != 0 {
			t.Errorf("%q differs from itself", python)
		}
	})
}
