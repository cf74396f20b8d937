package scalars

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/internal/testing/hostile"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// directories is a store that takes no memory for its objects: all of a directory have the same content.
type directories struct {
	mu      sync.Mutex
	content map[string][]byte // by the name of the directory
	list    []job.Attributes
	opened  []string
	// during is called while an object is read; what it returns is the object's content.
	during func(ctx context.Context, name string, content []byte) io.Reader
}

func (d *directories) add(dir, format string, n int, content []byte) {
	if d.content == nil {
		d.content = map[string][]byte{}
	}
	d.content[dir] = content
	for i := range n {
		o := job.Object{
			Bucket: "b", Name: dir + "/" + fmt.Sprintf(format, i), Generation: int64(len(d.list) + 1), Size: int64(len(content)),
		}
		d.list = append(d.list, job.Attributes{Object: o})
	}
}

// replace makes a new generation of an object.
func (d *directories) replace(name string) {
	i := slices.IndexFunc(d.list, func(o job.Attributes) bool { return o.Name == name })
	d.list[i].Generation += 1_000_000
}

func (d *directories) ListPage(_ context.Context, _, prefix, _ string, _ int) ([]job.Attributes, bool, error) {
	var page []job.Attributes
	for _, o := range d.list {
		if strings.HasPrefix(o.Name, prefix) {
			page = append(page, o)
		}
	}
	return page, false, nil
}

func (d *directories) Open(ctx context.Context, _, name string, generation int64) (io.ReadCloser, error) {
	dir, _, _ := strings.Cut(name, "/")
	d.mu.Lock()
	d.opened = append(d.opened, name)
	d.mu.Unlock()
	var r io.Reader = bytes.NewReader(d.content[dir])
	if d.during != nil {
		r = d.during(ctx, fmt.Sprintf("%s#%d", name, generation), d.content[dir])
	}
	return io.NopCloser(r), nil
}

// read returns a page, and how many objects were opened for it.
func (d *directories) read(t testing.TB, r *Reader, dir string) (Set, int) {
	t.Helper()
	d.mu.Lock()
	before := len(d.opened)
	d.mu.Unlock()
	set, err := r.Read(t.Context(), "b", dir)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return set, len(d.opened) - before
}

func reader(t testing.TB, s store, o Options) *Reader {
	t.Helper()
	r, err := New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// large returns an event file with a number of tags, and of values of each.
func large(t testing.TB, tags, values int) []byte {
	var events []byte
	for tag := range tags {
		events = append(events, encode(t, simple(1, fmt.Sprintf("t%03d", tag), 1))...)
	}
	return bytes.Repeat(events, values)
}

// Whatever directories have, all pages together hold little at any time, and an unchanged one is not read again. One
// changed file is one read.
func TestMemory(t *testing.T) {
	hostile.Measures(t)
	var live sync.Mutex
	var least, most uint64
	heap := func() uint64 {
		live.Lock()
		defer live.Unlock()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least, most = min(least, m.HeapAlloc), max(most, m.HeapAlloc)
		return m.HeapAlloc
	}
	var d directories
	// Of their own runs, all in one, and with long names.
	many := large(t, 200, 60)
	d.add("runs", "%03d/tfevents", 200, many)
	d.add("more", "%03d/tfevents", 200, many)
	d.add("one", "tfevents.%03d", 100, large(t, 20, 999))
	d.add("other", "tfevents.%03d", 60, many)
	var names []byte
	for tag := range 200 {
		names = append(names, encode(t, simple(1, strings.Repeat("é", 180)+fmt.Sprint(tag), 1))...)
	}
	d.add("names", "tfevents.%03d", 200, names)
	r := reader(t, &d, Options{PageTime: time.Minute})
	before := heap()
	least, most = before, before
	var reads sync.Mutex
	n := 0
	d.during = func(_ context.Context, _ string, content []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(content), measure(func() {
			reads.Lock()
			n++
			now := n%8 == 0
			reads.Unlock()
			if now {
				heap()
			}
		}))
	}
	var all sync.WaitGroup
	for _, dir := range []string{"runs", "more", "one", "other", "names"} {
		all.Go(func() {
			set, _ := d.read(t, r, dir)
			points := 0
			for _, s := range set.Series {
				points += len(s.Points)
			}
			if len(set.Series) == 0 || points > 60_000 {
				t.Errorf("%s: %d series of %d points; %q", dir, len(set.Series), points, set.Notes)
			}
		})
	}
	all.Wait()
	after := heap()
	t.Logf("%d MiB at most, %d MiB afterwards", (most-before)>>20, (after-before)>>20)
	if most-before > 48<<20 {
		t.Errorf("%d MiB are held, and %d MiB afterwards", (most-before)>>20, (after-before)>>20)
	}
	d.during = nil
	for range 2 { // the first one brings back what the other pages drove out
		d.replace("one/tfevents.050")
		d.read(t, r, "one")
	}
	if _, n := d.read(t, r, "one"); n != 0 {
		t.Errorf("%d files are opened at an unchanged directory", n)
	}
	d.replace("one/tfevents.050")
	if set, n := d.read(t, r, "one"); n != 1 || set.Files != 100 {
		t.Errorf("%d files are opened after a change of one, of %d", n, set.Files)
	}
}

