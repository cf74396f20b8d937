package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// People write requests, and nothing else of the ledger. jobdrop alone writes results.
const (
	requestPrefix = "requests/"
	resultPrefix  = "results/"
)

// Requests calls page for each page of the requests after one, in the order of their names, with at
// most 1,000 each.
func (l *Ledger) Requests(ctx context.Context, after string, page func([]attempt.Asked) error) error {
	if after != "" {
		after = requestPrefix + after
	}
	return l.store.ListAfter(ctx, l.bucket, requestPrefix, after, func(objects []job.Attributes) error {
		all := make([]attempt.Asked, 0, len(objects))
		for _, o := range objects {
			all = append(all, asked(o))
		}
		return page(all)
	})
}

// Asked returns a request's object, or [job.ErrNotFound].
func (l *Ledger) Asked(ctx context.Context, name string) (attempt.Asked, error) {
	o, err := l.store.Stat(ctx, l.bucket, requestPrefix+name)
	return asked(o), err
}

func asked(o job.Attributes) attempt.Asked {
	return attempt.Asked{
		Name: strings.TrimPrefix(o.Name, requestPrefix), Generation: o.Generation, Size: o.Size, Created: o.Created,
	}
}

// ReadRequest returns what a request's object holds. It returns [job.ErrNotFound] if the object was
// answered meanwhile, and [job.ErrTooLarge] if it is larger than a request may be.
func (l *Ledger) ReadRequest(ctx context.Context, a attempt.Asked) ([]byte, error) {
	data, _, err := l.store.Read(ctx, l.bucket, requestPrefix+a.Name, a.Generation, attempt.MaxRequest)
	return data, err
}

// AnswerRequest writes what came of a request, then deletes the request. Until then ticks find it
// again. Two workers may come to different answers: what was refused a moment ago may be done by now.
// Then it counts that it was done, so a refusal replaces no answer to the same request. A slow worker
// may be overtaken by a later request of the same name: it touches neither that nor its answer.
// AnswerRequest returns [attempt.ErrHeld] if the answer is there, and the request may not be deleted.
func (l *Ledger) AnswerRequest(ctx context.Context, a attempt.Asked, answer attempt.Answer) error {
	if a.Name != "" { // some tools make an object of a folder's name
		if err := l.writeAnswer(ctx, a, answer); err != nil {
			return err
		}
	}
	return l.deleteRequest(ctx, a)
}

// Dismiss deletes a request that was answered by a worker that died before it could, and reports whether it
// was answered. What is answered is done, or refused for good: what the request asks for may be possible by
// now, and nobody would learn that it was done.
func (l *Ledger) Dismiss(ctx context.Context, a attempt.Asked) (answered bool, err error) {
	if a.Name == "" {
		return false, nil // an object of the folder's name
	}
	var there attempt.Answer
	_, err = l.read(ctx, resultPrefix+a.Name, smallLimit, &there)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case there.Generation < a.Generation:
		return false, nil // that was an earlier request of the same name
	}
	return true, l.deleteRequest(ctx, a)
}

// deleteRequest deletes a request that is answered. It returns [attempt.ErrHeld] if that is not allowed.
func (l *Ledger) deleteRequest(ctx context.Context, a attempt.Asked) error {
	err := l.store.DeleteAt(ctx, l.bucket, requestPrefix+a.Name, a.Generation)
	if errors.Is(err, job.ErrDenied) {
		return fmt.Errorf("%w: %v", attempt.ErrHeld, err)
	}
	return err
}

// Grant writes that a request made an attempt, in the place of any other answer to that request.
func (l *Ledger) Grant(ctx context.Context, a attempt.Asked, answer attempt.Answer) error {
	return l.writeAnswer(ctx, a, answer)
}

// writeAnswer writes what came of a request, in the place of an answer to an earlier request of the same
// name, or of one to the same request that may still change.
func (l *Ledger) writeAnswer(ctx context.Context, a attempt.Asked, answer attempt.Answer) error {
	var generation int64 // of the answer that is there
	for range swaps {
		err := l.write(ctx, resultPrefix+a.Name, answer, generation)
		if !errors.Is(err, attempt.ErrStale) {
			return err
		}
		var there attempt.Answer
		generation, err = l.read(ctx, resultPrefix+a.Name, smallLimit, &there)
		switch {
		case err != nil:
			return err
		case there.Generation > answer.Generation:
			return nil // to a later request
		case there.Generation == answer.Generation && answer.Outcome == attempt.RequestRefused:
			return nil
		}
	}
	return fmt.Errorf("answer to the request %s: %w, %d times", a.Name, attempt.ErrStale, swaps)
}
