package pagerduty_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/destination/pagerduty"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/testing/deliverytest"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const routingKey = "0123456789abcdef0123456789abcdef"

// duty is a service, a destination that tells it, and what the last Send returned.
type duty struct {
	*receivers.PagerDuty
	t           *testing.T
	options     pagerduty.Options
	destination *pagerduty.PagerDuty
	receipt     delivery.Receipt
}

func newDuty(t *testing.T) *duty {
	t.Helper()
	p := receivers.NewPagerDuty(routingKey)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	guard := destination.NewGuard(
		destination.Egress{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, destination.GuardOptions{})
	o := pagerduty.Options{Client: guard.Client(), RoutingKey: destination.Value(routingKey), BaseURL: server.URL}
	d, err := pagerduty.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &duty{PagerDuty: p, t: t, options: o, destination: d}
}

func (d *duty) send(m delivery.Message) error {
	d.t.Helper()
	m.Receipt = d.receipt
	receipt, err := d.destination.Send(d.t.Context(), m)
	if len(receipt) > delivery.MaxReceipt || strings.Contains(string(receipt), routingKey) {
		d.t.Errorf("receipt %s", receipt)
	}
	d.receipt = receipt
	return err
}

// actions returns what was sent, in short.
func (d *duty) actions() []string {
	var all []string
	for _, e := range d.Events() {
		action := e.Action
		if e.Payload != nil {
			action += " " + e.Payload.Severity
		}
		all = append(all, action)
	}
	return all
}

// step is an event of a folder as a test writes it.
type step struct {
	event                string
	generation, sequence int64
	refresh, unsure      bool
	// forget loses the receipt first, as a process does that dies before it records one.
	forget bool
	// stale sends without a receipt, and loses the one that it gets: a process that another has overtaken.
	stale bool
}

func (s step) message(t *testing.T) delivery.Message {
	m := deliverytest.Of(deliverytest.At(deliverytest.Event(t, s.event), s.generation, s.sequence))
	m.ID, m.Conversation = fmt.Sprintf("%d-%d", s.generation, s.sequence), "folder/default/pager"
	m.Refresh, m.Unsure = s.refresh, s.unsure
	return m
}

func TestAlerts(t *testing.T) {
	failed := func(g, s int64) step { return step{event: "job.failed", generation: g, sequence: s} }
	succeeded := func(g, s int64) step { return step{event: "job.succeeded", generation: g, sequence: s} }
	tests := []struct {
		name  string
		steps []step
		want  []string
		open  bool
	}{
		{"a failure", []step{failed(1, 5)}, []string{"trigger critical"}, true},
		{"a rejection", []step{{event: "drop.rejected", generation: 1, sequence: 1}},
			[]string{"trigger critical"}, true},
		{"progress", []step{
			{event: "drop.accepted", generation: 1, sequence: 1}, {event: "job.running", generation: 1, sequence: 2},
		}, nil, false},
		{"a failure, then a success", []step{failed(1, 5), succeeded(2, 5)},
			[]string{"trigger critical", "resolve"}, false},
		{"nothing is known", []step{succeeded(1, 5)}, []string{"resolve"}, false},
		{"nothing is open", []step{succeeded(1, 5), succeeded(2, 5), succeeded(3, 5)}, []string{"resolve"}, false},
		{"the same failure again", []step{failed(1, 5), failed(1, 5)}, []string{"trigger critical"}, true},
		{"another failure", []step{failed(1, 5), failed(2, 5)}, []string{"trigger critical", "trigger critical"}, true},
		{"a failure older than the success", []step{succeeded(2, 5), failed(1, 5)}, []string{"resolve"}, false},
		{"a failure older than the success of another", []step{failed(1, 5), succeeded(3, 5), failed(2, 5)},
			[]string{"trigger critical", "resolve"}, false},
		{"a success older than the failure", []step{failed(2, 5), succeeded(1, 5)}, []string{"trigger critical"}, true},
		{"an older failure of what is open", []step{failed(2, 5), failed(1, 5), succeeded(2, 4)},
			[]string{"trigger critical", "trigger critical"}, true},
		{"a late warning", []step{succeeded(1, 5), {event: "job.delayed", generation: 1, sequence: 4}},
			[]string{"resolve"}, false},
		{"a late warning of what is open", []step{failed(1, 5), {event: "job.delayed", generation: 1, sequence: 4}},
			[]string{"trigger critical"}, true},
		{"a warning, then a success", []step{{event: "job.delayed", generation: 1, sequence: 4}, succeeded(1, 5)},
			[]string{"trigger warning", "resolve"}, false},
		{"a warning, then cancelled", []step{
			{event: "job.delayed", generation: 1, sequence: 4}, {event: "job.cancelled", generation: 1, sequence: 5},
		}, []string{"trigger warning", "resolve"}, false},
		{"a failure, then cancelled", []step{failed(1, 5), {event: "job.cancelled", generation: 2, sequence: 5}},
			[]string{"trigger critical"}, true},
		{"a failure, a warning, then cancelled", []step{
			failed(1, 5), {event: "job.delayed", generation: 2, sequence: 4},
			{event: "job.cancelled", generation: 2, sequence: 5},
		}, []string{"trigger critical", "trigger warning"}, true},
		{"an unsure failure", []step{failed(1, 5),
			{event: "job.failed", generation: 1, sequence: 5, unsure: true, forget: true}},
			[]string{"trigger critical", "trigger critical"}, true},
		{"an unsure success", []step{failed(1, 5), succeeded(2, 5),
			{event: "job.succeeded", generation: 2, sequence: 5, unsure: true, forget: true}},
			[]string{"trigger critical", "resolve", "resolve"}, false},
		{"a stalled failure, then the newest again", []step{succeeded(2, 5),
			{event: "job.failed", generation: 1, sequence: 5, stale: true},
			{event: "job.succeeded", generation: 2, sequence: 5, refresh: true}},
			[]string{"resolve", "trigger critical", "resolve"}, false},
		{"a stalled success, then the newest again", []step{failed(2, 5),
			{event: "job.succeeded", generation: 1, sequence: 5, stale: true},
			{event: "job.failed", generation: 2, sequence: 5, refresh: true}},
			[]string{"trigger critical", "resolve"}, false},
		{"a failure again, which a person resolved", []step{failed(1, 5),
			{event: "job.failed", generation: 1, sequence: 5, refresh: true}}, []string{"trigger critical"}, true},
		{"a warning again, which a person resolved", []step{{event: "job.delayed", generation: 1, sequence: 4},
			{event: "job.delayed", generation: 1, sequence: 4, refresh: true}}, []string{"trigger warning"}, true},
		{"progress again, nothing open", []step{succeeded(1, 5),
			{event: "job.running", generation: 2, sequence: 2, refresh: true}},
			[]string{"resolve", "resolve"}, false},
		{"progress again, open", []step{failed(1, 5),
			{event: "job.running", generation: 2, sequence: 2, refresh: true}},
			[]string{"trigger critical"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDuty(t)
			for _, s := range test.steps {
				before := d.receipt
				if s.forget || s.stale {
					d.receipt = nil
				}
				if err := d.send(s.message(t)); err != nil {
					t.Fatal(err)
				}
				if s.stale {
					d.receipt = before
				}
			}
			if diff := cmp.Diff(test.want, d.actions()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			open, keys := 0, map[string]bool{}
			for _, a := range d.Alerts() {
				keys[a.DedupKey] = true
				if a.Open {
					open++
				}
			}
			if open > 1 || open == 1 != test.open || len(keys) > 1 {
				t.Errorf("alerts %+v", d.Alerts())
			}
		})
	}
}

func TestFormat(t *testing.T) {
	d := newDuty(t)
	m := deliverytest.Message(t, "job.failed")
	if err := d.send(m); err != nil {
		t.Fatal(err)
	}
	e := d.Events()[0]
	if len(e.DedupKey) != 64 || e.Client != "jobdrop" || len(e.Links) != 2 || e.ClientURL != e.Links[0].Href {
		t.Errorf("event %+v", e)
	}
	p := e.Payload
	if p.Source != "gs://acme-inbox/census/" || p.Group != "census" || p.Class != "dev.jobdrop.job.failed.v1" ||
		p.Component != m.Event.Body.Job.ID || p.Timestamp == "" || p.Details["Uploader"] != "ci@acme.example" {
		t.Errorf("payload %+v", p)
	}
}

// Of several violations the alert names the first, and says how many there are.
func TestSummary(t *testing.T) {
	rejected := func(n int, summary string) delivery.Message {
		m := deliverytest.Message(t, "drop.rejected")
		m.Text.Title, m.Text.Summary = "census was rejected", summary
		v := m.Event.Body.Violations[0]
		v.Severity = job.Error
		warning := v
		warning.Severity = job.Warning
		m.Event.Body.Violations = append(slices.Repeat([]job.Violation{v}, n), warning)
		return m
	}
	failed := deliverytest.Message(t, "job.failed")
	failed.Text.Title, failed.Text.Summary = "census failed", "It exited with 1.\nTraceback:\n  File"
	for _, test := range []struct {
		name    string
		message delivery.Message
		want    string
	}{
		{"none", rejected(0, ""), "census was rejected"},
		{"one", rejected(1, "job.yaml:3: it is wrong"), "census was rejected: job.yaml:3: it is wrong"},
		{"three", rejected(3, "job.yaml:3: it is wrong\njob.yaml:4: so is this\nand 1 more"),
			"census was rejected: job.yaml:3: it is wrong and 2 more"},
		{"a template's", rejected(3, "see the docs"), "census was rejected: see the docs"},
		{"long", rejected(3, strings.Repeat("x", 1100)+"\nand 2 more"),
			"census was rejected: " + strings.Repeat("x", 991) + "… and 2 more"},
		{"a failure", failed, "census failed: It exited with 1."},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDuty(t)
			if err := d.send(test.message); err != nil {
				t.Fatal(err)
			}
			if got := d.Events()[0].Payload.Summary; got != test.want {
				t.Errorf("summary %q, want %q", got, test.want)
			}
		})
	}
}

