// Package study chooses the parameters of a tuning job's trials and judges their results. It runs nothing.
package study

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Study chooses the parameters of a tuning job's trials. It runs nothing and
// reads no clock: the same spec, seed and results in the same order give the
// same suggestions.
//
//   - GRID_SEARCH tries every combination once, the last parameter changing
//     fastest, and ends when it has.
//   - RANDOM_SEARCH draws each parameter independently, evenly on its scale.
//   - Without an algorithm a third of the trials, and no fewer than
//     [minStart], are spread evenly over the space by a quasi-random sequence.
//     Those after them are drawn around one of the best so far, at a distance
//     that shrinks with each trial, and every sixth goes on with the sequence,
//     in case the best is a local one only. It stands for the service's
//     Bayesian optimization, which it is not.
//
// No combination is suggested twice, whatever the algorithm: a space that is
// used up ends the study early.
type Study struct {
	spec       job.HyperparameterSpec
	dimensions []dimension
	size       float64 // combinations; +Inf where a parameter is continuous
	better     func(a, b float64) int
	rng        *rand.Rand

	suggested int             // so far
	sequence  int             // place in the quasi-random sequence
	offset    []float64       // of the sequence
	seen      map[string]bool // by key
	open      map[int]point   // suggested and not reported yet, by number
	done      []result        // best first
}

// point is a place in the unit cube, one coordinate from 0 up to 1 for each
// parameter.
type point []float64

// candidate is a combination and its place. The values are not always those of
// the place: a grid counts through integers that a coordinate can't tell apart.
type candidate struct {
	at     point
	values []Value
}

// key tells combinations apart as the trials' programs would see them.
func (c candidate) key() string {
	var b strings.Builder
	for _, v := range c.values {
		fmt.Fprintf(&b, "%q ", v.Text())
	}
	return b.String()
}

type result struct {
	at    point
	value float64
}

const (
	// minStart is how many trials of the default algorithm at least are spread
	// over the space before the best of them is followed.
	minStart = 4
	// firstWidth and lastWidth are the standard deviations of the first and of
	// the last step around a good trial, in parts of a parameter's range.
	firstWidth, lastWidth = 0.25, 0.02
	// elite is how many of the best trials are followed.
	elite = 3
	// drawTries bounds the draws for a combination that was not tried yet.
	// After them the space is as good as used up; a small one is searched.
	drawTries = 200
	// smallSpace is searched whole for what was not tried yet.
	smallSpace = 1 << 16
)

// New takes a checked spec.
func New(spec *job.HyperparameterSpec, seed string) *Study {
	sum := sha256.Sum256([]byte(seed))
	s := &Study{
		spec: *spec, size: 1, better: BetterFor(spec.Goal), seen: map[string]bool{}, open: map[int]point{},
		rng: rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16]))),
	}
	for _, p := range spec.Params {
		d := newDimension(p)
		s.dimensions = append(s.dimensions, d)
		s.size *= d.size
		s.offset = append(s.offset, s.rng.Float64())
	}
	return s
}

// Next suggests the parameters of another trial, which it numbers from 1. It
// gives none when there were as many as the spec allows, or nothing is left to
// try.
func (s *Study) Next() (number int, values []Value, ok bool) {
	if s.suggested >= int(max(s.spec.MaxTrials, 1)) {
		return 0, nil, false
	}
	var c candidate
	switch s.spec.Algorithm {
	case "GRID_SEARCH":
		if ok = float64(s.suggested) < s.size; ok {
			c = s.grid(int64(s.suggested))
		}
	case "RANDOM_SEARCH":
		c, ok = s.fresh(s.random)
	default:
		c, ok = s.fresh(s.follow)
	}
	if !ok {
		return 0, nil, false
	}
	s.suggested++
	s.seen[c.key()] = true
	s.open[s.suggested] = c.at
	return s.suggested, c.values, true
}

