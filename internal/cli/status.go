package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// statusOptions are what jobdrop status is asked for.
type statusOptions struct {
	targetOptions
	name   string // of one attempt; empty for a table
	query  ledger.Query
	since  time.Duration // 0 is all
	watch  bool
	every  time.Duration
	format formatFlag
}

func newStatus(env Env, run func(context.Context, Env, statusOptions) error) *cobra.Command {
	var o statusOptions
	var state string
	c := &cobra.Command{
		Use:   "status [ATTEMPT|JOB|DROP]",
		Short: "Show which attempts there are and how far they have come",
		Long: `Show which attempts there are and how far they have come, the newest upload
first. With an argument, show one attempt in full: its history, its deadlines,
and its place in the queue.

` + nameHelp + `

--folder and --correlation search the newest 2,000 attempts; --page goes on.
--state takes one of an event's states: waiting, held, accepted, submitted,
queued, preparing, running, rejected, withdrawn, expired, succeeded, failed,
cancelled, timed_out, lost.

Columns fit the terminal; elsewhere each attempt is one line, with all columns,
and --watch prints the lines that have changed.

Rights: storage.objects.get and storage.objects.list on the state bucket. One
attempt takes the second only where its drop's status has expired.

Exit codes: 0 shown, whatever the state, 64 wrong usage or environment, 66 there
is no such attempt, 69 a right or the storage is missing, 70 jobdrop's own
fault, 130 interrupted. An interrupt of --watch is 0.`,
		Example: `  # The newest attempts, and those that failed below a folder.
  jobdrop status --env acme.env
  jobdrop status --state failed --since 24h --folder teams/nlp/
  # One in full.
  jobdrop status teams/nlp/census/
  # The states of all, for a program.
  jobdrop status -o json | jq -r '.attempts[] | [.state, .folder] | @tsv'`,
		Args: takesAtMost("ATTEMPT|JOB|DROP"),
		RunE: func(c *cobra.Command, args []string) error {
			if known := routes.States(); state != "" && !slices.Contains(known, state) {
				return fmt.Errorf("--state is %q, which is not a state%s", state, meant(state, known))
			}
			o.query.State = job.State(state)
			if len(args) > 0 {
				o.name = args[0]
			}
			if err := o.complete(); err != nil {
				return err
			}
			return run(c.Context(), env, o)
		},
	}
	f := c.Flags()
	o.flags(f)
	o.format.flag(f)
	f.StringVar(&state, "state", "", "only attempts in this state")
	f.StringVar(&o.query.Folder, "folder", "", "only attempts of this folder of the inbox and those below it")
	f.StringVar(&o.query.CorrelationID, "correlation", "", "only attempts with this correlation ID")
	f.DurationVar(&o.since, "since", 0, "only attempts dropped in this time, such as 24h")
	f.StringVar(&o.query.JobID, "job", "", "only the attempt of this job; takes no other filter")
	f.IntVarP(&o.query.Most, "limit", "n", 20, fmt.Sprintf("most attempts, 1 to %d", ledger.PageSize))
	f.StringVar(&o.query.Token, "page", "", "go on where an earlier table ended")
	f.BoolVarP(&o.watch, "watch", "w", false,
		"show it again as it changes, until it is interrupted or the attempt has ended")
	f.DurationVar(&o.every, "every", 5*time.Second, "how often --watch looks")
	return c
}

// takesAtMost returns a check of a command's arguments, which takes one or none.
func takesAtMost(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("%q is one argument too many: %s [%s]", args[1], c.CommandPath(), name)
		}
		return nil
	}
}

// complete checks the flags.
func (o *statusOptions) complete() error {
	if err := o.format.check(); err != nil {
		return err
	}
	if o.query.Most < 1 || o.query.Most > ledger.PageSize {
		return fmt.Errorf("--limit is %d, must be from 1 to %d", o.query.Most, ledger.PageSize)
	}
	if o.every < time.Second {
		return fmt.Errorf("--every is %s, must be 1s or more", o.every)
	}
	if o.since < 0 || o.since > 0 && o.query.JobID != "" {
		return errors.New("--since must not be negative, and --job takes no other filter")
	}
	q := o.query
	filters := o.since > 0 || cmp.Or(string(q.State), q.Folder, q.CorrelationID, q.JobID, q.Token) != ""
	if o.name != "" && filters {
		return errors.New("an argument shows one attempt: leave the filters out")
	}
	return nil
}

