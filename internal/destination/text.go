package destination

import (
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/text"
)

// Flat returns a text on one line, of which that many characters are wanted. What can't be seen is made visible or
// left out. The rest of a text that is far longer isn't read: an ellipsis stands for it.
func Flat(s string, most int) string {
	return strings.Join(strings.Fields(visible(beginning(s, most))), " ")
}

// Clean returns the beginning of a text of several lines, as [Flat] does one.
func Clean(s string, most int) string {
	return strings.TrimRight(strings.TrimLeft(visible(beginning(s, most)), "\n"), "\n\t ")
}

// Tail returns the end of a text of several lines, as [Clean] does its beginning.
func Tail(s string, most int) string {
	s = strings.TrimRight(s, "\r\n\t ")
	if far := len(s) - farther*most; far > 0 {
		s = "…" + strings.ToValidUTF8(s[far:], "")
	}
	return strings.TrimLeft(visible(s), "\n")
}

// farther is how many bytes of a text are read for each character that is wanted.
const farther = 16

func beginning(s string, most int) string {
	if len(s) <= farther*most {
		return s
	}
	return strings.ToValidUTF8(s[:farther*most], "") + "…"
}

func visible(s string) string { return text.Printable(text.Plain(s)) }

// Line returns a text on one line, of at most that many characters. An ellipsis marks what is left out.
func Line(s string, most int) string { return Clip(Flat(s, most), most, nil) }

// Lines returns the beginning of a text of several lines, as [Line] does.
func Lines(s string, most int) string { return Clip(Clean(s, most), most, nil) }

// LastLines returns the end of a text of several lines, as [Lines] does the beginning.
func LastLines(s string, most int) string { return End(Tail(s, most), most, nil) }

// Clip returns the beginning of a text in which escape has been applied to each character: at most that many
// characters of the result, with an ellipsis if there would be more. A nil escape changes nothing. Characters beyond
// U+FFFF count as two, as in JavaScript: a vendor that counts them as one has room to spare.
func Clip(s string, most int, escape func(rune) string) string {
	var b strings.Builder
	end, size := 0, 0 // of what still leaves room for the ellipsis
	for _, r := range s {
		part := escaped(r, escape)
		if size += Size(part); size > most {
			return b.String()[:end] + "…"
		}
		b.WriteString(part)
		if size < most {
			end = b.Len()
		}
	}
	return b.String()
}

// End returns the end of a text, as [Clip] does its beginning.
func End(s string, most int, escape func(rune) string) string {
	var parts []string
	size := 0
	for rest := s; rest != ""; {
		r, width := utf8.DecodeLastRuneInString(rest)
		part := escaped(r, escape)
		if size += Size(part); size > most {
			size -= Size(part)
			for len(parts) > 0 && size >= most { // room for the ellipsis
				size -= Size(parts[len(parts)-1])
				parts = parts[:len(parts)-1]
			}
			parts = append(parts, "…")
			break
		}
		parts = append(parts, part)
		rest = rest[:len(rest)-width]
	}
	slices.Reverse(parts)
	return strings.Join(parts, "")
}

func escaped(r rune, escape func(rune) string) string {
	if escape == nil {
		return string(r)
	}
	return escape(r)
}

// Size returns how many characters a text has, as [Clip] counts them.
func Size(s string) int {
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}
