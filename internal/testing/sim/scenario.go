package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/functions/submit"
	"github.com/jobdrop/jobdrop/functions/watch"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/internal/service/inbound"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// upload puts an object into the inbox, and lets its event go its way. file and d are
// what it is to whoever uploads it. The caller holds mu.
func (w *world) upload(name string, data []byte, metadata map[string]string, file *jobFile, d *drop) upload {
	o := w.storage.put(inbox, name, data, metadata)
	u := upload{at: time.Now(), path: inbox + "/" + name, generation: o.Generation, data: data, file: file, drop: d}
	w.uploads[versionKey(u.path, u.generation)] = u
	w.say("%-8s uploads %s#%d, %d bytes, %s", "someone", name, o.Generation, o.Size, u.what())
	deliveries := 1
	if w.chance(w.weather.lost) {
		deliveries = 0
		w.say("%-8s the event of %s#%d is lost", "", name, o.Generation)
	} else if w.chance(w.weather.twice) {
		deliveries = 2 + w.rng.IntN(2)
	}
	for range deliveries {
		delay := w.at(w.between(10*time.Millisecond, pick(w.rng, time.Second, time.Second, 2*time.Minute)))
		w.group.Go(func() { w.deliver(o.Object, delay) })
	}
	return u
}

// what returns the description of an upload for the trace.
func (u upload) what() string {
	switch {
	case u.file != nil && u.file.id != "":
		return "job " + u.file.id
	case u.file != nil:
		return "a job"
	case len(u.data) == 0:
		return "nothing"
	}
	_, i, _ := contentOf(path.Base(u.path), u.data)
	return fmt.Sprintf("code %d", i)
}

// deliver delivers the event of an object as Eventarc does, until it is taken.
func (w *world) deliver(o job.Object, delay time.Duration) {
	body, err := json.Marshal(map[string]any{
		"kind": "storage#object", "bucket": o.Bucket, "name": o.Name, "generation": strconv.FormatInt(o.Generation, 10),
		"size": strconv.FormatInt(o.Size, 10), "timeCreated": o.Created, "crc32c": o.CRC32C,
	})
	must(err)
	// Once chaos is over, ticks alone have to do.
	w.wake(fmt.Sprintf("%s#%d", o.Name, o.Generation), body, delay, func() bool { return w.weather.calm })
}

// wake wakes Submit by an event until it takes it, or until it need not.
func (w *world) wake(id string, body []byte, delay time.Duration, over func() bool) bool {
	for backoff := 10 * time.Second; ; backoff = min(2*backoff, 10*time.Minute) {
		time.Sleep(delay)
		w.mu.Lock()
		me := w.serve("submit")
		w.say("%-8s is woken by %s", me.name, id)
		w.mu.Unlock()
		taken := w.request(me, submit.Handler(me.load), http.Header{
			"Content-Type": {"application/json"}, "Ce-Specversion": {"1.0"}, "Ce-Id": {id}, "Ce-Type": {inbound.Finalized},
			"Ce-Source": {"//storage.googleapis.com/projects/_/buckets/" + inbox},
		}, body)
		w.mu.Lock()
		if taken || over() {
			w.mu.Unlock()
			return taken
		}
		delay = w.at(backoff)
		w.mu.Unlock()
	}
}

// stray delivers an event that no one can decode.
func (w *world) stray(id, body string, delay time.Duration) {
	w.wake(id, []byte(body), delay, func() bool { return false })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.garbage = append(w.garbage, id)
}

func (w *world) tick() {
	w.mu.Lock()
	me := w.serve("watch")
	w.say("%-8s begins a tick", me.name)
	w.mu.Unlock()
	w.request(me, watch.Handler(me.load), http.Header{}, nil)
}

