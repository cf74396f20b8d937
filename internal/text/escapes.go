package text

import (
	"regexp"
	"strings"
)

// escape matches one escape sequence of a terminal (ECMA-48): a control sequence, a
// string that ends in its line, or an escape with one more character; also one that the
// text cuts off. Of a string without an end only the beginning is a sequence: the rest
// may be what somebody has to read.
var escape = regexp.MustCompile("\x1b(?:" +
	`\[[0-?]*[ -/]*[@-~]?|[\]PX^_](?:[^\x07\x1b\n]*(?:\x07|\x1b\\))?|[ -/]*[0-~]?)`)

// colour matches the control sequences that only choose a colour or a weight. Black,
// white and concealed are not among them, nor backgrounds: they could hide a text.
var colour = regexp.MustCompile("^\x1b" + `\[(?:(?:0|1|22|3[1-6]|39|9[1-6])?(?:;(?:0|1|22|3[1-6]|39|9[1-6]))*)m$`)

// Plain returns a text without the escape sequences of a terminal.
func Plain(s string) string { return Segments(s, nil, func(t string) string { return t }) }

// Segments returns a text whose parts between escape sequences are what part makes of
// them. Sequences that choose a colour become what coloured makes of them, if it is
// not nil; all others are left out.
func Segments(s string, coloured, part func(string) string) string {
	if !strings.Contains(s, "\x1b") {
		return part(s)
	}
	var b strings.Builder
	at := 0
	for _, found := range escape.FindAllStringIndex(s, -1) {
		b.WriteString(part(s[at:found[0]]))
		if sequence := s[found[0]:found[1]]; coloured != nil && colour.MatchString(sequence) {
			b.WriteString(coloured(sequence))
		}
		at = found[1]
	}
	b.WriteString(part(s[at:]))
	return b.String()
}
