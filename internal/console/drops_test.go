package console

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Filters are taken in each form in which people have a folder or a time at hand.
func TestFilters(t *testing.T) {
	s := newSite(t, nil)
	key := s.drop("teams/nlp/", accepted("j", "")...).Attempt // an hour ago
	for filter, want := range map[string]bool{
		"folder=teams/nlp": true, "folder=teams/": true, "folder=/teams/nlp/": true, "folder=+teams/nlp/+": true,
		"folder=gs://inbox/teams/nlp/": true, "folder=gs://inbox": true, "folder=/": true, "folder=job.yaml": true,
		"folder=teams/nlp/job.yaml": true, "folder=gs://inbox/teams/nlp/job.yaml": true,
		"folder=gs://inbox/teams/nlp/job.yaml%2317": true, "folder=teams/nlp/x/job.yaml": false, "folder=nlp": false,
		"since=2h": true, "since=+90m": true, "since=1d": true, "since=7d": true, "since=1d12h+": true, "since=30m": false,
		"since=2026-11-30": true, "since=2026-11-30+09:00": true, "since=2026-11-30+09:00:00": true,
		"since=2026-11-30+09:00:00+UTC": true, "since=2026-11-30T09:00": true, "since=2026-11-30T09:00:00Z": true,
		"since=2026-11-30T15:00:00%2b02:00": false, "since=2026-12-01": false, "since=2026-11-30+11:30": false,
	} {
		got := s.get("/?" + filter)
		if named := strings.Contains(got.body, "/attempts/"+key); got.status != http.StatusOK || named != want {
			t.Errorf("%s: %d, names it: %t, want %t", filter, got.status, named, want)
		}
	}
}

// Filters that can't be used are answered with the form as it was sent, and what is wrong beside it; nothing is read.
func TestBadFilters(t *testing.T) {
	s := newSite(t, nil)
	for address, want := range map[string]string{
		"/?since=yesterday&folder=teams/":       "\"yesterday\" is not a time: write how long ago (90m, 24h, 7d), a day (2026-11-30)",
		"/?since=-1h":                           "is not a time",
		"/?since=0d":                            "is not a time",
		"/?since=9999d&folder=a":                "",
		"/?state=gone&folder=teams/":            "\"gone\" is not a state: choose one",
		"/?folder=gs://other/teams/":            "it is not in the inbox, gs://inbox/",
		"/?folder=a%00b":                        "it has a character that none can have",
		"/?correlation=%ff":                     "it has a character that none can have",
		"/?job=a%0ab":                           "it has a character that none can have",
		"/?state=%00":                           "it has a character that none can have",
		"/?since=%ff":                           "it has a character that none can have",
		"/?job=a/b":                             "a job ID has no slash",
		"/?job=a&folder=teams/":                 "leave the other filters empty",
		"/?folder=" + strings.Repeat("x", 2000): "it has more than 1024 bytes",
		"/?page=x&folder=teams/":                "begin without one",
	} {
		s.store.Reset()
		got := s.get(address)
		if want == "" {
			if got.status != http.StatusOK {
				t.Errorf("%s: %d", address, got.status)
			}
			continue
		}
		body := html.UnescapeString(got.body)
		if got.status != http.StatusBadRequest || !strings.Contains(body, want) || strings.Contains(body, `["waiting"`) {
			t.Errorf("%.80s: %d\n%s", address, got.status, got.body)
		}
		asked, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range asked.Query() {
			if name == "page" || name == "state" {
				continue
			}
			if !strings.Contains(body, `name="`+name+`" value="`+visible(values[0])+`"`) {
				t.Errorf("%.80s: %s is lost", address, name)
			}
		}
		if calls := s.store.Calls(); len(calls) > 0 {
			t.Errorf("%.80s: %d calls", address, len(calls))
		}
		if got := s.get(address, streamed); got.status != http.StatusBadRequest {
			t.Errorf("the stream of %.80s: %d", address, got.status)
		}
	}
}

var link = regexp.MustCompile(`<a [^>]*href="([^"]*)"[^>]*>([^<]*)</a>`)

// linksOf returns the addresses of a page's links, by their texts.
func linksOf(page string) map[string]string {
	all := map[string]string{}
	for _, m := range link.FindAllStringSubmatch(page, -1) {
		all[m[2]] = html.UnescapeString(m[1])
	}
	return all
}

// The pages after the first one, and the way back to it, keep the filters.
func TestPagesKeepFilters(t *testing.T) {
	s := newSite(t, nil)
	for i := range rowsOfPage + 1 {
		s.dropAt("teams/nlp/", now.Add(-time.Duration(i+1)*time.Second).UnixMicro(), attempt.Reject{Reason: "wrong"})
	}
	first := linksOf(s.get("/?folder=teams/&state=rejected&since=2d&none=x").body)
	if _, newest := first["Newest"]; newest {
		t.Errorf("the first page leads to itself: %q", first)
	}
	next, err := url.Parse(first["Go on"])
	if err != nil || next.Query().Get("folder") != "teams/" || next.Query().Get("page") == "" {
		t.Fatalf("%q: %v", first, err)
	}
	got := s.get(next.String())
	if newest := linksOf(got.body)["Newest"]; got.status != http.StatusOK || newest != "/?folder=teams%2F&since=2d&state=rejected" {
		t.Errorf("%d: the newest are at %q", got.status, newest)
	}
}

// The filter says by which state the queue is found, and a row of the queue has no other state's name.
func TestFilterOfQueue(t *testing.T) {
	s := newSite(t, nil)
	const reason = "waiting: 3 of 3 jobs are active"
	r := s.drop("a/", attempt.Accept{Spec: specOf("j", ""), Receipt: job.Receipt{Content: "c"}, Waits: reason})
	queue := attempt.Queue{At: now, Total: 1, Waiting: []attempt.Place{{Place: 1, Attempt: r.Attempt, Folder: "a/", Reason: reason}}}
	if _, err := s.ledger.WriteQueue(t.Context(), queue, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ledger.Open(t.Context(), attempt.NewEntry(attempt.Stored{Record: r})); err != nil {
		t.Fatal(err)
	}
	body := s.get("/?state=accepted").body
	for _, want := range []string{
		`<option value="accepted" selected>accepted, in the queue</option>`, `<option value="waiting">waiting for packages</option>`,
		"<b>1 of 1 in the queue</b>: 3 of 3 jobs are active", "/attempts/" + r.Attempt,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s\n%s", want, body)
		}
	}
	if to := linksOf(s.get("/installation").body)["Their drops"]; to != "/?state=accepted" {
		t.Errorf("the queue's drops are at %q", to)
	}
}
