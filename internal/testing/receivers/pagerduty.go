package receivers

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// PagerDuty is a service with one integration of the Events API v2.
type PagerDuty struct {
	faults
	// RoutingKey is the integration's.
	RoutingKey string

	mu     sync.Mutex
	events []PagerDutyEvent
	alerts []*Alert
}

// PagerDutyEvent is an event that was accepted.
type PagerDutyEvent struct {
	RoutingKey string `json:"routing_key"`
	Action     string `json:"event_action"`
	DedupKey   string `json:"dedup_key"`
	Payload    *struct {
		Summary   string         `json:"summary"`
		Source    string         `json:"source"`
		Severity  string         `json:"severity"`
		Timestamp string         `json:"timestamp"`
		Component string         `json:"component"`
		Group     string         `json:"group"`
		Class     string         `json:"class"`
		Details   map[string]any `json:"custom_details"`
	} `json:"payload"`
	Links []struct {
		Href string `json:"href"`
		Text string `json:"text"`
	} `json:"links"`
	Images []struct {
		Src string `json:"src"`
	} `json:"images"`
	Client    string `json:"client"`
	ClientURL string `json:"client_url"`
}

// Alert is what somebody was called for: once, however many triggers it has.
type Alert struct {
	DedupKey string
	Severity string
	Triggers int
	Open     bool
}

// NewPagerDuty returns a service.
func NewPagerDuty(routingKey string) *PagerDuty { return &PagerDuty{RoutingKey: routingKey} }

// Events returns what was accepted, in its order.
func (p *PagerDuty) Events() []PagerDutyEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events)
}

// Alerts returns the alerts, the oldest first.
func (p *PagerDuty) Alerts() []Alert {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Alert
	for _, a := range p.alerts {
		all = append(all, *a)
	}
	return all
}

// maxPagerDuty is the most bytes of an event.
const maxPagerDuty = 512_000

func (p *PagerDuty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, fails := p.take("")
	if fails && !fault.Done {
		fault.answer(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPagerDuty+1))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var e PagerDutyEvent
	var wrong []string
	switch err := strict(body, &e); {
	case r.Method != http.MethodPost || r.URL.Path != "/v2/enqueue":
		http.NotFound(w, r)
		return
	case len(body) > maxPagerDuty:
		wrong = []string{"event is too large"}
	case err != nil:
		wrong = []string{"JSON is invalid: " + err.Error()}
	default:
		wrong = p.check(e)
	}
	if len(wrong) == 0 {
		p.accept(e)
	}
	if fails {
		fault.answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if len(wrong) > 0 {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"status": "invalid event", "message": "Event object is invalid", "errors": wrong,
		})
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"status": "success", "message": "Event processed", "dedup_key": e.DedupKey,
	})
}

// check holds an event to https://developer.pagerduty.com/docs/events-api-v2/trigger-events.
func (p *PagerDuty) check(e PagerDutyEvent) []string {
	var wrong []string
	require := func(good bool, text string) {
		if !good {
			wrong = append(wrong, text)
		}
	}
	require(e.RoutingKey == p.RoutingKey, "'routing_key' is invalid")
	require(slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action), "'event_action' is invalid")
	require(len(e.DedupKey) > 0 && len(e.DedupKey) <= 255, "'dedup_key' is invalid")
	if e.Action != "trigger" {
		return wrong
	}
	if e.Payload == nil {
		return append(wrong, "'payload' is missing or blank")
	}
	n := utf8.RuneCountInString(e.Payload.Summary)
	require(n > 0 && n <= 1024, "'payload.summary' is missing or too long")
	require(e.Payload.Source != "", "'payload.source' is missing or blank")
	severities := []string{"critical", "error", "warning", "info"}
	require(slices.Contains(severities, e.Payload.Severity), "'payload.severity' is invalid")
	if e.Payload.Timestamp != "" {
		_, err := time.Parse(time.RFC3339, e.Payload.Timestamp)
		require(err == nil, "'payload.timestamp' is invalid")
	}
	for _, l := range e.Links {
		require(l.Href != "", "'links.href' is missing or blank")
	}
	return wrong
}

// accept applies an event. What resolves no open alert is dropped.
func (p *PagerDuty) accept(e PagerDutyEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
	at := slices.IndexFunc(p.alerts, func(a *Alert) bool { return a.Open && a.DedupKey == e.DedupKey })
	switch {
	case e.Action == "trigger" && at >= 0:
		p.alerts[at].Triggers++
	case e.Action == "trigger":
		p.alerts = append(p.alerts, &Alert{DedupKey: e.DedupKey, Severity: e.Payload.Severity, Triggers: 1, Open: true})
	case e.Action == "resolve" && at >= 0:
		p.alerts[at].Open = false
	}
}
