//go:build !windows

package local

import "syscall"

// portTaken is the answer to a second listener on a port.
const portTaken = syscall.EADDRINUSE
