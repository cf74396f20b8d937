package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Invisible reports whether a character has no shape of its own. Such characters
// reorder the text around them (U+202A to U+202E, U+2066 to U+2069, U+200E, U+200F,
// U+061C), join words, or take no room.
func Invisible(r rune) bool {
	return r >= utf8.RuneSelf &&
		unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// Printable returns s fit for a terminal: control characters become �, and
// characters that can't be seen become their number, as in <U+202E>.
func Printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case unicode.IsControl(r):
			b.WriteRune(unicode.ReplacementChar)
		case Invisible(r):
			fmt.Fprintf(&b, "<%U>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// OneLine returns s fit for one line of a terminal, as [Printable] does: a line break becomes �, too.
func OneLine(s string) string { return strings.ReplaceAll(Printable(s), "\n", "�") }
