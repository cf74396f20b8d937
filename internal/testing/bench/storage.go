package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// storageServer answers the JSON API of Cloud Storage, and reads of its XML API, which Google's client for Go uses.
// Conditions other than ifGenerationMatch on an upload are refused: so no program relies on them unseen.
type storageServer struct {
	store *store
	calls *calls
}

// fault is what a service says of a request that it does not fulfil.
type fault struct {
	code int
	text string
}

func (f *fault) Error() string { return f.text }

// writeFault answers with a code.
func writeFault(w http.ResponseWriter, code int, text string) {
	if text == "" {
		text = http.StatusText(code)
	}
	writeJSON(w, code, map[string]any{"error": map[string]any{
		"code": code, "message": text, "status": text,
		"errors": []map[string]string{{"message": text, "domain": "global", "reason": text}},
	}})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps and texts
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(code)
	_, _ = w.Write(data)
}

// answer is what a call is answered with, when it is recorded.
type answer func(w http.ResponseWriter)

func (s *storageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Read before the call begins: a body on its way is the program's time.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the program went away
	}
	path, query := segments(r.URL), r.URL.Query()
	if path[0] == "b" { // Google's library for Node.js takes the host of an emulator for the API's base
		path = append([]string{"storage", "v1"}, path...)
	}
	handle, kind, object := s.route(r, path, query, body)
	var say answer
	code := s.calls.do(r.Context(), kind, object, func(time.Time) int {
		var err error
		code := http.StatusOK
		if say, err = handle(); err != nil {
			code = http.StatusBadRequest
			if f := (*fault)(nil); errors.As(err, &f) {
				code = f.code
			}
			say = func(w http.ResponseWriter) { writeFault(w, code, err.Error()) }
		}
		return code
	})
	if say == nil {
		say = func(w http.ResponseWriter) { writeFault(w, code, "") }
	}
	say(w)
}

// segments returns the parts of a path, each decoded.
func segments(u *url.URL) []string {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, p := range parts {
		if text, err := url.PathUnescape(p); err == nil {
			parts[i] = text
		}
	}
	return parts
}

// matches reports whether a path has a form, in which * stands for any part.
func matches(path []string, form string) bool {
	parts := strings.Split(form, "/")
	if len(parts) != len(path) {
		return false
	}
	for i, part := range parts {
		if part != "*" && part != path[i] {
			return false
		}
	}
	return true
}

// route returns what a request asks for.
func (s *storageServer) route(r *http.Request, path []string, query url.Values, body []byte) (
	handle func() (answer, error), kind, object string,
) {
	generation := func(name string, absent int64) int64 {
		n, err := strconv.ParseInt(query.Get(name), 10, 64)
		if err != nil {
			return absent
		}
		return n
	}
	get := r.Method == http.MethodGet
	switch {
	case get && matches(path, "storage/v1/b/*"):
		return func() (answer, error) {
			return asJSON(map[string]any{"kind": "storage#bucket", "name": path[3], "location": "US-CENTRAL1"}), nil
		}, bucket, path[3]
	case get && matches(path, "storage/v1/b/*/o"):
		return func() (answer, error) { return s.listed(path[3], query) }, list, objectOf(path[3], query.Get("prefix"))
	case get && matches(path, "storage/v1/b/*/o/*") && query.Get("alt") == "media":
		return func() (answer, error) { return s.content(path[3], path[5], generation("generation", 0)) },
			read, objectOf(path[3], path[5])
	case get && matches(path, "storage/v1/b/*/o/*"):
		return func() (answer, error) { return s.attributes(path[3], path[5], generation("generation", 0), query) },
			stat, objectOf(path[3], path[5])
	case r.Method == http.MethodPost && matches(path, "upload/storage/v1/b/*/o"):
		o, err := upload(r, query, body)
		o.bucket = path[4]
		return func() (answer, error) {
			if err != nil {
				return nil, err
			}
			return s.inserted(o, generation("ifGenerationMatch", anyGeneration), query)
		}, write, objectOf(o.bucket, o.name)
	case r.Method == http.MethodPost && matches(path, "storage/v1/b/*/o/*/rewriteTo/b/*/o/*"):
		return func() (answer, error) {
			return s.rewritten(path[3], path[5], generation("sourceGeneration", 0), path[8], path[10], body, query)
		}, copying, objectOf(path[8], path[10])
	case r.Method == http.MethodDelete && matches(path, "storage/v1/b/*/o/*"):
		return func() (answer, error) {
			if code := s.store.delete(path[3], path[5], generation("generation", 0)); code != http.StatusNoContent {
				return nil, &fault{code, "No such object: " + path[3] + "/" + path[5]}
			}
			return func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }, nil
		}, remove, objectOf(path[3], path[5])
	case get && len(path) > 1 && path[0] != "storage": // GET /BUCKET/OBJECT
		name := strings.Join(path[1:], "/")
		return func() (answer, error) { return s.content(path[0], name, generation("generation", 0)) },
			read, objectOf(path[0], name)
	}
	return func() (answer, error) {
		return nil, &fault{http.StatusNotImplemented, "the stand-in has no " + r.Method + " " + r.URL.Path}
	}, unknown, r.Method + " " + r.URL.Path
}

