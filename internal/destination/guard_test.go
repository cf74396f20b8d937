package destination_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
)

// loopback allows this machine.
var loopback = destination.Egress{
	Hosts:    []string{"localhost"},
	Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
}

// resolver answers every question with one address.
func resolver(t *testing.T, address string) *net.Resolver {
	t.Helper()
	ip := netip.MustParseAddr(address)
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			var size [2]byte // the framing of DNS over TCP: a pipe is a stream
			for {
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				question := make([]byte, int(size[0])<<8|int(size[1]))
				if _, err := io.ReadFull(server, question); err != nil {
					return
				}
				answer, err := answerOf(question, ip)
				if err != nil {
					return
				}
				size := []byte{byte(len(answer) >> 8), byte(len(answer))}
				if _, err := server.Write(append(size, answer...)); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

func answerOf(question []byte, ip netip.Addr) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil, errors.New("not a question")
	}
	m.Response, m.Authoritative, m.RecursionAvailable, m.Additionals = true, true, true, nil
	q := m.Questions[0]
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
	switch {
	case q.Type == dnsmessage.TypeA && ip.Is4():
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: ip.As4()}}}
	case q.Type == dnsmessage.TypeAAAA && ip.Is6():
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}}}
	}
	return m.Pack()
}

func TestGuardRefusesAddresses(t *testing.T) {
	literals := []string{
		"127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
		"224.0.0.1", "255.255.255.255", "::1", "::", "::ffff:169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe",
		"64:ff9b::7f00:1", "64:ff9b:1::a9fe:a9fe", "fe80::1", "fd00:ec2::254", "2002:a9fe:a9fe::", "ff02::1",
	}
	for _, address := range literals {
		t.Run(address, func(t *testing.T) {
			// The host is on the list: its address decides.
			g := destination.NewGuard(destination.Egress{Hosts: []string{address}}, destination.GuardOptions{})
			_, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort(address, "443"))
			refused(t, err)
		})
		t.Run("a name of "+address, func(t *testing.T) {
			g := destination.NewGuard(destination.Egress{Hosts: []string{"ops.example.com"}},
				destination.GuardOptions{Resolver: resolver(t, address)})
			_, err := g.DialContext(t.Context(), "tcp", "ops.example.com:443")
			refused(t, err)
		})
	}
}

// Other forms of an address are names to Go, which a system's resolver may read as addresses. Go's own looks some of
// them up, and the address that comes of it is refused.
func TestGuardRefusesOtherForms(t *testing.T) {
	for _, host := range []string{
		"2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662", "metadata.google.internal",
	} {
		t.Run(host, func(t *testing.T) {
			for name, e := range map[string]destination.Egress{"not listed": {}, "listed": {Hosts: []string{host}}} {
				g := destination.NewGuard(e, destination.GuardOptions{Resolver: resolver(t, "169.254.169.254")})
				_, err := get(t, g, "https://"+host+"/")
				if err == nil || delivery.IsNever(err) != (name == "not listed") {
					t.Errorf("%s: error %v", name, err)
				}
			}
		})
	}
}

// refused fails the test unless it was the guard that refused a connection.
func refused(t *testing.T, err error) {
	t.Helper()
	if err == nil || !strings.Contains(destination.Broken(err).Error(), "egress allows") {
		t.Errorf("error %v", err)
	}
}

// listed allows a name on this machine.
func listed(host string) destination.Egress {
	return destination.Egress{Hosts: []string{host}, Networks: loopback.Networks}
}

func TestGuardAllows(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	tests := []struct {
		name   string
		egress destination.Egress
		host   string
		good   bool
		never  bool
	}{
		{"a named network", destination.Egress{Networks: loopback.Networks}, "127.0.0.1", true, false},
		{"a name that is not listed", loopback, "ops.example.com", false, true},
		{"a listed name", listed("ops.example.com"), "ops.example.com", true, false},
		{"in other letters", listed("Ops.Example.com."), "OPS.example.COM", true, false},
		{"another network", destination.Egress{
			Hosts: []string{"127.0.0.1"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		}, "127.0.0.1", false, false},
		{"a host below a listed one", listed("example.com"), "ops.example.com", false, true},
		{"a vendor's, at an address that is not", destination.Egress{Hosts: []string{"hooks.slack.com"}},
			"hooks.slack.com", false, false},
		{"a vendor's, which is not listed", destination.Egress{}, "hooks.slack.com", false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := destination.NewGuard(test.egress, destination.GuardOptions{Resolver: resolver(t, "127.0.0.1")})
			c, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort(test.host, port))
			if err == nil {
				c.Close()
			}
			if (err == nil) != test.good || delivery.IsNever(err) != test.never {
				t.Errorf("error %v, never %v", err, delivery.IsNever(err))
			}
		})
	}
}

