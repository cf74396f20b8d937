package destination_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		name, value string
		want        time.Duration
	}{
		{"none", "", 0},
		{"seconds", "30", 30 * time.Second},
		{"seconds with spaces", " 30 ", 30 * time.Second},
		{"zero", "0", 0},
		{"the longest", "21600", 6 * time.Hour},
		{"longer", "21601", 6 * time.Hour},
		{"more than an int64", "99999999999999999999", 6 * time.Hour},
		{"negative", "-1", 0},
		{"with a sign", "+1", 0},
		{"a fraction", "1.5", 0},
		{"a date", "Sun, 29 Nov 2026 12:01:00 GMT", time.Minute},
		{"a date of RFC 850", "Sunday, 29-Nov-26 12:01:00 GMT", time.Minute},
		{"a date of asctime", "Sun Nov 29 12:01:00 2026", time.Minute},
		{"a past date", "Sun, 29 Nov 2026 11:00:00 GMT", 0},
		{"a date far off", "Tue, 29 Nov 2033 11:00:00 GMT", 6 * time.Hour},
		{"a date before all", "Mon, 01 Jan 0001 00:00:00 GMT", 0},
		{"words", "soon", 0},
		{"other digits", "３０", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := destination.RetryAfter(test.value, now); got != test.want {
				t.Errorf("RetryAfter(%q) = %v, want %v", test.value, got, test.want)
			}
		})
	}
}

// An answer that says that nothing was told keeps the next try from looking for it.
func TestAnswerIsUntold(t *testing.T) {
	for status, want := range map[int]bool{425: true, 429: true, 408: false, 500: false, 503: false, 404: true, 401: true} {
		if got := delivery.IsUntold(destination.Answer(status, http.Header{}, time.Now())); got != want {
			t.Errorf("%d: %t, want %t", status, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{
		"", "0", "30", "-1", "1e9", "99999999999999999999", "Sun, 29 Nov 2026 12:01:00 GMT",
		"Sunday, 29-Nov-26 12:01:00 GMT", "Sun Nov 29 12:01:00 2026", "Mon, 01 Jan 0001 00:00:00 GMT",
		"Fri, 31 Dec 9999 23:59:59 GMT", "\x00", " 1",
	} {
		f.Add(value, now.Unix())
	}
	f.Fuzz(func(t *testing.T, value string, at int64) {
		after := destination.RetryAfter(value, time.Unix(at, 0))
		if after < 0 || after > destination.MaxRetryAfter {
			t.Errorf("RetryAfter(%q) = %v", value, after)
		}
	})
}

func TestAnswer(t *testing.T) {
	again := map[int]bool{408: true, 425: true, 429: true}
	for status := 100; status <= 599; status++ {
		header := http.Header{"Retry-After": {"90"}}
		err := destination.Answer(status, header, now)
		switch {
		case status/100 == 2:
			if err != nil {
				t.Errorf("%d: %v", status, err)
			}
		case status/100 == 1 || status/100 == 5 || again[status]:
			if err == nil || delivery.IsNever(err) || delivery.After(err) != 90*time.Second {
				t.Errorf("%d: %v, never %v, after %v", status, err, delivery.IsNever(err), delivery.After(err))
			}
		default:
			if !delivery.IsNever(err) {
				t.Errorf("%d: %v is tried again", status, err)
			}
		}
	}
}

func TestSaid(t *testing.T) {
	got := destination.Said("the key\x1b[31m s3cret\nis  wrong "+strings.Repeat("x", 300), "s3cret", "")
	if want := "the key [redacted] is wrong " + strings.Repeat("x", 171) + "…"; got != want {
		t.Errorf("Said returns %q, want %q", got, want)
	}
}

func TestLater(t *testing.T) {
	err := destination.Unauthorized(delivery.Never(errors.New("x")))
	if !delivery.IsNever(err) {
		t.Error("Unauthorized loses the class")
	}
}
