// Package pagerduty opens and resolves incidents by PagerDuty's Events API v2.
//
// A conversation is one alert: its dedup_key is a hash of the conversation, so that a repeat opens nothing anew, and
// the success of the folder's next attempt resolves what the failure of an earlier one opened. Events that come out
// of order turn nothing back: an older failure doesn't open what a newer success resolved, nor does an older success
// resolve what a newer failure opened.
package pagerduty

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Options are the settings of a service. Client and RoutingKey are required.
type Options struct {
	Client *http.Client
	// RoutingKey is the integration key of a service.
	RoutingKey destination.Secret
	// BaseURL is where the API is, if it is not in the region of the US.
	BaseURL string
	// Severity is that of failures: critical (the default), error, warning or info.
	Severity string
	Now      func() time.Time
}

// PagerDuty keeps one alert for each conversation.
type PagerDuty struct{ options Options }

// New makes a destination, without a call.
func New(o Options) (*PagerDuty, error) {
	if o.Severity == "" {
		o.Severity = "critical"
	}
	switch {
	case o.Client == nil:
		return nil, errors.New("pagerduty: the client is required")
	case o.RoutingKey == nil:
		return nil, errors.New("pagerduty: the routing key is required")
	case !slices.Contains([]string{"critical", "error", warning, "info"}, o.Severity):
		return nil, fmt.Errorf("pagerduty: the severity %q is not critical, error, warning or info", o.Severity)
	}
	if o.BaseURL == "" {
		o.BaseURL = "https://events.pagerduty.com"
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	if o.Now == nil {
		o.Now = time.Now
	}
	return &PagerDuty{o}, nil
}

// warning is the severity of a warning. The options may choose it for failures, too.
const warning = "warning"

// The actions of an event.
const (
	trigger = "trigger"
	resolve = "resolve"
)

// receipt is the state of a conversation's alert.
type receipt struct {
	// Generation and Sequence are those of the newest event that was told.
	Generation int64 `json:"generation"`
	Sequence   int64 `json:"sequence"`
	// Open reports whether the alert is open, Warned whether a warning alone opened it.
	Open   bool `json:"open,omitempty"`
	Warned bool `json:"warned,omitempty"`
}

// Send tells a message: a failure opens the alert, a warning opens it with the severity warning, and a success
// resolves it. So does the end of an attempt without a failure, if only a warning opened it. Nothing else is sent. A
// refresh resolves, and never opens: a person may have resolved the alert since.
func (p *PagerDuty) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	var before *receipt
	if len(m.Receipt) > 0 {
		if err := json.Unmarshal(m.Receipt, &before); err != nil {
			before = nil // not one of ours: nothing is known
		}
	}
	action, after := decide(before, m)
	if action == "" {
		return encodeReceipt(m.Receipt, after), nil
	}
	ctx, cancel := context.WithTimeout(ctx, destination.Deadline)
	defer cancel()
	secrets := []destination.Secret{p.options.RoutingKey}
	err := destination.WithSecrets(ctx, secrets, func(ctx context.Context, values []string) error {
		return p.post(ctx, values[0], action, m)
	})
	if err != nil {
		return m.Receipt, fmt.Errorf("pagerduty: %w", err)
	}
	return encodeReceipt(m.Receipt, after), nil
}

// encodeReceipt returns a receipt as JSON; the one before if there is none.
func encodeReceipt(before delivery.Receipt, r *receipt) delivery.Receipt {
	if r == nil {
		return before
	}
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of numbers
	}
	return data
}

// decide returns the action for a message, and the receipt after it. The receipt is nil where nothing is known yet.
func decide(r *receipt, m delivery.Message) (string, *receipt) {
	own := &receipt{Generation: m.Event.Generation, Sequence: m.Event.Body.Sequence}
	older := r != nil && less(own, r)
	same := r != nil && !older && !less(r, own)
	if same && !m.Refresh {
		return "", r // told already
	}
	switch m.Text.Level {
	case notice.Critical, notice.Careful:
		if m.Refresh {
			return "", r
		}
		own.Open, own.Warned = true, m.Text.Level == notice.Careful
		switch {
		case older && (!r.Open || own.Warned):
			return "", r
		case older:
			return trigger, r // one more failure of what is open
		case own.Warned && r != nil && r.Open && !r.Warned:
			own.Warned = false // a failure opened it: only a success resolves it
		}
		return trigger, own
	case notice.Good:
		switch {
		case older:
			return "", r
		case r != nil && !r.Open && !m.Refresh && !m.Unsure:
			return "", own
		}
		return resolve, own
	}
	switch {
	case older || r == nil:
		return "", r
	case m.Refresh && !r.Open:
		return resolve, r
	case m.Event.Kind() == notice.Outcome && r.Open && r.Warned:
		return resolve, own
	}
	return "", r
}

// less reports whether a's event is older than b's.
func less(a, b *receipt) bool {
	return a.Generation < b.Generation || a.Generation == b.Generation && a.Sequence < b.Sequence
}

// The API's limits: https://developer.pagerduty.com/docs/events-api-v2-overview and …/trigger-events. An event has at
// most 512 kB: the bounds below keep it far smaller.
const (
	maxSummary = 1024
	mostText   = 300
	mostValue  = 1000
	mostLog    = 8000
	mostFacts  = 30
	mostLinks  = 10
	mostURL    = 2000
)

