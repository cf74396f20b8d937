// Package slack tells lifecycle events in Slack.
//
// A [Bot] keeps one thread for each conversation. Its first message shows the newest state and is updated; outcomes
// and warnings are replies, since an update alerts nobody. If the thread begins with one, its first message says all of
// it, and there is no reply. Slack has no key that makes a post idempotent: after a
// crash the history is searched for the message, where the token may read it. A [Webhook] posts plain messages.
package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/notice"
)

// Options are a bot's settings. Client, Token and Channel are required.
type Options struct {
	Client *http.Client
	// Token is a bot's: xoxb-….
	Token destination.Secret
	// Channel is a channel's ID: C….
	Channel string
	// BaseURL is where the service is, if it is not Slack's own.
	BaseURL string
	Now     func() time.Time
}

// Bot keeps one thread for each conversation in a channel.
type Bot struct{ options Options }

// New makes a destination, without a call.
func New(o Options) (*Bot, error) {
	switch {
	case o.Client == nil:
		return nil, errors.New("slack: the client is required")
	case o.Token == nil:
		return nil, errors.New("slack: the token is required")
	case o.Channel == "":
		return nil, errors.New("slack: the channel is required")
	}
	if o.BaseURL == "" {
		o.BaseURL = "https://slack.com"
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Bot{o}, nil
}

// receipt is what a conversation's next message has to know.
type receipt struct {
	// Channel is that of the options. ID and TS name the thread's first message there.
	Channel string `json:"channel"`
	ID      string `json:"id,omitempty"`
	TS      string `json:"ts,omitempty"`
	// Generation and Sequence are those of the event that the first message shows.
	Generation int64 `json:"generation,omitempty"`
	Sequence   int64 `json:"sequence,omitempty"`
	// Born is the key of the message that the thread began with.
	Born string `json:"born,omitempty"`
	// Lost is the first message of the thread that this one follows: it was deleted or closed, or its thread was.
	Lost string `json:"lost,omitempty"`
	// Told are the keys of the newest outcomes and warnings that were told.
	Told []string `json:"told,omitempty"`
}

// mostTold is how many messages a receipt remembers: those that may come again close together.
const mostTold = 32

// key returns what stands for an ID in receipts and metadata.
func key(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// Send tells a message. For an event that is older than what the thread shows it posts the reply alone, and nothing
// for progress.
func (b *Bot) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, destination.Deadline)
	defer cancel()
	var r receipt
	if err := json.Unmarshal(m.Receipt, &r); err != nil || r.Channel != b.options.Channel {
		r = receipt{Channel: b.options.Channel} // of another channel
	}
	secrets := []destination.Secret{b.options.Token}
	err := destination.WithSecrets(ctx, secrets, func(ctx context.Context, values []string) error {
		t := &thread{bot: b, token: values[0], message: m, receipt: &r}
		return t.tell(ctx)
	})
	if err != nil {
		err = fmt.Errorf("slack: %w", err)
	}
	if r.TS == "" && r.Lost == "" && len(r.Told) == 0 {
		return m.Receipt, err
	}
	return encode(r), err
}

// thread is a conversation's thread while a message is told in it.
type thread struct {
	bot     *Bot
	token   string
	message delivery.Message
	receipt *receipt
}

// news reports whether the message is one that people are to notice: an update alone doesn't do.
func (t *thread) news() bool { return t.message.Event.Kind() != notice.Progress && !t.message.Refresh }

// told reports whether the message was told as news.
func (t *thread) told() bool { return slices.Contains(t.receipt.Told, key(t.message.ID)) }

func (t *thread) tell(ctx context.Context) error {
	for !t.news() || !t.told() {
		if err := t.show(ctx); err != nil || !t.news() || t.told() {
			return err
		}
		if err := t.reply(ctx); !gone(err) {
			return err
		}
		t.lose() // the next thread begins with the message
	}
	return nil
}

// lose notes that the thread's first message is of no use any more.
func (t *thread) lose() { t.receipt.Lost, t.receipt.TS = t.receipt.TS, "" }

