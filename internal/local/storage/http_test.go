package storage

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local/absent"
	"github.com/jobdrop/jobdrop/internal/local/loopback"
)

// wantReason checks an answer for an error in the form of Google's JSON APIs.
func (a answer) wantReason(t testing.TB, want string) {
	t.Helper()
	doc, _ := a.fields(t)["error"].(map[string]any)
	all, _ := doc["errors"].([]any)
	if len(all) != 1 || doc["code"] != float64(a.status) || doc["message"] == "" {
		t.Fatalf("no error in Google's form: %s", a.body)
	}
	if first, _ := all[0].(map[string]any); first["reason"] != want || first["domain"] != "global" ||
		first["message"] != doc["message"] {
		t.Errorf("error is %v, want the reason %s", first, want)
	}
}

func TestErrorsHaveGooglesForm(t *testing.T) {
	s := start(t, Options{})
	s.put(t, "here", "x")
	api := s.URL() + "/storage/v1/b"
	upload := s.URL() + "/upload/storage/v1/b/" + bucketA + "/o"
	for _, test := range []struct {
		name, method, url, body string
		status                  int
		reason                  string
	}{
		{"no object", "GET", s.objectURL("none"), "", 404, "notFound"},
		{"no generation", "GET", s.objectURL("here") + "?generation=1", "", 404, "notFound"},
		{"no bucket", "GET", api + "/none", "", 404, "notFound"},
		{
			"no bucket to write to", "POST", s.URL() + "/upload/storage/v1/b/none/o?uploadType=media&name=a", "", 404,
			"notFound",
		},
		{"bucket is there", "POST", api + "?project=p", `{"name":"` + bucketA + `"}`, 409, "conflict"},
		{"bucket is not empty", "DELETE", api + "/" + bucketA, "", 409, "conflict"},
		{"bucket's name", "POST", api, `{"name":"../x"}`, 400, "invalid"},
		{"bucket with versions", "POST", api, `{"name":"versions","versioning":{"enabled":true}}`, absent.Status, "notImplemented"},
		{"no name", "POST", upload + "?uploadType=media", "x", 400, "required"},
		{"no such upload", "POST", upload + "?uploadType=other&name=a", "x", 400, "invalid"},
		{"no session", "PUT", upload + "?uploadType=resumable&upload_id=x", "x", 404, "notFound"},
		{"no JSON", "PATCH", s.objectURL("here"), "{", 400, "parseError"},
		{"metadata of another type", "PATCH", s.objectURL("here"), `{"metadata":{"a":{}}}`, 400, "invalid"},
		{
			"too much metadata", "PATCH", s.objectURL("here"), `{"metadata":{"a":"` + strings.Repeat("x", 9000) + `"}}`, 400,
			"invalid",
		},
		{"time", "PATCH", s.objectURL("here"), `{"customTime":"yesterday"}`, 400, "invalid"},
		{"hold", "PATCH", s.objectURL("here"), `{"temporaryHold":true}`, absent.Status, "notImplemented"},
		{"retention", "PATCH", s.objectURL("here"), `{"retention":{"mode":"Locked"}}`, absent.Status, "notImplemented"},
		{"page token", "GET", api + "/" + bucketA + "/o?pageToken=!", "", 400, "invalid"},
		{"page size", "GET", api + "/" + bucketA + "/o?maxResults=-1", "", 400, "invalid"},
		{"glob", "GET", api + "/" + bucketA + "/o?matchGlob=%5B", "", 400, "invalid"},
		{"key", "PATCH", s.objectURL("here"), `{"kmsKeyName":"projects/p/k"}`, absent.Status, "notImplemented"},
		{"key of an upload", "POST", upload + "?uploadType=media&name=keyed&kmsKeyName=k", "content", absent.Status, "notImplemented"},
		{"contexts", "PATCH", s.objectURL("here"), `{"contexts":{"custom":{"a":{"value":"b"}}}}`, absent.Status, "notImplemented"},
		{"filter", "GET", api + "/" + bucketA + "/o?filter=x", "", absent.Status, "notImplemented"},
		{"list of access", "PATCH", s.objectURL("here"), `{"acl":[{"entity":"allUsers","role":"READER"}]}`, 400, "invalid"},
		{"bucket's list of access", "PATCH", api + "/" + bucketA, `{"acl":[{"entity":"allUsers"}]}`, 400, "invalid"},
		{"soft deletion", "PATCH", api + "/" + bucketA, `{"softDeletePolicy":{"retentionDurationSeconds":"604800"}}`, absent.Status,
			"notImplemented"},
		{"bucket that was deleted", "GET", api + "/" + bucketA + "?softDeleted=true&generation=1", "", 404, "notFound"},
		{"method", "POST", s.objectURL("here"), "", absent.Status, "notImplemented"},
		{"object's ACL", "GET", s.objectURL("here") + "/acl", "", 400, "invalid"},
		{"life cycle of folders", "GET", api + "/" + bucketA + "/folders", "", absent.Status, "notImplemented"},
	} {
		t.Run(test.name, func(t *testing.T) {
			do(t, test.method, test.url, test.body).want(t, test.status).wantReason(t, test.reason)
		})
	}
	for header, value := range map[string]string{
		"X-Goog-Encryption-Key": "x", "X-Amz-Copy-Source": "/" + bucketA + "/here", "X-Amz-Meta-A": "b", "X-Goog-Acl": "public-read",
		"X-Goog-Object-Lock-Mode": "GOVERNANCE", "Authorization": "AWS4-HMAC-SHA256 Credential=x",
	} {
		do(t, "GET", s.objectURL("here"), "", header, value).want(t, absent.Status).wantReason(t, "notImplemented")
	}
	// A download's error is the message alone, and the XML API's is XML.
	if a := do(t, "GET", s.objectURL("none")+"?alt=media", "").want(t, 404); !strings.HasPrefix(a.body,
		"No such object: ") {
		t.Errorf("download: %s", a.body)
	}
	if a := do(t, "GET", s.URL()+"/"+bucketA+"/none", "").want(t, 404); !strings.Contains(a.body,
		"<Error><Code>NoSuchKey</Code>") {
		t.Errorf("XML: %s", a.body)
	}
}

