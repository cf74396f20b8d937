package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"time"
)

// result is what one run of a program came to.
type result struct {
	drops, events int
	elapsed       time.Duration
	spent         spent
	// toCreate and toAnswer are the times from a drop's first event, sorted.
	toCreate, toAnswer []time.Duration
	counts             map[counted]int
	messages           int64
	refused            int
	// creates are those that reached the service, conflicts those of them that were answered 409, and once the drops
	// that got exactly one job.
	creates, conflicts, once int
	samples                  []sample
}

// sample is the program's memory at a time of a long run.
type sample struct {
	at         time.Duration
	drops      int
	memory     int64
	heap       int // reachable after a collection, in bytes; 0 if unknown
	goroutines int // 0 if unknown
}

// once measures one run of a program under a load.
func (b *bench) once(ctx context.Context, p program, l load, until time.Duration) (r result, err error) {
	w, err := newWorld(l)
	if err != nil {
		return r, err
	}
	defer w.close()
	environment, debug, err := b.debug(p, w.environment())
	if err != nil {
		return r, err
	}
	s, err := start(ctx, p, environment, filepath.Join(b.dir, "output.log"))
	if err != nil {
		return r, err
	}
	all, urls := []*process{s}, []string{s.url}
	defer func() {
		for _, s := range all {
			r.spent.add(s.stop())
		}
	}()
	for n := 1; n < l.instances; n++ {
		another, err := start(ctx, p, w.environment(), filepath.Join(b.dir, fmt.Sprintf("output-%d.log", n)))
		if err != nil {
			return r, err
		}
		all, urls = append(all, another), append(urls, another.url)
	}
	d := newDriver(l, w, b.pkg, urls...)
	var end time.Time
	stopSampling := func() []sample { return nil }
	if until > 0 {
		w.store.expires = true
		end = time.Now().Add(until)
		stopSampling = b.watch(ctx, s, d, debug, until)
	}
	r.elapsed, err = d.drive(ctx, end)
	r.samples = stopSampling()
	if err == nil && !s.running() {
		err = fmt.Errorf("the program ended")
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w\nthe end of its output:\n%s", p.title, err, s.lastWords())
	}
	r.collect(d, w)
	return r, nil
}

// collect takes the measures of a run that is over.
func (r *result) collect(d *driver, w *world) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.calls.mu.Lock()
	defer w.calls.mu.Unlock()
	r.drops, r.events, r.refused, r.messages = len(d.begun), d.events, d.refused, w.topic.messages.Load()
	r.counts, r.toAnswer = w.calls.counts, d.took
	for drop, begun := range d.begun {
		made := 0
		for i, a := range w.calls.creates[drop] {
			if i == 0 {
				r.toCreate = append(r.toCreate, a.at.Sub(begun))
			}
			switch a.code {
			case http.StatusOK:
				made++
			case http.StatusConflict:
				r.conflicts++
			}
			r.creates++
		}
		if made == 1 {
			r.once++
		}
	}
	slices.Sort(r.toCreate)
	slices.Sort(r.toAnswer)
}

// percentile returns the nearest-rank percentile of sorted times; 0 of none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p*float64(len(sorted))/100 - 1e-9)) // 99.9 is a little more than that in binary
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// inRow returns the length of the longest chain of calls that do not overlap: how many round trips follow each other.
func inRow(all []call) int {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b call) int { return a.end.Compare(b.end) })
	n := 0
	var last time.Time
	for _, c := range sorted {
		if n == 0 || !c.start.Before(last) {
			n, last = n+1, c.end
		}
	}
	return n
}

// serial is what drops came to that were sent one by one.
type serial struct {
	// Each is a median: the round trips in a row before the create, before the answer of the event that made it, and
	// before the answer of the other event.
	toCreate, toAnswer, second int
	// The times in units of the added latency.
	createTime, answerTime, secondTime float64
}

