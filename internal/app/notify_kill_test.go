package app

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/testing/deliverytest"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
)

// errKilled is what a process that is dead gets from its calls.
var errKilled = errors.New("the process was killed")

// mortal is a process that dies at one of its calls, of the storage or of a destination, before or after its effect.
type mortal struct {
	mu          sync.Mutex
	calls, kill int
	after, dead bool
}

// before is called before a call, later after its effect. Both return an error if the process is dead.
func (m *mortal) before() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	dead := m.dead
	m.dead = m.dead || m.calls == m.kill
	if dead || m.dead && !m.after {
		return errKilled
	}
	return nil
}

func (m *mortal) later() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errKilled
	}
	return nil
}

// wire hands requests to servers by their host.
type wire struct {
	m       *mortal
	servers map[string]http.Handler
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := w.m.before(); err != nil {
		return nil, err
	}
	answer := httptest.NewRecorder()
	w.servers[r.URL.Host].ServeHTTP(answer, r)
	if err := w.m.later(); err != nil {
		return nil, err
	}
	response := answer.Result()
	response.Request = r
	return response, nil
}

// Whatever call the function is killed at, of the storage or of a destination: nothing is lost, and what is told twice has
// its own key, by which a receiver knows it. Slack is told once too often at most, and not at all where the bot may read
// the channel.
func TestKilledWhileTelling(t *testing.T) {
	for _, scopes := range [][]string{{"chat:write", "channels:history"}, {"chat:write"}} {
		t.Run(strings.Join(scopes, " "), func(t *testing.T) {
			kills := 0
			for _, after := range []bool{false, true} {
				for kill := 1; ; kill++ {
					if !tellAndKill(t, scopes, kill, after) {
						break
					}
					kills++
				}
			}
			if kills < 60 {
				t.Errorf("only %d kills", kills)
			}
		})
	}
}

// tellAndKill tells of a failure and of the success after it, and kills the function once. It reports whether there was
// a call to kill it at.
func tellAndKill(t *testing.T, scopes []string, kill int, after bool) (killed bool) {
	t.Helper()
	key := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	slack, hook := receivers.NewSlack("xoxb-1", "C0123456789"), receivers.NewWebhook(key)
	pager := receivers.NewPagerDuty(strings.Repeat("a", 32))
	slack.Scopes(scopes...)
	file, vs := routes.Parse("routes.yaml", []byte(`
destinations:
  team: {slack: {token: env://TOKEN, channel: C0123456789, url: http://127.0.0.1:1}}
  hook: {webhook: {url: http://127.0.0.1:2/hook, keys: [env://KEY]}}
  pager: {pagerduty: {routingKey: env://PAGER, url: http://127.0.0.1:3}}
egress: {networks: [127.0.0.0/8]}
route: {to: [team, hook, pager]}
`))
	if file == nil {
		t.Fatal(vs)
	}
	secret := func(r routes.Reference) destination.Secret {
		return destination.Value(map[routes.Reference]string{
			"env://TOKEN": "xoxb-1", "env://KEY": key, "env://PAGER": strings.Repeat("a", 32),
		}[r])
	}
	client, _ := storagetest.New(t, "state")
	process := &mortal{kill: kill, after: after}
	records := &storagetest.Faults{
		Client: client,
		Before: func(storagetest.Call) error { return process.before() },
		After:  func(storagetest.Call) error { return process.later() },
	}
	failed := deliverytest.Event(t, "job.failed")
	succeeded := nextAttempt(t, failed, deliverytest.Event(t, "job.succeeded"))
	clock := failed.Time()
	slack.At(clock.Unix())
	start := func() *notifier.Notifier {
		process.dead = false
		transport := wire{process, map[string]http.Handler{"127.0.0.1:1": slack, "127.0.0.1:2": hook, "127.0.0.1:3": pager}}
		o := Outward{
			Guard:  destination.NewGuard(destination.Egress(file.Egress()), destination.GuardOptions{}),
			Client: &http.Client{Transport: transport}, Secret: secret, Now: time.Now, // by which receivers check signatures
		}
		nonce := 0
		n, err := notifier.New(records, "state",
			func(context.Context) (*routes.File, error) { return file, nil },
			func(_ context.Context, _ *routes.File, d routes.Destination) (notifier.Destination, error) {
				return o.Destination(d)
			},
			notifier.Options{
				Instance: "prod", Now: func() time.Time { return clock }, Budget: time.Minute, Parallel: 1,
				Nonce: func() string { nonce++; return fmt.Sprint(process.calls, "-", nonce) },
			})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := start()
	revive := func(err error) {
		t.Helper()
		if !process.dead {
			t.Fatalf("kill %d, after %t: %v", kill, after, err)
		}
		killed, process.kill = true, 0
		n = start()
	}
	for _, e := range []notice.Event{failed, succeeded} {
		for {
			err := n.Notify(t.Context(), e)
			if err == nil {
				break
			}
			revive(err)
			clock = clock.Add(5 * time.Second)
		}
		clock = clock.Add(time.Second)
	}
	for range 6 {
		clock = clock.Add(time.Minute)
		slack.At(clock.Unix())
		if err := n.Tick(t.Context()); err != nil {
			revive(err)
		}
	}
	at := fmt.Sprintf("kill %d, after %t", kill, after)
	ids := map[string]int{}
	for _, r := range hook.Requests() {
		ids[r.ID]++
	}
	if ids[failed.ID()+".default.hook"] == 0 || ids[succeeded.ID()+".default.hook"] == 0 || len(ids) != 2 || len(hook.Requests()) > 3 {
		t.Errorf("%s: the program has %v", at, ids)
	}
	if alerts := pager.Alerts(); len(alerts) != 1 || alerts[0].Open {
		t.Errorf("%s: alerts %+v", at, alerts)
	}
	posts, outcomes := slack.Messages(), map[string]int{}
	for _, m := range posts {
		outcomes[m.Payload["id"]]++
	}
	most := 3 // a thread of two outcomes: the first message and the replies
	if len(scopes) == 1 && killed {
		most++
	}
	if len(posts) > most || len(posts) < 2 || !strings.Contains(posts[0].Text, "succeeded") && len(scopes) == 2 {
		t.Errorf("%s: Slack has %d messages: %+v", at, len(posts), outcomes)
	}
	return killed
}

// nextAttempt returns an event as that of the next attempt of an earlier one's folder, a minute later.
func nextAttempt(t *testing.T, earlier, e notice.Event) notice.Event {
	t.Helper()
	e.Body.Attempt = fmt.Sprintf("%s-%d", earlier.Folder, earlier.Generation+1)
	c := e.CloudEvent.Clone()
	c.SetID(fmt.Sprintf("%s-%d", e.Body.Attempt, e.Body.Sequence))
	c.SetTime(earlier.Time().Add(time.Minute))
	if err := c.SetData("application/json", e.Body); err != nil {
		t.Fatal(err)
	}
	next, err := notice.Decode(c)
	if err != nil {
		t.Fatal(err)
	}
	return next
}
