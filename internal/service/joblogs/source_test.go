package joblogs

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/logs"
)

// long returns a Cloud Logging with so many lines, one a second.
func long(n int) *cloud {
	c := &cloud{}
	for i := range n {
		c.add(i, fmt.Sprintf("%04d", i), fmt.Sprint(i))
	}
	return c
}

// Each line is read once, also one that comes late, and windows begin shortly before the newest one.
func TestSourceWindows(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	r := c.reader(t)
	r.late = time.Minute
	s := r.Source(logs.Job{ID: "7"}, logs.Filter{})
	read := func() (texts []string) {
		t.Helper()
		if err := s.Read(t.Context(), func(l logs.Line) { texts = append(texts, l.Text) }); err != nil {
			t.Fatal(err)
		}
		return texts
	}
	c.add(10, "a", "one")
	c.add(200, "b", "two")
	c.add(200, "c", "two, too")
	for i, step := range []struct {
		second   int
		id, text string
		want     []string
	}{
		{0, "", "", []string{"one", "two", "two, too"}},
		{0, "", "", nil},
		{150, "d", "late", []string{"late"}}, // within a minute of the newest
		{100, "e", "too late", nil},
		{201, "a", "the same insert ID at another time", []string{"the same insert ID at another time"}},
		{400, "f", "three", []string{"three"}},
		{341, "g", "late again", []string{"late again"}},
	} {
		if step.text != "" {
			c.add(step.second, step.id, step.text)
		}
		if diff := cmp.Diff(step.want, read()); diff != "" {
			t.Errorf("read %d (-want +got):\n%s", i, diff)
		}
	}
	if got := sinceForm.FindStringSubmatch(c.requests[len(c.requests)-1].Filter); got == nil || got[1] != "2026-11-29T12:05:40Z" {
		t.Errorf("the last window begins at %v", got)
	}
	if n := len(s.seen); n != 2 {
		t.Errorf("%d lines are remembered, want those of the last minute", n)
	}
	if got := c.requests[0]; got.ResourceNames[0] != "projects/p" || !strings.HasPrefix(got.Filter,
		`resource.type="ml_job" AND resource.labels.job_id="7"`) {
		t.Errorf("the first request is %+v", got)
	}
}

// A long log comes in pages, and its end alone by reading from there.
func TestSourcePages(t *testing.T) {
	t.Parallel()
	c := long(2500)
	r := c.reader(t)
	n := 0
	if err := r.Source(seven, logs.Filter{}).Read(t.Context(), func(logs.Line) { n++ }); err != nil || n != 2500 || c.calls() != 3 {
		t.Errorf("%d lines, %v", n, err)
	}
	s := r.Source(seven, logs.Filter{})
	last, err := s.Tail(t.Context(), 1200)
	if err != nil || len(last) != 1200 || last[0].Text != "1300" || last[1199].Text != "2499" || c.calls() != 2 {
		t.Errorf("%d lines, %v", len(last), err)
	}
	c.add(3000, "3000", "next")
	var texts []string
	if err := s.Read(t.Context(), func(l logs.Line) { texts = append(texts, l.Text) }); err != nil ||
		!slices.Equal(texts, []string{"next"}) {
		t.Errorf("after the tail: %v, %v", texts, err)
	}
	if last, err := s.Tail(t.Context(), 5000); err != nil || len(last) != 1201 {
		t.Errorf("%d lines, %v", len(last), err)
	}
}

// Pages may be empty and have a successor: before each but the first there is a pause, for the sake of the quota.
func TestSourcePauses(t *testing.T) {
	t.Parallel()
	c := long(10)
	r := c.reader(t)
	for name, read := range map[string]func(*Source) (int, error){
		"read": func(s *Source) (n int, err error) {
			err = s.Read(t.Context(), func(logs.Line) { n++ })
			return n, err
		},
		"tail": func(s *Source) (int, error) {
			last, err := s.Tail(t.Context(), 10)
			return len(last), err
		},
	} {
		s := r.Source(seven, logs.Filter{})
		s.pause = 20 * time.Millisecond
		c.empty = 3
		begin := time.Now()
		if n, err := read(s); err != nil || n != 10 || time.Since(begin) < 3*s.pause {
			t.Errorf("%s: %d lines after %s, %v, want 10 and three pauses", name, n, time.Since(begin), err)
		}
	}
	if remote, err := New(t.Context(), Options{Resource: "projects/p", Client: http.DefaultClient}); err != nil ||
		remote.Source(seven, logs.Filter{}).pause != pause {
		t.Errorf("no pause in Cloud Logging: %v", err)
	}
}

// Of a long log only what a window may show again is remembered, while it is read, too.
func TestSourceForgets(t *testing.T) {
	t.Parallel()
	r := long(2500).reader(t)
	r.late = time.Minute
	s := r.Source(seven, logs.Filter{})
	most := 0
	if err := s.Read(t.Context(), func(logs.Line) { most = max(most, len(s.seen)) }); err != nil {
		t.Fatal(err)
	}
	if limit := maxPage + 61; most > limit {
		t.Errorf("%d lines are remembered, want at most %d", most, limit)
	}
}

// Lines so long that a page of them is too large come in smaller pages.
func TestSourceOfLongLines(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	for i := range 100 {
		c.add(i, fmt.Sprintf("%04d", i), strings.Repeat("x", 100<<10))
	}
	n := 0
	err := c.reader(t).Source(seven, logs.Filter{}).Read(t.Context(), func(l logs.Line) { n += len(l.Text) })
	if err != nil || n != 100*100<<10 {
		t.Errorf("%d bytes, %v", n, err)
	}
}
