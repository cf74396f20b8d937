package scalars

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/text"
)

// shownTag is how many characters of a tag are kept.
const shownTag = 200

// tagName is a series of a file: a tag, and for metrics of hypertune the trial.
type tagName struct{ trial, tag string }

// file is what was read of one file.
type file struct {
	series []fileSeries
	notes  []string
}

// fileSeries is a series of one file.
type fileSeries struct {
	tagName
	Series // without a run and a tag
}

// bytes returns about how much memory a file takes.
func (f *file) bytes() int64 {
	size := sizeOf(f.notes)
	for _, s := range f.series {
		size += s.bytes() + int64(len(s.trial)+len(s.tag))
	}
	return size
}

// bytes returns about how much memory a set takes.
func (s *Set) bytes() int64 {
	size := sizeOf(s.Notes)
	for _, s := range s.Series {
		size += s.bytes()
	}
	return size
}

// pointBytes is the memory of a point.
const pointBytes = 24

func (s *Series) bytes() int64 {
	return 160 + int64(len(s.Run)+len(s.Tag)) + pointBytes*int64(cap(s.Points))
}

// sizeOf returns about how much memory notes take, with what has them.
func sizeOf(notes []string) int64 {
	size := int64(512)
	for _, n := range notes {
		size += int64(len(n)) + 16
	}
	return size
}

// collector takes the values of one file as they come.
type collector struct {
	notes
	tags     int
	thinners thinners
	series   map[tagName]*thinner
	order    []tagName
	dropped  int64 // values of tags beyond the bound
}

// newCollector returns one that keeps so many points in all.
func newCollector(o Options, points int) *collector {
	return &collector{
		tags: o.Tags, thinners: thinners{most: o.Points, whole: points}, series: map[tagName]*thinner{},
	}
}

func (c *collector) note(format string, args ...any) { c.notes.add(format, args...) }

// add takes a value. Tags of the same name in another trial are others.
func (c *collector) add(trial string, tag []byte, p Point) {
	var t *thinner
	short := len(tag) <= shownTag && utf8.Valid(tag)
	if short {
		t = c.series[tagName{trial, string(tag)}] // without a copy of tag
	}
	if t == nil {
		name := tagName{trial, string(tag)}
		if !short {
			name.tag = cut(tag)
		}
		if t = c.series[name]; t == nil {
			if len(c.order) >= c.tags {
				c.dropped++
				return
			}
			t = c.thinners.next()
			c.series[name] = t
			c.order = append(c.order, name)
		}
	}
	c.thinners.add(t, p)
}

// cut returns a tag as valid UTF-8 of a bounded length. Two tags that begin alike stay two.
func cut(tag []byte) string {
	s := strings.ToValidUTF8(string(tag), "�")
	if short := text.Shorten(s, shownTag); short != s {
		return fmt.Sprintf("%s (%.4x)", short, sha256.Sum256(tag))
	}
	return s
}

// file returns what was collected.
func (c *collector) file() *file {
	if c.dropped > 0 {
		c.note("only %d tags are kept: %s left out", c.tags, count(c.dropped, "value of another is", "values of others are"))
	}
	f := &file{notes: c.notes.all(), series: make([]fileSeries, 0, len(c.order))}
	for _, name := range c.order {
		t := c.series[name]
		f.series = append(f.series, fileSeries{name, Series{
			Points: t.thinned(), Total: t.total, NonFinite: t.nonFinite, Restarts: t.restarts,
		}})
	}
	return f
}

// merger joins the files of a page into series.
type merger struct {
	options Options
	// notes are about the directory and its files, ends about the page.
	notes, ends notes
	thinners    thinners
	byName      map[seriesName]*merged
	order       []seriesName
	// tags counts those of each run.
	tags         map[string]int
	files        int
	many, beyond int64
}

// seriesName is a series of a page.
type seriesName struct{ run, tag string }

// merged is a series of one file, or of several: the event files of a folder.
type merged struct {
	sum Series // without points
	*thinner
}

func newMerger(o Options, n notes) *merger {
	return &merger{
		options: o, notes: n, thinners: thinners{most: o.Points, whole: o.PagePoints},
		byName: map[seriesName]*merged{}, tags: map[string]int{},
	}
}

// takes reports whether a file may have what the page has room for: another series, or more of one.
func (m *merger) takes(below string) bool {
	return len(m.order) < m.options.Series || kindOf(below) == events && m.tags[runOf(below, "")] > 0
}

// add takes the next file, in the order of names: that of a folder's event files is the order of time.
func (m *merger) add(below string, f *file) {
	m.files++
	for _, n := range f.notes {
		m.notes.add("%s: %s", text.Show(below, shownName), n)
	}
	for _, s := range f.series {
		name := seriesName{runOf(below, s.trial), s.tag}
		one := m.byName[name]
		if one == nil {
			if m.tags[name.run] >= m.options.Tags {
				m.many++
				continue
			}
			if len(m.order) >= m.options.Series {
				m.beyond++
				continue
			}
			m.tags[name.run]++
			one = &merged{Series{Run: name.run, Tag: name.tag}, m.thinners.next()}
			m.byName[name] = one
			m.order = append(m.order, name)
		}
		one.sum.Total += s.Total
		one.sum.NonFinite += s.NonFinite
		one.sum.Restarts += s.Restarts
		for _, p := range s.Points {
			m.thinners.add(one.thinner, p)
		}
	}
}

// runOf returns the run of a file by its name below the job directory.
func runOf(below, trial string) string {
	run := below
	if kindOf(below) == events {
		run = path.Dir(below)
	}
	if trial != "" && !strings.HasPrefix(run, trial+"/") {
		run = trial + "/" + run
	}
	return text.Shorten(strings.ToValidUTF8(run, "�"), shownTag)
}

// series returns all series in their order.
func (m *merger) series() []Series {
	if m.many > 0 {
		m.ends.add("%s left out: a run has at most %d tags", count(m.many, "series is", "series are"), m.options.Tags)
	}
	if m.beyond > 0 {
		m.ends.add("%s left out: a page has at most %d", count(m.beyond, "series is", "series are"), m.options.Series)
	}
	var restarted int64
	all := make([]Series, 0, len(m.order))
	for _, name := range m.order {
		one := m.byName[name]
		s := one.sum
		s.Points = one.thinned()
		if s.Restarts += one.restarts; s.Restarts > 0 {
			restarted++
		}
		all = append(all, s)
	}
	if restarted > 0 {
		m.ends.add("in %s the step goes back: the later values replace those from there on",
			count(restarted, "series", "series"))
	}
	slices.SortFunc(all, func(a, b Series) int {
		return cmp.Or(natural(a.Run, b.Run), natural(a.Tag, b.Tag))
	})
	return all
}

// natural compares two names as people do: 2/eval comes before 10/eval.
func natural(a, b string) int {
	whole := cmp.Compare(a, b)
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == "" || y == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		a, b = a[len(x):], b[len(y):]
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), whole)
}

// digits returns the digits that s begins with.
func digits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}
