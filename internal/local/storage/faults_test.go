package storage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/googleapis/gax-go/v2"
	"github.com/googleapis/gax-go/v2/callctx"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
)

// retries returns the library's client, which waits for moments only before it tries again.
func retries(t *testing.T, s *Server) *gcs.Client {
	t.Helper()
	c := goClient(t, s)
	c.SetRetry(gcs.WithBackoff(gax.Backoff{Initial: time.Millisecond, Max: 10 * time.Millisecond}))
	return c
}

// newTest makes a retry test.
func newTest(t *testing.T, s *Server, instructions string) retryTest {
	t.Helper()
	a := do(t, "POST", s.URL()+"/retry_test", `{"instructions":`+instructions+`,"transport":"HTTP"}`).want(t, 200)
	var test retryTest
	if err := json.Unmarshal([]byte(a.body), &test); err != nil {
		t.Fatal(err)
	}
	return test
}

func (s *Server) completed(t *testing.T, id string) bool {
	t.Helper()
	var test retryTest
	if err := json.Unmarshal([]byte(do(t, "GET", s.URL()+"/retry_test/"+id, "").want(t, 200).body), &test); err != nil {
		t.Fatal(err)
	}
	return test.Completed
}

// Google's client for Go goes on after failures where it may, and stops where it must not go on.
func TestGoClientRetries(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	large := bytes.Repeat([]byte("0123456789abcdef"), 9<<16) // more than one part of a resumable upload
	s.put(t, "large", string(large))
	b := retries(t, s).Bucket(bucketA)
	write := func(ctx context.Context, content []byte, conditions gcs.Conditions) error {
		o := b.Object("written")
		if conditions != (gcs.Conditions{}) {
			o = o.If(conditions)
		}
		w := o.NewWriter(ctx)
		w.ChunkSize = 2 << 20
		if _, err := w.Write(content); err != nil {
			return err
		}
		return w.Close()
	}
	read := func(ctx context.Context) error {
		r, err := b.Object("large").NewReader(ctx)
		if err != nil {
			return err
		}
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, large) {
			return fmt.Errorf("%d bytes, not those that were written: %w", len(got), err)
		}
		return nil
	}
	anew := gcs.Conditions{DoesNotExist: true}
	const insert, get = "storage.objects.insert", "storage.objects.get"
	for _, test := range []struct {
		method, failures string
		call             func(context.Context) error
		works            bool
	}{
		{get, "return-503 return-503", read, true},
		{get, "return-reset-connection return-429", read, true},
		{get, "return-broken-stream return-broken-stream-after-256K", read, true},
		{get, "lose-answer", read, true},
		{get, "stall-for-0s-after-64K", read, true},
		{get, "return-503 return-400", read, false},
		{get, "return-401", read, false},
		{"storage.objects.list", "return-503 return-reset-connection", func(ctx context.Context) error {
			if _, err := b.Objects(ctx, nil).Next(); err != iterator.Done {
				return err
			}
			return nil
		}, true},
		{insert, "return-503 return-reset-connection", func(ctx context.Context) error { return write(ctx, large[:9], anew) }, true},
		{insert, "return-503", func(ctx context.Context) error { return write(ctx, large[:9], gcs.Conditions{}) }, false},
		{insert, "return-reset-connection return-503", func(ctx context.Context) error { return write(ctx, large, anew) }, true},
		{insert, "return-408", func(ctx context.Context) error { return write(ctx, large, anew) }, true},
		{insert, "return-503-after-256K", func(ctx context.Context) error { return write(ctx, large, anew) }, true},
		{insert, "return-503-after-8192K return-408", func(ctx context.Context) error { return write(ctx, large, anew) }, true},
		{insert, "stall-for-0s-after-512K", func(ctx context.Context) error { return write(ctx, large, anew) }, true},
		{
			insert, "return-broken-stream-final-chunk-after-10B",
			func(ctx context.Context) error { return write(ctx, large, anew) }, false,
		},
		{"storage.objects.compose", "return-503", func(ctx context.Context) error {
			_, err := b.Object("written").ComposerFrom(b.Object("large")).Run(ctx)
			return err
		}, false},
	} {
		t.Run(test.method+" "+test.failures, func(t *testing.T) {
			_ = b.Object("written").Delete(t.Context())
			words, err := json.Marshal(map[string][]string{test.method: strings.Fields(test.failures)})
			if err != nil {
				t.Fatal(err)
			}
			id := newTest(t, s, string(words)).ID
			ctx, cancel := context.WithTimeout(callctx.SetHeaders(t.Context(), "x-retry-test-id", id), 5*time.Minute)
			defer cancel()
			if err := test.call(ctx); (err == nil) != test.works {
				t.Errorf("the call: %v, want that it works: %t", err, test.works)
			}
			if !s.completed(t, id) {
				t.Errorf("the client has not met all: %s", do(t, "GET", s.URL()+"/retry_test/"+id, "").body)
			}
			if test.method == insert && (test.works || strings.Contains(test.failures, "final-chunk")) {
				if got := s.read(t, "written"); got != string(large) && got != string(large[:9]) {
					t.Errorf("written are %d bytes, not those that were sent", len(got))
				}
			}
			do(t, "DELETE", s.URL()+"/retry_test/"+id, "").want(t, 200)
		})
	}
}

