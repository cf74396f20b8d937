package gcloud

import (
	"errors"
	"fmt"
	"strings"
)

// Split splits a command line as a POSIX shell does: quotes, backslashes, and lines that a backslash continues. What a
// shell would look up or run (variables, globs, pipes) is an error: only the user's own shell knows what it means.
func Split(line string) ([]string, error) {
	s := splitter{rest: []rune(strings.ReplaceAll(line, "\r\n", "\n"))}
	for {
		more, err := s.word()
		if err != nil {
			return nil, err
		}
		if !more {
			return s.words, nil
		}
	}
}

type splitter struct {
	rest  []rune
	words []string
	ended bool // the command's line has ended
}

// word reads the next word, and reports whether there may be another.
func (s *splitter) word() (bool, error) {
	var b strings.Builder
	begun := false
	for len(s.rest) > 0 {
		c := s.rest[0]
		s.rest = s.rest[1:]
		if s.ended && c != ' ' && c != '\t' && c != '\n' {
			return false, errors.New("there is more than one command: a line that goes on ends with a backslash")
		}
		switch {
		case c == ' ', c == '\t', c == '\n':
			s.ended = s.ended || c == '\n' && (begun || len(s.words) > 0)
			if begun {
				s.words = append(s.words, b.String())
				return true, nil
			}
		case c == '#' && !begun:
			for len(s.rest) > 0 && s.rest[0] != '\n' {
				s.rest = s.rest[1:]
			}
		case c == '\\':
			if len(s.rest) == 0 {
				continue // the text ends where the next line would begin
			}
			next := s.rest[0]
			s.rest = s.rest[1:]
			if next == '\n' {
				continue
			}
			if next == ' ' && strings.TrimLeft(until(s.rest, '\n'), " \t") == "" {
				return false, errors.New("a space follows the backslash at the end of a line: remove it")
			}
			b.WriteRune(next)
			begun = true
		case c == '\'':
			text, ok := s.quoted('\'')
			if !ok {
				return false, errors.New("a ' is not closed")
			}
			b.WriteString(text)
			begun = true
		case c == '"':
			if err := s.double(&b); err != nil {
				return false, err
			}
			begun = true
		case c == '$' && s.expands(), c == '`':
			return false, variable(c, s.rest)
		case strings.ContainsRune("*?;|&<>(){", c), c == '~' && !begun, c == '[' && strings.ContainsRune(until(s.rest, ' '), ']'):
			return false, fmt.Errorf("%c has a meaning for a shell: quote it if it is meant as it stands", c)
		default:
			b.WriteRune(c)
			begun = true
		}
	}
	if begun {
		s.words = append(s.words, b.String())
	}
	return false, nil
}

// until returns the text up to a character, or all of it.
func until(rest []rune, end rune) string {
	before, _, _ := strings.Cut(string(rest), string(end))
	return before
}

// quoted returns the text up to a quote, which it skips.
func (s *splitter) quoted(quote rune) (string, bool) {
	for i, c := range s.rest {
		if c == quote {
			text := string(s.rest[:i])
			s.rest = s.rest[i+1:]
			return text, true
		}
	}
	return "", false
}

// double reads the rest of a text in double quotes.
func (s *splitter) double(b *strings.Builder) error {
	for len(s.rest) > 0 {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case c == '"':
			return nil
		case c == '\\' && len(s.rest) > 0 && strings.ContainsRune("\"\\$`\n", s.rest[0]):
			if s.rest[0] != '\n' {
				b.WriteRune(s.rest[0])
			}
			s.rest = s.rest[1:]
		case c == '$' && s.expands(), c == '`':
			return variable(c, s.rest)
		default:
			b.WriteRune(c)
		}
	}
	return errors.New(`a " is not closed`)
}

// expands reports whether a $ in front of the rest would be replaced.
func (s *splitter) expands() bool {
	if len(s.rest) == 0 {
		return false
	}
	c := s.rest[0]
	return c == '_' || c == '{' || c == '(' || c == '\'' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
		strings.ContainsRune("0123456789@*#?!$-", c)
}

// variable is the error of what only a shell can fill in.
func variable(c rune, rest []rune) error {
	end := 0
	for end < len(rest) && (rest[end] == '_' || rest[end] == '{' || '0' <= rest[end] && rest[end] <= '9' ||
		'a' <= rest[end] && rest[end] <= 'z' || 'A' <= rest[end] && rest[end] <= 'Z') {
		end++
	}
	return fmt.Errorf("%c%s is not filled in: put the line into double quotes, so that your shell does it before, "+
		"or write the value out", c, string(rest[:end]))
}
