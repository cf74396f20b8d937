package jobspec

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// excerptWidth is how many columns of a line an excerpt shows.
const excerptWidth = 100

// Excerpt returns the line of a job file that a violation is about, with a caret
// below its place. The two lines each end in a line feed. Of a long line it returns
// what surrounds the place. It is empty if the violation has no position in data.
func Excerpt(data []byte, v job.Violation) string {
	line, ok := lineOf(bytes.TrimPrefix(data, []byte(byteOrderMark)), v.Line)
	if !ok || v.Column < 1 {
		return ""
	}
	runes := []rune(line)
	at := min(v.Column-1, len(runes)) // an empty value stands one past the end
	// The place is shown at a third of the window, or left of that.
	from := max(0, min(at-excerptWidth/3, len(runes)-excerptWidth))
	var text strings.Builder
	column, caret := 0, 0
	show := func(r rune) {
		n := 1
		switch {
		case r == '\t':
			r = ' '
		case unicode.In(r, unicode.Mn, unicode.Me):
			n = 0
		case !unicode.IsPrint(r):
			r = unicode.ReplacementChar
		case isWide(r):
			n = 2
		}
		text.WriteRune(r)
		column += n
	}
	if from > 0 {
		show('…')
	}
	for i := from; i <= len(runes); i++ {
		if i == at {
			caret = column
		}
		if i == len(runes) {
			break
		}
		if column >= excerptWidth && i > at {
			show('…')
			break
		}
		show(runes[i])
	}
	gutter := fmt.Sprintf("%5d | ", v.Line)
	return gutter + strings.TrimRight(text.String(), " ") + "\n" + strings.Repeat(" ", len(gutter)-2) + "| " +
		strings.Repeat(" ", caret) + "^\n"
}

// lineOf returns a line by its number, counted from 1 as the YAML parser does.
func lineOf(data []byte, number int) (string, bool) {
	for n := 1; ; n++ {
		end, size := len(data), 0
		if i := bytes.IndexAny(data, "\r\n\u0085\u2028\u2029"); i >= 0 {
			end = i
			switch {
			case bytes.HasPrefix(data[i:], []byte("\r\n")), data[i] == 0xC2:
				size = 2
			case data[i] == 0xE2:
				size = 3
			default:
				size = 1
			}
		}
		if n == number {
			return strings.ToValidUTF8(string(data[:end]), string(unicode.ReplacementChar)), true
		}
		if size == 0 {
			return "", false
		}
		data = data[end+size:]
	}
}

// isWide reports whether terminals show r in two columns (Unicode, Annex 11, East
// Asian Wide and Fullwidth, by blocks).
func isWide(r rune) bool {
	return r >= 0x1100 && (r <= 0x115F || r >= 0x2E80 && r <= 0xA4CF && r != 0x303F || r >= 0xAC00 && r <= 0xD7A3 ||
		r >= 0xF900 && r <= 0xFAFF || r >= 0xFE30 && r <= 0xFE6F || r >= 0xFF00 && r <= 0xFF60 ||
		r >= 0xFFE0 && r <= 0xFFE6 ||
		r >= 0x1F300 && r <= 0x1F64F || r >= 0x1F680 && r <= 0x1F6FF || r >= 0x1F900 && r <= 0x1F9FF ||
		r >= 0x20000 && r <= 0x3FFFD)
}
