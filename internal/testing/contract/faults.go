package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Proxy stands before a service and answers in its place, or not at all.
type Proxy struct {
	URL string

	mu     sync.Mutex
	faults []Fault
}

// Fault is what becomes of the next requests whose method and path match.
type Fault struct {
	Method string
	Path   *regexp.Regexp
	// Times is how often it happens; 0 is once.
	Times int
	// Status answers with an error in place of the service. Lose passes the request
	// to the service, but its answer not to the client. Rewrite changes the service's
	// answer.
	Status  int
	Lose    bool
	Rewrite func(body []byte) []byte
}

// NewProxy starts a proxy before the service at a base URL.
func NewProxy(t *testing.T, service string) *Proxy {
	t.Helper()
	target, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := p.next(r)
		switch {
		case !ok:
			forward.ServeHTTP(w, r)
		case f.Status != 0:
			w.Header().Set("Content-Type", "application/json; charset=UTF-8")
			w.WriteHeader(f.Status)
			fmt.Fprintf(w, `{"error": {"code": %d, "message": "injected", "status": "INJECTED"}}`, f.Status)
		default:
			answer := httptest.NewRecorder()
			forward.ServeHTTP(answer, r)
			if f.Lose {
				panic(http.ErrAbortHandler)
			}
			body := f.Rewrite(answer.Body.Bytes())
			w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(answer.Code)
			_, _ = io.Copy(w, bytes.NewReader(body))
		}
	}))
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Inject adds a fault.
func (p *Proxy) Inject(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.Times = max(f.Times, 1)
	p.faults = append(p.faults, f)
}

// Left returns how many faults have not happened yet.
func (p *Proxy) Left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.faults)
}

// clear takes the faults back that have not happened yet.
func (p *Proxy) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

func (p *Proxy) next(r *http.Request) (Fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range p.faults {
		if f.Method != r.Method || !f.Path.MatchString(r.URL.Path) {
			continue
		}
		if p.faults[i].Times--; p.faults[i].Times == 0 {
			p.faults = append(p.faults[:i:i], p.faults[i+1:]...)
		}
		return f, true
	}
	return Fault{}, false
}

// The calls of either API: jobs of ml/v1, and both collections of aiplatform/v1.
var (
	creates = regexp.MustCompile(`/(jobs|customJobs|hyperparameterTuningJobs)$`)
	one     = regexp.MustCompile(`/(jobs|customJobs|hyperparameterTuningJobs)/[^/:]+$`)
	state   = regexp.MustCompile(`"state": *"[A-Z_]+"`)
)

// CheckBackendFaults checks what a backend makes of a service's faults. spec returns a job that does
// not end by itself; each n has an ID of its own. prefix is the prefix of the service's states.
func CheckBackendFaults(t *testing.T, b Backend, p *Proxy, instance, prefix string, spec func(n int) job.Spec) {
	t.Helper()
	c := faultCheck{T: t, b: b, p: p}
	order := func(n int) job.Order {
		s := spec(n)
		s.Labels = job.Labels(s.Labels, instance, fmt.Sprintf("attempt-%d", n), "content")
		return job.Order{Spec: s}
	}
	c.refusals(order(1))
	c.lostAnswer(order(2))
	if !b.TakesID() {
		c.strangeConflict(order(3))
	}
	made := c.lag(order(4))
	c.polls(made)
	c.cancelling(made, prefix)
	if left := p.Left(); left > 0 {
		t.Errorf("%d faults did not happen", left)
	}
}

// faultCheck checks a backend behind a proxy that injects faults.
type faultCheck struct {
	*testing.T
	b Backend
	p *Proxy
}

// made finds the jobs of an order, and holds them to their number.
func (c faultCheck) made(o job.Order, want int) []attempt.BackendJob {
	c.Helper()
	found, err := c.b.Find(c.Context(), o)
	if err != nil || len(found) != want {
		c.Fatalf("find of %s: %+v, %v; want %d", o.JobID, found, err, want)
	}
	return found
}

func (c faultCheck) cancel(l attempt.BackendJob) {
	c.Helper()
	if err := c.b.Cancel(c.Context(), job.JobInfo{ID: l.JobID, ResourceName: l.ResourceName}); err != nil {
		c.Errorf("cancel: %v", err)
	}
}

func isRefused(err error) bool {
	_, is := errors.AsType[*attempt.RefusedError](err)
	return is
}

// isUnknown reports whether an error leaves open whether the job was created.
func isUnknown(err error) bool {
	_, conflict := errors.AsType[*attempt.ConflictError](err)
	return err != nil && !isRefused(err) && !conflict && !errors.Is(err, job.ErrQuota) && !errors.Is(err, job.ErrNotFound)
}

