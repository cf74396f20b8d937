package upload_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/upload"
)

// google does what Cloud Storage's documentation says of resumable uploads, in the points where the local one does
// more: it keeps multiples of 256 KiB only, answers a condition that is not met at the start, and its sessions expire
// with 410. What a client must not do fails the test.
type google struct {
	t       *testing.T
	plain   bool  // a range without its unit, as some of the documentation's examples have it
	keep    int64 // how much of each part is kept at the most; 0 for all of it
	expires int   // requests after which a session is gone, once
	exists  bool  // there is such an object at the start

	mu       sync.Mutex
	sessions map[string]*googleSession
	objects  int
}

type googleSession struct {
	crc      string
	size     int64
	requests int
	data     []byte
	done     []byte // the answer
}

const kept = 256 << 10

func (g *google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	refuse := func(status int, text string, args ...any) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":%q}}`, status, fmt.Sprintf(text, args...))
	}
	if r.URL.Path != "/upload/storage/v1/b/inbox/o" || r.URL.Query().Get("uploadType") != "resumable" {
		g.t.Errorf("a request to %s", r.URL)
	}
	id := r.URL.Query().Get("upload_id")
	if id == "" {
		g.begin(w, r, refuse)
		return
	}
	s := g.sessions[id]
	if s.requests++; g.expires > 0 && s.requests > g.expires {
		g.expires = 0
		delete(g.sessions, id)
		refuse(http.StatusGone, "expired")
		return
	}
	if s == nil {
		refuse(http.StatusNotFound, "no such session")
		return
	}
	if s.done != nil {
		_, _ = w.Write(s.done)
		return
	}
	var first, last, total int64
	if n, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes */%d", &total); n == 1 && err == nil {
		if r.ContentLength != 0 {
			g.t.Error("a question with content")
		}
		g.answer(w, s)
		return
	}
	if _, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total); err != nil {
		g.t.Errorf("range %q", r.Header.Get("Content-Range"))
	}
	part, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch n := int64(len(part)); {
	case total != s.size || n != last-first+1 || r.ContentLength != n:
		g.t.Errorf("%d bytes as %q of %d", n, r.Header.Get("Content-Range"), s.size)
	case first != int64(len(s.data)):
		g.t.Errorf("a part from %d on, and %d bytes are here", first, len(s.data))
	case last+1 != total && n%kept != 0:
		g.t.Errorf("a part of %d bytes", n)
	}
	if g.keep > 0 && int64(len(part)) > g.keep {
		part = part[:g.keep/kept*kept]
	}
	s.data = append(s.data, part...)
	g.answer(w, s)
}

func (g *google) begin(w http.ResponseWriter, r *http.Request, refuse func(int, string, ...any)) {
	var object struct{ Name, CRC32C string }
	if err := json.NewDecoder(r.Body).Decode(&object); err != nil || object.Name == "" || object.CRC32C == "" {
		g.t.Errorf("an upload that begins with %+v, %v", object, err)
	}
	if r.Header.Get("Authorization") == "" || r.URL.Query().Get("ifGenerationMatch") != "0" {
		g.t.Errorf("an upload that begins with %v, %v", r.URL, r.Header)
	}
	if g.exists {
		refuse(http.StatusPreconditionFailed, "At least one of the pre-conditions you specified did not hold.")
		return
	}
	size, err := strconv.ParseInt(r.Header.Get("X-Upload-Content-Length"), 10, 64)
	if err != nil {
		g.t.Error(err)
	}
	id := rand.Text()
	g.sessions[id] = &googleSession{crc: object.CRC32C, size: size}
	w.Header().Set("Location", "https://storage.googleapis.com/upload/storage/v1/b/inbox/o?uploadType=resumable&"+
		"upload_id="+id)
}

