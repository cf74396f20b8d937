package notice

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestConditions(t *testing.T) {
	for _, tt := range []struct {
		event, when string
		want        bool
	}{
		{"job.failed", `state == "failed"`, true},
		{"job.failed", `type == "job.failed" and kind == "outcome"`, true},
		{"job.failed", `retryable`, false},
		{"job.failed", `ran > duration("1m")`, true},
		{"job.failed", `ran > duration("1h") and not retryable`, false},
		{"job.failed", `ran.Minutes() < 2`, true},
		{"job.failed", `waited > duration("4m") && waited < duration("5m")`, true},
		{"job.failed", `labels.team == "forecasting" && labels.other == ""`, true},
		{"job.failed", `"team" in labels and "other" not in labels`, true},
		{"job.failed", `excerpt contains "ValueError"`, true},
		{"job.failed", `excerpt matches "(?i)valueerror|keyerror"`, true},
		{"job.failed", `errorMessage startsWith "The replica"`, true},
		{"job.failed", `region == "us-central1" && machine == "n1-standard-8" && module == "trainer.task" && image == ""`,
			true},
		{"job.failed", `uploader == "ci@acme.example" && commit == "4f2c9e1" && branch == "main"`, true},
		{"job.failed", `split(folder, "/")[0] == "census" && folder == drop && bucket == "acme-inbox"`, true},
		{"job.failed", `ended.Hour() >= 14 && dropped.Weekday().String() == "Monday"`, true},
		{"job.failed", `instance == "prod" && sequence > 1 && repeats == 0 && backend == "aiplatform"`, true},
		{"job.timed_out", `timeoutKind == "run" and timeoutLimit == duration("2h")`, true},
		{"job.delayed", `delayKind == "wait" and delayCause in ["quota", "capacity"] and kind == "warning"`, true},
		{"drop.rejected", `any(violations, .rule == "max-wait-time" and .line == 8 and not .warning)`, true},
		{"drop.rejected", `len(violations) == 2 and count(violations, .field startsWith "trainingInput") == 2`, true},
		{"drop.expired", `len(missing) == 1 && missing[0] endsWith ".tar.gz"`, true},
		{"drop.withdrawn", `duplicateOf != ""`, true},
		{"job.running", `ended.Year() == 1 and len(missing) == 0`, true},
		{"job.running", `let hours = ran.Hours(); hours < 1 ? state == "running" : false`, true},
		{"job.running", `join(map(filter(violations, .line > 3), .rule), " ") == ""`, true},
	} {
		c, err := CompileWhen(tt.when)
		if err != nil {
			t.Errorf("%s: %v", tt.when, err)
			continue
		}
		if got, err := c.Holds(NewScope(example(t, tt.event), 0)); got != tt.want || err != nil {
			t.Errorf("%s of %s: %t, %v", tt.when, tt.event, got, err)
		}
	}
}

