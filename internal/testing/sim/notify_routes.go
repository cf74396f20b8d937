package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// tree is a routes file, and what people mean by it.
type tree struct {
	name, text string
	// wants returns whom an event is told to.
	wants func(e *news) []pair
	// faulty reports that an expression fails on an event.
	faulty func(e *news) bool
}

// The destinations are told in four manners.
const (
	team  = "team"  // a thread that shows the newest state
	pager = "pager" // an incident
	mail  = "mail"
	hook  = "hook" // a program
)

const (
	endpoints = `
destinations:
  team: {slack: {token: env://TOKEN, channel: C0123456789}EVERY}
  pager: {pagerduty: {routingKey: env://KEY}}
  mail: {email: {server: 'smtp.example.com:587', from: jobdrop@example.com, to: [ml@example.com]}}
  hook: {webhook: {url: 'https://ops.example.com/hook', keys: [env://KEY]}EVERY}
egress: {hosts: [ops.example.com, smtp.example.com]}
`
	// beatsEvery is how often a destination is told that it can be reached, where it is.
	beatsEvery = 2 * time.Hour
)

var trees = []*tree{
	{
		name: "everybody", text: endpoints + `
route:
  to: [team]
  routes:
  - {name: incidents, match: {types: [job.failed, job.timed_out, job.lost, job.succeeded]}, to: [pager], continue: true}
  - {name: programs, match: {types: ['job.*', drop.rejected, drop.expired, drop.withdrawn]}, to: [hook], continue: true}
  - {name: people, to: [team, mail]}
`,
		wants: func(e *news) (all []pair) {
			if slices.Contains([]job.EventType{job.JobFailed, job.JobTimedOut, job.JobLost, job.JobSucceeded}, e.kind) {
				all = append(all, pair{"incidents", pager})
			}
			if strings.HasPrefix(e.kind.Short(), "job.") ||
				slices.Contains([]job.EventType{job.DropRejected, job.DropExpired, job.DropWithdrawn}, e.kind) {
				all = append(all, pair{"programs", hook})
			}
			all = append(all, pair{"people", team})
			if e.final() || e.warns() {
				all = append(all, pair{"people", mail})
			}
			return all
		},
	},
	{
		name: "failures", text: endpoints + `
route:
  to: [mail]
  match: {types: [job.failed, job.timed_out, job.lost, drop.rejected]}
  routes:
  - {name: special, match: {drops: ['busy0', 'special*']}, to: [team, hook]}
`,
		wants: func(e *news) []pair {
			switch {
			case !slices.Contains([]job.EventType{job.JobFailed, job.JobTimedOut, job.JobLost, job.DropRejected}, e.kind):
				return nil
			case e.drop == "busy0/", strings.HasPrefix(e.drop, "special"):
				if !e.final() && !e.warns() {
					return []pair{{"special", team}}
				}
				return []pair{{"special", team}, {"special", hook}}
			}
			return []pair{{"default", mail}}
		},
	},
	{
		name: "an expression that fails", text: endpoints + `
route:
  to: [hook, team, mail]
  routes:
  - {name: broken, when: 'missing[0] == "nothing"', to: [pager]}
`,
		wants: func(e *news) []pair {
			if !e.final() && !e.warns() {
				return []pair{{"default", team}}
			}
			return []pair{{"default", hook}, {"default", team}, {"default", mail}}
		},
		faulty: func(e *news) bool { return !e.missing },
	},
	{
		name: "no mail", text: strings.Replace(endpoints, "  mail:", "  letters:", 1) + `
route:
  to: [hook]
  match: {types: ['*']}
`,
		wants: func(*news) []pair { return []pair{{"default", hook}} },
	},
}

// final reports whether an event is a verdict, warns whether it is a warning.
func (e *news) final() bool {
	return slices.Contains([]job.State{
		job.Rejected, job.Withdrawn, job.Expired, job.Succeeded, job.Failed, job.Cancelled, job.TimedOut, job.Lost,
	}, e.state)
}

func (e *news) warns() bool { return e.kind == job.DropIncomplete || e.kind == job.JobDelayed }

// edition is the routes file from a time on: a tree, or what is not one.
type edition struct {
	from       time.Time
	tree       *tree
	unreadable bool
}

// editions draws what becomes of the routes file.
func (n *notify) editions() {
	n.files = []edition{{from: n.w.begin, tree: trees[min(n.rng.IntN(2*len(trees)), len(trees)-1)%len(trees)]}}
	if n.rng.IntN(2) == 0 {
		n.files[0].tree = trees[0]
	}
	for at := n.w.begin; n.rng.IntN(3) > 0; {
		at = at.Add(within(n.rng, time.Minute, n.end.Sub(n.w.begin)/2))
		if !at.Before(n.end) {
			return
		}
		next := edition{from: at, tree: pick(n.rng, trees...)}
		switch n.rng.IntN(5) {
		case 0:
			next.tree = nil
		case 1:
			next.tree, next.unreadable = nil, true
		}
		n.files = append(n.files, next)
		if next.tree == nil { // for a while
			n.files = append(n.files, edition{from: at.Add(within(n.rng, time.Minute, time.Hour)), tree: pick(n.rng, trees...)})
			at = n.files[len(n.files)-1].from
		}
	}
}

