package process

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadLines(t *testing.T) {
	var got []string
	readLines(strings.NewReader("one\r\n\n"+strings.Repeat("é", 20)+"\nabc\xff\nlast"), 16,
		func(line string) { got = append(got, line) })
	want := []string{"one", "", strings.Repeat("é", 8), strings.Repeat("é", 8), "éééé", "abc\xff", "last"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	got = nil
	readLines(strings.NewReader("x"+strings.Repeat("é", 9)), 16, func(line string) { got = append(got, line) })
	if diff := cmp.Diff([]string{"xééééééé", "éé"}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
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
		{"traceback", append([]string{"noise"}, frames(2)...), frames(2)},
		{"long", frames(12), append([]string{traceback, "  [...]"}, frames(12)[26-maxTailLines:]...)},
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