// measure is a reader of nothing that does something.
type measure func()

func (m measure) Read([]byte) (int, error) {
	m()
	return 0, io.EOF
}

// A page that is full opens no further file, but those with more of a run that it has.
func TestFullPage(t *testing.T) {
	var d directories
	d.add("x", "a%d/tfevents", 3, encode(t, simple(1, "a", 1), simple(1, "b", 1)))
	d.add("x", "b/%d/tfevents", 20, encode(t, simple(1, "a", 1), simple(1, "b", 1)))
	d.add("x", "a1/tfevents.%d", 1, d.content["x"])
	d.add("x", "z%d.jsonl", 5, d.content["x"])
	r := reader(t, &d, Options{Series: 6, Reads: 2})
	set, n := d.read(t, r, "x")
	// One of b was begun while a2 was read.
	if len(set.Series) != 6 || n != 3+2 && n != 3+1+1 || !slices.Contains(d.opened, "x/a1/tfevents.0") {
		t.Errorf("%d series; opened %q", len(set.Series), d.opened)
	}
	if set.Series[2].Total != 2 {
		t.Errorf("%+v is not all of its run", set.Series[2])
	}
	same(t, "notes", []string{
		"24 files are not read: a page has at most 6 series", "2 series are left out: a page has at most 6",
	}, set.Notes)
}

// A page reads no more files than the cache can hold beside each other, and so never the same ones again and again.
func TestPageFitsTheCache(t *testing.T) {
	var d directories
	d.add("x", "%d.jsonl", 9, []byte(`{"step": 1, "a": 1}`))
	r := reader(t, &d, Options{CacheBytes: 4000, Reads: 1})
	set, n := d.read(t, r, "x")
	if set.Files != 5 || n != 5 || len(r.files.entries) != 5 {
		t.Errorf("%d files; %d are opened and %d held", set.Files, n, len(r.files.entries))
	}
	same(t, "notes", []string{"4 files are left out: those before take all the memory of a page"}, set.Notes)
	d.replace("x/0.jsonl")
	if _, n = d.read(t, r, "x"); n != 1 {
		t.Errorf("%d files are opened after a change of one", n)
	}
}

// A directory that has not changed is not read again, though the cache lost its files.
func TestSetsAreRemembered(t *testing.T) {
	var d directories
	line := []byte(`{"step": 1, "a": 1}`)
	for _, dir := range []string{"x", "y", "z"} {
		d.add(dir, "%d.jsonl", 4, line)
	}
	r := reader(t, &d, Options{CacheBytes: 4000})
	first, n := d.read(t, r, "x")
	if n != 4 {
		t.Fatalf("%d files are opened", n)
	}
	d.read(t, r, "y")
	d.read(t, r, "z")
	again, n := d.read(t, r, "x")
	if n != 0 {
		t.Errorf("%d files are opened again", n)
	}
	same(t, "series", listing(first), listing(again))
	d.replace("x/2.jsonl")
	if _, n = d.read(t, r, "x"); n != 4 {
		t.Errorf("%d files are opened: the cache lost them", n)
	}
	d.list = append(d.list[:1], d.list[2:]...)
	if set, n := d.read(t, r, "x"); n != 0 || set.Files != 3 {
		t.Errorf("%d files are opened of %d", n, set.Files)
	}
}

// What is remembered of directories is bounded.
func TestSetsAreBounded(t *testing.T) {
	var d directories
	for i := range 9 {
		d.add(fmt.Sprint(i), "a.jsonl%.0d", 1, []byte(`{"step": 1, "a": 1}`))
		d.list[i].Name = fmt.Sprintf("%d/a.jsonl", i)
	}
	r := reader(t, &d, Options{SetBytes: 4000})
	for i := range 9 {
		d.read(t, r, fmt.Sprint(i))
	}
	if n := len(r.sets.entries); n < 2 || n > 6 || r.sets.size > 4000 {
		t.Errorf("%d sets of %d bytes", n, r.sets.size)
	}
}

