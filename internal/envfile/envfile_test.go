package envfile

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A shell and Parse read what Format writes.
func TestFormat(t *testing.T) {
	for _, value := range []string{
		"", "plain", "europe-west4,us-central1", "https://a:1/b?c=d", "two words", "it's", "'", "''", "$HOME `id` \\ \"x\"",
		"#no comment", " a ", "ü",
	} {
		text := Format([]string{"VALUE=" + value})
		out, err := exec.Command("sh", "-c", text+`printf %s "$VALUE"`).Output()
		if err != nil || string(out) != value {
			t.Errorf("a shell reads %q as %q, %v, want %q", text, out, err, value)
		}
		got, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(map[string]string{"VALUE": value}, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestParse(t *testing.T) {
	got, err := Parse("# a comment\n\nexport A=1\nB=\"two words\"\r\n  C='x'\nD=\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"A": "1", "B": "two words", "C": "x", "D": ""}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for text, want := range map[string]string{
		"A":            "line 1 is not NAME=value",
		"A=1\n1B=2":    "line 2 is not NAME=value",
		"A=1\nA=2":     "A is set twice",
		"A=$HOME":      "single quotes",
		"A=two words":  "single quotes",
		"A=1 # one":    "single quotes",
		"A=\"$(id)\"":  "single quotes",
		"A='x":         "single quotes",
		"A='x'y":       "single quotes",
		"A='x'\\''y":   "single quotes",
		"A=`id`":       "single quotes",
		"A=1; rm -r x": "single quotes",
		"A = 1":        "is not NAME=value",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", text, err, want)
		}
	}
}
