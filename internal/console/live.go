package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	// streamTime is how long a stream lasts. Cloud Run bills for the whole of it, and ends requests by itself.
	streamTime = 4 * time.Minute
	// maxStreams bounds the streams of all followers, below what Cloud Run lets into an instance: pages have to get in.
	maxStreams = 800
	// writeTime bounds one write to a follower.
	writeTime = 15 * time.Second
	// quietTime is how often something is sent where nothing changes: some proxies end what is silent.
	quietTime = 20 * time.Second
	// feedTime is how long the followers of a page share its looks at most.
	feedTime = 10 * time.Minute
	// slowest is how many times as long it takes from look to look where nothing has changed for a while.
	slowest = 5
)

// errBusy is returned if too many follow pages.
var errBusy = errors.New("too many pages are followed at the moment: this one shows what was there when it was loaded")

// state is a part of a page at one time.
type state struct {
	version string
	part    []byte
	// at is when the part was last seen to be so; stale reports that the looks since then failed.
	at    time.Time
	stale bool
	// over reports that the part does not change any more.
	over bool
	err  error
}

// feeds are the pages that somebody follows. All followers of a page who see the same of the installation share its looks.
type feeds struct {
	every time.Duration
	ctx   context.Context
	end   context.CancelFunc

	mu      sync.Mutex
	open    map[string]*feed
	streams int
	tasks   sync.WaitGroup
}

// feed is a page that somebody follows.
type feed struct {
	followers int
	ctx       context.Context
	end       context.CancelFunc

	// sooner has an element if the next look is to come at once.
	sooner chan struct{}

	mu      sync.Mutex
	now     state
	changed chan struct{} // closed at the next change, and after the next look if hurried is set
	hurried bool
}

func newFeeds(every time.Duration) *feeds {
	ctx, end := context.WithCancel(context.Background())
	return &feeds{every: every, ctx: ctx, end: end, open: map[string]*feed{}}
}

// close ends all feeds, and waits for their looks. None begins afterwards.
func (f *feeds) close() {
	f.mu.Lock()
	f.end()
	f.mu.Unlock()
	f.tasks.Wait()
}

// enter counts a stream, and returns what ends it. It is called with f.mu held.
func (f *feeds) enter() (leave func(), err error) {
	if f.streams >= maxStreams || f.ctx.Err() != nil {
		return nil, errBusy
	}
	f.streams++
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.streams--
	}), nil
}

// follow returns the feed of a key, and what ends the follower's part in it. look makes the page's part.
func (f *feeds) follow(key string, look func(ctx context.Context) state) (*feed, func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone, err := f.enter()
	if err != nil {
		return nil, nil, err
	}
	own := f.open[key]
	if own == nil || own.ctx.Err() != nil {
		ctx, end := context.WithTimeout(f.ctx, feedTime)
		own = &feed{ctx: ctx, end: end, changed: make(chan struct{}), sooner: make(chan struct{}, 1)}
		f.open[key] = own
		f.tasks.Go(func() { own.run(f.every, look) })
	}
	own.followers++
	return own, sync.OnceFunc(func() {
		defer gone()
		f.mu.Lock()
		defer f.mu.Unlock()
		if own.followers--; own.followers > 0 {
			return
		}
		own.end()
		if f.open[key] == own {
			delete(f.open, key)
		}
	}), nil
}

// run looks at the page until its context ends, or the page is over. After a failure it waits longer, and where nothing
// has changed for a while, a tenth of that while.
func (f *feed) run(every time.Duration, look func(ctx context.Context) state) {
	wait, quiet := every, time.Duration(0)
	for {
		ctx, cancel := context.WithTimeout(f.ctx, pageTime)
		next := look(ctx)
		cancel()
		if f.ctx.Err() != nil {
			return
		}
		switch changed := f.set(next); {
		case next.over:
			return
		case next.err != nil:
			wait = min(2*wait, time.Minute)
		case changed:
			wait, quiet = every, 0
		default:
			quiet += wait
			wait = min(max(every, quiet/10), slowest*every)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-f.sooner:
			t.Stop()
			wait, quiet = every, 0
		case <-f.ctx.Done():
			t.Stop()
			return
		}
	}
}

// set stores a state, wakes the followers if it is another one, and reports whether the page changed. A failure leaves the
// last state that was seen, which is stale from then on, unless the page is not theirs to see any more.
func (f *feed) set(s state) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.err != nil && f.now.part != nil && !refused(s.err) {
		s = f.now
		s.stale = true
	}
	changed = s.err != nil || s.version != f.now.version || s.over != f.now.over
	wakes := changed || s.stale != f.now.stale || f.hurried
	f.now = s
	if wakes {
		f.hurried = false
		close(f.changed)
		f.changed = make(chan struct{})
	}
	return changed
}

