package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/app/logging"
	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/internal/console"
	"github.com/jobdrop/jobdrop/internal/console/iap"
	"github.com/jobdrop/jobdrop/internal/console/scalars"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/service/joblogs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// consoleOptions are what jobdrop console is asked for.
type consoleOptions struct {
	targetOptions
	host     string
	port     uint16
	act      bool
	audience string
	// logReads bounds the reads of logs in a minute.
	logReads uint16
}

func newConsole(env Env, run func(context.Context, Env, consoleOptions) error) *cobra.Command {
	var o consoleOptions
	c := &cobra.Command{
		Use:   "console",
		Short: "Show an installation in the browser: drops, jobs, logs, curves",
		Long: `Serve pages that show what became of what people dropped, while it happens,
until it is interrupted: the drops, the violations at their lines, the job's way
with its deadlines, its log, its outputs and curves, the queue and the limits.

It reads with your own credentials, listens on this machine only, and answers
your browser only: the address that it prints has a key, which other accounts of
the machine don't know. It changes nothing, unless --act lets whoever sees a
page cancel an attempt and run it again. On Cloud Run, behind Identity-Aware
Proxy, --iap-audience is the audience of the proxy's assertions, which say who
asks, and viewers of the policy say what they see:

  /projects/NUMBER/locations/REGION/services/NAME

jobdrop local serves the same pages for its stack.

Rights: storage.objects.get and storage.objects.list on the state bucket;
storage.objects.get on the inbox, for the lines of job files, and on the bucket
of the policy; logging.logEntries.list on the project, for logs; both storage
rights on the buckets of job directories, for outputs and curves. With --act,
storage.objects.create below requests/ of the state bucket.

Exit codes: 0 interrupted, 64 wrong usage or environment, 69 a right or the
storage is missing, or the port is taken, 70 jobdrop's own fault.`,
		Example: `  jobdrop console --env acme.env
  jobdrop console --env acme.env --act --port 9000`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return run(c.Context(), env, o) },
	}
	f := c.Flags()
	o.flags(f)
	f.StringVar(&o.host, "host", "127.0.0.1", "address of this machine to listen on")
	f.Uint16Var(&o.port, "port", consolePort, "port to listen on; 0 is any free one")
	f.StringVar(&o.audience, "iap-audience", "", "on Cloud Run, behind Identity-Aware Proxy: the audience of its assertions; "+
		"who sees what is said by viewers of the policy")
	f.Uint16Var(&o.logReads, "log-reads-per-minute", joblogs.DefaultReads, "how often logs may be read in a minute: Cloud "+
		"Logging takes 60 in a project, of which the functions take 20 at most; consoles that run beside each other share "+
		"what is left")
	f.BoolVar(&o.act, "act", false, "let whoever sees a page cancel attempts and run them again")
	return c
}

func showConsole(ctx context.Context, env Env, o consoleOptions) error {
	if ip := net.ParseIP(o.host); o.audience == "" && (ip == nil || !ip.IsLoopback()) {
		return exit(exitUsage, "--host is %q: without --iap-audience nobody checks who asks, so the console listens on this "+
			"machine only, as on 127.0.0.1", o.host)
	}
	if o.logReads == 0 {
		return exit(exitUsage, "--log-reads-per-minute is 0: no log could be read; the least is 1")
	}
	t, err := o.open(ctx, env, stateVariable)
	if err != nil {
		return err
	}
	v, err := newView(t.Config, t.storage, t.storage.Now)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(env.Err, nil))
	if o.audience != "" {
		logger = logging.New(env.Err, slog.LevelInfo)
	}
	c, err := v.console(ctx, t.storage, entriesOf(v.Config, o.audience != ""), int(o.logReads), logger)
	if err != nil {
		return err
	}
	c.Act = o.act
	query := ""
	if o.audience == "" {
		c.Key = rand.Text()
		query = "?key=" + c.Key
	} else {
		verifier, err := iap.New(ctx, o.audience, iap.Options{})
		if err != nil {
			return exit(exitUsage, "--iap-audience: %w", err)
		}
		c.Identify = func(r *http.Request) (string, error) {
			email, err := verifier.Verify(r)
			if err != nil {
				err = &console.IdentifyError{Status: iap.Status(err), Err: err}
			}
			return email, err
		}
	}
	s, err := console.New(c)
	if err != nil {
		return fault(err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(o.host, strconv.Itoa(int(o.port))))
	if err != nil {
		return missing(fmt.Errorf("%w; name another port with --port", err))
	}
	fmt.Fprintf(env.Out, "The console of %s, until it is interrupted:\n  http://%s/%s\n", v.name(), l.Addr(), query)
	return fault(serveConsole(ctx, l, s))
}

