package pypkg

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

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
	spooled := &spool{f: tmp}
	if !in.zip(spooled, size) {
		in.unreadable(tmp)
	}
	return spooled.err
}

// spool reads the temporary file. A read that fails is not the package's fault,
// unless it was told to begin before the start.
type spool struct {
	f   io.ReaderAt
	err error
}

func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, zip.ErrFormat
	}
	n, err := s.f.ReadAt(p, off)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// zip inspects a wheel's entries, unless there is no table of contents.
func (in *inspection) zip(r io.ReaderAt, size int64) bool {
	zr, err := zip.NewReader(r, size)
	if err != nil && !(errors.Is(err, zip.ErrInsecurePath) && zr != nil) { // entry reports that one
		return false
	}
	var infos []string
	has := map[string]bool{}
	for _, f := range zr.File {
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
		if dir, file, ok := strings.Cut(f.Name, "/"); ok && strings.HasSuffix(dir, ".dist-info") {
			if !has[dir] {
				has[dir] = true
				infos = append(infos, dir)
			}
			has[dir+"/"+file] = true
		}
		text, err := readZipped(f, size)
		if err != nil {
			in.unzipped(err, f.Name)
			continue
		}
		if strings.HasSuffix(f.Name, ".dist-info/METADATA") && strings.Count(f.Name, "/") == 1 {
			in.report.Name, in.report.Version = metadata(text, in.report.Name, in.report.Version)
		}
	}
	in.installable(infos, has)
	in.report.Modules = in.found.wheel()
	if len(in.report.Modules) == 0 {
		in.noModule("modules (.py)")
	}
	return true
}

// readZipped reads an entry to its checksum; of metadata it keeps the start.
func readZipped(f *zip.File, size int64) ([]byte, error) {
	if f.Flags&1 != 0 {
		return nil, errEncrypted
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var text []byte
	if strings.HasSuffix(f.Name, "/METADATA") {
		if text, err = io.ReadAll(io.LimitReader(r, min(size, maxMetadata))); err != nil {
			return nil, err
		}
	}
	// One byte more than stated makes the reader compare sizes and sums.
	left := size - int64(len(text))
	n, err := io.Copy(io.Discard, io.LimitReader(r, left+1))
	if err == nil && n > left {
		err = zip.ErrFormat
	}
	return text, err
}

var errEncrypted = errors.New("encrypted")

// unreadable reports why a file's table of contents can't be read.
func (in *inspection) unreadable(tmp io.ReaderAt) {
	head := make([]byte, 512)
	n, _ := tmp.ReadAt(head, 0)
	if bytes.HasPrefix(head[:n], []byte("PK\x03\x04")) {
		in.truncated() // the table stands at the end
		return
	}
	looks, remedy := kind(head[:n])
	in.fail(job.Violation{
		Rule:    "package-format",
		Message: "the package is not a wheel, which is a zip archive",
		Found:   looks,
		Remedy:  remedy,
	})
}

// unzipped reports what stopped the zip reader in an entry.
func (in *inspection) unzipped(err error, entry string) {
	v := job.Violation{
		Rule:    "package-damaged",
		Message: "an entry of the wheel is damaged",
		Found:   show(entry),
		Remedy:  "upload the file again, as binary; if that does not help, build it again",
	}
	switch {
	case errors.Is(err, zip.ErrChecksum):
		v.Rule = "package-checksum"
		v.Message = "an entry's checksum is wrong: its bytes were changed after it was packed"
	case errors.Is(err, zip.ErrAlgorithm):
		v.Rule = "package-compression"
		v.Severity = job.Warning
		v.Message = "an entry is packed in an uncommon way and was not looked into"
		v.Remedy = "build the wheel with python -m build"
	case errors.Is(err, errEncrypted):
		v.Rule = "package-encrypted"
		v.Message = "an entry is encrypted"
		v.Remedy = "build the wheel without a password"
	}
	in.fail(v)
}

// wheelName checks the file's name, which pip reads: NAME-VERSION[-BUILD]-
// PYTHON-ABI-PLATFORM.whl (PEP 427).
func (in *inspection) wheelName(base string) {
	parts := strings.Split(strings.TrimSuffix(base, ".whl"), "-")
	if len(parts) != 5 && len(parts) != 6 {
		in.fail(job.Violation{
			Rule:    "package-wheel-name",
			Message: "pip can't install a wheel of this name",
			Found:   show(base),
			Allowed: "NAME-VERSION-PYTHON-ABI-PLATFORM.whl, e.g. trainer-0.1-py3-none-any.whl",
			Remedy:  "keep the name that the build gave the wheel",
		})
		return
	}
	in.report.Name, in.report.Version = clip(parts[0]), clip(parts[1])
	platform := parts[len(parts)-1]
	if platform != "any" && !strings.Contains(platform, "linux") {
		in.warn(job.Violation{
			Rule:    "package-platform",
			Message: "the wheel is for another system than the service's",
			Found:   show(platform),
			Allowed: "any, or a Linux platform",
			Remedy:  "build the wheel on Linux, or upload a source distribution",
		})
	}
}

// installable checks the wheel's metadata folder (PEP 427).
func (in *inspection) installable(infos []string, has map[string]bool) {
	const remedy = "build the wheel with python -m build or pip wheel"
	switch {
	case len(infos) == 0:
		in.fail(job.Violation{
			Rule:    "package-not-installable",
			Message: "pip can't install the wheel: it has no .dist-info folder",
			Remedy:  remedy,
		})
	case len(infos) > 1:
		in.fail(job.Violation{
			Rule:    "package-not-installable",
			Message: fmt.Sprintf("pip can't install the wheel: it has %d .dist-info folders", len(infos)),
			Remedy:  remedy,
		})
	default:
		for _, file := range []string{"METADATA", "WHEEL"} {
			if !has[infos[0]+"/"+file] {
				in.fail(job.Violation{
					Rule:    "package-not-installable",
					Message: "pip can't install the wheel: it has no " + file,
					Found:   show(infos[0]),
					Remedy:  remedy,
				})
			}
		}
	}
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
