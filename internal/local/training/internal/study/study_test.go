package study

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

func double(name string, lower, upper float64, scale string) job.ParameterSpec {
	return job.ParameterSpec{ParameterName: name, Type: "DOUBLE", MinValue: &lower, MaxValue: &upper, ScaleType: scale}
}

func whole(name string, lower, upper float64, scale string) job.ParameterSpec {
	return job.ParameterSpec{ParameterName: name, Type: "INTEGER", MinValue: &lower, MaxValue: &upper, ScaleType: scale}
}

func discrete(name string, values ...float64) job.ParameterSpec {
	return job.ParameterSpec{ParameterName: name, Type: "DISCRETE", DiscreteValues: values}
}

func category(name string, values ...string) job.ParameterSpec {
	return job.ParameterSpec{ParameterName: name, Type: "CATEGORICAL", CategoricalValues: values}
}

// texts runs a study to its end and returns its suggestions as a program gets
// them. value is what a trial achieves; without it all fail.
func texts(s *Study, value func([]Value) float64) (all [][]string) {
	for {
		n, values, ok := s.Next()
		if !ok {
			return all
		}
		var text []string
		for _, v := range values {
			text = append(text, v.Text())
		}
		all = append(all, text)
		if value == nil {
			s.Fail(n)
		} else {
			s.Report(n, value(values))
		}
	}
}

