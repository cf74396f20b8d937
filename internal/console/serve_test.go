package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/console/scalars"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// secret stands in all that a viewer without rights must not see.
const secret = "s3cret"

// shown returns an installation with an attempt of teams/nlp that has all pages.
func shown(t *testing.T) (s *site, key string) {
	s = newSite(t, nil).identified()
	way := append(accepted("job_"+secret, "gs://out/nlp/"+secret), ended("job_"+secret, job.BackendSucceeded))
	r := s.drop("teams/nlp/"+secret+"/", way...)
	if _, _, err := s.ledger.ClaimID(t.Context(), "job_"+secret, attempt.Owner{Attempt: r.Attempt}); err != nil {
		t.Fatal(err)
	}
	s.object("out", "nlp/"+secret+"/model.bin", "weights")
	s.logs.add("line " + secret)
	s.scalars.set = scalars.Set{Files: 1, Series: []scalars.Series{
		{Run: ".", Tag: "loss " + secret, Points: []scalars.Point{{Step: 1, Value: 1}}},
	}}
	return s, r.Attempt
}

func streamed(r *http.Request) { r.Header.Set("Accept", "text/event-stream") }

// Whoever may not see an attempt gets, from each of its routes, what they get of one that does not exist.
func TestForeignAttempt(t *testing.T) {
	s, key := shown(t)
	absent := strings.Repeat("0", 40) + "-17"
	ways := []struct {
		method, end string
		change      []func(*http.Request)
	}{{http.MethodPost, "/cancel", nil}, {http.MethodPost, "/rerun", nil}}
	for _, end := range []string{"", "/job", "/log", "/outputs", "/curves", "/curves.json", "/trials"} {
		ways = append(ways, struct {
			method, end string
			change      []func(*http.Request)
		}{http.MethodGet, end, nil})
		ways = append(ways, struct {
			method, end string
			change      []func(*http.Request)
		}{http.MethodGet, end, []func(*http.Request){streamed}})
	}
	for _, w := range ways {
		s.as(eve)
		got := s.do(w.method, "/attempts/"+key+w.end, "reason=x", w.change...)
		want := s.do(w.method, "/attempts/"+absent+w.end, "reason=x", w.change...)
		if got.status != http.StatusNotFound || got.body != want.body || strings.Contains(got.body, secret) {
			t.Errorf("%s %s: %d %.300s\nand of none: %d", w.method, w.end, got.status, got.body, want.status)
		}
	}
	if w := s.writes(); len(w) > 0 {
		t.Errorf("written: %q", w)
	}
	if len(s.scalars.reads) > 0 {
		t.Errorf("read of a foreign drop: %q", s.scalars.reads)
	}
}

// Every page of an attempt is shown to those who may see it, and outputs and curves to those of them only whom the policy
// shows the directory.
func TestOwnAttempt(t *testing.T) {
	s, key := shown(t)
	for _, tt := range []struct {
		who, end string
		secret   string // what only who may see the outputs sees
		hidden   bool
	}{
		{ann, "", "", false}, {ann, "/job", "", false}, {ann, "/log", "line " + secret, false}, {ann, "/trials", "", false},
		{ann, "/outputs", "model.bin", false}, {ann, "/curves", "loss " + secret, false}, {ann, "/curves.json", "loss " + secret, false},
		{bob, "", "", false}, {bob, "/log", "line " + secret, false},
		{bob, "/outputs", "model.bin", true}, {bob, "/curves", "loss " + secret, true}, {bob, "/curves.json", "loss " + secret, true},
	} {
		s.as(tt.who)
		got := s.get("/attempts/" + key + tt.end)
		if got.status != http.StatusOK || strings.Contains(got.body, tt.secret) == tt.hidden {
			t.Errorf("%s %s: %d, hidden %t\n%s", tt.who, tt.end, got.status, tt.hidden, got.body)
		}
	}
}

// What the installation keeps in its own buckets is not shown as a job's outputs, whatever the policy's viewers say: the
// console's account can read there.
func TestOwnBucketsAreNoOutputs(t *testing.T) {
	s := newSite(t, nil).identified()
	s.mu.Lock()
	s.rules = rulesOf(t, `viewers: [{members: ['user:ann@example.com'], prefixes: ['**'], outputs: ['gs://state/**', 'gs://inbox/**']}]`)
	s.mu.Unlock()
	s.as(ann)
	for _, bucket := range []string{"state", "inbox"} {
		s.object(bucket, "x/"+secret, "x")
		r := s.drop("a/"+bucket+"/", accepted("j_"+bucket, "gs://"+bucket+"/x")...)
		if got := s.get("/attempts/" + r.Attempt + "/outputs"); got.status != http.StatusOK || strings.Contains(got.body, secret) {
			t.Errorf("%s: %d\n%s", bucket, got.status, got.body)
		}
	}
}

