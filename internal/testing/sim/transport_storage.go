package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// serveStorage answers a request of Cloud Storage's JSON API.
func (t *transport) serveStorage(ctx context.Context, q request) (*answer, error) {
	s := t.w.storage
	switch {
	case q.matches(http.MethodGet, "storage/v1/b/*/o"):
		return t.listObjects(ctx, q, q.path[3])
	case q.matches(http.MethodGet, "storage/v1/b/*/o/*"):
		return t.getObject(ctx, q, q.path[3], q.path[5])
	case q.matches(http.MethodPost, "upload/storage/v1/b/*/o"):
		return t.insertObject(ctx, q, q.path[4])
	case q.matches(http.MethodPost, "storage/v1/b/*/o/*/rewriteTo/b/*/o/*"):
		return t.rewriteObject(ctx, q)
	case q.matches(http.MethodDelete, "storage/v1/b/*/o/*"):
		if err := q.only("generation"); err != nil {
			return nil, err
		}
		generation, err := q.number("generation", 0)
		if err != nil {
			return nil, err
		}
		there, err := s.remove(ctx, q.path[3], q.path[5], generation)
		if err == nil && !there {
			err = fmt.Errorf("no such object: %w", job.ErrNotFound)
		}
		return &answer{status: http.StatusNoContent}, err
	}
	return nil, invalid("no such call: %s %s", q.method, strings.Join(q.path, "/"))
}

// resource returns the API's resource of an object.
func resource(a job.Attributes) map[string]any {
	r := map[string]any{
		"kind": "storage#object", "bucket": a.Bucket, "name": a.Name, "generation": strconv.FormatInt(a.Generation, 10),
		"metageneration": "1",
		"size":           strconv.FormatInt(a.Size, 10), "crc32c": a.CRC32C,
		"timeCreated": a.Created.Format(time.RFC3339Nano),
	}
	if len(a.Metadata) > 0 {
		r["metadata"] = a.Metadata
	}
	return r
}

func (t *transport) listObjects(ctx context.Context, q request, bucket string) (*answer, error) {
	if err := q.only("prefix", "delimiter", "startOffset", "maxResults", "pageToken", "fields"); err != nil {
		return nil, err
	}
	size, err := q.number("maxResults", 1000)
	if err != nil {
		return nil, err
	}
	if d := q.query.Get("delimiter"); d != "" && d != "/" {
		return nil, invalid("the delimiter %q", d)
	}
	var seen listing
	after, token := "", q.query.Get("pageToken")
	if token != "" {
		var known bool
		t.w.mu.Lock()
		seen, known = t.listings[token]
		t.w.mu.Unlock()
		if _, after, _ = strings.Cut(token, "/"); !known {
			return nil, invalid("the page token %q", token)
		}
	}
	some, next, all, err := t.w.storage.page(ctx, bucket, q.query.Get("prefix"), q.query.Get("startOffset"), after,
		q.query.Get("delimiter") != "", int(min(size, 1000)), seen)
	if err != nil {
		return nil, err
	}
	list := map[string]any{"kind": "storage#objects"}
	if next != "" {
		t.w.mu.Lock()
		token := t.token() + "/" + next
		t.listings[token] = all
		t.w.mu.Unlock()
		list["nextPageToken"] = token
	}
	var items []any
	for _, a := range some {
		items = append(items, resource(a))
	}
	if len(items) > 0 {
		list["items"] = items
	}
	return asJSON(q.partial(list)), nil
}

// partial returns the fields of a resource that a request asks for: all, or some by
// name. A request may also ask for some fields of what is on a list.
func (q request) partial(r map[string]any) map[string]any {
	text := q.query.Get("fields")
	if text == "" {
		return r
	}
	outer, inner, list := text, "", ""
	if before, rest, ok := strings.Cut(text, "("); ok {
		list = before[strings.LastIndex(before, ",")+1:]
		inner, outer, _ = strings.Cut(rest, ")")
		outer = before + outer
	}
	pruned := func(r map[string]any, names string) map[string]any {
		r = maps.Clone(r)
		maps.DeleteFunc(r, func(name string, _ any) bool { return !slices.Contains(strings.Split(names, ","), name) })
		return r
	}
	r = pruned(r, outer)
	if items, ok := r[list].([]any); ok {
		for i, item := range items {
			items[i] = pruned(item.(map[string]any), inner)
		}
	}
	return r
}

