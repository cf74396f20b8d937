// Package text has what messages about drops are made with.
package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Show returns a text as a message can quote it: at most that many characters, in
// quotes if its ends or its nature would not be clear.
func Show(s string, most int) string {
	s = Shorten(s, most)
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r == '"' || r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// Shorten returns at most that many characters of a text, with an ellipsis if there
// are more.
func Shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	count := 0
	for i := range s {
		if count++; count > most {
			return s[:i] + "…"
		}
	}
	return s
}

// Distance returns how many bytes to insert, delete, replace or swap with their
// neighbour to turn a into b.
func Distance(a, b string) int {
	earlier, before, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		earlier, before, row = before, row, earlier
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(before[j]+1, row[j-1]+1, before[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], earlier[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
