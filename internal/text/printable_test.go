package text

import (
	"strings"
	"testing"
)

// unseen are characters that hide or reorder text.
const unseen = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c" +
	"\u200b\u00ad\ufeff\u2028\u2029\u3164\U000e0041"

func TestPrintable(t *testing.T) {
	for _, r := range unseen {
		if got := Printable("a" + string(r) + "b"); strings.ContainsRune(got, r) || !strings.HasPrefix(got, "a<U+") {
			t.Errorf("%U is shown as %q", r, got)
		}
	}
	for text, want := range map[string]string{
		"":                        "",
		"größe 日本 \u05d0\u0628":   "größe 日本 \u05d0\u0628",
		"a\tb\nc":                 "a\tb\nc",
		"\x1b[2J\x00\r\x7f\u0085": "�[2J����",
		"a\xffb":                  "a�b",
		"🙂":                       "🙂",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
