// Package front does what the front ends of Google's services do for all of them
// alike: system parameters, partial responses and batches.
package front

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// system are the parameters that every one of Google's services takes, beside
// those of its methods. Each may be written with a dollar sign.
// https://cloud.google.com/apis/docs/system-parameters
var system = map[string]bool{
	"access_token": true, "alt": true, "callback": true, "fields": true, "key": true, "oauth_token": true,
	"prettyPrint": true, "quotaUser": true, "uploadType": true, "upload_protocol": true, "userProject": true,
}

// dollar are those that are never written without it.
var dollar = map[string]bool{
	"$.xgafv": true, "$apiVersion": true, "$ct": true, "$httpMethod": true, "$outputDefaults": true, "$req": true,
	"$unique": true, "$visibilities": true,
}

// Query returns a request's parameters. System parameters have their names
// without the dollar sign there. Clients may write the semicolon in
// alt=json;enum-encoding=int as it is.
func Query(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(strings.ReplaceAll(r.URL.RawQuery, ";", "%3B"))
	for name, values := range query {
		if plain, ok := strings.CutPrefix(name, "$"); ok && system[plain] {
			query[plain] = append(query[plain], values...)
			delete(query, name)
		}
	}
	return query, err
}

// System is what a request's system parameters ask for.
type System struct {
	// EnumNumbers asks for the numbers of enumerations' values, not their names.
	EnumNumbers bool
	// Compact asks for JSON without spaces and line breaks.
	Compact bool
	// Fields are the only fields that the answer is to have, see [Selected].
	Fields string
}

// Take takes the system parameters out of a query that [Query] returned. Those
// that say who calls, and who pays, mean nothing here. An answer that is not JSON
// is refused.
func Take(query url.Values) (System, error) {
	var s System
	alt, params, err := mime.ParseMediaType(query.Get("alt"))
	switch {
	case query.Get("alt") == "":
	case err != nil || alt != "json":
		return s, fmt.Errorf("alt=%s: the answers of this service are JSON; write alt=json, or leave it out",
			query.Get("alt"))
	default:
		s.EnumNumbers = params["enum-encoding"] == "int"
	}
	if query.Get("callback") != "" {
		return s, errors.New("callback: this service writes no scripts; leave it out")
	}
	s.Compact = strings.EqualFold(query.Get("prettyPrint"), "false")
	s.Fields = query.Get("fields")
	if err := CheckFields(s.Fields); err != nil {
		return s, err
	}
	for name := range query {
		if system[name] || dollar[name] {
			delete(query, name)
		}
	}
	return s, nil
}

// maxQuery bounds a query that comes as a body, and the line and headers of a batch's
// call, in bytes. It is what net/http lets a request's line and headers have.
const maxQuery = http.DefaultMaxHeaderBytes

// Overridden returns a request with the method that a header of it names. Google's
// Python client sends so what would have too long a URL, with the query as the
// body.
func Overridden(r *http.Request) (*http.Request, error) {
	method := r.Header.Get("X-HTTP-Method-Override")
	if r.Method != http.MethodPost || method == "" {
		return r, nil
	}
	out := r.Clone(r.Context())
	out.Method = method
	out.Header.Del("X-HTTP-Method-Override")
	if form, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); form != "application/x-www-form-urlencoded" {
		return out, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxQuery+1))
	if err != nil {
		return nil, fmt.Errorf("the request's body can't be read: %w", err)
	}
	if len(body) > maxQuery {
		return nil, fmt.Errorf("the request's query has more than %d bytes", maxQuery)
	}
	out.URL.RawQuery = strings.TrimPrefix(out.URL.RawQuery+"&"+string(body), "&")
	out.Body, out.ContentLength = http.NoBody, 0
	return out, nil
}
