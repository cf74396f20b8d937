package storage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/absent"
)

// Fault is a failure that chosen calls meet, for clients that must cope with it.
type Fault struct {
	// Do is the failure, in the words of Google's storage testbench and one more, see [CheckFailure].
	Do string
	// Method is a pattern of the API's name of the call, like storage.objects.get; Bucket and Object are
	// patterns of what it is about. They are globs as those of lists; an empty one matches everything.
	Method, Bucket, Object string
	// From is the first of the matching calls that fails, Every the distance to the next one, and Times how
	// many do in all, unless Always is set. Zero stands for one.
	From, Every, Times int
	Always             bool
}

// failure is what a call meets instead of its answer, or in the midst of it.
type failure struct {
	form   form
	status int           // of an answer
	after  int64         // bytes
	stall  time.Duration // how long a transfer stands still
}

type form int

const (
	answerWith    form = iota // nothing is done, the answer is an error
	answerAfter               // an upload breaks off with an error; what has arrived of it stays
	resetBefore               // nothing is done, the connection is reset
	loseAnswer                // the call is carried out, the connection is reset before its answer
	cutAnswer                 // the connection ends in the midst of the answer
	cutFinal                  // the same with the answer to the last part of a resumable upload
	stallTransfer             // content stands still for a time
)

// The bounds of a failure's numbers. A download that the testbench breaks without a number has 4 bytes.
const (
	maxFailureBytes = 1 << 30
	maxStall        = 10 * time.Minute
	brokenAfter     = 4
)

// failures are the words for them.
var failures = []struct {
	pattern *regexp.Regexp
	shown   string
	form    form
}{
	{regexp.MustCompile(`^return-(\d{3})$`), "return-503", answerWith},
	{regexp.MustCompile(`^return-(\d{3})-after-(\d{1,9})K$`), "return-503-after-256K", answerAfter},
	{regexp.MustCompile(`^return-reset-connection$`), "return-reset-connection", resetBefore},
	{regexp.MustCompile(`^lose-answer$`), "lose-answer", loseAnswer},
	{regexp.MustCompile(`^return-broken-stream$`), "return-broken-stream", cutAnswer},
	{regexp.MustCompile(`^return-broken-stream-after-(\d{1,9})K$`), "return-broken-stream-after-256K", cutAnswer},
	{
		regexp.MustCompile(`^return-broken-stream-final-chunk-after-(\d{1,9})B$`),
		"return-broken-stream-final-chunk-after-10B", cutFinal,
	},
	{regexp.MustCompile(`^stall-for-(\d{1,9})s-after-(\d{1,9})K$`), "stall-for-1s-after-256K", stallTransfer},
}

// CheckFailure returns an error if text is not a failure. It names what there is.
func CheckFailure(text string) error {
	_, err := parseFailure(text)
	return err
}

func parseFailure(text string) (failure, error) {
	var shown []string
	for _, f := range failures {
		shown = append(shown, f.shown)
		m := f.pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		var n [2]int64
		for i, digits := range m[1:] {
			var err error
			if n[i], err = strconv.ParseInt(digits, 10, 64); err != nil {
				return failure{}, err
			}
		}
		out := failure{form: f.form}
		switch f.form {
		case answerWith:
			out.status = int(n[0])
		case answerAfter:
			out.status, out.after = int(n[0]), n[1]<<10
		case cutAnswer:
			out.after = n[0] << 10
			if len(m) == 1 {
				out.after = brokenAfter
			}
		case cutFinal:
			out.after = n[0]
		case stallTransfer:
			out.stall, out.after = time.Duration(n[0])*time.Second, n[1]<<10
		}
		switch {
		case out.after > maxFailureBytes:
			return failure{}, fmt.Errorf("%q comes after more than %d KiB, which is the most", text, maxFailureBytes>>10)
		case out.stall > maxStall:
			return failure{}, fmt.Errorf("%q takes more than %d seconds, which is the most", text, maxStall/time.Second)
		case out.status != 0 && (out.status < 400 || out.status > 599):
			return failure{}, fmt.Errorf("%q has a status that is not from 400 to 599", text)
		}
		return out, nil
	}
	return failure{}, fmt.Errorf("%q is not a failure: want one like %s", text, strings.Join(shown, ", "))
}

