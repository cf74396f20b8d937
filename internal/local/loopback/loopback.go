// Package loopback keeps web pages away from services that listen on this
// machine without asking who calls. A browser runs pages of strangers next to
// those services, and two ways lead a page there: it asks them from its own
// origin, or it lets its own name point to 127.0.0.1 (DNS rebinding), where
// browser and service both believe that page and service belong together.
package loopback

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Guard lets requests through to next which ask for this machine by name and
// come from no other web site. A request's Host header (:authority in HTTP/2)
// must name localhost, a loopback address or one of hosts; case and port don't
// matter, and without hosts only the first two pass. It must also pass
// [http.CrossOriginProtection.Check]. Everything else is answered with 403 and
// an error in the form of Google's APIs; clients of the services are not
// browsers and send no Origin header, so they don't meet this.
//
// An answer that comes before the end of the request's body is sent at once. Then the rest
// of the body is read, up to 1 GiB, unless the client is silent for five seconds: most
// clients don't listen while they send, and would see a reset connection instead of what
// was wrong.
func Guard(hosts []string, next http.Handler) http.Handler {
	allowed := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		if name := hostname(h); name != "" { // a request without a Host must not pass by it
			allowed[name] = true
		}
	}
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostname(r.Host)
		if !local(name) && !allowed[name] {
			refuse(w, fmt.Sprintf("This service answers requests to localhost only, and the request's Host header is %q. If "+
				"that is a name of this machine, allow it when you start the service.", r.Host))
			return
		}
		if err := origin.Check(r); err != nil {
			refuse(w, "This service refuses requests of web sites: "+err.Error()+".")
			return
		}
		// HTTP/2 answers while the other side sends.
		if r.ProtoMajor != 1 || r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		body := &sent{ReadCloser: r.Body}
		read := r.WithContext(r.Context()) // the server looks at its own request's body
		read.Body = body
		answer := &early{ResponseWriter: w, body: body}
		next.ServeHTTP(answer, read)
		if !body.asked.Load() && r.Header.Get("Expect") != "" { // the client waits to be asked, and listens
			answer.release()
			return
		}
		answer.finish()
		if !body.drain(http.NewResponseController(w)) {
			panic(http.ErrAbortHandler) // what still comes is no request
		}
	})
}

const (
	// maxLeft bounds what is read of a body that nobody wants, in bytes.
	maxLeft = 1 << 30
	// maxSilence is how long that is waited for.
	maxSilence = 5 * time.Second
	// maxEarly bounds an answer that is held until it is whole, in bytes: an error is smaller.
	maxEarly = 64 << 10
)

// sent is a body that knows whether its client was asked for it, and whether it is read. A handler may
// leave somebody reading it.
type sent struct {
	io.ReadCloser
	asked, ended atomic.Bool
}

// Read implements [io.Reader].
func (s *sent) Read(p []byte) (int, error) {
	s.asked.Store(true)
	n, err := s.ReadCloser.Read(p)
	if err == io.EOF {
		s.ended.Store(true)
	}
	return n, err
}

// drain reads the rest of the body, and reports whether that was all.
func (s *sent) drain(c *http.ResponseController) bool {
	if s.ended.Load() {
		return true
	}
	_, err := io.CopyN(io.Discard, patient{s.ReadCloser, c}, maxLeft)
	if err != io.EOF {
		return false // the deadline stays: the server reads again before it closes the connection
	}
	_ = c.SetReadDeadline(time.Time{}) // not every server has deadlines
	return true
}

// patient is content that is waited for with a limit.
type patient struct {
	io.Reader
	c *http.ResponseController
}

// Read implements [io.Reader].
func (p patient) Read(b []byte) (int, error) {
	_ = p.c.SetReadDeadline(time.Now().Add(maxSilence))
	return p.Reader.Read(b)
}

// early is an answer that is held if it begins before the body's end. It can be sent as a whole then, while
// the body is not yet read: the server reads some of a body before it sends a header, and sends the end of
// an answer of unknown length after the handler.
type early struct {
	http.ResponseWriter
	body    *sent
	status  int
	held    bytes.Buffer
	holding bool
}

// Unwrap lets [http.ResponseController] find the server's writer.
func (e *early) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (e *early) WriteHeader(status int) {
	if e.holding {
		return // it has its header
	}
	e.holding = e.status == 0 && status >= http.StatusOK && !e.body.ended.Load()
	if status >= http.StatusOK {
		e.status = status
	}
	if !e.holding {
		e.ResponseWriter.WriteHeader(status)
	}
}

// Write implements [http.ResponseWriter].
func (e *early) Write(p []byte) (int, error) {
	if e.status == 0 {
		e.WriteHeader(http.StatusOK)
	}
	if e.holding && e.held.Len()+len(p) <= maxEarly {
		return e.held.Write(p)
	}
	e.release()
	return e.ResponseWriter.Write(p)
}

// FlushError implements what [http.ResponseController] flushes by.
func (e *early) FlushError() error {
	e.release()
	return http.NewResponseController(e.ResponseWriter).Flush()
}

// release sends what is held, as the server does it.
func (e *early) release() {
	if !e.holding {
		return
	}
	e.holding = false
	e.ResponseWriter.WriteHeader(e.status)
	_, _ = e.ResponseWriter.Write(e.held.Bytes()) // the client is gone
}

// finish sends what is held at once.
func (e *early) finish() {
	if !e.holding {
		return
	}
	c := http.NewResponseController(e.ResponseWriter)
	if !e.body.ended.Load() {
		_ = c.EnableFullDuplex() // or the server waits for the body first
	}
	if e.Header().Get("Content-Length") == "" && e.status != http.StatusNoContent && e.status != http.StatusNotModified {
		e.Header().Set("Content-Length", strconv.Itoa(e.held.Len()))
	}
	e.release()
	_ = c.Flush() // the client is gone
}

// hostname takes the port and the brackets of an IPv6 address off a Host header.
func hostname(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(name)
}

func local(name string) bool {
	if name == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

func refuse(w http.ResponseWriter, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusForbidden)
	body := map[string]any{"error": map[string]any{
		"code": http.StatusForbidden, "message": message, "status": "PERMISSION_DENIED",
	}}
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}
