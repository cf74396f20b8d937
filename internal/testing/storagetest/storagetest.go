// Package storagetest provides a Cloud Storage for tests, reached over its
// real protocol, and makes its calls fail where a test wants that.
package storagetest

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"

	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// New starts a Cloud Storage in memory that ends with the test, holding the
// buckets.
func New(t testing.TB, buckets ...string) (*gcs.Client, *fakestorage.Server) {
	t.Helper()
	return start(t, "", "", buckets)
}

// Versioned returns the server of [New] with one more bucket. It keeps old generations,
// as an installation's inbox does (deploy/terraform/buckets.tf).
func Versioned(t testing.TB, versioned string, buckets ...string) (*gcs.Client, *fakestorage.Server) {
	t.Helper()
	return start(t, "", versioned, append(buckets, versioned))
}

// OnDisk returns a server for many objects: in memory each write looks at all of them.
// It keeps one generation of each.
func OnDisk(t testing.TB, buckets ...string) (*gcs.Client, *fakestorage.Server) {
	t.Helper()
	return start(t, t.TempDir(), "", buckets)
}

func start(t testing.TB, root, versioned string, buckets []string) (*gcs.Client, *fakestorage.Server) {
	t.Helper()
	server, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		Scheme:      "http",
		Host:        "127.0.0.1",
		StorageRoot: root,
	})
	if err != nil {
		t.Fatalf("cloud storage: %v", err)
	}
	t.Cleanup(server.Stop)
	for _, b := range buckets {
		server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: b, VersioningEnabled: b == versioned})
	}
	client, err := gcs.New(t.Context(), server.URL())
	if err != nil {
		t.Fatalf("cloud storage: %v", err)
	}
	return client, server
}

// Call is one remote call.
type Call struct {
	// Number counts the calls from 1.
	Number int
	// Kind is list, read, write, copy, stat or delete.
	Kind, Bucket, Name string
}

// Faults is a client whose calls are counted and may fail. Before is asked
// before a call is made, After when its effect is there; an error of either is
// what the caller gets.
type Faults struct {
	*gcs.Client
	Before, After func(Call) error

	mu    sync.Mutex
	calls []Call
}

// Calls returns the calls so far.
func (f *Faults) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.calls...)
}

// Reset forgets the calls so far.
func (f *Faults) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
}

func (f *Faults) do(kind, bucket, name string, call func() error) error {
	f.mu.Lock()
	c := Call{Number: len(f.calls) + 1, Kind: kind, Bucket: bucket, Name: name}
	f.calls = append(f.calls, c)
	f.mu.Unlock()
	if f.Before != nil {
		if err := f.Before(c); err != nil {
			return err
		}
	}
	err := call()
	if f.After != nil {
		if lost := f.After(c); lost != nil {
			return lost
		}
	}
	return err
}

// List calls [gcs.Client.List], subject to the faults.
func (f *Faults) List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error {
	return f.do("list", bucket, prefix, func() error { return f.Client.List(ctx, bucket, prefix, flat, page) })
}

// ListAfter calls [gcs.Client.ListAfter], subject to the faults.
func (f *Faults) ListAfter(ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error {
	return f.do("list", bucket, prefix, func() error { return f.Client.ListAfter(ctx, bucket, prefix, after, page) })
}

// ListPage calls [gcs.Client.ListPage], subject to the faults.
func (f *Faults) ListPage(
	ctx context.Context, bucket, prefix, after string, most int,
) (page []job.Attributes, more bool, err error) {
	err = f.do("list", bucket, prefix, func() (err error) {
		page, more, err = f.Client.ListPage(ctx, bucket, prefix, after, most)
		return err
	})
	return page, more, err
}

// Open calls [gcs.Client.Open], subject to the faults.
func (f *Faults) Open(ctx context.Context, bucket, name string, generation int64) (r io.ReadCloser, err error) {
	err = f.do("read", bucket, name, func() error {
		r, err = f.Client.Open(ctx, bucket, name, generation)
		return err
	})
	return r, err
}

// Read calls [gcs.Client.Read], subject to the faults.
func (f *Faults) Read(ctx context.Context, bucket, name string, generation, limit int64) (data []byte, read int64,
	err error) {
	err = f.do("read", bucket, name, func() error {
		data, read, err = f.Client.Read(ctx, bucket, name, generation, limit)
		return err
	})
	return data, read, err
}

// Stat calls [gcs.Client.Stat], subject to the faults.
func (f *Faults) Stat(ctx context.Context, bucket, name string) (a job.Attributes, err error) {
	err = f.do("stat", bucket, name, func() error {
		a, err = f.Client.Stat(ctx, bucket, name)
		return err
	})
	return a, err
}

// StatAt calls [gcs.Client.StatAt], subject to the faults.
func (f *Faults) StatAt(ctx context.Context, bucket, name string, generation int64) (a job.Attributes, err error) {
	err = f.do("stat", bucket, name, func() error {
		a, err = f.Client.StatAt(ctx, bucket, name, generation)
		return err
	})
	return a, err
}

// Write calls [gcs.Client.Write], subject to the faults.
func (f *Faults) Write(ctx context.Context, bucket, name string, data []byte, contentType string,
	metadata map[string]string, ifGeneration int64) (generation int64, err error) {
	err = f.do("write", bucket, name, func() error {
		generation, err = f.Client.Write(ctx, bucket, name, data, contentType, metadata, ifGeneration)
		return err
	})
	return generation, err
}

// Copy calls [gcs.Client.Copy], subject to the faults.
func (f *Faults) Copy(ctx context.Context, source job.Object, bucket, name string) error {
	return f.do("copy", bucket, name, func() error { return f.Client.Copy(ctx, source, bucket, name) })
}

// Store calls [gcs.Client.Store], subject to the faults.
func (f *Faults) Store(ctx context.Context, bucket, name string, content io.Reader) (o job.Object, err error) {
	err = f.do("store", bucket, name, func() error {
		o, err = f.Client.Store(ctx, bucket, name, content)
		return err
	})
	return o, err
}

// Delete calls [gcs.Client.Delete], subject to the faults.
func (f *Faults) Delete(ctx context.Context, bucket, name string) error {
	return f.do("delete", bucket, name, func() error { return f.Client.Delete(ctx, bucket, name) })
}

// DeleteAt calls [gcs.Client.DeleteAt], subject to the faults.
func (f *Faults) DeleteAt(ctx context.Context, bucket, name string, generation int64) error {
	return f.do("delete", bucket, name, func() error { return f.Client.DeleteAt(ctx, bucket, name, generation) })
}
