package pypkg

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

var (
	errUnpacked = errors.New("too much to unpack")
	errRatio    = errors.New("packed too densely")
	errMembers  = errors.New("too many gzip members")
)

// bounded bounds what is unpacked, headers and padding included: sizes that an
// archive states of itself prove nothing.
type bounded struct {
	r     io.Reader
	in    *inspection
	n     int64
	head  [512]byte // the first bytes, which tell a format
	fault error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.fault == nil && !b.in.src.alive() {
		b.fault = b.in.src.err
	}
	if b.fault != nil {
		return 0, b.fault
	}
	n, err := b.r.Read(p)
	if b.n < int64(len(b.head)) {
		copy(b.head[b.n:], p[:n])
	}
	b.n += int64(n)
	if b.n > b.in.limits.Unpacked+b.in.limits.headers() {
		err = errUnpacked
	} else if b.in.dense(b.n, b.in.src.read) {
		err = errRatio
	}
	if err != nil && err != io.EOF {
		b.fault = err
	}
	return n, err
}

// start returns the beginning of what was unpacked.
func (b *bounded) start() []byte { return b.head[:min(b.n, int64(len(b.head)))] }

// maxMembers bounds a package's gzip members (RFC 1952, section 2.2). Tools that
// write several make one of each 64 KiB or more; an empty one takes 20 bytes,
// and far longer to open than to read.
const maxMembers = 1 << 17

// gunzip reads gzip members one after the other, as gzip.Reader does, but takes
// what is no further member for garbage rather than for a damaged package, as
// gzip -t does: zero bytes to fill a block are common, and pip stops at the
// archive's end anyway.
type gunzip struct {
	br      *bufio.Reader
	zr      *gzip.Reader
	members int
	garbage bool
	done    bool
}

func newGunzip(zr *gzip.Reader, br *bufio.Reader) (*gunzip, error) {
	if err := zr.Reset(br); err != nil {
		return nil, err
	}
	zr.Multistream(false)
	return &gunzip{br: br, zr: zr, members: 1}, nil
}

func (g *gunzip) Read(p []byte) (int, error) {
	for !g.done {
		n, err := g.zr.Read(p)
		if err != io.EOF {
			return n, err
		}
		if err := g.next(); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// next opens the next member, or reads what else there is to the end.
func (g *gunzip) next() error {
	head, _ := g.br.Peek(2)
	if bytes.Equal(head, []byte("\x1f\x8b")) {
		if g.members++; g.members > maxMembers {
			return errMembers
		}
		if err := g.zr.Reset(g.br); err != nil {
			return err
		}
		g.zr.Multistream(false)
		return nil
	}
	g.done = true
	for {
		chunk, err := g.br.Peek(max(1, min(g.br.Buffered(), g.br.Size())))
		if len(chunk) == 0 {
			if err == io.EOF {
				return nil
			}
			return err
		}
		g.garbage = g.garbage || len(bytes.Trim(chunk, "\x00")) > 0
		if _, err := g.br.Discard(len(chunk)); err != nil {
			return err
		}
	}
}

// endSize is how far from a file's end Python's zipfile.is_zipfile looks for
// the record that ends a zip archive: 22 bytes, and a comment of up to 64 KiB.
const endSize = 22 + 1<<16

// end keeps the last bytes that are read through it, in a ring.
type end struct {
	r    io.Reader
	ring [endSize]byte
	n    int64
}

func (e *end) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	last := p[max(0, n-endSize):n]
	at := int((e.n + int64(n-len(last))) % endSize)
	copied := copy(e.ring[at:], last)
	copy(e.ring[:], last[copied:])
	e.n += int64(n)
	return n, err
}

// zip reports whether Python takes the file for a zip archive.
func (e *end) zip() bool {
	tail := e.ring[:min(e.n, endSize)]
	if at := int(e.n % endSize); e.n > endSize {
		tail = append(bytes.Clone(e.ring[at:]), e.ring[:at]...)
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	return at >= 0 && len(tail)-at >= 22
}
