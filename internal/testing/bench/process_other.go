//go:build !unix

package main

import "os"

// maxResident returns 0: the system does not say.
func maxResident(*os.ProcessState) int64 { return 0 }

// suffix ends the name of a program's file.
const suffix = ".exe"
