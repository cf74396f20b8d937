package pypkg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// entry is one entry of an archive; a name that ends in / is a folder.
type entry struct {
	name, body string
	typ        byte
	link       string
}

func file(name, body string) entry { return entry{name: name, body: body} }

const setup = "from setuptools import setup, find_packages\n" +
	"setup(name='trainer', version='0.1', packages=find_packages())\n"

// project returns a source distribution as setuptools makes it.
func project(more ...entry) []entry {
	return append([]entry{
		file("trainer-0.1/", ""),
		file("trainer-0.1/PKG-INFO", "Metadata-Version: 2.1\r\nName: trainer\r\nVersion: 0.1\r\n\r\nName: no\r\n"),
		file("trainer-0.1/setup.py", setup),
		file("trainer-0.1/trainer/__init__.py", ""),
		file("trainer-0.1/trainer/task.py", "print('hello')\n"),
		file("trainer-0.1/trainer.egg-info/top_level.txt", "trainer\n"),
	}, more...)
}

func untar(t testing.TB, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.body)), Typeflag: tar.TypeReg, Linkname: e.link}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if e.typ != 0 {
			h.Typeflag = e.typ
		}
		if e.typ == tar.TypeXGlobalHeader {
			h = &tar.Header{Typeflag: e.typ, PAXRecords: map[string]string{"comment": "x"}}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sdist(t testing.TB, entries ...entry) []byte { return gzipped(t, untar(t, entries)) }

// release returns a wheel as python -m build makes it.
func release(more ...entry) []entry {
	entries := append([]entry{
		file("trainer/__init__.py", ""),
		file("trainer/task.py", "print('hello')\n"),
		file("trainer-0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1.post1\n\ntext"),
		file("trainer-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\n"),
	}, more...)
	return recorded(entries...)
}

// recorded returns the entries, and a RECORD of them.
func recorded(entries ...entry) []entry {
	var lines strings.Builder
	for _, e := range entries {
		sum := sha256.Sum256([]byte(e.body))
		fmt.Fprintf(&lines, "%s,sha256=%s,%d\n", e.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(e.body))
	}
	lines.WriteString("trainer-0.1.dist-info/RECORD,,\n")
	return append(entries, file("trainer-0.1.dist-info/RECORD", lines.String()))
}

func wheel(t testing.TB, entries ...entry) []byte {
	t.Helper()
	return zipped(t, zip.Deflate, entries)
}

func zipped(t testing.TB, method uint16, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func without(name string, entries []entry) []entry {
	var out []entry
	for _, e := range entries {
		if e.name != name {
			out = append(out, e)
		}
	}
	return out
}

// under moves entries into another root folder.
func under(root string, entries []entry) []entry {
	var out []entry
	for _, e := range entries {
		_, rest, _ := strings.Cut(e.name, "/")
		if e.name = root + rest; e.name != "" {
			out = append(out, e)
		}
	}
	return out
}

func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
	return string(b)
}

func small() Limits {
	return Limits{
		Bytes: 1 << 20, Spool: 1 << 20, Unpacked: 3 << 20, Ratio: 200, Entries: 50, Name: 100, Names: 4000, Violations: 5,
	}
}

const whl = "trainer-0.1-py3-none-any.whl"

func TestInspect(t *testing.T) {
	t.Parallel()
	good := sdist(t, project()...)
	goodWheel := wheel(t, release()...)
	flip := func(data []byte, at int) []byte {
		data = bytes.Clone(data)
		data[at] ^= 0xFF
		return data
	}
	zeros := strings.Repeat("\x00", 2<<20)
	src := "from setuptools import setup\nsetup(package_dir={'': 'lib/python'}, packages=['trainer'])\n"
	for _, tt := range []struct {
		name string
		file string // trainer-0.1.tar.gz if empty
		data []byte
		// want is "severity rule: part of the text" of each violation.
		want []string
	}{
		{"sdist", "", good, nil},
		{"tgz", "a/trainer.tgz", good, nil},
		{
			"src layout", "",
			sdist(t,
				append(project()[:3], file("trainer-0.1/src/trainer/task.py", ""),
					file("trainer-0.1/src/trainer/__init__.py", ""))...), nil,
		},
		{"other layout", "", sdist(t, file("t-1/setup.py", src), file("t-1/lib/python/trainer/task.py", "")), nil},
		{"pyproject", "", sdist(t, file("t-1/pyproject.toml", "[project]"), file("t-1/t.py", "")), nil},
		{"git archive", "", sdist(t, append([]entry{{typ: tar.TypeXGlobalHeader}}, project()...)...), nil},
		{"packed in place", "", sdist(t, append([]entry{file("./", "")}, under("./", project()[1:])...)...), nil},
		{
			"packed in place, with a link", "", sdist(t, under("./", project(entry{
				name: "trainer-0.1/trainer/x", typ: tar.TypeSymlink, link: "../setup.py",
			})[1:])...), nil,
		},
		{
			"link within", "", sdist(t, project(entry{
				name: "trainer-0.1/trainer/x.py", typ: tar.TypeSymlink, link: "../trainer/task.py",
			}, entry{name: "trainer-0.1/y.py", typ: tar.TypeLink, link: "trainer-0.1/trainer/task.py"})...), nil,
		},
		{
			"two members", "",
			append(bytes.Clone(gzipped(t, untar(t, project())[:1000])), gzipped(t, untar(t, project())[1000:])...), nil,
		},
		{"zeros behind", "", append(bytes.Clone(good), make([]byte, 100_000)...), nil},
		{
			"tests without init", "",
			sdist(t, project(file("trainer-0.1/tests/test_task.py", ""), file("trainer-0.1/docs/conf.py", ""))...), nil,
		},
		{"dense but small", "", sdist(t, project(file("trainer-0.1/zeros", zeros[:1<<20-20000]))...), nil},

		{"other extension", "trainer.zip", good, []string{"error package-extension: allowed: .tar.gz, .tgz, .whl"}},
		{"empty", "", nil, []string{"error package-empty: empty file"}},
		{"one byte", "", good[:1], []string{"error package-truncated: found 1 bytes"}},
		{"zip", "", goodWheel, []string{"error package-format: (found a zip archive); rename it to .whl"}},
		{"tar", "", untar(t, project()), []string{"error package-format: a plain tar archive"}},
		{"bzip2", "", []byte("BZh91AY"), []string{"error package-format: bzip2"}},
		{"page", "", []byte("<!DOCTYPE html><html>"), []string{"error package-format: a web page"}},
		{
			"pointer", "", []byte("version https://git-lfs.github.com/spec/v1\n"),
			[]string{"error package-format: git lfs pull"},
		},
		{"text", "", []byte("hello"), []string{"error package-format: found text"}},
		{"gzip of text", "", gzipped(t, []byte("hello")), []string{"error package-format: not a tar archive"}},
		{
			"gzip of much text", "", gzipped(t, []byte(strings.Repeat("hello ", 1000))),
			[]string{"error package-format: not a tar archive"},
		},
		{"no entries", "", sdist(t), []string{"error package-empty: no entries"}},
		{"truncated", "", good[:len(good)/2], []string{"error package-truncated: ends in the middle"}},
		{"truncated in the sum", "", good[:len(good)-3], []string{"error package-truncated: ends in the middle"}},
		{
			"tar truncated", "", gzipped(t, untar(t, project())[:3000]), []string{"error package-truncated: ends in the middle"},
		},
		{"sum", "", flip(good, len(good)-8), []string{"error package-checksum: checksum is wrong"}},
		{"damaged", "", flip(good, 12), []string{"error package-damaged: damaged"}},
		{
			"garbage behind", "", append(bytes.Clone(good), "garbage"...), []string{"warning package-trailing: follows the end"},
		},
		{
			"garbage behind the tar", "", gzipped(t, append(untar(t, project()), "garbage"...)),
			[]string{"warning package-trailing: follows the end"},
		},
		{
			"traversal", "", sdist(t, project(file("trainer-0.1/../../etc/passwd", ""))...),
			[]string{"error package-traversal: found trainer-0.1/../../etc/passwd"},
		},
		{
			"traversal of Windows", "", sdist(t, project(file(`trainer-0.1/..\x`, ""))...),
			[]string{"error package-traversal: climbs"},
		},
		{
			"absolute", "", sdist(t, append(project(), file("/etc/passwd", ""))...),
			[]string{"error package-absolute-path: /etc/passwd"},
		},
		{"drive", "", sdist(t, project(file(`C:\x`, ""))...), []string{"error package-absolute-path: C:"}},
		{
			"link out", "", sdist(t, project(entry{name: "trainer-0.1/x", typ: tar.TypeSymlink, link: "../../x"})...),
			[]string{"error package-link: found trainer-0.1/x -> ../../x"},
		},
		{
			"link to the root's side", "", sdist(t, project(entry{
				name: "trainer-0.1/x", typ: tar.TypeSymlink, link: "../x",
			})...), []string{"error package-link: leads out"},
		},
		{
			"link out of no root", "", sdist(t, append(under("", project()), entry{
				name: "trainer/x", typ: tar.TypeSymlink, link: "../../x",
			})...), []string{"error package-link: found trainer/x -> ../../x", "warning package-root"},
		},
		{
			"link within no root", "", sdist(t, append(under("", project()), entry{
				name: "trainer/x", typ: tar.TypeSymlink, link: "../setup.py",
			})...), []string{"warning package-root"},
		},
		{
			"absolute link", "", sdist(t, project(entry{name: "trainer-0.1/x", typ: tar.TypeSymlink, link: "/etc/passwd"})...),
			[]string{"error package-link: leads out"},
		},
		{
			"hard link out", "", sdist(t, project(entry{name: "trainer-0.1/x", typ: tar.TypeLink, link: "../x"})...),
			[]string{"error package-link: leads out"},
		},
		{
			"device", "", sdist(t, project(entry{name: "trainer-0.1/x", typ: tar.TypeBlock})...),
			[]string{"error package-entry-type: a device"},
		},
		{
			"pipe", "", sdist(t, project(entry{name: "trainer-0.1/x", typ: tar.TypeFifo})...),
			[]string{"error package-entry-type: a named pipe"},
		},
		{"bomb", "", sdist(t, project(file("trainer-0.1/x", zeros))...), []string{"error package-ratio: far more"}},
		{
			"bomb behind the tar", "", gzipped(t, append(untar(t, project()), zeros...)),
			[]string{"error package-ratio: far more"},
		},
		{
			"too much unpacked", "", sdist(t, project(file("trainer-0.1/x", zeros), file("trainer-0.1/y", zeros))...),
			[]string{"error package-ratio: far more"},
		},
		{
			"too much stated", "", sdist(t, project(file("trainer-0.1/x", zeros+zeros))...),
			[]string{"error package-unpacked: at most 3145728"},
		},
		{
			"too large", "", sdist(t, project(file("trainer-0.1/x", noise(1<<20)))...),
			[]string{"error package-size: at most 1048576"},
		},
		{
			"too many entries", "", sdist(t, project(many(50, "trainer-0.1/trainer/m%d.py")...)...),
			[]string{"error package-entries: at most 50"},
		},
		{
			"long name", "", sdist(t, project(file("trainer-0.1/"+strings.Repeat("a", 100)+".py", ""))...),
			[]string{"error package-entry-name: at most 100 bytes"},
		},
		{
			"many violations", "", sdist(t, project(many(9, "trainer-0.1/../%d")...)...),
			[]string{
				"error package-traversal", "error package-traversal", "error package-traversal", "error package-traversal",
				"error package-traversal", "error too-many-violations: 4 more",
			},
		},
		{
			"no setup", "", sdist(t, without("trainer-0.1/setup.py", project())...),
			[]string{"error package-not-installable: no setup.py and no pyproject.toml"},
		},
		{
			"setup too deep", "", sdist(t, under("a/trainer-0.1/", project())...),
			[]string{"error package-not-installable: no setup.py"},
		},
		{
			"dot and folder", "", sdist(t, under("./trainer-0.1/", project())...),
			[]string{"error package-not-installable: paths begin with ./"},
		},
		{
			"two roots", "", sdist(t, append(project(), file("other/x.py", ""))...),
			[]string{"error package-not-installable: no single root folder"},
		},
		{
			"two roots, mixed", "", sdist(t, append(append(project()[:3], file("other/x.py", "")), project()[3:]...)...),
			[]string{"error package-not-installable: no single root folder"},
		},
		{"no root", "", sdist(t, under("", project())...), []string{"warning package-root: pip installs it nevertheless"}},
		{"no module", "", sdist(t, project()[:3]...), []string{"warning package-no-module: no Python module"}},
		{"library that is one file", "", sdist(t, file("p-1/setup.py", setup), file("p-1/mylib/__init__.py", "x = 1")), nil},
		{"extension in C", "", sdist(t, file("p-1/setup.py", setup), file("p-1/fast.c", "")), nil},
		{
			"extension in Rust", "",
			sdist(t, file("p-1/pyproject.toml", "[build-system]\nbuild-backend = \"maturin\"\n"), file("p-1/src/lib.rs", "")),
			nil,
		},
		{
			"no init", "",
			sdist(t,
				project(file("trainer-0.1/trainer/data/load.py", ""), file("trainer-0.1/trainer/data/deep/x.py", ""),
					file("trainer-0.1/other/x.py", ""))...), []string{
				"warning package-no-init: found trainer-0.1/other)",
				"warning package-no-init: add an empty trainer-0.1/trainer/data/__init__.py",
			},
		},
		{
			"no init below src", "", sdist(t, append(project()[:3], file("trainer-0.1/src/trainer/task.py", ""))...),
			[]string{"warning package-no-init: found trainer-0.1/src/trainer)"},
		},
		{
			"unprintable", "", sdist(t, project(file("trainer-0.1/../\x1b[31m\n", ""))...),
			[]string{`error package-traversal: \x1b[31m\n"`},
		},

		{"wheel", whl, goodWheel, nil},
		{"wheel for Linux", "trainer-0.1-1-cp37-cp37m-manylinux2014_x86_64.whl", goodWheel, nil},
		{"wheel's name", "trainer.whl", goodWheel, []string{"error package-wheel-name: found trainer.whl"}},
		{
			"wheel for Windows", "trainer-0.1-cp37-cp37m-win_amd64.whl", goodWheel,
			[]string{"error package-platform: win_amd64"},
		},
		{"wheel empty", whl, nil, []string{"error package-empty: empty file"}},
		{"wheel of gzip", whl, good, []string{"error package-format: found gzip"}},
		{"wheel truncated", whl, goodWheel[:len(goodWheel)/2], []string{"error package-truncated: ends in the middle"}},
		{
			"wheel without entries", whl, wheel(t),
			[]string{"error package-not-installable: no .dist-info", "warning package-no-module: no Python module"},
		},
		{"wheel without info", whl, wheel(t, release()[:2]...), []string{"error package-not-installable: no .dist-info"}},
		{
			"wheel with two infos", whl, wheel(t, release(file("x-1.dist-info/WHEEL", ""))...),
			[]string{"error package-not-installable: 2 .dist-info"},
		},
		{
			"wheel without METADATA", whl, wheel(t, without("trainer-0.1.dist-info/METADATA", release())...),
			[]string{"error package-not-installable: no METADATA"},
		},
		{
			"wheel without WHEEL", whl, wheel(t, without("trainer-0.1.dist-info/WHEEL", release())...),
			[]string{"error package-not-installable: no WHEEL"},
		},
		{"wheel without modules", whl, wheel(t, release()[2:]...), []string{"warning package-no-module"}},
		{
			"wheel of an extension", whl,
			wheel(t, recorded(append(release()[2:4:4], file("_fast.cpython-311-x86_64-linux-gnu.so", ""))...)...), nil,
		},
		{
			"wheel that a browser renamed", "trainer-0.1-py3-none-any (1).whl", goodWheel,
			[]string{"error package-wheel-name: can't install a wheel of this name"},
		},
		{"wheel traversal", whl, wheel(t, release(file("../x.py", ""))...), []string{"error package-traversal: ../x.py"}},
		{"wheel absolute", whl, wheel(t, release(file("/x.py", ""))...), []string{"error package-absolute-path: /x.py"}},
		{
			"wheel sum", whl, bytes.Replace(storedWheel(t), []byte("stored body"), []byte("other body!"), 1),
			[]string{"error package-checksum: found trainer/stored.py"},
		},
		{
			"wheel with bzip2", whl, rawWheel(t, &zip.FileHeader{
				Name: "x", Method: 12, CompressedSize64: 5, UncompressedSize64: 5,
			}), []string{"warning package-compression: found x"},
		},
		{
			"wheel encrypted", whl, rawWheel(t, &zip.FileHeader{
				Name: "x", Flags: 1, CompressedSize64: 5, UncompressedSize64: 5,
			}), []string{"error package-encrypted: found x"},
		},
		{
			"wheel that lies of a size", whl, rawWheel(t, &zip.FileHeader{
				Name: "x", CompressedSize64: 5, UncompressedSize64: 3,
			}), []string{"error package-damaged: found x"},
		},
		{
			"long names in all", "", sdist(t, project(manyNames(45, 95)...)...),
			[]string{"error package-entry-name: at most 4000 bytes"},
		},
		{"wheel with a nameless entry", whl, rawWheel(t, &zip.FileHeader{}), []string{"error package-entry-name: no name"}},
		{"wheel bomb", whl, wheel(t, release(file("x", zeros))...), []string{"error package-ratio: far more"}},
		{
			"wheel too much", whl, wheel(t, release(file("x", zeros+zeros))...),
			[]string{"error package-unpacked: at most 3145728"},
		},
		{
			"wheel too large", whl, wheel(t, release(file("x", noise(1<<20)))...),
			[]string{"error package-size: at most 1048576"},
		},
		{
			"wheel with too many entries", whl, wheel(t, release(many(50, "trainer/m%d.py")...)...),
			[]string{"error package-entries: at most 50"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := tt.file
			if name == "" {
				name = "trainer-0.1.tar.gz"
			}
			inspects(t, name, tt.data, tt.want)
		})
	}
}

// inspects wants violations, each as "severity rule: part of the text".
func inspects(t *testing.T, name string, data []byte, want []string) {
	t.Helper()
	readers := []io.Reader{bytes.NewReader(data)}
	if len(data) < 100<<10 { // byte by byte takes its time
		readers = append(readers, iotest.OneByteReader(bytes.NewReader(data)))
	}
	for _, r := range readers {
		report, vs, err := Inspect(t.Context(), name, r, small())
		if err != nil || report == nil {
			t.Fatalf("got %v, error %v", report, err)
		}
		if len(vs) != len(want) {
			t.Fatalf("got %v, want %q", vs, want)
		}
		for i, w := range want {
			rule, part, _ := strings.Cut(w, ": ")
			if got := fmt.Sprintf("%s %s", vs[i].Severity, vs[i].Rule); got != rule || !strings.Contains(vs[i].String(), part) {
				t.Errorf("got %s: %v, want %q", got, vs[i], w)
			}
			if !rules.Known(vs[i].Rule) || vs[i].File != name || vs[i].Message == "" || vs[i].Remedy == "" {
				t.Errorf("incomplete: %+v", vs[i])
			}
		}
	}
}

// What an archive hides from its list of files counts as well.
func TestInspectUnpackedBehind(t *testing.T) {
	limits := small()
	limits.Unpacked = 10_000
	data := gzipped(t, append(untar(t, project()), noise(200_000)...))
	if _, vs, err := Inspect(t.Context(), "trainer-0.1.tar.gz", bytes.NewReader(data), limits); err != nil ||
		len(vs) != 1 || vs[0].Rule != "package-unpacked" {
		t.Errorf("got %v, error %v", vs, err)
	}
}

func TestHeaders(t *testing.T) {
	data := []byte("PK\x01\x02..PK\x01\x02PKPK\x01\x02P")
	for size := 1; size <= len(data); size++ {
		h := &headers{}
		for rest := data; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if n, err := h.Write(rest[:min(size, len(rest))]); n != min(size, len(rest)) || err != nil {
				t.Fatal(n, err)
			}
		}
		if h.n != 3 {
			t.Errorf("in writes of %d: got %d, want 3", size, h.n)
		}
	}
}

