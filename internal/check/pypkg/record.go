package pypkg

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxRecord is how much of a wheel's RECORD is read: each of its lines takes a
// name and some 60 bytes, so that this is one of 50,000 entries.
const maxRecord = 8 << 20

// maxLine bounds one line of it, which may span several where it has quotes: the
// reader keeps all fields of a line, and a RECORD of commas is one line.
const maxLine = 16 << 10

var errLine = errors.New("too long a line")

// lineReader is what may be read for one line; whoever reads lines sets left anew
// before each.
type lineReader struct {
	r    io.Reader
	left int
}

func (l *lineReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLine
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// errMethod is a method of packing that Python's zipfile knows, but rarely
// meets: bzip2 and LZMA.
var errMethod = errors.New("uncommon compression method")

// record compares a wheel's files with its RECORD, which lists each with its
// hash and size (PEP 376, 427).
type record struct {
	dir   string            // the .dist-info folder
	lines map[string][]byte // name to sha256, nil where another hash is stated
	sizes map[string]int64  // where one is stated
	there bool              // there is a RECORD
	known bool              // it was read whole

	sum      hash.Hash
	copyBuf  []byte
	unlisted []string // the first files that RECORD does not list
	changed  []string // and those whose content is another
}

// newRecord reads the RECORD, up to a number of lines, before any other entry.
func newRecord(files []*zip.File, infos []string, most int) *record {
	r := &record{sum: sha256.New(), copyBuf: make([]byte, 32<<10)}
	if len(infos) != 1 {
		return r
	}
	r.dir = infos[0]
	for _, f := range files {
		if f.Name != r.dir+"/RECORD" {
			continue
		}
		r.there = true
		if f.Flags&encrypted != 0 || f.UncompressedSize64 > maxRecord {
			return r
		}
		content, err := f.Open()
		if err != nil {
			return r
		}
		defer content.Close()
		r.parse(io.LimitReader(content, maxRecord), most)
		return r
	}
	return r
}

// parse reads lines as Python's csv does. A line of another form makes the whole
// record unknown.
func (r *record) parse(text io.Reader, most int) {
	r.lines, r.sizes = map[string][]byte{}, map[string]int64{}
	source := &lineReader{r: text}
	lines := csv.NewReader(source)
	lines.FieldsPerRecord = -1
	lines.ReuseRecord = true
	for {
		source.left = maxLine
		line, err := lines.Read()
		if err == io.EOF {
			r.known = true
			return
		}
		if err != nil || len(line) != 3 || len(r.lines) >= most {
			return
		}
		var sum []byte
		if encoded, ok := strings.CutPrefix(line[1], "sha256="); ok {
			if sum, err = base64.RawURLEncoding.DecodeString(encoded); err != nil {
				sum = []byte{} // equal to no hash
			}
		}
		name := strings.Clone(line[0]) // the line is one string
		r.lines[name] = sum
		if size, err := strconv.ParseInt(line[2], 10, 64); err == nil {
			r.sizes[name] = size
		}
	}
}

// encrypted is the bit of an entry's flags (PKWARE's APPNOTE, 4.4.4).
const encrypted = 1

// read reads an entry to its checksum, compares it with RECORD if its name is
// sound, and returns its start, up to keep bytes.
func (r *record) read(f *zip.File, size int64, keep int, sound bool) ([]byte, error) {
	if f.Flags&encrypted != 0 {
		return nil, errEncrypted
	}
	if f.Method == 12 || f.Method == 14 {
		return nil, errMethod
	}
	content, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	want, listed := r.lines[f.Name]
	var sink io.Writer = discard{}
	if want != nil {
		r.sum.Reset()
		sink = r.sum
	}
	// One byte more than stated makes the reader compare sizes and sums.
	limited := io.LimitReader(content, size+1)
	var start []byte
	if keep > 0 {
		if start, err = io.ReadAll(io.LimitReader(limited, min(size, int64(keep)))); err != nil {
			return nil, err
		}
		_, _ = sink.Write(start) // neither sink fails
	}
	n, err := io.CopyBuffer(sink, limited, r.copyBuf)
	if err != nil {
		return nil, err
	}
	if n += int64(len(start)); n > size {
		return nil, zip.ErrFormat
	}
	if sound {
		r.compare(f.Name, n, want, listed)
	}
	return start, nil
}

// discard has no ReadFrom, so that the buffer of the caller is used.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func (r *record) compare(name string, size int64, want []byte, listed bool) {
	stated, hasSize := r.sizes[name]
	switch {
	case !r.known, name == r.dir+"/RECORD", name == r.dir+"/RECORD.jws", name == r.dir+"/RECORD.p7s":
		// RECORD can't list its own hash, nor that of its signatures (PEP 427).
	case !listed:
		r.unlisted = append(r.unlisted, name)
	case hasSize && size != stated, want != nil && string(r.sum.Sum(nil)) != string(want):
		r.changed = append(r.changed, name)
	}
}

// recorded reports where RECORD and the wheel's files differ. PEP 427 wants
// installers to refuse such a wheel; pip installs it nevertheless.
func (in *inspection) recorded(r *record) {
	if r.there && !r.known {
		in.warn(rulePackageRecord, job.Violation{
			Message: "RECORD is not a list of names, hashes and sizes, or too long; the wheel's files were not compared with it",
			Found:   show(r.dir + "/RECORD"),
			Remedy:  buildWheel,
		})
	}
	if n := len(r.changed); n > 0 {
		in.warn(rulePackageRecord, job.Violation{
			Message: fmt.Sprintf("RECORD states another hash or size for %s: changed after the wheel was built", files(n)),
			Found:   show(r.changed[0]),
			Remedy:  buildWheel,
		})
	}
	if n := len(r.unlisted); n > 0 {
		in.warn(rulePackageRecord, job.Violation{
			Message: fmt.Sprintf("RECORD does not list %s: added after the wheel was built", files(n)),
			Found:   show(r.unlisted[0]),
			Remedy:  buildWheel,
		})
	}
}

func files(n int) string {
	if n == 1 {
		return "a file of the wheel"
	}
	return fmt.Sprintf("%d files of the wheel", n)
}
