package pypkg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
)

// drops returns the packages of the example drops, sound and not.
func drops(t testing.TB) [][]byte {
	t.Helper()
	paths, err := filepath.Glob("../../../testdata/drops/*/*.tar.gz")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	var all [][]byte
	seen := map[string]bool{}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if !seen[string(data)] {
			seen[string(data)] = true
			all = append(all, data)
		}
	}
	return all
}

func FuzzSdist(f *testing.F) {
	for _, seed := range drops(f) {
		f.Add(seed)
		if gz, err := gzip.NewReader(bytes.NewReader(seed)); err == nil {
			raw, _ := io.ReadAll(gz) // one is cut short on purpose
			f.Add(raw)
		}
	}
	for _, entries := range [][]entry{
		nil, project(), under("", project()), under("./", project()),
		project(entry{name: "trainer-0.1/x", typ: tar.TypeSymlink, link: "../../x"}, entry{name: "p", typ: tar.TypeFifo}),
		project(entry{name: "trainer-0.1/a", typ: tar.TypeSymlink, link: "trainer"},
			entry{name: "trainer-0.1/b", typ: tar.TypeLink, link: "trainer-0.1/trainer/task.py"}),
		{
			file("t-0/trainer/__init__.py", ""), file("t-0/trainer/task.py", "from trainer.data import load\nfrom . import x\n"),
			file("t-0/setup.py", generated),
		},
		{file("t-0/setup.py", "setup(packages=['a', 'b.c'])"), file("t-0/a/b/c.py", ""), file("t-0/a/d.py", "")},
	} {
		f.Add(sdist(f, entries...))
		f.Add(untar(f, entries))
	}
	f.Add([]byte(nil))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.HasPrefix(data, []byte("\x1f\x8b")) {
			data = storedGzip(t, mend(data))
		}
		verdict(t, "trainer-0.1.tar.gz", data)
	})
}

// mend writes the checksum of each header of a tar archive, which a change of
// any byte would make wrong, so that the change is read.
func mend(data []byte) []byte {
	data = bytes.Clone(data)
	for at := 0; at+512 <= len(data); at += 512 {
		block := data[at : at+512]
		if string(block[257:262]) != "ustar" {
			continue
		}
		copy(block[148:156], "        ")
		sum := 0
		for _, c := range block {
			sum += int(c)
		}
		copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	}
	return data
}

// storedGzip packs without compressing, which would take most of the time.
func storedGzip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzWheel(f *testing.F) {
	// The example drops have source distributions only: their files, as a wheel.
	for _, seed := range drops(f) {
		if entries := unpacked(seed); len(entries) > 0 {
			f.Add(zipped(f, zip.Deflate, release(entries...)))
		}
	}
	for _, seed := range [][]byte{
		wheel(f, release()...), storedWheel(f), wheel(f), nil, []byte("PK\x05\x06"),
		rawWheel(f, &zip.FileHeader{Name: "x", Method: 12, CompressedSize64: 5, UncompressedSize64: 5}),
		rawWheel(f, &zip.FileHeader{Name: "x", Flags: 1, CompressedSize64: 5, UncompressedSize64: 1 << 40}),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) { verdict(t, whl, data) })
}

// verdict wants any bytes to get one: within the limits, and fit to be shown.
func verdict(t *testing.T, name string, data []byte) {
	t.Helper()
	report, vs, err := Inspect(t.Context(), name, bytes.NewReader(data), small())
	if err != nil {
		t.Fatalf("error %v", err)
	}
	if report == nil || report.Entries > small().Entries+1 || report.Unpacked > small().Unpacked ||
		len(vs) > small().Violations+1 {
		t.Errorf("got %+v, %v", report, vs)
	}
	for _, v := range vs {
		if !rules.Known(v.Rule) || v.Message == "" || v.Remedy == "" || v.File != name || v.Severity == "" ||
			!utf8.ValidString(v.String()) || strings.ContainsAny(v.String(), "\n\r\x1b") {
			t.Errorf("bad violation %+q", v)
		}
		if len(v.String()) > 2000 {
			t.Errorf("violation of %d bytes: %.200q", len(v.String()), v)
		}
	}
	report.Suggest("trainer.task")
	if len(vs) == 0 && report.Entries == 0 { // one with an __init__.py alone has no module to run
		t.Error("an empty package passes")
	}
}

// unpacked returns the files of a source distribution, as far as it can be read.
func unpacked(data []byte) (entries []entry) {
	gz, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	tr := tar.NewReader(gz)
	for {
		h, err := tr.Next()
		if err != nil {
			return entries
		}
		body, err := io.ReadAll(tr)
		if err != nil {
			return entries
		}
		if _, rest, ok := strings.Cut(h.Name, "/"); ok && rest != "" {
			entries = append(entries, file(rest, string(body)))
		}
	}
}
