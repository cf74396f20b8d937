package submitter_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/flow/relay"
	"github.com/jobdrop/jobdrop/internal/flow/submitter"
	"github.com/jobdrop/jobdrop/internal/testing/budget"
	"github.com/jobdrop/jobdrop/internal/testing/hostile"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// shelf is an installation in memory that counts its calls. What was dropped before is not stored in it, but made where
// it is listed, so that the memory and the time are those of the next drop.
type shelf struct {
	earlier int // drops
	// before, if set, runs before each call.
	before func()

	mu      sync.Mutex
	objects map[string]*shelved // by bucket/name
	last    int64
	calls   map[string]int
}

type shelved struct {
	job.Attributes
	data []byte
}

// history returns the folders of an installation in which each earlier drop has an object, or a folder.
func history() []struct {
	in     string // bucket/folder
	folder bool
} {
	return []struct {
		in     string
		folder bool
	}{
		{"inbox/teams/census/", true},        // drops beside the next one
		{"inbox/elsewhere/drops/", true},     // drops
		{"inbox/elsewhere/data/", false},     // objects that are no drops
		{"state/attempts/", false},           // records
		{"state/recent/", false},             //
		{"state/ended/succeeded/", false},    //
		{"state/open/", false},               // all of them without a verdict
		{"state/folders/", false},            // notes
		{"state/jobs/", false},               // job IDs
		{"staging/", true},                   // packages
		{"status/teams/census/", true},       //
		{"status/teams/census/next/", false}, // earlier attempts of the same folder
	}
}

func newShelf(earlier int) *shelf {
	s := &shelf{earlier: earlier, objects: map[string]*shelved{}, calls: map[string]int{}, last: dropped.UnixMicro()}
	s.put("state", "epoch", []byte(`{"at": "2026-11-01T00:00:00Z"}`), nil)
	return s
}

var dropped = time.Date(2026, 11, 23, 9, 5, 0, 0, time.UTC)

// call counts a call. It fails where its caller has gone.
func (s *shelf) call(ctx context.Context, what string) error {
	s.mu.Lock()
	s.calls[what]++
	s.mu.Unlock()
	if s.before != nil {
		s.before()
	}
	return ctx.Err()
}

func (s *shelf) put(bucket, name string, data []byte, metadata map[string]string) job.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	o := &shelved{job.Attributes{Object: job.Object{
		Bucket: bucket, Name: name, Generation: s.last, Size: int64(len(data)), Created: dropped,
		CRC32C: sum(data),
	}, Metadata: metadata}, data}
	s.objects[bucket+"/"+name] = o
	return o.Object
}

func (s *shelf) get(bucket, name string, generation int64) (*shelved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[bucket+"/"+name]
	if o == nil || generation > 0 && o.Generation != generation {
		return nil, job.ErrNotFound
	}
	return o, nil
}

func (s *shelf) List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error {
	return s.list(ctx, bucket, prefix, "", flat, page)
}

func (s *shelf) ListAfter(
	ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error,
) error {
	return s.list(ctx, bucket, prefix, after, false, page)
}

// list shows the pages that Cloud Storage would: a folder counts, but is not shown. Earlier drops come first.
func (s *shelf) list(
	ctx context.Context, bucket, prefix, after string, flat bool, page func([]job.Attributes) error,
) error {
	const pageSize = 1000
	for n := s.listed(bucket, prefix, flat); n >= pageSize; n -= pageSize {
		if err := s.call(ctx, "list "+bucket); err != nil {
			return err
		}
		if err := page(nil); err != nil {
			return err
		}
	}
	if err := s.call(ctx, "list "+bucket); err != nil {
		return err
	}
	s.mu.Lock()
	var own []job.Attributes
	for _, path := range slices.Sorted(maps.Keys(s.objects)) {
		rest, in := strings.CutPrefix(path, bucket+"/"+prefix)
		if in && (!flat || !strings.Contains(rest, "/")) && s.objects[path].Name > after {
			own = append(own, s.objects[path].Attributes)
		}
	}
	s.mu.Unlock()
	return page(own)
}

// listed returns how many objects and folders of earlier drops a list has.
func (s *shelf) listed(bucket, prefix string, flat bool) (n int) {
	for _, h := range history() {
		deeper, below := strings.CutPrefix(h.in, bucket+"/"+prefix)
		switch {
		case !below:
		case flat && deeper != "":
			n++
		default:
			n += s.earlier
		}
	}
	return n
}

func (s *shelf) Stat(ctx context.Context, bucket, name string) (job.Attributes, error) {
	return s.StatAt(ctx, bucket, name, 0)
}

func (s *shelf) StatAt(ctx context.Context, bucket, name string, generation int64) (job.Attributes, error) {
	if err := s.call(ctx, "stat "+bucket); err != nil {
		return job.Attributes{}, err
	}
	o, err := s.get(bucket, name, generation)
	if err != nil {
		return job.Attributes{}, err
	}
	return o.Attributes, nil
}

