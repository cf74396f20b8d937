package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dropOf makes a drop like hello whose trainer.task is program. It has hello's trainer.storage.
func dropOf(t *testing.T, program string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "hello")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	jobFile, err := os.ReadFile(dropsDir + "/hello/job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const name = "trainer-0.1.tar.gz"
	data, err := os.ReadFile(dropsDir + "/hello/" + name)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	from, to := tar.NewReader(unzipped), tar.NewWriter(z)
	for {
		h, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, "/task.py") {
			content = []byte(program)
			h.Size = int64(len(content))
		}
		if err := to.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(to.Close(), z.Close(),
		os.WriteFile(filepath.Join(dir, name), packed.Bytes(), 0o600),
		os.WriteFile(filepath.Join(dir, "job.yaml"), jobFile, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// onSmallDisk runs a script of a shell in which jobdrop is this program and $SMALL a folder with
// room for so much. It returns what the script wrote.
func onSmallDisk(t *testing.T, size, script string) string {
	t.Helper()
	const mount = `mount -t tmpfs -o size="$SIZE" none "$SMALL"`
	bin, small := t.TempDir(), t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The test's binary is jobdrop where it is called so: see testscript.Main.
	if err := os.Symlink(self, filepath.Join(bin, "jobdrop")); err != nil {
		t.Fatal(err)
	}
	shell := func(script string) (string, error) {
		c := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--mount", "sh", "-c", script)
		c.Env = append(os.Environ(), "SMALL="+small, "SIZE="+size, "PUBSUB_EMULATOR_HOST=",
			"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := shell(mount); err != nil {
		t.Skipf("SKIPPED: no small disk can be had here: %v: %s", err, out)
	}
	out, err := shell(mount + " && {\n" + script + "\n}")
	if err != nil {
		t.Errorf("the script: %v: %s", err, out)
	}
	return out
}

// What a full disk does not take has a line for each file, and leaves none in part.
func TestOutputToAFullDisk(t *testing.T) {
	t.Parallel()
	dir := dropOf(t, `
import sys
from trainer import storage
at = sys.argv[sys.argv.index("--job-dir") + 1]
for name, size in [("a.txt", 1000), ("b/large.bin", 3 << 20), ("c.bin", 3 << 20), ("d.txt", 1000)]:
    storage.write(storage.join(at, name), "x" * size)
`)
	out := onSmallDisk(t, "2m", `jobdrop run `+dir+` --output "$SMALL/out"; echo "exit $?"; cd "$SMALL/out"; find . -type f`)
	for _, want := range []string{
		"output gs://jobdrop-output/hello/b/large.bin is not copied: no space left on device\n",
		"output gs://jobdrop-output/hello/c.bin is not copied: no space left on device\n",
		": 2 of 4 objects\n", "/out can't be written: make room there, or name another folder with --output\n",
		"exit 69\n./a.txt\n./d.txt\n",
	} {
		if !strings.Contains(strings.Replace(out, "./d.txt\n./a.txt\n", "./a.txt\n./d.txt\n", 1), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

// A disk that fills up while the job runs ends the run, which says so.
func TestRunFillsTheDisk(t *testing.T) {
	t.Parallel()
	dir := dropOf(t, `
import sys
from trainer import storage
at = sys.argv[sys.argv.index("--job-dir") + 1]
for n in range(1000):
    storage.write(storage.join(at, str(n)), "x" * (8 << 20))
`)
	out := onSmallDisk(t, "160m", `jobdrop run `+dir+` --keep "$SMALL/kept"; echo "exit $?"`)
	for _, want := range []string{
		"/kept/storage is full, and the job was ended\nMake room there, or name another folder with --keep\n", "exit 69\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
