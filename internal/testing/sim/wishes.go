package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/functions/watch"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// wish is a request that somebody wrote into the state bucket.
type wish struct {
	// name is what follows requests/ in its object's name, attempt what it is for.
	name, attempt string
	generation    int64
	at            time.Time
	attempt.Request
	// garbage reports that nothing can be done.
	garbage bool
}

// asking lets people ask for things. Whatever they do is drawn from a source of its own, so a seed
// without requests is the run that it was. The caller holds mu.
func (w *world) asking() {
	rng := rand.New(rand.NewPCG(w.seed, 3))
	for n := range pick(rng, 0, 0, 1, 2, 4, 8) {
		at := w.at(within(rng, 10*time.Second, chaos))
		w.group.Go(func() {
			time.Sleep(at)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.wish(rng, fmt.Sprintf("r%d", n))
		})
	}
}

// wish writes a request of some attempt, and sometimes one more. The caller holds mu.
func (w *world) wish(rng *rand.Rand, id string) {
	var open, over []string
	for _, path := range slices.Sorted(maps.Keys(w.storage.objects)) {
		key, ok := strings.CutPrefix(path, state+"/attempts/")
		if key = strings.TrimSuffix(key, ".json"); !ok {
			continue
		}
		if r, _ := w.storage.record(key); r.State.Terminal() {
			over = append(over, key)
		} else {
			open = append(open, key)
		}
	}
	kind := pick(rng, attempt.KindCancel, attempt.KindCancel, attempt.KindRerun)
	among := open
	if (kind == attempt.KindRerun) != (rng.IntN(5) == 0) {
		among = over
	}
	if len(among) == 0 {
		among = slices.Concat(open, over)
	}
	if len(among) == 0 || w.weather.calm {
		return
	}
	key := pick(rng, among...)
	switch rng.IntN(10) {
	case 0:
		w.garbageWish(rng, key, id)
	case 1: // a tick may see both
		w.ask(rng, key, id+"b", kind)
	case 2, 3: // another try, as it is the same that is to run
		delay := w.at(within(rng, time.Second, 6*time.Minute))
		w.group.Go(func() {
			time.Sleep(delay)
			w.mu.Lock()
			defer w.mu.Unlock()
			if !w.weather.calm {
				w.ask(rng, key, id+"c", attempt.KindRerun)
			}
		})
	}
	w.ask(rng, key, id, kind)
}

// ask writes a request. The caller holds mu.
func (w *world) ask(rng *rand.Rand, key, id, kind string) {
	r := attempt.Request{Kind: kind, By: "ann", Reason: "because of " + id}
	data, err := json.Marshal(r)
	must(err)
	w.putWish(rng, wish{name: key + "/" + id + ".json", attempt: key, Request: r}, data)
}

// putWish writes a request and tells Watch, where there are hints. The caller holds mu.
func (w *world) putWish(rng *rand.Rand, asked wish, data []byte) {
	o := w.storage.put(state, "requests/"+asked.name, data, nil)
	asked.generation, asked.at = o.Generation, time.Now()
	w.wishes = append(w.wishes, asked)
	w.say("%-8s asks for %s of %s", "someone", asked.Kind, asked.name)
	if rng.Float64() >= w.weather.hinted {
		return
	}
	body, err := json.Marshal(map[string]string{"kind": "storage#object", "bucket": state, "name": "requests/" + asked.name})
	must(err)
	for range 1 + rng.IntN(2) { // a notification may come twice
		delay := w.at(within(rng, 10*time.Millisecond, pick(rng, time.Second, time.Minute)))
		w.group.Go(func() {
			time.Sleep(delay)
			w.mu.Lock()
			me := w.serve("watch")
			me.hint = &hint{}
			w.say("%-8s is told of %s", me.name, asked.name)
			w.mu.Unlock()
			w.request(me, watch.Handler(me.load), http.Header{}, body)
		})
	}
}

// garbageWish writes a request that asks for nothing that could be done. The caller holds mu.
func (w *world) garbageWish(rng *rand.Rand, key, id string) {
	asked := wish{name: key + "/" + id + "g.json", attempt: key, garbage: true}
	text := pick(rng, "", "{", `{"kind": "delete"}`, `{"kind": "cancel"}`, strings.Repeat(" ", 5000))
	if text == `{"kind": "cancel"}` {
		asked.name = pick(rng, "census/"+id+".json", strings.Repeat("0", 40)+"-1/"+id+".json", key+"-"+id, id)
	}
	w.putWish(rng, asked, []byte(text))
}

