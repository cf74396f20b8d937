package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	gcs "cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
)

// operation is a call that takes preconditions on the object of a name; query
// holds them, for the JSON API.
type operation struct {
	name   string
	source bool // the conditions are on what is copied
	read   bool
	ok     int
	do     func(t *testing.T, s *Server, name, query string) answer
}

func operations() []operation {
	upload := func(s *Server, kind, name, query string) string {
		return s.URL() + "/upload/storage/v1/b/" + bucketA + "/o?uploadType=" + kind + "&name=" + name + query
	}
	return []operation{
		{name: "simple upload", ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPost, upload(s, "media", name, query), "new")
		}},
		{name: "multipart upload", ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPost, upload(s, "multipart", name, query), multipartBody("{}", "new"), "Content-Type",
				"multipart/related; boundary=B")
		}},
		{name: "resumable upload", ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			session := do(t, http.MethodPost, upload(s, "resumable", name, query), "")
			if session.status != 200 {
				return session
			}
			return do(t, http.MethodPut, session.header.Get("Location"), "new")
		}},
		{name: "patch", ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPatch, s.objectURL(name)+"?"+query, `{"metadata":{"new":"1"}}`)
		}},
		{name: "update", ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPut, s.objectURL(name)+"?"+query, `{"metadata":{"new":"1"}}`)
		}},
		{name: "delete", ok: 204, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodDelete, s.objectURL(name)+"?"+query, "")
		}},
		{name: "copy to", ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPost, s.objectURL("other")+"/copyTo/b/"+bucketA+"/o/"+name+"?"+query, "")
		}},
		{name: "rewrite to", ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPost, s.objectURL("other")+"/rewriteTo/b/"+bucketA+"/o/"+name+"?"+query, "{}")
		}},
		{name: "compose to", ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPost, s.objectURL(name)+"/compose?"+query, `{"sourceObjects":[{"name":"other"}]}`)
		}},
		{name: "copy from", source: true, ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPost, s.objectURL(name)+"/copyTo/b/"+bucketB+"/o/x?"+query, "")
		}},
		{name: "rewrite from", source: true, ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPost, s.objectURL(name)+"/rewriteTo/b/"+bucketB+"/o/x?"+query, "")
		}},
		{name: "move from", source: true, ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodPost, s.objectURL(name)+"/moveTo/o/moved?"+query, "")
		}},
		{name: "move to", ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			s.put(t, "mover", "new")
			a := do(t, http.MethodPost, s.objectURL("mover")+"/moveTo/o/"+name+"?"+query, "")
			if left := do(t, http.MethodGet, s.objectURL("mover"), "").status; (left == 200) == (a.status == 200) {
				t.Errorf("the source of a move that is answered with %d: %d", a.status, left)
			}
			return a
		}},
		{name: "get", read: true, ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodGet, s.objectURL(name)+"?"+query, "")
		}},
		{name: "download", read: true, ok: 200, do: func(t *testing.T, s *Server, name, query string) answer {
			return do(t, http.MethodGet, s.objectURL(name)+"?alt=media&"+query, "")
		}},
	}
}

