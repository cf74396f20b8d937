package routes

import (
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// hidden stands for a value that may be a secret.
const hidden = "a value that is not shown"

var (
	// harmless matches the fields of destinations whose values may be shown. Any other may hold a secret, one whose
	// name is misspelled above all.
	harmless = lazily(`^destinations\.[^.\[]+\.` +
		`(every|slack\.channel|email\.(server|tls|from|to(\[[0-9]+\])?)|pagerduty\.severity)$`)
	// group matches the fields of destinations that hold others.
	group = lazily(`^destinations(\.[^.\[]+(\.(slack|slackWebhook|webhook|email|pagerduty))?)?$`)
)

// Hides reports whether a violation is about a value that may be a secret. Whoever shows the line of the file must
// leave out what stands there: see [Redact].
func Hides(v job.Violation) bool {
	switch {
	case v.Found == hidden, v.Rule == "unknown-field":
		return true
	case v.Field == "": // the file could not be read, so nobody knows what stands there
		return !strings.HasPrefix(string(v.Rule), "file-") && v.Line > 0
	}
	return (v.Field == "destinations" || strings.HasPrefix(v.Field, "destinations.")) && !harmless.MatchString(v.Field)
}

// hide takes the value out of a violation if it may be a secret.
func hide(v *job.Violation) {
	if !Hides(*v) {
		return
	}
	if v.Rule == "unknown-field" {
		v.Found = ""
	} else if v.Found != "" {
		v.Found = hidden
	}
	// The messages of this package repeat no value; those of the decoder do, unless they name the key alone.
	switch {
	case strings.HasPrefix(string(v.Rule), "routes-"), v.Rule == "duplicate-key", v.Rule == "unknown-field":
	case v.Field == "" && strings.HasPrefix(v.Message, "the alias "):
		v.Message, v.Remedy = "an alias has no anchor", "put the text in quotes if it begins with *"
	case v.Rule == "placeholder":
		v.Message = "a placeholder has not been replaced"
		v.Remedy = "write the value in its place; a secret is env://NAME or secret://projects/PROJECT/secrets/NAME"
	case v.Field == "":
	case group.MatchString(v.Field):
		v.Remedy = "write each setting on a line of its own, indented, as name: value"
	default:
		v.Message, v.Remedy = "a reference to a secret is expected",
			"write secret://projects/PROJECT/secrets/NAME or env://NAME"
	}
}

var (
	// section matches a line that begins one of the sections that hold no secret.
	section = lazily(`^["']?(egress|owners|templates|route)["']?[ \t]*:([ \t]|$)`)
	// setting matches a line of a name and perhaps a value.
	setting = lazily(`^[ \t]*(- +)*[A-Za-z0-9_-]{1,63}[ \t]*:([ \t]|$)`)
	// plain matches a value that may be shown after the name of a setting that holds no secret.
	plain = lazily(`^[ \t]*(- +)*(channel|server|tls|from|to|every|severity)[ \t]*:[ \t][^{]*$`)
	// named matches a value that is a reference.
	named = lazily(`^['"]?(secret|env)://[A-Za-z0-9_/.:-]+['"]?[ \t]*$`)
)

// Redact returns a routes file in which excerpts may be shown. It leaves out what may be a secret: the values of
// destinations, but for settings that hold none and for references, and all else in the lines of violations that
// hide theirs. Lines keep their numbers, and what stays in them keeps its column.
func Redact(data []byte, vs []job.Violation) []byte {
	hiding := map[int]bool{}
	for _, v := range vs {
		if Hides(v) {
			hiding[v.Line] = true
		}
	}
	// The lines end where those of excerpts do.
	lines := strings.Split(lineEnds.Replace(string(data)), "\n")
	safe := false
	for i, line := range lines {
		if line != "" && !strings.ContainsAny(line[:1], " \t-#}]") {
			safe = section.MatchString(line)
		}
		if !safe || hiding[i+1] {
			lines[i] = redacted(line)
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// lineEnds writes all ends of lines as line feeds.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// redacted returns a line without what may be a secret.
func redacted(line string) string {
	end := setting.find(line)
	value := strings.TrimLeft(line[end:], " \t-")
	switch {
	case strings.TrimSpace(value) == "", plain.MatchString(line), named.MatchString(value):
		return line
	case end == 0:
		end = len(line) - len(strings.TrimLeft(line, " \t-"))
	}
	return strings.TrimRight(line[:end], " \t") + " …"
}
