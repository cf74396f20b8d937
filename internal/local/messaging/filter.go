package messaging

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// filter says which messages a subscription gets, by their attributes.
type filter func(attributes map[string]string) bool

// maxFilter is the service's own limit, in bytes. It bounds the recursion too.
const maxFilter = 256

// parseFilter reads the filtering syntax of Pub/Sub. It knows all of it, and
// refuses the rest: a filter that is ignored delivers what nobody asked for.
func parseFilter(text string) (filter, error) {
	if text == "" {
		return func(map[string]string) bool { return true }, nil
	}
	if len(text) > maxFilter {
		return nil, fmt.Errorf("the filter has %d bytes, and %d is the most", len(text), maxFilter)
	}
	p := filterParser{rest: text}
	f, err := p.expression()
	if err == nil {
		if p.space(); p.rest != "" {
			err = errors.New("an operator or the end is expected")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("at byte %d of the filter %q: %w", len(text)-len(p.rest), text, err)
	}
	return f, nil
}

// filterParser holds what is not read yet.
type filterParser struct{ rest string }

func (p *filterParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// symbol takes s, if it is next.
func (p *filterParser) symbol(s string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, s)
	if ok {
		p.rest = rest
	}
	return ok
}

// word takes an identifier: letters, digits, hyphens and underscores.
func (p *filterParser) word() string {
	p.space()
	end := strings.IndexFunc(p.rest, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

// keyword takes the word s, if it is next.
func (p *filterParser) keyword(s string) bool {
	before := *p
	if p.word() == s {
		return true
	}
	*p = before
	return false
}

// expression parses terms joined by one operator: the service wants parentheses where
// AND and OR meet.
func (p *filterParser) expression() (filter, error) {
	f, err := p.term()
	if err != nil {
		return nil, err
	}
	var operator string
	for {
		var next string
		switch {
		case p.keyword("AND"):
			next = "AND"
		case p.keyword("OR"):
			next = "OR"
		default:
			return f, nil
		}
		if operator != "" && operator != next {
			return nil, errors.New("AND and OR need parentheses between them")
		}
		operator = next
		left := f
		right, err := p.term()
		if err != nil {
			return nil, err
		}
		if operator == "AND" {
			f = func(a map[string]string) bool { return left(a) && right(a) }
		} else {
			f = func(a map[string]string) bool { return left(a) || right(a) }
		}
	}
}

func (p *filterParser) term() (filter, error) {
	switch {
	case p.keyword("NOT") || p.symbol("-"):
		f, err := p.term()
		if err != nil {
			return nil, err
		}
		return func(a map[string]string) bool { return !f(a) }, nil
	case p.symbol("("):
		f, err := p.expression()
		if err != nil {
			return nil, err
		}
		if !p.symbol(")") {
			return nil, errors.New("a closing parenthesis is expected")
		}
		return f, nil
	case p.keyword("hasPrefix"):
		return p.hasPrefix()
	case p.keyword("attributes"):
		return p.comparison()
	}
	return nil, errors.New("attributes, hasPrefix, NOT or a parenthesis is expected")
}

func (p *filterParser) comparison() (filter, error) {
	if p.symbol(":") {
		key, err := p.key()
		return func(a map[string]string) bool { _, ok := a[key]; return ok }, err
	}
	if !p.symbol(".") {
		return nil, errors.New("a colon or a point is expected after attributes")
	}
	key, err := p.key()
	if err != nil {
		return nil, err
	}
	unequal := p.symbol("!=")
	if !unequal && !p.symbol("=") {
		return nil, errors.New("= or != is expected")
	}
	value, err := p.literal()
	return func(a map[string]string) bool {
		got, ok := a[key]
		return (ok && got == value) != unequal
	}, err
}

func (p *filterParser) hasPrefix() (filter, error) {
	if !p.symbol("(") || !p.keyword("attributes") || !p.symbol(".") {
		return nil, errors.New("(attributes. is expected after hasPrefix")
	}
	key, err := p.key()
	if err != nil {
		return nil, err
	}
	if !p.symbol(",") {
		return nil, errors.New("a comma is expected")
	}
	prefix, err := p.literal()
	if err != nil {
		return nil, err
	}
	if !p.symbol(")") {
		return nil, errors.New("a closing parenthesis is expected")
	}
	return func(a map[string]string) bool {
		got, ok := a[key]
		return ok && strings.HasPrefix(got, prefix)
	}, nil
}

func (p *filterParser) key() (string, error) {
	if word := p.word(); word != "" {
		return word, nil
	}
	return p.literal()
}

// literal takes a string in quotation marks, with escapes as in Go.
func (p *filterParser) literal() (string, error) {
	p.space()
	if !strings.HasPrefix(p.rest, `"`) {
		return "", errors.New("a string in quotation marks is expected")
	}
	quoted, err := strconv.QuotedPrefix(p.rest)
	if err != nil {
		return "", errors.New("the string does not end, or an escape in it is unknown")
	}
	p.rest = p.rest[len(quoted):]
	return strconv.Unquote(quoted)
}