func (t *transport) getObject(ctx context.Context, q request, bucket, name string) (*answer, error) {
	if err := q.only("generation", "fields"); err != nil {
		return nil, err
	}
	generation, err := q.number("generation", 0)
	if err != nil {
		return nil, err
	}
	if q.query.Get("alt") != "media" {
		a, err := t.w.storage.StatAt(ctx, bucket, name, generation)
		if err != nil {
			return nil, err
		}
		return asJSON(q.partial(resource(a))), nil
	}
	var found object
	err = t.w.storage.call(ctx, "read "+bucket+"/"+name, func() (err error) {
		found, err = t.w.storage.get(bucket, name, generation)
		return err
	})
	cut := errors.Is(err, errCut) && found.Size > 1
	if err != nil && !cut {
		return nil, err
	}
	return &answer{
		body: t.w.storage.revised(workerOf(ctx), bucket, name, found.data), cut: cut,
		header: http.Header{
			"Content-Type":      {"application/octet-stream"},
			"X-Goog-Generation": {strconv.FormatInt(found.Generation, 10)},
		},
	}, nil
}

// insertObject takes an upload in one request, of two parts: the object's attributes
// and its content.
func (t *transport) insertObject(ctx context.Context, q request, bucket string) (*answer, error) {
	if err := q.only("uploadType", "ifGenerationMatch", "fields"); err != nil {
		return nil, err
	}
	if how := q.query.Get("uploadType"); how != "multipart" {
		return nil, invalid("an upload of the type %q", how)
	}
	condition, err := q.number("ifGenerationMatch", attempt.AnyGeneration)
	if err != nil {
		return nil, err
	}
	var o struct {
		Name, ContentType string
		Metadata          map[string]string
	}
	_, params, err := mime.ParseMediaType(q.header.Get("Content-Type"))
	if err != nil {
		return nil, invalid("%v", err)
	}
	var content [2][]byte
	parts := multipart.NewReader(bytes.NewReader(q.body), params["boundary"])
	for i := range content {
		part, err := parts.NextPart()
		if err != nil {
			return nil, invalid("%v", err)
		}
		if content[i], err = io.ReadAll(part); err != nil {
			return nil, invalid("%v", err)
		}
	}
	if err := json.Unmarshal(content[0], &o); err != nil || o.Name == "" {
		return nil, invalid("the object %s: %v", content[0], err)
	}
	generation, err := t.w.storage.Write(ctx, bucket, o.Name, content[1], o.ContentType, o.Metadata, condition)
	if err != nil {
		return nil, err
	}
	t.w.mu.Lock()
	written, err := t.w.storage.get(bucket, o.Name, generation)
	t.w.mu.Unlock()
	if err != nil { // it was replaced at once; the answer is of what was written
		written = object{Attributes: job.Attributes{Object: job.Object{
			Bucket: bucket, Name: o.Name, Generation: generation, Size: int64(len(content[1])), CRC32C: crc32c(content[1]),
		}}}
	}
	return asJSON(q.partial(resource(written.Attributes))), nil
}

// rewriteObject copies a generation, or, since some copies take several calls, begins
// to.
func (t *transport) rewriteObject(ctx context.Context, q request) (*answer, error) {
	if err := q.only("sourceGeneration", "rewriteToken", "fields"); err != nil {
		return nil, err
	}
	generation, err := q.number("sourceGeneration", 0)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%s/%s#%d", q.path[3], q.path[5], generation)
	token := q.query.Get("rewriteToken")
	begun := false
	t.w.mu.Lock()
	switch rng := workerRand(ctx, t.w, "rewrite "+what); {
	case token != "" && t.rewrites[token] != what:
		err = invalid("the rewrite token %q", token)
	case token == "" && rng.IntN(4) == 0:
		begun, token = true, t.token()
		t.rewrites[token] = what
	}
	t.w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if begun {
		if err := t.w.storage.call(ctx, "begin to copy "+what, func() error { return nil }); err != nil {
			return nil, err
		}
		return asJSON(q.partial(map[string]any{"kind": "storage#rewriteResponse", "done": false, "rewriteToken": token})), nil
	}
	source := job.Object{Bucket: q.path[3], Name: q.path[5], Generation: generation}
	if err := t.w.storage.Copy(ctx, source, q.path[8], q.path[10]); err != nil {
		return nil, err
	}
	return asJSON(q.partial(map[string]any{"kind": "storage#rewriteResponse", "done": true})), nil
}
