package email_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/destination/email"
	"github.com/jobdrop/jobdrop/internal/testing/deliverytest"
	"github.com/jobdrop/jobdrop/internal/testing/receivers"
)

const password = "correct horse battery"

// post is a mail server, a destination that sends to it, and what the last Send returned.
type post struct {
	*receivers.SMTP
	t       *testing.T
	options email.Options
	receipt delivery.Receipt
}

// setup is how a server and the destination are set up.
type setup struct {
	tls      string
	implicit bool
	plain    bool
	login    bool
	// strange leaves the server's certificate unknown.
	strange bool
}

func newPost(t *testing.T, h setup) *post {
	t.Helper()
	certificate, roots, err := receivers.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	server := receivers.SMTPOptions{Certificate: &certificate, Implicit: h.implicit}
	if h.plain {
		server.Certificate = nil
	}
	if h.login {
		server.Username, server.Password = "jobdrop", password
	}
	s := receivers.NewSMTP(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	if h.strange {
		roots = x509.NewCertPool()
	}
	o := email.Options{
		Guard: destination.NewGuard(destination.Egress{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
			destination.GuardOptions{Roots: roots}),
		Server: l.Addr().String(), TLS: h.tls, From: "jobdrop <jobdrop@example.com>", To: []string{"ml@example.com"},
	}
	if h.login {
		o.Username, o.Password = "jobdrop", destination.Value(password)
	}
	return &post{SMTP: s, t: t, options: o}
}

func (p *post) send(m delivery.Message) error {
	p.t.Helper()
	e, err := email.New(p.options)
	if err != nil {
		p.t.Fatal(err)
	}
	m.Receipt = p.receipt
	receipt, err := e.Send(p.t.Context(), m)
	if len(receipt) > delivery.MaxReceipt || strings.Contains(string(receipt), password) {
		p.t.Errorf("receipt %s", receipt)
	}
	p.receipt = receipt
	return err
}

// message returns a message for nobody but the destination's own recipients.
func message(t *testing.T, name string) delivery.Message {
	m := deliverytest.Message(t, name)
	m.Text.Owners = nil
	return m
}

// parsedMail is a mail as a reader's program sees it.
type parsedMail struct {
	header      mail.Header
	text, html  string
	rawSubjects int
}

func parse(t *testing.T, m receivers.Mail) parsedMail {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	kind, parameters, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %s, error %v", kind, err)
	}
	r := parsedMail{header: parsed.Header, rawSubjects: len(parsed.Header["Subject"])}
	parts := multipart.NewReader(parsed.Body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return r
		}
		if err != nil {
			t.Fatal(err)
		}
		if encoding := part.Header.Get("Content-Transfer-Encoding"); encoding != "quoted-printable" {
			t.Errorf("encoding %s", encoding)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		switch part.Header.Get("Content-Type") {
		case "text/plain; charset=UTF-8":
			r.text = string(body)
		case "text/html; charset=UTF-8":
			r.html = string(body)
		default:
			t.Errorf("part %s", part.Header.Get("Content-Type"))
		}
	}
}

func TestConnections(t *testing.T) {
	tests := []struct {
		name    string
		how     setup
		good    bool
		wantErr string
	}{
		{"STARTTLS", setup{}, true, ""},
		{"STARTTLS with a login", setup{login: true}, true, ""},
		{"TLS", setup{tls: "tls", implicit: true}, true, ""},
		{"TLS with a login", setup{tls: "tls", implicit: true, login: true}, true, ""},
		{"none on this machine", setup{tls: "none", plain: true}, true, ""},
		{"none on this machine, with a login", setup{tls: "none", plain: true, login: true}, true, ""},
		{"no STARTTLS", setup{plain: true}, false, "has to offer TLS"},
		{"no STARTTLS with a login", setup{plain: true, login: true}, false, "has to offer TLS"},
		{"no TLS", setup{tls: "tls"}, false, "connection broke"},
		{"a strange certificate", setup{strange: true}, false, "certificate is not valid"},
		{"a strange certificate of TLS", setup{tls: "tls", implicit: true, strange: true}, false,
			"certificate is not valid"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPost(t, test.how)
			err := p.send(message(t, "job.failed"))
			if (err == nil) != test.good || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Fatalf("error %v", err)
			}
			if !test.good {
				if len(p.Mails()) > 0 || delivery.IsNever(err) {
					t.Errorf("%d mails, error %v", len(p.Mails()), err)
				}
				return
			}
			all := p.Mails()
			if len(all) != 1 {
				t.Fatalf("%d mails", len(all))
			}
			if all[0].Encrypted != (test.how.tls != "none") || (all[0].Username == "jobdrop") != test.how.login {
				t.Errorf("mail %+v", all[0])
			}
		})
	}
}

