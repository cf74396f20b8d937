package sim

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/testing/hostile"
)

// seeds returns how many seeds a plain run of the tests takes. With the race detector a seed takes ten times as long,
// and each has the workers, the clients and the destinations between which there could be a race. Promises need many
// seeds: make sim and the table of mutations take thousands, without the detector.
func seeds() uint64 {
	if hostile.Racing {
		return 20
	}
	return 200
}

// setting reads a number from the environment.
func setting(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// chosen reads which seeds run with a part of the world from the environment: "all" or "none" of them, or "only" those
// with it, where the seed decides it.
func chosen(t *testing.T, name string, seed uint64, drawn func(uint64) bool) (with, run bool) {
	t.Helper()
	switch text := os.Getenv(name); text {
	case "":
		return drawn(seed), true
	case "all", "none":
		return text == "all", true
	case "only":
		return true, drawn(seed)
	default:
		t.Fatalf("%s is %q, and may be all, only or none", name, text)
		return false, false
	}
}

func runSeed(t *testing.T, seed uint64) Result {
	t.Helper()
	adapters, takesAdapters := chosen(t, "SIM_ADAPTERS", seed, Adapted)
	notify, takesNotify := chosen(t, "SIM_NOTIFY", seed, Notified)
	var r Result
	if takesAdapters && takesNotify {
		synctest.Test(t, func(*testing.T) { r = RunWith(seed, adapters, notify) })
	}
	return r
}

// TestSim runs seeds from SIM_FIRST (0) on: SIM_SEEDS of them, or as many as fit
// into SIM_TIME. SIM_SEED runs one and shows its trace. SIM_ADAPTERS says which of them
// run with the real adapters, SIM_NOTIFY which with Notify.
func TestSim(t *testing.T) {
	if text := os.Getenv("SIM_SEED"); text != "" {
		r := runSeed(t, setting(t, "SIM_SEED", 0))
		t.Log("\n" + strings.Join(r.Trace, "\n"))
		for _, v := range r.Violations {
			t.Error(v)
		}
		return
	}
	first, n := setting(t, "SIM_FIRST", 0), setting(t, "SIM_SEEDS", seeds())
	var until time.Time
	if text := os.Getenv("SIM_TIME"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("SIM_TIME: %v", err)
		}
		until, n = time.Now().Add(d), 1<<62
	}
	begin := time.Now()
	var (
		mu    sync.Mutex
		next  = first
		total Result
		bad   int
	)
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		over := next-first >= n || !until.IsZero() && time.Now().After(until) || bad >= 5 && os.Getenv("SIM_ALL") == ""
		next++
		return next - 1, !over
	}
	t.Run("seeds", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(worker), func(t *testing.T) {
				t.Parallel()
				for seed, ok := take(); ok; seed, ok = take() {
					r := runSeed(t, seed)
					mu.Lock()
					total.Calls += r.Calls
					total.Jobs += r.Jobs
					total.Attempts += r.Attempts
					total.Doubles += r.Doubles
					total.Cancels += r.Cancels
					total.Hints += r.Hints
					total.Requests += r.Requests
					total.Messages += r.Messages
					total.GivenUp += r.GivenUp
					if len(r.Violations) > 0 {
						bad++
						t.Errorf("seed %d: %s\nits trace: SIM_SEED=%d go test ./internal/testing/sim -run TestSim -v", seed,
							strings.Join(r.Violations, "\n"), seed)
					}
					mu.Unlock()
				}
			})
		}
	})
	mu.Lock()
	defer mu.Unlock()
	took := time.Since(begin).Seconds()
	ran := min(next-first, n)
	t.Logf("%d seeds, %d attempts, %d jobs (%d cancelled as doubles, %d at a limit), %d hints followed, %d requests granted, "+
		"%d messages told (%d given up), %d remote calls in %.1f s: %.0f seeds/s; %d seeds broke an invariant",
		ran, total.Attempts, total.Jobs, total.Doubles, total.Cancels, total.Hints, total.Requests, total.Messages, total.GivenUp,
		total.Calls, took, float64(ran)/took, bad)
	if bad > 0 {
		fmt.Println("sim: broken seeds:", bad)
	}
}

// The same seed is the same run, to the last call, with adapters and without, with Notify and without.
func TestSimIsDeterministic(t *testing.T) {
	for seed := range max(4, seeds()/10) { // four have both, each alone, and none
		var diff string
		// Of an adapter's requests that end at the same moment, chance decides which goroutine of its client goes on
		// first: once in some hundred runs on a machine with much to do. What chance decides each time is a fault.
		for range 3 {
			var traces [2][]string
			for i := range traces {
				synctest.Test(t, func(*testing.T) { traces[i] = RunWith(seed, seed%2 == 0, seed%4 < 2).Trace })
				// Each line begins with its time. Calls that are cancelled together end at the same moment.
				slices.Sort(traces[i])
			}
			if diff = cmp.Diff(traces[0], traces[1]); diff == "" {
				break
			}
			t.Logf("seed %d differs", seed)
		}
		if diff != "" {
			t.Fatalf("seed %d differs (-first +again):\n%s", seed, diff)
		}
	}
}
