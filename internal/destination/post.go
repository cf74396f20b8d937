package destination

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/jobdrop/jobdrop/internal/delivery"
)

// Response is the answer to a request.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// Err reports that the body is not whole: it was too large ([ErrLarge]), or the connection ended. The status
	// stands: whoever needs no more than that has its answer.
	Err error
}

// Post sends a body and returns the answer, of whose body it reads at most that many bytes. Its errors, and that of
// the answer, hold neither the URL nor a header nor what was answered.
func Post(
	ctx context.Context, client *http.Client, to string, header http.Header, body []byte, most int64,
) (Response, error) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil {
		return Response{}, delivery.Never(errors.New("the URL is not a URL of a host"))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return Response{}, delivery.Never(errors.New("the URL is not a URL of a host"))
	}
	request.Header = header.Clone()
	request.Header.Set("User-Agent", "jobdrop")
	answer, err := client.Do(request)
	if err != nil {
		return Response{}, Broken(err)
	}
	defer answer.Body.Close()
	response := Response{Status: answer.StatusCode, Header: answer.Header}
	if response.Body, err = io.ReadAll(http.MaxBytesReader(nil, answer.Body, most)); err != nil {
		response.Err = Broken(err)
	}
	return response, nil
}

// ErrBroken is returned where nothing more is known than that a connection ended.
var ErrBroken = errors.New("the connection broke")

// ErrLarge is returned where an answer is larger than what is read of it.
var ErrLarge = errors.New("the answer is too large")

// Broken returns the error of a connection in words that hold nothing of what was sent or answered. It keeps the
// class of the guard's errors.
func Broken(err error) error {
	var (
		egress *egressError
		dns    *net.DNSError
		op     *net.OpError
		cert   *tls.CertificateVerificationError
		size   *http.MaxBytesError
		net    net.Error
	)
	switch {
	case errors.As(err, &egress) && delivery.IsNever(err):
		return delivery.Never(egress)
	case errors.As(err, &egress):
		return egress
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &net) && net.Timeout():
		return errors.New("no answer in time")
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &dns):
		return fmt.Errorf("%s can't be looked up", Said(dns.Name))
	case errors.As(err, &cert):
		return fmt.Errorf("the certificate is not valid: %s", Said(cert.Err.Error()))
	case errors.As(err, &size):
		return fmt.Errorf("%w: it has more than %d bytes", ErrLarge, size.Limit)
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("no connection to %v", op.Addr)
	}
	return ErrBroken
}