// Names are what clients say they are, and no file of the server's.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, Options{Dir: filepath.Join(dir, "in")})
	for _, name := range []string{
		"../../escape", "/etc/passwd", "a/../b", "a//b", "/", "//", "a/", "...", "bucket.json", "%2f", "%", "a?b#c&d=e+f g",
		`a\b`, `"<>&'`, "o", "compose", "a/compose", "x/rewriteTo/b/y/o/z",
		"a/acl", "\u202e\U0001F600", "CON", strings.Repeat("x", 1024), strings.Repeat("ü", 512), "tab\there", "a\x00b",
	} {
		s.put(t, name, name)
		if got := s.read(t, name); got != name {
			t.Errorf("%q: read %q", name, got)
		}
		if got := do(t, "GET", s.objectURL(name), "").want(t, 200).fields(t)["name"]; got != name {
			t.Errorf("%q: name is %q", name, got)
		}
		if got := do(t, "GET", s.URL()+"/"+bucketA+"/"+url.PathEscape(name), "").want(t, 200).body; got != name {
			t.Errorf("%q: XML gives %q", name, got)
		}
		do(t, "DELETE", s.objectURL(name), "").want(t, 204)
	}
	for _, name := range []string{"", ".", "..", "a\rb", "a\nb", "\xff\xfe", strings.Repeat("x", 1025),
		".well-known/acme-challenge/x"} {
		do(t, "POST", s.uploadURL(name, ""), "x").want(t, 400)
		if name != "" {
			do(t, "PUT", s.URL()+"/"+bucketA+"/"+url.PathEscape(name), "x").want(t, 400)
			do(t, "POST", s.objectURL(name)+"/compose", `{"sourceObjects":[]}`).want(t, 400)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", "A-b-c", "ab", "a..b", "-ab", "a\x00b",
		strings.Repeat("x", 223), "ü-ü"} {
		do(t, "POST", s.URL()+"/storage/v1/b", fmt.Sprintf(`{"name":%q}`, name)).want(t, 400)
		if a := do(t, "GET", s.URL()+"/storage/v1/b/"+url.PathEscape(name)+"/o", ""); a.status < 400 {
			t.Errorf("bucket %q: %d", name, a.status)
		}
	}
	if outside, _ := filepath.Glob(filepath.Join(dir, "*")); len(outside) != 1 {
		t.Errorf("beside the folder: %q", outside)
	}
}

