package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// cloud is a Cloud Storage of a few objects, over which a test disposes.
type cloud struct {
	mu      sync.Mutex
	objects map[string]cloudObject // by bucket/name
	status  int                    // of every answer, if it is not 0
	reads   []time.Time            // of status objects
	hangs   bool                   // calls end with their contexts
	writes  int                    // which are accepted, and forgotten
}

type cloudObject struct {
	generation int64
	data       string
	status     int // of answers about it, if it is not 0
	created    string
}

func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/download"), "/storage/v1/b/")
	bucket, name, _ := strings.Cut(path, "/o/")
	if bucket == "status" && r.URL.Query().Get("alt") == "media" {
		c.reads = append(c.reads, time.Now())
	}
	o, ok := c.objects[bucket+"/"+name]
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"X-Goog-Generation": {fmt.Sprint(o.generation)}}, Request: r,
			Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
	switch {
	case c.status < 0:
		return nil, io.ErrUnexpectedEOF
	case c.status != 0:
		return answer(c.status, "")
	case r.Method == http.MethodPost:
		c.writes++
		return answer(http.StatusOK, `{"generation": "1"}`)
	case o.status != 0:
		return answer(o.status, "")
	case !ok:
		return answer(http.StatusNotFound, "")
	case r.URL.Query().Get("ifGenerationNotMatch") == fmt.Sprint(o.generation):
		return answer(http.StatusNotModified, "")
	case r.URL.Query().Get("alt") == "media":
		return answer(http.StatusOK, o.data)
	}
	return answer(http.StatusOK, fmt.Sprintf(`{"bucket": %q, "name": %q, "generation": "%d", "timeCreated": %q}`, bucket, name,
		o.generation, o.created))
}

// record writes the record of an attempt of the folder a/, which has a job's ID.
func (c *cloud) record(t *testing.T, number int64, id string, s job.State) {
	t.Helper()
	key := job.FolderKey("inbox", "a/") + fmt.Sprintf("-%d", number)
	for name, value := range map[string]any{
		"attempts/" + key + ".json": attempt.Record{
			Attempt: key, State: s, Drop: job.DropInfo{Bucket: "inbox", Prefix: "a/"}, Job: job.JobInfo{ID: id},
		},
		"jobs/" + id + ".json": attempt.Owner{Attempt: key},
	} {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		c.set("state/"+name, cloudObject{generation: 1, data: string(data)})
	}
}

// set changes an object; it removes it if its generation is 0.
func (c *cloud) set(name string, o cloudObject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.objects[name] = o; o.generation == 0 {
		delete(c.objects, name)
	}
}

// answer makes every call end with a status, or be cut off with -1. All is well with 0.
func (c *cloud) answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

// put writes the status of an attempt of the folder a/.
func (c *cloud) put(t *testing.T, number, revision int64, s job.Snapshot) {
	t.Helper()
	s.Attempt = job.FolderKey("inbox", "a/") + fmt.Sprintf("-%d", number)
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	c.set(fmt.Sprintf("status/a/status-%d.json", number), cloudObject{generation: revision, data: string(data)})
}

// following is a wait for an attempt of the folder a/ in a cloud.
type following struct {
	cloud *cloud
	said  []string
	seen  []job.State
	idle  int // looks without news
	s     job.Snapshot
	err   error
	took  time.Duration
}

func (f *following) run(ctx context.Context, t *testing.T, o followOptions) {
	t.Helper()
	storage, err := gcs.Over(ctx, f.cloud)
	if err != nil {
		t.Fatal(err)
	}
	o.folder = "a/"
	o.say = func(format string, args ...any) { f.said = append(f.said, fmt.Sprintf(format, args...)) }
	o.changed = func(s job.Snapshot) { f.seen = append(f.seen, s.State) }
	o.unchanged = func(context.Context, job.Snapshot) { f.idle++ }
	in := &target{Config: config.Config{Inbox: "inbox", Status: "status", State: "state"}, storage: storage}
	begun := time.Now()
	f.s, f.err = in.follow(ctx, Env{Now: time.Now}, o)
	f.took = time.Since(begun)
}

