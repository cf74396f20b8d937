// Package lock reserves a folder for one process.
package lock

import (
	"fmt"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Dir reserves dir for this process until unlock is called or the process ends,
// however it ends. If another process holds the folder, the error wraps inUse
// and names the folder.
func Dir(dir string, inUse error) (unlock func() error, err error) {
	f := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	locked, err := f.TryLock()
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, fmt.Errorf("%w: %s", inUse, dir)
	}
	return f.Unlock, nil
}
