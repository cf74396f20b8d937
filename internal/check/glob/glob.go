// Package glob holds names against the patterns that operators write in their files.
package glob

import "strings"

// Bounds of patterns and of what they are held against, so that whatever is
// written in a file and in a drop, matching takes well under a millisecond.
// Object names have at most 1,024 bytes, all other names fewer.
const (
	MaxPattern   = 512
	MaxWildcards = 16
	MaxValue     = 2048
)

// Match holds a value against a pattern, as a whole and with its case. In the
// pattern * stands for any number of characters other than separators, ** for
// any number of any; all else stands for itself. The time is proportional to the
// length of the value and the number of wildcards. A value beyond the bounds
// matches nothing.
func Match(pattern, value, separators string) bool {
	if len(value) > MaxValue || len(pattern) > MaxPattern || Wildcards(pattern) > MaxWildcards {
		return false
	}
	first, last := strings.IndexByte(pattern, '*'), strings.LastIndexByte(pattern, '*')
	if first < 0 {
		return pattern == value
	}
	if !strings.HasPrefix(value, pattern[:first]) || !strings.HasSuffix(value, pattern[last+1:]) {
		return false // which settles most
	}
	if strings.Trim(pattern[first:last+1], "*") == "" { // one wildcard, as most have: no memory is needed
		between := len(value) - first - len(pattern[last+1:])
		return between >= 0 && (last > first || !strings.ContainsAny(value[first:first+between], separators))
	}
	// at[i] tells that the pattern, as far as it was read, matches value[:i].
	at := make([]bool, len(value)+1)
	at[0] = true
	for pattern != "" {
		stars := len(pattern) - len(strings.TrimLeft(pattern, "*"))
		if stars == 0 {
			text := pattern
			if i := strings.IndexByte(pattern, '*'); i >= 0 {
				text = pattern[:i]
			}
			pattern = pattern[len(text):]
			// From the end, since each place is moved to a later one.
			for i := len(value); i >= 0; i-- {
				at[i] = i >= len(text) && at[i-len(text)] && value[i-len(text):i] == text
			}
			continue
		}
		pattern = pattern[stars:]
		reached := false
		for i := range at {
			reached = reached || at[i]
			at[i] = reached
			if reached && stars == 1 && i < len(value) && strings.IndexByte(separators, value[i]) >= 0 {
				reached = false
			}
		}
	}
	return at[len(value)]
}

// Wildcards counts the wildcards of a pattern.
func Wildcards(pattern string) int {
	n := 0
	for i := range len(pattern) {
		if pattern[i] == '*' && (i == 0 || pattern[i-1] != '*') {
			n++
		}
	}
	return n
}

// Covers reports whether the pattern of a folder or URI matches name. name's final
// slash does not matter: teams/nlp/** covers teams/nlp itself, too.
func Covers(pattern, name string) bool {
	short, ended := strings.CutSuffix(name, "/")
	if Match(pattern, short, "/") {
		return true
	}
	if !ended {
		name += "/"
	}
	return short != "" && Match(pattern, name, "/")
}

// Specificity orders patterns: the more of a pattern is not a wildcard, the fewer
// folders it means.
func Specificity(pattern string) int { return len(strings.ReplaceAll(pattern, "*", "")) }
