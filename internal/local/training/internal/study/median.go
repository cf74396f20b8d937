package study

import (
	"cmp"
	"slices"
)

// minCurves is how many trials must have ended before one is stopped early.
const minCurves = 3

// StopsEarly reports whether the median rule, as aiplatform/v1 describes it, ends a trial: it is
// stopped if its best value is worse than the median of the averages which the
// trials that ran to their end had up to the same step. A trial that reports no
// steps can't be compared with others and is not stopped.
func StopsEarly(better func(a, b float64) int, values []Measurement, curves [][]Measurement) bool {
	if len(values) == 0 || values[len(values)-1].Step == 0 {
		return false
	}
	step, best := values[len(values)-1].Step, values[0].Value
	for _, m := range values {
		if better(m.Value, best) > 0 {
			best = m.Value
		}
	}
	var averages []float64
	for _, curve := range curves {
		sum, n := 0., 0.
		for _, m := range curve {
			if m.Step <= step {
				sum, n = sum+m.Value, n+1
			}
		}
		if n > 0 {
			averages = append(averages, sum/n)
		}
	}
	if len(averages) < minCurves {
		return false
	}
	slices.SortFunc(averages, cmp.Compare[float64])
	middle := len(averages) / 2
	median := averages[middle]
	if len(averages)%2 == 0 {
		median = averages[middle-1]/2 + median/2
	}
	return better(best, median) < 0
}
