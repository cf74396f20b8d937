package storage

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/local/front"
)

// multipartBody returns the body of a multipart upload with the boundary B.
func multipartBody(description, content string) string {
	return "--B\r\nContent-Type: application/json\r\n\r\n" + description + "\r\n--B\r\nContent-Type: text/plain\r\n\r\n" +
		content + "\r\n--B--\r\n"
}

// unserved returns a server without a listener.
func unserved(t testing.TB, dir string) *Server {
	t.Helper()
	s, err := open(context.Background(), Options{Dir: dir, Buckets: []string{bucketA}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.unlock() })
	return s
}

// A range that is read is one that a session can follow.
func FuzzContentRange(f *testing.F) {
	for _, v := range []string{"", "bytes 0-9/10", "bytes */*", "bytes */10", "bytes 0-*/*", "bytes 5-9/*", "bytes 9-5/10",
		"bytes 0-10/10", "bytes 0-999999999999999999/*", "bytes -1-2/3"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r, err := parseRange(value)
		if err != nil {
			return
		}
		if r.start < -1 || r.end < -1 || r.total < -1 || r.query() && r.end >= 0 || r.end >= 0 && r.end < r.start ||
			r.total >= 0 && r.end >= r.total {
			t.Errorf("%q gives %+v", value, r)
		}
	})
}

// A multipart upload makes an object or is the client's error. It never makes half an
// object.
func FuzzMultipart(f *testing.F) {
	f.Add(multipartBody(`{"name":"a"}`, "content"))
	f.Add(strings.ReplaceAll(multipartBody(`{"name":"a","metadata":{"k":"v"}}`, "con\ntent"), "\r\n", "\n"))
	f.Add("--B\r\n\r\n{}\r\n--B\r\n\r\ncut")
	f.Add("--B\r\n\r\n{\"name\":\"a\"}")
	f.Add("--B--")
	s := unserved(f, f.TempDir())
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/upload/storage/v1/b/"+bucketA+"/o?uploadType=multipart",
			strings.NewReader(body))
		r.Header.Set("Content-Type", "multipart/related; boundary=B")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if left, _ := filepath.Glob(filepath.Join(s.store.tmp(), "*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// No path leads out of the folder, and each is answered.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"/storage/v1/b/" + bucketA + "/o/a%2Fb", "/b/" + bucketA + "/o/..%2f..%2fx", "/storage/v1/b/..%2f..%2ftmp/o/x",
		"/" + bucketA + "/../../etc/passwd", "/" + bucketA + "/%00",
		"/storage/v1/b/" + bucketA + "/o/a/rewriteTo/b/x/o/y", "/storage/v1/b/" + bucketA + "/o//", "/%ff/%ff", "/batch",
		"/storage/v1/b//o", "//", "/" + bucketA + "/" + strings.Repeat("x", 1025),
	} {
		f.Add(path, http.MethodPut, "")
		f.Add(path, http.MethodPost, "uploadType=media&name=..%2Fa")
		f.Add(path, http.MethodGet, "prefix=a&delimiter=%ff&matchGlob=%5B&fields=a((")
	}
	dir := f.TempDir()
	s := unserved(f, filepath.Join(dir, "in", "side"))
	f.Fuzz(func(t *testing.T, path, method, query string) {
		u, err := url.Parse(path)
		if err != nil || !strings.HasPrefix(path, "/") || !validMethod(method) {
			return
		}
		u.RawQuery = query
		r := &http.Request{Method: method, URL: u, Header: http.Header{}, Body: http.NoBody, Host: "localhost"}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r.WithContext(t.Context()))
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s %q?%q: %s", method, path, query, w.Body)
		}
		for _, pattern := range []string{"*", "in/*", "in/side/*"} {
			found, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, f := range found {
				switch filepath.Base(f) {
				case "in", "side", "buckets", "tmp", "lock":
				default:
					t.Errorf("%s %q?%q made %s", method, path, query, f)
				}
			}
		}
		for name := range s.store.buckets[bucketA].objects {
			if checkName(name) != nil || !utf8.ValidString(name) {
				t.Errorf("there is an object of the name %q", name)
			}
		}
	})
}

func validMethod(m string) bool {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodPatch:
		return true
	}
	return false
}

// Fields and globs that can't be read are an error or are passed over.
func FuzzListParameters(f *testing.F) {
	for _, v := range []string{"items(name,size),nextPageToken", "items/name", "a(b", "a)b", "((((", "*", ",", "a/b(c/d)",
		"**/{a,b}?[!c-d]", "[", "{", `\`, "a{b,{c}}"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		_ = front.Selected(map[string]any{"items": []any{map[string]any{"name": "a"}}, "kind": "k"}, value)
		matches, err := globMatcher(value)
		if err == nil {
			_ = matches("a/b")
		}
	})
}
