// Package routes reads the operator's routes.yaml: which events are told to whom, where, and in which words.
//
// [Parse] checks the whole file and reports every fault at once. [File.Match] finds who is told of an event, and
// [File.Explain] says why. Routes form a tree as Alertmanager's do: an event goes down to the first child that
// matches, and past a child that says continue to the next ones; a route whose children all decline takes the
// event itself. Nothing here has I/O, and a File never changes.
package routes

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// document is the whole file.
type document struct {
	Destinations map[string]endpoint `json:"destinations"`
	Egress       egress              `json:"egress"`
	Owners       map[string]owner    `json:"owners"`
	Templates    map[string]template `json:"templates"`
	Route        *route              `json:"route"`
}

// endpoint is an entry of destinations: one of its kinds.
type endpoint struct {
	Slack        *Slack        `json:"slack"`
	SlackWebhook *SlackWebhook `json:"slackWebhook"`
	Webhook      *Webhook      `json:"webhook"`
	Email        *Email        `json:"email"`
	PagerDuty    *PagerDuty    `json:"pagerduty"`
	Every        string        `json:"every"`
}

type egress struct {
	Hosts    []string `json:"hosts"`
	Networks []string `json:"networks"`
}

type owner struct {
	Slack string `json:"slack"`
	Email string `json:"email"`
}

type template struct {
	Title   string `json:"title"`
	Summary string `json:"summary"`
	Next    string `json:"next"`
}

type route struct {
	Name     string   `json:"name"`
	Match    *match   `json:"match"`
	When     string   `json:"when"`
	To       []string `json:"to"`
	Template string   `json:"template"`
	Continue bool     `json:"continue"`
	Namable  []string `json:"namable"`
	Routes   []route  `json:"routes"`
}

type match struct {
	Types          []string            `json:"types"`
	States         []string            `json:"states"`
	Drops          []string            `json:"drops"`
	Labels         map[string][]string `json:"labels"`
	Backends       []string            `json:"backends"`
	ErrorCodes     []string            `json:"errorCodes"`
	TimeoutKinds   []string            `json:"timeoutKinds"`
	CorrelationIDs []string            `json:"correlationIds"`
	Uploaders      []string            `json:"uploaders"`
}

// Reference names a secret, as package reference reads it: secret://projects/P/secrets/S, with /versions/V if it is
// not the latest, or env://NAME. Where a URL is allowed it may be an https URL, too.
type Reference string

// IsURL reports whether the reference is a URL itself.
func (r Reference) IsURL() bool {
	return strings.HasPrefix(string(r), "https://") || strings.HasPrefix(string(r), "http://")
}

// Slack is a channel that a bot writes to, by its token.
type Slack struct {
	Token   Reference `json:"token"`
	Channel string    `json:"channel"`
	// URL is another base URL than https://slack.com: GovSlack's is https://slack-gov.com.
	URL string `json:"url"`
}

// SlackWebhook is an incoming webhook of Slack. Its URL is a secret.
type SlackWebhook struct {
	URL Reference `json:"url"`
}

// Webhook is a receiver of Standard Webhooks. Each key signs, so that keys can be changed without a gap.
type Webhook struct {
	URL  Reference   `json:"url"`
	Keys []Reference `json:"keys"`
}

// Email is a mail server, and who gets mail through it.
type Email struct {
	// Server is host:port.
	Server string `json:"server"`
	// TLS is starttls if empty, tls from the first byte on, or none.
	TLS      string    `json:"tls" enum:"starttls tls none"`
	Username string    `json:"username"`
	Password Reference `json:"password"`
	From     string    `json:"from"`
	To       []string  `json:"to"`
}

// PagerDuty is a service of PagerDuty, by the routing key of its integration for Events v2.
type PagerDuty struct {
	RoutingKey Reference `json:"routingKey"`
	// URL is another base URL than https://events.pagerduty.com.
	URL string `json:"url"`
	// Severity is that of outcomes, critical if empty.
	Severity string `json:"severity" enum:"critical error warning info"`
}

// Destination is where messages go: one of its kinds is not nil.
type Destination struct {
	Name string
	// Every is how often the destination gets a test message; 0 for never.
	Every        time.Duration
	Slack        *Slack
	SlackWebhook *SlackWebhook
	Webhook      *Webhook
	Email        *Email
	PagerDuty    *PagerDuty
}

