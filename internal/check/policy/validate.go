package policy

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jobdrop/jobdrop/internal/check/glob"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/image"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// checker reports what is wrong in a policy, as far as it could be read.
type checker struct {
	file *jobspec.Other
	d    *document
}

func (c *checker) fail(rule job.Rule, field string, v job.Violation) {
	c.file.Report(rule, field, v)
}

func (c *checker) warn(rule job.Rule, field string, v job.Violation) {
	v.Severity = job.Warning
	c.fail(rule, field, v)
}

// maxEntries bounds each list of patterns, and the prefixes: with the bounds of
// a pattern it bounds the time that a drop takes.
const maxEntries = 500

func (c *checker) check() {
	known := jobspec.DefaultCatalogue()
	if c.d.Catalogue != nil {
		c.catalogue(*c.d.Catalogue)
		known = known.With(*c.d.Catalogue)
	}
	c.section(&c.d.Section, "", known)
	c.viewers(c.d.Viewers)
	if n := len(c.d.Prefixes); n > maxEntries {
		c.tooMany("prefixes", n)
		return
	}
	first := map[string]int{}
	for i := range c.d.Prefixes {
		p, at := &c.d.Prefixes[i], fmt.Sprintf("prefixes[%d]", i)
		c.match(at, p.Match)
		if j, twice := first[p.Match]; twice && p.Match != "" {
			c.fail(rulePolicyPrefixTwice, at+".match", job.Violation{
				Message: fmt.Sprintf("prefixes[%d] matches the same folders", j),
				Remedy:  "write the two into one",
			})
		} else {
			first[p.Match] = i
		}
		c.section(&p.Section, at+".", known)
	}
}

func (c *checker) tooMany(field string, n int) {
	c.fail(rulePolicyListLength, field, job.Violation{
		Message: "the list is too long", Found: fmt.Sprintf("%d entries", n),
		Allowed: fmt.Sprintf("at most %d", maxEntries), Remedy: "let patterns stand for several entries",
	})
}

func (c *checker) match(at, pattern string) {
	field := at + ".match"
	if pattern == "" {
		c.fail(rulePolicyMatch, field, job.Violation{
			Message: "the prefix does not say which folders it is for",
			Allowed: "a pattern such as teams/nlp/**", Remedy: "write match: and a pattern of folders",
		})
		return
	}
	c.folders(field, pattern)
}

// folders checks a pattern of folders.
func (c *checker) folders(field, pattern string) {
	if strings.Contains(pattern, "://") || strings.HasPrefix(pattern, "/") {
		c.fail(rulePolicyMatch, field, job.Violation{
			Message: "the pattern matches no folder: it is held against the folder's name within the inbox",
			Allowed: "a pattern such as teams/nlp/**", Remedy: "leave out the bucket and the first slash",
		})
		return
	}
	c.pattern(field, pattern)
}

// pattern checks what holds for every pattern.
func (c *checker) pattern(field, pattern string) {
	n := glob.Wildcards(pattern)
	switch {
	case pattern == "":
		c.fail(rulePolicyPattern, field, job.Violation{
			Message: "an empty pattern matches nothing",
			Remedy:  "remove the entry; a list that allows nothing is written []",
		})
	case len(pattern) > glob.MaxPattern || n > glob.MaxWildcards:
		c.fail(rulePolicyPattern, field, job.Violation{
			Message: "the pattern is too long",
			Found:   fmt.Sprintf("%d bytes, %d wildcards", len(pattern), n),
			Allowed: fmt.Sprintf("at most %d bytes and %d wildcards", glob.MaxPattern, glob.MaxWildcards), Remedy: "write two patterns",
		})
	case strings.TrimSpace(pattern) != pattern ||
		strings.ContainsFunc(pattern, func(r rune) bool { return !unicode.IsPrint(r) }):
		c.fail(rulePolicyPattern, field, job.Violation{
			Message: "the pattern begins or ends with a space, or has a character that can't be seen",
			Remedy:  "write it again, without",
		})
	case strings.ContainsAny(pattern, `?[]{}\^$|`):
		c.warn(rulePolicyPattern, field, job.Violation{
			Message: "the pattern has characters that mean something elsewhere; here they stand for themselves",
			Allowed: "* for any characters other than /, ** for any characters at all", Remedy: "write a pattern for each case",
		})
	}
}

