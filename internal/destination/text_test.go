package destination_test

import (
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/destination"
)

func TestClip(t *testing.T) {
	amp := func(r rune) string {
		if r == '&' {
			return "&amp;"
		}
		return string(r)
	}
	tests := []struct {
		name, in  string
		most      int
		escape    func(rune) string
		clip, end string
	}{
		{"empty", "", 3, nil, "", ""},
		{"just fits", "abc", 3, nil, "abc", "abc"},
		{"too long", "abcd", 3, nil, "ab…", "…cd"},
		{"wide characters count as two", "😀😀", 4, nil, "😀😀", "😀😀"},
		{"wide characters", "😀😀😀", 4, nil, "😀…", "…😀"},
		{"wide characters at an odd place", "a😀😀b", 4, nil, "a😀…", "…😀b"},
		{"escaped just fits", "a&", 6, amp, "a&amp;", "a&amp;"},
		{"no half of an escape", "&&b", 7, amp, "&amp;…", "…&amp;b"},
		{"no half of an escape in the end", "&b", 5, amp, "…", "…b"},
		{"not UTF-8", "a\xffb", 3, nil, "a\ufffdb", "a\ufffdb"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := destination.Clip(test.in, test.most, test.escape); got != test.clip {
				t.Errorf("Clip returns %q, want %q", got, test.clip)
			}
			if got := destination.End(test.in, test.most, test.escape); got != test.end {
				t.Errorf("End returns %q, want %q", got, test.end)
			}
		})
	}
}

func FuzzClip(f *testing.F) {
	f.Add("a&😀<b>\xff…", 5)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(1, min(most, 1000))
		for _, got := range []string{
			destination.Clip(s, most, nil), destination.End(s, most, nil),
			destination.Line(s, most), destination.Lines(s, most), destination.LastLines(s, most),
		} {
			if destination.Size(got) > most {
				t.Errorf("%q has more than %d characters", got, most)
			}
		}
		if strings.ContainsAny(destination.Line(s, most), "\r\n\x00\x1b") {
			t.Errorf("Line of %q is not one line", s)
		}
	})
}
