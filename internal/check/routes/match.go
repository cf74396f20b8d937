package routes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/glob"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Match says that a destination is told of an event.
type Match struct {
	Route, Destination string
	// Template is nil for jobdrop's own words.
	Template *notice.Template
	// Faults are what is wrong in the routes file, each in a line: the route takes the event since the expressions
	// of routes below it failed.
	Faults []string
}

// Fault is an expression that failed. Its route counts as one that does not match.
type Fault struct {
	Route string
	// File and Position are those of the expression, Expression is its text, shortened.
	File string
	job.Position
	Expression string
	Message    string
}

// String returns the fault in a line.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d:%d: route %s: when: %s (%s)", f.File, f.Line, f.Column, f.Route, f.Message, f.Expression)
}

// node is a route.
type node struct {
	name     string
	at       job.Position
	depth    int
	criteria []criterion
	when     *notice.Condition
	whenText string
	whenAt   job.Position
	namable  []string
	byName   bool // namable is there: the job file must name the route
	typed    bool // match.types is there
	inherits bool // to is that of the route above
	to       []string
	told     []Destination // those of to
	template *notice.Template
	goOn     bool
	routes   []*node
}

// subject is what a criterion is about.
type subject int

const (
	byType subject = iota
	byState
	byDrop
	byBackend
	byErrorCode
	byTimeoutKind
	byCorrelationID
	byUploader
	byLabel
	subjects = byLabel
)

// criterion is one list of a match. One of its patterns has to match.
type criterion struct {
	subject  subject
	label    string
	field    string // within the route, for explanations
	patterns []string
}

// query is an event as it goes through the tree.
type query struct {
	file   *File
	e      notice.Event
	kind   notice.Kind
	values [subjects]string
	scope  *notice.Scope // made for the first expression
	// matches and faults are the result. pending are the faults below the route that the walk is in, which it names
	// in its matches if it takes the event itself.
	matches []Match
	faults  []Fault
	pending []string
	// failed are the routes whose expressions failed. held are the faults of those that the walk takes as ones that
	// hold. told counts the destinations that are told, and silent is set once the tree has told none.
	failed []failure
	held   []string
	told   int
	silent bool
	// trace, if not nil, gets a decision for each route, whose place is in traced.
	trace  *[]Decision
	traced map[*node]int
}

// failure is a route whose expression failed, and what it said.
type failure struct {
	node *node
	verdict
}

// holding returns the verdict of a route whose expression failed, and that takes the event all the same.
func (v verdict) holding() verdict {
	return verdict{outcome: Takes, because: "its expression failed, so it counts as one that holds: " + v.because}
}

func (f *File) query(e notice.Event) *query {
	b := &e.Body
	q := &query{file: f, e: e, kind: e.Kind()}
	q.values = [subjects]string{
		byType: e.Type().Short(), byState: string(b.State), byDrop: b.Drop.Prefix, byBackend: b.Job.Backend,
		byCorrelationID: b.CorrelationID, byUploader: b.Uploader.Name,
	}
	if b.Error != nil {
		q.values[byErrorCode] = b.Error.Code
	}
	if b.Timeout != nil {
		q.values[byTimeoutKind] = b.Timeout.Kind
	}
	return q
}

// Match returns who is told of an event, in the order of the file, and the expressions that failed.
//
// A route whose expression fails counts as unmatched: its siblings are asked, and if none of them matches, the
// nearest route above takes the event, with the fault named in its matches. Nothing is above the root: if its own
// expression fails, it counts as matched, and all matches name the fault. If nobody would be told for a fault, the
// other routes whose expressions failed count as matched as well.
func (f *File) Match(e notice.Event) ([]Match, []Fault) {
	q := f.query(e)
	q.start()
	return q.matches, q.faults
}

// Explain returns what each route did with an event, in the order of the file.
func (f *File) Explain(e notice.Event) []Decision {
	var list []Decision
	q := f.query(e)
	q.trace, q.traced = &list, map[*node]int{}
	q.start()
	return list
}

