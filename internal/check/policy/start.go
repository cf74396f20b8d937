package policy

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/glob"
	"github.com/jobdrop/jobdrop/internal/text"
)

// Start holds the rules for creating the jobs of accepted drops in a folder.
type Start struct {
	// Paused reports that no job may be created.
	Paused bool
	// Active bounds the jobs without a verdict, PerHour those created within an
	// hour; nil for no limit.
	Active, PerHour *Limit
	// Budget bounds the accelerator hours of a month; nil for no limit.
	Budget *Budget
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
	if s.Budget != nil {
		term := s.Budget.String() + " may be used in a month"
		if s.Budget.Refuse {
			term += ", and a job for which too few are left is refused"
		}
		terms = append(terms, term)
	}
	return terms
}

// Limited reports whether jobs, or what they take, are limited.
func (s Start) Limited() bool { return s.Active != nil || s.PerHour != nil || s.Budget != nil }

// Limit is a limit on the number of jobs of all folders that its pattern covers.
type Limit struct {
	Folders string
	Most    int64
}

// Covers reports whether the limit counts the jobs of a folder.
func (l Limit) Covers(folder string) bool { return glob.Covers(l.Folders, folder) }

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

// Budget is a limit on the accelerator hours of the jobs of all folders that its
// pattern covers, in a calendar month of UTC. Most is in hours.
type Budget struct {
	Limit
	// Refuse reports that a drop is refused if too few hours are left for it. Else it
	// waits.
	Refuse bool
}

// Seconds returns the budget in seconds of one accelerator.
func (b Budget) Seconds() int64 { return b.Most * 3600 } // at most mostHours

// String returns the budget in words, as in "at most 2000 accelerator hours of
// teams/nlp/**".
func (b Budget) String() string {
	return "at most " + text.AcceleratorHours(b.Seconds()) + b.of()
}

// Hours returns the number of its hours, and whose they are, as in "2000 of
// teams/nlp/**".
func (b Budget) Hours() string { return fmt.Sprint(b.Most) + b.of() }

func (b Budget) of() string {
	if b.Folders == everywhere {
		return ""
	}
	return " of " + b.Folders
}

// Started is what one section of the policy says itself of starting jobs.
type Started struct {
	// Folders is the section's pattern.
	Folders string
	Paused  bool
	// Active, PerHour and Hours, of accelerators in a month, are as in [Start].
	Active, PerHour, Hours *Limit
}

// Sections returns what each section of the policy says itself of starting jobs: first its top, then its prefixes.
func (p Policy) Sections() []Started {
	section := func(folders string, own Section) Started {
		limit := func(most int64) *Limit {
			if most == 0 {
				return nil
			}
			return &Limit{folders, most}
		}
		return Started{
			Folders: folders, Paused: own.Pause != nil && *own.Pause, Active: limit(own.Limits.ActiveJobs),
			PerHour: limit(own.Limits.JobsPerHour), Hours: limit(own.Limits.AcceleratorHours.Most),
		}
	}
	all := []Started{section(everywhere, p.Rules.Section)}
	for _, prefix := range p.Rules.Prefixes {
		all = append(all, section(prefix.Match, prefix.Section))
	}
	return all
}

// Budgets returns the limits on accelerator hours of the whole policy.
func (p Policy) Budgets() []Limit {
	var all []Limit
	for _, s := range p.Sections() {
		if s.Hours != nil {
			all = append(all, *s.Hours)
		}
	}
	return all
}

// budgetSetting is where a policy has a limit on accelerator hours.
const budgetSetting = "limits.acceleratorHours.most"

// budget returns the limit on accelerator hours.
func (r Rules) budget() *Budget {
	l := r.limit(budgetSetting, r.Limits.AcceleratorHours.Most)
	if l == nil {
		return nil
	}
	return &Budget{*l, r.Limits.AcceleratorHours.Over == "refuse"}
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
	s.Budget = r.budget()
	return s
}

// Place returns where a setting stands that is for a folder, as in policy.yaml:7:3: limits.restarts, or one of [Start]:
// pause, limits.activeJobs, limits.jobsPerHour or limits.acceleratorHours.most. It is empty if the policy does not have
// the setting for the folder.
func (p Policy) Place(folder, setting string) string {
	r := p.Rules.forFolder(folder)
	has := map[string]bool{
		"pause": r.Pause != nil, "limits.activeJobs": r.Limits.ActiveJobs != 0, "limits.jobsPerHour": r.Limits.JobsPerHour != 0,
		budgetSetting: r.Limits.AcceleratorHours.Most != 0, "limits.restarts": r.Limits.Restarts != nil,
	}
	if !r.given() || !has[setting] {
		return ""
	}
	return r.place(setting)
}

// Prefix returns the key by which a folder takes turns: see [Start].
func (p Policy) Prefix(folder string) string {
	prefix, _, _ := strings.Cut(folder, "/")
	most := -1
	for _, match := range p.Rules.Prefixes {
		if n := glob.Specificity(match.Match); n >= most && glob.Covers(match.Match, folder) {
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
