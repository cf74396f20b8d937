package training

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// logView is a log entry as a filter sees it. Without a line only what all
// entries of a job have in common is known.
type logView struct {
	project, job string
	line         *Line
}

// verdict is what a filter says of a logView; a view without a line may match.
type verdict int8

const (
	no verdict = iota
	maybe
	yes
)

// logClause is a part of a filter. All entries that it matches are of a time
// from from to to, where those are set.
type logClause struct {
	test     func(logView) verdict
	from, to time.Time
}

func both(a, b logClause) logClause {
	c := logClause{test: func(v logView) verdict { return min(a.test(v), b.test(v)) }, from: a.from, to: a.to}
	if b.from.After(c.from) {
		c.from = b.from
	}
	if !b.to.IsZero() && (c.to.IsZero() || b.to.Before(c.to)) {
		c.to = b.to
	}
	return c
}

func either(a, b logClause) logClause {
	c := logClause{test: func(v logView) verdict { return max(a.test(v), b.test(v)) }}
	if !a.from.IsZero() && !b.from.IsZero() {
		c.from = a.from
		if b.from.Before(c.from) {
			c.from = b.from
		}
	}
	if !a.to.IsZero() && !b.to.IsZero() {
		c.to = a.to
		if b.to.After(c.to) {
			c.to = b.to
		}
	}
	return c
}

func not(a logClause) logClause {
	return logClause{test: func(v logView) verdict { return yes - a.test(v) }}
}

// parseLogFilter reads a filter in the part of Cloud Logging's query language
// that makes sense for jobs' logs:
//
//	filter = [ and ]
//	and    = or { [ "AND" ] or }
//	or     = not { "OR" not }
//	not    = ( "NOT" | "-" ) not | "(" and ")" | field op value
//	value  = text | "(" texts joined by AND, OR and NOT ")"
//	op     = "=" | "!=" | ":" | "<" | "<=" | ">" | ">=" | "=~" | "!~"
//
// As there, OR binds closer than AND, text is compared without regard to case,
// and a comparison with a field that an entry lacks is false. Other than there,
// the ids of jobs and entries are compared as they are: two jobs may differ in
// case only.
func parseLogFilter(text string) (logClause, error) {
	p := logParser{filterLexer{rest: text}}
	p.next()
	if p.atEnd() {
		return logClause{test: func(logView) verdict { return yes }}, p.err
	}
	c := p.and(p.comparison)
	if p.err == nil && !p.atEnd() {
		p.fail("%q was not expected", p.token)
	}
	return c, p.err
}

type logParser struct{ filterLexer }

func (p *logParser) bad(format string, args ...any) logClause {
	p.fail(format, args...)
	return logClause{test: func(logView) verdict { return no }}
}

// and and those below read an expression whose smallest parts leaf reads.
func (p *logParser) and(leaf func() logClause) logClause {
	c := p.or(leaf)
	for p.err == nil && !p.atEnd() && !p.word(")") {
		if p.word("AND") {
			p.next()
		}
		c = both(c, p.or(leaf))
	}
	return c
}

func (p *logParser) or(leaf func() logClause) logClause {
	c := p.not(leaf)
	for p.err == nil && p.word("OR") {
		p.next()
		c = either(c, p.not(leaf))
	}
	return c
}

func (p *logParser) not(leaf func() logClause) logClause {
	switch {
	case p.word("NOT"):
		p.next()
		return not(p.not(leaf))
	case !p.quoted && strings.HasPrefix(p.token, "-"):
		if p.token = p.token[1:]; p.token == "" {
			p.next()
		}
		return not(p.not(leaf))
	case p.word("("):
		p.next()
		c := p.and(leaf)
		if !p.word(")") {
			return p.bad(") expected")
		}
		p.next()
		return c
	}
	return leaf()
}

// isWord tells whether the token can be a name or a value.
func (p *logParser) isWord() bool {
	return p.quoted || p.token != "" && !strings.ContainsAny(p.token, signs) && !slices.Contains([]string{"AND", "OR", "NOT"}, p.token)
}

func (p *logParser) comparison() logClause {
	if !p.isWord() {
		return p.bad("a field was expected, not %q", p.token)
	}
	name, bare := p.token, p.quoted
	p.next()
	if !bare && strings.HasSuffix(name, ".") && p.quoted { // labels."a.b/c"
		name += p.token
		p.next()
	}
	op := p.token
	if bare || p.quoted || !slices.Contains([]string{"=", "!=", ":", "<", "<=", ">", ">=", "=~", "!~"}, op) {
		return p.bad("a comparison was expected at %q: text without a field and functions are not supported", name)
	}
	field, err := logFieldOf(name)
	if err != nil {
		return p.bad("%w", err)
	}
	p.next()
	value := func() logClause {
		if !p.isWord() {
			return p.bad("a value was expected after %s %s, not %q", name, op, p.token)
		}
		text, quoted := p.token, p.quoted
		p.next()
		c, err := field.compare(op, text, quoted)
		if err != nil {
			return p.bad("%s %s %s: %w", name, op, text, err)
		}
		return c
	}
	if p.word("(") {
		p.next()
		c := p.and(value)
		if !p.word(")") {
			return p.bad(") expected")
		}
		p.next()
		return c
	}
	if !p.quoted && strings.HasPrefix(p.token, "-") && len(p.token) == 1 {
		return p.bad("a value was expected after %s %s", name, op)
	}
	return value()
}

