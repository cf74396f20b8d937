package front

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTake(t *testing.T) {
	for _, tt := range []struct {
		name, query string
		want        System
		own         url.Values
	}{
		{"none", "pageSize=1", System{}, url.Values{"pageSize": {"1"}}},
		{"JSON", "alt=json", System{}, url.Values{}},
		{"numbers, as Node writes it", "$alt=json%3Benum-encoding=int&pageSize=1", System{EnumNumbers: true},
			url.Values{"pageSize": {"1"}}},
		{"numbers, as Go and Python write it", "%24alt=json%3Benum-encoding%3Dint", System{EnumNumbers: true}, url.Values{}},
		{"numbers, as people write it", "alt=json;enum-encoding=int", System{EnumNumbers: true}, url.Values{}},
		{"fields", "$fields=name&prettyPrint=false", System{Fields: "name", Compact: true}, url.Values{}},
		{"compact, as Python writes it", "$prettyPrint=False", System{Compact: true}, url.Values{}},
		{"who calls", "key=k&$key=k&quotaUser=u&$quotaUser=u&userProject=p&$userProject=p&access_token=t&oauth_token=t&" +
			"$.xgafv=2&uploadType=x&upload_protocol=raw&$unique=1&$outputDefaults=true&$apiVersion=1", System{}, url.Values{}},
		{"not a system parameter", "$pageSize=1&.xgafv=1&ct=x", System{},
			url.Values{"$pageSize": {"1"}, ".xgafv": {"1"}, "ct": {"x"}}},
	} {
		query, err := Query(httptest.NewRequest("GET", "/?"+tt.query, nil))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, err := Take(query)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
		if diff := cmp.Diff(tt.own, query); diff != "" {
			t.Errorf("%s leaves (-want +got):\n%s", tt.name, diff)
		}
	}
	for query, want := range map[string]string{
		"alt=proto": "write alt=json", "$alt=media": "write alt=json", "alt=json;": "", "callback=f": "writes no scripts",
		"$callback=f": "writes no scripts",
	} {
		values, err := Query(httptest.NewRequest("GET", "/?"+query, nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Take(values); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}

func TestOverridden(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, method, override, contentType, body string
		want, query, left                         string
	}{
		{"none", "POST", "", form, "a=1", "POST", "z=0", "a=1"},
		{"not of a POST", "GET", "DELETE", "", "", "GET", "z=0", ""},
		{"a body", "POST", "PATCH", "application/json", "{}", "PATCH", "z=0", "{}"},
		{"a query", "POST", "GET", form + "; charset=utf-8", "filter=a%3Db", "GET", "z=0&filter=a%3Db", ""},
	} {
		r := httptest.NewRequest(tt.method, "/?z=0", strings.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.contentType)
		if tt.override != "" {
			r.Header.Set("X-HTTP-Method-Override", tt.override)
		}
		got, err := Overridden(r)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		left, err := io.ReadAll(got.Body)
		if err != nil || got.Method != tt.want || got.URL.RawQuery != tt.query || string(left) != tt.left {
			t.Errorf("%s: %s ?%s %q, %v", tt.name, got.Method, got.URL.RawQuery, left, err)
		}
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("a", http.DefaultMaxHeaderBytes+1)))
	r.Header.Set("Content-Type", form)
	r.Header.Set("X-HTTP-Method-Override", "GET")
	if _, err := Overridden(r); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("a query without end: %v", err)
	}
}
