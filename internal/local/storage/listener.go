package storage

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"time"
)

// recordHandshake is the first byte of a TLS connection, and no method of HTTP
// begins with it. RFC 8446, 5.1.
const recordHandshake = 0x16

// bothSchemes returns a listener that speaks TLS to clients that begin with it, with a
// self-signed certificate. gsutil uses no other scheme than https.
func bothSchemes(l net.Listener, hosts []string) (net.Listener, error) {
	certificate, err := selfSigned(hosts)
	if err != nil {
		return nil, err
	}
	return &schemes{Listener: l, config: &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
	}}, nil
}

// schemes is a listener whose connections find out their scheme by themselves.
type schemes struct {
	net.Listener
	config *tls.Config
}

// Accept implements [net.Listener].
func (l *schemes) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &schemeConn{Conn: c, config: l.config}, nil
}

// schemeConn looks at a connection's first byte when it is first read: not in
// Accept, where a silent client would keep all others waiting.
type schemeConn struct {
	net.Conn
	config *tls.Config

	once  sync.Once
	inner net.Conn
}

func (c *schemeConn) open() net.Conn {
	c.once.Do(func() {
		p := &peeked{Conn: c.Conn, r: bufio.NewReader(c.Conn)}
		c.inner = p
		if first, err := p.r.Peek(1); err == nil && first[0] == recordHandshake {
			c.inner = tls.Server(p, c.config)
		}
	})
	return c.inner
}

// Read implements [net.Conn].
func (c *schemeConn) Read(b []byte) (int, error) { return c.open().Read(b) }

// Write implements [net.Conn]. A server reads before it writes.
func (c *schemeConn) Write(b []byte) (int, error) { return c.open().Write(b) }

// peeked is a connection whose first bytes have been peeked at.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

// Read implements [net.Conn].
func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// selfSigned makes a certificate for this process's life.
func selfSigned(hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "jobdrop local Cloud Storage"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     append([]string{"localhost"}, hosts...),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
