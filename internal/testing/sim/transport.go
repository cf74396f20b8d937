package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing/iotest"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// transport brings the requests of a process's adapters to the stand-ins, in the
// goroutine that sends them, and their answers back in the services' own words:
// Cloud Storage's JSON API, ml/v1 and aiplatform/v1. What it does not know it refuses,
// so that an adapter can't rely on it unseen.
//
// Clients ask again, after a pause of their own chance. That pause is made as long as
// it can be: so it depends on the seed alone.
type transport struct {
	w       *world
	backend *backend

	// The rest is guarded by the world's mu.

	// pauses are those of clients that were told to come again, by worker and
	// request.
	pauses map[pauseKey]pause
	// listings are what the pages of a list held, by the token of the next.
	listings map[string]listing
	// rewrites are the copies that were begun, by token.
	rewrites map[string]string
	tokens   int
}

type pauseKey struct {
	worker          *worker
	method, address string
	// upload is what an upload begins with: the name of its object. Two may be under way at once.
	upload string
}

type pause struct {
	times int
	until time.Time
}

func newTransport(w *world, t *backend) *transport {
	return &transport{
		w:        w,
		backend:  t,
		pauses:   map[pauseKey]pause{},
		listings: map[string]listing{},
		rewrites: map[string]string{},
	}
}

// token returns a new one. The caller holds the world's mu.
func (t *transport) token() string {
	t.tokens++
	return fmt.Sprintf("token-%d", t.tokens)
}

type overWireKey struct{}

// overWire reports whether a call comes from an adapter, which itself has to bound how
// long it waits.
func overWire(ctx context.Context) bool { return ctx.Value(overWireKey{}) != nil }

// answer is what a service answers.
type answer struct {
	status int // 0 is 200
	body   []byte
	header http.Header
	// cut reports that only half of the body arrives.
	cut bool
}

// content returns what a client can read.
func (a *answer) content() io.Reader {
	if !a.cut {
		return bytes.NewReader(a.body)
	}
	return io.MultiReader(bytes.NewReader(a.body[:len(a.body)/2]), iotest.ErrReader(reset))
}

// reset is what a client sees of an answer that is lost.
var reset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// asJSON returns an answer in JSON.
func asJSON(v any) *answer {
	data, err := json.Marshal(v)
	must(err)
	return &answer{body: data, header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}}}
}

// statusError is what a service says of a request that it does not fulfil.
type statusError struct {
	code         int
	word, reason string
}

func (e *statusError) Error() string { return fmt.Sprintf("%d %s: %s", e.code, e.word, e.reason) }

func invalid(format string, args ...any) error {
	return &statusError{http.StatusBadRequest, "INVALID_ARGUMENT", fmt.Sprintf(format, args...)}
}

// asStatus returns the status for a stand-in's error, or an error of the connection.
func asStatus(err error) (*statusError, error) {
	var said *statusError
	var refused *attempt.RefusedError
	switch {
	case errors.As(err, &said):
		return said, nil
	case errors.As(err, &refused):
		code := http.StatusBadRequest
		if refused.Code == "PERMISSION_DENIED" {
			code = http.StatusForbidden
		}
		return &statusError{code, refused.Code, refused.Message}, nil
	case errors.Is(err, job.ErrNotFound):
		return &statusError{http.StatusNotFound, "NOT_FOUND", err.Error()}, nil
	case errors.Is(err, attempt.ErrStale):
		return &statusError{http.StatusPreconditionFailed, "FAILED_PRECONDITION", err.Error()}, nil
	case errors.Is(err, job.ErrQuota):
		return &statusError{http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", err.Error()}, nil
	case errors.Is(err, errServer):
		return &statusError{http.StatusServiceUnavailable, "UNAVAILABLE", err.Error()}, nil
	case errors.Is(err, errCut):
		return nil, reset
	}
	return nil, err // of the context, or of a process that died
}

// RoundTrip answers a request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	ctx := context.WithValue(r.Context(), overWireKey{}, true)
	key := pauseKey{worker: workerOf(ctx), method: r.Method, address: r.URL.String()}
	if _, rest, ok := bytes.Cut(body, []byte(`"name":"`)); ok && strings.HasPrefix(r.URL.Path, "/upload/") {
		name, _, _ := bytes.Cut(rest, []byte(`"`))
		key.upload = string(name)
	}
	asked, again := t.resume(key)
	if again {
		if err := t.w.rest(ctx, time.Until(asked.until)); err != nil {
			return nil, err
		}
	}
	said, err := t.serve(ctx, r, body)
	if errors.Is(err, errCut) && t.gateway(ctx, r.Method+" "+r.URL.Path+" "+key.upload) {
		err = &statusError{http.StatusGatewayTimeout, "UNAVAILABLE", "the answer was lost on its way"}
	}
	status := http.StatusOK
	if err == nil && said.status != 0 {
		status = said.status
	}
	if err != nil {
		refused, broken := asStatus(err)
		if broken == nil {
			status = refused.code
			said = asJSON(map[string]any{
				"error": map[string]any{"code": refused.code, "status": refused.word, "message": refused.reason},
			})
		}
		t.pause(key, asked.times, r.URL.Host, status, broken)
		if broken != nil {
			return nil, broken
		}
	} else if said.cut {
		t.pause(key, asked.times, r.URL.Host, status, reset)
	}
	if said.header == nil {
		said.header = http.Header{}
	}
	if !again { // when the client asked again is left to chance
		said.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     said.header, Body: io.NopCloser(said.content()), ContentLength: int64(len(said.body)), Request: r,
	}, nil
}

