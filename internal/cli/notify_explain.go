package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/flow/notifier"
	"github.com/jobdrop/jobdrop/internal/notice"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// notifyExplainOptions are what jobdrop notify explain is asked for.
type notifyExplainOptions struct {
	attempt string
	format  string
}

func newNotifyExplain(env Env, run func(context.Context, Env, notifyExplainOptions) error) *cobra.Command {
	var o notifyExplainOptions
	c := &cobra.Command{
		Use:   "explain ATTEMPT",
		Short: "Tell who was told of an attempt and when, or why not",
		Long: `Tell who was told of an attempt and when, or why not. ATTEMPT is an attempt as
events and status.json have it, or a folder of the inbox, gs://INBOX/FOLDER/,
for its newest one.

The first table is what became of each of its events at each destination:

  sent       it was told
  overtaken  not told, since a later event of the folder says more
  counted    not told, since the same rejection was told a short time ago: the
             next message counts it
  given-up   the destination refused it, or did not take it for a day:
             notify replay sends it
  waits      it is sent at the time that stands there
  told       it was told or overtaken; the details are not kept any more
  not told   the routes want it told, and it has not been: the reason follows

The second is what each route does with the attempt's newest event, as the
routes are now: see notify test. What waits of all attempts: see notify waiting.

` + notifyEnvironment + ` The routes are
those of JOBDROP_ROUTES.

Exit codes: 0 done, 64 wrong usage or environment, an attempt that nobody knows
included, 70 not all could be read.`,
		Example: `  jobdrop notify explain gs://acme-inbox/census/
  jobdrop notify explain "$ATTEMPT" --format json`,
		Args: takes("ATTEMPT"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := oneOf("--format", o.format, formatText, formatJSON); err != nil {
				return err
			}
			o.attempt = args[0]
			if _, _, ok := folderURI(o.attempt); !ok && !attemptForm.MatchString(o.attempt) {
				return notAnAttempt(o.attempt)
			}
			return run(c.Context(), env, o)
		},
	}
	c.Flags().StringVar(&o.format, "format", formatText, text.Alternatives(formatText, formatJSON))
	return c
}

// folderURI returns the bucket, and the folder with its final slash, of gs://BUCKET/FOLDER/.
func folderURI(text string) (bucket, folder string, ok bool) {
	rest, ok := strings.CutPrefix(text, "gs://")
	if !ok {
		return "", "", false
	}
	bucket, folder, _ = strings.Cut(rest, "/")
	if folder = strings.Trim(folder, "/"); folder != "" {
		folder += "/"
	}
	return bucket, folder, bucket != ""
}

// newestOf returns the newest attempt of a folder; not ok if there is none.
func (n *notified) newestOf(ctx context.Context, bucket, folder string) (key string, ok bool, err error) {
	prefix := "attempts/" + job.FolderKey(bucket, folder) + "-"
	newest := int64(-1)
	err = n.storage.ListAfter(ctx, n.config.State, prefix, "", func(page []job.Attributes) error {
		for _, o := range page {
			text := strings.TrimSuffix(strings.TrimPrefix(o.Name, prefix), ".json")
			if g, err := strconv.ParseInt(text, 10, 64); err == nil && g > newest {
				newest = g
			}
		}
		return nil
	})
	return fmt.Sprintf("%s-%d", job.FolderKey(bucket, folder), newest), newest >= 0, err
}

// explanation is who was told of an attempt. Its JSON is what --format json prints.
type explanation struct {
	Attempt string `json:"attempt"`
	Drop    string `json:"drop,omitempty"`
	State   string `json:"state,omitempty"`
	// Newest is the attempt's newest event.
	Newest *newestEvent `json:"newest,omitempty"`
	Told   []toldEvent  `json:"told"`
	// Routes is the routes file; Fault says why it can't be asked.
	Routes    string            `json:"routes,omitempty"`
	Fault     string            `json:"fault,omitempty"`
	Decisions []routes.Decision `json:"decisions"`
}

type newestEvent struct {
	Type     string    `json:"type"`
	Sequence int64     `json:"sequence"`
	Time     time.Time `json:"time"`
}

