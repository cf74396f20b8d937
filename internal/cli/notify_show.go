package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/text"
)

// request is a request that a destination would be sent. Its secrets are shown as their references.
type request struct {
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
}

// mail is a mail that would be sent.
type mail struct {
	To   string `json:"to"`
	Data string `json:"data"`
}

// fill sets what a destination would be sent of a message, at the time of its event.
func (m *shownMessage) fill(ctx context.Context, d routes.Destination, message delivery.Message) error {
	r := newRecorder(d)
	outward := app.Outward{
		Guard:  destination.NewGuard(destination.Egress{}, destination.GuardOptions{}),
		Client: &http.Client{Transport: r},
		Secret: func(ref routes.Reference) destination.Secret { return destination.Value(r.standIn(ref)) },
		Now:    func() time.Time { return message.Event.Time() },
	}
	if d.Email != nil {
		to, err := outward.Email(*d.Email)
		if err != nil {
			return fmt.Errorf("destination %s: %w", d.Name, err)
		}
		mails, err := to.Mails(message)
		if err != nil {
			return fmt.Errorf("destination %s: %w", d.Name, err)
		}
		for _, sent := range mails {
			m.Mails = append(m.Mails, mail{To: sent.To, Data: string(sent.Data)})
		}
		return nil
	}
	to, err := outward.Destination(d)
	if err != nil {
		return err
	}
	if _, err := to.Send(ctx, message); err != nil {
		return fmt.Errorf("destination %s: %w", d.Name, err)
	}
	m.Requests = r.requests
	return nil
}

// recorder stands for the world: it keeps each request, and answers that all is well. Nothing leaves the machine.
type recorder struct {
	urls, keys []routes.Reference
	requests   []request
}

func newRecorder(d routes.Destination) *recorder {
	r := &recorder{}
	if d.SlackWebhook != nil {
		r.urls = append(r.urls, d.SlackWebhook.URL)
	}
	if d.Webhook != nil {
		r.urls = append(r.urls, d.Webhook.URL)
		r.keys = d.Webhook.Keys
	}
	return r
}

// secretURL stands for a URL that is a secret.
const secretURL = "https://secret.invalid/"

// standIn returns what stands for a secret: a URL or a key where one is needed, else the reference itself.
func (r *recorder) standIn(ref routes.Reference) string {
	switch {
	case slices.Contains(r.urls, ref):
		return secretURL
	case slices.Contains(r.keys, ref):
		sum := sha256.Sum256([]byte(ref))
		return "whsec_" + base64.StdEncoding.EncodeToString(sum[:])
	}
	return string(ref)
}

// told is what each request is answered: Slack wants to know that all is well and which post it was, the others
// the status alone. The post's number is one that Slack never gives.
const told = `{"ok": true, "ts": "0000000000.000001"}`

// RoundTrip keeps a request.
func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	sent := request{Method: q.Method, URL: q.URL.String(), Header: q.Header.Clone(), Body: string(body)}
	if sent.URL == secretURL {
		sent.URL = string(r.urls[0])
	}
	if signature := "Webhook-Signature"; sent.Header.Get(signature) != "" {
		var by []string
		for _, key := range r.keys {
			by = append(by, "v1,<by "+string(key)+">")
		}
		sent.Header.Set(signature, strings.Join(by, " "))
	}
	r.requests = append(r.requests, sent)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(told)), Request: q,
	}, nil
}

// text returns the request as HTTP/1.1 has it, but for the URL as a whole. JSON has line breaks.
func (r request) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, oneLine(r.URL))
	var names []string
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range r.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, oneLine(value))
		}
	}
	body := r.Body
	var indented bytes.Buffer
	if json.Indent(&indented, []byte(body), "", "  ") == nil {
		body = indented.String()
	}
	return b.String() + "\n" + printableLines(body)
}

// mailsText returns mails as they go over the wire. Those that differ in their recipient alone are shown once.
func mailsText(mails []mail) string {
	others := func(m mail) string {
		return strings.Replace(m.Data, "\r\nTo: <"+m.To+">\r\n", "\r\n", 1)
	}
	var b strings.Builder
	for i, m := range mails {
		if i > 0 && others(m) == others(mails[i-1]) {
			fmt.Fprintf(&b, "\nTo %s: the same, but for its recipient\n", oneLine(m.To))
			continue
		}
		fmt.Fprintf(&b, "\nTo %s:\n\n%s", oneLine(m.To), printableLines(strings.ReplaceAll(m.Data, "\r\n", "\n")))
	}
	return b.String()
}

// printableLines returns a text for a terminal, with a newline at its end.
func printableLines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(s, "\n") + "\n") {
		b.WriteString(text.Printable(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
