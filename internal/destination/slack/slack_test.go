package slack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/destination/slack"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/testing/deliverytest"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
)

const (
	token   = "xoxb-1234-secret"
	channel = "C0123456789"
)

// room is a bot, the workspace that it writes to, and what the last Send returned.
type room struct {
	*receivers.Slack
	t       *testing.T
	options slack.Options
	bot     *slack.Bot
	receipt delivery.Receipt
}

func newRoom(t *testing.T) *room {
	t.Helper()
	s := receivers.NewSlack(token, channel)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.At(time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC).Unix()) // after the documented events
	guard := destination.NewGuard(
		destination.Egress{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, destination.GuardOptions{})
	o := slack.Options{
		Client: guard.Client(), Token: destination.Value(token), Channel: channel, BaseURL: server.URL,
	}
	bot, err := slack.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &room{Slack: s, t: t, options: o, bot: bot}
}

// send sends a message with the receipt of the last one.
func (r *room) send(m delivery.Message) error {
	r.t.Helper()
	m.Receipt = r.receipt
	receipt, err := r.bot.Send(r.t.Context(), m)
	if len(receipt) > delivery.MaxReceipt {
		r.t.Errorf("the receipt has %d bytes", len(receipt))
	}
	r.receipt = receipt
	return err
}

func (r *room) mustSend(m delivery.Message) {
	r.t.Helper()
	if err := r.send(m); err != nil {
		r.t.Fatal(err)
	}
}

// shown returns what the channel holds, a line for each message: state or news, what of, and how.
func (r *room) shown() []string {
	var all []string
	for _, m := range r.Messages() {
		kind := strings.TrimPrefix(m.Type, "jobdrop_")
		if m.Deleted {
			kind += " deleted"
		}
		if m.ThreadTS != "" {
			kind += " in the thread"
		}
		if m.Broadcast {
			kind += " and the channel"
		}
		title, _, _ := strings.Cut(m.Text, "\n")
		_, state, _ := strings.Cut(title, " is ")
		all = append(all, kind+": "+state)
	}
	return all
}

func (r *room) wantShown(want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.shown()); diff != "" {
		r.t.Errorf("the channel shows (-want +got):\n%s", diff)
	}
}

// attempt returns a message of an event as it would be at that place in a folder's history.
func attempt(t *testing.T, name string, generation, sequence int64) delivery.Message {
	m := deliverytest.Of(deliverytest.At(deliverytest.Event(t, name), generation, sequence))
	m.ID = fmt.Sprintf("%d-%d/default/team", generation, sequence)
	m.Conversation = "folder/default/team"
	return m
}

func TestThread(t *testing.T) {
	r := newRoom(t)
	r.mustSend(attempt(t, "drop.accepted", 1, 1))
	r.wantShown("state: accepted")
	r.mustSend(attempt(t, "job.running", 1, 2))
	r.wantShown("state: running")
	r.mustSend(attempt(t, "job.delayed", 1, 3))
	r.wantShown("state: preparing", "news in the thread: preparing")
	r.mustSend(attempt(t, "job.failed", 1, 4))
	r.wantShown("state: failed", "news in the thread: preparing", "news in the thread and the channel: failed")
	r.mustSend(attempt(t, "job.succeeded", 2, 5))
	r.wantShown("state: succeeded", "news in the thread: preparing", "news in the thread and the channel: failed",
		"news in the thread: succeeded")
	for _, m := range r.Messages() {
		if want := m.ThreadTS != ""; slices.Equal(m.Calls, []string{"U0123ABCD"}) != want {
			t.Errorf("%s %q calls %v", m.Type, m.Text, m.Calls)
		}
	}
}

