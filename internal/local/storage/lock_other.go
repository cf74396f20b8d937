//go:build !unix

package storage

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockDir makes sure that one server at a time uses a folder: two would each
// keep an index of their own. The system refuses to remove a file that is open,
// so a lock of a process that died does not stay in the way.
func lockDir(dir string) (unlock func() error, err error) {
	path := filepath.Join(dir, "lock")
	_ = os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	return f.Close, nil
}
