package upload

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// sessionLife is how long a session's file is kept: a session of Cloud Storage lives for a week.
	sessionLife = 8 * 24 * time.Hour
	// maxSession bounds a session's file, in bytes: metadata are 8 KiB at most.
	maxSession = 64 << 10
)

// session is an upload that was begun, as it is kept in a file. Who knows the URI can go on with the upload without any
// other right.
type session struct {
	URI     string `json:"uri"`
	Address string `json:"address"` // of the service
	Bucket  string `json:"bucket"`
	Name    string `json:"name"`
	Size    int64  `json:"size"`
	CRC32C  string `json:"crc32c"`

	// What the object will have, as the session's beginning said.
	IfGeneration int64             `json:"ifGeneration"`
	ContentType  string            `json:"contentType"`
	Metadata     map[string]string `json:"metadata,omitempty"`
}

// key returns a name for what is uploaded, and where to.
func (s session) key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d %q", s.Address, s.Bucket, s.Name, s.Size, s.CRC32C))
	return hex.EncodeToString(sum[:16])
}

// same reports whether a session brings about what another one would.
func (s session) same(o session) bool {
	return s.key() == o.key() && s.IfGeneration == o.IfGeneration && s.ContentType == o.ContentType &&
		maps.Equal(s.Metadata, o.Metadata)
}

// ours reports whether a session's address is the service's: credentials are sent there.
func (s session) ours(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil {
		return false
	}
	service, err := url.Parse(s.Address)
	return err == nil && u.Scheme == service.Scheme &&
		(u.Host == service.Host || u.Scheme == "https" && strings.HasSuffix(u.Host, ".googleapis.com"))
}

// Dir returns the folder for sessions in a user's cache folder, which [os.UserCacheDir] returns.
func Dir(cache string) string { return filepath.Join(cache, "jobdrop", "uploads") }

// keeper keeps the session of one upload. The zero keeper keeps nothing.
type keeper struct{ dir, file string }

func newKeeper(dir string, s session) keeper {
	return keeper{dir, filepath.Join(dir, s.key()+".json")}
}

// load returns the URI of a session for what is wanted, or "". Whatever is wrong with the file, the upload begins anew.
func (k keeper) load(wanted session) string {
	info, err := os.Lstat(k.file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSession {
		return ""
	}
	text, err := os.ReadFile(k.file)
	var s session
	if err != nil || json.Unmarshal(text, &s) != nil || !s.same(wanted) || !wanted.ours(s.URI) {
		return ""
	}
	return s.URI
}

// save writes the session's file, which nobody else may read, and removes those that are too old to be of use.
func (k keeper) save(s session, uri string) (err error) {
	s.URI = uri
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return err
	}
	k.sweep()
	// A file of that kind has the mode 0600. Moved into place it is whole, or not there.
	f, err := os.CreateTemp(k.dir, "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.TrimSpace(text), '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), k.file)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// sweep removes what earlier uploads have left. What can't be removed stays.
func (k keeper) sweep() {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.Type().IsRegular() && time.Since(info.ModTime()) > sessionLife {
			_ = os.Remove(filepath.Join(k.dir, e.Name()))
		}
	}
}

// drop removes the file of a session that has ended. If it stays, the service tells the next reader the same.
func (k keeper) drop() {
	if k.file != "" {
		_ = os.Remove(k.file)
	}
}
