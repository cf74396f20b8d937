package hostile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
)

// Some returns every third of a list, or all of it where HOSTILE=all is in the
// environment: what takes minutes is not for each run of the tests.
func Some[T any](all []T) []T {
	if os.Getenv("HOSTILE") == "all" {
		return all
	}
	var some []T
	for i := 0; i < len(all); i += 3 {
		some = append(some, all[i])
	}
	return some
}

// Allocated returns how many bytes f allocates, whether or not they are freed
// again. Its peak is at most that, whatever the garbage collector does and when:
// what is measured so does not change from run to run.
func Allocated(f func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// JobFileMemory is the most that the whole check of a job file may take, and that
// of a policy; PackageMemory is the most that the process has which inspects a
// package, with all else that is in it.
const (
	JobFileMemory = 64 << 20
	PackageMemory = 128 << 20
)

// Measures skips a test that measures memory where the race detector is at work, which
// takes several times as much. make memory runs these tests without it.
func Measures(t testing.TB) {
	t.Helper()
	if Racing {
		t.Skip("SKIPPED: memory is measured without the race detector, by make memory")
	}
}

// PeakMemory returns the most resident memory that a process had so far, in KiB, from
// /proc; pid may be self. It is not getrusage's ru_maxrss: that begins with the memory of
// the process that started this one.
func PeakMemory(pid string) (int, error) {
	status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return 0, err
	}
	_, peak, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		return 0, fmt.Errorf("the status of process %s has no VmHWM", pid)
	}
	return strconv.Atoi(strings.Fields(peak)[0])
}

// Ending is a context that ends once it was asked Left times whether it has: wherever
// what goes by it is then.
type Ending struct {
	context.Context
	Left int
}

// Err reports the end.
func (e *Ending) Err() error {
	if e.Left--; e.Left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}