func TestGridSearch(t *testing.T) {
	for _, tt := range []struct {
		name      string
		maxTrials int32
		params    []job.ParameterSpec
		want      [][]string
	}{
		{
			name: "every combination once, the last parameter first", maxTrials: 100,
			params: []job.ParameterSpec{whole("a", -1, 1, ""), category("b", "x", "y z"), discrete("c", 0.5, 2)},
			want: [][]string{
				{"-1", "x", "0.5"}, {"-1", "x", "2"}, {"-1", "y z", "0.5"}, {"-1", "y z", "2"},
				{"0", "x", "0.5"}, {"0", "x", "2"}, {"0", "y z", "0.5"}, {"0", "y z", "2"},
				{"1", "x", "0.5"}, {"1", "x", "2"}, {"1", "y z", "0.5"}, {"1", "y z", "2"},
			},
		},
		{
			name: "no more than maxTrials", maxTrials: 3,
			params: []job.ParameterSpec{whole("a", 1, 1e15, "UNIT_LOG_SCALE")},
			want:   [][]string{{"1"}, {"2"}, {"3"}},
		},
		{
			name: "one trial by default", params: []job.ParameterSpec{whole("a", 5, 9, "")},
			want: [][]string{{"5"}},
		},
		{
			name: "values in order and once", maxTrials: 9,
			params: []job.ParameterSpec{discrete("a", 3, 1e6, 1, 3), category("b", "q", "q")},
			want:   [][]string{{"1", "q"}, {"3", "q"}, {"1000000", "q"}},
		},
		{
			name: "at the end of what a float64 counts", maxTrials: 9,
			params: []job.ParameterSpec{whole("a", maxWhole-2, maxWhole, "UNIT_REVERSE_LOG_SCALE")},
			want:   [][]string{{"9007199254740989"}, {"9007199254740990"}, {"9007199254740991"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := &job.HyperparameterSpec{Algorithm: "GRID_SEARCH", MaxTrials: tt.maxTrials, Params: tt.params}
			if diff := cmp.Diff(tt.want, texts(New(spec, "seed"), nil)); diff != "" {
				t.Errorf("suggestions (-want +got):\n%s", diff)
			}
		})
	}
}

// inSpace returns why a value is not one of a parameter's.
func inSpace(p job.ParameterSpec, v Value) error {
	ok := v.Name == p.ParameterName && v.Categorical == (p.Type == "CATEGORICAL")
	switch p.Type {
	case "CATEGORICAL":
		ok = ok && slices.Contains(p.CategoricalValues, v.Text())
	case "DISCRETE":
		ok = ok && slices.Contains(p.DiscreteValues, v.Number)
	default:
		ok = ok && *p.MinValue <= v.Number && v.Number <= *p.MaxValue
	}
	if p.Type == "INTEGER" {
		if _, err := strconv.ParseInt(v.Text(), 10, 64); err != nil {
			return err
		}
	}
	if !ok {
		return fmt.Errorf("%s = %s is not of the space", p.ParameterName, v.Text())
	}
	return nil
}

// TestSuggestionsAreOfTheSpace is about the algorithms that draw.
func TestSuggestionsAreOfTheSpace(t *testing.T) {
	params := []job.ParameterSpec{
		double("linear", -2, 3, "UNIT_LINEAR_SCALE"), double("log", 1e-6, 10, "UNIT_LOG_SCALE"),
		double("reverse", 0.5, 0.999, "UNIT_REVERSE_LOG_SCALE"), double("huge", -math.MaxFloat64, math.MaxFloat64, ""),
		double("one", 7, 7, ""),
		whole("few", -2, 2, ""), whole("logs", 1, 1024, "UNIT_LOG_SCALE"), whole("reverses", 1, 64, "UNIT_REVERSE_LOG_SCALE"),
		whole("many", -maxWhole, maxWhole, ""), whole("single", 3, 3, "UNIT_LOG_SCALE"),
		discrete("discrete", -3, 0, 0.1, 1e-7), category("category", "", "a", "b c"),
	}
	for _, algorithm := range []string{"RANDOM_SEARCH", "", "ALGORITHM_UNSPECIFIED"} {
		for seed := range 40 {
			spec := &job.HyperparameterSpec{Algorithm: algorithm, MaxTrials: 60, Params: params}
			s := New(spec, strconv.Itoa(seed))
			seen := map[string]bool{}
			trials := 0
			for {
				n, values, ok := s.Next()
				if !ok {
					break
				}
				if trials++; n != trials {
					t.Fatalf("trial %d has the number %d", trials, n)
				}
				for i, v := range values {
					if err := inSpace(params[i], v); err != nil {
						t.Fatalf("seed %d, trial %d: %v", seed, n, err)
					}
				}
				key := fmt.Sprint(values)
				if seen[key] {
					t.Fatalf("seed %d: trial %d repeats an earlier one: %s", seed, n, key)
				}
				seen[key] = true
				s.Report(n, values[0].Number*float64(n%3))
			}
			if trials != 60 {
				t.Fatalf("%q, seed %d: %d trials, want 60", algorithm, seed, trials)
			}
		}
	}
}

func TestSmallSpaceIsUsedUp(t *testing.T) {
	for _, algorithm := range []string{"RANDOM_SEARCH", ""} {
		for seed := range 30 {
			spec := &job.HyperparameterSpec{Algorithm: algorithm, MaxTrials: 1000, Params: []job.ParameterSpec{
				whole("a", 1, 100, "UNIT_LOG_SCALE"), category("b", "x", "y"), double("c", 2, 2, "")}}
			seen := map[string]bool{}
			for _, text := range texts(New(spec, strconv.Itoa(seed)), func(v []Value) float64 { return v[0].Number }) {
				seen[fmt.Sprint(text)] = true
			}
			if len(seen) != 200 {
				t.Errorf("%q, seed %d: %d of 200 combinations were tried", algorithm, seed, len(seen))
			}
		}
	}
}

func TestStudyIsDeterministic(t *testing.T) {
	for _, algorithm := range []string{"GRID_SEARCH", "RANDOM_SEARCH", ""} {
		spec := &job.HyperparameterSpec{Algorithm: algorithm, MaxTrials: 30,
			Params: []job.ParameterSpec{whole("a", 1, 1e6, ""), discrete("b", 1, 2, 3)}}
		value := func(v []Value) float64 { return v[0].Number }
		first, again, other := texts(New(spec, "one"), value), texts(New(spec, "one"), value), texts(New(spec, "two"), value)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("%q: the same seed gives (-first +again):\n%s", algorithm, diff)
		}
		if same := cmp.Equal(first, other); same != (algorithm == "GRID_SEARCH") {
			t.Errorf("%q: another seed gives the same: %t", algorithm, same)
		}
	}
}

