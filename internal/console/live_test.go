package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// event is an event of a stream.
type event struct{ name, id, data string }

// stream is an open stream of events.
type stream struct {
	t      *testing.T
	events chan event // closed at the stream's end
	// seen has what the stream says of when the part was seen, as in "fresh 2026-11-30T12:00:00Z".
	seen   chan string
	status int
	leave  context.CancelFunc
}

// follow opens the stream of a page, after an event's ID if one is given.
func (s *site) follow(path, after string) *stream {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	own := &stream{t: s.t, events: make(chan event, 100), seen: make(chan string, 100), status: answer.StatusCode, leave: cancel}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(own.events)
		defer answer.Body.Close()
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 4<<20)
		var e event
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case lines.Text() == "" && (e.name == "fresh" || e.name == "stale"):
				own.seen <- e.name + " " + strings.TrimSpace(e.data)
				e = event{}
			case lines.Text() == "" && e != event{}:
				own.events <- e
				e = event{}
			case name == "event":
				e.name = value
			case name == "id":
				e.id = value
			case name == "data":
				e.data += value + "\n"
			}
		}
	}()
	s.t.Cleanup(func() { cancel(); <-done })
	return own
}

// next returns the next event. ok is false at the stream's end.
func (s *stream) next() (e event, ok bool) {
	s.t.Helper()
	select {
	case e, ok = <-s.events:
		return e, ok
	case <-time.After(20 * time.Second):
		s.t.Fatal("no event comes")
		return
	}
}

// none fails if an event comes within some looks.
func (s *stream) none() {
	s.t.Helper()
	select {
	case e, ok := <-s.events:
		s.t.Errorf("an event came: %t %q %.200q", ok, e.id, e.data)
	case <-time.After(100 * time.Millisecond):
	}
}

// A stream sends the page's part at once and after a change only, begins where its follower was, and ends with the job.
func TestStream(t *testing.T) {
	s := newSite(t, nil)
	steps := accepted("j", "")
	r := s.drop("a/", steps...)
	path := "/attempts/" + r.Attempt
	page := s.get(path).body
	f := s.follow(path, "")
	first, _ := f.next()
	if first.id == "" || first.name != "" || !strings.Contains(first.data, `class="heading"`) || strings.Contains(first.data, "<html") {
		t.Fatalf("%+v", first)
	}
	if !strings.Contains(page, `data-version="`+first.id+`"`) {
		t.Error("the page has another version than its stream")
	}
	known := s.follow(path, first.id)
	f.none()
	known.none()
	s.mu.Lock()
	s.clock = s.clock.Add(coarse) // other ages are no change
	s.mu.Unlock()
	next, _, err := attempt.Step(r, ended("j", job.BackendFailed), now)
	if err != nil {
		t.Fatal(err)
	}
	s.put(next)
	for name, f := range map[string]*stream{"from the beginning": f, "from the first": known} {
		last := first
		for {
			e, ok := f.next()
			if !ok || e.name != "" {
				if e.name != "end" || last.id == first.id || !strings.Contains(last.data, "failed") && !strings.Contains(last.data, "FAILED") {
					t.Errorf("%s: ended with %+v after %.300q", name, e, last.data)
				}
				break
			}
			last = e
		}
	}
}

// Pages whose words for ages are all that differs have the same version.
func TestVersionWithoutAges(t *testing.T) {
	at := now.Add(-time.Minute)
	a, b := string(ago(now, at)), string(ago(now.Add(coarse), at))
	if a == b || versionOf([]byte(a)) != versionOf([]byte(b)) {
		t.Errorf("%s\n%s", a, b)
	}
	if versionOf([]byte(a)) == versionOf([]byte(ago(now, at.Add(time.Second)))) {
		t.Error("another time has the same version")
	}
}