// Lists and the queue leave out the folders that a viewer may not see, and what is of no folder.
func TestListsOfViewers(t *testing.T) {
	s, key := shown(t)
	wait := s.drop("teams/vision/b/", attempt.Accept{
		Spec: specOf("job_b", ""), Receipt: job.Receipt{Content: "c"}, Waits: "waiting: 3 of 3 jobs are active",
	})
	s.object("state", "parked/"+secret, "x")
	queue := attempt.Queue{At: now, Total: 2, Waiting: []attempt.Place{
		{Place: 1, Attempt: key, Folder: "teams/nlp/" + secret + "/", Reason: "waits"},
		{Place: 2, Attempt: wait.Attempt, Folder: "teams/vision/b/", Reason: "waits"},
	}}
	if _, err := s.ledger.WriteQueue(t.Context(), queue, 0); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/", "/?state=" + string(job.Succeeded), "/?folder=teams", "/?job=job_" + secret, "/installation",
	} {
		for who, sees := range map[string]bool{ann: true, eve: false} {
			s.as(who)
			got := s.get(path)
			body := strings.ReplaceAll(got.body, `value="job_`+secret, "") // what they asked for themselves
			named := strings.Contains(body, "/attempts/"+key)
			if got.status != http.StatusOK || named != sees || !sees && strings.Contains(body, secret) ||
				strings.Contains(body, "parked/") {
				t.Errorf("%s of %s: %d, names it %t\n%s", path, who, got.status, named, got.body)
			}
		}
	}
	s.as(eve)
	if got := s.get("/installation").body; !strings.Contains(got, wait.Attempt) ||
		!strings.Contains(got, "1 are of folders that you may not see") {
		t.Errorf("the queue: %s", got)
	}
}

// A folder that a viewer may not see answers as one that nobody dropped into.
func TestForeignFolder(t *testing.T) {
	s, key := shown(t)
	s.as(ann)
	if got := s.get("/folders/teams/nlp/" + secret); got.status != http.StatusFound || got.header.Get("Location") != "/attempts/"+key {
		t.Errorf("%d %q", got.status, got.header.Get("Location"))
	}
	s.as(eve)
	want := s.get("/folders/teams/vision/none")
	if got := s.get("/folders/teams/nlp/" + secret); got.status != http.StatusNotFound || got.body != want.body {
		t.Errorf("%d\n%s\nwant\n%s", got.status, got.body, want.body)
	}
}

// Whoever is not known, or named by no entry of the policy, sees no page; nor does anybody while the policy can't be
// read, and what is wrong with it is not told.
func TestNobody(t *testing.T) {
	s, key := shown(t)
	paths := []string{"/", "/installation", "/folders/teams/nlp/" + secret}
	for _, end := range []string{"", "/job", "/log", "/outputs", "/curves", "/curves.json", "/trials"} {
		paths = append(paths, "/attempts/"+key+end)
	}
	for name, tt := range map[string]struct {
		who            string
		refuse, broken error
		want           int
	}{
		"no entry":       {mallory, nil, nil, http.StatusForbidden},
		"no address":     {"", nil, nil, http.StatusForbidden},
		"not identified": {"", &IdentifyError{http.StatusUnauthorized, errors.New("no assertion")}, nil, http.StatusUnauthorized},
		"no policy":      {ann, nil, errors.New("policy.yaml:3:1: " + secret), http.StatusBadGateway},
		"denied policy":  {ann, nil, fmt.Errorf("%w: %s", job.ErrDenied, secret), http.StatusBadGateway},
		"invalid policy": {ann, nil, fmt.Errorf("%w: policy.yaml:3:1: %s", account.ErrPolicy, secret), http.StatusBadGateway},
	} {
		s.as(tt.who)
		s.mu.Lock()
		s.refuse, s.broken = tt.refuse, tt.broken
		s.mu.Unlock()
		s.store.Reset()
		for _, path := range paths {
			for _, change := range [][]func(*http.Request){nil, {streamed}} {
				if got := s.get(path, change...); got.status != tt.want || strings.Contains(got.body, secret) {
					t.Errorf("%s: %s: %d, want %d\n%s", name, path, got.status, tt.want, got.body)
				}
			}
		}
		if got := s.do(http.MethodPost, "/attempts/"+key+"/cancel", "reason=x"); got.status != tt.want {
			t.Errorf("%s: cancel: %d", name, got.status)
		}
		if calls := s.store.Calls(); len(calls) > 0 {
			t.Errorf("%s: %d calls were made: %+v", name, len(calls), calls[0])
		}
	}
}

