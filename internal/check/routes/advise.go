package routes

import (
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// advise replaces the decoder's remedy for a number or a truth value where a text is expected: quotes help only where
// any text will do.
func advise(v *job.Violation) {
	if v.Rule != "text" {
		return
	}
	name := v.Field[strings.LastIndexByte(v.Field, '.')+1:]
	name, _, _ = strings.Cut(name, "[")
	switch name {
	case "tls":
		v.Allowed, v.Remedy = "starttls, tls, none", "write starttls, tls or none"
	case "severity":
		v.Allowed, v.Remedy = "critical, error, warning, info", "write critical, error, warning or info"
	case "every":
		v.Allowed, v.Remedy = "1h or more, such as 24h or 90m", "write 24h, for example"
	case "when":
		v.Remedy = `write an expression that is true or false, such as state == "failed"`
	case "to":
		v.Remedy = "write the names of destinations, or [] to tell nobody"
	case "namable":
		v.Remedy = "write the folders whose job files may name the route, such as ['teams/nlp/**']"
	case "types", "states", "backends", "timeoutKinds":
		v.Remedy = "write the name of a " + thing(name)
	}
}