// play lets people drop and change things while everything may go wrong, and
// then lets ticks alone bring it to an end.
func (w *world) play() {
	w.mu.Lock()
	w.prepare()
	w.people()
	w.asking()
	w.mu.Unlock()
	w.chaos()
	w.mu.Lock()
	w.weather.calm, w.calm = true, time.Now()
	w.say("%-8s everything answers from now on", "")
	w.mu.Unlock()
	n := ticks
	if w.weather.active > 0 || w.weather.hourly > 0 || w.weather.room > 0 || w.weather.budget > 0 {
		n = limitedTicks
	}
	for i := 0; i < n && !w.quiet(); i++ {
		w.tick()
		w.checkIdleBudget()
		if i == ticks && w.weather.budget > 0 { // what was used is never given back
			w.operator("raises the budget", func() { w.weather.budget = 10_000 })
		}
		time.Sleep(w.reserve(time.Minute))
	}
	w.thaw()
	for range ticks {
		w.tick()
		if w.quiet() {
			return
		}
		time.Sleep(w.reserve(time.Minute))
	}
}

// prepare makes what is there before the first drop, and what happens beside the drops. The caller
// holds mu.
func (w *world) prepare() {
	w.age()
	if w.epoch = w.chance(0.8); w.epoch {
		first, err := json.Marshal(map[string]time.Time{"at": w.begin})
		must(err)
		w.storage.put(state, "epoch", first, nil)
	}
	w.operators()
	if w.chance(0.3) { // a job that was there before jobdrop
		w.backend.add("foreign", nil, nil)
	}
	for n := range w.rng.IntN(3) {
		body, delay := pick(w.rng, "", "{", `{"bucket": "inbox"}`, `[]`, "\xff"), w.at(w.between(0, chaos/2))
		w.group.Go(func() { w.stray(fmt.Sprintf("stray%d", n), body, delay) })
	}
	for n := range w.rng.IntN(3) { // a job of other people's
		j := &simJob{id: fmt.Sprintf("other_%d", n), preparing: w.begin.Add(w.between(0, chaos))}
		j.resource = fmt.Sprintf("projects/project/locations/%s/customJobs/%d", anyRegion, 9000+n)
		j.running, j.ended = j.preparing.Add(time.Minute), j.preparing.Add(2*time.Minute)
		w.backend.hints(j)
	}
	w.storage.put(elsewhere, "lib-0.1.tar.gz", contents()[helpers][0].data, nil)
}

// people drop into few folders, some at the same time. The caller holds mu.
func (w *world) people() {
	folders := 1 + w.rng.IntN(3)
	special := pick(w.rng, 0, 0.1, 0.4)
	drops := 2 + w.rng.IntN(8)
	if w.weather.budget > 0 {
		drops += 4 // some have to wait
	}
	for range drops {
		folder, file := fmt.Sprintf("drop%d/", w.rng.IntN(folders)), pick(w.rng, jobFiles...)
		if w.chance(special) {
			folder, file = fmt.Sprintf("special%d/", w.rng.IntN(2)), pick(w.rng, specialFiles...)
		}
		code := func(name string) content { return contents()[name][w.rng.IntN(3)] }
		if w.chance(0.05) {
			code = func(name string) content { return pick(w.rng, contents()[name]...) }
		}
		file.rerun = w.chance(0.1)
		action := w.rng.IntN(24)
		at := w.at(w.between(0, pick(w.rng, 5*time.Second, 2*time.Minute, 12*time.Minute)))
		longest := pick(w.rng, time.Second, 10*time.Second, 90*time.Second)
		gap := func() time.Duration { return w.between(0, longest) }
		w.group.Go(func() {
			time.Sleep(at)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.act(action, folder, file, code, gap)
		})
	}
}

