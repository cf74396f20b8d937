// Package scalars reads the series of numbers that a trainer wrote into its job directory: losses, accuracies, learning
// rates. It reads what trainers write anyway, and decides by an object's name what it is:
//
//   - Event files of TensorBoard: the last part of the name contains "tfevents". Scalars count, from version 1
//     (simple_value) and version 2 (tensors). Their run is the folder below the job directory, as in TensorBoard.
//   - JSON lines: the name ends in ".jsonl", or its last part is "metrics.json". Each file is a run.
//   - Metrics of cloudml-hypertune: the name ends in ".metrics", as output.metrics. Each file is a run, below the
//     trial that its lines name.
//
// All that is in a bucket may be hostile. Whatever the files hold, a page costs one list and a bounded number of
// reads, each of bounded bytes, time and memory; [Set.Notes] says what was left out. Series are thinned while they are
// read and merged, and all pages together hold a bounded number of points. What was read is cached by the object's
// generation, and what was made of a directory by those of its files: one that has not changed is not read again. What
// takes longer than a page's time is read on at the next look.
package scalars

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Point is one value of a series.
type Point struct {
	Step int64
	// Wall is when it was written, in milliseconds since 1970. 0 means that the file does not say.
	Wall  int64
	Value float64
}

// Finite reports whether the value is neither NaN nor an infinity.
func (p Point) Finite() bool { return !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) }

// Series is what a trainer wrote under one name.
type Series struct {
	// Run is where it was written: for event files the folder below the job directory, "." for itself; for other files
	// their name below it.
	Run string
	// Tag is the name, as valid UTF-8 of at most about 200 characters. It may contain any others.
	Tag string
	// Points are in the order of their steps, which may be equal. They belong to a cache, and must not be changed. There
	// are at most [Options.Points] of them. The first and the last value and the extremes are among them.
	Points []Point
	// Total counts the values that were read. More than Points, the series is thinned or Restarts is positive.
	Total int64
	// NonFinite counts those that are NaN or an infinity. Some of them are among Points.
	NonFinite int64
	// Restarts counts the steps that are smaller than the one before, as when a trainer goes on from a checkpoint. What
	// was kept from that step on is dropped each time, as in TensorBoard.
	Restarts int64
}

// Set is what was read of a job directory.
type Set struct {
	// Series are in the order of runs and tags, with numbers in the order of their values.
	Series []Series
	// Notes are sentences for people about what was left out, and why.
	Notes []string
	// Failed is why the first of the files that can't be read can't be, nil if there are none. The notes name them.
	Failed error
	// Files is how many files Series come from.
	Files int
	// Pending is how many files are still to be read. The next Read goes on with them.
	Pending int64
}

// store is what a reader needs of Cloud Storage. ListPage returns the objects below a prefix whose names come after a
// name, most of them or fewer, and whether there are more. Open reads one generation of an object; ctx bounds the whole
// read.
type store interface {
	ListPage(ctx context.Context, bucket, prefix, after string, most int) (page []job.Attributes, more bool, err error)
	Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error)
}