// What begins a thread is told by its first message: a reply would say it once more.
func TestThreadThatBeginsWithAFailure(t *testing.T) {
	r := newRoom(t)
	m := attempt(t, "drop.rejected", 1, 1)
	r.mustSend(m)
	r.mustSend(m)
	r.wantShown("state: rejected")
	first := r.Messages()[0]
	step := m.Text.Next[0].Command
	if !slices.Equal(first.Calls, []string{"U0123ABCD"}) || !strings.Contains(string(first.Blocks), step) {
		t.Errorf("the first message calls %v and says %s", first.Calls, first.Blocks)
	}
	r.mustSend(attempt(t, "job.running", 2, 1))
	r.wantShown("state: running")
	r.mustSend(attempt(t, "job.failed", 2, 2))
	r.wantShown("state: failed", "news in the thread and the channel: failed")
}

// The end of a log, or of the error if it came without one, is a block with its lines. It is cut at its front.
func TestExcerpt(t *testing.T) {
	for _, excerpt := range []string{"", "ValueError: nan"} {
		r := newRoom(t)
		m := attempt(t, "job.failed", 1, 1)
		failure := *m.Event.Body.Error
		failure.Excerpt = excerpt
		m.Event.Body.Error = &failure
		m.Text.Excerpt = strings.Repeat("line\n", 4000) + "  File \"task.py\"\nValueError: nan"
		r.mustSend(m)
		want := "*The end of the log*\n```\n…"
		if excerpt == "" {
			want = "*The error*\n```\n…"
		}
		var texts []string
		var blocks []struct{ Text struct{ Text string } }
		if err := json.Unmarshal(r.Messages()[0].Blocks, &blocks); err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks {
			texts = append(texts, b.Text.Text)
		}
		const end = "\n  File \"task.py\"\nValueError: nan\n```"
		if !slices.ContainsFunc(texts, func(s string) bool {
			return strings.HasPrefix(s, want) && strings.HasSuffix(s, end)
		}) {
			t.Errorf("%q … %q is not among %.2000q", want, end, texts)
		}
	}
}

// Only the ID of a user or a group becomes markup.
func TestOwnersThatAreNone(t *testing.T) {
	r := newRoom(t)
	m := attempt(t, "job.failed", 1, 1)
	m.Text.Owners = nil
	for _, id := range []string{
		"", "U123", "C0123ABCD", "u0123abcd", "U0123|here", "U0123 ABCD", "UÄÄÄÄÄ", "U" + strings.Repeat("0", 21),
		"S0123ABCD", "W0123",
	} {
		m.Text.Owners = append(m.Text.Owners, notice.Owner{Name: "x", Slack: id})
	}
	r.mustSend(m)
	if diff := cmp.Diff([]string{"S0123ABCD", "W0123"}, r.Messages()[0].Calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// A heartbeat is one message, and begins no conversation.
func TestHeartbeat(t *testing.T) {
	r := newRoom(t)
	for range 2 {
		r.receipt = nil
		r.mustSend(deliverytest.Heartbeat(t, "team"))
	}
	if all := r.Messages(); len(all) != 2 || all[0].ThreadTS != "" || all[1].ThreadTS != "" {
		t.Errorf("messages %+v", all)
	}
}

func TestEventsOutOfOrder(t *testing.T) {
	r := newRoom(t)
	r.mustSend(attempt(t, "job.succeeded", 2, 5))
	want := []string{"state: succeeded"}
	r.wantShown(want...)
	for _, m := range []delivery.Message{
		attempt(t, "job.running", 2, 4), attempt(t, "job.running", 1, 9), attempt(t, "drop.accepted", 1, 1),
		attempt(t, "job.succeeded", 2, 5),
	} {
		r.mustSend(m)
		r.wantShown(want...)
	}
	r.mustSend(attempt(t, "job.failed", 1, 9)) // late, but nobody was told of it
	r.wantShown(append(want, "news in the thread and the channel: failed")...)
	r.mustSend(attempt(t, "job.running", 3, 1))
	r.wantShown("state: running", "news in the thread and the channel: failed")
}

func TestRepeats(t *testing.T) {
	r := newRoom(t)
	const events = 150 // more than a receipt can hold
	for sequence := range int64(events) {
		m := attempt(t, "job.delayed", 1, sequence)
		r.mustSend(m)
		r.mustSend(m)
	}
	r.mustSend(attempt(t, "job.delayed", 1, events-30))
	if n := len(r.Messages()); n != events {
		t.Errorf("%d messages of %d events", n, events)
	}
}

func TestRefresh(t *testing.T) {
	r := newRoom(t)
	m := attempt(t, "job.succeeded", 2, 5)
	m.Refresh = true
	r.mustSend(m) // nothing was shown yet
	r.wantShown()
	m.Refresh = false
	r.mustSend(m)
	// A process that was thought to be dead shows an older event.
	stale := *r
	stale.receipt = json.RawMessage(strings.Replace(string(r.receipt), `"generation":2`, `"generation":0`, 1))
	stale.mustSend(attempt(t, "job.running", 1, 1))
	r.wantShown("state: running")
	m.Refresh = true
	r.mustSend(m)
	r.wantShown("state: succeeded")
	older := attempt(t, "job.running", 1, 1)
	older.Refresh = true
	r.mustSend(older)
	r.wantShown("state: succeeded")
}

func TestMessageThatCannotBeUpdated(t *testing.T) {
	for name, change := range map[string]func(*receivers.SlackMessage){
		"deleted": func(m *receivers.SlackMessage) { m.Deleted = true },
		"closed":  func(m *receivers.SlackMessage) { m.Closed = true },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.mustSend(attempt(t, "drop.accepted", 1, 1))
			r.Change(r.Messages()[0].TS, change)
			r.mustSend(attempt(t, "job.failed", 1, 2))
			r.mustSend(attempt(t, "job.running", 2, 1))
			r.mustSend(attempt(t, "job.succeeded", 2, 2))
			all := r.Messages()
			if len(all) != 3 || all[1].ThreadTS != "" || all[1].Updates != 2 || all[2].ThreadTS != all[1].TS ||
				!strings.Contains(all[1].Posted, "failed") {
				t.Errorf("the channel shows %q", r.shown())
			}
		})
	}
}