// An attempt is followed by its own status alone: what else lies in the folder is not read as its verdict, and what is
// not known is never a success.
func TestFollow(t *testing.T) {
	live := func(generation int64) map[string]cloudObject {
		return map[string]cloudObject{"inbox/a/job.yml": {generation: generation}}
	}
	const lastYear = "1999-01-01T00:00:00Z" // tests begin with the year 2000
	verdict := func(s job.State) job.Snapshot { return job.Snapshot{State: s} }
	for _, tt := range []struct {
		name    string
		options followOptions
		objects map[string]cloudObject
		// then changes the cloud after some time.
		after time.Duration
		then  func(*testing.T, *cloud)
		code  int // of the error, or of the state
		seen  []job.State
		said  string
		least time.Duration // how long it takes
		most  time.Duration
	}{
		{name: "the verdict is there", then: func(t *testing.T, c *cloud) { c.put(t, 7, 1, verdict(job.Failed)) },
			code: exitFailed, seen: []job.State{job.Failed}, most: 2 * time.Second},
		{name: "the verdict comes", objects: live(7), after: 10 * time.Minute,
			then: func(t *testing.T, c *cloud) { c.put(t, 7, 1, verdict(job.Succeeded)) },
			code: exitSucceeded, seen: []job.State{job.Succeeded}, said: "has not looked at gs://inbox/a/job.yml yet",
			least: 10 * time.Minute, most: 10*time.Minute + 31*time.Second},
		{name: "yesterday's verdict", objects: live(7),
			then:    func(t *testing.T, c *cloud) { c.put(t, 6, 1, verdict(job.Succeeded)) },
			options: followOptions{timeout: time.Hour}, code: exitRunning, least: time.Hour, most: time.Hour},
		{name: "a colleague's", objects: live(8),
			then: func(t *testing.T, c *cloud) { c.put(t, 8, 1, verdict(job.Succeeded)) },
			code: exitUnknown, most: 2 * time.Second},
		{name: "no drop", code: exitUnknown, most: time.Second},
		{name: "recorded, and its status comes", options: followOptions{known: true}, after: 10 * time.Second,
			then: func(t *testing.T, c *cloud) { c.put(t, 7, 1, verdict(job.Cancelled)) },
			code: exitCancelled, seen: []job.State{job.Cancelled}, least: 10 * time.Second, most: 20 * time.Second},
		{name: "recorded, and its status was deleted", options: followOptions{known: true}, code: exitUnknown,
			least: time.Minute, most: 2 * time.Minute},
		{name: "dropped lately", objects: map[string]cloudObject{"inbox/a/job.yml": {generation: 7, created: "1999-12-31T12:00:00Z"}},
			options: followOptions{timeout: time.Hour}, code: exitRunning, least: time.Hour, most: time.Hour},
		{name: "its status has expired", objects: map[string]cloudObject{"inbox/a/job.yml": {generation: 7, created: lastYear}},
			code: exitUnknown, most: time.Second},
		{name: "its status has expired, and it is recorded",
			objects: map[string]cloudObject{"inbox/a/job.yml": {generation: 7, created: lastYear}},
			then:    func(t *testing.T, c *cloud) { c.record(t, 7, "a_1", job.TimedOut) },
			code:    exitTimedOut, seen: []job.State{job.TimedOut}, most: time.Second},
		{name: "an old one whose status may not be read", objects: map[string]cloudObject{
			"inbox/a/job.yml": {generation: 7, created: lastYear}, "status/a/status-7.json": {status: http.StatusForbidden},
		}, code: exitMissing, most: time.Second},
		{name: "a generation of before, and it is recorded",
			then: func(t *testing.T, c *cloud) { c.record(t, 7, "a_1", job.Succeeded) },
			code: exitSucceeded, seen: []job.State{job.Succeeded}, most: time.Second},
		{name: "replaced before it was looked at", objects: live(7), after: 10 * time.Minute,
			then: func(_ *testing.T, c *cloud) { c.set("inbox/a/job.yml", cloudObject{generation: 8}) },
			code: exitUnknown, least: 11 * time.Minute, most: 12 * time.Minute},
		{name: "replaced, and withdrawn a moment later", objects: live(7), after: 10 * time.Second,
			then: func(t *testing.T, c *cloud) {
				c.set("inbox/a/job.yml", cloudObject{})
				time.Sleep(40 * time.Second)
				c.put(t, 7, 1, verdict(job.Withdrawn))
			}, code: exitCancelled, seen: []job.State{job.Withdrawn}, least: 50 * time.Second, most: 80 * time.Second},
		{name: "a repeat", then: func(t *testing.T, c *cloud) {
			c.put(t, 7, 1, job.Snapshot{State: job.Withdrawn, DuplicateOf: job.FolderKey("inbox", "a/") + "-5"})
			c.put(t, 5, 1, verdict(job.Running))
			time.Sleep(time.Minute)
			c.put(t, 5, 2, verdict(job.TimedOut))
		}, code: exitTimedOut, seen: []job.State{job.Withdrawn, job.Running, job.TimedOut},
			said: "it repeats gs://inbox/a/#5", least: time.Minute, most: 91 * time.Second},
		{name: "a repeat, and the line is lost at once", then: func(t *testing.T, c *cloud) {
			c.put(t, 7, 1, job.Snapshot{State: job.Withdrawn, DuplicateOf: job.FolderKey("inbox", "a/") + "-5"})
			c.set("status/a/status-5.json", cloudObject{generation: 1, status: http.StatusServiceUnavailable})
			time.Sleep(10 * time.Minute)
			c.put(t, 5, 2, verdict(job.Succeeded))
		}, code: exitSucceeded, seen: []job.State{job.Withdrawn, job.Succeeded}, said: "no answer",
			least: 10 * time.Minute, most: 11 * time.Minute},
		{name: "a repeat of what is not there", then: func(t *testing.T, c *cloud) {
			c.put(t, 7, 1, job.Snapshot{State: job.Withdrawn, DuplicateOf: job.FolderKey("inbox", "a/") + "-5"})
		}, code: exitUnknown, least: time.Minute, most: 2 * time.Minute},
		{name: "a repeat of itself", then: func(t *testing.T, c *cloud) {
			c.put(t, 7, 1, job.Snapshot{State: job.Withdrawn, DuplicateOf: job.FolderKey("inbox", "a/") + "-7"})
		}, code: exitCancelled, most: time.Minute},
		{name: "a repeat of another folder's", then: func(t *testing.T, c *cloud) {
			c.put(t, 7, 1, job.Snapshot{State: job.Withdrawn, DuplicateOf: job.FolderKey("inbox", "b/") + "-5"})
		}, code: exitCancelled, most: time.Second},
		{name: "the line is lost", objects: live(7), after: time.Minute,
			then: func(_ *testing.T, c *cloud) { c.answer(-1) }, said: "no answer",
			code: exitRunning, least: 16 * time.Minute, most: 18 * time.Minute},
		{name: "the line is lost at the timeout", options: followOptions{timeout: 5 * time.Minute},
			then: func(_ *testing.T, c *cloud) { c.answer(http.StatusServiceUnavailable) }, said: "no answer",
			code: exitRunning, least: 5 * time.Minute, most: 5 * time.Minute},
		{name: "the line is lost and comes back", after: 0,
			then: func(t *testing.T, c *cloud) {
				c.put(t, 7, 1, verdict(job.Running))
				time.Sleep(time.Minute)
				c.answer(-1)
				time.Sleep(10 * time.Minute)
				c.answer(0)
				c.put(t, 7, 2, verdict(job.Succeeded))
			}, seen: []job.State{job.Running, job.Succeeded}, said: "there are answers again",
			code: exitSucceeded, least: 11 * time.Minute, most: 12 * time.Minute},
		{name: "the line is lost twice",
			then: func(t *testing.T, c *cloud) {
				c.put(t, 7, 1, verdict(job.Running))
				for range 2 {
					time.Sleep(time.Minute)
					c.answer(-1)
					time.Sleep(10 * time.Minute)
					c.answer(0)
				}
				c.put(t, 7, 2, verdict(job.Failed))
			}, code: exitFailed, least: 22 * time.Minute, most: 23 * time.Minute},
		{name: "the status may not be read", objects: map[string]cloudObject{
			"inbox/a/job.yaml": {generation: 7}, "status/a/status-7.json": {status: http.StatusForbidden},
		}, said: "needs the right storage.objects.get", code: exitRunning, least: 15 * time.Minute, most: 16 * time.Minute},
		{name: "a list is not allowed, and nothing is there yet", objects: map[string]cloudObject{
			"inbox/a/job.yaml": {generation: 7}, "status/a/status-7.json": {status: http.StatusForbidden},
		}, after: 5 * time.Minute, then: func(t *testing.T, c *cloud) { c.put(t, 7, 1, verdict(job.Rejected)) },
			code: exitRejected, seen: []job.State{job.Rejected}, least: 5 * time.Minute, most: 6 * time.Minute},
		{name: "the inbox may not be read", objects: map[string]cloudObject{
			"inbox/a/job.yaml": {status: http.StatusForbidden}, "inbox/a/job.yml": {status: http.StatusForbidden},
			"inbox/a/job.json": {status: http.StatusForbidden},
		}, said: "whether the job file is live is not known", code: exitRunning,
			least: 15 * time.Minute, most: 16 * time.Minute},
		{name: "the status is deleted meanwhile", then: func(t *testing.T, c *cloud) {
			c.put(t, 7, 1, verdict(job.Running))
			time.Sleep(time.Minute)
			c.set("status/a/status-7.json", cloudObject{})
		}, seen: []job.State{job.Running}, code: exitRunning, least: 16 * time.Minute, most: 17 * time.Minute},
		{name: "not a status", objects: map[string]cloudObject{"status/a/status-7.json": {generation: 1, data: "{"}},
			code: exitFault, most: time.Second},
		{name: "another's status", objects: map[string]cloudObject{
			"status/a/status-7.json": {generation: 1, data: `{"attempt": "x-7", "state": "succeeded"}`},
		}, code: exitFault, most: time.Second},
		{name: "a state of a later release", objects: map[string]cloudObject{"status/a/status-7.json": {generation: 1,
			data: `{"attempt": "` + job.FolderKey("inbox", "a/") + `-7", "state": "frozen"}`}},
			options: followOptions{timeout: time.Hour}, code: exitRunning, seen: []job.State{"frozen"},
			least: time.Hour, most: time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := following{cloud: &cloud{objects: map[string]cloudObject{}}}
				for name, o := range tt.objects {
					f.cloud.objects[name] = o
				}
				if tt.then != nil {
					go func() {
						time.Sleep(tt.after)
						tt.then(t, f.cloud)
					}()
					synctest.Wait()
				}
				tt.options.generation = 7
				f.run(t.Context(), t, tt.options)
				code := codeOf(f.err)
				if f.err == nil {
					code = exitOf(f.s.State)
				}
				if code != tt.code {
					t.Errorf("exit %d, %v; want %d", code, f.err, tt.code)
				}
				if f.took < tt.least || f.took > tt.most {
					t.Errorf("it takes %s, want %s to %s", f.took, tt.least, tt.most)
				}
				if diff := cmp.Diff(tt.seen, f.seen); diff != "" && tt.seen != nil {
					t.Errorf("states (-want +got):\n%s", diff)
				}
				if said := strings.Join(f.said, "\n"); !strings.Contains(said, tt.said) {
					t.Errorf("it says %q, want %q in it", said, tt.said)
				}
				for i := range f.said[:max(0, len(f.said)-1)] {
					if f.said[i] == f.said[i+1] {
						t.Errorf("%q is said twice", f.said[i])
					}
				}
			})
		})
	}
}

