// Package reference reads references to secrets: secret://projects/PROJECT/secrets/NAME in Secret Manager, with
// /versions/VERSION after it if it is not the latest one, and env://NAME for a variable of the environment. A version
// is a number or an alias.
package reference

import (
	"regexp"
	"sync"
)

// Expression is the regular expression of a reference, without its ends. JSON Schema knows it, too.
//
// Its bounds are those of the services:
// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
const Expression = `(secret://(projects/[a-z0-9][a-z0-9.:-]{1,62}/secrets/[A-Za-z0-9_-]{1,255})` +
	`(/versions/([1-9][0-9]{0,9}|[A-Za-z][A-Za-z0-9_-]{0,62}))?|env://([A-Za-z_][A-Za-z0-9_]{0,127}))`

// compiled is compiled at its first use: not all functions have secrets.
var compiled = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + Expression + `$`) })

// Reference names a secret: a version of one in Secret Manager, or a variable.
type Reference struct {
	// Version is projects/PROJECT/secrets/NAME/versions/VERSION. It is empty if Variable is not.
	Version  string
	Variable string
}

// Parse reads a reference, and reports whether the text is one.
func Parse(text string) (Reference, bool) {
	m := compiled().FindStringSubmatch(text)
	switch {
	case m == nil:
		return Reference{}, false
	case m[5] != "":
		return Reference{Variable: m[5]}, true
	case m[3] == "":
		return Reference{Version: m[2] + "/versions/latest"}, true
	}
	return Reference{Version: m[2] + m[3]}, true
}
