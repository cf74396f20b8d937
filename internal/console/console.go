// Package console is the web console: pages that show what became of what people dropped, while it happens.
//
// Each page is whole without JavaScript. Its address, asked for as a stream of events, sends the part of the page that
// changes, again and again: see [Server.ServeHTTP]. The console reads the ledger, status objects and logs through small
// interfaces, keeps nothing that it could not read again, and writes nothing but people's requests. Whatever comes from a
// drop or its job is hostile: the templates escape it, and the policy of the pages lets no script run but the console's
// own.
package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Records reads the ledger.
type Records interface {
	Page(ctx context.Context, q ledger.Query) (ledger.Page, error)
	Record(ctx context.Context, key string) (attempt.Record, error)
	Newest(ctx context.Context, bucket, folder string) (string, error)
	Queue(ctx context.Context) (attempt.Queue, error)
	Turns(ctx context.Context) (attempt.Turns, error)
}

// Store reads objects, and creates those of requests.
type Store interface {
	ListPage(ctx context.Context, bucket, prefix, after string, most int) (page []job.Attributes, more bool, err error)
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string,
		ifGeneration int64) (int64, error)
}

// IdentifyError reports that a request is refused because of who sent it. Status is the answer's HTTP status.
type IdentifyError struct {
	Status int
	Err    error
}

func (e *IdentifyError) Error() string { return e.Err.Error() }
func (e *IdentifyError) Unwrap() error { return e.Err }

// Config is what a console needs. Records, Store, State, Now and Logger are required.
type Config struct {
	// Instance names the installation, Inbox, State and Status its buckets. Inbox and Status may be empty.
	Instance, Inbox, State, Status string
	Records                        Records
	Store                          Store
	// Logs reads the logs of jobs, Scalars what trainers wrote. Without them the pages are not there.
	Logs    Logs
	Scalars Scalars
	// Policy returns the operator's policy. Nil is none.
	Policy func(ctx context.Context) (policy.Policy, error)
	// Identify returns the verified address of who asks, who then sees what the policy's viewers say. An [*IdentifyError]
	// refuses them. Nil is one's own machine: whoever asks sees everything.
	Identify func(r *http.Request) (email string, err error)
	// Hosts are the names, other than this machine's own, by which requests may address the console, if Identify is
	// nil. A web page could otherwise give its own name this machine's address, and read.
	Hosts []string
	// Key is in the address that whoever started the console opens first. Other accounts of this machine, which reach its
	// ports, don't have it. Empty lets in whoever asks, or leaves that to Identify.
	Key string
	// Act lets viewers cancel attempts and run them again.
	Act bool
	// ObjectURL returns where a browser gets an object with its viewer's own rights; empty if nowhere. Nil is Google's
	// own page.
	ObjectURL func(o job.Object) string
	// RuleURL returns the page that explains a rule; empty for none. Nil is none for any.
	RuleURL func(rule job.Rule) string
	// Poll is how often a page that somebody follows looks for something new; 2 s by default.
	Poll   time.Duration
	Now    func() time.Time
	Logger *slog.Logger
}

// Server is a console. Close ends its streams.
type Server struct {
	Config
	// google reports that the buckets are Google's, which has a page for each of their folders.
	google bool
	mux    *http.ServeMux
	origin *http.CrossOriginProtection
	views  views
	feeds  *feeds
	policy *cachedPolicy
	// accounts say why attempts are where they are.
	accounts *account.Reader
}

// New returns a console.
func New(c Config) (*Server, error) {
	if c.Records == nil || c.Store == nil || c.State == "" || c.Now == nil || c.Logger == nil {
		return nil, errors.New("console: Records, Store, State, Now and Logger are required")
	}
	if c.Poll == 0 {
		c.Poll = 2 * time.Second
	}
	google := c.ObjectURL == nil
	if google {
		c.ObjectURL = googleURL
	}
	if c.RuleURL == nil {
		c.RuleURL = func(job.Rule) string { return "" }
	}
	views, err := parseViews()
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	s := &Server{
		Config: c, google: google, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), views: views,
		feeds: newFeeds(c.Poll), policy: &cachedPolicy{read: c.Policy, now: c.Now},
	}
	s.accounts, err = account.New(account.Config{
		Records: c.Records, Store: c.Store, State: c.State, Inbox: c.Inbox, Status: c.Status, Policy: s.policy.get, Now: c.Now,
		Log: s.logEnd, Cause: s.cause,
	})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	for _, r := range s.routes() {
		s.mux.HandleFunc(r.pattern, s.handle(r))
	}
	s.mux.HandleFunc("GET /static/{name}", static)
	return s, nil
}

// Close ends the streams of all followers.
func (s *Server) Close() { s.feeds.close() }

// route is an address and what it shows. One of page, act and data is set.
type route struct {
	// pattern is that of [http.ServeMux], with its method.
	pattern string
	// page returns what is to be shown.
	page func(ctx context.Context, r request) (page, error)
	// stream sends what is new on the page. Nil sends the part of it that changes.
	stream func(w http.ResponseWriter, r request) error
	// act does what a form asks for, and returns the address of the page that shows what came of it.
	act func(ctx context.Context, r request) (string, error)
	// data returns what a script of a page shows, as JSON.
	data func(ctx context.Context, r request) (any, error)
}

// routes lists all that the console answers, besides its own assets.
func (s *Server) routes() []route {
	routes := []route{
		{pattern: "GET /{$}", page: s.dropsPage},
		{pattern: "GET /folders/{folder...}", page: s.folderPage},
		{pattern: "GET /attempts/{attempt}", page: s.attemptPage},
		{pattern: "GET /attempts/{attempt}/job", page: s.jobPage},
		{pattern: "GET /attempts/{attempt}/log", page: s.logPage, stream: s.logStream},
		{pattern: "GET /attempts/{attempt}/outputs", page: s.outputsPage},
		{pattern: "GET /attempts/{attempt}/curves", page: s.curvesPage},
		{pattern: "GET /attempts/{attempt}/curves.json", data: s.curvesData},
		{pattern: "GET /attempts/{attempt}/trials", page: s.trialsPage},
		{pattern: "GET /installation", page: s.installationPage},
	}
	if s.Act {
		routes = append(routes,
			route{pattern: "POST /attempts/{attempt}/cancel", act: s.asking(attempt.KindCancel)},
			route{pattern: "POST /attempts/{attempt}/rerun", act: s.asking(attempt.KindRerun)},
		)
	}
	return routes
}

// cachedPolicy reads the policy at most once in some seconds.
type cachedPolicy struct {
	read func(ctx context.Context) (policy.Policy, error)
	now  func() time.Time

	mu    sync.Mutex
	until time.Time
	last  policy.Policy
	err   error
}

// policyLasts is how long the policy is believed.
const policyLasts = 10 * time.Second

func (c *cachedPolicy) get(ctx context.Context) (policy.Policy, error) {
	if c.read == nil {
		return policy.Policy{}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); !now.Before(c.until) {
		last, err := c.read(ctx)
		if ctx.Err() != nil { // who asked has gone: that says nothing of the policy
			return policy.Policy{}, ctx.Err()
		}
		c.last, c.err, c.until = last, err, now.Add(policyLasts)
	}
	return c.last, c.err
}