// The pauses between reads grow to 30 s and begin anew with each change.
func TestFollowBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := following{cloud: &cloud{objects: map[string]cloudObject{}}}
		f.cloud.put(t, 7, 1, job.Snapshot{State: job.Running})
		go func() {
			time.Sleep(10 * time.Minute)
			f.cloud.put(t, 7, 2, job.Snapshot{State: job.Running, Reason: "x"})
		}()
		f.run(t.Context(), t, followOptions{generation: 7, timeout: 20 * time.Minute})
		var pauses []time.Duration
		for i := range f.cloud.reads[1:] {
			pauses = append(pauses, f.cloud.reads[i+1].Sub(f.cloud.reads[i]))
		}
		short, long := 0, 0
		for _, p := range pauses {
			if p <= time.Second {
				short++
			}
			if p > longestPause*3/4-time.Millisecond {
				long++
			}
			if p > longestPause {
				t.Errorf("a pause of %s", p)
			}
		}
		if short < 4 || long < 30 || len(pauses) > 80 {
			t.Errorf("%d pauses, %d of a second, %d of half a minute: %s", len(pauses), short, long, pauses)
		}
		if len(f.seen) != 2 || f.idle != len(f.cloud.reads)-len(f.seen) {
			t.Errorf("changes: %v; %d of %d reads said to bring none", f.seen, f.idle, len(f.cloud.reads))
		}
	})
}

