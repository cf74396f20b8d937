package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// An interrupted command is waited for, but not for ever.
func TestEndInTime(t *testing.T) {
	failed := errors.New("failed")
	for _, test := range []struct {
		name string
		work time.Duration // from the interrupt on
		code int           // 0 if work's own error is returned
	}{
		{"at once", 0, 0},
		{"within the time", longestEnd - time.Second, 0},
		{"too late", longestEnd + time.Second, exitFault},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithTimeout(t.Context(), time.Hour)
				defer interrupt()
				err := endInTime(ctx, func() error {
					<-ctx.Done()
					time.Sleep(test.work)
					return failed
				})
				time.Sleep(test.work) // for the goroutine that was given up
				var code *exitError
				switch {
				case test.code == 0 && err != failed:
					t.Errorf("it returns %v, want the work's error", err)
				case test.code != 0 && (!errors.As(err, &code) || code.code != test.code):
					t.Errorf("it returns %v, want exit %d", err, test.code)
				}
			})
		})
	}
	if err := endInTime(t.Context(), func() error { return nil }); err != nil {
		t.Errorf("without an interrupt: %v", err)
	}
}

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
		{"no such folder", []string{"run", "none"}, exitUsage, "no such file"},
		{"a file for a folder", []string{"run", dropsDir + "/hello/job.yaml"}, exitUsage, "is not a folder"},
		{"no such format", []string{"validate", dropsDir, "--format", "xml"}, exitUsage, `--format is "xml"`},
		{"a console without logs", []string{"console", "--log-reads-per-minute", "0"}, exitUsage, "--log-reads-per-minute is 0"},
		{"no such path", []string{"validate", "none"}, exitUsage, "no such file"},
		{"other machines", []string{"local", "--host", "0.0.0.0"}, exitUsage, "add --allow-remote"},
		{"no stack to ask", []string{"logs", "hello", "--endpoint", "http://127.0.0.1:9"}, exitMissing,
			"start jobdrop local, or name its own with --endpoint"},
		{"no such Python", []string{"run", dropsDir + "/hello", "--python", "/nonexistent/python3"}, exitMissing,
			"/nonexistent/python3"},
		{"a folder without a job file", []string{"run", dropsDir}, exitRejected,
			"drops is incomplete: it holds no job file"},
		{"a job that fails", []string{"run", dropsDir + "/fails"}, exitFailed,
			" | ValueError: learning rate must be positive, got -0.1\n"},
		{"a job that never ends", []string{"run", dropsDir + "/endless"}, exitTimedOut,
			"job.timed_out  the job ran for longer than its limit of 5s, and the backend ended it"},
		{"a package that never comes", []string{"run", dropsDir + "/incomplete"}, exitRejected,
			"drop.incomplete waiting for trainer-0.2.tar.gz in gs://"},
		{"help", []string{"run", "--help"}, exitSucceeded, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, test.args...)
			if got.code != test.code {
				t.Errorf("exit %d, want %d: %s", got.code, test.code, got.stderr)
			}
			if output := got.stdout + got.stderr; !strings.Contains(output, test.output) {
				t.Errorf("output is %q, want %q in it", output, test.output)
			}
		})
	}
}

// Each state that a run ends in has its code: a failure is told from a cancel and from a limit.
func TestRunExitCodes(t *testing.T) {
	t.Parallel()
	for state, want := range map[job.State]int{
		job.Succeeded: 0, job.Failed: 1, job.Rejected: 2, job.Waiting: 2, job.Cancelled: 3, job.Withdrawn: 3,
		job.TimedOut: 4, job.Lost: 4, job.Expired: 4,
	} {
		var out bytes.Buffer
		s := session{printer: newPrinter(Env{Out: &out, Now: time.Now, Getenv: func(string) string { return "" }}, formatText)}
		err := s.summarize(event.Body{State: state})
		code := 0
		if e, ok := errors.AsType[*exitError](err); ok {
			code = e.code
		}
		if code != want {
			t.Errorf("%s: exit %d, want %d", state, code, want)
		}
	}
	for _, state := range []job.State{job.Waiting, job.Held, job.Accepted, job.Running, "paused"} {
		if code := exitOf(state); code != exitRunning {
			t.Errorf("%s is no verdict: exit %d, want %d", state, code, exitRunning)
		}
	}
}

