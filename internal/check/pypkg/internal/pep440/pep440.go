// Package pep440 compares versions, and versions with specifiers, as Python's
// packaging library does (PEP 440): pip asks that library whether a package's
// Requires-Python covers the interpreter.
package pep440

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Version is a parsed version. Its parts are kept as digits, which may be many.
type Version struct {
	epoch   string
	release []string
	pre     []string // letter and number
	post    string
	dev     string
	local   []string
	hasPost bool
	hasDev  bool
}

// maxText bounds a version's or a specifier's text: what is longer is not valid here.
const maxText = 500

// version is packaging's VERSION_PATTERN.
var version = regexp.MustCompile(`(?i)^\s*v?(?:(\d+)!)?(\d+(?:\.\d+)*)` +
	`(?:[-_.]?(alpha|beta|preview|pre|a|b|c|rc)[-_.]?(\d*))?` +
	`(?:-(\d+)|([-_.]?(?:post|rev|r)[-_.]?)(\d*))?` +
	`(?:([-_.]?dev[-_.]?)(\d*))?` +
	`(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$`)

// ParseVersion reports false unless text is a valid version.
func ParseVersion(text string) (v Version, ok bool) {
	if len(text) > maxText {
		return v, false
	}
	m := version.FindStringSubmatch(text)
	if m == nil {
		return v, false
	}
	v.epoch = digits(m[1])
	for part := range strings.SplitSeq(m[2], ".") {
		v.release = append(v.release, digits(part))
	}
	if m[3] != "" {
		letter := map[string]string{"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}[strings.ToLower(m[3])]
		v.pre = []string{cmp.Or(letter, strings.ToLower(m[3])), digits(m[4])}
	}
	if m[5] != "" || m[6] != "" {
		v.hasPost, v.post = true, digits(m[5]+m[7])
	}
	if m[8] != "" {
		v.hasDev, v.dev = true, digits(m[9])
	}
	if m[10] != "" {
		v.local = strings.FieldsFunc(strings.ToLower(m[10]), func(r rune) bool { return strings.ContainsRune("-_.", r) })
	}
	return v, true
}

// digits returns a number without leading zeros.
func digits(text string) string { return cmp.Or(strings.TrimLeft(text, "0"), "0") }

func isNumber(text string) bool { return strings.Trim(text, "0123456789") == "" }

func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// Compare returns -1, 0 or 1 (packaging's _cmpkey).
func (v Version) Compare(w Version) int {
	return cmp.Or(v.compareRelease(w), v.compareSuffix(w), compareLocal(v.local, w.local))
}

func (v Version) compareRelease(w Version) int {
	if c := compareNumbers(v.epoch, w.epoch); c != 0 {
		return c
	}
	for i := range max(len(v.release), len(w.release)) {
		if c := compareNumbers(at(v.release, i), at(w.release, i)); c != 0 {
			return c
		}
	}
	return 0
}

func at(release []string, i int) string {
	if i < len(release) {
		return release[i]
	}
	return "0"
}

// compareSuffix compares what follows the release: dev before a, b, rc, nothing and post.
func (v Version) compareSuffix(w Version) int {
	rank := func(v Version) int {
		switch {
		case v.pre == nil && !v.hasPost && v.hasDev:
			return 0
		case v.pre != nil:
			return 1
		}
		return 2
	}
	if c := cmp.Compare(rank(v), rank(w)); c != 0 {
		return c
	}
	if v.pre != nil && w.pre != nil {
		if c := cmp.Or(cmp.Compare(v.pre[0], w.pre[0]), compareNumbers(v.pre[1], w.pre[1])); c != 0 {
			return c
		}
	}
	flag := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(flag(v.hasPost), flag(w.hasPost)), compareNumbers(v.post, w.post),
		cmp.Compare(flag(w.hasDev), flag(v.hasDev)), compareNumbers(v.dev, w.dev))
}