// A page shows what was read in its time, and the next one reads on.
func TestPageTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d directories
		d.add("x", "%d.jsonl", 7, []byte(`{"step": 1, "a": 1}`))
		d.during = func(ctx context.Context, _ string, content []byte) io.Reader {
			time.Sleep(3 * time.Second)
			return bytes.NewReader(content)
		}
		r := reader(t, &d, Options{Reads: 1, PageTime: 10 * time.Second})
		for _, want := range []struct {
			files   int
			pending int64
			after   time.Duration
			notes   []string
		}{
			{3, 4, 10 * time.Second, []string{"4 files are still to be read: the next look at this page reads on"}},
			{6, 1, 10 * time.Second, []string{"1 file is still to be read: the next look at this page reads on"}},
			{7, 0, time.Second, nil},
			{7, 0, 0, nil},
		} {
			begin := time.Now()
			set, _ := d.read(t, r, "x")
			if set.Files != want.files || set.Pending != want.pending || time.Since(begin) != want.after {
				t.Errorf("%d files, %d are pending, after %v, want %+v", set.Files, set.Pending, time.Since(begin), want)
			}
			same(t, "notes", want.notes, set.Notes)
		}
		if len(d.opened) != 7 {
			t.Errorf("opened %q", d.opened)
		}
	})
}

// A page that waits for others has its time too, and files in the queue of one that has gone are not read.
func TestPagesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d directories
		d.add("slow", "%d.jsonl", 3, []byte(`{"step": 1, "a": 1}`))
		d.add("x", "%d.jsonl", 3, []byte(`{"step": 1, "a": 1}`))
		d.during = func(ctx context.Context, name string, content []byte) io.Reader {
			if strings.HasPrefix(name, "slow") {
				time.Sleep(time.Hour) // heeds no deadline
			}
			return bytes.NewReader(content)
		}
		r := reader(t, &d, Options{Reads: 2, Pages: 1, PageTime: 10 * time.Second})
		r.pages <- struct{}{} // of one that never ends
		if set, n := d.read(t, r, "x"); set.Pending != 3 || n != 0 {
			t.Errorf("%d are pending, %d were opened", set.Pending, n)
		}
		<-r.pages
		var all sync.WaitGroup
		all.Go(func() {
			if set, _ := d.read(t, r, "slow"); set.Pending != 3 {
				t.Errorf("%d are pending", set.Pending)
			}
		})
		time.Sleep(5 * time.Second)
		if set, _ := d.read(t, r, "x"); set.Pending != 3 {
			t.Errorf("%d are pending: nothing can be read", set.Pending)
		}
		all.Wait()
		time.Sleep(2 * time.Hour)
		if len(d.opened) != 2 || len(r.pages) != 0 {
			t.Errorf("opened %q; %d pages", d.opened, len(r.pages))
		}
		if set, _ := d.read(t, r, "x"); set.Pending != 0 || set.Files != 3 || len(r.reads) != 0 {
			t.Errorf("%+v", set)
		}
	})
}

// While a newer generation is still to be read, the page shows the older one.
func TestOlderGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d directories
		d.add("x", "%d.jsonl", 1, []byte(`{"step": 1, "a": 1}`))
		r := reader(t, &d, Options{PageTime: 10 * time.Second})
		d.read(t, r, "x")
		d.replace("x/0.jsonl")
		d.during = func(context.Context, string, []byte) io.Reader {
			time.Sleep(15 * time.Second)
			return strings.NewReader(`{"step": 1, "a": 2}`)
		}
		set, _ := d.read(t, r, "x")
		same(t, "series", []string{"0.jsonl a 1:1"}, listing(set))
		same(t, "notes", []string{"1 file is still to be read: the next look at this page reads on"}, set.Notes)
		set, n := d.read(t, r, "x")
		same(t, "series", []string{"0.jsonl a 1:2"}, listing(set))
		if n != 0 {
			t.Errorf("%d files are opened", n)
		}
	})
}

// A file that breaks the reader is a note, and in the log once. The others are shown.
func TestPanics(t *testing.T) {
	var d directories
	d.add("x", "%d.jsonl", 3, []byte(`{"step": 1, "a": 1}`))
	d.during = func(_ context.Context, name string, content []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(content), measure(func() {
			if strings.HasPrefix(name, "x/1.") {
				panic("on purpose")
			}
		}))
	}
	var log bytes.Buffer
	r := reader(t, &d, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 2 {
		set, _ := d.read(t, r, "x")
		same(t, "series", []string{"0.jsonl a 1:1", "2.jsonl a 1:1"}, listing(set))
		same(t, "notes", []string{"1.jsonl: it broke the reader: the console's log says where"}, set.Notes)
	}
	if said := log.String(); strings.Count(said, "on purpose") != 1 || !strings.Contains(said, "object=x/1.jsonl") ||
		!strings.Contains(said, "bounds_test.go") {
		t.Errorf("the log says %s", said)
	}
	if len(d.opened) != 3 || len(r.reads) != 0 {
		t.Errorf("opened %q; %d reads", d.opened, len(r.reads))
	}
	// The making of a page.
	_, err := r.sets.get(t.Context(), key{"b", "y"}, version{}, func() (*Set, bool, error) { panic("on purpose") })
	if err == nil || !strings.Contains(err.Error(), "on purpose") {
		t.Errorf("a page that breaks: %v", err)
	}
}