// methods are the calls that can fail, by their names in Google's API.
var methods = []string{
	"storage.buckets.list", "storage.buckets.insert", "storage.buckets.get", "storage.buckets.patch",
	"storage.buckets.update", "storage.buckets.delete", "storage.buckets.getIamPolicy",
	"storage.buckets.testIamPermissions", "storage.objects.list", "storage.objects.get", "storage.objects.insert",
	"storage.objects.patch", "storage.objects.update", "storage.objects.delete", "storage.objects.compose",
	"storage.objects.copy", "storage.objects.rewrite", "storage.objects.move",
}

// methodsNotHere begin the names of calls that the API has and this server has not.
var methodsNotHere = []string{
	"storage.bucket_acl.", "storage.default_object_acl.", "storage.object_acl.", "storage.notifications.",
	"storage.hmacKey.", "storage.serviceaccount.", "storage.buckets.setIamPolicy", "storage.buckets.lockRetentionPolicy",
	"storage.objects.restore",
}

// CheckMethods returns an error if no call has a name that pattern matches.
func CheckMethods(pattern string) error {
	matches, err := globMatcher(pattern)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(methods, matches) {
		return fmt.Errorf("%q matches no call: want one of %s, or a pattern like storage.objects.*", pattern,
			strings.Join(methods, ", "))
	}
	return nil
}

// CheckGlob returns an error if text is not a pattern of buckets or objects.
func CheckGlob(text string) error {
	_, err := globMatcher(text)
	return err
}

// injector knows which calls fail.
type injector struct {
	rules   []*rule
	closing chan struct{} // closed when the server closes: nothing stands still any longer

	mu    sync.Mutex
	tests map[string]*retryTest
	order []string // of the tests, the oldest first
}

// rule is a Fault that counts its calls.
type rule struct {
	failure
	method, bucket, object func(string) bool
	named                  bool // it depends on the object's name
	from, every, left      int
	always                 bool
	seen                   int // calls; of injector.mu, as left is
	met                    int // how many calls have met it; of injector.mu
}

func newInjector(faults []Fault) (*injector, error) {
	i := &injector{tests: map[string]*retryTest{}, closing: make(chan struct{})}
	for n, f := range faults {
		r := &rule{
			from: max(f.From, 1), every: max(f.Every, 1), left: max(f.Times, 1), always: f.Always, named: f.Object != "",
		}
		var err error
		if r.failure, err = parseFailure(f.Do); err != nil {
			return nil, fmt.Errorf("fault %d: %w", n+1, err)
		}
		for pattern, matches := range map[*string]*func(string) bool{
			&f.Method: &r.method, &f.Bucket: &r.bucket, &f.Object: &r.object,
		} {
			if *matches, err = globMatcher(*pattern); err != nil {
				return nil, fmt.Errorf("fault %d: %w", n+1, err)
			}
		}
		i.rules = append(i.rules, r)
	}
	return i, nil
}

// injected is a failure that a call is to meet. used is called when it has met it, at most
// once, and ended when the call has ended.
type injected struct {
	failure
	closing     <-chan struct{} // the server's
	used, ended func()
}