func TestRanges(t *testing.T) {
	s := start(t, Options{})
	s.put(t, "a", "0123456789")
	for span, want := range map[string]string{
		"bytes=0-0": "0", "bytes=2-4": "234", "bytes=8-99": "89", "bytes=7-": "789", "bytes=-2": "89",
		"bytes=-99": "0123456789",
	} {
		got := do(t, "GET", s.objectURL("a")+"?alt=media", "", "Range", span).want(t, 206)
		if got.body != want {
			t.Errorf("%s gives %q, want %q", span, got.body, want)
		}
	}
	for _, span := range []string{"bytes=0-1,3-4", "items=0-1"} { // all of it, as Cloud Storage does
		if got := do(t, "GET", s.objectURL("a")+"?alt=media", "", "Range", span).want(t, 200); got.body != "0123456789" {
			t.Errorf("%s gives %q", span, got.body)
		}
	}
	for _, span := range []string{"bytes=10-", "bytes=5-4", "bytes=a-b"} {
		do(t, "GET", s.objectURL("a")+"?alt=media", "", "Range", span).want(t, 416)
	}
	head := do(t, "HEAD", s.URL()+"/"+bucketA+"/a", "").want(t, 200)
	if head.header.Get("Content-Length") != "10" || !strings.HasPrefix(head.header.Get("X-Goog-Hash"), "crc32c=") {
		t.Errorf("HEAD gives %v", head.header)
	}
	do(t, "GET", s.URL()+"/"+bucketA+"/a", "", "If-None-Match", head.header.Get("ETag")).want(t, 304)
	if sum := md5.Sum([]byte("0123456789")); head.header.Get("ETag") != fmt.Sprintf("%q", hex.EncodeToString(sum[:])) {
		t.Errorf("the XML API's ETag is %s, and not the content's MD5", head.header.Get("ETag"))
	}
}

// A resumable upload over its protocol's edges.
func TestResumableUpload(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	begin := func(query, body string, headers ...string) string {
		t.Helper()
		return do(t, "POST", s.URL()+"/upload/storage/v1/b/"+bucketA+"/o?uploadType=resumable&name=r"+query, body,
			headers...).want(t, 200).header.Get("Location")
	}
	put := func(session, span, body string, status int) answer {
		t.Helper()
		return do(t, "PUT", session, body, "Content-Range", span).want(t, status)
	}
	wantHere := func(a answer, want string) {
		t.Helper()
		if got := a.header.Get("Range"); got != want {
			t.Errorf("range is %q, want %q", got, want)
		}
	}
	t.Run("pieces, repeated and asked for", func(t *testing.T) {
		u := begin("", `{"metadata":{"k":"v"}}`, "X-Upload-Content-Type", "a/b")
		wantHere(put(u, "bytes */*", "", 308), "")
		wantHere(put(u, "bytes 0-3/10", "0123", 308), "bytes=0-3")
		wantHere(put(u, "bytes 0-3/10", "0123", 308), "bytes=0-3") // its answer was lost
		wantHere(put(u, "bytes 0-1/10", "01", 308), "bytes=0-3")
		wantHere(put(u, "bytes 2-5/10", "2345", 308), "bytes=0-5")
		wantHere(put(u, "bytes */10", "", 308), "bytes=0-5")
		put(u, "bytes 8-9/10", "89", 503)
		put(u, "bytes 9-8/10", "", 400)
		put(u, "bytes 6-10/10", "6789X", 400)
		put(u, "nonsense", "", 400)
		put(u, "bytes 6-9/10", "6789", 200)
		again := put(u, "bytes */10", "", 200).fields(t)
		if again["contentType"] != "a/b" || again["size"] != "10" || s.read(t, "r") != "0123456789" {
			t.Errorf("object is %v with %q", again, s.read(t, "r"))
		}
	})
	t.Run("total is known at the end", func(t *testing.T) {
		u := begin("", "")
		put(u, "bytes 0-3/*", "0123", 308)
		put(u, "bytes */4", "", 200)
		if got := s.read(t, "r"); got != "0123" {
			t.Errorf("content is %q", got)
		}
	})
	t.Run("stream of Node's", func(t *testing.T) {
		put(begin("", ""), "bytes 0-*/*", "stream", 200)
	})
	t.Run("Go's clients hear 308 another way", func(t *testing.T) {
		a := do(t, "PUT", begin("", ""), "0123", "Content-Range", "bytes 0-3/10", "X-GUploader-No-308", "yes").want(t, 200)
		if a.header.Get("X-Http-Status-Code-Override") != "308" {
			t.Errorf("headers are %v", a.header)
		}
	})
	t.Run("more than was said", func(t *testing.T) {
		u := begin("", "")
		put(u, "bytes 0-*/3", "0123", 400)
		put(u, "bytes */*", "", 404)
	})
	t.Run("cancelled", func(t *testing.T) {
		u := begin("", "")
		do(t, "DELETE", u, "").want(t, 499)
		put(u, "bytes */*", "", 404)
	})
	t.Run("wrong checksum", func(t *testing.T) {
		u := begin("&ifGenerationMatch=0", `{"name":"wrong","crc32c":"AAAAAA=="}`)
		put(u, "bytes 0-0/1", "x", 400)
		do(t, "GET", s.objectURL("wrong"), "").want(t, 404)
	})
	t.Run("checksum with the last piece", func(t *testing.T) {
		do(t, "PUT", begin("", ""), "x", "X-Goog-Hash", "crc32c=AAAAAA==").want(t, 400)
	})
}