// Report notes what a trial achieved.
func (s *Study) Report(number int, value float64) {
	at, ok := s.open[number]
	if !ok {
		return
	}
	delete(s.open, number)
	r := result{at, value}
	// Behind its equals, so that the order is that of the reports.
	i, _ := slices.BinarySearchFunc(s.done, r, func(a, b result) int { return cmp.Or(-s.better(a.value, b.value), -1) })
	s.done = slices.Insert(s.done, i, r)
}

// Fail notes that a trial has no result: what was tried is not tried again.
func (s *Study) Fail(number int) { delete(s.open, number) }

// fresh draws until it gets what was not tried yet.
func (s *Study) fresh(draw func() point) (c candidate, ok bool) {
	if float64(len(s.seen)) >= s.size {
		return candidate{}, false
	}
	for range drawTries {
		c := candidate{at: draw()}
		for i, d := range s.dimensions {
			c.values = append(c.values, d.value(c.at[i]))
		}
		if !s.seen[c.key()] {
			return c, true
		}
	}
	if s.size > smallSpace {
		return candidate{}, false
	}
	var left []candidate
	for i := range int64(s.size) {
		if c := s.grid(i); !s.seen[c.key()] {
			left = append(left, c)
		}
	}
	if len(left) == 0 {
		return candidate{}, false
	}
	return left[s.rng.IntN(len(left))], true
}

// grid returns a combination by its number. The space is finite.
func (s *Study) grid(n int64) candidate {
	c := candidate{make(point, len(s.dimensions)), make([]Value, len(s.dimensions))}
	for i, d := range slices.Backward(s.dimensions) {
		size := int64(d.size)
		c.at[i], c.values[i] = d.nth(n % size)
		n /= size
	}
	return c
}

func (s *Study) random() point {
	at := make(point, len(s.dimensions))
	for i := range at {
		at[i] = s.rng.Float64()
	}
	return at
}

// spread returns the next place of an additive recurrence whose steps are powers of
// the generalized golden ratio (Roberts 2018): however many places are taken,
// they cover the cube about evenly.
func (s *Study) spread() point {
	s.sequence++
	at := make(point, len(s.dimensions))
	ratio := 1.5 // the root of x^(d+1) = x + 1, by iteration
	for range 50 {
		ratio = math.Pow(1+ratio, 1/float64(len(at)+1))
	}
	for i := range at {
		_, at[i] = math.Modf(s.offset[i] + float64(s.sequence)*math.Pow(ratio, -float64(i+1)))
	}
	return at
}

// follow returns the default algorithm's draw.
func (s *Study) follow() point {
	all := int(max(s.spec.MaxTrials, 1))
	start := max(minStart, all/3)
	if s.suggested < start || len(s.done) == 0 || (s.suggested-start)%6 == 5 {
		return s.spread()
	}
	// The better, the likelier: half of the draws are around the best.
	pick := 0
	for pick+1 < min(elite, len(s.done)) && s.rng.IntN(2) == 0 {
		pick++
	}
	progress := float64(s.suggested-start) / float64(max(all-1-start, 1))
	width := firstWidth * math.Pow(lastWidth/firstWidth, progress)
	at := slices.Clone(s.done[pick].at)
	for i, d := range s.dimensions {
		switch {
		case d.categorical():
			if s.rng.Float64() < max(width, 0.1) {
				at[i] = s.rng.Float64()
			}
		default:
			// A step must be able to leave its cell.
			at[i] = fold(at[i] + max(width, 0.7/d.size)*s.rng.NormFloat64())
		}
	}
	return at
}

// fold turns a number at the ends of the range from 0 up to 1.
func fold(u float64) float64 {
	u = math.Abs(math.Mod(u, 2))
	if u > 1 {
		u = 2 - u
	}
	return min(u, below1)
}

// below1 is the greatest float64 below 1.
var below1 = math.Nextafter(1, 0)

// dimension is a parameter as the study sees it.
type dimension struct {
	spec       job.ParameterSpec
	size       float64   // values; +Inf for a continuous one
	discrete   []float64 // sorted, each once
	categories []string  // each once
}