// refusals has the service answer that it did not create a job.
func (c faultCheck) refusals(o job.Order) {
	// The service has no room, and made nothing.
	c.p.Inject(Fault{Method: http.MethodPost, Path: creates, Status: http.StatusTooManyRequests})
	if _, err := c.b.Create(c.Context(), o); !errors.Is(err, job.ErrQuota) {
		c.Errorf("429: %v", err)
	}
	c.made(o, 0)

	// It refuses for good.
	c.p.Inject(Fault{Method: http.MethodPost, Path: creates, Status: http.StatusBadRequest})
	if _, err := c.b.Create(c.Context(), o); !isRefused(err) {
		c.Errorf("400: %v", err)
	}
	c.made(o, 0)

	// It is not available, however often it is asked: nobody can tell what became of it. Where an ID
	// is taken the create is repeated meanwhile.
	times := 1
	if c.b.TakesID() {
		times = 100
	}
	c.p.Inject(Fault{Method: http.MethodPost, Path: creates, Status: http.StatusInternalServerError, Times: times})
	short, cancel := context.WithTimeout(c.Context(), time.Second)
	defer cancel()
	if _, err := c.b.Create(short, o); !isUnknown(err) {
		c.Errorf("500: %v", err)
	}
	if left := c.p.Left(); !c.b.TakesID() && left > 0 {
		c.Errorf("a create was not sent")
	}
	c.p.clear()
	c.made(o, 0)
}

// lostAnswer loses the answer of a create: the job is there, and is found again as one's own.
func (c faultCheck) lostAnswer(o job.Order) {
	c.p.Inject(Fault{Method: http.MethodPost, Path: creates, Lose: true})
	if l, err := c.b.Create(c.Context(), o); !isUnknown(err) {
		c.Errorf("a lost answer: %+v, %v", l, err)
	}
	found := c.made(o, 1)
	if !job.SameOwner(found[0].Labels, o.Labels) || found[0].JobID != o.JobID {
		c.Errorf("found %+v", found[0])
	}
	if c.b.TakesID() {
		_, err := c.b.Create(c.Context(), o)
		if conflict, is := errors.AsType[*attempt.ConflictError](err); !is ||
			!job.SameOwner(conflict.Found.Labels, o.Labels) {
			c.Errorf("the create again: %v", err)
		}
	}
	c.cancel(found[0])
}

// strangeConflict answers a create with a conflict that the API does not know for this call: it
// leaves the outcome open.
func (c faultCheck) strangeConflict(o job.Order) {
	c.p.Inject(Fault{Method: http.MethodPost, Path: creates, Status: http.StatusConflict})
	if _, err := c.b.Create(c.Context(), o); !isUnknown(err) {
		c.Errorf("409: %v", err)
	}
	c.made(o, 0)
}

// lag creates a job that the lists of the service show late. An empty page is an answer, and a
// direct request knows better.
func (c faultCheck) lag(o job.Order) attempt.BackendJob {
	made, err := c.b.Create(c.Context(), o)
	if err != nil {
		c.Fatalf("create: %v", err)
	}
	if !c.b.TakesID() {
		c.p.Inject(Fault{Method: http.MethodGet, Path: creates, Rewrite: func([]byte) []byte { return []byte("{}") }})
		c.made(o, 0)
		c.made(o, 1)
	}
	info := job.JobInfo{ID: made.JobID, ResourceName: made.ResourceName}
	if got, err := c.b.Get(c.Context(), info); err != nil || got.ResourceName != made.ResourceName {
		c.Errorf("get: %+v, %v", got, err)
	}
	return made
}

// polls asks again where the service is not available, and not where it has enough of us.
func (c faultCheck) polls(made attempt.BackendJob) {
	info := job.JobInfo{ID: made.JobID, ResourceName: made.ResourceName}
	c.p.Inject(Fault{Method: http.MethodGet, Path: one, Status: http.StatusInternalServerError})
	if _, err := c.b.Get(c.Context(), info); err != nil {
		c.Errorf("get after a 500: %v", err)
	}
	c.p.Inject(Fault{Method: http.MethodGet, Path: one, Status: http.StatusTooManyRequests})
	if _, err := c.b.Get(c.Context(), info); !errors.Is(err, job.ErrQuota) {
		c.Errorf("get with 429: %v", err)
	}
}

// cancelling cancels a job. That is not a sign that the job has stopped, and it may still succeed.
func (c faultCheck) cancelling(made attempt.BackendJob, prefix string) {
	c.cancel(made)
	info := job.JobInfo{ID: made.JobID, ResourceName: made.ResourceName}
	for _, want := range []job.BackendState{job.BackendCancelling, job.BackendSucceeded} {
		c.p.Inject(Fault{Method: http.MethodGet, Path: one, Rewrite: func(body []byte) []byte {
			return state.ReplaceAll(body, []byte(`"state": "`+prefix+string(want)+`"`))
		}})
		if got, err := c.b.Get(c.Context(), info); err != nil || got.State != want {
			c.Errorf("state %s, %v; want %s", got.State, err, want)
		}
	}
}