// Every answer has the headers that keep scripts of others out.
func TestHeaders(t *testing.T) {
	s := newSite(t, nil)
	for _, path := range []string{"/", "/installation", "/nowhere", "/attempts/x", "/static/style.css", "/static/none"} {
		h := s.get(path).header
		for name, want := range map[string]string{
			"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, h.Get(name), want)
			}
		}
	}
}

// A console with a key answers who has it: by the address that it prints, and then by a cookie. Others get no page, no
// stream, and nothing done.
func TestKey(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Key = "k3y" })
	r := s.drop("a/"+secret+"/", accepted("j", "")...)
	path := "/attempts/" + r.Attempt
	cookie := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: s.server.cookieName(), Value: value}) }
	}
	for _, end := range []string{"", "/log", "?key=", "?key=k3", "?key=k3y4", "/none"} {
		for _, change := range [][]func(*http.Request){nil, {streamed}, {cookie("")}, {cookie("other")}} {
			got := s.get(path+end, change...)
			if got.status != http.StatusUnauthorized || strings.Contains(got.body, secret) || got.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %d %v\n%s", end, got.status, got.header, got.body)
			}
		}
	}
	if got := s.do(http.MethodPost, path+"/cancel?key=k3y", "reason=x"); got.status != http.StatusUnauthorized {
		t.Errorf("cancel: %d", got.status)
	}
	if w := s.writes(); len(w) > 0 {
		t.Errorf("written: %q", w)
	}
	got := s.get(path + "?asked=x&key=k3y")
	set := got.header.Get("Set-Cookie")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != path+"?asked=x" || !strings.Contains(set, "=k3y;") ||
		!strings.Contains(set, "; HttpOnly") || !strings.Contains(set, "; SameSite=Strict") {
		t.Errorf("%d %v", got.status, got.header)
	}
	if got := s.get("//evil.example/?key=k3y"); strings.HasPrefix(got.header.Get("Location"), "//") {
		t.Errorf("%v", got.header)
	}
	if got := s.get(path, cookie("k3y")); got.status != http.StatusOK {
		t.Errorf("with the cookie: %d", got.status)
	}
	if got := s.do(http.MethodPost, path+"/cancel", "reason=x", cookie("k3y")); got.status != http.StatusSeeOther {
		t.Errorf("cancel with the cookie: %d", got.status)
	}
	if got := s.get("/static/style.css"); got.status != http.StatusOK {
		t.Errorf("an asset: %d", got.status)
	}
}

// A request for the head of a page is answered at once, whatever it accepts.
func TestHead(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/", accepted("j", "")...)
	for _, path := range []string{"/", "/attempts/" + r.Attempt + "/log"} {
		got := s.do(http.MethodHead, path, "", streamed)
		if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
}

// On one's own machine the console answers to the machine's own names only: a web page may give itself this address.
func TestHost(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Hosts = []string{"stack.example"} })
	for host, want := range map[string]int{
		"localhost:8080": 200, "LOCALHOST": 200, "127.0.0.1": 200, "127.8.9.1:9": 200, "[::1]:80": 200, "stack.example:80": 200,
		"evil.example": 403, "localhost.evil.example": 403, "10.0.0.1": 403, "127.0.0.1.evil.example:80": 403, "0.0.0.0": 403,
		"stack.example.evil": 403, "2130706433": 403,
	} {
		if got := s.get("/", func(r *http.Request) { r.Host = host }); got.status != want {
			t.Errorf("%s: %d, want %d", host, got.status, want)
		}
	}
}

