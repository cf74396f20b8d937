package job

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time. Its text, and so its JSON, is the API's, e.g. "7200s".
type Duration time.Duration

// String returns the duration in seconds with the suffix s, e.g. 7200s or 0.5s. [ParseDuration]
// reads it back.
func (d Duration) String() string {
	sign, whole, rest := "", d/Duration(time.Second), d%Duration(time.Second)
	if d < 0 {
		sign, whole, rest = "-", -whole, -rest
	}
	text := fmt.Sprintf("%s%d.%09d", sign, whole, rest)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "s"
}

// MarshalText returns the duration's text.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// moreDecimals matches a duration with more than nine decimals. Earlier revisions wrote such texts.
var moreDecimals = regexp.MustCompile(`^([0-9]+\.[0-9]{9})[0-9]+s$`)

// UnmarshalText reads a duration as [ParseDuration] does. It cuts decimals after the ninth.
func (d *Duration) UnmarshalText(text []byte) error {
	read, err := ParseDuration(moreDecimals.ReplaceAllString(string(text), "${1}s"))
	*d = Duration(read)
	return err
}

// durationFormat is google.protobuf.Duration's JSON form less the sign: whole
// seconds, up to nine decimals, suffix s.
var durationFormat = regexp.MustCompile(`^[0-9]+(\.[0-9]{1,9})?s$`)

// maxDuration is google.protobuf.Duration's bound in seconds: 10,000 years.
const maxDuration = 315_576_000_000

// ParseDuration reads a duration as the API writes it, e.g. 3600s or 0.5s: in
// seconds only, at most 315576000000s. One of more than 292 years is given as
// the longest that a [time.Duration] can be.
func ParseDuration(text string) (time.Duration, error) {
	if !durationFormat.MatchString(text) {
		return 0, fmt.Errorf("duration %q is not a number of seconds with the suffix s", text)
	}
	whole, decimals, _ := strings.Cut(strings.TrimSuffix(text, "s"), ".")
	s, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || s > maxDuration {
		return 0, fmt.Errorf("duration %q is too long", text)
	}
	if s > math.MaxInt64/int64(time.Second)-1 {
		return math.MaxInt64, nil
	}
	n, _ := strconv.ParseInt((decimals + "000000000")[:9], 10, 64)
	return time.Duration(s)*time.Second + time.Duration(n), nil
}

// FormatDuration is the inverse of [ParseDuration].
func FormatDuration(d time.Duration) string { return Duration(d).String() }
