package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/service/subscriber"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// eventsOptions are what jobdrop events is asked for.
type eventsOptions struct {
	targetOptions
	name   string // of one attempt; empty for all
	follow bool
	since  time.Duration // zero if no history is asked for
	reach  time.Duration
	limit  int
	folder string
	types  []string
	format formatFlag
}

func newEvents(env Env, run func(context.Context, Env, eventsOptions) error) *cobra.Command {
	var o eventsOptions
	c := &cobra.Command{
		Use:   "events [ATTEMPT|JOB|DROP]",
		Short: "Show what happened, and what happens",
		Long: `Show lifecycle events: those of the last hour or of --since, and with --follow
those that come, until it is interrupted. With an argument, show those of one
attempt, and follow it until its verdict.

` + nameHelp + `

What happened is read from the histories of the attempts: those that are open,
and those that ended since and were dropped within --reach. What comes is
received by a subscription of its own, which is removed at the end; Pub/Sub
removes it after a day if nobody could. An event is shown once.

-o json prints one JSON a line.

Rights: for what happened, storage.objects.get and storage.objects.list on the
state bucket; for --follow, pubsub.subscriptions.create on the topic's project,
pubsub.topics.attachSubscription on the topic, and pubsub.subscriptions.consume
and pubsub.subscriptions.delete on the subscription, which roles/pubsub.editor
has.

Exit codes: 0 shown, 64 wrong usage or environment, 66 there is no such attempt,
69 a right or a service is missing, 70 jobdrop's own fault, 75 the line was
lost, 130 interrupted. An interrupt of --follow is 0.`,
		Example: `  jobdrop events --since 24h --type 'job.failed' --env acme.env
  jobdrop events --follow --folder teams/nlp/
  jobdrop events --follow -o json | jq -r 'select(.type == "job.failed").reason'`,
		Args: takesAtMost("ATTEMPT|JOB|DROP"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.name = args[0]
			}
			if o.since == 0 && !o.follow {
				o.since = time.Hour
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
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with what happens")
	f.DurationVar(&o.since, "since", 0, "begin with what happened in this time, such as 24h (default 1h without --follow)")
	f.DurationVar(&o.reach, "reach", 8*24*time.Hour,
		"how long before that attempts may have been dropped that ended since: as long as jobs wait and run")
	f.IntVar(&o.limit, "limit", 200, "most attempts whose histories are read")
	f.StringVar(&o.folder, "folder", "", "only events of this folder of the inbox and those below it")
	f.StringSliceVar(&o.types, "type", nil, "only events of these types: job.failed, drop.*")
	return c
}

// complete checks the flags.
func (o *eventsOptions) complete() error {
	if err := o.format.check(); err != nil {
		return err
	}
	for _, t := range o.types {
		if _, err := path.Match(t, ""); err != nil {
			return fmt.Errorf("--type is %q, which is not a pattern", t)
		}
		if !slices.ContainsFunc(routes.Types(), func(known string) bool { ok, _ := path.Match(t, known); return ok }) {
			return fmt.Errorf("--type is %q, which no type of event matches%s", t, meant(t, routes.Types()))
		}
	}
	switch {
	case o.since < 0 || o.reach < 0:
		return errors.New("--since and --reach must not be negative")
	case o.limit < 1:
		return errors.New("--limit must be 1 or more")
	case o.name != "" && o.folder != "":
		return errors.New("an argument shows one attempt: leave --folder out")
	}
	return nil
}

// happened is an event in short. Its JSON is a line of -o json.
type happened struct {
	Attempt       string    `json:"attempt"`
	Sequence      int64     `json:"sequence"`
	Type          string    `json:"type"`
	Time          time.Time `json:"time"`
	Bucket        string    `json:"bucket"`
	Folder        string    `json:"folder"`
	JobID         string    `json:"jobId,omitempty"`
	CorrelationID string    `json:"correlationId,omitempty"`
	Reason        string    `json:"reason,omitempty"`
}

// historyOf returns the events of an attempt.
func historyOf(s job.Snapshot) (all []happened) {
	for _, h := range s.History {
		all = append(all, happenedTo(s, h.Type, h.Sequence, h.Time, h.Reason))
	}
	return all
}

// happenedTo returns an event of an attempt.
func happenedTo(s job.Snapshot, t job.EventType, sequence int64, at time.Time, reason string) happened {
	return happened{
		Attempt: s.Attempt, Sequence: sequence, Type: t.Short(), Time: at, Reason: reason,
		Bucket: s.Drop.Bucket, Folder: s.Drop.Prefix, JobID: s.Job.ID, CorrelationID: s.CorrelationID,
	}
}

// eventPrinter prints events, each once. It is safe for concurrent use.
type eventPrinter struct {
	eventsOptions
	env     Env
	attempt string // empty for all

	mu    sync.Mutex
	shown map[string]int64 // the last sequence number of each attempt
}

// takes reports whether an event is asked for.
func (p *eventPrinter) takes(e happened) bool {
	return (p.attempt == "" || e.Attempt == p.attempt) && strings.HasPrefix(e.Folder, p.folder) &&
		(len(p.types) == 0 || slices.ContainsFunc(p.types, func(pattern string) bool {
			ok, _ := path.Match(pattern, e.Type) // it was checked
			return ok
		}))
}

// print prints an event that is asked for and was not printed.
func (p *eventPrinter) print(e happened) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Sequence <= p.shown[e.Attempt] || !p.takes(e) {
		return nil
	}
	p.shown[e.Attempt] = e.Sequence
	if p.format == formatJSON {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(e); err != nil {
			return err
		}
		_, err := p.env.Out.Write(escaped(b.Bytes()))
		return err
	}
	return p.printText(e)
}

// printText prints an event as a line; on a terminal that is too narrow, its reason stands below.
func (p *eventPrinter) printText(e happened) error {
	state := job.State(e.Type[strings.LastIndexByte(e.Type, '.')+1:])
	word := fmt.Sprintf("%-15s", e.Type)
	line := e.Time.UTC().Format("2006-01-02 15:04:05") + "  " + p.env.paint(state, word) + " " +
		strings.TrimRight(cell(e.Folder)+"  "+cell(e.JobID), " ")
	reason, width := oneLine(e.Reason), p.env.width()
	length := len([]rune(line)) - len(p.env.paint(state, word)) + len(word)
	switch {
	case reason == "":
		line += "\n"
	case length+gap+len([]rune(reason)) <= width:
		line += "  " + reason + "\n"
	default:
		line += "\n" + setIn(reason, width, indent, indent)
	}
	_, err := io.WriteString(p.env.Out, line)
	return err
}

func showEvents(ctx context.Context, env Env, o eventsOptions) (err error) {
	var names []string
	if o.follow {
		names = append(names, "JOBDROP_TOPIC")
	}
	v, err := o.view(ctx, env, names...)
	if err != nil {
		return err
	}
	p := &eventPrinter{eventsOptions: o, env: env, shown: map[string]int64{}}
	if p.folder, err = v.folderOf(o.folder); err != nil {
		return err
	}
	if o.name != "" {
		if p.attempt, err = v.find(ctx, o.name); err != nil {
			return ended(ctx, err)
		}
	}
	if !o.follow {
		_, err := v.history(ctx, p)
		return ended(ctx, err)
	}
	// The subscription comes first: nothing happens unseen between the two.
	s, err := subscriber.Open(ctx, v.Topic, "jobdrop-"+requestID(), subscriber.Options{Emulator: v.PubSubEmulator})
	if err != nil {
		return ended(ctx, notSubscribed(v.Topic, err))
	}
	defer func() { err = errors.Join(err, fault(s.Close(ctx))) }()
	over, err := v.history(ctx, p)
	if err == nil && !over {
		err = p.receive(ctx, s)
	}
	if ctx.Err() != nil {
		return nil // an interrupt is how it ends
	}
	return ended(ctx, err)
}

// notSubscribed returns the error of a subscription that could not be made, with the rights that it takes.
func notSubscribed(topic string, err error) error {
	if errors.Is(err, job.ErrDenied) {
		return &rightError{"pubsub.subscriptions.create", "the topic's project, or pubsub.topics.attachSubscription on " +
			topic, err}
	}
	return missing(err)
}

// errOver ends what receives the events of an attempt that has its verdict.
var errOver = errors.New("the attempt has its verdict")

// receive prints the events that come, until ctx ends or the attempt has its verdict.
func (p *eventPrinter) receive(ctx context.Context, s *subscriber.Subscription) error {
	err := s.Receive(ctx, func(e cloudevents.Event) error {
		t, body, err := event.Decode(e)
		if err != nil {
			return nil // of a later revision
		}
		if err := p.print(happenedTo(body, t, body.Sequence, e.Time().UTC(), body.Reason)); err != nil {
			return fault(fmt.Errorf("output: %w", err))
		}
		if p.attempt == body.Attempt && body.State.Terminal() {
			return errOver
		}
		return nil
	})
	if errors.Is(err, errOver) {
		return nil
	}
	if _, coded := errors.AsType[*exitError](err); err != nil && !coded {
		return exit(exitRunning, "%w", err)
	}
	return err
}

// history prints what happened, in order of time. over reports that it is of one attempt, which has its verdict.
func (v *view) history(ctx context.Context, p *eventPrinter) (over bool, err error) {
	if p.attempt != "" {
		s, err := v.records.Attempt(ctx, p.attempt)
		if errors.Is(err, job.ErrNotFound) {
			err = &unknownError{name: p.name, in: "gs://" + v.State}
		}
		if err == nil {
			err = p.printAll(historyOf(s), time.Time{})
		}
		return s.State.Terminal(), err
	}
	if p.since == 0 {
		return false, nil
	}
	since := v.now().Add(-p.since)
	rows, more, err := v.records.Since(ctx, since, since.Add(-p.reach), p.limit)
	if err != nil {
		return false, err
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		all   []happened
		errs  []error
	)
	slots := make(chan struct{}, historiesAtOnce)
	for _, row := range rows {
		if !strings.HasPrefix(row.Folder, p.folder) {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			s, err := v.records.Attempt(ctx, row.Attempt)
			if errors.Is(err, job.ErrNotFound) {
				return // it is written in a moment
			}
			mu.Lock()
			defer mu.Unlock()
			all, errs = append(all, historyOf(s)...), append(errs, err)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return false, err
	}
	if more {
		fmt.Fprintf(p.env.Err, "jobdrop: only %d attempts are looked at: --limit takes more, and --since less\n", p.limit)
	}
	return false, p.printAll(all, since)
}

// historiesAtOnce is how many histories are read at once.
const historiesAtOnce = 8

// printAll prints the events since a time, in their order.
func (p *eventPrinter) printAll(all []happened, since time.Time) error {
	slices.SortStableFunc(all, func(a, b happened) int { return a.Time.Compare(b.Time) })
	for _, e := range all {
		if e.Time.Before(since) {
			continue
		}
		if err := p.print(e); err != nil {
			return fault(fmt.Errorf("output: %w", err))
		}
	}
	return nil
}
