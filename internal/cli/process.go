package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// Process returns the environment of this process.
func Process() Env {
	return Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Now: time.Now, Getenv: os.Getenv,
		Terminal: isTerminal(os.Stdout), ErrTerminal: isTerminal(os.Stderr),
		Size: func() (width, height int) {
			width, height, _ = term.GetSize(int(os.Stdout.Fd())) // zero if it is not known
			return width, height
		},
	}
}

// isTerminal reports whether a file is a terminal, as far as its kind shows: /dev/null
// counts as one, and is read by nobody.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Signals returns a context that ends when the process is told to: by an
// interrupt, by SIGTERM, or by a terminal that goes away.
func Signals(ctx context.Context) (context.Context, context.CancelFunc) {
	var ends []os.Signal
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // nohup ignores SIGHUP
			ends = append(ends, s)
		}
	}
	// Caught, SIGPIPE does not end the process before its jobs are ended: the write
	// to a closed output fails instead. The jobs would inherit an ignored signal.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return signal.NotifyContext(ctx, ends...)
}