// toldEvent is what became of an event at a destination.
type toldEvent struct {
	Destination string `json:"destination"`
	Route       string `json:"route"`
	Type        string `json:"type,omitempty"`
	Sequence    int64  `json:"sequence"`
	Outcome     string `json:"outcome"`
	// At is when it was told or given up, or the next try is.
	At   time.Time `json:"at,omitzero"`
	Note string    `json:"note,omitempty"`

	since time.Time // when what waits was due first
}

// The outcomes beside those of the record, see delivery.How.
const (
	outcomeWaits   = "waits"
	outcomeTold    = "told"
	outcomeNotTold = "not told"
)

func explainAttempt(ctx context.Context, env Env, o notifyExplainOptions) error {
	in, err := notifyInstallation(ctx, env)
	if err != nil {
		return err
	}
	if bucket, folder, ok := folderURI(o.attempt); ok {
		key, ok, err := in.newestOf(ctx, bucket, folder)
		if err != nil {
			return fault(err)
		}
		if !ok {
			return exit(exitUsage, "no attempt of gs://%s/%s is known in gs://%s: is that the inbox, and the folder?", bucket,
				folder, in.config.State)
		}
		o.attempt = key
	}
	x, err := in.explain(ctx, o.attempt)
	if err != nil {
		return fault(err)
	}
	if x.Newest == nil && len(x.Told) == 0 {
		return exit(exitUsage, "no attempt %s is known in gs://%s", o.attempt, in.config.State)
	}
	if o.format == formatJSON {
		return fault(encode(env.Out, x))
	}
	return fault(x.writeText(env.Out))
}

func (n *notified) explain(ctx context.Context, key string) (explanation, error) {
	x := explanation{Attempt: key, Told: []toldEvent{}, Decisions: []routes.Decision{}}
	accounts, err := n.notifier.Explain(ctx, key)
	if err != nil {
		return x, err
	}
	for _, a := range accounts {
		x.Told = append(x.Told, toldOf(a)...)
	}
	e, ok, err := n.newest(ctx, key)
	if err != nil || !ok {
		return x, err
	}
	x.Drop, x.State = "gs://"+e.Body.Drop.Bucket+"/"+e.Body.Drop.Prefix, string(e.Body.State)
	if e.Type() == "" {
		return x, nil // it has no event yet
	}
	x.Newest = &newestEvent{e.Type().Short(), e.Body.Sequence, e.Time().UTC()}
	x.Routes = n.routesURI()
	file, err := n.routes(ctx)
	switch {
	case err != nil:
		x.Fault = err.Error()
		return x, nil
	case file == nil:
		x.Routes, x.Fault = "", "the installation has no routes: JOBDROP_ROUTES is not set"
		return x, nil
	}
	for i, t := range x.Told {
		if _, ok := file.Destination(t.Destination); !ok && t.Outcome == outcomeWaits {
			x.Told[i].Note = fmt.Sprintf(
				"the routes have no destination %s any more: unless it comes back, this is given up at %s", t.Destination,
				text.Instant(t.since.Add(delivery.GiveUpTime)))
		}
	}
	x.Decisions = append(x.Decisions, file.Explain(e)...)
	started, err := n.notifier.Started(ctx)
	if err != nil {
		return x, err
	}
	matches, _ := file.Match(e)
	for _, m := range matches {
		if !x.knows(m.Route, m.Destination, e.Body.Sequence) {
			x.Told = append(x.Told, toldEvent{
				Destination: m.Destination, Route: m.Route, Type: x.Newest.Type, Sequence: x.Newest.Sequence,
				Outcome: outcomeNotTold, Note: untold(e, started),
			})
		}
	}
	return x, nil
}

// untold says why nothing is known of an event that the routes want told.
func untold(e notice.Event, started time.Time) string {
	switch {
	case started.IsZero():
		return "Notify has not been woken yet"
	case e.Time().Before(started):
		return "it happened before Notify was first started, at " + text.Instant(started)
	}
	return "it has not come to Notify yet, or the routes were others then"
}

// newest returns an attempt's newest event; not ok if there is no such attempt. Before its first event the CloudEvent
// is empty.
func (n *notified) newest(ctx context.Context, key string) (e notice.Event, ok bool, err error) {
	records, err := ledger.New(n.storage, n.config.State, ledger.Options{})
	if err != nil {
		return e, false, err
	}
	r, err := records.Get(ctx, key)
	if errors.Is(err, job.ErrNotFound) {
		return e, false, nil
	}
	if err != nil {
		return e, false, err
	}
	body := r.Snapshot()
	if len(body.History) == 0 {
		return notice.Event{Body: body}, true, nil
	}
	last := body.History[len(body.History)-1]
	c, err := event.Encode(n.config.Instance, job.Event{Type: last.Type, Time: last.Time, Body: body})
	if err != nil {
		return e, false, err
	}
	e, err = notice.Decode(c)
	return e, true, err
}

