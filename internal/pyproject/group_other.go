//go:build !unix

package pyproject

import "os/exec"

// ownGroup does nothing: what the command has started ends by itself.
func ownGroup(*exec.Cmd) {}
