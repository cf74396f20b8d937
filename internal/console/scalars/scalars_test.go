package scalars

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// bucket is a Cloud Storage with a reader of it.
type bucket struct {
	*storagetest.Faults
	server *fakestorage.Server
	reader *Reader
}

func newBucket(t *testing.T, o Options) *bucket {
	t.Helper()
	client, server := storagetest.New(t, "b")
	b := &bucket{Faults: &storagetest.Faults{Client: client}, server: server}
	var err error
	if b.reader, err = New(b, o); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bucket) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if _, err := b.Write(t.Context(), "b", name, content, "", nil, attempt.AnyGeneration); err != nil {
		t.Fatal(err)
	}
}

// read returns a page as text: its series, then its notes, and the names that were opened for it.
func (b *bucket) read(t *testing.T, prefix string) (series, notes, opened []string) {
	t.Helper()
	b.Reset()
	set, err := b.reader.Read(t.Context(), "b", prefix)
	if err != nil {
		t.Fatal(err)
	}
	lists := 0
	for _, c := range b.Calls() {
		switch c.Kind {
		case "list":
			lists++
		case "read":
			opened = append(opened, c.Name)
		default:
			t.Errorf("call %v", c)
		}
	}
	if lists != 1 {
		t.Errorf("%d lists", lists)
	}
	slices.Sort(opened)
	return listing(set), set.Notes, opened
}

func listing(set Set) []string {
	var all []string
	for _, s := range set.Series {
		line := s.Run + " " + s.Tag
		for _, p := range s.Points {
			line += fmt.Sprintf(" %d:%v", p.Step, p.Value)
		}
		all = append(all, line)
	}
	return all
}

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A job directory with all kinds of files gives the runs that TensorBoard shows, and those of the other files.
func TestRead(t *testing.T) {
	b := newBucket(t, Options{})
	event := func(step int, value float64) []byte { return encode(t, simple(step, "loss", value)) }
	for name, content := range map[string][]byte{
		"jobs/x/events.out.tfevents.1.host":          event(1, 1),
		"jobs/x/train/events.out.tfevents.1.host.v2": slices.Concat(event(1, 1), event(3, 3)),
		"jobs/x/train/events.out.tfevents.2.host.v2": slices.Concat(event(3, 30), event(4, 4)),
		"jobs/x/2/eval/events.out.tfevents.1":        event(1, 2),
		"jobs/x/10/eval/events.out.tfevents.1":       event(1, 10),
		"jobs/x/10/output.metrics":                   []byte(`{"acc": "0.5", "global_step": "7", "trial": "10"}`),
		"jobs/x/output.metrics":                      []byte(`{"acc": "0.25", "global_step": "7", "trial": "2"}`),
		"jobs/x/log.jsonl":                           []byte(`{"step": 1, "loss": 5}`),
		"jobs/x/metrics.json":                        []byte(`{"iteration": 1, "lr": 5}`),
		"jobs/x/model.ckpt":                          []byte(`{"step": 1, "no": 5}`),
		"jobs/x/tfevents/config.json":                []byte(`{"step": 1, "no": 5}`),
		"jobs/x/empty.jsonl":                         {},
		"jobs/x2/log.jsonl":                          []byte(`{"step": 1, "another": 5}`),
	} {
		b.write(t, name, content)
	}
	want := []string{
		". loss 1:1", "2/eval loss 1:2", "2/output.metrics acc 7:0.25", "10/eval loss 1:10", "10/output.metrics acc 7:0.5",
		"log.jsonl loss 1:5", "metrics.json lr 1:5", "train loss 1:1 3:3 3:30 4:4",
	}
	for _, prefix := range []string{"jobs/x/", "jobs/x"} {
		series, notes, _ := b.read(t, prefix)
		same(t, "series", want, series)
		same(t, "notes", nil, notes)
	}
	b.write(t, "jobs/x/train/events.out.tfevents.3.host.v2", event(2, 20))
	set, err := b.reader.Read(t.Context(), "b", "jobs/x")
	if err != nil {
		t.Fatal(err)
	}
	last := set.Series[len(set.Series)-1]
	if set.Files != 10 || last.Total != 5 || last.Restarts != 1 || len(last.Points) != 2 {
		t.Errorf("%d files; %+v", set.Files, last)
	}
	same(t, "notes", []string{"in 1 series the step goes back: the later values replace those from there on"}, set.Notes)
}

