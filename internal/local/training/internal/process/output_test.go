package process

import (
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadLines(t *testing.T) {
	var got []string
	readLines(strings.NewReader("one\r\n\n"+strings.Repeat("é", 20)+"\nabc\xff\nlast"), 16,
		time.Now, func(line string) { got = append(got, line) })
	want := []string{"one", "", strings.Repeat("é", 8), strings.Repeat("é", 8), "éééé", "abc\xff", "last"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	got = nil
	readLines(strings.NewReader("x"+strings.Repeat("é", 9)), 16, time.Now, func(line string) { got = append(got, line) })
	if diff := cmp.Diff([]string{"xééééééé", "éé"}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// Of a line that is written over again the newest form is passed on: at its end, and now and then before.
func TestReadLinesWrittenOver(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"a bar", "\r 10%\r 20%\r 30%\r100%\nnext\n", []string{" 10%", "100%", "next"}},
		{"a bar that takes long", "\r 10%\r 20%\r 30%\r 40%\r100%\n", []string{" 10%", " 40%", "100%"}},
		{"a bar that is wiped", "\r 50%\r    \rdone\n", []string{" 50%", "done"}},
		{"words that are wiped at the end", "loading\rRuntimeError: disk full\r\x1b[K\nnext\n",
			[]string{"loading", "RuntimeError: disk full", "next"}},
		{"words that are wiped, without a line's end", "loading\rdisk full\r\r  \r\x1b[K", []string{"loading", "disk full"}},
		{"words that were passed on", "a\r \n\x1b[K\rb\r\n", []string{"a", " ", "b"}},
		{"words before a line that is cut", "a\rb\r" + strings.Repeat("c", 64) + "\n",
			[]string{"a", strings.Repeat("c", 64), ""}},
		{"lines of Windows", "one\r\ntwo\r\n", []string{"one", "two"}},
		{"an end without a line's", "one\r", []string{"one"}},
		{"two at once", "one\r\r\n", []string{"one"}},
	} {
		now := at
		var got []string
		readLines(iotest.OneByteReader(strings.NewReader(tt.text)), 64, func() time.Time {
			if tt.name == "a bar that takes long" {
				now = now.Add(700 * time.Millisecond)
			}
			return now
		}, func(line string) { got = append(got, line) })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestExcerpt(t *testing.T) {
	frames := func(frames int) []string {
		lines := []string{traceback}
		for range frames {
			lines = append(lines, "  File \"a.py\", line 1, in f", "    f()")
		}
		return append(lines, "ValueError: boom")
	}
	for _, tt := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"nothing", nil, []string{""}},
		{"words", []string{"a", "b", ""}, []string{"a", "b"}},
		{"colours", []string{"\x1b[31m" + traceback + "\x1b[0m", "\x1b[1mValueError\x1b[0m: boom"}, frames(0)},
		{"traceback", append([]string{"noise"}, frames(2)...), frames(2)},
		{"long", frames(12), append([]string{traceback, "  [...]"}, frames(12)[26-maxTailLines:]...)},
		{"after a bar", append([]string{" 50%|█████     | 5/10 [00:01<00:01]" + traceback}, frames(12)[1:]...),
			append([]string{traceback, "  [...]"}, frames(12)[26-maxTailLines:]...)},
		{"short, after a bar", []string{"noise", "5/10 [==>...]\x1b[31m" + traceback, frames(0)[1]}, frames(0)},
		{"deep, after a bar", append([]string{"5/10 [==>...]" + traceback}, frames(100)[1:]...),
			append([]string{traceback, "  [...]"}, frames(100)[202-maxTailLines:]...)},
		{"a group", []string{"  + Exception Group " + traceback, "  | ExceptionGroup: two", "  +-+---- 1 ----",
			"    | " + traceback, "    | ValueError: boom"}, []string{"  + Exception Group " + traceback,
			"  | ExceptionGroup: two", "  +-+---- 1 ----", "    | " + traceback, "    | ValueError: boom"}},
		{"deep", append([]string{"noise"}, frames(100)...), append([]string{traceback, "  [...]"},
			frames(100)[202-maxTailLines:]...)},
		{"second", append(frames(100), frames(1)...), frames(1)},
	} {
		var last tail
		for _, line := range tt.lines {
			last.add(line)
		}
		if diff := cmp.Diff(strings.Join(tt.want, "\n"), last.excerpt()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	var last tail
	for range 100 {
		last.add(strings.Repeat("x", 10*maxTailBytes))
	}
	if n := len(last.excerpt()); n == 0 || n > maxTailBytes {
		t.Errorf("excerpt of %d bytes", n)
	}
}
