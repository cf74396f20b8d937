package iap

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const audience = "/projects/123456789012/locations/europe-west4/services/jobdrop-console"

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// keys serves public keys as IAP does.
type keys struct {
	*ecdsa.PrivateKey
	asked  atomic.Int32
	status int
	body   func() string
}

func serveKeys(t *testing.T) *keys {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := &keys{PrivateKey: key, status: http.StatusOK}
	k.body = func() string {
		point, err := key.PublicKey.Bytes() // 4, x, y
		if err != nil {
			t.Error(err)
		}
		return `{"keys": [{"alg": "ES256", "crv": "P-256", "kid": "a", "kty": "EC", "use": "sig", "x": "` + b64(point[1:33]) +
			`", "y": "` + b64(point[33:]) + `"}]}`
	}
	return k
}

// transport sends the requests for IAP's keys to a server of ours.
func (k *keys) transport(t *testing.T) http.RoundTripper {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.asked.Add(1)
		if r.URL.Path != "/iap/verify/public_key-jwk" {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.WriteHeader(k.status)
		_, _ = io.WriteString(w, k.body())
	}))
	t.Cleanup(s.Close)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "www.gstatic.com" || r.URL.Scheme != "https" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked %s, with %v", r.URL, r.Header)
		}
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
		return http.DefaultTransport.RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (k *keys) verifier(t *testing.T) *Verifier {
	t.Helper()
	v, err := New(t.Context(), audience, Options{Transport: k.transport(t)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// claims are those of a valid assertion, with some in their place; nil leaves one out.
func claims(other map[string]any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{
		"iss": issuer, "aud": audience, "iat": now, "exp": now + 600, "sub": "accounts.google.com:1234", "email": "ann@example.com",
		"hd": "example.com",
	}
	maps.Copy(all, other)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// content returns what is signed of an assertion.
func content(t *testing.T, alg string, claims map[string]any) string {
	t.Helper()
	head, err1 := json.Marshal(map[string]string{"alg": alg, "typ": "JWT", "kid": "a"})
	body, err2 := json.Marshal(claims)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return b64(head) + "." + b64(body)
}

func (k *keys) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	c := content(t, "ES256", claims)
	sum := sha256.Sum256([]byte(c))
	r, s, err := ecdsa.Sign(rand.Reader, k.PrivateKey, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return c + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// request has some assertions, and the headers that IAP does not sign.
func request(t *testing.T, assertions ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("X-Goog-Authenticated-User-Email", "accounts.google.com:root@example.com")
	r.Header.Set("X-Goog-Authenticated-User-Id", "accounts.google.com:1")
	for _, a := range assertions {
		r.Header.Add("x-goog-iap-jwt-assertion", a)
	}
	return r
}

func TestVerify(t *testing.T) {
	k, other := serveKeys(t), serveKeys(t)
	v := k.verifier(t)
	email, err := v.Verify(request(t, k.sign(t, claims(nil))))
	if err != nil || email != "ann@example.com" {
		t.Fatalf("a valid assertion: %q, %v", email, err)
	}
	now := time.Now().Unix()
	soon := claims(map[string]any{"iat": now + 20})
	if _, err := v.Verify(request(t, k.sign(t, soon))); err != nil {
		t.Errorf("a clock that is a little ahead: %v", err)
	}

	valid := k.sign(t, claims(nil))
	head, rest, _ := strings.Cut(valid, ".")
	body, signature, _ := strings.Cut(rest, ".")
	changed := func(claim string, value any) string { return k.sign(t, claims(map[string]any{claim: value})) }

	// HS256 with the public key as its secret.
	confused := content(t, "HS256", claims(nil))
	mac := hmac.New(sha256.New, []byte(k.body()))
	mac.Write([]byte(confused))
	// RS256 with a key of anybody's.
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	foreign := content(t, "RS256", claims(nil))
	sum := sha256.Sum256([]byte(foreign))
	rs, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name       string
		assertions []string
		status     int
	}{
		{"none", nil, 401},
		{"empty", []string{""}, 401},
		{"twice", []string{valid, valid}, 403},
		{"twice, the first one empty", []string{"", valid}, 401},
		{"other key", []string{other.sign(t, claims(nil))}, 403},
		{"alg none", []string{content(t, "none", claims(nil)) + "."}, 403},
		{"alg none with a signature", []string{content(t, "none", claims(nil)) + "." + signature}, 403},
		{"HS256", []string{confused + "." + b64(mac.Sum(nil))}, 403},
		{"RS256", []string{foreign + "." + b64(rs)}, 403},
		{"no signature", []string{head + "." + body + "."}, 403},
		{"a short signature", []string{head + "." + body + "." + signature[:40]}, 403},
		{"zeros for a signature", []string{head + "." + body + "." + b64(make([]byte, 64))}, 403},
		{"other claims", []string{head + "." + strings.Split(changed("email", "root@example.com"), ".")[1] + "." + signature}, 403},
		{"not an assertion", []string{"Bearer a"}, 403},
		{"two parts", []string{head + "." + body}, 403},
		{"four parts", []string{valid + ".a"}, 403},
		{"other audience", []string{changed("aud", audience+"2")}, 403},
		{"audiences", []string{changed("aud", []string{audience})}, 403},
		{"no audience", []string{changed("aud", nil)}, 403},
		{"other issuer", []string{changed("iss", "https://accounts.google.com")}, 403},
		{"no issuer", []string{changed("iss", nil)}, 403},
		{"expired", []string{changed("exp", now-60)}, 403},
		{"without an end", []string{changed("exp", nil)}, 403},
		{"of the future", []string{changed("iat", now+120)}, 403},
		{"without a time", []string{changed("iat", nil)}, 403},
		{"no e-mail", []string{changed("email", nil)}, 403},
		{"an e-mail that is no text", []string{changed("email", 1)}, 403},
		{"no subject", []string{changed("sub", nil)}, 403},
		{"a subject of Identity Platform", []string{changed("sub", "securetoken.google.com/p/t:1234")}, 403},
		{"oversized", []string{changed("hd", strings.Repeat("a", maxAssertion))}, 403},
	} {
		email, err := v.Verify(request(t, tt.assertions...))
		if err == nil || email != "" || Status(err) != tt.status {
			t.Errorf("%s: %q, %v, want %d", tt.name, email, err, tt.status)
		}
	}
	if n := k.asked.Load(); n != 1 {
		t.Errorf("the keys were asked for %d times", n)
	}
}

// Without keys nothing is valid, and it is not said that the assertion is not.
func TestVerifyWithoutKeys(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
	}{
		{"unavailable", 503, "{}"},
		{"not found", 404, ""},
		{"a page", 200, "<html>"},
		{"too much", 200, `{"keys": []}` + strings.Repeat(" ", maxKeys)},
	} {
		k := serveKeys(t)
		v := k.verifier(t)
		good := k.body
		k.status, k.body = tt.status, func() string { return tt.body }
		if email, err := v.Verify(request(t, k.sign(t, claims(nil)))); email != "" || Status(err) != 503 {
			t.Errorf("%s: %q, %v", tt.name, email, err)
		}
		k.status, k.body = 200, good
		if _, err := v.Verify(request(t, k.sign(t, claims(nil)))); err != nil {
			t.Errorf("%s, then mended: %v", tt.name, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, a := range []string{
		"", "jobdrop-console", "https://console.example.com", "/projects/p/locations/europe-west4/services/console",
		audience + "/", audience + "\n", "/projects/1/locations/*/services/a",
	} {
		if _, err := New(t.Context(), a, Options{}); err == nil || !strings.Contains(err.Error(), "/projects/NUMBER/") {
			t.Errorf("%q: %v", a, err)
		}
	}
	if _, err := New(t.Context(), "/projects/1/global/backendServices/2", Options{}); err != nil {
		t.Error(err)
	}
}
