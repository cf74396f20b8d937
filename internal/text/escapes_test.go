package text_test

import (
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/text"
)

func TestPlain(t *testing.T) {
	for _, tt := range []struct{ name, text, want, coloured string }{
		{"nothing to do", "loss=0.1", "loss=0.1", "loss=0.1"},
		{"colours", "\x1b[1;31mloss\x1b[0m=0.1", "loss=0.1", "\x1b[1;31mloss\x1b[0m=0.1"},
		{"no number stands for 0", "\x1b[m", "", "\x1b[m"},
		{"what could hide", "\x1b[8mhidden\x1b[30mblack\x1b[41mred\x1b[38;5;0mx", "hiddenblackredx", "hiddenblackredx"},
		{"what could hide on a light terminal", "\x1b[37ma\x1b[1;97mb\x1b[90mc\x1b[96md", "abcd", "abc\x1b[96md"},
		{"a string without an end", "\x1b]ERROR: the key", "ERROR: the key", "ERROR: the key"},
		{"strings without an end", "\x1bPa\x1bXb\x1b^c\x1b_d\x1b[0me", "abcde", "abcd\x1b[0me"},
		{"a string that ends in another line", "a\x1b]0;b\nc\x07d", "a0;b\nc\x07d", "a0;b\nc\x07d"},
		{"movement", "\x1b[2K\x1b[1A50%", "50%", "50%"},
		{"a title", "\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab", "ab"},
		{"a character set", "\x1b(Ba", "a", "a"},
		{"cut off", "a\x1b[3", "a", "a"},
		{"an escape alone", "a\x1b", "a", "a"},
	} {
		if got := text.Plain(tt.text); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		same := func(s string) string { return s }
		if got := text.Segments(tt.text, same, same); got != tt.coloured {
			t.Errorf("%s in colour: %q, want %q", tt.name, got, tt.coloured)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("\x1b[1;31mloss\x1b[0m\x1b]0;t\x07")
	f.Fuzz(func(t *testing.T, s string) {
		if got := text.Plain(s); strings.Contains(got, "\x1b") {
			t.Errorf("%q has an escape", got)
		}
	})
}
