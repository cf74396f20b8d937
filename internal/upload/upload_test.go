package upload_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/upload"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	bucket   = "inbox"
	partSize = 16 << 20
)

// local is the local Cloud Storage with a client of it.
type local struct {
	*gcs.Client
	server    *storage.Server
	finalized atomic.Int32
	ended     sync.Once
}

// close ends the server.
func (l *local) close(t *testing.T) {
	l.ended.Do(func() {
		if err := l.server.Close(); err != nil {
			t.Error(err)
		}
	})
}

// serve starts the local Cloud Storage, with a client of it, for the test's life.
func serve(t *testing.T, o storage.Options) *local {
	t.Helper()
	l := &local{}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Listener == nil {
		o.Listener = listen(t, "127.0.0.1:0")
	}
	o.Buckets, o.Finalized = []string{bucket}, func(storage.Object) { l.finalized.Add(1) }
	var err error
	if l.server, err = storage.Serve(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close(t) })
	if l.Client, err = gcs.New(t.Context(), l.server.URL()); err != nil {
		t.Fatal(err)
	}
	return l
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// noise returns bytes that no part of is like another.
func noise(size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

// send uploads data as the object "a".
func send(t *testing.T, c upload.Client, data []byte, o upload.Options) (upload.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return upload.Upload(ctx, c, bucket, "folder/a b+c.tar.gz", bytes.NewReader(data), int64(len(data)), o)
}

// has fails the test if the object is not there with the data.
func (l *local) has(t *testing.T, data []byte) {
	t.Helper()
	got, _, err := l.Read(t.Context(), bucket, "folder/a b+c.tar.gz", 0, 1<<30)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("stored are %d bytes, %v; want those that were sent, %d", len(got), err, len(data))
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 256 << 10, partSize - 1, partSize, partSize + 1, 2 * partSize} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			l, data, dir := serve(t, storage.Options{}), noise(size), t.TempDir()
			var told int64
			r, err := send(t, l, data, upload.Options{
				ContentType: "application/gzip", Metadata: map[string]string{job.MetadataCorrelationID: "c1"}, SessionDir: dir,
				Progress: func(done, total int64) {
					if told = done; total != int64(size) || done > total {
						t.Errorf("progress is %d of %d", done, total)
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			l.has(t, data)
			stored, err := l.Stat(t.Context(), bucket, "folder/a b+c.tar.gz")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(upload.Result{Object: stored.Object, Sent: int64(size)}, r,
				cmpopts.EquateApproxTime(0)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if told != int64(size) || stored.Metadata[job.MetadataCorrelationID] != "c1" || stored.CorrelationID != "c1" {
				t.Errorf("told %d, metadata %v", told, stored.Metadata)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left of the session: %v, %v", left, err)
			}
		})
	}
}

// An upload survives whatever the service and the line do, and sends little more than once.
func TestFaults(t *testing.T) {
	t.Parallel()
	const size = 2*partSize + 1000
	tests := []struct {
		name   string
		faults []storage.Fault
		most   int64 // bytes sent
	}{
		{"the start is refused", []storage.Fault{{Do: "return-503", Times: 2}}, size},
		{"the start is reset", []storage.Fault{{Do: "return-reset-connection"}}, size},
		{"the start's answer is lost", []storage.Fault{{Do: "lose-answer"}}, size},
		{"too many", []storage.Fault{{Do: "return-429"}}, size},
		{"a part is refused", []storage.Fault{{Do: "return-500", From: 2}}, size + partSize},
		{"a part is reset", []storage.Fault{{Do: "return-reset-connection", From: 3}}, size + partSize},
		{"a part's answer is lost", []storage.Fault{{Do: "lose-answer", From: 2}}, size},
		{"the last answer is lost", []storage.Fault{{Do: "lose-answer", From: 4}}, size},
		{"the last answer is cut", []storage.Fault{{Do: "return-broken-stream-final-chunk-after-10B", From: 2}}, size},
		{"broken off", []storage.Fault{{Do: "return-503-after-20480K", From: 2}}, size + partSize},
		{"stands still", []storage.Fault{{Do: "stall-for-600s-after-1024K", From: 2}}, size + partSize},
		{"all at once", []storage.Fault{
			{Do: "return-503"}, {Do: "return-503-after-1024K", From: 3}, {Do: "lose-answer", From: 6},
			{Do: "return-reset-connection", From: 9},
		}, size + 2*partSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for i := range tt.faults {
				tt.faults[i].Method = "storage.objects.insert"
			}
			l, data := serve(t, storage.Options{Faults: tt.faults}), noise(size)
			var stall time.Duration // as it is by default: on a busy machine a request may stand still for seconds
			if strings.HasPrefix(tt.faults[0].Do, "stall-") {
				stall = time.Second
			}
			retries := 0
			r, err := send(t, l, data, upload.Options{
				SessionDir: t.TempDir(), Stall: stall, Retry: func(error, time.Duration) { retries++ },
			})
			if err != nil {
				t.Fatal(err)
			}
			l.has(t, data)
			if r.Sent > tt.most || r.Sent < size || r.Resumed != 0 || r.Object.Size != size || l.finalized.Load() != 1 ||
				retries == 0 {
				t.Errorf("sent %d bytes (at most %d), resumed at %d, %d times stored, %d retries", r.Sent, tt.most, r.Resumed,
					l.finalized.Load(), retries)
			}
		})
	}
}

// What does not get better ends the upload when patience is over, or at once.
func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		do      string
		from    int
		retries bool
		want    error
	}{
		{"return-403", 1, false, job.ErrDenied},
		{"return-401", 2, false, job.ErrCredentials},
		{"return-400", 2, false, job.ErrRefused},
		{"return-404", 1, false, job.ErrNotFound},
		{"return-404", 2, true, job.ErrNotFound}, // each session is lost
		{"return-410", 2, true, nil},
		{"return-429", 1, true, job.ErrQuota},
		{"return-503", 2, true, nil},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.do, " from ", tt.from), func(t *testing.T) {
			t.Parallel()
			fault := storage.Fault{Do: tt.do, Method: "storage.objects.insert", From: tt.from, Every: tt.from, Always: true}
			if tt.do == "return-503" {
				fault.Every = 1
			}
			l := serve(t, storage.Options{Faults: []storage.Fault{fault}})
			retried := false
			r, err := send(t, l, noise(1000), upload.Options{
				Patience: 2 * time.Second, Retry: func(error, time.Duration) { retried = true },
			})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || retried != tt.retries || r.Object.Name != "" {
				t.Errorf("error %v (want %v), retried: %t, result %+v", err, tt.want, retried, r)
			}
		})
	}
	t.Run("no bucket", func(t *testing.T) {
		t.Parallel()
		l := serve(t, storage.Options{})
		_, err := upload.Upload(t.Context(), l, "other", "a", bytes.NewReader(nil), 0, upload.Options{})
		if !errors.Is(err, job.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		l := serve(t, storage.Options{})
		l.close(t)
		if _, err := send(t, l, nil, upload.Options{Patience: time.Second}); err == nil {
			t.Error("no error")
		}
	})
}

