package glob

import (
	"strings"
	"testing"
)

var globCases = []struct {
	pattern, value string
	want           bool
}{
	{"", "", true}, {"", "a", false}, {"a", "", false}, {"a", "a", true}, {"a", "A", false}, {"a", "ab", false},
	{"b", "ab", false},
	{"*", "", true}, {"*", "ab", true}, {"*", "a/b", false}, {"*", "/", false}, {"**", "", true}, {"**", "a/b", true},
	{"***", "a/b", true},
	{"a*", "a", true}, {"a*", "abc", true}, {"a*", "ab/c", false}, {"*a", "ba", true}, {"*a", "b/a", false},
	{"**a", "b/a", true},
	{"a*c", "abbc", true}, {"a*c", "ac", true}, {"a*c", "ab/c", false}, {"a*c", "acb", false}, {"a**c", "ab/c", true},
	{"a/*/c", "a/b/c", true}, {"a/*/c", "a//c", true}, {"a/*/c", "a/b/b/c", false}, {"a/**/c", "a/b/b/c", true},
	{"a/**/c", "a/c", false},
	{"a*b*c", "abcbc", true}, {"a*b*c", "acb", false}, {"*aa*aa", "aaa", false}, {"*aa*aa", "aaaa", true},
	{"**/b*", "a/b/c/bd", true},
	{"?", "a", false}, {"[a]", "a", false}, {".", "a", false}, {`\*`, "*", false}, {`\*`, `\x`, true},
	{"a.c", "abc", false}, {"a+", "aa", false},
	{"é*", "éa", true}, {"é", "e\u0301", false}, {"*", "a@b", true},
}

func TestGlob(t *testing.T) {
	for _, tt := range globCases {
		if got := Match(tt.pattern, tt.value, "/"); got != tt.want {
			t.Errorf("Match(%q, %q) = %t", tt.pattern, tt.value, got)
		}
	}
	for _, tt := range []struct {
		pattern, value string
		want           bool
	}{
		{"*", "a@b", false}, {"*@b", "a@b", true}, {"*@b", "a@a@b", false}, {"**", "a@b", true}, {"*@b", "a/a@b", false},
	} {
		if got := Match(tt.pattern, tt.value, "/@"); got != tt.want {
			t.Errorf("of names with @: Match(%q, %q) = %t", tt.pattern, tt.value, got)
		}
	}
}

func TestGlobBounds(t *testing.T) {
	for _, tt := range []struct {
		name, pattern, value string
		want                 bool
	}{
		{"longest value", "*", strings.Repeat("a", MaxValue), true},
		{"longer value", "*", strings.Repeat("a", MaxValue+1), false},
		{"longer value without wildcards", strings.Repeat("a", MaxPattern), strings.Repeat("a", MaxValue+1), false},
		{"longest pattern", strings.Repeat("a", MaxPattern), strings.Repeat("a", MaxPattern), true},
		{"longer pattern", strings.Repeat("a", MaxPattern+1), strings.Repeat("a", MaxPattern+1), false},
		{"most wildcards", strings.Repeat("a*", MaxWildcards), strings.Repeat("a", MaxWildcards), true},
		{"more wildcards", strings.Repeat("a**", MaxWildcards+1), strings.Repeat("a", MaxWildcards+1), false},
	} {
		if got := Match(tt.pattern, tt.value, "/"); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true}, {"a", "a/", true}, {"a/", "a", true}, {"a/", "a/", true}, {"a", "a//", false}, {"a", "a/b", false},
		{"a", "", false},
		{"a/**", "a", true}, {"a/**", "a/", true}, {"a/**", "a/b/c/", true}, {"a/**", "a//", true}, {"a/**", "ab/", false},
		{"a/**", "A/", false},
		{"a/*", "a/b/", true}, {"a/*", "a/b/c/", false}, {"a/*", "a/", true},
		{"*", "", true}, {"*", "a/", true}, {"*", "a/b/", false}, {"**", "", true}, {"**", "a/b/", true},
		{"**/b", "a/b/", true}, {"**/b", "b/", false},
	} {
		if got := Covers(tt.pattern, tt.name); got != tt.want {
			t.Errorf("Covers(%q, %q) = %t", tt.pattern, tt.name, got)
		}
	}
}
