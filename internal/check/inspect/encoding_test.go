package inspect_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// pack packs content for transport, as an uploader does that sets contentEncoding gzip.
func pack(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wheel(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, body := range map[string]string{
		"trainer/__init__.py": "", "trainer/task.py": "",
		"trainer-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n",
		"trainer-0.1.dist-info/WHEEL":    "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"trainer-0.1.dist-info/RECORD":   "",
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func crcOf(content string) string {
	sum := crc32.Checksum([]byte(content), crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// The stored bytes decide whether an object was packed for transport, whatever its label says.
func TestDropDecodesWhatWasPacked(t *testing.T) {
	sdist, whl := sdist(t, "trainer", "task"), wheel(t)
	const (
		warned  = "warning content-encoding"
		refused = "error content-encoding"
	)
	tests := []struct {
		name     string
		file     string
		stored   string
		encoding string
		content  string // where it was packed
		want     string // the violation
	}{
		{"as it is", "trainer-0.1.tar.gz", sdist, "", "", ""},
		{"packed", "trainer-0.1.tar.gz", pack(t, sdist), "gzip", sdist, ""},
		{"packed, in other letters", "trainer-0.1.tar.gz", pack(t, sdist), "GZIP", sdist, ""},
		{"packed, by an old name", "trainer-0.1.tgz", pack(t, sdist), "x-gzip", sdist, ""},
		{"labelled", "trainer-0.1.tar.gz", sdist, "gzip", "", warned},
		{"labelled as itself", "trainer-0.1.tar.gz", sdist, "identity", "", ""},
		{"a packed wheel", "trainer-0.1-py3-none-any.whl", pack(t, whl), "gzip", whl, ""},
		{"a labelled wheel", "trainer-0.1-py3-none-any.whl", whl, "gzip", "", warned},
		{"packed twice, without a label", "trainer-0.1.tar.gz", pack(t, sdist), "", "", "error"},
		{"a damaged packing", "trainer-0.1.tar.gz", pack(t, sdist)[:60], "gzip", "", refused},
		{"damaged at its end", "trainer-0.1.tar.gz", pack(t, sdist)[:len(pack(t, sdist))-4], "gzip", "", refused},
		{"another encoding", "trainer-0.1.tar.gz", sdist, "br", "", refused},
		{"two encodings", "trainer-0.1.tar.gz", pack(t, sdist), "gzip, gzip", "", refused},
		{"a packed job file", "job.yaml", pack(t, valid), "gzip", valid, ""},
		{"a labelled job file", "job.yaml", valid, "gzip", "", warned},
		{"a job file in another encoding", "job.yaml", valid, "deflate", "", refused},
		{"a packed job file, cut", "job.yaml", pack(t, valid)[:40], "gzip", "", refused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := folder{files: map[string]string{"job.yaml": valid, "trainer-0.1.tar.gz": sdist}}
			if test.file != "job.yaml" {
				delete(f.files, "trainer-0.1.tar.gz")
			}
			f.files[test.file] = test.stored
			d := f.drop()
			for _, objects := range [][]job.Object{d.JobFiles, d.Packages} {
				for i, o := range objects {
					objects[i].CRC32C = crcOf(f.files[o.Base()])
					if o.Base() == test.file {
						objects[i].Encoding = test.encoding
					}
				}
			}
			r, err := inspect.Drop(t.Context(), d, inspect.Objects{Open: f.open}, policy.Policy{Inbox: "inbox"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range r.Violations {
				if v.Rule == "package-record" {
					continue // the test's wheel lists no files
				}
				got = append(got, string(v.Severity)+" "+string(v.Rule))
				if v.Rule == "content-encoding" && (v.File != test.file || v.Remedy == "") {
					t.Errorf("%+v, want one of %s with a remedy", v, test.file)
				}
			}
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			if test.want == "error" { // whatever the reader of its format says
				want = slices.Clone(got)
				if !job.HasErrors(r.Violations) || slices.Contains(got, refused) {
					t.Errorf("violations %q, want an error of the package's format", got)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
			if job.HasErrors(r.Violations) {
				return
			}
			for _, o := range append(r.Resolution.All(), r.JobFile) {
				content := f.files[o.Base()]
				if o.Base() == test.file && test.content != "" {
					content = test.content
				}
				size, crc := o.Content()
				if size != int64(len(content)) || crc != crcOf(content) {
					t.Errorf("%s: %d bytes with %s, want %d with %s", o.Base(), size, crc, len(content), crcOf(content))
				}
				if o.Decoded() != (o.Base() == test.file && test.content != "") {
					t.Errorf("%s: decoded %t", o.Base(), o.Decoded())
				}
				if o.Size != int64(len(f.files[o.Base()])) {
					t.Errorf("%s: the size of what is stored is %d", o.Base(), o.Size)
				}
			}
		})
	}
}

// A pin by checksum means the stored bytes or the content, whichever its author knew.
func TestDropPinsByEitherChecksum(t *testing.T) {
	content := sdist(t, "trainer", "task")
	stored := pack(t, content)
	for sum, want := range map[string]bool{crcOf(stored): true, crcOf(content): true, crcOf("other"): false} {
		f := folder{files: map[string]string{
			"job.yaml":           valid + "jobdrop:\n  packages:\n  - name: trainer-0.1.tar.gz\n    crc32c: " + sum + "\n",
			"trainer-0.1.tar.gz": stored,
		}}
		d := f.drop()
		d.Packages[0].Encoding, d.Packages[0].CRC32C = "gzip", crcOf(stored)
		r, err := inspect.Drop(t.Context(), d, inspect.Objects{Open: f.open}, policy.Policy{Inbox: "inbox"})
		if err != nil {
			t.Fatal(err)
		}
		if r.Incomplete() == want {
			t.Errorf("pin %s: incomplete %t, violations %s", sum, r.Incomplete(), strings.Join(lines(r.Violations), "; "))
		}
	}
}

// What unpacks to more than a package may hold is refused, however small it is stored.
func TestDropBoundsWhatIsDecoded(t *testing.T) {
	f := folder{files: map[string]string{
		"job.yaml": pack(t, valid+strings.Repeat("# long\n", 200_000)), "trainer-0.1.tar.gz": sdist(t, "trainer", "task"),
	}}
	d := f.drop()
	d.JobFiles[0].Encoding = "gzip"
	r, err := inspect.Drop(t.Context(), d, inspect.Objects{Open: f.open}, policy.Policy{Inbox: "inbox"})
	if err != nil || !job.HasErrors(r.Violations) {
		t.Errorf("%v, violations %s; want that the job file is too large", err, lines(r.Violations))
	}
}
