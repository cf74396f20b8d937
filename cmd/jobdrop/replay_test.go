package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// jobdropWith runs a command in the environment of a running stack, and gives its
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

// A drop that nobody looked at is run by hand, once; the dry run only finds it.
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
			lines = append(lines, name)
		}
		return lines
	}
	for _, step := range []struct {
		args, want []string
	}{
		{[]string{"hello/", "--dry-run"}, []string{"gs://jobdrop-inbox/hello/job.yaml would run", "1 drops would be run"}},
		{[]string{"other/"}, []string{"0 drops were run"}},
		{[]string{"gs://jobdrop-inbox/hello/"}, []string{"gs://jobdrop-inbox/hello/job.yaml run, now submitted", "1 drops were run"}},
	} {
		if diff := cmp.Diff(step.want, said(step.args...)); diff != "" {
			t.Errorf("replay %q (-want +got):\n%s", step.args, diff)
		}
	}
	r.awaitOutput(t, "job.succeeded")
	if got := said("hello/"); len(got) != 2 || !strings.HasPrefix(got[0], "gs://jobdrop-inbox/hello/job.yaml known, now ") || got[1] != "0 drops were run" {
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
	if out, code := r.jobdropWith(t, "replay", "hello/"); code != exitUsage || !strings.Contains(out, "JOBDROP_INBOX is not set") {
		t.Errorf("without the environment: exit %d: %s", code, out)
	}
}
