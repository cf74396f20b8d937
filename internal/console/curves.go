package console

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/console/scalars"
)

// Scalars reads what trainers wrote into their job directories.
type Scalars interface {
	Read(ctx context.Context, bucket, prefix string) (scalars.Set, error)
}

// curvesPage is the data of the page of a job's curves.
type curvesPage struct {
	heading
	Dir string
	// Hidden is as for outputs.
	Hidden bool
	Charts []chart
	Files  int
	Notes  []string
	// Data is where the page's script reads the points.
	Data string
}

// chart is the series of one name, of all runs.
type chart struct {
	Tag  string
	Runs []curve
	// First and End are the steps, Least and Most the values between which the runs are drawn. Without a line they say
	// nothing.
	First, End  int64
	Least, Most float64
	Lines       int
}

// curve is a series on the page.
type curve struct {
	Run         string
	Last        scalars.Point
	Least, Most float64
	NonFinite   int64
	// Line is the series in its chart's picture of curveWidth by curveHeight: a path of SVG. Colour is one of few.
	Line   string
	Colour int
}

const (
	// chartsOfPage and runsOfChart bound what a page shows.
	chartsOfPage = 40
	runsOfChart  = 20
	// pointsOfPage is how many points the script gets in all, pointsOfLine how many a picture has.
	pointsOfPage = 8000
	pointsOfLine = 120
	curveWidth   = 600
	curveHeight  = 160
	// curveColours is how many the style sheet and the script have.
	curveColours = 8
)

func (s *Server) curvesPage(ctx context.Context, r request) (page, error) {
	record, dir, set, err := s.scalarsOf(ctx, r)
	if err != nil {
		return page{}, err
	}
	d := curvesPage{
		heading: s.heading(record, "curves"), Dir: dir.String(), Hidden: !dir.shown, Files: set.Files, Notes: set.Notes,
		Data: "/attempts/" + record.Attempt + "/curves.json",
	}
	if why := s.cause(set.Failed); why != "" {
		d.Notes = append(d.Notes, why)
	}
	tags, left := charts(set)
	for _, c := range tags {
		d.Charts = append(d.Charts, chartOf(c))
	}
	if left > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d more series are not shown", left))
	}
	return page{
		view: "curves", title: d.title("curves"), section: "/", data: d,
		live: dir.shown && (!d.State.Terminal() || set.Pending > 0),
	}, nil
}

// scalarsOf reads what a job wrote, unless the viewer may not see it.
func (s *Server) scalarsOf(ctx context.Context, r request) (
	record attempt.Record, dir directory, set scalars.Set, err error,
) {
	if record, err = s.record(ctx, r); err != nil {
		return record, dir, set, err
	}
	dir = jobDir(record, r)
	if dir.bucket == "" || s.Scalars == nil {
		return record, dir, set, errNotFound
	}
	if dir.shown {
		set, err = s.Scalars.Read(ctx, dir.bucket, dir.prefix)
	}
	return record, dir, set, dir.absent(err)
}

// tagged is the series of one name.
type tagged struct {
	tag    string
	series []scalars.Series
}

// shortRuns returns the names of runs as people call them: of a file with a usual name, that of its folder, unless
// another run has that one.
func shortRuns(set scalars.Set) map[string]string {
	short, taken := map[string]string{}, map[string]int{}
	for _, s := range set.Series {
		if _, known := short[s.Run]; known {
			continue
		}
		name := s.Run
		switch base := path.Base(name); {
		case !strings.Contains(name, "/"):
		case base == "metrics.jsonl", base == "metrics.json", strings.HasPrefix(base, "events.out.tfevents"):
			name = path.Dir(name)
		}
		short[s.Run] = name
		taken[name]++
	}
	for run, name := range short {
		if _, whole := short[name]; taken[name] > 1 || whole {
			short[run] = run
		}
	}
	return short
}