func (q *query) start() {
	v := q.ask(q.file.root)
	if v.fault != "" {
		q.held, v = []string{v.fault}, v.holding()
	}
	q.walk(q.file.root, v)
	if q.told > 0 {
		return
	}
	// Never silence: those are told whom the routes that failed would have told.
	q.silent = true
	above := slices.Clip(q.held)
	for i := 0; i < len(q.failed); i++ { // it grows: routes below one may fail, too
		f, known := q.failed[i], len(q.failed)
		told := q.told
		q.held = append(above, f.fault)
		q.walk(f.node, f.holding())
		if q.told > told {
			q.failed = q.failed[:known] // what was told names the faults of those below
		}
	}
}

// walk follows what a route said, down to those below it, and reports whether one took the event.
func (q *query) walk(n *node, v verdict) bool {
	at := q.decide(n, v)
	if v.outcome != Takes {
		q.skip(n.routes, "the route above did not match")
		return false
	}
	first, taken := len(q.pending), false
	for i, child := range n.routes {
		v := q.ask(child)
		if v.fault != "" {
			q.pending = append(q.pending, v.fault)
			q.failed = append(q.failed, failure{child, v})
		}
		if !q.walk(child, v) {
			continue
		}
		taken = true
		if !child.goOn {
			q.skip(n.routes[i+1:], "route "+child.name+" took the event")
			break
		}
	}
	if taken {
		if q.trace != nil {
			(*q.trace)[at].Outcome = PassesOn
		}
	} else {
		q.take(n, q.pending[first:], at)
	}
	return true // no route above takes the event now, so nobody names the faults again
}

// take tells the route's destinations.
func (q *query) take(n *node, faults []string, at int) {
	if q.trace != nil && len(n.told) == 0 && (*q.trace)[at].Because == "" {
		(*q.trace)[at].Because = "it tells nobody: to is []"
	}
	for _, d := range n.told {
		if !n.typed && !d.takes(q.kind) {
			if q.trace != nil {
				(*q.trace)[at].Not = append((*q.trace)[at].Not, d.Name)
			}
			continue
		}
		if q.told++; q.again(d.Name) {
			continue
		}
		if q.trace != nil {
			(*q.trace)[at].To = append((*q.trace)[at].To, d.Name)
		}
		q.matches = append(q.matches, Match{
			Route: n.name, Destination: d.Name, Template: n.template, Faults: slices.Concat(q.held, faults),
		})
	}
}

// again reports whether another route that failed tells the destination as well. Its match then names both faults.
func (q *query) again(destination string) bool {
	if !q.silent {
		return false
	}
	i := slices.IndexFunc(q.matches, func(m Match) bool { return m.Destination == destination })
	if i >= 0 {
		q.matches[i].Faults = append(q.matches[i].Faults, q.held[len(q.held)-1])
	}
	return i >= 0
}

// decide writes down what a route said, in place of what it said before, and returns the place.
func (q *query) decide(n *node, v verdict) int {
	if q.trace == nil {
		return 0
	}
	at, known := q.traced[n]
	if !known {
		at = len(*q.trace)
		q.traced[n] = at
		*q.trace = append(*q.trace, Decision{})
	}
	(*q.trace)[at] = Decision{
		Route: n.name, Depth: n.depth, Position: n.at, Outcome: v.outcome, Field: v.field, Wanted: v.wanted, Found: v.found,
		Because: v.because,
	}
	return at
}

// skip writes down that routes were not asked.
func (q *query) skip(list []*node, because string) {
	if q.trace == nil {
		return
	}
	for _, n := range list {
		q.decide(n, verdict{outcome: NotAsked, because: because})
		q.skip(n.routes, "the route above was not asked")
	}
}

// verdict is what a route says of an event: that it takes it, unless one below it does, or why not.
type verdict struct {
	outcome              Outcome
	field, wanted, found string
	because              string
	fault                string
}

