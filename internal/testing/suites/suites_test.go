package main

import (
	stdcmp "cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/testing/testjson"
)

var two = []suite{{name: "a", module: "example.org/a", version: "v1.2.3", least: 2}, {name: "b"}}

func TestExceptions(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []exception
		err        string
	}{
		{name: "empty", text: "# nothing\n\n"},
		{
			name: "each verdict",
			text: "a fails TestX/y  it is not there\n# a comment\nb not-run */grpc none\n",
			want: []exception{
				{line: 1, suite: "a", verdict: fails, pattern: "TestX/y", reason: "it is not there"},
				{line: 3, suite: "b", verdict: notRun, pattern: "*/grpc", reason: "none"},
			},
		},
		{name: "no reason", text: "a fails TestX\n", err: "line 1 has 3 fields, must have four: suite, fails or not-run, test, reason"},
		{name: "unknown suite", text: "\nc fails TestX why\n", err: `line 2: "c" is not a suite, must be one of a, b`},
		{name: "unknown verdict", text: "a flaky TestX why\n", err: `line 1 says "flaky", must say fails or not-run`},
		{name: "twice", text: "a fails TestX why\na not-run TestX why\n", err: "line 2 says again what line 1 says of TestX"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseExceptions(tt.text, two)
			if fmt.Sprint(err) != stdcmp.Or(tt.err, "<nil>") {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(exception{})); tt.err == "" && diff != "" {
				t.Errorf("exceptions (-want +got):\n%s", diff)
			}
		})
	}
}

// The list of the repository is one that is read.
func TestOwnExceptions(t *testing.T) {
	list, err := parseExceptions(exceptionsText, all())
	if err != nil {
		t.Error(err)
	}
	if len(list) == 0 {
		t.Error("no exceptions: is it the list that is embedded?")
	}
}

func TestSkip(t *testing.T) {
	list := []exception{{pattern: "*/grpc"}, {pattern: "TestA[1]"}, {pattern: "TestB/x y"}, {pattern: "TestC*"}}
	got := skip(list)
	if want := `^TestA\[1\]$|^TestC.*$|^.*$/^grpc$|^TestB$/^x y$`; got != want {
		t.Errorf("skip is %s, want %s", got, want)
	}
	for _, p := range regexp.MustCompile(`[/|]`).Split(got, -1) {
		if _, err := regexp.Compile(p); err != nil {
			t.Error(err)
		}
	}
	none := absent(list, []string{"TestA[1]", "TestCat"})
	if len(none) != 1 || none[0].pattern != "TestB/x y" {
		t.Errorf("absent: %v, want TestB/x y", none)
	}
}

func TestNamed(t *testing.T) {
	if got, err := named(two, nil); err != nil || len(got) != 2 {
		t.Errorf("without names: %v, %v", got, err)
	}
	if got, err := named(two, []string{"b"}); err != nil || len(got) != 1 || got[0].name != "b" {
		t.Errorf("b: %v, %v", got, err)
	}
	if _, err := named(two, []string{"b", "x"}); err == nil || !strings.Contains(err.Error(), `"x" is not a suite`) {
		t.Errorf("x: %v", err)
	}
}

// Every suite has a least count, each of Go a version that is pinned, and a version one that uses it.
func TestVersions(t *testing.T) {
	used := map[string]bool{}
	for _, s := range all() {
		if s.module != "" && !strings.HasPrefix(s.version, "v") {
			t.Errorf("%s: no version of %s", s.name, s.module)
		}
		used[s.module] = true
		if s.least < 1 {
			t.Errorf("%s: no least count of tests that pass", s.name)
		}
	}
	for m := range versions {
		if !used[m] {
			t.Errorf("no suite is of %s", m)
		}
	}
}

// events are of a suite with tests that pass, fail, are skipped and never end.
const said = `
{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"run","Package":"p","Test":"TestParts"}
{"Action":"run","Package":"p","Test":"TestParts/http"}
{"Action":"output","Package":"p","Test":"TestParts/http","Output":"=== RUN   TestParts/http\n"}
{"Action":"output","Package":"p","Test":"TestParts/http","Output":"    x_test.go:7: got 501\n"}
{"Action":"fail","Package":"p","Test":"TestParts/http"}
{"Action":"run","Package":"p","Test":"TestParts/good"}
{"Action":"pass","Package":"p","Test":"TestParts/good"}
{"Action":"fail","Package":"p","Test":"TestParts"}
{"Action":"run","Package":"p","Test":"TestLeft"}
{"Action":"skip","Package":"p","Test":"TestLeft"}
{"Action":"run","Package":"p","Test":"TestHangs"}
{"Action":"output","Package":"p","Test":"TestHangs","Output":"panic: test timed out after 1s\n\ngoroutine 1 [running]:\n"}
{"Action":"fail","Package":"p"}
`