func TestPasswordThatIsRefused(t *testing.T) {
	p := newPost(t, setup{login: true})
	p.Password("new " + password)
	if err := p.send(message(t, "job.failed")); !delivery.IsNever(err) || strings.Contains(err.Error(), password) {
		t.Errorf("error %v", err)
	}
	p.options.Password = destination.Reference(func(_ context.Context, _ string, fresh bool) (string, error) {
		if fresh {
			return "new " + password, nil
		}
		return password, nil
	}, "env://PASSWORD")
	if err := p.send(message(t, "job.failed")); err != nil || len(p.Mails()) != 1 {
		t.Errorf("error %v", err)
	}
}

func TestMail(t *testing.T) {
	p := newPost(t, setup{})
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	p.options.Now = func() time.Time { return at }
	for _, name := range []string{"job.delayed", "job.failed", "job.failed"} {
		p.receipt = nil // as if nobody had recorded it
		if err := p.send(message(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	var all []parsedMail
	for _, m := range p.Mails() {
		if m.From != "jobdrop@example.com" || len(m.To) != 1 || m.To[0] != "ml@example.com" {
			t.Errorf("from %s to %v", m.From, m.To)
		}
		for l := range bytes.SplitSeq(m.Data, []byte("\r\n")) {
			if len(l) > 998 || bytes.ContainsAny(l, "\r\n") {
				t.Errorf("line %.100q", l)
			}
		}
		all = append(all, parse(t, m))
	}
	id := func(i int) string { return all[i].header.Get("Message-Id") }
	if id(0) == id(1) || id(1) != id(2) || !strings.HasSuffix(id(0), "@example.com>") {
		t.Errorf("message IDs %s, %s and %s", id(0), id(1), id(2))
	}
	want := map[string]string{
		"From": `"jobdrop" <jobdrop@example.com>`, "To": "<ml@example.com>", "Auto-Submitted": "auto-generated",
		"Date": "Sun, 29 Nov 2026 12:00:00 +0000", "Mime-Version": "1.0",
		"In-Reply-To": all[0].header.Get("References"), "References": all[0].header.Get("References"),
	}
	got := map[string]string{}
	for name := range want {
		got[name] = all[1].header.Get(name)
	}
	if diff := cmp.Diff(want, got); diff != "" || got["References"] == "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	m := message(t, "job.failed")
	if want := "[jobdrop prod] acme-inbox/census: " + m.Event.Body.Job.ID; all[1].header.Get("Subject") != want {
		t.Errorf("subject %s, want %s", all[1].header.Get("Subject"), want)
	}
	for _, part := range []string{all[1].text, all[1].html} {
		for _, want := range []string{
			m.Text.Title, "ci@acme.example", "jobdrop logs " + m.Event.Body.Attempt, m.Event.ID(),
			"https://console.cloud.google.com/ai",
		} {
			if !strings.Contains(part, want) {
				t.Errorf("%q is not in\n%s", want, part)
			}
		}
	}
}

// Nobody can end a part of a mail by a line of a log: its boundary is another one at each try.
func TestBoundary(t *testing.T) {
	p := newPost(t, setup{})
	m := message(t, "job.failed")
	boundaries := map[string]bool{}
	for range 3 {
		for known := range boundaries {
			m.Text.Excerpt = "before\n--" + known + "\nContent-Type: text/html\n\nowned\n--" + known + "--\nafter"
		}
		if err := p.send(m); err != nil {
			t.Fatal(err)
		}
		mails := p.Mails()
		sent := mails[len(mails)-1]
		if text := parse(t, sent).text; m.Text.Excerpt != "" && !strings.Contains(text, "after") {
			t.Errorf("the excerpt ends the part:\n%s", text)
		}
		parsed, err := mail.ReadMessage(bytes.NewReader(sent.Data))
		if err != nil {
			t.Fatal(err)
		}
		_, parameters, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
		if err != nil || len(parameters["boundary"]) < 20 || boundaries[parameters["boundary"]] {
			t.Errorf("boundary %q after %v, error %v", parameters["boundary"], boundaries, err)
		}
		boundaries[parameters["boundary"]] = true
		m.ID += "x"
	}
}

// The beginning of either part says what happened: mailboxes show it beside the subject, which is the job's.
func TestPreview(t *testing.T) {
	p := newPost(t, setup{})
	m := message(t, "job.failed")
	m.Text.Title, m.Text.Summary = "census failed", "It exited with <1>.\n  Traceback"
	if err := p.send(m); err != nil {
		t.Fatal(err)
	}
	r := parse(t, p.Mails()[0])
	if !strings.HasPrefix(r.text, "census failed\r\n\r\nIt exited with <1>.\r\n  Traceback\r\n") {
		t.Errorf("the text begins with %.100q", r.text)
	}
	_, body, _ := strings.Cut(r.html, "<body")
	_, body, _ = strings.Cut(body, "<div")
	_, first, _ := strings.Cut(body, ">")
	if !strings.HasPrefix(first, "census failed: It exited with &lt;1&gt;.</div>") {
		t.Errorf("the page begins with %.100q", first)
	}
}

func TestHeartbeat(t *testing.T) {
	p := newPost(t, setup{})
	if err := p.send(deliverytest.Heartbeat(t, "ops-mail")); err != nil {
		t.Fatal(err)
	}
	r := parse(t, p.Mails()[0])
	if got := r.header.Get("Subject"); got != "[jobdrop prod] test of ops-mail" {
		t.Errorf("subject %q", got)
	}
	for _, part := range []string{r.text, r.html} {
		if strings.Contains(part, "route") || strings.Contains(part, "Succeeded") ||
			!strings.Contains(part, "jobdrop sent this to show that mail reaches you. Event heartbeat-ops-mail-") {
			t.Errorf("mail\n%s", part)
		}
	}
}

// An error that came without the end of a log has its own message as the excerpt.
func TestExcerpt(t *testing.T) {
	p := newPost(t, setup{})
	for _, excerpt := range []string{"", "ValueError: nan"} {
		m := message(t, "job.failed")
		failure := *m.Event.Body.Error
		failure.Excerpt = excerpt
		m.Event.Body.Error = &failure
		m.Text.Excerpt = strings.Repeat("line\n", 4000) + "  File \"task.py\"\nValueError: nan"
		m.ID += excerpt
		if err := p.send(m); err != nil {
			t.Fatal(err)
		}
		want := "\r\nThe end of the log:\r\n\r\n    …"
		if excerpt == "" {
			want = "\r\nThe error:\r\n\r\n    …"
		}
		r := parse(t, p.Mails()[len(p.Mails())-1])
		const end = "    line\r\n      File \"task.py\"\r\n    ValueError: nan\r\n"
		if !strings.Contains(r.text, want) || !strings.Contains(r.text, end) {
			t.Errorf("%q or %q is not in\n%.3000s", want, end, r.text)
		}
	}
}

// The subject is that of the job, whatever becomes of it: mailboxes show its mails together.
func TestSubjectOfAJob(t *testing.T) {
	p := newPost(t, setup{})
	failed := message(t, "job.failed")
	for _, name := range []string{"job.delayed", "job.failed", "job.succeeded"} {
		m := message(t, name)
		m.Event.Body.Job.ID = failed.Event.Body.Job.ID
		if err := p.send(m); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range p.Mails() {
		if got, want := parse(t, m).header.Get("Subject"), parse(t, p.Mails()[0]).header.Get("Subject"); got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
	}
}

func TestRecipients(t *testing.T) {
	p := newPost(t, setup{})
	p.options.To = []string{"a@example.com", "b@example.com", "A@example.com", "c@example.com"}
	p.Greylist("b@example.com")
	p.Refuse("c@example.com")
	m := deliverytest.Message(t, "job.failed") // whose owner is alice@acme.example
	err := p.send(m)
	if err == nil || delivery.IsNever(err) || !strings.Contains(err.Error(), "451") {
		t.Errorf("error %v", err)
	}
	to := func() []string {
		var all []string
		for _, m := range p.Mails() {
			all = append(all, m.To...)
		}
		return all
	}
	if diff := cmp.Diff([]string{"a@example.com", "alice@acme.example"}, to()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if err := p.send(m); !delivery.IsNever(err) || !strings.Contains(err.Error(), "c@example.com") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"a@example.com", "alice@acme.example", "b@example.com"}, to()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	next := deliverytest.Message(t, "job.succeeded")
	if err := p.send(next); !delivery.IsNever(err) || len(to()) != 6 {
		t.Errorf("error %v, told %v: the receipt is of another message", err, to())
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name  string
		fault receivers.SMTPFault
		never bool
		kept  int
	}{
		{"refused for now", receivers.SMTPFault{Code: 452, Text: "disk full"}, false, 0},
		{"refused", receivers.SMTPFault{Code: 554, Text: "looks like spam, " + password}, true, 0},
		{"closed in DATA", receivers.SMTPFault{Drop: true}, false, 0},
		{"closed after DATA", receivers.SMTPFault{Drop: true, Done: true}, false, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPost(t, setup{login: true})
			p.Fail(test.fault)
			err := p.send(message(t, "job.failed"))
			if err == nil || delivery.IsNever(err) != test.never || strings.Contains(err.Error(), password) {
				t.Errorf("error %v", err)
			}
			if p.receipt != nil || len(p.Mails()) != test.kept {
				t.Errorf("receipt %s, %d mails", p.receipt, len(p.Mails()))
			}
			if err := p.send(message(t, "job.failed")); err != nil || len(p.Mails()) != test.kept+1 {
				t.Errorf("error %v, %d mails", err, len(p.Mails()))
			}
		})
	}
}

func TestStall(t *testing.T) {
	p := newPost(t, setup{})
	p.Fail(receivers.SMTPFault{Stall: true})
	e, err := email.New(p.options)
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*time.Millisecond)
		},
		"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		p.Fail(receivers.SMTPFault{Stall: true})
		ctx, cancel := end(t.Context())
		start := time.Now()
		_, err := e.Send(ctx, message(t, "job.failed"))
		if took := time.Since(start); err == nil || delivery.IsNever(err) || took > 5*time.Second {
			t.Errorf("%s: error %v after %v", name, err, took)
		}
		cancel()
	}
}