// ask asks a route itself.
func (q *query) ask(n *node) verdict {
	for i := range n.criteria {
		if c := &n.criteria[i]; !q.meets(c) {
			return q.decline(c.field, func() (wanted, found string) { return shown(c.patterns), q.shown(c) })
		}
	}
	if n.byName {
		if !slices.Contains(q.e.Body.Notify, n.name) {
			return q.decline("namable", func() (wanted, found string) {
				return "the name " + n.name + " in the job file's jobdrop.notify", shown(q.e.Body.Notify)
			})
		}
		if !covers(n.namable, q.values[byDrop]) {
			return q.decline("namable", func() (wanted, found string) {
				return shown(n.namable), text.Show(q.values[byDrop], maxShown)
			})
		}
	}
	if n.when == nil {
		return verdict{outcome: Takes}
	}
	if q.scope == nil {
		q.scope = notice.NewScope(q.e, 0)
	}
	holds, err := n.when.Holds(q.scope)
	if err != nil {
		fault := Fault{
			Route: n.name, File: q.file.file.Name(), Position: n.whenAt,
			Expression: text.Show(n.whenText, 80), Message: err.Error(),
		}
		q.faults = append(q.faults, fault)
		return verdict{
			outcome: Fails, field: "when", wanted: text.Show(n.whenText, maxShown), because: err.Error(), fault: fault.String(),
		}
	}
	if !holds {
		return q.decline("when", func() (wanted, found string) { return text.Show(n.whenText, maxShown), "false" })
	}
	return verdict{outcome: Takes}
}

// decline returns the verdict that a field does not match, in words only if they are asked for.
func (q *query) decline(field string, why func() (wanted, found string)) verdict {
	if q.trace == nil {
		return verdict{outcome: Declines}
	}
	wanted, found := why()
	return verdict{outcome: Declines, field: field, wanted: wanted, found: found}
}

// meets reports whether the event has what a criterion asks for. What the event does not have meets none.
func (q *query) meets(c *criterion) bool {
	switch c.subject {
	case byDrop:
		return covers(c.patterns, q.values[byDrop])
	case byLabel:
		value, ok := q.e.Body.Job.Labels[c.label]
		return ok && matches(c.patterns, value)
	}
	value := q.values[c.subject]
	return value != "" && matches(c.patterns, value)
}

func matches(patterns []string, value string) bool {
	for _, p := range patterns {
		if glob.Match(p, value, "/") {
			return true
		}
	}
	return false
}

func covers(patterns []string, folder string) bool {
	for _, p := range patterns {
		if glob.Covers(p, folder) {
			return true
		}
	}
	return false
}

// Decision says what one route did with an event.
type Decision struct {
	Route string `json:"route"`
	// Depth is 0 for the root. A route stands after the one that it is below.
	Depth int `json:"depth"`
	job.Position
	// Outcome is one of the words below.
	Outcome Outcome `json:"outcome"`
	// Field is the setting that did not match, Wanted what it asks for, and Found what the event has.
	Field  string `json:"field,omitempty"`
	Wanted string `json:"wanted,omitempty"`
	Found  string `json:"found,omitempty"`
	// Because says in words why the route was not asked, or why its expression failed.
	Because string `json:"because,omitempty"`
	// To are the destinations that are told, Not those of the route that leave such events out by themselves.
	To  []string `json:"to,omitempty"`
	Not []string `json:"not,omitempty"`
}

// Outcome is what a route did with an event.
type Outcome string

// The outcomes.
const (
	Takes    Outcome = "takes"     // it tells its destinations
	PassesOn Outcome = "passes on" // one below it took the event
	Declines Outcome = "declines"  // it does not match
	Fails    Outcome = "fails"     // its expression failed
	NotAsked Outcome = "not asked" // another one took the event, or the one above declines
)

// shown returns what the event has where a criterion looks.
func (q *query) shown(c *criterion) string {
	value, ok := "", true
	if c.subject == byLabel {
		value, ok = q.e.Body.Job.Labels[c.label]
	} else {
		value = q.values[c.subject]
	}
	if !ok || value == "" && c.subject != byDrop {
		return "none"
	}
	return text.Show(value, maxShown)
}

const maxShown = 200

func shown(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	var out []string
	for i, s := range list {
		if i == 10 {
			out = append(out, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		out = append(out, text.Show(s, 80))
	}
	return strings.Join(out, ", ")
}