// All who follow a page share its looks; a slow one does not hold up the others, and none is left over.
func TestFollowersShareLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeeds(time.Second)
		var looks atomic.Int64
		look := func(context.Context) state {
			n := looks.Add(1)
			return state{version: fmt.Sprint(n), part: []byte("x")}
		}
		var leaves []func()
		for range 200 {
			_, leave, err := f.follow("ann /", look)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		other, leave, err := f.follow("eve /", look)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(9*time.Second + time.Millisecond)
		if n := looks.Load(); n != 20 { // 10 of each
			t.Errorf("%d looks in 9 s", n)
		}
		for _, leave := range leaves {
			leave()
			leave() // twice is once
		}
		leave()
		synctest.Wait()
		if other.ctx.Err() == nil || len(f.open) != 0 || f.streams != 0 {
			t.Errorf("%d feeds and %d streams are left", len(f.open), f.streams)
		}
		before := looks.Load()
		time.Sleep(time.Minute)
		if looks.Load() != before {
			t.Error("it looks for nobody")
		}
		f.close()
	})
}

// Those who see the same of the installation share the looks of a page. Whoever loses a right gets nothing more, and the
// others' stream goes on.
func TestStreamOfSameRights(t *testing.T) {
	s := newSite(t, nil).identified()
	r := s.drop("teams/nlp/a/", accepted("j", "")...)
	path := "/attempts/" + r.Attempt
	streams := map[string]*stream{}
	for i, who := range []string{ann, amy, bob} {
		s.as(who)
		streams[who] = s.follow(path, "")
		if e, _ := streams[who].next(); e.id == "" || strings.Contains(e.data, "@example.com") {
			t.Errorf("%s: %+v", who, e)
		}
		s.server.feeds.mu.Lock()
		if n := len(s.server.feeds.open); n != max(1, i) {
			t.Errorf("%d feeds with %s", n, who)
		}
		s.server.feeds.mu.Unlock()
	}
	s.mu.Lock()
	s.rules = rulesOf(t, "viewers: [{members: ['user:ann@example.com'], prefixes: ['teams/nlp/**'], outputs: ['gs://out/nlp/**']}]")
	s.clock = s.clock.Add(policyLasts)
	s.mu.Unlock()
	for _, who := range []string{amy, bob} {
		for { // the clock moved, and so may have the picture
			if _, ok := streams[who].next(); !ok {
				break
			}
		}
	}
	next, _, err := attempt.Step(r, ended("j", job.BackendSucceeded), now)
	if err != nil {
		t.Fatal(err)
	}
	s.put(next)
	for {
		e, ok := streams[ann].next()
		if strings.Contains(e.data, "succeeded") {
			break
		}
		if !ok {
			t.Fatal("the stream of who still sees it ended")
		}
	}
}

// While the policy can't be read, streams stay and send nothing.
func TestStreamWithoutPolicy(t *testing.T) {
	s := newSite(t, nil).identified()
	s.as(ann)
	f := s.follow("/", "")
	f.next()
	broken := func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.broken, s.clock = err, s.clock.Add(policyLasts)
	}
	broken(errors.New("down"))
	s.drop("teams/nlp/a/")
	f.none()
	broken(nil)
	if e, ok := f.next(); !ok || !strings.Contains(e.data, "teams/nlp/a") {
		t.Errorf("%t %+v", ok, e)
	}
}

// Whoever may not see a job any more gets no line of its log by a stream that is open.
func TestLogStreamOfViewerWhoLosesTheRight(t *testing.T) {
	s := newSite(t, nil).identified()
	s.logs.more = make(chan logs.Batch)
	r := s.drop("teams/nlp/a/", accepted("j", "")...)
	s.as(ann)
	f := s.follow("/attempts/"+r.Attempt+"/log", "")
	batch := logs.Batch{Lines: []logs.Line{{Time: now, InsertID: "i", Text: "line"}}}
	s.logs.more <- batch
	if e, _ := f.next(); e.name != "lines" {
		t.Errorf("%+v", e)
	}
	s.mu.Lock()
	s.rules = rulesOf(t, "viewers: [{members: ['user:ann@example.com'], prefixes: ['teams/vision/**']}]")
	s.clock = s.clock.Add(policyLasts)
	s.mu.Unlock()
	s.logs.more <- batch
	if e, ok := f.next(); ok {
		t.Errorf("%+v", e)
	}
}

