package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// waitOn runs jobdrop wait on a stack, in the test's own process.
func waitOn(ctx context.Context, env map[string]string, out io.Writer, args ...string) result {
	var stdout, stderr bytes.Buffer
	if out == nil {
		out = &stdout
	}
	e := Env{Out: out, Err: &stderr, Now: time.Now, Getenv: func(name string) string { return env[name] }}
	code := Run(ctx, e, append([]string{"wait"}, args...))
	return result{code, stdout.String(), stderr.String()}
}

// dropAs drops a folder of testdata/drops into another one of the inbox, and returns the generation of its job file.
func dropAs(t *testing.T, storage *gcs.Client, drop, folder string) int64 {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dropsDir, drop))
	if err != nil {
		t.Fatal(err)
	}
	var generation int64
	for _, last := range []bool{false, true} {
		for _, f := range files {
			if job.IsJobFile(f.Name()) == last {
				generation = put(t, storage, folder+f.Name(), filepath.Join(dropsDir, drop, f.Name()))
			}
		}
	}
	return generation
}

func put(t *testing.T, storage *gcs.Client, name, from string) int64 {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	generation, err := storage.Upload(t.Context(), local.Inbox, name, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return generation
}

// atOnce runs tests at once, however many may run in parallel: they wait most of the time.
type atOnce struct {
	t     *testing.T
	group sync.WaitGroup
}

func (a *atOnce) run(name string, test func(t *testing.T)) {
	a.group.Go(func() { a.t.Run(name, test) })
}

// firstStatus returns the state in the first status of what a wait has printed with -o json.
func firstStatus(printed string) job.State {
	line, _, _ := strings.Cut(printed, "\n")
	var l waitLine
	if err := json.Unmarshal([]byte(line), &l); err != nil || l.Status == nil {
		return ""
	}
	return l.Status.State
}

// Each way in which a drop can end has its exit code, whether the wait begins before jobdrop has looked at the drop,
// while it is under way, or after its end; and what ended earlier in the folder has no say.
func TestWait(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir(), "--max-jobs", "4")
	storage := r.storage(t)
	wait := func(args ...string) result { return waitOn(t.Context(), r.env, nil, args...) }
	want := func(t *testing.T, got result, code int, texts ...string) {
		t.Helper()
		if got.code != code {
			t.Errorf("exit %d, want %d:\n%s%s", got.code, code, got.stdout, got.stderr)
		}
		for _, text := range texts {
			if !strings.Contains(got.stdout+got.stderr, text) {
				t.Errorf("the output lacks %q:\n%s%s", text, got.stdout, got.stderr)
			}
		}
	}
	// A verdict of before lies in each folder.
	older := map[string]int64{}
	for _, folder := range []string{"succeeds/", "fails/", "endless/"} {
		older[folder] = put(t, storage, folder+"job.yaml", filepath.Join(dropsDir, "rejected-syntax", "job.yaml"))
		want(t, wait(folder), exitRejected, "drop.rejected", "nothing was submitted")
	}
	all := atOnce{t: t}
	for _, tt := range []struct {
		drop, folder string
		code         int
		text         string
	}{
		{"hello", "succeeds/", exitSucceeded, "  succeeded after "},
		{"fails", "fails/", exitFailed, "job.failed     the job failed"},
		{"rejected-scheduling", "rejected/", exitRejected, "    job.yaml:10:18: "},
		{"endless", "endless/", exitTimedOut, "job.timed_out"},
	} {
		all.run(tt.drop, func(t *testing.T) {
			generation := fmt.Sprint(dropAs(t, storage, tt.drop, tt.folder))
			// Another one begins while the job is under way.
			var second sync.WaitGroup
			var during result
			out := &awaited{text: "  job.submitted  ", seen: sync.OnceFunc(func() {
				second.Go(func() { during = wait(tt.folder, "--generation", generation, "-o", "json") })
			})}
			before := waitOn(t.Context(), r.env, out, tt.folder, "--generation", generation)
			before.stdout = out.String()
			want(t, before, tt.code, tt.text, "waiting for gs://jobdrop-inbox/"+tt.folder+"#"+generation)
			if second.Wait(); tt.code != exitRejected {
				want(t, during, tt.code, fmt.Sprintf(`{"kind":"end","exitCode":%d,`, tt.code))
			}
			if first := firstStatus(during.stdout); tt.drop == "endless" && (first == "" || first.Terminal()) {
				t.Errorf("the second wait has begun when the job was %q", first)
			}
			after := wait("gs://jobdrop-inbox/"+tt.folder+"job.yaml#"+generation, "--logs")
			want(t, after, tt.code, tt.text)
			if tt.code != exitRejected && !strings.Contains(after.stdout, "  service | ") {
				t.Errorf("there is no log:\n%s", after.stdout)
			}
			again := dropAs(t, storage, "rejected-syntax", tt.folder)
			want(t, wait(tt.folder, "--generation", generation), tt.code, tt.text)
			want(t, wait(tt.folder, "--generation", fmt.Sprint(again)), exitRejected)
			if was := older[tt.folder]; was != 0 {
				want(t, wait(tt.folder, "--generation", fmt.Sprint(was)), exitRejected)
			}
		})
	}
	all.run("withdrawn", func(t *testing.T) {
		const jobFile = "withdrawn/job.yaml"
		put(t, storage, jobFile, filepath.Join(dropsDir, "incomplete", "job.yaml"))
		out := &awaited{text: "waiting        waiting for", seen: sync.OnceFunc(func() {
			if err := storage.Delete(t.Context(), local.Inbox, jobFile); err != nil {
				t.Error(err)
			}
		})}
		got := waitOn(t.Context(), r.env, out, "withdrawn/")
		got.stdout = out.String()
		want(t, got, exitCancelled, "drop.withdrawn")
		want(t, wait("withdrawn/"), exitUnknown, "there is no such drop")
	})
	all.run("cancelled on an interrupt", func(t *testing.T) {
		dropAs(t, storage, "endless", "cancelled/")
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		out := &awaited{text: "waiting for gs://", seen: interrupt}
		got := waitOn(ctx, r.env, out, "cancelled/", "--cancel-on-interrupt")
		got.stdout = out.String()
		want(t, got, exitCancelled, "asked to cancel cancelled/", "jobdrop wait was interrupted")
	})
	all.run("interrupted", func(t *testing.T) {
		generation := put(t, storage, "interrupted/job.yaml", filepath.Join(dropsDir, "incomplete", "job.yaml"))
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		out := &awaited{text: "waiting        waiting for", seen: interrupt}
		got := waitOn(ctx, r.env, out, "interrupted/")
		on := fmt.Sprintf("gs://jobdrop-inbox/interrupted/#%d", generation)
		want(t, got, exitInterrupted, "to go on: jobdrop wait '"+on+"'\n", "the attempt goes on")
		want(t, wait(on, "--timeout", "1ms"), exitRunning, "to go on: ")
		want(t, wait(on, "--timeout", "1s"), exitRunning, "not ended after 1s: waiting for", "to go on: ")
		key := job.FolderKey(local.Inbox, "interrupted/") + fmt.Sprintf("-%d", generation)
		want(t, wait(key, "--timeout", "1s"), exitRunning, "not ended after 1s: waiting for")
	})
	cut := behind(t, r.env, 700*time.Millisecond)
	all.run("the line is cut", func(t *testing.T) {
		dropAs(t, storage, "endless", "cut/")
		want(t, waitOn(t.Context(), cut, nil, "cut/"), exitTimedOut, "job.running", "job.timed_out")
	})
	all.run("the line is cut, and the job succeeds", func(t *testing.T) {
		dropAs(t, storage, "hello", "cut-hello/")
		want(t, waitOn(t.Context(), cut, nil, "cut-hello"), exitSucceeded, "job.succeeded")
	})
	all.group.Wait()
	awaitStatus(t, storage, "succeeds/", "rejected")

	id := jobIDOf(t, storage, "cut-hello/")
	want(t, wait(id), exitSucceeded, "waiting for gs://jobdrop-inbox/cut-hello/#")
	want(t, wait("none"), exitUnknown,
		"there is no job none that can be looked up, and gs://jobdrop-inbox/none/ has no job file")
	want(t, wait("cut-hello/", "--generation", "1"), exitUnknown, "there is no attempt gs://jobdrop-inbox/cut-hello/#1")
	want(t, wait(strings.Repeat("0f", 20)+"-7"), exitUnknown, "there is no attempt 0f0f")
	want(t, wait("gs://other/a/"), exitUsage, "not in the inbox")
	// A word that is a job of one folder, and another folder.
	dropAs(t, storage, "rejected-syntax", id+"/")
	want(t, wait(id), exitUsage, id+" is the job of attempt ",
		"name that attempt, or the folder, gs://jobdrop-inbox/"+id+"/")

	waitsForSeveral(t, r, storage)

	var gone result
	without := map[string]string{"JOBDROP_INBOX": local.Inbox, "JOBDROP_STATUS_BUCKET": local.Status,
		"STORAGE_EMULATOR_HOST": r.env["STORAGE_EMULATOR_HOST"]}
	gone = waitOn(t.Context(), without, nil, "cut-hello")
	want(t, gone, exitSucceeded)
	gone = waitOn(t.Context(), without, nil, "cut-hello", "--cancel-on-interrupt")
	want(t, gone, exitUsage, "JOBDROP_STATE_BUCKET is not set")
	gone = waitOn(t.Context(), without, nil, strings.Repeat("0f", 20)+"-7")
	want(t, gone, exitUsage, "JOBDROP_STATE_BUCKET is not set")
	without["STORAGE_EMULATOR_HOST"] = "http://127.0.0.1:1"
	want(t, waitOn(t.Context(), without, nil, "a/"), exitMissing, "start it (jobdrop local)")
	delete(without, "JOBDROP_STATUS_BUCKET")
	want(t, waitOn(t.Context(), without, nil, "a/"), exitUsage, "JOBDROP_STATUS_BUCKET is not set")
	if _, err := storage.Write(t.Context(), local.Status, "bad/status-7.json", []byte("{"), "", nil, 0); err != nil {
		t.Fatal(err)
	}
	want(t, wait("bad/#7"), exitFault, "bad/status-7.json")
	env := Env{Out: &full{}, Err: io.Discard, Now: time.Now, Getenv: func(name string) string { return r.env[name] }}
	if code := Run(t.Context(), env, []string{"wait", "interrupted/"}); code != exitFault {
		t.Errorf("an output that fails: exit %d, want %d", code, exitFault)
	}
}

