// Package iap checks who Identity-Aware Proxy says is asking. IAP signs a header of
// each request that it lets through. Only that header counts: the unsigned ones that
// carry an address, too, can be set by whoever reaches the service another way.
package iap

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"google.golang.org/api/idtoken"
	"google.golang.org/api/option"
)

// Header is the one that IAP signs.
const Header = "X-Goog-Iap-Jwt-Assertion"

const (
	issuer = "https://cloud.google.com/iap"
	// account begins the subject of a Google account. Others, such as those of Identity Platform, may have an address
	// that nobody has verified.
	account = "accounts.google.com:"
	// maxAssertion bounds the header. IAP's have about 800 bytes.
	maxAssertion = 8 << 10
	// maxKeys bounds the answer with IAP's public keys, which has about 1 kB.
	maxKeys = 64 << 10
	// keysTime is how long IAP's keys may take to come.
	keysTime = 10 * time.Second
	// skew is how far IAP's clock may be ahead of ours, by its documentation.
	skew = 30 * time.Second
)

// The errors of [Verifier.Verify], by what to answer.
var (
	// ErrUnsigned is returned for a request that IAP did not sign: 401.
	ErrUnsigned = errors.New("the request did not come through Identity-Aware Proxy")
	// ErrInvalid is returned for an assertion that does not hold here: 403.
	ErrInvalid = errors.New("the assertion of Identity-Aware Proxy is not valid")
	// ErrKeys is returned while IAP's keys can't be read: 503.
	ErrKeys = errors.New("the keys of Identity-Aware Proxy can't be read")
)

// Status returns the HTTP status of an error of [Verifier.Verify].
func Status(err error) int {
	switch {
	case errors.Is(err, ErrUnsigned):
		return http.StatusUnauthorized
	case errors.Is(err, ErrKeys):
		return http.StatusServiceUnavailable
	}
	return http.StatusForbidden
}

// Verifier checks requests to one service. It is safe for concurrent use.
type Verifier struct {
	audience string
	tokens   *idtoken.Validator
	now      func() time.Time
}

// Options are what a verifier may be given besides.
type Options struct {
	// Transport reaches IAP's keys; nil is [http.DefaultTransport].
	Transport http.RoundTripper
	// Now is the clock that the time of issue is held against; nil is [time.Now].
	Now func() time.Time
}

// audienceForm matches what IAP puts for a Cloud Run service, and for a backend service of a load balancer.
//
// Source: https://cloud.google.com/iap/docs/signed-headers-howto#verifying_the_jwt_payload
var audienceForm = regexp.MustCompile(
	`^/projects/[0-9]+/(locations/[a-z0-9-]+/services/[a-z0-9-]+|global/backendServices/[0-9]+)$`)

// New returns a verifier for the service that an audience names, such as
// /projects/123456789012/locations/europe-west4/services/jobdrop-console.
func New(ctx context.Context, audience string, o Options) (*Verifier, error) {
	if !audienceForm.MatchString(audience) {
		return nil, fmt.Errorf("%q is not an audience of Identity-Aware Proxy; write "+
			"/projects/NUMBER/locations/REGION/services/NAME, with the project's number", audience)
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	// The validator keeps the keys for as long as their answer's Cache-Control says.
	tokens, err := idtoken.NewValidator(ctx,
		option.WithHTTPClient(&http.Client{Transport: bounded{o.Transport}, Timeout: keysTime}))
	if err != nil {
		return nil, fmt.Errorf("iap: %w", err)
	}
	return &Verifier{audience: audience, tokens: tokens, now: o.Now}, nil
}

// Verify returns the address of the Google account that a request comes from. It
// returns [ErrUnsigned], [ErrInvalid] or [ErrKeys] if the request proves none.
func (v *Verifier) Verify(r *http.Request) (email string, err error) {
	assertions := r.Header.Values(Header)
	switch {
	case len(assertions) == 0 || assertions[0] == "":
		return "", fmt.Errorf("%w: it has no header %s", ErrUnsigned, Header)
	case len(assertions) > 1:
		return "", fmt.Errorf("%w: the header %s is there %d times", ErrInvalid, Header, len(assertions))
	case len(assertions[0]) > maxAssertion:
		return "", fmt.Errorf("%w: it has more than %d bytes", ErrInvalid, maxAssertion)
	}
	if alg := algorithm(assertions[0]); alg != "ES256" { // the validator takes RS256, too, with other keys
		return "", fmt.Errorf("%w: it is signed by %.20q, must be ES256", ErrInvalid, alg)
	}
	p, err := v.tokens.Validate(r.Context(), assertions[0], v.audience)
	var unread *keysError
	switch {
	case errors.As(err, &unread):
		return "", fmt.Errorf("%w: %w", ErrKeys, err)
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	email, _ = p.Claims["email"].(string)
	switch issued := time.Unix(p.IssuedAt, 0); {
	case p.Issuer != issuer:
		return "", fmt.Errorf("%w: its issuer is %.80q", ErrInvalid, p.Issuer)
	case p.IssuedAt == 0 || issued.After(v.now().Add(skew)):
		return "", fmt.Errorf("%w: it says that it was issued at %s", ErrInvalid, issued.UTC().Format(time.RFC3339))
	case !strings.HasPrefix(p.Subject, account) || p.Subject == account:
		return "", fmt.Errorf("%w: its subject is not a Google account", ErrInvalid)
	case email == "":
		return "", fmt.Errorf("%w: it has no e-mail address", ErrInvalid)
	}
	return email, nil
}

// algorithm returns what an assertion says it is signed by; nothing if it can't be read.
func algorithm(assertion string) string {
	head, _, _ := strings.Cut(assertion, ".")
	var h struct {
		Alg string `json:"alg"`
	}
	data, err := base64.RawURLEncoding.DecodeString(head)
	if err == nil {
		err = json.Unmarshal(data, &h)
	}
	if err != nil {
		return ""
	}
	return h.Alg
}

// keysError reports that IAP's keys could not be read.
type keysError struct{ err error }

func (e *keysError) Error() string { return e.err.Error() }
func (e *keysError) Unwrap() error { return e.err }

// bounded reads answers up to maxKeys, and gives all that goes wrong its class.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, &keysError{err}
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, &keysError{fmt.Errorf("%s answers %s", r.URL, resp.Status)}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys+1))
	resp.Body.Close()
	switch {
	case err != nil:
		return nil, &keysError{err}
	case len(data) > maxKeys || !json.Valid(data):
		return nil, &keysError{fmt.Errorf("%s answers with something other than keys", r.URL)}
	}
	resp.Body = io.NopCloser(strings.NewReader(string(data)))
	return resp, nil
}
