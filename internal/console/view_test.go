package console

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/console/scalars"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Each view can be shown with nothing in its data.
func TestViewsWithoutData(t *testing.T) {
	all, err := parseViews()
	if err != nil {
		t.Fatal(err)
	}
	data := map[string]any{
		"attempt": attemptPage{}, "curves": curvesPage{}, "drops": dropsPage{}, "error": errorPage{}, "installation": installationPage{},
		"job": jobPage{}, "log": logPage{}, "outputs": outputsPage{}, "trials": trialsPage{},
	}
	for name, view := range all {
		d, known := data[name]
		if !known {
			t.Errorf("%s is not tested", name)
		}
		var b bytes.Buffer
		if err := view.Execute(&b, shell{Data: d}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(b.String(), "0001-01-01") {
			t.Errorf("%s shows a time that is not set:\n%s", name, b.String())
		}
	}
}

// Each state has its word and its colour. Those of verdicts are good, bad or a warning.
func TestStates(t *testing.T) {
	style := string(assets()["style.css"].data)
	for _, s := range append(statesAsked, "") {
		colour := string(account.ToneOf(s))
		if word(s) == "" || strings.Contains(word(s), "_") || !strings.Contains(style, "."+colour) {
			t.Errorf("%q: %q in %q", s, word(s), colour)
		}
		if s.Terminal() && colour == "going" || !s.Terminal() && (colour == "good" || colour == "bad") {
			t.Errorf("%s, which is a verdict: %t, is %s", s, s.Terminal(), colour)
		}
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext\n": "plain\ttext\n", "\x1b[31mred": "\u241b[31mred", "a\u202eb": "a<U+202E>b", "\xff": "\uFFFD",
		"\x00\x7f\u0085": "\u2400\u2421<U+0085>", "\xff\x1b": "\uFFFD\u241b", "größe": "größe",
	} {
		if got := visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := oneLine(3, "a\nbcd"); got != "a\u240ab…" {
		t.Errorf("%q", got)
	}
}

// The times of a sentence are elements for the browser's script, and the rest of it is text.
func TestSentence(t *testing.T) {
	at := `<time datetime="2026-11-30T09:05:00Z" title="2026-11-30 09:05:00 UTC">`
	for text, want := range map[string]string{
		"it is given up at 2026-11-30 09:05:00 UTC; <b>":    "it is given up at " + at + "2026-11-30 09:05:00 UTC</time>; &lt;b&gt;",
		"until 2026-11-30T09:05:00Z at most":                "until " + at + "2026-11-30T09:05:00Z</time> at most",
		"'2026-11-30T09:05:00Z'":                            "&#39;" + at + "2026-11-30T09:05:00Z</time>&#39;",
		"2026-11-31 09:05:00 UTC, 2026-11-30 ::::::::  UTC": "2026-11-31 09:05:00 UTC, 2026-11-30 ::::::::  UTC",
		"12026-11-30T09:05:00Z 2026-11-30T09:05:00Zulu":     "12026-11-30T09:05:00Z 2026-11-30T09:05:00Zulu",
	} {
		if got := string(sentence(200, text)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if got := string(sentence(20, "at 2026-11-30 09:05:00 UTC")); strings.Contains(got, "<time") {
		t.Errorf("a time that was cut: %s", got)
	}
}

// The times of an attempt's sentences are in the viewer's zone as the others are.
func TestTimesOfSentences(t *testing.T) {
	s := newSite(t, nil)
	until := now.Add(time.Hour)
	held := s.drop("a/", attempt.Hold{Until: until, Packages: []job.Object{{Name: "a/t.tar.gz"}}}).Attempt
	waits := s.drop("b/", attempt.Incomplete{Missing: []string{"t.tar.gz"}, ReportAfter: time.Hour, ExpireAfter: 9 * time.Hour}).Attempt
	runs := s.drop("c/", accepted("j", "")...).Attempt
	for _, address := range []string{"/", "/attempts/" + held, "/attempts/" + waits, "/attempts/" + runs} {
		body := s.get(address).body
		for _, m := range regexp.MustCompile(`>[^<]*(20\d\d-\d\d-\d\d[T ][0-9:]+)[^<]*<(/\w+)`).FindAllStringSubmatch(body, -1) {
			if m[2] != "/time" {
				t.Errorf("%s shows %s as a text: %s", address, m[1], m[0])
			}
		}
		if !strings.Contains(body, "<time") {
			t.Errorf("%s has no time", address)
		}
	}
}

// The lines around a violation have the mark below its character, whatever comes before it.
func TestLinesOf(t *testing.T) {
	text := strings.Split("one\n\ttwo: \u202ex\r\nthree\nfour", "\n")
	got := linesOf(text, job.Position{Line: 2, Column: 8})
	want := []sourceLine{
		{Number: 1, Text: "one"}, {Number: 2, Text: " two: <U+202E>x", Here: true, Caret: strings.Repeat(" ", 14) + "^"},
		{Number: 3, Text: "three"}, {Number: 4, Text: "four"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := []string{strings.Repeat("a", 5000) + "X" + strings.Repeat("b", 1<<20)}
	got = linesOf(long, job.Position{Line: 1, Column: 5001})
	if len(got) != 1 || len(got[0].Text) > 2*maxLine || []rune(got[0].Text)[len(got[0].Caret)-1] != 'X' {
		t.Errorf("%.400q\n%q", got[0].Text, got[0].Caret)
	}
	for _, at := range []job.Position{{Line: 5}, {Line: math.MaxInt}, {Line: 4, Column: math.MaxInt}, {Line: 1}} {
		for _, l := range linesOf(text, at) {
			if len(l.Text)+len(l.Caret) > 4*maxLine {
				t.Errorf("%+v: %+v", at, l)
			}
		}
	}
}

// An attempt's way fills its picture, whatever the clocks say.
func TestWay(t *testing.T) {
	at := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	for name, times := range map[string]job.Times{
		"nothing": {}, "dropped": {Dropped: at(-5)}, "seen": {Seen: at(-5)}, "in the future": {Dropped: at(5)},
		"whole":        {Dropped: at(-60), Accepted: at(-59), Created: at(-58), Started: at(-30), Ended: at(-1), Concluded: at(0)},
		"folded":       {Dropped: at(-100000), Accepted: at(-59), Created: at(-58), Started: at(-30), Ended: at(-1), Concluded: at(0)},
		"clocks":       {Dropped: at(0), Accepted: at(-10), Created: at(-20), Started: at(-30), Ended: at(-40), Concluded: at(-50)},
		"at one time":  {Dropped: at(0), Accepted: at(0), Created: at(0), Started: at(0), Ended: at(0), Concluded: at(0)},
		"never ran":    {Dropped: at(-9), Accepted: at(-8), Created: at(-7), Ended: at(-6), Concluded: at(-5)},
		"long ago":     {Dropped: time.Unix(0, 0), Accepted: at(0)},
		"only started": {Started: at(-3)},
	} {
		w := wayOf(job.Snapshot{Times: times}, now)
		end := 0
		for _, p := range w.Phases {
			if p.X != end || p.Width < 0 || p.Took() < 0 || len(w.Phases) > 1 && p.Width == 0 {
				t.Errorf("%s: %+v does not begin at %d", name, p, end)
			}
			end = p.X + p.Width
		}
		if len(w.Phases) > 0 && end != wayWidth {
			t.Errorf("%s: it ends at %d", name, end)
		}
		folded := slices.ContainsFunc(w.Phases, func(p phase) bool { return p.Folded })
		if long := name == "folded" || name == "long ago"; long != folded {
			t.Errorf("%s: folded %t", name, folded)
		}
	}
}

func TestHistory(t *testing.T) {
	entry := func(sequence int64, minutes int) job.HistoryEntry {
		return job.HistoryEntry{Sequence: sequence, Time: now.Add(time.Duration(minutes) * time.Minute)}
	}
	a := job.Snapshot{
		State: job.Running, Times: job.Times{Dropped: now.Add(-time.Hour)},
		History: []job.HistoryEntry{entry(1, -59), entry(2, -40), entry(3, -45)}, // the last one by a clock that is behind
	}
	var got []string
	for _, row := range historyOf(a, now) {
		if row.Idle {
			got = append(got, "idle "+age(row.After))
		} else {
			got = append(got, "+"+age(row.After))
		}
	}
	if diff := cmp.Diff([]string{"+1m0s", "idle 19m0s", "+19m0s", "+0s", "idle 45m0s"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Parts of deadlines are from 0 to 100 percent, whatever the clocks say.
func TestDue(t *testing.T) {
	for _, dropped := range []time.Duration{-1e6 * time.Hour, -time.Minute, 0, time.Minute, 1e6 * time.Hour} {
		for _, expires := range []time.Duration{-1e6 * time.Hour, -time.Minute, 0, time.Minute, 1e6 * time.Hour} {
			all := dueOf(job.Snapshot{
				State: job.Waiting, Times: job.Times{Dropped: now.Add(dropped)}, Deadlines: job.Deadlines{Expires: now.Add(expires)},
			}, now)
			if len(all) != 1 || all[0].Part < 0 || all[0].Part > 100 || all[0].Over != (expires <= 0) {
				t.Errorf("%v, %v: %+v", dropped, expires, all)
			}
		}
	}
}

// Curves are drawn within their picture, and numbers that JSON does not know are left out of it.
func TestCurves(t *testing.T) {
	point := func(step int64, value float64) scalars.Point { return scalars.Point{Step: step, Value: value} }
	numbers := regexp.MustCompile(`-?[0-9.]+|[A-Za-z]+`)
	for name, tt := range map[string]struct {
		points []scalars.Point
		line   bool
	}{
		"none": {nil, false}, "one": {[]scalars.Point{point(1, 1)}, false}, "two": {[]scalars.Point{point(1, 1), point(2, 2)}, true},
		"not finite": {[]scalars.Point{point(1, math.NaN()), point(2, math.Inf(1)), point(3, math.Inf(-1))}, false},
		"some":       {[]scalars.Point{point(1, math.NaN()), point(2, 2), point(3, 3)}, true},
		"largest":    {[]scalars.Point{point(math.MinInt64, -math.MaxFloat64), point(0, 0), point(math.MaxInt64, math.MaxFloat64)}, true},
		"one step":   {[]scalars.Point{point(5, 1), point(5, 2)}, true},
		"one value":  {[]scalars.Point{point(1, 7), point(2, 7)}, true},
	} {
		c := chartOf(tagged{series: []scalars.Series{{Points: tt.points}}}).Runs[0]
		if (c.Line != "") != tt.line {
			t.Errorf("%s: %q", name, c.Line)
		}
		for i, n := range numbers.FindAllString(c.Line, -1) {
			var v float64
			if strings.ContainsAny(n, "ML") && len(n) == 1 {
				continue
			}
			if err := json.Unmarshal([]byte(n), &v); err != nil || v < 0 || v > curveWidth {
				t.Errorf("%s: number %d is %s in %s", name, i, n, c.Line)
			}
		}
		if math.IsInf(c.Least, 0) || math.IsInf(c.Most, 0) {
			t.Errorf("%s: from %v to %v", name, c.Least, c.Most)
		}
	}
	var set scalars.Set
	for i := range 10_000 {
		set.Series = append(set.Series, scalars.Series{Tag: strings.Repeat("t", i%500+1), Points: []scalars.Point{point(1, math.NaN())}})
	}
	all, left := charts(set)
	n := 0
	for _, c := range all {
		n += len(c.series)
	}
	if len(all) != chartsOfPage || n+left != 10_000 || n > chartsOfPage*runsOfChart {
		t.Errorf("%d charts of %d series, %d are left", len(all), n, left)
	}
}

// The runs of a chart are drawn in one picture, by the same scale.
func TestChart(t *testing.T) {
	point := func(step int64, value float64) scalars.Point { return scalars.Point{Step: step, Value: value} }
	c := chartOf(tagged{series: []scalars.Series{
		{Run: "a", Points: []scalars.Point{point(0, 1), point(50, 2)}},
		{Run: "alone", Points: []scalars.Point{point(900, 900)}},
		{Run: "b", Points: []scalars.Point{point(50, 3), point(100, 5), point(100, math.NaN())}},
	}})
	if c.Lines != 2 || c.First != 0 || c.End != 100 || c.Least != 1 || c.Most != 5 {
		t.Errorf("%+v", c)
	}
	want := []string{"M1.0 159.0L300.0 119.5", "", "M300.0 80.0L599.0 1.0"}
	for i, r := range c.Runs {
		if r.Line != want[i] || r.Colour != i {
			t.Errorf("%s: %q in colour %d, want %q", r.Run, r.Line, r.Colour, want[i])
		}
	}
}

// A run is called by its folder, unless there would be two of the name.
func TestShortRuns(t *testing.T) {
	for run, want := range map[string]string{
		"lr0.1/metrics.jsonl": "lr0.1", "a/b/metrics.json": "a/b", "x/events.out.tfevents.1": "x", "metrics.jsonl": "metrics.jsonl",
		"c/metrics.jsonl": "c/metrics.jsonl", "c/metrics.json": "c/metrics.json", "d/metrics.jsonl": "d/metrics.jsonl", "d": "d",
		"e/log.jsonl": "e/log.jsonl", ".": ".", "d/metrics.jsonl/metrics.jsonl": "d/metrics.jsonl/metrics.jsonl",
	} {
		set := scalars.Set{Series: []scalars.Series{{Run: "d", Tag: "t"}, {Run: "c/metrics.json", Tag: "t"}, {Run: "c/metrics.jsonl", Tag: "u"}}}
		set.Series = append(set.Series, scalars.Series{Run: "d/metrics.jsonl", Tag: "v"}, scalars.Series{Run: run, Tag: "own"})
		all, _ := charts(set)
		for _, c := range all {
			if c.tag == "own" && c.series[0].Run != want {
				t.Errorf("%s is called %s, want %s", run, c.series[0].Run, want)
			}
		}
	}
}

// A page whose files are still to be read goes on by itself, also if the job has ended.
func TestPendingCurves(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/", append(accepted("j", "gs://out/a"), ended("j", job.BackendSucceeded))...)
	for _, pending := range []int64{3, 0} {
		s.scalars.set = scalars.Set{Pending: pending, Notes: []string{"3 files"}}
		answer := s.get("/attempts/" + r.Attempt + "/curves")
		if live := strings.Contains(answer.body, "data-version"); live != (pending > 0) || !strings.Contains(answer.body, "3 files") {
			t.Errorf("%d are pending: followed is %v: %.300s", pending, live, answer.body)
		}
	}
}

// What the page's script gets is JSON, with null where a number is not finite, and bounded.
func TestCurvesData(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/", accepted("j", "gs://out/a")...)
	var many []scalars.Point
	for i := range 100_000 {
		many = append(many, scalars.Point{Step: int64(i), Value: float64(i)})
	}
	many[len(many)-1].Value = math.Inf(1)
	s.scalars.set = scalars.Set{Series: []scalars.Series{{Run: "<b>\u202e", Tag: "loss", Points: many}, {Tag: "none"}}}
	var got struct {
		Charts []struct {
			Tag  string
			Runs []struct {
				Run    string
				Steps  []int64
				Values []*float64
			}
		}
	}
	answer := s.get("/attempts/" + r.Attempt + "/curves.json")
	if err := json.Unmarshal([]byte(answer.body), &got); err != nil || len(got.Charts) != 2 {
		t.Fatalf("%v: %.300s", err, answer.body)
	}
	run := got.Charts[0].Runs[0]
	if last := len(run.Values) - 1; len(run.Steps) > pointsOfPage || run.Steps[last] != 99_999 || run.Values[last] != nil ||
		*run.Values[0] != 0 || strings.Contains(run.Run, "\u202e") {
		t.Errorf("%d points of %q", len(run.Steps), run.Run)
	}
	if strings.Contains(answer.body, `"steps":null`) || answer.header.Get("Content-Type") != "application/json" {
		t.Errorf("%.300s", answer.body)
	}
}

// The picture of trials has those that reported a number, at places within it.
func TestDots(t *testing.T) {
	value := func(v float64) *float64 { return &v }
	d := trialsPage{Rows: []trialRow{
		{Trial: job.Trial{ID: "9223372036854775807", Objective: value(1)}}, {Trial: job.Trial{ID: "-9223372036854775808", Objective: value(2)}},
		{Trial: job.Trial{ID: "3"}}, {Trial: job.Trial{ID: "4", Objective: value(math.NaN())}},
		{Trial: job.Trial{ID: "5", Objective: value(math.Inf(1))}}, {Trial: job.Trial{ID: "six", Objective: value(1.5)}},
	}}
	d.draw()
	var titles []string
	for _, dot := range d.Dots {
		titles = append(titles, dot.Title)
		if dot.X < 0 || dot.X > dotsWidth || dot.Y < 0 || dot.Y > dotsHeight {
			t.Errorf("%+v", dot)
		}
	}
	want := []string{"trial -9223372036854775808: 2", "trial six: 1.5", "trial 9223372036854775807: 1"}
	if diff := cmp.Diff(want, titles); diff != "" || d.Least != 1 || d.Most != 2 {
		t.Errorf("from %v to %v (-want +got):\n%s", d.Least, d.Most, diff)
	}
}

// Hrefs that a drop gives lead to pages of the web only.
func TestHrefsOfDrops(t *testing.T) {
	s := newSite(t, nil)
	for _, address := range []string{"javascript:alert(1)", "data:text/html,x", "JaVaScRiPt:alert(1)", "vbscript:x", " javascript:x"} {
		r := s.drop("a"+strings.ToLower(address[:2])+"/", accepted("j", "")...)
		r.Uploader.URL, r.Links.Console, r.Links.Logs = address, address, address
		s.put(r)
		for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(s.get("/attempts/"+r.Attempt).body, -1) {
			if !strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "#") && !strings.HasPrefix(m[1], "http") {
				t.Errorf("%q leads to %q", address, m[1])
			}
		}
	}
}

// What the templates get has no field that none of them shows.
func TestShellIsShown(t *testing.T) {
	base, err := templateFiles.ReadFile("templates/base.html")
	if err != nil {
		t.Fatal(err)
	}
	for f := range reflect.TypeFor[shell]().Fields() {
		if f.Name != "Data" && !strings.Contains(string(base), "."+f.Name) {
			t.Errorf("%s is not shown", f.Name)
		}
	}
}