func jobIDOf(t *testing.T, storage *gcs.Client, folder string) string {
	t.Helper()
	return awaitStatus(t, storage, folder, string(job.Succeeded)).Job.ID
}

// waitsForSeveral waits for several drops at once: for one that succeeded, one that waits and one that was rejected.
func waitsForSeveral(t *testing.T, r *running, storage *gcs.Client) {
	t.Helper()
	names := []string{"cut-hello/", "interrupted/", "rejected/", "none/"}
	for _, tt := range []struct {
		args []string
		code int
		ends []int // of each attempt
	}{
		{names[:1:1], exitSucceeded, []int{exitSucceeded}},
		{append(names[:2:2], "--timeout=1s"), exitRunning, []int{exitSucceeded, exitRunning}},
		{append(names[:3:3], "--timeout=1s"), exitRejected, []int{exitSucceeded, exitRunning, exitRejected}},
		{append(slices.Clone(names[1:3]), "--fail-fast"), exitRejected, []int{exitRunning, exitRejected}},
		{append(names[:4:4], "--timeout=1s"), exitUnknown, []int{exitSucceeded, exitRunning, exitRejected, exitUnknown}},
	} {
		got := waitOn(t.Context(), r.env, nil, append(tt.args, "-o", "json")...)
		if got.code != tt.code {
			t.Errorf("%q: exit %d, want %d:\n%s", tt.args, got.code, tt.code, got.stderr)
		}
		lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
		var end waitLine
		for i, line := range lines {
			var l waitLine
			d := json.NewDecoder(strings.NewReader(line))
			d.DisallowUnknownFields()
			if err := d.Decode(&l); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			checkWaitLine(t, []byte(line))
			if want := map[bool]string{false: "status", true: "end"}[i == len(lines)-1]; l.Kind != want {
				t.Errorf("%q: line %d is %s, want %s", tt.args, i+1, l.Kind, want)
			}
			end = l
		}
		if end.ExitCode == nil || *end.ExitCode != tt.code {
			t.Errorf("%q: the last line is %s", tt.args, lines[len(lines)-1])
		}
		var ends []int
		for i, a := range end.Attempts {
			ends = append(ends, a.ExitCode)
			unread := a.ExitCode == exitUnknown || slices.Contains(tt.args, "--fail-fast")
			if a.Name != tt.args[i] || a.Attempt == "" && !unread {
				t.Errorf("%q: %+v", tt.args, a)
			}
		}
		if diff := cmp.Diff(tt.ends, ends); diff != "" {
			t.Errorf("%q: exit codes (-want +got):\n%s", tt.args, diff)
		}
		goOn := "to go on: jobdrop wait 'gs://jobdrop-inbox/interrupted/#"
		if slices.Contains(tt.args, "--fail-fast") {
			goOn = "to go on: jobdrop wait " // its generation may not have been looked up when another one ended
		}
		if strings.Contains(got.stderr, goOn) != (len(tt.ends) > 1) {
			t.Errorf("%q: %s", tt.args, got.stderr)
		}
	}
	got := waitOn(t.Context(), r.env, nil, "cut-hello/", "rejected/", "none/")
	for _, text := range []string{
		"job.succeeded  gs://jobdrop-inbox/cut-hello/", "drop.rejected  gs://jobdrop-inbox/rejected/", "none/: gs://",
	} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("the output lacks %q:\n%s", text, got.stdout)
		}
	}
}

