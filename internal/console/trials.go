package console

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// trialsPage is the data of the page of a tuning job's trials.
type trialsPage struct {
	heading
	// Metric is what the trials report, Goal whether more of it or less is better.
	Metric, Goal string
	Parameters   []string
	Rows         []trialRow
	// Dots are the trials as a picture, in the order of their numbers, of dotsWidth by dotsHeight.
	Dots        []dot
	Least, Most float64
	// Max is how many trials the job may run.
	Max int32
}

// trialRow is a trial on the page.
type trialRow struct {
	job.Trial
	Values []string
	// Best reports that no other is better.
	Best bool
}

// dot is a trial in the picture.
type dot struct {
	X, Y  int
	Title string
	Best  bool
}

const (
	dotsWidth, dotsHeight = 600, 120
	// mostParameters is how many of the parameters have a column.
	mostParameters = 12
	// trialsOfPage bounds the rows of the page. The best come first.
	trialsOfPage = 200
)

func (s *Server) trialsPage(ctx context.Context, r request) (page, error) {
	record, err := s.record(ctx, r)
	if err != nil {
		return page{}, err
	}
	if !tunes(record.Spec) {
		return page{}, errNotFound
	}
	study := record.Spec.TrainingInput.Hyperparameters
	d := trialsPage{
		heading: s.heading(record, "trials"), Goal: study.Goal, Metric: study.HyperparameterMetricTag, Max: study.MaxTrials,
	}
	for _, p := range study.Params {
		if len(d.Parameters) < mostParameters {
			d.Parameters = append(d.Parameters, p.ParameterName)
		}
	}
	for i, t := range d.Job.Trials {
		row := trialRow{Trial: t, Best: i == 0 && t.Objective != nil}
		for _, name := range d.Parameters {
			row.Values = append(row.Values, t.Parameters[name])
		}
		if len(d.Rows) < trialsOfPage {
			d.Rows = append(d.Rows, row)
		}
	}
	d.draw()
	return page{view: "trials", title: d.title("trials"), section: "/", data: d, live: !d.State.Terminal()}, nil
}

// tunes reports whether a job runs trials.
func tunes(s *job.Spec) bool {
	return s != nil && s.TrainingInput != nil && s.TrainingInput.Hyperparameters != nil
}

// draw computes the picture.
func (d *trialsPage) draw() {
	rows := slices.DeleteFunc(slices.Clone(d.Rows), func(t trialRow) bool {
		return t.Objective == nil || math.IsNaN(*t.Objective) || math.IsInf(*t.Objective, 0)
	})
	if len(rows) == 0 {
		return
	}
	d.Least, d.Most = *rows[0].Objective, *rows[0].Objective
	for _, t := range rows {
		d.Least, d.Most = min(d.Least, *t.Objective), max(d.Most, *t.Objective)
	}
	slices.SortStableFunc(rows, func(a, b trialRow) int {
		x, _ := strconv.Atoi(a.ID) // others come first
		y, _ := strconv.Atoi(b.ID)
		return cmp.Compare(x, y)
	})
	const edge = 8
	for i, t := range rows {
		x, y := 0.5, 0.5
		if len(rows) > 1 {
			x = float64(i) / float64(len(rows)-1)
		}
		if d.Most > d.Least {
			y = (*t.Objective/2 - d.Least/2) / (d.Most/2 - d.Least/2) // halves don't overflow
		}
		d.Dots = append(d.Dots, dot{
			X: edge + int(x*(dotsWidth-2*edge)), Y: edge + int((1-y)*(dotsHeight-2*edge)), Best: t.Best,
			Title: "trial " + t.ID + ": " + number(*t.Objective),
		})
	}
}
