package notice

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/text"
)

// Bounds of a [Text], in characters where nothing else is said.
const (
	maxTitle        = 150
	maxSummary      = 1000
	maxFact         = 300
	maxFacts        = 16
	maxSteps        = 5
	maxFaults       = 5
	maxExcerptLines = 40
	maxExcerptBytes = 4000
	maxLink         = 2000 // bytes: what browsers take
)

// line returns a text fit for one line: without the sequences of terminals, with a space for each run of white
// space, control characters as � and characters that can't be seen by their number. Longer ones end in an ellipsis.
func line(s string, most int) string {
	begin, cut := cutHead(s, most)
	words := strings.FieldsFunc(text.Plain(begin), unicode.IsSpace)
	return marked(text.Printable(strings.Join(words, " ")), most, cut)
}

// block returns a text fit for a paragraph: as line does, with its line breaks.
func block(s string, most int) string {
	begin, cut := cutHead(s, most)
	lines := strings.Split(breaks(text.Plain(begin)), "\n")
	for i := range lines {
		lines[i] = strings.TrimRightFunc(text.Printable(lines[i]), unicode.IsSpace)
	}
	return marked(strings.Trim(strings.Join(lines, "\n"), "\n"), most, cut)
}

// marked shortens a text, and marks it also if it was cut before and is short now.
func marked(s string, most int, cut bool) string {
	if cut && runes(s) < most {
		return s + "…"
	}
	return shorten(s, most)
}

// tail returns the last lines of a text: the end of a log says why it ended. What is left out is marked.
func tail(s string) string {
	const mark = "…"
	cut := false
	if most := 4 * maxExcerptBytes; len(s) > most { // what escapes take, and more
		s, cut = strings.ToValidUTF8(s[len(s)-most:], ""), true
	}
	s = strings.TrimRightFunc(text.Printable(breaks(text.Plain(s))), unicode.IsSpace)
	lines := strings.Split(s, "\n")
	if over := len(lines) - maxExcerptLines; over > 0 {
		lines, cut = lines[over:], true
	}
	s = strings.Trim(strings.Join(lines, "\n"), "\n")
	if room := maxExcerptBytes - len(mark) - 1; len(s) > room {
		s, cut = s[len(s)-room:], true
		if _, rest, ok := strings.Cut(s, "\n"); ok {
			s = rest
		}
		for s != "" && !utf8.RuneStart(s[0]) {
			s = s[1:]
		}
	}
	if cut && s != "" {
		s = mark + "\n" + s
	}
	return s
}

// head returns as much of a text as is looked at for so many characters: each has up to four bytes, and colours and
// white space take some more.
func head(s string, most int) string {
	s, _ = cutHead(s, most)
	return s
}

// cutHead is head, and reports whether there was more.
func cutHead(s string, most int) (begin string, cut bool) {
	if bytes := 8 * most; len(s) > bytes {
		for bytes > 0 && !utf8.RuneStart(s[bytes]) {
			bytes--
		}
		s, cut = s[:bytes], true
	}
	return strings.ToValidUTF8(s, "\uFFFD"), cut
}

// breaks writes all line breaks in one way, that of a progress bar among them.
func breaks(s string) string {
	return strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
}

// shorten returns at most that many characters, the last an ellipsis if there are more.
func shorten(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	return strings.TrimRightFunc(strings.TrimSuffix(text.Shorten(s, most-1), "…"), unicode.IsSpace) + "…"
}

// ending returns the end of a name, which says more than its beginning.
func ending(s string, most int) string {
	if n := runes(s); n > most {
		r := []rune(s)
		return "…" + string(r[n-most+1:])
	}
	return s
}

// sentence returns a reason as a sentence.
func sentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	s = string(unicode.ToUpper(r)) + s[size:]
	if !strings.ContainsAny(s[len(s)-1:], ".!?:") && !strings.HasSuffix(s, "…") {
		s += "."
	}
	return s
}

// Duration returns a duration for people, in its two largest units: 2 h 3 min.
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-max(d, -1<<62))
	}
	const day = 24 * time.Hour
	two := func(large, small time.Duration, l, s string) string {
		n, rest := d/large, d%large/small
		if rest == 0 {
			return fmt.Sprintf("%d %s", n, l)
		}
		return fmt.Sprintf("%d %s %d %s", n, l, rest, s)
	}
	switch {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return two(time.Minute, time.Second, "min", "s")
	case d < 2*day:
		return two(time.Hour, time.Minute, "h", "min")
	}
	return two(day, time.Hour, "d", "h")
}

// when returns a time for people.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// count returns a number of things: 1 package, 2 packages.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
