package destination_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/destination/email"
	"github.com/jobdrop/jobdrop/internal/destination/pagerduty"
	"github.com/jobdrop/jobdrop/internal/destination/slack"
	"github.com/jobdrop/jobdrop/internal/destination/webhook"
	"github.com/jobdrop/jobdrop/internal/testing/deliverytest"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
)

type sender interface {
	Send(context.Context, delivery.Message) (delivery.Receipt, error)
}

// The secrets of all destinations. None of them may be seen.
const (
	slackToken = "xoxb-s3cr3t-token"
	slackPath  = "/services/T000/B000/s3cr3thook"
	hookPath   = "/hooks/s3cr3tpath"
	routingKey = "s3cr3ts3cr3ts3cr3ts3cr3ts3cr3t00"
	password   = "s3cr3t-password"
	// secretPart is in each of them, but for the key, whose base64 is below.
	secretPart = "s3cr3t"
)

var hookKey = "whsec_" + base64.StdEncoding.EncodeToString([]byte("a key that signs what is sent"))

// senders returns every destination that is told over HTTP. base is where they all are.
func senders(t *testing.T, client *http.Client, base string) map[string]sender {
	t.Helper()
	must := func(s sender, err error) sender {
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	bot, err := slack.New(slack.Options{
		Client: client, Token: destination.Value(slackToken), Channel: "C1", BaseURL: base,
	})
	all := map[string]sender{"slack": must(bot, err)}
	plain, err := slack.NewWebhook(slack.WebhookOptions{Client: client, URL: destination.Value(base + slackPath)})
	all["slackWebhook"] = must(plain, err)
	hook, err := webhook.New(webhook.Options{
		Client: client, URL: destination.Value(base + hookPath), Keys: []destination.Secret{destination.Value(hookKey)},
	})
	all["webhook"] = must(hook, err)
	pager, err := pagerduty.New(pagerduty.Options{
		Client: client, RoutingKey: destination.Value(routingKey), BaseURL: base,
	})
	all["pagerduty"] = must(pager, err)
	return all
}

// answering returns a client whose requests get one answer, as the guard's client handles it.
func answering(status int, header http.Header, body string) *http.Client {
	client := destination.NewGuard(destination.Egress{}, destination.GuardOptions{}).Client()
	client.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return &http.Response{
			StatusCode: status, Header: header.Clone(), Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	})
	return client
}

func TestStatuses(t *testing.T) {
	again := map[int]bool{408: true, 425: true, 429: true}
	message := deliverytest.Message(t, "job.failed")
	for _, after := range []struct {
		name, value string
		want        time.Duration
	}{
		{"no Retry-After", "", 0}, {"seconds", "77", 77 * time.Second}, {"nonsense", "soon", 0},
		{"far off", "86400", 6 * time.Hour},
		{"a date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), time.Hour},
	} {
		for status := 100; status <= 599; status++ {
			header := http.Header{"Location": {"http://169.254.169.254/"}, "Retry-After": {after.value}}
			client := answering(status, header, `{"ok":true,"channel":"C1","ts":"1.000001","status":"success"}`)
			for name, s := range senders(t, client, "https://ops.example.com") {
				_, err := s.Send(t.Context(), message)
				good := status/100 == 2
				never := !good && status/100 != 1 && status/100 != 5 && !again[status]
				want := after.want
				if good || never {
					want = 0
				}
				got := delivery.After(err)
				if (err == nil) != good || delivery.IsNever(err) != never || got > want || got < want-time.Minute {
					t.Errorf("%s, %s: %d gives %v, never %v, after %v",
						name, after.name, status, err, delivery.IsNever(err), got)
				}
			}
		}
	}
}

func TestStalls(t *testing.T) {
	message := deliverytest.Message(t, "job.failed")
	for _, name := range []string{"slack", "slackWebhook", "webhook", "pagerduty"} {
		synctest.Test(t, func(t *testing.T) {
			client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}
			start := time.Now()
			_, err := senders(t, client, "https://ops.example.com")[name].Send(t.Context(), message)
			if took := time.Since(start); err == nil || delivery.IsNever(err) || took != destination.Deadline {
				t.Errorf("%s: error %v after %v", name, err, took)
			}
		})
	}
}

// A redirect to the metadata server leads nowhere. An answer that is too large is not read to its end.
func TestAnswersOfARealServer(t *testing.T) {
	large := strings.Repeat(secretPart, destination.MaxAnswer)
	for _, fault := range []receivers.Fault{
		{Status: 307, Location: "http://169.254.169.254/computeMetadata/v1/"}, {Status: 302, Location: "/elsewhere"},
		{Status: 200, Body: large}, {Status: 202, Body: large, Abort: true}, {Status: 400, Body: large},
		{Status: 400, Body: "no", Abort: true}, {Abort: true}, {Status: 503, RetryAfter: "5"},
	} {
		receiver := receivers.NewWebhook(hookKey)
		receiver.FailAlways(&fault)
		base := serve(t, receiver)
		client := destination.NewGuard(loopback, destination.GuardOptions{}).Client()
		for name, s := range senders(t, client, base) {
			_, err := s.Send(t.Context(), deliverytest.Message(t, "job.failed"))
			// Only Slack's methods say in the body whether they succeeded.
			told := fault.Status/100 == 2 && name != "slack"
			never := fault.Status/100 == 3 || fault.Status == 400
			if (err == nil) != told || delivery.IsNever(err) != never {
				t.Errorf("%s: error %v of %d", name, err, fault.Status)
			}
			unseen(t, name, err)
		}
	}
}

