package sim

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// budgets is the stream of chance that belongs to the budget: the seeds without one are what they were before there
// were budgets.
const budgets = 1 << 41

// budgetOf returns how many accelerator hours a seed's jobs may take in a month; 0 is no limit. In one of four seeds
// there is one. The least has room for one job that sets no limit on its time and has two GPUs.
func budgetOf(seed uint64) int {
	rng := rand.New(rand.NewPCG(seed, budgets))
	if rng.IntN(4) > 0 {
		return 0
	}
	return pick(rng, 336, 400, 700)
}

// Budgeted reports whether the jobs of a seed have a budget of accelerator hours.
func Budgeted(seed uint64) bool { return budgetOf(seed) > 0 }

// gpus are the machine types with GPUs that people ask for where there is a budget.
var gpus = map[string]time.Duration{"a2-highgpu-1g": 1, "a2-highgpu-2g": 2}

// machine returns the machine type of a job file where there is a budget; empty for the file's own.
func (f jobFile) machine() string {
	switch {
	case !strings.Contains(f.body, "scaleTier: BASIC\n"):
		return ""
	case f.args != "":
		return "a2-highgpu-2g"
	}
	return "a2-highgpu-1g"
}

// textOf returns a job file as somebody uploads it.
func (w *world) textOf(f jobFile) []byte {
	text := string(f.text())
	if m := f.machine(); w.weather.budget > 0 && m != "" {
		text = strings.Replace(text, "scaleTier: BASIC\n", "scaleTier: CUSTOM\n  masterType: "+m+"\n", 1)
	}
	return []byte(text)
}

// week is how long a job may run that sets no limit.
const week = 7 * 24 * time.Hour

// most returns the accelerator time that the job may take at most.
func (j *simJob) most() time.Duration {
	if j.run > 0 {
		return j.gpus * j.run
	}
	return j.gpus * week
}

// used returns what a job took that has ended: at most what it might, since a backend may end it late, and nobody can
// know that before.
func (j *simJob) used() time.Duration {
	if !j.ran() {
		return 0
	}
	return min(j.gpus*j.ended.Sub(j.running), j.most())
}

// affordable holds a new job to the budget: what all jobs took that have ended, and what the others may take, is
// within it, whatever jobdrop counted.
func (t *backend) affordable() {
	w := t.w
	if w.weather.budget == 0 {
		return
	}
	var sum, rounded time.Duration
	running := 0
	for _, j := range t.jobs {
		switch {
		case j.labels == nil, j.stranger, !j.gone.IsZero(), j.late && w.weather.noID:
		case time.Now().Before(j.ended):
			sum += j.most()
			running++
		default:
			sum += j.used()
			rounded += j.gpus * 2 * time.Second // the backend's times may be whole seconds
		}
	}
	w.spent = max(w.spent, sum)
	if most := time.Duration(w.weather.budget) * time.Hour; sum > most+rounded {
		w.fail("%d jobs that run and those that ended may take %s accelerator hours, and the budget has %s", running, sum, most)
	}
}

// mostOf returns the accelerator time that the job of an attempt may take at most.
func (w *world) mostOf(r attempt.Record) time.Duration {
	of, ok := w.judge.upload(r)
	if !ok {
		return 0
	}
	j := simJob{gpus: gpus[of.file.machine()]}
	if strings.Contains(of.file.body, "maxRunningTime: 180s") {
		j.run = 3 * time.Minute
	}
	return j.most()
}

// patient is how long ticks may take to see that a job has ended, and then to create another.
const patient = 6 * time.Minute

// checkIdleBudget looks for attempts that wait while enough of the budget is left for them: what a job did not use has
// to come back. It is for a time in which everything answers and nothing else keeps jobs waiting.
func (w *world) checkIdleBudget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.weather
	if x.budget == 0 || x.active+x.hourly+x.room > 0 || !w.paused.IsZero() || len(w.dropped) > 0 || w.wasSwitched ||
		!w.upgrade.IsZero() || time.Since(w.calm) < patient {
		return
	}
	left := w.leftOf(func(r attempt.Record) bool { return time.Since(w.judge.over[r.Attempt]) > patient })
	for key, since := range w.judge.queued {
		r, _ := w.storage.record(key)
		if r.State != job.Accepted || r.Tries > 0 || !w.turned[job.AttemptLabel(key)].IsZero() ||
			time.Since(since) <= patient {
			continue
		}
		if most := w.mostOf(r); most <= left {
			w.fail("attempt %s waits for %s of accelerators, and %s are left", key, most, left)
		}
	}
}

// shortOf returns the attempts that wait and need more accelerator hours than a worker that gives turns knows to be
// left. It knows of the verdicts that stood when it began, and of its own.
func (w *world) shortOf(me *worker) map[string]bool {
	if w.weather.budget == 0 {
		return nil
	}
	left := w.leftOf(func(r attempt.Record) bool {
		return w.judge.over[r.Attempt].Before(me.began) || w.judge.concluded[r.Attempt] == me
	})
	short := map[string]bool{}
	for key := range w.judge.queued {
		if r, _ := w.storage.record(key); w.mostOf(r) > left {
			short[key] = true
		}
	}
	return short
}

// leftOf returns the accelerator time that is left if the jobs whose end is known gave back what they did not use.
func (w *world) leftOf(known func(attempt.Record) bool) time.Duration {
	left := time.Duration(w.weather.budget) * time.Hour
	for path := range w.storage.objects {
		name, ok := strings.CutPrefix(path, state+"/attempts/")
		if !ok {
			continue
		}
		r, _ := w.storage.record(strings.TrimSuffix(name, ".json"))
		over := r.State.Terminal() && known(r)
		j, made := w.backend.jobs[r.Job.ResourceName]
		switch turned := !w.turned[job.AttemptLabel(r.Attempt)].IsZero(); {
		case turned && over && !made:
		case turned && over && j.gone.IsZero():
			left -= max(j.used(), min(j.gpus*max(j.ended.Sub(j.running), 0), week)) + 2*j.gpus*time.Second
		case turned:
			left -= w.mostOf(r)
			if made && j.gpus > 0 {
				left -= j.gpus * max(time.Since(j.running)-j.most()/j.gpus, 0) // of one that nobody ended in time
			}
		}
	}
	return left
}