// wishOf returns the request of a generation.
func (w *world) wishOf(generation int64) (wish, bool) {
	for _, asked := range w.wishes {
		if asked.generation == generation {
			return asked, true
		}
	}
	return wish{}, false
}

// numberOf returns what an attempt's name ends with.
func numberOf(key string) int64 {
	var n int64
	_, text, _ := strings.Cut(key, "-")
	_, err := fmt.Sscan(text, &n)
	must(err)
	return n
}

// cancelAsked holds a record that says that somebody asked to cancel the attempt to what people
// asked for.
func (j *judge) cancelAsked(prev, next attempt.Record) {
	if next.CancelRequested == nil || next.CancelRequested.Kind != job.KindRequest {
		if prev.CancelRequested != nil && prev.CancelRequested.Kind == job.KindRequest {
			j.w.fail("attempt %s forgets who asked to cancel it", next.Attempt)
		}
		return
	}
	asked, ok := j.w.wishOf(next.Request)
	c := next.CancelRequested
	if !ok || asked.garbage || asked.Kind != attempt.KindCancel || asked.attempt != next.Attempt || asked.By != c.By ||
		asked.Reason != c.Reason {
		j.w.fail("attempt %s is to be cancelled for %+v, request %d, and nobody asked for that", next.Attempt, *c, next.Request)
	}
	if ran := next.State == job.Cancelled && prev.State == job.Accepted; ran && next.Job.ResourceName == "" {
		for i := range j.owned {
			if j.owned[i].attempt == next.Attempt {
				j.owned[i].to = time.Now()
			}
		}
	}
}

// rerun holds the first record of an attempt that runs another's drop again to what people asked for,
// and to what that one was accepted with.
func (j *judge) rerun(me *worker, of upload, next attempt.Record) {
	w := j.w
	asked, ok := w.wishOf(numberOf(next.Attempt))
	if !ok || asked.garbage || asked.Kind != attempt.KindRerun || asked.attempt != next.Rerun.Of || asked.By != next.Rerun.By {
		w.fail("attempt %s runs %s again, and nobody asked for that", next.Attempt, next.Rerun.Of)
		return
	}
	first, ok := w.storage.record(asked.attempt)
	switch {
	case !ok || !first.State.Terminal() || first.Drop.Receipt == nil:
		w.fail("attempt %s runs %s again, which is %s", next.Attempt, first.Attempt, first.State)
		return
	case next.State != job.Accepted || next.Drop.Receipt == nil:
		w.fail("attempt %s begins as %s", next.Attempt, next.State)
		return
	case next.Creating != nil || !next.Queued:
		w.fail("attempt %s does not wait for its turn", next.Attempt)
	}
	var before, now []string
	for _, o := range first.Drop.Receipt.Objects {
		before = append(before, versionKey(o.Bucket+"/"+o.Name, o.Generation))
	}
	for _, o := range next.Drop.Receipt.Objects {
		now = append(now, versionKey(o.Bucket+"/"+o.Name, o.Generation))
	}
	if !slices.Equal(before, now) || next.Drop.Receipt.Content != first.Drop.Receipt.Content {
		w.fail("attempt %s runs %q, and %s ran %q", next.Attempt, now, first.Attempt, before)
	}
	if !w.strict.IsZero() && w.strict.Before(me.began) {
		w.fail("attempt %s runs %s again, and the policy allows no region", next.Attempt, first.Attempt)
	}
	if region := of.file.region; region != "" && next.Spec.TrainingInput.Region != region {
		w.fail("attempt %s runs in %q, and its metadata says %q", next.Attempt, next.Spec.TrainingInput.Region, region)
	}
	if next.Spec.JobID == first.Spec.JobID {
		w.fail("attempt %s has the job ID of %s", next.Attempt, first.Attempt)
	}
	j.owned = append(j.owned, ownership{attempt: next.Attempt, id: next.Spec.JobID, from: time.Now(), of: of, rerun: true})
}

// stops is how long a job may go on after jobdrop recorded that somebody asked to cancel it, while
// everything answers: some ticks.
const stops = 5 * time.Minute

