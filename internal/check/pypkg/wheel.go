package pypkg

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/klauspost/compress/flate"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// wheel inspects a zip; base is its file name.
func (in *inspection) wheel(base string) (err error) {
	in.src.left = min(in.src.left, in.limits.Spool)
	tmp, err := os.CreateTemp("", "jobdrop-*.whl")
	if err != nil {
		return err
	}
	// Removed at once, where the system allows it, so that a process that is
	// killed leaves nothing.
	early := os.Remove(tmp.Name())
	defer func() {
		closeErr := tmp.Close()
		if early != nil {
			closeErr = errors.Join(closeErr, os.Remove(tmp.Name()))
		}
		if err == nil {
			err = closeErr
		}
	}()
	counter := &headers{}
	size, err := io.Copy(io.MultiWriter(tmp, counter), in.src)
	switch {
	case err != nil:
		return err
	case size == 0:
		in.empty()
		return nil
	case in.src.over:
		in.tooManyBytes(min(in.limits.Bytes, in.limits.Spool))
		return nil
	case counter.n > in.limits.Entries:
		// Opened, the table of contents would fill the memory.
		in.report.Entries = in.limits.Entries
		in.entry("")
		return nil
	}
	in.wheelName(base)
	spooled := &spool{f: tmp, src: in.src, left: maxContents}
	if !in.zip(spooled, size) {
		in.unreadable(tmp)
	}
	return spooled.err
}

// maxContents is the most that is read to open a wheel: its table of contents,
// which is then held in memory. Entries take some 100 bytes each; fields that
// nobody reads may add 128 KiB to every one.
const maxContents = 16 << 20

// spool reads the temporary file. A read that fails is not the package's fault,
// unless it was told to begin before the start.
type spool struct {
	f    io.ReaderAt
	src  *source
	left int64 // what may be read to open the archive
	open bool
	err  error
}

func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, zip.ErrFormat
	}
	if !s.src.alive() {
		return 0, s.src.err
	}
	if s.left -= int64(len(p)); s.left < 0 && !s.open {
		return 0, errContents
	}
	n, err := s.f.ReadAt(p, off)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

var (
	errContents  = errors.New("too large a table of contents")
	errEncrypted = errors.New("encrypted")
)

// info is the text of the files in a wheel's .dist-info folder that pip reads.
type info struct {
	dir  string
	text map[string][]byte // nil unless the file is there
}

// zip inspects a wheel's entries, unless there is no table of contents.
func (in *inspection) zip(r *spool, size int64) bool {
	zr, err := zip.NewReader(r, size)
	if errors.Is(err, errContents) {
		in.tooLongNames()
		return true
	}
	if err != nil && !(errors.Is(err, zip.ErrInsecurePath) && zr != nil) { // entry reports that one
		return false
	}
	r.open = true
	// One entry is read at a time, with one window for all of them.
	br := bufio.NewReader(nil)
	var inflate io.ReadCloser
	zr.RegisterDecompressor(zip.Deflate, func(packed io.Reader) io.ReadCloser {
		if br.Reset(packed); inflate == nil {
			inflate = flate.NewReader(br)
		} else {
			_ = inflate.(flate.Resetter).Reset(br, nil) // fails at a dictionary only
		}
		return io.NopCloser(inflate)
	})
	infos := distInfos(zr.File)
	rec := newRecord(zr.File, infos, in.limits.Entries)
	var texts info
	if len(infos) == 1 {
		texts = info{dir: infos[0], text: map[string][]byte{}}
	}
	// Before anything is inflated: entries that share their bytes cost nothing
	// to pack, and each takes its time to unpack.
	if in.overlaps(zr.File[:min(len(zr.File), in.limits.Entries)]) {
		return true
	}
	for _, f := range zr.File {
		if !in.src.alive() {
			return true
		}
		sound, more := in.entry(f.Name)
		if !more {
			return true
		}
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		size := int64(min(f.UncompressedSize64, 1<<62))
		if !in.unpack(size) {
			return true
		}
		if in.dense(in.report.Unpacked, in.src.read) {
			in.tooDense()
			return true
		}
		if sound {
			in.found.file(f.Name)
		}
		keep := 0
		base, inInfo := strings.CutPrefix(f.Name, texts.dir+"/")
		if inInfo && texts.text != nil && (base == "METADATA" || base == "WHEEL" || base == "RECORD") {
			keep = maxMetadata
			texts.text[base] = []byte{}
		}
		text, err := rec.read(f, size, keep, sound)
		if err != nil {
			in.unzipped(err, f.Name)
			continue
		}
		if keep > 0 {
			texts.text[base] = text
		}
	}
	in.installable(infos, texts)
	in.recorded(rec)
	in.report.Modules = in.found.wheel()
	in.noModule()
	return true
}