// What is wrong at load: the message and the place.
func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct {
		when   string
		offset int
		want   string
	}{
		{"", 0, "the expression is empty"},
		{"  ", 0, "the expression is empty"},
		{strings.Repeat("a", MaxExpression+1), 0, "the expression has more than 2048 bytes"},
		{"jobid == \"x\"", 0, "jobid is not a variable or function; did you mean jobId?"},
		{"ran > duration(\"1h\") and retriable", 25, "retriable is not a variable or function; did you mean retryable?"},
		{"é == state", 0, "é is not a variable or function"},
		{`"é" == uploadr`, 7, "uploadr is not a variable or function; did you mean uploader?"},
		{"state", 0, "the expression is a text, not true or false"},
		{"ran", 0, "the expression is a duration, not true or false"},
		{"violations", 0, "the expression is a list, not true or false"},
		{"state == 1", 6, "== can't be used with a text and a number; a text stands in quotes, a number does not"},
		{"state ==", 7, "the expression ends where more is expected"},
		{"any(violations, .rul == \"x\")", 17, "a violation has no rul; it has rule, warning, "},
		{`state = "failed"`, 6, "= does not compare; write =="},
		{`labels.team = "nlp"`, 12, "= does not compare; write =="},
		{"ran > 3600", 4, "> can't be used with a duration and a number; a duration is written as duration(\"1h\")"},
		{"3600 < ran", 5, "< can't be used with a number and a duration; a duration is written as duration(\"1h\")"},
		{`ran > "1h"`, 4, "a duration is written as duration(\"1h\")"},
		{"ran > 1h", 7, `1h is not a number; write duration("1h")`},
		{"ran > 1h30m and retryable", 7, `1h30m is not a number; write duration("1h30m")`},
		{"é != state or ran>1.5h", 21, `1.5h is not a number; write duration("1.5h")`},
		{`dropped > "2026"`, 8, "> can't be used with a time and a text; of a time write the year or the hour"},
		{"state == failed", 9, `failed is not a variable or function; a text stands in quotes: "failed"`},
		{"state == nobody", 9, `nobody is not a variable or function; a text stands in quotes: "nobody"`},
		{"labels > 1", 7, "> can't be used with a mapping and a number"},
		{"now() > dropped", 0, "now is not a variable or function"},
		{"sum([1]) > 0", 0, "sum is not a variable or function"},
		{"repeat(state, 1000) == \"\"", 0, "repeat is not a variable or function"},
		{"len(toJSON(labels)) > 0", 4, "toJSON is not a variable or function"},
		{"$env == 1", 0, "$env is not a variable"},
		{"ran > duration(\"1 hour\")", 15, `"1 hour" is not a duration such as "90m" or "24h"`},
		{"len(1..1000000) > 3", 5, "ranges can't be used here"},
		{"state matches reason", 14, "the pattern after matches must be written out"},
		{"state matches \"(\"", 6, "error parsing regexp"},
		{"all(violations, any(missing, # == \"a\"))", 29, "a condition for a list's entries can't hold another one"},
		{"dropped.Local() == ended", 8, "this can't be called"},
		{"dropped.AppendFormat(dropped, \"a\") == ended", 8, "this can't be called"},
		{"[state, 1][0] + \"a\" == \"b\"", 14, "the type of what + adds is not known"},
		{strings.Repeat("true and ", 120) + "true", 0, "exceeds maximum allowed nodes"},
		{"Labels.team == \"a\"", 0, "Labels is not a variable or function; did you mean labels?"},
	} {
		_, err := CompileWhen(tt.when)
		var got *ExpressionError
		if !errors.As(err, &got) {
			t.Errorf("%.60s: %v", tt.when, err)
			continue
		}
		if !strings.Contains(got.Message, tt.want) || got.Offset != tt.offset && tt.want != "exceeds maximum allowed nodes" ||
			strings.Contains(got.Message, "\n") {
			t.Errorf("%.60s: at %d %q, want %d %q", tt.when, got.Offset, got.Message, tt.offset, tt.want)
		}
	}
}

// What is found wrong only with an event: never a panic, always one line.
func TestRuntimeErrors(t *testing.T) {
	e := example(t, "drop.rejected")
	e.Body.Drop.Missing = make([]string, 200)
	for i := range e.Body.Drop.Missing {
		e.Body.Drop.Missing[i] = strings.Repeat("m", 1000)
	}
	e.Body.Reason = strings.Repeat("r", 8000)
	for _, tt := range []struct{ when, want string }{
		{`sequence % (sequence - 1) == 0`, "integer divide by zero"},
		{`missing[1000] == "a"`, "index out of range"},
		{`violations[-9].line == 1`, "index out of range"},
		{`find(violations, .rule == "none").message == "a"`, "violations has no such entry, so there is no message"},
		{`first(filter(violations, .rule == "none")).line == 1`, "violations has no such entry, so there is no line"},
		{`find(violations, .rule in missing).line == 1`, "there is no entry to take line from: a list is empty, or has"},
		{`int(state) == 1`, "invalid operation: int(rejected)"},
		{`duration(state) > ran`, "invalid duration"},
		{`reason + reason + reason == ""`, "the text gets longer than 16384 bytes"},
		{`replace(reason, "r", reason) == ""`, "the text gets longer than 16384 bytes"},
		{`join(missing, reason) == ""`, "the text gets longer than 16384 bytes"},
		{`len(split(reason, "")) > 0`, "the text has more than 200 parts"},
		{strings.Repeat(`len(map(missing, [#, #, #, #, #, #, #, #, #, #])) + `, 9) + `1 == 0`, "memory budget exceeded"},
		{`string(find(violations, .rule == "none")) == ""`, "there is no value"},
	} {
		c, err := CompileWhen(tt.when)
		if err != nil {
			t.Errorf("%.60s: %v", tt.when, err)
			continue
		}
		got, err := c.Holds(NewScope(e, 0))
		if err == nil || got || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: %t, %v, want %q", tt.when, got, err, tt.want)
		}
	}
	c, err := CompileWhen("first(violations).line > 3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Holds(NewScope(example(t, "job.failed"), 0)); err == nil ||
		err.Error() != "violations is empty, so there is no line" {
		t.Errorf("of an empty list: %v", err)
	}
}

// A scope serves many expressions, also after one failed.
func TestScopeIsReused(t *testing.T) {
	s := NewScope(example(t, "job.failed"), 0)
	fails, err := CompileWhen(`let m = missing; m[1] == "a"`)
	if err != nil {
		t.Fatal(err)
	}
	holds, err := CompileWhen(`let a = any([1, 2], # == 2); a and state == "failed"`)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := fails.Holds(s); err == nil {
			t.Error("no error")
		}
		if ok, err := holds.Holds(s); !ok || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
	}
}

