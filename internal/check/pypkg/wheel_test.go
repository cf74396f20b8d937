package pypkg

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// with replaces the body of an entry.
func with(name, body string, entries []entry) []entry {
	entries = slices.Clone(entries)
	for i := range entries {
		if entries[i].name == name {
			entries[i].body = body
		}
	}
	return entries
}

// pip refuses wheels by their name before it opens them.
func TestInspectWheelName(t *testing.T) {
	good := wheel(t, release()...)
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"trainer-0.1-py3-none-any.whl", nil},
		{"Trainer-0.1-py2.py3-none-any.whl", nil},
		{"trainer-0.1-2a-cp37-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", nil},
		{"trainer-0.1-cp37-cp37m-macosx_10_9_x86_64.linux_x86_64.whl", nil},
		{"trainer-0.1-py27-none-any.whl", nil},
		{"trainer-0.1-build-py3-none-any.whl", []string{"error package-wheel-name"}},
		{"trainer-0.1--py3-none-any.whl", []string{"error package-wheel-name"}},
		{"trainer-0.1-py3-none.whl", []string{"error package-wheel-name"}},
		{"-0.1-py3-none-any.whl", []string{"error package-wheel-name"}},
		{"trainer-0.1-cp37-cp37m-macosx_10_9_x86_64.whl", []string{"error package-platform: found macosx_10_9_x86_64"}},
		{"trainer-0.1-cp37-cp37m-manylinux2014_aarch64.whl", []string{"error package-platform"}},
		{"trainer-0.1-cp37-cp37m-musllinux_1_1_x86_64.whl", []string{"error package-platform"}},
		{"trainer-0.1-cp312-cp312-manylinux2014_x86_64.whl", nil},
		{"trainer-0.1-pp37-pypy37_pp73-linux_x86_64.whl", nil},
		{"trainer-0.1-py-none-any.whl", nil},
		{"other-0.1-py3-none-any.whl", []string{
			"error package-not-installable: another package's than the file's name says (found trainer-0.1.dist-info)",
			"error package-not-installable: METADATA names another package than the file's name (found trainer)",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { inspects(t, tt.name, good, tt.want) })
	}
}

func TestInspectWheelMetadata(t *testing.T) {
	const info = "trainer-0.1.dist-info/"
	for _, tt := range []struct {
		name    string
		entries []entry
		want    []string
	}{
		{"without RECORD", without(info+"RECORD", release()), []string{"error package-not-installable: it has no RECORD"}},
		{
			"without version", with(info+"WHEEL", "Generator: x\n\nWheel-Version: 1.0\n", release()),
			[]string{
				"error package-not-installable: no Wheel-Version that pip knows, which is 1.0 (found none)",
				"warning package-record: RECORD states another hash or size for a file",
			},
		},
		{
			"version of the future", with(info+"WHEEL", "Wheel-Version: 2.0\n", release()),
			[]string{"error package-not-installable: found 2.0", "warning package-record: found trainer-0.1.dist-info/WHEEL"},
		},
		{
			"file in place of the folder", append(release(), file("x-1.dist-info", "")),
			[]string{"error package-not-installable: 2 .dist-info folders"},
		},
		{
			"many folders", append(many(9, "x%d.dist-info/WHEEL"), release()...),
			[]string{"error package-not-installable: more than 3 .dist-info folders"},
		},
		{
			"changed", with("trainer/task.py", "print('jello')\n", release()),
			[]string{
				"warning package-record: another hash or size for a file of the wheel: changed after the wheel was built (found " +
					"trainer/task.py)",
			},
		},
		{"changed size", with("trainer/task.py", "", release()), []string{"warning package-record: found trainer/task.py"}},
		{
			"added", append(release(), file("a.py", ""), file("b.py", "")),
			[]string{
				"warning package-record: RECORD does not list 2 files of the wheel: added after the wheel was built (found a.py)",
			},
		},
		{"folders are not recorded", append(release(), file("trainer/", "")), nil},
		{"signed", append(release(), file(info+"RECORD.jws", "{}")), nil},
		{
			"RECORD is not a list", with(info+"RECORD", "a\n", release()),
			[]string{"warning package-record: not a list of names, hashes and sizes"},
		},
		{"RECORD has other quotes", with(info+"RECORD", `a"b",,`, release()), []string{"warning package-record: not a list"}},
		{
			"RECORD has too many lines", with(info+"RECORD", strings.Join(lines(60), "\n"), release()),
			[]string{"warning package-record: or too long"},
		},
		{
			"another hash and size",
			with(info+"RECORD", "trainer/task.py,sha512=x,14\ntrainer/__init__.py,,\n"+info+"METADATA,,\n"+info+"WHEEL,,\n",
				release()), []string{"warning package-record: found trainer/task.py"},
		},
		{
			"another hash",
			with(info+"RECORD",
				"trainer/task.py,sha512=x,15\ntrainer/__init__.py,sha256=!,0\n"+info+"METADATA,,\n"+info+"WHEEL,,\n", release()),
			[]string{"warning package-record: found trainer/__init__.py"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inspects(t, whl, wheel(t, tt.entries...), tt.want)
		})
	}
}

func many(n int, format string) (entries []entry) {
	for i := range n {
		entries = append(entries, file(fmt.Sprintf(format, i), "#"))
	}
	return entries
}

