package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/local"
)

const someRoutes = `destinations:
  room: {slackWebhook: {url: 'env://ROOM_URL'}}
  hook: {webhook: {url: 'https://ops.example.com/jobdrop', keys: ['env://HOOK_KEY', 'env://OLD_KEY']}}
  again: {webhook: {url: 'https://ops.example.com/again', keys: ['env://HOOK_KEY']}}
  mail:
    email: {server: 'smtp.example.com:587', username: u, password: 'env://MAIL_PASSWORD', from: a@example.com, to: [b@example.com]}
  pager: {pagerduty: {routingKey: 'env://PAGER'}}
  team: {slack: {token: 'secret://projects/acme-ml/secrets/slack', channel: C0123456789}}
egress:
  hosts: [ops.example.com, smtp.example.com]
route: # not env://COMMENT
  to: [team, room, hook, again, mail, pager]
`

// The functions get the variables that the routes name, and no others.
func TestRoutesNameTheirEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte(someRoutes), 0o600); err != nil {
		t.Fatal(err)
	}
	o := machineOptions{routes: file}
	all := Env{Out: io.Discard, Err: io.Discard, Getenv: func(name string) string { return "value of " + name }}
	told, err := o.readRoutes(all)
	if err != nil {
		t.Fatal(err)
	}
	var options local.Options
	told.apply(&options, nil)
	want := []string{"HOOK_KEY", "MAIL_PASSWORD", "OLD_KEY", "PAGER", "ROOM_URL"}
	for i, name := range want {
		want[i] = name + "=value of " + name
	}
	if !slices.Equal(options.RoutesEnv, want) || string(options.Routes) != someRoutes {
		t.Errorf("environment %q of routes %q", options.RoutesEnv, options.Routes)
	}
	some := all
	some.Getenv = func(name string) string { return map[string]string{"PAGER": "p", "ROOM_URL": "r"}[name] }
	if _, err := o.readRoutes(some); err == nil ||
		!strings.Contains(err.Error(), "not set: HOOK_KEY, MAIL_PASSWORD, OLD_KEY\n") {
		t.Errorf("variables that are not set: %v", err)
	}
	none := local.Options{}
	told, err = (&machineOptions{}).readRoutes(some)
	if told.apply(&none, nil); err != nil || none.Routes != nil || none.FunctionLogs != nil {
		t.Errorf("without --routes: %v", err)
	}
}

// Both commands show what is wrong in the routes before anything is started.
func TestFaultyRoutesAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte("destinations: {}\nroute: {too: [team]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"local", "--data", t.TempDir(), "--routes", file}, {"run", filepath.Join(dropsDir, "hello"), "--routes", file},
	} {
		if got := run(t, args...); got.code != exitUsage || !strings.Contains(got.stderr, "routes.yaml:2:9") ||
			!strings.Contains(got.stderr, "the routes file") {
			t.Errorf("%s: exit %d: %s", args[0], got.code, got.stderr)
		}
		args[len(args)-1] = file + ".none"
		if got := run(t, args...); got.code != exitUsage || !strings.Contains(got.stderr, "none: no such file") {
			t.Errorf("%s without the file: exit %d: %s", args[0], got.code, got.stderr)
		}
	}
	var shown bytes.Buffer
	_, err := parseRoutes(file, []byte("route: {too: [team]}\n"))
	if err := faulty(piped(&shown), err); err == nil || !strings.Contains(shown.String(), "^") {
		t.Errorf("%v, shown: %s", err, shown.String())
	}
}

// The excerpts of both commands show no value that may be a secret.
func TestFaultyRoutesHideSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "routes.yaml")
	text := "destinations:\n  team: {slack: {token: xoxb-secret, channel: C0123456789}}\nroute: {to: [team]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"local", "--data", t.TempDir(), "--routes", file}, {"run", filepath.Join(dropsDir, "hello"), "--routes", file},
		{"notify", "validate", file}, {"notify", "test", file, eventsDir + "/job.failed.v1.json"},
	} {
		got := run(t, args...)
		if shown := got.stdout + got.stderr; got.code == exitSucceeded || !strings.Contains(shown, "routes.yaml:2:25: ") ||
			strings.Contains(shown, "xoxb-secret") {
			t.Errorf("%s: exit %d: %s", args[:2], got.code, shown)
		}
	}
}

// The routes that docs/local.md shows are valid, and need one variable.
func TestDocumentedRoutes(t *testing.T) {
	doc, err := os.ReadFile("../../docs/local.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(doc), "```yaml\ndestinations:")
	text, _, ok := strings.Cut(text, "```\n")
	file, err := parseRoutes("routes.yaml", []byte("destinations:"+text))
	if !ok || err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"HOOK_KEY"}, variablesOf(file)); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

