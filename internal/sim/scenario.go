package sim

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/functions/submit"
	"github.com/jobdrop/jobdrop/functions/watch"
	"github.com/jobdrop/jobdrop/pkg/inbound"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// packed are packages of different content, with the module trainer.task each.
var packed = sync.OnceValue(func() [][]byte {
	var all [][]byte
	for i := range 3 {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		t := tar.NewWriter(z)
		for _, file := range [][2]string{
			{"PKG-INFO", "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n"},
			{"setup.py", "from setuptools import setup, find_packages\nsetup(name='trainer', version='0.1', packages=find_packages())\n"},
			{"trainer/__init__.py", ""},
			{"trainer/task.py", fmt.Sprintf("print(%d)\n", i)},
		} {
			name, text := file[0], file[1]
			must(t.WriteHeader(&tar.Header{Name: "trainer-0.1/" + name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}))
			_, err := t.Write([]byte(text))
			must(err)
		}
		must(t.Close())
		must(z.Close())
		all = append(all, b.Bytes())
	}
	return all
})

// jobFiles are job files: two that differ, one with an ID, the same ID with other
// content, an invalid one.
var jobFiles = func() []string {
	const plain = "trainingInput:\n  scaleTier: BASIC\n  region: us-central1\n  runtimeVersion: '2.11'\n  pythonVersion: '3.7'\n  pythonModule: trainer.task\n"
	return []string{
		plain, plain, plain + "  args: [again]\n", "jobId: shared\n" + plain, "jobId: shared\n" + plain + "  args: [other]\n",
		"jobId: foreign\n" + plain, strings.Replace(plain, "BASIC", "HUGE", 1),
		plain + "  scheduling: {maxRunningTime: 180s}\n", plain + "  scheduling: {maxWaitTime: 1800s}\n",
	}
}()

// upload puts an object into the inbox, and lets its event go its way. The
// caller holds mu.
func (w *world) upload(group *sync.WaitGroup, name string, data []byte) {
	o := w.storage.put(inbox, name, data, nil)
	w.say("%-8s uploads %s#%d, %d bytes", "someone", name, o.Generation, o.Size)
	deliveries := 1
	if w.chance(w.weather.lost) {
		deliveries = 0
		w.say("%-8s the event of %s#%d is lost", "", name, o.Generation)
	} else if w.chance(w.weather.twice) {
		deliveries = 2 + w.rng.IntN(2)
	}
	for range deliveries {
		delay := w.at(w.between(10*time.Millisecond, pick(w.rng, time.Second, time.Second, 2*time.Minute)))
		group.Go(func() { w.deliver(o.Object, delay) })
	}
}

// deliver delivers the event of an object as Eventarc does, until it is taken.
func (w *world) deliver(o job.Object, delay time.Duration) {
	body, err := json.Marshal(map[string]any{
		"kind": "storage#object", "bucket": o.Bucket, "name": o.Name, "generation": strconv.FormatInt(o.Generation, 10),
		"size": strconv.FormatInt(o.Size, 10), "timeCreated": o.Created, "crc32c": o.CRC32C,
	})
	must(err)
	w.wake(fmt.Sprintf("%s#%d", o.Name, o.Generation), body, delay, func() bool { return w.weather.calm }) // ticks alone have to do then
}

