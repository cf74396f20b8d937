package storage

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/discovery"
	"github.com/jobdrop/jobdrop/internal/local/front"
)

// about is what a request asks for: the call by its name in Google's API, and what it is about.
type about struct {
	method, bucket, object string
}

// isXML reports whether a path is one of the XML API's: of no other.
func isXML(path string) bool {
	switch path {
	case "/", "/batch", "/storage/v1", discovery.Path:
		return false
	}
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(path, p.prefix); ok && (rest == "" || rest[0] == '/') {
			return false
		}
	}
	return !slices.ContainsFunc([]string{"/storage/v1/", "/upload/storage/v1/", "/resumable/upload/storage/v1/",
		"/download/storage/v1/", "/batch/"}, func(api string) bool { return strings.HasPrefix(path, api) })
}

// about reads what a request asks for. What is not a call of those that are here has no method.
func (s *Server) about(r *http.Request) about {
	path, verb := r.URL.EscapedPath(), r.Method
	if override := r.Header.Get("X-HTTP-Method-Override"); verb == http.MethodPost && override != "" {
		verb = override
	}
	for _, p := range prefixes {
		rest, ok := strings.CutPrefix(path, p.prefix)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		c := &call{Request: r}
		if c.parse(rest) != nil {
			return about{}
		}
		if strings.HasPrefix(p.prefix, "/upload") || strings.HasPrefix(p.prefix, "/resumable") {
			return about{"storage.objects.insert", c.bucket, ""}
		}
		return aboutJSON(verb, c.bucket, c.path)
	}
	if !isXML(path) {
		return about{}
	}
	bucket, name, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	name, err := url.PathUnescape(name)
	if err != nil {
		return about{}
	}
	a := about{bucket: bucket, object: name}
	switch {
	case name == "" && verb == http.MethodGet:
		a.method = "storage.objects.list"
	case name == "" && verb == http.MethodHead:
		a.method = "storage.buckets.get"
	case name == "":
	case verb == http.MethodPut && r.Header.Get("X-Goog-Copy-Source") != "":
		a.method = "storage.objects.copy"
	case verb == http.MethodPut || verb == http.MethodPost:
		a.method = "storage.objects.insert"
	default:
		a.method = verbs["storage.objects."][verb]
	}
	return a
}

// verbs are the calls of a single resource.
var verbs = map[string]map[string]string{
	"storage.buckets.": {
		http.MethodGet: "storage.buckets.get", http.MethodHead: "storage.buckets.get",
		http.MethodPatch: "storage.buckets.patch", http.MethodPut: "storage.buckets.update",
		http.MethodDelete: "storage.buckets.delete",
	},
	"storage.objects.": {
		http.MethodGet: "storage.objects.get", http.MethodHead: "storage.objects.get",
		http.MethodPatch: "storage.objects.patch", http.MethodPut: "storage.objects.update",
		http.MethodDelete: "storage.objects.delete",
	},
}

// aboutJSON reads the path of the JSON API below .../b/<bucket>.
func aboutJSON(verb, bucket string, path []string) about {
	a := about{bucket: bucket}
	if n := len(path); (n == 1 || n == 2) && path[n-1] == "" { // not of an object, whose name may end so
		path = path[:n-1]
	}
	switch {
	case bucket == "" && verb == http.MethodGet:
		a.method = "storage.buckets.list"
	case bucket == "" && verb == http.MethodPost:
		a.method = "storage.buckets.insert"
	case bucket == "":
	case len(path) == 0:
		a.method = verbs["storage.buckets."][verb]
	case path[0] == "iam" && verb == http.MethodGet:
		a.method = "storage.buckets.getIamPolicy"
		if len(path) > 1 {
			a.method = "storage.buckets.testIamPermissions"
		}
	case path[0] != "o":
	case len(path) == 1 && verb == http.MethodPost:
		a.method = "storage.objects.insert"
	case len(path) == 1:
		a.method = "storage.objects.list"
	default:
		path = path[1:]
		if belowObject(path) {
			return a
		}
		word, end := objectVerb(verb, path)
		a.method = verbs["storage.objects."][verb]
		if word != "" {
			a.method = "storage.objects." + strings.TrimSuffix(word, "To")
		}
		a.object = strings.Join(path[:end], "/")
	}
	return a
}

// objectVerb returns the word for what a request does with an object beyond its plain methods, or "", and
// where it stands in the path below .../o. Before it comes the object's name.
func objectVerb(method string, path []string) (word string, at int) {
	last := len(path) - 1
	if method != http.MethodPost {
		return "", len(path)
	}
	for _, word := range []string{"rewriteTo", "copyTo"} { // /b/<bucket>/o/<name>
		if i := slices.Index(path, word); i > 0 && len(path) > i+4 && path[i+1] == "b" && path[i+3] == "o" {
			return word, i
		}
	}
	if i := slices.Index(path, "moveTo"); i > 0 && len(path) > i+2 && path[i+1] == "o" {
		return "moveTo", i
	}
	if last > 0 && path[last] == "compose" {
		return "compose", last
	}
	return "", len(path)
}

// belowObject reports whether a path below .../o is of an object's rights.
func belowObject(path []string) bool {
	return (len(path) == 2 || len(path) == 3) && (path[1] == "acl" || path[1] == "iam")
}

// maxDescribed bounds what is read of an upload to learn the object's name, in bytes.
const maxDescribed = 64 << 10

// name completes what a call is about with the name of the object. An upload's stands in its query, in its
// session, or in its content, which name reads and puts back.
func (s *Server) name(r *http.Request, a *about) {
	if a.object != "" || a.method != "storage.objects.insert" {
		return
	}
	q := r.URL.Query()
	if a.object = q.Get("name"); a.object != "" {
		return
	}
	if id := q.Get("upload_id"); id != "" {
		a.object = s.uploads.nameOf(id)
		return
	}
	var read bytes.Buffer
	body := io.TeeReader(io.LimitReader(r.Body, maxDescribed), &read)
	described := body
	if boundary := front.Boundary(r.Header.Get("Content-Type")); boundary != "" {
		if part, err := multipart.NewReader(body, boundary).NextRawPart(); err == nil {
			described = part
		}
	}
	var i insertion
	if json.NewDecoder(described).Decode(&i) == nil { // what is wrong with it is said later
		a.object = i.Name
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&read, r.Body), r.Body}
}
