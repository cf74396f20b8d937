package storage

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
)

// A V2 signature that is not base64 is answered as by Cloud Storage, with what is wrong.
func TestSignedDetails(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	a := do(t, "GET", s.URL()+"/"+bucketA+"/a?GoogleAccessId=a@b&Expires=4000000000&Signature=%21", "").want(t, 400)
	if want := "<Error><Code>MalformedSecurityHeader</Code><Message>Your request has a malformed header.</Message>" +
		"<ParameterName>signature</ParameterName><Details>Signature was not base64 encoded</Details></Error>"; !strings.HasSuffix(a.body, want) {
		t.Errorf("got %s, want %s", a.body, want)
	}
}

// signingKey returns a service account's private key, which nobody knows here.
func signingKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// URLs that Google's library for Go has signed work by both schemes, for downloads, uploads and resumable
// uploads, until they expire.
func TestSignedURLs(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.put(t, "dir/a b", "content")
	key := signingKey(t)
	for name, scheme := range map[string]gcs.SigningScheme{"V2": gcs.SigningSchemeV2, "V4": gcs.SigningSchemeV4} {
		t.Run(name, func(t *testing.T) {
			sign := func(method, object string, headers ...string) string {
				t.Helper()
				u, err := gcs.SignedURL(bucketA, object, &gcs.SignedURLOptions{
					GoogleAccessID: "signer@p.iam.gserviceaccount.com", PrivateKey: key, Method: method, Scheme: scheme,
					Expires: time.Now().Add(time.Hour), Headers: headers, Insecure: true,
					Hostname: strings.TrimPrefix(s.URL(), "http://"),
				})
				if err != nil {
					t.Fatal(err)
				}
				return strings.Replace(u, "https://", "http://", 1) // which V2 knows only
			}
			if a := do(t, "GET", sign("GET", "dir/a b"), "").want(t, 200); a.body != "content" {
				t.Errorf("the content is %q", a.body)
			}
			do(t, "GET", sign("GET", "none"), "").want(t, 404)
			do(t, "PUT", sign("PUT", "up"), "uploaded").want(t, 200)
			if got := s.read(t, "up"); got != "uploaded" {
				t.Errorf("the object is %q", got)
			}

			a := do(t, "POST", sign("POST", "resumed", "x-goog-resumable:start"), "", "X-Goog-Resumable", "start",
				"Content-Type", "a/b").want(t, 201)
			session := a.header.Get("Location")
			part := strings.Repeat("x", 256<<10)
			a = do(t, "PUT", session, part, "Content-Range", "bytes 0-262143/262146").want(t, 308)
			if got := a.header.Get("Range"); got != "bytes=0-262143" {
				t.Errorf("the range is %q", got)
			}
			a = do(t, "PUT", session, "end", "Content-Range", "bytes 262144-262146/262147").want(t, 200)
			if a.body != "" || a.header.Get("X-Goog-Generation") == "" {
				t.Errorf("the answer is %q, %v", a.body, a.header)
			}
			if got := s.read(t, "resumed"); got != part+"end" {
				t.Errorf("the object has %d bytes", len(got))
			}
		})
	}
}

