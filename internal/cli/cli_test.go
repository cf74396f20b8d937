package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/emulator"
	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The local stack starts this program again to serve the functions: here that is
// the test's own binary.
func TestMain(m *testing.M) {
	// Whatever pip would find by its own settings is not a part of the tests.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PIP_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("PIP_NO_INDEX", "1") // nor is a network
	if len(os.Args) > 1 && os.Args[1] == "functions" {
		jobdrop()
	}
	testscript.Main(m, map[string]func(){"jobdrop": jobdrop})
}

// jobdrop is cmd/jobdrop's main.
func jobdrop() {
	ctx, stop := Signals(context.Background())
	code := Run(ctx, Process(), os.Args[1:])
	stop()
	os.Exit(code)
}

// result is what came of a command line.
type result struct {
	code           int
	stdout, stderr string
}

// run runs a command line in the test's own process, without input.
func run(t *testing.T, args ...string) result {
	t.Helper()
	return runWith(t.Context(), strings.NewReader(""), args...)
}

func runWith(ctx context.Context, stdin io.Reader, args ...string) result {
	var stdout, stderr bytes.Buffer
	env := Env{In: stdin, Out: &stdout, Err: &stderr, Now: time.Now, Getenv: os.Getenv}
	code := Run(ctx, env, args)
	return result{code, stdout.String(), stderr.String()}
}

func TestScript(t *testing.T) { runScripts(t, "") }

// Commands do the same with Google's own emulator of Pub/Sub.
func TestScriptWithPubSubEmulator(t *testing.T) { runScripts(t, emulator.Start(t)) }

func runScripts(t *testing.T, pubsubEmulator string) {
	drops, err := filepath.Abs(dropsDir)
	if err != nil {
		t.Fatal(err)
	}
	events, err := filepath.Abs(eventsDir)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("DROPS", drops)
			e.Setenv("EVENTS", events)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv(pubsubVariable, pubsubEmulator)
			e.Setenv("PIP_NO_INDEX", "1")
			e.Setenv("GORACE", os.Getenv("GORACE")) // as internal/testing/gotest sets it
			return nil
		},
	})
}

const dropsDir = "../../testdata/drops"

// Each rejected drop ends with all its violations in one event, and validate says
// the same without running anything.
func TestRejectedDrops(t *testing.T) {
	t.Parallel()
	drops, err := filepath.Glob(dropsDir + "/rejected-*")
	if err != nil || len(drops) < 10 {
		t.Fatalf("%d rejected drops, %v", len(drops), err)
	}
	for _, drop := range drops {
		t.Run(filepath.Base(drop), func(t *testing.T) {
			t.Parallel()
			ran := run(t, "run", drop, "--events", "json")
			if ran.code != exitRejected {
				t.Errorf("run exits %d, want %d:\n%s", ran.code, exitRejected, ran.stderr)
			}
			events := decodeEvents(t, ran.stdout)
			if len(events) != 1 || events[0].Type() != string(event.DropRejected) {
				t.Fatalf("events are %v, want one drop.rejected", types(events))
			}
			_, body, err := event.Decode(events[0])
			if err != nil {
				t.Fatal(err)
			}
			if body.Job.State != "" || body.Drop.Receipt != nil {
				t.Errorf("something was submitted: %+v", body.Job)
			}
			var lines strings.Builder
			for _, v := range body.Violations {
				lines.WriteString(v.String() + "\n")
			}
			name := filepath.Base(drop)
			golden(t, name, lines.String())

			checked := run(t, "validate", drop, "--project", "local", "--format", "json")
			if checked.code != exitRejected && !onlyPolicyKnows[name] {
				t.Errorf("validate exits %d, want %d", checked.code, exitRejected)
			}
			var reports []report
			if err := json.Unmarshal([]byte(checked.stdout), &reports); err != nil || len(reports) != 1 {
				t.Fatalf("%d reports, %v", len(reports), err)
			}
			validated := ""
			for _, v := range reports[0].Violations {
				validated += strings.ReplaceAll(v.String(), drop+"/", "") + "\n"
			}
			if onlyPolicyKnows[name] || newestDiffers[name] {
				return
			}
			if diff := cmp.Diff(lines.String(), validated); diff != "" {
				t.Errorf("validate says otherwise than run (-run +validate):\n%s", diff)
			}
		})
	}
}

// What only an installation can know is a warning to validate.
var onlyPolicyKnows = map[string]bool{"rejected-source": true}

// Which of two job files is the newest depends on the upload.
var newestDiffers = map[string]bool{"rejected-two-job-files": true}