// distInfos lists the wheel's .dist-info folders as pip looks for them: the
// first step of any path (pip/_internal/utils/wheel.py).
func distInfos(files []*zip.File) (dirs []string) {
	for _, f := range files {
		if dir := first(f.Name); strings.HasSuffix(dir, ".dist-info") && !slices.Contains(dirs, dir) {
			if dirs = append(dirs, dir); len(dirs) > maxSuggestions {
				break // many enough to be wrong
			}
		}
	}
	return dirs
}

// overlaps reports, and tells of, entries that share packed bytes: no tool
// writes them, and a few bytes make any number of files (Python's zipfile
// refuses them, too, since 3.7.17: CVE-2024-0450).
func (in *inspection) overlaps(files []*zip.File) bool {
	type span struct {
		from, to int64
		name     string
	}
	var spans []span
	for _, f := range files {
		from, err := f.DataOffset()
		if err != nil {
			continue // reported when it is read
		}
		if packed := int64(min(f.CompressedSize64, 1<<62)); packed > 0 {
			spans = append(spans, span{from, from + packed, f.Name})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i := range spans[:max(0, len(spans)-1)] {
		if next := spans[i+1]; spans[i].to > next.from {
			in.fail(rulePackageOverlap, job.Violation{
				Message: "two entries of the wheel share the same bytes, as those of a decompression bomb do",
				Found:   show(spans[i].name) + " and " + show(next.name),
				Remedy:  "build the wheel with python -m build",
			})
			return true
		}
	}
	return false
}

// unreadable reports why a file's table of contents can't be read.
func (in *inspection) unreadable(tmp io.ReaderAt) {
	head := make([]byte, 512)
	n, _ := tmp.ReadAt(head, 0)
	if bytes.HasPrefix(head[:n], []byte("PK\x03\x04")) {
		in.truncated() // the table stands at the end
		return
	}
	looks, remedy := kind(head[:n])
	in.fail(rulePackageFormat, job.Violation{
		Message: "the package is not a wheel, which is a zip archive",
		Found:   looks,
		Remedy:  remedy,
	})
}

// unzipped reports what stopped the zip reader in an entry.
func (in *inspection) unzipped(err error, entry string) {
	rule, v := rulePackageDamaged, job.Violation{
		Message: "an entry of the wheel is damaged",
		Found:   show(entry),
		Remedy:  "upload the file again, as binary; if that does not help, build it again",
	}
	switch {
	case errors.Is(err, zip.ErrChecksum):
		rule = rulePackageChecksum
		v.Message = "an entry's checksum is wrong: its bytes were changed after it was packed"
	case errors.Is(err, errMethod):
		rule = rulePackageCompression
		v.Severity = job.Warning
		v.Message = "an entry is packed in an uncommon way and was not looked into"
		v.Remedy = "build the wheel with python -m build"
	case errors.Is(err, zip.ErrAlgorithm):
		rule = rulePackageCompression
		v.Message = "an entry is packed in a way that Python's zipfile can't unpack"
		v.Allowed = "stored or deflated entries"
		v.Remedy = "build the wheel with python -m build"
	case errors.Is(err, errEncrypted):
		rule = rulePackageEncrypted
		v.Message = "an entry is encrypted"
		v.Remedy = "build the wheel without a password"
	}
	in.fail(rule, v)
}

// wheelName checks the file's name, which pip reads: NAME-VERSION[-BUILD]-
// PYTHON-ABI-PLATFORM.whl, where BUILD begins with a digit (PEP 427;
// pip/_internal/models/wheel.py).
func (in *inspection) wheelName(base string) {
	parts := strings.Split(strings.TrimSuffix(base, ".whl"), "-")
	if n := len(parts); n != 5 && (n != 6 || parts[2] == "" || parts[2][0] < '0' || parts[2][0] > '9') ||
		slices.Contains(parts, "") || strings.ContainsFunc(base, unicode.IsSpace) {
		in.fail(rulePackageWheelName, job.Violation{
			Message: "pip can't install a wheel of this name",
			Found:   show(base),
			Allowed: "NAME-VERSION-PYTHON-ABI-PLATFORM.whl, e.g. trainer-0.1-py3-none-any.whl",
			Remedy:  "keep the name that the build gave the wheel",
		})
		return
	}
	in.report.Name, in.report.Version = clip(parts[0]), clip(parts[1])
	in.stated = parts[0]
	if n := len(parts); in.platform(parts[n-1]) {
		in.report.tags = tagsOf(parts[n-3], parts[n-2], parts[n-1])
	}
}

// platform checks the platform tag. pip refuses a wheel that has no tag of the
// machine ("is not a supported wheel on this platform").
func (in *inspection) platform(tag string) bool {
	for platform := range strings.SplitSeq(strings.ToLower(tag), ".") {
		if platform == "any" || x86Linux(platform) {
			return true
		}
	}
	in.fail(rulePackagePlatform, job.Violation{
		Message: "the wheel is for another system than the service's, where pip refuses it",
		Found:   show(tag),
		Allowed: "any, linux_x86_64, manylinux*_x86_64",
		Remedy:  "build the wheel on Linux on x86-64, or upload a source distribution",
	})
	return false
}

const buildWheel = "build the wheel with python -m build or pip wheel"

// installable checks the wheel's metadata folder as pip does before it unpacks
// anything (PEP 427; pip/_internal/utils/wheel.py and
// operations/install/wheel.py, which reads RECORD).
func (in *inspection) installable(infos []string, texts info) {
	refuse := func(reason, found string) {
		in.fail(rulePackageNotInstallable, job.Violation{
			Message: "pip can't install the wheel: " + reason,
			Found:   found,
			Remedy:  buildWheel,
		})
	}
	switch n := len(infos); {
	case n == 0:
		refuse("it has no .dist-info folder", "")
		return
	case n > maxSuggestions:
		refuse(fmt.Sprintf("it has more than %d .dist-info folders", maxSuggestions), "")
		return
	case n > 1:
		refuse(fmt.Sprintf("it has %d .dist-info folders", n), "")
		return
	}
	if in.stated != "" && !strings.HasPrefix(canonical(texts.dir), canonical(in.stated)) {
		refuse("its .dist-info folder is another package's than the file's name says", show(texts.dir))
	}
	for _, file := range []string{"METADATA", "WHEEL", "RECORD"} {
		if texts.text[file] == nil {
			refuse("it has no "+file, show(texts.dir))
		}
	}
	if text := texts.text["METADATA"]; text != nil {
		name, version := metadata(text, in.report.Name, in.report.Version)
		if in.stated != "" && canonical(name) != canonical(in.stated) {
			refuse("its METADATA names another package than the file's name", show(name))
		}
		in.report.Name, in.report.Version = name, version
		in.report.RequiresPython = clip(header(text, "Requires-Python"))
	}
	if text := texts.text["WHEEL"]; text != nil {
		version := header(text, "Wheel-Version")
		if major, _, _ := strings.Cut(version, "."); major != "1" && major != "0" {
			found := "none"
			if version != "" {
				found = show(version)
			}
			refuse("its WHEEL states no Wheel-Version that pip knows, which is 1.0", found)
		}
	}
}

// canonical returns a name as pip compares it (PEP 503).
func canonical(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name),
		func(r rune) bool { return r == '-' || r == '_' || r == '.' }), "-")
}

// headers counts what looks like an entry of a zip's table of contents. The
// table states its own length, but a hostile one lies.
type headers struct {
	n    int
	tail []byte // the last bytes, in case a mark is split between writes
}

func (h *headers) Write(p []byte) (int, error) {
	mark := []byte("PK\x01\x02")
	seam := append(h.tail, p[:min(len(p), len(mark)-1)]...)
	h.n += bytes.Count(seam, mark) + bytes.Count(p, mark)
	if len(p) >= len(mark)-1 {
		h.tail = append(h.tail[:0], p[len(p)-len(mark)+1:]...)
	} else {
		h.tail = append(h.tail[:0], seam[max(0, len(seam)-len(mark)+1):]...)
	}
	return len(p), nil
}
