package notice

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// What the compiler and the machine of expressions say where an operator errs most. Their errors have no types.
var (
	mismatch = once(`^invalid operation: (\S+) \(mismatched types (\S+) and (\S+)\)$`)
	noEntry  = once(`^cannot (?:get|fetch) (\w+) from <nil>$`)
	span     = once(`^[0-9][0-9.a-zµ]*`)
	lists    = once(`\b(violations|missing)\b`)
)

func once(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// advised returns the message of a faulty expression in words that say what to write. at is its place in the source,
// in characters.
func advised(message, source string, at int) string {
	switch {
	case message == "unexpected token EOF":
		return "the expression ends where more is expected"
	case message == `unexpected token Operator("=")`:
		return "= does not compare; write =="
	case strings.HasPrefix(message, "bad number syntax: "):
		if s := spanAt(source, at); s != "" {
			return s + ` is not a number; write duration("` + s + `")`
		}
	}
	if m := mismatch().FindStringSubmatch(message); m != nil {
		left, right := wordOf(m[2]), wordOf(m[3])
		said := m[1] + " can't be used with " + left + " and " + right
		switch {
		case (left == "a duration") != (right == "a duration"):
			return said + `; a duration is written as duration("1h")`
		case (left == "a time") != (right == "a time"):
			return said + `; of a time write the year or the hour, for example, as in dropped.Hour()`
		case left == "a text" && right == "a number" || left == "a number" && right == "a text":
			return said + `; a text stands in quotes, a number does not`
		}
		return said
	}
	if field, ok := strings.CutPrefix(message, "type notice.Violation has no field "); ok {
		return "a violation has no " + field + "; it has rule, warning, field, file, line, message and remedy"
	}
	name, ok := strings.CutPrefix(message, "unknown name ")
	if !ok {
		return message
	}
	message = name + " is not a variable or function"
	if known := closest(name); known != "" && !job.State(name).Terminal() {
		return message + "; did you mean " + known + "?"
	}
	if rest := string([]rune(source)[min(at+runes(name), runes(source)):]); strings.HasPrefix(rest, "(") {
		return message
	}
	return message + `; a text stands in quotes: "` + text.Shorten(name, maxShown) + `"`
}

// spanAt returns the duration, such as 1h30m, in which a place of a source lies, or "".
func spanAt(source string, at int) string {
	r := []rune(source)
	for at = min(at, len(r)-1); at > 0 && strings.ContainsRune("0123456789.hmsnuµ", r[at-1]); at-- {
	}
	if at < 0 {
		return ""
	}
	s := span().FindString(string(r[at:]))
	if _, err := time.ParseDuration(s); err != nil {
		return ""
	}
	return s
}

// wordOf returns what messages call the values of a type of Go.
func wordOf(name string) string {
	switch name {
	case "time.Duration":
		return "a duration"
	case "time.Time":
		return "a time"
	case "int", "int64", "float64":
		return "a number"
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	case "nil":
		return "nothing"
	}
	switch {
	case strings.HasPrefix(name, "[]"):
		return "a list"
	case strings.HasPrefix(name, "map["):
		return "a mapping"
	}
	return name
}

// explained returns the message of an expression that failed on an event in words that name the list that is empty.
func (s *Scope) explained(message, source string) string {
	m := noEntry().FindStringSubmatch(message)
	if m == nil {
		return message
	}
	names := lists().FindAllString(source, -1)
	slices.Sort(names)
	switch names = slices.Compact(names); {
	case len(names) != 1:
		return "there is no entry to take " + m[1] + " from: a list is empty, or has no such entry"
	case names[0] == "violations" && len(s.vars.Violations) == 0, names[0] == "missing" && len(s.vars.Missing) == 0:
		return names[0] + " is empty, so there is no " + m[1]
	}
	return names[0] + " has no such entry, so there is no " + m[1]
}
