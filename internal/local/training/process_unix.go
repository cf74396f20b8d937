//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package training

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir makes sure that one service at a time uses a folder: a second one
// would take the first one's processes for orphans. The lock ends with the
// process.
func lockDir(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
		}
		return nil, err
	}
	return f.Close, nil
}

func ownGroup() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(a)
	return a
}

func signalGroup(pgid int, signal syscall.Signal) error { return syscall.Kill(-pgid, signal) }

func killProcess(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