// hookRoutes are routes to a webhook of this machine, whose key is that of testHookKey.
func hookRoutes(url string) string {
	return fmt.Sprintf(`destinations:
  hook: {webhook: {url: '%s', keys: ['env://JOBDROP_TEST_KEY']}}
egress:
  networks: [127.0.0.0/8]
route:
  to: [hook]
`, url)
}

func testHookKey() string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)) }

// A run tells whom its routes name, and ends only then.
func TestRunTells(t *testing.T) {
	told := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		time.Sleep(500 * time.Millisecond) // longer than the run would take to end
		var e struct{ Type string }
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		told <- e.Type
	}))
	defer hook.Close()
	file := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte(hookRoutes(hook.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JOBDROP_TEST_KEY", testHookKey())
	got := run(t, "run", filepath.Join(dropsDir, "hello"), "--routes", file)
	if got.code != 0 || strings.Contains(got.stderr+got.stdout, "not told") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	select {
	case typ := <-told:
		if typ != "dev.jobdrop.job.succeeded.v1" {
			t.Errorf("told of %s", typ)
		}
	default:
		t.Error("nobody was told")
	}
}

// A run says who was not told, and why.
func TestRunSaysWhoIsNotTold(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"later", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			"not told yet: hook (webhook), of gs://jobdrop-inbox/hello/: "},
		{"never", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) },
			"not told: hook (webhook), of gs://jobdrop-inbox/hello/: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			hook := httptest.NewServer(test.handler)
			defer hook.Close()
			file := filepath.Join(t.TempDir(), "routes.yaml")
			if err := os.WriteFile(file, []byte(hookRoutes(hook.URL)), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("JOBDROP_TEST_KEY", testHookKey())
			got := run(t, "run", filepath.Join(dropsDir, "hello"), "--routes", file)
			if got.code != exitSucceeded || !strings.Contains(got.stdout, "  "+test.want) ||
				!strings.Contains(got.stdout, "  not told: hook (webhook): webhook: answered ") {
				t.Errorf("exit %d: %s%s", got.code, got.stdout, got.stderr)
			}
		})
	}
}

// So does a local stack, as it happens.
func TestLocalSaysWhoIsNotTold(t *testing.T) {
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer hook.Close()
	file := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte(hookRoutes(hook.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JOBDROP_TEST_KEY", testHookKey())
	r := startLocal(t, t.TempDir(), "--routes", file)
	dropInto(t, r.storage(t), "hello")
	r.awaitOutput(t, "not told yet: hook (webhook), of gs://jobdrop-inbox/hello/: webhook: answered 503")
}

// A message that waits is waited for, as long as its next try comes in time.
func TestDueBy(t *testing.T) {
	end := time.Date(2026, 11, 23, 14, 7, 3, 0, time.UTC)
	for name, test := range map[string]struct {
		next time.Time
		want bool
	}{"at once": {time.Time{}, true}, "soon": {end.Add(-time.Second), true}, "too late": {end.Add(time.Second), false}} {
		if got := dueBy([]notifier.Waits{{Next: end}, {Next: test.next}}, end); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// The log of the functions says what was not sent: each message once, however its lines are cut, and again when it was
// sent after all or given up.
func TestUnsentLog(t *testing.T) {
	const log = `no JSON
{"severity":"INFO","message":"message sent","destination":"team","kind":"slack","route":"default","event_id":"a-1"}
{"message":"message not sent","destination":"prog","kind":"webhook","route":"r","event_id":"a-1","drop":"gs://in/a/","error":"no connection","again_in":"30s"}
{"message":"message not sent","destination":"prog","kind":"webhook","route":"r","event_id":"a-1","drop":"gs://in/a/","error":"no connection","again_in":"1m0s"}
{"message":"message not sent","destination":"mail","kind":"email","route":"r","event_id":"a-1","drop":"gs://in/a/","error":"450 later","again_in":"30s"}
{"message":"message sent","destination":"prog","kind":"webhook","route":"r","event_id":"a-1","drop":"gs://in/a/"}
{"message":"message given up","destination":"mail","kind":"email","route":"r","event_id":"a-1","drop":"gs://in/a/","error":"550 no"}
`
	const want = `not told yet: prog (webhook), of gs://in/a/: no connection: the next try is in 30s
not told yet: mail (email), of gs://in/a/: 450 later: the next try is in 30s
told at last: prog (webhook), of gs://in/a/
not told: mail (email), of gs://in/a/: 550 no: it is not tried again
`
	for _, size := range []int{1, 7, len(log)} {
		var next bytes.Buffer
		var said strings.Builder
		u := newUnsentLog(&next, func(format string, args ...any) { fmt.Fprintf(&said, format+"\n", args...) })
		for part := range slices.Chunk([]byte(log), size) {
			if n, err := u.Write(part); err != nil || n != len(part) {
				t.Fatal(n, err)
			}
		}
		if diff := cmp.Diff(want, said.String()); diff != "" || next.String() != log {
			t.Errorf("in parts of %d (-want +got):\n%s", size, diff)
		}
	}
}
