package receivers

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"slices"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// SMTPOptions are a mail server's settings.
type SMTPOptions struct {
	// Certificate offers STARTTLS; with Implicit, TLS from the first byte on. Without one there is no encryption.
	Certificate *tls.Certificate
	Implicit    bool
	// Username and Password are asked for, if there are any.
	Username, Password string
}

// SMTP is a mail server that keeps what it gets.
type SMTP struct {
	options SMTPOptions
	server  *smtp.Server

	mu       sync.Mutex
	password string
	mails    []Mail
	next     []SMTPFault
	grey     map[string]bool
	refused  map[string]bool
}

// Mail is a mail that was accepted.
type Mail struct {
	From      string
	To        []string
	Data      []byte
	Encrypted bool
	Username  string
}

// SMTPFault is how the server treats one mail.
type SMTPFault struct {
	// Code and Text answer the end of DATA.
	Code int
	Text string
	// Drop closes the connection in DATA; with Done the mail is kept first.
	Drop, Done bool
	// Stall says nothing until the client hangs up.
	Stall bool
}

// NewSMTP returns a server. Serve runs it.
func NewSMTP(o SMTPOptions) *SMTP {
	s := &SMTP{options: o, password: o.Password, grey: map[string]bool{}, refused: map[string]bool{}}
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c}, nil
	}))
	s.server.Domain = "mail.example.com"
	s.server.MaxMessageBytes = 10 << 20
	s.server.AllowInsecureAuth = o.Certificate == nil
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	if o.Certificate != nil {
		s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*o.Certificate}, MinVersion: tls.VersionTLS12}
	}
	return s
}

// Serve takes connections until Close.
func (s *SMTP) Serve(l net.Listener) error {
	if s.options.Implicit {
		l = tls.NewListener(l, s.server.TLSConfig)
	}
	if err := s.server.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends the server and its connections.
func (s *SMTP) Close() error { return s.server.Close() }

// Mails returns what was accepted, in its order.
func (s *SMTP) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Fail makes the next mails fail.
func (s *SMTP) Fail(next ...SMTPFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, next...)
}

// Greylist refuses the first mail to an address for now.
func (s *SMTP) Greylist(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grey[address] = true
}

// Refuse refuses all mails to an address for good.
func (s *SMTP) Refuse(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[address] = true
}

// Password sets the password.
func (s *SMTP) Password(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
}

// session is a connection.
type session struct {
	server   *SMTP
	conn     *smtp.Conn
	username string
	mail     Mail
}

func (s *session) AuthMechanisms() []string {
	if s.server.options.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		if username != s.server.options.Username || password != s.server.password {
			// A server that says too much: the password must not be in our errors.
			return &smtp.SMTPError{
				Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "not your password: " + password,
			}
		}
		s.username = username
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.options.Username != "" && s.username == "" {
		return smtp.ErrAuthRequired
	}
	s.mail = Mail{From: from, Username: s.username}
	_, s.mail.Encrypted = s.conn.TLSConnectionState()
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	switch {
	case s.server.grey[to]:
		delete(s.server.grey, to)
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, come again"}
	case s.server.refused[to]:
		return &smtp.SMTPError{
			Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1},
			Message: "no such user; your password is " + s.server.password,
		}
	}
	s.mail.To = append(s.mail.To, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.Data = data
	s.server.mu.Lock()
	var fault SMTPFault
	if len(s.server.next) > 0 {
		fault, s.server.next = s.server.next[0], s.server.next[1:]
	}
	if fault == (SMTPFault{}) || fault.Done {
		s.server.mails = append(s.server.mails, s.mail)
	}
	s.server.mu.Unlock()
	switch {
	case fault.Drop:
		return s.conn.Conn().Close()
	case fault.Stall:
		_, _ = io.Copy(io.Discard, s.conn.Conn())
		return errors.New("the client hung up")
	case fault.Code != 0:
		return &smtp.SMTPError{Code: fault.Code, EnhancedCode: smtp.NoEnhancedCode, Message: fault.Text}
	}
	return nil
}

func (s *session) Reset() { s.mail = Mail{} }

func (s *session) Logout() error { return nil }