// A condition is used by many requests at a time.
func TestConditionsAreShared(t *testing.T) {
	c, err := CompileWhen(`any(violations, .rule matches "^max") and reason + state != "" and ` +
		`len(split(folder, "/")) == 1`)
	if err != nil {
		t.Fatal(err)
	}
	e := example(t, "drop.rejected")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if ok, err := c.Holds(NewScope(e, 0)); !ok || err != nil {
					t.Errorf("%t, %v", ok, err)
				}
			}
		})
	}
	all.Wait()
}

// The longest that an expression can do takes little: no list in a list, no text without a bound.
func TestExpressionsAreBounded(t *testing.T) {
	e := example(t, "drop.rejected")
	e.Body.Violations = make([]job.Violation, 500)
	for i := range e.Body.Violations {
		e.Body.Violations[i].Message = strings.Repeat("m", 20_000)
	}
	s := NewScope(e, 0)
	if len(s.vars.Violations) != maxVarEntries || len(s.vars.Violations[0].Message) > maxVarText {
		t.Errorf("%d violations, of %d bytes", len(s.vars.Violations), len(s.vars.Violations[0].Message))
	}
	e.Body.Job.Labels = map[string]string{}
	for i := range 1000 {
		e.Body.Job.Labels[fmt.Sprint(i)] = "a"
	}
	if s := NewScope(e, 0); len(s.vars.Labels) != 0 {
		t.Errorf("%d labels", len(s.vars.Labels))
	}
}

