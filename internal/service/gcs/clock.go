package gcs

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock knows the time of the service from its answers: patience is counted from
// the service's times of objects, so by the service's clock.
type clock struct {
	http.RoundTripper
	ahead atomic.Int64 // of this machine's clock, in nanoseconds
}

// Now returns the service's time, as far as earlier answers tell. It is this
// machine's time if the two agree to within a second and the time of a call.
func (c *Client) Now() time.Time { return time.Now().Add(time.Duration(c.clock.ahead.Load())) }

func (c *clock) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := time.Now()
	response, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			c.saw(date, sent, time.Now())
		}
	}
	return response, err
}

// saw records the date of an answer. The date is in whole seconds, and was written
// between the request and its answer. The known offset is kept if it agrees with
// that.
func (c *clock) saw(date, sent, received time.Time) {
	least, most := date.Sub(received), date.Add(time.Second).Sub(sent)
	ahead := time.Duration(c.ahead.Load())
	c.ahead.Store(int64(min(max(ahead, least), most)))
}