func (c *checker) section(s *Section, at string, known *jobspec.Catalogue) {
	c.empty(reflect.TypeFor[Section](), strings.TrimSuffix(at, "."))
	c.defaults(&s.Defaults, at, known)
	for _, l := range s.Allow.lists() {
		c.list(l, at+l.setting)
	}
	c.limits(&s.Limits, &s.Defaults, at)
	c.patience(&s.Patience, at+"patience.")
	c.vertex(&s.Vertex, at+"vertex.")
}

var (
	runtimeKey  = regexp.MustCompile(`^\d+\.\d+(/\d+\.\d+)?$`)
	accelerator = regexp.MustCompile(`^NVIDIA_[A-Z0-9_]+$`)
)

func (c *checker) vertex(v *Vertex, at string) {
	for key, uri := range v.Images {
		field := at + "images." + key
		if !runtimeKey.MatchString(key) {
			c.fail(rulePolicyVertexImage, field, job.Violation{
				Message: "the image stands for no runtime version",
				Found:   key,
				Allowed: "2.11, or 2.11/3.7 for one Python version",
				Remedy:  "write the runtime version, in quotes",
			})
		}
		// With its host: without one, Docker Hub would be meant.
		if name, err := image.Parse(uri); err != nil || !strings.HasPrefix(uri, name.Host+"/") {
			c.fail(rulePolicyVertexImage, field, job.Violation{
				Message: "this is not a container image's full name",
				Allowed: "e.g. europe-docker.pkg.dev/my-project/images/tf:2.11",
				Remedy:  "begin with the registry",
			})
		}
	}
	for from, to := range v.Accelerators {
		field := at + "accelerators." + from
		if !accelerator.MatchString(from) || !accelerator.MatchString(to) {
			c.fail(rulePolicyVertexAccelerator, field, job.Violation{
				Message: "this is not an accelerator that another one can be put in the place of",
				Allowed: "names of the API such as NVIDIA_TESLA_K80: NVIDIA_TESLA_T4",
				Remedy:  "write both as the API does",
			})
		}
	}
}

// empty finds settings without a value: whether anything or nothing was meant
// can't be told.
func (c *checker) empty(t reflect.Type, at string) {
	for i := range t.NumField() {
		f := t.Field(i)
		field := strings.TrimPrefix(at+"."+jsonName(f), ".")
		if f.Type.Kind() == reflect.Struct {
			c.empty(f.Type, field)
			continue
		}
		if c.file.Empty(field) {
			v := job.Violation{
				Message: "nothing stands here, and what it means would be a guess",
				Remedy:  "write a value, or remove the line",
			}
			if f.Type.Kind() == reflect.Slice {
				v.Remedy = "write [] to allow nothing, or remove the line"
			}
			c.fail(rulePolicyEmpty, field, v)
		}
	}
}

// defaults holds the defaults to the rules of job files.
func (c *checker) defaults(d *Defaults, at string, known *jobspec.Catalogue) {
	in := &job.TrainingInput{
		Region: d.Region, RuntimeVersion: d.RuntimeVersion, PythonVersion: d.PythonVersion,
		ServiceAccount: d.ServiceAccount, Network: d.Network, Scheduling: &job.Scheduling{MaxRunningTime: d.MaxRunningTime},
	}
	given := map[string]string{}
	for _, f := range [...]struct{ name, value string }{
		{"region", d.Region}, {"runtimeVersion", d.RuntimeVersion}, {"pythonVersion", d.PythonVersion},
		{"serviceAccount", d.ServiceAccount}, {"network", d.Network}, {"maxRunningTime", d.MaxRunningTime},
	} {
		name := at + "defaults." + f.name
		if f.value != "" {
			given[jobField(f.name)] = name
		} else if c.file.Given(name) {
			c.fail(rulePolicyEmpty, name, job.Violation{
				Message: "an empty text is not a default",
				Remedy:  "write a value, or remove the line",
			})
		}
	}
	for key := range d.Labels {
		given["labels."+key] = at + "defaults.labels." + key
	}
	if len(d.Labels) > 0 {
		given["labels"] = at + "defaults.labels"
	}
	probe := jobspec.New("", job.Spec{JobID: "job", Labels: d.Labels, TrainingInput: in})
	probe.Options.Vertex = alone(d.Vertex, in)
	for _, v := range probe.Check(known) {
		if option, ok := strings.CutPrefix(v.Field, "jobdrop."); ok && v.Severity == job.Error {
			c.fail(v.Rule, at+"defaults."+option, v)
		}
		if name, ok := given[v.Field]; ok {
			if v.Rule == "max-running-time" { // 0s would pass any limit: the service takes it for none
				v.Severity = job.Error
			}
			c.fail(v.Rule, name, v)
		}
	}
}

