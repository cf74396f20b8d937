package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// requests is the part of a tick that does what people ask for. Whoever may write a request may
// write any number of them, of any content. So a tick lists one page, reads a few of that, and
// answers each so that it does not come again; what is wrong with a request is not a failure of the
// tick.
//
// A request may be applied twice. What it changes stands in a record, by compare-and-swap; then the
// record is published, the answer is written, and the request is deleted, in this order. A request that has
// its answer is only deleted.
type requests struct {
	records interface {
		Get(ctx context.Context, key string) (attempt.Stored, error)
		Entry(ctx context.Context, key string) (attempt.Entry, error)
		Restore(ctx context.Context, e attempt.Entry) error
		Apply(
			ctx context.Context, s attempt.Stored, o attempt.Observation, now time.Time,
		) (after attempt.Stored, applied bool, err error)
		Requests(ctx context.Context, after string, page func([]attempt.Asked) error) error
		Asked(ctx context.Context, name string) (attempt.Asked, error)
		ReadRequest(ctx context.Context, a attempt.Asked) ([]byte, error)
		Dismiss(ctx context.Context, a attempt.Asked) (answered bool, err error)
		AnswerRequest(ctx context.Context, a attempt.Asked, answer attempt.Answer) error
	}
	submitter interface {
		Rerun(ctx context.Context, of attempt.Record, r attempt.Request, a attempt.Asked) (attempt.Stored, error)
	}
	teller interface {
		Tell(ctx context.Context, s attempt.Stored, known attempt.Entry) error
	}
	now    func() time.Time
	logger *slog.Logger
}

// mostRequests is how many requests a tick reads, mostReruns how many of them may run something
// again: each of those is checked like a new drop.
const (
	mostRequests = 100
	mostReruns   = 4
)

// requestsResult is what the part did.
type requestsResult struct {
	cursor   attempt.RequestCursor
	answered int
	failures failures
}

// run does what the requests on one page ask for. The next tick takes the page after it, so requests
// that stay do not hide others for ever.
func (q requests) run(ctx context.Context, b budget, cursor attempt.RequestCursor) requestsResult {
	did := requestsResult{cursor: cursor}
	page, more, err := q.page(ctx, cursor.After)
	if err != nil {
		did.failures.add(fmt.Errorf("requests: %w", err))
		return did
	}
	if did.cursor.After = ""; more {
		did.cursor.After = page[len(page)-1].Name
	} else {
		did.cursor.Rounds++
	}
	inOrder, err := q.first(ctx, cursor.First, inTurn(page, cursor.Rounds))
	did.failures.add(err)
	reruns := 0
	did.cursor.First = ""
	for i, a := range inOrder {
		if !b.left(ctx, requestShare) {
			if i == 0 {
				did.cursor.First = cursor.First
			}
			break
		}
		whole := b.whole(requestEnd)
		err := b.within(ctx, requestEnd, "request "+a.Name, func(ctx context.Context) error {
			answered, rerun, err := q.apply(ctx, a, reruns < mostReruns)
			if answered && err == nil {
				did.answered++
			}
			if rerun {
				reruns++
			}
			return err
		})
		switch slow := attempt.Slow(err); {
		case slow && whole:
			if err = q.refuseSlow(ctx, a); err == nil {
				did.answered++
			}
		case (slow || errors.Is(err, attempt.ErrBusy)) && did.cursor.First == "":
			did.cursor.First = a.Name
		}
		if !attempt.Contended(err) && !attempt.Slow(err) {
			did.failures.add(err)
		}
	}
	return did
}

// first returns requests with one of a name before them, if it is still there.
func (q requests) first(ctx context.Context, name string, others []attempt.Asked) ([]attempt.Asked, error) {
	if name == "" {
		return others, nil
	}
	a, err := q.records.Asked(ctx, name)
	if errors.Is(err, job.ErrNotFound) {
		return others, nil
	}
	if err != nil {
		return others, fmt.Errorf("request %s: %w", name, err)
	}
	others = slices.DeleteFunc(others, func(o attempt.Asked) bool { return o.Name == name })
	return append([]attempt.Asked{a}, others[:min(len(others), mostRequests-1)]...), nil
}

// refuseSlow answers a request to run again what can't be checked in the time that a tick has for it.
// The time for its work is over, so ctx is the tick's.
func (q requests) refuseSlow(ctx context.Context, a attempt.Asked) error {
	r, err := q.read(ctx, a)
	if errors.Is(err, job.ErrNotFound) {
		return nil // another worker was faster
	}
	if err != nil {
		return err
	}
	return q.answer(ctx, a, &r, attempt.Answer{
		Outcome: attempt.RequestRefused,
		Message: "there was no time to check what attempt " + a.Attempt() + " ran: upload the drop again",
	})
}

