package loopback

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestGuard(t *testing.T) {
	for _, test := range []struct {
		name    string
		hosts   []string
		method  string
		host    string
		headers map[string]string
		want    int
	}{
		{name: "localhost", host: "localhost:8085", want: 200},
		{name: "localhost without a port", host: "LOCALHOST", want: 200},
		{name: "IPv4", host: "127.0.0.1:8085", want: 200},
		{name: "another loopback address", host: "127.1.2.3", want: 200},
		{name: "IPv6", host: "[::1]:8085", want: 200},
		{name: "IPv6 without a port", host: "[::1]", want: 200},
		{name: "IPv4 in IPv6", host: "[::ffff:127.0.0.1]:1", want: 200},
		{name: "rebound name", host: "evil.example:8085", want: 403},
		{name: "name that begins like ours", host: "localhost.evil.example", want: 403},
		{name: "name that ends like ours", host: "127.0.0.1.evil.example", want: 403},
		{name: "address of the network", host: "192.168.0.7:8085", want: 403},
		{name: "every address", host: "0.0.0.0:8085", want: 403},
		{name: "no host", host: "", want: 403},
		{name: "no host, and an empty entry", hosts: []string{""}, host: "", want: 403},
		{name: "allowed", hosts: []string{"pubsub"}, host: "pubsub:8085", want: 200},
		{name: "allowed, another case", hosts: []string{"PubSub:1"}, host: "pubsuB", want: 200},
		{name: "allowed address", hosts: []string{"fd00::7"}, host: "[fd00::7]:8085", want: 200},
		{name: "not the allowed one", hosts: []string{"pubsub"}, host: "pubsub.evil.example", want: 403},
		{name: "localhost beside the allowed", hosts: []string{"pubsub"}, host: "localhost", want: 200},
		{
			name:    "page of another site",
			host:    "localhost:8085",
			headers: map[string]string{"Sec-Fetch-Site": "cross-site"},
			want:    403,
		},
		{
			name:    "page of another port",
			host:    "localhost:8085",
			headers: map[string]string{"Sec-Fetch-Site": "same-site"},
			want:    403,
		},
		{name: "old browser", host: "localhost:8085", headers: map[string]string{"Origin": "http://evil.example"}, want: 403},
		{name: "page without an origin", host: "localhost:8085", headers: map[string]string{"Origin": "null"}, want: 403},
		{name: "own page", host: "localhost:8085", headers: map[string]string{"Origin": "http://localhost:8085"}, want: 200},
		{
			name:    "origin of the rebound name",
			host:    "evil.example",
			headers: map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
			want:    403,
		},
		{name: "rebound name reads", method: http.MethodGet, host: "evil.example", want: 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			passed := false
			next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })
			method := test.method
			if method == "" {
				method = http.MethodPost
			}
			r := httptest.NewRequest(method, "/v1/projects/p/topics", nil)
			r.Host = test.host
			for name, value := range test.headers {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			Guard(test.hosts, next).ServeHTTP(w, r)
			if w.Code != test.want || passed != (test.want == 200) {
				t.Fatalf("got %d, passed %t; want %d: %s", w.Code, passed, test.want, w.Body)
			}
			if !passed {
				checkError(t, w)
			}
		})
	}
}

// checkError holds a refusal to the form that Google's clients decode.
func checkError(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var body struct {
		Error struct {
			Code            int
			Message, Status string
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if e := body.Error; e.Code != 403 || e.Status != "PERMISSION_DENIED" || e.Message == "" {
		t.Errorf("got %+v", e)
	}
}

// A client that sends its whole body before it listens hears why it was refused, and one that waits to
// be asked is not asked for what nobody wants.
func TestGuardReadsWhatIsLeft(t *testing.T) {
	server := httptest.NewServer(Guard(nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10))
		if r.Header.Get("Expect") == "" && err == nil {
			t.Error("the body is not refused")
		}
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})))
	defer server.Close()
	unread := httptest.NewServer(Guard(nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "refused", http.StatusForbidden)
	})))
	defer unread.Close()
	const size = 8 << 20
	send := func(url, header string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n", size, header)
		return c
	}
	for _, url := range []string{server.URL, unread.URL} {
		c := send(url, "")
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Errorf("what was sent is not read: %v", err)
		}
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, " 4") {
			t.Errorf("the answer is %q, %v", line, err)
		}
	}
	c := send(unread.URL, "Expect: 100-continue\r\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "403") {
		t.Errorf("a client that waits hears %q, %v", line, err)
	}
}

// A refusal is there while its request's body is not, in both forms of a body, and however long the refusal
// is. The connection serves the next request once the body has ended, and is closed if the client is silent.
func TestGuardAnswersAtOnce(t *testing.T) {
	t.Parallel()
	const length = "Content-Length: 10\r\n\r\n12345"
	const chunks = "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"
	for _, test := range []struct {
		name, begin, end string
		size             int
		next             bool
	}{
		{"a length", length, "67890", 20, true},
		{"chunks", chunks, "0\r\n\r\n", 20, true},
		{"a long answer", chunks, "0\r\n\r\n", 50_000, true},
		{"a length without an end", length, "", 20, false},
		{"chunks without an end", chunks, "", 20, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(Guard(nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, strings.Repeat("x", test.size), http.StatusNotFound)
			})))
			defer server.Close()
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			r := bufio.NewReader(c)
			begin := time.Now()
			fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: localhost\r\n", test.begin)
			answer := func() {
				t.Helper()
				a, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(a.Body)
				if err != nil || a.StatusCode != 404 || len(body) != test.size+1 {
					t.Fatalf("%s, %d bytes, %v", a.Status, len(body), err)
				}
			}
			answer()
			if d := time.Since(begin); d > maxSilence*3/4 {
				t.Errorf("the answer took %v", d)
			}
			if test.next {
				fmt.Fprint(c, test.end, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
				answer()
				return
			}
			if rest, _ := io.ReadAll(r); len(rest) > 0 || time.Since(begin) > 4*maxSilence-time.Second {
				t.Errorf("the connection had %q, and ended after %v", rest, time.Since(begin))
			}
		})
	}
}
