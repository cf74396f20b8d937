package study

import "testing"

func TestMedianRule(t *testing.T) {
	better := BetterFor("MAXIMIZE")
	curve := func(values ...float64) (c []Measurement) {
		for i, v := range values {
			c = append(c, Measurement{int64(i + 1), v})
		}
		return c
	}
	three := [][]Measurement{curve(1, 2, 3, 9), curve(2, 3, 4), curve(3, 4, 5)} // averages at step 2: 1.5, 2.5, 3.5
	for _, tt := range []struct {
		name   string
		values []Measurement
		curves [][]Measurement
		want   bool
	}{
		{"worse", curve(1, 2.4), three, true},
		{"as good as the median", curve(1, 2.5), three, false},
		{"was better before", curve(2.6, 0), three, false},
		{"nothing reported", nil, three, false},
		{"no steps", []Measurement{{0, -9}}, three, false},
		{"too few to compare with", curve(1, 1), three[:2], false},
		{"not as far", []Measurement{{1, 0}}, [][]Measurement{curve(1), {{5, 9}}, {{5, 9}}}, false},
		{"an even number", curve(1, 2.9), append(three, curve(9, 9)), true},
	} {
		if got := StopsEarly(better, tt.values, tt.curves); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
	if StopsEarly(BetterFor("MINIMIZE"), curve(1, 2), three) || !StopsEarly(BetterFor("MINIMIZE"), curve(5, 2.6), three) {
		t.Error("the rule does not follow the goal")
	}
}
