package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/storage"
)

// documented returns the file of faults that docs/local.md shows.
func documented(t *testing.T) []byte {
	t.Helper()
	doc, err := os.ReadFile("../../docs/local.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(doc), "```yaml\nfaults:")
	text, _, closed := strings.Cut(text, "```\n")
	if !ok || !closed {
		t.Fatal("docs/local.md shows no file of faults")
	}
	return []byte("faults:" + text)
}

func TestParseFaults(t *testing.T) {
	got, err := parseFaults("faults.yaml", documented(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []storage.Fault{
		{
			Do: "return-503", Method: "storage.objects.insert", Bucket: "jobdrop-inbox", Object: "**/job.yaml",
			From: 2, Times: 2,
		},
		{Do: "return-broken-stream-after-256K", Method: "storage.objects.get", Every: 3, Always: true},
		{Do: "lose-answer", Method: "storage.objects.insert", Bucket: "jobdrop-status"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if got, err := parseFaults("faults.yaml", []byte("{}")); err != nil || len(got) > 0 {
		t.Errorf("no faults: %v, %v", got, err)
	}
}

// What is wrong in a file of faults is told with its line and column, all of it at once.
func TestParseFaultsRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"unknown field", "faults:\n- do: return-503\n  methods: x\n", "f.yaml:3:3: "},
		{"another top", "fault: []\n", "f.yaml:1:1: "},
		{"no failure", "faults:\n- method: storage.objects.get\n", "f.yaml:2:3: "},
		{"not a failure", "faults:\n- do: return-5\n", `f.yaml:2:7: faults[0].do: "return-5" is not a failure: want one like return-503`},
		{"status", "faults:\n- do: return-200\n", `f.yaml:2:7: faults[0].do: "return-200" has a status`},
		{"too late", "faults:\n- do: return-503-after-2000000K\n", "f.yaml:2:7: "},
		{"no such call", "faults:\n- do: return-503\n  method: storage.object.get\n",
			`f.yaml:3:11: faults[0].method: "storage.object.get" matches no call: want one of storage.buckets.list`},
		{"glob", "faults:\n- do: return-503\n  object: '['\n", "f.yaml:3:11: "},
		{"long glob", "faults:\n- do: return-503\n  bucket: " + strings.Repeat("x", 513) + "\n", "f.yaml:3:11: "},
		{"number", "faults:\n- do: return-503\n  times: 0\n", "f.yaml:3:10: faults[0].times: 0 is not a number of calls"},
		{"negative", "faults:\n- do: return-503\n  from: -1\n", "f.yaml:3:9: "},
		{"both", "faults:\n- {do: return-503, times: 2, always: true}\n", "f.yaml:2:38: "},
		{"text for a number", "faults:\n- do: return-503\n  every: often\n", "f.yaml:3:10: "},
		{"many", "faults:\n" + strings.Repeat("- do: return-503\n", 101), "f.yaml:1:1: faults: the list is too long"},
		{"not YAML", "faults: [\n", "f.yaml:"},
		{"empty", "", "f.yaml:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseFaults("f.yaml", []byte(test.text))
			var shown strings.Builder
			if faulty(piped(&shown), err) == nil || !strings.HasPrefix(shown.String(), test.want) {
				t.Errorf("shown is %s, want %s…: %v", shown.String(), test.want, err)
			}
		})
	}
	_, err := parseFaults("f.yaml", []byte("faults:\n- do: x\n- do: return-503\n  object: '['\n"))
	if f, ok := errors.AsType[*faultyFile](err); !ok || len(f.report.Violations) != 2 {
		t.Errorf("got %v, want both mistakes", err)
	}
}

// A stack with faults runs jobs all the same: jobdrop tries again.
func TestLocalFaults(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "faults.yaml")
	// Without the entry for uploads of job files, which is for the client that drops.
	_, text, _ := strings.Cut(string(documented(t)), "times: 2\n")
	text = "faults:\n" + text + "  - {do: return-503, method: storage.objects.insert, bucket: " + local.State + ", every: 3, times: 5}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startLocal(t, t.TempDir(), "--faults", file, "--verbose")
	dropInto(t, r.storage(t), "hello")
	r.awaitOutput(t, "storage call fails, as asked for")
	r.awaitOutput(t, "job.succeeded")
}
