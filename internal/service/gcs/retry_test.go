package gcs_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// script is a service that gives its answers in turn, the last one for ever: a status, or an error of the connection.
type script struct {
	answers []any
	asked   int
	bodies  []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body.Close()
		body = string(data)
	}
	s.bodies = append(s.bodies, body)
	answer := s.answers[min(s.asked, len(s.answers)-1)]
	s.asked++
	err, broken := answer.(error)
	if broken {
		return nil, err
	}
	status := answer.(int)
	content := `{"generation": "7", "done": true}`
	if status != http.StatusOK {
		content = `{"error": {"message": "no"}}`
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"X-Goog-Generation": {"7"}}, Body: io.NopCloser(strings.NewReader(content)),
		Request: r,
	}, nil
}

var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

func TestCallsAreRepeated(t *testing.T) {
	tests := []struct {
		name    string
		answers []any
		asked   int           // at least
		want    error         // nil is success
		most    time.Duration // that it may take
	}{
		{"429, then success", []any{429, 200}, 2, nil, 1300 * time.Millisecond},
		{"429 twice", []any{429, 429, 200}, 3, nil, 3900 * time.Millisecond},
		{"503", []any{503, 200}, 2, nil, 100 * time.Millisecond},
		{"each of the others", []any{408, 500, 502, 504, 200}, 5, nil, 1500 * time.Millisecond},
		{"a connection that breaks", []any{errReset, io.ErrUnexpectedEOF, 200}, 3, nil, 300 * time.Millisecond},
		{"a write whose answer was lost", []any{errReset, 412}, 2, attempt.ErrStale, 100 * time.Millisecond},
		{"400", []any{400, 200}, 1, job.ErrRefused, 0},
		{"403", []any{403, 200}, 1, job.ErrDenied, 0},
		{"412", []any{412, 200}, 1, attempt.ErrStale, 0},
		{"any other error", []any{io.ErrNoProgress, 200}, 1, io.ErrNoProgress, 0},
		{"429 without end", []any{429}, 4, job.ErrQuota, 20 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: test.answers}
				c, err := gcs.Over(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				generation, err := c.Write(t.Context(), "b", "o", []byte("content"), "text/plain", nil, 3)
				if !errors.Is(err, test.want) || test.want == nil && generation != 7 {
					t.Errorf("generation %d, %v; want %v", generation, err, test.want)
				}
				if took := time.Since(start); took > test.most {
					t.Errorf("took %s, want at most %s", took, test.most)
				}
				if s.asked < test.asked || s.asked > test.asked && len(test.answers) > 1 { // pauses are drawn
					t.Errorf("%d requests, want %d", s.asked, test.asked)
				}
				for _, body := range s.bodies {
					if !strings.Contains(body, `"name":"o"`) || !strings.Contains(body, "\r\ncontent\r\n") {
						t.Errorf("a request with the body %q", body)
					}
				}
			})
		})
	}
}

// Each call of the service is made again, not only a write.
func TestEveryCallIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []any{503, 200}}
		c, err := gcs.Over(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		for name, call := range map[string]func() error{
			"list": func() error { return c.List(ctx, "b", "", false, func([]job.Attributes) error { return nil }) },
			"read": func() error { _, _, err := c.Read(ctx, "b", "o", 0, 100); return err },
			"open": func() error {
				r, err := c.Open(ctx, "b", "o", 7)
				if err != nil {
					return err
				}
				return r.Close()
			},
			"stat":   func() error { _, err := c.Stat(ctx, "b", "o"); return err },
			"places": func() error { _, err := c.Places(ctx, "b"); return err },
			"copy":   func() error { return c.Copy(ctx, job.Object{Bucket: "b", Name: "o"}, "b", "p") },
			"delete": func() error { return c.Delete(ctx, "b", "o") },
		} {
			s.asked = 0
			if err := call(); err != nil || s.asked != 2 {
				t.Errorf("%s: %v after %d requests", name, err, s.asked)
			}
		}
	})
}

func TestContextEndsRepetitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := gcs.Over(t.Context(), &script{answers: []any{429}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		start := time.Now()
		if _, err := c.Write(ctx, "b", "o", nil, "text/plain", nil, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want that the context was canceled", err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %s, want 5s", took)
		}
		// There is no use in a pause that outlasts the caller.
		ctx, cancel = context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		start = time.Now()
		if _, err := c.Write(ctx, "b", "o", nil, "text/plain", nil, 0); !errors.Is(err, job.ErrQuota) {
			t.Errorf("%v, want ErrQuota", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("took %s, want none", took)
		}
	})
}
