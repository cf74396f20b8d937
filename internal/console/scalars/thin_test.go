package scalars

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// finite returns the points with finite values.
func finite(points []Point) []Point {
	return slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return !p.Finite() })
}

func least(points []Point) float64 {
	return slices.MinFunc(points, func(a, b Point) int { return int(math.Copysign(1, a.Value-b.Value)) }).Value
}

// Whatever a series has, and however it is cut, the first and the last point, the least and the greatest value and one
// that is not finite are kept, in their order, within the bound and not far below it.
func TestThin(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		most := 8 + r.IntN(60)
		all := make([]Point, 1+r.IntN(5000))
		step := int64(r.IntN(10) - 5)
		odd := 0
		for i := range all {
			step += int64(r.IntN(3))
			all[i] = Point{Step: step, Wall: int64(i), Value: r.NormFloat64()}
			if seed%3 == 0 && r.IntN(50) == 0 {
				all[i].Value = []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[r.IntN(3)]
				odd++
			}
		}
		got := Thin(all, most)
		if len(got) > most {
			t.Fatalf("seed %d: %d points, want at most %d", seed, len(got), most)
		}
		if len(got) < min(len(all), most/4) {
			t.Errorf("seed %d: %d points of %d, of at most %d", seed, len(got), len(all), most)
		}
		if got[0].Wall != 0 || got[len(got)-1].Wall != int64(len(all)-1) {
			t.Fatalf("seed %d: the ends are %v and %v", seed, got[0], got[len(got)-1])
		}
		if !slices.IsSortedFunc(got, func(a, b Point) int { return int(a.Wall - b.Wall) }) {
			t.Fatalf("seed %d: the order is another", seed)
		}
		for _, p := range got {
			if a := all[p.Wall]; a.Step != p.Step || math.Float64bits(a.Value) != math.Float64bits(p.Value) {
				t.Fatalf("seed %d: %v was made up", seed, p)
			}
		}
		if odd > 0 && len(finite(got)) == len(got) {
			t.Errorf("seed %d: none of %d odd values is kept", seed, odd)
		}
		if values := finite(all); len(values) > 0 {
			kept := finite(got)
			negated := func(points []Point) []Point {
				for i := range points {
					points[i].Value = -points[i].Value
				}
				return points
			}
			if least(values) != least(kept) || least(negated(values)) != least(negated(kept)) {
				t.Fatalf("seed %d: an extreme is gone", seed)
			}
		}
	}
}

// A peak of one value is seen in a series of a million, and the other points are spread over all of it.
func TestThinShowsPeaks(t *testing.T) {
	const all = 1_000_000
	p := thinner{most: 1000}
	for i := range int64(all) {
		v := float64(i % 2)
		if i == 777_777 {
			v = 99
		}
		p.add(Point{Step: i, Value: v})
	}
	points := p.thinned()
	if !slices.Contains(points, Point{Step: 777_777, Value: 99}) {
		t.Error("the peak is gone")
	}
	for i, q := range points[1:] {
		if gap := q.Step - points[i].Step; gap > all/100 {
			t.Errorf("no point between %d and %d", points[i].Step, q.Step)
		}
	}
	if buckets := (all + p.width - 1) / p.width; p.total != all || int64(len(p.sizes)) != buckets {
		t.Errorf("%d values in %d buckets of %d, want %d", p.total, len(p.sizes), p.width, buckets)
	}
}

// A short series is kept whole, as it is, also if it replaces a long one.
func TestThinKeepsShort(t *testing.T) {
	p := thinner{most: 10}
	for i := range int64(1000) {
		p.add(Point{Step: 2 + i})
	}
	var want []Point
	for i := range int64(9) {
		want = append(want, Point{Step: 1, Value: float64(i % 3), Wall: i})
		p.add(want[i])
		if got := p.thinned(); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

// A trainer that goes back again and again leaves steps that never fall, the first and the last of them.
func TestThinCutsBack(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := thinner{most: 8 + r.IntN(40)}
		var kept []Point
		step, falls := int64(0), int64(0)
		for i := range 1000 {
			if r.IntN(30) == 0 {
				step -= int64(r.IntN(40))
			} else {
				step += int64(r.IntN(3))
			}
			q := Point{Step: step, Value: r.NormFloat64(), Wall: int64(i)}
			if len(kept) > 0 && step < kept[len(kept)-1].Step {
				falls++
				kept = slices.DeleteFunc(kept, func(k Point) bool { return k.Step >= step })
			}
			kept = append(kept, q)
			p.add(q)
			got := p.thinned()
			if len(got) > p.most || got[0] != kept[0] || got[len(got)-1] != q {
				t.Fatalf("seed %d: %d points of at most %d, from %v to %v; want %v to %v", seed, len(got), p.most, got[0],
					got[len(got)-1], kept[0], q)
			}
			for j, k := range got[1:] {
				if k.Step < got[j].Step {
					t.Fatalf("seed %d: step %d after %d", seed, k.Step, got[j].Step)
				}
			}
		}
		if p.restarts != falls {
			t.Errorf("seed %d: %d restarts, want %d", seed, p.restarts, falls)
		}
	}
}

// Many series share a bound: each has its ends and its peak, and they have about as many points.
func TestThinnersShareABound(t *testing.T) {
	for _, series := range []int{1, 3, 40, 200} {
		s := thinners{most: 1000, whole: 4000}
		for range series {
			s.next()
		}
		for i := range int64(700) {
			for n, thin := range s.all {
				v := float64(i % 5)
				if i == int64(n) {
					v = 99
				}
				s.add(thin, Point{Step: i, Value: v})
			}
		}
		held := 0
		for n, thin := range s.all {
			got := thin.thinned()
			held += len(got)
			if len(got) < min(700, 4000/series/4) || got[0].Step != 0 || got[len(got)-1].Step != 699 ||
				!slices.Contains(got, Point{Step: int64(n), Value: 99}) {
				t.Fatalf("%d series: the one at %d has %d points", series, n, len(got))
			}
		}
		if held > s.whole || held != s.held {
			t.Errorf("%d series: %d points, and %d are counted, want at most %d", series, held, s.held, s.whole)
		}
	}
}

// Series that come one after the other leave no room behind that nothing fills.
func TestThinnersRoom(t *testing.T) {
	s := thinners{most: 1000, whole: 16_000}
	for range 200 {
		thin := s.next()
		for i := range int64(2000) {
			s.add(thin, Point{Step: i, Value: float64(i % 7)})
		}
	}
	room := 0
	for _, thin := range s.all {
		room += cap(thin.points)
	}
	if room > 2*s.whole {
		t.Errorf("room for %d points, want at most %d", room, 2*s.whole)
	}
}
