package receivers

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// Slack is a workspace with one channel: the methods chat.postMessage, chat.update, conversations.history and
// conversations.replies of the Web API, and an incoming webhook at any path below /services/.
type Slack struct {
	faults
	// Token is the only one that is valid, Channel the channel's ID.
	Token, Channel string

	mu       sync.Mutex
	scopes   []string
	messages []*SlackMessage
	calls    []string
	clock    int64
}

// SlackMessage is a message in the channel, or in one of its threads.
type SlackMessage struct {
	TS       string
	ThreadTS string
	// Broadcast reports that a reply is shown in the channel, too.
	Broadcast bool
	// Posted is the text that it was posted with, Text and Blocks are what it shows.
	Posted string
	Text   string
	Blocks json.RawMessage
	// Type and Payload are the metadata.
	Type    string
	Payload map[string]string
	// Calls are those whom the message notified when it was posted: IDs, and here, channel or everyone.
	Calls []string
	// Updates counts the changes.
	Updates int
	// Deleted and Closed messages can't be changed. Deleted and Locked ones take no replies.
	Deleted, Closed, Locked bool
	// Hook reports that the incoming webhook posted it.
	Hook bool
}

// NewSlack returns a workspace whose token may write and read.
func NewSlack(token, channel string) *Slack {
	scopes := []string{"chat:write", "channels:history"}
	return &Slack{Token: token, Channel: channel, scopes: scopes, clock: 1_800_000_000_000_000}
}

// Scopes sets what the token may do.
func (s *Slack) Scopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = scopes
}

// Messages returns what is in the channel and its threads, in the order it was posted.
func (s *Slack) Messages() []SlackMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []SlackMessage
	for _, m := range s.messages {
		all = append(all, *m)
	}
	return all
}

// Calls returns the methods that were called, in their order.
func (s *Slack) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Change changes a message as a person or time does: it deletes it, or closes it for updates.
func (s *Slack) Change(ts string, change func(*SlackMessage)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		if m.TS == ts {
			change(m)
		}
	}
}

// slackError is an answer with ok: false.
type slackError struct{ code, needed string }