// A request is written for a viewer's own form only, once, with their address; and nothing else is ever written.
func TestAct(t *testing.T) {
	s, key := shown(t)
	s.as(ann)
	origin := func(o, site string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Origin", o)
			r.Header.Set("Sec-Fetch-Site", site)
		}
	}
	path := "/attempts/" + key + "/cancel"
	for name, tt := range map[string]struct {
		method, path, form string
		change             func(*http.Request)
		want               int
	}{
		"another site": {http.MethodPost, path, "reason=x", origin("https://evil.example", "cross-site"), http.StatusForbidden},
		"another origin": {http.MethodPost, path, "reason=x", func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
		}, http.StatusForbidden},
		"a page":          {http.MethodGet, path, "", origin("", "same-origin"), http.StatusMethodNotAllowed},
		"no reason":       {http.MethodPost, path, "", origin(s.url, "same-origin"), http.StatusBadRequest},
		"an empty reason": {http.MethodPost, path, "reason=+%09", origin(s.url, "same-origin"), http.StatusBadRequest},
		"in the address":  {http.MethodPost, path + "?reason=x", "", origin(s.url, "same-origin"), http.StatusBadRequest},
		"too large a form": {
			http.MethodPost, path, "reason=" + strings.Repeat("x", maxForm), origin(s.url, "same-origin"),
			http.StatusRequestEntityTooLarge,
		},
		"too large a reason": {
			http.MethodPost, path, "reason=" + strings.Repeat("x", attempt.MaxRequest), origin(s.url, "same-origin"),
			http.StatusBadRequest,
		},
		"not a form": {http.MethodPost, path, "reason=%zz", origin(s.url, "same-origin"), http.StatusBadRequest},
	} {
		if got := s.do(tt.method, tt.path, tt.form, tt.change); got.status != tt.want {
			t.Errorf("%s: %d, want %d\n%s", name, got.status, tt.want, got.body)
		}
	}
	if w := s.writes(); len(w) > 0 {
		t.Fatalf("written: %q", w)
	}
	got := s.do(http.MethodPost, path, "reason=wrong+data&by=root@example.com&kind=rerun", origin(s.url, "same-origin"))
	w := s.writes()
	if got.status != http.StatusSeeOther || len(w) != 1 {
		t.Fatalf("%d %q\n%s", got.status, w, got.body)
	}
	name := strings.TrimPrefix(w[0], "write ")
	data, generation, err := s.store.Client.Read(t.Context(), "state", name, 0, attempt.MaxRequest)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := attempt.ParseRequest(data)
	if err != nil || asked.Kind != attempt.KindCancel || asked.By != ann || asked.Reason != "wrong data" || asked.At.IsZero() {
		t.Errorf("%+v, %v", asked, err)
	}
	if a := (attempt.Asked{Name: strings.TrimPrefix(name, "requests/"), Generation: generation}); a.Attempt() != key {
		t.Errorf("%q is not a request for %s", name, key)
	}
	next := s.get(got.header.Get("Location"))
	if next.status != http.StatusOK || !strings.Contains(next.body, "You asked for it") {
		t.Errorf("%d\n%s", next.status, next.body)
	}
	id := strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], ".json")
	s.object("state", "results/"+key+"/"+id+".json", `{"outcome": "refused", "message": "it <b>ended</b>"}`)
	if next = s.get(got.header.Get("Location")); !strings.Contains(next.body, "it &lt;b&gt;ended&lt;/b&gt;") {
		t.Errorf("%s", next.body)
	}
	if got := s.get("/attempts/" + key + "?asked=../../x"); got.status != http.StatusBadRequest {
		t.Errorf("another object's name: %d", got.status)
	}
}

func TestActOff(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Act = false })
	r := s.drop("a/", accepted("j", "")...)
	for _, end := range []string{"/cancel", "/rerun"} {
		if got := s.do(http.MethodPost, "/attempts/"+r.Attempt+end, "reason=x"); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", end, got.status)
		}
	}
	if got := s.get("/attempts/" + r.Attempt).body; strings.Contains(got, "<form") {
		t.Error("the page offers what is off")
	}
	if w := s.writes(); len(w) > 0 {
		t.Errorf("written: %q", w)
	}
}

