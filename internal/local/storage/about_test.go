package storage

import (
	"net/http/httptest"
	"testing"
)

// What a request is about is what it is served as.
func TestAbout(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	const o = "/storage/v1/b/b/o/"
	for _, tt := range []struct {
		method, path string
		want         about
	}{
		{"POST", o + "src/rewriteTo/b/B/o/compose", about{"storage.objects.rewrite", "b", "src"}},
		{"POST", o + "src/copyTo/b/B/o/moveTo/o/x", about{"storage.objects.copy", "b", "src"}},
		{"POST", o + "src/moveTo/o/compose", about{"storage.objects.move", "b", "src"}},
		{"POST", o + "rewriteTo/x/compose", about{"storage.objects.compose", "b", "rewriteTo/x"}},
		{"POST", o + "a%2Fb/compose", about{"storage.objects.compose", "b", "a/b"}},
		{"POST", o + "compose", about{"", "b", "compose"}},
		{"GET", o + "src/copyTo/b/B/o/x", about{"storage.objects.get", "b", "src/copyTo/b/B/o/x"}},
		{"GET", o + "folder%2F", about{"storage.objects.get", "b", "folder/"}},
		{"GET", o + "folder/", about{"storage.objects.get", "b", "folder/"}},
		{"GET", o + "a/acl", about{"", "b", ""}},
		{"GET", o + "a/iam/x", about{"", "b", ""}},
		{"GET", o, about{"storage.objects.list", "b", ""}},
		{"GET", "/storage/v1/b/b/", about{"storage.buckets.get", "b", ""}},
		{"GET", "/b/b/o/x", about{"storage.objects.get", "b", "x"}},
		{"GET", "/", about{}},
		{"GET", "/$discovery/rest", about{}},
		{"GET", "/storage/v1", about{}},
		{"GET", "/storage/v1/projects/p/serviceAccount", about{}},
		{"POST", "/batch", about{}},
		{"POST", "/batch/storage/v1", about{}},
		{"GET", "/batches/x", about{"storage.objects.get", "batches", "x"}},
		{"PUT", "/bucket/a%2Fb/c", about{"storage.objects.insert", "bucket", "a/b/c"}},
		{"GET", "/bucket/", about{"storage.objects.list", "bucket", ""}},
	} {
		for range 8 { // a map's order is another each time
			if got := s.about(httptest.NewRequest(tt.method, tt.path, nil)); got != tt.want {
				t.Errorf("%s %s: got %+v, want %+v", tt.method, tt.path, got, tt.want)
				break
			}
		}
	}
}