// Faults meet the calls that they are for, by method, bucket, object and number, and no others.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Faults: []Fault{
		{Do: "return-503", Method: "storage.objects.insert", Bucket: bucketA, Object: "in/**.json", From: 2, Every: 2, Times: 2},
		{Do: "return-429", Method: "storage.objects.get", Object: "slow", Always: true},
		{Do: "return-408", Method: "storage.buckets.*", Bucket: bucketB, From: 2},
		{Do: "lose-answer", Method: "storage.objects.delete"},
	}})
	upload := s.URL() + "/upload/storage/v1/b/" + bucketA + "/o?uploadType="
	multipart := func(name string) answer {
		return do(t, "POST", upload+"multipart", multipartBody(`{"name":"`+name+`"}`, "content"),
			"Content-Type", "multipart/related; boundary=B")
	}
	multipart("in/a/job.json").want(t, 200)
	multipart("in/a/job.txt").want(t, 200)
	multipart("in/a/job.json").want(t, 503).wantReason(t, "injected")
	do(t, "POST", upload+"media&name=in/b.json", "x").want(t, 200)
	if a := do(t, "PUT", s.URL()+"/"+bucketA+"/in/c.json", "x").want(t, 503); !strings.Contains(a.body, "<Code>Injected<") {
		t.Errorf("the XML API's answer is %s", a.body)
	}
	do(t, "POST", upload+"resumable", `{"name":"in/d.json"}`).want(t, 200)
	for range 4 {
		multipart("in/a/job.json").want(t, 200) // two have failed
	}
	do(t, "PUT", s.URL()+"/"+bucketB+"/in/c.json", "x").want(t, 200)

	s.put(t, "slow", "x")
	for range 3 {
		do(t, "GET", s.objectURL("slow"), "").want(t, 429)
		do(t, "GET", s.objectURL("slow")+"?alt=media", "").want(t, 429)
	}
	do(t, "GET", s.URL()+"/storage/v1/b/"+bucketA, "").want(t, 200)
	do(t, "GET", s.URL()+"/storage/v1/b/"+bucketB, "").want(t, 200)
	do(t, "GET", s.URL()+"/storage/v1/b/"+bucketB, "").want(t, 408)
	do(t, "GET", s.URL()+"/storage/v1/b/"+bucketB, "").want(t, 200)

	// What was carried out without an answer is done.
	r, err := http.NewRequest("DELETE", s.objectURL("in/b.json"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := new(http.Transport).RoundTrip(r); err == nil {
		t.Errorf("the answer that was lost is %s", answer.Status)
		_ = answer.Body.Close()
	}
	do(t, "GET", s.objectURL("in/b.json"), "").want(t, 404)
}

// A request learns what a session's object is called while another one brings it its content, and
// does not keep the session alive by that. The race detector has the first part.
func TestFaultsNameASession(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	id, err := s.newSession(object{Bucket: bucketA, Name: "a"}, conditions{}, declared{})
	if err != nil {
		t.Fatal(err)
	}
	u := s.uploads.byID[id]
	used := u.used
	var other sync.WaitGroup
	other.Go(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.done = &object{}
	})
	a := about{method: "storage.objects.insert"}
	s.name(httptest.NewRequest("PUT", "/?upload_id="+id, nil), &a)
	other.Wait()
	if a.object != "a" || u.used != used || u.busy != 0 || u.complete {
		t.Errorf("the object is %q, and the session was entered: %+v", a.object, u)
	}
	a.object = ""
	if s.name(httptest.NewRequest("PUT", "/?upload_id=none", nil), &a); a.object != "" {
		t.Errorf("the object of no session is %q", a.object)
	}
}