func TestSignedURLsRefused(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	v4 := url.Values{
		"X-Goog-Algorithm": {"GOOG4-RSA-SHA256"}, "X-Goog-Credential": {"a@b/20240506/auto/storage/goog4_request"},
		"X-Goog-Date": {"20240506T070000Z"}, "X-Goog-Expires": {"3600"}, "X-Goog-SignedHeaders": {"host"},
		"X-Goog-Signature": {"00ff"},
	}
	v2 := url.Values{"GoogleAccessId": {"a@b"}, "Expires": {"1714979290"}, "Signature": {"AA=="}}
	for _, test := range []struct {
		name   string
		base   url.Values
		change url.Values // an empty value removes
		header string
		code   string
	}{
		{"V4", v4, nil, "", ""},
		{"in lower case", v4, url.Values{"x-goog-date": v4["X-Goog-Date"], "X-Goog-Date": {""}}, "", ""},
		{"HMAC", v4, url.Values{"X-Goog-Algorithm": {"GOOG4-HMAC-SHA256"}}, "", ""},
		{"V4, the last second", v4, url.Values{"X-Goog-Expires": {"490"}}, "", ""},
		{"V4, expired", v4, url.Values{"X-Goog-Expires": {"489"}}, "", "ExpiredToken"},
		{"V4, ahead", v4, url.Values{"X-Goog-Date": {"20240506T072310Z"}}, "", "RequestTimeTooSkewed"},
		{"algorithm", v4, url.Values{"X-Goog-Algorithm": {"GOOG4-RSA-MD5"}}, "", "MalformedSecurityHeader"},
		{"no algorithm", v4, url.Values{"X-Goog-Algorithm": {""}}, "", "MalformedSecurityHeader"},
		{"no signature", v4, url.Values{"X-Goog-Signature": {""}}, "", "MalformedSecurityHeader"},
		{"date", v4, url.Values{"X-Goog-Date": {"2024-05-06"}}, "", "MalformedSecurityHeader"},
		{"too long", v4, url.Values{"X-Goog-Expires": {"604801"}}, "", "MalformedSecurityHeader"},
		{"for no time", v4, url.Values{"X-Goog-Expires": {"0"}}, "", "MalformedSecurityHeader"},
		{"another day", v4, url.Values{"X-Goog-Credential": {"a@b/20240505/auto/storage/goog4_request"}}, "",
			"MalformedSecurityHeader"},
		{"credential", v4, url.Values{"X-Goog-Credential": {"a@b"}}, "", "MalformedSecurityHeader"},
		{"host is not signed", v4, url.Values{"X-Goog-SignedHeaders": {"range"}}, "Range", "MalformedSecurityHeader"},
		{"a header lacks", v4, url.Values{"X-Goog-SignedHeaders": {"content-type;host"}}, "", "SignatureDoesNotMatch"},
		{"a header is there", v4, url.Values{"X-Goog-SignedHeaders": {"content-type;host"}}, "Content-Type", ""},
		{"a header is not signed", v4, nil, "X-Goog-Meta-A", "SignatureDoesNotMatch"},
		{"not hexadecimal", v4, url.Values{"X-Goog-Signature": {"xx"}}, "", "SignatureDoesNotMatch"},
		{"Amazon", v4, url.Values{"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}}, "", "NotImplemented"},
		{"V2", v2, nil, "", ""},
		{"V2, expired", v2, url.Values{"Expires": {"1714979289"}}, "", "ExpiredToken"},
		{"V2, no time", v2, url.Values{"Expires": {"tomorrow"}}, "", "MalformedSecurityHeader"},
		{"V2, no expiry", v2, url.Values{"Expires": {""}}, "", "MalformedSecurityHeader"},
		{"V2, no signer", v2, url.Values{"GoogleAccessId": {""}}, "", "MalformedSecurityHeader"},
		{"V2, not base64", v2, url.Values{"Signature": {"?"}}, "", "MalformedSecurityHeader"},
		{"no signature at all", url.Values{"generation": {"1"}, "Expires": {"1"}}, nil, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := url.Values{}
			for _, values := range []url.Values{test.base, test.change} {
				for name, value := range values {
					if value[0] == "" {
						q.Del(name)
					} else {
						q[name] = value
					}
				}
			}
			r := &http.Request{URL: &url.URL{RawQuery: q.Encode()}, Header: http.Header{}}
			if test.header != "" {
				r.Header.Set(test.header, "x")
			}
			got := ""
			if err := checkSigned(r, now); err != nil {
				got = asFault(err).code
			}
			if got != test.code {
				t.Errorf("got %q, want %q", got, test.code)
			}
		})
	}

	// The answer is in the form of the XML API, and comes before anything is done.
	s := start(t, Options{})
	a := do(t, "PUT", s.URL()+"/"+bucketA+"/a?"+v4.Encode(), "x").want(t, 400)
	if !strings.Contains(a.body, "<Code>ExpiredToken</Code>") ||
		!strings.Contains(a.body, "Request signature expired at: 2024-05-06T08:00:00Z") {
		t.Errorf("got %s", a.body)
	}
	do(t, "GET", s.objectURL("a"), "").want(t, 404)
	do(t, "GET", s.URL()+"/"+bucketA+"?"+v4.Encode(), "").want(t, 400)
}

// Google's library for Node signs, uploads and downloads.
func TestNodeSignedURLs(t *testing.T) {
	modules := nodeModules(t)
	t.Parallel()
	s := start(t, Options{})
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, signingKey(t), 0o600); err != nil {
		t.Fatal(err)
	}
	out := tool{"node", []string{"STORAGE_EMULATOR_HOST=" + s.URL()}}.run(t, "testdata/signed.cjs", modules, bucketA, key)
	if want := "v2 200 201 200 ok\nv4 200 201 200 ok\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if got := s.read(t, "v4-resumed"); got != string(bytes.Repeat([]byte("r"), 1000)) {
		t.Errorf("the object has %d bytes", len(got))
	}
}