// page returns one page of the requests after one, and whether another follows.
func (q requests) page(ctx context.Context, after string) (page []attempt.Asked, more bool, err error) {
	err = q.records.Requests(ctx, after, func(listed []attempt.Asked) error {
		if more = len(page) > 0 && len(listed) > 0; more {
			return errEnough
		}
		page = append(page, listed...)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return page, more, err
}

// inTurn returns those of a page's requests that a tick reads: of each attempt the first one, then
// the second one of each, and so on. Those that a tick leaves come first in another round.
func inTurn(page []attempt.Asked, round int) []attempt.Asked {
	seen := map[string]int{}
	var rounds [][]attempt.Asked
	for _, a := range page {
		n := seen[a.Attempt()]
		seen[a.Attempt()]++
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], a)
	}
	all := slices.Concat(rounds...)
	if len(all) <= mostRequests {
		return all
	}
	from := round * mostRequests % len(all)
	return slices.Concat(all[from:], all[:from])[:mostRequests]
}

// Ask does what a request asks for, without waiting for a tick. name is what follows requests/ in
// the name of its object.
func (w *Watcher) Ask(ctx context.Context, name string) error {
	if !w.hints.Allow() {
		return nil // the next tick does it
	}
	a, err := w.requests.records.Asked(ctx, name)
	if errors.Is(err, job.ErrNotFound) {
		return nil // done
	}
	if err != nil {
		return err
	}
	_, _, err = w.requests.apply(ctx, a, true)
	if attempt.Held(err) || attempt.Slow(err) {
		return nil // another hint could not do it either: it is for ticks
	}
	return err
}

// rolloutTime is how long a request waits for the revision that wrote the attempt's record, while that
// is rolled out beside this one.
const rolloutTime = time.Hour

// apply does what a request asks for. answered reports that it need not be looked at again. rerun
// reports that it asks for a rerun; those wait for another tick unless mayRerun is set.
func (q requests) apply(ctx context.Context, a attempt.Asked, mayRerun bool) (answered, rerun bool, err error) {
	if answered, err := q.records.Dismiss(ctx, a); answered || err != nil {
		return answered, false, err
	}
	r, err := q.read(ctx, a)
	var declined *attempt.DeclinedError
	switch {
	case errors.Is(err, job.ErrNotFound):
		return false, false, nil // another worker was faster
	case errors.As(err, &declined):
		return true, false, q.answer(ctx, a, nil, attempt.Answer{Outcome: attempt.RequestRefused, Message: declined.Reason})
	case err != nil:
		return false, false, err
	}
	rerun = r.Kind == attempt.KindRerun
	if rerun && !mayRerun {
		return false, false, nil
	}
	answer, err := q.do(ctx, a, r)
	switch {
	case errors.As(err, &declined):
		answer = attempt.Answer{Outcome: attempt.RequestRefused, Message: declined.Reason}
	case errors.Is(err, attempt.ErrNewerRecord) && q.now().Before(a.Created.Add(rolloutTime)):
		return false, rerun, nil // for that revision to answer
	case errors.Is(err, attempt.ErrNewerRecord):
		answer = attempt.Answer{
			Outcome: attempt.RequestRefused,
			Message: "a newer revision of jobdrop wrote the attempt's record: ask again once that revision is rolled out",
		}
	case err != nil || answer.Outcome == "":
		return false, rerun, err
	}
	return true, rerun, q.answer(ctx, a, &r, answer)
}

// read reads a request. It returns an [*attempt.DeclinedError] if it is not valid.
func (q requests) read(ctx context.Context, a attempt.Asked) (attempt.Request, error) {
	if a.Attempt() == "" {
		return attempt.Request{}, attempt.Decline("the name is not requests/ATTEMPT/ID.json, where ATTEMPT is an attempt's " +
			"name and ID has at most 64 letters, digits, - and _: write the request under such a name")
	}
	data, err := q.records.ReadRequest(ctx, a)
	if errors.Is(err, job.ErrTooLarge) {
		return attempt.Request{}, attempt.Decline("the request is larger than %d bytes: shorten its reason, and ask again",
			attempt.MaxRequest)
	}
	if errors.Is(err, job.ErrRefused) || errors.Is(err, job.ErrDenied) { // its writer keeps the key
		return attempt.Request{}, attempt.Decline("jobdrop can't read the request: %s; write it again, without an encryption "+
			"key of your own", job.BoundText(err.Error(), job.MaxText))
	}
	if err != nil {
		return attempt.Request{}, err
	}
	r, err := attempt.ParseRequest(data)
	if err != nil {
		return r, attempt.Decline("%s", job.BoundText(err.Error(), job.MaxText))
	}
	return r, nil
}

