package receivers

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// send sends a request to a server, and returns the status and what it answers.
func send(t *testing.T, h http.Handler, path, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer xoxb")
	if strings.HasPrefix(path, "/api/conversations") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	answer, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(answer)
}

// section returns a block with a text of that many characters.
func section(size int) string {
	return fmt.Sprintf(`{"type":"section","text":{"type":"mrkdwn","text":"%s"}}`, strings.Repeat("x", size))
}

// many returns a list of a block.
func many(n int, block string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(block+",", n), ",") + "]"
}

func TestSlackRefuses(t *testing.T) {
	header := `{"type":"header","text":{"type":"plain_text","text":"` + strings.Repeat("x", 151) + `"}}`
	tests := []struct{ name, body, want string }{
		{"good", `{"channel":"C1","text":"x"}`, ""},
		{"good blocks", `{"channel":"C1","text":"x","blocks":` + many(4, section(3000)) + `}`, ""},
		{"another channel", `{"channel":"C2","text":"x"}`, "channel_not_found"},
		{"no text", `{"channel":"C1"}`, "no_text"},
		{"a long text", `{"channel":"C1","text":"` + strings.Repeat("x", 40001) + `"}`, "msg_too_long"},
		{"not JSON", `{`, "invalid_json"},
		{"unknown arguments", `{"channel":"C1","text":"x","blokcs":[]}`, "invalid_json"},
		{"a long section", `{"channel":"C1","text":"x","blocks":` + many(1, section(3001)) + `}`, "invalid_blocks"},
		{"an empty section", `{"channel":"C1","text":"x","blocks":` + many(1, section(0)) + `}`, "invalid_blocks"},
		{"a long header", `{"channel":"C1","text":"x","blocks":` + many(1, header) + `}`, "invalid_blocks"},
		{"51 blocks", `{"channel":"C1","text":"x","blocks":` + many(51, section(1)) + `}`, "invalid_blocks"},
		{"long blocks", `{"channel":"C1","text":"x","blocks":` + many(5, section(2900)) + `}`, "msg_blocks_too_long"},
		{"another type", `{"channel":"C1","text":"x","blocks":[{"type":"marquee"}]}`, "invalid_blocks"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := NewSlack("xoxb", "C1")
			status, answer := send(t, s, "/api/chat.postMessage", test.body)
			var got struct {
				OK    bool
				Error string
			}
			if err := json.Unmarshal([]byte(answer), &got); err != nil || status != 200 {
				t.Fatalf("status %d, %s", status, answer)
			}
			if got.Error != test.want || got.OK != (test.want == "") || (len(s.Messages()) == 1) != got.OK {
				t.Errorf("answer %s, want %q", answer, test.want)
			}
		})
	}
}

func TestSlackNeedsTokenAndScope(t *testing.T) {
	s := NewSlack("other", "C1")
	_, answer := send(t, s, "/api/chat.postMessage", `{"channel":"C1","text":"x"}`)
	if !strings.Contains(answer, "invalid_auth") {
		t.Error(answer)
	}
	s = NewSlack("xoxb", "C1")
	s.Scopes("chat:write")
	_, answer = send(t, s, "/api/conversations.history", "channel=C1&limit=10")
	if !strings.Contains(answer, `"missing_scope"`) || !strings.Contains(answer, `"needed":"channels:history"`) {
		t.Error(answer)
	}
}

// The tests of destinations rely on whom a message calls.
func TestSlackCalls(t *testing.T) {
	tests := []struct{ text, parse, want string }{
		{"hello", "none", "[]"},
		{"<@U01> and <!subteam^S02> and <!here>", "none", "[U01 S02 here]"},
		{"&lt;!here&gt; @here", "none", "[]"},
		{"ask @here", "full", "[here]"},
		{"mail a@here.example", "full", "[]"},
	}
	for _, test := range tests {
		s := NewSlack("xoxb", "C1")
		body := fmt.Sprintf(`{"channel":"C1","text":%q,"parse":%q}`, test.text, test.parse)
		send(t, s, "/api/chat.postMessage", body)
		if got := fmt.Sprint(s.Messages()[0].Calls); got != test.want {
			t.Errorf("%q calls %s, want %s", test.text, got, test.want)
		}
	}
}

func TestPagerDutyRefuses(t *testing.T) {
	event := func(key, action, dedup, summary, severity string) string {
		return fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":%q,
			"payload":{"summary":%q,"source":"s","severity":%q}}`, key, action, dedup, summary, severity)
	}
	tests := []struct{ name, body, want string }{
		{"good", event("k", "trigger", "d", "s", "error"), ""},
		{"a resolve", `{"routing_key":"k","event_action":"resolve","dedup_key":"d"}`, ""},
		{"another key", event("x", "trigger", "d", "s", "error"), "routing_key"},
		{"another action", event("k", "open", "d", "s", "error"), "event_action"},
		{"a long dedup_key", event("k", "trigger", strings.Repeat("d", 256), "s", "error"), "dedup_key"},
		{"no summary", event("k", "trigger", "d", "", "error"), "payload.summary"},
		{"a long summary", event("k", "trigger", "d", strings.Repeat("s", 1025), "error"), "payload.summary"},
		{"another severity", event("k", "trigger", "d", "s", "high"), "payload.severity"},
		{"no payload", `{"routing_key":"k","event_action":"trigger","dedup_key":"d"}`, "payload"},
		{"too large", `{"client":"` + strings.Repeat("x", 512_000) + `"}`, "too large"},
		{"not JSON", `{`, "JSON"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := NewPagerDuty("k")
			status, answer := send(t, p, "/v2/enqueue", test.body)
			good, kept := test.want == "", len(p.Events()) == 1
			if (status == 202) != good || kept != good || !strings.Contains(answer, test.want) {
				t.Errorf("status %d, %s, want %q", status, answer, test.want)
			}
		})
	}
}