// Sessions that nobody ends are ended: the oldest where there are too many, and
// those that stand still for long.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	s := unserved(t, t.TempDir())
	now := time.Now()
	u := newUploads(func() time.Time { return now })
	add := func() string {
		t.Helper()
		spool, err := s.store.newSpool(1)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
		id, err := u.add(&session{spool: spool})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first, second, third := add(), add(), add()
	for range maxSessions - 3 {
		add()
	}
	busy := u.get(first) // a request is in it for long
	complete := u.get(third)
	complete.done = &object{}
	u.leave(complete)
	for range maxSessions {
		add()
		if u.byID[first] == nil {
			t.Fatal("a session with a request in it was dropped")
		}
		if u.byID[third] != nil {
			t.Fatal("a complete session outlives others")
		}
	}
	if u.byID[second] != nil || len(u.byID) != maxSessions {
		t.Errorf("%d sessions; the oldest is there: %t", len(u.byID), u.byID[second] != nil)
	}
	for id := range u.byID {
		_ = u.get(id)
	}
	spool, err := s.store.newSpool(1)
	if err != nil {
		t.Fatal(err)
	}
	var f *fault
	if _, err := u.add(&session{spool: spool}); !errors.As(err, &f) || f.status != http.StatusServiceUnavailable {
		t.Errorf("one session more where all are in use: %v", err)
	}
	spool.discard()
	for _, other := range u.byID {
		u.leave(other)
	}
	u.leave(busy)
	now = now.Add(sessionLife + time.Second)
	add()
	if left, _ := filepath.Glob(filepath.Join(s.store.tmp(), "*")); len(u.byID) != 1 || len(left) != 1 {
		t.Errorf("%d sessions and %d files after a day, want 1", len(u.byID), len(left))
	}
	u.discardAll()
}

func TestMultipartForms(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	target := s.URL() + "/upload/storage/v1/b/" + bucketA + "/o?uploadType=multipart"
	body := multipartBody(`{"name":"m"}`, "a\r\nb\n--\r\n")
	for name, test := range map[string]struct {
		contentType, body, want string
		status                  int
	}{
		"usual":               {"multipart/related; boundary=B", body, "a\r\nb\n--\r\n", 200},
		"quoted":              {`multipart/related; boundary="B"`, body, "a\r\nb\n--\r\n", 200},
		"as gsutil writes it": {"multipart/related; boundary='B'", body, "a\r\nb\n--\r\n", 200},
		"lines of another kind": {
			"multipart/related; boundary=B", "--B\nContent-Type: application/json\n\n{\"name\":\"m\"}\n--B\n" +
				"Content-Type: a/b\n\nx\r\n\n--B--\n", "x\r\n", 200,
		},
		"no content":             {"multipart/related; boundary=B", multipartBody(`{"name":"m"}`, ""), "", 200},
		"cut":                    {"multipart/related; boundary=B", body[:len(body)-9], "", 400},
		"one part":               {"multipart/related; boundary=B", "--B\r\n\r\n{\"name\":\"m\"}\r\n--B--", "", 400},
		"no boundary":            {"multipart/related", body, "", 400},
		"another boundary":       {"multipart/related; boundary=C", body, "", 400},
		"description is no JSON": {"multipart/related; boundary=B", multipartBody("name=m", "x"), "", 400},
		"wrong checksum": {
			"multipart/related; boundary=B", multipartBody(`{"name":"m","md5Hash":"AAAAAAAAAAAAAAAAAAAAAA=="}`, "x"), "", 400,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_ = do(t, "DELETE", s.objectURL("m"), "")
			do(t, "POST", target, test.body, "Content-Type", test.contentType).want(t, test.status)
			if test.status == 200 && s.read(t, "m") != test.want {
				t.Errorf("content is %q, want %q", s.read(t, "m"), test.want)
			}
			if test.status != 200 {
				do(t, "GET", s.objectURL("m"), "").want(t, 404)
			}
		})
	}
}

