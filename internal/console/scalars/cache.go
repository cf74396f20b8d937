package scalars

import (
	"container/list"
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/singleflight"
)

// sized is what a cache remembers. bytes returns about how much memory it takes.
type sized interface{ bytes() int64 }

// cache remembers what was made of the newest version of objects and directories. What nobody asked for the longest goes
// first.
type cache[V sized] struct {
	most   int64 // bytes
	flight singleflight.Group

	mu      sync.Mutex
	entries map[key]*list.Element // of *entry[V]
	order   *list.List            // the last one used first
	size    int64
}

// key names an object or a directory.
type key struct{ bucket, name string }

// version is the state of an object or a directory. A greater generation is a newer one.
type version struct {
	generation int64
	form       string
}

type entry[V sized] struct {
	key
	version
	value V
	size  int64
}

func newCache[V sized](most int64) *cache[V] {
	return &cache[V]{most: most, entries: map[key]*list.Element{}, order: list.New()}
}

// find returns what was made of a version.
func (c *cache[V]) find(k key, v version) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil || e.Value.(*entry[V]).version != v {
		return value, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*entry[V]).value, true
}

// last returns what is remembered of any version.
func (c *cache[V]) last(k key) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil {
		return value, false
	}
	return e.Value.(*entry[V]).value, true
}

// begin returns a channel with what is known of a version, or what read returns, which runs once for all who ask at the
// same time. Nobody has to wait for it. It is remembered if read says so. A panic of read is a [*panicError].
func (c *cache[V]) begin(k key, v version, read func() (value V, keep bool, err error)) <-chan singleflight.Result {
	if value, ok := c.find(k, v); ok {
		known := make(chan singleflight.Result, 1)
		known <- singleflight.Result{Val: value}
		return known
	}
	name := fmt.Sprintf("%s/%s#%d#%s", k.bucket, k.name, v.generation, v.form) // a bucket's name has no slash
	return c.flight.DoChan(name, func() (_ any, err error) {
		defer rescue(&err)
		if value, ok := c.find(k, v); ok { // read by one who came just before
			return value, nil
		}
		value, keep, err := read()
		if err == nil && keep {
			c.keep(k, v, value)
		}
		return value, err
	})
}

// get is begin for one who waits, until ctx ends.
func (c *cache[V]) get(ctx context.Context, k key, v version, read func() (V, bool, error)) (value V, err error) {
	select {
	case a := <-c.begin(k, v, read):
		if a.Err != nil {
			return value, a.Err
		}
		return a.Val.(V), nil
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// keep remembers what was made, in the place of an older version.
func (c *cache[V]) keep(k key, v version, value V) {
	e := &entry[V]{k, v, value, value.bytes() + int64(len(k.bucket)+len(k.name)+len(v.form))}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[k]; old != nil {
		if old.Value.(*entry[V]).generation > v.generation {
			return
		}
		c.drop(old)
	}
	if e.size > c.most {
		return
	}
	c.entries[k] = c.order.PushFront(e)
	c.size += e.size
	for c.size > c.most {
		c.drop(c.order.Back())
	}
}

func (c *cache[V]) drop(e *list.Element) {
	old := c.order.Remove(e).(*entry[V])
	delete(c.entries, old.key)
	c.size -= old.size
}

// panicError is a panic at what was read. In a goroutine of its own it would end the whole process.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// rescue is deferred, and makes an error of a panic.
func rescue(err *error) {
	if v := recover(); v != nil {
		*err = &panicError{v, debug.Stack()}
	}
}