// An interrupt is not a verdict, whenever it comes. A call that it cuts off is not a lost line.
func TestFollowInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []*cloud{{}, {status: -1}, {hangs: true}} {
			c.objects = map[string]cloudObject{"inbox/a/job.yaml": {generation: 7}}
			f := following{cloud: c}
			after := time.Minute
			if c.hangs {
				after = 5 * time.Second // within the first call
			}
			ctx, interrupt := context.WithTimeout(t.Context(), after)
			f.run(ctx, t, followOptions{generation: 7})
			interrupt()
			if said := strings.Join(f.said, "\n"); strings.Contains(said, "no answer") != (c.status != 0) {
				t.Errorf("it says %q", said)
			}
			if code := codeOf(f.err); code != exitInterrupted || errors.Is(f.err, timeError(0)) {
				t.Errorf("exit %d: %v", code, f.err)
			}
		}
	})
}

// Whoever waits for a decision is told once what is wrong with the policy, and again after it was mended.
func TestPlacingSaysThePolicy(t *testing.T) {
	c := &cloud{objects: map[string]cloudObject{}}
	storage, err := gcs.Over(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	p := placing{
		target: &target{Config: config.Config{PolicyBucket: "rules", PolicyObject: "policy.yaml"}, storage: storage},
		say:    func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) },
	}
	policies := []struct {
		data string
		want int // how often something was said by then
	}{{"pauze: true\n", 1}, {"pauze: true\n", 1}, {"pause: true\n", 1}, {"pauze: true\n", 2}}
	for n, test := range policies {
		c.set("rules/policy.yaml", cloudObject{generation: int64(n + 1), data: test.data})
		p.look(t.Context(), job.Snapshot{})
		if len(said) != test.want {
			t.Errorf("look %d: said %q", n, said)
		}
	}
	if len(said) > 0 && !strings.HasPrefix(said[0], "the policy is not valid, so nothing is decided until it is mended: ") {
		t.Errorf("said %q", said)
	}
	if p.look(t.Context(), job.Snapshot{State: job.Running}); len(said) != 2 {
		t.Errorf("of a job that runs: %q", said)
	}
	c.set("rules/policy.yaml", cloudObject{generation: 9, status: http.StatusForbidden})
	if p.look(t.Context(), job.Snapshot{}); !p.closed || len(said) != 2 {
		t.Errorf("without the right to it: %q, %v", said, p.closed)
	}
}
