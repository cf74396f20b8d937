//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package process

import "syscall"

// dieWithParent does nothing here: orphans are found at the next start on the
// folder.
func dieWithParent(*syscall.SysProcAttr) {}
