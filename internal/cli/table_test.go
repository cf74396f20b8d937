package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestTable(t *testing.T) {
	short := [][]string{{"FIELD", "FROM"}, {"region", "job.yaml:4:11"}}
	if diff := cmp.Diff("FIELD   FROM\nregion  job.yaml:4:11\n", table(short)); diff != "" {
		t.Errorf("a narrow table (-want +got):\n%s", diff)
	}
	long := "the policy's default, since neither the file nor the metadata of its object says anything of it ✓"
	for _, rows := range [][][]string{
		{{"FIELD", "VALUE", "FROM"}, {"trainingInput.packageUris", strings.Repeat("x", 200), "job.yaml:8:3"}},
		{{"VERDICT", "FIELD", "VALUE", "RULE", "BECAUSE"},
			{"allowed", "trainingInput.workerConfig.acceleratorConfig", "NVIDIA_TESLA_T4", "allow.accelerators", long}},
	} {
		text := table(rows)
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > tableWidth {
				t.Errorf("a line of %d characters: %q", n, line)
			}
		}
		// Nothing is lost.
		for _, cell := range slices.Concat(rows...) {
			for word := range strings.FieldsSeq(cell) {
				if len(word) < 9 && !strings.Contains(text, word) {
					t.Errorf("%q is not in\n%s", word, text)
				}
			}
		}
		if n := strings.Count(text, "x"); strings.Contains(rows[1][1], "xx") && n < 200 {
			t.Errorf("%d of 200 characters are left", n)
		}
	}
	// One long cell costs one more line, and the others keep theirs.
	want := "FIELD   VALUE    FROM\n" +
		"region  us-east  job.yaml:4:11\n" +
		"args    " + strings.Repeat("y", 70) + "\n" +
		"                 job.yaml:8:3\n"
	if diff := cmp.Diff(want, table([][]string{
		{"FIELD", "VALUE", "FROM"}, {"region", "us-east", "job.yaml:4:11"}, {"args", strings.Repeat("y", 70), "job.yaml:8:3"},
	})); diff != "" {
		t.Errorf("a table with a long cell (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"aaaa bbb", "cccc"}, fold("aaaa bbb cccc", 8)); diff != "" {
		t.Errorf("folded (-want +got):\n%s", diff)
	}
}

// What somebody copies is not cut.
func TestWrap(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                  {""},
		"aaaa bbb cccc":                     {"aaaa bbb", "cccc"},
		"aaaaaaaaaaaa":                      {"aaaaaaaa", "aaaa"},
		"gs://aaaaaaa":                      {"gs://aaaaaaa"},
		" gs://aaaaaa b":                    {" gs://aaaaaa", "b"},
		"a gs://aaaaaa bb cc":               {"a", "gs://aaaaaa", "bb cc"},
		"gs://größe/a projects/p/jobs/j bb": {"gs://größe/a", "projects/p/jobs/j", "bb"},
	} {
		if diff := cmp.Diff(want, wrap(text, 8)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	if diff := cmp.Diff("  aaaa bbb\n    cccc\n", setIn("aaaa bbb cccc", 12, 2, 4)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a command says of a drop keeps within a terminal, and goes on below itself. Elsewhere each text is a line.
func TestProseIsFolded(t *testing.T) {
	long := strings.Repeat("a policy that is not valid keeps the drop from a decision; ", 3)
	v := job.Violation{Rule: "job-id-format", Severity: job.Error, File: "job.yaml", Field: "jobId", Message: long}
	for _, terminal := range []bool{true, false} {
		var out bytes.Buffer
		env := Env{
			Out: &out, Now: time.Now, Terminal: terminal, Getenv: func(string) string { return "1" }, // NO_COLOR too
			Size: func() (int, int) { return 80, 24 },
		}
		p := newPrinter(env, formatText)
		p.follow("a")
		p.say("%s", long)
		p.event(t.Context(), cloudevents.NewEvent(), event.DropRejected, event.Body{
			Attempt: "a", Sequence: 1, State: event.Rejected, Reason: long, Violations: []job.Violation{v},
		})
		p.verdict(event.Rejected, "rejected", ": "+long)
		err := writeText(&out, env.width(), []report{{Path: "drop", Violations: []job.Violation{v}, Missing: []string{long}}})
		if err != nil {
			t.Fatal(err)
		}
		widest, lines := 0, 0
		for line := range strings.Lines(out.String()) {
			widest, lines = max(widest, utf8.RuneCountInString(line)-1), lines+1
		}
		if terminal && (widest > 80 || lines < 15) || !terminal && lines != 6 {
			t.Errorf("on a terminal: %v, %d lines, the widest has %d characters:\n%s", terminal, lines, widest, out.String())
		}
	}
}
