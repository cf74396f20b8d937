package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/app"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/destination"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/service/secrets"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// notifyTestOptions are what jobdrop notify test is asked for.
type notifyTestOptions struct {
	routes string
	events []string
	send   bool
	bytes  bool
	format string
}

func newNotifyTest(env Env, run func(context.Context, Env, notifyTestOptions) error) *cobra.Command {
	var o notifyTestOptions
	c := &cobra.Command{
		Use:   "test ROUTES EVENT...",
		Short: "Tell who hears of an event, why, and in which words",
		Long: `Tell who hears of an event, why, and in which words. EVENT is one of the
examples job.failed, drop.rejected, … (all types of docs/events), or a file with
a CloudEvent in JSON, a message as docs/events and gcloud's pull have it, or an
event's body such as status.json; - is standard input.

The first lines are what each route does with the event, those below another one
indented:

  takes      it tells its destinations
  passes on  a route below it took the event
  declines   the event does not match: which field, what it asks for, what it is
  fails      its expression failed, so it counts as one that does not match
  not asked  another route took the event, or the one above it declines

Below stand the destinations that are told, and what people read there. --bytes
shows what each would be sent instead: the URL, headers and body, or the mail. A
secret is shown as its reference, a signature as the key that makes it, and a
body of JSON with line breaks: --format json has its bytes. All is as if nothing
had been sent of the folder before, at the time of the event.

--send sends it, really, with the secrets that the references lead to and your
own credentials, and within the egress of the routes file. Its title begins with
TEST. It has IDs and a conversation of its own, so nothing that is sent later is
taken for a repeat, and an incident that is open stays as it is. What it opens
in PagerDuty it resolves at once.

Exit codes: 0 done, 64 wrong usage, routes that are not valid and a file that is
not an event included, 70 something could not be sent.`,
		Example: `  # Who hears of a failed job?
  jobdrop notify test routes.yaml job.failed
  # Of what became of a drop?
  gcloud storage cat gs://STATUS/census/status.json |
      jobdrop notify test routes.yaml -
  # Does it arrive?
  jobdrop notify test routes.yaml job.failed --send`,
		Args: takes("ROUTES", "EVENT…"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("--format", o.format, formatText, formatJSON); err != nil {
				return err
			}
			o.routes, o.events = args[0], args[1:]
			return run(c.Context(), env, o)
		},
	}
	c.Flags().BoolVar(&o.send, "send", false, "send the messages, really")
	c.Flags().BoolVar(&o.bytes, "bytes", false, "show the messages byte for byte")
	c.Flags().StringVar(&o.format, "format", formatText, text.Alternatives(formatText, formatJSON)+", which has the bytes")
	return c
}

// routing is what a routes file does with an event. Its JSON is what --format json lists.
type routing struct {
	ID        string            `json:"id"`
	Type      string            `json:"type"`
	Drop      string            `json:"drop"`
	Time      time.Time         `json:"time"`
	Decisions []routes.Decision `json:"decisions"`
	Messages  []shownMessage    `json:"messages"`
}

// shownMessage is what a destination would be sent, or was.
type shownMessage struct {
	Destination string `json:"destination"`
	Kind        string `json:"kind"`
	Route       string `json:"route"`
	// Faults are those of expressions and templates that the message names.
	Faults   []string  `json:"faults,omitempty"`
	Requests []request `json:"requests,omitempty"`
	Mails    []mail    `json:"mails,omitempty"`
	// Sent is set where it was sent, Error where that failed.
	Sent  bool   `json:"sent,omitempty"`
	Error string `json:"error,omitempty"`

	words notice.Text
}

func tryRoutes(ctx context.Context, env Env, o notifyTestOptions) error {
	data, err := readLocal(o.routes)
	if err != nil {
		return err
	}
	file, vs := routes.Parse(o.routes, data)
	if job.HasErrors(vs) || file == nil {
		if err := writeText(env.Err, env.width(), []report{routesReport(o.routes, data, vs)}); err != nil {
			return fault(err)
		}
		return fmt.Errorf("the routes file %s is not valid", o.routes)
	}
	var events []notice.Event
	for _, path := range o.events {
		es, err := readEvents(env.In, path)
		if err != nil {
			return err
		}
		events = append(events, es...)
	}
	var send *sending
	if o.send {
		if send, err = newSending(env, file); err != nil {
			return fault(err)
		}
	}
	all := []routing{}
	messages, failed := 0, 0
	for _, e := range events {
		r, err := route(ctx, file, e, env.Getenv("JOBDROP_STATUS_BUCKET"), send)
		if err != nil {
			return err
		}
		messages += len(r.Messages)
		for _, m := range r.Messages {
			if m.Error != "" {
				failed++
			}
		}
		all = append(all, r)
	}
	if o.format == formatJSON {
		err = encode(env.Out, all)
	} else {
		err = writeRoutings(env.Out, all, o.bytes)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("not sent: %d of %d messages", failed, messages)
	}
	return fault(err)
}

