package inspect

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// An uploader may pack an object for transport: gcloud storage cp -Z, gsutil -z and Google's action
// for GitHub set contentEncoding gzip on what they packed. Others set it on a .tar.gz that was
// packed once. So the stored bytes decide: if decoding them once gives what the object's name
// promises, that is the content; if the stored bytes are that already, the label is false.

// Decode returns the content of an object that was stored with contentEncoding gzip.
func Decode(stored io.Reader) (io.Reader, error) { return gzip.NewReader(stored) }

// encoding returns the encoding that an object is stored with, or the empty string.
func encoding(o job.Object) string {
	switch e := strings.ToLower(strings.TrimSpace(o.Encoding)); e {
	case "identity":
		return ""
	case "x-gzip": // an older name (RFC 9110, 8.4.1.3)
		return "gzip"
	default:
		return e
	}
}

// falseLabel warns of an object whose bytes are used as they are stored, whatever its label says.
func falseLabel(o job.Object) job.Violation {
	return job.Violation{
		Rule: ruleContentEncoding, Severity: job.Warning, File: o.Base(),
		Message: "the object says that it was packed for transport, and was not: its bytes are used as they are stored",
		Found:   "contentEncoding: " + job.BoundText(o.Encoding, 80),
		Remedy:  "upload it without contentEncoding; without jobdrop, tools would unpack it once too often",
	}
}

// otherEncoding rejects an object whose content jobdrop can't know.
func otherEncoding(o job.Object) job.Violation {
	return job.Violation{
		Rule: ruleContentEncoding, Severity: job.Error, File: o.Base(),
		Message: "the object is stored in an encoding that jobdrop does not decode",
		Found:   "contentEncoding: " + job.BoundText(o.Encoding, 80), Allowed: "gzip, or none",
		Remedy: "upload it without an encoding, then the job file again",
	}
}

// undecodable rejects an object whose packing is damaged.
func undecodable(o job.Object, err error) job.Violation {
	return job.Violation{
		Rule: ruleContentEncoding, Severity: job.Error, File: o.Base(),
		Message: "the object says that it was packed for transport, and can't be unpacked: " + job.BoundText(err.Error(), 200),
		Found:   "contentEncoding: " + job.BoundText(o.Encoding, 80),
		Remedy:  "upload it again, then the job file",
	}
}

// headBytes is how much of a stored object is looked at to tell what decoding it would give. A gzip
// header ends long before, unless somebody makes it long.
const headBytes = 32 << 10

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zipMagic  = []byte("PK")
)

// packed reports whether an object that says so was packed for transport. stored is left where it
// was.
func packed(o job.Object, stored *bufio.Reader) (bool, error) {
	head, err := stored.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if !bytes.HasPrefix(head, gzipMagic) {
		return false, nil
	}
	if job.IsJobFile(o.Name) {
		return true, nil // text does not begin so
	}
	promised := gzipMagic
	if strings.HasSuffix(o.Name, ".whl") {
		promised = zipMagic
	}
	z, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return false, nil
	}
	decoded := make([]byte, len(promised))
	_, err = io.ReadFull(z, decoded)
	return err == nil && bytes.Equal(decoded, promised), nil
}

// sums counts and sums up what is read through it.
type sums struct {
	r    io.Reader
	n    int64
	crc  uint32
	fail error // of r
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *sums) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	s.crc = crc32.Update(s.crc, castagnoli, p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		s.fail = err
	}
	return n, err
}

// crc32c returns the sum as Cloud Storage writes it.
func (s *sums) crc32c() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, s.crc))
}

// decoded returns o with the size and the sum of its content if it was packed for transport. It
// reads at most limit bytes of the content and one more: of a larger object, the check of the
// content says that it is too large. found tells what is wrong with the object's encoding.
func decoded(ctx context.Context, o job.Object, open Open, limit int64) (of job.Object, found []job.Violation, err error) {
	switch encoding(o) {
	case "":
		return o, nil, nil
	case "gzip":
	default:
		return o, []job.Violation{otherEncoding(o)}, nil
	}
	content, err := open(ctx, o)
	if err != nil {
		return o, nil, err
	}
	defer content.Close()
	stored := &sums{r: content}
	buffered := bufio.NewReaderSize(stored, headBytes)
	is, err := packed(o, buffered)
	if err != nil {
		return o, nil, fmt.Errorf("read %s: %w", o.URI(), err)
	}
	if !is {
		return o, []job.Violation{falseLabel(o)}, nil
	}
	z, err := Decode(buffered)
	all := &sums{}
	if err == nil {
		all.r = z
		_, err = io.Copy(io.Discard, io.LimitReader(all, limit+1))
	}
	switch {
	case stored.fail != nil:
		return o, nil, fmt.Errorf("read %s: %w", o.URI(), stored.fail)
	case err != nil:
		return o, []job.Violation{undecodable(o, err)}, nil
	}
	o.DecodedSize, o.DecodedCRC32C = all.n, all.crc32c()
	return o, nil, nil
}

// decodeAll applies [decoded] to objects, in place.
func decodeAll(ctx context.Context, objects []job.Object, open Open, limit int64) (found []job.Violation, err error) {
	for i, o := range objects {
		of, vs, err := decoded(ctx, o, open, limit)
		if err != nil {
			return nil, err
		}
		objects[i] = of
		found = append(found, vs...)
	}
	return found, nil
}

// decodePinned returns the packages of a folder. Of those that are pinned by another checksum than
// that of their stored bytes, the checksum of the content is known: a pin may mean either.
func decodePinned(ctx context.Context, packages []job.Object, pins []job.Pin, open Open,
	limit int64) ([]job.Object, error) {
	packages = slices.Clone(packages)
	for i, p := range packages {
		pinned := func(pin job.Pin) bool {
			return pin.Name == p.Base() && pin.CRC32C != "" && pin.CRC32C != p.CRC32C
		}
		if encoding(p) != "gzip" || !slices.ContainsFunc(pins, pinned) {
			continue
		}
		of, _, err := decoded(ctx, p, open, limit) // what is wrong is found again where the package is used
		if err != nil {
			return nil, err
		}
		packages[i] = of
	}
	return packages, nil
}

// opened opens the content of an object, unpacked if it was packed for transport.
func opened(ctx context.Context, o job.Object, open Open) (io.ReadCloser, error) {
	stored, err := open(ctx, o)
	if err != nil || !o.Decoded() {
		return stored, err
	}
	z, err := Decode(stored)
	if err != nil {
		_ = stored.Close()
		return nil, fmt.Errorf("read %s: %w", o.URI(), err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, stored}, nil
}
