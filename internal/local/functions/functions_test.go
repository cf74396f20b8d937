package functions

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/local/loopback"
)

// The front end lets in who the stack's other services let in, and hands on what
// the functions read of a request.
func TestFront(t *testing.T) {
	var got []string
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.Method+" "+r.Host+r.URL.String()+" "+r.Header.Get("Ce-Id")+" "+string(body))
		w.WriteHeader(http.StatusAccepted)
	}))
	defer behind.Close()
	s := front(strings.TrimPrefix(behind.URL, "http://"), "mine", []string{"functions"})
	if s.ReadHeaderTimeout <= 0 || s.IdleTimeout <= 0 {
		t.Errorf("no timeouts: header %s, idle %s", s.ReadHeaderTimeout, s.IdleTimeout)
	}
	for _, test := range []struct {
		name, host, origin string
		want               int
	}{
		{"this machine", "127.0.0.1:8080", "", http.StatusAccepted},
		{"a name that is allowed", "functions:8080", "", http.StatusAccepted},
		{"a name that was rebound", "evil.example", "", http.StatusForbidden},
		{"a web site", "127.0.0.1:8080", "http://evil.example", http.StatusForbidden},
	} {
		got = nil
		r := httptest.NewRequest(http.MethodPost, "/Submit?a=b", strings.NewReader("{}"))
		r.Host = test.host
		r.Header.Set("Ce-Id", "1")
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s: %d, want %d", test.name, w.Code, test.want)
		}
		if stack := w.Header().Get(loopback.StackHeader); stack != "mine" {
			t.Errorf("%s: answered for the stack %q", test.name, stack)
		}
		want := ""
		if test.want == http.StatusAccepted {
			want = "POST " + test.host + "/Submit?a=b 1 {}"
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s: the functions got %q, want %q", test.name, got, want)
		}
	}
}
