package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// measured is a program with its results.
type measured struct {
	title  string
	runs   []result
	serial serial
	// first is the time from the start of a process to its first answer.
	first time.Duration
	// under are the results under other conditions, in the order of [conditions].
	under []result
}

// report holds what is printed.
type report struct {
	options options
	machine string
	skipped []string
	all     []measured
}

// condition is a load other than that of the flags.
type condition struct {
	title string
	load  load
}

// conditionDrops are fewer than usual: with latency a run takes long.
const conditionDrops = 200

// conditions returns the loads under which the programs are measured, too.
func conditions(l load) []condition {
	with := func(title string, change func(*load)) condition {
		c := condition{title, l}
		c.load.drops, c.load.latency, c.load.oneWrite, c.load.unavailable = min(l.drops, conditionDrops), 0, false, 0
		c.load.instances = 1
		change(&c.load)
		return c
	}
	return []condition{
		with("each call takes 20 ms", func(l *load) { l.latency = 20 * time.Millisecond }),
		with("each call takes 50 ms", func(l *load) { l.latency = 50 * time.Millisecond }),
		with("429 to a second write of a name within a second", func(l *load) { l.oneWrite = true }),
		with("503 in 1 % of the calls", func(l *load) { l.unavailable = 0.01 }),
		with("two processes, which get the events of a drop in turn", func(l *load) { l.instances = 2 }),
		with("events of a drop one after the other", func(l *load) { l.apart = !l.apart }),
	}
}

// measure runs the programs in turn.
func (b *bench) measure(ctx context.Context) (*report, error) {
	r := &report{options: b.options, machine: machine(ctx), skipped: b.skipped, all: make([]measured, len(b.programs))}
	say := func(p program, what string) {
		fmt.Fprintf(b.stderr, "%s: %s\n", p.title, what)
	}
	for n := range b.options.runs {
		for i, p := range b.programs {
			say(p, fmt.Sprintf("run %d of %d", n+1, b.options.runs))
			one, err := b.once(ctx, p, b.options.load, b.options.duration)
			if err != nil {
				return nil, err
			}
			r.all[i].title = p.title
			r.all[i].runs = append(r.all[i].runs, one)
		}
	}
	if b.options.duration > 0 {
		return r, nil
	}
	for i, p := range b.programs {
		p.profiled = false
		say(p, "drops one by one")
		var err error
		if r.all[i].serial, err = b.serially(ctx, p); err != nil {
			return nil, err
		}
		if r.all[i].first, err = b.firstAnswer(ctx, p); err != nil {
			return nil, err
		}
	}
	if !b.options.conditions {
		return r, nil
	}
	for _, c := range conditions(b.options.load) {
		for i, p := range b.programs {
			p.profiled = false
			say(p, c.title)
			one, err := b.once(ctx, p, c.load, 0)
			if err != nil {
				return nil, err
			}
			r.all[i].under = append(r.all[i].under, one)
		}
	}
	return r, nil
}

// machine describes this machine.
func machine(ctx context.Context) string {
	text := fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if model := cpuModel(); model != "" {
		text = model + ", " + text
	}
	if version, err := exec.CommandContext(ctx, "node", "--version").Output(); err == nil {
		text += ", Node.js " + string(bytes.TrimSpace(version))
	}
	return text
}

// cpuModel returns the name of the processor where Linux tells it.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// span returns the least and the most of what the runs of a program came to, as text.
func (m measured) span(form string, of func(result) float64) string {
	least, most := math.Inf(1), math.Inf(-1)
	for _, r := range m.runs {
		least, most = min(least, of(r)), max(most, of(r))
	}
	from, to := fmt.Sprintf(form, least), fmt.Sprintf(form, most)
	switch {
	case most == 0:
		return "0"
	case from == to:
		return from
	}
	return from + "–" + to
}

// count returns the number of calls by a predicate.
func (r result) count(is func(counted) bool) (n int) {
	for c, times := range r.counts {
		if is(c) {
			n += times
		}
	}
	return n
}

// perDrop returns the number of calls per drop by a predicate.
func (r result) perDrop(is func(counted) bool) float64 {
	return float64(r.count(is)) / float64(max(r.drops, 1))
}

func (r result) rate() float64 { return float64(r.drops) / r.elapsed.Seconds() }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// storageKinds are the kinds of calls of the storage, as the rows of the table.
func storageKinds() []struct{ title, kind string } {
	return []struct{ title, kind string }{
		{"lists", list}, {"reads", read}, {"reads of attributes", stat}, {"writes", write}, {"copies", copying},
		{"deletes", remove}, {"buckets", bucket},
	}
}

