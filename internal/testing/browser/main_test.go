package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/cli"
	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write the screenshots of docs/console")

// command is the name by which a test's binary is jobdrop.
const command = "jobdrop"

func TestMain(m *testing.M) {
	if os.Args[0] == command || len(os.Args) > 1 && os.Args[1] == "functions" {
		ctx, stop := cli.Signals(context.Background())
		code := cli.Run(ctx, cli.Process(), os.Args[1:])
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// stack is a jobdrop local that runs.
type stack struct {
	env     map[string]string
	console string
	client  *gcs.Client
	reader  *ledger.Reader
	end     func()
}

// startStack starts jobdrop local on free ports, with its data in a folder.
func startStack(t testing.TB, data string) *stack {
	t.Helper()
	file := filepath.Join(t.TempDir(), "env")
	c := exec.Command(os.Args[0], "local", "--data", data, "--env-file", file, "--max-jobs", "8",
		"--storage-port", "0", "--pubsub-port", "0", "--training-port", "0", "--functions-port", "0", "--console-port", "0")
	c.Args[0] = command
	c.Env = append(os.Environ(), "PUBSUB_EMULATOR_HOST=", "PIP_NO_INDEX=1")
	said, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- c.Wait() }()
	s := &stack{end: sync.OnceFunc(func() {
		_ = c.Process.Signal(os.Interrupt)
		select {
		case <-exited:
		case <-time.After(30 * time.Second):
			_ = c.Process.Kill()
		}
	})}
	t.Cleanup(s.end)
	output := func() string {
		text, _ := os.ReadFile(said.Name())
		return string(text)
	}
	await(t, "the stack is ready", func() bool {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("jobdrop local has ended: %v\n%s", err, output())
		default:
		}
		text, err := os.ReadFile(file)
		if err == nil {
			s.env, err = envfile.Parse(string(text))
		}
		return err == nil
	})
	if at := regexp.MustCompile(`(?im)^.*console.*?(http://\S+?)/?$`).FindStringSubmatch(output()); at != nil {
		s.console = at[1]
	} else {
		t.Fatalf("the stack does not say where its console is:\n%s", output())
	}
	if s.client, err = gcs.New(t.Context(), s.env["STORAGE_EMULATOR_HOST"]); err != nil {
		t.Fatal(err)
	}
	if s.reader, err = ledger.NewReader(s.client, local.State); err != nil {
		t.Fatal(err)
	}
	return s
}

// await waits until something is so.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for patience := time.After(2 * time.Minute); !is(); {
		select {
		case <-poll.C:
		case <-patience:
			t.Fatalf("after two minutes it is not so that %s", what)
		}
	}
}

// awaitState waits until an attempt is in a state.
func (s *stack) awaitState(t testing.TB, key string, want job.State) {
	t.Helper()
	var last string
	await(t, fmt.Sprintf("attempt %s is %s", key, want), func() bool {
		r, err := s.reader.Record(t.Context(), key)
		if err != nil && !errors.Is(err, job.ErrNotFound) {
			t.Fatal(err)
		}
		if now := string(r.Shown()); now != last {
			last = now
			t.Logf("%s is %s", key, now)
		}
		if r.State.Terminal() && r.State != want {
			t.Fatalf("attempt %s is %s: %s %+v", key, r.State, r.Reason, r.Violations)
		}
		return err == nil && r.Shown() == want
	})
}

// drop uploads files into a folder of the inbox, the job file last, and returns the key of the attempt.
func (s *stack) drop(t testing.TB, files fs.FS, folder string, metadata map[string]string) string {
	t.Helper()
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string) job.Object {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		o := job.Object{Bucket: local.Inbox, Name: folder + name}
		if o.Generation, err = s.client.Write(t.Context(), o.Bucket, o.Name, data, "", metadata, 0); err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "job.") {
			write(e.Name())
		}
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "job.") {
			return job.AttemptKey(write(e.Name()))
		}
	}
	t.Fatalf("%s: no job file", folder)
	return ""
}

// sdist packs the source of a trainer.
func sdist(t *testing.T, source fs.FS) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	add := func(name string, data []byte) {
		if err := w.WriteHeader(&tar.Header{Name: "trainer-0.1/" + name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	add("PKG-INFO", []byte("Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n"))
	err := fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(source, name)
		add(name, data)
		return err
	})
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