// What was read is not read again, and a new generation is.
func TestCache(t *testing.T) {
	b := newBucket(t, Options{})
	b.write(t, "x/a.jsonl", []byte(`{"step": 1, "a": 1}`))
	b.write(t, "x/b.jsonl", []byte(`{"step": 1, "b": 1}`))
	_, _, opened := b.read(t, "x")
	same(t, "opened first", []string{"x/a.jsonl", "x/b.jsonl"}, opened)
	_, _, opened = b.read(t, "x/")
	same(t, "opened again", nil, opened)
	b.write(t, "x/a.jsonl", []byte(`{"step": 1, "a": 2}`))
	series, _, opened := b.read(t, "x")
	same(t, "opened after a change", []string{"x/a.jsonl"}, opened)
	same(t, "series", []string{"a.jsonl a 1:2", "b.jsonl b 1:1"}, series)
	if n := len(b.reader.files.entries); n != 2 {
		t.Errorf("%d entries", n)
	}
}

// The cache holds no more than its bound, and what was used the longest ago goes.
func TestCacheIsBounded(t *testing.T) {
	b := newBucket(t, Options{CacheBytes: 2000, SetBytes: 1, Reads: 1})
	for i := range 6 {
		b.write(t, fmt.Sprintf("%d/log.jsonl", i), []byte(`{"step": 1, "a": 1}`))
		b.read(t, fmt.Sprint(i))
		if _, _, opened := b.read(t, "0"); opened != nil {
			t.Fatal("the one that is used most was dropped")
		}
	}
	if _, _, opened := b.read(t, "2"); opened == nil {
		t.Error("one that was used long ago is still there")
	}
	c := b.reader.files
	var size int64
	for e := c.order.Front(); e != nil; e = e.Next() {
		e := e.Value.(*entry[*file])
		size += e.value.bytes() + int64(len("b0/log.jsonl")+len(e.form))
	}
	if size != c.size || size > 2000 || len(c.entries) != c.order.Len() || len(c.entries) < 2 {
		t.Errorf("%d bytes counted, %d held, by %d entries and %d", c.size, size, len(c.entries), c.order.Len())
	}
	// One that is larger than all of it is read each time.
	b.write(t, "large/log.jsonl", []byte(`{"`+strings.Repeat("long", 40)+`": 1}`+strings.Repeat("\n"+`{"a": 1}`, 100)))
	for range 2 {
		if _, _, opened := b.read(t, "large"); len(opened) != 1 {
			t.Errorf("opened %q", opened)
		}
	}
	if _, _, opened := b.read(t, "2"); opened != nil {
		t.Error("one that is too large dropped another")
	}
}

// Many who ask at once share one read, and get their own context's end. The read goes on.
func TestOneReadForAll(t *testing.T) {
	b := newBucket(t, Options{})
	b.write(t, "x/a.jsonl", []byte(`{"step": 1, "a": 1}`))
	opened, release := make(chan struct{}), make(chan struct{})
	b.Before = func(c storagetest.Call) error {
		if c.Kind == "read" {
			close(opened) // a second one panics
			<-release
		}
		return nil
	}
	leaving, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := b.reader.Read(leaving, "b", "x")
		left <- err
	}()
	<-opened
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			set, err := b.reader.Read(t.Context(), "b", "x")
			if err != nil || len(set.Series) != 1 {
				t.Errorf("%v, %v", set, err)
			}
		})
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(release)
	all.Wait()
}

