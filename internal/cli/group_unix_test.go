//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// inGroup makes the end of c's context end all that c started, too.
func inGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