// No page writes, and none makes more than one list beside what it shows.
func TestCallsOfPages(t *testing.T) {
	s, key := shown(t)
	s.server.Identify = nil
	for _, tt := range []struct {
		path        string
		lists, most int
	}{
		{"/", 1, 2}, {"/?state=" + string(job.Succeeded), 1, 1}, {"/?folder=teams/", 1, 2}, {"/attempts/" + key, 1, 4},
		{"/attempts/" + key + "/job", 0, 1}, {"/attempts/" + key + "/log", 0, 1}, {"/attempts/" + key + "/outputs", 1, 2},
		{"/attempts/" + key + "/curves", 0, 1}, {"/attempts/" + key + "/curves.json", 0, 1}, {"/attempts/" + key + "/trials", 0, 1},
		{"/installation", 1, 4}, {"/static/style.css", 0, 0},
	} {
		s.store.Reset()
		got := s.get(tt.path)
		lists := 0
		calls := s.store.Calls()
		for _, c := range calls {
			if c.Kind == "list" {
				lists++
			}
		}
		if got.status != http.StatusOK || lists > tt.lists || len(calls) > tt.most || len(s.writes()) > 0 {
			t.Errorf("%s: %d, %d lists of %d calls: %+v", tt.path, got.status, lists, len(calls), calls)
		}
	}
}

// A page that can't be read says why on one's own machine, and tells it to nobody else.
func TestFailureOfStorage(t *testing.T) {
	s, key := shown(t)
	s.store.Before = func(storagetest.Call) error { return errors.New("dial " + secret) }
	s.as(ann)
	if got := s.get("/attempts/" + key); got.status != http.StatusBadGateway || strings.Contains(got.body, secret) {
		t.Errorf("%d\n%s", got.status, got.body)
	}
	s.server.Identify = nil
	if got := s.get("/attempts/" + key); got.status != http.StatusBadGateway || !strings.Contains(got.body, "dial "+secret) {
		t.Errorf("%d\n%s", got.status, got.body)
	}
}

// Of a file of curves that can't be read viewers learn that, and the operator why.
func TestCauseOfCurves(t *testing.T) {
	const cause = "console@acme.iam lacks storage.objects.get"
	s, key := shown(t)
	s.scalars.set = scalars.Set{Notes: []string{"a.jsonl can't be read"}, Failed: fmt.Errorf("%w: %s", job.ErrDenied, cause)}
	s.as(ann)
	s.log.take()
	got, said := s.get("/attempts/"+key+"/curves"), s.log.take()
	if got.status != http.StatusOK || strings.Contains(got.body, cause) || !strings.Contains(got.body, "account may not read") ||
		!strings.Contains(said, cause) {
		t.Errorf("%d\n%s\nthe log has %q", got.status, got.body, said)
	}
	s.server.Identify = nil
	if got := s.get("/attempts/" + key + "/curves"); !strings.Contains(got.body, cause) {
		t.Errorf("on one's own machine: %d\n%s", got.status, got.body)
	}
}

// What a service denies to the console's own account, or why it fails, is for the operator: it is in the log, and viewers
// learn that it is. Whoever runs the console with their own rights gets all of it.
func TestCausesAreForTheOperator(t *testing.T) {
	s, key := shown(t)
	failed := s.drop("teams/nlp/failed/", append(accepted("job_f", ""), ended("job_f", job.BackendFailed))...)
	runs := s.drop("teams/nlp/runs/", accepted("job_r", "gs://out/nlp/runs")...)
	const cause = "console@acme.iam lacks storage.objects.list on bucket-of-another"
	denied := fmt.Errorf("%w: %s", job.ErrDenied, cause)
	s.logs.err, s.scalars.err = denied, denied
	fails := errors.New("dial " + cause)
	s.store.Before = func(c storagetest.Call) error {
		switch {
		case c.Bucket == "out":
			return denied
		case strings.HasPrefix(c.Name, "requests/"+runs.Attempt):
			return fails
		}
		return nil
	}
	for path, tt := range map[string]struct {
		status int
		says   string
	}{
		"/attempts/" + key + "/outputs":       {http.StatusBadGateway, "the console&#39;s account may not read"},
		"/attempts/" + key + "/curves":        {http.StatusBadGateway, "the console&#39;s account may not read"},
		"/attempts/" + key + "/log":           {http.StatusBadGateway, "the console&#39;s account may not read"},
		"/attempts/" + failed.Attempt:         {http.StatusOK, "the log can&#39;t be read: the console&#39;s account may not read"},
		"/attempts/" + runs.Attempt:           {http.StatusOK, "this can&#39;t be read at the moment"},
		"/attempts/" + runs.Attempt + "/none": {http.StatusNotFound, ""},
	} {
		for _, change := range [][]func(*http.Request){nil, {streamed}} {
			if change != nil && (tt.status == http.StatusOK || strings.HasSuffix(path, "/log")) {
				continue // its stream begins
			}
			s.as(ann)
			s.log.take()
			got := s.get(path, change...)
			if got.status != tt.status || !strings.Contains(got.body, tt.says) || strings.Contains(got.body, cause) {
				t.Errorf("%s: %d\n%s", path, got.status, got.body)
			}
			if said := s.log.take(); tt.says != "" && strings.Count(said, cause) != 1 {
				t.Errorf("%s: the log has %q", path, said)
			}
			if change == nil && tt.says != "" {
				s.server.Identify = nil
				if got := s.get(path); got.status != tt.status || !strings.Contains(got.body, cause) {
					t.Errorf("%s on one's own machine: %d\n%s", path, got.status, got.body)
				}
				s.identified()
			}
		}
	}
}

