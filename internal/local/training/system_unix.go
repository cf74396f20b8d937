//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package training

// supported returns nil: this operating system has process groups.
func supported() error { return nil }