func TestJudge(t *testing.T) {
	const (
		failed = "\na: TestParts/http failed:\n        x_test.go:7: got 501\n"
		hangs  = "\na: TestHangs did not end:\n    panic: test timed out after 1s\n"
	)
	for _, tt := range []struct {
		name, exceptions, line, details string
	}{
		{
			name: "none",
			line: "4 run,   2 passed,  0 expected exceptions,  2 unexpected,  1 skipped", details: failed + hangs,
		},
		{
			name:       "expected",
			exceptions: "a fails TestParts/http not there\na fails TestHangs not there",
			line:       "4 run,   2 passed,  2 expected exceptions,  0 unexpected,  1 skipped",
		},
		{
			name:       "of another suite",
			exceptions: "b fails TestParts/http not there\na fails TestHangs not there",
			line:       "4 run,   2 passed,  1 expected exceptions,  1 unexpected,  1 skipped", details: failed,
		},
		{
			name:       "no longer fails",
			exceptions: "a fails TestParts/* not there\na fails TestHangs not there",
			line:       "4 run,   2 passed,  2 expected exceptions,  0 unexpected,  1 skipped",
			details:    "\na: TestParts/* no longer fails: delete line 1 of exceptions.txt (not there)\n",
		},
		{
			name:       "of no test",
			exceptions: "a fails TestParts/http not there\na fails TestHangs not there\na fails TestLeft it is skipped",
			line:       "4 run,   2 passed,  2 expected exceptions,  0 unexpected,  1 skipped",
			details:    "\na: no test TestLeft was run: mend line 3 of exceptions.txt\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := parseExceptions(tt.exceptions, two)
			if err != nil {
				t.Fatal(err)
			}
			line, details := report(t, said, of(list, "a", fails))
			if diff := cmp.Diff(fmt.Sprintf("%-16s  %-38s    %s     2s\n", "a", "example.org/a v1.2.3", tt.line), line); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.details, details); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
		})
	}
}

// A package may fail as a whole, and one of which too few tests pass has seen no stack.
func TestJudgePackage(t *testing.T) {
	const few = "the suite has not found the stack, skips what it did not, or has other names; if its tests are fewer, " +
		"mend its least in suites.go\n"
	for _, tt := range []struct{ name, said, want string }{
		{
			name: "it does not build",
			said: `{"Action":"build-output","ImportPath":"p","Output":"x.go:1: undefined: y\n"}
				{"Action":"fail","Package":"p"}`,
			want: "\na: (package) failed:\n    x.go:1: undefined: y\n",
		},
		{
			name: "it ends at once",
			said: `{"Action":"output","Package":"p","Output":"no credentials\n"}{"Action":"fail","Package":"p"}`,
			want: "\na: (package) failed:\n    no credentials\n",
		},
		{name: "nothing is said", want: "\na: (package) failed:\n"},
		{
			name: "all is skipped",
			said: `{"Action":"run","Test":"T"}{"Action":"skip","Test":"T"}{"Action":"pass"}`,
			want: "\na: (package) failed:\n    0 tests passed, must be 2 or more: " + few,
		},
		{
			name: "most is skipped",
			said: `{"Action":"run","Test":"T"}{"Action":"skip","Test":"T"}{"Action":"run","Test":"U"}{"Action":"pass","Test":"U"}
				{"Action":"pass"}`,
			want: "\na: (package) failed:\n    1 tests passed, must be 2 or more: " + few,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, details := report(t, tt.said, nil)
			if diff := cmp.Diff(tt.want, details); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
		})
	}
}

func report(t *testing.T, said string, list []exception) (line, details string) {
	t.Helper()
	r := newResult()
	if err := testjson.Read(strings.NewReader(said), r.take); err != nil {
		t.Fatal(err)
	}
	v := r.judge(list, two[0].least)
	var l, d strings.Builder
	v.line(&l, two[0], 2*time.Second)
	v.details(&d, two[0])
	if v.failed() != (d.Len() > 0) {
		t.Errorf("failed is %t, details are %q", v.failed(), d.String())
	}
	return l.String(), d.String()
}

func TestTail(t *testing.T) {
	var long strings.Builder
	for n := range 100 {
		fmt.Fprintf(&long, "%d\n\n", n)
	}
	got := tail(long.String())
	if lines := strings.Count(got, "\n"); lines != tailLines || !strings.HasSuffix(got, "    99\n") {
		t.Errorf("%d lines, the last of them %q", lines, got)
	}
}

// No suite sees the user's accounts, projects or emulators.
func TestEnviron(t *testing.T) {
	got := clean([]string{
		"PATH=/bin", "GOOGLE_APPLICATION_CREDENTIALS=mine", "CLOUDSDK_CONFIG=mine", "RCLONE_CONFIG=mine", "JOBDROP_INBOX=mine",
		"STORAGE_EMULATOR_HOST=other", "PUBSUB_EMULATOR_HOST=other", "GCLOUD_PROJECT=mine", "GOFLAGS=-p=1",
	})
	if want := []string{"PATH=/bin", "GOFLAGS=-p=1"}; !slices.Equal(got, want) {
		t.Errorf("the environment is %v, want %v", got, want)
	}
	s := &stack{dir: t.TempDir(), env: map[string]string{"STORAGE_EMULATOR_HOST": "http://127.0.0.1:4443"}}
	if got := s.environ([]string{"STORAGE_EMULATOR_HOST=$STORAGE"}); got[len(got)-1] != "STORAGE_EMULATOR_HOST=127.0.0.1:4443" {
		t.Errorf("the last variable is %s", got[len(got)-1])
	}
}

func TestCut(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	write("a_test.go", "call(ctx, cloud)\ncall(ctx, cloud)\n")
	write("b_test.go", "call(ctx)\n")
	if err := (suite{without: ", cloud"}).cut(to, from); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(to, "a_test.go"))
	if want := "call(ctx)\ncall(ctx)\n"; err != nil || string(got) != want {
		t.Errorf("a_test.go is %q, %v; want %q", got, err, want)
	}
	if err := (suite{without: "sky"}).cut(to, from); err == nil {
		t.Error("a text that no test has is taken out")
	}
	if err := (suite{}).cut(to, from); err != nil {
		t.Error(err)
	}
}
