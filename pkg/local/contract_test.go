package local_test

import (
	"bytes"
	"context"
	"os"
	"path"
	"testing"

	"github.com/jobdrop/jobdrop/internal/contract"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/local"
	"github.com/jobdrop/jobdrop/pkg/publisher"
	"github.com/jobdrop/jobdrop/pkg/trainer/aiplatform"
)

// The services of the stack do what the use cases rely on, through the adapters
// that the functions use.
func TestContract(t *testing.T) {
	s := stack(t, local.Options{})
	t.Run("storage", func(t *testing.T) {
		const bucket = "contract"
		if err := s.CreateBucket(bucket); err != nil {
			t.Fatal(err)
		}
		contract.CheckStorage(t, s.Storage, bucket, local.Staging)
	})
	t.Run("trainer", func(t *testing.T) {
		data, err := os.ReadFile(drops + "endless/trainer-0.1.tar.gz")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Storage.Upload(t.Context(), local.Staging, "contract/trainer-0.1.tar.gz", bytes.NewReader(data), nil); err != nil {
			t.Fatal(err)
		}
		trainer, err := aiplatform.New(t.Context(), local.Project, s.TrainerURL)
		if err != nil {
			t.Fatal(err)
		}
		spec := job.Spec{JobID: "contract", TrainingInput: &job.TrainingInput{
			ScaleTier: "BASIC", Region: "us-central1", RuntimeVersion: "2.11", PythonVersion: "3.7", PythonModule: "trainer.task",
			PackageURIs: []string{"gs://" + local.Staging + "/contract/trainer-0.1.tar.gz"},
		}}
		contract.CheckTrainer(t, trainer, "contract", spec)
	})
	t.Run("Pub/Sub", func(t *testing.T) {
		sub := &subscriber{told: map[string][]event.Body{}}
		ctx, cancel := context.WithCancel(t.Context())
		ready, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- s.Subscribe(ctx, path.Base(s.Topic)+"-contract", func() { close(ready) }, sub.receive)
		}()
		<-ready
		p, err := publisher.New(t.Context(), s.Topic, "contract", publisher.Options{Emulator: s.PubSub})
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
