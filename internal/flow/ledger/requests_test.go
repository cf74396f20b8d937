package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Of two answers to one request that counts which says that it was done. A later request of the same
// name has its own.
func TestAnswerRequest(t *testing.T) {
	storage, _ := storagetest.New(t, "state")
	l, err := ledger.New(storage, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const done, refused = attempt.RequestAccepted, attempt.RequestRefused
	for _, step := range []struct {
		name       string
		generation int64
		outcome    string
		want       string
	}{
		{"refused", 7, refused, refused},
		{"refused again", 7, refused, refused},
		{"done after all", 7, done, done},
		{"refused by a slower worker", 7, refused, done},
		{"a later request", 8, refused, refused},
	} {
		a := attempt.Asked{Name: "a/1.json", Generation: step.generation}
		if err := l.AnswerRequest(t.Context(), a, attempt.Answer{Outcome: step.outcome, Generation: step.generation}); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		data, _, err := storage.Read(t.Context(), "state", "results/a/1.json", 0, 1<<10)
		var got attempt.Answer
		if err == nil {
			err = json.Unmarshal(data, &got)
		}
		if err != nil || got.Outcome != step.want || got.Generation != step.generation {
			t.Errorf("%s: %v, %s for generation %d, want %s", step.name, err, got.Outcome, got.Generation, step.want)
		}
	}
}

// denying is a storage that lets nobody delete.
type denying struct{ *gcs.Client }

func (denying) DeleteAt(context.Context, string, string, int64) error {
	return fmt.Errorf("%w: a hold", job.ErrDenied)
}

// A request that may not be deleted is answered all the same.
func TestAnswerOfAHeldRequest(t *testing.T) {
	storage, _ := storagetest.New(t, "state")
	l, err := ledger.New(denying{storage}, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := attempt.Asked{Name: "a/1.json", Generation: 7}
	err = l.AnswerRequest(t.Context(), a, attempt.Answer{Outcome: attempt.RequestRefused, Generation: 7})
	if _, unanswered := storage.Stat(t.Context(), "state", "results/a/1.json"); !attempt.Held(err) || unanswered != nil {
		t.Errorf("%v, answer: %v", err, unanswered)
	}
	if errors.Is(err, job.ErrDenied) || attempt.Held(errors.Join(err, job.ErrDenied)) {
		t.Errorf("%v hides another error", err)
	}
}

// A worker that was frozen may come back when its request is answered by another, deleted, and written
// anew under the same name.
func TestAnswerOfASlowWorker(t *testing.T) {
	const done, refused = attempt.RequestAccepted, attempt.RequestRefused
	for _, frozen := range []string{"write", "delete"} {
		for _, outcome := range []string{done, refused} {
			t.Run("before its "+frozen+", "+outcome, func(t *testing.T) {
				client, _ := storagetest.New(t, "state")
				storage := &storagetest.Faults{Client: client}
				l, err := ledger.New(storage, "state", ledger.Options{})
				if err != nil {
					t.Fatal(err)
				}
				ask := func() attempt.Asked {
					t.Helper()
					generation, err := client.Write(t.Context(), "state", "requests/a/1.json", []byte("{}"), "application/json", nil, 0)
					if err != nil {
						t.Fatal(err)
					}
					return attempt.Asked{Name: "a/1.json", Generation: generation}
				}
				answer := func(a attempt.Asked, outcome string) {
					t.Helper()
					if err := l.AnswerRequest(t.Context(), a, attempt.Answer{Outcome: outcome, Generation: a.Generation}); err != nil {
						t.Fatal(err)
					}
				}
				first := ask()
				var second, third attempt.Asked
				storage.Before = func(c storagetest.Call) error {
					if c.Kind != frozen {
						return nil
					}
					storage.Before = nil
					answer(first, done) // by another
					second = ask()
					answer(second, refused)
					third = ask()
					return nil
				}
				answer(first, outcome)
				if o, err := client.Stat(t.Context(), "state", "requests/a/1.json"); err != nil || o.Generation != third.Generation {
					t.Errorf("the third request: %v, generation %d, want %d", err, o.Generation, third.Generation)
				}
				data, _, err := client.Read(t.Context(), "state", "results/a/1.json", 0, 1<<10)
				var there attempt.Answer
				if err == nil {
					err = json.Unmarshal(data, &there)
				}
				if err != nil || there.Generation != second.Generation || there.Outcome != refused {
					t.Errorf("%v, the second request's answer is %+v", err, there)
				}
			})
		}
	}
}

// A request whose answer stands is deleted, whatever the answer says; one without an answer of its own stays.
func TestDismiss(t *testing.T) {
	storage, _ := storagetest.New(t, "state")
	l, err := ledger.New(storage, "state", ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() attempt.Asked {
		t.Helper()
		generation, err := storage.Write(t.Context(), "state", "requests/a/1.json", []byte("{}"), "application/json", nil,
			attempt.AnyGeneration)
		if err != nil {
			t.Fatal(err)
		}
		return attempt.Asked{Name: "a/1.json", Generation: generation}
	}
	dismiss := func(a attempt.Asked, want bool) {
		t.Helper()
		got, err := l.Dismiss(t.Context(), a)
		_, gone := storage.Stat(t.Context(), "state", "requests/a/1.json")
		if err != nil || got != want || errors.Is(gone, job.ErrNotFound) != want {
			t.Errorf("answered: %t, %v, and then %v; want %t", got, err, gone, want)
		}
	}
	for _, folder := range []string{"requests/", "results/"} { // as some tools make them
		if _, err := storage.Write(t.Context(), "state", folder, nil, "text/plain", nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	if answered, err := l.Dismiss(t.Context(), attempt.Asked{Generation: 1}); answered || err != nil {
		t.Errorf("a folder's object: %t, %v", answered, err)
	}
	first := ask()
	dismiss(first, false)
	answer := attempt.Answer{Outcome: attempt.RequestRefused, Generation: first.Generation}
	if err := l.AnswerRequest(t.Context(), first, answer); err != nil {
		t.Fatal(err)
	}
	second := ask() // of the same name
	dismiss(second, false)
	answer.Generation = second.Generation
	data, err := json.Marshal(answer)
	if err == nil {
		_, err = storage.Write(t.Context(), "state", "results/a/1.json", data, "application/json", nil, attempt.AnyGeneration)
	}
	if err != nil {
		t.Fatal(err)
	}
	dismiss(second, true)
}