// gateway reports whether a lost answer is told by a status.
func (t *transport) gateway(ctx context.Context, call string) bool {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	return workerRand(ctx, t.w, "lost answer of "+call).IntN(2) == 0
}

// resume returns the pause after which a request comes again, if it is one.
func (t *transport) resume(key pauseKey) (pause, bool) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	p, ok := t.pauses[key]
	delete(t.pauses, key)
	if !ok || time.Now().After(p.until) {
		return pause{}, false
	}
	return p, true
}

// pause reserves the moment at which a client that was told to come again does so:
// the longest pause that it may draw.
func (t *transport) pause(key pauseKey, times int, host string, status int, broken error) {
	longest, most := 100*time.Millisecond, 8*time.Second // package gcs
	switch {
	case host != storageHost:
		longest, most = 200*time.Millisecond, 5*time.Second // package rest
	case status == http.StatusTooManyRequests:
		longest = 1300 * time.Millisecond
	}
	if status < http.StatusInternalServerError && status != http.StatusTooManyRequests &&
		!errors.Is(broken, syscall.ECONNRESET) {
		return
	}
	longest = min(longest<<min(times, 16), most)
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.pauses[key] = pause{times + 1, time.Now().Add(t.w.at(longest))}
}

// The hosts of the services.
const (
	storageHost = "storage.googleapis.com"
	mlHost      = "ml.googleapis.com"
	vertexHost  = "-aiplatform.googleapis.com"
)

func (t *transport) serve(ctx context.Context, r *http.Request, body []byte) (*answer, error) {
	var path []string
	for part := range strings.SplitSeq(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
		text, err := url.PathUnescape(part)
		if err != nil {
			return nil, invalid("%v", err)
		}
		path = append(path, text)
	}
	q := request{method: r.Method, path: path, query: r.URL.Query(), header: r.Header, body: body}
	switch region, isVertex := strings.CutSuffix(r.URL.Host, vertexHost); {
	case r.URL.Host == storageHost:
		return t.serveStorage(ctx, q)
	case r.URL.Host == mlHost && t.backend.TakesID():
		return t.serveML(ctx, q)
	case isVertex && !t.backend.TakesID():
		return t.serveVertex(ctx, q, region)
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no such host: " + r.URL.Host)}
}

// request is one that is taken apart.
type request struct {
	method string
	path   []string
	query  url.Values
	header http.Header
	body   []byte
}

// only refuses query parameters that are not known.
func (q request) only(names ...string) error {
	known := append([]string{"alt", "prettyPrint"}, names...)
	for name := range q.query {
		if !slices.Contains(known, name) {
			return invalid("%s %s takes no parameter %s", q.method, strings.Join(q.path, "/"), name)
		}
	}
	return nil
}

// number reads a parameter; absent is what it is where it is not given.
func (q request) number(name string, absent int64) (int64, error) {
	if !q.query.Has(name) {
		return absent, nil
	}
	n, err := strconv.ParseInt(q.query.Get(name), 10, 64)
	if err != nil {
		return 0, invalid("%s: %v", name, err)
	}
	return n, nil
}

// matches reports whether a path has a form, in which * stands for any part.
func (q request) matches(method, form string) bool {
	parts := strings.Split(form, "/")
	if method != q.method || len(parts) != len(q.path) {
		return false
	}
	for i, part := range parts {
		if part != "*" && part != q.path[i] {
			return false
		}
	}
	return true
}

// workerRand returns the draws of a call. The caller holds the world's mu.
func workerRand(ctx context.Context, w *world, call string) *rand.Rand {
	if me := workerOf(ctx); me != nil {
		return me.draws(w.seed, call)
	}
	return w.rng
}
