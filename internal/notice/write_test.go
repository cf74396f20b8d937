package notice

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write the golden files anew")

const examples = "../../docs/events"

// example returns an event of the documentation.
func example(t testing.TB, name string) Event {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(examples, name+".v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	return read(t, data)
}

func read(t testing.TB, data []byte) Event {
	t.Helper()
	var m struct {
		Attributes map[string]string
		Data       json.RawMessage
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	c, err := event.FromMessage(m.Attributes, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Decode(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// show returns a text as a golden file has it.
func show(x Text) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] %s\n", x.Level, x.Title)
	if x.Summary != "" {
		fmt.Fprintf(&b, "\n%s\n", x.Summary)
	}
	if len(x.Facts) > 0 {
		b.WriteString("\n")
	}
	for _, f := range x.Facts {
		fmt.Fprintf(&b, "%s: %s\n", f.Label, f.Value)
	}
	if x.Excerpt != "" {
		fmt.Fprintf(&b, "\n| %s\n", strings.ReplaceAll(x.Excerpt, "\n", "\n| "))
	}
	if len(x.Next) > 0 {
		b.WriteString("\n")
	}
	for _, s := range x.Next {
		fmt.Fprintf(&b, "- %s\n", s.Text)
		if s.Command != "" {
			fmt.Fprintf(&b, "    %s\n", s.Command)
		}
	}
	if len(x.Links) > 0 {
		b.WriteString("\n")
	}
	for _, l := range x.Links {
		fmt.Fprintf(&b, "%s: %s\n", l.Label, l.URL)
	}
	for _, o := range x.Owners {
		fmt.Fprintf(&b, "owner: %s %s %s\n", o.Name, o.Slack, o.Email)
	}
	for _, f := range x.Faults {
		fmt.Fprintf(&b, "fault: %s\n", f)
	}
	return b.String()
}

// The text of each example of the documentation, as people get it.
func TestTexts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examples, "*.v1.json"))
	if err != nil || len(files) != 15 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".v1.json")
		t.Run(name, func(t *testing.T) {
			golden(t, name, show(Write(example(t, name), Options{StatusBucket: "acme-status"})))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "texts", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestWrite(t *testing.T) {
	change := func(name string, change func(b *job.Snapshot)) Event {
		e := example(t, name)
		change(&e.Body)
		return e
	}
	rejected := func(n int) Event {
		return change("drop.rejected", func(b *job.Snapshot) {
			b.Violations = nil
			for i := range n {
				b.Violations = append(b.Violations, job.Violation{
					Rule: "r", Severity: job.Error, File: "job.yaml", Position: job.Position{Line: i + 1, Column: 1},
					Message: "this is " + strings.Repeat("very ", 20) + "wrong", Remedy: "correct it",
				})
			}
			b.Violations = append(b.Violations, job.Violation{Rule: "w", Severity: job.Warning, File: "job.yaml",
				Message: "odd"})
		})
	}
	for _, tt := range []struct {
		name  string
		event Event
		o     Options
		// title, if not empty, is the whole title; the others are parts of the golden form, and what it must not have.
		title string
		has   []string
		not   []string
	}{
		{
			name: "one package is missing", title: "census is incomplete: trainer-0.1.tar.gz is missing",
			event: change("drop.incomplete", func(b *job.Snapshot) { b.Drop.Missing = []string{"trainer-0.1.tar.gz"} }),
			has:   []string{"    gcloud storage cp trainer-0.1.tar.gz gs://acme-inbox/census/\n"},
		},
		{
			name: "a job that no longer runs", title: "census no longer runs: aiplatform starts it again",
			event: change("job.preparing", func(b *job.Snapshot) {
				b.Restarts = &job.Restarts{Count: 2, Ran: job.Duration(time.Minute), AtRisk: job.Duration(720 * time.Second)}
			}),
			has: []string{"Restarts: at least 2; at most 12 min of the run lost\n"},
		},
		{
			name: "a job that runs again", title: "census runs again",
			event: change("job.running", func(b *job.Snapshot) {
				b.Restarts = &job.Restarts{Count: 1, Most: new(int64(3)), AtRisk: job.Duration(720 * time.Second)}
			}),
			has: []string{"Restarts: at least 1; the policy allows 3; at most 12 min of the run lost\n"},
		},
		{
			name: "a job that was started again too often", title: "census was cancelled after 42 min: it was started again too often",
			event: change("job.cancelled", func(b *job.Snapshot) {
				b.Times.Started, b.Times.Ended = b.Times.Dropped, b.Times.Dropped.Add(42*time.Minute)
				b.Restarts, b.CancelRequested = &job.Restarts{Count: 1, Most: new(int64(0))}, nil
			}),
		},
		{
			name: "several packages are missing", title: "census is incomplete: 2 packages are missing",
			event: change("drop.incomplete", func(b *job.Snapshot) { b.Drop.Missing = []string{"a.whl", "b.whl"} }),
			has: []string{
				"\nWhat is missing must come by 2026-11-24 09:05 UTC, or the drop expires.\n", "Missing: a.whl, b.whl\n",
				"    gcloud storage cp a.whl b.whl gs://acme-inbox/census/\n",
			},
			not: []string{"Given up at"},
		},
		{
			name: "incomplete, and more to do", event: change("drop.incomplete", func(b *job.Snapshot) {
				b.Reason = "waiting for a.whl in gs://acme-inbox/census/: upload what is missing; then the job file again, which " +
					"has errors: see the violations"
				b.Drop.Missing = []string{"a.whl"}
			}),
			has: []string{"which has errors: see the violations.\n", "Given up at: ", "Do what the text above says."},
			not: []string{"need not be uploaded again"},
		},
		{
			name: "the backend tells the traceback", event: change("job.failed", func(b *job.Snapshot) {
				b.Reason = "the job failed after 3s: The replica master 0 exited with a non-zero status of 1"
				b.Error = &job.Failure{Message: "The replica master 0 exited with a non-zero status of 1.\n" +
					"Traceback (most recent call last):\n" +
					strings.Repeat("  File \"a.py\", line 1, in f\n    f()\n", 60) + "ValueError: boom\n"}
			}),
			has: []string{
				"\n\nThe replica master 0 exited with a non-zero status of 1.\n\n", "\n| …\n|     f()\n",
				"\n|     f()\n| ValueError: boom\n",
			},
			not: []string{"Traceback", "3s", "1. File"},
		},
		{
			name: "the backend tells the traceback, which is the end of the log", event: change("job.failed",
				func(b *job.Snapshot) { b.Error.Message += "\nTraceback:\n" + b.Error.Excerpt }),
			has: []string{"\n\nThe replica master 0 exited with a non-zero status of 1.\n\nDrop"},
		},
		{
			name: "the backend tells more than the end of the log", event: change("job.failed", func(b *job.Snapshot) {
				b.Error.Message += "\n" + strings.Repeat("first\n", 300) + "the cause"
			}),
			has: []string{"\n\nThe replica master 0 exited with a non-zero status of 1.\n…", "first\nthe cause\n\nDrop"},
		},
		{
			name: "a reason of several lines", event: change("job.failed", func(b *job.Snapshot) {
				b.Reason, b.Error = "the job failed: boom\nmore\nend", nil
			}),
			has: []string{"\n\nBoom.\n\n", "\n| more\n| end\n"},
		},
		{
			name: "no reason", event: change("job.failed", func(b *job.Snapshot) { b.Reason, b.Error = "", nil }),
			has: []string{"census failed after 1 min 47 s\n\nDrop"},
		},
		{
			name: "the log on this machine", event: change("job.failed", func(b *job.Snapshot) { b.Links = job.Links{} }),
			has: []string{"    jobdrop logs census_20261123_140000_5050195d3b54\n"}, not: []string{"gcloud logging"},
		},
		{
			name: "the log of a custom job", event: change("job.failed", func(b *job.Snapshot) {
				b.Job.ResourceName = "projects/123456789012/locations/us-central1/customJobs/42"
			}),
			has: []string{
				`    gcloud logging read 'resource.type="ml_job" AND resource.labels.job_id="42"' --project=123456789012 `,
			},
		},
		{
			name: "a log that can't be named", event: change("job.failed", func(b *job.Snapshot) {
				b.Job.ResourceName = `projects/p/jobs/x" OR "`
			}),
			has: []string{"Find the cause in the log"}, not: []string{"gcloud logging"},
		},
		{
			name: "no output", event: change("job.succeeded", func(b *job.Snapshot) { b.Job.Summary.JobDir = "" }),
			not: []string{"Output", "gcloud storage ls"},
		},
		{
			name: "lost, and never seen", event: change("job.lost", func(b *job.Snapshot) { b.Job.State = "" }),
			title: "census is lost: aiplatform no longer knows the job", not: []string{"Ran:", "Ended:", "It was"},
			has: []string{"Noticed: 2026-11-23 16:42 UTC"},
		},
		{
			name:  "long in a run",
			event: change("job.delayed", func(b *job.Snapshot) { b.Delay.Kind, b.Delay.Cause = job.KindRun, "" }),
			has:   []string{"Running since: 2026-11-23 09:21 UTC", "gcloud logging read"},
		},
		{
			name: "can't be checked", title: "census can't be checked yet",
			event: change("drop.incomplete", func(b *job.Snapshot) { b.Drop.Missing = nil }), not: []string{"Upload what"},
		},
		{
			name: "expired without a name", title: "census expired: it was never complete",
			event: change("drop.expired", func(b *job.Snapshot) { b.Drop.Missing = nil }),
		},
		{
			name: "a drop at the root", title: "acme-inbox is running",
			event: change("job.running", func(b *job.Snapshot) { b.Drop.Prefix = "" }),
			has:   []string{"Drop: gs://acme-inbox/\n"},
		},
		{name: "one violation", title: "census was rejected: 1 violation", event: rejected(1), not: []string{"odd", "more"}},
		{name: "many violations", title: "census was rejected: 40 violations", event: rejected(40), has: []string{"\nand 3"}},
		{
			name: "refused by the backend", title: "census was refused by vertex",
			event: change("drop.rejected", func(b *job.Snapshot) {
				b.Violations, b.Job.Backend, b.Reason = nil, "vertex", "the backend refuses the job"
				b.Error = &job.Failure{Code: "INVALID_ARGUMENT", Message: "machine type is unknown"}
			}),
			has: []string{"The backend refuses the job.\nMachine type is unknown.", "Error: INVALID_ARGUMENT"},
			not: []string{"jobdrop validate"},
		},
		{
			name: "withdrawn on request", title: "census was withdrawn on request",
			event: change("drop.withdrawn", func(b *job.Snapshot) {
				b.DuplicateOf = ""
				b.CancelRequested = &job.CancelRequest{Kind: job.KindRequest, By: "ann", Reason: "wrong data"}
			}),
			has: []string{"Cancelled by: ann", "Because: wrong data", "upload job.yaml again",
				"    gcloud storage cp job.yaml gs://acme-inbox/census/\n"},
		},
		{
			name: "failed before it ran", title: "census failed before it ran",
			event: change("job.failed", func(b *job.Snapshot) { b.Times.Started = time.Time{} }),
			has:   []string{"Waited: 6 min", "Ended: "},
		},
		{
			name: "failed after hours", title: "census failed after 2 h 3 min",
			event: change("job.failed", func(b *job.Snapshot) {
				b.Times.Ended = b.Times.Started.Add(2*time.Hour + 3*time.Minute + 9*time.Second)
				b.Error.Retryable = true
			}),
			has: []string{"trying again may help", "Ran: 2 h 3 min"},
		},
		{
			name: "succeeded in part", title: "census succeeded after 44 min 14 s",
			event: change("job.succeeded", func(b *job.Snapshot) { b.Reason = "the job succeeded after 44m14s: 2 of 3 trials" }),
			has:   []string{"\nThe job succeeded after 44m14s: 2 of 3 trials.\n"},
		},
		{
			name: "waited too long", title: "census timed out: it waited longer than 30 min",
			event: change("job.timed_out", func(b *job.Snapshot) {
				b.Timeout = &job.Timeout{Kind: job.KindWait, Limit: job.Duration(30 * time.Minute)}
			}),
			has: []string{"maxWaitTime"},
		},
		{
			name: "stuck in a state", title: "census has been preparing for 24 min 15 s",
			event: change("job.delayed", func(b *job.Snapshot) { b.Delay.Kind = job.KindState }),
			has:   []string{"In this state since: 2026-11-23 09:21 UTC"},
		},
		{
			name: "a long name", event: change("job.running", func(b *job.Snapshot) {
				b.Drop.Prefix = "teams/" + strings.Repeat("nlp-", 50) + "census/"
			}),
			has: []string{"] …", "census is running"},
		},
		{
			name: "words for the shell", event: change("drop.incomplete", func(b *job.Snapshot) {
				b.Drop.Prefix, b.Drop.Missing = "a b;rm -rf ~/$(id)/it's/", []string{"t.whl"}
			}),
			o: Options{StatusBucket: "status"},
			has: []string{
				`gcloud storage cp t.whl 'gs://acme-inbox/a b;rm -rf ~/$(id)/it'\''s/'` + "\n",
				`gcloud storage cat 'gs://status/a b;rm -rf ~/$(id)/it'\''s/status-1795424700381000.json'` + "\n",
			},
		},
		{
			name: "words that can't be typed", event: change("drop.incomplete", func(b *job.Snapshot) {
				b.Drop.Prefix, b.Drop.Missing = "a\u202eb/", []string{"-rf.whl"}
			}),
			o: Options{StatusBucket: "status"}, has: []string{"a<U+202E>b"}, not: []string{"gcloud", "\u202e"},
		},
		{
			name: "a package that a command would take for an option", event: change("drop.incomplete", func(b *job.Snapshot) {
				b.Drop.Missing = []string{"-rf.whl"}
			}),
			not: []string{"gcloud"},
		},
		{
			name: "links of other kinds", event: change("job.failed", func(b *job.Snapshot) {
				b.Links.Console, b.Links.Logs, b.Uploader.URL = "javascript://a.example/%0aalert(1)", "ftp://a.example/",
					"//a.example/"
			}),
			not: []string{"Job: javascript", "Log:", "Upload: "},
		},
		{
			name: "links that are none", event: change("job.failed", func(b *job.Snapshot) {
				b.Links.Console, b.Links.Logs, b.Uploader.URL = "javascript:alert(1)", "https://a@b.example/",
					"https://a.example/|b"
			}),
			not: []string{"Job: https", "Log:", "Upload: "},
		},
		{
			name: "repeats", event: example(t, "drop.rejected"),
			o:   Options{Repeats: 4, Since: time.Date(2026, 11, 23, 7, 2, 0, 0, time.UTC)},
			has: []string{"\nThis drop was rejected 4 more times since 07:02.\n"},
		},
		{
			name: "a repeat of the day before", event: rejected(40),
			o:   Options{Repeats: 1, Since: time.Date(2026, 11, 22, 7, 2, 0, 0, time.UTC)},
			has: []string{"\nThis drop was rejected once more since 2026-11-22 07:02.\n"},
		},
		{
			name: "owners and faults", event: example(t, "job.failed"),
			o: Options{
				Owners: []Owner{{"alice@example.com", "U012", "alice@example.com"}},
				Faults: []string{"routes.yaml:3:1: a\nb", "2", "3", "4", "5", "6", "7"},
			},
			has: []string{
				"owner: alice@example.com U012 alice@example.com\n", "fault: routes.yaml:3:1: a b\n", "fault: and 2 more\n",
			},
			not: []string{"fault: 6"},
		},
		{
			name: "an unknown type", event: func() Event {
				e := example(t, "job.running")
				e.CloudEvent.SetType("dev.jobdrop.job.paused.v1")
				return e
			}(),
			title: "census: job paused",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := Write(tt.event, tt.o)
			got := show(text)
			if tt.title != "" && text.Title != tt.title {
				t.Errorf("title %q, want %q", text.Title, tt.title)
			}
			for _, part := range tt.has {
				if !strings.Contains(got, part) {
					t.Errorf("lacks %q:\n%s", part, got)
				}
			}
			for _, part := range tt.not {
				if strings.Contains(got, part) {
					t.Errorf("has %q:\n%s", part, got)
				}
			}
			checkText(t, text)
		})
	}
}

// checkText holds a text to its bounds, and to what it promises of its characters.
func checkText(t testing.TB, x Text) {
	t.Helper()
	one := func(what, s string, most int) {
		t.Helper()
		if n := utf8.RuneCountInString(s); n > most || !utf8.ValidString(s) {
			t.Errorf("%s has %d characters, at most %d: %.200q", what, n, most, s)
		}
		if at := strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) || text.Invisible(r) }); at >= 0 {
			t.Errorf("%s has a character that can't be seen: %.200q", what, s[at:])
		}
	}
	lines := func(what, s string, most int) {
		t.Helper()
		one(what, strings.NewReplacer("\n", " ", "\t", " ").Replace(s), most)
	}
	if x.Title == "" || strings.TrimSpace(x.Title) != x.Title {
		t.Errorf("title %q", x.Title)
	}
	one("title", x.Title, 150)
	lines("summary", x.Summary, 1000)
	lines("excerpt", x.Excerpt, 4000)
	if len(x.Excerpt) > 4000 || strings.Count(x.Excerpt, "\n") > 40 { // one for the mark of what is left out
		t.Errorf("excerpt of %d bytes, %d lines", len(x.Excerpt), strings.Count(x.Excerpt, "\n")+1)
	}
	if len(x.Facts) > 16 || len(x.Next) > 5 || len(x.Links) > 3 || len(x.Faults) > 6 {
		t.Errorf("%d facts, %d steps, %d links, %d faults", len(x.Facts), len(x.Next), len(x.Links), len(x.Faults))
	}
	for _, f := range x.Facts {
		one("fact", f.Label+f.Value, 320)
		if f.Value == "" {
			t.Errorf("fact %s is empty", f.Label)
		}
	}
	for _, s := range x.Next {
		one("step", s.Text, 300)
		one("command", s.Command, 9000)
	}
	for _, l := range x.Links {
		one("link", l.URL, 2000)
		// A scheme may be written in any case.
		if u := strings.ToLower(l.URL); !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") {
			t.Errorf("link %q", l.URL)
		}
	}
	for _, f := range x.Faults {
		one("fault", f, 300)
	}
}

