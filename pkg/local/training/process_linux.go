package training

import "syscall"

// dieWithParent has the kernel kill a trainer when this process dies without a
// word. It holds for the trainer itself: what it started is found at the next
// start on the folder.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
