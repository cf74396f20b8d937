package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// operatedPolicy is the policy of the stack that the scripts of testdata/operate share.
const operatedPolicy = `catalogue:
  minWait: 1s
prefixes:
- match: paused/**
  pause: true
- match: one/**
  limits:
    activeJobs: 1
- match: budget/**
  limits:
    acceleratorHours: {per: month, most: 1}
`

// The commands for operators, as a person uses them on one stack. In the scripts,
//
//	drop NAME FOLDER         drops testdata/drops/NAME into a folder of the inbox
//	drop-job NAME FOLDER     uploads its job file alone
//	drop-file FILE FOLDER    drops the packages of hello with a job file of the script's
//	put OBJECT TEXT          uploads an object to the inbox
//	await-queue ATTEMPT      waits until a tick has seen that the attempt waits for its turn
//	await FOLDER STATE...    waits until the folder's newest attempt is in one of the states, and sets $ATTEMPT and $JOB
//	await-text FILE REGEXP   waits until a file has a text
//	await-subscriptions N    waits until Pub/Sub has so many subscriptions; the stack has one
//	exits CODE ARGS...       runs jobdrop, which exits with the code
//	schema FILE              holds the last command's output to a schema, a line at a time if FILE ends with +
func TestOperate(t *testing.T) {
	t.Parallel()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(operatedPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startLocal(t, t.TempDir(), "--max-jobs", "4", "--policy", policy)
	storage := r.storage(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/operate",
		Setup: func(e *testscript.Env) error {
			e.Setenv("ENV", r.file)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("USER", "ann")
			e.Setenv("GORACE", os.Getenv("GORACE")) // as internal/testing/gotest sets it
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"drop": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(dropAt(storage, args[0], args[1], "*"))
			},
			"drop-job": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(dropAt(storage, args[0], args[1], "job.*"))
			},
			"drop-file": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(dropAt(storage, "hello", args[1], "*.tar.gz"))
				ts.Check(putBytes(storage, args[1]+"job.yaml", []byte(ts.ReadFile(args[0]))))
			},
			"put": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(putBytes(storage, args[0], []byte(args[1])))
			},
			"await": func(ts *testscript.TestScript, _ bool, args []string) {
				awaitStates(ts, storage, args[0], args[1:])
			},
			"await-queue": func(ts *testscript.TestScript, _ bool, args []string) { awaitQueue(ts, storage, args[0]) },
			"await-text":  func(ts *testscript.TestScript, _ bool, args []string) { awaitText(ts, args[0], args[1]) },
			"await-subscriptions": func(ts *testscript.TestScript, _ bool, args []string) {
				awaitSubscriptions(ts, r.env[pubsubVariable], args[0])
			},
			"exits":  func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(exits(ts, args[0], args[1:])) },
			"schema": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(holdsTo(ts, args[0])) },
		},
	})
}

// dropAt drops the files of a folder of dropsDir that match a pattern into a folder of the inbox.
func dropAt(storage *gcs.Client, name, folder, pattern string) error {
	files, err := filepath.Glob(filepath.Join(dropsDir, name, pattern))
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b string) int { // the job file comes last
		switch isA, isB := job.IsJobFile(filepath.Base(a)), job.IsJobFile(filepath.Base(b)); {
		case isA == isB:
			return strings.Compare(a, b)
		case isA:
			return 1
		}
		return -1
	})
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := putBytes(storage, folder+filepath.Base(file), data); err != nil {
			return err
		}
	}
	return nil
}

// putBytes uploads an object to the inbox.
func putBytes(storage *gcs.Client, name string, data []byte) error {
	_, err := storage.Upload(context.Background(), local.Inbox, name, bytes.NewReader(data), nil)
	return err
}

// awaitQueue waits until the note of who waits names an attempt.
func awaitQueue(ts *testscript.TestScript, storage *gcs.Client, key string) {
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		data, _, err := storage.Read(context.Background(), local.State, "queue.json", 0, attempt.MaxQueue)
		if err == nil && bytes.Contains(data, []byte(key)) {
			return
		}
	}
	ts.Fatalf("%s is not in the queue", key)
}