// Without the address of the call, an error has its cause in sight.
func TestBrief(t *testing.T) {
	const address = "http://127.0.0.1:9/storage/v1/b/state/o?alt=json&delimiter=%2F&pageToken=x"
	err := fmt.Errorf("list gs://state: %w", &url.Error{Op: "Get", URL: address, Err: errors.New("connection refused")})
	if got := brief(err); got != "list gs://state: 127.0.0.1:9: connection refused" {
		t.Errorf("%q", got)
	}
}

// A page that panics is answered, also where it is made by several goroutines, and so is its stream. The log says where,
// and the next request is served.
func TestPanic(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/")
	var broken atomic.Bool
	s.store.Before = func(storagetest.Call) error {
		if broken.Load() {
			panic("a bug")
		}
		return nil
	}
	for _, path := range []string{"/", "/?job=x", "/attempts/" + r.Attempt, "/attempts/" + r.Attempt + "/job", "/installation"} {
		for _, change := range [][]func(*http.Request){nil, {streamed}} {
			s.log.take()
			broken.Store(true)
			got := s.get(path, change...)
			if got.status != http.StatusBadGateway || !strings.Contains(got.body, "this page broke") {
				t.Errorf("%s: %d\n%s", path, got.status, got.body)
			}
			if said := s.log.take(); strings.Count(said, "a bug") != 1 || !strings.Contains(said, "console.safely") {
				t.Errorf("%s: the log has %s", path, said)
			}
			broken.Store(false)
			if got := s.get("/"); got.status != http.StatusOK {
				t.Errorf("after %s: %d", path, got.status)
			}
		}
	}
}

// A panic in a later look of a page leaves those who follow it what they saw, and the next look goes on.
func TestPanicOfLook(t *testing.T) {
	s := newSite(t, nil)
	var begun, panicked atomic.Bool
	s.store.Before = func(storagetest.Call) error {
		if begun.Load() && panicked.CompareAndSwap(false, true) {
			panic("a bug")
		}
		return nil
	}
	f := s.follow("/", "")
	if e, _ := f.next(); e.id == "" {
		t.Fatalf("%+v", e)
	}
	begun.Store(true)
	for !panicked.Load() {
		time.Sleep(time.Millisecond)
	}
	s.drop("a/")
	if e, ok := f.next(); !ok || !strings.Contains(e.data, "a/") {
		t.Errorf("%t %+v", ok, e)
	}
}

// The policy is read once in a while, whoever asks.
func TestPolicyIsRead(t *testing.T) {
	s, _ := shown(t)
	s.as(ann)
	reads, read := 0, s.server.policy.read
	s.server.policy.read = func(ctx context.Context) (policy.Policy, error) {
		reads++
		return read(ctx)
	}
	for range 20 {
		s.get("/static/none")
		s.get("/attempts/x")
	}
	if reads != 1 {
		t.Errorf("%d reads", reads)
	}
	s.mu.Lock()
	s.clock = s.clock.Add(policyLasts - time.Second)
	s.rules = rulesOf(t, "viewers: [{members: ['user:bob@example.com'], prefixes: ['**']}]")
	s.mu.Unlock()
	if got := s.get("/"); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}
	s.as(ann)
	if got := s.get("/"); got.status != http.StatusForbidden || reads != 2 {
		t.Errorf("%d after %d reads", got.status, reads)
	}
}
