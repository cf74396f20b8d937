package jobspec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/pkg/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxDepth bounds the nesting of a file. A job has seven levels.
const maxDepth = 32

// load reads the file's one document. A fault, with its position, is a reason
// to go no further.
func load(data []byte, k *Kind) (*yaml.Node, *job.Violation) {
	if len(data) > MaxSize {
		return nil, &job.Violation{
			Rule:    "file-size",
			Found:   fmt.Sprintf("more than %d bytes", MaxSize),
			Allowed: fmt.Sprintf("at most %d bytes", MaxSize),
			Message: k.file + " is too large",
			Remedy:  k.advice,
		}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if pos, what := badCharacter(data); what != "" {
		return nil, &job.Violation{
			Rule:     "file-encoding",
			Position: pos,
			Found:    what,
			Message:  k.file + " is not plain text in UTF-8",
			Remedy:   "save the file as UTF-8 text",
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root, next yaml.Node
	err := decoder.Decode(&root)
	if errors.Is(err, io.EOF) || err == nil && isNull(content(&root)) {
		return nil, &job.Violation{
			Rule:    "file-empty",
			Message: k.file + " is empty",
			Remedy:  k.empty,
		}
	}
	if err == nil {
		err = decoder.Decode(&next)
		if err == nil {
			return nil, &job.Violation{
				Rule:     "single-document",
				Position: position(&next),
				Message:  k.file + " holds more than one YAML document",
				Remedy:   "remove the line --- and what follows it; write one file per " + strings.TrimPrefix(k.whole, "a "),
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, syntaxFault(data, err, k)
	}
	if n := tooDeep(&root, maxDepth); n != nil {
		return nil, &job.Violation{
			Rule:     "file-depth",
			Position: position(n),
			Allowed:  fmt.Sprintf("at most %d levels", maxDepth),
			Message:  k.file + " is nested too deeply",
			Remedy:   "write only the fields of " + k.whole,
		}
	}
	return content(&root), nil
}

// The parser has no typed error: its text carries the line, and the name of an
// unknown anchor without one.
var (
	errorLine   = regexp.MustCompile(`^yaml: line (\d+): (?s:(.*))$`)
	errorAnchor = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced$`)
)

func syntaxFault(data []byte, err error, k *Kind) *job.Violation {
	v := &job.Violation{
		Rule:    "syntax",
		Message: k.file + " is not valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: "),
		Remedy:  "check the indentation, the colons (each followed by a space) and the quotes up to this line",
	}
	lines := splitLines(data)
	line := 1
	if m := errorLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		v.Message = k.file + " is not valid YAML: " + m[2]
	} else if m := errorAnchor.FindStringSubmatch(err.Error()); m != nil {
		v.Message = fmt.Sprintf("the alias *%s has no anchor", printable(text.Shorten(m[1], maxShown)))
		v.Remedy = fmt.Sprintf("define the anchor before its use, with &%s, or put the text in quotes", printable(text.Shorten(m[1], maxShown)))
		for i, text := range lines {
			if strings.Contains(text, "*"+m[1]) {
				line = i + 1
				break
			}
		}
	}
	line = min(max(line, 1), max(len(lines), 1))
	v.Position = job.Position{Line: line, Column: 1}
	if len(lines) == 0 {
		return v
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
	text := lines[line-1]
	v.Column = 1 + len(text) - len(strings.TrimLeft(text, " \t"))
	v.Found = strings.TrimSpace(text)
	if v.Found != "" {
		v.Found = show(v.Found)
	}
	return v
}

// splitLines splits where the YAML parser does.
func splitLines(data []byte) []string {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(string(data))
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
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0x7F, r >= 0x80 && r < 0xA0 && r != 0x85, r == 0xFEFF, r == 0xFFFE, r == 0xFFFF:
			return pos, fmt.Sprintf("the control character U+%04X", r)
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
