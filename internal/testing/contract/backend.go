package contract

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Backend is what the use cases ask for together.
type Backend interface {
	Name() string
	TakesID() bool
	EnforcesWait() bool
	Check(o job.Order) []plan.Diagnostic
	Create(ctx context.Context, o job.Order) (attempt.BackendJob, error)
	Get(ctx context.Context, j job.JobInfo) (attempt.BackendJob, error)
	Find(ctx context.Context, o job.Order) ([]attempt.BackendJob, error)
	Cancel(ctx context.Context, j job.JobInfo) error
	ListActive(ctx context.Context, instance, from string, page func(looks []attempt.BackendJob, next string) error) error
}

// Service is a service that runs jobs, with what the suite needs to make it misbehave. A service may be shared by
// several runs of the suite: each promise has jobs, an installation and a proxy of its own.
type Service struct {
	// URL is the service's base URL.
	URL string
	// Open returns a backend that sends its requests to a base URL.
	Open func(url string) (Backend, error)
	// Job returns a job that the service takes, and that does not end by itself.
	Job func(id string) job.Spec
	// Impossible returns a job that a job file may ask for, and that the service can't run. It is nil if there
	// is none.
	Impossible func(id string) job.Spec
	Words
	// Programs is nil if the service runs no programs here. Why says why not.
	Programs *Programs
	Why      string
}

// Words are those in which a service's API speaks of calls and jobs.
type Words struct {
	// CallOf returns the call that a request is a part of.
	CallOf func(r *http.Request) Call
	// PageSize is the query parameter for the size of a list's page.
	PageSize string
	// Failure returns the body of an error, with what it says of fields.
	Failure func(status int, message string, fields map[string]string) string
	// Show makes an answer's job one that looks like l.
	Show func(j map[string]any, l Look)
	// Overruns are the ways in which the service shows a job that it ended at a limit. Each changes a job
	// that Show has shown as cancelled.
	Overruns []func(j map[string]any)
	// Limits returns the limits of a job's times that the service was asked for.
	Limits func(j map[string]any) (wait, run string)
}

// Call is one of the requests that a backend sends.
type Call string

// The calls of a backend.
const (
	Create Call = "create"
	Get    Call = "get"
	List   Call = "list"
	Cancel Call = "cancel"
)

// Look is what a service shows of a job.
type Look struct {
	// State is empty for a state that is not known yet.
	State                   job.BackendState
	Created, Started, Ended time.Time
	Message                 string
	Trials                  []job.Trial
}

// Programs is a service that runs programs as jobs.
type Programs struct {
	// URL is its base URL.
	URL string
	// Job returns a job that runs a program in Python.
	Job func(id, python string) (job.Spec, error)
	// Output returns the lines that a job's replicas have written so far.
	Output func(j attempt.BackendJob) []string
}

// Promise is something that the use cases rely on in a backend.
type Promise struct {
	// Name says what is promised. It is the name of the subtest.
	Name string
	// Breach says what becomes of people's jobs if the promise is broken.
	Breach string
	// For names what relies on it, as package.function.
	For []string

	of       kind
	faults   bool
	programs bool
	check    func(c *try) error
}

// kind is the backends that a promise is for.
type kind int

const (
	all       kind = iota
	taking         // those that take our job IDs
	notTaking      // those whose creates make a job each
)

func (p Promise) isOf(b Backend) bool { return p.of == all || (p.of == taking) == b.TakesID() }

// try is one try of a promise.
type try struct {
	context.Context
	Service
	backend Backend
	// proxy stands before the service, for promises that need faults.
	proxy *Proxy
	// name is in the job IDs, and is the name of the installation.
	name string
}

func newTry(ctx context.Context) *try {
	return &try{Context: ctx, name: "contract_" + strings.ToLower(rand.Text()[:12])}
}

// TestBackend holds a backend to each promise, in subtests.
func TestBackend(t *testing.T, s Service) {
	t.Helper()
	b, err := s.Open(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Promises() {
		if !p.isOf(b) {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			if p.programs && s.Programs == nil {
				t.Skip("SKIPPED: " + s.Why)
			}
			t.Parallel()
			if err := s.keeps(t.Context(), p); err != nil {
				t.Errorf("%v\nif so: %s\nrelied on by: %s", err, p.Breach, strings.Join(p.For, ", "))
			}
		})
	}
}

// patience bounds one promise: nothing takes that long by design.
const patience = 5 * time.Minute