// A body that is packed for the way is unpacked, and has to be whole.
func TestBodyPackedForTheWay(t *testing.T) {
	s := start(t, Options{})
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte("content"))
	_ = z.Close()
	do(t, "POST", s.uploadURL("a", ""), b.String(), "Content-Encoding", "gzip").want(t, 200)
	if got := s.read(t, "a"); got != "content" {
		t.Errorf("content is %q", got)
	}
	for _, body := range []string{b.String()[:b.Len()-4], b.String()[:12], "no gzip",
		b.String()[:10] + "\xff\xff\xff\xff"} {
		do(t, "POST", s.uploadURL("b", ""), body, "Content-Encoding", "gzip").want(t, 400)
	}
	do(t, "GET", s.objectURL("b"), "").want(t, 404)
}

// What is too large is refused in words, also to clients that only listen at the
// end, and leaves nothing.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := unserved(t, t.TempDir())
	s.limit = 1000
	server := httptest.NewServer(loopback.Guard(nil, s))
	t.Cleanup(server.Close)
	s.url = server.URL
	large := strings.Repeat("x", 1<<20)
	s.put(t, "fits", large[:1000])
	upload := server.URL + "/upload/storage/v1/b/" + bucketA + "/o?name=large&uploadType="
	do(t, "POST", upload+"media", large).want(t, 413).wantReason(t, "uploadTooLarge")
	do(t, "POST", upload+"multipart", multipartBody("{}", large), "Content-Type", "multipart/related; boundary=B").want(t,
		413).wantReason(t, "uploadTooLarge")
	session := do(t, "POST", upload+"resumable", "").want(t, 200).header.Get("Location")
	do(t, "PUT", session, large[:1001]).want(t, 413).wantReason(t, "uploadTooLarge")
	do(t, "PUT", session, "", "Content-Range", "bytes */*").want(t, 404)
	if a := do(t, "PUT", server.URL+"/"+bucketA+"/large", large).want(t, 413); !strings.Contains(a.body,
		"EntityTooLarge") {
		t.Errorf("XML: %s", a.body)
	}
	do(t, "POST", s.objectURL("large")+"/compose", `{"sourceObjects":[{"name":"fits"},{"name":"fits"}]}`).want(t,
		413).wantReason(t, "uploadTooLarge")
	do(t, "GET", s.objectURL("large"), "").want(t, 404)
	do(t, "PATCH", s.objectURL("fits"), `{"metadata":{"a":"`+large+large+`"}}`).want(t, 400)
	if left, _ := filepath.Glob(filepath.Join(s.store.tmp(), "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, name := range []string{"a", "b/", "b/1", "b/2/x", "b/2/y", "c/1", "c/2.txt", "d", "ü/1"} {
		s.put(t, name, name)
	}
	for _, test := range []struct {
		query           string
		items, prefixes []string
	}{
		{"", []string{"a", "b/", "b/1", "b/2/x", "b/2/y", "c/1", "c/2.txt", "d", "ü/1"}, nil},
		{"delimiter=/", []string{"a", "d"}, []string{"b/", "c/", "ü/"}},
		{"delimiter=/&includeTrailingDelimiter=true", []string{"a", "b/", "d"}, []string{"b/", "c/", "ü/"}},
		{"delimiter=/&prefix=b/", []string{"b/", "b/1"}, []string{"b/2/"}},
		{"prefix=b/2/", []string{"b/2/x", "b/2/y"}, nil},
		{"prefix=nothing", nil, nil},
		{"startOffset=c/2.txt", []string{"c/2.txt", "d", "ü/1"}, nil},
		{"startOffset=b/1&endOffset=c/1", []string{"b/1", "b/2/x", "b/2/y"}, nil},
		{"delimiter=/&startOffset=c", []string{"d"}, []string{"c/", "ü/"}},
		{"delimiter=2/", []string{"a", "b/", "b/1", "c/1", "c/2.txt", "d", "ü/1"}, []string{"b/2/"}},
		{"delimiter=%ff", []string{"a", "b/", "b/1", "b/2/x", "b/2/y", "c/1", "c/2.txt", "d", "ü/1"}, nil},
		{"matchGlob=*", []string{"a", "d"}, nil},
		{"matchGlob=**/x", []string{"b/2/x"}, nil},
		{"matchGlob=*/1", []string{"b/1", "c/1", "ü/1"}, nil},
		{"matchGlob=c/?.{txt,csv}", []string{"c/2.txt"}, nil},
		{"matchGlob=%5Ba-c%5D", []string{"a"}, nil},
		{"matchGlob=%5B!a-c%5D", []string{"d"}, nil},
		{"matchGlob=c/*.txt&delimiter=/&prefix=c/", []string{"c/2.txt"}, nil},
		{"versions=true&prefix=a", []string{"a"}, nil},
		{"softDeleted=true", nil, nil},
	} {
		for _, size := range []int{0, 1, 2, 3} {
			items, prefixes := s.listAll(t, fmt.Sprintf("%s&maxResults=%d", test.query, size))
			if diff := gocmp.Diff(test.items, items); diff != "" {
				t.Errorf("%s by %d: items (-want +got):\n%s", test.query, size, diff)
			}
			if diff := gocmp.Diff(test.prefixes, prefixes); diff != "" {
				t.Errorf("%s by %d: prefixes (-want +got):\n%s", test.query, size, diff)
			}
		}
	}
}

