// Package gcs is the adapter for Cloud Storage: the few calls that jobdrop
// makes, over the JSON API, with the domain's types and errors.
//
// Reads name a generation wherever one is known. Writes are conditional where
// the caller says so; a condition that is not met gives [job.ErrStale], which
// may also be the answer to one's own earlier write whose answer was lost.
// Deletes, copies and updates are never conditional: no design here may rest on
// that.
package gcs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/storage/v1"
	htransport "google.golang.org/api/transport/http"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// callTimeout bounds one call that moves no content, with its repetitions: Cloud
// Storage answers within a second or two.
const callTimeout = 20 * time.Second

// pageSize is the most that the API returns in one page.
const pageSize = 1000

// Client speaks to Cloud Storage. It is safe for concurrent use.
type Client struct {
	service *storage.Service
	http    *http.Client
	clock   *clock
}

// New makes a client. emulator is the host:port or base URL of an emulator, as
// in STORAGE_EMULATOR_HOST; empty means Google's own service with the
// environment's credentials.
func New(ctx context.Context, emulator string) (*Client, error) {
	var client *http.Client
	var options []option.ClientOption
	if emulator != "" {
		// Two idle connections, the default, would make most calls of concurrent drops dial.
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = t.MaxIdleConns
		client = &http.Client{Transport: t}
		if !strings.Contains(emulator, "://") {
			emulator = "http://" + emulator
		}
		options = append(options, option.WithEndpoint(strings.TrimSuffix(emulator, "/")+"/storage/v1/"))
	} else {
		var err error
		if client, _, err = htransport.NewClient(ctx, option.WithScopes(storage.DevstorageReadWriteScope)); err != nil {
			return nil, fmt.Errorf("cloud storage client: %w", err)
		}
	}
	return over(ctx, client.Transport, options...)
}

// Over returns a client of Google's own service whose requests a transport sends.
func Over(ctx context.Context, transport http.RoundTripper) (*Client, error) {
	return over(ctx, transport)
}

func over(ctx context.Context, transport http.RoundTripper, options ...option.ClientOption) (*Client, error) {
	served := &clock{RoundTripper: transport}
	client := &http.Client{Transport: sender{served}}
	s, err := storage.NewService(ctx, append(options, option.WithHTTPClient(client))...)
	if err != nil {
		return nil, fmt.Errorf("cloud storage client: %w", err)
	}
	return &Client{service: s, http: client, clock: served}, nil
}

// HTTP returns the client that sends the requests, with credentials, and the address of the service: for uploads that
// Google's library does not have.
func (c *Client) HTTP() (client *http.Client, address string) {
	return c.http, strings.TrimSuffix(c.service.BasePath, "/storage/v1/")
}

// sender sends the requests of the generated client in a better form.
type sender struct{ http.RoundTripper }

// smallKey is the context's key for the bytes that a small upload takes at the least.
type smallKey struct{}

// partsSize is enough for what an upload has beside its content: the object's attributes, and the parts' heads.
const partsSize = 2 << 10

func (s sender) RoundTrip(r *http.Request) (*http.Response, error) {
	size, small := r.Context().Value(smallKey{}).(int)
	switch {
	case strings.Contains(r.URL.RawQuery, "alt=media"):
		// Content is wanted as it is stored: an upload marked Content-Encoding: gzip, as some tools mark a .tar.gz,
		// would be unpacked on the way.
		r = r.Clone(r.Context())
		r.Header.Set("Accept-Encoding", "gzip")
	case small && r.Body != nil:
		// The client pipes the parts: each would be sent by itself, after the header.
		body := bytes.NewBuffer(make([]byte, 0, size+partsSize))
		_, err := body.ReadFrom(r.Body)
		if err := errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		r = r.WithContext(r.Context())
		r.Body, r.ContentLength = io.NopCloser(body), int64(body.Len())
	}
	response, err := s.RoundTripper.RoundTrip(r)
	// The transport gets a token first. Its service refuses credentials that were revoked, or have expired.
	var token *oauth2.RetrieveError
	if errors.As(err, &token) && token.Response != nil && token.Response.StatusCode < http.StatusInternalServerError &&
		token.Response.StatusCode != http.StatusTooManyRequests {
		err = fmt.Errorf("%w: %w", job.ErrCredentials, err)
	}
	return response, err
}

