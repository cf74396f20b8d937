package local

import "syscall"

// portTaken is the answer to a second listener on a port, WSAEADDRINUSE. Go's
// syscall.EADDRINUSE is a number of its own on Windows, which no call returns.
const portTaken = syscall.Errno(10048)
