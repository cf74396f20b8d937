package jobspec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxDepth bounds the nesting of a file. A job has seven levels.
const maxDepth = 32

// maxMarks bounds the characters that YAML's tokens begin with, before the parser
// makes anything of them: it takes up to 500 bytes for each. 20 parameters of
// 1,000 values have 20,000 of them.
const maxMarks = 50_000

// directive is the weight of a line that begins with %: the parser compares each
// directive with all before it, and files have one at most.
const directive = 1000

// marks counts the characters with which keys, values and comments begin, wherever
// they stand: that is more than there are, never less. It returns the place of
// the first that is too many.
func marks(data []byte) (job.Position, bool) {
	n := 0
	for i, c := range data {
		switch c {
		case ',', ':', '[', '{':
			n++
		case '-', '?': // of a list's entry, or of a key
			if i+1 == len(data) || strings.IndexByte(" \t\r\n", data[i+1]) >= 0 {
				n++
			}
		case '#': // a comment is kept with each of its neighbours
			if i == 0 || data[i-1] != '#' {
				n += 2
			}
		case '%':
			if i == 0 || endsLine(data[:i]) {
				n += directive
			}
		}
		if n > maxMarks {
			lines := splitLines(data[:i+1])
			return job.Position{Line: len(lines), Column: utf8.RuneCountInString(lines[len(lines)-1])}, true
		}
	}
	return job.Position{}, false
}

// source is what the YAML parser reads, some hundred bytes at a time, until the
// context ends.
type source struct {
	ctx  context.Context
	data *bytes.Reader
}

func (s source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.data.Read(p)
}

