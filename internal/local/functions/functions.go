// Package functions serves jobdrop's Cloud Functions on this machine, in a
// process of their own: each at the path /Name, behind functions-framework, with
// nothing but the environment to tell them where they are.
//
// In the cloud a front end stands before functions, which ends connections that say
// nothing and lets in who may call. functions-framework's own server has no
// timeouts and answers anybody, so here a front end of this package does that: the
// framework listens behind it, and the functions are the same as in the cloud.
package functions

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "github.com/jobdrop/jobdrop" // registers the functions
	"github.com/jobdrop/jobdrop/internal/local/loopback"
)

// Serve serves the functions at addr, host:port, to those who call this machine by a
// local name or one of hosts: see [loopback.Guard]. It returns nil when lifeline ends:
// the process that holds its other end has gone. The caller then ends this process,
// which alone stops the framework's server.
func Serve(addr string, hosts []string, lifeline io.Reader) error {
	ended := make(chan error, 2)
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		ended <- nil
	}()
	go func() { ended <- serve(addr, hosts) }()
	if err := <-ended; err != nil {
		return fmt.Errorf("serve functions: %w", err)
	}
	return nil
}

// serve serves the functions until one of the servers fails.
func serve(addr string, hosts []string) error {
	behind, err := hidden()
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() {
		host, port, _ := net.SplitHostPort(behind) // as a listener gave it
		ended <- funcframework.StartHostPort(host, port)
	}()
	if err := answering(behind, ended); err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	go func() { ended <- front(behind, os.Getenv(loopback.StackVariable), hosts).Serve(l) }()
	return <-ended
}

// The times are those of the stack's other services.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// front returns the server that hands requests on to the framework's, and names the stack in each answer.
func front(behind, stack string, hosts []string) *http.Server {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: behind})
			r.Out.Host = r.In.Host
		},
		ErrorLog: log.New(io.Discard, "", 0), // that a caller went away is its own affair
	}
	guarded := loopback.Guard(hosts, proxy)
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(loopback.StackHeader, stack)
			guarded.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          proxy.ErrorLog,
	}
}

// hidden returns an address for the framework that nobody can guess. Any address of
// 127/8 is this machine; where only one is, a free port has to do.
func hidden() (string, error) {
	var b [3]byte
	_, _ = rand.Read(b[:]) // it never fails
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", b[0], b[1], b[2]%254+1))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// answering waits until the framework listens: it does so at once.
func answering(address string, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // on a machine with much to do
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-poll.C:
		}
	}
}