// The error of a job without the end of a log is named as that, and cut at its front.
func TestExcerpt(t *testing.T) {
	for excerpt, label := range map[string]string{"": "The error", "ValueError: nan": "The end of the log"} {
		d := newDuty(t)
		m := deliverytest.Message(t, "job.failed")
		failure := *m.Event.Body.Error
		failure.Excerpt = excerpt
		m.Event.Body.Error = &failure
		m.Text.Excerpt = strings.Repeat("line\n", 4000) + "  File \"task.py\"\nValueError: nan"
		if err := d.send(m); err != nil {
			t.Fatal(err)
		}
		got, _ := d.Events()[0].Payload.Details[label].(string)
		if !strings.HasPrefix(got, "…") || !strings.HasSuffix(got, "\n  File \"task.py\"\nValueError: nan") {
			t.Errorf("%s: %.200q", label, got)
		}
	}
}

func TestSeverity(t *testing.T) {
	d := newDuty(t)
	o := d.options
	o.Severity = "error"
	var err error
	if d.destination, err = pagerduty.New(o); err != nil {
		t.Fatal(err)
	}
	if err := d.send(deliverytest.Message(t, "job.failed")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"trigger error"}, d.actions()); diff != "" {
		t.Error(diff)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name  string
		fault receivers.Fault
		never bool
		after time.Duration
	}{
		{"too many", receivers.Fault{Status: 429, RetryAfter: "120"}, false, 2 * time.Minute},
		{"an error there", receivers.Fault{Status: 500}, false, 0},
		{"not valid", receivers.Fault{Status: 400, Body: `{"errors":["no ` + routingKey + `"]}`}, true, 0},
		{"not JSON", receivers.Fault{Status: 400, Body: routingKey}, true, 0},
		{"no answer", receivers.Fault{Abort: true}, false, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDuty(t)
			d.Fail(test.fault)
			err := d.send(deliverytest.Message(t, "job.failed"))
			if err == nil || delivery.IsNever(err) != test.never || delivery.After(err) != test.after ||
				strings.Contains(err.Error(), routingKey) {
				t.Errorf("error %v", err)
			}
			if d.receipt != nil {
				t.Errorf("receipt %s of what was not told", d.receipt)
			}
		})
	}
}