func asJSON(v any) answer {
	return func(w http.ResponseWriter) { writeJSON(w, http.StatusOK, v) }
}

// resource returns the API's resource of an object. fields is what a request asks for. A whole resource is twice as
// long as what most programs read, and that costs them time, as the service's own does.
func resource(o *stored, fields string) map[string]any {
	if fields == "generation" {
		return map[string]any{"generation": strconv.FormatInt(o.generation, 10)}
	}
	r := map[string]any{
		"bucket": o.bucket, "name": o.name, "generation": strconv.FormatInt(o.generation, 10),
		"size": strconv.Itoa(len(o.data)), "crc32c": o.crc32c, "timeCreated": o.created.UTC().Format(timeFormat),
	}
	if o.contentEncoding != "" {
		r["contentEncoding"] = o.contentEncoding
	}
	if len(o.metadata) > 0 {
		r["metadata"] = o.metadata
	}
	if fields != "" {
		return r
	}
	path := "/storage/v1/b/" + o.bucket + "/o/" + url.PathEscape(o.name)
	r["kind"], r["id"] = "storage#object", fmt.Sprintf("%s/%s/%d", o.bucket, o.name, o.generation)
	r["selfLink"] = "https://www.googleapis.com" + path
	r["mediaLink"] = "https://storage.googleapis.com/download" + path + "?alt=media"
	r["contentType"], r["storageClass"], r["metageneration"] = o.contentType, "STANDARD", "1"
	r["updated"], r["timeStorageClassUpdated"] = r["timeCreated"], r["timeCreated"]
	r["etag"] = base64.StdEncoding.EncodeToString(strconv.AppendInt(nil, o.generation, 10))
	return r
}

const timeFormat = "2006-01-02T15:04:05.000Z07:00"

func (s *storageServer) listed(bucket string, query url.Values) (answer, error) {
	from, size := query.Get("startOffset"), 1000
	if token, err := base64.URLEncoding.DecodeString(query.Get("pageToken")); err != nil {
		return nil, err
	} else if len(token) > 0 {
		from = string(token)
	}
	if n, err := strconv.Atoi(query.Get("maxResults")); err == nil && n > 0 {
		size = min(size, n)
	}
	p := s.store.list(bucket, query.Get("prefix"), from, query.Get("delimiter") == "/", size)
	result := map[string]any{}
	items := make([]map[string]any, 0, len(p.objects))
	for _, o := range p.objects {
		items = append(items, resource(o, query.Get("fields")))
	}
	if len(items) > 0 {
		result["items"] = items
	}
	if query.Get("fields") == "" {
		result["kind"] = "storage#objects"
		if len(p.prefixes) > 0 {
			result["prefixes"] = p.prefixes
		}
	}
	if p.next != "" {
		result["nextPageToken"] = base64.URLEncoding.EncodeToString([]byte(p.next))
	}
	return asJSON(result), nil
}

