package job

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

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
func FormatDuration(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
}
