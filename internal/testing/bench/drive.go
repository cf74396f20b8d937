package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// maxBackoff bounds the pause before an event is delivered again. It begins with the load's and doubles.
	maxBackoff = 5 * time.Second
	// patience is how long an event is delivered again before the run is given up.
	patience = 3 * time.Minute
	// idle is how long a connection is kept that no event uses. After a burst each would be goroutines of the program.
	idle = 5 * time.Second
	// keeps is how long a long run keeps objects: much longer than a drop takes.
	keeps = 2 * time.Minute
)

// driver sends the events of a load to a program.
type driver struct {
	load    load
	world   *world
	urls    []string
	pkg     []byte
	client  *http.Client
	slots   chan struct{} // nil in an open loop
	results sync.WaitGroup

	mu      sync.Mutex
	drops   map[int]*drop
	refused int // answers other than 2xx
	events  int
	took    []time.Duration // to the answer of a drop's last event
	begun   map[int]time.Time
	faults  []error
}

// drop is one whose events are not all answered.
type drop struct {
	objects [2]*stored
	// left counts all deliveries to come, and own those that are no duplicates.
	left, own int
}

func newDriver(l load, w *world, pkg []byte, urls ...string) *driver {
	d := &driver{
		load: l, world: w, urls: urls, pkg: pkg, drops: map[int]*drop{}, begun: map[int]time.Time{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024, IdleConnTimeout: idle}, Timeout: 10 * time.Minute},
	}
	if l.rate == 0 {
		d.slots = make(chan struct{}, l.inFlight)
	}
	return d
}

// drive sends events until all drops are sent, or until a time if that is set, and waits for the answers. It returns
// the time from the first event to the last answer.
func (d *driver) drive(ctx context.Context, until time.Time) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer d.client.CloseIdleConnections()
	p := newPlan(d.load)
	begin := time.Now()
	more := func() bool {
		if until.IsZero() {
			return p.begun < d.load.drops
		}
		return time.Now().Before(until)
	}
	for sent := 0; ctx.Err() == nil; {
		step, ok := p.next(more())
		if !ok {
			break
		}
		at, err := d.turn(ctx, begin, sent)
		if err != nil {
			break
		}
		sent += len(step)
		for _, e := range step {
			if err := d.begin(e, at); err != nil {
				return 0, err
			}
		}
		d.results.Go(func() {
			defer d.release()
			for _, e := range step {
				if err := d.deliver(ctx, e); err != nil {
					d.fail(err)
					cancel() // without it, the rest would only wait
					return
				}
			}
		})
	}
	d.results.Wait()
	took := time.Since(begin)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.faults) > 0 {
		return took, d.faults[0]
	}
	return took, ctx.Err()
}

func (d *driver) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, err)
}

// turn waits until a step may be sent, and returns the time from which it counts.
func (d *driver) turn(ctx context.Context, begin time.Time, sent int) (time.Time, error) {
	if d.load.rate == 0 {
		err := d.acquire(ctx)
		return time.Now(), err
	}
	// Times are counted from when an event is due: a generator that is late hides no time.
	due := begin.Add(time.Duration(float64(sent) / d.load.rate * float64(time.Second)))
	select {
	case <-time.After(time.Until(due)):
		return due, nil
	case <-ctx.Done():
		return due, ctx.Err()
	}
}

// acquire waits until one more event may be in flight.
func (d *driver) acquire(ctx context.Context) error {
	select {
	case d.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *driver) release() {
	if d.slots != nil {
		<-d.slots
	}
}

// begin puts the objects of a drop into the inbox at its first event: both are there before any event.
func (d *driver) begin(e event, at time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events++
	if there := d.drops[e.drop]; there != nil {
		if e.again {
			there.left++
		}
		return nil
	}
	one := &drop{left: 2, own: 2}
	if e.again { // its drop is done
		one.left, one.own = 1, 0
	} else {
		d.begun[e.drop] = at
	}
	for part, o := range []stored{
		{bucket: inbox, name: folder(e.drop) + "job.yaml", data: jobText(e.drop), contentType: "application/yaml"},
		{bucket: inbox, name: folder(e.drop) + "trainer-0.1.tar.gz", data: d.pkg, contentType: "application/gzip"},
	} {
		if there := d.world.store.get(o.bucket, o.name, 0); there != nil && e.again {
			one.objects[part] = there
			continue
		}
		written, code := d.world.store.put(o, anyGeneration)
		if written == nil {
			return fmt.Errorf("%s: the stand-in answers %d", o.name, code)
		}
		one.objects[part] = written
	}
	d.drops[e.drop] = one
	return nil
}

// deliver sends an event until it is acknowledged. The caller has a slot, which is given back between deliveries.
func (d *driver) deliver(ctx context.Context, e event) error {
	d.mu.Lock()
	o := d.drops[e.drop].objects[e.part]
	d.mu.Unlock()
	header, body, err := message(o, e.part)
	if err != nil {
		return err
	}
	begin, backoff := time.Now(), d.load.redelivery
	// The events of a drop go to different processes, and so does one that comes again.
	for try := e.drop + int(e.part); ; try++ {
		err := d.post(ctx, d.urls[try%len(d.urls)], header, body)
		if err == nil {
			break
		}
		d.mu.Lock()
		d.refused++
		d.mu.Unlock()
		if ctx.Err() != nil || time.Since(begin) > patience {
			return fmt.Errorf("event of %s was not acknowledged for %s: %w", o.name, time.Since(begin).Round(time.Second), err)
		}
		d.release()
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
		}
		if d.slots != nil { // without regard to ctx: the caller gives the slot back
			d.slots <- struct{}{}
		}
		backoff = min(2*backoff, max(maxBackoff, d.load.redelivery))
	}
	d.answered(e, time.Now())
	return nil
}

// message returns the request of an event of an object.
func message(o *stored, p part) (header http.Header, body []byte, err error) {
	if body, err = json.Marshal(resource(o, "")); err != nil {
		return nil, nil, err
	}
	header = http.Header{
		"Content-Type":   {"application/json"},
		"Ce-Id":          {fmt.Sprintf("%d-%d", o.generation, p)},
		"Ce-Type":        {"google.cloud.storage.object.v1.finalized"},
		"Ce-Source":      {"//storage.googleapis.com/projects/_/buckets/" + o.bucket},
		"Ce-Subject":     {"objects/" + o.name},
		"Ce-Specversion": {"1.0"},
		"Ce-Time":        {o.created.UTC().Format(time.RFC3339Nano)},
		"Ce-Bucket":      {o.bucket},
	}
	return header, body, nil
}

// answered records the answer of an event.
func (d *driver) answered(e event, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := d.drops[e.drop]
	if one.left--; one.left == 0 {
		delete(d.drops, e.drop)
	}
	if e.again {
		return
	}
	if one.own--; one.own == 0 {
		d.took = append(d.took, at.Sub(d.begun[e.drop]))
	}
}

// post delivers an event once.
func (d *driver) post(ctx context.Context, url string, header http.Header, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = header
	response, err := d.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s: %s", response.Status, bytes.TrimSpace(answer))
	}
	return nil
}