// act does what somebody does in a folder. The caller holds mu.
func (w *world) act(action int, folder string, file jobFile, code func(string) content, gap func() time.Duration) {
	switch action {
	case 0, 1, 2, 3:
		w.person(folder, file, packagesFirst, code, gap)
	case 4, 5, 6:
		w.person(folder, file, jobFileFirst, code, gap)
	case 7:
		w.person(folder, file, jobFileAlone, code, gap)
	case 8:
		w.person(folder, file, packagesAlone, code, gap)
	case 9:
		w.remove(folder + "job.yaml")
	case 10: // gcsfuse writes an empty object first
		w.upload(folder+"job.yaml", nil, nil, nil, nil)
		w.later(gap())
		w.person(folder, file, jobFileAlone, code, gap)
	case 11: // a second job file
		w.upload(folder+"job.yml", w.textOf(file), file.metadata(), &file, &drop{folder: folder})
	case 12:
		w.drift()
	case 13:
		w.person(folder, file, pinned, code, gap)
	case 14:
		w.person(folder, file, foretold, code, gap)
	case 16:
		w.sweep()
	case 17, 18:
		w.rewrite(folder, gap)
	case 19, 20:
		w.retry(folder, file, code, gap)
	case 21:
		w.restore(folder, gap)
	case 22, 23:
		w.habit(code, gap)
	case 15:
		w.storage.put(elsewhere, "lib-0.1.tar.gz", code(helpers).data, nil)
	}
}

// chaos lets ticks come, some at the same time, until everything answers.
func (w *world) chaos() {
	end := chaos
	if w.weather.pauses {
		end += chaos
	}
	for time.Since(w.begin) < end {
		w.mu.Lock()
		next := w.at(w.between(10*time.Second, pick(w.rng, 30*time.Second, 90*time.Second)))
		overlap := 0
		if w.chance(0.3) {
			overlap = 1 + w.rng.IntN(2)
		}
		w.mu.Unlock()
		time.Sleep(next)
		w.mu.Lock()
		for range 1 + overlap {
			delay := w.at(w.between(time.Millisecond, time.Second))
			w.group.Go(func() {
				time.Sleep(delay)
				w.tick()
			})
		}
		w.mu.Unlock()
	}
}

// thaw ticks until everybody came to an end: who froze may do only now what it was about to do.
func (w *world) thaw() {
	thawed := make(chan struct{})
	go func() {
		w.group.Wait()
		close(thawed)
	}()
	for waits := true; waits; {
		w.tick()
		minute := time.NewTimer(w.reserve(time.Minute))
		select {
		case <-thawed:
			waits = false
		case <-minute.C:
		}
		minute.Stop()
	}
	w.mu.Lock()
	w.thawed = true
	w.mu.Unlock()
}

// age puts what lay in the inbox before jobdrop, and lets somebody replay some of it.
// The caller holds mu.
func (w *world) age() {
	if !w.chance(0.2) {
		return
	}
	for n := range 1 + w.rng.IntN(2) {
		folder, age := fmt.Sprintf("old%d/", n), pick(w.rng, time.Hour, 49*time.Hour, 1000*time.Hour)
		d, file := &drop{folder: folder}, pick(w.rng, jobFiles...)
		at := w.begin.Add(-age)
		data := map[string][]byte{"job.yaml": w.textOf(file), sdist: contents()[sdist][0].data}
		for _, name := range []string{sdist, "job.yaml"} {
			data := data[name]
			o := w.storage.putAt(at, inbox, folder+name, data, nil)
			u := upload{at: at, path: inbox + "/" + folder + name, generation: o.Generation, data: data, drop: d, old: true}
			if name == "job.yaml" {
				u.file = &file
			}
			w.uploads[versionKey(u.path, u.generation)] = u
		}
		if w.chance(0.3) { // a package alone runs nothing
			at, code := w.at(w.between(0, chaos/2)), pick(w.rng, contents()[sdist][:3]...)
			w.group.Go(func() {
				time.Sleep(at)
				w.mu.Lock()
				defer w.mu.Unlock()
				w.upload(folder+sdist, code.data, nil, nil, d)
			})
		}
		if w.chance(0.4) {
			at := w.at(w.between(0, chaos/2))
			w.group.Go(func() { w.replay(folder, at) })
		}
	}
}