// of returns the failure that a call is to meet, if any.
func (i *injector) of(s *Server, r *http.Request) (*injected, error) {
	id := r.Header.Get("X-Retry-Test-Id")
	if id == "" && len(i.rules) == 0 {
		return nil, nil
	}
	a := s.about(r)
	if slices.ContainsFunc(i.rules, func(r *rule) bool { return r.named && r.method(a.method) }) {
		s.name(r, &a)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if id != "" {
		t := i.tests[id]
		if t == nil {
			return nil, errNoTest(id)
		}
		if f := t.next(i, a.method); f != nil {
			return f, nil
		}
	}
	for _, rule := range i.rules {
		if !rule.method(a.method) || !rule.bucket(a.bucket) || rule.named && !rule.object(a.object) {
			continue
		}
		rule.seen++
		if !rule.always && rule.left == 0 || rule.seen < rule.from || (rule.seen-rule.from)%rule.every != 0 {
			continue
		}
		return i.take(rule), nil
	}
	return nil, nil
}

// take returns the failure of a rule for one call. The rule has it back if the call ends without it:
// the start of an upload's session brings no content that could break off.
func (i *injector) take(r *rule) *injected {
	r.left--
	met := false
	return &injected{r.failure, i.closing, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		met = true
		r.met++
	}, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if !met {
			r.left++
		}
	}}
}

// fail serves a call that meets a failure.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, f *injected) {
	e := &fault{f.status, "injected", "Injected", fmt.Sprintf("Retry Test: Caused a %d", f.status)}
	method := s.about(r).method
	insert := method == "storage.objects.insert"
	used := f.used
	f.used = func() {
		s.log.InfoContext(r.Context(), "storage call fails, as asked for", "method", method, "path", r.URL.Path)
		used()
	}
	defer f.ended()
	switch f.form {
	case answerWith:
		f.used()
		if r.Header.Get("Expect") == "" { // else the client waits for a word before it sends
			swallow(r.Body)
		}
		if isXML(r.URL.EscapedPath()) {
			s.failXML(w, r, e)
			return
		}
		s.failJSON(w, r, e)
	case resetBefore:
		f.used()
		hangUp(w)
	case loseAnswer:
		f.used()
		s.serve(&unheard{http.Header{}}, r)
		hangUp(w)
	case answerAfter:
		if !insert {
			s.serve(w, r)
			return
		}
		s.serve(w, s.interrupt(r, f, e))
	case stallTransfer:
		if insert {
			s.serve(w, s.interrupt(r, f, nil))
			return
		}
		s.serve(&answerWriter{ResponseWriter: w, f: f, left: f.after, ctx: r.Context()}, r)
	case cutAnswer:
		s.serve(&answerWriter{ResponseWriter: w, f: f, left: f.after}, r)
	case cutFinal:
		if r.URL.Query().Get("upload_id") == "" {
			s.serve(w, r)
			return
		}
		s.serve(&answerWriter{ResponseWriter: w, f: f, left: f.after}, r)
	}
}

// hangUp resets the connection of a call.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // which ends the connection, too
	}
	if c, ok := conn.(*schemeConn); ok {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // what is not sent is lost, and the client is told
			conn = tcp           // TLS would say good-bye
		}
	}
	_ = conn.Close()
}

// unheard takes an answer that nobody gets.
type unheard struct{ header http.Header }

// Header implements [http.ResponseWriter].
func (u *unheard) Header() http.Header { return u.header }

// WriteHeader implements [http.ResponseWriter].
func (u *unheard) WriteHeader(int) {}

// Write implements [http.ResponseWriter].
func (u *unheard) Write(p []byte) (int, error) { return len(p), nil }

// answerWriter cuts an answer, or lets it stand still, after so many bytes of content.
type answerWriter struct {
	http.ResponseWriter
	f      *injected
	ctx    context.Context // of an answer that stands still
	left   int64
	status int
	done   bool
}

// WriteHeader implements [http.ResponseWriter].
func (a *answerWriter) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *answerWriter) Write(p []byte) (int, error) {
	incomplete := a.Header().Get("X-Http-Status-Code-Override") != ""
	if a.done || a.status >= http.StatusMultipleChoices || incomplete || int64(len(p)) < a.left {
		a.left -= int64(len(p))
		return a.ResponseWriter.Write(p)
	}
	a.done = true
	n := 0
	if a.left > 0 || a.f.form != stallTransfer { // an answer that has not begun has no headers yet
		var err error
		if n, err = a.ResponseWriter.Write(p[:a.left]); err != nil {
			return n, err
		}
		_ = http.NewResponseController(a.ResponseWriter).Flush() // a client that is gone
	}
	a.f.used()
	if a.f.form != stallTransfer {
		panic(http.ErrAbortHandler)
	}
	a.f.wait(a.ctx)
	rest, err := a.ResponseWriter.Write(p[n:])
	return n + rest, err
}

