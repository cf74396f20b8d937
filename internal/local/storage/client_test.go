package storage

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	gcs "cloud.google.com/go/storage"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
)

// Google's own client for Go writes and reads objects of all sizes, in one request
// and in pieces.
func TestGoClientContent(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	b := goClient(t, s).Bucket(bucketA)
	const piece = googleapi.MinUploadChunkSize
	for _, test := range []struct{ size, chunk int }{
		{0, 0}, {1, 0}, {0, piece}, {1, piece}, {piece - 1, piece}, {piece, piece}, {piece + 1, piece},
		{5*piece + 17, 2 * piece}, {3 * piece, piece},
	} {
		t.Run(fmt.Sprintf("%d by %d", test.size, test.chunk), func(t *testing.T) {
			content := make([]byte, test.size)
			_, _ = rand.NewChaCha8([32]byte{}).Read(content)
			o := b.Object("dir/ü ?#%2f&.bin")
			w := o.NewWriter(t.Context())
			w.ChunkSize = test.chunk
			w.ContentType, w.Metadata, w.CacheControl = "a/b", map[string]string{"k": "v"}, "no-store"
			w.CRC32C, w.SendCRC32C = castagnoli(content), true
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			a := w.Attrs()
			if a.Size != int64(test.size) || a.CRC32C != castagnoli(content) || a.ContentType != "a/b" ||
				a.Metadata["k"] != "v" || a.CacheControl != "no-store" {
				t.Errorf("attributes are %+v", a)
			}
			for _, span := range [][2]int64{{0, -1}, {0, 1}, {7, 5}, {int64(test.size) / 2, -1}, {-3, -1},
				{int64(test.size), -1}} {
				r, err := o.NewRangeReader(t.Context(), span[0], span[1])
				from, to := span[0], int64(test.size)
				if from < 0 {
					from = max(0, to+from)
				}
				if span[1] >= 0 {
					to = min(from+span[1], to)
				}
				if from > to || from == to && from > 0 { // nothing is there
					if err == nil {
						t.Errorf("range %v of %d bytes: no error", span, test.size)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, content[from:to]) {
					t.Errorf("range %v: %d bytes, not those that were written: %v", span, len(got), err)
				}
			}
		})
	}
}

// A reader that has begun ends with the generation it began with.
func TestReadersKeepTheirGeneration(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	o := goClient(t, s).Bucket(bucketA).Object("big")
	write := func(content []byte) {
		t.Helper()
		w := o.NewWriter(t.Context())
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// More than fits into the buffers of a connection.
	const size = 24 << 20
	old := bytes.Repeat([]byte("old"), size/3)
	write(old)
	var readers []*gcs.Reader
	for range 3 {
		r, err := o.NewReader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	write([]byte("new"))
	if got := s.read(t, "big"); got != "new" {
		t.Errorf("a new reader got %d bytes", len(got))
	}
	if err := o.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range readers {
		rest, err := io.ReadAll(r) // the client compares the checksum
		if err != nil || !bytes.Equal(rest, old[3:]) {
			t.Errorf("an old reader got %d more bytes, not those it began with: %v", len(rest), err)
		}
	}
}

// A client that does not take gzip gets such content unpacked.
func TestGzipTranscoding(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := goClient(t, s)
	text := strings.Repeat("a line of text\n", 1000)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	write := func(name, content, cacheControl string) {
		t.Helper()
		w := c.Bucket(bucketA).Object(name).NewWriter(t.Context())
		w.ContentEncoding, w.CacheControl = "gzip", cacheControl
		_, _ = io.WriteString(w, content)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write("packed", packed.String(), "")
	write("kept", packed.String(), "no-transform")
	write("lie", text, "")
	for _, test := range []struct {
		name, object, accept, span, want, encoding string
		status                                     int
	}{
		{"unpacked", "packed", "", "", text, "", 200},
		{"packed", "packed", "gzip, deflate", "", packed.String(), "gzip", 200},
		{"range of what is unpacked is all", "packed", "", "bytes=0-3", text, "", 200},
		{"range of what is packed", "packed", "gzip", "bytes=0-3", packed.String()[:4], "gzip", 206},
		{"no-transform", "kept", "", "", packed.String(), "gzip", 200},
		{"not packed in truth", "lie", "", "", text, "", 200},
	} {
		for _, url := range []string{s.objectURL(test.object) + "?alt=media", s.URL() + "/" + bucketA + "/" + test.object} {
			headers := []string{}
			if test.accept != "" {
				headers = append(headers, "Accept-Encoding", test.accept)
			}
			if test.span != "" {
				headers = append(headers, "Range", test.span)
			}
			got := do(t, http.MethodGet, url, "", headers...).want(t, test.status)
			if got.body != test.want || got.header.Get("Content-Encoding") != test.encoding {
				t.Errorf("%s: got %d bytes with encoding %q", test.name, len(got.body), got.header.Get("Content-Encoding"))
			}
			if want := fmt.Sprint(packed.Len()); test.object == "packed" &&
				got.header.Get("X-Goog-Stored-Content-Length") != want {
				t.Errorf("%s: stored length is %q, want %s", test.name, got.header.Get("X-Goog-Stored-Content-Length"), want)
			}
		}
	}
	for compressed, want := range map[bool]string{false: text, true: packed.String()} {
		r, err := c.Bucket(bucketA).Object("packed").ReadCompressed(compressed).NewReader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); string(got) != want || err != nil {
			t.Errorf("Go's client, compressed %t: %d bytes, %v", compressed, len(got), err)
		}
	}
}

// Attributes, copies, compositions, buckets and lists through Google's client.
func TestGoClientCalls(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := goClient(t, s)
	ctx := t.Context()
	b := c.Bucket(bucketA)
	s.put(t, "dir/a", "A")
	s.put(t, "dir/b", "B")
	a := b.Object("dir/a")
	updated, err := a.Update(ctx, gcs.ObjectAttrsToUpdate{
		ContentType: "x/y",
		Metadata:    map[string]string{"m": "1", "n": "2"},
	})
	if err != nil || updated.Metageneration != 2 || updated.ContentType != "x/y" {
		t.Fatalf("update: %+v, %v", updated, err)
	}
	if updated, err = a.Update(ctx, gcs.ObjectAttrsToUpdate{Metadata: map[string]string{"m": "3"}}); err != nil ||
		updated.Metadata["m"] != "3" || updated.ContentType != "x/y" {
		t.Errorf("second update: %+v, %v", updated, err)
	}
	copied, err := c.Bucket(bucketB).Object("copy").CopierFrom(a).Run(ctx)
	if err != nil || copied.ContentType != "x/y" || copied.Metadata["m"] != "3" || copied.MD5 == nil ||
		copied.Generation == updated.Generation {
		t.Errorf("copy: %+v, %v", copied, err)
	}
	copier := c.Bucket(bucketB).Object("copy").CopierFrom(a)
	copier.ContentType, copier.StorageClass = "other/type", "NEARLINE"
	if copied, err = copier.Run(ctx); err != nil || copied.ContentType != "other/type" || copied.Metadata != nil ||
		copied.StorageClass != "NEARLINE" {
		t.Errorf("copy with other settings: %+v, %v", copied, err)
	}
	s.put(t, "dir/here", "moved")
	there := gcs.MoveObjectDestination{Object: "dir/there", Conditions: &gcs.Conditions{DoesNotExist: true}}
	moved, err := b.Object("dir/here").Move(ctx, there)
	if err != nil || moved.Name != "dir/there" || moved.Size != 5 || moved.Metageneration != 1 {
		t.Errorf("move: %+v, %v", moved, err)
	}
	if _, err := b.Object("dir/here").Attrs(ctx); !errors.Is(err, gcs.ErrObjectNotExist) {
		t.Errorf("the source of a move: %v", err)
	}
	s.put(t, "dir/here", "moved")
	if _, err := b.Object("dir/here").Move(ctx, there); err == nil {
		t.Error("a move replaces what must not exist")
	}
	for _, name := range []string{"dir/here", "dir/there"} {
		if err := b.Object(name).Delete(ctx); err != nil {
			t.Error(err)
		}
	}
	composed, err := b.Object("dir/c").ComposerFrom(a, b.Object("dir/b")).Run(ctx)
	if err != nil || composed.Size != 2 || composed.ComponentCount != 2 || composed.CRC32C != castagnoli([]byte("AB")) {
		t.Errorf("composition: %+v, %v", composed, err)
	}
	list := func(q *gcs.Query) (names []string) {
		t.Helper()
		for it := b.Objects(ctx, q); ; {
			o, err := it.Next()
			if errors.Is(err, iterator.Done) {
				return names
			}
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, o.Prefix+o.Name)
		}
	}
	selection := &gcs.Query{Prefix: "dir/"}
	if err := selection.SetAttrSelection([]string{"Name"}); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]string{"dir/a", "dir/b", "dir/c"}, list(selection)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]string{"dir/"}, list(&gcs.Query{Delimiter: "/"})); diff != "" {
		t.Errorf("list with a delimiter (-want +got):\n%s", diff)
	}
	if err := c.Bucket("made").Create(ctx, "local", &gcs.BucketAttrs{Labels: map[string]string{"l": "1"}}); err != nil {
		t.Fatal(err)
	}
	attrs, err := c.Bucket("made").Attrs(ctx)
	if err != nil || attrs.Labels["l"] != "1" || attrs.MetaGeneration != 1 {
		t.Errorf("bucket: %+v, %v", attrs, err)
	}
	change := gcs.BucketAttrsToUpdate{}
	change.SetLabel("l", "2")
	if attrs, err = c.Bucket("made").Update(ctx, change); err != nil || attrs.Labels["l"] != "2" ||
		attrs.MetaGeneration != 2 {
		t.Errorf("updated bucket: %+v, %v", attrs, err)
	}
	var buckets []string
	for it := c.Buckets(ctx, "local"); ; {
		b, err := it.Next()
		if err != nil {
			break
		}
		buckets = append(buckets, b.Name)
	}
	if want := []string{bucketA, bucketB, "made"}; !slices.Equal(buckets, want) {
		t.Errorf("buckets are %q, want %q", buckets, want)
	}
	if err := c.Bucket("made").Delete(ctx); err != nil {
		t.Error(err)
	}
	if err := b.Delete(ctx); err == nil {
		t.Error("a bucket with objects was deleted")
	}
	if _, err := c.Bucket("made").Attrs(ctx); !errors.Is(err, gcs.ErrBucketNotExist) {
		t.Errorf("deleted bucket: %v", err)
	}
	if err := a.Delete(ctx); err != nil {
		t.Error(err)
	}
	if _, err := a.Attrs(ctx); !errors.Is(err, gcs.ErrObjectNotExist) {
		t.Errorf("deleted object: %v", err)
	}
}

// Metadata that no header can hold does not keep anyone from reading the object.
func TestReadersOfOddMetadata(t *testing.T) {
	s := start(t, Options{})
	o := goClient(t, s).Bucket(bucketA).Object("odd")
	w := o.NewWriter(t.Context())
	w.Metadata = map[string]string{"control": "a\x01b", "a key": "b", "plain": "c"}
	if _, err := w.Write([]byte("content")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := o.NewReader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "content" {
		t.Errorf("read %q, %v", got, err)
	}
	if diff := gocmp.Diff(map[string]string{"Plain": "c"}, r.Metadata()); diff != "" {
		t.Errorf("metadata in headers (-want +got):\n%s", diff)
	}
}
