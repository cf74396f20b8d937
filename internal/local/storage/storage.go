// Package storage is Cloud Storage on one machine: its JSON API, and the part of
// its XML API that clients use for single objects, over a folder.
//
// What it promises is what Cloud Storage promises for what it has. Objects are
// immutable and appear whole; reads and lists show a write as soon as it is
// answered; a read that has begun ends with the generation it began with. Writes,
// updates, copies, compositions and deletions honour their preconditions, each in
// one step. A write that was acknowledged survives the death of the process, and
// one that was not leaves nothing. Uploads that were not complete are gone then,
// and clients begin them again.
//
// There are no earlier versions of objects, no access control (whoever reaches
// the address may do everything, except web pages), no life cycle, holds,
// retention, encryption keys or soft deletion, no folders of their own, and no
// notifications to Pub/Sub; [Options.Finalized] tells of new objects instead.
// What would be promised in vain is refused: see package absent. Signed URLs are
// checked as far as that takes no key, and chosen calls can be made to fail.
package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/lock"
	"github.com/jobdrop/jobdrop/internal/local/loopback"
)

const (
	// maxObject bounds an object, in bytes: far above what training needs on
	// one machine, and small enough that a mistake is noticed before the disk
	// is full. Cloud Storage's own limit is 5 TiB.
	maxObject = 64 << 30
	// maxBody bounds the JSON body of a request, in bytes: metadata are 8 KiB
	// at most, a composition names 32 objects.
	maxBody = 1 << 20
	// maxHeader bounds a request's line and headers, in bytes: a name is 3 KiB
	// at most when it is encoded, and two of them are in a copy's line; the XML
	// API brings metadata in headers.
	maxHeader = 64 << 10
	// closeTimeout is how long open requests may take when the server closes.
	closeTimeout = 3 * time.Second
)

// ErrInUse is a folder that another server uses.
var ErrInUse = errors.New("another local Cloud Storage uses the folder")

// Options are a server's settings. Dir and Listener are required.
type Options struct {
	// Dir is where objects are kept. One server at a time uses it.
	Dir string
	// Listener is where clients arrive; the server closes it.
	Listener net.Listener
	// Hosts are the names, other than loopback's, by which requests may
	// address the server.
	Hosts []string
	// Buckets are made at the start where they are missing.
	Buckets []string
	// Finalized is told of each new generation of an object, after it can be
	// read and before its writer is answered, from several goroutines at once.
	// Changes of metadata make no new generation.
	Finalized func(Object)
	// Faults are failures that chosen calls meet. A call meets the first that is for it.
	Faults []Fault
	// Full is called with Dir, once, when its disk did not take what a client sent, before that client is
	// answered.
	Full   func(dir string)
	Logger *slog.Logger
}

// Object is a generation of an object, as events tell of it.
type Object struct {
	Bucket, Name string
	Generation   int64
	Created      time.Time
	// Resource is the object's resource as the JSON API shows it, which is also
	// the body of Cloud Storage's events.
	Resource json.RawMessage
}

// Server is a running server.
type Server struct {
	store     *store
	uploads   *uploads
	faults    *injector
	closing   sync.Once
	finalized func(Object)
	full      func()
	log       *slog.Logger
	limit     int64 // bytes of an object
	url       string
	http      *http.Server
	served    chan error
	serving   sync.RWMutex // read locked by each request
	unlock    func() error
}

// Serve starts a server; Close ends it. If another server uses the folder, Serve returns
// [ErrInUse]. If Serve fails, it closes the listener.
func Serve(ctx context.Context, o Options) (*Server, error) {
	if o.Dir == "" || o.Listener == nil {
		return nil, errors.New("local cloud storage: Dir and Listener are required")
	}
	s, err := open(ctx, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("local cloud storage: %w", err), o.Listener.Close())
	}
	l, err := bothSchemes(o.Listener, o.Hosts)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("local cloud storage: %w", err), o.Listener.Close(), s.unlock())
	}
	s.url = "http://" + reachable(o.Listener)
	s.http = &http.Server{
		Handler: loopback.Guard(o.Hosts, s),
		// A header is written at once, and idle clients come back. Bodies may
		// take as long as they need.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		Protocols:         new(http.Protocols),
		// Broken connections are the clients' affair.
		ErrorLog: slog.NewLogLogger(o.log().Handler(), slog.LevelDebug),
	}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true) // for gRPC, which is refused
	go func() { s.served <- s.http.Serve(l) }()
	return s, nil
}

