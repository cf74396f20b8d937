//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package training

import "errors"

// supported returns an error: without process groups a job's end can't be promised.
func supported() error {
	return errors.New("the local training service needs process groups, which this operating system lacks")
}
