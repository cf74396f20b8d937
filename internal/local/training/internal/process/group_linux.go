package process

import "syscall"

// dieWithParent has the kernel kill a program when this process dies without a
// word. To the kernel the parent is the thread that forked; Go ends a thread only
// with a goroutine that was locked to it, and none is here. It holds for the
// program itself: what it started is found at the next start on the folder.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