// show makes the thread's first message show the event, unless it shows a newer one. A thread whose first message can't
// be changed any more is followed by another.
func (t *thread) show(ctx context.Context) error {
	m, r := t.message, t.receipt
	for {
		if r.TS == "" && m.Unsure {
			if err := t.findParent(ctx); err != nil {
				return err
			}
		}
		if r.TS == "" || !t.due() {
			break
		}
		if err := t.update(ctx); !gone(err) {
			return err
		}
		t.lose()
	}
	if r.TS != "" || m.Refresh && r.Born == "" {
		return nil // as new already, or nothing to show again
	}
	return t.post(ctx)
}

// due reports whether the thread's first message is to be updated.
func (t *thread) due() bool {
	shown := order{t.receipt.Generation, t.receipt.Sequence}
	return shown.before(t.order()) || t.message.Refresh && shown == t.order()
}

// order returns the place of the message's event.
func (t *thread) order() order {
	return order{t.message.Event.Generation, t.message.Event.Body.Sequence}
}

// order is the place of an event among those of its folder.
type order struct{ generation, sequence int64 }

func (o order) before(p order) bool {
	return o.generation < p.generation || o.generation == p.generation && o.sequence < p.sequence
}

// The types of our messages' metadata.
const (
	stateType = "jobdrop_state"
	newsType  = "jobdrop_news"
)

// arguments holds the arguments of chat.postMessage and chat.update.
type arguments struct {
	Channel   string   `json:"channel"`
	TS        string   `json:"ts,omitempty"`
	ThreadTS  string   `json:"thread_ts,omitempty"`
	Broadcast bool     `json:"reply_broadcast,omitempty"`
	Text      string   `json:"text"`
	Blocks    []block  `json:"blocks,omitempty"`
	Metadata  metadata `json:"metadata"`
	// Parse is none, so that no name in the text calls anybody. chat.update would parse by default.
	Parse       string `json:"parse"`
	LinkNames   bool   `json:"link_names"`
	UnfurlLinks bool   `json:"unfurl_links"`
	UnfurlMedia bool   `json:"unfurl_media"`
}

// parent returns the arguments of the thread's first message, as it shows the message's event.
func (t *thread) parent() arguments {
	m := t.message
	return arguments{
		Channel: t.bot.options.Channel, Text: fallback(m.Text, false), Blocks: state(m.Text), Parse: "none",
		Metadata: metadata{stateType, payload{
			Conversation: key(m.Conversation), ID: key(m.ID),
			Generation: strconv.FormatInt(m.Event.Generation, 10),
			Sequence:   strconv.FormatInt(m.Event.Body.Sequence, 10),
		}},
	}
}

// post begins a thread. News is told by its first message.
func (t *thread) post(ctx context.Context) error {
	arguments := t.parent()
	if t.news() {
		arguments.Text, arguments.Blocks = fallback(t.message.Text, true), news(t.message)
	}
	a, err := t.plainIfRefused(ctx, "chat.postMessage", arguments)
	if err != nil {
		return err
	}
	t.shows(a.Channel, a.TS, t.order())
	t.begunBy(key(t.message.ID))
	return nil
}

// begunBy notes the key of the message that the thread began with.
func (t *thread) begunBy(born string) {
	t.receipt.Born = born
	if t.news() && born == key(t.message.ID) {
		t.note()
	}
}

// shows keeps in the receipt what the thread's first message shows.
func (t *thread) shows(channel, ts string, o order) {
	t.receipt.TS, t.receipt.Generation, t.receipt.Sequence = ts, o.generation, o.sequence
	if channel != "" {
		t.receipt.ID = channel
	}
}

// channel returns the ID of the channel.
func (t *thread) channel() string {
	if t.receipt.ID != "" {
		return t.receipt.ID
	}
	return t.bot.options.Channel
}

// update shows the message's event in the thread's first message.
func (t *thread) update(ctx context.Context) error {
	arguments := t.parent()
	arguments.Channel, arguments.TS = t.channel(), t.receipt.TS
	arguments.Metadata.Payload.ID = t.receipt.Born
	if _, err := t.plainIfRefused(ctx, "chat.update", arguments); err != nil {
		return err
	}
	t.shows("", t.receipt.TS, t.order())
	return nil
}

// reply tells the event in the thread. Failures are shown in the channel, too.
func (t *thread) reply(ctx context.Context) error {
	m, r := t.message, t.receipt
	if m.Unsure {
		found, err := t.findReply(ctx)
		if err != nil {
			return err
		}
		if found {
			t.note()
			return nil
		}
	}
	_, err := t.plainIfRefused(ctx, "chat.postMessage", arguments{
		Channel: t.channel(), ThreadTS: r.TS, Broadcast: m.Text.Level == notice.Critical,
		Text: fallback(m.Text, true), Blocks: news(m), Parse: "none",
		Metadata: metadata{newsType, payload{Conversation: key(m.Conversation), ID: key(m.ID)}},
	})
	if err != nil {
		return err
	}
	t.note()
	return nil
}