// bowl returns a function whose best value, 0, is at 0.3 of each parameter's range.
func bowl(params []job.ParameterSpec) func([]Value) float64 {
	return func(values []Value) (sum float64) {
		for i, v := range values {
			lower, upper := *params[i].MinValue, *params[i].MaxValue
			if params[i].ScaleType == "UNIT_LOG_SCALE" {
				lower, upper, v.Number = math.Log(lower), math.Log(upper), math.Log(v.Number)
			}
			sum += math.Pow((v.Number-lower)/(upper-lower)-0.3, 2)
		}
		return sum
	}
}

// best returns the best value of a study's trials, and the first trial's.
func best(spec *job.HyperparameterSpec, seed string, value func([]Value) float64) (best, first float64) {
	s := New(spec, seed)
	texts(s, func(v []Value) float64 {
		got := value(v)
		if s.suggested == 1 {
			first = got
		}
		return got
	})
	return s.done[0].value, first
}

func TestDefaultAlgorithmFindsBetter(t *testing.T) {
	const seeds = 200
	for _, tt := range []struct {
		name   string
		params []job.ParameterSpec
		close  float64 // what the median of the seeds must come below
	}{
		{"one parameter", []job.ParameterSpec{double("a", -10, 10, "")}, 1e-4},
		{"two parameters", []job.ParameterSpec{double("a", -10, 10, "UNIT_LINEAR_SCALE"),
			double("b", 1e-5, 1, "UNIT_LOG_SCALE")}, 4e-3},
		{"an integer", []job.ParameterSpec{double("a", 0, 1, ""), whole("b", 0, 1000, "")}, 4e-3},
	} {
		for _, goal := range []string{"MINIMIZE", "MAXIMIZE"} {
			t.Run(tt.name+" "+goal, func(t *testing.T) {
				value := bowl(tt.params)
				if goal == "MAXIMIZE" {
					value = func(v []Value) float64 { return -bowl(tt.params)(v) }
				}
				spec := &job.HyperparameterSpec{MaxTrials: 25, Goal: goal, Params: tt.params}
				random := *spec
				random.Algorithm = "RANDOM_SEARCH"
				var found []float64
				wins := 0
				for seed := range seeds {
					got, first := best(spec, strconv.Itoa(seed), value)
					if math.Abs(got) >= math.Abs(first) && math.Abs(first) > tt.close {
						t.Errorf("seed %d: the best of 25 trials is %g, the first was %g", seed, got, first)
					}
					drawn, _ := best(&random, strconv.Itoa(seed), value)
					if math.Abs(got) < math.Abs(drawn) {
						wins++
					}
					found = append(found, math.Abs(got))
				}
				slices.Sort(found)
				if median := found[seeds/2]; median > tt.close {
					t.Errorf("the median of the best values is %g, want no more than %g", median, tt.close)
				}
				if wins < seeds*6/10 {
					t.Errorf("it found better than random search for %d of %d seeds only", wins, seeds)
				}
			})
		}
	}
}