// awaitStates waits until the newest attempt of a folder is in one of the states.
func awaitStates(ts *testscript.TestScript, storage *gcs.Client, folder string, states []string) {
	var s job.Snapshot
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		data, _, err := storage.Read(context.Background(), local.Status, folder+"status.json", 0, maxStatus)
		if err == nil && json.Unmarshal(data, &s) == nil && slices.Contains(states, string(s.State)) {
			ts.Setenv("ATTEMPT", s.Attempt)
			ts.Setenv("JOB", s.Job.ID)
			return
		}
	}
	ts.Fatalf("%s is %s, want %v", folder, s.State, states)
}

// awaitText waits until a file has a text.
func awaitText(ts *testscript.TestScript, file, pattern string) {
	want := regexp.MustCompile(pattern)
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if data, err := os.ReadFile(ts.MkAbs(file)); err == nil && want.Match(data) {
			return
		}
	}
	ts.Fatalf("%s has no %s", file, pattern)
}

// awaitSubscriptions waits until a Pub/Sub has so many subscriptions.
func awaitSubscriptions(ts *testscript.TestScript, address, want string) {
	got := ""
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		answer, err := http.Get("http://" + address + "/v1/projects/local/subscriptions")
		ts.Check(err)
		var list struct{ Subscriptions []struct{ Name string } }
		err = json.NewDecoder(answer.Body).Decode(&list)
		ts.Check(errors.Join(err, answer.Body.Close()))
		if got = strconv.Itoa(len(list.Subscriptions)); got == want {
			return
		}
	}
	ts.Fatalf("there are %s subscriptions, want %s", got, want)
}

// exits runs jobdrop, and returns an error if its exit code is another one.
func exits(ts *testscript.TestScript, want string, args []string) error {
	got := "0"
	err := ts.Exec("jobdrop", args...)
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got, err = strconv.Itoa(e.ExitCode()), nil
	}
	if err == nil && got != want {
		err = fmt.Errorf("jobdrop %s: exit %s, want %s\n%s", strings.Join(args, " "), got, want, ts.ReadFile("stderr"))
	}
	return err
}

// holdsTo returns an error if the last command's output is not what a schema describes.
func holdsTo(ts *testscript.TestScript, file string) error {
	file, lines := strings.CutSuffix(file, "+")
	out := ts.ReadFile("stdout")
	if !lines {
		return printedAs(file, []byte(out))
	}
	for line := range strings.Lines(out) {
		if err := printedAs(file, []byte(line)); err != nil {
			return fmt.Errorf("%w: %s", err, line)
		}
	}
	return nil
}

func TestParseStatus(t *testing.T) {
	const every = 5 * time.Second
	testParsing(t, newStatus, []parsing[statusOptions]{
		{name: "defaults", want: statusOptions{query: ledger.Query{Most: 20}, every: every, format: "text"}},
		{name: "filters", args: []string{"--env=e", "--state=failed", "--folder=a/", "--correlation=c", "--since=24h", "-n",
			"7", "--page=t",
			"-o", "json"},
			want: statusOptions{
				targetOptions: targetOptions{env: "e"}, since: 24 * time.Hour, every: every, format: "json",
				query: ledger.Query{State: job.Failed, Folder: "a/", CorrelationID: "c", Most: 7, Token: "t"},
			}},
		{name: "a job", args: []string{"--job=j"}, want: statusOptions{query: ledger.Query{JobID: "j", Most: 20},
			every: every, format: "text"}},
		{name: "one", args: []string{"a/", "-w", "--every=1s"},
			want: statusOptions{name: "a/", query: ledger.Query{Most: 20}, watch: true, every: time.Second, format: "text"}},
		{name: "two", args: []string{"a", "b"}, err: `"b" is one argument too many: status [ATTEMPT|JOB|DROP]`},
		{name: "one with a filter", args: []string{"a", "--state=failed"}, err: "leave the filters out"},
		{name: "one with a time", args: []string{"a", "--since=1h"}, err: "leave the filters out"},
		{name: "a job with a time", args: []string{"--job=j", "--since=1h"}, err: "--job takes no other filter"},
		{name: "too many", args: []string{"-n", "51"}, err: "must be from 1 to 50"},
		{name: "none", args: []string{"-n", "0"}, err: "must be from 1 to 50"},
		{name: "too often", args: []string{"--every=1ms"}, err: "must be 1s or more"},
		{name: "format", args: []string{"-o", "xml"}, err: `--output is "xml", must be text or json`},
	})
}

