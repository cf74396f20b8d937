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
	"syscall"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The line of an event names its drop and its job, and what was wrong. An event that
// comes again is not shown again.
func TestTold(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(Env{Out: &out, Now: time.Now}, formatText)
	close(p.known)
	body := event.Body{
		Attempt: "a", Sequence: 1,
		Drop:       job.DropInfo{Bucket: "inbox", Prefix: "a/"},
		Job:        job.JobInfo{ID: "a_1", ResourceName: "projects/local/jobs/a_1"},
		Reason:     "the drop is not valid",
		Violations: []job.Violation{{File: "job.yaml", Field: "trainingInput.region", Message: "no"}},
	}
	tell := func(attempt string, sequence int64, typ event.Type) {
		body.Attempt, body.Sequence = attempt, sequence
		p.told(t.Context(), typ, body)
	}
	tell("a", 1, event.DropRejected)
	tell("a", 2, event.JobRunning)
	tell("a", 1, event.DropRejected)
	tell("a", 2, event.JobRunning)
	tell("b", 1, event.JobSubmitted)
	body.Drop.Prefix = ""
	tell("b", 2, event.JobRunning)
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

// The line of an attempt's end says why it ended, once.
func TestEndings(t *testing.T) {
	loss := 0.25
	for _, tt := range []struct {
		name string
		typ  event.Type
		body event.Body
		want string
	}{
		{"cancelled", event.JobCancelled, event.Body{Reason: "somebody cancelled the job after 3s"},
			"job.cancelled  somebody cancelled the job after 3s"},
		{"failed", event.JobFailed, event.Body{
			Reason: "the job failed after 3s: no rows",
			Error:  &job.Failure{Message: "no rows.\nTraceback (most recent call last):\n  File"},
		}, "job.failed     the job failed after 3s: no rows"},
		{"failed without a message", event.JobFailed, event.Body{
			Reason: "the job failed: the backend does not say why", Error: &job.Failure{},
		}, "job.failed     the job failed: the backend does not say why"},
		{"failed without a reason", event.JobFailed, event.Body{Error: &job.Failure{Message: "\n\nno rows\nmore"}},
			"job.failed     no rows"},
		{"failed with nothing", event.JobFailed, event.Body{}, "job.failed"},
		{"timed out", event.JobTimedOut, event.Body{
			Reason:  "the job ran for longer than its limit of 60s, and jobdrop ended it",
			Timeout: &job.Timeout{Kind: job.KindRun, EnforcedBy: job.ByJobdrop},
			Error:   &job.Failure{Message: "cancelled"},
		}, "job.timed_out  the job ran for longer than its limit of 60s, and jobdrop ended it"},
		{"lost", event.JobLost, event.Body{Reason: "the backend no longer knows the job"},
			"job.lost       the backend no longer knows the job"},
		{"succeeded", event.JobSucceeded, event.Body{Reason: "the job succeeded after 3s: in part"},
			"job.succeeded  the job succeeded after 3s: in part"},
		{"tuned", event.JobSucceeded, event.Body{
			Reason: "the job succeeded after 3s",
			Job: job.JobInfo{Trials: []job.Trial{
				{ID: "2", Objective: &loss, Parameters: map[string]string{"rate": "0.5"}}}},
		}, "job.succeeded  the job succeeded after 3s: best of 1 trials is 2: rate=0.5 gives 0.25"},
		{"refused", event.DropRejected, event.Body{
			Reason: "the backend refused the job", Error: &job.Failure{Message: "no such region\nat all"},
		}, "drop.rejected  the backend refused the job: no such region\n    at all"},
		{"refused in the same words", event.DropRejected, event.Body{
			Reason: "the backend refused the job", Error: &job.Failure{Message: "the backend refused the job"},
		}, "drop.rejected  the backend refused the job"},
		{"expired", event.DropExpired, event.Body{Reason: "the package did not come"},
			"drop.expired   the package did not come"},
	} {
		var out bytes.Buffer
		p := newPrinter(Env{Out: &out, Now: time.Now}, formatText)
		p.follow("a")
		tt.body.Attempt, tt.body.Sequence = "a", 1
		p.event(t.Context(), cloudevents.NewEvent(), tt.typ, tt.body)
		if got := strings.TrimSuffix(out.String()[len("15:04:05.000  "):], "\n"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A job's log has its colours on a terminal, and nothing else that steers one; verdicts
// have theirs. NO_COLOR, and what is no terminal, get neither.
func TestColours(t *testing.T) {
	const plain = "    master | loss 5%|  job.failed     no rows|  failed after 2s|"
	for _, tt := range []struct {
		name     string
		terminal bool
		env      map[string]string
		want     string
	}{
		{"a terminal", true, nil, "    master | \x1b[31mloss\x1b[0m 5%\x1b[0m|  \x1b[31mjob.failed    \x1b[0m no rows|  " +
			"\x1b[31mfailed\x1b[0m after 2s|"},
		{"a file", false, nil, plain},
		{"NO_COLOR", true, map[string]string{"NO_COLOR": "1"}, plain},
		{"nothing forces them", false, map[string]string{"CLICOLOR_FORCE": "1", "FORCE_COLOR": "1"}, plain},
		{"dumb", true, map[string]string{"TERM": "dumb"}, plain},
	} {
		var out bytes.Buffer
		p := newPrinter(Env{
			Out: &out, Now: time.Now, Terminal: tt.terminal, Getenv: func(name string) string { return tt.env[name] },
		}, formatText)
		p.follow("a")
		p.log(training.Line{Task: "master", Text: "\x1b[31mloss\x1b[0m\x1b[2K 5%", Time: time.Now()})
		p.event(t.Context(), cloudevents.NewEvent(), event.JobFailed, event.Body{
			Attempt: "a", Sequence: 1, State: event.Failed,
			Error: &job.Failure{Message: "\x1b[1mno rows\x1b[0m\nTraceback (most recent call last):\n  File"},
		})
		p.verdict(event.Failed, "failed", " after 2s")
		var got strings.Builder
		for line := range strings.Lines(out.String()) {
			got.WriteString(strings.TrimSuffix(line[len("15:04:05.000"):], "\n") + "|")
		}
		if got.String() != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got.String(), tt.want)
		}
	}
}

// The lines of a job come after the event that says where it is, or when they are old.
func TestLinesWaitForTheirEvent(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	p := newPrinter(Env{Out: &out, Now: func() time.Time { return now }}, formatText)
	p.follow("a")
	order := func(want ...string) {
		t.Helper()
		at := -1
		for _, w := range want {
			next := strings.Index(out.String(), w)
			if next <= at {
				t.Errorf("%q does not come in its turn:\n%s", w, out.String())
			}
			at = next
		}
	}
	p.hold()
	p.log(training.Line{Task: "service", Text: "is queued", Time: now})
	p.event(t.Context(), cloudevents.NewEvent(), event.DropAccepted, event.Body{
		Attempt: "a", Sequence: 1, Drop: job.DropInfo{Receipt: &job.Receipt{}}})
	p.event(t.Context(), cloudevents.NewEvent(), event.JobSubmitted, event.Body{
		Attempt: "a", Sequence: 2, Job: job.JobInfo{ResourceName: "projects/p/jobs/j"}})
	p.log(training.Line{Task: "service", Text: "is running", Time: now})
	order("drop.accepted", "job.submitted", "is queued", "is running")

	out.Reset()
	p.hold()
	p.log(training.Line{Task: "service", Text: "is queued", Time: now})
	if p.release(longestHold); strings.Contains(out.String(), "is queued") {
		t.Error("a young line is shown before its event")
	}
	now = now.Add(longestHold)
	p.release(longestHold)
	order("is queued")
}

// What an attempt waits for is shown once, and not after an event that is newer.
func TestStatus(t *testing.T) {
	var out bytes.Buffer
	p := newPrinter(Env{Out: &out, Now: time.Now}, formatText)
	close(p.known)
	show := func(sequence int64, state event.State, reason string) {
		p.status(t.Context(), event.Body{
			Attempt: "a", Sequence: sequence, State: state, Reason: reason, Drop: job.DropInfo{Bucket: "inbox", Prefix: "a/"},
		})
	}
	show(0, event.Waiting, "waiting for a package")
	show(0, event.Waiting, "waiting for a package")
	show(0, event.Held, "held until noon")
	show(1, event.Submitted, "")
	p.told(t.Context(), event.DropAccepted, event.Body{
		Attempt: "a", Sequence: 1, State: event.Accepted, Reason: "waits for quota", Drop: job.DropInfo{
			Bucket: "inbox", Prefix: "a/", Receipt: &job.Receipt{}},
	})
	show(0, event.Held, "held until one")
	show(1, event.Accepted, "waits for quota")
	show(1, event.Accepted, "paused")
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.TrimRight(line[len("15:04:05.000  "):], " \n"))
	}
	want := []string{
		"waiting        gs://inbox/a/  waiting for a package", "held           gs://inbox/a/  held until noon",
		"drop.accepted  gs://inbox/a/    : : waits for quota", "accepted       gs://inbox/a/  paused",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// jobdrop local says what people wait for: what is missing and what is nearly right, why
// a drop is held and how to go on, that a job file is missing, and at its start what a
// crash has ended.
func TestLocalSaysWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	r := startLocal(t, data)
	storage := r.storage(t)
	put := func(name, from string) {
		t.Helper()
		f, err := os.Open(from)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := storage.Upload(t.Context(), local.Inbox, name, f, nil); err != nil {
			t.Fatal(err)
		}
	}
	const hello = dropsDir + "/hello/"
	put("near/config.yaml", hello+"job.yaml")
	put("alone/trainer-0.1.tar.gz", hello+"trainer-0.1.tar.gz")
	put("waits/job.yaml", hello+"job.yaml")
	put("waits/trainer.zip", hello+"trainer-0.1.tar.gz")
	put("held/trainer-0.1.tar.gz", hello+"trainer-0.1.tar.gz")
	put("held/job.yaml", hello+"job.yaml")
	for _, text := range []string{
		"no job file    gs://jobdrop-inbox/near/  config.yaml is there: rename it to job.yaml",
		"no job file    gs://jobdrop-inbox/alone/  nothing runs until job.yaml, job.yml or job.json is uploaded here",
		"waiting        gs://jobdrop-inbox/waits/  waiting for a package", "trainer.zip is there: jobdrop takes",
		"job.succeeded  gs://jobdrop-inbox/held/",
	} {
		r.awaitOutput(t, text)
	}
	put("held/job.yaml", hello+"job.yaml")
	r.awaitOutput(t, "held           gs://jobdrop-inbox/held/  held until ")
	r.awaitOutput(t, "upload the new package to go on at once")
	dropInto(t, storage, "endless")
	r.awaitOutput(t, "job.running    gs://jobdrop-inbox/endless/")
	if err := r.end(t, syscall.SIGKILL); err == nil {
		t.Error("a stack that was killed ended well")
	}
	r = startLocal(t, data)
	r.awaitOutput(t, "job.failed     gs://jobdrop-inbox/endless/")
	if text := r.output.String(); strings.Index(text, "job.failed") < strings.Index(text, "an interrupt ends the stack:") {
		t.Errorf("what a crash ended stands above the settings:\n%s", text)
	}
}

// A line of a log names its replica and its trial.
func TestLogLine(t *testing.T) {
	for _, tt := range []struct {
		trial, want string
	}{
		{"", "    master-replica-0 | hello\n"},
		{"3", "    trial 3 master-replica-0 | hello\n"},
	} {
		var out bytes.Buffer
		newPrinter(Env{Out: &out, Now: time.Now}, formatText).log(printable(logs.Line{
			Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Replica: "master-replica-0", Trial: tt.trial, Text: "hello",
		}))
		if !strings.HasSuffix(out.String(), tt.want) {
			t.Errorf("the line is %q, want its end %q", out.String(), tt.want)
		}
	}
}

// A line of a log that holds others can't be taken for an event: those begin at the left.
func TestLogLineOfSeveralLines(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		p := newPrinter(Env{
			Out: &out, Now: time.Now, Terminal: terminal, Getenv: func(string) string { return "" },
		}, formatText)
		const forged = "x\n09:31:06.484  job.succeeded\n\x1b[32m09:31:06.484  job.succeeded"
		p.log(training.Line{Task: "service", Text: forged, Time: time.Now()})
		p.log(training.Line{Task: "a\nb", Trial: "1\n2", Text: "y", Time: time.Now()})
		lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(out.String(), "\x1b[32m", ""), "\n"), "\n")
		if len(lines) != 4 {
			t.Fatalf("%d lines: %q", len(lines), lines)
		}
		for _, line := range lines[1:3] {
			if !strings.HasPrefix(line, "    09:31:06.484") {
				t.Errorf("terminal %t: %q", terminal, line)
			}
		}
		if !strings.HasSuffix(lines[3], "    trial 1\ufffd2 a\ufffdb | y") {
			t.Errorf("terminal %t: %q", terminal, lines[3])
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

// The file of the settings goes with its stack. One that a killed stack has left is
// removed before the next start, and another program's file is not.
func TestEnvFileGoesWithItsStack(t *testing.T) {
	t.Parallel()
	data, file := t.TempDir(), filepath.Join(t.TempDir(), "env")
	r := startLocalWith(t, file, data)
	if err := r.end(t, syscall.SIGKILL); err == nil {
		t.Error("a stack that was killed ended well")
	}
	stale, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o := localOptions{envFile: file}
	if err := o.removeStaleEnvFile(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the file of a killed stack stays")
	}
	r = startLocalWith(t, file, data)
	// A second stack leaves the file of the first alone.
	second, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	refused := runWith(second, strings.NewReader(""), "local", "--data", t.TempDir(), "--env-file", file,
		"--storage-port", "0", "--pubsub-port", "0", "--training-port", "0", "--functions-port", "0")
	if want := "--env-file is " + file + ", which has the settings of a stack that runs"; refused.code != exitUsage ||
		!strings.Contains(refused.stderr, want) {
		t.Errorf("a second stack: exit %d: %s", refused.code, refused.stderr)
	}
	if now, err := os.ReadFile(file); err != nil || bytes.Equal(now, stale) {
		t.Errorf("the file of a stack that runs: %v", err)
	}
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the end: %v\n%s", err, r.output)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the file stays after the end")
	}
	if err := os.WriteFile(file, []byte("PASSWORD=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := run(t, "local", "--data", data, "--env-file", file)
	if got.code != exitUsage || !strings.Contains(got.stderr, "--env-file is "+file) {
		t.Errorf("over another file: exit %d, %s", got.code, got.stderr)
	}
}
