package front

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// answered returns the answer to a batch of parts.
func answered(b Batch, parts ...string) (string, error) {
	body := "--B\r\nContent-Type: application/http\r\n\r\n" +
		strings.Join(parts, "\r\n--B\r\nContent-Type: application/http\r\n\r\n") + "\r\n--B--\r\n"
	r := httptest.NewRequest("POST", "/batch", strings.NewReader(body))
	r.Header.Set("Content-Type", "multipart/mixed; boundary=B")
	w := httptest.NewRecorder()
	err := b.Answer(w, r)
	return w.Body.String(), err
}

// The line and the headers of a call have the bound that a request of its own has. Its content has not.
func TestBatchBounds(t *testing.T) {
	b := Batch{MaxCalls: 2, MaxBytes: 16 << 20, Serve: func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(w, r.Body)
		if err != nil || n != r.ContentLength {
			t.Errorf("the content has %d bytes of %d: %v", n, r.ContentLength, err)
		}
	}}
	content := strings.Repeat("c", 2<<20)
	got, err := answered(b, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2097152\r\n\r\n"+content)
	if err != nil || !strings.Contains(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for name, call := range map[string]string{
		"a line":   "GET /?fields=" + strings.Repeat("(", 3<<20) + " HTTP/1.1\r\n\r\n",
		"a header": "GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 3<<20) + "\r\n\r\n",
	} {
		_, err := answered(b, call)
		if invalid := (*BatchError)(nil); !errors.As(err, &invalid) || !strings.Contains(err.Error(), "more than 1048576 bytes") {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

// An answer that is too large is an error, and those of the other calls stay.
func TestBatchAnswers(t *testing.T) {
	content := strings.Repeat("c", 1<<20)
	b := Batch{MaxCalls: 3, MaxBytes: 1 << 20, Serve: func(w http.ResponseWriter, r *http.Request) {
		for err := error(nil); err == nil; { // without end where nobody bounds it
			if _, err = io.WriteString(w, content); r.URL.Path == "/small" || r.Context().Err() != nil {
				return
			}
		}
	}}
	got, err := answered(b, "GET /small HTTP/1.1\r\n\r\n", "GET /large HTTP/1.1\r\n\r\n", "GET /small HTTP/1.1\r\n\r\n")
	if err != nil || strings.Count(got, content) != 2 || strings.Count(got, "HTTP/1.1 200 OK") != 2 ||
		!strings.Contains(got, "HTTP/1.1 400 Bad Request") || !strings.Contains(got, "too many bytes") {
		t.Errorf("%d bytes, %v: %.300q", len(got), err, got)
	}
	b.MaxCalls = 70
	got, err = answered(b, slices.Repeat([]string{"GET /small HTTP/1.1\r\n\r\n"}, 70)...)
	if err != nil || strings.Count(got, content) != 63 || strings.Count(got, "too many bytes") != 7 {
		t.Errorf("%d whole answers, %d refused, %v", strings.Count(got, content), strings.Count(got, "too many bytes"), err)
	}
}