// A lost answer to a conditional write looks to a client that tries again as if somebody else had written.
func TestGoClientMissesAnAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Faults: []Fault{{Do: "lose-answer", Method: "storage.objects.insert"}}})
	o := retries(t, s).Bucket(bucketA).Object("a")
	w := o.If(gcs.Conditions{DoesNotExist: true}).NewWriter(t.Context())
	_, err := w.Write([]byte("x"))
	err = errors.Join(err, w.Close())
	var e *googleapi.Error
	if !errors.As(err, &e) || e.Code != http.StatusPreconditionFailed {
		t.Errorf("got %v, want 412", err)
	}
	if got := s.read(t, "a"); got != "x" {
		t.Errorf("the object is %q", got)
	}
}

// gcloud and gsutil go on after failures.
func TestToolsRetry(t *testing.T) {
	t.Parallel()
	for program, args := range map[string][]string{"gcloud": {"storage", "cp"}, "gsutil": {"cp"}} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{Faults: []Fault{
				{Do: "return-503", Method: "storage.objects.insert", Object: "up"},
				{Do: "return-503-after-512K", Method: "storage.objects.insert", Object: "up", Times: 3},
				{Do: "return-broken-stream-after-256K", Method: "storage.objects.get", Object: "up", Times: 3},
			}})
			c := newTool(t, s.URL(), program)
			dir, large := sources(t)
			c.run(t, append(args, dir+"/large", "gs://"+bucketA+"/up")...)
			c.run(t, append(args, "gs://"+bucketA+"/up", dir+"/down")...)
			wantFile(t, filepath.Join(dir, "down"), large)
			wantMet(t, s, 1, 3, 3)
		})
	}
}

// wantMet checks how often each of the server's faults was met.
func wantMet(t *testing.T, s *Server, want ...int) {
	t.Helper()
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	var got []int
	for _, r := range s.faults.rules {
		got = append(got, r.met)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the faults were met (-want +got):\n%s", diff)
	}
}

// A call that can't meet its fault leaves it for the next: there is no content in the start of a session, in
// the question how much has arrived, and less than the fault is after in a small object.
func TestFaultsStay(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Faults: []Fault{
		{Do: "return-503-after-256K", Method: "storage.objects.insert", Times: 2},
		{Do: "return-broken-stream-after-256K", Method: "storage.objects.get", Object: "large"},
		{Do: "return-broken-stream-final-chunk-after-10B", Method: "storage.objects.insert"},
	}})
	upload := s.URL() + "/upload/storage/v1/b/" + bucketA + "/o?name=large&uploadType="
	content := strings.Repeat("x", 600<<10)
	session := do(t, "POST", upload+"resumable", "").want(t, 200).header.Get("Location")
	do(t, "PUT", session, "", "Content-Range", "bytes */*").want(t, 308)
	do(t, "POST", upload+"media", "small").want(t, 200)
	wantMet(t, s, 0, 0, 0)
	do(t, "PUT", session, content).want(t, 503)
	wantMet(t, s, 1, 0, 0)
	do(t, "PUT", session, content[256<<10:], "Content-Range", "bytes 262144-614399/614400").want(t, 503)
	wantMet(t, s, 2, 0, 0)
	do(t, "POST", upload+"media", "small").want(t, 200)
	do(t, "GET", s.objectURL("large"), "").want(t, 200)
	do(t, "PUT", session, "", "Content-Range", "bytes */614400").want(t, 308)
	wantMet(t, s, 2, 0, 0)
}

