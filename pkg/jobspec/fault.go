package jobspec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// mistake is a message of the parser and what it comes from, in a person's
// words.
type mistake struct {
	message string // its beginning
	remedy  string
	// column returns the index of the faulty byte in its line, or -1.
	column func(line string) int
	// inParser is a message of the parser proper, which counts lines in another
	// way than its scanner; later is one that blames the first line of a block
	// for a fault in one of its later lines.
	inParser, later bool
}

const quoteIt = "put the text in quotes if all of it is one value"

var mistakes = [...]mistake{
	{
		message: "mapping values are not allowed",
		remedy:  "indent the line like its neighbours; " + quoteIt,
		column:  secondColon,
	},
	{
		message: "found character that cannot start any token",
		remedy:  "put the value in quotes: it can't begin with @, ` or %",
		column:  reserved,
	},
	{
		message:  "did not find expected ',' or ']'",
		remedy:   "close the bracket [, and separate the entries with commas",
		column:   opened('[', ']'),
		inParser: true,
	},
	{
		message:  "did not find expected ',' or '}'",
		remedy:   "close the brace {, and separate the entries with commas",
		column:   opened('{', '}'),
		inParser: true,
	},
	{
		message:  "did not find expected key",
		remedy:   "indent the line like its neighbours, and write nothing after a closing quote",
		inParser: true,
		later:    true,
	},
	{
		message:  "did not find expected '-' indicator",
		remedy:   "begin the line with '- ' as the list's other entries do, or indent it like the list's own key",
		inParser: true,
		later:    true,
	},
	{message: "could not find expected ':'", remedy: "write name: value, with a colon and a space; " + quoteIt},
	{message: "found unexpected end of stream", remedy: "close the quote", column: quote},
	{message: "found unexpected document indicator", remedy: "close the quote", column: quote},
	{
		message: "found unknown escape character",
		remedy:  "write each backslash twice, or use single quotes",
		column:  escape,
	},
	{
		message: "did not find expected hexdecimal number",
		remedy:  "write each backslash twice, or use single quotes",
		column:  escape,
	},
	{message: "found invalid Unicode character escape code", remedy: "write the character itself", column: escape},
	{message: "did not find expected node content", remedy: "write a value, or remove the comma", inParser: true},
	{
		message:  "did not find expected <document start>",
		remedy:   "remove what follows the file's one value",
		inParser: true,
	},
	{
		message:  "found undefined tag handle",
		remedy:   quoteIt + ": ! begins a tag",
		column:   func(line string) int { return strings.IndexByte(line, '!') },
		inParser: true,
	},
	{message: "found duplicate %", remedy: "remove one of the two lines", inParser: true},
	{message: "found incompatible YAML document", remedy: "remove the line %YAML", inParser: true},
	{remedy: "check the indentation, the colons (each followed by a space) and the quotes up to this line"},
}