// do does what a valid request asks for. The answer has no outcome if the request has to come again.
func (q requests) do(ctx context.Context, a attempt.Asked, r attempt.Request) (attempt.Answer, error) {
	stored, err := q.records.Get(ctx, a.Attempt())
	if errors.Is(err, job.ErrNotFound) {
		if _, err := q.records.Entry(ctx, a.Attempt()); !errors.Is(err, job.ErrNotFound) {
			return attempt.Answer{}, err // it is about to be looked at
		}
		return attempt.Answer{}, attempt.Decline("there is no attempt %s, or it was not looked at yet: "+
			"take its name from status.json or an event, and ask again", a.Attempt())
	}
	if err != nil {
		return attempt.Answer{}, err
	}
	if r.Kind == attempt.KindRerun {
		made, err := q.submitter.Rerun(ctx, stored.Record, r, a)
		return attempt.Reruns(made.Attempt), err
	}
	return q.cancel(ctx, stored, r, a)
}

// cancel applies a request to cancel an attempt.
func (q requests) cancel(
	ctx context.Context, stored attempt.Stored, r attempt.Request, a attempt.Asked,
) (attempt.Answer, error) {
	e, err := q.records.Entry(ctx, stored.Attempt)
	if errors.Is(err, job.ErrNotFound) && !stored.State.Terminal() {
		// It is a rerun whose worker died. With its verdict, nobody would come back to its events.
		e = attempt.NewEntry(stored)
		err = q.records.Restore(ctx, e)
	}
	indexed := err == nil
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return attempt.Answer{}, err
	}
	stored.Published = e.Published
	stored, _, err = q.records.Apply(ctx, stored, attempt.Cancel{Request: r, Generation: a.Generation}, q.now())
	if err != nil {
		return attempt.Answer{}, err
	}
	own := stored.CancelAsked() && stored.Request == a.Generation
	if stored.State.Terminal() && !own {
		return attempt.Answer{}, attempt.Decline("the attempt ended before: it is %s: %s", stored.State, stored.Reason)
	}
	if indexed || !stored.State.Terminal() {
		if err := q.teller.Tell(ctx, stored, e); err != nil {
			return attempt.Answer{}, err
		}
	}
	answer := attempt.Answer{Outcome: attempt.RequestAccepted}
	switch {
	case stored.State.Terminal():
		answer.Message = "the attempt is " + string(stored.State) + ": " + stored.Reason
	case stored.State == job.Accepted:
		answer.Message = "the attempt ends once it is known whether its job was created"
	case own:
		answer.Message = "jobdrop asks the backend to cancel the job until it does; the attempt's events tell what becomes of it"
	case stored.CancelAsked():
		answer.Message = "the job is to be cancelled already: somebody asked for it before"
	default:
		answer.Message = "the job is being cancelled already"
	}
	return answer, nil
}

// answer writes what came of a request, and deletes the request. A rerun that another worker has made
// meanwhile is not refused: the request stays, and the next look finds what it made.
func (q requests) answer(ctx context.Context, a attempt.Asked, r *attempt.Request, answer attempt.Answer) error {
	if r != nil && r.Kind == attempt.KindRerun && answer.Outcome == attempt.RequestRefused {
		switch _, err := q.records.Get(ctx, a.Made()); {
		case err == nil:
			return fmt.Errorf("request %s: another worker has made attempt %s: %w", a.Name, a.Made(), attempt.ErrStale)
		case !errors.Is(err, job.ErrNotFound):
			return err
		}
	}
	answer.Request, answer.Generation, answer.At = r, a.Generation, q.now().UTC()
	answer.Message = job.BoundText(answer.Message, 2*job.MaxText)
	if err := q.records.AnswerRequest(ctx, a, answer); err != nil {
		return err
	}
	by, kind := "", ""
	if r != nil {
		by, kind = r.By, r.Kind
	}
	q.logger.InfoContext(ctx, "request answered", "request", job.BoundText(a.Name, job.MaxPerson), "kind", kind, "by", by,
		"outcome", answer.Outcome, "message", answer.Message)
	return nil
}