func (s *shelf) Read(ctx context.Context, bucket, name string, generation, _ int64) ([]byte, int64, error) {
	if err := s.call(ctx, "read "+bucket); err != nil {
		return nil, 0, err
	}
	o, err := s.get(bucket, name, generation)
	if err != nil {
		return nil, 0, err
	}
	return o.data, o.Generation, nil
}

func (s *shelf) Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error) {
	if err := s.call(ctx, "read "+bucket); err != nil {
		return nil, err
	}
	o, err := s.get(bucket, name, generation)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(o.data)), nil
}

func (s *shelf) Write(ctx context.Context, bucket, name string, data []byte, _ string, metadata map[string]string,
	ifGeneration int64) (int64, error) {
	if err := s.call(ctx, "write "+bucket); err != nil {
		return 0, err
	}
	there, err := s.get(bucket, name, 0)
	if ifGeneration == 0 && err == nil || ifGeneration > 0 && (err != nil || there.Generation != ifGeneration) {
		return 0, attempt.ErrStale
	}
	return s.put(bucket, name, data, metadata).Generation, nil
}

func (s *shelf) Copy(ctx context.Context, source job.Object, bucket, name string) error {
	if err := s.call(ctx, "copy "+bucket); err != nil {
		return err
	}
	o, err := s.get(source.Bucket, source.Name, source.Generation)
	if err == nil {
		s.put(bucket, name, o.data, nil)
	}
	return err
}

func (s *shelf) Store(context.Context, string, string, io.Reader) (job.Object, error) {
	return job.Object{}, errors.New("a package is copied")
}

func (s *shelf) Delete(ctx context.Context, bucket, name string) error {
	if err := s.call(ctx, "delete "+bucket); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, bucket+"/"+name)
	return nil
}

func (s *shelf) DeleteAt(ctx context.Context, bucket, name string, _ int64) error {
	return s.Delete(ctx, bucket, name)
}

func (s *shelf) Publish(ctx context.Context, _ string, _ []job.Event) error {
	return s.call(ctx, "publish")
}

// The backend of a shelf.
func (s *shelf) Name() string                      { return "aiplatform" }
func (s *shelf) TakesID() bool                     { return true }
func (s *shelf) EnforcesWait() bool                { return true }
func (s *shelf) Check(job.Order) []plan.Diagnostic { return nil }

func (s *shelf) Find(ctx context.Context, _ job.Order) ([]attempt.BackendJob, error) {
	if err := s.call(ctx, "find"); err != nil {
		return nil, err
	}
	return nil, nil
}

func (s *shelf) Create(ctx context.Context, o job.Order) (attempt.BackendJob, error) {
	if err := s.call(ctx, "create"); err != nil {
		return attempt.BackendJob{}, err
	}
	return attempt.BackendJob{JobID: o.JobID, ResourceName: "projects/p/jobs/" + o.JobID, State: job.BackendQueued,
		Created: dropped, Labels: o.Labels}, nil
}

