package logs

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

// view is a log entry as a filter sees it. Without a line only what all
// entries of a job have in common is known.
type view struct {
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

// clause is a part of a filter. All entries that it matches are of a time
// from from to to, where those are set.
type clause struct {
	test     func(view) verdict
	from, to time.Time
}

func both(a, b clause) clause {
	c := clause{test: func(v view) verdict { return min(a.test(v), b.test(v)) }, from: a.from, to: a.to}
	if b.from.After(c.from) {
		c.from = b.from
	}
	if !b.to.IsZero() && (c.to.IsZero() || b.to.Before(c.to)) {
		c.to = b.to
	}
	return c
}

func either(a, b clause) clause {
	c := clause{test: func(v view) verdict { return max(a.test(v), b.test(v)) }}
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

func not(a clause) clause {
	return clause{test: func(v view) verdict { return yes - a.test(v) }}
}

// parseFilter reads a filter in the part of Cloud Logging's query language
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
func parseFilter(text string) (clause, error) {
	p := parser{rest.Lexer{Rest: text}}
	p.Next()
	if p.AtEnd() {
		return clause{test: func(view) verdict { return yes }}, p.Err
	}
	c := p.and(p.comparison)
	if p.Err == nil && !p.AtEnd() {
		p.Fail("%q was not expected", p.Token)
	}
	return c, p.Err
}

type parser struct{ rest.Lexer }

func (p *parser) bad(format string, args ...any) clause {
	p.Fail(format, args...)
	return clause{test: func(view) verdict { return no }}
}

// and and those below read an expression whose smallest parts leaf reads.
func (p *parser) and(leaf func() clause) clause {
	c := p.or(leaf)
	for p.Err == nil && !p.AtEnd() && !p.Word(")") {
		if p.Word("AND") {
			p.Next()
		}
		c = both(c, p.or(leaf))
	}
	return c
}

func (p *parser) or(leaf func() clause) clause {
	c := p.not(leaf)
	for p.Err == nil && p.Word("OR") {
		p.Next()
		c = either(c, p.not(leaf))
	}
	return c
}

func (p *parser) not(leaf func() clause) clause {
	switch {
	case p.Word("NOT"):
		p.Next()
		return not(p.not(leaf))
	case !p.Quoted && strings.HasPrefix(p.Token, "-"):
		if p.Token = p.Token[1:]; p.Token == "" {
			p.Next()
		}
		return not(p.not(leaf))
	case p.Word("("):
		p.Next()
		c := p.and(leaf)
		if !p.Word(")") {
			return p.bad(") expected")
		}
		p.Next()
		return c
	}
	return leaf()
}

// isWord reports whether the token can be a name or a value.
func (p *parser) isWord() bool {
	return p.Quoted || p.Token != "" && !strings.ContainsAny(p.Token, rest.Signs) &&
		!slices.Contains([]string{"AND", "OR", "NOT"}, p.Token)
}

func (p *parser) comparison() clause {
	if !p.isWord() {
		return p.bad("a field was expected, not %q", p.Token)
	}
	name, bare := p.Token, p.Quoted
	p.Next()
	if !bare && strings.HasSuffix(name, ".") && p.Quoted { // labels."a.b/c"
		name += p.Token
		p.Next()
	}
	op := p.Token
	if bare || p.Quoted || !slices.Contains([]string{"=", "!=", ":", "<", "<=", ">", ">=", "=~", "!~"}, op) {
		return p.bad("a comparison was expected at %q: text without a field and functions are not supported", name)
	}
	field, err := fieldOf(name)
	if err != nil {
		return p.bad("%w", err)
	}
	p.Next()
	value := func() clause {
		if !p.isWord() {
			return p.bad("a value was expected after %s %s, not %q", name, op, p.Token)
		}
		text, quoted := p.Token, p.Quoted
		p.Next()
		c, err := field.compare(op, text, quoted)
		if err != nil {
			return p.bad("%s %s %s: %w", name, op, text, err)
		}
		return c
	}
	if p.Word("(") {
		p.Next()
		c := p.and(value)
		if !p.Word(")") {
			return p.bad(") expected")
		}
		p.Next()
		return c
	}
	if !p.Quoted && strings.HasPrefix(p.Token, "-") && len(p.Token) == 1 {
		return p.bad("a value was expected after %s %s", name, op)
	}
	return value()
}

// field is a field of log entries.
type field struct {
	kind  string // "text", "exact", "time" or "severity"
	fixed bool   // one value for all entries of a job
	get   func(view) (value string, ok bool)
}

func fieldOf(name string) (field, error) {
	constant := func(value string) func(view) (string, bool) {
		return func(view) (string, bool) { return value, true }
	}
	missing := func(view) (string, bool) { return "", false }
	switch name {
	case "resource.type":
		return field{"text", true, constant(logResource)}, nil
	case "resource.labels.job_id", `labels.ml.googleapis.com/job_id`:
		return field{"exact", true, func(v view) (string, bool) { return v.job, true }}, nil
	case "resource.labels.project_id":
		return field{"exact", true, func(v view) (string, bool) { return v.project, true }}, nil
	case "resource.labels.task_name", `labels.ml.googleapis.com/task_name`:
		return field{"text", false, func(v view) (string, bool) { return v.line.Task, true }}, nil
	case `labels.ml.googleapis.com/trial_id`:
		return field{"exact", false, func(v view) (string, bool) { return v.line.Trial, v.line.Trial != "" }}, nil
	case "logName", "log_name":
		return field{"text", false, func(v view) (string, bool) { return logName(v.project, v.line.Task), true }}, nil
	case "insertId", "insert_id":
		return field{"exact", false, func(v view) (string, bool) { return insertID(v.line), true }}, nil
	case "severity":
		return field{"severity", false, func(v view) (string, bool) { return severityOf(v.line), true }}, nil
	case "timestamp", "receiveTimestamp", "receive_timestamp":
		return field{"time", false, nil}, nil
	case "jsonPayload.message":
		return field{"text", false, func(v view) (string, bool) { return v.line.Text, true }}, nil
	case "jsonPayload.levelname":
		return field{"text", false, func(v view) (string, bool) { return severityOf(v.line), true }}, nil
	case "textPayload":
		return field{"text", true, missing}, nil
	}
	for _, prefix := range []string{"resource.labels.", "labels.", "jsonPayload."} {
		if key, ok := strings.CutPrefix(name, prefix); ok && key != "" {
			return field{"text", true, missing}, nil
		}
	}
	return field{}, fmt.Errorf("entries can't be filtered by %q", name)
}

// compare makes a test of a field.
func (f field) compare(op, text string, quoted bool) (clause, error) {
	if op == ":" && text == "*" && !quoted {
		if f.kind == "time" || f.kind == "severity" {
			return clause{test: func(view) verdict { return yes }}, nil
		}
		return f.matching(func(string) bool { return true }), nil
	}
	if op == "=~" || op == "!~" {
		if f.kind == "time" || f.kind == "severity" {
			return clause{}, errors.New("only text is compared with regular expressions")
		}
		re, err := regexp.Compile(text)
		if err != nil {
			return clause{}, err
		}
		return f.matching(func(value string) bool { return re.MatchString(value) == (op == "=~") }), nil
	}
	switch f.kind {
	case "time":
		return timeClause(op, text)
	case "severity":
		level, err := levelOf(text)
		if err != nil {
			return clause{}, err
		}
		return f.matching(func(value string) bool {
			got, _ := levelOf(value)
			return rest.Holds(op, got-level)
		}), nil
	}
	equal, contains := strings.EqualFold, func(value, part string) bool {
		return strings.Contains(strings.ToLower(value), strings.ToLower(part))
	}
	if f.kind == "exact" {
		equal, contains = func(a, b string) bool { return a == b }, strings.Contains
	}
	return f.matching(func(value string) bool {
		switch op {
		case ":":
			return contains(value, text)
		case "=":
			return equal(value, text)
		case "!=":
			return !equal(value, text)
		}
		return rest.Holds(op, strings.Compare(value, text))
	}), nil
}

func (f field) matching(test func(string) bool) clause {
	return clause{test: func(v view) verdict {
		if v.line == nil && !f.fixed {
			return maybe
		}
		if value, ok := f.get(v); ok && test(value) {
			return yes
		}
		return no
	}}
}

// timeForms are those of times in filters. Every query of Python's library has the second, whose offset lacks the
// colon of RFC 3339.
var timeForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700", time.DateOnly}

func timeClause(op, text string) (clause, error) {
	var t time.Time
	var err error
	for _, form := range timeForms {
		if t, err = time.Parse(form, text); err == nil {
			break
		}
	}
	if err != nil {
		return clause{}, errors.New("it is not a time as of RFC 3339, e.g. 2026-01-31T12:00:00Z")
	}
	c := clause{test: func(v view) verdict {
		switch {
		case v.line == nil:
			return maybe
		case rest.Holds(op, v.line.Time.Compare(t)):
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
		return clause{}, errors.New("a time contains nothing")
	}
	return c, nil
}

// levels are the API's LogSeverity.
var levels = map[string]int{
	"DEFAULT": 0, "DEBUG": 100, "INFO": 200, "NOTICE": 300, "WARNING": 400, "ERROR": 500, "CRITICAL": 600, "ALERT": 700,
	"EMERGENCY": 800,
}

func levelOf(text string) (int, error) {
	if level, ok := levels[strings.ToUpper(text)]; ok {
		return level, nil
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n <= 800 {
		return n, nil
	}
	return 0, errors.New("it is not a severity")
}