// Options bound what a [Reader] does. The zero value of a field stands for the number beside it.
type Options struct {
	// Files are read for a page at most: 200. A study of a hundred trials has about as many.
	Files int
	// FileBytes are read of a file at most: 64 MiB, about half a million scalars.
	FileBytes int64
	// PageBytes are read for a page at most: 256 MiB, beside what is cached. The next page reads on.
	PageBytes int64
	// Tags are kept of a run at most: 200.
	Tags int
	// Series are returned at most: 500.
	Series int
	// Points are kept of a series at most: 1,000, as a chart has pixels. The least number is 8.
	Points int
	// FilePoints are kept of a file at most, in all its series: 16,000. The more files a page has, the fewer, so that
	// the cache holds all of them.
	FilePoints int
	// PagePoints are returned at most, in all series: 60,000.
	PagePoints int
	// CacheBytes bound the memory of the files that were read: 20 MiB; SetBytes that of the pages: 6 MiB.
	CacheBytes, SetBytes int64
	// Reads are under way at once for all pages: 4. One holds at most a record of 1 MiB and its series.
	Reads int
	// Pages are made at once: 4. One holds at most its series, and Reads files.
	Pages int
	// ReadTime bounds the read of a file: one minute.
	ReadTime time.Duration
	// PageTime bounds the making of a page: 10 s. The next page reads on.
	PageTime time.Duration
	// Logger gets what broke the reader. Nil is none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Files = cmp.Or(o.Files, 200)
	o.FileBytes = cmp.Or(o.FileBytes, 64<<20)
	o.PageBytes = cmp.Or(o.PageBytes, 256<<20)
	o.Tags = cmp.Or(o.Tags, 200)
	o.Series = cmp.Or(o.Series, 500)
	o.Points = max(cmp.Or(o.Points, 1000), leastPoints)
	o.FilePoints = cmp.Or(o.FilePoints, 16_000)
	o.PagePoints = cmp.Or(o.PagePoints, 60_000)
	o.CacheBytes = cmp.Or(o.CacheBytes, 20<<20)
	o.SetBytes = cmp.Or(o.SetBytes, 6<<20)
	o.Reads = cmp.Or(o.Reads, 4)
	o.Pages = cmp.Or(o.Pages, 4)
	o.ReadTime = cmp.Or(o.ReadTime, time.Minute)
	o.PageTime = cmp.Or(o.PageTime, 10*time.Second)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

const (
	// listSize is what one call lists.
	listSize = 1000
	// mostNotes bounds the notes of a page, and of a file.
	mostNotes = 30
	// shownName is how many characters of a name a note shows.
	shownName = 120
)

// Reader reads series, and remembers them. It is safe for concurrent use.
type Reader struct {
	store   store
	options Options
	files   *cache[*file]
	sets    *cache[*Set]
	// reads and pages have one for each that is under way.
	reads, pages chan struct{}
}

// New returns a reader.
func New(s store, o Options) (*Reader, error) {
	if s == nil {
		return nil, errors.New("scalars: a store is required")
	}
	o = o.withDefaults()
	return &Reader{
		store: s, options: o, files: newCache[*file](o.CacheBytes), sets: newCache[*Set](o.SetBytes),
		reads: make(chan struct{}, o.Reads), pages: make(chan struct{}, o.Pages),
	}, nil
}

// kind says how a file is read.
type kind int

const (
	other kind = iota
	events
	jsonLines
	hypertune
)

// kindOf decides by an object's name.
func kindOf(name string) kind {
	switch base := path.Base(name); {
	case strings.Contains(base, "tfevents"):
		return events
	case strings.HasSuffix(base, ".jsonl"), base == "metrics.json":
		return jsonLines
	case strings.HasSuffix(base, ".metrics"):
		return hypertune
	}
	return other
}

// Read returns the series below a job directory's prefix, with or without its final slash. It returns an error if the
// directory can't be listed or ctx ends. A file that can't be read is a note.
func (r *Reader) Read(ctx context.Context, bucket, prefix string) (Set, error) {
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	list, more, err := r.store.ListPage(ctx, bucket, prefix, "", listSize)
	if err != nil {
		return Set{}, err
	}
	d := r.choose(list, more)
	d.prefix = prefix
	made, err := r.sets.get(ctx, key{bucket, prefix}, version{form: d.digest()}, func() (*Set, bool, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.PageTime)
		defer cancel()
		made, final := r.merge(ctx, d)
		return made, final, nil
	})
	if err != nil {
		return Set{}, err
	}
	return *made, nil
}

// directory is what is to be read for a page.
type directory struct {
	prefix string
	// files are in the order of their names.
	files []job.Attributes
	// notes say what was left out.
	notes notes
}

// choose returns what to read of a page of the list of a directory.
func (r *Reader) choose(list []job.Attributes, more bool) (d directory) {
	if more {
		d.notes.add("only the first %d objects of the job directory were looked at: curves in later ones are left out",
			len(list))
	}
	var many int64
	for _, o := range list {
		switch {
		case kindOf(o.Name) == other || o.Size == 0:
		case len(d.files) >= r.options.Files:
			many++
		default:
			d.files = append(d.files, o)
		}
	}
	if many > 0 {
		d.notes.add("%s left out: a page reads at most %d", count(many, "file is", "files are"), r.options.Files)
	}
	return d
}

// digest is another one if anything changed.
func (d *directory) digest() string {
	sum := sha256.New()
	for _, o := range d.files {
		fmt.Fprintf(sum, "%d %q\n", o.Generation, o.Name)
	}
	fmt.Fprintf(sum, "%q", d.notes.texts)
	return string(sum.Sum(nil))
}

// errLater is returned for a file that is not read in this page's time.
var errLater = errors.New("still to be read")

// merge makes a page. The files are merged in their order, while the next ones are being read. final reports that
// another look would find the same.
func (r *Reader) merge(ctx context.Context, d directory) (_ *Set, final bool) {
	select {
	case r.pages <- struct{}{}:
		defer func() { <-r.pages }()
	case <-ctx.Done(): // the others take long
	}
	m := newMerger(r.options, d.notes)
	var pending, full, large, held int64
	var failed error
	final = true
	take := func(next reading) {
		o := next.Attributes
		f, err := next.wait(ctx)
		if errors.Is(err, errLater) {
			pending++
			var known bool
			if f, known = r.files.last(key{o.Bucket, o.Name}); !known { // an older one is better than none
				return
			}
			err = nil
		}
		below := strings.TrimPrefix(o.Name, d.prefix)
		switch {
		case errors.Is(err, job.ErrNotFound):
			final = false
			m.notes.add("%s was replaced or deleted while it was read: reload the page", text.Show(below, shownName))
		case err != nil:
			final = false
			m.notes.add("%s can't be read", text.Show(below, shownName))
			failed = cmp.Or(failed, err)
		default:
			held += f.bytes()
			m.add(below, f)
		}
	}
	points, left := r.share(len(d.files)), r.options.PageBytes
	var ahead []reading
	for _, o := range d.files {
		if len(ahead) == r.options.Reads {
			take(ahead[0])
			ahead = ahead[1:]
		}
		switch {
		case !m.takes(strings.TrimPrefix(o.Name, d.prefix)):
			full++
			continue
		case held > cached(r.options):
			large++
			continue
		}
		next := reading{Attributes: o}
		size := min(o.Size, r.options.FileBytes)
		_, known := r.files.find(key{o.Bucket, o.Name}, version{o.Generation, form(points)})
		switch {
		case known:
			next.answer = r.file(ctx, o, points)
		case ctx.Err() == nil && (size <= left || left == r.options.PageBytes):
			left -= size
			next.answer = r.file(ctx, o, points)
		}
		ahead = append(ahead, next)
	}
	for _, next := range ahead {
		take(next)
	}
	if full > 0 {
		m.ends.add("%s not read: a page has at most %d series", count(full, "file is", "files are"), r.options.Series)
	}
	if large > 0 {
		m.ends.add("%s left out: those before take all the memory of a page", count(large, "file is", "files are"))
	}
	if pending > 0 {
		m.ends.add("%s still to be read: the next look at this page reads on", count(pending, "file is", "files are"))
	}
	series := m.series()
	notes := append(m.notes.all(), m.ends.all()...)
	return &Set{Series: series, Notes: notes, Failed: failed, Files: m.files, Pending: pending}, final && pending == 0
}

