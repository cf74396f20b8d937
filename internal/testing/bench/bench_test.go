package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/contract"
)

// steps returns all steps of a load.
func steps(l load) (all [][]event) {
	p := newPlan(l)
	for {
		step, ok := p.next(p.begun < l.drops)
		if !ok {
			return all
		}
		all = append(all, step)
	}
}

func TestPlanDependsOnTheLoadAlone(t *testing.T) {
	l := load{drops: 300, inFlight: 16, duplicates: 0.1, order: anyOrder, seed: 7}
	if diff := cmp.Diff(steps(l), steps(l), cmp.AllowUnexported(event{})); diff != "" {
		t.Errorf("another plan the second time (-first +second):\n%s", diff)
	}
	other := l
	other.seed++
	if cmp.Equal(steps(l), steps(other), cmp.AllowUnexported(event{})) {
		t.Error("the same plan of another seed")
	}
}

func TestPlan(t *testing.T) {
	tests := []struct {
		name      string
		load      load
		first     []part // the parts that may come first
		stepsEach int    // of a drop
		duplicate [2]int // the least and the most of 20,000 events
	}{
		{"together", load{duplicates: 0.1, order: anyOrder}, []part{jobPart, packagePart}, 2, [2]int{1800, 2200}},
		{"apart", load{order: jobFirst, apart: true}, []part{jobPart}, 1, [2]int{}},
		{"all twice", load{duplicates: 1, order: packageFirst}, []part{packagePart}, 2, [2]int{20000, 20000}},
		{
			"apart and twice", load{duplicates: 1, order: anyOrder, apart: true}, []part{jobPart, packagePart}, 1,
			[2]int{20000, 20000},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := test.load
			l.drops, l.inFlight = 10000, 16
			own, again, duplicates := 0, 0, 0
			sent := map[event]int{}
			first := map[part]bool{}
			for _, step := range steps(l) {
				if step[0].again {
					duplicates++
				} else {
					own++
				}
				for _, e := range step {
					seen := sent[event{e.drop, jobPart, false}] + sent[event{e.drop, packagePart, false}]
					switch before := sent[event{e.drop, e.part, false}]; {
					case e.again && before == 0:
						t.Fatalf("the duplicate of %+v comes first", e)
					case e.again:
						again++
					case seen == 0:
						first[e.part] = true
					}
					sent[e]++
				}
			}
			if own != test.stepsEach*l.drops || len(sent) != 2*l.drops+again {
				t.Errorf("%d steps and %d events, %d of them again, of %d drops", own, len(sent), again, l.drops)
			}
			if again < test.duplicate[0] || again > test.duplicate[1] || again != duplicates {
				t.Errorf("%d duplicates, want %d to %d", again, test.duplicate[0], test.duplicate[1])
			}
			for _, p := range []part{jobPart, packagePart} {
				if first[p] != slices.Contains(test.first, p) {
					t.Errorf("part %d comes first: %t", p, first[p])
				}
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	var all []time.Duration
	for i := range 1000 {
		all = append(all, time.Duration(i+1))
	}
	tests := []struct {
		of   []time.Duration
		p    float64
		want time.Duration
	}{
		{nil, 50, 0}, {all[:1], 99.9, 1}, {all[:2], 50, 1}, {all[:3], 50, 2}, {all, 50, 500}, {all, 99, 990},
		{all, 99.9, 999}, {all[:10], 99, 10}, {all, 0, 1}, {all, 100, 1000},
	}
	for _, test := range tests {
		if got := percentile(test.of, test.p); got != test.want {
			t.Errorf("p%g of %d times is %d, want %d", test.p, len(test.of), got, test.want)
		}
	}
}

func TestInRow(t *testing.T) {
	begin := time.Now()
	tests := []struct {
		name string
		all  [][2]int // start and end
		want int
	}{
		{"none", nil, 0},
		{"one after the other", [][2]int{{0, 1}, {1, 2}, {3, 4}}, 3},
		{"at once", [][2]int{{0, 5}, {1, 5}, {2, 6}}, 1},
		{"a long one beside two", [][2]int{{0, 10}, {1, 3}, {4, 6}}, 2},
		{"in any order", [][2]int{{4, 6}, {0, 3}, {3, 4}, {0, 6}}, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var all []call
			for _, c := range test.all {
				all = append(all, call{start: begin.Add(time.Duration(c[0])), end: begin.Add(time.Duration(c[1]))})
			}
			if got := inRow(all); got != test.want {
				t.Errorf("%d in a row, want %d", got, test.want)
			}
		})
	}
}

func TestObjectOf(t *testing.T) {
	for path, want := range map[string]string{
		"inbox bench/1/": "folder", "inbox bench/1/job.yaml": "job file", "inbox bench/1/job.json": "job file",
		"inbox bench/1/trainer-0.1.tar.gz": "package", "state attempts/a-1.json": "record", "state open/a-1": "index entry",
		"state recent/1-a-1": "recent", "state ended/failed/1-a-1": "ended", "state folders/a.json": "folder note",
		"state jobs/census_1.json": "job ID", "state policy.yaml": "policy", "state new/a": "state/new",
		"staging a-1/1/trainer-0.1.tar.gz": "staged package", "status bench/1/status.json": "status",
		"status bench/1/status-17.json": "status of an attempt", "elsewhere a/b": "elsewhere/a",
	} {
		bucket, name, _ := strings.Cut(path, " ")
		if got := objectOf(bucket, name); got != want {
			t.Errorf("%s is a %s, want %s", path, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	table := table{heads: []string{"", "plain Go"}}
	table.add("drops/s", "907–1108")
	table.add("… lists", "2")
	want := `|         | plain Go |
| ------- | -------: |
| drops/s | 907–1108 |
| … lists |        2 |
`
	if diff := cmp.Diff(want, table.markdown()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestSpan(t *testing.T) {
	m := measured{runs: []result{{refused: 3}, {refused: 1}, {refused: 2}}}
	refused := func(r result) float64 { return float64(r.refused) }
	if got := m.span("%.0f", refused); got != "1–3" {
		t.Errorf("span %q", got)
	}
	m.runs = m.runs[:1]
	if got := m.span("%.1f", refused); got != "3.0" {
		t.Errorf("span of one run %q", got)
	}
	m.runs[0].refused = 0
	if got := m.span("%.1f", refused); got != "0" {
		t.Errorf("span of nothing %q", got)
	}
}

func TestBetween(t *testing.T) {
	page := "# Performance\n" + beginMark + "old\n" + endMark + "the end\n"
	got, err := between([]byte(page), "new\n")
	if want := strings.Replace(page, "old", "new", 1); err != nil || string(got) != want {
		t.Errorf("%v, %q", err, got)
	}
	if _, err := between([]byte("# Performance\n"+endMark+beginMark), "new\n"); err == nil {
		t.Error("a page without the marks in order is rewritten")
	}
}

func TestParse(t *testing.T) {
	for _, args := range []string{
		"-drops=0", "-in-flight=0", "-duplicates=2", "-unavailable=0.9", "-order=last", "-programs=python", "-latency=-1s",
		"-programs=", "-nothing", "go", "-conditions false", "-- no-such-program",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
	o, err := parse([]string{"-drops", "5", "-programs", "", "--", "go", "-x"}, io.Discard)
	if err != nil || o.drops != 5 || !slices.Equal(o.command, []string{"go", "-x"}) || len(o.programs) > 0 {
		t.Errorf("%+v, %v", o, err)
	}
}

// The stand-in keeps what the use cases rely on in Cloud Storage.
func TestStorageContract(t *testing.T) {
	var l load
	s := httptest.NewServer(&storageServer{store: newStore(l), calls: newCalls(l)})
	defer s.Close()
	client, err := gcs.New(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	contract.CheckStorage(t, client, "one", "other")
}

// The options make the stand-ins answer 429 and 503.
func TestFaults(t *testing.T) {
	s := newStore(load{oneWrite: true})
	o := stored{bucket: state, name: "a/b"}
	if _, code := s.put(o, anyGeneration); code != http.StatusOK {
		t.Errorf("the first write is answered %d", code)
	}
	if _, code := s.put(o, anyGeneration); code != http.StatusTooManyRequests {
		t.Errorf("the second write is answered %d", code)
	}
	c := newCalls(load{unavailable: 0.1, seed: 1})
	for range 1000 {
		c.do(t.Context(), read, "record", func(time.Time) int { return http.StatusOK })
	}
	if n := c.counts[counted{read, "record", unavailableCode}]; n < 70 || n > 130 {
		t.Errorf("%d of 1000 calls are answered 503, want about 100", n)
	}
}

// What a list costs and returns does not change with what was deleted.
func TestStoreForgetsEmptyFolders(t *testing.T) {
	s := newStore(load{})
	s.expires = true
	for _, name := range []string{"a/b/c", "a/b/d", "e"} {
		s.put(stored{bucket: state, name: name}, anyGeneration)
	}
	s.delete(state, "a/b/c", 0)
	if p := s.list(state, "", "", true, 10); len(p.objects) != 1 || !slices.Equal(p.prefixes, []string{"a/"}) {
		t.Errorf("%+v", p)
	}
	s.expire(time.Now().Add(time.Hour))
	if n := s.buckets[state]; len(n.objects) > 0 || len(n.folders) > 0 || len(s.oldest) > 0 {
		t.Errorf("after all has expired there is %+v", n)
	}
}

// The whole harness, over the function as it is built for a deployment.
func TestBench(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{root: root, dir: t.TempDir(), stdout: io.Discard, stderr: io.Discard, options: options{
		load:     load{drops: 10, inFlight: 4, duplicates: 0.5, order: anyOrder, seed: 1, redelivery: usualRedelivery},
		programs: []string{jobdrop}, runs: 1,
	}}
	if err := b.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := b.once(t.Context(), b.programs[0], b.options.load, 0)
	if err != nil {
		t.Fatal(err)
	}
	planned := 0
	for _, step := range steps(b.options.load) {
		planned += len(step)
	}
	if r.drops != 10 || r.once != 10 || r.events != planned || len(r.toCreate) != 10 || len(r.toAnswer) != 10 {
		t.Errorf("%d drops, %d with one job, %d of %d events, %d and %d times", r.drops, r.once, r.events, planned,
			len(r.toCreate), len(r.toAnswer))
	}
	of := func(kind, object string, code int) int { return r.counts[counted{kind, object, code}] }
	if n := of(create, "job", 200); n != 10 || r.creates-r.conflicts != n {
		t.Errorf("%d creates, of %d and %d conflicts", n, r.creates, r.conflicts)
	}
	// Events that come together share a list, so their number depends on how they are scheduled.
	if n := of(list, "folder", 200); n < 10 || n > planned {
		t.Errorf("%d lists of folders, of %d events of 10 drops", n, planned)
	}
	if n := of(write, "status", 200); n < 10 {
		t.Errorf("%d writes of status.json", n)
	}
	if r.messages < 20 || of(publish, "topic", 200) < 10 {
		t.Errorf("%d messages in %d calls", r.messages, of(publish, "topic", 200))
	}
	if n := r.count(func(c counted) bool { return c.kind == unknown }); n > 0 {
		t.Errorf("%d calls that the stand-ins do not have: %v", n, r.counts)
	}
	if r.spent.cpu <= 0 || r.elapsed <= 0 {
		t.Errorf("%+v", r.spent)
	}
	if _, err := os.Stat("/proc/self/status"); err == nil && r.spent.memory < 5<<20 {
		t.Errorf("a peak of %d bytes", r.spent.memory)
	}
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte(beginMark+endMark), 0o644); err != nil {
		t.Fatal(err)
	}
	all := &report{
		options: b.options, machine: machine(t.Context()), all: []measured{{title: "jobdrop", runs: []result{r}}},
	}
	if err := rewrite(page, all.markdown()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(text), "drops with exactly one job") {
		t.Errorf("%v: %s", err, text)
	}
}

// A soak fails by what grows, and by nothing that only goes up and down.
func TestSoaked(t *testing.T) {
	steady := func(i int) sample {
		wave := i % 3
		return sample{memory: 50<<20 + int64(wave)<<20, heap: 9<<20 + wave<<18, goroutines: 30 + wave}
	}
	tests := []struct {
		name   string
		change func(i int, s *sample)
		once   int
		want   string
	}{
		{"nothing grows", func(int, *sample) {}, 10, ""},
		{"all grow while it warms up", func(i int, s *sample) { s.heap -= max(10-i, 0) << 19; s.goroutines -= max(10-i, 0) }, 10, ""},
		{"100 kB a sample are lost", func(i int, s *sample) { s.heap += i * 100_000 }, 10, "reachable memory"},
		{"resident memory grows", func(i int, s *sample) { s.memory += int64(i) << 20 }, 10, "resident memory"},
		{"goroutines stay", func(i int, s *sample) { s.goroutines += i }, 10, "goroutines"},
		{"a goroutine is not known", func(_ int, s *sample) { s.goroutines = 0 }, 10, "not known"},
		{"a drop without a job", func(int, *sample) {}, 9, "9 of 10 drops"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := result{drops: 10, once: test.once}
			for i := range sampled {
				s := steady(i)
				s.at = time.Duration(i) * time.Second
				test.change(i, &s)
				r.samples = append(r.samples, s)
			}
			err := r.soaked()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	if err := (result{}).soaked(); err == nil {
		t.Error("a soak without samples passes")
	}
}