// alone returns default options for Vertex AI beside what they may find in a job: a maxWaitDuration is
// used for the strategy that has one, and a mount in a job that has a network.
func alone(d job.VertexOptions, in *job.TrainingInput) *job.VertexOptions {
	if d.MaxWaitDuration != "" && d.Strategy == "" {
		d.Strategy = job.StrategyFlexStart
	}
	if in.Network == "" {
		in.Network = "projects/1/global/networks/job"
	}
	return &d
}

// jobField returns the path in a job file of a field of [Defaults].
func jobField(name string) string {
	if name == "maxRunningTime" {
		return maxRunningTimeField
	}
	return "trainingInput." + name
}

func (c *checker) list(l list, field string) {
	if len(l.globs) > maxEntries {
		c.tooMany(field, len(l.globs))
		return
	}
	for i, g := range l.globs {
		at := fmt.Sprintf("%s[%d]", field, i)
		v := job.Violation{}
		switch {
		case l.uri && g != "" && g != "**" && !strings.HasPrefix(g, "gs://"):
			v.Message, v.Remedy = "the pattern matches nothing: it is held against a gs:// URI", "write gs:// before it"
			c.fail(rulePolicyPattern, at, v)
			continue
		case l.setting == "allow.images" && strings.Contains(g, "://"):
			v.Message = "the pattern matches no image: its name has no scheme"
			v.Remedy = "begin with the registry, as in gcr.io/my-project/**"
			c.fail(rulePolicyPattern, at, v)
			continue
		case l.setting == "allow.nfsMounts" && g != "" && !strings.Contains(g, ":") && !strings.Contains(g, "**"):
			v.Message, v.Allowed = "the pattern matches no share", "SERVER:PATH"
			v.Remedy = "write the path after it, as in 10.0.0.2:/data/**"
			c.fail(rulePolicyPattern, at, v)
			continue
		case l.halfOpen(g):
			c.fail(rulePolicyOpenPattern, at, job.Violation{
				Message: "anyone can take a name that the pattern matches",
				Allowed: "the whole name of a bucket, project or host, or * for any", Remedy: "write an entry for each name",
			})
			continue
		case l.paths && g == "*":
			v.Message, v.Remedy = "* stands for no slash, so the pattern matches nothing", "write ** for any"
			c.warn(rulePolicyPattern, at, v)
		case l.setting == "allow.serviceAccounts" && g != "" && !strings.Contains(g, "@") && !strings.Contains(g, "**") &&
			strings.Trim(g, "0123456789") != "":
			v.Message = "* stands for no @, so the pattern matches no address"
			v.Remedy = "write the address with its project, as in *@my-project.iam.gserviceaccount.com"
			c.warn(rulePolicyPattern, at, v)
		case l.setting == "allow.packageSources" && g != "**" && !strings.Contains(strings.TrimPrefix(g, "gs://"), "/") &&
			!strings.HasSuffix(g, "**"):
			v.Message, v.Remedy = "the pattern matches a bucket, but no package in it", "write /** after it"
			c.warn(rulePolicyPattern, at, v)
		case l.setting == "allow.accelerators" && g != "" && !l.matchesAny(g, accelerators()):
			v.Message = "the pattern matches no accelerator that is known"
			v.Allowed = strings.Join(accelerators(),
				", ")
			v.Remedy = "write the name in capitals, as in NVIDIA_TESLA_T4"
			c.warn(rulePolicyPattern, at, v)
		case l.setting == "allow.strategies" && g != "" && !l.matchesAny(g, strategies()):
			v.Message, v.Allowed = "the pattern matches no strategy that is known", strings.Join(strategies(), ", ")
			v.Remedy = "write the name in capitals, as in FLEX_START"
			c.warn(rulePolicyPattern, at, v)
		}
		c.pattern(at, g)
	}
}

