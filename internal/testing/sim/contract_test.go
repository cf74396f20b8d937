package sim

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The stand-ins do what the real services do, as far as the use cases rely on it.
func TestContract(t *testing.T) {
	calm := func() *world {
		w := &world{rng: rand.New(rand.NewPCG(1, 1)), begin: time.Now(), wakes: map[int64]bool{}}
		w.judge = newJudge(w)
		w.weather = weather{calm: true, versioned: true, page: 1, objects: 2}
		w.storage = newStorage(w)
		w.backend = newBackend(w, "aiplatform")
		w.topic = &topic{w: w, logs: map[string][]job.Event{}}
		return w
	}
	t.Run("storage", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { contract.CheckStorage(t, calm().storage, inbox, staging) })
		synctest.Test(t, func(t *testing.T) {
			w := calm()
			contract.CheckStorage(t, w.adapted(w.backend).storage, inbox, staging)
		})
	})
	for name, taken := range map[string]bool{"backend": true, "backend that takes no ID": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := calm()
				w.weather.noID = !taken
				contract.CheckBackend(t, w.backend, job.Spec{JobID: "j", TrainingInput: &job.TrainingInput{}})
			})
			synctest.Test(t, func(t *testing.T) {
				w := calm()
				w.weather.noID, w.adapters = !taken, true
				contract.CheckBackend(t, w.adapted(w.backend).backend,
					job.Spec{JobID: "j", TrainingInput: &job.TrainingInput{
						ScaleTier: "BASIC", Region: anyRegion, RuntimeVersion: "2.11", PythonVersion: "3.7", PythonModule: "trainer.task",
						PackageURIs: []string{"gs://staging/p.tar.gz"},
					}})
			})
		})
	}
	for name, of := range map[string]func(*world) contract.Publisher{
		"topic":                     func(w *world) contract.Publisher { return w.topic },
		"topic through its adapter": func(w *world) contract.Publisher { return w.adapted(w.backend).topic },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := calm()
				contract.CheckPublisher(t, of(w), func(attempt string, _ int) (all []int64) {
					for _, e := range w.topic.logs[attempt] {
						all = append(all, e.Body.Sequence)
					}
					return all
				})
				if len(w.broken) > 0 {
					t.Errorf("broken: %q", w.broken)
				}
			})
		})
	}
}
