package gcs_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestWriteIsConditional(t *testing.T) {
	c, _ := storagetest.New(t, "b")
	ctx := t.Context()
	write := func(content string, ifGeneration int64) (int64, error) {
		return c.Write(ctx, "b", "a", []byte(content), "text/plain", map[string]string{"k": "v"}, ifGeneration)
	}
	first, err := write("1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write("2", 0); !errors.Is(err, attempt.ErrStale) {
		t.Errorf("create over what is there: %v, want ErrStale", err)
	}
	second, err := write("2", first)
	if err != nil || second == first {
		t.Fatalf("swap: generation %d after %d, %v", second, first, err)
	}
	if _, err := write("3", first); !errors.Is(err, attempt.ErrStale) {
		t.Errorf("swap of an old generation: %v, want ErrStale", err)
	}
	if _, err := write("4", attempt.AnyGeneration); err != nil {
		t.Errorf("unconditional write: %v", err)
	}
	data, generation, err := c.Read(ctx, "b", "a", 0, 10)
	if err != nil || string(data) != "4" || generation <= second {
		t.Errorf("read %q at generation %d, %v", data, generation, err)
	}
	a, err := c.Stat(ctx, "b", "a")
	if err != nil || a.Generation != generation || a.Size != 1 || a.CRC32C == "" || a.Created.IsZero() ||
		a.Metadata["k"] != "v" {
		t.Errorf("attributes %+v, %v", a, err)
	}
}

func TestReadLimits(t *testing.T) {
	c, _ := storagetest.New(t, "b")
	if _, err := c.Write(t.Context(), "b", "a", []byte("12345"), "text/plain", nil, 0); err != nil {
		t.Fatal(err)
	}
	if data, _, err := c.Read(t.Context(), "b", "a", 0, 5); err != nil || string(data) != "12345" {
		t.Errorf("at the limit: %q, %v", data, err)
	}
	if _, _, err := c.Read(t.Context(), "b", "a", 0, 4); !errors.Is(err, job.ErrTooLarge) {
		t.Errorf("past the limit: %v, want ErrTooLarge", err)
	}
}

