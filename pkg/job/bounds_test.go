package job

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// characters are texts of one character that take the most of JSON, and some that do not.
var characters = []string{"a", "\x01", "<", `"`, "\u2028", "é", "数", "\n", "\xff", "😀"}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func encodedSize(t testing.TB, v any) int {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return len(data)
}

func TestSizesAreThoseOfJSON(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 0))
	for range 2000 {
		var b strings.Builder
		for range random.IntN(30) {
			b.WriteString(characters[random.IntN(len(characters))])
		}
		text, limit := b.String(), 3+random.IntN(60)
		if got, want := TextSize(text), encodedSize(t, text)-2; got != want {
			t.Errorf("TextSize(%q) = %d, want %d", text, got, want)
		}
		short := BoundText(text, limit)
		if n := encodedSize(t, short) - 2; n > limit {
			t.Errorf("BoundText(%q, %d) = %q, of %d bytes", text, limit, short, n)
		}
		if again := BoundText(short, limit); again != short {
			t.Errorf("BoundText(%q, %d) = %q, and then %q", text, limit, short, again)
		}
		o := Object{
			Bucket: text, Name: text, Generation: -1 << 62, Size: 1 << 62, CRC32C: text, Created: noon.Add(time.Nanosecond),
			CorrelationID: text,
		}
		v := Violation{
			Rule: Rule(text), Severity: Warning, File: text, Position: Position{1 << 62, 1 << 62}, Field: text, Found: text,
			Allowed: text, Message: text, Remedy: text,
		}
		for _, one := range []struct {
			value any
			size  int
		}{{o, o.size()}, {v, v.size()}} {
			if n := encodedSize(t, one.value); n > one.size {
				t.Errorf("%+v takes %d bytes, and at most %d were told", one.value, n, one.size)
			}
		}
	}
}

// TestLarger covers every value that may exceed a limit.
func TestLarger(t *testing.T) {
	minimum := -1.7976931348623157e+308
	spec := Spec{
		JobID: "j", Labels: map[string]string{"a": "<", "b": "\x01"},
		TrainingInput: &TrainingInput{
			Args: []string{"<<<", "", "\xff"}, EnableWebAccess: true, WorkerCount: -1 << 62,
			Scheduling: &Scheduling{Priority: -1 << 31},
			Hyperparameters: &HyperparameterSpec{
				Params: []ParameterSpec{{DiscreteValues: []float64{minimum, 0, 5e-324}, MinValue: &minimum}},
			},
		},
	}
	for _, v := range []any{
		spec, Receipt{Objects: []Object{{Name: "n", Created: noon.Add(1)}, {}}, Staged: []string{"", ""}},
		Mapping{Image: "i", DisableRetries: true}, []string{"a"}, []string(nil),
	} {
		n := encodedSize(t, v)
		if !Larger(n-1, v) {
			t.Errorf("%T of %d bytes is no larger than %d", v, n, n-1)
		}
		if Larger(4*n+100, v) {
			t.Errorf("%T of %d bytes is larger than %d", v, n, 4*n+100)
		}
	}
	if Larger(10, "abc", "abc") == Larger(20, "abc", "abc") {
		t.Error("values do not count together")
	}
	// A hundred thousand aliases of a text stand for 100 GB.
	one := strings.Repeat("<", 1<<20)
	huge := make([]string, 100_000)
	for i := range huge {
		huge[i] = one
	}
	if !Larger(MaxSpec, Spec{TrainingInput: &TrainingInput{Args: huge}}) {
		t.Error("100 GB are no larger than the limit")
	}
}

// Of too many violations the errors are kept, in their order, and the last one says
// how many are left out.
func TestTooManyViolations(t *testing.T) {
	var vs []Violation
	for i := range 300 {
		v := Violation{Rule: Rule(fmt.Sprint(i)), Severity: Warning, File: "job.yaml", Message: "m"}
		if i%3 == 0 {
			v.Severity = Error
		}
		vs = append(vs, v)
	}
	got, cut := boundViolations(vs)
	last := got[len(got)-1]
	if !cut || len(got) != MaxViolations || last.Severity != Warning || last.Message != "there are 101 more violations" {
		t.Errorf("cut %t, %d violations, the last %+v", cut, len(got), last)
	}
	failures, at := 0, -1
	for _, v := range got[:len(got)-1] {
		if v.Severity == Error {
			failures++
		}
		var n int
		if _, err := fmt.Sscan(string(v.Rule), &n); err != nil || n <= at {
			t.Errorf("violation %s follows %d", v.Rule, at)
		}
		at = n
	}
	if failures != 100 {
		t.Errorf("%d of 100 errors are kept", failures)
	}
	for i := range vs {
		vs[i].Severity = Error
	}
	if got, _ := boundViolations(vs); got[len(got)-1].Severity != Error {
		t.Error("errors were left out, and the last violation is a warning")
	}
}