func TestScales(t *testing.T) {
	const n = 2000
	below := func(p job.ParameterSpec, limit float64) (share float64) {
		d := newDimension(p)
		for i := range n {
			if d.value((float64(i)+0.5)/n).Number < limit {
				share += 1. / n
			}
		}
		return share
	}
	for _, tt := range []struct {
		name  string
		param job.ParameterSpec
		limit float64
		want  float64 // share of the values below the limit
	}{
		{"linear", double("a", 1, 100, "UNIT_LINEAR_SCALE"), 10, 9. / 99},
		{"none", double("a", 1, 100, "NONE"), 10, 9. / 99},
		{"log", double("a", 1, 100, "UNIT_LOG_SCALE"), 10, 0.5},
		{"reverse log", double("a", 1, 100, "UNIT_REVERSE_LOG_SCALE"), 91, 0.5},
		{"integers evenly", whole("a", 1, 10, "UNIT_LINEAR_SCALE"), 2, 0.1},
		{"integers log", whole("a", 1, 99, "UNIT_LOG_SCALE"), 10, 0.5},
		{"discrete evenly", discrete("a", 1, 10, 1000, 10000), 100, 0.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := below(tt.param, tt.limit); math.Abs(got-tt.want) > 0.01 {
				t.Errorf("%.3f of the values are below %g, want %.3f", got, tt.limit, tt.want)
			}
		})
	}
}

// TestCoordinates: a search around a value has to know where it is.
func TestCoordinates(t *testing.T) {
	for _, scale := range []string{"NONE", "UNIT_LINEAR_SCALE", "UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE"} {
		d := newDimension(whole("a", 1, 1000, scale))
		last := -1.
		for n := range int64(d.size) {
			u, want := d.nth(n)
			if got := d.value(u); got != want || u <= last || u >= 1 {
				t.Errorf("%s: value %d is %v, at %v %v, after %v", scale, n, want.Number, u, got.Number, last)
			}
			last = u
		}
	}
}

func TestValueText(t *testing.T) {
	for _, tt := range []struct {
		value Value
		want  string
	}{
		{Value{Number: 0.0001}, "0.0001"}, {Value{Number: 1e-7}, "1e-07"}, {Value{Number: 1e6}, "1000000"},
		{Value{Number: -3}, "-3"}, {Value{Number: 1e300}, "1e+300"}, {Value{Number: 2.5}, "2.5"},
		{Value{Categorical: true, Category: "64 32"}, "64 32"}, {Value{Categorical: true}, ""}, {Value{}, "0"},
	} {
		if got := tt.value.Text(); got != tt.want {
			t.Errorf("%+v is %q, want %q", tt.value, got, tt.want)
		}
	}
}

// FuzzStudy: whatever spec is accepted has a study.
func FuzzStudy(f *testing.F) {
	f.Add([]byte(`{"params": [{"parameterName": "a", "type": "DOUBLE", "minValue": 1e308, "maxValue": 1.7e308, ` +
		`"scaleType": "UNIT_REVERSE_LOG_SCALE"}]}`))
	f.Add([]byte(`{"algorithm": "GRID_SEARCH", "params": [{"parameterName": "a", "type": "INTEGER", "minValue": ` +
		`-9007199254740991, "maxValue": 9007199254740991}, {"parameterName": "b", "type": "DISCRETE", "discreteValues": ` +
		`[2, 1]}]}`))
	f.Add([]byte(`{"algorithm": "RANDOM_SEARCH", "params": [{"parameterName": "a", "type": "INTEGER", "minValue": ` +
		`9007199254740991, "maxValue": 9007199254740991, "scaleType": "UNIT_LOG_SCALE"}, {"parameterName": "b", "type": ` +
		`"CATEGORICAL", "categoricalValues": ["x", "x"]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var spec job.HyperparameterSpec
		if json.Unmarshal(data, &spec) != nil || len(Check(&spec)) > 0 {
			return
		}
		spec.MaxTrials = 12
		s := New(&spec, "seed")
		for {
			n, values, ok := s.Next()
			if !ok {
				break
			}
			for i, v := range values {
				if err := inSpace(spec.Params[i], v); err != nil {
					t.Errorf("trial %d: %v", n, err)
				}
			}
			s.Report(n, float64(n%5))
		}
		if s.suggested < int(min(12, s.size)) {
			t.Errorf("%d trials of %v combinations", s.suggested, s.size)
		}
	})
}
