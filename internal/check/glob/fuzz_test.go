package glob

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// reference returns a pattern as a regular expression.
func reference(pattern, separators string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`^(?s:`)
	for pattern != "" {
		switch {
		case strings.HasPrefix(pattern, "**"):
			b.WriteString(`.*`)
			pattern = strings.TrimLeft(pattern, "*")
		case pattern[0] == '*':
			b.WriteString(`[^` + separators + `]*`)
			pattern = pattern[1:]
		default:
			_, size := utf8.DecodeRuneInString(pattern)
			b.WriteString(regexp.QuoteMeta(pattern[:size]))
			pattern = pattern[size:]
		}
	}
	b.WriteString(`)$`)
	return regexp.MustCompile(b.String())
}

func FuzzGlob(f *testing.F) {
	for _, tt := range globCases {
		f.Add(tt.pattern, tt.value)
	}
	f.Add(strings.Repeat("a*", 16), strings.Repeat("a", 300))
	f.Add(strings.Repeat("**a", 16)+"b", strings.Repeat("a", 2048))
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(value) {
			return // no file holds them, and the reference reads runes
		}
		for _, separators := range []string{"/", "/@"} {
			want := len(value) <= MaxValue && len(pattern) <= MaxPattern && Wildcards(pattern) <= MaxWildcards &&
				reference(pattern, separators).MatchString(value)
			if got := Match(pattern, value, separators); got != want {
				t.Errorf("Match(%q, %q, %q) = %t, want %t", pattern, value, separators, got, want)
			}
		}
	})
}
