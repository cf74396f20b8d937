package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// What comes from a drop or its job must neither steer a terminal nor look like
// something else there. The command prints it by the functions of this file.

// invisible reports whether a character has no shape of its own. Such characters
// reorder the text around them (U+202A to U+202E, U+2066 to U+2069, U+200E, U+200F,
// U+061C), join words, or take no room.
func invisible(r rune) bool {
	return r >= utf8.RuneSelf &&
		unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// printable returns s fit for a terminal: control characters become �, and
// characters that can't be seen become their number, as in <U+202E>.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case unicode.IsControl(r):
			b.WriteRune(unicode.ReplacementChar)
		case invisible(r):
			fmt.Fprintf(&b, "<%U>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// oneLine returns s fit for a terminal, in one line.
func oneLine(s string) string { return strings.ReplaceAll(printable(s), "\n", "�") }

// escaped returns JSON with escapes for the characters that can't be seen. They stand
// in strings only, so a reader of the JSON gets the same text. YAML may have them in
// double quotes only.
func escaped(text []byte) []byte {
	if !bytes.ContainsFunc(text, hidden) {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) {
		switch high, low := utf16.EncodeRune(r); {
		case !hidden(r):
			b.WriteRune(r)
		case high != unicode.ReplacementChar:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// hidden reports whether a terminal does not show a character that JSON may hold
// unescaped.
func hidden(r rune) bool { return invisible(r) || r >= 0x7f && unicode.IsControl(r) }

// terminal is a writer that makes what other programs write printable.
type terminal struct {
	w    io.Writer
	rest []byte // of a character whose end is yet to come
}

func (t *terminal) Write(p []byte) (int, error) {
	text := append(t.rest, p...)
	end := len(text)
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		if at := len(text) - back; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				end = at
			}
			break
		}
	}
	t.rest = bytes.Clone(text[end:])
	if _, err := io.WriteString(t.w, printable(string(text[:end]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
