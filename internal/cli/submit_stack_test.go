package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// jobs returns the IDs of a stack's jobs that begin so.
func (r *running) jobs(t *testing.T, prefix string) (ids []string) {
	t.Helper()
	service, err := ml.NewService(t.Context(), option.WithEndpoint(r.env["JOBDROP_BACKEND_ENDPOINT"]+"/"),
		option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	list, err := service.Projects.Jobs.List("projects/" + local.Project).Do()
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range list.Jobs {
		if strings.HasPrefix(j.JobId, prefix) {
			ids = append(ids, j.JobId)
		}
	}
	return ids
}

// A folder of sources becomes a job that succeeds, once, however often and by however many it is submitted.
func TestSubmitOnAStack(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir())
	source := filepath.Join(t.TempDir(), "trainer")
	if err := os.MkdirAll(source, 0o700); err != nil {
		t.Fatal(err)
	}
	program := "import sys\nprint('the arguments are', sys.argv[1:])\nsys.exit('--fail' in sys.argv)\n"
	for name, text := range map[string]string{"__init__.py": "", "task.py": program} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ci := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_SHA": "abc", "GITHUB_REF_NAME": "main", "GITHUB_ACTOR": "ann",
		"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/census", "GITHUB_RUN_ID": "12",
	}
	submit := func(args ...string) result {
		var stdout, stderr bytes.Buffer
		env := Env{Out: &stdout, Err: &stderr, Now: time.Now, Getenv: func(name string) string { return ci[name] }}
		code := Run(t.Context(), env, append([]string{
			"submit", "--env", r.file, "--package-path", source, "--module-name", "trainer.task", "--region", "us-central1",
			"--scale-tier", "basic", "--runtime-version", "2.11", "--python-version", "3.7", "-o", "json",
		}, args...))
		return result{code, stdout.String(), stderr.String()}
	}
	of := func(ran result) (s submitted) {
		t.Helper()
		first, _, _ := strings.Cut(ran.stdout, "\n")
		if err := json.Unmarshal([]byte(first), &s); err != nil {
			t.Fatalf("exit %d, %v:\n%s%s", ran.code, err, ran.stdout, ran.stderr)
		}
		return s
	}
	// Two at once: one job.
	var group sync.WaitGroup
	var both [2]result
	for i := range both {
		group.Go(func() { both[i] = submit("census", "--wait", "--", "--x=1") })
	}
	group.Wait()
	a, b := of(both[0]), of(both[1])
	if both[0].code != 0 || both[1].code != 0 || a.Generation != b.Generation || a.Attached == b.Attached {
		t.Errorf("two at once: exit %d and %d, %+v and %+v\n%s", both[0].code, both[1].code, a, b, both[0].stderr)
	}
	if a.Drop != "gs://"+local.Inbox+"/census/" || a.JobID != "census" {
		t.Errorf("submitted was %+v", a)
	}
	checkSubmitted(t, "submitted.v1.json", strings.SplitN(both[0].stdout, "\n", 2)[0])
	// Who dropped it is in the events, and not in the file.
	ann := job.Uploader{Name: "ann", Commit: "abc", Branch: "main", URL: "https://github.com/acme/census/actions/runs/12"}
	if diff := cmp.Diff(ann, awaitStatus(t, r.storage(t), "census/", "succeeded").Uploader); diff != "" {
		t.Errorf("the uploader (-want +got):\n%s", diff)
	}
	// Once more: it has succeeded.
	if again := submit("census", "--", "--x=1"); again.code != 0 || of(again).State != job.Succeeded || !of(again).Attached {
		t.Errorf("again: exit %d, %s", again.code, again.stdout)
	}
	// The job ID is used up for anything else.
	if other := submit("census", "--", "--y=1"); other.code != exitRejected || !strings.Contains(other.stderr, "is used up") {
		t.Errorf("other content: exit %d, %s", other.code, other.stderr)
	}
	// Different ones into one folder at once: one job, and one that is refused.
	for i := range both {
		group.Go(func() { both[i] = submit("either", "--wait", "--", fmt.Sprintf("--x=%d", i)) })
	}
	group.Wait()
	slices.SortFunc(both[:], func(a, b result) int { return a.code - b.code })
	if both[0].code != exitSucceeded || both[1].code != exitRejected || of(both[0]).Attached {
		t.Errorf("different ones at once: exit %d and %d\n%s\n%s", both[0].code, both[1].code, both[0].stderr, both[1].stderr)
	}
	if jobs := r.jobs(t, "either"); len(jobs) != 1 {
		t.Errorf("the jobs are %q", jobs)
	}
	// A failure is told as one, before and after, and a rerun has a job of its own.
	if failed := submit("fails", "--wait", "--", "--fail"); failed.code != exitFailed {
		t.Errorf("a job that fails: exit %d\n%s%s", failed.code, failed.stdout, failed.stderr)
	}
	if failed := submit("fails", "--wait", "--", "--fail"); failed.code != exitFailed ||
		!strings.Contains(failed.stderr, "--rerun runs it again") {
		t.Errorf("again: exit %d\n%s", failed.code, failed.stderr)
	}
	rerun := submit("fails", "--wait", "--rerun", "--", "--fail")
	if s := of(rerun); rerun.code != exitFailed || s.Attached || s.JobID != "fails_rerun2" {
		t.Errorf("a rerun: exit %d, %+v\n%s", rerun.code, s, rerun.stderr)
	}
}