// serialLoad returns the load of drops that are sent one by one.
func serialLoad() load {
	return load{
		drops: serialDrops, inFlight: 1, apart: true, order: jobFirst, seed: 1, latency: serialLatency,
		redelivery: usualRedelivery,
	}
}

const (
	// serialDrops are enough for a median; the first drop finds a program that has just begun.
	serialDrops   = 11
	serialLatency = 20 * time.Millisecond
)

// serially measures drops one by one.
func (b *bench) serially(ctx context.Context, p program) (result serial, err error) {
	l := serialLoad()
	w, err := newWorld(l)
	if err != nil {
		return serial{}, err
	}
	defer w.close()
	w.calls.keep = true
	s, err := start(ctx, p, w.environment(), filepath.Join(b.dir, "output.log"))
	if err != nil {
		return serial{}, err
	}
	defer s.stop()
	d := newDriver(l, w, b.pkg, s.url)
	d.slots <- struct{}{}
	var trips, times [3][]float64
	note := func(i int, calls []call, took time.Duration) {
		trips[i] = append(trips[i], float64(inRow(calls)))
		times[i] = append(times[i], float64(took)/float64(l.latency))
	}
	for n := range l.drops {
		for i, e := range []event{{drop: n, part: jobPart}, {drop: n, part: packagePart}} {
			begin := time.Now()
			if err := d.begin(e, begin); err != nil {
				return serial{}, err
			}
			if err := d.deliver(ctx, e); err != nil {
				return serial{}, fmt.Errorf("%s: %w\n%s", p.title, err, s.lastWords())
			}
			took := time.Since(begin)
			all := w.calls.take()
			note(1+i, all, took)
			if at := slices.IndexFunc(all, func(c call) bool { return c.kind == create }); i == 0 && at >= 0 {
				made := all[at].start
				before := slices.DeleteFunc(slices.Clone(all), func(c call) bool { return c.end.After(made) })
				note(0, before, made.Sub(begin))
			}
		}
	}
	if len(trips[0]) == 0 {
		return serial{}, fmt.Errorf("%s: no drop's first event made a job: %s", p.title, s.lastWords())
	}
	return serial{
		toCreate: int(median(trips[0])), toAnswer: int(median(trips[1])), second: int(median(trips[2])),
		createTime: median(times[0]), answerTime: median(times[1]), secondTime: median(times[2]),
	}, nil
}

// starts is how often the first answer of a program is measured.
const starts = 7

// firstAnswer measures how long it takes from the start of a program until it has answered an event of a drop that is
// all there: a median.
func (b *bench) firstAnswer(ctx context.Context, p program) (time.Duration, error) {
	var times []float64
	for range starts {
		took, err := b.startOnce(ctx, p)
		if err != nil {
			return 0, err
		}
		times = append(times, float64(took))
	}
	return time.Duration(median(times)), nil
}

// startOnce starts a program and sends it an event until it is acknowledged.
func (b *bench) startOnce(ctx context.Context, p program) (time.Duration, error) {
	l := load{drops: 1, inFlight: 1, order: jobFirst}
	w, err := newWorld(l)
	if err != nil {
		return 0, err
	}
	defer w.close()
	begin := time.Now()
	s, err := launch(p, w.environment(), filepath.Join(b.dir, "output.log"))
	if err != nil {
		return 0, err
	}
	defer s.stop()
	d := newDriver(l, w, b.pkg, s.url)
	defer d.client.CloseIdleConnections()
	e := event{part: jobPart}
	if err := d.begin(e, begin); err != nil {
		return 0, err
	}
	header, body, err := message(d.drops[0].objects[jobPart], jobPart)
	if err != nil {
		return 0, err
	}
	for {
		if err = d.post(ctx, s.url, header, body); err == nil {
			return time.Since(begin), nil
		}
		if ctx.Err() != nil || !s.running() || time.Since(begin) > startTime {
			return 0, fmt.Errorf("%s: %w\n%s", p.title, err, s.lastWords())
		}
		time.Sleep(time.Millisecond)
	}
}

// median returns the middle of some numbers.
func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