// wake wakes Submit by an event until it takes it, or until it need not.
func (w *world) wake(id string, body []byte, delay time.Duration, over func() bool) bool {
	for backoff := 10 * time.Second; ; backoff = min(2*backoff, 10*time.Minute) {
		time.Sleep(delay)
		me, load := w.process("submit")
		w.mu.Lock()
		w.say("%-8s is woken by %s", me.name, id)
		w.mu.Unlock()
		taken := w.request(me, submit.Handler(load), http.Header{
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
	me, load := w.process("watch")
	w.mu.Lock()
	w.say("%-8s begins a tick", me.name)
	w.mu.Unlock()
	w.request(me, watch.Handler(load), http.Header{}, nil)
}

// play lets people drop and change things while everything may go wrong, and
// then lets ticks alone bring it to an end.
func (w *world) play() {
	group := &w.group
	w.mu.Lock()
	first, err := json.Marshal(map[string]time.Time{"at": w.begin})
	must(err)
	w.storage.put(state, "epoch", first, nil)
	if w.chance(0.3) { // a job that was there before jobdrop
		w.trainer.add("foreign", nil, nil)
	}
	if w.weather.pauses {
		for range 1 + w.rng.IntN(3) {
			at, lasts := w.at(w.between(0, chaos/2)), w.between(time.Minute, 40*time.Minute)
			group.Go(func() { w.pause(at, lasts) })
		}
	}
	if w.chance(0.2) {
		at, lasts := w.at(w.between(0, chaos/2)), w.between(time.Minute, 5*time.Minute)
		group.Go(func() {
			time.Sleep(at)
			w.operator("allows no region", func() { w.strict = true })
			time.Sleep(w.reserve(lasts))
			w.operator("allows regions", func() { w.strict = false })
		})
	}
	for n := range w.rng.IntN(3) {
		body, delay := pick(w.rng, "", "{", `{"bucket": "inbox"}`, `[]`, "\xff"), w.at(w.between(0, chaos/2))
		group.Go(func() { w.stray(fmt.Sprintf("stray%d", n), body, delay) })
	}
	folders := 1 + w.rng.IntN(3)
	for range 2 + w.rng.IntN(8) {
		folder := fmt.Sprintf("drop%d/", w.rng.IntN(folders))
		content, file := packed()[w.rng.IntN(3)], []byte(pick(w.rng, jobFiles...))
		action := w.rng.IntN(13)
		at := w.at(w.between(0, pick(w.rng, 5*time.Second, 2*time.Minute, 12*time.Minute)))
		gap := w.at(w.between(0, pick(w.rng, time.Second, 10*time.Second, 90*time.Second)))
		group.Go(func() {
			time.Sleep(at)
			w.mu.Lock()
			defer w.mu.Unlock()
			switch action {
			case 0, 1, 2, 3, 4: // a drop, the package first
				w.upload(group, folder+"trainer-0.1.tar.gz", content)
				w.later(gap)
				w.upload(group, folder+"job.yaml", file)
			case 5, 6: // the job file first
				w.upload(group, folder+"job.yaml", file)
				w.later(gap)
				w.upload(group, folder+"trainer-0.1.tar.gz", content)
			case 7: // the job file alone
				w.upload(group, folder+"job.yaml", file)
			case 8: // a package alone
				w.upload(group, folder+"trainer-0.1.tar.gz", content)
			case 9:
				delete(w.storage.objects, inbox+"/"+folder+"job.yaml")
				w.say("%-8s deletes %sjob.yaml", "someone", folder)
			case 10: // gcsfuse writes an empty object first
				w.upload(group, folder+"job.yaml", nil)
				w.later(gap)
				w.upload(group, folder+"job.yaml", file)
			case 11: // a second job file
				w.upload(group, folder+"job.yml", file)
			case 12:
				w.drift()
			}
		})
	}
	w.mu.Unlock()

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
			group.Go(func() {
				time.Sleep(delay)
				w.tick()
			})
		}
		w.mu.Unlock()
	}
	w.mu.Lock()
	w.weather.calm, w.calm = true, time.Now()
	w.say("%-8s everything answers from now on", "")
	w.mu.Unlock()
	n := ticks
	if w.weather.active > 0 || w.weather.hourly > 0 || w.weather.room > 0 {
		n = limitedTicks
	}
	for range n {
		if w.quiet() {
			break
		}
		w.tick()
		time.Sleep(w.reserve(time.Minute))
	}
	// Who froze may thaw only now, and do what it was about to do.
	thawed := make(chan struct{})
	go func() {
		group.Wait()
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
	for range ticks {
		w.tick()
		if w.quiet() {
			return
		}
		time.Sleep(w.reserve(time.Minute))
	}
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
	w.mu.Unlock()
	time.Sleep(w.reserve(d))
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

// hints sends hints of a job's changes, some of them. The caller holds mu.
func (w *world) hints(j *simJob) {
	for _, at := range []time.Time{j.preparing, j.running, j.ended} {
		if w.weather.calm || time.Until(at) < 0 || time.Until(at) > chaos || !w.chance(w.weather.hinted) {
			continue
		}
		delay := w.at(time.Until(at) + w.between(time.Millisecond, 3*time.Second))
		w.group.Go(func() {
			time.Sleep(delay)
			me, load := w.process("watch")
			w.mu.Lock()
			me.hinted = true
			w.say("%-8s is told of %s", me.name, j.id)
			w.mu.Unlock()
			entry, err := json.Marshal(map[string]any{"logName": "l", "resource": map[string]any{"type": "ml_job", "labels": map[string]string{"job_id": cmp.Or(w.trainer.hintOf(j), j.id)}}})
			must(err)
			w.request(me, watch.Handler(load), http.Header{}, entry)
		})
	}
}

// quiet tells whether every attempt has its verdict and is off the index, and
// every drop has an attempt.
func (w *world) quiet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for path := range w.storage.objects {
		if strings.HasPrefix(path, state+"/open/") {
			return false
		}
		if attempt, ok := strings.CutPrefix(path, state+"/attempts/"); ok {
			if r, _ := w.storage.record(strings.TrimSuffix(attempt, ".json")); !r.State.Terminal() {
				return false
			}
		}
	}
	return time.Since(w.calm) > 2*time.Minute // what came last is looked for then
}