// compareLocal compares local versions: none comes first, words before numbers.
func compareLocal(a, b []string) int {
	for i := range min(len(a), len(b)) {
		numbers := [2]bool{isNumber(a[i]), isNumber(b[i])}
		switch {
		case numbers[0] && numbers[1]:
			if c := compareNumbers(digits(a[i]), digits(b[i])); c != 0 {
				return c
			}
		case numbers[0]:
			return 1
		case numbers[1]:
			return -1
		case a[i] != b[i]:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

func (v Version) prerelease() bool { return v.pre != nil || v.hasDev }

// public returns v without its local part, base without all but epoch and release.
func (v Version) public() Version {
	v.local = nil
	return v
}

func (v Version) base() Version {
	return Version{epoch: v.epoch, release: v.release, dev: "", post: ""}
}

// Specifiers is a comma-separated list of conditions, all of which hold.
type Specifiers []specifier

type specifier struct {
	operator string
	text     string // behind the operator
	version  Version
	prefix   bool // == and != with .* at the end
}

var operator = regexp.MustCompile(`^\s*(~=|===|==|!=|<=|>=|<|>)\s*(.*?)\s*$`)

// ParseSpecifiers reports false unless text is valid. Empty text is valid and admits
// all versions.
func ParseSpecifiers(text string) (s Specifiers, ok bool) {
	if len(text) > maxText {
		return nil, false
	}
	for part := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		m := operator.FindStringSubmatch(part)
		if m == nil {
			return nil, false
		}
		one := specifier{operator: m[1], text: m[2]}
		if one.operator == "===" {
			if strings.ContainsAny(one.text, " \t;)") {
				return nil, false
			}
			s = append(s, one)
			continue
		}
		number := one.text
		if one.operator == "==" || one.operator == "!=" {
			number, one.prefix = strings.CutSuffix(number, ".*")
		}
		if one.version, ok = ParseVersion(number); !ok {
			return nil, false
		}
		switch v := one.version; {
		case one.prefix && (v.pre != nil || v.hasPost || v.hasDev || v.local != nil),
			one.operator == "~=" && len(v.release) < 2,
			v.local != nil && one.operator != "==" && one.operator != "!=":
			return nil, false
		}
		s = append(s, one)
	}
	return s, true
}

// Contain reports whether v meets every condition. Pre-releases count like other
// versions.
func (s Specifiers) Contain(v Version, text string) bool {
	return !slices.ContainsFunc(s, func(one specifier) bool { return !one.contains(v, text) })
}

func (s specifier) contains(v Version, text string) bool {
	switch s.operator {
	case "===":
		return strings.EqualFold(strings.TrimSpace(text), s.text)
	case "==":
		return s.equal(v)
	case "!=":
		return !s.equal(v)
	case "<=":
		return v.public().Compare(s.version) <= 0
	case ">=":
		return v.public().Compare(s.version) >= 0
	case "<":
		// Not a pre-release of the version itself, unless that is one.
		return v.Compare(s.version) < 0 &&
			!(!s.version.prerelease() && v.prerelease() && v.base().Compare(s.version.base()) == 0)
	case ">":
		// Nor a post-release of it, nor a local version.
		return v.Compare(s.version) > 0 &&
			!(!s.version.hasPost && v.hasPost && v.base().Compare(s.version.base()) == 0) &&
			!(v.local != nil && v.base().Compare(s.version.base()) == 0)
	}
	// ~=: at least the version, with the same release but for its last number.
	release := s.version.release[:len(s.version.release)-1]
	return v.public().Compare(s.version) >= 0 && v.begins(Version{epoch: s.version.epoch, release: release})
}

func (s specifier) equal(v Version) bool {
	if s.prefix {
		return v.begins(s.version)
	}
	if s.version.local == nil {
		v = v.public()
	}
	return v.Compare(s.version) == 0
}

// begins reports whether v's release begins with p's.
func (v Version) begins(p Version) bool {
	if v.epoch != p.epoch {
		return false
	}
	for i, number := range p.release {
		if at(v.release, i) != number {
			return false
		}
	}
	return true
}

// Covers reports whether the specifiers admit some release of a Python of which only
// the first two numbers are known, e.g. 3.7.
func (s Specifiers) Covers(python string) bool {
	const patches = 50 // no Python has had more than 20
	for patch := range patches {
		text := python + "." + strconv.Itoa(patch)
		if v, ok := ParseVersion(text); !ok || s.Contain(v, text) {
			return true
		}
	}
	return false
}
