package routes

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// failAt reports a violation at a place within a field's text, counted in characters. Where the file does not show
// the text as it is, the violation stands at the field, and says which character is meant.
func (c *checker) failAt(rule job.Rule, field, value string, offset int, v job.Violation) {
	begin := c.file.Position(field)
	if pos, ok := within(c.data, begin, value, offset); ok {
		c.file.ReportAt(rule, field, pos, v)
		return
	}
	v.Message += fmt.Sprintf(", at character %d of the text", offset+1)
	c.file.ReportAt(rule, field, begin, v)
}

// within returns the place of a character of a value that begins at a position: of a plain text in one line, one in
// quotes without escapes, or one of lines that stand indented after a bar.
func within(data []byte, begin job.Position, value string, offset int) (job.Position, bool) {
	lines := strings.SplitAfter(string(data), "\n")
	if begin.Line < 1 || begin.Line > len(lines) {
		return job.Position{}, false
	}
	rest := after(lines[begin.Line-1], begin.Column-1)
	runes := []rune(value)
	if rest == "" || offset < 0 || offset > len(runes) {
		return job.Position{}, false
	}
	switch rest[0] {
	case '|':
		return inBlock(lines, begin.Line, runes, offset)
	case '\'':
		written := strings.ReplaceAll(value, "'", "''")
		if strings.HasPrefix(rest[1:], written+"'") && !strings.ContainsAny(value, "\n") {
			quotes := strings.Count(string(runes[:offset]), "'")
			return job.Position{Line: begin.Line, Column: begin.Column + 1 + offset + quotes}, true
		}
	case '"':
		if strings.HasPrefix(rest[1:], value+`"`) && !strings.ContainsAny(value, "\n\\\"") {
			return job.Position{Line: begin.Line, Column: begin.Column + 1 + offset}, true
		}
	default:
		if strings.HasPrefix(rest, value) && !strings.Contains(value, "\n") {
			return job.Position{Line: begin.Line, Column: begin.Column + offset}, true
		}
	}
	return job.Position{}, false
}

// after returns what follows so many characters of a line.
func after(line string, n int) string {
	for ; n > 0 && line != ""; n-- {
		_, size := utf8.DecodeRuneInString(line)
		line = line[size:]
	}
	return line
}

// inBlock finds a character of a text whose lines stand after the given one.
func inBlock(lines []string, line int, value []rune, offset int) (job.Position, bool) {
	at, column := line, 0 // the index of the text's first line
	first, _, _ := strings.Cut(string(value), "\n")
	for _, r := range value[:offset] {
		if column++; r == '\n' {
			at, column = at+1, 0
		}
	}
	if line >= len(lines) || at >= len(lines) {
		return job.Position{}, false
	}
	indent := len(lines[line]) - len(strings.TrimLeft(lines[line], " "))
	if first == "" || !strings.HasPrefix(lines[line][indent:], first) {
		return job.Position{}, false
	}
	return job.Position{Line: at + 1, Column: indent + column + 1}, true
}
