package routes

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// told returns matches as route>destination, with the routes whose expressions failed.
func told(matches []Match) []string {
	var out []string
	for _, m := range matches {
		line := m.Route + ">" + m.Destination
		for _, f := range m.Faults {
			_, f, _ = strings.Cut(f, ": route ")
			name, _, _ := strings.Cut(f, ":")
			line += " !" + name
		}
		out = append(out, line)
	}
	return out
}

func changed(e notice.Event, change func(b *job.Snapshot)) notice.Event {
	change(&e.Body)
	return e
}

// explained holds an explanation to the matches: they are the same walk, told differently.
func explained(t testing.TB, f *File, e notice.Event) []Decision {
	t.Helper()
	matches, faults := f.Match(e)
	var from, to []string
	for _, m := range matches {
		from = append(from, m.Route+">"+m.Destination)
	}
	failed := 0
	list := f.Explain(e)
	for i, d := range list {
		for _, name := range d.To {
			to = append(to, d.Route+">"+name)
		}
		if len(d.To)+len(d.Not) > 0 && d.Outcome != Takes {
			t.Errorf("%s %s, and tells %v", d.Route, d.Outcome, d.To)
		}
		if d.Outcome == Fails || strings.HasPrefix(d.Because, "its expression failed") {
			failed++
		}
		if i > 0 && d.Line == 0 || (d.Outcome == Declines || d.Outcome == Fails) && (d.Field == "" || d.Wanted == "") ||
			(d.Outcome == NotAsked || d.Outcome == Fails) && d.Because == "" {
			t.Errorf("decision %+v", d)
		}
	}
	// A route that a child of another continues from may come before the one above it: the order differs there.
	slices.Sort(from)
	slices.Sort(to)
	if diff := cmp.Diff(from, to); diff != "" {
		t.Errorf("Explain differs from Match (-match +explain):\n%s", diff)
	}
	if failed != len(faults) || len(list) != len(f.nodes) {
		t.Errorf("%d failed, %d faults; %d of %d routes", failed, len(faults), len(list), len(f.nodes))
	}
	return list
}

