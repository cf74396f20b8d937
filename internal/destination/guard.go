package destination

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/jobdrop/jobdrop/internal/delivery"
)

// Deadline is the longest that a Send takes in all.
const Deadline = delivery.SendTime

// The most bytes of a destination's answer.
const (
	// MaxAnswer is enough for some IDs, which are all that is read of most answers.
	MaxAnswer = 64 << 10
	// MaxList is that of an answer with a page of a list: a channel's messages with their blocks.
	MaxList = 2 << 20
)

// Egress says what destinations may reach.
type Egress struct {
	// Hosts are all names and addresses that may be reached: the routes file lists the vendors' among them.
	Hosts []string
	// Networks are the private ranges that may be reached. Their addresses need not be among the hosts.
	Networks []netip.Prefix
}

// GuardOptions are the optional settings of a guard.
type GuardOptions struct {
	// Resolver looks hosts up; nil is the system's.
	Resolver *net.Resolver
	// Roots are the authorities that destinations' certificates come from; nil are the system's.
	Roots *x509.CertPool
}

// Guard lets connections out to allowed hosts and addresses only. Addresses are checked when they are connected to,
// so that a name can't lead elsewhere than it did when it was checked.
type Guard struct {
	hosts    []string
	networks []netip.Prefix
	roots    *x509.CertPool
	dialer   net.Dialer
}

// NewGuard returns a guard.
func NewGuard(e Egress, o GuardOptions) *Guard {
	g := &Guard{roots: o.Roots}
	for _, host := range e.Hosts {
		g.hosts = append(g.hosts, canonical(host))
	}
	var v4, v6 []netip.Prefix
	for _, network := range e.Networks {
		network = network.Masked()
		g.networks = append(g.networks, network)
		if network.Addr().Is4() {
			v4 = append(v4, network)
		} else {
			v6 = append(v6, network)
		}
	}
	safe := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	g.dialer = net.Dialer{
		Resolver: o.Resolver,
		Control: func(network, address string, c syscall.RawConn) error {
			if err := safe.Safe(network, address, c); err != nil {
				return &egressError{fmt.Sprintf("%s is not an address that egress allows", address)}
			}
			return nil
		},
	}
	return g
}

// egressError says what the guard refuses.
type egressError struct{ text string }

func (e *egressError) Error() string { return e.text }

// canonical returns a host as it is compared.
func canonical(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// allows reports whether a host may be reached.
func (g *Guard) allows(host string) bool {
	return slices.Contains(g.hosts, canonical(host)) || g.named(host)
}

// named reports whether a host is an address of the named networks.
func (g *Guard) named(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(g.networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// Local reports whether a host is this machine itself by its name or address, or an address of the named networks:
// a connection to it need not be encrypted.
func (g *Guard) Local(host string) bool {
	address, err := netip.ParseAddr(host)
	return canonical(host) == "localhost" || err == nil && address.IsLoopback() || g.named(host)
}

// DialContext connects to an allowed host.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !g.allows(host) {
		return nil, delivery.Never(&egressError{fmt.Sprintf("%s is not a host that egress allows", Said(host))})
	}
	return g.dialer.DialContext(ctx, network, address)
}

// TLS returns the settings of an encrypted connection to a host.
func (g *Guard) TLS(host string) *tls.Config {
	return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, RootCAs: g.roots}
}

// Client returns a client for HTTP that uses no proxy, follows no redirect and reads no answer beyond MaxList.
// It speaks plain HTTP with local hosts only.
func (g *Guard) Client() *http.Client {
	return &http.Client{
		Timeout:       Deadline,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &guardedTransport{g, &http.Transport{
			DialContext:     g.DialContext,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: g.roots},
			// A connection that the function's sleep broke would cost a try.
			DisableKeepAlives:      true,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: MaxAnswer,
		}},
	}
}

// guardedTransport sends requests to allowed hosts alone.
type guardedTransport struct {
	guard *Guard
	next  http.RoundTripper
}

func (t *guardedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && (r.URL.Scheme != "http" || !t.guard.Local(r.URL.Hostname())) {
		return nil, delivery.Never(&egressError{fmt.Sprintf("%s takes https only", Said(r.URL.Hostname()))})
	}
	response, err := t.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, MaxList)
	}
	return response, err
}
