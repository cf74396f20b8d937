package routes

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jobdrop/jobdrop/internal/check/glob"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/internal/text/reference"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// Bounds of the file: with those of a pattern and of an expression they bound the time that an event takes.
const (
	maxRoutes       = 1000
	maxDestinations = 200
	maxEntries      = 500
	maxKeys         = 5
	// minEvery keeps test messages from filling a channel.
	minEvery = time.Hour
)

// nameFormat is that of destinations, routes and templates: names become parts of objects' names.
var nameFormat = lazily(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// checker reports what is wrong in a routes file, as far as it could be read, and makes a [File] of it.
type checker struct {
	file *jobspec.Other
	data []byte
	d    *document
	out  *File

	templates map[string]*notice.Template
	fields    map[string]string // where each route's name stands
	used      map[string]bool   // destinations and templates, by their fields
	misnamed  bool              // a route names one that is not there, or what it names is missing
	misranged bool              // an entry of egress.networks is not valid
	mishosted []string          // the entries of egress.hosts that are not valid
	routes    int
}

func (c *checker) fail(rule job.Rule, field string, v job.Violation) {
	c.file.Report(rule, field, v)
}

func (c *checker) warn(rule job.Rule, field string, v job.Violation) {
	v.Severity = job.Warning
	c.fail(rule, field, v)
}

func (c *checker) check() *File {
	c.out = &File{
		destinations: map[string]Destination{}, owners: c.d.Owners, nodes: map[string]*node{}, file: c.file,
	}
	c.templates, c.fields, c.used = map[string]*notice.Template{}, map[string]string{}, map[string]bool{}
	c.empty()
	c.egress()
	c.destinations()
	for _, name := range slices.Sorted(maps.Keys(c.d.Owners)) {
		c.owner(name, "owners."+name)
	}
	for _, name := range slices.Sorted(maps.Keys(c.d.Templates)) {
		c.template(name, "templates."+name)
	}
	if c.d.Route == nil {
		if !c.file.Given("route") {
			c.fail(ruleRoutesRoute, "route", job.Violation{
				Message: "the file has no route, so nobody would be told of anything",
				Remedy:  "write route: with to: and a list of destinations",
			})
		}
		return c.out
	}
	c.out.root = c.route(c.d.Route, "route", nil)
	c.unused()
	return c.out
}

// empty finds what stands without a value: whether anything or nothing was meant can't be told.
func (c *checker) empty() {
	for _, field := range c.file.EmptyFields() {
		c.fail(ruleRoutesEmpty, field, job.Violation{
			Message: "nothing stands here, and what it means would be a guess",
			Remedy:  "write a value, or remove the line",
		})
	}
}

// name checks the name of a destination, a template or a route.
func (c *checker) name(field, name, what string) {
	if nameFormat.MatchString(name) {
		return
	}
	c.fail(ruleRoutesName, field, job.Violation{
		Message: "this can't be the name of a " + what, Found: text.Show(name, 80),
		Allowed: "1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends",
		Remedy:  "choose another name",
	})
}

func (c *checker) tooMany(field string, n, most int) bool {
	if n <= most {
		return false
	}
	c.fail(ruleRoutesLength, field, job.Violation{
		Message: "the list is too long", Found: fmt.Sprintf("%d entries", n),
		Allowed: fmt.Sprintf("at most %d", most), Remedy: "shorten the list",
	})
	return true
}

func (c *checker) owner(name, field string) {
	o := c.d.Owners[name]
	switch {
	case o.Slack == "" && o.Email == "":
		if !c.file.Empty(field) {
			c.fail(ruleRoutesOwner, field, job.Violation{
				Message: "nobody is named for the uploader",
				Remedy:  "write slack: and the ID of a user or a group, email: and an address, or both",
			})
		}
	case strings.TrimSpace(name) != name || name == "":
		c.fail(ruleRoutesOwner, field, job.Violation{
			Message: "no uploader has this name: it is held against the name as a whole",
			Remedy:  "write it without the space at its ends",
		})
	}
	if o.Slack != "" && !slackPerson.MatchString(o.Slack) {
		c.fail(ruleRoutesOwner, field+".slack", job.Violation{
			Message: "this is not the ID of a user or a group in Slack",
			Allowed: "U or W, or S for a group, and capital letters and digits, e.g. U0123456789",
			Remedy:  "copy it from the person's profile in Slack: three dots, Copy member ID",
		})
	}
	if o.Email != "" {
		c.address(field+".email", o.Email)
	}
}

func (c *checker) template(name, field string) {
	c.name(field, name, "template")
	t := c.d.Templates[name]
	if t == (template{}) {
		if !c.file.Empty(field) {
			c.fail(ruleRoutesTemplate, field, job.Violation{
				Message: "the template says nothing", Remedy: "write title:, summary: or next:",
			})
		}
		return
	}
	at := c.file.Position(field)
	parsed, faults := notice.ParseTemplate(notice.TemplateFields{
		Name:  fmt.Sprintf("%s:%d:%d: template %s", c.file.Name(), at.Line, at.Column, name),
		Title: t.Title, Summary: t.Summary, Next: t.Next,
	})
	values := map[string]string{"title": t.Title, "summary": t.Summary, "next": t.Next}
	for _, f := range faults {
		c.failAt(ruleRoutesTemplate, field+"."+f.Field, values[f.Field], f.Offset, job.Violation{
			Message: f.Message, Remedy: "docs/notify.md lists the variables and functions",
		})
	}
	if strings.Contains(strings.TrimSpace(t.Title), "\n") {
		c.warn(ruleRoutesTemplate, field+".title", job.Violation{
			Message: "a title is one line; its line breaks become spaces",
			Remedy:  "put what follows into summary",
		})
	}
	c.templates[name] = parsed // nil if it could not be parsed
}

// route checks a route and those below it.
func (c *checker) route(r *route, at string, above *node) *node {
	n := &node{
		name: r.Name, at: c.file.Position(at), to: r.To, goOn: r.Continue, namable: r.Namable, byName: r.Namable != nil,
	}
	if c.routes++; c.routes > maxRoutes {
		if c.routes == maxRoutes+1 {
			c.fail(ruleRoutesLength, at, job.Violation{
				Message: "the file has too many routes", Allowed: fmt.Sprintf("at most %d", maxRoutes),
				Remedy: "let patterns stand for several routes",
			})
		}
		return n
	}
	if above != nil {
		n.depth = above.depth + 1
	}
	c.routeName(n, at, above)
	c.to(n, r, at, above)
	if r.Match != nil {
		c.match(n, r.Match, at+".match")
	}
	if c.file.Given(at + ".when") {
		c.when(n, r, at+".when")
	}
	if r.Namable != nil {
		c.patterns(at+".namable", r.Namable)
		for i, p := range r.Namable {
			c.folder(fmt.Sprintf("%s.namable[%d]", at, i), p)
		}
	}
	if above == nil && r.Continue {
		c.fail(ruleRoutesContinue, at+".continue", job.Violation{
			Message: "nothing comes after the first route", Remedy: "remove the line",
		})
	}
	for i := range r.Routes {
		child := c.route(&r.Routes[i], fmt.Sprintf("%s.routes[%d]", at, i), n)
		n.routes = append(n.routes, child)
		if i+1 < len(r.Routes) && !child.goOn && child.takesAll() {
			c.warn(ruleRoutesUnreached, fmt.Sprintf("%s.routes[%d]", at, i), job.Violation{
				Message: "the route takes every event, so the routes after it get none",
				Remedy:  "write match:, when: or continue: true, or put it last",
			})
		}
	}
	n.inherits = r.To == nil
	if len(n.told) > 0 && !n.inherits && n.passesAll() && !slices.ContainsFunc(n.routes, (*node).usesAbove) {
		c.warn(ruleRoutesUnreached, at+".to", job.Violation{
			Message: "a route below takes every event, so nobody is told by this one",
			Remedy:  "write a last route below it with a name alone: it takes what is left, and tells these destinations",
		})
	}
	return n
}

// takesAll reports whether a route takes every event that comes to it.
func (n *node) takesAll() bool {
	return n.whenText == "" && !n.byName &&
		!slices.ContainsFunc(n.criteria, func(c criterion) bool { return !c.meetsAll() })
}

// passesAll reports whether a route below takes every event that comes to this one.
func (n *node) passesAll() bool { return slices.ContainsFunc(n.routes, (*node).takesAll) }

// usesAbove reports whether the route, or one below it, tells the destinations of the one above.
func (n *node) usesAbove() bool {
	return n.inherits && (!n.passesAll() || slices.ContainsFunc(n.routes, (*node).usesAbove))
}

// meetsAll reports whether every event meets a criterion.
func (c criterion) meetsAll() bool {
	var all []string
	switch c.subject {
	case byType:
		all = Types()
	case byState:
		all = States()
	case byDrop:
		return slices.Contains(c.patterns, "**")
	default: // which an event may lack
		return false
	}
	return !slices.ContainsFunc(all, func(value string) bool { return !matches(c.patterns, value) })
}

func (c *checker) routeName(n *node, at string, above *node) {
	field := at + ".name"
	switch {
	case n.name == "" && above == nil:
		n.name = "default"
	case n.name == "":
		c.fail(ruleRoutesName, field, job.Violation{
			Message: "the route has no name", Allowed: "a name that no other route has",
			Remedy: "write name: and what the route is for; messages are recorded under it",
		})
		return
	default:
		c.name(field, n.name, "route")
	}
	if first, twice := c.fields[n.name]; twice {
		pos := c.file.Position(first)
		c.fail(ruleRoutesName, field, job.Violation{
			Message: fmt.Sprintf("the route in line %d has this name, too", pos.Line),
			Remedy:  "choose another name",
		})
		return
	}
	c.fields[n.name] = field
	c.out.nodes[n.name] = n
}

// to finds the destinations and the template of a route, its own or those of the one above.
func (c *checker) to(n *node, r *route, at string, above *node) {
	switch {
	case r.To != nil:
		c.destinationsOf(n, at+".to")
	case above != nil:
		n.to, n.told = above.to, above.told
	case c.file.Empty(at + ".to"):
		c.misnamed = true
	case !c.file.Given(at + ".to"):
		c.misnamed = true
		c.fail(ruleRoutesTo, at+".to", job.Violation{
			Message: "the first route does not say who is told",
			Remedy:  "write to: and a list of destinations, or [] if only routes below it tell anybody",
		})
	}
	switch {
	case r.Template != "":
		field := at + ".template"
		t, known := c.templates[r.Template]
		if !known {
			v := job.Violation{Message: "the file has no template of this name"}
			c.choose(&v, r.Template, slices.Sorted(maps.Keys(c.d.Templates)), "templates")
			c.fail(ruleRoutesTemplate, field, v)
		}
		n.template, c.used["templates."+r.Template] = t, true
	case above != nil:
		n.template = above.template
	}
}

func (c *checker) destinationsOf(n *node, field string) {
	if c.tooMany(field, len(n.to), maxDestinations) {
		return
	}
	seen := map[string]bool{}
	for i, name := range n.to {
		at := fmt.Sprintf("%s[%d]", field, i)
		if name == "" && c.file.Empty(at) {
			continue
		}
		d, known := c.out.destinations[name]
		v := job.Violation{}
		switch {
		case !known:
			v.Message = "the file has no destination of this name"
			c.choose(&v, name, slices.Sorted(maps.Keys(c.d.Destinations)), "destinations")
			c.fail(ruleRoutesTo, at, v)
			continue
		case seen[name]:
			v.Message, v.Remedy = "the destination stands twice", "remove one of the two"
			c.fail(ruleRoutesTo, at, v)
			continue
		}
		seen[name], c.used["destinations."+name] = true, true
		n.told = append(n.told, d)
	}
}

// choose completes the violation of a name that is not known.
func (c *checker) choose(v *job.Violation, name string, known []string, section string) {
	c.misnamed = true
	best, least := "", 3
	for _, k := range known {
		if len(name) < 70 {
			if d := text.Distance(name, k); d < least && d < len(name) && d <= max(1, len(k)/3) {
				best, least = k, d
			}
		}
	}
	v.Remedy = "write it below " + section + ":, or use one that is there"
	if best != "" {
		v.Message += "; did you mean " + best + "?"
		v.Remedy = "write " + best
	}
	if v.Allowed = strings.Join(known[:min(len(known), 10)], ", "); len(known) > 10 {
		v.Allowed += fmt.Sprintf(", %d more", len(known)-10)
	}
}

// unused warns of what no route uses.
func (c *checker) unused() {
	if c.misnamed { // it may be what is meant there
		return
	}
	for _, section := range [...]struct {
		name string
		keys []string
	}{
		{"destinations", slices.Sorted(maps.Keys(c.d.Destinations))},
		{"templates", slices.Sorted(maps.Keys(c.d.Templates))},
	} {
		for _, name := range section.keys {
			field := section.name + "." + name
			if c.used[field] || section.name == "destinations" && c.out.destinations[name].Every > 0 {
				continue
			}
			c.warn(ruleRoutesUnused, field, job.Violation{
				Message: "no route names it", Remedy: "name it in a route, or remove it",
			})
		}
	}
}

func (c *checker) match(n *node, m *match, at string) {
	for _, l := range [...]struct {
		subject  subject
		field    string
		patterns []string
		known    []string
	}{
		{byType, "types", m.Types, Types()},
		{byState, "states", m.States, States()},
		{byDrop, "drops", m.Drops, nil},
		{byBackend, "backends", m.Backends, []string{"aiplatform", "vertex"}},
		{byErrorCode, "errorCodes", m.ErrorCodes, nil},
		{byTimeoutKind, "timeoutKinds", m.TimeoutKinds, []string{job.KindWait, job.KindRun}},
		{byCorrelationID, "correlationIds", m.CorrelationIDs, nil},
		{byUploader, "uploaders", m.Uploaders, nil},
	} {
		field := at + "." + l.field
		if l.patterns == nil {
			continue
		}
		n.criteria = append(n.criteria, criterion{subject: l.subject, field: "match." + l.field, patterns: l.patterns})
		c.patterns(field, l.patterns)
		for i, p := range l.patterns {
			entry := fmt.Sprintf("%s[%d]", field, i)
			switch {
			case p == "" || !clean(p): // reported already
			case l.subject == byDrop:
				c.folder(entry, p)
			case l.known != nil:
				c.known(entry, p, l.field, l.known)
			}
		}
	}
	n.typed = m.Types != nil
	for _, key := range slices.Sorted(maps.Keys(m.Labels)) {
		field := at + ".labels." + key
		n.criteria = append(n.criteria, criterion{
			subject: byLabel, label: key, field: "match.labels." + key, patterns: m.Labels[key],
		})
		c.patterns(field, m.Labels[key])
		if !labelKey.MatchString(key) {
			c.warn(ruleRoutesLabel, field, job.Violation{
				Message: "no job has a label of this name", Found: text.Show(key, 80),
				Allowed: "a lower-case letter, then lower-case letters, digits, _ and -",
				Remedy:  "write the label's name as the job file has it",
			})
		}
	}
	if c.file.Given(at) && len(n.criteria) == 0 && !c.anyEmpty(at) {
		c.warn(ruleRoutesMatch, at, job.Violation{
			Message: "the match asks for nothing, so every event matches",
			Remedy:  "write a list, or remove match:",
		})
	}
}

var labelKey = lazily(`^\p{Ll}[\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)

func (c *checker) anyEmpty(at string) bool {
	return slices.ContainsFunc(c.file.EmptyFields(), func(f string) bool { return strings.HasPrefix(f, at+".") })
}

// patterns checks what holds for every list of patterns.
func (c *checker) patterns(field string, list []string) {
	if len(list) == 0 {
		c.fail(ruleRoutesPattern, field, job.Violation{
			Message: "an empty list matches nothing", Remedy: "write a pattern, or remove the line",
		})
		return
	}
	if c.tooMany(field, len(list), maxEntries) {
		return
	}
	for i, p := range list {
		at := fmt.Sprintf("%s[%d]", field, i)
		v := job.Violation{}
		switch wildcards := glob.Wildcards(p); {
		case c.file.Empty(at):
		case p == "":
			v.Message, v.Remedy = "an empty pattern matches nothing", "remove the entry"
			c.fail(ruleRoutesPattern, at, v)
		case len(p) > glob.MaxPattern || wildcards > glob.MaxWildcards:
			v.Message, v.Remedy = "the pattern is too long", "write two patterns"
			v.Found = fmt.Sprintf("%d bytes, %d wildcards", len(p), wildcards)
			v.Allowed = fmt.Sprintf("at most %d bytes and %d wildcards", glob.MaxPattern, glob.MaxWildcards)
			c.fail(ruleRoutesPattern, at, v)
		case !clean(p):
			v.Message = "the pattern begins or ends with a space, or has a character that can't be seen"
			v.Remedy = "write it again, without"
			c.fail(ruleRoutesPattern, at, v)
		case strings.ContainsAny(p, `?[]{}\^$|`):
			v.Message = "the pattern has characters that mean something elsewhere; here they stand for themselves"
			v.Allowed = "* for any characters other than /, ** for any characters at all"
			v.Remedy = "write a pattern for each case"
			c.warn(ruleRoutesPattern, at, v)
		}
	}
}

// clean reports whether a pattern has no space at its ends and no character that can't be seen.
func clean(p string) bool {
	return strings.TrimSpace(p) == p && !strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsPrint(r) })
}

// folder checks a pattern of folders.
func (c *checker) folder(field, pattern string) {
	if strings.Contains(pattern, "://") || strings.HasPrefix(pattern, "/") {
		c.fail(ruleRoutesDrop, field, job.Violation{
			Message: "the pattern matches no folder: it is held against the folder's name within the inbox",
			Allowed: "a pattern such as teams/nlp/**", Remedy: "leave out the bucket and the first slash",
		})
	}
}

// known checks a pattern of words that are known. A word of a later release is in nobody's file yet.
func (c *checker) known(field, pattern, list string, known []string) {
	if slices.ContainsFunc(known, func(k string) bool { return glob.Match(pattern, k, "/") }) {
		return
	}
	v := job.Violation{
		Message: "no event has this " + thing(list), Remedy: "write one of those allowed",
	}
	v.Allowed = strings.Join(known, ", ")
	if meant := meantBy(pattern, known); meant != "" {
		v.Message += "; did you mean " + meant + "?"
		v.Remedy = "write " + meant
	}
	c.fail(ruleOfList(list), field, v)
}

// ruleOfList returns the rule of the words in a list of match.
func ruleOfList(list string) job.Rule {
	return map[string]job.Rule{
		"types": ruleRoutesTypes, "states": ruleRoutesStates, "backends": ruleRoutesBackends,
		"timeoutKinds": ruleRoutesTimeoutKinds,
	}[list]
}

// thing returns what an entry of a list of match is called.
func thing(list string) string {
	return map[string]string{
		"types": "type", "states": "state", "backends": "backend", "timeoutKinds": "kind of timeout",
	}[list]
}

// meantBy returns the known word that a pattern is another spelling of, or "".
func meantBy(pattern string, known []string) string {
	if len(pattern) > 70 {
		return ""
	}
	spelt := strings.ToLower(strings.ReplaceAll(job.EventType(pattern).Short(), "-", "_"))
	for _, k := range known {
		if spelt == k || strings.HasSuffix(k, "."+spelt) || text.Distance(spelt, k) <= 2 {
			return k
		}
	}
	return ""
}

// Types returns the short names of the events.
func Types() []string {
	var names []string
	for _, t := range [...]job.EventType{
		job.DropIncomplete, job.DropRejected, job.DropWithdrawn, job.DropExpired, job.DropAccepted, job.JobSubmitted,
		job.JobQueued, job.JobPreparing, job.JobRunning, job.JobDelayed, job.JobSucceeded, job.JobFailed, job.JobCancelled,
		job.JobTimedOut, job.JobLost,
	} {
		names = append(names, t.Short())
	}
	return names
}

// States returns the names of the states of an attempt, in their order.
func States() []string {
	var names []string
	for _, s := range job.States() {
		names = append(names, string(s))
	}
	return names
}

func (c *checker) when(n *node, r *route, field string) {
	n.whenText, n.whenAt = r.When, c.file.Position(field)
	condition, err := notice.CompileWhen(r.When)
	if err != nil {
		n.whenText = " " // there was one
		offset := 0
		if at, ok := err.(*notice.ExpressionError); ok {
			offset = at.Offset
		}
		c.failAt(ruleRoutesWhen, field, r.When, offset, job.Violation{
			Message: err.Error(), Remedy: "docs/notify.md lists the variables and functions",
		})
		return
	}
	n.when = condition
}

var (
	slackPerson  = lazily(`^[UWS][A-Z0-9]{4,20}$`)
	slackChannel = lazily(`^[CGD][A-Z0-9]{4,20}$`)
	host         = lazily(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	address      = lazily("^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@" +
		`([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
)

// vendors are the hosts of the services that destinations are named after.
func vendors() []string {
	return []string{"events.eu.pagerduty.com", "events.pagerduty.com", "hooks.slack.com", "slack.com"}
}

func (c *checker) egress() {
	c.out.egress.Hosts = vendors()
	c.tooMany("egress.hosts", len(c.d.Egress.Hosts), maxEntries)
	c.tooMany("egress.networks", len(c.d.Egress.Networks), maxEntries)
	for i, n := range c.d.Egress.Networks {
		c.network(fmt.Sprintf("egress.networks[%d]", i), n)
	}
	for i, h := range c.d.Egress.Hosts {
		c.host(fmt.Sprintf("egress.hosts[%d]", i), strings.ToLower(strings.TrimSuffix(h, ".")))
	}
}

// host checks an entry of egress.hosts.
func (c *checker) host(field, h string) {
	if ip, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil {
		h = ip.String()
	} else if c.file.Empty(field) {
		return
	} else if !host.MatchString(h) || len(h) > 253 {
		c.fail(ruleRoutesHost, field, job.Violation{
			Message: "this is not the name of a host", Allowed: "a name such as ops.example.com",
			Remedy: "write the host alone, without a scheme, port, path or wildcard",
		})
		c.mishosted = append(c.mishosted, h)
		return
	}
	if network := opens(h); network != "" && !c.within(h) {
		if !c.misranged {
			c.closed(field, h, network)
		}
		c.mishosted = append(c.mishosted, h)
		return
	}
	c.reach(h)
}

// network checks an entry of egress.networks.
func (c *checker) network(field, n string) {
	if c.file.Empty(field) {
		return
	}
	prefix, err := netip.ParsePrefix(n)
	v := job.Violation{}
	switch {
	case err != nil:
		v.Message, v.Allowed = "this is not a range of addresses", "a range such as 10.1.0.0/16"
		v.Remedy = "write an address, a slash and the number of bits"
	case prefix.Bits() == 0:
		v.Message = "the range holds all addresses, those of the function's own credentials among them"
		v.Remedy = "write the ranges that the receivers are in"
	default:
		for _, m := range metadata() {
			if prefix.Contains(m) {
				v.Message = fmt.Sprintf("the range holds %v, which gives out the function's own credentials", m)
				v.Remedy = "write the ranges that the receivers are in"
			}
		}
		for _, t := range translated() {
			if prefix.Overlaps(t) {
				v.Message = fmt.Sprintf("the range shares addresses with %v, which stand for those of IPv4: also for "+
					"169.254.169.254, which gives out the function's own credentials", t)
				v.Remedy = "write the range of IPv4 that the receivers are in"
			}
		}
	}
	if v.Message != "" {
		c.misranged = true
		c.fail(ruleRoutesNetwork, field, v)
		return
	}
	if prefix != prefix.Masked() {
		c.warn(ruleRoutesNetwork, field, job.Violation{
			Message: "the address is not the first of its range; the whole range is meant",
			Remedy:  "write " + prefix.Masked().String(),
		})
	}
	c.out.egress.Networks = append(c.out.egress.Networks, prefix.Masked())
}

// metadata are the addresses at which Google Cloud answers programs on its machines:
// https://cloud.google.com/compute/docs/metadata/querying-metadata
func metadata() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("fd20:ce::254")}
}

func isMetadata(ip netip.Addr) bool { return slices.Contains(metadata(), ip) }

// translated are the ranges of IPv6 whose addresses stand for ones of IPv4: mapped and compatible ones (RFC 4291),
// those of NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056) and Teredo (RFC 4380).
func translated() []netip.Prefix {
	var list []netip.Prefix
	for _, r := range [...]string{
		"::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32",
	} {
		list = append(list, netip.MustParsePrefix(r))
	}
	return list
}

// reach adds a host to those that may be reached.
func (c *checker) reach(host string) {
	if i, found := slices.BinarySearch(c.out.egress.Hosts, host); !found {
		c.out.egress.Hosts = slices.Insert(c.out.egress.Hosts, i, host)
	}
}

// within reports whether a host is an address of egress.networks, or localhost while those hold it.
func (c *checker) within(host string) bool {
	ip, err := netip.ParseAddr(host)
	if host == "localhost" {
		ip, err = netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	return err == nil && slices.ContainsFunc(c.out.egress.Networks,
		func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}

func (c *checker) destinations() {
	if len(c.d.Destinations) == 0 && !c.file.Empty("destinations") {
		c.fail(ruleRoutesDestination, "destinations", job.Violation{
			Message: "the file has no destination", Remedy: "write destinations: and one below it",
		})
	}
	if c.tooMany("destinations", len(c.d.Destinations), maxDestinations) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.d.Destinations)) {
		field := "destinations." + name
		c.name(field, name, "destination")
		e := c.d.Destinations[name]
		d := Destination{
			Name: name, Slack: e.Slack, SlackWebhook: e.SlackWebhook, Webhook: e.Webhook,
			Email: e.Email, PagerDuty: e.PagerDuty,
		}
		c.kinds(field, d)
		d.Every = c.every(field+".every", e.Every)
		c.out.destinations[name] = d
	}
}

// kinds checks what a destination's kind needs.
func (c *checker) kinds(field string, d Destination) {
	n := 0
	if s := d.Slack; s != nil {
		n++
		c.secret(field+".slack.token", s.Token, true)
		c.required(field+".slack.channel", s.Channel, "the channel's ID, e.g. C0123456789")
		if s.Channel != "" && !slackChannel.MatchString(s.Channel) {
			c.fail(ruleRoutesSlackChannel, field+".slack.channel", job.Violation{
				Message: "this is not the ID of a channel: a name may come to mean another one",
				Allowed: "C, and capital letters and digits, e.g. C0123456789",
				Remedy:  "copy it from the end of the channel's details in Slack",
			})
		}
		if s.URL != "" && !c.incoming(field+".slack.url", s.URL) {
			c.url(field+".slack.url", s.URL)
		}
	}
	if s := d.SlackWebhook; s != nil {
		n++
		at := field + ".slackWebhook.url"
		c.secretURL(at, s.URL)
		if u, err := url.Parse(string(s.URL)); err == nil && s.URL.IsURL() && !c.within(u.Hostname()) {
			c.fail(ruleRoutesSecret, at, job.Violation{
				Message: "a secret must not stand in the file: whoever has this URL can write to the channel",
				Found:   hidden, Allowed: "secret://projects/PROJECT/secrets/NAME, or env://NAME",
				Remedy: "put it into Secret Manager, and write secret://projects/PROJECT/secrets/NAME; " +
					"whoever has read the file knows the URL, so replace it",
			})
		}
	}
	if w := d.Webhook; w != nil {
		n++
		if !c.incoming(field+".webhook.url", string(w.URL)) {
			c.secretURL(field+".webhook.url", w.URL)
		}
		keys := field + ".webhook.keys"
		if len(w.Keys) == 0 && !c.file.Empty(keys) {
			c.fail(ruleRoutesRequired, keys, job.Violation{
				Message: "the receiver could not tell who sent a message: there is no key to sign it with",
				Remedy:  "write keys: and a list of secret://projects/PROJECT/secrets/NAME",
			})
		}
		c.tooMany(keys, len(w.Keys), maxKeys)
		for i, key := range w.Keys {
			c.secret(fmt.Sprintf("%s[%d]", keys, i), key, true)
		}
	}
	if m := d.Email; m != nil {
		n++
		c.email(field+".email", m)
	}
	if p := d.PagerDuty; p != nil {
		n++
		c.secret(field+".pagerduty.routingKey", p.RoutingKey, true)
		if p.URL != "" {
			c.url(field+".pagerduty.url", p.URL)
		}
	}
	kinds := []string{"slack", "slackWebhook", "webhook", "email", "pagerduty"}
	for _, k := range kinds {
		if c.file.Given(field+"."+k) || c.file.Empty(field+"."+k) {
			n = max(n, 1) // it was written, and is reported by itself
		}
	}
	if n != 1 && !c.file.Empty(field) {
		v := job.Violation{
			Message: "the destination has no kind", Allowed: strings.Join(kinds, ", "),
			Remedy: "write one of those allowed below it",
		}
		if n > 1 {
			v.Message, v.Remedy = "the destination is of several kinds", "write a destination for each, and name them in to:"
		}
		c.fail(ruleRoutesDestination, field, v)
	}
}

// incoming reports whether a URL is that of an incoming webhook of Slack, where another one is needed.
func (c *checker) incoming(field, value string) bool {
	u, err := url.Parse(value)
	if err != nil || !strings.EqualFold(u.Hostname(), "hooks.slack.com") {
		return false
	}
	c.fail(ruleRoutesSlackWebhook, field, job.Violation{
		Message: "this is the URL of an incoming webhook of Slack; did you mean slackWebhook?",
		Found:   hidden, Remedy: "write slackWebhook: with url: and a reference to the URL, which is a secret",
	})
	return true
}

func (c *checker) email(field string, m *Email) {
	c.required(field+".server", m.Server, "host:port, e.g. smtp.example.com:587")
	host := ""
	if m.Server != "" {
		host = c.server(field+".server", m.Server)
	}
	c.required(field+".from", m.From, "the address that mail is sent from")
	if m.From != "" {
		c.address(field+".from", m.From)
	}
	if len(m.To) == 0 && !c.file.Empty(field+".to") {
		c.required(field+".to", "", "the addresses that mail is sent to")
	}
	c.tooMany(field+".to", len(m.To), 50)
	for i, to := range m.To {
		if at := fmt.Sprintf("%s.to[%d]", field, i); !c.file.Empty(at) {
			c.address(at, to)
		}
	}
	c.secret(field+".password", m.Password, false)
	switch {
	case m.Username != "" && m.Password == "":
		c.required(field+".password", "", "secret://projects/PROJECT/secrets/NAME")
	case m.Username == "" && m.Password != "":
		c.required(field+".username", "", "the name that the password belongs to")
	case m.TLS == "none" && m.Password != "":
		c.fail(ruleRoutesTLS, field+".tls", job.Violation{
			Message: "the password would be sent in clear", Remedy: "write starttls or tls",
		})
	case m.TLS == "none" && host != "" && !isLoopback(host):
		c.fail(ruleRoutesTLS, field+".tls", job.Violation{
			Message: "mail would go to another machine in clear",
			Allowed: "none only for a server on localhost or at an address such as 127.0.0.1", Remedy: "write starttls or tls",
		})
	}
}

// required reports a setting that is missing.
func (c *checker) required(field, value, allowed string) {
	if value != "" || c.file.Empty(field) {
		return
	}
	name := field[strings.LastIndexByte(field, '.')+1:]
	c.fail(ruleRoutesRequired, field, job.Violation{
		Message: name + " is missing", Allowed: allowed, Remedy: "write " + name + ": and " +
			allowed,
	})
}

func (c *checker) every(field, value string) time.Duration {
	if !c.file.Given(field) {
		return 0
	}
	d, err := time.ParseDuration(value)
	v := job.Violation{
		Message: "this is not a duration", Allowed: "1h or more, such as 24h or 90m",
		Remedy: "write 24h, for example",
	}
	switch {
	case err == nil && d < minEvery:
		v.Message = "the duration is too short: test messages would fill the channel"
	case err == nil && d > 366*24*time.Hour:
		v.Message, v.Allowed = "the duration is too long", "at most 8784h, a year"
	case err == nil:
		return d
	}
	c.fail(ruleRoutesDuration, field, v)
	return 0
}

// secret checks a reference to a secret.
func (c *checker) secret(field string, r Reference, required bool) {
	if r == "" {
		if required {
			c.required(field, "", "secret://projects/PROJECT/secrets/NAME")
		}
		return
	}
	if _, ok := reference.Parse(string(r)); ok {
		return
	}
	v := job.Violation{
		Message: "a secret must not stand in the file", Found: hidden,
		Allowed: "secret://projects/PROJECT/secrets/NAME, or env://NAME",
		Remedy: "put it into Secret Manager, and write secret://projects/PROJECT/secrets/NAME; " +
			"whoever has read the file knows the secret, so replace it",
	}
	switch text := string(r); {
	case strings.HasPrefix(text, "secret://"):
		v.Message = "this is not the name of a secret"
		v.Allowed = "secret://projects/PROJECT/secrets/NAME, or with /versions/ and a number or an alias after it"
		v.Remedy = "write the name as Secret Manager shows it"
	case strings.HasPrefix(text, "env://"):
		v.Message, v.Allowed = "this is not the name of an environment variable", "env://NAME"
		v.Remedy = "write env:// and letters, digits and _"
	case isReference("secret://" + text):
		v.Message = "this is the name of a secret, but not a reference; did you mean secret://" + text + "?"
		v.Remedy = "write secret:// before it"
	case strings.HasPrefix(text, "${") && strings.HasSuffix(text, "}") && isReference("env://"+text[2:len(text)-1]):
		v.Message = "variables are not replaced here; did you mean env://" + text[2:len(text)-1] + "?"
		v.Remedy = "write env:// before the variable's name, without $ and braces"
	case text[0] == '$' && isReference("env://"+text[1:]): // it may be a password all the same
		v.Message = "a secret must not stand in the file, and variables are not replaced here"
		v.Remedy = "if it is a variable's name, write env:// before it in place of $; else put it into Secret Manager"
	}
	c.fail(ruleRoutesSecret, field, v)
}

func isReference(text string) bool {
	_, ok := reference.Parse(text)
	return ok
}

// secretURL checks a URL, or a reference to one.
func (c *checker) secretURL(field string, r Reference) {
	switch {
	case r == "":
		c.required(field, "", "secret://projects/PROJECT/secrets/NAME, env://NAME or an https URL")
	case strings.Contains(string(r), "://") && !strings.HasPrefix(string(r), "secret://") &&
		!strings.HasPrefix(string(r), "env://"):
		c.url(field, string(r))
	case isReference("secret://" + string(r)), strings.Contains(string(r), "://"), r[0] == '$':
		c.secret(field, r, true)
	default:
		c.url(field, string(r))
	}
}

// url checks a URL that messages are sent to.
func (c *checker) url(field, value string) {
	u, err := url.Parse(value)
	v := job.Violation{}
	if err != nil || u.Host == "" || u.Opaque != "" || strings.TrimSpace(value) != value || u.Fragment != "" {
		v.Message, v.Allowed, v.Remedy = "this is not a URL", "https://HOST/PATH",
			"write https:// and the rest of the receiver's address"
		c.fail(ruleRoutesURL, field, v)
		return
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch {
	case u.User != nil:
		v.Message, v.Remedy = "a secret must not stand in the file",
			"put the whole URL into Secret Manager, and write secret://projects/PROJECT/secrets/NAME"
		c.fail(ruleRoutesSecret, field, v)
		return
	case u.Scheme == "http" && opens(host) != "":
	case u.Scheme != "https":
		v.Message, v.Allowed = "messages would be sent in clear",
			"https; http only to localhost and to addresses of egress.networks"
		v.Remedy = "write https://"
		c.fail(ruleRoutesURL, field, v)
		return
	}
	c.allowed(field, host)
}

// allowed checks that a host may be reached.
func (c *checker) allowed(field, host string) {
	if c.within(host) {
		c.reach(host)
		return
	}
	if _, found := slices.BinarySearch(c.out.egress.Hosts, host); found || c.meant(host) {
		return
	}
	if network := opens(host); network != "" {
		if !c.misranged {
			c.closed(field, host, network)
		}
		return
	}
	c.fail(ruleRoutesEgress, field, job.Violation{
		Message: "the host " + text.Show(host, 80) + " is not one of those that may be reached",
		Remedy:  "add it to egress.hosts",
	})
}

// meant reports whether an entry of egress.hosts that was reported already is meant to be the host.
func (c *checker) meant(host string) bool {
	return slices.ContainsFunc(c.mishosted, func(entry string) bool {
		return strings.Contains(entry, host) || glob.Match(entry, host, "/")
	})
}

// closed reports a host that only egress.networks opens.
func (c *checker) closed(field, host, network string) {
	v := job.Violation{
		Message: "the address " + host + " is a private one, which is reached through egress.networks alone",
		Remedy:  "add " + network + " to the list egress.networks",
	}
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && isMetadata(ip.Unmap()):
		v.Message = "the address " + host + " gives out the function's own credentials"
		v.Remedy = "write the receiver's address"
	case err != nil || ip.IsLoopback():
		v.Message = host + " is the machine that Notify runs on, which is reached through egress.networks alone"
	}
	c.fail(ruleRoutesEgress, field, v)
}

// opens returns the entry of egress.networks that opens a host, or "" for a host that needs none.
func opens(host string) string {
	if host == "localhost" {
		return "127.0.0.0/8"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	switch ip = ip.Unmap(); {
	case ip.IsLoopback() && ip.Is4():
		return "127.0.0.0/8"
	case ip.IsPrivate(), !ip.IsGlobalUnicast(), shared.Contains(ip):
		return netip.PrefixFrom(ip, ip.BitLen()).String()
	}
	return ""
}

// shared are the addresses that providers share among customers: RFC 6598.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// server checks a mail server's host and port, and returns the host; "" if it is not valid.
func (c *checker) server(field, value string) string {
	host, port, ok := strings.Cut(value, ":")
	if i := strings.LastIndexByte(value, ':'); strings.HasPrefix(value, "[") && i > 0 {
		host, port = strings.Trim(value[:i], "[]"), value[i+1:]
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || number == 0 || host == "" || strings.ContainsAny(host, "/@ ") {
		c.fail(ruleRoutesServer, field, job.Violation{
			Message: "this is not a host and a port", Allowed: "host:port, e.g. smtp.example.com:587",
			Remedy: "write the mail server's name, a colon and its port",
		})
		return ""
	}
	host = strings.ToLower(host)
	c.allowed(field, host)
	return host
}

// isLoopback reports whether a host is this machine itself.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func (c *checker) address(field, value string) {
	if !address.MatchString(value) {
		c.fail(ruleRoutesAddress, field, job.Violation{
			Message: "this is not an e-mail address", Allowed: "an address such as ml@example.com",
			Remedy: "write the address alone, without a name",
		})
	}
}