func TestWrongAndRotatedKey(t *testing.T) {
	d := newDuty(t)
	o := d.options
	fresh := "another"
	o.RoutingKey = destination.Reference(func(_ context.Context, _ string, again bool) (string, error) {
		if again {
			return fresh, nil
		}
		return "another", nil
	}, "env://KEY")
	var err error
	if d.destination, err = pagerduty.New(o); err != nil {
		t.Fatal(err)
	}
	err = d.send(deliverytest.Message(t, "job.failed"))
	if !delivery.IsNever(err) || !strings.Contains(err.Error(), "'routing_key' is invalid") {
		t.Errorf("error %v", err)
	}
	fresh = routingKey
	if err := d.send(deliverytest.Message(t, "job.failed")); err != nil {
		t.Error(err)
	}
}

func TestHostileTexts(t *testing.T) {
	for name, s := range deliverytest.Hostile() {
		t.Run(name, func(t *testing.T) {
			d := newDuty(t)
			m := deliverytest.Message(t, "job.failed")
			m.Text = deliverytest.HostileText(s)
			m.Event.Body.Drop.Prefix, m.Event.Body.Job.ID = s, s
			if err := d.send(m); err != nil {
				t.Fatal(err) // the receiver holds it to the limits
			}
			e := d.Events()[0]
			if strings.HasPrefix(name, "long") && !strings.HasSuffix(e.Payload.Summary, "…") {
				t.Errorf("summary %q", e.Payload.Summary)
			}
			if strings.ContainsAny(e.Payload.Summary, "\n\r\x00\u202e") {
				t.Errorf("summary %q", e.Payload.Summary)
			}
			if data, err := json.Marshal(e); err != nil || len(data) > 256<<10 {
				t.Errorf("%d bytes, error %v", len(data), err)
			}
		})
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	good := pagerduty.Options{Client: http.DefaultClient, RoutingKey: destination.Value("x")}
	var got []string
	for _, change := range []func(*pagerduty.Options){
		func(o *pagerduty.Options) { o.Client = nil }, func(o *pagerduty.Options) { o.RoutingKey = nil },
		func(o *pagerduty.Options) { o.Severity = "high" }, func(*pagerduty.Options) {},
	} {
		o := good
		change(&o)
		_, err := pagerduty.New(o)
		got = append(got, fmt.Sprint(err))
	}
	want := []string{
		"pagerduty: the client is required", "pagerduty: the routing key is required",
		`pagerduty: the severity "high" is not critical, error, warning or info`, "<nil>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

// A text without words is still an event that PagerDuty takes.
func TestEmptyText(t *testing.T) {
	d := newDuty(t)
	m := deliverytest.Message(t, "job.failed")
	m.Text = notice.Text{Level: notice.Critical}
	if err := d.send(m); err != nil {
		t.Error(err)
	}
}
