package local_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// town is everybody whom Notify may tell, each over the real protocol.
type town struct {
	slack  *receivers.Slack
	hook   *receivers.Webhook
	pager  *receivers.PagerDuty
	mail   *receivers.SMTP
	routes string
	env    []string
}

// everybody starts servers for all kinds of destinations, and returns routes that tell each.
func everybody(t *testing.T) *town {
	t.Helper()
	key := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	n := &town{
		slack: receivers.NewSlack("xoxb-1", "C0123456789"), hook: receivers.NewWebhook(key),
		pager: receivers.NewPagerDuty(strings.Repeat("a", 32)), mail: receivers.NewSMTP(receivers.SMTPOptions{}),
	}
	urls := map[string]string{}
	for name, handler := range map[string]*httptest.Server{
		"slack": httptest.NewServer(n.slack), "hook": httptest.NewServer(n.hook), "pager": httptest.NewServer(n.pager),
	} {
		t.Cleanup(handler.Close)
		urls[name] = handler.URL
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = n.mail.Serve(l) }() // it ends by Close
	t.Cleanup(func() { n.mail.Close() })
	n.routes = fmt.Sprintf(`
destinations:
  team: {slack: {token: env://SLACK_TOKEN, channel: C0123456789, url: %q}}
  room: {slackWebhook: {url: env://ROOM_URL}}
  hook: {webhook: {url: %q, keys: [env://HOOK_KEY]}}
  mail: {email: {server: %q, tls: none, from: jobdrop@example.com, to: [ml@example.com]}}
  pager: {pagerduty: {routingKey: env://PAGER_KEY, url: %q}}
egress: {networks: [127.0.0.0/8]}
route:
  to: [team, room, mail, pager]
  routes:
  - {name: programs, match: {types: ['*']}, to: [hook], continue: true}
  - {name: people}
`, urls["slack"], urls["hook"]+"/jobdrop", l.Addr().String(), urls["pager"])
	n.env = []string{
		"SLACK_TOKEN=xoxb-1", "HOOK_KEY=" + key, "PAGER_KEY=" + strings.Repeat("a", 32), "ROOM_URL=" + urls["slack"] + "/services/T/B/x",
	}
	return n
}

// threads returns the messages of the bot: those that begin threads, and the replies to each.
func (n *town) threads() (parents []receivers.SlackMessage, replies map[string][]receivers.SlackMessage, posted int) {
	replies = map[string][]receivers.SlackMessage{}
	for _, m := range n.slack.Messages() {
		switch {
		case m.Hook:
			posted++
		case m.ThreadTS == "":
			parents = append(parents, m)
		default:
			replies[m.ThreadTS] = append(replies[m.ThreadTS], m)
		}
	}
	return parents, replies, posted
}

// Each kind of destination is told of what becomes of drops, once, although the function is killed while it sends.
func TestNotifyTells(t *testing.T) {
	t.Parallel()
	n := everybody(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	s := stack(t, local.Options{Routes: []byte(n.routes), RoutesEnv: n.env, Env: []string{"PID_FILE=" + pidFile}})

	upload(t, s, "fails", "trainer-0.1.tar.gz", "job.yaml")
	failed := status(t, s, "fails", "has its verdict", ended)
	eventually(t, "everybody heard of the failure", func() bool {
		parents, replies, posted := n.threads()
		return len(parents) == 1 && len(replies[parents[0].TS]) == 1 && posted == 1 && len(n.mail.Mails()) == 1 &&
			len(n.pager.Alerts()) == 1 && n.pager.Alerts()[0].Open
	})
	parents, replies, _ := n.threads()
	if m := replies[parents[0].TS][0]; !m.Broadcast || !strings.Contains(m.Text, "fail") {
		t.Errorf("the reply to a failure is %+v", m)
	}

	// The next attempt of the folder succeeds, and the function dies while it tells Slack of it.
	n.slack.Fail(receivers.Fault{Method: "chat.update", Stall: true})
	for _, name := range []string{"trainer-0.1.tar.gz", "job.yaml"} {
		data, err := os.ReadFile(filepath.Join(drops, "hello", name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Storage.Upload(t.Context(), local.Inbox, "fails/"+name, bytes.NewReader(data), nil); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "Slack is being told", func() bool { return slices.Contains(n.slack.Calls()[1:], "chat.update") })
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	succeeded := status(t, s, "fails", "has its second verdict", func(b job.Snapshot) bool {
		return b.State == job.Succeeded && b.Attempt != failed.Attempt
	})
	eventually(t, "everybody heard of the success", func() bool {
		parents, replies, posted := n.threads()
		return len(parents) == 1 && len(replies[parents[0].TS]) == 2 && posted == 2 && len(n.mail.Mails()) == 2 &&
			!n.pager.Alerts()[0].Open && strings.Contains(parents[0].Text, "succeeded")
	})

	// A program got each event of both attempts under its own ID.
	want := map[string]bool{}
	for _, b := range []job.Snapshot{failed, succeeded} {
		for _, h := range b.History {
			want[fmt.Sprintf("%s-%d.programs.hook", b.Attempt, h.Sequence)] = true
		}
	}
	eventually(t, "the program has all events", func() bool {
		got := map[string]bool{}
		for _, r := range n.hook.Requests() {
			got[r.ID] = true
		}
		return maps.Equal(want, got)
	})
	if mails := n.mail.Mails(); len(mails) == 2 {
		subjects := [2]string{}
		for k, m := range mails {
			for line := range strings.SplitSeq(string(m.Data), "\r\n") {
				if rest, ok := strings.CutPrefix(line, "Subject: "); ok {
					subjects[k] = rest
				}
			}
		}
		if subjects[0] == "" || subjects[0] != subjects[1] {
			t.Errorf("subjects %q: a mailbox would not thread them", subjects)
		}
	}
	eventually(t, "nothing waits", func() bool {
		var open []string
		err := s.Storage.List(t.Context(), local.State, "deliveries/open/", false, func(page []job.Attributes) error {
			for _, o := range page {
				open = append(open, o.Name)
			}
			return nil
		})
		return err == nil && len(open) == 0
	})
}