// hostile are texts that break what shows them carelessly.
var hostile = []string{
	"", "\x00", "a\nb", "\r\nBcc: all@example.com", "\x1b[2J\x1b]0;title\x07", "\u202egnp.exe", "\u2066a", "<!channel>",
	"<b>x</b>", "```\nx", "&amp;", `"quotes" 'and' \`, "\xff\xfe", "{{ state }}", "a\u2028b", strings.Repeat("x", 1<<20),
	strings.Repeat("\n", 1<<17), strings.Repeat("\u202e", 1<<15), strings.Repeat("é\n", 1<<15), "\x1b[" +
		strings.Repeat("1;", 1<<16),
	strings.Repeat("a ", 1<<16), "@everyone", "-rf", "https://example.com/" + strings.Repeat("a", 1<<17),
}

// fill sets every text of an event's body.
func fill(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), s)
		}
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fill(v.Elem(), s)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(v.Index(i), s)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{s: s}))
	}
}

func TestHostileTexts(t *testing.T) {
	template, faults := ParseTemplate(TemplateFields{
		Title: "{{ drop }} {{ reason }}", Summary: "{{ excerpt }}{{ missing }}", Next: "{{ uploader }}\n{{ errorMessage }}",
	})
	if faults != nil {
		t.Fatal(faults)
	}
	for _, s := range hostile {
		for _, name := range []string{"drop.rejected", "drop.incomplete", "drop.expired", "job.failed", "job.delayed"} {
			e := example(t, name)
			state := e.Body.State
			fill(reflect.ValueOf(&e.Body).Elem(), s)
			e.Body.State = state
			for _, o := range []Options{
				{StatusBucket: "status"}, {StatusBucket: s, Template: template},
				{Faults: []string{s, s}, Owners: []Owner{{Name: s}}, Repeats: 3, Since: time.Unix(0, 0)},
			} {
				checkText(t, Write(e, o))
			}
		}
	}
}

func TestTail(t *testing.T) {
	numbered := func(from, to int) string {
		var b strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&b, "line %d\n", i)
		}
		return b.String()
	}
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"white space", " \n\n", ""},
		{"lines", "a\r\nb\n", "a\nb"},
		{"a progress bar", "10%\r20%\rdone", "10%\n20%\ndone"},
		{"colours", "\x1b[31mred\x1b[0m", "red"},
		{"indentation", "  File\n    code", "  File\n    code"},
		{"forty lines", numbered(1, 40), strings.TrimSuffix(numbered(1, 40), "\n")},
		{"more lines", numbered(1, 41), "…\n" + strings.TrimSuffix(numbered(2, 41), "\n")},
		{"a long line", strings.Repeat("é", 3000) + "end", "…\n" + strings.Repeat("é", 1996) + "end"},
	} {
		if diff := cmp.Diff(tt.want, tail(tt.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		most     int
		want     string
	}{
		{"as it is", "größe 日本", 20, "größe 日本"},
		{"white space", " a\r\n\tb\u2028c\u00a0d ", 20, "a b c d"},
		{"control characters", "a\x00b\x1b[31mc\x1b[0m", 20, "a\uFFFDbc"},
		{"what can't be seen", "a\u202eb", 20, "a<U+202E>b"},
		{"as long as may be", "abcde", 5, "abcde"},
		{"longer", "abcdef", 5, "abcd…"},
		{"no space before the mark", "abc def", 5, "abc…"},
		{"characters, not bytes", "ééééé", 5, "ééééé"},
		{"much longer", strings.Repeat("é", 1000), 5, "éééé…"},
		{"cut within a character", "ab" + strings.Repeat("\x1b[m ", 9) + " é", 5, "ab…"},
		{"nothing but white space", strings.Repeat(" ", 1000), 5, "…"},
	} {
		if got := line(tt.in, tt.most); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 s"}, {5 * time.Millisecond, "5 ms"}, {59 * time.Second, "59 s"}, {time.Minute, "1 min"},
		{61 * time.Second, "1 min 1 s"}, {time.Hour, "1 h"}, {time.Hour + 59*time.Second, "1 h"},
		{123 * time.Minute, "2 h 3 min"}, {47*time.Hour + 59*time.Minute, "47 h 59 min"}, {51 * time.Hour, "2 d 3 h"},
		{-90 * time.Second, "-1 min 30 s"}, {math.MinInt64, "-53375 d 23 h"},
	} {
		if got := Duration(tt.d); got != tt.want {
			t.Errorf("%d: %q, want %q", tt.d, got, tt.want)
		}
	}
}

// A text that two workers write is the same, and one that a worker wrote changes nothing of the event.
func TestWriteIsPure(t *testing.T) {
	e := example(t, "job.failed")
	before := e.CloudEvent.String()
	a := Write(e, Options{Faults: []string{"a"}})
	if diff := cmp.Diff(a, Write(e, Options{Faults: []string{"a"}})); diff != "" || e.CloudEvent.String() != before {
		t.Error(diff)
	}
}