// Each call honours each precondition, and one that does not hold changes nothing.
func TestPreconditions(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.put(t, "other", "other")
	for _, op := range operations() {
		prefix := "if"
		if op.source {
			prefix = "ifSource"
		}
		news := 412 // of a condition "not match" that does not hold
		if op.read {
			news = 304
		}
		for _, test := range []struct {
			condition string
			value     func(generation int64) int64
			want      int
		}{
			{"GenerationMatch", func(g int64) int64 { return g }, op.ok},
			{"GenerationMatch", func(g int64) int64 { return g - 1 }, 412},
			{"GenerationMatch", func(int64) int64 { return 0 }, 412},
			{"GenerationNotMatch", func(g int64) int64 { return g }, news},
			{"GenerationNotMatch", func(int64) int64 { return 0 }, op.ok},
			{"MetagenerationMatch", func(int64) int64 { return 1 }, op.ok},
			{"MetagenerationMatch", func(int64) int64 { return 2 }, 412},
			{"MetagenerationNotMatch", func(int64) int64 { return 1 }, news},
			{"MetagenerationNotMatch", func(int64) int64 { return 2 }, op.ok},
			{"GenerationMatch", func(int64) int64 { return -1 }, 412},
		} {
			name := strings.ReplaceAll(op.name, " ", "-")
			created := s.put(t, name, "old").generation(t)
			generation, err := strconv.ParseInt(created, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			query := fmt.Sprintf("&%s%s=%d", prefix, test.condition, test.value(generation))
			got := op.do(t, s, name, query)
			if got.status != test.want {
				t.Errorf("%s with %s: got %d, want %d: %s", op.name, query, got.status, test.want, got.body)
			}
			if got.status == 412 && op.name != "download" {
				got.wantReason(t, "conditionNotMet")
			}
			if got.status >= 300 {
				now := do(t, http.MethodGet, s.objectURL(name), "").want(t, 200).fields(t)
				if now["generation"] != created || now["metageneration"] != "1" || s.read(t, name) != "old" {
					t.Errorf("%s with %s changed the object", op.name, query)
				}
			}
		}
	}
}

// ETags are conditions, too, with quotes and without, on content, on descriptions and on buckets.
func TestPreconditionsByETag(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	bucket := s.URL() + "/storage/v1/b/" + bucketA
	for _, test := range []struct {
		header, tag         string // ETAG is the right one
		read, write, bucket int
	}{
		{"If-Match", "ETAG", 200, 200, 200},
		{"If-Match", `"ETAG"`, 200, 200, 200},
		{"If-Match", `"other", "ETAG"`, 200, 200, 200},
		{"If-Match", "*", 200, 200, 200},
		{"If-Match", "other", 412, 412, 412},
		{"If-None-Match", "ETAG", 304, 412, 304},
		{"If-None-Match", `W/"ETAG"`, 304, 412, 304},
		{"If-None-Match", "*", 304, 412, 304},
		{"If-None-Match", `"other"`, 200, 200, 200},
	} {
		what := test.header + ": " + test.tag
		tag, _ := s.put(t, "x", "content").fields(t)["etag"].(string)
		with := func(etag string) string { return strings.ReplaceAll(test.tag, "ETAG", etag) }
		for kind, url := range map[string]string{"description": s.objectURL("x"), "content": s.objectURL("x") + "?alt=media"} {
			if got := do(t, http.MethodGet, url, "", test.header, with(tag)); got.status != test.read {
				t.Errorf("%s, read of the %s: %d, want %d", what, kind, got.status, test.read)
			}
		}
		if got := do(t, http.MethodPatch, s.objectURL("x"), "{}", test.header, with(tag)); got.status != test.write {
			t.Errorf("%s, change: %d, want %d", what, got.status, test.write)
		}
		tag, _ = do(t, http.MethodGet, bucket, "").want(t, 200).fields(t)["etag"].(string)
		if got := do(t, http.MethodGet, bucket, "", test.header, with(tag)); got.status != test.bucket {
			t.Errorf("%s, read of the bucket: %d, want %d", what, got.status, test.bucket)
		}
	}
	// Where there is nothing, any ETag is another one's.
	do(t, http.MethodPost, s.URL()+"/upload/storage/v1/b/"+bucketA+"/o?uploadType=media&name=y", "new", "If-Match", "*").
		want(t, 412)
	do(t, http.MethodPost, s.URL()+"/upload/storage/v1/b/"+bucketA+"/o?uploadType=media&name=y", "new", "If-None-Match",
		"*").want(t, 200)
}

// A composition deletes its sources if it is asked to, in the generations that it used.
func TestComposeDeletesItsSources(t *testing.T) {
	s := start(t, Options{})
	compose := func(request string) {
		t.Helper()
		s.put(t, "a", "A")
		s.put(t, "b", "B")
		do(t, http.MethodPost, s.objectURL("c")+"/compose", request).want(t, 200)
	}
	compose(`{"sourceObjects":[{"name":"a"},{"name":"b"}]}`)
	if s.read(t, "a") != "A" || s.read(t, "c") != "AB" {
		t.Error("a source is gone that was to stay")
	}
	compose(`{"sourceObjects":[{"name":"c"},{"name":"a"},{"name":"b"},{"name":"a"}],"deleteSourceObjects":true}`)
	for _, name := range []string{"a", "b"} {
		do(t, http.MethodGet, s.objectURL(name), "").want(t, 404)
	}
	if got := s.read(t, "c"); got != "ABABA" {
		t.Errorf("composed: %q", got)
	}
}

// The XML API takes conditions in headers; where there is no object, 0 is its
// generation.
func TestPreconditionsOfXMLAndOfNoObject(t *testing.T) {
	s := start(t, Options{})
	url := s.URL() + "/" + bucketA + "/x"
	const header = "X-Goog-If-Generation-Match"
	do(t, http.MethodPut, url, "1", header, "5").want(t, 412)
	do(t, http.MethodPut, url, "1", header, "0").want(t, 200)
	generation := do(t, http.MethodHead, url, "").want(t, 200).header.Get("X-Goog-Generation")
	do(t, http.MethodPut, url, "2", header, "0").want(t, 412)
	do(t, http.MethodGet, url, "", header, "5").want(t, 412)
	do(t, http.MethodGet, url, "", "X-Goog-If-Metageneration-Match", "2").want(t, 412)
	do(t, http.MethodDelete, url, "", header, "5").want(t, 412)
	do(t, http.MethodDelete, url, "", header, generation).want(t, 204)

	upload := s.uploadURL("x", "")
	for query, want := range map[string]int{
		"&ifGenerationNotMatch=0": 412, "&ifMetagenerationMatch=1": 412, "&ifGenerationMatch=" + generation: 412,
		"&ifGenerationMatch=0": 200,
	} {
		_ = do(t, http.MethodDelete, s.objectURL("x"), "")
		do(t, http.MethodPost, upload+query, "x").want(t, want)
	}
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		do(t, method, s.objectURL("none")+"?ifGenerationMatch=1", "{}").want(t, 404).wantReason(t, "notFound")
	}
}