// What is known is not sent again; what replaced it is. The conditions of reads are the local storage's: the other one
// has none.
func TestReadNewer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := storage.Serve(t.Context(), storage.Options{
		Dir: t.TempDir(), Listener: listener, Buckets: []string{"status"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx := t.Context()
	c, err := gcs.New(ctx, server.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadNewer(ctx, "status", "a", 7, 10); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("before there is one: %v, want ErrNotFound", err)
	}
	var known int64
	for _, content := range []string{"1", "2"} {
		written, err := c.Write(ctx, "status", "a", []byte(content), "text/plain", nil, known)
		if err != nil {
			t.Fatal(err)
		}
		data, generation, err := c.ReadNewer(ctx, "status", "a", known, 10)
		if err != nil || string(data) != content || generation != written {
			t.Errorf("read %q at generation %d, %v; want %q at %d", data, generation, err, content, written)
		}
		known = generation
		data, generation, err = c.ReadNewer(ctx, "status", "a", known, 10)
		if err != nil || data != nil || generation != known {
			t.Errorf("read again: %q at generation %d, %v", data, generation, err)
		}
	}
	if _, _, err := c.ReadNewer(ctx, "status", "a", 0, 0); !errors.Is(err, job.ErrTooLarge) {
		t.Errorf("past the limit: %v, want ErrTooLarge", err)
	}
}

func TestNotFound(t *testing.T) {
	c, _ := storagetest.New(t, "b")
	ctx := t.Context()
	_, _, read := c.Read(ctx, "b", "none", 0, 1)
	_, stat := c.Stat(ctx, "b", "none")
	_, open := c.Open(ctx, "b", "none", 5)
	cp := c.Copy(ctx, job.Object{Bucket: "b", Name: "none", Generation: 5}, "b", "copy")
	for name, err := range map[string]error{"read": read, "stat": stat, "open": open, "copy": cp} {
		if !errors.Is(err, job.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	if err := c.Delete(ctx, "b", "none"); err != nil {
		t.Errorf("delete of what is gone: %v", err)
	}
}

// Reads and copies use the generation that was asked for, whatever stands there now.
func TestGenerations(t *testing.T) {
	c, server := storagetest.New(t)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "b", VersioningEnabled: true})
	ctx := t.Context()
	first, err := c.Write(ctx, "b", "a", []byte("one"), "text/plain", nil, attempt.AnyGeneration)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(ctx, "b", "a", []byte("two"), "text/plain", nil, attempt.AnyGeneration); err != nil {
		t.Fatal(err)
	}
	if err := c.Copy(ctx, job.Object{Bucket: "b", Name: "a", Generation: first}, "b", "copy"); err != nil {
		t.Fatal(err)
	}
	for name, generation := range map[string]int64{"a": first, "copy": 0} {
		r, err := c.Open(ctx, "b", name, generation)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil || string(data) != "one" {
			t.Errorf("%s holds %q, %v; want the first generation's", name, data, err)
		}
	}
}

func TestListPages(t *testing.T) {
	c, server := storagetest.OnDisk(t, "b")
	var want []string
	for i := range 2500 {
		name := fmt.Sprintf("dir/%04d", i)
		want = append(want, name)
		server.CreateObject(fakestorage.Object{
			ObjectAttrs: fakestorage.ObjectAttrs{
				BucketName: "b", Name: name, Metadata: map[string]string{"jobdrop-correlation-id": "x"},
			}, Content: []byte("1"),
		})
	}
	server.CreateObject(fakestorage.Object{
		ObjectAttrs: fakestorage.ObjectAttrs{BucketName: "b", Name: "dir/deep/er"}, Content: []byte("1"),
	})
	var got []string
	pages := 0
	err := c.List(t.Context(), "b", "dir/", true, func(page []job.Attributes) error {
		pages++
		for _, o := range page {
			got = append(got, o.Name)
			if o.CorrelationID != "x" || o.Generation == 0 || o.Bucket != "b" {
				t.Fatalf("attributes %+v", o)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if pages != 3 {
		t.Errorf("%d pages, want 3", pages)
	}
	stop := errors.New("enough")
	if err := c.List(t.Context(), "b", "", false, func([]job.Attributes) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error of a page: %v", err)
	}
}

// An upload marked Content-Encoding: gzip, as some tools mark a .tar.gz, is read
// as the bytes that were uploaded.
func TestOpenDoesNotUnpack(t *testing.T) {
	c, server := storagetest.New(t, "b")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, strings.Repeat("a", 1000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	server.CreateObject(fakestorage.Object{
		ObjectAttrs: fakestorage.ObjectAttrs{BucketName: "b", Name: "a.tar.gz", ContentEncoding: "gzip"},
		Content:     packed.Bytes(),
	})
	r, err := c.Open(t.Context(), "b", "a.tar.gz", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, packed.Bytes()) {
		t.Errorf("read %d bytes, %v; want the %d that were uploaded", len(got), err, packed.Len())
	}
}

func TestUpload(t *testing.T) {
	c, _ := storagetest.New(t, "b")
	const size = 20 << 20 // more than one chunk
	if _, err := c.Upload(t.Context(), "b", "large", io.LimitReader(zeros{}, size),
		map[string]string{"jobdrop-correlation-id": "c"}); err != nil {
		t.Fatal(err)
	}
	a, err := c.Stat(t.Context(), "b", "large")
	if err != nil || a.Size != size || a.CorrelationID != "c" {
		t.Errorf("attributes %+v, %v", a, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestPlaces(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/storage/v1/b/single":
			fmt.Fprint(w, `{"location": "EUROPE-WEST4", "locationType": "region"}`)
		case "/storage/v1/b/dual":
			fmt.Fprint(w, `{"location": "US", "customPlacementConfig": {"dataLocations": ["US-EAST1", "US-WEST1"]}}`)
		default:
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error": {"code": 403, "message": "storage.buckets.get denied"}}`)
		}
	}))
	defer server.Close()
	c, err := gcs.New(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for bucket, want := range map[string][]string{"single": {"EUROPE-WEST4"}, "dual": {"US-EAST1", "US-WEST1"}} {
		got, err := c.Places(t.Context(), bucket)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("places of %s: %v (-want +got):\n%s", bucket, err, diff)
		}
	}
	if got, err := c.Places(t.Context(), "closed"); err == nil || !strings.Contains(err.Error(), "gs://closed") {
		t.Errorf("places of a closed bucket: %v, %v", got, err)
	}
}

// Cloud Storage may end a call before the copy is done, and goes on by a token.
func TestCopyGoesOn(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("rewriteToken")
		asked = append(asked, token)
		w.Header().Set("Content-Type", "application/json")
		switch token {
		case "":
			fmt.Fprint(w, `{"done": false, "rewriteToken": "first"}`)
		case "first":
			fmt.Fprint(w, `{"done": false, "rewriteToken": "second"}`)
		default:
			fmt.Fprint(w, `{"done": true}`)
		}
	}))
	defer server.Close()
	c, err := gcs.New(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Copy(t.Context(), job.Object{Bucket: "inbox", Name: "a", Generation: 7}, "staging", "b"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"", "first", "second"}, asked); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

// What the API says by a status is said by the domain's errors.
func TestErrorClasses(t *testing.T) {
	classes := []error{job.ErrNotFound, job.ErrDenied, attempt.ErrStale, job.ErrQuota}
	for _, test := range []struct {
		status int
		want   error // nil is none of them
	}{
		{http.StatusNotFound, job.ErrNotFound}, {http.StatusForbidden, job.ErrDenied},
		{http.StatusPreconditionFailed, attempt.ErrStale},
		{http.StatusTooManyRequests, job.ErrQuota}, {http.StatusBadRequest, nil}, {http.StatusServiceUnavailable, nil},
	} {
		synctest.Test(t, func(t *testing.T) { // what is repeated takes its time
			c, err := gcs.Over(t.Context(), &script{answers: []any{test.status}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Stat(t.Context(), "inbox", "a")
			if err == nil {
				t.Errorf("%d: no error", test.status)
			}
			for _, class := range classes {
				if is := errors.Is(err, class); is != (class == test.want) {
					t.Errorf("%d: %v; is %q: %t", test.status, err, class, is)
				}
			}
		})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// Every call that moves no content of people's has an end of its own.
func TestCallsHaveADeadline(t *testing.T) {
	errAsked := errors.New("asked")
	asked, bounded := 0, 0
	c, err := gcs.Over(t.Context(), transport(func(r *http.Request) (*http.Response, error) {
		asked++
		if end, ok := r.Context().Deadline(); ok && time.Until(end) <= 20*time.Second {
			bounded++
		}
		return nil, errAsked
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"list":   func() error { return c.List(ctx, "b", "", false, nil) },
		"after":  func() error { return c.ListAfter(ctx, "b", "", "a", nil) },
		"read":   func() error { _, _, err := c.Read(ctx, "b", "o", 0, 1); return err },
		"stat":   func() error { _, err := c.Stat(ctx, "b", "o"); return err },
		"places": func() error { _, err := c.Places(ctx, "b"); return err },
		"write":  func() error { _, err := c.Write(ctx, "b", "o", nil, "", nil, 0); return err },
		"copy":   func() error { return c.Copy(ctx, job.Object{Bucket: "b", Name: "o"}, "b", "p") },
		"delete": func() error { return c.Delete(ctx, "b", "o") },
		"at":     func() error { return c.DeleteAt(ctx, "b", "o", 7) },
	} {
		asked, bounded = 0, 0
		if err := call(); !errors.Is(err, errAsked) || asked != 1 || bounded != 1 {
			t.Errorf("%s: %v; %d requests, %d with a deadline", name, err, asked, bounded)
		}
	}
}

// A page holds what was asked for, after a name that need not be there, and says whether there is more.
func TestListPage(t *testing.T) {
	client, _ := storagetest.New(t, "b")
	for _, name := range []string{"a/1", "a/2", "a/3", "a/4", "b/1"} {
		if _, err := client.Write(t.Context(), "b", name, nil, "text/plain", map[string]string{"k": name}, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		after string
		most  int
		want  []string
		more  bool
	}{
		{"", 2, []string{"a/1", "a/2"}, true}, {"a/", 4, []string{"a/1", "a/2", "a/3", "a/4"}, false},
		{"a/2", 1, []string{"a/3"}, true}, {"a/2", 2, []string{"a/3", "a/4"}, false}, {"a/2x", 5, []string{"a/3", "a/4"}, false},
		{"a/4", 5, nil, false}, {"a/9", 5, nil, false},
	} {
		page, more, err := client.ListPage(t.Context(), "b", "a/", test.after, test.most)
		var got []string
		for _, o := range page {
			if got = append(got, o.Name); o.Metadata["k"] != o.Name {
				t.Errorf("%s has the metadata %v", o.Name, o.Metadata)
			}
		}
		if err != nil || more != test.more || !slices.Equal(got, test.want) {
			t.Errorf("%d after %q: %q, more %t, %v", test.most, test.after, got, more, err)
		}
	}
	if _, _, err := client.ListPage(t.Context(), "none", "a/", "", 5); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("of a bucket that is not there: %v", err)
	}
}

// Connections to an emulator are kept for as many calls as drops make at once.
func TestConnectionsAreKept(t *testing.T) {
	const calls = 16
	var opened atomic.Int64
	all := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select { // no call ends before the others are there
		case all <- struct{}{}:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c, err := gcs.New(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() { _, _ = c.Stat(t.Context(), "b", "o") }) // not there
		}
		for range calls {
			<-all
		}
		wg.Wait()
	}
	// A connection that is just being given back may cost another one.
	if n := opened.Load(); n > 2*calls {
		t.Errorf("%d connections for %d calls at once", n, calls)
	}
}

// A small upload is sent with its length, and at once.
func TestWriteSendsTheLength(t *testing.T) {
	content := strings.Repeat("content", 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength != int64(len(body)) || !strings.Contains(string(body), content) {
			t.Errorf("an upload of %d bytes says it has %d, %v", len(body), r.ContentLength, err)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"generation": "7"}`)
	}))
	defer server.Close()
	c, err := gcs.New(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	metadata := map[string]string{"k": strings.Repeat("v", 8<<10)} // more than the parts have by habit
	if generation, err := c.Write(t.Context(), "b", "o", []byte(content), "text/plain", metadata, 0); generation != 7 {
		t.Errorf("generation %d, %v", generation, err)
	}
}