// checkWishes holds each request to its answer, and what became of it to what was asked.
func (w *world) checkWishes(records map[string]attempt.Record) {
	for _, asked := range w.wishes {
		if _, open := w.storage.objects[state+"/requests/"+asked.name]; open {
			w.fail("the request %s was never answered", asked.name)
			continue
		}
		var answer attempt.Answer
		o, ok := w.storage.objects[state+"/results/"+asked.name]
		if ok {
			must(json.Unmarshal(o.data, &answer))
		}
		if !ok || answer.Generation != asked.generation {
			w.fail("the request %s has no answer", asked.name)
			continue
		}
		accepted := answer.Outcome == attempt.RequestAccepted
		if accepted {
			w.granted++
		}
		switch {
		case asked.garbage:
			if accepted {
				w.fail("the request %s is accepted: %s", asked.name, answer.Message)
			}
		case asked.Kind == attempt.KindCancel:
			w.checkCancel(asked, accepted, answer, records[asked.attempt])
		default:
			w.checkRerun(asked, accepted, answer, records)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(records)) {
		w.checkStopped(records[key])
	}
}

// checkCancel holds the answer to a cancel to the attempt.
func (w *world) checkCancel(asked wish, accepted bool, answer attempt.Answer, r attempt.Record) {
	over, ended := w.judge.over[asked.attempt]
	_, cancelling := w.judge.entered[asked.attempt][job.BackendCancelling]
	switch {
	case accepted && r.CancelRequested == nil && !cancelling:
		w.fail("the request %s is accepted, and the record of %s does not say so: %s", asked.name, r.Attempt, answer.Message)
	case !accepted && w.upgrade.IsZero() && (!ended || over.After(answer.At.Add(w.judge.slack()))):
		w.fail("the request %s is refused, and attempt %s had not ended: %s", asked.name, asked.attempt, answer.Message)
	}
}

// checkRerun holds the answer to a rerun to the attempt that it made.
func (w *world) checkRerun(asked wish, accepted bool, answer attempt.Answer, records map[string]attempt.Record) {
	made := ""
	for key, r := range records {
		if r.Rerun != nil && numberOf(key) == asked.generation {
			made = key
		}
	}
	if accepted != (made != "") || made != answer.Attempt {
		w.fail("the request %s: %s: %s; it made attempt %q", asked.name, answer.Outcome, answer.Message, made)
	}
	// Where nothing is in the way, what ended runs again.
	first := records[asked.attempt]
	over, ended := w.judge.over[asked.attempt]
	if u, ok := w.judge.upload(first); !accepted && ok && ended && over.Before(asked.at.Add(-w.judge.slack())) &&
		first.Drop.Receipt != nil && first.State != job.Rejected && w.weather.versioned && w.weather.fault == 0 &&
		w.upgrade.IsZero() && !w.wasSwitched && w.strict.IsZero() && w.lenient.IsZero() && u.file.id == "" && u.file.outside == "" {
		w.fail("the request %s is refused, and nothing is in the way: %s", asked.name, answer.Message)
	}
}

// checkStopped looks for a job that went on for long though somebody asked to cancel it.
func (w *world) checkStopped(r attempt.Record) {
	if r.CancelRequested == nil || r.CancelRequested.Kind != job.KindRequest || w.dropped[r.Attempt] || w.elsewhere(r.Attempt) {
		return
	}
	j, ok := w.backend.jobs[r.Job.ResourceName]
	if !ok || !j.gone.IsZero() {
		return
	}
	since, known := r.CancelRequested.At, time.Time{}
	for _, at := range w.judge.entered[r.Attempt] {
		if known.IsZero() || at.Before(known) {
			known = at
		}
	}
	if known.After(since) { // until then nobody knew whether its job was created
		since = known
	}
	if (w.weather.fault > 0 || !w.upgrade.IsZero() || w.wasSwitched) && w.calm.After(since) {
		since = w.calm
	}
	until := minTime(j.ended, time.Now())
	if !j.cancelling.IsZero() {
		until = minTime(until, j.cancelling)
	}
	if until.Sub(since) > stops {
		w.fail("the job of attempt %s went on for %s after somebody asked to cancel it", r.Attempt, until.Sub(since))
	}
}
