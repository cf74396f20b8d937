package policy

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/glob"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Viewers are people, and what the console shows them where it knows who asks.
type Viewers struct {
	// Members are user:ADDRESS, serviceAccount:ADDRESS and domain:NAME, as in IAM.
	Members []string `json:"members"`
	// Prefixes are patterns of the folders whose drops they see.
	Prefixes []string `json:"prefixes"`
	// Outputs are patterns of job directories. Of a drop of Prefixes whose job writes
	// to one of them, they also see what it wrote; none if missing.
	Outputs []string `json:"outputs"`
}

// Viewer is what one person sees. The zero value sees nothing.
type Viewer struct {
	everything bool
	entries    []Viewers
	// p closes the installation's own buckets.
	p Policy
}

// Everything returns the viewer who sees all there is: whoever runs the console with
// their own rights.
func Everything() Viewer { return Viewer{everything: true} }

// Viewer returns what the owner of an address sees: what the entries of viewers show
// that name them. Without a policy that is nothing. The address has to be verified.
func (p Policy) Viewer(email string) Viewer {
	v := Viewer{p: p}
	for _, e := range p.Rules.Viewers {
		if slices.ContainsFunc(e.Members, func(member string) bool { return names(member, email) }) {
			v.entries = append(v.entries, e)
		}
	}
	return v
}

// Prefixes returns the patterns of the folders that the viewer sees, none if no entry
// names them.
func (v Viewer) Prefixes() []string {
	if v.everything {
		return []string{everywhere}
	}
	var all []string
	for _, e := range v.entries {
		all = append(all, e.Prefixes...)
	}
	return all
}

// Rights returns a digest of what the viewer sees. Viewers of one installation with the
// same digest see the same.
func (v Viewer) Rights() string {
	h := sha256.New()
	for _, e := range v.entries {
		fmt.Fprintf(h, "%q %q\n", e.Prefixes, e.Outputs)
	}
	return fmt.Sprintf("%t %x", v.everything, h.Sum(nil))
}

// Sees reports whether the viewer sees the drops of a folder, given with or without
// its final slash.
func (v Viewer) Sees(folder string) bool {
	return v.everything || slices.ContainsFunc(v.entries, func(e Viewers) bool { return e.see(folder) })
}

// SeesOutputs reports whether the viewer sees what a job of a folder wrote to its
// jobDir. One entry has to show both: whoever drops a job picks its jobDir, and must
// not see by it what the console's account can read and they can't.
func (v Viewer) SeesOutputs(folder, jobDir string) bool {
	return v.everything ||
		slices.ContainsFunc(v.entries, func(e Viewers) bool { return e.seeOutputs(v.p, folder, jobDir) })
}

// Shown is a member to whom the console shows a drop.
type Shown struct {
	Member string `json:"member"`
	// Outputs reports whether it also shows what the job wrote.
	Outputs bool `json:"outputs"`
	// Because is the entry's place in the policy, as in policy.yaml:7:3.
	Because string `json:"because"`
}

// ShownTo returns the members to whom the console shows a drop of a folder whose job
// has a jobDir, each once.
func (p Policy) ShownTo(folder, jobDir string) []Shown {
	var all []Shown
	for i, e := range p.Rules.Viewers {
		if !e.see(folder) {
			continue
		}
		outputs := e.seeOutputs(p, folder, jobDir)
		for _, member := range e.Members {
			s := Shown{member, outputs, p.Rules.place(fmt.Sprintf("viewers[%d]", i))}
			at := slices.IndexFunc(all, func(s Shown) bool { return s.Member == member })
			switch {
			case at < 0:
				all = append(all, s)
			case outputs && !all[at].Outputs:
				all[at] = s
			}
		}
	}
	return all
}

func (e Viewers) see(folder string) bool {
	folder = strings.TrimSuffix(folder, "/")
	return (folder == "" || plain(folder)) &&
		slices.ContainsFunc(e.Prefixes, func(pattern string) bool { return glob.Covers(pattern, folder) })
}

func (e Viewers) seeOutputs(p Policy, folder, jobDir string) bool {
	uri, ok := strings.CutPrefix(jobDir, "gs://")
	bucket, _, _ := strings.Cut(uri, "/")
	_, shown := e.outputs().match(jobDir)
	return ok && shown && bucket != p.Inbox && !p.own(bucket) && e.see(folder)
}

// outputs returns the list of job directories, which is held to what holds for
// allow.jobDirs.
func (e Viewers) outputs() list {
	return list{setting: "allow.jobDirs", globs: e.Outputs, paths: true, uri: true}
}

// The kinds of members.
const (
	userMember    = "user"
	accountMember = "serviceAccount"
	domainMember  = "domain"
)

