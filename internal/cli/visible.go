package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// What comes from a drop or its job must neither steer a terminal nor look like
// something else there. The command prints it by the functions of this file.

// logText returns a line of a job's log fit for a terminal: without escape sequences,
// or with those that choose a colour.
func logText(s string, coloured bool) string {
	if !coloured {
		return text.Printable(text.Plain(s))
	}
	shown := text.Segments(s, func(sequence string) string { return sequence }, text.Printable)
	if strings.Contains(shown, "\x1b") {
		shown += noColour
	}
	return shown
}

// indented returns s with its lines after the first set in, so that none looks like a line
// of the command's own.
func indented(s string) string { return strings.ReplaceAll(s, "\n", "\n    ") }

// The colours of verdicts, and what ends them (ECMA-48).
const (
	green    = "\x1b[32m"
	red      = "\x1b[31m"
	yellow   = "\x1b[33m"
	noColour = "\x1b[0m"
)

// colourOf returns the colour of an attempt's state: of a verdict, or of a wait. All
// else has none.
func colourOf(s event.State) string {
	switch account.ToneOf(s) {
	case account.Good:
		return green
	case account.Bad:
		return red
	case account.Warn:
		return yellow
	}
	return ""
}

// oneLine returns s fit for a terminal, in one line.
func oneLine(s string) string { return text.OneLine(s) }

// escaped returns JSON with escapes for the characters that can't be seen. They stand
// in strings only, so a reader of the JSON gets the same text. YAML may have them in
// double quotes only.
func escaped(data []byte) []byte {
	if !bytes.ContainsFunc(data, hidden) {
		return data
	}
	var b bytes.Buffer
	for _, r := range string(data) {
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
func hidden(r rune) bool { return text.Invisible(r) || r >= 0x7f && unicode.IsControl(r) }

// terminal is a writer that makes what other programs write printable.
type terminal struct {
	w    io.Writer
	rest []byte // of a character whose end is yet to come
}

func (t *terminal) Write(p []byte) (int, error) {
	all := append(t.rest, p...)
	end := len(all)
	for back := 1; back < utf8.UTFMax && back <= len(all); back++ {
		if at := len(all) - back; utf8.RuneStart(all[at]) {
			if !utf8.FullRune(all[at:]) {
				end = at
			}
			break
		}
	}
	t.rest = bytes.Clone(all[end:])
	if _, err := io.WriteString(t.w, text.Printable(string(all[:end]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
