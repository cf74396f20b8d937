package submitter

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// sharedVisits lets the events of a folder that come to this process share a visit. An event asks for a visit
// whose list shows its object. The parts of a drop come together, and each event may come twice, so one
// visit is often the answer to several. Nothing of it outlives the process, and nothing is decided by it.
type sharedVisits struct {
	mu    sync.Mutex
	under map[string]*sharedVisit // by folder: the visit that began last
	seen  seen
}

// sharedVisit is a visit under way on account of an event.
type sharedVisit struct {
	folder string
	// shown is closed at the first list, by show, and done at the end. err is what came of the visit.
	shown, done chan struct{}
	show        func()
	err         error
	// shows holds what its lists showed: the generations by name.
	shows map[string]int64
}

// errUnfinished is returned to those who share a visit that panicked.
var errUnfinished = errors.New("the visit of the folder panicked")

// run answers the event of an object: by what this process has seen, by a visit under way whose list shows
// the object, or by a visit of its own. visit calls listed with each list that it makes, and returns nil
// only if nothing is left to do for what the lists show.
func (vs *sharedVisits) run(ctx context.Context, o job.Object, visit func(listed func(job.Drop)) error) error {
	own, other := vs.join(o, nil)
	for other != nil {
		if shared, err := vs.wait(ctx, other, o); shared {
			return err
		}
		own, other = vs.join(o, other)
	}
	if own == nil {
		return nil // seen
	}
	err := errUnfinished
	defer func() { vs.end(own, o, err) }()
	err = visit(func(d job.Drop) { vs.list(own, d) })
	return err
}

// join returns the visit of the object's folder that is under way, unless it is the one that did not help, or
// else one that the caller makes. It returns neither if the object was seen.
func (vs *sharedVisits) join(o job.Object, not *sharedVisit) (own, other *sharedVisit) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.seen.has(o) {
		return nil, nil
	}
	if r, ok := vs.under[job.Folder(o.Name)]; ok && r != not {
		return nil, r
	}
	return vs.begin(o), nil
}

// begin returns a visit that the caller makes. The caller holds mu.
func (vs *sharedVisits) begin(o job.Object) *sharedVisit {
	shown := make(chan struct{})
	r := &sharedVisit{
		folder: job.Folder(o.Name), shown: shown, show: sync.OnceFunc(func() { close(shown) }), done: make(chan struct{}),
		shows: map[string]int64{},
	}
	if vs.under == nil {
		vs.under = map[string]*sharedVisit{}
	}
	vs.under[r.folder] = r
	return r
}

// wait waits for the end of another's visit, and returns what came of it, if its list shows the object. If
// it does not, the list may be older than the object. If the other's request was cut off, that says nothing
// of the drop.
func (vs *sharedVisits) wait(ctx context.Context, r *sharedVisit, o job.Object) (shared bool, err error) {
	select {
	case <-r.shown:
	case <-r.done:
	case <-ctx.Done():
		return true, ctx.Err()
	}
	vs.mu.Lock()
	shared = r.shows[o.Name] >= o.Generation
	vs.mu.Unlock()
	if !shared {
		return false, nil
	}
	select {
	case <-r.done:
		cutOff := errors.Is(r.err, context.Canceled) || errors.Is(r.err, context.DeadlineExceeded)
		return !cutOff, r.err
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// list keeps what a list shows.
func (vs *sharedVisits) list(r *sharedVisit, d job.Drop) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for _, parts := range [][]job.Object{d.JobFiles, d.Packages} {
		for _, p := range parts {
			r.shows[p.Name] = max(r.shows[p.Name], p.Generation)
		}
	}
	r.show()
}

// end ends the visit on account of an object. What it showed is seen if nothing is left to do for it.
func (vs *sharedVisits) end(r *sharedVisit, o job.Object, err error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	r.err = err
	close(r.done)
	if vs.under[r.folder] == r {
		delete(vs.under, r.folder)
	}
	if err != nil {
		return
	}
	vs.seen.add(o)
	for name, generation := range r.shows {
		vs.seen.add(job.Object{Name: name, Generation: generation})
	}
}

// seen holds the objects whose events this process need not look at again, the last ones. An event comes
// again when its first answer was lost, or came late.
type seen struct {
	seed  maphash.Seed
	known map[uint64]bool
	order [1024]uint64
	next  int
}

// sum returns a number for an object of the inbox at its generation. Nobody outside can choose names that
// have the same one.
func (s *seen) sum(o job.Object) uint64 {
	return maphash.Comparable(s.seed, content{o.Name, o.Generation})
}

func (s *seen) has(o job.Object) bool { return s.known != nil && s.known[s.sum(o)] }

func (s *seen) add(o job.Object) {
	if s.known == nil {
		s.seed, s.known = maphash.MakeSeed(), map[uint64]bool{}
	}
	sum := s.sum(o)
	if s.known[sum] {
		return
	}
	delete(s.known, s.order[s.next])
	s.known[sum], s.order[s.next] = true, sum
	s.next = (s.next + 1) % len(s.order)
}
