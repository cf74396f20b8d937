package gcs

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	const ms = time.Millisecond
	tests := []struct {
		name       string
		known      time.Duration
		date       time.Time
		sent, took time.Duration // after at, by this machine's clock
		want       time.Duration
	}{
		{"the same time", 0, at, 500 * ms, 100 * ms, 0},
		{"the answer comes in the next second", 0, at, 950 * ms, 100 * ms, 0},
		{"this machine is ten minutes behind", 0, at.Add(10 * time.Minute), 500 * ms, 100 * ms, 10*time.Minute - 600*ms},
		{"this machine is ten minutes ahead", 0, at.Add(-10 * time.Minute), 500 * ms, 100 * ms, -10*time.Minute + 500*ms},
		{
			"what is known is kept", 10*time.Minute - 100*ms, at.Add(10 * time.Minute), 500 * ms, 100 * ms,
			10*time.Minute - 100*ms,
		},
		{"what was known is over", 10 * time.Minute, at, 500 * ms, 100 * ms, 500 * ms},
		{"an answer that took long tells little", 0, at, 0, time.Minute, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var c clock
			c.ahead.Store(int64(test.known))
			c.saw(test.date, at.Add(test.sent), at.Add(test.sent+test.took))
			if got := time.Duration(c.ahead.Load()); got != test.want {
				t.Errorf("ahead by %s, want %s", got, test.want)
			}
		})
	}
}

// The clock follows a service whose answers come from another time.
func TestClientNow(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-3*time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusNotFound)
	}))
	defer s.Close()
	c, err := New(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if behind := time.Until(c.Now()); behind < -time.Minute {
		t.Errorf("before any answer the clock is %s off", behind)
	}
	_, _ = c.Stat(t.Context(), "b", "o") // not there
	if behind := time.Until(c.Now()); behind > -179*time.Minute || behind < -181*time.Minute {
		t.Errorf("the clock is %s off, and the service's three hours behind", behind)
	}
}