// A history keeps how an attempt began and how it stands; no earlier copy of it changes.
func TestRemember(t *testing.T) {
	var history []HistoryEntry
	var copies [][]HistoryEntry
	for n := range int64(200) {
		history = Remember(history, HistoryEntry{Sequence: n + 1, Reason: strings.Repeat("<", 500)})
		copies = append(copies, history)
	}
	var kept []int64
	for _, e := range history {
		kept = append(kept, e.Sequence)
		if n := TextSize(e.Reason); n > 200 {
			t.Errorf("event %d: the reason takes %d bytes", e.Sequence, n)
		}
	}
	if len(kept) != 64 || kept[15] != 16 || kept[16] != 153 || kept[63] != 200 {
		t.Errorf("kept %d", kept)
	}
	for n, early := range copies {
		if last := early[len(early)-1].Sequence; last != int64(n+1) {
			t.Fatalf("the history of event %d ends with event %d", n+1, last)
		}
		if !slices.IsSortedFunc(early, func(a, b HistoryEntry) int { return cmp.Compare(a.Sequence, b.Sequence) }) {
			t.Fatalf("the history of event %d is out of order: %v", n+1, early)
		}
	}
}

// What an uploader says of itself is cut, and only a page's address becomes a link.
func TestUploaderOf(t *testing.T) {
	metadata := func(link string) map[string]string {
		return map[string]string{
			"jobdrop-uploader-name": "Ada", "jobdrop-uploader-commit": strings.Repeat("<", 8<<10),
			"jobdrop-uploader-branch": "main", "jobdrop-uploader-url": link, "jobdrop-uploader-other": "no",
		}
	}
	for link, want := range map[string]string{
		"https://ci.example/runs/7?a=b": "https://ci.example/runs/7?a=b", "http://ci.example": "http://ci.example",
		"javascript:alert(1)": "", "data:text/html,x": "", "//ci.example/7": "", "https:///7": "", "https://a b/": "",
		"ftp://ci.example": "", "https://github.com@evil.example/": "", "https://user:token@ci.example/": "",
		"https://ci.example/" + strings.Repeat("a", 4<<10): "", "": "", "\x00": "",
	} {
		u := UploaderOf(metadata(link))
		if u.URL != want || u.Name != "Ada" || u.Branch != "main" || TextSize(u.Commit) > 256 || u.Commit == "" {
			t.Errorf("%.40q: %+v, want the URL %q", link, u, want)
		}
	}
	broken := map[string]string{"jobdrop-uploader-name": " Ada\r\nBcc: all\u202e\u200b\u2028x "}
	if u := UploaderOf(broken); u.Name != "Ada  Bcc: all x" {
		t.Errorf("a name that breaks its line becomes %q", u.Name)
	}
	if u := UploaderOf(nil); u != (Uploader{}) {
		t.Errorf("nobody: %+v", u)
	}
}

// No field of a snapshot is new to the bounds: what is added gets one, and comes
// here.
func TestBoundsCoverTheSnapshot(t *testing.T) {
	bounded := map[string]string{
		"Attempt": "a hash and a number", "Sequence": "a number", "State": "a constant", "Reason": "Bounded",
		"Job": "Bounded; labels: Accept; trials: bounded", "Drop": "Bounded", "Times": "times", "Deadlines": "times",
		"Timeout": "constants and a duration", "Delay": "constants, a duration and a time", "Error": "Bounded",
		"Violations": "Bounded", "Links": "Bounded", "CorrelationID": "NewRecord", "Truncated": "a truth value",
		"History": "Remember", "Uploader": "UploaderOf", "Notify": "Bounded", "DuplicateOf": "a hash and a number",
		"CancelRequested": "Bounded", "Rerun": "Bounded", "Restarts": "numbers, durations and a time",
	}
	typ := reflect.TypeFor[Snapshot]()
	for i := range typ.NumField() {
		if bounded[typ.Field(i).Name] == "" {
			t.Errorf("%s has no bound", typ.Field(i).Name)
		}
	}
}
