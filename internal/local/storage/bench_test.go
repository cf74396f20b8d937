package storage

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkServer measures what training asks for: records, long lists, models.
// Allocations are those of client and server.
func BenchmarkServer(b *testing.B) {
	send := func(b *testing.B, method, url string, body io.Reader) {
		r, err := http.NewRequestWithContext(b.Context(), method, url, body)
		if err != nil {
			b.Fatal(err)
		}
		res, err := keepAlive.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			b.Fatalf("status %d: %v", res.StatusCode, err)
		}
	}
	b.Run("write of 1 KiB", func(b *testing.B) {
		s := start(b, Options{})
		content := strings.Repeat("x", 1<<10)
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			send(b, http.MethodPost, s.uploadURL(fmt.Sprintf("dir/%d", n%10_000), ""), strings.NewReader(content))
			n++
		}
	})
	b.Run("list of 10000 objects", func(b *testing.B) {
		s := start(b, Options{})
		for n := range 10_000 {
			o := object{Bucket: bucketA, Name: fmt.Sprintf("dir/%05d", n), Generation: int64(n + 1)}
			s.store.buckets[bucketA].insert(&o)
		}
		b.ReportAllocs()
		for b.Loop() {
			for page := range 10 {
				send(b, http.MethodGet, fmt.Sprintf("%s/storage/v1/b/%s/o?maxResults=1000&startOffset=dir/%05d", s.URL(), bucketA,
					page*1000), nil)
			}
		}
	})
	content := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	b.Run("upload of 64 MiB", func(b *testing.B) {
		s := start(b, Options{})
		b.SetBytes(int64(len(content)))
		b.ReportAllocs()
		for b.Loop() {
			send(b, http.MethodPost, s.uploadURL("large", ""), bytes.NewReader(content))
		}
	})
	b.Run("download of 64 MiB", func(b *testing.B) {
		s := start(b, Options{})
		send(b, http.MethodPost, s.uploadURL("large", ""), bytes.NewReader(content))
		b.SetBytes(int64(len(content)))
		b.ReportAllocs()
		for b.Loop() {
			send(b, http.MethodGet, s.objectURL("large")+"?alt=media", nil)
		}
	})
}
