// Package email sends lifecycle events as mail, at least once: a mail server has no key by which it knows a repeat.
// A repeat has the Message-ID of the first, by which many mailboxes show it once.
package email

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
)

// Options are the settings of a mailbox or list. Guard, Server, From and To are required.
type Options struct {
	// Guard lets the connection out.
	Guard *destination.Guard
	// Server is the submission server's host and port.
	Server string
	// TLS is starttls (the default), tls (from the first byte on), or none, which only a server on this machine may
	// have.
	TLS string
	// Username and Password log in. Without a username nobody does.
	Username string
	Password destination.Secret
	// From is the sender's address, To are those of up to 50 recipients.
	From string
	To   []string
	Now  func() time.Time
}

// maxRecipients bounds the receipt, and how long a Send takes.
const maxRecipients = 50

// The ways to encrypt a connection.
const (
	startTLS    = "starttls"
	implicitTLS = "tls"
	noTLS       = "none"
)

// Email sends to some addresses through one server.
type Email struct {
	options Options
	host    string
	port    int
	from    *mail.Address
	domain  string
	to      []*mail.Address
}

// New makes a destination, without a call.
func New(o Options) (*Email, error) {
	if o.Guard == nil {
		return nil, errors.New("email: the guard is required")
	}
	if o.TLS == "" {
		o.TLS = startTLS
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Email{options: o}
	host, port, err := net.SplitHostPort(o.Server)
	if err != nil || host == "" {
		return nil, fmt.Errorf("email: the server %q is not a host and a port", o.Server)
	}
	e.host = host
	if e.port, err = strconv.Atoi(port); err != nil || e.port < 1 || e.port > 65535 {
		return nil, fmt.Errorf("email: the server %q has no valid port", o.Server)
	}
	if !slices.Contains([]string{startTLS, implicitTLS, noTLS}, o.TLS) {
		return nil, fmt.Errorf("email: tls is starttls, tls or none, not %q", o.TLS)
	}
	if o.TLS == noTLS && !isLoopback(host) {
		return nil, fmt.Errorf("email: tls can be none for a server on this machine only: %s is another", host)
	}
	if o.Username != "" && o.Password == nil {
		return nil, errors.New("email: a username needs a password")
	}
	if e.from, err = address(o.From); err != nil {
		return nil, fmt.Errorf("email: from: %w", err)
	}
	e.domain = e.from.Address[strings.LastIndexByte(e.from.Address, '@')+1:]
	if len(o.To) == 0 || len(o.To) > maxRecipients {
		return nil, fmt.Errorf("email: to has %d addresses, not 1 to %d", len(o.To), maxRecipients)
	}
	for _, to := range o.To {
		a, err := address(to)
		if err != nil {
			return nil, fmt.Errorf("email: to: %w", err)
		}
		e.to = append(e.to, a)
	}
	return e, nil
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// maxAddress is the longest address with a name, in bytes: RFC 5321 takes 254 without one.
const maxAddress = 400

// address returns an address of mail.
func address(text string) (*mail.Address, error) {
	if len(text) > maxAddress {
		return nil, fmt.Errorf("an address of mail has %d bytes, more than %d", len(text), maxAddress)
	}
	a, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("%q is not an address of mail", text)
	}
	return a, nil
}

// receipt says which recipients the newest message was told already.
type receipt struct {
	ID   string   `json:"id"`
	Told []string `json:"told"`
}

// key returns what stands for an ID or an address.
func key(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// Send mails a message to each recipient by itself, the owners of the drop among them: one whom the server refuses
// doesn't keep it from the others. A refresh sends nothing.
func (e *Email) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if m.Refresh {
		return m.Receipt, nil
	}
	ctx, cancel := context.WithTimeout(ctx, destination.Deadline)
	defer cancel()
	r := receipt{ID: key(m.ID)}
	var before receipt
	if json.Unmarshal(m.Receipt, &before) == nil && before.ID == r.ID {
		r.Told = before.Told
	}
	secrets := []destination.Secret{}
	if e.options.Username != "" {
		secrets = append(secrets, e.options.Password)
	}
	err := destination.WithSecrets(ctx, secrets, func(ctx context.Context, values []string) error {
		return e.send(ctx, values, m, &r)
	})
	if err != nil {
		err = fmt.Errorf("email: %w", err)
	}
	if len(r.Told) == 0 {
		return m.Receipt, err
	}
	data, encoding := json.Marshal(r)
	return data, errors.Join(err, encoding)
}

// recipients returns whom a message is for and who was not told yet.
func (e *Email) recipients(m delivery.Message, told []string) []*mail.Address {
	all := slices.Clone(e.to)
	for _, o := range m.Text.Owners {
		if a, err := address(o.Email); err == nil && len(all) < maxRecipients {
			all = append(all, a)
		}
	}
	var open []*mail.Address
	seen := slices.Clone(told)
	for _, a := range all {
		if k := key(strings.ToLower(a.Address)); !slices.Contains(seen, k) {
			seen = append(seen, k)
			open = append(open, a)
		}
	}
	return open
}

// send mails a message over one connection, and notes in the receipt who was told.
func (e *Email) send(ctx context.Context, password []string, m delivery.Message, r *receipt) error {
	to := e.recipients(m, r.Told)
	if len(to) == 0 {
		return nil
	}
	// The connection ends with the context. The library waits for answers by a clock of its own, and leaves the
	// connection open where the login fails.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client, err := e.client(password, func(dialing context.Context, network, address string) (net.Conn, error) {
		c, err := e.dial(dialing, network, address)
		if c != nil {
			context.AfterFunc(ctx, func() { c.Close() })
		}
		return c, err
	})
	if err != nil {
		return err
	}
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return login(cmp.Or(ctx.Err(), err))
	}
	defer func() { _ = client.CloseWithSMTPClient(connection) }() // what was told is told
	var never, later []error
	for _, a := range to {
		mail, err := e.write(m, a)
		if err != nil {
			return delivery.Never(err)
		}
		err = client.SendWithSMTPClient(connection, mail)
		if mail.IsDelivered() {
			r.Told = append(r.Told, key(strings.ToLower(a.Address)))
			continue
		}
		var refused *gomail.SendError
		if !errors.As(err, &refused) || refused.ErrorCode() == 0 {
			return destination.Broken(cmp.Or(ctx.Err(), err)) // nobody else can be told over this connection
		}
		said := fmt.Errorf("%s: %s", a.Address, destination.Said(refused.Error(), password...))
		if refused.ErrorCode()/100 == 5 {
			never = append(never, said)
		} else {
			later = append(later, said)
		}
	}
	switch {
	case len(later) > 0:
		return delivery.Later(errors.Join(append(later, never...)...), 0)
	case len(never) > 0:
		return delivery.Never(errors.Join(never...))
	}
	return nil
}

