package storage

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// maxExpires is the longest life of a V4 signature.
	maxExpires = 7 * 24 * time.Hour
	// maxSkew is how far a client's clock may be ahead.
	maxSkew = 15 * time.Minute
	// signedTime is the format of X-Goog-Date.
	signedTime = "20060102T150405Z"
)

func errMalformed(format string, args ...any) error {
	return &fault{http.StatusBadRequest, "invalid", "MalformedSecurityHeader",
		strings.TrimSpace("Your request has a malformed header. " + fmt.Sprintf(format, args...))}
}

func errExpired(at time.Time) error {
	return &fault{http.StatusBadRequest, "invalid", "ExpiredToken",
		"The provided token has expired. Request signature expired at: " + at.UTC().Format(time.RFC3339)}
}

// errDenied answers a request that can't be the one that was signed.
func errDenied(why string) error {
	return &fault{http.StatusForbidden, "forbidden", "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you provided. " + why}
}

// checkSigned checks what can be checked of a signed URL without the signer's key: that it is whole and well
// formed, that it has not expired, and that the request has the headers that were signed. Whether the
// signature is right, and the signer has a right, nobody knows here.
// https://cloud.google.com/storage/docs/access-control/signed-urls
func checkSigned(r *http.Request, now time.Time) error {
	q := lowerKeys(r.URL.Query())
	switch {
	case q.Has("x-amz-algorithm") || q.Has("x-amz-signature"):
		return errUnsupported("signatures of Amazon's API")
	case q.Has("x-goog-algorithm") || q.Has("x-goog-signature"):
		return checkV4(r, q, now)
	case q.Has("googleaccessid") || q.Has("signature"):
		return checkV2(q, now)
	}
	return nil
}

// lowerKeys returns a query whose parameters have names in lower case, which matters for none of those that
// sign.
func lowerKeys(q url.Values) url.Values {
	out := make(url.Values, len(q))
	for name, values := range q {
		out[strings.ToLower(name)] = values
	}
	return out
}

func checkV2(q url.Values, now time.Time) error {
	for _, name := range []string{"GoogleAccessId", "Expires", "Signature"} {
		if q.Get(strings.ToLower(name)) == "" {
			return errMalformed("A signed URL has the parameters GoogleAccessId, Expires and Signature, and this one "+
				"has no %s.", name)
		}
	}
	seconds, err := strconv.ParseInt(q.Get("expires"), 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return errMalformed("Expires is %.40q: want seconds since 1970.", q.Get("expires"))
	}
	if at := time.Unix(seconds, 0); !now.Before(at) {
		return errExpired(at)
	}
	if _, err := base64.StdEncoding.DecodeString(q.Get("signature")); err != nil {
		return &detailed{errMalformed(""), "signature", "Signature was not base64 encoded"}
	}
	return nil
}

func checkV4(r *http.Request, q url.Values, now time.Time) error {
	for _, name := range []string{"X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires",
		"X-Goog-SignedHeaders", "X-Goog-Signature"} {
		if q.Get(strings.ToLower(name)) == "" {
			return errMalformed("A URL with a V4 signature has no %s.", name)
		}
	}
	if a := q.Get("x-goog-algorithm"); a != "GOOG4-RSA-SHA256" && a != "GOOG4-HMAC-SHA256" {
		return errMalformed("X-Goog-Algorithm is %.40q: want GOOG4-RSA-SHA256 or GOOG4-HMAC-SHA256.", a)
	}
	date, err := time.Parse(signedTime, q.Get("x-goog-date"))
	if err != nil {
		return errMalformed("X-Goog-Date is %.40q: want a time like %s.", q.Get("x-goog-date"), signedTime)
	}
	seconds, err := strconv.ParseInt(q.Get("x-goog-expires"), 10, 64)
	if err != nil || seconds < 1 || seconds > int64(maxExpires/time.Second) {
		return errMalformed("X-Goog-Expires is %.40q: want 1 to %d seconds.", q.Get("x-goog-expires"),
			maxExpires/time.Second)
	}
	scope := strings.Split(q.Get("x-goog-credential"), "/")
	if n := len(scope); n < 5 || scope[0] == "" || scope[n-4] != date.Format("20060102") || scope[n-3] == "" ||
		scope[n-2] != "storage" || scope[n-1] != "goog4_request" {
		return errMalformed("X-Goog-Credential is %.200q: want SIGNER/%s/LOCATION/storage/goog4_request.",
			q.Get("x-goog-credential"), date.Format("20060102"))
	}
	if at := date.Add(time.Duration(seconds) * time.Second); !now.Before(at) {
		return errExpired(at)
	}
	if date.After(now.Add(maxSkew)) {
		return &fault{http.StatusForbidden, "forbidden", "RequestTimeTooSkewed",
			"The difference between the request time and the server's time is too large."}
	}
	return checkSignedHeaders(r, q)
}

// checkSignedHeaders refuses a request that lacks a header that was signed, or has one of Cloud Storage's own
// that was not.
func checkSignedHeaders(r *http.Request, q url.Values) error {
	signed := map[string]bool{}
	for name := range strings.SplitSeq(q.Get("x-goog-signedheaders"), ";") {
		signed[strings.ToLower(name)] = true
		if !strings.EqualFold(name, "host") && r.Header.Values(name) == nil && !strings.EqualFold(name, "content-length") {
			return errDenied(fmt.Sprintf("The header %.100q was signed, and the request does not have it.", name))
		}
	}
	if !signed["host"] {
		return errMalformed("X-Goog-SignedHeaders is %.200q: want host among them.", q.Get("x-goog-signedheaders"))
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-goog-") && !signed[lower] {
			return errDenied(fmt.Sprintf("The request has the header %.100q, which was not signed.", lower))
		}
	}
	if _, err := hex.DecodeString(q.Get("x-goog-signature")); err != nil {
		return errDenied("It is not hexadecimal.")
	}
	return nil
}