// charts returns the series by their names, and how many are beyond the bounds of a page.
func charts(set scalars.Set) (all []tagged, left int) {
	at, runs := map[string]int{}, shortRuns(set)
	for _, series := range set.Series {
		series.Run = runs[series.Run]
		i, known := at[series.Tag]
		if !known {
			if len(all) == chartsOfPage {
				left++
				continue
			}
			i = len(all)
			at[series.Tag] = i
			all = append(all, tagged{tag: series.Tag})
		}
		if len(all[i].series) == runsOfChart {
			left++
			continue
		}
		all[i].series = append(all[i].series, series)
	}
	slices.SortStableFunc(all, func(a, b tagged) int { return cmp.Compare(a.tag, b.tag) })
	return all, left
}

// chartOf returns a chart as the page shows it without a script.
func chartOf(t tagged) chart {
	c := chart{Tag: t.tag, First: math.MaxInt64, End: math.MinInt64, Least: math.Inf(1), Most: math.Inf(-1)}
	drawn := make([][]scalars.Point, len(t.series))
	for i, s := range t.series {
		own := curve{
			Run: s.Run, NonFinite: s.NonFinite, Least: math.Inf(1), Most: math.Inf(-1), Colour: i % curveColours,
		}
		for _, p := range s.Points {
			own.Last = p
			if p.Finite() {
				own.Least, own.Most = min(own.Least, p.Value), max(own.Most, p.Value)
				drawn[i] = append(drawn[i], p)
			}
		}
		if n := len(drawn[i]); n > 1 {
			c.First, c.End = min(c.First, drawn[i][0].Step), max(c.End, drawn[i][n-1].Step)
			c.Least, c.Most = min(c.Least, own.Least), max(c.Most, own.Most)
			c.Lines++
		} else if n == 0 {
			own.Least, own.Most = math.NaN(), math.NaN()
		}
		c.Runs = append(c.Runs, own)
	}
	for i := range c.Runs {
		c.Runs[i].Line = c.line(every(drawn[i], pointsOfLine))
	}
	return c
}

// line returns the path of a series in the chart's picture, or nothing for less than two points.
func (c *chart) line(points []scalars.Point) string {
	if len(points) < 2 {
		return ""
	}
	first, end := float64(c.First), float64(c.End)
	var b strings.Builder
	for i, p := range points {
		x, y := 0.5, 0.5
		if end > first {
			x = (float64(p.Step) - first) / (end - first)
		}
		if c.Most > c.Least {
			y = (p.Value/2 - c.Least/2) / (c.Most/2 - c.Least/2) // halves don't overflow
		}
		op := "L"
		if i == 0 {
			op = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", op, 1+x*(curveWidth-2), 1+(1-y)*(curveHeight-2))
	}
	return b.String()
}

// every returns some points of a series: the first, the last, and what is between them in equal steps.
func every(points []scalars.Point, most int) []scalars.Point {
	if len(points) <= most {
		return points
	}
	some := make([]scalars.Point, most)
	for i := range some {
		some[i] = points[i*(len(points)-1)/(most-1)]
	}
	return some
}

// curvesAnswer is what the page's script gets. Steps and values are in parallel.
type curvesAnswer struct {
	Charts []chartData `json:"charts"`
}

type chartData struct {
	Tag  string    `json:"tag"`
	Runs []runData `json:"runs"`
}

type runData struct {
	Run   string  `json:"run"`
	Steps []int64 `json:"steps"`
	// Values are null where they are not finite: JSON knows no such numbers.
	Values []*float64 `json:"values"`
}

func (s *Server) curvesData(ctx context.Context, r request) (any, error) {
	_, _, set, err := s.scalarsOf(ctx, r)
	if err != nil {
		return nil, err
	}
	tags, _ := charts(set)
	n := 0
	for _, c := range tags {
		n += len(c.series)
	}
	answer := curvesAnswer{Charts: []chartData{}}
	for _, c := range tags {
		own := chartData{Tag: visible(c.tag)}
		for _, series := range c.series {
			run := runData{Run: visible(series.Run), Steps: []int64{}, Values: []*float64{}}
			for _, p := range every(series.Points, max(20, pointsOfPage/max(n, 1))) {
				run.Steps = append(run.Steps, p.Step)
				if p.Finite() {
					run.Values = append(run.Values, &p.Value)
				} else {
					run.Values = append(run.Values, nil)
				}
			}
			own.Runs = append(own.Runs, run)
		}
		answer.Charts = append(answer.Charts, own)
	}
	return answer, nil
}