func TestMatch(t *testing.T) {
	failed, running, rejected, delayed := example(t, "job.failed"), example(t, "job.running"), example(t, "drop.rejected"),
		example(t, "job.delayed")
	const fails = `sequence % (sequence - sequence) == 0`
	for _, tt := range []struct {
		name, route string
		event       notice.Event
		want        []string
		// faults are the routes whose expressions failed.
		faults []string
	}{
		{"all destinations", "route: {to: [a, b, c]}", failed, []string{"default>a", "default>b", "default>c"}, nil},
		{"its own name", "route: {name: root, to: [a]}", failed, []string{"root>a"}, nil},
		{"progress by itself", "route: {to: [a, b, c]}", running, []string{"default>b"}, nil},
		{"warnings by themselves", "route: {to: [a, b, c]}", delayed, []string{"default>a", "default>b", "default>c"}, nil},
		{
			"with types all get it", "route: {to: [a, b, c], match: {types: ['job.*']}}", running,
			[]string{"default>a", "default>b", "default>c"}, nil,
		},
		{"nobody", "route: {to: []}", failed, nil, nil},
		{"the root declines", "route: {to: [a], match: {states: [lost]}, routes: [{name: x, to: [b]}]}", failed, nil, nil},
		{
			"the first child that matches",
			"route: {to: [a], routes: [{name: x, to: [b], match: {states: [lost]}}, {name: y, to: [b]}, {name: z, to: [c]}]}",
			failed, []string{"y>b"}, nil,
		},
		{
			"continue",
			"route: {to: [a], routes: [{name: x, to: [b], continue: true}, {name: y, to: [c]}, {name: z, to: [a]}]}", failed,
			[]string{"x>b", "y>c"}, nil,
		},
		{"continue at the end", "route: {to: [a], routes: [{name: x, to: [b], continue: true}]}", failed, []string{"x>b"},
			nil},
		{
			"continue of one that declines",
			"route: {to: [a], routes: [{name: x, to: [b], continue: true, match: {states: [lost]}}]}", failed,
			[]string{"default>a"}, nil,
		},
		{
			"inherited", "route: {to: [a], routes: [{name: x, routes: [{name: y, to: [c], routes: [{name: z}]}]}]}", failed,
			[]string{"z>c"}, nil,
		},
		{
			"a child's match is not inherited", "route: {to: [a], routes: [{name: x, match: {types: [job.failed]}, routes: " +
				"[{name: y, to: [a, b]}]}]}", failed, []string{"y>a", "y>b"}, nil,
		},
		{
			"types are not inherited", "route: {to: [a], match: {types: ['**']}, routes: [{name: x, to: [a, b]}]}", running,
			[]string{"x>b"}, nil,
		},
		{"silenced", "route: {to: [a], routes: [{name: x, to: [], match: {uploaders: ['ci@*']}}]}", failed, nil, nil},
		{"when", "route: {to: [a], routes: [{name: x, to: [b], when: ran > duration('1m')}]}", failed, []string{"x>b"}, nil},
		{"when not", "route: {to: [a], routes: [{name: x, to: [b], when: retryable}]}", failed, []string{"default>a"}, nil},
		{
			"a failing expression: the route above takes it",
			"route: {to: [a], routes: [{name: x, to: [b], when: '" + fails + "'}]}", failed, []string{"default>a !x"},
			[]string{"x"},
		},
		{
			"a failing expression: its siblings go on",
			"route: {to: [a], routes: [{name: x, to: [b], when: '" + fails + "'}, {name: y, to: [c]}]}", failed,
			[]string{"y>c"}, []string{"x"},
		},
		{
			"a failing expression after one that continues",
			"route: {to: [a], routes: [{name: y, to: [c], continue: true}, {name: x, to: [b], when: '" + fails + "'}]}", failed,
			[]string{"y>c"}, []string{"x"},
		},
		{
			"failing expressions below: the nearest above names them",
			"route: {to: [a], routes: [{name: x, to: [b], routes: [{name: y, when: '" + fails + "'}, {name: z, when: '" + fails +
				"'}]}, {name: v}]}", failed, []string{"x>b !y !z"}, []string{"y", "z"},
		},
		{
			"a fault is named once, not again further up",
			"route: {to: [a], routes: [{name: x, to: [b], continue: true, routes: [{name: y, when: '" + fails +
				"'}]}, {name: z, when: '" + fails + "'}]}", failed, []string{"x>b !y"}, []string{"y", "z"},
		},
		{
			"below a route that fails nothing is asked",
			"route: {to: [a], routes: [{name: x, to: [b], when: '" + fails + "', routes: [{name: y}]}]}", failed,
			[]string{"default>a !x"}, []string{"x"},
		},
		{
			"the root's own expression fails", "route: {to: [a], when: '" + fails +
				"', routes: [{name: x, to: [b], when: retryable}]}",
			failed, []string{"default>a !default"}, []string{"default"},
		},
		{
			"the root's and another",
			"route: {to: [a], when: '" + fails + "', routes: [{name: x, to: [b], continue: true}, {name: y, routes: [{name: " +
				"z, when: '" +
				fails + "'}]}]}",
			failed, []string{"x>b !default", "y>a !default !z"}, []string{"default", "z"},
		},
		{
			"a failing expression below a route that tells nobody",
			"route: {to: [], routes: [{name: x, to: [b, c], when: '" + fails + "'}]}", failed, []string{"x>b !x", "x>c !x"},
			[]string{"x"},
		},
		{
			"a failing expression below a route that leaves progress out",
			"route: {to: [c], routes: [{name: x, to: [a], match: {types: [job.running]}, when: '" + fails + "'}]}", running,
			[]string{"x>a !x"}, []string{"x"},
		},
		{
			"a failing expression of a route that leaves progress out, too",
			"route: {to: [c], routes: [{name: x, to: [a], when: '" + fails + "'}]}", running, nil, []string{"x"},
		},
		{
			"a failing expression beside a route that tells nobody",
			"route: {to: [a], routes: [{name: x, to: [b], when: '" + fails + "'}, {name: y, to: []}]}", failed,
			[]string{"x>b !x"}, []string{"x"},
		},
		{
			"failing expressions of routes that tell the same destination",
			"route: {to: [], routes: [{name: x, to: [b], when: '" + fails + "'}, {name: y, to: [b, c], when: '" + fails +
				"'}]}", failed, []string{"x>b !x !y", "y>c !y"}, []string{"x", "y"},
		},
		{
			"a failing expression of a route that has others below it",
			"route: {to: [], routes: [{name: x, when: '" + fails + "', routes: [{name: y, to: [c], when: '" + fails +
				"'}, {name: z, to: [b]}]}]}", failed, []string{"z>b !x"}, []string{"x", "y"},
		},
		{
			"failing expressions, one below the other",
			"route: {to: [], routes: [{name: x, when: '" + fails + "', routes: [{name: y, to: [c], when: '" + fails +
				"'}]}]}", failed, []string{"y>c !y"}, []string{"x", "y"},
		},
		{
			"the root's own expression fails, and it tells nobody",
			"route: {to: [], when: '" + fails + "', routes: [{name: x, to: [b], when: '" + fails + "'}]}", failed,
			[]string{"x>b !default !x"}, []string{"default", "x"},
		},
		{
			"an expression is not asked if the match declines",
			"route: {to: [a], routes: [{name: x, to: [b], match: {states: [lost]}, when: '" + fails + "'}]}", failed,
			[]string{"default>a"}, nil,
		},
		{"a rejected drop has no label", "route: {to: [a], match: {labels: {team: ['*']}}}", rejected, nil, nil},
		{
			"namable", "route: {to: [a], routes: [{name: forecasting, to: [c], namable: ['c*', 'x/**']}]}",
			changed(failed, func(b *job.Snapshot) { b.Notify = []string{"other", "forecasting"} }), []string{"forecasting>c"},
			nil,
		},
		{
			"not named", "route: {to: [a], routes: [{name: forecasting, to: [c], namable: ['**']}]}",
			changed(failed, func(b *job.Snapshot) { b.Notify = []string{"other"} }), []string{"default>a"}, nil,
		},
		{
			"named from elsewhere", "route: {to: [a], routes: [{name: forecasting, to: [c], namable: ['x/**']}]}",
			changed(failed, func(b *job.Snapshot) { b.Notify = []string{"forecasting"} }), []string{"default>a"}, nil,
		},
		{
			"named, but not namable", "route: {to: [a], routes: [{name: forecasting, to: [c], when: retryable}]}",
			changed(failed, func(b *job.Snapshot) { b.Notify = []string{"forecasting"} }), []string{"default>a"}, nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, with(tt.route))
			matches, faults := f.Match(tt.event)
			if diff := cmp.Diff(tt.want, told(matches)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			var failed []string
			for _, fault := range faults {
				failed = append(failed, fault.Route)
				if s := fault.String(); !strings.HasPrefix(s, "routes.yaml:5:") || strings.Contains(s, "\n") ||
					!strings.Contains(s, "integer divide by zero") || !strings.Contains(s, "sequence %") {
					t.Errorf("fault %q", s)
				}
			}
			if diff := cmp.Diff(tt.faults, failed); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			explained(t, f, tt.event)
		})
	}
}