func (o Options) log() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

// open opens the folder.
func open(ctx context.Context, o Options) (*Server, error) {
	faults, err := newInjector(o.Faults)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	// Two servers on a folder would each keep an index of their own.
	unlock, err := lock.Dir(o.Dir, ErrInUse)
	if err != nil {
		return nil, err
	}
	s := &Server{
		finalized: o.Finalized, log: o.log(), limit: maxObject, served: make(chan error, 1), unlock: unlock,
		uploads: newUploads(time.Now), faults: faults,
	}
	s.full = sync.OnceFunc(func() {
		if o.Full != nil {
			o.Full(o.Dir)
		}
	})
	if s.finalized == nil {
		s.finalized = func(Object) {}
	}
	if s.store, err = openStore(ctx, o.Dir, s.log, time.Now); err != nil {
		return nil, errors.Join(err, unlock())
	}
	for _, b := range o.Buckets {
		if err := s.CreateBucket(b); err != nil {
			return nil, errors.Join(err, unlock())
		}
	}
	return s, nil
}

// reachable returns the host:port by which this machine reaches a listener.
func reachable(l net.Listener) string {
	if a, ok := l.Addr().(*net.TCPAddr); ok && a.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", a.Port)
	}
	return l.Addr().String()
}

// URL returns the server's base URL, without a slash at its end.
func (s *Server) URL() string { return s.url }

// CreateBucket makes a bucket if it is not there yet.
func (s *Server) CreateBucket(name string) error {
	_, err := s.store.createBucket(name, nil)
	if f := (*fault)(nil); errors.As(err, &f) && f.status == http.StatusConflict {
		return nil
	}
	return err
}

// Objects returns a bucket's objects that were created at since or later, oldest first.
// It returns them as they are at the call.
func (s *Server) Objects(ctx context.Context, bucket string, since time.Time) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		objects, err := s.store.since(bucket, since)
		if err != nil {
			yield(Object{}, err)
			return
		}
		for _, o := range objects {
			if err := ctx.Err(); err != nil {
				yield(Object{}, err)
				return
			}
			if !yield(s.event(o)) {
				return
			}
		}
	}
}

func (s *Server) event(o *object) (Object, error) {
	body, err := json.Marshal(o.resource(s.url))
	return Object{Bucket: o.Bucket, Name: o.Name, Generation: o.Generation, Created: o.created(), Resource: body}, err
}

// create makes a generation of an object and tells of it: the one way in which
// objects come to be.
func (s *Server) create(o object, c *spool, cond conditions) (*object, error) {
	created, err := s.store.put(o, c, cond)
	if err != nil {
		return nil, err
	}
	e, err := s.event(created)
	if err != nil {
		return nil, err
	}
	s.finalized(e)
	return created, nil
}

// Close ends the server. Open requests get some seconds.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	s.closing.Do(func() { close(s.faults.closing) })
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	// Requests that have lost their connection end by themselves, and must
	// have: who locks the folder next is alone in it.
	s.store.ended.Store(true)
	s.serving.Lock()
	defer s.serving.Unlock()
	s.uploads.discardAll()
	return errors.Join(err, s.unlock())
}

// decode reads a JSON body; an empty one leaves v as it is.
func decode(r *http.Request, v any) error {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return errInvalid("The request's body can't be read: %v", err)
	}
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return &fault{http.StatusBadRequest, "parseError", "MalformedRequest", "Parse Error: " + err.Error()}
	}
	return nil
}
