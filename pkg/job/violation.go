package job

import (
	"fmt"
	"strings"
)

// Severity says whether a violation keeps a job from being submitted.
type Severity string

// The severities. The zero value is an error.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Position is a place in a text file: line and column count from 1, the column
// in characters. Zero means that the file as a whole is meant.
type Position struct {
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// Rule names a rule that a violation breaks. Names are stable: people filter on them, and
// "jobdrop explain" has a page on each. The comment of a constant of this type is that page.
type Rule string

// Violation is something wrong in what was dropped (the word is that of
// google.rpc.BadRequest.FieldViolation).
type Violation struct {
	// Rule is the rule's stable name, e.g. job-id-format.
	Rule     Rule     `json:"rule"`
	Severity Severity `json:"severity"`
	// File is the object's or file's name within the drop.
	File string `json:"file"`
	Position
	// Field is the path in the job file, e.g. trainingInput.workerCount or
	// trainingInput.hyperparameters.params[2].type; empty for a package.
	Field string `json:"field,omitempty"`
	// Found is what stands there, shortened; Allowed what may stand there.
	Found   string `json:"found,omitempty"`
	Allowed string `json:"allowed,omitempty"`
	// Message says what is wrong, Remedy what to do about it.
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

// String returns the violation in one line: file:line:col: field: what (found …,
// allowed …); remedy.
func (v Violation) String() string {
	var b strings.Builder
	b.WriteString(v.File)
	if v.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", v.Line, v.Column)
	}
	b.WriteString(": ")
	if v.Severity == Warning {
		b.WriteString("warning: ")
	}
	if v.Field != "" {
		b.WriteString(v.Field + ": ")
	}
	b.WriteString(v.Message)
	var facts []string
	if v.Found != "" {
		facts = append(facts, "found "+v.Found)
	}
	if v.Allowed != "" {
		facts = append(facts, "allowed: "+v.Allowed)
	}
	if len(facts) > 0 {
		b.WriteString(" (" + strings.Join(facts, ", ") + ")")
	}
	if v.Remedy != "" {
		b.WriteString("; " + v.Remedy)
	}
	return b.String()
}

// HasErrors reports whether any violation is more than a warning.
func HasErrors(vs []Violation) bool {
	for _, v := range vs {
		if v.Severity != Warning {
			return true
		}
	}
	return false
}