// route asks a routes file about an event, and sends its messages if send is set. An error is about the file.
func route(ctx context.Context, file *routes.File, e notice.Event, status string, send *sending) (routing, error) {
	matches, _ := file.Match(e) // the decisions tell the faults, too
	r := routing{
		ID: e.ID(), Type: e.Type().Short(), Drop: "gs://" + e.Body.Drop.Bucket + "/" + e.Body.Drop.Prefix,
		Time: e.Time().UTC(), Decisions: file.Explain(e), Messages: []shownMessage{},
	}
	instance := strings.TrimPrefix(e.CloudEvent.Source(), "//jobdrop.dev/")
	for _, m := range matches {
		d, ok := file.Destination(m.Destination)
		if !ok {
			return r, exit(exitUsage, "route %s: no destination %s", m.Route, m.Destination)
		}
		compose := func(e notice.Event) delivery.Message {
			o := notice.Options{Faults: m.Faults, StatusBucket: status}
			if send == nil {
				return notifier.Compose(instance, file, m.Route, d.Name, e, o)
			}
			message := notifier.Compose(instance+"/test", file, m.Route, d.Name, send.own(e), o)
			message.Text.Title = "TEST: " + message.Text.Title
			return message
		}
		message := compose(e)
		shown := shownMessage{
			Destination: d.Name, Kind: d.Kind(), Route: m.Route, Faults: message.Text.Faults, words: message.Text,
		}
		if err := shown.fill(ctx, d, message); err != nil {
			return r, exit(exitUsage, "%w", err)
		}
		if send != nil {
			shown.Sent = true
			if err := send.send(ctx, d, message, compose(success(e))); err != nil {
				shown.Sent, shown.Error = false, err.Error()
			}
		}
		r.Messages = append(r.Messages, shown)
	}
	return r, nil
}

// success returns the event that the next attempt of an event's folder succeeded, which resolves what the event opens.
func success(e notice.Event) notice.Event {
	e.Generation++
	e.Body.State, e.Body.Error = job.Succeeded, nil
	e.CloudEvent = e.CloudEvent.Clone()
	e.CloudEvent.SetType(string(job.JobSucceeded))
	e.CloudEvent.SetID(e.ID() + ".resolved")
	return e
}

// sending sends messages as Notify does.
type sending struct {
	outward app.Outward
	suffix  string // of the IDs of what is sent
}

// own returns an event under an ID that no other has: a receiver that knows the IDs of what it took would leave out the
// event itself, or the next test.
func (s *sending) own(e notice.Event) notice.Event {
	e.CloudEvent = e.CloudEvent.Clone()
	e.CloudEvent.SetID(e.ID() + s.suffix)
	return e
}

func newSending(env Env, file *routes.File) (*sending, error) {
	reader, err := secrets.New(secrets.Options{
		Lookup: func(name string) (string, bool) { value := env.Getenv(name); return value, value != "" },
		Now:    env.Now,
	})
	if err != nil {
		return nil, err
	}
	guard := destination.NewGuard(destination.Egress(file.Egress()), destination.GuardOptions{})
	return &sending{app.Outward{
		Guard: guard, Client: guard.Client(), Now: env.Now,
		Secret: func(r routes.Reference) destination.Secret { return destination.Reference(reader.Read, string(r)) },
	}, ".test-" + rand.Text()[:10]}, nil
}

// send sends a message. In PagerDuty, where it may call somebody, it is resolved.
func (s *sending) send(ctx context.Context, d routes.Destination, m, resolved delivery.Message) error {
	to, err := s.outward.Destination(d)
	if err != nil {
		return err
	}
	receipt, err := to.Send(ctx, m)
	opens := m.Text.Level == notice.Critical || m.Text.Level == notice.Careful
	if err != nil || d.PagerDuty == nil || !opens {
		return err
	}
	resolved.Receipt = receipt
	if _, err := to.Send(ctx, resolved); err != nil {
		return fmt.Errorf("sent, but not resolved: %w", err)
	}
	return nil
}