// halfOpen reports whether a pattern leaves part of a globally unique name open, so
// that a stranger can take a name that matches: gs://bucket* would allow
// gs://bucket-evil.
func (l list) halfOpen(pattern string) bool {
	switch l.setting {
	case "allow.jobDirs", "allow.packageSources":
		bucket, _, _ := strings.Cut(strings.TrimPrefix(pattern, "gs://"), "/")
		return halfOpen(bucket)
	case "allow.reservations", "allow.tensorboards", "allow.experiments", "allow.networkAttachments":
		name, ok := strings.CutPrefix(pattern, "projects/")
		owner, _, _ := strings.Cut(name, "/")
		return ok && halfOpen(owner)
	case "allow.images":
		host, path, ok := strings.Cut(pattern, "/")
		if !ok && !strings.Contains(host, "**") {
			return false // an image's name alone
		}
		owner, _, _ := strings.Cut(path, "/")
		return halfOpen(host) ||
			halfOpen(owner) &&
				slices.ContainsFunc(publicRegistries[:], func(end string) bool { return strings.HasSuffix("."+host, end) })
	case "allow.serviceAccounts":
		name, domain, _ := strings.Cut(pattern, "@")
		owner, named := strings.CutSuffix(domain, ".iam.gserviceaccount.com")
		// Accounts that Google makes have the project before the @.
		return halfOpen(owner) || !named && strings.HasSuffix(domain, "gserviceaccount.com") && strings.Contains(name, "*")
	}
	return false
}

// publicRegistries are where anyone can take the first part of an image's path,
// by how their hosts end, with a dot before each.
var publicRegistries = [...]string{".gcr.io", "-docker.pkg.dev", ".docker.io", ".ghcr.io", ".quay.io"}

// halfOpen reports whether a pattern covers some names of hosts, buckets or
// projects, but not all. The owner of a domain has all names below it.
func halfOpen(name string) bool {
	i := strings.LastIndexByte(name, '*')
	if i < 0 || strings.Trim(name, "*") == "" {
		return false
	}
	end := name[i+1:]
	domain := end == "-docker.pkg.dev" || strings.HasPrefix(end, ".") && strings.Count(end, ".") > 1
	return !domain || strings.Contains(name, "**") // which would pass over a slash
}

// accelerators returns the API's accelerators, and those that only come with a
// machine.
func accelerators() []string {
	f, _ := reflect.TypeFor[job.AcceleratorConfig]().FieldByName("Type")
	names := strings.Fields(f.Tag.Get("enum"))[1:] // the first means none
	for _, name := range plan.BundledAccelerators() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// strategies returns those of Vertex AI that a job may name.
func strategies() []string {
	f, _ := reflect.TypeFor[job.VertexOptions]().FieldByName("Strategy")
	return strings.Fields(f.Tag.Get("enum"))
}

func (l list) matchesAny(g string, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return glob.Match(g, v, l.separators()) })
}

func (c *checker) limits(l *Limits, d *Defaults, at string) {
	for _, f := range [...]struct {
		name string
		n    int64
	}{
		{"replicas", l.Replicas}, {"packageBytes", l.PackageBytes}, {"activeJobs", l.ActiveJobs},
		{"jobsPerHour", l.JobsPerHour},
	} {
		if name := at + "limits." + f.name; c.file.Given(name) && f.n < 1 {
			c.fail(rulePolicyLimit, name, job.Violation{
				Message: "the limit leaves room for no job",
				Allowed: "1 or more",
				Remedy:  "write a number from 1, or remove the line for no limit; pause: true stops all jobs",
			})
		}
	}
	if n := l.Restarts; n != nil && *n < 0 {
		c.fail(rulePolicyLimit, at+"limits.restarts", job.Violation{
			Message: "the limit is below zero", Allowed: "0 or more",
			Remedy: "write how often a job may be started again, 0 for never, or remove the line for no limit",
		})
	}
	c.acceleratorHours(&l.AcceleratorHours, at+"limits.acceleratorHours")
	limit, ok := c.duration(at+"limits.maxRunningTime", l.MaxRunningTime, time.Second)
	if own, err := job.ParseDuration(d.MaxRunningTime); ok && err == nil && own > limit {
		c.fail(rulePolicyLimit, at+"defaults.maxRunningTime", job.Violation{
			Message: "the default is above the limit for it", Allowed: "at most " + l.MaxRunningTime,
			Remedy: "lower the default, or raise the limit",
		})
	}
}

// mostHours bounds a budget: a million accelerators use less in a month.
const mostHours = 1_000_000_000