// sum returns a checksum as Cloud Storage has it.
func sum(data []byte) string {
	crc := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

// process returns a submitter over the real ledger and relay.
func (s *shelf) process(t testing.TB) *submitter.Submitter {
	t.Helper()
	clock := func() time.Time { return dropped.Add(time.Second) }
	records, err := ledger.New(s, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tell, err := relay.New(s, records, s, "status", clock, relay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := submitter.New(s, records, s, tell, submitter.Options{
		Instance: instance, Inbox: inbox, Staging: "staging", CallTime: 30 * time.Second, Inspections: 2, Parallel: 4,
		Now: clock, Logger: slog.New(slog.DiscardHandler),
		Patience: job.Patience{Settle: settle, Incomplete: 15 * time.Minute, Expire: 24 * time.Hour},
		Policy: func(context.Context) (policy.Policy, error) {
			return policy.Policy{Project: "project", Inbox: inbox, Own: []string{"state", "staging", "status"}, Backend: "aiplatform"}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// drop puts a drop into a folder, the package first, and delivers each event at once.
func (s *shelf) drop(t testing.TB, p *submitter.Submitter, folder, jobFile string, packed []byte) {
	t.Helper()
	for _, o := range []struct {
		name string
		data []byte
	}{{"trainer-0.1.tar.gz", packed}, {"job.yaml", []byte(jobFile)}} {
		if err := p.Submit(t.Context(), s.put(inbox, folder+o.name, o.data, nil)); err != nil {
			t.Fatal(err)
		}
	}
}

// spending is what a drop takes.
type spending struct {
	calls              map[string]int
	allocations, bytes uint64
}

// spend returns what the next drop takes. Its allocations are the least of some drops: what else runs in the process
// only adds to them.
func spend(t testing.TB, earlier int) spending {
	t.Helper()
	packed := pkg(t, "hello")
	least := spending{allocations: math.MaxUint64, bytes: math.MaxUint64}
	for i := range 12 {
		s := newShelf(earlier)
		p := s.process(t)
		s.drop(t, p, fmt.Sprintf("first/%d/", i), spec, packed) // pools and tables are filled
		clear(s.calls)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.drop(t, p, "teams/census/next/", spec, packed)
		runtime.ReadMemStats(&after)
		least.calls = s.calls
		least.allocations = min(least.allocations, after.Mallocs-before.Mallocs)
		least.bytes = min(least.bytes, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// The next drop makes the same calls after any number of drops, and no more than are in the budget.
func TestDropBudget(t *testing.T) {
	for _, earlier := range []int{0, 1000, 10_000, 100_000} {
		s := newShelf(earlier)
		s.drop(t, s.process(t), "teams/census/next/", spec, pkg(t, "hello"))
		if diff := cmp.Diff(budget.DropCalls(), s.calls); diff != "" {
			t.Fatalf("calls after %d drops (-budget +got):\n%s\nthe budget is DropCalls in internal/testing/budget: save the call, "+
				"or change the number and its reason there", earlier, diff)
		}
	}
}

// The next drop allocates as much after any number of drops, and no more than is in the budget.
func TestDropAllocates(t *testing.T) {
	hostile.Measures(t)
	none := spend(t, 0)
	t.Logf("%d allocations, %d bytes", none.allocations, none.bytes)
	if none.allocations > budget.DropAllocations || none.bytes > budget.DropBytes {
		t.Errorf("a drop takes %d allocations of %d bytes, %d of %d are in the budget", none.allocations, none.bytes,
			budget.DropAllocations, budget.DropBytes)
	}
	for _, earlier := range []int{1000, 10_000, 100_000} {
		next := spend(t, earlier)
		t.Logf("after %d drops: %d allocations, %d bytes", earlier, next.allocations, next.bytes)
		if float64(next.allocations) > budget.Growth*float64(none.allocations) ||
			float64(next.bytes) > budget.Growth*float64(none.bytes) {
			t.Errorf("after %d drops: %d allocations of %d bytes, more than %g times those of the first", earlier,
				next.allocations, next.bytes, budget.Growth)
		}
	}
}

// A folder takes drop after drop, whose jobs all run. Its note fills up; then the next drop makes the same calls after
// any number.
func TestDropAgainBudget(t *testing.T) {
	t.Parallel()
	s := newShelf(0)
	p := s.process(t)
	packed := pkg(t, "hello")
	want := budget.DropAgainCalls()
	for i := range 200 {
		clear(s.calls)
		s.drop(t, p, "teams/census/next/", fmt.Sprintf("%s  args: ['%d']\n", spec, i), packed)
		for call, n := range s.calls {
			if n > want[call] {
				t.Fatalf("drop %d of a folder: %d times %s, %d are in the budget", i+1, n, call, want[call])
			}
		}
	}
}

// A drop may lie in the folder above those of others. Each thousand of them costs one more list, until there are so many
// that the folder can't be a drop.
func TestDropAboveOthers(t *testing.T) {
	t.Parallel()
	for earlier, pages := range map[int]int{10: 1, 1000: 2, 10_000: 11, 100_000: inspect.PageLimit + 1} {
		s := newShelf(earlier)
		s.drop(t, s.process(t), "teams/census/", spec, pkg(t, "hello"))
		if n := s.calls["list inbox"]; n != 2*pages {
			t.Errorf("%d lists above %d drops, want %d for each event", n, earlier, pages)
		}
	}
}

// A request that is cut off at any of its calls leaves no goroutine behind, and is not acknowledged.
func TestCutOffRequestsLeaveNothing(t *testing.T) {
	packed := pkg(t, "hello")
	before := goleak.IgnoreCurrent()
	for cutAt := int64(1); ; cutAt++ {
		s := newShelf(0)
		s.put(inbox, "next/trainer-0.1.tar.gz", packed, nil)
		o := s.put(inbox, "next/job.yaml", []byte(spec), nil)
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int64
		s.before = func() {
			if calls.Add(1) == cutAt {
				cancel()
			}
		}
		err := s.process(t).Submit(ctx, o)
		cut := ctx.Err() != nil
		cancel()
		if cut != (err != nil) {
			t.Errorf("cut off at call %d: %t, but the answer is %v", cutAt, cut, err)
		}
		if err := goleak.Find(before); err != nil {
			t.Fatalf("cut off at call %d: %v", cutAt, err)
		}
		if !cut {
			if cutAt < 10 {
				t.Errorf("a drop took %d calls", calls.Load())
			}
			return
		}
	}
}

// BenchmarkDrop shows what the next drop costs after others. The times are for people to compare.
func BenchmarkDrop(b *testing.B) {
	packed := pkg(b, "hello")
	for _, earlier := range []int{0, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("earlier=%d", earlier), func(b *testing.B) {
			b.ReportAllocs()
			s := newShelf(earlier)
			p := s.process(b)
			i := 0
			for b.Loop() {
				i++
				s.drop(b, p, fmt.Sprintf("teams/census/next%d/", i), spec, packed)
				clear(s.objects) // a list here looks at all of them
				b.StopTimer()
				s.put("state", "epoch", []byte(`{"at": "2026-11-01T00:00:00Z"}`), nil)
				b.StartTimer()
			}
		})
	}
}
