package cli

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string // parts of what is printed, or of the message
	}{
		{"a page", []string{"job-id-format"}, exitSucceeded, []string{
			"job-id-format\n\nA job ID holds only", "\n  -jobId: cool-job\n  +jobId: cool_job\n", "\nSource: the manual",
			"docs/rules.md#job-id-format\n",
		}},
		{"as a message has it", []string{"[job-id-format]"}, exitSucceeded, []string{"A job ID holds only"}},
		{"in words", []string{"package-truncated"}, exitSucceeded, []string{"\nFor example: "}},
		{"all", nil, exitSucceeded, []string{"What a job asks for\n", "\nPython packages\n", "\n  job-id-format  "}},
		{"misspelt", []string{"job-id-form"}, exitUsage, []string{
			`"job-id-form" is not a rule; did you mean "job-id-format"?`,
		}},
		{"nothing like it", []string{"zzzzzzzzzzzzzzzz"}, exitUsage, []string{"is not a rule; jobdrop explain lists them\n"}},
		{"two", []string{"a", "b"}, exitUsage, []string{`"b" is one argument too many`}},
		{"format", []string{"-o", "yaml"}, exitUsage, []string{`--output is "yaml", must be text or json`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, append([]string{"explain"}, tt.args...)...)
			if got.code != tt.code {
				t.Errorf("exit code %d, want %d: %s", got.code, tt.code, got.stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(got.stdout+got.stderr, want) {
					t.Errorf("%q is missing in\n%s%s", want, got.stdout, got.stderr)
				}
			}
		})
	}
}

// A page fits a terminal, and its JSON the schema.
func TestRulePages(t *testing.T) {
	t.Parallel()
	for _, p := range rules.All() {
		for line := range strings.Lines(rulePage(p)) {
			n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n"))
			if n > tableWidth && !strings.HasPrefix(line, "https://") {
				t.Errorf("%s: a line has %d characters: %s", p.Rule, n, line)
			}
		}
		data, err := json.Marshal(p)
		if err == nil {
			err = printedAs("rule.v1.json", data)
		}
		if err != nil {
			t.Errorf("%s: %v", p.Rule, err)
		}
	}
	for line := range strings.Lines(run(t, "explain").stdout) {
		if strings.Contains(line, "\t") {
			t.Errorf("a tab in %q", line)
		}
	}
}

func TestExplainCompletes(t *testing.T) {
	t.Parallel()
	got := run(t, "__complete", "explain", "job-id-f")
	if want := "job-id-format\tA job ID"; !strings.HasPrefix(got.stdout, want) {
		t.Errorf("got %q, want it to begin with %q", got.stdout, want)
	}
}

// The examples of the file of faults are read here: jobspec's, the policy's and the routes' are in package rules.
func TestFaultExamples(t *testing.T) {
	t.Parallel()
	for _, p := range rules.All() {
		if p.Area != "faults" || p.Diff == "" {
			continue
		}
		breaks, mends := "", ""
		for line := range strings.Lines(p.Diff) {
			switch {
			case strings.HasPrefix(line, " # "):
			case line[0] == '-':
				breaks += line[1:]
			case line[0] == '+':
				mends += line[1:]
			default:
				breaks, mends = breaks+line[1:], mends+line[1:]
			}
		}
		breaksOnly(t, p.Rule, breaks)
		if _, err := parseFaults("faults.yaml", []byte(mends)); err != nil {
			t.Errorf("%s: mended, the example yields %v", p.Rule, err)
		}
	}
}

// breaksOnly wants one violation in a file of faults, of a rule.
func breaksOnly(t *testing.T, rule job.Rule, text string) {
	t.Helper()
	_, err := parseFaults("faults.yaml", []byte(text))
	f, ok := errors.AsType[*faultyFile](err)
	if !ok || len(f.report.Violations) != 1 || f.report.Violations[0].Rule != rule {
		t.Errorf("%s: the example yields %v", rule, err)
	}
}

// The same for examples in words.
func TestFaultsInWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 2000)
	for rule, text := range map[job.Rule]string{
		"faults-bucket":      "faults: [{do: return-503, bucket: " + long + "}]",
		"faults-object":      "faults: [{do: return-503, object: " + long + "}]",
		"faults-list-length": "faults: [" + strings.Repeat("{do: return-503},", 101) + "]",
	} {
		breaksOnly(t, rule, text)
	}
	var b strings.Builder
	if err := writeSARIF(&b, []report{{Path: "drop", Missing: []string{"a job file"}}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `"ruleId": "drop-incomplete"`) {
		t.Errorf("an incomplete drop is not named: %s", b.String())
	}
}

// Each violation in the drops of testdata names a rule that has a page, at the end of its line, and SARIF describes it.
func TestDropsNameRules(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	drops, err := filepath.Glob(dropsDir + "/*")
	if err != nil || len(drops) < 20 {
		t.Fatalf("%d drops: %v", len(drops), err)
	}
	var reports []report
	seen := map[job.Rule]bool{}
	for _, drop := range drops {
		v, err := newValidator(fieldOptions{project: "local"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		found, err := v.inspect(t.Context(), drop)
		if err != nil {
			continue // a file beside the drops
		}
		r := found.report()
		reports = append(reports, r)
		for _, v := range r.Violations {
			p, ok := rules.Find(v.Rule)
			if !ok {
				t.Errorf("%s: the rule of %v has no page", drop, v)
			}
			seen[v.Rule] = true
			if first, _, _ := strings.Cut(withExcerpt(r, v, unlimited), "\n"); !strings.HasSuffix(first, " ["+string(p.Rule)+"]") ||
				!strings.HasPrefix(first, oneLine(v.String())) {
				t.Errorf("the line does not end with its rule: %s", first)
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("the drops break %d rules only", len(seen))
	}
	var b strings.Builder
	if err := writeSARIF(&b, reports); err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(b.String()))
	if err == nil {
		err = schema.Validate(document)
	}
	if err != nil {
		t.Error(err)
	}
	var log sarifLog
	if err := json.Unmarshal([]byte(b.String()), &log); err != nil {
		t.Fatal(err)
	}
	for _, r := range log.Runs[0].Tool.Driver.Rules {
		p, _ := rules.Find(r.ID)
		if r.HelpURI != p.URL || r.Full.Text != p.Meaning || !strings.Contains(r.Help.Markdown, "Source: ") {
			t.Errorf("SARIF describes %s as %+v", r.ID, r)
		}
	}
}