// load reads the file's one document. A fault, with its position, is a reason
// to go no further; it may also be that ctx has ended.
func load(ctx context.Context, data []byte, k *Kind) (*yaml.Node, *job.Violation) {
	if v := unreadable(data, k); v != nil {
		return nil, v
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	data = asYAML11(data)
	decoder := yaml.NewDecoder(source{ctx, bytes.NewReader(data)})
	var root, next yaml.Node
	err := decoder.Decode(&root)
	if errors.Is(err, io.EOF) || err == nil && isNull(content(&root)) {
		return nil, &job.Violation{
			Rule:    ruleFileEmpty,
			Message: k.file + " is empty",
			Remedy:  k.empty,
		}
	}
	if err == nil {
		err = decoder.Decode(&next)
		if err == nil {
			return nil, &job.Violation{
				Rule:     ruleSingleDocument,
				Position: position(&next),
				Message:  k.file + " holds more than one YAML document",
				Remedy:   "remove the line --- and what follows it; write one file per " + strings.TrimPrefix(k.whole, "a "),
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, syntaxFault(ctx, data, err, k)
	}
	if v := notRenderedAt(&root, data); v != nil {
		return nil, v
	}
	if n := slashed(&root); n != nil {
		if v := foreignComment(splitLines(data), n.Line); v != nil {
			return nil, v
		}
	}
	if n := tooDeep(&root, maxDepth); n != nil {
		return nil, &job.Violation{
			Rule:     ruleFileDepth,
			Position: position(n),
			Allowed:  fmt.Sprintf("at most %d levels", maxDepth),
			Message:  k.file + " is nested too deeply",
			Remedy:   "write only the fields of " + k.whole,
		}
	}
	return content(&root), nil
}

// byteOrderMark may begin a file, and has no meaning in UTF-8.
const byteOrderMark = "\ufeff"

// unreadable returns what keeps a file from being parsed at all: its size, a character, or the number of its
// parts.
func unreadable(data []byte, k *Kind) *job.Violation {
	if len(data) > MaxSize {
		return &job.Violation{
			Rule:    ruleFileSize,
			Found:   fmt.Sprintf("more than %d bytes", MaxSize),
			Allowed: fmt.Sprintf("at most %d bytes", MaxSize),
			Message: k.file + " is too large",
			Remedy:  k.advice,
		}
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	if pos, what := badCharacter(data); what != "" {
		v := &job.Violation{
			Rule:     ruleFileEncoding,
			Position: pos,
			Found:    what,
			Message:  k.file + " is not plain text in UTF-8",
			Remedy:   "save the file as UTF-8 text",
		}
		for _, f := range fileForms {
			if bytes.HasPrefix(data, []byte(f.begins)) {
				v.Message += ": " + f.name
				v.Remedy = f.remedy
			}
		}
		if what == controlName(0xFEFF) {
			v.Message += ": a byte order mark stands within it"
			v.Remedy = "remove the mark, which stays behind where files were put together"
		}
		return v
	}
	if pos, many := marks(data); many {
		return &job.Violation{
			Rule:     ruleFileNodes,
			Position: pos,
			Found:    "more",
			Allowed: fmt.Sprintf("at most %d commas, colons, opening brackets, dashes of lists and (each twice) comments",
				maxMarks),
			Message: k.file + " has too many parts",
			Remedy:  k.advice,
		}
	}
	return nil
}

// fileForms are what files are that are not plain text, by how they begin.
var fileForms = [...]struct{ begins, name, remedy string }{
	{"\xff\xfe", "it is in UTF-16", "save the file as UTF-8, in PowerShell with Out-File -Encoding utf8"},
	{"\xfe\xff", "it is in UTF-16", "save the file as UTF-8"},
	{"\x1f\x8b", "it is packed with gzip", "unpack the file, and upload it without packing it"},
	{"PK\x03\x04", "it is a ZIP archive", "unpack the file, and upload what is in it"},
}

// controlName is what a violation calls a control character.
func controlName(r rune) string { return fmt.Sprintf("the control character U+%04X", r) }

// newerYAML is a directive at the file's head that the parser refuses, though it
// reads what follows.
var newerYAML = regexp.MustCompile(`^(?:[ \t]*(?:#[^\n]*)?\r?\n)*%YAML[ \t]+1\.[02-9]`)

// asYAML11 mends what the parser refuses in good files of newer YAML, which has
// all of JSON in it. Every value stays in its line and column.
func asYAML11(data []byte) []byte {
	if head := newerYAML.Find(data); head != nil {
		data = slices.Clone(data)
		data[len(head)-1] = '1'
	}
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) && jsonEscape.Match(data) && json.Valid(data) {
		data = withoutJSONEscapes(data)
	}
	return data
}

// jsonEscape are the escapes of JSON that YAML 1.1 does not have: of a slash,
// and of a character in two halves.
var jsonEscape = regexp.MustCompile(`\\/|\\u[dD][89abAB]`)

// withoutJSONEscapes writes them as YAML 1.1 does; spaces after the string make
// up for the width.
func withoutJSONEscapes(data []byte) []byte {
	out := make([]byte, 0, len(data))
	inString := false
	for i := 0; i < len(data); {
		switch {
		case data[i] == '"':
			out = append(out, '"')
			i++
			if inString = !inString; !inString && len(out) < i {
				out = append(out, bytes.Repeat([]byte(" "), i-len(out))...)
			}
		case !inString || data[i] != '\\':
			out = append(out, data[i])
			i++
		case data[i+1] == '/':
			out = append(out, '/')
			i += 2
		default:
			if r, ok := surrogates(data[i:]); ok {
				out = fmt.Appendf(out, `\U%08X`, r)
				i += len(`\uD83D\uDE00`)
				continue
			}
			out = append(out, data[i:i+2]...)
			i += 2
		}
	}
	return out
}

// surrogates reads a character escaped in two halves.
func surrogates(data []byte) (rune, bool) {
	if len(data) < 12 || data[1] != 'u' || data[6] != '\\' || data[7] != 'u' {
		return 0, false
	}
	high, err1 := strconv.ParseUint(string(data[2:6]), 16, 16)
	low, err2 := strconv.ParseUint(string(data[8:12]), 16, 16)
	r := utf16.DecodeRune(rune(high), rune(low))
	return r, err1 == nil && err2 == nil && r != utf8.RuneError
}

// endsLine reports whether data end with a line break of YAML 1.1.
func endsLine(data []byte) bool {
	r, _ := utf8.DecodeLastRune(data)
	return strings.ContainsRune("\n\r\u0085\u2028\u2029", r)
}

// splitLines splits where the YAML parser does.
func splitLines(data []byte) []string {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029",
		"\n").Replace(string(data))
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// badCharacter finds the first byte that is no UTF-8 or a control character
// that YAML excludes.
func badCharacter(data []byte) (job.Position, string) {
	pos := job.Position{Line: 1, Column: 1}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return pos, fmt.Sprintf("the byte 0x%02X", data[i])
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0x7F, r >= 0x80 && r < 0xA0 && r != 0x85, r == 0xFEFF,
			r == 0xFFFE, r == 0xFFFF:
			return pos, controlName(r)
		case r == '\n', r == '\r' && !bytes.HasPrefix(data[i:], []byte("\r\n")), r == 0x85, r == 0x2028, r == 0x2029:
			pos = job.Position{Line: pos.Line + 1, Column: 1}
		default:
			pos.Column++
		}
		i += size
	}
	return job.Position{}, ""
}

// tooDeep finds the first node that more than levels others enclose. Aliases
// are not followed: the decoder's own bound holds for them.
func tooDeep(n *yaml.Node, levels int) *yaml.Node {
	if levels < 0 {
		return n
	}
	for _, child := range n.Content {
		if deep := tooDeep(child, levels-1); deep != nil {
			return deep
		}
	}
	return nil
}

func content(document *yaml.Node) *yaml.Node {
	if document.Kind == yaml.DocumentNode && len(document.Content) > 0 {
		return document.Content[0]
	}
	return document
}

func isNull(n *yaml.Node) bool {
	return n.Kind == 0 || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

func position(n *yaml.Node) job.Position {
	return job.Position{Line: n.Line, Column: n.Column}
}