// serve runs a handler on this machine until the test ends.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ErrorLog: quiet()}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return "http://" + l.Addr().String()
}

// unseen fails the test if an error, or one that it wraps, has a secret.
func unseen(t *testing.T, name string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, form := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err)} {
		checkUnseen(t, name, form)
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		unseen(t, name, wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			unseen(t, name, inner)
		}
	}
}

func checkUnseen(t *testing.T, name, text string) {
	t.Helper()
	for _, secret := range []string{secretPart, strings.TrimPrefix(hookKey, "whsec_"), "a key that signs"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s: %q shows a secret", name, text)
		}
	}
}

// Whatever goes wrong, no secret is in an error, a receipt or a log.
func TestNothingLeaks(t *testing.T) {
	var logged bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer log.SetOutput(log.Writer())
	log.SetOutput(&logged)
	message := deliverytest.Message(t, "job.failed")
	try := func(name string, all map[string]sender) {
		for kind, s := range all {
			m := message
			m.Unsure = true
			receipt, err := s.Send(t.Context(), m)
			checkUnseen(t, name+" "+kind, string(receipt))
			if err == nil {
				t.Errorf("%s %s: no error", name, kind)
			}
			unseen(t, name+" "+kind, err)
		}
	}
	for _, status := range []int{200, 301, 400, 401, 403, 404, 410, 418, 429, 500, 503} {
		for _, form := range []string{
			"%[2]s", `{"ok":false,"error":%[1]s,"needed":%[1]s}`, `{"status":%[1]s,"message":%[1]s,"errors":[%[1]s]}`,
		} {
			all := senders(t, echoing(t, status, form), "https://ops.example.com")
			if status == 200 {
				delete(all, "slackWebhook") // these take any 200 for a success
				delete(all, "webhook")
				delete(all, "pagerduty")
			}
			try(fmt.Sprint("answer ", status), all)
		}
	}
	broken := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		return nil, errors.New(sent(t, r))
	})}
	try("broken transport", senders(t, broken, "https://ops.example.com"))
	// An answer that is not HTTP.
	base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		echo := sent(t, r)
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 %s\r\n%s\r\n\r\n", echo, echo)
			c.Close()
		}
	}))
	guard := destination.NewGuard(loopback, destination.GuardOptions{})
	try("malformed answer", senders(t, guard.Client(), base))
	try("no TLS", senders(t, guard.Client(), strings.Replace(base, "http:", "https:", 1)))
	try("host that is not allowed", senders(t, guard.Client(), "https://elsewhere.example.com"))
	try("nobody there", senders(t, guard.Client(), "http://127.0.0.1:1"))
	names := destination.NewGuard(destination.Egress{Hosts: []string{"ops.example.com"}},
		destination.GuardOptions{Resolver: resolver(t, "169.254.169.254")})
	try("private address", senders(t, names.Client(), "https://ops.example.com"))
	try("plain HTTP", senders(t, names.Client(), "http://ops.example.com"))
	for _, base := range []string{
		"://", "https://ops.example.com/%zz", "https://ops.example.com\n", "https://u:" + password + "@x",
	} {
		try("URL that is none", senders(t, guard.Client(), base))
	}
	try("mail", map[string]sender{"greeting": mailbox(t, password), "login": mailbox(t, "")})
	checkUnseen(t, "log", logged.String())
}

// sent returns all that a request says.
func sent(t *testing.T, r *http.Request) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return fmt.Sprint(r.URL, " ", r.Header, " ", string(body))
}

// echoing returns a client whose requests are answered with what they say. Of the form's verbs the first is that as
// JSON, the second as it is.
func echoing(t *testing.T, status int, form string) *http.Client {
	client := answering(status, nil, "")
	client.Transport = transport(func(r *http.Request) (*http.Response, error) {
		echo := sent(t, r)
		quoted, err := json.Marshal(echo)
		if err != nil {
			t.Error(err)
		}
		body := strings.ReplaceAll(strings.ReplaceAll(form, "%[1]s", string(quoted)), "%[2]s", echo)
		return &http.Response{
			StatusCode: status, Header: http.Header{"Location": {echo}, "Retry-After": {echo}},
			Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	})
	return client
}

// mailbox returns a destination whose server greets with a refusal, or refuses the password.
func mailbox(t *testing.T, greeting string) sender {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certificate, roots, err := receivers.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if greeting != "" {
		go func() {
			if c, err := l.Accept(); err == nil {
				fmt.Fprintf(c, "554 %s\r\n", greeting)
				c.Close()
			}
		}()
		t.Cleanup(func() { l.Close() })
	} else {
		server := receivers.NewSMTP(receivers.SMTPOptions{Certificate: &certificate, Username: "u", Password: "other"})
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { server.Close() })
	}
	e, err := email.New(email.Options{
		Guard: destination.NewGuard(loopback, destination.GuardOptions{Roots: roots}), Server: l.Addr().String(),
		Username: "u", Password: destination.Value(password), From: "a@example.com", To: []string{"b@example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
