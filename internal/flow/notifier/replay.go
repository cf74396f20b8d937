package notifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/delivery"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Account says what a destination was told of an attempt by a route.
type Account struct {
	Route, Destination string
	// Told says what became of the attempt's events, Pending which of them wait.
	Told    []delivery.Told
	Pending []delivery.Intent
	// Through is the sequence up to which the attempt was told, where no more is known of it.
	Through int64
}

// Explain returns what each destination was told of an attempt, and what it is still to be told.
func (n *Notifier) Explain(ctx context.Context, attempt string) ([]Account, error) {
	folder, generation, ok := attemptOf(attempt)
	if !ok {
		return nil, fmt.Errorf("%q is not an attempt", attempt)
	}
	var accounts []Account
	err := n.each(ctx, folder, func(_ conversation, s stored) error {
		a := Account{Route: s.Route, Destination: s.Destination}
		for _, t := range s.Told {
			if t.Generation == generation {
				a.Told = t.Events
			}
		}
		for _, p := range s.Pending {
			if p.Generation == generation {
				p.Next = later(p.Next, s.NotBefore)
				a.Pending = append(a.Pending, p)
			}
		}
		for _, t := range s.Settled {
			if t.Generation == generation {
				a.Through = t.Sequence
			}
		}
		if len(a.Told) > 0 || len(a.Pending) > 0 || a.Through > 0 {
			accounts = append(accounts, a)
		}
		return nil
	})
	return accounts, err
}

// Replayed is an event that is to be sent again.
type Replayed struct {
	Attempt            string
	Sequence           int64
	Route, Destination string
	// Error is why it was given up, or what the last try said.
	Error string
	// Waiting reports that it was not given up, and would have been sent later.
	Waiting bool
}

// Replay has the next tick send what was given up, and what waits for a later try: of one attempt, or, if attempt is
// empty, of all that was given up, or due first, since a time. It calls each with every event; with dryRun it changes
// nothing. Run again after an error, it does what is left.
func (n *Notifier) Replay(ctx context.Context, attempt string, since time.Time, dryRun bool, each func(Replayed) error) error {
	var (
		folder     string
		generation int64
	)
	if attempt != "" {
		var ok bool
		if folder, generation, ok = attemptOf(attempt); !ok {
			return fmt.Errorf("%q is not an attempt", attempt)
		}
	}
	return n.each(ctx, folder, func(c conversation, s stored) error {
		var replayed, waiting []delivery.Intent
		step := func(r delivery.Record) (delivery.Record, bool) {
			r, replayed, waiting = r.Replay(generation, since, n.now())
			return r, len(replayed)+len(waiting) > 0
		}
		if dryRun {
			step(s.Record)
		} else {
			var err error
			if s, err = n.swap(ctx, c, s, step); err != nil {
				return err
			}
			// What an earlier run made due, and died before it wrote the entry, waits now.
			for _, p := range slices.Concat(waiting, replayed) {
				e := entryOf(c, p)
				e.asked = true
				if err := n.open(ctx, e); err != nil {
					return err
				}
			}
		}
		for k, p := range slices.Concat(waiting, replayed) {
			err := each(Replayed{
				Attempt: fmt.Sprintf("%s-%d", c.folder, p.Generation), Sequence: p.Sequence, Route: c.route, Destination: c.destination,
				Error: p.Error, Waiting: k < len(waiting),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Waits is a message that waits.
type Waits struct {
	Attempt            string
	Sequence           int64
	Route, Destination string
	// Since is when it was due first, Next when it is tried next, Error what the last try said.
	Since, Next time.Time
	Error       string
}

// Waiting calls each with every message that waits, those of a folder, a route and a destination after one another.
func (n *Notifier) Waiting(ctx context.Context, each func(Waits) error) error {
	var last conversation
	return n.store.ListAfter(ctx, n.bucket, openFolder, "", func(page []job.Attributes) error {
		for _, o := range page {
			e, ok := parseEntry(o)
			if !ok || e.conversation == last {
				continue
			}
			last = e.conversation
			s, err := n.read(ctx, e.conversation)
			if err != nil {
				return err
			}
			for _, p := range s.Pending {
				err := each(Waits{
					Attempt: fmt.Sprintf("%s-%d", e.folder, p.Generation), Sequence: p.Sequence, Route: e.route, Destination: e.destination,
					Since: p.Since, Next: later(p.Next, s.NotBefore), Error: p.Error,
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// each calls do with the records of a folder, or with all.
func (n *Notifier) each(ctx context.Context, folder string, do func(c conversation, s stored) error) error {
	prefix := recordsFolder
	if folder != "" {
		prefix += folder + "/"
	}
	return n.store.ListAfter(ctx, n.bucket, prefix, "", func(page []job.Attributes) error {
		for _, o := range page {
			c, ok := conversationOf(o.Name)
			if !ok {
				continue
			}
			s, err := n.read(ctx, c)
			if err == nil && s.generation != 0 {
				err = do(c, s)
			}
			if err != nil && !errors.Is(err, job.ErrNotFound) {
				return err
			}
		}
		return nil
	})
}

// Started returns when Notify was first started: nobody is told of what happened before. It is the zero time if that has
// not been yet.
func (n *Notifier) Started(ctx context.Context) (time.Time, error) {
	data, _, err := n.store.Read(ctx, n.bucket, epochName, 0, epochLimit)
	if errors.Is(err, job.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(data)))
}