// A page reads a bounded number of files and bytes, says so, and the next one reads on.
func TestPageBounds(t *testing.T) {
	line := func(i int) []byte { return fmt.Appendf(nil, `{"step": %d, "a": 1}`, i) } // 20 bytes
	t.Run("files", func(t *testing.T) {
		b := newBucket(t, Options{Files: 2})
		for i := range 4 {
			b.write(t, fmt.Sprintf("x/%d.jsonl", i), line(i))
		}
		series, notes, _ := b.read(t, "x")
		same(t, "series", []string{"0.jsonl a 0:1", "1.jsonl a 1:1"}, series)
		same(t, "notes", []string{"2 files are left out: a page reads at most 2"}, notes)
	})
	t.Run("bytes", func(t *testing.T) {
		b := newBucket(t, Options{PageBytes: 50})
		for i := range 3 {
			b.write(t, fmt.Sprintf("x/%d.jsonl", i), line(i))
		}
		series, notes, _ := b.read(t, "x")
		same(t, "series", []string{"0.jsonl a 0:1", "1.jsonl a 1:1"}, series)
		same(t, "notes", []string{"1 file is still to be read: the next look at this page reads on"}, notes)
		series, notes, _ = b.read(t, "x")
		same(t, "series", []string{"0.jsonl a 0:1", "1.jsonl a 1:1", "2.jsonl a 2:1"}, series)
		same(t, "notes", nil, notes)
	})
	t.Run("bytes of a file", func(t *testing.T) {
		b := newBucket(t, Options{FileBytes: 50})
		b.write(t, "x/a.jsonl", bytes.Join([][]byte{line(1), line(2), line(3)}, []byte("\n")))
		b.write(t, "x/tfevents", encode(t, simple(1, "a", 1), simple(2, "a", 1), simple(3, "a", 1)))
		series, notes, _ := b.read(t, "x")
		same(t, "series", []string{". a 1:1", "a.jsonl a 1:1 2:1"}, series)
		same(t, "notes", []string{
			"a.jsonl: only the first 50 bytes of 59 bytes were read", "tfevents: only the first 50 bytes of 117 bytes were read",
		}, notes)
	})
	t.Run("tags and series", func(t *testing.T) {
		b := newBucket(t, Options{Tags: 2, Series: 3})
		b.write(t, "x/tfevents.1", encode(t, simple(1, "a", 1), simple(1, "b", 1)))
		b.write(t, "x/tfevents.2", encode(t, simple(1, "c", 1), simple(2, "b", 1)))
		b.write(t, "x/y/tfevents", encode(t, simple(1, "a", 1), simple(1, "b", 1), simple(1, "c", 1)))
		series, notes, _ := b.read(t, "x")
		same(t, "series", []string{". a 1:1", ". b 1:1 2:1", "y a 1:1"}, series)
		same(t, "notes", []string{
			"y/tfevents: only 2 tags are kept: 1 value of another is left out",
			"1 series is left out: a run has at most 2 tags",
			"1 series is left out: a page has at most 3",
		}, notes)
	})
	t.Run("points", func(t *testing.T) {
		b := newBucket(t, Options{Points: 10})
		for f := range 2 {
			var events []string
			for i := range 100 {
				events = append(events, simple(100*f+i, "a", float64(i%7)))
			}
			b.write(t, fmt.Sprintf("x/tfevents.%d", f), encode(t, events...))
		}
		set, err := b.reader.Read(t.Context(), "b", "x")
		if err != nil {
			t.Fatal(err)
		}
		s := set.Series[0]
		if s.Total != 200 || len(s.Points) > 10 || s.Points[0].Step != 0 || s.Points[len(s.Points)-1].Step != 199 {
			t.Errorf("%+v", s)
		}
	})
}

// listed is a store with more objects than one call lists.
type listed struct {
	store
	page []job.Attributes
}

func (l listed) ListPage(_ context.Context, _, _, _ string, most int) ([]job.Attributes, bool, error) {
	return l.page[:most], true, nil
}