func lines(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("f%d,,", i))
	}
	return list
}

func TestInspectWheelFormat(t *testing.T) {
	t.Parallel()
	good := wheel(t, release()...)
	unknown := func(method uint16) []byte {
		return rawWheel(t, &zip.FileHeader{Name: "x", Method: method, CompressedSize64: 5, UncompressedSize64: 5})
	}
	for _, tt := range []struct {
		name string
		data []byte
		want []string
	}{
		{"behind other data", append([]byte("#!/bin/sh\n"), good...), nil},
		{"with a comment", commented(t), nil},
		{"stored", storedWheel(t), nil},
		{
			"zip64", zip64(t),
			[]string{"warning package-record: does not list a file of the wheel: added after the wheel was built (found x)"},
		},
		{"bzip2", unknown(12), []string{"warning package-compression: was not looked into"}},
		{"LZMA", unknown(14), []string{"warning package-compression"}},
		{
			"Zstandard", unknown(93),
			[]string{"error package-compression: Python's zipfile can't unpack (found x, allowed: stored or deflated"},
		},
		{
			"states too much", rawWheel(t, &zip.FileHeader{Name: "x", CompressedSize64: 5, UncompressedSize64: 1 << 50}),
			[]string{"error package-unpacked"},
		},
		{"overlapping", overlapping(t), []string{"error package-overlap: share the same bytes"}},
		{"zip in the wheel", wheel(t, release(file("x.zip", string(good)))...), nil},
		{"table of contents too large", bulky(t), []string{"error package-entry-name: too long in all"}},
		{"nothing but zeros", make([]byte, 4), []string{"error package-format"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limits := small()
			limits.Bytes, limits.Spool, limits.Entries = 64<<20, 64<<20, 1000
			_, vs, err := Inspect(t.Context(), whl, bytes.NewReader(tt.data), limits)
			if err != nil || len(vs) != len(tt.want) {
				t.Fatalf("got %v, error %v, want %q", vs, err, tt.want)
			}
			for i, want := range tt.want {
				rule, part, _ := strings.Cut(want, ": ")
				if got := fmt.Sprintf("%s %s", vs[i].Severity, vs[i].Rule); got != rule || !strings.Contains(vs[i].String(), part) {
					t.Errorf("got %s: %v, want %q", got, vs[i], want)
				}
			}
		})
	}
}

// Opened, a table of contents takes far more memory than in the file.
func TestInspectWheelEntries(t *testing.T) {
	const n = 100_000
	line := "PK\x01\x02" + strings.Repeat("\x00", 42)
	data := []byte(strings.Repeat(line, n) + "PK\x05\x06" + strings.Repeat("\x00", 18))
	end := data[n*len(line):]
	binary.LittleEndian.PutUint16(end[8:], n&0xffff)
	binary.LittleEndian.PutUint16(end[10:], n&0xffff)
	binary.LittleEndian.PutUint32(end[12:], uint32(n*len(line)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	report, vs, err := Inspect(t.Context(), whl, bytes.NewReader(data), DefaultLimits())
	runtime.ReadMemStats(&after)
	if err != nil || len(vs) != 1 || vs[0].Rule != "package-entries" || report.Entries != DefaultLimits().Entries+1 {
		t.Errorf("got %d entries, %v, error %v", report.Entries, vs, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("allocated %d bytes", used)
	}
}

func commented(t *testing.T) []byte {
	t.Helper()
	data := wheel(t, release()...)
	data = append(data, "built by hand"...)
	at := bytes.LastIndex(data, []byte("PK\x05\x06"))
	binary.LittleEndian.PutUint16(data[at+20:], uint16(len("built by hand")))
	return data
}

// listing returns the file's entry in the table of contents (PKWARE's APPNOTE,
// 4.3.12).
func listing(t *testing.T, data []byte, name string) []byte {
	t.Helper()
	for at := 0; ; at++ {
		next := bytes.Index(data[at:], []byte("PK\x01\x02"))
		if next < 0 {
			t.Fatalf("%s is not listed", name)
		}
		if at += next; bytes.HasPrefix(data[at+46:], []byte(name)) {
			return data[at:]
		}
	}
}

// zip64 returns a wheel with an entry whose sizes stand in an extra field, as large
// entries have them.
func zip64(t *testing.T) []byte {
	t.Helper()
	extra := binary.LittleEndian.AppendUint32(nil, 1|16<<16)
	extra = binary.LittleEndian.AppendUint64(extra, 5)
	extra = binary.LittleEndian.AppendUint64(extra, 5)
	data := rawWheel(t, &zip.FileHeader{
		Name: "x", CompressedSize64: 5, UncompressedSize64: 5, CRC32: crc32.ChecksumIEEE([]byte("xxxxx")), Extra: extra,
	})
	copy(listing(t, data, "x")[20:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	return data
}

// overlapping returns a wheel with two entries of the same bytes.
func overlapping(t *testing.T) []byte {
	t.Helper()
	data := zipped(t, zip.Store, release(file("a.py", "#"), file("b.py", "#")))
	copy(listing(t, data, "b.py")[42:46], listing(t, data, "a.py")[42:46])
	return data
}

// bulky returns a wheel with a table of contents of 18 MiB.
func bulky(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range 300 {
		if _, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(i), Extra: make([]byte, 60_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
