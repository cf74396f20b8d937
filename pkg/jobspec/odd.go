package jobspec

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

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
		Rule:    ruleOddCharacter,
		Message: fmt.Sprintf("%s has %s (%U), which only looks like what is meant", what, o.name, r),
		Remedy:  remedy,
	}
}

// marred reports whether a value holds what is never meant: a placeholder, a
// character that looks like another, a comment of another language. It says so
// where the field's value is not passed on to the trainer.
func (d *decoder) marred(value, field string) bool {
	if d.other() || passed(field) {
		return false
	}
	if found := placeholder(value, placeholders); found != "" {
		d.fail(rulePlaceholder, field, placeholderViolation(found))
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
		d.fail(ruleOddCharacter, field, v)
		return true
	}
	if strings.Contains(value, " //") {
		d.fail(ruleComment, field, commentViolation())
		return true
	}
	if strings.HasPrefix(field, packagesField) && strings.Contains(value, `\`) && !strings.HasPrefix(value, "gs:") {
		name := value[strings.LastIndexAny(value, `\/`)+1:]
		d.fail(rulePackageURI, field, job.Violation{
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
	v = d.f.Violation(ruleOddCharacter, path, v)
	v.Position = position(p.key)
	d.out.add(v)
	return true
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