func (s *storageServer) found(bucket, name string, generation int64) (*stored, error) {
	o := s.store.get(bucket, name, generation)
	if o == nil {
		return nil, &fault{http.StatusNotFound, "No such object: " + bucket + "/" + name}
	}
	return o, nil
}

func (s *storageServer) attributes(bucket, name string, generation int64, query url.Values) (answer, error) {
	o, err := s.found(bucket, name, generation)
	if err != nil {
		return nil, err
	}
	return asJSON(resource(o, query.Get("fields"))), nil
}

func (s *storageServer) content(bucket, name string, generation int64) (answer, error) {
	o, err := s.found(bucket, name, generation)
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter) {
		h := w.Header()
		h.Set("Content-Type", o.contentType)
		h.Set("Content-Length", strconv.Itoa(len(o.data)))
		h.Set("X-Goog-Generation", strconv.FormatInt(o.generation, 10))
		h.Set("X-Goog-Metageneration", "1")
		h.Set("X-Goog-Hash", "crc32c="+o.crc32c)
		h.Set("X-Goog-Stored-Content-Length", strconv.Itoa(len(o.data)))
		h.Set("X-Goog-Stored-Content-Encoding", "identity")
		h.Set("Last-Modified", o.created.UTC().Format(http.TimeFormat))
		_, _ = w.Write(o.data)
	}, nil
}

// upload returns the object of an upload in one request.
func upload(r *http.Request, query url.Values, body []byte) (stored, error) {
	o := stored{name: query.Get("name"), contentType: r.Header.Get("Content-Type")}
	switch how := query.Get("uploadType"); how {
	case "media":
		o.data = body
		return o, nil
	case "multipart":
	default:
		return o, &fault{http.StatusNotImplemented, "the stand-in has no uploads of type " + how}
	}
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return o, err
	}
	parts := multipart.NewReader(strings.NewReader(string(body)), params["boundary"])
	var content [2][]byte
	for i := range content {
		part, err := parts.NextRawPart()
		if err != nil {
			return o, err
		}
		if content[i], err = io.ReadAll(part); err != nil {
			return o, err
		}
		o.contentType = part.Header.Get("Content-Type")
	}
	var said struct {
		Name, ContentType, ContentEncoding string
		Metadata                           map[string]string
	}
	if err := json.Unmarshal(content[0], &said); err != nil {
		return o, err
	}
	if said.Name != "" {
		o.name = said.Name
	}
	if said.ContentType != "" {
		o.contentType = said.ContentType
	}
	o.data, o.metadata, o.contentEncoding = content[1], said.Metadata, said.ContentEncoding
	return o, nil
}

func (s *storageServer) inserted(o stored, ifGeneration int64, query url.Values) (answer, error) {
	written, code := s.store.put(o, ifGeneration)
	if code != http.StatusOK {
		return nil, &fault{code, http.StatusText(code)}
	}
	return asJSON(resource(written, query.Get("fields"))), nil
}

func (s *storageServer) rewritten(fromBucket, from string, generation int64, bucket, name string, body []byte,
	query url.Values) (answer, error) {
	source, err := s.found(fromBucket, from, generation)
	if err != nil {
		return nil, err
	}
	var said struct {
		ContentType string
		Metadata    map[string]string
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &said); err != nil {
			return nil, err
		}
	}
	o := stored{bucket: bucket, name: name, data: source.data, contentType: said.ContentType, metadata: said.Metadata}
	written, code := s.store.put(o, anyGeneration)
	if code != http.StatusOK {
		return nil, &fault{code, http.StatusText(code)}
	}
	result := map[string]any{"done": true}
	if query.Get("fields") == "" {
		size := strconv.Itoa(len(o.data))
		result["kind"], result["objectSize"], result["totalBytesRewritten"] = "storage#rewriteResponse", size, size
		result["resource"] = resource(written, "")
	}
	return asJSON(result), nil
}