func showStatus(ctx context.Context, env Env, o statusOptions) error {
	v, err := o.view(ctx, env)
	if err != nil {
		return err
	}
	if o.query.Folder, err = v.folderOf(o.query.Folder); err != nil {
		return err
	}
	if o.watch {
		return ended(ctx, v.watchStatus(ctx, env, o))
	}
	s, err := v.look(ctx, o)
	if err == nil {
		err = s.write(env, env.Out, o, v.now())
	}
	return ended(ctx, err)
}

// clearScreen puts the cursor of a terminal to the upper left, and clears what is below (ECMA-48).
const clearScreen = "\x1b[H\x1b[J"

// watchStatus shows the status until ctx ends or, of one attempt, until it has ended. On a terminal it is shown in
// place. Elsewhere what has changed is printed: as lines, or as JSON of all. Once it was shown, it goes on without an
// answer.
func (v *view) watchStatus(ctx context.Context, env Env, o statusOptions) error {
	poll := time.NewTicker(o.every)
	defer poll.Stop()
	var before *shown
	for lost := false; ; {
		now, err := v.look(ctx, o)
		switch {
		case err == nil:
			if err := now.draw(env, o, before, v.now()); err != nil || now.over() {
				return err
			}
			before, lost = &now, false
		case before == nil, ctx.Err() == nil && !unanswered(err):
			return err
		case !lost && ctx.Err() == nil:
			lost = true
			fmt.Fprintln(env.Err, "jobdrop: no answer, and tried again:", oneLine(err.Error()))
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil // an interrupt is how a watch ends
		}
	}
}

// draw writes a frame of a watch: all of it on a terminal, else what has changed since the frame before, which is nil
// at the beginning.
func (s shown) draw(env Env, o statusOptions, before *shown, now time.Time) error {
	switch {
	case env.Terminal && o.format == formatText:
		var b bytes.Buffer
		if err := s.write(env, &b, o, now); err != nil {
			return err
		}
		_, err := io.WriteString(env.Out, clearScreen+firstLines(env, b.String()))
		return err
	case before == nil, o.format == formatJSON && !reflect.DeepEqual(*before, s):
		return s.write(env, env.Out, o, now)
	case o.format == formatText:
		_, err := io.WriteString(env.Out, s.changes(*before, now))
		return err
	}
	return nil
}

// firstLines returns as much of a text as a terminal shows above its last line.
func firstLines(env Env, text string) string {
	if env.Size == nil {
		return text
	}
	_, height := env.Size()
	lines := strings.SplitAfter(text, "\n")
	if height < 2 || len(lines) <= height {
		return text
	}
	return strings.Join(lines[:height-1], "")
}

// shown is what is shown: one attempt, or a page of attempts.
type shown struct {
	one  *oneStatus
	page ledger.Page
}

// look reads what is shown.
func (v *view) look(ctx context.Context, o statusOptions) (s shown, err error) {
	if o.name != "" {
		one, err := v.one(ctx, o.name)
		return shown{one: &one}, err
	}
	if o.since > 0 {
		o.query.Since = v.now().Add(-o.since)
	}
	s.page, err = v.records.Page(ctx, o.query)
	return s, err
}

// over reports whether it is one attempt, which has ended.
func (s shown) over() bool { return s.one != nil && s.one.Snapshot.State.Terminal() }

// write writes a table of attempts, or one attempt in full.
func (s shown) write(env Env, w io.Writer, o statusOptions, now time.Time) error {
	switch asJSON := o.format == formatJSON; {
	case s.one != nil && asJSON:
		return encode(w, s.one)
	case s.one != nil:
		return s.one.writeText(env, w, now)
	case asJSON:
		s.page.Attempts = append([]ledger.Row{}, s.page.Attempts...) // [] and not null
		return encode(w, s.page)
	}
	return writePage(env, w, s.page, o.query, now)
}

