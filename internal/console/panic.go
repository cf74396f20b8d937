package console

import (
	"fmt"
	"runtime/debug"
)

// panicError is returned for a page whose code panicked.
type panicError struct{ value, stack string }

func (*panicError) Error() string { return "this page broke: the log says where" }

// safely calls do, and returns a [*panicError] if it panics. Every goroutine that makes a part of a page runs in it: a
// panic that nothing recovers from ends the process, and with it all other pages.
func safely(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{fmt.Sprint(v), string(debug.Stack())}
		}
	}()
	return do()
}
