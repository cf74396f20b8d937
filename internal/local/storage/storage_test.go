package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
)

// childDir names, in its environment, the folder that a child process serves.
const childDir = "JOBDROP_TEST_STORAGE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := serveChild(dir); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// serveChild prints its URL and serves a folder until its parent is gone.
func serveChild(dir string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s, err := Serve(context.Background(), Options{Dir: dir, Listener: l, Buckets: []string{bucketA}})
	if err != nil {
		return err
	}
	fmt.Println(s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return s.Close()
}

const bucketA, bucketB = "bucket-a", "bucket-b"

// start serves a new folder, or the one that options name, for the test's life.
func start(t testing.TB, options Options) *Server {
	t.Helper()
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	options.Buckets = []string{bucketA, bucketB}
	s, err := serve(t, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func serve(t testing.TB, options Options) (*Server, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options.Listener = l
	return Serve(context.Background(), options)
}

// plain is a client that leaves what it gets as it is.
var plain = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       5 * time.Minute,
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request, with headers as name and value in turn.
func do(t testing.TB, method, url, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := plain.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(got)}
}

// want fails the test where a request was answered otherwise.
func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("got status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// fields returns the JSON of an answer.
func (a answer) fields(t testing.TB) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return doc
}

func (a answer) generation(t testing.TB) string {
	t.Helper()
	return fmt.Sprint(a.fields(t)["generation"])
}

// uploadURL returns the URL of a simple upload.
func (s *Server) uploadURL(name, query string) string {
	return s.URL() + "/upload/storage/v1/b/" + bucketA + "/o?uploadType=media&name=" + url.QueryEscape(name) + query
}

func (s *Server) objectURL(name string) string {
	return s.URL() + "/storage/v1/b/" + bucketA + "/o/" + url.PathEscape(name)
}

func (s *Server) put(t testing.TB, name, content string) answer {
	t.Helper()
	return do(t, http.MethodPost, s.uploadURL(name, ""), content, "Content-Type", "text/plain").want(t, http.StatusOK)
}

func (s *Server) read(t testing.TB, name string) string {
	t.Helper()
	return do(t, http.MethodGet, s.objectURL(name)+"?alt=media", "").want(t, http.StatusOK).body
}

// goClient returns Google's own client.
func goClient(t testing.TB, s *Server) *gcs.Client {
	t.Helper()
	c, err := gcs.NewClient(context.Background(), option.WithEndpoint(s.URL()+"/storage/v1/"),
		option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func castagnoli(data []byte) uint32 {
	return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
}

// Each way in which an object comes to be is told of once, when the object can be
// read, and nothing else is.
func TestFinalizedOncePerGeneration(t *testing.T) {
	t.Parallel()
	var (
		mu     sync.Mutex
		events []Object
		server *Server
	)
	server = start(t, Options{Finalized: func(o Object) {
		a := do(t, http.MethodGet, fmt.Sprintf("%s?generation=%d", server.objectURL(o.Name), o.Generation), "").want(t,
			http.StatusOK)
		if got, want := strings.TrimSpace(a.body), string(o.Resource); got != want {
			t.Errorf("event of %s: resource (-want +got):\n%s", o.Name, gocmp.Diff(want, got))
		}
		mu.Lock()
		defer mu.Unlock()
		events = append(events, o)
	}})
	s := server
	path := s.URL() + "/storage/v1/b/" + bucketA + "/o/"
	upload := s.URL() + "/upload/storage/v1/b/" + bucketA + "/o"
	xml := s.URL() + "/" + bucketA + "/"
	steps := []struct {
		name string // of the object that comes to be, empty where none does
		do   func() answer
	}{
		{"simple", func() answer { return s.put(t, "simple", "1") }},
		{"simple", func() answer { return s.put(t, "simple", "another generation") }},
		{"multipart", func() answer {
			return do(t, http.MethodPost, upload+"?uploadType=multipart", multipartBody(`{"name":"multipart"}`, "2"),
				"Content-Type", "multipart/related; boundary=B")
		}},
		{"empty", func() answer { return do(t, http.MethodPost, upload, `{"name":"empty"}`) }},
		{"resumable", func() answer {
			session := do(t, http.MethodPost, upload+"?uploadType=resumable&name=resumable", "").want(t,
				200).header.Get("Location")
			do(t, http.MethodPut, session, "ab", "Content-Range", "bytes 0-1/*").want(t, 308)
			do(t, http.MethodPut, session, "c", "Content-Range", "bytes 2-2/3").want(t, 200)
			return do(t, http.MethodPut, session, "c", "Content-Range", "bytes 2-2/3") // once more, for who has not heard
		}},
		{"xml", func() answer { return do(t, http.MethodPut, xml+"xml", "3") }},
		{"xml-copy", func() answer {
			return do(t, http.MethodPut, xml+"xml-copy", "", "X-Goog-Copy-Source", "/"+bucketA+"/simple")
		}},
		{"copy", func() answer {
			return do(t, http.MethodPost, path+"simple/copyTo/b/"+bucketA+"/o/copy", "")
		}},
		{"rewrite", func() answer {
			return do(t, http.MethodPost, path+"simple/rewriteTo/b/"+bucketA+"/o/rewrite", "")
		}},
		{"composed", func() answer {
			return do(t, http.MethodPost, path+"composed/compose", `{"sourceObjects":[{"name":"simple"},{"name":"xml"}]}`)
		}},
		{"", func() answer { return do(t, http.MethodPatch, path+"simple", `{"metadata":{"a":"b"}}`) }},
		{"", func() answer { return do(t, http.MethodPut, path+"simple", `{"contentType":"a/b"}`) }},
		{"", func() answer { return s.refused(t, upload) }},
		{"", func() answer { return do(t, http.MethodGet, path+"simple", "") }},
	}
	var want []string
	for _, step := range steps {
		step.do().want(t, http.StatusOK)
		if step.name != "" {
			want = append(want, step.name)
		}
	}
	do(t, http.MethodDelete, path+"simple", "").want(t, http.StatusNoContent)
	var got []string
	generations := map[int64]bool{}
	for _, e := range events {
		got = append(got, e.Name)
		generations[e.Generation] = true
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("objects told of (-want +got):\n%s", diff)
	}
	if len(generations) != len(events) {
		t.Errorf("events are of %d generations, want %d", len(generations), len(events))
	}
}

// refused asks for writes that fail, and returns an answer of 200 where all have.
func (s *Server) refused(t *testing.T, upload string) answer {
	t.Helper()
	do(t, http.MethodPost, upload+"?uploadType=media&name=simple&ifGenerationMatch=0", "x").want(t, 412)
	do(t, http.MethodPost, upload+"?uploadType=media&name=wrong", "x", "X-Goog-Hash", "crc32c=AAAAAA==").want(t, 400)
	do(t, http.MethodPut, s.URL()+"/"+bucketA+"/wrong", "x", "Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==").want(t, 400)
	do(t, http.MethodGet, s.objectURL("wrong"), "").want(t, 404)
	return answer{status: 200}
}

func TestObjectsSinceATime(t *testing.T) {
	s := start(t, Options{})
	for _, name := range []string{"z", "y", "x"} {
		s.put(t, name, name)
	}
	s.put(t, "z", "the newest now")
	s.put(t, "gone", "")
	do(t, http.MethodDelete, s.objectURL("gone"), "").want(t, http.StatusNoContent)
	list := func(bucket string, since time.Time) (names []string, all []Object, err error) {
		for o, err := range s.Objects(t.Context(), bucket, since) {
			if err != nil {
				return names, all, err
			}
			names, all = append(names, o.Name), append(all, o)
		}
		return names, all, nil
	}
	names, all, err := list(bucketA, time.Time{})
	if diff := gocmp.Diff([]string{"y", "x", "z"}, names); diff != "" || err != nil {
		t.Errorf("objects, oldest first (-want +got):\n%s%v", diff, err)
	}
	// A time is later than what a record keeps of it, by less than a millisecond.
	names, _, _ = list(bucketA, all[2].Created.Add(time.Millisecond-1))
	if !slices.Contains(names, "z") {
		t.Errorf("objects since the newest one's creation: %q, want it among them", names)
	}
	if names, _, _ = list(bucketA, all[2].Created.Add(time.Millisecond)); names != nil {
		t.Errorf("objects since later: %q, want none", names)
	}
	if names, _, err = list(bucketB, time.Time{}); names != nil || err != nil {
		t.Errorf("objects of an empty bucket: %q, %v", names, err)
	}
	if _, _, err = list("no-bucket", time.Time{}); err == nil {
		t.Error("objects of no bucket: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.Objects(ctx, bucketA, time.Time{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got %v", err)
		}
	}
}

func TestOneServerForAFolder(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Options{Dir: dir})
	s.put(t, "a", "1")
	if _, err := serve(t, Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Fatalf("second server: got %v, want ErrInUse", err)
	}
	if got := s.read(t, "a"); got != "1" {
		t.Errorf("the first server gives %q", got)
	}
}

func TestServeRefusesMissingSettings(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, o := range map[string]Options{"Dir": {Listener: l}, "Listener": {Dir: t.TempDir()}} {
		if _, err := Serve(t.Context(), o); err == nil {
			t.Errorf("without %s: no error", name)
		}
	}
	if _, err := serve(t, Options{Dir: t.TempDir(), Buckets: []string{"../escape"}}); err == nil {
		t.Error("bucket with a hostile name: no error")
	}
}

// What a server has answered, the next one on the folder knows.
func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, err := serve(t, Options{Dir: dir, Buckets: []string{bucketA}})
	if err != nil {
		t.Fatal(err)
	}
	one.put(t, "a/ü", "1")
	want := do(t, http.MethodPatch, one.objectURL("a/ü"), `{"metadata":{"k":"v"},"contentType":"a/b"}`).fields(t)
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	two := start(t, Options{Dir: dir})
	got := do(t, http.MethodGet, two.objectURL("a/ü"), "").want(t, 200).fields(t)
	for _, link := range []string{"selfLink", "mediaLink"} {
		delete(want, link)
		delete(got, link)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("resource after a restart (-want +got):\n%s", diff)
	}
	if two.read(t, "a/ü") != "1" {
		t.Error("content is another after a restart")
	}
}

// A request that does not end keeps Close waiting for its time only, and the
// folder is free afterwards.
func TestCloseEndsOpenRequests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := serve(t, Options{Dir: dir, Buckets: []string{bucketA}})
	if err != nil {
		t.Fatal(err)
	}
	pr, pw := io.Pipe()
	defer pw.Close()
	ended := make(chan error, 1)
	go func() {
		r, _ := http.NewRequest(http.MethodPost, s.uploadURL("half", ""), pr)
		res, err := plain.Do(r)
		if err == nil {
			res.Body.Close()
		}
		ended <- err
	}()
	// The pipe takes this when the request is being sent.
	if _, err := pw.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_ = pw.CloseWithError(errors.New("the test is over"))
	if err := <-ended; err == nil {
		t.Error("the upload was answered")
	}
	next := start(t, Options{Dir: dir})
	do(t, http.MethodGet, next.objectURL("half"), "").want(t, 404)
}

// Web pages, and names that are not this machine's, are kept out.
func TestWebPagesAreRefused(t *testing.T) {
	s := start(t, Options{Hosts: []string{"storage.internal"}})
	upload := s.uploadURL("page", "")
	for _, test := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"page of another site", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"page of an old browser", []string{"Origin", "http://evil.example"}, 403},
		{"rebound name", []string{"Host", "evil.example"}, 403},
		{"own name", []string{"Host", "storage.internal"}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			do(t, http.MethodPost, upload, "x", test.headers...).want(t, test.want)
		})
	}
	preflight := do(t, http.MethodOptions, upload, "", "Origin", "http://evil.example", "Access-Control-Request-Method",
		"POST")
	for name := range preflight.header {
		if strings.HasPrefix(name, "Access-Control-") || preflight.status < 400 {
			t.Errorf("preflight got %d and %s", preflight.status, name)
		}
	}
}