// names reports whether a member of an entry is, or has, the owner of an address. The
// case of both does not matter. Google's addresses are ASCII: others, whose letters
// may look like these, are nobody's.
func names(member, email string) bool {
	at := strings.LastIndexByte(email, '@')
	if at < 1 || strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	kind, name, _ := strings.Cut(member, ":")
	if kind == domainMember {
		return accountKind(email) == "" && strings.EqualFold(name, email[at+1:])
	}
	return kind == cmp.Or(accountKind(email), userMember) && strings.EqualFold(name, email)
}

// accountKind returns accountMember for a service account's address, else nothing.
func accountKind(email string) string {
	if strings.HasSuffix(strings.ToLower(email), ".gserviceaccount.com") {
		return accountMember
	}
	return ""
}

var (
	addressForm = regexp.MustCompile(`^[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
	domainForm  = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
)

// publicDomains are those where anyone in the world can have an address.
var publicDomains = [...]string{"gmail.com", "googlemail.com"}

func (c *checker) viewers(all []Viewers) {
	if n := len(all); n > maxEntries {
		c.tooMany("viewers", n)
		return
	}
	for i, e := range all {
		at := fmt.Sprintf("viewers[%d]", i)
		c.viewersOf(e, at)
		if c.file.Empty(at + ".outputs") {
			c.fail(rulePolicyEmpty, at+".outputs", job.Violation{
				Message: "nothing stands here, and what it means would be a guess",
				Remedy:  "write [] to show no outputs, or remove the line",
			})
		}
		c.list(e.outputs(), at+".outputs")
		for j, g := range e.Outputs {
			bucket, _, _ := strings.Cut(strings.TrimPrefix(g, "gs://"), "/")
			if bucket != "" && strings.Trim(bucket, "*") == "" {
				c.warn(rulePolicyViewer, fmt.Sprintf("%s.outputs[%d]", at, j), job.Violation{
					Message: "the pattern shows every bucket that the console can read to whoever picks a job's directory",
					Allowed: "e.g. gs://nlp-output/**", Remedy: "name the bucket",
				})
			}
		}
	}
}

// viewersOf checks who an entry is for, and for which folders.
func (c *checker) viewersOf(e Viewers, at string) {
	for _, l := range [...]struct {
		name    string
		entries []string
		what    job.Violation
	}{
		{"members", e.Members, job.Violation{
			Message: "the entry does not say who it is for", Allowed: "members such as user:ann@example.com, domain:example.com",
			Remedy: "write members: and a list, or remove the entry",
		}},
		{"prefixes", e.Prefixes, job.Violation{
			Message: "the entry does not say which folders it shows", Allowed: "patterns such as teams/nlp/**; ** for all folders",
			Remedy: "write prefixes: and a list, or remove the entry",
		}},
	} {
		field := at + "." + l.name
		switch {
		case len(l.entries) == 0:
			if !c.file.Given(field) {
				field = at
			}
			c.fail(rulePolicyViewer, field, l.what)
		case len(l.entries) > maxEntries:
			c.tooMany(field, len(l.entries))
		}
	}
	if max(len(e.Members), len(e.Prefixes)) > maxEntries {
		return
	}
	for i, member := range e.Members {
		c.member(fmt.Sprintf("%s.members[%d]", at, i), member)
	}
	for i, pattern := range e.Prefixes {
		c.folders(fmt.Sprintf("%s.prefixes[%d]", at, i), pattern)
	}
}

func (c *checker) member(field, member string) {
	kind, name, _ := strings.Cut(member, ":")
	v := job.Violation{
		Message: "this is not a member", Allowed: "user:ann@example.com, domain:example.com or " +
			"serviceAccount:ci@my-project.iam.gserviceaccount.com", Remedy: "write one of these forms",
	}
	switch {
	case member == "allUsers" || member == "allAuthenticatedUsers":
		v.Message, v.Remedy = "the console is never shown to everybody", "name people, or the domain that they are of"
	case kind == "group":
		v.Message, v.Remedy = "jobdrop can't look up who is in a group", "name people, or the domain that they are of"
	case kind == domainMember && slices.Contains(publicDomains[:], strings.ToLower(name)):
		v.Message, v.Remedy = "anyone can have an address of this domain", "name people"
	case kind == domainMember && accountKind(name) != "":
		v.Message, v.Remedy = "a domain stands for people, not for service accounts", "write "+accountMember+": and an address"
	case kind == domainMember && domainForm.MatchString(name):
		return
	case kind == userMember && addressForm.MatchString(name):
		if accountKind(name) == "" {
			return
		}
		v.Message, v.Remedy = "this is a service account's address", "write "+accountMember+":"+name
	case kind == accountMember && addressForm.MatchString(name):
		if accountKind(name) != "" {
			return
		}
		v.Message, v.Remedy = "this is not a service account's address", "write "+userMember+":"+name
	case addressForm.MatchString(member):
		v.Message, v.Remedy = "the member does not say what it is", "write "+cmp.Or(accountKind(member), userMember)+":"+member
	}
	c.fail(rulePolicyViewer, field, v)
}
