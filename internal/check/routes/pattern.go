package routes

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled at its first use. Those of this package take milliseconds and
// megabytes, and every function would compile them at its start, with routes or without.
type pattern struct {
	expression string
	compiled   func() *regexp.Regexp
}

func lazily(expression string) pattern {
	return pattern{expression, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })}
}

func (p pattern) String() string               { return p.expression }
func (p pattern) MatchString(text string) bool { return p.compiled().MatchString(text) }

// find returns where a match at the text's beginning ends, or 0.
func (p pattern) find(text string) int {
	if at := p.compiled().FindStringIndex(text); at != nil {
		return at[1]
	}
	return 0
}