// get sends a request by a guard's client, and returns the error as a destination would.
func get(t *testing.T, g *destination.Guard, url string) (destination.Response, error) {
	t.Helper()
	return destination.Post(t.Context(), g.Client(), url, http.Header{}, nil, destination.MaxAnswer)
}

// proxied counts the requests to the proxy of the environment, which is read once.
var proxied atomic.Int64

func TestMain(m *testing.M) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Add(1) }))
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		os.Setenv(name, proxy.URL)
	}
	m.Run()
}

func TestClientTakesNoProxy(t *testing.T) {
	g := destination.NewGuard(listed("ops.example.com"), destination.GuardOptions{Resolver: resolver(t, "127.0.0.1")})
	if _, err := get(t, g, "https://ops.example.com:1/"); err == nil {
		t.Error("an answer")
	}
	if n := proxied.Load(); n > 0 {
		t.Errorf("%d requests to the proxy", n)
	}
}

func TestClientFollowsNoRedirect(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "http://169.254.169.254/computeMetadata/v1/", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	response, err := get(t, destination.NewGuard(loopback, destination.GuardOptions{}), server.URL)
	if err != nil || response.Status != http.StatusTemporaryRedirect || asked != 1 {
		t.Errorf("status %d after %d requests, error %v", response.Status, asked, err)
	}
}

func TestClientTakesPlainHTTPOfLocalHostsOnly(t *testing.T) {
	g := destination.NewGuard(destination.Egress{Hosts: []string{"ops.example.com"}, Networks: loopback.Networks},
		destination.GuardOptions{Resolver: resolver(t, "127.0.0.1")})
	_, err := get(t, g, "http://ops.example.com/")
	if !delivery.IsNever(err) || !strings.Contains(err.Error(), "https only") {
		t.Errorf("error %v", err)
	}
	for _, url := range []string{
		"ftp://ops.example.com/", "file:///etc/passwd", "ops.example.com", "//", "https://u:p@ops.example.com/", "%zz",
	} {
		if _, err := get(t, g, url); !delivery.IsNever(err) {
			t.Errorf("%s: error %v", url, err)
		}
	}
}

func TestClientChecksCertificates(t *testing.T) {
	certificate, roots, err := receivers.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = quiet()
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	defer server.Close()
	_, err = get(t, destination.NewGuard(loopback, destination.GuardOptions{Roots: roots}), server.URL)
	if err != nil {
		t.Error(err)
	}
	_, err = get(t, destination.NewGuard(loopback, destination.GuardOptions{}), server.URL)
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
}

func TestClientBoundsAnswers(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.Repeat("x", destination.MaxAnswer+1))
	}))
	defer server.Close()
	g := destination.NewGuard(loopback, destination.GuardOptions{})
	for _, status = range []int{http.StatusOK, http.StatusTeapot} {
		r, err := get(t, g, server.URL)
		if err != nil || r.Status != status || len(r.Body) > destination.MaxAnswer {
			t.Errorf("status %d, %d bytes, error %v", r.Status, len(r.Body), err)
		}
		if r.Err == nil || delivery.IsNever(r.Err) || !strings.Contains(r.Err.Error(), "more than 65536 bytes") {
			t.Errorf("error %v of the body", r.Err)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func TestPostEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		ctx, cancel := context.WithTimeout(t.Context(), destination.Deadline)
		defer cancel()
		start := time.Now()
		const secret = "https://ops.example.com/secret"
		_, err := destination.Post(ctx, client, secret, http.Header{}, nil, destination.MaxAnswer)
		if took := time.Since(start); err == nil || err.Error() != "no answer in time" || took != destination.Deadline {
			t.Errorf("error %v after %v", err, took)
		}
	})
}
