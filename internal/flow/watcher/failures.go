package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jobdrop/jobdrop/internal/attempt"
)

// failures gathers what went wrong. It counts all errors, and keeps the text of some, since a log
// entry has a limit.
//
// Whoever may upload can cause some of them with one drop: a folder that changes each time it is
// looked at, or a drop whose check takes longer than a tick has for one. Whoever may write requests can
// put a hold on one. Those are logged and make no tick fail. Everything else is of the installation: a
// list, a note, the policy, a service that does not answer.
type failures struct {
	count           int
	errs            []error
	ofErrs          int // how many there are of errs, kept or not
	contended, slow []error
	held            []error // answered requests that stay
}

// reported is how many errors of each kind are kept.
const reported = 20

// add adds an error; nil is none.
func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.count++
	kept := &f.errs
	switch {
	case attempt.Contended(err):
		kept = &f.contended
	case attempt.Slow(err):
		kept = &f.slow
	case attempt.Held(err):
		kept = &f.held
	default:
		f.ofErrs++
	}
	if len(*kept) < reported {
		*kept = append(*kept, err)
	}
}

// join adds the failures of a part of the tick.
func (f *failures) join(part failures) {
	f.count += part.count
	f.ofErrs += part.ofErrs
	f.errs = append(f.errs, part.errs[:min(len(part.errs), reported-len(f.errs))]...)
	f.contended = append(f.contended, part.contended[:min(len(part.contended), reported-len(f.contended))]...)
	f.slow = append(f.slow, part.slow[:min(len(part.slow), reported-len(f.slow))]...)
	f.held = append(f.held, part.held[:min(len(part.held), reported-len(f.held))]...)
}

// log logs the failures that make no tick fail.
func (f *failures) log(ctx context.Context, logger *slog.Logger) {
	if len(f.contended) > 0 {
		logger.WarnContext(ctx, "attempts changed while a tick looked at them", "error", errors.Join(f.contended...))
	}
	if len(f.slow) > 0 {
		logger.ErrorContext(ctx, "drops took longer to check than a tick has for one", "error", errors.Join(f.slow...))
	}
	if len(f.held) > 0 {
		logger.ErrorContext(ctx, "answered requests may not be deleted: end the holds on their objects, and see that jobdrop "+
			"may delete objects", "error", errors.Join(f.held...))
	}
}

// err returns the failures that make the tick fail.
func (f *failures) err() error {
	if more := f.ofErrs - len(f.errs); more > 0 {
		return fmt.Errorf("%w\nand %d more failures", errors.Join(f.errs...), more)
	}
	return errors.Join(f.errs...)
}
