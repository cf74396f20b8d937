package jobspec

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// A file that was made from a template may come with placeholders that nothing has
// replaced. What they stand for is not known, so that all else that could be said of
// the value would mislead.

const (
	templates = `\{\{.*?\}\}|\{%.*?%\}|<%.*?%>` // Jinja and Go, Jinja, ERB
	variables = `\$\{[^}]*\}|\$\([^)]*\)`       // of shells
	others    = `%[A-Z][A-Z_]{2,}%|@[A-Z][A-Z_]{2,}@|\bYOUR[_-][A-Z0-9_-]+`
	blanks    = `<[A-Za-z][\w .:-]*>|\[[A-Z][A-Z0-9_ -]+\]` // of manuals
)

var (
	// placeholders matches them where no field's value has such characters.
	placeholders = regexp.MustCompile(templates + "|" + variables + "|" + others + "|" + blanks + `|\$[A-Za-z_]\w*`)
	// literals matches them in what is passed to the trainer, which may have such
	// characters: those alone that nobody would mean.
	literals = regexp.MustCompile(templates + `|\$\{\w+\}|\$[A-Z_]{2}[A-Z0-9_]*|<[A-Z][A-Z0-9_-]+>|<your[\w .:-]*>|` + others)
	// beforeYAML matches those that can keep a file from being YAML.
	beforeYAML = regexp.MustCompile(templates + "|" + variables + "|" + others)
	blank      = regexp.MustCompile(`^[A-Z][A-Z0-9_ -]+$`)
)

// isBlank reports whether the entry of a list is a manual's blank: [REGION].
func isBlank(entry string) bool { return blank.MatchString(entry) }

// maxSought is how much of a value is searched for placeholders.
const maxSought = 4 << 10

// placeholder returns the first placeholder in a value, or "".
func placeholder(value string, pattern *regexp.Regexp) string {
	value = value[:min(len(value), maxSought)]
	if !strings.ContainsAny(value, "{$<%@[") && !strings.Contains(value, "YOUR") {
		return ""
	}
	return pattern.FindString(value)
}

// placeholderViolation is what is said of a value with a placeholder.
func placeholderViolation(found string) job.Violation {
	shown := printable(text.Shorten(found, maxShown))
	v := job.Violation{
		Rule:    rulePlaceholder,
		Message: fmt.Sprintf("the placeholder %s has not been replaced", shown),
		Remedy:  "write the value in its place",
	}
	switch found[0] {
	case '{', '%':
		v.Remedy += ", or render the template before the upload"
	case '$':
		v.Remedy += ", or replace the variables before the upload, e.g. with envsubst"
	}
	return v
}

// notRendered returns a violation if lines have a placeholder, not in quotes, up to
// the line of a fault: then it is the reason why the file can't be read.
func notRendered(lines []string, upTo int) *job.Violation {
	var first *job.Violation
	more := 0
	for i, line := range lines[:min(upTo, len(lines))] {
		line = withoutComment(line)
		for _, at := range beforeYAML.FindAllStringIndex(line[:min(len(line), maxSought)], -1) {
			if before := line[:at[0]]; strings.Count(before, `"`)%2 == 1 || strings.Count(before, "'")%2 == 1 {
				continue
			}
			if first != nil {
				more++
				continue
			}
			v := placeholderViolation(line[at[0]:at[1]])
			v.Position = job.Position{Line: i + 1, Column: 1 + utf8.RuneCountInString(line[:at[0]])}
			v.Found = show(strings.TrimSpace(line))
			first = &v
		}
	}
	if more > 0 {
		first.Message = strings.Replace(first.Message, " has not", fmt.Sprintf(" and %d after it have not", more), 1)
	}
	return first
}

var commentStart = regexp.MustCompile(`(?:^|[ \t])#.*$`)

// withoutComment cuts a line's comment, or what looks like one.
func withoutComment(line string) string { return commentStart.ReplaceAllString(line, "") }

// braces finds a mapping as the key of a mapping, which is how YAML reads {{name}}.
func braces(n *yaml.Node) *yaml.Node {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0 && i%2 == 0 && child.Kind == yaml.MappingNode {
			return n
		}
		if found := braces(child); found != nil {
			return found
		}
	}
	return nil
}

// notRenderedAt returns a violation if a file that is YAML has {{name}} for a value.
func notRenderedAt(root *yaml.Node, data []byte) *job.Violation {
	if !bytes.Contains(data, []byte("{{")) {
		return nil
	}
	n := braces(root)
	if n == nil {
		return nil
	}
	return notRendered(splitLines(data), n.Line)
}