// Kind returns the destination's kind by its key in the file.
func (d Destination) Kind() string {
	switch {
	case d.Slack != nil:
		return "slack"
	case d.SlackWebhook != nil:
		return "slackWebhook"
	case d.Webhook != nil:
		return "webhook"
	case d.Email != nil:
		return "email"
	case d.PagerDuty != nil:
		return "pagerduty"
	}
	return ""
}

// References returns the secrets that the destination names; those that it need not have may be empty.
func (d Destination) References() []Reference {
	switch {
	case d.Slack != nil:
		return []Reference{d.Slack.Token}
	case d.SlackWebhook != nil:
		return []Reference{d.SlackWebhook.URL}
	case d.Webhook != nil:
		return append([]Reference{d.Webhook.URL}, d.Webhook.Keys...)
	case d.Email != nil:
		return []Reference{d.Email.Password}
	case d.PagerDuty != nil:
		return []Reference{d.PagerDuty.RoutingKey}
	}
	return nil
}

// Progress reports whether the destination follows an attempt's progress by itself, where the others are told of
// outcomes and warnings.
func (d Destination) Progress() bool { return d.Slack != nil }

// Conversational reports whether the destination shows the newest state of a folder, so that an older event must
// not come after a newer one.
func (d Destination) Conversational() bool { return d.Slack != nil || d.PagerDuty != nil }

// CountsRepeats reports whether repeated rejections are counted in one message. A program gets each of them.
func (d Destination) CountsRepeats() bool { return d.Webhook == nil }

// takes reports whether the destination is told of events of a kind by itself.
func (d Destination) takes(k notice.Kind) bool { return k != notice.Progress || d.Progress() }

// Egress is what destinations may reach.
type Egress struct {
	// Hosts are all that may be reached, in lower case: the file's, the vendors' own, and the addresses within
	// Networks that URLs of the file name.
	Hosts []string
	// Networks are private ranges that may be reached; none otherwise.
	Networks []netip.Prefix
}

// Route is what a route says about how its events are told.
type Route struct {
	Name     string
	To       []string
	Template *notice.Template
}

// Has reports whether the route tells a destination.
func (r Route) Has(destination string) bool { return slices.Contains(r.To, destination) }

// File is a checked routes file.
type File struct {
	destinations map[string]Destination
	owners       map[string]owner
	egress       Egress
	root         *node
	nodes        map[string]*node
	file         *jobspec.Other
}

var kind = jobspec.NewKind[document]("the routes file", "a routes file",
	"describe destinations:, and a route: with to:", func(string) bool { return false })

// Parse reads and checks a routes file, whose name violations carry. It never panics. The violations are sorted by
// position; with an error among them there is no File.
func Parse(name string, data []byte) (*File, []job.Violation) {
	var d document
	c := &checker{file: jobspec.ParseOther(name, data, kind, &d), data: data, d: &d}
	f := c.check()
	vs := c.file.Violations()
	for i := range vs {
		advise(&vs[i])
		hide(&vs[i])
	}
	for begin := 0; begin < len(vs); { // of one place the errors come first
		end := begin + 1
		for end < len(vs) && vs[end].Position == vs[begin].Position {
			end++
		}
		slices.SortStableFunc(vs[begin:end], func(a, b job.Violation) int { return cmp.Compare(a.Severity, b.Severity) })
		begin = end
	}
	if job.HasErrors(vs) {
		return nil, vs
	}
	return f, vs
}

// Destination returns a destination by its name.
func (f *File) Destination(name string) (Destination, bool) {
	d, ok := f.destinations[name]
	return d, ok
}

// Destinations returns the names of the destinations, sorted.
func (f *File) Destinations() []string {
	names := make([]string, 0, len(f.destinations))
	for name := range f.destinations {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Route returns a route by its name.
func (f *File) Route(name string) (Route, bool) {
	n, ok := f.nodes[name]
	if !ok {
		return Route{}, false
	}
	return Route{Name: n.name, To: slices.Clone(n.to), Template: n.template}, true
}

// Owners returns the people whom the file names for an uploader.
func (f *File) Owners(uploader string) []notice.Owner {
	o, ok := f.owners[uploader]
	if !ok {
		return nil
	}
	return []notice.Owner{{Name: uploader, Slack: o.Slack, Email: o.Email}}
}

// Egress returns what destinations may reach.
func (f *File) Egress() Egress {
	return Egress{Hosts: slices.Clone(f.egress.Hosts), Networks: slices.Clone(f.egress.Networks)}
}