// routesCache is what a process keeps of the routes file.
type routesCache struct {
	asked time.Time
	tree  *tree
}

// routes returns the routes as a process knows them: at most a minute old, and the last valid ones if the newest can't
// be had.
func (n *notify) routes(ctx context.Context, p *process) (*routes.File, error) {
	v := workerOf(ctx).visit
	n.w.mu.Lock()
	if p.routes.tree != nil && time.Since(p.routes.asked) < time.Minute {
		defer n.w.mu.Unlock()
		return n.reads(v, p.routes.tree), nil
	}
	n.w.mu.Unlock()
	began := time.Now()
	var read *tree
	err := n.w.call(ctx, 20*time.Second, "read the routes", func() error {
		k, _ := slices.BinarySearchFunc(n.files, time.Now(), func(f edition, at time.Time) int {
			if f.from.After(at) {
				return 1
			}
			return -1
		})
		f := n.files[k-1]
		read = f.tree
		switch {
		case f.unreadable:
			return errors.New("403 forbidden")
		case f.tree == nil:
			return errors.New("the routes file is not valid")
		}
		return nil
	})
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	v.spent += time.Since(began)
	switch {
	case err == nil:
		p.routes = routesCache{time.Now(), read}
	case p.routes.tree == nil:
		v.excused = true
		return nil, err
	default:
		p.routes.asked = time.Now()
	}
	return n.reads(v, p.routes.tree), nil
}

// reads has a request go by a tree. The caller holds mu.
func (n *notify) reads(v *visit, p *tree) *routes.File {
	v.tree = p
	if v.news != nil {
		v.news.trees[p] = true
		for _, to := range p.wants(v.news) {
			if _, known := v.news.may[to]; !known {
				v.news.may[to] = time.Now()
			}
		}
	}
	return n.file(p)
}

var parsedPlans sync.Map

// file returns the file of a tree.
func (n *notify) file(p *tree) *routes.File {
	every := ""
	if n.beats {
		every = fmt.Sprintf(", every: %s", beatsEvery)
	}
	text := strings.ReplaceAll(p.text, "EVERY", every)
	if f, ok := parsedPlans.Load(text); ok {
		return f.(*routes.File)
	}
	f, vs := routes.Parse("routes.yaml", []byte(text))
	if f == nil {
		panic(fmt.Sprint(vs))
	}
	parsedPlans.Store(text, f)
	return f
}

// watched counts what a request to Notify asks the storage.
type watched struct {
	contract.Storage
	n *notify
}

func (s watched) note(ctx context.Context, kind, name string, began time.Time, err error) {
	s.n.w.mu.Lock()
	defer s.n.w.mu.Unlock()
	if !strings.HasPrefix(name, deliveries) {
		s.n.w.fail("%s: %s of %s, which is not Notify's", workerOf(ctx).name, kind, name)
	}
	v := workerOf(ctx).visit
	v.calls[kind+" "+name]++
	v.spent += time.Since(began)
	switch {
	case err == nil, errors.Is(err, job.ErrNotFound):
	case errors.Is(err, attempt.ErrStale):
		v.stale++
	default:
		v.excused = true
	}
}

func (s watched) ListAfter(ctx context.Context, bucket, prefix, after string, page func([]job.Attributes) error) error {
	began := time.Now()
	var stopped error
	err := s.Storage.ListAfter(ctx, bucket, prefix, after, func(some []job.Attributes) error {
		stopped = page(some)
		return stopped
	})
	if stopped != nil {
		s.note(ctx, "list", prefix, began, nil)
	} else {
		s.note(ctx, "list", prefix, began, err)
	}
	return err
}

func (s watched) Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error) {
	began := time.Now()
	data, at, err := s.Storage.Read(ctx, bucket, name, generation, limit)
	s.note(ctx, "read", name, began, err)
	return data, at, err
}

func (s watched) Write(ctx context.Context, bucket, name string, data []byte, contentType string,
	metadata map[string]string, ifGeneration int64) (int64, error) {
	began := time.Now()
	s.n.begins(ctx, name)
	at, err := s.Storage.Write(ctx, bucket, name, data, contentType, metadata, ifGeneration)
	s.note(ctx, "write", name, began, err)
	if err != nil {
		s.n.unanswered(ctx, name, began)
	}
	return at, err
}

func (s watched) Delete(ctx context.Context, bucket, name string) error {
	began := time.Now()
	err := s.Storage.Delete(ctx, bucket, name)
	s.note(ctx, "delete", name, began, err)
	return err
}