// A thread that takes no reply is followed by one that begins with the message, also after a crash in between, and for
// a message of which nothing was told before.
func TestThreadThatTakesNoReply(t *testing.T) {
	for name, change := range map[string]func(*receivers.SlackMessage){
		"locked":             func(m *receivers.SlackMessage) { m.Locked = true },
		"locked and closed":  func(m *receivers.SlackMessage) { m.Locked, m.Closed = true, true },
		"deleted, and older": func(m *receivers.SlackMessage) { m.Deleted = true },
	} {
		for n := range 5 {
			t.Run(fmt.Sprintf("%s, crash after request %d", name, n), func(t *testing.T) {
				r := newRoom(t)
				r.mustSend(attempt(t, "job.running", 2, 1))
				r.Change(r.Messages()[0].TS, change)
				m := attempt(t, "job.failed", 2, 2)
				if strings.HasSuffix(name, "older") {
					m = attempt(t, "job.failed", 1, 9) // posts the reply alone
				}
				if n > 0 {
					m.Receipt = r.receipt
					o := r.options
					o.Client = &http.Client{Transport: &killer{o.Client.Transport, n}}
					bot, err := slack.New(o)
					if err != nil {
						t.Fatal(err)
					}
					_, err = bot.Send(t.Context(), m) // may be through before it dies
					if err != nil && delivery.IsNever(err) {
						t.Error(err)
					}
					m.Unsure = true
				}
				r.mustSend(m)
				r.mustSend(m)
				all := r.Messages()
				if len(all) != 2 || all[1].ThreadTS != "" || !strings.Contains(all[1].Posted, "failed") {
					t.Fatalf("the channel shows %q", r.shown())
				}
				r.mustSend(attempt(t, "job.succeeded", 3, 1))
				if all = r.Messages(); len(all) != 3 || all[2].ThreadTS != all[1].TS {
					t.Errorf("the channel shows %q", r.shown())
				}
			})
		}
	}
}

