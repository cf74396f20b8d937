//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package training

import (
	"errors"
	"syscall"
)

// lockDir refuses: without process groups a job's end can't be promised.
func lockDir(string) (func() error, error) {
	return nil, errors.New("the local training service needs process groups, which this operating system lacks")
}

func ownGroup() *syscall.SysProcAttr { return nil }

func signalGroup(int, syscall.Signal) error { return errors.ErrUnsupported }

func killProcess(int) error { return errors.ErrUnsupported }
