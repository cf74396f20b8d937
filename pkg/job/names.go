package job

import (
	"strings"
	"unicode"
)

// IsModule reports whether text can be the name of a module for python -m: names
// joined by dots, each of letters, digits, underscores and dashes. Python finds the
// module by the names of files, so that a name need not be an identifier. A dash
// can't begin the text, which would look like an option.
func IsModule(text string) bool {
	if strings.HasPrefix(text, "-") {
		return false
	}
	for name := range strings.SplitSeq(text, ".") {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return !unicode.In(r, unicode.L, unicode.M, unicode.N) && r != '_' && r != '-'
		}) {
			return false
		}
	}
	return true
}

// IsParameterName reports whether text can be the name of a hyperparameter. A trial
// passes it to the trainer as --NAME=VALUE: the name does not bring dashes of its
// own, and holds neither spaces nor an equals sign.
func IsParameterName(text string) bool {
	return text != "" && text[0] != '-' && !strings.ContainsFunc(text, func(r rune) bool {
		return r == '=' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}