// listAll returns the entries of a list, and checks that no page is too large.
func (s *Server) listAll(t *testing.T, query string) (items, prefixes []string) {
	t.Helper()
	parameters, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	for token := ""; ; {
		page := do(t, "GET", s.URL()+"/storage/v1/b/"+bucketA+"/o?"+query+"&pageToken="+url.QueryEscape(token), "").want(t,
			200).fields(t)
		n := len(items) + len(prefixes)
		some, _ := page["items"].([]any)
		for _, o := range some {
			items = append(items, o.(map[string]any)["name"].(string))
		}
		some, _ = page["prefixes"].([]any)
		for _, p := range some {
			prefixes = append(prefixes, p.(string))
		}
		most, err := strconv.Atoi(parameters.Get("maxResults"))
		if parameters.Get("includeTrailingDelimiter") == "true" {
			most = max(most, 2) // of which neither comes without the other
		}
		if n = len(items) + len(prefixes) - n; err == nil && parameters.Get("maxResults") != "0" && n > most {
			t.Errorf("a page of %s has %d entries", query, n)
		}
		var ok bool
		if token, ok = page["nextPageToken"].(string); !ok {
			return items, prefixes
		}
	}
}

// A client gets the fields that it asks for.
func TestPartialResponses(t *testing.T) {
	s := start(t, Options{})
	s.put(t, "a", "1")
	s.put(t, "b/c", "2")
	list := s.URL() + "/storage/v1/b/" + bucketA + "/o?delimiter=/&maxResults=1&fields="
	for _, test := range []struct {
		url  string
		want map[string]any
	}{
		{list + "items(name,size),prefixes", map[string]any{"items": []any{map[string]any{"name": "a", "size": "1"}}}},
		{list + "prefixes,items/name", map[string]any{"items": []any{map[string]any{"name": "a"}}}},
		{list + "nextPageToken", map[string]any{"nextPageToken": base64.URLEncoding.EncodeToString([]byte("b/c"))}},
		{list + "items(*(x))", map[string]any{"items": []any{map[string]any{}}}},
		{s.objectURL("a") + "?fields=name,bucket", map[string]any{"name": "a", "bucket": bucketA}},
		{s.objectURL("a") + "?fields=none", map[string]any{}},
	} {
		got := do(t, "GET", test.url, "").want(t, 200).fields(t)
		if items, _ := got["items"].([]any); strings.Contains(test.url, "*(x)") && len(items) == 1 {
			continue // which of an object's fields have fields themselves does not matter
		}
		if diff := gocmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.url, diff)
		}
	}
}

