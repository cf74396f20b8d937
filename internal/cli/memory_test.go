package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// memory is a Cloud Storage as the adapter shows it, for more objects than an emulator lists in a test's time. Its
// calls are counted by their kinds. It is safe for concurrent use.
type memory struct {
	// delay is how long a call takes, and denied the bucket and the kind of those that are refused: "inbox list".
	delay  time.Duration
	denied string
	// broken, if set, returns the error of each other call.
	broken func() error

	mu      sync.Mutex
	objects map[string]stored
	names   []string // sorted; nil if an object was added since
	calls   map[string]int
	last    int64
}

// stored is an object of a memory.
type stored struct {
	job.Attributes
	data []byte
}

func newMemory() *memory { return &memory{objects: map[string]stored{}, calls: map[string]int{}} }

// call counts a call. The caller unlocks mu.
func (m *memory) call(kind, bucket string) error {
	time.Sleep(m.delay)
	m.mu.Lock()
	m.calls[kind]++
	if m.denied == bucket+" "+kind {
		return fmt.Errorf("%s gs://%s: %w", kind, bucket, job.ErrDenied)
	}
	if m.broken != nil {
		return m.broken()
	}
	return nil
}

// turn changes which calls fail from now on.
func (m *memory) turn(denied string, broken error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.denied, m.broken = denied, nil; broken != nil {
		m.broken = func() error { return broken }
	}
}

// counted returns the calls since it was asked for the last time.
func (m *memory) counted() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer clear(m.calls)
	return maps.Clone(m.calls)
}

func (m *memory) ListPage(
	_ context.Context, bucket, prefix, after string, most int,
) (page []job.Attributes, more bool, err error) {
	err = m.call("list", bucket)
	defer m.mu.Unlock()
	if err != nil {
		return nil, false, err
	}
	if m.names == nil {
		m.names = slices.Sorted(maps.Keys(m.objects))
	}
	// As the adapter does it: a page of the service may begin with after, and has at most 1,000 objects.
	first, _ := slices.BinarySearch(m.names, bucket+"/"+max(prefix, after))
	size := min(most+1, 1000)
	for _, name := range m.names[first:] {
		if !strings.HasPrefix(name, bucket+"/"+prefix) {
			break
		}
		if size--; size < 0 || len(page) == most {
			return page, true, nil
		}
		if name != bucket+"/"+after {
			page = append(page, m.objects[name].Attributes)
		}
	}
	return page, false, nil
}

func (m *memory) ListAfter(
	ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error,
) error {
	return errors.New("none of the commands lists so")
}

func (m *memory) get(kind, bucket, name string) (stored, error) {
	err := m.call(kind, bucket)
	defer m.mu.Unlock()
	o, ok := m.objects[bucket+"/"+name]
	if err == nil && !ok {
		err = fmt.Errorf("%s gs://%s/%s: %w", kind, bucket, name, job.ErrNotFound)
	}
	return o, err
}

func (m *memory) Read(_ context.Context, bucket, name string, _, limit int64) ([]byte, int64, error) {
	o, err := m.get("read", bucket, name)
	if err == nil && int64(len(o.data)) > limit {
		err = job.ErrTooLarge
	}
	return bytes.Clone(o.data), o.Generation, err
}

func (m *memory) Stat(_ context.Context, bucket, name string) (job.Attributes, error) {
	o, err := m.get("stat", bucket, name)
	return o.Attributes, err
}

func (m *memory) Write(_ context.Context, bucket, name string, data []byte, _ string, metadata map[string]string,
	ifGeneration int64) (int64, error) {
	err := m.call("write", bucket)
	defer m.mu.Unlock()
	old := m.objects[bucket+"/"+name]
	switch {
	case err != nil:
		return 0, err
	case ifGeneration != attempt.AnyGeneration && ifGeneration != old.Generation:
		return 0, attempt.ErrStale
	case old.Generation == 0:
		m.names = nil
	}
	m.last++
	o := job.Object{Bucket: bucket, Name: name, Generation: m.last, Size: int64(len(data)), Created: logStart}
	m.objects[bucket+"/"+name] = stored{job.Attributes{Object: o, Metadata: metadata}, bytes.Clone(data)}
	return m.last, nil
}

func (m *memory) Delete(_ context.Context, bucket, name string) error {
	err := m.call("delete", bucket)
	defer m.mu.Unlock()
	delete(m.objects, bucket+"/"+name)
	m.names = nil
	return err
}

func (m *memory) DeleteAt(ctx context.Context, bucket, name string, _ int64) error {
	return m.Delete(ctx, bucket, name)
}

// put writes an object.
func (m *memory) put(t testing.TB, bucket, name, data string) {
	t.Helper()
	if _, err := m.Write(t.Context(), bucket, name, []byte(data), "", nil, attempt.AnyGeneration); err != nil {
		t.Fatal(err)
	}
}

// view returns the installation whose buckets a memory has, at a time.
func (m *memory) view(t testing.TB, now time.Time) *view {
	t.Helper()
	v, err := newView(config.Config{
		Project: "p", Inbox: "inbox", State: "state", Status: "status", PolicyBucket: "rules", PolicyObject: "policy.yaml",
	}, m, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// piped is the environment of a command whose output is not a terminal.
func piped(out io.Writer) Env {
	return Env{Out: out, Err: out, Getenv: func(string) string { return "" }}
}
