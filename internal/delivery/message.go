// Package delivery holds what destinations are told, and the record of what each was told. It has no I/O.
package delivery

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/jobdrop/jobdrop/internal/notice"
)

// Message is what a destination is to tell of one event.
type Message struct {
	// ID is the same at each try of this message, and of no other message.
	ID string
	// Conversation is the same for all messages of a folder, a route and a destination, and of nothing else.
	Conversation string
	Route        string
	Event        notice.Event
	Text         notice.Text
	// Receipt is what the last Send of the conversation returned; nil before the first.
	Receipt Receipt
	// Unsure reports that an earlier try may have told it, and that nobody knows: its answer was lost, or its
	// process died.
	Unsure bool
	// Refresh asks to show the conversation's newest event again, without telling anybody anew: another process
	// may have shown an older one after it.
	Refresh bool
}

// Receipt is what a destination keeps of a conversation, as JSON of at most [MaxReceipt] bytes. Only the
// destination reads it.
type Receipt = json.RawMessage

// MaxReceipt is the largest receipt in bytes: some IDs.
const MaxReceipt = 4 << 10

// Later returns an error that asks for another try, not before after has passed; 0 leaves the time to the caller.
// An error of a destination that is neither Later's nor Never's asks for another try, too.
func Later(err error, after time.Duration) error { return &laterError{err, after, false} }

// NotNow returns an error of [Later] that says, beside it, that nothing was told: the next try need not look for it.
func NotNow(err error, after time.Duration) error { return &laterError{err, after, true} }

// IsUntold reports whether an error says that nothing was told.
func IsUntold(err error) bool {
	var later *laterError
	return IsNever(err) || errors.As(err, &later) && later.untold
}

// Never returns an error that says that the destination refuses the message for good: no other try can help.
func Never(err error) error { return &neverError{err} }

// IsNever reports whether no other try can help.
func IsNever(err error) bool {
	var never *neverError
	return errors.As(err, &never)
}

// After returns how long a destination asks to be left alone, or 0.
func After(err error) time.Duration {
	var later *laterError
	if errors.As(err, &later) {
		return later.after
	}
	return 0
}

type laterError struct {
	error
	after  time.Duration
	untold bool
}

func (e *laterError) Unwrap() error { return e.error }

type neverError struct{ error }

func (e *neverError) Unwrap() error { return e.error }