// row adds a row of spans.
func (r *report) row(t *table, title, form string, of func(result) float64) {
	cells := []string{title}
	for _, m := range r.all {
		cells = append(cells, m.span(form, of))
	}
	t.add(cells...)
}

func (r *report) heads(first string) *table {
	heads := []string{first}
	for _, m := range r.all {
		heads = append(heads, m.title)
	}
	return &table{heads: heads}
}

// main returns the table of the load.
func (r *report) main() *table {
	t := r.heads("")
	r.row(t, "drops/s", "%.0f", result.rate)
	r.row(t, "CPU seconds per 1,000 drops", "%.2f", func(r result) float64 {
		return r.spent.cpu.Seconds() * 1000 / float64(r.drops)
	})
	r.row(t, "peak memory, MB", "%.0f", func(r result) float64 { return float64(r.spent.memory) / 1e6 })
	for _, p := range []float64{50, 99, 99.9} {
		r.row(t, fmt.Sprintf("event to create, p%g, ms", p), "%.0f", func(r result) float64 {
			return milliseconds(percentile(r.toCreate, p))
		})
	}
	for _, p := range []float64{50, 99, 99.9} {
		r.row(t, fmt.Sprintf("event to last answer, p%g, ms", p), "%.0f", func(r result) float64 {
			return milliseconds(percentile(r.toAnswer, p))
		})
	}
	r.row(t, "storage calls per drop", "%.2f", func(r result) float64 {
		return r.perDrop(ofStorage)
	})
	for _, k := range storageKinds() {
		of := func(r result) float64 { return r.perDrop(func(c counted) bool { return c.kind == k.kind }) }
		if r.some(of) {
			r.row(t, "… "+k.title, "%.2f", of)
		}
	}
	r.row(t, "publish calls per drop", "%.2f", func(r result) float64 {
		return r.perDrop(func(c counted) bool { return c.kind == publish })
	})
	r.row(t, "messages per drop", "%.2f", func(r result) float64 { return float64(r.messages) / float64(r.drops) })
	r.row(t, "creates per drop", "%.2f", func(r result) float64 { return float64(r.creates) / float64(r.drops) })
	r.row(t, "… without those answered 409", "%.2f", func(r result) float64 {
		return float64(r.creates-r.conflicts) / float64(r.drops)
	})
	r.row(t, "drops with exactly one job", "%.0f", func(r result) float64 { return float64(r.once) })
	r.row(t, "events not acknowledged at first, per 1,000 drops", "%.1f", func(r result) float64 {
		return float64(r.refused) * 1000 / float64(r.drops)
	})
	for _, f := range []struct {
		code int
		text string
	}{{412, "writes answered 412, per 1,000 drops"}, {429, "writes answered 429, per 1,000 drops"},
		{503, "calls answered 503, per 1,000 drops"}} {
		of := func(r result) float64 { return 1000 * r.perDrop(func(c counted) bool { return c.code == f.code }) }
		if r.some(of) {
			r.row(t, f.text, "%.0f", of)
		}
	}
	return t
}

// some reports whether any run has a value other than 0.
func (r *report) some(of func(result) float64) bool {
	return slices.ContainsFunc(r.all, func(m measured) bool {
		return slices.ContainsFunc(m.runs, func(one result) bool { return of(one) != 0 })
	})
}

// trips returns the table of drops that were sent one by one.
func (r *report) trips() *table {
	t := r.heads("")
	add := func(title string, of func(serial) string) {
		cells := []string{title}
		for _, m := range r.all {
			cells = append(cells, of(m.serial))
		}
		t.add(cells...)
	}
	in := func(trips int, times float64) string { return fmt.Sprintf("%d (%.1f)", trips, times) }
	add("until the create is sent", func(s serial) string { return in(s.toCreate, s.createTime) })
	add("until the answer of that event", func(s serial) string { return in(s.toAnswer, s.answerTime) })
	add("the other event, until its answer", func(s serial) string { return in(s.second, s.secondTime) })
	return t
}

// firsts returns how long each program takes to its first answer.
func (r *report) firsts() string {
	var all []string
	for _, m := range r.all {
		all = append(all, fmt.Sprintf("%s %.0f ms", m.title, milliseconds(m.first)))
	}
	return strings.Join(all, ", ")
}

