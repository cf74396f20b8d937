package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// helpDir has the help of each command, which -update writes.
const helpDir = "testdata/golden/help"

// The help of each command is what its file has, in 80 columns.
func TestHelp(t *testing.T) {
	var walk func(c *cobra.Command) (names []string)
	walk = func(c *cobra.Command) (names []string) {
		names = append(names, strings.Join(strings.Fields(c.CommandPath()), "-"))
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				names = append(names, walk(sub)...)
			}
		}
		return names
	}
	env := piped(nil)
	known := map[string]bool{}
	for _, name := range walk(newRoot(env)) {
		known[name+".txt"] = true
		var out bytes.Buffer
		env.Out, env.Err = &out, &out
		if code := Run(t.Context(), env, append(strings.Split(name, "-")[1:], "--help")); code != exitSucceeded {
			t.Errorf("%s --help: exit %d: %s", name, code, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > tableWidth {
				t.Errorf("%s: a line of %d characters: %s", name, utf8.RuneCountInString(line), line)
			}
		}
		file := filepath.Join(helpDir, name+".txt")
		if *update {
			if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s (-want +got), -update writes it:\n%s", file, diff)
		}
	}
	files, err := os.ReadDir(helpDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !known[f.Name()] {
			t.Errorf("%s/%s is not the help of a command", helpDir, f.Name())
		}
	}
}
