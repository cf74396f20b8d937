package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const eventsDir = "../../docs/events"

func TestParseNotifyValidate(t *testing.T) {
	testParsing(t, newNotifyValidate, []parsing[filesOptions]{
		{name: "defaults", args: []string{"r"}, want: filesOptions{paths: []string{"r"}, format: formatText}},
		{name: "several", args: []string{"r", "s", "--format=sarif"},
			want: filesOptions{paths: []string{"r", "s"}, format: formatSARIF}},
		{name: "none", err: "ROUTES is missing: validate ROUTES…"},
		{name: "format", args: []string{"r", "--format=yaml"},
			err: `--format is "yaml", must be text, json, sarif or github`},
	})
}

func TestParseNotifyTest(t *testing.T) {
	testParsing(t, newNotifyTest, []parsing[notifyTestOptions]{
		{name: "defaults", args: []string{"r", "e"},
			want: notifyTestOptions{routes: "r", events: []string{"e"}, format: formatText}},
		{name: "all", args: []string{"r", "e", "-", "--send", "--format", "json"},
			want: notifyTestOptions{routes: "r", events: []string{"e", "-"}, send: true, format: formatJSON}},
		{name: "bytes", args: []string{"r", "e", "--bytes"},
			want: notifyTestOptions{routes: "r", events: []string{"e"}, bytes: true, format: formatText}},
		{name: "no event", args: []string{"r"}, err: "EVENT is missing: test ROUTES EVENT…"},
		{name: "format", args: []string{"r", "e", "--format=sarif"}, err: `--format is "sarif", must be text or json`},
	})
}

// someAttempt is an attempt's name.
const someAttempt = "468994d0b7bf057f595f5f6a2600fb09492933d3-1795442400381000"

func TestParseNotifyExplain(t *testing.T) {
	testParsing(t, newNotifyExplain, []parsing[notifyExplainOptions]{
		{name: "defaults", args: []string{someAttempt}, want: notifyExplainOptions{attempt: someAttempt, format: formatText}},
		{name: "json", args: []string{someAttempt, "--format=json"},
			want: notifyExplainOptions{attempt: someAttempt, format: formatJSON}},
		{name: "nothing", err: "ATTEMPT is missing: explain ATTEMPT"},
		{name: "a job", args: []string{"census_20261123"}, err: `"census_20261123" is not an attempt`},
		{name: "a path", args: []string{"../" + someAttempt}, err: "is not an attempt"},
		{name: "how to find one", args: []string{"nosuch"}, err: "gcloud storage cat gs://STATUS/FOLDER/status.json"},
		{name: "a folder", args: []string{"gs://in/census/"},
			want: notifyExplainOptions{attempt: "gs://in/census/", format: formatText}},
		{name: "no folder", args: []string{"gs:///"}, err: "is not an attempt"},
		{name: "format", args: []string{someAttempt, "--format=x"}, err: `--format is "x", must be text or json`},
	})
}

func TestParseNotifyWaiting(t *testing.T) {
	testParsing(t, newNotifyWaiting, []parsing[notifyWaitingOptions]{
		{name: "defaults", want: notifyWaitingOptions{format: formatText}},
		{name: "json", args: []string{"--format=json"}, want: notifyWaitingOptions{format: formatJSON}},
		{name: "format", args: []string{"--format=x"}, err: `--format is "x", must be text or json`},
	})
}

func TestParseNotifyReplay(t *testing.T) {
	testParsing(t, newNotifyReplay, []parsing[notifyReplayOptions]{
		{name: "attempts", args: []string{someAttempt, someAttempt, "--dry-run"},
			want: notifyReplayOptions{attempts: []string{someAttempt, someAttempt}, dryRun: true}},
		{name: "since", args: []string{"--since=36h"},
			want: notifyReplayOptions{attempts: []string{}, since: 36 * time.Hour}},
		{name: "nothing", err: "name attempts, or a time with --since"},
		{name: "both", args: []string{someAttempt, "--since=1h"}, err: "attempts and --since exclude each other"},
		{name: "no time", args: []string{"--since=0s"}, err: "--since must be more than 0"},
		{name: "ahead", args: []string{"--since=-1h"}, err: "--since must be more than 0"},
		{name: "not a time", args: []string{"--since=yesterday"}, err: "invalid argument"},
		{name: "days", args: []string{"--since=2d"}, err: "there is no unit d: write 48h"},
		{name: "a folder", args: []string{"teams/nlp/"}, err: `"teams/nlp/" is not an attempt`},
	})
}