// A server that never stops talking, or never begins.
func TestServersThatAreNone(t *testing.T) {
	for name, talk := range map[string]func(net.Conn){
		"talks": func(c net.Conn) {
			_, _ = io.CopyN(c, endlessReader{}, 2*destination.MaxAnswer)
			_, _ = io.Copy(io.Discard, c)
		},
		"silent":  func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"HTTP":    func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n") },
		"hangs":   func(net.Conn) {},
		"too bad": func(c net.Conn) { fmt.Fprint(c, "554 go away, "+password+"\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err == nil {
					talk(c)
					c.Close()
				}
			}()
			p := newPost(t, setup{login: true})
			p.options.Server = l.Addr().String()
			e, err := email.New(p.options)
			if err != nil {
				t.Fatal(err)
			}
			// Only of a silent server it takes time to know.
			ctx, cancel := t.Context(), func() {}
			if name == "silent" {
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
			}
			defer cancel()
			start := time.Now()
			_, err = e.Send(ctx, message(t, "job.failed"))
			if err == nil || strings.Contains(err.Error(), password) || len(err.Error()) > 400 {
				t.Errorf("error %v", err)
			}
			if (err.Error() == "email: no answer in time") != (name == "silent") || time.Since(start) > 10*time.Second {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
		})
	}
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '2'
	}
	return len(p), nil
}

