package scalars

import (
	"bytes"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readText(t testing.TB, content string, quoted bool) *file {
	t.Helper()
	c := newCollector(Options{}.withDefaults(), 16_000)
	if err := readLines(strings.NewReader(content), quoted, c); err != nil {
		t.Fatal(err)
	}
	return c.file()
}

func TestLines(t *testing.T) {
	tests := []struct {
		name, content string
		quoted        bool
		want          []string
		notes         []string
	}{
		{name: "an empty file"},
		{name: "blank lines", content: "\n \r\n"},
		{
			"steps", `{"step": 1, "loss": 0.5, "acc": 1}` + "\r\n" + `{"step": 2, "loss": 2e-1}`, false,
			[]string{"acc 1:1", "loss 1:0.5 2:0.2"}, nil,
		},
		{"no steps", `{"loss": 3}` + "\n" + `{"loss": 2}`, false, []string{"loss 0:3 1:2"}, nil},
		{
			"the best step, and the others are no series", `{"epoch": 1, "global_step": 100, "loss": 3}`, false,
			[]string{"loss 100:3"}, nil,
		},
		{
			"epochs that are fractions are a series", `{"epoch": 0.5, "loss": 3}` + "\n" + `{"epoch": 1.0, "loss": 2}`, false,
			[]string{"epoch 0:0.5", "loss 0:3 1:2"}, nil,
		},
		{
			"a line without the step has that of the line before", `{"step": 5, "loss": 3}` + "\n" + `{"eval": 2}` + "\n" +
				`{"step": "x", "eval": 1}`, false, []string{"loss 5:3", "eval 5:2 5:1"}, nil,
		},
		{
			"no whole step", `{"step": NaN, "a": 1}` + "\n" + `{"step": 1e300, "a": 1}`, false,
			[]string{"a 0:1 1:1", "step 0:NaN 1:1e+300"}, nil,
		},
		{
			"odd values", `{"step": 1, "a": NaN, "b": Infinity, "c": -Infinity, ` +
				`"d": "NaN", "e": 1e999, "NaN": -1, "f": "a NaN \" NaN"}`, false,
			[]string{"NaN 1:-1", "a 1:NaN", "b 1:+Inf", "c 1:-Inf", "d 1:NaN", "e 1:+Inf"}, nil,
		},
		{name: "no numbers", content: `{"step": 1, "a": "1", "b": true, "c": null, "d": [1], "e": {"f": 1}}`},
		{"an escaped name", `{"step": 1, "\u003cb\ud800": 1}`, false, []string{"<b\ufffd 1:1"}, nil},
		{
			"lines that are none", "{\n  \"loss\": 1\n}\n[1]\n7\nnull\n" + `{"loss": 1}` + "\n\xff\n", false,
			[]string{"loss 0:1"}, []string{"7 lines are not a JSON object"},
		},
		{"a line that is being written", `{"step": 1, "a": 1}` + "\n" + `{"step": 2, "a`, false, []string{"a 1:1"}, nil},
		{
			"long lines", `{"x": "` + strings.Repeat("x", 3*lineBytes) + `"}` + "\n" + `{"step": 2, "a": 1}` + "\n" +
				strings.Repeat("[", lineBytes+1), false, []string{"a 2:1"}, []string{"2 lines are left out: longer than 256 KiB"},
		},
		{"deep lines", strings.Repeat(`{"a":`, 20_000) + "\n", false, nil, []string{"1 line is not a JSON object"}},
		{
			"hypertune", `{"accuracy": "0.5", "global_step": "10", "timestamp": 1525851440.123456, "trial": "3"}` + "\n" +
				`{"accuracy": "nan", "global_step": "20", "timestamp": 1525851441.1, "trial": "3", "checkpoint_path": "p"}`,
			true, []string{"3 accuracy 10:0.5 20:NaN"}, nil,
		},
		{
			"hypertune without a trial, and with odd ones", `{"a": "1", "global_step": "0", "trial": "0"}` + "\n" +
				`{"a": "2", "global_step": "1", "trial": "../x"}` + "\n" + `{"a": "3", "global_step": "2", "trial": 7}`, true,
			[]string{"a 0:1 1:2 2:3"}, nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := readText(t, test.content, test.quoted)
			if diff := cmp.Diff(test.want, f.show()); diff != "" {
				t.Errorf("series (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.notes, f.notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLineTimes(t *testing.T) {
	const at = 1_795_424_700_250
	tests := []struct {
		fields string
		want   int64
		tags   int
	}{
		{`"time": 1795424700.25`, at, 1},
		{`"timestamp": 1795424700250`, at, 1},
		{`"wall_time": 1795424700250000`, at, 1},
		{`"_timestamp": 1795424700250000000`, at, 1},
		{`"timestamp": "1795424700.25"`, at, 1},
		{`"timestamp": "2026-11-23T10:05:00.25+01:00"`, at, 1},
		{`"timestamp": "2026-11-23 09:05:00.25"`, at, 1},
		{`"wall_time": 1795424700.25, "time": 1795424701`, at, 1},
		{`"time": 0.25`, 0, 2}, // a duration
		{`"time": NaN`, 0, 2},
		{`"time": "now"`, 0, 1},
	}
	for _, test := range tests {
		f := readText(t, `{"step": 1, "a": 1, `+test.fields+`}`, false)
		if got := f.series[0].Points[0].Wall; got != test.want || len(f.series) != test.tags {
			t.Errorf("%s: %d and %d series, want %d and %d", test.fields, got, len(f.series), test.want, test.tags)
		}
	}
}

// Lines of 100 MB without an end, and many short ones, are read in little memory.
func TestLinesMemory(t *testing.T) {
	var before, after runtime.MemStats
	c := newCollector(Options{}.withDefaults(), 16_000)
	runtime.ReadMemStats(&before)
	if err := readLines(io.LimitReader(&endless{block: bytes.Repeat([]byte("["), 1<<16)}, 100<<20), false, c); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes are allocated", got)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte(`{"step": 1, "loss": NaN}`+"\n"+`{"step": 0, "loss": -Infinity, "time": 1795424700}`), false)
	f.Add([]byte(`{"accuracy": "0.5", "global_step": "10", "timestamp": 1525851440.123456, "trial": "3"}`), true)
	f.Add([]byte("{\"\\\"N\": \"\\u0000\"}\n\n[]\n{\"epoch\": 1e300, \"a\\ud800\": 1e999}"), false)
	f.Fuzz(func(t *testing.T, data []byte, quoted bool) {
		c := newCollector(Options{Points: 8, Tags: 4}.withDefaults(), 16_000)
		if err := readLines(bytes.NewReader(data), quoted, c); err != nil {
			t.Fatal(err)
		}
		f := c.file()
		checkFile(t, f, 8, 4)
		for _, s := range f.series {
			for _, p := range s.Points {
				if p.Step > 1<<53 || p.Step < -1<<53 || math.Abs(float64(p.Wall)) > 1e13 {
					t.Errorf("%v", p)
				}
			}
		}
	})
}