func TestBatch(t *testing.T) {
	s := start(t, Options{})
	s.put(t, "a/1", "1")
	s.put(t, "2", "2")
	part := func(id, call string) string {
		return "--B\r\nContent-Type: application/http\r\nContent-ID: <" + id + ">\r\n\r\n" + call + "\r\n"
	}
	o := "/storage/v1/b/" + bucketA + "/o/"
	patch := `{"metadata":{"k":"v"}}`
	body := part("x+1", "DELETE "+o+"a%2F1 HTTP/1.1\r\n\r\n") +
		part("x+2", fmt.Sprintf("PATCH %s2 HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", o,
			len(patch), patch)) +
		part("x+3", "GET "+s.URL()+o+"none HTTP/1.1\r\nHost: evil.example\r\n\r\n") +
		part("x+4", "GET "+o+"2?alt=media HTTP/1.1\r\n\r\n") +
		part("x+5", "POST "+o+"2 HTTP/1.1\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 9\r\n"+
			"Content-Type: application/x-www-form-urlencoded\r\n\r\nalt=media") + "--B--"
	got := do(t, "POST", s.URL()+"/batch/storage/v1", body, "Content-Type", "multipart/mixed; boundary=B").want(t, 200)
	rest := got.body
	for _, want := range []string{
		"<response-x+1>", "HTTP/1.1 204 No Content", "<response-x+2>", "HTTP/1.1 200 OK", `"metageneration":"2"`,
		`"metadata":{"k":"v"}`,
		"<response-x+3>", "HTTP/1.1 404 Not Found", `"reason":"notFound"`, "<response-x+4>", "HTTP/1.1 400 Bad Request",
		"<response-x+5>", "HTTP/1.1 400 Bad Request", "A batch does not take",
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("no %q in its place in %s", want, got.body)
		}
		rest = after
	}
	do(t, "GET", s.objectURL("a/1"), "").want(t, 404)
	calls := strings.Repeat(part("x", "GET "+o+"2 HTTP/1.1\r\n\r\n"), maxBatch)
	do(t, "POST", s.URL()+"/batch/storage/v1", calls+"--B--", "Content-Type", "multipart/mixed; boundary=B").want(t, 200)
	do(t, "POST", s.URL()+"/batch/storage/v1", calls+part("x", "GET "+o+"2 HTTP/1.1\r\n\r\n")+"--B--", "Content-Type",
		"multipart/mixed; boundary=B").want(t, 400)
	do(t, "POST", s.URL()+"/batch/storage/v1", part("x", "nonsense")+"--B--", "Content-Type",
		"multipart/mixed; boundary=B").want(t, 400)
	do(t, "POST", s.URL()+"/batch/storage/v1", "", "Content-Type", "text/plain").want(t, 400)
}

// The XML API's part: headers both ways, copies, lists.
func TestXML(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	xml := s.URL() + "/" + bucketA
	do(t, "PUT", xml+"/a/1", "content", "Content-Type", "a/b", "X-Goog-Meta-Key", "v", "Cache-Control", "no-store",
		"Content-Disposition", "attachment").want(t, 200)
	got := do(t, "GET", xml+"/a/1", "").want(t, 200)
	for name, want := range map[string]string{
		"Content-Type": "a/b", "X-Goog-Meta-Key": "v", "Cache-Control": "no-store", "Content-Disposition": "attachment",
		"X-Goog-Metageneration": "1",
		"X-Goog-Storage-Class":  "STANDARD", "Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	for directive, want := range map[string]string{"": "a/b", "REPLACE": "c/d"} {
		do(t, "PUT", xml+"/copy", "", "X-Goog-Copy-Source", bucketA+"/a%2F1", "X-Goog-Metadata-Directive", directive,
			"Content-Type", "c/d").want(t, 200)
		if got := do(t, "GET", xml+"/copy", ""); got.body != "content" || got.header.Get("Content-Type") != want {
			t.Errorf("copy with %q: %q, %v", directive, got.body, got.header)
		}
	}
	do(t, "PUT", xml+"/copy", "", "X-Goog-Copy-Source", bucketA+"/a/1", "X-Goog-Copy-Source-If-Match", "x").want(t, absent.Status)
	do(t, "POST", xml+"/a?uploads", "").want(t, absent.Status)
	do(t, "POST", xml+"/a", "").want(t, absent.Status)
	do(t, "HEAD", xml, "").want(t, 200)
	do(t, "HEAD", s.URL()+"/none-such", "").want(t, 404)
	do(t, "GET", s.URL()+"/favicon.ico", "").want(t, 404)
	s.put(t, "a/2", "")
	keys := func(query string) (keys []string, next string) {
		t.Helper()
		a := do(t, "GET", xml+"?"+query, "").want(t, 200)
		for _, element := range []string{"Key", "CommonPrefixes><Prefix"} {
			for _, part := range strings.Split(a.body, "<"+element+">")[1:] {
				key, _, _ := strings.Cut(part, "<")
				keys = append(keys, key)
			}
		}
		_, after, _ := strings.Cut(a.body, "<NextMarker>")
		next, _, _ = strings.Cut(after, "<")
		return keys, next
	}
	for _, test := range []struct {
		query, delimiter string
		want             []string
	}{
		{"", "", []string{"a/1", "a/2", "copy"}},
		{"delimiter=/", "", []string{"copy", "a/"}},
		{"prefix=a/", "", []string{"a/1", "a/2"}},
	} {
		if got, _ := keys(test.query); !slices.Equal(got, test.want) {
			t.Errorf("list with %q: %q, want %q", test.query, got, test.want)
		}
	}
	for _, query := range []string{"max-keys=1", "max-keys=1&delimiter=/"} {
		var all []string
		for marker := ""; ; {
			page, next := keys(query + "&marker=" + url.QueryEscape(marker))
			all = append(all, page...)
			if marker = next; marker == "" {
				break
			}
		}
		want := []string{"a/1", "a/2", "copy"}
		if strings.Contains(query, "delimiter") {
			want = []string{"a/", "copy"}
		}
		if !slices.Equal(all, want) {
			t.Errorf("pages with %q: %q, want %q", query, all, want)
		}
	}
}

