package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// debug returns the environment of a program with that of its profiles, and the address of its debug pages. Programs
// other than jobdrop's own have none.
func (b *bench) debug(p program, environment []string) (all []string, address string, err error) {
	if !p.profiled {
		return environment, "", nil
	}
	if b.options.profile != "" {
		dir, err := filepath.Abs(b.options.profile)
		if err != nil {
			return nil, "", err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, "", err
		}
		environment = append(environment, "BENCH_PROFILE="+dir)
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	address = "127.0.0.1:" + port
	return append(environment, "BENCH_DEBUG="+address), address, nil
}

// sampled is how many samples a long run is shown with.
const sampled = 40

// watch takes samples of a program until the function it returns is called, and lets old objects expire.
func (b *bench) watch(
	ctx context.Context, s *process, d *driver, debug string, until time.Duration,
) (stop func() []sample) {
	var samples []sample
	var group sync.WaitGroup
	done, begin := make(chan struct{}), time.Now()
	every := time.NewTicker(max(until/sampled, 100*time.Millisecond))
	group.Go(func() {
		defer every.Stop()
		for {
			select {
			case <-every.C:
			case <-done:
				return
			case <-ctx.Done():
				return
			}
			d.mu.Lock()
			drops := len(d.took)
			d.mu.Unlock()
			samples = append(samples, sample{
				at: time.Since(begin), drops: drops, memory: s.status("VmRSS"),
				heap:       debugPage(ctx, debug, "heap?gc=1&debug=1", "# HeapAlloc = "),
				goroutines: debugPage(ctx, debug, "goroutine?debug=1", "goroutine profile: total "),
			})
			d.world.store.expire(time.Now().Add(-keeps))
		}
	})
	return func() []sample {
		close(done)
		group.Wait()
		return samples
	}
}

// debugPage returns the number that follows a text at the begin of a line of a program's debug page, or 0 if it has none.
func debugPage(ctx context.Context, debug, name, text string) int {
	if debug == "" {
		return 0
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+debug+"/debug/pprof/"+name, nil)
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), text); ok {
			n, _ := strconv.Atoi(rest)
			return n
		}
	}
	return 0
}

// What a program's memory may grow by in the part of a soak that follows its warm-up. A leak of 100 bytes for each drop
// comes to 2 MB in half an hour at 12 drops a second.
const (
	// warmUp is the share of a soak in which caches and pools fill.
	warmUp = 0.25
	// heapGrowth bounds what is reachable after a collection, in bytes. Requests under way make it go up and down.
	heapGrowth = 1 << 20
	// residentGrowth bounds the resident memory, which follows the collector's pace.
	residentGrowth = 8 << 20
	// goroutineGrowth is less than one in a thousand drops.
	goroutineGrowth = 10
)

// soaked returns what a soak has found, joined.
func (r result) soaked() error {
	var errs []error
	if r.once != r.drops {
		errs = append(errs, fmt.Errorf("%d of %d drops have exactly one job", r.once, r.drops))
	}
	warm := r.samples[int(warmUp*float64(len(r.samples))):]
	const enough = 10
	if len(warm) < enough {
		return errors.Join(append(errs, fmt.Errorf("%d samples after the warm-up are too few: soak for longer", len(warm)))...)
	}
	for _, m := range []struct {
		what string
		of   func(sample) float64
		most float64
	}{
		{"reachable memory in bytes", func(s sample) float64 { return float64(s.heap) }, heapGrowth},
		{"resident memory in bytes", func(s sample) float64 { return float64(s.memory) }, residentGrowth},
		{"number of goroutines", func(s sample) float64 { return float64(s.goroutines) }, goroutineGrowth},
	} {
		if m.of(warm[0]) == 0 {
			errs = append(errs, fmt.Errorf("the %s is not known", m.what))
		}
		if g := growth(warm, m.of); g > m.most {
			errs = append(errs, fmt.Errorf("the %s grew by %.0f after the warm-up, %.0f are allowed", m.what, g, m.most))
		}
	}
	return errors.Join(errs...)
}

// growth returns by how much a measure grew from the first of some samples to the last, by the line that fits all of
// them best: one that is off by chance changes little.
func growth(all []sample, of func(sample) float64) float64 {
	var sumX, sumY, sumXX, sumXY float64
	for _, s := range all {
		x, y := s.at.Seconds(), of(s)
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	n := float64(len(all))
	slope := (n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX)
	return slope * (all[len(all)-1].at - all[0].at).Seconds()
}
