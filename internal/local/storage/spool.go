package storage

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync/atomic"
)

// spool is content on its way into the store: a temporary file, written once
// from its beginning, with its checksums.
type spool struct {
	file  *os.File
	path  string
	limit int64
	ended *atomic.Bool // the store's
	size  int64
	crc   hash.Hash32
	md5   hash.Hash // nil for what is composed, as Cloud Storage has none of that
}

// newSpool makes a spool of at most limit bytes. The caller discards it.
func (s *store) newSpool(limit int64) (*spool, error) {
	// A name that never comes back: one may be removed that has moved on.
	path := filepath.Join(s.tmp(), rand.Text())
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &spool{
		file:  f,
		path:  path,
		limit: limit,
		ended: &s.ended,
		crc:   crc32.New(crc32.MakeTable(crc32.Castagnoli)),
		md5:   md5.New(),
	}, nil
}

func (c *spool) Write(p []byte) (int, error) {
	if c.ended.Load() {
		return 0, errUnavailable("The server is closing.")
	}
	if c.size+int64(len(p)) > c.limit {
		return 0, errTooLarge(c.limit)
	}
	n, err := c.file.Write(p)
	c.size += int64(n)
	_, _ = c.crc.Write(p[:n]) // a hash takes everything
	if c.md5 != nil {
		_, _ = c.md5.Write(p[:n])
	}
	return n, err
}

func (c *spool) crc32c() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, c.crc.Sum32()))
}

func (c *spool) md5Hash() string {
	if c.md5 == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(c.md5.Sum(nil))
}

// declared are checksums that a client has given, empty where it has not.
type declared struct {
	CRC32C  string `json:"crc32c"`
	MD5Hash string `json:"md5Hash"`
}

// check refuses content that is not what the client has sent.
func (c *spool) check(d declared) error {
	if d.CRC32C != "" && d.CRC32C != c.crc32c() {
		return errInvalid("Provided CRC32C %q doesn't match calculated CRC32C %q.", d.CRC32C, c.crc32c())
	}
	if d.MD5Hash != "" && c.md5 != nil && d.MD5Hash != c.md5Hash() {
		return errInvalid("Provided MD5 hash %q doesn't match calculated MD5 hash %q.", d.MD5Hash, c.md5Hash())
	}
	return nil
}

// moveTo moves the content to path.
func (c *spool) moveTo(path string) error {
	if err := c.file.Close(); err != nil {
		return err
	}
	return os.Rename(c.path, path)
}

// discard removes what has not found its place.
func (c *spool) discard() {
	_ = c.file.Close()
	_ = os.Remove(c.path)
}