func TestListIsBounded(t *testing.T) {
	r, err := New(listed{page: make([]job.Attributes, 1200)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := r.Read(t.Context(), "b", "x")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "notes", []string{
		"only the first 1000 objects of the job directory were looked at: curves in later ones are left out",
	}, set.Notes)
}

// Notes are bounded, whatever many files have.
func TestNotesAreBounded(t *testing.T) {
	b := newBucket(t, Options{})
	for i := range 40 {
		b.write(t, fmt.Sprintf("x/%02d\x1b[31m%s.jsonl", i, strings.Repeat("long", 100)), []byte("{\n"))
	}
	_, notes, _ := b.read(t, "x")
	if len(notes) != mostNotes+1 || notes[mostNotes] != "and 10 more notes" {
		t.Errorf("%d notes, the last %q", len(notes), notes[len(notes)-1])
	}
	for _, n := range notes {
		if len(n) > 300 || strings.Contains(n, "\x1b") {
			t.Errorf("note %q", n)
		}
	}
}

// A file that can't be read is a note, and is tried again; the others are shown.
func TestUnreadableFiles(t *testing.T) {
	b := newBucket(t, Options{})
	for _, name := range []string{"denied", "gone", "good"} {
		b.write(t, "x/"+name+".jsonl", []byte(`{"step": 1, "a": 1}`))
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(`{"step": 1, "a": 1}`))
	_ = z.Close()
	b.server.CreateObject(fakestorage.Object{
		ObjectAttrs: fakestorage.ObjectAttrs{BucketName: "b", Name: "x/packed.jsonl", ContentEncoding: "gzip"},
		Content:     packed.Bytes(),
	})
	b.Before = func(c storagetest.Call) error {
		switch c.Name {
		case "x/denied.jsonl":
			return fmt.Errorf("read: %w", job.ErrDenied)
		case "x/gone.jsonl":
			return fmt.Errorf("read: %w", job.ErrNotFound)
		}
		return nil
	}
	series, notes, _ := b.read(t, "x")
	same(t, "series", []string{"good.jsonl a 1:1"}, series)
	same(t, "notes", []string{
		"denied.jsonl can't be read",
		"gone.jsonl was replaced or deleted while it was read: reload the page",
		"packed.jsonl: stored with contentEncoding gzip, which is not unpacked here",
	}, notes)
	if set, err := b.reader.Read(t.Context(), "b", "x"); err != nil || !errors.Is(set.Failed, job.ErrDenied) {
		t.Errorf("it says why: %v, %v", set.Failed, err)
	}
	b.Before = nil
	series, _, opened := b.read(t, "x")
	same(t, "opened again", []string{"x/denied.jsonl", "x/gone.jsonl"}, opened)
	same(t, "series", []string{"denied.jsonl a 1:1", "gone.jsonl a 1:1", "good.jsonl a 1:1"}, series)
	b.Before = func(storagetest.Call) error { return job.ErrDenied }
	if _, err := b.reader.Read(t.Context(), "b", "x"); !errors.Is(err, job.ErrDenied) {
		t.Errorf("a directory that can't be listed: %v", err)
	}
}

// stuck is a store whose objects never end.
type stuck struct{}

func (stuck) ListPage(context.Context, string, string, string, int) ([]job.Attributes, bool, error) {
	return []job.Attributes{{Object: job.Object{Bucket: "b", Name: "x/a.jsonl", Generation: 1, Size: 5}}}, false, nil
}

func (stuck) Open(ctx context.Context, _, _ string, _ int64) (io.ReadCloser, error) {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	return r, nil
}

// A read has its time, also if who asked has all of it.
func TestReadTime(t *testing.T) {
	r, err := New(stuck{}, Options{ReadTime: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	set, err := r.Read(t.Context(), "b", "x")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "notes", []string{"a.jsonl can't be read"}, set.Notes)
	if !errors.Is(set.Failed, context.DeadlineExceeded) {
		t.Errorf("it says why: %v", set.Failed)
	}
}

func TestNewRefusesNil(t *testing.T) {
	if _, err := New(nil, Options{}); err == nil {
		t.Error("a reader without a store")
	}
}

func TestNatural(t *testing.T) {
	want := []string{"", ".", "02/eval", "2/eval", "10/eval", "10/eval2", "10/eval10", "a", "a1", "a1b", "ab"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, natural)
	same(t, "order", want, got)
}
