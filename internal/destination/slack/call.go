package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
)

// refusal is an answer with ok: false.
type refusal struct{ code, needed string }

func (r *refusal) Error() string {
	if r.needed != "" {
		return fmt.Sprintf("answered %s: the scope %s is needed", r.code, r.needed)
	}
	return "answered " + r.code
}

// is reports whether Slack refused a call with one of these codes.
func is(err error, codes ...string) bool {
	var r *refusal
	return errors.As(err, &r) && slices.Contains(codes, r.code)
}

// answer holds the fields that are read of an answer.
type answer struct {
	OK       *bool     `json:"ok"`
	Error    string    `json:"error"`
	Needed   string    `json:"needed"`
	Channel  string    `json:"channel"`
	TS       string    `json:"ts"`
	Messages []message `json:"messages"`
	HasMore  bool      `json:"has_more"`
	Metadata struct {
		NextCursor string `json:"next_cursor"`
	} `json:"response_metadata"`
}

// message is one of a channel's history.
type message struct {
	TS       string   `json:"ts"`
	Metadata metadata `json:"metadata"`
}

// metadata is what a message carries for programs: by it a message is found again.
type metadata struct {
	Type    string  `json:"event_type"`
	Payload payload `json:"event_payload"`
}

type payload struct {
	Conversation string `json:"conversation"`
	ID           string `json:"id"`
	Generation   string `json:"generation,omitempty"`
	Sequence     string `json:"sequence,omitempty"`
}

// call calls a method of the Web API: with url.Values as a form, with others as JSON.
func (b *Bot) call(ctx context.Context, token, method string, arguments any) (answer, error) {
	header := http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json; charset=utf-8"}}
	var body []byte
	most := int64(destination.MaxAnswer)
	if form, ok := arguments.(url.Values); ok { // a history
		most = destination.MaxList
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		body = []byte(form.Encode())
	} else {
		body = encode(arguments)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		err := errors.New("the token has characters that a token can't have")
		return answer{}, delivery.Never(destination.Unauthorized(err))
	}
	response, err := destination.Post(ctx, b.options.Client, b.options.BaseURL+"/api/"+method, header, body, most)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", method, err)
	}
	if err := destination.Answer(response.Status, response.Header, b.options.Now()); err != nil {
		return answer{}, fmt.Errorf("%s: %w", method, err)
	}
	if response.Err != nil {
		return answer{}, fmt.Errorf("%s: %w", method, response.Err) // success or not, the body says
	}
	var a answer
	if err := json.Unmarshal(response.Body, &a); err != nil || a.OK == nil {
		return answer{}, fmt.Errorf("%s: the answer is not one of Slack's", method)
	}
	if *a.OK {
		return a, nil
	}
	r := &refusal{code(a.Error), scope(a.Needed)}
	after := destination.RetryAfter(response.Header.Get("Retry-After"), b.options.Now())
	return answer{}, fmt.Errorf("%s: %w", method, class(r, after))
}

// class returns a refusal with its class of error: https://docs.slack.dev/reference/methods/chat.postMessage#errors
func class(r *refusal, after time.Duration) error {
	switch r.code {
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		return delivery.NotNow(r, after)
	case "service_unavailable", "team_added_to_org", "org_login_required", "accesslimited":
		return delivery.Later(r, after)
	case "internal_error", "fatal_error", "request_timeout":
		return r // some of it may have been done
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive":
		return delivery.Never(destination.Unauthorized(r))
	}
	return delivery.Never(r)
}

// gone reports whether a message can't be changed or replied to any more, or never could be by this token.
func gone(err error) bool {
	return is(err, "message_not_found", "edit_window_closed", "cant_update_message", "thread_not_found",
		"cannot_reply_to_message", "restricted_action_thread_locked")
}

// malformed reports whether Slack refused a message for its blocks.
func malformed(err error) bool {
	return is(err, "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format", "invalid_arguments")
}

// code returns an error's code, if it is one. scope does so for the scopes that are missing.
func code(s string) string {
	if len(s) > 60 || s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return "an unknown error"
	}
	return s
}

func scope(s string) string {
	if len(s) > 100 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz:._,") != "" {
		return ""
	}
	return s
}
