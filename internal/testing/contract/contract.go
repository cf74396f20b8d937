package contract

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Storage is what the ledger, the relay and the submitter ask for together.
type Storage interface {
	List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error
	ListAfter(ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error
	Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error)
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	StatAt(ctx context.Context, bucket, name string, generation int64) (job.Attributes, error)
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string,
		ifGeneration int64) (int64, error)
	Copy(ctx context.Context, source job.Object, bucket, name string) error
	Store(ctx context.Context, bucket, name string, content io.Reader) (job.Object, error)
	Delete(ctx context.Context, bucket, name string) error
	DeleteAt(ctx context.Context, bucket, name string, generation int64) error
}

// CheckStorage checks an object storage with two empty buckets.
func CheckStorage(t *testing.T, s Storage, bucket, other string) {
	t.Helper()
	c := storageCheck{T: t, s: s, bucket: bucket}
	c.absence(other)
	last := c.swaps()
	o := c.reads(last)
	c.lists(o)
	c.copies(o, other)
}

// storageCheck checks a storage in steps. Each goes on from what the step before left.
type storageCheck struct {
	*testing.T
	s      Storage
	bucket string
}

func (c storageCheck) write(name, text string, metadata map[string]string, ifGeneration int64) (int64, error) {
	return c.s.Write(c.Context(), c.bucket, name, []byte(text), "text/plain", metadata, ifGeneration)
}

func (c storageCheck) want(what string, err, want error) {
	c.Helper()
	if !errors.Is(err, want) {
		c.Errorf("%s: %v, want %v", what, err, want)
	}
}

// absence uses an object that is not there.
func (c storageCheck) absence(other string) {
	const absent = "absent/a"
	ctx := c.Context()
	_, err := c.s.Stat(ctx, c.bucket, absent)
	c.want("stat of what is not there", err, job.ErrNotFound)
	_, _, err = c.s.Read(ctx, c.bucket, absent, 0, 10)
	c.want("read of what is not there", err, job.ErrNotFound)
	_, err = c.s.Open(ctx, c.bucket, absent, 0)
	c.want("open of what is not there", err, job.ErrNotFound)
	c.want("copy of what is not there",
		c.s.Copy(ctx, job.Object{Bucket: c.bucket, Name: absent, Generation: 7}, other, "x"), job.ErrNotFound)
	if err := errors.Join(c.s.Delete(ctx, c.bucket, absent), c.s.DeleteAt(ctx, c.bucket, absent, 7)); err != nil {
		c.Errorf("delete of what is not there: %v", err)
	}
	_, err = c.write(absent, "x", nil, 7)
	c.want("write over a generation that is not there", err, attempt.ErrStale)
}

// swaps writes d/a under conditions, and returns its last generation.
func (c storageCheck) swaps() int64 {
	first, err := c.write("d/a", "one", map[string]string{"k": "v"}, 0)
	if err != nil || first <= 0 {
		c.Fatalf("first write: generation %d, %v", first, err)
	}
	_, err = c.write("d/a", "two", nil, 0)
	c.want("a second first write", err, attempt.ErrStale)
	_, err = c.write("d/a", "two", nil, first+1)
	c.want("write over another generation", err, attempt.ErrStale)
	if data, generation, err := c.s.Read(c.Context(), c.bucket, "d/a", 0, 10); string(data) != "one" ||
		generation != first || err != nil {
		c.Errorf("a refused write left %q of generation %d, %v", data, generation, err)
	}
	second, err := c.write("d/a", "two", map[string]string{"k": "w"}, first)
	if err != nil || second <= first {
		c.Fatalf("swap: generation %d after %d, %v", second, first, err)
	}
	third, err := c.write("d/a", "three", map[string]string{"k": "x"}, attempt.AnyGeneration)
	if err != nil || third <= second {
		c.Fatalf("write over anything: generation %d after %d, %v", third, second, err)
	}
	return third
}

// reads reads the last generation of d/a.
func (c storageCheck) reads(last int64) job.Attributes {
	ctx := c.Context()
	o, err := c.s.Stat(ctx, c.bucket, "d/a")
	if err != nil || o.Bucket != c.bucket || o.Name != "d/a" || o.Generation != last || o.Size != 5 ||
		o.Metadata["k"] != "x" || o.Created.IsZero() || o.CRC32C == "" {
		c.Errorf("stat: %+v, %v", o, err)
	}
	_, _, err = c.s.Read(ctx, c.bucket, "d/a", 0, 4)
	c.want("read of more than the limit", err, job.ErrTooLarge)
	r, err := c.s.Open(ctx, c.bucket, "d/a", last)
	if err != nil {
		c.Fatalf("open: %v", err)
	}
	data, err := io.ReadAll(r)
	if r.Close(); err != nil || !bytes.Equal(data, []byte("three")) {
		c.Errorf("open gives %q, %v", data, err)
	}
	return o
}

