package upload_test

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/upload"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// childUpload names, in its environment, what a child process uploads.
const childUpload = "JOBDROP_TEST_UPLOAD"

// work is what a child process uploads.
type work struct{ Address, File, SessionDir string }

func TestMain(m *testing.M) {
	if text := os.Getenv(childUpload); text != "" {
		if err := uploadInChild(text); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// uploadInChild uploads a file, and prints the result.
func uploadInChild(text string) error {
	var w work
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := gcs.New(ctx, w.Address)
	if err != nil {
		return err
	}
	f, err := os.Open(w.File)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r, err := upload.Upload(ctx, c, bucket, "a", f, info.Size(), upload.Options{SessionDir: w.SessionDir})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// gate is a listener that counts what its connections bring, and lets only so much of it pass.
type gate struct {
	net.Listener
	mu      sync.Mutex
	read    int64
	most    int64         // bytes that pass
	full    chan struct{} // closed when so much has come
	release chan struct{} // closed to let everything pass
}

func (g *gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gated{c, g}, nil
}

// shut has the gate stop after more bytes.
func (g *gate) shut(after int64) (full <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most, g.full, g.release = g.read+after, make(chan struct{}), make(chan struct{})
	return g.full
}

// open lets everything pass.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.release)
	g.full = nil
}

func (g *gate) count() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.read
}

type gated struct {
	net.Conn
	g *gate
}

func (c *gated) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.g.mu.Lock()
	c.g.read += int64(n)
	release := c.g.release
	switch {
	case c.g.full == nil || c.g.read < c.g.most:
		release = nil
	default:
		select {
		case <-c.g.full:
		default:
			close(c.g.full)
		}
	}
	c.g.mu.Unlock()
	if release != nil {
		<-release
	}
	return n, err
}

// An upload of 200 MiB whose process is killed twice goes on in the next one: what has arrived is not sent again, and
// nobody sees an object before all of it is there.
func TestKilled(t *testing.T) {
	t.Parallel()
	const size, after, few = 200 << 20, 70 << 20, 1 << 20
	dir := t.TempDir()
	w := work{File: filepath.Join(dir, "file"), SessionDir: filepath.Join(dir, "sessions")}
	f, err := os.Create(w.File)
	if err != nil {
		t.Fatal(err)
	}
	r, block := rand.NewChaCha8([32]byte{1}), make([]byte, 1<<20)
	for range size / len(block) {
		_, _ = r.Read(block)
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: listen(t, "127.0.0.1:0")}
	l := serve(t, storage.Options{Listener: g})
	w.Address = l.server.URL()
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		c := exec.CommandContext(t.Context(), self)
		c.Env, c.Stderr = append(os.Environ(), childUpload+"="+string(text)), os.Stderr
		return c
	}
	for i := range 2 {
		full, c := g.shut(after), start()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		select {
		case <-full:
		case err := <-ended:
			t.Fatalf("the child has ended by itself: %v", err)
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		g.open()
		if _, err := l.Stat(t.Context(), bucket, "a"); !errors.Is(err, job.ErrNotFound) || l.finalized.Load() != 0 {
			t.Fatalf("after kill %d there is an object: %v", i+1, err)
		}
		if kept := sessions(t, w.SessionDir); len(kept) != 1 {
			t.Fatalf("kept: %v", kept)
		}
	}
	out, err := start().Output()
	if err != nil {
		t.Fatal(err)
	}
	var result upload.Result
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatal(err)
	}
	if result.Resumed < 2*after-few || result.Resumed+result.Sent != size || result.Object.Size != size {
		t.Errorf("%+v", result)
	}
	stored, err := l.Stat(t.Context(), bucket, "a")
	if err != nil || stored.Object != result.Object || l.finalized.Load() != 1 {
		t.Errorf("stored %+v, %v; stored %d times; want %+v", stored.Object, err, l.finalized.Load(), result.Object)
	}
	if n := g.count(); n < size || n > size+few {
		t.Errorf("%d bytes came over the line for a file of %d", n, size)
	}
	if kept := sessions(t, w.SessionDir); len(kept) != 0 {
		t.Errorf("kept: %v", kept)
	}
	t.Logf("%d bytes came over the line for a file of %d, with two kills", g.count(), size)
}