// Each list of match, held against an event that has what it asks for, nearly has it, and has nothing.
func TestMatchLists(t *testing.T) {
	full := changed(example(t, "job.timed_out"), func(b *job.Snapshot) {
		b.Error = &job.Failure{Code: "INTERNAL"}
		b.Drop.Prefix = "teams/nlp/census/"
		b.Uploader.Name = "ci@acme.example"
	})
	bare := changed(example(t, "drop.rejected"), func(b *job.Snapshot) {
		b.Drop.Prefix, b.Uploader, b.CorrelationID, b.Violations = "", job.Uploader{}, "", nil
	})
	for _, tt := range []struct {
		match string
		full  bool
		bare  bool
	}{
		{"types: [job.timed_out]", true, false}, {"types: [job.failed, 'drop.*']", false, true}, {"types: ['**']", true,
			true},
		{"states: [timed_out, lost]", true, false}, {"states: ['*ed']", false, true}, {"states: ['*']", true, true},
		{"drops: ['teams/nlp/**']", true, false}, {"drops: ['teams/*']", false, false}, {"drops: ['**']", true, true},
		{"drops: ['teams/nlp/census']", true, false}, {"drops: ['teams/nlp/census/']", true, false}, {"drops: ['*']", false,
			true},
		{"labels: {team: [forecasting]}", true, false}, {"labels: {team: ['fore*', x]}", true, false},
		{"labels: {team: ['*']}", true, false}, {"labels: {team: [forecasting], tier: ['*']}", false, false},
		{"labels: {tier: ['*']}", false, false},
		{"backends: [aiplatform]", true, false}, {"backends: [vertex]", false, false}, {"backends: ['*']", true, false},
		{"errorCodes: [INTERNAL]", true, false}, {"errorCodes: [internal]", false, false}, {"errorCodes: ['**']", true,
			false},
		{"timeoutKinds: [run]", true, false}, {"timeoutKinds: [wait]", false, false}, {"timeoutKinds: ['*']", true, false},
		{"correlationIds: ['build-*']", true, false}, {"correlationIds: ['ci-*']", false, false},
		{"correlationIds: ['*']", true, false},
		{"uploaders: ['*@acme.example']", true, false}, {"uploaders: ['*@ACME.example']", false, false},
		{"uploaders: ['*']", true, false},
		{"types: [job.timed_out], states: [failed]", false, false}, {"types: [job.timed_out], backends: [aiplatform]", true,
			false},
	} {
		f := parse(t, with("route: {to: [a], match: {"+tt.match+"}}"))
		for _, of := range []struct {
			what  string
			event notice.Event
			want  bool
		}{{"full", full, tt.full}, {"bare", bare, tt.bare}} {
			got, _ := f.Match(of.event)
			if (len(got) == 1) != of.want {
				t.Errorf("%s matches the %s event: %t", tt.match, of.what, len(got) == 1)
			}
			explained(t, f, of.event)
		}
	}
}

