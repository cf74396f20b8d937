//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// killGroup has a command that is not over in time end with all that it started: a
// shell alone would leave its pipes running.
func killGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