type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Payload    *payload `json:"payload,omitempty"`
	Links      []link   `json:"links,omitempty"`
	Client     string   `json:"client,omitempty"`
	ClientURL  string   `json:"client_url,omitempty"`
}

type payload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp string            `json:"timestamp,omitempty"`
	Component string            `json:"component,omitempty"`
	Group     string            `json:"group,omitempty"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details,omitempty"`
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text,omitempty"`
}

// dedupKey returns the key of a conversation's alert.
func dedupKey(conversation string) string {
	sum := sha256.Sum256([]byte(conversation))
	return hex.EncodeToString(sum[:])
}

// write returns the event of a message.
func (p *PagerDuty) write(routingKey, action string, m delivery.Message) event {
	e := event{RoutingKey: routingKey, Action: action, DedupKey: dedupKey(m.Conversation)}
	if action != trigger {
		return e
	}
	t, drop := m.Text, m.Event.Body.Drop
	severity := p.options.Severity
	if t.Level == notice.Careful {
		severity = warning
	}
	e.Payload = &payload{
		Summary:   cmp.Or(summary(m), "jobdrop: "+string(m.Event.Type())),
		Severity:  severity,
		Source:    destination.Line("gs://"+drop.Bucket+"/"+drop.Prefix, mostText),
		Component: destination.Line(m.Event.Body.Job.ID, mostText),
		Group:     destination.Line(strings.TrimSuffix(drop.Prefix, "/"), mostText),
		Class:     string(m.Event.Type()),
		Details:   details(m),
	}
	if at := m.Event.Time(); !at.IsZero() {
		e.Payload.Timestamp = at.UTC().Format(time.RFC3339Nano)
	}
	e.Client = "jobdrop"
	for _, l := range destination.Links(t, mostLinks, mostURL) {
		e.Links = append(e.Links, link{l.URL, l.Label})
	}
	if len(e.Links) > 0 {
		e.ClientURL = e.Links[0].Href
	}
	return e
}

// summary returns what the alert is called: the title, and the first line of why. How many violations follow, it says
// at its end.
func summary(m delivery.Message) string {
	first, rest, _ := strings.Cut(strings.TrimSpace(m.Text.Summary), "\n")
	if first = destination.Line(first, maxSummary); first == "" {
		return destination.Line(m.Text.Title, maxSummary)
	}
	s := destination.Line(m.Text.Title, maxSummary) + ": " + first
	if n := violations(m.Event.Body); rest != "" && n > 1 {
		and := fmt.Sprintf(" and %d more", n-1)
		return destination.Line(s, maxSummary-len(and)) + and
	}
	return destination.Line(s, maxSummary)
}

// violations returns how many errors a drop was rejected for.
func violations(b job.Snapshot) int {
	n := 0
	for _, v := range b.Violations {
		if b.State == job.Rejected && v.Severity != job.Warning && v.Rule != "too-many-violations" {
			n++
		}
	}
	return n
}

// details returns what the alert's page shows in a table.
func details(m delivery.Message) map[string]string {
	t := m.Text
	all := map[string]string{}
	add := func(label, value string) {
		if value != "" {
			all[destination.Line(label, mostText)] = value
		}
	}
	for _, f := range t.Facts[:min(len(t.Facts), mostFacts)] {
		add(f.Label, destination.Line(f.Value, mostValue))
	}
	add("Why", destination.Lines(t.Summary, mostValue))
	add(destination.ExcerptLabel(m), destination.LastLines(t.Excerpt, mostLog))
	var next, owners []string
	for _, s := range t.Next[:min(len(t.Next), mostLinks)] {
		step := destination.Line(s.Text, mostText) + "\n" + destination.Line(s.Command, mostText)
		next = append(next, strings.TrimSpace(step))
	}
	for _, o := range t.Owners[:min(len(t.Owners), mostLinks)] {
		owners = append(owners, destination.Line(o.Name, mostText))
	}
	add("What to do", strings.Join(next, "\n"))
	add("Owners", strings.Join(owners, ", "))
	for i, f := range t.Faults[:min(len(t.Faults), mostLinks)] {
		add(fmt.Sprintf("Fault of the routes %d", i+1), destination.Line(f, mostValue))
	}
	if t.Repeats > 0 {
		add("Repeats not sent", fmt.Sprint(t.Repeats))
	}
	return all
}

func (p *PagerDuty) post(ctx context.Context, routingKey, action string, m delivery.Message) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p.write(routingKey, action, m)); err != nil {
		return delivery.Never(fmt.Errorf("event %s: %w", m.Event.ID(), err))
	}
	header := http.Header{"Content-Type": {"application/json"}}
	to := p.options.BaseURL + "/v2/enqueue"
	response, err := destination.Post(ctx, p.options.Client, to, header, body.Bytes(), destination.MaxAnswer)
	if err != nil {
		return err
	}
	err = destination.Answer(response.Status, response.Header, p.options.Now())
	if response.Status != http.StatusBadRequest {
		return err
	}
	// A routing key that is not valid is refused as a bad request, too.
	var answer struct {
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	if json.Unmarshal(response.Body, &answer) == nil {
		said := destination.Said(strings.Join(append([]string{answer.Message}, answer.Errors...), ": "), routingKey)
		err = fmt.Errorf("%w: %s", err, said)
	}
	return destination.Unauthorized(err)
}
