package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		args   []string
		code   int
		output string // on either stream
	}{
		{"no such command", []string{"rnu"}, exitUsage, "unknown command"},
		{"no such flag", []string{"run", "--foo", dropsDir}, exitUsage, "unknown flag: --foo"},
		{"no folder given", []string{"run"}, exitUsage, "accepts 1 arg"},
		{"no such folder", []string{"run", "none"}, exitUsage, "no such file"},
		{"a file for a folder", []string{"run", dropsDir + "/hello/job.yaml"}, exitUsage, "is no folder"},
		{"no such form of events", []string{"run", dropsDir + "/hello", "--events", "xml"}, exitUsage, `--events is "xml", must be text or json`},
		{"no such format", []string{"validate", dropsDir, "--format", "xml"}, exitUsage, `--format is "xml"`},
		{"nothing to validate", []string{"validate"}, exitUsage, "requires at least 1 arg"},
		{"no such path", []string{"validate", "none"}, exitUsage, "no such file"},
		{"other machines", []string{"local", "--host", "0.0.0.0"}, exitUsage, "add --allow-remote"},
		{"a name for a host", []string{"local", "--host", "example.com"}, exitUsage, "must be an IP address"},
		{"more than all events", []string{"local", "--lose-events=2"}, exitUsage, "--lose-events is 2, must be from 0 to 1"},
		{"no port", []string{"local", "--storage-port", "65536"}, exitUsage, "--storage-port"},
		{"no such container runner", []string{"run", dropsDir + "/hello", "--container-runner", "lxc"}, exitUsage, "must be docker or podman"},
		{"fewer than no jobs", []string{"local", "--max-jobs", "-1"}, exitUsage, "must not be negative"},
		{"no job named", []string{"logs"}, exitUsage, "accepts 1 arg"},
		{"no stack to ask", []string{"logs", "hello", "--endpoint", "http://127.0.0.1:9"}, exitMissing, "start jobdrop local, or name its own with --endpoint"},
		{"no such Python", []string{"run", dropsDir + "/hello", "--python", "/nonexistent/python3"}, exitMissing, "/nonexistent/python3"},
		{"a folder without a job file", []string{"run", dropsDir}, exitRejected, "drops is incomplete: it holds no job file"},
		{"a job that fails", []string{"run", dropsDir + "/fails"}, exitFailed, "\n    ValueError: learning rate must be positive, got -0.1\n"},
		{"a job that never ends", []string{"run", dropsDir + "/endless"}, exitFailed, "job.timed_out  run limit of 5s, enforced by the trainer"},
		{"a package that never comes", []string{"run", dropsDir + "/incomplete"}, exitRejected, "drop.incomplete missing trainer-0.2.tar.gz"},
		{"help", []string{"run", "--help"}, exitSucceeded, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr); code != test.code {
				t.Errorf("exit %d, want %d: %s", code, test.code, stderr.String())
			}
			if output := stdout.String() + stderr.String(); !strings.Contains(output, test.output) {
				t.Errorf("output is %q, want %q in it", output, test.output)
			}
		})
	}
}

func TestNoPythonOnPath(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"run", dropsDir + "/hello"}, strings.NewReader(""), &stdout, &stderr); code != exitMissing {
		t.Errorf("exit %d, want %d", code, exitMissing)
	}
	if !strings.Contains(stderr.String(), "install the package python3") {
		t.Errorf("standard error is %q, which names no package to install", stderr.String())
	}
}

// Nobody reads: the run ends, with its job, and says so.
func TestOutputThatFails(t *testing.T) {
	t.Parallel()
	for _, drop := range []string{"hello", "endless"} {
		t.Run(drop, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			if code := run(t.Context(), []string{"run", dropsDir + "/" + drop}, strings.NewReader(""), &full{left: 200}, &stderr); code != exitFault {
				t.Errorf("exit %d, want %d", code, exitFault)
			}
			if !strings.Contains(stderr.String(), "output: no space left") {
				t.Errorf("standard error is %q", stderr.String())
			}
		})
	}
}

// full takes so many bytes and no more.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

// What Submit would reject before it reads anything, validate does not pass.
func TestValidateOfAFullFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 1001 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.whl", i)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "job.yaml"), []byte("trainingInput: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"validate", dir}, strings.NewReader(""), &stdout, &stderr); code != exitRejected || !strings.Contains(stdout.String(), "too many job files and packages to be a drop") {
		t.Errorf("exit %d: %s", code, stdout.String())
	}
}