// name is what people call the installation.
func (v *view) name() string {
	if v.Instance != "" {
		return v.Instance
	}
	return "gs://" + v.State
}

// entriesOf returns the resource in Cloud Logging whose entries are the logs of jobs; empty for none. On Cloud Run the
// console's account has a right to the installation's log view alone, which people may lack.
func entriesOf(c config.Config, cloudRun bool) string {
	switch {
	case cloudRun && c.LogView != "":
		return c.LogView
	case c.Project != "":
		return "projects/" + c.Project
	}
	return ""
}

// console returns the settings of a console of the installation, which reads with the caller's own rights. entries is the
// resource in Cloud Logging that logs are read from, logReads times a minute: see [entriesOf].
func (v *view) console(ctx context.Context, storage *gcs.Client, entries string, logReads int, logger *slog.Logger) (
	c console.Config, err error,
) {
	c = console.Config{
		Instance: v.Instance, Inbox: v.Inbox, State: v.State, Status: v.Status, Records: v.records, Store: v.store,
		Policy: v.policy, ObjectURL: objectURL(v.Config), RuleURL: ruleURL, Poll: v.consolePoll(), Now: v.now, Logger: logger,
	}
	if c.Scalars, err = scalars.New(storage, scalars.Options{Logger: logger}); err != nil {
		return c, fault(err)
	}
	if entries != "" {
		reader, err := joblogs.New(ctx, joblogs.Options{
			Resource: entries, Endpoint: v.LoggingEndpoint, ReadsPerMinute: logReads,
		})
		if err != nil {
			return c, missing(fmt.Errorf("%w; "+login, err))
		}
		c.Logs = reader
	}
	return c, nil
}

// consolePoll is how often the console looks for something new.
func (v *view) consolePoll() time.Duration {
	if v.StorageEmulator != "" {
		return time.Second
	}
	return 0
}

// objectURL returns where a browser gets objects of the installation; nil is Google's own page. The local storage sends
// them to be saved, not shown: a browser heeds the page's own word for that only on the page's own origin.
func objectURL(c config.Config) func(job.Object) string {
	if c.StorageEmulator == "" {
		return nil
	}
	base := c.StorageEmulator
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	return func(o job.Object) string {
		return fmt.Sprintf("%s/storage/v1/b/%s/o/%s?alt=media&generation=%d&response-content-disposition=attachment",
			strings.TrimSuffix(base, "/"), url.PathEscape(o.Bucket), url.PathEscape(o.Name), o.Generation)
	}
}

// ruleURL returns the page that explains a rule; empty for a rule of another revision.
func ruleURL(rule job.Rule) string {
	p, _ := rules.Find(rule)
	return p.URL
}

// serveConsole serves a console until ctx ends.
func serveConsole(ctx context.Context, l net.Listener, s *console.Server) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		WriteTimeout:   time.Minute, // a stream sets a later one with each event
		MaxHeaderBytes: 64 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		s.Close()
		return err
	case <-ctx.Done():
	}
	s.Close() // ends the streams, for which a shutdown would wait
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		return server.Close()
	}
	return nil
}

// stackConsole serves the console of a local stack, at an address of this machine or, if that is empty, a free one. It
// returns its own address, and what ends it.
func stackConsole(ctx context.Context, lookup config.Lookup, address string, hosts []string, logger *slog.Logger) (
	string, func() error, error,
) {
	c, err := config.LoadFor(lookup, stateVariable)
	if err != nil {
		return "", nil, err
	}
	storage, err := gcs.New(ctx, c.StorageEmulator)
	if err != nil {
		return "", nil, err
	}
	v, err := newView(c, storage, storage.Now)
	if err != nil {
		return "", nil, err
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	own, err := v.console(ctx, storage, entriesOf(c, false), joblogs.DefaultReads, logger)
	if err != nil {
		return "", nil, err
	}
	own.Act, own.Hosts = true, hosts
	s, err := console.New(own)
	if err != nil {
		return "", nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- serveConsole(serving, l, s) }()
	return "http://" + l.Addr().String() + "/", func() error { stop(); return <-ended }, nil
}

// envLookup returns what looks a setting up among NAME=value.
func envLookup(env []string) config.Lookup {
	return func(name string) (string, bool) {
		for _, kv := range env {
			if value, ok := strings.CutPrefix(kv, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}