// logField is a field of log entries.
type logField struct {
	kind  string // "text", "exact", "time" or "severity"
	fixed bool   // one value for all entries of a job
	get   func(logView) (value string, ok bool)
}

func logFieldOf(name string) (logField, error) {
	constant := func(value string) func(logView) (string, bool) {
		return func(logView) (string, bool) { return value, true }
	}
	missing := func(logView) (string, bool) { return "", false }
	switch name {
	case "resource.type":
		return logField{"text", true, constant(logResource)}, nil
	case "resource.labels.job_id", `labels.ml.googleapis.com/job_id`:
		return logField{"exact", true, func(v logView) (string, bool) { return v.job, true }}, nil
	case "resource.labels.project_id":
		return logField{"exact", true, func(v logView) (string, bool) { return v.project, true }}, nil
	case "resource.labels.task_name", `labels.ml.googleapis.com/task_name`:
		return logField{"text", false, func(v logView) (string, bool) { return v.line.Task, true }}, nil
	case `labels.ml.googleapis.com/trial_id`:
		return logField{"exact", false, func(v logView) (string, bool) { return v.line.Trial, v.line.Trial != "" }}, nil
	case "logName", "log_name":
		return logField{"text", false, func(v logView) (string, bool) { return logName(v.project, v.line.Task), true }}, nil
	case "insertId", "insert_id":
		return logField{"exact", false, func(v logView) (string, bool) { return insertID(v.line), true }}, nil
	case "severity":
		return logField{"severity", false, func(v logView) (string, bool) { return severityOf(v.line), true }}, nil
	case "timestamp", "receiveTimestamp", "receive_timestamp":
		return logField{"time", false, nil}, nil
	case "jsonPayload.message":
		return logField{"text", false, func(v logView) (string, bool) { return v.line.Text, true }}, nil
	case "jsonPayload.levelname":
		return logField{"text", false, func(v logView) (string, bool) { return severityOf(v.line), true }}, nil
	case "textPayload":
		return logField{"text", true, missing}, nil
	}
	for _, prefix := range []string{"resource.labels.", "labels.", "jsonPayload."} {
		if key, ok := strings.CutPrefix(name, prefix); ok && key != "" {
			return logField{"text", true, missing}, nil
		}
	}
	return logField{}, fmt.Errorf("entries can't be filtered by %q", name)
}

// compare makes a test of a field.
func (f logField) compare(op, text string, quoted bool) (logClause, error) {
	if op == ":" && text == "*" && !quoted {
		if f.kind == "time" || f.kind == "severity" {
			return logClause{test: func(logView) verdict { return yes }}, nil
		}
		return f.clause(func(string) bool { return true }), nil
	}
	if op == "=~" || op == "!~" {
		if f.kind == "time" || f.kind == "severity" {
			return logClause{}, errors.New("only text is compared with regular expressions")
		}
		re, err := regexp.Compile(text)
		if err != nil {
			return logClause{}, err
		}
		return f.clause(func(value string) bool { return re.MatchString(value) == (op == "=~") }), nil
	}
	switch f.kind {
	case "time":
		return timeClause(op, text)
	case "severity":
		level, err := levelOf(text)
		if err != nil {
			return logClause{}, err
		}
		return f.clause(func(value string) bool {
			got, _ := levelOf(value)
			return holds(op, got-level)
		}), nil
	}
	equal, contains := strings.EqualFold, func(value, part string) bool {
		return strings.Contains(strings.ToLower(value), strings.ToLower(part))
	}
	if f.kind == "exact" {
		equal, contains = func(a, b string) bool { return a == b }, strings.Contains
	}
	return f.clause(func(value string) bool {
		switch op {
		case ":":
			return contains(value, text)
		case "=":
			return equal(value, text)
		case "!=":
			return !equal(value, text)
		}
		return holds(op, strings.Compare(value, text))
	}), nil
}

func (f logField) clause(test func(string) bool) logClause {
	return logClause{test: func(v logView) verdict {
		if v.line == nil && !f.fixed {
			return maybe
		}
		if value, ok := f.get(v); ok && test(value) {
			return yes
		}
		return no
	}}
}

// holds tells whether an order of two values is the operator's.
func holds(op string, order int) bool {
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

func timeClause(op, text string) (logClause, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		if t, err = time.Parse(time.DateOnly, text); err != nil {
			return logClause{}, errors.New("it is no time as of RFC 3339, e.g. 2026-01-31T12:00:00Z")
		}
	}
	c := logClause{test: func(v logView) verdict {
		switch {
		case v.line == nil:
			return maybe
		case holds(op, v.line.Time.Compare(t)):
			return yes
		}
		return no
	}}
	switch op {
	case "=":
		c.from, c.to = t, t
	case ">", ">=":
		c.from = t
	case "<", "<=":
		c.to = t
	case ":":
		return logClause{}, errors.New("a time contains nothing")
	}
	return c, nil
}

// levels are the API's LogSeverity.
var levels = map[string]int{
	"DEFAULT": 0, "DEBUG": 100, "INFO": 200, "NOTICE": 300, "WARNING": 400, "ERROR": 500, "CRITICAL": 600, "ALERT": 700, "EMERGENCY": 800,
}

func levelOf(text string) (int, error) {
	if level, ok := levels[strings.ToUpper(text)]; ok {
		return level, nil
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= 800 {
		return n, nil
	}
	return 0, errors.New("it is no severity")
}
