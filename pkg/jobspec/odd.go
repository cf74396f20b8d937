package jobspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Word processors, web pages and chats put characters in place of those that were
// typed, which look alike: spaces that don't break, curly quotes, long dashes.

// odd is a class of such characters.
type odd struct {
	name    string // as in: holds NAME
	instead string
	space   bool
}

// oddRune returns the class of a character, if it is of one.
func oddRune(r rune) (odd, bool) {
	switch {
	case r < utf8.RuneSelf:
	case r == 0xA0 || r == 0x202F || r == 0x2007:
		return odd{"a no-break space", "a plain space", true}, true
	case r == 0x200B || r == 0x200C || r == 0x200D || r == 0x2060 || r == 0xFEFF:
		return odd{"an invisible character", "", true}, true
	case unicode.Is(unicode.Zs, r):
		return odd{"a space of another width", "a plain space", true}, true
	case strings.ContainsRune("“”„‟‘’‚‛«»", r):
		return odd{"a typographic quote", `" or '`, false}, true
	case strings.ContainsRune("‐‑‒–—―−", r):
		return odd{"a typographic dash", "-", false}, true
	}
	return odd{}, false
}

func isOdd(r rune) bool {
	_, ok := oddRune(r)
	return ok
}

func isOddSpace(r rune) bool {
	o, _ := oddRune(r)
	return o.space
}

// oddViolation is what is said of a text with such a character.
func oddViolation(what string, r rune) job.Violation {
	o, _ := oddRune(r)
	remedy := "remove it"
	if o.instead != "" {
		remedy = "write " + o.instead + " in its place"
	}
	return job.Violation{
		Rule:    "odd-character",
		Message: fmt.Sprintf("%s has %s (%U), which only looks like what is meant", what, o.name, r),
		Remedy:  remedy,
	}
}

// oddRemedy is what to do about such a character, which stands first in an argument.
func oddRemedy(argument string, r rune) string {
	rest := strings.TrimFunc(argument, isOdd)
	if o, _ := oddRune(r); o.instead == "-" && rest != "" && rest[0] != '-' {
		return "write " + show("--"+rest)
	}
	return "write " + show(rest)
}