// A request to cancel that may not be written ends the wait as an interrupt does, and says which right it takes.
func TestWaitCancelsNothingElse(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir())
	storage := r.storage(t)
	put(t, storage, "a/job.yaml", filepath.Join(dropsDir, "incomplete", "job.yaml"))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	r.env["JOBDROP_STATE_BUCKET"] = "no-such-bucket"
	out := &awaited{text: "waiting        waiting for", seen: interrupt}
	got := waitOn(ctx, r.env, out, "a/", "--cancel-on-interrupt")
	if text := "it takes the right to write gs://no-such-bucket/requests/"; got.code != exitInterrupted ||
		!strings.Contains(strings.ReplaceAll(out.String(), "which takes", "it takes"), text) {
		t.Errorf("exit %d: %s%s", got.code, out.String(), got.stderr)
	}
	if err := storage.List(t.Context(), local.State, "requests/", false, func(page []job.Attributes) error {
		if len(page) > 0 {
			t.Errorf("requests: %v", page)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// What has ended, or ends before jobdrop has looked at it, keeps nobody from cancelling the rest.
func TestWaitCancelsWhatIsLeft(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		drops  []string
		then   func(*testing.T, *cloud)
		code   int
		writes int
	}{
		{"one has ended before", []string{"none/", "a/"}, func(t *testing.T, c *cloud) {
			c.put(t, 7, 2, job.Snapshot{State: job.Cancelled})
		}, exitUnknown, 1},
		{"it ends before it was looked at", []string{"b/"}, func(_ *testing.T, c *cloud) {
			c.set("status/b/status-8.json", cloudObject{generation: 1, data: "{"})
		}, exitFault, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &cloud{objects: map[string]cloudObject{
				"inbox/a/job.yaml": {generation: 7}, "inbox/b/job.yaml": {generation: 8},
			}}
			c.put(t, 7, 1, job.Snapshot{State: job.Running})
			storage, err := gcs.Over(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			in := &target{Config: config.Config{Inbox: "inbox", Status: "status", State: "state"}, storage: storage}
			var all []waited
			for _, folder := range tt.drops {
				all = append(all, waited{name: folder, folder: folder})
			}
			ctx, interrupt := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, interrupt)
			time.AfterFunc(200*time.Millisecond, func() { tt.then(t, c) })
			env := Env{Out: io.Discard, Err: io.Discard, Now: time.Now, Getenv: func(string) string { return "" }}
			ended := make(chan error, 1)
			go func() { ended <- waitFor(ctx, env, in, waitOptions{cancel: true, output: formatText}, all) }()
			select {
			case err := <-ended:
				if code := codeOf(err); code != tt.code || c.writes != tt.writes {
					t.Errorf("exit %d after %d requests, want %d after %d: %v", code, c.writes, tt.code, tt.writes, err)
				}
			case <-time.After(10 * time.Second):
				t.Error("the wait does not end")
			}
		})
	}
}

// A failure is shown with the end of the log that its status has, and the command that explains it.
func TestWaitShowsWhyAJobFailed(t *testing.T) {
	t.Parallel()
	c := &cloud{objects: map[string]cloudObject{"inbox/a/job.yaml": {generation: 7}}}
	message := "The replica exited with a non-zero status of 1.\n" +
		strings.Repeat("  File \"task.py\"\n", 40) + "KeyError: \x1b[1m'age'\n"
	c.put(t, 7, 1, job.Snapshot{
		State: job.Failed, Reason: "the job failed: " + text.FirstLine(message), Error: &job.Failure{Message: message},
	})
	storage, err := gcs.Over(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"state", ""} {
		in := &target{Config: config.Config{Inbox: "inbox", Status: "status", State: state}, storage: storage}
		var out bytes.Buffer
		env := Env{Out: &out, Err: io.Discard, Now: time.Now, Getenv: func(string) string { return "" }}
		o := waitOptions{targetOptions: targetOptions{env: "acme.env"}, output: formatText}
		err = waitFor(t.Context(), env, in, o, []waited{{name: "a/", folder: "a/", generation: 7}})
		got := out.String()
		why := strings.HasSuffix(got, "  to see why: jobdrop why 'gs://inbox/a/#7' --env acme.env\n")
		if n := strings.Count(got, "    File"); codeOf(err) != exitFailed || n != usualEnd-1 || why != (state != "") ||
			!strings.Contains(got, "\n    KeyError: 'age'\n") {
			t.Errorf("exit %d, state bucket %q: shown is\n%s", codeOf(err), state, got)
		}
	}
}

// A job's ID is the attempt that is recorded under it, whose status may be deleted, or the last run of the same job in the
// folder of submit's rule.
func TestWaitFindsJobs(t *testing.T) {
	t.Parallel()
	c := &cloud{objects: map[string]cloudObject{}}
	c.record(t, 7, "census", job.Succeeded)
	c.record(t, 8, "a", job.Failed)
	c.record(t, 9, "a_rerun2", job.Running)
	c.set("inbox/a/job.yaml", cloudObject{generation: 9})
	storage, err := gcs.Over(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	in := &target{Config: config.Config{Inbox: "inbox", Status: "status", State: "state"}, storage: storage}
	for name, want := range map[string]waited{
		"census":   {generation: 7, recorded: job.Snapshot{State: job.Succeeded}},
		"a":        {generation: 9},
		"a_rerun2": {generation: 9, recorded: job.Snapshot{State: job.Running}},
	} {
		a, err := waitOptions{}.parse(name, "inbox")
		if err == nil {
			err = in.find(t.Context(), &a)
		}
		if err != nil || a.folder != "a/" || a.generation != want.generation || a.recorded.State != want.recorded.State {
			t.Errorf("%s: %+v, %v, want %+v", name, a, err, want)
		}
	}
}

// A second interrupt ends a wait that cancels.
func TestWaitInterruptedTwice(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir())
	put(t, r.storage(t), "a/job.yaml", filepath.Join(dropsDir, "incomplete", "job.yaml"))
	c := exec.Command(r.Path, "wait", "a/", "--cancel-on-interrupt")
	c.Args[0] = "jobdrop"
	r.env["JOBDROP_STATE_BUCKET"] = local.Output // where nobody does what is asked for
	for name, value := range r.env {
		c.Env = append(c.Env, name+"="+value)
	}
	interrupt := func() { _ = c.Process.Signal(os.Interrupt) }
	first, second := sync.OnceFunc(interrupt), sync.OnceFunc(interrupt)
	out := &awaited{text: "waiting        waiting for", seen: first}
	c.Stdout, c.Stderr = io.MultiWriter(out, &awaited{text: "interrupt again", seen: second}), out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != exitInterrupted ||
		!strings.Contains(out.String(), "to go on: jobdrop wait") {
		t.Errorf("exit %d: %s", code, out)
	}
}

var waitSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	data, err := os.ReadFile("../../docs/wait/line.v1.json")
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("line", doc); err != nil {
		return nil, err
	}
	return c.Compile("line")
})