// A page whose version the address has is not sent again, and one that is newer than the last look does not go back.
func TestStreamFromVersion(t *testing.T) {
	s := newSite(t, nil)
	s.drop("a/")
	page := s.get("/?folder=a").body
	_, version, _ := strings.Cut(page, `data-version="`)
	version, _, _ = strings.Cut(version, `"`)
	first := s.follow("/?folder=a", "")
	if e, _ := first.next(); e.id != version {
		t.Errorf("%+v", e)
	}
	same := s.follow("/?folder=a&from="+version, "")
	newer := s.follow("/?folder=a&from="+version, "another")
	if e, _ := newer.next(); e.id != version {
		t.Errorf("%+v", e)
	}
	same.none()
	if n := len(s.server.feeds.open); n != 1 {
		t.Errorf("%d feeds", n)
	}
}

// A follower whose page differs from the last look gets what the next one sees.
func TestFollowerOfAnotherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeeds(time.Minute)
		var version atomic.Value
		version.Store("1")
		own, leave, err := f.follow("k", func(context.Context) state {
			return state{version: version.Load().(string), part: []byte("x")}
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		version.Store("2")
		<-own.hurry("1") // as the last look saw it
		if now, _ := own.get(); now.version != "1" {
			t.Errorf("%+v", now)
		}
		<-own.hurry("2")
		if now, _ := own.get(); now.version != "2" {
			t.Errorf("%+v", now)
		}
		begun := time.Now()
		<-own.hurry("0") // the look sees no change
		if d := time.Since(begun); d != 0 {
			t.Errorf("it took %v", d)
		}
		leave()
		f.close()
	})
}

// Where nothing changes, looks become rarer, and a change brings them back.
func TestLooksWhereNothingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeeds(2 * time.Second)
		var looks, version atomic.Int64
		_, leave, err := f.follow("k", func(context.Context) state {
			looks.Add(1)
			return state{version: fmt.Sprint(version.Load()), part: []byte("x")}
		})
		if err != nil {
			t.Fatal(err)
		}
		in := func(d time.Duration) int64 {
			before := looks.Load()
			time.Sleep(d)
			return looks.Load() - before
		}
		if n := in(19 * time.Second); n != 10 {
			t.Errorf("%d looks in the first 19 s", n)
		}
		time.Sleep(2 * time.Minute)
		if n := in(time.Minute); n != 6 {
			t.Errorf("%d looks in a quiet minute", n)
		}
		version.Add(1)
		time.Sleep(10 * time.Second)
		if n := in(8 * time.Second); n != 4 {
			t.Errorf("%d looks in 8 s after a change", n)
		}
		leave()
		f.close()
	})
}

