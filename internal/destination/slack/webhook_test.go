package slack_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/destination/slack"
	"github.com/jobdrop/jobdrop/internal/testing/deliverytest"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
)

func newHook(t *testing.T) (*receivers.Slack, *slack.Webhook) {
	t.Helper()
	s := receivers.NewSlack(token, channel)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	guard := destination.NewGuard(
		destination.Egress{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, destination.GuardOptions{})
	hook, err := slack.NewWebhook(slack.WebhookOptions{
		Client: guard.Client(), URL: destination.Value(server.URL + "/services/T0/B0/secretpath"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, hook
}

func TestWebhook(t *testing.T) {
	s, hook := newHook(t)
	m := deliverytest.Message(t, "job.failed")
	for range 2 {
		if _, err := hook.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		m.Refresh = true // says nothing
	}
	all := s.Messages()
	if len(all) != 1 || !strings.Contains(all[0].Text, "failed") || !slices.Equal(all[0].Calls, []string{"U0123ABCD"}) {
		t.Errorf("messages %+v", all)
	}
}

func TestWebhookRefusals(t *testing.T) {
	tests := []struct {
		name  string
		fault receivers.Fault
		never bool
		after time.Duration
	}{
		{"ratelimited", receivers.Fault{Status: 429, RetryAfter: "1"}, false, time.Second},
		{"no_service", receivers.Fault{Status: 404, Body: "no_service"}, true, 0},
		{"channel_is_archived", receivers.Fault{Status: 410, Body: "channel_is_archived"}, true, 0},
		{"action_prohibited", receivers.Fault{Status: 403, Body: "action_prohibited"}, true, 0},
		{"rollup_error", receivers.Fault{Status: 500, Body: "rollup_error"}, false, 0},
		{"no answer", receivers.Fault{Abort: true}, false, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, hook := newHook(t)
			s.Fail(test.fault)
			_, err := hook.Send(t.Context(), deliverytest.Message(t, "job.failed"))
			if err == nil || delivery.IsNever(err) != test.never || delivery.After(err) != test.after {
				t.Errorf("error %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "secretpath") || strings.Contains(err.Error(), test.name)) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestWebhookWithHostileTexts(t *testing.T) {
	for name, text := range deliverytest.Hostile() {
		t.Run(name, func(t *testing.T) {
			s, hook := newHook(t)
			m := deliverytest.Message(t, "job.failed")
			m.Text = deliverytest.HostileText(text)
			if _, err := hook.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if all := s.Messages(); len(all) != 1 || all[0].Blocks == nil || len(all[0].Calls) > 0 {
				t.Errorf("messages %+v", all)
			}
			// What Slack refuses is sent without blocks.
			s.Fail(receivers.Fault{Status: 400, Body: "invalid_blocks"})
			if _, err := hook.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if all := s.Messages(); len(all) != 2 || all[1].Blocks != nil || len(all[1].Calls) > 0 {
				t.Errorf("messages %+v", all)
			}
		})
	}
}

func TestNewWebhookRefusesWhatIsMissing(t *testing.T) {
	if _, err := slack.NewWebhook(slack.WebhookOptions{Client: http.DefaultClient}); err == nil {
		t.Error("no error without a URL")
	}
	if _, err := slack.NewWebhook(slack.WebhookOptions{URL: destination.Value("x")}); err == nil {
		t.Error("no error without a client")
	}
}