// What tools ask of buckets.
func TestBucketParts(t *testing.T) {
	s := start(t, Options{})
	bucket := s.URL() + "/storage/v1/b/" + bucketA
	for part, want := range map[string]string{
		"storageLayout": "storage#storageLayout", "iam": "storage#policy",
		"iam/testPermissions?permissions=a": "storage#testIamPermissionsResponse",
		"notificationConfigs":               "storage#notifications", "managedFolders": "storage#managedFolders",
	} {
		if got := do(t, "GET", bucket+"/"+part, "").want(t, 200).fields(t)["kind"]; got != want {
			t.Errorf("%s: kind is %v, want %s", part, got, want)
		}
	}
	do(t, "GET", bucket+"/acl", "").want(t, 400)
	do(t, "PATCH", bucket+"?ifMetagenerationMatch=2", "{}").want(t, 412)
	got := do(t, "PATCH", bucket+"?ifMetagenerationMatch=1", `{"labels":{"a":"b"},"name":"other","location":"EU"}`).want(t,
		200).fields(t)
	if got["name"] != bucketA || got["metageneration"] != "2" || got["location"] != "EU" {
		t.Errorf("patched bucket is %v", got)
	}
	if got = do(t, "PUT", bucket, `{"storageClass":"NEARLINE"}`).want(t, 200).fields(t); got["labels"] != nil ||
		got["storageClass"] != "NEARLINE" {
		t.Errorf("updated bucket is %v", got)
	}
	var names []string
	for token := ""; ; {
		page := do(t, "GET", s.URL()+"/storage/v1/b?project=p&maxResults=1&pageToken="+token, "").want(t, 200).fields(t)
		items := page["items"].([]any)
		names = append(names, items[0].(map[string]any)["name"].(string))
		var ok bool
		if token, ok = page["nextPageToken"].(string); !ok {
			break
		}
	}
	if !slices.Equal(names, []string{bucketA, bucketB}) {
		t.Errorf("buckets are %q", names)
	}
	do(t, "DELETE", bucket, "", "X-HTTP-Method-Override", "GET").want(t, 204)
	do(t, "GET", s.URL()+"/", "").want(t, 200)
}

// Words of clients that differ from Google's documentation, or that uniform access refuses, have the
// answers of Cloud Storage.
func TestWordsOfClients(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.put(t, "a/", "")
	for query, want := range map[string]int{
		"includeTrailingDelimiter=True": 1, "includeTrailingDelimiter=TRUE": 1, "includeTrailingDelimiter=False": 0,
	} {
		list := do(t, "GET", s.URL()+"/storage/v1/b/"+bucketA+"/o?delimiter=/&"+query, "").want(t, 200).fields(t)
		if items, _ := list["items"].([]any); len(items) != want {
			t.Errorf("%s: %v", query, list)
		}
	}
	upload := s.URL() + "/upload/storage/v1/b/" + bucketA + "/o?uploadType=media&name=x&predefinedAcl=publicRead"
	do(t, "POST", upload, "x").want(t, 400)
	do(t, "POST", s.objectURL("a/")+"/copyTo/b/"+bucketA+"/o/x?destinationPredefinedAcl=private", "").want(t, 400)
	do(t, "GET", s.objectURL("x"), "").want(t, 404)
	for location, want := range map[string]string{"us-central1": "region", "eu": "multi-region", "nam4": "dual-region"} {
		b := do(t, "POST", s.URL()+"/storage/v1/b?project=p", `{"name":"bucket-`+location+`","location":"`+location+
			`"}`).want(t, 200).fields(t)
		if b["location"] != strings.ToUpper(location) || b["locationType"] != want {
			t.Errorf("%s: location %v, %v", location, b["location"], b["locationType"])
		}
	}
}
