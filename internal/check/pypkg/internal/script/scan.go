package script

import "strings"

type tokenKind int

const (
	end tokenKind = iota // of a statement, or of the script
	name
	text
	number
	operator
)

type token struct {
	kind tokenKind
	// text is a name, an operator, or what a string literal stands for.
	text string
	// computed reports a literal whose text depends on more than itself.
	computed bool
	// column is how far the first token of a line is indented.
	column int
}

// maxTokens bounds a script. One of a thousand lines has some 10,000.
const maxTokens = 60_000

type scanner struct {
	source string
	at     int
	depth  int // open brackets
	column int
	fresh  bool // nothing of the line has been read
	tokens []token
}

// scan splits a script into tokens, and reports whether it could.
func scan(source string) ([]token, bool) {
	s := scanner{source: strings.TrimPrefix(source, "\ufeff"), fresh: true}
	for s.at < len(s.source) {
		if !s.next() || len(s.tokens) > maxTokens {
			return nil, false
		}
	}
	s.add(token{kind: end})
	return s.tokens, s.depth == 0
}

func (s *scanner) add(t token) {
	t.column = -1
	if s.fresh {
		t.column, s.fresh = s.column, false
	}
	s.tokens = append(s.tokens, t)
}

func (s *scanner) rest() string { return s.source[s.at:] }

// next reads a token, or what stands between tokens.
func (s *scanner) next() bool {
	switch c := s.source[s.at]; {
	case c == '\n':
		if s.at++; s.depth == 0 {
			s.add(token{kind: end})
			s.fresh, s.column = true, 0
		}
	case c == ' ' || c == '\t' || c == '\r' || c == '\f':
		if s.at++; s.fresh {
			s.column++
		}
	case c == '#':
		if i := strings.IndexByte(s.rest(), '\n'); i >= 0 {
			s.at += i
		} else {
			s.at = len(s.source)
		}
	case c == '\\':
		s.at++
		s.at += len(s.rest()) - len(strings.TrimLeft(s.rest(), "\r"))
		if !strings.HasPrefix(s.rest(), "\n") {
			return false
		}
		s.at++
	case c == '\'' || c == '"':
		return s.literal("")
	case isLetter(c):
		i := s.at
		for i < len(s.source) && (isLetter(s.source[i]) || isDigit(s.source[i])) {
			i++
		}
		word := s.source[s.at:i]
		s.at = i
		if len(word) <= 2 && i < len(s.source) && (s.source[i] == '\'' || s.source[i] == '"') &&
			strings.Trim(strings.ToLower(word), "rbuf") == "" {
			return s.literal(strings.ToLower(word))
		}
		s.add(token{kind: name, text: word})
	case isDigit(c):
		i := s.at
		for i < len(s.source) && (isLetter(s.source[i]) || isDigit(s.source[i]) || s.source[i] == '.') {
			i++
		}
		s.add(token{kind: number, text: s.source[s.at:i]})
		s.at = i
	default:
		s.operator(c)
	}
	return s.depth >= 0
}

func (s *scanner) operator(c byte) {
	width := 1
	for _, two := range []string{"==", "!=", "<=", ">=", "+=", "-=", ":=", "**", "->"} {
		if strings.HasPrefix(s.rest(), two) {
			width = 2
		}
	}
	switch {
	case c == ';':
		s.at++
		s.add(token{kind: end})
		return
	case strings.IndexByte("([{", c) >= 0:
		s.depth++
	case strings.IndexByte(")]}", c) >= 0:
		s.depth--
	}
	s.add(token{kind: operator, text: s.source[s.at : s.at+width]})
	s.at += width
}

// literal reads a string literal that begins here, behind its prefix.
func (s *scanner) literal(prefix string) bool {
	quote := s.rest()[:1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.rest(), long) {
		quote = long
	}
	s.at += len(quote)
	raw, computed := strings.Contains(prefix, "r"), strings.Contains(prefix, "f")
	var value strings.Builder
	for !strings.HasPrefix(s.rest(), quote) {
		if s.at >= len(s.source) || s.source[s.at] == '\n' && len(quote) == 1 {
			return false
		}
		c := s.source[s.at]
		s.at++
		if c != '\\' || s.at >= len(s.source) {
			value.WriteByte(c)
			continue
		}
		escaped := s.source[s.at]
		s.at++
		switch {
		case raw:
			value.WriteByte(c)
			value.WriteByte(escaped)
		case escaped == '\\' || escaped == '\'' || escaped == '"':
			value.WriteByte(escaped)
		case escaped == 'n':
			value.WriteByte('\n')
		case escaped == '\n':
		default: // of no use in a name, and rare
			computed = true
		}
	}
	s.at += len(quote)
	s.add(token{kind: text, text: value.String(), computed: computed})
	return true
}

func isLetter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
