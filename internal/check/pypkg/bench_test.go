package pypkg

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/testing/hostile"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// inspectFile makes the test binary, run again, inspect a file and nothing else. Its
// memory is then the inspection's.
const inspectFile = "PYPKG_INSPECT_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(inspectFile); path != "" {
		if err := inspectAlone(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// inspectAlone prints the process's peak memory in KiB.
func inspectAlone(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	report, vs, err := Inspect(context.Background(), filepath.Base(path), f, DefaultLimits())
	if err != nil {
		return err
	}
	if job.HasErrors(vs) || report.Unpacked < 1<<30 {
		return fmt.Errorf("%d bytes, %v", report.Unpacked, vs)
	}
	kib, err := hostile.PeakMemory("self")
	if err != nil {
		return err
	}
	fmt.Println(kib)
	return nil
}

// BenchmarkInspect1GiB compares inspecting a package of 1 GiB (unpacked) with
// gzip -t on the same file: both run five times, in turns, as processes of their
// own, and the medians count. The file is made by gzip, too, at its default
// level.
//
//   - half-random: files of 1 MiB, half of it noise, as weights are, and half
//     source text
//   - source: the Go tree's own source, by names that end in .py
//   - prose: words of a made-up language, the frequent ones often
//
// The targets are ratio at most 0.5 for half-random and 1.3 for source and
// prose, and peak-MiB below 64. cpu-ratio compares processor time, which is
// what a function with one processor has.
func BenchmarkInspect1GiB(b *testing.B) {
	if testing.Short() {
		b.Skip("packs 3 GiB")
	}
	if runtime.GOOS != "linux" {
		b.Skip("reads the peak memory from /proc")
	}
	gzip, err := exec.LookPath("gzip")
	if err != nil {
		b.Skip(err)
	}
	for _, bb := range []struct {
		name    string
		content func(testing.TB) io.Reader
		ext     string
	}{
		{"half-random", halfRandom, ".bin"},
		{"source", sourceText, ".py"},
		{"prose", prose, ".txt"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "trainer-0.1.tar.gz")
			pack(b, gzip, path, bb.content(b), bb.ext)
			for b.Loop() {
				compare(b, gzip, path)
			}
		})
	}
}

// run returns a process's wall-clock and CPU times.
func run(b *testing.B, cmd *exec.Cmd) (wall, cpu time.Duration) {
	b.Helper()
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

func compare(b *testing.B, gzip, path string) {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	var wall, cpu, gzipWall, gzipCPU []time.Duration
	peak := 0
	for range 5 {
		w, c := run(b, exec.Command(gzip, "-t", path))
		gzipWall, gzipCPU = append(gzipWall, w), append(gzipCPU, c)
		var out bytes.Buffer
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), inspectFile+"="+path)
		cmd.Stdout = &out
		w, c = run(b, cmd)
		wall, cpu = append(wall, w), append(cpu, c)
		kib, err := strconv.Atoi(strings.TrimSpace(out.String()))
		if err != nil {
			b.Fatal(err)
		}
		peak = max(peak, kib)
	}
	ours, theirs := median(wall), median(gzipWall)
	b.ReportMetric(ours.Seconds(), "inspect-s")
	b.ReportMetric(theirs.Seconds(), "gzip-t-s")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ratio")
	b.ReportMetric(median(cpu).Seconds()/median(gzipCPU).Seconds(), "cpu-ratio")
	b.ReportMetric(float64(peak)/1024, "peak-MiB")
	b.ReportMetric(1<<30/1e6/ours.Seconds(), "MB/s")
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// pack makes a package of 1 GiB in files of 1 MiB.
func pack(b *testing.B, gzip, path string, content io.Reader, ext string) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(gzip)
	cmd.Stdout, cmd.Stderr = f, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	w := tar.NewWriter(in)
	write := func(name string, size int64, body io.Reader) {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg})
		if err == nil {
			_, err = io.CopyN(w, body, size)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, e := range project()[1:] {
		write(e.name, int64(len(e.body)), strings.NewReader(e.body))
	}
	for i := range 1024 {
		write(fmt.Sprintf("trainer-0.1/trainer/f%04d%s", i, ext), 1<<20, content)
	}
	if err := errors.Join(w.Close(), in.Close(), cmd.Wait()); err != nil {
		b.Fatal(err)
	}
}

// sourceText returns the Go tree's source, again and again.
func sourceText(t testing.TB) io.Reader {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip(err)
	}
	var paths []string
	root := filepath.Join(strings.TrimSpace(string(out)), "src")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) == 0 {
		t.Skip("no source: ", err)
	}
	at := 0
	return &chunks{next: func() []byte {
		data, err := os.ReadFile(paths[at%len(paths)])
		if at++; err != nil {
			t.Fatal(err)
		}
		return data
	}}
}

// halfRandom alternates 512 KiB of noise and of source text.
func halfRandom(t testing.TB) io.Reader {
	t.Helper()
	random, text, turn := rand.NewChaCha8([32]byte{1}), sourceText(t), 0
	return &chunks{next: func() []byte {
		data := make([]byte, 512<<10)
		var err error
		if turn++; turn%2 == 1 {
			_, err = io.ReadFull(random, data)
		} else {
			_, err = io.ReadFull(text, data)
		}
		if err != nil {
			t.Fatal(err)
		}
		return data
	}}
}

// prose draws from 20,000 words as often as Zipf's law has it.
func prose(testing.TB) io.Reader {
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 20_000)
	for i := range words {
		for range 1 + random.IntN(4) {
			words[i] += string("bcdfghjklmnprstvw"[random.IntN(17)]) + string("aeiou"[random.IntN(5)])
		}
	}
	zipf := rand.NewZipf(random, 1.1, 2, uint64(len(words)-1))
	return &chunks{next: func() []byte {
		var line []byte
		for len(line) < 4096 {
			line = append(line, words[zipf.Uint64()]...)
			if line = append(line, ' '); random.IntN(12) == 0 {
				line = append(line[:len(line)-1], ".\n"...)
			}
		}
		return line
	}}
}

// chunks reads one piece after the other, without an end.
type chunks struct {
	next func() []byte
	rest []byte
}

func (c *chunks) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		c.rest = c.next()
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