// The receipt of a try that found its thread lost, and then could not post, leads no later try there.
func TestReceiptOfALostThread(t *testing.T) {
	r := newRoom(t)
	r.mustSend(attempt(t, "job.running", 1, 1))
	r.Change(r.Messages()[0].TS, func(m *receivers.SlackMessage) { m.Locked = true })
	m := attempt(t, "job.failed", 1, 2)
	r.Fail(receivers.Fault{Method: "chat.postMessage", Code: "thread_not_found"},
		receivers.Fault{Method: "chat.postMessage", Status: 429})
	if err := r.send(m); err == nil {
		t.Fatal("no error")
	}
	calls := len(r.Calls())
	r.mustSend(m)
	if diff := cmp.Diff([]string{"chat.postMessage"}, r.Calls()[calls:]); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestAnotherChannel(t *testing.T) {
	r := newRoom(t)
	r.receipt = delivery.Receipt(`{"channel":"C999","ts":"1.0","generation":9,"told":["x"]}`)
	r.mustSend(attempt(t, "drop.accepted", 1, 1))
	r.wantShown("state: accepted")
	r.receipt = delivery.Receipt(`no JSON`)
	r.mustSend(attempt(t, "drop.accepted", 1, 1))
	r.wantShown("state: accepted", "state: accepted")
}

// killer is the transport of a process that dies after its n-th request was done, and before it reads the answer.
type killer struct {
	next http.RoundTripper
	n    int
}

func (d *killer) RoundTrip(request *http.Request) (*http.Response, error) {
	if d.n--; d.n < 0 {
		return nil, errors.New("dead")
	}
	answer, err := d.next.RoundTrip(request)
	if err == nil && d.n == 0 {
		answer.Body.Close()
		return nil, errors.New("killed")
	}
	return answer, err
}

// crash sends a message in a process that dies after n requests: nobody has its receipt.
func (r *room) crash(m delivery.Message, n int) {
	r.t.Helper()
	o := r.options
	o.Client = &http.Client{Transport: &killer{o.Client.Transport, n}}
	bot, err := slack.New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	m.Receipt = r.receipt
	if _, err := bot.Send(r.t.Context(), m); err == nil || delivery.IsNever(err) || delivery.After(err) != 0 {
		r.t.Errorf("error %v of a process that died", err)
	}
}

// A message whose process died at any place is not shown twice where the history can be read, and once too often at
// most where it can't. It is never lost.
func TestCrash(t *testing.T) {
	begun := []string{"state: accepted"}
	for _, readable := range []bool{true, false} {
		for _, thread := range []bool{true, false} {
			requests := 1
			if thread {
				requests = 2 // an update and the reply
			}
			for n := 1; n <= requests; n++ {
				t.Run(fmt.Sprintf("readable %v, thread %v, after request %d", readable, thread, n), func(t *testing.T) {
					r := newRoom(t)
					if !readable {
						r.Scopes("chat:write")
					}
					want := []string{"state: failed"}
					if thread {
						r.mustSend(attempt(t, "drop.accepted", 1, 1))
						r.wantShown(begun...)
						want = append(want, "news in the thread and the channel: failed")
					}
					m := attempt(t, "job.failed", 1, 2)
					r.crash(m, n)
					m.Unsure = true
					r.mustSend(m)
					if readable {
						r.wantShown(want...)
						r.mustSend(m)
						r.wantShown(want...)
						return
					}
					if extra := len(r.Messages()) - len(want); extra > 1 {
						t.Errorf("the channel shows %q", r.shown())
					}
					last := r.Messages()[len(r.Messages())-1]
					if !strings.Contains(last.Text, "failed") || thread != (last.ThreadTS != "") {
						t.Errorf("the failure is lost: %q", r.shown())
					}
				})
			}
		}
	}
}

// The same holds where the process also found that its thread was lost.
func TestCrashAfterAThreadWasLost(t *testing.T) {
	for lost, change := range map[string]func(*receivers.SlackMessage){
		"state deleted": func(m *receivers.SlackMessage) { m.Deleted = true },
		"state":         func(m *receivers.SlackMessage) { m.Closed = true },
	} {
		for n := 1; n <= 2; n++ { // the update is refused, then a thread begins
			r := newRoom(t)
			r.mustSend(attempt(t, "drop.accepted", 1, 1))
			r.Change(r.Messages()[0].TS, change)
			m := attempt(t, "job.failed", 1, 2)
			r.crash(m, n)
			m.Unsure = true
			r.mustSend(m)
			r.wantShown(lost+": accepted", "state: failed")
			r.mustSend(attempt(t, "job.running", 2, 1))
			r.wantShown(lost+": accepted", "state: running")
		}
	}
}

// A thread that is found again began with another event than it shows now: the failure is news to the channel.
func TestCrashWhoseReceiptIsLost(t *testing.T) {
	r := newRoom(t)
	r.mustSend(attempt(t, "drop.accepted", 1, 1))
	m := attempt(t, "job.failed", 1, 2)
	r.crash(m, 1)
	r.receipt, m.Unsure = nil, true
	r.mustSend(m)
	r.wantShown("state: failed", "news in the thread and the channel: failed")
}

// The history has pages, and other people's messages.
func TestCrashInABusyChannel(t *testing.T) {
	r := newRoom(t)
	m := attempt(t, "job.failed", 1, 2)
	r.crash(m, 1)
	for i := range int64(450) {
		other := attempt(t, "job.failed", i, 1)
		other.Conversation = fmt.Sprint("folder ", i)
		if _, err := r.bot.Send(t.Context(), other); err != nil {
			t.Fatal(err)
		}
	}
	m.Unsure = true
	r.mustSend(m)
	if all := r.Messages(); len(all) != 451 || all[0].Updates != 0 {
		t.Errorf("%d messages", len(all))
	}
}

// A page of the history that is too large is so at each try: the message is told, seen twice at worst.
func TestCrashInAChannelOfLargeMessages(t *testing.T) {
	r := newRoom(t)
	r.mustSend(attempt(t, "drop.accepted", 1, 1))
	m := attempt(t, "job.failed", 1, 2)
	r.crash(m, 2)
	for i := range int64(60) {
		other := attempt(t, "drop.accepted", i, 1)
		other.Conversation = fmt.Sprint("folder ", i)
		if _, err := r.bot.Send(t.Context(), other); err != nil {
			t.Fatal(err)
		}
	}
	for _, posted := range r.Messages()[2:] {
		r.Change(posted.TS, func(m *receivers.SlackMessage) { m.Text = strings.Repeat("日", 40_000) })
	}
	r.receipt, m.Unsure = nil, true
	r.mustSend(m)
	if last := r.shown()[len(r.Messages())-1]; !strings.Contains(last, "failed") {
		t.Errorf("the last message is %q", last)
	}
}

// A history that takes long is read for half of the time: the rest is for telling.
func TestCrashInAChannelThatIsReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := receivers.NewSlack(token, channel)
		var told []string
		bot, err := slack.New(slack.Options{
			Token: destination.Value(token), Channel: channel,
			Client: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				if _, method, _ := strings.Cut(r.URL.Path, "/api/"); strings.HasPrefix(method, "chat.") {
					told = append(told, method)
				} else {
					select {
					case <-time.After(3 * time.Second):
					case <-r.Context().Done():
						return nil, r.Context().Err()
					}
				}
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				return w.Result(), nil
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(200) {
			other := attempt(t, "drop.accepted", i, 1)
			other.Conversation = fmt.Sprint("folder ", i)
			if _, err := bot.Send(t.Context(), other); err != nil {
				t.Fatal(err)
			}
		}
		told = nil
		m := attempt(t, "drop.accepted", 1, 1)
		m.Unsure = true
		if _, err := bot.Send(t.Context(), m); err != nil || len(told) != 1 {
			t.Errorf("told %q, error %v", told, err)
		}
	})
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// The history that can't be read now is read at the next try: only a missing right lets the message go out unsure.
func TestCrashWithoutAnAnswerAboutIt(t *testing.T) {
	r := newRoom(t)
	m := attempt(t, "job.failed", 1, 2)
	r.crash(m, 1)
	m.Unsure = true
	r.Fail(receivers.Fault{Method: "conversations.history", Status: 429, RetryAfter: "40"})
	if err := r.send(m); delivery.After(err) != 40*time.Second {
		t.Errorf("error %v", err)
	}
	r.wantShown("state: failed")
}

func TestPartOfAMessage(t *testing.T) {
	r := newRoom(t)
	r.mustSend(attempt(t, "drop.accepted", 1, 1))
	m := attempt(t, "job.failed", 1, 2)
	r.Fail(receivers.Fault{Method: "chat.postMessage", Status: 429, RetryAfter: "7"})
	if err := r.send(m); delivery.After(err) != 7*time.Second {
		t.Errorf("error %v", err)
	}
	r.wantShown("state: failed")
	r.mustSend(m)
	r.wantShown("state: failed", "news in the thread and the channel: failed")
	// The receipt keeps the update from being made again.
	want := []string{"chat.postMessage", "chat.update", "chat.postMessage", "chat.postMessage"}
	if diff := cmp.Diff(want, r.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	type want struct {
		never bool
		after time.Duration
	}
	tests := []struct {
		name  string
		fault receivers.Fault
		want  want
	}{
		{"ratelimited", receivers.Fault{Status: 429, RetryAfter: "30", Code: "ratelimited"},
			want{false, 30 * time.Second}},
		{"ratelimited with 200", receivers.Fault{RetryAfter: "30", Code: "ratelimited"}, want{false, 30 * time.Second}},
		{"rate_limited", receivers.Fault{Code: "rate_limited"}, want{false, 0}},
		{"service_unavailable", receivers.Fault{Code: "service_unavailable"}, want{false, 0}},
		{"internal_error", receivers.Fault{Code: "internal_error"}, want{false, 0}},
		{"fatal_error", receivers.Fault{Code: "fatal_error"}, want{false, 0}},
		{"invalid_auth", receivers.Fault{Code: "invalid_auth"}, want{true, 0}},
		{"token_revoked", receivers.Fault{Code: "token_revoked"}, want{true, 0}},
		{"missing_scope", receivers.Fault{Code: "missing_scope"}, want{true, 0}},
		{"not_in_channel", receivers.Fault{Code: "not_in_channel"}, want{true, 0}},
		{"channel_not_found", receivers.Fault{Code: "channel_not_found"}, want{true, 0}},
		{"is_archived", receivers.Fault{Code: "is_archived"}, want{true, 0}},
		{"a code that comes later", receivers.Fault{Code: "something_new"}, want{true, 0}},
		{"not a code", receivers.Fault{Body: `{"ok":false,"error":"Your token xoxb is <bad>"}`}, want{true, 0}},
		{"not JSON", receivers.Fault{Body: "<html>"}, want{false, 0}},
		{"nothing", receivers.Fault{}, want{false, 0}},
		{"neither good nor bad", receivers.Fault{Body: `{}`}, want{false, 0}},
		{"no message", receivers.Fault{Body: `{"ok":true}`}, want{false, 0}},
		{"no answer", receivers.Fault{Abort: true}, want{false, 0}},
		{"maintenance", receivers.Fault{Status: 503, RetryAfter: "Mon, 01 Jan 2024 00:00:00 GMT"}, want{false, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRoom(t)
			r.Fail(test.fault)
			err := r.send(attempt(t, "drop.accepted", 1, 1))
			if err == nil {
				t.Fatal("no error")
			}
			if got := (want{delivery.IsNever(err), delivery.After(err)}); got != test.want {
				t.Errorf("error %v: %+v, want %+v", err, got, test.want)
			}
			if strings.Contains(err.Error(), "xoxb") {
				t.Errorf("error %v", err)
			}
			r.mustSend(attempt(t, "drop.accepted", 1, 1))
			r.wantShown("state: accepted")
		})
	}
}

// A message that Slack finds malformed is sent without its blocks.
func TestPlainMessageWhereBlocksAreRefused(t *testing.T) {
	for _, code := range []string{"msg_blocks_too_long", "invalid_blocks", "invalid_arguments"} {
		r := newRoom(t)
		r.mustSend(attempt(t, "drop.accepted", 1, 1))
		m := attempt(t, "job.failed", 1, 2)
		m.Text.Title, m.Text.Summary, m.Text.Owners = deliverytest.Hostile()["mentions"], "hey @here", nil
		for _, method := range []string{"chat.update", "chat.postMessage"} {
			r.Fail(receivers.Fault{Code: code, Method: method})
		}
		r.mustSend(m)
		all := r.Messages()
		if len(all) != 2 {
			t.Fatalf("%s: messages %+v", code, all)
		}
		for _, m := range all {
			if m.Blocks != nil || m.Text == "" || len(m.Calls) > 0 || strings.ContainsAny(m.Text, "<>") {
				t.Errorf("%s: message %+v", code, m)
			}
		}
	}
}

func TestRotatedToken(t *testing.T) {
	r := newRoom(t)
	reads := 0
	o := r.options
	o.Token = destination.Reference(func(_ context.Context, _ string, fresh bool) (string, error) {
		if reads++; fresh {
			return token, nil
		}
		return "xoxb-old", nil
	}, "env://TOKEN")
	var err error
	if r.bot, err = slack.New(o); err != nil {
		t.Fatal(err)
	}
	r.mustSend(attempt(t, "drop.accepted", 1, 1))
	if r.wantShown("state: accepted"); reads != 2 {
		t.Errorf("%d reads", reads)
	}
}

func TestHostileTexts(t *testing.T) {
	for name, s := range deliverytest.Hostile() {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			for sequence, event := range []string{"drop.accepted", "job.failed"} {
				m := attempt(t, event, 1, int64(sequence))
				m.Text = deliverytest.HostileText(s)
				r.mustSend(m)
			}
			for _, m := range r.Messages() {
				if len(m.Calls) > 0 {
					t.Errorf("%s calls %v", m.Type, m.Calls)
				}
				checkFences(t, m.Blocks)
				_, after, found := strings.Cut(string(m.Blocks), "<")
				if found && !strings.HasPrefix(after, "https://con") {
					t.Errorf("mark-up in %.100q", after)
				}
				if strings.HasPrefix(name, "long") && !strings.Contains(m.Text, "…") {
					t.Error("no mark of what is left out")
				}
			}
			for _, call := range r.Calls() {
				if call != "chat.postMessage" && call != "chat.update" {
					t.Errorf("call %s", call)
				}
			}
			if want := 3; len(r.Calls()) != want {
				t.Errorf("%d calls, want %d: blocks were refused", len(r.Calls()), want)
			}
		})
	}
}

// checkFences fails the test if a text closes the fence that it stands in.
func checkFences(t *testing.T, blocks json.RawMessage) {
	t.Helper()
	var all []struct{ Text struct{ Text string } }
	if err := json.Unmarshal(blocks, &all); err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		if n := strings.Count(b.Text.Text, "```"); n != 0 && n != 2 {
			t.Errorf("%d fences in %.100q", n, b.Text.Text)
		}
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	good := slack.Options{Client: http.DefaultClient, Token: destination.Value("x"), Channel: "C1"}
	tests := []struct {
		name   string
		change func(*slack.Options)
		want   string
	}{
		{"client", func(o *slack.Options) { o.Client = nil }, "slack: the client is required"},
		{"token", func(o *slack.Options) { o.Token = nil }, "slack: the token is required"},
		{"channel", func(o *slack.Options) { o.Channel = "" }, "slack: the channel is required"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := good
			test.change(&o)
			if _, err := slack.New(o); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}
