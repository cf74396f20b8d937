package jobspec

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// commentViolation is what is said of a comment that YAML and JSON don't have.
func commentViolation() job.Violation {
	return job.Violation{
		Rule:    ruleComment,
		Message: "// and /* begin no comment in YAML, and JSON has none",
		Remedy:  "begin the comment with # and a space, or remove it",
	}
}

// slashed finds a key that begins as a comment of another language.
func slashed(n *yaml.Node) *yaml.Node {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode && isPlain(child) &&
			(strings.HasPrefix(child.Value, "//") || strings.HasPrefix(child.Value, "/*")) {
			return child
		}
		if found := slashed(child); found != nil {
			return found
		}
	}
	return nil
}

var commentLike = regexp.MustCompile(`(?:^|[\s,{\[}\]"'])(//|/\*)`)

// foreignComment returns a violation if a line up to that of a fault has a comment of
// another language, not in quotes.
func foreignComment(lines []string, upTo int) *job.Violation {
	for i, line := range lines[:min(upTo, len(lines))] {
		for _, at := range commentLike.FindAllStringSubmatchIndex(withoutComment(line), -1) {
			if before := line[:at[2]]; strings.Count(before, `"`)%2 == 1 || strings.Count(before, "'")%2 == 1 {
				continue
			}
			v := commentViolation()
			v.Position = job.Position{Line: i + 1, Column: 1 + utf8.RuneCountInString(line[:at[2]])}
			v.Found = show(strings.TrimSpace(line))
			return &v
		}
	}
	return nil
}
