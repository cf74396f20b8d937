package console

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/console/scalars"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// evil is a text with mark-up, an escape sequence of terminals, and a character that turns the direction of the text.
const evil = `<img src=x onerror=alert(1)>` + "\x1b[31m\u202egnp\"'&"

// hostile starts an installation whose log and curves are hostile.
func hostile(t *testing.T, change func(*Config)) *site {
	s := newSite(t, change)
	s.correlation = evil
	s.logs.lines = []logs.Line{
		{Time: now, InsertID: "1", Replica: "master-replica-0", Severity: "ERROR", Text: evil},
		{Time: now, InsertID: "2", Replica: "service", Text: strings.Repeat("x", 1<<20)},
	}
	s.scalars.set = scalars.Set{Files: 1, Series: []scalars.Series{
		{Run: evil, Tag: evil, Total: 3, NonFinite: 1, Points: []scalars.Point{
			{Step: 1, Value: 1}, {Step: 2, Value: math.NaN()}, {Step: 3, Value: math.Inf(1)}, {Step: 4, Value: 2},
		}},
		{Run: ".", Tag: "one", Total: 1, Points: []scalars.Point{{Step: 1, Value: 1e308}}},
	}}
	return s
}

// steps are those of an attempt whose job has hostile texts and runs.
func steps(dir string) []attempt.Observation {
	all := accepted("j", dir)
	a := all[0].(attempt.Accept)
	in := a.Spec.TrainingInput
	in.Region, in.Args = evil, []string{evil}
	in.Hyperparameters.HyperparameterMetricTag, in.Hyperparameters.Params[0].ParameterName = evil, evil
	a.Receipt.Objects = []job.Object{{Bucket: "inbox", Name: evil, Generation: 1}}
	all[0] = a
	return all
}

// pages are the pages of an attempt, "" its own.
var pages = []string{"", "/job", "/log", "/outputs", "/curves", "/curves.json", "/trials"}

// Texts of drops and jobs make no element, and what can't be seen in them is shown. No page is large, whatever they
// hold.
func TestHostileTexts(t *testing.T) {
	s := hostile(t, nil)
	key := s.drop("teams/nlp/"+evil+"/", steps("gs://out/a")...).Attempt
	s.object("out", "a/"+evil, "x")
	generation := s.object("inbox", "bad/job.yaml", "a: b\nc: "+evil+strings.Repeat("y", 5000)+"\n")
	rejected := s.dropAt("bad/", generation, attempt.Reject{Reason: evil, Violations: []job.Violation{{
		Rule: "enum", File: "job.yaml", Position: job.Position{Line: 2, Column: 3}, Field: evil, Message: evil, Found: evil, Remedy: evil,
	}}}).Attempt
	addresses := []string{
		"/", "/installation", "/attempts/" + rejected, "/?folder=" + url.QueryEscape(evil), "/nothing" + url.PathEscape(evil),
	}
	for _, p := range pages {
		addresses = append(addresses, "/attempts/"+key+p)
	}
	for _, address := range addresses {
		got := s.get(address)
		body, header := got.body, got.header
		if got.status >= 500 {
			t.Errorf("%s: %d %.300s", address, got.status, body)
		}
		if strings.Contains(body, "<img src=x") || strings.ContainsAny(body, "\x1b\u202e") {
			t.Errorf("%s shows a text as it is", address)
		}
		if len(body) > 300<<10 {
			t.Errorf("%s has %d bytes", address, len(body))
		}
		if strings.Contains(body, "ZgotmplZ") {
			t.Errorf("%s has an address that is not one", address)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q", address, name, got)
			}
		}
		if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", address, csp)
		}
	}
	if body := s.get("/attempts/" + rejected).body; !strings.Contains(body, `<span class="caret"`) || !strings.Contains(body, "c: ") {
		t.Error("the violation's line is not shown")
	}
	if body := s.get("/attempts/" + key + "/log").body; !strings.Contains(body, "whole=1") || !strings.Contains(body, "\u241b[31m") {
		t.Error("a long line has no link to the whole, or an escape is not shown")
	}
	var curves struct {
		Charts []struct {
			Runs []struct{ Values []*float64 }
		}
	}
	body := s.get("/attempts/" + key + "/curves.json").body
	if err := json.Unmarshal([]byte(body), &curves); err != nil || len(curves.Charts) != 2 || curves.Charts[0].Runs[0].Values[1] != nil {
		t.Errorf("%v: %s", err, body)
	}
}

var address = regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)

// Every asset that a page names is there, for ever the same under its address.
func TestAssets(t *testing.T) {
	s := hostile(t, nil)
	key := s.drop("a/", steps("gs://out/a")...).Attempt
	seen := map[string]bool{}
	for _, p := range pages {
		for _, m := range address.FindAllStringSubmatch(s.get("/attempts/"+key+p).body, -1) {
			seen[strings.ReplaceAll(m[1], "&amp;", "&")] = true
		}
	}
	if len(seen) < 6 {
		t.Errorf("pages name %d assets", len(seen))
	}
	for a := range seen {
		got := s.get(a)
		if kept := got.header.Get("Cache-Control"); got.status != http.StatusOK || got.body == "" || !strings.Contains(kept, "immutable") {
			t.Errorf("%s: %d, %q", a, got.status, kept)
		}
	}
	if got := s.get("/static/../console.go"); got.status < 300 {
		t.Errorf("a file that is no asset: %d", got.status)
	}
}

// An address that has no page, and a request that it does not take, are answered with a page that leads on.
func TestNowhere(t *testing.T) {
	s := newSite(t, nil)
	for _, tt := range []struct {
		method, path, allow string
		want                int
	}{
		{http.MethodGet, "/nowhere", "", http.StatusNotFound},
		{http.MethodGet, "/attempts/", "", http.StatusNotFound},
		{http.MethodGet, "/attempts/nothing", "", http.StatusNotFound},
		{http.MethodPost, "/nowhere", "", http.StatusNotFound},
		{http.MethodGet, "/attempts/x/cancel", "POST", http.StatusMethodNotAllowed},
		{http.MethodPost, "/installation", "GET, HEAD", http.StatusMethodNotAllowed},
		{http.MethodDelete, "/", "GET, HEAD", http.StatusMethodNotAllowed},
	} {
		got := s.do(tt.method, tt.path, "")
		if got.status != tt.want || linksOf(got.body)["Installation"] != "/installation" || got.header.Get("Allow") != tt.allow ||
			got.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s %s: %d %q\n%s", tt.method, tt.path, got.status, got.header, got.body)
		}
	}
	if got := s.get("//installation"); got.status != http.StatusTemporaryRedirect || got.header.Get("Location") != "/installation" {
		t.Errorf("an address to clean: %d %q", got.status, got.header)
	}
}
