// Package receivers has servers that behave as the services that Notify tells: Slack, PagerDuty, a webhook's receiver
// and a mail server. Each keeps a ledger of what it was told. They hold what they get to the vendor's published format
// and limits, and fail as they are asked to.
package receivers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// Fault is a bad answer to one request.
type Fault struct {
	// Method is the only one of Slack's that fails, if it is set.
	Method string
	// Done does what was asked all the same: only the answer is another, or lost.
	Done bool
	// Status is the answer's, with RetryAfter and Body.
	Status     int
	RetryAfter string
	Body       string
	// Location is where the answer redirects to.
	Location string
	// Code is the error of Slack's answer with ok: false.
	Code string
	// Stall keeps the answer back until the client gives up. Abort closes the connection: within the body of the
	// answer if there is a status, else before it.
	Stall bool
	Abort bool
}

// faults holds the bad answers to come.
type faults struct {
	mu     sync.Mutex
	next   []Fault
	always *Fault
}

// Fail makes the next requests fail, each as one fault says.
func (f *faults) Fail(next ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = append(f.next, next...)
}

// FailAlways makes all requests fail from now on, until it is called with nil.
func (f *faults) FailAlways(fault *Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always = fault
}

// take returns the fault of a request, if it has one.
func (f *faults) take(method string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.next {
		if fault.Method == "" || fault.Method == method {
			f.next = append(f.next[:i:i], f.next[i+1:]...)
			return fault, true
		}
	}
	if f.always != nil && (f.always.Method == "" || f.always.Method == method) {
		return *f.always, true
	}
	return Fault{}, false
}

// answer writes a fault's answer.
func (f Fault) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case f.Stall:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case f.Abort && f.Status == 0:
		panic(http.ErrAbortHandler)
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.Location != "" {
		w.Header().Set("Location", f.Location)
	}
	if f.Code != "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if f.Status != 0 {
			w.WriteHeader(f.Status)
		}
		_, _ = io.WriteString(w, `{"ok":false,"error":"`+f.Code+`"}`)
		return
	}
	if f.Status != 0 {
		w.WriteHeader(f.Status)
	}
	_, _ = io.WriteString(w, f.Body)
	if f.Abort {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// Certificate returns a certificate of this moment for the hosts, and the authorities that it is valid by.
func Certificate(hosts ...string) (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "receivers"},
		IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots, nil
}