// note keeps in the receipt that the message was told.
func (t *thread) note() {
	t.receipt.Told = append(t.receipt.Told, key(t.message.ID))
	t.receipt.Told = t.receipt.Told[max(len(t.receipt.Told)-mostTold, 0):]
}

// plainIfRefused calls a method, and once more without blocks if Slack doesn't take them: a plain message is better
// than none.
func (t *thread) plainIfRefused(ctx context.Context, method string, a arguments) (answer, error) {
	found, err := t.bot.call(ctx, t.token, method, a)
	if malformed(err) {
		a.Blocks = nil
		found, err = t.bot.call(ctx, t.token, method, a)
	}
	if err == nil && found.TS == "" {
		return found, fmt.Errorf("%s: the answer names no message", method)
	}
	return found, err
}

// A history is read this far: the message is among the newest of the channel. A page has the messages with their
// blocks, up to some 40 kB each, and has to stay below [destination.MaxList]. Half of the deadline is left for telling
// the message.
const (
	pageSize   = 50
	maxPages   = 16
	searchTime = destination.Deadline / 2
)

// early is how much earlier than its event a message may seem to be: clocks differ.
const early = 10 * time.Minute

// search returns the newest message that is meant, of those since the event. It returns nil where the history can't be
// read: not by this token, or because a page is too large. Another try would find the same.
func (t *thread) search(
	ctx context.Context, method string, form url.Values, meant func(m metadata, ts string) bool,
) (*message, error) {
	form.Set("channel", t.channel())
	form.Set("include_all_metadata", "true")
	form.Set("limit", strconv.Itoa(pageSize))
	var newest *message
	searching, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	for page := range maxPages {
		a, err := t.bot.call(searching, t.token, method, form)
		switch {
		case errors.Is(err, destination.ErrLarge), err != nil && page > 0 && searching.Err() != nil && ctx.Err() == nil:
			return newest, nil
		case is(err, "missing_scope", "not_in_channel", "channel_not_found", "not_allowed_token_type", "access_denied"),
			is(err, "thread_not_found", "message_not_found"):
			return nil, nil
		case err != nil:
			return nil, err
		}
		for _, m := range a.Messages {
			if meant(m.Metadata, m.TS) && (newest == nil || newest.TS < m.TS) {
				newest = &m
			}
		}
		if !a.HasMore || a.Metadata.NextCursor == "" {
			break
		}
		form.Set("cursor", a.Metadata.NextCursor)
	}
	return newest, nil
}

// findParent looks for a first message that an earlier try posted, after the one that was lost.
func (t *thread) findParent(ctx context.Context) error {
	form := url.Values{}
	if at := t.message.Event.Time(); !at.IsZero() {
		form.Set("oldest", strconv.FormatInt(at.Add(-early).Unix(), 10)+".000000")
	}
	found, err := t.search(ctx, "conversations.history", form, func(m metadata, ts string) bool {
		return m.Type == stateType && m.Payload.Conversation == key(t.message.Conversation) && ts > t.receipt.Lost
	})
	if err != nil || found == nil {
		return err
	}
	var o order
	o.generation, _ = strconv.ParseInt(found.Metadata.Payload.Generation, 10, 64)
	o.sequence, _ = strconv.ParseInt(found.Metadata.Payload.Sequence, 10, 64)
	t.shows("", found.TS, o)
	t.begunBy(found.Metadata.Payload.ID)
	return nil
}

// findReply reports whether an earlier try posted the reply.
func (t *thread) findReply(ctx context.Context) (bool, error) {
	form := url.Values{"ts": {t.receipt.TS}}
	if at := t.message.Event.Time(); !at.IsZero() {
		form.Set("oldest", strconv.FormatInt(at.Add(-early).Unix(), 10)+".000000")
	}
	found, err := t.search(ctx, "conversations.replies", form, func(m metadata, _ string) bool {
		return m.Type == newsType && m.Payload.ID == key(t.message.ID)
	})
	return found != nil, err
}
