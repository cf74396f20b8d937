//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package process

import (
	"errors"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

func signalGroup(int, syscall.Signal) error { return errors.ErrUnsupported }

func killProcess(int) error { return errors.ErrUnsupported }
