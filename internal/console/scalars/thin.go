package scalars

import (
	"math"
	"slices"
	"sort"
)

// leastPoints is the least bound of a series: one bucket's points, and the last.
const leastPoints = 8

// Thin returns at most that many points of a series, or 8 if most is less. The first and the last point, the least and
// the greatest finite value, and some of the others stay. The points must be in the order of their steps.
func Thin(points []Point, most int) []Point {
	if len(points) <= most {
		return points
	}
	t := thinner{most: most}
	for _, p := range points {
		t.add(p)
	}
	return t.thinned()
}

// thinner keeps a bounded part of a series of unknown length. It cuts the series into buckets of as many values each,
// and keeps of every bucket the least and the greatest finite value and the first that is not finite. If that becomes
// too much, neighbouring buckets become one. As long as the bound allows it, each value has a bucket of its own.
type thinner struct {
	most int
	// points are those of all buckets, in the order in which they came. Their steps never fall.
	points []Point
	// sizes are how many of points each bucket has: one to four, as the first bucket keeps its first point too.
	sizes []uint8
	// width is how many values a full bucket stands for, and fill how many the last one stands for.
	width, fill int64
	last        Point
	// held reports that last is the last of points too.
	held                       bool
	total, nonFinite, restarts int64
}

// add takes the next value. If its step is smaller than the last one's, the trainer began again at an earlier
// checkpoint: what was kept from that step on goes.
func (t *thinner) add(p Point) {
	if len(t.points) > 0 && p.Step < t.last.Step {
		t.cutBack(p.Step)
	}
	t.total++
	if !p.Finite() {
		t.nonFinite++
	}
	t.last = p
	if len(t.sizes) == 0 || t.fill >= t.width {
		t.width = max(t.width, 1)
		t.sizes, t.fill = append(t.sizes, 0), 0
	}
	t.fill++
	end := len(t.sizes) - 1
	begin := len(t.points) - int(t.sizes[end])
	t.points = append(t.points, p)
	t.points, t.held = extremes(t.points[:begin], t.points[begin:], end == 0)
	t.sizes[end] = uint8(len(t.points) - begin) // #nosec G115 -- four at most
	t.fit(t.most)
}

// fit makes most the bound of the points.
func (t *thinner) fit(most int) {
	t.most = max(most, leastPoints)
	for t.count() > t.most && len(t.sizes) > 1 {
		t.halve()
	}
}

// count returns how many points thinned returns.
func (t *thinner) count() int {
	if t.held || t.total == 0 {
		return len(t.points)
	}
	return len(t.points) + 1
}

// thinners share a bound of their points.
type thinners struct {
	// most is the bound of each, whole that of all, held what they have.
	most, whole, held int
	all               []*thinner
}

func (s *thinners) next() *thinner {
	t := &thinner{most: s.most}
	s.all = append(s.all, t)
	return t
}

// add adds the next point to t, which is one of all. If all have too many, each gets a smaller bound.
func (s *thinners) add(t *thinner, p Point) {
	before := t.count()
	t.add(p)
	s.held += t.count() - before
	for s.held > s.whole && s.most > leastPoints {
		s.most = max(s.most*3/4, leastPoints)
		s.held = 0
		for _, t := range s.all {
			t.fit(s.most)
			t.points = slices.Clone(t.points) // and no longer with room for more
			s.held += t.count()
		}
	}
}

// cutBack drops what was kept from a step on.
func (t *thinner) cutBack(step int64) {
	t.restarts++
	rest := sort.Search(len(t.points), func(i int) bool { return t.points[i].Step >= step })
	for drop := len(t.points) - rest; drop > 0; {
		end := len(t.sizes) - 1
		n := min(drop, int(t.sizes[end]))
		drop -= n
		if t.sizes[end] -= uint8(n); t.sizes[end] == 0 { // #nosec G115 -- four at most
			t.sizes = t.sizes[:end]
		}
	}
	t.points, t.fill = t.points[:rest], t.width
	if rest == 0 {
		t.width, t.fill = 0, 0
	}
}

// halve makes one bucket of two.
func (t *thinner) halve() {
	points, sizes, read := t.points[:0], t.sizes[:0], 0
	held := false
	for i := 0; i < len(t.sizes); i += 2 {
		n := int(t.sizes[i])
		if i+1 < len(t.sizes) {
			n += int(t.sizes[i+1])
		}
		before := len(points)
		points, held = extremes(points, t.points[read:read+n], i == 0)
		read += n
		sizes = append(sizes, uint8(len(points)-before)) // #nosec G115 -- four at most
	}
	if len(t.sizes)%2 == 0 {
		t.fill += t.width
	}
	t.points, t.sizes, t.held = points, sizes, t.held && held
	t.width = min(2*t.width, math.MaxInt64/4)
}

// extremes appends to kept what a bucket keeps of its points, which may lie behind kept in the same array. last
// reports that its last point is among them.
func extremes(kept, bucket []Point, first bool) (_ []Point, last bool) {
	least, greatest, odd := -1, -1, -1
	for i, p := range bucket {
		switch {
		case !p.Finite():
			if odd < 0 {
				odd = i
			}
			continue
		case least < 0 || p.Value < bucket[least].Value:
			least = i
		}
		if greatest < 0 || p.Value > bucket[greatest].Value {
			greatest = i
		}
	}
	for i, p := range bucket {
		if last = i == least || i == greatest || i == odd || first && i == 0; last {
			kept = append(kept, p)
		}
	}
	return kept, last
}

// thinned returns the kept points, which are the caller's.
func (t *thinner) thinned() []Point {
	points := slices.Clone(t.points)
	if !t.held && t.total > 0 {
		points = append(points, t.last)
	}
	return slices.Clip(points)
}