// replay runs a folder's drops as jobdrop replay does, until that has succeeded.
func (w *world) replay(folder string, at time.Duration) {
	for again := true; again; at = w.reserve(time.Minute) {
		time.Sleep(at)
		w.mu.Lock()
		w.replayed[folder] = true
		me := w.serve("replay")
		w.say("%-8s replays %s", me.name, folder)
		w.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), workerKey{}, me), deadline)
		a, err := me.load(ctx)
		must(err)
		err = a.Watcher.Replay(ctx, folder, false, 100, func(r watcher.Replayed) error { return r.Err })
		cancel()
		w.mu.Lock()
		w.answered(me)
		again = err != nil || me.dead
		w.say("%-8s replayed: %v", me.name, err)
		w.mu.Unlock()
	}
}

// operators change the policy, roll out a newer revision, switch to another backend and
// back, and people make jobs that look like jobdrop's. The caller holds mu.
func (w *world) operators() {
	if w.weather.pauses {
		for range 1 + w.rng.IntN(3) {
			at, lasts := w.at(w.between(0, chaos/2)), w.between(time.Minute, 40*time.Minute)
			w.group.Go(func() { w.pause(at, lasts) })
		}
	}
	during := func(p float64, least, most time.Duration, does string, begin func(), undoes string, end func()) {
		if !w.chance(p) {
			return
		}
		at, lasts := w.at(w.between(0, chaos/2)), w.between(least, most)
		w.group.Go(func() {
			time.Sleep(at)
			w.operator(does, begin)
			time.Sleep(w.reserve(lasts))
			w.operator(undoes, end)
		})
	}
	during(0.2, time.Minute, 5*time.Minute,
		"allows no region", func() { w.strict = time.Now() },
		"allows regions", func() { w.strict, w.lenient = time.Time{}, time.Now() })
	if w.chance(0.1) {
		w.withdraws = w.begin
	}
	during(0.2, time.Minute, chaos,
		"withdraws the same content", func() { w.withdraws = time.Now() },
		"runs the same content", func() { w.withdraws, w.withdrew = time.Time{}, time.Now() })
	limit := func(n int) func() {
		return func() { w.activeBefore, w.weather.active, w.activeChanged = w.weather.active, n, time.Now() }
	}
	if w.weather.active > 0 {
		during(0.2, 20*time.Minute, 40*time.Minute, "allows one job", limit(1), "allows three jobs", limit(3))
	}
	if w.weather.active == 0 && w.weather.hourly == 0 && w.weather.budget == 0 {
		// With a limit an attempt of the other backend would keep its place for ever.
		during(0.1, time.Minute, 5*time.Minute,
			"switches to the other backend", func() { w.switched, w.wasSwitched = true, true }, "switches back",
			func() { w.switched = false })
	}
	during(0.15, time.Minute, 10*time.Minute,
		"rolls out a newer revision", func() { w.upgrade, w.upgraded = time.Now(), time.Now().Add(1000*time.Hour) },
		"has rolled it out", func() { w.upgraded = time.Now() })
	if w.chance(0.1) {
		at := w.at(w.between(0, chaos/2))
		w.group.Go(func() {
			time.Sleep(at)
			w.operator("copies a job with its label", func() {
				labels := map[string]string{job.LabelInstance: job.InstanceLabel(instance), job.LabelAttempt: "copied"}
				w.backend.add("copy", labels, nil).stranger = true
			})
		})
	}
}

// sweep deletes a status object, as a lifecycle rule may. The caller holds mu.
func (w *world) sweep() {
	for _, path := range slices.Sorted(maps.Keys(w.storage.objects)) {
		if strings.HasPrefix(path, status+"/") && w.chance(0.3) {
			w.say("%-8s deletes %s", "a rule", path)
			w.swept[path] = true
			delete(w.storage.objects, path)
			return
		}
	}
}

