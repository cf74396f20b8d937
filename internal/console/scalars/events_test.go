package scalars

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// readAll returns what an event file has.
func readAll(t testing.TB, data []byte) *file {
	t.Helper()
	c := newCollector(Options{}.withDefaults(), 16_000)
	if err := readEvents(bytes.NewReader(data), c); err != nil {
		t.Fatal(err)
	}
	return c.file()
}

// show returns a file's series as text: a tag with steps and values.
func (f *file) show() []string {
	var all []string
	for _, s := range f.series {
		line := s.tag
		if s.trial != "" {
			line = s.trial + " " + line
		}
		for _, p := range s.Points {
			line += fmt.Sprintf(" %d:%v", p.Step, p.Value)
		}
		all = append(all, line)
	}
	return all
}

func TestEvents(t *testing.T) {
	value := func(v string) string { return `step: 3 summary { value { tag: "v" ` + v + ` } }` }
	scalar := `metadata { plugin_data { plugin_name: "scalars" } }`
	tests := []struct {
		name   string
		events []string
		want   []string
		notes  []string
	}{
		{name: "an empty file"},
		{
			"version 1", []string{
				`file_version: "brain.Event:2"`, simple(1, "loss", 0.5), simple(2, "loss", 0.25), simple(2, "acc", 1),
			},
			[]string{"loss 1:0.5 2:0.25", "acc 2:1"}, nil,
		},
		{
			"several values in one event", []string{
				`step: -4 summary { value { tag: "a" simple_value: 1 } value { tag: "b" simple_value: 2 } }`,
			}, []string{"a -4:1", "b -4:2"}, nil,
		},
		{"no step is step 0", []string{`summary { value { tag: "a" simple_value: 0 } }`}, []string{"a 0:0"}, nil},
		{
			"odd values", []string{
				simple(1, "l", math.NaN()), simple(2, "l", math.Inf(1)), simple(3, "l", math.Inf(-1)), simple(4, "l", 1),
			},
			[]string{"l 1:NaN 2:+Inf 3:-Inf 4:1"}, nil,
		},
		{"float", []string{value(`tensor { dtype: 1 tensor_shape {} float_val: 0.5 } ` + scalar)}, []string{"v 3:0.5"}, nil},
		{"float content", []string{value(`tensor { dtype: 1 tensor_content: "\x00\x00\x00\xbf" }`)}, []string{"v 3:-0.5"}, nil},
		{"double", []string{value(`tensor { dtype: 2 double_val: 1e300 }`)}, []string{"v 3:1e+300"}, nil},
		{"int32", []string{value(`tensor { dtype: 3 int_val: -7 }`)}, []string{"v 3:-7"}, nil},
		{"int32 content", []string{value(`tensor { dtype: 3 tensor_content: "\xf9\xff\xff\xff" }`)}, []string{"v 3:-7"}, nil},
		{"int16 content", []string{value(`tensor { dtype: 5 tensor_content: "\xf9\xff" }`)}, []string{"v 3:-7"}, nil},
		{"int8", []string{value(`tensor { dtype: 6 int_val: -7 }`)}, []string{"v 3:-7"}, nil},
		{"uint8 content", []string{value(`tensor { dtype: 4 tensor_content: "\xf9" }`)}, []string{"v 3:249"}, nil},
		{"uint16", []string{value(`tensor { dtype: 17 int_val: 65535 }`)}, []string{"v 3:65535"}, nil},
		{"uint32", []string{value(`tensor { dtype: 22 uint32_val: 4294967295 }`)}, []string{"v 3:4.294967295e+09"}, nil},
		{"int64", []string{value(`tensor { dtype: 9 int64_val: -1234567 }`)}, []string{"v 3:-1.234567e+06"}, nil},
		{"uint64", []string{value(`tensor { dtype: 23 uint64_val: 1 }`)}, []string{"v 3:1"}, nil},
		{"bool", []string{value(`tensor { dtype: 10 bool_val: true }`)}, []string{"v 3:1"}, nil},
		{"half", []string{value(`tensor { dtype: 19 half_val: 0x3800 }`)}, []string{"v 3:0.5"}, nil},
		{"half content", []string{value(`tensor { dtype: 19 tensor_content: "\x00\xb8" }`)}, []string{"v 3:-0.5"}, nil},
		{"bfloat16", []string{value(`tensor { dtype: 14 half_val: 0xbf00 }`)}, []string{"v 3:-0.5"}, nil},
		{
			"a scalar with a dimension needs its plugin", []string{
				value(`tensor { dtype: 1 tensor_shape { dim { size: 1 } } float_val: 2 } ` + scalar),
				`step: 3 summary { value { tag: "w" tensor { dtype: 1 tensor_shape { dim { size: 1 } } float_val: 2 } } }`,
			}, []string{"v 3:2"}, nil,
		},
		{"a scalar by its class", []string{
			value(`tensor { dtype: 1 float_val: 2 } metadata { data_class: 1 plugin_data { plugin_name: "mine" } }`),
		}, []string{"v 3:2"}, nil},
		{name: "another plugin's", events: []string{
			value(`tensor { dtype: 1 float_val: 2 } metadata { plugin_data { plugin_name: "hparams" } }`),
		}},
		{name: "no scalars", events: []string{
			`graph_def: "graph"`, value(`image: "i"`), value(`histo: "h"`), value(`tensor { dtype: 7 string_val: "text" }`),
			value(`tensor { dtype: 1 float_val: 1 float_val: 2 }`), value(`tensor { dtype: 1 tensor_content: "\x00\x00" }`),
			value(`tensor { dtype: 1 float_val: 1 tensor_content: "\x00\x00\x00\x00" }`), value(`tensor { dtype: 1 }`),
			value(`tensor { dtype: 9 int64_val: 1 int64_val: 2 }`), value(`tensor { float_val: 1 }`),
		}},
		{
			"a trainer that began again", []string{
				simple(1, "l", 1), simple(2, "l", 2), simple(3, "l", 3), simple(2, "l", 20), simple(3, "l", 30),
			}, []string{"l 1:1 2:20 3:30"}, nil,
		},
		{
			"hostile tags", []string{
				`summary { value { tag: "<script>\x1b[31m\n" simple_value: 1 } }`, simple(0, "a\xff", 1),
				simple(0, strings.Repeat("ä", 300)+"1", 1),
				simple(0, strings.Repeat("ä", 300)+"2", 1),
			}, []string{
				"<script>\x1b[31m\n 0:1", "a\ufffd 0:1", strings.Repeat("ä", 200) + "… (6064e905) 0:1",
				strings.Repeat("ä", 200) + "… (b06257df) 0:1",
			}, nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := readAll(t, encode(t, test.events...))
			if diff := cmp.Diff(test.want, f.show()); diff != "" {
				t.Errorf("series (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.notes, f.notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}

// Times are of milliseconds; what can't be a time is none.
func TestEventTimes(t *testing.T) {
	for wall, want := range map[string]int64{"1795424700.25": 1795424700250, "nan": 0, "inf": 0, "-5": 0, "1e300": 0} {
		f := readAll(t, encode(t, `wall_time: `+wall+` summary { value { tag: "a" simple_value: 1 } }`))
		if got := f.series[0].Points[0].Wall; got != want {
			t.Errorf("%s: %d, want %d", wall, got, want)
		}
	}
}

// A file that ends anywhere, as one that is being written does, has the scalars before its end, and no fault.
func TestTornEvents(t *testing.T) {
	first := encode(t, simple(1, "loss", 1))
	whole := append(bytes.Clone(first), encode(t, simple(2, "loss", 2))...)
	for end := range len(whole) {
		f := readAll(t, whole[:end])
		want := []string{"loss 1:1"}
		if end < len(first) {
			want = nil
		}
		if diff := cmp.Diff(want, f.show()); diff != "" || f.notes != nil {
			t.Fatalf("at %d of %d bytes: notes %q, series (-want +got):\n%s", end, len(whole), f.notes, diff)
		}
	}
}

// A byte that changed ends the file with a note that names the record, wherever it is.
func TestDamagedEvents(t *testing.T) {
	first := encode(t, simple(1, "loss", 1))
	second := encode(t, simple(2, "loss", 2))
	for at := range len(second) {
		data := append(bytes.Clone(first), second...)
		data[len(first)+at] ^= 0x10
		f := readAll(t, append(data, encode(t, simple(3, "loss", 3))...))
		what := "a record's checksum does not match"
		if at < 12 {
			what = "the length's checksum does not match"
		}
		notes := []string{fmt.Sprintf("damaged at byte %d (%s): the rest is left out", len(first), what)}
		if diff := cmp.Diff([]string{"loss 1:1"}, f.show()); diff != "" {
			t.Errorf("byte %d: series (-want +got):\n%s", at, diff)
		}
		if diff := cmp.Diff(notes, f.notes); diff != "" {
			t.Errorf("byte %d: notes (-want +got):\n%s", at, diff)
		}
	}
}

// Long records are passed over, also those that claim to be longer than any file. Those that may have held
// scalars are noted.
func TestLongRecords(t *testing.T) {
	long := strings.Repeat("x", recordBytes)
	data := encode(t, simple(1, "loss", 1), `wall_time: 1 graph_def: "`+long+`"`, simple(2, "loss", 2))
	f := readAll(t, data)
	if diff := cmp.Diff([]string{"loss 1:1 2:2"}, f.show()); diff != "" || f.notes != nil {
		t.Errorf("a graph: notes %q, series (-want +got):\n%s", f.notes, diff)
	}
	f = readAll(t, encode(t, `step: 5 summary { value { tag: "i" image: "`+long+`" } }`, simple(6, "loss", 1)))
	if diff := cmp.Diff([]string{"1 summary is left out: longer than 1 MiB"}, f.notes); diff != "" {
		t.Errorf("an image: notes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"loss 6:1"}, f.show()); diff != "" {
		t.Errorf("an image: series (-want +got):\n%s", diff)
	}
	data[len(encode(t, simple(1, "loss", 1)))+500_000] ^= 1
	f = readAll(t, data)
	if len(f.notes) != 1 || !strings.HasPrefix(f.notes[0], "damaged at byte 42 (a record's checksum") {
		t.Errorf("a damaged graph: notes %q", f.notes)
	}
	for _, length := range []uint64{math.MaxUint64, math.MaxInt64, math.MaxInt64 - 20, 1 << 40} {
		var head []byte
		for i := range 8 {
			head = append(head, byte(length>>(8*i)))
		}
		sum := maskedSum(head)
		head = append(head, byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
		f := readAll(t, append(encode(t, simple(1, "loss", 1)), append(head, long...)...))
		if diff := cmp.Diff([]string{"loss 1:1"}, f.show()); diff != "" {
			t.Errorf("length %d: series (-want +got):\n%s", length, diff)
		}
	}
}

// What is framed well but is not an event is counted, and the rest is read.
func TestNotEvents(t *testing.T) {
	var data []byte
	good := message(t, simple(1, "loss", 1))
	for _, bad := range [][]byte{
		[]byte("no event"), {0xff}, good[:len(good)-1], {0x2a, 0x02, 0x0a, 0x05}, {0x2a, 0x04, 0x0a, 0x02, 0x0a, 0x05},
		{0x2b, 0x2c}, {0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01},
	} {
		data = append(data, record(bad)...)
	}
	f := readAll(t, append(data, record(good)...))
	if diff := cmp.Diff([]string{"8 records are not an event"}, f.notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"loss 1:1"}, f.show()); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}

// A tag more than the bound is counted, not kept.
func TestTagsAreBounded(t *testing.T) {
	c := newCollector(Options{Tags: 2}.withDefaults(), 16_000)
	data := encode(t, simple(1, "a", 1), simple(1, "b", 1), simple(1, "c", 1), simple(2, "a", 1), simple(2, "d", 1))
	if err := readEvents(bytes.NewReader(data), c); err != nil {
		t.Fatal(err)
	}
	f := c.file()
	if diff := cmp.Diff([]string{"a 1:1 2:1", "b 1:1"}, f.show()); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"only 2 tags are kept: 2 values of others are left out"}, f.notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestHalf(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0x0001: math.Ldexp(1, -24), 0x03ff: 1023 * math.Ldexp(1, -24),
		0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0x7e00: math.NaN(),
	} {
		if got := half(bits); !cmp.Equal(got, want, cmpopts.EquateNaNs()) {
			t.Errorf("%#x is %v, want %v", bits, got, want)
		}
	}
}

// endless repeats blocks without holding more than one.
type endless struct {
	block []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.block[e.at:])
	e.at = (e.at + n) % len(e.block)
	return n, nil
}

// A file of 200 MB, most of it images, takes the memory of what is kept: what is allocated in all
// does not grow with it.
func TestMemoryIsBounded(t *testing.T) {
	var events []string
	for i := range 1000 {
		events = append(events, simple(7, fmt.Sprint("tag", i%10), float64(i)))
	}
	events = append(events, `summary { value { tag: "i" image: "`+strings.Repeat("x", recordBytes)+`" } }`)
	block := encode(t, events...)
	allocated := func(bytes int64) (uint64, *file) {
		c := newCollector(Options{}.withDefaults(), 16_000)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := readEvents(io.LimitReader(&endless{block: block}, bytes), c); err != nil {
			t.Fatal(err)
		}
		f := c.file()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc, f
	}
	const most = 2 << 20
	got, f := allocated(200 << 20)
	if got > most {
		t.Errorf("%d bytes are allocated to read 200 MB, want at most %d", got, most)
	}
	if total := f.series[0].Total; total < 15_000 {
		t.Errorf("%d values were read of a tag", total)
	}
	for _, s := range f.series {
		if len(s.Points) > 1000 {
			t.Errorf("%d points of %s", len(s.Points), s.tag)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add(encode(f, `file_version: "brain.Event:2"`, simple(1, "loss", 0.5), simple(2, "loss", math.NaN())))
	f.Add(encode(f, `summary { value { tag: "a" tensor { dtype: 19 tensor_shape { dim { size: 1 } } half_val: 1 }
		metadata { data_class: 1 plugin_data { plugin_name: "scalars" } } } }`)[:60])
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// As a file, and as the events in it: no change would keep a sum.
		for _, in := range [][]byte{data, append(record(data), encode(t, simple(3, "z", 1))...)} {
			c := newCollector(Options{Points: 8, Tags: 4}.withDefaults(), 16_000)
			if err := readEvents(bytes.NewReader(in), c); err != nil {
				t.Fatal(err)
			}
			checkFile(t, c.file(), 8, 4)
		}
	})
}

// checkFile holds a file to the bounds, whatever was read.
func checkFile(t *testing.T, f *file, points, tags int) {
	t.Helper()
	if len(f.series) > tags {
		t.Errorf("%d tags", len(f.series))
	}
	for _, n := range f.notes {
		if len(n) > 1000 || strings.ToValidUTF8(n, "") != n {
			t.Errorf("note %q", n)
		}
	}
	for _, s := range f.series {
		if len(s.tag) > 4*shownTag+20 || strings.ToValidUTF8(s.tag, "") != s.tag {
			t.Errorf("tag %q", s.tag)
		}
		if len(s.Points) == 0 || len(s.Points) > points || int64(len(s.Points)) > s.Total {
			t.Errorf("%s: %d points of %d values", s.tag, len(s.Points), s.Total)
		}
		for i, p := range s.Points[1:] {
			if p.Step < s.Points[i].Step {
				t.Errorf("%s: step %d comes after %d", s.tag, p.Step, s.Points[i].Step)
			}
		}
	}
}