func (s *Slack) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, api := strings.CutPrefix(r.URL.Path, "/api/")
	if !api {
		method = "webhook"
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	fault, fails := s.take(method)
	if fails && !fault.Done {
		s.note(method)
		fault.answer(w, r)
		return
	}
	var answer map[string]any
	var refused *slackError
	switch {
	case !api:
		refused = s.webhook(body)
	case r.Header.Get("Authorization") != "Bearer "+s.Token:
		s.note(method)
		refused = &slackError{code: "invalid_auth"}
	default:
		answer, refused = s.method(method, r, body)
	}
	switch {
	case fails:
		fault.answer(w, r)
	case !api && refused != nil:
		http.Error(w, refused.code, http.StatusBadRequest)
	case !api:
		_, _ = io.WriteString(w, "ok")
	default:
		if refused != nil {
			answer = map[string]any{"ok": false, "error": refused.code}
			if refused.needed != "" {
				answer["needed"], answer["provided"] = refused.needed, strings.Join(s.scopes, ",")
			}
		} else {
			answer["ok"] = true
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (s *Slack) note(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, method)
}

// slackArguments holds the arguments of the chat methods, or the body of a webhook.
type slackArguments struct {
	Channel        string          `json:"channel"`
	TS             string          `json:"ts"`
	ThreadTS       string          `json:"thread_ts"`
	ReplyBroadcast bool            `json:"reply_broadcast"`
	Text           string          `json:"text"`
	Blocks         json.RawMessage `json:"blocks"`
	Parse          string          `json:"parse"`
	LinkNames      bool            `json:"link_names"`
	UnfurlLinks    bool            `json:"unfurl_links"`
	UnfurlMedia    bool            `json:"unfurl_media"`
	Metadata       *struct {
		EventType    string            `json:"event_type"`
		EventPayload map[string]string `json:"event_payload"`
	} `json:"metadata"`
}

func (s *Slack) method(method string, r *http.Request, body []byte) (map[string]any, *slackError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, method)
	scope := map[string]string{
		"chat.postMessage": "chat:write", "chat.update": "chat:write",
		"conversations.history": "channels:history", "conversations.replies": "channels:history",
	}[method]
	switch {
	case scope == "":
		return nil, &slackError{code: "unknown_method"}
	case !slices.Contains(s.scopes, scope):
		return nil, &slackError{code: "missing_scope", needed: scope}
	}
	if scope == "channels:history" {
		return s.history(method, r, body)
	}
	var a slackArguments
	if err := strict(body, &a); err != nil {
		return nil, &slackError{code: "invalid_json"}
	}
	if a.Channel != s.Channel {
		return nil, &slackError{code: "channel_not_found"}
	}
	if refused := checkMessage(a); refused != nil {
		return nil, refused
	}
	if method == "chat.update" {
		return s.update(a)
	}
	if refused := s.takesReply(a.ThreadTS); refused != nil {
		return nil, refused
	}
	m := s.add(a)
	return map[string]any{"channel": s.Channel, "ts": m.TS, "message": map[string]any{"text": m.Text}}, nil
}

// add posts a message.
func (s *Slack) add(a slackArguments) *SlackMessage {
	s.clock += 1_000_000
	m := &SlackMessage{
		TS:       fmt.Sprintf("%d.%06d", s.clock/1_000_000, s.clock%1_000_000),
		ThreadTS: a.ThreadTS, Broadcast: a.ReplyBroadcast, Posted: a.Text,
	}
	m.apply(a)
	m.Calls = called(a)
	s.messages = append(s.messages, m)
	return m
}

func (m *SlackMessage) apply(a slackArguments) {
	m.Text, m.Blocks = a.Text, a.Blocks
	if a.Metadata != nil {
		m.Type, m.Payload = a.Metadata.EventType, a.Metadata.EventPayload
	}
}

// At sets the time of the next message: seconds since 1970.
func (s *Slack) At(seconds int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = seconds * 1_000_000
}

func (s *Slack) update(a slackArguments) (map[string]any, *slackError) {
	for _, m := range s.messages {
		switch {
		case m.TS != a.TS || m.Hook:
		case m.Deleted:
			return nil, &slackError{code: "message_not_found"}
		case m.Closed:
			return nil, &slackError{code: "edit_window_closed"}
		default:
			m.apply(a)
			m.Updates++
			return map[string]any{"channel": s.Channel, "ts": m.TS, "text": m.Text}, nil
		}
	}
	return nil, &slackError{code: "message_not_found"}
}

// takesReply refuses a reply to a message that takes none.
func (s *Slack) takesReply(ts string) *slackError {
	for _, m := range s.messages {
		switch {
		case ts == "" || m.TS != ts:
		case m.Deleted:
			return &slackError{code: "thread_not_found"}
		case m.Locked:
			return &slackError{code: "restricted_action_thread_locked"}
		}
	}
	return nil
}

// history returns a page of the channel, the newest first, or of a thread, the oldest first.
func (s *Slack) history(method string, r *http.Request, body []byte) (map[string]any, *slackError) {
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	if err := r.ParseForm(); err != nil || r.Form.Get("channel") != s.Channel {
		return nil, &slackError{code: "channel_not_found"}
	}
	var all []*SlackMessage
	for _, m := range s.messages {
		inThread := m.ThreadTS != "" && m.ThreadTS == r.Form.Get("ts") || m.TS == r.Form.Get("ts")
		inChannel := m.ThreadTS == "" || m.Broadcast
		wanted := method == "conversations.replies" && inThread || method == "conversations.history" && inChannel
		if wanted && !m.Deleted && (r.Form.Get("oldest") == "" || m.TS > r.Form.Get("oldest")) {
			all = append(all, m)
		}
	}
	if method == "conversations.history" {
		slices.Reverse(all)
	}
	limit, _ := strconv.Atoi(r.Form.Get("limit"))
	if limit < 1 || limit > 999 {
		return nil, &slackError{code: "invalid_limit"}
	}
	from, _ := strconv.Atoi(r.Form.Get("cursor"))
	all = all[min(from, len(all)):]
	page := all[:min(limit, len(all))]
	var messages []map[string]any
	for _, m := range page {
		entry := map[string]any{"type": "message", "ts": m.TS, "text": m.Text}
		if len(m.Blocks) > 0 {
			entry["blocks"] = m.Blocks
		}
		if m.ThreadTS != "" {
			entry["thread_ts"] = m.ThreadTS
		}
		if m.Type != "" && r.Form.Get("include_all_metadata") == "true" {
			entry["metadata"] = map[string]any{"event_type": m.Type, "event_payload": m.Payload}
		}
		messages = append(messages, entry)
	}
	answer := map[string]any{"messages": messages, "has_more": len(all) > len(page)}
	if len(all) > len(page) {
		answer["response_metadata"] = map[string]any{"next_cursor": strconv.Itoa(from + len(page))}
	}
	return answer, nil
}

func (s *Slack) webhook(body []byte) *slackError {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, "webhook")
	var a slackArguments
	if err := strict(body, &a); err != nil {
		return &slackError{code: "invalid_payload"}
	}
	a.Parse = "none" // webhooks parse no names
	if refused := checkMessage(a); refused != nil {
		return refused
	}
	s.add(a).Hook = true
	return nil
}