// interrupt returns a request to upload whose content ends with an error, or stands still, after so many
// bytes of the object.
func (s *Server) interrupt(r *http.Request, f *injected, e error) *http.Request {
	part, err := parseRange(r.Header.Get("Content-Range"))
	if err != nil || part.query() {
		return r
	}
	out := r.WithContext(r.Context())
	out.Body = &interrupted{ReadCloser: r.Body, f: f, ctx: r.Context(), left: f.after - part.start, err: e}
	return out
}

// interrupted is the content of an upload that meets a failure.
type interrupted struct {
	io.ReadCloser
	f    *injected
	ctx  context.Context
	left int64 // bytes before the failure
	done bool
	err  error // nil for one that only stands still
}

// Read implements [io.Reader].
func (b *interrupted) Read(p []byte) (int, error) {
	if b.left > 0 {
		n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
		b.left -= int64(n)
		if b.left > 0 || b.err == nil {
			return n, err
		}
		b.meet()
		return n, b.err // together: the caller may want no more than that
	}
	b.meet()
	if b.err != nil {
		return 0, b.err
	}
	return b.ReadCloser.Read(p)
}

// meet is called when so much was read. What comes while the content stands still is read: the
// server notices a client that has gone only by that. The session is free for the next call then.
func (b *interrupted) meet() {
	if b.done {
		return
	}
	b.done = true
	b.f.used()
	if b.err != nil {
		b.f.wait(b.ctx)
		swallow(b.ReadCloser)
		return
	}
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	var ahead bytes.Buffer
	var failed error
	read, content := make(chan struct{}), b.ReadCloser
	go func() {
		defer close(read)
		if _, failed = io.CopyN(&ahead, content, maxAhead); failed == io.EOF {
			failed = nil
		} else if failed != nil {
			stop()
		}
	}()
	b.f.wait(ctx)
	select {
	case <-read:
	case <-b.f.closing:
		b.ReadCloser = &replayed{Reader: ended{io.ErrUnexpectedEOF}, Closer: content}
		return
	}
	b.ReadCloser = &replayed{Reader: io.MultiReader(&ahead, ended{failed}, content), Closer: content}
}

// maxAhead is how much of an upload is read that stands still, or that is not wanted: a part of Google's clients.
const maxAhead = 16 << 20

// swallow reads content that is not wanted, before its client has the answer: Google's client for Go fills the memory
// that it still sends with its next try.
func swallow(content io.Reader) { _, _ = io.CopyN(io.Discard, content, maxAhead) }

// replayed is content of which some was read ahead.
type replayed struct {
	io.Reader
	io.Closer
}

// ended is content that ends with an error, or at once.
type ended struct{ err error }

// Read implements [io.Reader].
func (e ended) Read([]byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	return 0, io.EOF
}

// wait is what a transfer that stands still does.
func (f *injected) wait(ctx context.Context) {
	t := time.NewTimer(f.stall)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-f.closing:
	}
}

// notHere returns the error for a call that can't fail, or nil.
func notHere(method string) error {
	switch {
	case slices.Contains(methods, method):
		return nil
	case slices.ContainsFunc(methodsNotHere, func(p string) bool { return strings.HasPrefix(method, p) }):
		// Test suites skip, after this status, what they can't have.
		return &fault{http.StatusNotImplemented, "notImplemented", "NotImplemented", absent.Message("Cloud Storage", method)}
	}
	return errInvalid("The call %q can't fail: want one of %s.", method, strings.Join(methods, ", "))
}
