package notice

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/vm"
)

// Bounds of a template's field.
const (
	MaxTemplate = 4 << 10
	maxPieces   = 50
)

// TemplateFields are a template as the routes file has it. In each field {{ expression }} stands for a value. An
// empty field leaves what is said by default.
type TemplateFields struct {
	// Name is what faults call the template, with its place; it may be empty.
	Name           string
	Title, Summary string
	// Next is what to do now, a step in each line.
	Next string
}

// Template is the operator's own words for a text.
type Template struct {
	name                 string
	title, summary, next pieces
}

// TemplateError says what is wrong in a field of a template, and where.
type TemplateError struct {
	// Field is title, summary or next.
	Field string
	// Offset is the place in characters from the beginning of the field.
	Offset  int
	Message string
}

func (e *TemplateError) Error() string { return e.Field + ": " + e.Message }

// ParseTemplate compiles a template. It returns every error of the fields, and a template only if there is none.
func ParseTemplate(f TemplateFields) (*Template, []*TemplateError) {
	t := &Template{name: cmp.Or(f.Name, "the template")}
	var faults []*TemplateError
	for _, field := range [...]struct {
		name, text string
		out        *pieces
	}{{"title", f.Title, &t.title}, {"summary", f.Summary, &t.summary}, {"next", f.Next, &t.next}} {
		p, found := parsePieces(field.text)
		for _, fault := range found {
			faults = append(faults, &TemplateError{field.name, fault.Offset, fault.Message})
		}
		*field.out = p
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return t, nil
}

// piece is a text, or an expression that stands for one.
type piece struct {
	text    string
	program *vm.Program
}

type pieces []piece

// parsePieces splits a field into its pieces.
func parsePieces(field string) (pieces, []*ExpressionError) {
	if len(field) > MaxTemplate {
		return nil, []*ExpressionError{{Message: fmt.Sprintf("the template has more than %d bytes", MaxTemplate)}}
	}
	var list pieces
	var faults []*ExpressionError
	at := 0
	fail := func(byteOffset, more int, message string) {
		faults = append(faults, &ExpressionError{utf8.RuneCountInString(field[:byteOffset]) + more, message})
	}
	for at < len(field) {
		begin := strings.Index(field[at:], "{{")
		if begin < 0 {
			break
		}
		begin += at
		if begin > at {
			list = append(list, piece{text: field[at:begin]})
		}
		from := begin + len("{{")
		length := expressionEnd(field[from:])
		if length < 0 {
			fail(begin, 0, "{{ has no }} after it")
			return list, faults
		}
		if len(list) >= maxPieces {
			fail(begin, 0, fmt.Sprintf("the template has more than %d pieces", maxPieces))
			return list, faults
		}
		program, err := compile(field[from : from+length])
		var fault *ExpressionError
		switch {
		case errors.As(err, &fault):
			fail(from, fault.Offset, fault.Message)
		case !isText(program.Node().Type()):
			blank := length - len(strings.TrimLeft(field[from:from+length], " \t\r\n"))
			fail(from, blank, "the expression is "+kindName(program.Node().Type())+", not a text; choose a part of it")
		}
		list = append(list, piece{program: program})
		at = from + length + len("}}")
	}
	if at < len(field) {
		list = append(list, piece{text: field[at:]})
	}
	return list, faults
}

// expressionEnd returns where the }} stands that ends the expression at the beginning of a text, or -1. Those in
// quotes, or that close a { of the expression, do not end it.
func expressionEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'', '`':
			for i++; i < len(s) && s[i] != c; i++ {
				if s[i] == '\\' && c != '`' {
					i++
				}
			}
		case '{':
			depth++
		case '}':
			if depth == 0 {
				if strings.HasPrefix(s[i:], "}}") {
					return i
				}
				continue
			}
			depth--
		}
	}
	return -1
}

// render returns the text of the pieces.
func (p pieces) render(s *Scope) (string, error) {
	var b strings.Builder
	for _, piece := range p {
		if piece.program == nil {
			b.WriteString(piece.text)
			continue
		}
		value, err := s.run(piece.program)
		if err != nil {
			return "", err
		}
		text, err := format(value)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		if b.Len() > maxResult {
			return "", errTooLong()
		}
	}
	return b.String(), nil
}

// apply puts the template's words into a text. A template that fails, or that leaves the title empty, changes
// nothing; the error says so in one line.
func (t *Template) apply(s *Scope, out *Text) error {
	var title, summary, next string
	for _, field := range [...]struct {
		name   string
		pieces pieces
		out    *string
	}{{"title", t.title, &title}, {"summary", t.summary, &summary}, {"next", t.next, &next}} {
		text, err := field.pieces.render(s)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", t.name, field.name, err)
		}
		*field.out = text
	}
	if len(t.title) > 0 {
		if title = line(title, maxTitle); title == "" {
			return fmt.Errorf("%s: title: it is empty for this event", t.name)
		}
		out.Title = title
	}
	if len(t.summary) > 0 {
		out.Summary = block(summary, maxSummary)
	}
	if len(t.next) > 0 {
		out.Next = nil
		for step := range strings.Lines(next) {
			if step = line(step, maxFact); step != "" && len(out.Next) < maxSteps {
				out.Next = append(out.Next, Step{Text: step})
			}
		}
	}
	return nil
}