// hurry has the page looked at at once if the last look saw another version than a follower knows: their page may be
// newer, and must not go back. It returns what is closed after that look; at once if there is none.
func (f *feed) hurry(known string) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known == "" || f.now.part == nil || f.now.version == known {
		now := make(chan struct{})
		close(now)
		return now
	}
	f.hurried = true
	select {
	case f.sooner <- struct{}{}:
	default: // it comes already
	}
	return f.changed
}

// get returns the state, and what is closed at the next change.
func (f *feed) get() (state, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now, f.changed
}

// looking returns a look of a feed. Its failures are in the log, and a panic is one: nobody else would recover from it.
func (s *Server) looking(path string, look func(ctx context.Context) (state, error)) func(ctx context.Context) state {
	return func(ctx context.Context) (seen state) {
		err := safely(func() (err error) { seen, err = look(ctx); return err })
		if err != nil {
			return state{err: s.logged(ctx, path, err)}
		}
		return seen
	}
}

// stream sends the part of a page that changes, at once and after each change, and when it was last seen to be so: as
// fresh while the looks succeed, as stale from when they fail. A follower who knows the part's version already, by
// Last-Event-ID or by the address, gets the next one first. It returns an error before the first byte only.
func (s *Server) stream(w http.ResponseWriter, r request, look func(ctx context.Context, r request) (page, error)) error {
	address, asked := *r.URL, r.URL.Query()
	known := cmp.Or(r.Header.Get("Last-Event-ID"), asked.Get("from"))
	asked.Del("from")
	address.RawQuery = asked.Encode()
	shared := r.WithContext(context.Background())
	shared.URL, shared.Header = &address, http.Header{} // nothing of who asks: others see the same part
	again := func(ctx context.Context) (state, error) {
		own := request{Request: shared.WithContext(ctx), viewer: r.viewer, now: s.instant()}
		at := s.Now()
		p, err := look(ctx, own)
		if err != nil {
			return state{}, err
		}
		part, err := s.part(s.shell(own, p), p)
		return state{version: versionOf(part), part: part, at: at, over: !p.live}, err
	}
	f, leave, err := s.feeds.follow(r.viewer.Rights()+" "+address.RequestURI(), s.looking(r.URL.Path, again))
	if err != nil {
		return err
	}
	defer leave()
	select {
	case <-f.hurry(known):
	case <-r.Context().Done():
	case <-f.ctx.Done():
	}
	out := newEvents(w)
	end, quiet, check := time.NewTimer(streamTime), time.NewTicker(quietTime), time.NewTicker(slowest*s.feeds.every)
	defer end.Stop()
	defer quiet.Stop()
	defer check.Stop()
	seen := func(now state) bool {
		name := "fresh"
		if now.stale {
			name = "stale"
		}
		return out.send(name, "", []byte(now.at.UTC().Format(time.RFC3339)))
	}
	for begun, stale := false, false; ; {
		now, changed := f.get()
		sees, err := s.sees(r)
		if err = cmp.Or(err, now.err); err != nil {
			if begun {
				return nil // the browser comes again, and is told why
			}
			return err
		}
		news := now.version != known || now.stale != stale
		if now.part != nil && !begun {
			if begun, news = true, true; !out.begin() {
				return nil
			}
		}
		if begun && sees && now.version != known {
			if known = now.version; !out.send("", now.version, now.part) {
				return nil
			}
		}
		if begun && sees && news {
			if stale = now.stale; !seen(now) {
				return nil
			}
		}
		if begun && sees && now.over {
			out.send("end", "", nil)
			return nil
		}
		select {
		case <-changed:
		case <-check.C:
		case <-quiet.C:
			if now, _ := f.get(); begun && !seen(now) {
				return nil
			}
		case <-end.C:
			return nil
		case <-r.Context().Done():
			return nil
		case <-f.ctx.Done():
			return nil
		}
	}
}

// sees reports whether who follows a page sees now what they saw when they began. It returns an error if they see less or
// something else. While the policy can't be read, nobody sees anything new.
func (s *Server) sees(r request) (bool, error) {
	v, err := s.viewer(r.Context(), r.who)
	switch {
	case refused(err):
		return false, err
	case err == nil && v.Rights() != r.viewer.Rights():
		return false, errNotFound
	}
	return err == nil, nil
}