func (c *checker) acceleratorHours(h *AcceleratorHours, at string) {
	if !c.file.Given(at) {
		return
	}
	const example = "{per: month, most: 2000}"
	if h.Per == "" && !c.file.Given(at+".per") {
		c.fail(rulePolicyLimit, at, job.Violation{
			Message: "the limit does not say for which time it is", Allowed: "per: month",
			Remedy: "write acceleratorHours: " + example,
		})
	}
	switch given := c.file.Given(at + ".most"); {
	case !given:
		c.fail(rulePolicyLimit, at, job.Violation{
			Message: "the limit does not say how many hours", Allowed: "most: and a number from 1",
			Remedy: "write acceleratorHours: " + example,
		})
	case h.Most < 1 || h.Most > mostHours:
		c.fail(rulePolicyLimit, at+".most", job.Violation{
			Message: "the limit is not a number of accelerator hours in a month",
			Allowed: fmt.Sprintf("1 to %d", mostHours),
			Remedy:  "write one, or remove acceleratorHours for no limit; pause: true stops all jobs",
		})
	}
}

// duration checks a duration that may be there.
func (c *checker) duration(field, value string, least time.Duration) (time.Duration, bool) {
	if !c.file.Given(field) {
		return 0, false
	}
	d, err := job.ParseDuration(value)
	v := job.Violation{
		Allowed: "seconds with the suffix s, e.g. 3600s",
		Remedy:  "write the seconds with the suffix s",
	}
	switch {
	case err != nil:
		v.Message = "this is not a duration"
		for _, guess := range [...]string{value, value + "s"} {
			if d, err := time.ParseDuration(strings.TrimSpace(guess)); err == nil && d > 0 {
				v.Remedy = "write " + job.FormatDuration(d)
				break
			}
		}
	case d < least:
		v.Message = "the duration is too short"
		v.Allowed = job.FormatDuration(least) +
			" or more"
		v.Remedy = "write a longer one, or remove the line"
	default:
		return d, true
	}
	c.fail(rulePolicyDuration, field, v)
	return 0, false
}

func (c *checker) patience(p *Patience, at string) {
	c.duration(at+"settle", p.Settle, 0)
	incomplete, first := c.duration(at+"incomplete", p.Incomplete, time.Second)
	expire, second := c.duration(at+"expire", p.Expire, time.Second)
	if first && second && incomplete > expire {
		c.fail(rulePolicyPatience, at+"expire", job.Violation{
			Message: "a drop would be given up before what it lacks is reported",
			Allowed: "at least incomplete, " + p.Incomplete, Remedy: "raise expire, or lower incomplete",
		})
	}
	c.duration(at+"submit", p.Submit, time.Second)
	c.duration(at+"stuck.queued", p.Stuck.Queued, time.Second)
	c.duration(at+"stuck.preparing", p.Stuck.Preparing, time.Second)
	c.duration(at+"stuck.running", p.Stuck.Running, time.Second)
	c.duration(at+"stuck.cancelling", p.Stuck.Cancelling, time.Second)
	c.duration(at+"alone", p.Alone, time.Second)
	c.duration(at+"grace", p.Grace, 0)
}

// catalogue checks that its entries have names, without which they are of no
// use, and words that are understood.
func (c *checker) catalogue(k jobspec.Catalogue) {
	named := func(field string, ok bool) {
		if !ok {
			c.fail(rulePolicyCatalogue, field, job.Violation{
				Message: "the entry has no name",
				Remedy:  "write " + field[strings.LastIndexByte(field, '.')+1:] + ": and a value",
			})
		}
	}
	word := func(field, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			c.fail(rulePolicyCatalogue, field, job.Violation{
				Message: "the value is not one of those allowed",
				Allowed: strings.Join(allowed, ", "), Remedy: "write one of those allowed",
			})
		}
	}
	c.duration("catalogue.minWait", k.MinWait, 0)
	for i, m := range k.Machines {
		at := fmt.Sprintf("catalogue.machines[%d].", i)
		named(at+"names", len(m.Names) > 0)
		word(at+"category", string(m.Category), string(jobspec.Legacy), string(jobspec.ComputeEngine), string(jobspec.TPU))
	}
	for i, r := range k.Regions {
		named(fmt.Sprintf("catalogue.regions[%d].name", i), r.Name != "")
	}
	for i, r := range k.Runtimes {
		at := fmt.Sprintf("catalogue.runtimes[%d].", i)
		named(at+"version", r.Version != "")
		if c.file.Given(at + "tpu") {
			word(at+"tpu", r.TPU, "yes", "no")
		}
	}
	for i, p := range k.Pythons {
		named(fmt.Sprintf("catalogue.pythons[%d].version", i), p.Version != "")
	}
}
