//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// maxResident returns the peak memory of a process that ended, in bytes.
func maxResident(s *os.ProcessState) int64 {
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(usage.Maxrss)
	}
	return int64(usage.Maxrss) << 10
}

// suffix ends the name of a program's file.
const suffix = ""