// A transfer that stands still does not keep the server from closing.
func TestStall(t *testing.T) {
	t.Parallel()
	s, err := serve(t, Options{Dir: t.TempDir(), Buckets: []string{bucketA}, Faults: []Fault{
		{Do: "stall-for-1s-after-0K", Method: "storage.objects.get"},
		{Do: "stall-for-600s-after-1K", Method: "storage.objects.insert"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	do(t, "GET", s.objectURL("none"), "").want(t, 404) // errors stand not still
	if _, err := s.write(object{Bucket: bucketA, Name: "a"}, strings.NewReader("xyz"), declared{}, conditions{}); err != nil {
		t.Fatal(err)
	}
	uploading := make(chan error, 1)
	go func() {
		r, err := http.Post(s.URL()+"/upload/storage/v1/b/"+bucketA+"/o?uploadType=media&name=b", "a/b",
			strings.NewReader(strings.Repeat("x", 1<<20)))
		if err == nil {
			_ = r.Body.Close()
		}
		uploading <- err
	}()
	for {
		s.faults.mu.Lock()
		met := s.faults.rules[1].met == 1
		s.faults.mu.Unlock()
		if met {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-uploading
	if d := time.Since(begin); d > 5*time.Minute {
		t.Errorf("the server closed after %v", d)
	}
}

// A client that gives up a transfer which stands still, before its answer has begun or in the middle of
// a chunk, goes on at once with the next call.
func TestStalledClientGoesOn(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.put(t, "a", "hello")
	session := do(t, "POST", s.URL()+"/upload/storage/v1/b/"+bucketA+"/o?uploadType=resumable&name=b", "").
		want(t, 200).header.Get("Location")
	half := strings.Repeat("x", 256<<10)
	test := newTest(t, s, `{"storage.objects.get":["stall-for-600s-after-0K"],"storage.objects.insert":["stall-for-600s-after-256K"]}`)
	for _, call := range []struct{ method, url, body string }{
		{"GET", s.objectURL("a") + "?alt=media", ""},
		{"PUT", session, half + half},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		r, err := http.NewRequestWithContext(ctx, call.method, call.url, strings.NewReader(call.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("x-retry-test-id", test.ID)
		if call.body != "" {
			r.Header.Set("Content-Range", "bytes 0-524287/*")
		}
		if answer, err := http.DefaultClient.Do(r); err == nil {
			_ = answer.Body.Close()
			t.Errorf("%s was answered with %s: want a wait for the headers", call.method, answer.Status)
		}
		cancel()
	}
	if !s.completed(t, test.ID) {
		t.Error("the failures were not met")
	}
	if got := s.read(t, "a"); got != "hello" {
		t.Errorf("read %q", got)
	}
	begin := time.Now()
	do(t, "PUT", session, "", "Content-Range", "bytes */*").want(t, 308)
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("the session answered after %v", d)
	}
}

// The answer of a failure comes when its client has sent all: Google's client for Go fills the memory that it still sends
// with its next try.
func TestFailureAfterTheUpload(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	half := strings.Repeat("x", 1<<20)
	for _, failure := range []string{"return-503", "return-503-after-256K"} {
		session := do(t, "POST", s.URL()+"/upload/storage/v1/b/"+bucketA+"/o?uploadType=resumable&name=b", "").
			want(t, 200).header.Get("Location")
		test := newTest(t, s, `{"storage.objects.insert":["`+failure+`"]}`)
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		send := func(text string) {
			t.Helper()
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatalf("%s: %v", failure, err)
			}
		}
		send(fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: localhost\r\nX-Retry-Test-Id: %s\r\nContent-Length: %d\r\n\r\n",
			strings.TrimPrefix(session, s.URL()), test.ID, 2*len(half)))
		send(half)
		if err := conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		answer := bufio.NewReader(conn)
		if early, err := answer.Peek(1); err == nil {
			t.Errorf("%s: answered before all was sent: %q", failure, early)
		}
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		send(half)
		a, err := http.ReadResponse(answer, nil)
		if err != nil {
			t.Errorf("%s: no answer: %v", failure, err)
			continue
		}
		if _ = a.Body.Close(); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: answer %s, want 503", failure, a.Status)
		}
	}
}

func TestRetryTestResource(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	base := s.URL() + "/retry_test"
	test := newTest(t, s, `{"storage.buckets.list":["return-503","return-reset-connection"]}`)
	want := retryTest{
		ID: test.ID, Transport: "HTTP",
		Instructions: map[string][]string{"storage.buckets.list": {"return-503", "return-reset-connection"}},
	}
	if diff := gocmp.Diff(want, test); test.ID == "" || diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	buckets := s.URL() + "/storage/v1/b?project=p"
	do(t, "GET", buckets, "").want(t, 200)
	do(t, "GET", buckets, "", "X-Retry-Test-Id", test.ID).want(t, 503)
	do(t, "GET", s.URL()+"/storage/v1/b/"+bucketA, "", "X-Retry-Test-Id", test.ID).want(t, 200)
	if s.completed(t, test.ID) {
		t.Error("the test is completed, and one failure is left")
	}
	do(t, "GET", buckets, "", "X-Retry-Test-Id", "none").want(t, 404)
	for _, bad := range []struct {
		method, url, body string
		want              int
	}{
		{"POST", base, `{}`, 400},
		{"POST", base, `{"instructions":{}}`, 400},
		{"POST", base, `{"instructions":[]}`, 400},
		{"POST", base, `{"instructions":{"storage.objects.get":["return-200"]}}`, 400},
		{"POST", base, `{"instructions":{"storage.objects.get":["return"]}}`, 400},
		{"POST", base, `{"instructions":{"storage.objects.get":["stall-for-601s-after-1K"]}}`, 400},
		{"POST", base, `{"instructions":{"storage.objects.get":["return-503-after-999999999K"]}}`, 400},
		{"POST", base, `{"instructions":{"storage.objects.take":["return-503"]}}`, 400},
		{"POST", base, `{"instructions":{"storage.hmacKey.get":["return-503"]}}`, 501},
		{"POST", base, `{"instructions":{"storage.objects.get":["return-503"]},"transport":"GRPC"}`, 501},
		{"POST", base, `{"instructions":{"storage.objects.get":["return-503"]},"transport":"PIGEON"}`, 400},
		{"POST", base, `{"instructions":{"storage.objects.get":[` + strings.Repeat(`"return-503",`, 100) + `"return-503"]}}`, 400},
		{"GET", base, "", 405},
		{"PUT", base + "/x", "", 405},
		{"GET", base + "/x", "", 404},
		{"DELETE", base + "/x", "", 404},
	} {
		do(t, bad.method, bad.url, bad.body).want(t, bad.want)
	}
	do(t, "DELETE", base+"/"+test.ID, "").want(t, 200)
	do(t, "GET", base+"/"+test.ID, "").want(t, 404)

	// Of more than there may be, the oldest goes.
	first := newTest(t, s, `{"storage.buckets.list":["return-503"]}`).ID
	for range maxRetryTests {
		newTest(t, s, `{"storage.buckets.list":["return-503"]}`)
	}
	do(t, "GET", base+"/"+first, "").want(t, 404)
	var all struct {
		Tests []retryTest `json:"retry_test"`
	}
	if err := json.Unmarshal([]byte(do(t, "GET", s.URL()+"/retry_tests", "").want(t, 200).body), &all); err != nil ||
		len(all.Tests) != maxRetryTests {
		t.Errorf("there are %d tests: %v", len(all.Tests), err)
	}
}

func TestFaultRefused(t *testing.T) {
	t.Parallel()
	for _, f := range []Fault{{Do: "x"}, {Do: "return-503", Method: "["}, {Do: "return-503", Object: "{"}} {
		if s, err := serve(t, Options{Dir: t.TempDir(), Faults: []Fault{f}}); err == nil {
			t.Errorf("%+v is taken", f)
			_ = s.Close()
		}
	}
	if CheckMethods("storage.objects.*") != nil || CheckMethods("storage.object.*") == nil || CheckMethods("[") == nil {
		t.Error("CheckMethods takes what matches no call, or refuses what does")
	}
}