// keeps returns what is broken of a promise.
func (s Service) keeps(ctx context.Context, p Promise) error {
	if p.programs {
		s.URL = s.Programs.URL
	}
	proxy, err := newProxy(s.URL)
	if err != nil {
		return err
	}
	defer func() {
		proxy.server.CloseClientConnections() // a call may hang
		proxy.server.Close()
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := newTry(ctx)
	c.Service, c.proxy = s, proxy
	if c.backend, err = s.Open(proxy.URL); err != nil {
		return err
	}
	if err := p.check(c); err != nil {
		return err
	}
	if left := proxy.Left(); left > 0 {
		return fmt.Errorf("%d requests were not sent", left)
	}
	return nil
}

// CheckBackend holds a stand-in for a backend to the promises that need no faults. It has no subtests, since a bubble
// of testing/synctest has none. spec is a job that does not end before it is cancelled.
func CheckBackend(t *testing.T, b Backend, spec job.Spec) {
	t.Helper()
	for _, p := range Promises() {
		if p.faults || p.programs || !p.isOf(b) {
			continue
		}
		c := newTry(t.Context())
		c.backend = b
		c.Job = func(id string) job.Spec {
			s := spec
			s.JobID = id
			return s
		}
		if err := p.check(c); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

// order returns an order of an attempt of its own, named n.
func (c *try) order(n string, change ...func(s *job.Spec)) job.Order {
	s := c.Job(c.name + "_" + n)
	if s.TrainingInput != nil {
		in := *s.TrainingInput
		s.TrainingInput = &in
	}
	for _, change := range change {
		change(&s)
	}
	return c.as(job.Order{Spec: s}, c.name, n)
}

// as returns an order as another attempt's.
func (c *try) as(o job.Order, instance, n string) job.Order {
	o.Labels = job.Labels(map[string]string{"team": "nlp"}, instance, c.name+n+"-1", "content")
	return o
}

// create makes a job.
func (c *try) create(o job.Order) (attempt.BackendJob, error) {
	made, err := c.backend.Create(c, o)
	if err != nil {
		return made, fmt.Errorf("create: %w", err)
	}
	return made, nil
}

// info returns what a record knows of a job.
func (c *try) info(made attempt.BackendJob) job.JobInfo {
	return job.JobInfo{ID: made.JobID, ResourceName: made.ResourceName, Backend: c.backend.Name()}
}

// get looks at a job.
func (c *try) get(made attempt.BackendJob) (attempt.BackendJob, error) {
	got, err := c.backend.Get(c, c.info(made))
	if err != nil {
		return got, fmt.Errorf("get: %w", err)
	}
	return got, nil
}

// found searches for the jobs of an order.
func (c *try) found(o job.Order) ([]attempt.BackendJob, error) {
	found, err := c.backend.Find(c, o)
	if err != nil {
		return nil, fmt.Errorf("find: %w", err)
	}
	return found, nil
}

// active lists the IDs of an installation's jobs that have not ended.
func (c *try) active(instance string) (ids []string, err error) {
	err = c.backend.ListActive(c, instance, "", func(page []attempt.BackendJob, _ string) error {
		for _, l := range page {
			ids = append(ids, l.JobID)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return ids, nil
}

// lookup is the call by which a backend searches for an order's jobs.
func (c *try) lookup() Call {
	if c.backend.TakesID() {
		return Get
	}
	return List
}

// fail has the next request of a call meet a fault.
func (c *try) fail(call Call, f Fault) {
	f.On = c.is(call)
	c.proxy.Inject(f)
}

// is reports whether a request is a part of a call.
func (c *try) is(call Call) func(*http.Request) bool {
	return func(r *http.Request) bool { return c.CallOf(r) == call }
}

// status is an error as the service tells it.
func (c *try) status(status int) Fault {
	return Fault{Status: status, Body: c.Failure(status, "injected", nil)}
}

// show has each answer show jobs as looking like l, with a change.
func (c *try) show(l Look, more ...func(j map[string]any)) {
	c.each(func(j map[string]any) {
		c.Show(j, l)
		for _, change := range more {
			change(j)
		}
	})
}

// each changes each job of each answer.
func (c *try) each(change func(j map[string]any)) {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.proxy.show = func(answer map[string]any) {
		list := false
		for _, v := range answer {
			jobs, _ := v.([]any)
			for _, j := range jobs {
				if j, is := j.(map[string]any); is && j["labels"] != nil || is && j["metadata"] != nil {
					list = true
					change(j)
				}
			}
		}
		if !list && len(answer) > 0 {
			change(answer)
		}
	}
}

// honest has the service show jobs as they are.
func (c *try) honest() {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.proxy.show = nil
}

// classOf returns what an error says of a request, in a word.
func classOf(err error) string {
	var (
		conflict *attempt.ConflictError
		refused  *attempt.RefusedError
	)
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &conflict):
		return "conflict"
	case errors.As(err, &refused):
		return "refused"
	case errors.Is(err, job.ErrQuota):
		return "quota"
	case errors.Is(err, job.ErrNotFound):
		return "not found"
	}
	return "unknown"
}

// want returns an error if another is of another class.
func want(what string, err error, class string) error {
	if got := classOf(err); got != class {
		return fmt.Errorf("%s is %s (%v), want %s", what, got, err, class)
	}
	return nil
}