// Somebody who was first is a result.
func TestTaken(t *testing.T) {
	t.Parallel()
	l, dir := serve(t, storage.Options{}), t.TempDir()
	first, err := send(t, l, []byte("first"), upload.Options{SessionDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r, err := send(t, l, []byte("other"), upload.Options{SessionDir: dir})
	if err != nil || !r.Taken || r.Object.Name != "" {
		t.Fatalf("create over what is there: %+v, %v", r, err)
	}
	l.has(t, []byte("first"))
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left of the session: %v, %v", left, err)
	}
	next, err := send(t, l, []byte("other"), upload.Options{IfGeneration: first.Object.Generation})
	if err != nil || next.Taken {
		t.Fatalf("swap: %+v, %v", next, err)
	}
	r, err = send(t, l, []byte("third"), upload.Options{IfGeneration: first.Object.Generation})
	if err != nil || !r.Taken {
		t.Errorf("swap of an old generation: %+v, %v", r, err)
	}
	if r, err = send(t, l, []byte("any"), upload.Options{IfGeneration: attempt.AnyGeneration}); err != nil || r.Taken {
		t.Errorf("unconditional: %+v, %v", r, err)
	}
	l.has(t, []byte("any"))
}

// unsteady is a file that changes while it is uploaded.
type unsteady struct {
	data  []byte
	reads int
}

func (u *unsteady) ReadAt(p []byte, at int64) (int, error) {
	if u.reads++; u.reads == 2 { // the first is for the checksum
		u.data = append([]byte{'!'}, u.data[1:]...)
	}
	return bytes.NewReader(u.data).ReadAt(p, at)
}

// A file that changes meanwhile is not stored, in whatever state.
func TestChangedFile(t *testing.T) {
	t.Parallel()
	l := serve(t, storage.Options{})
	_, err := upload.Upload(t.Context(), l, bucket, "a", &unsteady{data: noise(1000)}, 1000, upload.Options{})
	if !errors.Is(err, job.ErrRefused) || l.finalized.Load() != 0 {
		t.Errorf("%v, stored %d times", err, l.finalized.Load())
	}
	for _, size := range []int64{999, 1001} {
		_, err := upload.Upload(t.Context(), l, bucket, "a", bytes.NewReader(noise(1000)[:min(size, 1000)]), 1001,
			upload.Options{})
		if err == nil {
			t.Errorf("no error for a file of %d bytes", size)
		}
	}
}

// sessions returns the session files of a folder.
func sessions(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// errStop stops an upload.
var errStop = errors.New("stop")

// interrupt uploads until a number of bytes were sent, as an interrupted process does.
func interrupt(t *testing.T, c upload.Client, data []byte, o upload.Options, after int64) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	o.Progress = func(done, _ int64) {
		if done > after {
			cancel(errStop)
		}
	}
	_, err := upload.Upload(ctx, c, bucket, "folder/a b+c.tar.gz", bytes.NewReader(data), int64(len(data)), o)
	if !errors.Is(err, errStop) {
		t.Fatalf("interrupted: %v", err)
	}
}

// A session is kept where only its owner reads it, and is used for nothing else.
func TestSession(t *testing.T) {
	t.Parallel()
	data := noise(3 * partSize)
	options := upload.Options{Metadata: map[string]string{"k": "v"}}
	rewrite := func(change func(map[string]any)) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var fields map[string]any
			if err := json.Unmarshal(text, &fields); err != nil {
				t.Fatal(err)
			}
			change(fields)
			if text, err = json.Marshal(fields); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	foreign := listen(t, "127.0.0.1:0") // nobody may come here
	t.Cleanup(func() { _ = foreign.Close() })
	go func() {
		if c, err := foreign.Accept(); err == nil {
			t.Error("a request went to a service that is not ours")
			_ = c.Close()
		}
	}()
	tests := []struct {
		name    string
		options upload.Options
		data    []byte
		change  func(t *testing.T, file string)
		resumes bool
	}{
		{name: "the same", options: options, data: data, resumes: true},
		{name: "other metadata", options: upload.Options{Metadata: map[string]string{"k": "w"}}, data: data},
		{name: "another type", options: upload.Options{Metadata: options.Metadata, ContentType: "text/plain"}, data: data},
		{name: "another condition", options: upload.Options{Metadata: options.Metadata, IfGeneration: attempt.AnyGeneration},
			data: data},
		{name: "other bytes", options: options, data: append([]byte{'!'}, data[1:]...)},
		{name: "a damaged file", options: options, data: data, change: func(t *testing.T, file string) {
			if err := os.Truncate(file, 20); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "a folder", options: options, data: data, change: func(t *testing.T, file string) {
			if err := errors.Join(os.Remove(file), os.MkdirAll(filepath.Join(file, "a"), 0o700)); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "a huge file", options: options, data: data, change: func(t *testing.T, file string) {
			if err := os.Truncate(file, 1<<30); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "another service", options: options, data: data, change: rewrite(func(fields map[string]any) {
			fields["uri"] = "http://" + foreign.Addr().String() + "/upload"
		})},
		{name: "a session that was never there", options: options, data: data, change: rewrite(func(f map[string]any) {
			f["uri"] = f["address"].(string) + "/upload/storage/v1/b/inbox/o?uploadType=resumable&name=a&upload_id=none"
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, dir := serve(t, storage.Options{}), filepath.Join(t.TempDir(), "cache", "uploads")
			first := options
			first.SessionDir, tt.options.SessionDir = dir, dir
			interrupt(t, l, data, first, partSize+1000)
			kept := sessions(t, dir)
			if len(kept) != 1 {
				t.Fatalf("kept: %v", kept)
			}
			if runtime.GOOS != "windows" {
				for path, mode := range map[string]os.FileMode{kept[0]: 0o600, dir: 0o700} {
					if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
						t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, mode)
					}
				}
			}
			if tt.change != nil {
				tt.change(t, kept[0])
			}
			r, err := send(t, l, tt.data, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			l.has(t, tt.data)
			if resumes := r.Resumed >= partSize; resumes != tt.resumes || r.Resumed+r.Sent != int64(len(tt.data)) {
				t.Errorf("resumed at %d, sent %d", r.Resumed, r.Sent)
			}
			stored, err := l.Stat(t.Context(), bucket, "folder/a b+c.tar.gz")
			if err != nil || stored.Metadata["k"] != tt.options.Metadata["k"] {
				t.Errorf("metadata %v, %v", stored.Metadata, err)
			}
		})
	}
}

// Old sessions are removed, and a folder that can't be written is said.
func TestSessionDir(t *testing.T) {
	t.Parallel()
	l, dir := serve(t, storage.Options{}), t.TempDir()
	for name, age := range map[string]time.Duration{"old.json": 9 * 24 * time.Hour, "recent.json": 24 * time.Hour} {
		file, at := filepath.Join(dir, name), time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chtimes(file, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := send(t, l, []byte("a"), upload.Options{SessionDir: dir}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "recent.json")}, sessions(t, dir)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	r, err := send(t, l, []byte("a"), upload.Options{
		SessionDir: filepath.Join(dir, "recent.json", "a"), IfGeneration: attempt.AnyGeneration,
	})
	if err != nil || r.Unkept == nil {
		t.Errorf("without a folder: %+v, %v", r, err)
	}
}

// A service that was started again knows no sessions: the upload begins anew.
func TestServiceRestarts(t *testing.T) {
	t.Parallel()
	data, dir, sessionDir := noise(2*partSize), t.TempDir(), t.TempDir()
	l := serve(t, storage.Options{Dir: dir})
	options := upload.Options{SessionDir: sessionDir}
	interrupt(t, l, data, options, partSize+1000)
	address := l.server.URL()[len("http://"):]
	l.close(t)
	l = serve(t, storage.Options{Dir: dir, Listener: listen(t, address)})
	r, err := send(t, l, data, options)
	if err != nil || r.Resumed != 0 || r.Sent != int64(len(data)) {
		t.Fatalf("%+v, %v", r, err)
	}
	l.has(t, data)
}

// Several at once with one session make one object, and none hears an error.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	data, dir := noise(2*partSize), t.TempDir()
	l := serve(t, storage.Options{})
	interrupt(t, l, data, upload.Options{SessionDir: dir}, partSize/2)
	results := make([]upload.Result, 4)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			r, err := send(t, l, data, upload.Options{SessionDir: dir})
			if err != nil {
				t.Error(err)
			}
			results[i] = r
		})
	}
	all.Wait()
	for _, r := range results {
		if !r.Taken && r.Object.Generation == 0 {
			t.Errorf("%+v", r)
		}
	}
	if n := l.finalized.Load(); n != 1 {
		t.Errorf("stored %d times", n)
	}
	l.has(t, data)
}

// The address of a session lets anyone go on with it: no error shows it.
func TestErrorsHideSession(t *testing.T) {
	t.Parallel()
	var uri string
	c := clientOf(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			uri = "https://storage.googleapis.com/upload/storage/v1/b/inbox/o?upload_id=SECRET"
			return &http.Response{
				StatusCode: 200, Header: http.Header{"Location": {uri}}, Body: http.NoBody,
			}, nil
		}
		return nil, io.ErrUnexpectedEOF
	})
	_, err := send(t, c, noise(10), upload.Options{Patience: 500 * time.Millisecond})
	if err == nil || uri == "" || bytes.Contains([]byte(err.Error()), []byte("SECRET")) {
		t.Errorf("%v", err)
	}
}

// clientOf is a client whose requests a function answers.
type clientOf func(*http.Request) (*http.Response, error)

func (c clientOf) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

func (c clientOf) HTTP() (*http.Client, string) {
	return &http.Client{Transport: c}, "https://storage.googleapis.com"
}