// checkWaitLine reports an error unless a line of -o json is what the documentation says.
func checkWaitLine(t *testing.T, line []byte) {
	t.Helper()
	schema, err := waitSchema()
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%v: %s", err, line)
	}
	var l struct{ Status json.RawMessage }
	if err := json.Unmarshal(line, &l); err != nil {
		t.Fatal(err)
	}
	if l.Status != nil && bytes.Contains(l.Status, []byte(`"drop"`)) { // the documentation's is shortened
		eventtest.CheckStatus(t, l.Status)
	}
}

// The documentation's lines are valid, and its exit codes are those of the help.
func TestWaitDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/wait.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("{")) {
			checkWaitLine(t, line)
			lines++
		}
	}
	if lines != 2 {
		t.Errorf("%d lines", lines)
	}
	var order []string
	for _, code := range worst {
		order = append(order, fmt.Sprint(code))
		if !bytes.Contains(text, fmt.Appendf(nil, "\n| %d | ", code)) {
			t.Errorf("exit code %d is not in the table", code)
		}
	}
	help := strings.Join(strings.Fields(newWait(Env{}, nil).Long), " ")
	for name, said := range map[string]string{"the documentation": string(text), "the help": help} {
		if !strings.Contains(said, strings.Join(order, ", ")) {
			t.Errorf("%s has another order than %s", name, order)
		}
	}
}