func writeRoutings(w io.Writer, all []routing, bytes bool) error {
	var b strings.Builder
	for i, r := range all {
		if i > 0 {
			b.WriteString("\n\n")
		}
		fmt.Fprintf(&b, "%s  %s  %s\n\n", r.Type, oneLine(r.Drop), text.Instant(r.Time))
		b.WriteString(decisionTable(r.Decisions))
		if len(r.Messages) == 0 {
			b.WriteString("\nNobody is told.\n")
		}
		for k, m := range r.Messages {
			if bytes {
				b.WriteString("\n" + m.text())
				continue
			}
			b.WriteString("\n" + m.brief())
			if next := k + 1; next == len(r.Messages) || !reflect.DeepEqual(m.words, r.Messages[next].words) {
				b.WriteString("\n" + wordsOf(m.words))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// decisionTable returns what each route did with an event. A reason that is too long goes on below itself.
func decisionTable(decisions []routes.Decision) string {
	const left = len("passes on") + gap
	var b strings.Builder
	fmt.Fprintf(&b, "%-*sROUTE: BECAUSE\n", left, "OUTCOME")
	for _, d := range decisions {
		at := left + 2*d.Depth
		lines := fold(d.Route+": "+cell(decidedBy(d)), max(tableWidth-at-2, tableWidth/2))
		fmt.Fprintf(&b, "%-*s%s\n", at, d.Outcome, lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(&b, "%*s%s\n", at+2, "", line)
		}
	}
	return b.String()
}

// decidedBy says why a route did what it did.
func decidedBy(d routes.Decision) string {
	wanted := d.Wanted
	if text, err := strconv.Unquote(wanted); err == nil && d.Field == "when" {
		wanted = text
	}
	var why []string
	switch {
	case d.Outcome == routes.Fails:
		return fmt.Sprintf("%s: %s (%s)", d.Field, d.Because, wanted)
	case d.Field == "when" && d.Outcome != routes.Declines:
		why = append(why, fmt.Sprintf("its expression failed, so it counts as one that holds: %s (%s)", d.Because, wanted))
	case d.Field == "when":
		return "when is false: " + wanted
	case d.Field != "":
		return fmt.Sprintf("%s wants %s; the event has %s", d.Field, wanted, cmp.Or(d.Found, "none"))
	case d.Because != "":
		return d.Because
	}
	switch {
	case d.Outcome == routes.PassesOn:
		why = append(why, "a route below it took the event")
	case len(d.To) > 0:
		why = append(why, "tells "+strings.Join(d.To, ", "))
	case len(d.Not) == 0:
		why = append(why, "tells nobody")
	}
	if len(d.Not) > 0 {
		why = append(why, "without match.types such events are not for "+strings.Join(d.Not, ", "))
	}
	return strings.Join(why, "; ")
}

// text returns what a destination would be sent.
func (m shownMessage) text() string {
	var b strings.Builder
	title := fmt.Sprintf("%s (%s), by route %s", m.Destination, m.Kind, m.Route)
	fmt.Fprintf(&b, "%s\n%s\n", title, strings.Repeat("-", len(title)))
	for _, f := range m.Faults {
		fmt.Fprintf(&b, "\nIt names a fault of the routes file: %s\n", oneLine(f))
	}
	for _, r := range m.Requests {
		b.WriteString("\n" + r.text())
	}
	b.WriteString(mailsText(m.Mails))
	if end := m.ending(); end != "" {
		b.WriteString("\n" + end + "\n")
	}
	return b.String()
}

// ending says what became of a message, or nothing if it is only shown.
func (m shownMessage) ending() string {
	switch {
	case m.Error != "":
		return "NOT SENT: " + oneLine(m.Error)
	case len(m.Requests)+len(m.Mails) == 0:
		return "Nothing is sent of such an event."
	case m.Sent:
		return "SENT"
	}
	return ""
}

// brief returns where a destination is told, without the message.
func (m shownMessage) brief() string {
	lines := []string{fmt.Sprintf("%s (%s), by route %s", m.Destination, m.Kind, m.Route)}
	for _, r := range m.Requests {
		line := "  " + r.Method + " " + oneLine(r.URL)
		if m.Kind == "webhook" {
			line += ": the event itself"
		}
		lines = append(lines, line)
	}
	for _, mail := range m.Mails {
		lines = append(lines, "  mail to "+oneLine(mail.To))
	}
	if end := m.ending(); end != "" {
		lines = append(lines, "  "+end)
	}
	return strings.Join(lines, "\n") + "\n"
}

// wordsOf returns what people read. Commands and links stay in one line, to be copied.
func wordsOf(t notice.Text) string {
	var lines []string
	paragraph := func(s string) {
		for line := range strings.Lines(s) {
			lines = append(lines, fold(cell(strings.TrimSuffix(line, "\n")), tableWidth-indent)...)
		}
	}
	section := func() { lines = append(lines, "") }
	paragraph(t.Title)
	if t.Summary != "" {
		paragraph(t.Summary)
	}
	if repeats := destination.Repeats(t); repeats != "" {
		paragraph(repeats)
	}
	if len(t.Facts) > 0 {
		section()
	}
	for _, f := range t.Facts {
		paragraph(f.Label + ": " + f.Value)
	}
	if t.Excerpt != "" {
		section()
		paragraph(t.Excerpt)
	}
	if len(t.Next) > 0 {
		section()
	}
	for _, s := range t.Next {
		paragraph(s.Text)
		if s.Command != "" {
			lines = append(lines, "  "+cell(s.Command))
		}
	}
	if len(t.Links)+len(t.Owners) > 0 {
		section()
	}
	for _, l := range t.Links {
		lines = append(lines, cell(l.Label+": "+l.URL))
	}
	for _, o := range t.Owners {
		paragraph("Mentions " + o.Name)
	}
	for _, f := range t.Faults {
		section()
		paragraph("It names a fault of the routes file: " + f)
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(strings.Repeat(" ", indent)+line, " ") + "\n")
	}
	return b.String()
}
