package local_test

import (
	"context"
	"path"
	"testing"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/service/pubsub"
	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/pkg/event"
)

// The services of the stack do what the use cases rely on, through the adapters
// that the functions use.
func TestContract(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{})
	t.Run("storage", func(t *testing.T) {
		const bucket = "contract"
		if err := s.CreateBucket(bucket); err != nil {
			t.Fatal(err)
		}
		contract.CheckStorage(t, s.Storage, bucket, local.Staging)
	})
	t.Run("Pub/Sub", func(t *testing.T) {
		sub := &subscriber{told: map[string][]event.Body{}}
		ctx, cancel := context.WithCancel(t.Context())
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- s.Subscribe(ctx, path.Base(s.Topic)+"-contract", func() { close(ready) }, sub.receive)
		}()
		<-ready
		p, err := pubsub.New(t.Context(), s.Topic, "contract", pubsub.Options{Emulator: s.PubSub})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		contract.CheckPublisher(t, p, func(attempt string, n int) (first []int64) {
			eventually(t, "the events are there", func() bool {
				sub.mu.Lock()
				defer sub.mu.Unlock()
				return len(sub.told[attempt]) >= n
			})
			sub.mu.Lock()
			defer sub.mu.Unlock()
			for _, b := range sub.told[attempt] {
				first = append(first, b.Sequence)
			}
			return first
		})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, w := range sub.wrong {
			t.Error(w)
		}
	})
}
