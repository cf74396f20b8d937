package cli

import (
	"bytes"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// jobdropWith runs a command in the environment of a running stack, and returns its
// output and exit code.
func (r *running) jobdropWith(t *testing.T, args ...string) (string, int) {
	t.Helper()
	c := exec.Command(r.Path, args...)
	c.Args[0] = "jobdrop"
	for name, value := range r.env {
		c.Env = append(c.Env, name+"="+value)
	}
	out, err := c.CombinedOutput()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

// underWay is how far a job has come that was run a moment ago.
var underWay = regexp.MustCompile(`now (accepted|submitted|queued|preparing|running|succeeded)(: .*)?$`)

// A drop whose event was lost is run by hand, once. The dry run only finds it.
func TestReplay(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir(), "--lose-events", "--verbose")
	dropInto(t, r.storage(t), "hello")
	r.awaitOutput(t, "event lost, as asked for")
	said := func(args ...string) []string {
		t.Helper()
		out, code := r.jobdropWith(t, append([]string{"replay"}, args...)...)
		if code != 0 {
			t.Fatalf("exit %d: %s", code, out)
		}
		var lines []string
		for line := range strings.Lines(out) {
			name, rest, _ := strings.Cut(strings.TrimSpace(line), "  uploaded ")
			if len(rest) > 20 {
				name += " " + strings.TrimSpace(rest[20:])
			}
			lines = append(lines, underWay.ReplaceAllString(name, "now under way"))
		}
		return lines
	}
	const jobFile = "gs://jobdrop-inbox/hello/job.yaml"
	for _, step := range []struct {
		args, want []string
	}{
		{[]string{"hello/", "--dry-run"}, []string{jobFile + " would run", "Drops that would be run: 1"}},
		{[]string{"other/"}, []string{"Drops that were run: 0"}},
		{[]string{"gs://jobdrop-inbox/hello/"}, []string{jobFile + " run, now under way", "Drops that were run: 1"}},
	} {
		if diff := cmp.Diff(step.want, said(step.args...)); diff != "" {
			t.Errorf("replay %q (-want +got):\n%s", step.args, diff)
		}
	}
	r.awaitOutput(t, "job.succeeded")
	reindexes(t, r)
	got := said("hello/")
	if len(got) != 2 || !strings.HasPrefix(got[0], jobFile+" known, now ") || got[1] != "Drops that were run: 0" {
		t.Errorf("again: %q", got)
	}
	for _, test := range []struct{ arg, want string }{
		{"gs://other/hello/", "not in the inbox"}, {"gs://jobdrop-inbox/", "name a folder"}, {"", "name a folder"},
	} {
		if out, code := r.jobdropWith(t, "replay", test.arg); code != exitUsage || !strings.Contains(out, test.want) {
			t.Errorf("replay %q: exit %d: %s", test.arg, code, out)
		}
	}
	r.env = map[string]string{}
	out, code := r.jobdropWith(t, "replay", "hello/")
	if code != exitUsage || !strings.Contains(out, "JOBDROP_INBOX is not set") {
		t.Errorf("without the environment: exit %d: %s", code, out)
	}
}

// An emulator that an earlier stack's settings name, and that is gone, is told at once.
func TestReplayWithoutItsEmulator(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + l.Addr().String()
	_ = l.Close()
	environment := map[string]string{
		"JOBDROP_INSTANCE": "local", "JOBDROP_PROJECT": "local", "JOBDROP_INBOX": "inbox", "JOBDROP_STATE_BUCKET": "state",
		"JOBDROP_STAGING_BUCKET": "staging", "JOBDROP_STATUS_BUCKET": "status", "JOBDROP_BACKEND": "aiplatform",
		"JOBDROP_TOPIC": "projects/local/topics/t", "JOBDROP_BACKEND_ENDPOINT": gone,
		"STORAGE_EMULATOR_HOST": gone, "PUBSUB_EMULATOR_HOST": l.Addr().String(),
	}
	var stderr bytes.Buffer
	begun := time.Now()
	code := Run(t.Context(), Env{
		Out: io.Discard, Err: &stderr, Now: time.Now, Getenv: func(name string) string { return environment[name] },
	}, []string{"replay", "census/"})
	if code != exitMissing || !strings.Contains(stderr.String(), gone+", which STORAGE_EMULATOR_HOST names") {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("told after %s", took)
	}
}

// reindexes deletes an installation's lists by time, and has them made anew.
func reindexes(t *testing.T, r *running) {
	t.Helper()
	run := func() string {
		out, code := r.jobdropWith(t, "reindex")
		if code != 0 || !strings.HasPrefix(out, "1 records, ") {
			t.Errorf("reindex: exit %d: %s", code, out)
		}
		if all := append(objectsBelow(t, r, "recent/"), objectsBelow(t, r, "ended/succeeded/")...); len(all) != 2 {
			t.Errorf("listed by time: %q", all)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		return lines[len(lines)-1]
	}
	awaitOpen(t, r)
	if said := run(); said != "Places that were missing: 0, of 1 records" {
		t.Errorf("reindex: %s", said)
	}
	for _, folder := range []string{"recent/", "ended/"} {
		for _, name := range objectsBelow(t, r, folder) {
			if err := r.storage(t).Delete(t.Context(), local.State, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A tick may put back what is missing before the command does.
	if said := run(); !regexp.MustCompile(`^Places that were missing: [0-2], of 1 records$`).MatchString(said) {
		t.Errorf("reindex: %s", said)
	}
}

// awaitOpen waits until no attempt is open.
func awaitOpen(t *testing.T, r *running) {
	t.Helper()
	for range 200 {
		if len(objectsBelow(t, r, "open/")) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("an attempt stays open")
}

func objectsBelow(t *testing.T, r *running, folder string) (names []string) {
	t.Helper()
	if err := r.storage(t).ListAfter(t.Context(), local.State, folder, "", func(page []job.Attributes) error {
		for _, o := range page {
			names = append(names, o.Name)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return names
}