// counting counts the bytes that go to a server, and lets only so many pass.
type counting struct {
	net.Listener
	to string

	mu     sync.Mutex
	passed int64
	most   int64         // bytes that pass; 0 for all
	full   chan struct{} // closed when so many have passed
}

// newCounting returns a listener whose connections go on to a server.
func newCounting(t *testing.T, to string, most int64) *counting {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counting{Listener: l, to: strings.TrimPrefix(to, "http://"), most: most, full: make(chan struct{})}
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	group.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", c.to)
			if err != nil {
				t.Error(err)
				_ = client.Close()
				return
			}
			group.Go(func() {
				_, _ = io.Copy(client, server)
				_ = client.Close()
			})
			group.Go(func() {
				_, _ = io.Copy(io.MultiWriter(c, server), client)
				_ = server.Close()
			})
		}
	})
	return c
}

// open lets everything pass.
func (c *counting) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = 0
}

func (c *counting) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed
}

var errFull = errors.New("no more passes")

// Write implements [io.Writer]: it counts what is to pass.
func (c *counting) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && c.passed > c.most {
		select {
		case <-c.full:
		default:
			close(c.full)
		}
		return 0, errFull
	}
	c.passed += int64(len(p))
	return len(p), nil
}

// writeLargePackage writes a trainer's package with random data of a size, which no compressor makes smaller.
func writeLargePackage(t *testing.T, name string, size int64) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, one := range []struct {
		name    string
		size    int64
		content io.Reader
	}{
		{"setup.py", -1, strings.NewReader("from setuptools import setup\nsetup(name='trainer', version='0.1', " +
			"packages=['trainer'], package_data={'trainer': ['data']})\n")},
		{"trainer/__init__.py", -1, strings.NewReader("")},
		{"trainer/task.py", -1, strings.NewReader("print('hello')\n")},
		{"trainer/data", size, io.LimitReader(rand.NewChaCha8([32]byte{1}), size)},
	} {
		if text, ok := one.content.(*strings.Reader); ok {
			one.size = text.Size()
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "trainer-0.1/" + one.name, Mode: 0o644, Size: one.size}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, one.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
}

// A command that is killed while it uploads 200 MiB goes on when it is started again: little is sent twice. Nothing runs
// before all of it is there, and then one job does.
func TestSubmitKilledWhileItUploads(t *testing.T) {
	t.Parallel()
	const size, after, few = 200 << 20, 100 << 20, 1 << 20
	r := startLocal(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "trainer-0.1.tar.gz")
	writeLargePackage(t, file, size)
	cache := t.TempDir()
	through := newCounting(t, r.env["STORAGE_EMULATOR_HOST"], after)
	submit := func() (*exec.Cmd, *lockedBuffer) {
		c := exec.CommandContext(t.Context(), r.Path, "submit", "large", "--packages", file, "--module-name", "trainer.task",
			"--region", "us-central1", "--scale-tier", "basic", "--runtime-version", "2.11", "--python-version", "3.7", "--wait")
		c.Args[0] = "jobdrop"
		out := &lockedBuffer{}
		c.Stdout, c.Stderr = out, out
		for name, value := range r.env {
			if name == "STORAGE_EMULATOR_HOST" {
				value = "http://" + through.Addr().String()
			}
			c.Env = append(c.Env, name+"="+value)
		}
		c.Env = append(c.Env, "XDG_CACHE_HOME="+cache, "HOME="+cache)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c, out
	}
	c, out := submit()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-through.full:
	case err := <-ended:
		t.Fatalf("it has ended by itself: %v\n%s", err, out)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	through.open()
	_, err := r.storage(t).Stat(t.Context(), local.Inbox, "large/job.yaml")
	if jobs := r.jobs(t, "large"); !errors.Is(err, job.ErrNotFound) || len(jobs) > 0 {
		t.Errorf("after the kill the jobs are %q, and the job file %v", jobs, err)
	}
	c, out = submit()
	if err := c.Wait(); err != nil {
		t.Errorf("again: %v\n%s", err, out)
	}
	sent := through.count()
	if sent > size+few { // the service keeps what has arrived of a part
		t.Errorf("%d bytes were sent of a package of %d", sent, size)
	}
	for _, text := range []string{"went on after ", "job.succeeded"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is not in\n%s", text, out)
		}
	}
	if jobs := r.jobs(t, "large"); !slices.Equal(jobs, []string{"large"}) {
		t.Errorf("the jobs are %q", jobs)
	}
	t.Logf("%d bytes were sent of a package of %d\n%s", sent, size, out)
}