func attributes(o *storage.Object) job.Attributes {
	created, _ := time.Parse(time.RFC3339, o.TimeCreated)
	return job.Attributes{
		Object: job.Object{
			Bucket: o.Bucket, Name: o.Name, Generation: o.Generation,
			Size:   int64(o.Size), // #nosec G115 -- an object has at most 5 TiB
			CRC32C: o.Crc32c, Created: created.UTC(),
			CorrelationID: o.Metadata[job.MetadataCorrelationID], Traceparent: o.Metadata[job.MetadataTraceparent],
			Uploader: job.UploaderOf(o.Metadata),
			Encoding: o.ContentEncoding,
		},
		Metadata: o.Metadata,
	}
}

// List calls page for each page of the objects below a prefix, in the order of
// their names. With flat, objects in deeper folders are left out. It ends at
// the first error of page, which is called for a page without objects too: the
// service counts the folders that are left out, so who bounds a list counts pages.
func (c *Client) List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error {
	call := c.service.Objects.List(bucket).Prefix(prefix)
	if flat {
		call = call.Delimiter("/")
	}
	return list(ctx, call, "gs://"+bucket+"/"+prefix, page)
}

// ListAfter is [Client.List] of all objects whose names come after a name. No object
// needs to have that name.
func (c *Client) ListAfter(ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error {
	call := c.service.Objects.List(bucket).Prefix(prefix).StartOffset(after)
	return list(ctx, call, "gs://"+bucket+"/"+prefix, func(items []job.Attributes) error {
		if len(items) > 0 && items[0].Name == after {
			items = items[1:]
		}
		return page(items)
	})
}

// ListPage returns one page of the objects below a prefix whose names come after a name, most of them or fewer, and
// whether there are more. It makes one call, unless the service answers with an empty page.
func (c *Client) ListPage(
	ctx context.Context, bucket, prefix, after string, most int,
) (page []job.Attributes, more bool, err error) {
	call := c.service.Objects.List(bucket).Prefix(prefix).StartOffset(after)
	err = listBy(ctx, call, min(most+1, pageSize), "gs://"+bucket+"/"+prefix, func(items []job.Attributes, last bool) error {
		if len(items) > 0 && items[0].Name == after {
			items = items[1:]
		}
		if len(items) == 0 && !last {
			return nil
		}
		page, more = items[:min(len(items), most)], !last || len(items) > most
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return page, more, err
}

// errEnough ends a list.
var errEnough = errors.New("enough")

func list(ctx context.Context, call *storage.ObjectsListCall, what string, page func([]job.Attributes) error) error {
	return listBy(ctx, call, pageSize, what, func(items []job.Attributes, _ bool) error { return page(items) })
}

// listBy calls page for each page of at most size objects. last reports that no other comes after it.
func listBy(ctx context.Context, call *storage.ObjectsListCall, size int, what string,
	page func(items []job.Attributes, last bool) error) error {
	call = call.MaxResults(int64(size)).Fields("nextPageToken",
		"items(bucket,name,generation,size,crc32c,timeCreated,contentEncoding,metadata)")
	for token := ""; ; {
		result, err := bounded(ctx, func(ctx context.Context) (*storage.Objects, error) {
			return call.PageToken(token).Context(ctx).Do()
		})
		if err != nil {
			return fmt.Errorf("list %s: %w", what, classify(err))
		}
		items := make([]job.Attributes, len(result.Items))
		for i, o := range result.Items {
			items[i] = attributes(o)
		}
		if err := page(items, result.NextPageToken == ""); err != nil {
			return err
		}
		if token = result.NextPageToken; token == "" {
			return nil
		}
	}
}

// Open reads an object's content as a stream; generation 0 means the live one.
// The caller closes it; ctx bounds the whole read.
func (c *Client) Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error) {
	response, err := repeated(ctx, func(ctx context.Context) (*http.Response, error) {
		return c.download(ctx, bucket, name, generation, 0)
	})
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

func (c *Client) download(ctx context.Context, bucket, name string, generation, except int64) (*http.Response, error) {
	call := c.service.Objects.Get(bucket, name).Context(ctx)
	if generation != 0 {
		call = call.Generation(generation)
	}
	if except != 0 {
		call = call.IfGenerationNotMatch(except)
	}
	response, err := call.Download()
	if err != nil {
		return nil, fmt.Errorf("read gs://%s/%s#%d: %w", bucket, name, generation, classify(err))
	}
	return response, nil
}

// Read reads a whole object of at most limit bytes, and its generation. A
// larger one gives [job.ErrTooLarge].
func (c *Client) Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error) {
	return c.read(ctx, bucket, name, generation, 0, limit)
}

// ReadNewer is [Client.Read] of an object's live generation, unless that is the known one: then it returns no content,
// and the known generation. Nothing is known with 0.
func (c *Client) ReadNewer(ctx context.Context, bucket, name string, known, limit int64) ([]byte, int64, error) {
	data, generation, err := c.read(ctx, bucket, name, 0, known, limit)
	if api, ok := errors.AsType[*googleapi.Error](err); ok && api.Code == http.StatusNotModified {
		return nil, known, nil
	}
	if err == nil && generation == known { // an emulator that does not know the condition
		return nil, known, nil
	}
	return data, generation, err
}

// read reads a whole object. The answer is a 304 if its generation is the one of except, which may be 0.
func (c *Client) read(
	ctx context.Context, bucket, name string, generation, except, limit int64,
) ([]byte, int64, error) {
	type content struct {
		data       []byte
		generation int64
	}
	read, err := bounded(ctx, func(ctx context.Context) (content, error) {
		response, err := c.download(ctx, bucket, name, generation, except)
		if err != nil {
			return content{}, err
		}
		defer response.Body.Close()
		data, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
		if err != nil {
			return content{}, fmt.Errorf("read gs://%s/%s: %w", bucket, name, err)
		}
		if int64(len(data)) > limit {
			return content{}, fmt.Errorf("read gs://%s/%s: %w (limit %d bytes)", bucket, name, job.ErrTooLarge, limit)
		}
		read, err := strconv.ParseInt(response.Header.Get("X-Goog-Generation"), 10, 64)
		if err != nil {
			return content{}, fmt.Errorf("read gs://%s/%s: the answer names no generation", bucket, name)
		}
		return content{data, read}, nil
	})
	return read.data, read.generation, err
}

// Stat returns an object's attributes without its content.
func (c *Client) Stat(ctx context.Context, bucket, name string) (job.Attributes, error) {
	return c.StatAt(ctx, bucket, name, 0)
}

// StatAt does what [Client.Stat] does for one generation of an object. 0 is the live one.
func (c *Client) StatAt(ctx context.Context, bucket, name string, generation int64) (job.Attributes, error) {
	o, err := bounded(ctx, func(ctx context.Context) (*storage.Object, error) {
		get := c.service.Objects.Get(bucket, name).Context(ctx)
		if generation != 0 {
			get = get.Generation(generation)
		}
		return get.Do()
	})
	if err != nil {
		return job.Attributes{}, fmt.Errorf("stat gs://%s/%s: %w", bucket, name, classify(err))
	}
	return attributes(o), nil
}

// Places returns where a bucket's data lie, in Cloud Storage's words: one region
// (EUROPE-WEST4) or multi-region (EU), or the two regions of a dual-region. It needs
// the permission storage.buckets.get.
func (c *Client) Places(ctx context.Context, bucket string) ([]string, error) {
	b, err := bounded(ctx, func(ctx context.Context) (*storage.Bucket, error) {
		return c.service.Buckets.Get(bucket).Fields("location", "customPlacementConfig").Context(ctx).Do()
	})
	if err != nil {
		return nil, fmt.Errorf("place of gs://%s: %w", bucket, classify(err))
	}
	if p := b.CustomPlacementConfig; p != nil && len(p.DataLocations) > 0 {
		return p.DataLocations, nil
	}
	return []string{b.Location}, nil
}

// Write writes an object and gives its generation. It succeeds only where the
// live generation is ifGeneration: 0 means that there is no such object yet,
// [job.AnyGeneration] that anything may be there.
func (c *Client) Write(ctx context.Context, bucket, name string, data []byte, contentType string,
	metadata map[string]string, ifGeneration int64) (int64, error) {
	ctx = context.WithValue(ctx, smallKey{}, len(data))
	o, err := bounded(ctx, func(ctx context.Context) (*storage.Object, error) {
		call := c.service.Objects.Insert(bucket, &storage.Object{Name: name, ContentType: contentType, Metadata: metadata}).
			// One request: records are small.
			Media(bytes.NewReader(data), googleapi.ContentType(contentType), googleapi.ChunkSize(0)).
			Fields("generation").Context(ctx)
		if ifGeneration != attempt.AnyGeneration {
			call = call.IfGenerationMatch(ifGeneration)
		}
		return call.Do()
	})
	if err != nil {
		return 0, fmt.Errorf("write gs://%s/%s: %w", bucket, name, classify(err))
	}
	return o.Generation, nil
}

// Upload writes an object of any size as a stream and gives its generation; ctx
// bounds the whole upload.
func (c *Client) Upload(ctx context.Context, bucket, name string, content io.Reader,
	metadata map[string]string) (int64, error) {
	o, err := c.service.Objects.Insert(bucket, &storage.Object{Name: name, Metadata: metadata}).
		Media(content).Fields("generation").Context(ctx).Do()
	if err != nil {
		return 0, fmt.Errorf("write gs://%s/%s: %w", bucket, name, classify(err))
	}
	return o.Generation, nil
}

// Store writes an object of any size as a stream, and returns what the service stored. ctx bounds
// the whole upload.
func (c *Client) Store(ctx context.Context, bucket, name string, content io.Reader) (job.Object, error) {
	o, err := c.service.Objects.Insert(bucket, &storage.Object{Name: name, ContentType: binary}).
		Media(content, googleapi.ContentType(binary)).Context(ctx).Do()
	if err != nil {
		return job.Object{}, fmt.Errorf("write gs://%s/%s: %w", bucket, name, classify(err))
	}
	return attributes(o).Object, nil
}

// binary is the type of an object whose type does not matter.
const binary = "application/octet-stream"

// Copy copies one generation of an object inside Cloud Storage, as it is stored. The copy has no
// contentEncoding and no metadata of the source. A source that is gone gives [job.ErrNotFound].
func (c *Client) Copy(ctx context.Context, source job.Object, bucket, name string) error {
	for token := ""; ; {
		r, err := bounded(ctx, func(ctx context.Context) (*storage.RewriteResponse, error) {
			return c.service.Objects.Rewrite(source.Bucket, source.Name, bucket, name, &storage.Object{ContentType: binary}).
				SourceGeneration(source.Generation).RewriteToken(token).
				Fields("done", "rewriteToken").Context(ctx).Do()
		})
		if err != nil {
			return fmt.Errorf("copy %s#%d to gs://%s/%s: %w", source.URI(), source.Generation, bucket, name, classify(err))
		}
		// A copy between places may need several calls.
		if token = r.RewriteToken; r.Done || token == "" {
			return nil
		}
	}
}

// Delete removes an object; one that is gone already is not an error.
func (c *Client) Delete(ctx context.Context, bucket, name string) error {
	return c.remove(ctx, bucket, name, c.service.Objects.Delete(bucket, name))
}

// DeleteAt removes a generation of an object; one that is gone already, or was replaced in a bucket
// without versions, is not an error.
func (c *Client) DeleteAt(ctx context.Context, bucket, name string, generation int64) error {
	return c.remove(ctx, bucket, name, c.service.Objects.Delete(bucket, name).Generation(generation))
}

func (c *Client) remove(ctx context.Context, bucket, name string, call *storage.ObjectsDeleteCall) error {
	_, err := bounded(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, call.Context(ctx).Do()
	})
	if err = classify(err); err != nil && !errors.Is(err, job.ErrNotFound) {
		return fmt.Errorf("delete gs://%s/%s: %w", bucket, name, err)
	}
	return nil
}

// classify returns the domain's error for the API's code, and wraps the API's own.
func classify(err error) error {
	var api *googleapi.Error
	if !errors.As(err, &api) {
		return err
	}
	switch api.Code {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", job.ErrNotFound, err)
	case http.StatusBadRequest:
		return fmt.Errorf("%w: %w", job.ErrRefused, err)
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", job.ErrCredentials, err)
	case http.StatusForbidden:
		return fmt.Errorf("%w: %w", job.ErrDenied, err)
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", attempt.ErrStale, err)
	case http.StatusTooManyRequests:
		return fmt.Errorf("%w: %w", job.ErrQuota, err)
	}
	return err
}