// checkMessage refuses a message that Slack refuses, or shows otherwise than it is meant.
func checkMessage(a slackArguments) *slackError {
	switch {
	case a.Text == "":
		return &slackError{code: "no_text"} // taken with blocks, but then a notification is empty
	case utf8.RuneCountInString(a.Text) > 40000:
		return &slackError{code: "msg_too_long"}
	}
	if len(a.Blocks) == 0 {
		return nil
	}
	if utf8.RuneCount(a.Blocks) > 13200 {
		return &slackError{code: "msg_blocks_too_long"}
	}
	if checkBlocks(a.Blocks) != nil {
		return &slackError{code: "invalid_blocks"}
	}
	return nil
}

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim"`
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text"`
	Fields   []slackText `json:"fields"`
	Elements []slackText `json:"elements"`
}

// checkBlocks holds blocks to https://docs.slack.dev/reference/block-kit/blocks.
func checkBlocks(data []byte) error {
	var blocks []slackBlock
	if err := strict(data, &blocks); err != nil {
		return err
	}
	if len(blocks) > 50 {
		return fmt.Errorf("%d blocks", len(blocks))
	}
	for i, b := range blocks {
		check := func(t slackText, most int, types ...string) error {
			if n := utf8.RuneCountInString(t.Text); n < 1 || n > most || !slices.Contains(types, t.Type) {
				return fmt.Errorf("block %d: a text of type %s and %d characters", i, t.Type, n)
			}
			return nil
		}
		var all []error
		switch {
		case b.Type == "header" && b.Text != nil && b.Fields == nil && b.Elements == nil:
			all = append(all, check(*b.Text, 150, "plain_text"))
		case b.Type == "section" && (b.Text != nil || len(b.Fields) > 0) && len(b.Fields) <= 10 && b.Elements == nil:
			if b.Text != nil {
				all = append(all, check(*b.Text, 3000, "plain_text", "mrkdwn"))
			}
			for _, f := range b.Fields {
				all = append(all, check(f, 2000, "plain_text", "mrkdwn"))
			}
		case b.Type == "context" && len(b.Elements) > 0 && len(b.Elements) <= 10 && b.Text == nil:
			for _, e := range b.Elements {
				all = append(all, check(e, 3000, "plain_text", "mrkdwn"))
			}
		default:
			return fmt.Errorf("block %d of type %q", i, b.Type)
		}
		for _, err := range all {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// call matches what notifies somebody: https://docs.slack.dev/messaging/formatting-message-text#mentions
var (
	call = regexp.MustCompile(`<(?:@([UW][A-Z0-9]+)|!subteam\^(S[A-Z0-9]+)|!(here|channel|everyone))(?:\|[^>]*)?>`)
	name = regexp.MustCompile(`(?:^|\s)@(here|channel|everyone)\b`)
)

// called returns those whom a message notifies: by its text where it has no blocks, by the marked-up texts of its
// blocks else. Names without markup count where Slack is let to parse them.
func called(a slackArguments) []string {
	texts := []slackText{{Type: "mrkdwn", Text: a.Text, Verbatim: a.Parse == "none" && !a.LinkNames}}
	var blocks []slackBlock
	if json.Unmarshal(a.Blocks, &blocks) == nil && len(blocks) > 0 {
		texts = nil
		for _, b := range blocks {
			if b.Text != nil {
				texts = append(texts, *b.Text)
			}
			texts = append(append(texts, b.Fields...), b.Elements...)
		}
	}
	var all []string
	for _, t := range texts {
		if t.Type != "mrkdwn" {
			continue
		}
		for _, found := range call.FindAllStringSubmatch(t.Text, -1) {
			all = append(all, found[1]+found[2]+found[3])
		}
		if !t.Verbatim {
			for _, found := range name.FindAllStringSubmatch(t.Text, -1) {
				all = append(all, found[1])
			}
		}
	}
	return all
}

// strict decodes JSON without unknown fields.
func strict(data []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	return d.Decode(v)
}
