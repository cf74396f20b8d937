package cli

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/logging/v2"

	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The line of an event names its drop and its job, and what was wrong.
func TestTold(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(Env{Out: &out, Now: time.Now}, formatText)
	body := event.Body{
		Drop:       job.DropInfo{Bucket: "inbox", Prefix: "a/"},
		Job:        job.JobInfo{ID: "a_1", ResourceName: "projects/local/jobs/a_1"},
		Reason:     "the drop is not valid",
		Violations: []job.Violation{{File: "job.yaml", Field: "trainingInput.region", Message: "no"}},
	}
	p.told(event.DropRejected, body)
	p.told(event.JobRunning, body)
	p.told(event.JobSubmitted, body)
	body.Drop.Prefix = ""
	p.told(event.JobRunning, body)
	want := []string{
		"drop.rejected  gs://inbox/a/  a_1  the drop is not valid",
		"    job.yaml: trainingInput.region: no",
		"job.running    gs://inbox/a/  a_1",
		"job.submitted  gs://inbox/a/    projects/local/jobs/a_1",
		"job.running    gs://inbox/  a_1",
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("told was\n%s", out.String())
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, want[i]) {
			t.Errorf("line %q does not end with %q", line, want[i])
		}
	}
}

// A line of a log names its replica and its trial.
func TestLogLine(t *testing.T) {
	for _, tt := range []struct {
		labels map[string]string
		want   string
	}{
		{nil, "    master-replica-0 | hello\n"},
		{map[string]string{"ml.googleapis.com/trial_id": "3"}, "    trial 3 master-replica-0 | hello\n"},
	} {
		var out bytes.Buffer
		newPrinter(Env{Out: &out, Now: time.Now}, formatText).log(lineOf(&logging.LogEntry{
			Labels: tt.labels, TextPayload: "hello", Timestamp: "2026-01-02T03:04:05Z",
			Resource: &logging.MonitoredResource{Labels: map[string]string{"task_name": "master-replica-0"}},
		}))
		if !strings.HasSuffix(out.String(), tt.want) {
			t.Errorf("the line is %q, want its end %q", out.String(), tt.want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for _, value := range []string{"", "plain", "a b", "it's", `$HOME "x" \`, "http://[::1]:1/", "*", "a;b", "\n"} {
		out, err := exec.Command("sh", "-c", "printf %s "+envfile.Quote(value)).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q, quoted as %s, is read as %q, %v", value, envfile.Quote(value), out, err)
		}
	}
}

// gsutil takes its address from a file, in two parts.
func TestLocalOnIPv6(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("SKIPPED: no IPv6 here: ", err)
	}
	l.Close()
	r := startLocal(t, t.TempDir(), "--host", "::1")
	dropInto(t, r.storage(t), "hello")
	awaitStatus(t, r.storage(t), "hello/", string(job.Succeeded))
	boto, err := os.ReadFile(r.env["BOTO_CONFIG"])
	if err != nil || !strings.Contains(string(boto), "gs_json_host = ::1\n") {
		t.Errorf("gsutil's settings are %s, %v", boto, err)
	}
}

// Other machines reach the stack by this machine's name, and not by one that a web
// page makes up.
func TestLocalForOthers(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir(), "--host", "0.0.0.0", "--allow-remote")
	get := func(host string) int {
		t.Helper()
		url := r.env["STORAGE_EMULATOR_HOST"] + "/storage/v1/b/jobdrop-inbox"
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"localhost": 200, name: 200, "example.com": 403} {
		if got := get(host); got != want {
			t.Errorf("as %s: %d, want %d", host, got, want)
		}
	}
	if !strings.Contains(r.output.String(), "Other machines") {
		t.Errorf("output is %s", r.output)
	}
}

// Whoever interrupts a start has what they want.
func TestLocalInterruptedAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := runWith(ctx, strings.NewReader(""), "local", "--data", t.TempDir())
	if got.code != exitSucceeded {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
}

func TestDataDir(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home) // which os.UserHomeDir reads
	for _, test := range []struct{ flag, xdg, want string }{
		{"", "", filepath.Join(home, ".local/share/jobdrop")},
		{"", "/data", "/data/jobdrop"},
		{"", "relative", filepath.Join(home, ".local/share/jobdrop")},
		{"/own", "/data", "/own"},
	} {
		env := Env{Getenv: func(string) string { return test.xdg }}
		if got, err := dataDir(test.flag, env); err != nil || got != test.want {
			t.Errorf("--data %q with XDG_DATA_HOME %q is %s, %v", test.flag, test.xdg, got, err)
		}
	}
}

// If all storage events are lost, ticks find the drop after a while.
func TestLocalLosesEvents(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir(), "--lose-events", "--verbose")
	dropInto(t, r.storage(t), "hello")
	r.awaitOutput(t, "event lost, as asked for")
	r.awaitOutput(t, "a drop was found whose event did not come")
	r.awaitOutput(t, "job.succeeded")
}

// The interpreter that is named runs the jobs. One that is not there is an error.
func TestLocalPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	own, used := filepath.Join(dir, "my-python"), filepath.Join(dir, "used")
	script := fmt.Appendf(nil, "#!/bin/sh\necho used >%s\nexec %s \"$@\"\n", used, python)
	if err := os.WriteFile(own, script, 0o700); err != nil {
		t.Fatal(err)
	}
	r := startLocal(t, t.TempDir(), "--python", own)
	dropInto(t, r.storage(t), "hello")
	awaitStatus(t, r.storage(t), "hello/", string(job.Succeeded))
	if _, err := os.Stat(used); err != nil {
		t.Error(err)
	}
	if got := run(t, "local", "--data", t.TempDir(), "--python", "/none"); got.code != exitMissing {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
}