func TestHostileTexts(t *testing.T) {
	for name, s := range deliverytest.Hostile() {
		t.Run(name, func(t *testing.T) {
			p := newPost(t, setup{})
			m := deliverytest.Message(t, "job.failed")
			m.Text = deliverytest.HostileText(s)
			m.Event.Body.Drop.Prefix, m.Event.Body.Job.ID, m.Route = s, s, s
			if err := p.send(m); err != nil {
				t.Fatal(err)
			}
			all := p.Mails()
			if len(all) != 1 || len(all[0].To) != 1 || len(all[0].Data) > 512<<10 {
				t.Fatalf("%d mails, %d bytes", len(all), len(all[0].Data))
			}
			r := parse(t, all[0])
			if len(r.header["Bcc"]) > 0 || r.rawSubjects != 1 {
				t.Errorf("headers %v", r.header)
			}
			marked := strings.Contains(r.text, "…") && strings.Contains(r.html, "…")
			if strings.HasPrefix(name, "long") && !marked {
				t.Error("no mark of what is left out")
			}
			if strings.ContainsAny(r.text+r.html, "\x00\x07\x1b\u202e") {
				t.Error("characters that can't be seen")
			}
			checkPage(t, r.html)
		})
	}
}

// checkPage fails the test unless a page has only the elements and links that are ours.
func checkPage(t *testing.T, page string) {
	t.Helper()
	ours := map[string]bool{}
	for _, name := range strings.Fields("html head meta title body div table tbody tr td p h1 pre a br") {
		ours[name] = true
	}
	z := html.NewTokenizer(strings.NewReader(page))
	depth := 0
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			if z.Err() != io.EOF || depth != 0 {
				t.Errorf("error %v at depth %d", z.Err(), depth)
			}
			return
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			token := z.Token()
			if !ours[token.Data] {
				t.Errorf("element %s", token.Data)
			}
			switch {
			case token.Data == "meta" || token.Data == "br":
			case kind == html.EndTagToken:
				depth--
			default:
				depth++
			}
			for _, a := range token.Attr {
				elsewhere := a.Key == "href" && !strings.HasPrefix(a.Val, "https://console.")
				if elsewhere || strings.HasPrefix(a.Key, "on") || a.Key == "src" {
					t.Errorf("attribute %s=%q", a.Key, a.Val)
				}
			}
		}
	}
}