// reading is a file of a page. answer is nil if it is not being read now.
type reading struct {
	job.Attributes
	answer <-chan singleflight.Result
}

// wait returns what was read, or [errLater] if ctx ends before that.
func (r reading) wait(ctx context.Context) (*file, error) {
	if r.answer == nil {
		return nil, errLater
	}
	var a singleflight.Result
	select {
	case a = <-r.answer:
	case <-ctx.Done():
		select {
		case a = <-r.answer:
		default:
			return nil, errLater
		}
	}
	if a.Err != nil {
		return nil, a.Err
	}
	return a.Val.(*file), nil
}

// cached is how much of the cache one page may take.
func cached(o Options) int64 { return o.CacheBytes / 4 * 3 }

// share returns how many points are kept of each file of a page with so many. It is one of few numbers, as a file is
// read again for another one.
func (r *Reader) share(files int) int {
	points := r.options.FilePoints
	for range 3 {
		if int64(points)*int64(files)*pointBytes <= cached(r.options) {
			break
		}
		points /= 2
	}
	return points
}

// form is how a file was read.
func form(points int) string { return strconv.Itoa(points) }

// file returns what a generation of an object has, from the cache or the store. Callers who ask at once share one
// read. One that began goes on if they leave.
func (r *Reader) file(ctx context.Context, o job.Attributes, points int) <-chan singleflight.Result {
	return r.files.begin(key{o.Bucket, o.Name}, version{o.Generation, form(points)}, func() (*file, bool, error) {
		select {
		case r.reads <- struct{}{}:
			defer func() { <-r.reads }()
		case <-ctx.Done():
			return nil, false, errLater
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.ReadTime)
		defer cancel()
		f, err := r.open(ctx, o, points)
		var broke *panicError
		if errors.As(err, &broke) { // it would break again
			r.options.Logger.Error("a file broke the reader of curves", "bucket", o.Bucket, "object", o.Name,
				"generation", o.Generation, "error", err.Error())
			return &file{notes: []string{"it broke the reader: the console's log says where"}}, true, nil
		}
		return f, true, err
	})
}

// open reads a file.
func (r *Reader) open(ctx context.Context, o job.Attributes, points int) (_ *file, err error) {
	defer rescue(&err)
	c := newCollector(r.options, points)
	if o.Encoding != "" {
		c.note("stored with contentEncoding %s, which is not unpacked here", text.Show(o.Encoding, shownName))
		return c.file(), nil
	}
	content, err := r.store.Open(ctx, o.Bucket, o.Name, o.Generation)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	if o.Size > r.options.FileBytes {
		c.note("only the first %s of %s were read", size(r.options.FileBytes), size(o.Size))
	}
	bounded := io.LimitReader(content, r.options.FileBytes)
	switch k := kindOf(o.Name); k {
	case events:
		err = readEvents(bounded, c)
	default:
		err = readLines(bounded, k == hypertune, c)
	}
	if err != nil {
		return nil, err
	}
	return c.file(), nil
}

// milliseconds returns seconds since 1970 as milliseconds, or 0 for what is not a time.
func milliseconds(seconds float64) int64 {
	if !(seconds > 0 && seconds < 1e11) {
		return 0
	}
	return int64(seconds * 1e3)
}

// count returns a number with its noun.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// size returns a number of bytes as people write it.
func size(n int64) string {
	switch {
	case n >= 10<<20 || n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return count(n, "byte", "bytes")
}

// notes collects a bounded number of notes.
type notes struct {
	texts []string
	more  int64
}

func (n *notes) add(format string, args ...any) {
	if len(n.texts) == mostNotes {
		n.more++
		return
	}
	n.texts = append(n.texts, fmt.Sprintf(format, args...))
}

func (n *notes) all() []string {
	if n.more > 0 {
		return append(slices.Clip(n.texts), "and "+count(n.more, "more note", "more notes"))
	}
	return n.texts
}
