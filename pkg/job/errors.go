package job

import "errors"

// What adapters return, whatever the service behind them calls it.
var (
	// ErrNotFound: the object or job is not there.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the service does not let jobdrop do it.
	ErrDenied = errors.New("permission denied")
	// ErrCredentials: the service does not know who asks, whose credentials are missing, expired or revoked.
	ErrCredentials = errors.New("credentials refused")
	// ErrRefused: the service does not do what it was asked for in this form, however often it is
	// asked, e.g. read an object without the key that its uploader keeps.
	ErrRefused = errors.New("request refused")
	// ErrTooLarge: a read passed its limit.
	ErrTooLarge = errors.New("larger than allowed")
	// ErrQuota: the service wants fewer requests or the project's quota is
	// used up; trying again later may help.
	ErrQuota = errors.New("quota exceeded")
)