// behind returns the environment of a stack whose Cloud Storage is behind a proxy that cuts every connection.
func behind(t *testing.T, env map[string]string, after time.Duration) map[string]string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	host := strings.TrimPrefix(env["STORAGE_EMULATOR_HOST"], "http://")
	group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", host)
			if err != nil {
				_ = client.Close()
				continue
			}
			cut := sync.OnceFunc(func() {
				_ = client.Close()
				_ = server.Close()
			})
			time.AfterFunc(after, cut)
			for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
				group.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					cut()
				})
			}
		}
	})
	through := map[string]string{}
	for name, value := range env {
		through[name] = value
	}
	through["STORAGE_EMULATOR_HOST"] = "http://" + listener.Addr().String()
	return through
}

// A status that tells of several events has a line for each, as a run has, then one of what is waited for. Nothing is
// said twice.
func TestChange(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.Local)
	now := noon.AddDate(0, 0, 1)
	var out bytes.Buffer
	none := func(string) string { return "" }
	p := newPrinter(Env{Out: &out, Now: func() time.Time { return now }, Getenv: none}, formatText)
	s := job.Snapshot{
		Attempt: "a", Sequence: 1, State: job.Accepted, Reason: "waiting: 3 of 3 jobs are active",
		Drop: job.DropInfo{Bucket: "inbox", Prefix: "a/", Receipt: &job.Receipt{Objects: []job.Object{
			{Name: "a/job.yaml", Generation: 7}}}},
		Job:        job.JobInfo{ID: "a_1"},
		Violations: []job.Violation{{File: "job.yaml", Field: "region", Message: "far", Severity: job.Warning}},
	}
	add := func(typ job.EventType, reason string) {
		s.Sequence = int64(len(s.History) + 1)
		s.History = append(s.History, job.HistoryEntry{
			Sequence: s.Sequence, Type: typ, Time: noon.AddDate(0, 0, len(s.History)), Reason: reason,
		})
	}
	add(job.DropAccepted, "")
	lines := func(named, whole bool, want ...string) {
		t.Helper()
		p.change(s, named, whole)
		p.change(s, named, whole)
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
		out.Reset()
	}
	lines(false, true, "2026-11-28 12:00:00  drop.accepted  a_1: job.yaml#7", "    job.yaml: warning: region: far",
		"12:00:00.000  accepted       waiting: 3 of 3 jobs are active")
	s.Reason = "paused"
	lines(true, true, "12:00:00.000  accepted       gs://inbox/a/  paused")
	s.State, s.Reason, s.Job.ResourceName = job.Submitted, "", "projects/p/jobs/a_1"
	add(job.JobSubmitted, "")
	lines(false, true, "12:00:00.000  job.submitted  projects/p/jobs/a_1")
	long := strings.Repeat("x", 2000)
	s.State, s.Reason = job.Running, long
	add(job.JobRunning, "")
	add(job.JobDelayed, job.BoundText(long, 40))
	now = now.AddDate(0, 0, 4)
	lines(true, true, "2026-11-30 12:00:00  job.running    gs://inbox/a/",
		"2026-12-01 12:00:00  job.delayed    gs://inbox/a/  "+strings.Repeat("x", 37)+"…")
	s.State, s.Reason = job.Failed, "the job failed: no rows"
	add(job.JobFailed, s.Reason)
	now = s.History[4].Time
	lines(false, false, "")
	lines(false, true, "12:00:00.000  job.failed     the job failed: no rows")
}