// login returns the error of a connection that was not made. What the server says to a password is not in it.
func login(err error) error {
	var answer *textproto.Error
	if !errors.As(err, &answer) {
		broken := destination.Broken(err)
		if errors.Is(broken, destination.ErrBroken) {
			return fmt.Errorf("%w before the login: the server has to offer TLS, and SCRAM-SHA-256, PLAIN or LOGIN",
				broken)
		}
		return broken
	}
	said := fmt.Errorf("the server answered %d to the login", answer.Code)
	if answer.Code/100 == 5 {
		return delivery.Never(destination.Unauthorized(said))
	}
	return delivery.Later(said, 0)
}

// client returns a client of the server.
func (e *Email) client(password []string, dial gomail.DialContextFunc) (*gomail.Client, error) {
	options := []gomail.Option{
		gomail.WithPort(e.port), gomail.WithTimeout(destination.Deadline), gomail.WithHELO(e.domain),
		gomail.WithTLSConfig(e.options.Guard.TLS(e.host)), gomail.WithTLSPolicy(gomail.TLSMandatory),
		gomail.WithoutNoop(), gomail.WithoutRset(), gomail.WithDialContextFunc(dial),
	}
	switch e.options.TLS {
	case implicitTLS:
		options = append(options, gomail.WithSSL())
	case noTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if len(password) > 0 {
		options = append(options, gomail.WithUsername(e.options.Username), gomail.WithPassword(password[0]),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	client, err := gomail.NewClient(e.host, options...)
	if err != nil {
		return nil, errors.New("the server, tls and username of the routes file can't be used together")
	}
	return client, nil
}

// dial connects to the server. The connection reads no more than a server has to say.
func (e *Email) dial(ctx context.Context, network, address string) (net.Conn, error) {
	inner, err := e.options.Guard.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, room: destination.MaxAnswer}
	if e.options.TLS != implicitTLS {
		return c, nil
	}
	encrypted := tls.Client(c, e.options.Guard.TLS(e.host))
	return encrypted, encrypted.HandshakeContext(ctx)
}

// conn is a connection that reads a bounded number of bytes.
type conn struct {
	net.Conn
	room int
}

func (c *conn) Read(p []byte) (int, error) {
	if c.room <= 0 {
		return 0, errors.New("the server says too much")
	}
	n, err := c.Conn.Read(p[:min(len(p), c.room)])
	c.room -= n
	return n, err
}
