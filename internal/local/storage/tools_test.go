package storage

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tool runs one of Google's tools, with settings of its own, against a server.
type tool struct {
	program string
	env     []string
}

func (c tool) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c tool) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	// A call takes a second or two: this is for a machine with much to do.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	p := exec.CommandContext(ctx, c.program, args...)
	p.Env = append(os.Environ(), c.env...)
	p.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	p.Stdout, p.Stderr = &stdout, &stderr
	if err := p.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", c.program, strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// newTool returns a tool. If the machine lacks it, newTool skips the test, visibly.
func newTool(t *testing.T, server, program string) tool {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: runs other programs")
	}
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("SKIPPED: %s is not on this machine", program)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	boto := filepath.Join(dir, "boto.cfg")
	err = os.WriteFile(boto, fmt.Appendf(nil, `[Credentials]
gs_json_host = %[1]s
gs_json_port = %[2]s
gs_json_host_header = %[1]s

[Boto]
is_secure = False
https_validate_certificates = False

[GSUtil]
default_project_id = local
state_dir = %[3]s
`, u.Hostname(), u.Port(), dir), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return tool{program, []string{
		"CLOUDSDK_CONFIG=" + filepath.Join(dir, "gcloud"), "CLOUDSDK_CORE_PROJECT=local",
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE=" + server + "/storage/v1/", "CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"BOTO_CONFIG=" + boto,
	}}
}

// sources writes a file above the tools' size for resumable uploads, and a folder.
func sources(t *testing.T) (dir string, large []byte) {
	t.Helper()
	dir = t.TempDir()
	large = bytes.Repeat([]byte("0123456789abcdef"), 9<<16)
	for name, content := range map[string][]byte{
		"large": large, "small.txt": []byte("hello\n"), "tree/a.txt": []byte("A"), "tree/sub/ü #.txt": []byte("B"),
		"tree/empty": nil,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, large
}

func wantFile(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes, want %d: %v", filepath.Base(path), len(got), len(want), err)
	}
}

func TestGcloud(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := newTool(t, s.URL(), "gcloud")
	dir, large := sources(t)
	b := "gs://" + bucketA
	c.run(t, "storage", "cp", "-r", dir+"/large", dir+"/tree", b+"/up/")
	c.run(t, "storage", "cp", b+"/up/large", dir+"/down")
	wantFile(t, dir+"/down", large)
	if got, want := c.run(t, "storage", "ls", b+"/up/tree/**"),
		b+"/up/tree/a.txt\n"+b+"/up/tree/empty\n"+b+"/up/tree/sub/ü #.txt\n"; got != want {
		t.Errorf("list is %q, want %q", got, want)
	}
	c.run(t, "storage", "mv", b+"/up/tree/a.txt", b+"/moved.txt")
	if _, err := c.try(t, "storage", "cp", dir+"/small.txt", b+"/moved.txt", "--if-generation-match=0"); err == nil ||
		!strings.Contains(err.Error(), "412") {
		t.Errorf("write where an object is: %v", err)
	}
	if s.read(t, "moved.txt") != "A" {
		t.Error("the object that was moved is another")
	}
	c.run(t, "storage", "rm", "-r", b)
	do(t, "GET", s.URL()+"/storage/v1/b/"+bucketA, "").want(t, 404)
}

func TestGsutil(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := newTool(t, s.URL(), "gsutil")
	dir, large := sources(t)
	b := "gs://" + bucketA
	c.run(t, "-m", "cp", "-r", dir+"/large", dir+"/tree", b+"/up/")
	c.run(t, "cp", b+"/up/large", dir+"/down")
	wantFile(t, dir+"/down", large)
	if got, want := c.run(t, "ls", b+"/up/tree/**"),
		b+"/up/tree/a.txt\n"+b+"/up/tree/empty\n"+b+"/up/tree/sub/ü #.txt\n"; got != want {
		t.Errorf("list is %q, want %q", got, want)
	}
	c.run(t, "compose", b+"/up/tree/a.txt", b+"/up/tree/a.txt", b+"/composed")
	if got := s.read(t, "composed"); got != "AA" {
		t.Errorf("composed is %q", got)
	}
	c.run(t, "-m", "rm", "-r", b+"/up")
	if items, _ := s.listAll(t, ""); len(items) != 1 {
		t.Errorf("left are %q", items)
	}
}

// Debian's library for Python uploads in pieces, downloads, and calls in batches.
func TestPython(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	const python = "/usr/bin/python3" // for which Debian's packages install modules
	c := newTool(t, s.URL(), python)
	if _, err := c.try(t, "-c", "import googleapiclient"); err != nil {
		t.Skip("SKIPPED: Debian's python3-googleapi is not on this machine")
	}
	c.run(t, "testdata/client.py", s.URL(), bucketA)
	if got := s.read(t, "python"); len(got) != 700_000 {
		t.Errorf("the object has %d bytes", len(got))
	}
}