// toldOf returns what an account says of each event.
func toldOf(a notifier.Account) []toldEvent {
	var all []toldEvent
	if a.Through > 0 {
		all = append(all, toldEvent{
			Destination: a.Destination, Route: a.Route, Sequence: a.Through, Outcome: outcomeTold,
			Note: "all events up to this one",
		})
	}
	for _, t := range a.Told {
		all = append(all, toldEvent{
			Destination: a.Destination, Route: a.Route, Type: job.EventType(t.Type).Short(), Sequence: t.Sequence,
			Outcome: string(t.How), At: t.At.UTC(), Note: t.Note,
		})
	}
	for _, p := range a.Pending {
		w := toldEvent{
			Destination: a.Destination, Route: a.Route, Sequence: p.Sequence, Outcome: outcomeWaits, At: p.Next.UTC(),
			since: p.Since,
		}
		if e, err := p.Decode(); err == nil {
			w.Type = e.Type().Short()
		}
		if p.Error != "" {
			w.Note = fmt.Sprintf("tries since %s: %d; the last one: %s", text.Instant(p.Since), p.Tries, p.Error)
		}
		all = append(all, w)
	}
	return all
}

// knows reports whether it is known what became of an event at a destination.
func (x explanation) knows(route, destination string, sequence int64) bool {
	for _, t := range x.Told {
		if t.Route == route && t.Destination == destination &&
			(t.Sequence == sequence || t.Outcome == outcomeTold && t.Sequence > sequence) {
			return true
		}
	}
	return false
}

var timestamp = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)

// instants returns a text of a record with its times as people read them.
func instants(s string) string {
	return timestamp.ReplaceAllStringFunc(s, func(at string) string {
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return at
		}
		return text.Instant(t)
	})
}

func (x explanation) writeText(w io.Writer) error {
	var b strings.Builder
	b.WriteString(oneLine(x.Attempt) + "\n")
	if x.Drop != "" {
		b.WriteString(oneLine(x.Drop+"  "+x.State) + "\n")
	}
	b.WriteString("\n")
	if len(x.Told) == 0 {
		b.WriteString("Nobody was told.\n")
	} else {
		x.writeTold(&b)
	}
	switch {
	case x.Newest == nil:
		b.WriteString(folded("Its record is not there, or has no event yet: the routes can't be asked about it."))
	case x.Fault != "":
		b.WriteString(folded("The routes can't be asked: " + oneLine(x.Fault)))
	default:
		b.WriteString(folded(fmt.Sprintf("What %s says now of its newest event, %s of %s:",
			oneLine(x.Routes), x.Newest.Type, text.Instant(x.Newest.Time))))
		b.WriteString("\n" + decisionTable(x.Decisions))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeTold writes what became of each event at each destination, with a note below.
func (x explanation) writeTold(b *strings.Builder) {
	rows := [][]string{{"DESTINATION", "ROUTE", "EVENT", "OUTCOME", "AT"}}
	for _, t := range x.Told {
		at := "-"
		if !t.At.IsZero() {
			at = text.Instant(t.At)
		}
		event := strings.TrimSpace(fmt.Sprintf("%d %s", t.Sequence, t.Type))
		rows = append(rows, []string{t.Destination, t.Route, event, t.Outcome, at})
	}
	starts := starts(columns(rows, tableWidth))
	for i, row := range rows {
		line := ""
		for j, c := range row {
			if j > 0 {
				line += strings.Repeat(" ", max(gap, starts[j]-utf8.RuneCountInString(line)))
			}
			line += cell(c)
		}
		b.WriteString(line + "\n")
		if i == 0 || x.Told[i-1].Note == "" {
			continue
		}
		for _, line := range fold(cell(instants(x.Told[i-1].Note)), tableWidth-indent) {
			b.WriteString(strings.Repeat(" ", indent) + line + "\n")
		}
	}
}

// folded returns a paragraph after an empty line.
func folded(text string) string { return "\n" + strings.Join(fold(text, tableWidth), "\n") + "\n" }