// Each documented event is shown as each destination would be sent it.
func TestNotifyTestGolden(t *testing.T) {
	paths, err := filepath.Glob(eventsDir + "/*.v1.json")
	if err != nil || len(paths) < 15 {
		t.Fatalf("%d events, %v", len(paths), err)
	}
	t.Setenv("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/secret-of-the-environment")
	t.Setenv("SMTP_PASSWORD", "secret-of-the-environment")
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".v1.json")
		t.Run(name, func(t *testing.T) {
			got := run(t, "notify", "test", "testdata/notify/routes.yaml", path, "--bytes")
			if got.code != exitSucceeded || got.stderr != "" {
				t.Fatalf("exit %d: %s", got.code, got.stderr)
			}
			golden(t, "notify/"+name, got.stdout)
			if strings.Contains(got.stdout, "secret-of-the-environment") {
				t.Error("a secret is shown")
			}
			for line := range strings.Lines(got.stdout) {
				if strings.HasPrefix(line, "---") {
					break // bytes follow
				}
				if len(line) > tableWidth+1 {
					t.Errorf("a line of %d characters: %s", len(line), line)
				}
			}
		})
	}
}

// Without --bytes each event is shown as people read it, in 80 columns but for what is to be copied.
func TestNotifyTestWords(t *testing.T) {
	args := append([]string{"notify", "test", "testdata/notify/routes.yaml"}, exampleTypes()...)
	got := run(t, args...)
	if got.code != exitSucceeded || got.stderr != "" {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	golden(t, "notify/words", got.stdout)
	for line := range strings.Lines(got.stdout) {
		copied := strings.HasPrefix(line, "      ") || strings.Contains(line, ": http")
		if len([]rune(line)) > tableWidth+1 && !copied {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

// The examples are the documented events.
func TestExamples(t *testing.T) {
	paths, err := filepath.Glob(eventsDir + "/*.v1.json")
	if err != nil || len(paths) != len(exampleTypes()) {
		t.Fatalf("%d documented events, %d examples, %v", len(paths), len(exampleTypes()), err)
	}
	for _, path := range paths {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := "examples/" + filepath.Base(path)
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got, err := examples.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not docs/events/%s: go test -run TestExamples -update, %v", name, filepath.Base(path), err)
		}
	}
	got := run(t, "notify", "test", "testdata/notify/routes.yaml", "job.faild")
	if got.code != exitUsage || !strings.Contains(got.stderr, "no such file") ||
		!strings.Contains(got.stderr, "job.failed, ") {
		t.Errorf("a wrong name: exit %d: %s", got.code, got.stderr)
	}
}

// What the routes file says of a destination that can't be made is wrong usage.
func TestNotifyTestRefusesADestination(t *testing.T) {
	file := filepath.Join(t.TempDir(), "routes.yaml")
	text := `
destinations:
  mail: {email: {server: 'mx.example.com:25', tls: none, from: a@example.com, to: [b@example.com]}}
egress: {hosts: [mx.example.com]}
route: {to: [mail]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, "notify", "test", file, "job.failed"); got.code != exitUsage {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
}

// A first expression that fails counts as one that holds, and an empty list of destinations tells nobody.
func TestDecidedBy(t *testing.T) {
	for _, test := range []struct {
		d    routes.Decision
		want string
	}{
		{routes.Decision{
			Outcome: routes.Takes, Field: "when", Wanted: `"1 / 0 > 1"`, Because: "division by zero", To: []string{"team"},
		}, "its expression failed, so it counts as one that holds: division by zero (1 / 0 > 1); tells team"},
		{routes.Decision{Outcome: routes.PassesOn, Field: "when", Wanted: "a", Because: "no"},
			"its expression failed, so it counts as one that holds: no (a); a route below it took the event"},
		{routes.Decision{Outcome: routes.Declines, Field: "when", Wanted: "ran > timeoutLimit", Found: "false"},
			"when is false: ran > timeoutLimit"},
		{routes.Decision{Outcome: routes.Takes}, "tells nobody"},
		{routes.Decision{Outcome: routes.Takes, Not: []string{"mail"}}, "without match.types such events are not for mail"},
		{routes.Decision{Outcome: routes.PassesOn}, "a route below it took the event"},
		{routes.Decision{Outcome: routes.NotAsked, Because: "the route above did not match"},
			"the route above did not match"},
	} {
		if got := decidedBy(test.d); got != test.want {
			t.Errorf("%+v: %q, want %q", test.d, got, test.want)
		}
	}
}

// With --format json the bytes are those that are sent, and not only look like them.
func TestNotifyTestBytes(t *testing.T) {
	got := run(t, "notify", "test", "testdata/notify/routes.yaml", eventsDir+"/job.failed.v1.json", "--format", "json")
	var all []routing
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil || len(all) != 1 || got.code != exitSucceeded {
		t.Fatalf("exit %d, %v: %s%s", got.code, err, got.stdout, got.stderr)
	}
	requests := map[string][]request{}
	for _, m := range all[0].Messages {
		requests[m.Destination] = m.Requests
		if m.Destination == "mail" && (len(m.Mails) != 2 ||
			!strings.Contains(m.Mails[1].Data, "\r\nTo: <ci@acme.example>\r\n")) {
			t.Errorf("mails %+v", m.Mails)
		}
	}
	for _, name := range []string{"team", "room", "hook", "pager"} {
		if len(requests[name]) != 1 {
			t.Fatalf("%s has %d requests", name, len(requests[name]))
		}
	}
	text, err := os.ReadFile(eventsDir + "/job.failed.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Data json.RawMessage }
	var sent struct{ Data json.RawMessage }
	var data bytes.Buffer
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&data, want.Data); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(requests["hook"][0].Body), &sent); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(data.String(), string(sent.Data)); diff != "" {
		t.Errorf("the webhook's data (-want +got):\n%s", diff)
	}
}

// Each form of an event is the same event.
func TestEventForms(t *testing.T) {
	documented, err := os.ReadFile(eventsDir + "/job.failed.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := eventsIn(documented)
	if err != nil || len(want) != 1 || want[0].Type().Short() != "job.failed" {
		t.Fatalf("%v, %v", want, err)
	}
	structured, err := json.Marshal(want[0].CloudEvent)
	if err != nil {
		t.Fatal(err)
	}
	var message map[string]any
	if err := json.Unmarshal(documented, &message); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(message["data"])
	if err != nil {
		t.Fatal(err)
	}
	message["data"] = base64.StdEncoding.EncodeToString(want[0].CloudEvent.Data())
	pushed, err := json.Marshal(map[string]any{"message": message, "subscription": "s"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text   string
		events int
	}{
		"structured": {string(structured), 1},
		"pushed":     {string(pushed), 1},
		"pulled":     {"[" + string(pushed) + "," + string(pushed) + "]", 2},
		"lines":      {string(structured) + "\n" + string(documented), 2},
		"body":       {string(body), 1},
	} {
		got, err := eventsIn([]byte(test.text))
		if err != nil || len(got) != test.events {
			t.Errorf("%s: %d events, %v", name, len(got), err)
		}
		for _, e := range got {
			if diff := cmp.Diff(want[0].Body, e.Body); diff != "" || e.Type() != want[0].Type() || e.ID() != want[0].ID() ||
				!e.Time().Equal(want[0].Time()) || e.Folder != want[0].Folder || e.Generation != want[0].Generation {
				t.Errorf("%s: %s %s (-want +got):\n%s", name, e.Type(), e.ID(), diff)
			}
		}
	}
	status, err := os.ReadFile(eventsDir + "/status-misnamed.json")
	if err != nil {
		t.Fatal(err)
	}
	misnamed := string(status)
	for text, want := range map[string]string{
		"":                                   "there is no event",
		"{":                                  "unexpected EOF",
		"[]":                                 "there is no event",
		"{}":                                 "neither a CloudEvent nor a message nor an event's body",
		`"x"`:                                "cannot unmarshal string",
		`{"attempt": "` + someAttempt + `"}`: "the body has no history",
		`{"attributes": {}, "data": ""}`:     "data: ",
		misnamed:                             "a folder that has had no event yet: The folder has packages and no job file",
		strings.Replace(string(structured), someAttempt, "a", -1): `"a" is not an attempt`,
	} {
		if got, err := eventsIn([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzEvents(f *testing.F) {
	paths, err := filepath.Glob(eventsDir + "/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"message": {"attributes": {"ce-specversion": "1.0"}, "data": "e30="}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, err := eventsIn(data)
		for _, e := range events {
			if err == nil && (e.Folder == "" || e.Kind() == notice.Heartbeat) {
				t.Errorf("an event without an attempt: %+v", e)
			}
		}
	})
}

// --send sends, in a conversation of its own, and says which destination did not take it, without a word of
// its URL.
func TestNotifyTestSends(t *testing.T) {
	const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	hook, err := standardwebhooks.NewWebhook(key)
	if err != nil {
		t.Fatal(err)
	}
	var ids, events []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		if _, err := body.ReadFrom(r.Body); err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/down" {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		ids = append(ids, r.Header.Get("webhook-id"))
		var e struct{ ID string }
		if err := json.Unmarshal(body.Bytes(), &e); err != nil {
			t.Error(err)
		}
		events = append(events, e.ID)
		if err := hook.Verify(body.Bytes(), r.Header); err != nil {
			t.Errorf("the signature: %v", err)
		}
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "routes.yaml")
	write := func(to string) {
		t.Helper()
		text := `
destinations:
  up: {webhook: {url: ` + server.URL + `/up, keys: [env://TEST_HOOK_KEY]}}
  down: {webhook: {url: 'env://TEST_DOWN_URL', keys: [env://TEST_HOOK_KEY]}}
egress: {networks: [127.0.0.0/8]}
route: {to: ` + to + `}
`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TEST_HOOK_KEY", key)
	t.Setenv("TEST_DOWN_URL", server.URL+"/down?token=abc")
	event := eventsDir + "/job.failed.v1.json"

	write("[up]")
	if got := run(t, "notify", "test", file, event); got.code != exitSucceeded || len(ids) > 0 {
		t.Fatalf("without --send: exit %d, sent %v: %s", got.code, ids, got.stderr)
	}
	got := run(t, "notify", "test", file, event, "--send")
	if got.code != exitSucceeded || len(ids) != 1 || !strings.Contains(got.stdout, "\n  SENT\n\n    TEST: ") {
		t.Fatalf("exit %d, sent %v: %s%s", got.code, ids, got.stdout, got.stderr)
	}
	write("[down, up]")
	got = run(t, "notify", "test", file, event, "--send")
	if got.code != exitFault || len(ids) != 2 || !strings.Contains(got.stdout, "\n  NOT SENT: webhook: ") ||
		!strings.Contains(got.stdout, "\n  SENT\n") || got.stderr != "jobdrop: not sent: 1 of 2 messages\n" {
		t.Errorf("exit %d, sent %v: %s%s", got.code, ids, got.stdout, got.stderr)
	}
	// No receiver takes the one for the other, nor for the event itself.
	for _, of := range [][]string{ids, events} {
		if of[0] == of[1] || !strings.Contains(of[0], ".test-") || !strings.Contains(of[1], ".test-") {
			t.Errorf("the IDs of two tests are %q", of)
		}
	}
	if all := got.stdout + got.stderr; strings.Contains(all, "token=abc") || strings.Contains(all, key) {
		t.Errorf("a secret is shown:\n%s", all)
	}
	// The guard is the function's.
	t.Setenv("TEST_DOWN_URL", "https://169.254.169.254/computeMetadata/v1/")
	got = run(t, "notify", "test", file, event, "--send")
	if got.code != exitFault || !strings.Contains(got.stdout, "is not a host that egress allows") {
		t.Errorf("exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
	t.Setenv("TEST_HOOK_KEY", "")
	got = run(t, "notify", "test", file, event, "--send")
	if got.code != exitFault || !strings.Contains(got.stdout, "env://TEST_HOOK_KEY: the variable is not set") {
		t.Errorf("exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
}

// What is sent by hand opens and resolves no incident of the installation's. It opens one of its own, and resolves it.
func TestNotifyTestSendsInAConversationOfItsOwn(t *testing.T) {
	dedupKey := regexp.MustCompile(`"dedup_key": ?"([0-9a-f]{64})"`)
	key := strings.Repeat("0", 32)
	service := receivers.NewPagerDuty(key)
	server := httptest.NewServer(service)
	defer server.Close()
	t.Setenv("TEST_ROUTING_KEY", key)
	file := filepath.Join(t.TempDir(), "routes.yaml")
	text := `
destinations:
  pager: {pagerduty: {routingKey: env://TEST_ROUTING_KEY, url: '` + server.URL + `'}}
egress: {networks: [127.0.0.0/8]}
route: {to: [pager]}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := dedupKey.FindStringSubmatch(run(t, "notify", "test", file, "job.failed", "--bytes").stdout)
	got := run(t, "notify", "test", file, "job.failed", "--send")
	sent := service.Events()
	if got.code != exitSucceeded || shown == nil || len(sent) != 2 {
		t.Fatalf("exit %d: shown is %v, sent %+v: %s", got.code, shown, sent, got.stderr)
	}
	opened, resolved := sent[0], sent[1]
	if opened.Action != "trigger" || !strings.HasPrefix(opened.Payload.Summary, "TEST: ") ||
		resolved.Action != "resolve" ||
		opened.DedupKey != resolved.DedupKey || opened.DedupKey == shown[1] {
		t.Errorf("sent %+v, %+v, of the event itself %s", opened, resolved, shown[1])
	}
	// What opens nothing is told once, as it is.
	got = run(t, "notify", "test", file, "job.cancelled", "--send")
	if got.code != exitSucceeded || len(service.Events()) != 2 ||
		!strings.Contains(got.stdout, "\n  Nothing is sent of such an event.\n") {
		t.Errorf("exit %d, sent %+v: %s%s", got.code, service.Events()[2:], got.stdout, got.stderr)
	}
}

// What a record says of an attempt is told event by event, in 80 columns.
func TestExplanation(t *testing.T) {
	at := time.Date(2026, 11, 23, 14, 7, 3, 0, time.UTC)
	x := explanation{Attempt: someAttempt, Told: toldOf(notifier.Account{
		Route: "nlp-failures", Destination: "team", Through: 4,
		Told: []delivery.Told{
			{Sequence: 5, Type: string(job.DropRejected), At: at, How: delivery.Counted,
				Note: "the same was told at 2026-11-23T13:38:26Z " + strings.Repeat("the same ", 16) + "the same"},
			{Sequence: 6, Type: string(job.JobTimedOut), At: at, How: delivery.GaveUp, Note: "\x1b[31mthe server\nanswered 410"},
		},
		Pending: []delivery.Intent{{Sequence: 7, Since: at, Next: at.Add(time.Minute), Tries: 3, Error: "no answer in time"}},
	})}
	for _, test := range []struct {
		route    string
		sequence int64
		want     bool
	}{
		{"nlp-failures", 3, true}, {"nlp-failures", 6, true}, {"nlp-failures", 7, true}, {"nlp-failures", 8, false},
		{"other", 6, false},
	} {
		if got := x.knows(test.route, "team", test.sequence); got != test.want {
			t.Errorf("event %d of %s is known: %t", test.sequence, test.route, got)
		}
	}
	var out bytes.Buffer
	if err := x.writeText(&out); err != nil {
		t.Fatal(err)
	}
	want := someAttempt + `

DESTINATION  ROUTE         EVENT            OUTCOME   AT
team         nlp-failures  4                told      -
    all events up to this one
team         nlp-failures  5 drop.rejected  counted   2026-11-23 14:07:03 UTC
    the same was told at 2026-11-23 13:38:26 UTC the same the same the same the
    same the same the same the same the same the same the same the same the same
    the same the same the same the same the same
team         nlp-failures  6 job.timed_out  given-up  2026-11-23 14:07:03 UTC
    �[31mthe server�answered 410
team         nlp-failures  7                waits     2026-11-23 14:08:03 UTC
    tries since 2026-11-23 14:07:03 UTC: 3; the last one: no answer in time

Its record is not there, or has no event yet: the routes can't be asked about
it.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// What waits is listed by destination, the error below it.
func TestWriteWaiting(t *testing.T) {
	at := time.Date(2026, 11, 23, 14, 7, 3, 0, time.UTC)
	var out bytes.Buffer
	err := writeWaiting(&out, []waitingMessage{
		{Destination: "mail", Route: "default", Drop: "gs://in/a/", Attempt: someAttempt, Sequence: 7, Since: at},
		{
			Destination: "prog", Route: "all", Attempt: someAttempt, Sequence: 7, Since: at, Next: at.Add(time.Minute),
			Error: "no\x1b connection",
		},
		{
			Destination: "prog", Route: "all", Drop: "gs://in/b/", Attempt: someAttempt, Sequence: 8, Since: at,
			Next: at.Add(time.Hour),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `mail
  gs://in/a/
    event 7 of ` + someAttempt + `
    by route default, waits since 2026-11-23 14:07:03 UTC
    next try: at once

prog
  a drop of which there is no record
    event 7 of ` + someAttempt + `
    by route all, waits since 2026-11-23 14:07:03 UTC
    next try: 2026-11-23 14:08:03 UTC
    no� connection
  gs://in/b/
    event 8 of ` + someAttempt + `
    by route all, waits since 2026-11-23 14:07:03 UTC
    next try: 2026-11-23 15:07:03 UTC

Messages that wait: 3
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}
