package cli

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
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
