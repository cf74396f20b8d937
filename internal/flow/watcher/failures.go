package watcher

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jobdrop/jobdrop/internal/attempt"
)

// failures gathers what went wrong. It counts all errors, and keeps the text of some, since a log
// entry has a limit. Errors that only say that others were faster come last, so that they hide
// nothing.
type failures struct {
	count           int
	errs, contended []error
}

// reported is how many errors of each kind are kept, and how many of all are reported.
const reported = 20

// add adds an error; nil is none.
func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.count++
	kept := &f.errs
	if attempt.Contended(err) {
		kept = &f.contended
	}
	if len(*kept) < reported {
		*kept = append(*kept, err)
	}
}

// join adds the failures of a part of the tick.
func (f *failures) join(part failures) {
	f.count += part.count
	f.errs = append(f.errs, part.errs[:min(len(part.errs), reported-len(f.errs))]...)
	f.contended = append(f.contended, part.contended[:min(len(part.contended), reported-len(f.contended))]...)
}

func (f *failures) err() error {
	told := slices.Concat(f.errs, f.contended)
	told = told[:min(len(told), reported)]
	if more := f.count - len(told); more > 0 {
		return fmt.Errorf("%w\nand %d more failures", errors.Join(told...), more)
	}
	return errors.Join(told...)
}
