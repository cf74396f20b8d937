package jobspec

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxViolations bounds one list. Nobody reads a hundred, and the list travels
// in events and chat messages; a hostile file could fill 50 MB with them.
const maxViolations = 100

// violations gathers up to maxViolations and counts the rest.
type violations struct {
	list       []job.Violation
	rest       int
	restErrors bool
}

// maxText bounds each text of a violation, in characters. What a file holds is
// shortened to less where it is quoted; the longest lists of allowed names are
// the operator's own.
const maxText = 2000

func (vs *violations) add(v job.Violation) {
	if len(vs.list) < maxViolations {
		for _, s := range []*string{&v.Field, &v.Found, &v.Allowed, &v.Message, &v.Remedy} {
			*s = text.Shorten(*s, maxText)
		}
		vs.list = append(vs.list, v)
		return
	}
	vs.rest++
	vs.restErrors = vs.restErrors || v.Severity != job.Warning
}

// full reports whether a further violation is only counted, so that its text is not
// needed.
func (vs *violations) full() bool { return len(vs.list) >= maxViolations }

func (vs *violations) sorted() []job.Violation {
	slices.SortStableFunc(vs.list, func(a, b job.Violation) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Field, b.Field))
	})
	if vs.rest == 0 {
		return vs.list
	}
	last := job.Violation{
		Rule:     job.RuleTooManyViolations,
		Severity: job.Warning,
		File:     vs.list[0].File,
		Message:  fmt.Sprintf("there are %d more violations", vs.rest),
		Remedy:   "correct these first",
	}
	if vs.restErrors {
		last.Severity = job.Error
	}
	return append(vs.list, last)
}