// lists lists d/a and others: sorted, with metadata, and flat without what lies deeper.
func (c storageCheck) lists(o job.Attributes) {
	ctx := c.Context()
	for _, name := range []string{"d/c", "d/b/deep", "e"} {
		if _, err := c.write(name, "x", nil, 0); err != nil {
			c.Fatal(err)
		}
	}
	for _, test := range []struct {
		prefix string
		flat   bool
		names  []string
	}{
		{"d/", true, []string{"d/a", "d/c"}}, {"d/", false, []string{"d/a", "d/b/deep", "d/c"}}, {"", true, []string{"e"}},
		{"none/", false, nil},
	} {
		var got []string
		if err := c.s.List(ctx, c.bucket, test.prefix, test.flat, func(page []job.Attributes) error {
			for _, listed := range page {
				got = append(got, listed.Name)
				if listed.Name == o.Name && (listed.Generation != o.Generation || listed.Metadata["k"] != "x" ||
					listed.Size != o.Size) {
					c.Errorf("listed as %+v", listed)
				}
			}
			return nil
		}); err != nil || !slices.Equal(got, test.names) {
			c.Errorf("list of %q, flat %t: %q, %v; want %q", test.prefix, test.flat, got, err, test.names)
		}
	}
	for _, test := range []struct {
		prefix, after string
		names         []string
	}{
		{"", "", []string{"d/a", "d/b/deep", "d/c", "e"}}, {"d/", "d/a", []string{"d/b/deep", "d/c"}},
		{"d/", "d/b", []string{"d/b/deep", "d/c"}},
		{"", "d/c", []string{"e"}}, {"d/", "d/c", nil}, {"d/", "e", nil},
	} {
		var got []string
		if err := c.s.ListAfter(ctx, c.bucket, test.prefix, test.after, func(page []job.Attributes) error {
			for _, listed := range page {
				got = append(got, listed.Name)
			}
			return nil
		}); err != nil || !slices.Equal(got, test.names) {
			c.Errorf("list of %q after %q: %q, %v; want %q", test.prefix, test.after, got, err, test.names)
		}
	}
	stop := errors.New("enough")
	c.want("list that its page ends",
		c.s.List(ctx, c.bucket, "d/", true, func([]job.Attributes) error { return stop }), stop)
}

// copies copies and deletes d/a: a copy has its generation's bytes, and what was deleted is gone.
func (c storageCheck) copies(o job.Attributes, other string) {
	ctx := c.Context()
	if err := c.s.Copy(ctx, o.Object, other, "copy/a"); err != nil {
		c.Errorf("copy: %v", err)
	}
	if data, _, err := c.s.Read(ctx, other, "copy/a", 0, 10); string(data) != "three" || err != nil {
		c.Errorf("the copy is %q, %v", data, err)
	}
	stored, err := c.s.Store(ctx, other, "store/a", strings.NewReader("three"))
	if err != nil || stored.Bucket != other || stored.Name != "store/a" || stored.Generation <= 0 || stored.Size != 5 ||
		stored.CRC32C != o.CRC32C {
		c.Errorf("store: %+v, %v; want the size and the sum of %+v", stored, err, o)
	}
	if data, _, err := c.s.Read(ctx, other, "store/a", stored.Generation, 10); string(data) != "three" || err != nil {
		c.Errorf("what was stored is %q, %v", data, err)
	}
	if err := c.s.Delete(ctx, c.bucket, "d/a"); err != nil {
		c.Errorf("delete: %v", err)
	}
	_, err = c.s.Stat(ctx, c.bucket, "d/a")
	c.want("stat of what was deleted", err, job.ErrNotFound)
	again, err := c.write("d/a", "four", nil, 0)
	if err != nil || again <= o.Generation {
		c.Errorf("first write after a delete: generation %d after %d, %v", again, o.Generation, err)
	}
	if err := c.s.DeleteAt(ctx, c.bucket, "d/a", o.Generation); err != nil {
		c.Errorf("delete of a generation of before: %v", err)
	}
	if there, err := c.s.Stat(ctx, c.bucket, "d/a"); err != nil || there.Generation != again {
		c.Errorf("after a delete of the generation before it: generation %d, %v", there.Generation, err)
	}
	if err := c.s.DeleteAt(ctx, c.bucket, "d/a", again); err != nil {
		c.Errorf("delete of a generation: %v", err)
	}
	_, err = c.s.Stat(ctx, c.bucket, "d/a")
	c.want("stat of a generation that was deleted", err, job.ErrNotFound)
}

// Publisher publishes events of an attempt.
type Publisher interface {
	Publish(ctx context.Context, key string, events []job.Event) error
}

// CheckPublisher publishes the events of two attempts, some of them again.
// received waits for so many first occurrences of an attempt's events, and returns
// their sequences in the order in which a subscriber saw them.
func CheckPublisher(t *testing.T, p Publisher, received func(key string, n int) []int64) {
	t.Helper()
	begin := time.Now().UTC() // an event that is published again is the same to the last letter
	outbox := func(key string, from, to int64) (events []job.Event) {
		for n := from; n <= to; n++ {
			events = append(events, job.Event{Type: job.JobRunning, Time: begin, Body: job.Snapshot{
				Attempt: key, Sequence: n, State: job.Submitted, Drop: job.DropInfo{Bucket: "inbox", Prefix: "a/"},
			}})
		}
		return events
	}
	for _, part := range []struct {
		attempt  string
		from, to int64
	}{{"a-1", 1, 2}, {"b-1", 1, 1}, {"a-1", 2, 4}, {"b-1", 2, 3}, {"a-1", 5, 5}} {
		if err := p.Publish(t.Context(), part.attempt, outbox(part.attempt, part.from, part.to)); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	for key, want := range map[string][]int64{"a-1": {1, 2, 3, 4, 5}, "b-1": {1, 2, 3}} {
		if got := received(key, len(want)); !slices.Equal(got, want) {
			t.Errorf("attempt %s: %d, want %d", key, got, want)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Publish(gone, "c-1", outbox("c-1", 1, 1)); err == nil {
		t.Error("a publish whose context is over succeeds")
	}
}
