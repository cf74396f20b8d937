package destination

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
)

// MaxRetryAfter is the longest time that a destination may ask to be left alone for. A message is given up after
// 24 hours: three tries must fit in.
const MaxRetryAfter = 6 * time.Hour

// RetryAfter returns how long the value of a Retry-After header (RFC 9110, 10.2.3) asks to wait: at most
// MaxRetryAfter, and 0 if it asks for nothing that can be understood.
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// Answer returns nil if a status says that a message was taken, and otherwise its error. 408, 425, 429 and 5xx ask for
// another try. All others would refuse the message again.
func Answer(status int, header http.Header, now time.Time) error {
	if status/100 == 2 {
		return nil
	}
	said := fmt.Errorf("answered %s", strings.TrimSpace(strconv.Itoa(status)+" "+http.StatusText(status)))
	switch {
	case status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return delivery.NotNow(said, RetryAfter(header.Get("Retry-After"), now))
	case status == http.StatusRequestTimeout, status/100 == 5, status < 200:
		return delivery.Later(said, RetryAfter(header.Get("Retry-After"), now))
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return delivery.Never(Unauthorized(said))
	case status/100 == 3:
		return delivery.Never(fmt.Errorf("%w: redirects are not followed", said))
	}
	return delivery.Never(said)
}

// mostSaid is the longest part of an answer's text in an error, in characters.
const mostSaid = 200

// Said returns what a destination answered in words, fit for an error: without the secrets, on one line, and at most
// 200 characters of it.
func Said(answer string, secrets ...string) string { return Line(Redact(answer, secrets...), mostSaid) }

// redacted stands where a secret stood.
const redacted = "[redacted]"

// Redact returns a text without the secrets in it.
func Redact(s string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, redacted)
		}
	}
	return s
}