// Columns fit terminals of each width; where there is none, each attempt is a line.
func TestStatusFits(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	page := ledger.Page{Next: "token"}
	for i, state := range []job.State{job.Running, job.Failed, ""} {
		row := ledger.Row{Waits: "waiting: 3 of 3 jobs are active"}
		row.Attempt = fmt.Sprintf("%040x-1795916360136494", i)
		row.Folder, row.State = fmt.Sprintf("teams/nlp/a-long-name-of-a-folder-%d/", i), state
		row.JobID = "a_long_name_of_a_folder_20261129_013920_87eb80c1cf0f"
		row.Dropped, row.Concluded = now.Add(-time.Duration(i)*26*time.Hour), now
		page.Attempts = append(page.Attempts, row)
	}
	for width, want := range map[int]int{0: 4, 80: 0, 120: 0, 200: 0} {
		env := Env{Terminal: width > 0, Size: func() (int, int) { return width, 24 },
			Getenv: func(string) string { return "" }}
		var b bytes.Buffer
		if err := writePage(env, &b, page, ledger.Query{}, now); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if want > 0 && len(lines) != want {
			t.Errorf("width %d: %d lines, want %d:\n%s", width, len(lines), want, b.String())
		}
		for _, line := range lines {
			for _, colour := range []string{green, red, yellow, noColour} {
				line = strings.ReplaceAll(line, colour, "")
			}
			if width > 0 && len(line) > width && !strings.Contains(line, "--page") {
				t.Errorf("width %d: a line of %d characters: %s", width, len(line), line)
			}
		}
		if all := strings.Contains(b.String(), "ATTEMPT"); all != (width == 0 || width >= wideTable) {
			t.Errorf("width %d: all columns: %t", width, all)
		}
		if (width > 0) != strings.Contains(b.String(), "--page token goes on") {
			t.Errorf("width %d says how to go on, or not:\n%s", width, b.String())
		}
	}
}

func TestStatusShowsRestarts(t *testing.T) {
	s := oneStatus{Snapshot: job.Snapshot{Restarts: &job.Restarts{
		Count: 3, Most: new(int64(10)), Last: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), AtRisk: job.Duration(1860 * time.Second),
	}}}
	want := []string{"restarts", "at least 3; the policy allows 10; the last at 2026-11-29 12:00:00 UTC; at most 31m0s of the run lost"}
	rows := s.facts(time.Date(2026, 11, 29, 13, 0, 0, 0, time.UTC))
	if !slices.ContainsFunc(rows, func(row []string) bool { return slices.Equal(row, want) }) {
		t.Errorf("%q lacks %q", rows, want)
	}
}

// A state that is told again says why.
func TestDetailOfARestart(t *testing.T) {
	b := event.Body{Reason: "the backend starts the job again"}
	if got := detail(event.JobPreparing, b); got != "" {
		t.Errorf("the first time it says %q", got)
	}
	b.Restarts = &job.Restarts{Count: 1}
	for _, typ := range []event.Type{event.JobQueued, event.JobPreparing, event.JobRunning} {
		if got := detail(typ, b); got != b.Reason {
			t.Errorf("%s says %q, want %q", typ, got, b.Reason)
		}
	}
}

// Deadlines have bars of how much of their time is over.
func TestBars(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	a := job.Snapshot{State: job.Running, Times: job.Times{Created: now.Add(-2 * time.Hour), Started: now.Add(-time.Hour)}}
	a.Deadlines.Wait, a.Deadlines.Run = now.Add(-time.Minute), now.Add(3*time.Hour)
	want := [][]string{
		{"wait", "[####################]", "100 %", "over since 1m0s", "then it is cancelled if it does not run"},
		{"run", "[#####...............]", "25 %", "3h0m left", "then it is cancelled"},
	}
	if diff := cmp.Diff(want, bars(a, 80, now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := len(bars(a, 200, now)[0][1]); got != 62 {
		t.Errorf("on a wide terminal a bar has %d characters", got)
	}
	if a.State = job.Failed; len(bars(a, 80, now)) > 0 {
		t.Error("an attempt that has ended has a deadline")
	}
}

// Without an answer of its storage, or without its settings, the commands say what is missing.
func TestOperateWithoutAnInstallation(t *testing.T) {
	t.Setenv(stateVariable, "")
	for _, args := range [][]string{{"status"}} {
		got := run(t, args...)
		if got.code != exitUsage || !strings.Contains(got.stderr, "JOBDROP_STATE_BUCKET is not set") {
			t.Errorf("%q: exit %d: %s", args, got.code, got.stderr)
		}
	}
}