// A look that fails leaves what was seen, and the next one comes later and later. One that is refused does not leave it.
func TestFailingLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeeds(time.Second)
		var looks atomic.Int64
		var down atomic.Pointer[error]
		fails := func(err error) { down.Store(&err) }
		own, leave, err := f.follow("k", func(context.Context) state {
			looks.Add(1)
			if err := down.Load(); err != nil {
				return state{err: *err}
			}
			return state{version: "1", part: []byte("x")}
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second / 2)
		fails(job.ErrDenied) // to the console, which says nothing of the viewer
		_, changed := own.get()
		time.Sleep(9 * time.Minute)
		if now, _ := own.get(); now.version != "1" || now.err != nil || !now.stale {
			t.Errorf("%+v", now)
		}
		select {
		case <-changed:
		default:
			t.Error("nobody was told")
		}
		if n := looks.Load(); n < 5 || n > 20 {
			t.Errorf("%d looks in nine minutes", n)
		}
		fails(errNotFound)
		time.Sleep(59 * time.Second)
		if now, _ := own.get(); !errors.Is(now.err, errNotFound) || now.part != nil {
			t.Errorf("%+v", now)
		}
		leave()
		f.close()
		if _, _, err := f.follow("k", nil); !errors.Is(err, errBusy) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A stream says since when the page can't be read, once, and when it can be again.
func TestStaleStream(t *testing.T) {
	s := newSite(t, nil)
	var down atomic.Bool
	s.store.Before = func(storagetest.Call) error {
		if down.Load() {
			return errors.New("down")
		}
		return nil
	}
	f := s.follow("/", "")
	f.next()
	next := func(want string) {
		t.Helper()
		select {
		case got := <-f.seen:
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s does not come", want)
		}
	}
	next("fresh 2026-11-30T12:00:00Z")
	down.Store(true)
	next("stale 2026-11-30T12:00:00Z")
	s.mu.Lock()
	s.clock = s.clock.Add(time.Second) // below what pages round to
	s.mu.Unlock()
	late := s.follow("/", "")
	late.next()
	if got := <-late.seen; got != "stale 2026-11-30T12:00:00Z" {
		t.Errorf("who comes late: %s", got)
	}
	down.Store(false)
	next("fresh 2026-11-30T12:00:01Z")
	f.none()
}

// There is a bound to the streams of all.
func TestTooManyStreams(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/", accepted("j", "")...)
	s.server.feeds.mu.Lock()
	for range maxStreams {
		if _, err := s.server.feeds.enter(); err != nil {
			t.Fatal(err)
		}
	}
	s.server.feeds.mu.Unlock()
	for _, end := range []string{"", "/log"} {
		if f := s.follow("/attempts/"+r.Attempt+end, ""); f.status != http.StatusServiceUnavailable {
			t.Errorf("%q: %d", end, f.status)
		}
	}
	if got := s.get("/attempts/" + r.Attempt); got.status != http.StatusOK {
		t.Errorf("the page: %d", got.status)
	}
}

// Closing the console ends all streams.
func TestCloseEndsStreams(t *testing.T) {
	s := newSite(t, nil)
	r := s.drop("a/", accepted("j", "")...)
	page, log := s.follow("/", ""), s.follow("/attempts/"+r.Attempt+"/log", "")
	page.next()
	var closing sync.WaitGroup
	closing.Go(s.server.Close)
	for _, f := range []*stream{page, log} {
		if e, ok := f.next(); ok {
			t.Errorf("%+v", e)
		}
	}
	closing.Wait()
	if f := s.follow("/", ""); f.status != http.StatusServiceUnavailable {
		t.Errorf("after the end: %d", f.status)
	}
}

// A viewer who loses a right learns nothing more by a stream that is open, and one who has none does not get what
// somebody else's stream has.
func TestStreamOfViewerWhoLosesTheRight(t *testing.T) {
	s := newSite(t, nil).identified()
	r := s.drop("teams/nlp/a/", accepted("j", "")...)
	path := "/attempts/" + r.Attempt
	s.as(ann)
	f, log := s.follow(path, ""), s.follow(path+"/log", "")
	if e, _ := f.next(); e.id == "" {
		t.Fatalf("%+v", e)
	}
	log.none()
	s.as(eve)
	for _, end := range []string{"", "/log"} {
		if f := s.follow(path+end, ""); f.status != http.StatusNotFound {
			t.Errorf("a foreign page's stream: %d", f.status)
		}
	}
	s.as(ann)
	s.mu.Lock()
	s.rules = rulesOf(t, "viewers: [{members: ['user:ann@example.com'], prefixes: ['teams/vision/**']}]")
	s.clock = s.clock.Add(policyLasts)
	s.mu.Unlock()
	for {
		e, ok := f.next()
		if !ok {
			break
		}
		if e.name != "" {
			t.Errorf("%+v", e)
		}
	}
	if e, ok := log.next(); ok {
		t.Errorf("of the log: %+v", e)
	}
	if f := s.follow(path, ""); f.status != http.StatusNotFound {
		t.Errorf("the next stream: %d", f.status)
	}
}

// A stream of a page that can't be read is an answer with a status, not an empty stream.
func TestStreamFails(t *testing.T) {
	s := newSite(t, nil)
	s.store.Before = func(storagetest.Call) error { return errors.New("down") }
	if f := s.follow("/", ""); f.status != http.StatusBadGateway {
		t.Errorf("%d", f.status)
	}
	if n := s.server.feeds.streams; n != 0 {
		t.Errorf("%d streams are left", n)
	}
}