// marred reports whether a value holds what is never meant: a placeholder, a
// character that looks like another, a comment of another language. It says so
// where the field's value is not passed on to the trainer.
func (d *decoder) marred(value, field string) bool {
	if d.other() || passed(field) {
		return false
	}
	if found := placeholder(value, placeholders); found != "" {
		d.fail(field, placeholderViolation(found))
		return true
	}
	seen := strings.IndexFunc(value, isOdd)
	if namesObject(field) { // which may have any characters
		trimmed := strings.TrimFunc(value, isOdd)
		if seen = -1; trimmed != value {
			seen = strings.IndexFunc(value, isOdd)
		}
	}
	if seen >= 0 {
		r, _ := utf8.DecodeRuneInString(value[seen:])
		v := oddViolation("the value", r)
		v.Found = show(value)
		d.fail(field, v)
		return true
	}
	if strings.Contains(value, " //") {
		d.fail(field, commentViolation())
		return true
	}
	if strings.HasPrefix(field, packagesField) && strings.Contains(value, `\`) && !strings.HasPrefix(value, "gs:") {
		name := value[strings.LastIndexAny(value, `\/`)+1:]
		d.fail(field, job.Violation{
			Rule:    "package-uri",
			Message: "this is a path of Windows, but a package is named by its file in the drop's folder",
			Remedy:  "put the file into the drop's folder, and write " + show(name),
		})
		return true
	}
	return false
}

// namesObject reports whether a field's value has, or may have, the name of a file.
func namesObject(field string) bool {
	return strings.HasPrefix(field, packagesField) || field == jobDirField || strings.HasPrefix(field, "jobdrop.packages") ||
		field == hyperField+".hyperparameterMetricTag"
}

// oddKey reports whether a key has a character that looks like another. It is
// reported once for a file: the same hand has written the other keys.
func (d *decoder) oddKey(path, name string, p pair) bool {
	at := strings.IndexFunc(name, isOdd)
	if at < 0 {
		return false
	}
	// The key may stand for any field, and hold any others.
	d.f.unreadable[path[:max(0, len(path)-len(name)-1)]] = true
	if d.odd {
		return true
	}
	d.odd = true
	r, _ := utf8.DecodeRuneInString(name[at:])
	v := oddViolation("the key", r)
	v.Found = show(name)
	v.Remedy += ", here and in the rest of the file"
	v = d.f.Violation(path, v)
	v.Position = position(p.key)
	d.out.add(v)
	return true
}

// argumentOdd: a long dash in place of an option's two, and quotes that no shell
// takes off.
func argumentOdd(c *check) {
	c.passed(func(field, value string) {
		where := "begins with"
		r, _ := utf8.DecodeRuneInString(value)
		if !isOdd(r) {
			where = "ends with"
			r, _ = utf8.DecodeLastRuneInString(value)
		}
		if o, ok := oddRune(r); ok {
			c.warn(field, job.Violation{
				Message: fmt.Sprintf("the argument %s %s (%U), which only looks like what is meant", where, o.name, r),
				Remedy:  oddRemedy(value, r),
			})
		}
	})
}

var option = regexp.MustCompile(`^(--?[A-Za-z][\w-]*)[ \t]+(\S.*)$`)

// argumentSpace: each entry of a list is one argument, and no shell takes it apart.
func argumentSpace(c *check) {
	c.passed(func(field, value string) {
		if strings.Contains(field, "Command[") || c.f.places[c.f.parent(field)].text != "" || c.hasShell() {
			return // a shell's own, or reported with the list
		}
		if m := option.FindStringSubmatch(value); m != nil {
			c.warn(field, job.Violation{
				Message: "the option and its value are one argument, with the space between them",
				Remedy:  "write two entries, " + show(m[1]) + " and " + show(m[2]) + ", or one with an equals sign",
			})
		}
	})
}

// passed yields each text that is passed to the trainer as a part of its command.
func (c *check) passed(yield func(field, value string)) {
	list := func(field string, values []string) {
		for i, value := range values {
			yield(element(field, i), value)
		}
	}
	list(below+"args", c.in.Args)
	for _, r := range c.roles {
		if r.Config != nil {
			list(r.ConfigField()+".containerCommand", r.Config.ContainerCommand)
			list(r.ConfigField()+".containerArgs", r.Config.ContainerArgs)
		}
	}
}

// hasShell reports whether a container's command is a shell, which reads arguments in
// its own way.
func (c *check) hasShell() bool {
	return slices.ContainsFunc(c.roles[:], func(r job.Role) bool {
		return r.Config != nil && slices.ContainsFunc(r.Config.ContainerCommand, func(word string) bool {
			name := word[strings.LastIndexByte(word, '/')+1:]
			return slices.Contains([]string{"sh", "bash", "dash", "zsh", "ash", "env"}, name)
		})
	})
}

// oddLine returns a violation if one of the lines around a fault's has a character
// that looks like another: in the indentation or after a key's colon, or a quote.
func oddLine(lines []string, number int) *job.Violation {
	for n := max(1, number-1); n <= min(len(lines), number+1); n++ {
		line := lines[n-1]
		at := strings.IndexFunc(line, isOdd)
		if at < 0 {
			continue
		}
		r, _ := utf8.DecodeRuneInString(line[at:])
		before := strings.Trim(line[:at], " \t-")
		if isOddSpace(r) && before != "" && !strings.HasSuffix(before, ":") || !isOddSpace(r) && n != number {
			continue
		}
		v := oddViolation("the line", r)
		v.Position = job.Position{Line: n, Column: 1 + utf8.RuneCountInString(line[:at])}
		v.Found = show(strings.TrimSpace(line))
		v.Remedy += ", here and in the rest of the file"
		return &v
	}
	return nil
}

// commentViolation is what is said of a comment that YAML and JSON don't have.
func commentViolation() job.Violation {
	return job.Violation{
		Rule:    "comment",
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