func TestNewRefusesWhatIsWrong(t *testing.T) {
	guard := destination.NewGuard(destination.Egress{}, destination.GuardOptions{})
	tests := []struct {
		name   string
		change func(*email.Options)
		want   string
	}{
		{"good", func(*email.Options) {}, "<nil>"},
		{"guard", func(o *email.Options) { o.Guard = nil }, "email: the guard is required"},
		{"server", func(o *email.Options) { o.Server = "smtp.example.com" },
			`email: the server "smtp.example.com" is not a host and a port`},
		{"port", func(o *email.Options) { o.Server = "smtp.example.com:99999" },
			`email: the server "smtp.example.com:99999" has no valid port`},
		{"tls", func(o *email.Options) { o.TLS = "maybe" }, `email: tls is starttls, tls or none, not "maybe"`},
		{"none elsewhere", func(o *email.Options) { o.TLS = "none" },
			"email: tls can be none for a server on this machine only: smtp.example.com is another"},
		{"password", func(o *email.Options) { o.Username = "u" }, "email: a username needs a password"},
		{"from", func(o *email.Options) { o.From = "" }, `email: from: "" is not an address of mail`},
		{"a header in from", func(o *email.Options) { o.From = "a@example.com>\r\nBcc: <b@example.com" },
			`email: from: "a@example.com>\r\nBcc: <b@example.com" is not an address of mail`},
		{"nobody", func(o *email.Options) { o.To = nil }, "email: to has 0 addresses, not 1 to 50"},
		{"to", func(o *email.Options) { o.To = []string{"x"} }, `email: to: "x" is not an address of mail`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := email.Options{
				Guard: guard, Server: "smtp.example.com:587", From: "a@example.com", To: []string{"b@example.com"},
			}
			test.change(&o)
			if _, err := email.New(o); fmt.Sprint(err) != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}
