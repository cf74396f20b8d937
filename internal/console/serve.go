package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// request is an HTTP request with its viewer.
type request struct {
	*http.Request
	// viewer says what the sender may see. who is the sender's address; it is empty on one's own machine.
	viewer policy.Viewer
	who    string
	// now is the time that the page shows, and from which its ages are counted.
	now time.Time
}

// everything reports whether the viewer sees every folder. Only then do they see what belongs to no folder.
func (r request) everything() bool { return slices.Contains(r.viewer.Prefixes(), "**") }

// visible returns the filter for pages of the ledger; nil if the viewer sees every folder.
func (r request) visible() func(folder string) bool {
	if r.everything() {
		return nil
	}
	return r.viewer.Sees
}

// The errors of requests. Each is answered by its own status.
var (
	// errNotFound is returned for what is not there, and for what the viewer may not see: they learn no more of it.
	errNotFound = errors.New("there is nothing here, or you may not see it")
	// errMethod is returned for an address that takes requests of another method.
	errMethod = errors.New("this address takes no such request")
	// errForm is returned for a form that can't be used as it was sent.
	errForm = errors.New("the form can't be used")
	// errViewer is returned for somebody whom the policy shows nothing.
	errViewer = errors.New("the operator's policy has no entry of viewers that names you")
)

// coarse is what a page's time is rounded down to. Otherwise each look at a page would find other ages.
const coarse = 10 * time.Second

// instant returns the time that pages show.
func (s *Server) instant() time.Time { return s.Now().UTC().Truncate(coarse) }

// pageTime bounds the making of a page. Each call of a service has a bound of its own.
const pageTime = 30 * time.Second

// maxForm bounds the body of a request, in bytes.
const maxForm = 16 << 10

// contentPolicy lets a page use the console's own assets, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP answers a request with a page. One that asks for text/event-stream gets the part of the page that changes, as
// an event for each change whose ID is the version of the part. The stream ends after some minutes, and goes on after the
// event whose ID the next request has in Last-Event-ID.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if s.Identify == nil && !s.addressed(r.Host) {
		http.Error(w, fmt.Sprintf("This console answers to localhost only, and the address names %.100q.", r.Host),
			http.StatusForbidden)
		return
	}
	if err := s.origin.Check(r); err != nil {
		http.Error(w, "This console refuses what other web sites send: "+err.Error()+".", http.StatusForbidden)
		return
	}
	if !s.admit(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if handler, pattern := s.mux.Handler(r); pattern == "" {
		answer := bare{header: h}
		handler.ServeHTTP(&answer, r)
		switch answer.status {
		case http.StatusNotFound:
			s.fail(w, r, errNotFound)
			return
		case http.StatusMethodNotAllowed:
			s.fail(w, r, errMethod)
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// bare takes the status and the headers of an answer that has no page, and leaves out its body.
type bare struct {
	header http.Header
	status int
}

func (b *bare) Header() http.Header            { return b.header }
func (b *bare) WriteHeader(status int)         { b.status = status }
func (b *bare) Write(data []byte) (int, error) { return len(data), nil }

// addressed reports whether the name in a request's Host is this machine's.
func (s *Server) addressed(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback() || name == "localhost" || slices.Contains(s.Hosts, name)
}

// handle returns the handler of a route.
func (s *Server) handle(to route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := safely(func() error { return s.respond(w, r, to) }); err != nil {
			s.fail(w, r, err)
		}
	}
}

// respond answers a request by its route. It returns an error before the first byte only.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, to route) (err error) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTime)
	defer cancel()
	own := request{Request: r, now: s.instant()}
	if own.viewer, own.who, err = s.identify(ctx, r); err != nil {
		return err
	}
	switch {
	case to.act != nil:
		next, err := to.act(ctx, own)
		if err == nil {
			http.Redirect(w, r, next, http.StatusSeeOther)
		}
		return err
	case to.data != nil:
		data, err := to.data(ctx, own)
		if err != nil {
			return err
		}
		return answerJSON(w, data)
	case r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		p, err := to.page(ctx, own)
		if err == nil {
			s.write(w, http.StatusOK, own, p)
		}
		return err
	case to.stream != nil:
		return to.stream(w, own)
	}
	return s.stream(w, own, to.page)
}

// identify returns what the sender of a request may see, and the sender's address.
func (s *Server) identify(ctx context.Context, r *http.Request) (policy.Viewer, string, error) {
	if s.Identify == nil {
		v, err := s.viewer(ctx, "")
		return v, "", err
	}
	email, err := s.Identify(r)
	if err != nil {
		return policy.Viewer{}, "", err
	}
	v, err := s.viewer(ctx, email)
	return v, email, err
}

// viewer returns what the owner of an address may see now.
func (s *Server) viewer(ctx context.Context, email string) (policy.Viewer, error) {
	if s.Identify == nil {
		return policy.Everything(), nil
	}
	rules, err := s.policy.get(ctx)
	if err != nil {
		return policy.Viewer{}, fmt.Errorf("nobody sees anything: %w", err)
	}
	rules.Inbox, rules.Own = s.Inbox, append(slices.Clone(rules.Own), s.State, s.Status) // never a job's outputs
	v := rules.Viewer(email)
	if len(v.Prefixes()) == 0 {
		return v, fmt.Errorf("%w: you are %s", errViewer, email)
	}
	return v, nil
}

// answerJSON answers with data for a script.
func answerJSON(w http.ResponseWriter, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // whoever went away misses nothing
	return nil
}

// fail answers with a page that says what is wrong.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var moved *movedError
	if errors.As(err, &moved) {
		http.Redirect(w, r, moved.to, http.StatusFound)
		return
	}
	status := statusOf(err)
	var form *formError
	if errors.As(err, &form) {
		s.write(w, status, request{Request: r, now: s.instant()}, form.page)
		return
	}
	err = s.logged(r.Context(), r.URL.Path, err)
	p := errorPage{Status: status, Text: http.StatusText(status), Message: s.told(err)}
	s.write(w, status, request{Request: r, now: s.instant()}, page{view: "error", title: p.Text, data: p})
}

