package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/gcloud"
)

var (
	fenced  = regexp.MustCompile("(?ms)^```\\w*\n(.*?)^```")
	ran     = regexp.MustCompile(`(?m)^(?:\$ | +)?(jobdrop [a-z][^|#&<\n]*)`)
	inProse = regexp.MustCompile("`(jobdrop [a-z][^`|]*)`")
)

// parses returns an error if there is no such command or flag, or, with args set, if the arguments are not its own.
func parses(line string, args bool) error {
	words, err := gcloud.Split(strings.NewReplacer("$", "", "~", "").Replace(line)) // a shell fills these in
	if err != nil {
		return err
	}
	c, rest, err := newRoot(piped(nil)).Find(words[1:])
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if _, ok := errors.AsType[*pflag.ValueRequiredError](err); ok && !args {
		return nil // prose names the flag
	}
	if err == nil && args {
		err = c.ValidateArgs(c.Flags().Args())
	}
	return err
}

// The lines of the documentation, and the examples of the helps, are ones that jobdrop takes.
func TestLinesOfTheDocs(t *testing.T) {
	for file, least := range map[string]int{"operate.md": 12, "doctor.md": 1, "ci.md": 2} {
		text, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, block := range fenced.FindAllSubmatch(text, -1) {
			for _, m := range ran.FindAllSubmatch(block[1], -1) {
				n++
				line, _, _ := strings.Cut(string(m[1]), " shows ") // what rerun prints
				if err := parses(line, true); err != nil {
					t.Errorf("docs/%s: %s: %v", file, line, err)
				}
			}
		}
		for _, m := range inProse.FindAllSubmatch(fenced.ReplaceAll(text, nil), -1) {
			n++
			if err := parses(string(m[1]), false); err != nil {
				t.Errorf("docs/%s: %s: %v", file, m[1], err)
			}
		}
		if n < least {
			t.Errorf("docs/%s has %d lines, want %d", file, n, least)
		}
	}
	var examples func(*cobra.Command)
	examples = func(c *cobra.Command) {
		for _, m := range ran.FindAllStringSubmatch(strings.ReplaceAll(c.Example, "\\\n", ""), -1) {
			if err := parses(m[1], true); err != nil {
				t.Errorf("%s --help: %s: %v", c.CommandPath(), m[1], err)
			}
		}
		for _, sub := range c.Commands() {
			examples(sub)
		}
	}
	examples(newRoot(piped(nil)))
	for _, wrong := range []string{"jobdrop nosuch", "jobdrop status --nosuch", "jobdrop why", "jobdrop why a b"} {
		if parses(wrong, true) == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}

// What is to be done next is a line for the same installation.
func TestNextLines(t *testing.T) {
	o := targetOptions{env: "my acme.env"}
	const want = " --env 'my acme.env'"
	i := newInstalled(t)
	i.sees(t, 1, attempt.Withdraw{Reason: "the same content ran already", DuplicateOf: "0f-1", JobID: "j"})
	i.write(t)
	v := i.view(t, logStart)
	v.target = o
	a, err := v.why(t.Context(), whyOptions{name: i.record.Attempt})
	if err != nil || !strings.HasPrefix(a.Next, "jobdrop why 0f-1"+want) {
		t.Errorf("why: %q, %v", a.Next, err)
	}
	var b strings.Builder
	if err := (asked{Outcome: "accepted", Made: "0f-1"}).writeText(piped(&b), o); err != nil ||
		!strings.Contains(strings.Join(strings.Fields(b.String()), " "), "jobdrop status 0f-1"+want) {
		t.Errorf("rerun: %q, %v", b.String(), err)
	}
	if got := fmt.Sprint(logsOptions{targetOptions: o}.noJob(i.record.Snapshot())); !strings.Contains(got,
		"jobdrop why "+i.record.Attempt+want) {
		t.Errorf("logs: %s", got)
	}
}