// changes returns what is new since it was shown before: of one attempt its events and its place in the queue, of a
// page the attempts that are new there or have another state. Each is a line, in the columns of the whole.
func (s shown) changes(before shown, now time.Time) string {
	var (
		rows    [][]string // the first one has the heads
		changed []int
		b       strings.Builder
	)
	if s.one != nil {
		rows = historyRows(s.one.Snapshot)
		for i := len(before.one.Snapshot.History) + 1; i < len(rows); i++ {
			changed = append(changed, i)
		}
		if q := s.one.Queue; q != nil && (before.one.Queue == nil || q.String() != before.one.Queue.String()) {
			b.WriteString("queue  " + cell(q.String()) + "\n")
		}
	} else {
		rows = pageRows(s.page.Attempts, unlimited, now)
		known := map[string]ledger.Row{}
		for _, row := range before.page.Attempts {
			known[row.Attempt] = row
		}
		for i, is := range s.page.Attempts {
			was, ok := known[is.Attempt]
			if !ok || is.State != was.State || is.JobID != was.JobID || is.Waits != was.Waits {
				changed = append(changed, i+1)
			}
		}
	}
	lines := strings.SplitAfter(layout(rows, unlimited, nil), "\n")
	for _, i := range changed {
		b.WriteString(lines[i])
	}
	return b.String()
}

// writePage writes attempts as a table.
func writePage(env Env, w io.Writer, page ledger.Page, q ledger.Query, now time.Time) error {
	var b strings.Builder
	if len(page.Attempts) == 0 {
		b.WriteString("No attempts.\n")
	} else {
		rows := pageRows(page.Attempts, env.width(), now)
		b.WriteString(layout(rows, env.width(), func(row, column int, part string) string {
			if row == 0 || column > 0 {
				return part
			}
			return env.paint(page.Attempts[row-1].State, part)
		}))
	}
	if page.Next != "" && env.Terminal { // elsewhere every line is an attempt
		said := "There are more"
		if !page.Back.IsZero() && (q.Folder != "" || q.CorrelationID != "") {
			said = "Searched back to " + text.Instant(page.Back)
		}
		fmt.Fprintf(&b, "%s: --page %s goes on.\n", said, page.Next)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wideTable is from what width on a table has all columns: a job's ID, an attempt's name and a folder take 150
// characters, and the rest 40.
const wideTable = 180

// pageRows returns the rows of a table of attempts, the first one with the heads of its columns.
func pageRows(attempts []ledger.Row, width int, now time.Time) [][]string {
	waits := false
	for _, a := range attempts {
		waits = waits || a.Waits != ""
	}
	head := []string{"STATE", "AGE", "FOLDER", "JOB"}
	if width >= wideTable {
		head = append(head, "DROPPED", "TOOK", "ATTEMPT", "CORRELATION")
	}
	if waits {
		head = append(head, "WAITS FOR")
	}
	rows := [][]string{head}
	for _, a := range attempts {
		row := []string{
			cmp.Or(string(a.State), "new"), text.Age(now.Sub(a.Dropped)), cmp.Or(cell(a.Folder), "/"), cmp.Or(cell(a.JobID), "-"),
		}
		if width >= wideTable {
			took := "-"
			if !a.Concluded.IsZero() {
				took = text.Age(a.Concluded.Sub(a.Dropped))
			}
			row = append(row, a.Dropped.UTC().Format(time.RFC3339), took, a.Attempt, cmp.Or(cell(a.CorrelationID), "-"))
		}
		if waits {
			row = append(row, cmp.Or(cell(a.Waits), "-"))
		}
		rows = append(rows, row)
	}
	return rows
}

// paint returns a word in the colour of a state, where there are colours.
func (e Env) paint(s job.State, word string) string {
	if colour := colourOf(s); colour != "" && e.colours() {
		return colour + word + noColour
	}
	return word
}

// oneStatus is one attempt in full. Its JSON is what -o json prints.
type oneStatus struct {
	Snapshot job.Snapshot `json:"snapshot"`
	// Queue is its place, if it waits for its turn.
	Queue *account.Place `json:"queue,omitempty"`
	// Budget is what is left of the operator's budget for it, if it waits for its turn under one.
	Budget *account.Budget `json:"budget,omitempty"`
	// Policy says what is wrong with a policy that is not valid, if the attempt is still to be decided.
	Policy string `json:"policy,omitempty"`
	// Console is its page in the installation's console, if the settings name that.
	Console string `json:"console,omitempty"`
}

// one returns the attempt that a name stands for.
func (v *view) one(ctx context.Context, name string) (oneStatus, error) {
	r, err := v.record(ctx, name)
	if err != nil {
		return oneStatus{}, err
	}
	s := oneStatus{Snapshot: r.Snapshot(), Console: pageOf(v.address, r.Attempt)}
	var unread error
	if s.Queue, s.Budget, unread, err = v.accounts.Turn(ctx, r); errors.Is(unread, account.ErrPolicy) {
		s.Policy = unread.Error()
	}
	return s, err
}