// Whoever interrupts a run is told that its job was ended.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var stderr bytes.Buffer
	env := Process()
	env.Out, env.Err = &awaited{text: "job.running", seen: interrupt}, &stderr
	code := Run(ctx, env, []string{"run", dropsDir + "/endless"})
	if code != exitInterrupted || !strings.Contains(stderr.String(), "interrupted: the job, if it ran, was ended") {
		t.Errorf("exit %d, want %d: %s", code, exitInterrupted, stderr.String())
	}
}

// awaited is an output that calls a function once a text was written.
type awaited struct {
	lockedBuffer
	text string
	seen func()
}

func (a *awaited) Write(p []byte) (int, error) {
	n, err := a.lockedBuffer.Write(p)
	if strings.Contains(a.String(), a.text) {
		a.seen()
	}
	return n, err
}

// What nearly is the missing package is named, as validate names it, and once.
func TestRunNamesWhatIsNear(t *testing.T) {
	t.Parallel()
	jobFile, err := os.ReadFile(dropsDir + "/incomplete/job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, job, file, want string
	}{
		{"another form", "", "trainer-0.2.zip", "trainer-0.2.zip is there: jobdrop takes *.tar.gz"},
		{"a folder below", "", "dist/trainer-0.2.tar.gz", "dist/trainer-0.2.tar.gz is there: upload it beside the job file"},
		{"another version", "", "trainer-0.1.tar.gz", "trainer-0.1.tar.gz is there: it is another version"},
		{"any package", "packageUris", "trainer-0.1.tar.bz2", "trainer-0.1.tar.bz2 is there: jobdrop takes *.tar.gz"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text := string(jobFile)
			if tt.job != "" {
				text, _, _ = strings.Cut(text, "  "+tt.job)
			}
			for name, content := range map[string]string{"job.yaml": text, tt.file: "x"} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := run(t, "validate", dir); !strings.Contains(got.stdout, tt.want) {
				t.Errorf("validate: %s", got.stdout)
			}
			got := run(t, "run", dir)
			_, said, _ := strings.Cut(got.stdout, "  incomplete: ")
			if got.code != exitRejected || strings.Count(said, tt.want) != 1 {
				t.Errorf("run: exit %d: %s%s", got.code, got.stdout, got.stderr)
			}
		})
	}
}

func TestNoPythonOnPath(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	got := run(t, "run", dropsDir+"/hello")
	if got.code != exitMissing {
		t.Errorf("exit %d, want %d", got.code, exitMissing)
	}
	if !strings.Contains(got.stderr, "install the package python3") {
		t.Errorf("standard error is %q, which names no package to install", got.stderr)
	}
}

// If nobody reads the output, the run ends, with its job, and says so.
func TestOutputThatFails(t *testing.T) {
	t.Parallel()
	for _, drop := range []string{"hello", "endless"} {
		t.Run(drop, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			env := Process()
			env.Out, env.Err = &full{left: 200}, &stderr
			if code := Run(t.Context(), env, []string{"run", dropsDir + "/" + drop}); code != exitFault {
				t.Errorf("exit %d, want %d", code, exitFault)
			}
			if !strings.Contains(stderr.String(), "output: no space left") {
				t.Errorf("standard error is %q", stderr.String())
			}
		})
	}
}

// full takes a number of bytes and no more.
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
	got := run(t, "validate", dir)
	const want = "too many job files and packages to be a drop"
	if got.code != exitRejected || !strings.Contains(got.stdout, want) {
		t.Errorf("exit %d: %s", got.code, got.stdout)
	}
}
