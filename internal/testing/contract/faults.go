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

// CheckBackendFaults checks what a backend makes of a service's faults. spec returns a
// job that does not end by itself; each n has an ID of its own. prefix is the prefix of
// the service's states.
func CheckBackendFaults(t *testing.T, tr Backend, p *Proxy, instance, prefix string, spec func(n int) job.Spec) {
	t.Helper()
	ctx, n := t.Context(), 0
	next := func() job.Order {
		n++
		s := spec(n)
		s.Labels = job.Labels(s.Labels, instance, fmt.Sprintf("attempt-%d", n), "content")
		return job.Order{Spec: s}
	}
	made := func(o job.Order, want int) (found []attempt.BackendJob) {
		t.Helper()
		found, err := tr.Find(ctx, o)
		if err != nil || len(found) != want {
			t.Fatalf("find of %s: %+v, %v; want %d", o.JobID, found, err, want)
		}
		return found
	}
	end := func(l attempt.BackendJob) {
		t.Helper()
		if err := tr.Cancel(ctx, job.JobInfo{ID: l.JobID, ResourceName: l.ResourceName}); err != nil {
			t.Errorf("cancel: %v", err)
		}
	}
	refused := func(err error) bool {
		_, is := errors.AsType[*attempt.RefusedError](err)
		return is
	}
	unknown := func(err error) bool {
		_, conflict := errors.AsType[*attempt.ConflictError](err)
		return err != nil && !refused(err) && !conflict && !errors.Is(err, job.ErrQuota) && !errors.Is(err, job.ErrNotFound)
	}

	// The service has no room, and made nothing.
	o := next()
	p.Inject(Fault{Method: http.MethodPost, Path: creates, Status: http.StatusTooManyRequests})
	if _, err := tr.Create(ctx, o); !errors.Is(err, job.ErrQuota) {
		t.Errorf("429: %v", err)
	}
	made(o, 0)

	// It refuses for good.
	p.Inject(Fault{Method: http.MethodPost, Path: creates, Status: http.StatusBadRequest})
	if _, err := tr.Create(ctx, o); !refused(err) {
		t.Errorf("400: %v", err)
	}
	made(o, 0)

	// It is not available, however often it is asked: nobody can tell what became of
	// it. Where an ID is taken the create is repeated meanwhile.
	times := 1
	if tr.TakesID() {
		times = 100
	}
	p.Inject(Fault{Method: http.MethodPost, Path: creates, Status: http.StatusInternalServerError, Times: times})
	short, cancel := context.WithTimeout(ctx, time.Second)
	if _, err := tr.Create(short, o); !unknown(err) {
		t.Errorf("500: %v", err)
	}
	cancel()
	if left := p.Left(); !tr.TakesID() && left > 0 {
		t.Errorf("a create was not sent")
	}
	p.mu.Lock()
	p.faults = nil
	p.mu.Unlock()
	made(o, 0)

	// The answer is lost: the job is there, and is found again as one's own.
	o = next()
	p.Inject(Fault{Method: http.MethodPost, Path: creates, Lose: true})
	if l, err := tr.Create(ctx, o); !unknown(err) {
		t.Errorf("a lost answer: %+v, %v", l, err)
	}
	found := made(o, 1)
	if !job.SameOwner(found[0].Labels, o.Labels) || found[0].JobID != o.JobID {
		t.Errorf("found %+v", found[0])
	}
	if tr.TakesID() {
		_, err := tr.Create(ctx, o)
		if c, is := errors.AsType[*attempt.ConflictError](err); !is || !job.SameOwner(c.Found.Labels, o.Labels) {
			t.Errorf("the create again: %v", err)
		}
	}
	end(found[0])

	// A conflict that is none of the API's for this call leaves the outcome open.
	if !tr.TakesID() {
		o = next()
		p.Inject(Fault{Method: http.MethodPost, Path: creates, Status: http.StatusConflict})
		if _, err := tr.Create(ctx, o); !unknown(err) {
			t.Errorf("409: %v", err)
		}
		made(o, 0)
	}

	// Lists lag behind: an empty page is an answer, and a poll knows better.
	o = next()
	l, err := tr.Create(ctx, o)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	lag := Fault{Method: http.MethodGet, Path: creates, Rewrite: func([]byte) []byte { return []byte("{}") }}
	if !tr.TakesID() {
		p.Inject(lag)
		made(o, 0)
		made(o, 1)
	}
	info := job.JobInfo{ID: l.JobID, ResourceName: l.ResourceName}
	if got, err := tr.Get(ctx, info); err != nil || got.ResourceName != l.ResourceName {
		t.Errorf("get: %+v, %v", got, err)
	}

	// A poll is repeated where the service is not available, and not where it has
	// enough of us.
	p.Inject(Fault{Method: http.MethodGet, Path: one, Status: http.StatusInternalServerError})
	if _, err := tr.Get(ctx, info); err != nil {
		t.Errorf("get after a 500: %v", err)
	}
	p.Inject(Fault{Method: http.MethodGet, Path: one, Status: http.StatusTooManyRequests})
	if _, err := tr.Get(ctx, info); !errors.Is(err, job.ErrQuota) {
		t.Errorf("get with 429: %v", err)
	}

	// A cancel is no sign that the job has stopped, and it may still succeed.
	end(l)
	for _, want := range []job.BackendState{job.BackendCancelling, job.BackendSucceeded} {
		p.Inject(Fault{Method: http.MethodGet, Path: one, Rewrite: func(body []byte) []byte {
			return state.ReplaceAll(body, []byte(`"state": "`+prefix+string(want)+`"`))
		}})
		if got, err := tr.Get(ctx, info); err != nil || got.State != want {
			t.Errorf("state %s, %v; want %s", got.State, err, want)
		}
	}
	if left := p.Left(); left > 0 {
		t.Errorf("%d faults did not happen", left)
	}
}
