package main

import (
	"context"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The kinds of calls.
const (
	list    = "list"
	read    = "read"
	stat    = "stat"
	write   = "write"
	copying = "copy"
	remove  = "delete"
	bucket  = "bucket"
	publish = "publish"
	create  = "create"
	get     = "get job"
	jobs    = "list jobs"
	cancel  = "cancel"
	unknown = "unknown"
)

// kinds returns the kinds in the order of the tables.
func kinds() []string {
	return []string{
		list, read, stat, write, copying, remove, bucket, publish, create, get, jobs, cancel, unknown,
	}
}

// call is a remote call of a program.
type call struct {
	kind, object string
	code         int
	start, end   time.Time
}

// counted is what calls are counted by.
type counted struct {
	kind, object string
	code         int
}

// arrival is a create that reached the service.
type arrival struct {
	at   time.Time
	code int
}

// calls records the calls of a program, and makes them as slow and as unreliable as the load says.
type calls struct {
	load load

	mu     sync.Mutex
	rng    *rand.Rand
	counts map[counted]int
	// creates are the creates by drop, in the order in which they came.
	creates map[int][]arrival
	// kept are the calls themselves, where keep is set: a long run has too many of them.
	keep bool
	kept []call
}

func newCalls(l load) *calls {
	return &calls{
		load: l, rng: rand.New(rand.NewPCG(l.seed, 1)), counts: map[counted]int{}, creates: map[int][]arrival{},
	}
}

// unavailableCode is answered where the load asks for faults.
const unavailableCode = 503

// do makes a call: after the added latency it is refused by chance, or answered by serve. It returns the answer's code.
func (c *calls) do(ctx context.Context, kind, object string, serve func(arrived time.Time) (code int)) int {
	start := time.Now()
	if c.load.latency > 0 {
		select {
		case <-time.After(c.load.latency):
		case <-ctx.Done():
		}
	}
	code := 0
	if c.refuses() {
		code = unavailableCode
	} else {
		code = serve(start)
	}
	end := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[counted{kind, object, code}]++
	if c.keep {
		c.kept = append(c.kept, call{kind, object, code, start, end})
	}
	return code
}

func (c *calls) refuses() bool {
	if c.load.unavailable == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.Float64() < c.load.unavailable
}

// created records a create of a drop's job.
func (c *calls) created(drop int, at time.Time, code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.creates[drop] = append(c.creates[drop], arrival{at, code})
}

// take returns the calls that were kept since it was called last.
func (c *calls) take() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.kept
	c.kept = nil
	return taken
}

// The buckets of an installation.
const (
	inbox   = "inbox"
	state   = "state"
	staging = "staging"
	status  = "status"
)

// objectOf returns what an object is for: jobdrop's own by its place in the state bucket, others by their bucket.
func objectOf(bucket, name string) string {
	base := path.Base(name)
	switch first, _, _ := strings.Cut(name, "/"); {
	case bucket == inbox && strings.HasSuffix(name, "/"):
		return "folder"
	case bucket == inbox && slices.Contains([]string{"job.yaml", "job.yml", "job.json"}, base):
		return "job file"
	case bucket == inbox:
		return "package"
	case bucket == staging:
		return "staged package"
	case bucket == status && base == "status.json":
		return "status"
	case bucket == status:
		return "status of an attempt"
	case bucket == state && strings.Contains(base, "policy"):
		return "policy"
	case bucket == state && objects()[first] != "":
		return objects()[first]
	default:
		return bucket + "/" + first
	}
}

// objects names the folders of the state bucket.
func objects() map[string]string {
	return map[string]string{
		"attempts": "record", "open": "index entry", "recent": "recent", "ended": "ended", "folders": "folder note",
		"jobs": "job ID", "requests": "request", "results": "result", "parked": "parked", "turns.json": "turns",
		"queue.json": "queue", "epoch": "epoch",
	}
}

// dropOf returns the drop that a job's arguments name.
func dropOf(args []string) (drop int, ok bool) {
	for _, a := range args {
		if text, found := strings.CutPrefix(a, dropArgument); found {
			drop, err := strconv.Atoi(text)
			return drop, err == nil
		}
	}
	return 0, false
}