// retire lets a lifecycle rule delete what is known of attempts that have their verdict,
// three days later. What it was runs never again: neither by ticks, which find the job
// files, nor by a package that comes to their folders.
func (w *world) retire() {
	time.Sleep(w.reserve(72 * time.Hour))
	w.mu.Lock()
	w.say("%-8s deletes the records", "a rule")
	folders := map[string]*drop{}
	for _, path := range slices.Sorted(maps.Keys(w.storage.objects)) {
		bucket, name, _ := strings.Cut(path, "/")
		switch kind, _, _ := strings.Cut(name, "/"); {
		case bucket == status, bucket == state && (kind == "attempts" || kind == "jobs" || kind == "folders"):
			if attempt := strings.TrimSuffix(strings.TrimPrefix(name, "attempts/"), ".json"); !w.elsewhere(attempt) {
				delete(w.storage.objects, path)
			}
		case bucket == inbox && isJobFile(name):
			folder := strings.TrimSuffix(name, base(name))
			folders[folder] = &drop{folder: folder}
		}
	}
	w.judge.retired = true
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		w.upload(folder+sdist, pick(w.rng, contents()[sdist][:3]...).data, nil, nil, folders[folder])
	}
	w.mu.Unlock()
	w.group.Wait()
	for range 3 {
		w.tick()
		time.Sleep(w.reserve(time.Minute))
	}
}

// base returns an object's name without its folder.
func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// remove deletes an object of the inbox. The caller holds mu.
func (w *world) remove(name string) {
	delete(w.storage.objects, inbox+"/"+name)
	w.judge.deleted[inbox+"/"+name] = append(w.judge.deleted[inbox+"/"+name], time.Now())
	w.say("%-8s deletes %s", "someone", name)
}

// pause writes a policy that pauses, and later one that does not.
func (w *world) pause(at, lasts time.Duration) {
	time.Sleep(at)
	w.operator("pauses", func() {
		if w.paused.IsZero() {
			w.paused = time.Now()
		}
	})
	time.Sleep(w.reserve(lasts))
	w.operator("ends the pause", func() { w.paused = time.Time{} })
}

func (w *world) operator(does string, change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.say("%-8s %s", "operator", does)
	change()
}

// later rests while someone holds mu.
func (w *world) later(d time.Duration) {
	d = w.at(d)
	w.mu.Unlock()
	time.Sleep(d)
	w.mu.Lock()
}

func (w *world) reserve(d time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at(d)
}

// drift loses an index entry of an attempt without a verdict. The caller holds mu.
func (w *world) drift() {
	for _, path := range slices.Sorted(maps.Keys(w.storage.objects)) {
		attempt, ok := strings.CutPrefix(path, state+"/open/")
		if r, written := w.storage.record(attempt); ok && written && !r.State.Terminal() {
			w.say("%-8s the index loses %s", "", attempt)
			w.dropped[attempt] = true
			delete(w.storage.objects, path)
			return
		}
	}
}

// quiet reports whether every attempt has its verdict and is off the index, and every
// drop has an attempt. It ignores attempts at the other backend.
func (w *world) quiet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for path := range w.storage.objects {
		if strings.HasPrefix(path, state+"/requests/") {
			return false
		}
		if attempt, ok := strings.CutPrefix(path, state+"/open/"); ok && !w.elsewhere(attempt) {
			return false
		}
		if attempt, ok := strings.CutPrefix(path, state+"/attempts/"); ok {
			attempt = strings.TrimSuffix(attempt, ".json")
			if r, _ := w.storage.record(attempt); !r.State.Terminal() && !w.elsewhere(attempt) {
				return false
			}
		}
	}
	if len(w.misplaced()) > 0 {
		return false
	}
	last := w.calm
	for _, b := range []*backend{w.backend, w.other} {
		for _, j := range b.jobs {
			if j.created.After(last) {
				last = j.created
			}
		}
	}
	return time.Since(last) > 2*time.Minute // what came last is looked for then
}

// elsewhere reports whether an attempt was accepted for the other backend. The caller
// holds mu.
func (w *world) elsewhere(attempt string) bool {
	if !w.wasSwitched {
		return false
	}
	r, ok := w.storage.record(attempt)
	return ok && r.Backend == w.other.name && !r.State.Terminal()
}
