//go:build unix

package messaging

import (
	"os/exec"
	"syscall"
)

// own makes c start in a process group of its own: the tools are scripts that start
// others.
func own(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// end ends a command with all that it started.
func end(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
