// Package text has what messages about drops are made with.
package text

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
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

// FirstLine returns a text's first line.
func FirstLine(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return first
}

// Sentence joins the parts of a sentence that say anything, by colons.
func Sentence(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ": ")
}

// Alternatives joins words as a choice: "a, b or c".
func Alternatives(words ...string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Ordinal returns 1st, 2nd, 3rd, 4th.
func Ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}

// Instant returns a time as people read it, to the second and with its zone, UTC.
func Instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// Age returns a duration in its two largest units: 3d2h, 4m10s, 12s.
func Age(d time.Duration) string {
	if d < 0 {
		return "0s" // clocks differ
	}
	const day = 24 * time.Hour
	switch {
	case d >= 10*day:
		return fmt.Sprintf("%dd", d/day)
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// Hours returns seconds as hours with at most two decimals, rounded down: 3.5 for 12600.
func Hours(seconds int64) string {
	hundredths := seconds / 36
	return strconv.FormatFloat(float64(hundredths)/100, 'f', -1, 64)
}

// AcceleratorHours returns seconds of one accelerator as hours, rounded as by [HoursUp], as in "1 accelerator hour".
func AcceleratorHours(seconds int64) string {
	hours := HoursUp(seconds)
	if hours == "1" {
		return "1 accelerator hour"
	}
	return hours + " accelerator hours"
}

// HoursUp returns seconds as hours with at most two decimals, rounded up.
func HoursUp(seconds int64) string {
	if rest := seconds % 36; rest > 0 {
		seconds += 36 - rest
	}
	return Hours(seconds)
}