// byObject returns the table of all calls per drop.
func (r *report) byObject() *table {
	type key struct{ kind, object string }
	seen := map[key]bool{}
	for _, m := range r.all {
		for _, one := range m.runs {
			for c := range one.counts {
				seen[key{c.kind, c.object}] = true
			}
		}
	}
	order := kinds()
	keys := slices.SortedFunc(maps.Keys(seen), func(a, b key) int {
		if a.kind != b.kind {
			return slices.Index(order, a.kind) - slices.Index(order, b.kind)
		}
		return strings.Compare(a.object, b.object)
	})
	t := r.heads("call")
	for _, k := range keys {
		r.row(t, k.kind+": "+k.object, "%.2f", func(r result) float64 {
			return r.perDrop(func(c counted) bool { return c.kind == k.kind && c.object == k.object })
		})
	}
	return t
}

// ofStorage reports whether calls are of Cloud Storage.
func ofStorage(c counted) bool {
	return slices.ContainsFunc(storageKinds(), func(k struct{ title, kind string }) bool { return k.kind == c.kind })
}

// others returns the table of the other conditions.
func (r *report) others() *table {
	t := &table{heads: []string{
		"condition", "program", "drops/s", "event to create, p50, ms", "p99", "event to last answer, p99, ms",
		"storage calls per drop", "events not acknowledged at first, per 1,000 drops", "drops with exactly one job",
	}}
	ms := func(times []time.Duration, p float64) string {
		return fmt.Sprintf("%.0f", milliseconds(percentile(times, p)))
	}
	for i, c := range conditions(r.options.load) {
		for _, m := range r.all {
			one := m.under[i]
			t.add(c.title, m.title, fmt.Sprintf("%.0f", one.rate()), ms(one.toCreate, 50), ms(one.toCreate, 99),
				ms(one.toAnswer, 99), fmt.Sprintf("%.1f", one.perDrop(ofStorage)), fmt.Sprintf("%.0f", float64(one.refused)*1000/float64(one.drops)),
				fmt.Sprintf("%d of %d", one.once, one.drops))
		}
	}
	return t
}

// memory returns the table of a long run.
func (m measured) memory() *table {
	t := &table{heads: []string{"after", "drops", "memory, MB", "reachable, MB", "goroutines"}}
	for _, s := range m.runs[0].samples {
		heap, goroutines := "–", "–"
		if s.goroutines > 0 {
			heap, goroutines = fmt.Sprintf("%.1f", float64(s.heap)/1e6), fmt.Sprint(s.goroutines)
		}
		t.add(s.at.Round(time.Second/10).String(), fmt.Sprint(s.drops), fmt.Sprintf("%.1f", float64(s.memory)/1e6),
			heap, goroutines)
	}
	return t
}

// soaked returns what the runs of a soak have found.
func (r *report) soaked() error {
	var errs []error
	for _, m := range r.all {
		for _, one := range m.runs {
			if err := one.soaked(); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", m.title, err))
			}
		}
	}
	return errors.Join(errs...)
}

// markdown returns the report as the generated part of a page.
func (r *report) markdown() string {
	var b strings.Builder
	load := r.options.load.String()
	if r.options.duration > 0 {
		_, rest, _ := strings.Cut(load, " drops, ")
		load = r.options.duration.String() + " of drops, " + rest
	}
	fmt.Fprintf(&b, "Load: %s. Runs of each program: %d.\n\nMachine: %s.\n\n", load, r.options.runs, r.machine)
	for _, s := range r.skipped {
		fmt.Fprintf(&b, "SKIPPED: %s.\n\n", s)
	}
	b.WriteString(r.main().markdown())
	if r.options.duration > 0 {
		for _, m := range r.all {
			fmt.Fprintf(&b, "\nMemory of %s over time:\n\n%s", m.title, m.memory().markdown())
		}
	} else {
		l := serialLoad()
		fmt.Fprintf(&b, "\nRound trips in a row of one drop, whose events come one after the other and whose calls take %s "+
			"each (in parentheses: the time, in units of a call's):\n\n%s", l.latency, r.trips().markdown())
		fmt.Fprintf(&b, "\nFrom the start of a process until it has answered its first event, which makes a job: %s (the median "+
			"of %d, without latency).\n", r.firsts(), starts)
	}
	if r.options.conditions && r.options.duration == 0 {
		fmt.Fprintf(&b, "\nUnder other conditions, one run of %d drops each:\n\n%s",
			conditions(r.options.load)[0].load.drops, r.others().markdown())
	}
	fmt.Fprintf(&b, "\nAll remote calls per drop:\n\n%s", r.byObject().markdown())
	return b.String()
}