// rawWheel returns a wheel that has one more entry, as the header says.
func rawWheel(t testing.TB, h *zip.FileHeader) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range release() {
		f, err := w.Create(e.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, e.body); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.CreateRaw(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, strings.Repeat("x", int(h.CompressedSize64))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func storedWheel(t testing.TB) []byte {
	t.Helper()
	return zipped(t, zip.Store, release(file("trainer/stored.py", "stored body")))
}

func TestReport(t *testing.T) {
	entries := release(file("trainer-0.1.data/purelib/extra.py", ""), file("trainer-0.1.data/scripts/run.py", ""))
	recordSize := int64(len(entries[len(entries)-1].body))
	for _, tt := range []struct {
		name, file string
		data       []byte
		want       Report
	}{
		{
			"sdist", "trainer-0.1.tar.gz",
			sdist(t,
				project(file("trainer-0.1/trainer/__main__.py", "#"), file("trainer-0.1/tool.py", ""),
					file("trainer-0.1/trainer/__pycache__/x.pyc", ""), file("trainer-0.1/trainer/old.pyc", ""))...),
			Report{
				Name: "trainer", Version: "0.1", Modules: []string{"trainer", "trainer.__main__", "trainer.task"},
				Entries: 10, Unpacked: int64(64 + len(setup) + 15 + 8 + 1),
			},
		},
		{
			"src layout", "trainer-0.1.tar.gz",
			sdist(t, file("my-trainer-0.1/setup.py", ""), file("my-trainer-0.1/src/trainer/task.py", ""),
				file("my-trainer-0.1/src/one.py", "")),
			Report{Name: "my-trainer", Version: "0.1", Modules: []string{"one", "trainer.task"}, Entries: 3},
		},
		{
			"src as a package", "x-1.tgz",
			sdist(t, file("p-1/setup.py", ""), file("p-1/src/__init__.py", ""), file("p-1/src/task.py", "")),
			Report{Name: "p", Version: "1", Modules: []string{"src.task", "task"}, Entries: 3},
		},
		{
			"moved by the setup", "x-1.tgz",
			sdist(t, file("p-1/pyproject.toml", "[tool.setuptools.packages.find]\nwhere = [\"lib\"]\n"),
				file("p-1/lib/a/b.py", ""), file("p-1/other/c.py", "")),
			Report{Name: "p", Version: "1", Modules: []string{"a.b"}, Entries: 3, Unpacked: 48},
		},
		{
			"no root", "trainer-0.1.tar.gz",
			sdist(t, file("setup.py", ""), file("PKG-INFO", "Name: t\n"), file("trainer/task.py", "")),
			Report{Name: "t", Version: "0.1", Modules: []string{"trainer.task"}, Entries: 3, Unpacked: 8},
		},
		{
			"wheel", whl,
			wheel(t, entries...),
			Report{
				Name: "trainer", Version: "0.1.post1", Modules: []string{"extra", "trainer.task"}, Entries: 7,
				Unpacked: 15 + 60 + 19 + recordSize,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := Inspect(t.Context(), tt.file, bytes.NewReader(tt.data), small())
			if err != nil {
				t.Fatal(err)
			}
			got.layout, got.roots, got.tags, got.RequiresKnown = nil, nil, nil, false
			if diff := cmp.Diff(&tt.want, got, cmp.AllowUnexported(Report{}, layout{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, m := range tt.want.Modules {
				if !got.HasModule(m) {
					t.Errorf("HasModule(%q) = false", m)
				}
			}
			for _, m := range []string{"", "setup", "trainer.__init__", "trainer.tas"} {
				if got.HasModule(m) {
					t.Errorf("HasModule(%q) = true", m)
				}
			}
		})
	}
}

func TestSuggest(t *testing.T) {
	r := &Report{
		Modules: []string{
			"census.train", "deep.nested.task", "trainer", "trainer.model", "trainer.task", "trainer.taskA", "util",
		},
	}
	for _, tt := range []struct {
		module string
		want   []string
	}{
		{"trainer.tsk", []string{"trainer.task", "trainer.taskA"}},
		{"Trainer.Task", []string{"trainer.task", "trainer.taskA"}},
		{"task", []string{"trainer.task", "deep.nested.task"}},
		{"src.trainer.task", []string{"trainer.task", "deep.nested.task"}},
		{"trainer.moedl", []string{"trainer.model"}},
		{"xyz", nil},
		{strings.Repeat("a", 300), nil},
	} {
		if diff := cmp.Diff(tt.want, r.Suggest(tt.module)); diff != "" {
			t.Errorf("Suggest(%q) (-want +got):\n%s", tt.module, diff)
		}
	}
}

// A read that fails at any place is an error, never a verdict on the package.
func TestInspectReadError(t *testing.T) {
	broken := errors.New("connection reset")
	for _, tt := range []struct {
		file string
		data []byte
	}{{"trainer-0.1.tar.gz", sdist(t, project()...)}, {whl, wheel(t, release()...)}} {
		t.Run(tt.file, func(t *testing.T) {
			for at := range tt.data {
				r := io.MultiReader(bytes.NewReader(tt.data[:at]), iotest.ErrReader(broken))
				report, vs, err := Inspect(t.Context(), tt.file, r, small())
				if !errors.Is(err, broken) || report != nil || vs != nil {
					t.Fatalf("after %d bytes: got %v, %v, error %v", at, report, vs, err)
				}
			}
		})
	}
	// The parts of a context's end that a reader passes on.
	if _, _, err := Inspect(t.Context(), whl, iotest.ErrReader(context.Canceled), small()); !errors.Is(err,
		context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, _, err := Inspect(t.Context(), "a.tgz", iotest.ErrReader(io.ErrUnexpectedEOF), small()); !errors.Is(err,
		io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	if _, _, err := Inspect(t.Context(), "a.tgz", stuck{}, small()); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestInspectReadsToTheEnd(t *testing.T) {
	data := append(sdist(t, project()...), make([]byte, 200_000)...)
	r := bytes.NewReader(data)
	if _, _, err := Inspect(t.Context(), "trainer-0.1.tar.gz", r, small()); err != nil || r.Len() > 0 {
		t.Errorf("%d bytes left, error %v", r.Len(), err)
	}
}

func TestInspectLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, data := range [][]byte{wheel(t, release()...), []byte("PK"), nil} {
		if _, _, err := Inspect(t.Context(), whl, bytes.NewReader(data), small()); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := Inspect(t.Context(), whl, iotest.ErrReader(io.ErrClosedPipe), small())
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, error %v", left, err)
	}
	t.Setenv("TMPDIR", dir+"/absent")
	if _, vs, err := Inspect(t.Context(), whl, bytes.NewReader(wheel(t, release()...)), small()); err == nil || vs != nil {
		t.Errorf("without a temporary folder: got %v, %v", vs, err)
	}
}

// Memory must not grow with a package's size.
func TestInspectMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 16 MiB")
	}
	peak := func(size int) uint64 {
		data := storedGzip(t, untar(t, project(file("trainer-0.1/data", noise(size)))))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, vs, err := Inspect(t.Context(), "trainer-0.1.tar.gz", bytes.NewReader(data), DefaultLimits()); err != nil ||
			len(vs) > 0 {
			t.Fatal(vs, err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if little, much := peak(1<<20), peak(16<<20); much > little+(1<<20) {
		t.Errorf("allocated %d bytes for 1 MiB, %d for 16 MiB", little, much)
	}
}

func BenchmarkInspect(b *testing.B) {
	var source strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&source, "def layer_%d(x): return x * %d\n", i, i*i)
	}
	for _, bb := range []struct {
		name, file string
		data       []byte
	}{
		{"sdist of source", "trainer-0.1.tar.gz", sdist(b, project(file("trainer-0.1/trainer/big.py", source.String()))...)},
		{"sdist of noise", "trainer-0.1.tar.gz", sdist(b, project(file("trainer-0.1/weights", noise(16<<20)))...)},
		{"wheel of source", whl, wheel(b, release(file("trainer/big.py", source.String()))...)},
		{"small sdist", "trainer-0.1.tar.gz", sdist(b, project()...)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			report, _, err := Inspect(b.Context(), bb.file, bytes.NewReader(bb.data), DefaultLimits())
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(report.Unpacked)
			b.ReportAllocs()
			for b.Loop() {
				if _, vs, err := Inspect(b.Context(), bb.file, bytes.NewReader(bb.data), DefaultLimits()); err != nil ||
					job.HasErrors(vs) {
					b.Fatal(vs, err)
				}
			}
		})
	}
}

// manyNames returns n files whose names have the given length.
func manyNames(n, length int) (files []entry) {
	for i := range n {
		name := fmt.Sprintf("trainer-0.1/%02d", i)
		files = append(files, file(name+strings.Repeat("a", length-len(name)), ""))
	}
	return files
}