// told returns what a page says of an error. On one's own machine that is all of it. A viewer behind Identity-Aware Proxy
// may not be who may read buckets, logs or the policy: they get the console's own errors, and of others the class.
func (s *Server) told(err error) string {
	switch {
	case s.Identify == nil:
		return brief(err)
	case statusOf(err) < http.StatusInternalServerError, errors.Is(err, errBusy):
		return err.Error()
	case errors.Is(err, account.ErrPolicy):
		return account.ErrPolicy.Error()
	case errors.Is(err, job.ErrDenied):
		return "the console's account may not read what belongs here: its operator finds the reason in the console's log"
	}
	return "this can't be read at the moment: the operator finds the reason in the console's log"
}

// brief returns the text of an error, in which the address of a failed call is the host alone: the rest of it is
// hundreds of characters that say nothing of the cause.
func brief(err error) string {
	said := err.Error()
	if call, ok := errors.AsType[*url.Error](err); ok {
		if to, err := url.Parse(call.URL); err == nil {
			said = strings.ReplaceAll(said, call.Error(), to.Host+": "+call.Err.Error())
		}
	}
	return said
}

// cause returns what a page says of the reason why a part of it is missing, and logs that where it does not say all.
func (s *Server) cause(err error) string {
	if err == nil {
		return ""
	}
	said := s.told(err)
	if s.Identify != nil {
		s.Logger.Warn("a part of a page failed", "error", err.Error())
	}
	return said
}

// logged returns an error that is in the log, if its cause is for the operator to mend: once, and unless nobody waits for
// the page any more.
func (s *Server) logged(ctx context.Context, path string, err error) error {
	var (
		known  *loggedError
		broken *panicError
	)
	switch {
	case statusOf(err) < http.StatusInternalServerError, errors.As(err, &known):
		return err
	case errors.As(err, &broken):
		s.Logger.Error("the console panicked", "path", path, "error", broken.value, "stack", broken.stack)
	case ctx.Err() == nil:
		s.Logger.Warn("a page failed", "path", path, "error", err.Error())
	}
	return &loggedError{err}
}

// loggedError is an error that is in the log.
type loggedError struct{ err error }

func (e *loggedError) Error() string { return e.err.Error() }
func (e *loggedError) Unwrap() error { return e.err }

// errorPage is the data of the page that says what is wrong.
type errorPage struct {
	Status        int
	Text, Message string
}

// refused reports whether an error says that the viewer gets no page, whatever they saw before.
func refused(err error) bool { return err != nil && statusOf(err) < http.StatusInternalServerError }

// movedError is returned for a page that is elsewhere.
type movedError struct{ to string }

func (e *movedError) Error() string { return "the page is at " + e.to }

// formError is returned for a form that can't be used as it was sent. Its page is the form again, and says why.
type formError struct{ page page }

func (e *formError) Error() string { return errForm.Error() }
func (e *formError) Unwrap() error { return errForm }

// statusOf returns the status that an error is answered with: one of 4xx for what the console itself says of a request or
// of who asks. All else is 5xx, also what a service denies to the console's account or does not find.
func statusOf(err error) int {
	var (
		large  *http.MaxBytesError
		nobody *IdentifyError
	)
	switch {
	case errors.As(err, &nobody):
		return nobody.Status
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errKey):
		return http.StatusUnauthorized
	case errors.Is(err, errNotFound):
		return http.StatusNotFound
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(err, ledger.ErrQuery), errors.Is(err, errForm):
		return http.StatusBadRequest
	case errors.Is(err, errViewer):
		return http.StatusForbidden
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}
