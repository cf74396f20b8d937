package policy

import (
	"cmp"
	"fmt"
	"strings"
)

// Start holds the rules for creating the jobs of accepted drops in a folder.
type Start struct {
	// Paused reports that no job may be created.
	Paused bool
	// Active bounds the jobs without a verdict, PerHour those created within an
	// hour; nil for no limit.
	Active, PerHour *Limit
	// Prefix is the key by which folders take turns: the most specific of the
	// policy's patterns that matches, or the first part of the folder's name.
	Prefix string
}

// Terms returns the rules that keep the job of an accepted drop waiting, or may, in
// words.
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

// Limited reports whether the number of jobs is limited.
func (s Start) Limited() bool { return s.Active != nil || s.PerHour != nil }

// Limit is a limit on the number of jobs of all folders that its pattern covers.
type Limit struct {
	Folders string
	Most    int64
}

// Covers reports whether the limit counts the jobs of a folder.
func (l Limit) Covers(folder string) bool { return covers(l.Folders, folder) }

// String returns the jobs that count, as in "jobs of teams/nlp/**".
func (l Limit) String() string {
	if l.Folders == everywhere {
		return "jobs"
	}
	return "jobs of " + l.Folders
}

// count returns the number with what it counts, as in "1 job of teams/nlp/**".
func (l Limit) count() string {
	what := l.String()
	if l.Most == 1 {
		what = strings.Replace(what, "jobs", "job", 1)
	}
	return fmt.Sprintf("%d %s", l.Most, what)
}

// everywhere is the pattern of the limits at a policy's top.
const everywhere = "**"

// Start returns the policy's rules for starting a folder's jobs.
func (p Policy) Start(folder string) Start {
	r := p.Rules.forFolder(folder)
	s := Start{Prefix: p.Prefix(folder)}
	if !r.given() {
		return s
	}
	s.Paused = r.Pause != nil && *r.Pause
	s.Active = r.limit("limits.activeJobs", r.Limits.ActiveJobs)
	s.PerHour = r.limit("limits.jobsPerHour",
		r.Limits.JobsPerHour)
	return s
}

// Prefix returns the key by which a folder takes turns: see [Start].
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

// limit returns a limit together with the folders for which it was written.
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
