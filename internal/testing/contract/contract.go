// Package contract holds what the use cases rely on in Cloud Storage, a backend
// and Pub/Sub. The simulator's stand-ins and the real adapters, over what speaks
// the real protocols, are held to the same.
//
// The checks run without subtests, since a bubble of testing/synctest has none.
package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string,
		ifGeneration int64) (int64, error)
	Copy(ctx context.Context, source job.Object, bucket, name string) error
	Delete(ctx context.Context, bucket, name string) error
}

// CheckStorage checks s with two buckets that are there and empty.
func CheckStorage(t *testing.T, s Storage, bucket, other string) {
	t.Helper()
	ctx := t.Context()
	write := func(name, text string, metadata map[string]string, ifGeneration int64) (int64, error) {
		return s.Write(ctx, bucket, name, []byte(text), "text/plain", metadata, ifGeneration)
	}
	want := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	const absent = "absent/a"

	// What is not there.
	_, err := s.Stat(ctx, bucket, absent)
	want("stat of what is not there", err, job.ErrNotFound)
	_, _, err = s.Read(ctx, bucket, absent, 0, 10)
	want("read of what is not there", err, job.ErrNotFound)
	_, err = s.Open(ctx, bucket, absent, 0)
	want("open of what is not there", err, job.ErrNotFound)
	want("copy of what is not there", s.Copy(ctx, job.Object{Bucket: bucket, Name: absent, Generation: 7}, other, "x"),
		job.ErrNotFound)
	if err := s.Delete(ctx, bucket, absent); err != nil {
		t.Errorf("delete of what is not there: %v", err)
	}
	_, err = write(absent, "x", nil, 7)
	want("write over a generation that is not there", err, attempt.ErrStale)

	// Compare-and-swap.
	first, err := write("d/a", "one", map[string]string{"k": "v"}, 0)
	if err != nil || first <= 0 {
		t.Fatalf("first write: generation %d, %v", first, err)
	}
	_, err = write("d/a", "two", nil, 0)
	want("a second first write", err, attempt.ErrStale)
	_, err = write("d/a", "two", nil, first+1)
	want("write over another generation", err, attempt.ErrStale)
	if data, generation, err := s.Read(ctx, bucket, "d/a", 0, 10); string(data) != "one" || generation != first ||
		err != nil {
		t.Errorf("a refused write left %q of generation %d, %v", data, generation, err)
	}
	second, err := write("d/a", "two", map[string]string{"k": "w"}, first)
	if err != nil || second <= first {
		t.Fatalf("swap: generation %d after %d, %v", second, first, err)
	}
	third, err := write("d/a", "three", map[string]string{"k": "x"}, attempt.AnyGeneration)
	if err != nil || third <= second {
		t.Fatalf("write over anything: generation %d after %d, %v", third, second, err)
	}

	// Reads.
	o, err := s.Stat(ctx, bucket, "d/a")
	if err != nil || o.Bucket != bucket || o.Name != "d/a" || o.Generation != third || o.Size != 5 ||
		o.Metadata["k"] != "x" || o.Created.IsZero() || o.CRC32C == "" {
		t.Errorf("stat: %+v, %v", o, err)
	}
	_, _, err = s.Read(ctx, bucket, "d/a", 0, 4)
	want("read of more than the limit", err, job.ErrTooLarge)
	r, err := s.Open(ctx, bucket, "d/a", third)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	data, err := io.ReadAll(r)
	if r.Close(); err != nil || !bytes.Equal(data, []byte("three")) {
		t.Errorf("open gives %q, %v", data, err)
	}

	// Lists: sorted, with metadata, and flat ones without what lies deeper.
	for _, name := range []string{"d/c", "d/b/deep", "e"} {
		if _, err := write(name, "x", nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	list := func(prefix string, flat bool) (names []string) {
		t.Helper()
		if err := s.List(ctx, bucket, prefix, flat, func(page []job.Attributes) error {
			for _, o := range page {
				names = append(names, o.Name)
				if o.Name == "d/a" && (o.Generation != third || o.Metadata["k"] != "x" || o.Size != 5) {
					t.Errorf("listed as %+v", o)
				}
			}
			return nil
		}); err != nil {
			t.Errorf("list: %v", err)
		}
		return names
	}
	for _, test := range []struct {
		prefix string
		flat   bool
		names  []string
	}{
		{"d/", true, []string{"d/a", "d/c"}}, {"d/", false, []string{"d/a", "d/b/deep", "d/c"}}, {"", true, []string{"e"}},
		{"none/", false, nil},
	} {
		if got := list(test.prefix, test.flat); !slices.Equal(got, test.names) {
			t.Errorf("list of %q, flat %t: %q, want %q", test.prefix, test.flat, got, test.names)
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
		if err := s.ListAfter(ctx, bucket, test.prefix, test.after, func(page []job.Attributes) error {
			for _, o := range page {
				got = append(got, o.Name)
			}
			return nil
		}); err != nil || !slices.Equal(got, test.names) {
			t.Errorf("list of %q after %q: %q, %v; want %q", test.prefix, test.after, got, err, test.names)
		}
	}
	stop := errors.New("enough")
	want("list that its page ends", s.List(ctx, bucket, "d/", true, func([]job.Attributes) error { return stop }), stop)

	// Copies keep their generation's bytes; a deleted object is gone.
	if err := s.Copy(ctx, o.Object, other, "copy/a"); err != nil {
		t.Errorf("copy: %v", err)
	}
	if data, _, err := s.Read(ctx, other, "copy/a", 0, 10); string(data) != "three" || err != nil {
		t.Errorf("the copy is %q, %v", data, err)
	}
	if err := s.Delete(ctx, bucket, "d/a"); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, err = s.Stat(ctx, bucket, "d/a")
	want("stat of what was deleted", err, job.ErrNotFound)
	if again, err := write("d/a", "four", nil, 0); err != nil || again <= third {
		t.Errorf("first write after a delete: generation %d after %d, %v", again, third, err)
	}
}

// Backend is what the use cases ask for together.
type Backend interface {
	Create(ctx context.Context, o job.Order) (attempt.BackendJob, error)
	TakesID() bool
	Get(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error)
	Find(ctx context.Context, o job.Order) ([]attempt.BackendJob, error)
	Cancel(ctx context.Context, j job.JobInfo) error
	ListActive(ctx context.Context, instance, from string, page func(looks []attempt.BackendJob, next string) error) error
}

// CheckBackend checks a backend with a job that does not end before it is
// cancelled.
func CheckBackend(t *testing.T, tr Backend, instance string, spec job.Spec) {
	t.Helper()
	ctx := t.Context()
	spec.Labels = job.Labels(spec.Labels, instance, "attempt-1", "content")
	id := job.JobInfo{ID: spec.JobID}
	active := func() (ids []string) {
		t.Helper()
		over := false
		if err := tr.ListActive(ctx, instance, "", func(page []attempt.BackendJob, next string) error {
			if over {
				t.Error("the list has another page after its last")
			}
			for _, l := range page {
				ids = append(ids, l.JobID)
			}
			over = next == ""
			return nil
		}); err != nil || !over {
			t.Errorf("list: %v; its last page came: %t", err, over)
		}
		return ids
	}
	if _, err := tr.Get(ctx, id); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("get of what is not there: %v", err)
	}
	if ids := active(); len(ids) > 0 {
		t.Errorf("active before: %q", ids)
	}
	made, err := tr.Create(ctx, job.Order{Spec: spec})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	id.ResourceName = made.ResourceName
	if made.JobID != spec.JobID || made.ResourceName == "" || made.Created.IsZero() || !made.Ended.IsZero() ||
		!job.SameOwner(made.Labels, spec.Labels) {
		t.Errorf("created %+v", made)
	}

	if found, err := tr.Find(ctx, job.Order{Spec: spec}); err != nil || len(found) != 1 ||
		found[0].ResourceName != made.ResourceName || !job.SameOwner(found[0].Labels, spec.Labels) {
		t.Errorf("find: %+v, %v", found, err)
	}
	foreign := spec
	foreign.Labels = job.Labels(nil, instance, "attempt-2", "content")
	var conflict *attempt.ConflictError
	if tr.TakesID() { // the same ID again is a conflict that shows whose the job is
		if _, err := tr.Create(ctx, job.Order{Spec: spec}); !errors.As(err, &conflict) ||
			!job.SameOwner(conflict.Found.Labels, spec.Labels) {
			t.Errorf("the same create again: %v", err)
		}
		conflict = nil
		if _, err := tr.Create(ctx, job.Order{Spec: foreign}); !errors.As(err, &conflict) ||
			job.SameOwner(conflict.Found.Labels, foreign.Labels) {
			t.Errorf("a create of another attempt: %v", err)
		}
	} else if found, err := tr.Find(ctx, job.Order{Spec: foreign}); err != nil || len(found) > 0 {
		t.Errorf("find of another attempt: %+v, %v", found, err)
	}
	if found, err := tr.Get(ctx, id); err != nil || !job.SameOwner(found.Labels, spec.Labels) ||
		found.ResourceName != made.ResourceName {
		t.Errorf("get: %+v, %v", found, err)
	}
	if ids := active(); !slices.Equal(ids, []string{spec.JobID}) {
		t.Errorf("active: %q", ids)
	}
	if err := tr.ListActive(ctx, "another", "", func(page []attempt.BackendJob, _ string) error {
		if len(page) > 0 {
			return fmt.Errorf("%d jobs of another installation", len(page))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}

	if err := tr.Cancel(ctx, id); err != nil {
		t.Fatalf("cancel: %v", err)
	}
	var last attempt.BackendJob
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for range 600 {
		if last, err = tr.Get(ctx, id); err != nil || !last.Ended.IsZero() {
			break
		}
		<-poll.C
	}
	if err != nil || last.State != job.BackendCancelled || last.Ended.IsZero() || last.Ended.Before(last.Created) {
		t.Errorf("ended: %+v, %v", last, err)
	}
	if ids := active(); len(ids) > 0 {
		t.Errorf("active after its end: %q", ids)
	}
	if _, err := tr.Create(ctx, job.Order{Spec: spec}); tr.TakesID() && !errors.As(err, &conflict) {
		t.Errorf("create of the ID of a job that has ended: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	spec.JobID += "_2"
	if _, err := tr.Create(gone, job.Order{Spec: spec}); err == nil {
		t.Error("a create whose context is over succeeds")
	}
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
