// Package loopback keeps web pages away from services that listen on this
// machine without asking who calls. A browser runs pages of strangers next to
// those services, and two ways lead a page there: it asks them from its own
// origin, or it lets its own name point to 127.0.0.1 (DNS rebinding), where
// browser and service both believe that page and service belong together.
package loopback

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Guard lets requests through to next which ask for this machine by name and
// come from no other web site. A request's Host header (:authority in HTTP/2)
// must name localhost, a loopback address or one of hosts; case and port don't
// matter, and without hosts only the first two pass. It must also pass
// [http.CrossOriginProtection.Check]. Everything else is answered with 403 and
// an error in the form of Google's APIs; clients of the services are not
// browsers and send no Origin header, so they don't meet this.
//
// What next leaves of a body is read, up to 1 GiB, before the answer ends: most
// clients don't listen while they send, and would see a reset connection instead of
// what was wrong.
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
		if r.ProtoMajor != 1 { // HTTP/2 answers while the other side sends
			next.ServeHTTP(w, r)
			return
		}
		body := &sent{ReadCloser: r.Body}
		read := r.WithContext(r.Context()) // the server looks at its own request's body
		read.Body = body
		next.ServeHTTP(w, read)
		body.drain(r)
	})
}

// maxLeft bounds what is read of a body that nobody wants, in bytes.
const maxLeft = 1 << 30

// sent is a body that knows whether its client was asked for it.
type sent struct {
	io.ReadCloser
	asked bool
}

func (s *sent) Read(p []byte) (int, error) {
	s.asked = true
	return s.ReadCloser.Read(p)
}

// drain reads the rest of r's body. A client that waits to be asked listens already.
func (s *sent) drain(r *http.Request) {
	if s.asked || r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, s.ReadCloser, maxLeft)
	}
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
