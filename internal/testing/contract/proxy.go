package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands before a service and answers in its place, or not at all.
type Proxy struct {
	URL string

	server  *httptest.Server
	forward *httputil.ReverseProxy
	// taken is how many bytes of one answer without end a client took at most.
	taken atomic.Int64

	mu     sync.Mutex
	faults []Fault
	seen   []*http.Request
	change func(r *http.Request)
	show   func(answer map[string]any)
}

// Fault is what becomes of the next requests that it is for.
type Fault struct {
	// On reports whether it is for a request. Nil is for each.
	On func(r *http.Request) bool
	// Times is how often it happens; 0 is once.
	Times int
	// Status answers with an error in place of the service, with Header, and Body if there is one. Lose
	// passes the request to the service, but its answer not to the client. Hang never answers. Endless answers
	// with Status, and a body that has no end. Rewrite changes the service's answer.
	Status  int
	Header  http.Header
	Body    string
	Lose    bool
	Hang    bool
	Endless bool
	Rewrite func(body []byte) []byte
}

var created = regexp.MustCompile(`/(jobs|customJobs|hyperparameterTuningJobs)$`)

// IsCreate reports whether a request creates a job, by ml/v1 or aiplatform/v1.
func IsCreate(r *http.Request) bool {
	return r.Method == http.MethodPost && created.MatchString(r.URL.Path)
}

// NewProxy starts a proxy before the service at a base URL.
func NewProxy(t *testing.T, service string) *Proxy {
	t.Helper()
	p, err := newProxy(service)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.server.Close)
	return p
}

func newProxy(service string) (*Proxy, error) {
	target, err := url.Parse(service)
	if err != nil {
		return nil, err
	}
	p := &Proxy{forward: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	p.server = httptest.NewServer(p)
	p.URL = p.server.URL
	return p, nil
}

// ServeHTTP answers a request as the faults say, or as the service does.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := p.next(r)
	p.mu.Lock()
	change, show := p.change, p.show
	p.mu.Unlock()
	if change != nil {
		change(r)
	}
	switch {
	case ok && f.Hang:
		_, _ = io.Copy(io.Discard, r.Body) // a server sees that its client has gone once it read the body
		<-r.Context().Done()
	case ok && f.Endless:
		p.endless(w, r, f.Status)
	case ok && f.Status != 0:
		f.answer(w)
	case !ok && show == nil:
		p.forward.ServeHTTP(w, r)
	default:
		answer := httptest.NewRecorder()
		p.forward.ServeHTTP(answer, r)
		if f.Lose {
			panic(http.ErrAbortHandler)
		}
		body := answer.Body.Bytes()
		if show != nil && r.Method == http.MethodGet && answer.Code == http.StatusOK {
			body = rewritten(body, show)
		}
		if f.Rewrite != nil {
			body = f.Rewrite(body)
		}
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(answer.Code)
		_, _ = io.Copy(w, bytes.NewReader(body))
	}
}

// answer writes a fault's own answer.
func (f Fault) answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.Status)
	if f.Body == "" {
		f.Body = fmt.Sprintf(`{"error": {"code": %d, "message": "injected", "status": "INJECTED"}}`, f.Status)
	}
	_, _ = io.WriteString(w, f.Body)
}

// mostPadding bounds an answer without end, in bytes: a client that takes so much takes more. It is above the 32 MiB that
// a backend reads and what the kernel holds for a client that reads no more: another 32 MiB where its buffers may grow.
const mostPadding = 128 << 20

// endless writes a JSON object that does not end before its client has gone.
func (p *Proxy) endless(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"name": "`)
	padding := bytes.Repeat([]byte("x"), 1<<20)
	n := int64(0)
	for n < mostPadding && r.Context().Err() == nil {
		if _, err := w.Write(padding); err != nil {
			break
		}
		n += int64(len(padding))
	}
	for most := p.taken.Load(); n > most && !p.taken.CompareAndSwap(most, n); most = p.taken.Load() {
	}
}

// rewritten returns an answer whose JSON was changed.
func rewritten(body []byte, change func(answer map[string]any)) []byte {
	var answer map[string]any
	if json.Unmarshal(body, &answer) != nil {
		return body
	}
	change(answer)
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // it was read as JSON
	}
	return body
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

// requests counts the requests so far that are of a kind.
func (p *Proxy) requests(on func(r *http.Request) bool) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.seen {
		if on(r) {
			n++
		}
	}
	return n
}

func (p *Proxy) next(r *http.Request) (Fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, r.Clone(context.Background()))
	for i, f := range p.faults {
		if f.On != nil && !f.On(r) {
			continue
		}
		if p.faults[i].Times--; p.faults[i].Times == 0 {
			p.faults = append(p.faults[:i:i], p.faults[i+1:]...)
		}
		return f, true
	}
	return Fault{}, false
}