// The parser has no typed error: its text carries the line, and the name of an
// unknown anchor without one.
var (
	errorLine   = regexp.MustCompile(`^yaml: line (\d+): (?s:(.*))$`)
	errorAnchor = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced$`)
)

// syntaxFault returns where the text stops being YAML. The parser reports a line
// only: none for the first line, and a wrong one for many.
func syntaxFault(ctx context.Context, data []byte, err error, k *Kind) *job.Violation {
	lines := splitLines(data)
	if m := errorAnchor.FindStringSubmatch(err.Error()); m != nil {
		return anchorFault(lines, m[1])
	}
	// With a line before the first, every fault has one that is not zero.
	line, message := parseFault(ctx, "\n"+string(data))
	i := 0
	for !strings.HasPrefix(message, mistakes[i].message) {
		i++
	}
	m := mistakes[i]
	if !m.inParser {
		line--
	}
	line = min(max(line, 1), len(lines))
	if m.later && len(data) <= maxSearched {
		line = line + sort.Search(len(lines)-line, func(n int) bool {
			_, found := parseFault(ctx, "\n"+strings.Join(lines[:line+n], "\n")+"\n")
			return found == message
		})
	}
	if v := notRendered(lines, line+1); v != nil {
		return v
	}
	if v := foreignComment(lines, line+1); v != nil {
		return v
	}
	if v := oddLine(lines, line); v != nil {
		return v
	}
	v := &job.Violation{
		Rule:     ruleSyntax,
		Position: job.Position{Line: line, Column: 1},
		Message:  k.file + " is not valid YAML: " + message,
		Remedy:   m.remedy,
	}
	// A tab is invisible in an editor, and the parser's words for it are not
	// helpful. It may blame the line before or after.
	for i := max(0, line-2); i < min(len(lines), line+1); i++ {
		indent := lines[i][:len(lines[i])-len(strings.TrimLeft(lines[i], " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			v.Position = job.Position{Line: i + 1, Column: tab + 1}
			v.Message = "the line is indented with a tab, which YAML does not allow"
			v.Remedy = "indent with spaces"
			return v
		}
	}
	at := lines[line-1]
	index := -1
	if m.column != nil {
		index = m.column(at)
	}
	if index < 0 {
		index = len(at) - len(strings.TrimLeft(at, " \t"))
	}
	v.Column = 1 + utf8.RuneCountInString(at[:index])
	if at = strings.TrimSpace(at); at != "" {
		v.Found = show(at)
	}
	return v
}

// maxSearched bounds the text that is parsed again and again for the line of a
// fault.
const maxSearched = 16 << 10

// parseFault returns the line and the message of the first fault in a text.
func parseFault(ctx context.Context, data string) (int, string) {
	decoder := yaml.NewDecoder(source{ctx, bytes.NewReader([]byte(data))})
	for {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			return 0, ""
		}
		if err == nil {
			continue
		}
		if m := errorLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ := strconv.Atoi(m[1])
			return line, m[2]
		}
		return 0, strings.TrimPrefix(err.Error(), "yaml: ")
	}
}

func anchorFault(lines []string, name string) *job.Violation {
	shown := printable(text.Shorten(name, maxShown))
	v := &job.Violation{
		Rule:     ruleSyntax,
		Position: job.Position{Line: 1, Column: 1},
		Message:  fmt.Sprintf("the alias *%s has no anchor", shown),
		Remedy:   fmt.Sprintf("define the anchor before its use, with &%s, or put the text in quotes", shown),
	}
	for i, line := range lines {
		if at := strings.Index(line, "*"+name); at >= 0 {
			v.Position = job.Position{Line: i + 1, Column: 1 + utf8.RuneCountInString(line[:at])}
			v.Found = show(strings.TrimSpace(line))
			break
		}
	}
	return v
}

var (
	colons        = regexp.MustCompile(`:(?:[ \t]|$)`)
	reservedFirst = regexp.MustCompile("(?:^|[ \t\\[{,])[@`%]")
	badEscape     = regexp.MustCompile(`\\(?:[^0abt\tnvfre "/\\N_LPxuU]|x|u|U|/|$)`)
)

// secondColon: the first makes a mapping of the line.
func secondColon(line string) int {
	all := colons.FindAllStringIndex(line, 2)
	if len(all) == 0 {
		return -1
	}
	return all[len(all)-1][0]
}

func reserved(line string) int {
	at := reservedFirst.FindStringIndex(line)
	if at == nil {
		return -1
	}
	return at[1] - 1
}

// opened finds the last bracket that its line does not close, or else the first.
func opened(open, shut byte) func(string) int {
	return func(line string) int {
		depth := 0
		for i := len(line) - 1; i >= 0; i-- {
			switch line[i] {
			case shut:
				depth++
			case open:
				if depth == 0 {
					return i
				}
				depth--
			}
		}
		return strings.IndexByte(line, open)
	}
}

// quote finds the quote that its line does not close, or else the first.
func quote(line string) int {
	last := -1
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case last >= 0 && c == '\\' && line[last] == '"':
			i++
		case last >= 0 && c == line[last]:
			last = -1
		case last < 0 && (c == '"' || c == '\'') && (i == 0 || strings.IndexByte(" \t[{,:", line[i-1]) >= 0):
			last = i
		}
	}
	if last < 0 {
		last = strings.IndexAny(line, `"'`)
	}
	return last
}

func escape(line string) int {
	if at := badEscape.FindStringIndex(line); at != nil {
		return at[0]
	}
	return strings.IndexByte(line, '"')
}
