package gcs

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"syscall"
	"time"

	"google.golang.org/api/googleapi"
)

// The longest pause before a call is made again the first time. It doubles with each try, up to longestPause.
const (
	// quotaPause follows a 429: Cloud Storage takes one write a second of one object's name, so a pause of less than
	// that ends in another 429.
	quotaPause = 1300 * time.Millisecond
	// faultPause follows any other failure, which may be over at once.
	faultPause   = 100 * time.Millisecond
	longestPause = 8 * time.Second
)

// bounded makes a call within [callTimeout], by the rules of [repeated].
func bounded[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return repeated(ctx, call)
}

// repeated makes a call, again with backoff while it fails by the service's or the network's fault: the generated
// client does not. It returns the last failure when the next pause may not end within callTimeout of the beginning or
// before ctx ends.
//
// Every call here may be repeated. If the answer to a conditional write is lost, the repetition finds the condition not
// met, which callers expect of any conditional write. An unconditional write may come after a newer one: those are of
// index entries and notes, which a tick compares and writes anew.
func repeated[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	end := time.Now().Add(callTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	for tries := 0; ; tries++ {
		result, err := call(ctx)
		pause := firstPause(err)
		if pause == 0 {
			return result, err
		}
		pause = min(pause<<tries, longestPause)
		if time.Until(end) < pause {
			return result, err
		}
		t := time.NewTimer(pause - rand.N(pause/4)) // #nosec G404 -- no secret; what fails together comes back apart
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return result, ctx.Err()
		}
	}
}

// firstPause returns the longest pause after the first failure of a call, or 0 if the call should not be made again.
// https://cloud.google.com/storage/docs/retry-strategy lists the errors.
func firstPause(err error) time.Duration {
	var api *googleapi.Error
	if errors.As(err, &api) {
		switch api.Code {
		case http.StatusTooManyRequests:
			return quotaPause
		case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return faultPause
		}
		return 0
	}
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // the caller's
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.As(err, &timeout) && timeout.Timeout():
		return faultPause
	}
	return 0
}