// answer says how much there is, and ends an upload that is whole.
func (g *google) answer(w http.ResponseWriter, s *googleSession) {
	if n := int64(len(s.data)); n < s.size {
		if n > 0 {
			unit := "bytes="
			if g.plain {
				unit = ""
			}
			w.Header().Set("Range", fmt.Sprintf("%s0-%d", unit, n-1))
		}
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	sum := crc32.Checksum(s.data, crc32.MakeTable(crc32.Castagnoli))
	if crc := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum)); crc != s.crc {
		g.t.Errorf("the content's checksum is %s, not %s", crc, s.crc)
	}
	g.objects++
	s.done = fmt.Appendf(nil, `{"kind":"storage#object","bucket":"inbox","name":"folder/a b+c.tar.gz","generation":"%d",`+
		`"size":"%d","crc32c":%q,"timeCreated":"2026-11-29T12:00:00.123Z"}`, 1795916360136494, s.size, s.crc)
	_, _ = w.Write(s.done)
}

// client returns a client of Google's own service whose requests come to g.
func (g *google) client() *gcs.Client {
	g.t.Helper()
	g.sessions = map[string]*googleSession{}
	server := httptest.NewServer(g)
	g.t.Cleanup(server.Close)
	to, err := url.Parse(server.URL)
	if err != nil {
		g.t.Fatal(err)
	}
	c, err := gcs.Over(context.Background(), rewritten(func(r *http.Request) (*http.Response, error) {
		if r.URL.Scheme != "https" || r.URL.Host != "storage.googleapis.com" {
			g.t.Errorf("a request to %s", r.URL)
		}
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
		r.Header.Set("Authorization", "Bearer token")
		return http.DefaultTransport.RoundTrip(r)
	}))
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

type rewritten func(*http.Request) (*http.Response, error)

func (f rewritten) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestGoogle(t *testing.T) {
	t.Parallel()
	const size = 2*partSize + 100
	tests := []struct {
		name  string
		g     *google
		data  []byte
		taken bool
		most  int64 // bytes sent
	}{
		{name: "small", data: []byte("a"), most: 1},
		{name: "parts", data: noise(size), most: size},
		{name: "keeps less than it was sent", g: &google{keep: 10<<20 + 1}, data: noise(size), most: 2 * size},
		{name: "a range without its unit", g: &google{plain: true}, data: noise(size), most: size},
		{name: "a session expires", g: &google{expires: 2}, data: noise(size), most: 2 * size},
		{name: "somebody was first", g: &google{exists: true}, data: noise(size), taken: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.g == nil {
				tt.g = &google{}
			}
			tt.g.t = t
			r, err := send(t, tt.g.client(), tt.data, upload.Options{SessionDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if r.Taken != tt.taken || r.Sent > tt.most || !tt.taken && (tt.g.objects != 1 ||
				r.Object.Generation != 1795916360136494 || r.Object.Size != int64(len(tt.data))) {
				t.Errorf("%+v, %d objects", r, tt.g.objects)
			}
		})
	}
}

// What an earlier process has not been told is asked for first.
func TestGoogleResumes(t *testing.T) {
	t.Parallel()
	g, dir, data := &google{t: t}, t.TempDir(), noise(2*partSize)
	c := g.client()
	interrupt(t, c, data, upload.Options{SessionDir: dir}, partSize+1000)
	r, err := upload.Upload(t.Context(), c, bucket, "folder/a b+c.tar.gz", bytes.NewReader(data), int64(len(data)),
		upload.Options{SessionDir: dir})
	if err != nil || r.Resumed != partSize || r.Sent != partSize || g.objects != 1 {
		t.Errorf("%+v, %v, %d objects", r, err, g.objects)
	}
	for text := range strings.SplitSeq("0,1-,x-y,bytes=0-99999999", ",") {
		if err := rangeOf(t, text); err == nil {
			t.Errorf("no error for the range %q", text)
		}
	}
}

// rangeOf uploads to a service that answers with a range.
func rangeOf(t *testing.T, text string) error {
	c := clientOf(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		a := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{
			"Location": {"https://storage.googleapis.com/upload"}, "Range": {text},
		}}
		if r.Method == http.MethodPut {
			a.StatusCode = http.StatusPermanentRedirect
		}
		return a, nil
	})
	_, err := send(t, c, noise(10), upload.Options{Patience: 200_000_000})
	return err
}