func TestTemplates(t *testing.T) {
	for _, tt := range []struct {
		name, event string
		fields      TemplateFields
		want        Text
	}{
		{
			"all fields", "job.failed",
			TemplateFields{
				Title:   "Job {{ jobId }} is {{ state }}",
				Summary: "{{ reason }}\n{{ errorMessage }}",
				Next:    "Look at {{ logsUrl }}\n\nCall {{ uploader }}\n",
			},
			Text{
				Title: "Job census_20261123_140000_5050195d3b54 is failed",
				Summary: "the job failed after 1m47s: The replica master 0 exited with a non-zero status of 1\n" +
					"The replica master 0 exited with a non-zero status of 1.",
				Next: []Step{
					{Text: "Look at https://console.cloud.google.com/logs?resource=ml_job%2Fjob_id%2F" +
						"census_20261123_140000_5050195d3b54&project=acme-ml"},
					{Text: "Call ci@acme.example"},
				},
			},
		},
		{
			"values of all kinds", "job.timed_out",
			TemplateFields{Title: `{{ ran }}, {{ timeoutLimit }}, {{ dropped }}, {{ sequence }}, {{ retryable }}, ` +
				`{{ ran.Hours() }}, {{ 1.0/3 }}, {{ missing }}, {{ ["a", "b"] }}, ` +
				`{{ dropped.Weekday() }}, {{ ended.Format("15:04") }}`},
			Text{Title: "2 h, 2 h, 2026-11-23 11:00 UTC, 5, false, 2, 0.333333, , a, b, Monday, 13:04"},
		},
		{
			"quotes and braces", "job.failed",
			TemplateFields{Title: `{{ "}}" }} { } }} {{ '\'{{' }} {{ {"a": "x"}["a"] }}{{ state }}`},
			Text{Title: "}} { } }} '{{ xfailed"},
		},
		{
			"functions", "drop.rejected",
			TemplateFields{Title: `{{ upper(state) }} {{ len(violations) }}: {{ join(map(violations, .rule), " and ") }}` +
				`{{ len(missing) > 0 ? " !" : "" }} {{ replace(bucket, "-", "_") + "/" + trimSuffix(folder, "s") }}`},
			Text{Title: "REJECTED 2: region-required and max-wait-time acme_inbox/censu"},
		},
		{"a title in lines", "job.failed", TemplateFields{Title: "a\n {{ \"b\\nc\" }}"}, Text{Title: "a b c"}},
		{
			"mark-up is text", "job.failed", TemplateFields{Title: "<!channel> *a* {{ '<b>' }}"},
			Text{Title: "<!channel> *a* <b>"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, faults := ParseTemplate(tt.fields)
			if len(faults) > 0 {
				t.Fatal(faults[0])
			}
			e := example(t, tt.event)
			want := Write(e, Options{})
			got := Write(e, Options{Template: template})
			if tt.want.Title != "" {
				want.Title = tt.want.Title
			}
			if tt.want.Summary != "" {
				want.Summary = tt.want.Summary
			}
			if tt.want.Next != nil {
				want.Next = tt.want.Next
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A template that fails sends what is sent without one, and the fault.
func TestTemplateFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields TemplateFields
		want   string
	}{
		{"in the title", TemplateFields{Title: "{{ missing[1] }}", Summary: "a"},
			"the template: title: index out of range: 1"},
		{"in the summary", TemplateFields{Title: "a", Summary: "{{ int(state) }}"}, "the template: summary: "},
		{"in next", TemplateFields{Title: "a", Next: "{{ sequence % 0 }}"}, "the template: next: integer divide by zero"},
		{"no value", TemplateFields{Title: "{{ find(missing, # == 'a') }}"}, "the template: title: there is no value"},
		{"an empty title", TemplateFields{Title: " {{ branch == 'x' ? 'y' : '' }}\n"}, "the template: title: it is empty"},
		{"too long", TemplateFields{Title: strings.Repeat("{{ excerpt }}", 50)}, "the text gets longer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, faults := ParseTemplate(tt.fields)
			if len(faults) > 0 {
				t.Fatal(faults[0])
			}
			e := example(t, "job.failed")
			e.Body.Error.Excerpt = strings.Repeat("x", 6000)
			want, got := Write(e, Options{Faults: []string{"another"}}), Write(e, Options{Template: template,
				Faults: []string{"another"}})
			if len(got.Faults) != 2 || !strings.Contains(got.Faults[1], tt.want) || strings.Contains(got.Faults[1], "\n") {
				t.Errorf("faults %q, want %q", got.Faults, tt.want)
			}
			if got.TemplateFault != got.Faults[1] || want.TemplateFault != "" {
				t.Errorf("the template's fault is %q, not %q", got.TemplateFault, got.Faults[1])
			}
			got.Faults, got.TemplateFault = want.Faults, ""
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("not the default text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseTemplateErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields TemplateFields
		want   []TemplateError
	}{
		{"open", TemplateFields{Title: "é {{ state }"}, []TemplateError{{"title", 2, "{{ has no }} after it"}}},
		{"an open quote", TemplateFields{Title: `{{ "a }}`}, []TemplateError{{"title", 0, "{{ has no }} after it"}}},
		{"nothing", TemplateFields{Title: "a{{ }}"}, []TemplateError{{"title", 3, "the expression is empty"}}},
		{
			"each", TemplateFields{Title: "é {{ stat }} {{ rann }}", Summary: "{{ violations[0] }}", Next: "{{ labels }}"},
			[]TemplateError{
				{"title", 5, "stat is not a variable or function; did you mean state?"},
				{"title", 16, "rann is not a variable or function; did you mean ran?"},
				{"summary", 3, "the expression is a violation, not a text; choose a part of it"},
				{"next", 3, "the expression is a mapping, not a text; choose a part of it"},
			},
		},
		{
			"too long", TemplateFields{Summary: strings.Repeat("a", MaxTemplate+1)},
			[]TemplateError{{"summary", 0, "the template has more than 4096 bytes"}},
		},
		{
			"too many pieces", TemplateFields{Summary: strings.Repeat("{{ 1 }}", 51)},
			[]TemplateError{{"summary", 350, "the template has more than 50 pieces"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			template, faults := ParseTemplate(tt.fields)
			var got []TemplateError
			for _, f := range faults {
				got = append(got, *f)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || template != nil {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// docs/notify.md lists every variable, with its type.
func TestVariablesAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/notify.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(data), "\n## Variables\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| ([a-z ]+) \\|").FindAllStringSubmatch(section, -1) {
		got = append(got, row[1]+" "+row[2])
	}
	var want []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Vars]()) {
		want = append(want, f.Tag.Get("expr")+" "+map[reflect.Type]string{
			reflect.TypeFor[string](): "text", reflect.TypeFor[bool](): "true or false", reflect.TypeFor[int](): "number",
			reflect.TypeFor[int64](): "number", reflect.TypeFor[time.Time](): "time",
			reflect.TypeFor[time.Duration]():     "duration",
			reflect.TypeFor[map[string]string](): "mapping", reflect.TypeFor[[]string](): "list",
			reflect.TypeFor[[]Violation](): "list",
		}[f.Type])
	}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("docs/notify.md, section Variables (-want +got):\n%s", diff)
	}
	for _, name := range append(builtins[:], "join", "split", "replace", "string") {
		if !strings.Contains(section, "`"+name) {
			t.Errorf("the section does not have the function %s", name)
		}
	}
	for name := range methods {
		if !strings.Contains(section, "`."+name+"(") {
			t.Errorf("the section does not have the method %s", name)
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Violation]()) {
		if !strings.Contains(section, "`."+f.Tag.Get("expr")+"`") {
			t.Errorf("the section does not say that a violation has %s", f.Tag.Get("expr"))
		}
	}
}
