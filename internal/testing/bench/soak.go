package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// debug returns the environment of a program with that of its profiles, and the address of its debug pages. Programs
// other than jobdrop's own have none.
func (b *bench) debug(p program, environment []string) (all []string, address string, err error) {
	if !p.profiled {
		return environment, "", nil
	}
	dir, err := filepath.Abs(b.options.profile)
	if err != nil {
		return nil, "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	address = "127.0.0.1:" + port
	return append(environment, "BENCH_PROFILE="+dir, "BENCH_DEBUG="+address), address, nil
}

// sampled is how many samples a long run is shown with.
const sampled = 20

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
			samples = append(samples, sample{time.Since(begin), drops, s.status("VmRSS"), goroutines(ctx, debug)})
			d.world.store.expire(time.Now().Add(-keeps))
		}
	})
	return func() []sample {
		close(done)
		group.Wait()
		return samples
	}
}

// goroutines returns the number of a program's goroutines, or 0 if it does not say.
func goroutines(ctx context.Context, debug string) (n int) {
	if debug == "" {
		return 0
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+debug+"/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	line, _ := bufio.NewReader(response.Body).ReadString('\n')
	_, _ = fmt.Sscanf(line, "goroutine profile: total %d", &n)
	return n
}
