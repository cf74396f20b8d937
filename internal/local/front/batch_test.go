package front

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
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
