//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package process

import "syscall"

func ownGroup() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(a)
	return a
}

func signalGroup(pgid int, signal syscall.Signal) error { return syscall.Kill(-pgid, signal) }

func killProcess(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }
