// Package envfile writes and reads files of environment variables, NAME=value in
// each line, as a shell reads them.
package envfile

import (
	"fmt"
	"regexp"
	"strings"
)

// Quote quotes a value for a shell where it has to be.
func Quote(value string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%"
	if value != "" && strings.Trim(value, plain) == "" {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// Format returns an environment as lines NAME=value that a shell can read. Other
// tools can read them, too, if no value contains a space.
func Format(environ []string) string {
	var b strings.Builder
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		b.WriteString(name + "=" + Quote(value) + "\n")
	}
	return b.String()
}

var line = regexp.MustCompile(`^(?:export +)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)

// Parse reads what [Format] writes, and what people write like it: empty lines,
// comments on lines of their own, export, and double quotes around a value that no
// shell would look into. Whatever else a shell could make of a line is an error.
func Parse(text string) (map[string]string, error) {
	values := map[string]string{}
	number := 0
	for raw := range strings.Lines(text) {
		number++
		l := strings.TrimSpace(raw)
		if l == "" || l[0] == '#' {
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			return nil, fmt.Errorf("line %d is not NAME=value", number)
		}
		if _, twice := values[m[1]]; twice {
			return nil, fmt.Errorf("line %d: %s is set twice", number, m[1])
		}
		value, ok := unquote(m[2])
		if !ok {
			return nil, fmt.Errorf("line %d: the value of %s has to stand in single quotes", number, m[1])
		}
		values[m[1]] = value
	}
	return values, nil
}

// unquote returns the text of a value that is plain or in one of the quoted forms.
func unquote(text string) (string, bool) {
	const special = "'\"\\$`"
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		return text[1 : n-1], !strings.ContainsAny(text[1:n-1], special)
	}
	if !strings.HasPrefix(text, "'") {
		return text, !strings.ContainsAny(text, special+" \t#;&|<>()*?[~")
	}
	var b strings.Builder
	for {
		quoted, rest, ok := strings.Cut(text[1:], "'")
		if !ok {
			return "", false
		}
		b.WriteString(quoted)
		if rest == "" {
			return b.String(), true
		}
		if text, ok = strings.CutPrefix(rest, `\'`); !ok || !strings.HasPrefix(text, "'") {
			return "", false
		}
		b.WriteByte('\'')
	}
}
