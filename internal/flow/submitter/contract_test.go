package submitter_test

import (
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The stand-ins of these tests behave as the services do, as far as the use cases rely on it.
func TestStandIns(t *testing.T) {
	for _, noID := range []bool{false, true} {
		w := newWorld(t)
		w.backend.noID = noID
		contract.CheckBackend(t, w.backend, job.Spec{JobID: "j", TrainingInput: &job.TrainingInput{}})
	}
	w := newWorld(t)
	contract.CheckPublisher(t, w.topic, func(key string, _ int) (sequences []int64) {
		for _, e := range w.topic.events[key] {
			sequences = append(sequences, e.Body.Sequence)
		}
		return sequences
	})
}
