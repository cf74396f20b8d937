package policy

import (
	"cmp"
	"fmt"
	"strings"
)

// Start says when accepted jobs of a folder may be created.
type Start struct {
	// Paused is that none may be.
	Paused bool
	// Active bounds the jobs without a verdict, PerHour those created within an
	// hour; nil for no limit.
	Active, PerHour *Limit
	// Prefix is what folders take turns by: the most specific of the policy's
	// patterns that matches, or the first part of the folder's name.
	Prefix string
}

// Terms says in words what keeps the job of an accepted drop waiting, or may.
func (s Start) Terms() []string {
	var terms []string
	if s.Paused {
		terms = append(terms, "paused by the operator")
	}
	if s.Active != nil {
		terms = append(terms, fmt.Sprintf("at most %s may be active", s.Active.count()))
	}
	if s.PerHour != nil {
		terms = append(terms, fmt.Sprintf("at most %s may be started in an hour", s.PerHour.count()))
	}
	return terms
}

// Limited tells whether the number of jobs is limited.
func (s Start) Limited() bool { return s.Active != nil || s.PerHour != nil }

// Limit is one on the number of jobs of all folders that its pattern covers.
type Limit struct {
	Folders string
	Most    int64
}

// Covers tells whether the jobs of a folder count.
func (l Limit) Covers(folder string) bool { return covers(l.Folders, folder) }

// String names the jobs that count, as in "jobs of teams/nlp/**".
func (l Limit) String() string {
	if l.Folders == everywhere {
		return "jobs"
	}
	return "jobs of " + l.Folders
}

// count gives the number with what it counts, as in "1 job of teams/nlp/**".
func (l Limit) count() string {
	what := l.String()
	if l.Most == 1 {
		what = strings.Replace(what, "jobs", "job", 1)
	}
	return fmt.Sprintf("%d %s", l.Most, what)
}

// everywhere is the pattern of the limits at a policy's top.
const everywhere = "**"

// Start gives what the policy says of the start of a folder's jobs.
func (p Policy) Start(folder string) Start {
	r := p.Rules.forFolder(folder)
	s := Start{Prefix: p.Prefix(folder)}
	if !r.given() {
		return s
	}
	s.Paused = r.Pause != nil && *r.Pause
	s.Active, s.PerHour = r.limit("limits.activeJobs", r.Limits.ActiveJobs), r.limit("limits.jobsPerHour", r.Limits.JobsPerHour)
	return s
}

// Prefix gives what a folder takes turns by: see [Start].
func (p Policy) Prefix(folder string) string {
	prefix, _, _ := strings.Cut(folder, "/")
	most := -1
	for _, match := range p.Rules.Prefixes {
		if n := specificity(match.Match); n >= most && covers(match.Match, folder) {
			prefix, most = match.Match, n
		}
	}
	return prefix
}

// limit gives a limit with the folders for which it was written.
func (r Rules) limit(setting string, most int64) *Limit {
	if most == 0 {
		return nil
	}
	l := &Limit{Folders: everywhere, Most: most}
	i := 0
	if n, _ := fmt.Sscanf(cmp.Or(r.from[setting], setting), "prefixes[%d].", &i); n == 1 {
		l.Folders = r.Prefixes[i].Match
	}
	return l
}
