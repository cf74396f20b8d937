package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// receiver stands for a destination: it takes what comes, or answers with err.
type receiver struct {
	err  error
	told []string
}

func (r *receiver) Send(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
	if r.err == nil {
		r.told = append(r.told, m.Event.Type().Short())
	}
	return nil, r.err
}

// notifyOf returns the use case of Notify on a stack, with destinations by their names.
func notifyOf(t *testing.T, storage *gcs.Client, text string, to map[string]*receiver) *notifier.Notifier {
	t.Helper()
	file, vs := routes.Parse("routes.yaml", []byte(text))
	if file == nil {
		t.Fatal(vs)
	}
	n, err := notifier.New(storage, local.State,
		func(context.Context) (*routes.File, error) { return file, nil },
		func(_ context.Context, _ *routes.File, d routes.Destination) (notifier.Destination, error) {
			return to[d.Name], nil
		},
		notifier.Options{Instance: "local", Now: storage.Now, Nonce: rand.Text, Budget: time.Minute, Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const stackRoutes = `
destinations:
  hook: {webhook: {url: https://ops.example.com/hook, keys: [env://HOOK_KEY]}}
  other: {webhook: {url: https://ops.example.com/other, keys: [env://HOOK_KEY]}}
  busy: {webhook: {url: https://ops.example.com/busy, keys: [env://HOOK_KEY]}}
egress: {hosts: [ops.example.com]}
route:
  to: [hook, other, busy]
  routes:
  - name: nlp
    match: {drops: ['teams/nlp/**']}
`

// What became of an attempt's events is explained, and what was given up is sent again by the next tick after a replay.
func TestNotifyExplainAndReplay(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir())
	storage := r.storage(t)
	dropInto(t, storage, "fails")
	awaitStatus(t, storage, "fails/", string(job.Failed))
	status, _, err := storage.Read(t.Context(), local.Status, "fails/status.json", 0, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	events, err := eventsIn(status)
	if err != nil {
		t.Fatal(err)
	}
	failed := events[0]
	key := failed.Body.Attempt
	r.env["JOBDROP_ROUTES"] = "gs://" + local.State + "/routes.yaml"
	put := func(text string) {
		t.Helper()
		_, err := storage.Write(
			t.Context(), local.State, "routes.yaml", []byte(text), "application/yaml", nil, attempt.AnyGeneration)
		if err != nil {
			t.Fatal(err)
		}
	}
	explain := func(want ...string) {
		t.Helper()
		out, code := r.jobdropWith(t, "notify", "explain", key)
		if code != exitSucceeded {
			t.Fatalf("exit %d: %s", code, out)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%q is not in\n%s", w, out)
			}
		}
		t.Log("\n" + out)
		for line := range strings.Lines(out) {
			if len(line) > tableWidth+1 {
				t.Errorf("a line of %d characters: %s", len(line), line)
			}
		}
	}

	// Without routes, and before Notify was started.
	explain("Nobody was told.", "The routes can't be asked: routes: ")
	put("route: {}")
	explain("Nobody was told.", "The routes can't be asked: gs://jobdrop-state/routes.yaml is not valid")
	put(stackRoutes)
	explain("not told", "Notify has not been woken yet", "its newest event, job.failed",
		"takes      default: tells hook, other, busy\n",
		"declines     nlp: match.drops wants teams/nlp/**; the event has fails/\n")

	to := map[string]*receiver{
		"hook": {}, "other": {err: delivery.Never(errors.New("the server answered 410 Gone"))},
		"busy": {err: delivery.Later(errors.New("the server answered 503"), time.Hour)},
	}
	n := notifyOf(t, storage, stackRoutes, to)
	if err := n.Notify(t.Context(), failed); err != nil {
		t.Fatal(err)
	}
	explain("sent", "given-up", "the server answered 410 Gone", "waits",
		"tries since ", ": 1; the last one: the server answered\n")

	out, code := r.jobdropWith(t, "notify", "explain", key, "--format", "json")
	var x explanation
	if err := json.Unmarshal([]byte(out), &x); err != nil || code != exitSucceeded {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	outcomes := map[string]string{}
	for _, e := range x.Told {
		outcomes[e.Destination] = e.Outcome
	}
	want := map[string]string{"hook": "sent", "other": "given-up", "busy": "waits"}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}

	// What waits is listed by destination, and found by its folder.
	out, code = r.jobdropWith(t, "notify", "waiting")
	for _, w := range []string{
		"busy\n  gs://jobdrop-inbox/fails/\n    event ", "    next try: 2", "    the server answered 503\n",
		"\nMessages that wait: 1\n",
	} {
		if !strings.Contains(out, w) || code != exitSucceeded {
			t.Errorf("waiting: exit %d: %q is not in\n%s", code, w, out)
		}
	}
	var waiting []waitingMessage
	out, code = r.jobdropWith(t, "notify", "waiting", "--format", "json")
	if err := json.Unmarshal([]byte(out), &waiting); err != nil || code != exitSucceeded || len(waiting) != 1 ||
		waiting[0].Attempt != key || waiting[0].Destination != "busy" || waiting[0].Drop != "gs://jobdrop-inbox/fails/" {
		t.Errorf("waiting: exit %d, %v: %s", code, err, out)
	}
	for _, folder := range []string{"gs://jobdrop-inbox/fails/", "gs://jobdrop-inbox/fails"} {
		out, code := r.jobdropWith(t, "notify", "explain", folder)
		if code != exitSucceeded || !strings.HasPrefix(out, key+"\n") {
			t.Errorf("explain %s: exit %d: %s", folder, code, out)
		}
	}
	out, code = r.jobdropWith(t, "notify", "explain", "gs://jobdrop-inbox/other/")
	if code != exitUsage || !strings.Contains(out, "no attempt of gs://jobdrop-inbox/other/ is known") {
		t.Errorf("explain of another folder: exit %d: %s", code, out)
	}
	// A destination that was taken out is told of at once.
	put(strings.Replace(strings.Replace(stackRoutes, ", busy]", "]", 1), "busy:", "idle:", 1))
	explain("the routes have no destination busy any more: unless it comes back, this is")
	put(stackRoutes)

	replay := func(want string, args ...string) {
		t.Helper()
		out, code := r.jobdropWith(t, append([]string{"notify", "replay"}, args...)...)
		if code != exitSucceeded || !strings.HasSuffix(out, want) {
			t.Errorf("replay %s: exit %d: %s", args, code, out)
		}
	}
	dry, _ := r.jobdropWith(t, "notify", "replay", key, "--dry-run")
	for _, w := range []string{" to other, by route default: it was given up: the server answered 410\n    Gone\n",
		" to busy, by route default: it waited; the last try said: the server\n    answered 503\n"} {
		if !strings.HasPrefix(dry, key+"\n    event ") || !strings.Contains(dry, w) {
			t.Errorf("the dry run says %s, want %q", dry, w)
		}
	}
	replay("Messages that would be sent: 2\n", "--since=1h", "--dry-run")
	to["other"].err, to["busy"].err = nil, nil
	if err := n.Tick(t.Context()); err != nil || len(to["other"].told)+len(to["busy"].told) > 0 {
		t.Fatalf("a tick without a replay: %v, %v, %v", to["other"].told, to["busy"].told, err)
	}
	replay("Messages that the next tick sends: 2\n", key)
	// Another process: the one before keeps in mind how long busy asked to be left alone.
	if err := notifyOf(t, storage, stackRoutes, to).Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"other", "busy"} {
		if diff := cmp.Diff([]string{"job.failed"}, to[name].told); diff != "" {
			t.Errorf("%s is told after the replay (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"job.failed"}, to["hook"].told); diff != "" {
		t.Errorf("told that was told before (-want +got):\n%s", diff)
	}
	replay("Messages that the next tick sends: 0\n", "--since=24h")
	if out, code := r.jobdropWith(t, "notify", "waiting"); code != exitSucceeded || out != "Messages that wait: 0\n" {
		t.Errorf("waiting: exit %d: %s", code, out)
	}

	// An attempt of before Notify's first start, and one that nobody knows.
	old := failed
	old.CloudEvent.SetTime(time.Now().Add(-240 * time.Hour))
	if why := untold(old, time.Now()); !strings.Contains(why, "before Notify was first started") {
		t.Errorf("why an old event was not told: %s", why)
	}
	none := strings.Repeat("0", 40) + "-1"
	out, code = r.jobdropWith(t, "notify", "explain", none)
	if code != exitUsage || !strings.Contains(out, "no attempt "+none) {
		t.Errorf("an unknown attempt: exit %d: %s", code, out)
	}
}