func TestExplain(t *testing.T) {
	data, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	f := parse(t, string(data))
	e := changed(example(t, "job.failed"), func(b *job.Snapshot) { b.Drop.Prefix = "teams/nlp/x/" })
	var got []string
	for _, d := range explained(t, f, e) {
		line := fmt.Sprintf("%d %s%s %s", d.Line, strings.Repeat("  ", d.Depth), d.Route, d.Outcome)
		if d.Field != "" {
			line += fmt.Sprintf(" %s wants %s, found %s", d.Field, d.Wanted, d.Found)
		}
		if d.Because != "" {
			line += ": " + d.Because
		}
		if len(d.To) > 0 {
			line += " → " + strings.Join(d.To, ", ")
		}
		got = append(got, line)
	}
	if diff := cmp.Diff([]string{
		"48 default passes on",
		"52   everything takes → ops",
		"56   nlp passes on",
		"62     nlp-failures declines match.labels.tier wants production, prod-*, found none",
		"69     nlp-mail takes → mail",
		"72   urgent not asked: route nlp took the event",
		"76   people not asked: route nlp took the event",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	list := f.Explain(example(t, "job.running"))
	if last := list[0]; last.Outcome != PassesOn {
		t.Errorf("%+v", last)
	}
	for _, tt := range []struct{ route, want string }{
		{"route: {to: []}", "it tells nobody: to is []"},
		{"route: {to: [a], when: 'sequence % (sequence - sequence) == 0'}",
			"its expression failed, so it counts as one that holds: integer divide by zero"},
		{"route: {to: [a], when: 'sequence % (sequence - sequence) == 0', routes: [{name: x}]}",
			"its expression failed, so it counts as one that holds: integer divide by zero"},
	} {
		if d := parse(t, with(tt.route)).Explain(e)[0]; d.Because != tt.want || d.Field != "" {
			t.Errorf("%s: %+v", tt.route, d)
		}
	}
	quiet := parse(t, with("route: {to: [a, b]}")).Explain(example(t, "job.running"))
	if diff := cmp.Diff([]Decision{{
		Route: "default", Position: job.Position{Line: 5, Column: 1}, Outcome: Takes, To: []string{"b"}, Not: []string{"a"},
	}}, quiet); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A match carries the template of its route.
func TestMatchTemplate(t *testing.T) {
	f := parse(t, with("templates: {t: {title: 'x {{ state }}'}, u: {title: u}}\n"+
		"route: {to: [a], template: t, routes: [{name: x, continue: true}, {name: y, template: u}]}"))
	matches, _ := f.Match(example(t, "job.failed"))
	var got []string
	for _, m := range matches {
		got = append(got, notice.Write(example(t, "job.failed"), notice.Options{Template: m.Template}).Title)
	}
	if diff := cmp.Diff([]string{"x failed", "u"}, got); diff != "" {
		t.Error(diff)
	}
}

// many returns a file of that many routes, none of which matches but the last.
func many(n int) string {
	var b strings.Builder
	b.WriteString(with("route:\n  to: [a]\n  routes:\n"))
	for i := range n - 1 {
		fmt.Fprintf(&b, "  - {name: r-%d, to: [b], match: {types: ['job.*'], drops: ['teams/team-%d/**', "+
			"'other/*/team-%d'], "+
			"labels: {team: [team-%d, 'x-%d-*']}}}\n", i, i, i, i, i)
	}
	b.WriteString("  - {name: last, to: [b]}\n")
	return b.String()
}

// Whoever has 500 routes waits for none of them. Counts, since times vary.
func TestMatchIsCheap(t *testing.T) {
	f := parse(t, many(500))
	e := changed(example(t, "job.failed"), func(b *job.Snapshot) { b.Drop.Prefix = "teams/nlp/census/" })
	if got := testing.AllocsPerRun(100, func() { f.Match(e) }); got > 12 {
		t.Errorf("%v allocations", got)
	}
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, "  - {name: r-%d, when: 'ran > duration(\"%dh\") and not retryable'}\n", i, i+1)
	}
	f = parse(t, with("route:\n  to: [a]\n  routes:\n"+b.String()))
	if got := testing.AllocsPerRun(20, func() { f.Match(e) }); got > 500*4 {
		t.Errorf("with expressions: %v allocations", got)
	}
}

func BenchmarkMatch(b *testing.B) {
	e := changed(example(b, "job.failed"), func(b *job.Snapshot) { b.Drop.Prefix = "teams/nlp/census/" })
	var when strings.Builder
	for i := range 500 {
		fmt.Fprintf(&when, "  - {name: r-%d, when: 'ran > duration(\"%dh\") and not retryable'}\n", i, i+1)
	}
	for name, data := range map[string]string{
		"lists": many(500), "expressions": with("route:\n  to: [a]\n  routes:\n" + when.String()),
	} {
		f := parse(b, data)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Match(e)
			}
		})
	}
}