// A composition's sources have conditions of their own. Python's libraries write
// generations as numbers, others as strings.
func TestComposeSources(t *testing.T) {
	s := start(t, Options{})
	g := s.put(t, "a", "A").generation(t)
	s.put(t, "b", "B")
	for _, test := range []struct {
		sources string
		want    int
	}{
		{`{"name":"a"},{"name":"b"},{"name":"a"}`, 200},
		{`{"name":"a","generation":"` + g + `"}`, 200},
		{`{"name":"a","generation":` + g + `}`, 200},
		{`{"name":"a","generation":"1"}`, 404},
		{`{"name":"a","objectPreconditions":{"ifGenerationMatch":` + g + `}}`, 200},
		{`{"name":"a","objectPreconditions":{"ifGenerationMatch":"1"}}`, 412},
		{`{"name":"a","generation":1.5}`, 400},
		{`{"name":"none"}`, 404},
		{``, 400},
		{strings.Repeat(`{"name":"a"},`, 32) + `{"name":"a"}`, 400},
	} {
		a := do(t, http.MethodPost, s.objectURL("c")+"/compose", `{"sourceObjects":[`+test.sources+`]}`)
		if a.status != test.want {
			t.Errorf("%s: got %d, want %d: %s", test.sources, a.status, test.want, a.body)
		}
	}
	do(t, http.MethodPost, s.objectURL("c")+"/compose",
		`{"sourceObjects":[{"name":"a"},{"name":"b"}],"destination":{"contentType":"a/b"}}`).want(t, 200)
	got := do(t, http.MethodPost, s.objectURL("c")+"/compose", `{"sourceObjects":[{"name":"c"},{"name":"a"}]}`).want(t,
		200).fields(t)
	if got["componentCount"] != 3.0 || got["md5Hash"] != nil || s.read(t, "c") != "ABA" {
		t.Errorf("composed: %v, %q", got, s.read(t, "c"))
	}
}

// Of writers that go by the same generation one wins: nothing is lost when all
// count in one object.
func TestCompareAndSwapHasOneWinner(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	object := goClient(t, s).Bucket(bucketA).Object("counter")
	const writers, each = 8, 10
	var mu sync.Mutex
	winners := map[int64]int{} // by the generation that they have replaced
	var wait sync.WaitGroup
	for range writers {
		wait.Go(func() {
			for won := 0; won < each; {
				old, err := increment(t.Context(), object)
				var refused *googleapi.Error
				switch {
				case err == nil:
					won++
					mu.Lock()
					winners[old]++
					mu.Unlock()
				case !errors.As(err, &refused) || refused.Code != http.StatusPreconditionFailed:
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if got := s.read(t, "counter"); got != fmt.Sprint(writers*each) {
		t.Errorf("the counter is %s after %d increments", got, writers*each)
	}
	for generation, n := range winners {
		if n != 1 {
			t.Errorf("generation %d was replaced %d times", generation, n)
		}
	}
}

// increment adds one to the number in an object, if nobody else does meanwhile.
func increment(ctx context.Context, object *gcs.ObjectHandle) (old int64, err error) {
	n, cond := 0, gcs.Conditions{DoesNotExist: true}
	r, err := object.NewReader(ctx)
	if err == nil {
		data, err := io.ReadAll(r)
		if err != nil {
			return 0, err
		}
		if n, err = strconv.Atoi(string(data)); err != nil {
			return 0, err
		}
		old = r.Attrs.Generation
		cond = gcs.Conditions{GenerationMatch: old}
	} else if !errors.Is(err, gcs.ErrObjectNotExist) {
		return 0, err
	}
	w := object.If(cond).NewWriter(ctx)
	if _, err := fmt.Fprint(w, n+1); err != nil {
		return 0, err
	}
	return old, w.Close()
}

// The check of a condition and the write are one step: writers that have sent all
// of their content, and begin that step together, are told apart.
func TestWritersOfOneInstantHaveOneWinner(t *testing.T) {
	t.Parallel()
	s := unserved(t, t.TempDir())
	const rounds, writers = 500, 2
	generation := int64(0)
	for round := range rounds {
		// They wait for each other awake: who is woken comes later.
		var ready atomic.Int32
		won := make(chan int64, writers)
		var wait sync.WaitGroup
		for range writers {
			spool, err := s.store.newSpool(1)
			if err != nil {
				t.Fatal(err)
			}
			wait.Go(func() {
				defer spool.discard()
				for ready.Add(1); ready.Load() < writers; {
					runtime.Gosched()
				}
				o, err := s.create(object{Bucket: bucketA, Name: "a"}, spool, conditions{generationMatch: &generation})
				if err == nil {
					won <- o.Generation
				} else if asFault(err).status != http.StatusPreconditionFailed {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if len(won) != 1 {
			t.Fatalf("round %d has %d winners", round, len(won))
		}
		generation = <-won
	}
}
