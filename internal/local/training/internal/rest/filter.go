package rest

import (
	"fmt"
	"slices"
	"strings"
)

// Predicate reports whether a job is among those that were asked for.
type Predicate[T any] func(T) bool

// Term reads a comparison of a filter. A quoted value stands for itself.
type Term[T any] func(field, op, value string, quoted bool) (Predicate[T], error)

// ParseFilter reads a filter whose comparisons term reads.
func ParseFilter[T any](text string, term Term[T]) (Predicate[T], error) {
	p := parser[T]{Lexer{Rest: text}, term}
	p.Next()
	if p.AtEnd() {
		return func(T) bool { return true }, p.Err
	}
	match := p.or()
	if p.Err == nil && !p.AtEnd() {
		p.Fail("AND or OR expected before %q", p.Token)
	}
	return match, p.Err
}

type parser[T any] struct {
	Lexer
	read Term[T]
}

// Lexer reads the words of Google's filter languages.
type Lexer struct {
	Rest   string
	Token  string // "" and not quoted at the end
	Quoted bool
	Err    error // the first one
}

func (p *Lexer) Fail(format string, args ...any) {
	if p.Err == nil {
		p.Err = fmt.Errorf(format, args...)
	}
	p.Rest, p.Token, p.Quoted = "", "", false
}

func (p *Lexer) AtEnd() bool { return p.Token == "" && !p.Quoted }

// Next reads a parenthesis, an operator, a quoted text or a word.
func (p *Lexer) Next() {
	p.Token, p.Quoted = "", false
	p.Rest = strings.TrimLeft(p.Rest, " \t\r\n")
	if p.Rest == "" {
		return
	}
	n := 1
	switch p.Rest[0] {
	case '(', ')', ':':
	case '=', '!', '<', '>', '~':
		if len(p.Rest) > 1 && slices.Contains(twoSigns, p.Rest[:2]) {
			n = 2
		} else if p.Rest[0] == '!' || p.Rest[0] == '~' {
			p.Fail("%q is not an operator", p.Rest[:1])
			return
		}
	case '"':
		p.quote()
		return
	default:
		if n = strings.IndexAny(p.Rest, " \t\r\n\""+Signs); n < 0 {
			n = len(p.Rest)
		}
	}
	p.Token, p.Rest = p.Rest[:n], p.Rest[n:]
}

// quote reads a text in double quotes, with \" and \\ in it; any other backslash
// stands for itself, as regular expressions have them.
func (p *Lexer) quote() {
	var b strings.Builder
	for i := 1; i < len(p.Rest); i++ {
		switch c := p.Rest[i]; {
		case c == '"':
			p.Token, p.Quoted, p.Rest = b.String(), true, p.Rest[i+1:]
			return
		case c == '\\' && i+1 < len(p.Rest) && strings.IndexByte(`"\`, p.Rest[i+1]) >= 0:
			i++
			b.WriteByte(p.Rest[i])
		default:
			b.WriteByte(c)
		}
	}
	p.Fail("a quoted text has no end")
}

// Signs end an unquoted word; twoSigns are the operators of two of them.
const Signs = "():=!<>~"

var twoSigns = []string{"!=", "<=", ">=", "=~", "!~"}

func (p *Lexer) Word(w string) bool { return !p.Quoted && p.Token == w }

func (p *parser[T]) or() Predicate[T] {
	match, joined := p.and()
	if p.Word("OR") && joined {
		p.Fail("AND and OR side by side need parentheses")
	}
	for p.Word("OR") {
		p.Next()
		left := match
		right, joined := p.and()
		if joined {
			p.Fail("AND and OR side by side need parentheses")
		}
		match = func(j T) bool { return left(j) || right(j) }
	}
	return match
}

// and reads terms that AND joins. It also reports whether there was an AND.
func (p *parser[T]) and() (match Predicate[T], joined bool) {
	match = p.not()
	for p.Word("AND") {
		joined = true
		p.Next()
		left, right := match, p.not()
		match = func(j T) bool { return left(j) && right(j) }
	}
	return match, joined
}

func (p *parser[T]) not() Predicate[T] {
	switch {
	case p.Word("NOT"):
		p.Next()
		inner := p.not()
		return func(j T) bool { return !inner(j) }
	case p.Word("("):
		p.Next()
		inner := p.or()
		if !p.Word(")") {
			p.Fail(") expected")
		}
		p.Next()
		return inner
	}
	return p.term()
}

func (p *parser[T]) term() Predicate[T] {
	field := p.Token
	if field == "" || p.Quoted || strings.ContainsAny(field, Signs) || field == "AND" || field == "OR" {
		p.Fail("a field expected, found %q", field)
		return nil
	}
	p.Next()
	op := p.Token
	if p.Quoted || !slices.Contains([]string{":", "=", "!=", "<", "<=", ">", ">="}, op) {
		p.Fail("a comparison expected after %q", field)
		return nil
	}
	p.Next()
	value := p.Token
	if !p.Quoted && (value == "" || strings.ContainsAny(value, Signs)) {
		p.Fail("a value expected after %s%s", field, op)
		return nil
	}
	quoted := p.Quoted
	p.Next()
	match, err := p.read(field, op, value, quoted)
	if err != nil {
		p.Fail("%w", err)
	}
	return match
}

// MatchStars compares text with a pattern in which * stands for any text.
func MatchStars(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// Holds reports whether an order of two values is the operator's.
func Holds(op string, order int) bool {
	switch op {
	case "=", ":":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}