// A distributed job has one process for each replica, which talk and train.
func TestDistributedDrop(t *testing.T) {
	output := t.TempDir()
	ran := run(t, "run", dropsDir+"/distributed", "--output", output)
	if ran.code != exitSucceeded {
		t.Fatalf("exit %d:\n%s%s", ran.code, ran.stdout, ran.stderr)
	}
	for task, name := range map[string]string{
		"master-replica-0": "chief-0", "worker-replica-0": "worker-0", "worker-replica-1": "worker-1", "ps-replica-0": "ps-0",
	} {
		if line := task + " | I am " + name + " of a cluster of "; !strings.Contains(ran.stdout, line) {
			t.Errorf("the log lacks %q:\n%s", line, ran.stdout)
		}
	}
	data, err := os.ReadFile(filepath.Join(output, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Loss     struct{ First, Last float64 }
		Replicas map[string]struct{ Rows, Steps int }
	}
	if err := json.Unmarshal(data, &result); err != nil {
		t.Fatal(err)
	}
	if result.Loss.Last <= 0 || result.Loss.First < 10*result.Loss.Last {
		t.Errorf("the loss went from %g to %g", result.Loss.First, result.Loss.Last)
	}
	for _, name := range []string{"chief-0", "worker-0", "worker-1"} {
		if r := result.Replicas[name]; r.Rows == 0 || r.Steps != 40 {
			t.Errorf("%s had %d rows in %d steps", name, r.Rows, r.Steps)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
	}
}

func decodeEvents(t *testing.T, text string) []cloudevents.Event {
	t.Helper()
	var events []cloudevents.Event
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e cloudevents.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("standard output holds what is no CloudEvent: %v: %s", err, lines.Text())
		}
		eventtest.Check(t, e)
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

func types(events []cloudevents.Event) []string {
	var types []string
	for _, e := range events {
		types = append(types, strings.TrimSuffix(strings.TrimPrefix(e.Type(), "dev.jobdrop."), ".v1"))
	}
	return types
}

// The events of a job arrive in order, and its output is in the bucket. There are
// events for queued and preparing only if Watch saw the job in that state.
func TestRunHelloWithEachPython(t *testing.T) {
	t.Parallel()
	pythons := []string{"", "/usr/bin/python3"}
	for _, python := range pythons {
		name := python
		if python == "" {
			name = "first of PATH"
		} else if _, err := os.Stat(python); err != nil {
			t.Logf("SKIPPED: %s is not on this machine", python)
			continue
		}
		t.Run(name, func(t *testing.T) {
			keep := t.TempDir()
			args := []string{"run", dropsDir + "/hello", "--events", "json", "--keep", keep}
			if python != "" {
				args = append(args, "--python", python)
			}
			ran := run(t, args...)
			if ran.code != exitSucceeded {
				t.Fatalf("exit %d:\n%s", ran.code, ran.stderr)
			}
			got := types(decodeEvents(t, ran.stdout))
			want := []string{"drop.accepted", "job.submitted", "job.queued", "job.preparing", "job.running", "job.succeeded"}
			position := -1
			for _, g := range got {
				i := slices.Index(want, g)
				if i <= position {
					t.Fatalf("events are %v, want them in the order of %v", got, want)
				}
				position = i
			}
			for _, w := range []string{"drop.accepted", "job.submitted", "job.running", "job.succeeded"} {
				if slices.Index(got, w) < 0 {
					t.Errorf("events are %v, without %s", got, w)
				}
			}
			objects := kept(t, keep)
			output, _, err := objects.Read(t.Context(), local.Output, "hello/hello.txt", 0, 1<<10)
			if err != nil || !strings.Contains(string(output), "Hello, jobdrop!") {
				t.Errorf("output is %q, %v", output, err)
			}
			status, _, err := objects.Read(t.Context(), local.Status, "hello/status.json", 0, 1<<20)
			var body event.Body
			if err != nil || json.Unmarshal(status, &body) != nil || body.State != "succeeded" {
				t.Errorf("status.json is %s, %v", status, err)
			}
			if err := objects.List(t.Context(), local.State, "open/", false, func(open []job.Attributes) error {
				if len(open) != 0 {
					t.Errorf("index entries are left: %v", open)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// kept serves the objects that a run has left in its folder.
func kept(t *testing.T, dir string) *gcs.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := storage.Serve(t.Context(), storage.Options{Dir: filepath.Join(dir, "storage"), Listener: listener})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("storage: %v", err)
		}
	})
	client, err := gcs.New(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A wrong command of a group is wrong usage, with the one that was meant; a group alone shows its help.
func TestUnknownCommands(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"notify vlaidate x", `"vlaidate" is not a command of jobdrop notify; did you mean "validate"?`},
		{"notify everybody", `"everybody" is not a command of jobdrop notify` + "\n"},
		{"policy tset", `"tset" is not a command of jobdrop policy; did you mean "test"?`},
		{"polciy", `unknown command "polciy" for "jobdrop"`},
	} {
		got := run(t, strings.Fields(test.args)...)
		if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, test.want) {
			t.Errorf("%s: exit %d: %s%s", test.args, got.code, got.stdout, got.stderr)
		}
	}
	for _, group := range []string{"notify", "policy"} {
		if got := run(t, group); got.code != exitSucceeded || !strings.Contains(got.stdout, "validate") {
			t.Errorf("%s: exit %d: %s%s", group, got.code, got.stdout, got.stderr)
		}
	}
}

// An emulator that does not answer may be what an earlier stack has left in the shell's environment.
func TestUnavailableEmulator(t *testing.T) {
	err := unavailable(fmt.Errorf("Pub/Sub: %w", local.ErrEmulator), "--data")
	code, ok := errors.AsType[*exitError](err)
	if !ok || code.code != exitMissing || !errors.Is(err, local.ErrEmulator) ||
		!strings.HasSuffix(code.err.Error(), "\nIt is named by PUBSUB_EMULATOR_HOST, perhaps by the settings of a jobdrop local "+
			"that has ended: unset PUBSUB_EMULATOR_HOST to use the built-in Pub/Sub, or start that emulator") {
		t.Errorf("%v", err)
	}
}