func newDimension(p job.ParameterSpec) dimension {
	d := dimension{spec: p}
	switch p.Type {
	case "CATEGORICAL":
		for _, c := range p.CategoricalValues {
			if !slices.Contains(d.categories, c) {
				d.categories = append(d.categories, c)
			}
		}
		d.size = float64(len(d.categories))
	case "DISCRETE":
		d.discrete = slices.Compact(slices.Sorted(slices.Values(p.DiscreteValues)))
		d.size = float64(len(d.discrete))
	case "INTEGER":
		d.size = *p.MaxValue - *p.MinValue + 1
	default:
		d.size = math.Inf(1)
		if *p.MinValue == *p.MaxValue {
			d.size = 1
		}
	}
	return d
}

func (d *dimension) categorical() bool { return d.spec.Type == "CATEGORICAL" }

// nth returns a value by its number, and its coordinate.
func (d *dimension) nth(n int64) (float64, Value) {
	v, middle := Value{Name: d.spec.ParameterName}, (float64(n)+0.5)/d.size
	switch d.spec.Type {
	case "CATEGORICAL":
		v.Categorical, v.Category = true, d.categories[n]
	case "DISCRETE":
		v.Number = d.discrete[n]
	case "INTEGER":
		// A scale makes them of different widths.
		lower, upper := d.bounds()
		v.Number = lower + float64(n)
		middle = unscaled(d.spec.ScaleType, lower, upper, v.Number+0.5)
	default: // with one value
		v.Number = *d.spec.MinValue
	}
	return min(middle, below1), v
}

// value returns what a coordinate means.
func (d *dimension) value(u float64) Value {
	lower, upper := d.bounds()
	v := Value{Name: d.spec.ParameterName}
	switch d.spec.Type {
	case "CATEGORICAL", "DISCRETE":
		// Each value is as likely as another, whatever the scale: it says how
		// far values are apart, and here they are next to each other.
		_, v = d.nth(min(int64(u*d.size), int64(d.size)-1))
	case "INTEGER":
		v.Number = min(max(math.Floor(scaled(d.spec.ScaleType, lower, upper, u)), lower), upper-1)
	default:
		v.Number = min(max(scaled(d.spec.ScaleType, lower, upper, u), lower), upper)
	}
	return v
}

// bounds returns the ends of a parameter's range. An integer has the range from it
// up to the next.
func (d *dimension) bounds() (lower, upper float64) {
	if d.spec.Type == "CATEGORICAL" || d.spec.Type == "DISCRETE" {
		return 0, 0
	}
	lower, upper = *d.spec.MinValue, *d.spec.MaxValue
	if d.spec.Type == "INTEGER" {
		upper++
	}
	return lower, upper
}

// scaled returns the value at a coordinate of a range. The API: a logarithmic scale
// spreads out the bottom of the range, the reverse one its top.
func scaled(scale string, lower, upper, u float64) float64 {
	switch scale {
	case "UNIT_LOG_SCALE":
		return math.Exp(mix(math.Log(lower), math.Log(upper), u))
	case "UNIT_REVERSE_LOG_SCALE":
		return lower + (upper - math.Exp(mix(math.Log(lower), math.Log(upper), 1-u)))
	}
	return mix(lower, upper, u)
}

// unscaled turns scaled around.
func unscaled(scale string, lower, upper, value float64) float64 {
	switch scale {
	case "UNIT_LOG_SCALE":
		return (math.Log(value) - math.Log(lower)) / (math.Log(upper) - math.Log(lower))
	case "UNIT_REVERSE_LOG_SCALE":
		return 1 - unscaled("UNIT_LOG_SCALE", lower, upper, lower+upper-value)
	}
	return (value - lower) / (upper - lower)
}

// mix does not overflow between the ends of float64's range.
func mix(a, b, u float64) float64 { return a*(1-u) + b*u }
