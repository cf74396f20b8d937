package training

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// predicate tells whether a job is among those that were asked for.
type predicate[T any] func(T) bool

// parseFilter reads the filter of jobs.list:
//
//	filter = [ or ]
//	or     = and { "OR" and }
//	and    = not { "AND" not }
//	not    = "NOT" not | "(" or ")" | field op value
//	field  = "jobId" | "state" | "labels." key
//	op     = ":" | "=" | "!="
//
// ":" takes * for any text, "=" and "!=" compare literally, labels.key:* asks
// whether the label is there. AND and OR side by side need parentheses: Google's
// own filters differ on which binds closer.
func parseFilter(text string) (predicate[*resource], error) { return parseTerms(text, filterTerm) }

// parseTerms reads a filter whose comparisons term reads.
func parseTerms[T any](text string, term func(field, op, value string, quoted bool) (predicate[T], error)) (predicate[T], error) {
	p := filterParser[T]{filterLexer{rest: text}, term}
	p.next()
	if p.atEnd() {
		return func(T) bool { return true }, p.err
	}
	match := p.or()
	if p.err == nil && !p.atEnd() {
		p.fail("AND or OR expected before %q", p.token)
	}
	return match, p.err
}

type filterParser[T any] struct {
	filterLexer
	read func(field, op, value string, quoted bool) (predicate[T], error)
}

// filterLexer reads the words of Google's filter languages.
type filterLexer struct {
	rest   string
	token  string // "" and not quoted at the end
	quoted bool
	err    error // the first one
}

func (p *filterLexer) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.rest, p.token, p.quoted = "", "", false
}

func (p *filterLexer) atEnd() bool { return p.token == "" && !p.quoted }

// next reads a parenthesis, an operator, a quoted text or a word.
func (p *filterLexer) next() {
	p.token, p.quoted = "", false
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		return
	}
	n := 1
	switch p.rest[0] {
	case '(', ')', ':':
	case '=', '!', '<', '>', '~':
		if len(p.rest) > 1 && slices.Contains(twoSigns, p.rest[:2]) {
			n = 2
		} else if p.rest[0] == '!' || p.rest[0] == '~' {
			p.fail("%q is no operator", p.rest[:1])
			return
		}
	case '"':
		p.quote()
		return
	default:
		if n = strings.IndexAny(p.rest, " \t\r\n\""+signs); n < 0 {
			n = len(p.rest)
		}
	}
	p.token, p.rest = p.rest[:n], p.rest[n:]
}

// quote reads a text in double quotes, with \" and \\ in it; any other backslash
// stands for itself, as regular expressions have them.
func (p *filterLexer) quote() {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.token, p.quoted, p.rest = b.String(), true, p.rest[i+1:]
			return
		case c == '\\' && i+1 < len(p.rest) && strings.IndexByte(`"\`, p.rest[i+1]) >= 0:
			i++
			b.WriteByte(p.rest[i])
		default:
			b.WriteByte(c)
		}
	}
	p.fail("a quoted text has no end")
}

// signs end an unquoted word; twoSigns are the operators of two of them.
const signs = "():=!<>~"

var twoSigns = []string{"!=", "<=", ">=", "=~", "!~"}

func (p *filterLexer) word(w string) bool { return !p.quoted && p.token == w }

func (p *filterParser[T]) or() predicate[T] {
	match, joined := p.and()
	if p.word("OR") && joined {
		p.fail("AND and OR side by side need parentheses")
	}
	for p.word("OR") {
		p.next()
		left := match
		right, joined := p.and()
		if joined {
			p.fail("AND and OR side by side need parentheses")
		}
		match = func(j T) bool { return left(j) || right(j) }
	}
	return match
}

// and also tells whether there was an AND.
func (p *filterParser[T]) and() (match predicate[T], joined bool) {
	match = p.not()
	for p.word("AND") {
		joined = true
		p.next()
		left, right := match, p.not()
		match = func(j T) bool { return left(j) && right(j) }
	}
	return match, joined
}

func (p *filterParser[T]) not() predicate[T] {
	switch {
	case p.word("NOT"):
		p.next()
		inner := p.not()
		return func(j T) bool { return !inner(j) }
	case p.word("("):
		p.next()
		inner := p.or()
		if !p.word(")") {
			p.fail(") expected")
		}
		p.next()
		return inner
	}
	return p.term()
}

func (p *filterParser[T]) term() predicate[T] {
	field := p.token
	if field == "" || p.quoted || strings.ContainsAny(field, signs) || field == "AND" || field == "OR" {
		p.fail("a field expected, found %q", field)
		return nil
	}
	p.next()
	op := p.token
	if p.quoted || !slices.Contains([]string{":", "=", "!=", "<", "<=", ">", ">="}, op) {
		p.fail("a comparison expected after %q", field)
		return nil
	}
	p.next()
	value := p.token
	if !p.quoted && (value == "" || strings.ContainsAny(value, signs)) {
		p.fail("a value expected after %s%s", field, op)
		return nil
	}
	quoted := p.quoted
	p.next()
	match, err := p.read(field, op, value, quoted)
	if err != nil {
		p.fail("%w", err)
	}
	return match
}

// filterTerm reads a comparison of jobs.list.
func filterTerm(field, op, value string, quoted bool) (predicate[*resource], error) {
	if op != ":" && op != "=" && op != "!=" {
		return nil, fmt.Errorf(":, = or != expected after %q", field)
	}
	get, err := filterField(field)
	if err == nil && field == "state" && !strings.Contains(value, "*") && !slices.Contains(states, state(value)) {
		err = fmt.Errorf("%q is no state", value)
	}
	if err != nil {
		return nil, err
	}
	test := func(v string) bool { return v == value }
	switch {
	case op == "!=":
		return func(j *resource) bool { v, _ := get(j); return v != value }, nil
	case op == ":" && !quoted:
		test = func(v string) bool { return matchStars(value, v) }
	}
	return func(j *resource) bool { v, ok := get(j); return ok && test(v) }, nil
}

// filterField gives a job's value of a field, and whether it has one.
func filterField(name string) (func(*resource) (string, bool), error) {
	if key, ok := strings.CutPrefix(name, "labels."); ok && key != "" {
		return func(j *resource) (string, bool) { v, ok := j.Labels[key]; return v, ok }, nil
	}
	switch name {
	case "jobId", "job_id":
		return func(j *resource) (string, bool) { return j.JobID, true }, nil
	case "state":
		return func(j *resource) (string, bool) { return string(j.State), true }, nil
	case "labels":
		return nil, errors.New("labels need a key: labels.key")
	}
	return nil, fmt.Errorf("jobs can't be filtered by %q, only by jobId, state and labels.key", name)
}

// matchStars compares text with a pattern in which * stands for any text.
func matchStars(pattern, text string) bool {
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
