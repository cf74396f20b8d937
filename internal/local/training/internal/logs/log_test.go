package logs

import (
	"context"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/process"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	var seen []string
	sink := func(l Line) { seen = append(seen, l.Text) }
	l := New("j", dir, Options{Sink: sink, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	l.max = 1000
	for range 100 {
		l.Write("master-replica-0", Stdout, strings.Repeat("x", 50))
	}
	l.Write(ServiceTask, Stdout, "Job completed successfully.")
	l.End()
	lines := slices.DeleteFunc(linesFrom(t, dir, time.Time{}), func(l Line) bool { return l.Task == ServiceTask })
	if len(lines) > 10 || !strings.HasPrefix(lines[len(lines)-1].Text, "The log is full") {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1].Text)
	}
	if len(seen) != len(lines)+1 || seen[len(seen)-1] != "Job completed successfully." {
		t.Errorf("%d lines handed on, the last is %q", len(seen), seen[len(seen)-1])
	}
}

// testLog returns a log on its own whose clock stands still now and then, and goes
// back once.
func testLog(dir string) *Log {
	n := 0
	now := func() time.Time {
		n++
		if n == 50 {
			return time.Unix(0, 0)
		}
		return time.Date(2026, 1, 2, 3, 4, n/3, 0, time.UTC)
	}
	return &Log{jobID: "j", dir: dir, max: maxLogBytes, now: now, log: slog.New(slog.DiscardHandler)}
}

func linesFrom(t *testing.T, dir string, from time.Time) (lines []Line) {
	t.Helper()
	if err := withLog(dir, func(f *file) error {
		return f.forward(t.Context(), from, func(l Line) bool {
			lines = append(lines, l)
			return true
		})
	}); err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestTornLog: a service that was killed leaves part of a line; the next one
// goes on behind it.
func TestTornLog(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		l := testLog(dir)
		for range 60 {
			l.Write("service", Stdout, "x")
		}
		l.End()
		f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(`{"jobId":"j","seq":99`); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	lines := linesFrom(t, dir, time.Time{})
	if len(lines) != 120 {
		t.Errorf("%d lines, want 120", len(lines))
	}
	for i, l := range lines {
		if l.Seq != int64(i)+1 || i > 0 && l.Time.Before(lines[i-1].Time) {
			t.Fatalf("line %d has number %d and time %v", i, l.Seq, l.Time)
		}
	}
}

// TestLogSeeks: a follower of a large log does not read it from the beginning.
func TestLogSeeks(t *testing.T) {
	dir := t.TempDir()
	l := testLog(dir)
	const count = 600
	for range count {
		l.Write("master-replica-0", Stdout, strings.Repeat("é", 8000)) // 10 MB in all
	}
	l.End()
	all := linesFrom(t, dir, time.Time{})
	for _, i := range []int{0, 1, count / 3, count / 2, count - 2, count - 1} {
		got := linesFrom(t, dir, all[i].Time)
		if len(got) == 0 {
			t.Fatalf("from line %d: none", i)
		}
		if n := count - len(got); got[0].Seq != int64(n)+1 {
			t.Errorf("from line %d: %d lines that begin with %d", i, len(got), got[0].Seq)
		} else if skipped := all[n:]; n > 0 && !all[n-1].Time.Before(all[i].Time) || len(skipped) != len(got) {
			t.Errorf("from line %d: line %d of the same time is left out", i, n)
		}
		if extra := len(got) - (count - i); extra > 150 {
			t.Errorf("from line %d: %d lines before it are read", i, extra)
		}
	}
	if got := linesFrom(t, dir, all[count-1].Time.Add(time.Hour)); len(got) > 150 {
		t.Errorf("from the future: %d lines are read", len(got))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, read := range map[string]func(*file, context.Context, time.Time, func(Line) bool) error{
		"forward": (*file).forward, "backward": (*file).backward,
	} {
		if err := withLog(dir, func(f *file) error {
			return read(f, ctx, time.Time{}, func(Line) bool { return true })
		}); err == nil {
			t.Errorf("%s: a request that nobody waits for is answered", name)
		}
	}
}

// TestPageIsBounded: long lines make short pages, and none is lost.
func TestPageIsBounded(t *testing.T) {
	for _, newest := range []bool{false, true} {
		var after *place
		var seen []int64
		for range 100 {
			p := &page{query: query{newest: newest, limit: 1000, after: after}}
			for i := range int64(300) {
				if newest {
					i = 299 - i
				}
				l := Line{JobID: "j", Seq: i + 1, Time: time.Unix(i/7, 0), Text: strings.Repeat("x", process.MaxLine)}
				if !p.take("p", l) {
					break
				}
			}
			if p.bytes > maxPageBytes {
				t.Fatalf("a page of %d bytes", p.bytes)
			}
			for _, f := range p.found {
				seen = append(seen, f.line.Seq)
			}
			if p.bound == nil {
				break
			}
			after = &p.found[len(p.found)-1].place
		}
		if newest {
			slices.Reverse(seen)
		}
		if len(seen) != 300 || !slices.IsSorted(seen) {
			t.Errorf("newest first %v: %d lines, sorted %v", newest, len(seen), slices.IsSorted(seen))
		}
	}
}
